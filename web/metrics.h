/*
 * metrics: what /metrics, /readyz and /logs say, from the documents of the node's public requests.
 * A document is foreign: what is missing or of another type is left out, never believed to be 0.
 *
 * Pure. Errors stick in the buf.
 */
#ifndef WEB_METRICS_H
#define WEB_METRICS_H

#include "base/buf.h"
#include "web/counters.h"

/* status: PublicStatus's document; empty: the node did not answer. ERR_MALFORMED: it is none. */
enum err metrics_write(struct buf *out, struct bytes status, struct counters *counters) MUST_USE;

/* One word: "ready", or why not: "guard", "disk", "stopping". ERR_MALFORMED. */
enum err metrics_ready(struct bytes status, const char **ret_word) MUST_USE;

/* The origin of one of PublicLogs's documents, into ret. ERR_MALFORMED: it has none, or one that no
 * path here would name. */
enum err metrics_origin(struct bytes document, char ret[LIMIT_LOG_NAME + 1]) MUST_USE;

#endif
