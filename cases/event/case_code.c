#include "cases/event/case_code.h"

#include "cases/event/event_json.h"

static const char alphabet[] = "23456789CDFHJKMNPQRTVWX";
enum { ALPHABET = sizeof alphabet - 1 };
_Static_assert(ALPHABET == 23, "a prime: the check character rests on it");

static bool is_capital(char c)
{
	return c >= 'A' && c <= 'Z';
}

static char check_char(const char *code)
{
	static const uint8_t places[] = {0, 1, 2, 4, 5, 6, 7};
	unsigned sum = 0;

	for (unsigned i = 0; i < sizeof places; i++) {
		char c = code[places[i]];
		const char *found = memchr(alphabet, c, ALPHABET);
		unsigned value = i < 3 ? (unsigned)(c - 'A') : (unsigned)(found - alphabet);

		sum += (i + 1) * value;
	}
	return alphabet[sum % ALPHABET];
}

enum err case_code_make(
	struct bytes country, const uint8_t random[CASE_CODE_RANDOM_SIZE], char *ret)
{
	uint32_t draw = get_u32be(random); /* 2^32 over 23^4: the bias is below 1 in 15,000 */

	if (!event_office_valid(country))
		return ERR_INVALID;
	memcpy(ret, country.data, 3);
	ret[3] = '-';
	for (size_t i = 4; i < 8; i++) {
		ret[i] = alphabet[draw % ALPHABET];
		draw /= ALPHABET;
	}
	ret[8] = '-';
	ret[9] = check_char(ret);
	ret[10] = 0;
	return OK;
}

enum err case_code_normal(struct bytes code, char *ret)
{
	if (!event_case_code_valid(code))
		return ERR_INVALID;
	for (size_t i = 0; i < code.size; i++) {
		char c = (char)code.data[i];

		ret[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
	}
	ret[code.size] = 0;
	return OK;
}

enum case_code_kind case_code_check(struct bytes code)
{
	char normal[CASE_CODE_MAX + 1];

	if (case_code_normal(code, normal) != OK)
		return CASE_CODE_INVALID;
	if (code.size != CASE_CODE_SIZE || normal[3] != '-' || normal[8] != '-')
		return CASE_CODE_FOREIGN;
	for (size_t i = 0; i < 3; i++)
		if (!is_capital(normal[i]))
			return CASE_CODE_FOREIGN;
	for (size_t i = 4; i < 8; i++)
		if (memchr(alphabet, normal[i], ALPHABET) == NULL)
			return CASE_CODE_WRONG;
	return check_char(normal) == normal[9] ? CASE_CODE_GOOD : CASE_CODE_WRONG;
}
