#include "tests/lib/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Real work is done by system calls and by the C library's other names for its heap: nothing has to
 * be looked up before the first call. */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *pointer, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static struct fault_state own;
static struct fault_state *state = &own;
static uint32_t short_before; /* the next write after a short one does nothing */

struct fault_state *fault_state(void)
{
	return state;
}

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("FAULT_STATE");
	void *shared;
	long fd;

	if (path == NULL)
		return;
	fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0)
		abort();
	shared = (void *)syscall(
		SYS_mmap, NULL, sizeof(own), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		abort();
	syscall(SYS_close, fd);
	state = shared;
}

/* Counts a call; true: it is to fail. */
static bool hit(enum fault_class class)
{
	uint64_t n, k;

	if (__atomic_load_n(&state->armed, __ATOMIC_ACQUIRE) == 0 || state->class != class)
		return false;
	n = __atomic_add_fetch(&state->count, 1, __ATOMIC_RELAXED);
	k = state->k;
	if (k == 0 || (state->forever ? n < k : n != k))
		return false;
	__atomic_add_fetch(&state->failed, 1, __ATOMIC_RELAXED);
	if (state->error == FAULT_KILL)
		syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
	return true;
}

static bool armed(enum fault_class class)
{
	return __atomic_load_n(&state->armed, __ATOMIC_ACQUIRE) != 0 && state->class == class;
}

static bool below(const char *path)
{
	size_t size = strnlen(state->prefix, sizeof(state->prefix));

	/* A directory itself belongs to what begins with its name and a slash. */
	if (size > 0 && state->prefix[size - 1] == '/' && strlen(path) == size - 1)
		size--;
	return strncmp(path, state->prefix, size) == 0;
}

static bool fd_path(int fd, char path[PATH_MAX])
{
	char link[40];
	long n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	return true;
}

static bool fd_below(int fd)
{
	char path[PATH_MAX];

	return fd_path(fd, path) && below(path);
}

static bool path_below(int directory, const char *path)
{
	char parent[PATH_MAX];

	if (path[0] == '/')
		return below(path);
	return directory == AT_FDCWD ? getcwd(parent, sizeof(parent)) != NULL && below(parent)
				     : fd_path(directory, parent) && below(parent);
}

static int fail(void)
{
	errno = state->error == FAULT_SHORT ? EIO : state->error;
	return -1;
}

/* Writing. */

static enum fault_class write_class(int fd)
{
	long flags = armed(FAULT_WRITE) || armed(FAULT_SYNC) ? syscall(SYS_fcntl, fd, F_GETFL) : 0;

	return flags >= 0 && (flags & (O_DSYNC | O_SYNC)) != 0 ? FAULT_SYNC : FAULT_WRITE;
}

/* What is to become of a write of `size` bytes: -1 it fails, else how much of it is done. */
static ssize_t write_size(int fd, size_t size)
{
	enum fault_class class = write_class(fd);

	if (!armed(class) || !fd_below(fd))
		return (ssize_t)size;
	if (__atomic_exchange_n(&short_before, 0, __ATOMIC_RELAXED) != 0) {
		errno = ENOSPC;
		return -1;
	}
	if (!hit(class))
		return (ssize_t)size;
	if (state->error != FAULT_SHORT || size < 2)
		return fail();
	__atomic_store_n(&short_before, 1, __ATOMIC_RELAXED);
	return (ssize_t)(size / 2);
}

ssize_t write(int fd, const void *data, size_t size)
{
	ssize_t n = write_size(fd, size);

	return n < 0 ? n : syscall(SYS_write, fd, data, (size_t)n);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
	ssize_t n = write_size(fd, size);

	return n < 0 ? n : syscall(SYS_pwrite64, fd, data, (size_t)n, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
	return pwrite(fd, data, size, offset);
}

static size_t total(const struct iovec *iov, int count)
{
	size_t size = 0;

	for (int i = 0; i < count; i++)
		size += iov[i].iov_len;
	return size;
}

/* A short one does its first part alone. */
ssize_t writev(int fd, const struct iovec *iov, int count)
{
	size_t size = total(iov, count);
	ssize_t n = write_size(fd, size);

	if (n < 0)
		return n;
	if ((size_t)n < size)
		return syscall(SYS_write, fd, iov[0].iov_base, iov[0].iov_len / 2);
	return syscall(SYS_writev, fd, iov, count);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	size_t size = total(iov, count);
	ssize_t n = write_size(fd, size);

	if (n < 0)
		return n;
	if ((size_t)n < size)
		return syscall(SYS_pwrite64, fd, iov[0].iov_base, iov[0].iov_len / 2, offset);
	return syscall(SYS_pwritev, fd, iov, count, offset, 0L);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int count, off64_t offset)
{
	return pwritev(fd, iov, count, offset);
}

/* Syncing. */

int fsync(int fd)
{
	if (armed(FAULT_SYNC) && fd_below(fd) && hit(FAULT_SYNC))
		return fail();
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	if (armed(FAULT_SYNC) && fd_below(fd) && hit(FAULT_SYNC))
		return fail();
	return (int)syscall(SYS_fdatasync, fd);
}

int msync(void *address, size_t size, int flags)
{
	if (hit(FAULT_SYNC))
		return fail();
	return (int)syscall(SYS_msync, address, size, flags);
}

/* Maps. */

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	if (armed(FAULT_MMAP) && (fd < 0 || fd_below(fd)) && hit(FAULT_MMAP)) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

void *mmap64(void *address, size_t size, int protection, int flags, int fd, off64_t offset)
{
	return mmap(address, size, protection, flags, fd, offset);
}

/* The heap. */

static bool heap_hit(void)
{
	if (!hit(FAULT_MALLOC))
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return heap_hit() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return heap_hit() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *pointer, size_t size)
{
	return heap_hit() ? NULL : __libc_realloc(pointer, size);
}

void *reallocarray(void *pointer, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(pointer, bytes);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return heap_hit() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
	void *pointer = heap_hit() ? NULL : __libc_memalign(alignment, size);

	if (pointer == NULL)
		return ENOMEM;
	*ret = pointer;
	return 0;
}

/* Names. */

static bool name_hit(int directory, const char *path)
{
	return armed(FAULT_RENAME) && path_below(directory, path) && hit(FAULT_RENAME);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
	if (name_hit(to_directory, to))
		return fail();
	return (int)syscall(SYS_renameat2, from_directory, from, to_directory, to, 0);
}

int rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int unlinkat(int directory, const char *path, int flags)
{
	if (name_hit(directory, path))
		return fail();
	return (int)syscall(SYS_unlinkat, directory, path, flags);
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int mkdir(const char *path, mode_t mode)
{
	if (name_hit(AT_FDCWD, path))
		return fail();
	return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int symlink(const char *target, const char *path)
{
	if (name_hit(AT_FDCWD, path))
		return fail();
	return (int)syscall(SYS_symlinkat, target, AT_FDCWD, path);
}

static int open_at(int directory, const char *path, int flags, mode_t mode)
{
	if (armed(FAULT_OPEN) && path_below(directory, path) && hit(FAULT_OPEN))
		return fail();
	return (int)syscall(SYS_openat, directory, path, flags, mode);
}

#define MODE(flags, last)                                                                          \
	__extension__({                                                                            \
		mode_t mode_ = 0;                                                                  \
		if (((flags)&O_CREAT) != 0 || ((flags)&O_TMPFILE) == O_TMPFILE) {                  \
			va_list args_;                                                             \
			va_start(args_, last);                                                     \
			mode_ = va_arg(args_, mode_t);                                             \
			va_end(args_);                                                             \
		}                                                                                  \
		mode_;                                                                             \
	})

int open(const char *path, int flags, ...)
{
	return open_at(AT_FDCWD, path, flags, MODE(flags, flags));
}

int open64(const char *path, int flags, ...)
{
	return open_at(AT_FDCWD, path, flags, MODE(flags, flags));
}

int openat(int directory, const char *path, int flags, ...)
{
	return open_at(directory, path, flags, MODE(flags, flags));
}

int openat64(int directory, const char *path, int flags, ...)
{
	return open_at(directory, path, flags, MODE(flags, flags));
}

int creat(const char *path, mode_t mode)
{
	return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* Sizes. */

int ftruncate(int fd, off_t size)
{
	if (armed(FAULT_TRUNCATE) && fd_below(fd) && hit(FAULT_TRUNCATE))
		return fail();
	return (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate64(int fd, off64_t size)
{
	return ftruncate(fd, size);
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
	if (armed(FAULT_TRUNCATE) && fd_below(fd) && hit(FAULT_TRUNCATE))
		return fail();
	return (int)syscall(SYS_fallocate, fd, mode, offset, size);
}

/* As the C library's where the file system has it; tests run on no other. */
int posix_fallocate(int fd, off_t offset, off_t size)
{
	return fallocate(fd, 0, offset, size) == 0 ? 0 : errno;
}

int posix_fallocate64(int fd, off64_t offset, off64_t size)
{
	return posix_fallocate(fd, offset, size);
}
