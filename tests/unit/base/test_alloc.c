#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "tests/unit/base/failing_alloc.h"

static void test_zeroed(void **state)
{
	static const uint8_t zeros[96];
	CLEANUP(mem_free_p) uint8_t *a = mem_zalloc(96);
	CLEANUP(mem_free_p) uint32_t *b = mem_array(24, 4);

	assert_non_null(a);
	assert_non_null(b);
	assert_memory_equal(a, zeros, 96);
	assert_memory_equal(b, zeros, 96);
}

static void test_dup(void **state)
{
	CLEANUP(mem_free_p) char *text = mem_strdup("");
	CLEANUP(mem_free_p) char *copy = mem_dup("sauti", 6);

	assert_string_equal(text, "");
	assert_string_equal(copy, "sauti");
	mem_free(NULL);
}

static void test_array_overflow(void **state)
{
	assert_null(mem_array(SIZE_MAX / 2 + 1, 2));
	assert_null(mem_array(SIZE_MAX, SIZE_MAX));
}

static void test_resize_keeps_old_on_failure(void **state)
{
	struct failing_alloc f;
	char *text, *more;

	failing_alloc_begin(&f, 2);
	text = mem_strdup("kept");
	assert_null(mem_resize(text, 4096));
	assert_string_equal(text, "kept");
	more = mem_resize(text, 4096);
	assert_non_null(more);
	assert_string_equal(more, "kept");
	mem_free(more);
	assert_int_equal(f.count, 3);
	failing_alloc_end(&f);
}

static void test_every_kind_fails(void **state)
{
	struct failing_alloc f;

	for (int kind = 0; kind < 6; kind++) {
		void *pointer = NULL;

		failing_alloc_begin(&f, 1);
		switch (kind) {
		case 0:
			pointer = mem_alloc(1);
			break;
		case 1:
			pointer = mem_zalloc(1);
			break;
		case 2:
			pointer = mem_array(1, 1);
			break;
		case 3:
			pointer = mem_resize(NULL, 1);
			break;
		case 4:
			pointer = mem_dup("x", 1);
			break;
		default:
			pointer = mem_strdup("x");
			break;
		}
		assert_null(pointer);
		assert_int_equal(f.count, 1);
		failing_alloc_end(&f);
	}
}

static void test_default_comes_back(void **state)
{
	struct failing_alloc f;
	void *pointer;

	failing_alloc_begin(&f, 1);
	failing_alloc_end(&f);
	pointer = mem_alloc(1);
	assert_non_null(pointer);
	assert_int_equal(f.count, 0);
	mem_free(pointer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeroed),
		cmocka_unit_test(test_dup),
		cmocka_unit_test(test_array_overflow),
		cmocka_unit_test(test_resize_keeps_old_on_failure),
		cmocka_unit_test(test_every_kind_fails),
		cmocka_unit_test(test_default_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
