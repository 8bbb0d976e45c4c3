/*
 * links: connections between nodes. Bytes arrive in order, after a delay and at a rate; a link can
 * be cut, with or without anybody being told.
 */
#ifndef TESTS_SIM_LINKS_H
#define TESTS_SIM_LINKS_H

#include "tests/sim/queue.h"

struct link_end {
	struct node *node;
	struct session_id session;
	bool open;   /* its engine has not been told that it ended */
	bool closed; /* its engine closed it */
	uint64_t life;
	uint64_t free_at; /* when the last message sent from here has arrived */
	struct stream streams[LOGS_MAX];
};
struct link {
	struct link_end end[2]; /* 0 dialled */
	bool dead, silent;      /* cut; cut without telling anybody */
	bool duplicate;         /* an end closed it for another connection of the pair */
	uint64_t latency_ms, bytes_per_ms;
	struct link *next;
};

struct link *links_find(struct world *world, struct session_id id, size_t *ret_side);
bool link_end_up(const struct link_end *end);
void links_free(struct world *world);

/* Effects of a node's engine. Takes the frame. */
void links_dial(struct world *world, struct node *node, const struct effect *effect);
void link_send(struct world *world, struct node *node, struct effect *effect);
void link_close(struct world *world, const struct effect *effect);

/* Items of the queue. */
void links_dialled(struct world *world, struct node *node, struct node *peer);
void link_deliver(struct world *world, const struct item *item);
void link_hung_up(struct world *world, const struct item *item);

/* Tells one end, after a while, that the connection is gone. */
void link_hang_up(struct world *world, struct link_end *end, uint64_t delay_ms);
void links_cut(struct world *world, const struct node *a, const struct node *b);

#endif
