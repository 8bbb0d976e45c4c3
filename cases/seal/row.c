#include "cases/seal/row.h"

#include <assert.h>
#include <string.h>

#include "base/crypto.h"

#define LABEL      "sauti/1 keyring row"
#define NAME_LABEL "sauti/1 row name"

enum {
	NONCE_AT = 1,
	HEADER_SIZE = 1 + AEAD_NONCE_SIZE,
	LABEL_SIZE = sizeof(LABEL) - 1,
	AAD_SIZE = LABEL_SIZE + 1 + ROW_NAME_SIZE,
};

enum row_kind row_kind(struct bytes value)
{
	if (value.size == 0 || value.data[0] > ROW_KIND_LAST)
		return ROW_NONE;
	return (enum row_kind)value.data[0];
}

void row_name(enum row_kind kind, struct bytes name, struct row_name *ret)
{
	uint8_t byte = (uint8_t)kind;
	struct bytes parts[] = {bytes_str(NAME_LABEL), bytes_make(&byte, 1), name};
	struct hash hash;

	sha256_parts(parts, 3, &hash);
	memcpy(ret->b, hash.b, sizeof(ret->b));
}

static void make_aad(enum row_kind kind, const struct row_name *name, uint8_t ret[AAD_SIZE])
{
	memcpy(ret, LABEL, LABEL_SIZE);
	ret[LABEL_SIZE] = (uint8_t)kind;
	memcpy(ret + LABEL_SIZE + 1, name->b, ROW_NAME_SIZE);
}

static bool wrapped_here(enum row_kind kind)
{
	return kind >= ROW_GIVEN && kind <= ROW_KIND_LAST;
}

enum err row_wrap(struct bytes keyring_key, enum row_kind kind, const struct row_name *name,
	struct bytes plain, struct buf *out)
{
	size_t size = HEADER_SIZE + plain.size + AEAD_TAG_SIZE;
	uint8_t aad[AAD_SIZE], *to;
	struct aead_key key;
	enum err err;

	assert(keyring_key.size == AEAD_KEY_SIZE && wrapped_here(kind));
	if (plain.size > ROW_PLAIN_MAX)
		return ERR_LIMIT;
	make_aad(kind, name, aad);
	TRY(random_bytes(key.nonce, sizeof(key.nonce)));
	memcpy(key.key, keyring_key.data, AEAD_KEY_SIZE);
	to = buf_reserve(out, size);
	err = to == NULL ? out->err : aead_seal(&key, BYTES_ARRAY(aad), plain, to + HEADER_SIZE);
	if (err == OK) {
		to[0] = (uint8_t)kind;
		memcpy(to + NONCE_AT, key.nonce, sizeof(key.nonce));
		out->size += size;
	}
	wipe(&key, sizeof(key));
	return err;
}

enum err row_unwrap(struct bytes keyring_key, enum row_kind kind, const struct row_name *name,
	struct bytes value, struct buf *out)
{
	uint8_t aad[AAD_SIZE], *to;
	struct aead_key key;
	struct bytes sealed;
	enum err err;

	assert(keyring_key.size == AEAD_KEY_SIZE && wrapped_here(kind));
	if (row_kind(value) != kind || value.size < HEADER_SIZE + AEAD_TAG_SIZE ||
		value.size > HEADER_SIZE + ROW_PLAIN_MAX + AEAD_TAG_SIZE)
		return ERR_CORRUPT;
	sealed = bytes_make(value.data + HEADER_SIZE, value.size - HEADER_SIZE);
	make_aad(kind, name, aad);
	memcpy(key.key, keyring_key.data, AEAD_KEY_SIZE);
	memcpy(key.nonce, value.data + NONCE_AT, sizeof(key.nonce));
	to = buf_reserve(out, sealed.size); /* one byte at least: the tag is in it */
	err = to == NULL ? out->err : aead_open(&key, BYTES_ARRAY(aad), sealed, to);
	if (err == OK)
		out->size += sealed.size - AEAD_TAG_SIZE;
	wipe(&key, sizeof(key));
	return err;
}

/* ---- under another key ---- */

/* How the name stands in the associated data of a kind. Every kind has a line here: a row that
 * cannot be wrapped anew would keep a key from being destroyed. */
static const struct {
	const char *label;
	bool kind; /* the kind's byte is between label and name */
} bindings[ROW_KIND_LAST + 1] = {
	[ROW_KEY] = {"sauti/1 keyring", false},
	[ROW_AWAY] = {"sauti/1 away", false},
	[ROW_GIVEN] = {LABEL, true},
	[ROW_RECEIVED] = {LABEL, true},
	[ROW_TOMBSTONE] = {LABEL, true},
	[ROW_ERASURE] = {LABEL, true},
	[ROW_CUSTODY] = {LABEL, true},
	[ROW_ESCROW] = {LABEL, true},
	[ROW_CONFIRMED] = {LABEL, true},
	[ROW_APPROVAL] = {LABEL, true},
	[ROW_REVEALED] = {LABEL, true},
	[ROW_HOLD] = {LABEL, true},
	[ROW_RECEIPT] = {LABEL, true},
};

static size_t binding_make(enum row_kind kind, const struct row_name *name, uint8_t ret[AAD_SIZE])
{
	size_t size = strlen(bindings[kind].label);

	memcpy(ret, bindings[kind].label, size);
	if (bindings[kind].kind)
		ret[size++] = (uint8_t)kind;
	memcpy(ret + size, name->b, ROW_NAME_SIZE);
	return size + ROW_NAME_SIZE;
}

enum err row_rewrap(const struct row_rewrap *rewrap, struct bytes value, struct buf *out)
{
	enum row_kind kind = row_kind(value);
	uint8_t aad[AAD_SIZE], *to;
	struct aead_key key;
	struct bytes bound;
	enum err err;

	if (kind == ROW_NONE)
		return ERR_VERSION;
	if (value.size < HEADER_SIZE + AEAD_TAG_SIZE ||
		value.size > HEADER_SIZE + ROW_PLAIN_MAX + AEAD_TAG_SIZE)
		return ERR_CORRUPT;
	bound = bytes_make(aad, binding_make(kind, rewrap->name, aad));
	to = buf_reserve(out, value.size);
	if (to == NULL)
		return out->err;
	memcpy(key.key, rewrap->from.data, AEAD_KEY_SIZE);
	memcpy(key.nonce, value.data + NONCE_AT, sizeof(key.nonce));
	/* Opened where it is sealed again: no plaintext is left anywhere. */
	err = aead_open(&key, bound, bytes_make(value.data + HEADER_SIZE, value.size - HEADER_SIZE),
		to + HEADER_SIZE);
	if (err == OK) {
		memcpy(key.key, rewrap->to.data, AEAD_KEY_SIZE);
		memcpy(key.nonce, rewrap->nonce, sizeof(key.nonce));
		err = aead_seal(&key, bound,
			bytes_make(to + HEADER_SIZE, value.size - HEADER_SIZE - AEAD_TAG_SIZE),
			to + HEADER_SIZE);
		if (err != OK)
			wipe(to, value.size);
	}
	if (err == OK) {
		to[0] = (uint8_t)kind;
		memcpy(to + NONCE_AT, key.nonce, sizeof(key.nonce));
		out->size += value.size;
	}
	wipe(&key, sizeof(key));
	return err;
}
