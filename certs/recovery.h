/*
 * recovery: the shares of an office's recovery key (DESIGN 9). The private half is split once, 2 of
 * 3 (Shamir's scheme over GF(2^8), bytewise, by libgfshare), and never stored: any two shares give
 * it back, one alone says nothing about it.
 *
 *   set      = SHA-256("sauti/1 recovery set" || public half)[0:4]
 *   share    = u8 (16 + number) || set || 32 bytes || check       41 bytes; number 1 to 3
 *   check    = SHA-256("sauti/1 recovery share" || the 37 bytes before it)[0:4]
 *   words    = the share as 30 words of eleven bits (base/words.h), and two check words
 *   payload  = "SAUTI1:" || the share in upper-case hexadecimal     what a QR code holds
 *
 * The check words are over GF(2^11) with x^11 + x^2 + 1: the 32 words w_j give sum w_j = 0 and
 * sum x^j w_j = 0. So one wrong word is found, and two that changed places.
 *
 * What the two shares give is compared with the set: a third share that somebody made up is
 * noticed.
 *
 * Pure, but for libgfshare's one pointer to a source of random bytes, which is set to random_bytes.
 */
#ifndef CERTS_RECOVERY_H
#define CERTS_RECOVERY_H

#include "base/buf.h"
#include "base/crypto.h"

enum {
	RECOVERY_SHARES = 3,
	RECOVERY_NEEDED = 2,
	RECOVERY_SET_SIZE = 4,
	RECOVERY_SHARE_SIZE = 41,
	RECOVERY_WORDS = 32,
	RECOVERY_TEXT_MAX = 4096, /* of one share, as it is read */
};

struct recovery_set {
	uint8_t b[RECOVERY_SET_SIZE];
};
struct recovery_share {
	struct recovery_set set;
	uint8_t number; /* 1 to RECOVERY_SHARES */
	struct secret share;
};

void recovery_share_release(struct recovery_share *share); /* wipes; NULL and zeroed are fine */
/* Which key it is. */
void recovery_set_of(const struct x25519_public *public, struct recovery_set *ret);

/* private_key: 32 bytes. All of ret are released by the caller, also on failure. ERR_INVALID,
 * ERR_CRYPTO, ERR_NOMEM. */
enum err recovery_split(
	struct bytes private_key, struct recovery_share ret[RECOVERY_SHARES]) MUST_USE;
/* ERR_EXISTS: the same share twice; ERR_UNTRUSTED: of two sets, or what they give is not the key of
 * their set: one of them is not what was printed. ERR_NOMEM, ERR_CRYPTO. */
enum err recovery_join(const struct recovery_share *a, const struct recovery_share *b,
	struct secret *ret, struct errctx *ctx) MUST_USE;

/* The numbers of the words, and the text of a QR code. Wiped by the caller; `out` is reserved. */
enum err recovery_words(const struct recovery_share *share, uint16_t ret[RECOVERY_WORDS]) MUST_USE;
enum err recovery_payload(const struct recovery_share *share, struct buf *out) MUST_USE;

/* Reads words, set apart by white space (numbers of rows between them are skipped), or a payload.
 * ERR_MALFORMED names the word that is none or that is wrong, the two that changed places, or what
 * else it is; ERR_VERSION: of a newer Sauti; ERR_LIMIT: a text over RECOVERY_TEXT_MAX; ERR_NOMEM.
 */
enum err recovery_read(struct bytes text, struct recovery_share *ret, struct errctx *ctx) MUST_USE;

#endif
