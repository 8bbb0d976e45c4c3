#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "server/store/damage.h"
#include "server/store/keyring.h"
#include "server/store/runs.h"
#include "server/store/writer.h"
#include "whole.h"

enum { ENTRIES = 700, OFFICE = 1 /* its log's number */ };

struct fixture {
	struct place place;
	struct whole whole;
	struct store *store; /* open while a test changes something; NULL otherwise */
	struct fsck_result result;
	struct errctx ctx;
	struct buf lines; /* of the last check */
	unsigned bad_lines;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_ok(crypto_init());
	alloc_fail_after(SIZE_MAX);
	place_make(&f->place);
	whole_make(&f->whole, f->place.store, ENTRIES, 0);
	buf_init(&f->lines, 1 << 20);
	*state = f;
	return 0;
}

static void store_stop(struct fixture *f)
{
	store_close(f->store);
	f->store = NULL;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	store_stop(f);
	buf_release(&f->lines);
	whole_release(&f->whole);
	place_remove(&f->place);
	free(f);
	crypto_release();
	return 0;
}

static void store_start(struct fixture *f)
{
	struct store_opts opts = {.path = f->place.store, .network = NETWORK, .node = NODE};

	if (store_open(&opts, &f->store, &f->ctx) != OK)
		fail_msg("%s", f->ctx.text);
}

static void on_line(void *arg, bool bad, const char *text)
{
	struct fixture *f = arg;

	f->bad_lines += bad;
	buf_printf(&f->lines, "%s %s\n", bad ? "BAD" : "ok", text);
}

/* Headquarters holds the office's log as a replica. */
static enum err run(struct fixture *f, bool repair, bool headquarters)
{
	struct fsck_opts opts = whole_fsck(&f->whole, f->place.store, headquarters);

	opts.node = NODE; /* the store is one node's; whose log is own follows from the name */
	if (headquarters)
		opts.node = "hq";
	opts.repair = repair;
	opts.line = on_line;
	opts.arg = f;
	buf_clear(&f->lines);
	f->bad_lines = 0;
	f->ctx = (struct errctx){""};
	return fsck_store(&opts, &f->result, &f->ctx);
}

static void check(struct fixture *f)
{
	if (run(f, false, false) != OK)
		fail_msg("%s", f->ctx.text);
}

static void repair(struct fixture *f)
{
	if (run(f, true, false) != OK)
		fail_msg("%s", f->ctx.text);
}

static void says(struct fixture *f, const char *words)
{
	if (strstr(buf_cstr(&f->lines), words) == NULL)
		fail_msg("expected '%s' in:\n%s", words, buf_cstr(&f->lines));
}

static void clean(struct fixture *f)
{
	check(f);
	if (!f->result.clean || f->bad_lines > 0)
		fail_msg("not clean:\n%s", buf_cstr(&f->lines));
}

static void damaged(struct fixture *f, const char *words)
{
	check(f);
	assert_false(f->result.clean);
	assert_true(f->bad_lines > 0);
	says(f, words);
}

/* Straight into LMDB. */

static void raw_put(struct fixture *f, unsigned slot, struct store_key key, struct bytes value)
{
	struct txn txn;

	store_start(f);
	txn_begin(&txn, f->store->env, TXN_WRITE);
	txn_put(&txn, slot, store_key_bytes(&key), value);
	assert_ok(txn_finish(&txn, NULL));
	store_stop(f);
}

static void raw_put_checked(struct fixture *f, unsigned slot, struct bytes key, struct bytes value)
{
	struct txn txn;

	store_start(f);
	txn_begin(&txn, f->store->env, TXN_WRITE);
	checked_put(&txn, slot, key, value);
	assert_ok(txn_finish(&txn, NULL));
	store_stop(f);
}

static void raw_delete(struct fixture *f, unsigned slot, struct store_key key)
{
	struct txn txn;

	store_start(f);
	txn_begin(&txn, f->store->env, TXN_WRITE);
	txn_delete(&txn, slot, store_key_bytes(&key));
	assert_ok(txn_finish(&txn, NULL));
	store_stop(f);
}

static void raw_get(struct fixture *f, unsigned slot, struct bytes key, struct buf *ret)
{
	struct bytes value;
	struct txn txn;

	buf_init(ret, LIMIT_NOTE_SIZE);
	store_start(f);
	txn_begin(&txn, f->store->env, TXN_READ);
	assert_true(txn_get(&txn, slot, key, &value));
	buf_put(ret, value);
	assert_ok(txn_finish(&txn, NULL));
	store_stop(f);
}

static void raw_flip(struct fixture *f, unsigned slot, struct bytes key, size_t at, uint8_t bits)
{
	struct buf value;
	struct txn txn;

	raw_get(f, slot, key, &value);
	assert_true(at < value.size);
	value.data[at] ^= bits;
	store_start(f);
	txn_begin(&txn, f->store->env, TXN_WRITE);
	txn_put(&txn, slot, key, buf_bytes(&value));
	assert_ok(txn_finish(&txn, NULL));
	store_stop(f);
	buf_release(&value);
}

static void entry_flip(struct fixture *f, uint32_t log, uint64_t index)
{
	struct store_key key = entry_key(log, index);

	raw_flip(f, DB_ENTRIES, store_key_bytes(&key), 1, 1);
}

static void tile_flip(struct fixture *f, uint32_t log, struct tile_id id, size_t hash)
{
	struct store_key key = tile_key(log, id);

	raw_flip(f, DB_TILES, store_key_bytes(&key), hash * HASH_SIZE, 0x80);
}

static enum err entry_read(struct fixture *f, uint64_t index, struct buf *out)
{
	buf_clear(out);
	f->ctx = (struct errctx){""};
	return store_entry(f->store, &f->whole.origin[WHOLE_OFFICE], index, out, &f->ctx);
}

static uint64_t commits(struct fixture *f)
{
	struct store_usage usage;

	store_start(f);
	assert_ok(store_usage(f->store, &usage));
	store_stop(f);
	return usage.commits;
}

/* The file. */

static void file_path(struct fixture *f, char *ret, size_t size)
{
	snprintf(ret, size, "%s/data.mdb", f->place.store);
}

static void file_read(struct fixture *f, struct buf *ret)
{
	char path[320];
	struct stat st;
	int fd;

	file_path(f, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	buf_init(ret, (size_t)st.st_size + 1);
	assert_non_null(buf_reserve(ret, (size_t)st.st_size));
	assert_int_equal(read(fd, ret->data, (size_t)st.st_size), st.st_size);
	ret->size = (size_t)st.st_size;
	close(fd);
}

static void file_write(struct fixture *f, struct bytes bytes)
{
	char path[320];
	int fd;

	file_path(f, path, sizeof(path));
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes.data, bytes.size), (ssize_t)bytes.size);
	close(fd);
}

/* Clean. */

static void test_clean(void **state)
{
	struct fixture *f = *state;
	struct buf before, after;

	file_read(f, &before);
	clean(f);
	assert_int_equal(f->result.logs, 2);
	assert_int_equal(f->result.logs_bad, 0);
	says(f, "ok ovra.example/directory/1-0123456789abcdef: 4 entries, signed up to 4, "
		"1 cosignature");
	says(f, "700 entries, signed up to 700, 1 cosignature");
	/* A check writes nothing; a repair of what is whole neither. */
	repair(f);
	assert_true(f->result.clean && !f->result.repaired);
	file_read(f, &after);
	assert_true(bytes_equal(buf_bytes(&before), buf_bytes(&after)));
	buf_release(&before);
	buf_release(&after);
}

static void test_not_there(void **state)
{
	struct fixture *f = *state;
	char path[320];

	store_start(f);
	assert_int_equal(run(f, false, false), ERR_BUSY);
	assert_non_null(strstr(f->ctx.text, "another process is using it"));
	store_stop(f);
	file_path(f, path, sizeof(path));
	assert_int_equal(unlink(path), 0);
	damaged(f, "data.mdb is missing or empty");
	assert_true(f->result.structure && !f->result.repairable);
	assert_int_equal(access(path, F_OK), -1);
	file_write(f, BYTES_NONE);
	damaged(f, "data.mdb is missing or empty");
	strcat(f->place.store, "-none");
	assert_int_equal(run(f, false, false), ERR_NOTFOUND);
	assert_int_equal(access(f->place.store, F_OK), -1);
}

/* Whose it is comes from the configuration and the genesis. */
static void test_of_another(void **state)
{
	struct fixture *f = *state;

	assert_ok(run(f, false, true));
	assert_false(f->result.clean);
	says(f, "it is of node \"haiti\", not of 'hq'");
}

/* Entries and tiles. */

static void test_every_log_is_named(void **state)
{
	struct fixture *f = *state;

	entry_flip(f, 0, 2);
	entry_flip(f, OFFICE, 17);
	entry_flip(f, OFFICE, 500);
	entry_flip(f, OFFICE, 699);
	damaged(f, "first bad index 2 (entry 2 does not match hash 2 of tile 0/0), 1 damaged of 4");
	says(f, "first bad index 17 (entry 17 does not match hash 17 of tile 0/0), 3 damaged of "
		"700");
	assert_int_equal(f->result.logs_bad, 2);
	assert_true(f->result.repairable && !f->result.structure);
}

static void no_wake(void *arg) {}

/* As the running node does it: in a commit of the writer's. */
static enum err heal_by_writer(
	struct fixture *f, const struct origin *origin, uint64_t index, struct bytes entry)
{
	struct writer_opts opts = {.store = f->store, .wake = no_wake};
	struct store_write *write = store_write_new(origin);
	struct writer *writer;
	enum err err;

	assert_non_null(write);
	write->heal = true;
	write->first = index;
	assert_ok(entries_make(&entry, 1, &write->entries));
	assert_ok(writer_start(&opts, &writer, &f->ctx));
	writer_submit(writer, write);
	writer_stop(writer);
	write = writer_done(writer, &f->ctx);
	err = write->result;
	store_write_free(write);
	writer_free(writer);
	return err;
}

static void test_mark_and_heal(void **state)
{
	static const uint64_t bad[] = {1, 255, 256, 699};
	enum { BAD = sizeof(bad) / sizeof(bad[0]) };
	struct fixture *f = *state;
	const struct origin *origin = &f->whole.origin[WHOLE_OFFICE];
	struct store_read read = {
		.origin = *origin, .target = 700, .count_max = 1000, .size_max = SIZE_MAX};
	struct store_damage *list = NULL;
	struct buf entry[BAD], out;
	struct store_batch batch;
	struct store_verify verify;
	uint64_t before = commits(f);
	size_t count;

	buf_init(&out, LIMIT_ENTRY_SIZE);
	store_start(f);
	for (size_t i = 0; i < BAD; i++) {
		buf_init(&entry[i], LIMIT_ENTRY_SIZE);
		assert_ok(entry_read(f, bad[i], &entry[i]));
	}
	store_stop(f);
	for (size_t i = 0; i < BAD - 1; i++)
		entry_flip(f, OFFICE, bad[i]);
	raw_delete(f, DB_ENTRIES, entry_key(OFFICE, 699));
	damaged(f, "4 damaged of 700");
	repair(f);
	assert_true(!f->result.clean && f->result.repaired && !f->result.repairable);
	assert_int_equal(f->result.marked, BAD);
	assert_true(f->result.only_marks);
	says(f, "4 marked to be fetched again, from 1");
	assert_int_equal(commits(f), before); /* a repair is no commit: the guard knows of none */
	damaged(f, "4 marked to be fetched again");

	store_start(f);
	assert_ok(store_damage_list(f->store, &list, &count, &f->ctx));
	assert_int_equal(count, BAD);
	for (size_t i = 0; i < BAD; i++) {
		struct hash leaf;

		tree_leaf(buf_bytes(&entry[i]), &leaf);
		assert_string_equal(list[i].origin.text, origin->text);
		assert_int_equal(list[i].index, bad[i]);
		assert_true(list[i].known && list[i].count == 1);
		assert_true(hash_equal(&list[i].expected, &leaf));
		assert_int_equal(entry_read(f, bad[i], &out), ERR_CORRUPT);
		assert_non_null(strstr(f->ctx.text, "is damaged and marked to be fetched again"));
		assert_non_null(strstr(f->ctx.text, origin->text));
	}
	mem_free(list);
	assert_ok(entry_read(f, 2, &out));
	/* Batches end before a marked entry, and do not begin at one. */
	read.first = 2;
	assert_ok(store_read_batch(f->store, &read, &batch, NULL));
	assert_int_equal(batch.entries->count, 253);
	entries_unref(batch.entries);
	read.first = 255;
	assert_int_equal(store_read_batch(f->store, &read, &batch, &f->ctx), ERR_CORRUPT);
	assert_non_null(strstr(f->ctx.text, "entry 255 is damaged and marked"));
	assert_int_equal(store_verify(f->store, origin, NULL, &verify, &f->ctx), ERR_CORRUPT);
	assert_int_equal(verify.bad_index, 1);
	assert_non_null(strstr(f->ctx.text, "entry 1 is damaged and marked"));

	assert_int_equal(store_damage_look(f->store, origin, &f->ctx), ERR_CORRUPT);
	assert_ok(store_damage_look(f->store, &f->whole.origin[WHOLE_DIRECTORY], &f->ctx));

	/* Only what stood there heals. */
	assert_int_equal(store_damage_heal(f->store, origin, 2, buf_bytes(&entry[0]), &f->ctx),
		ERR_NOTFOUND);
	assert_int_equal(
		store_damage_heal(f->store, origin, 1, buf_bytes(&entry[1]), &f->ctx), ERR_PROOF);
	assert_int_equal(store_damage_heal(f->store, origin, 1, BYTES_NONE, &f->ctx), ERR_PROOF);
	assert_int_equal(heal_by_writer(f, origin, 2, buf_bytes(&entry[0])), ERR_NOTFOUND);
	assert_int_equal(heal_by_writer(f, origin, 1, buf_bytes(&entry[1])), ERR_PROOF);
	assert_int_equal(entry_read(f, 1, &out), ERR_CORRUPT);
	for (size_t i = 0; i < BAD; i++) {
		if (i % 2 == 0)
			assert_ok(heal_by_writer(f, origin, bad[i], buf_bytes(&entry[i])));
		else
			assert_ok(store_damage_heal(
				f->store, origin, bad[i], buf_bytes(&entry[i]), &f->ctx));
		assert_ok(entry_read(f, bad[i], &out));
		assert_true(bytes_equal(buf_bytes(&out), buf_bytes(&entry[i])));
		buf_release(&entry[i]);
	}
	assert_ok(store_damage_look(f->store, origin, &f->ctx));
	store_stop(f);
	buf_release(&out);
	clean(f);
}

static void test_first_entry(void **state)
{
	struct fixture *f = *state;
	const struct origin *origin = &f->whole.origin[WHOLE_OFFICE];
	struct log_head head;

	/* It has the log's key: unmarked, a damaged one is not loaded; marked, it is left out. */
	entry_flip(f, OFFICE, 0);
	store_start(f);
	assert_int_equal(store_head(f->store, origin, &head, &f->ctx), ERR_CORRUPT);
	assert_non_null(strstr(f->ctx.text, "entry 0 does not match its leaf hash"));
	store_stop(f);
	repair(f);
	assert_int_equal(f->result.marked, 1);
	store_start(f);
	assert_ok(store_head(f->store, origin, &head, &f->ctx));
	assert_int_equal(head.size, ENTRIES);
	assert_int_equal(head.first_entry.size, 0);
	log_head_release(&head);
	store_stop(f);
}

static void test_tiles_are_rebuilt(void **state)
{
	static const struct tile_id tiles[] = {{0, 0}, {0, 1}, {0, 2}, {1, 0}};
	struct fixture *f = *state;
	struct buf before, after;

	for (size_t i = 0; i < sizeof(tiles) / sizeof(tiles[0]); i++) {
		struct store_key key = tile_key(OFFICE, tiles[i]);

		raw_get(f, DB_TILES, store_key_bytes(&key), &before);
		tile_flip(f, OFFICE, tiles[i], 1);
		damaged(f, tiles[i].level == 0 ? "does not match hash 1 of tile 0/"
					       : "does not match hash 1 of tile 1/0");
		assert_int_equal(f->result.marked, 0);
		repair(f);
		assert_true(f->result.clean && f->result.repaired);
		raw_get(f, DB_TILES, store_key_bytes(&key), &after);
		assert_true(bytes_equal(buf_bytes(&before), buf_bytes(&after)));
		buf_release(&after);
		raw_delete(f, DB_TILES, key);
		damaged(f, "is missing");
		repair(f);
		assert_true(f->result.clean);
		raw_get(f, DB_TILES, store_key_bytes(&key), &after);
		assert_true(bytes_equal(buf_bytes(&before), buf_bytes(&after)));
		buf_release(&after);
		buf_release(&before);
	}
	raw_put(f, DB_TILES, tile_key(OFFICE, (struct tile_id){3, 7}), bytes_str("stray"));
	damaged(f, "behind its end at 700");
	repair(f);
	assert_true(f->result.clean);
	/* An entry behind the end of an own log may be newer than its head: it stays, and is told.
	 */
	raw_put(f, DB_ENTRIES, entry_key(OFFICE, 700), bytes_str("stray"));
	damaged(f, "behind its end at 700");
	repair(f);
	assert_false(f->result.clean);
	says(f, "behind its end at 700");
	raw_put(f, DB_ENTRIES, entry_key(0, 4), bytes_str("stray"));
	repair(f);
	assert_int_equal(f->result.logs_bad, 1);
}

/* One bit of a row's key: it is found under its name again. */
static void test_row_key(void **state)
{
	struct fixture *f = *state;
	struct store_key right = {.b = "commits", .size = 7}, wrong = {.b = "cnmmits", .size = 7};
	struct buf before, after;

	raw_get(f, DB_META, store_key_bytes(&right), &before);
	raw_put(f, DB_META, wrong, buf_bytes(&before));
	raw_delete(f, DB_META, right);
	damaged(f, "cnmmits");
	repair(f);
	assert_true(f->result.clean);
	raw_get(f, DB_META, store_key_bytes(&right), &after);
	assert_true(bytes_equal(buf_bytes(&before), buf_bytes(&after)));
	buf_release(&before);
	buf_release(&after);
}

/* A store that waits for its upgrade is neither judged nor changed. */
static void test_old_format(void **state)
{
	struct fixture *f = *state;
	struct store_key key = {.b = "format", .size = 6};

	raw_put(f, DB_META, key, bytes_make((uint8_t[4]){0}, 4));
	damaged(f, "older format");
	assert_int_equal(f->bad_lines, 1);
	repair(f);
	assert_false(f->result.clean || f->result.repaired);
	assert_int_equal(f->bad_lines, 1);
}

/* An entry here, a leaf hash there, in one tile and in others: each is told apart. */
static void test_entries_and_tiles(void **state)
{
	struct fixture *f = *state;

	entry_flip(f, OFFICE, 10);
	tile_flip(f, OFFICE, (struct tile_id){0, 1}, 20);
	tile_flip(f, OFFICE, (struct tile_id){0, 2}, 30);
	damaged(f, "first bad index 10");
	says(f, "1 damaged of 700");
	repair(f);
	assert_int_equal(f->result.marked, 1);
	says(f, "1 marked to be fetched again, from 10");
	damaged(f, "signed up to 700");
}

/* Forged so that they fit each other: nothing here tells what was signed. */
static void test_neither_fits(void **state)
{
	struct fixture *f = *state;
	const struct origin *origin = &f->whole.origin[WHOLE_OFFICE];
	struct store_key entry = entry_key(OFFICE, 650),
			 tile = tile_key(OFFICE, (struct tile_id){0, 2});
	struct store_damage *list = NULL;
	struct buf out, hashes;
	struct hash leaf;
	size_t count;

	raw_put(f, DB_ENTRIES, entry, bytes_str("forged"));
	tree_leaf(bytes_str("forged"), &leaf);
	raw_get(f, DB_TILES, store_key_bytes(&tile), &hashes);
	memcpy(hashes.data + (650 - 512) * HASH_SIZE, leaf.b, HASH_SIZE);
	raw_put(f, DB_TILES, tile, buf_bytes(&hashes));
	entry_flip(f, OFFICE, 620);
	damaged(f, "its root at 700 is not the signed one");
	says(f, "first bad index 620");
	repair(f);
	assert_false(f->result.clean);
	assert_int_equal(f->result.marked, 80);
	buf_init(&out, LIMIT_ENTRY_SIZE);
	store_start(f);
	assert_ok(entry_read(f, 619, &out));
	assert_int_equal(entry_read(f, 620, &out), ERR_CORRUPT);
	assert_int_equal(entry_read(f, 699, &out), ERR_CORRUPT);
	assert_ok(store_damage_list(f->store, &list, &count, NULL));
	assert_int_equal(count, 1);
	assert_true(!list[0].known && list[0].index == 620 && list[0].count == 80);
	mem_free(list);
	assert_int_equal(store_damage_heal(f->store, origin, 630, bytes_str("forged"), &f->ctx),
		ERR_UNSUPPORTED);
	store_stop(f);
	buf_release(&out);
	buf_release(&hashes);
	/* Again: nothing more is to be done. */
	repair(f);
	assert_false(f->result.repaired);
}

/* Behind the newest checkpoint: a replica is cut, an own log is not. */
static void tail_make(struct fixture *f)
{
	whole_release(&f->whole);
	place_remove(&f->place);
	place_make(&f->place);
	whole_make(&f->whole, f->place.store, ENTRIES, 100);
	clean(f);
	says(f, "700 entries, signed up to 600");
	entry_flip(f, OFFICE, 660);
	entry_flip(f, OFFICE, 670);
}

static void test_tail_of_own(void **state)
{
	struct fixture *f = *state;

	tail_make(f);
	damaged(f, "first bad index 660");
	repair(f);
	assert_int_equal(f->result.marked, 2);
	says(f, "700 entries, signed up to 600");
}

static void test_tail_of_replica(void **state)
{
	struct fixture *f = *state;
	struct log_head head;

	tail_make(f);
	/* The same store at headquarters. */
	raw_put_checked(f, DB_META, bytes_str("node"), bytes_str("hq"));
	assert_ok(run(f, true, true));
	if (!f->result.clean || !f->result.repaired)
		fail_msg("%s", buf_cstr(&f->lines));
	says(f, "660 entries, signed up to 600");

	struct store_opts opts = {.path = f->place.store, .network = NETWORK, .node = "hq"};

	assert_ok(store_open(&opts, &f->store, &f->ctx));
	assert_ok(store_head(f->store, &f->whole.origin[WHOLE_OFFICE], &head, &f->ctx));
	assert_int_equal(head.size, 660);
	assert_true(head.checkpoint.size > 0);
	log_head_release(&head);
}

/* Rows. */

static void test_rows_are_mended(void **state)
{
	struct fixture *f = *state;
	struct store_key head = log_key(OFFICE);
	uint64_t before = commits(f);
	struct {
		unsigned slot;
		struct bytes key;
		size_t at;
		const char *says;
	} rows[] = {
		{DB_META, bytes_str("commits"), 7, "the row \"commits\" of table 'meta'"},
		{DB_META, bytes_str("node"), 0, "the row \"node\" of table 'meta'"},
		{DB_HEADS, store_key_bytes(&head), 3, "of table 'heads' is damaged"},
		{DB_HEADS, store_key_bytes(&head), 60, "of table 'heads' is damaged"},
		{DB_LOGS, bytes_str(f->whole.origin[WHOLE_OFFICE].text), 3, "of table 'logs'"},
		{DB_INVITES, bytes_str("kenya"), 2, "the row \"kenya\" of table 'invites'"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf row, after;

		raw_get(f, rows[i].slot, rows[i].key, &row);
		row.data[rows[i].at] ^= 0x10;
		/* The names could not be opened any more: by hand. */
		struct env_opts opts = {.path = f->place.store, .map_size = 1 << 24};
		struct env *env;
		struct txn txn;

		assert_ok(env_open(&opts, &env, NULL));
		txn_begin(&txn, env, TXN_WRITE);
		txn_database(&txn, rows[i].slot, store_tables[rows[i].slot]);
		txn_put(&txn, rows[i].slot, rows[i].key, buf_bytes(&row));
		assert_ok(txn_finish(&txn, NULL));
		env_close(env);
		damaged(f, rows[i].says);
		assert_true(f->result.repairable);
		repair(f);
		if (!f->result.clean)
			fail_msg("%s", buf_cstr(&f->lines));
		row.data[rows[i].at] ^= 0x10;
		raw_get(f, rows[i].slot, rows[i].key, &after);
		if (i > 0)
			assert_true(bytes_equal(buf_bytes(&row), buf_bytes(&after)));
		buf_release(&row);
		buf_release(&after);
		assert_int_equal(commits(f), before);
	}
	/* Two bits: nobody knows. */
	raw_flip(f, DB_META, bytes_str("commits"), 0, 0x11);
	damaged(f, "the row \"commits\" of table 'meta'");
	repair(f);
	assert_false(f->result.clean);
	assert_false(f->result.repaired);
}

/* Rows that are gone: names, a name in the table of logs, a replica's head. */
static void test_rows_are_lost(void **state)
{
	struct fixture *f = *state;
	struct store_key name = {.size = 4, .b = "node"};
	struct log_head head;
	struct txn txn;

	store_start(f);
	txn_begin(&txn, f->store->env, TXN_WRITE);
	txn_delete(&txn, DB_LOGS, bytes_str(f->whole.origin[WHOLE_OFFICE].text));
	txn_delete(&txn, DB_META, store_key_bytes(&name));
	assert_ok(txn_finish(&txn, NULL));
	store_stop(f);
	damaged(f, "store: log number 1 has no row in the table of logs");
	says(f, "no 'node'");
	repair(f);
	if (!f->result.clean)
		fail_msg("%s", buf_cstr(&f->lines));
	/* The directory's head, of a replica here: its entries are there, its checkpoint is not. */
	raw_delete(f, DB_HEADS, log_key(0));
	damaged(f, "it has no head");
	repair(f);
	if (!f->result.clean)
		fail_msg("%s", buf_cstr(&f->lines));
	says(f, "4 entries, no checkpoint yet");
	store_start(f);
	assert_ok(store_head(f->store, &f->whole.origin[WHOLE_DIRECTORY], &head, NULL));
	assert_int_equal(head.size, 4);
	log_head_release(&head);
	store_stop(f);
	/* An own one cannot be made here. */
	raw_delete(f, DB_HEADS, log_key(OFFICE));
	damaged(f, "it has no head");
	assert_false(f->result.repairable);
}

static void test_signatures(void **state)
{
	struct fixture *f = *state;
	struct store_key key = log_key(OFFICE);
	uint8_t name[4 + 2] = {0, 0, 0, OFFICE, 'h', 'q'};
	struct bytes value;
	struct buf row, note;

	/* A cosignature that fits its check and no key. */
	raw_get(f, DB_COSIGNATURES, BYTES_ARRAY(name), &row);
	assert_ok(checked_open(BYTES_ARRAY(name), buf_bytes(&row), &value));
	row.data[8 + HASH_SIZE - 1] ^= 1;
	raw_put_checked(f, DB_COSIGNATURES, BYTES_ARRAY(name), value);
	buf_release(&row);
	damaged(f, "the cosignature of \"hq\" is damaged");
	repair(f);
	assert_true(f->result.clean);

	/* A checkpoint by another key: an own log's cannot be made here. */
	buf_init(&row, LIMIT_NOTE_SIZE);
	buf_init(&note, LIMIT_NOTE_SIZE);
	buf_put_u64be(&row, ENTRIES);
	note_make(&row, &f->whole.origin[WHOLE_OFFICE], ENTRIES, &(struct hash){{1}});
	raw_put_checked(f, DB_HEADS, store_key_bytes(&key), buf_bytes(&row));
	damaged(f, "the signature of its checkpoint does not verify");
	assert_false(f->result.repairable);
	repair(f);
	assert_true(!f->result.clean && !f->result.repaired);
	buf_clear(&row);
	buf_put_u64be(&row, ENTRIES);
	buf_put_str(&row, "nonsense");
	raw_put_checked(f, DB_HEADS, store_key_bytes(&key), buf_bytes(&row));
	damaged(f, "its checkpoint is not readable or not its own");
	buf_release(&row);
	buf_release(&note);
}

/* Runs and chunks are test_index's; here an index that cannot be, and one of more entries than are.
 */
static void test_index(void **state)
{
	struct fixture *f = *state;
	struct run_counts counts = {.of = {1}};
	uint8_t locator[16], row[RUN_COUNTS_SIZE];
	uint64_t found[1];
	size_t count = 0;

	locator_make(locator, 1, 5);
	raw_put(f, DB_LOCATORS, log_key(OFFICE), bytes_str("nonsense"));
	damaged(f, "its index of locators does not fit its entries");
	repair(f);
	assert_true(f->result.clean);
	run_counts_write(&counts, row);
	raw_put(f, DB_LOCATORS, log_key(OFFICE), BYTES_ARRAY(row));
	damaged(f, "its index of locators");
	repair(f);
	assert_true(f->result.clean);
	store_start(f);
	assert_ok(store_locate(
		f->store, &f->whole.origin[WHOLE_OFFICE], locator, found, 1, &count, NULL));
	assert_int_equal(count, 1);
	assert_int_equal(found[0], 5);
	store_stop(f);
}

static void test_rows_of_no_log(void **state)
{
	struct fixture *f = *state;

	raw_put(f, DB_ENTRIES, entry_key(77, 0), bytes_str("stray"));
	damaged(f, "table 'entries' has rows of a log that is not there");
	raw_delete(f, DB_ENTRIES, entry_key(77, 0));
	clean(f);
	raw_put(f, DB_DAMAGE, entry_key(OFFICE, 3), bytes_str("nonsense"));
	damaged(f, "of table 'damage' is damaged");
}

/* The cap: one more, and there is one mark for all. */
static void test_mark_cap(void **state)
{
	struct fixture *f = *state;
	enum { SIZE = LIMIT_DAMAGE_MARKS + 300 };
	struct bytes *views = calloc(SIZE, sizeof(*views));
	uint8_t(*entries)[4] = calloc(SIZE, sizeof(*entries));
	struct bench bench = {.place = f->place};
	struct tlog log;
	struct txn txn;

	assert_true(views != NULL && entries != NULL);
	for (uint32_t i = 0; i < SIZE; i++) {
		put_u32be(entries[i], i + 1);
		views[i] = BYTES_ARRAY(entries[i]);
	}
	tlog_init(&log, 50);
	bench_open(&bench, 0);
	assert_ok(bench_write(&bench, tlog_write_entries(&log, views, SIZE)));
	bench_close(&bench);
	for (size_t over = 0; over < 2; over++) {
		store_start(f);
		txn_begin(&txn, f->store->env, TXN_WRITE);
		for (uint32_t i = 0; i < LIMIT_DAMAGE_MARKS + over; i++) {
			struct store_key key = entry_key(2, i + 100);

			txn_put(&txn, DB_ENTRIES, store_key_bytes(&key), bytes_str("bad"));
		}
		/* As if it had never been repaired. */
		for (uint32_t i = 0; i < LIMIT_DAMAGE_MARKS && over == 1; i++) {
			struct store_key key = entry_key(2, i + 100);

			txn_delete(&txn, DB_DAMAGE, store_key_bytes(&key));
		}
		assert_ok(txn_finish(&txn, NULL));
		store_stop(f);
		repair(f);
		assert_int_equal(f->result.marked, over == 0 ? LIMIT_DAMAGE_MARKS : SIZE - 100);
	}
	tlog_release(&log);
	free(views);
	free(entries);
}

/* Whatever allocation fails, a repair that is begun again ends well. */
static void test_repair_without_memory(void **state)
{
	struct fixture *f = *state;
	bool failed = true;

	entry_flip(f, OFFICE, 10);
	tile_flip(f, OFFICE, (struct tile_id){0, 1}, 20);
	for (size_t after = 0; failed; after = after + 1 + after / 8) {
		enum err err;

		alloc_fail_after(after);
		err = run(f, true, false);
		failed = alloc_failed();
		alloc_fail_after(SIZE_MAX);
		assert_true(err == OK || failed);
	}
	damaged(f, "1 marked to be fetched again, from 10");
	assert_int_equal(f->bad_lines, 1);
}

/* The file itself. */

static void test_truncated(void **state)
{
	struct fixture *f = *state;
	struct store_opts opts = {.path = f->place.store, .network = NETWORK, .node = NODE};
	struct store *store;
	struct buf file, longer;
	char words[128];

	file_read(f, &file);
	buf_init(&longer, file.size + 3 * 4096);
	buf_put(&longer, buf_bytes(&file));
	/* The last pages may be free: then the file is whole without them. */
	for (size_t size = file.size / 2; size > 0; size = size > 4096 ? size / 2 : size - 1300) {
		file_write(f, bytes_make(file.data, size));
		damaged(f, "data.mdb is cut short");
		assert_true(f->result.structure);
		if (size > 8192) {
			snprintf(words, sizeof(words), "it has %zu bytes and needs", size);
			says(f, words);
		}
		assert_int_equal(store_open(&opts, &store, &f->ctx), ERR_CORRUPT);
		assert_non_null(strstr(f->ctx.text, "data.mdb is cut short"));
		if (size < 1300)
			break;
	}
	file_write(f, buf_bytes(&file));
	clean(f);
	/* Longer is no fault: a transaction that did not end leaves pages behind. */
	buf_put_zeros(&longer, 3 * 4096);
	file_write(f, buf_bytes(&longer));
	clean(f);
	buf_release(&longer);
	buf_release(&file);
}

static void test_heads(void **state)
{
	enum {
		PAGE = 4096,
		MAGIC = 16,
		VERSION = 20,
		PAGE_SIZE = 40,
		LAST = 136,
		TRANSACTION = 144
	};
	static const struct {
		size_t at;
		uint8_t bits;
		const char *says;
	} flips[] = {
		{MAGIC, 1, "head 0 of data.mdb is damaged"},
		{PAGE + MAGIC, 1, "head 1 of data.mdb is damaged"},
		{PAGE_SIZE, 2, "head 0 of data.mdb is damaged: its page size is not possible"},
		{PAGE + PAGE_SIZE + 1, 0x20, "head 1 of data.mdb is damaged: its page size"},
		{TRANSACTION, 8, "do not follow each other"},
		{PAGE + TRANSACTION, 1, "do not follow each other"},
	};
	struct fixture *f = *state;
	struct buf file;

	file_read(f, &file);
	for (size_t i = 0; i < sizeof(flips) / sizeof(flips[0]); i++) {
		file.data[flips[i].at] ^= flips[i].bits;
		file_write(f, buf_bytes(&file));
		damaged(f, flips[i].says);
		file.data[flips[i].at] ^= flips[i].bits;
	}
	/* Of a later LMDB: not damage, when both say so. */
	file.data[VERSION] ^= 2;
	file_write(f, buf_bytes(&file));
	damaged(f, "head 0 of data.mdb is damaged: its version is not possible");
	file.data[PAGE + VERSION] ^= 2;
	file_write(f, buf_bytes(&file));
	assert_int_equal(run(f, false, false), ERR_VERSION);
	file.data[VERSION] ^= 2;
	file.data[PAGE + VERSION] ^= 2;
	/* Both. */
	file.data[MAGIC] ^= 1;
	file.data[PAGE + MAGIC] ^= 1;
	file_write(f, buf_bytes(&file));
	damaged(f, "not a file of LMDB, or both of its heads are damaged");
	memset(file.data, 'x', file.size);
	file_write(f, buf_bytes(&file));
	damaged(f, "not a file of LMDB, or both of its heads are damaged");
	buf_release(&file);
}

/* A page that is damaged in its structure: the file is written anew, with all rows of other pages
 * and those that lie whole in this one. What is lost then is what any entry is: marked. */
static void test_rebuild(void **state)
{
	enum { PAGE = 4096, FLAGS = 10, LOWER = 12, UPPER = 14, FIRST_NODE = 16 };
	static const size_t at[] = {0, FLAGS, LOWER, LOWER + 1, UPPER, UPPER + 1, FIRST_NODE};
	struct fixture *f = *state;
	unsigned rebuilt = 0, whole_again = 0;
	struct buf file;
	char path[320];

	snprintf(path, sizeof(path), "%s/data.mdb.damaged", f->place.store);
	file_read(f, &file);
	for (size_t page = 2; page < file.size / PAGE; page++) {
		for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
			file.data[page * PAGE + at[i]] ^= 0x08;
			file_write(f, buf_bytes(&file));
			/* Not a mere check: that would go on with LMDB, which may end us. */
			repair(f);
			if (access(path, F_OK) == 0) {
				assert_true(f->result.repaired && !f->result.structure);
				assert_int_equal(unlink(path), 0);
				rebuilt++;
				whole_again += f->result.clean;
				/* Again: there is nothing more to be done. */
				repair(f);
				if (f->result.repaired)
					fail_msg("%s", buf_cstr(&f->lines));
			} else {
				assert_true(f->result.clean);
			}
			file.data[page * PAGE + at[i]] ^= 0x08;
		}
	}
	buf_release(&file);
	print_message("%u files written anew, %u of them whole again\n", rebuilt, whole_again);
	assert_true(whole_again > rebuilt / 2);
}

/* What is lost with the file is said, even when what is left is whole in itself. */
static void test_rebuild_of_nothing(void **state)
{
	struct fixture *f = *state;
	struct buf file, mark;

	file_read(f, &file);
	file_write(f, bytes_make(file.data, 9000));
	repair(f);
	assert_true(!f->result.clean && f->result.repaired && !f->result.structure);
	says(f, "data.mdb is written anew with 0 rows");
	says(f, "the damaged file does not say what was in table 'logs'");
	/* What its witness signed nobody can give back: that key is used no more. */
	raw_get(f, DB_META, bytes_str("witness lost"), &mark);
	assert_int_equal(mark.size, CHECK_SIZE);
	buf_release(&mark);
	damaged(f, "it is empty: the node has never been up, or all of it is lost");
	buf_release(&file);
}

/* The one flip that makes the older head the newer one, where such a flip exists: the file shows an
 * older state, whole in itself. */
static void test_older_state(void **state)
{
	enum { PAGE = 4096, TRANSACTION = 144 };
	struct fixture *f = *state;
	unsigned tried = 0;

	for (unsigned i = 0; i < 4; i++) {
		struct buf file;
		size_t transaction[2];

		raw_put_checked(f, DB_INVITES, bytes_str("chad"), bytes_make(&i, sizeof(i)));
		file_read(f, &file);
		memcpy(&transaction[0], file.data + TRANSACTION, sizeof(size_t));
		memcpy(&transaction[1], file.data + PAGE + TRANSACTION, sizeof(size_t));
		for (unsigned head = 0; head < 2; head++) {
			size_t changed = transaction[head] ^ 2;

			if (changed + 1 != transaction[1 - head] &&
				changed != transaction[1 - head] + 1)
				continue;
			memcpy(file.data + head * PAGE + TRANSACTION, &changed, sizeof(changed));
			file_write(f, buf_bytes(&file));
			damaged(f, "the file shows an older state");
			memcpy(file.data + head * PAGE + TRANSACTION, &transaction[head],
				sizeof(size_t));
			file_write(f, buf_bytes(&file));
			tried++;
		}
		buf_release(&file);
		clean(f);
	}
	assert_true(tried > 0);
}

/* The keyring. */

static enum err keyring_run(struct fixture *f, const char *path)
{
	struct fsck_opts opts = whole_fsck(&f->whole, path, false);

	opts.line = on_line;
	opts.arg = f;
	buf_clear(&f->lines);
	f->bad_lines = 0;
	return fsck_keyring(&opts, &f->result, &f->ctx);
}

static void test_keyring(void **state)
{
	struct fixture *f = *state;
	struct keyring_item item = {.kid = {7}, .value = bytes_str("wrapped")};
	struct keyring *keyring;
	char path[300], file[320];
	int fd;

	snprintf(path, sizeof(path), "%s/keyring", f->place.directory);
	assert_int_equal(keyring_run(f, path), ERR_NOTFOUND);
	assert_ok(keyring_open(path, &keyring, &f->ctx));
	assert_ok(keyring_put(keyring, &item, 1, &f->ctx));
	assert_int_equal(keyring_run(f, path), ERR_BUSY);
	keyring_close(keyring);
	assert_ok(keyring_run(f, path));
	assert_true(f->result.clean);
	says(f, "1 wrapped keys");
	snprintf(file, sizeof(file), "%s/data.mdb", path);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "garbage", 7, 3 * 4096), 7);
	close(fd);
	assert_ok(keyring_run(f, path));
	assert_true(!f->result.clean && f->result.structure);
	says(f, "data.mdb: page 3");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_clean),
		T(test_not_there),
		T(test_of_another),
		T(test_every_log_is_named),
		T(test_mark_and_heal),
		T(test_first_entry),
		T(test_tiles_are_rebuilt),
		T(test_old_format),
		T(test_row_key),
		T(test_entries_and_tiles),
		T(test_neither_fits),
		T(test_tail_of_own),
		T(test_tail_of_replica),
		T(test_rows_are_mended),
		T(test_rows_are_lost),
		T(test_signatures),
		T(test_index),
		T(test_rows_of_no_log),
		T(test_mark_cap),
		T(test_repair_without_memory),
		T(test_truncated),
		T(test_heads),
		T(test_rebuild),
		T(test_rebuild_of_nothing),
		T(test_older_state),
		T(test_keyring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
