/*
 * Does one consent cover a need (rules.h has the table)? For cases/rules and cases/keys: what is
 * recorded and what is given away are judged by the same words.
 *
 * The first thing that is lacking is told, in this order: purpose, time, who must not have it,
 * recipient, groups, services. So of several consents the one that lacks the later thing is the
 * closer one.
 */
#ifndef CASES_RULES_COVERS_H
#define CASES_RULES_COVERS_H

#include "cases/fold/state_parts.h"

enum { CONSENT_NAMES = 3 };

/* What a consent must cover. */
struct consent_need {
	const char *purpose; /* NULL: any */
	/* Somebody reads the case by it: no consent to be counted (STATISTICS) will do. */
	bool reads;
	const char *who; /* in messages: the field with the recipient; NULL: it needs none */
	/* What the recipient is called, as events have it (escapes kept): one name that the consent
	 * has is enough, and one that it withholds from is enough, too. Empty: no name. */
	struct bytes recipient[CONSENT_NAMES];
	struct bytes own;      /* the office that records: needs not be named; empty: none */
	group_set groups;      /* beyond those the office has; 0: none */
	struct bytes services; /* JSON, a list of texts or one; empty: none */
	/* Does the office that recorded it take consents for this case? Whoever was given a case
	 * writes in it, too, and must not consent in the victim's place. NULL: all do. */
	bool (*counts)(const void *arg, const struct event_id *event);
	const void *arg;
};

enum consent_lack {
	CONSENT_COVERS,
	CONSENT_LACKS_ALL,       /* there is none to that purpose */
	CONSENT_LACKS_PURPOSE,   /* is one to something else */
	CONSENT_LACKS_OFFICE,    /* was recorded by an office that does not take it */
	CONSENT_LACKS_FORCE,     /* was never in force */
	CONSENT_LACKS_BEGINNING, /* day: its first */
	CONSENT_LACKS_GUARDIAN,  /* day: replaced for a conflict of interest */
	CONSENT_LACKS_INNOCENCE, /* day: the guardian who gave it is a subject of an allegation */
	CONSENT_LACKS_AGE,       /* day: of age since */
	CONSENT_LACKS_TIME,      /* day: its last */
	CONSENT_LACKS_WILL,      /* day: withdrawn on */
	CONSENT_LACKS_TRUST,     /* withholds from the recipient */
	CONSENT_LACKS_RECIPIENT,
	CONSENT_LACKS_GROUPS,  /* groups: which */
	CONSENT_LACKS_SERVICE, /* service: the first */
};
struct consent_verdict {
	enum consent_lack lack;
	fold_day day;
	group_set groups;
	struct bytes service; /* points into the need */
};

struct consent_verdict consent_judge(const struct case_state *state,
	const struct state_consent *consent, const struct consent_need *need, fold_day day);
bool consent_covers(const struct case_state *state, const struct state_consent *consent,
	const struct consent_need *need, fold_day day);
/* Of those that cover it the one that ends last; NULL. */
const struct state_consent *consent_last_that_covers(
	const struct case_state *state, const struct consent_need *need, fold_day day);
/* Of those to its purpose one that covers it, or else, those that speak of the recipient before all
 * others, the one that lacks the latest thing, of equals the newest, and what that is; NULL and
 * CONSENT_LACKS_ALL when there is none. */
const struct state_consent *consent_closest(const struct case_state *state,
	const struct consent_need *need, fold_day day, struct consent_verdict *ret);
/* As the end of a sentence about it: "ended on 2024-05-01". who: as in the need. */
void consent_say(const struct case_state *state, const struct state_consent *consent,
	const struct consent_verdict *verdict, const char *who, struct buf *ret);
/* The groups that it names, or those it stands for when it names none. */
group_set consent_groups(const struct state_consent *consent);

#endif
