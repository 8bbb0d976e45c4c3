/* sauti case export: cases as a file, once the export is in the node's ledger. */
#ifndef CLI_EXPORT_H
#define CLI_EXPORT_H

#include "cli/args.h"

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
