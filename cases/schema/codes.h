/*
 * Code lists (DOMAIN 1.5): what a field may say. Each list is declared once, in codes.c; checks,
 * help, JSON schema, imports and docs/EVENTS are made from it. Codes stand in sealed events: a code
 * is never renamed or given another meaning; one that is no longer wanted stays readable.
 *
 * Not asked, not applicable, declined and unknown are four different answers and belong to no list:
 * a field says which of them it takes (schema.h).
 *
 * Static data: nothing is owned, nothing fails.
 */
#ifndef CASES_SCHEMA_CODES_H
#define CASES_SCHEMA_CODES_H

#include <stdbool.h>

#include "base/bytes.h"

struct code {
	const char *name; /* as stored: "IN_PERSON" */
	const char *text; /* for people: "in person" */
};
struct code_list {
	const char *name;  /* "services" */
	const char *title; /* with the list's letter in DOMAIN, if it has one: "Services (S1)" */
	const struct code *codes;
	size_t count;
};

/* NULL: none of that name; past the end. */
const struct code_list *code_list_find(struct bytes name);
const struct code_list *code_list_at(size_t i);
/* The code itself, exactly as stored; NULL. */
const struct code *code_find(const struct code_list *list, struct bytes name);
/* As people type it: any case, space or hyphen for '_'; or a beginning that fits one code alone.
 * NULL when none or several fit. */
const struct code *code_guess(const struct code_list *list, struct bytes text);

/* The four answers that are no code: "0", "97", "98", "99". */
enum answer {
	ANSWER_NOT_ASKED = 1,      /* 0 */
	ANSWER_NOT_APPLICABLE = 2, /* 97 */
	ANSWER_DECLINED = 4,       /* 98 */
	ANSWER_UNKNOWN = 8,        /* 99 */
	ANSWER_ANY = 15,
};
/* The n-th of the four, 0 to 3; its bit in *ret_bit. */
const struct code *answer_at(size_t n, unsigned *ret_bit);
/* 0 when the text is none of the four. */
unsigned answer_find(struct bytes text);

/* ISO 3166-1 alpha-3, with the codes it leaves to its users (AAA-AAZ, QMA-QZZ, XAA-XZZ, ZZA-ZZZ).
 */
bool country_known(struct bytes code);
/* ISO 4217, active codes. */
bool currency_known(struct bytes code);

#endif
