/*
 * store_verify, the happy path:
 *
 *	1. size and checkpoint are taken once; entries are hashed from 0 on, in slices, one read
 *	   transaction each
 *	2. leaf hashes fill a tile of level 0; a full tile is compared with the stored one, its root
 *	   goes into the tile of level 1, and so on up
 *	3. the last slice compares the tiles at the right edge and looks for what should not be
 *there
 *	4. the root at the checkpoint's size is compared with the checkpoint
 *
 * Since each upper tile is recomputed from entries, stored parents that were forged together and
 * fit each other are found. A slice that fails leaves nothing open.
 */
#include <inttypes.h>

#include "base/alloc.h"
#include "server/store/internal.h"

enum { SLICE_ENTRIES = 1024 };

struct level {
	struct hash hashes[TILE_WIDTH];
	unsigned width;
	uint64_t index; /* of the tile that is being filled */
};

struct walk {
	struct store_tiles stored;
	struct errctx *ctx;
	uint64_t size; /* to verify: as held at the start */
	uint64_t held; /* as held in this slice's transaction */
	uint64_t bad;
	bool has_checkpoint;
	struct checkpoint checkpoint;
	struct compact compact;
	struct hash checkpoint_root;
	struct level levels[TILE_LEVELS];
};

static enum err bad(struct walk *walk, uint64_t index)
{
	walk->bad = index;
	return ERR_CORRUPT;
}

/* The first leaf under a hash of a tile. */
static uint64_t leaf_under(struct tile_id id, unsigned hash)
{
	return (id.index * TILE_WIDTH + hash) << (8 * id.level);
}

/* Compares the recomputed hashes of a tile, which may still be growing, with the stored tile. */
static enum err tile_compare(struct walk *walk, unsigned number)
{
	struct level *level = &walk->levels[number];
	struct tile_id id = {number, level->index};
	struct store_key key = tile_key(walk->stored.log, id);
	struct bytes tile;

	if (!txn_get(walk->stored.txn, DB_TILES, store_key_bytes(&key), &tile)) {
		TRY(walk->stored.txn->err);
		err_set(walk->ctx, ERR_CORRUPT, "tile %u/%" PRIu64 " is missing", number, id.index);
		return bad(walk, leaf_under(id, 0));
	}
	for (unsigned i = 0; i < level->width; i++) {
		size_t at = (size_t)i * HASH_SIZE;

		if (tile.size >= at + HASH_SIZE &&
			memcmp(tile.data + at, level->hashes[i].b, HASH_SIZE) == 0)
			continue;
		err_set(walk->ctx, ERR_CORRUPT,
			"%s %" PRIu64 " does not match hash %u of tile %u/%" PRIu64,
			number == 0 ? "entry" : "the tree from entry", leaf_under(id, i), i, number,
			id.index);
		return bad(walk, leaf_under(id, i));
	}
	if (tile.size == (size_t)tile_width(id, walk->held) * HASH_SIZE)
		return OK;
	err_set(walk->ctx, ERR_CORRUPT, "tile %u/%" PRIu64 " is wider than the log", number,
		id.index);
	return bad(walk, leaf_under(id, level->width));
}

/* Adds a hash to a level; full tiles are compared and carried up. */
static enum err level_add(struct walk *walk, const struct hash *leaf)
{
	struct hash hash = *leaf;

	for (unsigned number = 0; number < TILE_LEVELS; number++) {
		struct level *level = &walk->levels[number];

		level->hashes[level->width++] = hash;
		if (level->width < TILE_WIDTH)
			return OK;
		TRY(tile_compare(walk, number));
		for (unsigned n = TILE_WIDTH; n > 1; n /= 2) {
			for (unsigned i = 0; i < n / 2; i++)
				tree_node(&level->hashes[2 * i], &level->hashes[2 * i + 1],
					&level->hashes[i]);
		}
		hash = level->hashes[0];
		level->width = 0;
		level->index++;
	}
	return OK;
}

static void checkpoint_pass(struct walk *walk)
{
	if (walk->has_checkpoint && walk->compact.size == walk->checkpoint.size)
		compact_root(&walk->compact, &walk->checkpoint_root);
}

static enum err entries_walk(struct walk *walk, uint64_t end)
{
	struct store_key key = entry_key(walk->stored.log, walk->compact.size);
	struct txn *txn = walk->stored.txn;
	struct range range;
	enum err err = OK;

	for (bool more = range_first(&range, txn, DB_ENTRIES, store_key_bytes(&key), 4);
		more && err == OK && walk->compact.size < end; more = range_next(&range)) {
		struct hash leaf;

		if (range.key.size != key.size ||
			get_u64be(range.key.data + 4) != walk->compact.size)
			break;
		tree_leaf(range.value, &leaf);
		err = level_add(walk, &leaf);
		compact_append(&walk->compact, &leaf);
		checkpoint_pass(walk);
	}
	range_end(&range);
	if (err == OK)
		err = txn->err;
	if (err == OK && walk->compact.size < end) {
		err_set(walk->ctx, ERR_CORRUPT, "entry %" PRIu64 " is missing", walk->compact.size);
		err = bad(walk, walk->compact.size);
	}
	return err;
}

/* Is there an item with this prefix at or behind the key? */
static bool any_behind(struct txn *txn, unsigned slot, struct store_key key, size_t prefix_size)
{
	struct range range;
	bool found = range_first(&range, txn, slot, store_key_bytes(&key), prefix_size);

	range_end(&range);
	return found;
}

/* The tiles at the right edge, and nothing behind the log's end, as it is in this transaction. */
static enum err edge_walk(struct walk *walk)
{
	struct txn *txn = walk->stored.txn;
	uint32_t log = walk->stored.log;
	bool stray = any_behind(txn, DB_ENTRIES, entry_key(log, walk->held), 4);

	for (unsigned number = 0; number < TILE_LEVELS; number++) {
		uint64_t hashes = walk->held >> (8 * number);
		struct tile_id behind = {number, (hashes + TILE_WIDTH - 1) / TILE_WIDTH};

		if (walk->levels[number].width > 0)
			TRY(tile_compare(walk, number));
		stray |= any_behind(txn, DB_TILES, tile_key(log, behind), 5);
	}
	stray |= any_behind(txn, DB_TILES, tile_key(log, (struct tile_id){TILE_LEVELS, 0}), 4);
	if (!stray)
		return txn->err;
	err_set(walk->ctx, ERR_CORRUPT, "there are entries or tiles behind its end at %" PRIu64,
		walk->held);
	return bad(walk, walk->held);
}

/* One transaction. The log must be there and not have become smaller. */
static enum err slice_walk(struct walk *walk, struct store *store, const struct origin *origin)
{
	struct log_row row;
	struct txn txn;
	enum err err, failed;
	uint64_t end;

	walk->stored.txn = &txn;
	txn_begin(&txn, store->env, TXN_READ);
	err = store_row(&txn, origin, &row, walk->ctx);
	if (err == OK && row.size < walk->size) {
		err_set(walk->ctx, ERR_CORRUPT, "it has become smaller");
		err = bad(walk, row.size);
	}
	if (err == OK) {
		walk->held = row.size;
		end = walk->size - walk->compact.size < SLICE_ENTRIES
			      ? walk->size
			      : walk->compact.size + SLICE_ENTRIES;
		err = entries_walk(walk, end);
		if (err == OK && end == walk->size)
			err = edge_walk(walk);
	}
	failed = txn_finish(&txn, walk->ctx);
	walk->stored.txn = NULL;
	return failed != OK ? failed : err;
}

/* What is to be verified: the size and the checkpoint as they are now. */
static enum err walk_start(
	struct walk *walk, struct store *store, const struct origin *origin, struct buf *note)
{
	struct log_row row;
	struct txn txn;
	enum err err, failed;

	txn_begin(&txn, store->env, TXN_READ);
	err = store_row(&txn, origin, &row, walk->ctx);
	if (err == OK) {
		walk->stored.log = row.number;
		walk->size = row.size;
		buf_put(note, row.checkpoint);
		err = note->err;
	}
	failed = txn_finish(&txn, walk->ctx);
	TRY(failed != OK ? failed : err);
	walk->has_checkpoint = note->size > 0;
	if (!walk->has_checkpoint)
		return OK;
	err = checkpoint_peek(buf_bytes(note), &walk->checkpoint, NULL);
	if (err == ERR_NOMEM)
		return err;
	if (err != OK || strcmp(walk->checkpoint.origin.text, origin->text) != 0) {
		err_set(walk->ctx, ERR_CORRUPT, "its checkpoint is not readable or not its own");
		return bad(walk, 0);
	}
	checkpoint_pass(walk);
	return OK;
}

static enum err checkpoint_compare(struct walk *walk)
{
	if (!walk->has_checkpoint)
		return OK;
	if (walk->checkpoint.size > walk->size) {
		err_set(walk->ctx, ERR_CORRUPT,
			"it ends at %" PRIu64 ", before its checkpoint at %" PRIu64, walk->size,
			walk->checkpoint.size);
		return bad(walk, walk->size);
	}
	if (hash_equal(&walk->checkpoint.root, &walk->checkpoint_root))
		return OK;
	err_set(walk->ctx, ERR_CORRUPT, "its root at %" PRIu64 " is not that of its checkpoint",
		walk->checkpoint.size);
	return bad(walk, 0);
}

static enum err walk_run(struct walk *walk, struct store *store, const struct origin *origin,
	const bool *stop, struct buf *note)
{
	TRY(walk_start(walk, store, origin, note));
	do {
		if (stop != NULL && __atomic_load_n(stop, __ATOMIC_RELAXED))
			return err_set(walk->ctx, ERR_CANCELED, "stopped at entry %" PRIu64,
				walk->compact.size);
		TRY(slice_walk(walk, store, origin));
	} while (walk->compact.size < walk->size);
	return checkpoint_compare(walk);
}

enum err store_verify(struct store *store, const struct origin *origin, const bool *stop,
	struct store_verify *ret, struct errctx *ctx)
{
	CLEANUP(mem_free_p) struct walk *walk = mem_zalloc(sizeof(*walk));
	struct buf note;
	enum err err;

	if (walk == NULL)
		return ERR_NOMEM;
	walk->ctx = ctx;
	compact_init(&walk->compact);
	buf_init(&note, LIMIT_NOTE_SIZE);
	err = walk_run(walk, store, origin, stop, &note);
	if (err != OK) {
		buf_release(&note);
		if (err == ERR_CORRUPT)
			*ret = (struct store_verify){.size = walk->size, .bad_index = walk->bad};
		return err_wrap(ctx, err, "verify log '%s'", origin->text);
	}
	*ret = (struct store_verify){
		.size = walk->size,
		.checkpoint = note,
		.checkpoint_root = walk->checkpoint_root,
	};
	compact_root(&walk->compact, &ret->root);
	return OK;
}
