#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "server/officers/lockout.h"

static uint64_t wrong(struct lockout *lockout, const char *name, uint64_t now)
{
	assert_int_equal(lockout_wait(lockout, name, now), 0);
	lockout_wrong(lockout, name, now);
	return lockout_wait(lockout, name, now);
}

/* Three for nothing, then 1 s, 2 s, .. 15 min; what all of them cost stays below. */
static void waits_double(void **state)
{
	static struct lockout lockout;
	uint64_t now = 5000, delay = LOCKOUT_FIRST_MS, wait;

	lockout = (struct lockout){.count = 0};
	for (int i = 1; i < LOCKOUT_FREE; i++)
		assert_int_equal(wrong(&lockout, "amina", now), 0);
	for (int i = 0; i < 15; i++) {
		wait = wrong(&lockout, "amina", now);
		assert_int_equal(wait, delay);
		assert_int_equal(lockout_wait(&lockout, "amina", now + wait - 1), 1);
		now += wait;
		delay = 2 * delay > LOCKOUT_MAX_MS ? LOCKOUT_MAX_MS : 2 * delay;
	}
	assert_int_equal(delay, LOCKOUT_MAX_MS);
	/* Nobody else waits for that. */
	assert_int_equal(lockout_wait(&lockout, "paul", now - 1), 0);
	/* The right one ends it. */
	lockout_right(&lockout, "amina");
	assert_int_equal(wrong(&lockout, "amina", now), 0);
}

/* A try that was not made makes no difference, and the right one in between begins anew. */
static void only_tries_count(void **state)
{
	static struct lockout lockout;

	lockout = (struct lockout){.count = 0};
	for (int i = 0; i < LOCKOUT_FREE; i++)
		lockout_wrong(&lockout, "amina", 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(lockout_wait(&lockout, "amina", 1), LOCKOUT_FIRST_MS - 1);
	assert_int_equal(lockout_wait(&lockout, "amina", LOCKOUT_FIRST_MS), 0);
	lockout_right(&lockout, "amina");
	lockout_right(&lockout, "amina");
	lockout_right(&lockout, "nobody");
	for (int i = 1; i < LOCKOUT_FREE; i++)
		assert_int_equal(wrong(&lockout, "amina", LOCKOUT_FIRST_MS), 0);
}

/* Through the names: slowed down, never for long, and forgiven. */
static void in_all(void **state)
{
	static struct lockout lockout;
	char name[16];
	uint64_t now = 0, wait = 0;

	lockout = (struct lockout){.count = 0};
	for (int i = 0; i < LOCKOUT_ALL_FREE; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		wait = wrong(&lockout, name, now);
	}
	assert_int_equal(wait, LOCKOUT_FIRST_MS);
	assert_int_equal(lockout_wait(&lockout, "somebody-else", now), LOCKOUT_FIRST_MS);
	for (int i = 0; i < 20; i++) {
		now += wait;
		snprintf(name, sizeof(name), "m%d", i);
		wait = wrong(&lockout, name, now);
		assert_true(wait <= LOCKOUT_ALL_MAX_MS);
	}
	assert_int_equal(wait, LOCKOUT_ALL_MAX_MS);
	/* A right one of somebody's does not pay for the others. */
	lockout_right(&lockout, "m19");
	assert_int_equal(lockout_wait(&lockout, "somebody-else", now), LOCKOUT_ALL_MAX_MS);
	now += UINT64_C(60) * LOCKOUT_FORGIVE_MS;
	assert_int_equal(lockout_wait(&lockout, "somebody-else", now), 0);
	assert_int_equal(lockout.all.wrong, 0);
}

/* As many names as are kept, and one more: the oldest goes. Before that a name's wait is over long
 * since, since all of them together took longer. */
static void names_are_kept(void **state)
{
	static struct lockout lockout;
	char name[16];

	lockout = (struct lockout){.count = 0};
	for (int i = 0; i < LIMIT_LOCKOUT_NAMES; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		lockout_wrong(&lockout, name, 1000 + (uint64_t)i);
	}
	assert_int_equal(lockout.count, LIMIT_LOCKOUT_NAMES);
	assert_string_equal(lockout.names[0].name, "n0");
	lockout_wrong(&lockout, "n0", 5000);
	lockout_wrong(&lockout, "one-more", 5001);
	assert_int_equal(lockout.count, LIMIT_LOCKOUT_NAMES);
	assert_string_equal(lockout.names[0].name, "n0");
	assert_string_equal(lockout.names[1].name, "one-more");
	assert_true((uint64_t)(LIMIT_LOCKOUT_NAMES - 20) * LOCKOUT_ALL_MAX_MS > LOCKOUT_MAX_MS);
}

/* Names that are none, and longer than any. */
static void any_name(void **state)
{
	static struct lockout lockout;
	const char *const names[] = {"", "\xff\n", "0123456789012345678901234567890123456789"};

	lockout = (struct lockout){.count = 0};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		for (int n = 1; n < LOCKOUT_FREE; n++)
			assert_int_equal(wrong(&lockout, names[i], 0), 0);
		assert_int_equal(wrong(&lockout, names[i], 0), LOCKOUT_FIRST_MS);
	}
	assert_int_equal(lockout.count, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_double),
		cmocka_unit_test(only_tries_count),
		cmocka_unit_test(in_all),
		cmocka_unit_test(names_are_kept),
		cmocka_unit_test(any_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
