/* sauti case export: cases as a file, once the export is in the node's ledger. */
#ifndef CLI_EXPORT_H
#define CLI_EXPORT_H

#include "cli/args.h"

#include <jansson.h>

#include "proto/control.pb-c.h"

/* Asks for a file and writes it under `path` (NULL: standard output), which must not be there:
 * 0600, whole, with the hash that the first document of the answer says. *ret_head: that document,
 * a new reference. ERR_EXISTS, ERR_CORRUPT; errors of the node's and of files. */
enum err export_fetch(const struct cli *cli, const Sauti__ControlRequest *request, const char *path,
	json_t **ret_head, struct errctx *ctx) MUST_USE;

extern const struct cli_option export_options[];
enum err export_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx) MUST_USE;

/* For the table of 'sauti case'. */
#define EXPORT_COMMAND                                                                             \
	{                                                                                          \
		"case", "export", "[CASE..]", "write cases into a file, after the ledger knows",   \
			"Without CASE: all cases that you may see. The node writes into its\n"     \
			"ledger who exports what, why, and the hash of the file, and only when\n"  \
			"that is durable the file comes. It is readable by you alone, and what\n"  \
			"happens to it is up to you: it is not sealed any more.",                  \
			0, ARGS_MAX, export_options, export_run                                    \
	}

#endif
