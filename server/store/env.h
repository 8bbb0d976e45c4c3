/*
 * env: a thin wrapper over one LMDB environment: its directory, its lock, its databases, its
 * transactions.
 *
 * An error sticks in the transaction: a run of operations needs one check, of what txn_finish
 * returns. After an error every operation does nothing and finds nothing. Codes of LMDB and errno
 * are mapped in one function, which also finds the true cause of an EIO: LMDB reports a full disk
 * as one.
 *
 * Opened with MDB_NOTLS, without WRITEMAP, NOSYNC or DUPSORT. Read transactions may run in any
 * thread, one thread each, and are short. A write transaction begins and ends in one thread;
 * others wait at txn_begin, and get their turn in the order they came. Every commit is synced.
 *
 * The heads of the data file are read before LMDB maps it (lmdb_file.h): a file that is cut short
 * or none of LMDB's is ERR_CORRUPT in words, where LMDB would end the process.
 *
 * Errors: ERR_BUSY (another process has it; all reader slots taken), ERR_DENIED, ERR_FULL (disk or
 * map), ERR_CORRUPT, ERR_VERSION (not a file of this LMDB), ERR_NOMEM, ERR_IO (also: an earlier
 * commit failed while it wrote its head: only closing and opening shows what is on the disk).
 */
#ifndef SERVER_STORE_ENV_H
#define SERVER_STORE_ENV_H

#include <lmdb.h>

#include "base/bytes.h"
#include "base/err.h"
#include "server/store/condition.h"
#include "server/store/lmdb_file.h"

enum {
	ENV_DATABASES = 13,
	ENV_READERS = 126,
	ENV_FORMAT = 1, /* the format this program writes and the newest it reads: migrate.h */
};

struct env;
struct env_opts {
	const char *path; /* directory; made with mode 0700 when missing, its parent is not */
	size_t map_size;  /* bytes, rounded up to pages; never less than the file has */
	/* For a file that nobody writes meanwhile, as a backup's: nothing is made, locked or
	 * written, not even beside it. Read transactions only. */
	bool read_only;
	/* For fsck, else NULL: every page is walked before LMDB maps the file. A directory that is
	 * missing is ERR_NOTFOUND then, a file ERR_CORRUPT: nothing is made. So is a walk that
	 * found something, unless `anyway` is set: then it is opened all the same. */
	const struct lmdb_walk *walk;
	bool anyway;
};
/* Takes the directory's lock file for the life of the env, clears dead readers. */
enum err env_open(const struct env_opts *opts, struct env **ret, struct errctx *ctx) MUST_USE;
/* Takes the lock of a directory that is there, and opens nothing: for who replaces the data file.
 */
enum err env_hold(const char *path, struct env **ret, struct errctx *ctx) MUST_USE;
/* Puts the data file of the directory `path`, which no env has open, in the place of this one's,
 * and opens it: it is moved whole, and its name is durable. No transaction may be open; databases
 * are opened anew by the caller. *ret_moved: it stands there, and the old one is gone, also when
 * this fails after that: then the env can only be closed. */
enum err env_replace(
	struct env *env, const char *path, bool *ret_moved, struct errctx *ctx) MUST_USE;
/* Removes the directory `name` in this one's, with an env that nobody has open; none is fine. */
enum err env_discard(const struct env *env, const char *name, struct errctx *ctx) MUST_USE;
int env_directory(const struct env *env); /* its file descriptor; the env's */
void env_close(struct env *env);          /* no transaction may be open; NULL is fine */
void env_tidy(struct env *env);           /* clears the slots of readers that died */
const char *env_path(const struct env *env);
bool env_is_read_only(const struct env *env);
/* Of the data file; 0 when it cannot be told. */
uint64_t env_file_bytes(const struct env *env);
/* Writes the data file as it is now, without its free pages, to fd, from any thread. A long reader:
 * what is overwritten meanwhile makes the file grow. ERR_IO also when fd takes no more;
 * ERR_CORRUPT: its pages do not add up. */
enum err env_copy(struct env *env, int fd, struct errctx *ctx) MUST_USE;
/* How much more can be written: free space of the file system, and pages of the map that were never
 * used. What cannot be told is UINT64_MAX. */
struct env_room {
	uint64_t disk_bytes, map_bytes;
};
void env_room(const struct env *env, struct env_room *ret);

enum txn_kind { TXN_READ, TXN_WRITE };
struct txn {
	struct env *env;
	MDB_txn *mdb;
	enum txn_kind kind;
	enum err err;         /* sticky: the first failure */
	enum trouble trouble; /* what it says of the disk; TROUBLE_NONE: nothing */
	struct errctx ctx;
};
/* Always followed by txn_finish; a failure to begin sticks like any other. */
void txn_begin(struct txn *txn, struct env *env, enum txn_kind kind);
/* Commits a write transaction without an error, aborts any other. The first error, or OK. */
enum err txn_finish(struct txn *txn, struct errctx *ctx) MUST_USE;
/* Makes an error of the caller's stick, unless one does. */
void txn_fail(struct txn *txn, enum err code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Opens the named database into a slot (< ENV_DATABASES); makes it when missing. Write
 * transactions only; when that transaction fails the env can only be closed. Of a read-only env:
 * in a read transaction, and one that is missing is empty. */
void txn_database(struct txn *txn, unsigned slot, const char *name);
/* The same, but makes nothing: false when there is none, or on an error. */
bool txn_database_find(struct txn *txn, unsigned slot, const char *name);
/* False when it is not there, or on an error. The view is valid until the next write in the
 * transaction, or its end. */
bool txn_get(struct txn *txn, unsigned slot, struct bytes key, struct bytes *ret);
void txn_put(struct txn *txn, unsigned slot, struct bytes key, struct bytes value);
/* False when the key is there already (nothing is written), or on an error. */
bool txn_add(struct txn *txn, unsigned slot, struct bytes key, struct bytes value);
void txn_delete(struct txn *txn, unsigned slot, struct bytes key); /* missing is fine */
/* Deletes items whose keys begin with the prefix (empty: any), in order, at most `max`; how many.
 */
size_t txn_delete_some(struct txn *txn, unsigned slot, struct bytes prefix, size_t max);
/*
 * Puts in order of their keys, with nothing in between in the database. Behind its last key, pages
 * are filled to the brim and nothing is searched. In the middle LMDB splits a page where it is
 * full, so that what comes behind on it would be carried along, and every page left a third empty:
 * that is taken out first, and put back by append_end. Nothing else may write into the database
 * meanwhile.
 *
 *	append_begin(&append, txn, slot);
 *	for (..)
 *		append_put(&append, key, value);
 *	append_end(&append);
 */
enum { APPEND_PAGE = 4096 };
struct append {
	struct txn *txn;
	MDB_cursor *mdb;
	bool last;                   /* so far every key was */
	uint8_t behind[APPEND_PAGE]; /* what was taken out: u16be, u16be, key, value */
	size_t behind_size;
};
void append_begin(struct append *append, struct txn *txn, unsigned slot);
void append_put(struct append *append, struct bytes key, struct bytes value);
void append_end(struct append *append); /* before txn_finish */

void txn_clear(struct txn *txn, unsigned slot);     /* deletes every item of it */
uint64_t txn_count(struct txn *txn, unsigned slot); /* of items */
uint64_t txn_used_bytes(struct txn *txn);           /* of all pages of all open databases */

/*
 * Items in the order of their keys, from `start` on, as long as the key begins with the first
 * prefix_size bytes of start. The transaction must not write meanwhile.
 *
 *	for (bool more = range_first(..); more; more = range_next(&range))
 *	range_end(&range);
 *
 * range_seek begins again elsewhere, on a range that range_open has opened: one cursor serves for
 * many.
 */
enum { RANGE_PREFIX_MAX = 16 };
struct range {
	struct txn *txn;
	MDB_cursor *mdb;
	uint8_t prefix[RANGE_PREFIX_MAX];
	size_t prefix_size;
	struct bytes key, value; /* of the current item; as txn_get */
};
bool range_first(struct range *range, struct txn *txn, unsigned slot, struct bytes start,
	size_t prefix_size);
void range_open(struct range *range, struct txn *txn, unsigned slot);
bool range_seek(struct range *range, struct bytes start, size_t prefix_size);
bool range_next(struct range *range);
void range_end(struct range *range); /* before txn_finish */

#endif
