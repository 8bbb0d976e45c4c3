#include "support.h"

#include "server/store/condition.h"

static const enum trouble troubles[] = {TROUBLE_REPLICAS_PAUSED, TROUBLE_DISK_FULL,
	TROUBLE_MAP_FULL, TROUBLE_IO, TROUBLE_READ_ONLY, TROUBLE_DENIED, TROUBLE_DAMAGED,
	TROUBLE_RESTART};
enum { TROUBLES = sizeof(troubles) / sizeof(troubles[0]) };

static struct condition in(enum trouble trouble)
{
	return (struct condition){.trouble = trouble, .since_s = 7};
}

static void test_words(void **state)
{
	(void)state;
	assert_string_equal(trouble_name(TROUBLE_NONE), "ok");
	assert_string_equal(trouble_text(TROUBLE_NONE), "");
	assert_string_equal(trouble_todo(TROUBLE_NONE), "");
	assert_false(trouble_probed(TROUBLE_NONE));
	for (unsigned i = 0; i < TROUBLES; i++) {
		assert_true(trouble_name(troubles[i])[0] != '\0');
		assert_true(trouble_text(troubles[i])[0] != '\0');
		assert_true(trouble_todo(troubles[i])[0] != '\0');
		/* With the longest cause the message is cut, not broken. */
		assert_true(strlen(trouble_text(troubles[i])) < 190);
	}
	/* Nothing that only a restart can end is probed. */
	assert_false(trouble_probed(TROUBLE_RESTART));
	assert_false(trouble_probed(TROUBLE_MAP_FULL));
	assert_false(trouble_probed(TROUBLE_DAMAGED));
}

static void test_failing(void **state)
{
	struct commit_report report = {.cause = "store '/x': commit: no space left"};

	(void)state;
	for (unsigned from = 0; from < TROUBLES; from++) {
		for (unsigned to = 0; to < TROUBLES; to++) {
			struct condition condition = in(troubles[from]);

			report.trouble = troubles[to];
			assert_int_equal(condition_report(&condition, &report, 99), from != to);
			assert_int_equal(condition.trouble, troubles[to]);
			/* The first time counts. */
			assert_int_equal(condition.since_s, from != to ? 99 : 7);
			if (from == to)
				continue;
			assert_non_null(strstr(condition.message, trouble_text(troubles[to])));
			assert_non_null(strstr(condition.message, "'/x': commit"));
		}
	}
}

static enum trouble after(enum trouble before, struct commit_report report)
{
	struct condition condition = in(before);
	bool changed = condition_report(&condition, &report, 99);

	assert_int_equal(changed, condition.trouble != before);
	if (condition.trouble == TROUBLE_NONE)
		assert_string_equal(condition.message, "");
	return condition.trouble;
}

static void test_passing(void **state)
{
	const struct commit_report nothing = {.room = ROOM_UNKNOWN}, small = {.committed = true},
				   roomy = {.committed = true, .roomy = true},
				   enough = {.committed = true, .roomy = true, .room = ROOM_ENOUGH},
				   refused = {.room = ROOM_SHORT},
				   short_of = {
					   .committed = true, .roomy = true, .room = ROOM_SHORT};

	(void)state;
	assert_int_equal(after(TROUBLE_NONE, nothing), TROUBLE_NONE);
	assert_int_equal(after(TROUBLE_NONE, roomy), TROUBLE_NONE);
	assert_int_equal(after(TROUBLE_NONE, refused), TROUBLE_REPLICAS_PAUSED);
	assert_int_equal(after(TROUBLE_NONE, short_of), TROUBLE_REPLICAS_PAUSED);

	/* Own work says nothing about the room for replicas. */
	assert_int_equal(after(TROUBLE_REPLICAS_PAUSED, nothing), TROUBLE_REPLICAS_PAUSED);
	assert_int_equal(after(TROUBLE_REPLICAS_PAUSED, roomy), TROUBLE_REPLICAS_PAUSED);
	assert_int_equal(after(TROUBLE_REPLICAS_PAUSED, enough), TROUBLE_NONE);

	/* A commit alone says nothing about a full disk. */
	assert_int_equal(after(TROUBLE_DISK_FULL, nothing), TROUBLE_DISK_FULL);
	assert_int_equal(after(TROUBLE_DISK_FULL, small), TROUBLE_DISK_FULL);
	assert_int_equal(after(TROUBLE_DISK_FULL, refused), TROUBLE_DISK_FULL);
	assert_int_equal(after(TROUBLE_DISK_FULL, roomy), TROUBLE_NONE);
	assert_int_equal(after(TROUBLE_DISK_FULL, short_of), TROUBLE_REPLICAS_PAUSED);
	assert_int_equal(after(TROUBLE_MAP_FULL, small), TROUBLE_MAP_FULL);
	/* A map grows by a restart alone. */
	assert_int_equal(after(TROUBLE_MAP_FULL, roomy), TROUBLE_MAP_FULL);
	assert_int_equal(after(TROUBLE_MAP_FULL, short_of), TROUBLE_MAP_FULL);

	/* Any commit shows that a disk can be written; no commit shows nothing. */
	for (unsigned i = 0; i < TROUBLES; i++) {
		enum trouble t = troubles[i];

		if (t == TROUBLE_REPLICAS_PAUSED || t == TROUBLE_DISK_FULL || t == TROUBLE_MAP_FULL)
			continue;
		assert_int_equal(after(t, nothing), t);
		assert_int_equal(after(t, refused), t);
		assert_int_equal(after(t, small), TROUBLE_NONE);
		assert_int_equal(after(t, short_of), TROUBLE_REPLICAS_PAUSED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_failing),
		cmocka_unit_test(test_passing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
