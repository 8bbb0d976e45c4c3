/* share: 'sauti case share', 'shares', 'withdraw' and 'answer', rows in the table of
 * cli/case/case.c. */
#ifndef CLI_SHARE_H
#define CLI_SHARE_H

#include <jansson.h>

#include "cli/cli.h"

/* Who holds what of the case, as the node says once everything is done that is to be done: an
 * array, a new reference. */
enum err share_ask(
	const struct cli *cli, const char *name, json_t **ret, struct errctx *ctx) MUST_USE;
/* As a table, or that nobody holds anything. */
enum err share_print(const json_t *all) MUST_USE;

enum err case_share_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx) MUST_USE;
enum err case_shares_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx) MUST_USE;
enum err case_withdraw_run(
	struct cli *cli, const struct cli_args *args, struct errctx *ctx) MUST_USE;
enum err case_answer_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx) MUST_USE;

extern const struct cli_option share_options_table[], withdraw_options_table[],
	answer_options_table[];

#define SHARE_COMMANDS                                                                             \
	{"case", "share", "CASE", "give another office keys of a case, on a victim's consent",     \
		"Only what a live consent covers: its purpose, its recipients, its data groups; "  \
		"if\nnone does, it says what is missing. The office reads what is recorded from "  \
		"now on,\nwith --history also what was recorded before. Without --groups it gets " \
		"what the\nconsent names. It ends with the consent, or on the day of --until.",    \
		1, 1, share_options_table, case_share_run},                                        \
		{"case", "shares", "CASE",                                                         \
			"who holds keys of a case, and what this office was "                      \
			"given of it",                                                             \
			"waiting: not sent yet. sent: on its way. taken: the other office has "    \
			"it. refused:\nit did not take it. revoked: it gets nothing that is "      \
			"recorded from then on.",                                                  \
			1, 1, NULL, case_shares_run},                                              \
		{"case", "withdraw", "CASE", "a victim takes a consent back",                      \
			"Whoever was given keys on that consent alone gets no more: what is "      \
			"recorded from\nnow on is sealed under new keys. It prints who held "      \
			"them.",                                                                   \
			1, 1, withdraw_options_table, case_withdraw_run},                          \
	{                                                                                          \
		"case", "answer", "CASE",                                                          \
			"answer a referral or a transfer that another office shared",              \
			"--accept or --decline. The answer is recorded here, and the office that " \
			"asked reads\nit. --referral says which, when several are open; "          \
			"--transfer answers the transfer.",                                        \
			1, 1, answer_options_table, case_answer_run                                \
	}

#endif
