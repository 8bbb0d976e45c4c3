/*
 * render: cases as one text for a program or a person: JSON lines, CSV, a page to hand over. Init
 * with options, one call per case, finish: the whole text in a buf with a maximum. Who exports
 * hashes it, writes the export into the ledger, and only then hands it out.
 *
 * JSON lines can be imported again (docs/EVENTS): CASE_OPENED first, then in the order of
 * recording, an event never before those it names; an empty node that imports them has the same
 * timeline. Events of which only parts can be read, or of a type of a later version, stand there
 * too and are counted: an import would refuse them.
 *
 * CSV (RFC 4180, UTF-8 with a mark, CRLF) has one row an event, in the order of the timeline, for
 * spreadsheets. No cell can be taken for a formula, whatever separator the program believes in:
 * behind the beginning of a cell, a separator, a quote or a line break, an apostrophe stands before
 * = + - @ (their wide forms too), TAB and CR. It is not taken back by an import.
 *
 * A hand-over is one page of HTML for a printer or a browser: per case what it is now, what stands
 * open, the consents, and the timeline, newest first, with corrections beside what they strike.
 * Nothing in it runs, nothing is loaded, all text is escaped; text in a script from the right is
 * shown so.
 *
 * Holds plaintext of cases: wiped, also where it moved as it grew. Pure. Not thread-safe.
 */
#ifndef CASES_VIEW_RENDER_H
#define CASES_VIEW_RENDER_H

#include "base/buf.h"
#include "cases/fold/timeline.h"

enum render_format { RENDER_JSONL, RENDER_CSV, RENDER_HANDOVER };
/* "jsonl", "csv", "handover"; false for others. */
bool render_format_find(struct bytes name, enum render_format *ret);
const char *render_format_name(enum render_format format);

struct render_options {
	enum render_format format;
	size_t max; /* bytes of the text and of what is kept until it is finished */
	/* RENDER_CSV: these columns in this order, common members and fields; none: the common
	 * members, then every field that occurs. Borrowed until render_free. */
	const char *const *columns;
	size_t column_count;
	/* RENDER_HANDOVER: the day as YYYY-MM-DD, on which things are open or late; who prints it.
	 * Borrowed until render_free. */
	const char *today, *officer;
};

struct render_case {
	const char *code; /* "" when the case has none that can be read */
	const struct timeline *timeline;
};

struct render_counts {
	uint64_t cases, events;
	uint64_t not_again; /* events that an import would refuse, or take for another's */
};

struct render;

/* ERR_INVALID for a column that is no name of a member; ERR_LIMIT past LIMIT_CSV_COLUMNS;
 * ERR_NOMEM. */
enum err render_new(
	const struct render_options *options, struct render **ret, struct errctx *ctx) MUST_USE;
void render_free(struct render *render); /* wipes; NULL is fine */

/* ERR_LIMIT past the maximum, or for an event of more than RENDER_EVENT_MAX bytes; ERR_NOMEM. After
 * an error only render_free. */
enum { RENDER_EVENT_MAX = 2 * 1024 * 1024 };
enum err render_case(
	struct render *render, const struct render_case *kase, struct errctx *ctx) MUST_USE;

/* The text; inits *ret, which the caller wipes. Once. ERR_LIMIT, ERR_NOMEM. */
enum err render_finish(struct render *render, struct buf *ret, struct errctx *ctx) MUST_USE;
struct render_counts render_counts(const struct render *render);

/* One cell of CSV, made harmless and quoted where it must be. Sticky error in out. */
void render_csv_cell(struct bytes text, struct buf *out);

#endif
