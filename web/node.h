/*
 * node: the way to sautid. One `struct node` for the program, one `struct node_line` (a connection
 * to its public socket) for each thread that asks.
 *
 * A line connects when it is first needed, and again when the node went away. After a failed
 * attempt nobody tries for a while (doubling up to NODE_RETRY_MAX_MS): requests fail at once.
 * What the node says is not trusted: parts, bytes and time of an answer are bounded, and a line
 * that broke a bound is closed.
 */
#ifndef WEB_NODE_H
#define WEB_NODE_H

#include <pthread.h>

#include "node/control.h"

enum { NODE_RETRY_MIN_MS = 100, NODE_RETRY_MAX_MS = 2000 };

struct node {
	const char *socket; /* borrowed */
	unsigned timeout_s;
	pthread_mutex_t mutex;
	uint64_t retry_at_ms; /* of the next attempt */
	uint32_t retry_ms;    /* 0: the last one worked */
};

void node_init(struct node *node, const char *socket, unsigned timeout_s);
void node_release(struct node *node);

struct node_line {
	struct node *node;
	struct control *control; /* NULL: not connected */
};

void node_line_close(struct node_line *line);

/* Asks, and gives each response to `each`, whose error ends it. ERR_UNREACHABLE, ERR_CLOSED,
 * ERR_TIMEOUT: no node, or none that answers; ERR_LIMIT, ERR_MALFORMED: what it said is
 * nothing it may say; otherwise the node's own error. */
enum err node_ask(struct node_line *line, const Sauti__ControlRequest *request,
	enum err (*each)(void *arg, const struct control_response *response, struct errctx *ctx),
	void *arg, struct errctx *ctx) MUST_USE;

#endif
