/*
 * index: the file `logs` of a destination: the origins of the logs that are in it, a line each, in
 * the order of their bytes. A hint for readers over HTTP, which cannot list directories; nobody has
 * signed it, and a log that is missing there is missing nowhere else.
 *
 * Made from what is there, so that it also has what earlier exports wrote, other nodes' too.
 * Written after the checkpoints, under a temporary name, synced, renamed: who reads a line finds
 * the log.
 */
#ifndef SERVER_EXPORT_INDEX_H
#define SERVER_EXPORT_INDEX_H

#include "server/export/destination.h"

#define INDEX_NAME "logs"

/* ERR_LIMIT over LIMIT_LOGS logs; ERR_NOMEM; ERR_DENIED, ERR_FULL, ERR_IO. The earlier file stays.
 */
enum err index_write(struct destination *destination, struct errctx *ctx) MUST_USE;

#endif
