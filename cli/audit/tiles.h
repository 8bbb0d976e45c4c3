/*
 * audit_tiles: the tree of a log out of a source's tiles, for proofs. Nothing of it is believed:
 * whoever asks verifies the proof that is made of it.
 */
#ifndef CLI_AUDIT_TILES_H
#define CLI_AUDIT_TILES_H

#include "replication/audit/source.h"
#include "replication/log/tiles.h"

struct audit_tiles {
	const struct audit_source *source;
	const char *name; /* of the log, as the source has it */
	struct tile_reader reader;
	struct {
		struct buf bytes;
		uint64_t index;
		bool there;
	} last[TILE_LEVELS]; /* one tile of each level */
};

/* source and name stay valid. size: of the tree. */
void audit_tiles_init(struct audit_tiles *tiles, const struct audit_source *source,
	const char *name, uint64_t size);
void audit_tiles_release(struct audit_tiles *tiles);
/* Valid as long as tiles are. Its errors are those of the source; ERR_CORRUPT: a tile of another
 * size than it must have. */
struct tree_source audit_tiles_tree(struct audit_tiles *tiles);

#endif
