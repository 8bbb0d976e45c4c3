/*
 * indexer: the thread that makes the index of locators (index.h). Some time after it is woken, so
 * that under load runs are made large at once, it brings every log's index to its newest complete
 * block and merges what is due.
 *
 * It reads in short transactions, sorts in memory (at most 4 MiB), and writes in transactions of at
 * most SLICE_SIZE bytes, each in turn with the writer's: the writer waits for one of them at most.
 * None counts as a commit. A run counts with the transaction that completes it; killed before, or
 * failed, what was written of it is removed and made again. An entry is written about once for each
 * level above RUN_DIRECT_LEVEL, and once for what is below.
 *
 * A failure (full disk, damaged entries) is kept for whoever asks, and tried again later: without
 * the indexer lookups still find everything, only slower.
 */
#ifndef SERVER_STORE_INDEXER_H
#define SERVER_STORE_INDEXER_H

#include "server/store/index.h"

struct indexer;

enum err indexer_start(
	struct store *store, struct indexer **ret, struct errctx *ctx) MUST_USE; /* ERR_NOMEM */
void indexer_wake(struct indexer *indexer); /* from any thread; never blocks for long */
/* The last pass's result and words; OK when it went through. */
enum err indexer_failure(struct indexer *indexer, struct errctx *ctx);
/* Stops within a slice, joins the thread and frees it. NULL is fine. */
void indexer_stop(struct indexer *indexer);

/* One pass over all logs, in the caller's thread. `stop` is polled (NULL: never): ERR_CANCELED. A
 * log that fails does not stop the others; the first failure is returned, with the log's name. */
enum err store_index_run(struct store *store, const bool *stop, struct errctx *ctx) MUST_USE;

#endif
