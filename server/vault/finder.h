/*
 * finder: where in a log the entries with a given locator may stand, for the time of an unlock. An
 * unlock asks for all of them, and for sixteen more of each key that are not there: one sweep over
 * the log, into a hash table of eight bytes of each locator (24 bytes an entry, at most 48 MiB), is
 * ten times faster than the store's index. A log with more than LIMIT_FINDER_ENTRIES entries, or
 * one that cannot be read from end to end, is asked through the index instead.
 *
 * What is found may be an entry whose locator only begins like the one that is meant: opening it
 * says so. Borrows the store. Not thread-safe, but for finder_find.
 */
#ifndef SERVER_VAULT_FINDER_H
#define SERVER_VAULT_FINDER_H

#include "cases/seal/seal.h"
#include "server/store/store.h"

struct finder {
	struct store *store;
	const struct origin *origin; /* borrowed */
	uint64_t *prefixes;          /* slots; size is a power of two; NULL: ask the index */
	uint32_t *indices;           /* plus one; 0: empty */
	size_t size;
};
struct finder_opts {
	struct store *store;
	const struct origin *origin; /* borrowed as long as the finder lives */
	uint64_t log_size;
	uint64_t entries_max;               /* LIMIT_FINDER_ENTRIES but in tests */
	enum err (*go_on)(const void *arg); /* asked now and then; an error ends it */
	const void *arg;
};

/* An error of go_on, ERR_NOMEM; other troubles of the sweep are left to the index to tell. */
enum err finder_init(struct finder *finder, const struct finder_opts *opts) MUST_USE;
void finder_release(struct finder *finder); /* zeroed ones are fine */

/* The entries that may have this locator, oldest first, at most `max`. Errors of store_locate. */
enum err finder_find(const struct finder *finder, const struct seal_locator *locator, uint64_t *ret,
	size_t max, size_t *ret_count, struct errctx *ctx) MUST_USE;

#endif
