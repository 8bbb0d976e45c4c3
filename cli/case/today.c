/* sauti case today: what wants doing, the most urgent first. */
#include <stdio.h>
#include <string.h>

#include "cli/case/case.h"
#include "cli/case/view.h"
#include "cli/daemon.h"
#include "cli/draft.h"
#include "cli/output.h"
#include "cli/reply.h"
#include "cli/term.h"

enum { SECTION_MOST = 12 }; /* lines of a section: what is most urgent comes first */

static const struct {
	const char *name, *title;
} sections[] = {
	{"imminent_concerns", "Imminent protection concerns"},
	{"overdue_contacts", "Overdue contacts"},
	{"unanswered_referrals", "Referrals without an answer"},
	{"expiring_consents", "Consents that end soon"},
	{"open_complaints", "Open complaints"},
	{"openings", "Opened without consent"},
	{"packets_to_recall", "Packets to recall"},
	{"receipts", "Receipts that are not confirmed"},
	{"unsynced", "Not held by the quorum yet"},
};

static bool is_number(const char *text)
{
	return text[0] >= '0' && text[0] <= '9';
}

/* What is the matter, in words. */
static void reason_text(const json_t *item, const char *on, char *ret, size_t size)
{
	struct output_buffer b[3];
	const char *section = output_member(item, "section", &b[0]);
	const char *why = output_member(item, "why", &b[1]);
	const char *since = output_member(item, "since", &b[2]);
	char words[32];

	reply_day_words(since, on, words);
	if (strcmp(section, "overdue_contacts") == 0)
		snprintf(ret, size, "%s %s, %s",
			strcmp(why, "review") == 0 ? "review was due on" : "agreed for", since,
			words);
	else if (strcmp(section, "expiring_consents") == 0)
		snprintf(ret, size, "%s: %s, %s",
			strcmp(why, "majority") == 0 ? "comes of age: ask again"
						     : case_view_code("purposes", why),
			since, words);
	else if (strcmp(section, "unanswered_referrals") == 0)
		snprintf(ret, size, "%s%s, since %s, %s", why, is_number(why) ? " referrals" : "",
			since, words);
	else if (strcmp(section, "imminent_concerns") == 0)
		snprintf(ret, size, "%s%s, since %s, %s", why, is_number(why) ? " concerns" : "",
			since, words);
	else if (strcmp(section, "open_complaints") == 0)
		snprintf(ret, size, "%s complaint%s", why, strcmp(why, "1") == 0 ? "" : "s");
	else if (strcmp(section, "packets_to_recall") == 0)
		snprintf(ret, size, "%s packet%s, consent taken back on %s, %s", why,
			strcmp(why, "1") == 0 ? "" : "s", since, words);
	else if (strcmp(section, "receipts") == 0)
		snprintf(ret, size, "%s, given three days ago or earlier", why);
	else if (strcmp(section, "unsynced") == 0)
		snprintf(ret, size, "%s event%s", why, strcmp(why, "1") == 0 ? "" : "s");
	else
		snprintf(ret, size, "%s", why);
}

static void print_item(const struct term *term, const json_t *item, const char *on)
{
	struct output_buffer b[3];
	const char *risk = output_member(item, "risk", &b[1]);
	const char *lead = output_member(item, "lead", &b[2]);
	char text[200];

	fputs("  ", term->file);
	term_put(term, TERM_BOLD, output_member(item, "code", &b[0]));
	fputs("  ", term->file);
	reason_text(item, on, text, sizeof(text));
	term_put(term, TERM_PLAIN, text);
	if (lead[0] != '\0') {
		fputs("; ", term->file);
		term_put(term, TERM_PLAIN, lead);
	}
	if (strcmp(risk, "HIGH") == 0)
		term_put(term, TERM_ALARM, "; HIGH RISK");
	fputc('\n', term->file);
}

static size_t print_section(
	const struct term *term, const json_t *items, size_t section, const char *on, size_t most)
{
	struct output_buffer b;
	const json_t *item;
	size_t i, count = 0;

	json_array_foreach(items, i, item)
	{
		if (strcmp(output_member(item, "section", &b), sections[section].name) != 0)
			continue;
		if (count++ == 0) {
			fputc('\n', term->file);
			term_put(term, section == 0 ? TERM_ALARM : TERM_BOLD,
				sections[section].title);
			fputc('\n', term->file);
		}
		if (count <= most)
			print_item(term, item, on);
	}
	if (count > most)
		fprintf(term->file, "  .. and %zu more: sauti today --all\n", count - most);
	return count;
}

static void print_today(const json_t *items, const json_t *whole, size_t most)
{
	const struct term term = term_of(stdout);
	struct output_buffer b;
	const char *on = output_member(whole, "on", &b);
	unsigned long long cases = output_number(whole, "cases");
	size_t count = 0;

	printf("%s, %llu case%s\n", on, cases, cases == 1 ? "" : "s");
	for (size_t s = 0; s < sizeof(sections) / sizeof(sections[0]); s++)
		count += print_section(&term, items, s, on, most);
	if (count == 0)
		printf("Nothing is due.\n");
}

/* What was begun and not recorded, as by a power cut. Not knowing it is no reason to fail. */
static void note_drafts(const struct cli *cli)
{
	CLEANUP(daemon_json_release) json_t *drafts = NULL;
	struct errctx why = {""};
	size_t count = draft_list(cli, &drafts, &why) == OK ? json_array_size(drafts) : 0;

	if (count > 0)
		printf("\n%zu draft%s not recorded yet: sauti case drafts\n", count,
			count == 1 ? " is" : "s are");
}

enum err case_today_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseTodayRequest today = SAUTI__CASE_TODAY_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *items = NULL;
	CLEANUP(daemon_json_release) json_t *whole = NULL;
	char on[11];
	size_t count;

	TRY(case_day_option(cli, args, "on", on, ctx));
	today.on = on;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_TODAY;
	request.case_today = &today;
	TRY(daemon_list(cli, &request, &items, ctx));
	count = json_array_size(items);
	if (count == 0)
		return err_set(ctx, ERR_MALFORMED, "the node's answer is empty");
	whole = json_incref(json_array_get(items, count - 1));
	json_array_remove(items, count - 1);
	if (!cli->json) {
		print_today(items, whole, args_flag(args, "all") ? SIZE_MAX : SECTION_MOST);
		note_drafts(cli);
		return OK;
	}
	if (json_object_set(whole, "items", items) != 0)
		return err_set(ctx, ERR_MALFORMED, "the node's answer is not a day");
	output_json(whole);
	return OK;
}
