/*
 * The receiving side. One provider per log at a time streams batches to us, at most WINDOW of them
 * unacknowledged. A batch is taken only if it begins where what is proven ends, and if the tree it
 * makes is, by its consistency proof, a prefix of the stream's target: a checkpoint signed by the
 * log's own key. The target is pinned until it is reached, so that a busy log still gets cosigned.
 *
 * Failures: a bad proof or form is the provider's fault (closed, another is chosen); a LogOpened
 * that the directory's keys do not bear is the author's (the log is left alone for a while);
 * silence is a timeout (another provider); a failed write starts over from what is durable.
 */
#include "replication/engine/internal.h"

enum { AUTHOR_FAULT_MS = 10 * 60 * 1000 };

static void send_fetch(
	struct engine *engine, const struct elog *log, uint64_t from, uint32_t window)
{
	Sauti__Fetch fetch = SAUTI__FETCH__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	fetch.origin = (char *)log->origin.text;
	fetch.stream = log->stream;
	fetch.from = from;
	fetch.window = window;
	frame.body_case = SAUTI__FRAME__BODY_FETCH;
	frame.fetch = &fetch;
	effect_send(engine, log->provider, &frame);
}

void fetch_stop(struct engine *engine, struct elog *log, bool tell)
{
	if (log->provider == NULL)
		return;
	if (tell && log->provider->state == SESSION_ACTIVE)
		send_fetch(engine, log, log->head.size, 0);
	log->provider = NULL;
	log->pinned = false;
}

void fetch_acknowledge(struct engine *engine, struct elog *log)
{
	if (log->provider != NULL)
		send_fetch(engine, log, log->size, WINDOW);
}

static bool may_fetch(const struct engine *engine, const struct elog *log)
{
	const struct member *member;

	if (!engine->started || log->own || log->frozen || log->write_failed ||
		engine->now_ms < log->retry_ms)
		return false;
	if (log->directory)
		return true;
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

/* 0: no provider. News count most, then being the author. */
static int rank(struct engine *engine, const struct elog *log, struct session *session)
{
	const struct peer_log *pl;

	if (session->state != SESSION_ACTIVE || log->position >= session->log_count)
		return 0;
	pl = &session->logs[log->position];
	if (pl->have_size == 0 || pl->failed_until_ms > engine->now_ms)
		return 0;
	return 1 + 4 * has_news(log, pl) + 2 * is_author(engine, log, session);
}

/* A provider in the middle of delivering is kept: nothing is fetched twice. */
static bool keeps_provider(struct engine *engine, const struct elog *log)
{
	return log->provider != NULL && rank(engine, log, log->provider) > 0 &&
	       (log->pinned || has_news(log, &log->provider->logs[log->position]));
}

void fetch_choose(struct engine *engine, struct elog *log)
{
	struct session *best = NULL;
	int best_rank = 0;

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
	log->pinned = false;
	log->progress_ms = engine->now_ms;
	send_fetch(engine, log, log->head.size, WINDOW);
}

/* What one batch says, while it is being judged; nothing of it is kept until all of it is good. */
struct claim {
	struct entries *entries;
	struct compact head;
	bool new_pin;
	struct checkpoint pin;
	struct note_key key;
	struct proof proof;
	bool author_fault;
};

static enum err claim_entries(const Sauti__Batch *batch, struct claim *claim, struct errctx *ctx)
{
	struct bytes list[LIMIT_BATCH_ENTRIES];

	if (batch->n_entries == 0 || batch->n_entries > LIMIT_BATCH_ENTRIES)
		return err_set(ctx, ERR_LIMIT, "%zu entries", batch->n_entries);
	for (size_t i = 0; i < batch->n_entries; i++)
		list[i] = codec_bytes(batch->entries[i]);
	return entries_make(list, batch->n_entries, &claim->entries);
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

	claim->author_fault = err != OK;
	return err;
}

static enum err claim_target(
	struct elog *log, const Sauti__Batch *batch, struct claim *claim, struct errctx *ctx)
{
	struct bytes text;

	claim->new_pin = batch->checkpoint.len > 0;
	if (!claim->new_pin && !log->pinned)
		return err_set(ctx, ERR_MALFORMED, "no checkpoint to prove it against");
	if (claim->new_pin && log->pinned)
		return err_set(ctx, ERR_MALFORMED, "a new target before the old one was reached");
	if (!claim->new_pin) {
		claim->pin = log->pin;
		return OK;
	}
	TRY(checkpoint_open(codec_bytes(batch->checkpoint), &claim->key, &claim->pin, &text, ctx));
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
	TRY(claim_entries(batch, claim, ctx));
	TRY(claim_proof(batch, claim, ctx));
	TRY(claim_key(engine, log, claim, ctx));
	TRY(claim_target(log, batch, claim, ctx));
	return claim_prove(log, claim, ctx);
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
		buf_clear(&log->pin_note);
		buf_put(&log->pin_note, codec_bytes(batch->checkpoint));
		engine->nomem |= log->pin_note.err != OK;
		log_remember_root(log, &claim->pin);
	}
	write->first = log->head.size;
	write->entries = entries_ref(claim->entries);
	log->head = claim->head;
	if (log->head.size == log->pin.size) {
		buf_put(&write->checkpoint, buf_bytes(&log->pin_note));
		engine->nomem |= write->checkpoint.err != OK;
		log->pinned = false;
	}
	log->writing++;
	log->progress_ms = engine->now_ms;
	effect->write = write;
}

void fetch_batch(struct engine *engine, struct session *session, const Sauti__Batch *batch)
{
	struct elog *log = log_find(engine, bytes_str(batch->origin));
	struct claim claim = {0};
	struct errctx ctx = {""};

	/* Of an older stream, or of one that we ended: void. */
	if (log == NULL || log->provider != session || log->stream != batch->stream)
		return;
	enum err err = claim_judge(engine, log, batch, &claim, &ctx);

	if (err == OK && log_agrees(engine, log, &claim.pin, session->peer)) {
		struct peer_log *pl = session_log(engine, session, log);

		if (pl != NULL && claim.pin.size > pl->have_size)
			pl->have_size = claim.pin.size;
		claim_take(engine, log, batch, &claim);
	} else if (err == ERR_NOMEM) {
		engine->nomem = true;
	} else if (err != OK && claim.author_fault) {
		effect_notice(engine, NOTICE_WARNING, "log '%s' is not accepted: %.120s",
			log->origin.text, err_message(&ctx, err));
		log->retry_ms = engine->now_ms + AUTHOR_FAULT_MS;
		fetch_stop(engine, log, true);
	} else if (err != OK) {
		struct peer_log *pl = session_log(engine, session, log);

		if (pl != NULL)
			pl->failed_until_ms = engine->now_ms + AUTHOR_FAULT_MS;
		session_close(engine, session, NOTICE_WARNING, "bad Batch of '%s': %.100s",
			log->origin.text, err_message(&ctx, err));
	}
	entries_unref(claim.entries);
}

void fetch_written(struct engine *engine, struct elog *log, const struct store_write *write)
{
	/* With a checkpoint, the Held that follows acknowledges. */
	if (write->checkpoint.size == 0)
		fetch_acknowledge(engine, log);
	fetch_choose(engine, log);
}

static uint64_t fetch_due(const struct engine *engine, const struct elog *log)
{
	if (log->provider != NULL && log->position < log->provider->log_count &&
		has_news(log, &log->provider->logs[log->position]))
		return log->progress_ms + engine->opts.timing.fetch_timeout;
	if (!log->own && log->retry_ms > engine->now_ms)
		return log->retry_ms;
	return UINT64_MAX;
}

void fetch_tick(struct engine *engine)
{
	for (size_t i = 0; i < engine->log_count; i++) {
		struct elog *log = engine->logs[i];

		if (log->provider != NULL && fetch_due(engine, log) <= engine->now_ms) {
			struct peer_log *pl = session_log(engine, log->provider, log);

			effect_notice(engine, NOTICE_INFO,
				"log '%s': '%s' sends nothing, asking another", log->origin.text,
				log->provider->peer);
			if (pl != NULL)
				pl->failed_until_ms =
					engine->now_ms + engine->opts.timing.fetch_timeout;
			fetch_stop(engine, log, true);
		}
		if (log->provider == NULL)
			fetch_choose(engine, log);
	}
}

uint64_t fetch_deadline(const struct engine *engine)
{
	uint64_t due = UINT64_MAX;

	for (size_t i = 0; i < engine->log_count; i++) {
		uint64_t d = fetch_due(engine, engine->logs[i]);

		if (d < due)
			due = d;
	}
	return due;
}
