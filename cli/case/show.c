/*
 * sauti case show: what the case is now, then its timeline, newest first. Codes are shown by what
 * they mean. Nothing is overwritten: a corrected value is struck, and the right one stands behind.
 */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/secret.h"
#include "cases/event/json_memory.h"
#include "cli/approvals.h"
#include "cli/case/case.h"
#include "cli/case/types.h"
#include "cli/case/view.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "cli/term.h"

enum { INDENT = 5, TEXT_MAX = 256 * 1024 };

/* ---- values ---- */

/* Marks of struck text come from here alone. */
static void put_clean(struct buf *out, struct bytes text)
{
	for (size_t i = 0; i < text.size; i++)
		buf_put_u8(out, text.data[i] < 0x20 && text.data[i] != '\n' ? ' ' : text.data[i]);
}

static void put_one(const struct case_view *view, const struct schema_field *field,
	const json_t *value, struct buf *out)
{
	bool is_event =
		field != NULL && (field->kind == FIELD_EVENT || field->kind == FIELD_EVENTS);
	CLEANUP(buf_wipe) struct buf text;
	char *json;

	buf_init(&text, TEXT_MAX);
	if (is_event && json_is_string(value)) {
		case_view_event_text(view, json_string_value(value), &text);
	} else {
		json = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		if (json != NULL)
			schema_show(field, json, &text);
		json_text_free(json);
	}
	put_clean(out, buf_bytes(&text));
}

/* Of a list each one by itself: texts have commas in them. */
static void put_value(const struct case_view *view, const struct schema_field *field,
	const json_t *value, struct buf *out)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(value)) {
		put_one(view, field, value, out);
		return;
	}
	json_array_foreach(value, i, item)
	{
		if (i > 0)
			buf_put_str(out, field != NULL && field->list != NULL ? " + " : ", ");
		put_one(view, field, item, out);
	}
}

static void put_struck(const struct case_view *view, const struct schema_field *field,
	const json_t *value, bool holds, struct buf *out)
{
	if (value == NULL)
		return;
	buf_put_str(out, holds ? "" : TERM_STRIKE_BEGIN);
	put_value(view, field, value, out);
	buf_put_str(out, holds ? "" : TERM_STRIKE_END);
}

/* "~~old~~ -> new": every value that was ever there; what holds is not struck. */
static void put_corrected(const struct case_view *view, const struct schema_field *field,
	const json_t *event, const char *name, struct buf *out)
{
	const json_t *change;
	bool corrected = false;
	size_t i = 0;

	while ((change = case_view_change(event, name, &i)) != NULL)
		corrected |= output_true(change, "holds");
	put_struck(view, field, json_object_get(event, name), !corrected, out);
	for (i = 0; (change = case_view_change(event, name, &i)) != NULL;) {
		buf_put_str(out, json_object_get(event, name) == NULL ? "-> " : " -> ");
		put_struck(view, field, json_object_get(change, "new"),
			output_true(change, "holds"), out);
	}
}

/* ---- one event ---- */

/* Members that stand in the head line of an event, or that only programs need. */
static bool is_plumbing(const char *name)
{
	static const char *const names[] = {"type", "event_id", "case_ref", "occurred_on",
		"precision", "recorded_at", "recorded_by", "office", "language", "parents",
		"consent_refs", "supersedes", "synced", "safe", "state", "partial", "author",
		"contested", "number", "changes", "conflicts_with", "overruled_by", "superseded_by",
		"old_hash"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static void put_label(const char *name, struct buf *out)
{
	char label[64];

	case_types_label(name, label);
	buf_printf(out, "%s: ", label);
}

static bool is_long(const struct schema_field *field)
{
	return field != NULL && (field->kind == FIELD_TEXT || field->kind == FIELD_TEXTS ||
					field->kind == FIELD_NOTE);
}

static void print_paragraph(const struct term *term, struct buf *text)
{
	if (text->size > 0) {
		fprintf(term->file, "%*s", INDENT, "");
		term_wrap(term, INDENT, INDENT, buf_cstr(text));
	}
	wipe(text->data, text->size);
	buf_clear(text);
}

/* A field that is only there by correction is shown too. */
static bool is_said(const json_t *event, const char *name)
{
	size_t i = 0;

	return json_object_get(event, name) != NULL || case_view_change(event, name, &i) != NULL;
}

static void put_language(const json_t *event, struct buf *out)
{
	struct output_buffer b;
	const char *language = output_member(event, "language", &b);

	if (language[0] != '\0')
		buf_printf(out, "%sin %s", out->size == 0 ? "" : "; ", language);
}

static void print_known(const struct case_view *view, const struct term *term,
	const struct schema_type *type, const json_t *event)
{
	CLEANUP(buf_wipe) struct buf text;
	const struct schema_field *field;

	buf_init(&text, TEXT_MAX);
	for (int texts = 0; texts < 2; texts++) {
		for (size_t i = 0; (field = schema_field_at(type, i)) != NULL; i++) {
			if (is_long(field) != (texts == 1) || is_plumbing(field->name) ||
				!is_said(event, field->name))
				continue;
			if (text.size > 0 && texts == 0)
				buf_put_str(&text, "; ");
			put_label(field->name, &text);
			put_corrected(view, field, event, field->name, &text);
			if (texts == 1)
				print_paragraph(term, &text);
		}
		if (texts == 0)
			put_language(event, &text);
		print_paragraph(term, &text);
	}
}

/* Of a later version, or of a type that is not known here. */
static void print_others(const struct case_view *view, const struct term *term,
	const struct schema_type *type, json_t *event)
{
	CLEANUP(buf_wipe) struct buf text;
	const char *name;
	json_t *value;

	buf_init(&text, TEXT_MAX);
	json_object_foreach(event, name, value)
	{
		if (is_plumbing(name) ||
			(type != NULL && schema_field_find(type, bytes_str(name)) != NULL))
			continue;
		put_label(name, &text);
		put_corrected(view, NULL, event, name, &text);
		print_paragraph(term, &text);
	}
}

/* The field of a correction in words, and what it says of which event. */
static void print_correction(
	const struct case_view *view, const struct term *term, const json_t *event)
{
	CLEANUP(buf_wipe) struct buf text;
	struct output_buffer b[4];
	const json_t *target = case_view_by_id(view, output_member(event, "corrects", &b[0]));
	const char *name = output_member(event, "field", &b[1]);
	const struct schema_type *type =
		schema_type_find(bytes_str(output_member(target, "type", &b[2])));
	const struct schema_field *field =
		type == NULL ? NULL : schema_field_find(type, bytes_str(name));

	buf_init(&text, TEXT_MAX);
	buf_printf(&text, "of #%llu, ", (unsigned long long)output_number(target, "number"));
	put_label(name, &text);
	put_value(view, field, json_object_get(event, "new_value"), &text);
	buf_printf(&text, " (%s)",
		case_view_code("correction_reasons", output_member(event, "reason", &b[3])));
	print_paragraph(term, &text);
}

/* "  overruled by #7" */
static void print_other(const struct case_view *view, const struct term *term, const json_t *event,
	const char *member, const char *what)
{
	struct output_buffer b;
	const char *id = output_member(event, member, &b);
	const json_t *other = id[0] == '\0' ? NULL : case_view_by_id(view, id);

	if (other != NULL)
		fprintf(term->file, "  %s #%llu", what,
			(unsigned long long)output_number(other, "number"));
}

static void print_conflicts(
	const struct case_view *view, const struct term *term, const json_t *event)
{
	const json_t *with = json_object_get(event, "conflicts_with"), *id;
	size_t i;

	json_array_foreach(with, i, id)
	{
		const json_t *other =
			json_is_string(id) ? case_view_by_id(view, json_string_value(id)) : NULL;
		char text[48];

		snprintf(text, sizeof(text), "%s #%llu", i == 0 ? "  CONFLICT with" : ",",
			(unsigned long long)output_number(other, "number"));
		term_put(term, TERM_ALARM, text);
	}
}

static void print_head(const struct case_view *view, const struct term *term,
	const struct schema_type *type, const json_t *event)
{
	struct output_buffer b;
	const char *on = output_member(event, "occurred_on", &b);

	fprintf(term->file, "\n#%-3llu ", (unsigned long long)output_number(event, "number"));
	fprintf(term->file, "%-10s  ", on[0] == '\0' ? "no date" : on);
	term_put(term, TERM_BOLD, type == NULL ? output_member(event, "type", &b) : type->title);
	fputs("  (", term->file);
	term_put(term, TERM_PLAIN, output_member(event, "recorded_by", &b));
	fputs(")", term->file);
	print_other(view, term, event, "superseded_by", "replaced by");
	print_other(view, term, event, "overruled_by", "overruled by");
	print_conflicts(view, term, event);
	if (output_true(event, "partial"))
		fputs("  only in part", term->file);
	if (output_true(event, "contested"))
		term_put(term, TERM_ALARM, "  CONFLICT: another node says something else");
	if (json_is_false(json_object_get(event, "safe"))) {
		fputs("  ", term->file);
		term_put(term, TERM_DIM, output_member(event, "state", &b));
	}
	fputc('\n', term->file);
}

static void print_event(const struct case_view *view, const struct term *term, json_t *event)
{
	struct output_buffer b;
	const struct schema_type *type =
		schema_type_find(bytes_str(output_member(event, "type", &b)));

	print_head(view, term, type, event);
	if (type != NULL && type->number == EVENT_CORRECTION) {
		print_correction(view, term, event);
		return;
	}
	if (type != NULL)
		print_known(view, term, type, event);
	print_others(view, term, type, event);
}

/* ---- what the case is now ---- */

static void put_day(
	const struct case_view *view, const char *what, const char *day, struct buf *out)
{
	char words[32];

	if (day[0] == '\0')
		return;
	reply_day_words(day, view->today, words);
	buf_printf(out, "%s%s %s", out->size == 0 ? "" : ", ", what, day);
	if (words[0] != '\0')
		buf_printf(out, " (%s)", words);
}

static void print_days(const struct case_view *view, const struct term *term)
{
	const struct case_summary *s = &view->summary;
	CLEANUP(buf_release) struct buf text;

	buf_init(&text, TEXT_MAX);
	put_day(view, "opened", s->opened_on, &text);
	put_day(view, "last contact", s->last_contact_on, &text);
	put_day(view, "next contact", s->next_contact_on, &text);
	put_day(view, "next review", s->next_review_on, &text);
	put_day(view, "review at majority", s->majority_review_on, &text);
	if (text.size > 0)
		term_wrap(term, 0, 0, buf_cstr(&text));
}

static void print_state(const struct case_view *view, const struct term *term)
{
	const struct case_summary *s = &view->summary;
	struct output_buffer b;
	const json_t *newest = json_object_get(view->doc, "newest");

	term_put(term, TERM_BOLD, view->code);
	fprintf(term->file, "  %s",
		s->complaint             ? "complaint"
		: s->stage == STAGE_NONE ? "not all of it can be read here"
					 : case_stage_name(s->stage));
	if (s->lead[0] != '\0') {
		fputs(", led by ", term->file);
		term_put(term, TERM_PLAIN, s->lead);
	}
	if (s->risk[0] != '\0')
		fprintf(term->file, ", risk %s", case_view_code("risks", s->risk));
	fputc('\n', term->file);
	print_days(view, term);
	if (newest != NULL)
		fprintf(term->file, "newest entry: %s\n",
			output_member(json_object_get(newest, "state"), "state", &b));
	if (s->legal_hold)
		term_wrap(term, 0, 0, "legal hold: nothing of it is erased");
	if (s->contact_only && !s->complaint && s->stage != STAGE_CLOSED)
		term_wrap(term, 0, 0,
			"contact only: without consent to keep the case it holds contacts and the "
			"case itself");
}

/* Whose case it is; and what was not given of it, whether there is any of it or not. */
static void print_sharers(const struct case_view *view, const struct term *term)
{
	const json_t *sharer, *name;
	size_t i, n;

	json_array_foreach(json_object_get(view->doc, "shared_by"), i, sharer)
	{
		struct output_buffer b;
		struct buf text;

		buf_init(&text, 1024);
		buf_printf(&text, "not shared by %s:", output_member(sharer, "node", &b));
		json_array_foreach(json_object_get(sharer, "not_shared"), n, name)
		{
			buf_printf(&text, "%s%s", n == 0 ? " " : ", ",
				json_is_string(name) ? json_string_value(name) : "");
		}
		term_wrap(term, 0, 0, buf_cstr(&text));
		buf_release(&text);
	}
}

static void print_item(const struct term *term, bool *first, const char *title, const char *text)
{
	if (*first)
		fprintf(term->file, "%s\n", title);
	*first = false;
	fputs("  ", term->file);
	term_wrap(term, 4, 2, text);
}

static void print_consents(const struct case_view *view, const struct term *term)
{
	struct consent_view consent;
	char text[REPLY_TEXT_MAX];
	bool first = true;

	for (size_t n = 0; case_state_consent(view->state, n, view->today, &consent); n++) {
		if (!consent.live)
			continue;
		case_view_consent_text(&consent, text, sizeof(text));
		print_item(term, &first, "Live consents", text);
	}
}

static void print_items(const struct case_view *view, const struct term *term, enum item_kind kind,
	const char *title)
{
	struct item_view item;
	char text[REPLY_TEXT_MAX];
	bool first = true;

	for (size_t n = 0; case_state_item(view->state, kind, n, &item); n++) {
		if (!item.open)
			continue;
		case_view_item_text(kind, &item, text, sizeof(text));
		print_item(term, &first, title, text);
	}
}

static void print_now(const struct case_view *view, const struct term *term)
{
	uint64_t left_out = output_number(view->doc, "left_out");

	print_state(view, term);
	print_sharers(view, term);
	print_consents(view, term);
	print_items(view, term, ITEM_REFERRAL, "Open referrals");
	print_items(view, term, ITEM_CONCERN, "Protection concerns");
	print_items(view, term, ITEM_CLAIM, "Paternity claims");
	print_items(view, term, ITEM_COMPLAINT, "Open complaints");
	print_items(view, term, ITEM_TRANSFER, "Transfers");
	if (view->summary.conflicts > 0) {
		term_put(term, TERM_ALARM, "CONFLICTS");
		fprintf(term->file, ": %zu, to be resolved: sauti case resolve %s\n",
			view->summary.conflicts, view->code);
	}
	if (left_out > 0)
		fprintf(term->file, "%llu entries of it cannot be read\n",
			(unsigned long long)left_out);
}

/* How far they are is no event: the node is asked once more, of a case that has some. */
static enum err print_receipts(
	const struct cli *cli, const struct case_view *view, struct errctx *ctx)
{
	static const char *const states[] = {
		"provisional", "logged", "confirmed", "elsewhere", "unknown"};
	CLEANUP(daemon_json_release) json_t *list = NULL;
	const json_t *item;
	struct output_buffer b;
	size_t i, given = 0;

	json_array_foreach(json_object_get(view->doc, "events"), i, item) given +=
		strcmp(output_member(item, "type", &b), "RECEIPT_GIVEN") == 0;
	if (given == 0)
		return OK;
	TRY(case_receipts_ask(cli, view->ref, &list, ctx));
	printf("receipts: ");
	for (size_t s = 0, said = 0; s < sizeof(states) / sizeof(states[0]); s++) {
		size_t count = 0;

		json_array_foreach(list, i, item) count +=
			strcmp(output_member(item, "state", &b), states[s]) == 0;
		if (count > 0)
			printf("%s%zu %s", said++ > 0 ? ", " : "", count, states[s]);
	}
	putchar('\n');
	return OK;
}

enum err case_show_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(case_view_release) struct case_view view = {0};
	const struct term term = term_of(stdout);
	json_t *events;
	size_t count;

	cli->purpose = args_option(args, "purpose");
	if (cli->purpose != NULL && strlen(cli->purpose) > LIMIT_PURPOSE)
		return cli_usage(cli, ctx, "--purpose has at most %d bytes", LIMIT_PURPOSE);
	TRY(case_view_load(cli, args_at(args, 0), &view, ctx));
	if (cli->json) {
		json_object_del(view.doc, "recorded");
		output_json(view.doc);
		return OK;
	}
	print_now(&view, &term);
	TRY(print_receipts(cli, &view, ctx));
	approvals_print_case(view.doc);
	events = json_object_get(view.doc, "events");
	count = json_array_size(events);
	for (size_t i = 0; i < count; i++)
		print_event(&view, &term,
			json_array_get(
				events, args_flag(args, "oldest-first") ? i : count - 1 - i));
	return OK;
}
