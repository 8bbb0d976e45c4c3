/* sheet: 'sauti case sheet', a row in the table of cli/case/case.c. */
#ifndef CLI_SHEET_H
#define CLI_SHEET_H

#include "cli/cli.h"

enum err sheet_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx) MUST_USE;
extern const struct cli_option sheet_options_table[];

#define SHEET_COMMAND                                                                              \
	{                                                                                          \
		"case", "sheet", "[CASE]", "a victim's rights in plain words, to take home",       \
			"Ten rights, whom to ask and the next date: nothing on it says what it "   \
			"is "                                                                      \
			"about. With CASE\nthe language and the date come from the case; "         \
			"without, "                                                                \
			"no node is needed.",                                                      \
			0, 1, sheet_options_table, sheet_run                                       \
	}

#endif
