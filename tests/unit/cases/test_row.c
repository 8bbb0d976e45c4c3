#include "cases_test.h"

#include "cases/seal/row.h"

static const uint8_t key[AEAD_KEY_SIZE] = {1}, other_key[AEAD_KEY_SIZE] = {2};
static const struct row_name name = {{3}}, other_name = {{4}};

static struct buf wrapped(size_t size)
{
	struct buf plain, value;

	buf_init(&plain, ROW_PLAIN_MAX + 1);
	buf_init(&value, ROW_PLAIN_MAX + 64);
	for (size_t i = 0; i < size; i++)
		buf_put_u8(&plain, (uint8_t)i);
	assert_ok(row_wrap(BYTES_ARRAY(key), ROW_GIVEN, &name, buf_bytes(&plain), &value));
	buf_release(&plain);
	return value;
}

static void there_and_back(void **state)
{
	const size_t sizes[] = {0, 1, 1000, ROW_PLAIN_MAX};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct buf value = wrapped(sizes[i]), plain;

		buf_init(&plain, 2 * ROW_PLAIN_MAX);
		assert_int_equal(row_kind(buf_bytes(&value)), ROW_GIVEN);
		assert_ok(
			row_unwrap(BYTES_ARRAY(key), ROW_GIVEN, &name, buf_bytes(&value), &plain));
		assert_int_equal(plain.size, sizes[i]);
		for (size_t b = 0; b < plain.size; b++)
			assert_int_equal(plain.data[b], (uint8_t)b);
		buf_release(&plain);
		buf_release(&value);
	}
}

static void size_is_capped(void **state)
{
	struct buf value;
	static uint8_t plain[ROW_PLAIN_MAX + 1];

	buf_init(&value, 2 * ROW_PLAIN_MAX);
	assert_int_equal(row_wrap(BYTES_ARRAY(key), ROW_GIVEN, &name, BYTES_ARRAY(plain), &value),
		ERR_LIMIT);
	assert_int_equal(value.size, 0);
	buf_release(&value);
}

static void unwrap_fails(struct bytes by, enum row_kind kind, const struct row_name *of,
	struct bytes value, enum err error)
{
	struct buf plain;

	buf_init(&plain, ROW_PLAIN_MAX + 64);
	assert_int_equal(row_unwrap(by, kind, of, value, &plain), error);
	assert_int_equal(plain.size, 0);
	buf_release(&plain);
}

static void every_change_is_seen(void **state)
{
	struct buf value = wrapped(20);

	unwrap_fails(BYTES_ARRAY(other_key), ROW_GIVEN, &name, buf_bytes(&value), ERR_DECRYPT);
	unwrap_fails(BYTES_ARRAY(key), ROW_GIVEN, &other_name, buf_bytes(&value), ERR_DECRYPT);
	unwrap_fails(BYTES_ARRAY(key), ROW_RECEIVED, &name, buf_bytes(&value), ERR_CORRUPT);
	for (size_t i = 0; i < value.size; i++) {
		value.data[i] ^= 1;
		unwrap_fails(BYTES_ARRAY(key), ROW_GIVEN, &name, buf_bytes(&value),
			i == 0 ? ERR_CORRUPT : ERR_DECRYPT);
		value.data[i] ^= 1;
	}
	/* As another kind, with its first byte turned into it. */
	value.data[0] = ROW_RECEIVED;
	unwrap_fails(BYTES_ARRAY(key), ROW_RECEIVED, &name, buf_bytes(&value), ERR_DECRYPT);
	value.data[0] = ROW_GIVEN;
	for (size_t size = 0; size < value.size; size++)
		unwrap_fails(BYTES_ARRAY(key), ROW_GIVEN, &name, bytes_make(value.data, size),
			size < 1 + AEAD_NONCE_SIZE + AEAD_TAG_SIZE ? ERR_CORRUPT : ERR_DECRYPT);
	buf_release(&value);
}

static void kinds_and_names(void **state)
{
	const uint8_t unknown[] = {ROW_KIND_LAST + 1};
	struct row_name a, b, c;

	assert_int_equal(row_kind(BYTES_NONE), ROW_NONE);
	assert_int_equal(row_kind(BYTES_ARRAY(unknown)), ROW_NONE);
	row_name(ROW_CONFIRMED, bytes_str("haiti"), &a);
	row_name(ROW_CONFIRMED, bytes_str("chad"), &b);
	row_name(ROW_HOLD, bytes_str("haiti"), &c);
	assert_memory_not_equal(a.b, b.b, sizeof(a.b));
	assert_memory_not_equal(a.b, c.b, sizeof(a.b));
	row_name(ROW_CONFIRMED, bytes_str("haiti"), &b);
	assert_memory_equal(a.b, b.b, sizeof(a.b));
}

static void under_another_key(void **state)
{
	static const uint8_t nonce[AEAD_NONCE_SIZE] = {3};
	struct row_rewrap rewrap = {BYTES_ARRAY(key), BYTES_ARRAY(other_key), nonce, &name};
	struct buf value = wrapped(20), out, plain;

	buf_init(&out, 1024);
	buf_init(&plain, 1024);
	assert_int_equal(row_rewrap(&rewrap, buf_bytes(&value), &out), OK);
	assert_int_equal(out.size, value.size);
	assert_int_equal(
		row_unwrap(BYTES_ARRAY(other_key), ROW_GIVEN, &name, buf_bytes(&out), &plain), OK);
	assert_int_equal(plain.size, 20);
	unwrap_fails(BYTES_ARRAY(key), ROW_GIVEN, &name, buf_bytes(&out), ERR_DECRYPT);
	/* Not with the wrong key, and not what was changed: then nothing is appended. */
	buf_clear(&out);
	rewrap.from = BYTES_ARRAY(other_key);
	assert_int_equal(row_rewrap(&rewrap, buf_bytes(&value), &out), ERR_DECRYPT);
	rewrap.from = BYTES_ARRAY(key);
	for (size_t i = 0; i < value.size; i++) {
		value.data[i] ^= 1;
		assert_int_not_equal(row_rewrap(&rewrap, buf_bytes(&value), &out), OK);
		value.data[i] ^= 1;
	}
	assert_int_equal(row_rewrap(&rewrap, bytes_make(value.data, 28), &out), ERR_CORRUPT);
	value.data[0] = ROW_KIND_LAST + 1;
	assert_int_equal(row_rewrap(&rewrap, buf_bytes(&value), &out), ERR_VERSION);
	assert_int_equal(out.size, 0);
	buf_release(&value);
	buf_release(&out);
	buf_release(&plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(size_is_capped),
		cmocka_unit_test(every_change_is_seen),
		cmocka_unit_test(kinds_and_names),
		cmocka_unit_test(under_another_key),
	};

	return cmocka_run_group_tests(tests, setup_crypto, teardown_crypto);
}
