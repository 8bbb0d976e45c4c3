#include "cases/packet/sealed.h"

#include <string.h>

static const char magic[] = "sauti packet 1\n";
enum { MAGIC_SIZE = sizeof magic - 1, LENGTH_SIZE = 4 };
_Static_assert(SEALED_HEAD_SIZE == MAGIC_SIZE + 3 + SEALED_SALT_SIZE + HASH_SIZE, "the head");

const struct scrypt_cost sealed_cost = {.n = UINT64_C(1) << 17, .r = 8, .p = 1};

/* log2 of N; 0: a cost that is not taken. */
static uint8_t cost_log(struct scrypt_cost cost)
{
	for (uint8_t log = 14; log <= 17; log++)
		if (cost.n == UINT64_C(1) << log && cost.r == 8 && cost.p >= 1 && cost.p <= 4)
			return log;
	return 0;
}

struct sealed_keys {
	uint8_t commitment[HASH_SIZE];
	struct aead_key key;
};
_Static_assert(sizeof(struct sealed_keys) == 32 + 32 + 12, "as HKDF gives it");

static enum err derive(struct bytes passphrase, struct bytes salt, struct scrypt_cost cost,
	struct sealed_keys *ret)
{
	struct bytes label = bytes_str("sauti/1 packet");
	uint8_t secret[32];
	enum err err = scrypt(passphrase, salt, cost, secret, sizeof secret);

	if (err == OK)
		err = hkdf_expand(BYTES_ARRAY(secret), &label, 1, (uint8_t *)ret, sizeof *ret);
	wipe(secret, sizeof secret);
	return err;
}

/* 256, 384, 512, 768.. */
static size_t padded_size(size_t size)
{
	size_t step = 256;

	while (step < size)
		step = (step & (step - 1)) == 0 ? step / 2 * 3 : step / 3 * 4;
	return step;
}

static enum err seal_body(
	const struct aead_key *key, struct bytes head, struct bytes text, uint8_t *body)
{
	size_t size = padded_size(LENGTH_SIZE + text.size);

	put_u32be(body, (uint32_t)text.size);
	if (text.size > 0)
		memcpy(body + LENGTH_SIZE, text.data, text.size);
	memset(body + LENGTH_SIZE + text.size, 0, size - LENGTH_SIZE - text.size);
	return aead_seal(key, head, bytes_make(body, size), body);
}

enum err sealed_write(struct bytes passphrase, const uint8_t salt[SEALED_SALT_SIZE],
	struct scrypt_cost cost, struct bytes text, struct buf *out)
{
	size_t size = padded_size(LENGTH_SIZE + text.size) + AEAD_TAG_SIZE, start = out->size;
	uint8_t log = cost_log(cost);
	struct sealed_keys keys;
	enum err err;

	if (passphrase.size == 0 || log == 0)
		return ERR_INVALID;
	if (text.size > SEALED_TEXT_MAX)
		return ERR_LIMIT;
	TRY(derive(passphrase, bytes_make(salt, SEALED_SALT_SIZE), cost, &keys));
	buf_put_str(out, magic);
	buf_put_u8(out, log);
	buf_put_u8(out, (uint8_t)cost.r);
	buf_put_u8(out, (uint8_t)cost.p);
	buf_put(out, bytes_make(salt, SEALED_SALT_SIZE));
	buf_put(out, BYTES_ARRAY(keys.commitment));
	if (buf_reserve(out, size) == NULL) {
		err = out->err;
	} else {
		err = seal_body(&keys.key, bytes_make(out->data + start, SEALED_HEAD_SIZE), text,
			out->data + start + SEALED_HEAD_SIZE);
		out->size += err == OK ? size : 0;
	}
	wipe(&keys, sizeof keys);
	return err;
}

bool sealed_is(struct bytes file)
{
	return file.size >= MAGIC_SIZE && memcmp(file.data, magic, MAGIC_SIZE) == 0;
}

static enum err check_head(struct bytes file, struct scrypt_cost *ret)
{
	static const char any[] = "sauti packet ";
	struct scrypt_cost cost;

	if (file.size < sizeof any || memcmp(file.data, any, sizeof any - 1) != 0)
		return ERR_MALFORMED;
	if (!sealed_is(file))
		return ERR_VERSION;
	if (file.size > SEALED_FILE_MAX)
		return ERR_LIMIT;
	if (file.size < SEALED_HEAD_SIZE + 256 + AEAD_TAG_SIZE)
		return ERR_MALFORMED;
	if (file.data[MAGIC_SIZE] > 17)
		return ERR_VERSION;
	cost.n = UINT64_C(1) << file.data[MAGIC_SIZE];
	cost.r = file.data[MAGIC_SIZE + 1];
	cost.p = file.data[MAGIC_SIZE + 2];
	if (cost_log(cost) == 0)
		return ERR_VERSION;
	*ret = cost;
	return OK;
}

/* What is opened: a length, the text, zeros up to a step. */
static enum err take_text(struct bytes plain, struct buf *out)
{
	size_t length = get_u32be(plain.data);
	uint8_t rest = 0;

	if (length > plain.size - LENGTH_SIZE || padded_size(LENGTH_SIZE + length) != plain.size)
		return ERR_MALFORMED;
	for (size_t i = LENGTH_SIZE + length; i < plain.size; i++)
		rest |= plain.data[i];
	if (rest != 0)
		return ERR_MALFORMED;
	buf_put(out, bytes_make(plain.data + LENGTH_SIZE, length));
	return out->err;
}

static enum err open_body(
	const struct aead_key *key, struct bytes head, struct bytes body, struct buf *out)
{
	struct buf plain;
	enum err err;

	buf_init(&plain, SEALED_FILE_MAX);
	if (buf_reserve(&plain, body.size) == NULL) {
		err = plain.err;
	} else {
		err = aead_open(key, head, body, plain.data);
		plain.size = err == OK ? body.size - AEAD_TAG_SIZE : 0;
	}
	if (err == OK && buf_reserve(out, plain.size) == NULL)
		err = out->err;
	if (err == OK)
		err = take_text(buf_bytes(&plain), out);
	buf_wipe(&plain);
	return err;
}

enum err sealed_read(struct bytes passphrase, struct bytes file, struct buf *out)
{
	const uint8_t *salt, *commitment;
	struct scrypt_cost cost;
	struct sealed_keys keys;
	enum err err;

	TRY(check_head(file, &cost));
	salt = file.data + MAGIC_SIZE + 3;
	commitment = salt + SEALED_SALT_SIZE;
	if (passphrase.size == 0)
		return ERR_DENIED;
	TRY(derive(passphrase, bytes_make(salt, SEALED_SALT_SIZE), cost, &keys));
	if (!equal_secret(BYTES_ARRAY(keys.commitment), bytes_make(commitment, HASH_SIZE)))
		err = ERR_DENIED;
	else
		err = open_body(&keys.key, bytes_make(file.data, SEALED_HEAD_SIZE),
			bytes_make(file.data + SEALED_HEAD_SIZE, file.size - SEALED_HEAD_SIZE),
			out);
	wipe(&keys, sizeof keys);
	return err;
}
