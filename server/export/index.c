#include "server/export/index.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "node/files.h"
#include "replication/log/checkpoint.h"
#include "server/export/top.h"

enum { DEPTH = 3 }; /* network, node, epoch */

struct index {
	const struct destination *destination;
	struct errctx *ctx;
	char *origins; /* `count` texts of ORIGIN_SIZE bytes */
	size_t count;
};

enum { ORIGIN_SIZE = LIMIT_LOG_NAME + 1, GROW = 256 };

static int by_bytes(const void *a, const void *b)
{
	return strcmp(a, b);
}

static enum err index_add(struct index *x, const char *origin)
{
	if (x->count == LIMIT_LOGS)
		return err_set(x->ctx, ERR_LIMIT,
			"'%s' has more than %d logs: the file '" INDEX_NAME "' is left as it was",
			destination_path(x->destination), LIMIT_LOGS);
	if (x->count % GROW == 0) {
		char *more = mem_resize(x->origins, (x->count + GROW) * ORIGIN_SIZE);

		if (more == NULL)
			return ERR_NOMEM;
		x->origins = more;
	}
	strcpy(x->origins + x->count++ * ORIGIN_SIZE, origin);
	return OK;
}

/* A log is a directory with a checkpoint, whose path is an origin. */
static enum err look_at_log(struct index *x, int directory, const char *path)
{
	struct stat st;

	if (origin_parse(bytes_str(path), NULL, NULL) != OK ||
		fstatat(directory, "checkpoint", &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		!S_ISREG(st.st_mode))
		return OK;
	return index_add(x, path);
}

/* directory is closed. path: below the destination, as far as `depth` names. What cannot be opened
 * or is no directory is no log. Recursion ends at DEPTH. */
static enum err scan(struct index *x, int directory, const char *path, unsigned depth)
{
	DIR *dir = directory < 0 ? NULL : fdopendir(directory);
	char below[ORIGIN_SIZE];
	enum err err = OK;

	if (dir == NULL) {
		if (directory >= 0)
			close(directory);
		return OK;
	}
	for (struct dirent *item = readdir(dir); item != NULL && err == OK; item = readdir(dir)) {
		int n = snprintf(
			below, sizeof(below), "%s%s%s", path, depth == 0 ? "" : "/", item->d_name);
		int fd;

		if (item->d_name[0] == '.' || n < 0 || (size_t)n >= sizeof(below))
			continue;
		fd = openat(
			dirfd(dir), item->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (depth + 1 < DEPTH || fd < 0) {
			err = scan(x, fd, below, depth + 1);
			continue;
		}
		err = look_at_log(x, fd, below);
		close(fd);
	}
	closedir(dir);
	return err;
}

enum err index_write(struct destination *destination, struct errctx *ctx)
{
	struct index x = {.destination = destination, .ctx = ctx};
	int root = openat(destination_fd(destination), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct buf text;
	enum err err;

	if (root < 0)
		return files_errno(ctx, errno, "open directory", destination_path(destination));
	buf_init(&text, (size_t)LIMIT_LOGS * ORIGIN_SIZE);
	err = scan(&x, root, "", 0);
	if (err == OK && x.count > 0)
		qsort(x.origins, x.count, ORIGIN_SIZE, by_bytes);
	for (size_t i = 0; err == OK && i < x.count; i++)
		buf_printf(&text, "%s\n", x.origins + i * ORIGIN_SIZE);
	if (err == OK)
		err = text.err;
	if (err == OK)
		err = top_write(destination, INDEX_NAME, buf_bytes(&text), ctx);
	mem_free(x.origins);
	buf_release(&text);
	return err;
}
