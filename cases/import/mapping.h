/*
 * mapping: how the columns of a register become events (docs/IMPORT). A strict text of sections:
 *
 *	[register]				[EVENT_TYPE any label]
 *	name, case, date ..			field = Column
 *	ignore = Column				field = "constant"
 *						field = Column + 365d		a day, moved
 *						field = [EVENT_TYPE label]	that event of the
 *case field.CODE = what a cell says when = Column is "value"
 *
 * The reader is its own, beside node/ini: keys are names of fields, sections may come again under
 * another label, values have a grammar. Nothing is guessed: an unknown key, type or field, a
 * required field that is not there, a constant or a code that the schema refuses, are errors with
 * line and what is allowed, all in one run.
 *
 * Pure; borrows the text for its life.
 */
#ifndef CASES_IMPORT_MAPPING_H
#define CASES_IMPORT_MAPPING_H

#include "base/bytes.h"
#include "cases/import/findings.h"
#include "cases/schema/schema.h"

enum { MAPPING_KEYS_MAX = 8, MAPPING_REFERRED_MAX = 8, MAPPING_DAYS_MAX = 3660 };

enum mapping_source { MAPPING_NONE, MAPPING_CONSTANT, MAPPING_COLUMN, MAPPING_EVENT };

struct mapping_value {
	enum mapping_source source;
	uint32_t line;
	struct bytes text; /* the constant, the column's name, the section's head */
	uint32_t column;   /* its index, once the table's head is known */
	uint32_t section;  /* of MAPPING_EVENT */
	uint32_t days;     /* to add to a date */
};

/* Common members that a section may set, and the register for all. */
enum mapping_common {
	MAPPING_OCCURRED_ON,
	MAPPING_LANGUAGE,
	MAPPING_OFFICE,
	MAPPING_RECORDED_BY,
	MAPPING_COMMON_COUNT,
};

/* A column by its name. */
struct mapping_column {
	struct bytes name;
	uint32_t line, column;
};
struct mapping_columns {
	struct mapping_column *items;
	size_t count;
};

struct mapping_field {
	const struct schema_field *field;
	struct mapping_value value;
};
/* field.CODE = cell */
struct mapping_choice {
	const struct schema_field *field;
	struct bytes code, cell;
};
struct mapping_condition {
	struct mapping_column column;
	bool given; /* without a text: a cell that is not empty */
	bool negated;
	struct bytes text;
};

struct mapping_section {
	const struct schema_type *type;
	struct bytes head; /* "CONSENT_RECORDED consent of case management" */
	uint32_t line;
	bool once;    /* from the first row of a case where it stands */
	int referred; /* its number among those that others name; -1 */
	struct mapping_value commons[MAPPING_COMMON_COUNT];
	struct mapping_column keys[MAPPING_KEYS_MAX];
	size_t key_count;
	/* Ranges of the mapping's arrays. */
	size_t field_first, field_count, choice_first, choice_count;
	size_t condition_first, condition_count;
};

struct mapping {
	struct bytes name;
	char separator; /* 0: detected */
	bool windows;   /* encoding = windows-1252 */
	struct bytes date;
	struct mapping_column kase;
	struct mapping_value commons[MAPPING_COMMON_COUNT];
	struct mapping_column keys[MAPPING_KEYS_MAX];
	size_t key_count;
	struct mapping_section *sections;
	struct mapping_field *fields;
	struct mapping_choice *choices;
	struct mapping_condition *conditions;
	struct mapping_column *ignored;
	size_t section_count, field_count, choice_count, condition_count, ignored_count;
	size_t referred_count;
};

/* What is wrong goes to errors; then ERR_INVALID. ERR_LIMIT is an error like those; ERR_NOMEM. */
enum err mapping_read(struct bytes text, const char *file, struct mapping *ret,
	struct table_findings *errors) MUST_USE;
void mapping_release(struct mapping *mapping);

#endif
