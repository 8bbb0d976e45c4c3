/*
 * buf: a growable byte buffer with a maximum given at init. The error sticks: a run of puts needs
 * one check, of buf.err, at the end. Past the maximum: ERR_LIMIT; out of memory: ERR_NOMEM.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/bytes.h"
#include "base/err.h"

struct buf {
	uint8_t *data;
	size_t size, capacity, max;
	enum err err;
};

void buf_init(struct buf *buf, size_t max);
void buf_release(struct buf *buf); /* NULL and zeroed ones are fine; leaves it empty, max kept */
void buf_clear(struct buf *buf);   /* size 0, error forgotten, memory kept */
void buf_wipe(struct buf *buf);    /* as release, contents overwritten first: for secrets.
				    * (growth of a buf with secrets leaves no copy behind only
				    * when buf_reserve was called for the whole size first) */

/* Room for `more` bytes; NULL on error (sticky). Write there, then add to buf->size. */
uint8_t *buf_reserve(struct buf *buf, size_t more);

void buf_put(struct buf *buf, struct bytes bytes);
/* As buf_put; what the buffer leaves behind when it grows is wiped. For secrets whose size is not
 * known before. */
void buf_put_clean(struct buf *buf, struct bytes bytes);
void buf_put_str(struct buf *buf, const char *text);
void buf_put_u8(struct buf *buf, uint8_t v);
void buf_put_u16be(struct buf *buf, uint16_t v);
void buf_put_u32be(struct buf *buf, uint32_t v);
void buf_put_u64be(struct buf *buf, uint64_t v);
void buf_put_zeros(struct buf *buf, size_t count);
/* u16be length, then the bytes; ERR_LIMIT over 65,535. How every variable field of a hash or
 * signature input is written (DESIGN, head). */
void buf_put_lv16(struct buf *buf, struct bytes bytes);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline struct bytes buf_bytes(const struct buf *buf)
{
	return bytes_make(buf->data, buf->size);
}

/* The contents as a C string, terminated inside the capacity; "" on any error. */
const char *buf_cstr(struct buf *buf);

#endif
