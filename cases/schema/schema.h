/*
 * schema: the fields of every event type (DOMAIN 1.3), declared once as data (table.c). Whatever
 * needs to know what an event may say reads this table: the check at recording, help and questions
 * of the command line, imports, the JSON Schema, docs/EVENTS, the page to come.
 *
 * What is checked here is one event by itself: known fields, required fields, known codes, real
 * dates, sizes. What may follow what in a case is cases/rules. Events that are read, of other nodes
 * or of later versions, are not checked against it: whoever reads must cope.
 *
 * Static data and pure functions.
 */
#ifndef CASES_SCHEMA_SCHEMA_H
#define CASES_SCHEMA_SCHEMA_H

#include "cases/event/event.h"
#include "cases/schema/codes.h"

/* What a value is, in JSON: text unless it says otherwise. */
enum field_kind {
	FIELD_CODE,      /* one code of `list`, or one of `answers` */
	FIELD_CODES,     /* list of codes, none twice */
	FIELD_ANSWERS,   /* list of Y, N or 98, in the order of the questions */
	FIELD_DATE,      /* YYYY-MM-DD, YYYY-MM or YYYY, from 1900 */
	FIELD_DAY,       /* YYYY-MM-DD */
	FIELD_YEAR,      /* YYYY */
	FIELD_NAME,      /* one line, at most SCHEMA_NAME_MAX bytes */
	FIELD_NAMES,     /* list of such */
	FIELD_TEXT,      /* any text, at most SCHEMA_TEXT_MAX bytes */
	FIELD_TEXTS,     /* list of such */
	FIELD_NOTE,      /* any text, at most SCHEMA_NOTE_MAX bytes */
	FIELD_ID,        /* what ties events of one case together: 1 to 32 of A-Z a-z 0-9 . _ - */
	FIELD_IDS,       /* list of such */
	FIELD_EVENT,     /* the event_id of an event of the case */
	FIELD_EVENTS,    /* list of such */
	FIELD_GROUPS,    /* list of data groups of a case */
	FIELD_COUNTRY,   /* ISO 3166-1 alpha-3 */
	FIELD_LANGUAGE,  /* BCP 47 */
	FIELD_CURRENCY,  /* ISO 4217 */
	FIELD_AMOUNT,    /* "12", "12.50": at most 12 digits before the point and 2 behind it */
	FIELD_COUNT,     /* JSON whole number, 0 to 999,999 */
	FIELD_OFFICER,   /* an officer's account, NAME or NAME@NODE: 1 to 64 bytes */
	FIELD_OFFICERS,  /* list of such */
	FIELD_HASH,      /* 64 hexadecimal digits: SHA-256 */
	FIELD_REF,       /* 32 hexadecimal digits: a case_ref or a kid */
	FIELD_REFS,      /* list of such */
	FIELD_WINDOWS,   /* list of hours of the day, "08:00-12:00" */
	FIELD_CASE_CODE, /* 1 to 32 letters, digits and hyphens */
	FIELD_FIELD,     /* the name of a field */
	FIELD_VALUE, /* any JSON but null: of a correction, checked against the field it corrects */
};

enum {
	SCHEMA_NAME_MAX = 128,
	SCHEMA_TEXT_MAX = 4096,
	SCHEMA_NOTE_MAX = 16 * 1024,
	SCHEMA_ID_MAX = 32,
	SCHEMA_ITEMS_MAX = 64, /* of any list */
};

struct schema_field {
	const char *name;
	enum field_kind kind;
	bool required;
	bool audit;      /* of data groups: the ledger's `audit` is one of them, too */
	uint8_t answers; /* enum answer bits */
	const struct code_list *list;
	const char *ask; /* the question, in English: "How was the contact made?" */
	/* What an empty answer means when somebody is asked; NULL: nothing. A code; "today";
	 * "+90d", days from today; "C-#": the letter and the first number not used in the case. */
	const char *preset;
};

struct schema_type {
	uint32_t number;   /* event_type_get has its name, main group and rule */
	const char *alias; /* as typed: "contact", "consent", "referral" */
	const char *title; /* "Contact with the victim" */
	const char *help;  /* one or two sentences; "" when the title says it */
	const struct schema_field *fields;
	size_t field_count;
};

/* Every type has one. NULL for what is no type. */
const struct schema_type *schema_type_get(uint32_t number);
/* By name (any case) or alias. */
const struct schema_type *schema_type_find(struct bytes name);
/* NULL when the type has no such field. `note` is a field of every type that stands in a case. */
const struct schema_field *schema_field_find(const struct schema_type *type, struct bytes name);
/* The i-th field, `note` last; NULL past the end. */
const struct schema_field *schema_field_at(const struct schema_type *type, size_t i);
/* The group whose key a field is sealed with; GROUP_NONE: by the event (services). */
enum group schema_field_group(const struct schema_type *type, const struct schema_field *field);

/* Does the event say what its type allows, and all that it requires? ERR_INVALID with the field,
 * what was found and what is allowed; what was found is quoted only when it looks like a code, a
 * date or a number. Members a node fills in itself may be absent: ids with a preset "X-#",
 * case_code. ERR_LIMIT for sizes. ERR_NOMEM. */
enum err schema_check(const struct event *event, struct errctx *ctx) MUST_USE;

/* One value, as compact JSON text. Errors as above. */
enum err schema_check_value(
	const struct schema_field *field, const char *json, struct errctx *ctx) MUST_USE;

/* A value as people and tables write it into compact JSON: codes by code_guess, lists with commas
 * or semicolons, texts as they are. Free with event_string_free. Checked as above. */
enum err schema_value(const struct schema_field *field, struct bytes text, char **ret_json,
	struct errctx *ctx) MUST_USE;
/* The other way, for people: codes by their texts, lists with ", ". Appends; json may be anything.
 */
void schema_show(const struct schema_field *field, const char *json, struct buf *out);

/* What a field takes, in words: "one of IN_PERSON, PHONE, ..". Appends. */
void schema_allowed(const struct schema_field *field, struct buf *out);
/* "code", "list of codes", "day".. */
const char *schema_kind_name(enum field_kind kind);
bool schema_kind_is_list(enum field_kind kind);

/* The whole table for programs and for documents. Sticky error in buf. */
void schema_write_help(const struct schema_type *type, struct buf *out);
void schema_write_json_schema(struct buf *out); /* draft 2020-12, of one JSON line */
void schema_write_markdown(struct buf *out);    /* docs/EVENT_TYPES.md, the whole file */

#endif
