#include "cli/import_known.h"

#include <stdio.h>

#include "cli/case/case.h"
#include "cli/daemon.h"
#include "cli/output.h"

enum { NAMES_MAX = 160, TAIL_AT = EVENT_ID_TEXT - 17 };

struct known {
	const struct cli *cli;
	const char *path;
	struct table_lines *lines;
	json_t *codes;  /* of the cases that are there, as the members of an object */
	json_t *events; /* of the case that is looked at, by the tail of their ids */
	struct import_known *counts;
};

static json_t *line_json(const struct table_lines *lines, size_t i)
{
	const struct table_line *line = &lines->lines[i];
	json_t *event = NULL;

	if (output_parse(bytes_make(lines->text.data + line->at, line->size), &event, NULL) != OK)
		return NULL;
	return event;
}

/* The 62 bits of an id that are hashed, with its variant: "-8xyz-0123456789ab". */
static const char *id_tail(const json_t *event, struct output_buffer *b)
{
	const char *id = output_member(event, "event_id", b);

	return strlen(id) == EVENT_ID_TEXT ? id + TAIL_AT : "";
}

/* What the node or a session fills in may differ and says nothing. */
static bool is_compared(const char *name)
{
	static const char *const others[] = {
		"type", "event_id", "precision", "recorded_by", "office", "case", "case_code"};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(name, others[i]) == 0)
			return false;
	return true;
}

/* Did a correction make it what the table says? */
static bool is_corrected(
	const struct known *known, const json_t *before, const char *name, const json_t *value)
{
	struct output_buffer b;
	const char *key;
	json_t *event;

	json_object_foreach(known->events, key, event)
	{
		if (strcmp(output_member(event, "type", &b), "CORRECTION") == 0 &&
			strcmp(output_member(event, "field", &b), name) == 0 &&
			json_equal(json_object_get(event, "corrects"),
				json_object_get(before, "event_id")) &&
			json_equal(json_object_get(event, "new_value"), value))
			return true;
	}
	return false;
}

/* Names of members that differ; "" when none does. */
static const char *differences(
	const struct known *known, json_t *now, const json_t *before, char names[NAMES_MAX])
{
	const char *name;
	json_t *value;

	names[0] = '\0';
	json_object_foreach(now, name, value)
	{
		size_t at = strlen(names);

		if (is_compared(name) && !json_equal(value, json_object_get(before, name)) &&
			!is_corrected(known, before, name, value))
			snprintf(names + at, NAMES_MAX - at, "%s%s", at == 0 ? "" : ", ", name);
	}
	return names;
}

static void tell(struct known *known, size_t i, const char *names)
{
	const struct table_line *line = &known->lines->lines[i];

	if (++known->counts->changed <= IMPORT_KNOWN_SHOWN)
		cli_note(known->cli,
			"%s:%u: %s was recorded before, and says otherwise now in: %s. Nothing is "
			"overwritten; 'sauti case correct' keeps both",
			known->path, (unsigned)line->row_line, event_type_get(line->type)->name,
			names);
}

static void compare_line(struct known *known, size_t i)
{
	CLEANUP(daemon_json_release) json_t *now = line_json(known->lines, i);
	struct output_buffer b, other;
	char names[NAMES_MAX];
	const json_t *before;

	if (now == NULL)
		return;
	before = json_object_get(known->events, id_tail(now, &b));
	if (before == NULL)
		return;
	if (differences(known, now, before, names)[0] != '\0')
		tell(known, i, names);
	if (strcmp(output_member(now, "event_id", &b), output_member(before, "event_id", &other)) !=
		0)
		known->lines->lines[i].size = 0;
}

/* ---- cases ---- */

static const char *line_code(const json_t *event, struct output_buffer *b)
{
	const char *code = output_member(event, "case", b);

	return code[0] != '\0' ? code : output_member(event, "case_code", b);
}

static enum err ask_events(struct known *known, const char *code, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *kase = NULL;
	struct output_buffer b;
	json_t *event;
	size_t i;

	TRY(case_ask(known->cli, code, &kase, ctx));
	known->events = json_object();
	json_array_foreach(json_object_get(kase, "events"), i, event)
	{
		const char *tail = id_tail(event, &b);

		if (tail[0] != '\0')
			json_object_set(known->events, tail, event);
	}
	return OK;
}

/* The lines of one case, from..to. */
static enum err compare_case(struct known *known, size_t from, size_t to, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *first = line_json(known->lines, from);
	struct output_buffer b;
	const char *code = line_code(first, &b);
	enum err err;

	if (json_object_get(known->codes, code) == NULL)
		return OK;
	known->counts->cases++;
	err = ask_events(known, code, ctx);
	for (size_t i = from; i < to && err == OK; i++)
		compare_line(known, i);
	daemon_json_release(&known->events);
	return err == ERR_NOTFOUND || err == ERR_DENIED ? OK : err;
}

static enum err ask_codes(struct known *known, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *cases = NULL;
	struct output_buffer b;
	json_t *kase;
	size_t i;

	TRY(case_ask_list(known->cli, &cases, ctx));
	known->codes = json_object();
	json_array_foreach(cases, i, kase)
	{
		json_object_set_new(known->codes, output_member(kase, "code", &b), json_true());
	}
	return OK;
}

static void drop_lines(struct table_lines *lines)
{
	size_t kept = 0;

	for (size_t i = 0; i < lines->count; i++)
		if (lines->lines[i].size > 0)
			lines->lines[kept++] = lines->lines[i];
	lines->count = kept;
}

enum err import_known_check(const struct cli *cli, const char *path, struct table_lines *lines,
	struct import_known *ret, struct errctx *ctx)
{
	struct import_known counts = {0};
	struct known known = {.cli = cli, .path = path, .lines = lines, .counts = &counts};
	enum err err = ask_codes(&known, ctx);

	for (size_t from = 0, to; from < lines->count && err == OK; from = to) {
		for (to = from;
			to < lines->count && lines->lines[to].kase == lines->lines[from].kase;)
			to++;
		err = compare_case(&known, from, to, ctx);
	}
	daemon_json_release(&known.codes);
	drop_lines(lines);
	if (counts.changed > IMPORT_KNOWN_SHOWN)
		cli_note(cli, "%s: .. and %llu more", path,
			(unsigned long long)(counts.changed - IMPORT_KNOWN_SHOWN));
	if (err == OK)
		*ret = counts;
	return err;
}
