/*
 * What the measuring programs share: they stop at the first failure and say what failed, take times
 * from one monotonic clock, make entries that look like sealed ones, and print one JSON object each
 * on standard output, of raw samples: bench/run makes medians and ratios of them.
 */
#ifndef BENCH_LIB_H
#define BENCH_LIB_H

#include <lmdb.h>

#include "base/bytes.h"
#include "base/err.h"

/* Says "PROGRAM: ..." on standard error and ends with status 1. */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Dies unless err is OK, with what ctx (may be NULL) says. */
void check(enum err err, const struct errctx *ctx, const char *what);
/* A number of the command line; dies when it is none, or 0. */
uint64_t number_of(const char *text);

double now_s(void); /* monotonic */

/* A growing list of samples, printed as a JSON array. */
struct samples {
	double *list;
	size_t count, capacity;
};
void samples_add(struct samples *samples, double value);
/* "name": [..], with a comma in front unless it is the first member. */
void samples_print(const char *name, const struct samples *samples, bool first);
void samples_release(struct samples *samples);

/* Makes an empty directory, after removing what an earlier round left there. */
void directory_fresh(const char *path);
void directory_remove(const char *path);

/*
 * Entries as a log has them: an Entry with a Sealed of suite 1, whose salt, locator, commitment and
 * body are pseudo-random, all of one size. The same (seed, index) gives the same bytes.
 */
enum { ENTRY_SIZE = 600, POOL_ENTRY_MAX = 4096 };
struct pool {
	size_t count, entry_size;
	struct bytes *entry; /* count views */
	uint8_t *data;
};
void pool_init(struct pool *pool, size_t count);                       /* of ENTRY_SIZE */
void pool_init_of(struct pool *pool, size_t count, size_t entry_size); /* 256 to 4,096 */
/* Writes entries [first, first + count) of the seed. */
void pool_fill(struct pool *pool, uint64_t seed, uint64_t first);
void pool_release(struct pool *pool);

/*
 * The baseline: the same bytes by mdb_put into one plain table, keys u64be in rising order, flags
 * of the environment as the store's (MDB_NOTLS, every commit synced). Neither MDB_APPEND nor a
 * reserve: what somebody who knows LMDB writes down first.
 */
struct bare {
	MDB_env *env;
	MDB_dbi dbi;
	uint64_t next; /* key */
};
void bare_open(struct bare *bare, const char *path); /* a fresh directory */
/* One transaction. */
void bare_commit(struct bare *bare, const struct bytes *entry, size_t count);
void bare_close(struct bare *bare);

#endif
