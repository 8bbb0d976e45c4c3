#include "base/cursor.h"

struct bytes cursor_take(struct cursor *cursor, size_t size)
{
	struct bytes taken;

	if (cursor->err == OK && size > cursor->rest.size)
		cursor->err = ERR_MALFORMED;
	if (cursor->err != OK)
		return BYTES_NONE;
	taken = bytes_make(cursor->rest.data, size);
	if (size > 0) {
		cursor->rest.data += size;
		cursor->rest.size -= size;
	}
	return taken;
}

uint8_t cursor_u8(struct cursor *cursor)
{
	struct bytes b = cursor_take(cursor, 1);

	return b.size == 1 ? b.data[0] : 0;
}

uint16_t cursor_u16be(struct cursor *cursor)
{
	struct bytes b = cursor_take(cursor, 2);

	return b.size == 2 ? get_u16be(b.data) : 0;
}

uint32_t cursor_u32be(struct cursor *cursor)
{
	struct bytes b = cursor_take(cursor, 4);

	return b.size == 4 ? get_u32be(b.data) : 0;
}

uint64_t cursor_u64be(struct cursor *cursor)
{
	struct bytes b = cursor_take(cursor, 8);

	return b.size == 8 ? get_u64be(b.data) : 0;
}

struct bytes cursor_lv16(struct cursor *cursor)
{
	size_t size = cursor_u16be(cursor);

	return cursor_take(cursor, size);
}

struct bytes cursor_until(struct cursor *cursor, uint8_t delimiter)
{
	const uint8_t *end = NULL;
	struct bytes taken;

	if (cursor->err != OK)
		return BYTES_NONE;
	if (cursor->rest.size > 0)
		end = memchr(cursor->rest.data, delimiter, cursor->rest.size);
	if (end == NULL) {
		cursor->err = ERR_MALFORMED;
		return BYTES_NONE;
	}
	taken = cursor_take(cursor, (size_t)(end - cursor->rest.data));
	(void)cursor_take(cursor, 1);
	return taken;
}

bool cursor_skip(struct cursor *cursor, struct bytes prefix)
{
	if (cursor->err != OK || prefix.size > cursor->rest.size ||
		!bytes_equal(bytes_make(cursor->rest.data, prefix.size), prefix))
		return false;
	(void)cursor_take(cursor, prefix.size);
	return true;
}

void cursor_copy(struct cursor *cursor, void *out, size_t size)
{
	struct bytes b = cursor_take(cursor, size);

	if (size == 0)
		return;
	if (b.size == size)
		memcpy(out, b.data, size);
	else
		memset(out, 0, size);
}

enum err cursor_finish(const struct cursor *cursor)
{
	if (cursor->err != OK)
		return cursor->err;
	return cursor->rest.size == 0 ? OK : ERR_MALFORMED;
}
