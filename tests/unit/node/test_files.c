#include "node_test.h"

#include "node/files.h"

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void test_write_and_read(void **state)
{
	const char *path = in_dir("file");
	struct errctx ctx;
	struct buf out;

	(void)state;
	buf_init(&out, 64);
	umask(077);
	assert_ok(files_write(path, bytes_str("first"), 0644, &ctx));
	assert_int_equal(mode_of(path), 0644); /* whatever the umask */
	assert_ok(files_write(path, bytes_str("second"), 0600, &ctx));
	assert_int_equal(mode_of(path), 0600);
	assert_ok(files_read(path, 6, &out, &ctx));
	assert_string_equal(buf_cstr(&out), "second");
	assert_false(files_exist(in_dir("file.tmp")));
	/* one past the cap */
	assert_int_equal(files_read(path, 5, &out, &ctx), ERR_LIMIT);
	assert_says(ctx, "larger than 5 bytes");
	/* empty */
	buf_clear(&out);
	assert_ok(files_write(path, BYTES_NONE, 0600, &ctx));
	assert_ok(files_read(path, 0, &out, &ctx));
	assert_int_equal(out.size, 0);
	buf_release(&out);
}

/* What an interrupted write left does not stop the next one, even where it is a link. */
static void test_stale_temporary(void **state)
{
	struct errctx ctx;
	struct buf out;

	(void)state;
	buf_init(&out, 64);
	put_file(in_dir("other"), "keep", 0644);
	assert_int_equal(symlink(in_dir("other"), in_dir("file.tmp")), 0);
	assert_ok(files_write(in_dir("file"), bytes_str("new"), 0600, &ctx));
	assert_ok(files_read(in_dir("other"), 10, &out, &ctx));
	assert_string_equal(buf_cstr(&out), "keep");
	buf_release(&out);
}

static void test_write_fails(void **state)
{
	struct errctx ctx;

	(void)state;
	assert_int_equal(files_write(in_dir("no/file"), bytes_str("x"), 0600, &ctx), ERR_NOTFOUND);
	assert_says(ctx, "no/file");
	/* the target is a directory: rename fails and nothing is left behind */
	assert_ok(files_mkdir(in_dir("d"), &ctx));
	assert_int_not_equal(files_write(in_dir("d"), bytes_str("x"), 0600, &ctx), OK);
	assert_false(files_exist(in_dir("d.tmp")));
}

static void test_private(void **state)
{
	static const mode_t bad[] = {0640, 0604, 0660, 0644, 0610, 0601};
	struct errctx ctx;
	struct buf out;

	(void)state;
	buf_init(&out, 64);
	put_file(in_dir("key"), "k", 0600);
	assert_ok(files_read_private(in_dir("key"), 10, &out, &ctx));
	put_file(in_dir("key"), "k", 0400);
	assert_ok(files_read_private(in_dir("key"), 10, &out, &ctx));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(chmod(in_dir("key"), bad[i]), 0);
		assert_int_equal(files_read_private(in_dir("key"), 10, &out, &ctx), ERR_DENIED);
		assert_says(ctx, "chmod 600");
	}
	assert_int_equal(out.size, 2);
	buf_release(&out);
}

static void test_foreign_owner(void **state)
{
	struct errctx ctx;
	struct buf out;

	(void)state;
	if (geteuid() != 0) {
		print_message("needs root: only root can give a file away\n");
		skip();
	}
	buf_init(&out, 64);
	put_file(in_dir("key"), "k", 0600);
	assert_int_equal(chown(in_dir("key"), 4321, 4321), 0);
	assert_int_equal(files_read_private(in_dir("key"), 10, &out, &ctx), ERR_DENIED);
	assert_says(ctx, "another user (4321)");
	buf_release(&out);
}

static void test_not_regular(void **state)
{
	struct errctx ctx;
	struct buf out;

	(void)state;
	buf_init(&out, 64);
	assert_int_equal(files_read(test_dir, 10, &out, &ctx), ERR_INVALID);
	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	assert_int_equal(files_read(in_dir("fifo"), 10, &out, &ctx), ERR_INVALID); /* no hang */
	assert_int_equal(files_read(in_dir("none"), 10, &out, &ctx), ERR_NOTFOUND);
	assert_says(ctx, "none");
	buf_release(&out);
}

static void test_directories(void **state)
{
	struct errctx ctx;
	bool empty = false;

	(void)state;
	assert_ok(files_dir_empty(in_dir("a/b/c"), &empty, &ctx));
	assert_true(empty);
	assert_ok(files_mkdir(in_dir("a//b/c/"), &ctx));
	assert_int_equal(mode_of(in_dir("a")), 0700);
	assert_int_equal(mode_of(in_dir("a/b/c")), 0700);
	assert_ok(files_mkdir(in_dir("a/b"), &ctx));
	assert_ok(files_dir_empty(in_dir("a/b/c"), &empty, &ctx));
	assert_true(empty);
	put_file(in_dir("a/b/c/.hidden"), "", 0600);
	assert_ok(files_dir_empty(in_dir("a/b/c"), &empty, &ctx));
	assert_false(empty);
	assert_int_equal(files_mkdir(in_dir("a/b/c/.hidden"), &ctx), ERR_EXISTS);
	assert_int_equal(files_dir_empty(in_dir("a/b/c/.hidden"), &empty, &ctx), ERR_EXISTS);
	assert_ok(files_remove(in_dir("a/b/c/.hidden"), &ctx));
	assert_ok(files_remove(in_dir("a/b/c/.hidden"), &ctx));
	assert_false(files_exist(in_dir("a/b/c/.hidden")));
}

static void test_paths(void **state)
{
	char path[PATH_MAX], huge[PATH_MAX + 1];
	struct node_paths paths;
	struct errctx ctx;

	(void)state;
	assert_ok(files_join("a/", "b", path, &ctx));
	assert_string_equal(path, "a/b");
	assert_ok(files_join(path, "c", path, &ctx)); /* in place */
	assert_string_equal(path, "a/b/c");
	assert_ok(files_join("a", "/b", path, &ctx));
	assert_string_equal(path, "/b");
	assert_int_equal(files_paths("", &paths, &ctx), ERR_INVALID);
	memset(huge, 'x', PATH_MAX);
	huge[PATH_MAX] = '\0';
	assert_int_equal(files_paths(huge, &paths, &ctx), ERR_LIMIT);
	/* at the cap and past it: "<dir>/run/control.sock" is the longest */
	huge[PATH_MAX - 1 - strlen("/run/control.sock")] = '\0';
	assert_ok(files_paths(huge, &paths, &ctx));
	assert_int_equal(strlen(paths.socket), PATH_MAX - 1);
	strcat(huge, "x");
	assert_int_equal(files_paths(huge, &paths, &ctx), ERR_LIMIT);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, test_dir_make, test_dir_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(test_write_and_read),
		IN_DIR(test_stale_temporary),
		IN_DIR(test_write_fails),
		IN_DIR(test_private),
		IN_DIR(test_foreign_owner),
		IN_DIR(test_not_regular),
		IN_DIR(test_directories),
		cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
