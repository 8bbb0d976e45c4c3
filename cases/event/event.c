/* struct event, and the checks of its values. */
#include "cases/event/event.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/secret.h"
#include "base/text.h"
#include "cases/event/event_json.h"

void event_string_free(char *text)
{
	if (text != NULL)
		wipe(text, strlen(text));
	mem_free(text);
}

void event_release(struct event *event)
{
	if (event == NULL)
		return;
	for (size_t i = 0; i < event->field_count; i++) {
		mem_free(event->fields[i].name);
		event_string_free(event->fields[i].json);
	}
	mem_free(event->fields);
	mem_free(event->supersedes.ids);
	mem_free(event->parents.ids);
	mem_free(event->consent_refs.ids);
	*event = (struct event){0};
}

enum err event_add_field(struct event *event, struct bytes name, char *json)
{
	enum err err = ERR_NOMEM;
	struct event_field *grown;
	char *copy = NULL;

	if (event->field_count >= LIMIT_EVENT_FIELDS) {
		err = ERR_LIMIT;
		goto fail;
	}
	copy = mem_zalloc(name.size + 1);
	if (copy == NULL)
		goto fail;
	memcpy(copy, name.data, name.size);
	grown = mem_resize(event->fields, (event->field_count + 1) * sizeof *grown);
	if (grown == NULL)
		goto fail;
	event->fields = grown;
	event->fields[event->field_count++] = (struct event_field){copy, json};
	return OK;
fail:
	mem_free(copy);
	event_string_free(json);
	return err;
}

enum err event_set_field(struct event *event, const char *name, const char *json)
{
	char *copy = mem_strdup(json);

	if (copy == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < event->field_count; i++) {
		if (strcmp(event->fields[i].name, name) != 0)
			continue;
		event_string_free(event->fields[i].json);
		event->fields[i].json = copy;
		return OK;
	}
	return event_add_field(event, bytes_str(name), copy);
}

void event_remove_field(struct event *event, const char *name)
{
	for (size_t i = 0; i < event->field_count; i++) {
		if (strcmp(event->fields[i].name, name) != 0)
			continue;
		mem_free(event->fields[i].name);
		event_string_free(event->fields[i].json);
		event->field_count--;
		memmove(&event->fields[i], &event->fields[i + 1],
			(event->field_count - i) * sizeof *event->fields);
		return;
	}
}

enum err event_add_ref(struct event_refs *refs, const struct event_id *id)
{
	struct event_id *grown;

	for (size_t i = 0; i < refs->count; i++)
		if (memcmp(refs->ids[i].b, id->b, EVENT_ID_SIZE) == 0)
			return OK;
	if (refs->count >= EVENT_REFS_MAX)
		return ERR_LIMIT;
	grown = mem_resize(refs->ids, (refs->count + 1) * sizeof *grown);
	if (grown == NULL)
		return ERR_NOMEM;
	refs->ids = grown;
	refs->ids[refs->count++] = *id;
	return OK;
}

enum err event_check_complete(const struct event *event, struct errctx *ctx)
{
	const char *missing = !event->has.event_id      ? "event_id"
			      : !event->has.case_ref    ? "case_ref"
			      : !event->has.recorded_at ? "recorded_at"
			      : !event->has.recorded_by ? "recorded_by"
			      : !event->has.office      ? "office"
							: NULL;

	if (event->partial)
		return err_set(ctx, ERR_INVALID, "the event is partial: its main part is missing");
	if (missing != NULL)
		return err_set(ctx, ERR_INVALID, "%s: missing", missing);
	return OK;
}

void event_set_id(struct event *event, const struct event_id *id)
{
	event->id = *id;
	event->has.event_id = true;
}

void event_set_case(struct event *event, const struct case_ref *ref)
{
	event->case_ref = *ref;
	event->has.case_ref = true;
}

void event_set_recorded_at(struct event *event, uint64_t seconds)
{
	event->recorded_at = seconds;
	event->has.recorded_at = true;
}

static void set_text(char *to, struct bytes from)
{
	memcpy(to, from.data, from.size);
	to[from.size] = 0;
}

enum err event_set_recorded_by(struct event *event, struct bytes officer)
{
	if (!event_officer_valid(officer))
		return ERR_INVALID;
	set_text(event->recorded_by, officer);
	event->has.recorded_by = true;
	return OK;
}

enum err event_set_office(struct event *event, struct bytes office)
{
	if (!event_office_valid(office))
		return ERR_INVALID;
	set_text(event->office, office);
	event->has.office = true;
	return OK;
}

/* RFC 9562 5.7: 48 bits of milliseconds, version 7, 12 random bits, variant 10, 62 random bits. */
struct event_id event_id_make(uint64_t unix_ms, const uint8_t random[10])
{
	struct event_id id;

	put_u16be(id.b, (uint16_t)(unix_ms >> 32));
	put_u32be(id.b + 2, (uint32_t)unix_ms);
	memcpy(id.b + 6, random, 10);
	id.b[6] = (id.b[6] & 0x0f) | 0x70;
	id.b[8] = (id.b[8] & 0x3f) | 0x80;
	return id;
}

static const uint8_t uuid_groups[] = {4, 2, 2, 2, 6}; /* bytes between the hyphens */

void event_id_text(const struct event_id *id, char ret[EVENT_ID_TEXT + 1])
{
	const uint8_t *in = id->b;

	for (size_t g = 0; g < sizeof uuid_groups; g++) {
		if (g > 0)
			*ret++ = '-';
		hex_encode(bytes_make(in, uuid_groups[g]), ret);
		ret += 2 * uuid_groups[g];
		in += uuid_groups[g];
	}
}

enum err event_id_parse(struct bytes text, struct event_id *ret)
{
	struct event_id id;
	uint8_t *out = id.b;
	size_t at = 0;

	if (text.size != EVENT_ID_TEXT)
		return ERR_MALFORMED;
	for (size_t g = 0; g < sizeof uuid_groups; g++) {
		if (g > 0 && text.data[at++] != '-')
			return ERR_MALFORMED;
		TRY(hex_decode(
			bytes_make(text.data + at, 2u * uuid_groups[g]), out, uuid_groups[g]));
		at += 2u * uuid_groups[g];
		out += uuid_groups[g];
	}
	if (id.b[6] >> 4 != 7 || id.b[8] >> 6 != 2)
		return ERR_MALFORMED;
	*ret = id;
	return OK;
}

void case_ref_text(const struct case_ref *ref, char ret[2 * CASE_REF_SIZE + 1])
{
	hex_encode(BYTES_ARRAY(ref->b), ret);
}

enum err case_ref_parse(struct bytes text, struct case_ref *ret)
{
	return hex_decode(text, ret->b, sizeof ret->b);
}

static bool digits(const uint8_t *text, size_t count, unsigned *ret)
{
	unsigned value = 0;

	for (size_t i = 0; i < count; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = 10 * value + (unsigned)(text[i] - '0');
	}
	*ret = value;
	return true;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

bool event_date_valid(struct bytes date, enum event_precision precision)
{
	static const uint8_t sizes[] = {0, 4, 7, 10};
	unsigned year, month = 1, day = 1;

	if (date.size != sizes[precision])
		return false;
	if (precision == PRECISION_UNKNOWN)
		return true;
	if (!digits(date.data, 4, &year) || year < 1900)
		return false;
	if (precision >= PRECISION_MONTH &&
		(date.data[4] != '-' || !digits(date.data + 5, 2, &month)))
		return false;
	if (precision >= PRECISION_DAY && (date.data[7] != '-' || !digits(date.data + 8, 2, &day)))
		return false;
	return month >= 1 && month <= 12 && day >= 1 && day <= days_in_month(year, month);
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar: years counted from March, so that the
 * leap day is the last of a year. */
static int64_t days_from_civil(unsigned year, unsigned month, unsigned day)
{
	int64_t y = (int64_t)year - (month <= 2);
	int64_t from_march = (month + 9) % 12;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * from_march + 2) / 5 + day - 1 - 719468;
}

enum err event_time_parse(struct bytes text, uint64_t *ret)
{
	const uint8_t *t = text.data;
	unsigned year, month, day, hour, minute, second;

	if (text.size != 20 || !event_date_valid(bytes_make(t, 10), PRECISION_DAY) ||
		t[10] != 'T' || t[13] != ':' || t[16] != ':' || t[19] != 'Z' ||
		!digits(t, 4, &year) || !digits(t + 5, 2, &month) || !digits(t + 8, 2, &day) ||
		!digits(t + 11, 2, &hour) || !digits(t + 14, 2, &minute) ||
		!digits(t + 17, 2, &second))
		return ERR_MALFORMED;
	if (year < 1970 || hour > 23 || minute > 59 || second > 59)
		return ERR_MALFORMED;
	*ret = (uint64_t)days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 +
	       second;
	return OK;
}

void event_time_text(uint64_t seconds, char ret[21])
{
	unsigned year = 1970, month = 1;
	unsigned second;
	uint64_t days;

	if (seconds > UINT64_C(253402300799)) /* 9999-12-31T23:59:59Z */
		seconds = UINT64_C(253402300799);
	days = seconds / 86400;
	second = (unsigned)(seconds % 86400);
	year += (unsigned)(days / 366); /* never too far; the rest by steps */
	while (days >= (uint64_t)days_from_civil(year + 1, 1, 1))
		year++;
	days -= (uint64_t)days_from_civil(year, 1, 1);
	for (; days >= days_in_month(year, month); month++)
		days -= days_in_month(year, month);
	snprintf(ret, 21, "%04u-%02u-%02uT%02u:%02u:%02uZ", year % 10000, month % 100,
		((unsigned)days + 1) % 100, second / 3600 % 100, second / 60 % 60, second % 60);
}

bool event_officer_valid(struct bytes officer)
{
	if (officer.size == 0 || officer.size > EVENT_OFFICER_MAX || !utf8_valid(officer))
		return false;
	for (size_t i = 0; i < officer.size; i++)
		if (officer.data[i] < 0x20 || officer.data[i] == 0x7f)
			return false;
	return true;
}

bool event_office_valid(struct bytes office)
{
	if (office.size != 3)
		return false;
	for (size_t i = 0; i < 3; i++)
		if (office.data[i] < 'A' || office.data[i] > 'Z')
			return false;
	return true;
}

static bool is_letter(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* The shape of RFC 5646 2.1: subtags of 1 to 8 letters and digits, the first 2 to 8 letters. */
bool event_language_valid(struct bytes language)
{
	size_t subtag = 0, length = 0;

	if (language.size == 0)
		return true;
	if (language.size > EVENT_LANGUAGE_MAX)
		return false;
	for (size_t i = 0; i <= language.size; i++) {
		if (i == language.size || language.data[i] == '-') {
			if (length < (subtag == 0 ? 2u : 1u) || length > 8)
				return false;
			subtag++;
			length = 0;
		} else if (is_letter(language.data[i]) ||
			   (subtag > 0 && is_digit(language.data[i]))) {
			length++;
		} else {
			return false;
		}
	}
	return true;
}

bool event_case_code_valid(struct bytes code)
{
	if (code.size == 0 || code.size > CASE_CODE_MAX)
		return false;
	for (size_t i = 0; i < code.size; i++)
		if (!is_letter(code.data[i]) && !is_digit(code.data[i]) && code.data[i] != '-')
			return false;
	return true;
}

bool event_field_name_valid(struct bytes name)
{
	if (name.size == 0 || name.size > EVENT_FIELD_NAME_MAX || name.data[0] < 'a' ||
		name.data[0] > 'z')
		return false;
	for (size_t i = 1; i < name.size; i++) {
		uint8_t c = name.data[i];

		if (!(c >= 'a' && c <= 'z') && !is_digit(c) && c != '_')
			return false;
	}
	return true;
}

static const char *const precisions[] = {"UNKNOWN", "Y", "M", "D"};

const char *event_precision_text(enum event_precision precision)
{
	return precisions[precision];
}

enum err event_precision_parse(struct bytes text, enum event_precision *ret)
{
	for (unsigned i = 0; i < sizeof precisions / sizeof precisions[0]; i++)
		if (bytes_equal_str(text, precisions[i])) {
			*ret = (enum event_precision)i;
			return OK;
		}
	return ERR_MALFORMED;
}

const char *event_field_json(const struct event *event, const char *name)
{
	for (size_t i = 0; i < event->field_count; i++)
		if (strcmp(event->fields[i].name, name) == 0)
			return event->fields[i].json;
	return NULL;
}

enum err event_field_string(const struct event *event, const char *name, char **ret)
{
	CLEANUP(event_json_release) json_t *value = NULL;
	const char *json = event_field_json(event, name);
	char *copy;

	if (json == NULL)
		return ERR_NOTFOUND;
	TRY(event_json_parse(bytes_str(json), true, &value, NULL));
	if (!json_is_string(value))
		return ERR_INVALID;
	copy = mem_strdup(json_string_value(value));
	if (copy == NULL)
		return ERR_NOMEM;
	*ret = copy;
	return OK;
}

enum err event_corrects(const struct event *event, struct event_id *ret)
{
	char *text = NULL;
	enum err err;

	if (event->type != EVENT_CORRECTION || event_field_json(event, "corrects") == NULL)
		return ERR_NOTFOUND;
	err = event_field_string(event, "corrects", &text);
	if (err == OK)
		err = event_id_parse(bytes_str(text), ret);
	mem_free(text);
	return err == ERR_INVALID ? ERR_MALFORMED : err;
}
