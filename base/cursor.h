/*
 * cursor: a bounded reader over borrowed bytes. The error sticks (ERR_MALFORMED when too few
 * bytes are left); after an error every read gives zero or the empty view. Check once, at the end.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include "base/bytes.h"
#include "base/err.h"

struct cursor {
	struct bytes rest;
	enum err err;
};

static inline struct cursor cursor_make(struct bytes bytes)
{
	return (struct cursor){bytes, OK};
}

uint8_t cursor_u8(struct cursor *cursor);
uint16_t cursor_u16be(struct cursor *cursor);
uint32_t cursor_u32be(struct cursor *cursor);
uint64_t cursor_u64be(struct cursor *cursor);
struct bytes cursor_take(struct cursor *cursor, size_t size);
struct bytes cursor_lv16(struct cursor *cursor); /* u16be length, then that many bytes */
/* Up to the delimiter, which is consumed and not returned; ERR_MALFORMED when there is none. */
struct bytes cursor_until(struct cursor *cursor, uint8_t delimiter);
/* Takes the prefix if it is there and says so; no error otherwise. */
bool cursor_skip(struct cursor *cursor, struct bytes prefix);
void cursor_copy(struct cursor *cursor, void *out, size_t size); /* zeroes out on error */
/* The sticky error, or ERR_MALFORMED when bytes are left over. */
enum err cursor_finish(const struct cursor *cursor) MUST_USE;

#endif
