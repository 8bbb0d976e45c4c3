/*
 * case_state: what a case is now, folded out of its events: who leads it, which consents live,
 * which referrals, claims, concerns, complaints, allegations and transfers stand where, what is
 * due. No free text, no name of a victim: ids, codes, dates, officers, event ids.
 *
 * Applying is total: an event of another node, or of a later version, that breaks a rule is folded
 * as far as it can be and counted as irregular; what the own node records is checked before
 * (cases/rules/rules.h). The state after a set of events is the same whatever the order of arrival,
 * when they are applied in the order of the timeline (cases/fold/timeline.h); applying one that
 * belongs before an event already applied is ERR_AGAIN and changes nothing: fold anew.
 *
 * Memory: case_state_size; on synthetic cases at most 40 bytes an event (test_state measures it).
 * Caps: each list has a named cap in base/limits.h; past it ERR_LIMIT. Wiped on free. Pure.
 */
#ifndef CASES_FOLD_STATE_H
#define CASES_FOLD_STATE_H

#include "cases/event/event.h"

struct case_state;

enum err case_state_new(struct case_state **ret) MUST_USE;
enum err case_state_copy(const struct case_state *state, struct case_state **ret) MUST_USE;
void case_state_free(struct case_state *state); /* wipes; NULL is fine */
/* ERR_AGAIN as above; ERR_LIMIT; ERR_NOMEM. On failure the state is as before. */
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

/* What lists show of a case on a day. Views point into the state. "" where there is nothing. */
struct case_summary {
	enum case_stage stage;
	bool contact_only; /* no live consent to CASE_MGMT: core and contact alone */
	bool legal_hold;   /* on that day */
	bool complaint;    /* a case of a complaint */
	const char *lead;  /* officer: assigned, or who opened it */
	const char *risk;  /* HIGH, MEDIUM, LOW */
	const char *opened_on, *last_event_on;
	const char *last_contact_on; /* reached */
	const char *next_contact_on; /* as agreed last; "" when closed */
	const char *next_review_on;
	size_t backups;           /* officers that stand in */
	size_t open_referrals;    /* not ended, declined or expired */
	size_t unanswered;        /* of them: no answer yet */
	const char *reply_due_on; /* the earliest of the unanswered */
	size_t open_claims;       /* of paternity */
	size_t open_concerns, imminent_concerns;
	size_t live_consents;
	const char *consent_ends_on;      /* the earliest end of a live one */
	const char *consent_ends_purpose; /* its purpose */
	size_t open_complaints, open_transfers, conflicts, irregular;
	const char *majority_review_on; /* the earliest review_at_majority_on of a live consent */
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
	struct event_id event;                               /* of CONSENT_RECORDED: consent_ref */
	const char *valid_from, *valid_until, *withdrawn_on; /* "" */
	group_set groups;                                    /* 0: none named */
	bool live;                                           /* on that day */
};
bool case_state_consent(
	const struct case_state *state, size_t n, const char *today, struct consent_view *ret);
struct item_view {               /* referral, claim, concern, allegation, complaint, transfer */
	const char *id, *status; /* status: the code it stands at */
	const char *what;        /* service, kind or "" */
	bool open;
};
enum item_kind {
	ITEM_REFERRAL,
	ITEM_CLAIM,
	ITEM_CONCERN,
	ITEM_ALLEGATION,
	ITEM_COMPLAINT,
	ITEM_TRANSFER,
	ITEM_PERSON,
};
bool case_state_item(
	const struct case_state *state, enum item_kind kind, size_t n, struct item_view *ret);

#endif
