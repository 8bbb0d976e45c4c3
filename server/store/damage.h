/*
 * damage: the table of entries that are known to be damaged and wait to be fetched again. A marked
 * entry is not given out: what reads it gets ERR_CORRUPT with its index.
 *
 *	{log u32be, index u64be} -> u64be count, then the expected leaf hash (a checked row)
 *
 * With a hash, count is 1. Without one, what should stand there is not known: the tree there
 *neither fits the signed root by its entries nor by its tiles.
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
/* Reads a row of the table. ERR_CORRUPT. */
enum err damage_read(
	struct bytes key, struct bytes row, uint32_t *ret_log, struct damage_mark *ret) MUST_USE;

/* The index of locators of one log, dropped; whoever keeps it builds it anew. Sticks on failure. */
void store_index_drop(struct txn *txn, uint32_t log);

/* A sum over (locator[0:8], index) that does not depend on their order: two sets with one sum are
 * the same, but for chance. It finds damage, not an attacker. */
struct index_sum {
	uint64_t count, a, b;
};
void index_sum_add(
	struct index_sum *sum, const uint8_t locator[LOCATOR_PREFIX_SIZE], uint64_t index);
bool index_sum_equal(const struct index_sum *a, const struct index_sum *b);
/* Of the index of one log, as it stands; ERR_CORRUPT for a row of another form. */
enum err store_index_sum(struct txn *txn, uint32_t log, struct index_sum *ret) MUST_USE;

#endif
