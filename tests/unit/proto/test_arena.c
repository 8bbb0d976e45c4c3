#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/limits.h"
#include "proto/arena.h"
#include "tests/unit/base/failing_alloc.h"

static void at_the_cap_and_past_it(void **state)
{
	struct arena arena;

	arena_init(&arena, 64);
	assert_non_null(arena_alloc(&arena, 64));
	assert_int_equal(arena.used, 64);
	assert_null(arena_alloc(&arena, 1));
	arena_clear(&arena);
	assert_null(arena_alloc(&arena, 65));
	assert_int_equal(arena.used, 0);
	for (int i = 0; i < 4; i++)
		assert_non_null(arena_alloc(&arena, 1)); /* 16 each */
	assert_null(arena_alloc(&arena, 1));
	arena_release(&arena);
}

static void sizes_that_overflow_are_refused(void **state)
{
	struct arena arena;

	arena_init(&arena, SIZE_MAX);
	assert_non_null(arena_alloc(&arena, 1));
	for (size_t i = 0; i < 47; i++)
		assert_null(arena_alloc(&arena, SIZE_MAX - i));
	arena_release(&arena);
}

static void allocations_are_aligned_and_apart(void **state)
{
	enum { COUNT = 3000 };
	static uint8_t *pointers[COUNT];
	struct arena arena;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	for (size_t i = 0; i < COUNT; i++) {
		size_t size = i % 500 == 0 ? 70000 : i % 257;

		pointers[i] = arena_alloc(&arena, size);
		assert_non_null(pointers[i]);
		assert_int_equal((uintptr_t)pointers[i] % 16, 0);
		memset(pointers[i], (int)(i & 0xff), size);
	}
	for (size_t i = 0; i < COUNT; i++)
		for (size_t k = 0; k < (i % 500 == 0 ? 70000 : i % 257); k++)
			assert_int_equal(pointers[i][k], i & 0xff);
	arena_release(&arena);
}

static void a_large_request_leaves_the_block_in_use(void **state)
{
	struct arena arena;
	uint8_t *before, *after;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	before = arena_alloc(&arena, 16);
	assert_non_null(before);
	assert_non_null(arena_alloc(&arena, 1000000));
	after = arena_alloc(&arena, 16);
	assert_ptr_equal(after, before + 16);
	arena_release(&arena);
}

static void a_zeroed_arena_with_a_maximum_works(void **state)
{
	struct arena arena = {.max = 1000};
	ProtobufCAllocator *allocator = arena_allocator(&arena);
	void *pointer = allocator->alloc(allocator->allocator_data, 100);

	assert_non_null(pointer);
	assert_int_equal(arena.used, 112);
	allocator->free(allocator->allocator_data, pointer);
	assert_int_equal(arena.used, 112);
	arena_release(&arena);
	arena_release(&arena);
	arena_release(NULL);
}

static void a_moved_arena_counts_for_itself(void **state)
{
	struct arena old, moved;
	ProtobufCAllocator *allocator;

	arena_init(&old, 1000);
	moved = old;
	allocator = arena_allocator(&moved);
	assert_non_null(allocator->alloc(allocator->allocator_data, 16));
	assert_int_equal(old.used, 0);
	assert_int_equal(moved.used, 16);
	arena_release(&moved);
}

static void clear_keeps_one_small_block(void **state)
{
	struct failing_alloc heap;
	struct arena arena;
	size_t count;

	failing_alloc_begin(&heap, 0);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	for (int i = 0; i < 10; i++)
		assert_non_null(arena_alloc(&arena, 60000));
	arena_clear(&arena);
	assert_int_equal(heap.live, 1);
	count = heap.count;
	for (int i = 0; i < 1000; i++) {
		assert_non_null(arena_alloc(&arena, 60000));
		arena_clear(&arena);
	}
	assert_int_equal(heap.count, count);
	arena_release(&arena);

	assert_non_null(arena_alloc(&arena, 1000000));
	arena_clear(&arena);
	assert_int_equal(heap.live, 0);
	failing_alloc_end(&heap);
}

static void no_memory_is_null_and_the_arena_stays_usable(void **state)
{
	struct failing_alloc heap;
	struct arena arena;

	failing_alloc_begin(&heap, 1);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_null(arena_alloc(&arena, 16));
	assert_int_equal(arena.used, 0);
	assert_non_null(arena_alloc(&arena, 16));
	assert_int_equal(arena.used, 16);
	arena_release(&arena);
	failing_alloc_end(&heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_the_cap_and_past_it),
		cmocka_unit_test(sizes_that_overflow_are_refused),
		cmocka_unit_test(allocations_are_aligned_and_apart),
		cmocka_unit_test(a_large_request_leaves_the_block_in_use),
		cmocka_unit_test(a_zeroed_arena_with_a_maximum_works),
		cmocka_unit_test(a_moved_arena_counts_for_itself),
		cmocka_unit_test(clear_keeps_one_small_block),
		cmocka_unit_test(no_memory_is_null_and_the_arena_stays_usable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
