/*
 * source: where an audit gets the files of logs from: a directory of exports, a bundle, a running
 * node, a web server. Nothing that comes out of one is believed: all of it is checked by whoever
 * reads (walk.h), and what a source says of which logs it has is a hint.
 *
 * Pure: how bytes are fetched is for whoever fills the struct in.
 */
#ifndef REPLICATION_AUDIT_SOURCE_H
#define REPLICATION_AUDIT_SOURCE_H

#include "base/buf.h"
#include "replication/log/tlog_path.h"

struct audit_source {
	/* Appends one file of a log, "checkpoint" or a path of tlog_path.h, to out. ERR_NOTFOUND:
	 * it is not there; ERR_LIMIT over max bytes; ERR_IO, ERR_UNREACHABLE, ERR_TIMEOUT,
	 * ERR_DENIED: it cannot be looked at; ERR_NOMEM. ctx names the place. */
	enum err (*read)(void *arg, const char *origin, const char *path, size_t max,
		struct buf *out, struct errctx *ctx);
	/* Calls each for every log that it says it has; the first error of each ends it.
	 * ERR_NOTFOUND: it has no list. */
	enum err (*logs)(void *arg, enum err (*each)(void *each_arg, const char *origin),
		void *each_arg, struct errctx *ctx);
	/* Calls each for every proof of a fork that it holds (evidence.h). NULL: it has none. */
	enum err (*evidence)(void *arg, enum err (*each)(void *each_arg, struct bytes message),
		void *each_arg, struct errctx *ctx);
	/* The first entry that it has of the log: the file of entries in which that stands lacks
	 * those before it. For sources without tiles; NULL: each log from entry 0 on. */
	uint64_t (*starts)(void *arg, const char *origin);
	/* Calls each for what is the matter with the source itself, in a sentence: damaged runs of
	 * a medium. NULL: nothing can be. */
	enum err (*damage)(void *arg, enum err (*each)(void *each_arg, const char *text),
		void *each_arg, struct errctx *ctx);
	void *arg;
	bool tiles;       /* it has the tiles of the tree, not entries alone */
	bool concurrent;  /* read may be called by several threads at once */
	const char *name; /* as a reader of the report knows it */
};

/* Reads one file of a log into out, which is cleared. A partial one that is not there is taken from
 * the full one, which begins with it: then *ret_wider, and there may be more in it. Errors of
 * read. */
enum err source_file(const struct audit_source *source, const char *origin,
	const struct tlog_file *file, struct buf *out, bool *ret_wider,
	struct errctx *ctx) MUST_USE;
uint64_t source_starts(const struct audit_source *source, const char *origin);
/* The most that a file of entries can have. */
enum { SOURCE_ENTRIES_MAX = TILE_WIDTH * (2 + LIMIT_ENTRY_SIZE) };

#endif
