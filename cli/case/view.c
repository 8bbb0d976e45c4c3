#include "cli/case/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/json_memory.h"
#include "cases/fold/timeline.h"
#include "cli/output.h"

/* ---- loading ---- */

/* Events are numbered in the order in which they were recorded: new ones come behind. What another
 * node recorded earlier and sends later moves those after it. */
static int by_recording(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	struct output_buffer bx, by;
	int order =
		strcmp(output_member(x, "recorded_at", &bx), output_member(y, "recorded_at", &by));

	return order != 0 ? order
			  : strcmp(output_member(x, "event_id", &bx),
				    output_member(y, "event_id", &by));
}

static enum err sort_events(json_t **events)
{
	size_t count = json_array_size(*events);
	json_t **list = mem_array(count + 1, sizeof(*list)), *sorted = json_array();

	if (list == NULL || sorted == NULL) {
		mem_free(list);
		json_decref(sorted);
		return ERR_NOMEM;
	}
	for (size_t i = 0; i < count; i++)
		list[i] = json_array_get(*events, i);
	qsort(list, count, sizeof(*list), by_recording);
	for (size_t i = 0; i < count; i++) {
		json_object_set_new(list[i], "number", json_integer((json_int_t)i + 1));
		json_array_append(sorted, list[i]);
	}
	mem_free(list);
	*events = sorted;
	return OK;
}

static void timeline_release(struct timeline **timeline)
{
	timeline_free(*timeline);
}

static int id_compare(const void *a, const void *b)
{
	return strcmp(json_string_value(json_object_get(*(json_t *const *)a, "event_id")),
		json_string_value(json_object_get(*(json_t *const *)b, "event_id")));
}

/* Views into the documents, sorted by id. */
static enum err index_events(struct case_view *view)
{
	size_t count = json_array_size(view->events);

	view->by_id = mem_array(count + 1, sizeof(*view->by_id));
	if (view->by_id == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < count; i++) {
		view->by_id[i] = json_array_get(view->events, i);
		if (!json_is_string(json_object_get(view->by_id[i], "event_id")))
			return ERR_MALFORMED;
	}
	qsort(view->by_id, count, sizeof(*view->by_id), id_compare);
	return OK;
}

static json_t *by_id(json_t *const *sorted, size_t count, const char *id)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		json_t *event = sorted[middle];
		int order = strcmp(json_string_value(json_object_get(event, "event_id")), id);

		if (order == 0)
			return event;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Into which group a correction went is the node's business: here all of it is read. */
static enum err add_parts(struct timeline *timeline, const struct event *event, struct errctx *ctx)
{
	const struct event_target target = {EVENT_CONTACT, GROUP_CORE, GROUP_BIT(GROUP_CORE)};
	struct event_parts parts = {.count = 0};
	struct event_id corrected;
	bool corrects = event_corrects(event, &corrected) == OK;
	enum err err = event_split(event, corrects ? &target : NULL, &parts, ctx);

	for (size_t i = 0; i < parts.count && err == OK; i++)
		err = timeline_add(timeline, buf_bytes(&parts.part[i].packed), ctx);
	event_parts_release(&parts);
	return err;
}

/* Without what is said about it here. */
static char *dump_event(const json_t *json)
{
	static const char *const ours[] = {"synced", "safe", "state", "author", "contested",
		"number", "changes", "conflicts_with", "overruled_by", "superseded_by"};
	json_t *copy = json_copy((json_t *)json);
	char *text;

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		json_object_del(copy, ours[i]);
	text = copy == NULL ? NULL : json_dumps(copy, JSON_COMPACT);
	json_decref(copy);
	return text;
}

/* What cannot be read whole says nothing about where the case stands. */
static enum err add_event(struct timeline *timeline, const json_t *json, struct errctx *ctx)
{
	struct event event = {0};
	char *text;
	enum err err;

	if (output_true(json, "partial"))
		return OK;
	text = dump_event(json);
	if (text == NULL)
		return ERR_NOMEM;
	err = event_parse(bytes_str(text), &event, ctx);
	json_text_free(text);
	if (err == OK)
		err = add_parts(timeline, &event, ctx);
	event_release(&event);
	return err == ERR_NOMEM || err == ERR_LIMIT ? err : OK;
}

/* What events say about each other, where the node did not say it. */
static enum err add_marks(struct case_view *view, const struct timeline *timeline, size_t i)
{
	CLEANUP(buf_wipe) struct buf text;
	char id[EVENT_ID_TEXT + 1];
	json_t *marks, *event;
	int failed;

	buf_init(&text, 1024 * 1024);
	buf_put_str(&text, "{\"number\":0");
	timeline_put_marks(timeline, i, &text);
	buf_put_str(&text, "}");
	TRY(text.err);
	event_id_text(&timeline_event(timeline, i)->id, id);
	event = by_id(view->by_id, json_array_size(view->events), id);
	if (text.size == sizeof("{\"number\":0}") - 1 || event == NULL)
		return OK;
	marks = json_loadb((const char *)text.data, text.size, 0, NULL);
	failed = marks == NULL || json_object_update_missing(event, marks) != 0;
	json_decref(marks);
	return failed ? ERR_NOMEM : OK;
}

static enum err fold(struct case_view *view, struct errctx *ctx)
{
	CLEANUP(timeline_release) struct timeline *timeline = NULL;
	json_t *event;
	size_t i;

	TRY(timeline_new(&timeline));
	json_array_foreach(view->events, i, event) TRY(add_event(timeline, event, ctx));
	TRY(timeline_finish(timeline));
	for (i = 0; i < timeline_count(timeline); i++)
		TRY(add_marks(view, timeline, i));
	TRY(timeline_state(timeline, &view->state));
	case_state_summary(view->state, view->today, &view->summary);
	return OK;
}

static void set_office(struct case_view *view)
{
	for (size_t i = json_array_size(view->events); i-- > 0;) {
		const json_t *event = json_array_get(view->events, i);
		struct output_buffer b[2];

		if (output_member(event, "author", &b[0])[0] != '\0')
			continue;
		snprintf(view->office, sizeof(view->office), "%.3s",
			output_member(event, "office", &b[1]));
		return;
	}
}

/* What others gave of the case stands for the consent to keep it. */
static void set_granted(struct case_view *view)
{
	const json_t *sharer, *name;
	size_t i, n;

	json_array_foreach(json_object_get(view->doc, "shared_by"), i, sharer)
	{
		json_array_foreach(json_object_get(sharer, "groups"), n, name)
		{
			if (json_is_string(name))
				view->granted |=
					GROUP_BIT(group_find(bytes_str(json_string_value(name))));
		}
	}
	view->granted &= GROUP_SET_CASE;
	if (view->granted != 0)
		view->summary.contact_only = false;
}

enum err case_view_load(
	const struct cli *cli, const char *name, struct case_view *ret, struct errctx *ctx)
{
	struct case_view view = {0};
	struct output_buffer b;
	json_t *events;
	enum err err;

	case_today(view.today);
	TRY(case_ask(cli, name, &view.doc, ctx));
	snprintf(view.ref, sizeof(view.ref), "%s", output_member(view.doc, "case_ref", &b));
	view.code = json_string_value(json_object_get(view.doc, "code"));
	view.code = view.code == NULL || view.code[0] == '\0' ? view.ref : view.code;
	events = json_object_get(view.doc, "events");
	err = sort_events(&events);
	if (err == OK && json_object_set_new(view.doc, "recorded", events) != 0)
		err = ERR_NOMEM;
	view.events = json_object_get(view.doc, "recorded");
	if (err == OK)
		err = index_events(&view);
	if (err == OK)
		err = fold(&view, ctx);
	set_office(&view);
	set_granted(&view);
	*ret = view;
	/* Summary and code point into what moved along. */
	ret->code = view.code == view.ref ? ret->ref : view.code;
	if (err != OK)
		case_view_release(ret);
	return err;
}

void case_view_release(struct case_view *view)
{
	case_state_free(view->state);
	mem_free(view->by_id);
	json_decref(view->doc);
	*view = (struct case_view){0};
}

json_t *case_view_event(const struct case_view *view, const char *number)
{
	uint64_t n;

	number += number[0] == '#';
	if (decimal_parse(bytes_str(number), json_array_size(view->events), &n) != OK || n == 0)
		return NULL;
	return json_array_get(view->events, (size_t)n - 1);
}

/* ---- texts ---- */

const char *case_view_code(const char *list, const char *code)
{
	const struct code_list *codes = code_list_find(bytes_str(list));
	const struct code *found = codes == NULL ? NULL : code_find(codes, bytes_str(code));

	return found == NULL ? code : found->text;
}

/* "C-1: ", unless it has no id. */
static void put_id(struct buf *out, const char *id)
{
	if (id[0] != '\0')
		buf_printf(out, "%s: ", id);
}

static void take_text(struct buf *out, char *ret, size_t size)
{
	snprintf(ret, size, "%s", buf_cstr(out));
	buf_release(out);
}

void case_view_consent_text(const struct consent_view *consent, char *ret, size_t size)
{
	struct buf out;

	buf_init(&out, 1024);
	put_id(&out, consent->id);
	buf_put_str(&out, case_view_code("purposes", consent->purpose));
	if (consent->valid_until[0] != '\0')
		buf_printf(&out, ", until %s", consent->valid_until);
	take_text(&out, ret, size);
}

/* Where it stands, in words; "" where that is nothing new. */
static const char *status_text(enum item_kind kind, const struct item_view *item)
{
	static const char *const lists[] = {[ITEM_REFERRAL] = "answers",
		[ITEM_CLAIM] = "paternity_stages",
		[ITEM_CONCERN] = "",
		[ITEM_ALLEGATION] = "investigation_stages",
		[ITEM_COMPLAINT] = "complaint_stages",
		[ITEM_TRANSFER] = "transfer_answers",
		[ITEM_PERSON] = "person_roles"};

	if (strcmp(item->status, "MADE") == 0 || strcmp(item->status, "OFFERED") == 0)
		return "no answer yet";
	if (kind == ITEM_COMPLAINT && strcmp(item->status, "RECEIVED") == 0)
		return "not acknowledged yet";
	if (kind == ITEM_CONCERN)
		return item->imminent ? "IMMINENT" : item->open ? "" : "resolved";
	return case_view_code(
		kind == ITEM_REFERRAL && !item->open ? "referral_ends" : lists[kind], item->status);
}

void case_view_item_text(enum item_kind kind, const struct item_view *item, char *ret, size_t size)
{
	static const char *const lists[] = {[ITEM_REFERRAL] = "services",
		[ITEM_CLAIM] = "claim_kinds",
		[ITEM_CONCERN] = "concerns",
		[ITEM_ALLEGATION] = "allegation_types",
		[ITEM_COMPLAINT] = "complaint_kinds",
		[ITEM_TRANSFER] = "transfer_reasons",
		[ITEM_PERSON] = "person_roles"};
	const char *what = case_view_code(lists[kind], item->what);
	const char *status = status_text(kind, item);
	struct buf out;

	buf_init(&out, 1024);
	put_id(&out, item->id);
	buf_put_str(&out, what);
	if (status[0] != '\0')
		buf_printf(&out, "%s%s", what[0] == '\0' ? "" : ", ", status);
	if (item->due[0] != '\0' && item->open)
		buf_printf(&out, ", due %s", item->due);
	take_text(&out, ret, size);
}

static bool put_consent_of(
	const struct case_view *view, const struct event_id *event, struct buf *out)
{
	struct consent_view consent;
	char text[REPLY_TEXT_MAX];

	for (size_t n = 0; case_state_consent(view->state, n, view->today, &consent); n++) {
		if (memcmp(&consent.event, event, sizeof(*event)) != 0)
			continue;
		case_view_consent_text(&consent, text, sizeof(text));
		buf_put_str(out, text);
		return true;
	}
	return false;
}

json_t *case_view_by_id(const struct case_view *view, const char *event_id)
{
	return by_id(view->by_id, json_array_size(view->events), event_id);
}

void case_view_event_text(const struct case_view *view, const char *event_id, struct buf *out)
{
	const json_t *event = case_view_by_id(view, event_id);
	struct event_id id;

	if (event_id_parse(bytes_str(event_id), &id) == OK && put_consent_of(view, &id, out))
		return;
	if (event == NULL)
		buf_put_str(out, event_id);
	else
		buf_printf(out, "#%llu", (unsigned long long)output_number(event, "number"));
}

/* ---- events by what people call them ---- */

bool case_view_is_number(const char *text)
{
	return text[0] == '#' || ((text[0] == 'C' || text[0] == 'c') && text[1] == '-');
}

static bool id_of_number(
	const struct case_view *view, const char *text, char ret[EVENT_ID_TEXT + 1])
{
	const json_t *event = text[0] == '#' ? case_view_event(view, text) : NULL;
	struct consent_view consent;
	struct output_buffer b;

	if (event != NULL) {
		snprintf(ret, EVENT_ID_TEXT + 1, "%s", output_member(event, "event_id", &b));
		return true;
	}
	for (size_t n = 0; case_state_consent(view->state, n, view->today, &consent); n++) {
		if (strcasecmp(consent.id, text) != 0)
			continue;
		event_id_text(&consent.event, ret);
		return true;
	}
	return false;
}

enum err case_view_resolve(const struct case_view *view, const struct schema_type *type,
	json_t *event, struct errctx *ctx)
{
	const struct schema_field *field;
	char id[EVENT_ID_TEXT + 1];

	for (size_t i = 0; (field = schema_field_at(type, i)) != NULL; i++) {
		const char *text = json_string_value(json_object_get(event, field->name));

		if (field->kind != FIELD_EVENT || text == NULL || !case_view_is_number(text))
			continue;
		if (!id_of_number(view, text, id))
			return err_set(ctx, ERR_NOTFOUND,
				"%s: there is no '%.20s' in this case: 'case show' prints what "
				"there is",
				field->name, text);
		if (json_object_set_new(event, field->name, json_string(id)) != 0)
			return ERR_NOMEM;
	}
	return OK;
}

/* ---- corrections ---- */

const json_t *case_view_change(const json_t *event, const char *name, size_t *i)
{
	const json_t *changes = json_object_get(event, "changes");
	struct output_buffer b;

	while (*i < json_array_size(changes)) {
		const json_t *change = json_array_get(changes, (*i)++);

		if (strcmp(output_member(change, "field", &b), name) == 0)
			return change;
	}
	return NULL;
}

const json_t *case_view_value(const json_t *event, const char *name)
{
	const json_t *value = json_object_get(event, name), *change;
	size_t i = 0;

	while ((change = case_view_change(event, name, &i)) != NULL)
		if (output_true(change, "holds"))
			value = json_object_get(change, "new");
	return value;
}

/* ---- choices ---- */

/* What a field refers to, by its name. */
static const struct {
	const char *field;
	enum item_kind kind;
	const char *what; /* for people */
} item_fields[] = {
	{"referral_id", ITEM_REFERRAL, "open referral"},
	{"claim_id", ITEM_CLAIM, "open paternity claim"},
	{"concern_id", ITEM_CONCERN, "open protection concern"},
	{"allegation_ref", ITEM_ALLEGATION, "allegation"},
	{"complaint_id", ITEM_COMPLAINT, "open complaint"},
	{"person_ref", ITEM_PERSON, "person"},
	{"guardian_ref", ITEM_PERSON, "person"},
	{"replaces", ITEM_PERSON, "person"},
	{"for_person_ref", ITEM_PERSON, "person"},
	{"child_ref", ITEM_PERSON, "person"},
};

/* -1: none. */
static int item_field(const struct schema_field *field)
{
	for (size_t i = 0; i < sizeof(item_fields) / sizeof(item_fields[0]); i++)
		if (strcmp(field->name, item_fields[i].field) == 0)
			return (int)i;
	return -1;
}

/* A stage may be recorded of what is closed too, by correction of history; what is open is offered.
 * Allegations and persons are never closed. */
static void add_items(
	const struct case_view *view, enum item_kind kind, struct reply_choices *choices)
{
	struct item_view item;
	char text[REPLY_TEXT_MAX];

	for (size_t n = 0; case_state_item(view->state, kind, n, &item); n++) {
		if (!item.open && kind != ITEM_ALLEGATION && kind != ITEM_PERSON)
			continue;
		case_view_item_text(kind, &item, text, sizeof(text));
		reply_choices_add(choices, item.id, text);
	}
}

/* The purpose that an event of this type needs; NULL: any. */
static const char *purpose_of(const struct schema_type *type)
{
	return type->number == EVENT_TRANSFER_OFFERED  ? "TRANSFER"
	       : type->number == EVENT_REFERRAL_MADE   ? "REFERRAL"
	       : type->number == EVENT_EXTERNAL_PACKET ? "REFERRAL"
						       : NULL;
}

static void add_consents(const struct case_view *view, const struct schema_type *type,
	bool by_event, struct reply_choices *choices)
{
	const char *purpose = by_event ? purpose_of(type) : NULL;
	struct consent_view consent;
	char text[REPLY_TEXT_MAX], id[EVENT_ID_TEXT + 1];

	for (size_t n = 0; case_state_consent(view->state, n, view->today, &consent); n++) {
		if (!consent.live || (purpose != NULL && strcmp(consent.purpose, purpose) != 0))
			continue;
		case_view_consent_text(&consent, text, sizeof(text));
		event_id_text(&consent.event, id);
		reply_choices_add(choices, by_event ? id : consent.id, text);
	}
}

static bool names_consent(const struct schema_field *field, bool *ret_by_event)
{
	*ret_by_event = strcmp(field->name, "consent_ref") == 0;
	return *ret_by_event || strcmp(field->name, "consent_id") == 0;
}

void case_view_choices(const struct case_view *view, const struct schema_type *type,
	const struct schema_field *field, struct reply_choices *choices,
	char ret_preset[REPLY_NAME_MAX])
{
	int item = item_field(field);
	bool by_event;

	ret_preset[0] = '\0';
	if (names_consent(field, &by_event))
		add_consents(view, type, by_event, choices);
	else if (item >= 0)
		add_items(view, item_fields[item].kind, choices);
	else
		return;
	choices->open = false;
	if (choices->numbered == 1 && field->required)
		snprintf(ret_preset, REPLY_NAME_MAX, "%s", choices->item[0].name);
}

/* ---- contact alone ---- */

bool case_view_takes(const struct case_view *view, const struct schema_type *type,
	const struct schema_field *field, const json_t *event)
{
	struct output_buffer b;
	enum group group = event_field_group(bytes_str(field->name));

	if (!view->summary.contact_only || view->summary.complaint)
		return true;
	/* The consent that ends it takes a note with it. */
	if (type->number == EVENT_CONSENT_RECORDED &&
		strcmp(output_member(event, "purpose", &b), "CASE_MGMT") == 0)
		return true;
	return group != GROUP_NOTE && group != GROUP_IDENTITY && group != GROUP_HEALTH;
}

/* ---- early refusals ---- */

static enum err no_consent(
	const struct case_view *view, const char *purpose, const char *text, struct errctx *ctx)
{
	return err_set(ctx, ERR_CONSENT,
		"%s: it needs the victim's consent (%s), and there is none that holds today. If "
		"they agree: sauti case add %s consent",
		text, case_view_code("purposes", purpose), view->code);
}

/* What brings to an end what was begun, or is owed, needs no consent to keep the case. */
static bool ends_something(uint32_t type)
{
	return type == EVENT_REFERRAL_ENDED || type == EVENT_PATERNITY_STAGE ||
	       type == EVENT_PROTECTION_ACTION || type == EVENT_MANDATORY_REPORT;
}

static enum err needs_case_consent(
	const struct case_view *view, const struct schema_type *type, struct errctx *ctx)
{
	enum group group = event_type_get(type->number)->main;

	if (!view->summary.contact_only || view->summary.complaint || group == GROUP_CORE ||
		group == GROUP_CONTACT || group == GROUP_CONSENT || ends_something(type->number))
		return OK;
	return no_consent(view, "CASE_MGMT", type->title, ctx);
}

/* cases/rules has the list; what is asked for at length is told here. */
static enum err needs_open_case(
	const struct case_view *view, const struct schema_type *type, struct errctx *ctx)
{
	enum group group = event_type_get(type->number)->main;

	if (view->summary.stage != STAGE_CLOSED || group == GROUP_CORE ||
		type->number == EVENT_FEEDBACK || type->number == EVENT_CONSENT_REFUSED ||
		type->number == EVENT_CONSENT_WITHDRAWN || type->number == EVENT_MANDATORY_REPORT)
		return OK;
	return err_set(ctx, ERR_INVALID,
		"%s: the case is closed. Open it again first: sauti case "
		"reopen %s",
		type->title, view->code);
}

/* A claim rests on a consent that it does not name. */
static enum err needs_claim_consent(
	const struct case_view *view, const struct schema_type *type, struct errctx *ctx)
{
	struct consent_view consent;

	if (type->number != EVENT_PATERNITY_OPENED)
		return OK;
	for (size_t n = 0; case_state_consent(view->state, n, view->today, &consent); n++)
		if (consent.live && strcmp(consent.purpose, "PATERNITY") == 0)
			return OK;
	return no_consent(view, "PATERNITY", type->title, ctx);
}

static enum err needs_choice(const struct case_view *view, const struct schema_type *type,
	const struct schema_field *field, struct errctx *ctx)
{
	struct reply_choices choices = {.count = 0};
	char preset[REPLY_NAME_MAX];
	int item = item_field(field);
	bool by_event;

	case_view_choices(view, type, field, &choices, preset);
	if (choices.numbered > 0)
		return OK;
	if (names_consent(field, &by_event))
		return by_event && purpose_of(type) != NULL
			       ? no_consent(view, purpose_of(type), type->title, ctx)
			       : err_set(ctx, ERR_INVALID,
					 "%s: there is no live consent in this case", type->title);
	return item < 0 ? OK
			: err_set(ctx, ERR_INVALID, "%s: there is no %s in this case", type->title,
				  item_fields[item].what);
}

enum err case_view_allows(
	const struct case_view *view, const struct schema_type *type, struct errctx *ctx)
{
	if (type->number == EVENT_RECEIPT_GIVEN)
		return err_set(ctx, ERR_INVALID,
			"a receipt is made and recorded by 'sauti case receipt %s'", view->code);
	TRY(needs_open_case(view, type, ctx));
	TRY(needs_case_consent(view, type, ctx));
	TRY(needs_claim_consent(view, type, ctx));
	for (size_t i = 0; i < type->field_count; i++) {
		const struct schema_field *field = &type->fields[i];

		if (field->required && field->preset == NULL)
			TRY(needs_choice(view, type, field, ctx));
	}
	return OK;
}
