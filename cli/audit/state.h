/*
 * audit_state: the file of an audit's state (replication/audit/remembered.h) on the disk: one audit
 * at a time has it, and it is replaced whole or not at all, mode 0600.
 */
#ifndef CLI_AUDIT_STATE_H
#define CLI_AUDIT_STATE_H

#include "replication/audit/remembered.h"

struct audit_state {
	const char *path;
	int lock;                 /* of <path>.lock; -1: not held */
	struct remembered *state; /* NULL: there is none yet */
};

/* path stays valid. Locks and reads; no file is a first visit. ERR_BUSY: another audit has it;
 * ERR_MALFORMED, ERR_VERSION, ERR_LIMIT: it is no state, or was damaged; errors of files. On
 * failure nothing is held. */
enum err audit_state_open(const char *path, struct audit_state *ret, struct errctx *ctx) MUST_USE;
/* Errors of files. */
enum err audit_state_write(const struct audit_state *state, const struct remembered *remembered,
	struct errctx *ctx) MUST_USE;
/* Unlocks; one that was not opened (path NULL) is fine. */
void audit_state_close(struct audit_state *state);

#endif
