/*
 * import: events from JSON lines into the node, in requests of whole lines. Two passes: the daemon
 * checks every line of the input, each as those before it would leave the cases (a trial), before
 * the first is appended, so that a mistake in the last line changes nothing. Events are recognised
 * by event_id: what is there already is counted and left alone, so an interrupted import is simply
 * repeated.
 */
#ifndef CLI_IMPORT_H
#define CLI_IMPORT_H

#include "base/buf.h"
#include "cli/cli.h"

enum {
	IMPORT_REQUEST_MAX = 900 * 1024,      /* bytes of lines in one request */
	IMPORT_REQUEST_LINES = 2000,          /* and how many */
	IMPORT_STREAM_MAX = 64 * 1024 * 1024, /* of input that cannot be read twice */
};

/* Zeroed, or with what is asked for. */
struct import_counts {
	uint64_t events, added, known;
	bool only_check; /* the second pass is left out: added is what would be */
	/* Each line of the first pass; may be NULL. */
	void (*look)(void *arg, struct bytes line);
	void *arg;
};

/* Lines that stand in memory already, in the order in which they are recorded. */
struct import_source {
	const char *name; /* of the file they come from, for messages */
	size_t count;
	/* Appends the i-th, without a line feed; returns the line of the file to speak of. */
	uint64_t (*get)(const void *arg, size_t i, struct buf *to);
	const void *arg;
};

/* path "-": standard input. case_ref (32 hex digits): put into every line without one, and lines
 * with another are refused; NULL: lines are sent as they are. Errors about a line are
 * "FILE:LINE: message". */
enum err import_events(struct cli *cli, const char *path, const char *case_ref,
	struct import_counts *ret, struct errctx *ctx) MUST_USE;

enum err import_given(struct cli *cli, const struct import_source *source,
	struct import_counts *ret, struct errctx *ctx) MUST_USE;

/* One JSON text as one line. */
enum err import_line(const struct cli *cli, struct bytes line, struct import_counts *ret,
	struct errctx *ctx) MUST_USE;

#endif
