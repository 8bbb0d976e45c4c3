/* The table of fields and code lists: complete, well formed, and what it lets through. */
#include "cases_test.h"

#include "cases/event/event_json.h"
#include "cases/schema/lists.h"
#include "cases/schema/schema.h"

#define ID "\"0190c0de-0000-7000-8000-000000000001\""

static bool plain(const char *text)
{
	for (; *text != 0; text++)
		if (*text < 0x20 || *text > 0x7e || *text == '"' || *text == '\\' || *text == '|')
			return false;
	return true;
}

/* A preset is a value that its own field takes, or one of the three forms that are not values. */
static void check_preset(const struct schema_field *field)
{
	const char *preset = field->preset;
	char *json = NULL;

	if (preset == NULL || strcmp(preset, "today") == 0 || preset[0] == '+')
		return;
	if (preset[0] != 0 && strcmp(preset + 1, "-#") == 0) {
		assert_int_equal(field->kind, FIELD_ID);
		return;
	}
	assert_ok(schema_value(field, bytes_str(preset), &json, NULL));
	event_string_free(json);
}

static void check_field(const struct schema_type *type, const struct schema_field *field)
{
	struct buf allowed;

	assert_true(event_field_name_valid(bytes_str(field->name)));
	assert_false(event_field_is_common(bytes_str(field->name)));
	assert_ptr_equal(schema_field_find(type, bytes_str(field->name)), field);
	assert_int_equal(
		field->list != NULL, field->kind == FIELD_CODE || field->kind == FIELD_CODES);
	if (field->answers != 0)
		assert_int_equal(field->kind, FIELD_CODE);
	assert_true(plain(field->ask) && field->ask[strlen(field->ask) - 1] == '?');
	assert_true(schema_kind_name(field->kind)[0] != 0);
	buf_init(&allowed, 400); /* check.c's room for it */
	schema_allowed(field, &allowed);
	assert_ok(allowed.err);
	buf_release(&allowed);
	check_preset(field);
}

static void every_type_has_a_row(void **state)
{
	for (uint32_t n = 1; n <= EVENT_TYPE_LAST; n++) {
		const struct schema_type *type = schema_type_get(n);
		const struct schema_field *field;

		assert_int_equal(type->number, n);
		assert_ptr_equal(schema_type_find(bytes_str(type->alias)), type);
		assert_ptr_equal(schema_type_find(bytes_str(event_type_get(n)->name)), type);
		assert_true(plain(type->title) && plain(type->help));
		assert_in_range(type->field_count, 1, LIMIT_EVENT_FIELDS - 1);
		for (size_t i = 0; (field = schema_field_at(type, i)) != NULL; i++)
			check_field(type, field);
		assert_int_equal(schema_field_find(type, bytes_str("note")) != NULL,
			event_type_get(n)->rule != EVENT_RULE_LEDGER);
	}
	assert_null(schema_type_get(0));
	assert_null(schema_type_get(EVENT_TYPE_LAST + 1));
	assert_null(schema_type_find(bytes_str("nothing")));
	assert_int_equal(schema_type_find(bytes_str("Case Opened"))->number, EVENT_CASE_OPENED);
	assert_int_equal(schema_type_find(bytes_str("claim-stage"))->number, EVENT_PATERNITY_STAGE);
}

/* Each sensitive field is in the table, and goes to its group there too. */
static void sensitive_fields_are_declared(void **state)
{
	const struct schema_type *person = schema_type_get(EVENT_PERSON_RECORDED);
	const struct schema_type *referral = schema_type_get(EVENT_REFERRAL_MADE);

	assert_int_equal(schema_field_group(person, schema_field_find(person, bytes_str("names"))),
		GROUP_IDENTITY);
	assert_int_equal(schema_field_group(person, schema_field_find(person, bytes_str("sex"))),
		GROUP_CORE);
	assert_int_equal(schema_field_group(person, schema_field_find(person, bytes_str("note"))),
		GROUP_NOTE);
	assert_int_equal(schema_field_group(referral, &referral->fields[0]), GROUP_NONE);
}

static void codes_are_found(void **state)
{
	const struct code_list *list;

	for (size_t i = 0; (list = code_list_at(i)) != NULL; i++) {
		assert_ptr_equal(code_list_find(bytes_str(list->name)), list);
		assert_true(plain(list->title));
		for (size_t k = 0; k < list->count; k++) {
			const struct code *code = &list->codes[k];

			assert_true(plain(code->name) && plain(code->text));
			assert_int_equal(answer_find(bytes_str(code->name)), 0);
			assert_ptr_equal(code_find(list, bytes_str(code->name)), code);
			assert_ptr_equal(code_guess(list, bytes_str(code->name)), code);
		}
	}
	assert_null(code_list_find(bytes_str("")));
	assert_null(code_find(&list_contact_channels, bytes_str("phone")));
	assert_string_equal(
		code_guess(&list_contact_channels, bytes_str("in person"))->name, "IN_PERSON");
	assert_string_equal(code_guess(&list_contact_channels, bytes_str("tele"))->name, "PHONE");
	assert_string_equal(code_guess(&list_services, bytes_str("med"))->name, "MED");
	assert_null(code_guess(&list_services, bytes_str("s"))); /* SHELTER, SAFETY.. */
	assert_null(code_guess(&list_services, BYTES_NONE));
	assert_true(country_known(bytes_str("HTI")) && country_known(bytes_str("ZZZ")));
	assert_false(country_known(bytes_str("HAI")) || country_known(bytes_str("HT")));
	assert_true(currency_known(bytes_str("USD")) && currency_known(bytes_str("XAF")));
	assert_false(currency_known(bytes_str("XYZ")));
}

static enum err check(const char *type, const char *fields, struct errctx *ctx)
{
	char line[40000];
	struct event event = {0};
	enum err err;

	*ctx = (struct errctx){""};
	snprintf(line, sizeof(line), "{\"type\":\"%s\"%s%s}", type, fields[0] == 0 ? "" : ",",
		fields);
	err = event_parse(bytes_str(line), &event, ctx);
	if (err == OK)
		err = schema_check(&event, ctx);
	event_release(&event);
	return err;
}

static void good_events_pass(void **state)
{
	static const char *const good[][2] = {
		{"CONTACT", "\"channel\":\"PHONE\",\"direction\":\"OUT\",\"result\":\"REACHED\","
			    "\"topics\":[\"SERVICES\",\"NOTHING_NEW\"],\"note\":\"lorem\\nipsum\""},
		{"CASE_OPENED", ""},
		{"CASE_OPENED", "\"do_not_contact_windows\":[\"08:00-12:00\",\"22:00-24:00\"],"
				"\"report_date\":\"2024-02\",\"preferred_language\":\"ht\""},
		{"PERSON_RECORDED",
			"\"role\":\"VICTIM\",\"sex\":\"99\",\"disability_status\":\"0\","
			"\"age_group_at_incident\":\"61+\""},
		{"CHILD_SUPPORT", "\"claim_id\":\"F-1\",\"kind\":\"ORDER\",\"amount\":\"12.5\","
				  "\"currency\":\"USD\""},
		{"FEEDBACK", "\"items\":[\"Y\",\"Y\",\"N\",\"98\"],\"would_recommend\":\"98\""},
		{"CORRECTION", "\"corrects\":" ID ",\"field\":\"sex\",\"new_value\":[1],"
			       "\"reason\":\"ERROR\""},
		{"ASSISTANCE_PROVIDED", "\"service_code\":\"CASH\",\"quantity\":999999"},
		{"CONSENT_RECORDED", "\"purpose\":\"REFERRAL\",\"given_by\":\"VICTIM\",\"form\":"
				     "\"WRITTEN\",\"valid_until\":\"2026-02-28\",\"groups\":"
				     "[\"services\",\"contact\"],\"recipients\":[\"ZZ-ORG\"]"},
	};
	struct errctx ctx;

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		if (check(good[i][0], good[i][1], &ctx) != OK)
			fail_msg("%s: %s", good[i][0], ctx.text);
}

#define REACHED "\"direction\":\"OUT\",\"result\":\"REACHED\""

static void bad_events_say_what_is_wrong(void **state)
{
	static const struct {
		const char *type, *fields, *text;
		enum err err;
	} bad[] = {
		{"CONTACT", REACHED ",\"channel\":\"PIGEON\"",
			"channel: found 'PIGEON'; allowed: IN_PERSON, PHONE, SMS, VIA_FOCAL_POINT, "
			"LETTER",
			ERR_INVALID},
		{"CONTACT", REACHED ",\"channel\":\"somebody said\"",
			"channel: found text of 13 bytes; allowed: IN_PERSON", ERR_INVALID},
		{"CONTACT", REACHED, "channel: missing; CONTACT must say: How?", ERR_INVALID},
		{"CONTACT", REACHED ",\"channel\":\"PHONE\",\"colour\":\"x\"",
			"colour: CONTACT has no such field; it has channel, direction",
			ERR_INVALID},
		{"CONTACT", REACHED ",\"channel\":\"PHONE\",\"next_contact_due_on\":\"2025-02-29\"",
			"next_contact_due_on: found '2025-02-29'; allowed: YYYY-MM-DD",
			ERR_INVALID},
		{"CONTACT", REACHED ",\"channel\":\"PHONE\",\"topics\":[]", "topics: an empty list",
			ERR_INVALID},
		{"CONTACT", REACHED ",\"channel\":\"PHONE\",\"topics\":\"SERVICES\"",
			"topics: found 'SERVICES'; allowed: a list of", ERR_INVALID},
		{"CONTACT", REACHED ",\"channel\":\"PHONE\",\"topics\":[\"SERVICES\",\"SERVICES\"]",
			"topics: the same is listed twice", ERR_INVALID},
		{"CONTACT", REACHED ",\"channel\":\"99\"", "channel: found '99'", ERR_INVALID},
		{"PERSON_RECORDED", "\"role\":\"VICTIM\",\"sex\":\"X\"",
			"sex: found 'X'; allowed: F, M, OTHER, 0 (not asked), 97 (not applicable), "
			"98 "
			"(declined to say), 99 (unknown)",
			ERR_INVALID},
		{"PERSON_RECORDED", "\"role\":\"VICTIM\",\"names\":[\"a\\nb\"]",
			"names: found text of 3 bytes", ERR_INVALID},
		{"ASSISTANCE_PROVIDED", "\"service_code\":\"CASH\",\"amount\":\"12,50\"",
			"amount: found text of 5 bytes; allowed: 12 or 12.50", ERR_INVALID},
		{"ASSISTANCE_PROVIDED", "\"service_code\":\"CASH\",\"quantity\":-1",
			"quantity: found the number -1", ERR_INVALID},
		{"ASSISTANCE_PROVIDED", "\"service_code\":\"CASH\",\"quantity\":1000000",
			"quantity: found the number 1000000", ERR_INVALID},
		{"ASSISTANCE_PROVIDED", "\"service_code\":\"CASH\",\"currency\":\"ABC\"",
			"currency: found 'ABC'", ERR_INVALID},
		{"CASE_OPENED", "\"do_not_contact_windows\":[\"08:00-25:00\"]",
			"do_not_contact_windows: found '08:00-25:00'", ERR_INVALID},
		{"CASE_OPENED", "\"case_code\":\"a b\"", "case_code: found text of 3 bytes",
			ERR_INVALID},
		{"CORRECTION",
			"\"corrects\":\"x\",\"field\":\"sex\",\"new_value\":1,\"reason\":\"ERROR\"",
			"corrects: found text of 1 bytes; allowed: event_id", ERR_INVALID},
		{"LEGAL_HOLD", "\"authority\":\"x\",\"until\":\"2026\",\"approvers\":[\"a\",\"b\"]",
			"until: found '2026'", ERR_INVALID},
	};
	struct errctx ctx;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (check(bad[i].type, bad[i].fields, &ctx) != bad[i].err ||
			strncmp(ctx.text, bad[i].text, strlen(bad[i].text)) != 0)
			fail_msg("%s %s: %s", bad[i].type, bad[i].fields, ctx.text);
	}
}

static void sizes_at_the_cap_and_past_it(void **state)
{
	static const struct {
		const char *type, *before, *after;
		size_t max;
	} caps[] = {
		{"NEED_UNMET", "\"service_code\":\"MED\",\"reason\":\"OTHER\",\"note\":\"", "\"",
			SCHEMA_NOTE_MAX},
		{"VICTIM_VIEW", "\"subject\":\"CASE\",\"view\":\"", "\"", SCHEMA_TEXT_MAX},
		{"REMEDY", "\"kind\":\"APOLOGY\",\"by\":\"", "\"", SCHEMA_NAME_MAX},
		{"CONSENT_WITHDRAWN", "\"consent_id\":\"", "\"", SCHEMA_ID_MAX},
	};
	static char fields[SCHEMA_NOTE_MAX + 200];
	struct errctx ctx;

	for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++)
		for (size_t past = 0; past < 2; past++) {
			size_t size = strlen(caps[i].before);

			memcpy(fields, caps[i].before, size);
			memset(fields + size, 'x', caps[i].max + past);
			strcpy(fields + size + caps[i].max + past, caps[i].after);
			assert_int_equal(check(caps[i].type, fields, &ctx) != OK, past);
		}
}

static void lists_at_the_cap_and_past_it(void **state)
{
	char fields[2000];
	struct errctx ctx;

	for (size_t count = SCHEMA_ITEMS_MAX; count <= SCHEMA_ITEMS_MAX + 1; count++) {
		size_t at = (size_t)sprintf(fields, "\"subject\":\"CASE\",\"conveyed_to\":[\"0\"");

		for (size_t i = 1; i < count; i++)
			at += (size_t)sprintf(fields + at, ",\"%zu\"", i);
		sprintf(fields + at, "]");
		assert_int_equal(check("VICTIM_VIEW", fields, &ctx),
			count == SCHEMA_ITEMS_MAX ? OK : ERR_LIMIT);
	}
}

static void texts_become_values(void **state)
{
	static const struct {
		uint32_t type;
		const char *field, *text, *json, *shown;
	} rows[] = {
		{EVENT_CONTACT, "channel", " via focal point ", "\"VIA_FOCAL_POINT\"",
			"through a focal point"},
		{EVENT_CONTACT, "topics", "services; nothing new", "[\"SERVICES\",\"NOTHING_NEW\"]",
			"services, that there is nothing new"},
		{EVENT_PERSON_RECORDED, "sex", "unknown", "\"99\"", "unknown"},
		{EVENT_PERSON_RECORDED, "sex", "female", "\"F\"", "female"},
		{EVENT_PERSON_RECORDED, "names", "ZZ One, ZZ Two", "[\"ZZ One\",\"ZZ Two\"]",
			"ZZ One, ZZ Two"},
		{EVENT_ACTION_PLAN_AGREED, "goals", "a, b;c", "[\"a, b\",\"c\"]", "a, b; c"},
		{EVENT_ASSISTANCE_PROVIDED, "quantity", "3", "3", "3"},
		{EVENT_ASSISTANCE_PROVIDED, "currency", "usd", "\"USD\"", "USD"},
		{EVENT_CORRECTION, "new_value", "[\"MED\"]", "[\"MED\"]", "MED"},
		{EVENT_CORRECTION, "new_value", "MED", "\"MED\"", "MED"},
		{EVENT_FEEDBACK, "items", "y,y,98", "[\"Y\",\"Y\",\"98\"]", "Y, Y, 98"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct schema_field *field =
			schema_field_find(schema_type_get(rows[i].type), bytes_str(rows[i].field));
		char *json = NULL;
		struct buf shown;

		assert_ok(schema_value(field, bytes_str(rows[i].text), &json, NULL));
		assert_string_equal(json, rows[i].json);
		buf_init(&shown, 1000);
		schema_show(field, json, &shown);
		assert_string_equal(buf_cstr(&shown), rows[i].shown);
		buf_release(&shown);
		event_string_free(json);
	}
}

static void json_schema_is_json(void **state)
{
	json_error_t error;
	struct buf out;
	json_t *schema;

	buf_init(&out, 1 << 20);
	schema_write_json_schema(&out);
	assert_ok(out.err);
	schema = json_loadb((const char *)out.data, out.size, JSON_REJECT_DUPLICATES, &error);
	assert_non_null(schema);
	assert_int_equal(json_array_size(json_object_get(schema, "oneOf")), EVENT_TYPE_LAST);
	json_decref(schema);
	buf_release(&out);
}

static void document_is_made_from_the_table(void **state)
{
	static const char path[] = SAUTI_SOURCE_DIR "/docs/EVENT_TYPES.md";
	static char text[256 * 1024];
	struct buf out;
	FILE *file;

	buf_init(&out, sizeof text - 1);
	schema_write_markdown(&out);
	assert_ok(out.err);
	if (getenv("SAUTI_REWRITE") != NULL) {
		file = fopen(path, "w");
		assert_non_null(file);
		assert_int_equal(fwrite(out.data, 1, out.size, file), out.size);
		fclose(file);
	}
	file = fopen(path, "r");
	assert_non_null(file);
	text[fread(text, 1, sizeof text - 1, file)] = 0;
	fclose(file);
	assert_string_equal(text, buf_cstr(&out));
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_has_a_row),
		cmocka_unit_test(sensitive_fields_are_declared),
		cmocka_unit_test(codes_are_found),
		cmocka_unit_test(good_events_pass),
		cmocka_unit_test(bad_events_say_what_is_wrong),
		cmocka_unit_test(sizes_at_the_cap_and_past_it),
		cmocka_unit_test(lists_at_the_cap_and_past_it),
		cmocka_unit_test(texts_become_values),
		cmocka_unit_test(json_schema_is_json),
		cmocka_unit_test(document_is_made_from_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
