/*
 * record: what a program does to its disk, in the order in which it happens. A shared object for
 * LD_PRELOAD: record.c stands between the program and the C library, makes each call, and adds one
 * record of it to a trace, from which tests/lib/power.py rebuilds what a disk could look like had
 * the power gone at any moment.
 *
 *   RECORD_ROOTS   directories, separated by ':', absolute and without links; what is under them is
 *                  recorded, nothing else
 *   RECORD_TRACE   the file that the records are added to; several processes may share one
 *   RECORD_FAULT   a disk that lies, to show that the tests see it:
 *                    flush       fsync and fdatasync of files do nothing
 *                    directory   fsync of directories does nothing
 *                    synchronous O_SYNC and O_DSYNC mean nothing
 *                  and with ":PART" behind it only for paths with PART in them, so that a program
 *                  with two files can be shown to depend on the order of their flushes
 *
 * sync_file_range, which promises nothing, and msync of a map are not recorded.
 *
 * One mutex is held over the call and its record: the order of the records is the order on the
 * disk, and a flush covers what stands before it. What is written through a map is not seen: of
 * what LMDB does without WRITEMAP, that is the table of readers alone.
 */
#ifndef TESTS_LIB_RECORD_H
#define TESTS_LIB_RECORD_H

#include <stdint.h>

/* Before each record, in the machine's order; then the path, or two with a 0 between them, or the
 * data, or the text of a mark. power.py reads it as "<BBHIQQ". */
struct record_header {
	uint8_t kind;
	uint8_t synchronous; /* RECORD_WRITE: through O_SYNC or O_DSYNC, flushed by itself */
	uint16_t reserved;
	uint32_t size;   /* of what follows */
	uint64_t inode;  /* which file or directory */
	uint64_t offset; /* RECORD_WRITE: where; RECORD_SIZE, RECORD_RESERVE: the size */
};

enum {
	RECORD_OPEN = 'O',    /* path: a file that was there, with this inode */
	RECORD_CREATE = 'C',  /* path: a file that was not */
	RECORD_MKDIR = 'D',   /* path */
	RECORD_WRITE = 'W',   /* data */
	RECORD_SIZE = 'T',    /* cut or extended to `offset` bytes */
	RECORD_RESERVE = 'A', /* at least `offset` bytes */
	RECORD_RENAME = 'R',  /* from, 0, to */
	RECORD_UNLINK = 'U',  /* path: a file or a directory */
	RECORD_FLUSH = 'F', /* all of the inode: a file's contents and size, a directory's names */
	RECORD_MARK = 'M',  /* text: what the program says of itself */
};

/* Adds a mark. Weak: NULL in a program that runs without the recorder. */
void record_mark(const char *text) __attribute__((weak));

#endif
