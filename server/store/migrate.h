/*
 * migrate: opens an environment that may be of an older format, and brings it to ENV_FORMAT; or
 * refuses it, when it is of a newer one, before anything is written.
 *
 * The table `meta` says which format it is: "format" -> u32be. A migration goes from one format to
 * the next in steps from a table, each in many bounded transactions:
 *
 *	1. mark: "format" becomes the new number, and "migrating" -> {from u32be, to u32be,
 *	   transactions u64be} is there. From here on an older program refuses it
 *	2. pieces, as many as the step needs; each counts in "migrating"
 *	3. with the last piece "migrating" goes
 *
 * Killed, failed or stopped in between, the next opening goes on where it was: what a piece has
 * done is seen in the tables themselves. Entries are never touched.
 */
#ifndef SERVER_STORE_MIGRATE_H
#define SERVER_STORE_MIGRATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct env;
struct txn;

struct migrate_step {
	uint32_t from, to; /* the next after from */
	const char *name;  /* what is done, for people */
	/* Does a bounded piece of what is left to do; false: that was the last. What fails sticks
	 * in txn. NULL: there is nothing to do but the number. */
	bool (*piece)(struct txn *txn);
};

struct migrate_progress {
	const char *path;
	const struct migrate_step *step;
	uint64_t transactions; /* of this step so far, in earlier openings too */
	bool done;             /* the step is */
};
/* Called before each transaction of a migration, and after its last. With an error from it the
 * migration stops there. May be all zero. */
struct migrate_watch {
	enum err (*progress)(
		void *arg, const struct migrate_progress *progress, struct errctx *ctx);
	void *arg;
};

struct migrate_opts {
	unsigned meta; /* the slot of the table */
	/* Opens the other databases, makes what is missing; refuses what is not the caller's by
	 * txn_fail. Called in the first transaction that may write. */
	void (*open)(struct txn *txn, void *arg);
	void *arg;
	const struct migrate_step *steps; /* in order, the last to ENV_FORMAT */
	size_t count;
	struct migrate_watch watch;
};
/* An environment that is opened read-only stays as it is, whatever its format: what is read of it
 * must be the same in all of them.
 *
 * ERR_VERSION: of a newer format, nothing was changed. ERR_CORRUPT: it does not say which. Or as
 * env.h, or of open or the watch; after a failure the env can only be closed. */
enum err migrate_open(
	struct env *env, const struct migrate_opts *opts, struct errctx *ctx) MUST_USE;

#endif
