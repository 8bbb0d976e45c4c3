#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"

/* Straight into LMDB, past the writer: what a failing disk or a liar would do. */

static uint32_t number_of(struct bench *bench, const struct tlog *log)
{
	struct log_row row;
	struct txn txn;

	txn_begin(&txn, bench->store->env, TXN_READ);
	assert_ok(store_row(&txn, &log->origin, &row, NULL));
	assert_ok(txn_finish(&txn, NULL));
	return row.number;
}

static void raw_put(struct bench *bench, unsigned slot, struct store_key key, struct bytes value)
{
	struct txn txn;

	txn_begin(&txn, bench->store->env, TXN_WRITE);
	if (slot == DB_HEADS || slot == DB_LOGS || slot == DB_COSIGNATURES)
		checked_put(&txn, slot, store_key_bytes(&key), value);
	else
		txn_put(&txn, slot, store_key_bytes(&key), value);
	assert_ok(txn_finish(&txn, NULL));
}

static void raw_delete(struct bench *bench, unsigned slot, struct store_key key)
{
	struct txn txn;

	txn_begin(&txn, bench->store->env, TXN_WRITE);
	txn_delete(&txn, slot, store_key_bytes(&key));
	assert_ok(txn_finish(&txn, NULL));
}

static void raw_get(struct bench *bench, unsigned slot, struct store_key key, struct buf *ret)
{
	struct bytes value;
	struct txn txn;

	buf_init(ret, LIMIT_NOTE_SIZE);
	txn_begin(&txn, bench->store->env, TXN_READ);
	assert_true(txn_get(&txn, slot, store_key_bytes(&key), &value));
	buf_put(ret, value);
	assert_ok(txn_finish(&txn, NULL));
}

static void raw_flip(struct bench *bench, unsigned slot, struct store_key key, size_t at)
{
	struct buf value;

	raw_get(bench, slot, key, &value);
	assert_true(at < value.size);
	value.data[at] ^= 1;
	raw_put(bench, slot, key, buf_bytes(&value));
	buf_release(&value);
}

/* Opening. */

static void test_new_store_is_empty(void **state)
{
	struct bench *bench = *state;
	struct log_head *heads, head;
	struct store_usage usage;
	struct tlog log;
	struct stat st;
	char path[300];
	size_t count;

	assert_ok(store_heads(bench->store, &heads, &count, NULL));
	assert_int_equal(count, 0);
	assert_null(heads);
	tlog_init(&log, 1);
	assert_int_equal(store_head(bench->store, &log.origin, &head, NULL), ERR_NOTFOUND);
	tlog_release(&log);
	assert_ok(store_usage(bench->store, &usage));
	assert_int_equal(usage.commits, 0);
	assert_true(usage.file_bytes > 0 && usage.used_bytes <= usage.file_bytes);
	assert_int_equal(stat(bench->place.store, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	snprintf(path, sizeof(path), "%s/data.mdb", bench->place.store);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	store_tidy(bench->store);
}

static enum err open_as(const char *path, const char *network, const char *node, struct errctx *ctx)
{
	struct store_opts opts = {.path = path, .network = network, .node = node};
	struct store *store = NULL;
	enum err err = store_open(&opts, &store, ctx);

	store_close(store);
	return err;
}

static void test_identity(void **state)
{
	struct bench *bench = *state;
	struct errctx ctx = {""};

	bench_close(bench);
	assert_int_equal(open_as(bench->place.store, NETWORK, "kenya", &ctx), ERR_INVALID);
	assert_non_null(strstr(ctx.text, "belongs to node 'haiti' of network 'ovra.example'"));
	assert_non_null(strstr(ctx.text, bench->place.store));
	assert_int_equal(open_as(bench->place.store, "other.example", NODE, &ctx), ERR_INVALID);
	assert_non_null(strstr(ctx.text, "other.example"));
	assert_ok(open_as(bench->place.store, NETWORK, NODE, &ctx));
	bench_open(bench, 0);
}

static void test_version(void **state)
{
	struct bench *bench = *state;
	struct store_key key = {.size = 6};
	uint8_t newer[4] = {0, 0, 0, ENV_FORMAT + 1}, current[4] = {0, 0, 0, ENV_FORMAT};
	struct errctx ctx = {""};

	memcpy(key.b, "format", 6);
	raw_put(bench, DB_META, key, BYTES_ARRAY(newer));
	bench_close(bench);
	assert_int_equal(open_as(bench->place.store, NETWORK, NODE, &ctx), ERR_VERSION);
	assert_non_null(strstr(ctx.text, "it is of format 2, made or upgraded by a newer Sauti"));
	assert_non_null(strstr(ctx.text, bench->place.store));
	/* Even the wrong node learns the version first. */
	assert_int_equal(open_as(bench->place.store, NETWORK, "kenya", &ctx), ERR_VERSION);

	struct env_opts opts = {.path = bench->place.store, .map_size = 1 << 20};
	struct env *env;
	struct txn txn;

	assert_ok(env_open(&opts, &env, &ctx));
	txn_begin(&txn, env, TXN_WRITE);
	txn_database(&txn, DB_META, "meta");
	txn_put(&txn, DB_META, store_key_bytes(&key), BYTES_ARRAY(current));
	assert_ok(txn_finish(&txn, NULL));
	env_close(env);
	bench_open(bench, 0);
}

static void test_busy(void **state)
{
	struct bench *bench = *state;
	struct errctx ctx = {""};
	int status;
	pid_t child;

	/* The same process, and another. */
	assert_int_equal(open_as(bench->place.store, NETWORK, NODE, &ctx), ERR_BUSY);
	assert_non_null(strstr(ctx.text, bench->place.store));
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		enum err err = open_as(bench->place.store, NETWORK, NODE, &ctx);

		_exit(err == ERR_BUSY && strstr(ctx.text, bench->place.store) != NULL ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	bench_close(bench);
	assert_ok(open_as(bench->place.store, NETWORK, NODE, &ctx));
	bench_open(bench, 0);
}

/* Root may write anywhere, so a child without its rights tries. */
static void test_denied(void **state)
{
	struct bench *bench = *state;
	struct errctx ctx = {""};
	char path[300];
	int status;
	pid_t child;

	snprintf(path, sizeof(path), "%s/closed", bench->place.directory);
	assert_int_equal(mkdir(path, 0500), 0);
	if (geteuid() == 0) {
		assert_int_equal(chmod(bench->place.directory, 0755), 0);
		assert_int_equal(chmod(path, 0555), 0);
	}
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
			_exit(77);
		_exit(open_as(path, NETWORK, NODE, &ctx) == ERR_DENIED &&
					strstr(ctx.text, path) != NULL
				? 0
				: 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message(
			"root that cannot become another user: run this as an ordinary one\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static void test_not_a_store(void **state)
{
	struct bench *bench = *state;
	char directory[280], path[300], garbage[8192];
	struct errctx ctx = {""};
	int fd;

	snprintf(directory, sizeof(directory), "%s/none/below", bench->place.directory);
	assert_int_not_equal(open_as(directory, NETWORK, NODE, &ctx), OK);
	assert_non_null(strstr(ctx.text, directory));
	snprintf(directory, sizeof(directory), "%s/bad", bench->place.directory);
	snprintf(path, sizeof(path), "%s/data.mdb", directory);
	assert_int_equal(mkdir(directory, 0700), 0);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	memset(garbage, 'x', sizeof(garbage));
	assert_int_equal(write(fd, garbage, sizeof(garbage)), sizeof(garbage));
	close(fd);
	assert_int_equal(open_as(directory, NETWORK, NODE, &ctx), ERR_CORRUPT);
	assert_non_null(strstr(ctx.text, directory));
	/* One that was being made when the power went is not in the way. */
	snprintf(directory, sizeof(directory), "%s/half", bench->place.directory);
	assert_int_equal(mkdir(directory, 0700), 0);
	snprintf(path, sizeof(path), "%s/data.new", directory);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, garbage, 100), 100);
	close(fd);
	assert_int_equal(open_as(directory, NETWORK, NODE, &ctx), OK);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(open_as(directory, NETWORK, NODE, &ctx), OK);
}

/* Reading. */

static void test_append_reopen(void **state)
{
	static const size_t steps[] = {1, 1, 253, 1, 1, 300, 1024, 700};
	struct bench *bench = *state;
	struct tlog log;

	tlog_init(&log, 3);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		tlog_append(bench, &log, steps[i]);
		tlog_check(bench, &log);
		bench_reopen(bench);
		tlog_check(bench, &log);
	}
	assert_int_equal(bench_commits(bench), sizeof(steps) / sizeof(steps[0]));
	tlog_release(&log);
}

static void test_many_logs(void **state)
{
	enum { LOGS = 40, ROUNDS = 6 };
	struct bench *bench = *state;
	struct log_head *heads;
	struct tlog logs[LOGS];
	struct buf first;
	size_t count;

	for (unsigned i = 0; i < LOGS; i++)
		tlog_init(&logs[i], 1000 - i); /* names not in the order of numbers */
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < LOGS; i++)
			tlog_append(bench, &logs[i], 1 + (i * 7 + round * 31) % 90);
	}
	bench_reopen(bench);
	assert_ok(store_heads(bench->store, &heads, &count, NULL));
	assert_int_equal(count, LOGS);
	buf_init(&first, LIMIT_ENTRY_SIZE);
	for (unsigned i = 0; i < LOGS; i++) {
		assert_string_equal(heads[i].origin.text, logs[i].origin.text);
		assert_int_equal(heads[i].size, logs[i].compact.size);
		buf_clear(&first);
		entry_make(&first, logs[i].number, 0);
		assert_true(bytes_equal(buf_bytes(&heads[i].first_entry), buf_bytes(&first)));
		assert_int_equal(heads[i].cosignature_count, 0);
		log_head_release(&heads[i]);
		tlog_check(bench, &logs[i]);
		tlog_release(&logs[i]);
	}
	buf_release(&first);
	mem_free(heads);
}

/* A batch is what a stranger would accept: right bytes, proven against the target's root. */
static size_t batch_check(struct bench *bench, const struct tlog *log, struct store_read read)
{
	struct store_batch batch;
	struct compact range;
	struct errctx ctx = {""};
	struct hash root, leaf;
	struct buf entry;
	size_t count;

	compact_init(&range);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	for (uint64_t i = 0; i < read.first; i++) {
		buf_clear(&entry);
		entry_make(&entry, log->number, i);
		tree_leaf(buf_bytes(&entry), &leaf);
		compact_append(&range, &leaf);
	}
	read.origin = log->origin;
	if (store_read_batch(bench->store, &read, &batch, &ctx) != OK)
		fail_msg("%s", ctx.text);
	count = batch.entries->count;
	assert_true(count > 0 && read.first + count <= read.target);
	for (size_t i = 0; i < count; i++) {
		buf_clear(&entry);
		entry_make(&entry, log->number, read.first + i);
		assert_true(bytes_equal(batch.entries->entry[i], buf_bytes(&entry)));
		compact_append(&range, &batch.entries->leaf[i]);
	}
	buf_release(&entry);
	compact_root(&range, &root);
	assert_memory_equal(root.b, log->roots[read.first + count].b, HASH_SIZE);
	assert_true(proof_consistency_ok(
		&batch.proof, read.first + count, &root, read.target, &log->roots[read.target]));
	entries_unref(batch.entries);
	return count;
}

static void test_batches_prove_themselves(void **state)
{
	static const uint64_t firsts[] = {0, 1, 254, 255, 256, 257, 511, 1023, 1024, 1699};
	static const uint64_t targets[] = {1, 2, 255, 256, 257, 512, 1025, 1500, 1699, 1700};
	static const size_t counts[] = {1, 2, 255, 256, 1024, 4000};
	struct bench *bench = *state;
	struct store_read read = {.size_max = SIZE_MAX};
	struct tlog log;

	tlog_init(&log, 4);
	for (size_t i = 0; i < 17; i++)
		tlog_append(bench, &log, 100);
	for (size_t f = 0; f < 10; f++) {
		for (size_t t = 0; t < 10; t++) {
			for (size_t c = 0; c < 6 && firsts[f] < targets[t]; c++) {
				uint64_t most = targets[t] - firsts[f];

				read.first = firsts[f];
				read.target = targets[t];
				read.count_max = counts[c];
				assert_int_equal(batch_check(bench, &log, read),
					most < counts[c] ? most : counts[c]);
			}
		}
	}
	tlog_release(&log);
}

static void test_batch_caps(void **state)
{
	struct bench *bench = *state;
	struct store_read read = {.first = 10, .target = 300, .count_max = 1024};
	size_t sizes[5], sum = 0;
	struct tlog log;
	struct buf entry;

	tlog_init(&log, 5);
	tlog_append(bench, &log, 300);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	for (size_t i = 0; i < 5; i++) {
		buf_clear(&entry);
		entry_make(&entry, log.number, 10 + i);
		sizes[i] = entry.size;
		sum += sizes[i];
	}
	buf_release(&entry);
	read.size_max = sum;
	assert_int_equal(batch_check(bench, &log, read), 5);
	read.size_max = sum - 1;
	assert_int_equal(batch_check(bench, &log, read), 4);
	/* At least one, whatever the caps. */
	read.size_max = sizes[0];
	assert_int_equal(batch_check(bench, &log, read), 1);
	read.size_max = 0;
	assert_int_equal(batch_check(bench, &log, read), 1);
	read.size_max = SIZE_MAX;
	read.count_max = 0;
	assert_int_equal(batch_check(bench, &log, read), 1);
	read.count_max = SIZE_MAX;
	assert_int_equal(batch_check(bench, &log, read), 290);
	tlog_release(&log);
}

static void test_batch_refused(void **state)
{
	struct bench *bench = *state;
	struct store_read read = {.count_max = 10, .size_max = 10000};
	struct store_batch batch;
	struct errctx ctx = {""};
	struct tlog log;

	tlog_init(&log, 6);
	read.origin = log.origin;
	read.target = 1;
	assert_int_equal(store_read_batch(bench->store, &read, &batch, &ctx), ERR_NOTFOUND);
	assert_non_null(strstr(ctx.text, log.origin.text));
	tlog_append(bench, &log, 20);
	read.first = 5;
	read.target = 5;
	assert_int_equal(store_read_batch(bench->store, &read, &batch, &ctx), ERR_INVALID);
	read.target = 4;
	assert_int_equal(store_read_batch(bench->store, &read, &batch, &ctx), ERR_INVALID);
	read.target = 21;
	assert_int_equal(store_read_batch(bench->store, &read, &batch, &ctx), ERR_INVALID);
	tlog_release(&log);
}

/* A peer must not get what does not prove: we would be held for a liar. */
static void test_damaged_batch_is_not_given(void **state)
{
	struct bench *bench = *state;
	struct store_read read = {
		.first = 250, .target = 600, .count_max = 20, .size_max = SIZE_MAX};
	struct store_batch batch;
	struct errctx ctx = {""};
	struct tlog log;
	uint32_t number;

	tlog_init(&log, 7);
	tlog_append(bench, &log, 600);
	number = number_of(bench, &log);
	read.origin = log.origin;
	raw_flip(bench, DB_ENTRIES, entry_key(number, 259), 0);
	assert_int_equal(store_read_batch(bench->store, &read, &batch, &ctx), ERR_CORRUPT);
	assert_non_null(strstr(ctx.text, "entry 259"));
	raw_flip(bench, DB_ENTRIES, entry_key(number, 259), 0);
	assert_int_equal(batch_check(bench, &log, read), 20);
	raw_delete(bench, DB_ENTRIES, entry_key(number, 250));
	assert_int_equal(store_read_batch(bench->store, &read, &batch, &ctx), ERR_CORRUPT);
	read.first = 251;
	raw_delete(bench, DB_TILES, tile_key(number, (struct tile_id){0, 1}));
	assert_int_equal(store_read_batch(bench->store, &read, &batch, &ctx), ERR_CORRUPT);
	tlog_release(&log);
}

static void test_entry(void **state)
{
	struct bench *bench = *state;
	struct buf out, expected;
	struct tlog log;

	tlog_init(&log, 8);
	buf_init(&out, LIMIT_ENTRY_SIZE);
	buf_init(&expected, LIMIT_ENTRY_SIZE);
	assert_int_equal(store_entry(bench->store, &log.origin, 0, &out, NULL), ERR_NOTFOUND);
	tlog_append(bench, &log, 10);
	assert_int_equal(store_entry(bench->store, &log.origin, 10, &out, NULL), ERR_NOTFOUND);
	assert_int_equal(out.size, 0);
	/* It appends. */
	assert_ok(store_entry(bench->store, &log.origin, 8, &out, NULL));
	assert_ok(store_entry(bench->store, &log.origin, 9, &out, NULL));
	entry_make(&expected, 8, 8);
	entry_make(&expected, 8, 9);
	assert_true(bytes_equal(buf_bytes(&out), buf_bytes(&expected)));
	buf_release(&out);
	buf_init(&out, 3);
	assert_int_equal(store_entry(bench->store, &log.origin, 8, &out, NULL), ERR_LIMIT);
	buf_release(&out);
	buf_release(&expected);
	tlog_release(&log);
}

/* Every entry in trees of every size there was, over the edges of tiles. */
static void test_inclusion(void **state)
{
	struct bench *bench = *state;
	struct store_included at = {0, 1};
	struct proof proof;
	struct hash root, leaf;
	struct tlog log;
	struct buf entry;

	tlog_init(&log, 8);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(
		store_inclusion(bench->store, &log.origin, &at, &proof, &root, NULL), ERR_NOTFOUND);
	tlog_append(bench, &log, 530);
	for (at.size = 1; at.size <= 530; at.size += at.size < 250 || at.size > 262 ? 13 : 1)
		for (at.index = 0; at.index < at.size; at.index += 1 + at.index / 3) {
			assert_ok(store_inclusion(
				bench->store, &log.origin, &at, &proof, &root, NULL));
			assert_true(hash_equal(&root, &log.roots[at.size]));
			buf_clear(&entry);
			entry_make(&entry, 8, at.index);
			tree_leaf(buf_bytes(&entry), &leaf);
			assert_true(proof_inclusion_ok(&proof, at.index, &leaf, at.size, &root));
		}
	at = (struct store_included){0, 531};
	assert_int_equal(
		store_inclusion(bench->store, &log.origin, &at, &proof, &root, NULL), ERR_NOTFOUND);
	at = (struct store_included){530, 530};
	assert_int_equal(
		store_inclusion(bench->store, &log.origin, &at, &proof, &root, NULL), ERR_INVALID);
	buf_release(&entry);
	tlog_release(&log);
}

/* The largest and the smallest entry there may be. */
static void test_entry_sizes(void **state)
{
	struct bench *bench = *state;
	uint8_t *large = malloc(LIMIT_ENTRY_SIZE);
	struct bytes entries[3] = {
		{large, LIMIT_ENTRY_SIZE}, {large, 1}, {large, LIMIT_ENTRY_SIZE}};
	struct store_verify verify;
	struct tlog log;
	struct buf out;

	assert_non_null(large);
	memset(large, 7, LIMIT_ENTRY_SIZE);
	tlog_init(&log, 9);
	assert_ok(bench_write(bench, tlog_write_entries(&log, entries, 3)));
	buf_init(&out, LIMIT_ENTRY_SIZE);
	assert_ok(store_entry(bench->store, &log.origin, 2, &out, NULL));
	assert_true(bytes_equal(buf_bytes(&out), entries[2]));
	buf_release(&out);
	assert_ok(store_verify(bench->store, &log.origin, NULL, &verify, NULL));
	assert_int_equal(verify.size, 3);
	buf_release(&verify.checkpoint);
	tlog_release(&log);
	free(large);
}

/* Locators. */

static void locate_check(struct bench *bench, const struct tlog *log, const uint8_t locator[16],
	const uint64_t *expected, size_t count)
{
	uint64_t found[8];
	size_t found_count = 99;

	assert_ok(store_locate(bench->store, &log->origin, locator, found, 8, &found_count, NULL));
	assert_int_equal(found_count, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(found[i], expected[i]);
}

static void test_locate(void **state)
{
	struct bench *bench = *state;
	struct tlog log, other;
	uint8_t locator[16];
	uint64_t found[1];
	size_t count;

	tlog_init(&log, 10);
	tlog_init(&other, 11);
	locator_make(locator, 10, 1);
	assert_int_equal(store_locate(bench->store, &log.origin, locator, found, 1, &count, NULL),
		ERR_NOTFOUND);
	tlog_append(bench, &log, 200);
	tlog_append(bench, &other, 200);
	bench_reopen(bench);
	for (uint64_t i = 0; i < 200; i++) {
		locator_make(locator, 10, i);
		locate_check(bench, &log, locator, &i, entry_is_sealed(i) ? 1 : 0);
		/* Logs do not mix. */
		locate_check(bench, &other, locator, NULL, 0);
	}
	tlog_release(&log);
	tlog_release(&other);
}

static struct store_write *locators_write(
	struct tlog *log, const uint8_t (*locators)[16], size_t count, size_t size)
{
	struct bytes *views = calloc(count, sizeof(*views));
	struct store_write *write;
	struct buf all;
	size_t *ends = calloc(count, sizeof(*ends));

	assert_true(views != NULL && ends != NULL);
	buf_init(&all, count * 1024);
	for (size_t i = 0; i < count; i++) {
		sealed_make(&all, bytes_make(locators[i], size), i);
		ends[i] = all.size;
	}
	assert_ok(all.err);
	for (size_t i = 0, at = 0; i < count; at = ends[i++])
		views[i] = bytes_make(all.data + at, ends[i] - at);
	write = tlog_write_entries(log, views, count);
	buf_release(&all);
	free(views);
	free(ends);
	return write;
}

static void test_locator_collisions(void **state)
{
	/* Three share eight bytes; the first is there twice; one differs in its first byte. */
	static const uint8_t locators[5][16] = {
		{1, 2, 3, 4, 5, 6, 7, 8, 9},
		{1, 2, 3, 4, 5, 6, 7, 8, 10},
		{2, 2, 3, 4, 5, 6, 7, 8, 9},
		{1, 2, 3, 4, 5, 6, 7, 8, 9},
		{1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 1},
	};
	static const uint64_t first[] = {0, 3}, one = 1, two = 2, four = 4;
	static const uint8_t absent[16] = {1, 2, 3, 4, 5, 6, 7, 8, 11};
	struct bench *bench = *state;
	uint64_t found[1] = {77};
	struct tlog log, lengths;
	size_t count = 99;

	tlog_init(&log, 12);
	assert_ok(bench_write(bench, locators_write(&log, locators, 5, 16)));
	locate_check(bench, &log, locators[0], first, 2);
	locate_check(bench, &log, locators[1], &one, 1);
	locate_check(bench, &log, locators[2], &two, 1);
	locate_check(bench, &log, locators[4], &four, 1);
	locate_check(bench, &log, absent, NULL, 0);
	/* No more than asked for, the oldest. */
	assert_ok(store_locate(bench->store, &log.origin, locators[0], found, 1, &count, NULL));
	assert_int_equal(count, 1);
	assert_int_equal(found[0], 0);
	assert_ok(store_locate(bench->store, &log.origin, locators[0], found, 0, &count, NULL));
	assert_int_equal(count, 0);
	tlog_release(&log);
	/* A locator of another length is none. */
	tlog_init(&lengths, 13);
	assert_ok(bench_write(bench, locators_write(&lengths, locators, 2, 15)));
	locate_check(bench, &lengths, locators[0], NULL, 0);
	tlog_release(&lengths);
}

static void test_locate_scan_cap(void **state)
{
	enum { COUNT = STORE_LOCATE_SCAN + 1 };
	uint8_t(*locators)[16] = calloc(COUNT, sizeof(*locators));
	struct bench *bench = *state;
	uint64_t at_cap = STORE_LOCATE_SCAN - 1;
	struct tlog log;

	assert_non_null(locators);
	for (size_t i = 0; i < COUNT; i++)
		put_u32be(locators[i] + 12, (uint32_t)i);
	tlog_init(&log, 14);
	assert_ok(bench_write(bench, locators_write(&log, locators, COUNT, 16)));
	locate_check(bench, &log, locators[STORE_LOCATE_SCAN - 1], &at_cap, 1);
	locate_check(bench, &log, locators[STORE_LOCATE_SCAN], NULL, 0);
	tlog_release(&log);
	free(locators);
}

/* Verification. */

static void verify_bad(
	struct bench *bench, const struct tlog *log, uint64_t index, const char *says)
{
	struct store_verify verify;
	struct errctx ctx = {""};

	memset(&verify, 0xee, sizeof(verify));
	assert_int_equal(
		store_verify(bench->store, &log->origin, NULL, &verify, &ctx), ERR_CORRUPT);
	assert_int_equal(verify.bad_index, index);
	assert_null(verify.checkpoint.data);
	if (strstr(ctx.text, says) == NULL || strstr(ctx.text, log->origin.text) == NULL)
		fail_msg("expected '%s' of the log in: %s", says, ctx.text);
}

static void verify_good(struct bench *bench, const struct tlog *log)
{
	struct store_verify verify;
	struct errctx ctx = {""};

	if (store_verify(bench->store, &log->origin, NULL, &verify, &ctx) != OK)
		fail_msg("%s", ctx.text);
	buf_release(&verify.checkpoint);
}

static void test_verify_entries_and_leaves(void **state)
{
	static const uint64_t indices[] = {0, 255, 256, 1023, 1024, 2047, 2048, 2499};
	struct bench *bench = *state;
	struct tlog log;
	uint32_t number;

	tlog_init(&log, 20);
	tlog_append(bench, &log, 2500);
	number = number_of(bench, &log);
	verify_good(bench, &log);
	for (size_t i = 0; i < sizeof(indices) / sizeof(indices[0]); i++) {
		struct store_key entry = entry_key(number, indices[i]);
		struct store_key tile = tile_key(number, (struct tile_id){0, indices[i] / 256});
		size_t at = indices[i] % 256 * HASH_SIZE + 31;

		raw_flip(bench, DB_ENTRIES, entry, 1);
		verify_bad(bench, &log, indices[i], "entry");
		raw_flip(bench, DB_ENTRIES, entry, 1);
		raw_flip(bench, DB_TILES, tile, at);
		verify_bad(bench, &log, indices[i], "entry");
		raw_flip(bench, DB_TILES, tile, at);
	}
	/* The first of two. */
	raw_flip(bench, DB_ENTRIES, entry_key(number, 2100), 0);
	raw_flip(bench, DB_ENTRIES, entry_key(number, 700), 0);
	verify_bad(bench, &log, 700, "entry 700");
	raw_flip(bench, DB_ENTRIES, entry_key(number, 700), 0);
	verify_bad(bench, &log, 2100, "entry 2100");
	raw_flip(bench, DB_ENTRIES, entry_key(number, 2100), 0);
	verify_good(bench, &log);
	tlog_release(&log);
}

static void test_verify_missing_and_too_much(void **state)
{
	struct bench *bench = *state;
	struct tlog log, next;
	uint32_t number;
	struct buf tile;

	tlog_init(&log, 21);
	tlog_init(&next, 22);
	tlog_append(bench, &log, 600);
	tlog_append(bench, &next, 600); /* its keys follow at once */
	number = number_of(bench, &log);

	raw_put(bench, DB_ENTRIES, entry_key(number, 600), bytes_str("stray"));
	verify_bad(bench, &log, 600, "behind its end");
	raw_delete(bench, DB_ENTRIES, entry_key(number, 600));
	raw_put(bench, DB_TILES, tile_key(number, (struct tile_id){0, 3}), bytes_str("stray"));
	verify_bad(bench, &log, 600, "behind its end");
	raw_delete(bench, DB_TILES, tile_key(number, (struct tile_id){0, 3}));
	raw_put(bench, DB_TILES, tile_key(number, (struct tile_id){2, 0}), bytes_str("stray"));
	verify_bad(bench, &log, 600, "behind its end");
	raw_delete(bench, DB_TILES, tile_key(number, (struct tile_id){2, 0}));
	raw_put(bench, DB_TILES, tile_key(number, (struct tile_id){200, 0}), bytes_str("stray"));
	verify_bad(bench, &log, 600, "behind its end");
	raw_delete(bench, DB_TILES, tile_key(number, (struct tile_id){200, 0}));

	raw_get(bench, DB_TILES, tile_key(number, (struct tile_id){0, 2}), &tile);
	buf_put_zeros(&tile, 32);
	raw_put(bench, DB_TILES, tile_key(number, (struct tile_id){0, 2}), buf_bytes(&tile));
	verify_bad(bench, &log, 600, "wider");
	tile.size -= 64;
	raw_put(bench, DB_TILES, tile_key(number, (struct tile_id){0, 2}), buf_bytes(&tile));
	verify_bad(bench, &log, 599, "entry 599");
	raw_delete(bench, DB_TILES, tile_key(number, (struct tile_id){0, 2}));
	verify_bad(bench, &log, 512, "tile 0/2 is missing");
	buf_release(&tile);

	raw_delete(bench, DB_ENTRIES, entry_key(number, 300));
	verify_bad(bench, &log, 300, "entry 300 is missing");
	raw_delete(bench, DB_ENTRIES, entry_key(number, 0));
	verify_bad(bench, &log, 0, "entry 0 is missing");
	verify_good(bench, &next);
	tlog_release(&log);
	tlog_release(&next);
}

/* Parents that were changed, alone or so that they fit what was changed below them. */
static void test_verify_parents(void **state)
{
	enum { SIZE = 66000 };
	struct bench *bench = *state;
	uint32_t number, small = 0;
	struct bytes *views = calloc(SIZE, sizeof(*views));
	uint8_t(*entries)[4] = calloc(SIZE, sizeof(*entries));
	struct hash leaf, hashes[TILE_WIDTH];
	struct buf tile;
	struct tlog log;

	assert_true(views != NULL && entries != NULL);
	for (uint32_t i = 0; i < SIZE; i++) {
		put_u32be(entries[i], ++small);
		views[i] = BYTES_ARRAY(entries[i]);
	}
	tlog_init(&log, 23);
	assert_ok(bench_write(bench, tlog_write_entries(&log, views, SIZE)));
	free(views);
	number = number_of(bench, &log);
	verify_good(bench, &log);
	/* Level 1: its full tile, and the one at the edge. */
	raw_flip(bench, DB_TILES, tile_key(number, (struct tile_id){1, 0}), 5 * HASH_SIZE);
	verify_bad(bench, &log, UINT64_C(5) * 256, "tile 1/0");
	raw_flip(bench, DB_TILES, tile_key(number, (struct tile_id){1, 0}), 5 * HASH_SIZE);
	raw_flip(bench, DB_TILES, tile_key(number, (struct tile_id){1, 1}), 0);
	verify_bad(bench, &log, 65536, "tile 1/1");
	raw_flip(bench, DB_TILES, tile_key(number, (struct tile_id){1, 1}), 0);
	/* Level 2. */
	raw_flip(bench, DB_TILES, tile_key(number, (struct tile_id){2, 0}), 9);
	verify_bad(bench, &log, 0, "tile 2/0");
	raw_flip(bench, DB_TILES, tile_key(number, (struct tile_id){2, 0}), 9);
	verify_good(bench, &log);

	/* Entry 1000 and its leaf hash forged together: the parent does not fit. */
	entries[1000][0] ^= 1;
	raw_put(bench, DB_ENTRIES, entry_key(number, 1000), BYTES_ARRAY(entries[1000]));
	tree_leaf(BYTES_ARRAY(entries[1000]), &leaf);
	raw_get(bench, DB_TILES, tile_key(number, (struct tile_id){0, 3}), &tile);
	memcpy(tile.data + (1000 - 768) * HASH_SIZE, leaf.b, HASH_SIZE);
	raw_put(bench, DB_TILES, tile_key(number, (struct tile_id){0, 3}), buf_bytes(&tile));
	verify_bad(bench, &log, 768, "tile 1/0");
	/* The parents forged too, up to the top: the checkpoint does not fit. */
	for (unsigned level = 1; level <= 2; level++) {
		memcpy(hashes, tile.data, sizeof(hashes));
		for (unsigned n = TILE_WIDTH; n > 1; n /= 2) {
			for (unsigned i = 0; i < n / 2; i++)
				tree_node(&hashes[2 * i], &hashes[2 * i + 1], &hashes[i]);
		}
		buf_release(&tile);
		raw_get(bench, DB_TILES, tile_key(number, (struct tile_id){level, 0}), &tile);
		memcpy(tile.data + (level == 1 ? 3 : 0) * HASH_SIZE, hashes[0].b, HASH_SIZE);
		raw_put(bench, DB_TILES, tile_key(number, (struct tile_id){level, 0}),
			buf_bytes(&tile));
	}
	buf_release(&tile);
	verify_bad(bench, &log, 0, "not that of its checkpoint");
	free(entries);
	tlog_release(&log);
}

static void test_verify_checkpoint(void **state)
{
	struct bench *bench = *state;
	struct store_write *write;
	struct store_verify verify;
	struct tlog log, other;
	struct errctx ctx = {""};
	struct buf head;
	uint32_t number;
	bool stop = true;

	tlog_init(&log, 24);
	tlog_init(&other, 25);
	assert_int_equal(
		store_verify(bench->store, &log.origin, NULL, &verify, &ctx), ERR_NOTFOUND);
	tlog_append(bench, &log, 300);
	/* Entries past the checkpoint, as a mirror has them. */
	write = tlog_write(&log, 50);
	buf_clear(&write->checkpoint);
	assert_ok(bench_write(bench, write));
	assert_ok(store_verify(bench->store, &log.origin, NULL, &verify, NULL));
	assert_int_equal(verify.size, 350);
	assert_memory_equal(verify.root.b, log.roots[350].b, HASH_SIZE);
	assert_memory_equal(verify.checkpoint_root.b, log.roots[300].b, HASH_SIZE);
	assert_true(verify.checkpoint.size > 0);
	buf_release(&verify.checkpoint);
	assert_int_equal(
		store_verify(bench->store, &log.origin, &stop, &verify, &ctx), ERR_CANCELED);
	stop = false;
	assert_ok(store_verify(bench->store, &log.origin, &stop, &verify, &ctx));
	buf_release(&verify.checkpoint);
	/* A log without checkpoint, then without anything. */
	write = tlog_write(&other, 1);
	buf_clear(&write->checkpoint);
	assert_ok(bench_write(bench, write));
	assert_ok(store_verify(bench->store, &other.origin, NULL, &verify, NULL));
	assert_int_equal(verify.checkpoint.size, 0);
	buf_release(&verify.checkpoint);
	assert_memory_equal(verify.root.b, other.roots[1].b, HASH_SIZE);
	tlog_release(&other);
	tlog_init(&other, 26);
	assert_ok(bench_write(bench, store_write_new(&other.origin)));
	assert_ok(store_verify(bench->store, &other.origin, NULL, &verify, NULL));
	assert_int_equal(verify.size, 0);
	buf_release(&verify.checkpoint);
	assert_memory_equal(verify.root.b, other.roots[0].b, HASH_SIZE);
	/* A checkpoint of another root, of a size that is not held, unreadable. */
	number = number_of(bench, &log);
	buf_init(&head, LIMIT_NOTE_SIZE);
	buf_put_u64be(&head, 350);
	note_make(&head, &log.origin, 300, &log.roots[299]);
	raw_put(bench, DB_HEADS, log_key(number), buf_bytes(&head));
	verify_bad(bench, &log, 0, "not that of its checkpoint");
	buf_clear(&head);
	buf_put_u64be(&head, 350);
	note_make(&head, &log.origin, 351, &log.roots[350]);
	raw_put(bench, DB_HEADS, log_key(number), buf_bytes(&head));
	verify_bad(bench, &log, 350, "before its checkpoint at 351");
	buf_clear(&head);
	buf_put_u64be(&head, 350);
	buf_put_str(&head, "nonsense");
	raw_put(bench, DB_HEADS, log_key(number), buf_bytes(&head));
	verify_bad(bench, &log, 0, "not readable");
	/* A head that forgot entries. */
	buf_clear(&head);
	buf_put_u64be(&head, 349);
	raw_put(bench, DB_HEADS, log_key(number), buf_bytes(&head));
	verify_bad(bench, &log, 349, "wider");
	buf_release(&head);
	tlog_release(&log);
	tlog_release(&other);
}

static void test_damaged_head(void **state)
{
	struct bench *bench = *state;
	struct log_head *heads = NULL, head;
	struct errctx ctx = {""};
	struct tlog log;
	uint32_t number;
	size_t count;

	tlog_init(&log, 27);
	tlog_append(bench, &log, 300);
	number = number_of(bench, &log);
	raw_delete(bench, DB_TILES, tile_key(number, (struct tile_id){1, 0}));
	assert_int_equal(store_heads(bench->store, &heads, &count, &ctx), ERR_CORRUPT);
	assert_non_null(strstr(ctx.text, log.origin.text));
	assert_null(heads);
	raw_put(bench, DB_HEADS, log_key(number), bytes_str("short"));
	assert_int_equal(store_head(bench->store, &log.origin, &head, &ctx), ERR_CORRUPT);
	raw_delete(bench, DB_HEADS, log_key(number));
	assert_int_equal(store_head(bench->store, &log.origin, &head, &ctx), ERR_CORRUPT);
	tlog_release(&log);
}

/* The rest. */

static void test_invites(void **state)
{
	struct bench *bench = *state;
	char name[LIMIT_NODE_NAME + 2];
	struct errctx ctx = {""};
	struct buf out;

	buf_init(&out, 1024);
	assert_int_equal(store_invite_get(bench->store, "kenya", &out, &ctx), ERR_NOTFOUND);
	assert_non_null(strstr(ctx.text, "kenya"));
	assert_ok(store_invite_put(bench->store, "kenya", bytes_str("one"), NULL));
	assert_ok(store_invite_put(bench->store, "kenya", bytes_str("two"), NULL));
	bench_reopen(bench);
	assert_ok(store_invite_get(bench->store, "kenya", &out, NULL));
	assert_true(bytes_equal_str(buf_bytes(&out), "two"));
	assert_int_equal(bench_commits(bench), 0); /* the guard counts the log's commits alone */
	assert_ok(store_invite_put(bench->store, "kenya", BYTES_NONE, NULL));
	assert_ok(store_invite_put(bench->store, "kenya", BYTES_NONE, NULL));
	assert_int_equal(store_invite_get(bench->store, "kenya", &out, NULL), ERR_NOTFOUND);
	memset(name, 'a', sizeof(name));
	name[LIMIT_NODE_NAME + 1] = '\0';
	assert_int_equal(store_invite_put(bench->store, name, bytes_str("x"), NULL), ERR_INVALID);
	assert_int_equal(store_invite_put(bench->store, "", bytes_str("x"), NULL), ERR_INVALID);
	assert_int_equal(store_invite_get(bench->store, "", &out, NULL), ERR_NOTFOUND);
	for (int i = 0; i < LIMIT_INVITES; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_ok(store_invite_put(bench->store, name, bytes_str("x"), NULL));
	}
	assert_int_equal(store_invite_put(bench->store, "more", bytes_str("x"), NULL), ERR_LIMIT);
	assert_ok(store_invite_put(bench->store, "n0", bytes_str("y"), NULL));
	assert_ok(store_invite_put(bench->store, "n1", BYTES_NONE, NULL));
	assert_ok(store_invite_put(bench->store, "more", bytes_str("x"), NULL));
	buf_release(&out);
}

static enum err read_everything(struct bench *bench, const struct tlog *log)
{
	struct store_read read = {
		.origin = log->origin, .target = 300, .count_max = 100, .size_max = SIZE_MAX};
	struct store_verify verify;
	struct store_batch batch;
	struct log_head *heads;
	uint8_t locator[16];
	uint64_t found[4];
	size_t count;

	TRY(store_heads(bench->store, &heads, &count, NULL));
	for (size_t i = 0; i < count; i++)
		log_head_release(&heads[i]);
	mem_free(heads);
	TRY(store_read_batch(bench->store, &read, &batch, NULL));
	entries_unref(batch.entries);
	locator_make(locator, log->number, 5);
	TRY(store_locate(bench->store, &log->origin, locator, found, 4, &count, NULL));
	assert_int_equal(count, 1);
	TRY(store_verify(bench->store, &log->origin, NULL, &verify, NULL));
	buf_release(&verify.checkpoint);
	return OK;
}

/* Every allocation fails once, with all that follow: ERR_NOMEM, nothing leaks, nothing breaks. */
static void test_out_of_memory(void **state)
{
	struct bench *bench = *state;
	struct store_opts opts = {.path = bench->place.store, .network = NETWORK, .node = NODE};
	struct store_write *write;
	struct tlog log;
	enum err err;
	size_t n;

	tlog_init(&log, 30);
	write = tlog_write(&log, 300);
	strcpy(write->cosigner, "ovra.example/mirror/kenya");
	buf_put_str(&write->cosignature, "line");
	assert_ok(bench_write(bench, write));
	for (n = 0;; n++) {
		alloc_fail_after(n);
		err = read_everything(bench, &log);
		if (!alloc_failed())
			break;
		alloc_fail_after(SIZE_MAX);
		assert_int_equal(err, ERR_NOMEM);
	}
	assert_ok(err);
	assert_true(n > 5);
	alloc_fail_after(SIZE_MAX);
	bench_close(bench);
	for (n = 0;; n++) {
		alloc_fail_after(n);
		err = store_open(&opts, &bench->store, NULL);
		if (!alloc_failed())
			break;
		assert_int_equal(err, ERR_NOMEM);
	}
	assert_ok(err);
	alloc_fail_after(SIZE_MAX);
	store_close(bench->store);
	bench_open(bench, 0);
	tlog_check(bench, &log);
	tlog_release(&log);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		T(test_new_store_is_empty),
		T(test_identity),
		T(test_version),
		T(test_busy),
		T(test_denied),
		T(test_not_a_store),
		T(test_append_reopen),
		T(test_many_logs),
		T(test_batches_prove_themselves),
		T(test_batch_caps),
		T(test_batch_refused),
		T(test_damaged_batch_is_not_given),
		T(test_entry),
		T(test_inclusion),
		T(test_entry_sizes),
		T(test_locate),
		T(test_locator_collisions),
		T(test_locate_scan_cap),
		T(test_verify_entries_and_leaves),
		T(test_verify_missing_and_too_much),
		T(test_verify_parents),
		T(test_verify_checkpoint),
		T(test_damaged_head),
		T(test_invites),
		T(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
