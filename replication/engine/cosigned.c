/*
 * Cosignatures: the newest of each mirror and each witness, per log, and one's own.
 *
 *   mirror   "I durably hold all of this": <network>/mirror/<node>
 *   witness  "consistent with all that I saw": <network>/witness/<node>; it never counts as held
 *
 * Both are made when a checkpoint is durable together with its entries: what was seen before is
 * then a prefix of what is held, by the proofs its batches brought. The stored head is the mirror's
 * memory; the witness has one of its own (witness.c), since it may have seen more than is held.
 * They are made anew once a day for logs that are idle.
 *
 * One that is heard is kept once its checkpoint is known to be of the history that is held here. If
 * it is over more than is held, or the store must be asked (root.c), it waits, with its signature
 * verified: two of each cosigner, since the newest alone might never be reached on a busy log. So
 * nobody needs to ask what a peer holds before it passes a cosignature on.
 *
 * The newer of two is the one over more; of two over as much the later, unless its time is more
 * than a day ahead of our clock. One that is kept and is so far ahead gives way to any that is not:
 * a clock that jumped by years neither stays for ever nor is jumped back and forth with.
 *
 * An author who waits for witnesses' cosignatures (engine_want_witnesses) says so in its Hello:
 * they are told to it as soon as mirrors' are.
 *
 * Each session knows what its peer has been told of or has told us (peer_log.knows, a bit for each
 * cosigner), so that nothing goes twice or back to where it came from.
 */
#include <stdio.h>

#include "replication/engine/internal.h"

enum {
	DAY_S = 24 * 60 * 60,
	STALE_S = DAY_S / 2, /* made anew along with others that are a day old */
	AHEAD_S = DAY_S,
	LOOK_MS = 60 * 60 * 1000, /* for own ones that are a day old */
	FIRST_LOOK_MS = 30 * 60 * 1000,
	GROUP = 64, /* logs cosigned anew in one step */
	GROUP_MS = 1000,
	WAITING_EACH = 2,
};

struct cosigned *cosigned_of(struct elog *log, const char *cosigner)
{
	for (size_t i = 0; i < log->cosigned_count; i++)
		if (strcmp(log->cosigned[i].cosigner, cosigner) == 0)
			return &log->cosigned[i];
	return NULL;
}

void cosigned_name(const struct engine *engine, bool witness, char ret[COSIGNER_NAME + 1])
{
	snprintf(ret, COSIGNER_NAME + 1, "%s%s", witness ? COSIGNER_WITNESS : "", engine->node);
}

static bool knows(const struct peer_log *pl, size_t at)
{
	return (pl->knows[at / 64] >> at % 64 & 1) != 0;
}

static void now_knows(struct peer_log *pl, size_t at)
{
	pl->knows[at / 64] |= UINT64_C(1) << at % 64;
}

/* Whose it is knows it, whoever brought it too; the others are to be told. */
static void knows_none(struct engine *engine, const struct elog *log, size_t at)
{
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		if (log->position < s->log_count)
			s->logs[log->position].knows[at / 64] &= ~(UINT64_C(1) << at % 64);
}

void cosigned_forget(struct engine *engine, const struct elog *log)
{
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		if (log->position < s->log_count)
			memset(s->logs[log->position].knows, 0,
				sizeof(s->logs[log->position].knows));
}

/* 2: one's own; 1: may be of the quorum; 0: the rest. */
static int worth(const struct engine *engine, const char *cosigner)
{
	const char *slash = strchr(cosigner, '/');

	if (strcmp(slash == NULL ? cosigner : slash + 1, engine->node) == 0)
		return 2;
	return slash == NULL && directory_counts(engine->directory, cosigner);
}

/* There is no room: one that is worth less gives way, of those the one over least. NULL: none is.
 */
static struct cosigned *cosigned_replace(
	struct engine *engine, struct elog *log, const char *cosigner)
{
	struct cosigned *least = NULL;
	int least_worth = worth(engine, cosigner);

	for (size_t i = 0; i < log->cosigned_count; i++) {
		struct cosigned *c = &log->cosigned[i];
		int w = worth(engine, c->cosigner);

		if (w < least_worth ||
			(least != NULL && w == least_worth && c->size < least->size)) {
			least = c;
			least_worth = w;
		}
	}
	if (least == NULL)
		return NULL;
	buf_release(&least->line);
	*least = (struct cosigned){0};
	snprintf(least->cosigner, sizeof(least->cosigner), "%s", cosigner);
	buf_init(&least->line, LIMIT_NOTE_SIZE);
	return least;
}

static struct cosigned *cosigned_add(struct engine *engine, struct elog *log, const char *cosigner)
{
	struct cosigned *list;

	if (log->cosigned_count == LIMIT_COSIGNATURES)
		return cosigned_replace(engine, log, cosigner);
	list = mem_resize(log->cosigned, (log->cosigned_count + 1) * sizeof(*list));
	if (list == NULL) {
		engine->nomem = true;
		return NULL;
	}
	log->cosigned = list;
	struct cosigned *c = &list[log->cosigned_count++];

	*c = (struct cosigned){0};
	snprintf(c->cosigner, sizeof(c->cosigner), "%s", cosigner);
	buf_init(&c->line, LIMIT_NOTE_SIZE);
	return c;
}

/* Of what is known to be good and over this log's history. NULL: there is no room for it. */
static struct cosigned *keep(struct engine *engine, struct elog *log, const char *cosigner,
	const struct cosigned_line *item)
{
	struct cosigned *c = cosigned_of(log, cosigner);

	if (c == NULL)
		c = cosigned_add(engine, log, cosigner);
	if (c == NULL)
		return NULL;
	c->size = item->size;
	c->root = item->root;
	c->time_s = item->time_s;
	buf_clear(&c->line);
	buf_put(&c->line, item->line);
	engine->nomem |= c->line.err != OK;
	c->unsaved = true;
	log->cosigned_version++;
	knows_none(engine, log, (size_t)(c - log->cosigned));
	if (log->save_due_ms == 0)
		log->save_due_ms = engine->now_ms + engine->opts.timing.store_delay;
	return c;
}

uint64_t cosigned_time(const struct note_line *line)
{
	return line->blob_size >= 8 ? get_u64be(line->blob) : 0;
}

static bool is_mine(const struct engine *engine, const struct cosigned *c, bool witness)
{
	char name[COSIGNER_NAME + 1];

	cosigned_name(engine, witness, name);
	return strcmp(c->cosigner, name) == 0;
}

void cosigned_load(struct engine *engine, struct elog *log, const struct store_cosignature *stored)
{
	struct cursor cursor = cursor_make(buf_bytes(&stored->line));
	struct cosigned_line item = {.size = stored->size};
	struct note_line line;
	struct cosigned *c;

	cursor_copy(&cursor, item.root.b, HASH_SIZE);
	if (cursor.err != OK || strlen(stored->cosigner) > COSIGNER_NAME ||
		note_line_parse(cursor.rest, &line, NULL) != OK)
		return;
	item.line = cursor.rest;
	item.time_s = cosigned_time(&line);
	c = keep(engine, log, stored->cosigner, &item);
	if (c != NULL)
		c->unsaved = false;
	log->save_due_ms = 0;
}

/* ---- what is heard ---- */

/* A cosignature as it is claimed to be. */
struct claimed {
	struct cosigned_line is;
	const struct member *member;
	bool witness;
	char cosigner[COSIGNER_NAME + 1];
	struct note_line parsed;
};

/* False: nobody's that the directory lists. */
static bool claim_read(
	const struct engine *engine, const Sauti__Cosigned *item, struct claimed *ret)
{
	char prefix[2][LIMIT_NETWORK_NAME + 16];
	struct cursor name;

	*ret = (struct claimed){.is = {.size = item->size, .line = codec_bytes(item->line)}};
	if (note_line_parse(ret->is.line, &ret->parsed, NULL) != OK)
		return false;
	snprintf(prefix[0], sizeof(prefix[0]), "%s/mirror/", engine->network);
	snprintf(prefix[1], sizeof(prefix[1]), "%s/witness/", engine->network);
	name = cursor_make(ret->parsed.name);
	ret->witness = !cursor_skip(&name, bytes_str(prefix[0]));
	if (ret->witness) {
		name = cursor_make(ret->parsed.name);
		if (!cursor_skip(&name, bytes_str(prefix[1])))
			return false;
	}
	ret->member = directory_find(engine->directory, name.rest);
	if (ret->member == NULL)
		return false;
	snprintf(ret->cosigner, sizeof(ret->cosigner), "%s%s", ret->witness ? COSIGNER_WITNESS : "",
		ret->member->name);
	ret->is.time_s = cosigned_time(&ret->parsed);
	if (item->root.len == HASH_SIZE)
		memcpy(ret->is.root.b, item->root.data, HASH_SIZE);
	return true;
}

static bool claim_verifies(
	const struct elog *log, const struct claimed *claimed, const struct note_key *key)
{
	struct checkpoint checkpoint = {
		.origin = log->origin, .size = claimed->is.size, .root = claimed->is.root};
	struct buf text;
	bool good;

	buf_init(&text, LIMIT_NOTE_SIZE);
	checkpoint_format(&text, &checkpoint);
	good = text.err == OK &&
	       cosignature_verify(&claimed->parsed, buf_bytes(&text), key, NULL) == OK;
	buf_release(&text);
	return good;
}

/* The key that the directory lists for this cosigner; false: none. */
static bool current_key(
	const struct engine *engine, const struct member *m, bool witness, struct note_key *ret)
{
	struct bytes network = bytes_str(engine->network), name = bytes_str(m->name);

	return (witness ? witness_note_key(network, name, &m->witness, ret)
			: mirror_note_key(network, name, &m->mirror, ret)) == OK;
}

/* By more than a clock may be wrong. */
static bool is_ahead(const struct engine *engine, uint64_t time_s)
{
	return time_s > engine->wall_s && time_s - engine->wall_s > AHEAD_S;
}

/* Is it newer than one over `size` of that time? */
static bool newer(const struct engine *engine, uint64_t size, uint64_t time_s,
	const struct cosigned_line *item)
{
	if (item->size != size)
		return item->size > size;
	return !is_ahead(engine, item->time_s) &&
	       (item->time_s > time_s || is_ahead(engine, time_s));
}

/* The author learns that it is held; for it nobody waits longer than need be. */
static void tell(struct engine *engine, struct elog *log, const struct cosigned *c, bool waits)
{
	const struct engine_timing *timing = &engine->opts.timing;
	bool mirror = strchr(c->cosigner, '/') == NULL;

	for (struct session *s = engine->sessions; s != NULL; s = s->next) {
		uint64_t due = engine->now_ms + timing->cosigned_delay;

		if (s->state == SESSION_CLOSING)
			continue;
		if (waits && (mirror || s->wants_witnesses) && have_is_author(engine, s, log))
			have_due(engine, s);
		else if (s->cosigned_due_ms == 0 || due < s->cosigned_due_ms)
			s->cosigned_due_ms = due;
	}
	if (log->own) {
		struct effect *effect = effect_add(engine, EFFECT_HELD);

		if (effect == NULL)
			return;
		effect->origin = log->origin;
		effect->index = c->size;
		effect->witness = !mirror;
		snprintf(effect->peer, sizeof(effect->peer), "%.*s", LIMIT_NODE_NAME,
			mirror ? c->cosigner : strchr(c->cosigner, '/') + 1);
	}
}

/* Good, newer, and over this log's history. */
static struct cosigned *take(struct engine *engine, struct elog *log, const char *cosigner,
	const struct cosigned_line *item)
{
	struct cosigned *c = cosigned_of(log, cosigner);
	bool waits = c == NULL || item->size > c->size;

	if (c != NULL && !newer(engine, c->size, c->time_s, item))
		return c;
	c = keep(engine, log, cosigner, item);
	if (c != NULL)
		tell(engine, log, c, waits);
	return c;
}

/* ---- what waits ---- */

static void waiting_remove(struct elog *log, size_t at)
{
	buf_release(&log->waiting[at].line);
	log->waiting_count--;
	memmove(log->waiting + at, log->waiting + at + 1,
		(log->waiting_count - at) * sizeof(*log->waiting));
}

/* Of two of this cosigner the one over more gives way to one over still more: the other is reached
 * first, and old ones that are passed on late push nothing out. */
static struct cosigned *waiting_place(
	struct engine *engine, struct elog *log, const struct claimed *claimed)
{
	struct cosigned *list, *most = NULL;
	unsigned count = 0;

	for (size_t i = 0; i < log->waiting_count; i++) {
		struct cosigned *w = &log->waiting[i];

		if (strcmp(w->cosigner, claimed->cosigner) != 0)
			continue;
		if (w->size == claimed->is.size && hash_equal(&w->root, &claimed->is.root))
			return newer(engine, w->size, w->time_s, &claimed->is) ? w : NULL;
		most = most == NULL || w->size > most->size ? w : most;
		count++;
	}
	if (count == WAITING_EACH)
		return claimed->is.size > most->size ? most : NULL;
	if (log->waiting_count == WAITING_EACH * LIMIT_COSIGNATURES)
		return NULL;
	list = mem_resize(log->waiting, (log->waiting_count + 1) * sizeof(*list));
	if (list == NULL) {
		engine->nomem = true;
		return NULL;
	}
	log->waiting = list;
	struct cosigned *w = &list[log->waiting_count++];

	*w = (struct cosigned){0};
	buf_init(&w->line, LIMIT_NOTE_SIZE);
	return w;
}

static void wait_for(struct engine *engine, const struct session *session, struct elog *log,
	const struct claimed *claimed)
{
	struct cosigned *w = waiting_place(engine, log, claimed);

	if (w == NULL)
		return;
	snprintf(w->cosigner, sizeof(w->cosigner), "%s", claimed->cosigner);
	w->size = claimed->is.size;
	w->root = claimed->is.root;
	w->time_s = claimed->is.time_s;
	w->from = session->id;
	buf_clear(&w->line);
	buf_put(&w->line, claimed->is.line);
	engine->nomem |= w->line.err != OK;
}

/* Said once for a session and a log: a member can sign any number of them. */
static void another_history(struct engine *engine, struct session *session, const struct elog *log,
	const char *cosigner, uint64_t size)
{
	struct peer_log *pl = session == NULL ? NULL : session_log(engine, session, log);
	const char *slash = strchr(cosigner, '/');

	if (pl != NULL && pl->other_said)
		return;
	if (pl != NULL)
		pl->other_said = true;
	effect_notice(engine, NOTICE_WARNING,
		"cosigned by '%s': %llu entries of '%s', another history than the one held here",
		slash == NULL ? cosigner : slash + 1, (unsigned long long)size, log->origin.text);
}

/* The n-th that waits is judged now; true: it waits no more. */
static bool settle(struct engine *engine, struct elog *log, size_t at, enum root_answer answer)
{
	struct cosigned *w = &log->waiting[at];
	struct cosigned_line item = {w->size, w->root, w->time_s, buf_bytes(&w->line)};

	if (answer == ROOT_OURS)
		(void)take(engine, log, w->cosigner, &item);
	else if (answer == ROOT_OTHER)
		another_history(engine, session_find(engine, w->from), log, w->cosigner, w->size);
	else
		return false;
	waiting_remove(log, at);
	return true;
}

void cosigned_settle(struct engine *engine, struct elog *log)
{
	for (size_t i = 0; i < log->waiting_count;) {
		struct cosigned *w = &log->waiting[i];
		enum root_answer answer = root_look(log, w->size, &w->root);

		if (settle(engine, log, i, answer))
			continue;
		if (answer == ROOT_UNKNOWN)
			root_ask(engine, log, w->size);
		i++;
	}
}

void cosigned_proof(struct engine *engine, struct elog *log, const struct root_proof *proof)
{
	for (size_t i = 0; i < log->waiting_count;) {
		struct cosigned *w = &log->waiting[i];

		if (w->size != proof->size ||
			!settle(engine, log, i,
				root_proves(proof, w->size, &w->root) ? ROOT_OURS : ROOT_OTHER))
			i++;
	}
	cosigned_settle(engine, log);
}

static bool beyond(const struct elog *log, uint64_t size)
{
	return log->cut != CUT_NONE && size > (log->listed ? log->last.size : 0);
}

bool cosigned_heard(struct engine *engine, struct session *session, struct elog *log,
	const Sauti__Cosigned *item, bool own)
{
	struct peer_log *pl = session_log(engine, session, log);
	struct claimed claimed;
	bool anybodys = claim_read(engine, item, &claimed);
	struct note_key key;
	struct cosigned *c;

	if (own && (!anybodys || strcmp(claimed.cosigner, session->peer) != 0))
		return false;
	if (pl == NULL || !anybodys || !claimed.member->active ||
		strcmp(claimed.member->name, engine->node) == 0 || beyond(log, item->size))
		return true;
	c = cosigned_of(log, claimed.cosigner);
	if (c != NULL && !newer(engine, c->size, c->time_s, &claimed.is)) {
		if (c->size == item->size && c->time_s == claimed.is.time_s)
			now_knows(pl, (size_t)(c - log->cosigned));
		return true;
	}
	if (item->root.len != HASH_SIZE ||
		!current_key(engine, claimed.member, claimed.witness, &key))
		return false;
	/* By a key that it had, or will have once more of the directory is here: nobody's fault,
	 * and worth nothing now. */
	if (claimed.parsed.id != key.id)
		return true;
	if (!claim_verifies(log, &claimed, &key))
		return false;
	switch (root_look(log, item->size, &claimed.is.root)) {
	case ROOT_OURS:
		c = take(engine, log, claimed.cosigner, &claimed.is);
		if (c != NULL)
			now_knows(pl, (size_t)(c - log->cosigned));
		break;
	case ROOT_OTHER:
		another_history(engine, session, log, claimed.cosigner, item->size);
		break;
	case ROOT_UNKNOWN:
		wait_for(engine, session, log, &claimed);
		root_ask(engine, log, item->size);
		break;
	case ROOT_AHEAD:
		wait_for(engine, session, log, &claimed);
		break;
	}
	return true;
}

/* ---- members ---- */

static bool by_revoked(const struct engine *engine, const char *cosigner)
{
	const char *slash = strchr(cosigner, '/');

	return directory_revocation(
		       engine->directory, bytes_str(slash == NULL ? cosigner : slash + 1)) != NULL;
}

/* By a key that its cosigner has no more. What a machine held that was replaced is not held now;
 * one that rotated its keys cosigns again. */
static bool by_former(const struct engine *engine, const struct cosigned *c)
{
	const char *slash = strchr(c->cosigner, '/');
	struct bytes name = bytes_str(slash == NULL ? c->cosigner : slash + 1);
	const struct member *m = directory_find(engine->directory, name);
	struct note_line line;
	struct note_key key;

	if (m == NULL || m->former == NULL ||
		note_line_parse(buf_bytes(&c->line), &line, NULL) != OK)
		return false;
	return current_key(engine, m, slash != NULL, &key) && line.id != key.id;
}

/* A revoked mirror's cosignatures are good where they were recorded before that was known here; one
 * that is not on its way to the disk yet was not. */
static bool is_void(const struct engine *engine, const struct cosigned *c)
{
	return (c->unsaved && by_revoked(engine, c->cosigner)) || by_former(engine, c);
}

static void cosigned_remove(const struct engine *engine, struct elog *log, size_t at)
{
	if (is_mine(engine, &log->cosigned[at], true))
		witness_forget_line(log);
	buf_release(&log->cosigned[at].line);
	log->cosigned_count--;
	memmove(log->cosigned + at, log->cosigned + at + 1,
		(log->cosigned_count - at) * sizeof(*log->cosigned));
}

static void drop_void(struct engine *engine, struct elog *log)
{
	for (size_t i = 0; i < log->waiting_count;)
		if (by_revoked(engine, log->waiting[i].cosigner) ||
			by_former(engine, &log->waiting[i]))
			waiting_remove(log, i);
		else
			i++;
	for (size_t i = 0; i < log->cosigned_count;) {
		if (!is_void(engine, &log->cosigned[i])) {
			i++;
			continue;
		}
		cosigned_remove(engine, log, i);
		cosigned_forget(engine, log);
	}
}

void cosigned_members_changed(struct engine *engine)
{
	for (size_t i = 0; i < engine->log_count; i++)
		drop_void(engine, engine->logs[i]);
	/* Its own by a key that it has no more: made again. */
	for (size_t i = 0; engine->started && i < engine->log_count; i++)
		cosigned_make(engine, engine->logs[i]);
}

/* ---- at the start ---- */

/* By the key that the directory lists; of a revoked node, by the last one it had. */
static bool stored_verifies(
	const struct engine *engine, const struct elog *log, const struct cosigned *c)
{
	const char *slash = strchr(c->cosigner, '/');
	struct bytes name = bytes_str(slash == NULL ? c->cosigner : slash + 1);
	const struct member *m = directory_find(engine->directory, name);
	struct claimed claimed = {.is = {.size = c->size, .root = c->root}};
	struct note_key key;

	return m != NULL && current_key(engine, m, slash != NULL, &key) &&
	       note_line_parse(buf_bytes(&c->line), &claimed.parsed, NULL) == OK &&
	       claim_verifies(log, &claimed, &key);
}

/* What is in the store was verified when it came; but a row may be damaged, written by a fault or
 * by somebody else. One bad line that is given out closes every session, so none is: it is as if it
 * had never been there, and its row is written anew with the next of that cosigner. */
void cosigned_loaded(struct engine *engine)
{
	for (size_t n = 0; n < engine->log_count; n++) {
		struct elog *log = engine->logs[n];

		for (size_t i = 0; i < log->cosigned_count;) {
			if (stored_verifies(engine, log, &log->cosigned[i])) {
				/* A bad one is no memory of anything: it would hold the witness
				 * up for ever. */
				if (is_mine(engine, &log->cosigned[i], true))
					witness_load_cosigned(engine, log, &log->cosigned[i]);
				i++;
				continue;
			}
			/* .. of a key that was rotated: right when it was made, and void. */
			if (!by_former(engine, &log->cosigned[i]))
				effect_notice(engine, NOTICE_WARNING,
					"log '%s': the stored cosignature of '%s' does not verify, "
					"and is not used",
					log->origin.text, log->cosigned[i].cosigner);
			cosigned_remove(engine, log, i);
		}
	}
}

/* ---- what is told ---- */

static bool is_told(
	const struct session *session, const struct elog *log, const struct peer_log *pl, size_t at)
{
	const struct cosigned *c = &log->cosigned[at];
	const char *slash = strchr(c->cosigner, '/');

	return knows(pl, at) || beyond(log, c->size) ||
	       strcmp(slash == NULL ? c->cosigner : slash + 1, session->peer) == 0;
}

bool cosigned_untold(
	const struct session *session, const struct elog *log, const struct peer_log *pl)
{
	for (size_t i = 0; i < log->cosigned_count; i++)
		if (!is_told(session, log, pl, i))
			return true;
	return false;
}

bool cosigned_fill(struct arena *arena, const struct session *session, const struct elog *log,
	struct peer_log *pl, Sauti__LogState *state)
{
	state->cosigned =
		arena_alloc(arena, (LIMIT_NOTE_SIGNATURES + 1) * sizeof(*state->cosigned));
	if (state->cosigned == NULL)
		return false;
	for (size_t i = 0; i < log->cosigned_count && state->n_cosigned < LIMIT_NOTE_SIGNATURES;
		i++) {
		const struct cosigned *c = &log->cosigned[i];
		Sauti__Cosigned *item;

		if (is_told(session, log, pl, i))
			continue;
		item = arena_alloc(arena, sizeof(*item));
		if (item == NULL)
			return false;
		sauti__cosigned__init(item);
		item->size = c->size;
		item->root = codec_binary(hash_bytes(&c->root));
		item->line = codec_binary(buf_bytes(&c->line));
		state->cosigned[state->n_cosigned++] = item;
		now_knows(pl, i);
	}
	return true;
}

/* ---- one's own ---- */

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

static bool may_cosign(const struct engine *engine, const struct elog *log)
{
	return !log->branch && !log_is_ours(engine, log) && log->cosigning == 0 &&
	       log->has_checkpoint && !log->frozen &&
	       (!engine->opts.cosigning_paused || shown_whole(engine, log));
}

static void ask_cosign(struct engine *engine, struct elog *log)
{
	struct checkpoint checkpoint = log->checkpoint;
	struct effect *effect = effect_add(engine, EFFECT_COSIGN);

	if (effect == NULL)
		return;
	effect->origin = log->origin;
	checkpoint.origin = log->origin;
	checkpoint_format(&effect->body, &checkpoint);
	engine->nomem |= effect->body.err != OK;
	log->cosigning++;
	log->cosign_of = log->checkpoint;
}

/* The mirror's. */
static struct cosigned *mine(const struct engine *engine, struct elog *log)
{
	return cosigned_of(log, engine->node);
}

void cosigned_make(struct engine *engine, struct elog *log)
{
	const struct cosigned *c = mine(engine, log);

	if (may_cosign(engine, log) && (c == NULL || c->size < log->checkpoint.size))
		ask_cosign(engine, log);
	witness_look(engine, log);
}

static void send_held(
	struct engine *engine, struct elog *log, struct session *session, const struct cosigned *c)
{
	Sauti__Cosigned item = SAUTI__COSIGNED__INIT;
	Sauti__Held held = SAUTI__HELD__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct peer_log *pl = session_log(engine, session, log);

	item.size = c->size;
	item.root = codec_binary(hash_bytes(&c->root));
	item.line = codec_binary(buf_bytes(&c->line));
	held.origin = log->origin.text;
	held.cosigned = &item;
	frame.body_case = SAUTI__FRAME__BODY_HELD;
	frame.held = &held;
	effect_send(engine, session, &frame);
	if (pl != NULL)
		now_knows(pl, (size_t)(c - log->cosigned));
}

/* Provider and author at once; the others in time. */
static void tell_mine(struct engine *engine, struct elog *log, const struct cosigned *c)
{
	struct session *author = session_of(engine, log->node);

	if (log->provider != NULL && log->provider->state == SESSION_ACTIVE)
		send_held(engine, log, log->provider, c);
	else
		fetch_acknowledge(engine, log); /* to a guest nothing is vouched for */
	if (author != NULL && author != log->provider)
		send_held(engine, log, author, c);
}

void cosigned_keep_mine(
	struct engine *engine, struct elog *log, bool witness, const struct cosigned_line *item)
{
	char name[COSIGNER_NAME + 1];
	struct cosigned *c;

	cosigned_name(engine, witness, name);
	c = cosigned_of(log, name);

	bool again = c != NULL && c->size == item->size; /* a day later */

	if (c != NULL && !newer(engine, c->size, c->time_s, item))
		return;
	c = keep(engine, log, name, item);
	if (c == NULL)
		return;
	if (!witness && !again)
		tell_mine(engine, log, c);
	tell(engine, log, c, witness && !again);
}

void cosigned_event(struct engine *engine, const struct event *event)
{
	struct elog *log = log_find(engine, bytes_str(event->origin->text));
	struct cosigned_line item = {.line = event->line};
	struct note_line line;

	assert(log != NULL);
	if (event->witness) {
		witness_signed(engine, log, event);
		return;
	}
	assert(log->cosigning > 0);
	log->cosigning--;
	if (event->error != OK) {
		effect_notice(engine, NOTICE_WARNING, "log '%s': cannot cosign: %s",
			log->origin.text, err_text(event->error));
		fetch_acknowledge(engine, log);
		return;
	}
	item.size = log->cosign_of.size;
	item.root = log->cosign_of.root;
	if (note_line_parse(event->line, &line, NULL) == OK)
		item.time_s = cosigned_time(&line);
	cosigned_keep_mine(engine, log, false, &item);
	cosigned_make(engine, log);
}

/* ---- daily ---- */

static bool is_old(const struct engine *engine, const struct cosigned *c, uint64_t age_s)
{
	return c != NULL && (c->time_s + age_s <= engine->wall_s || is_ahead(engine, c->time_s));
}

static bool is_stale(const struct engine *engine, struct elog *log, uint64_t age_s)
{
	const struct cosigned *c = mine(engine, log);

	return may_cosign(engine, log) && is_old(engine, c, age_s) &&
	       c->size == log->checkpoint.size;
}

/* All that are older than half a day go along with the first that is a day old: one frame a day for
 * each session. */
static void cosign_anew(struct engine *engine)
{
	unsigned done = 0;

	if (!engine->recosigning)
		for (size_t i = 0; i < engine->log_count && !engine->recosigning; i++)
			engine->recosigning = is_stale(engine, engine->logs[i], DAY_S);
	engine->recosign_ms = engine->now_ms + LOOK_MS;
	for (size_t i = 0; engine->recosigning && i < engine->log_count; i++) {
		struct elog *log = engine->logs[i];

		if (!is_stale(engine, log, STALE_S))
			continue;
		if (++done > GROUP) {
			engine->recosign_ms = engine->now_ms + GROUP_MS;
			return;
		}
		ask_cosign(engine, log);
		witness_renew(engine, log);
	}
	engine->recosigning = false;
}

void cosigned_start(struct engine *engine)
{
	engine->recosign_ms = engine->now_ms + FIRST_LOOK_MS;
	for (size_t i = 0; i < engine->log_count; i++)
		cosigned_make(engine, engine->logs[i]);
}

/* ---- to the disk ---- */

static void save(struct engine *engine, struct elog *log)
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
		snprintf(write->cosigner, sizeof(write->cosigner), "%s", c->cosigner);
		write->cosigned_size = c->size;
		buf_put(&write->cosignature, hash_bytes(&c->root));
		buf_put(&write->cosignature, buf_bytes(&c->line));
		engine->nomem |= write->cosignature.err != OK;
		effect->write = write;
		c->unsaved = false;
	}
}

void cosigned_written(struct engine *engine, struct elog *log, const struct store_write *write)
{
	struct cosigned *c = cosigned_of(log, write->cosigner);

	if (write->result == OK)
		return;
	if (c != NULL)
		c->unsaved = true;
	log->save_due_ms = engine->now_ms + engine->opts.timing.retry_delay;
}

void cosigned_tick(struct engine *engine)
{
	if (engine->started && engine->now_ms >= engine->recosign_ms)
		cosign_anew(engine);
	for (size_t i = 0; i < engine->log_count; i++) {
		struct elog *log = engine->logs[i];

		if (log->waiting_count > 0 && log->asking == 0 && log->ask_retry_ms != 0 &&
			engine->now_ms >= log->ask_retry_ms)
			cosigned_settle(engine, log);
		if (log->save_due_ms != 0 && log->save_due_ms <= engine->now_ms)
			save(engine, log);
		witness_tick(engine, log);
	}
}

uint64_t cosigned_deadline(const struct engine *engine)
{
	uint64_t due = engine->started ? engine->recosign_ms : UINT64_MAX;

	for (size_t i = 0; i < engine->log_count; i++) {
		const struct elog *log = engine->logs[i];

		if (log->save_due_ms != 0 && log->save_due_ms < due)
			due = log->save_due_ms;
		if (log->witness.retry_ms != 0 && log->witness.retry_ms < due)
			due = log->witness.retry_ms;
	}
	return due;
}

void cosigned_release(struct elog *log)
{
	for (size_t i = 0; i < log->cosigned_count; i++)
		buf_release(&log->cosigned[i].line);
	for (size_t i = 0; i < log->waiting_count; i++)
		buf_release(&log->waiting[i].line);
	mem_free(log->cosigned);
	mem_free(log->waiting);
}

/* ---- the quorum ---- */

/* Whoever has cosigned a checkpoint of the one history holds every smaller one too: the quorum's
 * size is the k-th largest of those that count. */
static bool counts(const struct engine *engine, const struct elog *log, const struct cosigned *c)
{
	return strchr(c->cosigner, '/') == NULL && strcmp(c->cosigner, log->node) != 0 &&
	       directory_counts(engine->directory, c->cosigner);
}

void cosigned_quorum(const struct engine *engine, const struct elog *log, struct engine_quorum *ret)
{
	uint64_t sizes[LIMIT_COSIGNATURES];
	size_t count = 0, at;

	*ret = (struct engine_quorum){.needed = directory_policy(engine->directory)->quorum};
	for (size_t i = 0; i < log->cosigned_count; i++) {
		const struct cosigned *c = &log->cosigned[i];

		if (!counts(engine, log, c))
			continue;
		for (at = count++; at > 0 && sizes[at - 1] < c->size; at--)
			sizes[at] = sizes[at - 1];
		sizes[at] = c->size;
		ret->current += log->has_checkpoint && c->size >= log->checkpoint.size;
	}
	if (ret->needed <= count)
		ret->size = sizes[ret->needed - 1];
}

unsigned cosigned_holders(const struct engine *engine, const struct elog *log, uint64_t index)
{
	unsigned count = 0;

	for (size_t i = 0; i < log->cosigned_count; i++) {
		const struct cosigned *c = &log->cosigned[i];

		count += c->size > index && counts(engine, log, c);
	}
	return count;
}
