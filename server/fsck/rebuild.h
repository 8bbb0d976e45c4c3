/*
 * rebuild: an environment whose data file is damaged in its structure, written anew from the rows
 * that can still be read (lmdb_file_salvage). What the rows say is judged by fsck afterwards.
 *
 * The new file is made in `rebuild/` below the directory, synced, and takes the place of the old
 * one by one rename; the old one stays as `data.mdb.damaged`. What is interrupted is begun anew. It
 * takes as much room on the disk again.
 */
#ifndef SERVER_FSCK_REBUILD_H
#define SERVER_FSCK_REBUILD_H

#include "server/store/env.h"

struct rebuild_opts {
	const char *path;
	const char *const *tables; /* the first is that with the format version */
	size_t table_count;        /* <= ENV_DATABASES */
	/* May a row be one of this table? It may have come from a page of another one. */
	bool (*fits)(size_t table, struct bytes key, struct bytes value);
	bool guarded; /* say that it is under a guard, whatever else is lost */
	void (*progress)(void *arg, uint64_t pages);
	void *arg;
};
struct rebuild_result {
	uint64_t rows; /* written */
	/* What the damaged file says of its tables: nothing may be known of one. */
	bool known[ENV_DATABASES];
	uint64_t due[ENV_DATABASES]; /* rows */
};
/* ERR_CORRUPT when no head can be read: nothing has changed then. ERR_FULL, ERR_BUSY.. */
enum err rebuild(
	const struct rebuild_opts *opts, struct rebuild_result *ret, struct errctx *ctx) MUST_USE;

#endif
