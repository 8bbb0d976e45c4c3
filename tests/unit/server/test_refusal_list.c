/* What is remembered of refused mail: the newest, up to the cap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/keys/refusal_list.h"

static struct refusal number(unsigned n, uint64_t at)
{
	struct refusal refusal = {.sender = "chad", .kind = 4, .reason = 3, .at = at};

	snprintf(refusal.name, sizeof(refusal.name), "%016x", n);
	return refusal;
}

static void test_cap(void **state)
{
	static struct refusal_list list;
	struct refusal dropped, one;

	for (unsigned n = 0; n < LIMIT_REFUSALS; n++) {
		one = number(n, 1000 + n);
		assert_true(refusal_list_add(&list, &one, &dropped));
		assert_string_equal(dropped.name, "");
	}
	assert_int_equal(list.count, LIMIT_REFUSALS);
	one = number(LIMIT_REFUSALS, 5000);
	assert_true(refusal_list_add(&list, &one, &dropped));
	assert_string_equal(dropped.name, "0000000000000000");
	assert_int_equal(list.count, LIMIT_REFUSALS);
	assert_string_equal(refusal_list_at(&list, 0)->name, one.name);
	assert_int_equal(refusal_list_at(&list, LIMIT_REFUSALS - 1)->at, 1001);
	assert_null(refusal_list_at(&list, LIMIT_REFUSALS));
}

/* Rows are read in the order of their names; and an item that is judged twice stands once. */
static void test_order(void **state)
{
	static const uint64_t times[] = {7, 3, 9, 3, 1};
	static struct refusal_list list;
	struct refusal dropped, one;

	for (unsigned n = 0; n < 5; n++) {
		one = number(n, times[n]);
		assert_true(refusal_list_add(&list, &one, &dropped));
	}
	assert_false(refusal_list_add(&list, &one, &dropped));
	assert_int_equal(list.count, 5);
	for (size_t i = 1; i < 5; i++)
		assert_true(refusal_list_at(&list, i - 1)->at >= refusal_list_at(&list, i)->at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
