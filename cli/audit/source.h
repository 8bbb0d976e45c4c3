/*
 * source: a log out of an audit_source, for commands that work on what is signed and on nothing
 * else: its checkpoint is signed as a policy wants it, and the walk (replication/audit/walk.h)
 * found nothing wrong, or the reading fails.
 */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include "replication/audit/walk.h"
#include "replication/log/tlog_policy.h"

struct source_read {
	const struct audit_source *source;
	const char *origin;
	const struct tlog_policy *policy;
	/* Each entry, in order; NULL: none. What is done with it counts only once source_read is
	 * OK. */
	walk_entry *each;
	void *arg;
};
/* ERR_NOTFOUND: no such log is there; ERR_UNTRUSTED: the checkpoint is not signed as it should be;
 * ERR_PROOF: something is missing or changed, and what; ERR_NOMEM, errors of the source and of
 * each. */
enum err source_read(const struct source_read *read, struct tlog_verdict *ret_verdict,
	struct errctx *ctx) MUST_USE;

/* The origins of the logs of a node ("directory": the directory's) that are there, by their
 * epochs' numbers; at most SOURCE_LOGS_MAX (ERR_LIMIT). None: ret->count is 0. */
enum { SOURCE_LOGS_MAX = 256 };
struct source_logs {
	struct origin origins[SOURCE_LOGS_MAX];
	size_t count;
};
enum err source_logs(const struct audit_source *source, const char *network, const char *node,
	struct source_logs *ret, struct errctx *ctx) MUST_USE;

#endif
