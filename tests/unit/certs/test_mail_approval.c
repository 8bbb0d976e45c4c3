/* Questions for a second officer, and what they say: form alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "certs/mail_approval.h"
#include "certs_test.h"

static struct mail_approval_asked question(void)
{
	return (struct mail_approval_asked){.id = {1, 2, 3},
		.kind = 1,
		.to = "rdc",
		.reason = "zz lorem",
		.legal_basis = "",
		.officer = "ada",
		.groups = 1u << 6,
		.asked_at = 1767225600};
}

static enum err through(const struct mail_approval_asked *asked, struct arena *arena,
	struct mail_approval_asked *ret)
{
	struct errctx ctx = {""};
	struct buf body;
	enum err err;

	buf_init(&body, 64 * 1024);
	err = mail_approval_asked_write(&body, asked);
	if (err == OK)
		err = mail_approval_asked_read(buf_bytes(&body), arena, ret, &ctx);
	buf_release(&body);
	return err;
}

static void refuses(const struct mail_approval_asked *asked)
{
	CLEANUP(arena_release) struct arena arena;
	struct mail_approval_asked back;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_int_equal(through(asked, &arena, &back), ERR_MALFORMED);
}

static void test_question(void **state)
{
	CLEANUP(arena_release) struct arena arena;
	struct mail_approval_asked asked = question(), back;
	char longest[LIMIT_PURPOSE + 2];

	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_int_equal(through(&asked, &arena, &back), OK);
	assert_memory_equal(back.id, asked.id, sizeof(asked.id));
	assert_string_equal(back.to, "rdc");
	assert_string_equal(back.officer, "ada");
	assert_int_equal(back.groups, asked.groups);
	asked.officer = "ada@hq"; /* whose it is, the signature says */
	refuses(&asked);
	asked = question();
	asked.reason = "";
	refuses(&asked);
	asked.reason = "line\nbreak";
	refuses(&asked);
	asked.reason = "\xff\xfe";
	refuses(&asked);
	memset(longest, 'x', sizeof(longest));
	longest[LIMIT_PURPOSE + 1] = '\0';
	asked.reason = longest;
	refuses(&asked);
	longest[LIMIT_PURPOSE] = '\0';
	assert_int_equal(through(&asked, &arena, &back), OK);
	asked = question();
	asked.groups = 0;
	refuses(&asked);
	asked = question();
	asked.kind = 0;
	refuses(&asked);
}

static void test_answer(void **state)
{
	CLEANUP(arena_release) struct arena arena;
	struct mail_approval answer = {
		.id = {4}, .asked = {{5}}, .approved = true, .officer = "bo", .at = 7};
	struct mail_approval back;
	struct errctx ctx = {""};
	struct buf body;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	buf_init(&body, 4096);
	assert_int_equal(mail_approval_write(&body, &answer), OK);
	assert_int_equal(mail_approval_read(buf_bytes(&body), &arena, &back, &ctx), OK);
	assert_true(back.approved);
	assert_string_equal(back.officer, "bo");
	assert_true(hash_equal(&back.asked, &answer.asked));
	for (size_t cut = 1; cut < body.size; cut++)
		assert_true(mail_approval_read(bytes_make(body.data, body.size - cut), &arena,
				    &back, &ctx) != OK ||
			    back.officer[0] != '\0');
	buf_clear(&body);
	answer.officer = "bo@hq";
	assert_int_equal(mail_approval_write(&body, &answer), OK);
	assert_int_equal(mail_approval_read(buf_bytes(&body), &arena, &back, &ctx), ERR_MALFORMED);
	assert_int_equal(mail_approval_read(BYTES_NONE, &arena, &back, &ctx), ERR_MALFORMED);
	buf_release(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_question),
		cmocka_unit_test(test_answer),
	};

	return crypto_init() != OK || cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
