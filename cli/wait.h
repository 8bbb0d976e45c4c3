/*
 * wait: how well what was just recorded is held, and waiting until it is held better: --wait and
 * --timeout of every command that records an event.
 *
 * Whatever comes of the wait, it is recorded, and no message leaves a doubt of that: whoever
 * repeated the command would record it twice.
 */
#ifndef CLI_WAIT_H
#define CLI_WAIT_H

#include <jansson.h>

#include "cli/cli.h"
#include "replication/log/checkpoint.h"

#define WAIT_OPTIONS                                                                               \
	{"wait", "STATE",                                                                          \
		"wait until it is durable (when it is not said), held (by another node) or safe",  \
		false},                                                                            \
	{                                                                                          \
		"timeout", "TIME", "for so long: 30s, 2m; at most 60m (default: 60s)", false       \
	}

enum { WAIT_DEFAULT_MS = 60 * 1000, WAIT_MAX_MS = 60 * 60 * 1000 };

/* Of one run of the program. */
struct wait {
	unsigned level; /* 0: it is durable, and that is enough; 2 held, 3 safe */
	uint32_t timeout_ms;
	char timeout[16]; /* as it was said */
	/* What was recorded: entries of one log, from first to before end. */
	char log[LIMIT_LOG_NAME + 1];
	uint64_t first, end;
	bool two_logs; /* .. the node began another meanwhile */
	json_t *state; /* the newest that is known; NULL: nothing was new */
};

/* --wait and --timeout, of a command that has them. A usage error names what is allowed. */
enum err wait_options(struct cli *cli, const struct cli_args *args, struct errctx *ctx) MUST_USE;
/* The node's answer to something recorded. */
void wait_note(const struct cli *cli, const json_t *answer);
/* Waits as was asked. ERR_TIMEOUT: recorded, and not so well held in that time; other errors say
 * that it is recorded, too. */
enum err wait_end(const struct cli *cli, struct errctx *ctx) MUST_USE;
/* "safe", "held by 1 of 2", "durable here"; "there already" where nothing was new. */
const char *wait_state(const struct cli *cli);

/* What a command says that has recorded something: waits, then prints `json` (taken) with "state",
 * or the text and the state, behind "; " or behind the blank that the text ends with. Errors as
 * wait_end. */
enum err wait_report(const struct cli *cli, json_t *json, struct errctx *ctx, const char *format,
	...) MUST_USE __attribute__((format(printf, 4, 5)));

void wait_release(struct wait *wait);

#endif
