/*
 * Happy path: the mapping is read; the head of the table is bound to it; a first reading learns the
 * cases and on which day each was opened; the second makes the events; they are sorted.
 *
 * What is wrong is collected, row after row, and nothing comes out when anything was.
 */
#include "cases/import/table.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/crypto.h"
#include "base/secret.h"
#include "base/text.h"
#include "cases/event/case_code.h"
#include "cases/event/event_json.h"
#include "cases/import/csv.h"

enum { NO_COLUMN = 0xffffffff, CASES_MIN = 64, LINE_MAX = 2 * LIMIT_EVENT_JSON };

struct table_case {
	char code[CASE_CODE_MAX + 1]; /* as it is compared */
	uint64_t opened_ms;
	bool opened;   /* in the first reading: the day is known */
	uint64_t once; /* sections that stood, one bit each: those of `once` come no more */
	struct event_id referred[MAPPING_REFERRED_MAX];
	uint32_t referred_set;
};

struct converter {
	const struct table_input *input;
	struct table_findings *errors;
	struct mapping mapping;
	struct bytes *names; /* of the head's columns; owned, in `head` */
	size_t column_count;
	struct buf head;
	bool behind_head, learning;
	struct table_case *cases;
	size_t case_count, case_capacity;
	uint32_t *slots; /* index of a case plus one, by the hash of its code */
	size_t slot_count;
	struct table_lines lines;
	size_t line_capacity;
	struct buf line;

	/* The row, and the section, that are looked at. */
	const struct csv_row *row;
	const struct mapping_section *section;
	struct table_case *kase;
	size_t event_errors;
};

_Static_assert(LIMIT_MAPPING_SECTIONS <= 64, "a bit for each section");

/* ---- cells ---- */

static struct bytes trim(struct bytes text)
{
	while (text.size > 0 && memchr(" \t\r\n", text.data[0], 4) != NULL)
		text = bytes_make(text.data + 1, text.size - 1);
	while (text.size > 0 && memchr(" \t\r\n", text.data[text.size - 1], 4) != NULL)
		text.size--;
	return text;
}

static struct bytes cell(const struct converter *c, uint32_t column)
{
	return column < c->row->count ? trim(c->row->cells[column]) : BYTES_NONE;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static bool same_text(struct bytes a, struct bytes b)
{
	if (a.size != b.size)
		return false;
	for (size_t i = 0; i < a.size; i++)
		if (lower(a.data[i]) != lower(b.data[i]))
			return false;
	return true;
}

/* A name of a column for a message. */
static const char *shown(struct bytes name, char out[80])
{
	snprintf(out, 80, "%.*s", (int)(name.size < 70 ? name.size : 70), (const char *)name.data);
	for (char *at = out; *at != '\0'; at++)
		if ((uint8_t)*at < ' ' || *at == 0x7f)
			*at = ' ';
	return out;
}

static void row_error(struct converter *c, struct bytes column, const char *what)
{
	char name[80];

	c->event_errors++;
	if (column.size > 0)
		table_findings_add(c->errors, "%s:%u: column '%s': %s", c->input->file,
			(unsigned)c->row->line, shown(column, name), what);
	else
		table_findings_add(c->errors, "%s:%u: [%.*s]: %s", c->input->file,
			(unsigned)c->row->line, (int)c->section->head.size,
			(const char *)c->section->head.data, what);
}

/* ---- dates ---- */

static bool take_number(struct bytes *text, size_t digits_min, size_t digits_max, unsigned *ret)
{
	unsigned value = 0;
	size_t n = 0;

	for (; n < text->size && n < digits_max && text->data[n] >= '0' && text->data[n] <= '9';
		n++)
		value = 10 * value + (unsigned)(text->data[n] - '0');
	*text = bytes_make(text->data + n, text->size - n);
	*ret = value;
	return n >= digits_min;
}

/* Spreadsheets add the hour of a day that has none. */
static struct bytes without_hour(struct bytes text)
{
	static const char *const hours[] = {" 00:00:00", " 00:00", " 0:00", "T00:00:00"};

	for (size_t i = 0; i < sizeof(hours) / sizeof(hours[0]); i++) {
		size_t size = strlen(hours[i]);

		if (text.size > size && memcmp(text.data + text.size - size, hours[i], size) == 0)
			return bytes_make(text.data, text.size - size);
	}
	return text;
}

static bool by_format(struct bytes text, struct bytes format, char ret[11])
{
	unsigned day = 0, month = 0, year = 0;

	while (format.size > 0) {
		uint8_t f = format.data[0];
		size_t size = f == 'Y' ? 4 : f == 'D' || f == 'M' ? 2 : 1;
		unsigned *part = f == 'Y' ? &year : f == 'D' ? &day : &month;

		if (size > 1 && !take_number(&text, size == 4 ? 4 : 1, size, part))
			return false;
		if (size == 1) {
			if (text.size == 0 || text.data[0] != f)
				return false;
			text = bytes_make(text.data + 1, text.size - 1);
		}
		format = bytes_make(format.data + size, format.size - size);
	}
	if (text.size > 0)
		return false;
	snprintf(ret, 11, "%04u-%02u-%02u", year % 10000, month % 100, day % 100);
	return event_date_valid(bytes_str(ret), PRECISION_DAY);
}

static bool by_iso(struct bytes text, char ret[11])
{
	for (unsigned p = PRECISION_YEAR; p <= PRECISION_DAY; p++)
		if (event_date_valid(text, (enum event_precision)p)) {
			memcpy(ret, text.data, text.size);
			ret[text.size] = '\0';
			return true;
		}
	return false;
}

/* Milliseconds at the beginning of a date; 0 before 1970 and for no date. */
static uint64_t date_ms(const char *date)
{
	char text[32];
	uint64_t seconds = 0;

	if (date[0] == '\0')
		return 0;
	snprintf(text, sizeof(text), "%s%sT00:00:00Z", date,
		strlen(date) == 4   ? "-01-01"
		: strlen(date) == 7 ? "-01"
				    : "");
	return event_time_parse(bytes_str(text), &seconds) == OK ? 1000 * seconds : 0;
}

bool table_date(struct bytes cell_text, struct bytes format, uint32_t days, char ret[11])
{
	struct bytes text = without_hour(trim(cell_text));
	char date[11], moved[21];

	if (!by_iso(text, date) && (format.size == 0 || !by_format(text, format, date)))
		return false;
	if (days > 0) {
		if (strlen(date) != 10 || strcmp(date, "1970-01-01") < 0)
			return false;
		event_time_text(date_ms(date) / 1000 + (uint64_t)days * 86400, moved);
		memcpy(date, moved, 10);
	}
	memcpy(ret, date, sizeof(date));
	return true;
}

/* ---- the head ---- */

static bool bind_column(struct converter *c, struct mapping_column *column)
{
	char name[80];

	for (size_t i = 0; i < c->column_count; i++)
		if (bytes_equal(column->name, c->names[i])) {
			column->column = (uint32_t)i;
			return true;
		}
	table_findings_add(c->errors, "%s:%u: '%s': %s has no such column", c->input->map_file,
		(unsigned)column->line, shown(column->name, name), c->input->file);
	return false;
}

static void bind_value(struct converter *c, struct mapping_value *value, bool used[])
{
	struct mapping_column column = {value->text, value->line, NO_COLUMN};

	if (value->source != MAPPING_COLUMN)
		return;
	if (bind_column(c, &column))
		used[column.column] = true;
	value->column = column.column;
}

static void bind_columns(
	struct converter *c, struct mapping_column *columns, size_t count, bool used[])
{
	for (size_t i = 0; i < count; i++)
		if (bind_column(c, &columns[i]))
			used[columns[i].column] = true;
}

static void bind_mapping(struct converter *c, bool used[])
{
	struct mapping *mapping = &c->mapping;

	bind_columns(c, &mapping->kase, 1, used);
	bind_columns(c, mapping->keys, mapping->key_count, used);
	for (size_t i = 0; i < MAPPING_COMMON_COUNT; i++)
		bind_value(c, &mapping->commons[i], used);
	for (size_t s = 0; s < mapping->section_count; s++) {
		bind_columns(c, mapping->sections[s].keys, mapping->sections[s].key_count, used);
		for (size_t i = 0; i < MAPPING_COMMON_COUNT; i++)
			bind_value(c, &mapping->sections[s].commons[i], used);
	}
	for (size_t i = 0; i < mapping->field_count; i++)
		bind_value(c, &mapping->fields[i].value, used);
	for (size_t i = 0; i < mapping->condition_count; i++)
		bind_columns(c, &mapping->conditions[i].column, 1, used);
}

static bool is_double(const struct converter *c, size_t column)
{
	for (size_t i = 0; i < column; i++)
		if (bytes_equal(c->names[i], c->names[column]))
			return true;
	return false;
}

/* Each column is mapped, or ignored by name: nothing of a register is lost without a word. */
static void check_columns(struct converter *c, const bool used[])
{
	bool ignored[LIMIT_CSV_COLUMNS] = {false};
	char name[80];

	bind_columns(c, c->mapping.ignored, c->mapping.ignored_count, ignored);
	for (size_t i = 0; i < c->column_count; i++) {
		const char *what = is_double(c, i)         ? "two columns have this name"
				   : used[i] && ignored[i] ? "it is mapped and ignored"
				   : used[i] || ignored[i]
					   ? NULL
					   : "it is neither mapped nor ignored; what must not be "
					     "recorded is named: ignore = ..";

		if (what != NULL && c->names[i].size > 0)
			table_findings_add(c->errors, "%s:%u: column '%s': %s", c->input->file,
				(unsigned)c->row->line, shown(c->names[i], name), what);
	}
}

/* A copy of the names, with single blanks for line breaks. */
static enum err keep_head(struct converter *c)
{
	size_t at = 0;

	c->names = mem_array(LIMIT_CSV_COLUMNS, sizeof(*c->names));
	buf_init(&c->head, LIMIT_CSV_ROW);
	if (c->names == NULL || buf_reserve(&c->head, LIMIT_CSV_ROW) == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < c->row->count; i++) {
		struct bytes name = cell(c, (uint32_t)i);

		for (size_t n = 0; n < name.size; n++)
			if (name.data[n] > ' ' || (n > 0 && name.data[n - 1] > ' '))
				buf_put_u8(&c->head, name.data[n] < ' ' ? ' ' : name.data[n]);
		c->names[i] = bytes_make(c->head.data + at, c->head.size - at);
		at = c->head.size;
	}
	c->column_count = c->row->count;
	return OK;
}

static enum err bind_head(struct converter *c)
{
	bool used[LIMIT_CSV_COLUMNS] = {false};

	TRY(keep_head(c));
	bind_mapping(c, used);
	check_columns(c, used);
	return c->errors->count > 0 ? ERR_INVALID : OK;
}

/* ---- cases ---- */

static size_t slot_of(const struct converter *c, const char *code)
{
	struct hash hash;
	size_t at;

	sha256(bytes_str(code), &hash);
	at = (size_t)get_u64be(hash.b) & (c->slot_count - 1);
	while (c->slots[at] != 0 && strcmp(c->cases[c->slots[at] - 1].code, code) != 0)
		at = (at + 1) & (c->slot_count - 1);
	return at;
}

static enum err grow_cases(struct converter *c)
{
	size_t capacity = c->case_capacity == 0 ? CASES_MIN : 2 * c->case_capacity;
	struct table_case *cases = mem_array(capacity, sizeof(*cases));
	uint32_t *slots = mem_array(2 * capacity, sizeof(*slots));

	if (cases == NULL || slots == NULL) {
		mem_free(cases);
		mem_free(slots);
		return ERR_NOMEM;
	}
	if (c->case_count > 0)
		memcpy(cases, c->cases, c->case_count * sizeof(*cases));
	mem_free(c->cases);
	mem_free(c->slots);
	c->cases = cases;
	c->slots = slots;
	c->case_capacity = capacity;
	c->slot_count = 2 * capacity;
	for (size_t i = 0; i < c->case_count; i++)
		c->slots[slot_of(c, c->cases[i].code)] = (uint32_t)i + 1;
	return OK;
}

static enum err find_case(struct converter *c, const char *code, struct table_case **ret)
{
	size_t slot;

	if (c->case_count == c->case_capacity)
		TRY(grow_cases(c));
	slot = slot_of(c, code);
	if (c->slots[slot] == 0) {
		memcpy(c->cases[c->case_count].code, code, strlen(code) + 1);
		c->slots[slot] = (uint32_t)++c->case_count;
	}
	*ret = &c->cases[c->slots[slot] - 1];
	return OK;
}

/* The case of the row; NULL, with an error, when it has none. */
static enum err row_case(struct converter *c)
{
	const struct mapping_column *column = &c->mapping.kase;
	char code[CASE_CODE_MAX + 1] = "";
	enum case_code_kind kind;

	c->kase = NULL;
	kind = case_code_check(cell(c, column->column));
	if (kind == CASE_CODE_INVALID || kind == CASE_CODE_WRONG ||
		case_code_normal(cell(c, column->column), code) != OK) {
		row_error(c, column->name,
			kind == CASE_CODE_WRONG
				? "case code: its last character does not fit the others"
				: "case code: allowed are 1 to 32 letters, digits and hyphens");
		return OK;
	}
	if (c->case_count == LIMIT_CASES) {
		row_error(c, column->name, "more cases than a node holds");
		return OK;
	}
	return find_case(c, code, &c->kase);
}

/* ---- values ---- */

static bool holds(const struct converter *c, const struct mapping_condition *condition)
{
	struct bytes text = cell(c, condition->column.column);
	bool good = condition->given ? text.size > 0 : same_text(text, condition->text);

	return good != condition->negated;
}

static bool applies(const struct converter *c)
{
	for (size_t i = 0; i < c->section->condition_count; i++)
		if (!holds(c, &c->mapping.conditions[c->section->condition_first + i]))
			return false;
	return true;
}

static const struct mapping_choice *find_choice(const struct converter *c,
	const struct schema_field *field, struct bytes text, bool *ret_any)
{
	*ret_any = false;
	for (size_t i = 0; i < c->section->choice_count; i++) {
		const struct mapping_choice *choice =
			&c->mapping.choices[c->section->choice_first + i];

		if (choice->field != field)
			continue;
		*ret_any = true;
		if (same_text(choice->cell, text))
			return choice;
	}
	return NULL;
}

static bool is_list(enum field_kind kind)
{
	return kind == FIELD_CODES || kind == FIELD_GROUPS || kind == FIELD_NAMES ||
	       kind == FIELD_IDS || kind == FIELD_OFFICERS;
}

static bool is_code(const struct schema_field *field, struct bytes text)
{
	return (field->list != NULL && code_find(field->list, text) != NULL) ||
	       (answer_find(text) & field->answers) != 0;
}

/* One piece of a cell, translated. False with an error. */
static bool translate_piece(
	struct converter *c, const struct mapping_field *field, struct bytes text, struct buf *out)
{
	bool any;
	const struct mapping_choice *choice = find_choice(c, field->field, text, &any);
	char what[160];

	if (choice == NULL && any && !is_code(field->field, text)) {
		snprintf(what, sizeof(what),
			"%s: found text of %zu bytes; allowed: a code, or a text that the mapping "
			"translates",
			field->field->name, text.size);
		row_error(c, field->value.text, what);
		return false;
	}
	buf_put_str(out, out->size > 0 ? ";" : "");
	buf_put(out, choice != NULL ? choice->code : text);
	return true;
}

/* The cell as it is handed to the schema, in c->line; its size 0: there is none. */
static bool translate(struct converter *c, const struct mapping_field *field, struct bytes text)
{
	bool any;
	const struct mapping_choice *whole = find_choice(c, field->field, text, &any);

	buf_clear(&c->line);
	if (!any || whole != NULL || !is_list(field->field->kind)) {
		if (text.size == 0 && whole == NULL)
			return true;
		return any ? translate_piece(c, field, text, &c->line)
			   : (buf_put(&c->line, text), true);
	}
	while (text.size > 0) {
		size_t size = 0;
		struct bytes piece;

		while (size < text.size && memchr(",;\n", text.data[size], 3) == NULL)
			size++;
		piece = trim(bytes_make(text.data, size));
		if (piece.size > 0 && !translate_piece(c, field, piece, &c->line))
			return false;
		size += size < text.size;
		text = bytes_make(text.data + size, text.size - size);
	}
	return true;
}

static bool is_date_kind(enum field_kind kind)
{
	return kind == FIELD_DATE || kind == FIELD_DAY;
}

static void date_error(struct converter *c, const char *name, const struct mapping_value *value)
{
	char what[200];

	snprintf(what, sizeof(what), "%s: no date of the calendar; allowed: %.*s%sYYYY-MM-DD%s",
		name, (int)c->mapping.date.size, (const char *)c->mapping.date.data,
		c->mapping.date.size > 0 ? ", " : "",
		value->days > 0 ? ", since days are added" : ", YYYY-MM, YYYY");
	row_error(c, value->text, what);
}

static enum err add_json(struct event *event, const char *name, char *json)
{
	return event_add_field(event, bytes_str(name), json);
}

static enum err add_text(struct event *event, const char *name, const char *text)
{
	CLEANUP(event_json_release) json_t *value = json_string(text);
	char *json = NULL;

	if (value == NULL)
		return ERR_NOMEM;
	TRY(event_json_dump(value, &json));
	return add_json(event, name, json);
}

/* That event of the case, made from this row or one above. */
static enum err add_reference(
	struct converter *c, const struct mapping_field *field, struct event *event)
{
	const struct mapping_section *section = &c->mapping.sections[field->value.section];
	char id[EVENT_ID_TEXT + 1], what[200];

	if ((c->kase->referred_set & 1u << section->referred) == 0) {
		snprintf(what, sizeof(what),
			"%s: neither this row nor one above it made the event [%.*s] of this case",
			field->field->name, (int)section->head.size,
			(const char *)section->head.data);
		row_error(c, BYTES_NONE, what);
		return OK;
	}
	event_id_text(&c->kase->referred[section->referred], id);
	return add_text(event, field->field->name, id);
}

static enum err add_value(
	struct converter *c, const struct mapping_field *field, struct event *event)
{
	const struct mapping_value *value = &field->value;
	struct bytes text = value->text;
	struct errctx why = {""};
	char *json = NULL, date[11];
	enum err err;

	if (value->source == MAPPING_EVENT)
		return add_reference(c, field, event);
	if (value->source == MAPPING_COLUMN) {
		if (!translate(c, field, cell(c, value->column)))
			return OK;
		TRY(c->line.err);
		text = buf_bytes(&c->line);
	}
	if (text.size == 0)
		return OK;
	if (is_date_kind(field->field->kind) && value->source == MAPPING_COLUMN) {
		if (!table_date(text, c->mapping.date, value->days, date)) {
			date_error(c, field->field->name, value);
			return OK;
		}
		text = bytes_str(date);
	}
	err = schema_value(field->field, text, &json, &why);
	if (err == OK)
		return add_json(event, field->field->name, json);
	if (err == ERR_NOMEM)
		return err;
	row_error(c, value->source == MAPPING_COLUMN ? value->text : BYTES_NONE, why.text);
	return OK;
}

/* ---- common members ---- */

static const struct mapping_value *common_value(
	const struct converter *c, enum mapping_common common)
{
	const struct mapping_value *own = &c->section->commons[common];

	return own->source != MAPPING_NONE ? own : &c->mapping.commons[common];
}

static struct bytes common_text(const struct converter *c, const struct mapping_value *value)
{
	return value->source == MAPPING_CONSTANT ? value->text
	       : value->source == MAPPING_COLUMN ? cell(c, value->column)
						 : BYTES_NONE;
}

static void set_occurred_on(struct converter *c, struct event *event)
{
	const struct mapping_value *value = common_value(c, MAPPING_OCCURRED_ON);
	struct bytes text = common_text(c, value);
	size_t size;

	if (text.size > 0 && !table_date(text, c->mapping.date, value->days, event->occurred_on)) {
		event->occurred_on[0] = '\0';
		date_error(c, "occurred_on", value);
	}
	size = strlen(event->occurred_on);
	event->precision = size == 10  ? PRECISION_DAY
			   : size == 7 ? PRECISION_MONTH
			   : size == 4 ? PRECISION_YEAR
				       : PRECISION_UNKNOWN;
}

static void set_commons(struct converter *c, struct event *event)
{
	const struct mapping_value *language = common_value(c, MAPPING_LANGUAGE);
	const struct mapping_value *office = common_value(c, MAPPING_OFFICE);
	const struct mapping_value *officer = common_value(c, MAPPING_RECORDED_BY);
	struct bytes text = common_text(c, language);

	set_occurred_on(c, event);
	if (!event_language_valid(text))
		row_error(c, language->text, "language: allowed is a tag of BCP 47, as fr");
	else if (text.size > 0)
		memcpy(event->language, text.data, text.size);
	text = common_text(c, office);
	if (text.size > 0 && event_set_office(event, text) != OK)
		row_error(c, office->text, "office: allowed is a code of ISO 3166-1, as HTI");
	text = common_text(c, officer);
	if (text.size > 0 && event_set_recorded_by(event, text) != OK)
		row_error(c, officer->text,
			"recorded_by: allowed are 1 to 64 bytes without control characters");
}

/* ---- ids ---- */

/* A u16be length, then the text, as two parts of what is hashed. */
static void add_part(struct bytes *parts, uint8_t (*sizes)[2], size_t *count, struct bytes text)
{
	uint8_t *size = sizes[*count / 2];

	put_u16be(size, (uint16_t)text.size); /* LIMIT_CSV_CELL is less */
	parts[(*count)++] = bytes_make(size, 2);
	parts[(*count)++] = text;
}

/* Types in the order in which they may follow each other on one day: what a consent permits comes
 * behind it, persons too. */
static uint16_t rank_of(uint32_t type)
{
	if (type == EVENT_PERSON_RECORDED)
		return EVENT_CONSENT_WITHDRAWN;
	if (type > EVENT_PERSON_RECORDED && type <= EVENT_CONSENT_WITHDRAWN)
		return (uint16_t)(type - 1);
	return (uint16_t)type;
}

static struct event_id make_id(const struct converter *c, const struct event *event)
{
	enum { TEXTS = 3 + MAPPING_KEYS_MAX };
	const struct mapping_section *section = c->section;
	const struct mapping_column *keys =
		section->key_count > 0 ? section->keys : c->mapping.keys;
	size_t key_count = section->key_count > 0 ? section->key_count : c->mapping.key_count;
	uint64_t ms = date_ms(event->occurred_on);
	struct bytes parts[1 + 2 * TEXTS];
	uint8_t bits[10], sizes[TEXTS][2];
	size_t count = 0;
	struct hash hash;

	add_part(parts, sizes, &count, c->mapping.name);
	add_part(parts, sizes, &count, bytes_str(c->kase->code));
	add_part(parts, sizes, &count, section->head);
	for (size_t i = 0; i < key_count && !section->once; i++)
		add_part(parts, sizes, &count, cell(c, keys[i].column));
	memmove(parts + 1, parts, count * sizeof(parts[0]));
	parts[0] = bytes_str("sauti/1 import");
	sha256_parts(parts, count + 1, &hash);
	put_u16be(bits, rank_of(event->type));
	memcpy(bits + 2, hash.b, 8);
	if (c->kase->opened && ms < c->kase->opened_ms)
		ms = c->kase->opened_ms;
	return event_id_make(ms, bits);
}

/* ---- events ---- */

static enum err keep_line(struct converter *c, const struct event *event)
{
	struct table_lines *lines = &c->lines;
	void *grown;

	if (lines->count == LIMIT_TABLE_EVENTS) {
		row_error(c, BYTES_NONE, "more than 200,000 events: divide the table");
		return ERR_INVALID;
	}
	if (lines->count == c->line_capacity) {
		c->line_capacity = c->line_capacity == 0 ? 1024 : 2 * c->line_capacity;
		grown = mem_resize(lines->lines, c->line_capacity * sizeof(*lines->lines));
		if (grown == NULL)
			return ERR_NOMEM;
		lines->lines = grown;
	}
	lines->lines[lines->count++] = (struct table_line){
		.row_line = c->row->line,
		.kase = (uint32_t)(c->kase - c->cases),
		.type = event->type,
		.id = event->id,
		.at = lines->text.size,
		.size = c->line.size,
	};
	buf_put_clean(&lines->text, buf_bytes(&c->line));
	if (lines->text.err == ERR_LIMIT) {
		row_error(c, BYTES_NONE, "more than 64 MiB of events: divide the table");
		return ERR_INVALID;
	}
	return lines->text.err;
}

static enum err write_event(struct converter *c, struct event *event)
{
	struct errctx why = {""};
	enum err err = schema_check(event, &why);

	if (err == ERR_NOMEM)
		return err;
	if (err != OK) {
		row_error(c, BYTES_NONE, why.text);
		return OK;
	}
	/* Not a field of the schema: the node takes it off when it has found the case. */
	if (event->type != EVENT_CASE_OPENED)
		TRY(add_text(event, "case", c->kase->code));
	buf_clear(&c->line);
	event_write(event, &c->line);
	if (c->line.err == OK && c->line.size > LIMIT_EVENT_JSON)
		c->line.err = ERR_LIMIT;
	if (c->line.err == ERR_LIMIT) {
		row_error(c, BYTES_NONE, "an event of more than 48 KiB");
		return OK;
	}
	TRY(c->line.err);
	return keep_line(c, event);
}

static enum err fill_event(struct converter *c, struct event *event)
{
	struct event_id id;

	event->type = c->section->type->number;
	set_commons(c, event);
	id = make_id(c, event);
	event_set_id(event, &id);
	if (event->type == EVENT_CASE_OPENED)
		TRY(add_text(event, "case_code", c->kase->code));
	for (size_t i = 0; i < c->section->field_count; i++)
		TRY(add_value(c, &c->mapping.fields[c->section->field_first + i], event));
	return OK;
}

static void remember(struct converter *c, const struct event_id *id)
{
	c->kase->once |= UINT64_C(1) << (c->section - c->mapping.sections);
	if (c->section->referred < 0)
		return;
	c->kase->referred[c->section->referred] = *id;
	c->kase->referred_set |= 1u << c->section->referred;
}

static enum err make_event(struct converter *c)
{
	struct event event = {0};
	enum err err;

	c->event_errors = 0;
	err = fill_event(c, &event);
	if (err == OK && c->event_errors == 0)
		err = write_event(c, &event);
	if (err == OK)
		remember(c, &event.id);
	event_release(&event);
	return err;
}

/* The first reading: the day on which the case is opened here. */
static void learn(struct converter *c)
{
	struct event event = {0};
	size_t errors = c->errors->count;

	if (c->section->type->number != EVENT_CASE_OPENED || c->kase->opened)
		return;
	set_occurred_on(c, &event);
	c->errors->count = errors; /* they are told of in the second */
	c->kase->opened_ms = date_ms(event.occurred_on);
	c->kase->opened = true;
}

static enum err take_sections(struct converter *c)
{
	for (size_t i = 0; i < c->mapping.section_count; i++) {
		c->section = &c->mapping.sections[i];
		if (!applies(c) || (c->section->once && (c->kase->once & UINT64_C(1) << i) != 0))
			continue;
		if (c->learning)
			learn(c);
		else
			TRY(make_event(c));
	}
	return OK;
}

/* What stands in columns without a name would be lost. */
static void check_surplus(struct converter *c)
{
	for (size_t i = 0; i < c->row->count; i++)
		if (cell(c, (uint32_t)i).size > 0 &&
			(i >= c->column_count || c->names[i].size == 0)) {
			table_findings_add(c->errors,
				"%s:%u: column %zu has a cell and no name in the first line",
				c->input->file, (unsigned)c->row->line, i + 1);
			return;
		}
}

static bool is_empty(const struct converter *c)
{
	for (size_t i = 0; i < c->row->count; i++)
		if (cell(c, (uint32_t)i).size > 0)
			return false;
	return true;
}

static enum err on_row(void *arg, const struct csv_row *row, struct errctx *ctx)
{
	struct converter *c = arg;
	size_t errors = c->errors->count;

	c->row = row;
	if (!c->behind_head) {
		c->behind_head = true;
		return c->names == NULL ? bind_head(c) : OK;
	}
	if (is_empty(c))
		return OK;
	TRY(row_case(c));
	if (c->learning)
		c->errors->count = errors;
	else
		check_surplus(c);
	c->lines.rows += !c->learning;
	return c->kase == NULL ? OK : take_sections(c);
}

/* ---- the whole ---- */

static int by_hash(const void *a, const void *b)
{
	const struct table_line *x = *(const struct table_line *const *)a;
	const struct table_line *y = *(const struct table_line *const *)b;
	int order = (x->kase > y->kase) - (x->kase < y->kase);

	if (order == 0)
		order = memcmp(x->id.b + 8, y->id.b + 8, 8);
	return order != 0 ? order : (x->row_line > y->row_line) - (x->row_line < y->row_line);
}

static int by_case(const void *a, const void *b)
{
	const struct table_line *x = a, *y = b;
	int order = (x->kase > y->kase) - (x->kase < y->kase);

	if (order == 0)
		order = (x->type != EVENT_CASE_OPENED) - (y->type != EVENT_CASE_OPENED);
	return order != 0 ? order : memcmp(x->id.b, y->id.b, EVENT_ID_SIZE);
}

static struct bytes line_text(const struct table_lines *lines, const struct table_line *line)
{
	return bytes_make(lines->text.data + line->at, line->size);
}

/* Two rows that make one event: said again, or a key that does not tell them apart. The hash alone
 * is compared, since a date that differs is in the id, too. */
static void compare(struct converter *c, const struct table_line *first, struct table_line *second)
{
	if (bytes_equal(line_text(&c->lines, first), line_text(&c->lines, second))) {
		second->size = 0; /* left out below */
		c->lines.repeated++;
		return;
	}
	table_findings_add(c->errors,
		"%s:%u: this row and that of line %u have one key and make two different %s; name "
		"the column that tells them apart: key = ..",
		c->input->file, (unsigned)second->row_line, (unsigned)first->row_line,
		event_type_get(second->type)->name);
}

static enum err find_twins(struct converter *c)
{
	size_t count = c->lines.count, first = 0;
	struct table_line **order = mem_array(count + 1, sizeof(*order));

	if (order == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < count; i++)
		order[i] = &c->lines.lines[i];
	qsort(order, count, sizeof(*order), by_hash);
	for (size_t i = 1; i < count; i++) {
		if (order[i]->kase == order[first]->kase &&
			memcmp(order[i]->id.b + 8, order[first]->id.b + 8, 8) == 0)
			compare(c, order[first], order[i]);
		else
			first = i;
	}
	mem_free(order);
	return OK;
}

static enum err settle(struct converter *c)
{
	struct table_lines *lines = &c->lines;
	size_t kept = 0;

	TRY(find_twins(c));
	for (size_t i = 0; i < lines->count; i++)
		if (lines->lines[i].size > 0)
			lines->lines[kept++] = lines->lines[i];
	lines->count = kept;
	lines->cases = c->case_count;
	if (kept > 0)
		qsort(lines->lines, kept, sizeof(*lines->lines), by_case);
	return c->errors->count > 0 ? ERR_INVALID : OK;
}

/* csv_read says "line 3: .."; a file's name stands before a number elsewhere. */
static void reading_error(struct converter *c, const char *text)
{
	const char *rest = text;
	unsigned line = 0;

	if (strncmp(text, "line ", 5) == 0) {
		for (rest = text + 5; *rest >= '0' && *rest <= '9'; rest++)
			line = 10 * line + (unsigned)(*rest - '0');
		table_findings_add(c->errors, "%s:%u%s", c->input->file, line, rest);
		return;
	}
	table_findings_add(c->errors, "%s: %s", c->input->file, text);
}

static enum err read_rows(struct converter *c, struct bytes text, bool learning)
{
	struct csv_reader reader = {c->mapping.separator, on_row, c};
	size_t errors = c->errors->count;
	struct errctx why = {""};
	enum err err;

	c->learning = learning;
	for (size_t i = 0; i < c->case_count; i++)
		c->cases[i].once = 0;
	c->behind_head = false;
	err = csv_read(&reader, text, &why);
	if (err == OK || err == ERR_NOMEM)
		return err;
	if (c->errors->count == errors)
		reading_error(c, err_message(&why, err));
	return ERR_INVALID;
}

static enum err convert(struct converter *c, struct bytes text)
{
	TRY(read_rows(c, text, true));
	if (c->column_count == 0) {
		table_findings_add(c->errors, "%s: no line in it", c->input->file);
		return ERR_INVALID;
	}
	TRY(read_rows(c, text, false));
	TRY(settle(c));
	if (c->lines.count > 0)
		return OK;
	table_findings_add(c->errors, "%s: no row makes an event", c->input->file);
	return ERR_INVALID;
}

static enum err convert_text(struct converter *c)
{
	struct errctx why = {""};
	struct buf text;
	enum err err;

	if (c->input->text.size > LIMIT_TABLE_SIZE) {
		table_findings_add(c->errors, "%s: more than 16 MiB: divide it", c->input->file);
		return ERR_INVALID;
	}
	if (!c->mapping.windows)
		return convert(c, c->input->text);
	err = csv_from_windows(c->input->text, &text, &why);
	if (err == ERR_MALFORMED)
		reading_error(c, why.text);
	if (err != OK)
		return err == ERR_NOMEM ? err : ERR_INVALID;
	err = convert(c, buf_bytes(&text));
	buf_wipe(&text);
	return err;
}

static void release(struct converter *c)
{
	mapping_release(&c->mapping);
	buf_release(&c->head);
	buf_wipe(&c->line);
	mem_free(c->names);
	if (c->cases != NULL)
		wipe(c->cases, c->case_capacity * sizeof(*c->cases));
	mem_free(c->cases);
	mem_free(c->slots);
}

enum err table_convert(
	const struct table_input *input, struct table_lines *ret, struct table_findings *errors)
{
	struct converter c = {.input = input, .errors = errors};
	enum err err;

	TRY(mapping_read(input->map, input->map_file, &c.mapping, errors));
	buf_init(&c.lines.text, LIMIT_TABLE_LINES);
	buf_init(&c.line, LINE_MAX);
	err = buf_reserve(&c.line, LINE_MAX) == NULL ? ERR_NOMEM : convert_text(&c);
	release(&c);
	if (err == OK)
		*ret = c.lines;
	else
		table_lines_release(&c.lines);
	return err;
}

void table_lines_release(struct table_lines *lines)
{
	if (lines == NULL)
		return;
	buf_wipe(&lines->text);
	mem_free(lines->lines);
	*lines = (struct table_lines){0};
}
