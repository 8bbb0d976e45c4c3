/*
 * copy: a store copied while it is in use, and what makes a copy a backup (DESIGN 12).
 *
 * Only LMDB reads a store that is open: another open() and close() of its file in this process
 * would drop LMDB's locks. So LMDB writes the copy into a pipe, and the caller gets it in pieces:
 * it can count, hash, write where it likes, and stop.
 */
#ifndef SERVER_STORE_COPY_H
#define SERVER_STORE_COPY_H

#include "server/store/store.h"

/* The next piece of the copy; its first error ends the copy and is returned. */
typedef enum err (*store_sink)(void *arg, struct bytes piece, struct errctx *ctx);

/* Gives the data file of the store as it is now, without free pages, to the sink, in the calling
 * thread. Any thread; not the loop. One read transaction lasts until the end: pages that writers
 * give up meanwhile are not used again, so the file grows by about what is written while it takes.
 *
 * Errors of the sink, and as env.h; ERR_NOMEM. */
enum err store_copy(struct store *store, store_sink sink, void *arg, struct errctx *ctx) MUST_USE;

/* Makes a copy a backup: sets the mark, and drops the invites, whose secrets open the door to the
 * network. They stay in free pages of the file: when *ret_dropped is not 0, copy it once more. Does
 * not count as a commit. ERR_INVALID: an empty text, or one over STORE_MARK_MAX. */
enum err store_backup_mark(
	struct store *store, const char *text, uint64_t *ret_dropped, struct errctx *ctx) MUST_USE;
/* Appends the mark. ERR_NOTFOUND: it is no backup, nor restored from one. */
enum err store_backup_text(struct store *store, struct buf *out, struct errctx *ctx) MUST_USE;

#endif
