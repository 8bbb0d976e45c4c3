/* sauti case open */
#include <stdio.h>

#include "base/crypto.h"
#include "cases/event/case_code.h"
#include "cli/case/case.h"
#include "cli/case/types.h"
#include "cli/daemon.h"
#include "cli/form.h"
#include "cli/output.h"
#include "cli/wait.h"

enum { CODE_TRIES_MAX = 16 };

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
	char ref[CASE_REF_TEXT + 1];
	enum err err = case_find_ref(cli, code, ref, ctx);

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
	const struct import_counts *counts, struct errctx *ctx)
{
	json_t *json = json_pack("{s:s, s:s, s:I}", "code", code, "case_ref", ref, "added",
		(json_int_t)counts->added);

	return wait_report(cli, json, ctx, "%s  %s  ", code, ref);
}

/* A case is opened on the day it is opened, unless somebody says otherwise. */
static enum err set_day(const struct cli_args *args, json_t *event)
{
	char today[11];

	if (args_option(args, "on") != NULL)
		return OK;
	case_today(today);
	return json_object_set_new(event, "occurred_on", json_string(today)) == 0 ? OK : ERR_NOMEM;
}

/* What helps to get in touch safely; the rest can wait. */
static enum err ask_event(
	struct cli *cli, const struct cli_args *args, json_t *event, struct errctx *ctx)
{
	static const char *const questions[] = {
		"intake_channel", "preferred_language", "safe_contact_method", NULL};
	CLEANUP(ask_close) struct ask ask = {0};
	struct form form;
	enum err err;

	TRY(ask_open(cli, args, "there is no terminal to ask on", &ask, ctx));
	err = form_begin(&form, cli, &ask, schema_type_get(EVENT_CASE_OPENED), NULL);
	form.only = questions;
	if (err == OK && json_object_update(form.event, event) != 0)
		err = ERR_NOMEM;
	if (err == OK)
		err = form_ask(&form, NULL, ctx);
	if (err == OK && json_object_update(event, form.event) != 0)
		err = ERR_NOMEM;
	form_release(&form);
	return err;
}

enum err case_open_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	const struct schema_type *type = schema_type_get(EVENT_CASE_OPENED);
	CLEANUP(daemon_json_release) json_t *event = NULL;
	const char *given = args_option(args, "code");
	char code[CASE_CODE_MAX + 1], ref[CASE_REF_TEXT + 1], today[11];
	struct import_counts counts = {0};
	struct case_ref id;

	case_today(today);
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
	TRY(case_event_fields(cli, args, event, ctx));
	TRY(case_types_fields(cli, args, type, today, event, ctx));
	TRY(set_day(args, event));
	if (case_types_asks(args))
		TRY(ask_event(cli, args, event, ctx));
	TRY(case_event_append(cli, event, &counts, ctx));
	return report_open(cli, code, ref, &counts, ctx);
}
