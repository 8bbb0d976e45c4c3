#include "server/export/destination.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "node/files.h"

struct destination {
	char path[PATH_MAX];
	int directory, mark; /* file descriptors, or -1 */
};

enum err destination_publish(int fd, unsigned mode, const char *path, struct errctx *ctx)
{
	if (fchmod(fd, mode) == 0 || errno == EPERM || errno == ENOTSUP)
		return OK;
	return files_errno(ctx, errno, "set the mode of", path);
}

enum err destination_step(
	int parent, const char *name, bool make, const char *path, int *ret_fd, struct errctx *ctx)
{
	bool made = make && mkdirat(parent, name, 0700) == 0;
	enum err err = OK;
	int fd;

	if (make && !made && errno != EEXIST)
		return files_errno(ctx, errno, "make directory", path);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return err_set(ctx, ERR_EXISTS, "'%s' is there and is no directory", path);
	if (fd < 0)
		return files_errno(ctx, errno, "open directory", path);
	if (made)
		err = destination_publish(fd, 0755, path, ctx);
	if (err != OK) {
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return OK;
}

/* Made if its parent is there: a mistyped path must not become a chain of directories. */
static enum err make_last(const char *path, struct errctx *ctx)
{
	enum err err = OK;
	int fd;

	if (mkdir(path, 0700) != 0)
		return errno == EEXIST ? OK : files_errno(ctx, errno, "make directory", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return files_errno(ctx, errno, "open directory", path);
	err = destination_publish(fd, 0755, path, ctx);
	close(fd);
	return err;
}

/* Is the directory `inner` the directory `outer`, or below it? By what they are, not by name. */
static bool is_inside(const char *inner, const char *outer)
{
	char a[PATH_MAX], b[PATH_MAX];
	size_t size;

	if (realpath(inner, a) == NULL || realpath(outer, b) == NULL)
		return false;
	size = strlen(b);
	return strncmp(a, b, size) == 0 && (a[size] == '\0' || a[size] == '/');
}

/* Looks at what is there before anything is made. */
static enum err check_path(const char *path, const char *own, struct errctx *ctx)
{
	char parent[PATH_MAX], *slash;

	if (path[0] != '/')
		return err_set(ctx, ERR_INVALID, "'%s' is not an absolute path", path);
	if (strlen(path) >= sizeof(parent))
		return err_set(ctx, ERR_LIMIT, "path too long: %.100s..", path);
	strcpy(parent, path);
	for (size_t size = strlen(parent); size > 1 && parent[size - 1] == '/'; size--)
		parent[size - 1] = '\0';
	slash = strrchr(parent, '/');
	if (!is_inside(path, own)) {
		*(slash == parent ? slash + 1 : slash) = '\0';
		if (!is_inside(parent, own))
			return OK;
	}
	return err_set(ctx, ERR_INVALID,
		"'%s' is inside the node's own directory '%s': what is exported is to be "
		"published; give another directory",
		path, own);
}

/* Empty but for what a file system puts into its root. */
static enum err check_empty(const char *path, struct errctx *ctx)
{
	DIR *dir = opendir(path);
	bool empty = true;

	if (dir == NULL)
		return files_errno(ctx, errno, "open directory", path);
	for (struct dirent *item = readdir(dir); item != NULL; item = readdir(dir))
		empty &= strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0 ||
			 strcmp(item->d_name, "lost+found") == 0;
	closedir(dir);
	if (empty)
		return OK;
	return err_set(ctx, ERR_EXISTS,
		"'%s' is not empty and holds no exports (there is no %s in it): give a new or an "
		"empty directory",
		path, DESTINATION_MARK);
}

static enum err mark_check(struct destination *d, struct errctx *ctx)
{
	char text[sizeof(DESTINATION_MARK_TEXT)] = "";
	const ssize_t whole = (ssize_t)sizeof(text) - 1;
	ssize_t size = pread(d->mark, text, sizeof(text) - 1, 0);

	if (size < 0)
		return files_errno(ctx, errno, "read " DESTINATION_MARK " of", d->path);
	if (size > 0 && strcmp(text, DESTINATION_MARK_TEXT) != 0)
		return err_set(ctx, ERR_VERSION,
			"'%s/%s' is not of this version of Sauti: export to another directory, or "
			"with the version that made it",
			d->path, DESTINATION_MARK);
	if (size > 0)
		return OK;
	/* Ours, or one that was being made when the power failed. */
	errno = ENOSPC; /* should less be written */
	if (pwrite(d->mark, DESTINATION_MARK_TEXT, (size_t)whole, 0) != whole ||
		fsync(d->mark) != 0 || fsync(d->directory) != 0)
		return files_errno(ctx, errno, "write " DESTINATION_MARK " in", d->path);
	return destination_publish(d->mark, 0644, d->path, ctx);
}

static enum err mark_open(struct destination *d, struct errctx *ctx)
{
	int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	struct stat st;

	d->mark = openat(d->directory, DESTINATION_MARK, flags);
	if (d->mark < 0 && errno == ENOENT) {
		TRY(check_empty(d->path, ctx));
		d->mark = openat(d->directory, DESTINATION_MARK, flags | O_CREAT, 0600);
	}
	if (d->mark < 0)
		return files_errno(ctx, errno, "open " DESTINATION_MARK " in", d->path);
	if (fstat(d->mark, &st) != 0 || !S_ISREG(st.st_mode))
		return err_set(ctx, ERR_EXISTS, "'%s/%s' is not a file", d->path, DESTINATION_MARK);
	if (flock(d->mark, LOCK_EX | LOCK_NB) == 0)
		return OK;
	if (errno == EWOULDBLOCK)
		return err_set(ctx, ERR_BUSY,
			"another export is writing to '%s': wait until it is done", d->path);
	return files_errno(ctx, errno, "lock " DESTINATION_MARK " in", d->path);
}

enum err destination_open(
	const char *path, const char *own, struct destination **ret, struct errctx *ctx)
{
	struct destination *d;
	enum err err;

	TRY(check_path(path, own, ctx));
	d = mem_zalloc(sizeof(*d));
	if (d == NULL)
		return ERR_NOMEM;
	strcpy(d->path, path);
	d->directory = d->mark = -1;
	err = make_last(path, ctx);
	if (err == OK) {
		d->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (d->directory < 0)
			err = errno == ENOTDIR ? err_set(ctx, ERR_EXISTS,
							 "'%s' is there and is no directory", path)
					       : files_errno(ctx, errno, "open directory", path);
	}
	if (err == OK)
		err = mark_open(d, ctx);
	if (err == OK)
		err = mark_check(d, ctx);
	if (err != OK) {
		destination_close(d);
		return err;
	}
	*ret = d;
	return OK;
}

void destination_close(struct destination *destination)
{
	if (destination == NULL)
		return;
	if (destination->mark >= 0)
		close(destination->mark);
	if (destination->directory >= 0)
		close(destination->directory);
	mem_free(destination);
}

const char *destination_path(const struct destination *destination)
{
	return destination->path;
}

int destination_fd(const struct destination *destination)
{
	return destination->directory;
}
