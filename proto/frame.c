#include "proto/frame.h"

#include <string.h>

#include "base/limits.h"
#include "proto/codec.h"

void frame_reader_init(struct frame_reader *reader, size_t max)
{
	*reader = (struct frame_reader){.max = max};
	buf_init(&reader->buf, max + FRAME_HEADER_SIZE + LIMIT_FRAME_SIZE);
}

void frame_reader_release(struct frame_reader *reader)
{
	if (reader == NULL)
		return;
	buf_release(&reader->buf);
	reader->start = 0;
}

/* Moves what is left to the front, once everything before it has been handed out. */
static void compact(struct frame_reader *reader)
{
	size_t left = reader->buf.size - reader->start;

	if (reader->start == 0)
		return;
	if (left > 0)
		memmove(reader->buf.data, reader->buf.data + reader->start, left);
	reader->buf.size = left;
	reader->start = 0;
}

enum err frame_reader_push(struct frame_reader *reader, struct bytes bytes)
{
	compact(reader);
	buf_put(&reader->buf, bytes);
	return reader->buf.err;
}

enum err frame_reader_next(struct frame_reader *reader, struct bytes *ret)
{
	size_t left = reader->buf.size - reader->start;
	uint32_t size;

	if (reader->buf.err != OK)
		return reader->buf.err;
	if (left < FRAME_HEADER_SIZE)
		return ERR_AGAIN;
	size = get_u32be(reader->buf.data + reader->start);
	if (size == 0 || size > reader->max)
		return reader->buf.err = ERR_LIMIT;
	if (left - FRAME_HEADER_SIZE < size)
		return ERR_AGAIN;
	*ret = bytes_make(reader->buf.data + reader->start + FRAME_HEADER_SIZE, size);
	reader->start += FRAME_HEADER_SIZE + size;
	return OK;
}

size_t frame_reader_pending(const struct frame_reader *reader)
{
	return reader->buf.size - reader->start;
}

void frame_write(struct buf *buf, const void *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);

	if (size == 0 || size > UINT32_MAX) {
		buf->err = ERR_LIMIT;
		return;
	}
	if (buf_reserve(buf, FRAME_HEADER_SIZE + size) == NULL)
		return;
	buf_put_u32be(buf, (uint32_t)size);
	codec_pack(buf, message);
}
