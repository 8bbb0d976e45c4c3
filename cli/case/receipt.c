/*
 * sauti case receipt: six words by which a victim proves the first contact, and how far they are.
 * Happy path: whatever can fail here fails before the node is asked, since what it answers is
 * recorded for good; the words come, once; they are said, learnt and said back, or they go on a
 * page that has nothing else on it.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cases/receipt/receipt.h"
#include "cli/args.h"
#include "cli/ask.h"
#include "cli/case/case.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "cli/qr.h"
#include "cli/target.h"

enum { PAGE_MAX = 64 * 1024, TRIES = 5 };

struct giving {
	struct cli *cli;
	const struct cli_args *args;
	struct ask ask;
	bool asks;
	char risk_on[11];
	struct target target;
	json_t *answer;
	char words[RECEIPT_TEXT_MAX];
	struct buf page;
};

/* ---- before the node is asked ---- */

static enum err risk_day(struct giving *g, struct errctx *ctx)
{
	bool talked = false;

	TRY(case_day_option(g->cli, g->args, "risk-discussed-on", g->risk_on, ctx));
	if (g->risk_on[0] != '\0')
		return OK;
	if (!g->asks)
		return cli_usage(g->cli, ctx,
			"--paper needs --risk-discussed-on: paper is given only after the risk was "
			"talked about");
	ask_say(&g->ask, TERM_PLAIN,
		"Paper can be found: at a checkpoint, at home, by whoever washes the clothes. It "
		"says no name, but six words on a paper ask for an answer, and whoever finds them "
		"may know what they are.");
	TRY(ask_yes(&g->ask, "Was that talked about today, and is paper wanted all the same?",
		false, &talked, ctx));
	if (!talked)
		return err_set(ctx, ERR_CANCELED,
			"no receipt was given: talk about the risk first, or give the words alone");
	case_today(g->risk_on);
	return OK;
}

static enum err prepare(struct giving *g, struct errctx *ctx)
{
	const char *paper = args_option(g->args, "paper");
	bool said_back = paper == NULL && !args_flag(g->args, "yes");

	if (paper == NULL && args_option(g->args, "risk-discussed-on") != NULL)
		return cli_usage(g->cli, ctx, "--risk-discussed-on is for --paper");
	if (paper != NULL && paper[0] == '\0')
		return cli_usage(g->cli, ctx, "--paper needs the name of a file");
	if (said_back || (paper != NULL && ask_possible(g->args))) {
		TRY(ask_open(g->cli, g->args, "--yes gives the words without having them said back",
			&g->ask, ctx));
		g->asks = true;
	}
	if (paper == NULL)
		return said_back && g->cli->json
			       ? cli_usage(g->cli, ctx, "--json needs --yes, or --paper")
			       : OK;
	TRY(risk_day(g, ctx));
	g->target.path = strcmp(paper, "-") == 0 ? NULL : paper;
	if (buf_reserve(&g->page, PAGE_MAX) == NULL)
		return g->page.err;
	return target_open(&g->target, ctx);
}

/* ---- the node ---- */

static enum err ask_node(struct giving *g, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseReceiptRequest receipt = SAUTI__CASE_RECEIPT_REQUEST__INIT;
	struct receipt_words words;
	struct output_buffer b;
	enum err err;

	receipt.case_ = (char *)args_at(g->args, 0);
	receipt.medium = (char *)(args_option(g->args, "paper") == NULL ? "WORDS" : "PAPER");
	receipt.risk_discussed_on = g->risk_on;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_RECEIPT;
	request.case_receipt = &receipt;
	TRY(daemon_call(g->cli, &request, &g->answer, NULL, ctx));
	err = receipt_words_parse(bytes_str(output_member(g->answer, "words", &b)), &words, ctx);
	if (err == OK)
		receipt_words_text(&words, g->words);
	wipe(&words, sizeof(words));
	wipe(&b, sizeof(b));
	return err;
}

/* ---- words ---- */

static bool on_screen(const struct giving *g)
{
	return !g->cli->json && isatty(STDOUT_FILENO) == 1;
}

/* They do not stay on a screen. */
static void clear_screen(const struct giving *g)
{
	if (!on_screen(g))
		return;
	fputs("\033[2J\033[3J\033[H", stdout);
	fflush(stdout);
}

static void print_words(const struct giving *g)
{
	if (g->cli->json)
		return;
	printf("\n    %s\n\n", g->words);
	fflush(stdout);
}

static enum err same(struct giving *g, bool *ret, struct errctx *ctx)
{
	struct receipt_words typed;
	char text[RECEIPT_TEXT_MAX];
	enum err err = receipt_words_parse(buf_bytes(&g->ask.line), &typed, ctx);

	*ret = false;
	if (err == OK) {
		receipt_words_text(&typed, text);
		*ret = strcmp(text, g->words) == 0;
	}
	wipe(&typed, sizeof(typed));
	wipe(text, sizeof(text));
	return err;
}

/* What is said back is typed, not what is read. */
static enum err said_back(struct giving *g, struct errctx *ctx)
{
	for (unsigned tries = 0; tries < TRIES; tries++) {
		bool right;

		clear_screen(g);
		ask_say(&g->ask, TERM_PLAIN,
			"Say these words aloud, slowly, until they are known by heart. They are "
			"shown here and never again.");
		print_words(g);
		if (on_screen(g)) {
			TRY(ask_line(&g->ask, "Enter hides them", ctx));
			clear_screen(g);
		}
		TRY(ask_line(&g->ask, "Have them said back, and type what you hear", ctx));
		if (same(g, &right, ctx) != OK)
			ask_say(&g->ask, TERM_BOLD, ctx->text);
		else if (right)
			return OK;
		else
			ask_say(&g->ask, TERM_BOLD,
				"these are not the words, or not in their order: once more");
	}
	return err_set(ctx, ERR_CANCELED, "not said back");
}

static enum err give_words(struct giving *g, struct errctx *ctx)
{
	enum err err = OK;

	if (g->asks)
		err = said_back(g, ctx);
	else
		print_words(g);
	clear_screen(g);
	if (err == OK)
		return OK;
	ctx->text[0] = '\0';
	return err_set(ctx, ERR_CANCELED,
		"the receipt is recorded, but the words were not said back. If they are not known, "
		"they are lost: nobody can tell them again. Give another receipt then, and let "
		"this one be");
}

/* ---- paper ---- */

/* Nothing else is on it: no title, no name, no sign of who made it. */
static enum err write_page(struct giving *g, struct errctx *ctx)
{
	enum err err;

	buf_printf(&g->page,
		"<!DOCTYPE html>\n<html><meta charset=\"utf-8\">\n"
		"<style>body{margin:2cm;font:16pt monospace}</style>\n<p>%s</p>\n",
		g->words);
	err = qr_svg(&g->page, g->words);
	buf_put_str(&g->page, "\n</html>\n");
	if (err == OK)
		err = g->page.err;
	if (err == OK)
		err = target_put(&g->target, buf_bytes(&g->page), ctx);
	if (err == OK)
		err = target_commit(&g->target, ctx);
	if (err == OK)
		return OK;
	return err_set(ctx, err,
		"the receipt is recorded, but its page could not be written: nobody has its words, "
		"and nobody can tell them again. Give another receipt, and let this one be");
}

/* ---- what was given ---- */

static void print_due(const json_t *receipt)
{
	struct output_buffer b;

	if (output_number(receipt, "due_at") != 0)
		printf(", in the log about %s", output_time(receipt, "due_at", &b));
}

static void report(struct giving *g)
{
	if (g->cli->json) {
		if (args_option(g->args, "paper") != NULL)
			json_object_del(g->answer, "words"); /* they are on it */
		output_json(g->answer);
		return;
	}
	if (args_option(g->args, "paper") == NULL || g->target.path != NULL) {
		printf("receipt given, provisional");
		print_due(g->answer);
		putchar('\n');
	}
	if (g->target.path != NULL)
		cli_note(g->cli, "print the page, hand it over, and delete the file: it is all "
				 "that is needed, for whoever has it");
}

static enum err give(struct giving *g, struct errctx *ctx)
{
	TRY(prepare(g, ctx));
	TRY(ask_node(g, ctx));
	if (args_option(g->args, "paper") == NULL)
		TRY(give_words(g, ctx));
	else
		TRY(write_page(g, ctx));
	report(g);
	return OK;
}

/* The texts in a JSON document are its own memory. */
static void wipe_answer(json_t *answer)
{
	const char *words = json_string_value(json_object_get(answer, "words"));

	if (words != NULL)
		wipe((char *)words, strlen(words));
	json_decref(answer);
}

/* ---- status ---- */

enum err case_receipts_ask(
	const struct cli *cli, const char *name, json_t **ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseReceiptsRequest receipts = SAUTI__CASE_RECEIPTS_REQUEST__INIT;

	receipts.case_ = (char *)name;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_RECEIPTS;
	request.case_receipts = &receipts;
	return daemon_list(cli, &request, ret, ctx);
}

static enum err status(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	static const char *const heads[] = {"GIVEN", "AS", "BY", "STATE", "IN THE LOG ABOUT"};
	CLEANUP(daemon_json_release) json_t *list = NULL;
	struct output_table table;
	json_t *receipt;
	enum err err;
	size_t i;

	TRY(case_receipts_ask(cli, args_at(args, 0), &list, ctx));
	if (cli->json) {
		output_json(list);
		return OK;
	}
	output_table_init(&table, heads, sizeof(heads) / sizeof(heads[0]));
	json_array_foreach(list, i, receipt)
	{
		struct output_buffer on, medium, by, state, due;
		const char *cells[] = {output_member(receipt, "given_on", &on),
			output_member(receipt, "medium", &medium),
			output_member(receipt, "by", &by), output_member(receipt, "state", &state),
			output_number(receipt, "due_at") == 0
				? "-"
				: output_time(receipt, "due_at", &due)};

		output_table_add(&table, cells);
	}
	err = table.err;
	if (err == OK && json_array_size(list) > 0)
		output_table_print(&table, stdout);
	output_table_release(&table);
	if (err == OK && json_array_size(list) == 0)
		cli_note(cli, "no receipt was given for this case");
	return err;
}

enum err case_receipt_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	struct giving g = {.cli = cli, .args = args, .target = {.fd = -1}};
	enum err err;

	if (args_flag(args, "status"))
		return status(cli, args, ctx);
	buf_init(&g.page, PAGE_MAX);
	err = give(&g, ctx);
	target_release(&g.target);
	ask_close(&g.ask);
	wipe_answer(g.answer);
	buf_wipe(&g.page);
	wipe(g.words, sizeof(g.words));
	return err;
}

const struct cli_option case_receipt_options[] = {
	{"paper", "FILE", "a page to print, with the words and nothing else", false},
	{"risk-discussed-on", "DAY", "with --paper: when the risk of paper was talked about",
		false},
	{"yes", NULL, "do not have the words said back", false},
	{"ask", NULL, "ask also when answers come from a pipe", false},
	{"status", NULL, "give none: say how far those of the case are", false},
	{0},
};
