/*
 * target: a file that appears under its name when it is whole: written beside it under another
 * name, 0600, synced, then named. What is there is never replaced.
 */
#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include <limits.h>

#include "base/bytes.h"
#include "base/err.h"

struct target {
	const char *path; /* NULL: standard output */
	char partial[PATH_MAX];
	int fd; /* -1: none */
};

/* path is set by the caller, fd is -1. ERR_EXISTS, ERR_LIMIT, errors of files. */
enum err target_open(struct target *target, struct errctx *ctx) MUST_USE;
enum err target_put(struct target *target, struct bytes data, struct errctx *ctx) MUST_USE;
/* It has its name, durably. */
enum err target_commit(struct target *target, struct errctx *ctx) MUST_USE;
void target_release(struct target *target); /* what was not committed is gone */

#endif
