/*
 * lmdb_file: what this program knows of the bytes of an LMDB 0.9 data file, to judge one without
 * LMDB. The file has no checksums, and LMDB follows what stands in it: a damaged one makes it stop
 * the process, read elsewhere, or run in circles. So its heads are read before each opening, and
 * `sautid --fsck` walks every page first.
 *
 * Everything here only reads, with every bound checked: on no content does it fail in another way
 * than by saying what is wrong. (A disk that cannot be read ends a process that maps it with
 * SIGBUS, here as in LMDB.) The caller holds the directory's lock.
 *
 * The layout, as of mdb.c 0.9.24: pages of page_size, numbered from 0. Pages 0 and 1 are heads,
 * written in turn: the one with the higher transaction number counts. A head names the roots of two
 * trees: that of free pages (transaction number -> the pages it freed) and that of tables (name ->
 * root and counts). Leaves hold keys in order and values, those over half a page on overflow pages.
 */
#ifndef SERVER_STORE_LMDB_FILE_H
#define SERVER_STORE_LMDB_FILE_H

#include "base/bytes.h"
#include "base/err.h"

#define LMDB_FILE_NAME "data.mdb"

struct lmdb_file {
	uint64_t file_size; /* bytes; 0: there is none, or it is empty: LMDB makes it */
	uint64_t page_size;
	uint64_t pages;       /* in use or free, by the newer head */
	uint64_t transaction; /* of the newer head */
};

/* Reads both heads: marks, version, page size, transaction numbers, the last page against the
 * file's size. A file that lacks only pages at its end that nothing uses is whole: LMDB does not
 * write those. ERR_CORRUPT in words, ERR_VERSION (of another LMDB), ERR_IO, ERR_DENIED, ERR_NOMEM.
 */
enum err lmdb_file_heads(int directory, struct lmdb_file *ret, struct errctx *ctx) MUST_USE;

/* One thing that is wrong. `table` is "" outside of tables. A damaged page takes the keys from
 * `low` (included; empty: from the first) to `high` (not included; empty: to the last) along. */
struct lmdb_finding {
	const char *text;
	const char *table;
	struct bytes low, high;
};

struct lmdb_walk {
	void (*found)(void *arg, const struct lmdb_finding *finding);
	void (*progress)(void *arg, uint64_t pages); /* so many more; may be NULL */
	void *arg;
};
/* Walks every page of every tree: each is what its place says, in order, used once, and not free;
 * every count is right. Goes on behind what is wrong. ERR_CORRUPT when something was found; errors
 * of lmdb_file_heads. Takes two bits of memory a page. */
enum err lmdb_file_walk(int directory, const struct lmdb_walk *walk, struct errctx *ctx) MUST_USE;

/* Hands out the rows of the tables that can still be read, of a file whose structure is damaged: of
 * a damaged page, those that lie whole in it. Something may be missing, and a row may be of a page
 * that is not the table's: nothing here is to be believed that does not prove itself. Views are
 * valid for the call; its error ends the salvage. ERR_CORRUPT when there is no head to begin at;
 * errors of lmdb_file_heads. */
struct lmdb_salvage {
	/* A table that is found, and how many rows it should have. */
	void (*table)(void *arg, const char *table, uint64_t rows);
	enum err (*row)(void *arg, const char *table, struct bytes key, struct bytes value);
	void (*progress)(void *arg, uint64_t pages); /* so many more; may be NULL */
	void *arg;
};
enum err lmdb_file_salvage(
	int directory, const struct lmdb_salvage *salvage, struct errctx *ctx) MUST_USE;

#endif
