/*
 * The providing side: one stream per session and log, at most `window` batches unacknowledged. Of a
 * session's streams the directory's is read first, then the one with the smallest gap. A
 * stream runs to a target checkpoint; when it is reached and the log has a newer one, that becomes
 * the target and its note goes along with the next batch. A peer that is caught up so gets live
 * entries as they become durable, straight from memory.
 */
#include "replication/engine/internal.h"

static bool may_send(
	const struct session *session, const struct elog *log, const struct peer_log *pl)
{
	return session_talks(session) && pl->serving && !pl->reading &&
	       (pl->up_to == 0 || pl->next < pl->up_to) && pl->sent < pl->window &&
	       log->has_checkpoint && pl->next < log->checkpoint.size && !evidence_unsure(log, pl);
}

/* The stream needs a new target: the newest checkpoint. */
static void aim(struct engine *engine, const struct elog *log, struct peer_log *pl)
{
	pl->target = log->checkpoint.size;
	pl->send_note = true;
	buf_clear(&pl->note);
	buf_put(&pl->note, buf_bytes(&log->note));
	engine->nomem |= pl->note.err != OK;
}

static void send_batch(struct engine *engine, struct session *session, struct elog *log,
	struct peer_log *pl, const struct entries *entries, const struct proof *proof)
{
	ProtobufCBinaryData list[LIMIT_BATCH_ENTRIES], hashes[LIMIT_PROOF_HASHES];
	Sauti__Batch batch = SAUTI__BATCH__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	assert(entries->count <= LIMIT_BATCH_ENTRIES && pl->sent < LIMIT_FETCH_WINDOW);
	for (size_t i = 0; i < entries->count; i++)
		list[i] = codec_binary(entries->entry[i]);
	for (size_t i = 0; i < proof->count; i++)
		hashes[i] = codec_binary(hash_bytes(&proof->hashes[i]));
	batch.origin = log->origin.text;
	batch.stream = pl->stream;
	batch.first = pl->next;
	batch.n_entries = entries->count;
	batch.entries = list;
	batch.n_proof = proof->count;
	batch.proof = hashes;
	if (pl->send_note) {
		batch.checkpoint = codec_binary(buf_bytes(&pl->note));
		pl->told_size = pl->target;
	}
	frame.body_case = SAUTI__FRAME__BODY_BATCH;
	frame.batch = &batch;
	queue_batch(engine, session, log, &frame, pl->next + entries->count, pl->send_note);
	pl->send_note = false;
	pl->next += entries->count;
}

bool reads_reserve(struct engine *engine)
{
	size_t capacity = engine->read_capacity == 0 ? 16 : 2 * engine->read_capacity;
	struct read_ticket *list;

	if (engine->read_count < engine->read_capacity)
		return true;
	list = mem_resize(engine->reads, capacity * sizeof(*engine->reads));
	if (list == NULL) {
		engine->nomem = true;
		return false;
	}
	engine->reads = list;
	engine->read_capacity = capacity;
	return true;
}

static void read_batch(struct engine *engine, struct session *session, const struct elog *log)
{
	struct peer_log *pl = &session->logs[log->position];

	if (pl->next >= pl->target)
		aim(engine, log, pl);
	if (!reads_reserve(engine))
		return;
	struct effect *effect = effect_add(engine, EFFECT_READ);

	if (effect == NULL)
		return;
	effect->read = (struct store_read){
		.origin = *branch_stored(engine, log),
		.first = pl->next,
		.target = pl->target,
		.count_max = LIMIT_BATCH_ENTRIES,
		.size_max = queue_batch_size(engine, session),
		.ticket = ++engine->next_ticket,
	};
	if (pl->up_to != 0 && pl->up_to - pl->next < effect->read.count_max)
		effect->read.count_max = (size_t)(pl->up_to - pl->next);
	engine->reads[engine->read_count++] = (struct read_ticket){
		.ticket = effect->read.ticket, .session = session->id, .log = log->position};
	pl->reading = true;
	session->reads++;
}

/* The stream that comes next; NULL: none has anything to send. */
static struct elog *next_stream(struct engine *engine, const struct session *session)
{
	struct elog *best = NULL;
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < session->log_count; i++) {
		const struct peer_log *pl = &session->logs[i];
		struct elog *log = engine->logs[i];

		if (!may_send(session, log, pl) ||
			!bound_may_catch_up(engine, session, log, log->checkpoint.size - pl->next))
			continue;
		uint64_t gap = log->directory ? 0 : log->checkpoint.size - pl->next;

		if (gap < least) {
			least = gap;
			best = log;
		}
	}
	return best;
}

void serve_session(struct engine *engine, struct session *session)
{
	struct elog *log;

	while (session_talks(session) && session->reads < SESSION_READS && !engine->nomem &&
		queue_wants_batch(engine, session) && (log = next_stream(engine, session)) != NULL)
		read_batch(engine, session, log);
}

void serve_acknowledge(struct engine *engine, struct session *session, struct elog *log,
	struct peer_log *pl, uint64_t size)
{
	(void)pl;
	queue_acknowledged(engine, session, log, size);
	serve_session(engine, session);
}

void serve_fetch(struct engine *engine, struct session *session, const Sauti__Fetch *fetch)
{
	struct elog *log = log_find(engine, bytes_str(fetch->origin));
	struct peer_log *pl = log == NULL ? NULL : session_log(engine, session, log);

	if (pl == NULL || !guest_may_have(session, log))
		return; /* we do not have it (any more): the peer's timeout finds another */
	if (fetch->from > LIMIT_LOG_SIZE) {
		session_close(engine, session, NOTICE_WARNING, "a Fetch from %llu on",
			(unsigned long long)fetch->from);
		return;
	}
	session->asked = fetch->rate == 0 ? RATE_UNLIMITED : fetch->rate;
	if (fetch->window == 0) {
		if (!pl->serving || fetch->stream != pl->stream)
			return;
		pl->serving = false;
		queue_void(engine, session, log);
		return;
	}
	if (!pl->serving || fetch->stream != pl->stream) {
		pl->serving = true;
		pl->stale = pl->reading; /* it is dropped when it comes; until then none begins */
		pl->stream = fetch->stream;
		pl->next = fetch->from;
		pl->up_to = fetch->up_to;
		pl->target = 0;
		pl->caught_up = log->has_checkpoint && fetch->from >= log->checkpoint.size;
		queue_void(engine, session, log);
	}
	pl->window = fetch->window < LIMIT_FETCH_WINDOW ? fetch->window : LIMIT_FETCH_WINDOW;
	serve_acknowledge(engine, session, log, pl, fetch->from);
}

/* May the write's own entries go out as they are, without a read? */
static bool is_live(const struct elog *log, const struct peer_log *pl,
	const struct store_write *write, size_t size_max)
{
	return write->entries != NULL && pl->up_to == 0 && pl->next == write->first &&
	       pl->next >= pl->target && write->entries->count <= LIMIT_BATCH_ENTRIES &&
	       write->entries->size <= size_max &&
	       write->first + write->entries->count == log->checkpoint.size;
}

void serve_grew(struct engine *engine, struct elog *log, const struct store_write *write)
{
	static const struct proof nothing;

	for (struct session *s = engine->sessions; s != NULL; s = s->next) {
		struct peer_log *pl = session_log(engine, s, log);

		if (pl == NULL || !may_send(s, log, pl))
			continue;
		if (is_live(log, pl, write, queue_batch_size(engine, s))) {
			aim(engine, log, pl);
			send_batch(engine, s, log, pl, write->entries, &nothing);
		} else {
			serve_session(engine, s);
		}
	}
}

static void batch_done(
	struct engine *engine, struct session *session, struct elog *log, const struct event *event)
{
	struct peer_log *pl = &session->logs[log->position];
	bool wanted = session_talks(session) && pl->serving && !pl->stale;

	pl->reading = pl->stale = false;
	if (wanted && event->error == OK) {
		send_batch(engine, session, log, pl, event->batch.entries, &event->batch.proof);
	} else if (wanted) {
		pl->serving = false;
		effect_notice(engine, NOTICE_ALARM, "log '%s': cannot read entry %llu: %s",
			log->origin.text, (unsigned long long)pl->next, err_text(event->error));
	}
}

void serve_read(struct engine *engine, struct event *event)
{
	struct read_ticket ticket = {0};
	struct session *session;

	for (size_t i = 0; i < engine->read_count; i++) {
		if (engine->reads[i].ticket != event->ticket)
			continue;
		ticket = engine->reads[i];
		engine->reads[i] = engine->reads[--engine->read_count];
		break;
	}
	session = session_find(engine, ticket.session);
	if (ticket.witness) {
		witness_read(engine, engine->logs[ticket.log], event, &ticket);
	} else if (ticket.root) {
		root_read(engine, engine->logs[ticket.log], event);
	} else if (session != NULL) {
		session->reads--;
		if (ticket.kind == READ_PROOF)
			evidence_read_done(
				engine, session, engine->logs[ticket.log], event, &ticket);
		else
			batch_done(engine, session, engine->logs[ticket.log], event);
		serve_session(engine, session);
	}
	entries_unref(event->batch.entries);
	event->batch.entries = NULL;
}

void serve_session_gone(struct engine *engine, struct session_id id)
{
	for (size_t i = 0; i < engine->read_count; i++)
		if (engine->reads[i].session.value == id.value)
			engine->reads[i].session.value = 0;
}
