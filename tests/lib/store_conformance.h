/*
 * store_conformance: one test for every implementation of replication/engine/store.h. Random
 * operations go to a store and to a model of what that header promises; after each flush the store
 * must say what the model says: heads with their compact ranges, checkpoints and cosignatures,
 * batches with their proofs, entries, and the error of each write that is refused.
 *
 * A crash may lose what was not flushed: of each log the first writes are there and the rest is
 * not, each write whole. Nothing else may change, and nothing that was flushed.
 */
#ifndef TESTS_LIB_STORE_CONFORMANCE_H
#define TESTS_LIB_STORE_CONFORMANCE_H

#include "replication/engine/store.h"

/* The store under test. What open, submit and the like cannot do ends the test program. */
struct store_subject {
	void (*open)(void *arg); /* the first time empty, later with what close or crash left */
	void (*close)(void *arg);
	void (*crash)(void *arg);                             /* between submit and flush, too */
	void (*submit)(void *arg, struct store_write *write); /* takes it */
	/* Waits until all that was submitted is durable or refused: in the order submitted, linked
	 * by next, results set. The caller frees. NULL: nothing was submitted. */
	struct store_write *(*flush)(void *arg);
	enum err (*heads)(void *arg, struct log_head **ret, size_t *ret_count); /* in any order */
	enum err (*read)(void *arg, const struct store_read *read, struct store_batch *ret);
	enum err (*entry)(void *arg, const struct origin *origin, uint64_t index, struct buf *out);
	void *arg;
};

struct conformance {
	uint64_t seed;
	unsigned steps;
	char why[256]; /* set when false is returned: what differs, and at which step */
	unsigned writes, refused, flushes, crashes, lost, reads; /* what was tried */
};
/* Starts with an empty store and closes it in the end. */
bool store_conformance(const struct store_subject *subject, struct conformance *run);

#endif
