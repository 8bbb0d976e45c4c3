/*
 * backup: backups of a node and their way back (DESIGN 12, docs/FORMAT "Backups"). No loop, no
 * engine: called from a worker of a running node, or by sautid alone (offline.h).
 *
 * A directory with a backup's name is a whole, verified backup. It is built as NAME.partial beside
 * it, completed, verified, synced, and renamed; what fails leaves nothing, or says what it left.
 *
 *	backup_make
 *		files and the store's copy into NAME.partial
 *		in a child: backup_complete: mark, no invites, BACKUP; then backup_verify
 *		rename, sync
 *	backup_restore
 *		in a child: backup_verify of the backup
 *		copies into DIR/restoring
 *		in a child: backup_verify of what was written
 *		moves into DIR, sauti.conf last
 *
 * Who makes a backup or restores one never maps a copy: a file that is damaged, made to crash
 * LMDB, or on a stick that was pulled out (SIGBUS) ends a child, whose death is an error like any
 * other: ERR_CORRUPT.
 *
 * No keys are in a backup: neither boot keys nor keystore nor keyring, and no invites.
 *
 * Every function blocks for as long as the disk takes. Errors name the file. ERR_CORRUPT: damage,
 * or a log that does not prove itself; ERR_VERSION: of a newer Sauti; ERR_EXISTS: the place is not
 * free; ERR_BUSY: another backup or restore is at it; ERR_FULL, ERR_DENIED, ERR_NOTFOUND, ERR_IO;
 * ERR_CANCELED.
 */
#ifndef SERVER_BACKUP_BACKUP_H
#define SERVER_BACKUP_BACKUP_H

#include "node/files.h"
#include "node/manifest.h"
#include "server/store/store.h"

struct backup_progress {
	const char *step;     /* "copy", "hash", "verify" */
	uint64_t done, total; /* bytes, or entries; total may be an estimate, or 0: unknown */
};
/* How the caller follows it, and stops it. Zeroed: neither. */
struct backup_watch {
	const bool *stop; /* polled; set it with an atomic store: ERR_CANCELED */
	void (*progress)(void *arg, const struct backup_progress *progress);
	void *arg;
};

struct backup_opts {
	struct store *store;
	const struct node_paths *paths; /* of the node */
	const char *node;
	const char *to; /* absolute; missing or empty, its parent is there */
	struct backup_watch watch;
};
/* ret: what is in the backup; release it. */
enum err backup_make(
	const struct backup_opts *opts, struct manifest *ret, struct errctx *ctx) MUST_USE;

/* The second half of backup_make. created_s: when its copy was begun, what it is "as of". Maps the
 * copy: for a process of its own. */
struct complete_opts {
	const char *directory, *node;
	uint64_t created_s;
	struct backup_watch watch;
};
enum err backup_complete(
	const struct complete_opts *opts, struct manifest *ret, struct errctx *ctx) MUST_USE;

/* Every file against the manifest; every entry and tile of every log hashed again, against the
 * manifest and the log's signed checkpoint, whose key the directory of the network vouches for.
 * Changes nothing there. Maps the copy: for a process of its own. */
enum err backup_verify(const char *directory, const struct backup_watch *watch,
	struct manifest *ret, struct errctx *ctx) MUST_USE;

struct restore_opts {
	const char *from;
	const char
		*to; /* missing or empty; with keep_keys it may hold keys/, keyring/, ca/, run/ */
	bool keep_keys; /* keys/ is there, of that node, and stays as it is */
	bool dry_run;   /* checks everything, writes nothing */
	struct backup_watch watch;
};
struct restore_result {
	char from[PATH_MAX], to[PATH_MAX];
	struct manifest manifest; /* of the backup */
	bool finished;            /* an interrupted restore of this backup was brought to its end */
	char config[512];         /* what is to be looked at in sauti.conf; "" */
};
void restore_result_release(struct restore_result *result);
enum err backup_restore(
	const struct restore_opts *opts, struct restore_result *ret, struct errctx *ctx) MUST_USE;

#endif
