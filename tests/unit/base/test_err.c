#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/err.h"

static void test_names(void **state)
{
	static const enum err codes[] = {OK,
#define X(code, name, text) code,
		ERR_CODES(X)
#undef X
	};
	size_t count = sizeof(codes) / sizeof(codes[0]);

	for (size_t i = 0; i < count; i++) {
		assert_string_not_equal(err_name(codes[i]), "unknown");
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(err_name(codes[i]), err_name(codes[k]));
	}
	assert_string_equal(err_name(ERR_MALFORMED), "malformed");
	assert_string_equal(err_text(ERR_MALFORMED), "malformed data");
	assert_string_equal(err_name((enum err)9999), "unknown");
	assert_string_equal(err_text((enum err) - 1), "unknown error");
}

static void test_set_and_wrap(void **state)
{
	struct errctx ctx = {""};

	assert_int_equal(err_set(&ctx, ERR_FULL, "map full: %d bytes free", 0), ERR_FULL);
	assert_string_equal(ctx.text, "map full: 0 bytes free");
	assert_int_equal(err_wrap(&ctx, ERR_FULL, "open log '%s'", "haiti/1"), ERR_FULL);
	assert_string_equal(ctx.text, "open log 'haiti/1': map full: 0 bytes free");
	/* Replaces, does not append. */
	err_set(&ctx, ERR_IO, "gone");
	assert_string_equal(ctx.text, "gone");
}

static void test_wrap_of_nothing(void **state)
{
	struct errctx ctx = {""};

	assert_int_equal(err_wrap(&ctx, ERR_PROOF, "batch %d", 3), ERR_PROOF);
	assert_string_equal(ctx.text, "batch 3: proof does not verify");
}

static void test_own_text_as_argument(void **state)
{
	struct errctx ctx = {"inner"};

	err_set(&ctx, ERR_IO, "<%s>", ctx.text);
	assert_string_equal(ctx.text, "<inner>");
	err_wrap(&ctx, ERR_IO, "%s", ctx.text);
	assert_string_equal(ctx.text, "<inner>: <inner>");
}

static void test_null_ctx(void **state)
{
	struct errctx silent = {""};

	assert_int_equal(err_set(NULL, ERR_IO, "x"), ERR_IO);
	assert_int_equal(err_wrap(NULL, ERR_IO, "x"), ERR_IO);
	assert_string_equal(err_message(NULL, ERR_IO), "input/output error");
	assert_string_equal(err_message(&silent, ERR_IO), "input/output error");
	err_set(&silent, ERR_IO, "said");
	assert_string_equal(err_message(&silent, ERR_IO), "said");
}

static void test_cut_when_too_long(void **state)
{
	enum { ROOM = sizeof(((struct errctx *)0)->text) - 1 };
	struct errctx ctx;
	char text[ROOM + 3];

	memset(text, 'a', sizeof(text));
	for (size_t size = ROOM - 2; size <= ROOM + 2; size++) {
		text[size] = '\0';
		err_set(&ctx, ERR_IO, "%s", text);
		assert_int_equal(strlen(ctx.text), size < ROOM ? size : ROOM);
		err_wrap(&ctx, ERR_IO, "bb");
		assert_int_equal(strlen(ctx.text), ROOM);
		assert_memory_equal(ctx.text, "bb: aaa", 7);
		/* Also a prefix that leaves no room. */
		err_wrap(&ctx, ERR_IO, "%s", text);
		assert_true(strlen(ctx.text) == ROOM);
		text[size] = 'a';
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_set_and_wrap),
		cmocka_unit_test(test_wrap_of_nothing),
		cmocka_unit_test(test_own_text_as_argument),
		cmocka_unit_test(test_null_ctx),
		cmocka_unit_test(test_cut_when_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
