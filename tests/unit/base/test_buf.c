#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "tests/unit/base/failing_alloc.h"

static void assert_contents(const struct buf *buf, const void *data, size_t size)
{
	assert_int_equal(buf->err, OK);
	assert_int_equal(buf->size, size);
	assert_memory_equal(buf->data, data, size);
}

static void test_puts(void **state)
{
	static const uint8_t expected[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 0,
		'h', 'i', 0, 2, 'o', 'k', 0, 0, '-', '7'};
	struct buf buf;

	buf_init(&buf, 1000);
	buf_put_u8(&buf, 1);
	buf_put_u16be(&buf, 0x0203);
	buf_put_u32be(&buf, 0x04050607);
	buf_put_u64be(&buf, 0x08090a0b0c0d0e0f);
	buf_put_zeros(&buf, 2);
	buf_put_zeros(&buf, 0);
	buf_put_str(&buf, "hi");
	buf_put_str(&buf, "");
	buf_put_lv16(&buf, bytes_str("ok"));
	buf_put_lv16(&buf, BYTES_NONE);
	buf_put(&buf, BYTES_NONE);
	buf_printf(&buf, "%d", -7);
	buf_printf(&buf, "%s", "");
	assert_contents(&buf, expected, sizeof(expected));
	assert_true(bytes_equal(buf_bytes(&buf), BYTES_ARRAY(expected)));
	buf_release(&buf);
	assert_null(buf.data);
	assert_int_equal(buf.max, 1000);
	/* Usable again after release. */
	buf_put_str(&buf, "again");
	assert_string_equal(buf_cstr(&buf), "again");
	buf_release(&buf);
	buf_release(&buf);
	buf_release(NULL);
}

static void test_zeroed_one(void **state)
{
	struct buf buf = {0};

	assert_string_equal(buf_cstr(&buf), "");
	assert_int_equal(buf_bytes(&buf).size, 0);
	buf_wipe(&buf);
	buf_wipe(NULL);
	buf_release(&buf);
}

/* At the maximum everything fits, the terminator of buf_cstr included; one more byte does not. */
static void test_maximum(void **state)
{
	for (size_t max = 0; max < 200; max++) {
		struct buf buf;

		buf_init(&buf, max);
		for (size_t i = 0; i < max; i++)
			buf_put_u8(&buf, 'a');
		assert_int_equal(buf.err, OK);
		assert_int_equal(buf.size, max);
		assert_int_equal(strlen(buf_cstr(&buf)), max);
		buf_put(&buf, BYTES_NONE);
		buf_printf(&buf, "%s", "");
		assert_int_equal(buf.err, OK);
		buf_put_u8(&buf, 'b');
		assert_int_equal(buf.err, ERR_LIMIT);
		assert_int_equal(buf.size, max);
		assert_string_equal(buf_cstr(&buf), "");
		buf_release(&buf);
		assert_int_equal(buf.err, OK);
	}
}

static void test_printf_maximum(void **state)
{
	struct buf buf;

	buf_init(&buf, 10);
	buf_printf(&buf, "%010d", 42);
	assert_contents(&buf, "0000000042", 10);
	buf_clear(&buf);
	buf_printf(&buf, "%011d", 42);
	assert_int_equal(buf.err, ERR_LIMIT);
	assert_int_equal(buf.size, 0);
	buf_release(&buf);
}

static void test_huge_requests(void **state)
{
	struct buf buf;

	buf_init(&buf, SIZE_MAX - 1);
	buf_put_u8(&buf, 1);
	/* The sum would wrap. */
	assert_null(buf_reserve(&buf, SIZE_MAX));
	assert_int_equal(buf.err, ERR_LIMIT);
	buf_clear(&buf);
	buf_put_zeros(&buf, SIZE_MAX);
	assert_int_equal(buf.err, ERR_LIMIT);
	buf_release(&buf);
}

static void test_error_sticks(void **state)
{
	struct buf buf;

	buf_init(&buf, 4);
	buf_put_str(&buf, "abc");
	buf_put_str(&buf, "de");
	/* Would fit, but the run is broken. */
	buf_put_str(&buf, "f");
	buf_put_lv16(&buf, BYTES_NONE);
	buf_printf(&buf, "%s", "");
	assert_null(buf_reserve(&buf, 0));
	assert_int_equal(buf.err, ERR_LIMIT);
	assert_int_equal(buf.size, 3);
	buf_clear(&buf);
	buf_put_str(&buf, "abcd");
	assert_contents(&buf, "abcd", 4);
	buf_release(&buf);
}

static void test_lv16_limit(void **state)
{
	static const uint8_t data[65536];
	struct buf buf;

	buf_init(&buf, 1 << 20);
	buf_put_lv16(&buf, bytes_make(data, 65535));
	assert_int_equal(buf.err, OK);
	assert_int_equal(buf.size, 65537);
	assert_int_equal(get_u16be(buf.data), 65535);
	buf_put_lv16(&buf, bytes_make(data, 65536));
	assert_int_equal(buf.err, ERR_LIMIT);
	assert_int_equal(buf.size, 65537);
	buf_release(&buf);
	/* No half field when only the length would fit. */
	buf_init(&buf, 4);
	buf_put_lv16(&buf, bytes_make(data, 3));
	assert_int_equal(buf.err, ERR_LIMIT);
	assert_int_equal(buf.size, 0);
	buf_release(&buf);
}

static void test_reserve(void **state)
{
	struct buf buf;
	uint8_t *to;

	buf_init(&buf, 5000);
	to = buf_reserve(&buf, 3000);
	assert_non_null(to);
	assert_int_equal(buf.size, 0);
	memset(to, 7, 3000);
	buf.size += 3000;
	/* Reserved room does not move. */
	assert_ptr_equal(buf_reserve(&buf, 0), to + 3000);
	buf_release(&buf);
}

static void test_wipe(void **state)
{
	struct failing_alloc f;
	struct buf buf;

	failing_alloc_begin(&f, 0);
	buf_init(&buf, 1000);
	assert_non_null(buf_reserve(&buf, 500));
	buf_put_str(&buf, "a passphrase");
	/* What was forgotten is overwritten too. */
	buf_clear(&buf);
	buf_put_str(&buf, "b");
	buf_wipe(&buf);
	assert_false(f.freed_dirty);
	buf_put_str(&buf, "no secret");
	buf_release(&buf);
	assert_true(f.freed_dirty);
	failing_alloc_end(&f);
}

static void write_much(struct buf *buf)
{
	for (uint32_t i = 0; i < 300; i++) {
		buf_put_u32be(buf, i);
		buf_printf(buf, "%u,", i);
		buf_put_lv16(buf, bytes_str("part"));
		buf_put_zeros(buf, 3);
	}
}

/* Fails each allocation in turn: ERR_NOMEM, what was written before intact, nothing leaked. */
static void test_torture(void **state)
{
	struct failing_alloc f;
	struct buf whole, buf;
	enum err err;
	size_t n = 0;

	buf_init(&whole, 1 << 16);
	write_much(&whole);
	assert_int_equal(whole.err, OK);
	do {
		failing_alloc_begin(&f, ++n);
		buf_init(&buf, 1 << 16);
		write_much(&buf);
		err = buf.err;
		assert_true(buf.size <= whole.size);
		if (buf.size > 0)
			assert_memory_equal(buf.data, whole.data, buf.size);
		if (err != OK) {
			assert_int_equal(err, ERR_NOMEM);
			assert_string_equal(buf_cstr(&buf), "");
		}
		buf_release(&buf);
		failing_alloc_end(&f);
	} while (err != OK);
	assert_true(n > 5);
	buf_release(&whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_puts),
		cmocka_unit_test(test_zeroed_one),
		cmocka_unit_test(test_maximum),
		cmocka_unit_test(test_printf_maximum),
		cmocka_unit_test(test_huge_requests),
		cmocka_unit_test(test_error_sticks),
		cmocka_unit_test(test_lv16_limit),
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_wipe),
		cmocka_unit_test(test_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
