#include "cases/seal/opened.h"

#include "base/cursor.h"

enum err opened_parse(struct bytes data, struct opened *ret)
{
	struct cursor cursor = cursor_make(data);
	struct opened opened = {.has_p = false};
	uint8_t version = cursor_u8(&cursor), flags = cursor_u8(&cursor);

	if (cursor.err == OK && version != OPENED_VERSION)
		return ERR_VERSION;
	opened.entry = cursor_lv16(&cursor);
	opened.has_p = (flags & OPENED_HAS_P) != 0;
	if (opened.has_p)
		cursor_copy(&cursor, opened.p.b, sizeof(opened.p.b));
	if (cursor_finish(&cursor) != OK || opened.entry.size == 0 || flags > OPENED_HAS_P) {
		wipe(&opened.p, sizeof(opened.p));
		return ERR_MALFORMED;
	}
	*ret = opened;
	wipe(&opened.p, sizeof(opened.p));
	return OK;
}

void opened_write(struct buf *out, const struct opened *opened)
{
	buf_put_u8(out, OPENED_VERSION);
	buf_put_u8(out, opened->has_p ? OPENED_HAS_P : 0);
	buf_put_lv16(out, opened->entry);
	if (opened->has_p)
		buf_put(out, BYTES_ARRAY(opened->p.b));
}
