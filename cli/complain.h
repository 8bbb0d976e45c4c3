/* complain: 'sauti case complain', a row in the table of cli/case/case.c. */
#ifndef CLI_COMPLAIN_H
#define CLI_COMPLAIN_H

#include "cli/cli.h"

enum err complain_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx) MUST_USE;
extern const struct cli_option complain_options_table[];

#define COMPLAIN_COMMAND                                                                           \
	{                                                                                          \
		"case", "complain", "", "record a complaint about staff for another node",         \
			"It is sealed to headquarters, or to --to NODE, never to the node of the " \
			"officer it is\nabout; nobody can read it here, from then on. What it "    \
			"says "                                                                    \
			"comes from a file or\nstandard input: other users of this machine can "   \
			"see "                                                                     \
			"arguments.",                                                              \
			0, 0, complain_options_table, complain_run                                 \
	}

#endif
