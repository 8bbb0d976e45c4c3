#include "cli/approvals.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cases/packet/packet.h"
#include "cli/args.h"
#include "cli/daemon.h"
#include "cli/export.h"
#include "cli/output.h"
#include "cli/packet.h"

enum { ASK_MAX = 8 };

/* --- the list --- */

static enum err ask_list(const struct cli *cli, json_t **ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__ApprovalListRequest list = SAUTI__APPROVAL_LIST_REQUEST__INIT;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_APPROVAL_LIST;
	request.approval_list = &list;
	return daemon_list(cli, &request, ret, ctx);
}

static void groups_text(const json_t *item, char *ret, size_t size)
{
	const json_t *groups = json_object_get(item, "groups"), *group;
	size_t i, at = 0;

	ret[0] = '\0';
	json_array_foreach(groups, i, group) if (at < size) at +=
		(size_t)snprintf(ret + at, size - at, "%s%s", i == 0 ? "" : ",",
			json_is_string(group) ? json_string_value(group) : "?");
}

static void print_one(const json_t *item)
{
	struct output_buffer b;
	const char *from = output_member(item, "from", &b);
	char groups[160];

	printf("%.8s  ", output_member(item, "opening", &b));
	output_text(stdout, output_member(item, "state", &b), false);
	printf("%s, ", output_true(item, "late") ? " (72 hours are over)" : "");
	if (from[0] != '\0')
		printf("asked by %s", output_member(item, "from", &b));
	else
		printf("case %s", output_member(item, "case", &b));
	groups_text(item, groups, sizeof(groups));
	printf("\n          %s to ",
		strcmp(output_member(item, "kind", &b), "BREAK_GLASS") == 0 ? "keys" : "report");
	output_text(stdout, output_member(item, "to", &b), false);
	printf(": %s\n          opened by ", groups);
	output_text(stdout, output_member(item, "who", &b), false);
	printf(" at %s", output_member(item, "opened_at", &b));
	printf(", until %s\n          why: ", output_member(item, "until", &b));
	output_text(stdout, output_member(item, "reason", &b), false);
	if (output_member(item, "legal_basis", &b)[0] != '\0') {
		printf("; legal basis: ");
		output_text(stdout, output_member(item, "legal_basis", &b), false);
	}
	if (output_member(item, "decided_by", &b)[0] != '\0') {
		printf("\n          decided by ");
		output_text(stdout, output_member(item, "decided_by", &b), false);
		printf(" at %s", output_member(item, "decided_at", &b));
	}
	if (output_member(item, "victim_told_on", &b)[0] != '\0')
		printf("\n          the victim was told on %s",
			output_member(item, "victim_told_on", &b));
	printf("\n");
}

static enum err list_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *list = NULL;
	const json_t *item;
	size_t i;

	TRY(ask_list(cli, &list, ctx));
	if (cli->json) {
		output_json(list);
		return OK;
	}
	json_array_foreach(list, i, item) print_one(item);
	if (json_array_size(list) == 0)
		printf("Nothing was opened without consent, and nobody asks.\n");
	return OK;
}

void approvals_print_case(const json_t *doc)
{
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(doc, "openings"), i, item)
	{
		if (i == 0)
			printf("\nOpened without consent\n");
		print_one(item);
	}
}

/* --- deciding --- */

static enum err decide(
	struct cli *cli, const struct cli_args *args, bool approve, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__ApprovalDecideRequest decision = SAUTI__APPROVAL_DECIDE_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	struct output_buffer b;

	decision.opening = (char *)args_at(args, 0);
	decision.approve = approve;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_APPROVAL_DECIDE;
	request.approval_decide = &decision;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	if (cli->json)
		output_json(answer);
	else if (output_member(answer, "from", &b)[0] != '\0')
		printf("%s; %s is told\n", approve ? "approved" : "refused",
			output_member(answer, "from", &b));
	else
		printf("%s\n", approve ? "approved" : "refused: it is withdrawn");
	return OK;
}

static enum err approve_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	return decide(cli, args, true, ctx);
}

static enum err refuse_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	return decide(cli, args, false, ctx);
}

static enum err told_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__ApprovalToldRequest told = SAUTI__APPROVAL_TOLD_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	char on[11];

	TRY(case_day_option(cli, args, "on", on, ctx));
	if (on[0] == '\0')
		case_today(on);
	told.opening = (char *)args_at(args, 0);
	told.on = on;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_APPROVAL_TOLD;
	request.approval_told = &told;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	if (cli->json)
		output_json(answer);
	return OK;
}

/* --- opening --- */

/* Offices to ask, as given. */
static size_t read_ask(const struct cli_args *args, char *ret[ASK_MAX + 1])
{
	size_t n = 0;
	const char *node;

	while (n <= ASK_MAX && (node = args_option_at(args, "ask", n)) != NULL)
		ret[n++] = (char *)node;
	return n;
}

static void print_opened(const struct cli *cli, const json_t *head)
{
	const json_t *asked = json_object_get(head, "asked"), *node;
	struct output_buffer b;
	size_t i;

	if (cli->json) {
		output_json(head);
		return;
	}
	printf("opening %.8s: a second officer approves it until %s, or it is withdrawn\n",
		output_member(head, "opening", &b),
		json_string_value(json_object_get(head, "until")));
	json_array_foreach(asked, i, node)
		printf("%s%s", i == 0 ? "asked: " : ", ", json_string_value(node));
	printf("%s", json_array_size(asked) > 0
			     ? "\n"
			     : "nobody else could be asked: another officer of this node must\n");
}

enum err case_report_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseReportRequest report = SAUTI__CASE_REPORT_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *head = NULL;
	const char *groups = args_option(args, "groups"), *out = args_option(args, "out");
	char text[256], *names[GROUP_LAST], *ask[ASK_MAX + 1];

	report.authority = (char *)args_option(args, "authority");
	report.legal_basis = (char *)args_option(args, "legal-basis");
	report.reason = (char *)args_option(args, "reason");
	if (report.authority == NULL || report.legal_basis == NULL || report.reason == NULL ||
		groups == NULL || out == NULL)
		return cli_usage(cli, ctx,
			"--authority, --legal-basis, --groups, --reason and --out are needed");
	snprintf(text, sizeof(text), "%s", groups);
	TRY(packet_groups_read(text, names, &report.n_groups, ctx));
	report.case_ = (char *)args_at(args, 0);
	report.groups = names;
	report.victim_told_before = args_flag(args, "victim-told");
	report.n_ask = read_ask(args, ask);
	report.ask = ask;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_REPORT;
	request.case_report = &report;
	TRY(export_fetch(cli, &request, strcmp(out, "-") == 0 ? NULL : out, &head, ctx));
	if (strcmp(out, "-") != 0)
		print_opened(cli, head);
	return OK;
}

enum err case_break_glass_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseBreakGlassRequest opening = SAUTI__CASE_BREAK_GLASS_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *head = NULL;
	const char *groups = args_option(args, "groups");
	char text[256], *names[GROUP_LAST], *ask[ASK_MAX + 1];

	opening.to = (char *)args_option(args, "to");
	opening.reason = (char *)args_option(args, "reason");
	if (opening.to == NULL || opening.reason == NULL || groups == NULL)
		return cli_usage(cli, ctx, "--to, --groups and --reason are needed");
	snprintf(text, sizeof(text), "%s", groups);
	TRY(packet_groups_read(text, names, &opening.n_groups, ctx));
	opening.case_ = (char *)args_at(args, 0);
	opening.groups = names;
	opening.n_ask = read_ask(args, ask);
	opening.ask = ask;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_BREAK_GLASS;
	request.case_break_glass = &opening;
	TRY(daemon_call(cli, &request, &head, NULL, ctx));
	print_opened(cli, head);
	return OK;
}

const struct cli_option case_break_glass_options[] = {
	{"to", "NODE", "the office that gets the keys", false},
	{"groups", "GROUPS", "data groups, as health,protection", false},
	{"reason", "TEXT", "why; stands in the ledger, so name nobody", false},
	{"ask", "NODE", "whose officers are asked to approve (default: headquarters)", true},
	{0},
};

const struct cli_option case_report_options[] = {
	{"authority", "NAME", "to whom", false},
	{"legal-basis", "TEXT", "the law that demands it", false},
	{"groups", "GROUPS", "data groups, as allegation,protection", false},
	{"reason", "TEXT", "why now; stands in the ledger, so name nobody", false},
	{"victim-told", NULL, "the victim was told before", false},
	{"ask", "NODE", "whose officers are asked to approve (default: headquarters)", true},
	{"out", "FILE", "the page, in clear, which is not there yet; '-': standard output", false},
	{0},
};

static const struct cli_option told_options[] = {
	{"on", "DAY", "the day (default: today)", false},
	{0},
};

const struct cli_command approvals_commands[] = {
	{"approvals", "list", "", "what was opened without consent, here or where we are asked",
		NULL, 0, 0, NULL, list_run},
	{"approvals", "approve", "OPENING", "say as a second officer that it was right",
		"OPENING is the beginning of its id. Whoever opened it cannot.", 1, 1, NULL,
		approve_run},
	{"approvals", "refuse", "OPENING", "say that it was not: it is withdrawn", NULL, 1, 1, NULL,
		refuse_run},
	{"approvals", "told", "OPENING", "the victim was told of it", NULL, 1, 1, told_options,
		told_run},
	{0},
};
