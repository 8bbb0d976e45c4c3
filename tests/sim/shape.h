/*
 * shape: what kind of world a seed is: how many nodes, who dials whom, how fast, what breaks, who
 * lies. Chosen by the seed; a scenario's name forces a part of it.
 */
#ifndef TESTS_SIM_SHAPE_H
#define TESTS_SIM_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct world;

enum mode {
	MODE_LIVENESS, /* in the end nothing breaks any more, and everything must arrive */
	MODE_SAFETY,   /* things break to the end: nothing wrong may have happened */
	MODE_MIXED     /* the seed decides: one in five is safety */
};

enum topology {
	TOPOLOGY_STAR,  /* offices reach headquarters alone */
	TOPOLOGY_CHAIN, /* relays between the ends */
	TOPOLOGY_HUBS,  /* two relays, headquarters one of them; some offices know both */
	TOPOLOGY_MESH   /* everybody dials everybody */
};
enum { TOPOLOGIES = TOPOLOGY_MESH + 1 };

struct shape {
	const char *scenario; /* forced; NULL: none */
	enum mode mode;
	enum topology topology;
	size_t nodes;                 /* machines with names of their own */
	bool late;                    /* the last of them joins later */
	uint64_t work_ms;             /* appends and faults happen before this */
	uint64_t append_ms, fault_ms; /* between two of them, at most */
	uint64_t dial_max_ms, cosigned_delay_ms;
	uint64_t end_ms; /* everything has converged so long after the faults have stopped */

	uint64_t latency_min_ms, latency_more_ms, bytes_per_ms;
	bool slow;          /* a long queue may take its minute */
	bool rates;         /* some operators have set one, far below what the links carry */
	bool small_reads;   /* the store gives few entries at a time */
	bool corrupts;      /* bits change on the way */
	bool half_open;     /* one direction of a connection is lost */
	bool disk_slow;     /* busy: reads and commits take seconds */
	bool disk_errors;   /* commits are refused, or reported as failed */
	bool clocks;        /* jump by years */
	bool restores;      /* an old copy of a disk is put back; the guard is not */
	bool twin;          /* a second machine with the name and the keys of one */
	bool dark;          /* nobody reaches anybody for two months */
	bool hostile;       /* one node is hacked (hostile.c) */
	bool forks;         /* .. and signs second checkpoints of its own log */
	bool mute;          /* .. and in the end delivers nothing of others, for ever */
	bool rotates;       /* one node's keys change (change.h) */
	bool submits;       /* somebody submits checkpoints to witnesses (submit.h) */
	bool submits_forks; /* .. of another history of the hostile node's log, too */
	bool idle;          /* what is said when there is nothing to say is counted */
};

/* False: there is no scenario of that name. */
bool shape_known(const char *scenario);
/* In one line: the scenarios there are. */
void shape_list(void);
void shape_choose(struct world *world, enum mode mode, const char *scenario);
/* Does the node of that number have the address of the other? */
bool shape_dials(const struct world *world, size_t from, size_t to);
void shape_tell(const struct world *world);

#endif
