/* What a timeline says beyond its events: marks, events as they hold now, the state. */
#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "cases/event/event_json.h"
#include "cases/fold/state_parts.h"
#include "cases/fold/timeline_parts.h"

static int recorded_compare(const void *a, const void *b)
{
	const struct folded *x = *(const struct folded *const *)a;
	const struct folded *y = *(const struct folded *const *)b;

	if (x->event.recorded_at != y->event.recorded_at)
		return x->event.recorded_at < y->event.recorded_at ? -1 : 1;
	return memcmp(x->event.id.b, y->event.id.b, EVENT_ID_SIZE);
}

static void number_events(struct timeline *timeline, struct folded **sorted)
{
	size_t count = 0;

	for (size_t i = 0; i < timeline->event_count; i++) {
		timeline->events[i].number = MARK_NONE;
		if (!timeline->events[i].second)
			sorted[count++] = &timeline->events[i];
	}
	qsort(sorted, count, sizeof *sorted, recorded_compare);
	for (size_t n = 0; n < count; n++) {
		sorted[n]->number = (uint32_t)n;
		timeline->recorded[n] = (uint32_t)(sorted[n] - timeline->events);
		timeline->by_number[n] = &sorted[n]->event;
	}
	timeline->number_count = count;
}

enum err timeline_mark(struct timeline *timeline)
{
	size_t room = timeline->event_count + 1;
	struct folded **sorted = mem_array(room, sizeof *sorted);

	timeline->recorded = mem_array(room, sizeof *timeline->recorded);
	timeline->by_number = mem_array(room, sizeof *timeline->by_number);
	if (sorted == NULL || timeline->recorded == NULL || timeline->by_number == NULL) {
		mem_free(sorted);
		return ERR_NOMEM;
	}
	number_events(timeline, sorted);
	mem_free(sorted);
	return marks_make(timeline->by_number, timeline->number_count, &timeline->marks);
}

static const struct mark_change *changes_of(
	const struct timeline *timeline, size_t i, size_t *ret_count)
{
	assert(timeline->finished && i < timeline->event_count);
	*ret_count = 0;
	if (timeline->events[i].number == MARK_NONE)
		return NULL;
	return marks_changes(&timeline->marks, timeline->events[i].number, ret_count);
}

bool timeline_change(
	const struct timeline *timeline, size_t i, size_t n, struct timeline_change *ret)
{
	size_t count;
	const struct mark_change *changes = changes_of(timeline, i, &count);

	if (n >= count)
		return false;
	*ret = (struct timeline_change){
		.field = changes[n].field,
		.old_json = changes[n].old_json,
		.new_json = changes[n].new_json,
		.correction = timeline->recorded[changes[n].correction],
		.holds = changes[n].holds,
	};
	return true;
}

const char *timeline_value(const struct timeline *timeline, size_t i, const char *field)
{
	size_t count;
	const struct mark_change *changes = changes_of(timeline, i, &count);

	for (size_t c = 0; c < count; c++)
		if (changes[c].holds && strcmp(changes[c].field, field) == 0)
			return changes[c].new_json;
	return event_field_json(&timeline->events[i].event, field);
}

bool timeline_conflict(const struct timeline *timeline, size_t i, size_t n, size_t *ret)
{
	const struct mark_conflict *conflicts;
	size_t count;

	assert(timeline->finished && i < timeline->event_count);
	if (timeline->events[i].number == MARK_NONE)
		return false;
	conflicts = marks_conflicts(&timeline->marks, timeline->events[i].number, &count);
	if (n >= count)
		return false;
	*ret = timeline->recorded[conflicts[n].b];
	return true;
}

size_t timeline_conflict_count(const struct timeline *timeline)
{
	return timeline->marks.conflict_count / 2;
}

static bool marked_by(const struct timeline *timeline, size_t i, const uint32_t *marks, size_t *ret)
{
	uint32_t number = timeline->events[i].number;

	assert(timeline->finished && i < timeline->event_count);
	if (number == MARK_NONE || marks[number] == MARK_NONE)
		return false;
	*ret = timeline->recorded[marks[number]];
	return true;
}

bool timeline_overruled_by(const struct timeline *timeline, size_t i, size_t *ret)
{
	return marked_by(timeline, i, timeline->marks.overruled_by, ret);
}

bool timeline_superseded_by(const struct timeline *timeline, size_t i, size_t *ret)
{
	return marked_by(timeline, i, timeline->marks.superseded_by, ret);
}

/* --- an event as it holds now --- */

static void set_field(struct event *event, const char *name, const char *json)
{
	size_t i = 0;

	while (i < event->field_count && strcmp(event->fields[i].name, name) != 0)
		i++;
	event->fields[i] = (struct event_field){.name = (char *)name, .json = (char *)json};
	event->field_count += i == event->field_count;
}

enum err timeline_corrected(const struct timeline *timeline, size_t i, struct event *ret)
{
	size_t count;
	const struct mark_change *changes = changes_of(timeline, i, &count);
	struct event event = timeline->events[i].event;

	event.fields = mem_array(event.field_count + count + 1, sizeof *event.fields);
	if (event.fields == NULL)
		return ERR_NOMEM;
	for (size_t f = 0; f < event.field_count; f++)
		event.fields[f] = timeline->events[i].event.fields[f];
	for (size_t c = 0; c < count; c++)
		if (changes[c].holds)
			set_field(&event, changes[c].field, changes[c].new_json);
	*ret = event;
	return OK;
}

void timeline_corrected_release(struct event *event)
{
	mem_free(event->fields);
	*event = (struct event){0};
}

/* --- marks for people and programs --- */

static void put_id(const struct timeline *timeline, size_t i, struct buf *buf)
{
	char id[EVENT_ID_TEXT + 1];

	event_id_text(&timeline->events[i].event.id, id);
	buf_printf(buf, "\"%s\"", id);
}

static void put_change(
	const struct timeline *timeline, const struct timeline_change *change, struct buf *buf)
{
	const struct event *correction = &timeline->events[change->correction].event;
	const char *reason = timeline_value(timeline, change->correction, "reason");
	char at[21];

	event_time_text(correction->recorded_at, at);
	buf_printf(buf, "{\"field\":\"%s\"", change->field);
	if (change->old_json != NULL)
		buf_printf(buf, ",\"old\":%s", change->old_json);
	buf_printf(buf, ",\"new\":%s,\"correction\":", change->new_json);
	put_id(timeline, change->correction, buf);
	buf_put_str(buf, ",\"by\":");
	event_put_string(buf, correction->recorded_by);
	buf_printf(buf, ",\"at\":\"%s\"", at);
	if (reason != NULL)
		buf_printf(buf, ",\"reason\":%s", reason);
	buf_printf(buf, ",\"holds\":%s}", change->holds ? "true" : "false");
}

static void put_other(
	const struct timeline *timeline, const char *name, size_t other, struct buf *buf)
{
	buf_printf(buf, ",\"%s\":", name);
	put_id(timeline, other, buf);
}

void timeline_put_marks(const struct timeline *timeline, size_t i, struct buf *buf)
{
	struct timeline_change change;
	size_t n, other;

	for (n = 0; timeline_change(timeline, i, n, &change); n++) {
		buf_put_str(buf, n == 0 ? ",\"changes\":[" : ",");
		put_change(timeline, &change, buf);
	}
	if (n > 0)
		buf_put_u8(buf, ']');
	for (n = 0; timeline_conflict(timeline, i, n, &other); n++) {
		buf_put_str(buf, n == 0 ? ",\"conflicts_with\":[" : ",");
		put_id(timeline, other, buf);
	}
	if (n > 0)
		buf_put_u8(buf, ']');
	if (timeline_overruled_by(timeline, i, &other))
		put_other(timeline, "overruled_by", other, buf);
	if (timeline_superseded_by(timeline, i, &other))
		put_other(timeline, "superseded_by", other, buf);
}

/* --- the state --- */

static enum err fold_number(
	const struct timeline *timeline, size_t number, struct case_state *state)
{
	const struct marks *marks = &timeline->marks;
	struct event event;
	size_t count;
	enum err err;

	if (marks->overruled_by[number] != MARK_NONE || marks->superseded_by[number] != MARK_NONE)
		return state_apply(state, timeline->by_number[number], EFFECT_NONE);
	(void)marks_changes(marks, (uint32_t)number, &count);
	if (count == 0)
		return state_apply(state, timeline->by_number[number], EFFECT_WHOLE);
	TRY(timeline_corrected(timeline, timeline->recorded[number], &event));
	err = state_apply(state, &event, EFFECT_WHOLE);
	timeline_corrected_release(&event);
	return err;
}

static bool of_another(const struct timeline *timeline, size_t number)
{
	return timeline->events[timeline->recorded[number]].author[0] != '\0';
}

/* Without other nodes' events each of them is irregular. */
static enum err fold_all(const struct timeline *timeline, bool others, struct case_state **ret)
{
	size_t irregular = timeline->marks.irregular;
	struct case_state *state;
	enum err err = OK;

	TRY(case_state_new(&state));
	for (size_t n = 0; n < timeline->number_count && err == OK; n++) {
		if (others || !of_another(timeline, n))
			err = fold_number(timeline, n, state);
		else
			irregular++;
	}
	if (err == OK) {
		state_note_marks(state, timeline_conflict_count(timeline), irregular);
		err = case_state_copy(state, ret); /* without room to spare */
	}
	case_state_free(state);
	return err;
}

/* A node that writes more than a state has room for takes no room away from this one. */
enum err timeline_state(const struct timeline *timeline, struct case_state **ret)
{
	enum err err;

	assert(timeline->finished);
	err = fold_all(timeline, true, ret);
	return err == ERR_LIMIT ? fold_all(timeline, false, ret) : err;
}
