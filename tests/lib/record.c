#include "tests/lib/record.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ROOTS_MAX = 8, INODES_MAX = 65536, PARTS_MAX = 66 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* All of what follows is guarded by it. */
static int trace = -1;
static char *roots[ROOTS_MAX];
static size_t root_count;
static ino_t inodes[INODES_MAX]; /* every file and directory below the roots that was opened */
static size_t inode_count;
static bool fault_flush, fault_directory, fault_synchronous;
static const char *fault_part = ""; /* of the paths that it is about */

/* The C library's own. */
static struct {
	int (*open)(const char *, int, ...);
	int (*openat)(int, const char *, int, ...);
	ssize_t (*write)(int, const void *, size_t);
	ssize_t (*writev)(int, const struct iovec *, int);
	ssize_t (*pwrite)(int, const void *, size_t, off_t);
	ssize_t (*pwritev)(int, const struct iovec *, int, off_t);
	int (*ftruncate)(int, off_t);
	int (*truncate)(const char *, off_t);
	int (*fallocate)(int, int, off_t, off_t);
	int (*posix_fallocate)(int, off_t, off_t);
	int (*rename)(const char *, const char *);
	int (*renameat)(int, const char *, int, const char *);
	int (*unlink)(const char *);
	int (*unlinkat)(int, const char *, int);
	int (*rmdir)(const char *);
	int (*mkdir)(const char *, mode_t);
	int (*mkdirat)(int, const char *, mode_t);
	int (*fsync)(int);
	int (*fdatasync)(int);
} real;

static void stop(const char *why)
{
	fprintf(stderr, "record: %s: %s\n", why, strerror(errno));
	abort();
}

static void roots_read(void)
{
	const char *text = getenv("RECORD_ROOTS");
	char *rest = text != NULL ? strdup(text) : NULL, *save = NULL;

	for (char *root = rest != NULL ? strtok_r(rest, ":", &save) : NULL; root != NULL;
		root = strtok_r(NULL, ":", &save)) {
		if (root_count == ROOTS_MAX)
			stop("too many roots");
		roots[root_count++] = root;
	}
}

/* KIND or KIND:PART */
static void fault_read(const char *fault)
{
	size_t size;

	if (fault == NULL)
		return;
	size = strcspn(fault, ":");
	fault_flush = strncmp(fault, "flush", size) == 0;
	fault_directory = strncmp(fault, "directory", size) == 0;
	fault_synchronous = strncmp(fault, "synchronous", size) == 0;
	if (fault[size] == ':')
		fault_part = fault + size + 1;
}

static void start(void)
{
	static const struct {
		const char *name;
		void **to;
	} all[] = {
		{"open", (void **)&real.open},
		{"openat", (void **)&real.openat},
		{"write", (void **)&real.write},
		{"writev", (void **)&real.writev},
		{"pwrite", (void **)&real.pwrite},
		{"pwritev", (void **)&real.pwritev},
		{"ftruncate", (void **)&real.ftruncate},
		{"truncate", (void **)&real.truncate},
		{"fallocate", (void **)&real.fallocate},
		{"posix_fallocate", (void **)&real.posix_fallocate},
		{"rename", (void **)&real.rename},
		{"renameat", (void **)&real.renameat},
		{"unlink", (void **)&real.unlink},
		{"unlinkat", (void **)&real.unlinkat},
		{"rmdir", (void **)&real.rmdir},
		{"mkdir", (void **)&real.mkdir},
		{"mkdirat", (void **)&real.mkdirat},
		{"fsync", (void **)&real.fsync},
		{"fdatasync", (void **)&real.fdatasync},
	};
	const char *path = getenv("RECORD_TRACE");

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if ((*all[i].to = dlsym(RTLD_NEXT, all[i].name)) == NULL)
			stop(all[i].name);
	if (path == NULL)
		return;
	roots_read();
	fault_read(getenv("RECORD_FAULT"));
	trace = real.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (trace < 0)
		stop(path);
}

/* The first call may come from another library's constructor, before ours. */
static void enter(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, start);
	pthread_mutex_lock(&mutex);
}

static void leave(void)
{
	int saved = errno;

	pthread_mutex_unlock(&mutex);
	errno = saved;
}

/* Records. */

/* One writev to a file opened with O_APPEND: whole, whatever other processes add. */
static void add_parts(struct record_header header, const struct iovec *parts, int count)
{
	struct iovec all[PARTS_MAX];
	size_t left = header.size;
	ssize_t total = sizeof(header);
	int saved = errno, used = 1;

	if (trace < 0)
		return;
	all[0] = (struct iovec){&header, sizeof(header)};
	for (int i = 0; i < count && left > 0; i++, used++) {
		if (used == PARTS_MAX)
			stop("too many parts");
		all[used] = parts[i];
		if (all[used].iov_len > left)
			all[used].iov_len = left; /* a short write */
		left -= all[used].iov_len;
		total += (ssize_t)all[used].iov_len;
	}
	if (real.writev(trace, all, used) != total)
		stop("write the trace");
	errno = saved;
}

static void add(struct record_header header, const void *data, size_t size)
{
	struct iovec part = {(void *)(uintptr_t)data, size};

	header.size = (uint32_t)size;
	add_parts(header, &part, 1);
}

static void add_path(uint8_t kind, ino_t inode, const char *path)
{
	add((struct record_header){.kind = kind, .inode = inode}, path, strlen(path));
}

/* What is recorded. */

static bool below_roots(const char *path)
{
	for (size_t i = 0; i < root_count; i++) {
		size_t size = strlen(roots[i]);

		if (strncmp(path, roots[i], size) == 0 && (path[size] == '/' || path[size] == '\0'))
			return true;
	}
	return false;
}

/* False when it cannot be told, or is not below a root. */
static bool path_of(int directory, const char *name, char path[PATH_MAX])
{
	char link[64], base[PATH_MAX];
	ssize_t size;
	int n;

	if (name[0] == '/') {
		n = snprintf(path, PATH_MAX, "%s", name);
		return n > 0 && n < PATH_MAX && below_roots(path);
	}
	if (directory == AT_FDCWD)
		snprintf(link, sizeof(link), "/proc/self/cwd");
	else
		snprintf(link, sizeof(link), "/proc/self/fd/%d", directory);
	size = readlink(link, base, sizeof(base) - 1);
	if (size < 0)
		return false;
	base[size] = '\0';
	n = snprintf(path, PATH_MAX, "%s/%s", base, name);
	return n > 0 && n < PATH_MAX && below_roots(path);
}

static void inode_note(ino_t inode)
{
	for (size_t i = 0; i < inode_count; i++)
		if (inodes[i] == inode)
			return;
	if (inode_count == INODES_MAX)
		stop("too many files");
	inodes[inode_count++] = inode;
}

/* Is it a file or a directory of ours? Most descriptors are sockets. */
static bool ours(int fd, struct stat *st)
{
	int saved = errno;
	bool found = false;

	if (trace >= 0 && fstat(fd, st) == 0 && (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)))
		for (size_t i = 0; i < inode_count && !found; i++)
			found = inodes[i] == st->st_ino;
	errno = saved;
	return found;
}

/* Is this file one that the planted fault is about? */
static bool is_faulty(int fd)
{
	char link[64], path[PATH_MAX];
	ssize_t size;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	size = readlink(link, path, sizeof(path) - 1);
	if (size < 0)
		return false;
	path[size] = '\0';
	return strstr(path, fault_part) != NULL;
}

static bool is_synchronous(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & (O_SYNC | O_DSYNC)) != 0 &&
	       !(fault_synchronous && is_faulty(fd));
}

/* Calls. */

static int open_recorded(int directory, const char *name, int flags, mode_t mode)
{
	char path[PATH_MAX];
	struct stat st;
	bool was, known;
	int fd;

	enter();
	known = trace >= 0 && path_of(directory, name, path);
	was = known && faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	fd = real.openat(directory, name, flags, mode);
	known = known && fd >= 0 && fstat(fd, &st) == 0;
	/* A directory by its own name: opened as "..", it may be above the roots. */
	if (known && S_ISDIR(st.st_mode)) {
		known = path_of(fd, ".", path);
		path[strlen(path) - 2] = '\0';
	}
	if (known && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
		inode_note(st.st_ino);
		add_path(was ? RECORD_OPEN : RECORD_CREATE, st.st_ino, path);
		if (was && (flags & O_TRUNC) != 0 && S_ISREG(st.st_mode))
			add((struct record_header){.kind = RECORD_SIZE, .inode = st.st_ino}, NULL,
				0);
	}
	leave();
	return fd;
}

/* The mode stands there only with O_CREAT and O_TMPFILE. */
#define MODE_OF(flags)                                                                             \
	({                                                                                         \
		mode_t mode_ = 0;                                                                  \
		va_list args_;                                                                     \
		if (((flags)&O_CREAT) != 0 || ((flags)&O_TMPFILE) == O_TMPFILE) {                  \
			va_start(args_, flags);                                                    \
			mode_ = va_arg(args_, mode_t);                                             \
			va_end(args_);                                                             \
		}                                                                                  \
		mode_;                                                                             \
	})

int open(const char *name, int flags, ...)
{
	return open_recorded(AT_FDCWD, name, flags, MODE_OF(flags));
}

int openat(int directory, const char *name, int flags, ...)
{
	return open_recorded(directory, name, flags, MODE_OF(flags));
}

int creat(const char *name, mode_t mode)
{
	return open_recorded(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

static void written(
	int fd, const struct stat *st, const struct iovec *parts, int count, off_t at, ssize_t size)
{
	if (size > 0)
		add_parts(
			(struct record_header){
				.kind = RECORD_WRITE,
				.synchronous = is_synchronous(fd),
				.size = (uint32_t)size,
				.inode = st->st_ino,
				.offset = (uint64_t)at,
			},
			parts, count);
}

/* Where the next write of a descriptor goes. */
static off_t position(int fd, const struct stat *st)
{
	return (fcntl(fd, F_GETFL) & O_APPEND) != 0 ? st->st_size : lseek(fd, 0, SEEK_CUR);
}

/* Sockets and pipes: such a call may wait for another thread, which must not wait for the mutex. */
static bool enter_ours(int fd, struct stat *st)
{
	bool known;

	enter();
	known = ours(fd, st);
	if (!known)
		leave();
	return known;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	struct stat st;
	ssize_t size;
	off_t at;

	if (!enter_ours(fd, &st))
		return real.writev(fd, parts, count);
	at = position(fd, &st);
	size = real.writev(fd, parts, count);
	written(fd, &st, parts, count, at, size);
	leave();
	return size;
}

ssize_t write(int fd, const void *data, size_t size)
{
	struct iovec part = {(void *)(uintptr_t)data, size};

	return writev(fd, &part, 1);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	struct stat st;
	ssize_t size;

	if (!enter_ours(fd, &st))
		return real.pwritev(fd, parts, count, at);
	size = real.pwritev(fd, parts, count, at);
	written(fd, &st, parts, count, at, size);
	leave();
	return size;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
	struct iovec part = {(void *)(uintptr_t)data, size};

	return pwritev(fd, &part, 1, at);
}

static void sized(uint8_t kind, int fd, off_t size)
{
	struct stat st;

	if (ours(fd, &st))
		add(
			(struct record_header){
				.kind = kind, .inode = st.st_ino, .offset = (uint64_t)size},
			NULL, 0);
}

int ftruncate(int fd, off_t size)
{
	int rc;

	enter();
	rc = real.ftruncate(fd, size);
	if (rc == 0)
		sized(RECORD_SIZE, fd, size);
	leave();
	return rc;
}

int truncate(const char *name, off_t size)
{
	int fd = open(name, O_WRONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return -1;
	rc = ftruncate(fd, size);
	close(fd);
	return rc;
}

int fallocate(int fd, int mode, off_t at, off_t size)
{
	int rc;

	enter();
	rc = real.fallocate(fd, mode, at, size);
	if (rc == 0 && mode == 0)
		sized(RECORD_RESERVE, fd, at + size);
	leave();
	return rc;
}

int posix_fallocate(int fd, off_t at, off_t size)
{
	int rc;

	enter();
	rc = real.posix_fallocate(fd, at, size);
	if (rc == 0)
		sized(RECORD_RESERVE, fd, at + size);
	leave();
	return rc;
}

int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
	char paths[2 * PATH_MAX], target[PATH_MAX];
	size_t size;
	bool known;
	int rc;

	enter();
	known = trace >= 0 && path_of(from_directory, from, paths) &&
		path_of(to_directory, to, target);
	rc = real.renameat(from_directory, from, to_directory, to);
	if (rc == 0 && known) {
		size = strlen(paths) + 1;
		memcpy(paths + size, target, strlen(target));
		add((struct record_header){.kind = RECORD_RENAME}, paths, size + strlen(target));
	}
	leave();
	return rc;
}

int rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int unlinkat(int directory, const char *name, int flags)
{
	char path[PATH_MAX];
	bool known;
	int rc;

	enter();
	known = trace >= 0 && path_of(directory, name, path);
	rc = real.unlinkat(directory, name, flags);
	if (rc == 0 && known)
		add_path(RECORD_UNLINK, 0, path);
	leave();
	return rc;
}

int unlink(const char *name)
{
	return unlinkat(AT_FDCWD, name, 0);
}

int rmdir(const char *name)
{
	return unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
}

int mkdirat(int directory, const char *name, mode_t mode)
{
	char path[PATH_MAX];
	struct stat st;
	bool known;
	int rc;

	enter();
	known = trace >= 0 && path_of(directory, name, path);
	rc = real.mkdirat(directory, name, mode);
	if (rc == 0 && known && fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		add_path(RECORD_MKDIR, st.st_ino, path);
	leave();
	return rc;
}

int mkdir(const char *name, mode_t mode)
{
	return mkdirat(AT_FDCWD, name, mode);
}

/* A disk that lies says that it is done, and neither does it nor has it in the trace. */
static int flush(int fd, bool data_only)
{
	struct stat st;
	int rc = 0;

	if (!enter_ours(fd, &st))
		return data_only ? real.fdatasync(fd) : real.fsync(fd);
	if (!(S_ISDIR(st.st_mode) ? fault_directory : fault_flush) || !is_faulty(fd)) {
		rc = data_only ? real.fdatasync(fd) : real.fsync(fd);
		if (rc == 0)
			add((struct record_header){.kind = RECORD_FLUSH, .inode = st.st_ino}, NULL,
				0);
	}
	leave();
	return rc;
}

int fsync(int fd)
{
	return flush(fd, false);
}

int fdatasync(int fd)
{
	return flush(fd, true);
}

void record_mark(const char *text)
{
	enter();
	add((struct record_header){.kind = RECORD_MARK}, text, strlen(text));
	leave();
}

/* With large files, which is what all of this is compiled with, they are the same. */
_Static_assert(sizeof(off_t) == 8, "off_t must be off64_t");
#define SAME(name, other) extern __typeof__(name) other __attribute__((alias(#name)))
SAME(open, open64);
SAME(openat, openat64);
SAME(creat, creat64);
SAME(pwrite, pwrite64);
SAME(pwritev, pwritev64);
SAME(ftruncate, ftruncate64);
SAME(truncate, truncate64);
SAME(fallocate, fallocate64);
SAME(posix_fallocate, posix_fallocate64);
