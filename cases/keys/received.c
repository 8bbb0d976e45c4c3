#include "cases/keys/received.h"

#include "base/alloc.h"
#include "base/text.h"
#include "proto/codec.h"
#include "proto/stored.pb-c.h"

void received_release(struct received *received)
{
	if (received == NULL)
		return;
	mem_free(received->kids);
	*received = (struct received){.kids = NULL};
}

enum err received_init(struct received *received, size_t kids)
{
	*received = (struct received){.kids = NULL};
	if (kids == 0)
		return ERR_INVALID;
	if (kids > LIMIT_GRANT_KEYS)
		return ERR_LIMIT;
	received->kids = mem_array(kids, sizeof(*received->kids));
	if (received->kids == NULL)
		return ERR_NOMEM;
	received->kid_count = kids;
	return OK;
}

void received_row_name(const char *sender, const struct event_id *id, struct row_name *ret)
{
	uint8_t name[EVENT_ID_SIZE + LIMIT_NODE_NAME];
	size_t size = strlen(sender);

	memcpy(name, id->b, EVENT_ID_SIZE);
	memcpy(name + EVENT_ID_SIZE, sender, size);
	row_name(ROW_RECEIVED, bytes_make(name, EVENT_ID_SIZE + size), ret);
}

enum err received_pack(const struct received *received, struct buf *out)
{
	Sauti__ReceivedGrant row = SAUTI__RECEIVED_GRANT__INIT;
	ProtobufCBinaryData kids[LIMIT_GRANT_KEYS];

	for (size_t i = 0; i < received->kid_count; i++)
		kids[i] = codec_binary(BYTES_ARRAY(received->kids[i].b));
	row.grant_id = codec_binary(BYTES_ARRAY(received->id.b));
	row.case_ref = codec_binary(BYTES_ARRAY(received->case_ref.b));
	row.sender = (char *)received->sender;
	row.node_key = codec_binary(hash_bytes(&received->node_key));
	row.prekey = received->prekey;
	row.case_code = (char *)received->code;
	row.opened_on = (char *)received->opened_on;
	row.purpose = (char *)received->purpose;
	row.basis = received->basis;
	row.until = (char *)received->until;
	row.groups = received->groups;
	row.received_at = received->received_at;
	row.consent_leaf = codec_binary(hash_bytes(&received->consent_leaf));
	row.consent_origin = (char *)received->consent_origin;
	row.consent_index = received->consent_index;
	row.kids = kids;
	row.n_kids = received->kid_count;
	codec_pack(out, &row);
	return out->err;
}

static bool row_ok(const Sauti__ReceivedGrant *row)
{
	bool ok = row->grant_id.len == EVENT_ID_SIZE && row->case_ref.len == CASE_REF_SIZE &&
		  node_name_valid(bytes_str(row->sender)) && row->node_key.len == HASH_SIZE &&
		  strlen(row->case_code) <= CASE_CODE_MAX && strlen(row->opened_on) <= 10 &&
		  strlen(row->purpose) <= GRANT_PURPOSE_MAX && strlen(row->until) <= 10 &&
		  strlen(row->consent_origin) <= LIMIT_ORIGIN &&
		  row->consent_leaf.len == HASH_SIZE && row->groups <= UINT16_MAX &&
		  grant_basis_name(row->basis)[0] != '\0' && row->n_kids > 0 &&
		  row->n_kids <= LIMIT_GRANT_KEYS;

	for (size_t i = 0; ok && i < row->n_kids; i++)
		ok = row->kids[i].len == SEAL_KID_SIZE;
	return ok;
}

static enum err copy(const Sauti__ReceivedGrant *row, struct received *ret)
{
	TRY(received_init(ret, row->n_kids));
	ret->prekey = row->prekey;
	ret->basis = row->basis;
	ret->groups = (group_set)row->groups;
	ret->received_at = row->received_at;
	ret->consent_index = row->consent_index;
	memcpy(ret->id.b, row->grant_id.data, EVENT_ID_SIZE);
	memcpy(ret->case_ref.b, row->case_ref.data, CASE_REF_SIZE);
	memcpy(ret->node_key.b, row->node_key.data, HASH_SIZE);
	memcpy(ret->consent_leaf.b, row->consent_leaf.data, HASH_SIZE);
	memcpy(ret->sender, row->sender, strlen(row->sender) + 1);
	memcpy(ret->code, row->case_code, strlen(row->case_code) + 1);
	memcpy(ret->opened_on, row->opened_on, strlen(row->opened_on) + 1);
	memcpy(ret->purpose, row->purpose, strlen(row->purpose) + 1);
	memcpy(ret->until, row->until, strlen(row->until) + 1);
	memcpy(ret->consent_origin, row->consent_origin, strlen(row->consent_origin) + 1);
	for (size_t i = 0; i < row->n_kids; i++)
		memcpy(ret->kids[i].b, row->kids[i].data, SEAL_KID_SIZE);
	return OK;
}

enum err received_unpack(struct bytes plain, struct received *ret)
{
	CLEANUP(arena_release) struct arena arena;
	Sauti__ReceivedGrant *row;
	enum err err;

	arena_init(&arena, 8 * ROW_PLAIN_MAX);
	err = CODEC_UNPACK(received_grant, plain, &scan_limits_default, &arena, &row, NULL);
	if (err != OK)
		return err == ERR_NOMEM ? err : ERR_CORRUPT;
	return row_ok(row) ? copy(row, ret) : ERR_CORRUPT;
}

bool received_in_force(const struct received *received, const char *today)
{
	return received->until[0] == '\0' || strcmp(today, received->until) <= 0;
}

bool received_has(const struct received *received, const struct seal_kid *kid)
{
	for (size_t i = 0; i < received->kid_count; i++)
		if (memcmp(received->kids[i].b, kid->b, SEAL_KID_SIZE) == 0)
			return true;
	return false;
}
