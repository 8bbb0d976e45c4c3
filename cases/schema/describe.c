/*
 * The table in words: help for people, JSON Schema for programs, Markdown for docs/EVENTS.
 */
#include <stdio.h>

#include "cases/schema/schema.h"

static const char *const kinds[] = {
	[FIELD_CODE] = "code",
	[FIELD_CODES] = "list of codes",
	[FIELD_ANSWERS] = "list of Y, N or 98",
	[FIELD_DATE] = "date: day, month or year",
	[FIELD_DAY] = "day",
	[FIELD_YEAR] = "year",
	[FIELD_NAME] = "a line of text",
	[FIELD_NAMES] = "list of lines",
	[FIELD_TEXT] = "text",
	[FIELD_TEXTS] = "list of texts",
	[FIELD_NOTE] = "text",
	[FIELD_ID] = "reference in the case",
	[FIELD_IDS] = "list of references",
	[FIELD_EVENT] = "event_id",
	[FIELD_EVENTS] = "list of event_ids",
	[FIELD_GROUPS] = "list of data groups",
	[FIELD_COUNTRY] = "country, ISO 3166-1 alpha-3",
	[FIELD_LANGUAGE] = "language, BCP 47",
	[FIELD_CURRENCY] = "currency, ISO 4217",
	[FIELD_AMOUNT] = "amount, as text",
	[FIELD_COUNT] = "whole number",
	[FIELD_OFFICER] = "officer",
	[FIELD_OFFICERS] = "list of officers",
	[FIELD_HASH] = "SHA-256 in hex",
	[FIELD_REF] = "32 hex digits",
	[FIELD_REFS] = "list of 32 hex digits",
	[FIELD_WINDOWS] = "list of hours, 08:00-12:00",
	[FIELD_CASE_CODE] = "case code",
	[FIELD_FIELD] = "name of a field",
	[FIELD_VALUE] = "a value of that field",
};

const char *schema_kind_name(enum field_kind kind)
{
	return kinds[kind];
}

bool schema_kind_is_list(enum field_kind kind)
{
	switch (kind) {
	case FIELD_CODES:
	case FIELD_ANSWERS:
	case FIELD_NAMES:
	case FIELD_TEXTS:
	case FIELD_IDS:
	case FIELD_EVENTS:
	case FIELD_GROUPS:
	case FIELD_OFFICERS:
	case FIELD_REFS:
	case FIELD_WINDOWS:
		return true;
	default:
		return false;
	}
}

static void put_codes(const struct schema_field *field, const char *separator, struct buf *out)
{
	const char *between = "";

	for (size_t i = 0; i < field->list->count; i++) {
		buf_printf(out, "%s%s", between, field->list->codes[i].name);
		between = separator;
	}
	for (size_t n = 0; n < 4; n++) {
		unsigned bit = 0;
		const struct code *answer = answer_at(n, &bit);

		if ((field->answers & bit) != 0)
			buf_printf(out, "%s%s (%s)", between, answer->name, answer->text);
	}
}

void schema_allowed(const struct schema_field *field, struct buf *out)
{
	switch (field->kind) {
	case FIELD_CODE:
		put_codes(field, ", ", out);
		return;
	case FIELD_CODES:
		buf_put_str(out, "a list of ");
		put_codes(field, ", ", out);
		return;
	case FIELD_DATE:
		buf_put_str(out, "YYYY-MM-DD, YYYY-MM or YYYY");
		return;
	case FIELD_DAY:
		buf_put_str(out, "YYYY-MM-DD");
		return;
	case FIELD_YEAR:
		buf_put_str(out, "YYYY");
		return;
	case FIELD_GROUPS:
		buf_put_str(out, "a list of");
		for (unsigned g = 1; g <= GROUP_CASE_LAST; g++)
			buf_printf(out, "%s %s", g == 1 ? "" : ",", group_name((enum group)g));
		return;
	case FIELD_AMOUNT:
		buf_put_str(out, "12 or 12.50, as text");
		return;
	case FIELD_COUNT:
		buf_put_str(out, "a whole number from 0 to 999999");
		return;
	case FIELD_ID:
	case FIELD_IDS:
		buf_printf(out, "%s1 to %d letters, digits, '.', '_' and '-'",
			field->kind == FIELD_IDS ? "a list of " : "", SCHEMA_ID_MAX);
		return;
	case FIELD_NAME:
	case FIELD_NAMES:
		buf_printf(out, "%s of 1 to %d bytes",
			field->kind == FIELD_NAMES ? "a list of lines" : "one line",
			SCHEMA_NAME_MAX);
		return;
	case FIELD_TEXT:
	case FIELD_TEXTS:
	case FIELD_NOTE:
		buf_printf(out, "%s of 1 to %d bytes",
			field->kind == FIELD_TEXTS ? "a list of texts" : "text",
			field->kind == FIELD_NOTE ? SCHEMA_NOTE_MAX : SCHEMA_TEXT_MAX);
		return;
	default:
		buf_put_str(out, schema_kind_name(field->kind));
	}
}

/* --- help --- */

static void put_option_name(const char *name, struct buf *out)
{
	buf_put_str(out, "--");
	for (; *name != 0; name++)
		buf_put_u8(out, *name == '_' ? '-' : (uint8_t)*name);
}

static void help_codes(const struct schema_field *field, struct buf *out)
{
	for (size_t i = 0; i < field->list->count; i++)
		buf_printf(out, "        %-28s %s\n", field->list->codes[i].name,
			field->list->codes[i].text);
	for (size_t n = 0; n < 4; n++) {
		unsigned bit = 0;
		const struct code *answer = answer_at(n, &bit);

		if ((field->answers & bit) != 0)
			buf_printf(out, "        %-28s %s\n", answer->name, answer->text);
	}
}

static void help_field(const struct schema_field *field, struct buf *out)
{
	buf_put_str(out, "  ");
	put_option_name(field->name, out);
	buf_printf(out, "  (%s%s)\n      %s", schema_kind_name(field->kind),
		field->required ? ", needed" : "", field->ask);
	if (field->preset != NULL)
		buf_printf(out, " [%s]", field->preset);
	buf_put_u8(out, '\n');
	if (field->list != NULL)
		help_codes(field, out);
}

void schema_write_help(const struct schema_type *type, struct buf *out)
{
	const struct schema_field *field;

	buf_printf(out, "%s: %s\n", type->alias, type->title);
	if (type->help[0] != 0)
		buf_printf(out, "%s\n", type->help);
	buf_put_u8(out, '\n');
	for (size_t i = 0; (field = schema_field_at(type, i)) != NULL; i++)
		help_field(field, out);
}

/* --- JSON Schema --- */

/* Texts of the table hold no character that JSON would have escaped; test_schema looks. */
static void json_enum(const struct schema_field *field, struct buf *out)
{
	const char *between = "";

	buf_put_str(out, "{\"enum\":[");
	for (size_t i = 0; i < field->list->count; i++) {
		buf_printf(out, "%s\"%s\"", between, field->list->codes[i].name);
		between = ",";
	}
	for (size_t n = 0; n < 4; n++) {
		unsigned bit = 0;
		const struct code *answer = answer_at(n, &bit);

		if ((field->answers & bit) != 0)
			buf_printf(out, "%s\"%s\"", between, answer->name);
	}
	buf_put_str(out, "]}");
}

static void json_groups(struct buf *out)
{
	buf_put_str(out, "{\"enum\":[");
	for (unsigned g = 1; g <= GROUP_CASE_LAST; g++)
		buf_printf(out, "%s\"%s\"", g == 1 ? "" : ",", group_name((enum group)g));
	buf_put_str(out, "]}");
}

static const char *pattern_of(enum field_kind kind)
{
	switch (kind) {
	case FIELD_DATE:
		return "^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$";
	case FIELD_DAY:
		return "^[0-9]{4}-[0-9]{2}-[0-9]{2}$";
	case FIELD_YEAR:
		return "^[0-9]{4}$";
	case FIELD_ID:
	case FIELD_IDS:
		return "^[A-Za-z0-9._-]{1,32}$";
	case FIELD_EVENT:
	case FIELD_EVENTS:
		return "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$";
	case FIELD_COUNTRY:
	case FIELD_CURRENCY:
		return "^[A-Z]{3}$";
	case FIELD_LANGUAGE:
		return "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$";
	case FIELD_AMOUNT:
		return "^[0-9]{1,12}([.][0-9]{1,2})?$";
	case FIELD_HASH:
		return "^[0-9a-f]{64}$";
	case FIELD_REF:
	case FIELD_REFS:
		return "^[0-9a-f]{32}$";
	case FIELD_WINDOWS:
		return "^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$";
	case FIELD_CASE_CODE:
		return "^[A-Za-z0-9-]{1,32}$";
	case FIELD_FIELD:
		return "^[a-z][a-z0-9_]{0,47}$";
	default:
		return NULL;
	}
}

static void json_item(const struct schema_field *field, struct buf *out)
{
	const char *pattern = pattern_of(field->kind);

	if (field->list != NULL)
		json_enum(field, out);
	else if (field->kind == FIELD_GROUPS)
		json_groups(out);
	else if (field->kind == FIELD_ANSWERS)
		buf_put_str(out, "{\"enum\":[\"Y\",\"N\",\"98\"]}");
	else if (field->kind == FIELD_COUNT)
		buf_put_str(out, "{\"type\":\"integer\",\"minimum\":0,\"maximum\":999999}");
	else if (field->kind == FIELD_VALUE)
		buf_put_str(out, "{\"not\":{\"type\":\"null\"}}");
	else if (pattern != NULL)
		buf_printf(out, "{\"type\":\"string\",\"pattern\":\"%s\"}", pattern);
	else
		buf_put_str(out, "{\"type\":\"string\",\"minLength\":1}");
}

static void json_field(const struct schema_field *field, struct buf *out)
{
	buf_printf(out, "\"%s\":{\"description\":\"%s\",\"allOf\":[", field->name, field->ask);
	if (schema_kind_is_list(field->kind))
		buf_printf(out, "{\"type\":\"array\",\"minItems\":1,\"maxItems\":%d,\"items\":",
			SCHEMA_ITEMS_MAX);
	json_item(field, out);
	buf_put_str(out, schema_kind_is_list(field->kind) ? "}]}" : "]}");
}

static void json_type(const struct schema_type *type, struct buf *out)
{
	const struct schema_field *field;

	buf_printf(out, "{\"title\":\"%s\",\"properties\":{\"type\":{\"const\":\"%s\"}",
		type->title, event_type_get(type->number)->name);
	for (size_t i = 0; (field = schema_field_at(type, i)) != NULL; i++) {
		buf_put_u8(out, ',');
		json_field(field, out);
	}
	buf_put_str(out, "},\"required\":[\"type\"");
	for (size_t i = 0; i < type->field_count; i++)
		if (type->fields[i].required &&
			(type->fields[i].preset == NULL ||
				strchr(type->fields[i].preset, '#') == NULL))
			buf_printf(out, ",\"%s\"", type->fields[i].name);
	buf_put_str(out, "],\"$ref\":\"#/$defs/common\",\"unevaluatedProperties\":false}");
}

static const char common[] =
	"\"$defs\":{\"id\":{\"type\":\"string\",\"pattern\":\"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}"
	"-"
	"[89ab][0-9a-f]{3}-[0-9a-f]{12}$\"},\"ids\":{\"type\":\"array\",\"maxItems\":64,\"items\":"
	"{\"$ref\":\"#/$defs/id\"}},\"common\":{\"properties\":{"
	"\"event_id\":{\"$ref\":\"#/$defs/id\"},"
	"\"case_ref\":{\"type\":\"string\",\"pattern\":\"^[0-9a-f]{32}$\"},"
	"\"occurred_on\":{\"type\":\"string\",\"pattern\":\"^([0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?)?$"
	"\"},"
	"\"precision\":{\"enum\":[\"D\",\"M\",\"Y\",\"UNKNOWN\"]},"
	"\"recorded_at\":{\"type\":\"string\",\"pattern\":\"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:"
	"[0-9]{2}:[0-9]{2}Z$\"},"
	"\"recorded_by\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":64},"
	"\"office\":{\"type\":\"string\",\"pattern\":\"^[A-Z]{3}$\"},"
	"\"language\":{\"type\":\"string\",\"maxLength\":35},"
	"\"supersedes\":{\"$ref\":\"#/$defs/ids\"},\"parents\":{\"$ref\":\"#/$defs/ids\"},"
	"\"consent_refs\":{\"$ref\":\"#/$defs/ids\"}}}}";

void schema_write_json_schema(struct buf *out)
{
	buf_put_str(out, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\","
			 "\"title\":\"An event of a case: one JSON line\",\"type\":\"object\",");
	buf_put_str(out, common);
	buf_put_str(out, ",\"oneOf\":[");
	for (uint32_t n = 1; n <= EVENT_TYPE_LAST; n++) {
		if (n > 1)
			buf_put_u8(out, ',');
		json_type(schema_type_get(n), out);
	}
	buf_put_str(out, "]}");
}

/* --- Markdown --- */

static void markdown_field(
	const struct schema_type *type, const struct schema_field *field, struct buf *out)
{
	enum group group = schema_field_group(type, field);

	buf_printf(out, "| `%s`%s | %s", field->name, field->required ? " *" : "",
		schema_kind_name(field->kind));
	if (field->list != NULL)
		buf_printf(out, ": [%s](#list-%s)", field->list->name, field->list->name);
	if (field->answers == ANSWER_ANY)
		buf_put_str(out, ", or 0, 97, 98, 99");
	else if (field->answers != 0)
		buf_put_str(out, ", or 98");
	buf_printf(out, " | %s | %s |\n", group == GROUP_NONE ? "by the event" : group_name(group),
		field->ask);
}

static void markdown_types(struct buf *out)
{
	for (uint32_t n = 1; n <= EVENT_TYPE_LAST; n++) {
		const struct schema_type *type = schema_type_get(n);

		buf_printf(out, "### %s\n\n%u, `%s`: %s.%s%s\n\n", event_type_get(n)->name, n,
			type->alias, type->title, type->help[0] == 0 ? "" : " ", type->help);
		buf_put_str(out, "| field | value | group | |\n|---|---|---|---|\n");
		for (size_t i = 0; i < type->field_count; i++)
			markdown_field(type, &type->fields[i], out);
		buf_put_u8(out, '\n');
	}
}

static void markdown_codes(struct buf *out)
{
	const struct code_list *list;

	for (size_t i = 0; (list = code_list_at(i)) != NULL; i++) {
		buf_printf(out, "<a id=\"list-%s\"></a>**%s** (`%s`): ", list->name, list->title,
			list->name);
		for (size_t k = 0; k < list->count; k++)
			buf_printf(out, "%s`%s` %s", k == 0 ? "" : ", ", list->codes[k].name,
				list->codes[k].text);
		buf_put_str(out, ".\n\n");
	}
}

void schema_write_markdown(struct buf *out)
{
	buf_put_str(out,
		"# Event types and code lists\n\n"
		"Made from `cases/schema/table.c` and `codes.c`; `test_schema` compares, and "
		"writes it "
		"anew with `SAUTI_REWRITE=1`.\n"
		"[EVENTS.md](EVENTS.md) says what all events have in common, and what may follow "
		"what.\n\n"
		"Fields with a star are required. Those whose question asks for a reference "
		"(`C-1`, "
		"`R-2`) may be left out: the node\ngives the next one. Every type that stands in a "
		"case "
		"takes a `note`, too, in a group of its own. \"By the event\" is\n`services` or "
		"`health` "
		"by the service, `allegation` or `contact` by the subject, and for a correction "
		"the "
		"group of\nwhat it corrects.\n\n## Types\n\n");
	markdown_types(out);
	buf_put_str(out, "## Code lists\n\n"
			 "Four answers belong to no list: `0` not asked, `97` not applicable, `98` "
			 "declined to say, `99` unknown.\n\n");
	markdown_codes(out);
	/* One newline at the end. */
	if (out->err == OK && out->size > 0)
		out->size--;
}
