/* What people type at a question, and what is worth asking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/form.h"
#include "cli/reply.h"

#define TODAY "2026-11-26"

static const struct schema_field *field_of(uint32_t type, const char *name)
{
	const struct schema_field *field =
		schema_field_find(schema_type_get(type), bytes_str(name));

	assert_non_null(field);
	return field;
}

static enum err value(const struct schema_field *field, const char *line, char ret[600])
{
	struct reply_choices choices;
	struct errctx ctx = {""};
	char *json = NULL;
	enum err err;

	reply_choices_of(field, &choices);
	err = reply_value(field, &choices, TODAY, bytes_str(line), &json, &ctx);
	snprintf(ret, 600, "%s", err == OK ? json : ctx.text);
	mem_free(json);
	return err;
}

static void is_value(uint32_t type, const char *name, const char *line, const char *want)
{
	char json[600];

	assert_int_equal(value(field_of(type, name), line, json), OK);
	assert_string_equal(json, want);
}

static void is_wrong(uint32_t type, const char *name, const char *line, const char *says)
{
	char text[600];

	assert_int_not_equal(value(field_of(type, name), line, text), OK);
	assert_non_null(strstr(text, says));
}

/* By number, code, and the beginning of code or text. */
static void test_codes(void **state)
{
	(void)state;
	is_value(EVENT_CONTACT, "channel", "2", "\"PHONE\"");
	is_value(EVENT_CONTACT, "channel", "PHONE", "\"PHONE\"");
	is_value(EVENT_CONTACT, "channel", "phone", "\"PHONE\"");
	is_value(EVENT_CONTACT, "channel", " ph ", "\"PHONE\"");
	is_value(EVENT_CONTACT, "channel", "tele", "\"PHONE\"");
	is_value(EVENT_CONTACT, "channel", "in person", "\"IN_PERSON\"");
	is_wrong(EVENT_CONTACT, "channel", "0", "a number from 1 to 5");
	is_wrong(EVENT_CONTACT, "channel", "6", "a number from 1 to 5");
	is_wrong(EVENT_CONTACT, "channel", "pigeon", "a number from 1 to 5");
	/* More than one begins like this. */
	is_wrong(EVENT_ALLEGATION_RECORDED, "personnel_category", "civ", "more than one");
	/* The answers that are no code have their own numbers. */
	is_value(EVENT_PERSON_RECORDED, "sex", "98", "\"98\"");
	is_value(EVENT_PERSON_RECORDED, "sex", "1", "\"F\"");
	is_value(EVENT_PERSON_RECORDED, "sex", "0", "\"0\"");
	is_wrong(EVENT_CONTACT, "channel", "98", "a number from 1 to 5");
	/* A code that is a number is that code. */
	is_value(EVENT_PERSON_RECORDED, "age_group_at_report", "12-17", "\"12-17\"");
}

static void test_lists(void **state)
{
	(void)state;
	is_value(EVENT_CONTACT, "topics", "1,3", "[\"CASE_STATUS\",\"OUTCOME\"]");
	is_value(EVENT_CONTACT, "topics", "3 1", "[\"OUTCOME\",\"CASE_STATUS\"]");
	is_value(EVENT_CONTACT, "topics", "outcome; 1", "[\"OUTCOME\",\"CASE_STATUS\"]");
	is_value(EVENT_CONTACT, "topics", "that there", "[\"NOTHING_NEW\"]");
	is_wrong(EVENT_CONTACT, "topics", "1,99", "a number from 1 to 9");
	is_wrong(EVENT_CONTACT, "topics", "1,1", "");
	is_value(EVENT_CONSENT_RECORDED, "groups", "1, services", "[\"consent\",\"services\"]");
	/* Names may have spaces; free lists take what they are given. */
	is_value(EVENT_CONSENT_RECORDED, "recipients", "Clinic One, ZZ-org",
		"[\"Clinic One\",\"ZZ-org\"]");
}

static void test_days(void **state)
{
	char day[11], words[32];
	long days;

	(void)state;
	is_value(EVENT_CONTACT, "next_contact_due_on", "today", "\"2026-11-26\"");
	is_value(EVENT_CONTACT, "next_contact_due_on", "+14d", "\"2026-12-10\"");
	is_value(EVENT_CONTACT, "next_contact_due_on", "+5w", "\"2026-12-31\"");
	is_value(EVENT_CONTACT, "next_contact_due_on", "2026-12-10", "\"2026-12-10\"");
	is_wrong(EVENT_CONTACT, "next_contact_due_on", "2026-02-30", "next_contact_due_on");
	is_wrong(EVENT_CONTACT, "next_contact_due_on", "soon", "next_contact_due_on");
	assert_true(reply_day(bytes_str("yesterday"), "2024-03-01", day));
	assert_string_equal(day, "2024-02-29");
	assert_true(reply_day(bytes_str("tomorrow"), "2026-12-31", day));
	assert_string_equal(day, "2027-01-01");
	assert_true(reply_day(bytes_str("-365"), "2024-12-31", day));
	assert_string_equal(day, "2024-01-01");
	assert_false(reply_day(bytes_str("-99999d"), TODAY, day)); /* before 1900 */
	assert_false(reply_day(bytes_str("+100001d"), TODAY, day));
	assert_false(reply_day(bytes_str("+"), TODAY, day));
	assert_false(reply_day(bytes_str("+d"), TODAY, day));
	assert_false(reply_day(bytes_str("+-1d"), TODAY, day));
	assert_false(reply_day(bytes_str("today"), "2026-13-01", day));
	assert_true(reply_days_between("2024-02-28", "2024-03-01", &days));
	assert_int_equal(days, 2);
	reply_day_words("2026-11-25", TODAY, words);
	assert_string_equal(words, "yesterday");
	reply_day_words("2026-12-10", TODAY, words);
	assert_string_equal(words, "in 14 days");
	reply_day_words("2026-11-01", TODAY, words);
	assert_string_equal(words, "25 days ago");
	reply_day_words("2026-11", TODAY, words);
	assert_string_equal(words, "");
}

static void test_texts(void **state)
{
	(void)state;
	is_value(EVENT_CONTACT, "note", "1, today; ?x", "\"1, today; ?x\"");
	is_value(EVENT_VICTIM_VIEW, "view", "1", "\"1\"");
	assert_true(reply_is_text(field_of(EVENT_CONTACT, "note")));
	assert_true(reply_is_text(field_of(EVENT_PERSON_RECORDED, "names")));
	assert_false(reply_is_text(field_of(EVENT_CONTACT, "channel")));
}

static void test_kinds(void **state)
{
	(void)state;
	assert_int_equal(reply_kind(BYTES_NONE), REPLY_EMPTY);
	assert_int_equal(reply_kind(bytes_str("?")), REPLY_HELP);
	assert_int_equal(reply_kind(bytes_str("<")), REPLY_BACK);
	assert_int_equal(reply_kind(bytes_str(".")), REPLY_ENOUGH);
	assert_int_equal(reply_kind(bytes_str("??")), REPLY_VALUE);
}

/* Choices of the case: an id is never typed. */
static void test_choices(void **state)
{
	struct reply_choices choices = {.count = 0};
	struct errctx ctx = {""};
	size_t i = 99;
	char name[16];

	(void)state;
	reply_choices_add(&choices, "R-1", "R-1: legal, accepted");
	reply_choices_add(&choices, "R-2", "R-2: medical");
	assert_int_equal(reply_choose(&choices, bytes_str("2"), &i, &ctx), OK);
	assert_int_equal(i, 1);
	assert_int_equal(reply_choose(&choices, bytes_str("r-1"), &i, &ctx), OK);
	assert_int_equal(i, 0);
	assert_int_equal(reply_choose(&choices, bytes_str("R"), &i, &ctx), ERR_INVALID);
	assert_int_equal(reply_choose(&choices, bytes_str("3"), &i, &ctx), ERR_INVALID);
	assert_int_equal(reply_choose(&choices, BYTES_NONE, &i, &ctx), ERR_INVALID);
	/* The cap, and one past it. */
	choices.count = choices.numbered = 0;
	for (int n = 0; n <= REPLY_CHOICES_MAX; n++) {
		snprintf(name, sizeof(name), "R-%d", n);
		reply_choices_add(&choices, name, name);
	}
	assert_int_equal(choices.count, REPLY_CHOICES_MAX);
}

/* Every question that has a preset takes it, and every list of codes can be answered by number. */
static void test_whole_table(void **state)
{
	char text[600];

	(void)state;
	for (uint32_t number = 1; number <= EVENT_TYPE_LAST; number++) {
		const struct schema_type *type = schema_type_get(number);
		const struct schema_field *field;

		for (size_t i = 0; (field = schema_field_at(type, i)) != NULL; i++) {
			struct reply_choices choices;

			if (field->preset != NULL && strchr(field->preset, '#') == NULL)
				assert_int_equal(value(field, field->preset, text), OK);
			reply_choices_of(field, &choices);
			for (size_t c = 1; c <= choices.numbered; c++) {
				char line[8];

				snprintf(line, sizeof(line), "%zu", c);
				assert_int_equal(value(field, line, text), OK);
			}
		}
	}
}

static bool wanted(uint32_t type, const char *name, const char *event)
{
	json_t *json = json_loads(event, 0, NULL);
	bool wants = form_wants(schema_type_get(type), field_of(type, name), json);

	assert_non_null(json);
	json_decref(json);
	return wants;
}

static void test_wants(void **state)
{
	(void)state;
	/* What the node makes is not asked. */
	assert_false(wanted(EVENT_REFERRAL_MADE, "referral_id", "{}"));
	assert_false(wanted(EVENT_CONSENT_RECORDED, "consent_id", "{}"));
	assert_false(wanted(EVENT_CONSENT_RECORDED, "statement_hash", "{}"));
	assert_false(wanted(EVENT_REFERRAL_ANSWERED, "service_code", "{}"));
	assert_true(wanted(EVENT_REFERRAL_MADE, "service_code", "{}"));
	/* Nor what an answer before it makes pointless. */
	assert_false(wanted(EVENT_CONSENT_RECORDED, "guardian_ref", "{\"given_by\":\"VICTIM\"}"));
	assert_true(wanted(EVENT_CONSENT_RECORDED, "guardian_ref", "{\"given_by\":\"GUARDIAN\"}"));
	assert_false(
		wanted(EVENT_REFERRAL_ANSWERED, "decline_reason", "{\"answer\":\"ACCEPTED\"}"));
	assert_true(wanted(EVENT_REFERRAL_ANSWERED, "decline_reason", "{\"answer\":\"DECLINED\"}"));
	assert_false(wanted(EVENT_CHILD_SUPPORT, "currency", "{}"));
	assert_true(wanted(EVENT_CHILD_SUPPORT, "currency", "{\"amount\":\"12\"}"));
	assert_true(wanted(EVENT_CONTACT, "note", "{}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_days),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_whole_table),
		cmocka_unit_test(test_wants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
