/* What an event does to the things of the case: it begins one, moves one, or speaks of one that
 * must be there. */
#include "cases/rules/rules_parts.h"
#include "cases/schema/schema.h"

enum { LIST_MAX = 300 };

/* What is there of a kind: "R-1 (ACCEPTED), R-2 (DONE)"; "none". */
static void say_items(const struct case_state *state, enum item_kind kind, struct buf *out)
{
	enum machine_kind machine = state_item_machine(kind);
	const char *between = "";

	for (uint16_t i = 0; i < state->item_count && out->size < LIST_MAX / 2; i++) {
		const struct state_item *item = &state->items[i];

		if (item->kind != kind)
			continue;
		buf_printf(out, "%s%.*s", between, BYTES_FMT(state_text(state, item->id)));
		if (machine != MACHINE_NONE && item->status != 0)
			buf_printf(out, " (%s)", machine_name(machine, item->status));
		between = ", ";
	}
	if (between[0] == 0)
		buf_put_str(out, "none");
}

static enum err find(const struct judged *j, enum item_kind kind, const char *field,
	const struct state_item **ret)
{
	static const char *const names[] = {[ITEM_REFERRAL] = "referral",
		[ITEM_CLAIM] = "paternity claim",
		[ITEM_CONCERN] = "protection concern",
		[ITEM_ALLEGATION] = "allegation",
		[ITEM_COMPLAINT] = "complaint",
		[ITEM_TRANSFER] = "transfer",
		[ITEM_PERSON] = "person"};
	struct buf there;

	*ret = state_item_find(j->state, kind, value_text(j->event, field));
	if (*ret != NULL)
		return OK;
	buf_init(&there, LIST_MAX);
	say_items(j->state, kind, &there);
	err_set(j->ctx, ERR_INVALID, "%s: the case has no such %s; it has: %s", field, names[kind],
		buf_cstr(&there));
	buf_release(&there);
	return ERR_INVALID;
}

/* The same for a field that may be absent. */
static enum err find_if_named(const struct judged *j, enum item_kind kind, const char *field)
{
	const struct state_item *item;

	return event_field_json(j->event, field) == NULL ? OK : find(j, kind, field, &item);
}

static enum err is_new(const struct judged *j, enum item_kind kind, const char *field)
{
	struct bytes id = value_text(j->event, field);
	const struct state_item *item = state_item_find(j->state, kind, id);

	if (id.size == 0)
		return err_set(j->ctx, ERR_INVALID, "%s: missing", field);
	if (item != NULL && item->event != STATE_NO_EVENT)
		return err_set(j->ctx, ERR_INVALID,
			"%s: %.*s is in the case already; allowed is a new one, or a CORRECTION",
			field, BYTES_FMT(state_text(j->state, item->id)));
	return OK;
}

static enum err illegal(const struct judged *j, enum machine_kind machine, const char *field,
	const char *id, unsigned from)
{
	struct buf next;

	buf_init(&next, LIST_MAX);
	machine_next(machine, from, &next);
	err_set(j->ctx, ERR_INVALID, "%s: %s stands at %s; from there: %s", field, id,
		from == 0 ? "its beginning" : machine_name(machine, from), buf_cstr(&next));
	buf_release(&next);
	return ERR_INVALID;
}

/* A stage that is written down late says what was before: it moves nothing. Answers and ends do not
 * come late: what they answer was not there yet. */
static enum err moves_to(
	const struct judged *j, const struct state_item *item, const char *field, unsigned to)
{
	enum machine_kind machine = state_item_machine((enum item_kind)item->kind);
	char id[SCHEMA_ID_MAX + 1] = "", day[11];
	struct bytes text = state_text(j->state, item->id);

	memcpy(id, text.data, text.size < sizeof id ? text.size : 0);
	if (state_is_history(item, j->event)) {
		if (item->kind == ITEM_CLAIM || item->kind == ITEM_ALLEGATION)
			return OK;
		day_text(item->on, day);
		return err_set(j->ctx, ERR_INVALID, "occurred_on: is before %s came to %s, on %s",
			id, machine_name(machine, item->status), day);
	}
	if (machine_allows(machine, item->status, to))
		return OK;
	return illegal(j, machine, field, id, item->status);
}

static enum err moves(
	const struct judged *j, enum item_kind kind, const char *id_field, const char *field)
{
	const struct state_item *item;

	TRY(find(j, kind, id_field, &item));
	return moves_to(j, item, field,
		machine_find(state_item_machine(kind), value_text(j->event, field)));
}

static enum err check_outcome(const struct judged *j)
{
	unsigned to = machine_find(MACHINE_OUTCOME, value_text(j->event, "outcome"));
	const struct state_item *item;
	char id[SCHEMA_ID_MAX + 1] = "";
	struct bytes text;

	TRY(find(j, ITEM_ALLEGATION, "allegation_ref", &item));
	text = state_text(j->state, item->id);
	memcpy(id, text.data, text.size < sizeof id ? text.size : 0);
	if (item->status == 0)
		return err_set(j->ctx, ERR_INVALID,
			"outcome: no investigation of %s is known; INVESTIGATION_STAGE (RECEIVED) "
			"comes first",
			id);
	if (!machine_allows(MACHINE_OUTCOME, item->outcome, to))
		return illegal(j, MACHINE_OUTCOME, "outcome", id, item->outcome);
	return OK;
}

static enum err check_protection(const struct judged *j)
{
	const struct state_item *item;

	TRY(find(j, ITEM_CONCERN, "concern_id", &item));
	if (item->status == CONCERN_RESOLVED)
		return err_set(j->ctx, ERR_INVALID,
			"concern_id: %.*s is resolved; what is new is a new PROTECTION_CONCERN",
			BYTES_FMT(state_text(j->state, item->id)));
	return value_day(j->event, "resolved_on") == 0
		       ? OK
		       : moves_to(j, item, "resolved_on", CONCERN_RESOLVED);
}

static enum err check_support(const struct judged *j)
{
	const struct state_item *item;

	TRY(find(j, ITEM_CLAIM, "claim_id", &item));
	if (machine_ended(MACHINE_CLAIM, item->status) && item->status != CLAIM_CLOSED_RESOLVED)
		return illegal(j, MACHINE_CLAIM, "claim_id", "the claim", item->status);
	return OK;
}

static enum err check_offer(const struct judged *j)
{
	struct bytes to = value_text(j->event, "to_office");
	const struct state_item *item = state_item_find(j->state, ITEM_TRANSFER, to);

	if (bytes_equal_str(to, j->event->office))
		return err_set(j->ctx, ERR_INVALID, "to_office: is the office that offers it");
	return item == NULL ? OK : moves_to(j, item, "to_office", TRANSFER_OFFERED);
}

/* --- persons --- */

static enum err check_consent(const struct judged *j)
{
	struct bytes guardian = value_text(j->event, "guardian_ref");
	const struct state_item *person;

	if (state_consent_find(j->state, value_text(j->event, "consent_id")) != NULL)
		return err_set(j->ctx, ERR_INVALID,
			"consent_id: %.*s is in the case already; allowed is a new one",
			BYTES_FMT(value_text(j->event, "consent_id")));
	if (guardian.size == 0)
		return OK;
	TRY(find(j, ITEM_PERSON, "guardian_ref", &person));
	if (!state_item_open(person))
		return err_set(j->ctx, ERR_INVALID,
			"guardian_ref: %.*s is no longer the guardian (GUARDIAN_CHANGED)",
			BYTES_FMT(guardian));
	for (uint16_t i = 0; i < j->state->item_count; i++) {
		const struct state_item *item = &j->state->items[i];

		if (item->kind == ITEM_ALLEGATION &&
			value_lists(state_text(j->state, item->extra), guardian))
			return err_set(j->ctx, ERR_INVALID,
				"guardian_ref: %.*s is a subject of the allegation and cannot "
				"consent; record GUARDIAN_CHANGED first",
				BYTES_FMT(guardian));
	}
	return OK;
}

static enum err check_withdrawal(const struct judged *j)
{
	struct bytes id = value_text(j->event, "consent_id");
	const struct state_consent *consent = state_consent_find(j->state, id);
	fold_day on = value_day(j->event, "effective_at");
	char day[11];

	if (consent == NULL)
		return err_set(j->ctx, ERR_INVALID,
			"consent_id: the case has no such consent; case show lists them");
	if (consent->withdrawn_on == 0 || (on != 0 ? on : j->day) < consent->withdrawn_on)
		return OK; /* a later one may come sooner */
	day_text(consent->withdrawn_on, day);
	return err_set(j->ctx, ERR_INVALID, "consent_id: %.*s is withdrawn already, on %s",
		BYTES_FMT(id), day);
}

static enum err check_guardian(const struct judged *j)
{
	TRY(find_if_named(j, ITEM_PERSON, "replaces"));
	TRY(find_if_named(j, ITEM_PERSON, "guardian_ref"));
	if (bytes_equal(value_text(j->event, "replaces"), value_text(j->event, "guardian_ref")))
		return err_set(j->ctx, ERR_INVALID, "replaces: is the same person as guardian_ref");
	return OK;
}

/* --- officers --- */

static enum err check_assignment(const struct judged *j)
{
	struct bytes name = value_text(j->event, "officer_key");
	fold_day from = value_day(j->event, "from");
	const struct state_officer *lead =
		state_lead(j->state, day_first(from != 0 ? from : j->day));
	text_id leads = lead != NULL ? lead->name : j->state->opened_by;

	if (value_is(j->event, "role", "BACKUP") &&
		rules_same_officer(j, name, state_text(j->state, leads)))
		return err_set(j->ctx, ERR_INVALID,
			"officer_key: leads the case on that day; allowed as BACKUP is anybody "
			"else");
	return OK;
}

/* Is one of the case's complaints about that officer? */
static bool is_complained_of(const struct judged *j, struct bytes name)
{
	for (uint16_t i = 0; i < j->state->item_count; i++) {
		const struct state_item *item = &j->state->items[i];

		if (item->kind == ITEM_COMPLAINT &&
			rules_same_officer(j, state_text(j->state, item->extra), name))
			return true;
	}
	return false;
}

/* A complaint does not go to the officer it is about: they record nothing in its case, and are not
 * let into it. */
static enum err check_complained_of(const struct judged *j)
{
	bool corrects =
		j->event->type == EVENT_CORRECTION && value_is(j->event, "field", "officer_key");
	const char *field = corrects ? "new_value" : "officer_key";

	if (!j->state->complaint)
		return OK;
	if (is_complained_of(j, bytes_str(j->event->recorded_by)))
		return err_set(j->ctx, ERR_INVALID,
			"recorded_by: is the officer the complaint is about; somebody else deals "
			"with it");
	if ((corrects || j->event->type == EVENT_OFFICER_ASSIGNED) &&
		is_complained_of(j, value_text(j->event, field)))
		return err_set(j->ctx, ERR_INVALID,
			"%s: is the officer the complaint is about; allowed is any other", field);
	return OK;
}

/* --- the end of a case, erasure, holds --- */

static enum err check_lost_contact(const struct judged *j, const char *field, fold_day closed_on)
{
	const struct case_state *state = j->state;
	int64_t days = state->attempts == 0 ? 0 : day_count(state->attempts_from, closed_on);

	if (state->attempts >= 3 && days >= 90)
		return OK;
	return err_set(j->ctx, ERR_INVALID,
		"%s: LOST_CONTACT needs 3 attempts over 90 days since somebody was reached; "
		"there were %u, over %lld days",
		field, state->attempts, (long long)days);
}

static enum err check_closing(const struct judged *j)
{
	const struct case_state *state = j->state;
	fold_day kept = value_day(j->event, "retention_until");
	char day[11];

	if (value_is(j->event, "reason", "LOST_CONTACT"))
		TRY(check_lost_contact(j, "reason", j->day));
	day_text(state->hold_until, day);
	if (state_held(state, j->day) && kept != 0 && kept < state->hold_until)
		return err_set(j->ctx, ERR_INVALID,
			"retention_until: is before the end of the legal hold, %s", day);
	for (uint16_t i = 0; i < state->item_count; i++)
		if (state->items[i].kind == ITEM_COMPLAINT && state_item_open(&state->items[i]))
			return err_set(j->ctx, ERR_INVALID,
				"CASE_CLOSED: complaint %.*s stands at %s; it is answered, or "
				"withdrawn by who made it, before its case is closed",
				BYTES_FMT(state_text(state, state->items[i].id)),
				machine_name(MACHINE_COMPLAINT, state->items[i].status));
	return OK;
}

static enum err check_erasure(const struct judged *j)
{
	char day[11];

	if (!state_held(j->state, j->day) || (j->event->type == EVENT_ERASURE_REQUESTED &&
						     !value_is(j->event, "decision", "GRANTED")))
		return OK;
	day_text(j->state->hold_until, day);
	return rules_refuse(j,
		"the case is under a legal hold until %s; allowed is to ask (decision PENDING or "
		"REFUSED), and a LEGAL_HOLD that ends today",
		day);
}

/* --- corrections, conflicts, what replaces what --- */

/* Fields a thing is known by, or a consent was looked at for: corrected, they would say that
 * something else was begun, or agreed to. */
static bool is_fixed(uint32_t type, struct bytes field)
{
	static const struct {
		uint32_t type; /* 0: any */
		const char *field;
	} fixed[] = {
		{0, "consent_id"},
		{0, "allegation_ref"},
		{0, "claim_id"},
		{0, "concern_id"},
		{0, "complaint_id"},
		{0, "consent_ref"},
		{0, "service_code"}, /* decides the data group */
		{EVENT_VICTIM_VIEW, "subject"},
		{EVENT_PERSON_RECORDED, "person_ref"},
		{EVENT_REFERRAL_MADE, "referral_id"},
		{EVENT_REFERRAL_ANSWERED, "referral_id"},
		{EVENT_REFERRAL_ENDED, "referral_id"},
		{EVENT_REFERRAL_MADE, "to_org"},
		{EVENT_REFERRAL_MADE, "to_office"},
		{EVENT_REFERRAL_MADE, "shared_groups"},
		{EVENT_TRANSFER_OFFERED, "to_office"},
		{EVENT_TRANSFER_ANSWERED, "to_office"},
		{EVENT_EXTERNAL_PACKET, "recipient"},
		{EVENT_EXTERNAL_PACKET, "groups"},
		{EVENT_CONSENT_RECORDED, "purpose"},
		{EVENT_CONSENT_RECORDED, "recipients"},
		{EVENT_CONSENT_RECORDED, "groups"},
		{EVENT_CONSENT_RECORDED, "services"},
		{EVENT_CONSENT_RECORDED, "given_by"},
		{EVENT_CONSENT_RECORDED, "guardian_ref"},
		{EVENT_CONSENT_RECORDED, "valid_from"},
		{EVENT_CONSENT_RECORDED, "valid_until"},
		{EVENT_CONSENT_RECORDED, "withhold_from"},
		{EVENT_CONSENT_RECORDED, "review_at_majority_on"},
		{EVENT_CONSENT_WITHDRAWN, "effective_at"},
		{EVENT_GUARDIAN_CHANGED, "replaces"},
		{EVENT_COMPLAINT_RECEIVED, "subject_officer"},
		{EVENT_RECEIPT_GIVEN, "medium"},
		{EVENT_LEGAL_HOLD, "approvers"},
		{EVENT_LEGAL_HOLD, "until"},
		{EVENT_CONFLICT_RESOLVED, "chosen"},
		{EVENT_CONFLICT_RESOLVED, "over"},
	};

	for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
		if ((fixed[i].type == 0 || fixed[i].type == type) &&
			bytes_equal_str(field, fixed[i].field))
			return true;
	return false;
}

/* A corrected step: it must have been possible from where the thing stood, and what came after it
 * from there. */
static enum err check_step(const struct judged *j, const struct state_move *move, unsigned to)
{
	enum machine_kind machine = state_move_machine(j->state, move);
	const struct state_move *next = state_move_after(j->state, move);
	struct buf allowed;

	if (machine_allows(machine, move->from, to) &&
		(next == NULL || machine_allows(machine, to, next->to)))
		return OK;
	buf_init(&allowed, LIST_MAX);
	machine_next(machine, move->from, &allowed);
	if (next != NULL)
		buf_printf(&allowed, "; and %s followed it", machine_name(machine, next->to));
	err_set(j->ctx, ERR_INVALID, "new_value: it stood at %s; from there: %s",
		move->from == 0 ? "its beginning" : machine_name(machine, move->from),
		buf_cstr(&allowed));
	buf_release(&allowed);
	return ERR_INVALID;
}

static bool is_step(uint32_t type, struct bytes field)
{
	switch (type) {
	case EVENT_REFERRAL_ANSWERED:
	case EVENT_TRANSFER_ANSWERED:
		return bytes_equal_str(field, "answer");
	case EVENT_REFERRAL_ENDED:
		return bytes_equal_str(field, "end");
	case EVENT_INVESTIGATION_STAGE:
	case EVENT_PATERNITY_STAGE:
	case EVENT_COMPLAINT_STAGE:
		return bytes_equal_str(field, "stage");
	case EVENT_INVESTIGATION_OUTCOME:
		return bytes_equal_str(field, "outcome");
	default:
		return false;
	}
}

/* What a correction must not say either: a complaint goes to whom it is about, a report has no
 * second person, or names the victim. */
static enum err check_people(const struct judged *j, uint16_t at, uint32_t type, struct bytes field)
{
	struct bytes new = value_text(j->event, "new_value"), subject = BYTES_NONE;

	for (uint16_t i = 0; i < j->state->item_count; i++)
		if (j->state->items[i].kind == ITEM_COMPLAINT && j->state->items[i].event == at)
			subject = state_text(j->state, j->state->items[i].extra);
	if (type == EVENT_COMPLAINT_RECEIVED && bytes_equal_str(field, "handled_by") &&
		rules_same_officer(j, subject, new))
		return err_set(j->ctx, ERR_INVALID,
			"new_value: is the officer the complaint is about; allowed is any other");
	if (type == EVENT_MANDATORY_REPORT && bytes_equal_str(field, "second_approver") &&
		rules_same_officer(j, new, bytes_str(j->event->recorded_by)))
		return err_set(j->ctx, ERR_INVALID,
			"new_value: is who corrects it; allowed is anybody else");
	if (type == EVENT_MANDATORY_REPORT && bytes_equal_str(field, "groups") &&
		(value_groups(value_json(j->event, "new_value"), NULL) &
			GROUP_BIT(GROUP_IDENTITY)) != 0)
		return err_set(j->ctx, ERR_INVALID,
			"new_value: identity is not added by a correction; record what was "
			"reported");
	return OK;
}

/* Contact-only, a correction makes right what is kept, and adds nothing that must not be. */
static enum err check_kept(const struct judged *j, uint32_t type, struct bytes field)
{
	enum group group = event_field_group(field);
	char day[11];

	if (j->corrected == 0 || group == GROUP_NONE || group == GROUP_CONTACT ||
		(j->corrected & GROUP_BIT(group)) != 0 || !state_contact_only(j->state, j->day))
		return OK;
	day_text(j->day, day);
	return err_set(j->ctx, ERR_CONSENT,
		"field: no consent to CASE_MGMT is live on %s, so %.*s must not be added to %s",
		day, BYTES_FMT(field), event_type_get(type)->name);
}

/* What a guardian in conflict consented to is given anew, whatever is said of it later. */
static enum err check_conflict(const struct judged *j, uint32_t type, struct bytes field)
{
	if (type != EVENT_GUARDIAN_CHANGED || !bytes_equal_str(field, "reason") ||
		value_is(j->event, "new_value", "CONFLICT_OF_INTEREST"))
		return OK;
	for (uint16_t i = 0; i < j->state->item_count; i++)
		if (j->state->items[i].kind == ITEM_PERSON &&
			j->state->items[i].status == PERSON_REPLACED_FOR_CONFLICT)
			return err_set(j->ctx, ERR_INVALID,
				"new_value: consents ended by CONFLICT_OF_INTEREST; they are given "
				"anew by the next guardian, not by a correction");
	return OK;
}

/* Nor what a hold forbids, or an end that the case has not come to. */
static enum err check_end(const struct judged *j, uint32_t type, struct bytes field)
{
	fold_day until = j->state->hold_until, new = value_day(j->event, "new_value");
	char day[11];

	day_text(until, day);
	if (type == EVENT_CASE_CLOSED && bytes_equal_str(field, "reason") &&
		value_is(j->event, "new_value", "LOST_CONTACT"))
		return check_lost_contact(
			j, "new_value", j->state->closed_on != 0 ? j->state->closed_on : j->day);
	if (!state_held(j->state, j->day))
		return OK;
	if (type == EVENT_ERASURE_REQUESTED && bytes_equal_str(field, "decision") &&
		value_is(j->event, "new_value", "GRANTED"))
		return err_set(j->ctx, ERR_INVALID,
			"new_value: the case is under a legal hold until %s; nothing is granted",
			day);
	if (type == EVENT_CASE_CLOSED && bytes_equal_str(field, "retention_until") && new < until)
		return err_set(j->ctx, ERR_INVALID,
			"new_value: is before the end of the legal hold, %s", day);
	return OK;
}

static enum err check_new_value(
	const struct judged *j, uint16_t at, uint32_t type, struct bytes name)
{
	const struct schema_type *schema = schema_type_get(type);
	const struct schema_field *field = schema_field_find(schema, name);
	const struct state_move *move = state_move_of(j->state, at);
	const char *json = event_field_json(j->event, "new_value");

	if (field == NULL)
		return err_set(j->ctx, ERR_INVALID, "field: %s has no such field",
			event_type_get(type)->name);
	if (type == EVENT_CORRECTION && strcmp(field->name, "reason") != 0 &&
		strcmp(field->name, "note") != 0)
		return err_set(j->ctx, ERR_INVALID,
			"corrects: is a CORRECTION itself; correct the same field of the same "
			"event once more: the last one holds");
	if (is_fixed(type, name))
		return err_set(j->ctx, ERR_INVALID,
			"field: %s of %s is not corrected: others rely on it; end or withdraw what "
			"is wrong, and record it anew",
			field->name, event_type_get(type)->name);
	TRY(check_kept(j, type, name));
	if (schema_check_value(field, json == NULL ? "null" : json, j->ctx) != OK)
		return err_wrap(j->ctx, ERR_INVALID, "new_value");
	TRY(check_people(j, at, type, name));
	TRY(check_conflict(j, type, name));
	TRY(check_end(j, type, name));
	if (move != NULL && is_step(type, name))
		return check_step(j, move,
			machine_find(state_move_machine(j->state, move),
				value_text(j->event, "new_value")));
	if ((bytes_equal_str(name, "resolved_on") || bytes_equal_str(name, "acknowledged_on")) &&
		(move == NULL || move->to < 2))
		return err_set(j->ctx, ERR_INVALID,
			"field: %s is not added by a correction; record the step itself",
			field->name);
	return OK;
}

static enum err check_correction(const struct judged *j)
{
	struct bytes field = value_text(j->event, "field");
	struct event_id id;
	uint16_t at = STATE_NO_EVENT;
	uint32_t type;

	if (event_corrects(j->event, &id) == OK)
		at = state_event_find(j->state, &id);
	if (at == STATE_NO_EVENT)
		return err_set(
			j->ctx, ERR_INVALID, "corrects: no event of this case has that event id");
	type = j->state->events[at].type & STATE_TYPE_OTHER;
	if (event_type_get(type) == NULL)
		return err_set(j->ctx, ERR_INVALID,
			"corrects: is an event of a later version, which cannot be corrected here");
	return check_new_value(j, at, type, field);
}

static enum err in_case(const struct judged *j, const char *name, struct bytes text)
{
	struct event_id id;

	if (event_id_parse(text, &id) == OK && state_event_find(j->state, &id) != STATE_NO_EVENT)
		return OK;
	return err_set(j->ctx, ERR_INVALID, "%s: no event of this case has that event id", name);
}

static enum err check_resolution(const struct judged *j)
{
	struct bytes chosen = value_text(j->event, "chosen");
	struct bytes over = value_json(j->event, "over"), id;

	if (j->state->conflicts == 0)
		return rules_refuse(j, "the case has no open conflict");
	TRY(in_case(j, "chosen", chosen));
	if (value_lists(over, chosen))
		return err_set(j->ctx, ERR_INVALID, "over: lists the event that was chosen");
	while (value_next(&over, &id))
		TRY(in_case(j, "over", id));
	return OK;
}

static enum err check_supersedes(const struct judged *j)
{
	const struct event_refs *refs = &j->event->supersedes;

	for (size_t i = 0; i < refs->count; i++) {
		uint16_t at = state_event_find(j->state, &refs->ids[i]);

		if (at == STATE_NO_EVENT)
			return err_set(j->ctx, ERR_INVALID,
				"supersedes: no event of this case has the %zu. id", i + 1);
		if ((j->state->events[at].type & STATE_TYPE_OTHER) != j->event->type ||
			!state_may_be_replaced(j->event->type))
			return err_set(j->ctx, ERR_INVALID,
				"supersedes: the %zu. event cannot be replaced by a %s; allowed is "
				"one of the same type on which nothing rests; for others "
				"CORRECTION",
				i + 1, j->type);
	}
	return OK;
}

static enum err check_type(const struct judged *j)
{
	switch (j->event->type) {
	case EVENT_PERSON_RECORDED:
		return is_new(j, ITEM_PERSON, "person_ref");
	case EVENT_CONSENT_RECORDED:
		return check_consent(j);
	case EVENT_CONSENT_WITHDRAWN:
		return check_withdrawal(j);
	case EVENT_GUARDIAN_CHANGED:
		return check_guardian(j);
	case EVENT_ALLEGATION_RECORDED:
		return is_new(j, ITEM_ALLEGATION, "allegation_ref");
	case EVENT_REFERRAL_MADE:
		return is_new(j, ITEM_REFERRAL, "referral_id");
	case EVENT_REFERRAL_ANSWERED:
		return moves(j, ITEM_REFERRAL, "referral_id", "answer");
	case EVENT_REFERRAL_ENDED:
		return moves(j, ITEM_REFERRAL, "referral_id", "end");
	case EVENT_ASSISTANCE_PROVIDED:
		TRY(find_if_named(j, ITEM_REFERRAL, "referral_id"));
		return find_if_named(j, ITEM_PERSON, "for_person_ref");
	case EVENT_INVESTIGATION_STAGE:
		return moves(j, ITEM_ALLEGATION, "allegation_ref", "stage");
	case EVENT_INVESTIGATION_OUTCOME:
		return check_outcome(j);
	case EVENT_ACTION_TAKEN:
		return find_if_named(j, ITEM_ALLEGATION, "allegation_ref");
	case EVENT_PROTECTION_CONCERN:
		return is_new(j, ITEM_CONCERN, "concern_id");
	case EVENT_PROTECTION_ACTION:
		return check_protection(j);
	case EVENT_PATERNITY_OPENED:
		return is_new(j, ITEM_CLAIM, "claim_id");
	case EVENT_PATERNITY_STAGE:
		return moves(j, ITEM_CLAIM, "claim_id", "stage");
	case EVENT_CHILD_SUPPORT:
		return check_support(j);
	case EVENT_COMPLAINT_RECEIVED:
		return is_new(j, ITEM_COMPLAINT, "complaint_id");
	case EVENT_COMPLAINT_STAGE:
		return moves(j, ITEM_COMPLAINT, "complaint_id", "stage");
	case EVENT_OFFICER_ASSIGNED:
		return check_assignment(j);
	case EVENT_TRANSFER_OFFERED:
		return check_offer(j);
	case EVENT_TRANSFER_ANSWERED:
		return moves(j, ITEM_TRANSFER, "to_office", "answer");
	case EVENT_CASE_CLOSED:
		return check_closing(j);
	case EVENT_ERASURE_REQUESTED:
	case EVENT_ERASURE_DONE:
		return check_erasure(j);
	case EVENT_CORRECTION:
		return check_correction(j);
	case EVENT_CONFLICT_RESOLVED:
		return check_resolution(j);
	default:
		return OK;
	}
}

enum err rules_moves(const struct judged *j)
{
	TRY(check_complained_of(j));
	TRY(check_supersedes(j));
	return check_type(j);
}
