/*
 * libcsv gives cells and ends of rows as it comes to them, and knows no lines: the text is handed
 * to it line by line, so that a row that ends is known to have begun behind the last one.
 *
 * Failures: what libcsv calls a parse error is a quote where none may be, or one that never closes;
 * the latter would swallow the rest of the file, and is found by the cap of a cell first.
 */
#include "cases/import/csv.h"

#include <csv.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"

struct reading {
	const struct csv_reader *reader;
	struct csv_parser parser;
	struct buf row; /* whole from the start */
	size_t ends[LIMIT_CSV_COLUMNS];
	size_t count;
	uint32_t line, row_line; /* of what is handed over; where the row began */
	enum err err;
	struct errctx *ctx;
};

/* ---- memory of libcsv: wiped when it is given back, so each block knows its size ---- */

struct head {
	_Alignas(max_align_t) size_t size;
};

static void block_free(void *pointer)
{
	struct head *head = pointer;

	if (head == NULL)
		return;
	head--;
	wipe(pointer, head->size);
	mem_free(head);
}

static void *block_resize(void *pointer, size_t size)
{
	struct head *old = pointer, *head;

	head = size > SIZE_MAX / 2 ? NULL : mem_alloc(sizeof(*head) + size);
	if (head == NULL)
		return NULL;
	head->size = size;
	if (old != NULL) {
		old--;
		memcpy(head + 1, pointer, old->size < size ? old->size : size);
		block_free(pointer);
	}
	return head + 1;
}

/* ---- rows ---- */

static void fail(struct reading *reading, enum err err, const char *what)
{
	if (reading->err == OK)
		reading->err = err_set(
			reading->ctx, err, "line %u: %s", (unsigned)reading->row_line, what);
}

static void on_cell(void *cell, size_t size, void *arg)
{
	struct reading *reading = arg;

	if (reading->err != OK)
		return;
	if (size > LIMIT_CSV_CELL) {
		fail(reading, ERR_LIMIT, "a cell of more than 16 KiB");
		return;
	}
	if (reading->count == LIMIT_CSV_COLUMNS) {
		fail(reading, ERR_LIMIT, "more than 512 columns");
		return;
	}
	buf_put(&reading->row, bytes_make(cell, size));
	if (reading->row.err != OK)
		fail(reading, ERR_LIMIT, "a row of more than 64 KiB");
	reading->ends[reading->count++] = reading->row.size;
}

static void on_row(int separator, void *arg)
{
	struct reading *reading = arg;
	struct bytes cells[LIMIT_CSV_COLUMNS];
	size_t at = 0;

	if (reading->err != OK)
		return;
	for (size_t i = 0; i < reading->count; i++) {
		cells[i] = bytes_make(reading->row.data + at, reading->ends[i] - at);
		at = reading->ends[i];
	}
	reading->err = reading->reader->row(reading->reader->arg,
		&(struct csv_row){cells, reading->count, reading->row_line}, reading->ctx);
	wipe(cells, sizeof(cells));
	wipe(reading->row.data, reading->row.size);
	buf_clear(&reading->row);
	reading->count = 0;
	reading->row_line = reading->line + 1;
}

/* ---- the text ---- */

static int no_space(unsigned char c)
{
	return 0;
}

/* The size of the first line with its end: LF, CRLF, or the CR of old. */
static size_t line_size(struct bytes text)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] == '\n' ||
			(text.data[i] == '\r' && (i + 1 == text.size || text.data[i + 1] != '\n')))
			return i + 1;
	return text.size;
}

static struct bytes behind(struct bytes text, size_t size)
{
	return bytes_make(text.data + size, text.size - size);
}

static bool starts(struct bytes text, const char *with, size_t size)
{
	return text.size >= size && memcmp(text.data, with, size) == 0;
}

/* The separator that the first line has most of, outside of quotes. */
static char detect(struct bytes text)
{
	static const char separators[] = ",;\t";
	size_t counts[3] = {0}, size = line_size(text), best = 0;
	bool quoted = false;

	for (size_t i = 0; i < size; i++) {
		const char *found = strchr(separators, (char)text.data[i]);

		quoted ^= text.data[i] == '"';
		if (!quoted && text.data[i] != 0 && found != NULL)
			counts[found - separators]++;
	}
	for (size_t i = 1; i < 3; i++)
		if (counts[i] > counts[best])
			best = i;
	return separators[best];
}

/* Excel's own first line. */
static bool take_sep(struct bytes *text, char *separator)
{
	size_t size = line_size(*text);

	if (size < 6 || !starts(*text, "sep=", 4) || strchr("\r\n", text->data[5]) == NULL)
		return false;
	if (*separator == 0)
		*separator = (char)text->data[4];
	*text = behind(*text, size);
	return true;
}

static enum err check_text(struct bytes text, struct errctx *ctx)
{
	uint32_t line = 1;

	if (starts(text, "\xff\xfe", 2) || starts(text, "\xfe\xff", 2))
		return err_set(ctx, ERR_MALFORMED,
			"line 1: UTF-16; save the table as \"CSV UTF-8\" instead");
	while (text.size > 0) {
		size_t size = line_size(text);

		if (!utf8_valid(bytes_make(text.data, size)))
			return err_set(ctx, ERR_MALFORMED,
				"line %u: not UTF-8; save the table as \"CSV UTF-8\", or say "
				"'encoding "
				"= windows-1252' in the mapping",
				(unsigned)line);
		if (memchr(text.data, 0, size) != NULL)
			return err_set(ctx, ERR_MALFORMED,
				"line %u: a NUL character; save the table as \"CSV UTF-8\"",
				(unsigned)line);
		text = behind(text, size);
		line++;
	}
	return OK;
}

static void parse_error(struct reading *reading)
{
	switch (csv_error(&reading->parser)) {
	case CSV_EPARSE:
		fail(reading, ERR_MALFORMED,
			"a quotation mark inside a cell that does not begin with one, "
			"or behind its closing one");
		break;
	case CSV_ENOMEM:
	case CSV_ETOOBIG:
		reading->err = ERR_NOMEM;
		break;
	default:
		break;
	}
}

static void feed(struct reading *reading, struct bytes text)
{
	while (text.size > 0 && reading->err == OK) {
		size_t size = line_size(text);

		if (csv_parse(&reading->parser, text.data, size, on_cell, on_row, reading) != size)
			parse_error(reading);
		/* libcsv skips an empty line without a word. */
		if (reading->count == 0 && reading->parser.entry_pos == 0 &&
			!reading->parser.quoted)
			reading->row_line = reading->line + 1;
		if (reading->parser.entry_pos > LIMIT_CSV_CELL)
			fail(reading, ERR_LIMIT,
				"a cell of more than 16 KiB: is a quotation mark never closed?");
		text = behind(text, size);
		reading->line++;
	}
	if (reading->err == OK && csv_fini(&reading->parser, on_cell, on_row, reading) != 0)
		fail(reading, ERR_MALFORMED, "a quotation mark is never closed");
}

enum err csv_read(const struct csv_reader *reader, struct bytes text, struct errctx *ctx)
{
	struct reading reading = {.reader = reader, .line = 1, .row_line = 1, .ctx = ctx};
	char separator = reader->separator;

	if (starts(text, "\xef\xbb\xbf", 3))
		text = behind(text, 3);
	TRY(check_text(text, ctx));
	if (take_sep(&text, &separator))
		reading.line = reading.row_line = 2;
	buf_init(&reading.row, LIMIT_CSV_ROW);
	if (buf_reserve(&reading.row, LIMIT_CSV_ROW) == NULL)
		return ERR_NOMEM;
	if (csv_init(&reading.parser, CSV_STRICT | CSV_STRICT_FINI) != 0) {
		buf_release(&reading.row);
		return ERR_NOMEM;
	}
	csv_set_realloc_func(&reading.parser, block_resize);
	csv_set_free_func(&reading.parser, block_free);
	csv_set_space_func(&reading.parser, no_space);
	csv_set_delim(&reading.parser, (unsigned char)(separator != 0 ? separator : detect(text)));
	feed(&reading, text);
	csv_free(&reading.parser);
	buf_wipe(&reading.row);
	return reading.err;
}

/* ---- code page 1252 ---- */

/* 0x80 to 0x9f; 0 is no character. The others are as in Unicode. */
static const uint16_t windows[32] = {0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
	0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017d, 0, 0, 0x2018, 0x2019, 0x201c, 0x201d,
	0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178};

static void put_point(struct buf *out, uint32_t point)
{
	if (point < 0x80) {
		buf_put_u8(out, (uint8_t)point);
	} else if (point < 0x800) {
		buf_put_u8(out, (uint8_t)(0xc0 | point >> 6));
		buf_put_u8(out, (uint8_t)(0x80 | (point & 0x3f)));
	} else {
		buf_put_u8(out, (uint8_t)(0xe0 | point >> 12));
		buf_put_u8(out, (uint8_t)(0x80 | (point >> 6 & 0x3f)));
		buf_put_u8(out, (uint8_t)(0x80 | (point & 0x3f)));
	}
}

enum err csv_from_windows(struct bytes text, struct buf *ret, struct errctx *ctx)
{
	struct buf out;
	uint32_t line = 1;

	buf_init(&out, 3 * text.size + 1);
	if (buf_reserve(&out, 3 * text.size + 1) == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];
		uint32_t point = c >= 0x80 && c < 0xa0 ? windows[c - 0x80] : c;

		if (point == 0 && c != 0) {
			buf_wipe(&out);
			return err_set(ctx, ERR_MALFORMED,
				"line %u: byte 0x%02x is no character of "
				"Windows-1252",
				(unsigned)line, c);
		}
		line += c == '\n';
		put_point(&out, point);
	}
	*ret = out;
	return OK;
}
