#include "replication/log/tiles.h"

#include "base/alloc.h"

enum { TILE_HEIGHT = 8 };

unsigned tile_width(struct tile_id id, uint64_t size)
{
	uint64_t hashes, full;

	if (id.level >= TILE_LEVELS)
		return 0;
	hashes = size >> (TILE_HEIGHT * id.level);
	full = hashes / TILE_WIDTH;
	if (id.index < full)
		return TILE_WIDTH;
	return id.index == full ? (unsigned)(hashes % TILE_WIDTH) : 0;
}

/* The root of `count` hashes, a power of two, which are overwritten. */
static void reduce(struct hash *hashes, size_t count, struct hash *ret)
{
	for (; count > 1; count /= 2) {
		for (size_t i = 0; i < count / 2; i++)
			tree_node(&hashes[2 * i], &hashes[2 * i + 1], &hashes[i]);
	}
	*ret = hashes[0];
}

/* Copies hashes [from, to) of a tile. Sources may give more than was asked for, never less. */
static enum err read_hashes(const struct tile_source *source, struct tile_id id, unsigned from,
	unsigned to, struct hash *ret)
{
	struct bytes view;

	TRY(source->read(source->arg, id, to, &view));
	if (view.size < (size_t)to * HASH_SIZE)
		return ERR_CORRUPT;
	memcpy(ret, view.data + (size_t)from * HASH_SIZE, (size_t)(to - from) * HASH_SIZE);
	return OK;
}

/* A node between two tile levels is the root of 2..128 hashes of the tile below it. */
static enum err reader_node(void *arg, unsigned level, uint64_t index, struct hash *ret)
{
	const struct tile_reader *reader = arg;
	unsigned above = level % TILE_HEIGHT, count = 1U << above, from;
	struct hash hashes[TILE_WIDTH / 2];
	struct tile_id id;

	if (level >= TILE_HEIGHT * TILE_LEVELS || index >= LIMIT_LOG_SIZE)
		return ERR_INVALID;
	id.level = level / TILE_HEIGHT;
	id.index = (index << above) / TILE_WIDTH;
	from = (unsigned)((index << above) % TILE_WIDTH);
	if (from + count > tile_width(id, reader->size))
		return ERR_INVALID; /* no such node in a tree of this size */
	TRY(read_hashes(&reader->source, id, from, from + count, hashes));
	reduce(hashes, count, ret);
	return OK;
}

struct tree_source tile_reader_tree(struct tile_reader *reader)
{
	return (struct tree_source){reader_node, reader};
}

struct extension {
	const struct tile_source *source;
	const struct tile_sink *sink;
	unsigned level;
	uint64_t size; /* hashes at this level before */
	struct hash tile[TILE_WIDTH];
};

/* Appends `count` >= 1 hashes to one level. The roots of the tiles that became full are what the
 * level above gets: into ret_roots, which may be `hashes` itself, since a root is written only
 * after more hashes were read than roots were written before it. */
static enum err extend_level(struct extension *x, const struct hash *hashes, size_t count,
	struct hash *ret_roots, size_t *ret_count)
{
	struct tile_id id = {x->level, x->size / TILE_WIDTH};
	unsigned width = (unsigned)(x->size % TILE_WIDTH);
	size_t roots = 0;

	if (width > 0)
		TRY(read_hashes(x->source, id, 0, width, x->tile));
	while (count > 0) {
		size_t taken = TILE_WIDTH - width < count ? TILE_WIDTH - width : count;

		memcpy(&x->tile[width], hashes, taken * sizeof(hashes[0]));
		width += (unsigned)taken;
		hashes += taken;
		count -= taken;
		TRY(x->sink->write(
			x->sink->arg, id, bytes_make(x->tile, (size_t)width * HASH_SIZE)));
		if (width == TILE_WIDTH) {
			reduce(x->tile, TILE_WIDTH, &ret_roots[roots++]);
			id.index++;
			width = 0;
		}
	}
	*ret_count = roots;
	return OK;
}

enum err tiles_extend(const struct tile_source *source, uint64_t size, const struct hash *leaves,
	size_t count, const struct tile_sink *sink)
{
	CLEANUP(mem_free_p) struct extension *x = NULL;
	CLEANUP(mem_free_p) struct hash *roots = NULL;
	const struct hash *hashes = leaves;

	if (size > LIMIT_LOG_SIZE || count > LIMIT_LOG_SIZE - size)
		return ERR_LIMIT;
	x = mem_zalloc(sizeof(*x));
	roots = mem_array(count / TILE_WIDTH + 1, sizeof(*roots));
	if (x == NULL || roots == NULL)
		return ERR_NOMEM;
	x->source = source;
	x->sink = sink;
	x->size = size;
	while (count > 0) {
		TRY(extend_level(x, hashes, count, roots, &count));
		hashes = roots;
		x->level++;
		x->size /= TILE_WIDTH;
	}
	return OK;
}
