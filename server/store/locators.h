/*
 * locators: the table `locators`, which is derived from the entries, as fsck and repair need it: is
 * it what the entries say, and make it anew.
 */
#ifndef SERVER_STORE_LOCATORS_H
#define SERVER_STORE_LOCATORS_H

#include "server/store/internal.h"

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
