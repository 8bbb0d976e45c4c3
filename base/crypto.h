/*
 * The cryptography of Sauti: thin wrappers over OpenSSL's EVP, with every algorithm fetched once.
 *
 * crypto_init() must have succeeded before anything else here is called; it may be called again
 * (counted). All functions are thread-safe. Foreign errors are mapped to ERR_CRYPTO in one place;
 * running out of memory inside OpenSSL shows as ERR_CRYPTO too.
 */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/secret.h"

enum { HASH_SIZE = 32, AEAD_KEY_SIZE = 32, AEAD_NONCE_SIZE = 12, AEAD_TAG_SIZE = 16 };
enum { ED25519_SEED_SIZE = 32, ED25519_PUBLIC_SIZE = 32, ED25519_SIGNATURE_SIZE = 64 };
enum { X25519_KEY_SIZE = 32 };
/* Bytes of OpenSSL's secure heap, shared by struct secret and OpenSSL's own use. */
enum { CRYPTO_SECURE_HEAP_SIZE = 256 * 1024 };

struct hash {
	uint8_t b[HASH_SIZE];
};
struct ed25519_public {
	uint8_t b[ED25519_PUBLIC_SIZE];
};
struct ed25519_signature {
	uint8_t b[ED25519_SIGNATURE_SIZE];
};
struct x25519_public {
	uint8_t b[X25519_KEY_SIZE];
};

static inline struct bytes hash_bytes(const struct hash *h)
{
	return bytes_make(h->b, HASH_SIZE);
}

static inline bool hash_equal(const struct hash *a, const struct hash *b)
{
	return memcmp(a->b, b->b, HASH_SIZE) == 0;
}

/* Fetches the algorithms and sets up the secure heap. ERR_CRYPTO when OpenSSL lacks one. */
enum err crypto_init(void) MUST_USE;
void crypto_release(void);

/* Contexts are kept per thread, and know the last thing they were used for: here this thread's
 * forget it. */
void crypto_forget(void);

/* SHA-256 of the concatenation of `count` parts. Cannot fail for inputs that fit in memory: a
 * failure of the library is an assertion. */
void sha256_parts(const struct bytes *parts, size_t count, struct hash *ret);
void sha256(struct bytes data, struct hash *ret);
/* SHA-256(prefix || left || right): the inner node of a Merkle tree, the hot path of the log. */
void sha256_node(
	uint8_t prefix, const struct hash *left, const struct hash *right, struct hash *ret);
/* SHA-256(prefix || data): a leaf. */
void sha256_leaf(uint8_t prefix, struct bytes data, struct hash *ret);

/* SHA-256 of what comes in pieces: files that do not fit in memory. One thread at a time. new:
 * ERR_NOMEM. finish gives the hash of all that was put since new or the last finish. */
struct sha256_stream;
enum err sha256_stream_new(struct sha256_stream **ret) MUST_USE;
void sha256_stream_put(struct sha256_stream *stream, struct bytes data);
void sha256_stream_finish(struct sha256_stream *stream, struct hash *ret);
void sha256_stream_free(struct sha256_stream *stream); /* NULL is fine */

/* HMAC-SHA-256 (RFC 2104) over the concatenation of parts. Keys of any length; note that HMAC
 * zero-extends short keys, so check exact lengths of keys and salts before. */
enum err hmac_sha256(
	struct bytes key, const struct bytes *parts, size_t count, struct hash *ret) MUST_USE;

/* HKDF with SHA-256, RFC 5869. Extract with an empty salt uses 32 zeros. Expand gives `size` bytes,
 * at most 255 * 32 (ERR_LIMIT); info is the concatenation of parts, at most 16 of them. */
enum err hkdf_extract(struct bytes salt, struct bytes ikm, struct hash *ret_prk) MUST_USE;
enum err hkdf_expand(struct bytes prk, const struct bytes *info, size_t count, uint8_t *ret,
	size_t size) MUST_USE;

/* AES-256-GCM, 12-byte nonce, 16-byte tag at the end of the ciphertext (NIST SP 800-38D). The
 * caller never repeats (key, nonce). Not key-committing: check a commitment before opening.
 * seal writes plain.size + 16 bytes to ret. open: sealed includes the tag; writes
 * sealed.size - 16 bytes; ERR_DECRYPT when the tag is wrong, and then ret holds zeros, or when
 * sealed is shorter than a tag. ERR_LIMIT past INT_MAX bytes. ret may be where the input is. */
struct aead_key {
	uint8_t key[AEAD_KEY_SIZE];
	uint8_t nonce[AEAD_NONCE_SIZE];
};
enum err aead_seal(
	const struct aead_key *key, struct bytes aad, struct bytes plain, uint8_t *ret) MUST_USE;
enum err aead_open(
	const struct aead_key *key, struct bytes aad, struct bytes sealed, uint8_t *ret) MUST_USE;

/* The same with AES-128-GCM, whose key is the first 16 bytes: for the vectors of RFC 9180. */
enum err aead_seal_128(
	const struct aead_key *key, struct bytes aad, struct bytes plain, uint8_t *ret) MUST_USE;
enum err aead_open_128(
	const struct aead_key *key, struct bytes aad, struct bytes sealed, uint8_t *ret) MUST_USE;

/* Ed25519 (RFC 8032). A signer holds the private key, parsed once; opaque; sign is thread-safe.
 * ERR_INVALID when the seed has another size. OpenSSL 3.0 keeps a key imported from raw bytes in
 * ordinary memory, not in its secure heap; it is wiped by signer_free. */
struct signer;
enum err signer_new(struct bytes seed /* 32 bytes */, struct signer **ret) MUST_USE;
void signer_free(struct signer *signer); /* NULL is fine */
const struct ed25519_public *signer_public(const struct signer *signer);
enum err signer_sign(
	const struct signer *signer, struct bytes message, struct ed25519_signature *ret) MUST_USE;
/* True only for a good signature. */
bool ed25519_verify(
	const struct ed25519_public *key, struct bytes message, struct bytes signature) MUST_USE;

/* The public key of an X25519 private key (RFC 7748), 32 bytes; ERR_INVALID for another size. */
enum err x25519_public(struct bytes private_key, struct x25519_public *ret) MUST_USE;

/* X25519 of a private key and a peer's public one (RFC 7748 6.1), inits ret, 32 bytes.
 * ERR_UNTRUSTED for a peer's key of small order, such as zeros: what comes out is known to
 * everybody. ERR_INVALID for a private key of another size; ERR_CRYPTO, ERR_NOMEM. */
enum err x25519_shared(
	struct bytes private_key, const struct x25519_public *peer, struct secret *ret) MUST_USE;

/* scrypt (RFC 7914) with maxmem set for the parameters given. ERR_LIMIT for parameters that would
 * take more than 256 MiB; ERR_INVALID for an n that is no power of two above 1 or not below
 * 2^(16 r), r or p of zero, or p * r of 2^30 or more. size > 0. */
struct scrypt_cost {
	uint64_t n;
	uint32_t r, p;
};
enum err scrypt(struct bytes passphrase, struct bytes salt, struct scrypt_cost cost, uint8_t *ret,
	size_t size) MUST_USE;

/* Randomness: OpenSSL's DRBG, through this one call, which tests may replace (NULL: back). */
typedef enum err (*random_fn)(void *arg, uint8_t *ret, size_t size);
void random_set(random_fn fn, void *arg);
enum err random_bytes(uint8_t *ret, size_t size) MUST_USE;

#endif
