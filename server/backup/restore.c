/*
 * backup_restore, the happy path:
 *
 *	1. the target is missing or empty, or holds nothing but keys (keep_keys)
 *	2. a child verifies the backup; the keys that stay are of its node; there is room
 *	3. the files are copied into TARGET/restoring, hashed against the manifest, synced
 *	4. a child verifies what is there now
 *	5. genesis, certs and store are moved up, synced; then sauti.conf, synced: with it, and not
 *	   before, the directory is a node that sautid starts; `restoring` is removed
 *
 * Inside the target, not beside it: the target may be a disk of its own, or in a directory that its
 * owner may not write. Nothing that is there is ever replaced or removed: a move fails where
 * something stands.
 *
 * kill -9 before the moves leaves `restoring`, which the next restore removes. Between the moves it
 * leaves part of the node and `restoring/BACKUP`: the next restore of the same backup goes on
 * there; any other is refused. After them it may leave `restoring` empty: the same.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certs/keystore.h"
#include "node/config.h"
#include "server/backup/internal.h"
#include "server/backup/offline.h"

enum { ROOM_BESIDES = 16 * 1024 * 1024 };

/* What is moved up, in this order. */
static const char *const moved[] = {"genesis", "certs", "store", "sauti.conf"};
static const char *const kept[] = {"keys", "keyring", "mail", "ca", "run"};

enum { MOVED = sizeof(moved) / sizeof(moved[0]), KEPT = sizeof(kept) / sizeof(kept[0]) };

struct restore {
	const struct restore_opts *opts;
	struct restore_result *result;
	char staging[PATH_MAX];
	struct buf text;               /* of the backup's BACKUP */
	bool exists, has_keys, staged; /* the target as it is found */
	bool has_moved;
	char other[256]; /* the first name that is none of ours; "" */
	char found[256]; /* names of moved, for a message */
	int lock;        /* on the target */
};

void restore_result_release(struct restore_result *result)
{
	manifest_release(&result->manifest);
}

static bool name_in(const char *name, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, list[i]) == 0)
			return true;
	return false;
}

static void name_note(struct restore *restore, const char *name)
{
	size_t at = strlen(restore->found);

	if (name_in(name, kept, KEPT)) {
		restore->has_keys |= strcmp(name, "run") != 0;
		return;
	}
	if (strcmp(name, RESTORING) == 0) {
		restore->staged = true;
		return;
	}
	if (name_in(name, moved, MOVED)) {
		restore->has_moved = true;
		snprintf(restore->found + at, sizeof(restore->found) - at, "%s%s",
			at > 0 ? ", " : "", name);
	} else if (restore->other[0] == '\0') {
		snprintf(restore->other, sizeof(restore->other), "%.200s", name);
	}
}

static enum err target_read(struct restore *restore, struct errctx *ctx)
{
	const char *path = restore->result->to;
	DIR *dir = opendir(path);

	if (dir == NULL && errno == ENOENT)
		return OK;
	if (dir == NULL)
		return errno == ENOTDIR
			       ? err_set(ctx, ERR_EXISTS, "'%s' is there and is no directory", path)
			       : files_errno(ctx, errno, "open directory", path);
	restore->exists = true;
	for (struct dirent *item = readdir(dir); item != NULL; item = readdir(dir))
		if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0)
			name_note(restore, item->d_name);
	closedir(dir);
	return OK;
}

/* Only what an interrupted restore has moved there itself may be there, and keys on request. */
static enum err target_judge(const struct restore *restore, struct errctx *ctx)
{
	const char *path = restore->result->to;

	if (restore->other[0] != '\0')
		return err_set(ctx, ERR_EXISTS,
			"'%s' is not empty: it holds '%s'; a backup is restored into an empty "
			"directory only",
			path, restore->other);
	if (restore->has_moved && !restore->staged)
		return err_set(ctx, ERR_EXISTS,
			"'%s' holds a node, or parts of one (%s): move them to another place "
			"first, then restore with --keep-keys; nothing is ever overwritten",
			path, restore->found);
	if (restore->has_keys && !restore->opts->keep_keys)
		return err_set(ctx, ERR_EXISTS,
			"'%s' holds keys: say --keep-keys to restore the rest around them, or "
			"name an empty directory",
			path);
	if (!restore->has_keys && restore->opts->keep_keys)
		return err_set(ctx, ERR_NOTFOUND, "--keep-keys: there are no keys in '%s'", path);
	return OK;
}

static enum err places_find(struct restore *restore, struct errctx *ctx)
{
	struct restore_result *result = restore->result;
	char here[PATH_MAX];

	if (realpath(restore->opts->from, result->from) == NULL)
		return files_errno(ctx, errno, "open backup", restore->opts->from);
	if (realpath(restore->opts->to, result->to) == NULL) {
		if (errno != ENOENT)
			return files_errno(ctx, errno, "look at", restore->opts->to);
		/* It is made later, as it is named. */
		if (getcwd(here, sizeof(here)) == NULL)
			return files_errno(ctx, errno, "find", ".");
		TRY(files_join(here, restore->opts->to, result->to, ctx));
	}
	if (place_inside(result->to, result->from))
		return err_set(ctx, ERR_INVALID, "'%s' is inside the backup", result->to);
	if (place_inside(result->from, result->to))
		return err_set(ctx, ERR_INVALID,
			"the backup is inside '%s': move it out, the directory must be empty",
			result->to);
	return files_join(result->to, RESTORING, restore->staging, ctx);
}

/* The keys that stay must be this node's: others could not go on with its certificates. */
static enum err keys_check(const struct restore *restore, struct errctx *ctx)
{
	const struct manifest *manifest = &restore->result->manifest;
	struct boot_keys boot = {0};
	struct node_paths paths;
	struct buf file;
	enum err err;

	TRY(files_paths(restore->result->to, &paths, ctx));
	buf_init(&file, LIMIT_KEYSTORE_SIZE + 1);
	err = files_read_private(paths.boot, LIMIT_KEYSTORE_SIZE, &file, ctx);
	if (err == OK) {
		err = boot_keys_read(buf_bytes(&file), &boot, ctx);
		if (err != OK)
			err_wrap(ctx, err, "'%s'", paths.boot);
	}
	buf_wipe(&file);
	if (err == OK && (strcmp(boot.node, manifest->node) != 0 ||
				 strcmp(boot.network, manifest->network) != 0))
		err = err_set(ctx, ERR_INVALID,
			"'%s' holds the keys of '%s' in '%s', the backup is of '%s' in '%s'",
			paths.boot, boot.node, boot.network, manifest->node, manifest->network);
	boot_keys_release(&boot);
	return err;
}

/* What the operator has to look at: the file says where the node's data is. */
static void config_check(struct restore *restore)
{
	struct restore_result *result = restore->result;
	struct node_config config = {0};
	struct errctx said = {""};
	char from[PATH_MAX], file[PATH_MAX];
	struct buf text;
	enum err err;

	buf_init(&text, LIMIT_CONFIG_SIZE + 1);
	err = files_join(result->from, manifest_path(MANIFEST_CONFIG), from, &said);
	if (err == OK)
		err = files_join(result->to, manifest_path(MANIFEST_CONFIG), file, &said);
	if (err == OK)
		err = files_read(from, LIMIT_CONFIG_SIZE, &text, &said);
	if (err == OK)
		err = config_parse(buf_bytes(&text), file, &config, &said);
	if (err != OK)
		snprintf(result->config, sizeof(result->config), "%s", err_message(&said, err));
	else if (strcmp(config.directory, result->to) != 0)
		snprintf(result->config, sizeof(result->config),
			"sauti.conf says that the node's data is in '%.150s', not in '%.150s': "
			"change [node] directory before you start it",
			config.directory, result->to);
	if (err == OK)
		config_release(&config);
	buf_release(&text);
}

static uint64_t bytes_needed(const struct manifest *manifest)
{
	uint64_t bytes = ROOM_BESIDES;

	for (size_t i = 0; i < MANIFEST_FILES; i++)
		bytes += manifest->files[i].size;
	return bytes;
}

/* The file system that the target is, or will be, on. */
static enum err room_check(const struct restore *restore, struct errctx *ctx)
{
	char path[PATH_MAX], *slash;

	strcpy(path, restore->result->to);
	while (!files_exist(path)) {
		slash = strrchr(path, '/');
		if (slash == NULL || slash == path)
			strcpy(path, slash == NULL ? "." : "/");
		else
			*slash = '\0';
	}
	return place_room(path, bytes_needed(&restore->result->manifest), ctx);
}

/* What an interrupted restore has left. */

static enum err staging_text(const struct restore *restore, struct buf *ret, struct errctx *ctx)
{
	char path[PATH_MAX];

	TRY(files_join(restore->staging, MANIFEST_NAME, path, ctx));
	return files_read(path, LIMIT_BACKUP_MANIFEST, ret, ctx);
}

/* Without `restoring/BACKUP`, which goes last: all of it was moved up, and is as it was. */
static enum err moved_check(const struct restore *restore, struct errctx *ctx)
{
	const struct restore_result *result = restore->result;

	for (unsigned id = 0; id < MANIFEST_FILES; id++) {
		struct file_source source = {result->to, manifest_path((enum manifest_file_id)id),
			manifest_size_max((enum manifest_file_id)id)};
		struct manifest_file found;

		TRY(file_read(&source, &restore->opts->watch, NULL, NULL, &found, ctx));
		if (!file_equal(&found, &result->manifest.files[id]))
			return ERR_EXISTS;
	}
	return OK;
}

/* Is what was moved up, and what is still in `restoring`, of this very backup? */
static enum err resume_check(const struct restore *restore, struct errctx *ctx)
{
	struct buf text;
	enum err err;

	buf_init(&text, LIMIT_BACKUP_MANIFEST + 1);
	err = staging_text(restore, &text, ctx);
	if (err == ERR_NOTFOUND)
		err = moved_check(restore, ctx);
	else if (err == OK && !bytes_equal(buf_bytes(&text), buf_bytes(&restore->text)))
		err = ERR_EXISTS;
	buf_release(&text);
	if (err == OK || err == ERR_CANCELED)
		return err;
	return err_set(ctx, ERR_EXISTS,
		"'%s' holds what an interrupted restore of another backup left: restore that one "
		"again, which brings it to its end, or move all of it away",
		restore->result->to);
}

/* Copying. */

static enum err file_restore(const struct restore *restore, enum manifest_file_id id,
	struct file_owner owner, struct errctx *ctx)
{
	const struct manifest_file *expected = &restore->result->manifest.files[id];
	struct file_source source = {
		restore->result->from, manifest_path(id), manifest_size_max(id)};
	struct manifest_file written;
	char to[PATH_MAX];

	owner.mode = id == MANIFEST_GENESIS || id == MANIFEST_STORE ? 0600 : 0644;
	TRY(files_join(restore->staging, manifest_path(id), to, ctx));
	TRY(file_copy(&source, to, owner, &restore->opts->watch, &written, ctx));
	if (file_equal(&written, expected))
		return OK;
	return err_set(ctx, ERR_CORRUPT, "'%s/%s' is not what it was a moment ago",
		source.directory, source.path);
}

/* As it was read before: the copy is verified against what was verified. */
static enum err manifest_restore(const struct restore *restore, struct errctx *ctx)
{
	struct manifest_file written;
	struct file file = {.fd = -1};
	char to[PATH_MAX];
	enum err err;

	TRY(files_join(restore->staging, MANIFEST_NAME, to, ctx));
	err = file_create(&file, to, 0600, ctx);
	if (err == OK)
		err = file_put(&file, buf_bytes(&restore->text), ctx);
	if (err == OK)
		err = file_close(&file, &written, ctx);
	if (err != OK)
		file_abort(&file);
	return err;
}

static enum err staging_make(struct restore *restore, struct file_owner *owner, struct errctx *ctx)
{
	TRY(place_owner(restore->result->to, owner, ctx));
	if (restore->staged)
		TRY(place_clear(restore->staging, ctx));
	if (mkdir(restore->staging, 0700) != 0)
		return files_errno(ctx, errno, "make directory", restore->staging);
	return place_fill(restore->staging, owner, ctx);
}

/* In a child, which reads only: it need not hold the lock. */
static enum err verify_at(const struct restore *restore, const char *directory, struct errctx *ctx)
{
	struct child_opts child = {
		.mode = OFFLINE_VERIFY,
		.directory = directory,
		.hold = -1,
		.watch = &restore->opts->watch,
	};

	return child_run(&child, ctx);
}

static enum err staging_fill(struct restore *restore, struct errctx *ctx)
{
	struct file_owner owner;
	enum err err = staging_make(restore, &owner, ctx);

	for (unsigned id = 0; id < MANIFEST_FILES && err == OK; id++)
		err = file_restore(restore, (enum manifest_file_id)id, owner, ctx);
	if (err == OK)
		err = manifest_restore(restore, ctx);
	if (err == OK)
		err = place_sync_all(restore->staging, ctx);
	if (err == OK)
		err = place_sync(restore->result->to, ctx);
	if (err == OK)
		err = verify_at(restore, restore->staging, ctx);
	return err;
}

/* Moving. */

/* Never onto something: also where another process has put it there just now. */
static enum err move_up(const struct restore *restore, const char *name, struct errctx *ctx)
{
	char from[PATH_MAX], to[PATH_MAX];

	TRY(files_join(restore->staging, name, from, ctx));
	TRY(files_join(restore->result->to, name, to, ctx));
	if (restore->has_moved && !files_exist(from) && files_exist(to))
		return OK; /* by the restore that was interrupted */
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return OK;
	/* Not every file system can promise that itself. */
	if (errno == EINVAL && !files_exist(to) && rename(from, to) == 0)
		return OK;
	return files_errno(ctx, errno, "move into place", to);
}

static enum err staging_move(const struct restore *restore, struct errctx *ctx)
{
	for (size_t i = 0; i < MOVED; i++) {
		/* What makes it a node comes when all else is on the medium. */
		if (i == MOVED - 1)
			TRY(place_sync(restore->result->to, ctx));
		TRY(move_up(restore, moved[i], ctx));
	}
	TRY(place_sync(restore->result->to, ctx));
	TRY(place_clear(restore->staging, ctx));
	return place_sync(restore->result->to, ctx);
}

static enum err restore_undo(const struct restore *restore, enum err err, struct errctx *ctx)
{
	struct errctx said = {""}, why = *ctx;

	if (!files_exist(restore->staging) || place_clear(restore->staging, &said) == OK) {
		if (!restore->exists)
			rmdir(restore->result->to);
		return err;
	}
	return err_set(ctx, err, "%.300s (left behind: '%.150s'; remove it)",
		err_message(&why, err), restore->staging);
}

/* Ours alone from here on, and looked at once more: another restore may have been at it. */
static enum err target_take(struct restore *restore, struct errctx *ctx)
{
	bool existed = restore->exists, had_moved = restore->has_moved;

	TRY(files_mkdir(restore->result->to, ctx));
	TRY(place_lock(restore->result->to, &restore->lock, ctx));
	restore->has_keys = restore->staged = restore->has_moved = false;
	restore->other[0] = restore->found[0] = '\0';
	TRY(target_read(restore, ctx));
	restore->exists = existed;
	TRY(target_judge(restore, ctx));
	if (restore->has_moved == had_moved)
		return OK;
	return err_set(ctx, ERR_BUSY, "'%s' has just been changed by another program",
		restore->result->to);
}

static enum err restore_write(struct restore *restore, struct errctx *ctx)
{
	enum err err;

	TRY(target_take(restore, ctx));
	if (restore->has_moved) {
		restore->result->finished = true;
		return staging_move(restore, ctx);
	}
	err = staging_fill(restore, ctx);
	if (err != OK)
		return restore_undo(restore, err, ctx);
	/* From the first move on nothing is taken back: the same command goes on. */
	return staging_move(restore, ctx);
}

static enum err restore_run(struct restore *restore, struct errctx *ctx)
{
	struct restore_result *result = restore->result;

	TRY(places_find(restore, ctx));
	TRY(target_read(restore, ctx));
	TRY(target_judge(restore, ctx));
	TRY(backup_manifest(result->from, &restore->text, &result->manifest, ctx));
	if (restore->has_moved)
		TRY(resume_check(restore, ctx));
	if (restore->opts->keep_keys)
		TRY(keys_check(restore, ctx));
	TRY(verify_at(restore, result->from, ctx));
	if (!restore->has_moved)
		TRY(room_check(restore, ctx));
	config_check(restore);
	return restore->opts->dry_run ? OK : restore_write(restore, ctx);
}

enum err backup_restore(
	const struct restore_opts *opts, struct restore_result *ret, struct errctx *ctx)
{
	struct restore restore = {.opts = opts, .result = ret, .lock = -1};
	struct errctx own;
	enum err err;

	*ret = (struct restore_result){.finished = false};
	buf_init(&restore.text, LIMIT_BACKUP_MANIFEST + 1);
	err = restore_run(&restore, ctx != NULL ? ctx : &own);
	if (restore.lock >= 0)
		close(restore.lock);
	buf_release(&restore.text);
	if (err != OK)
		restore_result_release(ret);
	return err;
}
