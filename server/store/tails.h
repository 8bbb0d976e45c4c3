/*
 * tails: the locators of the newest entries of a log, which no run of its index covers yet. Sorted,
 * in memory; for the logs that were asked for last. Not thread-safe.
 */
#ifndef SERVER_STORE_TAILS_H
#define SERVER_STORE_TAILS_H

#include "server/store/runs.h"

enum {
	TAIL_LOGS = 8,
	TAIL_ENTRIES_MAX = 1 << 18, /* 4 MiB; the indexer keeps it far below */
};

struct tail_item {
	uint64_t prefix, index;
};
struct tail {
	bool used;
	uint32_t log;
	uint64_t drops;      /* as in the row: another number, another history */
	uint64_t first, end; /* it covers the entries [first, end) */
	struct tail_item *items;
	size_t count, capacity;
	uint64_t asked; /* when, for choosing which to forget */
};
struct tails {
	struct tail of[TAIL_LOGS];
	uint64_t asked;
	struct arena arena;
};
void tails_init(struct tails *tails);
void tails_release(struct tails *tails);

/* The tail of a log that has `size` entries, with at least what `counts` leaves out; valid until
 * the next call. It may cover more, before and behind. ERR_NOMEM, ERR_AGAIN (too long), ERR_CORRUPT
 * (an entry is missing), or what sticks in txn. */
enum err tails_get(struct tails *tails, struct txn *txn, uint32_t log, uint64_t size,
	const struct run_counts *counts, const struct tail **ret, struct errctx *ctx) MUST_USE;
/* The first item at or behind (prefix, index). */
size_t tail_search(const struct tail *tail, uint64_t prefix, uint64_t index);

/* The first eight bytes of the locators of the entries [first, end) of a log, in their order, for
 * those that have one. ERR_CORRUPT when an entry is missing, ERR_NOMEM, an error of `found`, or
 * what sticks in txn. */
struct locators_scan {
	uint32_t log;
	uint64_t first, end;
	enum err (*found)(void *arg, uint64_t prefix, uint64_t index);
	void *arg;
};
enum err locators_scan(struct txn *txn, struct arena *arena, const struct locators_scan *scan,
	struct errctx *ctx) MUST_USE;

#endif
