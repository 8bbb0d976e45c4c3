/*
 * faults: what breaks, and when: power, connections, ways between nodes, disks, clocks; old disks
 * that are put back; a second machine with one identity.
 */
#ifndef TESTS_SIM_FAULTS_H
#define TESTS_SIM_FAULTS_H

#include "tests/sim/queue.h"

void faults_begin(struct world *world);
void faults_next(struct world *world); /* one, and plans the next */
void faults_darkness(struct world *world);
void faults_stop(struct world *world); /* from now on nothing breaks */

#endif
