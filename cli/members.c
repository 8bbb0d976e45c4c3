/* sauti node revoke | dispute | policy */
#include "cli/members.h"

#include <stdio.h>
#include <unistd.h>

#include "base/text.h"
#include "certs/ruling.h"
#include "cli/daemon.h"
#include "cli/output.h"

/* ---- revoke ---- */

static void print_listed(const json_t *answer)
{
	const json_t *logs = json_object_get(answer, "logs");
	struct output_buffer origin;
	json_t *log;
	size_t i;

	if (json_array_size(logs) == 0)
		puts("of its logs nothing is held here: nothing of them counts");
	json_array_foreach(logs, i, log)
	{
		fputs("counts up to here: ", stdout);
		output_text(stdout, output_member(log, "origin", &origin), false);
		printf(", %llu entries\n", (unsigned long long)output_number(log, "size"));
		if (output_number(log, "known") > output_number(log, "size"))
			printf("  others show %llu: what is not here will count nowhere. Wait "
			       "until it has come, if the node is not doing harm.\n",
				(unsigned long long)output_number(log, "known"));
	}
}

/* On a terminal the name must be typed; a script says --yes. */
static enum err confirm(const char *name, struct errctx *ctx)
{
	char line[64];

	if (!isatty(STDIN_FILENO))
		return err_set(ctx, ERR_INVALID, "this cannot be taken back: say --yes");
	fprintf(stderr, "This cannot be taken back. Type the node's name to revoke it: ");
	if (fgets(line, sizeof(line), stdin) == NULL)
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return strcmp(line, name) == 0 ? OK : err_set(ctx, ERR_CANCELED, "nothing was changed");
}

static enum err call_revoke(struct cli *cli, Sauti__NodeRevokeRequest *revoke, bool dry_run,
	json_t **ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;

	revoke->dry_run = dry_run;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_NODE_REVOKE;
	request.node_revoke = revoke;
	return daemon_call(cli, &request, ret, NULL, ctx);
}

enum err members_revoke(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__NodeRevokeRequest revoke = SAUTI__NODE_REVOKE_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *before = NULL;
	CLEANUP(daemon_json_release) json_t *answer = NULL;

	revoke.name = (char *)args_at(args, 0);
	revoke.reason = (char *)args_option(args, "reason");
	if (revoke.reason == NULL)
		return cli_usage(cli, ctx, "--reason TEXT: every node will show it");
	if (!reason_valid(revoke.reason))
		return cli_usage(
			cli, ctx, "--reason is one line of at most %d bytes", LIMIT_REASON);
	if (!args_flag(args, "yes")) {
		TRY(call_revoke(cli, &revoke, true, &before, ctx));
		if (!cli->json)
			print_listed(before);
		TRY(confirm(revoke.name, ctx));
	}
	TRY(call_revoke(cli, &revoke, false, &answer, ctx));
	if (cli->json) {
		output_json(answer);
		return OK;
	}
	printf("'%s' is revoked: record %llu of the directory\n", revoke.name,
		(unsigned long long)output_number(answer, "index"));
	if (args_flag(args, "yes"))
		print_listed(answer);
	puts("Its sessions here are closed; every node closes its own as the record reaches it.\n"
	     "Nothing beyond what is listed is taken from anybody; what is held stays held.");
	if (output_true(answer, "counts_for_quorum"))
		puts("It was a mirror: from now on its cosignatures do not count for the quorum.\n"
		     "See 'sauti node policy' and 'sauti status'.");
	return OK;
}

const struct cli_option members_revoke_options[] = {
	{"reason", "TEXT", "why; every node shows it", false},
	{"yes", NULL, "do not ask", false},
	{0},
};

/* ---- dispute ---- */

enum err members_dispute(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__NodeDisputeRequest dispute = SAUTI__NODE_DISPUTE_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	const char *record = args_option(args, "record");

	dispute.text = (char *)args_at(args, 0);
	if (!reason_valid(dispute.text))
		return cli_usage(
			cli, ctx, "the text is one line of at most %d bytes", LIMIT_REASON);
	dispute.has_index = record != NULL;
	if (record != NULL &&
		decimal_parse(bytes_str(record), LIMIT_DIRECTORY_RECORDS - 1, &dispute.index) != OK)
		return cli_usage(cli, ctx, "--record is a number from 0 on");
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_NODE_DISPUTE;
	request.node_dispute = &dispute;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	if (cli->json) {
		output_json(answer);
		return OK;
	}
	printf("disputed: record %llu of the directory. Every node that hears of it shows it, for "
	       "ever\n",
		(unsigned long long)output_number(answer, "index"));
	return OK;
}

const struct cli_option members_dispute_options[] = {
	{"record", "N", "of the directory (default: this node's revocation)", false},
	{0},
};

/* ---- policy ---- */

static enum err read_number(struct cli *cli, const struct cli_args *args, const char *option,
	uint64_t floor, uint64_t cap, uint32_t *ret, struct errctx *ctx)
{
	const char *text = args_option(args, option);
	uint64_t value;

	if (text == NULL)
		return OK;
	if (decimal_parse(bytes_str(text), cap, &value) != OK || value < floor)
		return cli_usage(cli, ctx, "--%s is a number from %llu to %llu", option,
			(unsigned long long)floor, (unsigned long long)cap);
	*ret = (uint32_t)value;
	return OK;
}

/* "a,b,c" cut in place; "all" is none. */
static enum err read_mirrors(struct cli *cli, char *text, Sauti__NodePolicyRequest *policy,
	char *list[LIMIT_POLICY_MIRRORS], struct errctx *ctx)
{
	policy->has_mirrors = true;
	policy->mirrors = list;
	if (strcmp(text, "all") == 0)
		return OK;
	for (char *rest = text, *name; (name = strsep(&rest, ",")) != NULL;) {
		if (policy->n_mirrors == LIMIT_POLICY_MIRRORS)
			return cli_usage(cli, ctx, "--mirrors: at most %d", LIMIT_POLICY_MIRRORS);
		if (!node_name_valid(bytes_str(name)))
			return cli_usage(cli, ctx, "--mirrors: '%.40s' is no node name", name);
		list[policy->n_mirrors++] = name;
	}
	return OK;
}

static void print_policy(const json_t *policy)
{
	const json_t *mirrors = json_object_get(policy, "mirrors");
	struct output_buffer when;
	json_t *name;
	size_t i;

	printf("%-15s%llu\n", "quorum", (unsigned long long)output_number(policy, "quorum"));
	printf("%-15s", "mirrors");
	if (json_array_size(mirrors) == 0)
		fputs("every active member", stdout);
	json_array_foreach(mirrors, i, name)
	{
		fputs(i == 0 ? "" : ", ", stdout);
		output_text(stdout, json_is_string(name) ? json_string_value(name) : "?", false);
	}
	printf("\n%-15s%llu\n", "hide below",
		(unsigned long long)output_number(policy, "hide_below") + 1);
	printf("%-15s%llu\n", "split offices",
		(unsigned long long)output_number(policy, "split_offices"));
	printf("%-15s%s\n", "changed", output_time(policy, "changed_at", &when));
	if (output_number(policy, "reach") < output_number(policy, "quorum"))
		printf("NOTE: only %llu active mirrors can hold an entry of another node: nothing "
		       "will be in the quorum\n",
			(unsigned long long)output_number(policy, "reach"));
}

enum err members_policy(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__NodePolicyRequest policy = SAUTI__NODE_POLICY_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	const char *mirrors = args_option(args, "mirrors");
	char *list[LIMIT_POLICY_MIRRORS], text[LIMIT_POLICY_MIRRORS * (LIMIT_NODE_NAME + 1)];

	TRY(read_number(
		cli, args, "quorum", POLICY_QUORUM_MIN, LIMIT_POLICY_MIRRORS, &policy.quorum, ctx));
	TRY(read_number(
		cli, args, "hide", POLICY_HIDE_MIN, LIMIT_POLICY_FLOOR, &policy.hide_below, ctx));
	TRY(read_number(cli, args, "split", POLICY_SPLIT_MIN, LIMIT_POLICY_FLOOR,
		&policy.split_offices, ctx));
	if (mirrors != NULL) {
		if ((size_t)snprintf(text, sizeof(text), "%s", mirrors) >= sizeof(text))
			return cli_usage(cli, ctx, "--mirrors: at most %d", LIMIT_POLICY_MIRRORS);
		TRY(read_mirrors(cli, text, &policy, list, ctx));
	}
	policy.change = policy.quorum > 0 || policy.hide_below > 0 || policy.split_offices > 0 ||
			policy.has_mirrors;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_NODE_POLICY;
	request.node_policy = &policy;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	if (cli->json)
		output_json(answer);
	else
		print_policy(answer);
	return OK;
}

const struct cli_option members_policy_options[] = {
	{"quorum", "K", "how many mirrors must hold an entry", false},
	{"mirrors", "A,B,C", "which count; all: every active member", false},
	{"hide", "N", "statistics: counts from 1 to N are hidden (at least 4)", false},
	{"split", "N", "statistics: split totals over at least N offices (at least 5)", false},
	{0},
};
