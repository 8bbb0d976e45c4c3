/*
 * runs: how the index of locators is laid out; index.h keeps it. Pure: no I/O.
 *
 * Blocks of RUN_ENTRIES consecutive entries of a log are the runs of level 0; RUN_FAN runs of one
 * level, at an aligned place, are merged into one of the next. Run n of level k is about the
 * entries [n * E, (n + 1) * E), E = RUN_ENTRIES * RUN_FAN^k: the first eight bytes of each entry's
 * locator, and where in the run it is, in that order. A run is cut into chunks, each a value of
 * one overflow page of LMDB.
 *
 * What is there follows from how many runs of each level are complete, a row for each log. Of a
 * level only the runs behind those that were merged are alive; together the live runs cover each
 * entry before the end of the last block once. Anything else in the table is left over from a
 * merge, or half made, and is thrown away.
 */
#ifndef SERVER_STORE_RUNS_H
#define SERVER_STORE_RUNS_H

#include "base/bytes.h"
#include "base/err.h"
#include "server/store/internal.h"

enum {
	RUN_ENTRIES = 4096,
	RUN_FAN = 4,
	RUN_LEVELS = 11,      /* a run of the last has 2^32 entries: these are not merged */
	RUN_DIRECT_LEVEL = 3, /* up to this one a run is made from entries in one go */
	CHUNK_ITEM_SIZE = 12,
	CHUNK_ITEMS = 340, /* 4,080 bytes: with LMDB's header, a page */
};

/* One locator of a run. */
struct run_item {
	uint64_t prefix; /* its first eight bytes, as a number */
	uint32_t offset; /* of its entry in the run */
};
/* -1, 0, 1, as qsort wants it. */
int run_item_compare(const void *a, const void *b);

struct run {
	unsigned level;
	uint64_t number;
};
uint64_t run_entries(unsigned level);
uint64_t run_first(struct run run); /* index of its first entry */

/* The row of a log: u64be how often its index was dropped, then for each level u64be how many runs
 * are complete, those that were merged since included. No row: all zero. */
enum { RUN_COUNTS_SIZE = 8 + 8 * RUN_LEVELS };
struct run_counts {
	uint64_t drops;
	uint64_t of[RUN_LEVELS];
};
/* ERR_CORRUPT for a row that cannot be, or that is about more than `size` entries. */
enum err run_counts_read(struct bytes value, uint64_t size, struct run_counts *ret) MUST_USE;
void run_counts_write(const struct run_counts *counts, uint8_t ret[RUN_COUNTS_SIZE]);
uint64_t run_counts_indexed(const struct run_counts *counts); /* entries, from 0 on */
/* The first live run of a level; it is counts->of[level] when there is none. */
uint64_t run_counts_live(const struct run_counts *counts, unsigned level);
/* The next run to make by a merge, or from entries of a log of that size; false: none. */
bool run_counts_merge(const struct run_counts *counts, struct run *ret);
bool run_counts_build(const struct run_counts *counts, uint64_t size, struct run *ret);
/* The run is complete. One made from entries completes those inside it as well. */
void run_counts_merged(struct run_counts *counts, struct run run);
void run_counts_built(struct run_counts *counts, struct run run);

/* Keys of the table: {log u32be} the row; {log, level u8, run u64be, last item} a chunk. With its
 * last item as its key a chunk is the first at or behind the key of any item in it. */
enum { RUN_KEY_SIZE = 13, CHUNK_KEY_SIZE = RUN_KEY_SIZE + CHUNK_ITEM_SIZE };
struct store_key run_key(uint32_t log, struct run run);
struct store_key chunk_key(uint32_t log, struct run run, struct run_item last);
/* The value: items, each u64be prefix, u32be offset. ret has room for count items. */
void chunk_write(const struct run_item *items, size_t count, uint8_t *ret);
struct run_item chunk_item(struct bytes chunk, size_t i);
/* How many items; ERR_CORRUPT for a value that is no chunk, or not the one of that key. */
enum err chunk_check(struct bytes key, struct bytes value, size_t *ret_count) MUST_USE;
/* The first item that is not below; the count when there is none. */
size_t chunk_search(struct bytes chunk, size_t count, struct run_item item);

#endif
