/*
 * Random streams of events of all types, made from the schema's table, of one node and of two that
 * meet now and then.
 *
 * One node: whatever rules_check lets through never reaches an illegal state. The checker is
 * written from the diagrams of docs/EVENTS and from the words there about consents, not from the
 * code: it judges the whole stream again when it is over.
 *
 * Two nodes: any order of arrival, each part any number of times, folds to the same timeline, marks
 * and state; and one event after the other gives the same state as all at once.
 *
 * SAUTI_SEEDS=N: that many seeds of each.
 */
#include "case_lines.h"

#include "cases/rules/rules.h"
#include "cases/schema/schema.h"

enum { EVENTS_MAX = 200 };

static const char end_of_days[] = "2025-12-31";

/* --- chance --- */

static uint64_t seed_now;

static unsigned draw(unsigned below)
{
	seed_now ^= seed_now << 13;
	seed_now ^= seed_now >> 7;
	seed_now ^= seed_now << 17;
	return (unsigned)(seed_now * UINT64_C(2685821657736338717) >> 33) % below;
}
static bool chance(unsigned percent)
{
	return draw(100) < percent;
}
#define PICK(array) array[draw(sizeof array / sizeof array[0])]

/* --- the world --- */

struct node {
	bool known[EVENTS_MAX];
	struct case_state *state; /* of what it knows */
	uint64_t clock;           /* seconds since 1970 */
	char office[4];
};
static struct {
	struct event events[EVENTS_MAX];
	size_t count;
	struct node nodes[2];
} world;

static void put_day(struct buf *out, int offset)
{
	char text[21];

	event_time_text(world.nodes[0].clock + (uint64_t)((int64_t)offset * 86400), text);
	buf_printf(out, "\"%.10s\"", text);
}

static void put_event(struct buf *out)
{
	char id[EVENT_ID_TEXT + 1];

	event_id_text(&world.events[draw((unsigned)world.count)].id, id);
	buf_printf(out, "\"%s\"", id);
}

static const char *id_for(const char *field)
{
	static const char *const of[][4] = {
		{"consent_id", "C-1", "C-2", "C-3"},
		{"referral_id", "R-1", "R-2", "R-1"},
		{"allegation_ref", "A-1", "A-2", "A-1"},
		{"claim_id", "F-1", "F-2", "F-1"},
		{"concern_id", "K-1", "K-2", "K-1"},
		{"complaint_id", "Q-1", "Q-1", "Q-2"},
	};

	for (size_t i = 0; i < sizeof of / sizeof of[0]; i++)
		if (strcmp(of[i][0], field) == 0)
			return of[i][1 + draw(3)];
	return (const char *[]){"P-1", "P-2", "P-3"}[draw(3)];
}

static void put_text(struct buf *out, const struct schema_field *field);

/* A list of one or two different ones. */
static void put_list(struct buf *out, const struct schema_field *field)
{
	struct schema_field one = *field;
	size_t first;

	buf_put_u8(out, '[');
	first = out->size;
	put_text(out, &one);
	if (chance(50)) {
		size_t size = out->size - first;

		buf_put_u8(out, ',');
		put_text(out, &one);
		if (out->size - first == 2 * size + 1 &&
			memcmp(out->data + first, out->data + first + size + 1, size) == 0)
			out->size = first + size;
	}
	buf_put_u8(out, ']');
}

static void put_text(struct buf *out, const struct schema_field *field)
{
	static const char *const names[] = {"ZZ-ORG-1", "ZZ-ORG-2", "CAF", "HTI"};
	static const char *const officers[] = {"ada", "bo", "cy"};
	static const char *const groups[] = {"contact", "services", "health", "identity"};

	switch (field->kind) {
	case FIELD_CODE:
	case FIELD_CODES:
		buf_printf(
			out, "\"%s\"", field->list->codes[draw((unsigned)field->list->count)].name);
		return;
	case FIELD_DATE:
	case FIELD_DAY:
		put_day(out, chance(80) ? -(int)draw(60) : (int)draw(200));
		return;
	case FIELD_YEAR:
		buf_put_str(out, "\"2015\"");
		return;
	case FIELD_ID:
	case FIELD_IDS:
		buf_printf(out, "\"%s\"", id_for(field->name));
		return;
	case FIELD_EVENT:
	case FIELD_EVENTS:
		put_event(out);
		return;
	case FIELD_GROUPS:
		buf_printf(out, "\"%s\"", PICK(groups));
		return;
	case FIELD_OFFICER:
	case FIELD_OFFICERS:
		buf_printf(out, "\"%s\"", PICK(officers));
		return;
	case FIELD_COUNTRY:
		buf_put_str(out, "\"HTI\"");
		return;
	case FIELD_LANGUAGE:
		buf_put_str(out, "\"fr\"");
		return;
	case FIELD_CURRENCY:
		buf_put_str(out, "\"USD\"");
		return;
	case FIELD_AMOUNT:
		buf_put_str(out, "\"12.50\"");
		return;
	case FIELD_COUNT:
		buf_put_u8(out, '3');
		return;
	case FIELD_ANSWERS:
		buf_put_str(out, "\"Y\"");
		return;
	case FIELD_WINDOWS:
		buf_put_str(out, "\"08:00-12:00\"");
		return;
	case FIELD_CASE_CODE:
		buf_put_str(out, "\"ZZ-HTI-1\"");
		return;
	case FIELD_HASH:
		buf_printf(out, "\"%064u\"", draw(1000));
		return;
	case FIELD_REF:
	case FIELD_REFS:
		buf_printf(out, "\"%032u\"", draw(1000));
		return;
	default:
		buf_printf(out, "\"%s\"", PICK(names));
	}
}

static void put_value(struct buf *out, const struct schema_field *field)
{
	if (schema_kind_is_list(field->kind))
		put_list(out, field);
	else
		put_text(out, field);
}

/* A CORRECTION of some event, mostly by a value that its field takes. */
static void put_correction(struct buf *out)
{
	const struct event *target = &world.events[draw((unsigned)world.count)];
	const struct schema_type *type = schema_type_get(target->type);
	const struct schema_field *field = schema_field_at(type, draw((unsigned)type->field_count));
	char id[EVENT_ID_TEXT + 1];

	event_id_text(&target->id, id);
	buf_printf(out,
		",\"corrects\":\"%s\",\"field\":\"%s\",\"reason\":\"ERROR\",\"new_value\":", id,
		field->name);
	put_value(out, field);
}

static struct timeline *timeline_of(const bool *known);

/* A choice in a conflict that the node sees; false: there is none. */
static bool put_choice(struct buf *out, const struct node *node)
{
	struct timeline *timeline = timeline_of(node->known);
	char chosen[EVENT_ID_TEXT + 1], over[EVENT_ID_TEXT + 1];
	bool found = false;
	size_t other;

	for (size_t i = 0; i < timeline_count(timeline) && !found; i++) {
		found = timeline_conflict(timeline, i, 0, &other);
		if (!found)
			continue;
		event_id_text(&timeline_event(timeline, chance(50) ? i : other)->id, chosen);
		event_id_text(&timeline_event(timeline, i)->id, over);
		if (strcmp(chosen, over) == 0)
			event_id_text(&timeline_event(timeline, other)->id, over);
		buf_printf(out, ",\"chosen\":\"%s\",\"over\":[\"%s\"]", chosen, over);
	}
	timeline_free(timeline);
	return found;
}

/* One that covers something. */
static void put_consent(struct buf *out)
{
	static const char *const purposes[] = {"CASE_MGMT", "CASE_MGMT", "REFERRAL", "REFERRAL",
		"TRANSFER", "PATERNITY", "STATISTICS"};
	static const char *const recipients[] = {
		"[\"ZZ-ORG-1\"]", "[\"CAF\",\"ZZ-ORG-1\"]", "[\"CAF\",\"HTI\"]"};
	static const char *const givers[] = {"VICTIM", "VICTIM", "VICTIM", "MATURE_MINOR",
		"GUARDIAN\",\"guardian_ref\":\"P-1", "GUARDIAN\",\"guardian_ref\":\"P-2"};

	buf_printf(out, ",\"purpose\":\"%s\",\"given_by\":\"%s\",\"form\":\"AUDIO\"",
		PICK(purposes), PICK(givers));
	if (chance(90))
		buf_printf(out, ",\"recipients\":%s", PICK(recipients));
	if (chance(60))
		buf_put_str(out, ",\"groups\":[\"contact\",\"services\",\"health\"]");
	if (chance(10))
		buf_put_str(out, ",\"services\":[\"MED\"]");
	if (chance(10))
		buf_put_str(out, ",\"withhold_from\":[\"ZZ-ORG-1\"]");
	if (chance(20)) {
		buf_put_str(out, ",\"review_at_majority_on\":");
		put_day(out, (int)draw(300));
	}
	buf_put_str(out, ",\"valid_until\":");
	put_day(out, 30 + (int)draw(300));
}

static void put_fields(struct buf *out, const struct schema_type *type, const struct node *node)
{
	struct case_summary summary;

	if (type->number == EVENT_CORRECTION) {
		put_correction(out);
		return;
	}
	case_state_summary(node->state, end_of_days, &summary);
	if (type->number == EVENT_CONFLICT_RESOLVED && summary.conflicts > 0 &&
		put_choice(out, node))
		return;
	if (type->number == EVENT_CONSENT_RECORDED && chance(90)) {
		put_consent(out);
		return;
	}
	if (type->number == EVENT_REFERRAL_MADE)
		buf_printf(
			out, ",\"%s\"", chance(60) ? "to_org\":\"ZZ-ORG-1" : "to_office\":\"CAF");
	if (type->number == EVENT_LEGAL_HOLD)
		buf_put_str(out, ",\"approvers\":[\"ada\",\"bo\"]");
	for (size_t i = 0; i < type->field_count; i++) {
		const struct schema_field *field = &type->fields[i];
		bool filled = field->preset != NULL && strstr(field->preset, "-#") != NULL;
		bool meant = field->required && field->kind == FIELD_ID;
		bool consent = strcmp(field->name, "consent_ref") == 0;

		if (strcmp(field->name, "to_org") == 0 || strcmp(field->name, "approvers") == 0 ||
			(strcmp(field->name, "to_office") == 0 &&
				type->number == EVENT_REFERRAL_MADE) ||
			!chance(filled || consent ? 10
				: meant           ? 60
				: field->required ? 98
						  : 30))
			continue;
		buf_printf(out, ",\"%s\":", field->name);
		put_value(out, field);
	}
}

static uint32_t some_type(void)
{
	static const uint32_t often[] = {EVENT_CONSENT_RECORDED, EVENT_REFERRAL_MADE,
		EVENT_REFERRAL_ANSWERED, EVENT_REFERRAL_ENDED, EVENT_PATERNITY_STAGE,
		EVENT_INVESTIGATION_STAGE, EVENT_CONTACT, EVENT_CORRECTION, EVENT_CONFLICT_RESOLVED,
		EVENT_ALLEGATION_RECORDED, EVENT_PROTECTION_ACTION, EVENT_OFFICER_ASSIGNED};
	uint32_t type;

	if (chance(60))
		return PICK(often);
	do
		type = 1 + draw(EVENT_TYPE_LAST);
	while (event_type_get(type)->rule == EVENT_RULE_LEDGER ||
		(type == EVENT_CASE_CLOSED && chance(80)) ||
		(type == EVENT_COMPLAINT_RECEIVED && chance(50)));
	return type;
}

static void make_event(const struct node *node, uint32_t number, struct event *ret)
{
	const struct schema_type *type = schema_type_get(number);
	char id[EVENT_ID_TEXT + 1], at[21], day[21];
	struct errctx ctx = {""};
	struct buf line;

	line_id((unsigned)world.count * 3 + draw(3), id);
	event_time_text(node->clock, at);
	event_time_text(node->clock - (chance(75) ? 0 : (uint64_t)draw(200) * 86400), day);
	day[chance(5) ? 0 : chance(5) ? 7 : chance(5) ? 4 : 10] = 0;
	buf_init(&line, LIMIT_EVENT_JSON);
	buf_printf(&line,
		"{\"type\":\"%s\",\"event_id\":\"%s\",\"case_ref\":\"" CASE_LINE_REF
		"\",\"occurred_on\":\"%s\",\"recorded_at\":\"%s\",\"recorded_by\":\"%s\","
		"\"office\":\"%s\"",
		event_type_get(number)->name, id, day, at, chance(50) ? "ada" : "bo", node->office);
	if (world.count > 0 && chance(3)) {
		buf_put_str(&line, ",\"supersedes\":[");
		put_event(&line);
		buf_put_u8(&line, ']');
	}
	put_fields(&line, type, node);
	buf_put_u8(&line, '}');
	if (event_parse(buf_bytes(&line), ret, &ctx) != OK)
		fail_msg("%s: %s", ctx.text, buf_cstr(&line));
	buf_release(&line);
}

/* --- folding --- */

static struct timeline *timeline_of(const bool *known)
{
	struct timeline *timeline;

	assert_ok(timeline_new(&timeline));
	for (size_t i = 0; i < world.count; i++)
		if (known == NULL || known[i])
			line_add(timeline, NULL, &world.events[i]);
	assert_ok(timeline_finish(timeline));
	assert_int_equal(timeline_left_out(timeline), 0);
	return timeline;
}

static struct case_state *state_of(const bool *known)
{
	struct timeline *timeline = timeline_of(known);
	struct case_state *state;

	assert_ok(timeline_state(timeline, &state));
	timeline_free(timeline);
	return state;
}

static void assert_same_state(const struct case_state *a, const struct case_state *b)
{
	char *x = state_dump(a, end_of_days), *y = state_dump(b, end_of_days);

	assert_string_equal(x, y);
	free(x);
	free(y);
}

/* The node learns of an event: by itself if that can be, else all anew; both say the same. */
static void learn(struct node *node, size_t i)
{
	enum err err = case_state_apply(node->state, &world.events[i]);
	struct case_state *whole;

	node->known[i] = true;
	assert_true(err == OK || err == ERR_AGAIN);
	if (err == OK && !chance(10))
		return;
	whole = state_of(node->known);
	if (err == OK)
		assert_same_state(node->state, whole);
	case_state_free(node->state);
	node->state = whole;
}

static bool record(struct node *node, uint32_t type)
{
	struct event *event = &world.events[world.count];
	char today[21];
	struct rules_context context = {.today = today, .node = "haiti"};

	event_time_text(node->clock, today);
	today[10] = 0;
	*event = (struct event){0};
	make_event(node, type, event);
	if (rules_fill(node->state, event, &context, NULL) != OK ||
		schema_check(event, NULL) != OK ||
		rules_check(node->state, event, &context, NULL) != OK) {
		event_release(event);
		return false;
	}
	learn(node, world.count++);
	return true;
}

static void world_begin(uint64_t seed, size_t nodes)
{
	seed_now = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
	world.count = 0;
	for (size_t n = 0; n < nodes; n++) {
		memset(world.nodes[n].known, 0, sizeof world.nodes[n].known);
		assert_ok(case_state_new(&world.nodes[n].state));
		memcpy(world.nodes[n].office, n == 0 ? "HTI" : "CAF", 4);
		world.nodes[n].clock = 1704067200 + draw(7200); /* 2024-01-01, not quite set */
	}
	while (!record(&world.nodes[0], EVENT_CASE_OPENED))
		;
	if (nodes == 2)
		learn(&world.nodes[1], 0);
}

static void world_end(size_t nodes)
{
	for (size_t n = 0; n < nodes; n++)
		case_state_free(world.nodes[n].state);
	for (size_t i = 0; i < world.count; i++)
		event_release(&world.events[i]);
}

/* --- the checker --- */

/* JSON of a field of event i, as known when the first `until` events were recorded. */
static const char *value_at(size_t until, size_t i, const char *field)
{
	const char *json = event_field_json(&world.events[i], field);
	char id[EVENT_ID_TEXT + 3], name[EVENT_FIELD_NAME_MAX + 3];

	id[0] = '"';
	event_id_text(&world.events[i].id, id + 1);
	strcat(id, "\"");
	snprintf(name, sizeof name, "\"%s\"", field);
	for (size_t c = i + 1; c < until; c++)
		if (world.events[c].type == EVENT_CORRECTION &&
			strcmp(event_field_json(&world.events[c], "corrects"), id) == 0 &&
			strcmp(event_field_json(&world.events[c], "field"), name) == 0)
			json = value_at(until, c, "new_value");
	return json;
}

/* Without quotes; "" when absent. */
static const char *text_at(size_t until, size_t i, const char *field)
{
	static char texts[8][200];
	static unsigned turn;
	const char *json = value_at(until, i, field);
	char *text = texts[turn++ % 8];

	text[0] = 0;
	if (json != NULL && json[0] == '"')
		snprintf(text, 200, "%.*s", (int)strlen(json) - 2, json + 1);
	return text;
}

static bool is(size_t until, size_t i, const char *field, const char *text)
{
	return strcmp(text_at(until, i, field), text) == 0;
}

/* "from > to" of each machine; "-" is the beginning. */
static const char *const referrals[] = {"- > MADE", "MADE > ACCEPTED", "MADE > PARTIAL",
	"MADE > DECLINED", "PARTIAL > ACCEPTED", "ACCEPTED > DONE", "PARTIAL > DONE",
	"ACCEPTED > NO_SHOW", "PARTIAL > NO_SHOW", "MADE > REVOKED_BY_SENDER",
	"ACCEPTED > REVOKED_BY_SENDER", "PARTIAL > REVOKED_BY_SENDER", "MADE > WITHDRAWN_BY_VICTIM",
	"ACCEPTED > WITHDRAWN_BY_VICTIM", "PARTIAL > WITHDRAWN_BY_VICTIM", "MADE > EXPIRED",
	"ACCEPTED > EXPIRED", "PARTIAL > EXPIRED", NULL};
static const char *const transfers[] = {"- > OFFERED", "OFFERED > ACCEPTED", "OFFERED > DECLINED",
	"OFFERED > REVOKED", "ACCEPTED > OFFERED", "DECLINED > OFFERED", "REVOKED > OFFERED", NULL};
static const char *const complaints[] = {"- > RECEIVED", "RECEIVED > ACKNOWLEDGED",
	"ACKNOWLEDGED > UNDER_REVIEW", "UNDER_REVIEW > UPHELD", "UNDER_REVIEW > PARTLY_UPHELD",
	"UNDER_REVIEW > NOT_UPHELD", "RECEIVED > WITHDRAWN", "ACKNOWLEDGED > WITHDRAWN",
	"UNDER_REVIEW > WITHDRAWN", NULL};
static const char *const concerns[] = {"- > OPEN", "OPEN > RESOLVED", NULL};
static const char *const outcomes[] = {"- > PENDING", "- > SUBSTANTIATED", "- > UNSUBSTANTIATED",
	"- > CLOSED_OTHER", "PENDING > SUBSTANTIATED", "PENDING > UNSUBSTANTIATED",
	"PENDING > CLOSED_OTHER", NULL};

static bool listed(const char *const *moves, const char *from, const char *to)
{
	char move[100];

	snprintf(move, sizeof move, "%s > %s", from, to);
	for (; *moves != NULL; moves++)
		if (strcmp(*moves, move) == 0)
			return true;
	return false;
}

/* Where a code stands in a list; -1. */
static int rank(const char *const *codes, const char *code)
{
	for (int i = 0; codes[i] != NULL; i++)
		if (strcmp(codes[i], code) == 0)
			return i;
	return -1;
}

static bool claim_legal(const char *from, const char *to)
{
	static const char *const way[] = {"-", "RECEIVED", "MS_NOTIFIED", "FOCAL_POINT_NAMED",
		"SUBJECT_LOCATED", "DNA_CONSENT", "DNA_COLLECTED", "DNA_SENT", NULL};
	static const char *const ground[] = {
		"DNA_COLLECTED", "DNA_SENT", "ADMITTED", "RESULT_POSITIVE", NULL};
	static const char *const ways_out[] = {
		"CLOSED_WITHDRAWN", "CLOSED_SUBJECT_DECEASED", "CLOSED_NO_RESPONSE", NULL};
	static const char *const rights[] = {
		"LEGAL_RECOGNITION", "SUPPORT_ORDER", "SUPPORT_PAYING", NULL};
	int a = rank(way, from), b = rank(way, to);

	if (strncmp(from, "CLOSED_", 7) == 0)
		return false;
	if (strcmp(from, "-") == 0 || strcmp(to, "RECEIVED") == 0)
		return strcmp(from, "-") == 0 && strcmp(to, "RECEIVED") == 0;
	if (rank(ways_out, to) >= 0)
		return true;
	if (strcmp(to, "DNA_SENT") == 0)
		return strcmp(from, "DNA_COLLECTED") == 0;
	if (a >= 0 && b >= 0)
		return a < b;
	if (strcmp(to, "DNA_COLLECTED") == 0)
		return strcmp(from, "RESULT_NEGATIVE") == 0;
	if (strcmp(to, "ADMITTED") == 0)
		return a >= 0 || strncmp(from, "RESULT_", 7) == 0;
	if (strncmp(to, "RESULT_", 7) == 0)
		return rank(ground, from) >= 0 && strcmp(from, "RESULT_POSITIVE") != 0;
	if (strcmp(to, "CLOSED_NOT_FATHER") == 0)
		return strcmp(from, "RESULT_NEGATIVE") == 0;
	if (strcmp(to, "CLOSED_RESOLVED") == 0)
		return rank(rights, from) >= 0;
	if (strcmp(to, "LEGAL_RECOGNITION") == 0)
		return rank(ground, from) >= 0 || strcmp(from, "SUPPORT_ORDER") == 0;
	if (strcmp(to, "SUPPORT_ORDER") == 0)
		return rank(ground, from) >= 0 || strcmp(from, "LEGAL_RECOGNITION") == 0 ||
		       strcmp(from, "SUPPORT_PAYING") == 0;
	return strcmp(to, "SUPPORT_PAYING") == 0 && strcmp(from, "SUPPORT_ORDER") == 0;
}

static bool investigation_legal(const char *from, const char *to)
{
	static const char *const early[] = {
		"RECEIVED", "PRELIM_ASSESSMENT", "LIMITED_INFO_REVIEW", NULL};
	static const char *const work[] = {"REFERRED_MEMBER_STATE", "UNDER_INVESTIGATION", NULL};
	bool ends = strcmp(to, "COMPLETED") == 0 || strcmp(to, "CLOSED_OTHER") == 0;

	if (strcmp(from, to) == 0)
		return false;
	if (strcmp(from, "-") == 0)
		return !ends;
	if (strcmp(from, "COMPLETED") == 0 || strcmp(from, "CLOSED_OTHER") == 0)
		return strcmp(to, "UNDER_INVESTIGATION") == 0;
	if (ends)
		return strcmp(to, "CLOSED_OTHER") == 0 || strcmp(from, "LIMITED_INFO_REVIEW") != 0;
	if (rank(early, to) >= 0)
		return rank(early, from) >= 0 && strcmp(to, "RECEIVED") != 0;
	return rank(early, from) >= 0 || rank(work, from) >= 0;
}

struct thing {
	char kind, id[SCHEMA_ID_MAX + 1];
	char status[40], outcome[40];
	char since[21]; /* the day of its last move */
};
static struct thing things[EVENTS_MAX];
static size_t thing_count;

static struct thing *thing(char kind, const char *id)
{
	for (size_t i = 0; i < thing_count; i++)
		if (things[i].kind == kind && strcmp(things[i].id, id) == 0)
			return &things[i];
	things[thing_count] = (struct thing){.kind = kind, .status = "-", .outcome = "-"};
	snprintf(things[thing_count].id, sizeof things[0].id, "%s", id);
	return &things[thing_count++];
}

/* The last day a date may mean; what has none, the day it was recorded. */
static void last_day(const struct event *event, char ret[21])
{
	event_time_text(event->recorded_at, ret);
	ret[10] = 0;
	if (event->occurred_on[0] != 0)
		snprintf(ret, 21, "%.10s%s", event->occurred_on,
			strlen(event->occurred_on) == 4   ? "-12-31"
			: strlen(event->occurred_on) == 7 ? "-31"
							  : "");
}

/* The first. */
static void first_day(const struct event *event, char ret[21])
{
	last_day(event, ret);
	if (event->occurred_on[0] != 0)
		snprintf(ret, 21, "%.10s%s", event->occurred_on,
			strlen(event->occurred_on) == 4   ? "-01-01"
			: strlen(event->occurred_on) == 7 ? "-01"
							  : "");
}

static void step(size_t i, char kind, const char *id, const char *to)
{
	struct thing *it = thing(kind, id);
	const char *const *moves = kind == 'R'   ? referrals
				   : kind == 'T' ? transfers
				   : kind == 'Q' ? complaints
						 : concerns;
	char day[21];
	bool legal;

	last_day(&world.events[i], day);
	if (strcmp(day, it->since) < 0) {
		if (kind != 'F' && kind != 'A')
			fail_msg("%c %s: %s before its time", kind, id, to);
		return; /* history */
	}
	legal = kind == 'F'   ? claim_legal(it->status, to)
		: kind == 'A' ? investigation_legal(it->status, to)
			      : listed(moves, it->status, to);
	if (!legal)
		fail_msg("%c %s: %s > %s", kind, id, it->status, to);
	if (kind == 'A' &&
		(strcmp(it->status, "COMPLETED") == 0 || strcmp(it->status, "CLOSED_OTHER") == 0))
		strcpy(it->outcome, "-");
	snprintf(it->status, sizeof it->status, "%s", to);
	first_day(&world.events[i], it->since);
}

/* Machines, with all corrections made. */
static void check_steps(void)
{
	size_t all = world.count;
	bool closed = false;

	thing_count = 0;
	for (size_t i = 0; i < all; i++) {
		const char *id;

		switch (world.events[i].type) {
		case EVENT_REFERRAL_MADE:
			step(i, 'R', text_at(all, i, "referral_id"), "MADE");
			break;
		case EVENT_REFERRAL_ANSWERED:
			step(i, 'R', text_at(all, i, "referral_id"), text_at(all, i, "answer"));
			break;
		case EVENT_REFERRAL_ENDED:
			step(i, 'R', text_at(all, i, "referral_id"), text_at(all, i, "end"));
			break;
		case EVENT_TRANSFER_OFFERED:
			step(i, 'T', text_at(all, i, "to_office"), "OFFERED");
			break;
		case EVENT_TRANSFER_ANSWERED:
			step(i, 'T', text_at(all, i, "to_office"), text_at(all, i, "answer"));
			break;
		case EVENT_PATERNITY_OPENED:
			step(i, 'F', text_at(all, i, "claim_id"), "RECEIVED");
			break;
		case EVENT_PATERNITY_STAGE:
			step(i, 'F', text_at(all, i, "claim_id"), text_at(all, i, "stage"));
			break;
		case EVENT_INVESTIGATION_STAGE:
			step(i, 'A', text_at(all, i, "allegation_ref"), text_at(all, i, "stage"));
			break;
		case EVENT_INVESTIGATION_OUTCOME:
			id = text_at(all, i, "allegation_ref");
			if (strcmp(thing('A', id)->status, "-") == 0 ||
				!listed(outcomes, thing('A', id)->outcome,
					text_at(all, i, "outcome")))
				fail_msg("outcome of %s", id);
			snprintf(thing('A', id)->outcome, 40, "%s", text_at(all, i, "outcome"));
			break;
		case EVENT_PROTECTION_CONCERN:
			step(i, 'K', text_at(all, i, "concern_id"), "OPEN");
			break;
		case EVENT_PROTECTION_ACTION:
			id = text_at(all, i, "concern_id");
			assert_string_equal(thing('K', id)->status, "OPEN");
			if (value_at(all, i, "resolved_on") != NULL)
				step(i, 'K', id, "RESOLVED");
			break;
		case EVENT_COMPLAINT_RECEIVED:
			id = text_at(all, i, "complaint_id");
			step(i, 'Q', id, "RECEIVED");
			if (value_at(all, i, "acknowledged_on") != NULL)
				step(i, 'Q', id, "ACKNOWLEDGED");
			break;
		case EVENT_COMPLAINT_STAGE:
			step(i, 'Q', text_at(all, i, "complaint_id"), text_at(all, i, "stage"));
			break;
		case EVENT_CASE_CLOSED:
			assert_false(closed);
			closed = true;
			break;
		case EVENT_CASE_REOPENED:
			assert_true(closed);
			closed = false;
			break;
		default:
			break;
		}
	}
}

/* The state says of every thing what the checker says. */
static void compare_things(const struct case_state *state)
{
	static const struct {
		enum item_kind kind;
		char letter;
	} kinds[] = {{ITEM_REFERRAL, 'R'}, {ITEM_TRANSFER, 'T'}, {ITEM_CLAIM, 'F'},
		{ITEM_ALLEGATION, 'A'}, {ITEM_CONCERN, 'K'}, {ITEM_COMPLAINT, 'Q'}};
	struct item_view item;

	for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
		for (size_t n = 0; case_state_item(state, kinds[k].kind, n, &item); n++) {
			const char *status = thing(kinds[k].letter, item.id)->status;

			assert_string_equal(item.status, strcmp(status, "-") == 0 ? "" : status);
		}
}

/* Is the text in the JSON list? */
static bool in_list(const char *json, const char *text)
{
	char quoted[200];

	snprintf(quoted, sizeof quoted, "\"%s\"", text);
	return json != NULL && strstr(json, quoted) != NULL;
}

/* Event c is a consent that holds on the day, as known then. */
static bool holds(size_t until, size_t c, const char *day)
{
	const char *id = text_at(until, c, "consent_id");
	const char *majority = text_at(until, c, "review_at_majority_on");
	char keep[50], keep_majority[50];

	snprintf(keep, sizeof keep, "%s", id);
	snprintf(keep_majority, sizeof keep_majority, "%s", majority);
	if (world.events[c].type != EVENT_CONSENT_RECORDED ||
		strcmp(text_at(until, c, "valid_from"), day) > 0 ||
		strcmp(text_at(until, c, "valid_until"), day) < 0 ||
		(keep_majority[0] != 0 && strcmp(keep_majority, day) < 0))
		return false;
	for (size_t w = c + 1; w < until; w++)
		if (world.events[w].type == EVENT_CONSENT_WITHDRAWN &&
			is(until, w, "consent_id", keep) &&
			strcmp(text_at(until, w, "effective_at"), day) <= 0)
			return false;
	return true;
}

static bool managed(size_t until, const char *day)
{
	for (size_t c = 0; c < until; c++)
		if (world.events[c].type == EVENT_CONSENT_RECORDED &&
			is(until, c, "purpose", "CASE_MGMT") && holds(until, c, day))
			return true;
	return false;
}

static void check_referral(size_t i, const char *day)
{
	const char *to = text_at(i, i, "to_org")[0] != 0 ? "to_org" : "to_office";
	const char *groups = value_at(i, i, "shared_groups"), *covered;
	char id[EVENT_ID_TEXT + 1];
	size_t c = 0;

	for (; c < i; c++) {
		event_id_text(&world.events[c].id, id);
		if (is(i, i, "consent_ref", id))
			break;
	}
	assert_true(c < i);
	assert_true(holds(i, c, day));
	assert_true(is(i, c, "purpose", "REFERRAL"));
	assert_true(in_list(value_at(i, c, "recipients"), text_at(i, i, to)) ||
		    is(i, i, to, world.events[i].office));
	assert_false(in_list(value_at(i, c, "withhold_from"), text_at(i, i, to)));
	if (value_at(i, c, "services") != NULL)
		assert_true(in_list(value_at(i, c, "services"), text_at(i, i, "service_code")));
	covered = value_at(i, c, "groups");
	for (unsigned g = 1; g <= GROUP_CASE_LAST && groups != NULL; g++)
		if (in_list(groups, group_name((enum group)g)))
			assert_true(
				in_list(covered == NULL ? "[\"contact\",\"services\"]" : covered,
					group_name((enum group)g)));
}

/* Consents, as they were known when each event was recorded. */
static void check_consents(void)
{
	bool complaint = false;

	for (size_t i = 0; i < world.count; i++) {
		const struct event *event = &world.events[i];
		enum group main = event_type_get(event->type)->main;
		char day[21];

		complaint = complaint || event->type == EVENT_COMPLAINT_RECEIVED;
		if (event->precision != PRECISION_DAY)
			continue;
		last_day(event, day);
		if (event->type == EVENT_REFERRAL_MADE)
			check_referral(i, day);
		if (!complaint && !managed(i, day)) {
			bool ends = event->type == EVENT_REFERRAL_ENDED ||
				    event->type == EVENT_PATERNITY_STAGE ||
				    event->type == EVENT_PROTECTION_ACTION ||
				    event->type == EVENT_MANDATORY_REPORT ||
				    event->type == EVENT_CORRECTION;

			assert_true(main == GROUP_CORE || main == GROUP_CONTACT ||
				    main == GROUP_CONSENT || ends);
			if (event->type == EVENT_PERSON_RECORDED)
				assert_null(event_field_json(event, "names"));
		}
	}
}

/* --- the properties --- */

static unsigned accepted[EVENT_TYPE_LAST + 1];

static void one_node_stream(uint64_t seed)
{
	struct case_summary summary;

	world_begin(seed, 1);
	for (unsigned attempt = 0; attempt < 150 && world.count < EVENTS_MAX - 1; attempt++) {
		struct node *node = &world.nodes[0];

		node->clock += draw(100) < 70 ? draw(7200) + 1 : draw(20 * 86400) + 1;
		record(node, seed % 10 == 0 && chance(50) ? EVENT_COMPLAINT_STAGE
			     : attempt >= 6               ? some_type()
			     : seed % 10 == 0             ? EVENT_COMPLAINT_RECEIVED
							  : EVENT_CONSENT_RECORDED);
	}
	for (size_t i = 0; i < world.count; i++)
		accepted[world.events[i].type]++;
	case_state_summary(world.nodes[0].state, end_of_days, &summary);
	assert_int_equal(summary.irregular, 0);
	assert_int_equal(summary.conflicts, 0);
	check_consents();
	check_steps();
	compare_things(world.nodes[0].state);
	world_end(1);
}

static unsigned seeds(unsigned many)
{
	const char *asked = getenv("SAUTI_SEEDS");

	return asked == NULL ? many : (unsigned)strtoul(asked, NULL, 10);
}

static void never_an_illegal_state(void **unused)
{
	for (uint64_t seed = 1; seed <= seeds(800); seed++)
		one_node_stream(seed);
	/* The streams go everywhere: every type was recorded, some of them often. */
	for (uint32_t type = 1; type <= EVENT_TYPE_LAST; type++)
		if (event_type_get(type)->rule != EVENT_RULE_LEDGER &&
			type != EVENT_CONFLICT_RESOLVED && accepted[type] == 0)
			fail_msg("no stream has a %s", event_type_get(type)->name);
}

static char *timeline_text(const struct timeline *timeline)
{
	struct buf buf;
	char *text;

	buf_init(&buf, 10000000);
	timeline_json(timeline, &buf);
	for (size_t i = 0; i < timeline_count(timeline); i++)
		timeline_put_marks(timeline, i, &buf);
	text = strdup(buf_cstr(&buf));
	assert_ok(buf.err);
	buf_release(&buf);
	return text;
}

/* All events, in any order, some of them twice. */
static struct timeline *shuffled(void)
{
	size_t order[2 * EVENTS_MAX], count = 0;
	struct timeline *timeline;

	for (size_t i = 0; i < world.count; i++) {
		order[count++] = i;
		if (chance(30))
			order[count++] = i;
	}
	for (size_t i = count; i > 1; i--) {
		size_t j = draw((unsigned)i), keep = order[i - 1];

		order[i - 1] = order[j];
		order[j] = keep;
	}
	assert_ok(timeline_new(&timeline));
	for (size_t i = 0; i < count; i++)
		line_add(timeline, NULL, &world.events[order[i]]);
	assert_ok(timeline_finish(timeline));
	return timeline;
}

static unsigned conflicts_seen, resolved_seen;

static void two_nodes_stream(uint64_t seed)
{
	struct timeline *timeline, *other;
	struct case_state *state;
	char *text, *again;

	world_begin(seed, 2);
	for (unsigned attempt = 0; attempt < 60 && world.count < EVENTS_MAX - 1; attempt++) {
		struct node *node = &world.nodes[draw(2)];

		node->clock += draw(3 * 86400) + 1;
		record(node, attempt < 6 ? EVENT_CONSENT_RECORDED : some_type());
		for (size_t i = chance(15) ? 0 : world.count; i < world.count; i++)
			if (!node->known[i] && chance(95)) /* they meet, for a while */
				learn(node, i);
	}
	for (size_t n = 0; n < 2; n++)
		for (size_t i = world.count; i > 0; i--)
			if (!world.nodes[n].known[i - 1])
				learn(&world.nodes[n], i - 1);
	assert_same_state(world.nodes[0].state, world.nodes[1].state);
	timeline = timeline_of(NULL);
	text = timeline_text(timeline);
	conflicts_seen += timeline_conflict_count(timeline) > 0;
	resolved_seen += strstr(text, "\"overruled_by\"") != NULL;
	other = shuffled();
	again = timeline_text(other);
	assert_string_equal(text, again);
	assert_ok(timeline_state(other, &state));
	assert_same_state(state, world.nodes[0].state);
	case_state_free(state);
	timeline_free(timeline);
	timeline_free(other);
	free(text);
	free(again);
	world_end(2);
}

static void any_order_the_same(void **unused)
{
	for (uint64_t seed = 1; seed <= seeds(800); seed++)
		two_nodes_stream(seed);
	assert_true(conflicts_seen > 0);
	assert_true(resolved_seen > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_an_illegal_state),
		cmocka_unit_test(any_order_the_same),
	};

	return cmocka_run_group_tests(tests, setup_crypto, teardown_crypto);
}
