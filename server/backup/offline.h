/*
 * offline: what sautid does instead of running a node, and says on the terminal: a backup of a
 * stopped node, verifying a backup, restoring one (docs/man/sautid.8). `sauti restore` is this
 * program under another name.
 */
#ifndef SERVER_BACKUP_OFFLINE_H
#define SERVER_BACKUP_OFFLINE_H

#include <stdint.h>

#include "base/err.h"

/* What backup.h runs a child for. */
#define OFFLINE_COMPLETE "--complete-backup"
#define OFFLINE_VERIFY   "--verify-backup"

enum offline_mode {
	OFFLINE_NO,
	OFFLINE_DO_BACKUP,
	OFFLINE_DO_COMPLETE,
	OFFLINE_DO_VERIFY,
	OFFLINE_DO_RESTORE,
};

struct offline_opts {
	enum offline_mode mode;
	bool twice;         /* more than one was asked for */
	const char *place;  /* of the backup */
	const char *config; /* of the node, for a backup */
	const char *dir;    /* where to restore */
	const char *name;   /* of the node, for completing; and when the copy was begun */
	uint64_t created_s;
	bool dry_run, keep_keys;
	bool json;     /* a document on standard output, errors as JSON */
	bool progress; /* as JSON lines on standard error; otherwise on a terminal, in words */
};

/* Prints what was done. SIGINT and SIGTERM end it, with nothing left behind: ERR_CANCELED. */
enum err offline_run(const struct offline_opts *opts, struct errctx *ctx) MUST_USE;

/* One message on standard error: "program: words", or the JSON object of it. */
void offline_error(const struct offline_opts *opts, const char *program, enum err err,
	const struct errctx *ctx);

#endif
