/* sauti case share, case shares */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "cli/share.h"
#include "cli/wait.h"

enum { GROUPS_MAX = 16 };

const struct cli_option share_options_table[] = {
	{"to", "NODE", "which office", false},
	{"purpose", "PURPOSE", "what for: REFERRAL, TRANSFER, PATERNITY, INVESTIGATION ..", false},
	{"groups", "A,B", "data groups (default: what the consent names)", false},
	{"history", NULL, "what was recorded before, too", false},
	{"until", "DAY", "the last day (default: that of the consent)", false},
	WAIT_OPTIONS,
	{0},
};

/* "a,b" in place, into a list of views. */
static enum err split(
	struct cli *cli, char *text, char *list[GROUPS_MAX], size_t *ret, struct errctx *ctx)
{
	size_t count = 0;

	for (char *name = text; name != NULL;) {
		char *comma = strchr(name, ',');

		if (comma != NULL)
			*comma = '\0';
		if (count == GROUPS_MAX || name[0] == '\0')
			return cli_usage(cli, ctx, "--groups: names of data groups, with commas");
		list[count++] = name;
		name = comma == NULL ? NULL : comma + 1;
	}
	*ret = count;
	return OK;
}

static void print_list(const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		if (i > 0)
			printf(", ");
		output_text(stdout, json_is_string(item) ? json_string_value(item) : "", false);
	}
}

static void print_shared(const json_t *answer)
{
	struct output_buffer b;

	printf("given to '");
	output_text(stdout, output_member(answer, "to", &b), false);
	printf("': ");
	print_list(json_object_get(answer, "groups"));
	printf("\n%-10s%s%s\n", "from", output_true(answer, "history") ? "the beginning" : "now on",
		"");
	printf("%-10s", "until");
	output_text(stdout, output_member(answer, "until", &b), false);
	printf("\n%-10s", "ledger");
	output_text(stdout, output_member(answer, "log", &b), false);
	printf(" %llu\n", (unsigned long long)output_number(answer, "index"));
	if (json_is_object(json_object_get(answer, "state")))
		printf("%-10s%s\n", "ledger is",
			output_member(json_object_get(answer, "state"), "state", &b));
	if (json_is_string(json_object_get(answer, "message"))) {
		printf("%-10s", "it waits");
		output_text(stdout, output_member(answer, "message", &b), false);
		putchar('\n');
	}
}

enum err case_share_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseShareRequest share = SAUTI__CASE_SHARE_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	const char *groups = args_option(args, "groups");
	char text[512] = "", *list[GROUPS_MAX];
	enum err waited;

	share.case_ = (char *)args_at(args, 0);
	share.to = (char *)args_option(args, "to");
	share.purpose = (char *)args_option(args, "purpose");
	if (share.to == NULL || share.purpose == NULL)
		return cli_usage(cli, ctx, "--to NODE and --purpose PURPOSE must be said");
	if (!node_name_valid(bytes_str(share.to)))
		return cli_usage(cli, ctx, "'%.60s' is no node name", share.to);
	if (groups != NULL && strlen(groups) >= sizeof(text))
		return cli_usage(cli, ctx, "--groups: names of data groups, with commas");
	if (groups != NULL) {
		snprintf(text, sizeof(text), "%s", groups);
		TRY(split(cli, text, list, &share.n_groups, ctx));
		share.groups = list;
	}
	share.history = args_flag(args, "history");
	if (args_option(args, "until") != NULL)
		share.until = (char *)args_option(args, "until");
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_SHARE;
	request.case_share = &share;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	wait_note(cli, answer);
	waited = wait_end(cli, ctx);
	if (cli->wait->state != NULL && json_object_set(answer, "state", cli->wait->state) != 0)
		return ERR_NOMEM;
	if (cli->json)
		output_json(answer);
	else
		print_shared(answer);
	return waited;
}

/* ---- who holds what ---- */

enum err share_ask(const struct cli *cli, const char *name, json_t **ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseSharesRequest shares = SAUTI__CASE_SHARES_REQUEST__INIT;

	shares.case_ = (char *)name;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_SHARES;
	request.case_shares = &shares;
	return daemon_list(cli, &request, ret, ctx);
}

static void groups_text(const json_t *share, struct output_buffer *buffer)
{
	const json_t *item;
	size_t i, size = 0;

	buffer->text[0] = '\0';
	json_array_foreach(json_object_get(share, "groups"), i, item)
	{
		int n = snprintf(buffer->text + size, sizeof(buffer->text) - size, "%s%s",
			i == 0 ? "" : ",", json_is_string(item) ? json_string_value(item) : "");

		if (n < 0 || (size_t)n >= sizeof(buffer->text) - size)
			break;
		size += (size_t)n;
	}
}

/* What became of the keys that it had. */
static const char *order_text(const char *order)
{
	static const char *const texts[][2] = {
		{"ordered", ", it has not confirmed that it deleted them"},
		{"held", ", it must keep them for now"},
		{"destroying", ", deleted there but for old mail keys"},
		{"destroyed", ", deleted there"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(order, texts[i][0]) == 0)
			return texts[i][1];
	return "";
}

/* "revoked 2026-11-26 (withdrawn), deleted there", or one word. */
static void state_text(const json_t *share, struct output_buffer *buffer)
{
	struct output_buffer b[3];
	const char *on = output_member(share, "revoked_on", &b[0]);

	if (on[0] == '\0')
		snprintf(buffer->text, sizeof(buffer->text), "%.100s",
			output_member(share, "state", &b[1]));
	else
		snprintf(buffer->text, sizeof(buffer->text), "revoked %.10s (%.40s)%s", on,
			output_member(share, "revoked_for", &b[2]),
			order_text(output_member(share, "order", &b[1])));
}

enum err share_print(const json_t *all)
{
	static const char *const heads[] = {
		"", "NODE", "GROUPS", "PURPOSE", "MADE", "UNTIL", "STATE"};
	struct output_table table;
	const json_t *share;
	size_t i;
	enum err err;

	if (json_array_size(all) == 0) {
		puts("nobody holds keys of this case but this office");
		return OK;
	}
	output_table_init(&table, heads, 7);
	json_array_foreach(all, i, share)
	{
		struct output_buffer b[8];
		bool given = strcmp(output_member(share, "direction", &b[0]), "given") == 0;
		const char *cells[] = {given ? "to" : "from", output_member(share, "node", &b[1]),
			b[2].text, output_member(share, "purpose", &b[3]),
			output_time(share, "made_at", &b[4]), output_member(share, "until", &b[5]),
			b[6].text};

		groups_text(share, &b[2]);
		state_text(share, &b[6]);
		output_table_add(&table, cells);
	}
	output_table_print(&table, stdout);
	err = table.err;
	output_table_release(&table);
	return err;
}

enum err case_shares_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *all = NULL;

	TRY(share_ask(cli, args_at(args, 0), &all, ctx));
	if (!cli->json)
		return share_print(all);
	output_json(all);
	return OK;
}
