/* sauti case withdraw: a consent ends, and with it what rests on it. */
#include <stdio.h>
#include <string.h>

#include "cli/case/case.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "cli/share.h"
#include "cli/wait.h"

const struct cli_option withdraw_options_table[] = {
	{"consent", "ID", "which consent, as C-2; 'case show' lists them", false},
	{"keep", NULL, "the victim does not ask the recipients to delete what they have", false},
	{"on", "DATE", "from which day on (default: today)", false},
	{"officer", "NAME", "who records it (default: whose session it is)", false},
	{"office", "CODE", "the event's office (default: the node's country)", false},
	WAIT_OPTIONS,
	{0},
};

static enum err record(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *event = NULL;
	struct import_counts counts = {0};
	char ref[CASE_REF_TEXT + 1], day[11];

	TRY(case_find_ref(cli, args_at(args, 0), ref, ctx));
	TRY(case_day_option(cli, args, "on", day, ctx));
	if (day[0] == '\0')
		case_today(day);
	event = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "type", "CONSENT_WITHDRAWN", "case_ref", ref,
		"occurred_on", day, "effective_at", day, "consent_id", args_option(args, "consent"),
		"data_recall_requested", args_flag(args, "keep") ? "N" : "Y");
	if (event == NULL)
		return ERR_NOMEM;
	TRY(case_event_common(cli, args, event, ctx));
	return case_event_append(cli, event, &counts, ctx);
}

/* Those to whom something may have gone. */
static void leave_received(json_t *all)
{
	struct output_buffer b;

	for (size_t i = json_array_size(all); i > 0; i--)
		if (strcmp(output_member(json_array_get(all, i - 1), "direction", &b), "given") !=
			0)
			json_array_remove(all, i - 1);
}

enum err case_withdraw_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *all = NULL;
	enum err waited;

	if (args_option(args, "consent") == NULL)
		return cli_usage(cli, ctx, "--consent ID says which consent is withdrawn");
	TRY(record(cli, args, ctx));
	waited = wait_end(cli, ctx);
	TRY(share_ask(cli, args_at(args, 0), &all, ctx));
	leave_received(all);
	if (cli->json) {
		output_json(all);
		return waited;
	}
	printf("withdrawn: consent ");
	output_text(stdout, args_option(args, "consent"), false);
	printf("; %s\n", wait_state(cli));
	TRY(share_print(all));
	return waited;
}
