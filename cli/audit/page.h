/*
 * audit_page: what an audit found, as one page for people: it stands alone, can be printed, runs
 * nothing and loads nothing, and has with each finding the bytes that prove it and how they are
 * checked by programs of others.
 */
#ifndef CLI_AUDIT_PAGE_H
#define CLI_AUDIT_PAGE_H

#include "cli/audit/log.h"

/* The page, once the run has ended. Proofs that would make it larger than LIMIT_AUDIT_PAGE are left
 * out, and it says so. Errors of out. */
enum err audit_page_render(const struct audit_run *run, struct buf *out) MUST_USE;
/* .. into a file, mode 0600, whole or not at all. */
enum err audit_page_write(
	const struct audit_run *run, const char *path, struct errctx *ctx) MUST_USE;

#endif
