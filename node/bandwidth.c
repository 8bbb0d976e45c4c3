#include "node/bandwidth.h"

#include <string.h>

#include "base/buf.h"
#include "base/text.h"

enum { WEEK = 7, DAY_MIN = 24 * 60 };

static const char *const day_names[WEEK] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

static enum err parse_rate(struct bytes text, uint64_t *ret, struct errctx *ctx)
{
	static const struct {
		const char *name;
		uint64_t bytes, max;
	} units[] = {{"kbit/s", 125, 10000000}, {"Mbit/s", 125000, 10000}};
	size_t digits = 0;
	uint64_t number;

	while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9')
		digits++;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		struct bytes unit = bytes_make(text.data + digits, text.size - digits);

		if (!bytes_equal_str(unit, units[i].name) ||
			decimal_parse(bytes_make(text.data, digits), units[i].max, &number) != OK ||
			number == 0)
			continue;
		*ret = number * units[i].bytes;
		return OK;
	}
	return err_set(ctx, ERR_INVALID,
		"found \"%.*s\"; a rate is a whole number with kbit/s or Mbit/s, like 64kbit/s, "
		"from 1kbit/s to 10000Mbit/s, or unlimited",
		(int)(text.size < 40 ? text.size : 40), (const char *)text.data);
}

enum err bandwidth_rate(const char *text, uint64_t *ret, struct errctx *ctx)
{
	if (strcmp(text, "unlimited") == 0) {
		*ret = RATE_UNLIMITED;
		return OK;
	}
	return parse_rate(bytes_str(text), ret, ctx);
}

static enum err parse_use(struct bytes text, uint64_t *ret, struct errctx *ctx)
{
	static const struct {
		const char *name;
		uint64_t rate;
	} words[] = {
		{"unlimited", RATE_UNLIMITED}, {"urgent", RATE_URGENT}, {"closed", RATE_CLOSED}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (bytes_equal_str(text, words[i].name)) {
			*ret = words[i].rate;
			return OK;
		}
	enum err err = parse_rate(text, ret, ctx);

	return err == OK ? OK
			 : err_set(ctx, err,
				   "found \"%.*s\"; allowed: a rate like 64kbit/s, unlimited, "
				   "urgent, closed",
				   (int)(text.size < 40 ? text.size : 40), (const char *)text.data);
}

/* What stands before the separator; the rest goes on behind it. False: there is none. */
static bool cut(struct bytes *rest, char separator, struct bytes *ret)
{
	const uint8_t *at = rest->size == 0 ? NULL : memchr(rest->data, separator, rest->size);

	if (at == NULL)
		return false;
	size_t size = (size_t)(at - rest->data);

	*ret = bytes_make(rest->data, size);
	*rest = bytes_make(at + 1, rest->size - size - 1);
	return true;
}

static bool parse_day(struct bytes text, unsigned *ret)
{
	for (unsigned i = 0; i < WEEK; i++)
		if (bytes_equal_str(text, day_names[i])) {
			*ret = i;
			return true;
		}
	return false;
}

static bool parse_days(struct bytes text, uint8_t *ret)
{
	struct bytes name;
	unsigned first, last;
	bool range = cut(&text, '-', &name);

	if (!parse_day(range ? name : text, &first) || !parse_day(text, &last))
		return false;
	*ret = 0;
	for (unsigned day = first;; day = (day + 1) % WEEK) {
		*ret |= (uint8_t)(1u << day);
		if (day == last)
			return true;
	}
}

/* "HH:MM" */
static bool parse_clock(struct bytes text, unsigned max_min, unsigned *ret_min)
{
	unsigned digit[4];

	if (text.size != 5 || text.data[2] != ':')
		return false;
	for (size_t i = 0; i < 4; i++) {
		uint8_t c = text.data[i + (i > 1)];

		if (c < '0' || c > '9')
			return false;
		digit[i] = c - (unsigned)'0';
	}
	unsigned minutes = digit[2] * 10 + digit[3];

	*ret_min = (digit[0] * 10 + digit[1]) * 60 + minutes;
	return minutes < 60 && *ret_min <= max_min;
}

static enum err parse_rule(struct bytes text, struct rate_rule *ret, struct errctx *ctx)
{
	struct bytes rest = text, days, hours, from;
	unsigned from_min, to_min;

	if (!cut(&rest, ' ', &days) || !cut(&rest, ' ', &hours) || !cut(&hours, '-', &from) ||
		!parse_days(days, &ret->days) || !parse_clock(from, DAY_MIN - 1, &from_min) ||
		!parse_clock(hours, DAY_MIN, &to_min))
		return err_set(ctx, ERR_INVALID,
			"found \"%.*s\"; a rule is DAYS HH:MM-HH:MM USE, like mon-fri 07:00-18:00 "
			"32kbit/s",
			(int)(text.size < 60 ? text.size : 60), (const char *)text.data);
	ret->from = (uint16_t)from_min;
	ret->to = (uint16_t)to_min;
	return parse_use(rest, &ret->rate, ctx);
}

static struct bytes trimmed(struct bytes text)
{
	while (text.size > 0 && text.data[0] == ' ')
		text = bytes_make(text.data + 1, text.size - 1);
	while (text.size > 0 && text.data[text.size - 1] == ' ')
		text.size--;
	return text;
}

enum err bandwidth_schedule(const char *text, struct rate_hours *ret, struct errctx *ctx)
{
	struct rate_hours hours = {.otherwise = RATE_UNLIMITED, .zone_min = ret->zone_min};
	struct bytes rest = bytes_str(text), item, word;
	bool more = true;

	while (more) {
		more = cut(&rest, ',', &item);
		item = trimmed(more ? item : rest);
		struct bytes use = item;

		if (cut(&use, ' ', &word) && bytes_equal_str(word, "else")) {
			if (more)
				return err_set(ctx, ERR_INVALID, "something follows the else");
			TRY(parse_use(use, &hours.otherwise, ctx));
			break;
		}
		if (hours.count == LIMIT_SCHEDULE_RULES)
			return err_set(ctx, ERR_LIMIT, "more than %d rules", LIMIT_SCHEDULE_RULES);
		TRY(parse_rule(item, &hours.rule[hours.count++], ctx));
	}
	if (hours.count == 0)
		return err_set(ctx, ERR_INVALID, "an else needs a rule before it");
	*ret = hours;
	return OK;
}

enum err bandwidth_zone(const char *text, int16_t *ret_min, struct errctx *ctx)
{
	unsigned minutes = 0;
	size_t size = strlen(text);
	bool west = size > 3 && text[3] == '-';

	if (size < 3 || memcmp(text, "UTC", 3) != 0 ||
		(size > 3 &&
			((text[3] != '+' && !west) || !parse_clock(bytes_make(text + 4, size - 4),
							      west ? 12 * 60 : 14 * 60, &minutes))))
		return err_set(ctx, ERR_INVALID,
			"found \"%.40s\"; allowed: UTC, UTC+03:00, UTC-05:00, from UTC-12:00 to "
			"UTC+14:00; there is no summer time",
			text);
	*ret_min = (int16_t)(west ? -(int)minutes : (int)minutes);
	return OK;
}

void bandwidth_write_rate(struct buf *out, uint64_t rate)
{
	if (rate == RATE_UNLIMITED)
		buf_put_str(out, "unlimited");
	else if (rate == RATE_URGENT)
		buf_put_str(out, "urgent");
	else if (rate == RATE_CLOSED)
		buf_put_str(out, "closed");
	else
		buf_printf(out, "%llukbit/s", (unsigned long long)rate / 125);
}

static void write_days(struct buf *out, uint8_t days)
{
	unsigned first = 0, last;

	/* A run of days, perhaps over the end of the week. */
	while (first < WEEK - 1 &&
		((days >> first & 1) == 0 || (days >> (first + WEEK - 1) % WEEK & 1) != 0))
		first++;
	if (days == (1u << WEEK) - 1)
		first = 0;
	for (last = first; last < first + WEEK - 1 && (days >> (last + 1) % WEEK & 1) != 0;)
		last++;
	buf_put_str(out, day_names[first]);
	if (last != first)
		buf_printf(out, "-%s", day_names[last % WEEK]);
}

void bandwidth_write_schedule(struct buf *out, const struct rate_hours *hours)
{
	for (size_t i = 0; i < hours->count; i++) {
		const struct rate_rule *r = &hours->rule[i];

		buf_put_str(out, i == 0 ? "" : ", ");
		write_days(out, r->days);
		buf_printf(out, " %02u:%02u-%02u:%02u ", r->from / 60, r->from % 60, r->to / 60,
			r->to % 60);
		bandwidth_write_rate(out, r->rate);
	}
	if (hours->otherwise != RATE_UNLIMITED) {
		buf_put_str(out, ", else ");
		bandwidth_write_rate(out, hours->otherwise);
	}
}

void bandwidth_write_zone(struct buf *out, int16_t zone_min)
{
	unsigned minutes = (unsigned)(zone_min < 0 ? -zone_min : zone_min);

	buf_put_str(out, "UTC");
	if (zone_min != 0)
		buf_printf(
			out, "%c%02u:%02u", zone_min < 0 ? '-' : '+', minutes / 60, minutes % 60);
}
