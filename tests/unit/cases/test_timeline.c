#include "cases_test.h"

#include "cases/fold/timeline.h"

#define REF "\"case_ref\":\"00112233445566778899aabbccddeeff\""

/* Event n on a day, recorded at a time. */
static struct event_parts make_parts(unsigned n, const char *day, const char *time)
{
	struct event_parts parts;
	struct event event;
	char line[500];

	snprintf(line, sizeof line,
		"{\"type\":\"CONTACT\",\"event_id\":\"01900000-0000-7000-8000-%012u\"," REF
		",\"occurred_on\":\"%s\",\"recorded_at\":\"%s\",\"recorded_by\":\"o\","
		"\"office\":\"HTI\",\"n\":%u,\"note\":\"lorem\"}",
		n, day, time, n);
	assert_ok(event_parse(bytes_str(line), &event, NULL));
	assert_ok(event_split(&event, NULL, &parts, NULL));
	assert_int_equal(parts.count, 2);
	event_release(&event);
	return parts;
}

static const struct {
	unsigned n; /* given as event_id */
	const char *day, *time;
} events[] = {
	/* in the order expected */
	{7, "2023", "2024-09-01T00:00:00Z"},
	{1, "2024-01-31", "2024-02-01T00:00:00Z"},
	{4, "2024-02", "2024-02-03T00:00:00Z"},
	{9, "2024-02-10", "2024-02-10T10:00:00Z"},
	{2, "2024-02-10", "2024-02-11T10:00:00Z"},
	{3, "2024-02-10", "2024-02-11T10:00:00Z"},
	{5, "", "2024-02-12T23:59:59Z"}, /* no date: at the day of recording */
	{6, "2024-02-13", "2024-02-12T00:00:00Z"},
};
enum { COUNT = sizeof events / sizeof events[0] };

static char *timeline_text(const unsigned *order, size_t count)
{
	struct event_parts parts[COUNT];
	struct timeline *timeline;
	struct buf buf;
	char *text;

	for (size_t e = 0; e < COUNT; e++)
		parts[e] = make_parts(events[e].n, events[e].day, events[e].time);
	assert_ok(timeline_new(&timeline));
	for (size_t i = 0; i < count; i++) {
		const struct event_parts *p = &parts[order[i] / 2 % COUNT];

		assert_ok(timeline_add(timeline, buf_bytes(&p->part[order[i] % 2].packed), NULL));
	}
	assert_ok(timeline_finish(timeline));
	assert_int_equal(timeline_left_out(timeline), 0);
	buf_init(&buf, 100000);
	timeline_json(timeline, &buf);
	text = strdup(buf_cstr(&buf));
	buf_release(&buf);
	timeline_free(timeline);
	for (size_t e = 0; e < COUNT; e++)
		event_parts_release(&parts[e]);
	return text;
}

static void order_and_idempotence(void **state)
{
	unsigned order[6 * COUNT];
	char *expected;
	json_t *array;

	for (unsigned i = 0; i < 2 * COUNT; i++)
		order[i] = i;
	expected = timeline_text(order, 2 * COUNT);
	array = json_loads(expected, JSON_REJECT_DUPLICATES, NULL);
	assert_int_equal(json_array_size(array), COUNT);
	for (size_t e = 0; e < COUNT; e++) {
		const json_t *event = json_array_get(array, e);

		assert_int_equal(json_integer_value(json_object_get(event, "n")), events[e].n);
		assert_string_equal(json_string_value(json_object_get(event, "note")), "lorem");
	}
	json_decref(array);
	/* any order, three times each: the same text */
	srand(7);
	for (unsigned round = 0; round < 50; round++) {
		char *text;

		for (unsigned i = 0; i < 6 * COUNT; i++)
			order[i] = i % (2 * COUNT);
		for (unsigned i = 6 * COUNT - 1; i > 0; i--) {
			unsigned j = (unsigned)rand() % (i + 1), keep = order[i];

			order[i] = order[j];
			order[j] = keep;
		}
		text = timeline_text(order, 6 * COUNT);
		assert_string_equal(text, expected);
		free(text);
	}
	free(expected);
}

static void without_main_part(void **state)
{
	unsigned order[] = {1, 2, 3};
	char *text = timeline_text(order, 3);
	json_t *array = json_loads(text, 0, NULL);

	assert_int_equal(json_array_size(array), 2);
	assert_true(json_is_true(json_object_get(json_array_get(array, 0), "partial")));
	assert_null(json_object_get(json_array_get(array, 0), "n"));
	assert_null(json_object_get(json_array_get(array, 1), "partial"));
	json_decref(array);
	free(text);
}

static void empty(void **state)
{
	char *text = timeline_text(NULL, 0);

	assert_string_equal(text, "[]");
	free(text);
	timeline_free(NULL);
}

static void bad_parts_are_refused(void **state)
{
	struct event_parts parts = make_parts(1, "2024", "2024-02-01T00:00:00Z");
	struct buf *packed = &parts.part[0].packed;
	struct timeline *timeline;
	struct errctx ctx = {""};

	assert_ok(timeline_new(&timeline));
	assert_int_equal(timeline_add(timeline, bytes_str("no part"), NULL), ERR_MALFORMED);
	assert_int_equal(timeline_add(timeline, BYTES_NONE, NULL), ERR_MALFORMED);
	assert_ok(timeline_add(timeline, buf_bytes(packed), NULL));
	/* 0a 10 event_id, 12 10 case_ref */
	packed->data[18 + 2] ^= 1;
	assert_int_equal(timeline_add(timeline, buf_bytes(packed), &ctx), ERR_INVALID);
	assert_string_equal(ctx.text, "part of another case");
	assert_ok(timeline_finish(timeline));
	assert_int_equal(timeline_count(timeline), 1);
	assert_int_equal(timeline_event(timeline, 0)->type, EVENT_CONTACT);
	timeline_free(timeline);
	event_parts_release(&parts);
}

/* An author who repeats a part, each time a little changed, gets one event and costs little. */
static void many_versions_of_one_part(void **state)
{
	struct timeline *timeline;
	char time[32];

	assert_ok(timeline_new(&timeline));
	for (unsigned i = 0; i < 2000; i++) {
		struct event_parts parts;

		snprintf(time, sizeof time, "2024-02-01T%02u:%02u:%02uZ", i / 3600 % 24,
			i / 60 % 60, i % 60);
		parts = make_parts(1, "2024", time);
		assert_ok(timeline_add(timeline, buf_bytes(&parts.part[0].packed), NULL));
		event_parts_release(&parts);
	}
	assert_ok(timeline_finish(timeline));
	assert_int_equal(timeline_count(timeline), 1);
	timeline_free(timeline);
}

static struct event_parts tortured[3];

static enum err fold(void *arg)
{
	struct timeline *timeline = NULL;
	struct buf buf;
	enum err err;

	buf_init(&buf, 100000);
	err = timeline_new(&timeline);
	for (size_t i = 0; i < 6 && err == OK; i++)
		err = timeline_add(timeline, buf_bytes(&tortured[i / 2].part[i % 2].packed), NULL);
	if (err == OK)
		err = timeline_finish(timeline);
	if (err == OK) {
		timeline_json(timeline, &buf);
		err = buf.err;
	}
	buf_release(&buf);
	timeline_free(timeline);
	return err;
}

static void allocation_failures(void **state)
{
	for (unsigned i = 0; i < 3; i++)
		tortured[i] = make_parts(i, "2024", "2024-02-01T00:00:00Z");
	torture(fold, NULL);
	for (unsigned i = 0; i < 3; i++)
		event_parts_release(&tortured[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_and_idempotence),
		cmocka_unit_test(without_main_part),
		cmocka_unit_test(empty),
		cmocka_unit_test(bad_parts_are_refused),
		cmocka_unit_test(many_versions_of_one_part),
		cmocka_unit_test(allocation_failures),
	};

	return cmocka_run_group_tests(tests, setup_crypto, teardown_crypto);
}
