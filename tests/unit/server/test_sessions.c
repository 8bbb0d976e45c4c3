#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/crypto.h"
#include "server/officers/sessions.h"

enum { IDLE = 1000, ABSOLUTE = 5000 };

struct token {
	uint8_t b[SESSION_TOKEN_SIZE];
};

static int told;

static void on_last(void *arg)
{
	assert_ptr_equal(arg, &told);
	told++;
}

static struct sessions *make(void)
{
	struct sessions_opts opts = {IDLE, ABSOLUTE, on_last, &told};
	struct sessions *sessions;

	told = 0;
	assert_int_equal(sessions_new(&opts, &sessions), OK);
	return sessions;
}

static struct token begin(struct sessions *sessions, const char *name, uint64_t now)
{
	struct token token;

	assert_int_equal(
		sessions_begin(sessions, name, ACCOUNT_OFFICER, now, 1700000000, token.b), OK);
	return token;
}

static bool is(struct sessions *sessions, const struct token *token, uint64_t now, const char *name)
{
	const struct officer_session *session =
		sessions_find(sessions, BYTES_ARRAY(token->b), now, true);

	return session != NULL && strcmp(session->name, name) == 0;
}

static void a_token_is_its_officer(void **state)
{
	struct sessions *sessions = make();
	struct token amina = begin(sessions, "amina", 0), paul = begin(sessions, "paul", 0), other;

	assert_true(is(sessions, &amina, 1, "amina"));
	assert_true(is(sessions, &paul, 1, "paul"));
	/* No other bytes are. */
	for (size_t i = 0; i < 8 * sizeof(other.b); i++) {
		other = amina;
		other.b[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_null(sessions_find(sessions, BYTES_ARRAY(other.b), 1, true));
	}
	for (size_t size = 0; size < SESSION_TOKEN_SIZE; size++)
		assert_null(sessions_find(sessions, bytes_make(amina.b, size), 1, true));
	assert_null(sessions_find(sessions, BYTES_NONE, 1, true));
	sessions_free(sessions);
}

/* Used again and again it lasts, but not for ever. */
static void the_two_limits(void **state)
{
	struct sessions *sessions = make();
	struct token token = begin(sessions, "amina", 100);

	assert_int_equal(sessions_expire(sessions, 100), IDLE);
	assert_true(is(sessions, &token, 100 + IDLE - 1, "amina"));
	for (uint64_t now = 100 + IDLE; now < 100 + ABSOLUTE; now += IDLE / 2)
		assert_true(is(sessions, &token, now, "amina"));
	assert_true(is(sessions, &token, 100 + ABSOLUTE - 1, "amina"));
	assert_int_equal(told, 0);
	assert_false(is(sessions, &token, 100 + ABSOLUTE, "amina"));
	assert_int_equal(told, 1);
	token = begin(sessions, "amina", 10000);
	assert_false(is(sessions, &token, 10000 + IDLE, "amina"));
	assert_int_equal(told, 2);
	assert_int_equal(sessions_expire(sessions, 20000), 0);
	assert_int_equal(told, 2);
	/* What a program asks by itself keeps nobody logged in. */
	token = begin(sessions, "amina", 30000);
	assert_non_null(sessions_find(sessions, BYTES_ARRAY(token.b), 30000 + IDLE - 1, false));
	assert_null(sessions_find(sessions, BYTES_ARRAY(token.b), 30000 + IDLE, false));
	sessions_free(sessions);
}

static void ended_by_hand(void **state)
{
	struct sessions *sessions = make();
	struct token a = begin(sessions, "amina", 0), b = begin(sessions, "amina", 0),
		     c = begin(sessions, "paul", 0);

	sessions_end(sessions, BYTES_ARRAY(a.b));
	assert_false(is(sessions, &a, 1, "amina"));
	assert_true(is(sessions, &b, 1, "amina"));
	sessions_end_officer(sessions, "amina");
	assert_false(is(sessions, &b, 1, "amina"));
	assert_true(is(sessions, &c, 1, "paul"));
	assert_int_equal(told, 0);
	sessions_end(sessions, BYTES_ARRAY(c.b));
	sessions_end(sessions, BYTES_ARRAY(c.b));
	assert_int_equal(told, 1);
	/* Whoever locks knows it. */
	c = begin(sessions, "paul", 0);
	sessions_end_all(sessions);
	assert_false(is(sessions, &c, 1, "paul"));
	assert_null(sessions_at(sessions, 0));
	assert_int_equal(told, 1);
	sessions_free(sessions);
}

/* At the cap of one officer the one that was not used for longest gives way; all caps together. */
static void as_many_as_may_be(void **state)
{
	struct sessions *sessions = make();
	struct token tokens[LIMIT_OFFICER_SESSIONS + 1], spare;
	char name[16];
	size_t count = 0;

	for (uint64_t i = 0; i < LIMIT_OFFICER_SESSIONS; i++)
		tokens[i] = begin(sessions, "amina", i);
	assert_true(is(sessions, &tokens[0], 20, "amina"));
	tokens[LIMIT_OFFICER_SESSIONS] = begin(sessions, "amina", 30);
	assert_true(is(sessions, &tokens[0], 31, "amina"));
	assert_false(is(sessions, &tokens[1], 31, "amina"));
	assert_true(is(sessions, &tokens[LIMIT_OFFICER_SESSIONS], 31, "amina"));
	for (size_t i = LIMIT_OFFICER_SESSIONS; i < LIMIT_SESSIONS; i++) {
		snprintf(name, sizeof(name), "o%zu", i);
		spare = begin(sessions, name, 40);
	}
	assert_true(is(sessions, &spare, 41, name));
	while (sessions_at(sessions, count) != NULL)
		count++;
	assert_int_equal(count, LIMIT_SESSIONS);
	assert_int_equal(
		sessions_begin(sessions, "one-more", ACCOUNT_OFFICER, 42, 0, spare.b), ERR_LIMIT);
	spare = begin(sessions, "amina", 43);
	assert_true(is(sessions, &spare, 43, "amina"));
	sessions_free(sessions);
	sessions_free(NULL);
}

static int setup(void **state)
{
	return crypto_init();
}

static int teardown(void **state)
{
	crypto_release();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_is_its_officer),
		cmocka_unit_test(the_two_limits),
		cmocka_unit_test(ended_by_hand),
		cmocka_unit_test(as_many_as_may_be),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
