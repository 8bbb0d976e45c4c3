/*
 * What a case_state is made of, for state*.c and cases/rules alone. Each text has one number: that
 * of a code or of a common id, else its offset in the pool; 0 is "". Everything is found by
 * walking: a case has a few of each.
 */
#ifndef CASES_FOLD_STATE_PARTS_H
#define CASES_FOLD_STATE_PARTS_H

#include "cases/fold/machine.h"
#include "cases/fold/state.h"
#include "cases/fold/value.h"

typedef uint16_t text_id;

enum { STATE_TYPE_OTHER = 0x7f, STATE_EVENT_HEAD = 0x80, STATE_NO_EVENT = 0xffff };

struct state_event {
	struct event_id id;
	uint8_t type; /* number, STATE_TYPE_OTHER for what is none; bit STATE_EVENT_HEAD */
};

struct state_consent {
	fold_day valid_from, valid_until, withdrawn_on, majority_on;
	uint16_t event;
	text_id id, purpose, guardian;
	text_id recipients, services, withheld; /* JSON lists */
	group_set groups;
};

struct state_item {
	fold_day on;    /* of its last move */
	fold_day due;   /* of a referral: the reply; of an allegation: recorded as of that day;
			 * of a packet: recalled on */
	uint16_t event; /* that began it; STATE_NO_EVENT: not seen */
	text_id id, what;
	text_id extra;   /* allegation: JSON list of subjects; concern: level; complaint: subject;
			  * packet: the consent's event */
	uint8_t kind;    /* enum item_kind */
	uint8_t status;  /* of its machine; of an allegation: the stage of the investigation; of a
			  * person: enum person_status */
	uint8_t outcome; /* of an allegation */
};
/* Is no longer guardian, since `on`. */
enum person_status { PERSON_REPLACED = 1, PERSON_REPLACED_FOR_CONFLICT };

/* A step of a thing, in the order in which they were folded. */
struct state_move {
	uint16_t event, item;
	uint8_t from;
	uint8_t to : 7, outcome : 1; /* of the outcome of an investigation */
};

enum officer_role { OFFICER_LEAD = 1, OFFICER_BACKUP, OFFICER_FOCAL_POINT };
struct state_officer {
	fold_day from, to; /* to: the first day no longer; 0: open */
	text_id name;
	uint8_t role;
	bool office; /* a transfer: the lead is an officer of that office, who is not known here */
};

struct case_state {
	/* where the fold stands: what comes next must not sort before it */
	uint64_t last_recorded_at;

	struct state_event *events;
	struct state_consent *consents;
	struct state_item *items;
	struct state_move *moves;
	struct state_officer *officers;
	struct event_id *awaited; /* named as parents and not seen */
	char *text;

	fold_day last_day; /* the latest on which anything happened */
	fold_day opened_on, closed_on, last_contact_on, next_contact_on, next_review_on;
	fold_day contact_on, needs_on; /* of the contact and the needs that say what is next */
	fold_day attempts_from;        /* the first try in vain since somebody was reached */
	fold_day hold_from, hold_until;

	uint16_t event_count, event_room, consent_count, consent_room, item_count, item_room,
		move_count, move_room, officer_count, officer_room, awaited_count, awaited_room,
		text_size, text_room;
	uint16_t attempts, irregular, conflicts;
	text_id opened_by, risk;
	uint8_t status;         /* enum case_status; 0: not opened */
	uint8_t stage;          /* enum case_stage: the furthest since it was opened */
	bool complaint, victim; /* what it has shown itself to be about */
};

/* --- state_memory.c --- */
/* Room for some more of each, so that what follows cannot fail. ERR_LIMIT, ERR_NOMEM. */
struct state_room {
	uint16_t events, consents, items, moves, officers, awaited;
	size_t text; /* bytes, with a zero behind each */
};
enum err state_reserve(struct case_state *state, const struct state_room *room) MUST_USE;
/* The next one, zeroed, in the room that was reserved. */
struct state_event *state_add_event(struct case_state *state);
struct state_consent *state_add_consent(struct case_state *state);
struct state_item *state_add_item(struct case_state *state);
struct state_move *state_add_move(struct case_state *state);
struct state_officer *state_add_officer(struct case_state *state);
void state_add_awaited(struct case_state *state, const struct event_id *id);
/* The text, kept once, in the room that was reserved. */
text_id state_intern(struct case_state *state, struct bytes text);
bool state_text_find(const struct case_state *state, struct bytes text, text_id *ret);
struct bytes state_text(const struct case_state *state, text_id id);

/* --- state_apply.c --- */
enum state_effect {
	EFFECT_WHOLE, /* it says what it says */
	EFFECT_NONE,  /* superseded, or overruled in a conflict: it is there, and changes nothing */
};
/* As case_state_apply, for an event that already says what its corrections say: CORRECTION and
 * CONFLICT_RESOLVED have done their work. */
enum err state_apply(
	struct case_state *state, const struct event *event, enum state_effect effect) MUST_USE;

/* What a timeline found beyond single events: open conflicts, marks on what cannot be marked. */
void state_note_marks(struct case_state *state, size_t conflicts, size_t irregular);
/* Types whose events may be replaced by another (supersedes): nothing is begun or moved by them. */
bool state_may_be_replaced(uint32_t type);

/* --- state_find.c --- */
uint16_t state_event_find(const struct case_state *state, const struct event_id *id);
struct state_consent *state_consent_find(const struct case_state *state, struct bytes id);
struct state_item *state_item_find(
	const struct case_state *state, enum item_kind kind, struct bytes id);
/* The consent that an event recorded; NULL. */
const struct state_consent *state_consent_of(const struct case_state *state, uint16_t event);
/* The step an event made; the next step of the same thing; NULL. */
const struct state_move *state_move_of(const struct case_state *state, uint16_t event);
const struct state_move *state_move_after(
	const struct case_state *state, const struct state_move *move);
enum machine_kind state_move_machine(const struct case_state *state, const struct state_move *move);
/* Written down late: it happened before the thing came to where it stands. That is history, and
 * moves nothing back. */
bool state_is_history(const struct state_item *item, const struct event *event);
enum machine_kind state_item_machine(enum item_kind kind);
bool state_item_open(const struct state_item *item);

/* The day from which it must be given anew, because its guardian was replaced for a conflict of
 * interest; 0. */
fold_day state_consent_review(const struct case_state *state, const struct state_consent *consent);
/* The day since which an allegation names the guardian who gave it as a subject; 0. Before that it
 * held; from there on it is given anew, by somebody else. */
fold_day state_consent_accused(const struct case_state *state, const struct state_consent *consent);
/* The first and last day on which the consent holds, whatever its end is due to; false when there
 * is none. */
bool state_consent_span(const struct case_state *state, const struct state_consent *consent,
	fold_day *ret_first, fold_day *ret_last);
/* Does it hold on a day; on one of the days a less precise one may mean? */
bool state_consent_live(
	const struct case_state *state, const struct state_consent *consent, fold_day day);
/* The day on which it was taken back, by a withdrawal or because its guardian may not consent; 0.
 * That it has ended by itself takes nothing back. */
fold_day state_consent_taken_back(
	const struct case_state *state, const struct state_consent *consent);
/* Of a packet: since when it is to be recalled; 0: it is not, or was. */
fold_day state_packet_recall(const struct case_state *state, const struct state_item *item);
/* A live one for the purpose on that day; NULL. */
const struct state_consent *state_consent_for(
	const struct case_state *state, const char *purpose, fold_day day);
/* The case has no consent to CASE_MGMT on that day, and is none of a complaint. */
bool state_contact_only(const struct case_state *state, fold_day day);
/* Held on that day. */
bool state_held(const struct case_state *state, fold_day day);
bool state_officer_away(const struct case_state *state, text_id name); /* NAME@NODE */
/* NULL: nobody was assigned. This node's before another's. */
const struct state_officer *state_lead(const struct case_state *state, fold_day day);

#endif
