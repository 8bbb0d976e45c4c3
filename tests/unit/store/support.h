/*
 * What the tests of the store share: a directory that goes away, a store with its writer in it, and
 * logs whose content follows from their number, so that every test can tell what should be there.
 */
#ifndef TESTS_UNIT_STORE_SUPPORT_H
#define TESTS_UNIT_STORE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/store/internal.h"
#include "server/store/writer.h"

#define NETWORK "ovra.example"
#define NODE    "haiti"

#define assert_ok(expr) assert_int_equal((expr), OK)

/* A fresh directory below $TMPDIR or /tmp; the store goes into <directory>/store. */
struct place {
	char directory[256];
	char store[272];
};
void place_make(struct place *place);
void place_remove(struct place *place);

struct bench {
	struct place place;
	size_t map_size;
	uint64_t reserve;
	struct store *store;
	struct writer *writer;
	int woken;         /* eventfd */
	struct errctx ctx; /* the first failure of the last bench_wait */
};
/* cmocka fixtures: *state is a struct bench with a new, open store. */
int bench_setup(void **state);
int bench_teardown(void **state);
void bench_open(struct bench *bench, size_t map_size);
/* Another writer in place of the one there is, with a guard. */
void bench_writer(struct bench *bench, struct guard *guard);
void bench_close(struct bench *bench);
void bench_reopen(struct bench *bench);
/* Waits until `count` submitted writes have come back, in a list. */
struct store_write *bench_wait(struct bench *bench, size_t count);
/* Submits, waits, frees; what the write's result was. */
enum err bench_write(struct bench *bench, struct store_write *write);
uint64_t bench_commits(struct bench *bench);

/* A log as it should be: its content, and the root at every size. */
struct tlog {
	unsigned number;
	char node[32]; /* whose it is */
	struct origin origin;
	struct compact compact;
	struct hash *roots; /* [0, compact.size] */
};
void tlog_init(struct tlog *log, unsigned number); /* of NODE */
void tlog_init_of(struct tlog *log, unsigned number, const char *node);
void tlog_release(struct tlog *log);

/* Entry `index` of log `number`: sealed ones with a locator, public records, and malformed ones, of
 * some hundred bytes. */
enum { ENTRY_RECORD_EVERY = 7, ENTRY_MALFORMED_EVERY = 11 };
void entry_make(struct buf *out, unsigned number, uint64_t index);
void locator_make(uint8_t ret[16], unsigned number, uint64_t index);
bool entry_is_sealed(uint64_t index);
void sealed_make(struct buf *out, struct bytes locator, uint64_t salt);

/* The signed note of a log's (size, root). */
void note_make(
	struct buf *out, const struct origin *origin, uint64_t size, const struct hash *root);

/* A write of the next `count` entries; the log is extended as if it had succeeded. With a
 * checkpoint behind them. */
struct store_write *tlog_write(struct tlog *log, size_t count);
/* The same of entries given. */
struct store_write *tlog_write_entries(struct tlog *log, const struct bytes *entries, size_t count);
/* tlog_write of `count` in one go, which must succeed. */
void tlog_append(struct bench *bench, struct tlog *log, size_t count);
/* Head, verification and every entry are as they should be. */
void tlog_check(struct bench *bench, const struct tlog *log);

/* Fails the allocations from `after` on (0: the next one); SIZE_MAX: none. */
void alloc_fail_after(size_t after);
bool alloc_failed(void); /* since then */

/* Fails the syncs of data from `after` on with EIO, and thus LMDB's commits; SIZE_MAX: none. */
void sync_fail_after(size_t after);
bool sync_failed(void);  /* since then */
size_t sync_count(void); /* since the last call */

#endif
