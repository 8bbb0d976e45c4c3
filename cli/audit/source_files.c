/*
 * Exports in a directory (FORMAT "Export"). It may come from anybody, so nothing below it is
 * followed that leads out of it or elsewhere (a symbolic link to a file of this machine would stand
 * in a report), nothing waited for (a FIFO), and no more read than a file of that name can have.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/audit/source_open.h"
#include "node/files.h"
#include "replication/log/evidence.h"

#define MARKER      ".sauti-export"
#define MARKER_TEXT "sauti export 1\n"

enum { ITEMS_MAX = 65536 }; /* looked at for logs */

struct files {
	const char *text; /* borrowed */
	int root;
};

/* --- opening --- */

static int open_one(int at, const char *name, int flags)
{
	return openat(at, name, flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* Part by part, where the kernel does not do it at once. */
static int open_parts(int root, const char *path)
{
	char part[NAME_MAX + 1];
	int at = root, fd;

	for (;;) {
		size_t size = strcspn(path, "/");
		bool last = path[size] == '\0';

		if (size == 0 || size > NAME_MAX || path[0] == '.') {
			errno = ENOENT;
			fd = -1;
		} else {
			memcpy(part, path, size);
			part[size] = '\0';
			fd = open_one(at, part, last ? 0 : O_DIRECTORY);
		}
		if (at != root) {
			int error = errno;

			close(at);
			errno = error;
		}
		if (fd < 0 || last)
			return fd;
		at = fd;
		path += size + 1;
	}
}

static int open_below(int root, const char *path)
{
	const struct open_how how = {
		.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = open_parts(root, path);
	return fd;
}

/* --- reading --- */

static enum err read_below(const struct files *files, const char *path, size_t max, struct buf *out,
	struct errctx *ctx)
{
	int fd = open_below(files->root, path);
	struct stat st;
	enum err err = OK;

	if (fd < 0 && (errno == ELOOP || errno == EXDEV))
		return err_set(ctx, ERR_INVALID,
			"'%s/%s' leads through a symbolic link: an export has none", files->text,
			path);
	if (fd < 0)
		return files_errno(ctx, errno, "open", path);
	if (fstat(fd, &st) != 0)
		err = files_errno(ctx, errno, "stat", path);
	else if (!S_ISREG(st.st_mode))
		err = err_set(ctx, ERR_INVALID, "'%s/%s' is not a regular file", files->text, path);
	else if ((uint64_t)st.st_size > max)
		err = err_set(
			ctx, ERR_LIMIT, "'%s/%s' is larger than %zu bytes", files->text, path, max);
	else
		err = files_read_fd(fd, path, (size_t)st.st_size, out, ctx);
	close(fd);
	return err;
}

static enum err files_source_read(void *arg, const char *origin, const char *path, size_t max,
	struct buf *out, struct errctx *ctx)
{
	char below[LIMIT_LOG_NAME + TLOG_PATH_SIZE + 2];

	snprintf(below, sizeof(below), "%s/%s", origin, path);
	if (below[0] == '.' || strstr(below, "/.") != NULL)
		return err_set(ctx, ERR_NOTFOUND, "'%s' is no file of an export", below);
	return read_below(arg, below, max, out, ctx);
}

/* --- which logs there are --- */

struct listing {
	const struct files *files;
	enum err (*each)(void *arg, const char *origin);
	void *arg;
	unsigned items;
	struct errctx *ctx;
};

static enum err list(struct listing *l, const char *path, unsigned depth);

static enum err list_item(struct listing *l, const char *path, const char *name, unsigned depth)
{
	char below[2 * LIMIT_LOG_NAME];
	int n;

	if (++l->items > ITEMS_MAX)
		return err_set(
			l->ctx, ERR_LIMIT, "'%s' has too many files for an export", l->files->text);
	n = snprintf(below, sizeof(below), "%s%s%s", path, path[0] == '\0' ? "" : "/", name);
	if (name[0] == '.' || n < 0 || (size_t)n >= sizeof(below))
		return OK;
	if (depth < 2)
		return list(l, below, depth + 1);
	return log_name_parse(bytes_str(below), NULL, NULL, NULL) == OK ? l->each(l->arg, below)
									: OK;
}

/* <network>/<node>/<epoch>; what is no directory is passed over. */
static enum err list(struct listing *l, const char *path, unsigned depth)
{
	int fd = path[0] == '\0' ? open_one(l->files->root, ".", O_DIRECTORY)
				 : open_below(l->files->root, path);
	struct dirent *item;
	enum err err = OK;
	struct stat st;
	DIR *dir;

	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISDIR(st.st_mode)) {
		if (fd >= 0)
			close(fd);
		return OK;
	}
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return ERR_NOMEM;
	}
	while (err == OK && (item = readdir(dir)) != NULL)
		err = list_item(l, path, item->d_name, depth);
	closedir(dir);
	return err;
}

static enum err files_source_logs(void *arg, enum err (*each)(void *each_arg, const char *origin),
	void *each_arg, struct errctx *ctx)
{
	struct listing l = {arg, each, each_arg, 0, ctx};

	return list(&l, "", 0);
}

/* --- evidence --- */

static enum err files_source_evidence(void *arg,
	enum err (*each)(void *each_arg, struct bytes message), void *each_arg, struct errctx *ctx)
{
	const struct files *files = arg;
	struct buf file;
	enum err err;

	buf_init(&file, LIMIT_EVIDENCE_FILE + 1);
	err = read_below(files, "evidence", LIMIT_EVIDENCE_FILE, &file, ctx);
	if (err == OK) {
		err = evidence_frames(buf_bytes(&file), each, each_arg, ctx);
		if (err != OK)
			err_wrap(ctx, err, "'%s/evidence'", files->text);
	}
	buf_release(&file);
	return err == ERR_NOTFOUND ? OK : err;
}

/* --- the source --- */

static bool is_directory(const char *text)
{
	struct stat st;

	return stat(text, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Whoever serves an archive may leave the marker out; another one is of another layout. */
static enum err check_marker(const struct files *files, struct errctx *ctx)
{
	struct buf text;
	enum err err;

	buf_init(&text, 2 * sizeof(MARKER_TEXT));
	err = read_below(files, MARKER, sizeof(MARKER_TEXT), &text, ctx);
	if (err == ERR_NOTFOUND)
		err = OK;
	else if (err == ERR_LIMIT || err == ERR_INVALID ||
		 (err == OK && !bytes_equal_str(buf_bytes(&text), MARKER_TEXT)))
		err = err_set(ctx, ERR_VERSION, "'%s/%s' is not that of an export of this version",
			files->text, MARKER);
	buf_release(&text);
	return err;
}

static void files_source_close(void *arg)
{
	struct files *files = arg;

	close(files->root);
	mem_free(files);
}

static enum err files_source_open(
	const struct cli *cli, const char *text, struct source *ret, struct errctx *ctx)
{
	struct files *files = mem_zalloc(sizeof(*files));
	enum err err;

	(void)cli;
	if (files == NULL)
		return ERR_NOMEM;
	files->text = text;
	files->root = open(text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (files->root < 0) {
		err = errno == ENOTDIR ? err_set(ctx, ERR_INVALID,
						 "'%s' is no bundle, and no directory", text)
				       : files_errno(ctx, errno, "open directory", text);
		mem_free(files);
		return err;
	}
	err = check_marker(files, ctx);
	if (err != OK) {
		files_source_close(files);
		return err;
	}
	*ret = (struct source){{.read = files_source_read,
				       .logs = files_source_logs,
				       .evidence = files_source_evidence,
				       .arg = files,
				       .tiles = true,
				       .concurrent = true,
				       .name = text},
		files_source_close};
	return OK;
}

const struct source_kind source_kind_files = {is_directory, files_source_open};
