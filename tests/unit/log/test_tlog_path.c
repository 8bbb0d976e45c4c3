/*
 * Paths as C2SP tlog-tiles has them, there and back; every way to write one differently is refused;
 * the files of a size against the rule of the specification, counted by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "replication/log/tlog_path.h"

static const struct {
	struct tlog_file file;
	const char *path;
} good[] = {
	{{TLOG_TILE, {0, 0}, 256}, "tile/0/000"},
	{{TLOG_TILE, {0, 0}, 1}, "tile/0/000.p/1"},
	{{TLOG_TILE, {1, 999}, 255}, "tile/1/999.p/255"},
	{{TLOG_TILE, {0, 1000}, 256}, "tile/0/x001/000"},
	{{TLOG_TILE, {2, 1234067}, 256}, "tile/2/x001/x234/067"},
	{{TLOG_TILE, {0, LIMIT_LOG_SIZE / 256}, 17}, "tile/0/x001/x099/x511/x627/776.p/17"},
	{{TLOG_TILE, {6, 0}, 1}, "tile/6/000.p/1"},
	{{TLOG_ENTRIES, {0, 0}, 256}, "tile/entries/000"},
	{{TLOG_ENTRIES, {0, 273}, 112}, "tile/entries/273.p/112"},
	{{TLOG_ENTRIES, {0, 123456}, 256}, "tile/entries/x123/456"},
};

static void test_there_and_back(void **state)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct tlog_file file;
		char path[TLOG_PATH_SIZE];

		tlog_path_format(&good[i].file, path);
		assert_string_equal(path, good[i].path);
		assert_int_equal(tlog_path_parse(bytes_str(path), &file), OK);
		assert_int_equal(file.kind, good[i].file.kind);
		assert_int_equal(file.id.level, good[i].file.id.level);
		assert_int_equal(file.id.index, good[i].file.id.index);
		assert_int_equal(file.width, good[i].file.width);
	}
}

static void test_one_way_only(void **state)
{
	static const char *const bad[] = {"", "tile", "tile/", "tile/0", "tile/0/", "tile/0/00",
		"tile/0/0000", "tile/0/0x0", "tile/0/x000/001", "tile/0/x000/x001/002",
		"tile/0/x001", "tile/0/x001/", "tile/0/001/002", "tile/0/x01/002", "tile/0/000.p",
		"tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01",
		"tile/0/000.p/1/", "tile/0/000.p/1 ", "tile/0/000/", "tile/00/000", "tile/-1/000",
		"tile/7/000", "tile/63/000", "tile/64/000", "/tile/0/000", "tile//0/000",
		"tile/entries/", "tile/entries/0", "tile/Entries/000", "tile/0/000.P/1",
		"tile/8/0/000", "checkpoint", "tile/0/..", "tile/0/../0/000",
		"tile/0/x001/x099/x511/x627/777", "tile/0/x001/x000/x000/x000/x000/000",
		"tile/0/ 00", "tile/0/+00"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct tlog_file file = {.width = 7};

		if (tlog_path_parse(bytes_str(bad[i]), &file) != ERR_MALFORMED)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(file.width, 7); /* untouched */
	}
	/* Nor with a terminator inside. */
	assert_int_equal(tlog_path_parse(bytes_make("tile/0/000", 11), &(struct tlog_file){0}),
		ERR_MALFORMED);
}

/* No byte changed or left out of a good path makes another good path that says the same. */
static void test_changed_bytes(void **state)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		size_t size = strlen(good[i].path);

		for (size_t at = 0; at < size; at++) {
			char changed[TLOG_PATH_SIZE], again[TLOG_PATH_SIZE];
			struct tlog_file file;

			for (unsigned value = 1; value < 256; value++) {
				strcpy(changed, good[i].path);
				changed[at] = (char)value;
				if (tlog_path_parse(bytes_str(changed), &file) != OK)
					continue;
				tlog_path_format(&file, again);
				assert_string_equal(again, changed);
			}
		}
	}
}

struct listing {
	size_t count, entries, level[TILE_LEVELS], partial;
};

static struct listing list(uint64_t size)
{
	struct listing listing = {0};
	struct tlog_file file, last = {0};
	struct tlog_files files;

	tlog_files_init(&files, size);
	for (; tlog_files_next(&files, &file); last = file, listing.count++) {
		if (file.kind == TLOG_ENTRIES)
			listing.entries++;
		else
			listing.level[file.id.level]++;
		listing.partial += file.width < TILE_WIDTH;
		assert_int_equal(file.width, tile_width(file.id, size));
		if (listing.count > 0 && last.kind == file.kind && last.id.level == file.id.level)
			assert_int_equal(file.id.index, last.id.index + 1);
		else
			assert_int_equal(file.id.index, 0);
	}
	assert_false(tlog_files_next(&files, &file)); /* and stays at its end */
	return listing;
}

static void test_files_of_a_size(void **state)
{
	struct listing l = list(0);

	assert_int_equal(l.count, 0);
	l = list(1);
	assert_int_equal(l.count, 2);
	assert_int_equal(l.partial, 2);
	l = list(255);
	assert_int_equal(l.count, 2);
	l = list(256); /* full tile/0/000, and tile/1/000.p/1 */
	assert_int_equal(l.count, 3);
	assert_int_equal(l.partial, 1);
	assert_int_equal(l.level[1], 1);
	l = list(257);
	assert_int_equal(l.count, 5);
	assert_int_equal(l.partial, 3);
	l = list(65536);
	assert_int_equal(l.level[0], 256);
	assert_int_equal(l.level[1], 1);
	assert_int_equal(l.level[2], 1);
	assert_int_equal(l.partial, 1);
	l = list(70000); /* as the reference client lists them */
	assert_int_equal(l.entries, 274);
	assert_int_equal(l.level[0], 274);
	assert_int_equal(l.level[1], 2);
	assert_int_equal(l.level[2], 1);
	assert_int_equal(l.level[3], 0);
	assert_int_equal(l.partial, 4);
}

static void test_largest_log(void **state)
{
	struct tlog_file file;
	struct tlog_files files;

	tlog_files_init(&files, LIMIT_LOG_SIZE);
	assert_true(tlog_files_next(&files, &file));
	files.next.id.index = LIMIT_LOG_SIZE / TILE_WIDTH; /* behind the last bundle */
	assert_true(tlog_files_next(&files, &file));
	assert_int_equal(file.kind, TLOG_TILE);
	files.next = (struct tlog_file){TLOG_TILE, {6, 0}, 0};
	assert_true(tlog_files_next(&files, &file));
	assert_int_equal(file.width, 1);
	assert_false(tlog_files_next(&files, &file));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_one_way_only),
		cmocka_unit_test(test_changed_bytes),
		cmocka_unit_test(test_files_of_a_size),
		cmocka_unit_test(test_largest_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
