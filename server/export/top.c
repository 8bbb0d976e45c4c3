#include "server/export/top.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "node/files.h"

enum { NAME_SIZE = 32, WHAT_SIZE = 80 };

static int open_file(const struct destination *destination, const char *name)
{
	return openat(destination_fd(destination), name,
		O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
}

static enum err top_errno(const struct destination *destination, const char *verb, const char *name,
	struct errctx *ctx)
{
	int error = errno;
	char what[WHAT_SIZE];

	snprintf(what, sizeof(what), "%s %s in", verb, name);
	return files_errno(ctx, error, what, destination_path(destination));
}

/* ---- reading ---- */

static enum err read_size(int fd, size_t size, struct buf *out)
{
	uint8_t *room = buf_reserve(out, size);
	size_t total = 0;

	errno = ENOMEM;
	if (room == NULL)
		return out->err;
	while (total < size) {
		ssize_t n = read(fd, room + total, size - total);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO; /* it became shorter */
		if (n <= 0)
			return ERR_IO;
		total += (size_t)n;
	}
	out->size += size;
	return OK;
}

enum err top_read(const struct destination *destination, const char *name, size_t max,
	struct buf *out, struct errctx *ctx)
{
	const char *path = destination_path(destination);
	int fd = open_file(destination, name);
	struct stat st = {.st_mode = S_IFLNK};
	enum err err;

	if (fd < 0 && errno == ENOENT)
		return OK;
	if (fd < 0 && errno != ELOOP)
		return top_errno(destination, "open", name, ctx);
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		err = err_set(ctx, ERR_EXISTS, "'%s/%s' is there and is no file", path, name);
	else if ((uint64_t)st.st_size > max)
		err = err_set(ctx, ERR_LIMIT, "'%s/%s' is larger than %zu bytes", path, name, max);
	else
		err = read_size(fd, (size_t)st.st_size, out);
	if (err == ERR_IO)
		err = top_errno(destination, "read", name, ctx);
	if (fd >= 0)
		close(fd);
	return err;
}

/* ---- writing ---- */

static bool is_there(const struct destination *destination, const char *name, struct bytes data)
{
	int fd = open_file(destination, name);
	char *there = mem_zalloc(data.size + 1);
	bool same = fd >= 0 && there != NULL &&
		    read(fd, there, data.size + 1) == (ssize_t)data.size &&
		    memcmp(there, data.data, data.size) == 0;

	if (fd >= 0)
		close(fd);
	mem_free(there);
	return same;
}

static enum err write_new(const struct destination *destination, const char *new, struct bytes data,
	struct errctx *ctx)
{
	int directory = destination_fd(destination), fd;
	bool written;
	enum err err;

	if (unlinkat(directory, new, 0) != 0 && errno != ENOENT)
		return top_errno(destination, "remove", new, ctx);
	fd = openat(directory, new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return top_errno(destination, "create", new, ctx);
	errno = ENOSPC; /* should less be written */
	written = write(fd, data.data, data.size) == (ssize_t)data.size && fsync(fd) == 0;
	err = written ? destination_publish(fd, 0644, destination_path(destination), ctx)
		      : top_errno(destination, "write", new, ctx);
	if (close(fd) != 0 && err == OK)
		err = top_errno(destination, "close", new, ctx);
	return err;
}

enum err top_write(const struct destination *destination, const char *name, struct bytes data,
	struct errctx *ctx)
{
	int directory = destination_fd(destination);
	char new[NAME_SIZE];
	enum err err;

	if (is_there(destination, name, data))
		return OK;
	snprintf(new, sizeof(new), ".%s.new", name);
	err = write_new(destination, new, data, ctx);
	if (err == OK && renameat(directory, new, directory, name) != 0)
		err = top_errno(destination, "rename a file to", name, ctx);
	if (err == OK && fsync(directory) != 0)
		err = files_errno(ctx, errno, "sync", destination_path(destination));
	if (err != OK)
		unlinkat(directory, new, 0);
	return err;
}
