#include "cli/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

bool reply_is_text(const struct schema_field *field)
{
	return field->kind == FIELD_TEXT || field->kind == FIELD_TEXTS ||
	       field->kind == FIELD_NOTE ||
	       event_field_group(bytes_str(field->name)) == GROUP_IDENTITY;
}

bool reply_is_date(const struct schema_field *field)
{
	return field->kind == FIELD_DAY || field->kind == FIELD_DATE;
}

/* ---- choices ---- */

static void add(struct reply_choices *choices, const char *name, const char *text, bool extra)
{
	struct reply_choice *choice = &choices->item[choices->count];

	if (choices->count == REPLY_CHOICES_MAX || strlen(name) >= sizeof(choice->name))
		return;
	snprintf(choice->name, sizeof(choice->name), "%s", name);
	snprintf(choice->text, sizeof(choice->text), "%s", text);
	choice->extra = extra;
	choices->count++;
	choices->numbered += !extra;
}

void reply_choices_add(struct reply_choices *choices, const char *name, const char *text)
{
	add(choices, name, text, false);
}

static void add_groups(struct reply_choices *choices)
{
	for (uint32_t group = 1; group <= GROUP_CASE_LAST; group++)
		reply_choices_add(choices, group_name((enum group)group), "");
}

static void add_languages(struct reply_choices *choices)
{
	static const char *const languages[][2] = {{"en", "English"}, {"fr", "French"},
		{"es", "Spanish"}, {"ar", "Arabic"}, {"ht", "Haitian Creole"}, {"sw", "Swahili"},
		{"ln", "Lingala"}, {"sg", "Sango"}, {"apd", "Sudanese Arabic"},
		{"pga", "Juba Arabic"}};

	for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++)
		reply_choices_add(choices, languages[i][0], languages[i][1]);
	choices->open = true;
}

void reply_choices_of(const struct schema_field *field, struct reply_choices *ret)
{
	ret->count = ret->numbered = 0;
	ret->open = field->list == NULL && field->kind != FIELD_GROUPS;
	if (field->list != NULL)
		for (size_t i = 0; i < field->list->count; i++)
			reply_choices_add(
				ret, field->list->codes[i].name, field->list->codes[i].text);
	if (field->kind == FIELD_GROUPS)
		add_groups(ret);
	if (field->kind == FIELD_LANGUAGE)
		add_languages(ret);
	for (size_t i = 0; i < 4 && field->answers != 0; i++) {
		unsigned bit;
		const struct code *answer = answer_at(i, &bit);

		if ((field->answers & bit) != 0)
			add(ret, answer->name, answer->text, true);
	}
}

/* ---- days ---- */

static bool leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_of(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && leap(year));
}

static bool day_parse(const char *text, int *year, int *month, int *day)
{
	if (strlen(text) != 10 || text[4] != '-' || text[7] != '-')
		return false;
	for (int i = 0; i < 10; i++)
		if (i != 4 && i != 7 && (text[i] < '0' || text[i] > '9'))
			return false;
	*year = atoi(text);
	*month = atoi(text + 5);
	*day = atoi(text + 8);
	return *year >= 1900 && *month >= 1 && *month <= 12 && *day >= 1 &&
	       *day <= days_of(*year, *month);
}

/* Since 1900-01-01. */
static long day_number(int year, int month, int day)
{
	long n = day - 1;

	for (int y = 1900; y < year; y++)
		n += leap(y) ? 366 : 365;
	for (int m = 1; m < month; m++)
		n += days_of(year, m);
	return n;
}

static bool day_text(long n, char ret[11])
{
	int year = 1900, month = 1;

	if (n < 0)
		return false;
	while (n >= (leap(year) ? 366 : 365)) {
		n -= leap(year) ? 366 : 365;
		year++;
	}
	while (n >= days_of(year, month))
		n -= days_of(year, month++);
	if (year > 9999)
		return false;
	ret[0] = (char)('0' + year / 1000);
	ret[1] = (char)('0' + year / 100 % 10);
	ret[2] = (char)('0' + year / 10 % 10);
	ret[3] = (char)('0' + year % 10);
	ret[4] = ret[7] = '-';
	ret[5] = (char)('0' + month / 10);
	ret[6] = (char)('0' + month % 10);
	ret[8] = (char)('0' + (n + 1) / 10);
	ret[9] = (char)('0' + (n + 1) % 10);
	ret[10] = '\0';
	return true;
}

static bool same_word(struct bytes text, const char *word)
{
	size_t size = strlen(word);

	return text.size == size && strncasecmp((const char *)text.data, word, size) == 0;
}

static bool begins_with(const char *whole, struct bytes start)
{
	return strlen(whole) >= start.size &&
	       strncasecmp(whole, (const char *)start.data, start.size) == 0;
}

/* "+14d", "-3", "+ 2w": the days. */
static bool day_offset(struct bytes text, long *ret)
{
	uint64_t count;
	long unit = 1;
	size_t end = text.size;

	if (text.size < 2 || (text.data[0] != '+' && text.data[0] != '-'))
		return false;
	if (text.data[end - 1] == 'd' || text.data[end - 1] == 'D')
		end--;
	else if (text.data[end - 1] == 'w' || text.data[end - 1] == 'W') {
		end--;
		unit = 7;
	}
	if (decimal_parse(bytes_make(text.data + 1, end - 1), 100000, &count) != OK)
		return false;
	*ret = (text.data[0] == '-' ? -1 : 1) * unit * (long)count;
	return true;
}

bool reply_day(struct bytes text, const char *today, char ret[11])
{
	int year, month, day;
	long offset = 0;

	if (!day_parse(today, &year, &month, &day))
		return false;
	if (same_word(text, "yesterday"))
		offset = -1;
	else if (same_word(text, "tomorrow"))
		offset = 1;
	else if (!same_word(text, "today") && !day_offset(text, &offset))
		return false;
	return day_text(day_number(year, month, day) + offset, ret);
}

bool reply_days_between(const char *a, const char *b, long *ret)
{
	int ya, ma, da, yb, mb, db;

	if (!day_parse(a, &ya, &ma, &da) || !day_parse(b, &yb, &mb, &db))
		return false;
	*ret = day_number(yb, mb, db) - day_number(ya, ma, da);
	return true;
}

void reply_day_words(const char *day, const char *today, char ret[32])
{
	long days;

	ret[0] = '\0';
	if (!reply_days_between(today, day, &days))
		return;
	if (days == 0)
		snprintf(ret, 32, "today");
	else if (days == 1 || days == -1)
		snprintf(ret, 32, "%s", days > 0 ? "tomorrow" : "yesterday");
	else if (days > 0)
		snprintf(ret, 32, "in %ld days", days);
	else
		snprintf(ret, 32, "%ld days ago", -days);
}

/* ---- lines ---- */

enum reply_kind reply_kind(struct bytes line)
{
	if (line.size == 0)
		return REPLY_EMPTY;
	if (bytes_equal_str(line, "?"))
		return REPLY_HELP;
	if (bytes_equal_str(line, "<"))
		return REPLY_BACK;
	if (bytes_equal_str(line, "."))
		return REPLY_ENOUGH;
	return REPLY_VALUE;
}

static struct bytes trim(struct bytes text)
{
	while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
		text = bytes_make(text.data + 1, text.size - 1);
	while (text.size > 0 &&
		(text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
		text.size--;
	return text;
}

/* The one choice that fits; NULL: none, or *ret_several. */
static const struct reply_choice *choose(
	const struct reply_choices *choices, struct bytes text, bool *ret_several)
{
	const struct reply_choice *found = NULL;
	uint64_t number;

	*ret_several = false;
	for (size_t i = 0; i < choices->count; i++)
		if (same_word(text, choices->item[i].name))
			return &choices->item[i];
	if (decimal_parse(text, choices->numbered, &number) == OK && number >= 1)
		return &choices->item[number - 1];
	for (size_t i = 0; i < choices->count; i++) {
		const struct reply_choice *choice = &choices->item[i];

		if (!begins_with(choice->name, text) && !begins_with(choice->text, text))
			continue;
		*ret_several |= found != NULL;
		found = choice;
	}
	return *ret_several ? NULL : found;
}

static enum err no_choice(const struct reply_choices *choices, bool several, struct errctx *ctx)
{
	if (several)
		return err_set(ctx, ERR_INVALID, "that fits more than one answer: give its number");
	return err_set(
		ctx, ERR_INVALID, "please answer with a number from 1 to %zu", choices->numbered);
}

enum err reply_choose(
	const struct reply_choices *choices, struct bytes line, size_t *ret, struct errctx *ctx)
{
	const struct reply_choice *choice;
	bool several = false;

	line = trim(line);
	choice = line.size == 0 ? NULL : choose(choices, line, &several);
	if (choice == NULL)
		return no_choice(choices, several, ctx);
	*ret = (size_t)(choice - choices->item);
	return OK;
}

/* Appends what the schema takes for one item. */
static enum err put_item(const struct schema_field *field, const struct reply_choices *choices,
	const char *today, struct bytes text, struct buf *out, struct errctx *ctx)
{
	const struct reply_choice *choice;
	char day[11];
	bool several;

	if (reply_is_date(field) && reply_day(text, today, day)) {
		buf_put_str(out, day);
		return out->err;
	}
	choice = choices->count == 0 ? NULL : choose(choices, text, &several);
	if (choice != NULL) {
		buf_put_str(out, choice->name);
		return out->err;
	}
	if (choices->numbered > 0 && !choices->open)
		return no_choice(choices, several, ctx);
	buf_put(out, text);
	return out->err;
}

static bool separates(uint8_t c, bool spaces)
{
	return c == ',' || c == ';' || (spaces && c == ' ');
}

/* "1 3" are two where each is a choice; a name may have spaces in it. */
static bool spaces_separate(const struct reply_choices *choices, struct bytes line)
{
	bool several;

	if (choices->numbered == 0 || choices->open || choose(choices, line, &several) != NULL)
		return false;
	for (size_t i = 0; i < line.size; i++)
		if (separates(line.data[i], false))
			return false;
	return true;
}

static enum err put_list(const struct schema_field *field, const struct reply_choices *choices,
	const char *today, struct bytes line, struct buf *out, struct errctx *ctx)
{
	bool spaces = spaces_separate(choices, line), first = true;

	while (line.size > 0) {
		size_t size = 0;
		struct bytes item;

		while (size < line.size && !separates(line.data[size], spaces))
			size++;
		item = trim(bytes_make(line.data, size));
		size += size < line.size;
		line = bytes_make(line.data + size, line.size - size);
		if (item.size == 0)
			continue;
		if (!first)
			buf_put_str(out, ",");
		first = false;
		TRY(put_item(field, choices, today, item, out, ctx));
	}
	return out->err;
}

enum err reply_value(const struct schema_field *field, const struct reply_choices *choices,
	const char *today, struct bytes line, char **ret_json, struct errctx *ctx)
{
	CLEANUP(buf_wipe) struct buf out;

	buf_init(&out, 64 * 1024);
	if (buf_reserve(&out, 32 * 1024) == NULL)
		return out.err;
	line = reply_is_text(field) ? line : trim(line);
	if (reply_is_text(field))
		buf_put(&out, line);
	else if (schema_kind_is_list(field->kind))
		TRY(put_list(field, choices, today, line, &out, ctx));
	else
		TRY(put_item(field, choices, today, line, &out, ctx));
	TRY(out.err);
	return schema_value(field, buf_bytes(&out), ret_json, ctx);
}
