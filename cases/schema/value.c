/*
 * Values as people and tables write them, into JSON and back.
 */
#include <jansson.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/event_json.h"
#include "cases/schema/schema.h"

static struct bytes trimmed(struct bytes text)
{
	while (text.size > 0 && text.data[0] <= ' ')
		text = bytes_make(text.data + 1, text.size - 1);
	while (text.size > 0 && text.data[text.size - 1] <= ' ')
		text.size--;
	return text;
}

static json_t *json_of(struct bytes text)
{
	return json_stringn((const char *)text.data, text.size);
}

/* A code as typed; what is no code stays as it is, for the check to refuse. */
static json_t *code_of(const struct schema_field *field, struct bytes text)
{
	const struct code *code =
		(answer_find(text) & field->answers) != 0 ? NULL : code_guess(field->list, text);

	for (size_t n = 0; code == NULL && field->answers != 0 && n < 4; n++) {
		unsigned bit = 0;
		const struct code *answer = answer_at(n, &bit);

		if ((bit & field->answers) != 0 && bytes_equal_str(text, answer->text))
			code = answer;
	}
	return code == NULL ? json_of(text) : json_string(code->name);
}

static json_t *upper(struct bytes text)
{
	char out[SCHEMA_NAME_MAX + 1];

	if (text.size > SCHEMA_NAME_MAX)
		return json_of(text);
	for (size_t i = 0; i < text.size; i++) {
		char c = (char)text.data[i];

		out[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
	}
	return json_stringn(out, text.size);
}

static json_t *item_of(const struct schema_field *field, struct bytes text)
{
	switch (field->kind) {
	case FIELD_CODE:
	case FIELD_CODES:
		return code_of(field, text);
	case FIELD_ANSWERS:
	case FIELD_COUNTRY:
	case FIELD_CURRENCY:
	case FIELD_CASE_CODE:
		return upper(text);
	default:
		return json_of(text);
	}
}

static bool separates(const struct schema_field *field, uint8_t c)
{
	/* Texts may have commas in them. */
	return c == ';' || c == '\n' || (c == ',' && field->kind != FIELD_TEXTS);
}

static json_t *list_of(const struct schema_field *field, struct bytes rest)
{
	json_t *list = json_array();

	while (rest.size > 0) {
		size_t size = 0;
		struct bytes item;

		while (size < rest.size && !separates(field, rest.data[size]))
			size++;
		item = trimmed(bytes_make(rest.data, size));
		size += size < rest.size;
		rest = bytes_make(rest.data + size, rest.size - size);
		if (item.size > 0 && json_array_append_new(list, item_of(field, item)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *count_of(struct bytes text)
{
	uint64_t number;

	return decimal_parse(text, 999999, &number) == OK ? json_integer((json_int_t)number)
							  : json_of(text);
}

/* Any JSON, or else text. */
static json_t *any_of(struct bytes text)
{
	json_t *value = NULL;

	return event_json_parse(text, true, &value, NULL) == OK && !json_is_string(value)
		       ? value
		       : json_of(text);
}

static json_t *value_of(const struct schema_field *field, struct bytes text)
{
	if (schema_kind_is_list(field->kind))
		return list_of(field, text);
	switch (field->kind) {
	case FIELD_COUNT:
		return count_of(text);
	case FIELD_VALUE:
		return any_of(text);
	default:
		return item_of(field, text);
	}
}

enum err schema_value(
	const struct schema_field *field, struct bytes text, char **ret_json, struct errctx *ctx)
{
	CLEANUP(event_json_release) json_t *value = NULL;
	char *json = NULL;
	enum err err;

	if (text.size > LIMIT_EVENT_JSON)
		return err_set(ctx, ERR_LIMIT, "%s: %zu bytes", field->name, text.size);
	if (!utf8_valid(text))
		return err_set(ctx, ERR_INVALID, "%s: not valid UTF-8", field->name);
	value = value_of(field, field->kind == FIELD_NOTE ? text : trimmed(text));
	if (value == NULL)
		return ERR_NOMEM;
	TRY(event_json_dump(value, &json));
	err = schema_check_value(field, json, ctx);
	if (err == OK)
		*ret_json = json;
	else
		event_string_free(json);
	return err;
}

static void show_one(const struct schema_field *field, const json_t *value, struct buf *out)
{
	const char *text = json_string_value(value);
	const struct code *code = NULL;
	unsigned bit;

	if (text != NULL && field != NULL && field->list != NULL)
		code = code_find(field->list, bytes_str(text));
	for (size_t n = 0; code == NULL && text != NULL && field != NULL && n < 4; n++)
		if (field->answers != 0 && strcmp(answer_at(n, &bit)->name, text) == 0)
			code = answer_at(n, &bit);
	if (code != NULL)
		text = code->text;
	if (text != NULL) {
		buf_put_str(out, text);
	} else if (json_is_integer(value)) {
		buf_printf(out, "%lld", (long long)json_integer_value(value));
	} else {
		char *json = NULL;

		if (event_json_dump(value, &json) == OK)
			buf_put_str(out, json);
		event_string_free(json);
	}
}

void schema_show(const struct schema_field *field, const char *json, struct buf *out)
{
	CLEANUP(event_json_release) json_t *value = NULL;
	size_t i;
	json_t *item;

	if (event_json_parse(bytes_str(json), true, &value, NULL) != OK)
		return;
	if (!json_is_array(value)) {
		show_one(field, value, out);
		return;
	}
	json_array_foreach(value, i, item)
	{
		if (i > 0)
			buf_put_str(out, field != NULL && field->kind == FIELD_TEXTS ? "; " : ", ");
		show_one(field, item, out);
	}
}
