/*
 * post: mail in the simulator: each node's store of it, the letters that people send each other,
 * and the checkers.
 *
 *   durable first  custody and the end of a letter are said only of what is on the disk
 *   once           a letter is processed by its recipient, durably, once at most; and whoever has
 *                  its end has it after that
 *   nothing lost   what its sender was told is on its disk is in the end processed, and the sender
 *                  knows it
 *   taken back     what its sender was told is gone is not on its disk, and never leaves it again
 *
 * Not in worlds with twins: two machines of one name are two recipients.
 */
#ifndef TESTS_SIM_POST_H
#define TESTS_SIM_POST_H

#include "tests/sim/queue.h"

void post_begin(struct world *world);                     /* before any node */
void post_begin_letters(struct world *world);             /* from here on people write */
void post_boot(struct world *world, struct node *node);   /* before EVENT_START */
void post_unlock(struct world *world, struct node *node); /* what is sealed can be processed */
void post_timing(struct engine_timing *timing);           /* days become seconds */
void post_effect(struct world *world, struct node *node, struct effect *effect);
void post_crash(struct world *world, struct node *node);
void post_item(struct world *world, const struct item *item); /* ITEM_POST, _COMMIT, _READ */
void post_check_end(struct world *world);
void post_release(struct world *world);

#endif
