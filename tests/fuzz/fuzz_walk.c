/*
 * An audit of a log whose files are anything: input is u8 width || u8 flags || u16be size of the
 * file of entries || that file || the tile of level 0. What the walk says is what a plain reading
 * of the same bytes says: sound only if there are exactly that many entries and their hashes are
 * the tile.
 */
#include <assert.h>

#include "base/cursor.h"
#include "replication/audit/walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FLAG_TILES = 1, FLAG_ROOT = 2 };

struct files {
	struct bytes entries, tile;
	unsigned width;
};

static enum err read_file(void *arg, const char *origin, const char *path, size_t max,
	struct buf *out, struct errctx *ctx)
{
	const struct files *files = arg;
	struct tlog_file file;
	struct bytes data;

	assert(tlog_path_parse(bytes_str(path), &file) == OK);
	if (file.width != files->width || file.id.level != 0)
		return ERR_NOTFOUND;
	data = file.kind == TLOG_ENTRIES ? files->entries : files->tile;
	if (data.size > max)
		return ERR_LIMIT;
	buf_put(out, data);
	return out->err;
}

/* The leaves, as somebody else would read them. */
static unsigned plain(struct bytes file, unsigned width, struct hash *ret, size_t *ret_rest)
{
	size_t at = 0;
	unsigned n = 0;

	while (n < width && file.size - at >= 2) {
		size_t entry = get_u16be(file.data + at);

		if (entry == 0 || entry > file.size - at - 2)
			break;
		tree_leaf(bytes_make(file.data + at + 2, entry), &ret[n++]);
		at += 2 + entry;
	}
	*ret_rest = file.size - at;
	return n;
}

static void run(const struct files *files, bool tiles, bool root)
{
	struct audit_source source = {.read = read_file, .arg = (void *)files, .tiles = tiles};
	struct checkpoint checkpoint = {
		{"ovra.example/haiti/1-0000000000000001"}, files->width, {{0}}};
	struct walk_opts opts = {
		.source = &source, .origin = checkpoint.origin.text, .checkpoint = &checkpoint};
	struct hash leaves[TILE_WIDTH];
	struct walk_result result;
	struct compact tree;
	size_t rest, same;
	unsigned count = plain(files->entries, files->width, leaves, &rest);

	compact_init(&tree);
	for (unsigned i = 0; i < count; i++)
		compact_append(&tree, &leaves[i]);
	if (root)
		compact_root(&tree, &checkpoint.root);
	same = files->tile.size == count * sizeof(leaves[0]) &&
	       (count == 0 || memcmp(files->tile.data, leaves, files->tile.size) == 0);
	assert(findings_new(&opts.findings) == OK);
	assert(walk_run(&opts, &result, NULL) == OK);
	assert(result.sound == (root && count == files->width && rest == 0 && (!tiles || same)));
	assert(result.sound == (findings_of(opts.findings, FINDING_VIOLATION) == 0));
	assert(result.sound || !result.has_bad || result.bad < files->width);
	findings_free(opts.findings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor cursor = cursor_make(bytes_make(data, size));
	struct files files;
	uint8_t flags;

	assert(crypto_init() == OK);
	files.width = cursor_u8(&cursor);
	flags = cursor_u8(&cursor);
	files.entries = cursor_lv16(&cursor);
	files.tile = cursor.rest;
	if (cursor.err == OK && files.width > 0)
		run(&files, flags & FLAG_TILES, flags & FLAG_ROOT);
	crypto_release();
	return 0;
}
