#include "cases_test.h"

#include "cases/event/case_code.h"

static const char alphabet[] = "23456789CDFHJKMNPQRTVWX";

static void known_answers(void **state)
{
	static const uint8_t random[4] = {0, 0, 0, 0}, other[4] = {0xde, 0xad, 0xbe, 0xef};
	char code[CASE_CODE_SIZE + 1];

	/* HTI = 7, 19, 8; weights 1 2 3: 7 + 38 + 24 = 69 = 0 modulo 23; zeros add nothing */
	assert_ok(case_code_make(bytes_str("HTI"), random, code));
	assert_string_equal(code, "HTI-2222-2");
	assert_ok(case_code_make(bytes_str("CAF"), other, code));
	assert_int_equal(case_code_check(bytes_str(code)), CASE_CODE_GOOD);
	/* the example of the header: 69 + 4 * 5 + 5 * 13 + 6 * 1 + 7 * 17 = 279 = 3 */
	assert_int_equal(case_code_check(bytes_str("HTI-7K3Q-5")), CASE_CODE_GOOD);
	assert_int_equal(case_code_make(bytes_str("HT"), random, code), ERR_INVALID);
	assert_int_equal(case_code_make(bytes_str("hti"), random, code), ERR_INVALID);
}

static void every_slip_is_found(void **state)
{
	char code[CASE_CODE_SIZE + 1];

	for (uint32_t n = 0; n < 200; n++) {
		uint8_t random[4];

		put_u32be(random, n * 2654435761u);
		assert_ok(case_code_make(bytes_str("COD"), random, code));
		assert_int_equal(case_code_check(bytes_str(code)), CASE_CODE_GOOD);
		for (size_t at = 4; at < CASE_CODE_SIZE; at++) {
			char was = code[at];

			for (const char *c = alphabet; at != 8 && *c != 0; c++) {
				code[at] = *c;
				assert_int_equal(case_code_check(bytes_str(code)),
					*c == was ? CASE_CODE_GOOD : CASE_CODE_WRONG);
			}
			code[at] = was;
		}
		for (size_t at = 4; at < 7; at++) {
			char a = code[at], b = code[at + 1];

			code[at] = b;
			code[at + 1] = a;
			assert_int_equal(case_code_check(bytes_str(code)),
				a == b ? CASE_CODE_GOOD : CASE_CODE_WRONG);
			code[at] = a;
			code[at + 1] = b;
		}
	}
}

static void other_codes_are_taken(void **state)
{
	char normal[CASE_CODE_MAX + 1];

	assert_int_equal(case_code_check(bytes_str("ZZ-HTI-7K3Q-2")), CASE_CODE_FOREIGN);
	assert_int_equal(case_code_check(bytes_str("hti-2222-2")), CASE_CODE_GOOD);
	assert_int_equal(case_code_check(bytes_str("HTI-2O22-2")), CASE_CODE_WRONG);
	assert_int_equal(case_code_check(bytes_str("")), CASE_CODE_INVALID);
	assert_int_equal(case_code_check(bytes_str("A B")), CASE_CODE_INVALID);
	assert_int_equal(case_code_check(bytes_str("A\"B")), CASE_CODE_INVALID);
	assert_ok(case_code_normal(bytes_str("zz-abcdefghijklmnopqrstuvwxyz012"), normal));
	assert_string_equal(normal, "ZZ-ABCDEFGHIJKLMNOPQRSTUVWXYZ012");
	assert_int_equal(case_code_normal(bytes_str("zz-abcdefghijklmnopqrstuvwxyz0123"), normal),
		ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(every_slip_is_found),
		cmocka_unit_test(other_codes_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
