/*
 * locking: when and why the node forgets its keys. There is one way to lock, runtime_lock, whatever
 * the cause: somebody asked, nobody asked anything for too long, panic (the command, or SIGUSR1 for
 * the hooks of lids, power supplies and tokens), memory that could reach a disk in clear, an own
 * log that became another.
 *
 * The loop's keys are gone when it returns. The vault gives up what it does and forgets the rest;
 * what it has answered and nobody was told yet is dropped. Connections to clients that a plaintext
 * is on its way to or from are closed; in a panic, all but the one that asked.
 *
 * What counts as use: an unlock, and requests of an officer's session (control_counts_as_use says
 * which), from their arrival until their end. The clock of idleness goes on while the machine
 * sleeps.
 */
#ifndef SERVER_LOCKING_H
#define SERVER_LOCKING_H

#include <jansson.h>

#include "base/err.h"

struct control_request;
struct locking;
struct runtime;
struct vault_request;

enum lock_why {
	LOCK_ASKED,
	LOCK_IDLE,
	LOCK_PANIC,
	LOCK_SWAP,
	LOCK_LOG,    /* what the guard or a peer knows of the own log */
	LOCK_KEYRING /* an erasure could not be finished: the next unlock does */
};

/* Looks at swap, starts timers and the signal. Errors: ERR_NOMEM. */
enum err locking_start(struct runtime *rt, struct errctx *ctx) MUST_USE;
void locking_close(struct runtime *rt); /* its handles; before the loop ends */
void locking_free(struct runtime *rt);

/* Locks, also when the node is locked already: an unlock may be under way. asker: the request that
 * is answered once nothing is left; NULL: none. */
void runtime_lock(struct runtime *rt, enum lock_why why, struct control_request *asker);
/* The vault has done its part. */
void locking_done(struct runtime *rt);

/* An UNLOCK: goes to the vault when swap allows it, else its request is answered with ERR_DENIED.
 * Takes it. */
void locking_unlock(struct runtime *rt, struct vault_request *unlock);

/* A request that counts as use begins, ends. */
void locking_use_begin(struct runtime *rt);
void locking_use_end(struct runtime *rt);

/* Of status: {"idle_s", "last": {"at", "why"} or null, "swap": {"allowed", "findings"},
 * "warnings"}. */
json_t *locking_json(const struct runtime *rt);
void locking_alarms(const struct runtime *rt, json_t *alarms);

#endif
