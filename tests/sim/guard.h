/*
 * guard: what a node remembers of its own logs outside its store (DESIGN 10). The judgement is
 * replication/log/guard_record's; this is the file around it, and what sautid makes of the verdict
 * (server/boot.c, server/epoch.c).
 */
#ifndef TESTS_SIM_GUARD_H
#define TESTS_SIM_GUARD_H

#include "replication/engine/engine.h"
#include "replication/log/guard_record.h"

struct world;
struct node;

struct node_guard {
	bool valid; /* there is a record */
	struct guard_record record;
	enum guard_verdict verdict;
	bool paused;       /* nothing is cosigned until the store has caught up */
	bool own_held;     /* what comes back of a log that is behind does not move the record */
	bool directory_ok; /* .. of the directory */
	uint64_t missing;  /* commits that the store lacks */
	bool witness_lost; /* what its witness key signed is not all known */
};

/* At a start: judges the disk, and says what the engine may take for its own. */
void guard_start(struct world *world, struct node *node, struct engine_opts *opts);
/* From here on each commit says whether it is lost. */
void guard_lose_witness(struct node *node, bool lost);
/* After a commit: the record follows. */
void guard_committed(struct world *world, struct node *node);
/* After its writes were given back: what was behind may be whole. True: it is now. */
bool guard_recovered(struct world *world, struct node *node);
/* Has it caught up? To be asked now and then while it is paused; true: it has now. */
bool guard_caught_up(struct world *world, struct node *node);
void guard_stopped(struct node *node); /* a peer showed another history of the own log */
bool guard_writable(const struct node *node);

#endif
