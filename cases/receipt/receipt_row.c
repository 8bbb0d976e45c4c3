#include "cases/receipt/receipt_row.h"

#include <string.h>

#include "base/cursor.h"

enum { VERSION = 1, SORT_CLOCK = 4 };

void receipt_row_name(const struct event_id *event, struct row_name *ret)
{
	row_name(ROW_RECEIPT, BYTES_ARRAY(event->b), ret);
}

void receipt_clock_name(struct row_name *ret)
{
	row_name(ROW_RECEIPT, BYTES_NONE, ret);
}

void receipt_row_write(const struct receipt_row *row, struct buf *out)
{
	buf_put_u8(out, VERSION);
	buf_put_u8(out, (uint8_t)row->state);
	buf_put(out, BYTES_ARRAY(row->event.b));
	buf_put_u64be(out, row->state == RECEIPT_CONFIRMED ? 0 : row->made_s);
	if (row->state != RECEIPT_CONFIRMED)
		buf_put(out, BYTES_ARRAY(row->item.b));
	if (row->state != RECEIPT_LOGGED)
		return;
	buf_put_lv16(out, bytes_str(row->origin));
	buf_put_u64be(out, row->index);
}

void receipt_clock_write(const struct receipt_clock_row *row, struct buf *out)
{
	buf_put_u8(out, VERSION);
	buf_put_u8(out, SORT_CLOCK);
	buf_put_u64be(out, row->clock.base_s);
	buf_put_u64be(out, row->clock.delay_s);
	buf_put_u64be(out, row->clock.last_s);
	buf_put_u64be(out, row->clock.furthest_s);
	buf_put_lv16(out, bytes_str(row->origin));
	buf_put_u8(out, row->writing);
	if (!row->writing)
		return;
	buf_put_u64be(out, row->size_before);
	buf_put(out, hash_bytes(&row->body));
}

static void read_origin(struct cursor *cursor, char ret[LIMIT_ORIGIN + 1])
{
	struct bytes text = cursor_lv16(cursor);

	if (text.size > LIMIT_ORIGIN ||
		(text.size > 0 && memchr(text.data, '\0', text.size) != NULL))
		cursor->err = ERR_MALFORMED;
	else if (text.size > 0)
		memcpy(ret, text.data, text.size);
}

enum err receipt_row_read(struct bytes plain, struct receipt_row *ret)
{
	struct cursor cursor = cursor_make(plain);
	struct receipt_row row = {.made_s = 0};

	if (cursor_u8(&cursor) != VERSION)
		return ERR_CORRUPT;
	row.state = (enum receipt_state)cursor_u8(&cursor);
	if (row.state < RECEIPT_WAITING || row.state > RECEIPT_CONFIRMED)
		return ERR_CORRUPT;
	cursor_copy(&cursor, row.event.b, sizeof(row.event.b));
	row.made_s = cursor_u64be(&cursor);
	if (row.state != RECEIPT_CONFIRMED)
		cursor_copy(&cursor, row.item.b, sizeof(row.item.b));
	if (row.state == RECEIPT_LOGGED) {
		read_origin(&cursor, row.origin);
		row.index = cursor_u64be(&cursor);
	}
	if (cursor_finish(&cursor) != OK || (row.state == RECEIPT_CONFIRMED && row.made_s != 0))
		return ERR_CORRUPT;
	*ret = row;
	return OK;
}

enum err receipt_clock_read(struct bytes plain, struct receipt_clock_row *ret)
{
	struct cursor cursor = cursor_make(plain);
	struct receipt_clock_row row = {.writing = false};
	uint8_t writing;

	if (cursor_u8(&cursor) != VERSION || cursor_u8(&cursor) != SORT_CLOCK)
		return ERR_CORRUPT;
	row.clock.base_s = cursor_u64be(&cursor);
	row.clock.delay_s = cursor_u64be(&cursor);
	row.clock.last_s = cursor_u64be(&cursor);
	row.clock.furthest_s = cursor_u64be(&cursor);
	read_origin(&cursor, row.origin);
	writing = cursor_u8(&cursor);
	row.writing = writing == 1;
	if (row.writing) {
		row.size_before = cursor_u64be(&cursor);
		cursor_copy(&cursor, row.body.b, sizeof(row.body.b));
	}
	if (cursor_finish(&cursor) != OK || writing > 1 || row.clock.delay_s > RECEIPT_DELAY_S)
		return ERR_CORRUPT;
	*ret = row;
	return OK;
}
