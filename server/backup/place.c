#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "server/backup/internal.h"

/* Every name that a backup being made, a restore, or an interrupted one of these may have left. */
static const char *const names[] = {
	"sauti.conf",
	"certs/node.pem",
	"certs/root.pem",
	"genesis",
	"store/data.mdb",
	STORE_COPY_NEW,
	"store/lock",
	"store/lock.mdb",
	MANIFEST_NAME,
};
static const char *const directories[] = {"certs", "store"};

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

enum err place_sync(const char *path, struct errctx *ctx)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err err = OK;

	if (fd < 0)
		return files_errno(ctx, errno, "open directory", path);
	if (fsync(fd) != 0)
		err = files_errno(ctx, errno, "sync directory", path);
	close(fd);
	return err;
}

enum err place_sync_all(const char *path, struct errctx *ctx)
{
	char below[PATH_MAX];

	for (size_t i = 0; i < COUNT_OF(directories); i++) {
		TRY(files_join(path, directories[i], below, ctx));
		TRY(place_sync(below, ctx));
	}
	return place_sync(path, ctx);
}

/* Still the directory of that name? Whoever had the lock may have removed it before we got it. */
static bool same_directory(const char *path, const struct stat *st)
{
	struct stat now;

	return stat(path, &now) == 0 && now.st_dev == st->st_dev && now.st_ino == st->st_ino;
}

enum err place_lock(const char *path, int *ret_fd, struct errctx *ctx)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	enum err err = OK;

	if (fd < 0)
		return files_errno(ctx, errno, "open directory", path);
	if (fstat(fd, &st) != 0)
		err = files_errno(ctx, errno, "stat", path);
	else if (st.st_uid != geteuid() && geteuid() != 0)
		err = err_set(ctx, ERR_DENIED, "'%s' belongs to another user (%u)", path,
			(unsigned)st.st_uid);
	else if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		err = errno == EWOULDBLOCK ? ERR_BUSY : files_errno(ctx, errno, "lock", path);
	else if (!same_directory(path, &st))
		err = ERR_BUSY;
	if (err == ERR_BUSY)
		err_set(ctx, err, "another backup or restore is at work in '%s'", path);
	if (err != OK) {
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return OK;
}

enum err place_fill(const char *path, const struct file_owner *owner, struct errctx *ctx)
{
	char below[PATH_MAX];

	for (size_t i = 0; i < COUNT_OF(directories); i++) {
		TRY(files_join(path, directories[i], below, ctx));
		if (mkdir(below, 0700) != 0)
			return files_errno(ctx, errno, "make directory", below);
		if (owner != NULL && geteuid() == 0 && chown(below, owner->uid, owner->gid) != 0)
			return files_errno(ctx, errno, "set the owner of", below);
	}
	return OK;
}

enum err place_clear(const char *path, struct errctx *ctx)
{
	char below[PATH_MAX];

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		TRY(files_join(path, names[i], below, ctx));
		if (unlink(below) != 0 && errno != ENOENT && errno != ENOTDIR)
			return files_errno(ctx, errno, "remove", below);
	}
	for (size_t i = 0; i < COUNT_OF(directories); i++) {
		TRY(files_join(path, directories[i], below, ctx));
		if (rmdir(below) != 0 && errno != ENOENT)
			return files_errno(ctx, errno, "remove directory", below);
	}
	if (rmdir(path) != 0)
		return files_errno(ctx, errno, "remove directory", path);
	return OK;
}

enum err place_room(const char *path, uint64_t bytes, struct errctx *ctx)
{
	struct statvfs fs;
	uint64_t free_bytes;

	if (statvfs(path, &fs) != 0)
		return files_errno(ctx, errno, "look at the file system of", path);
	/* Root may use the reserved blocks too. */
	free_bytes = (uint64_t)(geteuid() == 0 ? fs.f_bfree : fs.f_bavail) * fs.f_frsize;
	if (free_bytes >= bytes)
		return OK;
	return err_set(ctx, ERR_FULL,
		"it takes about %" PRIu64 " MB, and '%s' has %" PRIu64
		" MB free: make room, or name "
		"another place",
		bytes / 1000000 + 1, path, free_bytes / 1000000);
}

bool place_inside(const char *path, const char *of)
{
	size_t size = strlen(of);

	return strncmp(path, of, size) == 0 &&
	       (path[size] == '\0' || path[size] == '/' || (size > 0 && of[size - 1] == '/'));
}

enum err place_owner(const char *path, struct file_owner *ret, struct errctx *ctx)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return files_errno(ctx, errno, "stat", path);
	*ret = (struct file_owner){0600, st.st_uid, st.st_gid};
	return OK;
}
