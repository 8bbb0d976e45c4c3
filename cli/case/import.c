/*
 * sauti case import: JSON lines as they are, tables by a mapping (cases/import). What would be
 * recorded is told by --dry-run, in the same words for both.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/secret.h"
#include "cases/event/json_memory.h"
#include "cases/import/table.h"
#include "cli/case/case.h"
#include "cli/daemon.h"
#include "cli/import_known.h"
#include "cli/output.h"
#include "node/files.h"

enum { SHOWN_EVENTS = 3 };

/* What a dry run saw. */
struct survey {
	uint64_t types[EVENT_TYPE_LAST + 1];
	uint64_t opened;
	struct import_known known;        /* of a table */
	struct bytes first[SHOWN_EVENTS]; /* owned */
	size_t first_count;
	enum err err;
};

static void survey_release(struct survey *survey)
{
	for (size_t i = 0; i < survey->first_count; i++) {
		wipe((uint8_t *)survey->first[i].data, survey->first[i].size);
		mem_free((uint8_t *)survey->first[i].data);
	}
}

/* Lines have passed the daemon's check, or will be refused by it. */
static void survey_line(void *arg, struct bytes line)
{
	CLEANUP(daemon_json_release) json_t *event = NULL;
	struct survey *survey = arg;
	struct output_buffer name;
	const struct event_type *type;
	uint8_t *copy;

	if (output_parse(line, &event, NULL) != OK)
		return;
	type = event_type_find(bytes_str(output_member(event, "type", &name)));
	if (type == NULL)
		return;
	survey->types[type->number]++;
	survey->opened += type->number == EVENT_CASE_OPENED;
	if (survey->first_count == SHOWN_EVENTS || line.size == 0)
		return;
	copy = mem_dup(line.data, line.size);
	if (copy == NULL)
		survey->err = ERR_NOMEM;
	else
		survey->first[survey->first_count++] = bytes_make(copy, line.size);
}

static json_t *survey_types(const struct survey *survey)
{
	json_t *types = json_object();

	for (uint32_t i = 1; i <= EVENT_TYPE_LAST; i++)
		if (survey->types[i] > 0)
			json_object_set_new(types, event_type_get(i)->name,
				json_integer((json_int_t)survey->types[i]));
	return types;
}

static json_t *survey_first(const struct survey *survey)
{
	json_t *first = json_array();

	for (size_t i = 0; i < survey->first_count; i++) {
		json_t *event = NULL;

		if (output_parse(survey->first[i], &event, NULL) == OK)
			json_array_append_new(first, event);
	}
	return first;
}

static enum err report_survey(
	const struct cli *cli, const struct survey *survey, const struct import_counts *counts)
{
	json_t *json = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "dry_run", 1, "events",
		(json_int_t)counts->events, "new", (json_int_t)counts->added, "known",
		(json_int_t)counts->known, "changed", (json_int_t)survey->known.changed,
		"cases_opened", (json_int_t)survey->opened, "types", survey_types(survey), "first",
		survey_first(survey));
	const char *name;
	json_t *value;
	size_t i;

	if (json == NULL)
		return ERR_NOMEM;
	if (cli->json) {
		output_json(json);
		json_decref(json);
		return OK;
	}
	printf("nothing is recorded yet: %llu events, of which %llu are new and %llu are there "
	       "already\n\n",
		(unsigned long long)counts->events, (unsigned long long)counts->added,
		(unsigned long long)counts->known);
	json_object_foreach(json_object_get(json, "types"), name, value)
		printf("%8lld  %s\n", (long long)json_integer_value(value), name);
	printf("\nthe first of them:\n");
	json_array_foreach(json_object_get(json, "first"), i, value)
	{
		char *text = json_dumps(value, JSON_COMPACT);

		output_text(stdout, text == NULL ? "" : text, false);
		putchar('\n');
		if (text != NULL)
			wipe(text, strlen(text));
		json_text_free(text);
	}
	json_decref(json);
	return OK;
}

/* ---- tables ---- */

static uint64_t get_line(const void *arg, size_t i, struct buf *to)
{
	const struct table_lines *lines = arg;

	buf_put(to, bytes_make(lines->text.data + lines->lines[i].at, lines->lines[i].size));
	return lines->lines[i].row_line;
}

/* All of them at once: who mends a table mends it once. */
static enum err report_errors(const struct cli *cli, const struct table_findings *errors,
	const char *path, struct errctx *ctx)
{
	size_t shown = errors->count < LIMIT_TABLE_FINDINGS ? errors->count : LIMIT_TABLE_FINDINGS;

	for (size_t i = 0; i < shown; i++)
		cli_note(cli, "%s", errors->text[i]);
	return err_set(ctx, ERR_INVALID, "%s: %zu error%s%s; nothing was recorded", path,
		errors->count, errors->count == 1 ? "" : "s",
		errors->count > shown ? ", the first 50 shown" : "");
}

static enum err convert(const struct cli *cli, const char *path, const char *map_path,
	struct table_lines *ret, struct errctx *ctx)
{
	struct table_findings *errors = mem_zalloc(sizeof(*errors));
	struct table_input input = {.file = path, .map_file = map_path};
	struct buf text, map;
	enum err err = errors == NULL ? ERR_NOMEM : OK;

	buf_init(&text, LIMIT_TABLE_SIZE + 1);
	buf_init(&map, LIMIT_MAPPING_SIZE + 1);
	if (err == OK)
		err = files_read(map_path, LIMIT_MAPPING_SIZE, &map, ctx);
	if (err == OK)
		err = files_read(path, LIMIT_TABLE_SIZE, &text, ctx);
	input.text = buf_bytes(&text);
	input.map = buf_bytes(&map);
	if (err == OK) {
		err = table_convert(&input, ret, errors);
		if (err == ERR_INVALID)
			report_errors(cli, errors, path, ctx);
	}
	buf_wipe(&text);
	buf_release(&map);
	mem_free(errors);
	return err;
}

static void note_table(const struct cli *cli, const char *path, const struct table_lines *lines)
{
	cli_note(cli, "%s: %zu rows of %zu cases make %zu events", path, lines->rows, lines->cases,
		lines->count);
	if (lines->repeated > 0)
		cli_note(cli,
			"%s: %zu events are said by several rows, word for word, and stand once",
			path, lines->repeated);
}

static enum err import_table(struct cli *cli, const char *path, const char *map_path,
	struct survey *survey, struct import_counts *counts, struct errctx *ctx)
{
	struct table_lines lines = {0};
	struct import_source source = {.name = path, .get = get_line, .arg = &lines};
	enum err err;
	size_t count;

	TRY(convert(cli, path, map_path, &lines, ctx));
	note_table(cli, path, &lines);
	count = lines.count;
	err = import_known_check(cli, path, &lines, &survey->known, ctx);
	if (err == OK && survey->known.cases > 0)
		cli_note(cli, "%s: %llu of its cases are there already", path,
			(unsigned long long)survey->known.cases);
	source.count = lines.count;
	if (err == OK && source.count > 0)
		err = import_given(cli, &source, counts, ctx);
	/* What was taken off is there under another date. */
	counts->known += count - lines.count;
	counts->events += count - lines.count;
	table_lines_release(&lines);
	return err;
}

static bool is_table(const char *path)
{
	size_t size = strlen(path);

	return size > 4 && strcasecmp(path + size - 4, ".csv") == 0;
}

enum err case_import_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	const char *path = args_at(args, 0), *map_path = args_option(args, "map");
	struct survey survey = {0};
	struct import_counts counts = {.only_check = args_flag(args, "dry-run")};
	enum err err;

	if (map_path == NULL && is_table(path))
		return cli_usage(cli, ctx,
			"'%s' is a table: --map MAP says what its columns mean, see docs/IMPORT.md",
			path);
	if (counts.only_check) {
		counts.look = survey_line;
		counts.arg = &survey;
	}
	err = map_path == NULL ? import_events(cli, path, NULL, &counts, ctx)
			       : import_table(cli, path, map_path, &survey, &counts, ctx);
	if (err == OK)
		err = survey.err;
	if (err == OK)
		err = counts.only_check ? report_survey(cli, &survey, &counts)
					: case_report_counts(cli, &counts, ctx);
	survey_release(&survey);
	return err;
}
