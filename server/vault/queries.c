/*
 * Questions that the states of cases answer, without opening an entry: lists, what wants doing on a
 * day, what a form needs. proto/control.proto shows the documents.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/event_json.h"
#include "cases/fold/value.h"
#include "cases/schema/schema.h"
#include "server/safe_state.h"
#include "server/vault/grants/approvals.h"
#include "server/vault/grants/grants.h"
#include "server/vault/receipts.h"

enum { SOON_DAYS = 30, UNANSWERED_DAYS = 14 };

/* A case that the officer sees, on the day that is asked about. */
struct seen {
	const struct casebook_case *kase;
	const struct case_state *state;
	struct case_summary summary;
	uint64_t unsynced;
};

struct query {
	struct book *book;
	struct vault_request *request;
	char today[11];
	fold_day day;
	struct vault_doc **last;
};

/* ---- one case ---- */

/* Is it what stands between the quotes of a JSON string? */
static bool is_json_text(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '"' || (uint8_t)*text < ' ')
			return false;
		if (*text == '\\' && (*++text == '\0' || strchr("\"\\/bfnrtu", *text) == NULL))
			return false;
	}
	return true;
}

/* Texts of a state keep their escapes (cases/fold/value.h); the names of officers who recorded
 * have none. */
static void put_text(struct buf *json, const char *text)
{
	bool as_is = is_json_text(text);

	buf_put_u8(json, '"');
	for (; *text != '\0'; text++) {
		if (!as_is && (*text == '"' || *text == '\\'))
			buf_put_u8(json, '\\');
		if ((uint8_t)*text >= ' ')
			buf_put_u8(json, (uint8_t)*text);
	}
	buf_put_u8(json, '"');
}

/* The earliest day on which something of the case is due. */
struct due {
	const char *on, *what;
};
static struct due next_due(const struct case_summary *s)
{
	const struct due all[] = {
		{s->next_contact_on, "contact"},
		{s->next_review_on, "review"},
		{s->reply_due_on, "reply"},
		{s->consent_ends_on, "consent"},
		{s->majority_review_on, "majority"},
	};
	struct due due = {"", ""};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all) && s->stage != STAGE_CLOSED; i++)
		if (all[i].on[0] != '\0' && (due.on[0] == '\0' || strcmp(all[i].on, due.on) < 0))
			due = all[i];
	return due;
}

static void put_flag(struct buf *json, const char *name, bool flag)
{
	buf_printf(json, ",\"%s\":%s", name, flag ? "true" : "false");
}

void docs_put_summary(struct buf *json, const struct case_summary *s)
{
	struct due due = next_due(s);

	buf_printf(json, "\"stage\":\"%s\",\"risk\":", case_stage_name(s->stage));
	put_text(json, s->risk);
	buf_put_str(json, ",\"lead\":");
	put_text(json, s->lead);
	buf_printf(json, ",\"backups\":%zu", s->backups);
	put_flag(json, "contact_only", s->contact_only);
	put_flag(json, "complaint", s->complaint);
	put_flag(json, "legal_hold", s->legal_hold);
	buf_printf(json,
		",\"last_contact_on\":\"%s\",\"next_contact_on\":\"%s\",\"next_review_on\":\"%s\","
		"\"next_due_on\":\"%s\",\"next_due\":\"%s\"",
		s->last_contact_on, s->next_contact_on, s->next_review_on, due.on, due.what);
	buf_printf(json,
		",\"open_referrals\":%zu,\"unanswered\":%zu,\"reply_due_on\":\"%s\","
		"\"open_claims\":%zu,\"open_concerns\":%zu,\"imminent_concerns\":%zu,"
		"\"live_consents\":%zu,\"consent_ends_on\":\"%s\",\"consent_ends_purpose\":",
		s->open_referrals, s->unanswered, s->reply_due_on, s->open_claims, s->open_concerns,
		s->imminent_concerns, s->live_consents, s->consent_ends_on);
	put_text(json, s->consent_ends_purpose);
	buf_printf(json,
		",\"majority_review_on\":\"%s\",\"open_complaints\":%zu,\"open_transfers\":%zu,"
		"\"conflicts\":%zu,\"irregular\":%zu",
		s->majority_review_on, s->open_complaints, s->open_transfers, s->conflicts,
		s->irregular);
}

/* ---- what the quorum holds ---- */

static bool entry_held(const struct book *book, const struct vault_request *request,
	const struct casebook_entry *entry)
{
	const char *origin;

	if (entry->log >= BOOK_LOGS_MAX)
		return true; /* of another node: its own concern */
	origin = book->logs[entry->log].origin.text;
	for (size_t i = 0; i < request->held_count; i++)
		if (strcmp(request->held[i].origin, origin) == 0)
			return casebook_entry_index(entry) < request->held[i].size;
	return false;
}

/* The same part may stand in an older log of this node too. */
static bool held_elsewhere(const struct book *book, const struct vault_request *request,
	const struct casebook_key *key, uint32_t event)
{
	for (uint32_t i = 0; book->log_count > 1 && i < key->entry_committed; i++)
		if (key->entries[i].event == event && entry_held(book, request, &key->entries[i]))
			return true;
	return false;
}

bool entry_synced(const struct book *book, const struct vault_request *request,
	const struct casebook_key *key, const struct casebook_entry *entry)
{
	return entry_held(book, request, entry) || held_elsewhere(book, request, key, entry->event);
}

static void state_at(const struct book *book, const struct vault_request *request,
	const struct casebook_entry *entry, struct safe_state *ret)
{
	uint64_t index = casebook_entry_index(entry);
	const char *origin;

	*ret = (struct safe_state){.held_by = 0};
	if (entry->log >= BOOK_LOGS_MAX) { /* of another node: its own concern */
		*ret = (struct safe_state){
			.held_by = UINT16_MAX, .in_quorum = true, .in_policy = true};
		return;
	}
	origin = book->logs[entry->log].origin.text;
	for (size_t i = 0; i < request->held_count; i++) {
		const struct vault_held *held = &request->held[i];

		if (strcmp(held->origin, origin) != 0)
			continue;
		ret->in_quorum = index < held->size;
		ret->in_policy = index < held->policy;
		for (size_t m = 0; m < held->mirror_count; m++)
			ret->held_by += held->mirrors[m] > index;
	}
}

void entry_state(const struct book *book, const struct vault_request *request,
	const struct casebook_key *key, const struct casebook_entry *entry, struct safe_state *ret)
{
	state_at(book, request, entry, ret);
	for (uint32_t i = 0; book->log_count > 1 && i < key->entry_committed; i++) {
		struct safe_state there;

		if (key->entries[i].event != entry->event)
			continue;
		state_at(book, request, &key->entries[i], &there);
		if (there.in_quorum + there.in_policy > ret->in_quorum + ret->in_policy ||
			(there.in_quorum == ret->in_quorum && there.held_by > ret->held_by))
			*ret = there;
	}
}

static int number_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static size_t entries_of(const struct casebook_case *kase)
{
	size_t count = 0;

	for (const struct casebook_key *key = kase->keys; key != NULL; key = key->next)
		count += key->entry_committed;
	return count;
}

static size_t unheld(const struct book *book, const struct vault_request *request,
	const struct casebook_case *kase, uint32_t *ret_events)
{
	size_t count = 0;

	for (const struct casebook_key *key = kase->keys; key != NULL; key = key->next)
		for (uint32_t i = 0; i < key->entry_committed; i++) {
			const struct casebook_entry *entry = &key->entries[i];

			if (!entry_synced(book, request, key, entry))
				ret_events[count++] = entry->event;
		}
	return count;
}

enum err unsynced_events(const struct book *book, const struct vault_request *request,
	const struct casebook_case *kase, uint64_t *ret)
{
	size_t count = entries_of(kase);
	uint32_t *events;
	uint64_t distinct = 0;

	*ret = 0;
	if (count == 0)
		return OK;
	events = mem_array(count, sizeof(*events));
	if (events == NULL)
		return ERR_NOMEM;
	count = unheld(book, request, kase, events);
	qsort(events, count, sizeof(*events), number_compare);
	for (size_t i = 0; i < count; i++)
		distinct += i == 0 || events[i] != events[i - 1];
	mem_free(events);
	*ret = distinct;
	return OK;
}

/* ---- the cases that an officer sees ---- */

/* NULL state: the officer may not see it, or nothing of it is durable. */
static enum err look(struct query *q, const struct casebook_case *kase, struct seen *ret)
{
	struct seen seen = {.kase = kase};

	*ret = seen;
	/* A case that was given has a code before anything of it is read; erased, it has none. */
	if ((kase->event_count == 0 && (!kase->granted || kase->code[0] == '\0')) ||
		ledger_is(q->book, &kase->ref))
		return OK;
	TRY(states_get(q->book, kase, &seen.state, &q->request->ctx));
	if (!officer_sees(q->request, seen.state))
		return OK;
	case_state_summary(seen.state, q->today, &seen.summary);
	TRY(unsynced_events(q->book, q->request, kase, &seen.unsynced));
	*ret = seen;
	return OK;
}

/* ---- LIST, FIND ---- */

static bool officer_matches(const struct query *q, const struct seen *seen)
{
	const char *officer = q->request->find.officer;

	return officer[0] == '\0' || case_state_officer_in(seen->state, officer, q->today);
}

static bool due_matches(const struct query *q, const struct seen *seen)
{
	const char *before = q->request->find.due_before;
	struct due due = next_due(&seen->summary);

	return before[0] == '\0' || (due.on[0] != '\0' && strcmp(due.on, before) < 0);
}

static bool matches(const struct query *q, const struct seen *seen)
{
	const struct vault_find *find = &q->request->find;
	const struct case_summary *s = &seen->summary;

	return strncasecmp(seen->kase->code, find->code, strlen(find->code)) == 0 &&
	       officer_matches(q, seen) && due_matches(q, seen) &&
	       (find->stage[0] == '\0' || strcmp(case_stage_name(s->stage), find->stage) == 0) &&
	       (!find->open_claims || s->open_claims > 0) &&
	       (!find->open_referrals || s->open_referrals > 0) &&
	       (!find->imminent || s->imminent_concerns > 0);
}

/* Of a case that another node shares: which. */
static void put_from(const struct book *book, const struct casebook_case *kase, struct buf *json)
{
	const struct received *received = grants_received_of(book, &kase->ref, NULL);

	if (kase->granted && kase->opened_foreign && received != NULL)
		buf_printf(json, ",\"from\":\"%s\"", received->sender);
}

static enum err list_case(struct query *q, const struct seen *seen)
{
	struct buf *json = &q->book->json;

	docs_put_case(json, seen->kase, seen->kase->event_count);
	put_from(q->book, seen->kase, json);
	buf_printf(json, ",\"unsynced\":%" PRIu64 ",", seen->unsynced);
	docs_put_summary(json, &seen->summary);
	buf_put_u8(json, '}');
	q->request->cases++;
	q->request->events += seen->kase->event_count;
	return show_doc(q->book, &q->last);
}

static enum err list_cases(struct query *q)
{
	CLEANUP(mem_free_p) const struct casebook_case **cases = NULL;
	size_t count = 0;

	TRY(casebook_list(q->book->cases, &cases, &count));
	for (size_t i = 0; i < count; i++) {
		struct seen seen;

		TRY(book_go_on(q->book));
		TRY(look(q, cases[i], &seen));
		if (seen.state != NULL && matches(q, &seen))
			TRY(list_case(q, &seen));
	}
	return OK;
}

/* ---- TODAY ---- */

enum section {
	IMMINENT_CONCERNS,
	OVERDUE_CONTACTS,
	UNANSWERED_REFERRALS,
	EXPIRING_CONSENTS,
	OPEN_COMPLAINTS,
	OPENINGS,
	PACKETS_TO_RECALL,
	RECEIPTS,
	UNSYNCED,
	SECTIONS,
};
static const char *const section_names[SECTIONS] = {"imminent_concerns", "overdue_contacts",
	"unanswered_referrals", "expiring_consents", "open_complaints", "openings",
	"packets_to_recall", "receipts", "unsynced"};

/* The more days, the more urgent; of consents, the fewer. */
struct todo {
	enum section section;
	const struct casebook_case *kase;
	const char *lead, *risk; /* of the state */
	char why[48], since[11];
	int64_t days;
};
struct todos {
	struct todo *list;
	size_t count, capacity;
	size_t counts[SECTIONS];
	uint64_t cases, unsynced;
	bool late; /* there are receipts that are not confirmed in time */
};

static enum err todo_add(
	struct query *q, struct todos *todos, const struct seen *seen, const struct todo *what)
{
	size_t capacity = todos->capacity == 0 ? 64 : 2 * todos->capacity;
	struct todo *todo = todos->list;
	fold_day since = day_read(bytes_str(what->since));

	if (todos->count == todos->capacity) {
		todo = mem_resize(todos->list, capacity * sizeof(*todo));
		if (todo == NULL)
			return ERR_NOMEM;
		todos->list = todo;
		todos->capacity = capacity;
	}
	todo = &todos->list[todos->count++];
	*todo = *what;
	todo->kase = seen->kase;
	todo->lead = seen->summary.lead;
	todo->risk = seen->summary.risk;
	if (since != 0)
		todo->days = what->section == EXPIRING_CONSENTS ? day_count(q->day, since)
								: day_count(since, q->day);
	todos->counts[what->section]++;
	return OK;
}

static void set_day(struct todo *todo, const char *day)
{
	snprintf(todo->since, sizeof(todo->since), "%s", day);
}

/* One item says which; of several, how many. */
static void set_why(struct todo *todo, size_t count, const char *one)
{
	if (count == 1 && one != NULL)
		snprintf(todo->why, sizeof(todo->why), "%s", one);
	else
		snprintf(todo->why, sizeof(todo->why), "%zu", count);
}

/* The most urgent open concern's id, and since when it is as it is. */
static enum err todo_concerns(struct query *q, struct todos *todos, const struct seen *seen)
{
	struct todo todo = {.section = IMMINENT_CONCERNS};
	struct item_view item;
	const char *id = NULL;

	if (seen->summary.imminent_concerns == 0)
		return OK;
	for (size_t n = 0; case_state_item(seen->state, ITEM_CONCERN, n, &item); n++) {
		if (!item.open || !item.imminent)
			continue;
		id = item.id;
		if (todo.since[0] == '\0' || strcmp(item.on, todo.since) < 0)
			set_day(&todo, item.on);
	}
	set_why(&todo, seen->summary.imminent_concerns, id);
	return todo_add(q, todos, seen, &todo);
}

static enum err todo_contacts(struct query *q, struct todos *todos, const struct seen *seen)
{
	const struct case_summary *s = &seen->summary;
	struct todo todo = {.section = OVERDUE_CONTACTS, .why = "agreed"};

	set_day(&todo, s->next_contact_on);
	if (todo.since[0] == '\0' ||
		(s->next_review_on[0] != '\0' && strcmp(s->next_review_on, todo.since) < 0)) {
		memcpy(todo.why, "review", sizeof("review"));
		set_day(&todo, s->next_review_on);
	}
	if (todo.since[0] == '\0' || strcmp(todo.since, q->today) >= 0)
		return OK;
	return todo_add(q, todos, seen, &todo);
}

/* From which day on the referral wants an answer; false: it does not yet. */
static bool referral_late(const struct query *q, const struct item_view *item, char ret[11])
{
	fold_day made = day_read(bytes_str(item->on));

	if (item->due[0] != '\0') {
		memcpy(ret, item->due, 11);
		return strcmp(item->due, q->today) < 0;
	}
	memcpy(ret, item->on, 11);
	return made != 0 && day_count(made, q->day) > UNANSWERED_DAYS;
}

static enum err todo_referrals(struct query *q, struct todos *todos, const struct seen *seen)
{
	struct todo todo = {.section = UNANSWERED_REFERRALS};
	struct item_view item;
	const char *id = NULL;
	char since[11];
	size_t count = 0;

	if (seen->summary.unanswered == 0)
		return OK;
	for (size_t n = 0; case_state_item(seen->state, ITEM_REFERRAL, n, &item); n++) {
		if (!item.open || !item.unanswered || !referral_late(q, &item, since))
			continue;
		count++;
		id = item.id;
		if (todo.since[0] == '\0' || strcmp(since, todo.since) < 0)
			set_day(&todo, since);
	}
	if (count == 0)
		return OK;
	set_why(&todo, count, id);
	return todo_add(q, todos, seen, &todo);
}

static bool is_soon(const struct query *q, const char *day)
{
	fold_day on = day_read(bytes_str(day));

	return on != 0 && day_count(q->day, on) <= SOON_DAYS;
}

static enum err todo_consents(struct query *q, struct todos *todos, const struct seen *seen)
{
	const struct case_summary *s = &seen->summary;
	struct todo todo = {.section = EXPIRING_CONSENTS};

	if (s->stage == STAGE_CLOSED)
		return OK;
	if (is_soon(q, s->consent_ends_on)) {
		set_why(&todo, 1, s->consent_ends_purpose);
		set_day(&todo, s->consent_ends_on);
		TRY(todo_add(q, todos, seen, &todo));
	}
	if (is_soon(q, s->majority_review_on)) {
		set_why(&todo, 1, "majority");
		set_day(&todo, s->majority_review_on);
		TRY(todo_add(q, todos, seen, &todo));
	}
	return OK;
}

static enum err todo_rest(struct query *q, struct todos *todos, const struct seen *seen)
{
	struct todo complaint = {.section = OPEN_COMPLAINTS}, unsynced = {.section = UNSYNCED};
	struct todo packets = {.section = PACKETS_TO_RECALL}, openings = {.section = OPENINGS};
	size_t waiting, withdrawn;

	if (seen->summary.open_complaints > 0) {
		set_why(&complaint, seen->summary.open_complaints, NULL);
		set_day(&complaint, seen->summary.opened_on);
		TRY(todo_add(q, todos, seen, &complaint));
	}
	approvals_of_case(q->book, &seen->kase->ref, &waiting, &withdrawn);
	if (waiting > 0) {
		snprintf(openings.why, sizeof(openings.why), "%zu to approve", waiting);
		TRY(todo_add(q, todos, seen, &openings));
	}
	if (withdrawn > 0) {
		snprintf(openings.why, sizeof(openings.why), "%zu withdrawn", withdrawn);
		TRY(todo_add(q, todos, seen, &openings));
	}
	if (seen->summary.packets_to_recall > 0) {
		set_why(&packets, seen->summary.packets_to_recall, NULL);
		set_day(&packets, seen->summary.packets_recall_on);
		TRY(todo_add(q, todos, seen, &packets));
	}
	if (seen->unsynced == 0)
		return OK;
	todos->unsynced += seen->unsynced;
	set_why(&unsynced, (size_t)seen->unsynced, NULL);
	set_day(&unsynced, seen->kase->last_occurred_on);
	return todo_add(q, todos, seen, &unsynced);
}

/* Given three days ago or longer, and not held by the quorum. */
static enum err todo_receipts(struct query *q, struct todos *todos, const struct seen *seen)
{
	struct todo todo = {.section = RECEIPTS};
	uint64_t count = receipts_late(q->book, seen->kase, q->request->now_s);

	if (count == 0)
		return OK;
	snprintf(todo.why, sizeof(todo.why), "%" PRIu64, count);
	return todo_add(q, todos, seen, &todo);
}

static int todo_compare(const void *a, const void *b)
{
	const struct todo *x = a, *y = b;
	int64_t dx = x->section == EXPIRING_CONSENTS ? -x->days : x->days;
	int64_t dy = y->section == EXPIRING_CONSENTS ? -y->days : y->days;
	int c;

	if (x->section != y->section)
		return x->section < y->section ? -1 : 1;
	if (dx != dy)
		return dx > dy ? -1 : 1;
	c = strcmp(x->kase->code, y->kase->code);
	return c != 0 ? c : memcmp(x->kase->ref.b, y->kase->ref.b, CASE_REF_SIZE);
}

static enum err todo_gather(struct query *q, struct todos *todos)
{
	for (size_t i = 0; i < casebook_case_count(q->book->cases); i++) {
		struct seen seen;

		TRY(book_go_on(q->book));
		TRY(look(q, casebook_case_at(q->book->cases, i), &seen));
		if (seen.state == NULL)
			continue;
		todos->cases++;
		TRY(todo_concerns(q, todos, &seen));
		TRY(todo_contacts(q, todos, &seen));
		TRY(todo_referrals(q, todos, &seen));
		TRY(todo_consents(q, todos, &seen));
		TRY(todo_rest(q, todos, &seen));
		if (todos->late)
			TRY(todo_receipts(q, todos, &seen));
	}
	return OK;
}

static enum err todo_put(struct query *q, const struct todo *todo)
{
	struct buf *json = &q->book->json;
	char ref[2 * CASE_REF_SIZE + 1];

	case_ref_text(&todo->kase->ref, ref);
	buf_printf(json, "{\"section\":\"%s\",\"code\":\"%s\",\"case_ref\":\"%s\",\"lead\":",
		section_names[todo->section], todo->kase->code, ref);
	put_text(json, todo->lead);
	buf_put_str(json, ",\"risk\":");
	put_text(json, todo->risk);
	buf_put_str(json, ",\"why\":");
	put_text(json, todo->why);
	buf_printf(json, ",\"since\":\"%s\",\"days\":%" PRId64 "}", todo->since, todo->days);
	return show_doc(q->book, &q->last);
}

static enum err todo_all(struct query *q, const struct todos *todos)
{
	struct buf *json = &q->book->json;
	char since[21];

	for (size_t i = 0; i < todos->count; i++)
		TRY(todo_put(q, &todos->list[i]));
	buf_printf(json, "{\"on\":\"%s\",\"cases\":%" PRIu64 ",\"sections\":{", q->today,
		todos->cases);
	for (size_t i = 0; i < SECTIONS; i++)
		buf_printf(json, "%s\"%s\":%zu", i == 0 ? "" : ",", section_names[i],
			todos->counts[i]);
	buf_printf(json, "},\"unsynced\":{\"events\":%" PRIu64 ",\"since\":", todos->unsynced);
	event_time_text(q->request->unheld_since_s, since);
	if (todos->unsynced > 0 && q->request->unheld_since_s > 0)
		put_text(json, since);
	else
		buf_put_str(json, "null");
	buf_put_str(json, "}}");
	q->request->cases = todos->cases;
	return show_doc(q->book, &q->last);
}

static enum err today(struct query *q)
{
	struct todos todos = {.late = receipts_late(q->book, NULL, q->request->now_s) > 0};
	enum err err = todo_gather(q, &todos);

	if (err == OK && todos.count > 0)
		qsort(todos.list, todos.count, sizeof(*todos.list), todo_compare);
	if (err == OK)
		err = todo_all(q, &todos);
	mem_free(todos.list);
	return err;
}

/* ---- what may be asked ---- */

bool vault_stage_valid(const char *stage)
{
	return case_stage_find(bytes_str(stage)) != STAGE_NONE;
}

bool vault_day_valid(const char *day)
{
	return event_date_valid(bytes_str(day), PRECISION_DAY);
}

/* ---- FORM ---- */

static void put_groups(struct buf *json, group_set groups)
{
	const char *comma = "";

	buf_put_u8(json, '[');
	for (unsigned g = 1; g <= GROUP_CASE_LAST; g++) {
		if ((groups & GROUP_BIT(g)) == 0)
			continue;
		buf_printf(json, "%s\"%s\"", comma, group_name((enum group)g));
		comma = ",";
	}
	buf_put_u8(json, ']');
}

static void put_consents(struct query *q, const struct case_state *state)
{
	struct buf *json = &q->book->json;
	struct consent_view consent;
	const char *comma = "";

	buf_put_str(json, ",\"consents\":[");
	for (size_t n = 0; case_state_consent(state, n, q->today, &consent); n++) {
		char id[EVENT_ID_TEXT + 1];

		if (!consent.live)
			continue;
		event_id_text(&consent.event, id);
		buf_printf(json, "%s{\"id\":", comma);
		put_text(json, consent.id);
		buf_put_str(json, ",\"purpose\":");
		put_text(json, consent.purpose);
		buf_printf(json,
			",\"event_id\":\"%s\",\"valid_from\":\"%s\",\"valid_until\":\"%s\","
			"\"groups\":",
			id, consent.valid_from, consent.valid_until);
		put_groups(json, consent.groups);
		buf_put_u8(json, '}');
		comma = ",";
	}
	buf_put_u8(json, ']');
}

static void put_items(
	struct buf *json, const struct case_state *state, enum item_kind kind, const char *name)
{
	struct item_view item;

	buf_printf(json, ",\"%s\":[", name);
	for (size_t n = 0; case_state_item(state, kind, n, &item); n++) {
		buf_put_str(json, n == 0 ? "{\"id\":" : ",{\"id\":");
		put_text(json, item.id);
		buf_put_str(json, ",\"status\":");
		put_text(json, item.status);
		buf_put_str(json, ",\"what\":");
		put_text(json, item.what);
		put_flag(json, "open", item.open);
		buf_put_u8(json, '}');
	}
	buf_put_u8(json, ']');
}

/* Of every letter that a preset of the schema asks for. */
static void put_next_ids(struct buf *json, const struct case_state *state)
{
	bool done[26] = {false};
	const char *comma = "";

	buf_put_str(json, ",\"next_ids\":{");
	for (uint32_t number = 1; number <= EVENT_TYPE_LAST; number++) {
		const struct schema_type *type = schema_type_get(number);

		for (size_t i = 0; type != NULL && i < type->field_count; i++) {
			const char *preset = type->fields[i].preset;
			char id[16];

			if (preset == NULL || preset[0] < 'A' || preset[0] > 'Z' ||
				strcmp(preset + 1, "-#") != 0 || done[preset[0] - 'A'])
				continue;
			done[preset[0] - 'A'] = true;
			case_state_next_id(state, preset[0], id);
			buf_printf(json, "%s\"%c\":\"%s\"", comma, preset[0], id);
			comma = ",";
		}
	}
	buf_put_u8(json, '}');
}

static enum err form(struct query *q)
{
	static const struct {
		enum item_kind kind;
		const char *name;
	} lists[] = {
		{ITEM_REFERRAL, "referrals"},
		{ITEM_CLAIM, "claims"},
		{ITEM_CONCERN, "concerns"},
		{ITEM_ALLEGATION, "allegations"},
		{ITEM_COMPLAINT, "complaints"},
		{ITEM_TRANSFER, "transfers"},
		{ITEM_PERSON, "persons"},
	};
	struct buf *json = &q->book->json;
	const struct casebook_case *kase;
	const struct case_state *state;
	struct case_summary summary;
	char ref[2 * CASE_REF_SIZE + 1];

	TRY(case_named(q->book, q->request, &kase, &state));
	case_state_summary(state, q->today, &summary);
	case_ref_text(&kase->ref, ref);
	buf_printf(json, "{\"case_ref\":\"%s\",\"code\":\"%s\",\"stage\":\"%s\"", ref, kase->code,
		case_stage_name(summary.stage));
	put_flag(json, "contact_only", summary.contact_only);
	put_flag(json, "complaint", summary.complaint);
	buf_put_str(json, ",\"lead\":");
	put_text(json, summary.lead);
	put_consents(q, state);
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		put_items(json, state, lists[i].kind, lists[i].name);
	put_next_ids(json, state);
	buf_put_u8(json, '}');
	return show_doc(q->book, &q->last);
}

enum err query_cases(struct book *book, struct vault_request *request)
{
	struct query q = {.book = book, .request = request, .last = &request->docs};

	if (request->today[0] != '\0')
		memcpy(q.today, request->today, sizeof(q.today));
	else
		request_today(request, q.today);
	q.day = day_read(bytes_str(q.today));
	return request->type == VAULT_TODAY  ? today(&q)
	       : request->type == VAULT_FORM ? form(&q)
					     : list_cases(&q);
}
