/*
 * The walk over logs that are right, and over every kind of log that is not: above all forged data
 * that is consistent with itself, in the first, a middle and the last tile of every level, which a
 * verifier takes that authenticates some tiles and not all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "replication/audit/walk.h"
#include "tests/unit/audit/memory_log.h"
#include "tests/unit/base/failing_alloc.h"

enum { LARGE = 70000 };

static const uint64_t sizes[] = {1, 2, 255, 256, 257, 512, 5000, 65535, 65536, 65537, LARGE};

struct outcome {
	struct walk_result result;
	struct findings *findings;
	uint64_t next; /* each: index that comes next */
};

static enum err on_entry(void *arg, uint64_t index, struct bytes entry)
{
	struct outcome *o = arg;

	assert_int_equal(index, o->next);
	assert_true(entry.size > 5);
	o->next++;
	return OK;
}

static enum err look(struct memory_log *log, struct outcome *o, struct walk_opts opts)
{
	struct errctx ctx = {""};

	*o = (struct outcome){.next = opts.from == NULL ? 0 : opts.from->size};
	assert_int_equal(findings_new(&o->findings), OK);
	opts.source = &log->source;
	opts.origin = log->checkpoint.origin.text;
	opts.checkpoint = &log->checkpoint;
	opts.note = bytes_str("the note");
	opts.findings = o->findings;
	opts.each = on_entry;
	opts.arg = o;
	return walk_run(&opts, &o->result, &ctx);
}

static void outcome_release(struct outcome *o)
{
	findings_free(o->findings);
}

static const struct finding *first(const struct outcome *o)
{
	assert_true(findings_count(o->findings) > 0);
	return findings_at(o->findings, 0);
}

/* One finding of this kind, with this index. */
static void expect(const struct outcome *o, enum finding_kind kind, uint64_t index)
{
	if (findings_count(o->findings) != 1 || first(o)->kind != kind || first(o)->index != index)
		for (size_t i = 0; i < findings_count(o->findings); i++)
			print_message("%d %llu: %s\n", findings_at(o->findings, i)->kind,
				(unsigned long long)findings_at(o->findings, i)->index,
				findings_at(o->findings, i)->text);
	assert_int_equal(findings_count(o->findings), 1);
	assert_int_equal(first(o)->kind, kind);
	assert_true(first(o)->has_index);
	assert_int_equal(first(o)->index, index);
	assert_true(o->result.has_bad);
	assert_int_equal(o->result.bad, index);
	assert_false(o->result.sound);
}

/* --- what is right --- */

static void test_right(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct memory_log log;
		struct outcome o;
		struct hash root;

		memory_log_init(&log, sizes[i]);
		for (int full = 0; full < 2; full++) {
			log.full_alone = full;
			assert_int_equal(look(&log, &o, (struct walk_opts){.marks = {1}}), OK);
			assert_true(o.result.sound && o.result.whole && !o.result.has_bad);
			assert_int_equal(findings_count(o.findings), 0);
			assert_int_equal(o.result.size, sizes[i]);
			assert_int_equal(o.next, sizes[i]);
			assert_true(o.result.marked[0]);
			assert_true(hash_equal(&o.result.mark[0], &log.hashes[0][0]));
			compact_root(&o.result.tree, &root);
			assert_true(hash_equal(&root, &log.checkpoint.root));
			outcome_release(&o);
		}
		memory_log_release(&log);
	}
}

/* The root at any size on the way, in blocks and at their edges. */
static void test_mark(void **state)
{
	const uint64_t marks[] = {1, 255, 256, 257, 300, 511, 512, 4999, 5000};
	struct memory_log log;

	(void)state;
	memory_log_init(&log, 5000);
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		struct compact tree;
		struct outcome o;
		struct hash root;

		memory_compact(&log, marks[i], &tree);
		compact_root(&tree, &root);
		assert_int_equal(look(&log, &o, (struct walk_opts){.marks = {marks[i], 5000}}), OK);
		assert_true(o.result.sound && o.result.marked[0] && o.result.marked[1]);
		assert_true(hash_equal(&o.result.mark[0], &root));
		assert_true(hash_equal(&o.result.mark[1], &log.checkpoint.root));
		outcome_release(&o);
	}
	memory_log_release(&log);
}

/* Read and hashed in any order, taken in order: as by several threads. */
static void test_shared_out(void **state)
{
	struct walk_block *blocks[3];
	struct walk_result result;
	struct findings *findings;
	struct memory_log log;
	struct walk *walk;
	bool more = true;

	(void)state;
	memory_log_init(&log, 3000);
	memory_forge(&log, 1234, 1);
	assert_int_equal(findings_new(&findings), OK);
	assert_int_equal(walk_new(&(struct walk_opts){.source = &log.source,
					  .origin = log.checkpoint.origin.text,
					  .checkpoint = &log.checkpoint,
					  .findings = findings},
				 &walk, NULL),
		OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(walk_block_new(&blocks[i]), OK);
	while (more) {
		int count = 0;

		while (count < 3 && (more = walk_next(walk, blocks[count])))
			count++;
		for (int i = count; i-- > 0;)
			walk_read(walk, blocks[i]);
		for (int i = count; i-- > 0;)
			walk_hash(walk, blocks[i]);
		for (int i = 0; i < count; i++)
			assert_int_equal(walk_take(walk, blocks[i], NULL), OK);
	}
	assert_int_equal(walk_end(walk, &result, NULL), OK);
	assert_false(result.sound);
	assert_int_equal(result.bad, 1024);
	for (int i = 0; i < 3; i++)
		walk_block_free(blocks[i]);
	walk_free(walk);
	findings_free(findings);
	memory_log_release(&log);
}

/* --- forged, and consistent with itself --- */

/* Tiles of `levels` levels fit to the forged entry, those above it are the signed ones. */
static void forge(struct memory_log *log, uint64_t at, unsigned levels)
{
	unsigned height = 1; /* levels that have a hash above this entry */
	struct outcome o;

	memory_forge(log, at, levels);
	while (height < MEMORY_LEVELS && at >> (8 * height) < log->size >> (8 * height))
		height++;
	assert_int_equal(look(log, &o, (struct walk_opts){0}), OK);
	if (levels >= height)
		expect(&o, FINDING_ROOT_DIFFERS, 0);
	else if (levels == 0)
		expect(&o, FINDING_ENTRY_CHANGED, at);
	else
		expect(&o, FINDING_ENTRY_CHANGED, at >> (8 * levels) << (8 * levels));
	outcome_release(&o);
	memory_heal(log);
}

static void test_forged(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t size = sizes[i];
		struct memory_log log;

		memory_log_init(&log, size);
		/* Of each level the first, a middle and the last tile that has a hash of it. */
		for (unsigned level = 0; level < 3; level++) {
			uint64_t width = UINT64_C(1) << (8 * level);
			uint64_t count = size / width;

			for (unsigned levels = 0; levels <= level + 1 && count > 0; levels++) {
				forge(&log, 0, levels);
				forge(&log,
					count / 2 * width + width / 3 < size
						? count / 2 * width + width / 3
						: size / 2,
					levels);
				forge(&log, size - 1, levels);
				forge(&log, (count - 1) * width, levels);
			}
		}
		memory_log_release(&log);
	}
}

/* Two of them: the first is told, however the second is hidden. */
static void test_forged_twice(void **state)
{
	struct memory_log log;
	struct outcome o;

	(void)state;
	memory_log_init(&log, LARGE);
	memory_forge(&log, 69999, 0);
	memory_forge(&log, 300, 0);
	assert_int_equal(look(&log, &o, (struct walk_opts){0}), OK);
	expect(&o, FINDING_ENTRY_CHANGED, 300);
	assert_string_equal(first(&o)->proofs[0].name, "entry");
	assert_int_equal(first(&o)->proofs[0].data.size, strlen("forged 300"));
	assert_memory_equal(first(&o)->proofs[0].data.data, "forged 300", strlen("forged 300"));
	outcome_release(&o);
	memory_log_release(&log);
}

/* --- a file is changed --- */

static void change(struct memory_log *log, const char *path, int how, size_t at,
	enum finding_kind kind, uint64_t index)
{
	struct outcome o;

	strcpy(log->path, path);
	log->change = how;
	log->at = at;
	assert_int_equal(look(log, &o, (struct walk_opts){0}), OK);
	expect(&o, kind, index);
	outcome_release(&o);
	log->change = 0;
}

/* Every hash of some tiles of every level, the rest at its ends. */
static void test_tiles_changed(void **state)
{
	struct memory_log log;

	(void)state;
	memory_log_init(&log, LARGE);
	for (unsigned at = 0; at < TILE_WIDTH; at += 51) {
		change(&log, "tile/0/000", 'x', at * 32, FINDING_TILE_CHANGED, at);
		change(&log, "tile/0/100", 'x', at * 32 + 31, FINDING_TILE_CHANGED, 25600 + at);
		change(&log, "tile/0/272", 'x', at * 32 + 9, FINDING_TILE_CHANGED, 69632 + at);
		change(&log, "tile/1/000", 'x', at * 32, FINDING_TILE_CHANGED, at * 256);
	}
	change(&log, "tile/0/273.p/112", 'x', 111 * 32 + 31, FINDING_TILE_CHANGED, LARGE - 1);
	change(&log, "tile/1/001.p/17", 'x', 16 * 32, FINDING_TILE_CHANGED, 65536 + 4096);
	change(&log, "tile/2/000.p/1", 'x', 5, FINDING_TILE_CHANGED, 0);
	for (const char *how = "cl"; *how != '\0'; how++) {
		change(&log, "tile/0/001", *how, 0, FINDING_TILE_CHANGED, 256);
		change(&log, "tile/0/273.p/112", *how, 0, FINDING_TILE_CHANGED, 69888);
		change(&log, "tile/1/000", *how, 0, FINDING_TILE_CHANGED, 0);
		change(&log, "tile/2/000.p/1", *how, 0, FINDING_TILE_CHANGED, 0);
	}
	change(&log, "tile/0/001", 'g', 0, FINDING_FILE_MISSING, 256);
	change(&log, "tile/1/001.p/17", 'g', 0, FINDING_FILE_MISSING, 65536);
	change(&log, "tile/2/000.p/1", 'g', 0, FINDING_FILE_MISSING, 0);
	memory_log_release(&log);
}

static void test_entries_changed(void **state)
{
	struct memory_log log;

	(void)state;
	memory_log_init(&log, LARGE);
	/* "entry 0" is 2 + 7 bytes */
	change(&log, "tile/entries/000", 'x', 2, FINDING_ENTRY_CHANGED, 0);
	change(&log, "tile/entries/000", 'x', 9 + 8, FINDING_ENTRY_CHANGED, 1);
	change(&log, "tile/entries/000", 'x', 1, FINDING_ENTRY_CUT, 0);
	change(&log, "tile/entries/000", 'x', 0, FINDING_ENTRY_CUT, 0);
	change(&log, "tile/entries/001", 'x', 11 * 100, FINDING_ENTRY_CUT, 256 + 100);
	change(&log, "tile/entries/000", 'c', 0, FINDING_ENTRY_CUT, 255);
	change(&log, "tile/entries/002", 'l', 0, FINDING_ENTRY_CUT, 767);
	change(&log, "tile/entries/002", 'g', 0, FINDING_FILE_MISSING, 512);
	change(&log, "tile/entries/273.p/112", 'g', 0, FINDING_FILE_MISSING, 69888);
	change(&log, "tile/entries/273.p/112", 'c', 0, FINDING_ENTRY_CUT, LARGE - 1);
	change(&log, "tile/entries/273.p/112", 'l', 0, FINDING_ENTRY_CUT, LARGE - 1);
	memory_log_release(&log);
}

/* A bad tile and a bad entry: both are told, the entry exactly where its tile can be believed. */
static void test_both(void **state)
{
	struct memory_log log;
	struct outcome o;

	(void)state;
	memory_log_init(&log, LARGE);
	memory_forge(&log, 5000, 0);
	strcpy(log.path, "tile/0/002");
	log.change = 'x';
	assert_int_equal(look(&log, &o, (struct walk_opts){0}), OK);
	assert_int_equal(findings_count(o.findings), 2);
	assert_int_equal(first(&o)->kind, FINDING_ENTRY_CHANGED);
	assert_int_equal(first(&o)->index, 5000);
	assert_int_equal(findings_at(o.findings, 1)->kind, FINDING_TILE_CHANGED);
	assert_int_equal(findings_at(o.findings, 1)->index, 512);
	assert_int_equal(o.result.bad, 512);
	outcome_release(&o);
	strcpy(log.path, "tile/0/019");
	assert_int_equal(look(&log, &o, (struct walk_opts){0}), OK);
	assert_int_equal(first(&o)->kind, FINDING_ENTRY_CHANGED);
	assert_int_equal(first(&o)->index, 19 * 256);
	outcome_release(&o);
	memory_log_release(&log);
}

/* Many bad tiles do not fill the list, and do not hide an entry. */
static void test_flood(void **state)
{
	struct memory_log log;
	struct outcome o;

	(void)state;
	memory_log_init(&log, LARGE);
	for (size_t i = 0; i < 270; i++)
		log.hashes[0][i * TILE_WIDTH].b[3] ^= 1;
	assert_int_equal(look(&log, &o, (struct walk_opts){0}), OK);
	assert_true(findings_count(o.findings) == 17);
	assert_int_equal(first(&o)->kind, FINDING_TILE_CHANGED);
	assert_non_null(strstr(findings_at(o.findings, 16)->text, "254 more"));
	assert_int_equal(o.result.bad, 0);
	outcome_release(&o);
	memory_forge(&log, 69900, 0);
	assert_int_equal(look(&log, &o, (struct walk_opts){0}), OK);
	assert_int_equal(first(&o)->kind, FINDING_ENTRY_CHANGED);
	assert_int_equal(first(&o)->index, 69900);
	outcome_release(&o);
	memory_log_release(&log);
}

/* --- sources --- */

static void test_could_not_look(void **state)
{
	const char *const paths[] = {"tile/entries/001", "tile/0/001", "tile/1/000"};
	struct memory_log log;
	struct outcome o;

	(void)state;
	memory_log_init(&log, LARGE);
	for (size_t i = 0; i < 3; i++) {
		strcpy(log.path, paths[i]);
		log.change = 'e';
		assert_int_equal(look(&log, &o, (struct walk_opts){0}), ERR_IO);
		assert_int_equal(findings_count(o.findings), 0);
		outcome_release(&o);
	}
	memory_log_release(&log);
}

static void test_without_tiles(void **state)
{
	struct memory_log log;
	struct outcome o;

	(void)state;
	memory_log_init(&log, 5000);
	log.source.tiles = false;
	assert_int_equal(look(&log, &o, (struct walk_opts){0}), OK);
	assert_true(o.result.sound);
	assert_int_equal(log.reads, log.entry_reads);
	outcome_release(&o);
	memory_forge(&log, 4000, 0);
	assert_int_equal(look(&log, &o, (struct walk_opts){0}), OK);
	expect(&o, FINDING_ROOT_DIFFERS, 0);
	outcome_release(&o);
	memory_log_release(&log);
}

/* --- from the last visit on --- */

static enum err look_from(struct memory_log *log, uint64_t size, struct outcome *o)
{
	struct compact tree;
	struct hash root;

	memory_compact(log, size, &tree);
	compact_root(&tree, &root);
	log->reads = log->entry_reads = 0;
	return look(log, o, (struct walk_opts){.from = &tree, .from_root = &root});
}

static void test_incremental(void **state)
{
	struct memory_log log;
	struct outcome o;

	(void)state;
	memory_log_init(&log, LARGE);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(look_from(&log, sizes[i], &o), OK);
		assert_true(o.result.sound);
		assert_int_equal(o.result.from, sizes[i]);
		assert_int_equal(o.next, LARGE);
		assert_int_equal(
			log.entry_reads, sizes[i] == LARGE ? 0 : 274 - sizes[i] / TILE_WIDTH);
		outcome_release(&o);
	}
	/* as much to read, however much there was before */
	assert_int_equal(look_from(&log, LARGE - 1000, &o), OK);
	assert_int_equal(log.entry_reads, 4 + 1);
	assert_true(log.reads < 4 + 1 + 12);
	outcome_release(&o);
	memory_log_release(&log);
}

/* A source that has the end of a log alone, as a bundle for somebody who had the rest. */
static void test_without_a_beginning(void **state)
{
	static const uint64_t starts[] = {0, 1, 100, 255, 256, 300, 511, 512, 599};
	static const uint64_t from[] = {1, 100, 255, 256, 300, 511, 512, 599, 600};
	struct memory_log log;
	struct outcome o;

	(void)state;
	memory_log_init(&log, 600);
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		for (size_t k = 0; k < sizeof(from) / sizeof(from[0]); k++) {
			enum err expected = starts[i] > from[k] ? ERR_UNREACHABLE : OK;

			log.source.tiles = false;
			log.starts = starts[i];
			assert_int_equal(look_from(&log, from[k], &o), expected);
			assert_int_equal(findings_count(o.findings), 0);
			if (expected == OK) {
				assert_true(o.result.sound && o.result.rooted);
				assert_int_equal(o.next, 600);
			}
			outcome_release(&o);
			if (expected != OK)
				continue;
			memory_forge(&log, 599, MEMORY_LEVELS); /* the last one */
			assert_int_equal(look_from(&log, from[k] == 600 ? 599 : from[k], &o), OK);
			assert_false(o.result.sound);
			assert_int_equal(first(&o)->kind, FINDING_ROOT_DIFFERS);
			outcome_release(&o);
			memory_heal(&log);
		}
		assert_int_equal(look(&log, &o, (struct walk_opts){.from = NULL}),
			starts[i] == 0 ? OK : ERR_UNREACHABLE);
		outcome_release(&o);
	}
	/* With tiles nothing may be missing. */
	log.source.tiles = true;
	log.starts = 0;
	assert_int_equal(look_from(&log, 300, &o), OK);
	assert_true(o.result.sound);
	outcome_release(&o);
	memory_log_release(&log);
}

static void test_incremental_bad(void **state)
{
	struct compact tree;
	struct memory_log log;
	struct outcome o;
	struct hash root;

	(void)state;
	memory_log_init(&log, LARGE);
	memory_compact(&log, 69000, &tree);
	compact_root(&tree, &root);
	const struct walk_opts opts = {.from = &tree, .from_root = &root};

	/* new entries, new and old hashes of its tiles */
	memory_forge(&log, 69500, 0);
	assert_int_equal(look(&log, &o, opts), OK);
	expect(&o, FINDING_ENTRY_CHANGED, 69500);
	outcome_release(&o);
	log.forged = 0;
	strcpy(log.path, "tile/1/001.p/17");
	for (log.at = 0; log.at < 17 * 32; log.at += 16) {
		log.change = 'x';
		assert_int_equal(look(&log, &o, opts), OK);
		assert_int_equal(findings_count(o.findings), 1);
		assert_int_equal(first(&o)->kind, FINDING_TILE_CHANGED);
		outcome_release(&o);
	}
	log.change = 'g';
	assert_int_equal(look(&log, &o, opts), OK);
	assert_int_equal(first(&o)->kind, FINDING_FILE_MISSING);
	outcome_release(&o);
	log.change = 0;
	/* an old entry in the file in which the last visit ended; behind it nothing is wrong */
	memory_forge(&log, 68900, 0);
	assert_int_equal(look(&log, &o, opts), OK);
	assert_true(findings_count(o.findings) >= 1);
	assert_int_equal(first(&o)->kind, FINDING_ENTRY_CHANGED);
	assert_int_equal(o.result.bad, 68864);
	outcome_release(&o);
	memory_log_release(&log);
	/* what is remembered does not fit together */
	memory_log_init(&log, 1000);
	assert_int_equal(look(&log, &o, opts), ERR_INVALID);
	outcome_release(&o);
	memory_log_release(&log);
}

/* A log that was written anew, signed and all, is not the one of the last visit: wherever it
 * changed, at sizes that end anywhere. */
static void test_fork(void **state)
{
	const uint64_t from[] = {1, 200, 256, 300, 4999, 5000, 5100};
	const uint64_t changed[] = {0, 100, 257, 4998};

	(void)state;
	for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		struct memory_log old, log;
		struct compact tree;
		struct outcome o;
		struct hash root;

		for (size_t n = 0; n < sizeof(changed) / sizeof(changed[0]); n++) {
			if (changed[n] >= from[i])
				continue;
			memory_log_init(&old, 5100);
			memory_compact(&old, from[i], &tree);
			compact_root(&tree, &root);
			memory_log_init(&log, 5100);
			memory_forge(&log, changed[n], MEMORY_LEVELS);
			memory_compact(&log, 5100, &o.result.tree);
			compact_root(&o.result.tree, &log.checkpoint.root);
			assert_int_equal(
				look(&log, &o,
					(struct walk_opts){.from = &tree, .from_root = &root}),
				OK);
			assert_int_equal(findings_count(o.findings), 1);
			assert_int_equal(first(&o)->kind, FINDING_FORK);
			assert_false(o.result.sound);
			outcome_release(&o);
			memory_log_release(&log);
			memory_log_release(&old);
		}
	}
}

/* --- one file of entries --- */

static void test_leaves(void **state)
{
	const uint8_t file[] = {0, 1, 'a', 0, 2, 'b', 'c', 0, 0, 0, 1, 'd'};
	struct hash leaves[TILE_WIDTH], leaf;
	unsigned count;
	size_t rest;

	(void)state;
	walk_leaves(BYTES_ARRAY(file), 2, leaves, &count, &rest);
	assert_int_equal(count, 2);
	assert_int_equal(rest, 5);
	tree_leaf(bytes_str("bc"), &leaf);
	assert_true(hash_equal(&leaf, &leaves[1]));
	walk_leaves(BYTES_ARRAY(file), 3, leaves, &count, &rest); /* an empty one is none */
	assert_int_equal(count, 2);
	walk_leaves(bytes_make(file, 6), TILE_WIDTH, leaves, &count, &rest);
	assert_int_equal(count, 1);
	walk_leaves(BYTES_NONE, 1, leaves, &count, &rest);
	assert_int_equal(count, 0);
}

static void test_out_of_memory(void **state)
{
	struct failing_alloc alloc;
	struct memory_log log;
	struct walk_result result;
	enum err err = ERR_NOMEM;

	(void)state;
	memory_log_init(&log, 600);
	memory_forge(&log, 300, 0);
	for (size_t n = 1; err == ERR_NOMEM && n < 1000; n++) {
		struct findings *findings = NULL;
		struct walk_opts opts = {.source = &log.source,
			.origin = log.checkpoint.origin.text,
			.checkpoint = &log.checkpoint,
			.note = bytes_str("note")};

		failing_alloc_begin(&alloc, n);
		err = findings_new(&findings);
		opts.findings = findings;
		if (err == OK)
			err = walk_run(&opts, &result, NULL);
		findings_free(findings);
		failing_alloc_end(&alloc);
	}
	assert_int_equal(err, OK);
	assert_true(result.has_bad && result.bad == 300);
	memory_log_release(&log);
}

static int set_up(void **state)
{
	(void)state;
	return crypto_init() == OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right),
		cmocka_unit_test(test_mark),
		cmocka_unit_test(test_shared_out),
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_forged_twice),
		cmocka_unit_test(test_tiles_changed),
		cmocka_unit_test(test_entries_changed),
		cmocka_unit_test(test_both),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_could_not_look),
		cmocka_unit_test(test_without_tiles),
		cmocka_unit_test(test_incremental),
		cmocka_unit_test(test_without_a_beginning),
		cmocka_unit_test(test_incremental_bad),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_leaves),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
