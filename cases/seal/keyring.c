#include "cases/seal/keyring.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/text.h"
#include "proto/codec.h"
#include "proto/stored.pb-c.h"

enum { KEYRING_VERSION = 1, NONCE_AT = 1, HEADER_SIZE = 1 + AEAD_NONCE_SIZE };
enum { RECORD_MAX = 1024, AAD_LABEL_SIZE = 15, AAD_SIZE = AAD_LABEL_SIZE + SEAL_KID_SIZE };

void keyring_entry_release(struct keyring_entry *entry)
{
	if (entry == NULL)
		return;
	secret_release(&entry->key);
	*entry = (struct keyring_entry){0};
}

static void make_aad(const struct seal_kid *kid, uint8_t ret[AAD_SIZE])
{
	memcpy(ret, "sauti/1 keyring", AAD_LABEL_SIZE);
	memcpy(ret + AAD_LABEL_SIZE, kid->b, SEAL_KID_SIZE);
}

static void make_key(struct bytes keyring_key, struct aead_key *ret)
{
	assert(keyring_key.size == AEAD_KEY_SIZE);
	memcpy(ret->key, keyring_key.data, AEAD_KEY_SIZE);
}

static bool entry_valid(const struct keyring_entry *entry)
{
	return entry->key.size == SEAL_KEY_SIZE && entry->group > GROUP_NONE &&
	       (int)entry->group <= GROUP_LAST && node_name_valid(bytes_str(entry->author));
}

/* The record, in a buffer of the full size from the start: no copy of K is left behind. */
static void pack_record(const struct keyring_entry *entry, struct buf *plain)
{
	Sauti__KeyringRecord record = SAUTI__KEYRING_RECORD__INIT;

	record.case_ref = codec_binary(BYTES_ARRAY(entry->case_ref.b));
	record.group = entry->group;
	record.author = (char *)entry->author;
	record.generation = entry->generation;
	record.key = codec_binary(secret_bytes(&entry->key));
	record.origin = (char *)entry->origin;
	(void)buf_reserve(plain, RECORD_MAX);
	codec_pack(plain, &record);
}

static enum err seal_record(
	struct bytes keyring_key, const struct seal_kid *kid, struct bytes plain, struct buf *out)
{
	uint8_t aad[AAD_SIZE], *to;
	struct aead_key key;
	enum err err;

	make_aad(kid, aad);
	TRY(random_bytes(key.nonce, sizeof key.nonce));
	make_key(keyring_key, &key);
	to = buf_reserve(out, HEADER_SIZE + plain.size + AEAD_TAG_SIZE);
	err = to == NULL ? out->err : aead_seal(&key, BYTES_ARRAY(aad), plain, to + HEADER_SIZE);
	if (err == OK) {
		to[0] = KEYRING_VERSION;
		memcpy(to + NONCE_AT, key.nonce, sizeof key.nonce);
		out->size += HEADER_SIZE + plain.size + AEAD_TAG_SIZE;
	}
	wipe(&key, sizeof key);
	return err;
}

enum err keyring_wrap(struct bytes keyring_key, const struct keyring_entry *entry, struct buf *out,
	struct seal_kid *ret_kid)
{
	struct seal_kid kid;
	struct buf plain;
	enum err err;

	if (!entry_valid(entry))
		return ERR_INVALID;
	TRY(seal_kid_of(secret_bytes(&entry->key), &kid));
	buf_init(&plain, RECORD_MAX);
	pack_record(entry, &plain);
	err = plain.err;
	if (err == OK)
		err = seal_record(keyring_key, &kid, buf_bytes(&plain), out);
	buf_wipe(&plain);
	if (err == OK)
		*ret_kid = kid;
	return err;
}

static enum err copy_record(
	const Sauti__KeyringRecord *record, const struct seal_kid *kid, struct keyring_entry *ret)
{
	struct keyring_entry entry = {
		.group = (enum group)record->group,
		.generation = record->generation,
	};
	struct bytes key = codec_bytes(record->key);
	struct seal_kid actual;

	if (record->case_ref.len != CASE_REF_SIZE || key.size != SEAL_KEY_SIZE ||
		record->group == GROUP_NONE || record->group > GROUP_LAST ||
		!node_name_valid(bytes_str(record->author)) ||
		strlen(record->origin) > LIMIT_ORIGIN)
		return ERR_CORRUPT;
	TRY(seal_kid_of(key, &actual));
	if (!bytes_equal(BYTES_ARRAY(actual.b), BYTES_ARRAY(kid->b)))
		return ERR_CORRUPT;
	memcpy(entry.case_ref.b, record->case_ref.data, CASE_REF_SIZE);
	memcpy(entry.author, record->author, strlen(record->author) + 1);
	memcpy(entry.origin, record->origin, strlen(record->origin) + 1);
	TRY(secret_copy(&entry.key, key));
	*ret = entry;
	return OK;
}

static enum err read_record(
	struct bytes plain, const struct seal_kid *kid, struct keyring_entry *ret)
{
	Sauti__KeyringRecord *record;
	struct arena arena;
	enum err err;

	arena_init(&arena, 16 * RECORD_MAX);
	err = CODEC_UNPACK(keyring_record, plain, &scan_limits_strict, &arena, &record, NULL);
	if (err == OK) {
		err = copy_record(record, kid, ret);
		wipe(record->key.data, record->key.len);
	} else if (err != ERR_NOMEM) {
		err = ERR_CORRUPT;
	}
	arena_release(&arena);
	return err;
}

enum err keyring_unwrap(struct bytes keyring_key, const struct seal_kid *kid, struct bytes value,
	struct keyring_entry *ret)
{
	uint8_t aad[AAD_SIZE], plain[RECORD_MAX];
	struct aead_key key;
	size_t size;
	enum err err;

	if (value.size == 0 || value.data[0] != KEYRING_VERSION)
		return ERR_VERSION;
	if (value.size < HEADER_SIZE + AEAD_TAG_SIZE ||
		value.size > HEADER_SIZE + RECORD_MAX + AEAD_TAG_SIZE)
		return ERR_DECRYPT;
	size = value.size - HEADER_SIZE - AEAD_TAG_SIZE;
	make_aad(kid, aad);
	make_key(keyring_key, &key);
	memcpy(key.nonce, value.data + NONCE_AT, sizeof key.nonce);
	err = aead_open(&key, BYTES_ARRAY(aad),
		bytes_make(value.data + HEADER_SIZE, size + AEAD_TAG_SIZE), plain);
	if (err == OK)
		err = read_record(bytes_make(plain, size), kid, ret);
	wipe(plain, sizeof plain);
	wipe(&key, sizeof key);
	return err;
}
