/*
 * genesis: the node's trust anchor and the directory as it was at init or join: the file `genesis`
 * (proto/stored.proto). The directory's checkpoint key is taken on trust once, from the token or
 * from one's own init; everything else in the file is verified against it at every read:
 *
 *   - the checkpoint is signed by that key, for that origin, of that network;
 *   - the entries are exactly as many as its size, and hash to its root;
 *   - when a known earlier (size, root) is given, the entries up to there hash to that root: the
 *     history was only added to;
 *   - folded (certs/directory.h), the directory names the network's root certificate, and its own
 *     LogOpened gives that origin and that key.
 */
#ifndef NODE_GENESIS_H
#define NODE_GENESIS_H

#include "certs/directory.h"
#include "node/files.h"
#include "replication/log/checkpoint.h"
#include "replication/log/entries.h"

enum { GENESIS_VERSION = 1, GENESIS_SIZE_MAX = LIMIT_FRAME_SIZE + 4096 };

struct genesis {
	char network[LIMIT_NETWORK_NAME + 1];
	struct origin origin; /* of the directory's log */
	struct ed25519_public key;
	struct checkpoint checkpoint; /* as verified */
	struct buf note;              /* the signed checkpoint */
	struct entries *entries;      /* one reference */
	struct directory *directory;  /* the fold of all entries */
};
void genesis_release(struct genesis *genesis); /* NULL and zeroed ones are fine */

/* Foreign parts, all borrowed for the call. */
struct genesis_parts {
	const char *network;
	const char *origin;
	const struct ed25519_public *key;
	struct bytes checkpoint;
	const struct bytes *entries;
	size_t count;
	uint64_t known_size; /* 0: nothing known before */
	struct hash known_root;
};
/* Verifies as above. ERR_UNTRUSTED (signature), ERR_PROOF (root, known root, count), ERR_MALFORMED,
 * ERR_LIMIT, ERR_NOMEM. */
enum err genesis_make(
	const struct genesis_parts *parts, struct genesis *ret, struct errctx *ctx) MUST_USE;

/* The file's bytes, and back. Reading: errors of genesis_make, ERR_VERSION. */
enum err genesis_pack(const struct genesis *genesis, struct buf *out) MUST_USE;
enum err genesis_unpack(struct bytes file, struct genesis *ret, struct errctx *ctx) MUST_USE;

/* Both with the file; the path stands in every error. A file that does not verify is
 * ERR_CORRUPT. */
enum err genesis_save(const struct genesis *genesis, const char *path, struct errctx *ctx) MUST_USE;
enum err genesis_load(const char *path, struct genesis *ret, struct errctx *ctx) MUST_USE;

#endif
