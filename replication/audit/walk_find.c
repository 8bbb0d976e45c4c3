/*
 * Who is to blame when entries, tiles and the signed root do not fit together.
 *
 * Happy path of a search: the tiles of the right edge make the signed root, so they are what was
 * signed; the first of their hashes that the entries do not make stands for a subtree with a bad
 * entry; its tile, if it makes that hash, is what was signed, too; and so on down to a leaf.
 *
 * It ends early where a tile is wrong as well: then the finding has the first entry of the range.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "replication/audit/walk_internal.h"

/* Entries [first, end). */
struct range {
	uint64_t first, end;
};

struct finder {
	struct walk *walk;
	bool edge_ok; /* the tiles of the right edge make the signed root */
	struct hash edge[TILE_LEVELS][TILE_WIDTH];
	unsigned width[TILE_LEVELS];
	struct hash tile[TILE_WIDTH]; /* the last full one that was read */
	struct walk_block *block;
	/* Of the search. */
	bool searched;
	struct range bad;
};

static struct range range_of(unsigned level, uint64_t index)
{
	return (struct range){index << (8 * level), (index + 1) << (8 * level)};
}

/* --- what was signed --- */

/* The first `width` hashes of a tile; *ret false: they cannot be had. A source that fails now must
 * not hide what was found already. */
static enum err read_tile(
	struct finder *f, struct tile_id id, unsigned width, struct hash *ret_hashes, bool *ret)
{
	struct tlog_file file = {TLOG_TILE, id, width};
	struct buf *buf = &f->walk->tile;
	bool wider;
	enum err err = walk_file(f->walk, &file, buf, &wider, NULL);

	if (err == ERR_NOMEM)
		return err;
	*ret = err == OK && buf->size >= width * sizeof(*ret_hashes);
	if (*ret)
		memcpy(ret_hashes, buf->data, width * sizeof(*ret_hashes));
	return OK;
}

static enum err load_edge(struct finder *f)
{
	const struct checkpoint *signed_ = f->walk->opts.checkpoint;
	struct compact tree = {.size = signed_->size};
	bool there = f->walk->opts.source->tiles;
	struct hash root;
	size_t count = 0;

	for (unsigned level = TILE_LEVELS; level-- > 0 && there;) {
		struct tile_id id = {level, signed_->size >> (8 * level) >> 8};
		struct compact part;

		f->width[level] = tile_width(id, signed_->size);
		if (f->width[level] == 0)
			continue;
		TRY(read_tile(f, id, f->width[level], f->edge[level], &there));
		compact_init(&part);
		for (unsigned i = 0; i < f->width[level] && there; i++)
			compact_append(&part, &f->edge[level][i]);
		for (int i = 0; i < __builtin_popcount(f->width[level]) && there; i++)
			tree.peaks[count++] = part.peaks[i];
	}
	if (!there)
		return OK;
	compact_root(&tree, &root);
	f->edge_ok = hash_equal(&root, &signed_->root);
	return OK;
}

/* Hash number `index` of a level, as it was signed; *ret false: no tile says it that fits to the
 * root. Its tile stays in f->tile when it is a full one. */
static enum err signed_hash(
	struct finder *f, unsigned level, uint64_t index, struct hash *ret_hash, bool *ret)
{
	uint64_t size = f->walk->opts.checkpoint->size;
	struct hash hash, above;
	unsigned at = level;

	*ret = f->edge_ok;
	while (*ret && index >> (8 * (at - level)) >> 8 < size >> (8 * at) >> 8)
		at++;
	if (*ret)
		hash = f->edge[at][(index >> (8 * (at - level))) % TILE_WIDTH];
	while (*ret && at > level) {
		uint64_t child = index >> (8 * (--at - level));
		struct tile_id id = {at, child / TILE_WIDTH};

		TRY(read_tile(f, id, TILE_WIDTH, f->tile, ret));
		if (!*ret)
			break;
		walk_reduce(f->tile, &above);
		*ret = hash_equal(&above, &hash);
		hash = f->tile[child % TILE_WIDTH];
	}
	if (*ret)
		*ret_hash = hash;
	return OK;
}

/* --- what the entries make, once more --- */

static enum err hash_block(struct finder *f, uint64_t n, unsigned width, bool *ret)
{
	f->block->first = n * TILE_WIDTH;
	f->block->width = width;
	f->block->skip = 0;
	walk_read(f->walk, f->block);
	walk_hash(f->walk, f->block);
	*ret = f->block->entries_err == OK && f->block->count == width;
	return f->block->entries_err == ERR_NOMEM ? ERR_NOMEM : OK;
}

/* Hash number `index` of a level above 0, by its entries. */
static enum err made_hash(
	struct finder *f, unsigned level, uint64_t index, struct hash *ret_hash, bool *ret)
{
	struct range range = range_of(level - 1, index * TILE_WIDTH);
	uint64_t blocks = UINT64_C(1) << (8 * (level - 1));
	struct compact tree;

	compact_init(&tree);
	*ret = true;
	for (uint64_t n = 0; n < blocks && *ret; n++) {
		TRY(hash_block(f, range.first / TILE_WIDTH + n, TILE_WIDTH, ret));
		if (*ret)
			compact_append_node(&tree, 8, &f->block->root);
	}
	if (*ret)
		*ret_hash = tree.peaks[0];
	return OK;
}

/* --- the search --- */

/* The first hash of the right edge that the entries do not make. */
static enum err find_top(struct finder *f, unsigned *ret_level, uint64_t *ret_index, bool *ret)
{
	uint64_t size = f->walk->opts.checkpoint->size;

	*ret = false;
	for (unsigned level = TILE_LEVELS; level-- > 0;) {
		const struct hash *made = f->walk->levels[level].hash;
		uint64_t first = size >> (8 * level) >> 8 << 8;
		bool there = !f->walk->levels[level].blind;

		if (f->width[level] == 0)
			continue;
		if (level == 0) {
			TRY(hash_block(f, first / TILE_WIDTH, f->width[0], &there));
			made = f->block->leaf;
		}
		for (unsigned i = 0; i < f->width[level] && there && !*ret; i++) {
			*ret = !hash_equal(&made[i], &f->edge[level][i]);
			*ret_level = level;
			*ret_index = first + i;
		}
		if (*ret)
			break;
	}
	return OK;
}

/* One level down: the first child of this subtree that the entries do not make. *ret false: its
 * tile is wrong as well, or the entries are right after all. */
static enum err find_child(struct finder *f, unsigned level, uint64_t *index, bool *ret)
{
	uint64_t first = *index * TILE_WIDTH;
	struct hash tile[TILE_WIDTH], hash;

	TRY(signed_hash(f, level - 1, first, &hash, ret));
	if (!*ret)
		return OK;
	memcpy(tile, f->tile, sizeof(tile));
	if (level == 1)
		TRY(hash_block(f, *index, TILE_WIDTH, ret));
	for (unsigned i = 0; i < TILE_WIDTH && *ret; i++) {
		if (level == 1)
			hash = f->block->leaf[i];
		else
			TRY(made_hash(f, level - 1, first + i, &hash, ret));
		if (*ret && !hash_equal(&hash, &tile[i])) {
			*index = first + i;
			return OK;
		}
	}
	*ret = false;
	return OK;
}

/* ret_found false: nothing can be told from the tiles. */
static enum err search(struct finder *f, bool *ret_found)
{
	unsigned level = 0;
	uint64_t index = 0;
	bool found = f->edge_ok;

	if (found)
		TRY(find_top(f, &level, &index, &found));
	*ret_found = found;
	while (found && level > 0) {
		TRY(find_child(f, level, &index, &found));
		level -= found;
	}
	if (*ret_found)
		f->bad = range_of(level, index);
	return OK;
}

/* --- telling --- */

/* Only after a search that ended at a leaf: its block is in hand. */
static struct bytes entry_of(const struct finder *f)
{
	struct bytes rest = buf_bytes(&f->block->entries), entry = BYTES_NONE;

	for (uint64_t i = f->block->first; i <= f->bad.first && rest.size >= 2; i++) {
		size_t size = get_u16be(rest.data);

		if (size > rest.size - 2)
			return BYTES_NONE;
		entry = bytes_make(rest.data + 2, size);
		rest = bytes_make(rest.data + 2 + size, rest.size - 2 - size);
	}
	return entry;
}

static enum err tell_found(struct finder *f)
{
	struct walk_tell tell = {FINDING_ENTRY_CHANGED, true, f->bad.first, {{0}}};
	unsigned long long first = f->bad.first, last = f->bad.end - 1;

	if (first == last) {
		tell.proofs[0] = (struct finding_proof){"entry", entry_of(f), false};
		if (f->edge_ok)
			tell.proofs[1] =
				(struct finding_proof){"tile", buf_bytes(&f->block->tile), false};
		return walk_tell(
			f->walk, &tell, "entry %llu is not the one that was signed", first);
	}
	return walk_tell(f->walk, &tell,
		"one of the entries %llu to %llu is not the one that was signed; which of them the "
		"tiles do not say: they are changed as well",
		first, last);
}

static enum err tell_lost(struct finder *f)
{
	const struct walk *walk = f->walk;
	struct walk_tell tell = {FINDING_ROOT_DIFFERS, true, walk->result.from, {{0}}};

	if (walk->odd_count > 0 && walk->odd[0].kind == WALK_ODD_HASHES) {
		tell.index = walk->odd[0].index;
		return walk_tell(f->walk, &tell,
			"the entries do not make the signed root, nor do the tiles; they first "
			"contradict each other at entry %llu",
			(unsigned long long)tell.index);
	}
	return walk_tell(f->walk, &tell, "the entries do not make the signed root%s",
		walk->opts.source->tiles ? ", nor do the tiles, which agree with them" : "");
}

/* Is the tile wrong, when it differs from entries of which not all are right? */
static enum err is_tile_wrong(struct finder *f, const struct walk_odd *odd, bool *ret)
{
	struct tile_id id = odd->file.id;
	struct hash hash, made;
	bool known = false;

	*ret = odd->kind != WALK_ODD_HASHES;
	if (*ret || odd->file.width < TILE_WIDTH || odd->computed.size < TILE_SIZE)
		return OK;
	if (f->searched && range_of(id.level + 1, id.index).end <= f->bad.first) {
		*ret = true;
		return OK;
	}
	TRY(signed_hash(f, id.level + 1, id.index, &hash, &known));
	memcpy(f->tile, odd->computed.data, TILE_SIZE);
	walk_reduce(f->tile, &made);
	*ret = known && hash_equal(&hash, &made);
	return OK;
}

static enum err tell_tile(struct finder *f, const struct walk_odd *odd)
{
	struct walk_tell tell = {FINDING_TILE_CHANGED, true, odd->index,
		{{"tile", buf_bytes(&odd->tile), false},
			{"tile as the entries make it", buf_bytes(&odd->computed), false}}};
	unsigned long long index = odd->index;
	char path[TLOG_PATH_SIZE];

	tlog_path_format(&odd->file, path);
	switch (odd->kind) {
	case WALK_ODD_MISSING:
		tell.kind = FINDING_FILE_MISSING;
		return walk_tell(f->walk, &tell, "'%s' is not there", path);
	case WALK_ODD_SHAPE:
		return walk_tell(
			f->walk, &tell, "'%s' is no tile of %u hashes", path, odd->file.width);
	case WALK_ODD_OLD:
		return walk_tell(f->walk, &tell,
			"'%s' is not what it was at the last visit, before entry %llu", path,
			(unsigned long long)f->walk->result.from);
	default:
		return walk_tell(f->walk, &tell,
			"'%s': hash %u is not what the entries from %llu on make", path, odd->at,
			index);
	}
}

static enum err tell_tiles(struct finder *f, bool root_ok)
{
	const struct walk *walk = f->walk;
	struct walk_tell tell = {FINDING_TILE_CHANGED, false, 0, {{0}}};
	uint64_t more = walk->odd_total - walk->odd_count;

	for (size_t i = 0; i < walk->odd_count; i++) {
		bool wrong = root_ok && !walk->stopped;

		if (!wrong)
			TRY(is_tile_wrong(f, &walk->odd[i], &wrong));
		if (wrong)
			TRY(tell_tile(f, &walk->odd[i]));
		more += !wrong && walk->stopped;
	}
	if (more == 0)
		return OK;
	return walk_tell(f->walk, &tell, "%llu more tiles and their entries contradict each other",
		(unsigned long long)more);
}

/* --- of the last visit --- */

static enum err signed_tile(void *arg, struct tile_id id, unsigned width, struct bytes *ret)
{
	struct finder *f = arg;
	struct hash hash;
	bool known = false;

	TRY(signed_hash(f, id.level, id.index * TILE_WIDTH, &hash, &known));
	if (!known)
		return ERR_PROOF;
	*ret = bytes_make(f->tile, sizeof(f->tile));
	if (tile_width(id, f->walk->opts.checkpoint->size) < TILE_WIDTH)
		*ret = bytes_make(f->edge[id.level], width * sizeof(f->tile[0]));
	return OK;
}

/* Are the signed tree's first entries those of the last visit? If its tiles say something else,
 * there are two histories. */
static enum err find_fork(struct finder *f, bool *ret)
{
	struct tile_reader reader = {{signed_tile, f}, f->walk->opts.checkpoint->size};
	const struct tree_source source = tile_reader_tree(&reader);
	const struct compact *from = f->walk->opts.from;
	struct walk_tell tell = {FINDING_FORK, true, 0, {{0}}};
	unsigned n = 0;

	*ret = false;
	for (unsigned level = 64; level-- > 0 && !*ret;) {
		uint64_t here = from->size >> level;
		struct hash hash;
		enum err err;

		if (!(here & 1))
			continue;
		err = source.node(source.arg, level, here - 1, &hash);
		if (err == ERR_NOMEM)
			return err;
		*ret = err == OK && !hash_equal(&hash, &from->peaks[n]);
		tell.index = (here - 1) << level;
		n++;
	}
	if (!*ret && from->size == f->walk->opts.checkpoint->size) {
		*ret = true; /* two roots of one size: no tile need say so */
		tell.has_index = false;
	}
	return *ret ? walk_tell(f->walk, &tell,
			      "the first %llu entries that are signed are not those of the last "
			      "visit",
			      (unsigned long long)from->size)
		    : OK;
}

/* The file of entries in which the last visit ended is not what it was, and what is signed is. */
static enum err tell_old(struct finder *f)
{
	struct walk *walk = f->walk;
	unsigned long long from = walk->result.from, first = from - from % TILE_WIDTH;
	struct walk_tell tell = {FINDING_ENTRY_CHANGED, true, first, {{0}}};

	return walk_tell(walk, &tell,
		"one of the entries %llu to %llu is not what it was at the last visit", first,
		from - 1);
}

static enum err judge(struct finder *f, bool root_ok)
{
	struct walk *walk = f->walk;
	bool forked = false;

	if (!root_ok || walk->stopped)
		TRY(load_edge(f));
	if (!root_ok && walk->opts.from != NULL && walk->opts.from->size > 0)
		TRY(find_fork(f, &forked));
	if (forked)
		return OK;
	if (walk->old_differs)
		TRY(tell_old(f));
	if (!root_ok) {
		TRY(search(f, &f->searched));
		TRY(f->searched ? tell_found(f) : tell_lost(f));
	}
	return tell_tiles(f, root_ok);
}

enum err walk_judge(struct walk *walk, bool root_ok)
{
	struct finder *f;
	enum err err;

	if (root_ok && walk->odd_total == 0 && !walk->old_differs)
		return OK;
	f = mem_zalloc(sizeof(*f));
	if (f == NULL)
		return ERR_NOMEM;
	f->walk = walk;
	err = walk_block_new(&f->block);
	if (err == OK)
		err = judge(f, root_ok);
	walk_block_free(f->block);
	mem_free(f);
	return err;
}
