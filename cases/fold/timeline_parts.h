/* What a timeline is made of, for timeline*.c alone. */
#ifndef CASES_FOLD_TIMELINE_PARTS_H
#define CASES_FOLD_TIMELINE_PARTS_H

#include "cases/fold/timeline.h"
#include "cases/fold/timeline_marks.h"

enum { PARTS_MAX = 10 * LIMIT_CASE_EVENTS };

struct kept_part {
	struct event_id event_id;
	const char *author; /* of the table: one pointer a name */
	uint8_t group;
	bool main;
	uint8_t *data; /* owned */
	size_t size;
};

struct folded {
	struct event event;
	const char *author;
	const struct bytes *views; /* while folding: its parts */
	size_t view_count;
	bool contested;
	bool second; /* of those of one id not the first author's: it is shown, and counts not */
	uint32_t number; /* in the order recorded; MARK_NONE: it is a second one */
};

struct timeline {
	struct case_ref case_ref;
	char authors[TIMELINE_AUTHORS_MAX][LIMIT_NODE_NAME + 1];
	size_t author_count;
	struct kept_part *parts;
	size_t part_count, part_capacity;
	size_t foreign_bytes; /* of parts of other nodes */
	struct folded *events;
	size_t event_count, left_out;
	bool finished;
	/* in the order recorded, without second ones */
	uint32_t *recorded; /* index in events */
	const struct event **by_number;
	size_t number_count;
	struct marks marks;
};

/* --- timeline_view.c --- */
/* The order recorded, and the marks, of sorted events. ERR_NOMEM. */
enum err timeline_mark(struct timeline *timeline) MUST_USE;

#endif
