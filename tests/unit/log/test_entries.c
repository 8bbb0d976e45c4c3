#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/alloc.h"
#include "replication/log/entries.h"

/* Counts live blocks, and fails when told to. */
struct counting {
	int live;
	bool fail;
};

static void *counting_resize(void *arg, void *pointer, size_t size)
{
	struct counting *counting = arg;

	if (size == 0) {
		counting->live -= pointer != NULL;
		free(pointer);
		return NULL;
	}
	if (counting->fail)
		return NULL;
	counting->live += pointer == NULL;
	return realloc(pointer, size);
}

static struct counting counting;

static int setup(void **state)
{
	return crypto_init() == OK ? 0 : -1;
}

static int teardown(void **state)
{
	crypto_release();
	return 0;
}

static int setup_heap(void **state)
{
	const struct allocator allocator = {counting_resize, &counting};

	counting = (struct counting){0};
	mem_set_allocator(&allocator);
	return 0;
}

static int teardown_heap(void **state)
{
	mem_set_allocator(NULL);
	return counting.live == 0 ? 0 : -1;
}

static void test_copies(void **state)
{
	uint8_t first[] = "first", second[] = "the second one";
	struct bytes given[] = {bytes_make(first, 5), bytes_make(second, 14), bytes_make(first, 1)};
	struct entries *entries;
	struct hash leaf;

	assert_int_equal(entries_make(given, 3, &entries), OK);
	memset(first, 'x', sizeof(first));
	memset(second, 'x', sizeof(second));
	assert_int_equal(entries->count, 3);
	assert_int_equal(entries->size, 20);
	assert_true(bytes_equal_str(entries->entry[0], "first"));
	assert_true(bytes_equal_str(entries->entry[1], "the second one"));
	assert_true(bytes_equal_str(entries->entry[2], "f"));
	for (size_t i = 0; i < 3; i++) {
		tree_leaf(entries->entry[i], &leaf);
		assert_true(hash_equal(&leaf, &entries->leaf[i]));
	}
	entries_unref(entries);
}

static void test_references(void **state)
{
	struct bytes given = bytes_str("entry");
	struct entries *entries;

	entries_unref(NULL);
	assert_int_equal(entries_make(&given, 1, &entries), OK);
	assert_ptr_equal(entries_ref(entries), entries);
	entries_unref(entries);
	assert_int_equal(counting.live, 1);
	assert_true(bytes_equal(entries->entry[0], given));
	entries_unref(entries);
	assert_int_equal(counting.live, 0);
}

/* One byte and the largest entry; none, and one more than the largest. */
static void test_limits(void **state)
{
	static uint8_t data[LIMIT_ENTRY_SIZE + 1];
	struct bytes given[] = {bytes_make(data, 1), bytes_make(data, LIMIT_ENTRY_SIZE)};
	struct entries *entries;

	memset(data, 0xa5, sizeof(data));
	assert_int_equal(entries_make(given, 2, &entries), OK);
	assert_int_equal(entries->size, LIMIT_ENTRY_SIZE + 1);
	assert_int_equal(entries->entry[1].size, LIMIT_ENTRY_SIZE);
	assert_memory_equal(entries->entry[1].data, data, LIMIT_ENTRY_SIZE);
	entries_unref(entries);

	entries = NULL;
	assert_int_equal(entries_make(given, 0, &entries), ERR_LIMIT);
	given[1].size++;
	assert_int_equal(entries_make(given, 2, &entries), ERR_LIMIT);
	given[1].size = 0;
	assert_int_equal(entries_make(given, 2, &entries), ERR_LIMIT);
	counting.fail = true;
	assert_int_equal(entries_make(given, 1, &entries), ERR_NOMEM);
	assert_null(entries);
}

static void test_whole_batch(void **state)
{
	static struct bytes given[LIMIT_BATCH_ENTRIES];
	struct entries *entries;

	for (size_t i = 0; i < LIMIT_BATCH_ENTRIES; i++)
		given[i] = bytes_make("0123456789abcdef", 1 + i % 16);
	assert_int_equal(entries_make(given, LIMIT_BATCH_ENTRIES, &entries), OK);
	for (size_t i = 0; i < LIMIT_BATCH_ENTRIES; i++)
		assert_true(bytes_equal(entries->entry[i], given[i]));
	entries_unref(entries);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_copies, setup_heap, teardown_heap),
		cmocka_unit_test_setup_teardown(test_references, setup_heap, teardown_heap),
		cmocka_unit_test_setup_teardown(test_limits, setup_heap, teardown_heap),
		cmocka_unit_test_setup_teardown(test_whole_batch, setup_heap, teardown_heap),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
