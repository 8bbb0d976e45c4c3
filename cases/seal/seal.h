/*
 * Sealing suite 1 (DESIGN 8): one part of an event into one entry of a log, and back.
 *
 * K is 32 random bytes per (case, group, author node, generation). An entry stands at a position:
 * O, the SHA-256 of the log's origin, and i, the number of the entry under K in that origin, from
 * 0. Never seal two parts at one position: the random bytes and the plaintext in the salt lower
 * the damage of a cloned machine, they do not excuse it.
 *
 * Opening checks lengths, locator and commitment (in constant time) before anything is decrypted,
 * the padding and the decompressed size afterwards. crypto_init() comes first.
 */
#ifndef CASES_SEAL_H
#define CASES_SEAL_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/secret.h"

enum {
	SEAL_SUITE_1 = 1,
	SEAL_KEY_SIZE = 32, /* K */
	SEAL_KID_SIZE = 16,
	SEAL_SALT_SIZE = 16,
	SEAL_LOCATOR_SIZE = 16,
	SEAL_COMMITMENT_SIZE = 32,
	SEAL_RANDOM_SIZE = 16,
	SEAL_HEADER_SIZE = 5, /* of the plaintext: compression, stored length */
};

/* Numbers stand in plaintexts: final. Nothing writes SEAL_ZSTD any more. */
enum seal_compression { SEAL_PLAIN = 0, SEAL_ZSTD = 1, SEAL_ZSTD_DICTIONARY_1 = 2 };

/* Dictionary 1: trained on parts of synthetic events in five languages
 * (tests/vectors/make_dictionary.c), frozen (docs/FORMAT). Static. */
struct bytes seal_dictionary_1(void);

struct seal_kid {
	uint8_t b[SEAL_KID_SIZE];
};
struct seal_locator {
	uint8_t b[SEAL_LOCATOR_SIZE];
};
/* P of one entry: opens that entry and nothing else. A key: to be wiped, logged, erased. */
struct seal_reveal {
	uint8_t b[HASH_SIZE];
};

/* K and what is derived from it once. */
struct seal_key {
	struct seal_kid kid;
	struct secret secret; /* K || locator key || salt key */
};

/* kid = HKDF-Expand(K, "sauti/1 kid", 16). key: exactly 32 bytes, else ERR_INVALID. ERR_CRYPTO. */
enum err seal_kid_of(struct bytes key, struct seal_kid *ret) MUST_USE;

/* Copies K. ERR_INVALID as above; ERR_NOMEM, ERR_CRYPTO. */
enum err seal_key_init(struct seal_key *key, struct bytes k) MUST_USE;
void seal_key_release(struct seal_key *key);             /* wipes; NULL and zeroed ones are fine */
struct bytes seal_key_bytes(const struct seal_key *key); /* K, borrowed */

struct seal_position {
	struct hash origin; /* O */
	uint64_t index;     /* i */
};

enum err seal_locator(const struct seal_key *key, const struct seal_position *at,
	struct seal_locator *ret) MUST_USE;

/* What the locators under K are made with: whoever has it finds the entries under K in a log, and
 * which number each has, and opens none of them. It leads to no other key. */
struct seal_locator_key {
	uint8_t b[32];
};
void seal_locator_key(const struct seal_key *key, struct seal_locator_key *ret);
enum err seal_locator_by(const struct seal_locator_key *key, const struct seal_position *at,
	struct seal_locator *ret) MUST_USE;

/* Contexts and scratch memory (some 200 KiB, and what zstd takes), for one thread at a time. The
 * scratch memory is wiped after each use; zstd's own windows are only written over by the next. */
struct sealer;
enum err sealer_new(struct sealer **ret) MUST_USE;
void sealer_free(struct sealer *sealer); /* NULL is fine */

struct seal_options {
	const uint8_t *random;             /* SEAL_RANDOM_SIZE fresh bytes of the DRBG */
	enum seal_compression compression; /* to be tried; kept only when it is smaller */
};

/* Appends the bytes of an Entry to out. ERR_LIMIT for a part over LIMIT_PART_SIZE or one that does
 * not fit the last padding step; ERR_NOMEM, ERR_CRYPTO. out is as before on failure. */
enum err seal_write(struct sealer *sealer, const struct seal_key *key,
	const struct seal_position *at, const struct seal_options *options, struct bytes part,
	struct buf *out) MUST_USE;

/* Opens an entry at its position and appends the part to out. ERR_MALFORMED: not a sealed entry of
 * suite 1 with exact lengths, or what was sealed is not as it must be (padding, header);
 * ERR_DECRYPT: another position, another key, or changed; ERR_UNSUPPORTED: another suite or
 * compression; ERR_LIMIT: it decompresses to more than LIMIT_PART_SIZE, as the frame announces (one
 * that announces nothing may be ERR_MALFORMED); ERR_NOMEM, ERR_CRYPTO. */
enum err seal_open(struct sealer *sealer, const struct seal_key *key,
	const struct seal_position *at, struct bytes entry, struct buf *out) MUST_USE;

/* P of a sealed entry, for selective disclosure. Errors as the first of seal_open. Does not check
 * that K is the entry's: seal_open does. */
enum err seal_reveal(
	const struct seal_key *key, struct bytes entry, struct seal_reveal *ret) MUST_USE;
/* Opens the one entry that P belongs to, in the log of that origin. As seal_open. */
enum err seal_open_revealed(struct sealer *sealer, const struct seal_reveal *p,
	const struct hash *origin, struct bytes entry, struct buf *out) MUST_USE;

/* The locator an entry carries, for whoever builds an index. ERR_MALFORMED, ERR_UNSUPPORTED. */
enum err seal_entry_locator(struct bytes entry, struct seal_locator *ret) MUST_USE;

/* The size of the plaintext for that many stored bytes: the smallest of 256 * 2^n, 384 * 2^n and,
 * at the end, 65,000 that holds header and bytes. 0 when none does. */
size_t seal_padded_size(size_t stored);

#endif
