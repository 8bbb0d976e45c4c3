#include "cases_test.h"

#include "cases/keys/fingerprint.h"

static struct ed25519_public key_of(uint8_t byte)
{
	struct ed25519_public key;

	memset(key.b, byte, sizeof(key.b));
	return key;
}

/* Computed once by another program: python3, hashlib and the list of words. */
static void vector(void **state)
{
	struct ed25519_public key = key_of(0x42);
	struct fingerprint f;

	fingerprint_make("ovra.example", "haiti", &key, &f);
	assert_string_equal(f.text, "knock sting artist family whip capable exit inside");
}

/* Name, network and key all count, and no boundary between them can be moved. */
static void all_of_it_counts(void **state)
{
	static const struct {
		const char *network, *name;
		uint8_t key;
	} others[] = {{"ovra.example", "haitj", 0x42}, {"ovrb.example", "haiti", 0x42},
		{"ovra.example", "haiti", 0x43}, {"ovra.exampleh", "aiti", 0x42},
		{"ovra.exampl", "ehaiti", 0x42}};
	struct ed25519_public key = key_of(0x42);
	struct fingerprint f, other;

	fingerprint_make("ovra.example", "haiti", &key, &f);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		key = key_of(others[i].key);
		fingerprint_make(others[i].network, others[i].name, &key, &other);
		assert_string_not_equal(f.text, other.text);
		assert_int_equal(
			fingerprint_compare(&f, bytes_str(other.text), NULL), ERR_UNTRUSTED);
	}
}

static void longest_names_fit(void **state)
{
	struct ed25519_public key = key_of(1);
	char network[LIMIT_NETWORK_NAME + 1], name[LIMIT_NODE_NAME + 1];
	struct fingerprint f;

	memset(network, 'n', LIMIT_NETWORK_NAME);
	memset(name, 'n', LIMIT_NODE_NAME);
	network[LIMIT_NETWORK_NAME] = name[LIMIT_NODE_NAME] = '\0';
	fingerprint_make(network, name, &key, &f);
	assert_int_equal(fingerprint_compare(&f, bytes_str(f.text), NULL), OK);
}

static void as_it_was_heard(void **state)
{
	struct ed25519_public key = key_of(0x42);
	struct errctx ctx = {""};
	struct fingerprint f;
	char heard[2 * sizeof(f.text)];

	fingerprint_make("ovra.example", "haiti", &key, &f);
	assert_int_equal(fingerprint_compare(&f, bytes_str(f.text), &ctx), OK);
	snprintf(heard, sizeof(heard), "  %s\n", f.text);
	heard[2] = (char)(heard[2] - 'a' + 'A');
	assert_int_equal(fingerprint_compare(&f, bytes_str(heard), &ctx), OK);

	*strrchr(f.text, ' ') = '\0'; /* seven */
	assert_int_equal(fingerprint_compare(&f, bytes_str(f.text), &ctx), ERR_MALFORMED);
	assert_string_equal(ctx.text, "7 words, there must be 8");
	snprintf(heard, sizeof(heard), "%s wrongly", f.text);
	assert_int_equal(fingerprint_compare(&f, bytes_str(heard), &ctx), ERR_MALFORMED);
	assert_string_equal(ctx.text, "word 8, 'wrongly', is none of the list");
	assert_int_equal(fingerprint_compare(&f, BYTES_NONE, &ctx), ERR_MALFORMED);
}

/* One word, any of the eight, makes it another key. */
static void every_word_counts(void **state)
{
	struct ed25519_public key = key_of(0x42);
	struct fingerprint f;

	fingerprint_make("ovra.example", "haiti", &key, &f);
	for (size_t i = 0; i < FINGERPRINT_SIZE; i++) {
		struct fingerprint other = f;
		struct buf words;

		other.b[i] ^= 1;
		buf_init(&words, sizeof(f.text));
		words_encode(&words, BYTES_ARRAY(other.b));
		assert_int_equal(fingerprint_compare(&f, buf_bytes(&words), NULL), ERR_UNTRUSTED);
		buf_release(&words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vector),
		cmocka_unit_test(all_of_it_counts),
		cmocka_unit_test(longest_names_fit),
		cmocka_unit_test(as_it_was_heard),
		cmocka_unit_test(every_word_counts),
	};

	return cmocka_run_group_tests(tests, setup_crypto, teardown_crypto);
}
