/* To whom keys may leave while headquarters is silent: so many, each key for so long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "server/keys/released.h"

static void one_key_for_a_time(void **state)
{
	struct released released = {.count = 0};
	struct hash one = {{1}}, other = {{2}};

	assert_int_equal(released_add(&released, "chad", &one, 10, 20), OK);
	assert_true(released_has(&released, "chad", &one, 19));
	assert_false(released_has(&released, "chad", &one, 20));
	assert_false(released_has(&released, "chad", &other, 10));
	assert_false(released_has(&released, "haiti", &one, 10));
	/* Another key of it takes its place. */
	assert_int_equal(released_add(&released, "chad", &other, 10, 30), OK);
	assert_int_equal(released.count, 1);
	assert_false(released_has(&released, "chad", &one, 10));
	assert_true(released_has(&released, "chad", &other, 29));
}

static void as_many_as_may_be(void **state)
{
	struct released released = {.count = 0};
	struct hash key = {{1}};
	char name[16];

	for (int i = 0; i < LIMIT_SILENCE_RELEASES; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(released_add(&released, name, &key, 0, i == 5 ? 50 : 100), OK);
	}
	assert_int_equal(released_add(&released, "one-more", &key, 0, 100), ERR_LIMIT);
	assert_int_equal(released_add(&released, "n7", &key, 0, 100), OK);
	assert_int_equal(released_add(&released, "one-more", &key, 50, 100), OK); /* n5 is over */
	assert_int_equal(released.count, LIMIT_SILENCE_RELEASES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_key_for_a_time),
		cmocka_unit_test(as_many_as_may_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
