/*
 * Writes tests/vectors/tiles.json to standard output: for trees of several sizes over entries that
 * follow from their index ("entry <index>"), the root, a digest of every file of the tlog-tiles
 * layout, and proofs.
 *
 * The digest of a file is SHA-256 of its bytes. `files` is SHA-256 over "<path> <digest in hex>\n"
 * of all of them, in the order of tlog_files.
 */
#include <stdlib.h>

#include "replication/log/tlog_path.h"
#include "tests/vectors/vectors.h"

enum { LEAVES = 70000, LEVELS = 3, TILES = LEAVES / TILE_WIDTH + 1 };

static uint8_t tiles[LEVELS][TILES][TILE_SIZE];

static enum err tile_read(void *arg, struct tile_id id, unsigned width, struct bytes *ret)
{
	*ret = bytes_make(tiles[id.level][id.index], (size_t)width * HASH_SIZE);
	return OK;
}

static enum err tile_write(void *arg, struct tile_id id, struct bytes hashes)
{
	memcpy(tiles[id.level][id.index], hashes.data, hashes.size);
	return OK;
}

static const struct tile_source source = {tile_read, NULL};

static struct bytes entry_make(uint64_t index, char text[32])
{
	snprintf(text, 32, "entry %llu", (unsigned long long)index);
	return bytes_str(text);
}

static void fill(void)
{
	static struct hash leaves[LEAVES];
	struct tile_sink sink = {tile_write, NULL};
	char text[32];
	enum err err;

	for (uint64_t i = 0; i < LEAVES; i++)
		tree_leaf(entry_make(i, text), &leaves[i]);
	err = tiles_extend(&source, 0, leaves, LEAVES, &sink);
	assert(err == OK);
}

static void file_digest(const struct tlog_file *file, struct buf *scratch, struct hash *ret)
{
	char text[32];

	if (file->kind == TLOG_TILE) {
		sha256(bytes_make(tiles[file->id.level][file->id.index],
			       (size_t)file->width * HASH_SIZE),
			ret);
		return;
	}
	buf_clear(scratch);
	for (unsigned i = 0; i < file->width; i++)
		buf_put_lv16(scratch, entry_make(file->id.index * TILE_WIDTH + i, text));
	assert(scratch->err == OK);
	sha256(buf_bytes(scratch), ret);
}

static void put_files(uint64_t size, bool each)
{
	struct buf listing, scratch;
	struct tlog_files files;
	struct tlog_file file;
	struct hash digest;
	uint64_t count = 0;
	char path[TLOG_PATH_SIZE], hex[2 * HASH_SIZE + 1];

	buf_init(&listing, 1 << 20);
	buf_init(&scratch, 1 << 20);
	tlog_files_init(&files, size);
	if (each)
		printf(",\n\t\t\"each\": {");
	for (; tlog_files_next(&files, &file); count++) {
		tlog_path_format(&file, path);
		file_digest(&file, &scratch, &digest);
		hex_encode(hash_bytes(&digest), hex);
		buf_printf(&listing, "%s %s\n", path, hex);
		if (each)
			printf("%s\n\t\t\t\"%s\": \"%s\"", count == 0 ? "" : ",", path, hex);
	}
	if (each)
		printf("\n\t\t}");
	assert(listing.err == OK);
	sha256(buf_bytes(&listing), &digest);
	json_number("count", count);
	json_hex("files", hash_bytes(&digest));
	buf_release(&listing);
	buf_release(&scratch);
}

static void put_proof(bool *first, const struct proof *proof, const char *what, uint64_t at)
{
	char hex[2 * HASH_SIZE + 1];

	printf("%s\n\t\t\t{\"%s\": %llu, \"hashes\": [", *first ? "" : ",", what,
		(unsigned long long)at);
	for (size_t i = 0; i < proof->count; i++) {
		hex_encode(hash_bytes(&proof->hashes[i]), hex);
		printf("%s\"%s\"", i == 0 ? "" : ", ", hex);
	}
	printf("]}");
	*first = false;
}

/* Of the first, a middle and the last leaf; from sizes around them. */
static void put_proofs(struct tree_source *tree, uint64_t size)
{
	const uint64_t at[] = {0, size / 3, size / 2, size - 1};
	struct proof proof;
	bool first = true;
	enum err err;

	printf(",\n\t\t\"inclusion\": [");
	for (size_t i = 0; i < 4; i++) {
		if (i > 0 && at[i] <= at[i - 1])
			continue;
		err = tree_prove_inclusion(tree, at[i], size, &proof);
		assert(err == OK);
		put_proof(&first, &proof, "index", at[i]);
	}
	printf("\n\t\t],\n\t\t\"consistency\": [");
	first = true;
	for (size_t i = 0; i < 4; i++) {
		if (i > 0 && at[i] <= at[i - 1])
			continue;
		err = tree_prove_consistency(tree, at[i] + 1, size, &proof);
		assert(err == OK);
		put_proof(&first, &proof, "from", at[i] + 1);
	}
	printf("\n\t\t]");
}

static void put(uint64_t size)
{
	struct tile_reader reader = {source, size};
	struct tree_source tree = tile_reader_tree(&reader);
	struct hash root;
	char name[32];
	enum err err = tree_root(&tree, size, &root);

	assert(err == OK);
	snprintf(name, sizeof(name), "%llu entries", (unsigned long long)size);
	json_open(name);
	json_number("size", size);
	json_hex("root", hash_bytes(&root));
	put_files(size, size <= 1000);
	put_proofs(&tree, size);
	json_close();
}

int main(void)
{
	static const uint64_t sizes[] = {1, 2, 255, 256, 257, 65536, LEAVES};
	enum err err = crypto_init();

	assert(err == OK);
	fill();
	printf("{\n\"version\": 1,\n\"trees\": [");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		put(sizes[i]);
	printf("\n]\n}\n");
	crypto_release();
	return 0;
}
