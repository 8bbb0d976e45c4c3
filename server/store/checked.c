#include "server/store/checked.h"

#include "base/crypto.h"

#define LABEL "sauti/1 row"

static void check_make(struct bytes key, struct bytes value, uint8_t ret[CHECK_SIZE])
{
	uint8_t key_size[2];
	struct bytes parts[] = {bytes_str(LABEL), BYTES_ARRAY(key_size), key, value};
	struct hash hash;

	put_u16be(key_size, (uint16_t)key.size);
	sha256_parts(parts, sizeof(parts) / sizeof(parts[0]), &hash);
	memcpy(ret, hash.b, CHECK_SIZE);
}

void checked_put(struct txn *txn, unsigned slot, struct bytes key, struct bytes value)
{
	uint8_t check[CHECK_SIZE];
	struct buf row;

	check_make(key, value, check);
	buf_init(&row, value.size + CHECK_SIZE);
	buf_put(&row, value);
	buf_put(&row, BYTES_ARRAY(check));
	if (row.err != OK)
		txn_fail(txn, row.err, "write: %s", err_text(row.err));
	txn_put(txn, slot, key, buf_bytes(&row));
	buf_release(&row);
}

enum err checked_open(struct bytes key, struct bytes row, struct bytes *ret)
{
	uint8_t check[CHECK_SIZE];
	struct bytes value;

	if (row.size < CHECK_SIZE)
		return ERR_CORRUPT;
	value = bytes_make(row.data, row.size - CHECK_SIZE);
	check_make(key, value, check);
	if (memcmp(check, row.data + value.size, CHECK_SIZE) != 0)
		return ERR_CORRUPT;
	*ret = value;
	return OK;
}

enum err checked_get(struct txn *txn, unsigned slot, struct bytes key, struct bytes *ret)
{
	struct bytes row;

	if (!txn_get(txn, slot, key, &row))
		return txn->err != OK ? txn->err : ERR_NOTFOUND;
	return checked_open(key, row, ret);
}
