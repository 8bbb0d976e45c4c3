/*
 * A directory of exports as an audit reads it, which somebody else may have made: nothing leads out
 * of it, nothing hangs, nothing too large is read; with openat2 and without it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/audit/source_open.h"

#define ORIGIN "ovra.example/haiti/1-00000000000000a1"
#define OTHER  "ovra.example/directory/1-00000000000000d1"

static char root[] = "/tmp/sauti-files-XXXXXX";
static int refused; /* what openat2 says; 0: it works */

/* The one call of it that is not the library's own. */
long syscall(long number, ...)
{
	long (*real)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	long a[4];
	va_list list;

	if (refused != 0) {
		errno = refused;
		return -1;
	}
	va_start(list, number);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	return real(number, a[0], a[1], a[2], a[3]);
}

static const char *at(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(at(name), "wb");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static enum err read_one(struct source *source, const char *path, size_t max, const char *want)
{
	struct errctx ctx = {""};
	struct buf out;
	enum err err;

	buf_init(&out, 4096);
	err = source->files.read(source->files.arg, ORIGIN, path, max, &out, &ctx);
	if (err == OK)
		assert_true(bytes_equal_str(buf_bytes(&out), want));
	else
		assert_int_equal(out.size, 0);
	assert_true((err == OK) == (ctx.text[0] == '\0'));
	buf_release(&out);
	return err;
}

static enum err on_log(void *arg, const char *origin)
{
	unsigned *seen = arg;

	assert_true(strcmp(origin, ORIGIN) == 0 || strcmp(origin, OTHER) == 0);
	*seen += strcmp(origin, ORIGIN) == 0 ? 1 : 100;
	return OK;
}

static void open_root(struct source *source)
{
	struct cli cli = {.json = false};
	struct errctx ctx = {""};

	assert_true(source_kind_files.is(root));
	assert_int_equal(source_kind_files.open(&cli, root, source, &ctx), OK);
	assert_true(source->files.tiles && source->files.concurrent);
}

static void check(void)
{
	struct source source;
	unsigned seen = 0;

	open_root(&source);
	assert_int_equal(read_one(&source, "checkpoint", 10, "note"), OK);
	assert_int_equal(read_one(&source, "checkpoint", 4, "note"), OK);
	assert_int_equal(read_one(&source, "checkpoint", 3, ""), ERR_LIMIT);
	assert_int_equal(read_one(&source, "tile/0/000", 10, "tile"), OK);
	assert_int_equal(read_one(&source, "tile/0/001", 10, ""), ERR_NOTFOUND);
	assert_int_equal(read_one(&source, "tile/0/000/more", 10, ""), ERR_NOTFOUND);
	assert_int_equal(read_one(&source, "tile/0/002", 10, ""), ERR_INVALID); /* a link */
	assert_int_equal(read_one(&source, "tile/0/003", 10, ""), ERR_INVALID); /* a FIFO */
	assert_int_equal(read_one(&source, "tile/0", 10, ""), ERR_INVALID);     /* a directory */
	assert_int_equal(read_one(&source, "tile/0/004", 10, ""), ERR_LIMIT);   /* 5 GB */
	assert_int_equal(read_one(&source, "tile/0/005", 10, ""), OK);          /* empty */
	assert_int_not_equal(read_one(&source, "tile/1/000", 10, ""), OK); /* the way is a link */
	assert_int_not_equal(read_one(&source, "../1-00000000000000a1/checkpoint", 10, ""), OK);
	assert_int_equal(source.files.logs(source.files.arg, on_log, &seen, NULL), OK);
	assert_int_equal(seen, 101);
	source.close(source.files.arg);
}

static void test_openat2(void **state)
{
	(void)state;
	refused = 0;
	check();
}

static void test_part_by_part(void **state)
{
	(void)state;
	refused = ENOSYS;
	check();
	refused = EPERM; /* as a sandbox says that does not know it */
	check();
	refused = 0;
}

/* The marker of an export: that of this version, or none. */
static void test_marker(void **state)
{
	const char good[] = "sauti export 1\n";
	struct cli cli = {.json = false};
	struct source source;
	char text[32];

	(void)state;
	put(".sauti-export", good);
	open_root(&source);
	source.close(source.files.arg);
	for (size_t i = 0; i < sizeof(good) - 1; i++) {
		for (unsigned x = 1; x < 256; x++) {
			FILE *file = fopen(at(".sauti-export"), "wb");

			strcpy(text, good);
			text[i] = (char)(text[i] ^ (char)x);
			fwrite(text, 1, sizeof(good) - 1, file);
			fclose(file);
			assert_int_equal(
				source_kind_files.open(&cli, root, &source, NULL), ERR_VERSION);
		}
	}
	put(".sauti-export", "sauti export 1\n1");
	assert_int_equal(source_kind_files.open(&cli, root, &source, NULL), ERR_VERSION);
	put(".sauti-export", "");
	assert_int_equal(source_kind_files.open(&cli, root, &source, NULL), ERR_VERSION);
	unlink(at(".sauti-export"));
	assert_int_equal(
		source_kind_files.open(&cli, "/nothing/there", &source, NULL), ERR_NOTFOUND);
	assert_false(source_kind_files.is("/nothing/there"));
}

static void make(const char *path)
{
	assert_int_equal(mkdir(at(path), 0700), 0);
}

static int set_up(void **state)
{
	char real[PATH_MAX];
	int fd;

	(void)state;
	assert_non_null(mkdtemp(root));
	make("ovra.example");
	make("ovra.example/haiti");
	make("ovra.example/directory");
	make(ORIGIN);
	make(OTHER);
	make(ORIGIN "/tile");
	make(ORIGIN "/tile/0");
	make("ovra.example/haiti/no-epoch");
	make("no network");
	put("ovra.example/haiti/1-00000000000000a2", "no directory, but an origin");
	unlink(at("ovra.example/haiti/1-00000000000000a2"));
	put("notes.txt", "lorem");
	put(ORIGIN "/checkpoint", "note");
	put(ORIGIN "/tile/0/000", "tile");
	put(ORIGIN "/tile/0/005", "");
	snprintf(real, sizeof(real), "%s", at(ORIGIN "/checkpoint"));
	assert_int_equal(symlink(real, at(ORIGIN "/tile/0/002")), 0);
	snprintf(real, sizeof(real), "%s", at(ORIGIN "/tile/0"));
	assert_int_equal(symlink(real, at(ORIGIN "/tile/1")), 0);
	assert_int_equal(mkfifo(at(ORIGIN "/tile/0/003"), 0600), 0);
	fd = open(at(ORIGIN "/tile/0/004"), O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)5 << 30), 0);
	close(fd);
	return 0;
}

static int tear_down(void **state)
{
	char command[PATH_MAX + 16];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_openat2),
		cmocka_unit_test(test_part_by_part),
		cmocka_unit_test(test_marker),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
