/* Values read where they stand, and days that sort as their texts do. */
#include "case_lines.h"

#include "cases/fold/value.h"

static void texts_and_lists(void **unused)
{
	struct event event = line_event(1, "2024-01-01", "CONTACT",
		"'a':'x','b':['x','y z',3,{'k':'hidden','l':['h']},['in'],''],'c':7,'d':'','e':[],"
		"'f':{'x':'y'}");
	struct bytes list = value_json(&event, "b"), item;
	char seen[100] = "";

	assert_true(value_is(&event, "a", "x"));
	assert_false(value_is(&event, "a", "xx"));
	assert_false(value_is(&event, "none",
		""
		"x"));
	assert_int_equal(value_text(&event, "c").size, 0);
	assert_int_equal(value_text(&event, "d").size, 0);
	assert_int_equal(value_text(&event, "b").size, 0);
	while (value_next(&list, &item)) {
		strncat(seen, (const char *)item.data, item.size);
		strcat(seen, "|");
	}
	assert_string_equal(seen, "x|y z|in||"); /* what stands in an object is no item */
	list = value_json(&event, "a");
	assert_true(value_next(&list, &item)); /* a text alone is a list of one */
	assert_true(bytes_equal_str(item, "x"));
	assert_false(value_next(&list, &item));
	list = value_json(&event, "none");
	assert_false(value_next(&list, &item));
	assert_true(value_lists(value_json(&event, "b"), bytes_str("y z")));
	assert_false(value_lists(value_json(&event, "b"), bytes_str("y")));
	assert_false(value_lists(value_json(&event, "f"), bytes_str("y")));
	event_release(&event);
}

/* Escapes stay as they are: a quote inside does not end a text. */
static void escapes(void **unused)
{
	struct event event = {0};
	struct bytes list, item;

	assert_ok(
		event_parse(bytes_str("{\"type\":\"CONTACT\",\"a\":[\"x\\\"],[\",\"\\\\\",\"z\"]}"),
			&event, NULL));
	list = value_json(&event, "a");
	assert_true(value_next(&list, &item));
	assert_true(bytes_equal_str(item, "x\\\"],["));
	assert_true(value_next(&list, &item));
	assert_true(bytes_equal_str(item, "\\\\"));
	assert_true(value_next(&list, &item));
	assert_true(bytes_equal_str(item, "z"));
	assert_false(value_next(&list, &item));
	event_release(&event);
}

static void groups(void **unused)
{
	bool unknown;

	assert_int_equal(value_groups(bytes_str("[\"core\",\"note\"]"), &unknown),
		GROUP_BIT(GROUP_CORE) | GROUP_BIT(GROUP_NOTE));
	assert_false(unknown);
	assert_int_equal(
		value_groups(bytes_str("[\"core\",\"audit\"]"), &unknown), GROUP_BIT(GROUP_CORE));
	assert_true(unknown);
	assert_int_equal(value_groups(BYTES_NONE, NULL), 0);
}

static void days(void **unused)
{
	static const char *const sorted[] = {"1900", "2023-12-31", "2024", "2024-01", "2024-01-01",
		"2024-02", "2024-02-29", "2024-12-31", "9999-12-31"};
	static const char *const none[] = {"", "24", "2024-1", "2024-13-01", "2024-00",
		"2024-01-00", "2024-01-32", "20x4", "2024-1x", "2024-01-1x", "0000"};
	char text[11];

	for (size_t i = 0; i < sizeof sorted / sizeof sorted[0]; i++) {
		fold_day day = day_read(bytes_str(sorted[i]));

		day_text(day, text);
		assert_string_equal(text, sorted[i]);
		if (i > 0)
			assert_true(day_read(bytes_str(sorted[i - 1])) < day);
	}
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		assert_int_equal(day_read(bytes_str(none[i])), 0);
	day_text(0, text);
	assert_string_equal(text, "");
}

static const char *shown(fold_day day)
{
	static char text[11];

	day_text(day, text);
	return text;
}
#define DAY(text) day_read(bytes_str(text))

static void first_last_before(void **unused)
{
	assert_string_equal(shown(day_first(DAY("2024"))), "2024-01-01");
	assert_string_equal(shown(day_last(DAY("2024"))), "2024-12-31");
	assert_string_equal(shown(day_last(DAY("2024-02"))), "2024-02-29");
	assert_string_equal(shown(day_last(DAY("2023-02"))), "2023-02-28");
	assert_string_equal(shown(day_last(DAY("1900-02"))), "1900-02-28");
	assert_string_equal(shown(day_last(DAY("2000-02"))), "2000-02-29");
	assert_string_equal(shown(day_first(DAY("2024-02"))), "2024-02-01");
	assert_string_equal(shown(day_first(DAY("2024-02-03"))), "2024-02-03");
	assert_int_equal(day_first(0), 0);
	assert_int_equal(day_last(0), 0);
	assert_string_equal(shown(day_before(DAY("2024-03-01"))), "2024-02-29");
	assert_string_equal(shown(day_before(DAY("2024-01-01"))), "2023-12-31");
	assert_string_equal(shown(day_before(DAY("2024-05-11"))), "2024-05-10");
	assert_int_equal(day_count(DAY("2024-02-01"), DAY("2024-05-01")), 90);
	assert_int_equal(day_count(DAY("2023-12-31"), DAY("2024-03-01")), 61);
	assert_int_equal(day_count(DAY("2024-03-01"), DAY("2023-12-31")), -61);
	assert_int_equal(day_count(DAY("2024"), DAY("2025")), 366);
	assert_string_equal(shown(day_of_seconds(0)), "1970-01-01");
}

/* Each day of many years: the day before the next one is it, and they are one apart. */
static void every_day(void **unused)
{
	fold_day last = DAY("1969-12-31");

	for (uint64_t day = 0; day < 50000; day++) {
		fold_day now = day_of_seconds(day * 86400 + 43200);

		assert_true(now > last);
		assert_int_equal(day_before(now), last);
		assert_int_equal(day_count(last, now), 1);
		last = now;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_and_lists),
		cmocka_unit_test(escapes),
		cmocka_unit_test(groups),
		cmocka_unit_test(days),
		cmocka_unit_test(first_last_before),
		cmocka_unit_test(every_day),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
