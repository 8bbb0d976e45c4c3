#include "cli/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/files.h"

enum err target_open(struct target *target, struct errctx *ctx)
{
	struct stat st;
	int n;

	if (target->path == NULL) {
		target->fd = STDOUT_FILENO;
		return OK;
	}
	if (lstat(target->path, &st) == 0)
		return err_set(
			ctx, ERR_EXISTS, "'%.200s' is there: nothing is replaced", target->path);
	n = snprintf(target->partial, sizeof(target->partial), "%s.XXXXXX", target->path);
	if (n < 0 || (size_t)n >= sizeof(target->partial)) {
		target->partial[0] = '\0';
		return err_set(ctx, ERR_LIMIT, "the file's path is too long");
	}
	target->fd = mkostemp(target->partial, O_CLOEXEC); /* mode 0600 */
	if (target->fd < 0) {
		target->partial[0] = '\0';
		return files_errno(ctx, errno, "write", target->path);
	}
	return OK;
}

enum err target_put(struct target *target, struct bytes data, struct errctx *ctx)
{
	while (data.size > 0) {
		ssize_t n = write(target->fd, data.data, data.size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return files_errno(ctx, errno, "write",
				target->path == NULL ? "standard output" : target->path);
		data = bytes_make(data.data + n, data.size - (size_t)n);
	}
	return OK;
}

/* Without replacing anything that came meanwhile. File systems of sticks may lack the call. */
static int name_it(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (access(to, F_OK) == 0) {
		errno = EEXIST;
		return -1;
	}
	return rename(from, to);
}

static enum err sync_parent(const char *path, struct errctx *ctx)
{
	char parent[PATH_MAX];
	enum err err = OK;
	char *slash;
	int fd;

	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (slash == NULL)
		strcpy(parent, ".");
	else
		slash[slash == parent] = '\0';
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		err = files_errno(ctx, errno, "sync", parent);
	if (fd >= 0)
		close(fd);
	return err;
}

enum err target_commit(struct target *target, struct errctx *ctx)
{
	if (target->path == NULL)
		return OK;
	if (fsync(target->fd) != 0 || name_it(target->partial, target->path) != 0)
		return files_errno(ctx, errno, "write", target->path);
	target->partial[0] = '\0';
	return sync_parent(target->path, ctx);
}

void target_release(struct target *target)
{
	if (target->path != NULL && target->fd >= 0)
		close(target->fd);
	if (target->partial[0] != '\0')
		unlink(target->partial);
}
