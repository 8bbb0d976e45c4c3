/*
 * officer: what commands need to know of officers.
 */
#ifndef CLI_OFFICER_H
#define CLI_OFFICER_H

#include "cli/cli.h"
#include "cli/output.h"

enum { OFFICER_LABEL_MAX = 64 }; /* of a slot; names are shorter */

/* Who unlocks: --officer; else the only one who may; else $SAUTI_OFFICER; else whoever the person
 * at the terminal says. Asks the daemon. */
enum err officer_choose(struct cli *cli, const struct cli_args *args,
	char ret[OFFICER_LABEL_MAX + 1], struct errctx *ctx) MUST_USE;

/* Is there an account of that name, and not disabled? For whoever may list them. */
enum err officer_may_unlock(
	const struct cli *cli, const char *name, bool *ret, struct errctx *ctx) MUST_USE;

/* Whose session this is: a supervisor's? */
enum err officer_is_supervisor(const struct cli *cli, bool *ret, struct errctx *ctx) MUST_USE;

/* "supervisor, operator" */
void officer_roles_text(const json_t *roles, struct output_buffer *ret);

#endif
