#include "replication/log/tlog_path.h"

#include <assert.h>
#include <stdio.h>

#include "base/cursor.h"
#include "base/text.h"

enum { GROUP = 1000, GROUP_DIGITS = 3, GROUPS_MAX = 5 };

/* Tiles of level 0 that the largest log has. */
#define INDEX_MAX (LIMIT_LOG_SIZE / TILE_WIDTH)

static int format_index(uint64_t index, char *ret, size_t size)
{
	unsigned groups[GROUPS_MAX];
	size_t count = 0;
	int at = 0;

	do {
		groups[count++] = (unsigned)(index % GROUP);
		index /= GROUP;
	} while (index > 0);
	while (count-- > 0)
		at += snprintf(
			ret + at, size - (size_t)at, count > 0 ? "x%03u/" : "%03u", groups[count]);
	return at;
}

void tlog_path_format(const struct tlog_file *file, char ret[TLOG_PATH_SIZE])
{
	int at;

	assert(file->id.level < TILE_LEVELS && file->id.index <= INDEX_MAX);
	assert(file->width >= 1 && file->width <= TILE_WIDTH);
	if (file->kind == TLOG_ENTRIES)
		at = snprintf(ret, TLOG_PATH_SIZE, "tile/entries/");
	else
		at = snprintf(ret, TLOG_PATH_SIZE, "tile/%u/", file->id.level);
	at += format_index(file->id.index, ret + at, TLOG_PATH_SIZE - (size_t)at);
	if (file->width < TILE_WIDTH)
		snprintf(ret + at, TLOG_PATH_SIZE - (size_t)at, ".p/%u", file->width);
}

/* Three digits, no more and no fewer. */
static unsigned parse_group(struct cursor *cursor)
{
	struct bytes digits = cursor_take(cursor, GROUP_DIGITS);
	unsigned value = 0;

	for (size_t i = 0; i < digits.size; i++) {
		if (digits.data[i] < '0' || digits.data[i] > '9')
			cursor->err = ERR_MALFORMED;
		value = 10 * value + (digits.data[i] - '0');
	}
	return value;
}

static uint64_t parse_index(struct cursor *cursor)
{
	uint64_t index = 0;
	size_t groups = 1;
	bool more;

	for (; (more = cursor_skip(cursor, bytes_str("x"))); groups++) {
		index = GROUP * index + parse_group(cursor);
		if (!cursor_skip(cursor, bytes_str("/")) || index == 0 || groups == GROUPS_MAX) {
			cursor->err = ERR_MALFORMED;
			break;
		}
	}
	return GROUP * index + parse_group(cursor);
}

/* Behind "tile/". */
static void parse_kind(struct cursor *cursor, struct tlog_file *ret)
{
	struct bytes name = cursor_until(cursor, '/');
	uint64_t level = 0;

	if (bytes_equal_str(name, "entries"))
		ret->kind = TLOG_ENTRIES;
	else if (decimal_parse(name, TILE_LEVELS - 1, &level) != OK)
		cursor->err = ERR_MALFORMED;
	ret->id.level = (unsigned)level;
}

enum err tlog_path_parse(struct bytes path, struct tlog_file *ret)
{
	struct tlog_file file = {.kind = TLOG_TILE, .width = TILE_WIDTH};
	struct cursor cursor = cursor_make(path);
	uint64_t width;

	if (!cursor_skip(&cursor, bytes_str("tile/")))
		return ERR_MALFORMED;
	parse_kind(&cursor, &file);
	file.id.index = parse_index(&cursor);
	if (cursor_skip(&cursor, bytes_str(".p/"))) {
		if (decimal_parse(cursor.rest, TILE_WIDTH - 1, &width) != OK || width == 0)
			return ERR_MALFORMED;
		file.width = (unsigned)width;
		cursor.rest = BYTES_NONE;
	}
	TRY(cursor_finish(&cursor));
	if (file.id.index > INDEX_MAX)
		return ERR_MALFORMED;
	*ret = file;
	return OK;
}

void tlog_files_init(struct tlog_files *files, uint64_t size)
{
	assert(size <= LIMIT_LOG_SIZE);
	*files = (struct tlog_files){.size = size, .next = {.kind = TLOG_ENTRIES}};
}

bool tlog_files_next(struct tlog_files *files, struct tlog_file *ret)
{
	struct tlog_file *next = &files->next;

	next->width = tile_width(next->id, files->size);
	while (next->width == 0) {
		if (next->id.index == 0 && next->kind == TLOG_TILE)
			return false; /* an empty level: so are those above it */
		if (next->kind == TLOG_ENTRIES)
			next->kind = TLOG_TILE;
		else
			next->id.level++;
		next->id.index = 0;
		next->width = tile_width(next->id, files->size);
	}
	*ret = *next;
	next->id.index++;
	return true;
}
