/*
 * Happy path: for each file of entries its leaf hashes (walk_hash) and, in order (walk_take), the
 * comparison with its tile of level 0, the block's root into the compact range and into the tile
 * above, which is compared when it is full; at the end the partial tiles, and the root (walk_end).
 *
 * What can be wrong: a file that is not there or is of another length; a tile that is not what the
 * entries make; a root that is not the signed one: then the first bad entry is looked for
 * (walk_find.c).
 */
#include "replication/audit/walk_internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/cursor.h"

/* --- blocks: any thread --- */

enum err walk_block_new(struct walk_block **ret)
{
	struct walk_block *block = mem_zalloc(sizeof(*block));

	if (block == NULL)
		return ERR_NOMEM;
	buf_init(&block->entries, SOURCE_ENTRIES_MAX + 1);
	buf_init(&block->tile, TILE_SIZE + 1);
	*ret = block;
	return OK;
}

void walk_block_free(struct walk_block *block)
{
	if (block == NULL)
		return;
	buf_release(&block->entries);
	buf_release(&block->tile);
	mem_free(block);
}

size_t walk_block_trim(struct walk_block *block, size_t keep)
{
	size_t size = block->entries.size;

	if (block->entries.capacity > keep)
		buf_release(&block->entries);
	return size;
}

enum err walk_file(const struct walk *walk, const struct tlog_file *file, struct buf *out,
	bool *ret_wider, struct errctx *ctx)
{
	return source_file(walk->opts.source, walk->opts.origin, file, out, ret_wider, ctx);
}

void walk_read(const struct walk *walk, struct walk_block *block)
{
	struct tlog_file file = {TLOG_ENTRIES, {0, block->first / TILE_WIDTH}, block->width};
	bool wider;

	block->tile_err = OK;
	block->entries_err =
		walk_file(walk, &file, &block->entries, &block->wider, &block->entries_ctx);
	if (block->entries_err != OK || !walk->opts.source->tiles)
		return;
	file.kind = TLOG_TILE;
	block->tile_err = walk_file(walk, &file, &block->tile, &wider, &block->tile_ctx);
	if (wider && block->tile.size > block->width * HASH_SIZE)
		block->tile.size = block->width * HASH_SIZE;
}

void walk_leaves(struct bytes file, unsigned count, struct hash *ret_leaves, unsigned *ret_count,
	size_t *ret_rest)
{
	struct cursor cursor = cursor_make(file);
	unsigned n;

	assert(count <= TILE_WIDTH);
	for (n = 0; n < count; n++) {
		struct bytes entry = cursor_lv16(&cursor);

		if (cursor.err != OK || entry.size == 0)
			break;
		tree_leaf(entry, &ret_leaves[n]);
	}
	*ret_count = n;
	*ret_rest = n < count ? 0 : cursor.rest.size;
}

void walk_reduce(const struct hash hashes[TILE_WIDTH], struct hash *ret)
{
	struct hash half[TILE_WIDTH / 2];

	for (size_t i = 0; i < TILE_WIDTH / 2; i++)
		tree_node(&hashes[2 * i], &hashes[2 * i + 1], &half[i]);
	for (size_t count = TILE_WIDTH / 4; count > 0; count /= 2)
		for (size_t i = 0; i < count; i++)
			tree_node(&half[2 * i], &half[2 * i + 1], &half[i]);
	*ret = half[0];
}

void walk_hash(const struct walk *walk, struct walk_block *block)
{
	(void)walk;
	block->count = 0;
	block->rest = 0;
	if (block->entries_err != OK)
		return;
	walk_leaves(buf_bytes(&block->entries), block->width - block->lack,
		block->leaf + block->lack, &block->count, &block->rest);
	block->count += block->lack;
	if (block->count == TILE_WIDTH && block->lack == 0)
		walk_reduce(block->leaf, &block->root);
}

/* --- what is wrong --- */

void walk_bad(struct walk *walk, uint64_t index)
{
	if (!walk->result.has_bad || index < walk->result.bad)
		walk->result.bad = index;
	walk->result.has_bad = true;
}

enum err walk_tell(struct walk *walk, const struct walk_tell *tell, const char *format, ...)
{
	CLEANUP(mem_free_p) struct finding *finding = mem_zalloc(sizeof(*finding));
	va_list list;

	if (finding == NULL)
		return ERR_NOMEM;
	finding->kind = tell->kind;
	finding->has_index = tell->has_index;
	finding->index = tell->index;
	snprintf(finding->origin, sizeof(finding->origin), "%s", walk->opts.origin);
	va_start(list, format);
	vsnprintf(finding->text, sizeof(finding->text), format, list);
	va_end(list);
	for (size_t i = 0; i < WALK_PROOFS; i++)
		if (tell->proofs[i].data.size > 0)
			finding->proofs[finding->proof_count++] = tell->proofs[i];
	if (walk->opts.note.size > 0)
		finding->proofs[finding->proof_count++] =
			(struct finding_proof){"checkpoint", walk->opts.note, false};
	if (finding_kind_severity(finding->kind) == FINDING_VIOLATION)
		walk->unsound = true;
	if (tell->has_index)
		walk_bad(walk, tell->index);
	return findings_add(walk->opts.findings, finding);
}

/* Of a file that cannot be had: is it the log's fault, or could it not be looked at? */
static bool is_missing(enum err err)
{
	return err == ERR_NOTFOUND || err == ERR_LIMIT || err == ERR_INVALID;
}

static const char *how_missing(enum err err)
{
	return err == ERR_NOTFOUND ? "is not there"
	       : err == ERR_LIMIT  ? "is larger than it can be"
				   : "is no regular file";
}

/* The walk cannot go on: of what follows nothing is known. */
static enum err stop(struct walk *walk, enum finding_kind kind, uint64_t index, const char *path,
	const char *how)
{
	const struct walk_tell tell = {kind, true, index, {{0}}};

	walk->stopped = true;
	return walk_tell(walk, &tell, "entry %llu: '%s' %s; what is behind it was not looked at",
		(unsigned long long)index, path, how);
}

/* A length that was changed shows only where the file breaks off; its tile, as far as it goes,
 * says which entry it is. */
static unsigned broken_at(const struct walk_block *block)
{
	unsigned at = 0;

	if (block->tile_err != OK)
		return block->count;
	while (at < block->count && (at + 1) * sizeof(block->leaf[0]) <= block->tile.size &&
		memcmp(block->tile.data + at * HASH_SIZE, block->leaf[at].b, HASH_SIZE) == 0)
		at++;
	return at;
}

/* --- tiles --- */

/* Keeps it until it is known whether tile or entries are wrong. */
static enum err differs(struct walk *walk, const struct tlog_file *file, enum walk_odd_kind kind,
	unsigned at, struct bytes tile, const struct hash *computed)
{
	struct walk_odd *odd;

	walk->odd_total++;
	if (walk->odd_count == WALK_ODD_MAX)
		return OK;
	odd = &walk->odd[walk->odd_count];
	*odd = (struct walk_odd){.kind = kind, .file = *file, .at = at};
	odd->index = (file->id.index * TILE_WIDTH + at) << (8 * file->id.level);
	buf_init(&odd->tile, TILE_SIZE + 1);
	buf_init(&odd->computed, TILE_SIZE);
	buf_put(&odd->tile, tile);
	if (computed != NULL)
		buf_put(&odd->computed, bytes_make(computed, (size_t)file->width * HASH_SIZE));
	walk->odd_count++;
	return odd->tile.err != OK ? odd->tile.err : odd->computed.err;
}

/* read: how the reading of it went. ret_same: it is what was computed. */
static enum err compare(struct walk *walk, const struct tlog_file *file, enum err read,
	struct bytes tile, const struct hash *computed, const struct errctx *why,
	struct errctx *ctx)
{
	size_t size = (size_t)file->width * HASH_SIZE;
	unsigned at = 0;

	if (read != OK && !is_missing(read))
		return err_set(ctx, read, "%s", err_message(why, read));
	if (read != OK)
		return differs(walk, file, read == ERR_NOTFOUND ? WALK_ODD_MISSING : WALK_ODD_SHAPE,
			0, BYTES_NONE, computed);
	if (tile.size != size)
		return differs(walk, file, WALK_ODD_SHAPE, 0, tile, computed);
	if (memcmp(tile.data, computed, size) == 0)
		return OK;
	while (memcmp(tile.data + (size_t)at * HASH_SIZE, computed[at].b, HASH_SIZE) == 0)
		at++;
	return differs(walk, file, WALK_ODD_HASHES, at, tile, computed);
}

static enum err compare_level(struct walk *walk, unsigned level, struct errctx *ctx)
{
	const struct walk_level *tile = &walk->levels[level];
	struct tlog_file file = {TLOG_TILE, {level, tile->index}, tile->width};
	struct errctx why = {""};
	bool wider;
	enum err err;

	if (tile->blind)
		return OK;
	err = walk_file(walk, &file, &walk->tile, &wider, &why);
	if (err == ERR_NOMEM)
		return err;
	if (wider && walk->tile.size > (size_t)file.width * HASH_SIZE)
		walk->tile.size = (size_t)file.width * HASH_SIZE;
	return compare(walk, &file, err, buf_bytes(&walk->tile), tile->hash, &why, ctx);
}

/* A hash more for the tile of a level; NULL: it is not known. Full ones go on upwards. */
static enum err push(struct walk *walk, const struct hash *hash, struct errctx *ctx)
{
	struct hash root;

	for (unsigned level = 1; level < TILE_LEVELS; level++) {
		struct walk_level *tile = &walk->levels[level];

		if (hash == NULL)
			tile->blind = true;
		else
			tile->hash[tile->width] = *hash;
		if (++tile->width < TILE_WIDTH)
			return OK;
		TRY(compare_level(walk, level, ctx));
		hash = NULL;
		if (!tile->blind) {
			walk_reduce(tile->hash, &root);
			hash = &root;
		}
		tile->index++;
		tile->width = 0;
		tile->blind = false;
	}
	return OK;
}

/* --- from the last visit on --- */

/* The peaks of a compact range that are of tiles of this level. */
static struct bytes peaks_of(const struct compact *tree, unsigned level)
{
	uint64_t above = level + 1 < 8 ? tree->size >> (8 * (level + 1)) : 0;
	unsigned skip = (unsigned)__builtin_popcountll(above);
	unsigned count = (unsigned)__builtin_popcountll((tree->size >> (8 * level)) & 0xff);

	return bytes_make(&tree->peaks[skip], (size_t)count * HASH_SIZE);
}

/* Are these hashes, the first of a tile, those under the remembered peaks? */
static bool is_remembered(
	const struct walk *walk, unsigned level, const struct hash *hashes, unsigned count)
{
	struct compact tree;

	compact_init(&tree);
	for (unsigned i = 0; i < count; i++)
		compact_append(&tree, &hashes[i]);
	return bytes_equal(peaks_of(walk->opts.from, level), peaks_of(&tree, 0));
}

/* The tile of this level in which the old tree ends. */
static enum err load_level(struct walk *walk, unsigned level, struct errctx *ctx)
{
	struct walk_level *tile = &walk->levels[level];
	struct tlog_file file = {TLOG_TILE, {level, tile->index}, 0};
	unsigned width = tile->width;
	size_t size = (size_t)width * HASH_SIZE;
	struct errctx why = {""};
	bool wider;
	enum err err;

	file.width = tile_width(file.id, walk->opts.checkpoint->size);
	err = walk_file(walk, &file, &walk->tile, &wider, &why);
	if (err != OK && !is_missing(err))
		return err_set(ctx, err, "%s", err_message(&why, err));
	tile->blind = true;
	if (err != OK)
		return differs(walk, &file, err == ERR_NOTFOUND ? WALK_ODD_MISSING : WALK_ODD_SHAPE,
			0, BYTES_NONE, NULL);
	if (walk->tile.size < (size_t)file.width * HASH_SIZE)
		return differs(walk, &file, WALK_ODD_SHAPE, 0, buf_bytes(&walk->tile), NULL);
	memcpy(tile->hash, walk->tile.data, size);
	if (!is_remembered(walk, level, tile->hash, width))
		return differs(walk, &file, WALK_ODD_OLD, 0, buf_bytes(&walk->tile), NULL);
	tile->blind = false;
	return OK;
}

static enum err load_from(struct walk *walk, struct errctx *ctx)
{
	uint64_t size = walk->opts.from->size;

	walk->tree = *walk->opts.from;
	walk->next = size - size % TILE_WIDTH;
	for (unsigned level = 1; level < TILE_LEVELS && walk->opts.source->tiles; level++) {
		uint64_t hashes = size >> (8 * level);

		walk->levels[level].index = hashes / TILE_WIDTH;
		walk->levels[level].width = (unsigned)(hashes % TILE_WIDTH);
		if (walk->levels[level].width > 0)
			TRY(load_level(walk, level, ctx));
	}
	return OK;
}

/* --- the walk --- */

static enum err walk_init(struct walk *walk, const struct walk_opts *opts, struct errctx *ctx)
{
	struct hash root;

	walk->opts = *opts;
	buf_init(&walk->tile, TILE_SIZE + 1);
	compact_init(&walk->tree);
	walk->starts = source_starts(opts->source, opts->origin);
	if (walk->starts > (opts->from == NULL ? 0 : opts->from->size))
		return err_set(ctx, ERR_UNREACHABLE,
			"its entries before %llu are not in this source: it can only be gone on "
			"from a state that has them (--state, --incremental)",
			(unsigned long long)walk->starts);
	if (opts->from == NULL)
		return OK;
	compact_root(opts->from, &root);
	if (opts->from->size > opts->checkpoint->size || !hash_equal(&root, opts->from_root))
		return err_set(ctx, ERR_INVALID,
			"log '%s': what is remembered of it does not fit together", opts->origin);
	walk->result.from = opts->from->size;
	return load_from(walk, ctx);
}

static void mark(struct walk *walk)
{
	for (size_t i = 0; i < WALK_MARKS; i++) {
		if (walk->opts.marks[i] != walk->tree.size || walk->tree.size == 0)
			continue;
		walk->result.marked[i] = true;
		compact_root(&walk->tree, &walk->result.mark[i]);
	}
}

enum err walk_new(const struct walk_opts *opts, struct walk **ret, struct errctx *ctx)
{
	struct walk *walk = mem_zalloc(sizeof(*walk));
	enum err err;

	if (walk == NULL)
		return ERR_NOMEM;
	err = walk_init(walk, opts, ctx);
	if (err != OK) {
		walk_free(walk);
		return err;
	}
	mark(walk);
	*ret = walk;
	return OK;
}

void walk_free(struct walk *walk)
{
	if (walk == NULL)
		return;
	for (size_t i = 0; i < walk->odd_count; i++) {
		buf_release(&walk->odd[i].tile);
		buf_release(&walk->odd[i].computed);
	}
	buf_release(&walk->tile);
	mem_free(walk);
}

bool walk_next(struct walk *walk, struct walk_block *block)
{
	uint64_t size = walk->opts.checkpoint->size;

	/* Nothing new: the old block is not looked at either. */
	if (walk->stopped || walk->next >= size || walk->result.from == size)
		return false;
	block->first = walk->next;
	block->width = size - walk->next < TILE_WIDTH ? (unsigned)(size - walk->next) : TILE_WIDTH;
	block->skip = 0;
	if (walk->next < walk->result.from)
		block->skip = (unsigned)(walk->result.from - walk->next);
	block->lack = walk->next < walk->starts ? (unsigned)(walk->starts - walk->next) : 0;
	walk->next += block->width;
	return true;
}

static enum err call_each(struct walk *walk, const struct walk_block *block)
{
	struct cursor cursor = cursor_make(buf_bytes(&block->entries));

	for (unsigned i = block->lack; i < block->count; i++) {
		struct bytes entry = cursor_lv16(&cursor);

		if (i < block->skip)
			continue;
		walk->result.bytes += entry.size;
		if (walk->opts.each != NULL)
			TRY(walk->opts.each(walk->opts.arg, block->first + i, entry));
	}
	return OK;
}

static bool has_mark(const struct walk *walk, uint64_t first, uint64_t end)
{
	for (size_t i = 0; i < WALK_MARKS; i++)
		if (walk->opts.marks[i] > first && walk->opts.marks[i] < end)
			return true;
	return false;
}

static void append(struct walk *walk, const struct walk_block *block)
{
	uint64_t end = block->first + block->width;

	if (block->width == TILE_WIDTH && block->skip == 0 && !has_mark(walk, block->first, end)) {
		compact_append_node(&walk->tree, 8, &block->root);
		mark(walk);
		return;
	}
	for (unsigned i = block->skip; i < block->width; i++) {
		compact_append(&walk->tree, &block->leaf[i]);
		mark(walk);
	}
}

/* Are the entries of the file there, all of them and nothing else? Else the walk ends here. */
static enum err take_file(struct walk *walk, const struct walk_block *block, struct errctx *ctx)
{
	struct tlog_file file = {TLOG_ENTRIES, {0, block->first / TILE_WIDTH}, block->width};
	const struct walk_tell tell = {
		FINDING_ENTRY_CUT, true, block->first + block->width - 1, {{0}}};
	char path[TLOG_PATH_SIZE];

	tlog_path_format(&file, path);
	if (block->entries_err != OK && !is_missing(block->entries_err))
		return err_set(ctx, block->entries_err, "%s",
			err_message(&block->entries_ctx, block->entries_err));
	if (block->entries_err != OK)
		return stop(walk,
			block->entries_err == ERR_LIMIT ? FINDING_ENTRY_CUT : FINDING_FILE_MISSING,
			block->first + block->skip, path, how_missing(block->entries_err));
	if (block->count < block->width)
		return stop(walk, FINDING_ENTRY_CUT, block->first + broken_at(block), path,
			"breaks off, or has an empty entry");
	if (block->rest > 0 && !block->wider)
		return walk_tell(walk, &tell, "entry %llu: '%s' has %zu bytes behind it",
			(unsigned long long)tell.index, path, block->rest);
	return OK;
}

enum err walk_take(struct walk *walk, const struct walk_block *block, struct errctx *ctx)
{
	struct tlog_file file = {TLOG_TILE, {0, block->first / TILE_WIDTH}, block->width};

	if (walk->stopped)
		return OK;
	TRY(take_file(walk, block, ctx));
	if (walk->stopped)
		return OK;
	TRY(call_each(walk, block));
	if (block->skip > 0 && block->lack == 0)
		walk->old_differs = !is_remembered(walk, 0, block->leaf, block->skip);
	append(walk, block);
	if (!walk->opts.source->tiles)
		return OK;
	TRY(compare(walk, &file, block->tile_err, buf_bytes(&block->tile), block->leaf,
		&block->tile_ctx, ctx));
	return block->width == TILE_WIDTH ? push(walk, &block->root, ctx) : OK;
}

enum err walk_end(struct walk *walk, struct walk_result *ret, struct errctx *ctx)
{
	struct walk_result *result = &walk->result;
	struct hash root;

	for (unsigned level = 1; level < TILE_LEVELS && walk->opts.source->tiles; level++)
		if (!walk->stopped && walk->levels[level].width > 0)
			TRY(compare_level(walk, level, ctx));
	compact_root(&walk->tree, &root);
	result->size = walk->tree.size;
	result->tree = walk->tree;
	result->whole = !walk->stopped && walk->tree.size == walk->opts.checkpoint->size;
	result->rooted = result->whole && hash_equal(&root, &walk->opts.checkpoint->root);
	TRY(walk_judge(walk, !result->whole || result->rooted));
	result->sound = result->whole && !walk->unsound;
	*ret = *result;
	return OK;
}

enum err walk_run(const struct walk_opts *opts, struct walk_result *ret, struct errctx *ctx)
{
	struct walk_block *block = NULL;
	struct walk *walk = NULL;
	enum err err = walk_new(opts, &walk, ctx);

	if (err == OK)
		err = walk_block_new(&block);
	while (err == OK && walk_next(walk, block)) {
		walk_read(walk, block);
		walk_hash(walk, block);
		err = walk_take(walk, block, ctx);
	}
	if (err == OK)
		err = walk_end(walk, ret, ctx);
	walk_block_free(block);
	walk_free(walk);
	return err;
}
