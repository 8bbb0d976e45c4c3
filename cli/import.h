/*
 * import: events from JSON lines into the node, in requests of whole lines. Two passes: the daemon
 * checks every line of the input, each as those before it would leave the cases (a trial), before
 * the first is appended, so that a mistake in the last line changes nothing. Events are recognised
 * by event_id: what is there already is counted and left alone, so an interrupted import is simply
 * repeated.
 */
#ifndef CLI_IMPORT_H
#define CLI_IMPORT_H

#include "cli/cli.h"

enum {
	IMPORT_REQUEST_MAX = 900 * 1024,      /* bytes of lines in one request */
	IMPORT_REQUEST_LINES = 2000,          /* and how many */
	IMPORT_STREAM_MAX = 64 * 1024 * 1024, /* of input that cannot be read twice */
};

struct import_counts {
	uint64_t events, added, known;
};

/* path "-": standard input. case_ref (32 hex digits): put into every line without one, and lines
 * with another are refused; NULL: lines are sent as they are. Errors about a line are
 * "FILE:LINE: message". */
enum err import_events(struct cli *cli, const char *path, const char *case_ref,
	struct import_counts *ret, struct errctx *ctx) MUST_USE;

/* One JSON text as one line. */
enum err import_line(const struct cli *cli, struct bytes line, struct import_counts *ret,
	struct errctx *ctx) MUST_USE;

#endif
