/*
 * passphrase: how a passphrase gets in: from the first line of a file, from standard input, or from
 * the terminal without echo. Never from the arguments or the environment, which others can see.
 */
#ifndef CLI_PASSPHRASE_H
#define CLI_PASSPHRASE_H

#include "base/secret.h"
#include "cli/cli.h"

#define PASSPHRASE_OPTION                                                                          \
	{                                                                                          \
		"passphrase-file", "FILE",                                                         \
			"read the passphrase from a file's first line ('-': stdin)", false         \
	}

#define NEW_PASSPHRASE_OPTION                                                                      \
	{                                                                                          \
		"new-passphrase-file", "FILE",                                                     \
			"read the new passphrase from a file's first line ('-': stdin)", false     \
	}

/* Asks for `what` when --passphrase-file is not given; twice: a new one, which must be typed the
 * same again. Without a terminal to ask on it is a usage error. ERR_INVALID when it is empty,
 * ERR_LIMIT over LIMIT_PASSPHRASE. */
enum err passphrase_get(struct cli *cli, const struct cli_args *args, const char *what, bool twice,
	struct secret *ret, struct errctx *ctx) MUST_USE;

/* Is there a terminal to ask on, or an option? Otherwise a usage error. */
enum err passphrase_possible(
	struct cli *cli, const struct cli_args *args, struct errctx *ctx) MUST_USE;
/* A new one, typed twice, or of --new-passphrase-file. */
enum err passphrase_get_new(struct cli *cli, const struct cli_args *args, const char *what,
	struct secret *ret, struct errctx *ctx) MUST_USE;

/* Words that are as secret: of --words-file, or typed in one line without echo. */
enum err passphrase_words(struct cli *cli, const struct cli_args *args, const char *what,
	struct secret *ret, struct errctx *ctx) MUST_USE;

#endif
