#include "cli/wait.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/args.h"
#include "cli/daemon.h"
#include "cli/output.h"

enum { LEVEL_HELD = 2, LEVEL_SAFE = 3, SLICE_MS = LIMIT_WAIT_MS };

/* ---- options ---- */

static bool read_duration(const char *text, uint32_t *ret_ms)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t number, unit = strcmp(text + digits, "s") == 0   ? 1000
				: strcmp(text + digits, "m") == 0 ? 60 * 1000
								  : 0;

	if (unit == 0 || decimal_parse(bytes_make(text, digits), WAIT_MAX_MS, &number) != OK ||
		number == 0 || number * unit > WAIT_MAX_MS)
		return false;
	*ret_ms = (uint32_t)(number * unit);
	return true;
}

enum err wait_options(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	static const char *const levels[] = {"durable", "held", "safe"};
	const char *level = args_option(args, "wait"), *timeout = args_option(args, "timeout");
	struct wait *wait = cli->wait;
	size_t i = 0;

	if (strcmp(args->command->noun, "case") != 0)
		return OK;
	wait->timeout_ms = WAIT_DEFAULT_MS;
	snprintf(wait->timeout, sizeof(wait->timeout), "60 s");
	if (level == NULL && timeout != NULL)
		return cli_usage(cli, ctx, "--timeout goes with --wait");
	if (level == NULL)
		return OK;
	while (i < 3 && strcmp(levels[i], level) != 0)
		i++;
	if (i == 3)
		return cli_usage(cli, ctx, "--wait is for durable, held or safe");
	wait->level = i == 0 ? 0 : (unsigned)i + 1;
	if (timeout == NULL)
		return OK;
	if (!read_duration(timeout, &wait->timeout_ms))
		return cli_usage(cli, ctx,
			"--timeout is a whole number of seconds or minutes, as 30s or 2m; at most "
			"60m");
	snprintf(wait->timeout, sizeof(wait->timeout), "%.*s %s",
		(int)strspn(timeout, "0123456789"), timeout,
		timeout[strlen(timeout) - 1] == 'm' ? "min" : "s");
	return OK;
}

/* ---- what was recorded ---- */

static void take_state(struct wait *wait, json_t *state)
{
	if (!json_is_object(state))
		return;
	json_decref(wait->state);
	wait->state = json_incref(state);
}

void wait_note(const struct cli *cli, const json_t *answer)
{
	struct output_buffer b;
	const char *log = output_member(answer, "log", &b);
	uint64_t first = output_number(answer, "first"), end = output_number(answer, "end");
	struct wait *wait = cli->wait;

	/* One entry alone, of the ledger. */
	if (json_is_integer(json_object_get(answer, "index"))) {
		first = output_number(answer, "index");
		end = first + 1;
	}
	if (log[0] == '\0' || end == 0)
		return;
	take_state(wait, json_object_get(answer, "state"));
	wait->two_logs |= wait->log[0] != '\0' && strcmp(wait->log, log) != 0;
	if (wait->log[0] == '\0' || first < wait->first)
		wait->first = first;
	if (end > wait->end)
		wait->end = end;
	snprintf(wait->log, sizeof(wait->log), "%.*s", LIMIT_LOG_NAME, log);
}

const char *wait_state(const struct cli *cli)
{
	const char *text = json_string_value(json_object_get(cli->wait->state, "state"));

	return text == NULL ? "there already" : text;
}

void wait_release(struct wait *wait)
{
	json_decref(wait->state);
	*wait = (struct wait){.level = 0};
}

/* ---- what is said when it ends otherwise ---- */

/* "recorded and durable here, held by 1 of 2" */
static void recorded_text(const struct wait *wait, char *ret, size_t size)
{
	struct output_buffer b;
	const char *state = output_member(wait->state, "state", &b);

	if (wait->state == NULL)
		snprintf(ret, size, "recorded and durable here");
	else if (output_number(wait->state, "held_by") == 0)
		snprintf(ret, size, "recorded and durable here, held by 0 of %llu",
			(unsigned long long)output_number(wait->state, "quorum"));
	else
		snprintf(ret, size, "recorded and durable here, %s", state);
}

static const char *level_name(const struct wait *wait)
{
	return wait->level == LEVEL_SAFE ? "safe" : "held";
}

/* Ctrl-C ends the program where it waits. What it says then is ready before. */
static char interrupted[400];
static size_t interrupted_size;

static void on_interrupt(int number)
{
	if (write(STDERR_FILENO, interrupted, interrupted_size) < 0)
		_exit(EXIT_FAILED);
	_exit(EXIT_FAILED);
}

static void prepare_interrupt(const struct cli *cli)
{
	char text[200];
	int n;

	recorded_text(cli->wait, text, sizeof(text));
	n = snprintf(interrupted, sizeof(interrupted),
		cli->json ? "{\"error\":{\"code\":\"canceled\",\"message\":\"%s; no longer waited "
			    "until it is %s\"}}\n"
			  : "\nsauti: %s; no longer waited until it is %s\n",
		text, level_name(cli->wait));
	interrupted_size = n < 0 || (size_t)n >= sizeof(interrupted) ? 0 : (size_t)n;
}

static enum err ended(const struct cli *cli, const json_t *answer, struct errctx *ctx)
{
	const struct wait *wait = cli->wait;
	char text[200];
	struct output_buffer b;
	const char *why = output_member(answer, "why", &b);

	recorded_text(wait, text, sizeof(text));
	if (strcmp(why, "locked") == 0)
		return err_set(ctx, ERR_CANCELED,
			"%s; the node was locked: whether its keys are in escrow is not known",
			text);
	if (strcmp(why, "log") == 0)
		return err_set(ctx, ERR_CANCELED,
			"%s; the node's log has been replaced meanwhile: see 'sauti status'", text);
	return err_set(
		ctx, ERR_TIMEOUT, "%s; not %s after %s", text, level_name(wait), wait->timeout);
}

/* ---- waiting ---- */

struct progress {
	const struct cli *cli;
	json_t *last;
	bool shown;
};

static enum err on_answer(void *arg, struct bytes text, struct errctx *ctx)
{
	struct progress *p = arg;
	CLEANUP(daemon_json_release) json_t *json = NULL;
	json_t *state;

	TRY(output_parse(text, &json, ctx));
	state = json_object_get(json, "progress");
	if (state == NULL) {
		json_decref(p->last);
		p->last = json_incref(json);
		return OK;
	}
	take_state(p->cli->wait, state);
	prepare_interrupt(p->cli);
	if (p->cli->json || !isatty(STDERR_FILENO))
		return OK;
	fprintf(stderr, "\r\033[Krecorded; %s; waiting until it is %s ..", wait_state(p->cli),
		level_name(p->cli->wait));
	fflush(stderr);
	p->shown = true;
	return OK;
}

static enum err ask(const struct cli *cli, uint32_t ms, struct progress *p, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__SafeWaitRequest wait = SAUTI__SAFE_WAIT_REQUEST__INIT;

	wait.origin = cli->wait->log;
	wait.first = cli->wait->first;
	wait.end = cli->wait->end;
	wait.level = cli->wait->level;
	wait.timeout_ms = ms;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_SAFE_WAIT;
	request.safe_wait = &wait;
	return daemon_each(cli, &request, on_answer, p, ctx);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The node waits for a slice at most; its answer says why it ended. */
static enum err wait_slices(const struct cli *cli, struct progress *p, struct errctx *ctx)
{
	uint64_t end = now_ms() + cli->wait->timeout_ms;
	struct output_buffer b;

	for (;;) {
		uint64_t now = now_ms(), left = end > now ? end - now : 1;

		TRY(ask(cli, left < SLICE_MS ? (uint32_t)left : SLICE_MS, p, ctx));
		if (p->last == NULL)
			return err_set(ctx, ERR_MALFORMED, "the node's answer is empty");
		if (json_object_get(p->last, "state") != NULL)
			take_state(cli->wait, p->last);
		if (output_true(p->last, "reached"))
			return OK;
		if (strcmp(output_member(p->last, "why", &b), "time") != 0 || now_ms() >= end)
			return ended(cli, p->last, ctx);
	}
}

static enum err wait_it(const struct cli *cli, struct errctx *ctx)
{
	struct sigaction before, ours = {.sa_handler = on_interrupt};
	struct progress p = {.cli = cli};
	struct errctx why = {""};
	char text[200];
	enum err err;

	prepare_interrupt(cli);
	sigaction(SIGINT, &ours, &before);
	err = wait_slices(cli, &p, &why);
	sigaction(SIGINT, &before, NULL);
	if (p.shown)
		fputs("\r\033[K", stderr);
	if (err != OK && p.last != NULL && err != ERR_MALFORMED)
		*ctx = why;
	else if (err != OK) {
		recorded_text(cli->wait, text, sizeof(text));
		err_set(ctx, err, "%s; whether it is %s by now is not known: %s", text,
			level_name(cli->wait), err_message(&why, err));
	}
	json_decref(p.last);
	/* It is recorded: no code says that the node was not reached, or that it refused. */
	return err == OK || err == ERR_TIMEOUT ? err : ERR_CANCELED;
}

enum err wait_end(const struct cli *cli, struct errctx *ctx)
{
	if (cli->wait->level == 0)
		return OK;
	if (cli->wait->two_logs)
		return err_set(ctx, ERR_CANCELED,
			"recorded and durable here; the node has begun another log meanwhile, so "
			"nothing was waited for: see 'sauti status'");
	return wait_it(cli, ctx);
}

enum err wait_report(
	const struct cli *cli, json_t *json, struct errctx *ctx, const char *format, ...)
{
	CLEANUP(daemon_json_release) json_t *document = json;
	enum err err;
	va_list args;

	if (json == NULL)
		return ERR_NOMEM;
	err = wait_end(cli, ctx);
	if (cli->json) {
		if (json_object_set(json, "state",
			    cli->wait->state == NULL ? json_null() : cli->wait->state) != 0)
			return ERR_NOMEM;
		output_json(json);
		return err;
	}
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("%s%s\n", format[strlen(format) - 1] == ' ' ? "" : "; ", wait_state(cli));
	return err;
}
