/*
 * source: exported logs (FORMAT "Export"), read without a node, and believed only as far as the
 * checkpoint goes: it is signed as a policy wants it, and every entry is hashed again, in order, so
 * that what was given out is what was signed, all of it, or the reading fails.
 */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include "replication/log/tlog_policy.h"

/* An entry of the log, in order. What is done with it counts only once source_read is OK. */
typedef enum err source_entry(void *arg, uint64_t index, struct bytes entry);

struct source_read {
	const char *directory; /* of exports */
	const char *origin;
	const struct tlog_policy *policy;
	source_entry *each; /* may be NULL; its first error ends it */
	void *arg;
};
/* ERR_NOTFOUND: no such log is there; ERR_UNTRUSTED: the checkpoint is not signed as it should be;
 * ERR_PROOF: files are missing or changed, with the path; ERR_NOMEM, errors of files and of each.
 */
enum err source_read(const struct source_read *read, struct tlog_verdict *ret_verdict,
	struct errctx *ctx) MUST_USE;

/* The origins of the logs of a node ("directory": the directory's) that are there, by their
 * epochs' numbers; at most SOURCE_LOGS_MAX (ERR_LIMIT). None: *ret_count is 0. */
enum { SOURCE_LOGS_MAX = 256 };
struct source_logs {
	struct origin origins[SOURCE_LOGS_MAX];
	size_t count;
};
enum err source_logs(const char *directory, const char *network, const char *node,
	struct source_logs *ret, struct errctx *ctx) MUST_USE;

#endif
