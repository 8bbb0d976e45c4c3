/* What the commands on cases share: asking for a case, building an event, recording it. */
#include "cli/case/case.h"

#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "base/crypto.h"
#include "base/secret.h"
#include "cases/event/case_code.h"
#include "cases/event/json_memory.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "cli/reply.h"
#include "cli/wait.h"

/* A slip in a code is told apart from a case that is not here. */
static enum err not_known(const char *name, enum err err, struct errctx *ctx)
{
	if (err == ERR_NOTFOUND && case_code_check(bytes_str(name)) == CASE_CODE_WRONG)
		return err_set(ctx, err,
			"no case '%.40s' is known here; its last character does not fit the "
			"others: is there a slip in it?",
			name);
	return err;
}

/* The node answers with the case and then with each event, so that no answer outgrows a frame; here
 * they become one document whose member `events` is the list. */
enum err case_ask(const struct cli *cli, const char *name, json_t **ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseShowRequest show = SAUTI__CASE_SHOW_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *events = NULL;
	json_t *kase;

	show.case_ = (char *)name;
	show.purpose = (char *)(cli->purpose == NULL ? "" : cli->purpose);
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_SHOW;
	request.case_show = &show;
	TRY(not_known(name, daemon_list(cli, &request, &events, ctx), ctx));
	kase = json_incref(json_array_get(events, 0));
	if (kase == NULL)
		return err_set(ctx, ERR_MALFORMED, "the node's answer is empty");
	json_array_remove(events, 0);
	if (json_object_set(kase, "events", events) != 0) {
		json_decref(kase);
		return err_set(ctx, ERR_MALFORMED, "the node's answer is not a case");
	}
	*ret = kase;
	return OK;
}

/* CASE is a code or 32 hex digits; the daemon knows which case that is. */
enum err case_find_ref(
	const struct cli *cli, const char *name, char ret[CASE_REF_TEXT + 1], struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseShowRequest show = SAUTI__CASE_SHOW_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *found = NULL;
	struct output_buffer buffer;
	struct case_ref ref;

	show.case_ = (char *)name;
	show.head = true;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_SHOW;
	request.case_show = &show;
	TRY(not_known(name, daemon_call(cli, &request, &found, NULL, ctx), ctx));
	if (case_ref_parse(bytes_str(output_member(found, "case_ref", &buffer)), &ref) != OK)
		return err_set(ctx, ERR_MALFORMED, "the daemon gave no case_ref for the case");
	case_ref_text(&ref, ret);
	return OK;
}

void case_today(char ret[11])
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(ret, 11, "%Y-%m-%d", &tm);
}

bool case_day_to_come(const char *day)
{
	char today[11];
	long days;

	case_today(today);
	return reply_days_between(today, day, &days) && days > 1;
}

enum err case_new_event_id(char ret[EVENT_ID_TEXT + 1])
{
	struct timespec now;
	uint8_t random[10];
	struct event_id id;

	TRY(random_bytes(random, sizeof(random)));
	clock_gettime(CLOCK_REALTIME, &now);
	id = event_id_make((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000, random);
	event_id_text(&id, ret);
	return OK;
}

void case_text_free(char *text)
{
	if (text != NULL)
		wipe(text, strlen(text));
	mem_free(text);
}

/* ---- building an event ---- */

static enum err bad_field(struct cli *cli, struct errctx *ctx)
{
	/* What was given may be of a case: it is not repeated. */
	return cli_usage(cli, ctx, "--field is name=text, or name:=JSON for what is not text");
}

static enum err add_field(struct cli *cli, json_t *event, const char *text, struct errctx *ctx)
{
	const char *equals = strchr(text, '=');
	char name[EVENT_FIELD_NAME_MAX + 1];
	json_t *value = NULL;
	json_error_t error;
	size_t size;
	bool json;

	if (equals == NULL || equals == text)
		return bad_field(cli, ctx);
	json = equals[-1] == ':';
	size = (size_t)(equals - text) - json;
	if (size == 0 || size >= sizeof(name))
		return bad_field(cli, ctx);
	memcpy(name, text, size);
	name[size] = '\0';
	value = json ? json_loads(equals + 1, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error)
		     : json_string(equals + 1);
	if (value == NULL)
		return cli_usage(cli, ctx, "--field %s: %s", name,
			json ? "what stands behind := is no JSON" : "not UTF-8");
	if (json_object_get(event, name) != NULL) {
		json_decref(value);
		return cli_usage(cli, ctx, "--field %s: it is set already", name);
	}
	return json_object_set_new(event, name, value) == 0 ? OK : ERR_NOMEM;
}

enum err case_event_common(
	struct cli *cli, const struct cli_args *args, json_t *event, struct errctx *ctx)
{
	static const char *const common[][2] = {
		{"office", "office"},
		{"on", "occurred_on"},
		{"officer", "recorded_by"},
		{"language", "language"},
	};
	char today[11], day[11];

	case_today(today);

	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
		const char *text = args_option(args, common[i][0]);

		if (text != NULL && i == 1 && strcmp(text, "unknown") == 0)
			text = "";
		else if (text != NULL && i == 1 && reply_day(bytes_str(text), today, day))
			text = day;
		if (text != NULL && i == 1 && case_day_to_come(text))
			return cli_usage(cli, ctx,
				"--on %.10s is yet to come: it is the day when it happened", text);
		if (text != NULL &&
			json_object_set_new(event, common[i][1], json_string(text)) != 0)
			return cli_usage(cli, ctx, "--%s is not UTF-8", common[i][0]);
	}
	return OK;
}

enum err case_event_fields(
	struct cli *cli, const struct cli_args *args, json_t *event, struct errctx *ctx)
{
	TRY(case_event_common(cli, args, event, ctx));
	for (size_t i = 0;; i++) {
		const char *text = args_option_at(args, "field", i);

		if (text == NULL)
			return OK;
		TRY(add_field(cli, event, text, ctx));
	}
}

enum err case_event_append(
	const struct cli *cli, const json_t *event, struct import_counts *ret, struct errctx *ctx)
{
	char *text = json_dumps(event, JSON_COMPACT);
	enum err err;

	if (text == NULL)
		return ERR_NOMEM;
	err = import_line(cli, bytes_str(text), ret, ctx);
	wipe(text, strlen(text));
	json_text_free(text);
	return err;
}

json_t *case_counts_json(const struct import_counts *counts)
{
	return json_pack("{s:I, s:I, s:I}", "events", (json_int_t)counts->events, "added",
		(json_int_t)counts->added, "known", (json_int_t)counts->known);
}

enum err case_report_counts(
	const struct cli *cli, const struct import_counts *counts, struct errctx *ctx)
{
	return wait_report(cli, case_counts_json(counts), ctx,
		"events added: %llu, already there: %llu", (unsigned long long)counts->added,
		(unsigned long long)counts->known);
}

enum err case_day_option(struct cli *cli, const struct cli_args *args, const char *option,
	char ret[11], struct errctx *ctx)
{
	const char *given = args_option(args, option);
	char today[11];
	long days;

	ret[0] = '\0';
	if (given == NULL)
		return OK;
	case_today(today);
	if (!reply_day(bytes_str(given), today, ret))
		snprintf(ret, 11, "%.10s", given);
	return strlen(given) <= 10 && reply_days_between(today, ret, &days)
		       ? OK
		       : cli_usage(cli, ctx, "--%s is a day: YYYY-MM-DD, today, +14d", option);
}
