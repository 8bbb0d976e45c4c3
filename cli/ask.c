#include "cli/ask.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/text.h"

/* Ctrl-C ends a read, and with it the questions. */
static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	interrupted = 1;
}

bool ask_possible(const struct cli_args *args)
{
	return args_flag(args, "ask") || (isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1);
}

enum err ask_open(struct cli *cli, const struct cli_args *args, const char *instead,
	struct ask *ret, struct errctx *ctx)
{
	struct sigaction action = {.sa_handler = on_interrupt};

	if (!ask_possible(args))
		return cli_usage(cli, ctx, "%s", instead);
	*ret = (struct ask){.term = term_of(stderr), .in = STDIN_FILENO};
	ret->echo = isatty(STDIN_FILENO) != 1;
	buf_init(&ret->line, ASK_LINE_MAX);
	if (buf_reserve(&ret->line, ASK_LINE_MAX) == NULL)
		return ret->line.err;
	interrupted = 0;
	sigaction(SIGINT, &action, NULL); /* no SA_RESTART */
	return OK;
}

void ask_close(struct ask *ask)
{
	if (ask->term.file == NULL)
		return;
	buf_wipe(&ask->line);
	signal(SIGINT, SIG_DFL);
	*ask = (struct ask){0};
}

static enum err stopped(struct errctx *ctx)
{
	return err_set(ctx, ERR_CANCELED, "stopped: nothing was recorded");
}

/* Byte by byte: what stands behind the line is for the next question. */
static enum err read_line(struct ask *ask, bool *ret_long, struct errctx *ctx)
{
	*ret_long = false;
	for (;;) {
		uint8_t c;
		ssize_t n = read(ask->in, &c, 1);

		if (interrupted || (n < 0 && errno != EINTR))
			return stopped(ctx);
		if (n < 0)
			continue;
		if (n == 0 && ask->line.size == 0)
			return stopped(ctx);
		if (n == 0 || c == '\n')
			return OK;
		if (ask->line.size == ASK_LINE_MAX)
			*ret_long = true;
		else
			ask->line.data[ask->line.size++] = c;
	}
}

static bool is_text(struct bytes line)
{
	for (size_t i = 0; i < line.size; i++)
		if ((line.data[i] < 0x20 && line.data[i] != '\t') || line.data[i] == 0x7f)
			return false;
	return utf8_valid(line);
}

enum err ask_line(struct ask *ask, const char *prompt, struct errctx *ctx)
{
	bool too_long;
	enum err err;

	term_put(&ask->term, TERM_PLAIN, prompt);
	fputs("> ", ask->term.file);
	fflush(ask->term.file);
	wipe(ask->line.data, ask->line.size);
	ask->line.size = 0;
	err = read_line(ask, &too_long, ctx);
	if (err == OK && ask->line.size > 0 && ask->line.data[ask->line.size - 1] == '\r')
		ask->line.size--;
	/* A terminal has shown what was typed; of a pipe nobody has seen it. */
	if (err != OK || ask->echo)
		fputc('\n', ask->term.file);
	TRY(err);
	if (too_long)
		return err_set(ctx, ERR_LIMIT, "that is too long: at most %d bytes", ASK_LINE_MAX);
	if (!is_text(buf_bytes(&ask->line)))
		return err_set(ctx, ERR_INVALID,
			"there were keys in it that are no text: please type it again");
	return OK;
}

enum err ask_lines(struct ask *ask, const char *prompt, struct errctx *ctx)
{
	CLEANUP(buf_wipe) struct buf all;

	buf_init(&all, ASK_LINE_MAX);
	if (buf_reserve(&all, ASK_LINE_MAX) == NULL)
		return all.err;
	TRY(ask_line(ask, prompt, ctx));
	if (reply_kind(buf_bytes(&ask->line)) != REPLY_VALUE)
		return OK;
	while (ask->line.size > 0) {
		if (all.size > 0)
			buf_put_u8(&all, '\n');
		buf_put(&all, buf_bytes(&ask->line));
		TRY(ask_line(ask, "", ctx));
	}
	if (all.err != OK)
		return err_set(ctx, ERR_LIMIT, "that is too long: at most %d bytes", ASK_LINE_MAX);
	buf_put(&ask->line, buf_bytes(&all));
	return ask->line.err;
}

void ask_say(const struct ask *ask, enum term_style style, const char *text)
{
	term_style(&ask->term, style);
	term_wrap(&ask->term, 0, 0, text);
	if (style != TERM_PLAIN)
		term_style(&ask->term, TERM_PLAIN);
}

enum { CHOICE_INDENT = 5 }; /* " 12  " */

/* "12 by telephone", and "98 declined" for those that have their own number. */
static void choice_text(const struct reply_choices *choices, size_t i, char *ret, size_t size)
{
	const struct reply_choice *choice = &choices->item[i];
	char number[24];
	const char *text = choice->text[0] == '\0' ? choice->name : choice->text;

	snprintf(number, sizeof(number), "%zu", i + 1);
	snprintf(ret, size, "%3s  %s", choice->extra ? choice->name : number, text);
}

static void show_column(const struct ask *ask, const struct reply_choices *choices)
{
	char text[REPLY_TEXT_MAX + 24];

	for (size_t i = 0; i < choices->count; i++) {
		choice_text(choices, i, text, sizeof(text));
		fwrite(text, 1, CHOICE_INDENT, ask->term.file);
		term_wrap(&ask->term, CHOICE_INDENT, CHOICE_INDENT, text + CHOICE_INDENT);
	}
}

void ask_show_choices(const struct ask *ask, const struct reply_choices *choices)
{
	char text[REPLY_TEXT_MAX + 24];
	unsigned wide = 0, rows, columns;

	for (size_t i = 0; i < choices->count; i++) {
		choice_text(choices, i, text, sizeof(text));
		wide = term_columns(text) > wide ? term_columns(text) : wide;
	}
	columns = (ask->term.width - 1) / (wide + 2);
	columns = columns == 0 || choices->count <= 4 ? 1 : columns;
	if (columns == 1) {
		show_column(ask, choices);
		return;
	}
	rows = ((unsigned)choices->count + columns - 1) / columns;
	for (unsigned row = 0; row < rows; row++) {
		for (unsigned column = 0; column < columns; column++) {
			size_t i = column * rows + row;

			if (i >= choices->count)
				continue;
			choice_text(choices, i, text, sizeof(text));
			term_put(&ask->term, TERM_PLAIN, text);
			if (i + rows < choices->count)
				fprintf(ask->term.file, "%*s", (int)(wide + 2 - term_columns(text)),
					"");
		}
		fputc('\n', ask->term.file);
	}
}

static bool worth_asking_again(enum err err)
{
	return err == ERR_INVALID || err == ERR_LIMIT;
}

enum err ask_yes(struct ask *ask, const char *question, bool preset, bool *ret, struct errctx *ctx)
{
	char prompt[200];

	snprintf(prompt, sizeof(prompt), "%s %s ", question, preset ? "[Y/n]" : "[y/N]");
	for (int i = 0; i < ASK_TRIES_MAX; i++) {
		enum err err = ask_line(ask, prompt, ctx);
		uint8_t first;

		if (err != OK && !worth_asking_again(err))
			return err;
		first = ask->line.size == 0 ? (preset ? 'y' : 'n') : ask->line.data[0] | 0x20;
		if (err == OK && (first == 'y' || first == 'n')) {
			*ret = first == 'y';
			return OK;
		}
		ask_say(ask, TERM_PLAIN, "Please answer y or n.");
	}
	return stopped(ctx);
}

enum err ask_choice(struct ask *ask, const char *question, const struct reply_choices *choices,
	size_t *ret, struct errctx *ctx)
{
	struct errctx why = {""};

	ask_say(ask, TERM_BOLD, question);
	ask_show_choices(ask, choices);
	for (int i = 0; i < ASK_TRIES_MAX; i++) {
		enum err err = ask_line(ask, "", ctx);

		if (err == OK)
			err = reply_choose(choices, buf_bytes(&ask->line), ret, &why);
		else if (worth_asking_again(err))
			why = *ctx;
		if (err == OK)
			return OK;
		if (!worth_asking_again(err))
			return err;
		ask_say(ask, TERM_PLAIN, why.text);
	}
	return stopped(ctx);
}
