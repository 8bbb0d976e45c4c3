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
 *is possible from there). Messages name ids, codes and dates, never free text.
 *
 * Pure: today and the officer are handed in.
 */
#ifndef CASES_RULES_RULES_H
#define CASES_RULES_RULES_H

#include "cases/fold/state.h"

struct rules_context {
	const char *today; /* YYYY-MM-DD, UTC */
	const char *node;  /* this node's name */
};

/* Fills in members that are absent: parents (the heads of the case), ids with a preset of the
 * schema
 * ("R-2"), consent_refs out of consent_ref, the one open referral, claim.. where there is exactly
 * one, service_code of answers and ends out of their referral, valid_from. ERR_INVALID when it
 * cannot be known which; ERR_LIMIT, ERR_NOMEM. */
enum err rules_fill(const struct case_state *state, struct event *event,
	const struct rules_context *context, struct errctx *ctx) MUST_USE;

/* A complete event that schema_check and event_check_complete have passed. */
enum err rules_check(const struct case_state *state, const struct event *event,
	const struct rules_context *context, struct errctx *ctx) MUST_USE;

#endif
