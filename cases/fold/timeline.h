/*
 * timeline: the opened parts of one case, folded into events in order. Parts come in any order and
 * any number of times; the result depends on the set of them alone (DESIGN 9: folds are idempotent
 * by event_id).
 *
 * An event is known by its id and the node that wrote it. What another node's log says under an id
 * of this node's is another event: it cannot change this one, nor take its place. Where all of it
 * is the same it is one event, the first author's: this node's, else in the order of their names.
 *
 * Officers are accounts of a node: of another node's event, whoever recorded it, or is assigned by
 * it or by its correction, is NAME@NODE here, so that nobody there can make somebody of that name
 * here see the case.
 *
 * Order: occurred_on, then recorded_at, then event_id, then author. A date that is less precise
 * comes before all of its days; an event without a date stands at the day it was recorded.
 *
 * Holds plaintext of a case: wiped on release. Not thread-safe.
 */
#ifndef CASES_TIMELINE_H
#define CASES_TIMELINE_H

#include "cases/event/event.h"
#include "cases/fold/state.h"

struct timeline;

enum err timeline_new(struct timeline **ret) MUST_USE;
void timeline_free(struct timeline *timeline); /* wipes; NULL is fine */

/* Copies an opened part of this node's. The first part decides which case this is about:
 * ERR_INVALID for a part of another. ERR_MALFORMED, ERR_LIMIT as part_info_read (the timeline is as
 * before, and may be used on); ERR_LIMIT also past 10 * LIMIT_CASE_EVENTS parts; ERR_NOMEM. */
enum err timeline_add(struct timeline *timeline, struct bytes part, struct errctx *ctx) MUST_USE;
/* The same of a part that part_info_read has read: it is not read again. */
enum err timeline_add_known(struct timeline *timeline, struct bytes part,
	const struct part_info *info, struct errctx *ctx) MUST_USE;
/* The same out of the log of that node; author NULL or "": of this one's. ERR_LIMIT also past
 * TIMELINE_AUTHORS_MAX of them. */
enum { TIMELINE_AUTHORS_MAX = 64 };
enum err timeline_add_of(struct timeline *timeline, const char *author, struct bytes part,
	struct errctx *ctx) MUST_USE;

/* Folds and sorts. After it, events can be read; timeline_add is no longer allowed. Events whose
 * parts do not go together are left out and counted (timeline_left_out). ERR_NOMEM: only
 * timeline_free is left. */
enum err timeline_finish(struct timeline *timeline) MUST_USE;
size_t timeline_count(const struct timeline *timeline);
const struct event *timeline_event(const struct timeline *timeline, size_t i); /* borrowed */
/* Whose log it is out of; "": this node's. */
const char *timeline_author(const struct timeline *timeline, size_t i);
/* Is there another event of that id, by another node, that says something else? */
bool timeline_contested(const struct timeline *timeline, size_t i);
size_t timeline_left_out(const struct timeline *timeline);

/* --- what events say about each other (docs/EVENTS, "Conflicts") --- */

/* A field of an event as a CORRECTION says it is; in the order in which they were recorded.
 * Borrowed of the timeline. */
struct timeline_change {
	const char *field;
	const char *old_json; /* as it was shown before; NULL: it was not there */
	const char *new_json;
	size_t correction; /* the CORRECTION: its number here */
	bool holds;        /* the last word. Not: corrected again, or overruled in a conflict */
};
/* The n-th of an event; false past the end. */
bool timeline_change(
	const struct timeline *timeline, size_t i, size_t n, struct timeline_change *ret);
/* The JSON text of a field as it holds now; NULL: it is not there. */
const char *timeline_value(const struct timeline *timeline, size_t i, const char *field);

/* The n-th event that contradicts this one, and was recorded by somebody who did not know it; until
 * a CONFLICT_RESOLVED chooses, or somebody who knew both says what holds. False past the end. */
bool timeline_conflict(const struct timeline *timeline, size_t i, size_t n, size_t *ret);
/* Conflicts that are open. At most LIMIT_CASE_CONFLICTS are found. */
size_t timeline_conflict_count(const struct timeline *timeline);
/* The CONFLICT_RESOLVED that chose another; the event that replaced it (supersedes). False: none.
 */
bool timeline_overruled_by(const struct timeline *timeline, size_t i, size_t *ret);
bool timeline_superseded_by(const struct timeline *timeline, size_t i, size_t *ret);

/* The event with its fields as they hold now. Borrows all but its list of fields from the timeline:
 * release it with timeline_corrected_release, and not otherwise. ERR_NOMEM. */
enum err timeline_corrected(const struct timeline *timeline, size_t i, struct event *ret) MUST_USE;
void timeline_corrected_release(struct event *event);

/* Appends what is said about an event as members of a JSON object, a comma before each; nothing
 * when nothing is: "changes" (a list of field, old, new, correction, by, at, reason, holds),
 * "conflicts_with" (event ids), "overruled_by", "superseded_by". Sticky error in buf. */
void timeline_put_marks(const struct timeline *timeline, size_t i, struct buf *buf);

/* The state of the case, of all its events in the order in which they were recorded: with their
 * corrections, without what was overruled or replaced, and of two events of one id the first
 * author's. The caller's. ERR_LIMIT, ERR_NOMEM. */
enum err timeline_state(const struct timeline *timeline, struct case_state **ret) MUST_USE;

/* Appends a JSON array of event objects, as event_write writes them; sticky error in buf. */
void timeline_json(const struct timeline *timeline, struct buf *buf);

#endif
