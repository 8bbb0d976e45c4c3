#include "node/bundle_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/files.h"

static enum err file_read(
	void *arg, uint64_t offset, void *data, size_t size, size_t *ret_size, struct errctx *ctx)
{
	const struct bundle_file *file = arg;
	size_t total = 0;

	while (total < size) {
		ssize_t n = pread(
			file->fd, (uint8_t *)data + total, size - total, (off_t)(offset + total));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(ctx, ERR_IO, "%s", strerror(errno));
		if (n == 0)
			break;
		total += (size_t)n;
	}
	*ret_size = total;
	return OK;
}

enum err bundle_file_open(const char *path, struct bundle_file *ret, struct errctx *ctx)
{
	/* O_NONBLOCK: a FIFO in place of the file must not hang us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	enum err err = OK;
	struct stat st;

	if (fd < 0)
		return files_errno(ctx, errno, "open", path);
	if (fstat(fd, &st) != 0)
		err = files_errno(ctx, errno, "stat", path);
	else if (!S_ISREG(st.st_mode))
		err = err_set(ctx, ERR_INVALID, "'%s' is not a regular file", path);
	if (err != OK) {
		close(fd);
		return err;
	}
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	ret->fd = fd;
	ret->size = (uint64_t)st.st_size;
	ret->source = (struct bundle_source){file_read, ret};
	return OK;
}

void bundle_file_close(struct bundle_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}
