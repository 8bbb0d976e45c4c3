/*
 * world: a whole network of engines in one process over simulated disks, links and clocks, driven
 * by one seeded generator. One event is stepped at a time, in order of (time, number); the checkers
 * of check.h look at every effect. Same seed, same run, byte for byte.
 *
 *   world.c     one seed from beginning to end
 *   queue.c     what will happen, in order
 *   genesis.c   keys, and the directory that a network begins with
 *   nodes.c     one machine: its engine, what the engine asks for, power on and off
 *   links.c     connections: delay, rate, cuts
 *   disk.h      a store that loses what was not synced
 *   workload.c  what people do meanwhile
 *   faults.c    what breaks, and when
 *   hostile.c   a hacked node: what its engine says is changed on its way out
 *   check.c     what must never happen, and what must have happened in the end
 *   main.c      the command line
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include <stdio.h>

#include "certs/record.h"
#include "replication/engine/engine.h"
#include "tests/sim/disk.h"

enum { WORK_MS = 150 * 1000 }; /* appends and faults happen before this */
enum { NODES_MAX = 6, LOGS_MAX = NODES_MAX + 1, TICKETS_MAX = 4096 };
_Static_assert((int)LOGS_MAX <= (int)DISK_LOGS_MAX, "the directory, and each node's log");
_Static_assert((int)NODES_MAX <= (int)DISK_COSIGNERS_MAX, "each node cosigns");

struct keys {
	struct signer *node, *log, *mirror;
	struct member member;
	struct origin origin;
};

struct link; /* one connection between two nodes */

/* One log on one end of a connection, as the checkers saw it said. */
struct stream {
	bool asked; /* this end asked for the log, and did not end that */
	/* Serving the other end: */
	bool serving;
	uint32_t number, window;
	uint64_t next, target;
	uint64_t ends[LIMIT_FETCH_WINDOW]; /* of the batches that are not acknowledged */
	unsigned sent;
};

struct node {
	size_t number;
	char name[LIMIT_NODE_NAME + 1];
	struct keys keys;
	struct engine *engine; /* NULL while it is down */
	struct disk disk;
	uint64_t life;    /* counts restarts: events of an earlier life are void */
	uint64_t tick_at; /* the tick that is planned; UINT64_MAX: none */
	bool admitted;
	uint64_t appends; /* asked for so far */
};

struct world {
	uint64_t seed, random, now_ms;
	bool trace, faults;
	struct signer *directory_key;
	struct origin directory;
	size_t node_count;
	struct node nodes[NODES_MAX];
	bool cut[NODES_MAX][NODES_MAX]; /* partitioned from each other */
	struct event_queue *queue;
	struct link *links;
	struct node *hostile; /* changes what its engine says; NULL: nobody does */
	bool forks;           /* .. and signs second checkpoints of its own log */
	bool mute;            /* .. and in the end delivers nothing of others, for ever */
	uint64_t next_session, next_ticket;
	struct check *check;
	char *failure; /* the first thing that must not happen */
	uint64_t steps, frames, entries_sent, entries_needed, crashes, cuts, corrupted, forged;
};

/* Runs one seed to its end. True when nothing was wrong; otherwise world->failure says what. */
bool world_run(struct world *world, uint64_t seed, bool trace);
void world_release(struct world *world);

uint64_t world_random(struct world *world, uint64_t below); /* 0 .. below - 1 */
bool world_chance(struct world *world, unsigned per_mille);
void world_say(const struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What the checkers look at: the streams of one end by number of the log (check.c), NULL when the
 * connection is gone; whether this node's other ends have asked for that log too; that an end was
 * closed, as one of two connections of a pair or not; how many connections a pair has; whether a
 * connection carries what is said on it, and to whom. */
struct stream *world_streams(struct world *world, struct session_id session);
bool world_asked_elsewhere(
	struct world *world, const struct node *node, struct session_id session, size_t log);
void world_closing(struct world *world, struct session_id session, bool duplicate);
unsigned world_connections(const struct world *world, const struct node *a, const struct node *b);
bool world_closed(struct world *world, struct session_id session); /* by this end */
bool world_reaches(const struct world *world, const struct node *a, const char *peer);

/* hostile.c: changes the frame, or makes it empty: nothing is sent. */
void hostile_tamper(struct world *world, struct node *node, struct buf *frame);

/* check.c */
struct check *check_new(void);
void check_free(struct check *check);
void check_effect(struct world *world, struct node *node, const struct effect *effect);
/* Before and after the engine hears it; may be anything. */
void check_heard(
	struct world *world, struct node *node, struct session_id session, struct bytes frame);
void check_after(struct world *world, struct node *node);
void check_durable(struct world *world, struct node *node, const struct store_write *write);
void check_acknowledged(struct world *world, struct node *node, uint64_t ticket, uint64_t index);
void check_asked(struct world *world, struct node *node, uint64_t ticket,
	const struct origin *origin, const struct entries *entries);
void check_restarted(struct world *world, struct node *node);
void check_end(struct world *world);

#endif
