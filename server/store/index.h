/*
 * index: where in a log the sealed entries with a given locator are. The table `locators` holds
 * sorted runs (runs.h), made by a thread of its own (indexer.h) some time after the commit; what
 * no run covers yet, the tail, is read from the entries when it is first asked for, and kept in
 * memory. The index holds nothing that is not in the entries: it may be dropped at any time.
 *
 * The locator of an entry that does not have one of 16 bytes, or cannot be read, is not in the
 * index. An index may hold an entry more (one that begins like a sealed entry and is malformed
 * further on); who asks compares the whole locator with the entry.
 *
 * Thread-safe. A run of a thing that is not readable gives ERR_CORRUPT and its name; the rest of
 * the log is not touched by it.
 */
#ifndef SERVER_STORE_INDEX_H
#define SERVER_STORE_INDEX_H

#include <pthread.h>

#include "server/store/runs.h"
#include "server/store/tails.h"

struct index {
	pthread_mutex_t building; /* held by whoever makes runs */
	pthread_mutex_t mutex;    /* guards what follows */
	struct tails tails;
};
enum err index_new(struct index **ret) MUST_USE; /* ERR_NOMEM */
void index_free(struct index *index);            /* NULL is fine */

/* The row of a log with so many entries; all zero when there is none. ERR_CORRUPT. */
enum err index_counts(struct txn *txn, uint32_t log, uint64_t size, struct run_counts *ret,
	struct errctx *ctx) MUST_USE;
/* Says which run is damaged and what helps. */
enum err index_corrupt(struct run run, const char *what, struct errctx *ctx);

/* Calls `found` with the index of each entry that may have a locator with these first eight bytes,
 * in rising order, until it clears *more or fails. `found` may read in the transaction. ERR_AGAIN:
 * the tail is longer than TAIL_ENTRIES_MAX, run the indexer. */
struct index_query {
	uint32_t log;
	uint64_t size; /* of the log, in this transaction */
	uint64_t prefix;
	enum err (*found)(void *arg, uint64_t index, bool *more);
	void *arg;
};
enum err index_search(struct index *index, struct txn *txn, const struct index_query *query,
	struct errctx *ctx) MUST_USE;

/* For repairs: forgets the index of one log. The next pass makes it anew, and removes what is left
 * of the old one; until then its entries are the tail. In the caller's write transaction. */
void store_index_drop(struct txn *txn, uint32_t log);

/* Compares the runs of a log with its entries, in short transactions. ERR_CORRUPT names the first
 * run that does not hold exactly what it should; ERR_CANCELED as store_verify. The indexer waits
 * meanwhile. */
enum err store_index_verify(struct store *store, const struct origin *origin, const bool *stop,
	struct errctx *ctx) MUST_USE;

#endif
