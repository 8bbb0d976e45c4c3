/*
 * The witness: "consistent with all that I saw". Per log there is one memory, the largest
 * checkpoint that this node's witness key was ever put to; it is durable before it is signed, and
 * nothing is signed that does not follow from it. It grows in two ways:
 *
 *   - what is held grows (log.c): with the checkpoint, in the same transaction as its entries, or
 *by a write of its own;
 *   - somebody submits one (C2SP tlog-witness add-checkpoint), with a proof from the memory. It may
 *     be far ahead of what is held.
 *
 *	IDLE --a write--> WRITING --durable--> IDLE, or SIGNING if it is to be signed
 *	IDLE --signed again, the same--> SIGNING --> IDLE
 *	IDLE --the own tree is asked--> ASKING --> IDLE
 *
 * One of these is under way per log at a time, and everything else waits for it: so reading,
 * checking, writing and signing are one step, whoever submits what at the same time.
 *
 * When what is held reaches the memory, the own tree must have its root there (`joined`). If it has
 * another, the author has signed two histories: both notes become evidence.
 *
 * A node whose store may lack what it had (its guard says so) has lost the memory: its witness key
 * is never used again (`opts.witness_lost`); a new one (`sauti node rotate`) begins where the rest
 * of the memory is.
 */
#include <stdio.h>

#include "replication/engine/internal.h"
#include "replication/log/add_checkpoint.h"
#include "replication/log/evidence.h"

enum { MINUTE_MS = 60 * 1000 };

/* Somebody waits. */
struct witness_ask {
	uint64_t ticket;
	struct elog *log;
	struct buf body; /* parsed when it came; empty: the newest is asked for */
	bool begun;      /* what is under way is for it */
	bool looked;     /* the own tree was asked about its checkpoint */
	unsigned forked; /* it showed a fork: the status, once that is durable; 0: it did not */
	struct witness_ask *next;
};

/* ---- answers ---- */

static void answer(struct engine *engine, uint64_t ticket, unsigned status, struct bytes body)
{
	struct effect *effect = effect_add(engine, EFFECT_WITNESSED);

	if (effect == NULL)
		return;
	effect->ticket = ticket;
	effect->index = status;
	buf_put(&effect->body, body);
	engine->nomem |= effect->body.err != OK;
}

/* ---- the memory ---- */

static bool is_lost(const struct engine *engine, const struct elog *log)
{
	return engine->opts.witness_lost || log->witness.lost;
}

/* May this log be witnessed at all? */
static bool may_witness(const struct engine *engine, const struct elog *log)
{
	return engine->started && !is_lost(engine, log) && !log->branch && log->key_known &&
	       !log_is_ours(engine, log) && !log->frozen && !engine->opts.cosigning_paused;
}

void witness_init(struct elog *log)
{
	buf_init(&log->witness.note, LIMIT_NOTE_SIZE);
	buf_init(&log->witness.next_note, LIMIT_NOTE_SIZE);
	buf_init(&log->witness.asked_note, LIMIT_NOTE_SIZE);
	buf_init(&log->witness.line, LIMIT_NOTE_SIZE);
}

void witness_release(struct elog *log)
{
	buf_release(&log->witness.note);
	buf_release(&log->witness.next_note);
	buf_release(&log->witness.asked_note);
	buf_release(&log->witness.line);
}

static void set_note(struct engine *engine, struct buf *note, struct bytes data)
{
	buf_clear(note);
	buf_put(note, data);
	engine->nomem |= note->err != OK;
}

void witness_load(struct engine *engine, struct elog *log, const struct log_head *head)
{
	struct witnessed *w = &log->witness;

	w->lost = head->witness_damaged;
	if (head->witness.size == 0)
		return;
	if (checkpoint_peek(buf_bytes(&head->witness), &w->is, NULL) != OK ||
		strcmp(w->is.origin.text, log->origin.text) != 0) {
		w->lost = true;
		return;
	}
	w->time_s = head->witness_s;
	/* Lines that stand beside the log's own are not given out. */
	if (!log->key_known ||
		checkpoint_strip(buf_bytes(&head->witness), &log->key, &w->note, NULL) != OK)
		set_note(engine, &w->note, buf_bytes(&head->witness));
}

/* What an older Sauti has signed is remembered by its cosignature alone. */
void witness_load_cosigned(struct engine *engine, struct elog *log, const struct cosigned *c)
{
	struct witnessed *w = &log->witness;

	if (c->size < w->is.size)
		return;
	if (c->size > w->is.size) {
		w->is = (struct checkpoint){
			.origin = log->origin, .size = c->size, .root = c->root};
		w->time_s = c->time_s;
		buf_clear(&w->note);
	} else if (!hash_equal(&c->root, &w->is.root)) {
		w->lost = true; /* the store contradicts itself */
		return;
	}
	set_note(engine, &w->line, buf_bytes(&c->line));
	w->line_s = c->time_s;
}

void witness_forget_line(struct elog *log)
{
	buf_clear(&log->witness.line);
}

void witness_view(const struct elog *log, struct engine_witness *ret)
{
	const struct witnessed *w = &log->witness;

	*ret = (struct engine_witness){
		.size = w->is.size, .root = w->is.root, .time_s = w->time_s, .lost = w->lost};
}

/* ---- write, sign ---- */

static void put(struct engine *engine, struct elog *log, struct store_write *write,
	const struct checkpoint *next, struct bytes note)
{
	struct witnessed *w = &log->witness;

	assert(w->state == WITNESS_IDLE && next->size >= w->is.size);
	w->state = WITNESS_WRITING;
	w->next = *next;
	set_note(engine, &w->next_note, note);
	write->witness_s = engine->wall_s;
	buf_put(&write->witness, note);
	engine->nomem |= write->witness.err != OK;
}

static void persist(
	struct engine *engine, struct elog *log, const struct checkpoint *next, struct bytes note)
{
	struct store_write *write = store_write_new(&log->origin);
	struct effect *effect = write == NULL ? NULL : effect_add(engine, EFFECT_WRITE);

	if (effect == NULL) {
		store_write_free(write);
		engine->nomem = true;
		return;
	}
	write->first = log->size;
	effect->witness = true;
	put(engine, log, write, next, note);
	effect->write = write;
}

void witness_along(struct engine *engine, struct elog *log, struct store_write *write)
{
	const struct witnessed *w = &log->witness;

	/* What was written before goes first, and what is not judged yet. */
	if (w->state != WITNESS_IDLE || !may_witness(engine, log) ||
		w->is.size > log->checkpoint.size || (w->is.size > 0 && !w->joined))
		return;
	put(engine, log, write, &log->pin, buf_bytes(&log->pin_note));
}

static void sign(struct engine *engine, struct elog *log, const struct checkpoint *checkpoint)
{
	struct witnessed *w = &log->witness;
	struct effect *effect = effect_add(engine, EFFECT_COSIGN);

	if (effect == NULL)
		return;
	assert(w->state == WITNESS_IDLE);
	w->state = WITNESS_SIGNING;
	w->signing = *checkpoint;
	effect->origin = log->origin;
	effect->witness = true;
	checkpoint_format(&effect->body, checkpoint);
	engine->nomem |= effect->body.err != OK;
}

/* ---- the own tree ---- */

/* What root does it have where this checkpoint is? */
static void ask_tree(
	struct engine *engine, struct elog *log, const struct checkpoint *about, struct bytes note)
{
	struct witnessed *w = &log->witness;
	struct effect *effect = reads_reserve(engine) ? effect_add(engine, EFFECT_READ) : NULL;

	if (effect == NULL)
		return;
	assert(w->state == WITNESS_IDLE && about->size > 0);
	effect->read = (struct store_read){
		.kind = READ_PROOF,
		.origin = log->origin,
		.first = about->size,
		.target = log->checkpoint.size,
		.ticket = ++engine->next_ticket,
	};
	engine->reads[engine->read_count++] = (struct read_ticket){.ticket = effect->read.ticket,
		.log = log->position,
		.witness = true,
		.kind = READ_PROOF,
		.first = about->size,
		.target = log->checkpoint.size};
	w->asked = *about;
	set_note(engine, &w->asked_note, note);
	w->state = WITNESS_ASKING;
}

/* The author signed for that size what its tree, as it is held here, has not. */
static void other_tree(struct engine *engine, struct elog *log, const struct event *event,
	const struct read_ticket *ticket)
{
	struct evidence_parts parts = {.a = buf_bytes(&log->witness.asked_note),
		.b = buf_bytes(&log->note),
		.opened = buf_bytes(&log->opened)};

	if (log->witness.asked_note.size == 0) {
		log->witness.lost = true; /* nobody could be shown the other one */
		return;
	}
	if (ticket->first < ticket->target) {
		parts.root = &event->batch.root;
		parts.proof = &event->batch.proof;
	}
	evidence_found(engine, log, &parts, engine->node);
}

void witness_read(struct engine *engine, struct elog *log, const struct event *event,
	const struct read_ticket *ticket)
{
	struct witnessed *w = &log->witness;

	w->state = WITNESS_IDLE;
	if (event->error != OK)
		w->retry_ms = engine->now_ms + engine->opts.timing.fetch_timeout;
	else if (hash_equal(&event->batch.root, &w->asked.root))
		log_remember_root(log, &w->asked, true);
	else if (ticket->target == log->checkpoint.size) /* else it has grown: asked again */
		other_tree(engine, log, event, ticket);
	witness_look(engine, log);
}

/* Is the memory of the history that is held here? False: not known yet, or it is not. */
static bool join(struct engine *engine, struct elog *log)
{
	struct witnessed *w = &log->witness;

	if (w->is.size == 0 || w->joined)
		return true;
	if (!log->has_checkpoint || log->cut != CUT_NONE || w->is.size > log->checkpoint.size)
		return false;
	if (w->note.size == 0 && checkpoint_equal(&w->is, &log->checkpoint))
		set_note(engine, &w->note, buf_bytes(&log->note));
	w->joined = log_has_root(log, w->is.size, &w->is.root);
	if (!w->joined && engine->now_ms >= w->retry_ms)
		ask_tree(engine, log, &w->is, buf_bytes(&w->note));
	return w->joined;
}

/* ---- what is held ---- */

static struct cosigned *mine(const struct engine *engine, struct elog *log)
{
	char name[COSIGNER_NAME + 1];

	cosigned_name(engine, true, name);
	return cosigned_of(log, name);
}

/* What is held goes into the memory, and under the key. */
static void follow(struct engine *engine, struct elog *log)
{
	struct witnessed *w = &log->witness;
	const struct cosigned *c;

	if (w->state != WITNESS_IDLE || !may_witness(engine, log) || !log->has_checkpoint ||
		engine->now_ms < w->retry_ms || !join(engine, log) ||
		w->is.size > log->checkpoint.size)
		return;
	if (w->is.size < log->checkpoint.size) {
		persist(engine, log, &log->checkpoint, buf_bytes(&log->note));
		return;
	}
	c = mine(engine, log);
	if (c == NULL || c->size < w->is.size)
		sign(engine, log, &w->is);
}

void witness_renew(struct engine *engine, struct elog *log)
{
	const struct witnessed *w = &log->witness;

	if (w->state == WITNESS_IDLE && may_witness(engine, log) && w->joined &&
		log->has_checkpoint && w->is.size == log->checkpoint.size)
		sign(engine, log, &w->is);
}

/* ---- submitted ---- */

static void ask_free(struct witness_ask *ask)
{
	buf_release(&ask->body);
	mem_free(ask);
}

void witness_asks_release(struct engine *engine)
{
	while (engine->asks != NULL) {
		struct witness_ask *next = engine->asks->next;

		ask_free(engine->asks);
		engine->asks = next;
	}
}

/* The first of this log; NULL: none. */
static struct witness_ask *ask_of(const struct engine *engine, const struct elog *log)
{
	struct witness_ask *ask = engine->asks;

	while (ask != NULL && ask->log != log)
		ask = ask->next;
	return ask;
}

static void ask_end(
	struct engine *engine, struct witness_ask *ask, unsigned status, struct bytes body)
{
	struct witness_ask **at = &engine->asks;

	answer(engine, ask->ticket, status, body);
	while (*at != ask)
		at = &(*at)->next;
	*at = ask->next;
	engine->ask_count--;
	ask_free(ask);
}

/* The checkpoint with the log's line and this witness's. */
static void newest(struct engine *engine, const struct elog *log, struct buf *ret)
{
	buf_init(ret, LIMIT_NOTE_SIZE);
	buf_put(ret, buf_bytes(&log->witness.note));
	buf_put(ret, buf_bytes(&log->witness.line));
	engine->nomem |= ret->err != OK;
}

static void ask_end_newest(struct engine *engine, struct witness_ask *ask)
{
	CLEANUP(buf_release) struct buf body = {0};

	newest(engine, ask->log, &body);
	ask_end(engine, ask, 200, buf_bytes(&body));
}

static void ask_end_text(
	struct engine *engine, struct witness_ask *ask, unsigned status, const char *text)
{
	ask_end(engine, ask, status, bytes_str(text));
}

/* 200: it follows from the memory, or is the memory; otherwise the status. */
static unsigned judge(const struct elog *log, const struct add_checkpoint *request)
{
	const struct witnessed *w = &log->witness;
	struct hash empty;

	tree_empty(&empty);
	if (request->old > request->size)
		return 400;
	if (request->old != w->is.size)
		return 409;
	if (request->size == 0 && !hash_equal(&request->root, &empty))
		return 422;
	if (request->old == 0)
		return request->proof.count == 0 ? 200 : 422;
	return proof_consistency_ok(
		       &request->proof, request->old, &w->is.root, request->size, &request->root)
		       ? 200
		       : 422;
}

static void ask_end_refused(struct engine *engine, struct witness_ask *ask, unsigned status)
{
	char text[64];

	if (status == 409)
		snprintf(text, sizeof(text), "%llu\n",
			(unsigned long long)ask->log->witness.is.size);
	else if (status == 400)
		snprintf(text, sizeof(text), "the old size is larger than the checkpoint's\n");
	else
		snprintf(text, sizeof(text), "it does not follow from what was cosigned\n");
	ask_end_text(engine, ask, status, text);
}

/* So many of this log in this minute? */
static bool is_too_many(struct engine *engine, struct elog *log, bool again)
{
	struct witnessed *w = &log->witness;

	if (engine->now_ms >= w->minute_ms) {
		w->minute_ms = engine->now_ms + MINUTE_MS;
		w->taken[0] = w->taken[1] = 0;
	}
	return w->taken[again]++ >= LIMIT_WITNESS_MINUTE;
}

/* Its checkpoint contradicts the memory by itself, or by its proof: evidence of both. */
static void compare(struct engine *engine, struct elog *log, const struct add_checkpoint *request)
{
	const struct witnessed *w = &log->witness;
	struct evidence_parts parts = {
		.a = buf_bytes(&w->note), .b = request->note, .opened = buf_bytes(&log->opened)};
	struct hash other;

	if (w->note.size == 0)
		return;
	if (request->size == w->is.size && hash_equal(&request->root, &w->is.root))
		return;
	if (request->size != w->is.size) {
		if (request->old != w->is.size ||
			!add_checkpoint_other(request, &w->is.root, &other))
			return;
		parts.root = &other;
		parts.proof = &request->proof;
	}
	evidence_found(engine, log, &parts, engine->node);
}

/* It follows: into the memory, then under the key. */
static void take(struct engine *engine, struct elog *log, const struct add_checkpoint *request)
{
	CLEANUP(buf_release) struct buf note = {0};
	struct checkpoint next = {
		.origin = log->origin, .size = request->size, .root = request->root};

	if (request->size == log->witness.is.size) {
		sign(engine, log, &next);
		return;
	}
	buf_init(&note, LIMIT_NOTE_SIZE);
	if (checkpoint_strip(request->note, &log->key, &note, NULL) != OK || note.err != OK)
		engine->nomem = true; /* it was verified */
	else
		persist(engine, log, &next, buf_bytes(&note));
}

/* What can be said of it without the own tree. */
static void ask_judge(
	struct engine *engine, struct witness_ask *ask, const struct add_checkpoint *request)
{
	struct elog *log = ask->log;
	const struct witnessed *w = &log->witness;
	unsigned status = judge(log, request);
	bool again = request->size == w->is.size;

	if (status != 200)
		ask_end_refused(engine, ask, status);
	else if (is_too_many(engine, log, again))
		ask_end_text(engine, ask, 429, "too many of this log in a minute\n");
	else if (again && w->line.size > 0 && w->line_s == engine->wall_s)
		ask_end(engine, ask, 200, buf_bytes(&w->line)); /* of this very second */
	else
		take(engine, log, request);
}

/* A fork: answered once its evidence is durable. */
static void ask_forked(
	struct engine *engine, struct witness_ask *ask, const struct add_checkpoint *request)
{
	unsigned status = judge(ask->log, request);

	ask->forked = status == 200 ? 422 : status;
	witness_evidence(engine, ask->log, OK);
}

static void ask_submitted(struct engine *engine, struct witness_ask *ask)
{
	struct elog *log = ask->log;
	struct checkpoint shown = {.origin = log->origin};
	struct add_checkpoint request;
	struct note note;
	enum err err = add_checkpoint_parse(buf_bytes(&ask->body), &request, &note, NULL);

	assert(err == OK); /* it was before */
	shown.size = request.size;
	shown.root = request.root;
	/* With all that was ever shown; what does not agree freezes the log. */
	if (log_agrees(engine, log, &shown, request.note, engine->node))
		compare(engine, log, &request);
	if (log->frozen) {
		ask_forked(engine, ask, &request);
		return;
	}
	if (!ask->looked && shown.size > 0 && log->has_checkpoint &&
		shown.size <= log->checkpoint.size && log->cut == CUT_NONE &&
		!log_has_root(log, shown.size, &shown.root)) {
		ask->looked = true;
		ask->begun = false;
		ask_tree(engine, log, &shown, request.note);
		return;
	}
	ask_judge(engine, ask, &request);
}

static void ask_begin(struct engine *engine, struct witness_ask *ask)
{
	struct elog *log = ask->log;

	ask->begun = true;
	if (log->frozen && ask->looked)
		ask_submitted(engine, ask); /* by what the own tree said of it */
	else if (log->frozen)
		ask_end_text(engine, ask, 403,
			"this log has two histories: its key is trusted no more\n");
	else if (!may_witness(engine, log) || engine->now_ms < log->witness.retry_ms)
		ask_end_text(engine, ask, 503, "this witness does not sign now\n");
	else if (ask->body.size == 0)
		sign(engine, log, &log->witness.is);
	else
		ask_submitted(engine, ask);
}

void witness_look(struct engine *engine, struct elog *log)
{
	struct witness_ask *ask;

	follow(engine, log);
	while (log->witness.state == WITNESS_IDLE && !engine->nomem &&
		(ask = ask_of(engine, log)) != NULL && !ask->begun) {
		ask_begin(engine, ask);
		follow(engine, log);
	}
}

/* What is under way is for the first, or for nobody who waits. */
static struct witness_ask *ask_begun(const struct engine *engine, const struct elog *log)
{
	struct witness_ask *ask = ask_of(engine, log);

	return ask != NULL && ask->begun && ask->forked == 0 ? ask : NULL;
}

void witness_evidence(struct engine *engine, struct elog *log, enum err error)
{
	struct witness_ask *ask = ask_of(engine, log);

	if (ask == NULL || ask->forked == 0 || (error == OK && evidence_unstored(engine, log)))
		return;
	if (error == OK)
		ask_end_refused(engine, ask, ask->forked);
	else
		ask_end_text(engine, ask, 503, "this witness cannot write now\n");
	witness_look(engine, log);
}

void witness_written(struct engine *engine, struct elog *log, const struct store_write *write)
{
	struct witnessed *w = &log->witness;
	struct witness_ask *ask = write->entries == NULL ? ask_begun(engine, log) : NULL;

	assert(w->state == WITNESS_WRITING);
	w->state = WITNESS_IDLE;
	if (write->result != OK) {
		w->retry_ms = engine->now_ms + engine->opts.timing.retry_delay;
		if (ask != NULL)
			ask_end_text(engine, ask, 503, "this witness cannot write now\n");
		return;
	}
	w->is = w->next;
	w->time_s = write->witness_s;
	set_note(engine, &w->note, buf_bytes(&w->next_note));
	buf_clear(&w->next_note);
	buf_clear(&w->line);
	w->joined = false; /* looked up where it is held; of what came with entries, at once */
	if (ask != NULL && may_witness(engine, log))
		sign(engine, log, &w->is);
	else if (ask != NULL)
		ask_end_text(engine, ask, 503, "this witness does not sign now\n");
}

void witness_signed(struct engine *engine, struct elog *log, const struct event *event)
{
	struct witnessed *w = &log->witness;
	struct witness_ask *ask = ask_begun(engine, log);
	struct cosigned_line item = {
		.size = w->signing.size, .root = w->signing.root, .line = event->line};
	struct note_line line;

	assert(w->state == WITNESS_SIGNING);
	w->state = WITNESS_IDLE;
	if (event->error != OK) {
		effect_notice(engine, NOTICE_WARNING, "log '%s': cannot cosign: %s",
			log->origin.text, err_text(event->error));
		w->retry_ms = engine->now_ms + engine->opts.timing.retry_delay;
		if (ask != NULL)
			ask_end_text(engine, ask, 503, "this witness cannot sign now\n");
		return;
	}
	if (note_line_parse(event->line, &line, NULL) == OK)
		item.time_s = cosigned_time(&line);
	if (w->signing.size > 0) {
		set_note(engine, &w->line, event->line);
		w->line_s = item.time_s;
	}
	if (w->joined && w->signing.size > 0)
		cosigned_keep_mine(engine, log, true, &item);
	if (ask != NULL && ask->body.size > 0)
		ask_end(engine, ask, 200, event->line);
	else if (ask != NULL)
		ask_end_newest(engine, ask);
	witness_look(engine, log);
}

static bool ask_add(struct engine *engine, const struct event *event, struct elog *log)
{
	struct witness_ask *ask, **end = &engine->asks;

	if (engine->ask_count >= LIMIT_WITNESS_WAITING) {
		answer(engine, event->ticket, 429, bytes_str("too many wait\n"));
		return false;
	}
	ask = mem_zalloc(sizeof(*ask));
	if (ask == NULL) {
		engine->nomem = true;
		return false;
	}
	ask->ticket = event->ticket;
	ask->log = log;
	buf_init(&ask->body, LIMIT_ADD_CHECKPOINT);
	buf_put(&ask->body, event->entry);
	engine->nomem |= ask->body.err != OK;
	while (*end != NULL)
		end = &(*end)->next;
	*end = ask;
	engine->ask_count++;
	return true;
}

/* A log of another member, of which something is held. No log can have the name of a witness or a
 * mirror: an epoch begins with a digit, a node's name does not. */
static struct elog *log_asked(const struct engine *engine, struct bytes origin)
{
	struct elog *log = log_find(engine, origin);
	const struct member *member;

	if (log == NULL || log->branch || !log->key_known || log->size == 0 ||
		log_is_ours(engine, log) || log->cut != CUT_NONE)
		return NULL;
	member = directory_find(engine->directory, bytes_str(log->node));
	return log->directory || (member != NULL && member->active) ? log : NULL;
}

static void refuse(
	struct engine *engine, const struct event *event, unsigned status, const char *why)
{
	char text[300];

	snprintf(text, sizeof(text), "%s\n", why);
	answer(engine, event->ticket, status, bytes_str(text));
}

void witness_submitted(struct engine *engine, const struct event *event)
{
	struct add_checkpoint request;
	struct errctx ctx = {""};
	struct note note;
	struct elog *log;
	enum err err = add_checkpoint_parse(event->entry, &request, &note, &ctx);

	if (err == ERR_NOMEM) {
		engine->nomem = true;
		return;
	}
	if (err != OK) {
		refuse(engine, event, 400, err_message(&ctx, err));
		return;
	}
	log = log_asked(engine, request.origin);
	if (log == NULL)
		refuse(engine, event, 404, "no log of that origin is witnessed here");
	else if (note_verify(&note, &log->key, NULL) != OK)
		refuse(engine, event, 403, "no signature of the log's key");
	else if (request.extended || request.size > LIMIT_LOG_SIZE)
		refuse(engine, event, 400, "no log of this network signs such a checkpoint");
	else if (ask_add(engine, event, log))
		witness_look(engine, log);
}

static void answer_newest(struct engine *engine, const struct elog *log, uint64_t ticket)
{
	CLEANUP(buf_release) struct buf body = {0};

	newest(engine, log, &body);
	answer(engine, ticket, 200, buf_bytes(&body));
}

void witness_asked(struct engine *engine, const struct event *event)
{
	struct elog *log = log_find(engine, bytes_str(event->origin->text));
	const struct witnessed *w = log == NULL ? NULL : &log->witness;

	if (w == NULL || log->branch || w->is.size == 0 || w->note.size == 0 ||
		(w->line.size == 0 && !may_witness(engine, log)))
		refuse(engine, event, 404, "this witness has cosigned nothing of that log");
	else if (w->line.size > 0)
		answer_newest(engine, log, event->ticket);
	else if (ask_add(engine, event, log))
		witness_look(engine, log);
}

/* ---- time ---- */

void witness_tick(struct engine *engine, struct elog *log)
{
	if (log->witness.retry_ms == 0 || log->witness.retry_ms > engine->now_ms)
		return;
	log->witness.retry_ms = 0;
	witness_look(engine, log);
}
