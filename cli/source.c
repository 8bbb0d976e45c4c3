#include "cli/source.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "node/files.h"
#include "replication/log/tlog_path.h"

enum { BUNDLE_MAX = TILE_WIDTH * (2 + LIMIT_ENTRY_SIZE) };

/* <directory>/<origin>/<path> */
static enum err path_of(
	const struct source_read *read, const char *path, char ret[PATH_MAX], struct errctx *ctx)
{
	TRY(files_join(read->directory, read->origin, ret, ctx));
	return files_join(ret, path, ret, ctx);
}

/* A partial file may have gone once the full one was there: that begins with it. */
static enum err read_bundle(const struct source_read *read, const struct tlog_file *file,
	struct buf *out, struct errctx *ctx)
{
	char name[TLOG_PATH_SIZE], path[PATH_MAX];
	struct tlog_file full = *file;
	enum err err;

	tlog_path_format(file, name);
	TRY(path_of(read, name, path, ctx));
	buf_clear(out);
	err = files_read(path, BUNDLE_MAX, out, ctx);
	if (err == ERR_NOTFOUND && file->width < TILE_WIDTH) {
		full.width = TILE_WIDTH;
		tlog_path_format(&full, name);
		TRY(path_of(read, name, path, ctx));
		err = files_read(path, BUNDLE_MAX, out, ctx);
	}
	return err == ERR_NOTFOUND || err == ERR_LIMIT
		       ? err_set(ctx, ERR_PROOF,
				 "'%s' is not there, or too large: the export is not whole", path)
		       : err;
}

static enum err take_entries(const struct source_read *read, const struct tlog_file *file,
	struct bytes bundle, struct compact *tree, struct errctx *ctx)
{
	struct cursor cursor = cursor_make(bundle);

	for (unsigned i = 0; i < file->width; i++) {
		struct bytes entry = cursor_lv16(&cursor);
		struct hash leaf;

		if (cursor.err != OK || entry.size == 0)
			return err_set(ctx, ERR_PROOF,
				"log '%s': entry %llu is cut off in the export", read->origin,
				(unsigned long long)tree->size);
		tree_leaf(entry, &leaf);
		if (read->each != NULL)
			TRY(read->each(read->arg, tree->size, entry));
		compact_append(tree, &leaf);
	}
	return OK;
}

static enum err read_entries(
	const struct source_read *read, const struct checkpoint *checkpoint, struct errctx *ctx)
{
	struct tlog_files files;
	struct tlog_file file;
	struct compact tree;
	struct hash root;
	struct buf bundle;
	enum err err = OK;

	compact_init(&tree);
	buf_init(&bundle, BUNDLE_MAX + 1);
	tlog_files_init(&files, checkpoint->size);
	while (err == OK && tlog_files_next(&files, &file) && file.kind == TLOG_ENTRIES) {
		err = read_bundle(read, &file, &bundle, ctx);
		if (err == OK)
			err = take_entries(read, &file, buf_bytes(&bundle), &tree, ctx);
	}
	buf_release(&bundle);
	TRY(err);
	compact_root(&tree, &root);
	if (tree.size != checkpoint->size || !hash_equal(&root, &checkpoint->root))
		return err_set(ctx, ERR_PROOF,
			"log '%s': the entries of the export are not those that were signed",
			read->origin);
	return OK;
}

enum err source_read(
	const struct source_read *read, struct tlog_verdict *ret_verdict, struct errctx *ctx)
{
	struct tlog_verdict verdict;
	char path[PATH_MAX];
	struct buf note;
	enum err err;

	TRY(path_of(read, "checkpoint", path, ctx));
	buf_init(&note, LIMIT_NOTE_SIZE + 1);
	err = files_read(path, LIMIT_NOTE_SIZE, &note, ctx);
	if (err == OK) {
		err = tlog_policy_check(read->policy, buf_bytes(&note), &verdict, ctx);
		if (err == ERR_MALFORMED || err == ERR_LIMIT)
			err = err_wrap(ctx, ERR_PROOF, "'%s'", path);
	}
	buf_release(&note);
	TRY(err);
	if (strcmp(verdict.checkpoint.origin.text, read->origin) != 0)
		return err_set(ctx, ERR_PROOF, "'%s' is of another log", path);
	TRY(read_entries(read, &verdict.checkpoint, ctx));
	*ret_verdict = verdict;
	return OK;
}

/* --- which logs there are --- */

static uint32_t epoch_of(const struct origin *origin)
{
	struct origin_parts parts = {.counter = 0};

	return origin_parse(bytes_str(origin->text), NULL, &parts) == OK ? parts.counter : 0;
}

static int by_epoch(const void *a, const void *b)
{
	const struct origin *x = a, *y = b;
	uint32_t m = epoch_of(x), n = epoch_of(y);

	return m != n ? (m > n) - (m < n) : strcmp(x->text, y->text);
}

enum err source_logs(const char *directory, const char *network, const char *node,
	struct source_logs *ret, struct errctx *ctx)
{
	char path[PATH_MAX], text[2 * NAME_MAX];
	struct dirent *item;
	DIR *dir;

	ret->count = 0;
	TRY(files_join(directory, network, path, ctx));
	TRY(files_join(path, node, path, ctx));
	dir = opendir(path);
	if (dir == NULL)
		return errno == ENOENT ? OK : files_errno(ctx, errno, "read directory", path);
	while ((item = readdir(dir)) != NULL && ret->count < SOURCE_LOGS_MAX) {
		snprintf(text, sizeof(text), "%s/%s/%s", network, node, item->d_name);
		ret->count += origin_parse(bytes_str(text), &ret->origins[ret->count], NULL) == OK;
	}
	closedir(dir);
	if (item != NULL)
		return err_set(ctx, ERR_LIMIT, "'%s' has more than %d logs", path, SOURCE_LOGS_MAX);
	qsort(ret->origins, ret->count, sizeof(ret->origins[0]), by_epoch);
	return OK;
}
