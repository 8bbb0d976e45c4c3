#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/store/copy.h"

/* A sink that writes <directory>/copy/data.mdb, and does something in the middle. */
struct target {
	char directory[300], path[320];
	int fd;
	uint64_t size;
	uint64_t fail_at; /* bytes; 0: never */
	void (*meanwhile)(void *arg);
	void *arg;
};

static void target_open(struct target *target, const struct place *place, const char *name)
{
	*target = (struct target){.fd = -1};
	snprintf(target->directory, sizeof(target->directory), "%s/%s", place->directory, name);
	snprintf(target->path, sizeof(target->path), "%s/data.mdb", target->directory);
	assert_int_equal(mkdir(target->directory, 0700), 0);
	target->fd = open(target->path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(target->fd >= 0);
}

static enum err target_put(void *arg, struct bytes piece, struct errctx *ctx)
{
	struct target *target = arg;

	assert_true(piece.size > 0);
	if (target->fail_at > 0 && target->size >= target->fail_at)
		return err_set(ctx, ERR_FULL, "no room");
	if (write(target->fd, piece.data, piece.size) != (ssize_t)piece.size)
		return err_set(ctx, ERR_IO, "write");
	target->size += piece.size;
	if (target->meanwhile != NULL)
		target->meanwhile(target->arg);
	return OK;
}

static void copy_make(struct bench *bench, struct target *target)
{
	struct errctx ctx = {""};

	if (store_copy(bench->store, target_put, target, &ctx) != OK)
		fail_msg("%s", ctx.text);
	assert_int_equal(close(target->fd), 0);
}

static struct store *copy_open(const struct target *target, bool read_only)
{
	struct store_opts opts = {.path = target->directory,
		.network = NETWORK,
		.node = NODE,
		.read_only = read_only};
	struct errctx ctx = {""};
	struct store *store = NULL;

	if (store_open(&opts, &store, &ctx) != OK)
		fail_msg("%s", ctx.text);
	return store;
}

/* How many files there are, and how many bytes in them. */
static void directory_measure(const char *path, unsigned *ret_files, uint64_t *ret_bytes)
{
	DIR *dir = opendir(path);
	struct stat st;

	*ret_files = 0;
	*ret_bytes = 0;
	assert_non_null(dir);
	for (struct dirent *item = readdir(dir); item != NULL; item = readdir(dir)) {
		if (item->d_name[0] == '.')
			continue;
		assert_int_equal(fstatat(dirfd(dir), item->d_name, &st, 0), 0);
		(*ret_files)++;
		*ret_bytes += (uint64_t)st.st_size;
	}
	closedir(dir);
}

struct appender {
	struct bench *bench;
	struct tlog *log;
	unsigned times;
};

static void append_meanwhile(void *arg)
{
	struct appender *appender = arg;

	tlog_append(appender->bench, appender->log, 100);
	appender->times++;
}

/* A copy is the store as it was at its start, whatever is appended meanwhile; a reader of it makes
 * nothing and changes nothing. */
static void test_online(void **state)
{
	struct bench *bench = *state, copied;
	struct target target;
	struct tlog log, as_it_was;
	struct appender appender = {bench, &log, 0};
	unsigned files;
	uint64_t bytes, commits;

	tlog_init(&log, 1);
	tlog_init(&as_it_was, 1);
	tlog_append(bench, &log, 3000);
	store_write_free(tlog_write(&as_it_was, 3000));
	commits = bench_commits(bench);
	target_open(&target, &bench->place, "copy");
	target.meanwhile = append_meanwhile;
	target.arg = &appender;
	copy_make(bench, &target);
	assert_true(appender.times > 1);
	tlog_check(bench, &log);

	copied = (struct bench){.store = copy_open(&target, true)};
	tlog_check(&copied, &as_it_was);
	assert_int_equal(bench_commits(&copied), commits);
	store_close(copied.store);
	directory_measure(target.directory, &files, &bytes);
	assert_int_equal(files, 1);
	assert_int_equal(bytes, target.size);
	tlog_release(&log);
	tlog_release(&as_it_was);
}

/* What the writers gave up is not in it. */
static void test_compact(void **state)
{
	struct bench *bench = *state;
	struct store_usage usage;
	struct target target;
	struct tlog log;

	tlog_init(&log, 1);
	for (unsigned i = 0; i < 100; i++)
		tlog_append(bench, &log, 1);
	target_open(&target, &bench->place, "copy");
	copy_make(bench, &target);
	assert_ok(store_usage(bench->store, &usage));
	assert_true(target.size < usage.file_bytes);
	tlog_release(&log);
}

/* A sink that takes no more ends the copy, and the store is as usable as before. */
static void test_sink_fails(void **state)
{
	struct bench *bench = *state;
	struct errctx ctx = {""};
	struct target target;
	struct tlog log;

	tlog_init(&log, 1);
	tlog_append(bench, &log, 4000);
	target_open(&target, &bench->place, "copy");
	target.fail_at = 1;
	assert_int_equal(store_copy(bench->store, target_put, &target, &ctx), ERR_FULL);
	assert_string_equal(ctx.text, "no room");
	close(target.fd);
	tlog_append(bench, &log, 10);
	tlog_check(bench, &log);
	tlog_release(&log);
}

/* Whichever allocation fails, the next copy is whole. */
static void test_no_memory(void **state)
{
	struct bench *bench = *state, copied;
	struct target target;
	struct tlog log;
	enum err err = ERR_NOMEM;

	tlog_init(&log, 1);
	tlog_append(bench, &log, 100);
	target_open(&target, &bench->place, "copy");
	for (size_t n = 0; err != OK; n++) {
		assert_int_equal(ftruncate(target.fd, 0), 0);
		assert_int_equal(lseek(target.fd, 0, SEEK_SET), 0);
		alloc_fail_after(n);
		err = store_copy(bench->store, target_put, &target, NULL);
		alloc_fail_after(SIZE_MAX);
		assert_true(err == OK || err == ERR_NOMEM);
		assert_true(n < 100);
	}
	close(target.fd);
	copied = (struct bench){.store = copy_open(&target, true)};
	tlog_check(&copied, &log);
	store_close(copied.store);
	tlog_release(&log);
}

static bool file_has(const char *path, const char *word)
{
	FILE *file = fopen(path, "rb");
	char *data = malloc(16 * 1024 * 1024);
	size_t size;
	bool found;

	assert_non_null(file);
	assert_non_null(data);
	size = fread(data, 1, 16 * 1024 * 1024, file);
	assert_true(feof(file));
	found = memmem(data, size, word, strlen(word)) != NULL;
	fclose(file);
	free(data);
	return found;
}

/* The mark is there for ever, invites are not: not even in free pages, once copied again. */
static void test_mark(void **state)
{
	static const char secret[] = "the secret of an invitation";
	struct bench *bench = *state, first = {0}, second = {0};
	struct target one, two;
	struct errctx ctx = {""};
	uint64_t dropped = 99;
	struct buf text;

	assert_ok(store_invite_put(bench->store, "kenya", bytes_str(secret), NULL));
	buf_init(&text, STORE_MARK_MAX);
	assert_int_equal(store_backup_text(bench->store, &text, &ctx), ERR_NOTFOUND);
	target_open(&one, &bench->place, "one");
	copy_make(bench, &one);
	assert_true(file_has(one.path, secret));

	first.store = copy_open(&one, false);
	assert_int_equal(store_backup_mark(first.store, "", &dropped, NULL), ERR_INVALID);
	assert_ok(store_backup_mark(first.store, "haiti at noon", &dropped, &ctx));
	assert_int_equal(dropped, 1);
	target_open(&two, &bench->place, "two");
	copy_make(&first, &two);
	assert_ok(store_backup_mark(first.store, "haiti at one", &dropped, &ctx));
	assert_int_equal(dropped, 0);
	store_close(first.store);
	assert_false(file_has(two.path, secret));

	second.store = copy_open(&two, true);
	assert_ok(store_backup_text(second.store, &text, &ctx));
	assert_string_equal(buf_cstr(&text), "haiti at noon");
	store_close(second.store);
	/* The store itself is none, and keeps its invites. */
	buf_clear(&text);
	assert_int_equal(store_backup_text(bench->store, &text, NULL), ERR_NOTFOUND);
	assert_ok(store_invite_get(bench->store, "kenya", &text, NULL));
	buf_release(&text);
}

static void test_mark_cap(void **state)
{
	struct bench *bench = *state;
	char text[STORE_MARK_MAX + 2];
	uint64_t dropped;
	struct buf out;

	memset(text, 'x', sizeof(text));
	text[STORE_MARK_MAX + 1] = '\0';
	assert_int_equal(store_backup_mark(bench->store, text, &dropped, NULL), ERR_INVALID);
	text[STORE_MARK_MAX] = '\0';
	assert_ok(store_backup_mark(bench->store, text, &dropped, NULL));
	buf_init(&out, STORE_MARK_MAX);
	assert_ok(store_backup_text(bench->store, &out, NULL));
	buf_release(&out);
}

static enum err open_read_only(const char *path, const char *node, struct errctx *ctx)
{
	struct store_opts opts = {
		.path = path, .network = NETWORK, .node = node, .read_only = true};
	struct store *store;
	enum err err = store_open(&opts, &store, ctx);

	if (err == OK)
		store_close(store);
	return err;
}

/* Nothing is made where nothing is; another node's, and garbage, are refused. */
static void test_read_only(void **state)
{
	struct bench *bench = *state;
	struct errctx ctx = {""};
	struct target target, empty, garbage;
	char missing[300];
	unsigned files;
	uint64_t bytes;

	snprintf(missing, sizeof(missing), "%s/missing", bench->place.directory);
	assert_int_equal(open_read_only(missing, NODE, &ctx), ERR_NOTFOUND);
	assert_int_not_equal(access(missing, F_OK), 0);

	target_open(&target, &bench->place, "copy");
	copy_make(bench, &target);
	assert_ok(open_read_only(target.directory, NODE, &ctx));
	assert_int_equal(open_read_only(target.directory, "kenya", &ctx), ERR_INVALID);
	assert_non_null(strstr(ctx.text, "belongs to node 'haiti'"));

	target_open(&empty, &bench->place, "empty");
	close(empty.fd);
	assert_int_equal(open_read_only(empty.directory, NODE, &ctx), ERR_CORRUPT);
	assert_int_equal(unlink(empty.path), 0);
	assert_int_equal(open_read_only(empty.directory, NODE, &ctx), ERR_NOTFOUND);
	target_open(&garbage, &bench->place, "garbage");
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(write(garbage.fd, "0123456789abcdef", 16), 16);
	close(garbage.fd);
	assert_int_equal(open_read_only(garbage.directory, NODE, &ctx), ERR_CORRUPT);
	directory_measure(garbage.directory, &files, &bytes);
	assert_int_equal(files, 1);
	assert_int_equal(bytes, 1024);
}

/* A file that an LMDB environment without our tables is: whose it is cannot be told. */
static void test_foreign(void **state)
{
	struct bench *bench = *state;
	struct errctx ctx = {""};
	struct target target;
	MDB_env *mdb;
	MDB_txn *txn;
	MDB_dbi dbi;

	target_open(&target, &bench->place, "foreign");
	close(target.fd);
	assert_int_equal(unlink(target.path), 0);
	assert_int_equal(mdb_env_create(&mdb), 0);
	assert_int_equal(mdb_env_set_maxdbs(mdb, 2), 0);
	assert_int_equal(mdb_env_open(mdb, target.directory, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(mdb, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "other", MDB_CREATE, &dbi), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(mdb);
	assert_int_equal(open_read_only(target.directory, NODE, &ctx), ERR_CORRUPT);
	assert_non_null(strstr(ctx.text, "no format version"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_online),
		TEST(test_compact),
		TEST(test_sink_fails),
		TEST(test_no_memory),
		TEST(test_mark),
		TEST(test_mark_cap),
		TEST(test_read_only),
		TEST(test_foreign),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
