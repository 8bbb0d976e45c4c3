/*
 * queue: what will happen, a binary heap by (time, number): of what is due at one time, what was
 * planned first comes first.
 */
#ifndef TESTS_SIM_QUEUE_H
#define TESTS_SIM_QUEUE_H

#include "tests/sim/world.h"

enum item_type {
	ITEM_TICK,
	ITEM_DIALLED,
	ITEM_DELIVER,
	ITEM_SENT,
	ITEM_HANGUP,
	ITEM_COMMIT,
	ITEM_READ,
	ITEM_VERIFIED,
	ITEM_SIGN,
	ITEM_COSIGN,
	ITEM_OPEN,
	ITEM_APPEND,
	ITEM_FAULT,
	ITEM_RESTART,
	ITEM_CRASH,
	ITEM_TIDY,
	ITEM_DARK,
	ITEM_ADMIT,
	ITEM_CHANGE,
	ITEM_SUBMIT,
	ITEM_POST,
	ITEM_POST_COMMIT,
	ITEM_POST_READ,
	ITEM_LOOK,
};

struct item {
	uint64_t time, number;
	enum item_type type;
	struct node *node, *peer;
	uint64_t life;
	struct session_id session;
	struct buf data; /* a frame, a checkpoint text */
	bool witness;    /* by which key it is to be cosigned */
	struct store_read read;
	struct origin origin;
};

struct event_queue {
	struct item **heap;
	size_t count, capacity;
	uint64_t next_number;
};

struct event_queue *queue_new(void);
void queue_free(struct event_queue *queue);
/* The item, to be filled in further; void when the node's life has ended by then (item->life). */
struct item *queue_plan(
	struct world *world, uint64_t delay_ms, enum item_type type, struct node *node);
struct item *queue_next(struct event_queue *queue); /* the caller frees; NULL: nothing */
void item_free(struct item *item);

#endif
