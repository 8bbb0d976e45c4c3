/*
 * faults: what breaks, and when: power, connections, ways between nodes.
 */
#ifndef TESTS_SIM_FAULTS_H
#define TESTS_SIM_FAULTS_H

#include "tests/sim/queue.h"

void faults_next(struct world *world); /* one, and plans the next */
void faults_stop(struct world *world); /* from now on nothing breaks */

#endif
