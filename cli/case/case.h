/*
 * case: the commands on cases, one file each (open.c, add.c ..), and what they share
 * (event.c). What a command says of a case goes over the control socket alone.
 */
#ifndef CLI_CASE_H
#define CLI_CASE_H

#include <jansson.h>

#include "cases/event/event.h"
#include "cli/import.h"

enum { CASE_REF_TEXT = 2 * CASE_REF_SIZE };

/* The case and its events as one document, events in the member `events`. A new reference. */
enum err case_ask(
	const struct cli *cli, const char *name, json_t **ret, struct errctx *ctx) MUST_USE;
/* The cases this node can read: an array. */
enum err case_ask_list(const struct cli *cli, json_t **ret, struct errctx *ctx) MUST_USE;
/* The case_ref of a case by its code, or by itself. */
enum err case_find_ref(const struct cli *cli, const char *name, char ret[CASE_REF_TEXT + 1],
	struct errctx *ctx) MUST_USE;

/* --office, --on, --officer and --language into the event. */
enum err case_event_common(
	struct cli *cli, const struct cli_args *args, json_t *event, struct errctx *ctx) MUST_USE;
/* .. and --field. */
enum err case_event_fields(
	struct cli *cli, const struct cli_args *args, json_t *event, struct errctx *ctx) MUST_USE;
/* Records one event. */
enum err case_event_append(const struct cli *cli, const json_t *event, struct import_counts *ret,
	struct errctx *ctx) MUST_USE;
/* Says what was recorded, and waits if that was asked for (cli/wait.h). */
enum err case_report_counts(
	const struct cli *cli, const struct import_counts *counts, struct errctx *ctx) MUST_USE;
json_t *case_counts_json(const struct import_counts *counts);

/* YYYY-MM-DD, UTC, as nodes count days. */
void case_today(char ret[11]);
/* Has nothing happened on that day yet, wherever the officer is? False for what is no day. */
bool case_day_to_come(const char *day);
/* An option that is a day, in words too; "" when it was not given. */
enum err case_day_option(struct cli *cli, const struct cli_args *args, const char *option,
	char ret[11], struct errctx *ctx) MUST_USE;
enum err case_new_event_id(char ret[EVENT_ID_TEXT + 1]) MUST_USE;
void case_text_free(char *text); /* wipes a JSON text of the schema's; NULL is fine */

/* The commands. */
typedef enum err case_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx);
case_run case_open_run, case_add_run, case_import_run, case_show_run, case_list_run;
case_run case_types_run, case_drafts_run, case_correct_run, case_assign_run, case_close_run,
	case_reopen_run, case_find_run, case_today_run, case_resolve_run;
case_run case_prove_run, case_erase_run, case_hold_run, case_receipt_run;
extern const struct cli_option prove_options[], case_receipt_options[];

/* Receipts of a case, as the node tells how far they are: an array. */
enum err case_receipts_ask(
	const struct cli *cli, const char *name, json_t **ret, struct errctx *ctx) MUST_USE;

/* For the table. */
#define PROVE_COMMAND                                                                              \
	{                                                                                          \
		"case", "prove", "CASE", "prove one entry to somebody who has no key",             \
			"Writes a C2SP .tlog-proof: that the entry stands in this office's log, "  \
			"and "                                                                     \
			"who\ncosigned it. With --open it also shows what that one part says, to " \
			"whom "                                                                    \
			"the victim\nconsented; the ledger has it first, and nothing else is "     \
			"opened. "                                                                 \
			"'sauti audit proof'\nchecks it, without a node.",                         \
			1, 1, prove_options, case_prove_run                                        \
	}
#define RECEIPT_COMMAND                                                                            \
	{                                                                                          \
		"case", "receipt", "CASE",                                                         \
			"give the victim a receipt: six words to know by heart",                   \
			"They prove, at any office and to any auditor, that the record of the "    \
			"first\ncontact exists (sauti receipt check). They are told this once "    \
			"and "                                                                     \
			"kept\nnowhere. By default they are said and learnt; --paper only after "  \
			"the "                                                                     \
			"risk was\ntalked about. Provisional until the daily batch is in the "     \
			"log, "                                                                    \
			"confirmed once\nthe quorum holds it.",                                    \
			1, 1, case_receipt_options, case_receipt_run                               \
	}

#endif
