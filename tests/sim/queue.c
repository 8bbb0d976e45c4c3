#include "tests/sim/queue.h"

#include <assert.h>

#include "base/alloc.h"

static bool before(const struct item *a, const struct item *b)
{
	return a->time != b->time ? a->time < b->time : a->number < b->number;
}

static void swap(struct item **a, struct item **b)
{
	struct item *t = *a;

	*a = *b;
	*b = t;
}

struct item *queue_plan(
	struct world *world, uint64_t delay_ms, enum item_type type, struct node *node)
{
	struct event_queue *q = world->queue;
	struct item *item = mem_zalloc(sizeof(*item));

	if (q->count == q->capacity) {
		q->capacity = q->capacity == 0 ? 64 : 2 * q->capacity;
		q->heap = mem_resize(q->heap, q->capacity * sizeof(*q->heap));
	}
	assert(item != NULL && q->heap != NULL);
	item->time = world->now_ms + delay_ms;
	item->number = q->next_number++;
	item->type = type;
	item->node = node;
	item->life = node == NULL ? 0 : node->life;
	buf_init(&item->data, LIMIT_FRAME_SIZE + 4);
	q->heap[q->count] = item;
	for (size_t i = q->count++; i > 0 && before(q->heap[i], q->heap[(i - 1) / 2]);
		i = (i - 1) / 2)
		swap(&q->heap[i], &q->heap[(i - 1) / 2]);
	return item;
}

struct item *queue_next(struct event_queue *q)
{
	struct item *top;

	if (q->count == 0)
		return NULL;
	top = q->heap[0];
	q->heap[0] = q->heap[--q->count];
	for (size_t i = 0;;) {
		size_t least = i;

		for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++)
			if (child < q->count && before(q->heap[child], q->heap[least]))
				least = child;
		if (least == i)
			return top;
		swap(&q->heap[i], &q->heap[least]);
		i = least;
	}
}

void item_free(struct item *item)
{
	buf_release(&item->data);
	mem_free(item);
}

struct event_queue *queue_new(void)
{
	struct event_queue *queue = mem_zalloc(sizeof(*queue));

	assert(queue != NULL);
	return queue;
}

void queue_free(struct event_queue *queue)
{
	struct item *item;

	while ((item = queue_next(queue)) != NULL)
		item_free(item);
	mem_free(queue->heap);
	mem_free(queue);
}
