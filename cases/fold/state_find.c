/* Looking things up in a case_state, and what consents, holds and officers mean on a day. */
#include <stdio.h>

#include "cases/fold/state_parts.h"

uint16_t state_event_find(const struct case_state *state, const struct event_id *id)
{
	for (uint16_t i = state->event_count; i > 0; i--)
		if (memcmp(state->events[i - 1].id.b, id->b, EVENT_ID_SIZE) == 0)
			return i - 1;
	return STATE_NO_EVENT;
}

struct state_consent *state_consent_find(const struct case_state *state, struct bytes id)
{
	text_id text;

	if (id.size == 0 || !state_text_find(state, id, &text))
		return NULL;
	for (uint16_t i = 0; i < state->consent_count; i++)
		if (state->consents[i].id == text)
			return &state->consents[i];
	return NULL;
}

struct state_item *state_item_find(
	const struct case_state *state, enum item_kind kind, struct bytes id)
{
	text_id text;

	if (!state_text_find(state, id, &text))
		return NULL;
	for (uint16_t i = 0; i < state->item_count; i++)
		if (state->items[i].kind == kind && state->items[i].id == text)
			return &state->items[i];
	return NULL;
}

const struct state_consent *state_consent_of(const struct case_state *state, uint16_t event)
{
	for (uint16_t i = 0; event != STATE_NO_EVENT && i < state->consent_count; i++)
		if (state->consents[i].event == event)
			return &state->consents[i];
	return NULL;
}

/* Of a complaint that was acknowledged as it was received there are two: the last. */
const struct state_move *state_move_of(const struct case_state *state, uint16_t event)
{
	for (uint16_t i = state->move_count; i > 0; i--)
		if (state->moves[i - 1].event == event)
			return &state->moves[i - 1];
	return NULL;
}

const struct state_move *state_move_after(
	const struct case_state *state, const struct state_move *move)
{
	const struct state_move *end = state->moves + state->move_count;

	for (const struct state_move *next = move + 1; next < end; next++)
		if (next->item == move->item && next->outcome == move->outcome)
			return next;
	return NULL;
}

enum machine_kind state_move_machine(const struct case_state *state, const struct state_move *move)
{
	return move->outcome ? MACHINE_OUTCOME
			     : state_item_machine((enum item_kind)state->items[move->item].kind);
}

bool state_is_history(const struct state_item *item, const struct event *event)
{
	return day_last(day_of_event(event)) < day_first(item->on);
}

enum machine_kind state_item_machine(enum item_kind kind)
{
	static const enum machine_kind machines[] = {
		[ITEM_REFERRAL] = MACHINE_REFERRAL,
		[ITEM_CLAIM] = MACHINE_CLAIM,
		[ITEM_CONCERN] = MACHINE_CONCERN,
		[ITEM_ALLEGATION] = MACHINE_INVESTIGATION,
		[ITEM_COMPLAINT] = MACHINE_COMPLAINT,
		[ITEM_TRANSFER] = MACHINE_TRANSFER,
		[ITEM_PERSON] = MACHINE_NONE,
		[ITEM_PACKET] = MACHINE_NONE,
	};

	return machines[kind];
}

bool state_item_open(const struct state_item *item)
{
	if (item->kind == ITEM_PERSON)
		return item->status == 0;
	if (item->kind == ITEM_PACKET)
		return item->due == 0;
	return !machine_ended(state_item_machine(item->kind), item->status);
}

static void end_before(fold_day day, fold_day *last)
{
	if (day != 0 && (*last == 0 || day <= *last))
		*last = day_before(day);
}

fold_day state_consent_review(const struct case_state *state, const struct state_consent *consent)
{
	for (uint16_t i = 0; consent->guardian != 0 && i < state->item_count; i++) {
		const struct state_item *item = &state->items[i];

		if (item->kind == ITEM_PERSON && item->id == consent->guardian &&
			item->status == PERSON_REPLACED_FOR_CONFLICT)
			return item->on;
	}
	return 0;
}

fold_day state_consent_accused(const struct case_state *state, const struct state_consent *consent)
{
	struct bytes guardian = state_text(state, consent->guardian);
	fold_day since = 0;

	for (uint16_t i = 0; consent->guardian != 0 && i < state->item_count; i++) {
		const struct state_item *item = &state->items[i];

		if (item->kind == ITEM_ALLEGATION && item->due != 0 &&
			(since == 0 || item->due < since) &&
			value_lists(state_text(state, item->extra), guardian))
			since = item->due;
	}
	return since;
}

bool state_consent_span(const struct case_state *state, const struct state_consent *consent,
	fold_day *ret_first, fold_day *ret_last)
{
	fold_day first = day_first(consent->valid_from), last = day_last(consent->valid_until);

	if (consent->majority_on != 0 && (last == 0 || consent->majority_on < last))
		last = day_last(consent->majority_on);
	end_before(day_first(consent->withdrawn_on), &last);
	end_before(day_first(state_consent_review(state, consent)), &last);
	end_before(day_first(state_consent_accused(state, consent)), &last);
	if (first == 0 || last < first)
		return false;
	*ret_first = first;
	*ret_last = last;
	return true;
}

bool state_consent_live(
	const struct case_state *state, const struct state_consent *consent, fold_day day)
{
	fold_day first, last;

	return state_consent_span(state, consent, &first, &last) && day_first(day) <= last &&
	       day_last(day) >= first;
}

fold_day state_consent_taken_back(
	const struct case_state *state, const struct state_consent *consent)
{
	fold_day days[] = {consent->withdrawn_on, state_consent_accused(state, consent),
		state_consent_review(state, consent)};
	fold_day first = 0;

	for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
		fold_day day = day_first(days[i]);

		if (day != 0 && (first == 0 || day < first))
			first = day;
	}
	return first;
}

fold_day state_packet_recall(const struct case_state *state, const struct state_item *item)
{
	const struct state_consent *consent = NULL;
	struct event_id id;

	if (item->kind != ITEM_PACKET || item->due != 0)
		return 0;
	if (event_id_parse(state_text(state, item->extra), &id) == OK)
		consent = state_consent_of(state, state_event_find(state, &id));
	return consent == NULL ? 0 : state_consent_taken_back(state, consent);
}

const struct state_consent *state_consent_for(
	const struct case_state *state, const char *purpose, fold_day day)
{
	for (uint16_t i = state->consent_count; i > 0; i--) {
		const struct state_consent *consent = &state->consents[i - 1];

		if (bytes_equal_str(state_text(state, consent->purpose), purpose) &&
			state_consent_live(state, consent, day))
			return consent;
	}
	return NULL;
}

bool state_contact_only(const struct case_state *state, fold_day day)
{
	return !state->complaint && state_consent_for(state, "CASE_MGMT", day) == NULL;
}

bool state_held(const struct case_state *state, fold_day day)
{
	return state->hold_from != 0 && day_last(day) >= day_first(state->hold_from) &&
	       day_first(day) <= day_last(state->hold_until);
}

static const char *text_of(const struct case_state *state, text_id id)
{
	return (const char *)state_text(state, id).data;
}

bool state_officer_away(const struct case_state *state, text_id name)
{
	return strchr(text_of(state, name), '@') != NULL;
}

static const struct state_officer *lead_of(const struct case_state *state, fold_day day, bool away)
{
	for (uint16_t i = state->officer_count; i > 0; i--) {
		const struct state_officer *officer = &state->officers[i - 1];

		if (officer->role == OFFICER_LEAD && officer->from <= day &&
			(officer->to == 0 || day < officer->to) &&
			state_officer_away(state, officer->name) == away)
			return officer;
	}
	return NULL;
}

const struct state_officer *state_lead(const struct case_state *state, fold_day day)
{
	const struct state_officer *lead = lead_of(state, day, false);

	/* Who opened it here leads on, whatever another node says of its own officers. */
	if (lead != NULL || (state->opened_by != 0 && !state_officer_away(state, state->opened_by)))
		return lead;
	return lead_of(state, day, true);
}

/* --- for everybody: views --- */

static const char *const stages[] = {
	[STAGE_NONE] = "",
	[STAGE_INTRODUCTION] = "introduction",
	[STAGE_ASSESSMENT] = "assessment",
	[STAGE_PLANNING] = "planning",
	[STAGE_IMPLEMENTATION] = "implementation",
	[STAGE_FOLLOW_UP] = "follow-up",
	[STAGE_CLOSED] = "closed",
};

const char *case_stage_name(enum case_stage stage)
{
	return (unsigned)stage <= STAGE_CLOSED ? stages[stage] : "";
}

enum case_stage case_stage_find(struct bytes name)
{
	for (unsigned i = STAGE_INTRODUCTION; i <= STAGE_CLOSED; i++)
		if (bytes_equal_str(name, stages[i]))
			return (enum case_stage)i;
	return STAGE_NONE;
}

static void earliest(fold_day day, fold_day *ret)
{
	if (day != 0 && (*ret == 0 || day < *ret))
		*ret = day;
}

static void summarise_consents(
	const struct case_state *state, fold_day today, struct case_summary *ret)
{
	fold_day ends = 0, majority = 0, first, last;

	ret->consent_ends_purpose = "";
	for (uint16_t i = 0; i < state->consent_count; i++) {
		const struct state_consent *consent = &state->consents[i];

		if (!state_consent_live(state, consent, today) ||
			!state_consent_span(state, consent, &first, &last))
			continue;
		ret->live_consents++;
		earliest(consent->majority_on, &majority);
		if (ends == 0 || last < ends) {
			ends = last;
			ret->consent_ends_purpose = text_of(state, consent->purpose);
		}
	}
	day_text(ends, ret->consent_ends_on);
	day_text(majority, ret->majority_review_on);
}

static void summarise_items(
	const struct case_state *state, const struct state_item *item, struct case_summary *ret)
{
	if (!state_item_open(item))
		return;
	switch ((enum item_kind)item->kind) {
	case ITEM_REFERRAL:
		ret->open_referrals++;
		ret->unanswered += item->status <= REFERRAL_MADE;
		break;
	case ITEM_CLAIM:
		ret->open_claims++;
		break;
	case ITEM_CONCERN:
		ret->open_concerns++;
		ret->imminent_concerns +=
			bytes_equal_str(state_text(state, item->extra), "IMMINENT");
		break;
	case ITEM_COMPLAINT:
		ret->open_complaints++;
		break;
	case ITEM_TRANSFER:
		ret->open_transfers++;
		break;
	case ITEM_ALLEGATION:
	case ITEM_PERSON:
	case ITEM_PACKET:
		break;
	}
}

static void summarise_packets(
	const struct case_state *state, fold_day today, struct case_summary *ret)
{
	fold_day since = 0;

	for (uint16_t i = 0; i < state->item_count; i++) {
		fold_day day = state_packet_recall(state, &state->items[i]);

		if (day == 0 || day > today)
			continue;
		ret->packets_to_recall++;
		earliest(day, &since);
	}
	day_text(since, ret->packets_recall_on);
}

static void summarise_officers(
	const struct case_state *state, fold_day today, struct case_summary *ret)
{
	const struct state_officer *lead = state_lead(state, today);

	ret->lead = text_of(state, lead != NULL ? lead->name : state->opened_by);
	for (uint16_t i = 0; i < state->officer_count; i++) {
		const struct state_officer *officer = &state->officers[i];

		if (officer->role == OFFICER_BACKUP && officer->from <= today &&
			(officer->to == 0 || today < officer->to))
			ret->backups++;
	}
}

void case_state_summary(const struct case_state *state, const char *today, struct case_summary *ret)
{
	fold_day day = day_read(bytes_str(today)), reply = 0;
	bool closed = state->status == CASE_STATUS_CLOSED;

	*ret = (struct case_summary){
		.stage = state->status == 0 ? STAGE_NONE
			 : closed           ? STAGE_CLOSED
					    : (enum case_stage)state->stage,
		.contact_only = state_contact_only(state, day),
		.legal_hold = state_held(state, day),
		.complaint = state->complaint,
		.risk = text_of(state, state->risk),
		.conflicts = state->conflicts,
		.irregular = state->irregular,
	};
	day_text(state->opened_on, ret->opened_on);
	day_text(state->last_day, ret->last_event_on);
	day_text(state->last_contact_on, ret->last_contact_on);
	day_text(closed ? 0 : state->next_contact_on, ret->next_contact_on);
	day_text(closed ? 0 : state->next_review_on, ret->next_review_on);
	summarise_officers(state, day, ret);
	summarise_consents(state, day, ret);
	summarise_packets(state, day, ret);
	for (uint16_t i = 0; i < state->item_count; i++) {
		const struct state_item *item = &state->items[i];

		summarise_items(state, item, ret);
		if (item->kind == ITEM_REFERRAL && item->status <= REFERRAL_MADE)
			earliest(item->due, &reply);
	}
	day_text(reply, ret->reply_due_on);
}

bool case_state_officer_in(const struct case_state *state, const char *officer, const char *today)
{
	fold_day day = day_read(bytes_str(today));
	text_id name;

	if (officer[0] == 0 || !state_text_find(state, bytes_str(officer), &name))
		return false;
	if (name == state->opened_by && state_lead(state, day) == NULL)
		return true;
	for (uint16_t i = 0; i < state->officer_count; i++) {
		const struct state_officer *one = &state->officers[i];

		if (one->name == name && !one->office && one->from <= day &&
			(one->to == 0 || day < one->to))
			return true;
	}
	return false;
}

/* The n of "<letter>-<n>", 0 for any other text, or for one that nobody counted up to. */
static unsigned numbered(const char *text, char letter, unsigned max)
{
	unsigned n = 0;

	if (text[0] != letter || text[1] != '-' || text[2] == '0')
		return 0;
	for (text += 2; *text != 0; text++) {
		if (*text < '0' || *text > '9' || n > max)
			return 0;
		n = 10 * n + (unsigned)(*text - '0');
	}
	return n <= max ? n : 0;
}

void case_state_next_id(const struct case_state *state, char letter, char ret[16])
{
	enum { MAX = LIMIT_CASE_CONSENTS + LIMIT_CASE_ITEMS + 1 };
	uint8_t used[MAX / 8 + 1] = {0};
	unsigned n;

	for (uint16_t i = 0; i < state->consent_count; i++) {
		n = numbered(text_of(state, state->consents[i].id), letter, MAX);
		used[n / 8] |= (uint8_t)(1u << n % 8);
	}
	for (uint16_t i = 0; i < state->item_count; i++) {
		n = numbered(text_of(state, state->items[i].id), letter, MAX);
		used[n / 8] |= (uint8_t)(1u << n % 8);
	}
	for (n = 1; n < MAX && (used[n / 8] >> n % 8 & 1) != 0; n++)
		;
	snprintf(ret, 16, "%c-%u", letter, n);
}

size_t case_state_heads(const struct case_state *state, struct event_id ret[EVENT_REFS_MAX])
{
	size_t count = 0;

	for (uint16_t i = state->event_count; i > 0 && count < EVENT_REFS_MAX; i--)
		if ((state->events[i - 1].type & STATE_EVENT_HEAD) != 0)
			ret[count++] = state->events[i - 1].id;
	return count;
}

bool case_state_consent(
	const struct case_state *state, size_t n, const char *today, struct consent_view *ret)
{
	const struct state_consent *consent;

	if (n >= state->consent_count)
		return false;
	consent = &state->consents[n];
	*ret = (struct consent_view){
		.id = text_of(state, consent->id),
		.purpose = text_of(state, consent->purpose),
		.event = state->events[consent->event].id,
		.groups = consent->groups,
		.live = state_consent_live(state, consent, day_read(bytes_str(today))),
	};
	day_text(consent->valid_from, ret->valid_from);
	day_text(consent->valid_until, ret->valid_until);
	day_text(consent->withdrawn_on, ret->withdrawn_on);
	return true;
}

bool case_state_item(
	const struct case_state *state, enum item_kind kind, size_t n, struct item_view *ret)
{
	for (uint16_t i = 0; i < state->item_count; i++) {
		const struct state_item *item = &state->items[i];

		if (item->kind != kind || n-- > 0)
			continue;
		*ret = (struct item_view){
			.id = text_of(state, item->id),
			.status = state_item_machine(kind) == MACHINE_NONE
					  ? ""
					  : machine_name(state_item_machine(kind), item->status),
			.what = text_of(state, item->what),
			.open = state_item_open(item),
			.unanswered = kind == ITEM_REFERRAL && item->status <= REFERRAL_MADE,
			.imminent = kind == ITEM_CONCERN &&
				    bytes_equal_str(state_text(state, item->extra), "IMMINENT"),
		};
		day_text(item->on, ret->on);
		day_text(kind == ITEM_ALLEGATION ? 0 : item->due, ret->due);
		return true;
	}
	return false;
}
