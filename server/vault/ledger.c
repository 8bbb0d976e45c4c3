/*
 * The node's own ledger (DESIGN 4, 9): a case of this node's alone, which no list of cases shows
 * and no officer writes. Its events go the way of all others: parts, keys, entries in the log.
 *
 * Its reference is drawn once, when the first event is written; from then on the keys of its groups
 * in the keyring name it. Keys are durable before an entry is sealed under them, so that whatever
 * ends the process in between leaves either no ledger or this one. An attempt that fails keeps the
 * reference it drew. Of several (a keyring put together out of two) the smallest is written on, and
 * all are read.
 *
 * Views wait in a list until the loop asks for them (VIEWS): a read waits for nothing. Who has seen
 * what of a case today is remembered, from the ledger itself after an unlock; a view is noted when
 * an officer sees a case, or more of it, for the first time on a day of UTC.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "cases/event/event_json.h"
#include "cases/event/json_memory.h"
#include "cases/schema/schema.h"
#include "server/vault/foreign.h"

#define OFFICE_NONE "ZZZ" /* a node without a country: a code that ISO 3166 leaves to its users */
enum { TAG_VIEW = 'V', DAY_S = 24 * 60 * 60, VIEWS_BATCH = 256 };

struct view {
	struct view *next;
	struct case_ref ref;
	group_set groups;
	uint64_t at_ms;
	bool on_way;
	char officer[EVENT_OFFICER_MAX + 1];
	char purpose[LIMIT_PURPOSE + 1];
};

struct ledger {
	struct case_ref ref;
	bool drawn;
	/* Of the day: (officer, case) -> groups, written or waiting. */
	struct plan_map seen;
	uint64_t day;
	/* Views that are not durable, oldest first; those on their way stand in front. */
	struct view *views, **views_end;
	size_t view_count;
	uint64_t lost;
	uint64_t batch; /* of those on their way */
};

static enum err seen_clear(struct ledger *ledger, uint64_t day)
{
	mem_free(ledger->seen.slots);
	ledger->seen = (struct plan_map){.slots = NULL};
	ledger->day = day;
	return random_bytes(ledger->seen.seed, sizeof(ledger->seen.seed));
}

enum err ledger_new(uint64_t now_s, struct ledger **ret)
{
	struct ledger *ledger = mem_zalloc(sizeof(*ledger));
	enum err err;

	if (ledger == NULL)
		return ERR_NOMEM;
	ledger->views_end = &ledger->views;
	err = seen_clear(ledger, now_s / DAY_S);
	if (err != OK) {
		mem_free(ledger);
		return err;
	}
	*ret = ledger;
	return OK;
}

static void view_drop(struct ledger *ledger)
{
	struct view *view = ledger->views;

	ledger->views = view->next;
	if (ledger->views == NULL)
		ledger->views_end = &ledger->views;
	ledger->view_count--;
	wipe(view, sizeof(*view));
	mem_free(view);
}

void ledger_free(struct ledger *ledger)
{
	if (ledger == NULL)
		return;
	while (ledger->views != NULL)
		view_drop(ledger);
	mem_free(ledger->seen.slots);
	wipe(ledger, sizeof(*ledger));
	mem_free(ledger);
}

void ledger_count(const struct ledger *ledger, uint64_t *ret_waiting, uint64_t *ret_lost)
{
	*ret_waiting = ledger->view_count;
	*ret_lost = ledger->lost;
}

/* --- which case it is --- */

static bool key_of_ledger(const struct book *book, const struct casebook_key *key)
{
	return !group_of_case(key->group) && strcmp(key->author, book->opts.node) == 0;
}

/* The first key of the case's that is a ledger's, from `key` on. */
static const struct casebook_key *next_key(const struct book *book, const struct casebook_key *key)
{
	while (key != NULL && !key_of_ledger(book, key))
		key = key->next;
	return key;
}

void ledger_find(struct book *book)
{
	struct ledger *ledger = book->ledger;

	for (size_t i = 0; i < casebook_case_count(book->cases); i++) {
		const struct casebook_case *kase = casebook_case_at(book->cases, i);

		if (next_key(book, kase->keys) == NULL ||
			(ledger->drawn && memcmp(kase->ref.b, ledger->ref.b, CASE_REF_SIZE) > 0))
			continue;
		ledger->ref = kase->ref;
		ledger->drawn = true;
	}
}

struct casebook_case *ledger_case(const struct book *book)
{
	return book->ledger->drawn ? casebook_find_ref(book->cases, &book->ledger->ref) : NULL;
}

bool ledger_has_audit(const struct book *book)
{
	const struct casebook_case *kase = ledger_case(book);

	return kase != NULL &&
	       casebook_find_key(kase, GROUP_AUDIT, bytes_str(book->opts.node)) != NULL;
}

bool ledger_is(const struct book *book, const struct case_ref *ref)
{
	const struct casebook_case *kase = casebook_find_ref(book->cases, ref);

	return (book->ledger->drawn && memcmp(ref->b, book->ledger->ref.b, CASE_REF_SIZE) == 0) ||
	       (kase != NULL && next_key(book, kase->keys) != NULL);
}

static enum err settle_ref(struct book *book)
{
	struct ledger *ledger = book->ledger;

	while (!ledger->drawn) {
		TRY(pool_draw(&book->pool, ledger->ref.b, sizeof(ledger->ref.b)));
		ledger->drawn = casebook_find_ref(book->cases, &ledger->ref) == NULL;
	}
	return OK;
}

/* --- events --- */

static enum err set_id(struct book *book, uint64_t now_ms, struct event *event)
{
	uint8_t random[10];
	struct event_id id;

	do {
		TRY(pool_draw(&book->pool, random, sizeof(random)));
		id = event_id_make(now_ms, random);
	} while (casebook_find_event(book->cases, &id, NULL));
	event_set_id(event, &id);
	return OK;
}

/* All that a node fills in. */
static enum err complete(struct book *book, const char *officer, uint64_t now_ms,
	struct event *event, struct errctx *ctx)
{
	const char *by = officer[0] == '\0' ? book->opts.node : officer;
	const char *country = book->opts.country;
	char time[21];

	TRY(settle_ref(book));
	if (!event->has.event_id)
		TRY(set_id(book, now_ms, event));
	event_set_case(event, &book->ledger->ref);
	event_set_recorded_at(event, now_ms / 1000);
	event_time_text(event->recorded_at, time);
	snprintf(event->occurred_on, sizeof(event->occurred_on), "%.10s", time);
	event->precision = PRECISION_DAY;
	if (event_set_recorded_by(event, bytes_str(by)) != OK)
		return err_set(ctx, ERR_INVALID, "recorded_by: the officer's name is no text");
	if (event_set_office(event, bytes_str(country[0] == '\0' ? OFFICE_NONE : country)) != OK)
		return err_set(ctx, ERR_INVALID, "office: the node's country is no code");
	return OK;
}

static enum err add_event(
	const struct event *event, struct plan *plan, uint32_t line, struct errctx *ctx)
{
	struct event_parts parts = {0};
	struct part_info info;
	enum err err;

	TRY(schema_check(event, ctx));
	TRY(event_split_ledger(event, &parts, ctx));
	err = part_info_read(buf_bytes(&parts.part[0].packed), &info, ctx);
	if (err == OK) {
		err = plan_add_part(plan, &info, &parts.part[0].packed);
		buf_init(&parts.part[0].packed, 0);
	}
	if (err == OK)
		plan->parts[plan->part_count - 1].line = line;
	event_parts_release(&parts);
	return err;
}

/* Room for the ledger itself, should it be new. */
static enum err plan_begin(struct book *book, struct plan *plan)
{
	TRY(settle_ref(book));
	plan->opened = casebook_find_ref(book->cases, &book->ledger->ref) == NULL;
	return random_bytes(plan->map.seed, sizeof(plan->map.seed));
}

/* Members that the node alone says. */
static enum err check_given(const struct event *event, struct errctx *ctx)
{
	if (event->has.event_id || event->has.case_ref || event->has.recorded_at ||
		event->has.recorded_by || event->has.office || event->occurred_on[0] != '\0')
		return err_set(ctx, ERR_INVALID,
			"an event of the ledger is dated and signed by "
			"the node");
	return OK;
}

static enum err plan_line(struct book *book, struct vault_request *request, struct bytes line,
	bool own, struct plan *plan)
{
	struct errctx *ctx = &request->ctx;
	struct event event = {0};
	enum err err;

	TRY(event_parse_ledger(line, &event, ctx));
	err = own ? OK : check_given(&event, ctx);
	if (err == OK)
		err = complete(book, request->officer, request->now_ms, &event, ctx);
	if (err == OK)
		err = add_event(&event, plan, request->line, ctx);
	event_release(&event);
	return err;
}

static enum err plan_lines(struct book *book, struct vault_request *request, struct bytes rest,
	bool own, struct plan *ret)
{
	struct plan plan = {0};
	enum err err;

	err = plan_begin(book, &plan);
	while (err == OK && rest.size > 0) {
		const uint8_t *end = memchr(rest.data, '\n', rest.size);
		size_t size = end == NULL ? rest.size : (size_t)(end - rest.data);
		size_t taken = end == NULL ? size : size + 1;

		request->line++;
		err = plan_line(book, request, bytes_make(rest.data, size), own, &plan);
		rest = bytes_make(rest.data + taken, rest.size - taken);
	}
	if (err == OK && plan.part_count == 0)
		err = err_set(&request->ctx, ERR_INVALID, "no event");
	if (err != OK) {
		plan_release(&plan);
		return err;
	}
	request->line = 0;
	*ret = plan;
	return OK;
}

enum err ledger_plan(struct book *book, struct vault_request *request, struct plan *ret)
{
	TRY(request->lines.err);
	return plan_lines(book, request, buf_bytes(&request->lines), false, ret);
}

enum err ledger_plan_own(
	struct book *book, struct vault_request *request, struct bytes lines, struct plan *ret)
{
	return plan_lines(book, request, lines, true, ret);
}

/* --- views: who has seen what today --- */

struct seen_name {
	uint8_t b[CASE_REF_SIZE + EVENT_OFFICER_MAX];
	size_t size;
};

static struct seen_name seen_name(const struct case_ref *ref, struct bytes officer)
{
	struct seen_name name;

	memcpy(name.b, ref->b, CASE_REF_SIZE);
	memcpy(name.b + CASE_REF_SIZE, officer.data, officer.size);
	name.size = CASE_REF_SIZE + officer.size;
	return name;
}

static uint32_t seen_groups(
	const struct ledger *ledger, const struct case_ref *ref, struct bytes officer)
{
	struct seen_name name = seen_name(ref, officer);
	uint32_t groups = 0;

	(void)plan_map_find(&ledger->seen, TAG_VIEW, bytes_make(name.b, name.size), &groups);
	return groups;
}

static enum err seen_put(
	struct ledger *ledger, const struct case_ref *ref, struct bytes officer, uint32_t groups)
{
	struct seen_name name = seen_name(ref, officer);
	uint32_t before = seen_groups(ledger, ref, officer);

	if (before == 0 && ledger->seen.count >= LIMIT_VIEWS_DAY)
		return ERR_LIMIT;
	return plan_map_put(
		&ledger->seen, TAG_VIEW, bytes_make(name.b, name.size), before | groups);
}

static group_set groups_read(const char *json)
{
	json_t *list = json == NULL ? NULL : json_loads(json, 0, NULL);
	group_set groups = 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name = json_string_value(json_array_get(list, i));
		enum group group = name == NULL ? GROUP_NONE : group_find(bytes_str(name));

		if (group_of_case(group))
			groups |= GROUP_BIT(group);
	}
	json_decref(list);
	return groups;
}

/* A view that stands in the ledger already. */
static void seen_read(struct ledger *ledger, const struct event *event)
{
	char *ref_text = NULL, *who = NULL;
	struct case_ref ref;

	if (event_field_string(event, LEDGER_CASE, &ref_text) == OK &&
		event_field_string(event, LEDGER_WHO, &who) == OK &&
		strlen(who) <= EVENT_OFFICER_MAX && case_ref_parse(bytes_str(ref_text), &ref) == OK)
		/* Not remembered for want of memory, it is written once more: no harm. */
		(void)!seen_put(ledger, &ref, bytes_str(who),
			groups_read(event_field_json(event, LEDGER_GROUPS)));
	mem_free(ref_text);
	mem_free(who);
}

void ledger_noted(struct book *book, const struct part_info *info)
{
	struct bytes part = buf_bytes(&book->part);
	struct event event = {0};

	if (info->group != GROUP_VIEWS || info->type != EVENT_RECORD_VIEWED ||
		info->recorded_at / DAY_S != book->ledger->day)
		return;
	if (event_merge(&part, 1, &event, NULL) == OK)
		seen_read(book->ledger, &event);
	event_release(&event);
}

/* --- views: those that wait --- */

enum err ledger_check_purpose(struct vault_request *request)
{
	const struct schema_type *type = schema_type_get(EVENT_RECORD_VIEWED);
	const struct schema_field *field = schema_field_find(type, bytes_str(LEDGER_PURPOSE));
	CLEANUP(buf_release) struct buf json;

	buf_init(&json, 8 * sizeof(request->purpose));
	if (request->purpose[0] == '\0')
		return OK;
	event_put_string(&json, request->purpose);
	TRY(json.err);
	return schema_check_value(field, buf_cstr(&json), &request->ctx);
}

static enum err view_add(struct ledger *ledger, const struct vault_request *request,
	const struct case_ref *ref, group_set groups)
{
	struct view *view;

	if (ledger->view_count >= LIMIT_VIEWS_PENDING)
		return ERR_LIMIT;
	view = mem_zalloc(sizeof(*view));
	if (view == NULL)
		return ERR_NOMEM;
	view->ref = *ref;
	view->groups = groups;
	view->at_ms = request->now_ms;
	snprintf(view->officer, sizeof(view->officer), "%s", request->officer);
	snprintf(view->purpose, sizeof(view->purpose), "%s", request->purpose);
	*ledger->views_end = view;
	ledger->views_end = &view->next;
	ledger->view_count++;
	return OK;
}

void ledger_view(struct book *book, const struct vault_request *request, const struct case_ref *ref,
	group_set groups)
{
	struct bytes officer = bytes_str(request->officer);
	struct ledger *ledger = book->ledger;
	uint64_t day = request->now_ms / 1000 / DAY_S;
	enum err err = OK;

	groups &= GROUP_SET_CASE;
	if (officer.size == 0 || officer.size > EVENT_OFFICER_MAX || groups == 0)
		return;
	if (day != ledger->day)
		err = seen_clear(ledger, day);
	if (err == OK && (groups & ~seen_groups(ledger, ref, officer)) == 0)
		return;
	if (err == OK)
		err = view_add(ledger, request, ref, groups);
	if (err == OK && seen_put(ledger, ref, officer, groups) == OK)
		return;
	if (err != OK)
		ledger->lost++;
}

static enum err view_fields(const struct view *view, struct event *event, struct errctx *ctx)
{
	json_t *groups = json_array(), *json;
	char ref[2 * CASE_REF_SIZE + 1], *text;
	enum err err;

	case_ref_text(&view->ref, ref);
	for (unsigned g = 1; g <= GROUP_CASE_LAST; g++)
		if ((view->groups & GROUP_BIT(g)) != 0)
			json_array_append_new(groups, json_string(group_name((enum group)g)));
	json = json_pack("{s:s,s:s,s:s,s:o}", "type", "RECORD_VIEWED", LEDGER_WHO, view->officer,
		LEDGER_CASE, ref, LEDGER_GROUPS, groups);
	if (json != NULL && view->purpose[0] != '\0')
		json_object_set_new(json, LEDGER_PURPOSE, json_string(view->purpose));
	text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
	json_decref(json);
	err = text == NULL ? ERR_NOMEM : event_parse_ledger(bytes_str(text), event, ctx);
	json_text_free(text);
	return err;
}

static enum err view_plan(
	struct book *book, const struct view *view, struct plan *plan, struct errctx *ctx)
{
	struct event event = {0};
	enum err err = view_fields(view, &event, ctx);

	if (err == OK)
		err = complete(book, view->officer, view->at_ms, &event, ctx);
	if (err == OK)
		err = add_event(&event, plan, 0, ctx);
	event_release(&event);
	return err;
}

enum err ledger_views_plan(struct book *book, struct plan *ret, struct errctx *ctx)
{
	struct ledger *ledger = book->ledger;
	struct plan plan = {0};
	enum err err = OK;

	if (ledger->views == NULL || ledger->batch != 0) {
		*ret = plan;
		return OK;
	}
	err = plan_begin(book, &plan);
	for (const struct view *view = ledger->views;
		err == OK && view != NULL && plan.part_count < VIEWS_BATCH; view = view->next)
		err = view_plan(book, view, &plan, ctx);
	if (err != OK) {
		plan_release(&plan);
		return err;
	}
	*ret = plan;
	return OK;
}

void ledger_views_sent(struct ledger *ledger, uint64_t batch, size_t count)
{
	struct view *view = ledger->views;

	ledger->batch = batch;
	for (; view != NULL && count > 0; view = view->next, count--)
		view->on_way = true;
}

void ledger_batch_ended(struct ledger *ledger, uint64_t batch, bool committed)
{
	if (ledger->batch != batch)
		return;
	ledger->batch = 0;
	while (committed && ledger->views != NULL && ledger->views->on_way)
		view_drop(ledger);
	for (struct view *view = ledger->views; view != NULL && view->on_way; view = view->next)
		view->on_way = false;
}

uint64_t ledger_views_kept(const struct ledger *ledger)
{
	uint64_t count = 0;

	for (const struct view *view = ledger->views; view != NULL; view = view->next)
		count += !view->on_way;
	return count;
}

/* --- reading it --- */

struct listed {
	struct event_id id; /* made by this node: its beginning is the time */
	const struct casebook_key *key;
	const struct casebook_entry *entry;
};
struct listing {
	struct listed *list;
	size_t count, capacity;
	size_t keys; /* that were looked at */
};

static int listed_compare(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;

	return memcmp(x->id.b, y->id.b, EVENT_ID_SIZE);
}

static uint64_t id_ms(const struct event_id *id)
{
	return get_u64be(id->b) >> 16;
}

static enum err listing_add(struct listing *l, const struct listed *item)
{
	size_t capacity = l->capacity == 0 ? 64 : 2 * l->capacity;
	struct listed *grown;

	if (l->count == l->capacity) {
		grown = mem_resize(l->list, capacity * sizeof(*grown));
		if (grown == NULL)
			return ERR_NOMEM;
		l->list = grown;
		l->capacity = capacity;
	}
	l->list[l->count++] = *item;
	return OK;
}

static enum err list_key(const struct book *book, const struct vault_request *request,
	const struct casebook_key *key, struct listing *l)
{
	for (uint32_t n = 0; n < key->entry_committed; n++) {
		const struct casebook_entry *entry = &key->entries[n];
		struct listed item = {*casebook_entry_event(book->cases, entry), key, entry};

		if (id_ms(&item.id) >= request->since_s * 1000)
			TRY(listing_add(l, &item));
	}
	return OK;
}

/* The node's own ledger, or that of the node the request names. */
static bool is_asked_for(const struct book *book, const struct vault_request *request,
	const struct casebook_key *key)
{
	const char *author = request->name[0] == '\0' ? book->opts.node : request->name;

	return strcmp(key->author, author) == 0 &&
	       (key->group == GROUP_AUDIT ||
		       (key->group == GROUP_VIEWS && request->with_views && !key->foreign));
}

static enum err list_case(struct book *book, struct vault_request *request,
	const struct casebook_case *kase, struct listing *l)
{
	const struct casebook_key *foreign = NULL;
	struct foreign_faults faults;

	for (const struct casebook_key *key = kase->keys; key != NULL; key = key->next) {
		if (!is_asked_for(book, request, key))
			continue;
		l->keys++;
		TRY(list_key(book, request, key, l));
		if (key->foreign)
			foreign = key;
	}
	if (foreign != NULL) {
		foreign_faults(book, kase, &faults);
		request->unread += faults.refused + faults.missing;
	}
	return OK;
}

/* Sorted by time; of an event of this node's that stands in several epochs once. What another says
 * is shown as often as it says it: nothing hides behind an id that was used before. */
static enum err list_collect(struct book *book, struct vault_request *request, struct listing *l)
{
	bool own = request->name[0] == '\0';
	size_t kept = 0;

	for (size_t i = 0; i < casebook_case_count(book->cases); i++)
		TRY(list_case(book, request, casebook_case_at(book->cases, i), l));
	if (!own && l->keys == 0)
		return err_set(&request->ctx, ERR_NOTFOUND,
			"no key of the ledger of '%s' is here: a node gives it to the auditors "
			"whose keys its officers have confirmed",
			request->name);
	if (l->count > 0)
		qsort(l->list, l->count, sizeof(*l->list), listed_compare);
	if (!own)
		return OK;
	for (size_t i = 0; i < l->count; i++)
		if (i == 0 || listed_compare(&l->list[i], &l->list[i - 1]) != 0)
			l->list[kept++] = l->list[i];
	l->count = kept;
	return OK;
}

/* For a person: which case it was. */
static void put_code(const struct book *book, const struct event *event, struct buf *json)
{
	const struct casebook_case *kase = NULL;
	struct case_ref ref;
	char *text = NULL;

	if (event_field_string(event, LEDGER_CASE, &text) == OK &&
		case_ref_parse(bytes_str(text), &ref) == OK)
		kase = casebook_find_ref(book->cases, &ref);
	mem_free(text);
	if (kase != NULL && kase->code[0] != '\0')
		buf_printf(json, ",\"code\":\"%s\"", kase->code);
}

/* The event, and where it stands. Whoever may see views may know cases by their codes. */
static enum err list_event(
	struct book *book, const struct listed *item, bool codes, struct errctx *ctx)
{
	struct casebook_at at = {
		item->entry->i, casebook_entry_index(item->entry), item->entry->log};
	struct event event = {0};
	struct bytes part;
	enum err err = book_read(book, item->key, &at, ctx);

	part = buf_bytes(&book->part);
	if (err == OK)
		err = event_merge(&part, 1, &event, ctx);
	book_part_wipe(book);
	TRY(err);
	event_write(&event, &book->json);
	if (book->json.err == OK)
		book->json.size--; /* the brace */
	if (codes)
		put_code(book, &event, &book->json);
	event_release(&event);
	buf_printf(&book->json, ",\"log\":\"%s\",\"index\":%llu}",
		book_log_at(book, at.log)->origin.text, (unsigned long long)at.index);
	return OK;
}

enum err ledger_list(struct book *book, struct vault_request *request)
{
	struct vault_doc **last = &request->docs;
	struct listing l = {0};
	uint64_t unread = 0;
	enum err err = list_collect(book, request, &l);

	unread = request->unread;

	if (err == OK && l.count > LIMIT_LEDGER_LIST)
		err = err_set(&request->ctx, ERR_LIMIT,
			"%zu events in the ledger, one answer has at most %d: say since when",
			l.count, LIMIT_LEDGER_LIST);
	for (size_t i = 0; err == OK && i < l.count; i++) {
		err = list_event(book, &l.list[i], request->with_views, &request->ctx);
		if (err == OK)
			err = show_doc(book, &last);
		else if (book_unreadable(err) && ++unread > 0)
			err = OK;
	}
	request->events = l.count - (unread - request->unread);
	request->unread = unread;
	mem_free(l.list);
	if (err == OK)
		request->ctx = (struct errctx){""};
	return err;
}
