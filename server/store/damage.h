/*
 * damage: the table of entries that are known to be damaged and wait to be fetched again. A marked
 * entry is not given out: what reads it gets ERR_CORRUPT with its index.
 *
 *	{log u32be, index u64be} -> u64be count, then the expected leaf hash (a checked row)
 *
 * With a hash, count is 1. Without one, what should stand there is not known: the tree fits the
 * signed root there neither by its entries nor by its tiles. Marks do not overlap; under its last
 * index, a mark is the first one at or behind any entry that it covers.
 */
#ifndef SERVER_STORE_DAMAGE_H
#define SERVER_STORE_DAMAGE_H

#include "server/store/internal.h"

struct damage_mark {
	uint64_t index, count;
	bool known;
	struct hash expected;
};

/* The first marked entry in [first, first + count): ERR_CORRUPT, and ctx says so; OK: none is. Or
 * what sticks in txn. */
enum err damage_find(struct txn *txn, uint32_t log, uint64_t first, uint64_t count,
	uint64_t *ret_index, struct errctx *ctx) MUST_USE;
/* Replaces the marks inside. Sticks on failure. */
void damage_put(struct txn *txn, uint32_t log, const struct damage_mark *mark);
/* As store_damage_heal (store.h), in a transaction of the caller's. What fails before anything was
 * put does not stick. */
enum err damage_heal(struct txn *txn, const struct origin *origin, uint64_t index,
	struct bytes entry, struct errctx *ctx) MUST_USE;
/* Reads a row of the table. ERR_CORRUPT. */
enum err damage_read(
	struct bytes key, struct bytes row, uint32_t *ret_log, struct damage_mark *ret) MUST_USE;

#endif
