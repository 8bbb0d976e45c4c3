#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/store/indexer.h"
#include "server/store/keyring.h"

/*
 * A store of format 0 is made once: by the writer, and then its tables are put back to how format 0
 * had them (docs/FORMAT of that time): "format" u32be 0, and for each sealed entry a row
 * {log u32be, locator[0:8], index u64be} -> nothing in `locators`. Its file is copied for each try.
 */

enum { LOGS = 3, ENTRIES = 4500 }; /* of each log; together three pieces of the migration */

struct fixture {
	struct bench *bench;
	struct tlog logs[LOGS];
	struct bytes old;    /* data.mdb of format 0 */
	uint64_t rows;       /* in its `locators` */
	struct buf expected; /* all tables after a migration that nothing disturbed */
	size_t transactions; /* that this took */
};

static struct bytes file_read(const char *path)
{
	struct stat st;
	uint8_t *data;
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	data = malloc((size_t)st.st_size);
	assert_non_null(data);
	assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
	close(fd);
	return bytes_make(data, (size_t)st.st_size);
}

static void file_write(const char *path, struct bytes data)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data.data, data.size), data.size);
	close(fd);
}

static const char *data_path(struct bench *bench)
{
	static char path[300];

	snprintf(path, sizeof(path), "%s/data.mdb", bench->place.store);
	return path;
}

static void log_to_format_0(struct txn *txn, uint32_t log, uint64_t *rows)
{
	struct arena arena;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	for (uint64_t index = 0; index < ENTRIES; index++) {
		struct store_key key = entry_key(log, index);
		uint8_t locator[LOCATOR_SIZE], old[20];
		struct bytes entry;
		bool found = false;

		assert_true(txn_get(txn, DB_ENTRIES, store_key_bytes(&key), &entry));
		assert_ok(store_locator(&arena, entry, &found, locator));
		if (!found)
			continue;
		put_u32be(old, log);
		memcpy(old + 4, locator, 8);
		put_u64be(old + 12, index);
		txn_put(txn, DB_LOCATORS, BYTES_ARRAY(old), BYTES_NONE);
		++*rows;
	}
	arena_release(&arena);
}

static void to_format_0(struct fixture *f)
{
	uint8_t zero[4] = {0};
	struct txn txn;

	txn_begin(&txn, f->bench->store->env, TXN_WRITE);
	while (txn_delete_some(&txn, DB_LOCATORS, BYTES_NONE, 100) > 0)
		;
	for (uint32_t log = 0; log < LOGS; log++)
		log_to_format_0(&txn, log, &f->rows);
	txn_put(&txn, DB_META, bytes_str("format"), BYTES_ARRAY(zero));
	assert_ok(txn_finish(&txn, NULL));
}

static void dump(struct store *store, struct buf *ret)
{
	struct txn txn;

	buf_init(ret, 64 * 1024 * 1024);
	txn_begin(&txn, store->env, TXN_READ);
	for (unsigned slot = 0; slot < DB_COUNT; slot++) {
		struct range range;

		for (bool more = range_first(&range, &txn, slot, BYTES_NONE, 0); more;
			more = range_next(&range)) {
			buf_put_u8(ret, (uint8_t)slot);
			buf_put_u32be(ret, (uint32_t)range.key.size);
			buf_put(ret, range.key);
			buf_put_u32be(ret, (uint32_t)range.value.size);
			buf_put(ret, range.value);
		}
		range_end(&range);
	}
	assert_ok(txn_finish(&txn, NULL));
	assert_ok(ret->err);
}

/* Without a free page in it: then every transaction needs new ones. */
static void compact(struct bench *bench)
{
	char copy[300];
	MDB_env *env;

	snprintf(copy, sizeof(copy), "%s/compact", bench->place.directory);
	assert_int_equal(mkdir(copy, 0700), 0);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_open(env, bench->place.store, 0, 0600), 0);
	assert_int_equal(mdb_env_copy2(env, copy, MDB_CP_COMPACT), 0);
	mdb_env_close(env);
	strcat(copy, "/data.mdb");
	assert_int_equal(rename(copy, data_path(bench)), 0);
}

/* What the watch is told; stops before the transaction `stop_at` of an opening. */
struct watcher {
	size_t calls, stop_at, done;
};

static enum err watch_progress(
	void *arg, const struct migrate_progress *progress, struct errctx *ctx)
{
	struct watcher *watcher = arg;

	assert_non_null(strstr(progress->path, "/store"));
	assert_int_equal(progress->step->from, 0);
	assert_int_equal(progress->step->to, 1);
	if (progress->done) {
		watcher->done++;
		return OK;
	}
	if (watcher->calls++ == watcher->stop_at)
		return err_set(ctx, ERR_CANCELED, "stopped by the test");
	return OK;
}

static enum err open_watched(
	struct fixture *f, struct watcher *watcher, struct store **ret, struct errctx *ctx)
{
	struct store_opts opts = {.path = f->bench->place.store, .network = NETWORK, .node = NODE};

	*watcher = (struct watcher){.stop_at = watcher->stop_at};
	opts.watch = (struct migrate_watch){watch_progress, watcher};
	return store_open(&opts, ret, ctx);
}

static void store_put_back(struct fixture *f)
{
	file_write(data_path(f->bench), f->old);
}

/* What an old program would make of it: it refuses any format above its own, and knows nothing but
 * its own rows. The environment is looked at without the code that migrates. */
static void old_program_check(struct fixture *f)
{
	struct env_opts opts = {.path = f->bench->place.store, .map_size = (size_t)1 << 30};
	struct bytes format;
	struct env *env;
	struct txn txn;

	assert_ok(env_open(&opts, &env, NULL));
	txn_begin(&txn, env, TXN_WRITE);
	txn_database(&txn, DB_META, "meta");
	txn_database(&txn, DB_LOCATORS, "locators");
	assert_true(txn_get(&txn, DB_META, bytes_str("format"), &format));
	assert_int_equal(format.size, 4);
	if (get_u32be(format.data) == 0)
		assert_int_equal(txn_count(&txn, DB_LOCATORS), f->rows);
	assert_ok(txn_finish(&txn, NULL));
	env_close(env);
}

/* Opens it for good: all is as if nothing had happened. */
static void finish_check(struct fixture *f)
{
	struct watcher watcher = {.stop_at = SIZE_MAX};
	struct errctx ctx = {""};
	struct store *store;
	struct buf got;

	old_program_check(f);
	if (open_watched(f, &watcher, &store, &ctx) != OK)
		fail_msg("%s", ctx.text);
	assert_ok(store_index_run(store, NULL, NULL));
	dump(store, &got);
	assert_true(bytes_equal(buf_bytes(&got), buf_bytes(&f->expected)));
	buf_release(&got);
	store_close(store);
}

static int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct watcher watcher = {.stop_at = SIZE_MAX};
	struct store *store;

	assert_non_null(f);
	assert_int_equal(bench_setup((void **)&f->bench), 0);
	for (unsigned i = 0; i < LOGS; i++) {
		tlog_init(&f->logs[i], i);
		tlog_append(f->bench, &f->logs[i], ENTRIES);
	}
	to_format_0(f);
	bench_close(f->bench);
	compact(f->bench);
	f->old = file_read(data_path(f->bench));
	sync_count();
	assert_ok(open_watched(f, &watcher, &store, NULL));
	f->transactions = sync_count();
	assert_int_equal(watcher.calls, f->transactions);
	assert_int_equal(watcher.done, 1);
	assert_true(f->transactions >= 4); /* the mark and three pieces */
	assert_ok(store_index_run(store, NULL, NULL));
	dump(store, &f->expected);
	store_close(store);
	*state = f;
	return 0;
}

static int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	void *bench = f->bench;

	for (unsigned i = 0; i < LOGS; i++)
		tlog_release(&f->logs[i]);
	free((void *)(uintptr_t)f->old.data);
	buf_release(&f->expected);
	free(f);
	((struct bench *)bench)->woken = -1;
	return bench_teardown(&bench);
}

/* Nothing but rows and chunks of format 1. */
static void table_check(struct store *store)
{
	struct range range;
	struct txn txn;

	txn_begin(&txn, store->env, TXN_READ);
	for (bool more = range_first(&range, &txn, DB_LOCATORS, BYTES_NONE, 0); more;
		more = range_next(&range))
		assert_true(range.key.size == 4 || range.key.size == CHUNK_KEY_SIZE);
	range_end(&range);
	assert_ok(txn_finish(&txn, NULL));
}

/* All that was in the store of format 0 is in it, and can be found. */
static void test_contents(void **state)
{
	struct fixture *f = *state;
	struct txn txn;

	store_put_back(f);
	bench_open(f->bench, 0);
	for (unsigned i = 0; i < LOGS; i++) {
		tlog_check(f->bench, &f->logs[i]);
		for (uint64_t index = 0; index < ENTRIES; index++) {
			uint8_t locator[16];
			uint64_t found[2];
			size_t count;

			locator_make(locator, i, index);
			assert_ok(store_locate(f->bench->store, &f->logs[i].origin, locator, found,
				2, &count, NULL));
			assert_int_equal(count, entry_is_sealed(index) ? 1 : 0);
			assert_true(count == 0 || found[0] == index);
		}
		assert_ok(store_index_run(f->bench->store, NULL, NULL));
		assert_ok(store_index_verify(f->bench->store, &f->logs[i].origin, NULL, NULL));
	}
	table_check(f->bench->store);
	assert_int_equal(bench_commits(f->bench), LOGS);
	/* Nothing is left of the migration, and a second opening has none. */
	txn_begin(&txn, f->bench->store->env, TXN_READ);
	struct bytes value;

	assert_false(txn_get(&txn, DB_META, bytes_str("migrating"), &value));
	assert_ok(txn_finish(&txn, NULL));
	bench_close(f->bench);

	struct watcher watcher = {.stop_at = SIZE_MAX};
	struct store *store;

	assert_ok(open_watched(f, &watcher, &store, NULL));
	assert_int_equal(watcher.calls + watcher.done, 0);
	store_close(store);
	/* It goes on growing. */
	bench_open(f->bench, 0);
	tlog_append(f->bench, &f->logs[0], 700);
	tlog_check(f->bench, &f->logs[0]);
	bench_close(f->bench);
}

static void test_stopped_before_every_transaction(void **state)
{
	struct fixture *f = *state;

	for (size_t k = 0; k < f->transactions; k++) {
		struct watcher watcher = {.stop_at = k};
		struct errctx ctx = {""};
		struct store *store;

		store_put_back(f);
		assert_int_equal(open_watched(f, &watcher, &store, &ctx), ERR_CANCELED);
		assert_non_null(strstr(ctx.text, "bring it from format 0 to 1"));
		assert_non_null(strstr(ctx.text, f->bench->place.store));
		finish_check(f);
	}
}

/* Each opening gets one transaction further. */
static void test_stopped_again_and_again(void **state)
{
	struct fixture *f = *state;
	struct watcher watcher = {.stop_at = 1};
	struct store *store;
	size_t openings = 0;

	store_put_back(f);
	while (open_watched(f, &watcher, &store, NULL) == ERR_CANCELED) {
		old_program_check(f);
		/* The first transaction of an opening that goes on only opens. */
		watcher.stop_at = 2;
		assert_true(++openings < 100);
	}
	store_close(store);
	assert_true(openings + 1 >= f->transactions - 1);
	finish_check(f);
}

/* EIO at every commit, once, and for ever. */
static void test_every_commit_fails(void **state)
{
	struct fixture *f = *state;

	for (size_t k = 0; k < f->transactions; k++) {
		struct watcher watcher = {.stop_at = SIZE_MAX};
		struct errctx ctx = {""};
		struct store *store;

		store_put_back(f);
		sync_fail_after(k);
		assert_int_equal(open_watched(f, &watcher, &store, &ctx), ERR_IO);
		/* Again, with a disk that is still broken. */
		sync_fail_after(0);
		assert_int_equal(open_watched(f, &watcher, &store, &ctx), ERR_IO);
		sync_fail_after(SIZE_MAX);
		finish_check(f);
	}
}

static void test_kill_9(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 25; i++) {
		struct watcher watcher = {.stop_at = SIZE_MAX};
		struct timespec delay = {0, (long)i * i * 40000};
		struct store *store;
		pid_t child;
		int status;

		store_put_back(f);
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			if (open_watched(f, &watcher, &store, NULL) != OK)
				_exit(1);
			for (;;)
				pause();
		}
		nanosleep(&delay, NULL);
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		finish_check(f);
	}
}

/* No room for the pages that a transaction needs: nothing is lost, with room it goes on. */
static void test_full_map(void **state)
{
	struct fixture *f = *state;
	size_t failed = 0;

	for (size_t room = 0; room < 64; room += 8) {
		struct store_opts opts = {.path = f->bench->place.store,
			.network = NETWORK,
			.node = NODE,
			.map_size = f->old.size + room * 4096};
		struct errctx ctx = {""};
		struct store *store;
		enum err err;

		store_put_back(f);
		err = store_open(&opts, &store, &ctx);
		if (err == OK) {
			store_close(store);
		} else {
			assert_int_equal(err, ERR_FULL);
			assert_non_null(strstr(ctx.text, "the map of"));
			failed++;
		}
		finish_check(f);
	}
	assert_true(failed > 0);
}

static void test_out_of_memory(void **state)
{
	struct fixture *f = *state;
	struct watcher watcher = {.stop_at = SIZE_MAX};
	struct store *store;
	enum err err;

	for (size_t n = 0;; n++) {
		store_put_back(f);
		alloc_fail_after(n);
		err = open_watched(f, &watcher, &store, NULL);
		if (!alloc_failed())
			break;
		alloc_fail_after(SIZE_MAX);
		assert_int_equal(err, ERR_NOMEM);
	}
	alloc_fail_after(SIZE_MAX);
	assert_ok(err);
	store_close(store);
	finish_check(f);
}

/* Not migrated for a node that it does not belong to. */
static void test_wrong_node(void **state)
{
	struct fixture *f = *state;
	struct store_opts opts = {
		.path = f->bench->place.store, .network = NETWORK, .node = "kenya"};
	struct errctx ctx = {""};
	struct store *store;
	struct bytes after;

	store_put_back(f);
	assert_int_equal(store_open(&opts, &store, &ctx), ERR_INVALID);
	assert_non_null(strstr(ctx.text, "it belongs to node 'haiti'"));
	after = file_read(data_path(f->bench));
	assert_true(bytes_equal(after, f->old));
	free((void *)(uintptr_t)after.data);
	finish_check(f);
}

static void meta_put(struct bench *bench, const char *key, struct bytes value)
{
	struct env_opts opts = {.path = bench->place.store, .map_size = (size_t)1 << 30};
	struct env *env;
	struct txn txn;

	assert_ok(env_open(&opts, &env, NULL));
	txn_begin(&txn, env, TXN_WRITE);
	txn_database(&txn, DB_META, "meta");
	if (value.size > 0)
		txn_put(&txn, DB_META, bytes_str(key), value);
	else
		txn_delete(&txn, DB_META, bytes_str(key));
	assert_ok(txn_finish(&txn, NULL));
	env_close(env);
}

static void refused(struct fixture *f, enum err expected, const char *says)
{
	struct watcher watcher = {.stop_at = SIZE_MAX};
	struct bytes before = file_read(data_path(f->bench)), after;
	struct errctx ctx = {""};
	struct store *store;

	assert_int_equal(open_watched(f, &watcher, &store, &ctx), expected);
	if (strstr(ctx.text, says) == NULL || strstr(ctx.text, f->bench->place.store) == NULL)
		fail_msg("expected '%s' in: %s", says, ctx.text);
	assert_int_equal(watcher.calls, 0);
	after = file_read(data_path(f->bench));
	assert_true(bytes_equal(before, after)); /* not a byte was written */
	free((void *)(uintptr_t)before.data);
	free((void *)(uintptr_t)after.data);
}

static void test_refused_untouched(void **state)
{
	static const uint8_t newer[4] = {0, 0, 0, ENV_FORMAT + 1}, one[4] = {0, 0, 0, 1};
	static const uint8_t mark[16] = {0, 0, 0, 1, 0, 0, 0, 1}; /* from 1 to 1 */
	struct fixture *f = *state;

	store_put_back(f);
	meta_put(f->bench, "format", BYTES_ARRAY(newer));
	refused(f, ERR_VERSION,
		"it is of format 2, made or upgraded by a newer Sauti; this one knows formats up "
		"to "
		"1. Nothing was changed: install the newer Sauti again, or restore the backup from "
		"before the upgrade");
	/* Half migrated to a newer one: the same. */
	meta_put(f->bench, "migrating", BYTES_ARRAY(mark));
	refused(f, ERR_VERSION, "it is of format 2");
	meta_put(f->bench, "format", bytes_make(newer, 3));
	refused(f, ERR_CORRUPT, "its format version is not readable");
	meta_put(f->bench, "format", BYTES_NONE);
	refused(f, ERR_CORRUPT, "it does not say of which format it is");
	meta_put(f->bench, "format", BYTES_ARRAY(one));
	refused(f, ERR_CORRUPT, "how far its migration is, is not readable");
	meta_put(f->bench, "migrating", bytes_make(mark, 15));
	refused(f, ERR_CORRUPT, "how far its migration is, is not readable");
}

/* The keyring: the same frame, nothing but the number. */
static void test_keyring(void **state)
{
	static const uint8_t zero[4] = {0};
	struct keyring_item item = {{7}, bytes_str("wrapped")};
	struct fixture *f = *state;
	struct keyring *keyring;
	struct errctx ctx = {""};
	struct bench place = {0};

	place_make(&place.place);
	assert_ok(keyring_open(place.place.store, &keyring, &ctx));
	assert_ok(keyring_put(keyring, &item, 1, NULL));
	keyring_close(keyring);
	meta_put(&place, "format", BYTES_ARRAY(zero));

	struct bytes old = file_read(data_path(&place));
	size_t k;

	for (k = 0;; k++) {
		enum err err;

		file_write(data_path(&place), old);
		sync_fail_after(k);
		err = keyring_open(place.place.store, &keyring, &ctx);
		sync_fail_after(SIZE_MAX);
		if (err != OK) {
			assert_int_equal(err, ERR_IO);
			assert_ok(keyring_open(place.place.store, &keyring, &ctx));
		}
		/* The key is there, and not to be put again. */
		assert_int_equal(keyring_put(keyring, &item, 1, NULL), ERR_EXISTS);
		keyring_close(keyring);
		if (err == OK)
			break;
	}
	assert_int_equal(k, 2); /* the mark, and its end */
	free((void *)(uintptr_t)old.data);
	place_remove(&place.place);
	(void)f;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stopped_before_every_transaction),
		cmocka_unit_test(test_stopped_again_and_again),
		cmocka_unit_test(test_every_commit_fails), cmocka_unit_test(test_kill_9),
		cmocka_unit_test(test_full_map), cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_wrong_node), cmocka_unit_test(test_refused_untouched),
		cmocka_unit_test(test_keyring),
		cmocka_unit_test(test_contents), /* the last: it writes into the log */
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
