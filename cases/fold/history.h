/*
 * history: who knew of what. Each event names its parents, the events nobody had written behind
 * when it was recorded; whoever can be reached through parents was known. Two of which neither knew
 * the other were written beside each other.
 *
 * It says so only where it can be shown: an event without parents says nothing about what was
 * known, and one with a parent that is not here may have known anything.
 *
 * Borrows the events. Pure.
 */
#ifndef CASES_FOLD_HISTORY_H
#define CASES_FOLD_HISTORY_H

#include "cases/event/event.h"

struct history;

/* The events, in any order; of two with one id the first counts. ERR_NOMEM. */
enum err history_new(
	const struct event *const *events, size_t count, struct history **ret) MUST_USE;
void history_free(struct history *history);

/* The number of an event; false when it is not there. */
bool history_find(const struct history *history, const struct event_id *id, size_t *ret);

/* What one event knew, as a set. */
struct known {
	uint8_t *set; /* bit n: the n-th event; owned */
	bool whole;   /* all of it is here */
};
enum err history_known(const struct history *history, size_t i, struct known *ret) MUST_USE;
void known_release(struct known *known);
bool known_has(const struct known *known, size_t number);
/* Was it shown that a and b knew nothing of each other? */
bool known_beside(const struct known *a, size_t a_number, const struct known *b, size_t b_number);

#endif
