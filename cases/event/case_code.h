/*
 * Case codes: the name of a case that people say aloud on a bad line, as HTI-7K3Q-5.
 *
 *   country (ISO 3166-1 alpha-3) '-' four random characters '-' check character
 *
 * The last five come from 23 characters: no vowels, so that no word appears, and nothing that looks
 * like another (no 0 O, 1 I L, 2 Z, 5 S, 8 B, 6 G as letters, no U beside V, no Y):
 *
 *   2 3 4 5 6 7 8 9 C D F H J K M N P Q R T V W X        (values 0 to 22)
 *
 * check = sum over the seven characters before it of weight * value, modulo 23, with weights 1 to 7
 * from the left; a letter of the country counts as its place in the alphabet modulo 23. As 23 is
 * prime and the weights differ, every single wrong character of the four and every swap of two of
 * them is found.
 *
 * Codes that come from elsewhere (an import, test data: ZZ-..) have any form of CASE_CODE_MAX
 * letters, digits and hyphens: they are taken as they are.
 */
#ifndef CASES_CASE_CODE_H
#define CASES_CASE_CODE_H

#include "base/bytes.h"
#include "base/err.h"
#include "cases/event/event.h"

enum { CASE_CODE_SIZE = 10, CASE_CODE_RANDOM_SIZE = 4 };

/* random: fresh bytes of the DRBG. country: three capitals, else ERR_INVALID. There are 279,841
 * codes for a country: draw again when the code is taken. ret has room for CASE_CODE_SIZE + 1. */
enum err case_code_make(
	struct bytes country, const uint8_t random[CASE_CODE_RANDOM_SIZE], char *ret) MUST_USE;

enum case_code_kind {
	CASE_CODE_INVALID, /* not a code at all */
	CASE_CODE_FOREIGN, /* another form: nothing can be checked */
	CASE_CODE_WRONG,   /* our form, and the check character does not fit: misheard */
	CASE_CODE_GOOD,
};
/* Either case of letters. */
enum case_code_kind case_code_check(struct bytes code);

/* Capitals, as codes are compared; ret has room for CASE_CODE_MAX + 1. ERR_INVALID. */
enum err case_code_normal(struct bytes code, char *ret) MUST_USE;

#endif
