#include "cases_test.h"

#include "cases/seal/away.h"

static const uint8_t key[AEAD_KEY_SIZE] = {1}, other_key[AEAD_KEY_SIZE] = {2};
static const uint8_t name[AWAY_NAME_SIZE] = {3}, other_name[AWAY_NAME_SIZE] = {4};

static struct away away_make(size_t count)
{
	struct away away = {.count = count};

	for (size_t i = 0; i < count && i < AWAY_LOCATORS_MAX; i++)
		away.locators[i].b[5] = (uint8_t)(i + 1);
	return away;
}

static void there_and_back(void **state)
{
	for (size_t count = 1; count <= AWAY_LOCATORS_MAX; count++) {
		struct away away = away_make(count), read;
		struct buf value;

		buf_init(&value, 4096);
		assert_ok(away_wrap(BYTES_ARRAY(key), name, &away, &value));
		assert_true(away_is(buf_bytes(&value)));
		assert_ok(away_unwrap(BYTES_ARRAY(key), name, buf_bytes(&value), &read));
		assert_int_equal(read.count, count);
		assert_memory_equal(read.locators, away.locators, count * SEAL_LOCATOR_SIZE);
		buf_release(&value);
	}
}

static void counts_are_capped(void **state)
{
	struct away none = away_make(0), more = away_make(AWAY_LOCATORS_MAX + 1);
	struct buf value;

	buf_init(&value, 4096);
	assert_int_equal(away_wrap(BYTES_ARRAY(key), name, &none, &value), ERR_INVALID);
	assert_int_equal(away_wrap(BYTES_ARRAY(key), name, &more, &value), ERR_INVALID);
	assert_int_equal(value.size, 0);
	buf_release(&value);
}

static void every_change_is_seen(void **state)
{
	struct away away = away_make(2), read;
	struct buf value;

	buf_init(&value, 4096);
	assert_ok(away_wrap(BYTES_ARRAY(key), name, &away, &value));
	assert_int_equal(
		away_unwrap(BYTES_ARRAY(other_key), name, buf_bytes(&value), &read), ERR_DECRYPT);
	assert_int_equal(
		away_unwrap(BYTES_ARRAY(key), other_name, buf_bytes(&value), &read), ERR_DECRYPT);
	for (size_t i = 0; i < value.size; i++) {
		value.data[i] ^= 1;
		assert_int_not_equal(
			away_unwrap(BYTES_ARRAY(key), name, buf_bytes(&value), &read), OK);
		value.data[i] ^= 1;
	}
	for (size_t size = 0; size < value.size; size++)
		assert_int_not_equal(
			away_unwrap(BYTES_ARRAY(key), name, bytes_make(value.data, size), &read),
			OK);
	buf_put_u8(&value, 0);
	assert_int_equal(
		away_unwrap(BYTES_ARRAY(key), name, buf_bytes(&value), &read), ERR_CORRUPT);
	assert_false(away_is(BYTES_NONE));
	buf_release(&value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(counts_are_capped),
		cmocka_unit_test(every_change_is_seen),
	};

	return cmocka_run_group_tests(tests, setup_crypto, teardown_crypto);
}
