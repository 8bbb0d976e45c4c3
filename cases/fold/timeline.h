/*
 * timeline: the opened parts of one case, folded into events in order. Parts come in any order and
 * any number of times; the result depends on the set of them alone (DESIGN 9: folds are idempotent
 * by event_id).
 *
 * An event is known by its id and the node that wrote it. What another node's log says under an id
 * of this node's is another event: it cannot change this one, nor take its place. Where all of it
 * is the same it is one event, the first author's: this node's, else in the order of their names.
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
 * parts do not go together are left out and counted (timeline_left_out). ERR_NOMEM. */
enum err timeline_finish(struct timeline *timeline) MUST_USE;
size_t timeline_count(const struct timeline *timeline);
const struct event *timeline_event(const struct timeline *timeline, size_t i); /* borrowed */
/* Whose log it is out of; "": this node's. */
const char *timeline_author(const struct timeline *timeline, size_t i);
/* Is there another event of that id, by another node, that says something else? */
bool timeline_contested(const struct timeline *timeline, size_t i);
size_t timeline_left_out(const struct timeline *timeline);

/* The state of the case, of all its events as they were recorded; the caller's. Of a timeline
 * that is finished. ERR_LIMIT, ERR_NOMEM. */
enum err timeline_state(const struct timeline *timeline, struct case_state **ret) MUST_USE;

/* Appends a JSON array of event objects, as event_write writes them; sticky error in buf. */
void timeline_json(const struct timeline *timeline, struct buf *buf);

#endif
