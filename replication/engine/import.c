/*
 * Bundles. What a stick brings goes the way of what a peer sends: a session that only speaks. It is
 * in no list of sessions and nothing is ever sent to it; as long as it brings entries of a log it
 * is that log's provider, so that a slow link does not fetch what the stick has.
 *
 *	1. EVENT_IMPORT
 *	2. EVENT_IMPORT_FRAME, one at a time. A Batch is judged as any (fetch.c), but that it may
 *	   begin before what is held, and brings its own target. A Have brings cosignatures, over
 *	   roots that the store's own tree vouches for
 *	3. EFFECT_IMPORTED, once what was taken is durable
 *	4. EVENT_IMPORT_END: live providers take over again
 *
 * A frame that is wrong is reported and changes nothing; the next one is judged for itself. Frames
 * that verify by themselves (evidence, mail and its ends, later disputes) have their place in
 * import_frame.
 */
#include <stdio.h>

#include "replication/engine/internal.h"

/* The log belongs to the live sessions again. */
static void let_go(struct engine *engine)
{
	struct elog *log = engine->import->log;

	engine->import->log = NULL;
	if (log == NULL || log->provider != &engine->import->session)
		return;
	fetch_stop(engine, log, false);
	fetch_choose(engine, log);
}

void import_begin(struct engine *engine, const struct event *event)
{
	struct import *import = mem_zalloc(sizeof(*import));

	assert(engine->import == NULL);
	if (import == NULL) {
		engine->nomem = true;
		return;
	}
	import->session.id = event->session;
	import->session.state = SESSION_IMPORT;
	import->session.since_ms = import->touched_ms = engine->now_ms;
	/* No node has such a name: nobody's word. */
	snprintf(import->session.peer, sizeof(import->session.peer), "%s",
		event->peer[0] == '\0' ? "(bundle)" : event->peer);
	engine->import = import;
}

void import_end(struct engine *engine)
{
	struct import *import = engine->import;

	assert(import != NULL && !import->waiting);
	let_go(engine);
	for (size_t i = 0; i < engine->log_count; i++)
		log_sponsor_gone(engine, engine->logs[i], &import->session);
	engine->import = NULL;
	session_free(&import->session);
}

void import_fault(struct engine *engine, const char *reason)
{
	struct import *import = engine->import;

	if (import->fault[0] == '\0')
		snprintf(import->fault, sizeof(import->fault), "%s", reason);
}

static void answer(struct engine *engine, const struct elog *log, enum err error, const char *text)
{
	struct import *import = engine->import;
	struct effect *effect = effect_add(engine, EFFECT_IMPORTED);

	import->waiting = false;
	if (effect == NULL)
		return;
	effect->session = import->session.id;
	effect->error = error;
	if (log != NULL) {
		effect->origin = log->origin;
		import->imported.held = log->size;
	}
	effect->imported = import->imported;
	if (error != OK)
		snprintf(effect->text, sizeof(effect->text), "%s", text);
}

/* ---- batches ---- */

static void import_batch(struct engine *engine, const Sauti__Batch *batch)
{
	struct import *import = engine->import;
	struct elog *log = log_heard(engine, &import->session, bytes_str(batch->origin));
	struct errctx ctx = {""};
	enum err err = OK;

	import->imported.first = batch->first;
	import->imported.count = batch->n_entries;
	if (import->log != log)
		let_go(engine);
	if (log == NULL || batch->n_entries == 0 || batch->n_entries > LIMIT_BATCH_ENTRIES ||
		batch->first > LIMIT_LOG_SIZE) {
		answer(engine, log, log == NULL ? ERR_UNTRUSTED : ERR_MALFORMED,
			log == NULL ? "a log that has no place here" : "no possible entries");
		return;
	}
	import->log = import->written = log;
	import->write_end = 0;
	import->healing = refetch_offer(engine, log, batch);
	if (batch->first + batch->n_entries > log->head.size) {
		err = fetch_import(engine, &import->session, log, batch, &ctx);
		if (err == OK)
			import->write_end = log->head.size;
	}
	import->waiting = import->write_end > 0 || import->healing > 0;
	if (!import->waiting)
		answer(engine, log, err, err_message(&ctx, err));
	else
		import->result = err;
}

/* `log` had a write come back. */
void import_written(struct engine *engine, struct elog *log, const struct store_write *write)
{
	struct import *import = engine->import;
	uint64_t count = write->entries->count;

	if (import == NULL || !import->waiting || import->written != log)
		return;
	if (write->heal && import->healing > 0)
		import->healing--;
	else if (!write->heal && import->write_end == write->first + count)
		import->write_end = 0;
	else
		return;
	if (write->result == OK)
		import->imported.added += count;
	else
		import->result = write->result;
	if (import->healing == 0 && import->write_end == 0)
		answer(engine, log, import->result, err_text(import->result));
}

/* ---- cosignatures ---- */

/* One at a time: a root that the tree has is known for as long as it is needed, and one that is
 * forged spoils no other. */
static void import_cosigned(struct engine *engine, struct elog *log, Sauti__LogState *state,
	Sauti__Cosigned **list, size_t count, uint64_t vouched)
{
	Sauti__Have have = SAUTI__HAVE__INIT;

	have.n_logs = 1;
	have.logs = &state;
	state->n_cosigned = 1;
	for (size_t i = 0; i < count && i < LIMIT_NOTE_SIGNATURES; i++) {
		struct checkpoint known = {.origin = log->origin, .size = list[i]->size};

		if ((vouched >> i & 1) != 0 && list[i]->root.len == HASH_SIZE) {
			memcpy(known.root.b, list[i]->root.data, HASH_SIZE);
			log_remember_root(log, &known, true);
		}
		state->cosigned = &list[i];
		have_heard(engine, &engine->import->session, &have);
	}
	if (log->has_checkpoint)
		log_remember_root(log, &log->checkpoint, true);
}

static void import_have(struct engine *engine, Sauti__Have *have, uint64_t vouched)
{
	struct import *import = engine->import;
	Sauti__LogState *state;
	struct elog *log;
	uint64_t before;
	size_t count;

	if (have->n_logs != 1) {
		answer(engine, NULL, ERR_MALFORMED, "a Have of one log at a time");
		return;
	}
	state = have->logs[0];
	log = log_heard(engine, &import->session, bytes_str(state->origin));
	if (log == NULL) {
		answer(engine, NULL, ERR_UNTRUSTED, "a log that has no place here");
		return;
	}
	before = log->cosigned_version;
	count = state->n_cosigned;
	state->n_cosigned = 0;
	have_heard(engine, &import->session, have);
	if (log->key_known && import->fault[0] == '\0')
		import_cosigned(engine, log, state, state->cosigned, count, vouched);
	import->imported.cosigned = (size_t)(log->cosigned_version - before);
	answer(engine, log, import->fault[0] == '\0' ? OK : ERR_UNTRUSTED, import->fault);
}

/* ---- mail ---- */

/* It is signed, and checked as any. Not waited for: who gave it keeps it until the end comes back,
 * and a node that is killed before it is durable takes it from the next bundle, or the same. */
static void import_mail(struct engine *engine, const Sauti__Frame *frame)
{
	struct import *import = engine->import;
	size_t count = engine_mail_count(engine);

	if (frame->body_case == SAUTI__FRAME__BODY_MAIL)
		custody_mail(engine, &import->session, frame->mail);
	else
		custody_ack(engine, &import->session, frame->mail_ack);
	if (engine_mail_count(engine) > count)
		import->imported.mail = 1;
	answer(engine, NULL, import->fault[0] == '\0' ? OK : ERR_UNTRUSTED, import->fault);
}

void import_frame(struct engine *engine, const struct event *event)
{
	struct import *import = engine->import;
	struct errctx ctx = {""};
	Sauti__Frame *frame;
	enum err err;

	assert(import != NULL && !import->waiting);
	import->touched_ms = engine->now_ms;
	import->fault[0] = '\0';
	import->imported = (struct imported){0};
	arena_clear(&engine->arena);
	err = CODEC_UNPACK(frame, event->frame, &scan_limits_default, &engine->arena, &frame, &ctx);
	if (err != OK) {
		answer(engine, NULL, ERR_MALFORMED, err_message(&ctx, err));
		return;
	}
	switch (frame->body_case) {
	case SAUTI__FRAME__BODY_BATCH:
		import_batch(engine, frame->batch);
		break;
	case SAUTI__FRAME__BODY_HAVE:
		import_have(engine, frame->have, event->vouched);
		break;
	case SAUTI__FRAME__BODY_MAIL:
		import_mail(engine, frame);
		break;
	case SAUTI__FRAME__BODY_MAIL_ACK:
		if (frame->mail_ack->body_case == SAUTI__MAIL_ACK__BODY_END)
			import_mail(engine, frame);
		else
			answer(engine, NULL, ERR_UNSUPPORTED, "an answer to nobody");
		break;
	case SAUTI__FRAME__BODY_EVIDENCE:
		evidence_heard(engine, &import->session, frame->evidence);
		answer(engine, NULL, import->fault[0] == '\0' ? OK : ERR_UNTRUSTED, import->fault);
		break;
	default:
		answer(engine, NULL, ERR_UNSUPPORTED, "no kind of frame for a bundle");
		break;
	}
}

/* ---- time ---- */

/* A stick that hangs must not keep a log from its live providers. */
void import_tick(struct engine *engine)
{
	if (engine->import != NULL && !engine->import->waiting && engine->import->log != NULL &&
		import_deadline(engine) <= engine->now_ms)
		let_go(engine);
}

uint64_t import_deadline(const struct engine *engine)
{
	const struct import *import = engine->import;

	return import == NULL || import->log == NULL || import->waiting
		       ? UINT64_MAX
		       : import->touched_ms + engine->opts.timing.fetch_timeout;
}
