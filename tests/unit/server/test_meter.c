#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/meter.h"

static void note(
	struct meter *meter, struct meter_sample *s, uint64_t ms, uint64_t in, uint64_t out)
{
	s->now_ms += ms;
	s->in += in;
	s->out += out;
	meter_note(meter, s);
}

static void test_a_session(void **state)
{
	struct meter meter = {0};
	struct meter_sample s = {.now_ms = 5000, .in = 900, .out = 700};
	uint64_t bytes;

	(void)state;
	assert_false(meter_reconnect(&meter, &bytes));
	meter_begin(&meter, &s);
	note(&meter, &s, 100, 200, 200);
	/* Then it catches up: that is no part of what reconnecting costs. */
	s.entries.bulk += 40;
	note(&meter, &s, 100, 50000, 100);
	assert_true(meter_reconnect(&meter, &bytes));
	assert_int_equal(bytes, 2000);
	for (unsigned i = 0; i < 30; i++) {
		s.entries.bulk += 40;
		note(&meter, &s, 1000, 50000, 100);
	}
	assert_false(meter_live_event(&meter, &bytes));
	assert_false(meter_idle_day(&meter, &bytes));
	/* Nothing but a Ping every 30 s. */
	for (unsigned i = 0; i < 10; i++)
		note(&meter, &s, 30 * 1000, 32, 32);
	assert_true(meter_idle_day(&meter, &bytes));
	assert_in_range(bytes, 64 * 2880 * 8 / 10, 64 * 2880 * 12 / 10);
	assert_int_equal(meter.in, s.in);
	assert_int_equal(meter.out, s.out);
	meter_end(&meter, &s);
}

/* Live events, and what is said a second after each. */
static void test_live(void **state)
{
	struct meter meter = {0};
	struct meter_sample s = {.now_ms = 1};
	uint64_t bytes, idle;

	(void)state;
	meter_begin(&meter, &s);
	note(&meter, &s, 11000, 500, 500);
	for (unsigned i = 0; i < 20; i++) {
		s.entries.live++;
		note(&meter, &s, 60 * 1000, 200, 600);
		note(&meter, &s, 1000, 50, 50);
		note(&meter, &s, 30 * 1000, 32, 32);
		note(&meter, &s, 30 * 1000, 32, 32);
	}
	assert_true(meter_live_event(&meter, &bytes));
	assert_in_range(bytes, 850, 1000);
	assert_true(meter_idle_day(&meter, &idle));
	assert_in_range(idle, 0, 64 * 2880 * 2);
}

static void test_clocks(void **state)
{
	struct meter meter = {0};
	struct meter_sample s = {.now_ms = 1000000};
	uint64_t bytes;

	(void)state;
	meter_begin(&meter, &s);
	s.now_ms = 5; /* backwards: no time has passed */
	note(&meter, &s, 0, 10, 10);
	s.now_ms = UINT64_MAX - 100000;
	note(&meter, &s, 0, 10, 10);
	note(&meter, &s, 50000, 10, 10);
	note(&meter, &s, 20000, 10, 10);
	(void)meter_idle_day(&meter, &bytes);
	assert_int_equal(meter.in, 40);
	meter_sent(&meter, SEND_BULK, 30);
	assert_int_equal(meter.out_by_class[SEND_BULK], 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_session),
		cmocka_unit_test(test_live),
		cmocka_unit_test(test_clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
