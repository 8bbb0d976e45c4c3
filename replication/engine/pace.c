#include "replication/engine/pace.h"

#include "base/limits.h"

#define RATE_MAX (UINT64_C(1) << 40) /* no product below overflows */

static uint64_t since(uint64_t now_ms, uint64_t then_ms)
{
	return now_ms > then_ms ? now_ms - then_ms : 0;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void pace_init(struct pace *pace, uint64_t rate_before)
{
	*pace = (struct pace){0};
	if (rate_before * PACE_BATCH_MS / 1000 < PACE_START_FLIGHT)
		pace->rate = rate_before;
}

void pace_sent(struct pace *pace, uint64_t now_ms, size_t size, struct pace_item *ret)
{
	if (pace->flight == 0)
		pace->delivered_ms = pace->sent_ms = now_ms;
	pace->flight += size;
	*ret = (struct pace_item){
		.size = size,
		.at_ms = now_ms,
		.delivered = pace->delivered,
		.delivered_ms = pace->delivered_ms,
		.sent_ms = pace->sent_ms,
		.limited = pace->flight < pace->rate * pace->rtt_ms / 1000,
	};
}

void pace_dropped(struct pace *pace, const struct pace_item *item)
{
	pace->flight -= item->size < pace->flight ? item->size : pace->flight;
}

void pace_acknowledged(struct pace *pace, uint64_t now_ms, const struct pace_item *item)
{
	uint64_t elapsed =
		larger(since(now_ms, item->delivered_ms), since(item->at_ms, item->sent_ms));
	uint64_t sample;

	pace_dropped(pace, item);
	pace->delivered += item->size;
	pace->delivered_ms = now_ms;
	pace->sent_ms = item->at_ms;
	sample = (pace->delivered - item->delivered) * 1000 / larger(elapsed, 1);
	if (sample > RATE_MAX)
		sample = RATE_MAX;
	if (sample >= pace->rate)
		pace->rate = sample;
	else if (!item->limited)
		pace->rate -= (pace->rate - sample) / 4;
	pace_round_trip(pace, since(now_ms, item->at_ms), false);
}

void pace_round_trip(struct pace *pace, uint64_t ms, bool alone)
{
	uint32_t rtt = ms == 0 ? 1 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;

	if (alone || pace->rtt_ms == 0 || rtt < pace->rtt_ms)
		pace->rtt_ms = rtt;
}

size_t pace_batch(const struct pace *pace, uint64_t rate_max)
{
	uint64_t rate = pace->rate != 0 ? pace->rate
					: (uint64_t)PACE_BATCH_START * 1000 / PACE_BATCH_MS + 1;
	uint64_t size = (rate < rate_max ? rate : rate_max) * PACE_BATCH_MS / 1000;

	if (size < PACE_BATCH_MIN)
		return PACE_BATCH_MIN;
	return size < LIMIT_BATCH_SIZE ? (size_t)size : LIMIT_BATCH_SIZE;
}

/* Milliseconds after the last acknowledgement from which on something may be handed over. */
static uint64_t wait_ms(const struct pace *pace, uint64_t extra)
{
	uint64_t flight = pace->flight > extra ? pace->flight - extra : 0;
	uint64_t early = (uint64_t)pace->rtt_ms + PACE_GUARD_MS;
	uint64_t busy;

	if (pace->rate == 0)
		return flight < PACE_START_FLIGHT ? 0 : UINT64_MAX;
	busy = flight * 1000 / pace->rate;
	if (busy <= early)
		return 0;
	return busy - early <= pace_batch(pace, UINT64_MAX) * 1000 / pace->rate + PACE_STALL_MS
		       ? busy - early
		       : UINT64_MAX;
}

bool pace_may(const struct pace *pace, uint64_t now_ms, uint64_t extra)
{
	uint64_t wait = pace->flight == 0 ? 0 : wait_ms(pace, extra);

	return wait != UINT64_MAX && wait <= since(now_ms, pace->delivered_ms);
}

uint64_t pace_due(const struct pace *pace, uint64_t extra)
{
	uint64_t wait = pace->flight == 0 ? 0 : wait_ms(pace, extra);

	return wait == UINT64_MAX ? UINT64_MAX : pace->delivered_ms + wait;
}
