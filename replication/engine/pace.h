/*
 * pace: what a link carries, measured, and what may be on its way because of it. Pure arithmetic
 * over the times that it is given; one per session, for what is sent there.
 *
 * The rate is a delivery rate as BBR takes it (draft-cardwell-iccrg-bbr): the bytes that were
 * acknowledged between two moments, over the longer of the time in which they were sent and the
 * time in which they were acknowledged. It rises at once and falls by a quarter of the difference.
 * A sample taken while too little was on its way to fill the link can only raise it.
 *
 * What is acknowledged sets the clock: the link is busy until `flight / rate` after the last
 * acknowledgement. The next batch is handed over PACE_GUARD_MS before that, so that the link never
 * waits, and what is urgent waits for little more than one batch. While the rate is not known,
 * PACE_START_FLIGHT bytes may be on their way: enough for 512 kbit/s over 600 ms.
 *
 * Acknowledged is what is durable: a receiver whose commits take seconds makes its link look slow,
 * and is given little at a time.
 *
 * Clocks: times are of one monotonic clock; one that goes backwards counts as one that stands.
 */
#ifndef REPLICATION_ENGINE_PACE_H
#define REPLICATION_ENGINE_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PACE_BATCH_MS = 1500,          /* what one batch takes on the link */
	PACE_BATCH_MIN = 4 * 1024,     /* .. but not less */
	PACE_BATCH_START = 16 * 1024,  /* while the rate is not known */
	PACE_START_FLIGHT = 64 * 1024, /* likewise */
	PACE_GUARD_MS = 400,           /* by which the next is early */
	PACE_STALL_MS = 500,           /* a batch that is not acknowledged so late has stalled */
};

struct pace {
	uint64_t rate;         /* bytes a second; 0: not known */
	uint32_t rtt_ms;       /* at least 1; 0: not known */
	uint64_t flight;       /* bytes handed over and not acknowledged */
	uint64_t delivered;    /* bytes acknowledged, in all */
	uint64_t delivered_ms; /* when they last were; or when the flight began */
	uint64_t sent_ms;      /* when that which was acknowledged last was sent */
};

/* One thing that is on its way, and how matters stood when it was sent. */
struct pace_item {
	size_t size;
	uint64_t at_ms, delivered, delivered_ms, sent_ms;
	bool limited; /* too little was on its way to fill the link */
};

/* A link that was known before: what it carried is believed if it was slow. */
void pace_init(struct pace *pace, uint64_t rate_before);
void pace_sent(struct pace *pace, uint64_t now_ms, size_t size, struct pace_item *ret);
void pace_acknowledged(struct pace *pace, uint64_t now_ms, const struct pace_item *item);
/* Nobody will acknowledge it. */
void pace_dropped(struct pace *pace, const struct pace_item *item);
/* A small message went there and back; alone: nothing else was on its way. */
void pace_round_trip(struct pace *pace, uint64_t ms, bool alone);

/* Bytes for one batch, when no more than `rate_max` a second may be sent (UINT64_MAX: any). */
size_t pace_batch(const struct pace *pace, uint64_t rate_max);
/* May something be handed over now? `extra` bytes may be on their way besides. */
bool pace_may(const struct pace *pace, uint64_t now_ms, uint64_t extra);
/* When it may, if nothing is acknowledged until then; UINT64_MAX: not before something is. */
uint64_t pace_due(const struct pace *pace, uint64_t extra);

#endif
