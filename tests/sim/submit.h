/*
 * submit: somebody who submits checkpoints to witnesses (C2SP tlog-witness), and what must hold of
 * every signature that a witness key makes:
 *
 *   durable first  what is signed is remembered on the disk of that machine at that moment
 *   never back     it is no smaller than anything that this machine signed of this log with this
 *                  key, whatever was lost, restored or restarted meanwhile
 *   one history    and it follows from what it signed last: a tree is known that has both roots
 *   answered       200 brings a line over what was submitted, and only when it was signed; 409
 *                  names what is remembered
 *
 * Whoever submits has signed checkpoints, of the author's log at any size, now and then of a fork
 * of the hostile node's, with proofs that fit or do not; often two at once, of one log.
 */
#ifndef TESTS_SIM_SUBMIT_H
#define TESTS_SIM_SUBMIT_H

#include "tests/sim/queue.h"

void submit_begin(struct world *world);
void submit_next(struct world *world, struct node *node);
void submit_release(struct world *world);
/* Before the engine's effects happen. */
void submit_signs(struct world *world, struct node *node, const struct checkpoint *checkpoint);
void submit_answered(struct world *world, struct node *node, const struct effect *effect);
/* The machine lost its power: nobody is answered any more. */
void submit_crashed(struct world *world, const struct node *node);

#endif
