/*
 * sauti case correct: one field of one event. The old value stays where it is and is shown struck;
 * what is right is an event of its own.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cases/event/json_memory.h"
#include "cli/case/pick.h"
#include "cli/case/types.h"
#include "cli/case/view.h"
#include "cli/daemon.h"
#include "cli/form.h"
#include "cli/output.h"
#include "cli/wait.h"

enum { EVENTS_OFFERED = 20 };

/* The day of an event is no field of it: the event is recorded anew, and replaces the first. */
static const struct schema_field the_day = {
	.name = "occurred_on",
	.kind = FIELD_DATE,
	.required = true,
	.ask = "When was it? (a day, YYYY-MM or YYYY, today, yesterday)",
};

struct correcting {
	struct cli *cli;
	const struct cli_args *args;
	struct ask ask; /* opened when the first question comes */
	const struct case_view *view;
	const json_t *target;
	const struct schema_type *type;
	const struct schema_field *field;
	json_t *value;
	char reason[EVENT_FIELD_NAME_MAX + 1];
};

static void correcting_release(struct correcting *c)
{
	ask_close(&c->ask);
	json_decref(c->value);
}

/* Opens the terminal once; without one, `missing` is the usage error. */
static enum err need_ask(struct correcting *c, const char *missing, struct errctx *ctx)
{
	return c->ask.term.file != NULL ? OK : ask_open(c->cli, c->args, missing, &c->ask, ctx);
}

/* ---- which event ---- */

static bool may_be_corrected(const json_t *event)
{
	struct output_buffer b;
	const char *type = output_member(event, "type", &b);

	return strcmp(type, "CORRECTION") != 0 && strcmp(type, "CONFLICT_RESOLVED") != 0 &&
	       schema_type_find(bytes_str(type)) != NULL;
}

static enum err pick_event(struct correcting *c, struct errctx *ctx)
{
	struct reply_choices choices = {.count = 0};
	size_t numbers[EVENTS_OFFERED], picked;
	char name[REPLY_NAME_MAX], text[REPLY_TEXT_MAX];

	for (size_t i = json_array_size(c->view->events); i-- > 0;) {
		const json_t *event = json_array_get(c->view->events, i);
		struct output_buffer b[2];

		if (!may_be_corrected(event) || choices.count == EVENTS_OFFERED)
			continue;
		numbers[choices.count] = i;
		snprintf(name, sizeof(name), "#%zu", i + 1);
		snprintf(text, sizeof(text), "#%zu  %s  %s", i + 1,
			output_member(event, "occurred_on", &b[0]),
			schema_type_find(bytes_str(output_member(event, "type", &b[1])))->title);
		reply_choices_add(&choices, name, text);
	}
	if (choices.count == 0)
		return err_set(ctx, ERR_NOTFOUND, "this case has no event that can be corrected");
	TRY(ask_choice(&c->ask,
		json_array_size(c->view->events) > EVENTS_OFFERED
			? "Which event is to be corrected? (an older one: sauti case correct CASE "
			  "#NUMBER)"
			: "Which event is to be corrected?",
		&choices, &picked, ctx));
	c->target = json_array_get(c->view->events, numbers[picked]);
	return OK;
}

static enum err find_target(struct correcting *c, struct errctx *ctx)
{
	const char *number = args_at(c->args, 1);
	struct output_buffer b;

	if (number == NULL) {
		TRY(need_ask(
			c, "which EVENT? Its number is the one that 'case show' prints: #12", ctx));
		TRY(pick_event(c, ctx));
	} else {
		c->target = case_view_event(c->view, number);
		if (c->target == NULL)
			return err_set(ctx, ERR_NOTFOUND,
				"there is no event '%.20s' in this case: 'case show' prints their "
				"numbers, as #12",
				number);
	}
	if (!may_be_corrected(c->target))
		return err_set(ctx, ERR_INVALID,
			"that is a correction itself: correct the event that it is of");
	c->type = schema_type_find(bytes_str(output_member(c->target, "type", &b)));
	return OK;
}

/* ---- which field ---- */

static void current_text(
	const struct correcting *c, const struct schema_field *field, char *ret, size_t size)
{
	const json_t *value = case_view_value(c->target, field->name);
	CLEANUP(buf_wipe) struct buf text;
	char *json = value == NULL ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	buf_init(&text, 256 * 1024);
	if (json != NULL)
		schema_show(field, json, &text);
	json_text_free(json);
	snprintf(ret, size, "%.50s", buf_cstr(&text));
	for (; *ret != '\0'; ret++)
		*ret = *ret == '\n' ? ' ' : *ret;
}

static enum err pick_field(struct correcting *c, struct errctx *ctx)
{
	struct reply_choices choices = {.count = 0};
	const struct schema_field *field;
	char label[64], now[64], text[REPLY_TEXT_MAX];
	size_t picked;

	for (size_t i = 0; (field = schema_field_at(c->type, i)) != NULL; i++) {
		case_types_label(field->name, label);
		current_text(c, field, now, sizeof(now));
		snprintf(
			text, sizeof(text), "%.40s%s%.60s", label, now[0] == '\0' ? "" : ": ", now);
		reply_choices_add(&choices, field->name, text);
	}
	current_text(c, &the_day, now, sizeof(now));
	snprintf(text, sizeof(text), "the day: %.60s", now);
	reply_choices_add(&choices, the_day.name, text);
	TRY(ask_choice(&c->ask, "Which field is wrong?", &choices, &picked, ctx));
	if (strcmp(choices.item[picked].name, the_day.name) == 0)
		c->field = &the_day;
	else
		c->field = schema_field_find(c->type, bytes_str(choices.item[picked].name));
	return OK;
}

static enum err find_field(struct correcting *c, struct errctx *ctx)
{
	const char *given = args_option(c->args, "field");
	char name[EVENT_FIELD_NAME_MAX + 1];

	if (given == NULL) {
		TRY(need_ask(c, "which --field?", ctx));
		return pick_field(c, ctx);
	}
	snprintf(name, sizeof(name), "%s", given);
	for (char *at = name; *at != '\0'; at++)
		*at = *at == '-' || *at == ' ' ? '_' : *at;
	c->field = schema_field_find(c->type, bytes_str(name));
	if (strcmp(name, the_day.name) == 0)
		c->field = &the_day;
	if (c->field == NULL)
		return cli_usage(c->cli, ctx, "%s has no field '%.40s': 'sauti case types %s'",
			c->type->alias, given, c->type->alias);
	return OK;
}

/* ---- what is right, and why ---- */

static enum err ask_value(struct correcting *c, struct errctx *ctx)
{
	struct form form;
	enum err err = form_begin(&form, c->cli, &c->ask, c->type, c->view);

	form.bare = true;
	if (err == OK)
		err = form_ask_field(&form, c->field, ctx);
	if (err == OK)
		c->value = json_incref(json_object_get(form.event, c->field->name));
	form_release(&form);
	if (err == OK && c->value == NULL)
		return err_set(ctx, ERR_CANCELED, "stopped: nothing was recorded");
	return err;
}

static enum err find_value(struct correcting *c, struct errctx *ctx)
{
	const char *text = args_option(c->args, "value");
	const char *file = args_option(c->args, "value-from");

	if (text != NULL && file != NULL)
		return cli_usage(c->cli, ctx, "--value or --value-from, not both");
	if (text != NULL && reply_is_text(c->field))
		return cli_usage(c->cli, ctx,
			"others on this machine can see arguments: use --value-from FILE ('-': "
			"stdin)");
	if (text == NULL && file == NULL) {
		TRY(need_ask(c, "what is right? --value, or --value-from FILE", ctx));
		return ask_value(c, ctx);
	}
	return case_types_value(c->cli, c->field, c->view->today, text, file, &c->value, ctx);
}

static enum err find_reason(struct correcting *c, struct errctx *ctx)
{
	const struct schema_field *field =
		schema_field_find(schema_type_get(EVENT_CORRECTION), bytes_str("reason"));
	const char *given = args_option(c->args, "reason");
	struct reply_choices choices;
	const struct code *code;
	size_t picked;

	if (given != NULL) {
		code = code_guess(field->list, bytes_str(given));
		if (code == NULL)
			return cli_usage(
				c->cli, ctx, "--reason is one of error, new-info, victim-request");
		snprintf(c->reason, sizeof(c->reason), "%s", code->name);
		return OK;
	}
	TRY(need_ask(c, "why? --reason error, new-info or victim-request", ctx));
	reply_choices_of(field, &choices);
	TRY(ask_choice(&c->ask, field->ask, &choices, &picked, ctx));
	snprintf(c->reason, sizeof(c->reason), "%s", choices.item[picked].name);
	return OK;
}

/* ---- recording ---- */

static enum err record(struct correcting *c, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *event = NULL;
	struct import_counts counts = {0};

	event = json_pack("{s:s,s:s,s:s,s:O,s:s,s:O,s:s}", "type", "CORRECTION", "case_ref",
		c->view->ref, "occurred_on", c->view->today, "corrects",
		json_object_get(c->target, "event_id"), "field", c->field->name, "new_value",
		c->value, "reason", c->reason);
	if (event == NULL)
		return ERR_NOMEM;
	TRY(case_event_common(c->cli, c->args, event, ctx));
	TRY(case_event_append(c->cli, event, &counts, ctx));
	return wait_report(c->cli, case_counts_json(&counts), ctx, "corrected in %s: #%llu %s, %s",
		c->view->code, (unsigned long long)output_number(c->target, "number"),
		c->type->title, c->field->name);
}

/* .. with all that it says now. */
static enum err copy_target(const struct correcting *c, json_t *event)
{
	static const char *const common[] = {"office", "language"};
	const struct schema_field *field;

	for (size_t i = 0; (field = schema_field_at(c->type, i)) != NULL; i++) {
		json_t *value = (json_t *)case_view_value(c->target, field->name);

		if (value != NULL && json_object_set(event, field->name, value) != 0)
			return ERR_NOMEM;
	}
	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
		json_t *value = json_object_get(c->target, common[i]);

		if (value != NULL && json_object_set(event, common[i], value) != 0)
			return ERR_NOMEM;
	}
	return OK;
}

static enum err record_anew(struct correcting *c, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *event = NULL;
	struct import_counts counts = {0};
	struct output_buffer b;
	unsigned long long number = output_number(c->target, "number");
	enum err err;

	if (output_true(c->target, "partial"))
		return err_set(ctx, ERR_INVALID,
			"#%llu cannot be read whole here: it cannot be recorded anew", number);
	if (case_day_to_come(json_string_value(c->value)))
		return err_set(ctx, ERR_INVALID, "that day is yet to come: when did it happen?");
	event = json_pack("{s:s,s:s,s:[O]}", "type", output_member(c->target, "type", &b),
		"case_ref", c->view->ref, "supersedes", json_object_get(c->target, "event_id"));
	if (event == NULL || copy_target(c, event) != OK)
		return ERR_NOMEM;
	TRY(case_event_common(c->cli, c->args, event, ctx));
	if (json_object_set(event, the_day.name, c->value) != 0)
		return ERR_NOMEM;
	err = case_event_append(c->cli, event, &counts, ctx);
	if (err == ERR_INVALID || err == ERR_EXISTS)
		return err_wrap(ctx, err, "the day of #%llu stays", number);
	TRY(err);
	return wait_report(c->cli, case_counts_json(&counts), ctx,
		"corrected in %s: #%llu %s, recorded anew with its day", c->view->code, number,
		c->type->title);
}

enum err case_correct_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(case_view_release) struct case_view view = {0};
	CLEANUP(correcting_release) struct correcting c = {.cli = cli, .args = args, .view = &view};

	TRY(case_view_load(cli, args_at(args, 0), &view, ctx));
	TRY(find_target(&c, ctx));
	TRY(find_field(&c, ctx));
	TRY(find_value(&c, ctx));
	if (c.field != &the_day)
		TRY(find_reason(&c, ctx));
	if (json_equal(c.value, case_view_value(c.target, c.field->name)))
		return err_set(ctx, ERR_EXISTS, "%s: that is what it says already", c.field->name);
	return c.field == &the_day ? record_anew(&c, ctx) : record(&c, ctx);
}
