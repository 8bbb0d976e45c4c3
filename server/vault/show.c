/*
 * Documents for people: cases, and the events of one, opened for the occasion. What cannot be
 * opened is left out and counted, rather than hiding the rest of the case.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/fold/timeline.h"
#include "server/safe_state.h"
#include "server/vault/erase/erase.h"
#include "server/vault/escrow/escrow.h"
#include "server/vault/foreign.h"
#include "server/vault/grants/approvals.h"
#include "server/vault/grants/grants.h"

enum { TAG_EVENT = 'E' };

enum err show_doc(struct book *book, struct vault_doc ***last)
{
	struct buf *json = &book->json;
	struct vault_doc *doc = NULL;
	enum err err = json->err;

	if (err == OK && (doc = mem_zalloc(sizeof(*doc))) == NULL)
		err = ERR_NOMEM;
	if (err == OK) {
		buf_init(&doc->json, VAULT_DOC_MAX);
		(void)buf_reserve(&doc->json, json->size);
		buf_put(&doc->json, buf_bytes(json));
		err = doc->json.err;
	}
	wipe(json->data, json->size);
	buf_clear(json);
	if (err != OK) {
		mem_free(doc);
		return err;
	}
	**last = doc;
	*last = &doc->next;
	return OK;
}

/* Codes and dates are plain letters, digits and hyphens. */
void docs_put_case(struct buf *json, const struct casebook_case *kase, uint64_t events)
{
	char ref[2 * CASE_REF_SIZE + 1];

	case_ref_text(&kase->ref, ref);
	buf_printf(json,
		"{\"case_ref\":\"%s\",\"code\":\"%s\",\"opened_on\":\"%s\",\"last_on\":\"%s\","
		"\"events\":%" PRIu64,
		ref, kase->code, kase->opened_on, kase->last_occurred_on, events);
}

static enum err read_entry(struct book *book, const struct casebook_key *key,
	const struct casebook_entry *entry, struct timeline *timeline, struct errctx *ctx)
{
	struct casebook_at at = {entry->i, casebook_entry_index(entry), entry->log};
	enum err err;

	err = book_read(book, key, &at, ctx);
	if (err == OK)
		err = timeline_add_of(
			timeline, key->foreign ? key->author : NULL, buf_bytes(&book->part), ctx);
	book_part_wipe(book);
	return err;
}

enum err show_read(struct book *book, const struct casebook_case *kase, struct timeline *timeline,
	uint64_t *ret_unread, struct errctx *ctx)
{
	for (const struct casebook_key *key = kase->keys; key != NULL; key = key->next) {
		if (!group_of_case(key->group))
			continue;
		for (uint32_t i = 0; i < key->entry_committed; i++) {
			enum err err = read_entry(book, key, &key->entries[i], timeline, ctx);

			if (err != OK && !book_unreadable(err))
				return err;
			*ret_unread += err != OK;
		}
	}
	*ctx = (struct errctx){""};
	return timeline_finish(timeline);
}

static void add_member(struct buf *json, const char *member)
{
	if (json->err != OK || json->size == 0)
		return;
	json->size--; /* the last brace */
	buf_put_str(json, member);
	buf_put_u8(json, '}');
}

/* Of an event out of another node's log: whose, and whether what it says is said otherwise too. A
 * node's name needs no escaping. */
static void put_author(struct buf *json, const struct timeline *timeline, size_t i)
{
	const char *author = timeline_author(timeline, i);
	char member[LIMIT_NODE_NAME + 20];

	snprintf(member, sizeof(member), ",\"author\":\"%s\"", author);
	if (author[0] != '\0')
		add_member(json, member);
	if (timeline_contested(timeline, i))
		add_member(json, ",\"contested\":true");
}

/* What other events say about it: corrections, conflicts. */
static void put_marks(struct buf *json, const struct timeline *timeline, size_t i)
{
	if (json->err != OK || json->size == 0)
		return;
	json->size--; /* the last brace */
	timeline_put_marks(timeline, i, json);
	buf_put_u8(json, '}');
}

/* ---- how well its events are held ---- */

/* The entry of an event that fewest hold decides. Kept by id as a number: what safe_words needs. */
static uint32_t state_pack(const struct safe_state *state)
{
	return (uint32_t)state->held_by | (uint32_t)state->in_quorum << 16 |
	       (uint32_t)state->in_policy << 17 | (uint32_t)state->keys << 18;
}

static void state_unpack(uint32_t packed, struct safe_state *ret)
{
	*ret = (struct safe_state){.held_by = packed & 0xffff,
		.in_quorum = (packed >> 16 & 1) != 0,
		.in_policy = (packed >> 17 & 1) != 0,
		.keys = (enum safe_keys)(packed >> 18)};
}

static enum safe_keys keys_state(const struct book *book, const struct vault_request *request,
	const struct casebook_key *key)
{
	if (!book->escrow->set || key->foreign)
		return SAFE_KEYS_NONE;
	return escrow_safe(book, request, key) ? SAFE_KEYS_ESCROWED : SAFE_KEYS_WAITING;
}

static void worse(const struct safe_state *other, struct safe_state *io)
{
	if (other->held_by < io->held_by)
		io->held_by = other->held_by;
	io->in_quorum &= other->in_quorum;
	io->in_policy &= other->in_policy;
	if (other->keys == SAFE_KEYS_WAITING)
		io->keys = SAFE_KEYS_WAITING;
}

static enum err states_gather(const struct book *book, const struct vault_request *request,
	const struct casebook_case *kase, struct plan_map *ret)
{
	for (const struct casebook_key *key = kase->keys; key != NULL; key = key->next)
		for (uint32_t i = 0; i < key->entry_committed; i++) {
			const struct casebook_entry *entry = &key->entries[i];
			struct bytes id = BYTES_ARRAY(casebook_entry_event(book->cases, entry)->b);
			struct safe_state state, before;
			uint32_t packed;

			entry_state(book, request, key, entry, &state);
			state.keys = keys_state(book, request, key);
			if (plan_map_find(ret, TAG_EVENT, id, &packed)) {
				state_unpack(packed, &before);
				worse(&before, &state);
			}
			TRY(plan_map_put(ret, TAG_EVENT, id, state_pack(&state)));
		}
	return OK;
}

static void put_held(struct book *book, const struct vault_request *request,
	const struct plan_map *states, const struct timeline *timeline, size_t i)
{
	struct bytes id = BYTES_ARRAY(timeline_event(timeline, i)->id.b);
	struct safe_state state;
	char words[SAFE_WORDS_SIZE], member[SAFE_WORDS_SIZE + 60];
	uint32_t packed;

	if (!plan_map_find(states, TAG_EVENT, id, &packed))
		return;
	state_unpack(packed, &state);
	state.needed = request->held_count == 0 ? 1 : request->held[0].needed;
	safe_words(&state, words);
	snprintf(member, sizeof(member), ",\"synced\":%s,\"safe\":%s,\"state\":\"%s\"",
		state.in_quorum ? "true" : "false", safe_is(&state) ? "true" : "false", words);
	add_member(&book->json, member);
}

static void put_groups(struct buf *json, group_set groups)
{
	const char *between = "";

	for (unsigned g = 1; g <= GROUP_CASE_LAST; g++) {
		if ((groups & GROUP_BIT(g)) == 0)
			continue;
		buf_printf(json, "%s\"%s\"", between, group_name((enum group)g));
		between = ",";
	}
}

/* All that a node gave of the case, by its first grant in the list. */
static group_set given_by(const struct book *book, const struct received *first)
{
	const struct received *received = NULL;
	group_set groups = 0;
	bool seen = false;

	while ((received = grants_received_of(book, &first->case_ref, received)) != NULL) {
		if (strcmp(received->sender, first->sender) != 0)
			continue;
		if (!seen && received != first)
			return 0; /* told already */
		seen = true;
		groups |= grants_held(book, received);
	}
	return groups & GROUP_SET_CASE;
}

/* Who gave what of the case, and what not: that says nothing of what there is. */
static void put_sharers(const struct book *book, const struct casebook_case *kase, struct buf *json)
{
	const struct received *received = NULL;
	const char *between = ",\"shared_by\":[";

	if (!kase->granted || !kase->opened_foreign)
		return;
	while ((received = grants_received_of(book, &kase->ref, received)) != NULL) {
		group_set groups = given_by(book, received);

		if (groups == 0)
			continue;
		buf_printf(json, "%s{\"node\":\"%s\",\"groups\":[", between, received->sender);
		put_groups(json, groups);
		buf_put_str(json, "],\"not_shared\":[");
		put_groups(json, GROUP_SET_CASE & (group_set)~groups);
		buf_put_str(json, "]}");
		between = ",";
	}
	if (between[1] == '\0')
		buf_put_u8(json, ']');
}

static enum err write_case(struct book *book, const struct casebook_case *kase,
	const struct timeline *timeline, const struct plan_map *states,
	const struct case_summary *summary, uint64_t unread, struct vault_request *request)
{
	struct vault_doc **last = &request->docs;
	size_t count = timeline_count(timeline);
	struct foreign_faults faults;

	foreign_faults(book, kase, &faults);
	docs_put_case(&book->json, kase, count);
	buf_printf(&book->json, ",\"left_out\":%" PRIu64,
		unread + timeline_left_out(timeline) + faults.refused + faults.missing);
	put_sharers(book, kase, &book->json);
	buf_put_str(&book->json, ",\"summary\":{");
	docs_put_summary(&book->json, summary);
	buf_put_str(&book->json, "},\"openings\":");
	approvals_put_case(book, &kase->ref, request->now_s, &book->json);
	buf_put_u8(&book->json, '}');
	TRY(show_doc(book, &last));
	for (size_t i = 0; i < count; i++) {
		TRY(book_go_on(book));
		event_write(timeline_event(timeline, i), &book->json);
		put_author(&book->json, timeline, i);
		put_marks(&book->json, timeline, i);
		if (timeline_author(timeline, i)[0] == '\0')
			put_held(book, request, states, timeline, i);
		TRY(show_doc(book, &last));
	}
	request->cases = 1;
	request->events = count;
	return OK;
}

/* The last of its entries in the log that is written now; without one, in an older one. */
static void newest_entry(
	const struct book *book, const struct casebook_case *kase, struct vault_request *request)
{
	const struct casebook_entry *newest = NULL;
	const struct casebook_key *its = NULL;

	for (const struct casebook_key *key = kase->keys; key != NULL; key = key->next) {
		for (uint32_t i = 0; i < key->entry_committed; i++) {
			const struct casebook_entry *e = &key->entries[i];

			if (newest == NULL || e->log < newest->log ||
				(e->log == newest->log &&
					casebook_entry_index(e) > casebook_entry_index(newest))) {
				newest = e;
				its = key;
			}
		}
	}
	if (newest == NULL)
		return;
	snprintf(request->log_origin, sizeof(request->log_origin), "%s",
		book_log_at(book, newest->log)->origin.text);
	request->index = casebook_entry_index(newest);
	request->escrow_set = book->escrow->set;
	request->keys_safe = escrow_safe(book, request, its);
}

static void note_view(struct book *book, const struct vault_request *request,
	const struct casebook_case *kase, const struct timeline *timeline)
{
	group_set groups = 0;

	for (size_t i = 0; i < timeline_count(timeline); i++)
		groups |= timeline_event(timeline, i)->groups;
	ledger_view(book, request, &kase->ref, groups);
}

enum err case_named(struct book *book, struct vault_request *request,
	const struct casebook_case **ret, const struct case_state **ret_state)
{
	const struct casebook_case *kase = casebook_find(book->cases, bytes_str(request->name));
	const struct case_state *state = NULL;
	char name[80], day[11];

	if (kase != NULL && (kase->event_count > 0 || kase->granted))
		TRY(states_get(book, kase, &state, &request->ctx));
	if (state == NULL && erase_case_gone(book, request->name, day))
		return err_set(&request->ctx, ERR_NOTFOUND, "case '%s' was erased on %s",
			text_escape(bytes_str(request->name), name, sizeof(name)), day);
	if (state == NULL || !officer_sees(request, state))
		return err_set(&request->ctx, ERR_NOTFOUND, "no case '%s' is known here",
			text_escape(bytes_str(request->name), name, sizeof(name)));
	*ret = kase;
	*ret_state = state;
	return OK;
}

static enum err show_events(struct book *book, const struct casebook_case *kase,
	const struct case_state *state, struct timeline *timeline, struct vault_request *request)
{
	struct plan_map states = {.slots = NULL};
	struct case_summary summary;
	uint64_t unread = 0;
	char today[11];
	enum err err;

	request_today(request, today);
	case_state_summary(state, today, &summary);
	TRY(show_read(book, kase, timeline, &unread, &request->ctx));
	err = random_bytes(states.seed, sizeof(states.seed));
	if (err == OK)
		err = states_gather(book, request, kase, &states);
	if (err == OK)
		err = write_case(book, kase, timeline, &states, &summary, unread, request);
	mem_free(states.slots);
	return err;
}

/* Which case it is, and nothing that was recorded about it: no view. */
static enum err show_head(
	struct book *book, const struct casebook_case *kase, struct vault_request *request)
{
	struct vault_doc **last = &request->docs;

	docs_put_case(&book->json, kase, kase->event_count);
	buf_put_u8(&book->json, '}');
	return show_doc(book, &last);
}

enum err show_case(struct book *book, struct vault_request *request)
{
	const struct casebook_case *kase;
	const struct case_state *state;
	struct timeline *timeline;
	enum err err;

	TRY(ledger_check_purpose(request));
	TRY(case_named(book, request, &kase, &state));
	if (request->head_only)
		return show_head(book, kase, request);
	TRY(timeline_new(&timeline));
	err = show_events(book, kase, state, timeline, request);
	if (err == OK)
		note_view(book, request, kase, timeline);
	newest_entry(book, kase, request);
	timeline_free(timeline);
	return err;
}
