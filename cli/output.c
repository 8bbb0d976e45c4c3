#include "cli/output.h"

#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/event.h"

enum { JSON_DEPTH_MAX = 32, COLUMN_GAP = 2 };

/* Jansson recurses: not on a depth that somebody else chose. */
static bool depth_ok(struct bytes text)
{
	size_t depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];

		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '{' || c == '['))
			depth++;
		else if (!in_string && (c == '}' || c == ']') && depth > 0)
			depth--;
		if (depth > JSON_DEPTH_MAX)
			return false;
	}
	return true;
}

enum err output_parse(struct bytes json, json_t **ret, struct errctx *ctx)
{
	json_error_t error;
	json_t *value = NULL;

	if (depth_ok(json))
		value = json_loadb((const char *)json.data, json.size,
			JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (value == NULL)
		return err_set(ctx, ERR_MALFORMED, "the daemon's answer is no JSON");
	*ret = value;
	return OK;
}

void output_json(const json_t *document)
{
	json_dumpf(document, stdout, JSON_ENCODE_ANY | JSON_INDENT(2));
	putchar('\n');
}

/* The size of the UTF-8 sequence at text (which is valid), and its code point. */
static size_t code_point(const unsigned char *text, uint32_t *ret)
{
	size_t size = text[0] < 0x80 ? 1 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;

	*ret = size == 1 ? text[0] : text[0] & (0xffu >> (size + 1));
	for (size_t i = 1; i < size; i++)
		*ret = *ret << 6 | (text[i] & 0x3f);
	return size;
}

static bool harmful(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f || c == 0x61c ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

void output_text(FILE *file, const char *text, bool lines)
{
	const unsigned char *at = (const unsigned char *)text;

	if (!utf8_valid(bytes_str(text))) {
		fputs("?", file);
		return;
	}
	while (*at != '\0') {
		uint32_t c;
		size_t size = code_point(at, &c);

		if (harmful(c) && !(lines && c == '\n'))
			fputc('?', file);
		else
			fwrite(at, 1, size, file);
		at += size;
	}
}

const char *output_member(const json_t *object, const char *name, struct output_buffer *buffer)
{
	const json_t *value = json_object_get(object, name);
	size_t n;

	buffer->text[0] = '\0';
	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_boolean(value))
		return json_is_true(value) ? "yes" : "no";
	if (value == NULL || json_is_null(value))
		return buffer->text;
	n = json_dumpb(
		value, buffer->text, sizeof(buffer->text) - 1, JSON_ENCODE_ANY | JSON_COMPACT);
	buffer->text[n < sizeof(buffer->text) ? n : 0] = '\0';
	return n < sizeof(buffer->text) ? buffer->text : "..";
}

uint64_t output_number(const json_t *object, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(object, name));

	return value < 0 ? 0 : (uint64_t)value;
}

bool output_true(const json_t *object, const char *name)
{
	return json_is_true(json_object_get(object, name));
}

const char *output_time(const json_t *object, const char *name, struct output_buffer *buffer)
{
	const json_t *value = json_object_get(object, name);
	char text[21];

	if (!json_is_integer(value))
		return json_is_string(value) ? json_string_value(value) : "-";
	if (json_integer_value(value) <= 0 || json_integer_value(value) > INT64_C(253402300799))
		return "-";
	event_time_text((uint64_t)json_integer_value(value), text);
	strcpy(buffer->text, text);
	return buffer->text;
}

void output_table_init(struct output_table *table, const char *const *heads, size_t columns)
{
	*table = (struct output_table){.columns = columns};
	output_table_add(table, heads);
}

static bool grow(struct output_table *table)
{
	size_t capacity = table->capacity == 0 ? 16 : table->capacity * 2;
	char **grown;

	if (table->rows < table->capacity)
		return true;
	grown = mem_array(capacity * table->columns, sizeof(*grown));
	if (grown == NULL)
		return false;
	if (table->rows > 0)
		memcpy(grown, table->cells, table->rows * table->columns * sizeof(*grown));
	mem_free(table->cells);
	table->cells = grown;
	table->capacity = capacity;
	return true;
}

void output_table_add(struct output_table *table, const char *const *cells)
{
	if (table->err == OK && !grow(table))
		table->err = ERR_NOMEM;
	if (table->err != OK)
		return;
	for (size_t i = 0; i < table->columns; i++) {
		char *copy = mem_strdup(cells[i]);

		table->cells[table->rows * table->columns + i] = copy;
		if (copy == NULL)
			table->err = ERR_NOMEM;
	}
	table->rows++;
}

static size_t width(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

void output_table_print(const struct output_table *table, FILE *file)
{
	size_t widths[OUTPUT_COLUMNS_MAX] = {0};

	if (table->err != OK)
		return;
	for (size_t i = 0; i < table->rows * table->columns; i++) {
		size_t w = width(table->cells[i]), column = i % table->columns;

		widths[column] = w > widths[column] ? w : widths[column];
	}
	for (size_t i = 0; i < table->rows * table->columns; i++) {
		size_t column = i % table->columns;
		size_t pad = widths[column] - width(table->cells[i]) + COLUMN_GAP;

		output_text(file, table->cells[i], false);
		if (column + 1 == table->columns)
			fputc('\n', file);
		else
			fprintf(file, "%*s", (int)pad, "");
	}
}

void output_table_release(struct output_table *table)
{
	for (size_t i = 0; i < table->rows * table->columns; i++)
		mem_free(table->cells[i]);
	mem_free(table->cells);
	*table = (struct output_table){0};
}
