#include "server/meter.h"

enum { DAY_MS = 24 * 60 * 60 * 1000, IDLE_MIN_MS = 60 * 1000 };

static uint64_t bytes_since(const struct meter_sample *now, const struct meter_sample *then)
{
	return now->in - then->in + (now->out - then->out);
}

static uint64_t ms_since(const struct meter_sample *now, const struct meter_sample *then)
{
	return now->now_ms > then->now_ms ? now->now_ms - then->now_ms : 0;
}

void meter_begin(struct meter *meter, const struct meter_sample *sample)
{
	meter->sessions++;
	meter->in += sample->in;
	meter->out += sample->out;
	meter->last = *sample;
	meter->window = (struct meter_sample){.now_ms = sample->now_ms};
	meter->connecting = true;
	meter->before = METER_OTHER;
}

static void connected(struct meter *meter, const struct meter_sample *sample)
{
	meter->connects++;
	meter->connect_bytes += bytes_since(sample, &meter->window);
	meter->connecting = false;
	meter->window = *sample;
}

static void window_ends(struct meter *meter, const struct meter_sample *sample)
{
	uint64_t bytes = bytes_since(sample, &meter->window);
	bool bulk = sample->entries.bulk != meter->window.entries.bulk;
	uint64_t live = sample->entries.live - meter->window.entries.live;

	if (!bulk && (live > 0 || meter->before == METER_LIVE)) {
		meter->live_entries += live;
		meter->live_bytes += bytes;
	} else if (!bulk && meter->before == METER_IDLE) {
		meter->idle_ms += ms_since(sample, &meter->window);
		meter->idle_bytes += bytes;
	}
	meter->before = bulk ? METER_OTHER : live > 0 ? METER_LIVE : METER_IDLE;
	meter->window = *sample;
}

void meter_note(struct meter *meter, const struct meter_sample *sample)
{
	struct meter_sample before = meter->last;

	meter->in += sample->in - before.in;
	meter->out += sample->out - before.out;
	meter->last = *sample;
	if (meter->connecting) {
		if (sample->entries.bulk + sample->entries.live > 0)
			connected(meter, &before);
		else if (ms_since(sample, &meter->window) >= METER_WINDOW_MS)
			connected(meter, &before);
	}
	/* What was silent until now belongs to the window that this byte ends. */
	if (!meter->connecting && ms_since(sample, &meter->window) >= METER_WINDOW_MS) {
		before.now_ms = sample->now_ms;
		window_ends(meter, &before);
	}
}

void meter_sent(struct meter *meter, enum send_class class, size_t bytes)
{
	meter->out_by_class[class] += bytes;
}

void meter_end(struct meter *meter, const struct meter_sample *sample)
{
	meter_note(meter, sample);
	meter->connecting = false;
}

static bool ratio(uint64_t bytes, uint64_t count, uint64_t *ret)
{
	if (count == 0)
		return false;
	*ret = bytes / count;
	return true;
}

bool meter_reconnect(const struct meter *meter, uint64_t *ret)
{
	return ratio(meter->connect_bytes, meter->connects, ret);
}

bool meter_live_event(const struct meter *meter, uint64_t *ret)
{
	return ratio(meter->live_bytes, meter->live_entries, ret);
}

bool meter_idle_day(const struct meter *meter, uint64_t *ret)
{
	if (meter->idle_ms < IDLE_MIN_MS)
		return false;
	*ret = (uint64_t)((double)meter->idle_bytes * DAY_MS / (double)meter->idle_ms);
	return true;
}
