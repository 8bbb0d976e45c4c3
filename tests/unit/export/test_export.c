/*
 * One log written out: the files of its size and no others, at sizes where the layout changes; what
 * is there is not touched; growth; damage at every place; forks; interruptions. That the bytes are
 * what the specification wants is checked by others: tests/vectors/read_export.py, tests/interop.
 */
#include "tests/unit/store/support.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "replication/log/tlog_path.h"
#include "server/export/export.h"
#include "server/store/blocks.h"

struct fixture {
	struct bench *bench;
	struct tlog log;
	char out[300], own[300];
	struct note_key key;
	struct buf note;
	struct export_opts opts;
	struct export_result result;
	struct errctx ctx;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	uint8_t seed[ED25519_SEED_SIZE] = {1}; /* as note_make */
	struct signer *signer;

	assert_non_null(f);
	bench_setup(state);
	f->bench = *state;
	tlog_init(&f->log, 1);
	snprintf(f->out, sizeof(f->out), "%s/out", f->bench->place.directory);
	snprintf(f->own, sizeof(f->own), "%s/own", f->bench->place.directory);
	assert_ok(signer_new(BYTES_ARRAY(seed), &signer));
	assert_ok(log_note_key(&f->log.origin, signer_public(signer), &f->key));
	signer_free(signer);
	buf_init(&f->note, LIMIT_NOTE_SIZE);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	buf_release(&f->note);
	tlog_release(&f->log);
	*state = f->bench;
	free(f);
	return bench_teardown(state);
}

static void opts_make(struct fixture *f, uint64_t size)
{
	buf_clear(&f->note);
	note_make(&f->note, &f->log.origin, size, &f->log.roots[size]);
	f->opts.store = f->bench->store;
	f->opts.origin = f->log.origin;
	f->opts.key = f->key;
	f->opts.note = buf_bytes(&f->note);
}

static enum err run(struct fixture *f)
{
	enum err err;

	f->ctx.text[0] = '\0';
	err = destination_open(f->out, f->own, &f->opts.destination, &f->ctx);
	if (err == OK)
		err = export_log(&f->opts, &f->result, &f->ctx);
	destination_close(f->opts.destination);
	f->opts.destination = NULL;
	return err;
}

/* Exports up to `size`, which must succeed. */
static void export_to(struct fixture *f, uint64_t size)
{
	opts_make(f, size);
	if (run(f) != OK)
		fail_msg("%s", f->ctx.text);
	assert_string_equal(f->ctx.text, "");
	assert_int_equal(f->result.checkpoint.size, size);
}

static void grow_to(struct fixture *f, uint64_t size)
{
	tlog_append(f->bench, &f->log, (size_t)(size - f->log.compact.size));
}

static void file_path(const struct fixture *f, const char *path, char ret[600])
{
	snprintf(ret, 600, "%s/%s/%s", f->out, f->log.origin.text, path);
}

static bool there(const struct fixture *f, const char *path)
{
	char full[600];

	file_path(f, path, full);
	return access(full, F_OK) == 0;
}

/* ---- a picture of the whole tree: names, inodes, times, contents ---- */

static struct buf picture;

static int picture_add(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char content[70000];
	size_t size = 0;
	struct hash hash;
	FILE *file;

	if (type == FTW_F) {
		file = fopen(path, "r");
		assert_non_null(file);
		size = fread(content, 1, sizeof(content), file);
		fclose(file);
	}
	sha256(bytes_make(content, size), &hash);
	buf_printf(&picture, "%s %lu %ld.%09ld %ld %02x%02x%02x%02x\n", path,
		(unsigned long)st->st_ino, (long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
		(long)st->st_size, hash.b[0], hash.b[1], hash.b[2], hash.b[3]);
	return 0;
}

static struct hash picture_of(const struct fixture *f)
{
	struct hash hash;

	buf_init(&picture, 1 << 24);
	assert_int_equal(nftw(f->out, picture_add, 16, FTW_PHYS), 0);
	assert_ok(picture.err);
	sha256(buf_bytes(&picture), &hash);
	buf_release(&picture);
	return hash;
}

static void assert_untouched(const struct fixture *f, struct hash before)
{
	struct hash after = picture_of(f);

	assert_memory_equal(before.b, after.b, HASH_SIZE);
}

static size_t files_found;

static int file_count(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	files_found += type == FTW_F;
	return 0;
}

/* The files of a size, and `more` others with checkpoint and mark. */
static void files_check(const struct fixture *f, uint64_t size, size_t more)
{
	size_t count = 2;
	struct tlog_files files;
	struct tlog_file file;

	tlog_files_init(&files, size);
	for (; tlog_files_next(&files, &file); count++) {
		char path[TLOG_PATH_SIZE], full[600];
		struct stat st;

		tlog_path_format(&file, path);
		file_path(f, path, full);
		if (stat(full, &st) != 0)
			fail_msg("%s is missing", path);
		assert_int_equal(st.st_mode & 0777, 0644);
		if (file.kind == TLOG_TILE)
			assert_int_equal(st.st_size, file.width * HASH_SIZE);
	}
	files_found = 0;
	assert_int_equal(nftw(f->out, file_count, 16, FTW_PHYS), 0);
	assert_int_equal(files_found, count + more);
	assert_false(there(f, ".new"));
}

/* ---- what is written ---- */

static void test_sizes(void **state)
{
	static const uint64_t sizes[] = {1, 2, 255, 256, 257, 511, 512, 513, 1000};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		grow_to(f, sizes[i]);
		snprintf(f->out, sizeof(f->out), "%s/out%zu", f->bench->place.directory, i);
		export_to(f, sizes[i]);
		files_check(f, sizes[i], 0);
		struct hash before = picture_of(f);

		export_to(f, sizes[i]);
		assert_int_equal(f->result.files_written, 0);
		assert_untouched(f, before);
		f->opts.compare = true;
		export_to(f, sizes[i]);
		assert_int_equal(f->result.files_written, 0);
		assert_untouched(f, before);
		f->opts.compare = false;
	}
}

/* The store holds more than is signed: only the signed part is written. */
static void test_up_to_the_checkpoint(void **state)
{
	struct fixture *f = *state;

	grow_to(f, 700);
	export_to(f, 300);
	files_check(f, 300, 0);
}

static void test_growth(void **state)
{
	struct fixture *f = *state;

	grow_to(f, 100);
	export_to(f, 100);
	files_check(f, 100, 0);
	grow_to(f, 200); /* the partial files of 100 must stay: somebody may hold that checkpoint */
	export_to(f, 200);
	assert_int_equal(f->result.files_written, 3);
	files_check(f, 200, 2);
	grow_to(f, 300); /* 000 is full: its partial files have had their day */
	export_to(f, 300);
	assert_int_equal(f->result.files_written, 6);
	files_check(f, 300, 0);
	grow_to(f, 512);
	export_to(f, 512);
	files_check(f, 512, 1); /* tile/1/000.p/1 */
	assert_int_equal(f->result.files_written, 4);
	grow_to(f, 513);
	export_to(f, 513);
	assert_int_equal(f->result.files_written, 3);
	files_check(f, 513, 1);
}

static void test_large(void **state)
{
	struct fixture *f = *state;

	for (uint64_t size = 0; size < 66000;)
		grow_to(f, size += 1000);
	export_to(f, 65000);
	files_check(f, 65000, 0);
	export_to(f, 65536); /* the first full tile of level 1 */
	files_check(f, 65536, 0);
	assert_false(there(f, "tile/1/000.p"));
	export_to(f, 66000);
	files_check(f, 66000, 0);
	struct hash before = picture_of(f);

	export_to(f, 66000);
	assert_untouched(f, before);
}

/* ---- cosignatures ---- */

static struct export_cosignature cosign(
	struct fixture *f, const char *node, uint64_t time, struct buf *line)
{
	struct export_cosignature c;
	uint8_t seed[ED25519_SEED_SIZE] = {9};
	struct signer *signer;
	struct bytes text;
	struct checkpoint checkpoint;

	memcpy(seed + 1, node, 2);
	assert_ok(signer_new(BYTES_ARRAY(seed), &signer));
	assert_ok(mirror_note_key(
		bytes_str(NETWORK), bytes_str(node), signer_public(signer), &c.key));
	assert_ok(checkpoint_open(f->opts.note, &f->key, &checkpoint, &text, NULL));
	buf_init(line, 1000);
	assert_ok(cosignature_sign(line, text, time, c.key.name, signer));
	c.line = buf_bytes(line);
	signer_free(signer);
	return c;
}

static void test_cosignatures(void **state)
{
	struct fixture *f = *state;
	struct export_cosignature c[LIMIT_NOTE_SIGNATURES];
	struct buf lines[LIMIT_NOTE_SIGNATURES], out;
	struct note note;
	char name[8];

	grow_to(f, 5);
	export_to(f, 5);
	for (size_t i = 0; i < LIMIT_NOTE_SIGNATURES; i++) { /* in no order */
		snprintf(name, sizeof(name), "n%02zu", (i * 37) % LIMIT_NOTE_SIGNATURES);
		c[i] = cosign(f, name, 1700000000 + i, &lines[i]);
	}
	f->opts.cosignatures = c;
	f->opts.cosignature_count = 3;
	export_to(f, 5);
	assert_int_equal(f->result.files_written, 1); /* the checkpoint alone */
	assert_int_equal(f->result.cosignatures, 3);
	/* One at the cap of lines, and one more, which is left out. */
	buf_init(&out, 2 * LIMIT_NOTE_SIZE);
	for (size_t count = LIMIT_NOTE_SIGNATURES - 1; count <= LIMIT_NOTE_SIGNATURES; count++) {
		f->opts.cosignature_count = count;
		buf_clear(&out);
		assert_ok(export_checkpoint(&f->opts, &out, &f->result, NULL));
		assert_int_equal(f->result.cosignatures, LIMIT_NOTE_SIGNATURES - 1);
		assert_ok(note_parse(buf_bytes(&out), &note, NULL));
		assert_int_equal(note.count, LIMIT_NOTE_SIGNATURES);
		assert_true(bytes_equal_str(note.lines[0].name, f->log.origin.text));
		for (size_t i = 2; i < note.count; i++)
			assert_true(bytes_compare(note.lines[i - 1].name, note.lines[i].name) < 0);
	}
	/* One that does not verify is left out and counted; the log's own is an error. */
	f->opts.cosignature_count = 3;
	lines[1].data[lines[1].size - 10] ^= 1;
	buf_clear(&out);
	assert_ok(export_checkpoint(&f->opts, &out, &f->result, NULL));
	assert_int_equal(f->result.cosignatures, 2);
	assert_int_equal(f->result.cosignatures_bad, 1);
	f->note.data[f->note.size - 10] ^= 1;
	buf_clear(&out);
	assert_int_equal(export_checkpoint(&f->opts, &out, &f->result, &f->ctx), ERR_UNTRUSTED);
	assert_int_equal(run(f), ERR_CORRUPT); /* it was good when it was stored */
	assert_non_null(strstr(f->ctx.text, "its stored checkpoint: bad signature"));
	buf_release(&out);
	for (size_t i = 0; i < LIMIT_NOTE_SIGNATURES; i++)
		buf_release(&lines[i]);
	f->opts.cosignatures = NULL;
	f->opts.cosignature_count = 0;
}

/* ---- damage ---- */

static struct log_row row_of(struct fixture *f)
{
	struct log_row row;
	struct txn txn;

	txn_begin(&txn, f->bench->store->env, TXN_READ);
	assert_ok(store_row(&txn, &f->log.origin, &row, NULL));
	assert_ok(txn_finish(&txn, NULL));
	return row;
}

static void flip(struct fixture *f, unsigned slot, struct store_key key, size_t at)
{
	struct bytes value;
	struct buf copy;
	struct txn txn;

	buf_init(&copy, LIMIT_ENTRY_SIZE);
	txn_begin(&txn, f->bench->store->env, TXN_WRITE);
	assert_true(txn_get(&txn, slot, store_key_bytes(&key), &value));
	buf_put(&copy, value);
	copy.data[at] ^= 1;
	txn_put(&txn, slot, store_key_bytes(&key), buf_bytes(&copy));
	assert_ok(txn_finish(&txn, NULL));
	buf_release(&copy);
}

static void damaged(struct fixture *f, uint64_t size, uint64_t bad, const char *says)
{
	opts_make(f, size);
	assert_int_equal(run(f), ERR_CORRUPT);
	assert_int_equal(f->result.bad_index, bad);
	if (strstr(f->ctx.text, says) == NULL)
		fail_msg("'%s' is not in: %s", says, f->ctx.text);
}

/* At the first, a middle and the last place of every kind; the earlier export stays whole. */
static void test_damage(void **state)
{
	static const struct {
		unsigned level;
		uint64_t index;
		unsigned hash;
		uint64_t bad;
	} tiles[] = {{0, 0, 0, 0}, {0, 1, 100, 356}, {0, 2, 87, 599}, {1, 0, 0, 0}, {1, 0, 1, 256}};
	static const uint64_t entries[] = {0, 255, 256, 300, 599};
	struct fixture *f = *state;
	struct store_key key;
	uint32_t number;
	struct hash before;
	char says[40];

	grow_to(f, 600);
	number = row_of(f).number;
	for (size_t i = 0; i < 5; i++) {
		key = entry_key(number, entries[i]);
		snprintf(says, sizeof(says), "entry %u does not match", (unsigned)entries[i]);
		flip(f, DB_ENTRIES, key, 5);
		damaged(f, 600, entries[i], says);
		assert_false(there(f, "checkpoint"));
		flip(f, DB_ENTRIES, key, 5);
	}
	export_to(f, 300);
	before = picture_of(f);
	for (size_t i = 0; i < 5; i++) {
		key = tile_key(number, (struct tile_id){tiles[i].level, tiles[i].index});
		flip(f, DB_TILES, key, tiles[i].hash * HASH_SIZE + 3);
		f->opts.compare = true; /* what 300 covers is not read otherwise */
		damaged(f, 600, tiles[i].bad, "match");
		f->opts.compare = false;
		assert_untouched(f, before); /* found before anything was written */
		flip(f, DB_TILES, key, tiles[i].hash * HASH_SIZE + 3);
	}
	/* An entry behind the earlier export: files before it may appear, its checkpoint does not.
	 */
	flip(f, DB_ENTRIES, entry_key(number, 599), 5);
	damaged(f, 600, 599, "entry 599");
	export_to(f, 300);
	assert_int_equal(f->result.files_written, 0);
	flip(f, DB_ENTRIES, entry_key(number, 599), 5);
	export_to(f, 600);
	files_check(f, 600, 1); /* tile/1/000.p/1 of 300 */
}

static void test_missing_entry(void **state)
{
	struct fixture *f = *state;
	struct store_key key;
	struct txn txn;

	grow_to(f, 300);
	key = entry_key(row_of(f).number, 270);
	txn_begin(&txn, f->bench->store->env, TXN_WRITE);
	txn_delete(&txn, DB_ENTRIES, store_key_bytes(&key));
	assert_ok(txn_finish(&txn, NULL));
	damaged(f, 300, 270, "entry 270 is missing");
}

/* Entry, leaf and parents forged so that they fit each other: the root tells. */
static void test_consistent_forgery(void **state)
{
	struct fixture *f = *state;
	uint32_t number;
	struct txn txn;
	struct buf entry;
	struct hash leaf, nodes[TILE_WIDTH];
	struct store_key key;
	struct bytes tile;

	grow_to(f, 300);
	number = row_of(f).number;
	buf_init(&entry, 100);
	buf_put_str(&entry, "another entry");
	tree_leaf(buf_bytes(&entry), &leaf);
	txn_begin(&txn, f->bench->store->env, TXN_WRITE);
	key = entry_key(number, 17);
	txn_put(&txn, DB_ENTRIES, store_key_bytes(&key), buf_bytes(&entry));
	key = tile_key(number, (struct tile_id){0, 0});
	assert_true(txn_get(&txn, DB_TILES, store_key_bytes(&key), &tile));
	memcpy(nodes, tile.data, sizeof(nodes));
	nodes[17] = leaf;
	txn_put(&txn, DB_TILES, store_key_bytes(&key), BYTES_ARRAY(nodes));
	for (size_t n = TILE_WIDTH / 2; n > 0; n /= 2) {
		for (size_t i = 0; i < n; i++)
			tree_node(&nodes[2 * i], &nodes[2 * i + 1], &nodes[i]);
	}
	key = tile_key(number, (struct tile_id){1, 0});
	txn_put(&txn, DB_TILES, store_key_bytes(&key), bytes_make(nodes, HASH_SIZE));
	assert_ok(txn_finish(&txn, NULL));
	buf_release(&entry);
	damaged(f, 300, 0, "do not hash to the root");
	assert_false(there(f, "checkpoint"));
	assert_false(there(f, "tile"));
}

/* ---- what is there already ---- */

/* Another history of the same log, in a store of its own. */
static void write_fork(struct fixture *f, uint64_t size)
{
	struct fixture other = *f;
	void *state;
	struct bytes entry = bytes_str("a different first entry");

	bench_setup(&state);
	other.bench = state;
	tlog_init(&other.log, 1);
	other.opts = (struct export_opts){0};
	buf_init(&other.note, LIMIT_NOTE_SIZE);
	assert_ok(bench_write(other.bench, tlog_write_entries(&other.log, &entry, 1)));
	if (size > 1)
		grow_to(&other, size);
	export_to(&other, size);
	buf_release(&other.note);
	tlog_release(&other.log);
	bench_teardown(&state);
}

static void refused(struct fixture *f, uint64_t size, enum err expected, const char *says)
{
	struct hash before = picture_of(f);

	opts_make(f, size);
	assert_int_equal(run(f), expected);
	if (strstr(f->ctx.text, says) == NULL)
		fail_msg("'%s' is not in: %s", says, f->ctx.text);
	assert_untouched(f, before);
}

static void test_never_back(void **state)
{
	struct fixture *f = *state;

	grow_to(f, 400);
	export_to(f, 400);
	refused(f, 399, ERR_FORK, "a checkpoint of 400 entries, this node one of 399");
	refused(f, 1, ERR_FORK, f->out);
}

static void test_forks(void **state)
{
	struct fixture *f = *state;

	grow_to(f, 400);
	for (unsigned i = 0; i < 4; i++) {
		static const uint64_t sizes[] = {1, 256, 400, 401};

		snprintf(f->out, sizeof(f->out), "%s/fork%u", f->bench->place.directory, i);
		write_fork(f, sizes[i]);
		f->opts.compare = i % 2;
		refused(f, 400, ERR_FORK, i < 3 ? "two different histories" : "never goes back");
	}
}

static void test_unreadable_checkpoint(void **state)
{
	struct fixture *f = *state;
	char path[600];
	FILE *file;

	grow_to(f, 3);
	export_to(f, 3);
	file_path(f, "checkpoint", path);
	file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, -20, SEEK_END), 0);
	fputc('!', file);
	fclose(file);
	refused(f, 3, ERR_PROOF, "is not a checkpoint of this log");
	assert_int_equal(unlink(path), 0);
	export_to(f, 3); /* as the message said */
	assert_int_equal(f->result.files_written, 1);
}

/* A file that went is written again, whichever it is; one that was changed is, when asked. */
static void test_repair(void **state)
{
	struct fixture *f = *state;
	struct tlog_files files;
	struct tlog_file file;
	char path[TLOG_PATH_SIZE], full[600];

	grow_to(f, 600);
	export_to(f, 600);
	tlog_files_init(&files, 600);
	while (tlog_files_next(&files, &file)) {
		FILE *stream;

		tlog_path_format(&file, path);
		file_path(f, path, full);
		assert_int_equal(unlink(full), 0);
		export_to(f, 600);
		assert_int_equal(f->result.files_written, 1);
		stream = fopen(full, "r+");
		assert_non_null(stream);
		fputc('!', stream);
		fclose(stream);
		f->opts.compare = true;
		export_to(f, 600);
		assert_int_equal(f->result.files_written, 1);
		f->opts.compare = false;
	}
	files_check(f, 600, 0);
}

/* ---- interruptions ---- */

static void test_stop(void **state)
{
	struct fixture *f = *state;
	bool stop = true;
	uint64_t done = 7;

	grow_to(f, 1000);
	opts_make(f, 1000);
	f->opts.stop = &stop;
	f->opts.done = &done;
	assert_int_equal(run(f), ERR_CANCELED);
	assert_false(there(f, "checkpoint"));
	assert_int_equal(done, 0);
	stop = false;
	export_to(f, 1000);
	assert_int_equal(done, 1000);
	files_check(f, 1000, 0);
}

static size_t open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

/* Every allocation fails in turn: the error is told, nothing is left open, the next run is whole.
 */
static void test_out_of_memory(void **state)
{
	struct fixture *f = *state;
	struct export_cosignature c;
	struct buf line;
	size_t before;

	grow_to(f, 300);
	export_to(f, 100);
	opts_make(f, 300);
	c = cosign(f, "hq", 5, &line);
	f->opts.cosignatures = &c;
	f->opts.cosignature_count = 1;
	before = open_files();
	for (size_t k = 0;; k++) {
		enum err err;

		alloc_fail_after(k);
		err = run(f);
		if (!alloc_failed()) {
			assert_ok(err);
			assert_true(k > 5);
			break;
		}
		alloc_fail_after(SIZE_MAX);
		assert_int_equal(err, ERR_NOMEM);
		assert_int_equal(open_files(), before);
	}
	alloc_fail_after(SIZE_MAX);
	files_check(f, 300, 0);
	assert_int_equal(f->result.cosignatures, 1);
	f->opts.cosignatures = NULL;
	f->opts.cosignature_count = 0;
	buf_release(&line);
}

/* ---- blocks ---- */

static void test_blocks(void **state)
{
	struct fixture *f = *state;
	struct hash leaves[TILE_WIDTH], tile[TILE_WIDTH];
	struct store_roots roots;
	struct buf out, entry;
	uint64_t bad = 7;
	size_t at = 0;

	grow_to(f, 300);
	buf_init(&out, STORE_BLOCK_SIZE_MAX);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_ok(store_block(f->bench->store, &f->log.origin, 1, 44, &out, leaves, &bad, &f->ctx));
	for (uint64_t i = 256; i < 300; i++) {
		struct hash leaf;

		buf_clear(&entry);
		entry_make(&entry, 1, i);
		assert_int_equal(get_u16be(out.data + at), entry.size);
		assert_memory_equal(out.data + at + 2, entry.data, entry.size);
		at += 2 + entry.size;
		tree_leaf(buf_bytes(&entry), &leaf);
		assert_memory_equal(leaf.b, leaves[i - 256].b, HASH_SIZE);
	}
	assert_int_equal(at, out.size);
	assert_int_equal(bad, 7);
	assert_int_equal(
		store_block(f->bench->store, &f->log.origin, 1, 45, &out, leaves, &bad, &f->ctx),
		ERR_CORRUPT); /* it has never been that long */
	assert_ok(store_tile(
		f->bench->store, &f->log.origin, (struct tile_id){0, 1}, 44, tile, NULL));
	assert_memory_equal(tile, leaves, 44 * HASH_SIZE);
	assert_int_equal(
		store_tile(f->bench->store, &f->log.origin, (struct tile_id){0, 1}, 45, tile, NULL),
		ERR_CORRUPT);
	assert_ok(store_roots(f->bench->store, &f->log.origin, 17, 300, &roots, NULL));
	assert_memory_equal(roots.first.b, f->log.roots[17].b, HASH_SIZE);
	assert_memory_equal(roots.second.b, f->log.roots[300].b, HASH_SIZE);
	assert_true(proof_consistency_ok(&roots.proof, 17, &roots.first, 300, &roots.second));
	assert_int_equal(
		store_roots(f->bench->store, &f->log.origin, 0, 300, &roots, NULL), ERR_INVALID);
	assert_int_equal(
		store_roots(f->bench->store, &f->log.origin, 300, 299, &roots, NULL), ERR_INVALID);
	assert_int_equal(
		store_roots(f->bench->store, &f->log.origin, 1, 301, &roots, NULL), ERR_INVALID);
	f->log.origin.text[strlen(f->log.origin.text) - 1] ^= 1;
	assert_int_equal(
		store_roots(f->bench->store, &f->log.origin, 1, 1, &roots, &f->ctx), ERR_NOTFOUND);
	buf_release(&out);
	buf_release(&entry);
}

/* 256 of the largest entries are the largest bundle. */
static void test_largest_block(void **state)
{
	static uint8_t large[LIMIT_ENTRY_SIZE];
	struct fixture *f = *state;
	struct bytes entries[TILE_WIDTH];
	struct hash leaves[TILE_WIDTH];
	struct buf out;
	uint64_t bad;

	for (size_t i = 0; i < TILE_WIDTH; i++)
		entries[i] = BYTES_ARRAY(large);
	assert_ok(bench_write(f->bench, tlog_write_entries(&f->log, entries, TILE_WIDTH)));
	buf_init(&out, STORE_BLOCK_SIZE_MAX);
	assert_ok(store_block(
		f->bench->store, &f->log.origin, 0, TILE_WIDTH, &out, leaves, &bad, &f->ctx));
	assert_int_equal(out.size, STORE_BLOCK_SIZE_MAX);
	buf_release(&out);
	export_to(f, TILE_WIDTH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_up_to_the_checkpoint, setup, teardown),
		cmocka_unit_test_setup_teardown(test_growth, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cosignatures, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_entry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_consistent_forgery, setup, teardown),
		cmocka_unit_test_setup_teardown(test_never_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unreadable_checkpoint, setup, teardown),
		cmocka_unit_test_setup_teardown(test_repair, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_blocks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_largest_block, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
