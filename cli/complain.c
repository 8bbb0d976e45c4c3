/* sauti case complain */
#include "cli/complain.h"

#include <errno.h>
#include <stdio.h>

#include "base/secret.h"
#include "base/text.h"
#include "cases/event/json_memory.h"
#include "cases/schema/schema.h"
#include "cli/case/case.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "cli/reply.h"
#include "proto/codec.h"

const struct cli_option complain_options_table[] = {
	{"about", "KIND", "delay, attitude, 'no update' ..: 'sauti case types complaint' has all",
		false},
	{"subject-officer", "NAME", "the officer it is about; NAME@NODE of another node", false},
	{"about-node", "NODE", "not to this node either", false},
	{"to", "NODE", "who is to read it (default: headquarters)", false},
	{"anonymous", NULL, "nobody is named as having recorded it", false},
	{"office", "CODE", "the office it is about (default: the node's country)", false},
	{"on", "DATE", "when it was made: a day, yesterday, YYYY-MM or YYYY", false},
	{"from", "FILE", "fields of COMPLAINT_RECEIVED as a JSON object ('-': stdin)", false},
	{"note-from", "FILE", "what the complaint says, as text ('-': stdin)", false},
	{0},
};

/* All of a file, or of stdin; at most max bytes. */
static enum err read_all(const char *path, struct buf *out, struct errctx *ctx)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	enum err err = OK;
	size_t n;

	if (file == NULL)
		return err_set(ctx, ERR_IO, "%s: %s", path, strerror(errno));
	if (buf_reserve(out, LIMIT_EVENT_JSON + 1) == NULL)
		err = out->err;
	n = err == OK ? fread(out->data, 1, LIMIT_EVENT_JSON + 1, file) : 0;
	if (err == OK && ferror(file))
		err = err_set(ctx, ERR_IO, "%s: %s", path, strerror(errno));
	else if (err == OK && n > LIMIT_EVENT_JSON)
		err = err_set(ctx, ERR_LIMIT, "%s: more than %d bytes", path, LIMIT_EVENT_JSON);
	out->size = n;
	if (file != stdin)
		(void)fclose(file);
	return err;
}

static enum err put_text(
	struct cli *cli, json_t *event, const char *name, struct bytes text, struct errctx *ctx)
{
	if (!utf8_valid(text))
		return cli_usage(cli, ctx, "%s: not UTF-8", name);
	if (json_object_get(event, name) != NULL)
		return cli_usage(cli, ctx, "%s: it is set already", name);
	return json_object_set_new(
		       event, name, json_stringn_nocheck((const char *)text.data, text.size)) == 0
		       ? OK
		       : ERR_NOMEM;
}

/* As people type codes: any case, or a beginning. */
static enum err put_about(
	struct cli *cli, const struct cli_args *args, json_t *event, struct errctx *ctx)
{
	const struct schema_type *type = schema_type_get(EVENT_COMPLAINT_RECEIVED);
	const struct schema_field *field = schema_field_find(type, bytes_str("about"));
	const char *text = args_option(args, "about");
	const struct code *code;
	struct buf allowed;

	if (text == NULL)
		return OK;
	code = code_guess(field->list, bytes_str(text));
	if (code != NULL)
		return put_text(cli, event, "about", bytes_str(code->name), ctx);
	buf_init(&allowed, 4096);
	schema_allowed(field, &allowed);
	cli_usage(cli, ctx, "--about is %.300s", buf_cstr(&allowed));
	buf_release(&allowed);
	return ERR_INVALID;
}

static enum err put_options(
	struct cli *cli, const struct cli_args *args, json_t *event, struct errctx *ctx)
{
	static const char *const fields[][2] = {
		{"subject-officer", "subject_officer"},
		{"office", "office"},
		{"on", "occurred_on"},
	};
	char today[11], day[11];

	case_today(today);

	TRY(put_about(cli, args, event, ctx));
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const char *text = args_option(args, fields[i][0]);

		if (i == 2 && text != NULL && reply_day(bytes_str(text), today, day))
			text = day;
		if (text != NULL)
			TRY(put_text(cli, event, fields[i][1], bytes_str(text), ctx));
	}
	if (args_flag(args, "anonymous"))
		TRY(put_text(cli, event, "anonymous", bytes_str("Y"), ctx));
	return OK;
}

/* One line feed at its end does not belong to a note. */
static enum err put_note(
	struct cli *cli, const struct cli_args *args, json_t *event, struct errctx *ctx)
{
	const char *path = args_option(args, "note-from");
	CLEANUP(buf_wipe) struct buf text;

	if (path == NULL)
		return OK;
	buf_init(&text, LIMIT_EVENT_JSON + 1);
	TRY(read_all(path, &text, ctx));
	if (text.size > 0 && text.data[text.size - 1] == '\n')
		text.size--;
	return put_text(cli, event, "note", buf_bytes(&text), ctx);
}

static enum err read_event(
	struct cli *cli, const struct cli_args *args, json_t **ret, struct errctx *ctx)
{
	const char *path = args_option(args, "from");
	CLEANUP(buf_wipe) struct buf text;
	json_error_t error;

	*ret = NULL;
	buf_init(&text, LIMIT_EVENT_JSON + 1);
	if (path == NULL) {
		*ret = json_object();
		return *ret == NULL ? ERR_NOMEM : OK;
	}
	TRY(read_all(path, &text, ctx));
	*ret = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(*ret))
		return err_set(ctx, ERR_MALFORMED, "%s:%d: not one JSON object", path,
			*ret == NULL ? error.line : 1);
	return OK;
}

static enum err make_event(
	struct cli *cli, const struct cli_args *args, json_t *event, struct errctx *ctx)
{
	const char *from = args_option(args, "from"), *note = args_option(args, "note-from");

	if (from != NULL && note != NULL && strcmp(from, "-") == 0 && strcmp(note, "-") == 0)
		return cli_usage(cli, ctx, "standard input is either --from or --note-from");
	TRY(put_options(cli, args, event, ctx));
	TRY(put_note(cli, args, event, ctx));
	if (json_object_get(event, "about") == NULL)
		return cli_usage(cli, ctx,
			"--about KIND says what the complaint is about: delay, attitude ..; 'sauti "
			"case types complaint' has all");
	return json_object_set_new(event, "type", json_string("COMPLAINT_RECEIVED")) == 0
		       ? OK
		       : ERR_NOMEM;
}

static void report(const struct cli *cli, json_t *answer)
{
	struct output_buffer b;
	bool kept = strcmp(output_member(answer, "state", &b), "kept") == 0;

	if (cli->json) {
		output_json(answer);
		return;
	}
	printf(kept ? "kept, sealed to '" : "recorded, sealed to '");
	output_text(stdout, output_member(answer, "to", &b), false);
	printf("'. Nobody at this node can read it.\n");
	printf("reference  ");
	output_text(stdout, output_member(answer, "case_code", &b), false);
	printf("\nevent      ");
	output_text(stdout, output_member(answer, "event_id", &b), false);
	printf("\nleaf hash  ");
	output_text(stdout, output_member(answer, "leaf_hash", &b), false);
	printf("\n");
	if (kept) {
		printf("It is on this node's disk and will be recorded and sent by itself; it "
		       "waits now: ");
		output_text(stdout, output_member(answer, "message", &b), false);
		printf(".\nDo not record it again.\n");
	}
}

static enum err ask(
	struct cli *cli, const struct cli_args *args, const json_t *event, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__ComplainRequest complain = SAUTI__COMPLAIN_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	const char *to = args_option(args, "to"), *about = args_option(args, "about-node");
	char *line = json_dumps(event, JSON_COMPACT);
	enum err err;

	if (line == NULL)
		return ERR_NOMEM;
	complain.line = codec_binary(bytes_str(line));
	complain.to = (char *)(to == NULL ? "" : to);
	complain.about_node = (char *)(about == NULL ? "" : about);
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_COMPLAIN;
	request.complain = &complain;
	err = daemon_call(cli, &request, &answer, NULL, ctx);
	wipe(line, strlen(line));
	json_text_free(line);
	if (err == ERR_CLOSED || err == ERR_TIMEOUT)
		return err_wrap(ctx, err,
			"whether the complaint was recorded is not known: it is all there or not "
			"at all; 'sauti mail list' shows a new item for its node when it is. "
			"Without one, record it again");
	if (err == OK)
		report(cli, answer);
	return err;
}

enum err complain_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *event = NULL;

	TRY(read_event(cli, args, &event, ctx));
	TRY(make_event(cli, args, event, ctx));
	return ask(cli, args, event, ctx);
}
