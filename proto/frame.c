/*
 * What is buffered: whole messages not yet handed out, from `start`; then, from `last`, the
 * beginning of one that has not all arrived. Every header is looked at when it is complete, before
 * anything behind it is stored. A bad one stays where it is: the messages before it are still
 * handed out, then frame_reader_next says ERR_LIMIT for ever. So what comes out does not depend on
 * how the stream was cut into pushes.
 */
#include "proto/frame.h"

#include <assert.h>

#include "base/limits.h"
#include "proto/codec.h"

/* An idle connection keeps no more than this. */
enum { KEEP_SIZE = 64 * 1024 };

void frame_reader_init(struct frame_reader *reader, size_t max)
{
	assert(max > 0 && max <= UINT32_MAX);
	*reader = (struct frame_reader){.max = max};
	buf_init(&reader->buf, FRAME_HEADER_SIZE + max + LIMIT_FRAME_SIZE);
}

void frame_reader_release(struct frame_reader *reader)
{
	if (reader == NULL)
		return;
	buf_release(&reader->buf);
	reader->start = reader->last = 0;
}

/* Drops what was handed out. */
static void compact(struct frame_reader *reader)
{
	size_t left = reader->buf.size - reader->start;

	if (reader->start == 0)
		return;
	if (left == 0 && reader->buf.capacity > KEEP_SIZE)
		buf_release(&reader->buf);
	else if (left > 0)
		memmove(reader->buf.data, reader->buf.data + reader->start, left);
	reader->buf.size = left;
	reader->last -= reader->start;
	reader->start = 0;
}

/* The size of the message at `at`, whose header is complete; 0 when it is refused. */
static size_t message_size(const struct frame_reader *reader, size_t at)
{
	size_t size = get_u32be(reader->buf.data + at);

	return size <= reader->max ? size : 0;
}

/* Stores the next piece, up to the end of a header or of a message; false when the stream is of no
 * more use. */
static bool push_piece(struct frame_reader *reader, struct bytes *bytes)
{
	size_t have = reader->buf.size - reader->last;
	size_t want = FRAME_HEADER_SIZE, take;

	if (have >= FRAME_HEADER_SIZE) {
		size_t size = message_size(reader, reader->last);

		if (size == 0)
			return false;
		want += size;
	}
	take = want - have < bytes->size ? want - have : bytes->size;
	buf_put(&reader->buf, bytes_make(bytes->data, take));
	if (reader->buf.err != OK)
		return false;
	*bytes = bytes_make(bytes->data + take, bytes->size - take);
	if (want > FRAME_HEADER_SIZE && have + take == want)
		reader->last = reader->buf.size;
	return true;
}

enum err frame_reader_push(struct frame_reader *reader, struct bytes bytes)
{
	if (reader->buf.err != OK)
		return reader->buf.err;
	compact(reader);
	while (bytes.size > 0 && push_piece(reader, &bytes))
		;
	return reader->buf.err;
}

enum err frame_reader_next(struct frame_reader *reader, struct bytes *ret)
{
	size_t left = reader->buf.size - reader->start;
	size_t size;

	if (reader->buf.err != OK)
		return reader->buf.err;
	if (left < FRAME_HEADER_SIZE)
		return ERR_AGAIN;
	size = message_size(reader, reader->start);
	if (size == 0)
		return ERR_LIMIT;
	if (left - FRAME_HEADER_SIZE < size)
		return ERR_AGAIN;
	*ret = bytes_make(reader->buf.data + reader->start + FRAME_HEADER_SIZE, size);
	reader->start += FRAME_HEADER_SIZE + size;
	return OK;
}

size_t frame_reader_rest(struct frame_reader *reader)
{
	size_t freed = reader->buf.capacity;

	if (reader->buf.err != OK || reader->buf.size != reader->start)
		return 0;
	buf_release(&reader->buf);
	reader->start = reader->last = 0;
	return freed;
}

size_t frame_reader_pending(const struct frame_reader *reader)
{
	return reader->buf.size - reader->last;
}

void frame_write(struct buf *buf, const void *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);

	if (buf->err != OK)
		return;
	if (size == 0 || size > UINT32_MAX) {
		buf->err = size == 0 ? ERR_INVALID : ERR_LIMIT;
		return;
	}
	/* All or nothing: no header without its message. */
	if (buf_reserve(buf, FRAME_HEADER_SIZE + size) == NULL)
		return;
	buf_put_u32be(buf, (uint32_t)size);
	codec_pack(buf, message);
}
