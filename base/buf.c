#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/secret.h"

enum { CAPACITY_FIRST = 64 };

/*
 * Invariant: data is NULL and capacity 0, or capacity > size. The one spare byte is for the
 * terminator of buf_cstr and buf_printf, so capacity may be max + 1.
 */

void buf_init(struct buf *buf, size_t max)
{
	assert(max < SIZE_MAX);
	*buf = (struct buf){.max = max};
}

void buf_release(struct buf *buf)
{
	if (buf == NULL)
		return;
	mem_free(buf->data);
	*buf = (struct buf){.max = buf->max};
}

void buf_clear(struct buf *buf)
{
	buf->size = 0;
	buf->err = OK;
}

void buf_wipe(struct buf *buf)
{
	if (buf == NULL)
		return;
	wipe(buf->data, buf->capacity);
	buf_release(buf);
}

static bool fail(struct buf *buf, enum err err)
{
	buf->err = err;
	return false;
}

static bool grow(struct buf *buf, size_t more)
{
	size_t need, capacity;
	uint8_t *data;

	if (more > buf->max - buf->size)
		return fail(buf, ERR_LIMIT);
	need = buf->size + more + 1;
	if (need <= buf->capacity)
		return true;
	capacity = buf->capacity <= buf->max / 2 ? 2 * buf->capacity : buf->max + 1;
	if (capacity < CAPACITY_FIRST)
		capacity = CAPACITY_FIRST;
	if (capacity > buf->max + 1)
		capacity = buf->max + 1;
	if (capacity < need)
		capacity = need;
	data = mem_resize(buf->data, capacity);
	if (data == NULL)
		return fail(buf, ERR_NOMEM);
	buf->data = data;
	buf->capacity = capacity;
	return true;
}

uint8_t *buf_reserve(struct buf *buf, size_t more)
{
	if (buf->err != OK || !grow(buf, more))
		return NULL;
	return buf->data + buf->size;
}

void buf_put(struct buf *buf, struct bytes bytes)
{
	uint8_t *to = buf_reserve(buf, bytes.size);

	if (to == NULL || bytes.size == 0)
		return;
	memcpy(to, bytes.data, bytes.size);
	buf->size += bytes.size;
}

static void grow_clean(struct buf *buf, size_t more)
{
	struct buf grown;
	size_t room = buf->capacity <= buf->max / 2 ? 2 * buf->capacity : buf->max;

	if (more > buf->max - buf->size) {
		buf->err = ERR_LIMIT;
		return;
	}
	if (room < buf->size + more)
		room = buf->size + more;
	buf_init(&grown, buf->max);
	(void)buf_reserve(&grown, room);
	buf_put(&grown, buf_bytes(buf));
	if (grown.err == OK) {
		buf_wipe(buf);
		*buf = grown;
	} else {
		buf->err = grown.err;
		buf_release(&grown);
	}
}

void buf_put_clean(struct buf *buf, struct bytes bytes)
{
	if (buf->err == OK && buf->capacity - buf->size < bytes.size + 1)
		grow_clean(buf, bytes.size);
	buf_put(buf, bytes);
}

void buf_put_str(struct buf *buf, const char *text)
{
	buf_put(buf, bytes_str(text));
}

void buf_put_u8(struct buf *buf, uint8_t v)
{
	buf_put(buf, bytes_make(&v, 1));
}

void buf_put_u16be(struct buf *buf, uint16_t v)
{
	uint8_t b[2];

	put_u16be(b, v);
	buf_put(buf, BYTES_ARRAY(b));
}

void buf_put_u32be(struct buf *buf, uint32_t v)
{
	uint8_t b[4];

	put_u32be(b, v);
	buf_put(buf, BYTES_ARRAY(b));
}

void buf_put_u64be(struct buf *buf, uint64_t v)
{
	uint8_t b[8];

	put_u64be(b, v);
	buf_put(buf, BYTES_ARRAY(b));
}

void buf_put_zeros(struct buf *buf, size_t count)
{
	uint8_t *to = buf_reserve(buf, count);

	if (to == NULL)
		return;
	memset(to, 0, count);
	buf->size += count;
}

void buf_put_lv16(struct buf *buf, struct bytes bytes)
{
	if (buf->err != OK)
		return;
	/* All or nothing, so that a failed put leaves no length without its field. */
	if (bytes.size > UINT16_MAX)
		buf->err = ERR_LIMIT;
	else if (buf_reserve(buf, 2 + bytes.size) != NULL) {
		buf_put_u16be(buf, (uint16_t)bytes.size);
		buf_put(buf, bytes);
	}
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;
	uint8_t *to;
	int size;

	va_start(args, format);
	size = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (size < 0) {
		if (buf->err == OK)
			buf->err = ERR_INVALID;
		return;
	}
	to = buf_reserve(buf, (size_t)size);
	if (to == NULL)
		return;
	va_start(args, format);
	vsnprintf((char *)to, (size_t)size + 1, format, args);
	va_end(args);
	buf->size += (size_t)size;
}

const char *buf_cstr(struct buf *buf)
{
	if (buf->err != OK || buf->data == NULL)
		return "";
	buf->data[buf->size] = '\0';
	return (const char *)buf->data;
}
