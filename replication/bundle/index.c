#include "replication/bundle/index.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "proto/codec.h"
#include "proto/frame.pb-c.h"
#include "replication/bundle/frames.h"

struct bundle_index {
	struct bundle_index_log **logs;
	size_t count, capacity, last;
	size_t batches, noted; /* in all */
	struct arena arena;
};

enum err bundle_index_new(struct bundle_index **ret)
{
	struct bundle_index *index = mem_zalloc(sizeof(*index));

	if (index == NULL)
		return ERR_NOMEM;
	arena_init(&index->arena, LIMIT_ARENA_SIZE);
	*ret = index;
	return OK;
}

void bundle_index_free(struct bundle_index *index)
{
	if (index == NULL)
		return;
	for (size_t i = 0; i < index->count; i++) {
		buf_release(&index->logs[i]->note);
		buf_release(&index->logs[i]->lines);
		mem_free(index->logs[i]->batches);
		mem_free(index->logs[i]);
	}
	mem_free(index->logs);
	arena_release(&index->arena);
	mem_free(index);
}

/* ---- the logs ---- */

/* Frames of one log stand together: the last one is looked at first. */
static struct bundle_index_log *find(struct bundle_index *index, const char *origin)
{
	if (index->last < index->count &&
		strcmp(index->logs[index->last]->origin.text, origin) == 0)
		return index->logs[index->last];
	for (index->last = 0; index->last < index->count; index->last++)
		if (strcmp(index->logs[index->last]->origin.text, origin) == 0)
			return index->logs[index->last];
	return NULL;
}

static enum err log_of(struct bundle_index *index, const char *text, struct bundle_index_log **ret,
	struct errctx *ctx)
{
	struct bundle_index_log *log = find(index, text), **logs;
	struct origin origin;

	if (log != NULL) {
		*ret = log;
		return OK;
	}
	if (origin_parse(bytes_str(text), &origin, NULL) != OK)
		return err_set(ctx, ERR_MALFORMED, "of no log");
	if (index->count == LIMIT_LOGS)
		return err_set(ctx, ERR_LIMIT, "more than %d logs", LIMIT_LOGS);
	if (index->count == index->capacity) {
		size_t capacity = index->capacity == 0 ? 16 : 2 * index->capacity;

		logs = mem_resize(index->logs, capacity * sizeof(*logs));
		if (logs == NULL)
			return ERR_NOMEM;
		index->logs = logs;
		index->capacity = capacity;
	}
	log = mem_zalloc(sizeof(*log));
	if (log == NULL)
		return ERR_NOMEM;
	log->origin = origin;
	buf_init(&log->note, LIMIT_NOTE_SIZE);
	buf_init(&log->lines, LIMIT_NOTE_SIZE);
	index->logs[index->count++] = log;
	*ret = log;
	return OK;
}

enum err bundle_index_name(struct bundle_index *index, const char *origin, struct errctx *ctx)
{
	struct bundle_index_log *log;

	return log_of(index, origin, &log, ctx);
}

size_t bundle_index_count(const struct bundle_index *index)
{
	return index->count;
}

const struct bundle_index_log *bundle_index_at(const struct bundle_index *index, size_t position)
{
	return index->logs[position];
}

const struct bundle_index_log *bundle_index_find(
	const struct bundle_index *index, const char *origin)
{
	for (size_t i = 0; i < index->count; i++)
		if (strcmp(index->logs[i]->origin.text, origin) == 0)
			return index->logs[i];
	return NULL;
}

/* ---- checkpoints ---- */

static enum err room_for(struct bundle_index *index, size_t size, struct errctx *ctx)
{
	if (size > LIMIT_BUNDLE_NOTES - index->noted)
		return err_set(
			ctx, ERR_LIMIT, "more than %d bytes of checkpoints", LIMIT_BUNDLE_NOTES);
	index->noted += size;
	return OK;
}

/* Of two of one size the first one stays: which of them is right, only the entries say. */
static enum err take_note(struct bundle_index *index, struct bundle_index_log *log,
	ProtobufCBinaryData note, struct checkpoint *ret, struct errctx *ctx)
{
	struct checkpoint shown;

	TRY(checkpoint_peek(codec_bytes(note), &shown, ctx));
	if (strcmp(shown.origin.text, log->origin.text) != 0)
		return err_set(ctx, ERR_MALFORMED, "a checkpoint of another log");
	*ret = shown;
	if (shown.size <= log->newest.size)
		return OK;
	TRY(room_for(index, note.len, ctx));
	index->noted -= log->note.size + log->lines.size;
	buf_clear(&log->note);
	buf_clear(&log->lines);
	buf_put(&log->note, codec_bytes(note));
	TRY(log->note.err);
	log->newest = shown;
	return OK;
}

static enum err take_line(struct bundle_index *index, struct bundle_index_log *log,
	const Sauti__Cosigned *item, struct errctx *ctx)
{
	struct bytes line = codec_bytes(item->line);
	struct note_line parsed;

	if (item->size != log->newest.size ||
		!bytes_equal(codec_bytes(item->root), hash_bytes(&log->newest.root)) ||
		note_line_parse(line, &parsed, NULL) != OK ||
		line.size > LIMIT_NOTE_SIZE - log->lines.size)
		return OK;
	TRY(room_for(index, line.size, ctx));
	buf_put(&log->lines, line);
	return log->lines.err;
}

static enum err take_have(struct bundle_index *index, const Sauti__Have *have, struct errctx *ctx)
{
	const Sauti__LogState *state;
	struct bundle_index_log *log;
	struct checkpoint shown;

	if (have->n_logs != 1)
		return err_set(ctx, ERR_MALFORMED, "a Have of one log at a time");
	state = have->logs[0];
	TRY(log_of(index, state->origin, &log, ctx));
	TRY(take_note(index, log, state->checkpoint, &shown, ctx));
	for (size_t i = 0; i < state->n_cosigned; i++)
		TRY(take_line(index, log, state->cosigned[i], ctx));
	return OK;
}

/* ---- entries ---- */

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

static enum err room_for_batch(
	struct bundle_index *index, struct bundle_index_log *log, struct errctx *ctx)
{
	size_t capacity = log->capacity == 0 ? 16 : log->capacity + log->capacity / 2;
	struct bundle_index_batch *batches;

	if (index->batches == LIMIT_BUNDLE_INDEX)
		return err_set(
			ctx, ERR_LIMIT, "more than %d batches of entries", LIMIT_BUNDLE_INDEX);
	if (log->count < log->capacity)
		return OK;
	batches = mem_resize(log->batches, capacity * sizeof(*batches));
	if (batches == NULL)
		return ERR_NOMEM;
	log->batches = batches;
	log->capacity = capacity;
	return OK;
}

static enum err take_batch(struct bundle_index *index, const Sauti__Batch *batch, size_t size,
	const struct bundle_index_place *place, struct errctx *ctx)
{
	struct bundle_index_log *log;
	struct checkpoint shown;

	TRY(log_of(index, batch->origin, &log, ctx));
	TRY(batch_form(batch, ctx));
	TRY(take_note(index, log, batch->checkpoint, &shown, ctx));
	TRY(room_for_batch(index, log, ctx));
	log->batches[log->count++] = (struct bundle_index_batch){place->offset, batch->first,
		(uint32_t)size, (uint16_t)batch->n_entries, place->file};
	index->batches++;
	return OK;
}

enum err bundle_index_frame(struct bundle_index *index, struct bytes bytes,
	const struct bundle_index_place *place, struct errctx *ctx)
{
	Sauti__Frame *frame;

	arena_clear(&index->arena);
	TRY(CODEC_UNPACK(frame, bytes, &scan_limits_default, &index->arena, &frame, ctx));
	switch (frame->body_case) {
	case SAUTI__FRAME__BODY_BATCH:
		return take_batch(index, frame->batch, bytes.size, place, ctx);
	case SAUTI__FRAME__BODY_HAVE:
		return take_have(index, frame->have, ctx);
	case SAUTI__FRAME__BODY_MAIL:
	case SAUTI__FRAME__BODY_MAIL_ACK:
	case SAUTI__FRAME__BODY_EVIDENCE:
		return OK;
	default:
		return err_set(ctx, ERR_UNSUPPORTED, "no kind of frame for a bundle");
	}
}

/* ---- in order ---- */

static uint64_t end_of(const struct bundle_index_batch *batch)
{
	return batch->first + batch->count;
}

/* By their first entries, longer ones first; of two alike the one that came first. */
static int in_order(const void *a, const void *b)
{
	const struct bundle_index_batch *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* What others have whole is left out: then the ends are in order, too. */
void bundle_index_end(struct bundle_index *index)
{
	for (size_t i = 0; i < index->count; i++) {
		struct bundle_index_log *log = index->logs[i];
		size_t kept = 0;

		if (log->count == 0)
			continue;
		qsort(log->batches, log->count, sizeof(*log->batches), in_order);
		for (size_t k = 0; k < log->count; k++)
			if (kept == 0 || end_of(&log->batches[k]) > end_of(&log->batches[kept - 1]))
				log->batches[kept++] = log->batches[k];
		log->count = kept;
	}
}

const struct bundle_index_batch *bundle_index_batch(
	const struct bundle_index_log *log, uint64_t entry)
{
	size_t low = 0, high = log->count;

	/* The last that begins no later ends no earlier than any other of those. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (log->batches[middle].first <= entry)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && entry < end_of(&log->batches[low - 1]) ? &log->batches[low - 1] : NULL;
}

uint64_t bundle_index_gap(const struct bundle_index_log *log, uint64_t entry)
{
	const struct bundle_index_batch *batch;

	while ((batch = bundle_index_batch(log, entry)) != NULL)
		entry = end_of(batch);
	return entry;
}

/* ---- files ---- */

struct line {
	struct bytes whole, name;
};

static int by_name(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	size_t size = x->name.size < y->name.size ? x->name.size : y->name.size;
	int order = memcmp(x->name.data, y->name.data, size);

	if (order != 0)
		return order;
	if (x->name.size != y->name.size)
		return x->name.size < y->name.size ? -1 : 1;
	return x->whole.data < y->whole.data ? -1 : x->whole.data > y->whole.data;
}

/* Each with its newline. One name is one key: of two lines the first counts. */
static size_t take_lines(struct bytes lines, struct line *ret, size_t max)
{
	size_t count = 0, kept = 0;
	struct note_line parsed;

	while (lines.size > 0 && count < max) {
		const uint8_t *end = memchr(lines.data, '\n', lines.size);
		size_t size = end == NULL ? lines.size : (size_t)(end - lines.data) + 1;
		struct bytes whole = bytes_make(lines.data, size);

		lines = bytes_make(lines.data + size, lines.size - size);
		if (note_line_parse(whole, &parsed, NULL) == OK)
			ret[count++] = (struct line){whole, parsed.name};
	}
	qsort(ret, count, sizeof(*ret), by_name);
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || !bytes_equal(ret[i].name, ret[kept - 1].name))
			ret[kept++] = ret[i];
	return kept;
}

enum err bundle_index_checkpoint(const struct bundle_index_log *log, struct buf *out)
{
	enum { LINES_MAX = 4 * LIMIT_NOTE_SIGNATURES };
	struct line lines[LINES_MAX];
	size_t count;

	if (log->newest.size == 0)
		return ERR_NOTFOUND;
	count = take_lines(buf_bytes(&log->lines), lines, LINES_MAX);
	buf_put(out, buf_bytes(&log->note));
	for (size_t i = 0; i < count && i < LIMIT_NOTE_SIGNATURES - 1; i++)
		buf_put(out, lines[i].whole);
	return out->err;
}

enum err bundle_index_entries(const struct bundle_index_batch *batch, struct bytes bytes,
	uint64_t from, uint64_t to, struct arena *arena, struct buf *out)
{
	Sauti__Frame *frame;
	enum err err;

	arena_clear(arena);
	err = CODEC_UNPACK(frame, bytes, &scan_limits_default, arena, &frame, NULL);
	if (err == ERR_NOMEM)
		return err;
	if (err != OK || frame->body_case != SAUTI__FRAME__BODY_BATCH ||
		batch_form(frame->batch, NULL) != OK || frame->batch->first != batch->first ||
		frame->batch->n_entries != batch->count || from < batch->first ||
		to > end_of(batch))
		return ERR_CORRUPT;
	for (uint64_t i = from; i < to; i++)
		buf_put_lv16(out, codec_bytes(frame->batch->entries[i - batch->first]));
	return out->err;
}

struct bytes bundle_index_evidence(struct bytes frame)
{
	struct cursor cursor = cursor_make(frame);
	unsigned shift = 0;
	size_t size = 0;
	uint8_t byte;

	if (cursor_u8(&cursor) != (BUNDLE_EVIDENCE_FIELD << 3 | 2))
		return BYTES_NONE;
	do {
		byte = cursor_u8(&cursor);
		size |= (size_t)(byte & 0x7f) << shift;
		shift += 7;
	} while ((byte & 0x80) != 0 && shift < 28);
	return cursor.err == OK && size == cursor.rest.size && size <= LIMIT_EVIDENCE_SIZE
		       ? cursor.rest
		       : BYTES_NONE;
}
