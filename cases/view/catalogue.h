/*
 * catalogue: the texts of the victim's sheet, one for each key in each language; the only place
 * where they stand. test_sheet holds them: every key in every language, the same placeholders,
 * short sentences, nothing that says what the sheet is about.
 *
 * A language says who translated it and who reviewed it. A reviewer is a native speaker who read
 * every text aloud; until there is one, whoever prints a sheet is told.
 *
 * To add a language: a row in catalogue.c, its forbidden words, docs/OPERATIONS. Static data.
 */
#ifndef CASES_VIEW_CATALOGUE_H
#define CASES_VIEW_CATALOGUE_H

#include "base/bytes.h"

#define CATALOGUE_KEYS(X)                                                                          \
	X(TITLE, "title")                                                                          \
	X(INTRO, "intro")                                                                          \
	X(RIGHT_1, "right_1")   /* respect */                                                      \
	X(RIGHT_2, "right_2")   /* assistance and support */                                       \
	X(RIGHT_3, "right_3")   /* justice and accountability */                                   \
	X(RIGHT_4, "right_4")   /* decide how involved */                                          \
	X(RIGHT_5, "right_5")   /* information */                                                  \
	X(RIGHT_6, "right_6")   /* be heard */                                                     \
	X(RIGHT_7, "right_7")   /* privacy */                                                      \
	X(RIGHT_8, "right_8")   /* protection */                                                   \
	X(RIGHT_9, "right_9")   /* remedy */                                                       \
	X(RIGHT_10, "right_10") /* complain about treatment */                                     \
	X(NEXT, "next")         /* {date} */                                                       \
	X(CONTACT, "contact")   /* before what the officer gives */                                \
	X(CLOSING, "closing")                                                                      \
	X(DATE, "date")           /* {day} {month} {year} */                                       \
	X(FIRST_DAY, "first_day") /* the first day of a month, as it is said */

enum catalogue_key {
#define X(symbol, name) CATALOGUE_##symbol,
	CATALOGUE_KEYS(X)
#undef X
		CATALOGUE_COUNT
};

struct catalogue_language {
	const char *tag;        /* BCP 47, primary subtag: "fr" */
	const char *name;       /* in English */
	const char *translator; /* who wrote the texts */
	const char *reviewer;   /* a native speaker; NULL: not reviewed yet */
	bool right_to_left;
	const char *digits[10];
	const char *months[12];
	const char *texts[CATALOGUE_COUNT];
	/* Words that a sheet in this language must not contain, since they say what it is about: in
	 * small letters, at the beginning of a word in any case; in capitals, as a whole word, so.
	 */
	const char *const *forbidden;
	size_t forbidden_count;
};

const char *catalogue_key_name(enum catalogue_key key);
/* By the primary subtag, so that "fr-HT" finds "fr"; NULL. */
const struct catalogue_language *catalogue_find(struct bytes tag);
/* The i-th; NULL past the end. */
const struct catalogue_language *catalogue_at(size_t i);

/* The first forbidden word, of this language or of English, in the text; NULL when there is none.
 */
const char *catalogue_forbidden(const struct catalogue_language *language, struct bytes text);

#endif
