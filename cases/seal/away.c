#include "cases/seal/away.h"

#include <assert.h>

#define LABEL "sauti/1 away"

enum {
	AWAY_VERSION = 2,
	NONCE_AT = 1,
	HEADER_SIZE = 1 + AEAD_NONCE_SIZE,
	LABEL_SIZE = sizeof(LABEL) - 1,
	AAD_SIZE = LABEL_SIZE + AWAY_NAME_SIZE,
};

bool away_is(struct bytes value)
{
	return value.size > 0 && value.data[0] == AWAY_VERSION;
}

static void make_aad(const uint8_t *name, uint8_t ret[AAD_SIZE])
{
	memcpy(ret, LABEL, LABEL_SIZE);
	memcpy(ret + LABEL_SIZE, name, AWAY_NAME_SIZE);
}

enum err away_wrap(struct bytes keyring_key, const uint8_t name[AWAY_NAME_SIZE],
	const struct away *away, struct buf *out)
{
	size_t size = away->count * SEAL_LOCATOR_SIZE;
	uint8_t aad[AAD_SIZE], *to;
	struct aead_key key;
	enum err err;

	assert(keyring_key.size == AEAD_KEY_SIZE);
	if (away->count == 0 || away->count > AWAY_LOCATORS_MAX)
		return ERR_INVALID;
	make_aad(name, aad);
	TRY(random_bytes(key.nonce, sizeof(key.nonce)));
	memcpy(key.key, keyring_key.data, AEAD_KEY_SIZE);
	to = buf_reserve(out, HEADER_SIZE + size + AEAD_TAG_SIZE);
	err = to == NULL ? out->err
			 : aead_seal(&key, BYTES_ARRAY(aad), bytes_make(away->locators, size),
				   to + HEADER_SIZE);
	if (err == OK) {
		to[0] = AWAY_VERSION;
		memcpy(to + NONCE_AT, key.nonce, sizeof(key.nonce));
		out->size += HEADER_SIZE + size + AEAD_TAG_SIZE;
	}
	wipe(&key, sizeof(key));
	return err;
}

enum err away_unwrap(struct bytes keyring_key, const uint8_t name[AWAY_NAME_SIZE],
	struct bytes value, struct away *ret)
{
	struct away away = {.count = 0};
	uint8_t aad[AAD_SIZE];
	struct aead_key key;
	size_t size;
	enum err err;

	assert(keyring_key.size == AEAD_KEY_SIZE);
	if (!away_is(value))
		return ERR_VERSION;
	size = value.size - (value.size < HEADER_SIZE ? value.size : HEADER_SIZE);
	if (size <= AEAD_TAG_SIZE || size > sizeof(away.locators) + AEAD_TAG_SIZE ||
		(size - AEAD_TAG_SIZE) % SEAL_LOCATOR_SIZE != 0)
		return ERR_CORRUPT;
	make_aad(name, aad);
	memcpy(key.key, keyring_key.data, AEAD_KEY_SIZE);
	memcpy(key.nonce, value.data + NONCE_AT, sizeof(key.nonce));
	err = aead_open(&key, BYTES_ARRAY(aad), bytes_make(value.data + HEADER_SIZE, size),
		(uint8_t *)away.locators);
	wipe(&key, sizeof(key));
	TRY(err);
	away.count = (size - AEAD_TAG_SIZE) / SEAL_LOCATOR_SIZE;
	*ret = away;
	return OK;
}
