/* What a node can write itself: ids, parents, and what is meant where only one thing can be. */
#include <stdio.h>

#include "cases/rules/rules_parts.h"
#include "cases/schema/schema.h"

struct filling {
	const struct case_state *state;
	struct event *event;
	struct errctx *ctx;
};

static bool has(const struct filling *f, const char *name)
{
	return event_field_json(f->event, name) != NULL;
}

/* A text that needs no escapes. */
static enum err set_text(const struct filling *f, const char *name, struct bytes text)
{
	char json[2 * SCHEMA_NAME_MAX + 3];

	if (text.size > 2 * SCHEMA_NAME_MAX)
		return ERR_LIMIT;
	snprintf(json, sizeof json, "\"%.*s\"", BYTES_FMT(text));
	return event_set_field(f->event, name, json);
}

static enum err fill_parents(const struct filling *f)
{
	struct event_id heads[EVENT_REFS_MAX];
	size_t count = case_state_heads(f->state, heads);

	if (f->event->parents.count > 0)
		return OK;
	for (size_t i = 0; i < count; i++)
		TRY(event_add_ref(&f->event->parents, &heads[i]));
	return OK;
}

/* "R-#" */
static enum err fill_new_ids(const struct filling *f)
{
	const struct schema_type *type = schema_type_get(f->event->type);

	for (size_t i = 0; type != NULL && i < type->field_count; i++) {
		const struct schema_field *field = &type->fields[i];
		char id[16];

		if (field->kind != FIELD_ID || field->preset == NULL ||
			strcmp(field->preset + 1, "-#") != 0 || has(f, field->name))
			continue;
		case_state_next_id(f->state, field->preset[0], id);
		TRY(set_text(f, field->name, bytes_str(id)));
	}
	return OK;
}

/* --- the one thing that can be meant --- */

struct meant {
	uint32_t type;
	const char *field;
	enum item_kind kind;
};
static const struct meant meants[] = {
	{EVENT_REFERRAL_ANSWERED, "referral_id", ITEM_REFERRAL},
	{EVENT_REFERRAL_ENDED, "referral_id", ITEM_REFERRAL},
	{EVENT_INVESTIGATION_STAGE, "allegation_ref", ITEM_ALLEGATION},
	{EVENT_INVESTIGATION_OUTCOME, "allegation_ref", ITEM_ALLEGATION},
	{EVENT_ACTION_TAKEN, "allegation_ref", ITEM_ALLEGATION},
	{EVENT_PROTECTION_ACTION, "concern_id", ITEM_CONCERN},
	{EVENT_PATERNITY_STAGE, "claim_id", ITEM_CLAIM},
	{EVENT_CHILD_SUPPORT, "claim_id", ITEM_CLAIM},
	{EVENT_COMPLAINT_STAGE, "complaint_id", ITEM_COMPLAINT},
	{EVENT_TRANSFER_ANSWERED, "to_office", ITEM_TRANSFER},
};

/* Can it be meant? Of an answer: a referral that has none. Of an allegation: any. */
static bool fits(const struct state_item *item, const struct meant *meant)
{
	if (item->kind != meant->kind)
		return false;
	if (meant->type == EVENT_REFERRAL_ANSWERED)
		return item->status == REFERRAL_MADE || item->status == REFERRAL_PARTIAL;
	return item->kind == ITEM_ALLEGATION || state_item_open(item);
}

static enum err which(const struct filling *f, const struct meant *meant)
{
	struct buf ids;

	buf_init(&ids, 200);
	for (uint16_t i = 0; i < f->state->item_count && ids.size < 100; i++)
		if (fits(&f->state->items[i], meant))
			buf_printf(&ids, "%s%.*s", ids.size == 0 ? "" : ", ",
				BYTES_FMT(state_text(f->state, f->state->items[i].id)));
	err_set(f->ctx, ERR_INVALID, "%s: missing, and it may be any of %s; say which",
		meant->field, buf_cstr(&ids));
	buf_release(&ids);
	return ERR_INVALID;
}

static enum err fill_meant(const struct filling *f)
{
	for (size_t i = 0; i < sizeof meants / sizeof meants[0]; i++) {
		const struct meant *meant = &meants[i];
		const struct state_item *found = NULL;
		size_t count = 0;

		if (meant->type != f->event->type || has(f, meant->field))
			continue;
		for (uint16_t k = 0; k < f->state->item_count; k++)
			if (fits(&f->state->items[k], meant)) {
				found = &f->state->items[k];
				count++;
			}
		if (count > 1)
			return which(f, meant);
		if (count == 0)
			return err_set(f->ctx, ERR_INVALID,
				"%s: missing, and nothing is open in the case that it could be",
				meant->field);
		TRY(set_text(f, meant->field, state_text(f->state, found->id)));
	}
	return OK;
}

static enum err fill_service(const struct filling *f)
{
	const struct state_item *item;

	if ((f->event->type != EVENT_REFERRAL_ANSWERED && f->event->type != EVENT_REFERRAL_ENDED) ||
		has(f, "service_code"))
		return OK;
	item = state_item_find(f->state, ITEM_REFERRAL, value_text(f->event, "referral_id"));
	if (item == NULL || item->what == 0)
		return OK;
	return set_text(f, "service_code", state_text(f->state, item->what));
}

/* --- consents --- */

static enum err fill_days(const struct filling *f, const struct rules_context *context)
{
	fold_day day = rules_day(f->event);
	char text[11];

	if (!f->event->has.recorded_at && f->event->occurred_on[0] == 0)
		day = day_read(bytes_str(context->today));
	day_text(day, text);
	if (f->event->type == EVENT_CONSENT_RECORDED && !has(f, "valid_from"))
		TRY(set_text(f, "valid_from", bytes_str(text)));
	if (f->event->type == EVENT_CONSENT_WITHDRAWN && !has(f, "effective_at"))
		TRY(set_text(f, "effective_at", bytes_str(text)));
	return OK;
}

static enum err fill_consent(const struct filling *f, const struct rules_context *context)
{
	const struct state_consent *consent = NULL;
	char text[EVENT_ID_TEXT + 1];
	struct consent_need need;
	struct event_id id;
	struct errctx own;
	struct judged j = rules_judged(f->state, f->event, context, f->ctx, &own);

	if (!rules_consent_need(&j, &need))
		return OK;
	if (has(f, "consent_ref"))
		return event_id_parse(value_text(f->event, "consent_ref"), &id) == OK
			       ? event_add_ref(&f->event->consent_refs, &id)
			       : OK; /* schema_check says so */
	consent = consent_last_that_covers(f->state, &need, j.day);
	if (consent == NULL)
		return rules_consent_check(&j, &need); /* which says what is missing */
	id = f->state->events[consent->event].id;
	event_id_text(&id, text);
	if (f->event->type != EVENT_PATERNITY_OPENED)
		TRY(set_text(f, "consent_ref", bytes_str(text)));
	return event_add_ref(&f->event->consent_refs, &id);
}

static enum err fill_withdrawn(const struct filling *f, const struct rules_context *context)
{
	fold_day day = day_read(bytes_str(context->today));
	const struct state_consent *found = NULL;

	if (f->event->type != EVENT_CONSENT_WITHDRAWN || has(f, "consent_id"))
		return OK;
	for (uint16_t i = 0; i < f->state->consent_count; i++) {
		if (!state_consent_live(f->state, &f->state->consents[i], day))
			continue;
		if (found != NULL)
			return err_set(f->ctx, ERR_INVALID,
				"consent_id: missing, and more than one consent is live; say which "
				"is withdrawn");
		found = &f->state->consents[i];
	}
	return found == NULL ? OK : set_text(f, "consent_id", state_text(f->state, found->id));
}

enum err rules_fill(const struct case_state *state, struct event *event,
	const struct rules_context *context, struct errctx *ctx)
{
	struct filling f = {.state = state, .event = event, .ctx = ctx};

	TRY(fill_parents(&f));
	TRY(fill_new_ids(&f));
	TRY(fill_meant(&f));
	TRY(fill_service(&f));
	TRY(fill_days(&f, context));
	TRY(fill_withdrawn(&f, context));
	return fill_consent(&f, context);
}
