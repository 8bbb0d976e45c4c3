#include "replication/bundle/check.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "certs/record.h"
#include "proto/codec.h"
#include "proto/frame.pb-c.h"

struct bundle_check {
	struct bundle_check_log **logs;
	size_t count, capacity, last, evidence, mail;
	struct arena arena;
};

enum err bundle_check_new(struct bundle_check **ret)
{
	struct bundle_check *check = mem_zalloc(sizeof(*check));

	if (check == NULL)
		return ERR_NOMEM;
	arena_init(&check->arena, LIMIT_ARENA_SIZE);
	*ret = check;
	return OK;
}

void bundle_check_free(struct bundle_check *check)
{
	if (check == NULL)
		return;
	for (size_t i = 0; i < check->count; i++)
		mem_free(check->logs[i]);
	mem_free(check->logs);
	arena_release(&check->arena);
	mem_free(check);
}

size_t bundle_check_evidence(const struct bundle_check *check)
{
	return check->evidence;
}

size_t bundle_check_mail(const struct bundle_check *check)
{
	return check->mail;
}

size_t bundle_check_count(const struct bundle_check *check)
{
	return check->count;
}

const struct bundle_check_log *bundle_check_at(const struct bundle_check *check, size_t position)
{
	return check->logs[position];
}

/* Frames of one log stand together: the last one is looked at first. */
static struct bundle_check_log *find(struct bundle_check *check, const char *origin)
{
	if (check->last < check->count &&
		strcmp(check->logs[check->last]->origin.text, origin) == 0)
		return check->logs[check->last];
	for (check->last = 0; check->last < check->count; check->last++)
		if (strcmp(check->logs[check->last]->origin.text, origin) == 0)
			return check->logs[check->last];
	return NULL;
}

static enum err log_of(struct bundle_check *check, const char *text, struct bundle_check_log **ret,
	struct errctx *ctx)
{
	struct bundle_check_log *log = find(check, text);
	struct origin origin;

	if (log != NULL) {
		*ret = log;
		return OK;
	}
	if (origin_parse(bytes_str(text), &origin, NULL) != OK)
		return err_set(ctx, ERR_MALFORMED, "of no log");
	if (check->count == LIMIT_LOGS)
		return err_set(ctx, ERR_LIMIT, "of more than %d logs", LIMIT_LOGS);
	if (check->count == check->capacity) {
		size_t capacity = check->capacity == 0 ? 16 : 2 * check->capacity;
		struct bundle_check_log **logs = mem_resize(check->logs, capacity * sizeof(*logs));

		if (logs == NULL)
			return ERR_NOMEM;
		check->logs = logs;
		check->capacity = capacity;
	}
	log = mem_zalloc(sizeof(*log));
	if (log == NULL)
		return ERR_NOMEM;
	log->origin = origin;
	log->signed_ok = true;
	compact_init(&log->compact);
	check->logs[check->count++] = log;
	*ret = log;
	return OK;
}

enum err bundle_check_manifest(struct bundle_check *check, const struct bundle_manifest *manifest)
{
	for (size_t i = 0; i < manifest->log_count && manifest->signed_ok; i++) {
		const struct bundle_log *named = &manifest->logs[i];
		struct bundle_check_log *log;
		enum err err = log_of(check, named->origin.text, &log, NULL);

		if (err == ERR_NOMEM)
			return err;
		if (err == OK && !log->key_known)
			log->key_known = log_note_key(&log->origin, &named->key, &log->key) == OK;
	}
	return OK;
}

static enum err note_check(struct bundle_check_log *log, ProtobufCBinaryData note,
	struct checkpoint *ret, struct errctx *ctx)
{
	struct bytes text;
	enum err err;

	if (log->key_known)
		err = checkpoint_open(codec_bytes(note), &log->key, ret, &text, ctx);
	else
		err = checkpoint_peek(codec_bytes(note), ret, ctx);
	if (err == OK && strcmp(ret->origin.text, log->origin.text) != 0)
		err = err_set(ctx, ERR_MALFORMED, "a checkpoint of another log");
	if (err != OK) {
		log->signed_ok = false;
		return err;
	}
	if (ret->size > log->size)
		log->size = ret->size;
	return OK;
}

/* ---- batches ---- */

static enum err opened_check(struct bundle_check *check, struct bundle_check_log *log,
	struct bytes entry, struct errctx *ctx)
{
	struct log_opened opened;
	struct note_key key;

	TRY(log_opened_read(entry, NULL, &check->arena, &opened, ctx));
	if (strcmp(opened.origin, log->origin.text) != 0)
		return err_set(ctx, ERR_UNTRUSTED, "its LogOpened names another log");
	TRY(log_note_key(&log->origin, &opened.log_key, &key));
	if (log->key_known && memcmp(&key.key, &log->key.key, sizeof(key.key)) != 0)
		return err_set(
			ctx, ERR_UNTRUSTED, "its LogOpened has another key than the manifest");
	log->key = key;
	log->key_known = log->whole = true;
	return OK;
}

static enum err batch_proof(const Sauti__Batch *batch, struct proof *ret, struct errctx *ctx)
{
	if (batch->n_proof > LIMIT_PROOF_HASHES)
		return err_set(ctx, ERR_LIMIT, "a proof of %zu hashes", batch->n_proof);
	ret->count = batch->n_proof;
	for (size_t i = 0; i < batch->n_proof; i++) {
		if (batch->proof[i].len != HASH_SIZE)
			return err_set(ctx, ERR_MALFORMED, "a hash of a wrong size");
		memcpy(ret->hashes[i].b, batch->proof[i].data, HASH_SIZE);
	}
	return OK;
}

static enum err batch_prove(struct bundle_check_log *log, const Sauti__Batch *batch,
	const struct checkpoint *target, struct errctx *ctx)
{
	struct compact compact = log->compact;
	struct proof proof;
	struct hash hash;

	TRY(batch_proof(batch, &proof, ctx));
	for (size_t i = 0; i < batch->n_entries; i++) {
		tree_leaf(codec_bytes(batch->entries[i]), &hash);
		compact_append(&compact, &hash);
	}
	compact_root(&compact, &hash);
	if (compact.size > target->size ||
		!proof_consistency_ok(&proof, compact.size, &hash, target->size, &target->root))
		return err_set(ctx, ERR_PROOF, "the entries do not lead to the checkpoint");
	log->compact = compact;
	log->proven = compact.size;
	return OK;
}

/* Extends what there is of the log, if it joins on. */
static enum err batch_range(
	struct bundle_check_log *log, const Sauti__Batch *batch, struct errctx *ctx)
{
	if (log->entries == 0) {
		log->from = log->to = batch->first;
	} else if (batch->first != log->to) {
		return err_set(ctx, ERR_AGAIN, "entries from %llu to %llu are not in it",
			(unsigned long long)log->to, (unsigned long long)batch->first);
	}
	log->to = batch->first + batch->n_entries;
	log->entries += batch->n_entries;
	return OK;
}

static enum err batch_form(const Sauti__Batch *batch, struct errctx *ctx)
{
	if (batch->n_entries == 0 || batch->n_entries > LIMIT_BATCH_ENTRIES ||
		batch->first > LIMIT_LOG_SIZE)
		return err_set(ctx, ERR_MALFORMED, "no possible entries");
	for (size_t i = 0; i < batch->n_entries; i++)
		if (batch->entries[i].len == 0 || batch->entries[i].len > LIMIT_ENTRY_SIZE)
			return err_set(ctx, ERR_MALFORMED, "an entry of a wrong size");
	return OK;
}

static enum err batch_check(
	struct bundle_check *check, const Sauti__Batch *batch, struct errctx *ctx)
{
	struct bundle_check_log *log;
	struct checkpoint target;
	enum err err;

	TRY(log_of(check, batch->origin, &log, ctx));
	err = batch_form(batch, ctx);
	if (err == OK && batch->first == 0 && log->entries == 0)
		err = opened_check(check, log, codec_bytes(batch->entries[0]), ctx);
	if (err == OK)
		err = note_check(log, batch->checkpoint, &target, ctx);
	if (err == OK)
		err = batch_range(log, batch, ctx);
	if (err == OK && log->whole)
		err = batch_prove(log, batch, &target, ctx);
	log->problems += err != OK;
	return err;
}

/* ---- cosignatures ---- */

static void cosigned_take(struct bundle_check_log *log, const Sauti__Cosigned *item)
{
	struct note_line line;
	struct bytes name;

	if (log->cosigned == LIMIT_NOTE_SIGNATURES ||
		note_line_parse(codec_bytes(item->line), &line, NULL) != OK)
		return;
	/* "<network>/mirror/<node>"; a witness, "<network>/witness/<node>", holds nothing. */
	name = line.name;
	if (memmem(name.data, name.size, "/witness/", 9) != NULL)
		return;
	for (size_t i = 0; i < line.name.size; i++)
		if (line.name.data[i] == '/')
			name = bytes_make(line.name.data + i + 1, line.name.size - i - 1);
	snprintf(log->cosigner[log->cosigned].node, sizeof(log->cosigner[0].node), "%.*s",
		BYTES_FMT(name));
	log->cosigner[log->cosigned++].size = item->size;
}

static enum err have_check(struct bundle_check *check, const Sauti__Have *have, struct errctx *ctx)
{
	const Sauti__LogState *state;
	struct bundle_check_log *log;
	struct checkpoint shown;
	enum err err;

	if (have->n_logs != 1)
		return err_set(ctx, ERR_MALFORMED, "a Have of one log at a time");
	state = have->logs[0];
	TRY(log_of(check, state->origin, &log, ctx));
	err = note_check(log, state->checkpoint, &shown, ctx);
	log->problems += err != OK;
	log->cosigned = 0;
	for (size_t i = 0; err == OK && i < state->n_cosigned; i++)
		cosigned_take(log, state->cosigned[i]);
	return err;
}

enum err bundle_check_frame(struct bundle_check *check, struct bytes bytes, struct errctx *ctx)
{
	Sauti__Frame *frame;

	arena_clear(&check->arena);
	TRY(CODEC_UNPACK(frame, bytes, &scan_limits_default, &check->arena, &frame, ctx));
	switch (frame->body_case) {
	case SAUTI__FRAME__BODY_BATCH:
		return batch_check(check, frame->batch, ctx);
	case SAUTI__FRAME__BODY_HAVE:
		return have_check(check, frame->have, ctx);
	case SAUTI__FRAME__BODY_MAIL: /* as evidence: whose keys they are, only a node knows */
		check->mail++;
		return OK;
	case SAUTI__FRAME__BODY_MAIL_ACK:
		return OK;
	case SAUTI__FRAME__BODY_EVIDENCE: /* the import verifies it, with the log's key */
		check->evidence++;
		return OK;
	default:
		return err_set(ctx, ERR_UNSUPPORTED, "no kind of frame for a bundle");
	}
}
