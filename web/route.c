#include "web/route.h"

#include "base/cursor.h"
#include "base/text.h"

enum { EPOCH_RANDOM = 16, GROUP = 1000, GROUP_DIGITS = 3, GROUPS_MAX = 5, LEVEL_MAX = 6 };
enum { WIDTH = 256 };

static bool lower_hex(struct bytes text, size_t digits)
{
	for (size_t i = 0; i < text.size; i++)
		if (!(text.data[i] >= '0' && text.data[i] <= '9') &&
			!(text.data[i] >= 'a' && text.data[i] <= 'f'))
			return false;
	return text.size == digits;
}

/* "<counter>-<16 hex>", and "~<32 hex>" behind it for a branch of a forked log. */
static bool epoch_valid(struct bytes text)
{
	struct cursor cursor = cursor_make(text);
	struct bytes counter = cursor_until(&cursor, '-');
	struct bytes random = cursor_take(&cursor, EPOCH_RANDOM);
	uint64_t number;

	if (cursor.err != OK || decimal_parse(counter, UINT32_MAX, &number) != OK ||
		!lower_hex(random, EPOCH_RANDOM))
		return false;
	if (cursor_skip(&cursor, bytes_str("~")))
		return lower_hex(cursor.rest, LIMIT_BRANCH_HEX);
	return cursor.rest.size == 0;
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

/* x001/x234/067 */
static uint64_t parse_index(struct cursor *cursor)
{
	uint64_t index = 0;

	for (size_t groups = 1; cursor_skip(cursor, bytes_str("x")); groups++) {
		index = GROUP * index + parse_group(cursor);
		if (!cursor_skip(cursor, bytes_str("/")) || index == 0 || groups == GROUPS_MAX) {
			cursor->err = ERR_MALFORMED;
			return 0;
		}
	}
	return GROUP * index + parse_group(cursor);
}

/* Behind "tile/"; false: no such file. */
static bool parse_tile(struct cursor cursor, struct route *ret)
{
	struct bytes level = cursor_until(&cursor, '/');
	uint64_t number;

	if (bytes_equal_str(level, "entries"))
		ret->kind = ROUTE_ENTRIES;
	else if (decimal_parse(level, LEVEL_MAX, &number) == OK)
		ret->kind = ROUTE_TILE;
	else
		return false;
	if (parse_index(&cursor) > LIMIT_LOG_SIZE / WIDTH || cursor.err != OK)
		return false;
	ret->partial = cursor_skip(&cursor, bytes_str(".p/"));
	if (!ret->partial)
		return cursor.rest.size == 0;
	return decimal_parse(cursor.rest, WIDTH - 1, &number) == OK && number > 0;
}

/* False: it is no file of a log. */
static bool parse_log(struct bytes path, struct route *ret)
{
	struct cursor cursor = cursor_make(path);
	struct bytes network = cursor_until(&cursor, '/');
	struct bytes node = cursor_until(&cursor, '/');
	struct bytes epoch = cursor_until(&cursor, '/');
	size_t size = network.size + 1 + node.size + 1 + epoch.size;

	if (cursor.err != OK || size > LIMIT_LOG_NAME || cursor.rest.size >= ROUTE_PATH_SIZE ||
		!network_name_valid(network) || !node_name_valid(node) || !epoch_valid(epoch))
		return false;
	memcpy(ret->origin, path.data, size);
	memcpy(ret->path, cursor.rest.data, cursor.rest.size);
	if (bytes_equal_str(cursor.rest, "checkpoint")) {
		ret->kind = ROUTE_CHECKPOINT;
		return true;
	}
	return cursor_skip(&cursor, bytes_str("tile/")) && parse_tile(cursor, ret);
}

static bool parse_witness(struct bytes path, struct route *ret)
{
	struct cursor cursor = cursor_make(path);
	struct bytes hash = cursor_until(&cursor, '/');

	if (!lower_hex(hash, ROUTE_HASH) || !bytes_equal_str(cursor.rest, "checkpoint"))
		return false;
	memcpy(ret->origin, hash.data, hash.size);
	ret->kind = ROUTE_WITNESS;
	return true;
}

static enum route_kind fixed(struct bytes path)
{
	static const struct {
		const char *path;
		enum route_kind kind;
	} paths[] = {
		{"add-checkpoint", ROUTE_ADD_CHECKPOINT},
		{"logs", ROUTE_LOGS},
		{"evidence", ROUTE_EVIDENCE},
		{"metrics", ROUTE_METRICS},
		{"healthz", ROUTE_HEALTHZ},
		{"readyz", ROUTE_READYZ},
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (bytes_equal_str(path, paths[i].path))
			return paths[i].kind;
	return ROUTE_NONE;
}

void route_parse(struct bytes path, struct route *ret)
{
	struct route route = {0};
	struct bytes rest;

	*ret = (struct route){0};
	if (path.size == 0 || path.data[0] != '/')
		return;
	rest = bytes_make(path.data + 1, path.size - 1);
	route.kind = fixed(rest);
	if (route.kind != ROUTE_NONE || parse_witness(rest, &route) || parse_log(rest, &route))
		*ret = route;
}

const char *route_name(enum route_kind kind)
{
	static const char *const names[] = {
#define X(k, name) name,
		ROUTES(X)
#undef X
	};

	return names[kind];
}
