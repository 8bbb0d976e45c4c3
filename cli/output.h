/*
 * output: JSON documents for programs, tables and plain text for people. Text from elsewhere is
 * made harmless for a terminal: controls and direction marks never get through.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <jansson.h>
#include <stdio.h>

#include "base/bytes.h"
#include "cli/cli.h"

/* A document of the daemon's; *ret is a new reference. ERR_MALFORMED, ERR_NOMEM. */
enum err output_parse(struct bytes json, json_t **ret, struct errctx *ctx) MUST_USE;

/* One document and a newline on stdout. */
void output_json(const json_t *document);
/* Text on a stream, harmless; line feeds stay when `lines`. */
void output_text(FILE *file, const char *text, bool lines);

/* Members, leniently: "" or 0 or false when absent or of another type. The text of numbers, of
 * booleans ("yes", "no") and of nested values too: *buffer holds them. */
struct output_buffer {
	char text[512];
};
const char *output_member(const json_t *object, const char *name, struct output_buffer *buffer);
uint64_t output_number(const json_t *object, const char *name);
bool output_true(const json_t *object, const char *name);
/* A time: a number of seconds as "2026-01-31T12:00:00Z", "-" for 0 or nothing, text as it is. */
const char *output_time(const json_t *object, const char *name, struct output_buffer *buffer);

/* A table: columns as wide as their widest cell. Cells are copied. */
enum { OUTPUT_COLUMNS_MAX = 10 };
struct output_table {
	size_t columns, rows, capacity;
	char **cells;
	enum err err; /* sticky */
};
void output_table_init(struct output_table *table, const char *const *heads, size_t columns);
void output_table_add(struct output_table *table, const char *const *cells);
void output_table_print(const struct output_table *table, FILE *file);
void output_table_release(struct output_table *table);

#endif
