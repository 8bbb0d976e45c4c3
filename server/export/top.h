/*
 * top: the files at the top of a destination, beside the directories of logs. Each is written under
 * a temporary name, made durable, and then given its own: who reads one reads a whole one. Errors
 * name the path.
 */
#ifndef SERVER_EXPORT_TOP_H
#define SERVER_EXPORT_TOP_H

#include "base/buf.h"
#include "server/export/destination.h"

/* Appends the file to out; nothing when it is not there. ERR_LIMIT over max bytes, ERR_EXISTS: it
 * is no file; ERR_DENIED, ERR_IO, ERR_NOMEM. */
enum err top_read(const struct destination *destination, const char *name, size_t max,
	struct buf *out, struct errctx *ctx) MUST_USE;

/* When it is there with these bytes nothing is written, so that a file's time says when it changed.
 * ERR_DENIED, ERR_FULL, ERR_IO; then the earlier file stays. */
enum err top_write(const struct destination *destination, const char *name, struct bytes data,
	struct errctx *ctx) MUST_USE;

#endif
