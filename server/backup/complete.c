/*
 * backup_complete: what turns files that were copied into a backup.
 *
 *	1. the store's copy is opened: mark set, invites dropped; when there were any, it is copied
 *	   once more, so that their secrets do not stay in its free pages
 *	2. every file is hashed, every log looked up: BACKUP is written
 *	3. all of it synced, and verified like any backup
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "node/genesis.h"
#include "server/backup/internal.h"
#include "server/store/copy.h"

struct complete {
	const struct complete_opts *opts;
	struct manifest manifest;
	char store[PATH_MAX];
};

static enum err below(
	const struct complete *complete, const char *name, char *ret, struct errctx *ctx)
{
	return files_join(complete->opts->directory, name, ret, ctx);
}

static enum err names_take(struct complete *complete, struct errctx *ctx)
{
	struct manifest *manifest = &complete->manifest;
	struct genesis genesis = {0};
	char path[PATH_MAX];

	TRY(below(complete, manifest_path(MANIFEST_GENESIS), path, ctx));
	TRY(genesis_load(path, &genesis, ctx));
	snprintf(manifest->network, sizeof(manifest->network), "%s", genesis.network);
	genesis_release(&genesis);
	snprintf(manifest->node, sizeof(manifest->node), "%s", complete->opts->node);
	manifest->created_s = complete->opts->created_s;
	return below(complete, "store", complete->store, ctx);
}

static enum err open_store(
	const struct complete *complete, bool read_only, struct store **ret, struct errctx *ctx)
{
	struct store_opts opts = {.path = complete->store,
		.network = complete->manifest.network,
		.node = complete->manifest.node,
		.read_only = read_only};

	return store_open(&opts, ret, ctx);
}

static enum err copy_put(void *arg, struct bytes piece, struct errctx *ctx)
{
	return file_put(arg, piece, ctx);
}

static enum err copy_again(const struct complete *complete, struct store *store, struct errctx *ctx)
{
	struct manifest_file written;
	char path[PATH_MAX];
	struct file file;
	enum err err;

	TRY(below(complete, STORE_COPY_NEW, path, ctx));
	err = file_create(&file, path, 0600, ctx);
	if (err == OK)
		err = store_copy(store, copy_put, &file, ctx);
	if (err == OK)
		err = file_close(&file, &written, ctx);
	if (err != OK)
		file_abort(&file);
	return err;
}

/* Nothing but data.mdb stays in store/. */
static enum err store_tidy_up(const struct complete *complete, bool copied, struct errctx *ctx)
{
	static const char *const locks[] = {"store/lock", "store/lock.mdb"};
	char from[PATH_MAX], to[PATH_MAX];

	for (size_t i = 0; i < sizeof(locks) / sizeof(locks[0]); i++) {
		TRY(below(complete, locks[i], from, ctx));
		if (unlink(from) != 0 && errno != ENOENT)
			return files_errno(ctx, errno, "remove", from);
	}
	if (!copied)
		return OK;
	TRY(below(complete, STORE_COPY_NEW, from, ctx));
	TRY(below(complete, manifest_path(MANIFEST_STORE), to, ctx));
	if (rename(from, to) != 0)
		return files_errno(ctx, errno, "rename to", to);
	return OK;
}

static enum err store_mark(const struct complete *complete, struct errctx *ctx)
{
	char mark[STORE_MARK_MAX + 1];
	uint64_t dropped = 0;
	struct store *store;
	enum err err;

	TRY(open_store(complete, false, &store, ctx));
	backup_mark(&complete->manifest, mark, sizeof(mark));
	err = store_backup_mark(store, mark, &dropped, ctx);
	if (err == OK && dropped > 0)
		err = copy_again(complete, store, ctx);
	store_close(store);
	return err == OK ? store_tidy_up(complete, dropped > 0, ctx) : err;
}

static enum err log_note(const struct log_head *head, struct manifest_log *ret, struct errctx *ctx)
{
	struct checkpoint checkpoint;

	*ret = (struct manifest_log){.origin = head->origin, .size = head->size};
	if (head->checkpoint.size == 0)
		return OK;
	TRY(checkpoint_peek(buf_bytes(&head->checkpoint), &checkpoint, ctx));
	ret->checkpoint_size = checkpoint.size;
	if (checkpoint.size > 0)
		ret->root = checkpoint.root;
	return OK;
}

static enum err logs_note(
	struct manifest *manifest, const struct log_head *heads, size_t count, struct errctx *ctx)
{
	if (count > 0) {
		manifest->logs = mem_array(count, sizeof(*manifest->logs));
		if (manifest->logs == NULL)
			return ERR_NOMEM;
	}
	for (size_t i = 0; i < count; i++) {
		TRY(log_note(&heads[i], &manifest->logs[i], ctx));
		manifest->log_count++;
	}
	manifest_sort(manifest);
	return OK;
}

static enum err store_note(struct complete *complete, struct errctx *ctx)
{
	struct log_head *heads = NULL;
	struct store_usage usage;
	struct store *store;
	size_t count = 0;
	enum err err;

	TRY(open_store(complete, true, &store, ctx));
	err = store_usage(store, &usage);
	if (err == OK)
		err = store_heads(store, &heads, &count, ctx);
	store_close(store);
	if (err == OK) {
		complete->manifest.store_format = usage.format;
		complete->manifest.commits = usage.commits;
		err = logs_note(&complete->manifest, heads, count, ctx);
	}
	for (size_t i = 0; i < count; i++)
		log_head_release(&heads[i]);
	mem_free(heads);
	return err;
}

static enum err files_note(struct complete *complete, struct errctx *ctx)
{
	for (unsigned id = 0; id < MANIFEST_FILES; id++) {
		struct file_source source = {complete->opts->directory,
			manifest_path((enum manifest_file_id)id),
			manifest_size_max((enum manifest_file_id)id)};

		TRY(file_read(&source, &complete->opts->watch, NULL, NULL,
			&complete->manifest.files[id], ctx));
	}
	return OK;
}

static enum err manifest_save(const struct complete *complete, struct errctx *ctx)
{
	struct manifest_file written;
	char path[PATH_MAX];
	struct file file = {.fd = -1};
	struct buf text;
	enum err err;

	buf_init(&text, LIMIT_BACKUP_MANIFEST);
	err = manifest_write(&complete->manifest, &text);
	if (err != OK)
		err_set(ctx, err, "write the manifest: %s", err_text(err));
	if (err == OK)
		err = below(complete, MANIFEST_NAME, path, ctx);
	if (err == OK)
		err = file_create(&file, path, 0600, ctx);
	if (err == OK)
		err = file_put(&file, buf_bytes(&text), ctx);
	if (err == OK)
		err = file_close(&file, &written, ctx);
	if (err != OK)
		file_abort(&file);
	buf_release(&text);
	return err;
}

enum err backup_complete(const struct complete_opts *opts, struct manifest *ret, struct errctx *ctx)
{
	struct complete complete = {.opts = opts};
	enum err err = names_take(&complete, ctx);

	if (err == OK)
		err = store_mark(&complete, ctx);
	if (err == OK)
		err = store_note(&complete, ctx);
	if (err == OK)
		err = files_note(&complete, ctx);
	if (err == OK)
		err = manifest_save(&complete, ctx);
	if (err == OK)
		err = place_sync_all(opts->directory, ctx);
	manifest_release(&complete.manifest);
	return err == OK ? backup_verify(opts->directory, &opts->watch, ret, ctx) : err;
}
