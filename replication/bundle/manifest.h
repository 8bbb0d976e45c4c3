/*
 * The head of a bundle: "sauti bundle 1\n", then one Bundle message (proto/bundle.proto) with the
 * manifest, signed by the key that would have opened a session: the node's TLS key, which is there
 * at boot and stands in the directory. The signature says who made the bundle, nothing else: every
 * entry is proven for itself.
 *
 * Pure; nothing is kept but what the caller owns.
 */
#ifndef REPLICATION_BUNDLE_MANIFEST_H
#define REPLICATION_BUNDLE_MANIFEST_H

#include "certs/x509.h"
#include "replication/log/checkpoint.h"

#define BUNDLE_MAGIC "sauti bundle 1\n"
enum { BUNDLE_SET_SIZE = 16, BUNDLE_MAGIC_SIZE = sizeof(BUNDLE_MAGIC) - 1 };
enum { BUNDLE_SEGMENT_SIZE = 4 + HASH_SIZE }; /* as it is written */

struct bundle_log {
	struct origin origin;
	struct ed25519_public key;
	uint64_t from, to; /* entries of this part */
	uint64_t size;     /* of the checkpoint they lead to */
};

/* A run of whole frames. */
struct bundle_segment {
	uint32_t size; /* bytes, headers included */
	struct hash sha256;
};

struct bundle_manifest {
	char network[LIMIT_NETWORK_NAME + 1], node[LIMIT_NODE_NAME + 1];
	uint64_t made_at;
	char for_node[LIMIT_NODE_NAME + 1]; /* "" */
	uint8_t set[BUNDLE_SET_SIZE];
	uint32_t part, parts;
	struct bundle_log *logs; /* owned */
	size_t log_count;
	struct bundle_segment *segments; /* owned */
	size_t segment_count;
	/* When read. */
	bool signed_ok; /* by the key below */
	struct hash tls_spki;
};
void bundle_manifest_release(struct bundle_manifest *manifest);

/* Appends magic and head, filled up to exactly `size` bytes unless that is 0. ERR_LIMIT: it does
 * not fit; ERR_INVALID for what bundle_manifest_read would refuse; ERR_CRYPTO, ERR_NOMEM. */
enum err bundle_manifest_write(struct buf *out, const struct bundle_manifest *manifest,
	struct bytes tls_key, size_t size) MUST_USE;
/* At least how large that is without padding, and at most, for so many logs and segments. */
size_t bundle_manifest_size_max(size_t logs, size_t segments);

/* `message`: behind magic and length. A signature that does not fit is no error here: signed_ok.
 * ERR_MALFORMED, ERR_LIMIT, ERR_NOMEM. */
enum err bundle_manifest_read(
	struct bytes message, struct bundle_manifest *ret, struct errctx *ctx) MUST_USE;

/* The segments of a part, as its frames come. */
struct bundle_segments {
	struct bundle_segment *list;
	size_t count, capacity;
	uint32_t size_min; /* a segment ends behind the frame with which it reaches that */
	uint32_t size;     /* of the one that is not closed yet */
	struct sha256_stream *sha256;
};
enum err bundle_segments_init(struct bundle_segments *segments, uint32_t size_min) MUST_USE;
void bundle_segments_release(struct bundle_segments *segments);
/* ERR_LIMIT past LIMIT_BUNDLE_SEGMENTS. */
enum err bundle_segments_put(struct bundle_segments *segments, struct bytes frame) MUST_USE;
enum err bundle_segments_end(struct bundle_segments *segments) MUST_USE; /* of the part */

#endif
