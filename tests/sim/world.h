/*
 * world: a whole network of engines in one process over simulated disks, links and clocks, driven
 * by one seeded generator. One event is stepped at a time, in order of (time, number); the checkers
 * of check.h look at every effect. Same seed, same run, byte for byte.
 *
 *   world.c      one seed from beginning to end
 *   shape.c      what kind of world it is
 *   queue.c      what will happen, in order
 *   genesis.c    keys, and the directory that a network begins with
 *   nodes.c      one machine: its engine, what the engine asks for, power on and off
 *   guard.c      what it remembers outside its store
 *   disk.c       a store that loses what was not synced
 *   links.c      connections: delay, rate, cuts
 *   workload.c   what people do meanwhile
 *   change.c     keys that change
 *   faults.c     what breaks, and when
 *   hostile.h    a hacked node: what its engine says is changed on its way out, and more is said
 *   post.h       mail: stores, letters, checkers
 *   submit.h     checkpoints that are submitted to witnesses
 *   check.h      what must never happen, and what must have happened in the end
 *   signatures.h a hash in the place of Ed25519
 *   main.c       the command line
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include <stdio.h>

#include "certs/record.h"
#include "replication/engine/engine.h"
#include "tests/sim/disk.h"
#include "tests/sim/guard.h"
#include "tests/sim/shape.h"

enum { NODES_MAX = 42 };
_Static_assert((int)NODES_MAX + 1 < (int)DISK_LOGS_MAX, "the directory, and each node's log");

struct keys {
	struct signer *node, *log, *mirror, *witness;
	struct member member;
	struct origin origin;
};

struct link; /* one connection between two nodes */

/* How the disk of a node fails. */
struct disk_fault {
	enum err error;  /* OK: it does not */
	unsigned after;  /* so many commits go well first */
	unsigned count;  /* then so many fail; 0: all, until faults stop */
	bool misreports; /* they happen, but the guard cannot follow: then all fail until a restart
			  */
};

struct node {
	size_t number;
	size_t place; /* in the topology: its number, or that of the machine whose twin it is */
	char name[LIMIT_NODE_NAME + 1];
	struct keys keys;
	struct engine *engine; /* NULL while it is down */
	struct disk disk;
	struct disk_fault fault;
	struct node_guard guard;
	struct node *twin; /* another machine with this identity */
	bool gone;         /* switched off for good */
	struct disk image; /* an old copy of its disk */
	bool imaged;
	int64_t clock_s;  /* how far its clock is off */
	uint64_t life;    /* counts restarts: events of an earlier life are void */
	uint64_t tick_at; /* the tick that is planned; UINT64_MAX: none */
	bool admitted;
	struct keys next, former; /* change.h: that it will have, that it had */
	bool changed, stopped;
	uint64_t asked_ms;
	uint64_t appends;               /* asked for so far */
	uint64_t ticks, ticks_since_ms; /* since then */
	/* Of those that it dials: when it last did, and how often in a row without a connection. */
	struct dials {
		uint64_t last_ms;
		unsigned failures;
	} dials[NODES_MAX];
};

struct world {
	uint64_t seed, random, now_ms;
	struct shape shape;
	bool trace, faults;
	struct signer *directory_key;
	struct origin directory;
	size_t node_count; /* machines */
	struct node nodes[NODES_MAX];
	bool cut[NODES_MAX][NODES_MAX]; /* partitioned from each other */
	struct event_queue *queue;
	struct link *links, **link_table; /* those that are there; each by its number, or NULL */
	size_t link_count, link_capacity;
	bool link_ended;       /* one of them may be freed */
	struct node *hostile;  /* changes what its engine says; NULL: nobody does */
	bool forks, mute;      /* shape.h */
	struct buf heard_once; /* a frame of the hostile node, to be said again */
	uint64_t stopped_ms;   /* when the faults stopped */
	struct idle {
		uint64_t since_ms, frames, steps; /* 0: not yet */
	} idle;
	struct check *check;
	struct post *post;     /* post.h */
	struct submit *submit; /* submit.h */
	char *failure;         /* the first thing that must not happen */
	struct world_counts {
		uint64_t steps, frames, entries_sent, entries_needed, crashes, cuts, corrupted,
			forged, disk_errors, restores, witnessed, submitted;
	} counts;
};

struct world_opts {
	uint64_t seed;
	bool trace;
	enum mode mode;
	const char *scenario; /* NULL: what the seed chooses */
};
/* Runs one seed to its end. True when nothing was wrong; otherwise world->failure says what. */
bool world_run(struct world *world, const struct world_opts *opts);
void world_release(struct world *world);

uint64_t world_random(struct world *world, uint64_t below); /* 0 .. below - 1 */
bool world_chance(struct world *world, unsigned per_mille);
void world_say(const struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

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
/* An older disk was put in: what it lacks must come back from others. */
void check_restored(struct world *world, struct node *node);
/* From now on its author may write two histories of its log. */
void check_forks(struct world *world, const struct node *author);
void check_end(struct world *world);

#endif
