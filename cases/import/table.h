/*
 * table: a register, row by row, into events as JSON lines (docs/IMPORT).
 *
 *	text of the table  --csv-->  rows  --mapping-->  struct event  --schema_check-->  JSON lines
 *
 * Nothing is dropped in silence: a column is mapped or ignored by name; a row that says the same
 * again is counted; one that says something else under the same key is an error.
 *
 * The lines of a case stand together, CASE_OPENED first, then by date and kind, which is also the
 * order of their ids: as they are recorded they will be folded. They carry no case_ref, which is
 * never derived from anything: CASE_OPENED its case_code, the others `case`, and the node knows.
 *
 * event_id: UUIDv7. The time is the day of the event (at least that of the case's CASE_OPENED in
 * this table), rand_a the number of the type (of PERSON_RECORDED 6, of the consents
 * before it one less: a person may say more once there is consent), rand_b 62 bits of SHA-256 over
 * "sauti/1 import" || lv16(register) || lv16(case code) || lv16(section) || lv16(cell) of each key
 * column. So the same row gives the same id, today and after a cut.
 *
 * Pure. Holds plaintext of cases: wiped on release.
 */
#ifndef CASES_IMPORT_TABLE_H
#define CASES_IMPORT_TABLE_H

#include "base/buf.h"
#include "cases/import/findings.h"
#include "cases/import/mapping.h"

struct table_line {
	uint32_t row_line; /* of the table's file */
	uint32_t kase;     /* cases are numbered as they come */
	uint32_t type;
	struct event_id id;
	size_t at, size; /* in text, without a line feed */
};

struct table_lines {
	struct buf text;
	struct table_line *lines;
	size_t count;
	size_t rows, cases;
	size_t repeated; /* events that a row said again, word for word */
};

struct table_input {
	struct bytes text;           /* of the table */
	struct bytes map;            /* of the mapping */
	const char *file, *map_file; /* for messages */
};

/* ERR_INVALID: see errors. ERR_NOMEM. On OK the caller releases *ret. */
enum err table_convert(const struct table_input *input, struct table_lines *ret,
	struct table_findings *errors) MUST_USE;
void table_lines_release(struct table_lines *lines); /* wipes; NULL is fine */

/* A cell as a date, in a format of the mapping or as ISO 8601 ("" format: that alone), moved by
 * days: YYYY-MM-DD, YYYY-MM or YYYY. False for what is no date, or where days are added to less
 * than a day. */
bool table_date(struct bytes cell, struct bytes format, uint32_t days, char ret[11]);

#endif
