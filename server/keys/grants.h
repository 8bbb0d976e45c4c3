/*
 * grants: the loop's half of keys for other nodes (server/vault/grants/grants.h). Only ciphertext
 *and names come here, and no key.
 *
 *	VAULT_GRANT, REVIEW --> events of the ledger --> log --> durable
 *	                                                            |
 *	mail <-- signed <-- MailBody <-- VAULT_GRANT_RELEASE <------'
 *	   `--> SENT; and once its recipient says what became of it: ENDED
 *
 * Work that is begun goes on until there is nothing left to do: something to review, then something
 * to release, one at a time. Any answer of the vault's may say that there is (grants_due); so does
 * a change of the directory, of a prekey, an unlock, and a new day. A failure waits for the next
 * occasion, at the latest a minute.
 *
 * All of it on the loop thread.
 */
#ifndef SERVER_KEYS_GRANTS_H
#define SERVER_KEYS_GRANTS_H

#include "server/runtime.h"

/* Once the loop is there, and before it goes. */
void grants_boot(struct runtime *rt);
void grants_stop(struct runtime *rt); /* whoever waits is called */
void grants_unload(struct runtime *rt);

/* There may be something to do. From anywhere on the loop. */
void grants_kick(struct runtime *rt);
/* Mail has changed: what became of what was sent. */
void grants_chores(struct runtime *rt);
void grants_tidy(struct runtime *rt); /* every minute */
/* Any answer of the vault's. */
void grants_told(struct runtime *rt, const struct vault_request *done);
/* Grants that cannot leave now: of an unlocked node. */
uint64_t grants_waiting(const struct runtime *rt);
/* Calls back once there is nothing to do, or nothing can be done now. */
void grants_settled(struct runtime *rt, void (*done)(void *arg), void *arg);

/* An answer to what this file asked; frees nothing. drop: the end. */
void grants_vault_done(struct runtime *rt, struct vault_request *done);
bool grants_vault_type(enum vault_type type);

/* Who may be given keys, as of now: all members but this node. */
struct vault_grant *grants_ask(const struct runtime *rt);
/* Why nothing can leave for that member now; "" when it can. */
const char *grants_held_back(const struct runtime *rt, const char *node);

/* What an officer asked for, from the answer to VAULT_GRANT on; done is called once it is durable
 * in the ledger, or is not. */
typedef void (*grant_done)(void *arg, enum err error, const char *why, uint64_t index);
void grants_append(struct runtime *rt, struct vault_request *done, grant_done end, void *arg);

#endif
