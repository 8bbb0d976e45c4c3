/*
 * backup_make, the happy path:
 *
 *	1. the place: absolute, free, not inside the node's own directories, room for it
 *	2. NAME.partial is made beside it and locked; an interrupted one is removed before
 *	3. LMDB's copy of the store, then configuration, certificates and genesis, all synced
 *	4. a child completes and verifies it
 *	5. rename, and the parent directory is synced
 *
 * kill -9 at any point leaves NAME.partial at most, which the next backup of that name removes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/backup/internal.h"
#include "server/backup/offline.h"
#include "server/store/copy.h"

/* Besides the store: certificates, manifest, directories, and what LMDB needs to set the mark. */
enum { ROOM_BESIDES = 16 * 1024 * 1024 };

struct make {
	const struct backup_opts *opts;
	char parent[PATH_MAX], to[PATH_MAX], partial[PATH_MAX];
	int lock; /* on the directory partial, or -1 */
	struct file file;
	uint64_t total;   /* bytes of the store, about */
	char created[24]; /* seconds since 1970 */
};

/* "/media/stick/monday/": where it should stand, and how it should be called. */
static enum err place_split(struct make *make, struct errctx *ctx)
{
	char path[PATH_MAX], *slash;
	size_t size = strlen(make->opts->to);

	if (make->opts->to[0] != '/')
		return err_set(ctx, ERR_INVALID, "'%s' is not an absolute path", make->opts->to);
	if (size >= sizeof(path))
		return err_set(ctx, ERR_LIMIT, "path too long: %.100s..", make->opts->to);
	memcpy(path, make->opts->to, size + 1);
	while (size > 1 && path[size - 1] == '/')
		path[--size] = '\0';
	slash = strrchr(path, '/');
	if (slash[1] == '\0' || strcmp(slash, "/.") == 0 || strcmp(slash, "/..") == 0)
		return err_set(
			ctx, ERR_INVALID, "'%s' is no name for a new directory", make->opts->to);
	*slash = '\0';
	if (realpath(path[0] == '\0' ? "/" : path, make->parent) == NULL)
		return files_errno(ctx, errno, "the backup should stand in", path);
	TRY(files_join(make->parent, slash + 1, make->to, ctx));
	if (strlen(make->to) + sizeof(BACKUP_PARTIAL) > sizeof(make->partial))
		return err_set(ctx, ERR_LIMIT, "path too long: %.100s..", make->opts->to);
	strcpy(stpcpy(make->partial, make->to), BACKUP_PARTIAL);
	return OK;
}

static enum err place_apart(const struct make *make, const char *of, struct errctx *ctx)
{
	char real[PATH_MAX];

	if (realpath(of, real) == NULL)
		snprintf(real, sizeof(real), "%.*s", PATH_MAX - 1, of);
	if (!place_inside(make->to, real))
		return OK;
	return err_set(ctx, ERR_INVALID,
		"'%s' is inside '%s', the node's own directory: what takes that takes the backup "
		"too; name another place, best another disk",
		make->to, real);
}

static enum err place_free(const struct make *make, struct errctx *ctx)
{
	struct stat parent, st;
	bool empty = false;

	if (lstat(make->to, &st) != 0)
		return errno == ENOENT ? OK : files_errno(ctx, errno, "look at", make->to);
	if (S_ISDIR(st.st_mode))
		TRY(files_dir_empty(make->to, &empty, ctx));
	if (stat(make->parent, &parent) != 0)
		return files_errno(ctx, errno, "look at", make->parent);
	if (S_ISDIR(st.st_mode) && st.st_dev != parent.st_dev)
		return err_set(ctx, ERR_EXISTS,
			"'%s' is where a disk is mounted: name a new directory on it, such as "
			"'%s/backup-1'",
			make->to, make->to);
	if (!empty)
		return err_set(ctx, ERR_EXISTS,
			"'%s' is there already, and not empty: a backup goes into a new directory",
			make->to);
	return OK;
}

static enum err room_check(struct make *make, struct errctx *ctx)
{
	struct store_usage usage;
	uint64_t need;

	TRY(store_usage(make->opts->store, &usage));
	make->total = usage.used_bytes;
	/* With invites it is copied twice. */
	need = usage.used_bytes * (usage.invites > 0 ? 2 : 1) + ROOM_BESIDES;
	return place_room(make->parent, need, ctx);
}

/* From here on there is something to remove. */
static enum err partial_make(struct make *make, struct errctx *ctx)
{
	if (mkdir(make->partial, 0700) != 0) {
		if (errno != EEXIST)
			return files_errno(ctx, errno, "make directory", make->partial);
		TRY(place_lock(make->partial, &make->lock, ctx));
		TRY(place_clear(make->partial, ctx));
		close(make->lock);
		make->lock = -1;
		if (mkdir(make->partial, 0700) != 0)
			return files_errno(ctx, errno, "make directory", make->partial);
	}
	TRY(place_lock(make->partial, &make->lock, ctx));
	return place_fill(make->partial, NULL, ctx);
}

static enum err store_put(void *arg, struct bytes piece, struct errctx *ctx)
{
	struct make *make = arg;

	TRY(watch_poll(&make->opts->watch, ctx));
	TRY(file_put(&make->file, piece, ctx));
	if (make->total < make->file.size)
		make->total = make->file.size;
	watch_tell(&make->opts->watch, "copy", make->file.size, make->total);
	return OK;
}

static enum err copy_of_store(struct make *make, struct errctx *ctx)
{
	struct manifest_file written;
	char path[PATH_MAX];
	enum err err;

	TRY(files_join(make->partial, manifest_path(MANIFEST_STORE), path, ctx));
	err = file_create(&make->file, path, 0600, ctx);
	if (err == OK)
		err = store_copy(make->opts->store, store_put, make, ctx);
	if (err == OK)
		err = file_close(&make->file, &written, ctx);
	if (err != OK)
		file_abort(&make->file);
	return err;
}

/* The node's own files may be links to where somebody keeps them. */
static enum err copy_of_file(
	struct make *make, const char *from, enum manifest_file_id id, struct errctx *ctx)
{
	struct backup_watch quiet = {.stop = make->opts->watch.stop};
	struct file_owner owner = {0600, geteuid(), getegid()};
	char real[PATH_MAX], to[PATH_MAX], *slash;
	struct manifest_file written;

	if (realpath(from, real) == NULL)
		return files_errno(ctx, errno, "find", from);
	slash = strrchr(real, '/');
	*slash = '\0';

	struct file_source source = {
		real[0] == '\0' ? "/" : real, slash + 1, manifest_size_max(id)};

	TRY(files_join(make->partial, manifest_path(id), to, ctx));
	return file_copy(&source, to, owner, &quiet, &written, ctx);
}

static enum err make_run(struct make *make, struct errctx *ctx)
{
	const struct node_paths *paths = make->opts->paths;
	struct child_opts child = {
		.mode = OFFLINE_COMPLETE,
		.directory = make->partial,
		.more = {"--name", make->opts->node, "--created", make->created},
		.hold = make->lock,
		.watch = &make->opts->watch,
	};
	enum err err;

	/* Before the copy: what is recorded from now on may not be in it. */
	snprintf(make->created, sizeof(make->created), "%llu", (unsigned long long)time(NULL));
	err = copy_of_store(make, ctx);
	if (err == ERR_CORRUPT)
		return err_wrap(ctx, err, "this node's own store is damaged, there is no backup");
	TRY(err);
	TRY(copy_of_file(make, paths->config, MANIFEST_CONFIG, ctx));
	TRY(copy_of_file(make, paths->chain, MANIFEST_CHAIN, ctx));
	TRY(copy_of_file(make, paths->root, MANIFEST_ROOT, ctx));
	TRY(copy_of_file(make, paths->genesis, MANIFEST_GENESIS, ctx));
	err = child_run(&child, ctx);
	if (err == ERR_CORRUPT)
		return err_wrap(ctx, err,
			"the copy is not sound and was not kept: either this node's own store is "
			"damaged, which 'sauti log verify' shows, or the medium is");
	TRY(err);
	TRY(watch_poll(&make->opts->watch, ctx));
	if (rename(make->partial, make->to) != 0)
		return files_errno(ctx, errno, "rename to", make->to);
	return OK;
}

/* What cannot be removed is at least named. */
static enum err make_undo(const struct make *make, enum err err, struct errctx *ctx)
{
	struct errctx said = {""}, why = *ctx;

	if (place_clear(make->partial, &said) == OK)
		return err;
	return err_set(ctx, err, "%.300s (left behind: '%.150s'; remove it)",
		err_message(&why, err), make->partial);
}

enum err backup_make(const struct backup_opts *opts, struct manifest *ret, struct errctx *ctx)
{
	struct make make = {.opts = opts, .lock = -1, .file = {.fd = -1}};
	struct errctx own;
	struct buf text;
	enum err err;

	if (ctx == NULL)
		ctx = &own;
	TRY(place_split(&make, ctx));
	TRY(place_apart(&make, opts->paths->directory, ctx));
	TRY(place_apart(&make, opts->paths->guard, ctx));
	TRY(place_free(&make, ctx));
	TRY(room_check(&make, ctx));
	err = partial_make(&make, ctx);
	if (err == OK)
		err = make_run(&make, ctx);
	if (err != OK && make.lock >= 0)
		err = make_undo(&make, err, ctx);
	if (make.lock >= 0)
		close(make.lock);
	TRY(err);
	TRY(place_sync(make.parent, ctx));
	buf_init(&text, LIMIT_BACKUP_MANIFEST + 1);
	err = backup_manifest(make.to, &text, ret, ctx);
	buf_release(&text);
	return err;
}
