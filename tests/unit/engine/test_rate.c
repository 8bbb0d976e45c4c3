#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "replication/engine/rate.h"

enum { MON = 1, TUE = 2, FRI = 16, SAT = 32, SUN = 64, WORK = 31 };

#define MONDAY UINT64_C(1767571200) /* 2026-01-05 00:00 UTC */

static uint64_t at(unsigned day, unsigned hour, unsigned minute)
{
	return MONDAY + day * 86400u + hour * 3600u + minute * 60u;
}

static void test_hours(void **state)
{
	struct rate_hours hours = {
		.rule = {{WORK, 7 * 60, 18 * 60, 4000}, {SAT | SUN, 0, 24 * 60, RATE_UNLIMITED}},
		.count = 2,
		.otherwise = 16000};

	(void)state;
	assert_int_equal(rate_hours_at(&hours, at(0, 6, 59)), 16000);
	assert_int_equal(rate_hours_at(&hours, at(0, 7, 0)), 4000);
	assert_int_equal(rate_hours_at(&hours, at(4, 17, 59)), 4000);
	assert_int_equal(rate_hours_at(&hours, at(4, 18, 0)), 16000);
	assert_int_equal(rate_hours_at(&hours, at(5, 0, 0)), RATE_UNLIMITED);
	assert_int_equal(rate_hours_at(&hours, at(6, 23, 59)), RATE_UNLIMITED);
	assert_int_equal(rate_hours_at(&hours, at(7, 0, 0)), 16000);
	hours.count = 0;
	assert_int_equal(rate_hours_at(&hours, at(0, 8, 0)), RATE_UNLIMITED);
}

static void test_zones(void **state)
{
	struct rate_hours hours = {
		.rule = {{MON, 7 * 60, 18 * 60, 4000}}, .count = 1, .otherwise = 16000};

	(void)state;
	hours.zone_min = 3 * 60; /* Nairobi: 07:00 there is 04:00 UTC */
	assert_int_equal(rate_hours_at(&hours, at(0, 3, 59)), 16000);
	assert_int_equal(rate_hours_at(&hours, at(0, 4, 0)), 4000);
	hours.zone_min = -5 * 60; /* Port-au-Prince: 18:00 there is 23:00 UTC */
	assert_int_equal(rate_hours_at(&hours, at(0, 11, 59)), 16000);
	assert_int_equal(rate_hours_at(&hours, at(0, 22, 59)), 4000);
	assert_int_equal(rate_hours_at(&hours, at(0, 23, 0)), 16000);
	hours.zone_min = 14 * 60;
	assert_int_equal(rate_hours_at(&hours, at(0, 0, 0) - 7 * 3600), 4000);
	hours.zone_min = -12 * 60;
	(void)rate_hours_at(&hours, 0); /* the year 1970, and no year at all */
	(void)rate_hours_at(&hours, UINT64_MAX);
}

static void test_over_midnight(void **state)
{
	struct rate_hours hours = {
		.rule = {{FRI, 22 * 60, 6 * 60, RATE_CLOSED}}, .count = 1, .otherwise = 16000};

	(void)state;
	assert_int_equal(rate_hours_at(&hours, at(4, 5, 0)), 16000); /* Friday morning */
	assert_int_equal(rate_hours_at(&hours, at(4, 22, 0)), RATE_CLOSED);
	assert_int_equal(rate_hours_at(&hours, at(5, 5, 59)), RATE_CLOSED);
	assert_int_equal(rate_hours_at(&hours, at(5, 6, 0)), 16000);
	assert_int_equal(rate_hours_at(&hours, at(5, 23, 0)), 16000);
}

static void test_the_lesser_counts(void **state)
{
	struct rate_link link = RATE_LINK_ANY;

	(void)state;
	assert_int_equal(rate_link_up(&link, at(0, 8, 0)), RATE_UNLIMITED);
	link.hours = (struct rate_hours){
		.rule = {{WORK, 0, 24 * 60, 4000}}, .count = 1, .otherwise = RATE_UNLIMITED};
	link.up = 8000;
	link.down = 2000;
	assert_int_equal(rate_link_up(&link, at(0, 8, 0)), 4000);
	assert_int_equal(rate_link_down(&link, at(0, 8, 0)), 2000);
	assert_int_equal(rate_link_up(&link, at(5, 8, 0)), 8000);
}

/* Over a minute it lets as much through as its rate says, and a little that had gathered. */
static void test_bucket(void **state)
{
	struct rate_bucket bucket = {0};
	uint64_t now = 5000, sent = 0;

	(void)state;
	for (uint64_t end = now + 60 * 1000; now < end; now++) {
		while (rate_bucket_due(&bucket, 8000, now, 0) <= now) {
			rate_bucket_take(&bucket, 8000, now, 1500);
			sent += 1500;
		}
		assert_true(rate_bucket_due(&bucket, 8000, now, 0) <= now + 200);
	}
	assert_in_range(sent, 8000 * 60 - 1500, 8000 * 60 + 2000 + 1500);
	/* Exactly when it says so. */
	uint64_t due = rate_bucket_due(&bucket, 8000, now, 0);

	if (due > now) {
		assert_true(rate_bucket_due(&bucket, 8000, due - 1, 0) > due - 1);
		assert_int_equal(rate_bucket_due(&bucket, 8000, due, 0), due);
	}
	/* What is urgent goes into debt, so far and no further. */
	rate_bucket_take(&bucket, 8000, now, 8000);
	assert_true(rate_bucket_due(&bucket, 8000, now, 0) > now);
	assert_int_equal(rate_bucket_due(&bucket, 8000, now, 2000), now);
	rate_bucket_take(&bucket, 8000, now, 16000);
	assert_true(rate_bucket_due(&bucket, 8000, now, 2000) > now);
}

static void test_clocks_that_jump(void **state)
{
	struct rate_bucket bucket = {0};

	(void)state;
	rate_bucket_take(&bucket, 1000, UINT64_MAX - 10, 100000);
	/* Back to the beginning: what is owed is paid from then on, in ten seconds at most. */
	assert_in_range(rate_bucket_due(&bucket, 1000, 0, 0), 1, 100001);
	rate_bucket_take(&bucket, 1000, 0, 0);
	assert_in_range(rate_bucket_due(&bucket, 1000, 0, 0), 1, 10001);
	assert_int_equal(rate_bucket_due(&bucket, 1000, 20000, 0), 20000);
	/* Years ahead: full, and no more than that. */
	rate_bucket_take(&bucket, 1000, UINT64_MAX / 2, 250);
	assert_in_range(bucket.level, 0, 1000);
	/* A rate that is taken away owes nothing when it comes back. */
	rate_bucket_take(&bucket, 1000, UINT64_MAX / 2, 1 << 30);
	rate_bucket_take(&bucket, RATE_UNLIMITED, UINT64_MAX / 2, 1 << 30);
	assert_int_equal(rate_bucket_due(&bucket, 1000, UINT64_MAX / 2, 0), UINT64_MAX / 2);
	/* The smallest and the largest. */
	rate_bucket_take(&bucket, RATE_CLOSED, 0, 1 << 20);
	assert_in_range(rate_bucket_due(&bucket, RATE_CLOSED, 0, 0), 1, 10000000);
	rate_bucket_take(&bucket, RATE_MAX, 0, 1 << 20);
	assert_in_range(rate_bucket_due(&bucket, RATE_MAX, 0, 0), 0, 11000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hours),
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_over_midnight),
		cmocka_unit_test(test_the_lesser_counts),
		cmocka_unit_test(test_bucket),
		cmocka_unit_test(test_clocks_that_jump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
