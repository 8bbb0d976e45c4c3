/*
 * csv: the rows of a table as spreadsheets write it (RFC 4180): comma, semicolon or tab, detected
 * from the first line or given; CRLF or LF; quoted line breaks; the mark that Excel puts before
 * UTF-8; its line "sep=;". The parser is libcsv, used here alone.
 *
 * Refused, with the line: UTF-16; bytes that are not UTF-8 (csv_from_windows first, where that is
 * said); a quote in a cell that is not quoted, or one that is never closed; NUL; a row over
 * LIMIT_CSV_ROW, a cell over LIMIT_CSV_CELL, more than LIMIT_CSV_COLUMNS columns. Cells are given
 * as they stand, blanks included. Empty lines are skipped.
 *
 * Pure. What it keeps of a row is wiped. Errors never quote a cell.
 */
#ifndef CASES_IMPORT_CSV_H
#define CASES_IMPORT_CSV_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

struct csv_row {
	const struct bytes *cells; /* borrowed for the call */
	size_t count;
	uint32_t line; /* of the text, where the row begins; 1-based */
};

struct csv_reader {
	char separator; /* ',', ';', '\t'; 0: detected */
	/* Each row, the head too. Its first error ends the reading and is returned as it is. */
	enum err (*row)(void *arg, const struct csv_row *row, struct errctx *ctx);
	void *arg;
};

/* ERR_MALFORMED, ERR_LIMIT (the text says "line N: .."), ERR_NOMEM, and what row returns. */
enum err csv_read(const struct csv_reader *reader, struct bytes text, struct errctx *ctx) MUST_USE;

/* Text of Windows code page 1252, as older spreadsheets save it, into UTF-8; inits *ret, which the
 * caller wipes. ERR_MALFORMED for the five bytes that are no character; ERR_NOMEM. */
enum err csv_from_windows(struct bytes text, struct buf *ret, struct errctx *ctx) MUST_USE;

#endif
