/* sauti mail send | list | show | delete */
#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "certs/record.h"
#include "cli/daemon.h"
#include "cli/mail_release.h"
#include "cli/output.h"
#include "proto/codec.h"

/* What is read from stdin; one line feed at its end does not belong to it. */
static enum err read_stdin(struct buf *out, struct errctx *ctx)
{
	uint8_t *room = buf_reserve(out, LIMIT_MAIL_TEXT + 2);
	size_t n;

	if (room == NULL)
		return out->err;
	n = fread(room, 1, LIMIT_MAIL_TEXT + 2, stdin);
	if (ferror(stdin))
		return err_set(ctx, ERR_IO, "read stdin: %s", strerror(errno));
	out->size = n > 0 && room[n - 1] == '\n' ? n - 1 : n;
	return OK;
}

static enum err read_text(
	struct cli *cli, const struct cli_args *args, struct buf *out, struct errctx *ctx)
{
	const char *text = args_at(args, 0);

	if (text == NULL || strcmp(text, "-") == 0)
		TRY(read_stdin(out, ctx));
	else
		buf_put_str(out, text);
	TRY(out->err);
	if (out->size == 0 || out->size > LIMIT_MAIL_TEXT || !utf8_valid(buf_bytes(out)))
		return cli_usage(cli, ctx, "a notice is 1 to %d bytes of UTF-8", LIMIT_MAIL_TEXT);
	return OK;
}

static enum err run_send(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__MailSendRequest send = SAUTI__MAIL_SEND_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	CLEANUP(buf_wipe) struct buf text;
	struct output_buffer id;

	buf_init(&text, LIMIT_CONTROL_REQUEST);
	send.to = (char *)args_option(args, "to");
	if (send.to == NULL)
		return cli_usage(cli, ctx, "--to NODE says whom it is for");
	if (!node_name_valid(bytes_str(send.to)))
		return cli_usage(cli, ctx, "'%.60s' is no node name", send.to);
	TRY(read_text(cli, args, &text, ctx));
	send.text = codec_binary(buf_bytes(&text));
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_MAIL_SEND;
	request.mail_send = &send;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	if (cli->json) {
		output_json(answer);
		return OK;
	}
	printf("mail ");
	output_text(stdout, output_member(answer, "id", &id), false);
	printf(" for '%s' is on this node's disk; 'sauti mail list' shows how far it got\n",
		send.to);
	return OK;
}

/* "custody of hq", "delivered", as one word or three. */
static const char *state_text(const json_t *mail, struct output_buffer *buffer)
{
	struct output_buffer state, custodian;
	const char *word = output_member(mail, "state", &state);

	if (strcmp(word, "custody") != 0)
		snprintf(buffer->text, sizeof(buffer->text), "%s", word);
	else
		snprintf(buffer->text, sizeof(buffer->text), "in custody of %.40s",
			output_member(mail, "custodian", &custodian));
	return buffer->text;
}

/* What the nodes say among themselves is of interest only now and then. */
static void leave_notices(json_t *all)
{
	struct output_buffer b;

	for (size_t i = json_array_size(all); i > 0; i--)
		if (strcmp(output_member(json_array_get(all, i - 1), "kind", &b), "addresses") == 0)
			json_array_remove(all, i - 1);
}

static enum err run_list(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	static const char *const heads[] = {"ID", "", "NODE", "KIND", "MADE", "STATE", "SINCE"};
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__MailListRequest list = SAUTI__MAIL_LIST_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *all = NULL;
	struct output_table table;
	json_t *mail;
	size_t i;
	enum err err;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_MAIL_LIST;
	request.mail_list = &list;
	TRY(daemon_list(cli, &request, &all, ctx));
	if (!args_flag(args, "all"))
		leave_notices(all);
	if (cli->json) {
		output_json(all);
		return OK;
	}
	output_table_init(&table, heads, 7);
	json_array_foreach(all, i, mail)
	{
		struct output_buffer b[7];
		const char *direction = output_member(mail, "direction", &b[0]);
		const char *cells[] = {output_member(mail, "id", &b[1]),
			strcmp(direction, "sent") == 0 ? "to" : "from",
			output_member(mail, "peer", &b[2]), output_member(mail, "kind", &b[3]),
			output_time(mail, "made_at", &b[4]), state_text(mail, &b[5]),
			output_time(mail, "since", &b[6])};

		output_table_add(&table, cells);
	}
	output_table_print(&table, stdout);
	err = table.err;
	output_table_release(&table);
	return err;
}

static void print_mail(const json_t *mail)
{
	struct output_buffer b;
	const json_t *text = json_object_get(mail, "text");
	bool sent = strcmp(output_member(mail, "direction", &b), "sent") == 0;

	printf("%-10s", sent ? "to" : "from");
	output_text(stdout, output_member(mail, "peer", &b), false);
	printf("\n%-10s%s\n", "made", output_time(mail, "made_at", &b));
	printf("%-10s", "state");
	output_text(stdout, state_text(mail, &b), false);
	printf("\n%-10s%s\n", "since", output_time(mail, "since", &b));
	if (json_is_string(text)) {
		putchar('\n');
		output_text(stdout, json_string_value(text), true);
		putchar('\n');
	}
}

static enum err run_show(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__MailShowRequest show = SAUTI__MAIL_SHOW_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;

	show.id = (char *)args_at(args, 0);
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_MAIL_SHOW;
	request.mail_show = &show;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	if (cli->json)
		output_json(answer);
	else
		print_mail(answer);
	return OK;
}

static enum err run_delete(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__MailDeleteRequest delete = SAUTI__MAIL_DELETE_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;

	delete.id = (char *)args_at(args, 0);
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_MAIL_DELETE;
	request.mail_delete = &delete;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	if (cli->json)
		output_json(answer);
	return OK;
}

static enum err run_refused(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	static const char *const heads[] = {"ID", "FROM", "KIND", "REASON", "REFUSED", "MADE"};
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__MailRefusedRequest refused = SAUTI__MAIL_REFUSED_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *all = NULL;
	struct output_table table;
	json_t *mail;
	size_t i;
	enum err err;

	(void)args;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_MAIL_REFUSED;
	request.mail_refused = &refused;
	TRY(daemon_list(cli, &request, &all, ctx));
	if (cli->json) {
		output_json(all);
		return OK;
	}
	output_table_init(&table, heads, 6);
	json_array_foreach(all, i, mail)
	{
		struct output_buffer b[6];
		const char *cells[] = {output_member(mail, "id", &b[0]),
			output_member(mail, "from", &b[1]), output_member(mail, "kind", &b[2]),
			output_member(mail, "reason", &b[3]), output_time(mail, "at", &b[4]),
			output_time(mail, "made_at", &b[5])};

		output_table_add(&table, cells);
	}
	output_table_print(&table, stdout);
	err = table.err;
	output_table_release(&table);
	return err;
}

static const struct cli_option send_options[] = {
	{"to", "NODE", "whom it is for", false},
	{0},
};

static const struct cli_option list_options[] = {
	{"all", NULL, "addresses that nodes tell each other, too", false},
	{0},
};

const struct cli_command mail_commands[] = {
	{"mail", "send", "[TEXT]", "a notice to another node's operator, sealed to that node",
		"The text, at most 4,096 bytes, is read from stdin when it is not given, or '-':\n"
		"what stands on a command line others on this machine may read. This node and the\n"
		"other must be unlocked, not at the same time; the notice waits, and travels\n"
		"through any node.",
		0, 1, send_options, run_send},
	{"mail", "list", "", "notices sent and received, and how far they got",
		"waiting: nobody has taken it yet. in custody of NODE: that node has it on its "
		"disk\n"
		"and hands it on; for seven days nobody else is asked. delivered: the other node\n"
		"has opened it, and signed that. unopened: for this node, which is locked.",
		0, 0, list_options, run_list},
	{"mail", "show", "ID", "one item, and the text of a received notice", NULL, 1, 1, NULL,
		run_show},
	{"mail", "delete", "ID", "a received notice, for good", NULL, 1, 1, NULL, run_delete},
	{"mail", "release", "NODE", "let keys leave for a node although headquarters is silent",
		"When nothing that headquarters signed is younger than 30 days, mail that brings "
		"keys\n"
		"waits: a revocation may be missing. Compare the node's words on the telephone; a\n"
		"second officer agrees with their passphrase. It holds for a day, until the node "
		"is\n"
		"locked, and stands in the ledger.",
		1, 1, mail_release_options, mail_release_run},
	{"mail", "refused", "", "mail that this node did not take, and why",
		"form: not what its kind must be. sender: no active member. keys: not its "
		"sender's\n"
		"to give, or known as something else. case: one that is not its sender's. erased:\n"
		"destroyed here before. ended: its last day has passed. signer: the wrong key.",
		0, 0, NULL, run_refused},
	{0},
};
