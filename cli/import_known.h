/*
 * import_known: what a table says again, and otherwise than before. Events are never overwritten:
 * who imports is told, by line and field, and can correct. A row whose date was changed has an id
 * of another time; it is found by the rest of its id and is not recorded a second time.
 *
 * Looks at every case of the table that is there already, as 'case show' does: the node's ledger
 * says so.
 */
#ifndef CLI_IMPORT_KNOWN_H
#define CLI_IMPORT_KNOWN_H

#include "cases/import/table.h"
#include "cli/cli.h"

enum { IMPORT_KNOWN_SHOWN = 50 };

struct import_known {
	uint64_t cases; /* of the table, that are there */
	uint64_t changed;
};

/* Tells of what changed, on stderr, and takes lines off that would be recorded twice. Errors of the
 * daemon's, but for a case that one may not see: there the import itself says it. */
enum err import_known_check(const struct cli *cli, const char *path, struct table_lines *lines,
	struct import_known *ret, struct errctx *ctx) MUST_USE;

#endif
