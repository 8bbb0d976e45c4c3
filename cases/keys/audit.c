/*
 * Happy path: audit_add keeps the parts; audit_judge sorts them, drops what stands twice, reads the
 * ledger's, and judges each ACCESS_GRANTED in order.
 */
#include "cases/keys/audit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/fold/timeline.h"
#include "cases/keys/grant.h"

enum {
	APPROVAL_S = 72 * 60 * 60,
	TAKEN_BACK_S = 24 * 60 * 60, /* .. and then the node has a day: it may be locked */
};

struct part {
	struct audit_place at;
	struct hash leaf;
	struct part_info info;
	uint8_t *data;
	size_t size;
	struct event event; /* of the ledger alone, while it is judged */
};

struct list {
	struct part *parts;
	size_t count, capacity;
};

/* A grant was taken back since its consent was withdrawn. */
struct withdrawal {
	struct event_id consent;
	struct audit_place at;
};

struct audit {
	struct list ledger, consents;
	struct withdrawal *withdrawals;
	size_t withdrawal_count;
	uint64_t newest_s; /* the last time that the ledger tells */
};

/* --- keeping --- */

enum err audit_new(struct audit **ret)
{
	struct audit *audit = mem_zalloc(sizeof(*audit));

	if (audit == NULL)
		return ERR_NOMEM;
	*ret = audit;
	return OK;
}

static void part_free(struct part *part)
{
	event_release(&part->event);
	wipe(part->data, part->size);
	mem_free(part->data);
}

static void list_free(struct list *list)
{
	for (size_t i = 0; i < list->count; i++)
		part_free(&list->parts[i]);
	mem_free(list->parts);
}

void audit_free(struct audit *audit)
{
	if (audit == NULL)
		return;
	list_free(&audit->ledger);
	list_free(&audit->consents);
	mem_free(audit->withdrawals);
	mem_free(audit);
}

static enum err list_grow(struct list *list)
{
	size_t capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
	struct part *parts;

	if (list->count < list->capacity)
		return OK;
	parts = mem_array(capacity, sizeof(*parts));
	if (parts == NULL)
		return ERR_NOMEM;
	if (list->count > 0)
		memcpy(parts, list->parts, list->count * sizeof(*parts));
	mem_free(list->parts);
	list->parts = parts;
	list->capacity = capacity;
	return OK;
}

enum err audit_add(struct audit *audit, const struct audit_place *at, const struct hash *leaf,
	struct bytes bytes, struct errctx *ctx)
{
	struct part part = {.at = *at, .leaf = *leaf, .size = bytes.size};
	struct list *list;

	TRY(part_info_read(bytes, &part.info, ctx));
	if (part.info.group != GROUP_AUDIT && part.info.group != GROUP_CONSENT)
		return err_set(ctx, ERR_MALFORMED, "a part of the data group '%s'",
			group_name(part.info.group));
	list = part.info.group == GROUP_AUDIT ? &audit->ledger : &audit->consents;
	if (list->count >= LIMIT_LEDGER_EVENTS)
		return err_set(ctx, ERR_LIMIT, "more than %d entries", LIMIT_LEDGER_EVENTS);
	TRY(list_grow(list));
	part.data = mem_array(bytes.size, 1);
	if (part.data == NULL)
		return ERR_NOMEM;
	memcpy(part.data, bytes.data, bytes.size);
	list->parts[list->count++] = part;
	return OK;
}

/* --- order --- */

static int place_compare(const struct audit_place *a, const struct audit_place *b)
{
	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	return (a->index > b->index) - (a->index < b->index);
}

static int by_place(const void *a, const void *b)
{
	return place_compare(&((const struct part *)a)->at, &((const struct part *)b)->at);
}

static int by_event(const void *a, const void *b)
{
	const struct part *x = a, *y = b;
	int c = memcmp(x->info.event_id.b, y->info.event_id.b, EVENT_ID_SIZE);

	return c != 0 ? c : by_place(a, b);
}

static int by_case(const void *a, const void *b)
{
	const struct part *x = a, *y = b;
	int c = memcmp(x->info.case_ref.b, y->info.case_ref.b, CASE_REF_SIZE);

	return c != 0 ? c : by_place(a, b);
}

static void sort(struct list *list, int (*compare)(const void *, const void *))
{
	if (list->count > 0)
		qsort(list->parts, list->count, sizeof(*list->parts), compare);
}

/* Of an event that stands twice the first place counts. */
static void drop_repeats(struct list *list)
{
	size_t kept = 0;

	sort(list, by_event);
	for (size_t i = 0; i < list->count; i++) {
		struct part *part = &list->parts[i];

		if (kept > 0 && memcmp(list->parts[kept - 1].info.event_id.b, part->info.event_id.b,
					EVENT_ID_SIZE) == 0)
			part_free(part);
		else
			list->parts[kept++] = *part;
	}
	list->count = kept;
}

static enum err read_ledger(struct audit *audit)
{
	for (size_t i = 0; i < audit->ledger.count; i++) {
		struct part *part = &audit->ledger.parts[i];
		struct bytes bytes = bytes_make(part->data, part->size);

		TRY(event_merge(&bytes, 1, &part->event, NULL));
		if (part->event.recorded_at > audit->newest_s)
			audit->newest_s = part->event.recorded_at;
	}
	return OK;
}

/* While the ledger is in the order of its events. */
static const struct part *find_event(const struct list *list, const struct event_id *id)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int c = memcmp(list->parts[middle].info.event_id.b, id->b, EVENT_ID_SIZE);

		if (c == 0)
			return &list->parts[middle];
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static enum err find_withdrawals(struct audit *audit)
{
	const struct list *list = &audit->ledger;

	audit->withdrawals = mem_array(list->count + 1, sizeof(*audit->withdrawals));
	if (audit->withdrawals == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < list->count; i++) {
		const struct event *event = &list->parts[i].event;
		struct withdrawal w = {.at = list->parts[i].at};
		const struct part *grant;
		struct event_id id;

		if (event->type != EVENT_ACCESS_REVOKED ||
			!value_is(event, "reason", "WITHDRAWN") ||
			event_id_parse(value_text(event, "grant"), &id) != OK)
			continue;
		grant = find_event(list, &id);
		if (grant != NULL &&
			event_id_parse(value_text(&grant->event, "consent_ref"), &w.consent) == OK)
			audit->withdrawals[audit->withdrawal_count++] = w;
	}
	return OK;
}

/* The parts of one case, which stand together. */
struct range {
	size_t from, to;
};
static struct range range_of(const struct list *list, const struct case_ref *ref)
{
	size_t low = 0, high = list->count;
	struct range range;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(list->parts[middle].info.case_ref.b, ref->b, CASE_REF_SIZE) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	range = (struct range){low, low};
	while (range.to < list->count &&
		memcmp(list->parts[range.to].info.case_ref.b, ref->b, CASE_REF_SIZE) == 0)
		range.to++;
	return range;
}

/* --- one grant --- */

struct grant {
	const struct audit *audit;
	const struct audit_judge *judge;
	const struct part *part;
	const struct event *event;
	struct case_ref case_ref;
	struct range range; /* of the consents of that case */
	group_set groups;
	struct event_id consent;
	bool has_consent, has_leaf;
	struct hash consent_leaf;
	struct audit_member member;
	bool member_known;
	struct audit_finding *finding;
};

/* Keeps the first word. */
__attribute__((format(printf, 3, 4))) static void say(
	struct grant *g, enum audit_verdict verdict, const char *format, ...)
{
	va_list args;

	if (g->finding->verdict == AUDIT_BAD)
		return;
	va_start(args, format);
	vsnprintf(g->finding->why, sizeof(g->finding->why), format, args);
	va_end(args);
	g->finding->verdict = verdict;
}

static bool bad(const struct grant *g)
{
	return g->finding->verdict == AUDIT_BAD;
}

static bool hash_field(const struct event *event, const char *name, struct hash *ret)
{
	return hex_decode(value_text(event, name), ret->b, sizeof(ret->b)) == OK;
}

static const char *basis_of(const struct event *event)
{
	static const char *const names[] = {"CONSENT", "MANDATE", "BREAK_GLASS", "REPLY", "LEDGER"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (value_is(event, "basis", names[i]))
			return names[i];
	return "";
}

/* Those of a ledger, too. */
static group_set read_groups(struct grant *g)
{
	struct bytes at = value_json(g->event, "groups"), one;
	group_set groups = 0;

	while (value_next(&at, &one)) {
		enum group group = group_find(one);

		if (group == GROUP_NONE)
			say(g, AUDIT_BAD, "it gives a data group that there is not");
		else
			groups |= GROUP_BIT(group);
	}
	if (groups == 0)
		say(g, AUDIT_BAD, "it gives no data group");
	return groups;
}

static void read_grant(struct grant *g)
{
	struct bytes recipient = value_text(g->event, "recipient");

	g->finding->basis = basis_of(g->event);
	g->groups = read_groups(g);
	g->has_consent = event_id_parse(value_text(g->event, "consent_ref"), &g->consent) == OK;
	g->has_leaf = hash_field(g->event, "consent_leaf", &g->consent_leaf);
	if (case_ref_parse(value_text(g->event, "case"), &g->case_ref) != OK)
		say(g, AUDIT_BAD, "it names no case");
	if (!node_name_valid(recipient)) {
		say(g, AUDIT_BAD, "it names no node as its recipient");
		return;
	}
	memcpy(g->finding->recipient, recipient.data, recipient.size);
	g->finding->case_ref = g->case_ref;
	if (g->judge->member != NULL)
		g->member_known =
			g->judge->member(g->judge->arg, g->finding->recipient, &g->member);
}

/* --- the commitment --- */

/* A key that is given is readable from its first entry on. */
static size_t read_keys(const struct event *event, struct grant_key *keys, size_t max)
{
	struct bytes at = value_json(event, "key_ids"), one;
	size_t count = 0;

	while (value_next(&at, &one)) {
		if (count == max || hex_decode(one, keys[count].kid.b, SEAL_KID_SIZE) != OK)
			return 0;
		keys[count++].first = 0;
	}
	return count;
}

static void check_commitment(struct grant *g)
{
	struct grant_key keys[LIMIT_GRANT_KEYS];
	struct hash told, nonce, made;
	struct grant_commitment in = {
		.nonce = nonce.b,
		.recipient = bytes_str(g->finding->recipient),
		.consent_leaf = g->has_leaf ? &g->consent_leaf : NULL,
		.keys = keys,
		.count = read_keys(g->event, keys, LIMIT_GRANT_KEYS),
	};

	if (!hash_field(g->event, "commitment", &told) || !hash_field(g->event, "nonce", &nonce) ||
		in.count == 0)
		say(g, AUDIT_BAD, "it has no commitment, or not what that is made of");
	else if (grant_commitment(&in, &made) != OK || !hash_equal(&made, &told))
		say(g, AUDIT_BAD,
			"its commitment is not that of this recipient, this consent and these "
			"keys");
}

/* --- the consent --- */

static const struct part *find_consent(const struct grant *g, struct range range, bool by_leaf)
{
	for (size_t i = range.from; i < range.to; i++) {
		const struct part *part = &g->audit->consents.parts[i];

		if (memcmp(part->info.event_id.b, g->consent.b, EVENT_ID_SIZE) == 0 &&
			(!by_leaf || hash_equal(&part->leaf, &g->consent_leaf)))
			return part;
	}
	return NULL;
}

/* Keys of the case were destroyed behind the grant: what they opened is closed for good. */
static bool erased_since(const struct grant *g)
{
	const struct list *list = &g->audit->ledger;

	for (size_t i = 0; i < list->count; i++) {
		const struct event *event = &list->parts[i].event;
		struct case_ref ref;

		if (place_compare(&list->parts[i].at, &g->part->at) > 0 &&
			event->type == EVENT_KEYS_ERASED &&
			case_ref_parse(value_text(event, "case"), &ref) == OK &&
			memcmp(ref.b, g->case_ref.b, CASE_REF_SIZE) == 0)
			return true;
	}
	return false;
}

/* Why the entry that the grant cites is not to be seen. */
static void say_missing(struct grant *g)
{
	const struct part *other = find_consent(g, g->range, false);
	const struct range all = {0, g->audit->consents.count};

	if (find_consent(g, all, true) != NULL)
		say(g, AUDIT_BAD, "the consent it cites is of another case");
	else if (erased_since(g))
		say(g, AUDIT_OPEN, "the consent it cites was erased since");
	else if (other == NULL)
		say(g, AUDIT_BAD, "no entry of the consent it cites was opened");
	else if (place_compare(&other->at, &g->part->at) > 0)
		say(g, AUDIT_BAD, "the consent it cites was recorded after it");
	else if (g->part->at.epoch > 1 && other->at.epoch == g->part->at.epoch)
		say(g, AUDIT_OPEN,
			"it was sealed again in a later log, and the log with the entry it cites "
			"is not there");
	else
		say(g, AUDIT_BAD, "the entry it cites is not that of its consent");
}

/* What the case's group of consents said when the grant was made. */
static enum err fold_before(const struct grant *g, struct case_state **ret)
{
	struct timeline *timeline;
	enum err err;

	TRY(timeline_new(&timeline));
	err = OK;
	for (size_t i = g->range.from; i < g->range.to && err == OK; i++) {
		const struct part *part = &g->audit->consents.parts[i];

		if (place_compare(&part->at, &g->part->at) < 0)
			err = timeline_add(timeline, bytes_make(part->data, part->size), NULL);
	}
	if (err == OK)
		err = timeline_finish(timeline);
	if (err == OK)
		err = timeline_state(timeline, ret);
	timeline_free(timeline);
	return err;
}

static struct consent_need need_of(const struct grant *g, char *purpose, size_t size)
{
	struct bytes text = value_text(g->event, "purpose");
	struct consent_need need = {
		.reads = true, .who = "recipient", .groups = g->groups & GROUP_SET_CASE};

	need.recipient[0] = bytes_str(g->finding->recipient);
	if (g->member_known)
		need.recipient[1] = bytes_str(g->member.country);
	if (text.size > 0 && text.size < size) {
		memcpy(purpose, text.data, text.size);
		purpose[text.size] = '\0';
		need.purpose = purpose;
	}
	return need;
}

static void check_covered(struct grant *g, const struct case_state *state)
{
	const struct state_consent *consent =
		state_consent_of(state, state_event_find(state, &g->consent));
	fold_day day = day_of_seconds(g->event->recorded_at), until, first, last;
	struct consent_verdict verdict;
	struct consent_need need;
	char purpose[64];
	struct buf why;

	if (consent == NULL) {
		say(g, AUDIT_BAD, "what it cites is no consent");
		return;
	}
	need = need_of(g, purpose, sizeof(purpose));
	verdict = consent_judge(state, consent, &need, day);
	buf_init(&why, 400);
	if (verdict.lack == CONSENT_LACKS_RECIPIENT && !g->member_known) {
		say(g, AUDIT_OPEN,
			"consent %.*s does not name the node; whether it names its country the "
			"directory says, which is not there",
			BYTES_FMT(state_text(state, consent->id)));
	} else if (verdict.lack != CONSENT_COVERS) {
		consent_say(state, consent, &verdict, "the grant", &why);
		say(g, AUDIT_BAD, "consent %.*s %s", BYTES_FMT(state_text(state, consent->id)),
			buf_cstr(&why));
	}
	buf_release(&why);
	until = value_day(g->event, "until");
	if (state_consent_span(state, consent, &first, &last) && (until == 0 || until > last))
		say(g, AUDIT_BAD, "it goes on after its consent has ended");
}

/* An earlier grant on the same consent was taken back since the consent was withdrawn. */
static bool withdrawn_before(const struct grant *g)
{
	for (size_t i = 0; i < g->audit->withdrawal_count; i++) {
		const struct withdrawal *w = &g->audit->withdrawals[i];

		if (place_compare(&w->at, &g->part->at) < 0 &&
			memcmp(w->consent.b, g->consent.b, EVENT_ID_SIZE) == 0)
			return true;
	}
	return false;
}

static enum err check_consent(struct grant *g)
{
	const struct part *part;
	struct case_state *state;

	g->range = range_of(&g->audit->consents, &g->case_ref);
	part = find_consent(g, g->range, true);

	if (!g->has_consent || !g->has_leaf) {
		say(g, AUDIT_BAD, "it cites no consent");
		return OK;
	}
	if (part == NULL) {
		say_missing(g);
		return OK;
	}
	if (place_compare(&part->at, &g->part->at) > 0) {
		say(g, AUDIT_BAD, "the consent it cites was recorded after it");
		return OK;
	}
	TRY(fold_before(g, &state));
	check_covered(g, state);
	case_state_free(state);
	if (!bad(g) && withdrawn_before(g))
		say(g, AUDIT_BAD,
			"an earlier grant was taken back since this consent was withdrawn");
	return OK;
}

/* --- the other bases --- */

static bool about_case(const struct event *event, const struct case_ref *case_ref)
{
	struct case_ref ref;

	return case_ref_parse(value_text(event, "case"), &ref) == OK &&
	       memcmp(ref.b, case_ref->b, CASE_REF_SIZE) == 0;
}

/* What a BREAK_GLASS says of the opening that the grant rests on; docs/EVENTS, "Without consent".
 */
static bool says(const struct grant *g, const struct event *event, const char *decision)
{
	struct bytes opening = value_text(g->event, "mandate_ref");

	return event->type == EVENT_BREAK_GLASS && opening.size > 0 &&
	       bytes_equal(value_text(event, "opening"), opening) &&
	       value_is(event, "decision", decision) && about_case(event, &g->case_ref);
}

/* It told what is given, and to whom, before it was given. */
static const struct event *find_opening(const struct grant *g)
{
	const struct list *list = &g->audit->ledger;

	for (size_t i = 0; i < list->count; i++) {
		const struct event *event = &list->parts[i].event;

		if (place_compare(&list->parts[i].at, &g->part->at) < 0 &&
			says(g, event, "OPENED") && value_is(event, "to", g->finding->recipient) &&
			(g->groups & ~value_groups(value_json(event, "groups"), NULL)) == 0)
			return event;
	}
	return NULL;
}

/* "NAME@NODE", of the node that gets the keys. */
static bool of_recipient(const struct grant *g, struct bytes approver)
{
	const uint8_t *at = memchr(approver.data, '@', approver.size);
	size_t name = at == NULL ? approver.size : (size_t)(at - approver.data) + 1;

	return at != NULL &&
	       bytes_equal_str(bytes_make(at + 1, approver.size - name), g->finding->recipient);
}

static bool approved(const struct grant *g, const struct event *opening, const struct event *event)
{
	struct bytes at = value_json(event, "approvers"), one, who = value_text(opening, "who");

	if (!says(g, event, "APPROVED") || event->recorded_at > opening->recorded_at + APPROVAL_S)
		return false;
	while (value_next(&at, &one))
		if (one.size > 0 && !bytes_equal(one, who) && !of_recipient(g, one))
			return true;
	return false;
}

static bool taken_back(
	const struct grant *g, const struct event *opening, const struct event *event)
{
	struct event_id grant;

	return event->type == EVENT_ACCESS_REVOKED &&
	       event->recorded_at <= opening->recorded_at + APPROVAL_S + TAKEN_BACK_S &&
	       event_id_parse(value_text(event, "grant"), &grant) == OK &&
	       memcmp(grant.b, g->finding->grant.b, EVENT_ID_SIZE) == 0;
}

/* By whom it was opened, for these groups, and that somebody else approved in time; or that it was
 * taken back. */
static void check_emergency(struct grant *g)
{
	const struct list *list = &g->audit->ledger;
	const struct event *opening = find_opening(g);
	bool good = false, back = false;

	if (opening == NULL) {
		say(g, AUDIT_BAD,
			"the ledger did not say before that it was opened without consent");
		return;
	}
	for (size_t i = 0; i < list->count; i++) {
		good |= approved(g, opening, &list->parts[i].event);
		back |= taken_back(g, opening, &list->parts[i].event);
	}
	if (!good && back)
		say(g, AUDIT_GOOD, "nobody approved it, and it was taken back");
	else if (!good && g->audit->newest_s <= opening->recorded_at + APPROVAL_S)
		say(g, AUDIT_OPEN, "nobody has approved it yet");
	else if (!good)
		say(g, AUDIT_BAD,
			"nobody else approved it within 72 hours, and it was not taken back");
}

static void check_ledger(struct grant *g)
{
	if (g->groups != GROUP_BIT(GROUP_AUDIT))
		say(g, AUDIT_BAD, "it gives more than the ledger");
	else if (!g->member_known)
		say(g, AUDIT_OPEN, "the directory, which says who is an auditor, is not there");
	else if (!g->member.auditor)
		say(g, AUDIT_BAD, "its recipient is no auditor");
}

static enum err check_basis(struct grant *g)
{
	const char *basis = g->finding->basis;

	if (strcmp(basis, "LEDGER") != 0 && (g->groups & ~GROUP_SET_CASE) != 0)
		say(g, AUDIT_BAD, "it gives the ledger to somebody who is no auditor");
	else if (strcmp(basis, "CONSENT") == 0)
		return check_consent(g);
	else if (strcmp(basis, "BREAK_GLASS") == 0)
		check_emergency(g);
	else if (strcmp(basis, "LEDGER") == 0)
		check_ledger(g);
	else if (strcmp(basis, "REPLY") == 0)
		say(g, AUDIT_OPEN, "it answers a grant of its recipient's, whose ledger has that");
	else if (strcmp(basis, "MANDATE") == 0 && value_text(g->event, "mandate_ref").size == 0)
		say(g, AUDIT_BAD, "it names no mandate");
	else if (strcmp(basis, "MANDATE") != 0)
		say(g, AUDIT_BAD, "it says nothing that it rests on");
	return OK;
}

static enum err judge_grant(
	const struct audit *audit, const struct audit_judge *judge, const struct part *part)
{
	struct audit_finding finding = {
		.verdict = AUDIT_GOOD, .at = part->at, .grant = part->info.event_id, .basis = ""};
	struct grant g = {.audit = audit,
		.judge = judge,
		.part = part,
		.event = &part->event,
		.finding = &finding};

	read_grant(&g);
	if (!bad(&g))
		check_commitment(&g);
	if (!bad(&g))
		TRY(check_basis(&g));
	judge->found(judge->arg, &finding);
	return OK;
}

/* --- erasures --- */

enum { ORDER_SIZE = 16 };

/* An event of the ledger, by the order that it names. */
struct named {
	uint8_t order[ORDER_SIZE];
	const struct part *part;
};

static int by_order(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int c = memcmp(x->order, y->order, ORDER_SIZE);

	return c != 0 ? c : place_compare(&x->part->at, &y->part->at);
}

static int by_first(const void *a, const void *b)
{
	return place_compare(
		&((const struct audit_erasure *)a)->at, &((const struct audit_erasure *)b)->at);
}

static size_t values(const struct event *event, const char *name)
{
	struct bytes at = value_json(event, name), one;
	size_t count = 0;

	while (value_next(&at, &one))
		count++;
	return count;
}

static void begin_erasure(struct audit_erasure *erasure, const struct named *named)
{
	const struct event *event = &named->part->event;
	struct bytes by = value_text(event, "by");

	*erasure = (struct audit_erasure){.at = named->part->at, .begun_s = event->recorded_at};
	hex_encode(BYTES_ARRAY(named->order), erasure->order);
	if (case_ref_parse(value_text(event, "case"), &erasure->case_ref) != OK)
		memset(&erasure->case_ref, 0, sizeof(erasure->case_ref));
	if (node_name_valid(by))
		memcpy(erasure->by, by.data, by.size);
}

/* Events of one stage each name some of its keys; the list of nodes is the same in all. */
static void add_stage(struct audit_erasure *erasure, const struct event *event)
{
	bool complete = value_is(event, "stage", "COMPLETE");

	erasure->ordered |= value_is(event, "stage", "ORDERED");
	erasure->obeyed |= value_is(event, "stage", "OBEYED");
	erasure->complete |= complete;
	if (!complete)
		erasure->keys += values(event, "key_ids");
	else
		erasure->confirmed = values(event, "nodes_confirmed");
	if (event->recorded_at > erasure->ended_s)
		erasure->ended_s = event->recorded_at;
}

static size_t name_orders(const struct list *ledger, struct named *ret)
{
	size_t count = 0;

	for (size_t i = 0; i < ledger->count; i++) {
		const struct part *part = &ledger->parts[i];

		if (part->info.type == EVENT_KEYS_ERASED &&
			hex_decode(value_text(&part->event, "order_id"), ret[count].order,
				ORDER_SIZE) == OK)
			ret[count++].part = part;
	}
	if (count > 0)
		qsort(ret, count, sizeof(*ret), by_order);
	return count;
}

static void tell_erasures(const struct audit_judge *judge, const struct named *named, size_t count,
	struct audit_erasure *erasures)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		if (i == 0 || memcmp(named[i - 1].order, named[i].order, ORDER_SIZE) != 0)
			begin_erasure(&erasures[found++], &named[i]);
		add_stage(&erasures[found - 1], &named[i].part->event);
	}
	if (found > 0)
		qsort(erasures, found, sizeof(*erasures), by_first);
	for (size_t i = 0; i < found; i++)
		judge->erased(judge->arg, &erasures[i]);
}

static enum err judge_erasures(const struct audit *audit, const struct audit_judge *judge)
{
	struct named *named = mem_array(audit->ledger.count + 1, sizeof(*named));
	struct audit_erasure *erasures = NULL;
	size_t count;

	if (named == NULL)
		return ERR_NOMEM;
	count = name_orders(&audit->ledger, named);
	erasures = mem_array(count + 1, sizeof(*erasures));
	if (erasures != NULL)
		tell_erasures(judge, named, count, erasures);
	mem_free(named);
	mem_free(erasures);
	return erasures == NULL ? ERR_NOMEM : OK;
}

enum err audit_judge(struct audit *audit, const struct audit_judge *judge)
{
	drop_repeats(&audit->ledger);
	TRY(read_ledger(audit));
	TRY(find_withdrawals(audit));
	sort(&audit->ledger, by_place);
	sort(&audit->consents, by_case);
	for (size_t i = 0; i < audit->ledger.count; i++)
		if (audit->ledger.parts[i].info.type == EVENT_ACCESS_GRANTED)
			TRY(judge_grant(audit, judge, &audit->ledger.parts[i]));
	return judge->erased == NULL ? OK : judge_erasures(audit, judge);
}
