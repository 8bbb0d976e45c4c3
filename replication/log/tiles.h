/*
 * tiles: the tree cut into C2SP tlog-tiles of height 8. Tile (level, index) holds up to 256 hashes;
 * hash i of tile n at level l is the root of leaves [(n*256+i) << 8l, (n*256+i+1) << 8l). Only full
 * tiles are hashed upwards; an empty tile does not exist. Partial tiles are stored under the same
 * id and only ever grow.
 */
#ifndef REPLICATION_LOG_TILES_H
#define REPLICATION_LOG_TILES_H

#include "replication/log/tree.h"

enum { TILE_WIDTH = 256, TILE_SIZE = TILE_WIDTH * HASH_SIZE, TILE_LEVELS = 7 };

struct tile_id {
	unsigned level;
	uint64_t index;
};

/* How many hashes tile `id` has in a tree of that size (0: it does not exist). */
unsigned tile_width(struct tile_id id, uint64_t size);

/* Reads the first `width` hashes of a stored tile (the stored one may be wider); the view is valid
 * until the next call. ERR_NOTFOUND, ERR_CORRUPT (narrower), ERR_IO.. */
struct tile_source {
	enum err (*read)(void *arg, struct tile_id id, unsigned width, struct bytes *ret);
	void *arg;
};

/* A tree_source over tiles for a tree of `size` leaves: asks for no more of a tile than it needs.
 * ERR_INVALID for a node that such a tree does not have, or the source's error. */
struct tile_reader {
	struct tile_source source;
	uint64_t size;
};
struct tree_source tile_reader_tree(struct tile_reader *reader);

/* Extends the tiles of a tree of `size` leaves by `count` leaf hashes: reads the partial tiles at
 * the right edge and hands every changed tile, whole, to write, lowest level first, each once. What
 * write gets is valid for the call. Takes 32 bytes of memory per 256 leaves. ERR_LIMIT past
 * LIMIT_LOG_SIZE, ERR_NOMEM, or an error of source or sink. */
struct tile_sink {
	enum err (*write)(void *arg, struct tile_id id, struct bytes hashes);
	void *arg;
};
enum err tiles_extend(const struct tile_source *source, uint64_t size, const struct hash *leaves,
	size_t count, const struct tile_sink *sink) MUST_USE;

#endif
