/*
 * receipts: the loop's side of the daily batch (server/vault/receipts.h): asks the vault every
 * minute whether one is due, signs its record and has it appended to this node's own log. Nothing
 * is asked while one is on its way to the log.
 */
#ifndef SERVER_RECEIPTS_H
#define SERVER_RECEIPTS_H

#include "server/runtime.h"

void receipts_tick(struct runtime *rt); /* every minute, and once the own log is open */

/* For the vault, with what the quorum holds of this node's logs; NULL: no memory. */
struct vault_request *receipts_ask(const struct runtime *rt, enum vault_receipts_op op, void *arg);

#endif
