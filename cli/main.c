/*
 * sauti: everything a person can do with a node. Happy path: find the command in the tables, run
 * it, and map its error to one of six exit codes.
 */
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/crypto.h"
#include "cases/event/json_memory.h"
#include "certs/account.h"
#include "cli/args.h"
#include "cli/term.h"
#include "cli/wait.h"

#define DIR_DEFAULT "/var/lib/sauti"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#endif

/* Passphrases and cases pass through here: no core file, and no other process looks in. The leak
 * checker is such a process. */
static void keep_private(void)
{
	const struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
#ifndef SANITIZED
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

enum err cli_usage(struct cli *cli, struct errctx *ctx, const char *format, ...)
{
	char text[sizeof(ctx->text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	cli->usage = true;
	return err_set(ctx, ERR_INVALID, "%s", text);
}

enum err cli_officer(
	struct cli *cli, const struct cli_args *args, const char **ret, struct errctx *ctx)
{
	const char *name = args_option(args, "officer");

	if (name != NULL && !account_name_valid(bytes_str(name)))
		return cli_usage(cli, ctx,
			"'%.80s' is no officer's name: a small letter, then small letters, digits, "
			"dots and hyphens, %d in all",
			name, LIMIT_OFFICER_NAME);
	*ret = name;
	return OK;
}

/* Messages quote what came from elsewhere: controls are made visible, UTF-8 stays. */
static void print_message(const char *text)
{
	for (const char *at = text; *at != '\0'; at++) {
		unsigned char c = (unsigned char)*at;

		if (c < 0x20 || c == 0x7f)
			fprintf(stderr, "\\x%02x", c);
		else
			fputc(c, stderr);
	}
}

/* Jansson takes no text that is not UTF-8: then the bytes are left out. */
static void print_json(json_t *message)
{
	if (message != NULL)
		json_dumpf(message, stderr, JSON_COMPACT);
	fputc('\n', stderr);
	json_decref(message);
}

void cli_note(const struct cli *cli, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (cli->json) {
		print_json(json_pack("{s:s}", "note", text));
		return;
	}
	fputs("sauti: ", stderr);
	print_message(text);
	fputc('\n', stderr);
}

/* On a terminal no word is cut at its edge. */
static void print_for_person(const char *message)
{
	const struct term term = term_of(stderr);

	fputs("sauti: ", stderr);
	if (term.tty) {
		term_wrap(&term, 0, 7, message);
		return;
	}
	print_message(message);
	fputc('\n', stderr);
}

static void print_error(
	const struct cli *cli, const struct cli_args *args, enum err err, const struct errctx *ctx)
{
	const char *message = err_message(ctx, err), *code = cli->usage ? "usage" : err_name(err);

	if (cli->json) {
		json_t *json =
			json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", message);

		if (json == NULL)
			json = json_pack(
				"{s:{s:s, s:s}}", "error", "code", code, "message", err_text(err));
		print_json(json);
		return;
	}
	print_for_person(message);
	if (!cli->usage)
		return;
	if (args->command == NULL)
		fputs("Try 'sauti --help'.\n", stderr);
	else
		fprintf(stderr, "Try 'sauti %s%s%s --help'.\n", args->command->noun,
			args->command->verb == NULL ? "" : " ",
			args->command->verb == NULL ? "" : args->command->verb);
}

static enum exit_code exit_code_of(const struct cli *cli, enum err err)
{
	if (cli->usage)
		return EXIT_USAGE;
	switch (err) {
	case OK:
		return EXIT_OK;
	case ERR_UNREACHABLE:
	case ERR_CLOSED:
		return EXIT_UNREACHABLE;
	case ERR_CORRUPT:
	case ERR_FORK:
	case ERR_PROOF:
		return EXIT_INTEGRITY;
	case ERR_LOCKED:
	case ERR_DENIED:
		return EXIT_REFUSED;
	default:
		return EXIT_FAILED;
	}
}

static enum err run(
	struct cli *cli, int argc, char **argv, struct cli_args *args, struct errctx *ctx)
{
	enum err err = args_parse(cli, argc, argv, args, ctx);

	if (err != OK)
		return err;
	if (args->version) {
		printf("sauti %s\n", SAUTI_VERSION);
		return OK;
	}
	if (args->help) {
		args_help(stdout, args);
		return OK;
	}
	TRY(wait_options(cli, args, ctx));
	TRY(crypto_init());
	err = args->command->run(cli, args, ctx);
	crypto_release();
	return err;
}

static void out_of_memory(void)
{
	fputs("sauti: out of memory\n", stderr);
	_exit(EXIT_FAILED);
}

int main(int argc, char **argv)
{
	const char *dir = getenv("SAUTI_DIR");
	struct wait wait = {.level = 0};
	struct cli cli = {.wait = &wait, .dir = dir != NULL && dir[0] != '\0' ? dir : DIR_DEFAULT};
	static struct cli_args args;
	struct errctx ctx = {""};
	enum err err;

	keep_private();
	signal(SIGPIPE, SIG_IGN);
	json_memory_init(out_of_memory);
	err = run(&cli, argc, argv, &args, &ctx);
	wait_release(&wait);
	/* Data that did not arrive is a failure, whatever the command thinks. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && err == OK)
		err = err_set(&ctx, ERR_IO, "standard output could not be written");
	if (err != OK)
		print_error(&cli, &args, err, &ctx);
	return (int)exit_code_of(&cli, err);
}
