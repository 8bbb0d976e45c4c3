#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/cursor.h"

static const uint8_t SAMPLE[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 2, 'o', 'k',
	'k', 'e', 'y', '=', 'x', 'y', 'z'};

static void read_sample(struct cursor *cursor)
{
	uint8_t rest[3];

	cursor_u8(cursor);
	cursor_u16be(cursor);
	cursor_u32be(cursor);
	cursor_u64be(cursor);
	cursor_lv16(cursor);
	cursor_until(cursor, '=');
	cursor_copy(cursor, rest, sizeof(rest));
}

static void test_reads(void **state)
{
	struct cursor c = cursor_make(BYTES_ARRAY(SAMPLE));
	char rest[3];

	assert_int_equal(cursor_u8(&c), 1);
	assert_int_equal(cursor_u16be(&c), 0x0203);
	assert_int_equal(cursor_u32be(&c), 0x04050607);
	assert_true(cursor_u64be(&c) == 0x08090a0b0c0d0e0f);
	assert_true(bytes_equal_str(cursor_lv16(&c), "ok"));
	assert_true(bytes_equal_str(cursor_until(&c, '='), "key"));
	assert_false(cursor_skip(&c, bytes_str("y")));
	assert_true(cursor_skip(&c, bytes_str("x")));
	assert_true(cursor_skip(&c, BYTES_NONE));
	assert_int_equal(cursor_finish(&c), ERR_MALFORMED);
	cursor_copy(&c, rest, 2);
	assert_memory_equal(rest, "yz", 2);
	assert_int_equal(cursor_finish(&c), OK);
	assert_false(cursor_skip(&c, bytes_str("z")));
	assert_int_equal(cursor_finish(&c), OK);
}

/* Every cut of the sample is refused, and no byte past the cut is read (exact heap blocks). */
static void test_every_truncation(void **state)
{
	for (size_t size = 0; size <= sizeof(SAMPLE); size++) {
		uint8_t *copy = size > 0 ? mem_dup(SAMPLE, size) : NULL;
		struct cursor c = cursor_make(bytes_make(copy, size));

		read_sample(&c);
		assert_int_equal(cursor_finish(&c), size == sizeof(SAMPLE) ? OK : ERR_MALFORMED);
		mem_free(copy);
	}
}

static void test_error_sticks(void **state)
{
	struct cursor c = cursor_make(BYTES_ARRAY(SAMPLE));
	uint8_t out[4] = {9, 9, 9, 9};
	static const uint8_t zeros[4];

	assert_null(cursor_take(&c, sizeof(SAMPLE) + 1).data);
	assert_int_equal(c.err, ERR_MALFORMED);
	/* There is data, but the run is broken. */
	assert_int_equal(cursor_u8(&c), 0);
	assert_int_equal(cursor_u16be(&c), 0);
	assert_int_equal(cursor_u32be(&c), 0);
	assert_true(cursor_u64be(&c) == 0);
	assert_int_equal(cursor_take(&c, 1).size, 0);
	assert_int_equal(cursor_lv16(&c).size, 0);
	assert_int_equal(cursor_until(&c, '=').size, 0);
	assert_false(cursor_skip(&c, BYTES_ARRAY(SAMPLE)));
	assert_false(cursor_skip(&c, BYTES_NONE));
	cursor_copy(&c, out, sizeof(out));
	assert_memory_equal(out, zeros, sizeof(out));
	assert_int_equal(cursor_finish(&c), ERR_MALFORMED);
}

static void test_sizes_that_wrap(void **state)
{
	struct cursor c = cursor_make(BYTES_ARRAY(SAMPLE));

	cursor_u8(&c);
	assert_int_equal(cursor_take(&c, SIZE_MAX).size, 0);
	assert_int_equal(c.err, ERR_MALFORMED);
}

static void test_lv16(void **state)
{
	static uint8_t data[2 + 65535] = {0xff, 0xff, [65536] = 42};
	struct cursor c = cursor_make(BYTES_ARRAY(data));
	struct bytes field = cursor_lv16(&c);

	assert_int_equal(cursor_finish(&c), OK);
	assert_int_equal(field.size, 65535);
	assert_int_equal(field.data[65534], 42);
	c = cursor_make(bytes_make(data, sizeof(data) - 1));
	assert_int_equal(cursor_lv16(&c).size, 0);
	assert_int_equal(cursor_finish(&c), ERR_MALFORMED);
}

static void test_until(void **state)
{
	struct cursor c = cursor_make(bytes_str("\nab\n"));

	assert_int_equal(cursor_until(&c, '\n').size, 0);
	assert_int_equal(c.err, OK);
	assert_true(bytes_equal_str(cursor_until(&c, '\n'), "ab"));
	assert_int_equal(cursor_finish(&c), OK);
	/* The end is no delimiter. */
	assert_int_equal(cursor_until(&c, '\n').size, 0);
	assert_int_equal(cursor_finish(&c), ERR_MALFORMED);
	c = cursor_make(bytes_str("abc"));
	assert_int_equal(cursor_until(&c, '\n').size, 0);
	assert_int_equal(cursor_finish(&c), ERR_MALFORMED);
}

static void test_empty(void **state)
{
	struct cursor c = cursor_make(BYTES_NONE);

	assert_int_equal(cursor_take(&c, 0).size, 0);
	cursor_copy(&c, NULL, 0);
	assert_true(cursor_skip(&c, BYTES_NONE));
	assert_int_equal(cursor_finish(&c), OK);
	assert_int_equal(cursor_u8(&c), 0);
	assert_int_equal(cursor_finish(&c), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_error_sticks),
		cmocka_unit_test(test_sizes_that_wrap),
		cmocka_unit_test(test_lv16),
		cmocka_unit_test(test_until),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
