/* sauti officer */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "certs/account.h"
#include "cli/ask.h"
#include "cli/daemon.h"
#include "cli/officer.h"
#include "cli/output.h"
#include "cli/passphrase.h"
#include "proto/codec.h"

/* ---- who unlocks ---- */

static enum err known_names(const struct cli *cli, json_t **ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__OfficerNamesRequest names = SAUTI__OFFICER_NAMES_REQUEST__INIT;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_OFFICER_NAMES;
	request.officer_names = &names;
	return daemon_list(cli, &request, ret, ctx);
}

static enum err take_name(const char *name, char *ret, struct errctx *ctx)
{
	if (strlen(name) > OFFICER_LABEL_MAX)
		return err_set(ctx, ERR_LIMIT, "the officer's name is too long");
	strcpy(ret, name);
	return OK;
}

static enum err ask_name(struct cli *cli, const struct cli_args *args, const json_t *names,
	char *ret, struct errctx *ctx)
{
	struct reply_choices *choices = mem_zalloc(sizeof(*choices));
	struct output_buffer buffer;
	struct ask ask = {0};
	size_t at = 0;
	enum err err;

	if (choices == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < json_array_size(names); i++)
		reply_choices_add(
			choices, output_member(json_array_get(names, i), "officer", &buffer), "");
	err = ask_open(cli, args,
		"several officers may unlock: say which with --officer NAME or $SAUTI_OFFICER",
		&ask, ctx);
	if (err == OK)
		err = ask_choice(&ask, "Officer", choices, &at, ctx);
	if (err == OK)
		err = take_name(choices->item[at].name, ret, ctx);
	ask_close(&ask);
	mem_free(choices);
	return err;
}

enum err officer_choose(struct cli *cli, const struct cli_args *args,
	char ret[OFFICER_LABEL_MAX + 1], struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *names = NULL;
	const char *named = NULL, *set = getenv("SAUTI_OFFICER");
	struct output_buffer buffer;

	TRY(cli_officer(cli, args, &named, ctx));
	if (named != NULL)
		return take_name(named, ret, ctx);
	TRY(known_names(cli, &names, ctx));
	if (json_array_size(names) == 1)
		return take_name(
			output_member(json_array_get(names, 0), "officer", &buffer), ret, ctx);
	if (set != NULL && set[0] != '\0')
		return take_name(set, ret, ctx);
	return ask_name(cli, args, names, ret, ctx);
}

/* ---- the accounts ---- */

void officer_roles_text(const json_t *roles, struct output_buffer *ret)
{
	size_t size = 0;

	ret->text[0] = '\0';
	for (size_t i = 0; i < json_array_size(roles); i++) {
		const char *role = json_string_value(json_array_get(roles, i));
		int n = snprintf(ret->text + size, sizeof(ret->text) - size, "%s%s",
			size == 0 ? "" : ", ", role == NULL ? "?" : role);

		if (n < 0 || (size_t)n >= sizeof(ret->text) - size)
			return;
		size += (size_t)n;
	}
}

/* The answer, or in words. */
static enum err done(const struct cli *cli, const Sauti__ControlRequest *request, const char *text,
	struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	struct output_buffer buffer;

	TRY(daemon_call(cli, request, &answer, NULL, ctx));
	if (cli->json) {
		output_json(answer);
		return OK;
	}
	output_text(stdout, output_member(answer, "officer", &buffer), false);
	printf(": %s\n", text);
	return OK;
}

static enum err not_a_name(struct cli *cli, const char *name, struct errctx *ctx)
{
	return cli_usage(cli, ctx,
		"'%.80s' is no officer's name: a small letter, then small letters, digits, dots "
		"and hyphens, 31 at most",
		name);
}

static enum err run_add(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__OfficerAddRequest add = SAUTI__OFFICER_ADD_REQUEST__INIT;
	const char *name = args_at(args, 0), *roles = args_option(args, "roles");
	struct secret passphrase;
	enum err err;

	if (!account_name_valid(bytes_str(name)))
		return not_a_name(cli, name, ctx);
	if (roles == NULL)
		return cli_usage(cli, ctx, "--roles: which, with commas; see --help");
	if (account_roles_parse(roles, &add.roles, ctx) != OK) {
		cli->usage = true;
		return ERR_INVALID;
	}
	TRY(passphrase_get_new(cli, args, "Passphrase for the new officer", &passphrase, ctx));
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_OFFICER_ADD;
	request.officer_add = &add;
	add.name = (char *)name;
	add.passphrase = codec_binary(secret_bytes(&passphrase));
	err = done(cli, &request, "may unlock from now on", ctx);
	secret_release(&passphrase);
	return err;
}

static enum err print_officers(const json_t *officers)
{
	static const char *const heads[] = {"OFFICER", "ROLES", "SINCE", "STATE"};
	struct output_table table;
	const json_t *officer;
	enum err err;
	size_t i;

	output_table_init(&table, heads, 4);
	json_array_foreach(officers, i, officer)
	{
		struct output_buffer b[3];

		officer_roles_text(json_object_get(officer, "roles"), &b[0]);
		const char *cells[] = {output_member(officer, "officer", &b[1]), b[0].text,
			output_time(officer, "created_at", &b[2]),
			output_true(officer, "disabled") ? "disabled" : "may unlock"};

		output_table_add(&table, cells);
	}
	output_table_print(&table, stdout);
	err = table.err;
	output_table_release(&table);
	return err;
}

static enum err ask_officers(const struct cli *cli, json_t **ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__OfficerListRequest list = SAUTI__OFFICER_LIST_REQUEST__INIT;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_OFFICER_LIST;
	request.officer_list = &list;
	return daemon_list(cli, &request, ret, ctx);
}

enum err officer_may_unlock(const struct cli *cli, const char *name, bool *ret, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *officers = NULL;
	const json_t *officer;
	size_t i;

	TRY(ask_officers(cli, &officers, ctx));
	*ret = false;
	json_array_foreach(officers, i, officer)
	{
		struct output_buffer b;

		if (strcmp(output_member(officer, "officer", &b), name) == 0)
			*ret = !output_true(officer, "disabled");
	}
	return OK;
}

enum err officer_is_supervisor(const struct cli *cli, bool *ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__WhoamiRequest whoami = SAUTI__WHOAMI_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	struct output_buffer roles;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_WHOAMI;
	request.whoami = &whoami;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	officer_roles_text(json_object_get(answer, "roles"), &roles);
	*ret = strstr(roles.text, "supervisor") != NULL;
	return OK;
}

static enum err run_list(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *officers = NULL;

	(void)args;
	TRY(ask_officers(cli, &officers, ctx));
	if (!cli->json)
		return print_officers(officers);
	output_json(officers);
	return OK;
}

static enum err run_disable(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__OfficerDisableRequest disable = SAUTI__OFFICER_DISABLE_REQUEST__INIT;

	if (!account_name_valid(bytes_str(args_at(args, 0))))
		return not_a_name(cli, args_at(args, 0), ctx);
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_OFFICER_DISABLE;
	request.officer_disable = &disable;
	disable.name = (char *)args_at(args, 0);
	return done(cli, &request, "cannot unlock any more; open sessions have ended", ctx);
}

static enum err run_passphrase(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__OfficerPassphraseRequest change = SAUTI__OFFICER_PASSPHRASE_REQUEST__INIT;
	struct secret old, fresh;
	enum err err;

	TRY(passphrase_get(cli, args, "Your passphrase until now", false, &old, ctx));
	err = passphrase_get_new(cli, args, "Your new passphrase", &fresh, ctx);
	if (err != OK) {
		secret_release(&old);
		return err;
	}
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_OFFICER_PASSPHRASE;
	request.officer_passphrase = &change;
	change.passphrase = codec_binary(secret_bytes(&old));
	change.new_passphrase = codec_binary(secret_bytes(&fresh));
	err = done(cli, &request, "the new passphrase holds", ctx);
	secret_release(&old);
	secret_release(&fresh);
	return err;
}

static const struct cli_option add_options[] = {
	{"roles", "ROLE,..", "officer, supervisor, operator, analyst, auditor", false},
	NEW_PASSPHRASE_OPTION,
	{0},
};
static const struct cli_option passphrase_options[] = {
	PASSPHRASE_OPTION,
	NEW_PASSPHRASE_OPTION,
	{0},
};

const struct cli_command officer_commands[] = {
	{"officer", "add", "NAME",
		"let somebody in: a slot of the keystore with a passphrase of theirs",
		"NAME has small letters, digits, dots and hyphens, 31 at most; it stands in what\n"
		"they record, and is never given to somebody else. Let them type the passphrase.\n"
		"  officer     records cases, and sees those assigned\n"
		"  supervisor  sees the office's cases, answers for the accounts\n"
		"  operator    runs the node, sees no case\n"
		"  analyst     statistics, sees no case\n"
		"  auditor     what proves that nothing was dropped, sees no case\n"
		"Who is disabled comes back like this, too. A supervisor does it; an operator may "
		"for\n"
		"the last three roles. At most 16 may unlock.",
		1, 1, add_options, run_add},
	{"officer", "list", "", "all accounts, those that are disabled too", NULL, 0, 0, NULL,
		run_list},
	{"officer", "disable", "NAME", "take somebody's slot away",
		"Their sessions end; the account stays listed. The last supervisor cannot be "
		"disabled.\n"
		"An old copy of keys/keystore still opens with their passphrase.",
		1, 1, NULL, run_disable},
	{"officer", "passphrase", "", "change your own passphrase", NULL, 0, 0, passphrase_options,
		run_passphrase},
	{0},
};
