/* sauti case erase, hold: keys that are to be gone, and what is not given up yet. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cases/keys/erasure.h"
#include "cli/ask.h"
#include "cli/case/case.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "cli/passphrase.h"
#include "proto/codec.h"

/* ---- how far it is ---- */

static void print_holder(const json_t *holder)
{
	const json_t *held = json_object_get(holder, "held");
	struct output_buffer b[3];

	printf("  %-16s ", output_member(holder, "node", &b[0]));
	if (output_true(holder, "done"))
		printf("done: destroyed %llu, never had %llu\n",
			(unsigned long long)output_number(holder, "destroyed"),
			(unsigned long long)output_number(holder, "never"));
	else if (output_number(holder, "receipt_at") != 0)
		printf("destroyed on %s; %llu of %llu prekeys that they came under are left\n",
			output_time(holder, "receipt_at", &b[1]),
			(unsigned long long)(output_number(holder, "prekeys") -
					     output_number(holder, "prekeys_gone")),
			(unsigned long long)output_number(holder, "prekeys"));
	else if (held != NULL)
		printf("holds them until %s for %s\n", output_member(held, "until", &b[1]),
			output_member(held, "authority", &b[2]));
	else if (output_number(holder, "asked_at") != 0)
		printf("has not answered; ordered on %s\n", output_time(holder, "asked_at", &b[1]));
	else
		printf("not ordered yet\n");
}

static void print_erasure(const json_t *erasure)
{
	const json_t *holders = json_object_get(erasure, "holders");
	struct output_buffer b[6];
	const char *from = output_member(erasure, "from", &b[0]);
	const json_t *holder;
	size_t i, done = 0, receipts = 0;

	json_array_foreach((json_t *)holders, i, holder)
	{
		done += output_true(holder, "done");
		receipts += output_true(holder, "done") || output_number(holder, "receipt_at") != 0;
	}
	printf("%s  %s  %s", output_member(erasure, "code", &b[1]),
		output_member(erasure, "scope", &b[2]), output_member(erasure, "state", &b[3]));
	if (from[0] != '\0')
		printf("  ordered by %s", from);
	printf("  (%llu key%s", (unsigned long long)output_number(erasure, "keys"),
		output_number(erasure, "keys") == 1 ? "" : "s");
	if (json_array_size(holders) > 0)
		printf("; %zu of %zu nodes have confirmed, %zu are done", receipts,
			json_array_size(holders), done);
	printf(")\n  ordered %s, destroyed here %s\n", output_time(erasure, "ordered_at", &b[4]),
		output_time(erasure, "destroyed_at", &b[5]));
	json_array_foreach((json_t *)holders, i, holder) print_holder(holder);
	if (output_number(erasure, "revealed") > 0)
		printf("  %llu entries of it were opened for somebody: ask for these files back "
		       "('sauti ledger list' says whom)\n",
			(unsigned long long)output_number(erasure, "revealed"));
}

static enum err report_all(
	struct cli *cli, const Sauti__ControlRequest *request, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *list = NULL;
	const json_t *erasure;
	size_t i;

	TRY(daemon_list(cli, request, &list, ctx));
	if (cli->json) {
		output_json(list);
		return OK;
	}
	json_array_foreach(list, i, erasure) print_erasure(erasure);
	if (json_array_size(list) == 0)
		cli_note(cli, "nothing of that is erased");
	return OK;
}

/* The one that was asked for: the newest that is of no version key. */
static enum err report(struct cli *cli, const Sauti__ControlRequest *request, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *list = NULL;
	const json_t *erasure, *found = NULL;
	struct output_buffer b;
	size_t i;

	TRY(daemon_list(cli, request, &list, ctx));
	json_array_foreach(list, i, erasure)
	{
		if (output_member(erasure, "from", &b)[0] == '\0' &&
			strstr(output_member(erasure, "scope", &b), "keys") == NULL)
			found = erasure;
	}
	if (found == NULL)
		return err_set(ctx, ERR_CORRUPT, "the daemon does not say what it has erased");
	if (cli->json)
		output_json(found);
	else
		print_erasure(found);
	return OK;
}

static enum err status(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__EraseShowRequest show = SAUTI__ERASE_SHOW_REQUEST__INIT;

	if (args_at(args, 0) != NULL)
		show.case_ = (char *)args_at(args, 0);
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_ERASE_SHOW;
	request.erase_show = &show;
	return report_all(cli, &request, ctx);
}

/* ---- erasing ---- */

static enum err groups_of(
	struct cli *cli, const struct cli_args *args, uint32_t *ret, struct errctx *ctx)
{
	const char *name;

	for (size_t i = 0; (name = args_option_at(args, "group", i)) != NULL; i++) {
		enum group group = group_find(bytes_str(name));

		if (!group_of_case(group))
			return cli_usage(cli, ctx, "'%.40s' is no data group of a case", name);
		*ret |= GROUP_BIT(group);
	}
	return OK;
}

static enum err what(struct cli *cli, const struct cli_args *args, Sauti__CaseEraseRequest *message,
	struct errctx *ctx)
{
	const char *event = args_option(args, "event"), *note = args_option(args, "note");

	TRY(groups_of(cli, args, &message->groups, ctx));
	if ((message->groups != 0) + (event != NULL) + (note != NULL) > 1)
		return cli_usage(cli, ctx, "--group, --event and --note do not go together");
	message->scope = message->groups != 0 ? ERASE_GROUPS
			 : event != NULL      ? ERASE_EVENT
			 : note != NULL       ? ERASE_NOTE
					      : ERASE_CASE;
	if (event != NULL || note != NULL)
		message->event = (char *)(event != NULL ? event : note);
	message->reason = (char *)args_option(args, "reason");
	if (message->reason == NULL)
		return cli_usage(cli, ctx,
			"why? --reason withdrawn-consent, retention-end, unlawful or objection");
	return OK;
}

/* There is no way back: the code is typed once more. */
static enum err confirm(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(ask_close) struct ask ask = {0};
	struct bytes typed;

	if (args_flag(args, "yes"))
		return OK;
	TRY(ask_open(cli, args, "this cannot be undone: say --yes", &ask, ctx));
	ask_say(&ask, TERM_PLAIN,
		"This cannot be undone: what is erased can be read by nobody any more, and every "
		"office that was given keys is ordered to destroy them.");
	TRY(ask_line(&ask, "Type the case's code once more", ctx));
	typed = buf_bytes(&ask.line);
	if (typed.size != strlen(args_at(args, 0)) ||
		strncasecmp((const char *)typed.data, args_at(args, 0), typed.size) != 0)
		return err_set(ctx, ERR_CANCELED, "that is another one: nothing was erased");
	return OK;
}

enum err case_erase_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseEraseRequest message = SAUTI__CASE_ERASE_REQUEST__INIT;

	if (args_flag(args, "status"))
		return status(cli, args, ctx);
	if (args_at(args, 0) == NULL)
		return cli_usage(cli, ctx, "which case?");
	TRY(what(cli, args, &message, ctx));
	TRY(confirm(cli, args, ctx));
	message.case_ = (char *)args_at(args, 0);
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_ERASE;
	request.case_erase = &message;
	return report(cli, &request, ctx);
}

/* ---- holding ---- */

enum err case_hold_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	CLEANUP(secret_release) struct secret passphrase = {0};
	Sauti__CaseHoldRequest message = SAUTI__CASE_HOLD_REQUEST__INIT;
	struct output_buffer b[2];
	char what[100];

	message.case_ = (char *)args_at(args, 0);
	message.authority = (char *)args_option(args, "authority");
	message.second = (char *)args_option(args, "second");
	message.until = (char *)args_option(args, "until");
	if (message.authority == NULL || message.second == NULL || message.until == NULL)
		return cli_usage(cli, ctx,
			"on whose order, with which second officer, until when? --authority, "
			"--second, --until");
	snprintf(what, sizeof(what), "Passphrase of %.60s, who agrees", message.second);
	TRY(passphrase_get(cli, args, what, false, &passphrase, ctx));
	message.passphrase = codec_binary(secret_bytes(&passphrase));
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_HOLD;
	request.case_hold = &message;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	if (cli->json)
		output_json(answer);
	else
		printf("orders to erase keys of %s are answered with a hold until %s\n",
			output_member(answer, "case", &b[0]),
			output_member(answer, "until", &b[1]));
	return OK;
}
