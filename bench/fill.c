/*
 * bench_fill: fills the own log of a node's directory to COUNT entries, with its own keys, and
 * tells on the way what an append and a proof cost at each power of ten.
 *
 *   bench_fill DIR PASSPHRASE-FILE COUNT [curve|ENTRY-BYTES]
 *
 * The node must not be running. At 10^3, 10^4 .. entries, as far as COUNT goes: commits of 1,000,
 * commits of 1, inclusion proofs of random entries and consistency proofs from random sizes, each
 * read through tiles in a transaction of its own; the size of the store's file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "keys.h"
#include "lib.h"
#include "rig.h"
#include "server/store/internal.h"

enum { PACE_COMMITS = 25, SETTLE_S = 10 };
enum { BLOCK = 1000, POINT_BLOCKS = 20, POINT_ONES = 100, POINT_PROOFS = 500 };

struct fill {
	struct rig rig;
	struct pool pool;
	struct bare bare;
	double pace; /* of the disk, at the beginning */
	uint64_t entry_bytes;
	bool points; /* some were printed */
};

static void append(struct fill *fill, size_t count)
{
	struct entries *entries = NULL;

	check(entries_make(fill->pool.entry, count, &entries), NULL, "make entries");
	fill->entry_bytes += entries->size;
	rig_append(&fill->rig, entries);
}

/* As fast as it goes; the pool is made while the writer works. */
static void fill_to(struct fill *fill, uint64_t size)
{
	uint64_t next = fill->rig.size;

	while (next < size) {
		size_t count = size - next < BLOCK ? (size_t)(size - next) : BLOCK;

		pool_fill(&fill->pool, 3, next);
		rig_wait(&fill->rig, 1);
		append(fill, count);
		next += count;
	}
	rig_wait(&fill->rig, 0);
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median(struct samples *samples)
{
	double middle;

	qsort(samples->list, samples->count, sizeof(*samples->list), compare);
	middle = samples->list[samples->count / 2];
	samples_release(samples);
	return middle;
}

/* Seconds per commit. */
struct cost {
	double log, bare;
};
static struct cost commits(struct fill *fill, size_t commit, size_t count)
{
	struct samples log = {0}, bare = {0};
	struct cost cost;

	for (size_t i = 0; i < count; i++) {
		double start, middle;

		pool_fill(&fill->pool, 4, fill->rig.size);
		start = now_s();
		append(fill, commit);
		rig_wait(&fill->rig, 0);
		middle = now_s();
		bare_commit(&fill->bare, fill->pool.entry, commit);
		samples_add(&log, middle - start);
		samples_add(&bare, now_s() - middle);
	}
	cost.log = median(&log);
	cost.bare = median(&bare);
	return cost;
}

/* Seconds of a bare commit of one entry. */
static double disk_pace(struct fill *fill)
{
	struct samples samples = {0};

	for (size_t i = 0; i < PACE_COMMITS; i++) {
		double start = now_s();

		bare_commit(&fill->bare, fill->pool.entry, 1);
		samples_add(&samples, now_s() - start);
	}
	return median(&samples);
}

/* A disk may be slow for a while after much was written: waits, not for ever, until it is as it was
 * at the beginning. */
static void disk_settle(struct fill *fill)
{
	const struct timespec pause = {0, 200 * 1000 * 1000};
	double end = now_s() + SETTLE_S;

	while (disk_pace(fill) > 1.5 * fill->pace && now_s() < end)
		nanosleep(&pause, NULL);
}

static uint64_t below(uint64_t bound)
{
	uint8_t random[8];

	check(random_bytes(random, sizeof(random)), NULL, "random");
	return get_u64be(random) % bound;
}

/* One proof, as an answer to a question from outside: a read transaction of its own. The tree is
 * one of the last 256: how wide the tiles at its edge are makes a difference, which must not be
 * taken for one of the log's size. */
static void prove(const struct fill *fill, bool inclusion, struct proof *ret)
{
	uint64_t size = fill->rig.size - below(TILE_WIDTH);
	struct store_tiles tiles;
	struct tile_reader reader;
	struct tree_source tree;
	struct log_row row;
	struct txn txn;
	enum err err;

	txn_begin(&txn, fill->rig.store->env, TXN_READ);
	check(store_row(&txn, &fill->rig.origin, &row, NULL), NULL, "find the log");
	tiles = (struct store_tiles){&txn, row.number};
	reader = (struct tile_reader){{store_tiles_read, &tiles}, size};
	tree = tile_reader_tree(&reader);
	err = inclusion ? tree_prove_inclusion(&tree, below(size), size, ret)
			: tree_prove_consistency(&tree, 1 + below(size), size, ret);
	check(err, NULL, "prove");
	check(txn_finish(&txn, NULL), NULL, "read");
}

static double proofs(const struct fill *fill, bool inclusion)
{
	struct samples samples = {0};
	struct proof proof;

	for (size_t i = 0; i < POINT_PROOFS; i++) {
		double start = now_s();

		prove(fill, inclusion, &proof);
		samples_add(&samples, now_s() - start);
	}
	return median(&samples);
}

/* `size` is the power of ten; what is appended to measure may not reach the next one. */
static void point(struct fill *fill, uint64_t size)
{
	size_t blocks = size / BLOCK * 5 < POINT_BLOCKS ? (size_t)(size / BLOCK) * 5 : POINT_BLOCKS;
	struct store_usage usage;
	struct cost block, one;
	double inclusion, consistency;

	check(store_usage(fill->rig.store, &usage), NULL, "look at the store");
	inclusion = proofs(fill, true);
	consistency = proofs(fill, false);
	printf("%s{\"entries\": %llu, \"store_file_bytes\": %llu, \"entry_bytes\": %llu",
		fill->points ? ", " : "", (unsigned long long)fill->rig.size,
		(unsigned long long)usage.file_bytes, (unsigned long long)fill->entry_bytes);
	disk_settle(fill);
	block = commits(fill, BLOCK, blocks);
	one = commits(fill, 1, POINT_ONES);
	printf(", \"append_us\": %.9g, \"lmdb_append_us\": %.9g, \"commit_of_1_us\": %.9g, "
	       "\"lmdb_commit_of_1_us\": %.9g",
		block.log / BLOCK * 1e6, block.bare / BLOCK * 1e6, one.log * 1e6, one.bare * 1e6);
	printf(", \"inclusion_proof_us\": %.9g, \"consistency_proof_us\": %.9g}", inclusion * 1e6,
		consistency * 1e6);
	fill->points = true;
}

int main(int argc, char **argv)
{
	struct fill fill = {.points = false};
	char bare[PATH_MAX];
	struct rig_opts opts;
	struct own_node node;
	uint64_t count;
	double start;
	bool curve;

	if (argc < 4 || argc > 5)
		die("usage: bench_fill DIR PASSPHRASE-FILE COUNT [curve|ENTRY-BYTES]");
	count = number_of(argv[3]);
	curve = argc == 5 && strcmp(argv[4], "curve") == 0;
	check(crypto_init(), NULL, "start OpenSSL");
	own_open(&node, argv[1], argv[2]);
	opts = (struct rig_opts){
		.store = node.paths.store,
		.guard = node.paths.guard,
		.network = node.genesis.network,
		.node = node.config.name,
		.directory = node.genesis.origin,
		.directory_key = node.genesis.key,
		.directory_own = node.keys.directory_origin[0] != '\0',
		.origin = node.keys.log_origin,
		.log = node.log,
		.node_key = node.node,
	};
	rig_open(&fill.rig, &opts);
	check(files_join(argv[1], "bench-bare", bare, NULL), NULL, "make a path");
	bare_open(&fill.bare, bare);
	pool_init_of(&fill.pool, BLOCK, argc == 5 && !curve ? number_of(argv[4]) : ENTRY_SIZE);
	pool_fill(&fill.pool, 3, 0);
	fill.pace = disk_pace(&fill);
	start = now_s();
	printf("{\"origin\": \"%s\", \"curve\": [", node.keys.log_origin);
	for (uint64_t size = BLOCK; curve && size <= count; size *= 10) {
		fill_to(&fill, size);
		point(&fill, size);
	}
	fill_to(&fill, count);
	printf("], \"entries\": %llu, \"entry_bytes\": %llu, \"seconds\": %.9g}\n",
		(unsigned long long)fill.rig.size, (unsigned long long)fill.entry_bytes,
		now_s() - start);
	bare_close(&fill.bare);
	directory_remove(bare);
	rig_close(&fill.rig);
	pool_release(&fill.pool);
	own_release(&node);
	crypto_release();
	return 0;
}
