#include "server/store/blocks.h"

#include <assert.h>
#include <inttypes.h>

#include "server/store/internal.h"

/* The transaction is open afterwards, whatever came of it: finish ends it. */
static enum err begin(struct txn *txn, struct store *store, const struct origin *origin,
	struct store_tiles *ret_tiles, uint64_t *ret_size, struct errctx *ctx)
{
	struct log_row row;

	txn_begin(txn, store->env, TXN_READ);
	TRY(store_row(txn, origin, &row, ctx));
	*ret_tiles = (struct store_tiles){txn, row.number};
	*ret_size = row.size;
	return OK;
}

static enum err finish(
	struct txn *txn, enum err err, const struct origin *origin, struct errctx *ctx)
{
	enum err failed = txn_finish(txn, ctx);

	if (failed != OK)
		err = failed;
	return err == OK ? OK : err_wrap(ctx, err, "log '%s'", origin->text);
}

static enum err tile_read(struct store_tiles *tiles, struct tile_id id, unsigned width,
	struct bytes *ret, struct errctx *ctx)
{
	enum err err = store_tiles_read(tiles, id, width, ret);

	return err == OK
		       ? OK
		       : err_set(ctx, err, "tile %u/%" PRIu64 " is not whole", id.level, id.index);
}

/* ---- entries ---- */

static enum err entry_add(struct bytes entry, uint64_t index, const uint8_t *stored_leaf,
	struct buf *out, struct hash *ret_leaf, struct errctx *ctx)
{
	if (entry.size == 0 || entry.size > LIMIT_ENTRY_SIZE)
		return err_set(ctx, ERR_CORRUPT, "entry %" PRIu64 " has a wrong size", index);
	tree_leaf(entry, ret_leaf);
	if (memcmp(ret_leaf->b, stored_leaf, HASH_SIZE) != 0)
		return err_set(
			ctx, ERR_CORRUPT, "entry %" PRIu64 " does not match its leaf hash", index);
	buf_put_lv16(out, entry);
	return out->err;
}

static enum err block_read(struct store_tiles *tiles, uint64_t first, unsigned width,
	struct buf *out, struct hash *leaves, uint64_t *ret_bad, struct errctx *ctx)
{
	struct store_key key = entry_key(tiles->log, first);
	struct bytes tile;
	struct range range;
	unsigned count = 0;
	enum err err;

	*ret_bad = first;
	TRY(tile_read(tiles, (struct tile_id){0, first / TILE_WIDTH}, width, &tile, ctx));
	err = OK;
	for (bool more = range_first(&range, tiles->txn, DB_ENTRIES, store_key_bytes(&key), 4);
		more && count < width; more = range_next(&range), count++) {
		if (range.key.size != key.size || get_u64be(range.key.data + 4) != first + count)
			break;
		err = entry_add(range.value, first + count, tile.data + (size_t)count * HASH_SIZE,
			out, &leaves[count], ctx);
		if (err != OK)
			break;
	}
	range_end(&range);
	*ret_bad = first + count;
	if (err == OK && count < width && tiles->txn->err == OK)
		err = err_set(ctx, ERR_CORRUPT, "entry %" PRIu64 " is missing", first + count);
	return err;
}

enum err store_block(struct store *store, const struct origin *origin, uint64_t index,
	unsigned width, struct buf *out, struct hash ret_leaves[TILE_WIDTH], uint64_t *ret_bad,
	struct errctx *ctx)
{
	uint64_t first = index * TILE_WIDTH, size, bad = first;
	struct store_tiles tiles;
	struct txn txn;
	enum err err;

	assert(width >= 1 && width <= TILE_WIDTH);
	err = begin(&txn, store, origin, &tiles, &size, ctx);
	if (err == OK && (size < width || first > size - width))
		err = err_set(ctx, ERR_CORRUPT, "it has become smaller");
	if (err == OK)
		err = block_read(&tiles, first, width, out, ret_leaves, &bad, ctx);
	err = finish(&txn, err, origin, ctx);
	if (err == ERR_CORRUPT)
		*ret_bad = bad;
	return err;
}

/* ---- tiles ---- */

enum err store_tile(struct store *store, const struct origin *origin, struct tile_id id,
	unsigned width, struct hash *ret, struct errctx *ctx)
{
	struct store_tiles tiles;
	struct bytes tile;
	struct txn txn;
	uint64_t size;
	enum err err;

	err = begin(&txn, store, origin, &tiles, &size, ctx);
	if (err == OK)
		err = tile_read(&tiles, id, width, &tile, ctx);
	if (err == OK)
		memcpy(ret, tile.data, (size_t)width * HASH_SIZE);
	return finish(&txn, err, origin, ctx);
}

static enum err roots_read(struct store_tiles *tiles, uint64_t first, uint64_t second,
	struct store_roots *ret, struct errctx *ctx)
{
	struct tile_reader reader = {{store_tiles_read, tiles}, second};
	struct tree_source tree = tile_reader_tree(&reader);
	enum err err;

	err = tree_root(&tree, first, &ret->first);
	if (err == OK)
		err = tree_root(&tree, second, &ret->second);
	if (err == OK)
		err = tree_prove_consistency(&tree, first, second, &ret->proof);
	return err == OK ? OK : err_set(ctx, err, "its tiles are not whole");
}

enum err store_roots(struct store *store, const struct origin *origin, uint64_t first,
	uint64_t second, struct store_roots *ret, struct errctx *ctx)
{
	struct store_tiles tiles;
	struct store_roots roots;
	struct txn txn;
	uint64_t size;
	enum err err;

	err = begin(&txn, store, origin, &tiles, &size, ctx);
	if (err == OK && (first < 1 || first > second || second > size))
		err = err_set(ctx, ERR_INVALID, "no sizes of it: %" PRIu64 " and %" PRIu64, first,
			second);
	if (err == OK)
		err = roots_read(&tiles, first, second, &roots, ctx);
	TRY(finish(&txn, err, origin, ctx));
	*ret = roots;
	return OK;
}
