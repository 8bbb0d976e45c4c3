#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/words.h"
#include "certs/recovery.h"
#include "certs_test.h"

static const uint8_t private_key[32] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

static struct recovery_share shares[RECOVERY_SHARES];

static void split(void)
{
	assert_int_equal(recovery_split(BYTES_ARRAY(private_key), shares), OK);
}

static void release(void)
{
	for (size_t i = 0; i < RECOVERY_SHARES; i++)
		recovery_share_release(&shares[i]);
}

static void any_two_give_the_key(void **state)
{
	struct errctx ctx = {""};
	struct secret key = {0};

	split();
	for (size_t a = 0; a < RECOVERY_SHARES; a++)
		for (size_t b = 0; b < RECOVERY_SHARES; b++) {
			enum err err = recovery_join(&shares[a], &shares[b], &key, &ctx);

			assert_int_equal(err, a == b ? ERR_EXISTS : OK);
			if (a == b)
				continue;
			assert_memory_equal(key.data, private_key, sizeof(private_key));
			secret_release(&key);
		}
	release();
}

/* Each splitting of one key gives another first share, and beside a first share every byte of a
 * second one gives another key: none is excluded by what the first one holds. */
static void one_alone_says_nothing(void **state)
{
	struct recovery_share first = {.number = 0};
	unsigned same = 0;

	split();
	assert_int_equal(secret_copy(&first.share, secret_bytes(&shares[0].share)), OK);
	release();
	split();
	for (size_t i = 0; i < X25519_KEY_SIZE; i++)
		same += first.share.data[i] == shares[0].share.data[i];
	assert_true(same < 8);
	for (unsigned guess = 0; guess < 256; guess++) {
		struct recovery_share second = {.number = 2};
		struct secret key = {0};

		assert_int_equal(secret_copy(&second.share, secret_bytes(&shares[1].share)), OK);
		second.set = shares[0].set;
		second.share.data[1] = (uint8_t)guess;
		assert_int_equal(recovery_join(&shares[0], &second, &key, NULL),
			guess == shares[1].share.data[1] ? OK : ERR_UNTRUSTED);
		secret_release(&key);
		recovery_share_release(&second);
	}
	recovery_share_release(&first);
	release();
}

static void a_made_up_share_is_noticed(void **state)
{
	struct recovery_share made = {.number = 3};
	struct errctx ctx = {""};
	struct secret key = {0};

	split();
	made.set = shares[0].set;
	assert_int_equal(secret_random(&made.share, X25519_KEY_SIZE), OK);
	assert_int_equal(recovery_join(&shares[0], &made, &key, &ctx), ERR_UNTRUSTED);
	assert_non_null(strstr(ctx.text, "shares 1 and 3 do not give the key"));
	made.set.b[0] ^= 1;
	assert_int_equal(recovery_join(&shares[0], &made, &key, &ctx), ERR_UNTRUSTED);
	assert_non_null(strstr(ctx.text, "different sets"));
	assert_null(key.data);
	recovery_share_release(&made);
	release();
}

/* ---- text ---- */

static uint16_t words[RECOVERY_WORDS];

static const char *text_of(void)
{
	static char text[RECOVERY_TEXT_MAX];
	size_t size = 0;

	for (size_t i = 0; i < RECOVERY_WORDS; i++)
		size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%s",
			i == 0       ? ""
			: i % 4 == 0 ? "\n"
				     : " ",
			words_at(words[i]));
	return text;
}

static void assert_share(const char *text, const struct recovery_share *expected)
{
	struct recovery_share back = {.number = 0};
	struct errctx ctx = {""};

	assert_int_equal(recovery_read(bytes_str(text), &back, &ctx), OK);
	assert_int_equal(back.number, expected->number);
	assert_memory_equal(back.set.b, expected->set.b, RECOVERY_SET_SIZE);
	assert_memory_equal(back.share.data, expected->share.data, X25519_KEY_SIZE);
	recovery_share_release(&back);
}

static void assert_refused(const char *text, enum err error, const char *why)
{
	struct recovery_share back = {.number = 0};
	struct errctx ctx = {""};

	assert_int_equal(recovery_read(bytes_str(text), &back, &ctx), error);
	if (strstr(ctx.text, why) == NULL)
		fail_msg("'%s' does not say '%s'", ctx.text, why);
	assert_null(back.share.data);
}

static void words_and_payload(void **state)
{
	char text[RECOVERY_TEXT_MAX] = "";
	struct buf payload;

	split();
	buf_init(&payload, 256);
	for (size_t n = 0; n < RECOVERY_SHARES; n++) {
		assert_int_equal(recovery_words(&shares[n], words), OK);
		assert_share(text_of(), &shares[n]);
		buf_clear(&payload);
		assert_int_equal(recovery_payload(&shares[n], &payload), OK);
		assert_share(buf_cstr(&payload), &shares[n]);
	}
	/* As it is printed: with the numbers of the rows; and as people type: upper case. */
	for (size_t i = 0; i < RECOVERY_WORDS; i++) {
		if (i % 4 == 0)
			sprintf(text + strlen(text), "\n  %zu.", i / 4 + 1);
		sprintf(text + strlen(text), "   %s", words_at(words[i]));
	}
	for (char *c = text; *c != '\0'; c++)
		*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
	assert_share(text, &shares[2]);
	buf_release(&payload);
	release();
}

/* Every wrong word is named, wherever it stands. */
static void names_the_wrong_word(void **state)
{
	char why[80];

	split();
	for (size_t i = 0; i < RECOVERY_WORDS; i++) {
		assert_int_equal(recovery_words(&shares[i % 3], words), OK);
		snprintf(why, sizeof(why),
			"word %zu is not the one that was printed: look whether it is '%s'", i + 1,
			words_at(words[i]));
		words[i] = (uint16_t)((words[i] + 1 + 7 * i) % WORDS_LIST);
		assert_refused(text_of(), ERR_MALFORMED, why);
	}
	release();
}

static void names_words_that_changed_places(void **state)
{
	char why[80];

	split();
	assert_int_equal(recovery_words(&shares[1], words), OK);
	for (size_t i = 0; i < RECOVERY_WORDS; i++)
		for (size_t j = i + 1; j < RECOVERY_WORDS; j++) {
			uint16_t kept = words[i];

			if (words[i] == words[j])
				continue;
			words[i] = words[j], words[j] = kept;
			snprintf(why, sizeof(why), "words %zu and %zu have changed places", i + 1,
				j + 1);
			assert_refused(text_of(), ERR_MALFORMED, why);
			words[j] = words[i], words[i] = kept;
		}
	words[3] ^= 1, words[9] ^= 2;
	assert_refused(text_of(), ERR_MALFORMED, "more than one word");
	release();
}

static void refuses_what_is_no_share(void **state)
{
	char text[RECOVERY_TEXT_MAX + 2];
	struct buf payload;

	split();
	buf_init(&payload, 256);
	assert_int_equal(recovery_words(&shares[0], words), OK);
	assert_refused("", ERR_MALFORMED, "0 words, and a share has 32");
	strcpy(text, text_of());
	strcat(text, " abandon");
	assert_refused(text, ERR_MALFORMED, "more than the 32 words");
	*strrchr(text, ' ') = '\0';
	*strrchr(text, ' ') = '\0';
	assert_refused(text, ERR_MALFORMED, "31 words");
	strcat(text, " hunter2secret");
	assert_refused(text, ERR_MALFORMED, "word 32 is none of the list");
	memset(text, ' ', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_refused(text, ERR_LIMIT, "4096 bytes");
	assert_int_equal(recovery_payload(&shares[0], &payload), OK);
	snprintf(text, sizeof(text), "%s", buf_cstr(&payload));
	for (size_t i = strlen("SAUTI1:"); text[i] != '\0'; i++) {
		char kept = text[i];

		text[i] = kept == '0' ? '1' : '0';
		assert_refused(text, ERR_MALFORMED, "no share");
		text[i] = kept;
	}
	strcat(text, " x");
	assert_refused(text, ERR_MALFORMED, "behind the code");
	assert_refused("SAUTI1:00", ERR_MALFORMED, "82 characters");
	buf_release(&payload);
	release();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_two_give_the_key),
		cmocka_unit_test(one_alone_says_nothing),
		cmocka_unit_test(a_made_up_share_is_noticed),
		cmocka_unit_test(words_and_payload),
		cmocka_unit_test(names_the_wrong_word),
		cmocka_unit_test(names_words_that_changed_places),
		cmocka_unit_test(refuses_what_is_no_share),
	};

	return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
