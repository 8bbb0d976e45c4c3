/*
 * What event.c, event_json.c and event_parts.c share: checks of single values, and JSON texts of
 * foreign origin. Not for other modules.
 */
#ifndef CASES_EVENT_JSON_H
#define CASES_EVENT_JSON_H

#include <jansson.h>

#include "cases/event/event.h"

enum { EVENT_JSON_DEPTH = LIMIT_MESSAGE_DEPTH };

/* Parses JSON text with everything that could be read in two ways refused. `any`: a value of any
 * kind, else an object. *ret is a new reference. ERR_MALFORMED, ERR_LIMIT (depth), ERR_NOMEM. */
enum err event_json_parse(struct bytes text, bool any, json_t **ret, struct errctx *ctx) MUST_USE;
/* A value as compact text, mem_free'd by the caller. ERR_INVALID for a number with a fraction,
 * whose text would depend on who wrote it; ERR_NOMEM. */
enum err event_json_dump(const json_t *value, char **ret) MUST_USE;
void event_json_release(json_t **value); /* for CLEANUP */
/* Whether the text can be seen to be just what event_json_dump writes: a string without escapes, a
 * whole number, or a list of such strings. False says nothing. */
bool event_json_is_plain(struct bytes json);

bool event_field_name_valid(struct bytes name);
bool event_field_is_common(struct bytes name); /* a common member, or one that is reserved */
bool event_date_valid(struct bytes date, enum event_precision precision);
bool event_officer_valid(struct bytes officer);
bool event_office_valid(struct bytes office);
bool event_language_valid(struct bytes language); /* "" too */
bool event_case_code_valid(struct bytes code);
const char *event_precision_text(enum event_precision precision);
enum err event_precision_parse(struct bytes text, enum event_precision *ret) MUST_USE;

/* Adds a field; copies the name, takes json in any case. ERR_LIMIT past LIMIT_EVENT_FIELDS. */
enum err event_add_field(struct event *event, struct bytes name, char *json) MUST_USE;

/* Appends a text as a JSON string. */
void event_put_string(struct buf *buf, const char *text);

/* Wipes and frees a C string. */
void event_string_free(char *text);

#endif
