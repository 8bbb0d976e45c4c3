/*
 * frame: u32be length || message, the framing of every connection of Sauti. The reader takes bytes
 * as they come and gives whole messages; a length of 0 or over the maximum is ERR_LIMIT before a
 * byte of the body is stored. Memory grows with what has arrived, not with what was announced.
 */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

enum { FRAME_HEADER_SIZE = 4 };

struct frame_reader {
	struct buf buf;
	size_t start; /* of the first byte not yet handed out */
	size_t last;  /* of the message that has not all arrived */
	size_t max;   /* of one message, header not counted */
};

void frame_reader_init(struct frame_reader *reader, size_t max);
void frame_reader_release(struct frame_reader *reader);

/* Adds what arrived. ERR_NOMEM; ERR_LIMIT when more is buffered than one maximal frame and
 * LIMIT_FRAME_SIZE besides (the caller must drain with frame_reader_next after each push). Both
 * are sticky. A bad length is no error here: what follows it is dropped, and frame_reader_next
 * says so after the messages that came before it. */
enum err frame_reader_push(struct frame_reader *reader, struct bytes bytes) MUST_USE;

/* The next whole message, a view valid until the next push; ERR_AGAIN when it has not all arrived;
 * ERR_LIMIT for a bad length, and the errors of push (all sticky: close the connection). */
enum err frame_reader_next(struct frame_reader *reader, struct bytes *ret) MUST_USE;

/* Gives back the buffer's memory if it holds nothing: for a connection that is at rest. How
 * many bytes that were. */
size_t frame_reader_rest(struct frame_reader *reader);

/* Bytes that belong to an unfinished message, header included: 0 says the stream may end here. */
size_t frame_reader_pending(const struct frame_reader *reader);

/* Appends header and packed message, or nothing: buf->err is ERR_LIMIT past buf->max, ERR_INVALID
 * for a message that packs to nothing, which no reader would take. */
void frame_write(struct buf *buf, const void *message);

#endif
