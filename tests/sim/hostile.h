/*
 * hostile: a hacked node. Its engine is the real one; what it says is changed on its way out
 * (hostile.c), and more is said in its name (intruder.c).
 */
#ifndef TESTS_SIM_HOSTILE_H
#define TESTS_SIM_HOSTILE_H

#include "tests/sim/world.h"

struct link_end;

/* Changes the frame, or makes it empty: nothing is sent. */
void hostile_tamper(struct world *world, struct node *node, struct buf *frame);
/* After it said that: now and then something else. */
void hostile_intrude(
	struct world *world, struct node *node, struct link_end *from, const struct buf *said);

#endif
