#include "cli/case/pick.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cli/case/types.h"
#include "cli/daemon.h"
#include "cli/draft.h"
#include "cli/output.h"

enum { CASES_OFFERED = 9 };

/* ---- a case ---- */

static int by_last_day(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	struct output_buffer bx, by;
	int order = strcmp(output_member(y, "last_on", &by), output_member(x, "last_on", &bx));

	return order != 0 ? order
			  : strcmp(output_member(x, "code", &bx), output_member(y, "code", &by));
}

static enum err offer_cases(const json_t *cases, struct reply_choices *choices)
{
	size_t count = json_array_size(cases);
	const json_t **list = mem_array(count + 1, sizeof(*list));
	struct output_buffer b;
	char text[REPLY_TEXT_MAX];

	if (list == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < count; i++)
		list[i] = json_array_get(cases, i);
	qsort(list, count, sizeof(*list), by_last_day);
	for (size_t i = 0; i < count && i < CASES_OFFERED; i++) {
		const char *code = json_string_value(json_object_get(list[i], "code"));

		snprintf(text, sizeof(text), "%s  (%s)", code == NULL ? "" : code,
			output_member(list[i], "last_on", &b));
		if (code != NULL && code[0] != '\0')
			reply_choices_add(choices, code, text);
	}
	mem_free(list);
	return OK;
}

enum err case_pick_case(
	const struct cli *cli, struct ask *ask, char ret[CASE_REF_TEXT + 1], struct errctx *ctx)
{
	struct reply_choices choices = {.count = 0, .open = true};
	CLEANUP(daemon_json_release) json_t *cases = NULL;
	struct bytes line;
	size_t i;

	TRY(case_ask_list(cli, &cases, ctx));
	TRY(offer_cases(cases, &choices));
	if (choices.count == 0)
		return err_set(ctx, ERR_NOTFOUND, "there is no case yet: sauti case open");
	ask_say(ask, TERM_BOLD, "Which case? (one of these, or any other by its code)");
	ask_show_choices(ask, &choices);
	TRY(ask_line(ask, "", ctx));
	line = buf_bytes(&ask->line);
	if (reply_choose(&choices, line, &i, NULL) == OK) {
		snprintf(ret, CASE_REF_TEXT + 1, "%s", choices.item[i].name);
		return OK;
	}
	if (line.size == 0 || line.size > CASE_REF_TEXT)
		return err_set(ctx, ERR_INVALID, "that is no case");
	snprintf(ret, CASE_REF_TEXT + 1, "%.*s", (int)line.size, (const char *)line.data);
	return OK;
}

/* ---- a type ---- */

static enum err pick_theme(struct ask *ask, size_t *ret, struct errctx *ctx)
{
	struct reply_choices choices = {.count = 0};
	const char *theme;

	for (size_t i = 0; case_types_at(i, &theme) != NULL; i++)
		if (theme != NULL)
			reply_choices_add(&choices, theme, "");
	return ask_choice(ask, "What is it about?", &choices, ret, ctx);
}

enum err case_pick_type(struct ask *ask, const struct schema_type **ret, struct errctx *ctx)
{
	struct reply_choices choices = {.count = 0};
	const struct schema_type *type;
	size_t chosen, at = 0, picked;
	const char *theme;

	TRY(pick_theme(ask, &chosen, ctx));
	for (size_t i = 0; (type = case_types_at(i, &theme)) != NULL; i++) {
		at += theme != NULL;
		if (at == chosen + 1)
			reply_choices_add(&choices, type->alias, type->title);
	}
	TRY(ask_choice(ask, "What happened?", &choices, &picked, ctx));
	*ret = schema_type_find(bytes_str(choices.item[picked].name));
	return OK;
}

/* ---- a draft ---- */

static void draft_text(const json_t *draft, char *ret, size_t size)
{
	struct output_buffer kase, type, since;

	snprintf(ret, size, "%s, %s, since %s", output_member(draft, "case", &kase),
		output_member(draft, "type", &type), output_time(draft, "since", &since));
}

enum err case_pick_draft(const struct cli *cli, struct ask *ask, uint64_t *ret, struct errctx *ctx)
{
	struct reply_choices choices = {.count = 0};
	CLEANUP(daemon_json_release) json_t *drafts = NULL;
	char text[REPLY_TEXT_MAX];
	json_t *draft;
	size_t i, picked = 0;

	TRY(draft_list(cli, &drafts, ctx));
	if (json_array_size(drafts) == 0)
		return err_set(ctx, ERR_NOTFOUND, "you have no drafts");
	json_array_foreach(drafts, i, draft)
	{
		draft_text(draft, text, sizeof(text));
		reply_choices_add(&choices, "draft", text);
	}
	if (json_array_size(drafts) > 1)
		TRY(ask_choice(ask, "Go on with which one?", &choices, &picked, ctx));
	*ret = output_number(json_array_get(drafts, picked), "draft");
	return OK;
}

enum err case_drafts_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	static const char *const heads[] = {"DRAFT", "CASE", "TYPE", "SINCE"};
	const char *discard = args_option(args, "discard");
	CLEANUP(daemon_json_release) json_t *drafts = NULL;
	CLEANUP(output_table_release) struct output_table table;
	uint64_t number;
	json_t *item;
	size_t i;

	output_table_init(&table, heads, 4);
	if (discard != NULL) {
		if (decimal_parse(bytes_str(discard), UINT32_MAX, &number) != OK)
			return cli_usage(cli, ctx, "--discard takes the number of a draft");
		TRY(draft_remove(cli, (uint32_t)number, ctx));
	}
	TRY(draft_list(cli, &drafts, ctx));
	if (cli->json) {
		output_json(drafts);
		return OK;
	}
	json_array_foreach(drafts, i, item)
	{
		struct output_buffer b[4];
		const char *cells[] = {output_member(item, "draft", &b[0]),
			output_member(item, "case", &b[1]), output_member(item, "type", &b[2]),
			output_time(item, "since", &b[3])};

		output_table_add(&table, cells);
	}
	if (json_array_size(drafts) == 0)
		printf("no drafts\n");
	else
		output_table_print(&table, stdout);
	return table.err;
}
