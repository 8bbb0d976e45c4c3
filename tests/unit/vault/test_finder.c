/* Where entries with a locator stand: through memory and through the index it is the same. */
#include "tests/unit/store/support.h"

#include <stdlib.h>

#include "cases/seal/seal.h"
#include "server/vault/finder.h"

enum { ENTRIES = 300 };

static enum err go_on(const void *arg)
{
	return arg == NULL ? OK : ERR_CANCELED;
}

struct fixture {
	struct bench *bench;
	struct tlog log;
	struct seal_locator locator[ENTRIES];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	void *bench;

	assert_non_null(f);
	bench_setup(&bench);
	f->bench = bench;
	tlog_init(&f->log, 1);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	void *bench = f->bench;

	tlog_release(&f->log);
	free(f);
	return bench_teardown(&bench);
}

/* Sealed entries; number 7 has the locator of number 3, number 8 its first eight bytes. */
static void fill(struct fixture *f)
{
	uint8_t secret[SEAL_KEY_SIZE] = {9}, random[SEAL_RANDOM_SIZE] = {0};
	struct seal_options options = {random, false};
	struct seal_position position = {.index = 0};
	struct seal_key key;
	struct sealer *sealer;
	struct buf entry;

	sha256(bytes_str(f->log.origin.text), &position.origin);
	assert_ok(seal_key_init(&key, BYTES_ARRAY(secret)));
	assert_ok(sealer_new(&sealer));
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	for (uint64_t i = 0; i < ENTRIES; i++) {
		struct bytes view;

		position.index = i == 7 ? 3 : i;
		buf_clear(&entry);
		assert_ok(seal_write(sealer, &key, &position, &options, bytes_str("x"), &entry));
		assert_ok(seal_entry_locator(buf_bytes(&entry), &f->locator[i]));
		if (i == 8) {
			uint8_t *at = memmem(entry.data, entry.size, f->locator[i].b, 16);

			memcpy(at, f->locator[3].b, 8);
			assert_ok(seal_entry_locator(buf_bytes(&entry), &f->locator[i]));
		}
		view = buf_bytes(&entry);
		assert_ok(bench_write(f->bench, tlog_write_entries(&f->log, &view, 1)));
	}
	buf_release(&entry);
	sealer_free(sealer);
	seal_key_release(&key);
}

static void finder_begin(struct fixture *f, uint64_t entries_max, struct finder *ret)
{
	struct finder_opts opts = {.store = f->bench->store,
		.origin = &f->log.origin,
		.log_size = f->log.compact.size,
		.entries_max = entries_max,
		.go_on = go_on};

	assert_ok(finder_init(ret, &opts));
}

static void test_find(void **state)
{
	struct fixture *f = *state;
	struct seal_locator nowhere = {{1, 2, 3}};
	struct finder memory, index;
	uint64_t at[8];
	size_t count;

	fill(f);
	/* At the cap in memory, one past it by the index. */
	finder_begin(f, f->log.compact.size, &memory);
	assert_non_null(memory.prefixes);
	finder_begin(f, f->log.compact.size - 1, &index);
	assert_null(index.prefixes);
	for (size_t i = 0; i < ENTRIES; i++) {
		const struct finder *both[] = {&memory, &index};

		if (i == 3 || i == 7 || i == 8)
			continue;
		for (size_t k = 0; k < 2; k++) {
			assert_ok(finder_find(both[k], &f->locator[i], at, 8, &count, NULL));
			assert_int_equal(count, 1);
			assert_int_equal(at[0], i);
		}
	}
	assert_ok(finder_find(&index, &f->locator[3], at, 8, &count, NULL));
	assert_int_equal(count, 2);
	/* Memory knows eight bytes of a locator: opening tells the rest. */
	assert_ok(finder_find(&memory, &f->locator[3], at, 8, &count, NULL));
	assert_int_equal(count, 3);
	assert_int_equal(at[0], 3);
	assert_int_equal(at[1], 7);
	assert_int_equal(at[2], 8);
	assert_ok(finder_find(&memory, &f->locator[3], at, 2, &count, NULL));
	assert_int_equal(count, 2);
	assert_ok(finder_find(&memory, &nowhere, at, 8, &count, NULL));
	assert_int_equal(count, 0);
	finder_release(&memory);
	finder_release(&memory);
	finder_release(&index);
}

static void test_stop(void **state)
{
	struct fixture *f = *state;
	struct finder finder;
	struct finder_opts opts = {.store = f->bench->store,
		.origin = &f->log.origin,
		.log_size = 1,
		.entries_max = 1,
		.go_on = go_on,
		.arg = f};

	assert_int_equal(finder_init(&finder, &opts), ERR_CANCELED);
	assert_null(finder.prefixes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_find),
		TEST(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
