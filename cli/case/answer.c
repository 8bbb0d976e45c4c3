/* sauti case answer: to a referral or a transfer that another office shared. */
#include <stdio.h>
#include <string.h>

#include "cases/schema/codes.h"
#include "cli/case/case.h"
#include "cli/case/view.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "cli/share.h"
#include "cli/wait.h"

const struct cli_option answer_options_table[] = {
	{"accept", NULL, "the answer is yes", false},
	{"decline", NULL, "the answer is no", false},
	{"reason", "CODE", "why a referral is declined: 'sauti case types answer'", false},
	{"referral", "ID", "which referral, as R-1 (default: the only one without an answer)",
		false},
	{"transfer", NULL, "the transfer, not a referral", false},
	{"on", "DATE", "when it was answered (default: today)", false},
	{"officer", "NAME", "who records it (default: whose session it is)", false},
	{"office", "CODE", "the event's office (default: the node's country)", false},
	WAIT_OPTIONS,
	{0},
};

/* The only one that waits for an answer. */
static enum err only(const struct case_view *view, enum item_kind kind, const char *what,
	const char **ret, struct errctx *ctx)
{
	struct item_view item;
	size_t count = 0;

	for (size_t i = 0; case_state_item(view->state, kind, i, &item); i++) {
		bool waits = kind == ITEM_REFERRAL ? item.open && item.unanswered
						   : strcmp(item.status, "OFFERED") == 0;

		if (waits && ++count == 1)
			*ret = item.id;
	}
	if (count == 0)
		return err_set(ctx, ERR_NOTFOUND,
			"no %s of this case waits for an answer, as far as this office was given "
			"it",
			what);
	return count == 1 ? OK
			  : err_set(ctx, ERR_INVALID, "%zu of them wait for an answer: say which",
				    count);
}

static enum err make_referral(struct cli *cli, const struct cli_args *args,
	const struct case_view *view, json_t **ret, struct errctx *ctx)
{
	const char *id = args_option(args, "referral"), *reason = args_option(args, "reason");
	const struct code *code = NULL;

	if (reason != NULL) {
		code = code_guess(code_list_find(bytes_str("decline_reasons")), bytes_str(reason));
		if (code == NULL)
			return cli_usage(cli, ctx, "--reason: 'sauti case types answer' has them");
	}
	if (id == NULL)
		TRY(only(view, ITEM_REFERRAL, "referral", &id, ctx));
	*ret = json_pack("{s:s,s:s,s:s,s:s}", "type", "REFERRAL_ANSWERED", "case_ref", view->ref,
		"referral_id", id, "answer", args_flag(args, "accept") ? "ACCEPTED" : "DECLINED");
	if (*ret != NULL && code != NULL)
		json_object_set_new(*ret, "decline_reason", json_string(code->name));
	return *ret == NULL ? ERR_NOMEM : OK;
}

static enum err make_transfer(
	const struct cli_args *args, const struct case_view *view, json_t **ret, struct errctx *ctx)
{
	const char *to = NULL;

	TRY(only(view, ITEM_TRANSFER, "transfer", &to, ctx));
	*ret = json_pack("{s:s,s:s,s:s,s:s}", "type", "TRANSFER_ANSWERED", "case_ref", view->ref,
		"to_office", to, "answer", args_flag(args, "accept") ? "ACCEPTED" : "DECLINED");
	return *ret == NULL ? ERR_NOMEM : OK;
}

static enum err put_day(
	struct cli *cli, const struct cli_args *args, json_t *event, struct errctx *ctx)
{
	char day[11];

	TRY(case_day_option(cli, args, "on", day, ctx));
	if (day[0] == '\0')
		case_today(day);
	return json_object_set_new(event, "occurred_on", json_string(day)) == 0 ? OK : ERR_NOMEM;
}

enum err case_answer_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(case_view_release) struct case_view view = {0};
	CLEANUP(daemon_json_release) json_t *event = NULL;
	struct import_counts counts = {0};

	if (args_flag(args, "accept") == args_flag(args, "decline"))
		return cli_usage(cli, ctx, "say one of --accept and --decline");
	TRY(case_view_load(cli, args_at(args, 0), &view, ctx));
	if (args_flag(args, "transfer"))
		TRY(make_transfer(args, &view, &event, ctx));
	else
		TRY(make_referral(cli, args, &view, &event, ctx));
	TRY(put_day(cli, args, event, ctx));
	TRY(case_event_common(cli, args, event, ctx));
	TRY(case_event_append(cli, event, &counts, ctx));
	return wait_report(cli, case_counts_json(&counts), ctx,
		"%s: the office that asked will read it",
		args_flag(args, "accept") ? "accepted" : "declined");
}
