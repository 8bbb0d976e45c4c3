/*
 * The guard of the driven store: it stands in NODE_DIRECTORY.guard and is recorded with the node.
 */
#ifndef TESTS_POWER_GUARD_H
#define TESTS_POWER_GUARD_H

#include "tests/unit/store/support.h"

struct guard;

struct power_guard {
	struct guard *guard;
	const char *verdict; /* what it says of the store: "same", "behind", .. */
	struct errctx why;   /* in words */
	uint64_t commit;     /* that it remembers, and of the node's own log: */
	uint64_t size;
};
/* As a start does it, once the store is open: has it judge, and gives the bench a writer under it.
 * The error of opening or judging. */
enum err power_guard_begin(struct power_guard *guard, struct bench *bench,
	const char *node_directory, struct errctx *ctx) MUST_USE;
void power_guard_end(struct power_guard *guard); /* after bench_close */

#endif
