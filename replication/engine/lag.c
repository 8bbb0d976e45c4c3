/*
 * How far behind: this node, and each peer as far as it has said, in entries and since when. A peer
 * that has gone keeps what it last said; after a restart nothing is known of it until it comes.
 */
#include "replication/engine/internal.h"

static struct peer *peer_at(struct engine *engine, const struct session *session)
{
	return session->peer_position < engine->peer_count ? &engine->peers[session->peer_position]
							   : NULL;
}

static struct peer_lag *lag_get(struct engine *engine, struct peer *peer, size_t log)
{
	if (log >= peer->lag_count) {
		struct peer_lag *list =
			mem_resize(peer->lag, engine->log_count * sizeof(*peer->lag));

		if (list == NULL) {
			engine->nomem = true;
			return NULL;
		}
		memset(list + peer->lag_count, 0,
			(engine->log_count - peer->lag_count) * sizeof(*list));
		peer->lag = list;
		peer->lag_count = engine->log_count;
	}
	return &peer->lag[log];
}

static void lag_judge(const struct engine *engine, const struct elog *log, struct peer_lag *lag)
{
	if (lag->have >= log->checkpoint.size)
		lag->since_s = 0;
	else if (lag->since_s == 0)
		lag->since_s = engine->wall_s;
}

void lag_own(const struct engine *engine, struct elog *log)
{
	if (log->shown <= log->size)
		log->behind_since_s = 0;
	else if (log->behind_since_s == 0)
		log->behind_since_s = engine->wall_s;
}

void lag_heard(struct engine *engine, struct session *session, struct elog *log, uint64_t size)
{
	struct peer *peer = peer_at(engine, session);
	struct peer_lag *lag = peer == NULL ? NULL : lag_get(engine, peer, log->position);

	/* Of a log whose key is not known a size is anybody's word. */
	if (log->key_known && size > log->shown)
		log->shown = size;
	lag_own(engine, log);
	if (lag == NULL)
		return;
	lag->have = size > lag->have ? size : lag->have;
	lag_judge(engine, log, lag);
}

void lag_grew(struct engine *engine, struct elog *log)
{
	lag_own(engine, log);
	for (size_t i = 0; i < engine->peer_count; i++)
		if (engine->peers[i].lag != NULL) {
			struct peer_lag *lag = lag_get(engine, &engine->peers[i], log->position);

			if (lag != NULL)
				lag_judge(engine, log, lag);
		}
}

void lag_forget(struct engine *engine, const struct elog *log)
{
	for (size_t i = 0; i < engine->peer_count; i++)
		if (log->position < engine->peers[i].lag_count)
			engine->peers[i].lag[log->position] = (struct peer_lag){0};
}

/* A peer that comes tells all it has: what it does not name it has not. */
void lag_session(struct engine *engine, const struct session *session)
{
	struct peer *peer = peer_at(engine, session);

	for (size_t i = 0; peer != NULL && i < engine->log_count; i++) {
		struct peer_lag *lag = lag_get(engine, peer, i);

		if (lag == NULL)
			return;
		if (engine->logs[i]->has_checkpoint)
			lag_judge(engine, engine->logs[i], lag);
	}
}

void lag_entries(struct elog *log, size_t count, size_t size)
{
	log->seen_entries += count;
	log->seen_bytes += size;
}

uint32_t lag_entry_bytes(const struct engine *engine, const struct elog *log)
{
	uint64_t entries = 0, bytes = 0;

	if (log->seen_entries > 0)
		return (uint32_t)(log->seen_bytes / log->seen_entries);
	if (log->told_bytes > 0)
		return log->told_bytes;
	for (size_t i = 0; i < engine->log_count; i++) {
		entries += engine->logs[i]->seen_entries;
		bytes += engine->logs[i]->seen_bytes;
	}
	return entries == 0 ? 0 : (uint32_t)(bytes / entries);
}

bool engine_peer_lag(
	const struct engine *engine, size_t position, size_t log, struct engine_lag *ret)
{
	const struct peer *peer = &engine->peers[position];
	const struct elog *l = engine->logs[log];

	if (log >= peer->lag_count || strcmp(l->node, peer->name) == 0)
		return false;
	*ret = (struct engine_lag){.held = peer->lag[log].have, .since_s = peer->lag[log].since_s};
	if (l->checkpoint.size > ret->held && !l->proven) /* of two histories nothing is taken */
		ret->entries = l->checkpoint.size - ret->held;
	ret->bytes = ret->entries * lag_entry_bytes(engine, l);
	return true;
}
