/*
 * guard: the guard file (replication/log/guard_record.h), in a directory of its own outside the
 * node's data and its backups: two slots, written in turn, each write synced. The file is locked
 * (flock) as long as it is open, and the slot that counts is compared with the disk before each
 * write: two programs never share one.
 *
 * The writer updates it after each commit and before anything of the commit is reported; the vault
 * before a new epoch is opened. Thread-safe: one mutex, held over the sync.
 *
 * Errors name the path: ERR_BUSY (another process has it), ERR_DENIED, ERR_FULL, ERR_IO,
 * ERR_INVALID (of another node), ERR_VERSION, ERR_NOMEM; ERR_FORK: somebody else wrote to it. A
 * failed write sticks: nothing can be acknowledged any more, and only a new start finds out what is
 * on the disk.
 */
#ifndef SERVER_STORE_GUARD_H
#define SERVER_STORE_GUARD_H

#include "replication/log/guard_record.h"
#include "server/store/store.h"

struct guard;

struct guard_opts {
	const char *path; /* directory; made with mode 0700 when missing, its parent is not */
	const char *network, *node;
	const char *directory; /* origin of the directory's log when this node writes it; or "" */
	bool used;             /* the node's keys have sealed something */
};
enum err guard_open(const struct guard_opts *opts, struct guard **ret, struct errctx *ctx) MUST_USE;
void guard_close(struct guard *guard); /* NULL is fine */

/* Judges the store by the guard. NEW makes the first record, SAME and ROLLED take over what the
 * store has; OTHER is written down, so that it stays true whatever is committed before the new
 * epoch. Called once, before the writer starts. */
enum err guard_check(struct guard *guard, struct store *store, enum guard_verdict *ret,
	struct errctx *ret_why, struct errctx *ctx) MUST_USE;

/* While entries of own logs are fetched back: judges again. BEHIND, or another verdict, which is
 * taken over as above; the writer may be running. Before that, what comes back moves nothing in the
 * record: it is judged by what was signed, not by what a peer shows. */
enum err guard_recheck(struct guard *guard, struct store *store, enum guard_verdict *ret,
	struct errctx *ret_why, struct errctx *ctx) MUST_USE;

/* Since the check: may the directory's log be continued? Only where the guard vouches for it. */
bool guard_directory_ok(const struct guard *guard);
/* Did the check find that the store was put back, so that logs of others may lack what this node
 * has cosigned? Whatever the verdict on its own log. */
bool guard_commits_missing(const struct guard *guard);

/* The record as it counts now. False: there is none. */
bool guard_get(struct guard *guard, struct guard_record *ret);

/* After a commit of the store: its number, and the newest checkpoints of own logs in it. A log
 * counts when it is the recorded own one, the directory's, or `next`, which thereby becomes the
 * own one. */
struct guard_commit {
	uint64_t commit;
	const struct checkpoint *checkpoints;
	size_t count;
};
enum err guard_committed(
	struct guard *guard, const struct guard_commit *commit, struct errctx *ctx) MUST_USE;
/* Would a checkpoint of this log be recorded? */
bool guard_minds(struct guard *guard, const char *origin);

/* Is it the epoch that is being opened? */
bool guard_opens(struct guard *guard, const char *origin);

/* An epoch is about to be opened in place of `previous`: durable before its first signature.
 * `commit` is the store's number now. */
enum err guard_next(struct guard *guard, const struct origin *previous, const struct origin *next,
	uint64_t commit, struct errctx *ctx) MUST_USE;
/* A peer showed another history of the own log: durable; the next start is STOPPED. An officer says
 * that a new epoch is to be opened: the next start is OTHER. */
enum err guard_stop(struct guard *guard, const char *why, struct errctx *ctx) MUST_USE;
enum err guard_renew(struct guard *guard, const char *why, struct errctx *ctx) MUST_USE;

#endif
