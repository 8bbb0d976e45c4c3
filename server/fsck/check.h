/*
 * check: the check of a node's store that is at rest, and its repair (docs/OPERATIONS).
 *
 * Runs in a process of its own: what this program knows of LMDB's layout is checked first
 * (lmdb_file.h), but LMDB reads the file then, and what it does on damage that nobody foresaw is
 * its own affair. server/fsck/command.c watches the process.
 *
 * Without `repair` nothing is written, and nothing made. It goes on behind what it finds.
 */
#ifndef SERVER_FSCK_CHECK_H
#define SERVER_FSCK_CHECK_H

#include "certs/directory.h"
#include "replication/log/checkpoint.h"

struct fsck_opts {
	const char *path; /* of the store, or of the keyring */
	const char *network, *node;
	struct origin directory; /* of its log; and its key */
	struct ed25519_public directory_key;
	const struct directory *members; /* as known beside the store (the genesis file) */
	bool headquarters;               /* the directory's log is our own */
	bool repair;

	/* One line of the report. */
	void (*line)(void *arg, bool bad, const char *text);
	/* What is being done now; then how far it is, in steps of `total`. May be NULL. */
	void (*doing)(void *arg, const char *what, uint64_t total);
	void (*progress)(void *arg, uint64_t more);
	void *arg;
};

struct fsck_result {
	bool clean;      /* nothing was wrong, or all of it was repaired */
	bool repairable; /* --repair would do something about it */
	bool structure;  /* LMDB's own pages are damaged; after a repair: no head can be read */
	bool only_marks; /* all that is wrong are entries marked to be fetched again */
	bool repaired;   /* something was */
	uint64_t marked; /* entries to be fetched again */
	size_t logs, logs_bad;
};

/* Damage is in the result, not in the return code. ERR_NOTFOUND: there is no store; ERR_BUSY,
 * ERR_DENIED, ERR_VERSION, ERR_IO, ERR_FULL, ERR_NOMEM: it could not be checked. */
enum err fsck_store(
	const struct fsck_opts *opts, struct fsck_result *ret, struct errctx *ctx) MUST_USE;
/* The keyring's pages and the form of its rows; what is in them shows when it is unlocked. */
enum err fsck_keyring(
	const struct fsck_opts *opts, struct fsck_result *ret, struct errctx *ctx) MUST_USE;

#endif
