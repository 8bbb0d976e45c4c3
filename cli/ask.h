/*
 * ask: questions to a person, one line each. On a terminal, or from a pipe that --ask allows; what
 * is said goes to stderr, so that stdout has data alone. Lines that were typed are wiped.
 *
 * The end of the input and an interrupt (Ctrl-C) end the questions with ERR_CANCELED; nothing is
 * lost where the answers were kept (cli/draft.h).
 */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/reply.h"
#include "cli/term.h"

enum { ASK_LINE_MAX = 16 * 1024, ASK_TRIES_MAX = 20 };

struct ask {
	struct term term; /* stderr */
	int in;
	struct buf line; /* the last one, without its end */
	bool echo;       /* input is no terminal: what was read is shown */
};

/* Can somebody be asked? */
bool ask_possible(const struct cli_args *args);
/* ERR_INVALID (a usage error) where nobody can be asked: `instead` says what to do. */
enum err ask_open(struct cli *cli, const struct cli_args *args, const char *instead,
	struct ask *ret, struct errctx *ctx) MUST_USE;
void ask_close(struct ask *ask); /* wipes; zeroed ones are fine */

/* "prompt> " and one line into ask->line. ERR_LIMIT for one that is too long, ERR_INVALID for what
 * is no text; the line was taken in both cases. */
enum err ask_line(struct ask *ask, const char *prompt, struct errctx *ctx) MUST_USE;
/* Lines up to an empty one, put together. */
enum err ask_lines(struct ask *ask, const char *prompt, struct errctx *ctx) MUST_USE;

/* Numbered choices, as many in a row as fit. */
void ask_show_choices(const struct ask *ask, const struct reply_choices *choices);
/* A sentence, wrapped. */
void ask_say(const struct ask *ask, enum term_style style, const char *text);

/* Yes or no; an empty answer is `preset`. */
enum err ask_yes(
	struct ask *ask, const char *question, bool preset, bool *ret, struct errctx *ctx) MUST_USE;
/* One of the choices by number, name or beginning, asked until it is one: its position. */
enum err ask_choice(struct ask *ask, const char *question, const struct reply_choices *choices,
	size_t *ret, struct errctx *ctx) MUST_USE;

#endif
