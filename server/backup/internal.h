/*
 * The backup from inside: files that are written once, hashed and synced, directories of a known
 * content, and the child that maps.
 */
#ifndef SERVER_BACKUP_INTERNAL_H
#define SERVER_BACKUP_INTERNAL_H

#include "server/backup/backup.h"

/* What stands where in a backup and in a directory being built, besides the files of a manifest. */
#define BACKUP_PARTIAL ".partial" /* behind the backup's name */
#define RESTORING      "restoring"
#define STORE_COPY_NEW "store/data.mdb.new"

/* watch.c */
enum err watch_poll(const struct backup_watch *watch, struct errctx *ctx) MUST_USE;
void watch_tell(const struct backup_watch *watch, const char *step, uint64_t done, uint64_t total);

/*
 * file.c: a new file. Never follows or replaces anything; hashed as it is written; on the medium
 * when file_close returns OK. After an error only file_abort is left, which removes it.
 */
struct file {
	char path[PATH_MAX];
	int fd;
	struct sha256_stream *sha256;
	uint64_t size, synced;
};
enum err file_create(struct file *file, const char *path, mode_t mode, struct errctx *ctx) MUST_USE;
enum err file_put(struct file *file, struct bytes piece, struct errctx *ctx) MUST_USE;
enum err file_close(struct file *file, struct manifest_file *ret, struct errctx *ctx) MUST_USE;
void file_abort(struct file *file);

/* file.c: files that are there. `path` is below `directory`, at most one directory down; neither
 * that nor the file may be a symbolic link. */
struct file_source {
	const char *directory, *path;
	uint64_t size_max;
};
/* Gives every piece to each (NULL: none wanted); its hash and size. ERR_LIMIT over size_max. */
enum err file_read(const struct file_source *source, const struct backup_watch *watch,
	enum err (*each)(void *arg, struct bytes piece, struct errctx *ctx), void *arg,
	struct manifest_file *ret, struct errctx *ctx) MUST_USE;
/* A new file with the same bytes. uid, gid: its owner, when we are root. */
struct file_owner {
	mode_t mode;
	uid_t uid;
	gid_t gid;
};
enum err file_copy(const struct file_source *source, const char *to, struct file_owner owner,
	const struct backup_watch *watch, struct manifest_file *ret, struct errctx *ctx) MUST_USE;
bool file_equal(const struct manifest_file *a, const struct manifest_file *b);

/* place.c: directories. */
enum err place_sync(const char *path, struct errctx *ctx) MUST_USE;
/* Syncs a directory of a backup's shape, and certs/ and store/ in it. */
enum err place_sync_all(const char *path, struct errctx *ctx) MUST_USE;
/* Locks the directory against another backup or restore for as long as the descriptor is open.
 * ERR_BUSY; ERR_DENIED when it is not ours. */
enum err place_lock(const char *path, int *ret_fd, struct errctx *ctx) MUST_USE;
/* Makes certs/ and store/ in it. owner: of those, when we are root; NULL: us. */
enum err place_fill(const char *path, const struct file_owner *owner, struct errctx *ctx) MUST_USE;
/* Removes every file that a backup being made, or a restore, puts into a directory, and the
 * directory. ERR_EXISTS: there is something else in it. */
enum err place_clear(const char *path, struct errctx *ctx) MUST_USE;
/* ERR_FULL when the file system has less than that for us. */
enum err place_room(const char *path, uint64_t bytes, struct errctx *ctx) MUST_USE;
/* Is `path` the directory `of` or inside it? Both as realpath gives them. */
bool place_inside(const char *path, const char *of);
/* Who a directory belongs to. */
enum err place_owner(const char *path, struct file_owner *ret, struct errctx *ctx) MUST_USE;

/* verify.c: the text of DIRECTORY/BACKUP, and what it says. ERR_NOTFOUND: it is no backup. */
enum err backup_manifest(
	const char *directory, struct buf *text, struct manifest *ret, struct errctx *ctx) MUST_USE;
/* The mark of the store in a backup: "haiti at 2026-11-26T14:00:00Z". */
void backup_mark(const struct manifest *manifest, char *ret, size_t size);

/* child.c: runs this program again, as `sautid MODE DIRECTORY MORE..` (offline.h), and is told of
 * its progress. Its error is returned; its death is ERR_CORRUPT. It is killed when this thread's
 * process ends, and until it has ended it keeps `hold`, a descriptor with a lock, open. */
enum { CHILD_MORE = 4 };
struct child_opts {
	const char *mode, *directory;
	const char *more[CHILD_MORE]; /* the rest NULL */
	int hold;                     /* -1: nothing */
	const struct backup_watch *watch;
};
enum err child_run(const struct child_opts *opts, struct errctx *ctx) MUST_USE;

#endif
