/*
 * workload: what people do meanwhile: officers append, headquarters admits who joins late.
 */
#ifndef TESTS_SIM_WORKLOAD_H
#define TESTS_SIM_WORKLOAD_H

#include "tests/sim/queue.h"

/* Items of the queue; both plan the next. */
void workload_append(struct world *world, struct node *node);
/* A node that joins late: headquarters admits it, and what join leaves behind is on its disk. */
void workload_admit(struct world *world, struct node *node);

#endif
