/*
 * One event against the table. Happy path: every field is known, and its value is what its kind
 * says; then every required field was there.
 *
 * What was found is quoted when it is short and looks like a code, a date or a number; anything
 * else may be of a case, and is only measured.
 */
#include <jansson.h>
#include <stdio.h>

#include "base/text.h"
#include "cases/event/case_code.h"
#include "cases/event/event_json.h"
#include "cases/schema/schema.h"

enum { QUOTED_MAX = 24, ALLOWED_MAX = 400 };

static struct bytes text_of(const json_t *value)
{
	return json_is_string(value)
		       ? bytes_make(json_string_value(value), json_string_length(value))
		       : BYTES_NONE;
}

static bool quotable(struct bytes text)
{
	if (text.size == 0 || text.size > QUOTED_MAX)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];

		if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
			strchr("_-+<>=:./", c) == NULL)
			return false;
	}
	return true;
}

/* "'PHONEE'", "text of 14 bytes", "a list".. */
static const char *found(const json_t *value, char out[64])
{
	struct bytes text = text_of(value);

	if (json_is_string(value) && quotable(text))
		snprintf(out, 64, "'%.*s'", (int)text.size, (const char *)text.data);
	else if (json_is_string(value))
		snprintf(out, 64, "text of %zu bytes", text.size);
	else if (json_is_integer(value))
		snprintf(out, 64, "the number %lld", (long long)json_integer_value(value));
	else
		snprintf(out, 64, "%s",
			json_is_array(value)     ? "a list"
			: json_is_object(value)  ? "an object"
			: json_is_boolean(value) ? "true or false"
						 : "a number with a fraction");
	return out;
}

static enum err refuse(
	const struct schema_field *field, const json_t *value, enum err err, struct errctx *ctx)
{
	struct buf allowed;
	char what[64];

	buf_init(&allowed, ALLOWED_MAX);
	schema_allowed(field, &allowed);
	err_set(ctx, err, "%s: found %s; allowed: %s", field->name, found(value, what),
		allowed.err == OK ? buf_cstr(&allowed) : "a code of its list");
	buf_release(&allowed);
	return err;
}

static bool all_of(struct bytes text, const char *allowed)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] == 0 || strchr(allowed, text.data[i]) == NULL)
			return false;
	return true;
}

#define DIGITS "0123456789"
#define HEX    DIGITS "abcdef"

static bool one_line(struct bytes text)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] < 0x20 || text.data[i] == 0x7f)
			return false;
	return true;
}

/* Line breaks and tabs are text, other controls are not. */
static bool plain_text(struct bytes text)
{
	for (size_t i = 0; i < text.size; i++)
		if ((text.data[i] < 0x20 && strchr("\n\t\r", text.data[i]) == NULL) ||
			text.data[i] == 0x7f || text.data[i] == 0)
			return false;
	return true;
}

static bool is_id(struct bytes text)
{
	return text.size >= 1 && text.size <= SCHEMA_ID_MAX &&
	       all_of(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" DIGITS "._-");
}

static bool is_amount(struct bytes text)
{
	size_t whole = 0, cents;

	while (whole < text.size && text.data[whole] >= '0' && text.data[whole] <= '9')
		whole++;
	if (whole == 0 || whole > 12)
		return false;
	if (whole == text.size)
		return true;
	cents = text.size - whole - 1;
	return text.data[whole] == '.' && cents >= 1 && cents <= 2 &&
	       all_of(bytes_make(text.data + whole + 1, cents), DIGITS);
}

static bool is_hour(const uint8_t *t)
{
	unsigned hour = (t[0] - '0') * 10u + (t[1] - '0');

	return all_of(bytes_make(t, 2), DIGITS) && t[2] == ':' &&
	       all_of(bytes_make(t + 3, 2), DIGITS) && t[3] <= '5' &&
	       (hour < 24 || (hour == 24 && t[3] == '0' && t[4] == '0'));
}

static bool is_window(struct bytes text)
{
	return text.size == 11 && is_hour(text.data) && text.data[5] == '-' &&
	       is_hour(text.data + 6);
}

static bool is_date(struct bytes text)
{
	return (text.size == 10 && event_date_valid(text, PRECISION_DAY)) ||
	       (text.size == 7 && event_date_valid(text, PRECISION_MONTH)) ||
	       (text.size == 4 && event_date_valid(text, PRECISION_YEAR));
}

static bool is_event_id(struct bytes text)
{
	struct event_id id;

	return event_id_parse(text, &id) == OK;
}

/* One text of that kind; of lists, one of its items. */
static bool text_fits(const struct schema_field *field, struct bytes text)
{
	switch (field->kind) {
	case FIELD_CODE:
		return code_find(field->list, text) != NULL ||
		       (answer_find(text) & field->answers) != 0;
	case FIELD_CODES:
		return code_find(field->list, text) != NULL;
	case FIELD_ANSWERS:
		return bytes_equal_str(text, "Y") || bytes_equal_str(text, "N") ||
		       bytes_equal_str(text, "98");
	case FIELD_DATE:
		return is_date(text);
	case FIELD_DAY:
		return event_date_valid(text, PRECISION_DAY);
	case FIELD_YEAR:
		return event_date_valid(text, PRECISION_YEAR);
	case FIELD_NAME:
	case FIELD_NAMES:
		return text.size > 0 && one_line(text);
	case FIELD_TEXT:
	case FIELD_TEXTS:
	case FIELD_NOTE:
		return text.size > 0 && plain_text(text);
	case FIELD_ID:
	case FIELD_IDS:
		return is_id(text);
	case FIELD_EVENT:
	case FIELD_EVENTS:
		return is_event_id(text);
	case FIELD_GROUPS:
		return group_of_case(group_find(text)) ||
		       (field->audit && group_find(text) == GROUP_AUDIT);
	case FIELD_COUNTRY:
		return country_known(text);
	case FIELD_LANGUAGE:
		return text.size > 0 && event_language_valid(text);
	case FIELD_CURRENCY:
		return currency_known(text);
	case FIELD_AMOUNT:
		return is_amount(text);
	case FIELD_OFFICER:
	case FIELD_OFFICERS:
		return event_officer_valid(text);
	case FIELD_HASH:
		return text.size == 64 && all_of(text, HEX);
	case FIELD_REF:
	case FIELD_REFS:
		return text.size == 32 && all_of(text, HEX);
	case FIELD_WINDOWS:
		return is_window(text);
	case FIELD_CASE_CODE:
		return case_code_check(text) != CASE_CODE_INVALID;
	case FIELD_FIELD:
		return event_field_name_valid(text) && !event_field_is_common(text);
	case FIELD_COUNT:
	case FIELD_VALUE:
		break;
	}
	return false;
}

static size_t text_max(enum field_kind kind)
{
	return kind == FIELD_NOTE                          ? SCHEMA_NOTE_MAX
	       : kind == FIELD_TEXT || kind == FIELD_TEXTS ? SCHEMA_TEXT_MAX
							   : SCHEMA_NAME_MAX;
}

static enum err check_text(
	const struct schema_field *field, const json_t *value, struct errctx *ctx)
{
	struct bytes text = text_of(value);

	if (!json_is_string(value))
		return refuse(field, value, ERR_INVALID, ctx);
	if (text.size > text_max(field->kind))
		return refuse(field, value, ERR_LIMIT, ctx);
	return text_fits(field, text) ? OK : refuse(field, value, ERR_INVALID, ctx);
}

/* Items of a list are a set, but texts and answers, whose order says something. */
static enum err check_twice(
	const struct schema_field *field, const json_t *list, size_t i, struct errctx *ctx)
{
	if (field->kind == FIELD_TEXTS || field->kind == FIELD_ANSWERS)
		return OK;
	for (size_t k = 0; k < i; k++)
		if (json_equal(json_array_get(list, k), json_array_get(list, i)))
			return err_set(
				ctx, ERR_INVALID, "%s: the same is listed twice", field->name);
	return OK;
}

static enum err check_list(
	const struct schema_field *field, const json_t *value, struct errctx *ctx)
{
	size_t count = json_array_size(value);

	if (!json_is_array(value))
		return refuse(field, value, ERR_INVALID, ctx);
	if (count == 0)
		return err_set(ctx, ERR_INVALID, "%s: an empty list; leave it out", field->name);
	if (count > SCHEMA_ITEMS_MAX)
		return err_set(ctx, ERR_LIMIT, "%s: a list of %zu; allowed are %d", field->name,
			count, SCHEMA_ITEMS_MAX);
	for (size_t i = 0; i < count; i++) {
		TRY(check_text(field, json_array_get(value, i), ctx));
		TRY(check_twice(field, value, i, ctx));
	}
	return OK;
}

static enum err check_value(
	const struct schema_field *field, const json_t *value, struct errctx *ctx)
{
	if (schema_kind_is_list(field->kind))
		return check_list(field, value, ctx);
	if (field->kind == FIELD_VALUE)
		return json_is_null(value) ? refuse(field, value, ERR_INVALID, ctx) : OK;
	if (field->kind != FIELD_COUNT)
		return check_text(field, value, ctx);
	return json_is_integer(value) && json_integer_value(value) >= 0 &&
			       json_integer_value(value) <= 999999
		       ? OK
		       : refuse(field, value, ERR_INVALID, ctx);
}

/* A string without escapes that fits: as most values are, and no need to parse it. */
static bool fits_plainly(const struct schema_field *field, struct bytes json)
{
	struct bytes text;

	if (schema_kind_is_list(field->kind) || field->kind == FIELD_COUNT || json.size < 2 ||
		json.data[0] != '"' || !event_json_is_plain(json))
		return false;
	text = bytes_make(json.data + 1, json.size - 2);
	return field->kind == FIELD_VALUE ||
	       (text.size <= text_max(field->kind) && text_fits(field, text));
}

enum err schema_check_value(const struct schema_field *field, const char *json, struct errctx *ctx)
{
	CLEANUP(event_json_release) json_t *value = NULL;

	if (fits_plainly(field, bytes_str(json)))
		return OK;
	TRY(event_json_parse(bytes_str(json), true, &value, ctx));
	return check_value(field, value, ctx);
}

/* The name is the sender's: quoted when it has the form of a name. */
static enum err unknown_field(const struct schema_type *type, const char *name, struct errctx *ctx)
{
	struct buf names;

	buf_init(&names, ALLOWED_MAX);
	for (size_t i = 0; i < type->field_count; i++)
		buf_printf(&names, "%s%s", i == 0 ? "" : ", ", type->fields[i].name);
	err_set(ctx, ERR_INVALID, "%s: %s has no such field; it has %s", name,
		event_type_get(type->number)->name, names.err == OK ? buf_cstr(&names) : "others");
	buf_release(&names);
	return ERR_INVALID;
}

static bool node_fills_in(const struct schema_field *field)
{
	return field->kind == FIELD_CASE_CODE ||
	       (field->preset != NULL && strchr(field->preset, '#') != NULL);
}

static enum err check_required(
	const struct event *event, const struct schema_type *type, struct errctx *ctx)
{
	for (size_t i = 0; i < type->field_count; i++) {
		const struct schema_field *field = &type->fields[i];

		if (!field->required || node_fills_in(field) ||
			event_field_json(event, field->name) != NULL)
			continue;
		return err_set(ctx, ERR_INVALID, "%s: missing; %s must say: %s", field->name,
			event_type_get(type->number)->name, field->ask);
	}
	return OK;
}

enum err schema_check(const struct event *event, struct errctx *ctx)
{
	const struct schema_type *type = schema_type_get(event->type);

	if (type == NULL)
		return err_set(ctx, ERR_INVALID, "type: found number %u, which is no event type",
			(unsigned)event->type);
	for (size_t i = 0; i < event->field_count; i++) {
		const struct event_field *given = &event->fields[i];
		const struct schema_field *field = schema_field_find(type, bytes_str(given->name));

		if (field == NULL)
			return unknown_field(type, given->name, ctx);
		TRY(schema_check_value(field, given->json, ctx));
	}
	return check_required(event, type, ctx);
}
