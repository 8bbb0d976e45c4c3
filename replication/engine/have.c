/*
 * What is announced and heard. A Have says only what is durable. Growth is announced after a short
 * delay, cosignatures after a long one, unless the peer is the log's author, who waits for them.
 */
#include <stdio.h>

#include "replication/engine/internal.h"

void have_due_by(struct session *session, uint64_t due_ms)
{
	if (session->have_due_ms == 0 || due_ms < session->have_due_ms)
		session->have_due_ms = due_ms;
}

bool have_is_author(
	const struct engine *engine, const struct session *session, const struct elog *log)
{
	const struct member *member;

	if (!log->directory)
		return strcmp(session->peer, log->node) == 0;
	member = directory_find(engine->directory, bytes_str(session->peer));
	return member != NULL && member->role == ROLE_HQ;
}

void have_grew(struct engine *engine)
{
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		if (s->state != SESSION_CLOSING)
			have_due(engine, s);
}

/* Cosignatures alone are worth a frame once their time has come, or for who waits for them. */
static bool sends_cosigned(const struct engine *engine, const struct session *session,
	const struct elog *log, const struct peer_log *pl, bool all)
{
	return (all || have_is_author(engine, session, log)) && cosigned_untold(session, log, pl);
}

/* Does the peer know fewer members than we do? No word of its directory yet: not known. */
static bool knows_fewer(const struct engine *engine, const struct session *session)
{
	const struct elog *log = log_find(engine, bytes_str(engine->opts.directory.text));
	uint64_t shown = log == NULL || log->position >= session->log_count
				 ? 0
				 : session->logs[log->position].have_size;

	return shown > 0 && shown < log->checkpoint.size;
}

/* It has shown so much of the directory. Who knew fewer members than we do ignored cosignatures of
 * those it did not know; now they are said once more. */
static void members_heard(struct engine *engine, struct session *session, bool first)
{
	if (knows_fewer(engine, session)) {
		session->told_early |= first;
		return;
	}
	if (!session->told_early)
		return;
	session->told_early = false;
	for (size_t i = 0; i < session->log_count; i++)
		memset(session->logs[i].knows, 0, sizeof(session->logs[i].knows));
	session->cosigned_rest = true;
	have_due(engine, session);
}

/* Adds one log to the Have; returns its approximate bytes, 0 on lack of memory. */
static size_t fill_state(struct engine *engine, struct arena *arena, struct session *session,
	struct elog *log, struct peer_log *pl, Sauti__Have *have)
{
	Sauti__LogState *state = arena_alloc(arena, sizeof(*state));

	if (state == NULL)
		return 0;
	sauti__log_state__init(state);
	state->origin = log->origin.text;
	state->size = log->size;
	state->checkpoint = codec_binary(buf_bytes(&log->note));
	state->entry_bytes =
		log->seen_entries == 0 ? log->told_bytes : lag_entry_bytes(engine, log);
	if (!cosigned_fill(arena, session, log, pl, state))
		return 0;
	have->logs[have->n_logs++] = state;
	pl->told_size = log->checkpoint.size;
	session->told_early |= state->n_cosigned > 0 && knows_fewer(engine, session);
	return 256 + state->checkpoint.len + state->n_cosigned * 512;
}

static void send_have(struct engine *engine, struct session *session, Sauti__Have *have)
{
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	if (have->n_logs == 0)
		return;
	frame.body_case = SAUTI__FRAME__BODY_HAVE;
	frame.have = have;
	effect_send(engine, session, &frame);
	have->n_logs = 0;
}

/* Everything that this peer does not know yet, in as many frames as it takes, each as large as a
 * batch. What would pile up waits until these have left. */
static void announce(struct engine *engine, struct session *session)
{
	Sauti__LogState *list[LIMIT_HAVE_LOGS];
	Sauti__Have have = SAUTI__HAVE__INIT;
	struct arena arena;
	size_t bytes = 0, bytes_max = queue_batch_size(engine, session);

	bool all = session->cosigned_rest ||
		   (session->cosigned_due_ms != 0 && session->cosigned_due_ms <= engine->now_ms);

	session->have_due_ms = 0;
	session->have_waits = session->cosigned_rest = false;
	if (all)
		session->cosigned_due_ms = 0;
	arena_init(&arena, LIMIT_ARENA_SIZE);
	have.logs = list;
	for (size_t i = 0; i < engine->log_count; i++) {
		struct elog *log = engine->logs[i];
		struct peer_log *pl = session_log(engine, session, log);

		if (pl == NULL)
			break;
		if (session->queue[SEND_HAVE].bytes >= queue_batch_size(engine, session)) {
			session->have_waits = true;
			session->cosigned_rest = all;
			break;
		}
		if (!log->has_checkpoint || !guest_may_have(session, log) ||
			(pl->told_size >= log->checkpoint.size &&
				!sends_cosigned(engine, session, log, pl, all)))
			continue;
		size_t added = fill_state(engine, &arena, session, log, pl, &have);

		if (added == 0) {
			engine->nomem = true;
			break;
		}
		bytes += added;
		if (cosigned_untold(session, log, pl)) { /* more than one state takes */
			session->cosigned_rest = true;
			have_due(engine, session);
		}
		if (have.n_logs == LIMIT_HAVE_LOGS || bytes >= bytes_max) {
			send_have(engine, session, &have);
			arena_clear(&arena);
			bytes = 0;
		}
	}
	send_have(engine, session, &have);
	arena_release(&arena);
}

void have_due(struct engine *engine, struct session *session)
{
	have_due_by(session, engine->now_ms + engine->opts.timing.have_delay);
}

void have_more(struct engine *engine, struct session *session)
{
	if (session->have_waits)
		announce(engine, session);
}

void have_all(struct engine *engine, struct session *session)
{
	session->cosigned_rest = true;
	announce(engine, session);
}

static bool hear_state(struct engine *engine, struct session *session, const Sauti__LogState *state)
{
	struct elog *log = session->guest ? log_find(engine, bytes_str(state->origin))
					  : log_heard(engine, session, bytes_str(state->origin));
	struct peer_log *pl = log == NULL ? NULL : session_log(engine, session, log);
	struct checkpoint shown;
	struct errctx ctx = {""};
	enum err err;

	if (pl == NULL || !guest_may_have(session, log))
		return true; /* not of this network, or over a quota: not ours to keep */
	err = checkpoint_peek(codec_bytes(state->checkpoint), &shown, &ctx);
	if (err == OK && strcmp(shown.origin.text, branch_notes_origin(engine, log)) != 0)
		err = err_set(&ctx, ERR_MALFORMED, "the checkpoint is of another log");
	if (err == OK && (shown.size == 0 || shown.size > state->size))
		err = err_set(&ctx, ERR_MALFORMED, "the checkpoint is larger than what is held");
	if (err == OK && state->n_cosigned > LIMIT_NOTE_SIGNATURES)
		err = err_set(&ctx, ERR_LIMIT, "%zu cosignatures", state->n_cosigned);
	if (err == OK && log->key_known)
		err = checkpoint_open(
			codec_bytes(state->checkpoint), &log->key, &shown, NULL, &ctx);
	/* An author may have opened the log twice, with two keys. Who holds it under the other one
	 * is honest; nothing of it is of use here, but the two LogOpened together are evidence. */
	if (err == ERR_UNTRUSTED && !log->directory) {
		evidence_ask_key(engine, session, log, pl);
		return true;
	}
	if (err != OK) {
		session_close(engine, session, NOTICE_WARNING, "bad Have of '%s': %.100s",
			log->origin.text, err_message(&ctx, err));
		return false;
	}
	if (log->branch) {
		if (checkpoint_equal(&shown, &log->end))
			fetch_heard(engine, session, log, pl, shown.size);
		fetch_choose(engine, log);
		return true;
	}
	if (log->key_known) {
		if (!log_agrees(engine, log, &shown, codec_bytes(state->checkpoint), session->peer))
			return true;
		if (log->cut == CUT_NONE &&
			(shown.size == log->checkpoint.size || shown.size > log->size))
			log_remember_root(log, &shown, false);
	}
	bool first = pl->have_size == 0;

	if (state->entry_bytes > 0 && state->entry_bytes <= LIMIT_ENTRY_SIZE)
		log->told_bytes = state->entry_bytes;
	fetch_heard(engine, session, log, pl,
		log->cut == CUT_NONE ? shown.size : cut_shown(log, &shown));
	if (log->key_known && log->cut == CUT_NONE)
		evidence_shown(engine, session, log, pl, codec_bytes(state->checkpoint), &shown);
	if (log->directory) {
		members_heard(engine, session, first);
		guest_heard(engine, session);
	}
	for (size_t i = 0; i < state->n_cosigned; i++) {
		if (cosigned_heard(engine, session, log, state->cosigned[i], false))
			continue;
		session_close(engine, session, NOTICE_WARNING,
			"a cosignature on '%s' that does not verify", log->origin.text);
		return false;
	}
	if (engine->opts.cosigning_paused)
		cosigned_make(engine, log);
	fetch_choose(engine, log);
	return true;
}

void have_heard(struct engine *engine, struct session *session, const Sauti__Have *have)
{
	if (have->n_logs > LIMIT_HAVE_LOGS) {
		session_close(engine, session, NOTICE_WARNING, "a Have of %zu logs", have->n_logs);
		return;
	}
	for (size_t i = 0; i < have->n_logs; i++)
		if (!hear_state(engine, session, have->logs[i]))
			return;
	evidence_pump(engine, session);
}

void have_held(struct engine *engine, struct session *session, const Sauti__Held *held)
{
	struct elog *log = log_find(engine, bytes_str(held->origin));
	struct peer_log *pl = log == NULL ? NULL : session_log(engine, session, log);
	const struct member *member = directory_find(engine->directory, bytes_str(session->peer));

	if (pl == NULL || member == NULL || !log->key_known)
		return;
	if (held->cosigned == NULL || held->cosigned->size > LIMIT_LOG_SIZE ||
		!cosigned_heard(engine, session, log, held->cosigned, true)) {
		session_close(engine, session, NOTICE_WARNING,
			"a Held of '%s' whose cosignature does not verify", log->origin.text);
		return;
	}
	/* It speaks of what we gave it; of more it would show a checkpoint, in a Have. */
	if (held->cosigned->size > pl->have_size && held->cosigned->size <= log->checkpoint.size)
		fetch_heard(engine, session, log, pl, held->cosigned->size);
	if (log->directory)
		members_heard(engine, session, false);
	serve_acknowledge(engine, session, log, pl, held->cosigned->size);
	fetch_choose(engine, log);
	evidence_pump(engine, session);
}

/* When something is to be said to the session; UINT64_MAX: not. */
static uint64_t say_due(const struct session *session)
{
	uint64_t due = UINT64_MAX;

	if (session->state == SESSION_CLOSING)
		return due;
	if (session->have_due_ms != 0)
		due = session->have_due_ms;
	if (session->cosigned_due_ms != 0 && session->cosigned_due_ms < due)
		due = session->cosigned_due_ms;
	return due;
}

void have_tick(struct engine *engine)
{
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		if (say_due(s) <= engine->now_ms)
			announce(engine, s);
}

uint64_t have_deadline(const struct engine *engine)
{
	uint64_t due = UINT64_MAX;

	for (const struct session *s = engine->sessions; s != NULL; s = s->next)
		if (say_due(s) < due)
			due = say_due(s);
	return due;
}
