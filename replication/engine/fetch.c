/*
 * The receiving side. One provider per log at a time streams batches to us, at most WINDOW of them
 * unacknowledged. A batch is taken only if it begins where what is proven ends, and if the tree it
 * makes is, by its consistency proof, a prefix of the stream's target: a checkpoint signed by the
 * log's own key. The target is pinned until it is reached, so that a busy log still gets cosigned.
 *
 * Failures: a bad proof or form is the provider's fault (closed, remembered, another is chosen); a
 * LogOpened that the directory's keys do not bear may be its author's doing or its provider's (this
 * provider is left alone for a while); silence is a timeout (another provider); a failed write
 * starts over from what is durable.
 */
#include <stdio.h>

#include "replication/engine/internal.h"

enum { FAULT_MS = 10 * 60 * 1000, DOUBLINGS = 6, STALL_FACTOR = 8 };

/* Who failed as provider of this log is asked again, but later each time. A guest only has a
 * member's name: nothing is remembered of it, nor is what is remembered of the member its own. */
static struct suspect *suspect_of(struct elog *log, const struct session *session)
{
	for (size_t i = 0; log->suspected && !session->guest && i < SUSPECTS_MAX; i++)
		if (strcmp(log->suspects[i].peer, session->peer) == 0)
			return &log->suspects[i];
	return NULL;
}

static struct suspect *suspect_make(struct elog *log, const struct session *session)
{
	struct suspect *found = suspect_of(log, session), *first = &log->suspects[0];

	if (found != NULL)
		return found;
	for (size_t i = 1; i < SUSPECTS_MAX; i++)
		if (log->suspects[i].last_until_ms < first->last_until_ms)
			first = &log->suspects[i];
	*first = (struct suspect){0};
	memcpy(first->peer, session->peer, strlen(session->peer));
	log->suspected = true;
	return first;
}

static uint64_t suspect_delay(struct suspect *suspect, uint64_t ms)
{
	unsigned doublings = suspect->failures < DOUBLINGS ? suspect->failures : DOUBLINGS;

	suspect->failures++;
	return ms << doublings;
}

/* It sent something wrong. */
static void suspect_wrong(
	const struct engine *engine, struct elog *log, const struct session *session)
{
	struct suspect *suspect;

	if (session->guest)
		return;
	suspect = suspect_make(log, session);
	suspect->never_until_ms = engine->now_ms + suspect_delay(suspect, FAULT_MS);
	suspect->last_until_ms = suspect->never_until_ms;
}

/* It had something and sent nothing: it may be slow, and it may be the only one there is. */
static void suspect_silent(
	const struct engine *engine, struct elog *log, const struct session *session)
{
	uint32_t timeout = engine->opts.timing.fetch_timeout;
	struct suspect *suspect;

	if (session->guest)
		return;
	suspect = suspect_make(log, session);
	suspect->never_until_ms = engine->now_ms + timeout;
	suspect->last_until_ms = engine->now_ms + suspect_delay(suspect, timeout);
}

static void send_fetch(
	struct engine *engine, const struct elog *log, uint64_t from, uint32_t window)
{
	Sauti__Fetch fetch = SAUTI__FETCH__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	fetch.origin = (char *)log->origin.text;
	fetch.stream = log->stream;
	fetch.from = from;
	fetch.window = window;
	fetch.rate = bound_ask(engine, log->provider);
	frame.body_case = SAUTI__FRAME__BODY_FETCH;
	frame.fetch = &fetch;
	effect_send(engine, log->provider, &frame);
}

void fetch_stop(struct engine *engine, struct elog *log, bool tell)
{
	if (log->provider == NULL)
		return;
	if (tell && session_talks(log->provider))
		send_fetch(engine, log, log->head.size, 0);
	log->provider = NULL;
	/* The pin stays for what is held behind the checkpoint. */
	log->pinned = log->refetching = log->unacknowledged = false;
}

void fetch_acknowledge(struct engine *engine, struct elog *log)
{
	if (log->provider == NULL || log->refetching)
		return;
	log->unacknowledged = bound_receive_due(engine, log->provider) > engine->now_ms;
	if (!log->unacknowledged)
		send_fetch(engine, log, log->size, WINDOW);
}

static bool may_fetch(const struct engine *engine, const struct elog *log)
{
	const struct member *member;

	if (!engine->started || log->own || log->frozen || log->write_failed ||
		engine->now_ms < log->retry_ms || (!log->key_known && log->head.size > 0) ||
		log->rechecking || log->spoilt || quota_refuses(engine, log))
		return false;
	if (log->directory)
		return true;
	/* Whether it is held already is asked first; and nothing of it is stored before the
	 * evidence that says what it is: after a restart nobody would know. */
	if (log->branch &&
		(!log->settled || log->alias || !evidence_stored(engine, engine->logs[log->base])))
		return false;
	if (log->cut != CUT_NONE)
		return cut_wants(log);
	member = directory_find(engine->directory, bytes_str(log->node));
	return member != NULL && member->active;
}

static bool has_news(const struct elog *log, const struct peer_log *pl)
{
	return pl->have_size > log->head.size;
}

static bool is_author(const struct engine *engine, const struct elog *log, const struct session *s)
{
	const struct member *member;

	if (!log->directory)
		return strcmp(s->peer, log->node) == 0;
	member = directory_find(engine->directory, bytes_str(s->peer));
	return member != NULL && member->role == ROLE_HQ;
}

/* 0: no provider. News count most, then being the author; who failed lately comes last. */
static int rank(struct engine *engine, struct elog *log, const struct session *session)
{
	const struct suspect *suspect;
	const struct peer_log *pl;

	if (!session_talks(session) || log->position >= session->log_count)
		return 0;
	pl = &session->logs[log->position];
	suspect = suspect_of(log, session);
	if (pl->have_size == 0 || (suspect != NULL && suspect->never_until_ms > engine->now_ms))
		return 0;
	if (!bound_may_catch_up(
		    engine, session, log, has_news(log, pl) ? pl->have_size - log->head.size : 0))
		return 0;
	if (suspect != NULL && suspect->last_until_ms > engine->now_ms)
		return 1;
	if (session->guest) /* after every member that has news, before those that have none */
		return has_news(log, pl) ? 5 : 2;
	return 2 + 4 * has_news(log, pl) + 2 * is_author(engine, log, session);
}

/* A provider in the middle of delivering is kept: nothing is fetched twice. */
static bool keeps_provider(struct engine *engine, struct elog *log)
{
	int r = log->provider == NULL ? 0 : rank(engine, log, log->provider);

	return r > 0 &&
	       (log->pinned || (r > 1 && has_news(log, &log->provider->logs[log->position])));
}

void fetch_heard(struct engine *engine, struct session *session, struct elog *log,
	struct peer_log *pl, uint64_t size)
{
	if (session->state == SESSION_IMPORT)
		return;
	/* From now on something is due from it. */
	if (log->provider == session && !has_news(log, pl))
		log->progress_ms = engine->now_ms;
	/* Announcements may come after the entries that they do not know of. */
	if (size > pl->have_size)
		pl->have_size = size;
	lag_heard(engine, session, log, size);
}

void fetch_choose(struct engine *engine, struct elog *log)
{
	struct session *best = NULL;
	int best_rank = 0;

	if (log->provider != NULL && log->provider->state == SESSION_IMPORT)
		return;
	if (refetch_choose(engine, log))
		return;
	if (!may_fetch(engine, log)) {
		fetch_stop(engine, log, true);
		return;
	}
	if (keeps_provider(engine, log))
		return;
	for (struct session *s = engine->sessions; s != NULL; s = s->next) {
		int r = rank(engine, log, s);

		if (r > best_rank || (r == best_rank && r > 0 && s == log->provider)) {
			best = s;
			best_rank = r;
		}
	}
	if (best == log->provider)
		return;
	fetch_stop(engine, log, true);
	if (best == NULL)
		return;
	log->provider = best;
	log->stream = ++engine->next_stream;
	log->stream_from = log->head.size;
	log->unwritten = 0;
	log->pinned = false;
	log->progress_ms = engine->now_ms;
	send_fetch(engine, log, log->head.size, WINDOW);
}

/* What one batch says, while it is being judged; nothing of it is kept until all of it is good. */
struct claim {
	size_t skip; /* entries at its begin that are held already */
	struct entries *entries;
	struct compact head;
	bool new_pin;
	struct checkpoint pin;
	struct note_key key;
	struct proof proof;
	bool not_opened; /* its LogOpened is not what the directory vouches for, or not ours */
	bool cut;        /* its target is not the last that counts */
};

static enum err claim_entries(const Sauti__Batch *batch, struct claim *claim, struct errctx *ctx)
{
	struct bytes list[LIMIT_BATCH_ENTRIES];

	if (batch->n_entries == 0 || batch->n_entries > LIMIT_BATCH_ENTRIES)
		return err_set(ctx, ERR_LIMIT, "%zu entries", batch->n_entries);
	for (size_t i = claim->skip; i < batch->n_entries; i++)
		list[i - claim->skip] = codec_bytes(batch->entries[i]);
	return entries_make(list, batch->n_entries - claim->skip, &claim->entries);
}

static enum err claim_proof(const Sauti__Batch *batch, struct claim *claim, struct errctx *ctx)
{
	if (batch->n_proof > LIMIT_PROOF_HASHES)
		return err_set(ctx, ERR_LIMIT, "a proof of %zu hashes", batch->n_proof);
	claim->proof.count = batch->n_proof;
	for (size_t i = 0; i < batch->n_proof; i++) {
		if (batch->proof[i].len != HASH_SIZE)
			return err_set(ctx, ERR_MALFORMED, "a proof hash of %zu bytes",
				batch->proof[i].len);
		memcpy(claim->proof.hashes[i].b, batch->proof[i].data, HASH_SIZE);
	}
	return OK;
}

/* The log's key: known, or borne by the LogOpened that begins this very batch. */
static enum err claim_key(
	struct engine *engine, struct elog *log, struct claim *claim, struct errctx *ctx)
{
	if (log->key_known) {
		claim->key = log->key;
		return OK;
	}
	if (log->head.size != 0)
		return err_set(ctx, ERR_MALFORMED, "its LogOpened was not readable");
	enum err err = log_learn_key(engine, claim->entries->entry[0], log, true, &claim->key, ctx);

	claim->not_opened = err != OK && err != ERR_NOMEM;
	return err;
}

static enum err claim_target(
	struct elog *log, const Sauti__Batch *batch, struct claim *claim, struct errctx *ctx)
{
	enum err err;

	claim->new_pin = batch->checkpoint.len > 0;
	if (!claim->new_pin && !log->pinned)
		return err_set(ctx, ERR_MALFORMED, "no checkpoint to prove it against");
	if (claim->new_pin && log->pinned)
		return err_set(ctx, ERR_MALFORMED, "a new target before the old one was reached");
	if (!claim->new_pin) {
		claim->pin = log->pin;
		return OK;
	}
	err = checkpoint_open(codec_bytes(batch->checkpoint), &claim->key, &claim->pin, NULL, ctx);
	/* Its author may have opened it with another key elsewhere: have.c. */
	claim->not_opened = err == ERR_UNTRUSTED && log->key_known && !log->directory &&
			    log->head.size == log->stream_from;
	TRY(err);
	if (log->branch && !checkpoint_equal(&claim->pin, &log->end))
		return err_set(ctx, ERR_MALFORMED, "another target than the branch's");
	claim->cut = !cut_takes(log, &claim->pin);
	if (claim->cut)
		return err_set(ctx, ERR_STALE, "its node is revoked");
	return OK;
}

static enum err claim_prove(const struct elog *log, struct claim *claim, struct errctx *ctx)
{
	struct hash root;

	if (log->head.size + claim->entries->count > claim->pin.size)
		return err_set(ctx, ERR_MALFORMED, "entries beyond the target");
	claim->head = log->head;
	for (size_t i = 0; i < claim->entries->count; i++)
		compact_append(&claim->head, &claim->entries->leaf[i]);
	compact_root(&claim->head, &root);
	if (!proof_consistency_ok(
		    &claim->proof, claim->head.size, &root, claim->pin.size, &claim->pin.root))
		return err_set(ctx, ERR_PROOF, "the proof to size %llu does not verify",
			(unsigned long long)claim->pin.size);
	return OK;
}

static enum err claim_judge(struct engine *engine, struct elog *log, const Sauti__Batch *batch,
	struct claim *claim, struct errctx *ctx)
{
	if (batch->first != log->head.size)
		return err_set(ctx, ERR_MALFORMED, "it begins at %llu, %llu was asked for",
			(unsigned long long)batch->first, (unsigned long long)log->head.size);
	if (log->unwritten >= WINDOW)
		return err_set(ctx, ERR_LIMIT, "more batches at once than were asked for");
	TRY(claim_entries(batch, claim, ctx));
	TRY(claim_proof(batch, claim, ctx));
	TRY(claim_key(engine, log, claim, ctx));
	TRY(claim_target(log, batch, claim, ctx));
	return claim_prove(log, claim, ctx);
}

/* Of a note only what counts is kept: its text and the log's own signature. Whoever passes it on
 * can add any lines to it. */
static void keep_note(
	struct engine *engine, struct bytes data, const struct note_key *key, struct buf *out)
{
	buf_clear(out);
	(void)!checkpoint_strip(data, key, out, NULL); /* it was opened before */
	engine->nomem |= out->err != OK;
}

/* The provider kept its word to the end: it is as good as any. */
static void reached(struct elog *log)
{
	struct suspect *suspect = suspect_of(log, log->provider);

	if (suspect != NULL)
		*suspect = (struct suspect){0};
}

/* The batch is good: move on, and write it. */
static void claim_take(
	struct engine *engine, struct elog *log, const Sauti__Batch *batch, struct claim *claim)
{
	struct store_write *write = store_write_new(&log->origin);
	struct effect *effect = write == NULL ? NULL : effect_add(engine, EFFECT_WRITE);

	if (effect == NULL) {
		store_write_free(write);
		engine->nomem = true;
		return;
	}
	if (!log->key_known) {
		log->key = claim->key;
		log->key_known = true;
	}
	if (claim->new_pin) {
		log->pinned = true;
		log->pin = claim->pin;
		keep_note(engine, codec_bytes(batch->checkpoint), &log->key, &log->pin_note);
		log_remember_root(log, &claim->pin, false);
	}
	write->first = log->head.size;
	write->entries = entries_ref(claim->entries);
	if (write->first == 0)
		log_keep_opened(engine, log, claim->entries->entry[0]);
	log->head = claim->head;
	snprintf(log->source, sizeof(log->source), "%s", log->provider->peer);
	if (log->head.size == log->pin.size) {
		buf_put(&write->checkpoint, buf_bytes(&log->pin_note));
		engine->nomem |= write->checkpoint.err != OK;
		witness_along(engine, log, write);
		log->pinned = log->tailed = false;
		reached(log);
	} else {
		log->tailed = true;
	}
	if (claim->new_pin && log->tailed) {
		buf_put(&write->pin, buf_bytes(&log->pin_note));
		engine->nomem |= write->pin.err != OK;
	}
	log->writing++;
	log->unwritten++;
	log->progress_ms = log->provider->batch_ms = engine->now_ms;
	lag_entries(log, write->entries->count, write->entries->size);
	if (log->provider->state != SESSION_IMPORT)
		lag_heard(engine, log->provider, log, log->pin.size);
	effect->write = write;
	quota_took(engine, log, claim->entries->size);
}

/* Another is asked. A guest of no use leaves: it would be asked again at once. */
static void give_up(struct engine *engine, struct elog *log, struct session *session)
{
	fetch_stop(engine, log, true);
	if (session->guest)
		session_close(engine, session, NOTICE_INFO, "nothing of '%s' comes from it",
			log->origin.text);
	fetch_choose(engine, log);
}

void fetch_batch(struct engine *engine, struct session *session, const Sauti__Batch *batch)
{
	struct elog *log = log_find(engine, bytes_str(batch->origin));
	struct claim claim = {0};
	struct errctx ctx = {""};

	/* Of an older stream, or of one that we ended: void. */
	if (log == NULL || log->provider != session || log->stream != batch->stream)
		return;
	if (log->refetching) {
		refetch_batch(engine, log, batch);
		return;
	}
	enum err err = claim_judge(engine, log, batch, &claim, &ctx);

	if (err == OK && log_agrees(engine, log, &claim.pin, codec_bytes(batch->checkpoint),
				 session->peer)) {
		struct peer_log *pl = session_log(engine, session, log);

		*(pl == NULL || has_news(log, pl) ? &session->traffic.bulk
						  : &session->traffic.live) += batch->n_entries;
		if (pl != NULL && claim.pin.size > pl->have_size)
			pl->have_size = claim.pin.size;
		claim_take(engine, log, batch, &claim);
	} else if (err == ERR_NOMEM) {
		engine->nomem = true;
	} else if (err != OK && claim.cut) {
		/* It has not heard of the revocation: no fault, but of no use for now. */
		suspect_silent(engine, log, session);
		give_up(engine, log, session);
	} else if (err != OK && claim.not_opened) {
		effect_notice(engine, NOTICE_WARNING,
			"log '%s' is not accepted as '%s' gives it: %.100s", log->origin.text,
			session->peer, err_message(&ctx, err));
		suspect_wrong(engine, log, session);
		give_up(engine, log, session);
	} else if (err == ERR_PROOF && !session->guest && log->head.size == log->stream_from &&
		   evidence_ask(engine, session, log)) {
		/* Once it has given us something that fits, what does not is a lie. */
		suspect_wrong(engine, log, session);
		give_up(engine, log, session);
	} else if (err == ERR_PROOF && !session->guest &&
		   !recheck_blames(engine, log, session->peer)) {
		suspect_silent(engine, log, session);
		fetch_stop(engine, log, true);
	} else if (err != OK) {
		suspect_wrong(engine, log, session);
		session_close(engine, session, NOTICE_WARNING, "bad Batch of '%s': %.100s",
			log->origin.text, err_message(&ctx, err));
	}
	entries_unref(claim.entries);
}

static enum err import_allowed(
	const struct engine *engine, const struct elog *log, struct errctx *ctx)
{
	if (log->own)
		return err_set(ctx, ERR_FORK, "more of this node's own log than it has signed");
	if (log->frozen)
		return err_set(ctx, ERR_FORK, "it has two histories: nothing new of it is taken");
	if (!log->key_known && log->head.size > 0)
		return err_set(ctx, ERR_CORRUPT, "its first entry is damaged here");
	if (engine->now_ms < log->retry_ms)
		return err_set(ctx, ERR_BUSY, "the disk did not take the last entries");
	if (quota_refuses(engine, log))
		return err_set(ctx, ERR_LIMIT, "more of '%s' came today than is taken in a day",
			log->node);
	if (!may_fetch(engine, log))
		return err_set(ctx, ERR_UNTRUSTED, "'%s' is no active member", log->node);
	return OK;
}

/* Each batch of a bundle brings its own target: one that is lost takes none other along. */
static enum err import_judge(struct engine *engine, struct elog *log, const Sauti__Batch *batch,
	struct claim *claim, struct errctx *ctx)
{
	TRY(claim_entries(batch, claim, ctx));
	TRY(claim_proof(batch, claim, ctx));
	TRY(claim_key(engine, log, claim, ctx));
	log->pinned = false;
	TRY(claim_target(log, batch, claim, ctx));
	return claim_prove(log, claim, ctx);
}

enum err fetch_import(struct engine *engine, struct session *session, struct elog *log,
	const Sauti__Batch *batch, struct errctx *ctx)
{
	struct claim claim = {0};
	enum err err;

	if (batch->first > log->head.size)
		return ERR_AGAIN;
	TRY(import_allowed(engine, log, ctx));
	if (log->provider != session) {
		fetch_stop(engine, log, true);
		log->provider = session;
		log->stream_from = log->head.size;
		log->unwritten = 0;
	}
	claim.skip = (size_t)(log->head.size - batch->first);
	err = import_judge(engine, log, batch, &claim, ctx);
	if (err == OK &&
		!log_agrees(engine, log, &claim.pin, codec_bytes(batch->checkpoint), session->peer))
		err = err_set(ctx, ERR_FORK, "it contradicts a checkpoint that is known here");
	if (err == OK)
		claim_take(engine, log, batch, &claim);
	else if (err == ERR_NOMEM)
		engine->nomem = true;
	entries_unref(claim.entries);
	return err;
}

void fetch_written(struct engine *engine, struct elog *log, const struct store_write *write)
{
	/* With a checkpoint, the Held that follows acknowledges, if one does. */
	if (write->checkpoint.size == 0 || !log->cosigning)
		fetch_acknowledge(engine, log);
	fetch_choose(engine, log);
}

/* When something must have come from the provider. One that is busy with other logs has longer. */
static uint64_t stall_due(const struct engine *engine, const struct elog *log)
{
	uint64_t timeout = engine->opts.timing.fetch_timeout, last = log->progress_ms;
	uint64_t end = last + STALL_FACTOR * timeout;

	if (log->provider->batch_ms > last)
		last = log->provider->batch_ms;
	if (log->provider->arriving_ms > last)
		last = log->provider->arriving_ms;
	return last + timeout < end ? last + timeout : end;
}

/* When somebody may be asked (before others) again who has something that is missing here. */
static uint64_t suspect_due(const struct engine *engine, const struct elog *log)
{
	uint64_t due = UINT64_MAX;

	for (size_t i = 0; log->suspected && i < SUSPECTS_MAX; i++) {
		const struct suspect *suspect = &log->suspects[i];
		const struct session *s;

		if (suspect->last_until_ms <= engine->now_ms)
			continue;
		s = session_of(engine, suspect->peer);
		if (s == NULL || log->position >= s->log_count ||
			!has_news(log, &s->logs[log->position]))
			continue;
		uint64_t until = suspect->never_until_ms > engine->now_ms ? suspect->never_until_ms
									  : suspect->last_until_ms;
		due = until < due ? until : due;
	}
	return due;
}

static uint64_t fetch_due(const struct engine *engine, const struct elog *log)
{
	if (log->own || log->frozen || log->rechecking || log->spoilt)
		return UINT64_MAX;
	if (quota_refuses(engine, log))
		return quota_due(engine, log);
	if (log->provider != NULL && !log->refetching && log->position < log->provider->log_count &&
		has_news(log, &log->provider->logs[log->position]))
		return stall_due(engine, log);
	if (log->retry_ms > engine->now_ms)
		return log->retry_ms;
	return suspect_due(engine, log);
}

static void fetch_check(struct engine *engine, struct elog *log)
{
	if (log->provider != NULL && !log->refetching && log->provider->state != SESSION_IMPORT &&
		fetch_due(engine, log) <= engine->now_ms) {
		effect_notice(engine, NOTICE_INFO, "log '%s': '%s' sends nothing, asking another",
			log->origin.text, log->provider->peer);
		suspect_silent(engine, log, log->provider);
		give_up(engine, log, log->provider);
	}
	if (log->provider == NULL || log->suspected)
		fetch_choose(engine, log);
}

void fetch_tick(struct engine *engine)
{
	for (size_t i = 0; i < engine->log_count; i++) {
		refetch_tick(engine, engine->logs[i]);
		if (engine->logs[i]->unacknowledged)
			fetch_acknowledge(engine, engine->logs[i]);
		fetch_check(engine, engine->logs[i]);
	}
}

uint64_t fetch_deadline(const struct engine *engine)
{
	uint64_t due = UINT64_MAX;

	for (size_t i = 0; i < engine->log_count; i++) {
		uint64_t d = fetch_due(engine, engine->logs[i]);
		uint64_t r = refetch_due(engine, engine->logs[i]);

		d = r < d ? r : d;
		if (engine->logs[i]->unacknowledged) {
			r = bound_receive_due(engine, engine->logs[i]->provider);
			d = r < d ? r : d;
		}
		if (d < due)
			due = d;
	}
	return due;
}
