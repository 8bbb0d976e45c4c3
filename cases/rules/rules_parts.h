/* What the files of cases/rules share. Not for other modules. */
#ifndef CASES_RULES_RULES_PARTS_H
#define CASES_RULES_RULES_PARTS_H

#include "cases/fold/state_parts.h"
#include "cases/rules/covers.h"
#include "cases/rules/rules.h"

/* One event that is judged. */
struct judged {
	const struct case_state *state;
	const struct event *event;
	const char *type; /* its name */
	fold_day day;     /* by which consents are judged: a whole one */
	fold_day today;
	const char *node;
	const char *country; /* of rules_context, or what the event says */
	group_set granted;   /* of a case that another node gave; 0: none */
	group_set corrected; /* of rules_context */
	struct errctx *ctx;
};

/* ctx is never NULL in it: *own stands in. */
struct judged rules_judged(const struct case_state *state, const struct event *event,
	const struct rules_context *context, struct errctx *ctx, struct errctx *own);
/* The day an event is judged by (rules.h). */
fold_day rules_day(const struct event *event);

/* The same officer? "ada" is "ada@haiti" at node haiti. */
bool rules_same_officer(const struct judged *j, struct bytes a, struct bytes b);
/* ERR_INVALID, the text behind the type's name. */
enum err rules_refuse(const struct judged *j, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* --- rules_single.c: the event by itself --- */
enum err rules_single(const struct judged *j) MUST_USE;

/* --- rules_moves.c: machines, ids, who works on the case, corrections --- */
enum err rules_moves(const struct judged *j) MUST_USE;

/* --- rules_consent.c --- */
enum err rules_consent(const struct judged *j) MUST_USE;

/* false when the event needs none. */
bool rules_consent_need(const struct judged *j, struct consent_need *ret);
enum err rules_consent_check(const struct judged *j, const struct consent_need *need) MUST_USE;

#endif
