#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "server/store/indexer.h"

/*
 * Logs for the index alone: short sealed entries straight into the tables, no tiles. What locator
 * an entry has follows from its log and its index, so a search can be compared with a walk.
 */

struct flog {
	struct origin origin;
	uint32_t number;
	uint64_t size;
	/* The locator's first eight bytes; false: none, the entry is malformed. */
	bool (*prefix)(uint64_t index, uint64_t *ret);
};

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static bool prefix_random(uint64_t index, uint64_t *ret)
{
	*ret = mix(index + 1);
	return true;
}

/* Three entries share each, wherever; every fifth has none. */
static bool prefix_shared(uint64_t index, uint64_t *ret)
{
	*ret = mix(1 + index % 3000);
	return index % 5 != 0;
}

/* Long runs of one, over chunks and runs. */
static bool prefix_few(uint64_t index, uint64_t *ret)
{
	*ret = index / 1000 % 3;
	return index % 997 != 0;
}

static bool prefix_none(uint64_t index, uint64_t *ret)
{
	return false;
}

static void locator_of(const struct flog *log, uint64_t prefix, uint8_t ret[LOCATOR_SIZE])
{
	put_u64be(ret, prefix);
	put_u64be(ret + 8, ~prefix);
}

/* Field by field as the author's encoder has it. */
static size_t flog_entry(const struct flog *log, uint64_t index, uint8_t ret[64])
{
	static const uint8_t head[] = {0x0a, 38, 0x08, 1, 0x12, 16};
	uint64_t prefix;

	memset(ret, 0, 64);
	memcpy(ret, head, sizeof(head));
	put_u64be(ret + 6, index);
	ret[22] = 0x1a;
	ret[23] = LOCATOR_SIZE;
	if (!log->prefix(index, &prefix)) {
		ret[0] = 0xff;
		return 1 + index % 39;
	}
	locator_of(log, prefix, ret + 24);
	return 40;
}

static void flog_init(struct bench *bench, struct flog *log, uint32_t number,
	bool (*prefix)(uint64_t index, uint64_t *ret))
{
	struct store_key key = log_key(number);
	uint8_t random[8] = {0};
	struct txn txn;

	*log = (struct flog){.number = number, .prefix = prefix};
	put_u32be(random, number);
	assert_ok(origin_make(bytes_str(NETWORK), bytes_str(NODE), 1, random, &log->origin));
	txn_begin(&txn, bench->store->env, TXN_WRITE);
	assert_int_equal(txn_count(&txn, DB_LOGS), number);
	checked_put(&txn, DB_LOGS, bytes_str(log->origin.text), store_key_bytes(&key));
	memset(random, 0, sizeof(random));
	checked_put(&txn, DB_HEADS, store_key_bytes(&key), BYTES_ARRAY(random));
	assert_ok(txn_finish(&txn, NULL));
}

static void flog_append(struct bench *bench, struct flog *log, uint64_t count)
{
	struct store_key key = log_key(log->number);
	struct append append;
	uint8_t head[8];
	struct txn txn;

	txn_begin(&txn, bench->store->env, TXN_WRITE);
	append_begin(&append, &txn, DB_ENTRIES);
	for (uint64_t end = log->size + count; log->size < end; log->size++) {
		struct store_key at = entry_key(log->number, log->size);
		uint8_t entry[64];
		size_t size = flog_entry(log, log->size, entry);

		append_put(&append, store_key_bytes(&at), bytes_make(entry, size));
	}
	append_end(&append);
	put_u64be(head, log->size);
	checked_put(&txn, DB_HEADS, store_key_bytes(&key), BYTES_ARRAY(head));
	assert_ok(txn_finish(&txn, NULL));
}

static void locate_is(struct bench *bench, const struct flog *log, uint64_t prefix,
	const uint64_t *expected, size_t count)
{
	enum { MAX = STORE_LOCATE_SCAN };
	uint8_t locator[LOCATOR_SIZE];
	static uint64_t found[MAX];
	size_t found_count;
	struct errctx ctx = {""};

	locator_of(log, prefix, locator);
	if (store_locate(bench->store, &log->origin, locator, found, MAX, &found_count, &ctx) != OK)
		fail_msg("%s", ctx.text);
	assert_int_equal(found_count, count < MAX ? count : MAX);
	for (size_t i = 0; i < found_count; i++)
		assert_int_equal(found[i], expected[i]);
}

/* Every `step`-th entry is found, with all that share its locator, and nothing else. */
static void flog_check(struct bench *bench, const struct flog *log, uint64_t step)
{
	uint64_t expected[4];
	size_t count = 0;

	for (uint64_t index = 0; index < log->size; index += step) {
		uint64_t prefix;

		if (!log->prefix(index, &prefix))
			continue;
		count = 0;
		expected[count++] = index;
		locate_is(bench, log, prefix, expected, count);
		locate_is(bench, log, prefix ^ 1, NULL, 0);
	}
}

/* The same for prefixes that are shared: by a walk. */
static void flog_check_shared(struct bench *bench, const struct flog *log, uint64_t prefix)
{
	uint64_t *expected = calloc(log->size + 1, sizeof(*expected)), own;
	size_t count = 0;

	assert_non_null(expected);
	for (uint64_t index = 0; index < log->size; index++) {
		if (log->prefix(index, &own) && own == prefix)
			expected[count++] = index;
	}
	locate_is(bench, log, prefix, expected, count);
	free(expected);
}

static struct run_counts counts_of(struct bench *bench, const struct flog *log)
{
	struct run_counts counts;
	struct txn txn;

	txn_begin(&txn, bench->store->env, TXN_READ);
	assert_ok(index_counts(&txn, log->number, log->size, &counts, NULL));
	assert_ok(txn_finish(&txn, NULL));
	return counts;
}

static uint64_t rows_of(struct bench *bench)
{
	struct txn txn;
	uint64_t count;

	txn_begin(&txn, bench->store->env, TXN_READ);
	count = txn_count(&txn, DB_LOCATORS);
	assert_ok(txn_finish(&txn, NULL));
	return count;
}

static void run_index(struct bench *bench)
{
	struct errctx ctx = {""};

	if (store_index_run(bench->store, NULL, &ctx) != OK)
		fail_msg("%s", ctx.text);
}

static void verify_ok(struct bench *bench, const struct flog *log)
{
	struct errctx ctx = {""};

	if (store_index_verify(bench->store, &log->origin, NULL, &ctx) != OK)
		fail_msg("%s", ctx.text);
}

/* The table of locators, whole. */
static void table_copy(struct bench *bench, struct buf *ret)
{
	struct range range;
	struct txn txn;

	buf_init(ret, 64 * 1024 * 1024);
	txn_begin(&txn, bench->store->env, TXN_READ);
	for (bool more = range_first(&range, &txn, DB_LOCATORS, BYTES_NONE, 0); more;
		more = range_next(&range)) {
		buf_put(ret, range.key);
		buf_put(ret, range.value);
	}
	range_end(&range);
	assert_ok(txn_finish(&txn, NULL));
	assert_ok(ret->err);
}

/* Searching. */

static void test_random_sizes(void **state)
{
	struct bench *bench = *state;
	struct flog logs[3];
	uint64_t seed = 1;

	flog_init(bench, &logs[0], 0, prefix_random);
	flog_init(bench, &logs[1], 1, prefix_shared);
	flog_init(bench, &logs[2], 2, prefix_none);
	for (unsigned round = 0; round < 24; round++) {
		for (unsigned i = 0; i < 3; i++) {
			seed = mix(seed + 1);
			flog_append(bench, &logs[i], seed % 6000);
			if (seed % 3 == 0)
				flog_append(
					bench, &logs[i], RUN_ENTRIES - logs[i].size % RUN_ENTRIES);
		}
		if (round % 3 != 0)
			run_index(bench);
		flog_check(bench, &logs[0], 97);
		for (uint64_t i = 1; i < 3000; i += 501)
			flog_check_shared(bench, &logs[1], mix(1 + i));
		locate_is(bench, &logs[2], 5, NULL, 0);
		if (round % 8 == 5)
			bench_reopen(bench);
	}
	run_index(bench);
	for (unsigned i = 0; i < 3; i++) {
		verify_ok(bench, &logs[i]);
		assert_int_equal(counts_of(bench, &logs[i]).of[0], logs[i].size / RUN_ENTRIES);
	}
	assert_int_equal(bench_commits(bench), 0); /* none of this is a commit */
}

/* What the table holds follows from the size alone, however it came there. */
static void test_same_table_in_steps_or_at_once(void **state)
{
	enum { SIZE = 21 * RUN_ENTRIES + 77 };
	struct bench *bench = *state;
	struct buf steps, once;
	struct txn txn;
	struct flog log;

	flog_init(bench, &log, 0, prefix_shared);
	while (log.size < SIZE) {
		flog_append(bench, &log, SIZE - log.size < 3000 ? SIZE - log.size : 3000);
		run_index(bench);
	}
	table_copy(bench, &steps);
	verify_ok(bench, &log);
	txn_begin(&txn, bench->store->env, TXN_WRITE);
	store_index_drop(&txn, 0);
	assert_ok(txn_finish(&txn, NULL));
	flog_check_shared(bench, &log, mix(1 + 7)); /* all of it is the tail */
	run_index(bench);
	table_copy(bench, &once);
	/* But for the number of drops, in the first row: {log} drops .. */
	once.data[4 + 7]--;
	assert_true(bytes_equal(buf_bytes(&steps), buf_bytes(&once)));
	buf_release(&steps);
	buf_release(&once);
}

/* Of one locator there may be more than a chunk, or a run. */
static void test_one_locator_many_times(void **state)
{
	struct bench *bench = *state;
	struct flog log;

	flog_init(bench, &log, 0, prefix_few);
	flog_append(bench, &log, 6 * RUN_ENTRIES + 100);
	for (unsigned pass = 0; pass < 2; pass++) {
		for (uint64_t prefix = 0; prefix < 4; prefix++)
			flog_check_shared(bench, &log, prefix);
		run_index(bench);
	}
	verify_ok(bench, &log);
}

/* Runs of a level that is only reached by merging. */
static void test_large(void **state)
{
	struct bench *bench = *state;
	uint64_t level4 = run_entries(RUN_DIRECT_LEVEL + 1);
	struct flog log;

	flog_init(bench, &log, 0, prefix_random);
	flog_append(bench, &log, level4 + 3 * RUN_ENTRIES);
	run_index(bench);
	assert_int_equal(counts_of(bench, &log).of[RUN_DIRECT_LEVEL + 1], 1);
	flog_check(bench, &log, 1009);
	verify_ok(bench, &log);
	/* Full chunks, and nothing of the runs that were merged. */
	assert_true(rows_of(bench) <= (log.size + CHUNK_ITEMS - 1) / CHUNK_ITEMS + 5);
}

/* Whatever an entry is, the index has it if unpacking finds a locator in it. */
static void test_odd_entries(void **state)
{
	/* Plain; of suite 2; fields in another order; an unknown field behind; a locator of 15; a
	 * length in too many bytes; a locator twice; cut short; a size that is not its size. */
	static const char *const hex[] = {
		"0a26"
		"0801"
		"121000000000000000000000000000000000"
		"1a1001000000000000000000000000000000",
		"0a26"
		"0802"
		"121000000000000000000000000000000000"
		"1a1002000000000000000000000000000000",
		"0a26"
		"0801"
		"1a1003000000000000000000000000000000"
		"121000000000000000000000000000000000",
		"0a29"
		"0801"
		"121000000000000000000000000000000000"
		"1a1004000000000000000000000000000000"
		"7a0100",
		"0a25"
		"0801"
		"121000000000000000000000000000000000"
		"1a0f050000000000000000000000000000",
		"0aa600"
		"0801"
		"121000000000000000000000000000000000"
		"1a1006000000000000000000000000000000",
		"0a38"
		"0801"
		"121000000000000000000000000000000000"
		"1a1007000000000000000000000000000000"
		"1a1007000000000000000000000000000000",
		"0a26"
		"0801"
		"121000000000000000000000000000000000"
		"1a100800000000000000000000",
		"0a27"
		"0801"
		"121000000000000000000000000000000000"
		"1a1009000000000000000000000000000000",
	};
	struct bench *bench = *state;
	struct arena arena;
	struct flog log;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	flog_init(bench, &log, 0, prefix_random);
	flog_append(bench, &log, RUN_ENTRIES);
	for (size_t i = 0; i < sizeof(hex) / sizeof(hex[0]); i++) {
		struct store_key key = entry_key(0, i);
		uint8_t entry[64], locator[16], own[LOCATOR_SIZE];
		uint64_t found[2];
		size_t size = strlen(hex[i]) / 2, count;
		bool has = false;
		struct txn txn;

		for (size_t b = 0; b < size; b++) {
			unsigned byte;

			assert_int_equal(sscanf(hex[i] + 2 * b, "%2x", &byte), 1);
			entry[b] = (uint8_t)byte;
		}
		memset(locator, 0, sizeof(locator));
		locator[0] = (uint8_t)(i + 1);
		assert_ok(store_locator(&arena, bytes_make(entry, size), &has, own));
		assert_true(i > 0 || has);
		txn_begin(&txn, bench->store->env, TXN_WRITE);
		txn_put(&txn, DB_ENTRIES, store_key_bytes(&key), bytes_make(entry, size));
		store_index_drop(&txn, 0);
		assert_ok(txn_finish(&txn, NULL));
		for (unsigned pass = 0; pass < 2; pass++) {
			assert_ok(store_locate(
				bench->store, &log.origin, locator, found, 2, &count, NULL));
			assert_int_equal(count, has ? 1 : 0);
			run_index(bench);
		}
		verify_ok(bench, &log);
	}
	arena_release(&arena);
}

/* A log with more than the tail may hold, and no index, as an upgrade leaves it. */
static void test_tail_too_long(void **state)
{
	struct bench *bench = *state;
	struct flog log;

	flog_init(bench, &log, 0, prefix_random);
	flog_append(bench, &log, TAIL_ENTRIES_MAX);
	flog_check(bench, &log, 50021);
	assert_int_equal(counts_of(bench, &log).of[0], 0); /* at the cap: from memory */
	flog_append(bench, &log, 1);
	flog_check(bench, &log, 50021);
	assert_int_equal(counts_of(bench, &log).of[0], log.size / RUN_ENTRIES);
}

/* More logs than tails. */
static void test_many_tails(void **state)
{
	struct bench *bench = *state;
	struct flog logs[TAIL_LOGS + 3];

	for (uint32_t i = 0; i < TAIL_LOGS + 3; i++)
		flog_init(bench, &logs[i], i, prefix_random);
	for (unsigned round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < TAIL_LOGS + 3; i++) {
			flog_append(bench, &logs[i], 30 + i);
			flog_check(bench, &logs[i], 7);
		}
	}
}

/* Interruption. */

/* The k-th commit of the indexer fails, for every k: nothing is lost, and in the end all is as if
 * nothing had happened. */
static void test_every_slice_fails(void **state)
{
	enum { SIZE = 17 * RUN_ENTRIES + 5 };
	struct bench *bench = *state;
	struct buf expected, got;
	struct flog log;
	struct txn txn;
	size_t slices;

	flog_init(bench, &log, 0, prefix_shared);
	for (unsigned i = 0; i < 3; i++) { /* 3, 3 of level 1; then merges are due */
		flog_append(bench, &log, 5 * RUN_ENTRIES);
		run_index(bench);
	}
	flog_append(bench, &log, SIZE - log.size);
	bench_close(bench);
	bench_open(bench, 0);
	sync_count();
	for (slices = 0;; slices++) {
		struct errctx ctx = {""};
		enum err err;

		/* Half of the tries: the whole index anew, then what is due. */
		if (slices % 2 == 0) {
			txn_begin(&txn, bench->store->env, TXN_WRITE);
			store_index_drop(&txn, 0);
			assert_ok(txn_finish(&txn, NULL));
		}
		sync_fail_after(slices / 2);
		err = store_index_run(bench->store, NULL, &ctx);
		if (!sync_failed()) {
			assert_ok(err);
			if (slices % 2 == 0)
				break;
			continue;
		}
		sync_fail_after(SIZE_MAX);
		assert_int_equal(err, ERR_IO);
		assert_non_null(
			strstr(ctx.text, "index log 'ovra.example/haiti/1-0000000000000000'"));
		bench_reopen(bench);
		flog_check_shared(bench, &log, mix(1 + 11));
		verify_ok(bench, &log);
	}
	sync_fail_after(SIZE_MAX);
	assert_true(slices > 8);
	verify_ok(bench, &log);
	table_copy(bench, &got);
	txn_begin(&txn, bench->store->env, TXN_WRITE);
	store_index_drop(&txn, 0);
	assert_ok(txn_finish(&txn, NULL));
	run_index(bench);
	table_copy(bench, &expected);
	memset(got.data + 4, 0, 8);
	memset(expected.data + 4, 0, 8);
	assert_true(bytes_equal(buf_bytes(&got), buf_bytes(&expected)));
	buf_release(&got);
	buf_release(&expected);
}

/* A merge that is stopped in the middle, by blocks coming one at a time: every commit fails once.
 */
static void test_every_merge_slice_fails(void **state)
{
	struct bench *bench = *state;
	struct flog log;
	size_t failed = 0;

	flog_init(bench, &log, 0, prefix_random);
	for (unsigned block = 0; block < 16; block++) {
		flog_append(bench, &log, RUN_ENTRIES);
		for (size_t n = 0;; n++) {
			enum err err;

			sync_fail_after(n);
			err = store_index_run(bench->store, NULL, NULL);
			sync_fail_after(SIZE_MAX);
			if (err == OK)
				break;
			assert_int_equal(err, ERR_IO);
			failed++;
			flog_check(bench, &log, 2003);
			verify_ok(bench, &log);
		}
		flog_check(bench, &log, 997);
		verify_ok(bench, &log);
	}
	assert_true(failed > 16);
	assert_int_equal(counts_of(bench, &log).of[2], 1);
	assert_true(rows_of(bench) <= 16 * RUN_ENTRIES / CHUNK_ITEMS + 2);
}

static void test_kill_9(void **state)
{
	struct bench *bench = *state;
	struct flog log;
	uint64_t seed = 99;

	flog_init(bench, &log, 0, prefix_random);
	flog_append(bench, &log, 64 * RUN_ENTRIES + 9);
	for (unsigned i = 0; i < 12; i++) {
		struct timespec delay = {0, 0};
		pid_t child;
		int status;

		bench_close(bench);
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			struct txn txn;

			bench_open(bench, 0);
			for (;;) {
				if (store_index_run(bench->store, NULL, NULL) != OK)
					_exit(1);
				txn_begin(&txn, bench->store->env, TXN_WRITE);
				store_index_drop(&txn, 0);
				if (txn_finish(&txn, NULL) != OK)
					_exit(1);
			}
		}
		seed = mix(seed);
		delay.tv_nsec = (long)(seed % 150000000) + 10000000;
		nanosleep(&delay, NULL);
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		bench_open(bench, 0);
		flog_check(bench, &log, 4001);
		verify_ok(bench, &log);
	}
	run_index(bench);
	flog_check(bench, &log, 499);
	verify_ok(bench, &log);
}

static void test_out_of_memory(void **state)
{
	struct bench *bench = *state;
	uint8_t locator[LOCATOR_SIZE];
	uint64_t found[2], prefix;
	struct flog log;
	struct txn txn;
	size_t n, count;
	enum err err;

	flog_init(bench, &log, 0, prefix_random);
	flog_append(bench, &log, 4 * RUN_ENTRIES + 300);
	prefix_random(4 * RUN_ENTRIES + 7, &prefix);
	locator_of(&log, prefix, locator);
	for (unsigned step = 0; step < 2; step++) {
		for (n = 0;; n++) {
			/* A search with an empty cache. */
			txn_begin(&txn, bench->store->env, TXN_WRITE);
			if (step == 0)
				store_index_drop(&txn, 0);
			assert_ok(txn_finish(&txn, NULL));
			alloc_fail_after(n);
			err = store_locate(
				bench->store, &log.origin, locator, found, 2, &count, NULL);
			if (err == OK)
				err = store_index_run(bench->store, NULL, NULL);
			if (err == OK)
				err = store_index_verify(bench->store, &log.origin, NULL, NULL);
			if (!alloc_failed())
				break;
			alloc_fail_after(SIZE_MAX);
			assert_int_equal(err, ERR_NOMEM);
		}
		alloc_fail_after(SIZE_MAX);
		assert_ok(err);
		assert_int_equal(count, 1);
		assert_int_equal(found[0], 4 * RUN_ENTRIES + 7);
	}
	flog_check(bench, &log, 97);
}

static void test_canceled(void **state)
{
	struct bench *bench = *state;
	struct errctx ctx = {""};
	bool stop = true;
	struct flog log;

	flog_init(bench, &log, 0, prefix_random);
	flog_append(bench, &log, 4 * RUN_ENTRIES);
	assert_int_equal(store_index_run(bench->store, &stop, &ctx), ERR_CANCELED);
	run_index(bench);
	assert_int_equal(store_index_verify(bench->store, &log.origin, &stop, &ctx), ERR_CANCELED);
}

/* Damage. */

static struct store_key chunk_nth(struct bench *bench, size_t n, struct buf *ret_value)
{
	struct store_key key = {.size = CHUNK_KEY_SIZE};
	struct range range;
	struct txn txn;
	bool more;

	buf_init(ret_value, 8192);
	txn_begin(&txn, bench->store->env, TXN_READ);
	/* The row comes first. */
	for (more = range_first(&range, &txn, DB_LOCATORS, BYTES_NONE, 0); more && n > 0; n--)
		more = range_next(&range);
	assert_true(more && range.key.size == CHUNK_KEY_SIZE);
	memcpy(key.b, range.key.data, key.size);
	buf_put(ret_value, range.value);
	range_end(&range);
	assert_ok(txn_finish(&txn, NULL));
	return key;
}

static void locators_put(struct bench *bench, struct store_key key, struct bytes value)
{
	struct txn txn;

	txn_begin(&txn, bench->store->env, TXN_WRITE);
	if (value.size > 0)
		txn_put(&txn, DB_LOCATORS, store_key_bytes(&key), value);
	else
		txn_delete(&txn, DB_LOCATORS, store_key_bytes(&key));
	assert_ok(txn_finish(&txn, NULL));
}

static void verify_bad(struct bench *bench, const struct flog *log, const char *says)
{
	struct errctx ctx = {""};

	assert_int_equal(store_index_verify(bench->store, &log->origin, NULL, &ctx), ERR_CORRUPT);
	if (strstr(ctx.text, says) == NULL || strstr(ctx.text, log->origin.text) == NULL)
		fail_msg("expected '%s' in: %s", says, ctx.text);
}

static void locate_bad(struct bench *bench, const struct flog *log, struct run_item item)
{
	uint8_t locator[LOCATOR_SIZE];
	struct errctx ctx = {""};
	uint64_t found[2];
	size_t count;

	locator_of(log, item.prefix, locator);
	assert_int_equal(store_locate(bench->store, &log->origin, locator, found, 2, &count, &ctx),
		ERR_CORRUPT);
	assert_non_null(strstr(ctx.text, "run 1/0 of its index of locators is not readable"));
	assert_non_null(strstr(ctx.text, "sautid --fsck --repair"));
	assert_non_null(strstr(ctx.text, log->origin.text));
}

static void test_damage(void **state)
{
	struct bench *bench = *state;
	struct run_item item;
	struct store_key key;
	struct errctx ctx = {""};
	struct flog log, other;
	struct buf value;
	struct txn txn;

	flog_init(bench, &log, 0, prefix_random);
	flog_init(bench, &other, 1, prefix_random);
	flog_append(bench, &log, 4 * RUN_ENTRIES);
	flog_append(bench, &other, 4 * RUN_ENTRIES);
	run_index(bench);
	key = chunk_nth(bench, 5, &value);
	item = chunk_item(buf_bytes(&value), 17);
	/* Cut short: the lookup says so, others do not see it. */
	locators_put(bench, key, bytes_make(value.data, value.size - 1));
	locate_bad(bench, &log, item);
	verify_bad(bench, &log, "run 1/0 of its index of locators is not readable");
	verify_ok(bench, &other);
	flog_check(bench, &other, 997);
	/* An item less: no longer the chunk of its key. */
	locators_put(bench, key, bytes_make(value.data, value.size - CHUNK_ITEM_SIZE));
	locate_bad(bench, &log, item);
	/* Every kind of bit within: the order, the prefix, the offset. */
	for (size_t at = 0; at < CHUNK_ITEM_SIZE; at++) {
		for (uint8_t bit = 1; bit != 0; bit = (uint8_t)(bit << 1)) {
			value.data[17 * CHUNK_ITEM_SIZE + at] ^= bit;
			locators_put(bench, key, buf_bytes(&value));
			verify_bad(bench, &log, "run 1/0");
			value.data[17 * CHUNK_ITEM_SIZE + at] ^= bit;
		}
	}
	locators_put(bench, key, BYTES_NONE); /* gone */
	verify_bad(bench, &log, "run 1/0 of its index of locators does not match its entries");
	locators_put(bench, key, buf_bytes(&value));
	verify_ok(bench, &log);
	/* A merge that reads it refuses; the rest goes on. */
	flog_append(bench, &log, 12 * RUN_ENTRIES);
	flog_append(bench, &other, 12 * RUN_ENTRIES);
	locators_put(bench, key, bytes_make(value.data, value.size - 1));
	assert_int_equal(store_index_run(bench->store, NULL, &ctx), ERR_CORRUPT);
	assert_non_null(
		strstr(ctx.text, "index log 'ovra.example/haiti/1-0000000000000000': run 1/0"));
	assert_int_equal(counts_of(bench, &other).of[2], 1);
	verify_ok(bench, &other);
	/* The repair. */
	txn_begin(&txn, bench->store->env, TXN_WRITE);
	store_index_drop(&txn, 0);
	assert_ok(txn_finish(&txn, NULL));
	flog_check(bench, &log, 997);
	run_index(bench);
	flog_check(bench, &log, 997);
	verify_ok(bench, &log);
	/* The row. */
	key = log_key(0);
	locators_put(bench, key, bytes_str("nonsense"));
	verify_bad(bench, &log, "the head of its index of locators is not readable");
	txn_begin(&txn, bench->store->env, TXN_WRITE);
	store_index_drop(&txn, 0);
	assert_ok(txn_finish(&txn, NULL));
	run_index(bench);
	verify_ok(bench, &log);
	buf_release(&value);
}

/* An entry that is not the one that was indexed, or is not there. */
static void test_damaged_entries(void **state)
{
	struct bench *bench = *state;
	struct store_key key = entry_key(0, 4000);
	struct flog log;
	struct txn txn;

	flog_init(bench, &log, 0, prefix_random);
	flog_append(bench, &log, 2 * RUN_ENTRIES);
	run_index(bench);
	txn_begin(&txn, bench->store->env, TXN_WRITE);
	txn_put(&txn, DB_ENTRIES, store_key_bytes(&key), bytes_str("x"));
	assert_ok(txn_finish(&txn, NULL));
	verify_bad(bench, &log, "run 0/0 of its index of locators does not match its entries");
	txn_begin(&txn, bench->store->env, TXN_WRITE);
	txn_delete(&txn, DB_ENTRIES, store_key_bytes(&key));
	assert_ok(txn_finish(&txn, NULL));
	verify_bad(bench, &log, "entry 4000 is missing");
}

/* Beside others. */

struct seeker {
	struct bench *bench;
	struct tlog *log;
	_Atomic uint64_t size; /* at least so many entries are there */
	_Atomic bool stop;
	size_t searches, misses;
};

static void *seeker_main(void *arg)
{
	struct seeker *seeker = arg;
	uint64_t seed = 5, found[2];
	uint8_t locator[16];
	size_t count;

	while (!atomic_load(&seeker->stop)) {
		uint64_t size = atomic_load(&seeker->size), index;

		if (size == 0)
			continue;
		seed = mix(seed);
		index = seed % size;
		locator_make(locator, seeker->log->number, index);
		if (store_locate(seeker->bench->store, &seeker->log->origin, locator, found, 2,
			    &count, NULL) != OK ||
			count != (entry_is_sealed(index) ? 1U : 0U) ||
			(count == 1 && found[0] != index))
			seeker->misses++;
		seeker->searches++;
	}
	return NULL;
}

/* The writer writes, its indexer and another index, one searches. All is found at any time, the
 * index follows, and what the indexer does is no commit. */
static void test_beside_the_writer(void **state)
{
	enum { WRITES = 60, EACH = 500 };
	struct bench *bench = *state;
	struct seeker seeker = {.bench = bench};
	struct timespec tick = {0, 20000000};
	pthread_t thread;
	struct tlog log;
	struct flog view;

	tlog_init(&log, 1);
	seeker.log = &log;
	assert_int_equal(pthread_create(&thread, NULL, seeker_main, &seeker), 0);
	for (unsigned i = 0; i < WRITES; i++) {
		tlog_append(bench, &log, EACH);
		atomic_store(&seeker.size, log.compact.size);
		if (i % 10 == 9)
			run_index(bench);
	}
	tlog_append(bench, &log, 4 * RUN_ENTRIES);
	view = (struct flog){.origin = log.origin, .number = 0, .size = log.compact.size};
	/* Woken by the last commit, without anybody asking. */
	for (unsigned i = 0; counts_of(bench, &view).of[0] < view.size / RUN_ENTRIES; i++) {
		assert_true(i < 3000);
		nanosleep(&tick, NULL);
	}
	atomic_store(&seeker.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(seeker.searches > 0);
	assert_int_equal(seeker.misses, 0);
	assert_int_equal(bench_commits(bench), WRITES + 1);
	assert_ok(writer_index_failure(bench->writer, NULL));
	verify_ok(bench, &view);
	tlog_check(bench, &log);
	tlog_release(&log);
}

/* Dropped under the hands of the indexer: it leaves the log to the next pass. */
static void *dropper_main(void *arg)
{
	struct bench *bench = arg;

	for (unsigned i = 0; i < 40; i++) {
		struct timespec tick = {0, 3000000};
		struct txn txn;

		nanosleep(&tick, NULL);
		txn_begin(&txn, bench->store->env, TXN_WRITE);
		store_index_drop(&txn, 0);
		if (txn_finish(&txn, NULL) != OK)
			abort();
	}
	return NULL;
}

static void test_dropped_meanwhile(void **state)
{
	struct bench *bench = *state;
	pthread_t thread;
	struct flog log;

	flog_init(bench, &log, 0, prefix_random);
	flog_append(bench, &log, 21 * RUN_ENTRIES);
	assert_int_equal(pthread_create(&thread, NULL, dropper_main, bench), 0);
	for (unsigned i = 0; i < 20; i++)
		run_index(bench);
	assert_int_equal(pthread_join(thread, NULL), 0);
	run_index(bench);
	flog_check(bench, &log, 499);
	verify_ok(bench, &log);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		T(test_random_sizes),
		T(test_same_table_in_steps_or_at_once),
		T(test_one_locator_many_times),
		T(test_large),
		T(test_odd_entries),
		T(test_tail_too_long),
		T(test_many_tails),
		T(test_every_slice_fails),
		T(test_every_merge_slice_fails),
		T(test_kill_9),
		T(test_out_of_memory),
		T(test_canceled),
		T(test_damage),
		T(test_damaged_entries),
		T(test_beside_the_writer),
		T(test_dropped_meanwhile),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
