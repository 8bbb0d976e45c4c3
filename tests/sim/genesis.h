/*
 * genesis: keys, and the directory that a network begins with, made from the seed, so that a run
 * repeats to the byte.
 */
#ifndef TESTS_SIM_GENESIS_H
#define TESTS_SIM_GENESIS_H

#include "tests/sim/world.h"

struct signer *genesis_signer(struct world *world);
void genesis_origin(struct world *world, const char *name, struct origin *ret);
void genesis_keys(struct world *world, struct node *node);
/* Entries: the record that admits the node; the one that opens one of its logs. */
void genesis_admitted(const struct node *node, struct buf *out);
void genesis_log_opened(const struct node *node, const struct origin *origin,
	const struct signer *log, struct buf *out);
/* One durable write of a whole directory onto the disks: what init and join leave behind. */
void genesis_directory(struct world *world);

#endif
