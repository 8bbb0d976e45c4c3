/* The directory exports go into: what is refused, and what is on the disk at every moment. */
#include "tests/unit/store/support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "replication/log/tlog_path.h"
#include "server/export/publish.h"

struct fixture {
	struct place place;
	char out[300], own[300];
	struct origin origin;
	struct errctx ctx;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_ok(crypto_init());
	alloc_fail_after(SIZE_MAX);
	place_make(&f->place);
	snprintf(f->out, sizeof(f->out), "%s/out", f->place.directory);
	snprintf(f->own, sizeof(f->own), "%s/own", f->place.directory);
	assert_int_equal(mkdir(f->own, 0700), 0);
	assert_ok(origin_make(bytes_str(NETWORK), bytes_str(NODE), 1, (uint8_t[8]){1}, &f->origin));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	place_remove(&f->place);
	free(f);
	crypto_release();
	return 0;
}

static void write_file(const char *directory, const char *name, const char *text)
{
	char path[600];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static enum err open_at(struct fixture *f, const char *path)
{
	struct destination *d = NULL;
	enum err err = destination_open(path, f->own, &d, &f->ctx);

	destination_close(d);
	return err;
}

static void refused(struct fixture *f, const char *path, enum err expected, const char *says)
{
	assert_int_equal(open_at(f, path), expected);
	if (strstr(f->ctx.text, says) == NULL)
		fail_msg("'%s' is not in: %s", says, f->ctx.text);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

/* ---- the destination ---- */

static void test_new_and_again(void **state)
{
	struct fixture *f = *state;
	char mark[400];

	umask(077);
	assert_ok(open_at(f, f->out));
	assert_int_equal(mode_of(f->out), 0755);
	snprintf(mark, sizeof(mark), "%s/%s", f->out, DESTINATION_MARK);
	assert_int_equal(mode_of(mark), 0644);
	assert_ok(open_at(f, f->out));
	/* A directory that was there keeps its mode: it may be there to keep others out. */
	assert_int_equal(chmod(f->out, 0700), 0);
	assert_ok(open_at(f, f->out));
	assert_int_equal(mode_of(f->out), 0700);
	/* The power failed while it was being made. */
	assert_int_equal(truncate(mark, 0), 0);
	assert_ok(open_at(f, f->out));
	assert_ok(open_at(f, f->out));
}

static void test_foreign(void **state)
{
	struct fixture *f = *state;
	char path[400];

	refused(f, "out", ERR_INVALID, "not an absolute path");
	refused(f, "", ERR_INVALID, "not an absolute path");
	snprintf(path, sizeof(path), "%s/no/out", f->place.directory);
	refused(f, path, ERR_NOTFOUND, path);
	write_file(f->place.directory, "file", "x");
	snprintf(path, sizeof(path), "%s/file", f->place.directory);
	refused(f, path, ERR_EXISTS, "is no directory");
	refused(f, f->place.directory, ERR_EXISTS, "holds no exports");
	assert_int_equal(mkdir(f->out, 0700), 0);
	snprintf(path, sizeof(path), "%s/lost+found", f->out);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_ok(open_at(f, f->out));
	write_file(f->out, DESTINATION_MARK, "sauti export 2\n");
	refused(f, f->out, ERR_VERSION, "not of this version");
	snprintf(path, sizeof(path), "%s/%s", f->out, DESTINATION_MARK);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(f->own, path), 0);
	assert_int_not_equal(open_at(f, f->out), OK);
}

/* By whatever name it is reached. */
static void test_inside_the_node(void **state)
{
	struct fixture *f = *state;
	char path[600], way[400];

	refused(f, f->own, ERR_INVALID, "inside the node's own directory");
	snprintf(path, sizeof(path), "%s/out", f->own);
	refused(f, path, ERR_INVALID, "inside the node's own directory");
	assert_int_equal(access(path, F_OK), -1);
	snprintf(way, sizeof(way), "%s/way", f->place.directory);
	assert_int_equal(symlink(f->own, way), 0);
	refused(f, way, ERR_INVALID, "inside");
	snprintf(path, sizeof(path), "%s/out/", way);
	refused(f, path, ERR_INVALID, "inside");
	snprintf(path, sizeof(path), "%s/../own/out", f->own);
	refused(f, path, ERR_INVALID, "inside");
	snprintf(path, sizeof(path), "%s-beside", f->own); /* begins with its name, and is not */
	assert_ok(open_at(f, path));
}

static void test_one_at_a_time(void **state)
{
	struct fixture *f = *state;
	struct destination *first;

	assert_ok(destination_open(f->out, f->own, &first, &f->ctx));
	refused(f, f->out, ERR_BUSY, "another export");
	destination_close(first);
	assert_ok(open_at(f, f->out));
}

static void test_not_permitted(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t child;

	if (geteuid() != 0)
		skip();
	assert_ok(open_at(f, f->out));
	assert_int_equal(chmod(f->place.directory, 0755), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		char path[400];

		snprintf(path, sizeof(path), "%s/new", f->place.directory);
		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(2);
		_exit(open_at(f, f->out) == ERR_DENIED && strstr(f->ctx.text, f->out) != NULL &&
					open_at(f, path) == ERR_DENIED
				? 0
				: 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* ---- one log's directory ---- */

struct opened {
	struct destination *destination;
	struct publish *publish;
};

static struct opened start(struct fixture *f)
{
	struct opened o;

	assert_ok(destination_open(f->out, f->own, &o.destination, &f->ctx));
	assert_ok(publish_open(o.destination, &f->origin, &o.publish, &f->ctx));
	return o;
}

static void end(struct opened o)
{
	publish_close(o.publish);
	destination_close(o.destination);
}

static void log_path(const struct fixture *f, const char *path, char ret[600])
{
	snprintf(ret, 600, "%s/%s/%s", f->out, f->origin.text, path);
}

static bool there(const struct fixture *f, const char *path)
{
	char full[600];

	log_path(f, path, full);
	return access(full, F_OK) == 0;
}

static enum err put(struct opened o, const char *path, const char *text)
{
	return publish_put(o.publish, path, bytes_str(text), NULL);
}

static void test_names_come_last(void **state)
{
	struct fixture *f = *state;
	struct opened o = start(f);
	char path[600];

	assert_false(there(f, ".new")); /* nothing is written, nothing is touched */
	assert_ok(put(o, "tile/0/000", "abc"));
	assert_ok(put(o, "tile/entries/x001/x234/067", "entries"));
	assert_true(there(f, ".new/0") && there(f, ".new/1"));
	assert_false(there(f, "tile/0/000") || there(f, "tile/entries/x001/x234/067"));
	assert_ok(publish_flush(o.publish, false, NULL));
	assert_true(there(f, "tile/0/000") && there(f, "tile/entries/x001/x234/067"));
	log_path(f, "tile/entries/x001", path);
	assert_int_equal(mode_of(path), 0755);
	log_path(f, "tile/0/000", path);
	assert_int_equal(mode_of(path), 0644);
	assert_int_equal(publish_counts(o.publish).files, 2);
	assert_int_equal(publish_counts(o.publish).bytes, 10);
	/* The same again is not written; a change is. */
	assert_ok(put(o, "tile/0/000", "abc"));
	assert_int_equal(publish_counts(o.publish).files, 2);
	assert_ok(put(o, "tile/0/000", "abd"));
	assert_ok(put(o, "tile/0/001", "dropped"));
	assert_int_equal(publish_counts(o.publish).files, 4);
	end(o); /* not flushed */
	assert_false(there(f, ".new") || there(f, "tile/0/001"));
}

static void test_leftovers_go(void **state)
{
	struct fixture *f = *state;
	struct opened o = start(f);
	char path[600];

	assert_ok(put(o, "checkpoint", "x"));
	log_path(f, ".new", path);
	publish_close(o.publish);
	assert_int_equal(mkdir(path, 0700), 0); /* as if it had been killed */
	write_file(path, "0", "half of");
	write_file(path, "17", "a tile");
	assert_ok(publish_open(o.destination, &f->origin, &o.publish, NULL));
	assert_false(there(f, ".new"));
	assert_ok(put(o, "checkpoint", "y"));
	assert_ok(publish_flush(o.publish, true, NULL));
	end(o);
	assert_true(there(f, "checkpoint"));
	assert_false(there(f, ".new"));
}

static void test_reading(void **state)
{
	struct fixture *f = *state;
	struct opened o = start(f);
	struct buf out;
	bool has;

	buf_init(&out, 100);
	assert_int_equal(publish_read(o.publish, "checkpoint", 10, &out, NULL), ERR_NOTFOUND);
	assert_ok(publish_has(o.publish, "tile/0/x001/000", 3, &has, NULL));
	assert_false(has);
	assert_ok(put(o, "checkpoint", "0123456789"));
	assert_ok(put(o, "empty", ""));
	assert_ok(publish_flush(o.publish, false, NULL));
	assert_ok(publish_read(o.publish, "checkpoint", 10, &out, NULL));
	assert_true(bytes_equal_str(buf_bytes(&out), "0123456789"));
	assert_int_equal(publish_read(o.publish, "checkpoint", 9, &out, NULL), ERR_LIMIT);
	assert_int_equal(out.size, 10);
	assert_ok(publish_has(o.publish, "checkpoint", 10, &has, NULL));
	assert_true(has);
	assert_ok(publish_has(o.publish, "checkpoint", 0, &has, NULL));
	assert_true(has);
	assert_ok(publish_has(o.publish, "checkpoint", 11, &has, NULL));
	assert_false(has);
	assert_ok(publish_has(o.publish, "empty", 0, &has, NULL));
	assert_false(has);
	assert_ok(publish_read(o.publish, "empty", 9, &out, NULL));
	buf_release(&out);
	end(o);
}

/* A link set in place of a directory or a file leads nowhere. */
static void test_links_are_not_followed(void **state)
{
	struct fixture *f = *state;
	struct opened o = start(f);
	char path[600];
	bool has;

	log_path(f, "tile", path);
	assert_int_equal(symlink(f->own, path), 0);
	assert_int_equal(put(o, "tile/0/000", "abc"), ERR_EXISTS);
	assert_int_equal(unlink(path), 0);
	log_path(f, "checkpoint", path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(put(o, "checkpoint", "abc"), ERR_EXISTS);
	assert_ok(publish_has(o.publish, "checkpoint", 0, &has, NULL));
	assert_false(has);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(put(o, "checkpoint", "abc"), ERR_EXISTS);
	end(o);
	snprintf(path, sizeof(path), "%s/%s", f->out, NETWORK);
	assert_int_equal(rename(path, f->place.store), 0);
	assert_int_equal(symlink(f->own, path), 0);
	assert_ok(destination_open(f->out, f->own, &o.destination, &f->ctx));
	assert_int_equal(publish_open(o.destination, &f->origin, &o.publish, &f->ctx), ERR_EXISTS);
	assert_non_null(strstr(f->ctx.text, path));
	destination_close(o.destination);
}

static void test_partials_go(void **state)
{
	struct fixture *f = *state;
	struct opened o = start(f);
	char path[600];

	assert_ok(put(o, "tile/0/000.p/7", "abc"));
	assert_ok(put(o, "tile/0/000.p/255", "abc"));
	assert_ok(put(o, "tile/0/001.p/1", "abc"));
	assert_ok(publish_flush(o.publish, false, NULL));
	assert_ok(publish_drop_partials(o.publish, "tile/0/000", NULL));
	assert_false(there(f, "tile/0/000.p"));
	assert_true(there(f, "tile/0/001.p/1"));
	assert_ok(publish_drop_partials(o.publish, "tile/0/000", NULL));
	assert_ok(publish_drop_partials(o.publish, "tile/5/000", NULL));
	/* What is not ours stays. */
	log_path(f, "tile/0/001.p", path);
	write_file(path, "README", "x");
	assert_ok(publish_drop_partials(o.publish, "tile/0/001", NULL));
	assert_true(there(f, "tile/0/001.p/README"));
	assert_false(there(f, "tile/0/001.p/1"));
	/* And a directory that went is made again. */
	assert_ok(put(o, "tile/0/000.p/9", "abc"));
	assert_ok(publish_flush(o.publish, false, NULL));
	assert_true(there(f, "tile/0/000.p/9"));
	end(o);
}

static void test_flushes_by_itself(void **state)
{
	static uint8_t large[LIMIT_EXPORT_UNSYNCED];
	struct fixture *f = *state;
	struct opened o = start(f);
	char path[TLOG_PATH_SIZE];

	for (unsigned i = 0; i < LIMIT_EXPORT_FILES; i++) {
		struct tlog_file file = {TLOG_TILE, {0, i}, TILE_WIDTH};

		assert_false(there(f, "tile/0/000")); /* one less than the cap: not yet */
		tlog_path_format(&file, path);
		assert_ok(put(o, path, "abc"));
	}
	assert_true(there(f, "tile/0/000"));
	assert_ok(publish_put(o.publish, "a", bytes_make(large, sizeof(large) - 1), NULL));
	assert_false(there(f, "a"));
	assert_ok(put(o, "b", "c"));
	assert_true(there(f, "a") && there(f, "b"));
	end(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_new_and_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inside_the_node, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_permitted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_come_last, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leftovers_go, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reading, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links_are_not_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_partials_go, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flushes_by_itself, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
