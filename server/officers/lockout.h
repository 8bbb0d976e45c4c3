/*
 * lockout: wrong passphrases make the next try wait. After LOCKOUT_FREE wrong ones in a row for a
 * name, the next is refused for a second, and for twice as long after each further one, up to
 * LOCKOUT_MAX_MS; a right one ends it. Names are counted whether there is such an officer or not.
 * In all, whatever the names, LOCKOUT_ALL_FREE are let through, then one after waits that grow up
 * to LOCKOUT_ALL_MAX_MS: it slows down guessing through the names, and cannot keep an officer out
 * for long. One of these is forgiven a minute.
 *
 * Kept as long as the daemon runs, locked or not. It is not written to the disk: who can restart
 * the daemon can read the keystore, and guess without it.
 *
 * Pure; times are milliseconds of a clock that never steps. A try that waits is not made, and does
 * not count.
 */
#ifndef SERVER_OFFICERS_LOCKOUT_H
#define SERVER_OFFICERS_LOCKOUT_H

#include <stdint.h>

#include "base/limits.h"

enum {
	LOCKOUT_FREE = 3,
	LOCKOUT_FIRST_MS = 1000,
	LOCKOUT_MAX_MS = 15 * 60000,
	LOCKOUT_ALL_FREE = 12,
	LOCKOUT_ALL_MAX_MS = 30000,
	LOCKOUT_FORGIVE_MS = 60000,
};

struct lockout_name {
	char name[LIMIT_OFFICER_NAME + 1]; /* longer ones are cut: no officer has one */
	unsigned wrong;                    /* in a row */
	uint64_t last_ms;                  /* when the last of them was */
};
struct lockout {
	struct lockout_name names[LIMIT_LOCKOUT_NAMES]; /* when full, the one that is oldest goes */
	unsigned count;
	struct lockout_name all;
};

/* How long until this name may be tried; 0: now. */
uint64_t lockout_wait(struct lockout *lockout, const char *name, uint64_t now_ms);
void lockout_wrong(struct lockout *lockout, const char *name, uint64_t now_ms);
void lockout_right(struct lockout *lockout, const char *name);

#endif
