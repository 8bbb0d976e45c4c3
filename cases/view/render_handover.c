/*
 * A hand-over. Each piece is made whole in `scratch` and then added, so that text which grows
 * leaves nothing behind.
 *
 * Titles and labels are ours and in English; what officers wrote stands in elements with
 * dir="auto", so that Arabic runs from the right, and with the language of its event.
 */
#include "cases/event/event_json.h"
#include "cases/schema/schema.h"
#include "cases/view/html.h"
#include "cases/view/render_internal.h"

enum { PLAIN_MAX = 256 * 1024 };

static const char style[] =
	"@page{margin:15mm}"
	"body{font:11pt/1.4 sans-serif;max-width:50em;margin:0 auto;padding:1em;color:#000;"
	"background:#fff}"
	"h1{font-size:1.3em}h2{font-size:1.25em;border-top:2px solid #000;padding-top:.4em}"
	"h3{font-size:1em;margin:1em 0 .3em}"
	"section{break-before:page}section:first-of-type{break-before:auto}"
	"table{border-collapse:collapse;width:100%}"
	"th,td{border:1px solid #777;padding:.2em .4em;text-align:start;vertical-align:top}"
	"article{border-inline-start:3px solid #777;padding-inline-start:.6em;margin:.6em 0;"
	"break-inside:avoid}"
	"article p{margin:0}dl{margin:0;display:grid;grid-template-columns:12em 1fr;gap:0 .6em}"
	"dt{color:#333}dd{margin:0;white-space:pre-wrap;overflow-wrap:anywhere}"
	"del{color:#555}ins{text-decoration:none;font-weight:bold}"
	".late{font-weight:bold}.by{color:#444;font-size:.9em}";

/* ---- pieces ---- */

static struct buf *fresh(struct render *render)
{
	buf_clear(&render->scratch);
	return &render->scratch;
}

/* What stands in scratch is part of the page. */
static void add(struct render *render)
{
	if (render->scratch.err != OK && render->out.err == OK)
		render->out.err = render->scratch.err;
	buf_put_clean(&render->out, buf_bytes(&render->scratch));
}

static void put_text(struct buf *out, const char *text)
{
	html_put_text(out, bytes_str(text));
}

/* A code as people read it; itself when the list has no such code. */
static void put_code(struct buf *out, const char *list, const char *name)
{
	const struct code_list *codes = code_list_find(bytes_str(list));
	const struct code *code = codes == NULL ? NULL : code_find(codes, bytes_str(name));

	put_text(out, code == NULL ? name : code->text);
}

/* A name in a member, as people read it: "next contact due on". */
static void put_label(struct buf *out, const char *name)
{
	for (; *name != '\0'; name++) {
		char c = *name == '_' ? ' ' : *name;

		html_put_text(out, bytes_make(&c, 1));
	}
}

/* A value in the words of the schema; "-" for none. */
static void put_value(struct render *render, const struct event *event, const char *name,
	const char *json, const char *tag)
{
	const struct schema_type *type = schema_type_get(event->type);
	const struct schema_field *field =
		type == NULL ? NULL : schema_field_find(type, bytes_str(name));
	struct buf *out = &render->scratch, *plain = &render->plain;

	buf_clear(plain);
	if (json != NULL)
		schema_show(field, json, plain);
	else
		buf_put_str(plain, "-");
	if (plain->err != OK)
		out->err = plain->err;
	buf_printf(out, "<%s dir=\"auto\">", tag);
	html_put_text(out, buf_bytes(plain));
	buf_printf(out, "</%s>", tag);
}

/* ---- the summary ---- */

static void put_row(struct buf *out, const char *name, const char *value)
{
	if (value[0] == '\0')
		return;
	buf_printf(out, "<tr><th>%s</th><td>", name);
	put_text(out, value);
	buf_put_str(out, "</td></tr>\n");
}

/* With a word when that day is over. */
static void put_due(struct buf *out, const char *name, const char *day, const char *today)
{
	if (day[0] == '\0')
		return;
	buf_printf(out, "<tr><th>%s</th><td>", name);
	put_text(out, day);
	if (strcmp(day, today) < 0)
		buf_put_str(out, " <span class=\"late\">(over)</span>");
	buf_put_str(out, "</td></tr>\n");
}

static void put_summary(
	struct render *render, const struct timeline *timeline, const struct case_summary *summary)
{
	const char *today = render->options.today;
	struct buf *out = fresh(render);

	buf_put_str(out, "<table>\n");
	put_row(out, "Stage", case_stage_name(summary->stage));
	put_row(out, "Led by", summary->lead);
	put_row(out, "Risk", summary->risk);
	put_row(out, "Opened", summary->opened_on);
	put_row(out, "Last contact", summary->last_contact_on);
	put_due(out, "Next contact", summary->next_contact_on, today);
	put_due(out, "Next review", summary->next_review_on, today);
	put_due(out, "Review at majority", summary->majority_review_on, today);
	if (summary->contact_only)
		put_row(out, "Consent", "none to keep the case: contacts alone");
	if (summary->legal_hold)
		put_row(out, "Legal hold", "yes: nothing may be erased");
	if (summary->backups == 0)
		put_row(out, "Stands in", "nobody");
	buf_put_str(out, "</table>\n");
	if (timeline_left_out(timeline) > 0)
		buf_printf(out, "<p class=\"late\">%zu events could not be read.</p>\n",
			timeline_left_out(timeline));
	add(render);
}

/* ---- what stands open ---- */

/* Kinds of what may stand open, with the lists that their codes are of. */
struct open_kind {
	enum item_kind kind;
	const char *name, *what, *status;
};

static void put_item(
	struct render *render, const struct open_kind *kind, const struct item_view *item)
{
	const char *today = render->options.today;
	struct buf *out = fresh(render);

	buf_printf(out, "<li>%s ", kind->name);
	put_text(out, item->id);
	if (item->what[0] != '\0') {
		buf_put_str(out, ", ");
		put_code(out, kind->what, item->what);
	}
	buf_put_str(out, ": ");
	if (item->unanswered)
		buf_put_str(out, "no answer yet");
	else
		put_code(out, kind->status, item->status);
	if (item->imminent)
		buf_put_str(out, " <span class=\"late\">(imminent)</span>");
	if (item->due[0] != '\0') {
		buf_put_str(out, ", due ");
		put_text(out, item->due);
		if (strcmp(item->due, today) < 0)
			buf_put_str(out, " <span class=\"late\">(over)</span>");
	}
	buf_put_str(out, "</li>\n");
	add(render);
}

static void put_open(
	struct render *render, const struct case_state *state, const struct case_summary *summary)
{
	static const struct open_kind kinds[] = {
		{ITEM_CONCERN, "Protection concern", "concerns", ""},
		{ITEM_REFERRAL, "Referral", "services", "answers"},
		{ITEM_CLAIM, "Paternity claim", "claim_kinds", "paternity_stages"},
		{ITEM_ALLEGATION, "Allegation", "allegation_types", "investigation_stages"},
		{ITEM_COMPLAINT, "Complaint", "complaint_kinds", "complaint_stages"},
		{ITEM_TRANSFER, "Transfer", "transfer_reasons", "transfer_answers"},
	};
	struct item_view item;
	size_t open = 0;

	buf_put_clean(&render->out, bytes_str("<h3>What stands open</h3>\n<ul>\n"));
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		for (size_t n = 0; case_state_item(state, kinds[k].kind, n, &item); n++)
			if (item.open) {
				put_item(render, &kinds[k], &item);
				open++;
			}
	if (summary->conflicts > 0) {
		buf_printf(fresh(render), "<li>Conflicts that nobody resolved: %zu</li>\n",
			summary->conflicts);
		add(render);
	}
	if (open + summary->conflicts == 0)
		buf_put_clean(&render->out, bytes_str("<li>Nothing</li>\n"));
	buf_put_clean(&render->out, bytes_str("</ul>\n"));
}

/* ---- consents ---- */

static bool find_event(const struct timeline *timeline, const struct event_id *id, size_t *ret)
{
	for (size_t i = 0; i < timeline_count(timeline); i++)
		if (memcmp(timeline_event(timeline, i)->id.b, id->b, EVENT_ID_SIZE) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

/* A field of the consent as it holds now. */
static void put_scope(struct render *render, const struct timeline *timeline,
	const struct consent_view *consent, const char *name, const char *none)
{
	size_t i;
	const char *json = find_event(timeline, &consent->event, &i)
				   ? timeline_value(timeline, i, name)
				   : NULL;

	if (json != NULL)
		put_value(render, timeline_event(timeline, i), name, json, "td");
	else
		buf_printf(&render->scratch, "<td>%s</td>", none);
}

static void put_cell(struct buf *out, const char *text)
{
	buf_put_str(out, "<td>");
	put_text(out, text);
	buf_put_str(out, "</td>");
}

static void put_consent(
	struct render *render, const struct timeline *timeline, const struct consent_view *consent)
{
	struct buf *out = fresh(render);

	buf_put_str(out, "<tr>");
	buf_put_str(out, "<td>");
	put_code(out, "purposes", consent->purpose);
	buf_put_str(out, "</td>");
	put_scope(render, timeline, consent, "recipients", "-");
	put_scope(render, timeline, consent, "services", "all");
	put_scope(render, timeline, consent, "groups", "-");
	put_scope(render, timeline, consent, "withhold_from", "-");
	put_cell(out, consent->valid_from);
	put_cell(out, consent->valid_until);
	buf_put_str(out, "<td>");
	if (consent->withdrawn_on[0] != '\0') {
		buf_put_str(out, "<span class=\"late\">withdrawn ");
		put_text(out, consent->withdrawn_on);
		buf_put_str(out, "</span>");
	} else {
		buf_put_str(out, consent->live ? "holds" : "<span class=\"late\">not live</span>");
	}
	buf_put_str(out, "</td></tr>\n");
	add(render);
}

static void put_consents(
	struct render *render, const struct timeline *timeline, const struct case_state *state)
{
	struct consent_view consent;

	buf_put_clean(&render->out, bytes_str("<h3>Consents</h3>\n"));
	if (!case_state_consent(state, 0, render->options.today, &consent)) {
		buf_put_clean(&render->out, bytes_str("<p>None.</p>\n"));
		return;
	}
	buf_put_clean(&render->out,
		bytes_str("<table>\n<tr><th>To</th><th>For whom</th><th>Services</th><th>Data</th>"
			  "<th>Never to</th><th>From</th><th>Until</th><th></th></tr>\n"));
	for (size_t n = 0; case_state_consent(state, n, render->options.today, &consent); n++)
		put_consent(render, timeline, &consent);
	buf_put_clean(&render->out, bytes_str("</table>\n"));
}

/* ---- the timeline ---- */

/* Old struck, new beside it, who said so: once for each change of the field. */
static void put_changes(
	struct render *render, const struct timeline *timeline, size_t i, const char *name)
{
	const struct event *event = timeline_event(timeline, i);
	struct timeline_change change;
	struct buf *out = &render->scratch;

	for (size_t n = 0; timeline_change(timeline, i, n, &change); n++) {
		const struct event *by = timeline_event(timeline, change.correction);

		if (strcmp(change.field, name) != 0)
			continue;
		put_value(render, event, name, change.old_json, "del");
		buf_put_str(out, " ");
		put_value(render, event, name, change.new_json, change.holds ? "ins" : "del");
		buf_put_str(out, " <span class=\"by\">(");
		put_text(out, by->occurred_on);
		buf_put_str(out, by->occurred_on[0] != '\0' ? ", " : "");
		put_text(out, by->recorded_by);
		buf_put_str(out, ")</span>\n");
	}
}

static bool is_changed(const struct timeline *timeline, size_t i, const char *name)
{
	struct timeline_change change;

	for (size_t n = 0; timeline_change(timeline, i, n, &change); n++)
		if (strcmp(change.field, name) == 0)
			return true;
	return false;
}

static void put_field(struct render *render, const struct timeline *timeline, size_t i,
	const char *name, const char *json)
{
	struct buf *out = &render->scratch;

	buf_put_str(out, "<dt>");
	put_label(out, name);
	buf_put_str(out, "</dt><dd>");
	if (is_changed(timeline, i, name))
		put_changes(render, timeline, i, name);
	else
		put_value(render, timeline_event(timeline, i), name, json, "span");
	buf_put_str(out, "</dd>\n");
}

/* Fields that the event did not have before it was corrected. */
static void put_added_fields(struct render *render, const struct timeline *timeline, size_t i)
{
	const struct event *event = timeline_event(timeline, i);
	struct timeline_change change, before;

	for (size_t n = 0; timeline_change(timeline, i, n, &change); n++) {
		bool again = event_field_json(event, change.field) != NULL;

		for (size_t k = 0; k < n && !again; k++)
			again = timeline_change(timeline, i, k, &before) &&
				strcmp(before.field, change.field) == 0;
		if (!again)
			put_field(render, timeline, i, change.field, NULL);
	}
}

static void put_marks(struct buf *out, const struct timeline *timeline, size_t i)
{
	const struct event *event = timeline_event(timeline, i);
	size_t other;

	if (event->partial)
		buf_put_str(out, "<p class=\"late\">Only a part of this can be read here.</p>\n");
	if (timeline_conflict(timeline, i, 0, &other))
		buf_put_str(out,
			"<p class=\"late\">Contradicted by another event, and not resolved.</p>\n");
	if (timeline_overruled_by(timeline, i, &other))
		buf_put_str(out, "<p class=\"late\">Another event was chosen in its place.</p>\n");
	if (timeline_superseded_by(timeline, i, &other))
		buf_put_str(out, "<p class=\"late\">Replaced by a later event.</p>\n");
}

static void put_head(struct buf *out, const struct timeline *timeline, size_t i)
{
	const struct event *event = timeline_event(timeline, i);
	const struct schema_type *type = schema_type_get(event->type);
	char recorded[21];

	event_time_text(event->recorded_at, recorded);
	buf_put_str(out, "<p><b>");
	put_text(out, event->occurred_on[0] != '\0' ? event->occurred_on : "no date");
	buf_put_str(out, " ");
	put_text(out, type != NULL ? type->title : "an event of a later version");
	buf_put_str(out, "</b> <span class=\"by\">recorded ");
	put_text(out, event->has.recorded_at ? recorded : "-");
	buf_put_str(out, ", ");
	put_text(out, event->recorded_by);
	if (event->office[0] != '\0') {
		buf_put_str(out, ", ");
		put_text(out, event->office);
	}
	if (timeline_author(timeline, i)[0] != '\0') {
		buf_put_str(out, ", node ");
		put_text(out, timeline_author(timeline, i));
	}
	buf_put_str(out, "</span></p>\n");
}

static void put_event(struct render *render, const struct timeline *timeline, size_t i)
{
	const struct event *event = timeline_event(timeline, i);
	struct buf *out = fresh(render);

	buf_put_str(out, "<article");
	if (event->language[0] != '\0') {
		buf_put_str(out, " lang=\"");
		put_text(out, event->language);
		buf_put_str(out, "\"");
	}
	buf_put_str(out, ">\n");
	put_head(out, timeline, i);
	put_marks(out, timeline, i);
	buf_put_str(out, "<dl>\n");
	for (size_t f = 0; f < event->field_count; f++)
		put_field(render, timeline, i, event->fields[f].name, event->fields[f].json);
	put_added_fields(render, timeline, i);
	buf_put_str(out, "</dl>\n</article>\n");
	add(render);
}

/* ---- the page ---- */

enum err render_handover_new(struct render *render, struct errctx *ctx)
{
	const struct render_options *options = &render->options;
	struct buf *out = fresh(render);

	if (options->today == NULL || options->officer == NULL ||
		!event_date_valid(bytes_str(options->today), PRECISION_DAY))
		return err_set(ctx, ERR_INVALID,
			"a hand-over says on which day it is printed, and "
			"by whom");
	buf_init(&render->plain, PLAIN_MAX);
	if (buf_reserve(&render->plain, PLAIN_MAX) == NULL)
		return ERR_NOMEM;
	buf_printf(out,
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		"style-src 'unsafe-inline'\">\n"
		"<meta name=\"viewport\" content=\"width=device-width\">\n"
		"<title>Hand-over</title>\n<style>%s</style>\n</head>\n<body>\n"
		"<h1>Hand-over</h1>\n<p>Printed on %s by ",
		style, options->today);
	put_text(out, options->officer);
	buf_put_str(out,
		". Confidential: whom this may be shown to is the victim's choice. Destroy it "
		"when it is done with.</p>\n");
	add(render);
	return OK;
}

enum err render_handover_case(
	struct render *render, const struct render_case *kase, struct errctx *ctx)
{
	const struct timeline *timeline = kase->timeline;
	struct case_summary summary;
	struct case_state *state;
	enum err err = timeline_state(timeline, &state);

	if (err == ERR_LIMIT)
		return err_set(ctx, err, "a case has more in it than is folded");
	TRY(err);
	case_state_summary(state, render->options.today, &summary);
	buf_put_str(fresh(render), "<section>\n<h2>");
	put_text(&render->scratch, kase->code[0] != '\0' ? kase->code : "a case without a code");
	buf_put_str(&render->scratch, "</h2>\n");
	add(render);
	put_summary(render, timeline, &summary);
	put_open(render, state, &summary);
	put_consents(render, timeline, state);
	buf_put_clean(&render->out, bytes_str("<h3>Timeline, the newest first</h3>\n"));
	for (size_t i = timeline_count(timeline); i > 0; i--)
		put_event(render, timeline, i - 1);
	buf_put_clean(&render->out, bytes_str("</section>\n"));
	case_state_free(state);
	return OK;
}

void render_handover_finish(struct render *render)
{
	buf_put_clean(&render->out, bytes_str("</body>\n</html>\n"));
}
