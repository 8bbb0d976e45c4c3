/*
 * nodes: one machine each: an engine, its disk, its keys. Starts it, steps it, carries out what its
 * engine asks for, and takes its power away.
 */
#ifndef TESTS_SIM_NODES_H
#define TESTS_SIM_NODES_H

#include "tests/sim/queue.h"

/* Gives the engine an event, with the time, and carries out its effects; the checkers see each
 * before. */
void node_step(struct world *world, struct node *node, struct event *event);
/* Starts from what its disk holds, and unlocks. */
void node_boot(struct world *world, struct node *node);
void node_crash(struct world *world, struct node *node);                 /* starts again later */
uint64_t node_clock(const struct world *world, const struct node *node); /* its wall clock, s */
/* The machine that answers to that name when `from` dials it. */
struct node *node_at(struct world *world, const struct node *from, const char *name);
/* An old copy of its disk is made, and later put back, while it is down: false when there is none,
 * or when what it would lose is nowhere else. */
void node_image(struct node *node);
bool node_restore(struct world *world, struct node *node);
/* As a node does after unlock: the log begins with its LogOpened. */
void node_open_log(struct world *world, struct node *node);
void node_append(struct world *world, struct node *node, const struct origin *origin,
	struct buf *list, size_t count);

/* Items of the queue: what the engine asked for is done. */
void node_tick(struct world *world, struct node *node);
void node_tidy(struct world *world, struct node *node); /* has a paused one caught up? */
void node_commit(struct world *world, struct node *node);
void node_verified(struct world *world, const struct item *item);
void node_read_done(struct world *world, const struct item *item);
void node_sign_done(struct world *world, const struct item *item);
void node_cosign_done(struct world *world, const struct item *item);

#endif
