/*
 * publish: the directory of one log below a destination, while an export writes it.
 *
 * Files are written under temporary names, made durable many at a time, and only then given their
 * own names: a file that can be seen under its name is whole, whatever is killed or unplugged. The
 * temporary ones stand in a directory `.new` beside the tiles, so that what an interrupted export
 * left is in one place; it goes when the next export opens the log, and is not there at all when
 * nothing is written. Files that have their contents already are not touched.
 *
 * Paths are relative to the log's directory, as in tlog_path.h. Errors name the path: ERR_DENIED,
 * ERR_FULL, ERR_IO, ERR_EXISTS (something that is no file or directory is in the way), ERR_LIMIT,
 * ERR_NOMEM. One thread.
 */
#ifndef SERVER_EXPORT_PUBLISH_H
#define SERVER_EXPORT_PUBLISH_H

#include "replication/log/checkpoint.h"
#include "server/export/destination.h"

struct publish;

/* Makes the directories down to the log's own when missing. */
enum err publish_open(struct destination *destination, const struct origin *origin,
	struct publish **ret, struct errctx *ctx) MUST_USE;
/* What was not flushed is dropped. NULL is fine. */
void publish_close(struct publish *publish);
const char *publish_path(const struct publish *publish); /* of the log's directory */

/* Appends the file to out. ERR_NOTFOUND; ERR_LIMIT over `max` bytes. */
enum err publish_read(struct publish *publish, const char *path, size_t max, struct buf *out,
	struct errctx *ctx) MUST_USE;
/* Is there a file of that size (0: of any but 0)? */
enum err publish_has(struct publish *publish, const char *path, uint64_t size, bool *ret,
	struct errctx *ctx) MUST_USE;

/* Hands a file over, unless it is there with the same contents. Its name appears with a later
 * flush, which put itself begins after LIMIT_EXPORT_UNSYNCED bytes or LIMIT_EXPORT_FILES files. */
enum err publish_put(
	struct publish *publish, const char *path, struct bytes data, struct errctx *ctx) MUST_USE;
/* All that was put is durable and has its name. With `names` every name is durable too, also those
 * that an interrupted export gave. */
enum err publish_flush(struct publish *publish, bool names, struct errctx *ctx) MUST_USE;
/* Removes the partial files "<path>.p/<width>" of a full file. */
enum err publish_drop_partials(
	struct publish *publish, const char *path, struct errctx *ctx) MUST_USE;

struct publish_counts {
	uint64_t files, bytes; /* written */
};
struct publish_counts publish_counts(const struct publish *publish);

#endif
