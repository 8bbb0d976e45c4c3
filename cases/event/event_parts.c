/*
 * Splitting an event into parts and putting parts together (DESIGN 9, DOMAIN 1.4).
 *
 * Happy path of a split: the main group is decided; each field goes to its own group or to the main
 * one; each group that got something, and the main one in any case, is packed. An event about
 * services of both kinds is divided: `services` keeps the codes that are no matter of health, and
 * stays the main part; `health` gets the others.
 *
 * In doubt a part goes to `health`, the narrower of the two: an event about services that names no
 * service code (the answer of a hospital, say), and the goals of a mixed action plan.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/event_json.h"
#include "proto/codec.h"
#include "proto/part.pb-c.h"

void event_parts_release(struct event_parts *parts)
{
	if (parts == NULL)
		return;
	for (size_t i = 0; i < parts->count; i++)
		buf_wipe(&parts->part[i].packed);
	*parts = (struct event_parts){0};
}

/* Where the fields of one event go. */
struct plan {
	enum group main;
	bool mixed; /* services are main, service_code and goals are divided */
};

static struct bytes json_text(const json_t *value)
{
	if (!json_is_string(value))
		return BYTES_NONE;
	return bytes_make(json_string_value(value), json_string_length(value));
}

/* Of a JSON text that is a code or a list of codes: is there one of health, is there another? */
static enum err codes_look(const char *json, bool *ret_health, bool *ret_other)
{
	CLEANUP(event_json_release) json_t *value = NULL;
	bool health = false, other = false;

	TRY(event_json_parse(bytes_str(json), true, &value, NULL));
	if (!json_is_array(value)) {
		health = event_service_is_health(json_text(value));
		other = !health;
	}
	for (size_t i = 0; i < json_array_size(value); i++) {
		if (event_service_is_health(json_text(json_array_get(value, i))))
			health = true;
		else
			other = true;
	}
	*ret_health = health;
	*ret_other = other;
	return OK;
}

/* The codes of one side of a mixed list. */
static enum err codes_pick(const char *json, bool health, char **ret)
{
	CLEANUP(event_json_release) json_t *value = NULL;
	CLEANUP(event_json_release) json_t *picked = json_array();

	if (picked == NULL)
		return ERR_NOMEM;
	TRY(event_json_parse(bytes_str(json), true, &value, NULL));
	for (size_t i = 0; i < json_array_size(value); i++) {
		json_t *code = json_array_get(value, i);

		if (event_service_is_health(json_text(code)) == health &&
			json_array_append(picked, code) != 0)
			return ERR_NOMEM;
	}
	return event_json_dump(picked, ret);
}

static enum err plan_by_service(const struct event *event, struct plan *plan)
{
	const char *json = event_field_json(event, "service_code");
	bool health = true, other = false;

	if (json != NULL)
		TRY(codes_look(json, &health, &other));
	plan->main = other ? GROUP_SERVICES : GROUP_HEALTH;
	plan->mixed = other && health;
	return OK;
}

static enum err plan_by_subject(const struct event *event, struct plan *plan)
{
	const char *json = event_field_json(event, "subject");

	if (json != NULL && strcmp(json, "\"INVESTIGATION\"") == 0)
		plan->main = GROUP_ALLEGATION;
	return OK;
}

/* The group of the field that is corrected: a corrected name is still a name. */
static enum err plan_by_target(const struct event *event, const struct event_target *target,
	struct plan *plan, struct errctx *ctx)
{
	const struct event_type *type = target == NULL ? NULL : event_type_get(target->type);
	const char *new_value = event_field_json(event, "new_value");
	char *field = NULL;
	struct bytes name;
	enum group group = GROUP_NONE;
	enum err err;

	if (target == NULL || target->main == GROUP_NONE)
		return err_set(ctx, ERR_NOTFOUND,
			"corrects: found no event of that id here, allowed is the event_id of an "
			"event of this case");
	err = event_field_string(event, "field", &field);
	if (err != OK && err != ERR_NOTFOUND)
		return err_set(ctx, err, "field: allowed is the name of the corrected field");
	plan->main = target->main;
	if (field == NULL)
		return OK;
	name = bytes_make(field, strcspn(field, ".["));
	group = event_field_group(name);
	if (group != GROUP_NONE) {
		plan->main = group;
	} else if (type != NULL && type->rule == EVENT_RULE_BY_SERVICE &&
		   (bytes_equal_str(name, "service_code") || bytes_equal_str(name, "goals"))) {
		bool health = (target->groups & GROUP_BIT(GROUP_HEALTH)) != 0, other;

		if (!health && new_value != NULL)
			err = codes_look(new_value, &health, &other);
		plan->main = health ? GROUP_HEALTH : target->main;
	}
	event_string_free(field);
	return err == ERR_NOTFOUND ? OK : err;
}

static enum err plan_make(const struct event *event, const struct event_target *target,
	struct plan *ret, struct errctx *ctx)
{
	const struct event_type *type = event_type_get(event->type);

	if (type == NULL)
		return err_set(ctx, ERR_INVALID, "type: found number %u, which is no event type",
			(unsigned)event->type);
	*ret = (struct plan){.main = type->main};
	switch (type->rule) {
	case EVENT_RULE_FIXED:
		return OK;
	case EVENT_RULE_BY_SERVICE:
		return plan_by_service(event, ret);
	case EVENT_RULE_BY_SUBJECT:
		return plan_by_subject(event, ret);
	case EVENT_RULE_BY_TARGET:
		return plan_by_target(event, target, ret, ctx);
	case EVENT_RULE_LEDGER:
		break;
	}
	return err_set(ctx, ERR_INVALID,
		"type: %s is written by the node into its own ledger, never into a case",
		type->name);
}

/* The fields of each group while an event is split. Values are borrowed from the event, but for
 * the two halves of a mixed list. */
struct split {
	Sauti__PartField *fields; /* of group g from g * room on */
	size_t room;
	size_t count[GROUP_LAST + 1];
	char *services, *health; /* halves of service_code */
};

static void split_put(struct split *split, enum group group, const char *name, const char *json)
{
	Sauti__PartField *field = &split->fields[group * split->room + split->count[group]++];

	sauti__part_field__init(field);
	field->name = (char *)name;
	field->json = (char *)json;
}

static enum err split_fields(
	const struct event *event, const struct plan *plan, struct split *split, struct errctx *ctx)
{
	for (size_t i = 0; i < event->field_count; i++) {
		const struct event_field *field = &event->fields[i];
		enum group group = event_field_group(bytes_str(field->name));

		if (group == GROUP_NOTE && field->json[0] != '"')
			return err_set(ctx, ERR_INVALID, "note: allowed is text");
		if (plan->mixed && strcmp(field->name, "service_code") == 0) {
			TRY(codes_pick(field->json, false, &split->services));
			TRY(codes_pick(field->json, true, &split->health));
			split_put(split, GROUP_SERVICES, field->name, split->services);
			split_put(split, GROUP_HEALTH, field->name, split->health);
			continue;
		}
		if (plan->mixed && strcmp(field->name, "goals") == 0)
			group = GROUP_HEALTH;
		split_put(
			split, group == GROUP_NONE ? plan->main : group, field->name, field->json);
	}
	return OK;
}

static void borrow_refs(const struct event_refs *refs, ProtobufCBinaryData *out, size_t *ret_count,
	ProtobufCBinaryData **ret)
{
	for (size_t i = 0; i < refs->count; i++)
		out[i] = codec_binary(BYTES_ARRAY(refs->ids[i].b));
	*ret = out;
	*ret_count = refs->count;
}

static enum err pack_part(const struct event *event, const struct split *split, enum group group,
	bool main, struct event_part *ret)
{
	ProtobufCBinaryData refs[3][EVENT_REFS_MAX];
	Sauti__PartField *fields[LIMIT_EVENT_FIELDS];
	Sauti__Part part = SAUTI__PART__INIT;

	part.event_id = codec_binary(BYTES_ARRAY(event->id.b));
	part.case_ref = codec_binary(BYTES_ARRAY(event->case_ref.b));
	part.type = event->type;
	part.group = group;
	part.occurred_on = (char *)event->occurred_on;
	part.precision = (char *)event_precision_text(event->precision);
	part.recorded_at = event->recorded_at;
	part.recorded_by = (char *)event->recorded_by;
	part.main = main;
	if (main) {
		part.office = (char *)event->office;
		part.language = (char *)event->language;
		borrow_refs(&event->supersedes, refs[0], &part.n_supersedes, &part.supersedes);
		borrow_refs(&event->parents, refs[1], &part.n_parents, &part.parents);
		borrow_refs(
			&event->consent_refs, refs[2], &part.n_consent_refs, &part.consent_refs);
	}
	for (size_t i = 0; i < split->count[group]; i++)
		fields[i] = &split->fields[group * split->room + i];
	part.fields = fields;
	part.n_fields = split->count[group];

	ret->group = group;
	ret->main = main;
	buf_init(&ret->packed, LIMIT_PLAINTEXT_SIZE - 5); /* header of the plaintext, DESIGN 8 */
	(void)buf_reserve(&ret->packed, protobuf_c_message_get_packed_size(&part.base));
	codec_pack(&ret->packed, &part);
	return ret->packed.err;
}

static enum err pack_parts(const struct event *event, const struct split *split, enum group main,
	struct event_parts *parts)
{
	TRY(pack_part(event, split, main, true, &parts->part[parts->count++]));
	for (unsigned g = 1; g <= GROUP_CASE_LAST; g++)
		if (g != main && split->count[g] > 0)
			TRY(pack_part(
				event, split, (enum group)g, false, &parts->part[parts->count++]));
	return OK;
}

static enum err split_by(const struct event *event, const struct plan *plan,
	struct event_parts *ret, struct errctx *ctx)
{
	struct split split = {.room = event->field_count + 1};
	struct event_parts parts = {0};
	enum err err;

	split.fields = mem_array((GROUP_LAST + 1) * split.room, sizeof *split.fields);
	if (split.fields == NULL)
		return ERR_NOMEM;
	err = split_fields(event, plan, &split, ctx);
	if (err == OK)
		err = pack_parts(event, &split, plan->main, &parts);
	if (err == ERR_LIMIT)
		err_set(ctx, err, "a part of the event is too large to be sealed");
	event_string_free(split.services);
	event_string_free(split.health);
	mem_free(split.fields);
	if (err != OK) {
		event_parts_release(&parts);
		return err;
	}
	*ret = parts;
	return OK;
}

enum err event_split(const struct event *event, const struct event_target *target,
	struct event_parts *ret, struct errctx *ctx)
{
	struct plan plan = {0};

	TRY(event_check_complete(event, ctx));
	TRY(plan_make(event, target, &plan, ctx));
	return split_by(event, &plan, ret, ctx);
}

enum err event_split_ledger(const struct event *event, struct event_parts *ret, struct errctx *ctx)
{
	const struct event_type *type = event_type_get(event->type);
	struct plan plan = {0};

	TRY(event_check_complete(event, ctx));
	if (type == NULL || type->rule != EVENT_RULE_LEDGER)
		return err_set(ctx, ERR_INVALID, "type: no event of a ledger");
	for (size_t i = 0; i < event->field_count; i++)
		if (event_field_group(bytes_str(event->fields[i].name)) != GROUP_NONE)
			return err_set(ctx, ERR_INVALID, "%s: has no place in a ledger",
				event->fields[i].name);
	plan.main = type->main;
	return split_by(event, &plan, ret, ctx);
}

/* --- and back --- */

static enum err part_malformed(struct errctx *ctx, const char *name)
{
	return err_set(ctx, ERR_MALFORMED, "part: %s is not as it must be", name);
}

static bool refs_valid(const ProtobufCBinaryData *refs, size_t count)
{
	if (count > EVENT_REFS_MAX)
		return false;
	for (size_t i = 0; i < count; i++)
		if (refs[i].len != EVENT_ID_SIZE)
			return false;
	return true;
}

static bool fields_valid(const Sauti__Part *part)
{
	if (part->n_fields > LIMIT_EVENT_FIELDS)
		return false;
	for (size_t i = 0; i < part->n_fields; i++) {
		struct bytes name = bytes_str(part->fields[i]->name);

		if (!event_field_name_valid(name) || event_field_is_common(name))
			return false;
		for (size_t j = 0; j < i; j++)
			if (strcmp(part->fields[j]->name, part->fields[i]->name) == 0)
				return false;
	}
	return true;
}

/* Nothing of the ledger stands in a case, and nothing of a case in the ledger. Of types of a later
 * version the group alone is known. */
static bool group_fits(const Sauti__Part *part)
{
	const struct event_type *type = event_type_get(part->type);
	bool of_ledger = type != NULL && type->rule == EVENT_RULE_LEDGER;

	if (group_of_case(part->group))
		return !of_ledger;
	return part->group > GROUP_CASE_LAST && part->group <= GROUP_LAST && part->main &&
	       (type == NULL || (of_ledger && part->group == (uint32_t)type->main));
}

static bool no_main_fields(const Sauti__Part *part)
{
	return part->office[0] == 0 && part->language[0] == 0 && part->n_supersedes == 0 &&
	       part->n_parents == 0 && part->n_consent_refs == 0;
}

static enum err part_check(const Sauti__Part *part, struct errctx *ctx)
{
	enum event_precision precision;

	if (part->event_id.len != EVENT_ID_SIZE)
		return part_malformed(ctx, "event_id");
	if (part->case_ref.len != CASE_REF_SIZE)
		return part_malformed(ctx, "case_ref");
	if (part->type == 0)
		return part_malformed(ctx, "type");
	if (!group_fits(part))
		return part_malformed(ctx, "group");
	if (event_precision_parse(bytes_str(part->precision), &precision) != OK ||
		!event_date_valid(bytes_str(part->occurred_on), precision))
		return part_malformed(ctx, "occurred_on");
	if (!event_officer_valid(bytes_str(part->recorded_by)))
		return part_malformed(ctx, "recorded_by");
	if (part->main ? !event_office_valid(bytes_str(part->office)) ||
				 !event_language_valid(bytes_str(part->language))
		       : !no_main_fields(part))
		return part_malformed(ctx, "office or language");
	if (!refs_valid(part->supersedes, part->n_supersedes) ||
		!refs_valid(part->parents, part->n_parents) ||
		!refs_valid(part->consent_refs, part->n_consent_refs))
		return part_malformed(ctx, "a list of event ids");
	return fields_valid(part) ? OK : part_malformed(ctx, "a field's name");
}

static enum err part_unpack(
	struct bytes packed, struct arena *arena, Sauti__Part **ret, struct errctx *ctx)
{
	Sauti__Part *part;

	if (packed.size > LIMIT_PART_SIZE)
		return err_set(ctx, ERR_LIMIT, "part of %zu bytes", packed.size);
	TRY(CODEC_UNPACK(part, packed, &scan_limits_default, arena, &part, ctx));
	TRY(part_check(part, ctx));
	*ret = part;
	return OK;
}

/* A value of foreign origin, parsed and written anew, so that it is one JSON value and compact.
 * Most are, and are seen to be without parsing. */
static enum err value_check(const char *json, char **ret, struct errctx *ctx)
{
	CLEANUP(event_json_release) json_t *value = NULL;
	enum err err;

	if (event_json_is_plain(bytes_str(json))) {
		*ret = mem_strdup(json);
		return *ret == NULL ? ERR_NOMEM : OK;
	}
	TRY(event_json_parse(bytes_str(json), true, &value, ctx));
	err = event_json_dump(value, ret);
	return err == ERR_INVALID ? part_malformed(ctx, "a number") : err;
}

static enum err info_case_code(const Sauti__Part *part, struct part_info *info, struct errctx *ctx)
{
	CLEANUP(event_json_release) json_t *value = NULL;

	for (size_t i = 0; i < part->n_fields; i++) {
		if (strcmp(part->fields[i]->name, "case_code") != 0)
			continue;
		TRY(event_json_parse(bytes_str(part->fields[i]->json), true, &value, ctx));
		if (!event_case_code_valid(json_text(value)))
			return OK; /* not a code: the case goes by its reference */
		memcpy(info->case_code, json_string_value(value), json_string_length(value));
		return OK;
	}
	return OK;
}

static enum err info_fill(const Sauti__Part *part, struct part_info *ret, struct errctx *ctx)
{
	struct part_info info = {
		.type = part->type,
		.group = (enum group)part->group,
		.main = part->main,
		.recorded_at = part->recorded_at,
	};

	memcpy(info.event_id.b, part->event_id.data, EVENT_ID_SIZE);
	memcpy(info.case_ref.b, part->case_ref.data, CASE_REF_SIZE);
	memcpy(info.occurred_on, part->occurred_on, strlen(part->occurred_on));
	for (size_t i = 0; i < part->n_fields; i++) {
		char *json = NULL;

		if (event_json_is_plain(bytes_str(part->fields[i]->json)))
			continue;
		TRY(value_check(part->fields[i]->json, &json, ctx));
		event_string_free(json);
	}
	if (part->main && part->type == EVENT_CASE_OPENED)
		TRY(info_case_code(part, &info, ctx));
	*ret = info;
	return OK;
}

enum err part_info_read(struct bytes packed, struct part_info *ret, struct errctx *ctx)
{
	struct arena arena;
	Sauti__Part *part;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	err = part_unpack(packed, &arena, &part, ctx);
	if (err == OK)
		err = info_fill(part, ret, ctx);
	arena_release(&arena);
	return err;
}

struct opened {
	const Sauti__Part *part;
	struct bytes packed;
};

static int opened_compare(const void *a, const void *b)
{
	const struct opened *x = a, *y = b;

	if (x->part->main != y->part->main)
		return x->part->main ? -1 : 1;
	if (x->part->group != y->part->group)
		return x->part->group < y->part->group ? -1 : 1;
	return bytes_compare(x->packed, y->packed);
}

static enum err copy_refs(const ProtobufCBinaryData *from, size_t count, struct event_refs *to)
{
	if (count == 0)
		return OK;
	to->ids = mem_array(count, sizeof *to->ids);
	if (to->ids == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < count; i++)
		memcpy(to->ids[i].b, from[i].data, EVENT_ID_SIZE);
	to->count = count;
	return OK;
}

/* The common members, from the main part or the one that stands in for it. */
static enum err merge_head(const Sauti__Part *head, struct event *event)
{
	struct event_id id;
	struct case_ref ref;

	memcpy(id.b, head->event_id.data, EVENT_ID_SIZE);
	memcpy(ref.b, head->case_ref.data, CASE_REF_SIZE);
	event_set_id(event, &id);
	event_set_case(event, &ref);
	event_set_recorded_at(event, head->recorded_at);
	event->type = head->type;
	event->partial = !head->main;
	memcpy(event->occurred_on, head->occurred_on, strlen(head->occurred_on) + 1);
	TRY(event_precision_parse(bytes_str(head->precision), &event->precision));
	TRY(event_set_recorded_by(event, bytes_str(head->recorded_by)));
	if (!head->main)
		return OK;
	TRY(event_set_office(event, bytes_str(head->office)));
	memcpy(event->language, head->language, strlen(head->language) + 1);
	TRY(copy_refs(head->supersedes, head->n_supersedes, &event->supersedes));
	TRY(copy_refs(head->parents, head->n_parents, &event->parents));
	return copy_refs(head->consent_refs, head->n_consent_refs, &event->consent_refs);
}

/* Two parts hold one field only where a list was divided: joined again, the earlier part first. */
static enum err join_lists(struct event_field *field, const char *json, struct errctx *ctx)
{
	CLEANUP(event_json_release) json_t *list = NULL;
	CLEANUP(event_json_release) json_t *more = NULL;
	char *joined = NULL;

	TRY(event_json_parse(bytes_str(field->json), true, &list, ctx));
	TRY(event_json_parse(bytes_str(json), true, &more, ctx));
	if (!json_is_array(list) || !json_is_array(more))
		return OK; /* the main part's word stands */
	if (json_array_extend(list, more) != 0)
		return ERR_NOMEM;
	TRY(event_json_dump(list, &joined));
	event_string_free(field->json);
	field->json = joined;
	return OK;
}

static struct event_field *field_find(struct event *event, const char *name)
{
	for (size_t i = 0; i < event->field_count; i++)
		if (strcmp(event->fields[i].name, name) == 0)
			return &event->fields[i];
	return NULL;
}

static enum err merge_fields(const Sauti__Part *part, struct event *event, struct errctx *ctx)
{
	for (size_t i = 0; i < part->n_fields; i++) {
		const Sauti__PartField *from = part->fields[i];
		struct event_field *field = field_find(event, from->name);
		char *json = NULL;

		TRY(value_check(from->json, &json, ctx));
		if (field == NULL) {
			TRY(event_add_field(event, bytes_str(from->name), json));
			continue;
		}
		enum err err = join_lists(field, json, ctx);

		event_string_free(json);
		TRY(err);
	}
	return OK;
}

static bool contradicts(const Sauti__Part *part, const Sauti__Part *head)
{
	return part->type != head->type ||
	       memcmp(part->case_ref.data, head->case_ref.data, CASE_REF_SIZE) != 0;
}

static enum err merge_sorted(
	const struct opened *parts, size_t count, struct event *event, struct errctx *ctx)
{
	const Sauti__Part *head = parts[0].part;

	TRY(merge_head(head, event));
	for (size_t i = 0; i < count; i++) {
		const Sauti__Part *part = parts[i].part;

		if (memcmp(part->event_id.data, head->event_id.data, EVENT_ID_SIZE) != 0)
			return err_set(ctx, ERR_INVALID, "parts of two events");
		if ((event->groups & GROUP_BIT(part->group)) != 0 || contradicts(part, head))
			continue;
		event->groups |= GROUP_BIT(part->group);
		TRY(merge_fields(part, event, ctx));
	}
	return OK;
}

enum err event_merge(
	const struct bytes *packed, size_t count, struct event *ret, struct errctx *ctx)
{
	struct event event = {0};
	struct opened *opened;
	struct arena arena;
	enum err err = OK;

	if (count == 0)
		return err_set(ctx, ERR_INVALID, "no part to merge");
	opened = mem_array(count, sizeof *opened);
	if (opened == NULL)
		return ERR_NOMEM;
	arena_init(&arena, 2 * (size_t)LIMIT_ARENA_SIZE);
	for (size_t i = 0; i < count && err == OK; i++) {
		Sauti__Part *part = NULL;

		err = part_unpack(packed[i], &arena, &part, ctx);
		opened[i] = (struct opened){part, packed[i]};
	}
	if (err == OK) {
		qsort(opened, count, sizeof *opened, opened_compare);
		err = merge_sorted(opened, count, &event, ctx);
	}
	arena_release(&arena);
	mem_free(opened);
	if (err != OK) {
		event_release(&event);
		return err;
	}
	*ret = event;
	return OK;
}
