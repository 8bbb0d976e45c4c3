/*
 * change: the keys of a node change while the network runs. It goes down and makes new ones;
 * headquarters puts the record into the directory; once that is durable there the machine comes
 * back with the new keys and its old disk. Its log goes on; everybody who hears of it ends sessions
 * that were begun with the former keys, and cosignatures by them count no more; in the end
 * everything has converged as if nothing had been (check.h).
 */
#ifndef TESTS_SIM_CHANGE_H
#define TESTS_SIM_CHANGE_H

#include "tests/sim/world.h"

void change_begin(struct world *world); /* plans it, where the shape says so */
void change_next(struct world *world, struct node *node);
/* Does what this node knows of the other fit the keys that it has? */
bool change_lists(const struct node *node, const struct node *other);
void change_release(struct node *node);

#endif
