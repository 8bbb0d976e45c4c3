#include "replication/engine/rate.h"

enum {
	DAY_MIN = 24 * 60,
	BURST_MS = 250,      /* what a full bucket holds */
	DEBT_MS = 10 * 1000, /* the most that is owed: a rate that was set lower is no punishment */
	REFILL_MS = 60 * 1000, /* more need not be counted */
};

static bool on_day(const struct rate_rule *rule, unsigned day)
{
	return (rule->days >> day & 1) != 0;
}

static bool holds(const struct rate_rule *rule, unsigned day, unsigned minute)
{
	if (rule->from < rule->to)
		return on_day(rule, day) && minute >= rule->from && minute < rule->to;
	return (on_day(rule, day) && minute >= rule->from) ||
	       (on_day(rule, (day + 6) % 7) && minute < rule->to);
}

uint64_t rate_hours_at(const struct rate_hours *hours, uint64_t wall_s)
{
	/* 1 January 1970 was a Thursday. One day more keeps what is west of UTC above zero. */
	uint64_t minutes =
		wall_s % (7 * 86400 * 1000ull) / 60 + DAY_MIN + (uint64_t)(int64_t)hours->zone_min;
	unsigned day = (unsigned)((minutes / DAY_MIN + 2) % 7), minute = minutes % DAY_MIN;

	if (hours->count == 0)
		return RATE_UNLIMITED;
	for (size_t i = 0; i < hours->count; i++)
		if (holds(&hours->rule[i], day, minute))
			return hours->rule[i].rate;
	return hours->otherwise;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t rate_link_up(const struct rate_link *link, uint64_t wall_s)
{
	uint64_t rate = rate_hours_at(&link->hours, wall_s);

	return rate < RATE_MIN ? link->up : lesser(link->up, rate);
}

uint64_t rate_link_down(const struct rate_link *link, uint64_t wall_s)
{
	uint64_t rate = rate_hours_at(&link->hours, wall_s);

	return rate < RATE_MIN ? link->down : lesser(link->down, rate);
}

static uint64_t counted(uint64_t rate)
{
	return rate < RATE_MIN ? RATE_MIN : lesser(rate, RATE_MAX);
}

static int64_t level_at(const struct rate_bucket *bucket, uint64_t rate, uint64_t now_ms)
{
	int64_t most = (int64_t)(rate * BURST_MS), least = -(int64_t)(rate * DEBT_MS);
	uint64_t passed = now_ms > bucket->at_ms ? now_ms - bucket->at_ms : 0;
	int64_t level = bucket->level;

	if (!bucket->used)
		return most;
	if (level < least)
		level = least;
	level += (int64_t)(rate * lesser(passed, REFILL_MS));
	return level < most ? level : most;
}

void rate_bucket_take(struct rate_bucket *bucket, uint64_t rate, uint64_t now_ms, size_t size)
{
	if (rate == RATE_UNLIMITED) {
		bucket->used = false;
		return;
	}
	bucket->level = level_at(bucket, counted(rate), now_ms) - (int64_t)size * 1000;
	bucket->at_ms = now_ms;
	bucket->used = true;
}

uint64_t rate_bucket_due(
	const struct rate_bucket *bucket, uint64_t rate, uint64_t now_ms, uint64_t debt_ms)
{
	int64_t level;

	if (rate == RATE_UNLIMITED || !bucket->used)
		return now_ms;
	rate = counted(rate);
	level = level_at(bucket, rate, now_ms) + (int64_t)(rate * lesser(debt_ms, DEBT_MS));
	return level > 0 ? now_ms : now_ms + (uint64_t)(-level) / rate + 1;
}
