/*
 * args: the command line's own parser, driven by the command tables: options stand anywhere behind
 * the program's name ("--name value" or "--name=value"); "--" ends them. Help comes from the
 * tables.
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stdio.h>

#include "cli/cli.h"

enum { ARGS_MAX = 256 };

struct cli_args {
	const char *positional[ARGS_MAX];
	size_t count;
	struct {
		const char *name, *value;
	} options[ARGS_MAX];
	size_t option_count;
	const char *noun;                  /* as given; NULL: none */
	const struct cli_command *command; /* NULL when only help was asked for */
	bool help, version;
};

/* Finds the command, checks its arguments and options, sets cli's own. Errors are usage errors. */
enum err args_parse(
	struct cli *cli, int argc, char **argv, struct cli_args *ret, struct errctx *ctx) MUST_USE;

/* Help about the command of args, the verbs of its noun, or everything. */
void args_help(FILE *file, const struct cli_args *args);

#endif
