#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hpke.h"
#include "tests/unit/base/hpke_vectors.h"
#include "tests/unit/base/unhex.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static void assert_hex(struct bytes got, const char *expected)
{
	struct bytes want = unhex(expected);

	assert_int_equal(got.size, want.size);
	assert_memory_equal(got.data, want.data, want.size);
}

static struct x25519_public key_of(const char *hex)
{
	struct x25519_public key;

	memcpy(key.b, unhex(hex).data, sizeof(key.b));
	return key;
}

/* Both ends of appendix A.1.1, down to the key schedule. */
static void both_ends(struct hpke *sender, struct hpke *receiver)
{
	struct x25519_public recipient = key_of(HPKE_PKRM), enc;

	assert_int_equal(hpke_sender(HPKE_AES_128_GCM, &recipient, unhex(HPKE_INFO),
				 unhex(HPKE_SKEM), sender, &enc),
		OK);
	assert_hex(BYTES_ARRAY(enc.b), HPKE_ENC);
	assert_int_equal(
		hpke_receiver(HPKE_AES_128_GCM, unhex(HPKE_SKRM), &enc, unhex(HPKE_INFO), receiver),
		OK);
	unhex_free();
}

static void test_key_schedule(void **state)
{
	struct hpke ends[2];

	both_ends(&ends[0], &ends[1]);
	for (size_t i = 0; i < 2; i++) {
		assert_hex(secret_bytes(&ends[i].key), HPKE_KEY);
		assert_hex(BYTES_ARRAY(ends[i].base_nonce), HPKE_BASE_NONCE);
		assert_hex(secret_bytes(&ends[i].exporter), HPKE_EXPORTER_SECRET);
		hpke_release(&ends[i]);
	}
	unhex_free();
}

static void test_encryptions(void **state)
{
	struct hpke sender, receiver;
	uint8_t sealed[64], plain[64];

	both_ends(&sender, &receiver);
	for (size_t i = 0; i < COUNT_OF(HPKE_ENCRYPTIONS); i++) {
		struct bytes aad = unhex(HPKE_ENCRYPTIONS[i].aad), text = unhex(HPKE_PLAIN);

		sender.sequence = receiver.sequence = HPKE_ENCRYPTIONS[i].sequence;
		assert_int_equal(hpke_context_seal(&sender, aad, text, sealed), OK);
		assert_hex(
			bytes_make(sealed, text.size + AEAD_TAG_SIZE), HPKE_ENCRYPTIONS[i].sealed);
		assert_int_equal(hpke_context_open(&receiver, aad,
					 bytes_make(sealed, text.size + AEAD_TAG_SIZE), plain),
			OK);
		assert_memory_equal(plain, text.data, text.size);
		assert_int_equal(receiver.sequence, HPKE_ENCRYPTIONS[i].sequence + 1);
		unhex_free();
	}
	sender.sequence = UINT64_MAX;
	assert_int_equal(hpke_context_seal(&sender, BYTES_NONE, BYTES_NONE, sealed), ERR_LIMIT);
	hpke_release(&sender);
	hpke_release(&receiver);
}

static void test_exports(void **state)
{
	struct hpke sender, receiver;
	uint8_t value[32], large[255 * HASH_SIZE + 1];

	both_ends(&sender, &receiver);
	for (size_t i = 0; i < COUNT_OF(HPKE_EXPORTS); i++) {
		struct bytes context = unhex(HPKE_EXPORTS[i].context);

		assert_int_equal(hpke_export(&sender, context, value, sizeof(value)), OK);
		assert_hex(BYTES_ARRAY(value), HPKE_EXPORTS[i].value);
		assert_int_equal(hpke_export(&receiver, context, value, sizeof(value)), OK);
		assert_hex(BYTES_ARRAY(value), HPKE_EXPORTS[i].value);
		unhex_free();
	}
	assert_int_equal(hpke_export(&sender, BYTES_NONE, large, sizeof(large) - 1), OK);
	assert_int_equal(hpke_export(&sender, BYTES_NONE, large, sizeof(large)), ERR_LIMIT);
	hpke_release(&sender);
	hpke_release(&receiver);
}

enum { TEXT_SIZE = 100, SEALED_SIZE = TEXT_SIZE + HPKE_OVERHEAD };

/* One message to the vectors' recipient. */
static void seal_text(const uint8_t *text, uint8_t *ret)
{
	struct x25519_public recipient = key_of(HPKE_PKRM);

	assert_int_equal(hpke_seal(&recipient, bytes_str("info"), bytes_str("aad"),
				 bytes_make(text, TEXT_SIZE), unhex(HPKE_SKEM), ret),
		OK);
}

static void test_single_shot(void **state)
{
	uint8_t text[TEXT_SIZE], sealed[SEALED_SIZE], plain[TEXT_SIZE];
	struct bytes key = unhex(HPKE_SKRM);

	memset(text, 'x', sizeof(text));
	seal_text(text, sealed);
	assert_int_equal(
		hpke_open(key, bytes_str("info"), bytes_str("aad"), BYTES_ARRAY(sealed), plain),
		OK);
	assert_memory_equal(plain, text, TEXT_SIZE);
	assert_int_equal(
		hpke_open(key, bytes_str("inf0"), bytes_str("aad"), BYTES_ARRAY(sealed), plain),
		ERR_DECRYPT);
	assert_int_equal(
		hpke_open(key, bytes_str("info"), bytes_str("aae"), BYTES_ARRAY(sealed), plain),
		ERR_DECRYPT);
	assert_int_equal(hpke_open(unhex(HPKE_SKEM), bytes_str("info"), bytes_str("aad"),
				 BYTES_ARRAY(sealed), plain),
		ERR_DECRYPT);
	unhex_free();
}

/* No flipped bit and no cut is opened. */
static void test_tampered(void **state)
{
	uint8_t text[TEXT_SIZE] = {0}, sealed[SEALED_SIZE], plain[TEXT_SIZE];
	struct bytes key = unhex(HPKE_SKRM);

	seal_text(text, sealed);
	for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
		enum err err;

		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		err = hpke_open(
			key, bytes_str("info"), bytes_str("aad"), BYTES_ARRAY(sealed), plain);
		assert_true(err == ERR_DECRYPT || err == ERR_UNTRUSTED);
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t size = 0; size < sizeof(sealed); size++)
		assert_int_equal(hpke_open(key, bytes_str("info"), bytes_str("aad"),
					 bytes_make(sealed, size), plain),
			ERR_DECRYPT);
	unhex_free();
}

static void test_bad_keys(void **state)
{
	struct x25519_public zeros = {{0}}, one = {{1}}, good = key_of(HPKE_PKRM), enc;
	uint8_t sealed[SEALED_SIZE] = {0}, plain[TEXT_SIZE];
	struct hpke hpke;
	struct bytes key = unhex(HPKE_SKEM);

	assert_int_equal(
		hpke_sender(HPKE_AES_256_GCM, &zeros, BYTES_NONE, key, &hpke, &enc), ERR_UNTRUSTED);
	assert_int_equal(
		hpke_sender(HPKE_AES_256_GCM, &one, BYTES_NONE, key, &hpke, &enc), ERR_UNTRUSTED);
	assert_int_equal(
		hpke_open(key, BYTES_NONE, BYTES_NONE, BYTES_ARRAY(sealed), plain), ERR_UNTRUSTED);
	assert_int_equal(hpke_sender(HPKE_AES_256_GCM, &good, BYTES_NONE, bytes_make(key.data, 31),
				 &hpke, &enc),
		ERR_INVALID);
	assert_int_equal(
		hpke_receiver(HPKE_AES_256_GCM, BYTES_NONE, &good, BYTES_NONE, &hpke), ERR_INVALID);
	unhex_free();
}

static int setup(void **state)
{
	return crypto_init() == OK ? 0 : -1;
}

static int teardown(void **state)
{
	crypto_release();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key_schedule),
		cmocka_unit_test(test_encryptions),
		cmocka_unit_test(test_exports),
		cmocka_unit_test(test_single_shot),
		cmocka_unit_test(test_tampered),
		cmocka_unit_test(test_bad_keys),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
