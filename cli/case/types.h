/*
 * case_types: event types and their fields as the command line shows and takes them: every field of
 * the schema is an option, "--next-contact-due-on"; what is said in free text, and who somebody is,
 * comes from a file, "--view-from FILE", since other users of the machine see arguments.
 */
#ifndef CLI_CASE_TYPES_H
#define CLI_CASE_TYPES_H

#include <jansson.h>

#include "cases/schema/schema.h"
#include "cli/args.h"
#include "cli/reply.h"

/* For struct cli_command: option names are those of the fields; of those from a file, with "-from"
 * behind them. */
const struct cli_option *case_types_option(const char *name, size_t size);
/* The type among the arguments, or all of them by theme. */
void case_types_help(FILE *file, const struct cli_args *args);

/* Types that can be recorded in a case by theme, the i-th; NULL past the end. The theme is set with
 * the first type of each, else NULL. */
const struct schema_type *case_types_at(size_t i, const char **ret_theme);
/* By alias or name; a usage error that says what to do. */
enum err case_types_find(struct cli *cli, const char *name, const struct schema_type **ret,
	struct errctx *ctx) MUST_USE;

/* A field's name for people: "next contact due on", "referral" of referral_id. */
void case_types_label(const char *name, char ret[64]);

/* The fields given as options into the event; "C-1" and "#12" for an event stay as they are, see
 * case_view_resolve. A usage error for one that the type does not have. */
enum err case_types_fields(struct cli *cli, const struct cli_args *args,
	const struct schema_type *type, const char *today, json_t *event,
	struct errctx *ctx) MUST_USE;
/* One value out of an option's text or, text NULL, out of a file ('-': stdin); a new reference. */
enum err case_types_value(struct cli *cli, const struct schema_field *field, const char *today,
	const char *text, const char *path, json_t **ret, struct errctx *ctx) MUST_USE;
/* Was any field given as an option? */
bool case_types_given(const struct cli_args *args);
/* Are there questions to be asked? On a terminal, unless fields were given: then the event is meant
 * whole. With --ask always. */
bool case_types_asks(const struct cli_args *args);

#endif
