/*
 * files: where the files of a node stand, and how they are read and written.
 *
 * A write is whole or did not happen: temporary file, fsync, rename, fsync of the directory. Key
 * files are refused when anybody but their owner could read them. Errors name the path.
 *
 * Codes: ERR_NOTFOUND (no such file), ERR_DENIED (permissions, theirs or ours), ERR_EXISTS,
 * ERR_FULL (disk or quota), ERR_LIMIT (over the caller's cap, or a path too long), ERR_IO,
 * ERR_NOMEM.
 */
#ifndef NODE_FILES_H
#define NODE_FILES_H

#include <limits.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

/* The paths of everything, from the two directories. */
struct node_paths {
	char directory[PATH_MAX];
	char config[PATH_MAX];   /* <dir>/sauti.conf */
	char boot[PATH_MAX];     /* keys/boot */
	char keystore[PATH_MAX]; /* keys/keystore */
	char joining[PATH_MAX];  /* keys/joining: only while a join is not complete */
	char chain[PATH_MAX];    /* certs/node.pem: the node's certificate, the issuing CA's */
	char root[PATH_MAX];     /* certs/root.pem */
	char genesis[PATH_MAX];  /* genesis */
	char store[PATH_MAX];    /* store/ */
	char keyring[PATH_MAX];  /* keyring/ */
	char mail[PATH_MAX];     /* mail/ */
	char drafts[PATH_MAX];   /* drafts/ */
	char socket[PATH_MAX];   /* run/control.sock */
	char guard[PATH_MAX];    /* directory of the guard, of the configuration; "" otherwise */
};
/* ERR_LIMIT when a path would be too long; ERR_INVALID for an empty directory. */
enum err files_paths(const char *directory, struct node_paths *ret, struct errctx *ctx) MUST_USE;

/* a "/" b into ret[PATH_MAX]; b alone when it is absolute. ret may be a. */
enum err files_join(const char *a, const char *b, char *ret, struct errctx *ctx) MUST_USE;

/* Appends the whole file to out, whose own maximum must be larger than `max`. Over `max` bytes:
 * ERR_LIMIT. Regular files only (ERR_INVALID). */
enum err files_read(const char *path, size_t max, struct buf *out, struct errctx *ctx) MUST_USE;

/* As files_read, for files that hold keys: ERR_DENIED when group or others have any permission on
 * it, or when it belongs neither to us nor to root. */
enum err files_read_private(
	const char *path, size_t max, struct buf *out, struct errctx *ctx) MUST_USE;

/* Makes or replaces the file, durably. The directory must exist. */
enum err files_write(const char *path, struct bytes data, mode_t mode, struct errctx *ctx) MUST_USE;

/* Makes the directory and those above it that are missing, mode 0700. OK when it is there. */
enum err files_mkdir(const char *path, struct errctx *ctx) MUST_USE;

/* Is anything in the directory? A missing one is empty. */
enum err files_dir_empty(const char *path, bool *ret, struct errctx *ctx) MUST_USE;

bool files_exist(const char *path);

/* Removes a file durably; OK when there is none. */
enum err files_remove(const char *path, struct errctx *ctx) MUST_USE;

/* The one place where errno becomes an enum err: sets ctx to "what 'path': reason". */
enum err files_errno(struct errctx *ctx, int error, const char *what, const char *path);

/* Appends a file of exactly that many bytes, from where the descriptor stands; one reservation, so
 * that no copy of a secret is left behind. path: for messages. ERR_IO: it has become longer or
 * shorter; ERR_LIMIT, ERR_NOMEM of out; errors of reading. */
enum err files_read_fd(
	int fd, const char *path, size_t size, struct buf *out, struct errctx *ctx) MUST_USE;

#endif
