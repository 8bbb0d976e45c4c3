/*
 * sheet: what a victim takes home, or hears read aloud: ten rights in plain words (DOMAIN 1.1),
 * whom to ask, the next date. In the chosen language, out of one catalogue (catalogue.h).
 *
 * Whoever finds it learns nothing: no word about an incident, an office, a programme or a case, no
 * code, no name but what is given as contact. A contact that says more is refused.
 *
 * Pure: text in a buf.
 */
#ifndef CASES_VIEW_SHEET_H
#define CASES_VIEW_SHEET_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "cases/view/catalogue.h"

enum {
	SHEET_CONTACTS_MAX = 4,
	SHEET_CONTACT_MAX = 80, /* bytes of one */
};

enum sheet_format { SHEET_TEXT, SHEET_HTML };

struct sheet_options {
	const struct catalogue_language *language;
	enum sheet_format format;
	const char *next_on; /* YYYY-MM-DD; "" for none */
	const char *const *contacts;
	size_t contact_count;
};

/* Appends the sheet, at most some 8 KiB. ERR_INVALID, saying what is allowed: a date that is no day
 * of the calendar; a contact that is empty, has control characters, or says what the sheet is about
 * (a word of the catalogue's list, a case code). ERR_LIMIT: too many contacts, too long. Else the
 * sticky error of out. */
enum err sheet_write(
	const struct sheet_options *options, struct buf *out, struct errctx *ctx) MUST_USE;

/* The day in words of the language: "12 mars 2026". ERR_INVALID. */
enum err sheet_date(
	const struct catalogue_language *language, const char *day, struct buf *out) MUST_USE;

#endif
