/*
 * What is announced and heard. A Have says only what is durable. Growth is announced after a short
 * delay, other mirrors' cosignatures after a long one, unless the peer is the log's author, who
 * waits for them. A cosignature goes only to peers that hold the checkpoint it is over: they alone
 * can judge its root.
 */
#include <stdio.h>

#include "replication/engine/internal.h"

void cosigned_text(struct buf *out, const struct elog *log, uint64_t size, const struct hash *root)
{
	struct checkpoint checkpoint = {.origin = log->origin, .size = size, .root = *root};

	checkpoint_format(out, &checkpoint);
}

struct cosigned *have_cosigned_of(struct elog *log, const char *node)
{
	for (size_t i = 0; i < log->cosigned_count; i++)
		if (strcmp(log->cosigned[i].node, node) == 0)
			return &log->cosigned[i];
	return NULL;
}

enum err have_keep(struct engine *engine, struct elog *log, const char *node, uint64_t size,
	const struct hash *root, struct bytes line)
{
	struct cosigned *c = have_cosigned_of(log, node);

	if (c == NULL) {
		struct cosigned *list =
			mem_resize(log->cosigned, (log->cosigned_count + 1) * sizeof(*list));

		if (list == NULL) {
			engine->nomem = true;
			return ERR_NOMEM;
		}
		log->cosigned = list;
		c = &list[log->cosigned_count++];
		*c = (struct cosigned){0};
		snprintf(c->node, sizeof(c->node), "%s", node);
		buf_init(&c->line, LIMIT_NOTE_SIZE);
	} else if (size < c->size) {
		return OK;
	}
	c->size = size;
	c->root = *root;
	buf_clear(&c->line);
	buf_put(&c->line, line);
	engine->nomem |= c->line.err != OK;
	c->unsaved = true;
	log->cosigned_version++;
	if (log->save_due_ms == 0)
		log->save_due_ms = engine->now_ms + engine->opts.timing.store_delay;
	return c->line.err;
}

static void due_by(struct session *session, uint64_t due_ms)
{
	if (session->have_due_ms == 0 || due_ms < session->have_due_ms)
		session->have_due_ms = due_ms;
}

void have_changed(struct engine *engine, struct elog *log, bool grew)
{
	const struct engine_timing *timing = &engine->opts.timing;

	for (struct session *s = engine->sessions; s != NULL; s = s->next) {
		bool waits = grew || strcmp(s->peer, log->node) == 0 ||
			     (log->directory && !engine->opts.directory_own);

		if (s->state != SESSION_CLOSING)
			due_by(s, engine->now_ms +
					  (waits ? timing->have_delay : timing->cosigned_delay));
	}
}

static bool sends_cosigned(
	const struct session *session, const struct elog *log, const struct peer_log *pl)
{
	return pl->told_cosigned != log->cosigned_version &&
	       (pl->have_size >= log->checkpoint.size || strcmp(session->peer, log->node) == 0);
}

static bool fill_cosigned(struct arena *arena, const struct elog *log, Sauti__LogState *state)
{
	state->cosigned = arena_alloc(arena, (log->cosigned_count + 1) * sizeof(*state->cosigned));
	if (state->cosigned == NULL)
		return false;
	for (size_t i = 0; i < log->cosigned_count && i < LIMIT_NOTE_SIGNATURES; i++) {
		const struct cosigned *c = &log->cosigned[i];
		Sauti__Cosigned *item = arena_alloc(arena, sizeof(*item));

		if (item == NULL)
			return false;
		sauti__cosigned__init(item);
		item->size = c->size;
		item->root = codec_binary(hash_bytes(&c->root));
		item->line = codec_binary(buf_bytes(&c->line));
		state->cosigned[state->n_cosigned++] = item;
	}
	return true;
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
		session->logs[i].told_cosigned = 0;
	have_due(engine, session);
}

/* Adds one log to the Have; returns its approximate bytes, 0 on lack of memory. */
static size_t fill_state(struct engine *engine, struct arena *arena, struct session *session,
	struct elog *log, struct peer_log *pl, Sauti__Have *have)
{
	Sauti__LogState *state = arena_alloc(arena, sizeof(*state));
	bool cosigned = sends_cosigned(session, log, pl);

	if (state == NULL)
		return 0;
	sauti__log_state__init(state);
	state->origin = log->origin.text;
	state->size = log->size;
	state->checkpoint = codec_binary(buf_bytes(&log->note));
	state->entry_bytes =
		log->seen_entries == 0 ? log->told_bytes : lag_entry_bytes(engine, log);
	if (cosigned && !fill_cosigned(arena, log, state))
		return 0;
	have->logs[have->n_logs++] = state;
	pl->told_size = log->checkpoint.size;
	if (cosigned) {
		pl->told_cosigned = log->cosigned_version;
		session->told_early |= knows_fewer(engine, session);
	}
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

	session->have_due_ms = 0;
	session->have_waits = false;
	arena_init(&arena, LIMIT_ARENA_SIZE);
	have.logs = list;
	for (size_t i = 0; i < engine->log_count; i++) {
		struct elog *log = engine->logs[i];
		struct peer_log *pl = session_log(engine, session, log);

		if (pl == NULL)
			break;
		if (session->queue[SEND_HAVE].bytes >= queue_batch_size(engine, session)) {
			session->have_waits = true;
			break;
		}
		if (!log->has_checkpoint || (pl->told_size >= log->checkpoint.size &&
						    !sends_cosigned(session, log, pl)))
			continue;
		size_t added = fill_state(engine, &arena, session, log, pl, &have);

		if (added == 0) {
			engine->nomem = true;
			break;
		}
		bytes += added;
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
	due_by(session, engine->now_ms + engine->opts.timing.have_delay);
}

void have_more(struct engine *engine, struct session *session)
{
	if (session->have_waits)
		announce(engine, session);
}

void have_all(struct engine *engine, struct session *session)
{
	announce(engine, session);
}

/* Is this line a good cosignature by that member's mirror key over (size, root)? */
static bool cosigned_ok(const struct engine *engine, const struct elog *log,
	const struct member *member, const Sauti__Cosigned *item, struct hash *ret_root)
{
	struct note_line line;
	struct note_key key;
	struct buf text;
	bool good;

	if (item->root.len != HASH_SIZE ||
		note_line_parse(codec_bytes(item->line), &line, NULL) != OK ||
		mirror_note_key(bytes_str(engine->network), bytes_str(member->name),
			&member->mirror, &key) != OK)
		return false;
	memcpy(ret_root->b, item->root.data, HASH_SIZE);
	buf_init(&text, LIMIT_NOTE_SIZE);
	cosigned_text(&text, log, item->size, ret_root);
	good = text.err == OK && cosignature_verify(&line, buf_bytes(&text), &key, NULL) == OK;
	buf_release(&text);
	return good;
}

/* The member whose mirror key's name stands on the line; NULL when it is none. */
static const struct member *mirror_of(const struct engine *engine, struct bytes line)
{
	struct note_line parsed;
	char prefix[LIMIT_NETWORK_NAME + 16];

	if (note_line_parse(line, &parsed, NULL) != OK)
		return NULL;
	snprintf(prefix, sizeof(prefix), "%s/mirror/", engine->network);
	struct cursor name = cursor_make(parsed.name);

	return cursor_skip(&name, bytes_str(prefix)) ? directory_find(engine->directory, name.rest)
						     : NULL;
}

/* Takes in one cosignature if it is good, new, and over a root we know to be this log's. False:
 * it is a forgery or malformed, which is its sender's fault. */
static bool take_cosigned(struct engine *engine, struct elog *log, const struct member *member,
	const Sauti__Cosigned *item)
{
	struct cosigned *old = have_cosigned_of(log, member->name);
	struct hash root;

	if (strcmp(member->name, engine->node) == 0 || !member->active ||
		(old != NULL && old->size >= item->size))
		return true;
	if (!cosigned_ok(engine, log, member, item, &root))
		return false;
	if (!log_knows_root(log, item->size, &root))
		return true;
	if (have_keep(engine, log, member->name, item->size, &root, codec_bytes(item->line)) != OK)
		return true;
	have_changed(engine, log, false);
	if (log->own) {
		struct effect *effect = effect_add(engine, EFFECT_HELD);

		if (effect != NULL) {
			effect->origin = log->origin;
			effect->index = item->size;
			snprintf(effect->peer, sizeof(effect->peer), "%s", member->name);
		}
	}
	return true;
}

static bool hear_state(struct engine *engine, struct session *session, const Sauti__LogState *state)
{
	struct elog *log = log_heard(engine, session, bytes_str(state->origin));
	struct peer_log *pl = log == NULL ? NULL : session_log(engine, session, log);
	struct checkpoint shown;
	struct bytes text;
	struct errctx ctx = {""};
	enum err err;

	if (pl == NULL)
		return true; /* not of this network, or over a quota: not ours to keep */
	if (log->key_known)
		err = checkpoint_open(
			codec_bytes(state->checkpoint), &log->key, &shown, &text, &ctx);
	else
		err = checkpoint_peek(codec_bytes(state->checkpoint), &shown, &ctx);
	if (err == OK && strcmp(shown.origin.text, log->origin.text) != 0)
		err = err_set(&ctx, ERR_MALFORMED, "the checkpoint is of another log");
	if (err == OK && (shown.size == 0 || shown.size > state->size))
		err = err_set(&ctx, ERR_MALFORMED, "the checkpoint is larger than what is held");
	if (err == OK && state->n_cosigned > LIMIT_NOTE_SIGNATURES)
		err = err_set(&ctx, ERR_LIMIT, "%zu cosignatures", state->n_cosigned);
	if (err != OK) {
		session_close(engine, session, NOTICE_WARNING, "bad Have of '%s': %.100s",
			log->origin.text, err_message(&ctx, err));
		return false;
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
	if (log->directory)
		members_heard(engine, session, first);
	if (log->has_checkpoint && sends_cosigned(session, log, pl))
		have_due(engine, session);
	for (size_t i = 0; log->key_known && i < state->n_cosigned; i++) {
		const Sauti__Cosigned *item = state->cosigned[i];
		const struct member *member = mirror_of(engine, codec_bytes(item->line));

		if (member != NULL && !take_cosigned(engine, log, member, item)) {
			session_close(engine, session, NOTICE_WARNING,
				"a cosignature of '%s' on '%s' that does not verify", member->name,
				log->origin.text);
			return false;
		}
	}
	if (engine->opts.cosigning_paused)
		have_cosign(engine, log);
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
		!take_cosigned(engine, log, member, held->cosigned)) {
		session_close(engine, session, NOTICE_WARNING,
			"a Held of '%s' whose cosignature does not verify", log->origin.text);
		return;
	}
	/* It speaks of what we gave it; of more it would show a checkpoint, in a Have. */
	if (held->cosigned->size > pl->have_size && held->cosigned->size <= log->checkpoint.size)
		fetch_heard(engine, session, log, pl, held->cosigned->size);
	if (log->directory)
		members_heard(engine, session, false);
	if (log->has_checkpoint && sends_cosigned(session, log, pl))
		have_due(engine, session);
	serve_acknowledge(engine, session, log, pl, held->cosigned->size);
	fetch_choose(engine, log);
	evidence_pump(engine, session);
}

/* What was once held and cosigned of it may be more than what is held now: ask around first. */
static bool shown_whole(const struct engine *engine, const struct elog *log)
{
	uint64_t most = 0;

	for (const struct session *s = engine->sessions; s != NULL; s = s->next)
		if (s->state == SESSION_ACTIVE && log->position < s->log_count &&
			s->logs[log->position].have_size > most)
			most = s->logs[log->position].have_size;
	return most > 0 && most <= log->checkpoint.size;
}

void have_cosign(struct engine *engine, struct elog *log)
{
	struct cosigned *mine = have_cosigned_of(log, engine->node);

	if (log_is_ours(engine, log) || log->cosigning || !log->has_checkpoint || log->frozen ||
		(engine->opts.cosigning_paused && !shown_whole(engine, log)) ||
		(mine != NULL && mine->size >= log->checkpoint.size))
		return;
	struct effect *effect = effect_add(engine, EFFECT_COSIGN);

	if (effect == NULL)
		return;
	effect->origin = log->origin;
	cosigned_text(&effect->body, log, log->checkpoint.size, &log->checkpoint.root);
	engine->nomem |= effect->body.err != OK;
	log->cosigning = true;
	log->cosign_of = log->checkpoint;
}

static void send_held(struct engine *engine, struct elog *log, struct session *session,
	const struct cosigned *mine)
{
	Sauti__Cosigned item = SAUTI__COSIGNED__INIT;
	Sauti__Held held = SAUTI__HELD__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	item.size = mine->size;
	item.root = codec_binary(hash_bytes(&mine->root));
	item.line = codec_binary(buf_bytes(&mine->line));
	held.origin = log->origin.text;
	held.cosigned = &item;
	frame.body_case = SAUTI__FRAME__BODY_HELD;
	frame.held = &held;
	effect_send(engine, session, &frame);
}

void have_cosigned(struct engine *engine, const struct event *event)
{
	struct elog *log = log_find(engine, bytes_str(event->origin->text));

	assert(log != NULL && log->cosigning);
	log->cosigning = false;
	if (event->error != OK) {
		effect_notice(engine, NOTICE_WARNING, "log '%s': cannot cosign: %s",
			log->origin.text, err_text(event->error));
		fetch_acknowledge(engine, log);
		return;
	}
	if (have_keep(engine, log, engine->node, log->cosign_of.size, &log->cosign_of.root,
		    event->line) != OK)
		return;
	const struct cosigned *mine = have_cosigned_of(log, engine->node);
	struct session *author = session_of(engine, log->node);

	if (log->provider != NULL)
		send_held(engine, log, log->provider, mine);
	if (author != NULL && author != log->provider)
		send_held(engine, log, author, mine);
	have_changed(engine, log, false);
	have_cosign(engine, log);
}

static void save_cosigned(struct engine *engine, struct elog *log)
{
	log->save_due_ms = 0;
	for (size_t i = 0; i < log->cosigned_count; i++) {
		struct cosigned *c = &log->cosigned[i];
		struct store_write *write;
		struct effect *effect;

		if (!c->unsaved || log->size == 0)
			continue;
		write = store_write_new(&log->origin);
		effect = write == NULL ? NULL : effect_add(engine, EFFECT_WRITE);
		if (effect == NULL) {
			store_write_free(write);
			engine->nomem = true;
			return;
		}
		write->first = log->size;
		snprintf(write->cosigner, sizeof(write->cosigner), "%s", c->node);
		write->cosigned_size = c->size;
		buf_put(&write->cosignature, hash_bytes(&c->root));
		buf_put(&write->cosignature, buf_bytes(&c->line));
		engine->nomem |= write->cosignature.err != OK;
		effect->write = write;
		c->unsaved = false;
	}
}

void have_tick(struct engine *engine)
{
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		if (s->state != SESSION_CLOSING && s->have_due_ms != 0 &&
			s->have_due_ms <= engine->now_ms)
			announce(engine, s);
	for (size_t i = 0; i < engine->log_count; i++)
		if (engine->logs[i]->save_due_ms != 0 &&
			engine->logs[i]->save_due_ms <= engine->now_ms)
			save_cosigned(engine, engine->logs[i]);
}

uint64_t have_deadline(const struct engine *engine)
{
	uint64_t due = UINT64_MAX;

	for (const struct session *s = engine->sessions; s != NULL; s = s->next)
		if (s->state != SESSION_CLOSING && s->have_due_ms != 0 && s->have_due_ms < due)
			due = s->have_due_ms;
	for (size_t i = 0; i < engine->log_count; i++)
		if (engine->logs[i]->save_due_ms != 0 && engine->logs[i]->save_due_ms < due)
			due = engine->logs[i]->save_due_ms;
	return due;
}
