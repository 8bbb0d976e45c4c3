/*
 * escrow: the loop's half of the escrow of this node's case keys (server/vault/escrow/escrow.h): it
 * asks the vault what is to be done next, signs and appends chunks and manifests, signs and sends
 * letters to custodians, and says who they are.
 *
 * A step is made some seconds after something may have changed, and every minute while unlocked.
 * Between two that write there are ESCROW_PAUSE_MS, so that the keys of many cases go together.
 */
#ifndef SERVER_KEYS_ESCROW_H
#define SERVER_KEYS_ESCROW_H

#include <jansson.h>

#include "server/runtime.h"

enum { ESCROW_DELAY_MS = 2 * 1000, ESCROW_PAUSE_MS = 20 * 1000, ESCROW_IDLE_MS = 60 * 1000 };

void escrow_begin(struct runtime *rt);  /* once the loop is there */
void escrow_end(struct runtime *rt);    /* before the vault is stopped */
void escrow_forget(struct runtime *rt); /* the node was locked */
/* Something may have changed: a step follows. */
void escrow_wake(struct runtime *rt);

/* A request of the vault's with what it has to know of the network; NULL: no memory. */
struct vault_request *escrow_ask(struct runtime *rt, enum vault_type type, void *arg);
/* What came of it. Frees nothing; whoever asked is answered by the control. */
void escrow_done(struct runtime *rt, struct vault_request *done);
bool escrow_is(enum vault_type type);
void escrow_drop(struct vault_request *done);
/* Signs and sends what is in done->letters. */
void escrow_send(struct runtime *rt, struct vault_request *done);

/* What status shows; null: nothing is known. */
json_t *escrow_json(const struct runtime *rt);

#endif
