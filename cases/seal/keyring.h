/*
 * keyring: one case key as it lies in the keyring environment: a KeyringRecord (proto/stored.proto)
 * under the keyring key. The store's key of the value is the kid.
 *
 *   value = u8 1 || nonce 12 || AES-256-GCM(keyring key, nonce, aad, KeyringRecord)
 *   aad   = "sauti/1 keyring" || kid
 *
 * so that a value cannot be put in the place of another. The nonce is random: one keyring key wraps
 * far fewer than 2^32 records. Pure: bytes in, bytes out.
 */
#ifndef CASES_KEYRING_H
#define CASES_KEYRING_H

#include "base/limits.h"
#include "cases/event/event.h"
#include "cases/seal/seal.h"

struct keyring_entry {
	struct case_ref case_ref;
	enum group group;
	char author[LIMIT_NODE_NAME + 1]; /* node whose key it is */
	uint32_t generation;
	struct secret key;             /* K */
	char origin[LIMIT_ORIGIN + 1]; /* the log it seals in first */
};

void keyring_entry_release(struct keyring_entry *entry); /* wipes; NULL and zeroed are fine */

/* Appends the wrapped value to out and gives the kid. keyring_key: 32 bytes. ERR_INVALID when K is
 * not 32 bytes, the group is none, or the author no node name; ERR_NOMEM, ERR_CRYPTO. */
enum err keyring_wrap(struct bytes keyring_key, const struct keyring_entry *entry, struct buf *out,
	struct seal_kid *ret_kid) MUST_USE;

/* On OK the caller owns *ret. ERR_VERSION; ERR_DECRYPT: another keyring key, another kid, or
 * changed; ERR_CORRUPT: what was wrapped is no sound record, or not the kid's; ERR_NOMEM. */
enum err keyring_unwrap(struct bytes keyring_key, const struct seal_kid *kid, struct bytes value,
	struct keyring_entry *ret) MUST_USE;

#endif
