/*
 * The happy path:
 *
 *	1. size and checkpoint are taken once; entries are hashed from 0 on, in slices, one read
 *	   transaction each, a whole number of tiles long
 *	2. 256 leaf hashes make a tile of level 0, which is compared with the stored one; its root
 *	   goes into the tile of level 1, and so on up
 *	3. the last slice compares the tiles at the right edge and looks for what should not be
 *	   there
 *	4. the roots at the checkpoint's size and at the end come from the tiles as they fill
 *
 * Since each upper tile is recomputed from entries, stored parents that were forged together and
 * fit each other are found. A slice that fails leaves nothing open.
 */
#include "server/store/tree_check.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "base/alloc.h"

enum { SLICE_BLOCKS = 16, SLICE_ENTRIES = SLICE_BLOCKS * TILE_WIDTH };

struct level {
	struct hash hashes[TILE_WIDTH];
	unsigned width;
	uint64_t index; /* of the tile that is being filled */
};

/* The entries under one tile of level 0. */
struct block {
	struct bytes views[TILE_WIDTH]; /* the entries */
	struct hash entry[TILE_WIDTH];  /* their leaf hashes */
	struct hash root;               /* of a full block without missing ones */
	bool missing[TILE_WIDTH];       /* set when any_missing */
	bool any_missing;
	unsigned width;
	struct bytes stored; /* the tile as it stands; may be shorter or longer */
};

/* A second thread that hashes blocks of the slice, for who may take two processors. Both take the
 * next block until there is none: one that does not get to run costs nothing. */
struct helper {
	pthread_t thread;
	bool started;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	uint64_t round; /* of slices; the helper works on one once, and is away between them */
	bool working, stopping;
};

struct walk {
	struct tree_check *check;
	struct errctx *ctx;
	struct txn *txn;
	uint64_t next; /* entry to hash */
	uint64_t held; /* as held in this slice's transaction */
	struct level levels[TILE_LEVELS];
	struct block *block;               /* that is being judged */
	struct block blocks[SLICE_BLOCKS]; /* from first_block on */
	unsigned first_block;
	unsigned blocks_taken; /* atomic: the next to be hashed; SLICE_BLOCKS and more: none */
	struct helper helper;
};

const char *fault_text(const struct fault *fault, char *text, size_t size)
{
	uint64_t index = fault->index;

	switch (fault->kind) {
	case FAULT_ENTRY_MISSING:
		snprintf(text, size, "entry %" PRIu64 " is missing", index);
		break;
	case FAULT_ENTRY:
	case FAULT_LEAF:
		snprintf(text, size, "entry %" PRIu64 " does not match hash %u of tile 0/%" PRIu64,
			index, fault->hash, fault->tile.index);
		break;
	case FAULT_TILE:
		snprintf(text, size,
			"the tree from entry %" PRIu64
			" does not match hash %u of tile %u/%" PRIu64,
			index, fault->hash, fault->tile.level, fault->tile.index);
		break;
	case FAULT_TILE_MISSING:
		if (fault->hash > 0)
			snprintf(text, size,
				"entry %" PRIu64
				" and what follows have no hash in tile %u/%" PRIu64,
				index, fault->tile.level, fault->tile.index);
		else
			snprintf(text, size, "tile %u/%" PRIu64 " is missing", fault->tile.level,
				fault->tile.index);
		break;
	case FAULT_TILE_WIDE:
		snprintf(text, size, "tile %u/%" PRIu64 " is wider than the log", fault->tile.level,
			fault->tile.index);
		break;
	case FAULT_STRAY:
		snprintf(text, size, "there are entries behind its end at %" PRIu64, index);
		break;
	case FAULT_STRAY_TILE:
		snprintf(text, size, "there are tiles behind its end at %" PRIu64, index);
		break;
	case FAULT_SMALLER:
		snprintf(text, size, "it has become smaller");
		break;
	}
	return text;
}

bool fault_is_derived(enum fault_kind kind)
{
	return kind != FAULT_ENTRY && kind != FAULT_ENTRY_MISSING && kind != FAULT_SMALLER;
}

static enum err fault_tell(const struct walk *walk, const struct fault *fault)
{
	return walk->check->fault(walk->check->arg, fault);
}

/* The first leaf under a hash of a tile. */
static uint64_t leaf_under(struct tile_id id, unsigned hash)
{
	return (id.index * TILE_WIDTH + hash) << (8 * id.level);
}

/* The root of a power of two of hashes, which are overwritten. */
static void reduce(struct hash *hashes, unsigned count, struct hash *ret)
{
	for (; count > 1; count /= 2) {
		for (unsigned i = 0; i < count / 2; i++)
			tree_node(&hashes[2 * i], &hashes[2 * i + 1], &hashes[i]);
	}
	*ret = hashes[0];
}

static void tile_root(const struct hash *hashes, struct hash *ret)
{
	struct hash half[TILE_WIDTH / 2];

	for (unsigned i = 0; i < TILE_WIDTH / 2; i++)
		tree_node(&hashes[2 * i], &hashes[2 * i + 1], &half[i]);
	reduce(half, TILE_WIDTH / 2, ret);
}

/* The root of what the levels hold, with `width` hashes of level 0: perfect subtrees, the largest
 * at the left, each the left child of all that follow. */
static void levels_root(
	const struct level *levels, const struct hash *leaves, unsigned width, struct hash *ret)
{
	struct hash copy[TILE_WIDTH];
	bool any = false;

	/* From the right: the smallest subtree first. */
	for (unsigned number = 0; number < TILE_LEVELS; number++) {
		const struct hash *hashes = number == 0 ? leaves : levels[number].hashes;
		unsigned end = number == 0 ? width : levels[number].width;

		for (unsigned count = 1; end > 0; count *= 2) {
			struct hash peak;

			if (!(end & count))
				continue;
			end -= count;
			memcpy(copy, &hashes[end], count * sizeof(copy[0]));
			reduce(copy, count, &peak);
			if (any)
				tree_node(&peak, ret, ret);
			else
				*ret = peak;
			any = true;
		}
	}
	if (!any)
		tree_empty(ret);
}

/* Compares a tile above level 0, which may still be growing, with the stored one. */
static enum err tile_compare(struct walk *walk, unsigned number)
{
	struct level *level = &walk->levels[number];
	struct fault fault = {.tile = {number, level->index}};
	struct store_key key = tile_key(walk->check->log, fault.tile);
	struct bytes tile = BYTES_NONE;

	fault.index = leaf_under(fault.tile, 0);
	if (!txn_get(walk->txn, DB_TILES, store_key_bytes(&key), &tile)) {
		TRY(walk->txn->err);
		fault.kind = FAULT_TILE_MISSING;
		return fault_tell(walk, &fault);
	}
	for (unsigned i = 0; i < level->width; i++) {
		size_t at = (size_t)i * HASH_SIZE;

		if (tile.size >= at + HASH_SIZE &&
			memcmp(tile.data + at, level->hashes[i].b, HASH_SIZE) == 0)
			continue;
		fault.kind = FAULT_TILE;
		fault.hash = i;
		fault.index = leaf_under(fault.tile, i);
		return fault_tell(walk, &fault);
	}
	if (tile.size == (size_t)tile_width(fault.tile, walk->held) * HASH_SIZE)
		return OK;
	fault.kind = FAULT_TILE_WIDE;
	fault.index = leaf_under(fault.tile, level->width);
	return fault_tell(walk, &fault);
}

/* Adds a hash to level 1; full tiles are compared and carried up. */
static enum err level_add(struct walk *walk, struct hash hash)
{
	for (unsigned number = 1; number < TILE_LEVELS; number++) {
		struct level *level = &walk->levels[number];

		level->hashes[level->width++] = hash;
		if (level->width < TILE_WIDTH)
			return OK;
		TRY(tile_compare(walk, number));
		reduce(level->hashes, TILE_WIDTH, &hash);
		level->width = 0;
		level->index++;
	}
	return OK;
}

/* Level 0. */

static const struct hash *stored_leaf(const struct block *block, unsigned i)
{
	return (const struct hash *)(const void *)(block->stored.data + (size_t)i * HASH_SIZE);
}

static bool stored_has(const struct block *block, unsigned i)
{
	return block->stored.size >= ((size_t)i + 1) * HASH_SIZE;
}

static bool leaf_same(const struct block *block, unsigned i)
{
	return !(block->any_missing && block->missing[i]) && stored_has(block, i) &&
	       memcmp(stored_leaf(block, i)->b, block->entry[i].b, HASH_SIZE) == 0;
}

/* How many of the first `count` leaves the checkpoint covers, when it ends among them. */
static unsigned covered_here(const struct walk *walk, unsigned count)
{
	const struct tree_check *check = walk->check;
	uint64_t first = walk->levels[0].index * TILE_WIDTH;

	if (!check->note_readable || check->checkpoint.size <= first ||
		check->checkpoint.size > first + count)
		return 0;
	return (unsigned)(check->checkpoint.size - first);
}

/* What the tile above says of this one; false when it is not there. */
static bool parent_read(const struct walk *walk, struct hash *ret)
{
	uint64_t index = walk->levels[0].index;
	struct store_key key = tile_key(walk->check->log, (struct tile_id){1, index / TILE_WIDTH});
	size_t at = (size_t)(index % TILE_WIDTH) * HASH_SIZE;
	struct bytes tile;

	if (!txn_get(walk->txn, DB_TILES, store_key_bytes(&key), &tile) ||
		tile.size < at + HASH_SIZE)
		return false;
	memcpy(ret->b, tile.data + at, HASH_SIZE);
	return true;
}

static void take(struct block *block, struct hash *leaves, unsigned from, unsigned to, bool stored)
{
	for (unsigned i = from; i < to; i++) {
		bool missing = block->any_missing && block->missing[i];

		if ((stored || missing) && stored_has(block, i))
			memcpy(leaves[i].b, stored_leaf(block, i)->b, HASH_SIZE);
		else if (!missing)
			leaves[i] = block->entry[i];
		else
			memset(&leaves[i], 0, HASH_SIZE); /* fits nothing */
	}
}

static bool fits_parent(const struct walk *walk, const struct hash *leaves)
{
	struct hash parent, root;

	if (walk->block->width < TILE_WIDTH || !parent_read(walk, &parent))
		return false;
	tile_root(leaves, &root);
	return hash_equal(&root, &parent);
}

static bool fits_note(const struct walk *walk, const struct hash *leaves, unsigned covered)
{
	struct hash root;

	if (covered == 0)
		return false;
	levels_root(walk->levels, leaves, covered, &root);
	return hash_equal(&root, &walk->check->checkpoint.root);
}

/* Entries and stored leaf hashes differ: which to believe? The stored ones, unless those of the
 * entries fit what is above, where the stored ones do not. */
static void leaves_choose(struct walk *walk)
{
	struct block *block = walk->block;
	struct hash *leaves = walk->levels[0].hashes;
	unsigned covered = covered_here(walk, block->width);

	for (int stored = 1; stored >= 0; stored--) {
		take(block, leaves, 0, block->width, stored == 1);
		if (fits_parent(walk, leaves) || fits_note(walk, leaves, covered))
			return;
	}
	take(block, leaves, 0, block->width, true);
}

static enum err leaf_fault(const struct walk *walk, unsigned i)
{
	const struct block *block = walk->block;
	const struct hash *believed = &walk->levels[0].hashes[i];
	struct fault fault = {
		.kind = FAULT_ENTRY,
		.tile = {0, walk->levels[0].index},
		.hash = i,
	};
	bool missing = block->any_missing && block->missing[i];

	fault.index = leaf_under(fault.tile, i);
	if (missing)
		fault.kind = FAULT_ENTRY_MISSING;
	else if (hash_equal(believed, &block->entry[i]))
		fault.kind = FAULT_LEAF;
	if (fault.kind != FAULT_LEAF && stored_has(block, i))
		fault.expected = believed;
	return fault_tell(walk, &fault);
}

static enum err leaves_differ(struct walk *walk)
{
	struct block *block = walk->block;
	struct fault lacking = {.kind = FAULT_TILE_MISSING, .tile = {0, walk->levels[0].index}};
	bool told = false;

	leaves_choose(walk);
	TRY(walk->txn->err);
	for (unsigned i = 0; i < block->width; i++) {
		bool missing = block->any_missing && block->missing[i];

		if (leaf_same(block, i))
			continue;
		if (!missing && !stored_has(block, i)) {
			lacking.hash = i;
			lacking.index = leaf_under(lacking.tile, i);
			if (!told)
				TRY(fault_tell(walk, &lacking));
			told = true;
		} else {
			TRY(leaf_fault(walk, i));
		}
	}
	return OK;
}

static enum err width_check(const struct walk *walk)
{
	const struct block *block = walk->block;
	struct fault fault = {.kind = FAULT_TILE_WIDE, .tile = {0, walk->levels[0].index}};
	size_t width = tile_width(fault.tile, walk->held);

	if (block->stored.size <= width * HASH_SIZE)
		return OK;
	fault.index = leaf_under(fault.tile, (unsigned)width);
	return fault_tell(walk, &fault);
}

/* The root at the checkpoint's size, once the leaves up to there are decided. */
static void note_pass(struct walk *walk, const struct hash *leaves, unsigned width)
{
	struct tree_check *check = walk->check;
	unsigned covered = covered_here(walk, width);

	if (covered == 0)
		return;
	levels_root(walk->levels, leaves, covered, &check->checkpoint_root);
	check->note_fits = hash_equal(&check->checkpoint_root, &check->checkpoint.root);
}

static enum err block_judge(struct walk *walk)
{
	struct block *block = walk->block;
	struct level *level = &walk->levels[0];
	struct store_key key = tile_key(walk->check->log, (struct tile_id){0, level->index});
	size_t size = (size_t)block->width * HASH_SIZE;
	const struct hash *leaves = block->entry;
	bool full = block->width == TILE_WIDTH;

	block->stored = BYTES_NONE;
	(void)txn_get(walk->txn, DB_TILES, store_key_bytes(&key), &block->stored);
	TRY(walk->txn->err);
	if (block->any_missing || block->stored.size < size ||
		memcmp(block->stored.data, block->entry, size) != 0) {
		TRY(leaves_differ(walk));
		leaves = level->hashes;
		if (full)
			tile_root(leaves, &block->root);
	}
	TRY(width_check(walk));
	note_pass(walk, leaves, block->width);
	if (full) {
		level->index++;
		return level_add(walk, block->root);
	}
	level->width = block->width;
	if (leaves != level->hashes)
		memcpy(level->hashes, leaves, size);
	return OK;
}

/* Collects the block's entries; the range stands at or behind its first one. */
static bool block_collect(struct walk *walk, struct range *range, bool more)
{
	struct block *block = walk->block;

	block->any_missing = false;
	for (unsigned i = 0; i < block->width; i++, walk->next++) {
		if (more && range->key.size == 12 && get_u64be(range->key.data + 4) == walk->next) {
			block->views[i] = range->value;
			if (block->any_missing)
				block->missing[i] = false;
			more = range_next(range);
			continue;
		}
		if (!block->any_missing)
			memset(block->missing, 0, sizeof(block->missing));
		block->any_missing = block->missing[i] = true;
	}
	return more;
}

/* The pages of a tree do not lie behind each other: the memory of the next entry is asked for while
 * this one is hashed. */
static void prefetch(struct bytes entry)
{
	enum { LINE = 64, AHEAD_MAX = 2048 };

	for (size_t at = 0; at < entry.size && at < AHEAD_MAX; at += LINE)
		__builtin_prefetch(entry.data + at);
}

static void block_hash(struct block *block)
{
	for (unsigned i = 0; i < block->width; i++) {
		if (block->any_missing && block->missing[i])
			continue;
		if (i + 1 < block->width && !block->any_missing)
			prefetch(block->views[i + 1]);
		tree_leaf(block->views[i], &block->entry[i]);
	}
	if (block->width == TILE_WIDTH && !block->any_missing)
		tile_root(block->entry, &block->root);
}

static void blocks_hash(struct walk *walk)
{
	unsigned i;

	while ((i = __atomic_fetch_add(&walk->blocks_taken, 1, __ATOMIC_ACQ_REL)) < SLICE_BLOCKS)
		block_hash(&walk->blocks[i]);
}

/* The helper. */

static void *helper_main(void *arg)
{
	struct walk *walk = arg;
	struct helper *helper = &walk->helper;
	uint64_t round = 0;

	pthread_mutex_lock(&helper->mutex);
	for (;;) {
		while (helper->round == round && !helper->stopping)
			pthread_cond_wait(&helper->changed, &helper->mutex);
		if (helper->stopping)
			break;
		round = helper->round;
		helper->working = true;
		pthread_mutex_unlock(&helper->mutex);
		blocks_hash(walk);
		pthread_mutex_lock(&helper->mutex);
		helper->working = false;
		pthread_cond_signal(&helper->changed);
	}
	pthread_mutex_unlock(&helper->mutex);
	return NULL;
}

/* Without it all is done by the caller. */
static void helper_start(struct walk *walk)
{
	struct helper *helper = &walk->helper;

	pthread_mutex_init(&helper->mutex, NULL);
	pthread_cond_init(&helper->changed, NULL);
	helper->started = walk->check->two_threads &&
			  pthread_create(&helper->thread, NULL, helper_main, walk) == 0;
}

static void helper_stop(struct walk *walk)
{
	struct helper *helper = &walk->helper;

	if (helper->started) {
		pthread_mutex_lock(&helper->mutex);
		helper->stopping = true;
		pthread_cond_signal(&helper->changed);
		pthread_mutex_unlock(&helper->mutex);
		pthread_join(helper->thread, NULL);
	}
	pthread_cond_destroy(&helper->changed);
	pthread_mutex_destroy(&helper->mutex);
}

static void slice_hash(struct walk *walk)
{
	struct helper *helper = &walk->helper;

	/* A helper that wakes late finds none left, or blocks of the next slice, which are whole
	 * once they can be taken. */
	__atomic_store_n(&walk->blocks_taken, walk->first_block, __ATOMIC_RELEASE);
	pthread_mutex_lock(&helper->mutex);
	helper->round++;
	pthread_cond_signal(&helper->changed);
	pthread_mutex_unlock(&helper->mutex);
	blocks_hash(walk);
	pthread_mutex_lock(&helper->mutex);
	while (helper->working)
		pthread_cond_wait(&helper->changed, &helper->mutex);
	pthread_mutex_unlock(&helper->mutex);
}

/* From `next`, the first of a tile, to `end`. */
static void slice_collect(struct walk *walk, uint64_t end)
{
	struct store_key key = entry_key(walk->check->log, walk->next);
	struct range range;
	bool more = range_first(&range, walk->txn, DB_ENTRIES, store_key_bytes(&key), 4);

	walk->first_block =
		SLICE_BLOCKS - (unsigned)((end - walk->next + TILE_WIDTH - 1) / TILE_WIDTH);
	for (unsigned i = walk->first_block; i < SLICE_BLOCKS && walk->txn->err == OK; i++) {
		walk->block = &walk->blocks[i];
		walk->block->width =
			end - walk->next < TILE_WIDTH ? (unsigned)(end - walk->next) : TILE_WIDTH;
		more = block_collect(walk, &range, more);
	}
	range_end(&range);
}

static uint64_t block_hand_out(const struct walk *walk, uint64_t first)
{
	const struct tree_check *check = walk->check;
	const struct block *block = walk->block;
	uint64_t bytes = 0;

	for (unsigned i = 0; i < block->width; i++) {
		if (block->any_missing && block->missing[i])
			continue;
		bytes += block->views[i].size;
		if (check->entry != NULL)
			check->entry(check->arg, first + i, block->views[i]);
	}
	return bytes;
}

static enum err entries_walk(struct walk *walk, uint64_t end)
{
	struct tree_check *check = walk->check;
	uint64_t first = walk->next, bytes = 0;
	enum err err;

	slice_collect(walk, end);
	err = walk->txn->err;
	if (err == OK)
		slice_hash(walk);
	for (unsigned i = walk->first_block; i < SLICE_BLOCKS && err == OK; i++) {
		walk->block = &walk->blocks[i];
		bytes += block_hand_out(walk, walk->levels[0].index * TILE_WIDTH);
		err = block_judge(walk);
	}
	if (check->progress != NULL)
		check->progress(check->progress_arg, walk->next - first, bytes);
	return err != OK ? err : walk->txn->err;
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
	struct fault stray = {.kind = FAULT_STRAY, .index = walk->held};
	struct fault stray_tile = {.kind = FAULT_STRAY_TILE, .index = walk->held};
	uint32_t log = walk->check->log;
	bool entries = any_behind(walk->txn, DB_ENTRIES, entry_key(log, walk->held), 4);
	bool tiles = false;

	for (unsigned number = 0; number < TILE_LEVELS; number++) {
		uint64_t hashes = walk->held >> (8 * number);
		struct tile_id behind = {number, (hashes + TILE_WIDTH - 1) / TILE_WIDTH};

		if (number > 0 && walk->levels[number].width > 0)
			TRY(tile_compare(walk, number));
		tiles |= any_behind(walk->txn, DB_TILES, tile_key(log, behind), 5);
	}
	tiles |=
		any_behind(walk->txn, DB_TILES, tile_key(log, (struct tile_id){TILE_LEVELS, 0}), 4);
	TRY(walk->txn->err);
	if (entries)
		TRY(fault_tell(walk, &stray));
	return tiles ? fault_tell(walk, &stray_tile) : OK;
}

/* One transaction. The log must be there and not have become smaller. */
static enum err slice_walk(struct walk *walk)
{
	struct fault smaller = {.kind = FAULT_SMALLER};
	struct tree_check *check = walk->check;
	struct log_row row;
	struct txn txn;
	enum err err, failed;
	uint64_t end;

	walk->txn = &txn;
	txn_begin(&txn, check->store->env, TXN_READ);
	err = store_row(&txn, &check->origin, &row, walk->ctx);
	if (err == OK && row.size < check->size) {
		smaller.index = row.size;
		err = fault_tell(walk, &smaller);
		err = err == OK ? ERR_CORRUPT : err;
	}
	if (err == OK) {
		walk->held = row.size;
		end = check->size - walk->next < SLICE_ENTRIES ? check->size
							       : walk->next + SLICE_ENTRIES;
		err = entries_walk(walk, end);
		if (err == OK && end == check->size)
			err = edge_walk(walk);
	}
	failed = txn_finish(&txn, walk->ctx);
	walk->txn = NULL;
	return failed != OK ? failed : err;
}

static enum err note_take(struct tree_check *check, struct bytes checkpoint)
{
	enum err err;

	buf_put(&check->note, checkpoint);
	TRY(check->note.err);
	if (check->note.size == 0)
		return OK;
	err = checkpoint_peek(buf_bytes(&check->note), &check->checkpoint, NULL);
	if (err == ERR_NOMEM)
		return err;
	check->note_readable =
		err == OK && checkpoint_is_of(&check->checkpoint, check->origin.text);
	return OK;
}

/* What is to be checked: the size and the checkpoint as they are now. */
static enum err walk_start(struct walk *walk)
{
	struct tree_check *check = walk->check;
	struct log_row row;
	struct txn txn;
	enum err err, failed;

	txn_begin(&txn, check->store->env, TXN_READ);
	err = store_row(&txn, &check->origin, &row, walk->ctx);
	if (err == OK) {
		check->log = row.number;
		check->size = row.size;
		err = note_take(check, row.checkpoint);
	}
	failed = txn_finish(&txn, walk->ctx);
	TRY(failed != OK ? failed : err);
	check->note_covered = check->note_readable && check->checkpoint.size <= check->size;
	if (check->note_readable && check->checkpoint.size == 0) {
		tree_empty(&check->checkpoint_root);
		check->note_fits = true; /* its form says so */
	}
	return OK;
}

static enum err walk_run(struct walk *walk)
{
	struct tree_check *check = walk->check;

	TRY(walk_start(walk));
	do {
		if (check->stop != NULL && __atomic_load_n(check->stop, __ATOMIC_RELAXED))
			return err_set(
				walk->ctx, ERR_CANCELED, "stopped at entry %" PRIu64, walk->next);
		TRY(slice_walk(walk));
	} while (walk->next < check->size);
	levels_root(walk->levels, walk->levels[0].hashes, walk->levels[0].width, &check->root);
	return OK;
}

enum err tree_check_run(struct tree_check *check, struct errctx *ctx)
{
	CLEANUP(mem_free_p) struct walk *walk = mem_zalloc(sizeof(*walk));
	enum err err;

	buf_init(&check->note, LIMIT_NOTE_SIZE);
	check->note_readable = check->note_covered = check->note_fits = false;
	if (walk == NULL)
		return ERR_NOMEM;
	walk->check = check;
	walk->ctx = ctx;
	walk->blocks_taken = SLICE_BLOCKS;
	helper_start(walk);
	err = walk_run(walk);
	helper_stop(walk);
	return err;
}
