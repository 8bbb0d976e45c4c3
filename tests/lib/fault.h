/*
 * fault: a shared object that makes calls of the C library fail, to be linked by a test or loaded
 * into a program by LD_PRELOAD. Calls are counted by class while it is armed; the k-th fails, once
 * or for ever from there on.
 *
 *   write     write, pwrite, writev, pwritev
 *   sync      fsync, fdatasync, msync; writes to a descriptor opened with O_DSYNC or O_SYNC
 *   mmap      mmap
 *   malloc    malloc, calloc, realloc, reallocarray, posix_memalign, aligned_alloc
 *   rename    rename, renameat, unlink, unlinkat, mkdir, symlink
 *   open      open, openat, creat
 *   truncate  ftruncate, fallocate, posix_fallocate
 *
 * All but malloc and mmap of no file count only for paths with the prefix given. A write fails with
 * the errno given, or with "short" does half of its work, which is what a disk does that is nearly
 * full, and the next one does nothing.
 *
 * By environment: FAULT_STATE, a file of one struct fault_state that is shared with who started the
 * program: it arms, disarms and counts. Nothing fails without it.
 */
#ifndef TESTS_LIB_FAULT_H
#define TESTS_LIB_FAULT_H

#include <stdbool.h>
#include <stdint.h>

enum fault_class {
	FAULT_WRITE,
	FAULT_SYNC,
	FAULT_MMAP,
	FAULT_MALLOC,
	FAULT_RENAME,
	FAULT_OPEN,
	FAULT_TRUNCATE,
	FAULT_CLASSES
};

enum { FAULT_SHORT = -1, FAULT_KILL = -2 /* the process itself */, FAULT_PREFIX_MAX = 256 };

/* Layout known to tests/lib/faults.py. */
struct fault_state {
	uint32_t armed;
	uint32_t class;
	int32_t error; /* errno, or FAULT_SHORT */
	uint32_t forever;
	uint64_t k;                    /* from 1; 0: only count */
	uint64_t count;                /* calls of the class while armed */
	uint64_t failed;               /* of them */
	char prefix[FAULT_PREFIX_MAX]; /* of absolute paths; a directory ends with a slash */
};

/* For programs that link it: the state in use, the caller's own until FAULT_STATE names another. */
struct fault_state *fault_state(void);

#endif
