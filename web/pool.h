/*
 * pool: threads that ask the node, each on a line of its own. The client of the control socket
 * blocks, and the thread of libmicrohttpd serves every connection: so a request that needs the node
 * is suspended there and waits here, in a queue with a cap. However many connections there are,
 * however slow they read, no more than `workers` requests reach the node at a time, and a slow
 * reader keeps none of them busy.
 */
#ifndef WEB_POOL_H
#define WEB_POOL_H

#include "web/node.h"

struct pool;

/* Embedded in what is to be done; untouched by the pool once `run` was called. */
struct job {
	struct job *next;
	uint64_t since_ms;
	/* line NULL: it is too late, or the program ends; answer without the node. */
	void (*run)(struct job *job, struct node_line *line);
};

enum err pool_new(struct node *node, unsigned workers, struct pool **ret) MUST_USE;
/* ERR_BUSY: LIMIT_WEB_QUEUE wait already; run is not called. */
enum err pool_submit(struct pool *pool, struct job *job) MUST_USE;
/* What waits is run without a line, what runs is waited for; from now on everything is ERR_BUSY. */
void pool_stop(struct pool *pool);
void pool_free(struct pool *pool); /* stops it; nobody may submit meanwhile. NULL is fine */

#endif
