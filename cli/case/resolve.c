/* sauti case resolve: of events that contradict each other, which one holds. */
#include <stdio.h>
#include <string.h>

#include "cases/event/json_memory.h"
#include "cli/ask.h"
#include "cli/case/case.h"
#include "cli/case/types.h"
#include "cli/case/view.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "cli/wait.h"

static bool in_conflict(const json_t *event)
{
	return json_array_size(json_object_get(event, "conflicts_with")) > 0;
}

/* ", channel: telephone"; a text of several lines is not for a list. */
static void put_field(const struct schema_field *field, const json_t *value, struct buf *out)
{
	char label[64], *json;

	if (field == NULL || value == NULL || reply_is_text(field))
		return;
	json = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	if (json == NULL)
		return;
	case_types_label(field->name, label);
	buf_printf(out, ", %s: ", label);
	schema_show(field, json, out);
	json_text_free(json);
}

/* What tells the event from the others, in words: a correction's value, its codes. Appends. */
static void put_what(const struct case_view *view, const json_t *event,
	const struct schema_type *type, struct buf *out)
{
	struct output_buffer b[2];
	const struct schema_field *field;
	const json_t *of;

	if (type == NULL)
		return;
	if (type->number == EVENT_CORRECTION) {
		of = case_view_by_id(view, output_member(event, "corrects", &b[0]));
		type = of == NULL ? NULL
				  : schema_type_find(bytes_str(output_member(of, "type", &b[0])));
		field = type == NULL ? NULL
				     : schema_field_find(type,
					       bytes_str(output_member(event, "field", &b[1])));
		put_field(field, json_object_get(event, "new_value"), out);
		return;
	}
	for (size_t i = 0; (field = schema_field_at(type, i)) != NULL; i++)
		if (field->kind == FIELD_CODE && json_object_get(event, field->name) != NULL)
			put_field(field, json_object_get(event, field->name), out);
}

static void event_text(const struct case_view *view, const json_t *event, char *ret, size_t size)
{
	struct output_buffer b[4];
	const struct schema_type *type =
		schema_type_find(bytes_str(output_member(event, "type", &b[0])));
	CLEANUP(buf_wipe) struct buf what;

	buf_init(&what, 256 * 1024);
	put_what(view, event, type, &what);
	snprintf(ret, size, "#%llu  %s  %s%.60s, by %s",
		(unsigned long long)output_number(event, "number"),
		output_member(event, "occurred_on", &b[1]),
		type == NULL ? output_member(event, "type", &b[2]) : type->title, buf_cstr(&what),
		output_member(event, "recorded_by", &b[3]));
}

static enum err pick(struct cli *cli, const struct cli_args *args, const struct case_view *view,
	const json_t **ret, struct errctx *ctx)
{
	CLEANUP(ask_close) struct ask ask = {0};
	struct reply_choices choices = {.count = 0};
	size_t numbers[REPLY_CHOICES_MAX], picked, i;
	char name[REPLY_NAME_MAX], text[REPLY_TEXT_MAX];
	const json_t *event;

	json_array_foreach(view->events, i, event)
	{
		if (!in_conflict(event) || choices.count == REPLY_CHOICES_MAX)
			continue;
		numbers[choices.count] = i;
		snprintf(name, sizeof(name), "#%zu", i + 1);
		event_text(view, event, text, sizeof(text));
		reply_choices_add(&choices, name, text);
	}
	if (choices.count == 0)
		return err_set(ctx, ERR_NOTFOUND, "there is no conflict in this case");
	TRY(ask_open(cli, args,
		"which EVENT holds? Its number is the one that 'case show' prints: #12", &ask,
		ctx));
	TRY(ask_choice(&ask, "Which one holds? ('case show' prints what they say)", &choices,
		&picked, ctx));
	*ret = json_array_get(view->events, numbers[picked]);
	return OK;
}

static enum err record(struct cli *cli, const struct cli_args *args, const struct case_view *view,
	const json_t *chosen, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *event = NULL;
	struct import_counts counts = {0};

	event = json_pack("{s:s,s:s,s:s,s:O,s:O}", "type", "CONFLICT_RESOLVED", "case_ref",
		view->ref, "occurred_on", view->today, "chosen",
		json_object_get(chosen, "event_id"), "over",
		json_object_get(chosen, "conflicts_with"));
	if (event == NULL)
		return ERR_NOMEM;
	TRY(case_event_common(cli, args, event, ctx));
	TRY(case_event_append(cli, event, &counts, ctx));
	return wait_report(cli, case_counts_json(&counts), ctx, "resolved in %s: #%llu holds",
		view->code, (unsigned long long)output_number(chosen, "number"));
}

enum err case_resolve_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(case_view_release) struct case_view view = {0};
	const char *number = args_at(args, 1);
	const json_t *chosen = NULL;

	TRY(case_view_load(cli, args_at(args, 0), &view, ctx));
	if (number == NULL)
		TRY(pick(cli, args, &view, &chosen, ctx));
	else
		chosen = case_view_event(&view, number);
	if (chosen == NULL)
		return err_set(ctx, ERR_NOTFOUND,
			"there is no event '%.20s' in this case: 'case show' prints their numbers, "
			"as #12",
			number);
	if (!in_conflict(chosen))
		return err_set(ctx, ERR_INVALID, "#%llu is in no conflict",
			(unsigned long long)output_number(chosen, "number"));
	return record(cli, args, &view, chosen, ctx);
}
