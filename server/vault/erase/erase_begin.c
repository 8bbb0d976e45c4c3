/*
 * What is to be erased: which keys open it, and who has them. And what an officer sees of it.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/json_memory.h"
#include "server/vault/erase/erase_parts.h"

/* ---- what goes ---- */

static bool goes(const struct book *book, const struct casebook_key *key, group_set groups)
{
	return strcmp(key->author, book->opts.node) == 0 && group_of_case(key->group) &&
	       (groups & GROUP_BIT(key->group)) != 0;
}

static enum err kids_gather(const struct book *book, const struct casebook_case *kase,
	group_set groups, struct erasure *ret, struct errctx *ctx)
{
	size_t count = 0, at = 0;

	for (const struct casebook_key *key = kase->keys; key != NULL; key = key->next)
		count += goes(book, key, groups);
	if (count == 0)
		return err_set(ctx, ERR_NOTFOUND,
			"no key of this node opens that: there is nothing "
			"to erase");
	TRY(erasure_init(ret, count, LIMIT_ERASE_REVEALED, LIMIT_ERASE_HOLDERS));
	ret->holder_count = ret->revealed_count = 0;
	for (const struct casebook_key *key = kase->keys; key != NULL; key = key->next)
		if (goes(book, key, groups))
			memcpy(ret->kids[at++], key->seal.kid.b, SEAL_KID_SIZE);
	qsort(ret->kids, count, SEAL_KID_SIZE,
		(int (*)(const void *, const void *))erase_kid_compare);
	return OK;
}

/* An event that this node recorded, or the note of one. */
static enum err event_groups(const struct book *book, const struct casebook_case *kase,
	const struct vault_erase *ask, group_set *ret, struct errctx *ctx)
{
	struct casebook_event_info info;
	struct event_id id;

	if (event_id_parse(bytes_str(ask->event), &id) != OK ||
		!casebook_find_event(book->cases, &id, &info) || info.kase != kase ||
		!info.committed)
		return err_set(ctx, ERR_NOTFOUND,
			"this node has recorded no event of that id in the case ('sauti case show "
			"--json' has their ids)");
	if (info.target.type == EVENT_CASE_OPENED)
		return err_set(ctx, ERR_INVALID,
			"without that event there is no case: erase the "
			"case");
	*ret = info.target.groups & GROUP_SET_CASE;
	if (ask->scope == ERASE_NOTE)
		*ret &= GROUP_BIT(GROUP_NOTE);
	if (*ret == 0)
		return err_set(ctx, ERR_NOTFOUND, "the event has no note");
	return OK;
}

static enum err groups_of(const struct book *book, const struct casebook_case *kase,
	const struct vault_erase *ask, group_set *ret, struct errctx *ctx)
{
	switch (ask->scope) {
	case ERASE_EVENT:
	case ERASE_NOTE:
		return event_groups(book, kase, ask, ret, ctx);
	case ERASE_CASE:
		*ret = GROUP_SET_CASE;
		return OK;
	case ERASE_GROUPS:
		if ((ask->groups & GROUP_BIT(GROUP_CORE)) != 0)
			return err_set(ctx, ERR_INVALID,
				"the group core is the case itself: erase the case");
		if ((ask->groups & GROUP_SET_CASE) == 0 || (ask->groups & ~GROUP_SET_CASE) != 0)
			return err_set(ctx, ERR_INVALID, "which data groups are to be erased?");
		*ret = ask->groups;
		return OK;
	default:
		return err_set(ctx, ERR_INVALID, "what is to be erased?");
	}
}

static enum err may_erase(struct vault_request *request, const struct case_state *state)
{
	struct case_summary summary;
	char today[11];

	request_today(request, today);
	case_state_summary(state, today, &summary);
	if (summary.legal_hold)
		return err_set(&request->ctx, ERR_DENIED,
			"the case is under a legal hold: nothing of it is erased while that lasts "
			"('sauti case add CASE hold' with an earlier end lifts it)");
	return OK;
}

static bool under_way(
	const struct book *book, const struct case_ref *ref, const struct erasure *wanted)
{
	const struct erasures *e = book->erasures;

	for (size_t i = 0; i < e->count; i++) {
		const struct erasure *other = &e->list[i];

		if (other->sender[0] == '\0' && other->destroyed_at == 0 &&
			memcmp(other->case_ref.b, ref->b, CASE_REF_SIZE) == 0 &&
			other->kid_count > 0 && erasure_has(wanted, other->kids[0]))
			return true;
	}
	return false;
}

static enum err erasure_make(struct book *book, struct vault_request *request,
	const struct casebook_case *kase, group_set groups, struct erasure *ret)
{
	const struct vault_erase *ask = request->erase;

	TRY(kids_gather(book, kase, groups, ret, &request->ctx));
	TRY(random_bytes(ret->id.b, sizeof(ret->id.b)));
	ret->case_ref = kase->ref;
	memcpy(ret->code, kase->code, sizeof(kase->code));
	snprintf(ret->basis, sizeof(ret->basis), "%s", ask->basis);
	ret->scope = (enum erasure_scope)ask->scope;
	ret->groups = groups;
	ret->ordered_at = request->now_s;
	snprintf(ret->officer, sizeof(ret->officer), "%s", request->officer);
	if (erase_part(ret))
		TRY(event_id_parse(bytes_str(ask->event), &ret->event));
	if (under_way(book, &kase->ref, ret))
		return err_set(&request->ctx, ERR_EXISTS, "that is being erased already");
	TRY(erase_revealed(book, ret, &request->ctx));
	return erase_holders(book, ret);
}

enum err erase_begin(struct book *book, struct vault_request *request)
{
	const struct casebook_case *kase;
	const struct case_state *state;
	struct erasure erasure = {.kids = NULL};
	group_set groups = 0;
	enum err err;

	TRY(case_named(book, request, &kase, &state));
	TRY(may_erase(request, state));
	if (book->erasures->count == LIMIT_ERASURES)
		return err_set(&request->ctx, ERR_FULL, "%d erasures are remembered already",
			LIMIT_ERASURES);
	TRY(groups_of(book, kase, request->erase, &groups, &request->ctx));
	err = erasure_make(book, request, kase, groups, &erasure);
	if (err == OK)
		err = erase_part(&erasure) ? erase_roll(book, kase, &erasure, &request->ctx)
					   : erase_save(book, &erasure, &request->ctx);
	if (err == OK) {
		memcpy(request->erase->order_id, erasure.id.b, ORDER_ID_SIZE);
		err = erase_add(book, &erasure);
	}
	if (err != OK)
		erasure_release(&erasure);
	return err;
}

/* ---- holds ---- */

static enum err hold_check(struct vault_request *request)
{
	const struct vault_erase *ask = request->erase;

	if (ask->authority[0] == '\0' || !utf8_valid(bytes_str(ask->authority)) ||
		strpbrk(ask->authority, "\n\r\t") != NULL)
		return err_set(&request->ctx, ERR_INVALID, "on whose order? (--authority, a line)");
	if (!vault_day_valid(ask->until))
		return err_set(&request->ctx, ERR_INVALID, "until which day? (--until YYYY-MM-DD)");
	if (ask->second[0] == '\0' || strcmp(ask->second, request->officer) == 0 ||
		!utf8_valid(bytes_str(ask->second)))
		return err_set(&request->ctx, ERR_INVALID,
			"a hold is approved by two officers: who is the other? (--second)");
	return OK;
}

enum err erase_hold(struct book *book, struct vault_request *request)
{
	const struct vault_erase *ask = request->erase;
	const struct casebook_case *kase;
	const struct case_state *state;
	struct hold hold = {.at = request->now_s};

	TRY(hold_check(request));
	TRY(case_named(book, request, &kase, &state));
	hold.case_ref = kase->ref;
	strcpy(hold.authority, ask->authority);
	snprintf(hold.officers[0], sizeof(hold.officers[0]), "%s", request->officer);
	snprintf(hold.officers[1], sizeof(hold.officers[1]), "%s", ask->second);
	strcpy(hold.until, ask->until);
	return erase_put_hold(book, &hold, &request->ctx);
}

/* ---- showing ---- */

static json_t *day_or_null(uint64_t seconds)
{
	return seconds == 0 ? json_null() : json_integer((json_int_t)seconds);
}

static json_t *holder_json(const struct erasure_holder *holder)
{
	json_t *json = json_pack("{s:s,s:b,s:o,s:o,s:i,s:i,s:i,s:i}", "node", holder->node, "done",
		erasure_holder_done(holder), "asked_at", day_or_null(holder->asked_at),
		"receipt_at", day_or_null(holder->receipt_at), "destroyed", (int)holder->destroyed,
		"never", (int)holder->never, "prekeys", (int)holder->prekeys.count, "prekeys_gone",
		(int)holder->gone.count);

	if (json != NULL && holder->hold_at != 0)
		json_object_set_new(json, "held",
			json_pack("{s:s,s:s}", "authority", holder->hold_authority, "until",
				holder->hold_until));
	return json;
}

static json_t *erasure_json(const struct erasure *erasure)
{
	char id[2 * ORDER_ID_SIZE + 1], ref[2 * CASE_REF_SIZE + 1];
	json_t *holders = json_array(), *groups = json_array();
	bool own = erasure->sender[0] == '\0';

	hex_encode(BYTES_ARRAY(erasure->id.b), id);
	case_ref_text(&erasure->case_ref, ref);
	for (size_t i = 0; i < erasure->holder_count; i++)
		json_array_append_new(holders, holder_json(&erasure->holders[i]));
	for (unsigned g = 1; erasure->scope == ERASE_GROUPS && g <= GROUP_CASE_LAST; g++)
		if ((erasure->groups & GROUP_BIT(g)) != 0)
			json_array_append_new(groups, json_string(group_name((enum group)g)));
	return json_pack("{s:s,s:s,s:s,s:s,s:o,s:s,s:s,s:o,s:o,s:o,s:i,s:i,s:o}", "order_id", id,
		"case_ref", ref, "code", erasure->code, "scope", erasure_scope_name(erasure->scope),
		"groups", groups, "from", erasure->sender, "state",
		own                          ? erasure_state_name(erasure)
		: erasure->destroyed_at == 0 ? "held"
					     : "destroyed",
		"ordered_at", day_or_null(erasure->ordered_at), "destroyed_at",
		day_or_null(erasure->destroyed_at), "complete_at",
		day_or_null(own ? erasure->confirmed_at : 0), "keys", (int)erasure->kid_count,
		"revealed", (int)erasure->revealed_count, "holders", holders);
}

static bool is_named(const struct erasure *erasure, const char *name)
{
	struct case_ref ref;

	if (name[0] == '\0')
		return true;
	if (case_ref_parse(bytes_str(name), &ref) == OK &&
		memcmp(ref.b, erasure->case_ref.b, CASE_REF_SIZE) == 0)
		return true;
	return erasure->code[0] != '\0' && strcasecmp(erasure->code, name) == 0;
}

enum err erase_show(struct book *book, struct vault_request *request)
{
	const struct erasures *e = book->erasures;
	struct vault_doc **last = &request->docs;

	for (size_t i = 0; i < e->count; i++) {
		json_t *json;
		char *text;

		if (!is_named(&e->list[i], request->name))
			continue;
		json = erasure_json(&e->list[i]);
		text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
		json_decref(json);
		if (text == NULL)
			return ERR_NOMEM;
		buf_put_str(&book->json, text);
		json_text_free(text);
		TRY(show_doc(book, &last));
	}
	return OK;
}

bool erase_case_gone(const struct book *book, const char *name, char ret_day[11])
{
	const struct erasures *e = book->erasures;
	char time[21];

	for (size_t i = 0; name[0] != '\0' && i < e->count; i++)
		if (e->list[i].scope == ERASE_CASE && e->list[i].sender[0] == '\0' &&
			e->list[i].destroyed_at != 0 && is_named(&e->list[i], name)) {
			event_time_text(e->list[i].destroyed_at, time);
			snprintf(ret_day, 11, "%.10s", time);
			return true;
		}
	return false;
}
