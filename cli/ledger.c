/* sauti ledger list | disclose */
#include <stdio.h>

#include "base/buf.h"
#include "base/text.h"
#include "cases/event/event.h"
#include "cli/args.h"
#include "cli/daemon.h"
#include "cli/export.h"
#include "cli/output.h"

static enum err take_since(
	struct cli *cli, const struct cli_args *args, uint64_t *ret, struct errctx *ctx)
{
	const char *date = args_option(args, "since");
	char text[32];

	if (date == NULL)
		return OK;
	snprintf(text, sizeof(text), "%.10sT00:00:00Z", date);
	if (strlen(date) != 10 || event_time_parse(bytes_str(text), ret) != OK)
		return cli_usage(cli, ctx, "--since is a day: YYYY-MM-DD");
	return OK;
}

static void put_list(struct buf *out, const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) if (json_is_string(item))
		buf_printf(out, "%s%s", i == 0 ? "" : ", ", json_string_value(item));
}

/* What it is about, in one line: the case, how many, groups, the file. */
static const char *what(json_t *event, struct buf *out)
{
	struct output_buffer b;
	const char *code = output_member(event, "code", &b);

	buf_clear(out);
	if (code[0] != '\0')
		buf_printf(out, "%s: ", code);
	else if (json_object_get(event, "case") != NULL)
		buf_printf(out, "%s: ", output_member(event, "case", &b));
	if (json_object_get(event, "case_count") != NULL)
		buf_printf(out, "%llu case(s) as %s: ",
			(unsigned long long)output_number(event, "case_count"),
			output_member(event, "format", &b));
	put_list(out, json_object_get(event, "groups"));
	if (json_object_get(event, "stage") != NULL) { /* of KEYS_ERASED */
		buf_printf(out, "%s, %zu keys", output_member(event, "stage", &b),
			json_array_size(json_object_get(event, "key_ids")));
		if (json_object_get(event, "by") != NULL)
			buf_printf(out, ", ordered by %s", output_member(event, "by", &b));
	}
	if (json_object_get(event, "file_hash") != NULL)
		buf_printf(out, "; sha256 %s", output_member(event, "file_hash", &b));
	return buf_cstr(out);
}

static void print_events(json_t *events)
{
	struct buf out;
	json_t *event;
	size_t i;

	buf_init(&out, 64 * 1024);
	json_array_foreach(events, i, event)
	{
		struct output_buffer b;

		printf("%s  ", output_time(event, "recorded_at", &b));
		output_text(stdout, output_member(event, "type", &b), false);
		printf("  ");
		output_text(stdout, output_member(event, "recorded_by", &b), false);
		printf("  ");
		output_text(stdout, what(event, &out), false);
		if (json_object_get(event, "purpose") != NULL) {
			printf("  (");
			output_text(stdout, output_member(event, "purpose", &b), false);
			putchar(')');
		}
		putchar('\n');
	}
	buf_release(&out);
}

static enum err run_list(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__LedgerListRequest list = SAUTI__LEDGER_LIST_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *events = NULL;
	uint64_t left_out;

	TRY(take_since(cli, args, &list.since, ctx));
	list.views = args_flag(args, "views");
	list.node = (char *)(args_option(args, "node") == NULL ? "" : args_option(args, "node"));
	if (list.views && list.node[0] != '\0')
		return cli_usage(cli, ctx, "--views are the node's own: no other has them");
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_LEDGER_LIST;
	request.ledger_list = &list;
	TRY(daemon_list(cli, &request, &events, ctx));
	left_out = output_number(json_array_get(events, 0), "left_out");
	json_array_remove(events, 0);
	if (left_out > 0)
		cli_note(cli, "%llu events of the ledger cannot be read",
			(unsigned long long)left_out);
	if (cli->json)
		output_json(events);
	else
		print_events(events);
	return OK;
}

static enum err run_disclose(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__LedgerDiscloseRequest disclose = SAUTI__LEDGER_DISCLOSE_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *head = NULL;
	const char *out = args_option(args, "out"), *to = args_option(args, "to");
	const char *purpose = args_option(args, "purpose");
	struct output_buffer hash, ledger;

	if (out == NULL || out[0] == '\0' || to == NULL || to[0] == '\0' || purpose == NULL ||
		purpose[0] == '\0')
		return cli_usage(cli, ctx, "--out, --to and --purpose are needed");
	disclose.to = (char *)to;
	disclose.purpose = (char *)purpose;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_LEDGER_DISCLOSE;
	request.ledger_disclose = &disclose;
	TRY(export_fetch(cli, &request, out, &head, ctx));
	if (cli->json) {
		output_json(head);
		return OK;
	}
	printf("disclosed: %llu entries, the consents of %llu cases among them\nsha256  %s\nledger "
	       " %s at %llu\n",
		(unsigned long long)output_number(head, "entries"),
		(unsigned long long)output_number(head, "cases"),
		output_member(head, "file_hash", &hash), output_member(head, "ledger", &ledger),
		(unsigned long long)output_number(head, "ledger_index"));
	return OK;
}

static const struct cli_option disclose_options[] = {
	{"out", "FILE", "the file, which is not there yet", false},
	{"to", "WHOM", "who is to check it; stands in the ledger", false},
	{"purpose", "TEXT", "what for; stands in the ledger, so name nobody", false},
	{0},
};

static const struct cli_option list_options[] = {
	{"views", NULL, "also who looked at which case", false},
	{"node", "NAME", "another node's ledger, at a node of an auditor that has its key", false},
	{"since", "DATE", "from that day on (UTC): YYYY-MM-DD", false},
	{0},
};

const struct cli_command ledger_commands[] = {
	{"ledger", "list", "", "what was granted, erased and exported, and who looked at what",
		"The ledger is the node's own: it writes it, nobody else. Each event stands in "
		"the\n"
		"node's log, at the place that --json shows.",
		0, 0, list_options, run_list},
	{"ledger", "disclose", "", "the ledger and the consents it cites, for whoever checks them",
		"Opens the ledger, but not who looked at what, and of each case that a grant on a "
		"consent\n"
		"is about the data group of consents: no name, no event. What comes later stays "
		"closed.\n"
		"'sauti audit grants' checks the file against an export of this node's log.",
		0, 0, disclose_options, run_disclose},
	{0},
};
