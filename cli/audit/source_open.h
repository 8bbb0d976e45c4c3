/*
 * source_open: what a person names as SOURCE becomes an audit_source: the one place where it is
 * told apart. Each kind has a file of its own, cli/audit/source_KIND.c, and a row in the table.
 *
 *   a directory with exports            source_files.c
 *   a file that begins as a bundle does source_bundle.c
 *   "node", "node:SOCKET"               source_node.c
 *   "http://..", "https://.."           source_http.c
 */
#ifndef CLI_SOURCE_OPEN_H
#define CLI_SOURCE_OPEN_H

#include "cli/cli.h"
#include "replication/audit/source.h"

struct source {
	struct audit_source files;
	void (*close)(void *arg); /* of files.arg; NULL: nothing to close */
};

/* text stays valid until source_close. ERR_NOTFOUND, ERR_INVALID: no such source; errors of the
 * kind. On failure there is nothing to close. */
enum err source_open(
	const struct cli *cli, const char *text, struct source *ret, struct errctx *ctx) MUST_USE;
void source_close(struct source *source); /* zeroed ones are fine */

/* A kind: does the text name one, and open it. */
struct source_kind {
	bool (*is)(const char *text);
	enum err (*open)(
		const struct cli *cli, const char *text, struct source *ret, struct errctx *ctx);
};
extern const struct source_kind source_kind_bundle, source_kind_node, source_kind_http,
	source_kind_files;

#endif
