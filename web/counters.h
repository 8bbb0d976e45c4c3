/*
 * counters: what sauti-web counts about itself. Any thread may count.
 */
#ifndef WEB_COUNTERS_H
#define WEB_COUNTERS_H

#include <stdatomic.h>

#include "web/route.h"

/* Every status that is answered with; others are counted as 500. */
#define STATUSES(X)                                                                                \
	X(200)                                                                                     \
	X(400)                                                                                     \
	X(403)                                                                                     \
	X(404)                                                                                     \
	X(405)                                                                                     \
	X(409)                                                                                     \
	X(411)                                                                                     \
	X(413)                                                                                     \
	X(414)                                                                                     \
	X(417)                                                                                     \
	X(421)                                                                                     \
	X(422)                                                                                     \
	X(429)                                                                                     \
	X(431)                                                                                     \
	X(500)                                                                                     \
	X(502)                                                                                     \
	X(503)                                                                                     \
	X(505)
#define X(status) +1
enum { STATUS_COUNT = STATUSES(X) };
#undef X

/* Why a connection was ended or a request not served. */
#define REJECTIONS(X)                                                                              \
	X(REJECTED_HEAD, "head")               /* malformed, too large, or for another host */     \
	X(REJECTED_TIMEOUT, "timeout")         /* a slow head, body or reader */                   \
	X(REJECTED_QUEUE, "queue")             /* too many wait for the node */                    \
	X(REJECTED_MEMORY, "memory")           /* answers under way are too large together */      \
	X(REJECTED_RATE, "rate")               /* add-checkpoint */                                \
	X(REJECTED_UNREACHABLE, "unreachable") /* the node does not answer */
enum rejection {
#define X(code, name) code,
	REJECTIONS(X)
#undef X
};
#define X(code, name) +1
enum { REJECTION_COUNT = REJECTIONS(X) };
#undef X

struct counters {
	atomic_ullong requests[ROUTE_COUNT][STATUS_COUNT];
	atomic_ullong rejected[REJECTION_COUNT];
	atomic_ullong body_bytes; /* of answers */
	atomic_uint in_flight;    /* requests whose head was read and whose answer is not sent */
	atomic_uint connections;
	atomic_ullong answer_bytes; /* held in memory now */
};

void counters_request(struct counters *counters, enum route_kind route, unsigned status);
void counters_reject(struct counters *counters, enum rejection why);
unsigned counters_status(size_t index);
const char *counters_rejection(enum rejection why);

#endif
