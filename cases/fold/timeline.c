#include "cases/fold/timeline.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/secret.h"

enum { PARTS_MAX = 10 * LIMIT_CASE_EVENTS };

struct kept_part {
	struct event_id event_id;
	uint8_t group;
	bool main;
	uint8_t *data; /* owned */
	size_t size;
};

struct timeline {
	struct case_ref case_ref;
	struct kept_part *parts;
	size_t part_count, part_capacity;
	struct event *events;
	size_t event_count, left_out;
	bool finished;
};

enum err timeline_new(struct timeline **ret)
{
	struct timeline *timeline = mem_zalloc(sizeof *timeline);

	if (timeline == NULL)
		return ERR_NOMEM;
	*ret = timeline;
	return OK;
}

void timeline_free(struct timeline *timeline)
{
	if (timeline == NULL)
		return;
	for (size_t i = 0; i < timeline->part_count; i++) {
		wipe(timeline->parts[i].data, timeline->parts[i].size);
		mem_free(timeline->parts[i].data);
	}
	for (size_t i = 0; i < timeline->event_count; i++)
		event_release(&timeline->events[i]);
	mem_free(timeline->parts);
	mem_free(timeline->events);
	mem_free(timeline);
}

static enum err parts_reserve(struct timeline *timeline)
{
	size_t capacity = timeline->part_capacity == 0 ? 32 : timeline->part_capacity * 2;
	struct kept_part *parts;

	if (timeline->part_count < timeline->part_capacity)
		return OK;
	parts = mem_resize(timeline->parts, capacity * sizeof *parts);
	if (parts == NULL)
		return ERR_NOMEM;
	timeline->parts = parts;
	timeline->part_capacity = capacity;
	return OK;
}

enum err timeline_add(struct timeline *timeline, struct bytes part, struct errctx *ctx)
{
	struct part_info info;
	uint8_t *copy;

	assert(!timeline->finished);
	TRY(part_info_read(part, &info, ctx));
	if (timeline->part_count > 0 &&
		memcmp(timeline->case_ref.b, info.case_ref.b, CASE_REF_SIZE) != 0)
		return err_set(ctx, ERR_INVALID, "part of another case");
	if (timeline->part_count >= PARTS_MAX)
		return err_set(ctx, ERR_LIMIT, "more than %d parts in a case", PARTS_MAX);
	TRY(parts_reserve(timeline));
	copy = mem_dup(part.data, part.size);
	if (copy == NULL)
		return ERR_NOMEM;
	timeline->case_ref = info.case_ref;
	timeline->parts[timeline->part_count++] = (struct kept_part){
		.event_id = info.event_id,
		.group = (uint8_t)info.group,
		.main = info.main,
		.data = copy,
		.size = part.size,
	};
	return OK;
}

static int part_compare(const void *a, const void *b)
{
	const struct kept_part *x = a, *y = b;
	int c = memcmp(x->event_id.b, y->event_id.b, EVENT_ID_SIZE);

	if (c == 0)
		c = x->group - y->group;
	if (c == 0)
		c = x->main - y->main;
	return c != 0 ? c
		      : bytes_compare(bytes_make(x->data, x->size), bytes_make(y->data, y->size));
}

static bool same_event(const struct kept_part *a, const struct kept_part *b)
{
	return memcmp(a->event_id.b, b->event_id.b, EVENT_ID_SIZE) == 0;
}

/* The day an event is sorted under. */
static void day_of(const struct event *event, char ret[21])
{
	if (event->occurred_on[0] != 0) {
		memcpy(ret, event->occurred_on, sizeof event->occurred_on);
		return;
	}
	event_time_text(event->recorded_at, ret);
	ret[10] = 0;
}

static int event_compare(const void *a, const void *b)
{
	const struct event *x = a, *y = b;
	char day_x[21], day_y[21];
	int c;

	day_of(x, day_x);
	day_of(y, day_y);
	c = strcmp(day_x, day_y);
	if (c == 0)
		c = (x->recorded_at > y->recorded_at) - (x->recorded_at < y->recorded_at);
	return c != 0 ? c : memcmp(x->id.b, y->id.b, EVENT_ID_SIZE);
}

/* The parts of one event, count of them from `first`, already in order. Of each group only the
 * smallest counts (event_merge would choose the same), so that whoever repeats a part a thousand
 * times, a little changed, costs nothing. */
static enum err fold_event(
	struct timeline *timeline, size_t first, size_t count, struct bytes *views)
{
	size_t distinct = 0;
	enum err err;

	for (size_t i = first; i < first + count; i++) {
		const struct kept_part *part = &timeline->parts[i];

		if (i == first || part->group != part[-1].group || part->main != part[-1].main)
			views[distinct++] = bytes_make(part->data, part->size);
	}
	err = event_merge(views, distinct, &timeline->events[timeline->event_count], NULL);
	if (err == OK)
		timeline->event_count++;
	else if (err != ERR_NOMEM)
		timeline->left_out++;
	return err == ERR_NOMEM ? err : OK;
}

static enum err fold(struct timeline *timeline, struct bytes *views)
{
	for (size_t first = 0, next; first < timeline->part_count; first = next) {
		next = first + 1;
		while (next < timeline->part_count &&
			same_event(&timeline->parts[first], &timeline->parts[next]))
			next++;
		TRY(fold_event(timeline, first, next - first, views));
	}
	return OK;
}

enum err timeline_finish(struct timeline *timeline)
{
	struct bytes *views;
	enum err err;

	assert(!timeline->finished);
	if (timeline->part_count == 0) {
		timeline->finished = true;
		return OK;
	}
	timeline->events = mem_array(timeline->part_count, sizeof *timeline->events);
	views = mem_array(timeline->part_count, sizeof *views);
	err = timeline->events == NULL || views == NULL ? ERR_NOMEM : OK;
	if (err == OK) {
		qsort(timeline->parts, timeline->part_count, sizeof *timeline->parts, part_compare);
		err = fold(timeline, views);
	}
	mem_free(views);
	if (err != OK)
		return err; /* only timeline_free is left */
	qsort(timeline->events, timeline->event_count, sizeof *timeline->events, event_compare);
	timeline->finished = true;
	return OK;
}

size_t timeline_count(const struct timeline *timeline)
{
	return timeline->event_count;
}

const struct event *timeline_event(const struct timeline *timeline, size_t i)
{
	assert(timeline->finished && i < timeline->event_count);
	return &timeline->events[i];
}

size_t timeline_left_out(const struct timeline *timeline)
{
	return timeline->left_out;
}

void timeline_json(const struct timeline *timeline, struct buf *buf)
{
	assert(timeline->finished);
	buf_put_u8(buf, '[');
	for (size_t i = 0; i < timeline->event_count; i++) {
		if (i > 0)
			buf_put_u8(buf, ',');
		event_write(&timeline->events[i], buf);
	}
	buf_put_u8(buf, ']');
}
