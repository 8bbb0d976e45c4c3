#include "web_test.h"

#include "web/bucket.h"

static unsigned taken(struct bucket *bucket, uint64_t from_ms, uint64_t to_ms, uint64_t step)
{
	unsigned count = 0;

	for (uint64_t now = from_ms; now < to_ms; now += step)
		count += bucket_take(bucket, now);
	return count;
}

static void test_rate(void **state)
{
	struct bucket bucket = {.per_minute = 120};
	unsigned at_once = 0;

	while (bucket_take(&bucket, 1000000))
		at_once++;
	assert_in_range(at_once, 25, 35);
	/* Nine minutes of asking ten times a second. */
	assert_in_range(taken(&bucket, 1060000, 1600000, 100), 9 * 115, 9 * 120 + 35);
	/* After a long rest no more than before. */
	at_once = 0;
	while (bucket_take(&bucket, 99000000))
		at_once++;
	assert_in_range(at_once, 25, 35);
}

static void test_slowest(void **state)
{
	struct bucket bucket = {.per_minute = 1};

	assert_true(bucket_take(&bucket, 5000));
	assert_false(bucket_take(&bucket, 5000));
	assert_false(bucket_take(&bucket, 45000));
	assert_true(bucket_take(&bucket, 65001));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_slowest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
