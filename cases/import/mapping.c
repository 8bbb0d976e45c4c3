/*
 * Line by line; then what can be said only of the whole: sections that are named, required fields.
 */
#include "cases/import/mapping.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/event_json.h"

struct parser {
	struct mapping *mapping;
	struct mapping_section *section; /* NULL in [register] */
	bool in_register, seen_register, skipping;
	const char *file;
	uint32_t line;
	struct table_findings *errors;
	enum err err; /* no memory */
};

static const char *const common_names[MAPPING_COMMON_COUNT] = {
	"occurred_on", "language", "office", "recorded_by"};

static void complain(struct parser *p, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void complain(struct parser *p, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	table_findings_add(p->errors, "%s:%u: %s", p->file, (unsigned)p->line, text);
}

/* ---- pieces of text ---- */

static struct bytes part(struct bytes text, size_t from, size_t to)
{
	return bytes_make(text.data + from, to - from);
}

static struct bytes trim(struct bytes text)
{
	while (text.size > 0 && memchr(" \t\r\n", text.data[0], 4) != NULL)
		text = part(text, 1, text.size);
	while (text.size > 0 && memchr(" \t\r\n", text.data[text.size - 1], 4) != NULL)
		text.size--;
	return text;
}

static bool is_quoted(struct bytes text)
{
	return text.size >= 2 && text.data[0] == '"' && text.data[text.size - 1] == '"';
}

/* Takes `word` with the blanks before it off the end. */
static bool take_end(struct bytes *text, const char *word)
{
	size_t size = strlen(word);

	if (text->size <= size || memcmp(text->data + text->size - size, word, size) != 0 ||
		text->data[text->size - size - 1] != ' ')
		return false;
	*text = trim(part(*text, 0, text->size - size));
	return true;
}

/* "Column + 365d" */
static void take_days(struct bytes *text, uint32_t *ret)
{
	size_t at = text->size;
	uint64_t days;

	if (at < 2 || text->data[at - 1] != 'd')
		return;
	for (at--; at > 0 && text->data[at - 1] >= '0' && text->data[at - 1] <= '9'; at--)
		;
	if (decimal_parse(part(*text, at, text->size - 1), MAPPING_DAYS_MAX, &days) != OK)
		return;
	while (at > 0 && text->data[at - 1] == ' ')
		at--;
	if (at < 2 || text->data[at - 1] != '+')
		return;
	*text = trim(part(*text, 0, at - 1));
	*ret = (uint32_t)days;
}

static void read_value(struct parser *p, struct bytes text, struct mapping_value *ret)
{
	*ret = (struct mapping_value){.source = MAPPING_COLUMN, .line = p->line, .text = text};
	if (is_quoted(text)) {
		ret->source = MAPPING_CONSTANT;
		ret->text = part(text, 1, text.size - 1);
	} else if (text.data[0] == '[' && text.data[text.size - 1] == ']') {
		ret->source = MAPPING_EVENT;
		ret->text = trim(part(text, 1, text.size - 1));
	} else {
		take_days(&ret->text, &ret->days);
	}
}

/* ---- [register] ---- */

static bool names_register(struct bytes text)
{
	if (text.size == 0 || text.size > 64)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
			return false;
	}
	return true;
}

static bool is_date_format(struct bytes text)
{
	static const char *const formats[] = {"DD/MM/YYYY", "DD.MM.YYYY", "DD-MM-YYYY",
		"MM/DD/YYYY", "MM-DD-YYYY", "YYYY/MM/DD", "YYYY-MM-DD"};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (bytes_equal_str(text, formats[i]))
			return true;
	return false;
}

static void set_separator(struct parser *p, struct bytes text)
{
	if (bytes_equal_str(text, "tab"))
		p->mapping->separator = '\t';
	else if (text.size == 1 && (text.data[0] == ',' || text.data[0] == ';'))
		p->mapping->separator = (char)text.data[0];
	else
		complain(p, "separator: allowed are , and ; and tab");
}

static bool find_common(struct bytes name, size_t *ret)
{
	for (size_t i = 0; i < MAPPING_COMMON_COUNT; i++)
		if (bytes_equal_str(name, common_names[i])) {
			*ret = i;
			return true;
		}
	return false;
}

/* What a constant of a common member may be, so that no row has to fail for it. */
static bool common_fits(size_t common, struct bytes text)
{
	switch ((enum mapping_common)common) {
	case MAPPING_OCCURRED_ON:
		return event_date_valid(text, PRECISION_DAY) ||
		       event_date_valid(text, PRECISION_MONTH) ||
		       event_date_valid(text, PRECISION_YEAR);
	case MAPPING_LANGUAGE:
		return text.size > 0 && event_language_valid(text);
	case MAPPING_OFFICE:
		return event_office_valid(text);
	default:
		return event_officer_valid(text);
	}
}

static void set_common(
	struct parser *p, struct mapping_value *commons, size_t common, struct bytes text)
{
	struct mapping_value *value = &commons[common];

	if (value->source != MAPPING_NONE) {
		complain(p, "%s: it is there twice", common_names[common]);
		return;
	}
	read_value(p, text, value);
	if (value->source == MAPPING_EVENT)
		complain(p, "%s: allowed is a column or a \"constant\"", common_names[common]);
	if (value->source == MAPPING_CONSTANT && !common_fits(common, value->text))
		complain(p, "%s: the constant is not what it may be; see docs/EVENTS",
			common_names[common]);
}

static void add_key(struct parser *p, struct mapping_column *keys, size_t *count, struct bytes name)
{
	if (*count == MAPPING_KEYS_MAX)
		complain(p, "key: more than %d columns", MAPPING_KEYS_MAX);
	else
		keys[(*count)++] = (struct mapping_column){name, p->line, 0};
}

static void set_register(struct parser *p, struct bytes key, struct bytes value)
{
	struct mapping *mapping = p->mapping;
	size_t common;

	if (bytes_equal_str(key, "name")) {
		mapping->name = value;
		if (!names_register(value))
			complain(p, "name: allowed are 1 to 64 of a-z, 0-9 and -");
	} else if (bytes_equal_str(key, "separator")) {
		set_separator(p, value);
	} else if (bytes_equal_str(key, "encoding")) {
		mapping->windows = bytes_equal_str(value, "windows-1252");
		if (!mapping->windows && !bytes_equal_str(value, "utf-8"))
			complain(p, "encoding: allowed are utf-8 and windows-1252");
	} else if (bytes_equal_str(key, "date")) {
		mapping->date = value;
		if (!is_date_format(value))
			complain(p, "date: allowed are DD/MM/YYYY, MM/DD/YYYY, YYYY/MM/DD, also "
				    "with - or, the first, with .");
	} else if (bytes_equal_str(key, "case")) {
		mapping->kase = (struct mapping_column){value, p->line, 0};
	} else if (bytes_equal_str(key, "key")) {
		add_key(p, mapping->keys, &mapping->key_count, value);
	} else if (bytes_equal_str(key, "ignore")) {
		if (mapping->ignored_count == LIMIT_CSV_COLUMNS)
			complain(p, "more than %d columns are ignored", LIMIT_CSV_COLUMNS);
		else
			mapping->ignored[mapping->ignored_count++] =
				(struct mapping_column){value, p->line, 0};
	} else if (find_common(key, &common)) {
		set_common(p, mapping->commons, common, value);
	} else {
		complain(p, "unknown key in [register]; allowed: name, separator, encoding, date, "
			    "case, key, ignore, occurred_on, language, office, recorded_by");
	}
}

/* ---- sections of events ---- */

/* 'Column is "x"', 'Column is not "x"', 'Column is given', 'Column is empty' */
static bool read_condition(struct bytes text, struct mapping_condition *ret)
{
	size_t quote = 0;

	if (take_end(&text, "given") || take_end(&text, "empty")) {
		ret->given = true;
		ret->negated = text.data[text.size + 1] == 'e';
		ret->column.name = text;
		return take_end(&ret->column.name, "is");
	}
	while (quote < text.size && text.data[quote] != '"')
		quote++;
	if (!is_quoted(part(text, quote, text.size)))
		return false;
	ret->text = trim(part(text, quote + 1, text.size - 1));
	ret->column.name = trim(part(text, 0, quote));
	if (take_end(&ret->column.name, "not"))
		ret->negated = true;
	return take_end(&ret->column.name, "is");
}

static void add_condition(struct parser *p, struct bytes text)
{
	struct mapping *mapping = p->mapping;
	struct mapping_condition condition = {.column = {.line = p->line}};

	if (!read_condition(text, &condition)) {
		complain(p,
			"when: allowed are Column is \"value\", Column is not \"value\", Column is "
			"given, Column is empty");
		return;
	}
	if (mapping->condition_count == LIMIT_MAPPING_ENTRIES) {
		complain(p, "more than %d conditions", LIMIT_MAPPING_ENTRIES);
		return;
	}
	mapping->conditions[mapping->condition_count++] = condition;
	p->section->condition_count++;
}

static const struct schema_field *find_field(struct parser *p, struct bytes name)
{
	const struct schema_type *type = p->section->type;
	const struct schema_field *field = schema_field_find(type, name), *other;
	struct buf list;

	if (field != NULL && field->kind != FIELD_CASE_CODE)
		return field;
	if (field != NULL) {
		complain(p, "case_code: it comes from 'case' in [register]");
		return NULL;
	}
	buf_init(&list, 300);
	for (size_t i = 0; (other = schema_field_at(type, i)) != NULL; i++)
		buf_printf(&list, "%s%s", i == 0 ? "" : ", ", other->name);
	complain(p, "%s has no such field; it has %s", event_type_get(type->number)->name,
		list.err == OK ? buf_cstr(&list) : "others (case add --help)");
	buf_release(&list);
	return NULL;
}

/* What the schema says of a constant. */
static void check_constant(struct parser *p, const struct schema_field *field, struct bytes text)
{
	struct errctx ctx = {""};
	char *json = NULL;

	enum err err = schema_value(field, text, &json, &ctx);

	if (err == ERR_NOMEM)
		p->err = err;
	else if (err != OK)
		complain(p, "%s", ctx.text);
	event_string_free(json);
}

static bool is_day(const struct schema_field *field)
{
	return field->kind == FIELD_DAY || field->kind == FIELD_DATE;
}

static void add_field(struct parser *p, struct bytes name, struct bytes text)
{
	struct mapping *mapping = p->mapping;
	const struct schema_field *field = find_field(p, name);
	struct mapping_field *entry = &mapping->fields[mapping->field_count];

	if (field == NULL)
		return;
	for (size_t i = 0; i < p->section->field_count; i++)
		if (mapping->fields[p->section->field_first + i].field == field) {
			complain(p, "%s: it is there twice", field->name);
			return;
		}
	if (mapping->field_count == LIMIT_MAPPING_ENTRIES) {
		complain(p, "more than %d fields", LIMIT_MAPPING_ENTRIES);
		return;
	}
	entry->field = field;
	read_value(p, text, &entry->value);
	if (entry->value.source == MAPPING_CONSTANT)
		check_constant(p, field, entry->value.text);
	if (entry->value.source == MAPPING_EVENT && field->kind != FIELD_EVENT)
		complain(p, "%s: it does not name an event", field->name);
	if (entry->value.days > 0 && !is_day(field))
		complain(p, "%s: days are added to a date alone", field->name);
	mapping->field_count++;
	p->section->field_count++;
}

static void add_choice(struct parser *p, struct bytes name, struct bytes code, struct bytes text)
{
	struct mapping *mapping = p->mapping;
	const struct schema_field *field = find_field(p, name);

	if (field == NULL)
		return;
	if (mapping->choice_count == LIMIT_MAPPING_ENTRIES) {
		complain(p, "more than %d translations", LIMIT_MAPPING_ENTRIES);
		return;
	}
	check_constant(p, field, code);
	mapping->choices[mapping->choice_count++] = (struct mapping_choice){
		field, code, trim(is_quoted(text) ? part(text, 1, text.size - 1) : text)};
	p->section->choice_count++;
}

static void set_in_section(struct parser *p, struct bytes key, struct bytes value)
{
	struct mapping_section *section = p->section;
	const uint8_t *dot = memchr(key.data, '.', key.size);
	size_t common;

	if (dot != NULL) {
		size_t at = (size_t)(dot - key.data);

		add_choice(p, trim(part(key, 0, at)), trim(part(key, at + 1, key.size)), value);
	} else if (bytes_equal_str(key, "when")) {
		add_condition(p, value);
	} else if (bytes_equal_str(key, "key")) {
		add_key(p, section->keys, &section->key_count, value);
	} else if (bytes_equal_str(key, "once")) {
		section->once = bytes_equal_str(value, "yes");
		if (!section->once)
			complain(p, "once: allowed is yes");
	} else if (find_common(key, &common)) {
		set_common(p, section->commons, common, value);
	} else {
		add_field(p, key, value);
	}
}

/* ---- heads ---- */

static void open_section(struct parser *p, struct bytes head)
{
	struct mapping *mapping = p->mapping;
	struct mapping_section *section = &mapping->sections[mapping->section_count];
	size_t size = 0;
	const struct event_type *type;

	while (size < head.size && head.data[size] != ' ')
		size++;
	type = event_type_find(part(head, 0, size));
	if (type == NULL || type->rule == EVENT_RULE_LEDGER) {
		complain(p, "allowed are [register] and the event types of cases, as [CONTACT] or "
			    "[CONTACT first visit]");
		return;
	}
	for (size_t i = 0; i < mapping->section_count; i++)
		if (bytes_equal(mapping->sections[i].head, head)) {
			complain(p,
				"this section is there twice; give one of them a label: [%s LABEL]",
				type->name);
			return;
		}
	if (mapping->section_count == LIMIT_MAPPING_SECTIONS) {
		complain(p, "more than %d sections", LIMIT_MAPPING_SECTIONS);
		return;
	}
	*section = (struct mapping_section){
		.type = schema_type_get(type->number),
		.head = head,
		.line = p->line,
		.once = type->number == EVENT_CASE_OPENED,
		.referred = -1,
		.field_first = mapping->field_count,
		.choice_first = mapping->choice_count,
		.condition_first = mapping->condition_count,
	};
	mapping->section_count++;
	p->section = section;
	p->skipping = false;
}

static void read_head(struct parser *p, struct bytes line)
{
	p->section = NULL;
	p->in_register = false;
	p->skipping = true; /* of a section that is refused, no key is */
	if (line.data[line.size - 1] != ']') {
		complain(p, "a section's line ends with ']'");
		return;
	}
	line = trim(part(line, 1, line.size - 1));
	if (!bytes_equal_str(line, "register")) {
		open_section(p, line);
		return;
	}
	if (p->seen_register)
		complain(p, "[register] is there twice");
	p->in_register = p->seen_register = true;
	p->skipping = false;
}

static void read_line(struct parser *p, struct bytes line)
{
	const uint8_t *equals;
	struct bytes key, value;

	line = trim(line);
	if (line.size == 0 || line.data[0] == '#')
		return;
	if (line.data[0] == '[') {
		read_head(p, line);
		return;
	}
	equals = memchr(line.data, '=', line.size);
	if (equals == NULL) {
		complain(p, "allowed are [section], key = value, # comment");
		return;
	}
	key = trim(part(line, 0, (size_t)(equals - line.data)));
	value = trim(part(line, (size_t)(equals - line.data) + 1, line.size));
	if (p->skipping)
		return;
	if (!p->in_register && p->section == NULL)
		complain(p, "a key before any section");
	else if (key.size == 0 || value.size == 0)
		complain(p, "a key and a value are needed");
	else if (p->in_register)
		set_register(p, key, value);
	else
		set_in_section(p, key, value);
}

static bool readable(struct parser *p, struct bytes line)
{
	if (line.size > LIMIT_MAPPING_LINE) {
		complain(p, "a line of more than %d bytes", LIMIT_MAPPING_LINE);
		return false;
	}
	if (!utf8_valid(line)) {
		complain(p, "not UTF-8");
		return false;
	}
	for (size_t i = 0; i < line.size; i++)
		if ((line.data[i] < ' ' && line.data[i] != '\t' && line.data[i] != '\r') ||
			line.data[i] == 0x7f) {
			complain(p, "a control character");
			return false;
		}
	return true;
}

/* ---- the whole ---- */

static void settle_event(struct parser *p, struct mapping_value *value)
{
	struct mapping *mapping = p->mapping;

	for (size_t i = 0; i < mapping->section_count; i++) {
		struct mapping_section *section = &mapping->sections[i];

		if (!bytes_equal(section->head, value->text))
			continue;
		value->section = (uint32_t)i;
		if (section->referred < 0) {
			if (mapping->referred_count == MAPPING_REFERRED_MAX)
				complain(p, "more than %d sections are named by others",
					MAPPING_REFERRED_MAX);
			else
				section->referred = (int)mapping->referred_count++;
		}
		return;
	}
	complain(p, "no section has that head");
}

/* An id with a preset "X-#" is made by the node. */
static bool node_fills_in(const struct schema_field *field)
{
	return field->kind == FIELD_CASE_CODE ||
	       (field->preset != NULL && strchr(field->preset, '#') != NULL);
}

static void check_section(struct parser *p, const struct mapping_section *section)
{
	const struct mapping *mapping = p->mapping;
	const struct schema_field *field;

	p->line = section->line;
	for (size_t i = 0; (field = schema_field_at(section->type, i)) != NULL; i++) {
		bool there = !field->required || node_fills_in(field);

		for (size_t n = 0; n < section->field_count; n++)
			there |= mapping->fields[section->field_first + n].field == field;
		if (!there)
			complain(p, "%s must say %s: %s",
				event_type_get(section->type->number)->name, field->name,
				field->ask);
	}
	for (size_t c = 0; c < section->choice_count; c++) {
		const struct mapping_choice *choice = &mapping->choices[section->choice_first + c];
		bool there = false;

		for (size_t n = 0; n < section->field_count; n++)
			there |= mapping->fields[section->field_first + n].field == choice->field;
		if (!there)
			complain(p, "%s: texts are translated, but no column is given",
				choice->field->name);
	}
}

static void check_whole(struct parser *p)
{
	struct mapping *mapping = p->mapping;

	for (size_t i = 0; i < mapping->field_count; i++)
		if (mapping->fields[i].value.source == MAPPING_EVENT) {
			p->line = mapping->fields[i].value.line;
			settle_event(p, &mapping->fields[i].value);
		}
	for (size_t i = 0; i < mapping->section_count; i++)
		check_section(p, &mapping->sections[i]);
	p->line = 1;
	if (mapping->name.size == 0)
		complain(p, "[register] must say name: it is part of what tells events apart");
	if (mapping->kase.name.size == 0)
		complain(p, "[register] must say case: the column with the code of the case");
	if (mapping->section_count == 0)
		complain(p, "no section of an event");
}

static enum err reserve(struct mapping *mapping)
{
	mapping->sections = mem_array(LIMIT_MAPPING_SECTIONS, sizeof(*mapping->sections));
	/* One more: where an entry is made before it is known to have room. */
	mapping->fields = mem_array(LIMIT_MAPPING_ENTRIES + 1, sizeof(*mapping->fields));
	mapping->choices = mem_array(LIMIT_MAPPING_ENTRIES, sizeof(*mapping->choices));
	mapping->conditions = mem_array(LIMIT_MAPPING_ENTRIES, sizeof(*mapping->conditions));
	mapping->ignored = mem_array(LIMIT_CSV_COLUMNS, sizeof(*mapping->ignored));
	return mapping->sections != NULL && mapping->fields != NULL && mapping->choices != NULL &&
			       mapping->conditions != NULL && mapping->ignored != NULL
		       ? OK
		       : ERR_NOMEM;
}

enum err mapping_read(
	struct bytes text, const char *file, struct mapping *ret, struct table_findings *errors)
{
	struct mapping mapping = {0};
	struct parser p = {.mapping = &mapping, .file = file, .line = 1, .errors = errors};
	size_t before = errors->count;

	if (reserve(&mapping) != OK) {
		mapping_release(&mapping);
		return ERR_NOMEM;
	}
	if (text.size > LIMIT_MAPPING_SIZE) {
		complain(&p, "more than %d bytes", LIMIT_MAPPING_SIZE);
		text.size = 0;
	}
	if (text.size >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
		text = part(text, 3, text.size);
	for (; text.size > 0; p.line++) {
		const uint8_t *end = memchr(text.data, '\n', text.size);
		size_t size = end == NULL ? text.size : (size_t)(end - text.data);

		if (readable(&p, part(text, 0, size)))
			read_line(&p, part(text, 0, size));
		text = part(text, size + (end != NULL), text.size);
	}
	if (errors->count == before)
		check_whole(&p);
	if (p.err != OK || errors->count > before) {
		mapping_release(&mapping);
		return p.err != OK ? p.err : ERR_INVALID;
	}
	*ret = mapping;
	return OK;
}

void mapping_release(struct mapping *mapping)
{
	if (mapping == NULL)
		return;
	mem_free(mapping->sections);
	mem_free(mapping->fields);
	mem_free(mapping->choices);
	mem_free(mapping->conditions);
	mem_free(mapping->ignored);
	*mapping = (struct mapping){0};
}
