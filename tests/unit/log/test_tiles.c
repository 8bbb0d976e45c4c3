/*
 * Tiles against the compact range, which test_tree holds to RFC 6962: grown in random steps to
 * 70,000 leaves, and at once; widths as FORMAT has them; edges of the largest log; failures.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/alloc.h"
#include "replication/log/tiles.h"

enum { LEAVES = 70000, LEVELS = 4, TILES = LEAVES / TILE_WIDTH + 1 };

/* Whatever was written, checked as it comes. */
struct store {
	uint8_t (*tiles[LEVELS])[TILE_SIZE];
	unsigned width[LEVELS][TILES];
	uint64_t size; /* of the tree when the write under way is done */
	size_t writes, reads;
	size_t fail_read, fail_write; /* this one fails; 0: none */
	bool written;                 /* something in this extension: last is valid */
	struct tile_id last;
};

static struct hash leaves[LEAVES];
static struct hash roots[LEAVES + 1]; /* by size */

static enum err store_read(void *arg, struct tile_id id, unsigned width, struct bytes *ret)
{
	struct store *store = arg;

	assert_true(id.level < LEVELS && id.index < TILES && width > 0 && width <= TILE_WIDTH);
	if (++store->reads == store->fail_read)
		return ERR_IO;
	if (store->width[id.level][id.index] < width)
		return ERR_NOTFOUND;
	*ret = bytes_make(store->tiles[id.level][id.index],
		(size_t)store->width[id.level][id.index] * HASH_SIZE);
	return OK;
}

static enum err store_write(void *arg, struct tile_id id, struct bytes hashes)
{
	struct store *store = arg;
	unsigned before;

	assert_true(id.level < LEVELS && id.index < TILES);
	before = store->width[id.level][id.index];
	/* the whole tile, grown, nothing of it changed; each once, lowest level first */
	assert_int_equal(hashes.size, (size_t)tile_width(id, store->size) * HASH_SIZE);
	assert_true(hashes.size > before * HASH_SIZE);
	assert_memory_equal(store->tiles[id.level][id.index], hashes.data, before * HASH_SIZE);
	if (store->written)
		assert_true(id.level > store->last.level ||
			    (id.level == store->last.level && id.index > store->last.index));
	if (++store->writes == store->fail_write)
		return ERR_FULL;
	store->written = true;
	store->last = id;
	store->width[id.level][id.index] = (unsigned)(hashes.size / HASH_SIZE);
	memcpy(store->tiles[id.level][id.index], hashes.data, hashes.size);
	return OK;
}

static void store_init(struct store *store)
{
	*store = (struct store){0};
	for (size_t i = 0; i < LEVELS; i++)
		store->tiles[i] = calloc(TILES, TILE_SIZE);
}

static void store_release(struct store *store)
{
	for (size_t i = 0; i < LEVELS; i++)
		free(store->tiles[i]);
}

static void store_extend(struct store *store, size_t count)
{
	struct tile_source source = {store_read, store};
	struct tile_sink sink = {store_write, store};
	uint64_t before = store->size;

	store->size += count;
	store->written = false;
	assert_int_equal(tiles_extend(&source, before, &leaves[before], count, &sink), OK);
}

static int setup(void **state)
{
	struct compact compact;

	if (crypto_init() != OK)
		return -1;
	compact_init(&compact);
	compact_root(&compact, &roots[0]);
	for (size_t i = 0; i < LEAVES; i++) {
		uint8_t data[4];

		put_u32be(data, (uint32_t)i);
		tree_leaf(BYTES_ARRAY(data), &leaves[i]);
		compact_append(&compact, &leaves[i]);
		compact_root(&compact, &roots[i + 1]);
	}
	return 0;
}

static int teardown(void **state)
{
	crypto_release();
	return 0;
}

/* A small generator, so that a run can be had again. */
static uint64_t random_below(uint64_t *seed, uint64_t below)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed % below;
}

static void check_proofs(struct store *store, uint64_t size, uint64_t index)
{
	struct tile_reader reader = {{store_read, store}, size};
	struct tree_source tree = tile_reader_tree(&reader);
	struct proof proof;

	store->reads = 0;
	assert_int_equal(tree_prove_inclusion(&tree, index, size, &proof), OK);
	assert_true(store->reads <= 40);
	assert_true(proof_inclusion_ok(&proof, index, &leaves[index], size, &roots[size]));
	store->reads = 0;
	assert_int_equal(tree_prove_consistency(&tree, index, size, &proof), OK);
	assert_true(store->reads <= 40);
	assert_true(proof_consistency_ok(&proof, index, &roots[index], size, &roots[size]));
}

/* Of this size and of one before it: stored tiles may be wider than the tree that is asked about.
 */
static void check_tree(struct store *store, uint64_t size, uint64_t *seed)
{
	struct tile_reader reader = {{store_read, store}, size};
	struct tree_source tree = tile_reader_tree(&reader);
	struct compact loaded, compact;
	struct hash root;

	assert_int_equal(tree_root(&tree, size, &root), OK);
	assert_true(hash_equal(&root, &roots[size]));
	assert_int_equal(compact_load(&loaded, &tree, size), OK);
	compact_root(&loaded, &root);
	assert_true(hash_equal(&root, &roots[size]));
	compact = loaded;
	for (uint64_t i = size; i < size + 3 && i < LEAVES; i++) {
		compact_append(&compact, &leaves[i]);
		compact_root(&compact, &root);
		assert_true(hash_equal(&root, &roots[i + 1]));
	}
	check_proofs(store, size, 0);
	check_proofs(store, size, size - 1);
	for (int i = 0; i < 10; i++)
		check_proofs(store, size, random_below(seed, size));
}

static void check_final(const struct store *store)
{
	assert_int_equal(store->width[0][272], 256);
	for (size_t i = 0; i < 273; i++)
		assert_int_equal(store->width[0][i], 256);
	assert_int_equal(store->width[0][273], 112);
	assert_int_equal(store->width[1][0], 256);
	assert_int_equal(store->width[1][1], 17);
	assert_int_equal(store->width[1][2], 0);
	assert_int_equal(store->width[2][0], 1);
	assert_int_equal(store->width[2][1], 0);
	assert_int_equal(store->width[3][0], 0);
}

static void test_width(void **state)
{
	assert_int_equal(tile_width((struct tile_id){0, 0}, 0), 0);
	assert_int_equal(tile_width((struct tile_id){0, 0}, 1), 1);
	assert_int_equal(tile_width((struct tile_id){0, 0}, 255), 255);
	assert_int_equal(tile_width((struct tile_id){1, 0}, 255), 0);
	assert_int_equal(tile_width((struct tile_id){0, 0}, 256), 256);
	assert_int_equal(tile_width((struct tile_id){0, 1}, 256), 0);
	assert_int_equal(tile_width((struct tile_id){1, 0}, 256), 1);
	assert_int_equal(tile_width((struct tile_id){0, 1}, 257), 1);
	assert_int_equal(tile_width((struct tile_id){0, 273}, LEAVES), 112);
	assert_int_equal(tile_width((struct tile_id){0, 274}, LEAVES), 0);
	assert_int_equal(tile_width((struct tile_id){1, 1}, LEAVES), 17);
	assert_int_equal(tile_width((struct tile_id){2, 0}, LEAVES), 1);
	assert_int_equal(tile_width((struct tile_id){3, 0}, LEAVES), 0);
	assert_int_equal(tile_width((struct tile_id){6, 0}, LIMIT_LOG_SIZE), 1);
	assert_int_equal(tile_width((struct tile_id){5, 0}, LIMIT_LOG_SIZE), 256);
	assert_int_equal(tile_width((struct tile_id){7, 0}, UINT64_MAX), 0);
	assert_int_equal(tile_width((struct tile_id){0, UINT64_MAX}, UINT64_MAX), 0);
}

static void test_grow_randomly(void **state)
{
	const uint64_t steps[] = {1, 3, 255, 256, 257, 512, 1000, 5000};
	uint64_t seed = 0x5a175a175a17;
	struct store store;

	store_init(&store);
	while (store.size < LEAVES) {
		uint64_t count = 1 + random_below(&seed, steps[random_below(&seed, 8)]);

		if (count > LEAVES - store.size)
			count = LEAVES - store.size;
		store_extend(&store, count);
		check_tree(&store, store.size, &seed);
		check_tree(&store, 1 + random_below(&seed, store.size), &seed);
	}
	check_final(&store);
	store_release(&store);
}

/* One by one over the first boundaries: every size, every proof of some. */
static void test_grow_singly(void **state)
{
	uint64_t seed = 1;
	struct store store;

	store_init(&store);
	for (size_t size = 1; size <= 530; size++) {
		store_extend(&store, 1);
		check_tree(&store, size, &seed);
	}
	for (size_t index = 0; index < 530; index++)
		check_proofs(&store, 530, index);
	store_release(&store);
}

/* In one go over three levels; the same bytes as in many steps, and no write too many. */
static void test_grow_at_once(void **state)
{
	uint64_t seed = 2;
	struct store once, steps;

	store_init(&once);
	store_init(&steps);
	store_extend(&once, LEAVES);
	assert_int_equal(once.writes, 274 + 2 + 1);
	assert_int_equal(once.reads, 0);
	check_final(&once);
	check_tree(&once, LEAVES, &seed);
	store_extend(&steps, 1);
	store_extend(&steps, 65534);
	store_extend(&steps, 0); /* nothing: no write */
	assert_false(steps.written);
	store_extend(&steps, 1);
	assert_int_equal(steps.last.level, 2);
	store_extend(&steps, LEAVES - 65536);
	for (size_t level = 0; level < LEVELS; level++) {
		assert_memory_equal(once.width[level], steps.width[level], sizeof(once.width[0]));
		assert_memory_equal(once.tiles[level], steps.tiles[level], TILES * TILE_SIZE);
	}
	store_release(&once);
	store_release(&steps);
}

/* Nodes that a tree does not have; and the source's troubles. */
static void test_reader_refuses(void **state)
{
	struct store store;
	struct tile_reader reader = {{store_read, &store}, 300};
	struct tree_source tree = tile_reader_tree(&reader);
	struct hash before, hash;
	struct proof proof;

	store_init(&store);
	store_extend(&store, 300);
	memset(&hash, 0x5a, sizeof(hash));
	before = hash;
	assert_int_equal(tree.node(tree.arg, 0, 300, &hash), ERR_INVALID);
	assert_int_equal(tree.node(tree.arg, 2, 75, &hash), ERR_INVALID);
	assert_int_equal(tree.node(tree.arg, 8, 1, &hash), ERR_INVALID);
	assert_int_equal(tree.node(tree.arg, 9, 0, &hash), ERR_INVALID);
	assert_int_equal(tree.node(tree.arg, 56, 0, &hash), ERR_INVALID);
	assert_int_equal(tree.node(tree.arg, 0, UINT64_MAX, &hash), ERR_INVALID);
	assert_int_equal(store.reads, 0);
	reader.size = 301; /* more than is stored */
	assert_int_equal(tree.node(tree.arg, 0, 300, &hash), ERR_NOTFOUND);
	store.reads = 0;
	store.fail_read = 3;
	assert_int_equal(tree_prove_inclusion(&tree, 290, 300, &proof), ERR_IO);
	assert_memory_equal(&hash, &before, sizeof(hash));
	store_release(&store);
}

static enum err narrow_read(void *arg, struct tile_id id, unsigned width, struct bytes *ret)
{
	static const uint8_t data[TILE_SIZE];

	*ret = bytes_make(data, (size_t)width * HASH_SIZE - 1);
	return OK;
}

static void test_narrow_tile(void **state)
{
	struct tile_source source = {narrow_read, NULL};
	struct tile_reader reader = {source, 300};
	struct tree_source tree = tile_reader_tree(&reader);
	struct store store;
	struct tile_sink sink = {store_write, &store};
	struct hash hash;

	store_init(&store);
	assert_int_equal(tree.node(tree.arg, 0, 5, &hash), ERR_CORRUPT);
	assert_int_equal(tiles_extend(&source, 3, leaves, 1, &sink), ERR_CORRUPT);
	assert_int_equal(store.writes, 0);
	store_release(&store);
}

/* 300 leaves upon 300, with the given read or write failing: two reads (a partial tile on each
 * level), three writes. */
static enum err extend_failing(size_t fail_read, size_t fail_write)
{
	struct store store;
	struct tile_source source = {store_read, &store};
	struct tile_sink sink = {store_write, &store};
	enum err e;

	store_init(&store);
	store_extend(&store, 300);
	store.size = 600;
	store.written = false;
	store.reads = store.writes = 0;
	store.fail_read = fail_read;
	store.fail_write = fail_write;
	e = tiles_extend(&source, 300, &leaves[300], 300, &sink);
	store_release(&store);
	return e;
}

static void test_extension_fails(void **state)
{
	assert_int_equal(extend_failing(1, 0), ERR_IO);
	assert_int_equal(extend_failing(2, 0), ERR_IO);
	assert_int_equal(extend_failing(3, 0), OK);
	assert_int_equal(extend_failing(0, 1), ERR_FULL);
	assert_int_equal(extend_failing(0, 2), ERR_FULL);
	assert_int_equal(extend_failing(0, 3), ERR_FULL);
	assert_int_equal(extend_failing(0, 4), OK);
}

/* ---- logs too large to build: the right edge is made up ---- */

struct edge {
	struct tile_id written[16];
	size_t width[16];
	size_t count;
};

static enum err edge_read(void *arg, struct tile_id id, unsigned width, struct bytes *ret)
{
	static const uint8_t data[TILE_SIZE];

	*ret = bytes_make(data, (size_t)width * HASH_SIZE);
	return OK;
}

static enum err edge_write(void *arg, struct tile_id id, struct bytes hashes)
{
	struct edge *edge = arg;

	assert_true(edge->count < 16);
	edge->written[edge->count] = id;
	edge->width[edge->count++] = hashes.size / HASH_SIZE;
	return OK;
}

static void check_edge(const struct edge *edge, size_t i, struct tile_id id, size_t width)
{
	assert_true(i < edge->count);
	assert_int_equal(edge->written[i].level, id.level);
	assert_int_equal(edge->written[i].index, id.index);
	assert_int_equal(edge->width[i], width);
}

static void test_many_levels(void **state)
{
	struct tile_source source = {edge_read, NULL};
	struct edge edge = {0};
	struct tile_sink sink = {edge_write, &edge};

	assert_int_equal(tiles_extend(&source, (1 << 24) - 1, leaves, 2, &sink), OK);
	assert_int_equal(edge.count, 5);
	check_edge(&edge, 0, (struct tile_id){0, 65535}, 256);
	check_edge(&edge, 1, (struct tile_id){0, 65536}, 1);
	check_edge(&edge, 2, (struct tile_id){1, 255}, 256);
	check_edge(&edge, 3, (struct tile_id){2, 0}, 256);
	check_edge(&edge, 4, (struct tile_id){3, 0}, 1);
}

/* The last leaf a log may have, and one more. */
static void test_largest_log(void **state)
{
	struct tile_source source = {edge_read, NULL};
	struct edge edge = {0};
	struct tile_sink sink = {edge_write, &edge};

	assert_int_equal(tiles_extend(&source, LIMIT_LOG_SIZE - 1, leaves, 2, &sink), ERR_LIMIT);
	assert_int_equal(tiles_extend(&source, LIMIT_LOG_SIZE, leaves, 1, &sink), ERR_LIMIT);
	assert_int_equal(tiles_extend(&source, LIMIT_LOG_SIZE + 1, leaves, 0, &sink), ERR_LIMIT);
	assert_int_equal(edge.count, 0);
	assert_int_equal(tiles_extend(&source, LIMIT_LOG_SIZE - 1, leaves, 1, &sink), OK);
	assert_int_equal(edge.count, 7);
	for (unsigned level = 0; level < 6; level++)
		check_edge(&edge, level,
			(struct tile_id){level, (LIMIT_LOG_SIZE >> (8 * (level + 1))) - 1}, 256);
	check_edge(&edge, 6, (struct tile_id){6, 0}, 1);
}

static int fail_allocation; /* the n-th from here on */

static void *failing_resize(void *arg, void *pointer, size_t size)
{
	if (size > 0 && --fail_allocation == 0)
		return NULL;
	if (size > 0)
		return realloc(pointer, size);
	free(pointer);
	return NULL;
}

static void test_out_of_memory(void **state)
{
	const struct allocator allocator = {failing_resize, NULL};
	struct tile_source source = {edge_read, NULL};
	struct edge edge = {0};
	struct tile_sink sink = {edge_write, &edge};

	mem_set_allocator(&allocator);
	for (int n = 1; n <= 2; n++) {
		fail_allocation = n;
		assert_int_equal(tiles_extend(&source, 5, leaves, 1, &sink), ERR_NOMEM);
	}
	mem_set_allocator(NULL);
	assert_int_equal(edge.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_width),
		cmocka_unit_test(test_grow_randomly),
		cmocka_unit_test(test_grow_singly),
		cmocka_unit_test(test_grow_at_once),
		cmocka_unit_test(test_reader_refuses),
		cmocka_unit_test(test_narrow_tile),
		cmocka_unit_test(test_extension_fails),
		cmocka_unit_test(test_many_levels),
		cmocka_unit_test(test_largest_log),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
