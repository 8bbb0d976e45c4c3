/*
 * check: the checkers. They know what every author asked to be written, what every disk made
 * durable, and see every effect before it happens. In parts:
 *
 *   truth.c      what really is in each log
 *   check.c      what is written, acknowledged, said to be held, and cosigned
 *   streams.c    who asks for what, and what is sent for it
 *   blame.c      who accuses whom
 *   converged.c  what must be in the end
 *
 *   proven        an entry that a node writes is, byte for byte, the author's entry at that index,
 *                 and the checkpoint that comes with it bears the author's signature
 *   durable first a checkpoint that is sent or cosigned is over entries that are durable there
 *   one root      no two checkpoints of one origin and size with different roots are ever durable
 *                 anywhere, sent, or cosigned
 *   acknowledged  an append that returned success is on its author's disk, then and after a crash
 *   append-only   what is durable at an index never changes (a consequence of the first, kept
 *                 apart)
 *   once          nothing is asked for that is held or on its way to the disk; a log is asked for
 *                 from one node at a time
 *   streams       a batch continues its stream, is provable against its target, which changes only
 *                 once it is reached, and is within the window
 *   cosigned      a cosignature that is stored is its mirror's, over the author's root; a mirror
 *                 never cosigns less of a log than it did before; one whose store lacks what it had
 *                 cosigns what somebody connected shows, and nobody shows more of
 *   no false      an honest node is never accused by another, raises no alarm, and is not given up
 *   accusation    as a silent provider while its connection carries what it says
 *   evidence      that verifies is never about an author with one history; in the end whoever is
 *                 reached from a node that has it has it, on its disk
 *   one session   of two connections of a pair, one stays
 *   bounded       what waits for one connection or one disk has a cap; nobody spins; whoever is
 *                 not there is dialled less and less often
 *   converged     once faults stop, every node holds all of every log, every author has every other
 *                 node's cosignature of its newest checkpoint, on its disk too, and no pair has
 *                 two connections
 */
#ifndef TESTS_SIM_CHECK_H
#define TESTS_SIM_CHECK_H

#include "proto/codec.h"
#include "proto/frame.pb-c.h"
#include "tests/sim/links.h"
#include "tests/sim/truth.h"

struct asked {
	struct node *node;
	struct origin origin;
	struct entries *entries;
	bool acknowledged;
	bool away; /* the disk it was on is gone; it must come back from others */
	uint64_t index;
};

struct check {
	struct truths truths;
	struct asked *asked; /* by ticket */
	size_t asked_count, asked_capacity;
	struct origin forked; /* what the frame being heard contradicts; "": nothing */
};

struct node *check_node_named(struct world *world, const char *name);
bool check_is_author(const struct world *world, const struct node *node, const char *origin);

/* Everything that it ever acknowledged is on its disk, what was away too. */
void check_returned(struct world *world, struct node *node);

/* streams.c: what one end hears, and what it says. */
void streams_fetch_heard(struct world *world, struct session_id session, const Sauti__Fetch *fetch);
void streams_have_heard(struct world *world, struct session_id session, const Sauti__Have *have);
void streams_batch_heard(struct world *world, struct session_id session, const Sauti__Batch *batch);
void streams_held_heard(struct world *world, struct session_id session, const Sauti__Held *held);
void streams_batch_sent(struct world *world, const struct node *node, struct session_id session,
	const Sauti__Batch *batch);
void streams_fetch_sent(struct world *world, struct node *node, struct session_id session,
	const Sauti__Fetch *fetch);

/* blame.c */
void blame_notice(struct world *world, struct node *node, const struct effect *effect);

#endif
