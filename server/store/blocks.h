/*
 * blocks: a log as an export reads it: 256 entries at a time, each checked against its stored leaf
 * hash, and the tiles above them. Each call is one short read transaction, everything is copied
 * out. Errors as store.h; ERR_CORRUPT says in ctx which entry or tile is wrong.
 */
#ifndef SERVER_STORE_BLOCKS_H
#define SERVER_STORE_BLOCKS_H

#include "replication/log/tiles.h"
#include "server/store/store.h"

/* The largest entry bundle: 256 of the largest entries, each behind its length. */
enum { STORE_BLOCK_SIZE_MAX = TILE_WIDTH * (2 + LIMIT_ENTRY_SIZE) };

/* Entries [256 * index, 256 * index + width) as a tlog-tiles entry bundle (u16be length, then the
 * entry), appended to out, and their leaf hashes, hashed anew. ERR_CORRUPT: an entry is missing,
 * or does not match its stored hash; *ret_bad is then its index. */
enum err store_block(struct store *store, const struct origin *origin, uint64_t index,
	unsigned width, struct buf *out, struct hash ret_leaves[TILE_WIDTH], uint64_t *ret_bad,
	struct errctx *ctx) MUST_USE;

/* The first `width` hashes of a stored tile. */
enum err store_tile(struct store *store, const struct origin *origin, struct tile_id id,
	unsigned width, struct hash *ret, struct errctx *ctx) MUST_USE;

/* What the stored tiles say of the log at two sizes, 1 <= first <= second <= size held: its roots,
 * and that one leads to the other. No entry is looked at. ERR_INVALID for other sizes. */
struct store_roots {
	struct hash first, second;
	struct proof proof;
};
enum err store_roots(struct store *store, const struct origin *origin, uint64_t first,
	uint64_t second, struct store_roots *ret, struct errctx *ctx) MUST_USE;

#endif
