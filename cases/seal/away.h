/*
 * away: what a node remembers of entries that it wrote and cannot read: the locators of a complaint
 * about staff, sealed to another node (DESIGN 9). No key is in it, and nothing that leads to one;
 * it keeps such entries from being taken for lost ones when the node counts what no key of it
 * opens. A row of the keyring, under a random name of 16 bytes:
 *
 *   value = u8 2 || nonce 12 || AES-256-GCM(keyring key, nonce, aad, locators)
 *   aad   = "sauti/1 away" || name
 *
 * The first byte tells it from a case key (keyring.h). Sealed, so that a disk without a passphrase
 * does not say which entries are complaints. Pure: bytes in, bytes out.
 */
#ifndef CASES_AWAY_H
#define CASES_AWAY_H

#include "cases/seal/seal.h"

enum { AWAY_NAME_SIZE = SEAL_KID_SIZE, AWAY_LOCATORS_MAX = 8 };

struct away {
	struct seal_locator locators[AWAY_LOCATORS_MAX];
	size_t count;
};

/* Is the value of a keyring row one of these? */
bool away_is(struct bytes value);
/* Appends the value. keyring_key: 32 bytes. ERR_INVALID: none, or too many; ERR_NOMEM, ERR_CRYPTO.
 */
enum err away_wrap(struct bytes keyring_key, const uint8_t name[AWAY_NAME_SIZE],
	const struct away *away, struct buf *out) MUST_USE;
/* ERR_DECRYPT: another keyring key, another name, or changed; ERR_CORRUPT: of a wrong size;
 * ERR_VERSION: not one of these. */
enum err away_unwrap(struct bytes keyring_key, const uint8_t name[AWAY_NAME_SIZE],
	struct bytes value, struct away *ret) MUST_USE;

#endif
