/*
 * replaced: headquarters' side of a machine that takes another's name (certs/change.h, DESIGN 7):
 * which logs are the former machine's, up to where they count, and the record that says so. Of the
 * loop.
 */
#ifndef SERVER_KEYS_REPLACED_H
#define SERVER_KEYS_REPLACED_H

#include "certs/ruling.h"
#include "server/runtime.h"

/* The newest checkpoint held here of each log of closing->name with a counter up to `epoch`, with
 * the signature of the log's key on it. What is listed is so certain to be held by one node that
 * gives it to all. closing->logs has room for LIMIT_EPOCHS_PER_NODE. */
void closing_collect(const struct runtime *rt, struct revocation *closing, uint32_t epoch);
/* Somebody connected may show more of a listed log than is held here: what would be lost to all but
 * its disk. */
uint64_t closing_known(const struct runtime *rt, const struct revoked_log *listed);

/* Up to which counter the logs of this name are those of the machine it has now: behind all that
 * are known here, with room for some that are not. */
uint32_t replaced_epoch(const struct runtime *rt, const char *node);

/* The entry of a NodeReplaced, signed: `admitted` with its signature is what the new machine sent,
 * for the name in it. ERR_LOCKED; ERR_INVALID for what no directory takes; ERR_NOMEM, ERR_CRYPTO.
 */
struct replacing {
	const char *node, *reason;
	uint32_t epoch;
	struct bytes admitted, admitted_signature;
};
enum err replaced_entry(
	const struct runtime *rt, const struct replacing *replacing, struct buf *out) MUST_USE;

#endif
