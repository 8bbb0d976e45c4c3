/*
 * A whole store, with everything that a node's has and good keys for all of it: the directory's log
 * with headquarters and an office, the office's own log with sealed entries, records and malformed
 * ones, cosignatures by both, an invite.
 */
#ifndef TESTS_UNIT_STORE_WHOLE_H
#define TESTS_UNIT_STORE_WHOLE_H

#include "server/fsck/check.h"
#include "support.h"

enum { WHOLE_DIRECTORY, WHOLE_OFFICE, WHOLE_LOGS };
struct whole {
	struct origin origin[WHOLE_LOGS];
	uint64_t size[WHOLE_LOGS];
	struct ed25519_public directory_key;
	struct directory *members;
};
/* Makes the store in that directory, with `entries` entries in the office's log (at least 2); the
 * newest `tail` of them behind its checkpoint. */
void whole_make(struct whole *whole, const char *path, size_t entries, size_t tail);
void whole_release(struct whole *whole);
/* What fsck is to be told: the node is the office, or headquarters. */
struct fsck_opts whole_fsck(const struct whole *whole, const char *path, bool headquarters);

#endif
