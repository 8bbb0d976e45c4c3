/*
 * sauti case add | import
 *
 *	case add CASE TYPE --FIELD ..	one event out of options
 *	case add [CASE [TYPE]]		.. asked for, one question at a time
 *	case add --resume [N]		.. from where the questions stopped
 *	case add CASE --from FILE	events as JSON lines
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/case/case.h"
#include "cli/case/pick.h"
#include "cli/case/types.h"
#include "cli/daemon.h"
#include "cli/form.h"
#include "cli/officer.h"
#include "cli/output.h"
#include "cli/wait.h"

/* ---- what was recorded ---- */

static enum err report(const struct cli *cli, const char *kase, const json_t *event,
	const struct import_counts *counts, struct errctx *ctx)
{
	struct output_buffer b;
	const struct schema_type *type =
		schema_type_find(bytes_str(output_member(event, "type", &b)));
	json_t *json = json_pack("{s:s,s:s,s:I,s:I,s:I}", "case", kase, "type",
		output_member(event, "type", &b), "events", (json_int_t)counts->events, "added",
		(json_int_t)counts->added, "known", (json_int_t)counts->known);

	return wait_report(
		cli, json, ctx, "recorded in %s: %s", kase, type == NULL ? "" : type->title);
}

/* ---- questions ---- */

static enum err record_form(struct form *form, struct errctx *ctx)
{
	struct import_counts counts = {0};
	struct errctx why = {""};
	enum err err;

	TRY(case_event_append(form->cli, form->event, &counts, ctx));
	err = form->draft.number == 0 ? OK : draft_remove(form->cli, form->draft.number, &why);
	if (err != OK && err != ERR_NOTFOUND)
		cli_note(form->cli, "recorded, but draft %u is still there: %s", form->draft.number,
			err_message(&why, err));
	return report(form->cli, form->kase, form->event, &counts, ctx);
}

static enum err ask_event(struct cli *cli, const struct cli_args *args, struct ask *ask,
	const struct schema_type *type, const struct case_view *view, struct errctx *ctx)
{
	struct form form;
	enum err err;

	TRY(case_view_allows(view, type, ctx));
	err = form_begin(&form, cli, ask, type, view);
	form.keeping = true;
	if (err == OK)
		err = case_event_fields(cli, args, form.event, ctx);
	if (err == OK)
		err = case_types_fields(cli, args, type, form.today, form.event, ctx);
	if (err == OK)
		err = case_view_resolve(view, type, form.event, ctx);
	if (err == OK)
		err = form_ask(&form, record_form, ctx);
	form_release(&form);
	return err;
}

static enum err resume_form(struct cli *cli, struct ask *ask, uint32_t number, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *head = NULL;
	CLEANUP(daemon_json_release) json_t *body = NULL;
	CLEANUP(case_view_release) struct case_view view = {0};
	struct output_buffer b;
	const struct schema_type *type;
	struct form form;
	enum err err;

	TRY(draft_get(cli, number, &head, &body, ctx));
	TRY(case_view_load(cli, output_member(head, "case", &b), &view, ctx));
	type = schema_type_find(
		bytes_str(output_member(json_object_get(body, "event"), "type", &b)));
	if (type == NULL)
		return err_set(ctx, ERR_MALFORMED,
			"draft %u is of another version of this program: discard it", number);
	err = form_begin(&form, cli, ask, type, &view);
	form.keeping = true;
	if (err == OK)
		err = form_resume(&form, number, body, ctx);
	if (err == OK)
		err = form_ask(&form, record_form, ctx);
	form_release(&form);
	return err;
}

/* The number given, or the one draft there is, or one of several. */
static enum err resume(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(ask_close) struct ask ask = {0};
	uint64_t number = 0;

	TRY(ask_open(cli, args, "there is no terminal to ask on: --ask takes answers from a pipe",
		&ask, ctx));
	if (args->count > 1)
		return cli_usage(cli, ctx, "--resume takes the number of a draft, or nothing");
	if (args->count == 0)
		TRY(case_pick_draft(cli, &ask, &number, ctx));
	else if (decimal_parse(bytes_str(args_at(args, 0)), UINT32_MAX, &number) != OK)
		return cli_usage(cli, ctx, "--resume takes the number of a draft");
	return resume_form(cli, &ask, (uint32_t)number, ctx);
}

/* What is NULL is asked for. */
static enum err add_asking(struct cli *cli, const struct cli_args *args, const char *kase_name,
	const char *type_name, struct errctx *ctx)
{
	CLEANUP(ask_close) struct ask ask = {0};
	CLEANUP(case_view_release) struct case_view view = {0};
	const struct schema_type *type = NULL;
	char kase[CASE_REF_TEXT + 1];

	if (type_name != NULL)
		TRY(case_types_find(cli, type_name, &type, ctx));
	TRY(ask_open(cli, args,
		"what is to be recorded? CASE and TYPE are needed: 'sauti case types' lists the "
		"types",
		&ask, ctx));
	if (kase_name == NULL)
		TRY(case_pick_case(cli, &ask, kase, ctx));
	TRY(case_view_load(cli, kase_name == NULL ? kase : kase_name, &view, ctx));
	if (type == NULL)
		TRY(case_pick_type(&ask, &type, ctx));
	return ask_event(cli, args, &ask, type, &view, ctx);
}

/* ---- options alone ---- */

/* Only then is the whole case read. */
static bool names_others(const struct schema_type *type, const json_t *event)
{
	const struct schema_field *field;

	for (size_t i = 0; (field = schema_field_at(type, i)) != NULL; i++) {
		const char *text = json_string_value(json_object_get(event, field->name));

		if (field->kind == FIELD_EVENT && text != NULL && case_view_is_number(text))
			return true;
	}
	return false;
}

static enum err resolve_others(const struct cli *cli, const char *kase,
	const struct schema_type *type, json_t *event, struct errctx *ctx)
{
	CLEANUP(case_view_release) struct case_view view = {0};

	TRY(case_view_load(cli, kase, &view, ctx));
	return case_view_resolve(&view, type, event, ctx);
}

static enum err set_today_if_absent(json_t *event, const char *today)
{
	if (json_object_get(event, "occurred_on") != NULL)
		return OK;
	return json_object_set_new(event, "occurred_on", json_string(today)) == 0 ? OK : ERR_NOMEM;
}

static enum err add_typed(struct cli *cli, const struct cli_args *args, const char *type_name,
	json_t *given, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *event = NULL;
	const struct schema_type *type;
	struct import_counts counts = {0};
	char ref[CASE_REF_TEXT + 1], today[11];

	case_today(today);
	TRY(case_types_find(cli, type_name, &type, ctx));
	event = json_pack("{s:s}", "type", event_type_get(type->number)->name);
	if (event == NULL)
		return ERR_NOMEM;
	if (given != NULL && json_object_update(event, given) != 0)
		return ERR_NOMEM;
	TRY(case_event_fields(cli, args, event, ctx));
	TRY(case_types_fields(cli, args, type, today, event, ctx));
	TRY(set_today_if_absent(event, today));
	if (names_others(type, event))
		TRY(resolve_others(cli, args_at(args, 0), type, event, ctx));
	TRY(case_find_ref(cli, args_at(args, 0), ref, ctx));
	if (json_object_set_new(event, "case_ref", json_string(ref)) != 0)
		return ERR_NOMEM;
	TRY(case_event_append(cli, event, &counts, ctx));
	return report(cli, args_at(args, 0), event, &counts, ctx);
}

/* --type and --field: names and values as they are in the event. */
static enum err add_plain(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *event = NULL;
	struct import_counts counts = {0};
	char ref[CASE_REF_TEXT + 1];

	event = json_pack("{s:s}", "type", args_option(args, "type"));
	if (event == NULL)
		return cli_usage(cli, ctx, "--type is not UTF-8");
	TRY(case_event_fields(cli, args, event, ctx));
	TRY(case_find_ref(cli, args_at(args, 0), ref, ctx));
	if (json_object_set_new(event, "case_ref", json_string(ref)) != 0)
		return ERR_NOMEM;
	TRY(case_event_append(cli, event, &counts, ctx));
	return case_report_counts(cli, &counts, ctx);
}

static enum err add_file(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	struct import_counts counts = {0};
	char ref[CASE_REF_TEXT + 1];

	if (args_option(args, "field") != NULL || case_types_given(args))
		return cli_usage(cli, ctx, "fields go with a type, not with --from");
	TRY(case_find_ref(cli, args_at(args, 0), ref, ctx));
	TRY(import_events(cli, args_option(args, "from"), ref, &counts, ctx));
	return case_report_counts(cli, &counts, ctx);
}

enum err case_add_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	bool typed = args->count == 2, plain = args_option(args, "type") != NULL;
	bool file = !typed && args_option(args, "from") != NULL;

	if (args_flag(args, "resume"))
		return resume(cli, args, ctx);
	if (plain + typed + file > 1)
		return cli_usage(cli, ctx, "one of TYPE, --type and --from is enough");
	if ((plain || file) && args->count == 0)
		return cli_usage(cli, ctx, "which CASE?");
	if (plain)
		return add_plain(cli, args, ctx);
	if (file)
		return add_file(cli, args, ctx);
	if (typed && !case_types_asks(args))
		return add_typed(cli, args, args_at(args, 1), NULL, ctx);
	/* "case add contact": a type, and no case yet. */
	if (args->count == 1 && schema_type_find(bytes_str(args_at(args, 0))) != NULL)
		return add_asking(cli, args, NULL, args_at(args, 0), ctx);
	return add_asking(cli, args, args_at(args, 0), args_at(args, 1), ctx);
}

/* ---- short ways to types that are about the case itself ---- */

static enum err add_of(
	struct cli *cli, const struct cli_args *args, const char *type_name, struct errctx *ctx)
{
	return case_types_asks(args) ? add_asking(cli, args, args_at(args, 0), type_name, ctx)
				     : add_typed(cli, args, type_name, NULL, ctx);
}

enum err case_close_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	return add_of(cli, args, "close", ctx);
}

enum err case_reopen_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	return add_of(cli, args, "reopen", ctx);
}

/* Can the officer see the case at all? A name mistyped would take it from whoever assigns it; a
 * supervisor goes on seeing it, and may know better. Of other nodes nothing is known here. */
static enum err check_assigned(const struct cli *cli, const char *officer, struct errctx *ctx)
{
	struct errctx why = {""};
	bool there = true, supervisor = true;

	if (strchr(officer, '@') != NULL || officer_may_unlock(cli, officer, &there, &why) != OK ||
		there)
		return OK;
	if (officer_is_supervisor(cli, &supervisor, &why) == OK && !supervisor)
		return err_set(ctx, ERR_NOTFOUND,
			"no '%.64s' can unlock this node ('sauti officer list'): nobody but a "
			"supervisor would see the case",
			officer);
	cli_note(cli,
		"no '%.64s' can unlock this node ('sauti officer list'): as long as that is so "
		"they do not see the case",
		officer);
	return OK;
}

enum err case_assign_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(daemon_json_release)
	json_t *event = json_pack("{s:s}", "officer_key", args_at(args, 1));
	char ref[CASE_REF_TEXT + 1], today[11];
	struct errctx why = {""};

	if (event == NULL)
		return cli_usage(cli, ctx, "OFFICER is a name");
	case_today(today);
	if (args_option(args, "role") == NULL)
		json_object_set_new(event, "role", json_string("LEAD"));
	if (args_option(args, "from") == NULL)
		json_object_set_new(event, "from", json_string(today));
	TRY(check_assigned(cli, args_at(args, 1), ctx));
	TRY(add_typed(cli, args, "assignment", event, ctx));
	/* Recorded: what follows is no error. */
	if (case_find_ref(cli, args_at(args, 0), ref, &why) == ERR_NOTFOUND)
		cli_note(cli, "%s is handed over: you do not see it any more", args_at(args, 0));
	return OK;
}
