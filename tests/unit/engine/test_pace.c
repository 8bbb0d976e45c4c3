/*
 * A sender that keeps to pace.h, on a link that is a queue with a rate and a delay each way: what
 * it makes of the link, and what somebody urgent would wait for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "replication/engine/pace.h"

enum { UNDER_WAY_MAX = 512 };

struct batch {
	struct pace_item item;
	uint64_t acknowledged_ms;
};

struct line {
	uint64_t rate, rtt_ms, commit_ms; /* of the link and of the receiver's disk */
	uint64_t now_ms, free_ms;         /* free_ms: what was handed over has left by then */
	struct pace pace;
	struct batch batch[UNDER_WAY_MAX];
	unsigned first, last;
	uint64_t handed, idle_ms, queue_ms; /* queue_ms: the longest that something waited */
};

static void line_init(struct line *line, uint64_t rate, uint64_t rtt_ms, uint64_t rate_before)
{
	*line = (struct line){.rate = rate, .rtt_ms = rtt_ms, .commit_ms = 20, .now_ms = 1000};
	pace_init(&line->pace, rate_before);
	pace_round_trip(&line->pace, rtt_ms, true);
	line->free_ms = line->now_ms;
}

static void line_hand_over(struct line *line, size_t size)
{
	struct batch *b = &line->batch[line->last++ % UNDER_WAY_MAX];
	uint64_t begins = line->free_ms > line->now_ms ? line->free_ms : line->now_ms;

	assert_true(line->last - line->first < UNDER_WAY_MAX);
	if (line->handed > 0)
		line->idle_ms += begins - line->free_ms;
	line->free_ms = begins + size * 1000 / line->rate;
	pace_sent(&line->pace, line->now_ms, size, &b->item);
	b->acknowledged_ms = line->free_ms + line->rtt_ms + line->commit_ms;
	line->handed += size;
	if (line->free_ms - line->now_ms > line->queue_ms)
		line->queue_ms = line->free_ms - line->now_ms;
}

/* One millisecond of catching up. */
static void line_step(struct line *line)
{
	line->now_ms++;
	while (line->first != line->last &&
		line->batch[line->first % UNDER_WAY_MAX].acknowledged_ms <= line->now_ms)
		pace_acknowledged(&line->pace, line->now_ms,
			&line->batch[line->first++ % UNDER_WAY_MAX].item);
	while (pace_may(&line->pace, line->now_ms, 0) && line->last - line->first < 64)
		line_hand_over(line, pace_batch(&line->pace, UINT64_MAX));
}

static void line_run(struct line *line, uint64_t ms)
{
	for (uint64_t end = line->now_ms + ms; line->now_ms < end;)
		line_step(line);
}

static void test_links_are_filled_and_not_flooded(void **state)
{
	static const struct {
		uint64_t rate, rtt_ms;
	} links[] = {{1000, 900}, {8000, 600}, {8000, 50}, {16000, 900}, {64000, 600}, {64000, 900},
		{250000, 300}, {1250000, 600}, {1250000, 2}};

	(void)state;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		struct line line;
		uint64_t rate = links[i].rate, batch = rate * PACE_BATCH_MS / 1000;

		line_init(&line, rate, links[i].rtt_ms, 0);
		line_run(&line, 60 * 1000);
		line.idle_ms = line.queue_ms = 0;
		line_run(&line, 60 * 1000);
		assert_in_range(line.pace.rate, rate * 95 / 100, rate * 105 / 100);
		if (batch >= PACE_BATCH_MIN && batch <= LIMIT_BATCH_SIZE)
			assert_in_range(pace_batch(&line.pace, UINT64_MAX), batch * 95 / 100,
				batch * 105 / 100);
		/* Nothing is lost: the link rests for less than one part in a hundred. */
		assert_in_range(line.idle_ms, 0, batch < PACE_BATCH_MIN ? 1000 : 600);
		/* What is urgent waits for less than two batches before it. */
		if (batch >= PACE_BATCH_MIN)
			assert_in_range(line.queue_ms, 0, 2 * PACE_BATCH_MS);
	}
}

/* From the first byte: 512 kbit/s over 600 ms are not left idle while nothing is known. */
static void test_the_beginning_is_not_slow(void **state)
{
	struct line line;

	(void)state;
	line_init(&line, 64000, 600, 0);
	line_hand_over(&line, pace_batch(&line.pace, UINT64_MAX));
	line_run(&line, 8000);
	assert_in_range(line.idle_ms, 0, 400);
	/* A fast one, far away, is full after some round trips. */
	line_init(&line, 1250000, 600, 0);
	line_run(&line, 6000);
	assert_true(line.pace.rate > 1000000);
}

/* At 64 kbit/s the first frame takes 2 s, and all that is handed over before anything is known 8.
 */
static void test_no_frame_takes_ten_seconds(void **state)
{
	struct line line;

	(void)state;
	line_init(&line, 8000, 600, 0);
	line_run(&line, 60 * 1000);
	assert_true(line.queue_ms < 10 * 1000);
	/* Known from before, it begins as it went on; a fast link is not believed. */
	line_init(&line, 8000, 600, 8000);
	assert_int_equal(pace_batch(&line.pace, UINT64_MAX), 12000);
	line_run(&line, 60 * 1000);
	assert_true(line.queue_ms < 2 * PACE_BATCH_MS);
	line_init(&line, 8000, 600, 1 << 30);
	assert_int_equal(pace_batch(&line.pace, UINT64_MAX), PACE_BATCH_START);
}

static void test_it_follows_the_link(void **state)
{
	struct line line;

	(void)state;
	line_init(&line, 64000, 600, 0);
	line_run(&line, 30 * 1000);
	line.rate = 8000;
	line_run(&line, 120 * 1000);
	assert_in_range(line.pace.rate, 7600, 8800);
	line.queue_ms = 0;
	line_run(&line, 30 * 1000);
	assert_in_range(line.queue_ms, 0, 2 * PACE_BATCH_MS);
	line.rate = 64000;
	line_run(&line, 30 * 1000);
	assert_in_range(line.pace.rate, 60000, 68000);
}

/* A link that stalls is not stuffed meanwhile, and is as fast as before afterwards. */
static void test_a_stall(void **state)
{
	struct line line;
	uint64_t handed;

	(void)state;
	line_init(&line, 64000, 600, 0);
	line_run(&line, 30 * 1000);
	for (unsigned i = line.first; i != line.last; i++)
		line.batch[i % UNDER_WAY_MAX].acknowledged_ms += 20 * 1000;
	line.free_ms += 20 * 1000;
	handed = line.handed;
	line_run(&line, 20 * 1000);
	assert_in_range(line.handed - handed, 0, 64000 * 4);
	line_run(&line, 20 * 1000);
	assert_in_range(line.pace.rate, 60000, 68000);
}

/* Single entries now and then say nothing of what the link could carry. */
static void test_a_little_is_no_measure(void **state)
{
	struct line line;

	(void)state;
	line_init(&line, 64000, 600, 0);
	line_run(&line, 30 * 1000);
	line.now_ms = line.free_ms + 5000;
	while (line.first != line.last)
		pace_acknowledged(
			&line.pace, line.now_ms, &line.batch[line.first++ % UNDER_WAY_MAX].item);
	uint64_t rate = line.pace.rate;

	for (unsigned i = 0; i < 20; i++) {
		line_hand_over(&line, 700);
		line.now_ms += 800;
		pace_acknowledged(
			&line.pace, line.now_ms, &line.batch[line.first++ % UNDER_WAY_MAX].item);
	}
	assert_int_equal(line.pace.rate, rate);
}

static void test_clocks_and_extremes(void **state)
{
	struct pace pace;
	struct pace_item item, other;

	(void)state;
	pace_init(&pace, 0);
	pace_sent(&pace, 1000000, 5000, &item);
	pace_acknowledged(&pace, 10, &item); /* backwards */
	assert_true(pace_may(&pace, 10, 0));
	assert_int_equal(pace_batch(&pace, UINT64_MAX), LIMIT_BATCH_SIZE);
	pace_sent(&pace, 20, 1 << 20, &item);
	pace_sent(&pace, 20, 1 << 20, &other);
	pace_acknowledged(&pace, UINT64_MAX, &item); /* by years */
	assert_true(pace_due(&pace, 0) >= 20);
	pace_dropped(&pace, &other);
	assert_true(pace_may(&pace, 0, 0));
	assert_int_equal(pace.flight, 0);
	pace_dropped(&pace, &other); /* twice is no wrap */
	assert_int_equal(pace.flight, 0);
	/* A ceiling that somebody set, down to nothing. */
	pace_init(&pace, 0);
	assert_int_equal(pace_batch(&pace, 1), PACE_BATCH_MIN);
	assert_int_equal(pace_batch(&pace, 6000), 9000);
	assert_int_equal(pace_batch(&pace, UINT64_MAX), PACE_BATCH_START);
	/* Unknown rate: so much and no more. */
	pace_sent(&pace, 0, PACE_START_FLIGHT - 1, &item);
	assert_true(pace_may(&pace, 0, 0));
	pace_sent(&pace, 0, 1, &item);
	assert_false(pace_may(&pace, UINT64_MAX, 0));
	assert_int_equal(pace_due(&pace, 0), UINT64_MAX);
	assert_true(pace_may(&pace, 0, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_links_are_filled_and_not_flooded),
		cmocka_unit_test(test_the_beginning_is_not_slow),
		cmocka_unit_test(test_no_frame_takes_ten_seconds),
		cmocka_unit_test(test_it_follows_the_link),
		cmocka_unit_test(test_a_stall),
		cmocka_unit_test(test_a_little_is_no_measure),
		cmocka_unit_test(test_clocks_and_extremes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
