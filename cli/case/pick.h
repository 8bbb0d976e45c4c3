/* case_pick: which case, which type, which draft, when they were not said. */
#ifndef CLI_CASE_PICK_H
#define CLI_CASE_PICK_H

#include "cli/ask.h"
#include "cli/case/case.h"

/* One of the cases that something was recorded in last, or any other by its code. */
enum err case_pick_case(const struct cli *cli, struct ask *ask, char ret[CASE_REF_TEXT + 1],
	struct errctx *ctx) MUST_USE;
/* By theme. */
enum err case_pick_type(
	struct ask *ask, const struct schema_type **ret, struct errctx *ctx) MUST_USE;
/* The one that there is, or one of several. ERR_NOTFOUND: none. */
enum err case_pick_draft(
	const struct cli *cli, struct ask *ask, uint64_t *ret, struct errctx *ctx) MUST_USE;

#endif
