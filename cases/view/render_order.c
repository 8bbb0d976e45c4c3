/*
 * In what order a timeline can be recorded again. CASE_OPENED first, whatever its date; the others
 * as they were recorded; but none before an event of the case that it names (parents, supersedes,
 * consent_refs, corrects), since clocks of offices differ and a node refuses what it cannot look
 * up. A circle, which only a lie can make, is cut where it closes.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "cases/view/render_internal.h"

enum { NEW, OPEN, DONE };

struct node {
	const struct event *event;
	uint32_t index; /* in the timeline */
	uint8_t state;
};

struct order {
	struct node *nodes;  /* by time of recording */
	struct node **by_id; /* the same, by event_id */
	struct node **stack;
	size_t count, depth;
	uint32_t *out;
	size_t out_count;
};

static int by_recording(const void *a, const void *b)
{
	const struct event *x = ((const struct node *)a)->event;
	const struct event *y = ((const struct node *)b)->event;
	int c = (x->type != EVENT_CASE_OPENED) - (y->type != EVENT_CASE_OPENED);

	if (c == 0)
		c = (x->recorded_at > y->recorded_at) - (x->recorded_at < y->recorded_at);
	return c != 0 ? c : memcmp(x->id.b, y->id.b, EVENT_ID_SIZE);
}

static int by_id(const void *a, const void *b)
{
	struct node *const *x = a, *const *y = b;

	return memcmp((*x)->event->id.b, (*y)->event->id.b, EVENT_ID_SIZE);
}

static struct node *find(const struct order *order, const struct event_id *id)
{
	size_t low = 0, high = order->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int c = memcmp(order->by_id[middle]->event->id.b, id->b, EVENT_ID_SIZE);

		if (c == 0)
			return order->by_id[middle];
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static struct node *first_new(const struct order *order, const struct event_refs *refs)
{
	for (size_t i = 0; i < refs->count; i++) {
		struct node *node = find(order, &refs->ids[i]);

		if (node != NULL && node->state == NEW)
			return node;
	}
	return NULL;
}

/* An event that must come before this one and was not come to yet; NULL. */
static struct node *needed(const struct order *order, const struct event *event)
{
	struct node *node = first_new(order, &event->parents);
	struct event_id corrected;

	if (node == NULL)
		node = first_new(order, &event->supersedes);
	if (node == NULL)
		node = first_new(order, &event->consent_refs);
	if (node == NULL && event_corrects(event, &corrected) == OK)
		node = first_new(order, &(struct event_refs){&corrected, 1});
	return node;
}

static void push(struct order *order, struct node *node)
{
	node->state = OPEN;
	order->stack[order->depth++] = node;
}

static void visit(struct order *order, struct node *start)
{
	push(order, start);
	while (order->depth > 0) {
		struct node *top = order->stack[order->depth - 1];
		struct node *before = needed(order, top->event);

		if (before != NULL) {
			push(order, before);
			continue;
		}
		top->state = DONE;
		order->depth--;
		order->out[order->out_count++] = top->index;
	}
}

static void sort(struct order *order, const struct timeline *timeline)
{
	for (size_t i = 0; i < order->count; i++)
		order->nodes[i] = (struct node){timeline_event(timeline, i), (uint32_t)i, NEW};
	qsort(order->nodes, order->count, sizeof(*order->nodes), by_recording);
	for (size_t i = 0; i < order->count; i++)
		order->by_id[i] = &order->nodes[i];
	qsort(order->by_id, order->count, sizeof(*order->by_id), by_id);
	for (size_t i = 0; i < order->count; i++)
		if (order->nodes[i].state == NEW)
			visit(order, &order->nodes[i]);
}

enum err render_order(const struct timeline *timeline, uint32_t **ret)
{
	struct order order = {.count = timeline_count(timeline)};
	size_t room = order.count == 0 ? 1 : order.count;
	enum err err = ERR_NOMEM;

	order.nodes = mem_array(room, sizeof(*order.nodes));
	order.by_id = mem_array(room, sizeof(*order.by_id));
	order.stack = mem_array(room, sizeof(*order.stack));
	order.out = mem_array(room, sizeof(*order.out));
	if (order.nodes != NULL && order.by_id != NULL && order.stack != NULL &&
		order.out != NULL) {
		sort(&order, timeline);
		err = OK;
	}
	mem_free(order.nodes);
	mem_free(order.by_id);
	mem_free(order.stack);
	if (err == OK)
		*ret = order.out;
	else
		mem_free(order.out);
	return err;
}
