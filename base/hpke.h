/*
 * hpke: Hybrid Public Key Encryption, RFC 9180, base mode, one suite: DHKEM(X25519, HKDF-SHA256),
 * HKDF-SHA256, AES-256-GCM. With AES-128-GCM, too, for which the RFC has vectors (appendix A.1).
 *
 * hpke_seal and hpke_open are the single shots of section 6.1: a new ephemeral key for each
 * message. The ephemeral private key is an argument, so that vectors can be run: everybody else
 * draws it with secret_random and never uses it twice. Secrets live in struct secret or are wiped.
 *
 * A public key of small order, all zeros among them, is ERR_UNTRUSTED (section 7.1.4).
 */
#ifndef BASE_HPKE_H
#define BASE_HPKE_H

#include "base/crypto.h"

enum { HPKE_ENC_SIZE = X25519_KEY_SIZE, HPKE_OVERHEAD = HPKE_ENC_SIZE + AEAD_TAG_SIZE };
enum hpke_aead { HPKE_AES_128_GCM = 1, HPKE_AES_256_GCM = 2 }; /* section 7.3 */

/* One sender's or receiver's context (section 5): messages are numbered from 0. */
struct hpke {
	enum hpke_aead aead;
	struct secret key;      /* 16 or 32 bytes */
	struct secret exporter; /* exporter_secret, 32 bytes */
	uint8_t base_nonce[AEAD_NONCE_SIZE];
	uint64_t sequence;
};
/* ephemeral: 32 bytes. ret_enc goes to the recipient. ERR_INVALID: a private key of another size.
 * ERR_UNTRUSTED, ERR_CRYPTO, ERR_NOMEM. */
enum err hpke_sender(enum hpke_aead aead, const struct x25519_public *recipient, struct bytes info,
	struct bytes ephemeral, struct hpke *ret, struct x25519_public *ret_enc) MUST_USE;
enum err hpke_receiver(enum hpke_aead aead, struct bytes private_key,
	const struct x25519_public *enc, struct bytes info, struct hpke *ret) MUST_USE;
void hpke_release(struct hpke *hpke); /* wipes; zeroed ones are fine */
/* The next message. Writes plain.size + 16 bytes; sealed.size - 16 bytes. ERR_DECRYPT: not sealed
 * for this, in this place; the number does not move then. ERR_LIMIT: a message limit is reached.
 */
enum err hpke_context_seal(
	struct hpke *hpke, struct bytes aad, struct bytes plain, uint8_t *ret) MUST_USE;
enum err hpke_context_open(
	struct hpke *hpke, struct bytes aad, struct bytes sealed, uint8_t *ret) MUST_USE;
/* Section 5.3: `size` bytes, at most 255 * 32 (ERR_LIMIT). */
enum err hpke_export(
	const struct hpke *hpke, struct bytes context, uint8_t *ret, size_t size) MUST_USE;

/* Single shots with AES-256-GCM. Sealed is enc || ciphertext with tag: plain.size + HPKE_OVERHEAD
 * bytes are written by seal, sealed.size - HPKE_OVERHEAD by open. ERR_DECRYPT also for what is
 * shorter than HPKE_OVERHEAD. */
enum err hpke_seal(const struct x25519_public *recipient, struct bytes info, struct bytes aad,
	struct bytes plain, struct bytes ephemeral, uint8_t *ret) MUST_USE;
enum err hpke_open(struct bytes private_key, struct bytes info, struct bytes aad,
	struct bytes sealed, uint8_t *ret) MUST_USE;

#endif
