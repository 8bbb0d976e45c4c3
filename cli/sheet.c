/*
 * sauti case sheet: what a victim takes home. Without a case it needs no daemon, so that a locked
 * node in the field can print one.
 */
#include "cli/sheet.h"

#include <stdio.h>
#include <time.h>

#include "cases/event/event.h"
#include "cases/view/sheet.h"
#include "cli/case/case.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "cli/reply.h"

enum { SHEET_SIZE_MAX = 32 * 1024, DAY_SIZE = 11 };

/* What a case says about its sheet. */
struct facts {
	char language[EVENT_LANGUAGE_MAX + 1];
	char next_on[DAY_SIZE];
	char next_event[EVENT_ID_TEXT + 1]; /* the contact that agreed it */
	char next_at[21], state_at[21]; /* when that was recorded; the last opening or closing */
	bool closed;
};

static void keep(char *to, size_t size, const char *text)
{
	if (strlen(text) < size)
		memcpy(to, text, strlen(text) + 1);
}

static void read_contact(struct facts *facts, const json_t *event, const char *recorded_at)
{
	struct output_buffer b;
	const char *next = output_member(event, "next_contact_due_on", &b);

	if (next[0] == '\0' || strcmp(recorded_at, facts->next_at) < 0)
		return;
	facts->next_on[0] = '\0';
	keep(facts->next_on, sizeof(facts->next_on), next);
	keep(facts->next_event, sizeof(facts->next_event), output_member(event, "event_id", &b));
	keep(facts->next_at, sizeof(facts->next_at), recorded_at);
}

static void read_correction(struct facts *facts, const json_t *event)
{
	struct output_buffer field, value, corrects;

	output_member(event, "corrects", &corrects);
	if (strcmp(output_member(event, "field", &field), "preferred_language") == 0)
		keep(facts->language, sizeof(facts->language),
			output_member(event, "new_value", &value));
	if (strcmp(output_member(event, "field", &field), "next_contact_due_on") == 0 &&
		strcmp(output_member(event, "corrects", &corrects), facts->next_event) == 0)
		keep(facts->next_on, sizeof(facts->next_on),
			output_member(event, "new_value", &value));
}

/* The first document is the case, the others are its events. */
static enum err read_event(void *arg, struct bytes json, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *event = NULL;
	struct output_buffer type, at, language;
	struct facts *facts = arg;
	const char *name, *recorded_at;

	TRY(output_parse(json, &event, ctx));
	name = output_member(event, "type", &type);
	recorded_at = output_member(event, "recorded_at", &at);
	if (strcmp(name, "CONTACT") == 0)
		read_contact(facts, event, recorded_at);
	else if (strcmp(name, "CORRECTION") == 0)
		read_correction(facts, event);
	else if (strcmp(name, "CASE_OPENED") == 0)
		keep(facts->language, sizeof(facts->language),
			output_member(event, "preferred_language", &language));
	if (strncmp(name, "CASE_", 5) == 0 && strcmp(recorded_at, facts->state_at) >= 0) {
		facts->closed = strcmp(name, "CASE_CLOSED") == 0;
		keep(facts->state_at, sizeof(facts->state_at), recorded_at);
	}
	return OK;
}

static enum err ask_facts(
	const struct cli *cli, const char *name, struct facts *ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseShowRequest show = SAUTI__CASE_SHOW_REQUEST__INIT;

	show.case_ = (char *)name;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_SHOW;
	request.case_show = &show;
	TRY(daemon_each(cli, &request, read_event, ret, ctx));
	if (ret->closed)
		ret->next_on[0] = '\0';
	return OK;
}

static enum err unknown_language(struct cli *cli, const char *tag, struct errctx *ctx)
{
	char list[64] = "";
	const struct catalogue_language *language;

	for (size_t i = 0; (language = catalogue_at(i)) != NULL; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s",
			i == 0 ? "" : ", ", language->tag);
	if (tag[0] == '\0')
		return cli_usage(cli, ctx, "say --language: one of %s", list);
	return cli_usage(
		cli, ctx, "no sheet in the language '%s'; say --language: one of %s", tag, list);
}

static bool is_past(const char *day)
{
	time_t now = time(NULL);
	char today[16];
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(today, sizeof(today), "%Y-%m-%d", &tm);
	return day[0] != '\0' && strcmp(day, today) < 0;
}

static enum err print_sheet(
	const struct cli *cli, const struct sheet_options *options, struct errctx *ctx)
{
	bool html = options->format == SHEET_HTML;
	struct buf text;
	enum err err;
	json_t *json;

	buf_init(&text, SHEET_SIZE_MAX);
	err = sheet_write(options, &text, ctx);
	if (err == OK && cli->json) {
		json = json_pack("{s:s, s:s, s:b, s:s}", "language", options->language->tag,
			"format", html ? "html" : "text", "reviewed",
			options->language->reviewer != NULL, "sheet", buf_cstr(&text));
		if (json != NULL)
			output_json(json);
		else
			err = ERR_NOMEM;
		json_decref(json);
	} else if (err == OK) {
		fwrite(text.data, 1, text.size, stdout);
	}
	buf_release(&text);
	return err;
}

enum err sheet_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	const char *format = args_option(args, "format"), *tag = args_option(args, "language");
	const char *next = args_option(args, "next"), *contacts[SHEET_CONTACTS_MAX + 1];
	struct sheet_options options = {.contacts = contacts};
	struct facts facts = {0};
	char today[11], day[11];

	case_today(today);
	if (next != NULL && reply_day(bytes_str(next), today, day))
		next = day;
	if (format != NULL && strcmp(format, "text") != 0 && strcmp(format, "html") != 0)
		return cli_usage(cli, ctx, "--format is text or html");
	if (tag != NULL && catalogue_find(bytes_str(tag)) == NULL)
		return unknown_language(cli, tag, ctx);
	if (args_at(args, 0) != NULL)
		TRY(ask_facts(cli, args_at(args, 0), &facts, ctx));
	if (tag == NULL)
		tag = facts.language;
	options.language = catalogue_find(bytes_str(tag));
	if (options.language == NULL)
		return unknown_language(cli, tag, ctx);
	options.format = format != NULL && strcmp(format, "html") == 0 ? SHEET_HTML : SHEET_TEXT;
	while (options.contact_count <= SHEET_CONTACTS_MAX &&
		(contacts[options.contact_count] =
				args_option_at(args, "contact", options.contact_count)) != NULL)
		options.contact_count++;
	if (next == NULL && is_past(facts.next_on)) {
		cli_note(cli, "the next contact was due on %s: left out; say --next DATE",
			facts.next_on);
		facts.next_on[0] = '\0';
	}
	options.next_on = next != NULL ? next : facts.next_on;
	TRY(print_sheet(cli, &options, ctx));
	if (options.language->reviewer == NULL)
		cli_note(cli,
			"the %s texts are ours, and no native speaker has reviewed them yet: have "
			"one "
			"read the sheet first",
			options.language->name);
	return OK;
}

const struct cli_option sheet_options_table[] = {
	{"language", "TAG", "en, fr, es, ar or ht (default: the case's preferred language)", false},
	{"next", "DATE", "the next date: a day, or +14d (default: the case's next contact)", false},
	{"contact", "TEXT", "a name or a number to ask; up to four", true},
	{"format", "FORMAT", "text (default), or html: large type, to be printed", false},
	{0},
};
