/* The page. Each event is made whole in `row` and added when there is something in it. */
#include "cases/packet/packet.h"

#include <stdio.h>

#include "cases/fold/value.h"
#include "cases/schema/schema.h"
#include "cases/view/html.h"

enum { ROW_MAX = 64 * 1024 };

struct writing {
	const struct packet *packet;
	struct buf *out;
	struct buf row, plain; /* scratch, reserved whole */
	struct packet_holds holds;
};

static const char style[] =
	"@page{margin:18mm}body{font:11pt/1.45 sans-serif;max-width:46em;margin:0 auto;padding:1em;"
	"color:#000;background:#fff}h1{font-size:1.3em}h2{font-size:1.05em;margin:1.2em 0 .3em}"
	"table{border-collapse:collapse;width:100%}th,td{border:1px solid #777;padding:.2em .5em;"
	"text-align:start;vertical-align:top}th{width:13em;font-weight:normal;color:#333}"
	"section{break-inside:avoid}.mind{border:2px solid #000;padding:.5em .8em}";

static void put_text(struct buf *out, const char *text)
{
	html_put_text(out, bytes_str(text));
}

static void put_label(struct buf *out, const char *name)
{
	for (; *name != '\0'; name++) {
		char c = *name == '_' ? ' ' : *name;

		html_put_text(out, bytes_make(&c, 1));
	}
}

static void put_row(struct buf *out, const char *label, const char *value)
{
	if (value[0] == '\0')
		return;
	buf_printf(out, "<tr><th>%s</th><td dir=\"auto\">", label);
	put_text(out, value);
	buf_put_str(out, "</td></tr>\n");
}

/* --- events --- */

/* Codes of services that may be in it: of the groups that are asked for, and that the consent
 * covers. As a JSON list; empty: none. */
static void pick_services(const struct packet *packet, struct bytes codes, struct buf *ret)
{
	const char *between = "[";
	struct bytes code;

	buf_clear(ret);
	while (value_next(&codes, &code)) {
		enum group group = event_service_is_health(code) ? GROUP_HEALTH : GROUP_SERVICES;

		if ((packet->groups & GROUP_BIT(group)) == 0 ||
			(packet->services.size > 0 && !value_lists(packet->services, code)))
			continue;
		buf_printf(ret, "%s\"%.*s\"", between, BYTES_FMT(code));
		between = ",";
	}
	if (ret->size > 0)
		buf_put_u8(ret, ']');
}

static void note_field(struct packet_holds *holds, const char *name)
{
	for (size_t i = 0; i < holds->field_count; i++)
		if (strcmp(holds->fields[i], name) == 0)
			return;
	if (holds->field_count < PACKET_FIELDS_MAX)
		holds->fields[holds->field_count++] = name;
}

static void put_field(struct writing *w, const struct schema_field *field, const char *json)
{
	buf_put_str(&w->row, "<tr><th>");
	put_label(&w->row, field->name);
	buf_put_str(&w->row, "</th><td dir=\"auto\">");
	buf_clear(&w->plain);
	schema_show(field, json, &w->plain);
	html_put_text(&w->row, buf_bytes(&w->plain));
	if (w->plain.err != OK)
		w->row.err = w->plain.err;
	buf_put_str(&w->row, "</td></tr>\n");
	note_field(&w->holds, field->name);
}

static bool by_service(const struct event *event)
{
	return packet_field_group(event->type, bytes_str("service_code")) != GROUP_NONE;
}

/* The groups of what is left of its services; 0: nothing is. */
static group_set service_groups(struct bytes codes)
{
	group_set groups = 0;
	struct bytes code;

	while (value_next(&codes, &code))
		groups |= GROUP_BIT(event_service_is_health(code) ? GROUP_HEALTH : GROUP_SERVICES);
	return groups;
}

/* Which group's the field is here, if it may be in this packet; GROUP_NONE: it may not. */
static enum group allowed(
	const struct writing *w, const struct event *event, const char *name, group_set services)
{
	enum group group = packet_field_group(event->type, bytes_str(name));

	if (group == GROUP_SERVICES && by_service(event))
		return services == 0                                 ? GROUP_NONE
		       : (services & GROUP_BIT(GROUP_SERVICES)) != 0 ? GROUP_SERVICES
								     : GROUP_HEALTH;
	return group != GROUP_NONE && (w->packet->groups & GROUP_BIT(group)) != 0 ? group
										  : GROUP_NONE;
}

static void put_fields(struct writing *w, const struct event *event, const char *services)
{
	const struct schema_type *type = schema_type_get(event->type);
	group_set groups = service_groups(bytes_str(services));
	const struct schema_field *field;

	for (size_t i = 0; type != NULL && (field = schema_field_at(type, i)) != NULL; i++) {
		const char *json = event_field_json(event, field->name);
		enum group group = allowed(w, event, field->name, groups);

		if (json == NULL || group == GROUP_NONE)
			continue;
		put_field(w, field, strcmp(field->name, "service_code") == 0 ? services : json);
		w->holds.groups |= GROUP_BIT(group);
		if (strcmp(field->name, "service_code") == 0)
			w->holds.groups |= groups;
	}
}

/* Witnesses and complainants are nobody's business outside. */
static bool is_of_others(const struct event *event)
{
	return event->type == EVENT_PERSON_RECORDED && !value_is(event, "role", "VICTIM") &&
	       !value_is(event, "role", "CHILD_BORN") && !value_is(event, "role", "GUARDIAN");
}

static void put_event(struct writing *w, const struct event *event)
{
	const struct schema_type *type = schema_type_get(event->type);
	struct buf services;
	size_t head;

	if (type == NULL || is_of_others(event))
		return;
	buf_init(&services, 4096);
	pick_services(w->packet, value_json(event, "service_code"), &services);
	buf_clear(&w->row);
	buf_put_str(&w->row, "<section><h2>");
	put_text(&w->row, type->title);
	if (event->occurred_on[0] != '\0')
		buf_printf(&w->row, ", %s", event->occurred_on);
	buf_put_str(&w->row, "</h2>\n<table>\n");
	head = w->row.size;
	put_fields(w, event, buf_cstr(&services));
	if (w->row.err == OK && w->row.size > head) {
		buf_put_str(&w->row, "</table></section>\n");
		buf_put(w->out, buf_bytes(&w->row));
		w->holds.events++;
	}
	if (w->row.err != OK || services.err != OK)
		w->out->err = w->row.err != OK ? w->row.err : services.err;
	buf_release(&services);
}

/* Its words are this node's, and hold: not of a log that was shared with this office, nothing that
 * another event replaced or was chosen over. */
static bool holds(const struct timeline *timeline, size_t i)
{
	size_t by;

	return timeline_author(timeline, i)[0] == '\0' &&
	       !timeline_superseded_by(timeline, i, &by) &&
	       !timeline_overruled_by(timeline, i, &by);
}

static enum err put_events(struct writing *w, const struct timeline *timeline)
{
	for (size_t i = 0; i < timeline_count(timeline); i++) {
		struct event event;

		if (!holds(timeline, i))
			continue;
		TRY(timeline_corrected(timeline, i, &event));
		put_event(w, &event);
		timeline_corrected_release(&event);
	}
	return w->out->err;
}

/* --- the page --- */

static void put_head(struct writing *w)
{
	const struct packet *packet = w->packet;
	const struct code_list *purposes = code_list_find(bytes_str("purposes"));
	const struct code *purpose = code_find(purposes, bytes_str(packet->purpose));
	char id[EVENT_ID_TEXT + 1], from[LIMIT_NODE_NAME + LIMIT_NETWORK_NAME + 8];

	event_id_text(&packet->id, id);
	snprintf(from, sizeof from, "%s, %s", packet->node, packet->network);
	buf_printf(w->out,
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		"style-src 'unsafe-inline'\">\n<meta name=\"viewport\" "
		"content=\"width=device-width\">\n<title>Packet</title>\n<style>%s</style>\n</"
		"head>\n"
		"<body>\n<h1>In confidence</h1>\n<table>\n",
		style);
	put_row(w->out, "Reference", id);
	put_row(w->out, "For", packet->recipient);
	put_row(w->out, "From", from);
	put_row(w->out, "Made on", packet->made_on);
	if (packet->legal_basis != NULL)
		put_row(w->out, "On the legal basis of", packet->legal_basis);
	else
		put_row(w->out, "Consented to for",
			purpose == NULL ? packet->purpose : purpose->text);
	put_row(w->out, "Consented to until", packet->legal_basis != NULL ? "" : packet->until);
	buf_put_str(w->out, "</table>\n");
}

static void put_foot(struct writing *w)
{
	if (w->holds.events == 0)
		buf_put_str(w->out, "<p>There is nothing to tell of what was agreed to.</p>\n");
	buf_printf(w->out,
		"<p class=\"mind\">Whom this may be shown to is the choice of the person it is "
		"about: use it for what is named above, and for nothing else. %s</p>\n</body>\n"
		"</html>\n",
		w->packet->legal_basis != NULL
			? "Keep it no longer than the law demands."
			: "The consent may be withdrawn at any time: a letter with the reference "
			  "above then asks for its destruction, and for an answer that says so.");
}

/* Up to a step of sizes. */
static void pad(struct buf *out)
{
	size_t step = 256;

	while (step < out->size)
		step = (step & (step - 1)) == 0 ? step / 2 * 3 : step / 3 * 4;
	while (out->err == OK && out->size < step)
		buf_put_u8(out, '\n');
}

enum err packet_write(const struct packet *packet, const struct timeline *timeline, struct buf *ret,
	struct packet_holds *ret_holds)
{
	struct writing w = {.packet = packet, .out = ret};
	enum err err = OK;

	buf_init(&w.row, ROW_MAX);
	buf_init(&w.plain, ROW_MAX);
	if (buf_reserve(&w.row, ROW_MAX) == NULL || buf_reserve(&w.plain, ROW_MAX) == NULL ||
		buf_reserve(ret, PACKET_MAX) == NULL)
		err = ERR_NOMEM;
	if (err == OK) {
		put_head(&w);
		err = put_events(&w, timeline);
	}
	if (err == OK) {
		put_foot(&w);
		pad(ret);
		err = ret->err;
	}
	buf_wipe(&w.row);
	buf_wipe(&w.plain);
	if (err == OK)
		*ret_holds = w.holds;
	return err;
}
