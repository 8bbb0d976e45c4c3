/*
 * record_escrow: the two public records of a node's escrow, in its own log (docs/FORMAT, Escrow): a
 * chunk of sealed case keys, and the manifest that says which chunks are the newest. What is sealed
 * in a chunk is cases/keys/escrow.h. Pure; views are into the arena.
 */
#ifndef CERTS_RECORD_ESCROW_H
#define CERTS_RECORD_ESCROW_H

#include "certs/record.h"

enum { ESCROW_VERSION_KEY_ID = 16 };

struct escrow_chunk {
	uint32_t number;
	uint64_t version;
	uint8_t version_key[ESCROW_VERSION_KEY_ID];
	struct x25519_public recovery_key;
	uint8_t nonce[AEAD_NONCE_SIZE];
	struct bytes sealed;
};
struct escrow_place {
	uint32_t number;
	uint64_t version;
	uint8_t version_key[ESCROW_VERSION_KEY_ID];
	uint64_t index;
	uint32_t keys;
};
struct escrow_manifest {
	const char *network, *node;
	uint64_t sequence, made_at;
	struct x25519_public recovery_key;
	char custodians[LIMIT_ESCROW_CUSTODIANS][LIMIT_NODE_NAME + 1];
	size_t custodian_count;
	struct escrow_place *chunks; /* owned; in the order of their numbers */
	size_t chunk_count;
};
void escrow_manifest_release(struct escrow_manifest *manifest); /* NULL and zeroed are fine */

/* The entries. ERR_INVALID: number, version or sequence 0, nothing sealed, names that are none, or
 * chunks out of order. ERR_LIMIT: past LIMIT_ESCROW_CHUNK, _CUSTODIANS, _CHUNKS. */
enum err escrow_chunk_write(
	struct buf *out, const struct escrow_chunk *chunk, const struct signer *node) MUST_USE;
enum err escrow_manifest_write(struct buf *out, const struct escrow_manifest *manifest,
	const struct signer *node) MUST_USE;

/* Told by the first bytes: other entries need not be unpacked. */
bool escrow_chunk_looks_like(struct bytes entry);
bool escrow_manifest_looks_like(struct bytes entry);

/* Parse entry bytes: ERR_NOTFOUND: it does not look like one. ERR_MALFORMED; ERR_UNTRUSTED: not
 * signed by this key (NULL: not looked at); ERR_NOMEM. sealed is a view into the arena, network and
 * node too. */
enum err escrow_chunk_read(struct bytes entry, const struct ed25519_public *node,
	struct arena *arena, struct escrow_chunk *ret, struct errctx *ctx) MUST_USE;
enum err escrow_manifest_read(struct bytes entry, const struct ed25519_public *node,
	struct arena *arena, struct escrow_manifest *ret, struct errctx *ctx) MUST_USE;

#endif
