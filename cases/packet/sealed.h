/*
 * sealed: a file for one reader who has a passphrase and no key (docs/FORMAT, "Sealed packet").
 *
 *	file       = "sauti packet 1\n" || u8 log2 N || u8 r || u8 p || salt 16 || commitment 32 ||
 *body commitment || key || nonce = HKDF-Expand(scrypt(passphrase, salt, N, r, p), "sauti/1 packet",
 *32 + 32 + 12) body       = AES-256-GCM(key, nonce, aad = all before it, plain) plain      = u32be
 *length || text || zeros up to 256 * 2^n or 384 * 2^n
 *
 * The salt is random and never used twice, so neither are key and nonce. The commitment is checked
 * before anything is opened: one file has one passphrase.
 *
 * Pure: randomness is handed in.
 */
#ifndef CASES_PACKET_SEALED_H
#define CASES_PACKET_SEALED_H

#include "base/buf.h"
#include "base/crypto.h"

enum {
	SEALED_SALT_SIZE = 16,
	SEALED_HEAD_SIZE = 15 + 3 + SEALED_SALT_SIZE + HASH_SIZE,
	SEALED_TEXT_MAX = 2 * 1024 * 1024,
	SEALED_FILE_MAX = 4 * 1024 * 1024,
};
/* What files are sealed with: N 2^17, r 8, p 1, 128 MiB for some tenths of a second. A reader takes
 * N from 2^14 to 2^17, r 8, p from 1 to 4. */
extern const struct scrypt_cost sealed_cost;

/* Appends the file to *out. ERR_LIMIT: a text of more than SEALED_TEXT_MAX; ERR_INVALID: no
 * passphrase, or a cost no reader takes; ERR_NOMEM, ERR_CRYPTO. */
enum err sealed_write(struct bytes passphrase, const uint8_t salt[SEALED_SALT_SIZE],
	struct scrypt_cost cost, struct bytes text, struct buf *out) MUST_USE;

/* Appends the text to *out, which is wiped by the caller. ERR_MALFORMED: no such file, or cut;
 * ERR_VERSION: of a later form, or of a cost that is not taken; ERR_DENIED: another passphrase;
 * ERR_DECRYPT: changed behind its head; ERR_LIMIT, ERR_NOMEM, ERR_CRYPTO. */
enum err sealed_read(struct bytes passphrase, struct bytes file, struct buf *out) MUST_USE;
/* Does it begin as one? */
bool sealed_is(struct bytes file);

#endif
