/*
 * bench_leaves: what an audit is held against: bare SHA-256 leaf hashing, in one thread, of the
 * entries of an exported log. Reading the files is not timed.
 *
 *   bench_leaves LOG-DIRECTORY COUNT
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "lib.h"
#include "replication/log/tlog_path.h"

enum { FILE_MAX = TILE_WIDTH * (2 + LIMIT_ENTRY_SIZE) };

static struct bytes read_file(const char *directory, const struct tlog_file *file, uint8_t *room)
{
	char name[TLOG_PATH_SIZE], path[4096];
	FILE *from;
	size_t size;

	tlog_path_format(file, name);
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	from = fopen(path, "rb");
	if (from == NULL)
		die("cannot read '%s'", path);
	size = fread(room, 1, FILE_MAX, from);
	fclose(from);
	return bytes_make(room, size);
}

int main(int argc, char **argv)
{
	uint8_t *room = malloc(FILE_MAX);
	struct tlog_files files;
	struct tlog_file file;
	uint64_t count = 0;
	double spent = 0;

	if (argc != 3 || room == NULL)
		die("usage: bench_leaves LOG-DIRECTORY COUNT");
	check(crypto_init(), NULL, "crypto");
	tlog_files_init(&files, number_of(argv[2]));
	while (tlog_files_next(&files, &file) && file.kind == TLOG_ENTRIES) {
		struct cursor cursor = cursor_make(read_file(argv[1], &file, room));
		double start = now_s();
		struct hash leaf;

		for (unsigned i = 0; i < file.width; i++)
			tree_leaf(cursor_lv16(&cursor), &leaf);
		spent += now_s() - start;
		count += file.width;
		check(cursor.err, NULL, "entries");
	}
	printf("{\"hash_per_s\": %.9g}\n", (double)count / spent);
	free(room);
	return 0;
}
