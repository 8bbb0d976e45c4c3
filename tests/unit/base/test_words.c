#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/crypto.h"
#include "base/words.h"

/* What the header promises of the list, and that it is the list of BIP-0039: SHA-256 of the file
 * as everybody has it. */
static void test_list(void **state)
{
	static const char published[] =
		"2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda";
	struct buf all;
	struct hash hash;
	char hex[2 * HASH_SIZE + 1];

	buf_init(&all, WORDS_TEXT(WORDS_LIST));
	for (size_t i = 0; i < WORDS_LIST; i++) {
		const char *word = words_at(i);

		assert_true(strlen(word) >= WORDS_LETTERS_MIN && strlen(word) <= WORDS_LETTERS);
		if (i > 0) {
			assert_true(strcmp(words_at(i - 1), word) < 0);
			assert_true(strncmp(words_at(i - 1), word, 4) != 0);
		}
		buf_printf(&all, "%s\n", word);
	}
	assert_int_equal(all.err, OK);
	assert_int_equal(crypto_init(), OK);
	sha256(buf_bytes(&all), &hash);
	crypto_release();
	for (size_t i = 0; i < HASH_SIZE; i++)
		sprintf(hex + 2 * i, "%02x", hash.b[i]);
	assert_string_equal(hex, published);
	buf_release(&all);
}

static void test_find(void **state)
{
	size_t number;

	for (size_t i = 0; i < WORDS_LIST; i++) {
		const char *word = words_at(i);

		assert_int_equal(words_find(bytes_str(word), &number), OK);
		assert_int_equal(number, i);
		for (size_t size = 4; size < strlen(word); size++) {
			assert_int_equal(words_find(bytes_make(word, size), &number), OK);
			assert_int_equal(number, i);
		}
	}
	assert_int_equal(words_find(bytes_str("ABANdon"), &number), OK);
	assert_int_equal(number, 0);
	assert_int_equal(words_find(bytes_str("act"), &number), OK); /* action, actor.. follow */
	assert_string_equal(words_at(number), "act");
}

static void test_find_refused(void **state)
{
	static const char *const bad[] = {"", "a", "ab", "aba", "zo", "zzzz", "abandonx", "abandom",
		"actx", "zooo", "aaaa", "0000", "\xc3\xa9tat", "aban don", "aban-"};
	size_t number = 7;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(words_find(bytes_str(bad[i]), &number), ERR_MALFORMED);
	assert_int_equal(words_find(bytes_make("act\0", 4), &number), ERR_MALFORMED);
	assert_int_equal(words_find(bytes_make("act\0\0\0\0\0\0\0\0", 11), &number), ERR_MALFORMED);
	assert_int_equal(number, 7);
}

static const struct {
	const char *bytes;
	size_t size;
	const char *words;
} VECTORS[] = {
	{"", 0, ""},
	{"\0", 1, "abandon"},
	{"\xff", 1, "yellow"}, /* 11111111 000 */
	{"\0\0\0\0\0\0\0\0\0\0\0", 11,
		"abandon abandon abandon abandon abandon abandon abandon abandon"},
	{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11, "zoo zoo zoo zoo zoo zoo zoo zoo"},
	/* 00000000000 00000000001 00 (0 and 1, and zeros) */
	{"\x00\x00\x04", 3, "abandon ability abandon"},
	/* BIP-0039: 7f.. without its checksum: the words before the last are its own */
	{"\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f", 11,
		"legal winner thank year wave sausage worth useful"},
	{"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 11,
		"letter advice cage absurd amount doctor acoustic avoid"},
};

static void test_vectors(void **state)
{
	uint8_t back[16];
	struct buf out;

	buf_init(&out, 200);
	for (size_t i = 0; i < sizeof(VECTORS) / sizeof(VECTORS[0]); i++) {
		struct bytes bytes = bytes_make(VECTORS[i].bytes, VECTORS[i].size);

		buf_clear(&out);
		words_encode(&out, bytes);
		assert_string_equal(buf_cstr(&out), VECTORS[i].words);
		assert_int_equal(words_decode(buf_bytes(&out), back, bytes.size, NULL), OK);
		assert_memory_equal(back, bytes.data, bytes.size);
	}
	buf_release(&out);
}

static void test_every_size(void **state)
{
	uint8_t data[64], back[64];
	struct buf out;

	buf_init(&out, WORDS_TEXT(WORDS_COUNT(64)));
	for (size_t size = 0; size <= sizeof(data); size++) {
		for (size_t i = 0; i < size; i++)
			data[i] = (uint8_t)(i * 37 + size);
		buf_clear(&out);
		words_encode(&out, bytes_make(data, size));
		assert_int_equal(out.err, OK);
		assert_int_equal(words_decode(buf_bytes(&out), back, size, NULL), OK);
		assert_memory_equal(back, data, size);
	}
	buf_release(&out);
}

static void test_as_people_type(void **state)
{
	uint8_t back[3];

	assert_int_equal(
		words_decode(bytes_str("\n  ABAN\tAbility\r\n abandon  "), back, 3, NULL), OK);
	assert_memory_equal(back, "\0\0\4", 3);
}

static void refused(const char *text, size_t size, const char *why)
{
	uint8_t out[16];
	struct errctx ctx = {""};

	memset(out, 7, sizeof(out));
	assert_int_equal(words_decode(bytes_str(text), out, size, &ctx), ERR_MALFORMED);
	assert_string_equal(ctx.text, why);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(out[i], 0);
	assert_int_equal(out[size], 7);
}

static void test_decode_refused(void **state)
{
	refused("", 3, "0 words, there must be 3");
	refused("abandon ability", 3, "2 words, there must be 3");
	refused("abandon ability abandon zoo", 3, "more words than the 3 there must be");
	refused("abandon abilitty abandon", 3, "word 2, 'abilitty', is none of the list");
	refused("abandon ability aba", 3, "word 3, 'aba', is none of the list");
	refused("ability; abandon abandon", 3, "word 1, 'ability;', is none of the list");
	/* 24 of 33 bits count: nine zeros must be there, so that no two texts are one thing. */
	refused("abandon ability ability", 3, "word 3, 'ability', cannot be the last one");
	refused("zoo", 1, "word 1, 'zoo', cannot be the last one");
	refused("zoo", 0, "more words than the 0 there must be");
}

/* Foreign text in an error is cut and escaped. */
static void test_wrong_word_shown(void **state)
{
	static const char text[] = "\x1b[31m\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct errctx ctx = {""};
	uint8_t out[3];

	assert_int_equal(words_decode(bytes_str(text), out, 3, &ctx), ERR_MALFORMED);
	assert_null(strchr(ctx.text, '\x1b'));
	assert_true(strlen(ctx.text) < 80);
}

static void test_limit(void **state)
{
	struct buf out;

	buf_init(&out, 10);
	words_encode(&out, bytes_make("\0\0\0", 3));
	assert_int_equal(out.err, ERR_LIMIT);
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_find_refused),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_every_size),
		cmocka_unit_test(test_as_people_type),
		cmocka_unit_test(test_decode_refused),
		cmocka_unit_test(test_wrong_word_shown),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
