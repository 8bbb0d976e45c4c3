/*
 * links: connections between nodes. Bytes arrive in order, after a delay and at a rate. A link can
 * be cut, with or without anybody being told, and one direction alone can be lost. It is there
 * until both ends know that it ended.
 */
#ifndef TESTS_SIM_LINKS_H
#define TESTS_SIM_LINKS_H

#include "tests/sim/queue.h"

/* One log on one end of a connection, as the checkers saw it said. */
struct stream {
	bool asked; /* this end asked for the log, and did not end that */
	uint32_t asked_number;
	uint64_t shown; /* how much of the log the other end has shown */
	/* Serving the other end: */
	bool serving;
	uint32_t number, window;
	uint64_t next, target;
	uint64_t acknowledged;
	uint64_t ends[LIMIT_FETCH_WINDOW]; /* of the batches that are not acknowledged */
	unsigned sent;
};

struct link_end {
	struct node *node;
	struct session_id session;
	bool open;   /* its engine has not been told that it ended */
	bool closed; /* its engine closed it */
	bool lost;   /* what is sent from here never arrives */
	uint64_t life;
	uint64_t free_at;       /* when the last message sent from here has arrived */
	size_t queued;          /* bytes sent from here that have not left */
	unsigned said;          /* frames sent from here */
	struct stream *streams; /* by number of the log (truth.h) */
	size_t stream_count;
};
struct link {
	struct link_end end[2]; /* 0 dialled */
	bool dead;
	bool duplicate; /* an end closed it for another connection of the pair */
	uint64_t latency_ms, bytes_per_ms;
	struct link *next;
};

struct link *links_find(struct world *world, struct session_id id, size_t *ret_side);
bool link_end_up(const struct link_end *end);
void links_sweep(struct world *world); /* frees those that both ends know to be gone */
void links_free(struct world *world);

/* Effects of a node's engine. Takes the frame. */
void links_dial(struct world *world, struct node *node, const struct effect *effect);
void link_send(struct world *world, struct node *node, struct effect *effect);
void link_close(struct world *world, const struct effect *effect);

/* More is said on this end than its engine says. Takes the frame. */
void link_inject(struct world *world, struct link_end *from, struct buf *frame);

/* Items of the queue. */
void links_dialled(struct world *world, struct node *node, struct node *peer);
void link_deliver(struct world *world, const struct item *item);
void link_sent(struct world *world, const struct item *item);
void link_hung_up(struct world *world, const struct item *item);

/* Tells one end, after a while, that the connection is gone. */
void link_hang_up(struct world *world, struct link_end *end, uint64_t delay_ms);
void links_cut(struct world *world, const struct node *a, const struct node *b);
void links_half_open(struct world *world, const struct node *from, const struct node *to);
/* The node has lost its power: who was connected with it hears of it sooner or later. */
void links_crashed(struct world *world, const struct node *node);

/* What the checkers look at: the stream of one end (NULL: the connection is gone); whether other
 * ends of this node have asked for that log too; whether this end closed it; how many connections a
 * pair has; whether what is said between two arrives. */
struct stream *links_stream(struct world *world, struct session_id session, size_t log);
bool links_asked_elsewhere(
	struct world *world, const struct node *node, struct session_id session, size_t log);
/* The most that anybody connected has shown this node of a log. */
uint64_t links_shown(const struct world *world, const struct node *node, size_t log);
bool links_closed(struct world *world, struct session_id session);
unsigned links_between(const struct world *world, const struct node *a, const struct node *b);
bool links_carry(const struct world *world, const struct node *a, const char *peer);
/* This end is closed by its engine, as one of two connections of a pair or not. */
void links_closing(struct world *world, struct session_id session, bool duplicate);

#endif
