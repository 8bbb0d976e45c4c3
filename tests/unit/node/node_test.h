/* What the tests of node/ share: a directory of their own, and cmocka. */
#ifndef TESTS_UNIT_NODE_NODE_TEST_H
#define TESTS_UNIT_NODE_NODE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

static char test_dir[64];

static inline int test_dir_make(void **state)
{
	(void)state;
	strcpy(test_dir, "/tmp/sauti-test-XXXXXX");
	return mkdtemp(test_dir) == NULL ? -1 : 0;
}

static inline int test_dir_remove_one(
	const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static inline int test_dir_remove(void **state)
{
	(void)state;
	return nftw(test_dir, test_dir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A path in it; valid until the fourth call from here. */
static inline const char *in_dir(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, PATH_MAX, "%s/%s", test_dir, name);
	return path;
}

static inline void put_file(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

#define assert_ok(expr) assert_int_equal((expr), OK)
#define assert_says(ctx, part)                                                                     \
	do {                                                                                       \
		if (strstr((ctx).text, (part)) == NULL)                                            \
			fail_msg("\"%s\" does not say \"%s\"", (ctx).text, (part));                \
	} while (0)

#endif
