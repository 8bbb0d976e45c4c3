/*
 * timeline_marks: what events of a case say about each other: corrections, conflicts, what was
 * chosen, what was replaced (docs/EVENTS, "Conflicts"). For timeline.c alone; timeline.h is the
 * contract.
 *
 * Happy path: every event may belong to one slot, of those that say the same kind of thing about
 * the same thing. Resolutions choose within a slot; corrections of one field are put in the order
 * in which they were recorded; what then stands in one slot, differs, and was written beside each
 * other is a conflict.
 *
 * Events are numbered in the order in which they were recorded. Pure.
 */
#ifndef CASES_FOLD_TIMELINE_MARKS_H
#define CASES_FOLD_TIMELINE_MARKS_H

#include "cases/event/event.h"

enum { MARK_NONE = UINT32_MAX };

/* A field of `target` as the CORRECTION `correction` says it is. */
struct mark_change {
	uint32_t target, correction;
	char field[EVENT_FIELD_NAME_MAX + 1];
	const char *old_json; /* NULL: it was not there. Borrowed of the events, as new_json */
	const char *new_json;
	bool holds; /* the last word */
};
/* a stands in conflict with b; there is one of each direction. */
struct mark_conflict {
	uint32_t a, b;
};

struct marks {
	struct mark_change *changes; /* by target, field, correction */
	size_t change_count;
	struct mark_conflict *conflicts; /* by a, b */
	size_t conflict_count;
	uint32_t *overruled_by;  /* of each event: the CONFLICT_RESOLVED; MARK_NONE */
	uint32_t *superseded_by; /* .. the event that replaces it */
	size_t irregular;        /* corrections, resolutions, replacements of what cannot be */
};

/* events: borrowed for as long as the marks. ERR_NOMEM. */
enum err marks_make(const struct event *const *events, size_t count, struct marks *ret) MUST_USE;
void marks_release(struct marks *marks); /* zeroed ones are fine */

/* Those of one event: the first, and how many. */
const struct mark_change *marks_changes(const struct marks *marks, uint32_t event, size_t *ret);
const struct mark_conflict *marks_conflicts(const struct marks *marks, uint32_t event, size_t *ret);

#endif
