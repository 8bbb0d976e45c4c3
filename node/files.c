#include "node/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum err files_errno(struct errctx *ctx, int error, const char *what, const char *path)
{
	enum err code = ERR_IO;

	switch (error) {
	case ENOENT:
	case ENOTDIR:
		code = ERR_NOTFOUND;
		break;
	case EACCES:
	case EPERM:
	case EROFS:
		code = ERR_DENIED;
		break;
	case EEXIST:
	case ENOTEMPTY:
		code = ERR_EXISTS;
		break;
	case ENOSPC:
	case EDQUOT:
		code = ERR_FULL;
		break;
	case ENAMETOOLONG:
		code = ERR_LIMIT;
		break;
	case ENOMEM:
		code = ERR_NOMEM;
		break;
	default:
		break;
	}
	return err_set(ctx, code, "%s '%s': %s", what, path, strerror(error));
}

enum err files_join(const char *a, const char *b, char *ret, struct errctx *ctx)
{
	char path[PATH_MAX];
	size_t size = strlen(a);
	const char *slash = size != 0 && a[size - 1] == '/' ? "" : "/";
	int n;

	if (b[0] == '/')
		n = snprintf(path, sizeof(path), "%s", b);
	else
		n = snprintf(path, sizeof(path), "%s%s%s", a, slash, b);
	if (n < 0 || (size_t)n >= sizeof(path))
		return err_set(ctx, ERR_LIMIT, "path too long: %.100s..", b[0] == '/' ? b : a);
	memcpy(ret, path, (size_t)n + 1);
	return OK;
}

enum err files_paths(const char *directory, struct node_paths *ret, struct errctx *ctx)
{
	struct node_paths paths = {0};
	const struct {
		const char *name;
		char *path;
	} all[] = {
		{"sauti.conf", paths.config},
		{"keys/boot", paths.boot},
		{"keys/keystore", paths.keystore},
		{"keys/joining", paths.joining},
		{"certs/node.pem", paths.chain},
		{"certs/root.pem", paths.root},
		{"genesis", paths.genesis},
		{"store", paths.store},
		{"keyring", paths.keyring},
		{"mail", paths.mail},
		{"drafts", paths.drafts},
		{"run/control.sock", paths.socket},
	};

	if (directory[0] == '\0')
		return err_set(ctx, ERR_INVALID, "the data directory has no name");
	if (strlen(directory) >= sizeof(paths.directory))
		return err_set(ctx, ERR_LIMIT, "path too long: %.100s..", directory);
	strcpy(paths.directory, directory);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		TRY(files_join(directory, all[i].name, all[i].path, ctx));
	*ret = paths;
	return OK;
}

/* One reservation for the whole file: growing would leave copies of keys behind. */
enum err files_read_fd(int fd, const char *path, size_t size, struct buf *out, struct errctx *ctx)
{
	uint8_t *room = buf_reserve(out, size + 1);
	size_t total = 0;

	if (room == NULL)
		return err_set(ctx, out->err, "read '%s': %s", path, err_text(out->err));
	while (total <= size) {
		ssize_t n = read(fd, room + total, size + 1 - total);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return files_errno(ctx, errno, "read", path);
		if (n == 0)
			break;
		total += (size_t)n;
	}
	if (total != size)
		return err_set(ctx, ERR_IO, "'%s' changed while it was read", path);
	out->size += size;
	return OK;
}

/* Whoever owns it may still write it, so the owner must be us or root. */
static enum err check_private(const struct stat *st, const char *path, struct errctx *ctx)
{
	if ((st->st_mode & 077) != 0)
		return err_set(ctx, ERR_DENIED,
			"'%s' holds keys, and its mode %04o lets others at it: chmod 600 it", path,
			(unsigned)(st->st_mode & 07777));
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return err_set(ctx, ERR_DENIED, "'%s' holds keys and belongs to another user (%u)",
			path, (unsigned)st->st_uid);
	return OK;
}

static enum err read_file(
	const char *path, size_t max, bool private_file, struct buf *out, struct errctx *ctx)
{
	/* O_NONBLOCK: a FIFO in place of the file must not hang us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	enum err err = OK;

	if (fd < 0)
		return files_errno(ctx, errno, "open", path);
	if (fstat(fd, &st) != 0)
		err = files_errno(ctx, errno, "stat", path);
	else if (!S_ISREG(st.st_mode))
		err = err_set(ctx, ERR_INVALID, "'%s' is not a regular file", path);
	else if (private_file)
		err = check_private(&st, path, ctx);
	if (err == OK && (uint64_t)st.st_size > max)
		err = err_set(ctx, ERR_LIMIT, "read '%s': larger than %zu bytes", path, max);
	if (err == OK)
		err = files_read_fd(fd, path, (size_t)st.st_size, out, ctx);
	close(fd);
	return err;
}

enum err files_read(const char *path, size_t max, struct buf *out, struct errctx *ctx)
{
	return read_file(path, max, false, out, ctx);
}

enum err files_read_private(const char *path, size_t max, struct buf *out, struct errctx *ctx)
{
	return read_file(path, max, true, out, ctx);
}

static enum err write_all(int fd, struct bytes data, const char *path, struct errctx *ctx)
{
	while (data.size > 0) {
		ssize_t n = write(fd, data.data, data.size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return files_errno(ctx, errno, "write", path);
		data.data += n;
		data.size -= (size_t)n;
	}
	return OK;
}

static enum err sync_parent(const char *path, struct errctx *ctx)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');
	enum err err = OK;
	int fd;

	if (slash == NULL)
		strcpy(parent, ".");
	else if (slash == path)
		strcpy(parent, "/");
	else
		snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return files_errno(ctx, errno, "open directory", parent);
	if (fsync(fd) != 0)
		err = files_errno(ctx, errno, "sync directory", parent);
	close(fd);
	return err;
}

static enum err write_temporary(
	const char *temporary, struct bytes data, mode_t mode, struct errctx *ctx)
{
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	enum err err;

	if (fd < 0)
		return files_errno(ctx, errno, "create", temporary);
	err = write_all(fd, data, temporary, ctx);
	if (err == OK && fchmod(fd, mode) != 0)
		err = files_errno(ctx, errno, "set the mode of", temporary);
	if (err == OK && fsync(fd) != 0)
		err = files_errno(ctx, errno, "sync", temporary);
	if (close(fd) != 0 && err == OK)
		err = files_errno(ctx, errno, "close", temporary);
	return err;
}

enum err files_write(const char *path, struct bytes data, mode_t mode, struct errctx *ctx)
{
	char temporary[PATH_MAX];
	enum err err;
	int n = snprintf(temporary, sizeof(temporary), "%s.tmp", path);

	if (n < 0 || (size_t)n >= sizeof(temporary))
		return err_set(ctx, ERR_LIMIT, "path too long: %.100s..", path);
	/* What an interrupted write left. Never followed, never shared: just removed. */
	if (unlink(temporary) != 0 && errno != ENOENT)
		return files_errno(ctx, errno, "remove", temporary);
	err = write_temporary(temporary, data, mode, ctx);
	if (err == OK && rename(temporary, path) != 0)
		err = files_errno(ctx, errno, "rename to", path);
	if (err != OK) {
		unlink(temporary);
		return err;
	}
	return sync_parent(path, ctx);
}

static enum err make_one(const char *path, struct errctx *ctx)
{
	struct stat st;

	if (mkdir(path, 0700) == 0)
		return sync_parent(path, ctx);
	if (errno != EEXIST)
		return files_errno(ctx, errno, "make directory", path);
	if (stat(path, &st) != 0)
		return files_errno(ctx, errno, "stat", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(ctx, ERR_EXISTS, "'%s' is there and is no directory", path);
	return OK;
}

enum err files_mkdir(const char *path, struct errctx *ctx)
{
	char part[PATH_MAX];
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return OK;
	if (strlen(path) >= sizeof(part))
		return err_set(ctx, ERR_LIMIT, "path too long: %.100s..", path);
	strcpy(part, path);
	for (char *at = part + 1; *at != '\0'; at++) {
		if (*at != '/' || at[-1] == '/')
			continue;
		*at = '\0';
		TRY(make_one(part, ctx));
		*at = '/';
	}
	return make_one(part, ctx);
}

enum err files_dir_empty(const char *path, bool *ret, struct errctx *ctx)
{
	DIR *dir = opendir(path);
	bool empty = true;

	if (dir == NULL && errno == ENOENT) {
		*ret = true;
		return OK;
	}
	if (dir == NULL)
		return errno == ENOTDIR
			       ? err_set(ctx, ERR_EXISTS, "'%s' is there and is no directory", path)
			       : files_errno(ctx, errno, "open directory", path);
	for (struct dirent *item = readdir(dir); item != NULL; item = readdir(dir)) {
		if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0)
			empty = false;
	}
	closedir(dir);
	*ret = empty;
	return OK;
}

bool files_exist(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

enum err files_remove(const char *path, struct errctx *ctx)
{
	if (unlink(path) != 0) {
		if (errno == ENOENT)
			return OK;
		return files_errno(ctx, errno, "remove", path);
	}
	return sync_parent(path, ctx);
}
