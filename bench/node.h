/*
 * What measuring programs ask a running node over its control socket.
 */
#ifndef BENCH_NODE_H
#define BENCH_NODE_H

#include <jansson.h>

#include "node/control.h"

/* Waits for the socket to be there and answered; dies after a while. */
struct control *node_connect(const char *socket);
/* One log of `log list`: NULL when the node has none of that origin. A reference, the caller's. */
json_t *node_log(struct control *control, const char *origin);
/* How much of it the mirror holds and has cosigned; 0 when it has not. */
uint64_t node_held(const json_t *log, const char *mirror);
/* An integer member. */
uint64_t node_number(const json_t *object, const char *name);

#endif
