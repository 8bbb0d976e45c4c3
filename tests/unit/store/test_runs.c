#include "support.h"

#include <stdlib.h>

#include "server/store/runs.h"

/* The live runs, oldest first, cover every entry of the complete blocks once. */
static void cover_check(const struct run_counts *counts)
{
	uint64_t at = 0;

	for (unsigned level = RUN_LEVELS; level-- > 0;) {
		struct run run = {level, run_counts_live(counts, level)};

		for (; run.number < counts->of[level]; run.number++) {
			assert_int_equal(run_first(run), at);
			at += run_entries(level);
		}
	}
	assert_int_equal(at, run_counts_indexed(counts));
}

static void counts_check(const struct run_counts *counts, uint64_t size)
{
	uint8_t row[RUN_COUNTS_SIZE];
	struct run_counts again;

	cover_check(counts);
	run_counts_write(counts, row);
	assert_ok(run_counts_read(BYTES_ARRAY(row), size, &again));
	assert_memory_equal(&again, counts, sizeof(again));
}

/* As the indexer does: merge what is due, then build. */
static void bring_up(struct run_counts *counts, uint64_t size)
{
	struct run run;

	for (;;) {
		if (run_counts_merge(counts, &run))
			run_counts_merged(counts, run);
		else if (run_counts_build(counts, size, &run))
			run_counts_built(counts, run);
		else
			break;
		counts_check(counts, size);
	}
}

static void test_counts(void **state)
{
	for (uint64_t step = 1; step < 300; step = 2 * step + 1) {
		struct run_counts counts = {0};
		uint64_t size = 0;

		while (size < 2000 * (uint64_t)RUN_ENTRIES) {
			size += step * RUN_ENTRIES + step % 7;
			bring_up(&counts, size);
			/* Nothing is due, and what is there follows from the size alone. */
			assert_int_equal(counts.of[0], size / RUN_ENTRIES);
			for (unsigned level = 1; level < RUN_LEVELS; level++)
				assert_int_equal(counts.of[level], counts.of[level - 1] / RUN_FAN);
		}
	}
}

/* The largest log there may be. */
static void test_counts_at_the_limit(void **state)
{
	struct run_counts counts = {0};
	struct run run;

	counts.of[0] = LIMIT_LOG_SIZE / RUN_ENTRIES;
	for (unsigned level = 1; level < RUN_LEVELS; level++)
		counts.of[level] = counts.of[level - 1] / RUN_FAN;
	counts_check(&counts, LIMIT_LOG_SIZE);
	assert_false(run_counts_merge(&counts, &run));
	assert_false(run_counts_build(&counts, LIMIT_LOG_SIZE, &run));
	assert_int_equal(run_entries(RUN_LEVELS - 1), UINT64_C(1) << 32);
}

static void test_bad_rows(void **state)
{
	struct run_counts counts = {.drops = 3, .of = {9, 2}}, ret;
	uint8_t row[RUN_COUNTS_SIZE + 1] = {0};

	run_counts_write(&counts, row);
	assert_ok(run_counts_read(bytes_make(row, RUN_COUNTS_SIZE), 9 * RUN_ENTRIES, &ret));
	assert_int_equal(ret.drops, 3);
	/* Cut short, too long, about more than there is, merged of what is not there. */
	assert_int_equal(run_counts_read(bytes_make(row, RUN_COUNTS_SIZE - 1), UINT64_MAX, &ret),
		ERR_CORRUPT);
	assert_int_equal(run_counts_read(bytes_make(row, RUN_COUNTS_SIZE + 1), UINT64_MAX, &ret),
		ERR_CORRUPT);
	assert_int_equal(
		run_counts_read(bytes_make(row, RUN_COUNTS_SIZE), 9 * RUN_ENTRIES - 1, &ret),
		ERR_CORRUPT);
	counts.of[1] = 3;
	run_counts_write(&counts, row);
	assert_int_equal(
		run_counts_read(bytes_make(row, RUN_COUNTS_SIZE), UINT64_MAX, &ret), ERR_CORRUPT);
}

static void test_chunks(void **state)
{
	struct run_item items[CHUNK_ITEMS + 1];
	uint8_t value[(CHUNK_ITEMS + 1) * CHUNK_ITEM_SIZE];
	struct run run = {2, 5};
	struct store_key key;
	size_t count = 0;

	for (uint32_t i = 0; i < CHUNK_ITEMS + 1; i++)
		items[i] = (struct run_item){i / 5 * 3, 2 * i};
	chunk_write(items, CHUNK_ITEMS + 1, value);
	for (size_t n = 1; n <= CHUNK_ITEMS; n++) {
		struct bytes chunk = bytes_make(value, n * CHUNK_ITEM_SIZE);

		key = chunk_key(7, run, items[n - 1]);
		assert_ok(chunk_check(store_key_bytes(&key), chunk, &count));
		assert_int_equal(count, n);
		for (uint64_t prefix = 0; prefix < CHUNK_ITEMS; prefix += 1 + n % 3) {
			struct run_item target = {prefix, 4};
			size_t at = chunk_search(chunk, count, target);

			assert_true(at == 0 || run_item_compare(&items[at - 1], &target) < 0);
			assert_true(at == n || run_item_compare(&items[at], &target) >= 0);
		}
	}
	/* One too many, none, cut short, another's, a key that is too short. */
	key = chunk_key(7, run, items[CHUNK_ITEMS]);
	assert_int_equal(
		chunk_check(store_key_bytes(&key), BYTES_ARRAY(value), &count), ERR_CORRUPT);
	assert_int_equal(chunk_check(store_key_bytes(&key), BYTES_NONE, &count), ERR_CORRUPT);
	key = chunk_key(7, run, items[0]);
	assert_int_equal(
		chunk_check(store_key_bytes(&key), bytes_make(value, CHUNK_ITEM_SIZE - 1), &count),
		ERR_CORRUPT);
	assert_int_equal(
		chunk_check(store_key_bytes(&key), bytes_make(value, 2 * CHUNK_ITEM_SIZE), &count),
		ERR_CORRUPT);
	assert_int_equal(chunk_check(bytes_make(key.b, CHUNK_KEY_SIZE - 1),
				 bytes_make(value, CHUNK_ITEM_SIZE), &count),
		ERR_CORRUPT);
}

/* Keys stand in the table as their runs and items do. */
static void test_key_order(void **state)
{
	static const struct run_item items[] = {
		{0, 0}, {0, 1}, {0, UINT32_MAX}, {1, 0}, {UINT64_MAX, 0}, {UINT64_MAX, UINT32_MAX}};
	static const struct run runs[] = {
		{0, 0}, {0, 1}, {0, 255}, {0, 256}, {1, 0}, {1, UINT64_MAX}, {10, 0}};
	struct store_key last = log_key(9), key;

	for (size_t r = 0; r < sizeof(runs) / sizeof(runs[0]); r++) {
		for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
			key = chunk_key(9, runs[r], items[i]);
			assert_true(
				bytes_compare(store_key_bytes(&last), store_key_bytes(&key)) < 0);
			last = key;
		}
	}
	key = log_key(10);
	assert_true(bytes_compare(store_key_bytes(&last), store_key_bytes(&key)) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_counts_at_the_limit),
		cmocka_unit_test(test_bad_rows),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_key_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
