#include "cases/keys/revealed.h"

#include "base/cursor.h"

enum { VERSION = 1 };

void revealed_id(const struct seal_reveal *p, struct hash *ret)
{
	sha256(BYTES_ARRAY(p->b), ret);
}

void revealed_row_name(const struct hash *id, struct row_name *ret)
{
	row_name(ROW_REVEALED, hash_bytes(id), ret);
}

void revealed_write(const struct revealed *revealed, struct buf *out)
{
	buf_put_u8(out, VERSION);
	buf_put(out, hash_bytes(&revealed->id));
	buf_put(out, BYTES_ARRAY(revealed->kid.b));
	buf_put(out, hash_bytes(&revealed->leaf));
	buf_put(out, BYTES_ARRAY(revealed->case_ref.b));
	buf_put(out, BYTES_ARRAY(revealed->event_id.b));
	buf_put_u8(out, (uint8_t)revealed->group);
	buf_put_u64be(out, revealed->index);
	buf_put_lv16(out, bytes_str(revealed->origin));
	buf_put_u64be(out, revealed->at_s);
	buf_put_lv16(out, bytes_str(revealed->to));
}

static void read_text(struct cursor *cursor, char *ret, size_t size)
{
	struct bytes text = cursor_lv16(cursor);

	if (text.size >= size || memchr(text.data, '\0', text.size) != NULL)
		cursor->err = ERR_MALFORMED;
	else
		memcpy(ret, text.data, text.size);
}

enum err revealed_read(struct bytes plain, struct revealed *ret)
{
	struct cursor cursor = cursor_make(plain);
	struct revealed r = {.at_s = 0};

	if (cursor_u8(&cursor) != VERSION)
		return ERR_CORRUPT;
	cursor_copy(&cursor, r.id.b, sizeof(r.id.b));
	cursor_copy(&cursor, r.kid.b, sizeof(r.kid.b));
	cursor_copy(&cursor, r.leaf.b, sizeof(r.leaf.b));
	cursor_copy(&cursor, r.case_ref.b, sizeof(r.case_ref.b));
	cursor_copy(&cursor, r.event_id.b, sizeof(r.event_id.b));
	r.group = (enum group)cursor_u8(&cursor);
	r.index = cursor_u64be(&cursor);
	read_text(&cursor, r.origin, sizeof(r.origin));
	r.at_s = cursor_u64be(&cursor);
	read_text(&cursor, r.to, sizeof(r.to));
	if (cursor_finish(&cursor) != OK || r.group == GROUP_NONE || (int)r.group > GROUP_LAST)
		return ERR_CORRUPT;
	*ret = r;
	return OK;
}
