#include "cases/fold/value.h"

#include <stdio.h>

static struct bytes unquote(struct bytes json)
{
	if (json.size < 2 || json.data[0] != '"')
		return BYTES_NONE;
	return bytes_make(json.data + 1, json.size - 2);
}

struct bytes value_json(const struct event *event, const char *name)
{
	const char *json = event_field_json(event, name);

	return json == NULL ? BYTES_NONE : bytes_str(json);
}

struct bytes value_text(const struct event *event, const char *name)
{
	return unquote(value_json(event, name));
}

bool value_is(const struct event *event, const char *name, const char *text)
{
	return bytes_equal_str(value_text(event, name), text);
}

/* The size of the JSON string that begins here, quotes and all. */
static size_t string_size(struct bytes json)
{
	size_t i = 1;

	while (i < json.size && json.data[i] != '"')
		i += json.data[i] == '\\' ? 2 : 1;
	return i < json.size ? i + 1 : json.size;
}

bool value_next(struct bytes *at, struct bytes *ret)
{
	size_t depth = 0;

	while (at->size > 0) {
		uint8_t c = at->data[0];
		size_t size = c == '"' ? string_size(*at) : 1;
		struct bytes found = bytes_make(at->data, size);

		*at = bytes_make(at->data + size, at->size - size);
		if (c == '{')
			depth++;
		else if (c == '}' && depth > 0)
			depth--;
		else if (c == '"' && depth == 0) {
			*ret = unquote(found);
			return true;
		}
	}
	return false;
}

bool value_lists(struct bytes json, struct bytes text)
{
	struct bytes item;

	while (value_next(&json, &item))
		if (bytes_equal(item, text))
			return true;
	return false;
}

group_set value_groups(struct bytes json, bool *ret_unknown)
{
	group_set groups = 0;
	bool unknown = false;
	struct bytes item;

	while (value_next(&json, &item)) {
		enum group group = group_find(item);

		if (group_of_case(group))
			groups |= GROUP_BIT(group);
		else
			unknown = true;
	}
	if (ret_unknown != NULL)
		*ret_unknown = unknown;
	return groups;
}

/* --- days --- */

static unsigned number(struct bytes text, size_t from, size_t count)
{
	unsigned value = 0;

	for (size_t i = from; i < from + count; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return 0;
		value = 10 * value + (unsigned)(text.data[i] - '0');
	}
	return value;
}

fold_day day_read(struct bytes text)
{
	unsigned year, month = 0, day = 0;

	if (text.size != 4 && text.size != 7 && text.size != 10)
		return 0;
	year = number(text, 0, 4);
	if (text.size >= 7)
		month = number(text, 5, 2);
	if (text.size == 10)
		day = number(text, 8, 2);
	if (year == 0 || month > 12 || day > 31 || (text.size >= 7 && month == 0) ||
		(text.size == 10 && day == 0))
		return 0;
	return year << 9 | month << 5 | day;
}

fold_day value_day(const struct event *event, const char *name)
{
	return day_read(value_text(event, name));
}

void day_text(fold_day day, char ret[11])
{
	unsigned year = day >> 9 & 0x3fff, month = day >> 5 & 15, d = day & 31;

	ret[0] = 0;
	if (day == 0)
		return;
	if (d != 0)
		snprintf(ret, 11, "%04u-%02u-%02u", year % 10000, month, d);
	else if (month != 0)
		snprintf(ret, 11, "%04u-%02u", year % 10000, month);
	else
		snprintf(ret, 11, "%04u", year % 10000);
}

fold_day day_of_seconds(uint64_t seconds)
{
	char text[21];

	event_time_text(seconds, text);
	return day_read(bytes_make(text, 10));
}

fold_day day_of_event(const struct event *event)
{
	fold_day day = day_read(bytes_str(event->occurred_on));

	return day != 0 ? day : day_of_seconds(event->recorded_at);
}

fold_day day_first(fold_day day)
{
	if (day == 0)
		return 0;
	if ((day >> 5 & 15) == 0)
		day |= 1 << 5;
	return (day & 31) == 0 ? day | 1 : day;
}

static unsigned month_days(unsigned year, unsigned month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[(month - 1) % 12] + (month == 2 && leap ? 1u : 0u);
}

fold_day day_last(fold_day day)
{
	if (day == 0 || (day & 31) != 0)
		return day;
	if ((day >> 5 & 15) == 0)
		day |= 12 << 5;
	return day | month_days(day >> 9, day >> 5 & 15);
}

fold_day day_before(fold_day day)
{
	unsigned year = day >> 9, month = day >> 5 & 15;

	if ((day & 31) > 1)
		return day - 1;
	month = month > 1 ? month - 1 : 12;
	year -= month == 12;
	return year << 9 | month << 5 | month_days(year, month);
}

/* Days since 0000-03-01 in the proleptic Gregorian calendar: a year that begins in March ends with
 * its leap day. */
static int64_t absolute(fold_day day)
{
	unsigned month, from_march;
	int64_t year;

	day = day_first(day);
	month = day >> 5 & 15;
	year = (int64_t)(day >> 9) - (month <= 2);
	from_march = (month + 9) % 12;
	return 365 * year + year / 4 - year / 100 + year / 400 + (153 * from_march + 2) / 5 +
	       (day & 31) - 1;
}

int64_t day_count(fold_day from, fold_day to)
{
	return absolute(to) - absolute(from);
}
