#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "server/backup/internal.h"

enum {
	PIECE_SIZE = 256 * 1024,
	SYNC_EVERY = 32 * 1024 * 1024, /* a slow stick must not fill the memory with what waits */
};

/* Writing. */

enum err file_create(struct file *file, const char *path, mode_t mode, struct errctx *ctx)
{
	*file = (struct file){.fd = -1};
	if (strlen(path) >= sizeof(file->path))
		return err_set(ctx, ERR_LIMIT, "path too long: %.100s..", path);
	strcpy(file->path, path);
	TRY(sha256_stream_new(&file->sha256));
	file->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	return file->fd >= 0 ? OK : files_errno(ctx, errno, "create", path);
}

/* On the medium, and out of the memory: who verifies it reads the medium. */
static enum err file_sync(struct file *file, struct errctx *ctx)
{
	if (fdatasync(file->fd) != 0)
		return files_errno(ctx, errno, "sync", file->path);
	(void)posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED);
	file->synced = file->size;
	return OK;
}

enum err file_put(struct file *file, struct bytes piece, struct errctx *ctx)
{
	sha256_stream_put(file->sha256, piece);
	while (piece.size > 0) {
		ssize_t n = write(file->fd, piece.data, piece.size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return files_errno(ctx, errno, "write", file->path);
		piece = bytes_make(piece.data + n, piece.size - (size_t)n);
		file->size += (uint64_t)n;
	}
	return file->size - file->synced < SYNC_EVERY ? OK : file_sync(file, ctx);
}

enum err file_close(struct file *file, struct manifest_file *ret, struct errctx *ctx)
{
	int fd = file->fd;

	TRY(file_sync(file, ctx));
	if (fsync(fd) != 0)
		return files_errno(ctx, errno, "sync", file->path);
	file->fd = -1;
	if (close(fd) != 0)
		return files_errno(ctx, errno, "close", file->path);
	ret->size = file->size;
	sha256_stream_finish(file->sha256, &ret->sha256);
	sha256_stream_free(file->sha256);
	file->sha256 = NULL;
	return OK;
}

void file_abort(struct file *file)
{
	if (file->fd >= 0) {
		close(file->fd);
		unlink(file->path);
	}
	sha256_stream_free(file->sha256);
	*file = (struct file){.fd = -1};
}

/* Reading. */

static enum err source_errno(
	const struct file_source *source, int error, const char *what, struct errctx *ctx)
{
	char path[PATH_MAX];

	if (error == ELOOP)
		return err_set(ctx, ERR_INVALID, "'%s/%s' is, or goes through, a symbolic link",
			source->directory, source->path);
	TRY(files_join(source->directory, source->path, path, ctx));
	return files_errno(ctx, error, what, path);
}

/* O_NOFOLLOW on each part below the directory. */
static enum err source_open(const struct file_source *source, int *ret, struct errctx *ctx)
{
	const char *slash = strchr(source->path, '/');
	int at = open(source->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd, error;

	if (at < 0)
		return files_errno(ctx, errno, "open directory", source->directory);
	if (slash != NULL) {
		char name[64] = "";
		int below;

		snprintf(name, sizeof(name), "%.*s", (int)(slash - source->path), source->path);
		below = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		error = errno;
		close(at);
		if (below < 0)
			/* What O_DIRECTORY says of a link. */
			return source_errno(source, error, "open", ctx);
		at = below;
	}
	/* O_NONBLOCK: a FIFO in place of the file must not hang us. */
	fd = openat(at, slash != NULL ? slash + 1 : source->path,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	error = errno;
	close(at);
	if (fd < 0)
		return source_errno(source, error, "open", ctx);
	*ret = fd;
	return OK;
}

struct reading {
	const struct file_source *source;
	const struct backup_watch *watch;
	enum err (*each)(void *arg, struct bytes piece, struct errctx *ctx);
	void *arg;
	struct sha256_stream *sha256;
	uint64_t size; /* as the file system says */
};

static enum err reading_run(
	struct reading *reading, int fd, uint8_t *piece, uint64_t *ret_size, struct errctx *ctx)
{
	const char *step = reading->each != NULL ? "copy" : "hash";
	uint64_t total = 0;

	for (;;) {
		ssize_t n = read(fd, piece, PIECE_SIZE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return source_errno(reading->source, errno, "read", ctx);
		if (n == 0)
			break;
		total += (uint64_t)n;
		/* One that grows while it is read must come to an end. */
		if (total > reading->size)
			break;
		sha256_stream_put(reading->sha256, bytes_make(piece, (size_t)n));
		if (reading->each != NULL)
			TRY(reading->each(reading->arg, bytes_make(piece, (size_t)n), ctx));
		TRY(watch_poll(reading->watch, ctx));
		watch_tell(reading->watch, step, total, reading->size);
	}
	if (total != reading->size)
		return err_set(ctx, ERR_IO, "'%s/%s' changed while it was read",
			reading->source->directory, reading->source->path);
	*ret_size = total;
	return OK;
}

static enum err source_size(
	const struct file_source *source, int fd, uint64_t *ret, struct errctx *ctx)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return source_errno(source, errno, "stat", ctx);
	if (!S_ISREG(st.st_mode))
		return err_set(ctx, ERR_INVALID, "'%s/%s' is not a regular file", source->directory,
			source->path);
	if ((uint64_t)st.st_size > source->size_max)
		return err_set(ctx, ERR_LIMIT, "'%s/%s' is larger than %" PRIu64 " bytes",
			source->directory, source->path, source->size_max);
	*ret = (uint64_t)st.st_size;
	return OK;
}

enum err file_read(const struct file_source *source, const struct backup_watch *watch,
	enum err (*each)(void *arg, struct bytes piece, struct errctx *ctx), void *arg,
	struct manifest_file *ret, struct errctx *ctx)
{
	CLEANUP(mem_free_p) uint8_t *piece = mem_alloc(PIECE_SIZE);
	struct reading reading = {source, watch, each, arg, NULL, 0};
	struct manifest_file result;
	int fd = -1;
	enum err err;

	if (piece == NULL)
		return ERR_NOMEM;
	TRY(source_open(source, &fd, ctx));
	err = source_size(source, fd, &reading.size, ctx);
	if (err == OK)
		err = sha256_stream_new(&reading.sha256);
	if (err == OK)
		err = reading_run(&reading, fd, piece, &result.size, ctx);
	if (err == OK) {
		sha256_stream_finish(reading.sha256, &result.sha256);
		*ret = result;
	}
	sha256_stream_free(reading.sha256);
	close(fd);
	return err;
}

static enum err copy_put(void *arg, struct bytes piece, struct errctx *ctx)
{
	return file_put(arg, piece, ctx);
}

static enum err owner_set(const struct file *file, struct file_owner owner, struct errctx *ctx)
{
	if (geteuid() == 0 && fchown(file->fd, owner.uid, owner.gid) != 0)
		return files_errno(ctx, errno, "set the owner of", file->path);
	/* Not every file system of a stick has modes; what is made there is ours alone already. */
	if (owner.mode != 0600 && fchmod(file->fd, owner.mode) != 0)
		return files_errno(ctx, errno, "set the mode of", file->path);
	return OK;
}

enum err file_copy(const struct file_source *source, const char *to, struct file_owner owner,
	const struct backup_watch *watch, struct manifest_file *ret, struct errctx *ctx)
{
	struct file file;
	enum err err = file_create(&file, to, 0600, ctx);

	if (err == OK)
		err = owner_set(&file, owner, ctx);
	if (err == OK)
		err = file_read(source, watch, copy_put, &file, ret, ctx);
	if (err == OK)
		err = file_close(&file, ret, ctx);
	if (err != OK)
		file_abort(&file);
	return err;
}

bool file_equal(const struct manifest_file *a, const struct manifest_file *b)
{
	return a->size == b->size && hash_equal(&a->sha256, &b->sha256);
}
