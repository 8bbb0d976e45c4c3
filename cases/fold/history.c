#include "cases/fold/history.h"

#include <stdlib.h>

#include "base/alloc.h"

struct entry {
	struct event_id id;
	uint32_t number;
};

struct history {
	const struct event *const *events;
	struct entry *sorted; /* by id, then number */
	size_t count;
};

static int entry_compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int c = memcmp(x->id.b, y->id.b, EVENT_ID_SIZE);

	return c != 0 ? c : (x->number > y->number) - (x->number < y->number);
}

enum err history_new(const struct event *const *events, size_t count, struct history **ret)
{
	struct history *history = mem_zalloc(sizeof *history);

	if (history == NULL)
		return ERR_NOMEM;
	history->events = events;
	history->count = count;
	history->sorted = mem_array(count + 1, sizeof *history->sorted);
	if (history->sorted == NULL) {
		history_free(history);
		return ERR_NOMEM;
	}
	for (size_t i = 0; i < count; i++)
		history->sorted[i] = (struct entry){events[i]->id, (uint32_t)i};
	qsort(history->sorted, count, sizeof *history->sorted, entry_compare);
	*ret = history;
	return OK;
}

void history_free(struct history *history)
{
	if (history == NULL)
		return;
	mem_free(history->sorted);
	mem_free(history);
}

bool history_find(const struct history *history, const struct event_id *id, size_t *ret)
{
	size_t low = 0, high = history->count;

	while (low < high) { /* the first that is not smaller */
		size_t middle = low + (high - low) / 2;

		if (memcmp(history->sorted[middle].id.b, id->b, EVENT_ID_SIZE) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == history->count || memcmp(history->sorted[low].id.b, id->b, EVENT_ID_SIZE) != 0)
		return false;
	*ret = history->sorted[low].number;
	return true;
}

static bool has(const uint8_t *set, size_t i)
{
	return (set[i / 8] >> i % 8 & 1) != 0;
}

/* Puts those parents of an event on the stack that are not in the set yet. */
static void push_parents(
	const struct history *history, size_t i, struct known *known, uint32_t *stack, size_t *size)
{
	const struct event_refs *parents = &history->events[i]->parents;

	if (parents->count == 0 && history->events[i]->type != EVENT_CASE_OPENED)
		known->whole = false;
	for (size_t p = 0; p < parents->count; p++) {
		size_t parent;

		if (!history_find(history, &parents->ids[p], &parent)) {
			known->whole = false;
		} else if (!has(known->set, parent)) {
			known->set[parent / 8] |= (uint8_t)(1u << parent % 8);
			stack[(*size)++] = (uint32_t)parent;
		}
	}
}

enum err history_known(const struct history *history, size_t i, struct known *ret)
{
	struct known known = {.set = mem_zalloc(history->count / 8 + 1), .whole = true};
	uint32_t *stack = mem_array(history->count + 1, sizeof *stack);
	size_t size = 0;

	if (known.set == NULL || stack == NULL) {
		mem_free(known.set);
		mem_free(stack);
		return ERR_NOMEM;
	}
	push_parents(history, i, &known, stack, &size);
	while (size > 0)
		push_parents(history, stack[--size], &known, stack, &size);
	mem_free(stack);
	*ret = known;
	return OK;
}

void known_release(struct known *known)
{
	mem_free(known->set);
	*known = (struct known){0};
}

bool known_has(const struct known *known, size_t number)
{
	return has(known->set, number);
}

bool known_beside(const struct known *a, size_t a_number, const struct known *b, size_t b_number)
{
	return a->whole && b->whole && !has(a->set, b_number) && !has(b->set, a_number);
}
