/*
 * Happy path: magic, head, then for each segment its frames, whose hash is compared at its end.
 * What goes wrong, and then:
 *   magic                    not a bundle
 *   the head                 damage is said once; frames from where its length says, without
 * segments a length in a segment    the rest of the segment is damage a length without any     the
 * rest of the file is damage the hash of a segment    said, behind its frames the end of the file
 * what is missing is damage; more than there should be as well the medium               as a length
 */
#include "replication/bundle/reader.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "proto/frame.h"

struct bundle_reader {
	struct bundle_source source;
	struct bundle_manifest manifest;
	enum err manifest_error;
	struct errctx manifest_ctx;
	uint64_t head_end;
	bool said_head;
	uint64_t offset;
	size_t segment;       /* its index */
	uint64_t segment_end; /* UINT64_MAX: there are no segments */
	bool segment_damaged;
	struct sha256_stream *sha256;
	struct buf buf;
	size_t frames;
	bool ended;
};

static enum err source_read(struct bundle_reader *reader, uint64_t offset, size_t size,
	struct buf *out, size_t *ret_size, struct errctx *ctx)
{
	uint8_t *room;

	buf_clear(out);
	room = buf_reserve(out, size);
	if (room == NULL)
		return ERR_NOMEM;
	TRY(reader->source.read(reader->source.arg, offset, room, size, ret_size, ctx));
	out->size = *ret_size;
	return OK;
}

static void segment_begin(struct bundle_reader *reader, size_t index)
{
	struct hash unused;

	sha256_stream_finish(reader->sha256, &unused);
	reader->segment = index;
	reader->segment_damaged = false;
	if (index < reader->manifest.segment_count)
		reader->segment_end = reader->offset + reader->manifest.segments[index].size;
}

/* Magic and head. */
static enum err head_read(struct bundle_reader *reader, struct errctx *ctx)
{
	uint8_t start[BUNDLE_MAGIC_SIZE + FRAME_HEADER_SIZE];
	struct buf head;
	uint32_t size;
	size_t n = 0;
	enum err err;

	TRY(reader->source.read(reader->source.arg, 0, start, sizeof(start), &n, ctx));
	if (n < BUNDLE_MAGIC_SIZE || memcmp(start, BUNDLE_MAGIC, BUNDLE_MAGIC_SIZE) != 0)
		return err_set(
			ctx, ERR_CORRUPT, "it is no bundle, or is damaged at its very beginning");
	size = n < sizeof(start) ? 0 : get_u32be(start + BUNDLE_MAGIC_SIZE);
	reader->offset = reader->head_end = sizeof(start);
	if (size == 0 || size > LIMIT_BUNDLE_HEADER) {
		reader->manifest_error =
			err_set(&reader->manifest_ctx, ERR_LIMIT, "a length that cannot be");
		reader->head_end = UINT64_MAX;
		return OK;
	}
	buf_init(&head, LIMIT_BUNDLE_HEADER);
	err = source_read(reader, sizeof(start), size, &head, &n, &reader->manifest_ctx);
	if (err == OK && n < size)
		err = err_set(&reader->manifest_ctx, ERR_MALFORMED, "the file ends in it");
	if (err == OK)
		err = bundle_manifest_read(
			buf_bytes(&head), &reader->manifest, &reader->manifest_ctx);
	buf_release(&head);
	if (err == ERR_NOMEM)
		return err;
	reader->manifest_error = err;
	reader->offset = reader->head_end = sizeof(start) + (uint64_t)size;
	return OK;
}

enum err bundle_reader_open(
	const struct bundle_source *source, struct bundle_reader **ret, struct errctx *ctx)
{
	struct bundle_reader *reader = mem_zalloc(sizeof(*reader));
	enum err err;

	if (reader == NULL)
		return ERR_NOMEM;
	reader->source = *source;
	buf_init(&reader->buf, LIMIT_FRAME_SIZE);
	reader->segment_end = UINT64_MAX;
	err = sha256_stream_new(&reader->sha256);
	if (err == OK)
		err = head_read(reader, ctx);
	if (err != OK) {
		bundle_reader_close(reader);
		return err;
	}
	if (reader->manifest_error == OK) {
		reader->segment_end = reader->offset;
		segment_begin(reader, 0);
	}
	*ret = reader;
	return OK;
}

void bundle_reader_close(struct bundle_reader *reader)
{
	if (reader == NULL)
		return;
	bundle_manifest_release(&reader->manifest);
	sha256_stream_free(reader->sha256);
	buf_release(&reader->buf);
	mem_free(reader);
}

const struct bundle_manifest *bundle_reader_manifest(
	const struct bundle_reader *reader, struct errctx *ctx)
{
	if (reader->manifest_error == OK)
		return &reader->manifest;
	if (ctx != NULL)
		*ctx = reader->manifest_ctx;
	return NULL;
}

static bool has_segments(const struct bundle_reader *reader)
{
	return reader->manifest_error == OK;
}

static void damage(struct bundle_item *item, uint64_t offset, uint64_t end, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static void damage(struct bundle_item *item, uint64_t offset, uint64_t end, const char *format, ...)
{
	va_list args;

	*item = (struct bundle_item){BUNDLE_DAMAGE, .offset = offset, .size = end - offset};
	va_start(args, format);
	vsnprintf(item->what, sizeof(item->what), format, args);
	va_end(args);
}

static void end(struct bundle_reader *reader, struct bundle_item *ret)
{
	reader->ended = true;
	*ret = (struct bundle_item){BUNDLE_END, .offset = reader->offset};
}

/* From the offset on nothing can be made of the segment, or of the file. */
static void give_up(struct bundle_reader *reader, struct bundle_item *ret, const char *what)
{
	uint64_t from = reader->offset;

	if (has_segments(reader)) {
		damage(ret, from, reader->segment_end, "%.150s", what);
		reader->segment_damaged = true;
		reader->offset = reader->segment_end;
	} else {
		damage(ret, from, from, "%.150s: the rest cannot be read", what);
		reader->ended = true;
	}
}

/* The file ends at `at`. With segments, what is missing is known. */
static void file_ends(struct bundle_reader *reader, struct bundle_item *ret, uint64_t at)
{
	uint64_t whole = reader->segment_end;

	reader->ended = true;
	if (!has_segments(reader)) {
		damage(ret, reader->offset, at, "the file ends in a frame");
		return;
	}
	for (size_t i = reader->segment + 1; i < reader->manifest.segment_count; i++)
		whole += reader->manifest.segments[i].size;
	damage(ret, reader->offset, whole, "the file ends at %llu, %llu bytes too early",
		(unsigned long long)at, (unsigned long long)(whole - at));
}

/* True: something is to be said. */
static bool segment_close(struct bundle_reader *reader, struct bundle_item *ret)
{
	const struct bundle_segment *segment = &reader->manifest.segments[reader->segment];
	bool damaged = reader->segment_damaged;
	struct hash sha256;

	sha256_stream_finish(reader->sha256, &sha256);
	segment_begin(reader, reader->segment + 1);
	if (damaged || hash_equal(&sha256, &segment->sha256))
		return false;
	damage(ret, reader->offset - segment->size, reader->offset,
		"it is not what the manifest says");
	return true;
}

/* Behind the last segment there is nothing. */
static enum err tail_check(struct bundle_reader *reader, struct bundle_item *ret)
{
	struct errctx ctx = {""};
	uint8_t byte;
	size_t n = 0;

	reader->ended = true;
	if (reader->source.read(reader->source.arg, reader->offset, &byte, 1, &n, &ctx) == OK &&
		n > 0)
		damage(ret, reader->offset, reader->offset + 1, "something stands behind the end");
	else
		end(reader, ret);
	return OK;
}

/* One frame, or why there is none. */
static enum err frame_read(struct bundle_reader *reader, struct bundle_item *ret)
{
	uint8_t header[FRAME_HEADER_SIZE];
	struct errctx ctx = {""};
	uint32_t size;
	size_t n = 0;
	enum err err = reader->source.read(
		reader->source.arg, reader->offset, header, sizeof(header), &n, &ctx);

	if (err == OK && n == 0 && !has_segments(reader)) {
		end(reader, ret);
		return OK;
	}
	if (err == OK && n < sizeof(header)) {
		file_ends(reader, ret, reader->offset + n);
		return OK;
	}
	size = err == OK ? get_u32be(header) : 0;
	if (err == OK &&
		(size == 0 || size > LIMIT_FRAME_SIZE ||
			(has_segments(reader) &&
				sizeof(header) + size > reader->segment_end - reader->offset)))
		err = err_set(&ctx, ERR_MALFORMED, "a length that cannot be");
	if (err == OK)
		err = source_read(
			reader, reader->offset + sizeof(header), size, &reader->buf, &n, &ctx);
	if (err == ERR_NOMEM)
		return err;
	if (err != OK) {
		give_up(reader, ret, err_message(&ctx, err));
		return OK;
	}
	if (n < size) {
		file_ends(reader, ret, reader->offset + sizeof(header) + n);
		return OK;
	}
	sha256_stream_put(reader->sha256, BYTES_ARRAY(header));
	sha256_stream_put(reader->sha256, buf_bytes(&reader->buf));
	*ret = (struct bundle_item){BUNDLE_FRAME, .offset = reader->offset,
		.size = sizeof(header) + (uint64_t)size, .frame = buf_bytes(&reader->buf)};
	reader->offset += ret->size;
	reader->frames++;
	return OK;
}

/* Without segments only the medium knows. */
static bool at_end(struct bundle_reader *reader)
{
	struct errctx ctx = {""};
	uint8_t byte;
	size_t n = 0;

	return !has_segments(reader) &&
	       reader->source.read(reader->source.arg, reader->offset, &byte, 1, &n, &ctx) == OK &&
	       n == 0;
}

enum err bundle_reader_next(struct bundle_reader *reader, struct bundle_item *ret)
{
	if (reader->ended) {
		end(reader, ret);
		return OK;
	}
	if (reader->manifest_error != OK && !reader->said_head) {
		reader->said_head = true;
		if (reader->head_end == UINT64_MAX)
			reader->ended = true;
		damage(ret, 0, reader->offset, "its head cannot be read: %.120s",
			err_message(&reader->manifest_ctx, reader->manifest_error));
		return OK;
	}
	while (has_segments(reader) && reader->offset == reader->segment_end) {
		if (reader->segment == reader->manifest.segment_count)
			return tail_check(reader, ret);
		if (segment_close(reader, ret))
			return OK;
		if (reader->segment == reader->manifest.segment_count)
			return tail_check(reader, ret);
	}
	if (reader->frames == LIMIT_BUNDLE_FRAMES && !at_end(reader)) {
		damage(ret, reader->offset, reader->offset, "more than %d frames: the rest is left",
			LIMIT_BUNDLE_FRAMES);
		reader->ended = true;
		return OK;
	}
	return frame_read(reader, ret);
}
