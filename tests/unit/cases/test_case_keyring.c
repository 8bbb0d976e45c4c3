#include "cases_test.h"

#include "cases/seal/keyring.h"
#include "proto/codec.h"
#include "proto/stored.pb-c.h"

static const uint8_t keyring_key[32] = {1, 2, 3};
static const uint8_t k[32] = {7, 7, 7};

static struct keyring_entry make_entry(void)
{
	struct keyring_entry entry = {
		.case_ref = {{0xaa, 0xbb}},
		.group = GROUP_HEALTH,
		.author = "haiti",
		.generation = 3,
		.origin = "ovra.example/haiti/1-0011223344556677",
	};

	assert_ok(secret_copy(&entry.key, BYTES_ARRAY(k)));
	return entry;
}

static void round_trip(void **state)
{
	struct keyring_entry entry = make_entry(), back;
	struct seal_kid kid, expected;
	struct buf a, b;

	buf_init(&a, 4096);
	buf_init(&b, 4096);
	assert_ok(keyring_wrap(BYTES_ARRAY(keyring_key), &entry, &a, &kid));
	assert_ok(seal_kid_of(BYTES_ARRAY(k), &expected));
	assert_memory_equal(kid.b, expected.b, sizeof kid.b);
	assert_ok(keyring_unwrap(BYTES_ARRAY(keyring_key), &kid, buf_bytes(&a), &back));
	assert_memory_equal(back.case_ref.b, entry.case_ref.b, CASE_REF_SIZE);
	assert_int_equal(back.group, GROUP_HEALTH);
	assert_string_equal(back.author, "haiti");
	assert_int_equal(back.generation, 3);
	assert_string_equal(back.origin, entry.origin);
	assert_memory_equal(back.key.data, k, 32);
	/* a fresh nonce each time */
	assert_ok(keyring_wrap(BYTES_ARRAY(keyring_key), &entry, &b, &kid));
	assert_false(bytes_equal(buf_bytes(&a), buf_bytes(&b)));
	/* K does not stand in the value */
	assert_null(memmem(a.data, a.size, k, sizeof k));
	keyring_entry_release(&entry);
	keyring_entry_release(&back);
	keyring_entry_release(NULL);
	buf_release(&a);
	buf_release(&b);
}

static void changed_or_moved_is_refused(void **state)
{
	struct keyring_entry entry = make_entry(), back = {.generation = 77};
	uint8_t other_key[32] = {1, 2, 4};
	struct seal_kid kid;
	struct buf value;

	buf_init(&value, 4096);
	assert_ok(keyring_wrap(BYTES_ARRAY(keyring_key), &entry, &value, &kid));
	for (size_t i = 0; i < value.size; i++) {
		value.data[i] ^= 1;
		assert_int_equal(
			keyring_unwrap(BYTES_ARRAY(keyring_key), &kid, buf_bytes(&value), &back),
			i == 0 ? ERR_VERSION : ERR_DECRYPT);
		value.data[i] ^= 1;
	}
	for (size_t size = 0; size < value.size; size++)
		assert_int_equal(keyring_unwrap(BYTES_ARRAY(keyring_key), &kid,
					 bytes_make(value.data, size), &back),
			size == 0 ? ERR_VERSION : ERR_DECRYPT);
	assert_int_equal(keyring_unwrap(BYTES_ARRAY(other_key), &kid, buf_bytes(&value), &back),
		ERR_DECRYPT);
	kid.b[15] ^= 1;
	assert_int_equal(keyring_unwrap(BYTES_ARRAY(keyring_key), &kid, buf_bytes(&value), &back),
		ERR_DECRYPT);
	assert_int_equal(back.generation, 77);
	keyring_entry_release(&entry);
	buf_release(&value);
}

/* What is wrapped as it should be but is no sound record. */
static void unsound_record_is_corrupt(void **state)
{
	struct aead_key key = {{0}, {0}};
	uint8_t aad[15 + 16], value[2048];
	struct seal_kid kid;
	struct keyring_entry back;

	assert_ok(seal_kid_of(BYTES_ARRAY(k), &kid));
	memcpy(key.key, keyring_key, 32);
	memcpy(aad, "sauti/1 keyring", 15);
	memcpy(aad + 15, kid.b, 16);
	for (unsigned kind = 0; kind < 7; kind++) {
		Sauti__KeyringRecord record = SAUTI__KEYRING_RECORD__INIT;
		uint8_t wrong[32] = {0}, ref[16] = {0};
		struct buf plain;

		record.case_ref = codec_binary(bytes_make(ref, kind == 1 ? 15 : 16));
		record.group = kind == 2 ? 0 : kind == 3 ? 13 : 1;
		record.author = (char *)(kind == 4 ? "Haiti" : "haiti");
		record.key = codec_binary(
			kind == 5 ? BYTES_ARRAY(wrong) : bytes_make(k, kind == 6 ? 31 : 32));
		buf_init(&plain, 1024);
		codec_pack(&plain, &record);
		value[0] = 1;
		memset(value + 1, 0, 12);
		assert_ok(aead_seal(&key, BYTES_ARRAY(aad), buf_bytes(&plain), value + 13));
		assert_int_equal(keyring_unwrap(BYTES_ARRAY(keyring_key), &kid,
					 bytes_make(value, 13 + plain.size + 16), &back),
			kind == 0 ? OK : ERR_CORRUPT);
		if (kind == 0)
			keyring_entry_release(&back);
		buf_release(&plain);
	}
}

static void bad_entries_are_not_wrapped(void **state)
{
	struct keyring_entry entry = make_entry();
	struct seal_kid kid;
	struct buf value;

	buf_init(&value, 4096);
	entry.group = GROUP_NONE;
	assert_int_equal(keyring_wrap(BYTES_ARRAY(keyring_key), &entry, &value, &kid), ERR_INVALID);
	entry.group = GROUP_VIEWS;
	entry.author[0] = 0;
	assert_int_equal(keyring_wrap(BYTES_ARRAY(keyring_key), &entry, &value, &kid), ERR_INVALID);
	strcpy(entry.author, "hq");
	entry.key.size = 31;
	assert_int_equal(keyring_wrap(BYTES_ARRAY(keyring_key), &entry, &value, &kid), ERR_INVALID);
	entry.key.size = 32;
	assert_ok(keyring_wrap(BYTES_ARRAY(keyring_key), &entry, &value, &kid));
	keyring_entry_release(&entry);
	buf_release(&value);
}

/* The longest names fit; one byte less room does not. */
static void at_the_caps(void **state)
{
	struct keyring_entry entry = make_entry(), back;
	struct seal_kid kid;
	struct buf value, small;

	memset(entry.author, 'a', LIMIT_NODE_NAME);
	memset(entry.origin, 'o', LIMIT_ORIGIN);
	entry.generation = UINT32_MAX;
	buf_init(&value, 4096);
	assert_ok(keyring_wrap(BYTES_ARRAY(keyring_key), &entry, &value, &kid));
	assert_ok(keyring_unwrap(BYTES_ARRAY(keyring_key), &kid, buf_bytes(&value), &back));
	assert_string_equal(back.origin, entry.origin);
	buf_init(&small, value.size - 1);
	assert_int_equal(keyring_wrap(BYTES_ARRAY(keyring_key), &entry, &small, &kid), ERR_LIMIT);
	buf_release(&small);
	keyring_entry_release(&back);
	keyring_entry_release(&entry);
	buf_release(&value);
}

static enum err wrap_and_unwrap(void *arg)
{
	struct keyring_entry entry = {.group = GROUP_CORE, .author = "haiti"}, back = {0};
	struct seal_kid kid;
	struct buf value;
	enum err err;

	buf_init(&value, 4096);
	err = secret_copy(&entry.key, BYTES_ARRAY(k));
	if (err == OK)
		err = keyring_wrap(BYTES_ARRAY(keyring_key), &entry, &value, &kid);
	if (err == OK)
		err = keyring_unwrap(BYTES_ARRAY(keyring_key), &kid, buf_bytes(&value), &back);
	keyring_entry_release(&entry);
	keyring_entry_release(&back);
	buf_release(&value);
	return err;
}

static void allocation_failures(void **state)
{
	torture(wrap_and_unwrap, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(changed_or_moved_is_refused),
		cmocka_unit_test(unsound_record_is_corrupt),
		cmocka_unit_test(bad_entries_are_not_wrapped),
		cmocka_unit_test(at_the_caps),
		cmocka_unit_test(allocation_failures),
	};

	return cmocka_run_group_tests(tests, setup_crypto, teardown_crypto);
}
