/*
 * destination: the directory that exports go into, open and locked for one export at a time.
 *
 * It is a directory of exports when it has a file `.sauti-export`, which says so and carries the
 * lock. A directory that is new or empty becomes one; any other is refused, since files of somebody
 * else's would be replaced and published. So is one inside the node's own directory.
 *
 * Errors name the path: ERR_EXISTS (not empty, and no exports), ERR_VERSION (exports of a newer
 * Sauti), ERR_BUSY (another export is writing it), ERR_INVALID (not absolute; inside the node's
 * directory), ERR_DENIED, ERR_NOTFOUND (the directory above it), ERR_FULL, ERR_IO, ERR_LIMIT,
 * ERR_NOMEM.
 */
#ifndef SERVER_EXPORT_DESTINATION_H
#define SERVER_EXPORT_DESTINATION_H

#include "base/err.h"

#define DESTINATION_MARK      ".sauti-export"
#define DESTINATION_MARK_TEXT "sauti export 1\n" /* the version of the layout */

struct destination;

/* path: absolute; its last component is made when missing. own: the node's directory. */
enum err destination_open(
	const char *path, const char *own, struct destination **ret, struct errctx *ctx) MUST_USE;
void destination_close(struct destination *destination); /* NULL is fine */

const char *destination_path(const struct destination *destination);
int destination_fd(const struct destination *destination);

/* Opens a directory below another, made when missing if `make` says so; never through a symbolic
 * link. Made ones may be read by everybody (where the file system has modes). *ret_fd is the
 * caller's. path: for messages. */
enum err destination_step(int parent, const char *name, bool make, const char *path, int *ret_fd,
	struct errctx *ctx) MUST_USE;

/* Lets everybody read it. A file system without modes (a stick) is no error. */
enum err destination_publish(int fd, unsigned mode, const char *path, struct errctx *ctx) MUST_USE;

#endif
