/*
 * case_state: what a case is now, folded out of its events: who leads it, which consents live,
 * which referrals, claims, concerns, complaints, allegations and transfers stand where, what is
 * due. No free text, no name of a victim: ids, codes, dates, officers, event ids.
 *
 * There are two ways to one:
 *
 *	all events of a case --> timeline_add.. timeline_finish --> timeline_state	(unlocking)
 *	one more event       --> case_state_apply			(recording)
 *
 * Both give the same state, which depends on the set of events alone, not on the order of arrival.
 * Events are folded in the order in which they were recorded: by recorded_at, then event_id. What
 * happened when is in their dates: an earlier stage that is written down late is history, and moves
 * nothing back.
 *
 * What one more event changes is not always to be seen from the state: case_state_apply then is
 * ERR_AGAIN and changes nothing: fold the case anew, from its events, by a timeline. These are: an
 * event that was recorded before one already applied (at another node), or is a parent of one;
 * CORRECTION, CONFLICT_RESOLVED and events that supersede others; an event that knew nothing of one
 * of the heads, and may contradict it; one that may settle an open conflict.
 *
 * Folding is total: an event of another node, or of a later version, that breaks a rule is folded
 * as far as it can be and counted as irregular; what the own node records is checked before
 * (cases/rules/rules.h).
 *
 * Memory: case_state_size; on synthetic cases some 41 bytes an event (test_state measures it), of
 * which 17 are for its id and type.
 * Caps: LIMIT_CASE_EVENTS and the caps beside it in base/limits.h; past one ERR_LIMIT. Wiped on
 * free. Pure.
 */
#ifndef CASES_FOLD_STATE_H
#define CASES_FOLD_STATE_H

#include "cases/event/event.h"

struct case_state;

enum err case_state_new(struct case_state **ret) MUST_USE;
enum err case_state_copy(const struct case_state *state, struct case_state **ret) MUST_USE;
void case_state_free(struct case_state *state); /* wipes; NULL is fine */
/* The same event again: OK, folded once. ERR_AGAIN as above; ERR_LIMIT; ERR_NOMEM. On failure the
 * state is as before. */
enum err case_state_apply(struct case_state *state, const struct event *event) MUST_USE;
size_t case_state_size(const struct case_state *state); /* bytes of heap, all of it */

/* Stages of case management (Interagency GBV guidelines), derived and never stored. */
enum case_stage {
	STAGE_NONE, /* not opened yet, as far as one can read */
	STAGE_INTRODUCTION,
	STAGE_ASSESSMENT,
	STAGE_PLANNING,
	STAGE_IMPLEMENTATION,
	STAGE_FOLLOW_UP,
	STAGE_CLOSED,
};
const char *case_stage_name(enum case_stage stage); /* "assessment" */
enum case_stage case_stage_find(struct bytes name); /* STAGE_NONE for none of them */

/* What lists show of a case on a day. Texts point into the state. "" where there is nothing. */
struct case_summary {
	enum case_stage stage;
	bool contact_only; /* no live consent to CASE_MGMT: core and contact alone */
	bool legal_hold;   /* on that day */
	bool complaint;    /* a case of a complaint */
	const char *lead;  /* officer: assigned, or who opened it; the office after a transfer */
	const char *risk;  /* HIGH, MEDIUM, LOW */
	/* days, YYYY-MM-DD or less precise; "" */
	char opened_on[11], last_event_on[11];
	char last_contact_on[11];         /* reached */
	char next_contact_on[11];         /* as agreed last; "" when closed */
	char next_review_on[11];          /* .. */
	char reply_due_on[11];            /* the earliest of the unanswered referrals */
	char consent_ends_on[11];         /* the earliest last day of a live consent */
	char majority_review_on[11];      /* the earliest review_at_majority_on of a live consent */
	const char *consent_ends_purpose; /* of the consent that ends first */
	size_t backups;                   /* officers that stand in */
	size_t open_referrals;            /* not ended, declined or expired */
	size_t unanswered;                /* of them: no answer yet */
	size_t open_claims;               /* of paternity */
	size_t open_concerns, imminent_concerns;
	size_t live_consents;
	size_t open_complaints, open_transfers, conflicts, irregular;
	size_t packets_to_recall;   /* the consent they rest on was taken back since */
	char packets_recall_on[11]; /* .. the first of them on that day */
};
/* today: YYYY-MM-DD. */
void case_state_summary(
	const struct case_state *state, const char *today, struct case_summary *ret);

/* LEAD, BACKUP or FOCAL_POINT on that day, or who opened it while nobody else leads. */
bool case_state_officer_in(const struct case_state *state, const char *officer, const char *today);

/* The first id "<letter>-<n>" that no event of the case uses, for presets "C-#". ret: 16 bytes. */
void case_state_next_id(const struct case_state *state, char letter, char ret[16]);

/* Event ids that no other event names as parent: what the next event's `parents` are, at most
 * EVENT_REFS_MAX, the newest first. */
size_t case_state_heads(const struct case_state *state, struct event_id ret[EVENT_REFS_MAX]);

/* For forms and messages: the n-th consent, referral.. of the case; false past the end. */
struct consent_view {
	const char *id, *purpose;
	struct event_id event; /* of CONSENT_RECORDED: consent_ref */
	char valid_from[11], valid_until[11], withdrawn_on[11]; /* "" */
	group_set groups;                                       /* 0: none named */
	bool live;                                              /* on that day */
};
bool case_state_consent(
	const struct case_state *state, size_t n, const char *today, struct consent_view *ret);
/* Of a packet: id is "", what the recipient, due the day it was recalled on. */
struct item_view {               /* referral, claim, concern, allegation, complaint, transfer */
	const char *id, *status; /* status: the code it stands at */
	const char *what;        /* service, kind or "" */
	char on[11], due[11];    /* of its last move; of a referral: the reply; "" */
	bool open, unanswered;   /* unanswered: of a referral */
	bool imminent;           /* of a concern */
};
enum item_kind {
	ITEM_REFERRAL,
	ITEM_CLAIM,
	ITEM_CONCERN,
	ITEM_ALLEGATION,
	ITEM_COMPLAINT,
	ITEM_TRANSFER,
	ITEM_PERSON,
	ITEM_PACKET, /* that this office gave out; without an id: by its event */
};
bool case_state_item(
	const struct case_state *state, enum item_kind kind, size_t n, struct item_view *ret);

#endif
