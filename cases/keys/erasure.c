#include "cases/keys/erasure.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"
#include "proto/codec.h"
#include "proto/stored.pb-c.h"

enum { BASIS_MAX = 32, DAY_SIZE = 10 };

const char *erasure_scope_name(enum erasure_scope scope)
{
	static const char *const names[] = {"keys", "case", "groups", "event", "note"};

	return (unsigned)scope < sizeof(names) / sizeof(names[0]) ? names[scope] : "";
}

/* ---- prekeys ---- */

bool erasure_prekeys_have(const struct erasure_prekeys *prekeys, uint64_t number)
{
	for (size_t i = 0; i < prekeys->count; i++)
		if (prekeys->number[i] == number)
			return true;
	return false;
}

enum err erasure_prekeys_add(struct erasure_prekeys *prekeys, uint64_t number)
{
	size_t at = prekeys->count;

	if (number == 0 || erasure_prekeys_have(prekeys, number))
		return OK;
	if (prekeys->count == LIMIT_ERASE_PREKEYS)
		return ERR_LIMIT;
	while (at > 0 && prekeys->number[at - 1] > number) {
		prekeys->number[at] = prekeys->number[at - 1];
		at--;
	}
	prekeys->number[at] = number;
	prekeys->count++;
	return OK;
}

static bool prekeys_read(const uint64_t *numbers, size_t count, struct erasure_prekeys *ret)
{
	if (count > LIMIT_ERASE_PREKEYS)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (numbers[i] == 0 || (i > 0 && numbers[i] <= numbers[i - 1]))
			return false;
		ret->number[i] = numbers[i];
	}
	ret->count = count;
	return true;
}

/* ---- the thing itself ---- */

void erasure_release(struct erasure *erasure)
{
	if (erasure == NULL)
		return;
	mem_free(erasure->kids);
	mem_free(erasure->never);
	mem_free(erasure->revealed);
	mem_free(erasure->holders);
	*erasure = (struct erasure){.kids = NULL};
}

static bool array_make(void *array, size_t count, size_t size)
{
	void **at = array;

	*at = mem_array(count == 0 ? 1 : count, size);
	return *at != NULL;
}

enum err erasure_init(struct erasure *erasure, size_t kids, size_t revealed, size_t holders)
{
	*erasure = (struct erasure){.kids = NULL};
	if (kids > LIMIT_ERASE_KEYS || revealed > LIMIT_ERASE_REVEALED ||
		holders > LIMIT_ERASE_HOLDERS)
		return ERR_LIMIT;
	if (!array_make(&erasure->kids, kids, sizeof(*erasure->kids)) ||
		!array_make(&erasure->never, kids, sizeof(*erasure->never)) ||
		!array_make(&erasure->revealed, revealed, sizeof(*erasure->revealed)) ||
		!array_make(&erasure->holders, holders, sizeof(*erasure->holders))) {
		erasure_release(erasure);
		return ERR_NOMEM;
	}
	erasure->kid_count = kids;
	erasure->revealed_count = revealed;
	erasure->holder_count = holders;
	return OK;
}

static int kid_compare(const void *a, const void *b)
{
	return memcmp(a, b, SEAL_KID_SIZE);
}

bool erasure_has(const struct erasure *erasure, const uint8_t kid[SEAL_KID_SIZE])
{
	return bsearch(kid, erasure->kids, erasure->kid_count, SEAL_KID_SIZE, kid_compare) != NULL;
}

bool erasure_holder_done(const struct erasure_holder *holder)
{
	if (holder->receipt_at == 0)
		return false;
	for (size_t i = 0; i < holder->prekeys.count; i++)
		if (!erasure_prekeys_have(&holder->gone, holder->prekeys.number[i]))
			return false;
	return true;
}

bool erasure_complete(const struct erasure *erasure)
{
	if (erasure->sender[0] != '\0' || erasure->destroyed_at == 0)
		return false;
	for (size_t i = 0; i < erasure->holder_count; i++)
		if (!erasure_holder_done(&erasure->holders[i]))
			return false;
	return true;
}

const char *erasure_state_name(const struct erasure *erasure)
{
	size_t receipts = 0;

	for (size_t i = 0; i < erasure->holder_count; i++)
		receipts += erasure->holders[i].receipt_at != 0;
	if (erasure->destroyed_at == 0)
		return "ordered";
	if (erasure_complete(erasure))
		return "complete";
	return erasure->holder_count > 0 && receipts == erasure->holder_count ? "confirmed"
									      : "destroyed here";
}

/* ---- rows ---- */

/* Two parts, of which the first has a length before it. */
static void name_of(
	enum row_kind kind, const char *first, struct bytes second, struct row_name *ret)
{
	uint8_t name[1 + LIMIT_NODE_NAME + ORDER_ID_SIZE];
	size_t size = strlen(first);

	name[0] = (uint8_t)size;
	memcpy(name + 1, first, size);
	memcpy(name + 1 + size, second.data, second.size);
	row_name(kind, bytes_make(name, 1 + size + second.size), ret);
}

void erasure_row_name(const char *sender, const struct order_id *id, struct row_name *ret)
{
	name_of(ROW_ERASURE, sender, BYTES_ARRAY(id->b), ret);
}

struct holder_view {
	Sauti__StoredErasureHolder row, *pointer;
};

static void holder_pack(const struct erasure_holder *holder, struct holder_view *view)
{
	Sauti__StoredErasureHolder *row = &view->row;

	sauti__stored_erasure_holder__init(row);
	row->node = (char *)holder->node;
	row->node_key = codec_binary(hash_bytes(&holder->node_key));
	row->prekeys = (uint64_t *)holder->prekeys.number;
	row->n_prekeys = holder->prekeys.count;
	row->prekeys_gone = (uint64_t *)holder->gone.number;
	row->n_prekeys_gone = holder->gone.count;
	row->receipt_at = holder->receipt_at;
	row->destroyed = holder->destroyed;
	row->never = holder->never;
	row->hold_authority = (char *)holder->hold_authority;
	row->hold_until = (char *)holder->hold_until;
	row->hold_at = holder->hold_at;
	row->asked_at = holder->asked_at;
}

static void head_pack(const struct erasure *e, Sauti__StoredErasure *row)
{
	row->order_id = codec_binary(BYTES_ARRAY(e->id.b));
	row->sender = (char *)e->sender;
	if (e->sender[0] != '\0')
		row->sender_key = codec_binary(hash_bytes(&e->sender_key));
	row->case_ref = codec_binary(BYTES_ARRAY(e->case_ref.b));
	row->case_code = (char *)e->code;
	row->basis = (char *)e->basis;
	row->scope = e->scope;
	row->groups = e->groups;
	row->event_id = codec_binary(BYTES_ARRAY(e->event.b));
	row->ordered_at = e->ordered_at;
	row->destroyed_at = e->destroyed_at;
	row->confirmed_at = e->confirmed_at;
	row->told_at = e->told_at;
	row->ledger = e->ledger;
	row->noted = e->noted;
	row->officer = (char *)e->officer;
	row->entries = e->entries;
}

enum err erasure_pack(const struct erasure *e, struct buf *out)
{
	struct holder_view *views = mem_array(e->holder_count + 1, sizeof(*views));
	Sauti__StoredErasureHolder **list = mem_array(e->holder_count + 1, sizeof(*list));
	Sauti__StoredErasure row = SAUTI__STORED_ERASURE__INIT;

	if (views != NULL && list != NULL) {
		head_pack(e, &row);
		for (size_t i = 0; i < e->holder_count; i++) {
			holder_pack(&e->holders[i], &views[i]);
			list[i] = &views[i].row;
		}
		row.kids = codec_binary(bytes_make(e->kids, e->kid_count * SEAL_KID_SIZE));
		row.never = codec_binary(bytes_make(e->never, e->never_count * SEAL_KID_SIZE));
		row.revealed = codec_binary(bytes_make(e->revealed, e->revealed_count * HASH_SIZE));
		row.holders = list;
		row.n_holders = e->holder_count;
		row.prekeys = (uint64_t *)e->prekeys.number;
		row.n_prekeys = e->prekeys.count;
		row.prekeys_gone = (uint64_t *)e->gone.number;
		row.n_prekeys_gone = e->gone.count;
		codec_pack(out, &row);
	}
	mem_free(list);
	mem_free(views);
	return views == NULL || list == NULL ? ERR_NOMEM : out->err;
}

/* ---- reading rows ---- */

static bool pieces_ok(ProtobufCBinaryData list, size_t size, size_t max)
{
	if (list.len % size != 0 || list.len / size > max)
		return false;
	for (size_t at = size; at < list.len; at += size)
		if (memcmp(list.data + at - size, list.data + at, size) >= 0)
			return false;
	return true;
}

static bool day_ok(const char *text)
{
	return text[0] == '\0' || strlen(text) == DAY_SIZE;
}

static bool head_ok(const Sauti__StoredErasure *row)
{
	bool own = row->sender[0] == '\0';

	return row->order_id.len == ORDER_ID_SIZE &&
	       (own || node_name_valid(bytes_str(row->sender))) &&
	       row->sender_key.len == (own ? 0 : (size_t)HASH_SIZE) &&
	       row->case_ref.len == CASE_REF_SIZE && strlen(row->case_code) <= CASE_CODE_MAX &&
	       strlen(row->basis) <= BASIS_MAX && strlen(row->officer) <= EVENT_OFFICER_MAX &&
	       row->scope <= ERASE_NOTE && row->groups <= UINT16_MAX &&
	       row->event_id.len == EVENT_ID_SIZE &&
	       pieces_ok(row->kids, SEAL_KID_SIZE, LIMIT_ERASE_KEYS) &&
	       pieces_ok(row->never, SEAL_KID_SIZE, row->kids.len / SEAL_KID_SIZE) &&
	       pieces_ok(row->revealed, HASH_SIZE, LIMIT_ERASE_REVEALED) &&
	       row->n_holders <= LIMIT_ERASE_HOLDERS;
}

static bool holder_ok(const Sauti__StoredErasureHolder *row)
{
	return node_name_valid(bytes_str(row->node)) && row->node_key.len == HASH_SIZE &&
	       strlen(row->hold_authority) <= LIMIT_ERASE_TEXT && day_ok(row->hold_until);
}

static bool holder_read(const Sauti__StoredErasureHolder *row, struct erasure_holder *ret)
{
	if (!holder_ok(row) || !prekeys_read(row->prekeys, row->n_prekeys, &ret->prekeys) ||
		!prekeys_read(row->prekeys_gone, row->n_prekeys_gone, &ret->gone))
		return false;
	strcpy(ret->node, row->node);
	memcpy(ret->node_key.b, row->node_key.data, HASH_SIZE);
	strcpy(ret->hold_authority, row->hold_authority);
	strcpy(ret->hold_until, row->hold_until);
	ret->receipt_at = row->receipt_at;
	ret->destroyed = row->destroyed;
	ret->never = row->never;
	ret->hold_at = row->hold_at;
	ret->asked_at = row->asked_at;
	return true;
}

static void put_list(void *to, ProtobufCBinaryData from)
{
	if (from.len > 0)
		memcpy(to, from.data, from.len);
}

static void head_read(const Sauti__StoredErasure *row, struct erasure *ret)
{
	memcpy(ret->id.b, row->order_id.data, ORDER_ID_SIZE);
	strcpy(ret->sender, row->sender);
	put_list(ret->sender_key.b, row->sender_key);
	memcpy(ret->case_ref.b, row->case_ref.data, CASE_REF_SIZE);
	strcpy(ret->code, row->case_code);
	strcpy(ret->basis, row->basis);
	ret->scope = (enum erasure_scope)row->scope;
	ret->groups = (group_set)row->groups;
	memcpy(ret->event.b, row->event_id.data, EVENT_ID_SIZE);
	ret->ordered_at = row->ordered_at;
	ret->destroyed_at = row->destroyed_at;
	ret->confirmed_at = row->confirmed_at;
	ret->told_at = row->told_at;
	ret->ledger = row->ledger;
	ret->noted = row->noted;
	strcpy(ret->officer, row->officer);
	ret->entries = row->entries;
	put_list(ret->kids, row->kids);
	put_list(ret->never, row->never);
	put_list(ret->revealed, row->revealed);
	ret->never_count = row->never.len / SEAL_KID_SIZE;
}

static enum err row_read(const Sauti__StoredErasure *row, struct erasure *ret)
{
	struct erasure e;
	bool ok;

	if (!head_ok(row))
		return ERR_CORRUPT;
	TRY(erasure_init(
		&e, row->kids.len / SEAL_KID_SIZE, row->revealed.len / HASH_SIZE, row->n_holders));
	head_read(row, &e);
	ok = prekeys_read(row->prekeys, row->n_prekeys, &e.prekeys) &&
	     prekeys_read(row->prekeys_gone, row->n_prekeys_gone, &e.gone);
	for (size_t i = 0; ok && i < row->n_holders; i++)
		ok = holder_read(row->holders[i], &e.holders[i]);
	if (!ok) {
		erasure_release(&e);
		return ERR_CORRUPT;
	}
	*ret = e;
	return OK;
}

enum err erasure_unpack(struct bytes plain, struct erasure *ret)
{
	CLEANUP(arena_release) struct arena arena;
	Sauti__StoredErasure *row;
	enum err err;

	arena_init(&arena, 8 * ROW_PLAIN_MAX);
	err = CODEC_UNPACK(stored_erasure, plain, &scan_limits_default, &arena, &row, NULL);
	if (err != OK)
		return err == ERR_NOMEM ? err : ERR_CORRUPT;
	return row_read(row, ret);
}

/* ---- tombstones ---- */

void tombstone_row_name(const char *author, const struct seal_kid *kid, struct row_name *ret)
{
	name_of(ROW_TOMBSTONE, author, BYTES_ARRAY(kid->b), ret);
}

enum err tombstone_pack(const struct tombstone *tombstone, struct buf *out)
{
	Sauti__StoredTombstone row = SAUTI__STORED_TOMBSTONE__INIT;

	row.author = (char *)tombstone->author;
	row.kid = codec_binary(BYTES_ARRAY(tombstone->kid.b));
	row.at = tombstone->at;
	codec_pack(out, &row);
	return out->err;
}

enum err tombstone_unpack(struct bytes plain, struct tombstone *ret)
{
	CLEANUP(arena_release) struct arena arena;
	Sauti__StoredTombstone *row;
	enum err err;

	arena_init(&arena, ROW_PLAIN_MAX);
	err = CODEC_UNPACK(stored_tombstone, plain, &scan_limits_default, &arena, &row, NULL);
	if (err != OK)
		return err == ERR_NOMEM ? err : ERR_CORRUPT;
	if (!node_name_valid(bytes_str(row->author)) || row->kid.len != SEAL_KID_SIZE)
		return ERR_CORRUPT;
	*ret = (struct tombstone){.at = row->at};
	strcpy(ret->author, row->author);
	memcpy(ret->kid.b, row->kid.data, SEAL_KID_SIZE);
	return OK;
}

/* ---- holds ---- */

void hold_row_name(const struct case_ref *ref, struct row_name *ret)
{
	row_name(ROW_HOLD, BYTES_ARRAY(ref->b), ret);
}

enum err hold_pack(const struct hold *hold, struct buf *out)
{
	char *officers[2] = {(char *)hold->officers[0], (char *)hold->officers[1]};
	Sauti__StoredHold row = SAUTI__STORED_HOLD__INIT;

	row.case_ref = codec_binary(BYTES_ARRAY(hold->case_ref.b));
	row.authority = (char *)hold->authority;
	row.officers = officers;
	row.n_officers = 2;
	row.until = (char *)hold->until;
	row.at = hold->at;
	codec_pack(out, &row);
	return out->err;
}

static bool hold_ok(const Sauti__StoredHold *row)
{
	return row->case_ref.len == CASE_REF_SIZE && strlen(row->authority) <= LIMIT_ERASE_TEXT &&
	       row->n_officers == 2 && strlen(row->officers[0]) <= EVENT_OFFICER_MAX &&
	       strlen(row->officers[1]) <= EVENT_OFFICER_MAX && strlen(row->until) == DAY_SIZE;
}

enum err hold_unpack(struct bytes plain, struct hold *ret)
{
	CLEANUP(arena_release) struct arena arena;
	Sauti__StoredHold *row;
	enum err err;

	arena_init(&arena, ROW_PLAIN_MAX);
	err = CODEC_UNPACK(stored_hold, plain, &scan_limits_default, &arena, &row, NULL);
	if (err != OK)
		return err == ERR_NOMEM ? err : ERR_CORRUPT;
	if (!hold_ok(row))
		return ERR_CORRUPT;
	*ret = (struct hold){.at = row->at};
	memcpy(ret->case_ref.b, row->case_ref.data, CASE_REF_SIZE);
	strcpy(ret->authority, row->authority);
	strcpy(ret->officers[0], row->officers[0]);
	strcpy(ret->officers[1], row->officers[1]);
	strcpy(ret->until, row->until);
	return OK;
}

bool hold_lasts(const struct hold *hold, const char *today)
{
	return strcmp(today, hold->until) <= 0;
}
