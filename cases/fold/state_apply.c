/*
 * One event into a case_state. Happy path: its place in the order is checked; it gets its record
 * and makes its parents no heads any more; what its type changes is changed. All memory is reserved
 * before, by the table of effects, so that an event is applied whole or not at all.
 */
#include <assert.h>

#include "cases/fold/state_parts.h"

static void irregular(struct case_state *state)
{
	if (state->irregular < UINT16_MAX)
		state->irregular++;
}

void state_note_marks(struct case_state *state, size_t conflicts, size_t more_irregular)
{
	state->conflicts = conflicts < UINT16_MAX ? (uint16_t)conflicts : UINT16_MAX;
	while (more_irregular-- > 0 && state->irregular < UINT16_MAX)
		irregular(state);
}

static text_id intern_text(struct case_state *state, const struct event *event, const char *name)
{
	return state_intern(state, value_text(event, name));
}

/* A list, as JSON. */
static text_id intern_list(struct case_state *state, const struct event *event, const char *name)
{
	return state_intern(state, value_json(event, name));
}

static void reach(struct case_state *state, enum case_stage stage)
{
	if (state->stage < stage)
		state->stage = (uint8_t)stage;
}

/* What breaks the machine's rules is irregular; it counts all the same, unless the thing has ended.
 * An unknown code changes nothing. */
static bool moves(struct case_state *state, enum machine_kind kind, unsigned from, unsigned to)
{
	bool allowed = machine_allows(kind, from, to);

	if (!allowed)
		irregular(state);
	return to != 0 && (allowed || !machine_ended(kind, from));
}

/* The item of that id, made when it is not there: an event about a thing may come without the one
 * that began it. */
static struct state_item *item_get(struct case_state *state, const struct event *event,
	enum item_kind kind, const char *id_field)
{
	struct bytes id = value_text(event, id_field);
	struct state_item *item = state_item_find(state, kind, id);

	if (item != NULL)
		return item;
	item = state_add_item(state);
	item->kind = (uint8_t)kind;
	item->id = state_intern(state, id);
	item->event = STATE_NO_EVENT;
	return item;
}

/* An event that begins a thing; only once. */
static struct state_item *item_begin(struct case_state *state, const struct event *event,
	enum item_kind kind, const char *id_field, const char *what_field)
{
	struct state_item *item = item_get(state, event, kind, id_field);

	if (item->event != STATE_NO_EVENT)
		irregular(state);
	item->event = (uint16_t)(state->event_count - 1);
	item->what = intern_text(state, event, what_field);
	return item;
}

static void note_move(struct case_state *state, const struct state_item *item,
	enum machine_kind machine, unsigned from, unsigned to)
{
	*state_add_move(state) = (struct state_move){
		.event = (uint16_t)(state->event_count - 1),
		.item = (uint16_t)(item - state->items),
		.from = (uint8_t)from,
		.to = (uint8_t)(to & 0x7f),
		.outcome = machine == MACHINE_OUTCOME,
	};
}

static bool item_move(
	struct case_state *state, const struct event *event, struct state_item *item, unsigned to)
{
	enum machine_kind machine = state_item_machine((enum item_kind)item->kind);

	if (state_is_history(item, event) || !moves(state, machine, item->status, to))
		return false;
	note_move(state, item, machine, item->status, to);
	item->status = (uint8_t)to;
	item->on = day_of_event(event);
	return true;
}

/* The same, to the code that a field gives. */
static bool item_move_by(struct case_state *state, const struct event *event,
	struct state_item *item, const char *field)
{
	enum machine_kind machine = state_item_machine((enum item_kind)item->kind);

	return item_move(state, event, item, machine_find(machine, value_text(event, field)));
}

/* --- effects, one a type --- */

static void on_opened(struct case_state *state, const struct event *event)
{
	state->opened_by = state_intern(state, bytes_str(event->recorded_by));
	if (!moves(state, MACHINE_CASE, state->status, CASE_STATUS_OPEN))
		return;
	state->status = CASE_STATUS_OPEN;
	state->opened_on = day_of_event(event);
	reach(state, STAGE_INTRODUCTION);
}

static void on_person(struct case_state *state, const struct event *event)
{
	state->victim = true;
	item_begin(state, event, ITEM_PERSON, "person_ref", "role");
}

static void on_consent(struct case_state *state, const struct event *event)
{
	struct state_consent new = {
		.event = (uint16_t)(state->event_count - 1),
		.valid_from = value_day(event, "valid_from"),
		.valid_until = value_day(event, "valid_until"),
		.majority_on = value_day(event, "review_at_majority_on"),
		.groups = value_groups(value_json(event, "groups"), NULL),
	};
	state->victim = true;
	if (state_consent_find(state, value_text(event, "consent_id")) != NULL)
		irregular(state);
	if (new.valid_from == 0)
		new.valid_from = day_of_event(event);
	new.id = intern_text(state, event, "consent_id");
	new.purpose = intern_text(state, event, "purpose");
	new.guardian = intern_text(state, event, "guardian_ref");
	new.recipients = intern_list(state, event, "recipients");
	new.services = intern_list(state, event, "services");
	new.withheld = intern_list(state, event, "withhold_from");
	*state_add_consent(state) = new;
}

static void on_withdrawn(struct case_state *state, const struct event *event)
{
	struct state_consent *consent = state_consent_find(state, value_text(event, "consent_id"));
	fold_day on = value_day(event, "effective_at");

	if (on == 0)
		on = day_of_event(event);
	if (consent == NULL)
		irregular(state);
	else if (consent->withdrawn_on == 0 || on < consent->withdrawn_on)
		consent->withdrawn_on = on;
}

/* What a guardian with a conflict of interest consented to needs to be given again. */
static void on_guardian(struct case_state *state, const struct event *event)
{
	struct state_item *person;

	if (value_text(event, "replaces").size == 0)
		return;
	person = item_get(state, event, ITEM_PERSON, "replaces");
	if (person->status == PERSON_REPLACED_FOR_CONFLICT)
		return;
	person->status = value_is(event, "reason", "CONFLICT_OF_INTEREST")
				 ? PERSON_REPLACED_FOR_CONFLICT
				 : PERSON_REPLACED;
	person->on = day_of_event(event);
}

static void on_allegation(struct case_state *state, const struct event *event)
{
	struct state_item *item;
	text_id subjects;

	state->victim = true;
	subjects = intern_list(state, event, "subject_ref");
	item = item_begin(state, event, ITEM_ALLEGATION, "allegation_ref", "allegation_type");
	item->extra = subjects;
	item->due = day_of_event(event);
}

static void on_needs(struct case_state *state, const struct event *event)
{
	fold_day day = day_of_event(event), review = value_day(event, "next_review_on");
	struct bytes risk = value_text(event, "risk_level");

	reach(state, STAGE_ASSESSMENT);
	if (day < state->needs_on)
		return;
	state->needs_on = day;
	if (risk.size > 0)
		state->risk = state_intern(state, risk);
	if (review != 0)
		state->next_review_on = review;
}

static void on_plan(struct case_state *state, const struct event *event)
{
	reach(state, STAGE_PLANNING);
}

static void on_assistance(struct case_state *state, const struct event *event)
{
	reach(state, STAGE_IMPLEMENTATION);
}

static void on_referral(struct case_state *state, const struct event *event)
{
	struct state_item *item;

	item = item_begin(state, event, ITEM_REFERRAL, "referral_id", "service_code");
	item_move(state, event, item, REFERRAL_MADE);
	item->due = value_day(event, "reply_due_on");
	reach(state, STAGE_IMPLEMENTATION);
}

static void referral_moves(struct case_state *state, const struct event *event, const char *field)
{
	struct state_item *item;

	item = item_get(state, event, ITEM_REFERRAL, "referral_id");
	item_move_by(state, event, item, field);
}

static void on_answer(struct case_state *state, const struct event *event)
{
	referral_moves(state, event, "answer");
}

static void on_end(struct case_state *state, const struct event *event)
{
	referral_moves(state, event, "end");
}

static void on_contact(struct case_state *state, const struct event *event)
{
	fold_day day = day_of_event(event), next = value_day(event, "next_contact_due_on");

	state->victim = true;
	if (value_is(event, "result", "REACHED")) {
		if (day > state->last_contact_on)
			state->last_contact_on = day;
		if (day >= state->attempts_from) {
			state->attempts = 0;
			state->attempts_from = 0;
		}
		if (state->stage >= STAGE_IMPLEMENTATION)
			reach(state, STAGE_FOLLOW_UP);
	} else if (value_is(event, "direction", "OUT") && day >= state->last_contact_on) {
		if (state->attempts == 0 || day < state->attempts_from)
			state->attempts_from = day;
		state->attempts += state->attempts < UINT16_MAX;
	}
	if (next != 0 && day >= state->contact_on) {
		state->next_contact_on = next;
		state->contact_on = day;
	}
}

static void on_investigation(struct case_state *state, const struct event *event)
{
	struct state_item *item;
	bool ended;

	item = item_get(state, event, ITEM_ALLEGATION, "allegation_ref");
	ended = machine_ended(MACHINE_INVESTIGATION, item->status);
	if (item_move_by(state, event, item, "stage") && ended)
		item->outcome = 0; /* opened again */
}

static void on_outcome(struct case_state *state, const struct event *event)
{
	unsigned to = machine_find(MACHINE_OUTCOME, value_text(event, "outcome"));
	struct state_item *item;

	item = item_get(state, event, ITEM_ALLEGATION, "allegation_ref");
	if (item->status == 0)
		irregular(state);
	if (!moves(state, MACHINE_OUTCOME, item->outcome, to))
		return;
	note_move(state, item, MACHINE_OUTCOME, item->outcome, to);
	item->outcome = (uint8_t)to;
}

static void on_concern(struct case_state *state, const struct event *event)
{
	struct state_item *item;
	text_id level;

	level = intern_text(state, event, "level");
	item = item_begin(state, event, ITEM_CONCERN, "concern_id", "kind");
	item_move(state, event, item, CONCERN_OPEN);
	item->extra = level;
}

static void on_protection(struct case_state *state, const struct event *event)
{
	struct state_item *item;

	item = item_get(state, event, ITEM_CONCERN, "concern_id");
	reach(state, STAGE_IMPLEMENTATION);
	if (value_day(event, "resolved_on") != 0)
		item_move(state, event, item, CONCERN_RESOLVED);
	else if (item->status != CONCERN_OPEN)
		irregular(state);
}

static void on_claim(struct case_state *state, const struct event *event)
{
	struct state_item *item;

	item = item_begin(state, event, ITEM_CLAIM, "claim_id", "claim_kind");
	item_move(state, event, item, CLAIM_RECEIVED);
	reach(state, STAGE_IMPLEMENTATION);
}

static void on_claim_stage(struct case_state *state, const struct event *event)
{
	struct state_item *item;

	item = item_get(state, event, ITEM_CLAIM, "claim_id");
	item_move_by(state, event, item, "stage");
}

static void on_complaint(struct case_state *state, const struct event *event)
{
	struct state_item *item;
	text_id subject;

	subject = intern_text(state, event, "subject_officer");
	item = item_begin(state, event, ITEM_COMPLAINT, "complaint_id", "about");
	state->complaint = true;
	item_move(state, event, item, COMPLAINT_RECEIVED);
	if (value_day(event, "acknowledged_on") != 0)
		item_move(state, event, item, COMPLAINT_ACKNOWLEDGED);
	item->extra = subject;
}

static void on_complaint_stage(struct case_state *state, const struct event *event)
{
	struct state_item *item;

	item = item_get(state, event, ITEM_COMPLAINT, "complaint_id");
	item_move_by(state, event, item, "stage");
}

/* From `day` on nobody has the role who had it before; name 0: whoever, if of that node (`away`: of
 * another one). What another node writes about its officers takes nothing from this one's. */
static void role_ends(
	struct case_state *state, enum officer_role role, text_id name, bool away, fold_day day)
{
	for (uint16_t i = 0; i < state->officer_count; i++) {
		struct state_officer *officer = &state->officers[i];

		if (officer->role == role && (name == 0 || officer->name == name) &&
			state_officer_away(state, officer->name) == away &&
			(officer->to == 0 || officer->to > day))
			officer->to = officer->from > day ? officer->from : day;
	}
}

/* One leads; who leads does not stand in; assigned again, the new dates hold. */
static void on_assigned(struct case_state *state, const struct event *event)
{
	fold_day from = value_day(event, "from"), to = value_day(event, "to");
	struct state_officer new = {
		.name = intern_text(state, event, "officer_key"),
		.from = day_first(from != 0 ? from : day_of_event(event)),
		.to = to == 0 ? 0 : day_last(to) + 1, /* sorts behind that day */
		.role = value_is(event, "role", "LEAD")     ? OFFICER_LEAD
			: value_is(event, "role", "BACKUP") ? OFFICER_BACKUP
							    : OFFICER_FOCAL_POINT,
	};
	const struct state_officer *lead = state_lead(state, new.from);
	bool away = state_officer_away(state, new.name);

	if (new.role == OFFICER_BACKUP && lead != NULL && lead->name == new.name)
		return;
	role_ends(state, (enum officer_role) new.role, new.role == OFFICER_LEAD ? 0 : new.name,
		away, new.from);
	if (new.role == OFFICER_LEAD)
		role_ends(state, OFFICER_BACKUP, new.name, away, new.from);
	*state_add_officer(state) = new;
}

static void on_offered(struct case_state *state, const struct event *event)
{
	struct state_item *item;
	text_id reason;

	reason = intern_text(state, event, "reason");
	item = item_get(state, event, ITEM_TRANSFER, "to_office");
	if (item_move(state, event, item, TRANSFER_OFFERED)) {
		item->event = (uint16_t)(state->event_count - 1);
		item->what = reason;
	}
}

static void on_transfer_answer(struct case_state *state, const struct event *event)
{
	struct state_item *item = item_get(state, event, ITEM_TRANSFER, "to_office");
	struct state_officer new = {
		.name = item->id,
		.from = day_first(day_of_event(event)),
		.role = OFFICER_LEAD,
		.office = true,
	};

	if (!item_move_by(state, event, item, "answer") || item->status != TRANSFER_ACCEPTED)
		return;
	role_ends(state, OFFICER_LEAD, 0, false, new.from);
	role_ends(state, OFFICER_LEAD, 0, true, new.from);
	*state_add_officer(state) = new;
}

static void on_closed(struct case_state *state, const struct event *event)
{
	if (!moves(state, MACHINE_CASE, state->status, CASE_STATUS_CLOSED))
		return;
	state->status = CASE_STATUS_CLOSED;
	state->closed_on = day_of_event(event);
}

/* Work begins anew: the stage is no further than assessment. */
static void on_reopened(struct case_state *state, const struct event *event)
{
	if (state->status != CASE_STATUS_CLOSED)
		irregular(state);
	else
		state->status = CASE_STATUS_OPEN;
	state->closed_on = 0;
	state->stage = STAGE_INTRODUCTION;
}

/* The last word holds: a hold is lifted by one that ends. */
static void on_hold(struct case_state *state, const struct event *event)
{
	state->hold_from = day_of_event(event);
	state->hold_until = value_day(event, "until");
}

/* What another node gave out is for that node to recall. */
static void on_packet(struct case_state *state, const struct event *event)
{
	struct state_item *item;

	if (strchr(event->recorded_by, '@') != NULL)
		return;
	item = state_add_item(state);
	item->kind = ITEM_PACKET;
	item->event = (uint16_t)(state->event_count - 1);
	item->what = intern_text(state, event, "recipient");
	item->extra = intern_text(state, event, "consent_ref");
	item->on = day_of_event(event);
	item->due = value_day(event, "recalled_on");
}

/* --- which type has which effect, and what memory that takes --- */

enum { ADDS_ITEM = 1, ADDS_CONSENT = 2, ADDS_OFFICER = 4, MOVES = 8, MOVES_TWICE = 16 };

static const struct effect {
	void (*run)(struct case_state *state, const struct event *event);
	uint8_t adds;
	const char *texts[6]; /* fields that are interned */
	bool contested;       /* two that know nothing of each other may contradict */
} effects[EVENT_TYPE_LAST + 1] = {
	[EVENT_CASE_OPENED] = {on_opened, 0, {NULL}, false},
	[EVENT_PERSON_RECORDED] = {on_person, ADDS_ITEM, {"person_ref", "role"}, false},
	[EVENT_CONSENT_RECORDED] = {on_consent, ADDS_CONSENT,
		{"consent_id", "purpose", "guardian_ref", "recipients", "services",
			"withhold_from"},
		false},
	[EVENT_CONSENT_WITHDRAWN] = {on_withdrawn, 0, {NULL}, false},
	[EVENT_ALLEGATION_RECORDED] = {on_allegation, ADDS_ITEM,
		{"allegation_ref", "allegation_type", "subject_ref"}, false},
	[EVENT_NEEDS_ASSESSED] = {on_needs, 0, {"risk_level"}, false},
	[EVENT_ACTION_PLAN_AGREED] = {on_plan, 0, {NULL}, false},
	[EVENT_REFERRAL_MADE] = {on_referral, ADDS_ITEM | MOVES, {"referral_id", "service_code"},
		false},
	[EVENT_REFERRAL_ANSWERED] = {on_answer, ADDS_ITEM | MOVES, {"referral_id"}, true},
	[EVENT_REFERRAL_ENDED] = {on_end, ADDS_ITEM | MOVES, {"referral_id"}, true},
	[EVENT_ASSISTANCE_PROVIDED] = {on_assistance, 0, {NULL}, false},
	[EVENT_ASSISTANCE_DECLINED] = {on_assistance, 0, {NULL}, false},
	[EVENT_CONTACT] = {on_contact, 0, {NULL}, false},
	[EVENT_INVESTIGATION_STAGE] = {on_investigation, ADDS_ITEM | MOVES, {"allegation_ref"},
		true},
	[EVENT_INVESTIGATION_OUTCOME] = {on_outcome, ADDS_ITEM | MOVES, {"allegation_ref"}, true},
	[EVENT_ACCOMPANIED] = {on_assistance, 0, {NULL}, false},
	[EVENT_PROTECTION_CONCERN] = {on_concern, ADDS_ITEM | MOVES,
		{"concern_id", "kind", "level"}, false},
	[EVENT_PROTECTION_ACTION] = {on_protection, ADDS_ITEM | MOVES, {"concern_id"}, false},
	[EVENT_PATERNITY_OPENED] = {on_claim, ADDS_ITEM | MOVES, {"claim_id", "claim_kind"}, false},
	[EVENT_PATERNITY_STAGE] = {on_claim_stage, ADDS_ITEM | MOVES, {"claim_id"}, true},
	[EVENT_COMPLAINT_RECEIVED] = {on_complaint, ADDS_ITEM | MOVES_TWICE,
		{"complaint_id", "about", "subject_officer"}, false},
	[EVENT_COMPLAINT_STAGE] = {on_complaint_stage, ADDS_ITEM | MOVES, {"complaint_id"}, true},
	[EVENT_OFFICER_ASSIGNED] = {on_assigned, ADDS_OFFICER, {"officer_key"}, true},
	[EVENT_TRANSFER_OFFERED] = {on_offered, ADDS_ITEM | MOVES, {"to_office", "reason"}, false},
	[EVENT_TRANSFER_ANSWERED] = {on_transfer_answer, ADDS_ITEM | ADDS_OFFICER | MOVES,
		{"to_office"}, true},
	[EVENT_CASE_CLOSED] = {on_closed, 0, {NULL}, true},
	[EVENT_CASE_REOPENED] = {on_reopened, 0, {NULL}, true},
	[EVENT_LEGAL_HOLD] = {on_hold, 0, {NULL}, true},
	[EVENT_GUARDIAN_CHANGED] = {on_guardian, ADDS_ITEM, {"replaces"}, false},
	[EVENT_EXTERNAL_PACKET] = {on_packet, ADDS_ITEM, {"recipient", "consent_ref"}, false},
};

bool state_may_be_replaced(uint32_t type)
{
	switch (type) {
	case EVENT_RIGHTS_EXPLAINED:
	case EVENT_NEEDS_ASSESSED:
	case EVENT_ACTION_PLAN_AGREED:
	case EVENT_ASSISTANCE_PROVIDED:
	case EVENT_ASSISTANCE_DECLINED:
	case EVENT_NEED_UNMET:
	case EVENT_CONTACT:
	case EVENT_VICTIM_VIEW:
	case EVENT_ACTION_TAKEN:
	case EVENT_ACCOMPANIED:
	case EVENT_CHILD_SUPPORT:
	case EVENT_REMEDY:
	case EVENT_FEEDBACK:
		return true;
	default:
		return false;
	}
}

/* --- the record, and the order --- */

/* Recorded before the last of those applied. */
static bool comes_before(const struct case_state *state, const struct event *event)
{
	if (state->event_count == 0)
		return false;
	if (event->recorded_at != state->last_recorded_at)
		return event->recorded_at < state->last_recorded_at;
	return memcmp(event->id.b, state->events[state->event_count - 1].id.b, EVENT_ID_SIZE) < 0;
}

static bool await(struct case_state *state, const struct event_id *id)
{
	for (uint16_t i = 0; i < state->awaited_count; i++) {
		if (memcmp(state->awaited[i].b, id->b, EVENT_ID_SIZE) != 0)
			continue;
		state->awaited[i] = state->awaited[--state->awaited_count];
		return true;
	}
	return false;
}

/* Its parents are no heads any more; those not seen yet never will be. */
static void note_parents(struct case_state *state, const struct event_refs *parents)
{
	for (size_t i = 0; i < parents->count; i++) {
		uint16_t at = state_event_find(state, &parents->ids[i]);

		if (at != STATE_NO_EVENT)
			state->events[at].type &= STATE_TYPE_OTHER;
		else if (state->awaited_count < state->awaited_room)
			state_add_awaited(state, &parents->ids[i]);
	}
}

/* Bytes of the pool a text may take: nothing when it is there, as text or as list. */
static size_t text_room(const struct case_state *state, struct bytes json)
{
	struct bytes text = json;
	text_id known;

	if (json.size >= 2 && json.data[0] == '"')
		text = bytes_make(json.data + 1, json.size - 2);
	return state_text_find(state, text, &known) ? 0 : json.size + 1;
}

static enum err make_room(
	struct case_state *state, const struct event *event, const struct effect *effect)
{
	struct state_room room = {.events = 1};

	if (effect != NULL) {
		room.items = (effect->adds & ADDS_ITEM) != 0;
		room.moves = (effect->adds & MOVES_TWICE) != 0 ? 2 : (effect->adds & MOVES) != 0;
		room.consents = (effect->adds & ADDS_CONSENT) != 0;
		room.officers = (effect->adds & ADDS_OFFICER) != 0;
		for (size_t i = 0; i < 6 && effect->texts[i] != NULL; i++)
			room.text += text_room(state, value_json(event, effect->texts[i]));
	}
	if (event->type == EVENT_CASE_OPENED)
		room.text += strlen(event->recorded_by) + 1;
	for (size_t i = 0; i < event->parents.count; i++)
		if (state_event_find(state, &event->parents.ids[i]) == STATE_NO_EVENT &&
			state->awaited_count + room.awaited < LIMIT_CASE_AWAITED)
			room.awaited++;
	return state_reserve(state, &room);
}

static enum err apply_new(
	struct case_state *state, const struct event *event, enum state_effect how)
{
	const struct effect *effect = NULL;
	struct state_event *record;

	if (how == EFFECT_WHOLE && event->type <= EVENT_TYPE_LAST &&
		effects[event->type].run != NULL)
		effect = &effects[event->type];
	TRY(make_room(state, event, effect));
	record = state_add_event(state);
	record->id = event->id;
	record->type = event->type <= EVENT_TYPE_LAST ? (uint8_t)event->type : STATE_TYPE_OTHER;
	if (!await(state, &event->id))
		record->type |= STATE_EVENT_HEAD;
	if (effect != NULL)
		effect->run(state, event);
	note_parents(state, &event->parents);
	if (day_of_event(event) > state->last_day)
		state->last_day = day_of_event(event);
	state->last_recorded_at = event->recorded_at;
	return OK;
}

enum err state_apply(struct case_state *state, const struct event *event, enum state_effect effect)
{
	if (state_event_find(state, &event->id) != STATE_NO_EVENT)
		return OK;
	return comes_before(state, event) ? ERR_AGAIN : apply_new(state, event, effect);
}

static bool names(const struct event_refs *refs, const struct event_id *id)
{
	for (size_t i = 0; i < refs->count; i++)
		if (memcmp(refs->ids[i].b, id->b, EVENT_ID_SIZE) == 0)
			return true;
	return false;
}

/* Is there anything that whoever recorded it did not know? One that names no parents says nothing
 * about that. */
static bool beside(const struct case_state *state, const struct event *event)
{
	if (event->parents.count == 0)
		return false;
	for (uint16_t i = 0; i < state->event_count; i++)
		if ((state->events[i].type & STATE_EVENT_HEAD) != 0 &&
			!names(&event->parents, &state->events[i].id))
			return true;
	return false;
}

/* What it changes is not to be seen from the state alone. */
static bool needs_the_others(const struct case_state *state, const struct event *event)
{
	if (event->type == EVENT_CORRECTION || event->type == EVENT_CONFLICT_RESOLVED ||
		event->supersedes.count > 0)
		return true;
	for (uint16_t i = 0; i < state->awaited_count; i++)
		if (memcmp(state->awaited[i].b, event->id.b, EVENT_ID_SIZE) == 0)
			return true;
	return event->type <= EVENT_TYPE_LAST && effects[event->type].contested &&
	       (state->conflicts > 0 || beside(state, event));
}

enum err case_state_apply(struct case_state *state, const struct event *event)
{
	if (state_event_find(state, &event->id) != STATE_NO_EVENT)
		return OK;
	if (comes_before(state, event) || needs_the_others(state, event))
		return ERR_AGAIN;
	return apply_new(state, event, EFFECT_WHOLE);
}
