#include "cases/keys/given.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"
#include "proto/codec.h"
#include "proto/stored.pb-c.h"

const char *grant_basis_name(uint32_t basis)
{
	static const char *const names[] = {
		"", "CONSENT", "MANDATE", "BREAK_GLASS", "REPLY", "LEDGER"};

	return basis < sizeof(names) / sizeof(names[0]) ? names[basis] : "";
}

void given_release(struct given *given)
{
	if (given == NULL)
		return;
	mem_free(given->keys);
	*given = (struct given){.keys = NULL};
}

enum err given_init(struct given *given, size_t keys)
{
	*given = (struct given){.keys = NULL};
	if (keys == 0)
		return ERR_INVALID;
	if (keys > LIMIT_GRANT_KEYS)
		return ERR_LIMIT;
	given->keys = mem_array(keys, sizeof(*given->keys));
	if (given->keys == NULL)
		return ERR_NOMEM;
	given->key_count = keys;
	return OK;
}

static int compare(const void *a, const void *b)
{
	const struct given_key *x = a, *y = b;

	return memcmp(x->kid.b, y->kid.b, SEAL_KID_SIZE);
}

void given_sort(struct given *given)
{
	if (given->key_count > 0)
		qsort(given->keys, given->key_count, sizeof(*given->keys), compare);
}

/* ---- the row ---- */

void given_row_name(const struct event_id *id, struct row_name *ret)
{
	row_name(ROW_GIVEN, BYTES_ARRAY(id->b), ret);
}

static void put_keys(
	const struct given *given, Sauti__StoredGrantKey *keys, Sauti__StoredGrantKey **list)
{
	for (size_t i = 0; i < given->key_count; i++) {
		sauti__stored_grant_key__init(&keys[i]);
		keys[i].kid = codec_binary(BYTES_ARRAY(given->keys[i].kid.b));
		keys[i].group = given->keys[i].group;
		keys[i].first = given->keys[i].first;
		list[i] = &keys[i];
	}
}

enum err given_pack(const struct given *given, struct buf *out)
{
	Sauti__StoredGrantKey keys[LIMIT_GRANT_KEYS], *list[LIMIT_GRANT_KEYS];
	Sauti__StoredGrant row = SAUTI__STORED_GRANT__INIT;

	put_keys(given, keys, list);
	row.grant_id = codec_binary(BYTES_ARRAY(given->id.b));
	row.case_ref = codec_binary(BYTES_ARRAY(given->case_ref.b));
	row.recipient = (char *)given->recipient;
	row.node_key = codec_binary(hash_bytes(&given->node_key));
	row.purpose = (char *)given->purpose;
	row.basis = given->basis;
	row.until = (char *)given->until;
	row.nonce = codec_binary(BYTES_ARRAY(given->nonce));
	if (given->has_consent)
		row.consent_id = codec_binary(BYTES_ARRAY(given->consent.b));
	row.consent_leaf = codec_binary(hash_bytes(&given->consent_leaf));
	row.consent_origin = (char *)given->consent_origin;
	row.consent_index = given->consent_index;
	row.groups = given->groups;
	row.history = given->history;
	row.made_at = given->made_at;
	row.state = given->state;
	row.prekeys = (uint64_t *)given->prekeys;
	row.n_prekeys = given->prekey_count;
	if (given->mailed)
		row.item = codec_binary(hash_bytes(&given->item));
	row.revoked_on = (char *)given->revoked_on;
	row.revoked_for = given->revoked_for;
	if (given->revoked_on[0] != '\0')
		row.revocation_id = codec_binary(BYTES_ARRAY(given->revocation.b));
	row.keys = list;
	row.n_keys = given->key_count;
	codec_pack(out, &row);
	return out->err;
}

static bool day_or_none(const char *text)
{
	return text[0] == '\0' || strlen(text) == 10;
}

static bool row_ok(const Sauti__StoredGrant *row)
{
	return row->grant_id.len == EVENT_ID_SIZE && row->case_ref.len == CASE_REF_SIZE &&
	       node_name_valid(bytes_str(row->recipient)) && row->node_key.len == HASH_SIZE &&
	       row->nonce.len == GRANT_NONCE_SIZE && row->consent_leaf.len == HASH_SIZE &&
	       (row->consent_id.len == 0 || row->consent_id.len == EVENT_ID_SIZE) &&
	       (row->item.len == 0 || row->item.len == HASH_SIZE) &&
	       strlen(row->purpose) <= GRANT_PURPOSE_MAX && day_or_none(row->until) &&
	       day_or_none(row->revoked_on) && strlen(row->consent_origin) <= LIMIT_ORIGIN &&
	       grant_basis_name(row->basis)[0] != '\0' && row->state >= GIVEN_MADE &&
	       row->state <= GIVEN_REFUSED && row->n_prekeys <= LIMIT_GRANT_PREKEYS &&
	       row->revoked_for <= GIVEN_STOPPED &&
	       row->revocation_id.len == (row->revoked_on[0] == '\0' ? 0 : EVENT_ID_SIZE) &&
	       row->groups <= UINT16_MAX && row->n_keys > 0 && row->n_keys <= LIMIT_GRANT_KEYS;
}

static bool copy_keys(const Sauti__StoredGrant *row, struct given *given)
{
	for (size_t i = 0; i < row->n_keys; i++) {
		const Sauti__StoredGrantKey *from = row->keys[i];
		struct given_key *key = &given->keys[i];

		if (from->kid.len != SEAL_KID_SIZE || from->group == GROUP_NONE ||
			from->group > GROUP_LAST)
			return false;
		memcpy(key->kid.b, from->kid.data, SEAL_KID_SIZE);
		key->group = (enum group)from->group;
		key->first = from->first;
		if (i > 0 && compare(&given->keys[i - 1], key) >= 0)
			return false;
	}
	return true;
}

static void copy_texts(const Sauti__StoredGrant *row, struct given *given)
{
	memcpy(given->recipient, row->recipient, strlen(row->recipient) + 1);
	memcpy(given->purpose, row->purpose, strlen(row->purpose) + 1);
	memcpy(given->until, row->until, strlen(row->until) + 1);
	memcpy(given->revoked_on, row->revoked_on, strlen(row->revoked_on) + 1);
	memcpy(given->consent_origin, row->consent_origin, strlen(row->consent_origin) + 1);
}

static enum err copy(const Sauti__StoredGrant *row, struct given *given)
{
	if (!row_ok(row))
		return ERR_CORRUPT;
	TRY(given_init(given, row->n_keys));
	if (!copy_keys(row, given))
		return ERR_CORRUPT;
	copy_texts(row, given);
	memcpy(given->id.b, row->grant_id.data, EVENT_ID_SIZE);
	memcpy(given->case_ref.b, row->case_ref.data, CASE_REF_SIZE);
	memcpy(given->node_key.b, row->node_key.data, HASH_SIZE);
	memcpy(given->nonce, row->nonce.data, GRANT_NONCE_SIZE);
	memcpy(given->consent_leaf.b, row->consent_leaf.data, HASH_SIZE);
	given->has_consent = row->consent_id.len > 0;
	if (given->has_consent)
		memcpy(given->consent.b, row->consent_id.data, EVENT_ID_SIZE);
	given->mailed = row->item.len > 0;
	if (given->mailed)
		memcpy(given->item.b, row->item.data, HASH_SIZE);
	if (row->revocation_id.len > 0)
		memcpy(given->revocation.b, row->revocation_id.data, EVENT_ID_SIZE);
	given->basis = row->basis;
	given->consent_index = row->consent_index;
	given->groups = (group_set)row->groups;
	given->history = row->history;
	given->made_at = row->made_at;
	given->state = (enum given_state)row->state;
	given->revoked_for = (enum given_end)row->revoked_for;
	given->prekey_count = row->n_prekeys;
	for (size_t i = 0; i < row->n_prekeys; i++)
		given->prekeys[i] = row->prekeys[i];
	return OK;
}

enum err given_unpack(struct bytes plain, struct given *ret)
{
	CLEANUP(arena_release) struct arena arena;
	struct given given = {.keys = NULL};
	Sauti__StoredGrant *row;
	enum err err;

	arena_init(&arena, 8 * ROW_PLAIN_MAX);
	err = CODEC_UNPACK(stored_grant, plain, &scan_limits_default, &arena, &row, NULL);
	if (err != OK)
		return err == ERR_NOMEM ? err : ERR_CORRUPT;
	err = copy(row, &given);
	if (err != OK) {
		given_release(&given);
		return err;
	}
	*ret = given;
	return OK;
}

/* ---- what it means ---- */

bool given_live(const struct given *given)
{
	return given->revoked_on[0] == '\0' && given->state != GIVEN_REFUSED;
}

bool given_left(const struct given *given)
{
	return given->prekey_count > 0 || given->state != GIVEN_MADE;
}

bool given_has(const struct given *given, const struct seal_kid *kid)
{
	for (size_t i = 0; i < given->key_count; i++)
		if (memcmp(given->keys[i].kid.b, kid->b, SEAL_KID_SIZE) == 0)
			return true;
	return false;
}

enum err given_commitment(const struct given *given, struct hash *ret)
{
	struct grant_key keys[LIMIT_GRANT_KEYS];
	struct grant_commitment commitment = {
		.nonce = given->nonce,
		.recipient = bytes_str(given->recipient),
		.consent_leaf = &given->consent_leaf,
		.keys = keys,
		.count = given->key_count,
	};

	for (size_t i = 0; i < given->key_count; i++)
		keys[i] = (struct grant_key){given->keys[i].kid, given->keys[i].first};
	return grant_commitment(&commitment, ret);
}
