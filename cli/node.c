/* sauti node invite | list | show; members.c has revoke, dispute and policy, node_confirm.c confirm
 */
#include <stdio.h>

#include "base/text.h"
#include "certs/record.h"
#include "certs/ruling.h"
#include "cli/daemon.h"
#include "cli/members.h"
#include "cli/node_confirm.h"
#include "cli/node_rotate.h"
#include "cli/output.h"

enum { ADDRESSES_MAX = 4, HOURS_MAX = 24 * 30 };

static enum err read_hours(struct cli *cli, const char *text, uint32_t *ret, struct errctx *ctx)
{
	uint64_t hours;

	if (text == NULL)
		return OK;
	if (decimal_parse(bytes_str(text), HOURS_MAX, &hours) != OK || hours == 0)
		return cli_usage(cli, ctx, "--hours is a number from 1 to %d", HOURS_MAX);
	*ret = (uint32_t)hours;
	return OK;
}

static bool country_valid(const char *text)
{
	size_t i;

	for (i = 0; text[i] >= 'A' && text[i] <= 'Z'; i++)
		;
	return i == 3 && text[3] == '\0';
}

static enum err read_addresses(struct cli *cli, const struct cli_args *args,
	char *ret[ADDRESSES_MAX], size_t *ret_count, struct errctx *ctx)
{
	size_t count = 0;

	for (;; count++) {
		const char *text = args_option_at(args, "address", count);
		struct net_address address;
		struct errctx why = {""};

		if (text == NULL)
			break;
		if (count == ADDRESSES_MAX)
			return cli_usage(cli, ctx, "more than %d addresses", ADDRESSES_MAX);
		if (config_address(text, false, &address, &why) != OK)
			return cli_usage(cli, ctx, "--address '%.80s': %s", text, why.text);
		ret[count] = (char *)text;
	}
	*ret_count = count;
	return OK;
}

/* Role and country are what the directory says. */
static enum err read_replace(struct cli *cli, const struct cli_args *args,
	Sauti__NodeInviteRequest *invite, struct errctx *ctx)
{
	if (args_option(args, "role") != NULL || args_option(args, "country") != NULL)
		return cli_usage(cli, ctx, "--replace: role and country stay as they are");
	if (invite->reason == NULL || !reason_valid(invite->reason))
		return cli_usage(cli, ctx,
			"--replace needs --reason TEXT, one line of at most %d bytes: every node "
			"will show it",
			LIMIT_REASON);
	return read_hours(cli, args_option(args, "hours"), &invite->hours, ctx);
}

/* What of the former machine's logs will count, as it stands now. */
static void print_closing(struct cli *cli, const json_t *logs)
{
	struct output_buffer origin;
	json_t *log;
	size_t i;

	json_array_foreach(logs, i, log)
	{
		uint64_t size = output_number(log, "size"), known = output_number(log, "known");

		cli_note(cli, "of log %s %llu entries are held here",
			output_member(log, "origin", &origin), (unsigned long long)size);
		if (known > size)
			cli_note(cli,
				"  others show %llu: let them come before the new machine joins; "
				"what is not here then will count nowhere",
				(unsigned long long)known);
	}
	if (json_array_size(logs) == 0)
		cli_note(cli, "nothing of its logs is held here: none of them will count");
}

static enum err read_invite(struct cli *cli, const struct cli_args *args,
	Sauti__NodeInviteRequest *invite, struct errctx *ctx)
{
	const char *role = args_option(args, "role"), *country = args_option(args, "country");

	invite->name = (char *)args_at(args, 0);
	if (!node_name_valid(bytes_str(invite->name)) || node_name_reserved(invite->name))
		return cli_usage(cli, ctx, "'%.60s' is no node name", invite->name);
	invite->replace = args_flag(args, "replace");
	invite->reason = (char *)args_option(args, "reason");
	if (invite->replace)
		return read_replace(cli, args, invite, ctx);
	if (invite->reason != NULL)
		return cli_usage(cli, ctx, "--reason goes with --replace");
	invite->reason = "";
	invite->role = role == NULL ? ROLE_OFFICE : role_parse(role);
	if (invite->role != ROLE_OFFICE && invite->role != ROLE_AUDITOR)
		return cli_usage(cli, ctx, "--role '%.40s'; allowed: office, auditor", role);
	if (country == NULL && invite->role == ROLE_OFFICE)
		return cli_usage(cli, ctx, "an office needs --country, as HTI");
	if (country != NULL && !country_valid(country))
		return cli_usage(
			cli, ctx, "--country '%.40s': three capitals of ISO 3166-1", country);
	invite->country = (char *)(country == NULL ? "" : country);
	return read_hours(cli, args_option(args, "hours"), &invite->hours, ctx);
}

static enum err run_invite(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__NodeInviteRequest invite = SAUTI__NODE_INVITE_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	struct output_buffer token, expires;
	char *addresses[ADDRESSES_MAX];

	TRY(read_invite(cli, args, &invite, ctx));
	TRY(read_addresses(cli, args, addresses, &invite.n_addresses, ctx));
	invite.addresses = addresses;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_NODE_INVITE;
	request.node_invite = &invite;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	if (cli->json) {
		output_json(answer);
		return OK;
	}
	/* output_member cuts nothing here: the token is a JSON string. */
	output_text(stdout, output_member(answer, "token", &token), false);
	putchar('\n');
	cli_note(cli, "a secret, good once, for '%s', until %s: 'sauti join' there", invite.name,
		output_time(answer, "expires_at", &expires));
	if (invite.replace)
		print_closing(cli, json_object_get(answer, "logs"));
	return OK;
}

static enum err ask_nodes(const struct cli *cli, const char *name, json_t **ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__NodeListRequest list = SAUTI__NODE_LIST_REQUEST__INIT;

	list.name = (char *)name;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_NODE_LIST;
	request.node_list = &list;
	return daemon_list(cli, &request, ret, ctx);
}

static const char *first_address(const json_t *node)
{
	const json_t *first = json_array_get(json_object_get(node, "addresses"), 0);

	return json_is_string(first) ? json_string_value(first) : "";
}

/* How many it has made; "-": none. */
static const char *disputes_text(const json_t *node, struct output_buffer *buffer)
{
	size_t count = json_array_size(json_object_get(node, "disputes"));

	if (count == 0)
		return "-";
	snprintf(buffer->text, sizeof(buffer->text), "%zu", count);
	return buffer->text;
}

static enum err run_list(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	static const char *const heads[] = {"NODE", "ROLE", "COUNTRY", "ACTIVE", "ADMITTED",
		"DISPUTES", "FINGERPRINT", "ADDRESS"};
	CLEANUP(daemon_json_release) json_t *nodes = NULL;
	struct output_table table;
	json_t *node;
	size_t i;
	enum err err;

	(void)args;
	TRY(ask_nodes(cli, "", &nodes, ctx));
	if (cli->json) {
		output_json(nodes);
		return OK;
	}
	output_table_init(&table, heads, 8);
	json_array_foreach(nodes, i, node)
	{
		struct output_buffer b[7];
		const char *cells[] = {output_member(node, "name", &b[0]),
			output_member(node, "role", &b[1]), output_member(node, "country", &b[2]),
			output_member(node, "active", &b[3]),
			output_member(node, "admitted_index", &b[4]), disputes_text(node, &b[5]),
			output_member(node, "fingerprint", &b[6]), first_address(node)};

		output_table_add(&table, cells);
	}
	output_table_print(&table, stdout);
	err = table.err;
	output_table_release(&table);
	return err;
}

enum { SHOW_WIDTH = 18 };

/* Names of times end in _at. */
static void print_cell(const json_t *object, const char *name)
{
	struct output_buffer buffer;
	size_t size = strlen(name);
	bool time = size > 3 && strcmp(name + size - 3, "_at") == 0;

	output_text(stdout,
		time ? output_time(object, name, &buffer) : output_member(object, name, &buffer),
		false);
}

/* What is not a list itself, as "name: value, name: value". */
static void print_pairs(json_t *object)
{
	const char *name, *between = "";
	json_t *value;

	json_object_foreach(object, name, value)
	{
		if (json_is_array(value))
			continue;
		fputs(between, stdout);
		output_text(stdout, name, false);
		fputs(": ", stdout);
		print_cell(object, name);
		between = ", ";
	}
	putchar('\n');
}

/* Texts in one line, objects in one each. */
static void print_list(const json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		if (!json_is_string(item)) {
			printf("%*s", i == 0 ? 0 : SHOW_WIDTH, "");
			print_pairs(item);
			continue;
		}
		fputs(i == 0 ? "" : ", ", stdout);
		output_text(stdout, json_string_value(item), false);
	}
	if (i == 0)
		puts("-");
	else if (json_is_string(json_array_get(list, 0)))
		putchar('\n');
}

static void print_member(const json_t *node, const char *name)
{
	json_t *value = json_object_get(node, name), *inner;
	const char *key;
	size_t size = strlen(name);

	output_text(stdout, name, false);
	printf("%*s", (int)(size < SHOW_WIDTH ? SHOW_WIDTH - size : 1), "");
	if (json_is_object(value)) {
		print_pairs(value);
		json_object_foreach(value, key, inner)
		{
			if (!json_is_array(inner) || json_array_size(inner) == 0)
				continue;
			printf("%*s", SHOW_WIDTH, "");
			print_list(inner);
		}
	} else if (json_is_array(value)) {
		print_list(value);
	} else if (json_is_null(value)) {
		puts("-");
	} else {
		print_cell(node, name);
		putchar('\n');
	}
}

static enum err run_show(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *nodes = NULL;
	const char *name = args_at(args, 0), *member;
	json_t *value;

	TRY(ask_nodes(cli, name, &nodes, ctx));
	if (json_array_size(nodes) == 0)
		return err_set(ctx, ERR_NOTFOUND, "node '%.60s': not in the directory", name);
	if (cli->json) {
		output_json(json_array_get(nodes, 0));
		return OK;
	}
	json_object_foreach(json_array_get(nodes, 0), member, value)
		print_member(json_array_get(nodes, 0), member);
	return OK;
}

static enum err run_prekeys(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	static const char *const heads[] = {
		"PREKEY", "STATE", "MADE", "RETIRED", "TO BE DESTROYED", "DESTROYED"};
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__NodePrekeysRequest prekeys = SAUTI__NODE_PREKEYS_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *list = NULL;
	struct output_table table;
	json_t *prekey;
	size_t i;
	enum err err;

	(void)args;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_NODE_PREKEYS;
	request.node_prekeys = &prekeys;
	TRY(daemon_list(cli, &request, &list, ctx));
	if (cli->json) {
		output_json(list);
		return OK;
	}
	output_table_init(&table, heads, 6);
	json_array_foreach(list, i, prekey)
	{
		struct output_buffer b[6];
		const char *cells[] = {output_member(prekey, "number", &b[0]),
			output_member(prekey, "state", &b[1]),
			output_time(prekey, "made_at", &b[2]),
			output_time(prekey, "retired_at", &b[3]),
			output_time(prekey, "destroy_at", &b[4]),
			output_time(prekey, "destroyed_at", &b[5])};

		output_table_add(&table, cells);
	}
	output_table_print(&table, stdout);
	err = table.err;
	output_table_release(&table);
	return err;
}

static const struct cli_option invite_options[] = {
	{"country", "CODE", "of the office, ISO 3166-1 alpha-3, as HTI", false},
	{"role", "ROLE", "office or auditor (default: office)", false},
	{"hours", "N", "how long the token is good (default: 72)", false},
	{"address", "ADDRESS", "of headquarters as the new node will dial it", true},
	{"replace", NULL, "for a new machine in place of the one that has this name", false},
	{"reason", "TEXT", "why it is replaced; every node shows it", false},
	{0},
};

const struct cli_command node_commands[] = {
	{"node", "invite", "NAME", "print a token with which a new node may join",
		"At headquarters, unlocked. The token is a secret: take it to the new office, or\n"
		"tell it over a channel that nobody listens to. It is good once.\n"
		"With --replace, for a machine that was lost, stolen or revoked: the new one takes "
		"the\n"
		"name with keys of its own, gets the old one's entries from other nodes, and cuts "
		"the\n"
		"old one off as it joins. Keys of cases are given to it once its words are "
		"confirmed.",
		1, 1, invite_options, run_invite},
	{"node", "confirm", "NAME", "compare the spoken words of a node's key",
		"Before the first key of a case is given to a node, and again when its key has\n"
		"changed: an officer there, whom you know by voice, reads the eight words that\n"
		"'sauti status' shows there, and you type them. It is refused when they are "
		"another\n"
		"key's: then somebody has put a key of their own in place of that node's.",
		1, 1, node_confirm_options, node_confirm},
	{"node", "rotate", "", "give this node new keys",
		"On the node itself, while sautid does not run; headquarters must be reachable "
		"and\n"
		"unlocked. Signed by the node's present key, so that nobody else can do it. "
		"Cases,\n"
		"log and prekeys stay. An interrupted rotation is repeated with the same command.",
		0, 0, node_rotate_options, node_rotate},
	{"node", "revoke", "NAME", "cut a node off, for ever",
		"At headquarters, unlocked. Its sessions end at every node as the record reaches "
		"it;\n"
		"of its logs counts what headquarters holds now. It cannot be taken back: a node\n"
		"that was revoked by mistake joins again under a new name.",
		1, 1, members_revoke_options, members_revoke},
	{"node", "dispute", "TEXT", "say that a record about this node is wrong",
		"At the node that the record is about, unlocked. The text is public: every node "
		"that\n"
		"hears of it keeps it and shows it, for ever.",
		1, 1, members_dispute_options, members_dispute},
	{"node", "policy", "", "how many mirrors, and which, make an entry safe",
		"Shows what holds. With options, at headquarters and unlocked, changes it; what "
		"is\n"
		"not named stays. The built-in floors can only be raised.",
		0, 0, members_policy_options, members_policy},
	{"node", "list", "", "the members of the network", NULL, 0, 0, NULL, run_list},
	{"node", "show", "NAME", "one member", NULL, 1, 1, NULL, run_show},
	{"node", "prekeys", "", "this node's keys for mail, and when they go",
		"Mail is sealed to the newest. The one before is retired once another node holds\n"
		"the newest, and destroyed 30 days later: what was sealed to it opens nowhere any "
		"more.",
		0, 0, NULL, run_prekeys},
	{0},
};
