#include "cases_test.h"

#include "base/text.h"
#include "cases/event/event.h"
#include "cases/event/event_json.h"
#include "proto/codec.h"
#include "proto/part.pb-c.h"

#define ID  "01900000-0000-7000-8000-000000000001"
#define ID2 "01900000-0000-7000-8000-000000000002"
#define REF "00112233445566778899aabbccddeeff"
#define HEAD                                                                                       \
	"\"event_id\":\"" ID "\",\"case_ref\":\"" REF "\",\"occurred_on\":\"2024-02-29\","         \
	"\"precision\":\"D\",\"recorded_at\":\"2024-03-01T08:09:10Z\","                            \
	"\"recorded_by\":\"ZZ-officer\",\"office\":\"HTI\""
#define EVENT(type, fields) "{\"type\":\"" type "\"," HEAD fields "}"

static struct event parse(const char *line)
{
	struct event event;
	struct errctx ctx = {""};

	if (event_parse(bytes_str(line), &event, &ctx) != OK)
		fail_msg("%s", ctx.text);
	return event;
}

static void assert_writes(const struct event *event, const char *expected)
{
	struct buf buf;

	buf_init(&buf, LIMIT_EVENT_JSON * 2);
	event_write(event, &buf);
	assert_string_equal(buf_cstr(&buf), expected);
	buf_release(&buf);
}

static void round_trip(void **state)
{
	static const char line[] = EVENT("CONTACT",
		",\"language\":\"ht\",\"supersedes\":[\"" ID2 "\"],\"parents\":[\"" ID "\",\"" ID2
		"\"],\"consent_refs\":[\"" ID2 "\"],\"channel\":\"PHONE\",\"topics\":[\"OUTCOME\"],"
		"\"n\":-12,\"deep\":{\"b\":[true,null,{}],\"a\":\"\\u0001\\\"é\"}");
	struct event event = parse(line);

	assert_int_equal(event.type, EVENT_CONTACT);
	assert_int_equal(event.precision, PRECISION_DAY);
	assert_string_equal(event.occurred_on, "2024-02-29");
	assert_int_equal(event.recorded_at, 1709280550);
	assert_string_equal(event.recorded_by, "ZZ-officer");
	assert_string_equal(event.office, "HTI");
	assert_string_equal(event.language, "ht");
	assert_int_equal(event.parents.count, 2);
	assert_int_equal(event.field_count, 4);
	assert_string_equal(event_field_json(&event, "channel"), "\"PHONE\"");
	assert_null(event_field_json(&event, "type"));
	assert_ok(event_check_complete(&event, NULL));
	assert_writes(&event, line);
	event_release(&event);
	event_release(&event);
	event_release(NULL);
}

static void absent_members_are_filled_in(void **state)
{
	static const uint8_t random[10] = {0xff, 0xff, 0xff, 0xff};
	struct event event = parse("{\"type\":\"FEEDBACK\", \"items\" : [ 1 ] }\n");
	struct event_id id = event_id_make(UINT64_C(0x019000000000), random);
	struct case_ref ref = {{1}};
	char text[EVENT_ID_TEXT + 1];
	struct errctx ctx;

	assert_int_equal(event.precision, PRECISION_UNKNOWN);
	assert_int_equal(event_check_complete(&event, &ctx), ERR_INVALID);
	assert_string_equal(ctx.text, "event_id: missing");
	event_id_text(&id, text);
	assert_string_equal(text, "01900000-0000-7fff-bfff-000000000000");
	event_set_id(&event, &id);
	event_set_case(&event, &ref);
	event_set_recorded_at(&event, 0);
	assert_int_equal(event_check_complete(&event, &ctx), ERR_INVALID);
	assert_string_equal(ctx.text, "recorded_by: missing");
	assert_int_equal(event_set_recorded_by(&event, BYTES_NONE), ERR_INVALID);
	assert_int_equal(event_set_recorded_by(&event, bytes_str("a\nb")), ERR_INVALID);
	assert_ok(event_set_recorded_by(&event, bytes_str("Aïcha")));
	assert_int_equal(event_set_office(&event, bytes_str("HT1")), ERR_INVALID);
	assert_ok(event_set_office(&event, bytes_str("CAF")));
	assert_ok(event_check_complete(&event, NULL));
	assert_writes(&event,
		"{\"type\":\"FEEDBACK\",\"event_id\":\"01900000-0000-7fff-bfff-000000000000\","
		"\"case_ref\":\"01000000000000000000000000000000\",\"occurred_on\":\"\","
		"\"precision\":\"UNKNOWN\",\"recorded_at\":\"1970-01-01T00:00:00Z\","
		"\"recorded_by\":\"Aïcha\",\"office\":\"CAF\",\"items\":[1]}");
	event_release(&event);
}

static void refuse(const char *line, enum err code, const char *says)
{
	struct event event = {.field_count = 77};
	struct errctx ctx = {""};
	enum err err = event_parse(bytes_str(line), &event, &ctx);

	if (err != code || strstr(ctx.text, says) == NULL)
		fail_msg("%s\n%s: %s (wanted %s: %s)", line, err_name(err), ctx.text,
			err_name(code), says);
	assert_int_equal(event.field_count, 77);
}

static void bad_json_is_refused(void **state)
{
	refuse("", ERR_MALFORMED, "");
	refuse("{", ERR_MALFORMED, "too early");
	refuse("[]", ERR_MALFORMED, "a list of 0, allowed is one JSON object");
	refuse("7", ERR_MALFORMED, "a number, allowed is one JSON object");
	refuse("{\"type\":\"FEEDBACK\"} x", ERR_MALFORMED, "behind the end");
	refuse("{\"type\":\"FEEDBACK\"}{}", ERR_MALFORMED, "behind the end");
	refuse("{\"type\":\"FEEDBACK\",\"a\":1,\"a\":2}", ERR_MALFORMED, "given twice");
	refuse("{\"type\":\"FEEDBACK\",\"type\":\"FEEDBACK\"}", ERR_MALFORMED, "given twice");
	refuse("{\"type\":\"FEEDBACK\",\"a\":{\"b\":1,\"b\":1}}", ERR_MALFORMED, "given twice");
	refuse("{\"type\":\"\xff\"}", ERR_MALFORMED, "UTF-8");
	refuse("{\"type\":\"\xed\xa0\x80\"}", ERR_MALFORMED, "UTF-8");
	refuse("{\"type\":\"\\ud800\"}", ERR_MALFORMED, "");
	refuse("{\"type\":\"FEEDBACK\",\"a\":\"\\u0000\"}", ERR_MALFORMED, "NUL");
	refuse("{\"type\":\"FEEDBACK\",\"a\":9223372036854775808}", ERR_MALFORMED, "too large");
	refuse("{\"type\":\"FEEDBACK\",\"a\":NaN}", ERR_MALFORMED, "");
	refuse("{'type':1}", ERR_MALFORMED, "");
}

static void bad_members_are_refused(void **state)
{
	refuse("{}", ERR_INVALID, "type: missing");
	refuse("{\"type\":7}", ERR_INVALID, "type: found a number");
	refuse("{\"type\":\"GOSSIP\"}", ERR_INVALID, "type: found 'GOSSIP', allowed are");
	refuse("{\"type\":\"BREAK_GLASS\"}", ERR_INVALID, "BREAK_GLASS is written by the node");
	refuse("{\"type\":\"ACCESS_GRANTED\"}", ERR_INVALID, "ledger");
	refuse("{\"type\":\"ACCESS_REVOKED\"}", ERR_INVALID, "ledger");
	refuse("{\"type\":\"RECORD_VIEWED\"}", ERR_INVALID, "ledger");
	refuse("{\"type\":\"EXPORT_MADE\"}", ERR_INVALID, "ledger");
	refuse("{\"type\":\"INCIDENT_OF_BREACH\"}", ERR_INVALID, "ledger");
	refuse("{\"type\":\"CONTACT\",\"event_id\":7}", ERR_INVALID, "event_id: found a number");
	refuse("{\"type\":\"CONTACT\",\"event_id\":\"01900000-0000-4000-8000-000000000001\"}",
		ERR_INVALID, "event_id: found text of 36 bytes, allowed is a UUID of version 7");
	refuse("{\"type\":\"CONTACT\",\"event_id\":\"019000000000-7000-8000-0000-00000001\"}",
		ERR_INVALID, "event_id");
	refuse("{\"type\":\"CONTACT\",\"case_ref\":\"0011\"}", ERR_INVALID, "32 hexadecimal");
	refuse("{\"type\":\"CONTACT\",\"case_ref\":null}", ERR_INVALID, "case_ref: found null");
	refuse("{\"type\":\"CONTACT\",\"precision\":\"H\"}", ERR_INVALID, "D, M, Y or UNKNOWN");
	refuse("{\"type\":\"CONTACT\",\"recorded_at\":\"2024-01-01T00:00:00\"}", ERR_INVALID,
		"recorded_at: found text of 19 bytes");
	refuse("{\"type\":\"CONTACT\",\"recorded_at\":\"2024-01-01T00:00:00.5Z\"}", ERR_INVALID,
		"recorded_at");
	refuse("{\"type\":\"CONTACT\",\"recorded_at\":1704067200}", ERR_INVALID, "found a number");
	refuse("{\"type\":\"CONTACT\",\"recorded_by\":\"\"}", ERR_INVALID, "recorded_by");
	refuse("{\"type\":\"CONTACT\",\"recorded_by\":{}}", ERR_INVALID, "found an object");
	refuse("{\"type\":\"CONTACT\",\"office\":\"hti\"}", ERR_INVALID, "ISO 3166-1");
	refuse("{\"type\":\"CONTACT\",\"language\":\"f\"}", ERR_INVALID, "BCP 47");
	refuse("{\"type\":\"CONTACT\",\"language\":\"fr_HT\"}", ERR_INVALID, "BCP 47");
	refuse("{\"type\":\"CONTACT\",\"parents\":\"" ID "\"}", ERR_INVALID, "parents: found text");
	refuse("{\"type\":\"CONTACT\",\"parents\":[7]}", ERR_INVALID, "parents: found a number");
	refuse("{\"type\":\"CONTACT\",\"partial\":true}", ERR_INVALID, "partial");
	refuse("{\"type\":\"CONTACT\",\"a\":null}", ERR_INVALID, "a: found null");
	refuse("{\"type\":\"CONTACT\",\"amount\":1.5}", ERR_INVALID, "amount: found a number with");
	refuse("{\"type\":\"CONTACT\",\"a\":[{\"b\":1e3}]}", ERR_INVALID, "with a fraction");
	refuse("{\"type\":\"CONTACT\",\"A\":1}", ERR_INVALID, "'A': a field's name");
	refuse("{\"type\":\"CONTACT\",\"\":1}", ERR_INVALID, "a field's name");
	refuse("{\"type\":\"CONTACT\",\"a-b\\n\":1}", ERR_INVALID, "'a-b\\x0a'");
}

static void dates(void **state)
{
	static const char *const good[][2] = {{"2024-02-29", "D"}, {"2000-02-29", "D"},
		{"1900-01-01", "D"}, {"2023-12", "M"}, {"2023", "Y"}, {"", "UNKNOWN"}};
	static const char *const bad[] = {"2023-02-29", "1900-02-29", "2024-13-01", "2024-00-10",
		"2024-01-32", "2024-04-31", "1899-12-31", "2024-1-1", "24-01-01", "2024/01/01",
		"2024-01-01T00:00:00Z", "20240101", " 2024", "2024-01-0a"};
	char line[200];

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct event event;

		snprintf(line, sizeof line, "{\"type\":\"CONTACT\",\"occurred_on\":\"%s\"}",
			good[i][0]);
		event = parse(line);
		assert_string_equal(event.occurred_on, good[i][0]);
		event_release(&event);
		for (size_t j = 1; j < sizeof good / sizeof good[0]; j++) {
			struct event other = {0};
			enum err err;

			snprintf(line, sizeof line,
				"{\"type\":\"CONTACT\",\"precision\":\"%s\",\"occurred_on\":\"%"
				"s\"}",
				good[i][1], good[j][0]);
			err = event_parse(bytes_str(line), &other, NULL);
			assert_int_equal(
				err, strcmp(good[i][1], good[j][1]) == 0 ? OK : ERR_INVALID);
			event_release(&other);
		}
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(
			line, sizeof line, "{\"type\":\"CONTACT\",\"occurred_on\":\"%s\"}", bad[i]);
		refuse(line, ERR_INVALID, "occurred_on: found text of");
	}
}

static void times(void **state)
{
	static const struct {
		const char *text;
		uint64_t seconds;
	} known[] = {{"1970-01-01T00:00:00Z", 0}, {"2000-02-29T23:59:59Z", 951868799},
		{"2024-03-01T08:09:10Z", 1709280550}, {"2100-03-01T00:00:00Z", 4107542400},
		{"9999-12-31T23:59:59Z", 253402300799}};
	char text[21];
	uint64_t seconds;

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		assert_ok(event_time_parse(bytes_str(known[i].text), &seconds));
		assert_int_equal(seconds, known[i].seconds);
		event_time_text(seconds, text);
		assert_string_equal(text, known[i].text);
	}
	for (uint64_t s = 0; s < UINT64_C(253402300799); s += 86400 * 97 + 12345) {
		event_time_text(s, text);
		assert_ok(event_time_parse(bytes_str(text), &seconds));
		assert_int_equal(seconds, s);
	}
	event_time_text(UINT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59Z");
	assert_int_equal(
		event_time_parse(bytes_str("1969-12-31T23:59:59Z"), &seconds), ERR_MALFORMED);
	assert_int_equal(
		event_time_parse(bytes_str("2024-01-01T24:00:00Z"), &seconds), ERR_MALFORMED);
	assert_int_equal(
		event_time_parse(bytes_str("2024-01-01T00:00:60Z"), &seconds), ERR_MALFORMED);
}

/* Room for an event of the largest size and a little more. */
static char large[LIMIT_EVENT_JSON + 64];

static void caps(void **state)
{
	struct event event;
	size_t n;

	/* size */
	n = (size_t)sprintf(large, "{\"type\":\"CONTACT\",\"note\":\"");
	memset(large + n, 'a', sizeof large - n);
	strcpy(large + LIMIT_EVENT_JSON - 2, "\"}");
	event = parse(large);
	event_release(&event);
	strcpy(large + LIMIT_EVENT_JSON - 2, "a\"}");
	refuse(large, ERR_LIMIT, "allowed are 49152");
	/* depth: the object is one, seven lists more make eight */
	event = parse("{\"type\":\"CONTACT\",\"a\":[[[[[[[\"[[[\"]]]]]]]}");
	event_release(&event);
	refuse("{\"type\":\"CONTACT\",\"a\":[[[[[[[[]]]]]]]]}", ERR_LIMIT, "nested deeper");
	memset(large, '[', LIMIT_EVENT_JSON);
	large[LIMIT_EVENT_JSON] = 0;
	refuse(large, ERR_LIMIT, "nested deeper");
	/* fields */
	for (size_t fields = LIMIT_EVENT_FIELDS; fields <= LIMIT_EVENT_FIELDS + 1; fields++) {
		n = (size_t)sprintf(large, "{\"type\":\"CONTACT\"");
		for (size_t i = 0; i < fields; i++)
			n += (size_t)sprintf(large + n, ",\"f%zu\":1", i);
		strcpy(large + n, "}");
		if (fields <= LIMIT_EVENT_FIELDS) {
			event = parse(large);
			event_release(&event);
		} else {
			refuse(large, ERR_LIMIT, "more than 64 fields");
		}
	}
	/* ids of one list */
	for (size_t ids = EVENT_REFS_MAX; ids <= EVENT_REFS_MAX + 1; ids++) {
		n = (size_t)sprintf(large, "{\"type\":\"CONTACT\",\"parents\":[\"" ID "\"");
		for (size_t i = 1; i < ids; i++)
			n += (size_t)sprintf(large + n, ",\"" ID "\"");
		strcpy(large + n, "]}");
		if (ids <= EVENT_REFS_MAX) {
			event = parse(large);
			assert_int_equal(event.parents.count, EVENT_REFS_MAX);
			event_release(&event);
		} else {
			refuse(large, ERR_INVALID, "parents: found a list of 65");
		}
	}
	/* names */
	sprintf(large, "{\"type\":\"CONTACT\",\"%048d\":1}", 0);
	memset(large + 19, 'a', 48);
	event = parse(large);
	event_release(&event);
	sprintf(large, "{\"type\":\"CONTACT\",\"%049d\":1}", 0);
	memset(large + 19, 'a', 49);
	refuse(large, ERR_INVALID, "1 to 48");
	sprintf(large, "{\"type\":\"CONTACT\",\"recorded_by\":\"%065d\"}", 0);
	refuse(large, ERR_INVALID, "recorded_by");
}

/* --- parts --- */

static Sauti__Part *unpack(struct arena *arena, const struct event_part *part)
{
	Sauti__Part *message;

	assert_ok(CODEC_UNPACK(
		part, buf_bytes(&part->packed), &scan_limits_strict, arena, &message, NULL));
	assert_int_equal(message->group, part->group);
	assert_int_equal(message->main, part->main);
	return message;
}

/* Splits and says what went where: "core:role,sex identity:names", main part first. */
static const char *where(const char *line, const struct event_target *target)
{
	static char text[512];
	struct event event = parse(line);
	struct event_parts parts = {0};
	struct errctx ctx = {""};
	struct arena arena;
	size_t n = 0;

	if (event_split(&event, target, &parts, &ctx) != OK)
		fail_msg("%s: %s", line, ctx.text);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	text[0] = 0;
	for (size_t i = 0; i < parts.count; i++) {
		Sauti__Part *part = unpack(&arena, &parts.part[i]);

		assert_int_equal(part->main, i == 0);
		assert_int_equal(part->type, event.type);
		n += (size_t)sprintf(
			text + n, "%s%s:", i == 0 ? "" : " ", group_name((enum group)part->group));
		for (size_t f = 0; f < part->n_fields; f++)
			n += (size_t)sprintf(
				text + n, "%s%s", f == 0 ? "" : ",", part->fields[f]->name);
	}
	arena_release(&arena);
	event_parts_release(&parts);
	event_release(&event);
	return text;
}

static void fields_go_to_their_groups(void **state)
{
#define WHERE(type, fields) where(EVENT(type, fields), NULL)
	assert_string_equal(WHERE("CASE_REOPENED", ""), "core:");
	assert_string_equal(WHERE("CASE_OPENED",
				    ",\"case_code\":\"ZZ-1\",\"preferred_language\":\"ht\","
				    "\"safe_contact_method\":\"SMS\",\"note\":\"n\","
				    "\"do_not_contact_windows\":[],\"report_date\":\"2024-01-01\""),
		"core:case_code,report_date contact:preferred_language,safe_contact_method,"
		"do_not_contact_windows note:note");
	assert_string_equal(
		WHERE("PERSON_RECORDED", ",\"names\":[\"a\"],\"role\":\"VICTIM\",\"contacts\":[],"
					 "\"documents\":[],\"disability_status\":{},\"sex\":\"F\""),
		"core:role,sex identity:names,contacts,documents health:disability_status");
	assert_string_equal(WHERE("VICTIM_VIEW", ",\"subject\":\"INVESTIGATION\",\"view\":\"v\""),
		"allegation:subject,view");
	assert_string_equal(WHERE("VICTIM_VIEW", ",\"subject\":\"REMEDY\""), "contact:subject");
	assert_string_equal(WHERE("VICTIM_VIEW", ""), "contact:");
	assert_string_equal(
		WHERE("CONSENT_RECORDED", ",\"purpose\":\"REFERRAL\""), "consent:purpose");
	assert_string_equal(WHERE("RIGHTS_EXPLAINED", ""), "consent:");
	assert_string_equal(WHERE("GUARDIAN_CHANGED", ""), "consent:");
	assert_string_equal(WHERE("ACCOMPANIED", ""), "allegation:");
	assert_string_equal(WHERE("REMEDY", ""), "paternity:");
	assert_string_equal(WHERE("MANDATORY_REPORT", ""), "protection:");
	assert_string_equal(WHERE("COMPLAINT_RECEIVED", ",\"note\":\"n\",\"about\":\"DELAY\""),
		"core:about note:note");
	assert_string_equal(WHERE("EXTERNAL_PACKET", ""), "core:");
}

static void services_are_divided(void **state)
{
	assert_string_equal(WHERE("ASSISTANCE_PROVIDED", ",\"service_code\":\"LEGAL\""),
		"services:service_code");
	assert_string_equal(
		WHERE("ASSISTANCE_PROVIDED", ",\"service_code\":\"PSY\""), "health:service_code");
	assert_string_equal(WHERE("REFERRAL_MADE", ",\"service_code\":\"MED_SRH\",\"note\":\"x\""),
		"health:service_code note:note");
	/* in doubt the narrower group */
	assert_string_equal(WHERE("REFERRAL_ANSWERED", ",\"responder\":\"x\""), "health:responder");
	assert_string_equal(WHERE("NEEDS_ASSESSED", ",\"service_code\":[\"EDU\",\"CASH\"]"),
		"services:service_code");
	assert_string_equal(
		WHERE("NEEDS_ASSESSED", ",\"service_code\":[\"EDU\"],\"pregnant\":\"Y\""),
		"services:service_code health:pregnant");
	assert_string_equal(WHERE("NEEDS_ASSESSED", ",\"service_code\":[]"), "health:service_code");
	assert_string_equal(
		WHERE("ACTION_PLAN_AGREED", ",\"goals\":[\"g\"],\"service_code\":[\"MED\",\"EDU\"],"
					    "\"due_on\":\"2024-05-01\""),
		"services:service_code,due_on health:goals,service_code");
	assert_string_equal(
		WHERE("ACTION_PLAN_AGREED", ",\"goals\":[\"g\"],\"service_code\":[\"EDU\"]"),
		"services:goals,service_code");
}

static void corrections_follow(void **state)
{
#define FIX(field, value, t)                                                                       \
	where(EVENT("CORRECTION",                                                                  \
		      ",\"corrects\":\"" ID2 "\",\"field\":\"" field "\",\"new_value\":" value),   \
		t)
#define TARGET(type, main, groups) (&(struct event_target){EVENT_##type, GROUP_##main, groups})
	struct event event = parse(EVENT("CORRECTION", ",\"corrects\":\"" ID2 "\""));
	struct event_parts parts;
	struct event_id id;
	char text[EVENT_ID_TEXT + 1];
	struct errctx ctx;

	assert_string_equal(
		FIX("stage", "\"CLOSED_OTHER\"", TARGET(INVESTIGATION_STAGE, ALLEGATION, 0x80)),
		"allegation:corrects,field,new_value");
	assert_string_equal(FIX("names[0]", "\"x\"", TARGET(PERSON_RECORDED, CORE, 4)),
		"identity:corrects,field,new_value");
	assert_string_equal(
		FIX("note", "\"x\"", TARGET(CONTACT, CONTACT, 8)), "note:corrects,field,new_value");
	assert_string_equal(FIX("service_code", "\"EDU\"", TARGET(NEED_UNMET, SERVICES, 0x20)),
		"services:corrects,field,new_value");
	assert_string_equal(
		FIX("service_code", "[\"EDU\",\"MED\"]", TARGET(NEEDS_ASSESSED, SERVICES, 0x20)),
		"health:corrects,field,new_value");
	assert_string_equal(FIX("service_code", "\"EDU\"", TARGET(NEEDS_ASSESSED, SERVICES, 0x60)),
		"health:corrects,field,new_value");
	assert_int_equal(event_split(&event, NULL, &parts, &ctx), ERR_NOTFOUND);
	assert_non_null(strstr(ctx.text, "corrects: found no event"));
	assert_ok(event_corrects(&event, &id));
	event_id_text(&id, text);
	assert_string_equal(text, ID2);
	event_release(&event);
	event = parse(EVENT("CORRECTION", ",\"corrects\":7"));
	assert_int_equal(event_corrects(&event, &id), ERR_MALFORMED);
	event_release(&event);
	event = parse(EVENT("CONTACT", ",\"corrects\":\"" ID2 "\""));
	assert_int_equal(event_corrects(&event, &id), ERR_NOTFOUND);
	event_release(&event);
}

static void bad_events_are_not_split(void **state)
{
	struct event_parts parts;
	struct event event = parse("{\"type\":\"CONTACT\"}");

	assert_int_equal(event_split(&event, NULL, &parts, NULL), ERR_INVALID);
	event_release(&event);
	event = parse(EVENT("CONTACT", ",\"note\":{}"));
	assert_int_equal(event_split(&event, NULL, &parts, NULL), ERR_INVALID);
	event.type = EVENT_BREAK_GLASS;
	assert_int_equal(event_split(&event, NULL, &parts, NULL), ERR_INVALID);
	event.type = 999;
	assert_int_equal(event_split(&event, NULL, &parts, NULL), ERR_INVALID);
	event_release(&event);
}

static const char mixed[] = EVENT("NEEDS_ASSESSED",
	",\"language\":\"fr\",\"consent_refs\":[\"" ID2
	"\"],\"urgency\":\"<=72h\",\"service_code\":[\"MED\",\"LEGAL\",\"PSY\",\"EDU\"],"
	"\"pregnant\":\"N\",\"note\":\"lorem \\u0001\"");
static const char mixed_merged[] = EVENT("NEEDS_ASSESSED",
	",\"language\":\"fr\",\"consent_refs\":[\"" ID2
	"\"],\"urgency\":\"<=72h\",\"service_code\":[\"LEGAL\",\"EDU\",\"MED\",\"PSY\"],"
	"\"pregnant\":\"N\",\"note\":\"lorem \\u0001\"");

static struct event_parts split(const char *line)
{
	struct event event = parse(line);
	struct event_parts parts;

	assert_ok(event_split(&event, NULL, &parts, NULL));
	event_release(&event);
	return parts;
}

static void parts_go_together_again(void **state)
{
	static const uint8_t orders[][6] = {
		{0, 1, 2, 0, 1, 2}, {2, 1, 0, 0, 0, 0}, {1, 2, 1, 0, 2, 1}};
	struct event_parts parts = split(mixed);
	struct event event;

	assert_int_equal(parts.count, 3);
	for (size_t o = 0; o < 3; o++) {
		struct bytes views[6];

		for (size_t i = 0; i < 6; i++)
			views[i] = buf_bytes(&parts.part[orders[o][i]].packed);
		assert_ok(event_merge(views, 6, &event, NULL));
		assert_false(event.partial);
		assert_int_equal(event.groups, GROUP_BIT(GROUP_SERVICES) | GROUP_BIT(GROUP_HEALTH) |
						       GROUP_BIT(GROUP_NOTE));
		assert_writes(&event, mixed_merged);
		event_release(&event);
	}
	event_parts_release(&parts);
	/* what was merged is split and merged to the same */
	parts = split(mixed_merged);
	assert_int_equal(parts.count, 3);
	event_parts_release(&parts);
}

static void missing_parts_show_what_is_there(void **state)
{
	struct event_parts parts = split(mixed);
	struct bytes views[2] = {
		buf_bytes(&parts.part[2].packed), buf_bytes(&parts.part[1].packed)};
	struct event event;
	struct errctx ctx;

	assert_ok(event_merge(views, 2, &event, NULL));
	assert_true(event.partial);
	assert_writes(&event,
		"{\"type\":\"NEEDS_ASSESSED\",\"event_id\":\"" ID "\",\"case_ref\":\"" REF
		"\",\"occurred_on\":\"2024-02-29\",\"precision\":\"D\","
		"\"recorded_at\":\"2024-03-01T08:09:10Z\",\"recorded_by\":\"ZZ-officer\","
		"\"service_code\":[\"MED\",\"PSY\"],\"pregnant\":\"N\",\"note\":\"lorem \\u0001\","
		"\"partial\":true}");
	assert_int_equal(event_check_complete(&event, &ctx), ERR_INVALID);
	event_release(&event);
	views[0] = buf_bytes(&parts.part[0].packed);
	assert_ok(event_merge(views, 1, &event, NULL));
	assert_false(event.partial);
	assert_string_equal(event_field_json(&event, "service_code"), "[\"LEGAL\",\"EDU\"]");
	assert_null(event_field_json(&event, "note"));
	event_release(&event);
	event_parts_release(&parts);
}

static void part_of_another_event_is_refused(void **state)
{
	struct event_parts a = split(mixed);
	struct event_parts b =
		split("{\"type\":\"CONTACT\",\"event_id\":\"" ID2 "\",\"case_ref\":\"" REF
		      "\",\"recorded_at\":\"2024-03-01T08:09:10Z\","
		      "\"recorded_by\":\"o\",\"office\":\"HTI\"}");
	struct bytes views[2] = {buf_bytes(&a.part[0].packed), buf_bytes(&b.part[0].packed)};
	struct event event;

	assert_int_equal(event_merge(views, 2, &event, NULL), ERR_INVALID);
	assert_int_equal(event_merge(views, 0, &event, NULL), ERR_INVALID);
	event_parts_release(&a);
	event_parts_release(&b);
}

/* A part that says another type than the main one is left out. */
static void contradicting_part_is_left_out(void **state)
{
	struct event_parts a = split(EVENT("CONTACT", ",\"channel\":\"SMS\""));
	struct event_parts b = split(EVENT("FEEDBACK", ",\"note\":\"n\""));
	struct bytes views[2] = {buf_bytes(&b.part[1].packed), buf_bytes(&a.part[0].packed)};
	struct event event;

	assert_ok(event_merge(views, 2, &event, NULL));
	assert_int_equal(event.type, EVENT_CONTACT);
	assert_int_equal(event.groups, GROUP_BIT(GROUP_CONTACT));
	assert_null(event_field_json(&event, "note"));
	event_release(&event);
	event_parts_release(&a);
	event_parts_release(&b);
}

/* Of two versions of one group the same one counts in either order. */
static void doubles_do_not_depend_on_order(void **state)
{
	struct event_parts a = split(EVENT("CONTACT", ",\"channel\":\"SMS\""));
	struct event_parts b = split(EVENT("CONTACT", ",\"channel\":\"PHONE\""));
	struct bytes views[2] = {buf_bytes(&a.part[0].packed), buf_bytes(&b.part[0].packed)};
	struct bytes swapped[2] = {views[1], views[0]};
	struct event x, y;

	assert_ok(event_merge(views, 2, &x, NULL));
	assert_ok(event_merge(swapped, 2, &y, NULL));
	assert_string_equal(event_field_json(&x, "channel"), event_field_json(&y, "channel"));
	event_release(&x);
	event_release(&y);
	event_parts_release(&a);
	event_parts_release(&b);
}

static void part_info(void **state)
{
	struct event_parts parts =
		split(EVENT("CASE_OPENED", ",\"case_code\":\"ZZ-HTI-2222-2\",\"note\":\"n\""));
	struct part_info info;

	assert_ok(part_info_read(buf_bytes(&parts.part[0].packed), &info, NULL));
	assert_int_equal(info.type, EVENT_CASE_OPENED);
	assert_int_equal(info.group, GROUP_CORE);
	assert_true(info.main);
	assert_string_equal(info.case_code, "ZZ-HTI-2222-2");
	assert_string_equal(info.occurred_on, "2024-02-29");
	assert_ok(part_info_read(buf_bytes(&parts.part[1].packed), &info, NULL));
	assert_false(info.main);
	assert_string_equal(info.case_code, "");
	event_parts_release(&parts);
}

/* What the node writes into its ledger: one part, in the group of its type, and nothing of a case.
 */
static void events_of_the_ledger(void **state)
{
	static const char view[] = EVENT("RECORD_VIEWED", ",\"who\":\"o\"");
	static const char *const outside[] = {EVENT("CONTACT", ""),
		EVENT("RECORD_VIEWED", ",\"note\":\"n\""), EVENT("EXPORT_MADE", ",\"names\":[]")};
	struct event_parts parts;
	struct event event, merged;
	struct part_info info;
	struct errctx ctx;
	struct bytes packed;

	assert_ok(event_parse_ledger(bytes_str(view), &event, NULL));
	assert_int_equal(event_split(&event, NULL, &parts, &ctx), ERR_INVALID);
	assert_ok(event_split_ledger(&event, &parts, NULL));
	assert_int_equal(parts.count, 1);
	assert_int_equal(parts.part[0].group, GROUP_VIEWS);
	assert_true(parts.part[0].main);
	packed = buf_bytes(&parts.part[0].packed);
	assert_ok(part_info_read(packed, &info, NULL));
	assert_int_equal(info.group, GROUP_VIEWS);
	assert_ok(event_merge(&packed, 1, &merged, NULL));
	assert_writes(&merged, view);
	event_release(&merged);
	event_parts_release(&parts);
	event.has.office = false;
	assert_int_equal(event_split_ledger(&event, &parts, &ctx), ERR_INVALID);
	event_release(&event);
	assert_int_equal(event_parse_ledger(bytes_str(outside[0]), &event, &ctx), ERR_INVALID);
	for (size_t i = 1; i < 3; i++) {
		assert_ok(event_parse_ledger(bytes_str(outside[i]), &event, NULL));
		assert_int_equal(event_split_ledger(&event, &parts, &ctx), ERR_INVALID);
		event_release(&event);
	}
	event = parse(outside[0]);
	assert_int_equal(event_split_ledger(&event, &parts, &ctx), ERR_INVALID);
	event_release(&event);
}

/* --- hostile parts --- */

static const uint8_t sixteen[16] = {1, 0x90, 0, 0, 0, 0, 0x70, 0, 0x80};

static Sauti__Part sound_part(void)
{
	Sauti__Part part = SAUTI__PART__INIT;

	part.event_id = codec_binary(BYTES_ARRAY(sixteen));
	part.case_ref = codec_binary(BYTES_ARRAY(sixteen));
	part.type = 16;
	part.group = GROUP_CONTACT;
	part.precision = (char *)"UNKNOWN";
	part.recorded_by = (char *)"o";
	part.office = (char *)"HTI";
	part.main = true;
	return part;
}

static void assert_part(const Sauti__Part *part, enum err expected)
{
	struct part_info info;
	struct event event = {0};
	struct buf buf;
	struct bytes view;
	enum err err;

	buf_init(&buf, 256 * 1024);
	codec_pack(&buf, part);
	view = buf_bytes(&buf);
	assert_int_equal(part_info_read(view, &info, NULL), expected);
	err = event_merge(&view, 1, &event, NULL);
	assert_int_equal(err, expected);
	event_release(&event);
	buf_release(&buf);
}

static void hostile_parts_are_refused(void **state)
{
	ProtobufCBinaryData ids[65];
	Sauti__PartField field = SAUTI__PART_FIELD__INIT, twice = SAUTI__PART_FIELD__INIT;
	Sauti__PartField *fields[65];
	Sauti__Part part = sound_part();

#define HOSTILE(change)                                                                            \
	do {                                                                                       \
		part = sound_part();                                                               \
		change;                                                                            \
		assert_part(&part, ERR_MALFORMED);                                                 \
	} while (0)
	assert_part(&part, OK);
	part.type = 57; /* a type of a later version: shown with its number */
	assert_part(&part, OK);
	HOSTILE(part.event_id.len = 15);
	HOSTILE(part.event_id.len = 0);
	HOSTILE(part.case_ref.len = 15);
	HOSTILE(part.type = 0);
	HOSTILE(part.group = 0);
	HOSTILE(part.group = GROUP_AUDIT);
	HOSTILE(part.type = EVENT_EXPORT_MADE); /* of the ledger, in a case */
	HOSTILE((part.type = EVENT_EXPORT_MADE, part.group = GROUP_VIEWS));
	HOSTILE((part.type = EVENT_EXPORT_MADE, part.group = GROUP_LAST + 1));
	HOSTILE((part.type = EVENT_EXPORT_MADE, part.group = GROUP_AUDIT, part.main = false,
		part.office = (char *)""));
	HOSTILE(part.group = 1000);
	HOSTILE(part.precision = (char *)"D");
	HOSTILE(part.precision = (char *)"");
	HOSTILE(part.occurred_on = (char *)"2024");
	HOSTILE(part.occurred_on = (char *)"2024-01-01-01-01-01-01");
	HOSTILE(part.recorded_by = (char *)"");
	HOSTILE(part.recorded_by = (char *)"a\x1b[2J");
	HOSTILE(part.office = (char *)"H\"I");
	HOSTILE(part.language = (char *)"\"");
	HOSTILE(part.main = false);
	memset(ids, 0, sizeof ids);
	for (size_t i = 0; i < 65; i++)
		ids[i] = codec_binary(BYTES_ARRAY(sixteen));
	HOSTILE((part.parents = ids, part.n_parents = 65));
	ids[0].len = 3;
	HOSTILE((part.parents = ids, part.n_parents = 1));
	for (size_t i = 0; i < 65; i++)
		fields[i] = &field;
	field.name = (char *)"a";
	field.json = (char *)"1";
	HOSTILE((part.fields = fields, part.n_fields = 2));
	HOSTILE((part.fields = fields, part.n_fields = 65));
	fields[1] = &twice;
	twice = field;
	static const char *const names[] = {"event_id", "partial", "A", "", "a\":1,\"b"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		twice.name = (char *)names[i];
		HOSTILE((part.fields = fields, part.n_fields = 2));
	}
	twice.name = (char *)"b";
	static const char *const values[] = {"", "1,\"x\":2", "{\"a\":1,\"a\":1}", "1.5", "nul"};
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		twice.json = (char *)values[i];
		HOSTILE((part.fields = fields, part.n_fields = 2));
	}
}

/* Any bytes at all: refused or read, never worse. Changes of a sound part, every byte, 8 bits. */
static void changed_parts_do_no_harm(void **state)
{
	struct event_parts parts = split(mixed);
	struct buf *packed = &parts.part[0].packed;

	for (size_t i = 0; i < packed->size; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			struct bytes view = buf_bytes(packed);
			struct part_info info;
			struct event event = {0};
			enum err a, b;

			packed->data[i] ^= (uint8_t)(1u << bit);
			a = part_info_read(view, &info, NULL);
			b = event_merge(&view, 1, &event, NULL);
			assert_int_equal(a, b);
			event_release(&event);
			packed->data[i] ^= (uint8_t)(1u << bit);
		}
	for (size_t size = 0; size < packed->size; size++) {
		struct bytes view = bytes_make(packed->data, size);
		struct part_info info;

		(void)!part_info_read(view, &info, NULL);
	}
	event_parts_release(&parts);
}

static enum err all_of_it(void *arg)
{
	struct event event = {0}, merged = {0};
	struct event_parts parts = {0};
	struct bytes views[3];
	struct part_info info;
	struct buf buf;
	enum err err;

	buf_init(&buf, LIMIT_EVENT_JSON);
	err = event_parse(bytes_str(mixed), &event, NULL);
	if (err == OK)
		err = event_split(&event, NULL, &parts, NULL);
	for (size_t i = 0; i < parts.count && err == OK; i++) {
		views[i] = buf_bytes(&parts.part[i].packed);
		err = part_info_read(views[i], &info, NULL);
	}
	if (err == OK)
		err = event_merge(views, parts.count, &merged, NULL);
	if (err == OK) {
		event_write(&merged, &buf);
		err = buf.err;
	}
	if (err == OK)
		assert_string_equal(buf_cstr(&buf), mixed_merged);
	buf_release(&buf);
	event_release(&merged);
	event_release(&event);
	event_parts_release(&parts);
	return err;
}

/* What is taken as it is must be what writing it anew gives. */
static bool check_plain(const char *text, size_t size)
{
	json_t *value = NULL;
	char *dumped = NULL;

	if (!event_json_is_plain(bytes_make(text, size)))
		return false;
	assert_ok(event_json_parse(bytes_make(text, size), true, &value, NULL));
	assert_ok(event_json_dump(value, &dumped));
	assert_int_equal(strlen(dumped), size);
	assert_memory_equal(dumped, text, size);
	event_string_free(dumped);
	json_decref(value);
	return true;
}

static void plain_values(void **state)
{
	static const char *const plain[] = {"\"\"", "\"PHONE\"", "0", "97", "123456789012345",
		"[\"MED\"]", "[\"MED\",\"PSY\"]", "\"caf\xc3\xa9 / \x7f\""};
	static const char *const others[] = {"", "\"", "[", "[]", "\"a", "\"a\\n\"", "\"a\nb\"",
		"\"\xff\"", "00", "-1", "1.5", "1234567890123456", "[\"a\",]", "[\"a\"\"b\"]",
		"[\"a\"", "[\"a", "[ \"a\"]", "[\"a\"] ", "\"a\" ", "[1]", "{}", "true", "[,]",
		"[\"a\"]]", "\"a\"b\""};
	static const char alphabet[] = "\"\",[]\\a\x01 01{}:\xc3\xa9";
	size_t found = 0;
	uint64_t x = 88172645463325252U;

	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
		assert_true(check_plain(plain[i], strlen(plain[i])));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_false(event_json_is_plain(bytes_str(others[i])));
	for (int i = 0; i < 300000; i++) {
		char text[8];
		size_t size = 1 + (size_t)i % 7;

		for (size_t k = 0; k < size; k++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			text[k] = alphabet[x % (sizeof alphabet - 1)];
		}
		found += check_plain(text, size);
	}
	assert_true(found > 1000);
}

static void allocation_failures(void **state)
{
	torture(all_of_it, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(absent_members_are_filled_in),
		cmocka_unit_test(bad_json_is_refused),
		cmocka_unit_test(bad_members_are_refused),
		cmocka_unit_test(dates),
		cmocka_unit_test(times),
		cmocka_unit_test(caps),
		cmocka_unit_test(fields_go_to_their_groups),
		cmocka_unit_test(services_are_divided),
		cmocka_unit_test(corrections_follow),
		cmocka_unit_test(bad_events_are_not_split),
		cmocka_unit_test(parts_go_together_again),
		cmocka_unit_test(missing_parts_show_what_is_there),
		cmocka_unit_test(part_of_another_event_is_refused),
		cmocka_unit_test(contradicting_part_is_left_out),
		cmocka_unit_test(doubles_do_not_depend_on_order),
		cmocka_unit_test(part_info),
		cmocka_unit_test(events_of_the_ledger),
		cmocka_unit_test(hostile_parts_are_refused),
		cmocka_unit_test(changed_parts_do_no_harm),
		cmocka_unit_test(plain_values),
		cmocka_unit_test(allocation_failures),
	};

	return cmocka_run_group_tests(tests, setup_crypto, teardown_crypto);
}
