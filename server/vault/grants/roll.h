/*
 * roll: a new generation of this node's keys of a case, so that what is recorded from then on is
 * sealed under keys that nobody has yet. New keys are durable in the keyring, by whoever rolls and
 * in one transaction with what makes them necessary, before anything is sealed under them; entries
 * that are there keep the keys they have.
 */
#ifndef SERVER_VAULT_ROLL_H
#define SERVER_VAULT_ROLL_H

#include "server/vault/internal.h"

struct roll {
	struct keyring_entry entries[GROUP_LAST];
	size_t count;
};
/* Draws a key for each of these groups; changes nothing. ERR_LIMIT: the case has as many keys as it
 * may have. */
enum err roll_make(struct book *book, const struct casebook_case *kase, group_set groups,
	struct roll *ret, struct errctx *ctx) MUST_USE;
void roll_release(struct roll *roll); /* wipes; zeroed ones are fine */
/* Wraps them behind what is in `out`, which is reserved whole; ret: one item each. */
enum err roll_wrap(struct book *book, const struct roll *roll, struct buf *out,
	struct keyring_item *ret) MUST_USE;
/* Once they are durable: from here on they are sealed with. */
enum err roll_use(struct book *book, const struct roll *roll) MUST_USE;

#endif
