#include "cli/audit/tiles.h"

#include "replication/log/tlog_path.h"

static enum err read_tile(void *arg, struct tile_id id, unsigned width, struct bytes *ret)
{
	struct audit_tiles *tiles = arg;
	struct tlog_file file = {
		.kind = TLOG_TILE, .id = id, .width = tile_width(id, tiles->reader.size)};
	struct buf *bytes = &tiles->last[id.level].bytes;
	char path[TLOG_PATH_SIZE];

	if (file.width < width)
		return ERR_CORRUPT;
	if (!tiles->last[id.level].there || tiles->last[id.level].index != id.index) {
		tiles->last[id.level].there = false;
		buf_clear(bytes);
		tlog_path_format(&file, path);
		TRY(tiles->source->read(
			tiles->source->arg, tiles->name, path, TILE_SIZE, bytes, NULL));
		if (bytes->size != (size_t)file.width * HASH_SIZE)
			return ERR_CORRUPT;
		tiles->last[id.level].there = true;
		tiles->last[id.level].index = id.index;
	}
	*ret = buf_bytes(bytes);
	return OK;
}

void audit_tiles_init(struct audit_tiles *tiles, const struct audit_source *source,
	const char *name, uint64_t size)
{
	*tiles = (struct audit_tiles){.source = source, .name = name};
	tiles->reader = (struct tile_reader){{read_tile, tiles}, size};
	for (unsigned i = 0; i < TILE_LEVELS; i++)
		buf_init(&tiles->last[i].bytes, TILE_SIZE + 1);
}

void audit_tiles_release(struct audit_tiles *tiles)
{
	for (unsigned i = 0; i < TILE_LEVELS; i++)
		buf_release(&tiles->last[i].bytes);
}

struct tree_source audit_tiles_tree(struct audit_tiles *tiles)
{
	return tile_reader_tree(&tiles->reader);
}
