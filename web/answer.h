/*
 * answer: a request that is well formed, turned into the answer to it: the node is asked, its codes
 * become statuses. Blocks; runs in a worker. Nothing here knows of sockets or of libmicrohttpd.
 */
#ifndef WEB_ANSWER_H
#define WEB_ANSWER_H

#include "base/buf.h"
#include "web/counters.h"
#include "web/node.h"
#include "web/request.h"

enum cache {
	CACHE_NEVER,   /* no-store */
	CACHE_SHORT,   /* a checkpoint */
	CACHE_LONG,    /* a partial tile: right for ever, but a fuller one replaces it */
	CACHE_FOREVER, /* a full one */
};

enum { ANSWER_TYPE_SIZE = 64 };

struct answer {
	unsigned status;
	enum cache cache;
	const char *allow; /* with 405 */
	bool close;        /* the connection */
	unsigned retry_s;  /* Retry-After; 0: none */
	char type[ANSWER_TYPE_SIZE];
	struct buf body; /* counted in counters.answer_bytes until answer_release */
	size_t counted;
	struct counters *counters; /* borrowed */
};

void answer_init(struct answer *answer, struct counters *counters);
void answer_release(struct answer *answer);

/* A short text in place of whatever was there. */
void answer_error(struct answer *answer, unsigned status);

struct answer_opts {
	struct node_line *line;
	bool logs; /* /logs is answered */
};
/* request->status is 0. body: of a POST. What went wrong for an operator to know is said in ctx,
 * which is "" otherwise. */
void answer_make(struct answer *answer, const struct answer_opts *opts,
	const struct request *request, struct bytes body, struct errctx *ctx);

#endif
