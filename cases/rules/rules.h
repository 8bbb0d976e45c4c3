/*
 * rules: may this event be recorded in this case now? (DOMAIN 1 "Rules of the domain", 1.3, 1.4)
 *
 *	schema_check	the event by itself		cases/schema/schema.h
 *	rules_fill	what follows from the case	ids, parents, the service of a referral
 *	rules_check	the event in its case		here
 *	case_state_apply	.. and it is part of it		cases/fold/state.h
 *
 * Refusals are ERR_CONSENT (a consent is missing: which purpose, for whom, which groups, since when
 * it is lacking, and what to do) or ERR_INVALID (an illegal move: where the thing stands, and what
 * is possible from there). Messages name fields, ids, codes and dates, never free text, never the
 * name of a recipient.
 *
 * The day an event is judged by is its own occurred_on, so that the history of years is judged by
 * the consents of its years: a month or a year by its last day, but none after recorded_at; without
 * a date the day it was recorded. So nothing that is recorded as of today rests on a consent that
 * has ended.
 *
 * What each consent is needed for, and covers:
 *
 *	CASE_MGMT	every case of a victim: without it the case is contact-only (below)
 *	REFERRAL	REFERRAL_MADE: to_org or to_office, shared_groups, service_code
 *	TRANSFER	TRANSFER_OFFERED: to_office
 *	PATERNITY	PATERNITY_OPENED
 *	any		EXTERNAL_PACKET: recipient, groups; not STATISTICS, by which nobody reads
 *
 *	recipients	none named: nobody outside the office that records
 *	groups		none named: contact and services
 *	services	none named: all
 *	withhold_from	counts more than recipients
 *
 * A consent is live from valid_from to valid_until, both included, but not from the day of its
 * withdrawal on (effective_at), not after review_at_majority_on (whoever comes of age consents
 * anew: that is another consent), and not from the day on which the guardian who gave it was
 * replaced for a conflict of interest, or on which an allegation that names this guardian as a
 * subject was recorded (it is given anew, by another one).
 *
 * A *contact-only* case, of a victim without live consent to CASE_MGMT, takes contact, consent and
 * core: CASE_OPENED, PERSON_RECORDED without names, contacts, documents and disability,
 * RIGHTS_EXPLAINED, CONSENT_*, GUARDIAN_CHANGED, CONTACT, VICTIM_VIEW on all but the investigation,
 * FEEDBACK, OFFICER_ASSIGNED, TRANSFER_*, EXTERNAL_PACKET (on its own consent), RECEIPT_GIVEN,
 * CASE_CLOSED, CASE_REOPENED. No note, but beside the consent to CASE_MGMT itself. What the victim
 *has a right to stays possible: CORRECTION (of what is kept: it adds no data group to an event),
 *ERASURE_*, CONFLICT_RESOLVED, LEGAL_HOLD; what the law demands: MANDATORY_REPORT; and what brings
 *to an end what was begun: REFERRAL_ENDED, PATERNITY_STAGE with CLOSED_*, PROTECTION_ACTION with
 * resolved_on. A complaint is a case of its own and needs no consent.
 *
 * A case that another node opened, and of which it gave keys for some data groups, takes what
 *belongs to these groups alone, and OFFICER_ASSIGNED (rules_granted).
 *
 * A closed case takes CASE_REOPENED, CORRECTION, CONFLICT_RESOLVED, ERASURE_*, LEGAL_HOLD,
 * CONSENT_REFUSED and CONSENT_WITHDRAWN, OFFICER_ASSIGNED, FEEDBACK, COMPLAINT_STAGE,
 * MANDATORY_REPORT and RECEIPT_GIVEN, nothing else.
 *
 * RECEIPT_GIVEN on PAPER says on which day the risk was talked about.
 *
 * Pure: today is handed in.
 */
#ifndef CASES_RULES_RULES_H
#define CASES_RULES_RULES_H

#include "cases/fold/state.h"

struct rules_context {
	const char *today; /* YYYY-MM-DD, UTC */
	const char *node;  /* this node's name */
	/* Its country, as events call their office: to it nothing is shared. NULL or "": not known,
	 * then it is what the event says. */
	const char *country;
	/* Of a CORRECTION: the data groups in which the event that it corrects says something. 0:
	 * not known, then what it adds is not judged. */
	group_set corrected;
	/* The case is another node's, which gave keys of it: that stands for its opening and for
	 * the consent to CASE_MGMT, within these groups (rules_granted). 0: it is none. */
	group_set granted;
};

/* Fills in members that are absent: parents (the heads of the case), ids with a preset of the
 * schema ("R-2"), the one open referral, claim.. where there is exactly one, service_code of
 * answers and ends out of their referral, valid_from, consent_ref where a live consent covers the
 * event (of several the one that ends last), consent_refs out of it. ERR_CONSENT, as rules_check
 * says it, when none does; ERR_INVALID when it cannot be known which of several things is meant;
 * ERR_LIMIT, ERR_NOMEM. */
enum err rules_fill(const struct case_state *state, struct event *event,
	const struct rules_context *context, struct errctx *ctx) MUST_USE;

/* A complete event that rules_fill, schema_check and event_check_complete have passed. ERR_CONSENT,
 * ERR_INVALID; ERR_NOMEM. */
enum err rules_check(const struct case_state *state, const struct event *event,
	const struct rules_context *context, struct errctx *ctx) MUST_USE;

/* May an event with parts in these groups be recorded in a case of another node that gave `granted`
 * of it? Who works on the case here may always be said. ERR_CONSENT. */
enum err rules_granted(const struct event *event, group_set groups, group_set granted,
	struct errctx *ctx) MUST_USE;

#endif
