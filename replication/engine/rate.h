/*
 * rate: rates that somebody has set, for hours of the week, and a token bucket that keeps to one.
 * Pure; time is handed in.
 *
 * Hours are of the wall clock (a jump of it changes at most which hour it is), buckets of the
 * monotonic one (a jump backwards counts as none, a jump forwards fills a bucket and no more).
 */
#ifndef REPLICATION_ENGINE_RATE_H
#define REPLICATION_ENGINE_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"

/* Bytes a second, or one of these. */
#define RATE_CLOSED    UINT64_C(0) /* no session at all */
#define RATE_URGENT    UINT64_C(1) /* no catching up */
#define RATE_MIN       UINT64_C(125)
#define RATE_MAX       UINT64_C(1250000000)
#define RATE_UNLIMITED UINT64_MAX

/* On these days (bit 0: Monday) from `from` up to `to`, minutes of the day; to <= from: the hours
 * end on the day after. */
struct rate_rule {
	uint8_t days;
	uint16_t from, to;
	uint64_t rate;
};
/* The first rule that holds decides, otherwise `otherwise`. */
struct rate_hours {
	struct rate_rule rule[LIMIT_SCHEDULE_RULES];
	size_t count; /* 0: RATE_UNLIMITED at all hours */
	uint64_t otherwise;
	int16_t zone_min; /* of its times, east of UTC */
};
/* wall_s: seconds since 1970, UTC. */
uint64_t rate_hours_at(const struct rate_hours *hours, uint64_t wall_s);

/* How a link is to be used. */
struct rate_link {
	uint64_t up, down; /* bytes a second, RATE_UNLIMITED */
	struct rate_hours hours;
	bool metered; /* each byte costs: little is said while nothing happens */
};
#define RATE_LINK_ANY ((struct rate_link){.up = RATE_UNLIMITED, .down = RATE_UNLIMITED})
/* What may be sent, or received, a second now: the lesser of what holds always and at this hour.
 * RATE_URGENT and RATE_CLOSED are no rates: what passes then, passes at the one that holds always.
 */
uint64_t rate_link_up(const struct rate_link *link, uint64_t wall_s);
uint64_t rate_link_down(const struct rate_link *link, uint64_t wall_s);

/* Zeroed is full. What is taken may leave it in debt: then nothing is there until that is paid. */
struct rate_bucket {
	int64_t level; /* thousandths of bytes */
	uint64_t at_ms;
	bool used;
};
void rate_bucket_take(struct rate_bucket *bucket, uint64_t rate, uint64_t now_ms, size_t size);
/* When it holds more than `-debt_ms` worth; at most now_ms: it does. RATE_UNLIMITED: always. */
uint64_t rate_bucket_due(
	const struct rate_bucket *bucket, uint64_t rate, uint64_t now_ms, uint64_t debt_ms);

#endif
