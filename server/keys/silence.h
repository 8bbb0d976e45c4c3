/*
 * silence: mail that brings keys waits while headquarters is silent (DESIGN 7). When nothing that
 * headquarters signed is younger than 30 days, a revocation may have been kept from this node, and
 * everything else goes on; keys leave only after an officer has compared the recipient's words by
 * telephone, and a second one has agreed with their passphrase. Both are in the ledger first. That
 * holds for the one key of the one node, for a day, and ends with a lock.
 *
 * A clock that is more than a day behind what headquarters has signed counts as silence, too: what
 * it would say of 30 days means nothing.
 *
 * On the loop thread.
 */
#ifndef SERVER_KEYS_SILENCE_H
#define SERVER_KEYS_SILENCE_H

#include <jansson.h>

#include "server/runtime.h"

enum { SILENCE_S = 30 * 24 * 3600, SILENCE_RELEASE_S = 24 * 3600 };

/* The newest time that headquarters has signed, as far as is known here; 0: none. */
uint64_t silence_since(const struct runtime *rt);
/* Headquarters itself is never silent to itself. */
bool silence_is(const struct runtime *rt);
/* Why no keys may leave for this node now; "": they may. */
const char *silence_holds(const struct runtime *rt, const char *node);

/* Keys may leave for this node key from here on. ERR_LIMIT: LIMIT_SILENCE_RELEASES hold. */
enum err silence_release(struct runtime *rt, const char *node, const struct hash *signer) MUST_USE;
void silence_locked(struct runtime *rt); /* none is released any more */

/* {"silent","since","released":[names]} */
json_t *silence_json(const struct runtime *rt);

#endif
