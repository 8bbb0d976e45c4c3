/*
 * How a link is to be used: rates and hours that the operator set, for all peers together or for
 * one of its own, and what a peer asked for. What is sent is held back here; what is received is,
 * too, by asking for less and by acknowledging later.
 *
 * Hours: `urgent` lets nothing through that is catching up, in either direction; `closed` lets
 * nobody through: no dialling, and sessions end.
 */
#include "replication/engine/internal.h"

enum {
	RECORD = 26,           /* what TLS and the frame add, about */
	URGENT_DEBT_MS = 4000, /* what may be sent before its time, at most */
	LIVE_DEBT_MS = 2000,
	HOURS_MS = 30 * 1000, /* how often the clock is looked at */
	LIVE_ENTRIES = 64,    /* more that is missing is catching up */
};

static struct peer *own_peer(const struct engine *engine, const struct session *session)
{
	struct peer *peer = session->peer_position < engine->peer_count
				    ? &engine->peers[session->peer_position]
				    : NULL;

	return peer != NULL && peer->link != NULL && session->state != SESSION_IMPORT ? peer : NULL;
}

static const struct rate_link *link_of(const struct engine *engine, const struct session *session)
{
	const struct peer *peer = own_peer(engine, session);

	return peer == NULL ? &engine->link : peer->link;
}

static uint64_t hours(const struct engine *engine, const struct session *session)
{
	return rate_hours_at(&link_of(engine, session)->hours, engine->wall_s);
}

void bound_set(struct engine *engine, const char *name, const struct rate_link *link)
{
	struct peer *peer = peer_get(engine, name);
	struct rate_link *copy = mem_zalloc(sizeof(*copy));

	if (peer == NULL || copy == NULL) {
		engine->nomem |= copy == NULL;
		mem_free(copy);
		return;
	}
	*copy = *link;
	mem_free(peer->link);
	peer->link = copy;
	engine->has_hours |= link->hours.count > 0;
}

bool bound_metered(const struct engine *engine, const struct session *session)
{
	return session->metered || link_of(engine, session)->metered;
}

bool bound_says_metered(const struct engine *engine, const struct session *session)
{
	return link_of(engine, session)->metered;
}

static uint64_t hours_with(const struct engine *engine, const struct peer *peer)
{
	const struct rate_link *link = peer->link == NULL ? &engine->link : peer->link;

	return rate_hours_at(&link->hours, engine->wall_s);
}

bool bound_closed(const struct engine *engine, const struct peer *peer)
{
	return hours_with(engine, peer) == RATE_CLOSED;
}

bool bound_urgent(const struct engine *engine, const struct peer *peer)
{
	return hours_with(engine, peer) == RATE_URGENT;
}

static uint64_t set_up(const struct engine *engine, const struct session *session)
{
	return rate_link_up(link_of(engine, session), engine->wall_s);
}

uint64_t bound_up(const struct engine *engine, const struct session *session)
{
	uint64_t rate = set_up(engine, session);

	return session->asked < rate ? session->asked : rate;
}

bool bound_may_catch_up(const struct engine *engine, const struct session *session,
	const struct elog *log, uint64_t missing)
{
	uint64_t rate = hours(engine, session);

	return (rate != RATE_URGENT && rate != RATE_CLOSED) || log->directory ||
	       missing <= LIVE_ENTRIES;
}

void bound_sent(struct engine *engine, struct session *session, size_t size)
{
	struct peer *peer = own_peer(engine, session);

	rate_bucket_take(peer == NULL ? &engine->up : &peer->up, set_up(engine, session),
		engine->now_ms, size + RECORD);
	rate_bucket_take(&session->asked_bucket, session->asked, engine->now_ms, size + RECORD);
}

uint64_t bound_send_due(
	const struct engine *engine, const struct session *session, enum send_class class)
{
	const struct peer *peer = own_peer(engine, session);
	uint64_t debt = class < SEND_LIVE ? URGENT_DEBT_MS : class == SEND_LIVE ? LIVE_DEBT_MS : 0;
	uint64_t due = rate_bucket_due(peer == NULL ? &engine->up : &peer->up,
		set_up(engine, session), engine->now_ms, debt);
	uint64_t asked =
		rate_bucket_due(&session->asked_bucket, session->asked, engine->now_ms, debt);

	return asked > due ? asked : due;
}

void bound_received(struct engine *engine, struct session *session, size_t size)
{
	struct peer *peer = own_peer(engine, session);

	rate_bucket_take(peer == NULL ? &engine->down : &peer->down,
		rate_link_down(link_of(engine, session), engine->wall_s), engine->now_ms,
		size + RECORD);
}

uint64_t bound_receive_due(const struct engine *engine, const struct session *session)
{
	const struct peer *peer = own_peer(engine, session);

	return rate_bucket_due(peer == NULL ? &engine->down : &peer->down,
		rate_link_down(link_of(engine, session), engine->wall_s), engine->now_ms, 0);
}

static bool provides(const struct engine *engine, const struct session *session)
{
	for (size_t i = 0; i < engine->log_count; i++)
		if (engine->logs[i]->provider == session)
			return true;
	return false;
}

uint64_t bound_ask(const struct engine *engine, const struct session *session)
{
	uint64_t rate = rate_link_down(link_of(engine, session), engine->wall_s), sharers = 0;

	if (rate == RATE_UNLIMITED)
		return 0;
	if (own_peer(engine, session) != NULL)
		return rate;
	for (const struct session *s = engine->sessions; s != NULL; s = s->next)
		sharers += own_peer(engine, s) == NULL && (s == session || provides(engine, s));
	rate /= sharers > 0 ? sharers : 1;
	return rate < RATE_MIN ? RATE_MIN : rate;
}

void bound_tick(struct engine *engine)
{
	if (!engine->has_hours || engine->now_ms < engine->hours_ms)
		return;
	engine->hours_ms = engine->now_ms + HOURS_MS;
	for (struct session *s = engine->sessions, *next; s != NULL; s = next) {
		next = s->next;
		if (s->state != SESSION_CLOSING && hours(engine, s) == RATE_CLOSED)
			session_close(engine, s, NOTICE_INFO, "these hours are closed");
	}
	for (size_t i = 0; i < engine->log_count; i++)
		fetch_choose(engine, engine->logs[i]);
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		serve_session(engine, s);
}

uint64_t bound_deadline(const struct engine *engine)
{
	return engine->has_hours && engine->started ? engine->hours_ms : UINT64_MAX;
}
