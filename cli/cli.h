/*
 * cli: what the files of the command line share: the context of one run, and the table of commands
 * that arguments are read with and help is printed from.
 *
 * Data goes to stdout, messages to stderr as "sauti: where: what". With --json, stdout has JSON,
 * and every message on stderr is one JSON object on one line: {"error":{"code":..,"message":..}} or
 * {"note":..}.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdio.h>

#include "base/err.h"
#include "node/config.h"

enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 3,
	EXIT_INTEGRITY = 4,
	EXIT_REFUSED = 5, /* locked or not permitted */
};

struct cli {
	bool json;
	const char *dir;         /* --dir, $SAUTI_DIR or the default */
	const char *config_file; /* --config; NULL: <dir>/sauti.conf */
	bool usage;              /* the error is about how sauti was called */
	const char *purpose;     /* of looking at a case; NULL: not said */
	const char *ca;          /* whom https is verified with; NULL: whom the system trusts */
	struct wait *wait;       /* cli/wait.h: what was recorded, and what is waited for */
};

struct cli_option {
	const char *name;  /* without the dashes */
	const char *value; /* what it takes, for the help; NULL: a flag */
	const char *help;
	bool repeat;
};

struct cli_args;
struct cli_command {
	const char *noun, *verb;          /* verb NULL: the noun stands alone */
	const char *arguments;            /* "NAME [FILE]" or "" */
	const char *summary;              /* one line */
	const char *details;              /* more lines for its own help; may be NULL */
	unsigned count_min, count_max;    /* of arguments */
	const struct cli_option *options; /* up to one without a name; may be NULL */
	enum err (*run)(struct cli *cli, const struct cli_args *args, struct errctx *ctx);
};

/* What a table cannot say, of few commands; the last has no noun. */
struct cli_extra {
	const char *noun, *verb;
	/* Options that are in no table, each with a value; NULL: no such option. */
	const struct cli_option *(*option)(const char *name, size_t size);
	/* Prints more help, about the arguments given; may be NULL. */
	void (*help)(FILE *file, const struct cli_args *args);
};
extern const struct cli_extra cli_extras[];

/* One table per noun; the last has no noun. */
extern const struct cli_command init_commands[], join_commands[], lock_commands[];
extern const struct cli_command status_commands[], check_commands[], node_commands[];
extern const struct cli_command case_commands[], log_commands[], backup_commands[];
extern const struct cli_command bundle_commands[], mail_commands[], ledger_commands[];
extern const struct cli_command officer_commands[], audit_commands[], recover_commands[],
	packet_commands[], approvals_commands[], receipt_commands[];

/* The n-th argument; NULL when there are fewer. */
const char *args_at(const struct cli_args *args, size_t n);
/* The value of an option; NULL when it was not given. The n-th of a repeated one. */
const char *args_option(const struct cli_args *args, const char *name);
const char *args_option_at(const struct cli_args *args, const char *name, size_t n);
bool args_flag(const struct cli_args *args, const char *name);

/* "sauti was called wrongly": exit code 2 and a hint at --help. Returns ERR_INVALID. */
enum err cli_usage(struct cli *cli, struct errctx *ctx, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* --officer NAME: NULL when it was not given; a usage error when it cannot be an officer's name. */
#define OFFICER_OPTION(help)                                                                       \
	{                                                                                          \
		"officer", "NAME", help, false                                                     \
	}
enum err cli_officer(struct cli *cli, const struct cli_args *args, const char **ret,
	struct errctx *ctx) MUST_USE;

/* A message that is no error, on stderr. */
void cli_note(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
