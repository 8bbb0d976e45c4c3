/*
 * reply: what somebody types at a question, made into the value of a field. Choices are numbered
 * from 1; an answer is a number, a name or a beginning of either name or text. Days may be said in
 * words. What comes out is checked by the schema.
 *
 * Pure: today is handed in.
 */
#ifndef CLI_REPLY_H
#define CLI_REPLY_H

#include "cases/schema/schema.h"

enum { REPLY_CHOICES_MAX = 128, REPLY_NAME_MAX = 40, REPLY_TEXT_MAX = 120 };

struct reply_choice {
	char name[REPLY_NAME_MAX]; /* what the schema takes: a code, an id */
	char text[REPLY_TEXT_MAX]; /* what people read */
	bool extra;                /* not numbered: 98 declined */
};
struct reply_choices {
	struct reply_choice item[REPLY_CHOICES_MAX];
	size_t count, numbered; /* numbered ones come first */
	bool open;              /* anything else is an answer, too */
};

/* The codes of the field, its four special answers, the data groups: whatever the schema alone
 * knows; none for what is typed freely. */
void reply_choices_of(const struct schema_field *field, struct reply_choices *ret);
/* One more, numbered; left out when there are too many, cut when it is too long. */
void reply_choices_add(struct reply_choices *choices, const char *name, const char *text);

/* What a line means before it is a value. */
enum reply_kind {
	REPLY_EMPTY,
	REPLY_VALUE,
	REPLY_HELP,   /* ? */
	REPLY_BACK,   /* < */
	REPLY_ENOUGH, /* . */
};
enum reply_kind reply_kind(struct bytes line);

/* As compact JSON; free with event_string_free. today: YYYY-MM-DD. ERR_INVALID, ctx says what was
 * wrong and what is allowed; ERR_LIMIT, ERR_NOMEM. */
enum err reply_value(const struct schema_field *field, const struct reply_choices *choices,
	const char *today, struct bytes line, char **ret_json, struct errctx *ctx) MUST_USE;

/* Which of the choices the line means: its position. ERR_INVALID, ctx says what to answer. */
enum err reply_choose(const struct reply_choices *choices, struct bytes line, size_t *ret,
	struct errctx *ctx) MUST_USE;

/* A field whose value is a list; a field that takes free text, which never stands in arguments. */
bool reply_is_text(const struct schema_field *field);
bool reply_is_date(const struct schema_field *field);

/* "today", "yesterday", "tomorrow", "+14d", "-3d" as a date; false when it is none of them, or
 * would lie outside the years 1900 to 9999. */
bool reply_day(struct bytes text, const char *today, char ret[11]);
/* The day as people say it: "in 14 days", "3 days ago", "today"; "" for what is no day. */
void reply_day_words(const char *day, const char *today, char ret[32]);
/* Days from a to b, both YYYY-MM-DD; false when one is not. */
bool reply_days_between(const char *a, const char *b, long *ret);

#endif
