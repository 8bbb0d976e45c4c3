/* How well something is held, in words: each state has its own, and "safe" needs all of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "server/safe_state.h"

static void words(void **state)
{
	static const struct {
		struct safe_state is;
		const char *words;
	} cases[] = {
		{{0, 2, false, true, false, SAFE_KEYS_NONE}, "durable here"},
		{{0, 1, false, true, false, SAFE_KEYS_ESCROWED}, "durable here"},
		{{1, 2, false, true, false, SAFE_KEYS_UNKNOWN}, "held by 1 of 2"},
		{{1, 2, false, false, true, SAFE_KEYS_WAITING}, "held by 1 of 2"},
		{{2, 2, true, false, true, SAFE_KEYS_NONE}, "held by 2 of 2, not by the policy"},
		{{5, 2, true, false, true, SAFE_KEYS_NONE},
			"held by 5, 2 needed, not by the policy"},
		{{2, 2, true, false, true, SAFE_KEYS_WAITING}, "held by 2 of 2, not by the policy"},
		{{2, 2, true, true, true, SAFE_KEYS_WAITING},
			"held by 2 of 2, keys not in escrow yet"},
		{{2, 2, true, true, false, SAFE_KEYS_UNKNOWN},
			"held by 2 of 2, keys not looked at"},
		{{2, 2, true, true, false, SAFE_KEYS_NONE}, "safe"},
		{{3, 2, true, true, true, SAFE_KEYS_ESCROWED}, "safe"},
		{{UINT16_MAX, 1, true, true, false, SAFE_KEYS_NONE}, "safe"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[SAFE_WORDS_SIZE];

		safe_words(&cases[i].is, text);
		assert_string_equal(text, cases[i].words);
		assert_int_equal(safe_is(&cases[i].is), strcmp(cases[i].words, "safe") == 0);
	}
}

/* The longest fits: 64 is the largest quorum, and nothing is cut. */
static void longest(void **state)
{
	struct safe_state is = {128, 64, true, true, false, SAFE_KEYS_WAITING};
	char text[SAFE_WORDS_SIZE];

	safe_words(&is, text);
	assert_string_equal(text, "held by 128, 64 needed, keys not in escrow yet");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(words), cmocka_unit_test(longest)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
