/*
 * meter: what a link costs, in bytes of TLS, and for what. One per peer, over all its sessions
 * since the start of the process. Pure arithmetic over what the caller has counted.
 *
 * Time is cut into windows of METER_WINDOW_MS. A window in which entries went either way by streams
 * that were catching up counts for nothing but the sums; one in which only live entries went counts
 * for them, and so does the window after it, for what is said behind them; any other is idle. What
 * a session costs before its first entries, ten seconds at most, is what a reconnect costs.
 */
#ifndef SERVER_METER_H
#define SERVER_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replication/engine/engine.h"

enum { METER_WINDOW_MS = 10 * 1000 };

/* Of the session, as it stands now; all but now_ms only grow. */
struct meter_sample {
	uint64_t now_ms; /* monotonic */
	uint64_t in, out;
	struct engine_traffic entries;
};

struct meter {
	uint64_t in, out;                    /* bytes in all */
	uint64_t out_by_class[SEND_CLASSES]; /* .. of out; the rest is TLS's own */
	uint64_t sessions;
	uint64_t connects, connect_bytes; /* of sessions that got so far */
	uint64_t live_entries, live_bytes;
	uint64_t idle_ms, idle_bytes;

	struct meter_sample last, window;
	bool connecting;
	enum { METER_OTHER, METER_LIVE, METER_IDLE } before; /* the kind of the last window */
};

void meter_begin(struct meter *meter, const struct meter_sample *sample);
void meter_note(struct meter *meter, const struct meter_sample *sample);
void meter_sent(struct meter *meter, enum send_class class, size_t bytes);
void meter_end(struct meter *meter, const struct meter_sample *sample);

/* Bytes both ways; false: nothing is known yet (of an idle day, before a minute of it). */
bool meter_reconnect(const struct meter *meter, uint64_t *ret);
bool meter_live_event(const struct meter *meter, uint64_t *ret);
bool meter_idle_day(const struct meter *meter, uint64_t *ret);

#endif
