/* sauti case open | add | show | list | import */
#include <stdio.h>
#include <time.h>

#include "base/crypto.h"
#include "base/secret.h"
#include "base/text.h"
#include "cases/event/case_code.h"
#include "cases/event/json_memory.h"
#include "cli/daemon.h"
#include "cli/import.h"
#include "cli/output.h"

enum { CODE_TRIES_MAX = 16, REF_TEXT = 2 * CASE_REF_SIZE };

/* The node answers with the case and then with each event, so that no answer outgrows a frame; here
 * they become one document whose member `events` is the list. */
static enum err ask_case(const struct cli *cli, const char *name, json_t **ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseShowRequest show = SAUTI__CASE_SHOW_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *events = NULL;
	json_t *kase;

	show.case_ = (char *)name;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_SHOW;
	request.case_show = &show;
	TRY(daemon_list(cli, &request, &events, ctx));
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

static enum err add_fields(
	struct cli *cli, const struct cli_args *args, json_t *event, struct errctx *ctx)
{
	static const char *const common[][2] = {
		{"office", "office"},
		{"on", "occurred_on"},
		{"officer", "recorded_by"},
	};

	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
		const char *text = args_option(args, common[i][0]);

		if (text != NULL &&
			json_object_set_new(event, common[i][1], json_string(text)) != 0)
			return cli_usage(cli, ctx, "--%s is not UTF-8", common[i][0]);
	}
	for (size_t i = 0;; i++) {
		const char *text = args_option_at(args, "field", i);

		if (text == NULL)
			return OK;
		TRY(add_field(cli, event, text, ctx));
	}
}

static enum err append_event(
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

/* ---- open ---- */

/* The node's own country, for the code of a case. */
static enum err own_country(const struct cli *cli, char ret[4], struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__StatusRequest status = SAUTI__STATUS_REQUEST__INIT;
	Sauti__NodeListRequest list = SAUTI__NODE_LIST_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	CLEANUP(daemon_json_release) json_t *nodes = NULL;
	struct output_buffer name, country;
	const char *found;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_STATUS;
	request.status = &status;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	list.name = (char *)output_member(answer, "node", &name);
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_NODE_LIST;
	request.node_list = &list;
	TRY(daemon_list(cli, &request, &nodes, ctx));
	found = output_member(json_array_get(nodes, 0), "country", &country);
	if (strlen(found) != 3)
		return err_set(ctx, ERR_INVALID, "this node has no country: say --office CODE");
	memcpy(ret, found, 4);
	return OK;
}

static enum err is_free(const struct cli *cli, const char *code, bool *ret, struct errctx *ctx)
{
	json_t *found = NULL;
	enum err err = ask_case(cli, code, &found, ctx);

	json_decref(found);
	if (err != OK && err != ERR_NOTFOUND)
		return err;
	*ret = err == ERR_NOTFOUND;
	return OK;
}

static enum err make_code(
	struct cli *cli, const char *office, char ret[CASE_CODE_MAX + 1], struct errctx *ctx)
{
	uint8_t random[CASE_CODE_RANDOM_SIZE];
	char country[4] = "";
	bool good = false;

	if (office == NULL)
		TRY(own_country(cli, country, ctx));
	for (int i = 0; i < CODE_TRIES_MAX && !good; i++) {
		TRY(random_bytes(random, sizeof(random)));
		if (case_code_make(bytes_str(office == NULL ? country : office), random, ret) != OK)
			return cli_usage(cli, ctx, "--office is three capitals of ISO 3166-1");
		TRY(is_free(cli, ret, &good, ctx));
	}
	return good ? OK : err_set(ctx, ERR_FULL, "no free case code found");
}

static enum err take_code(
	struct cli *cli, const char *given, char ret[CASE_CODE_MAX + 1], struct errctx *ctx)
{
	enum case_code_kind kind = case_code_check(bytes_str(given));
	bool good;

	if (kind == CASE_CODE_INVALID || case_code_normal(bytes_str(given), ret) != OK)
		return cli_usage(
			cli, ctx, "--code: at most %d letters, digits and hyphens", CASE_CODE_MAX);
	if (kind == CASE_CODE_WRONG)
		return err_set(ctx, ERR_INVALID,
			"case code '%s': its last character does not fit the others", ret);
	TRY(is_free(cli, ret, &good, ctx));
	return good ? OK : err_set(ctx, ERR_EXISTS, "case code '%s': there is such a case", ret);
}

static enum err report_open(const struct cli *cli, const char *code, const char *ref,
	const struct import_counts *counts)
{
	json_t *json = json_pack("{s:s, s:s, s:I}", "code", code, "case_ref", ref, "added",
		(json_int_t)counts->added);

	if (json == NULL)
		return ERR_NOMEM;
	if (cli->json)
		output_json(json);
	else
		printf("%s  %s\n", code, ref);
	json_decref(json);
	return OK;
}

/* A case is opened on the day it is opened, in universal time, unless somebody says otherwise. */
static enum err set_today(json_t *event)
{
	time_t now = time(NULL);
	char today[16];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(today, sizeof(today), "%Y-%m-%d", &tm);
	return json_object_set_new(event, "occurred_on", json_string(today)) == 0 &&
			       json_object_set_new(event, "precision", json_string("D")) == 0
		       ? OK
		       : ERR_NOMEM;
}

static enum err run_open(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *event = NULL;
	const char *given = args_option(args, "code");
	char code[CASE_CODE_MAX + 1], ref[REF_TEXT + 1];
	struct import_counts counts = {0};
	struct case_ref id;

	if (given != NULL)
		TRY(take_code(cli, given, code, ctx));
	else
		TRY(make_code(cli, args_option(args, "office"), code, ctx));
	TRY(random_bytes(id.b, sizeof(id.b)));
	case_ref_text(&id, ref);
	event = json_pack(
		"{s:s, s:s, s:s}", "type", "CASE_OPENED", "case_ref", ref, "case_code", code);
	if (event == NULL)
		return ERR_NOMEM;
	TRY(add_fields(cli, args, event, ctx));
	if (args_option(args, "on") == NULL)
		TRY(set_today(event));
	TRY(append_event(cli, event, &counts, ctx));
	return report_open(cli, code, ref, &counts);
}

/* ---- add, import ---- */

static enum err report_counts(const struct cli *cli, const struct import_counts *counts)
{
	json_t *json = json_pack("{s:I, s:I, s:I}", "events", (json_int_t)counts->events, "added",
		(json_int_t)counts->added, "known", (json_int_t)counts->known);

	if (json == NULL)
		return ERR_NOMEM;
	if (cli->json)
		output_json(json);
	else
		printf("events added: %llu, already there: %llu\n",
			(unsigned long long)counts->added, (unsigned long long)counts->known);
	json_decref(json);
	return OK;
}

/* CASE is a code or 32 hex digits; the daemon knows which case that is. */
static enum err find_ref(
	const struct cli *cli, const char *name, char ret[REF_TEXT + 1], struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *found = NULL;
	struct output_buffer buffer;
	struct case_ref ref;

	TRY(ask_case(cli, name, &found, ctx));
	if (case_ref_parse(bytes_str(output_member(found, "case_ref", &buffer)), &ref) != OK)
		return err_set(ctx, ERR_MALFORMED, "the daemon gave no case_ref for the case");
	case_ref_text(&ref, ret);
	return OK;
}

static enum err run_add(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *event = NULL;
	const char *type = args_option(args, "type"), *from = args_option(args, "from");
	struct import_counts counts = {0};
	char ref[REF_TEXT + 1];

	if ((type == NULL) == (from == NULL))
		return cli_usage(cli, ctx, "one of --type and --from is needed");
	if (from != NULL && args_option(args, "field") != NULL)
		return cli_usage(cli, ctx, "--field goes with --type");
	if (type != NULL) {
		event = json_pack("{s:s}", "type", type);
		if (event == NULL)
			return cli_usage(cli, ctx, "--type is not UTF-8");
		TRY(add_fields(cli, args, event, ctx));
	}
	TRY(find_ref(cli, args_at(args, 0), ref, ctx));
	if (from != NULL) {
		TRY(import_events(cli, from, ref, &counts, ctx));
	} else {
		if (json_object_set_new(event, "case_ref", json_string(ref)) != 0)
			return ERR_NOMEM;
		TRY(append_event(cli, event, &counts, ctx));
	}
	return report_counts(cli, &counts);
}

static enum err run_import(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	struct import_counts counts;

	TRY(import_events(cli, args_at(args, 0), NULL, &counts, ctx));
	return report_counts(cli, &counts);
}

/* ---- show, list ---- */

/* Members that stand in the head line of an event, or that only programs need. */
static bool is_plumbing(const char *name)
{
	static const char *const names[] = {"type", "event_id", "case_ref", "occurred_on",
		"precision", "recorded_at", "recorded_by", "office"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static void print_event(json_t *event)
{
	struct output_buffer b;
	const char *on = output_member(event, "occurred_on", &b), *name;
	json_t *value;

	printf("\n%-10s  ", on[0] == '\0' ? "no date" : on);
	output_text(stdout, output_member(event, "type", &b), false);
	printf("  (");
	output_text(stdout, output_member(event, "recorded_by", &b), false);
	printf(", %s)\n", output_time(event, "recorded_at", &b));
	json_object_foreach(event, name, value)
	{
		if (is_plumbing(name))
			continue;
		printf("    ");
		output_text(stdout, name, false);
		printf(": ");
		output_text(stdout, output_member(event, name, &b), false);
		putchar('\n');
	}
}

static enum err run_show(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *found = NULL;
	struct output_buffer b;
	json_t *event;
	size_t i;

	TRY(ask_case(cli, args_at(args, 0), &found, ctx));
	if (cli->json) {
		output_json(found);
		return OK;
	}
	output_text(stdout, output_member(found, "code", &b), false);
	printf("  ");
	output_text(stdout, output_member(found, "case_ref", &b), false);
	printf("  %zu events\n", json_array_size(json_object_get(found, "events")));
	if (json_object_get(found, "newest") != NULL)
		printf("newest entry: %s\n",
			output_state(
				json_object_get(json_object_get(found, "newest"), "state"), &b));
	json_array_foreach(json_object_get(found, "events"), i, event) print_event(event);
	return OK;
}

static enum err run_list(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	static const char *const heads[] = {"CODE", "OPENED", "LAST", "EVENTS", "CASE_REF"};
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseListRequest list = SAUTI__CASE_LIST_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *cases = NULL;
	struct output_table table;
	json_t *item;
	size_t i;
	enum err err;

	(void)args;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_LIST;
	request.case_list = &list;
	TRY(daemon_list(cli, &request, &cases, ctx));
	if (cli->json) {
		output_json(cases);
		return OK;
	}
	output_table_init(&table, heads, 5);
	json_array_foreach(cases, i, item)
	{
		struct output_buffer b[5];
		const char *cells[] = {output_member(item, "code", &b[0]),
			output_member(item, "opened_on", &b[1]),
			output_member(item, "last_on", &b[2]), output_member(item, "events", &b[3]),
			output_member(item, "case_ref", &b[4])};

		output_table_add(&table, cells);
	}
	output_table_print(&table, stdout);
	err = table.err;
	output_table_release(&table);
	return err;
}

#define EVENT_OPTIONS                                                                              \
	{"office", "CODE", "the event's office (default: the node's country)", false},             \
		{"on", "DATE", "when it happened: YYYY-MM-DD, YYYY-MM or YYYY", false},            \
		{"officer", "NAME", "who records it (default: the node's)", false},                \
	{                                                                                          \
		"field", "NAME=TEXT", "a field of the event; NAME:=JSON for what is not text",     \
			true                                                                       \
	}

static const struct cli_option open_options[] = {
	{"code", "CODE", "the case's code (default: a new one)", false},
	EVENT_OPTIONS,
	{0},
};
static const struct cli_option add_options[] = {
	{"type", "TYPE", "the event's type, as CONTACT", false},
	{"from", "FILE", "events as JSON lines from a file ('-': stdin)", false},
	EVENT_OPTIONS,
	{0},
};

const struct cli_command case_commands[] = {
	{"case", "open", "", "open a case: prints its code and its case_ref",
		"Other users of this machine can see arguments while the command runs: use\n"
		"'case add --from -' for anything that says more than a code.",
		0, 0, open_options, run_open},
	{"case", "add", "CASE", "record an event, or several, in a case",
		"CASE is a case code, or 32 hexadecimal digits. --type records one event made of\n"
		"--field options, --from those of a file, which may leave out case_ref.",
		1, 1, add_options, run_add},
	{"case", "show", "CASE", "everything recorded about a case", NULL, 1, 1, NULL, run_show},
	{"case", "list", "", "the cases this node can read", NULL, 0, 0, NULL, run_list},
	{"case", "import", "FILE|-", "record events of many cases from JSON lines",
		"Every line is checked before the first is recorded: after an error nothing has\n"
		"changed. Events that are there already are counted and left alone.",
		1, 1, NULL, run_import},
	{0},
};
