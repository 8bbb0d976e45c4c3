/*
 * The life of a file: put -> .new/<number> written -> (flush) synced -> renamed -> (flush with
 * names) its directory synced. Syncs are of the whole file system: one syncfs makes thousands of
 * files durable in the time of a few fsyncs, and directories with them.
 */
#include "server/export/publish.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "node/files.h"
#include "replication/log/tlog_path.h"

#define NEW_DIRECTORY ".new"

enum { DIRECTORIES = 4, COMPARE_SIZE = 64 * 1024, PATH_SIZE = TLOG_PATH_SIZE + 8 };

/* Consecutive files stand in the same few directories: they are kept open. */
struct directory {
	char path[PATH_SIZE];
	int fd; /* -1: the place is free */
	uint64_t used;
};

struct waiting {
	char path[PATH_SIZE];
};

struct publish {
	char path[PATH_MAX];
	int root, new_files; /* file descriptors, or -1 */
	struct directory directories[DIRECTORIES];
	uint64_t clock;          /* of use, for the directories */
	struct waiting *waiting; /* .new/0 .. .new/<count - 1> */
	size_t waiting_count;
	uint64_t waiting_bytes;
	struct publish_counts counts;
	uint8_t buffer[COMPARE_SIZE];
};

/* "<log's directory>/<path>", for messages: cut when too long. */
struct full_path {
	char text[PATH_MAX];
};

static const char *full_path(const struct publish *p, const char *path, struct full_path *ret)
{
	if (files_join(p->path, path, ret->text, NULL) != OK)
		snprintf(ret->text, sizeof(ret->text), "%s", path);
	return ret->text;
}

static enum err path_errno(
	const struct publish *p, int error, const char *what, const char *path, struct errctx *ctx)
{
	struct full_path full;

	return files_errno(ctx, error, what, full_path(p, path, &full));
}

/* ---- directories ---- */

/* Steps from the log's directory down to `path`. ERR_NOTFOUND without `make`. */
static enum err walk_down(
	struct publish *p, const char *path, bool make, int *ret_fd, struct errctx *ctx)
{
	int fd = fcntl(p->root, F_DUPFD_CLOEXEC, 0), next;
	char part[PATH_SIZE], name[PATH_SIZE];
	struct full_path full;
	enum err err = OK;

	if (fd < 0)
		return path_errno(p, errno, "open directory", path, ctx);
	for (const char *at = path; err == OK && *at != '\0';) {
		size_t size = strcspn(at, "/");

		snprintf(part, sizeof(part), "%.*s", (int)(at - path + (ptrdiff_t)size), path);
		snprintf(name, sizeof(name), "%.*s", (int)size, at);
		err = destination_step(fd, name, make, full_path(p, part, &full), &next, ctx);
		if (err == OK) {
			close(fd);
			fd = next;
		}
		at += size + (at[size] == '/');
	}
	if (err != OK) {
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return OK;
}

/* The directory that holds `path`, open as long as it is not the longest unused of them, and the
 * name in it. */
static enum err directory_of(struct publish *p, const char *path, bool make, int *ret_fd,
	const char **ret_name, struct errctx *ctx)
{
	struct directory *place = &p->directories[0];
	const char *slash = strrchr(path, '/');
	size_t size = slash == NULL ? 0 : (size_t)(slash - path);
	char parent[PATH_SIZE];
	int fd;

	snprintf(parent, sizeof(parent), "%.*s", (int)size, path);
	*ret_name = slash == NULL ? path : slash + 1;
	for (size_t i = 0; i < DIRECTORIES; i++) {
		struct directory *d = &p->directories[i];

		if (d->fd >= 0 && strcmp(d->path, parent) == 0) {
			d->used = ++p->clock;
			*ret_fd = d->fd;
			return OK;
		}
		if (place->fd >= 0 && (d->fd < 0 || d->used < place->used))
			place = d;
	}
	TRY(walk_down(p, parent, make, &fd, ctx));
	if (place->fd >= 0)
		close(place->fd);
	place->fd = fd;
	place->used = ++p->clock;
	strcpy(place->path, parent);
	*ret_fd = fd;
	return OK;
}

/* The same of one that must be there: ERR_NOTFOUND, without a word in ctx, when it is not. */
static enum err directory_find(
	struct publish *p, const char *path, int *ret_fd, const char **ret_name, struct errctx *ctx)
{
	struct errctx own = {""};
	enum err err = directory_of(p, path, false, ret_fd, ret_name, &own);

	if (err != OK && err != ERR_NOTFOUND)
		err_set(ctx, err, "%s", own.text);
	return err;
}

static void directory_forget(struct publish *p, const char *path)
{
	for (size_t i = 0; i < DIRECTORIES; i++) {
		struct directory *d = &p->directories[i];

		if (d->fd >= 0 && strcmp(d->path, path) == 0) {
			close(d->fd);
			d->fd = -1;
		}
	}
}

/* Removes the files of a directory whose names are numbers, and then it; what else is in it stays,
 * and it too. Missing is fine. */
static enum err remove_numbers(
	struct publish *p, int parent, const char *name, const char *path, struct errctx *ctx)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir;
	int failed = 0;

	if (fd < 0)
		return errno == ENOENT ? OK : path_errno(p, errno, "open directory", path, ctx);
	dir = fdopendir(fd);
	if (dir == NULL) {
		failed = errno;
		close(fd);
		return path_errno(p, failed, "read directory", path, ctx);
	}
	for (struct dirent *item = readdir(dir); item != NULL && failed == 0; item = readdir(dir)) {
		if (item->d_name[strspn(item->d_name, "0123456789")] == '\0' &&
			unlinkat(fd, item->d_name, 0) != 0)
			failed = errno;
	}
	closedir(dir);
	if (failed == 0 && unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOTEMPTY &&
		errno != EEXIST)
		failed = errno;
	return failed == 0 ? OK : path_errno(p, failed, "remove", path, ctx);
}

/* ---- opening ---- */

static enum err root_open(struct publish *p, const struct destination *d,
	const struct origin *origin, struct errctx *ctx)
{
	struct origin_parts parts;
	struct bytes names[3];
	char name[LIMIT_ORIGIN + 1], path[PATH_MAX];
	int fd = destination_fd(d), next;
	enum err err;

	if (origin_parse(bytes_str(origin->text), NULL, &parts) != OK)
		return err_set(ctx, ERR_INVALID, "'%s' is no origin", origin->text);
	names[0] = parts.network;
	names[1] = parts.node;
	names[2] = parts.epoch;
	strcpy(path, destination_path(d));
	for (size_t i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%.*s", BYTES_FMT(names[i]));
		TRY(files_join(path, name, path, ctx));
		err = destination_step(fd, name, true, path, &next, ctx);
		if (p->root >= 0)
			close(p->root);
		p->root = err == OK ? next : -1;
		if (err != OK)
			return err;
		fd = next;
	}
	strcpy(p->path, path);
	return remove_numbers(p, p->root, NEW_DIRECTORY, NEW_DIRECTORY, ctx);
}

enum err publish_open(struct destination *destination, const struct origin *origin,
	struct publish **ret, struct errctx *ctx)
{
	struct publish *p = mem_zalloc(sizeof(*p));
	enum err err;

	if (p == NULL)
		return ERR_NOMEM;
	p->root = p->new_files = -1;
	for (size_t i = 0; i < DIRECTORIES; i++)
		p->directories[i].fd = -1;
	p->waiting = mem_array(LIMIT_EXPORT_FILES, sizeof(*p->waiting));
	err = p->waiting == NULL ? ERR_NOMEM : root_open(p, destination, origin, ctx);
	if (err != OK) {
		publish_close(p);
		return err;
	}
	*ret = p;
	return OK;
}

void publish_close(struct publish *publish)
{
	if (publish == NULL)
		return;
	for (size_t i = 0; i < DIRECTORIES; i++)
		if (publish->directories[i].fd >= 0)
			close(publish->directories[i].fd);
	if (publish->new_files >= 0) {
		close(publish->new_files);
		/* What cannot be removed now is removed by the next export. */
		(void)remove_numbers(publish, publish->root, NEW_DIRECTORY, NEW_DIRECTORY, NULL);
	}
	if (publish->root >= 0)
		close(publish->root);
	mem_free(publish->waiting);
	mem_free(publish);
}

const char *publish_path(const struct publish *publish)
{
	return publish->path;
}

struct publish_counts publish_counts(const struct publish *publish)
{
	return publish->counts;
}

/* ---- reading ---- */

/* ERR_NOTFOUND, without a word in ctx, when it is not there. */
static enum err file_open(struct publish *p, int directory, const char *name, const char *path,
	int *ret_fd, uint64_t *ret_size, struct errctx *ctx)
{
	struct stat st;
	int fd;

	fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT)
		return ERR_NOTFOUND;
	if (fd < 0 && errno != ELOOP)
		return path_errno(p, errno, "open", path, ctx);
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		struct full_path full;

		if (fd >= 0)
			close(fd);
		return err_set(
			ctx, ERR_EXISTS, "'%s' is there and is no file", full_path(p, path, &full));
	}
	*ret_fd = fd;
	*ret_size = (uint64_t)st.st_size;
	return OK;
}

/* Up to `size` bytes; *ret_size is less only at the end of the file. */
static enum err read_some(struct publish *p, int fd, uint8_t *into, size_t size, size_t *ret_size,
	const char *path, struct errctx *ctx)
{
	size_t total = 0;

	while (total < size) {
		ssize_t n = read(fd, into + total, size - total);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return path_errno(p, errno, "read", path, ctx);
		if (n == 0)
			break;
		total += (size_t)n;
	}
	*ret_size = total;
	return OK;
}

enum err publish_read(
	struct publish *publish, const char *path, size_t max, struct buf *out, struct errctx *ctx)
{
	const char *name;
	uint64_t size;
	uint8_t *room;
	size_t got = 0;
	int directory, fd;
	enum err err = directory_find(publish, path, &directory, &name, ctx);

	if (err == OK)
		err = file_open(publish, directory, name, path, &fd, &size, ctx);
	if (err != OK)
		return err;
	if (size > max) {
		close(fd);
		return err_set(ctx, ERR_LIMIT, "'%s/%s' is larger than %zu bytes", publish->path,
			path, max);
	}
	room = size == 0 ? out->data : buf_reserve(out, (size_t)size);
	err = size > 0 && room == NULL ? out->err : OK;
	if (err == OK && size > 0)
		err = read_some(publish, fd, room, (size_t)size, &got, path, ctx);
	close(fd);
	if (err == OK)
		out->size += got;
	return err;
}

enum err publish_has(
	struct publish *publish, const char *path, uint64_t size, bool *ret, struct errctx *ctx)
{
	const char *name;
	struct stat st;
	int directory;
	enum err err = directory_find(publish, path, &directory, &name, ctx);

	*ret = false;
	if (err == ERR_NOTFOUND)
		return OK;
	if (err != OK)
		return err;
	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? OK : path_errno(publish, errno, "stat", path, ctx);
	*ret = S_ISREG(st.st_mode) && st.st_size > 0 && (size == 0 || (uint64_t)st.st_size == size);
	return OK;
}

/* Has the file these contents? Its directory is made when missing: the next files stand in it too,
 * and finding it open is cheaper than not finding it. */
static enum err compare(
	struct publish *p, const char *path, struct bytes data, bool *ret_same, struct errctx *ctx)
{
	const char *name;
	uint64_t size;
	size_t got;
	int directory, fd;
	enum err err;

	*ret_same = false;
	TRY(directory_of(p, path, true, &directory, &name, ctx));
	err = file_open(p, directory, name, path, &fd, &size, ctx);
	if (err == ERR_NOTFOUND)
		return OK;
	if (err != OK)
		return err;
	*ret_same = size == data.size;
	while (err == OK && *ret_same && data.size > 0) {
		size_t part = data.size < COMPARE_SIZE ? data.size : COMPARE_SIZE;

		err = read_some(p, fd, p->buffer, part, &got, path, ctx);
		if (err == OK)
			*ret_same = got == part && memcmp(p->buffer, data.data, part) == 0;
		data = bytes_make(data.data + part, data.size - part);
	}
	close(fd);
	return err;
}

/* ---- writing ---- */

static enum err write_all(
	struct publish *p, int fd, struct bytes data, const char *path, struct errctx *ctx)
{
	while (data.size > 0) {
		ssize_t n = write(fd, data.data, data.size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return path_errno(p, errno, "write", path, ctx);
		data = bytes_make(data.data + n, data.size - (size_t)n);
	}
	return OK;
}

static enum err write_new(
	struct publish *p, const char *path, struct bytes data, struct errctx *ctx)
{
	char name[24];
	enum err err;
	int fd;

	if (p->new_files < 0)
		TRY(walk_down(p, NEW_DIRECTORY, true, &p->new_files, ctx));
	snprintf(name, sizeof(name), "%zu", p->waiting_count);
	fd = openat(p->new_files, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return path_errno(p, errno, "create a temporary file for", path, ctx);
	err = write_all(p, fd, data, path, ctx);
	if (err == OK)
		err = destination_publish(fd, 0644, path, ctx);
	if (close(fd) != 0 && err == OK)
		err = path_errno(p, errno, "close", path, ctx);
	return err;
}

enum err publish_put(
	struct publish *publish, const char *path, struct bytes data, struct errctx *ctx)
{
	bool same;

	TRY(compare(publish, path, data, &same, ctx));
	if (same)
		return OK;
	TRY(write_new(publish, path, data, ctx));
	strcpy(publish->waiting[publish->waiting_count++].path, path);
	publish->waiting_bytes += data.size;
	publish->counts.files++;
	publish->counts.bytes += data.size;
	if (publish->waiting_count < LIMIT_EXPORT_FILES &&
		publish->waiting_bytes < LIMIT_EXPORT_UNSYNCED)
		return OK;
	return publish_flush(publish, false, ctx);
}

static enum err sync_all(struct publish *p, struct errctx *ctx)
{
	if (syncfs(p->root) == 0)
		return OK;
	return path_errno(p, errno, "sync", "", ctx);
}

static enum err rename_all(struct publish *p, struct errctx *ctx)
{
	for (size_t i = 0; i < p->waiting_count; i++) {
		const char *path = p->waiting[i].path, *name;
		char number[24];
		int directory;

		TRY(directory_of(p, path, true, &directory, &name, ctx));
		snprintf(number, sizeof(number), "%zu", i);
		if (renameat(p->new_files, number, directory, name) != 0)
			return path_errno(p, errno, "rename to", path, ctx);
	}
	p->waiting_count = 0;
	p->waiting_bytes = 0;
	return OK;
}

enum err publish_flush(struct publish *publish, bool names, struct errctx *ctx)
{
	if (publish->waiting_count > 0) {
		TRY(sync_all(publish, ctx));
		TRY(rename_all(publish, ctx));
	}
	return names ? sync_all(publish, ctx) : OK;
}

enum err publish_drop_partials(struct publish *publish, const char *path, struct errctx *ctx)
{
	char partials[PATH_SIZE];
	const char *name;
	int directory;
	enum err err;

	snprintf(partials, sizeof(partials), "%s.p", path);
	directory_forget(publish, partials);
	err = directory_find(publish, partials, &directory, &name, ctx);
	if (err != OK)
		return err == ERR_NOTFOUND ? OK : err;
	return remove_numbers(publish, directory, name, partials, ctx);
}
