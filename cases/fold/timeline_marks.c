#include "cases/fold/timeline_marks.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "cases/event/event_json.h"
#include "cases/fold/history.h"
#include "cases/fold/state_parts.h"

/* What contradicts what. The key within the kind: a number, or a text. */
enum slot_kind {
	SLOT_NONE,
	SLOT_FIELD, /* number: the corrected event; text: the field */
	SLOT_ANSWER,
	SLOT_END,
	SLOT_INVESTIGATION,
	SLOT_OUTCOME,
	SLOT_CLAIM,
	SLOT_COMPLAINT,
	SLOT_TRANSFER,
	SLOT_LEAD,
	SLOT_CASE,
	SLOT_HOLD,
	SLOT_GUARDIAN,
	SLOT_REPLACED, /* number: the event that is replaced */
	SLOT_CHOICE,   /* number: the first of the events that were chosen among */
};

struct slot {
	enum slot_kind kind;
	uint32_t number;
	struct bytes text;
	uint32_t event;
	const char *field; /* what it says; NULL: that it is this event */
};

struct work {
	const struct event *const *events;
	size_t count;
	struct history *history;
	struct slot *slots; /* by key, then event; of those that have one */
	size_t slot_count;
	uint32_t *slot_of;     /* of each event, in slots; MARK_NONE */
	const char **new_json; /* of each CORRECTION: what it says after its own corrections */
	struct marks *marks;
};

static const struct slot_type {
	uint32_t type;
	enum slot_kind kind;
	const char *key, *field;
} slot_types[] = {
	{EVENT_REFERRAL_ANSWERED, SLOT_ANSWER, "referral_id", "answer"},
	{EVENT_REFERRAL_ENDED, SLOT_END, "referral_id", "end"},
	{EVENT_INVESTIGATION_STAGE, SLOT_INVESTIGATION, "allegation_ref", "stage"},
	{EVENT_INVESTIGATION_OUTCOME, SLOT_OUTCOME, "allegation_ref", "outcome"},
	{EVENT_PATERNITY_STAGE, SLOT_CLAIM, "claim_id", "stage"},
	{EVENT_COMPLAINT_STAGE, SLOT_COMPLAINT, "complaint_id", "stage"},
	{EVENT_TRANSFER_ANSWERED, SLOT_TRANSFER, "to_office", "answer"},
	{EVENT_OFFICER_ASSIGNED, SLOT_LEAD, NULL, "officer_key"},
	{EVENT_CASE_CLOSED, SLOT_CASE, NULL, "reason"},
	{EVENT_CASE_REOPENED, SLOT_CASE, NULL, NULL},
	{EVENT_LEGAL_HOLD, SLOT_HOLD, NULL, "until"},
	{EVENT_GUARDIAN_CHANGED, SLOT_GUARDIAN, "replaces", "guardian_ref"},
};

static bool find(const struct work *work, struct bytes text, uint32_t *ret)
{
	struct event_id id;
	size_t number;

	if (event_id_parse(text, &id) != OK || !history_find(work->history, &id, &number))
		return false;
	*ret = (uint32_t)number;
	return true;
}

/* The event a CORRECTION corrects. Of two corrections the later one corrects: no circle. */
static bool corrected(const struct work *work, uint32_t correction, uint32_t *ret)
{
	const struct event *event = work->events[correction];
	uint32_t target;

	if (!find(work, value_text(event, "corrects"), &target) || target == correction ||
		(work->events[target]->type == EVENT_CORRECTION && target > correction))
		return false;
	*ret = target;
	return true;
}

static bool slot_make(struct work *work, uint32_t i, struct slot *ret)
{
	const struct event *event = work->events[i];
	struct slot slot = {.event = i};
	struct bytes over = value_json(event, "over"), id;
	uint32_t other;

	if (event->type == EVENT_CORRECTION) {
		slot.kind = SLOT_FIELD;
		slot.text = value_text(event, "field");
		slot.field = "new_value";
		if (!corrected(work, i, &slot.number))
			slot.kind = SLOT_NONE;
	} else if (event->type == EVENT_CONFLICT_RESOLVED) {
		slot.kind = SLOT_CHOICE;
		slot.field = "chosen";
		slot.number = MARK_NONE;
		if (find(work, value_text(event, "chosen"), &other))
			slot.number = other;
		while (value_next(&over, &id))
			if (find(work, id, &other) && other < slot.number)
				slot.number = other;
	} else if (event->supersedes.count == 1) {
		size_t number;

		slot.kind = SLOT_REPLACED;
		if (!history_find(work->history, &event->supersedes.ids[0], &number))
			return false;
		slot.number = (uint32_t)number;
	}
	for (size_t t = 0; t < sizeof slot_types / sizeof slot_types[0]; t++) {
		const struct slot_type *type = &slot_types[t];

		if (type->type != event->type ||
			(type->kind == SLOT_LEAD && !value_is(event, "role", "LEAD")))
			continue;
		slot.kind = type->kind;
		slot.text = type->key == NULL ? BYTES_NONE : value_text(event, type->key);
		slot.field = type->field;
	}
	*ret = slot;
	return slot.kind != SLOT_NONE;
}

static int key_compare(const struct slot *a, const struct slot *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return bytes_compare(a->text, b->text);
}

static int slot_compare(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;
	int c = key_compare(x, y);

	return c != 0 ? c : (x->event > y->event) - (x->event < y->event);
}

static void make_slots(struct work *work)
{
	for (uint32_t i = 0; i < work->count; i++) {
		work->slot_of[i] = MARK_NONE;
		if (slot_make(work, i, &work->slots[work->slot_count]))
			work->slot_count++;
	}
	qsort(work->slots, work->slot_count, sizeof *work->slots, slot_compare);
	for (uint32_t s = 0; s < work->slot_count; s++)
		work->slot_of[work->slots[s].event] = s;
}

static bool same_slot(const struct work *work, uint32_t a, uint32_t b)
{
	return work->slot_of[a] != MARK_NONE && work->slot_of[b] != MARK_NONE &&
	       key_compare(&work->slots[work->slot_of[a]], &work->slots[work->slot_of[b]]) == 0;
}

/* --- resolutions --- */

/* The choice among resolutions, or (`choices` false) among other events. Only what stands in one
 * slot is chosen among: nobody resolves a withdrawal away. */
static void resolve(struct work *work, uint32_t i, bool choices)
{
	const struct event *event = work->events[i];
	uint32_t *overruled_by = work->marks->overruled_by;
	struct bytes over = value_json(event, "over"), id;
	uint32_t chosen, other;

	if (!find(work, value_text(event, "chosen"), &chosen) || chosen == i) {
		work->marks->irregular += !choices;
		return;
	}
	if ((work->events[chosen]->type == EVENT_CONFLICT_RESOLVED) != choices)
		return;
	while (value_next(&over, &id)) {
		if (find(work, id, &other) && other != chosen && same_slot(work, chosen, other) &&
			(!choices || other < i)) {
			overruled_by[other] = i;
			overruled_by[chosen] = MARK_NONE; /* an earlier choice is revised */
		} else {
			work->marks->irregular++;
		}
	}
}

static void resolve_all(struct work *work)
{
	for (size_t i = work->count; i > 0; i--)
		if (work->events[i - 1]->type == EVENT_CONFLICT_RESOLVED &&
			work->marks->overruled_by[i - 1] == MARK_NONE)
			resolve(work, (uint32_t)(i - 1), true);
	for (uint32_t i = 0; i < work->count; i++)
		if (work->events[i]->type == EVENT_CONFLICT_RESOLVED &&
			work->marks->overruled_by[i] == MARK_NONE)
			resolve(work, i, false);
}

/* --- what replaces what --- */

static void supersede_all(struct work *work)
{
	for (uint32_t i = 0; i < work->count; i++) {
		const struct event *event = work->events[i];

		for (size_t s = 0; s < event->supersedes.count; s++) {
			size_t other;

			if (history_find(work->history, &event->supersedes.ids[s], &other) &&
				other < i && work->events[other]->type == event->type &&
				state_may_be_replaced(event->type))
				work->marks->superseded_by[other] = i;
			else
				work->marks->irregular++;
		}
	}
}

static bool stands(const struct work *work, uint32_t i)
{
	return work->marks->overruled_by[i] == MARK_NONE &&
	       work->marks->superseded_by[i] == MARK_NONE;
}

/* --- corrections --- */

static int change_compare(const void *a, const void *b)
{
	const struct mark_change *x = a, *y = b;
	int c;

	if (x->target != y->target)
		return x->target < y->target ? -1 : 1;
	c = strcmp(x->field, y->field);
	return c != 0 ? c : (x->correction > y->correction) - (x->correction < y->correction);
}

static void list_changes(struct work *work)
{
	struct marks *marks = work->marks;

	for (uint32_t i = 0; i < work->count; i++) {
		const struct event *event = work->events[i];
		struct bytes field = value_text(event, "field");
		struct mark_change *change = &marks->changes[marks->change_count];

		if (event->type != EVENT_CORRECTION)
			continue;
		if (!corrected(work, i, &change->target) || !event_field_name_valid(field) ||
			event_field_json(event, "new_value") == NULL) {
			marks->irregular++;
			continue;
		}
		change->correction = i;
		memcpy(change->field, field.data, field.size);
		change->field[field.size] = 0;
		marks->change_count++;
	}
	qsort(marks->changes, marks->change_count, sizeof *marks->changes, change_compare);
}

const struct mark_change *marks_changes(const struct marks *marks, uint32_t event, size_t *ret)
{
	size_t low = 0, high = marks->change_count, end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (marks->changes[middle].target < event)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < marks->change_count && marks->changes[end].target == event; end++)
		;
	*ret = end - low;
	return marks->changes + low;
}

/* What each correction says, the last first: whatever corrects it is later. */
static void read_new_values(struct work *work)
{
	for (size_t i = work->count; i > 0; i--) {
		const struct event *event = work->events[i - 1];
		const struct mark_change *changes;
		size_t count;

		if (event->type != EVENT_CORRECTION)
			continue;
		work->new_json[i - 1] = event_field_json(event, "new_value");
		if (value_is(event, "field", "officer_key"))
			continue; /* whose officer that is depends on who says so */
		changes = marks_changes(work->marks, (uint32_t)(i - 1), &count);
		for (size_t c = 0; c < count; c++)
			if (strcmp(changes[c].field, "new_value") == 0 &&
				stands(work, changes[c].correction))
				work->new_json[i - 1] = work->new_json[changes[c].correction];
	}
}

static void settle_changes(struct work *work)
{
	struct mark_change *changes = work->marks->changes, *last = NULL;
	const char *now = NULL;

	for (size_t c = 0; c < work->marks->change_count; c++) {
		struct mark_change *change = &changes[c];

		if (c == 0 || change->target != changes[c - 1].target ||
			strcmp(change->field, changes[c - 1].field) != 0) {
			now = event_field_json(work->events[change->target], change->field);
			last = NULL;
		}
		change->old_json = now;
		change->new_json = work->new_json[change->correction];
		if (!stands(work, change->correction))
			continue;
		now = change->new_json;
		if (last != NULL)
			last->holds = false;
		change->holds = true;
		last = change;
	}
}

/* --- conflicts --- */

/* What an event says in its slot, after its corrections. */
static struct bytes slot_value(const struct work *work, const struct slot *slot)
{
	const struct event *event = work->events[slot->event];
	const struct mark_change *changes;
	struct bytes value;
	size_t count;

	if (slot->field == NULL)
		return BYTES_ARRAY(event->id.b);
	if (event->type == EVENT_CORRECTION)
		return bytes_str(
			work->new_json[slot->event] == NULL ? "" : work->new_json[slot->event]);
	value = value_json(event, slot->field);
	changes = marks_changes(work->marks, slot->event, &count);
	for (size_t c = 0; c < count; c++)
		if (changes[c].holds && strcmp(changes[c].field, slot->field) == 0)
			value = bytes_str(changes[c].new_json);
	return value;
}

static bool differ(const struct work *work, const struct slot *a, const struct slot *b)
{
	return work->events[a->event]->type != work->events[b->event]->type ||
	       !bytes_equal(slot_value(work, a), slot_value(work, b));
}

/* A group of slots of one key, while it is looked at. */
enum { GROUP_MAX = 256 };
struct group_work {
	const struct slot *slots[GROUP_MAX];
	struct known known[GROUP_MAX];
	bool passed[GROUP_MAX]; /* another of the group knew it, and said something after it */
	size_t count;
};

static void group_release(struct group_work *group)
{
	for (size_t i = 0; i < group->count; i++)
		known_release(&group->known[i]);
}

static enum err group_fill(
	const struct work *work, const struct slot *slots, size_t count, struct group_work *group)
{
	for (size_t s = 0; s < count && group->count < GROUP_MAX; s++) {
		if (!stands(work, slots[s].event))
			continue;
		TRY(history_known(work->history, slots[s].event, &group->known[group->count]));
		group->slots[group->count++] = &slots[s];
	}
	for (size_t a = 0; a < group->count; a++)
		for (size_t b = 0; b < group->count; b++)
			if (known_has(&group->known[b], group->slots[a]->event))
				group->passed[a] = true;
	return OK;
}

static void note_pair(struct marks *marks, uint32_t a, uint32_t b)
{
	if (marks->conflict_count + 2 > 2 * LIMIT_CASE_CONFLICTS)
		return;
	marks->conflicts[marks->conflict_count++] = (struct mark_conflict){a, b};
	marks->conflicts[marks->conflict_count++] = (struct mark_conflict){b, a};
}

static void group_compare(const struct work *work, const struct group_work *group)
{
	for (size_t a = 0; a < group->count; a++)
		for (size_t b = a + 1; b < group->count && !group->passed[a]; b++)
			if (!group->passed[b] &&
				known_beside(&group->known[a], group->slots[a]->event,
					&group->known[b], group->slots[b]->event) &&
				differ(work, group->slots[a], group->slots[b]))
				note_pair(work->marks, group->slots[a]->event,
					group->slots[b]->event);
}

static int conflict_compare(const void *a, const void *b)
{
	const struct mark_conflict *x = a, *y = b;

	if (x->a != y->a)
		return x->a < y->a ? -1 : 1;
	return (x->b > y->b) - (x->b < y->b);
}

static enum err find_conflicts(struct work *work)
{
	struct group_work *group = mem_zalloc(sizeof *group);
	enum err err = group == NULL ? ERR_NOMEM : OK;

	for (size_t first = 0, next; first < work->slot_count && err == OK; first = next) {
		next = first + 1;
		while (next < work->slot_count &&
			key_compare(&work->slots[first], &work->slots[next]) == 0)
			next++;
		if (next - first < 2)
			continue;
		*group = (struct group_work){0};
		err = group_fill(work, work->slots + first, next - first, group);
		if (err == OK)
			group_compare(work, group);
		group_release(group);
	}
	mem_free(group);
	qsort(work->marks->conflicts, work->marks->conflict_count, sizeof *work->marks->conflicts,
		conflict_compare);
	return err;
}

const struct mark_conflict *marks_conflicts(const struct marks *marks, uint32_t event, size_t *ret)
{
	size_t first = 0, end;

	while (first < marks->conflict_count && marks->conflicts[first].a != event)
		first++;
	for (end = first; end < marks->conflict_count && marks->conflicts[end].a == event; end++)
		;
	*ret = end - first;
	return marks->conflicts + first;
}

/* --- all of it --- */

static enum err work_run(struct work *work)
{
	struct marks *marks = work->marks;

	for (size_t i = 0; i < work->count; i++)
		marks->overruled_by[i] = marks->superseded_by[i] = MARK_NONE;
	make_slots(work);
	supersede_all(work);
	resolve_all(work);
	list_changes(work);
	read_new_values(work);
	settle_changes(work);
	return find_conflicts(work);
}

static size_t corrections(const struct event *const *events, size_t count)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		found += events[i]->type == EVENT_CORRECTION;
	return found;
}

enum err marks_make(const struct event *const *events, size_t count, struct marks *ret)
{
	struct marks marks = {0};
	struct work work = {.events = events, .count = count, .marks = &marks};
	enum err err = history_new(events, count, &work.history);

	marks.changes = mem_array(corrections(events, count) + 1, sizeof *marks.changes);
	marks.conflicts = mem_array(2 * LIMIT_CASE_CONFLICTS, sizeof *marks.conflicts);
	marks.overruled_by = mem_array(count + 1, sizeof *marks.overruled_by);
	marks.superseded_by = mem_array(count + 1, sizeof *marks.superseded_by);
	work.slots = mem_array(count + 1, sizeof *work.slots);
	work.slot_of = mem_array(count + 1, sizeof *work.slot_of);
	work.new_json = mem_array(count + 1, sizeof *work.new_json);
	if (marks.changes == NULL || marks.conflicts == NULL || marks.overruled_by == NULL ||
		marks.superseded_by == NULL || work.slots == NULL || work.slot_of == NULL ||
		work.new_json == NULL)
		err = ERR_NOMEM;
	if (err == OK)
		err = work_run(&work);
	history_free(work.history);
	mem_free(work.slots);
	mem_free(work.slot_of);
	mem_free(work.new_json);
	if (err != OK) {
		marks_release(&marks);
		return err;
	}
	*ret = marks;
	return OK;
}

void marks_release(struct marks *marks)
{
	mem_free(marks->changes);
	mem_free(marks->conflicts);
	mem_free(marks->overruled_by);
	mem_free(marks->superseded_by);
	*marks = (struct marks){0};
}
