/*
 * route: which of the public endpoints a path names. Exact paths only: nothing is decoded,
 * normalised or completed, so there is one way to write each of them.
 *
 *   /<origin>/checkpoint, /<origin>/tile/..      C2SP tlog-tiles; the origin, or a branch's name
 *   /<64 hex>/checkpoint, POST /add-checkpoint   C2SP tlog-witness
 *   /logs /evidence /metrics /healthz /readyz
 *
 * Pure.
 */
#ifndef WEB_ROUTE_H
#define WEB_ROUTE_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"

/* The names are the label `route` of the metrics. */
#define ROUTES(X)                                                                                  \
	X(ROUTE_NONE, "none")                                                                      \
	X(ROUTE_CHECKPOINT, "checkpoint")                                                          \
	X(ROUTE_TILE, "tile")                                                                      \
	X(ROUTE_ENTRIES, "entries")                                                                \
	X(ROUTE_WITNESS, "witness_checkpoint")                                                     \
	X(ROUTE_ADD_CHECKPOINT, "add_checkpoint")                                                  \
	X(ROUTE_LOGS, "logs")                                                                      \
	X(ROUTE_EVIDENCE, "evidence")                                                              \
	X(ROUTE_METRICS, "metrics")                                                                \
	X(ROUTE_HEALTHZ, "healthz")                                                                \
	X(ROUTE_READYZ, "readyz")

enum route_kind {
#define X(kind, name) kind,
	ROUTES(X)
#undef X
};
#define X(kind, name) +1
enum { ROUTE_COUNT = ROUTES(X) };
#undef X

enum { ROUTE_PATH_SIZE = 64, ROUTE_HASH = 64 };

struct route {
	enum route_kind kind;
	char origin[LIMIT_LOG_NAME + 1]; /* of checkpoint, tile, entries; of witness: the hex */
	char path[ROUTE_PATH_SIZE];      /* "checkpoint", "tile/.." */
	bool partial;                    /* of tile and entries */
};

/* path: of a request, with its leading slash and whatever stood behind a '?'. What is none of ours
 * is ROUTE_NONE. */
void route_parse(struct bytes path, struct route *ret);
const char *route_name(enum route_kind kind);

#endif
