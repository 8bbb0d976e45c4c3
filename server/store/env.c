#include "server/store/env.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"

/* Below this much free space an EIO is put down to the full disk. */
#define FREE_BYTES_MIN (UINT64_C(1) << 20)

/* A cache line for each reader, two for the head: LMDB's own default of 126 is chosen to fit. */
enum { READERS_SIZE = 64 * (ENV_READERS + 2) };

/* Who writes next. LMDB's own mutex goes to whoever is quickest, which may be the thread that has
 * just given it back, again and again. */
struct turns {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	uint64_t next, serving; /* numbers as in a bakery */
};

struct env {
	char *path;
	MDB_env *mdb;
	size_t map_size;
	bool read_only;
	int directory, lock; /* file descriptors, or -1 */
	struct turns turns;
	MDB_dbi dbi[ENV_DATABASES];
	bool opened[ENV_DATABASES];
};

/* Root may use the blocks that are kept for it too. */
static bool disk_free(const struct env *env, uint64_t *ret)
{
	struct statvfs fs;

	if (statvfs(env->path, &fs) != 0)
		return false;
	*ret = (uint64_t)(geteuid() == 0 ? fs.f_bfree : fs.f_bavail) * fs.f_frsize;
	return true;
}

/* A short write, which is what a full disk gives, is an EIO to LMDB: look before naming it. */
static enum err disk_error(const struct env *env, int rc, const char *what, struct errctx *ctx)
{
	uint64_t free_bytes;
	enum err err = rc == EIO ? ERR_IO : ERR_FULL;

	if (!disk_free(env, &free_bytes))
		return err_set(ctx, err, "%s: %s", what, err_text(err));
	if (free_bytes < FREE_BYTES_MIN)
		err = ERR_FULL;
	return err_set(ctx, err, "%s: %s (disk has %" PRIu64 " bytes free)", what, err_text(err),
		free_bytes);
}

static enum err code_of(int rc)
{
	switch (rc) {
	case MDB_SUCCESS:
		return OK;
	case MDB_NOTFOUND:
	case ENOENT:
		return ERR_NOTFOUND;
	case MDB_KEYEXIST:
		return ERR_EXISTS;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_INCOMPATIBLE:
		return ERR_CORRUPT;
	case MDB_VERSION_MISMATCH:
		return ERR_VERSION;
	case MDB_READERS_FULL:
	case EWOULDBLOCK:
	case EBUSY:
		return ERR_BUSY;
	case MDB_TXN_FULL:
		return ERR_LIMIT;
	case MDB_BAD_VALSIZE:
		return ERR_INVALID;
	case ENOMEM:
		return ERR_NOMEM;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERR_DENIED;
	case MDB_MAP_FULL:
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ERR_FULL;
	default: /* MDB_PANIC, MDB_BAD_TXN, MDB_MAP_RESIZED, other errno */
		return ERR_IO;
	}
}

/* The one place where a code of LMDB or errno becomes ours; rc is not MDB_SUCCESS. */
static enum err env_error(const struct env *env, int rc, const char *what, struct errctx *ctx)
{
	switch (rc) {
	case EIO:
	case ENOSPC:
	case EDQUOT:
		return disk_error(env, rc, what, ctx);
	case MDB_MAP_FULL:
		return err_set(
			ctx, ERR_FULL, "%s: the map of %zu bytes is full", what, env->map_size);
	case MDB_PANIC:
		return err_set(ctx, ERR_IO,
			"%s: stopped after a head could not be written; start again", what);
	default:
		return err_set(ctx, code_of(rc), "%s: %s", what, mdb_strerror(rc));
	}
}

/* What the code says of the disk, when env_error made it `err`. */
static enum trouble trouble_of(int rc, enum err err)
{
	if (rc == MDB_MAP_FULL)
		return TROUBLE_MAP_FULL;
	if (rc == MDB_PANIC)
		return TROUBLE_RESTART;
	switch (err) {
	case ERR_FULL:
		return TROUBLE_DISK_FULL;
	case ERR_DENIED:
		return rc == EROFS ? TROUBLE_READ_ONLY : TROUBLE_DENIED;
	case ERR_CORRUPT:
		return TROUBLE_DAMAGED;
	case ERR_IO:
		return TROUBLE_IO;
	default: /* of this process or of the caller: memory, reader slots, sizes */
		return TROUBLE_NONE;
	}
}

/* The name of a directory must be as durable as what is in it; an earlier start may have been
 * killed between making it and syncing its parent. */
static enum err directory_open(struct env *env, bool make, struct errctx *ctx)
{
	int parent, failed = 0;

	if (make && mkdir(env->path, 0700) != 0 && errno != EEXIST)
		return env_error(env, errno, "make directory", ctx);
	env->directory = open(env->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (env->directory < 0)
		return env_error(env, errno, "open directory", ctx);
	if (env->read_only)
		return OK;
	parent = openat(env->directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0 || fsync(parent) != 0)
		failed = errno;
	if (parent >= 0)
		close(parent);
	return failed == 0 ? OK : env_error(env, failed, "sync parent directory", ctx);
}

/* For the message of a second process. On a full disk it stays empty, and the lock holds all the
 * same. */
static void lock_sign(const struct env *env)
{
	char text[24];
	int size = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (ftruncate(env->lock, 0) != 0 || pwrite(env->lock, text, (size_t)size, 0) != size)
		(void)ftruncate(env->lock, 0);
}

static enum err lock_held(const struct env *env, struct errctx *ctx)
{
	char text[24] = "";
	ssize_t size = pread(env->lock, text, sizeof(text) - 1, 0);
	long pid = size > 0 ? strtol(text, NULL, 10) : 0;

	if (pid <= 0)
		return err_set(ctx, ERR_BUSY, "another process is using it");
	return err_set(
		ctx, ERR_BUSY, "another process is using it (pid %ld): stop one of them", pid);
}

static enum err lock_take(struct env *env, struct errctx *ctx)
{
	env->lock = openat(env->directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (env->lock < 0)
		return env_error(env, errno, "open lock file", ctx);
	if (flock(env->lock, LOCK_EX | LOCK_NB) == 0) {
		lock_sign(env);
		return OK;
	}
	if (errno == EWOULDBLOCK)
		return lock_held(env, ctx);
	return env_error(env, errno, "lock", ctx);
}

/* LMDB would believe what stands in a damaged file. */
static enum err file_check(struct env *env, const struct env_opts *opts, struct errctx *ctx)
{
	struct lmdb_file file;
	enum err err;

	TRY(lmdb_file_heads(env->directory, &file, ctx));
	if (opts->walk == NULL)
		return OK;
	if (file.file_size == 0)
		return err_set(ctx, ERR_CORRUPT, "%s is missing or empty", LMDB_FILE_NAME);
	err = lmdb_file_walk(env->directory, opts->walk, ctx);
	return err == ERR_CORRUPT && opts->anyway ? OK : err;
}

/* LMDB maps its table of readers from a sparse file: on a full disk the first reader in a new page
 * would end the process with SIGBUS. So the pages are there before it opens the file. */
static enum err readers_reserve(struct env *env, struct errctx *ctx)
{
	int fd =
		openat(env->directory, "lock.mdb", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc;

	if (fd < 0)
		return env_error(env, errno, "open lock.mdb", ctx);
	rc = posix_fallocate(fd, 0, READERS_SIZE);
	close(fd);
	return rc == 0 ? OK : env_error(env, rc, "reserve lock.mdb", ctx);
}

/* A new data file is made beside its place and moved there whole: if its first pages were cut short
 * LMDB could not open it ever after, and nobody could tell that from damage. */
static enum err data_make(struct env *env, const struct env_opts *opts, struct errctx *ctx)
{
	char path[PATH_MAX];
	MDB_env *mdb;
	int rc;

	if (env->read_only || opts->walk != NULL ||
		faccessat(env->directory, "data.mdb", F_OK, 0) == 0)
		return OK;
	if (errno != ENOENT)
		return env_error(env, errno, "look for data.mdb", ctx);
	if ((size_t)snprintf(path, sizeof(path), "%s/data.new", env->path) >= sizeof(path))
		return err_set(ctx, ERR_LIMIT, "path too long: %.100s..", env->path);
	if (unlinkat(env->directory, "data.new", 0) != 0 && errno != ENOENT)
		return env_error(env, errno, "remove data.new", ctx);
	rc = mdb_env_create(&mdb);
	if (rc != MDB_SUCCESS)
		return env_error(env, rc, "create", ctx);
	rc = mdb_env_set_mapsize(mdb, env->map_size);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_open(mdb, path, MDB_NOTLS | MDB_NOSUBDIR | MDB_NOLOCK, 0600);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_sync(mdb, 1);
	mdb_env_close(mdb);
	if (rc != MDB_SUCCESS)
		return env_error(env, rc, "make data.new", ctx);
	if (renameat(env->directory, "data.new", env->directory, "data.mdb") != 0)
		return env_error(env, errno, "rename data.new", ctx);
	return OK;
}

static enum err map_open(struct env *env, struct errctx *ctx)
{
	unsigned flags = MDB_NOTLS | (env->read_only ? MDB_RDONLY | MDB_NOLOCK : 0);
	int rc, dead;

	/* LMDB would begin a new one in an empty file, with EBADF. */
	if (env->read_only && faccessat(env->directory, "data.mdb", R_OK, 0) != 0)
		return env_error(env, errno, "open data.mdb", ctx);
	if (env->read_only && env_file_bytes(env) == 0)
		return err_set(ctx, ERR_CORRUPT, "data.mdb is empty");
	rc = mdb_env_create(&env->mdb);
	if (rc != MDB_SUCCESS) {
		env->mdb = NULL;
		return env_error(env, rc, "create", ctx);
	}
	rc = mdb_env_set_mapsize(env->mdb, env->map_size);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_maxdbs(env->mdb, ENV_DATABASES);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_maxreaders(env->mdb, ENV_READERS);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_open(env->mdb, env->path, flags, 0600);
	if (rc == MDB_SUCCESS && !env->read_only)
		rc = mdb_reader_check(env->mdb, &dead);
	if (rc != MDB_SUCCESS)
		return env_error(env, rc, "map", ctx);
	if (!env->read_only && fsync(env->directory) != 0)
		return env_error(env, errno, "sync directory", ctx);
	return OK;
}

/* Default attributes: these cannot fail on Linux. */
static void turns_init(struct turns *turns)
{
	int rc = pthread_mutex_init(&turns->mutex, NULL);

	assert(rc == 0);
	rc = pthread_cond_init(&turns->changed, NULL);
	assert(rc == 0);
}

static void turns_release(struct turns *turns)
{
	pthread_cond_destroy(&turns->changed);
	pthread_mutex_destroy(&turns->mutex);
}

static void turns_take(struct turns *turns)
{
	uint64_t number;

	pthread_mutex_lock(&turns->mutex);
	number = turns->next++;
	while (turns->serving != number)
		pthread_cond_wait(&turns->changed, &turns->mutex);
	pthread_mutex_unlock(&turns->mutex);
}

static void turns_give(struct turns *turns)
{
	pthread_mutex_lock(&turns->mutex);
	turns->serving++;
	pthread_cond_broadcast(&turns->changed);
	pthread_mutex_unlock(&turns->mutex);
}

/* What keeps two writers apart, and is not touched in a file that nobody writes. */
static enum err locks_take(struct env *env, struct errctx *ctx)
{
	if (env->read_only)
		return OK;
	TRY(lock_take(env, ctx));
	return readers_reserve(env, ctx);
}

enum err env_open(const struct env_opts *opts, struct env **ret, struct errctx *ctx)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct env *env = mem_zalloc(sizeof(*env));
	enum err err;

	if (env == NULL)
		return ERR_NOMEM;
	turns_init(&env->turns);
	env->directory = env->lock = -1;
	env->read_only = opts->read_only;
	env->map_size = opts->map_size + (page - opts->map_size % page) % page;
	env->path = mem_strdup(opts->path);
	if (env->path == NULL) {
		err = ERR_NOMEM;
		goto fail;
	}
	if ((err = directory_open(env, opts->walk == NULL && !env->read_only, ctx)) != OK ||
		(err = locks_take(env, ctx)) != OK || (err = data_make(env, opts, ctx)) != OK ||
		(err = file_check(env, opts, ctx)) != OK || (err = map_open(env, ctx)) != OK)
		goto fail;
	*ret = env;
	return OK;
fail:
	env_close(env);
	return err;
}

enum err env_hold(const char *path, struct env **ret, struct errctx *ctx)
{
	struct env *env = mem_zalloc(sizeof(*env));
	enum err err = ERR_NOMEM;

	if (env == NULL)
		return err;
	env->directory = env->lock = -1;
	env->path = mem_strdup(path);
	if (env->path != NULL && (err = directory_open(env, false, ctx)) == OK)
		err = lock_take(env, ctx);
	if (err != OK) {
		env_close(env);
		return err;
	}
	*ret = env;
	return OK;
}

enum err env_replace(struct env *env, const char *path, bool *ret_moved, struct errctx *ctx)
{
	int from = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), failed = 0;

	*ret_moved = false;
	if (from < 0)
		return env_error(env, errno, "open directory", ctx);
	if (renameat(from, LMDB_FILE_NAME, env->directory, LMDB_FILE_NAME) != 0)
		failed = errno;
	*ret_moved = failed == 0;
	if (failed == 0 && (fsync(env->directory) != 0 || fsync(from) != 0))
		failed = errno;
	close(from);
	if (failed != 0)
		return env_error(env, failed, "move data.mdb", ctx);
	mdb_env_close(env->mdb);
	env->mdb = NULL;
	memset(env->opened, 0, sizeof(env->opened));
	return map_open(env, ctx);
}

enum err env_discard(const struct env *env, const char *name, struct errctx *ctx)
{
	static const char *const files[] = {LMDB_FILE_NAME, "data.new", "lock.mdb", "lock"};
	int failed = 0, fd;

	fd = openat(env->directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? OK : env_error(env, errno, "open directory", ctx);
	for (size_t i = 0; failed == 0 && i < sizeof(files) / sizeof(files[0]); i++)
		if (unlinkat(fd, files[i], 0) != 0 && errno != ENOENT)
			failed = errno;
	close(fd);
	if (failed == 0 && unlinkat(env->directory, name, AT_REMOVEDIR) != 0)
		failed = errno;
	return failed == 0 ? OK : env_error(env, failed, "remove what was not finished", ctx);
}

int env_directory(const struct env *env)
{
	return env->directory;
}

void env_close(struct env *env)
{
	if (env == NULL)
		return;
	if (env->mdb != NULL)
		mdb_env_close(env->mdb);
	if (env->lock >= 0)
		close(env->lock);
	if (env->directory >= 0)
		close(env->directory);
	turns_release(&env->turns);
	mem_free(env->path);
	mem_free(env);
}

void env_tidy(struct env *env)
{
	int dead;

	/* A failure here shows as ERR_BUSY when the slots run out. */
	(void)mdb_reader_check(env->mdb, &dead);
}

const char *env_path(const struct env *env)
{
	return env->path;
}

bool env_is_read_only(const struct env *env)
{
	return env->read_only;
}

uint64_t env_file_bytes(const struct env *env)
{
	struct stat st;

	/* Never open it: closing would drop LMDB's own locks. */
	return fstatat(env->directory, "data.mdb", &st, 0) == 0 ? (uint64_t)st.st_size : 0;
}

enum err env_copy(struct env *env, int fd, struct errctx *ctx)
{
	int rc = mdb_env_copyfd2(env->mdb, fd, MDB_CP_COMPACT);

	if (rc == MDB_SUCCESS)
		return OK;
	if (rc == MDB_INCOMPATIBLE) /* how LMDB says it */
		return err_set(ctx, ERR_CORRUPT, "copy: its pages in use and free do not add up");
	return env_error(env, rc, "copy", ctx);
}

void env_room(const struct env *env, struct env_room *ret)
{
	MDB_envinfo info;
	MDB_stat st;
	uint64_t used;

	*ret = (struct env_room){UINT64_MAX, UINT64_MAX};
	if (!disk_free(env, &ret->disk_bytes))
		ret->disk_bytes = UINT64_MAX;
	if (mdb_env_info(env->mdb, &info) != MDB_SUCCESS ||
		mdb_env_stat(env->mdb, &st) != MDB_SUCCESS)
		return;
	used = ((uint64_t)info.me_last_pgno + 1) * st.ms_psize;
	ret->map_bytes = used < info.me_mapsize ? info.me_mapsize - used : 0;
}

static MDB_val to_val(struct bytes bytes)
{
	return (MDB_val){bytes.size, (void *)(uintptr_t)bytes.data};
}

static struct bytes from_val(MDB_val val)
{
	return bytes_make(val.mv_data, val.mv_size);
}

static void txn_error(struct txn *txn, int rc, const char *what)
{
	txn->err = env_error(txn->env, rc, what, &txn->ctx);
	txn->trouble = trouble_of(rc, txn->err);
}

void txn_begin(struct txn *txn, struct env *env, enum txn_kind kind)
{
	unsigned flags = kind == TXN_READ ? MDB_RDONLY : 0;
	int rc;

	*txn = (struct txn){.env = env, .kind = kind};
	if (kind == TXN_WRITE)
		turns_take(&env->turns);
	rc = mdb_txn_begin(env->mdb, NULL, flags, &txn->mdb);
	if (rc != MDB_SUCCESS) {
		txn->mdb = NULL;
		txn_error(txn, rc, "begin");
	}
}

/* After a failed commit: was it the head that could not be written? LMDB begins nothing more then,
 * and whether the commit happened shows when it is opened again. */
static bool head_failed(const struct env *env)
{
	MDB_txn *mdb;
	int rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &mdb);

	if (rc == MDB_SUCCESS)
		mdb_txn_abort(mdb);
	return rc == MDB_PANIC;
}

enum err txn_finish(struct txn *txn, struct errctx *ctx)
{
	MDB_txn *mdb = txn->mdb;
	int rc;

	txn->mdb = NULL;
	/* A database that was opened stays open only after a commit, reading or not. */
	if (mdb != NULL && (txn->kind == TXN_WRITE || txn->env->read_only) && txn->err == OK) {
		rc = mdb_txn_commit(mdb); /* frees it in any case */
		if (rc != MDB_SUCCESS)
			txn_error(txn, rc, "commit");
		if (rc != MDB_SUCCESS && head_failed(txn->env))
			txn->trouble = TROUBLE_RESTART;
	} else if (mdb != NULL) {
		mdb_txn_abort(mdb);
	}
	if (txn->kind == TXN_WRITE)
		turns_give(&txn->env->turns);
	if (txn->err != OK && ctx != NULL)
		*ctx = txn->ctx;
	return txn->err;
}

void txn_fail(struct txn *txn, enum err code, const char *format, ...)
{
	char text[sizeof(txn->ctx.text)];
	va_list args;

	if (txn->err != OK)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	txn->err = err_set(&txn->ctx, code, "%s", text);
}

void txn_database(struct txn *txn, unsigned slot, const char *name)
{
	unsigned flags = txn->env->read_only ? 0 : MDB_CREATE;
	int rc;

	assert(slot < ENV_DATABASES && (txn->kind == TXN_WRITE || txn->env->read_only));
	if (txn->err != OK)
		return;
	rc = mdb_dbi_open(txn->mdb, name, flags, &txn->env->dbi[slot]);
	if (rc == MDB_NOTFOUND && txn->env->read_only)
		return;
	if (rc != MDB_SUCCESS)
		txn_error(txn, rc, "open database");
	else
		txn->env->opened[slot] = true;
}

bool txn_database_find(struct txn *txn, unsigned slot, const char *name)
{
	int rc;

	assert(slot < ENV_DATABASES && txn->kind == TXN_WRITE);
	if (txn->err != OK)
		return false;
	rc = mdb_dbi_open(txn->mdb, name, 0, &txn->env->dbi[slot]);
	if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND)
		txn_error(txn, rc, "open database");
	txn->env->opened[slot] = rc == MDB_SUCCESS;
	return rc == MDB_SUCCESS;
}

bool txn_get(struct txn *txn, unsigned slot, struct bytes key, struct bytes *ret)
{
	MDB_val k = to_val(key), v;
	int rc;

	if (txn->err != OK || !txn->env->opened[slot])
		return false;
	rc = mdb_get(txn->mdb, txn->env->dbi[slot], &k, &v);
	if (rc == MDB_SUCCESS)
		*ret = from_val(v);
	else if (rc != MDB_NOTFOUND)
		txn_error(txn, rc, "read");
	return rc == MDB_SUCCESS;
}

static bool put(
	struct txn *txn, unsigned slot, struct bytes key, struct bytes value, unsigned flags)
{
	MDB_val k = to_val(key), v = to_val(value);
	int rc;

	if (txn->err != OK)
		return false;
	rc = mdb_put(txn->mdb, txn->env->dbi[slot], &k, &v, flags);
	if (rc == MDB_KEYEXIST)
		return false;
	if (rc != MDB_SUCCESS)
		txn_error(txn, rc, "write");
	return rc == MDB_SUCCESS;
}

void txn_put(struct txn *txn, unsigned slot, struct bytes key, struct bytes value)
{
	(void)put(txn, slot, key, value, 0);
}

bool txn_add(struct txn *txn, unsigned slot, struct bytes key, struct bytes value)
{
	return put(txn, slot, key, value, MDB_NOOVERWRITE);
}

void txn_delete(struct txn *txn, unsigned slot, struct bytes key)
{
	MDB_val k = to_val(key);
	int rc;

	if (txn->err != OK)
		return;
	rc = mdb_del(txn->mdb, txn->env->dbi[slot], &k, NULL);
	if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND)
		txn_error(txn, rc, "delete");
}

static MDB_cursor *cursor_open(struct txn *txn, unsigned slot)
{
	MDB_cursor *cursor;
	int rc;

	if (txn->err != OK)
		return NULL;
	rc = mdb_cursor_open(txn->mdb, txn->env->dbi[slot], &cursor);
	if (rc == MDB_SUCCESS)
		return cursor;
	txn_error(txn, rc, "open cursor");
	return NULL;
}

static bool has_prefix(MDB_val key, struct bytes prefix)
{
	return key.mv_size >= prefix.size &&
	       bytes_equal(bytes_make(key.mv_data, prefix.size), prefix);
}

size_t txn_delete_some(struct txn *txn, unsigned slot, struct bytes prefix, size_t max)
{
	MDB_cursor *cursor = cursor_open(txn, slot);
	MDB_cursor_op op = prefix.size == 0 ? MDB_FIRST : MDB_SET_RANGE;
	size_t count = 0;
	int rc = MDB_SUCCESS;

	for (; cursor != NULL && count < max; count++) {
		MDB_val key = to_val(prefix), value;

		rc = mdb_cursor_get(cursor, &key, &value, op);
		if (rc == MDB_SUCCESS && !has_prefix(key, prefix))
			rc = MDB_NOTFOUND;
		if (rc == MDB_SUCCESS)
			rc = mdb_cursor_del(cursor, 0);
		if (rc != MDB_SUCCESS)
			break;
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND)
		txn_error(txn, rc, "delete");
	return count;
}

void append_begin(struct append *append, struct txn *txn, unsigned slot)
{
	append->txn = txn;
	append->mdb = cursor_open(txn, slot);
	append->last = true;
	append->behind_size = 0;
}

/* Are both on one page? A page that this transaction has written is in memory of its own, where it
 * may lie across two: then this says no, and nothing is gained or lost. */
static bool same_page(MDB_val a, MDB_val b)
{
	return (uintptr_t)a.mv_data / APPEND_PAGE == (uintptr_t)b.mv_data / APPEND_PAGE;
}

/* Moves the item out of the database; false when its value does not stand behind its key on the
 * page, or there is no room. */
static bool behind_take(struct append *append, MDB_val key, MDB_val value, int *rc)
{
	size_t size = 4 + key.mv_size + value.mv_size;
	uint8_t *at = append->behind + append->behind_size;

	if ((uint8_t *)key.mv_data + key.mv_size != value.mv_data ||
		size > sizeof(append->behind) - append->behind_size)
		return false;
	put_u16be(at, (uint16_t)key.mv_size);
	put_u16be(at + 2, (uint16_t)value.mv_size);
	memcpy(at + 4, key.mv_data, key.mv_size);
	memcpy(at + 4 + key.mv_size, value.mv_data, value.mv_size);
	append->behind_size += size;
	*rc = mdb_cursor_del(append->mdb, 0);
	return *rc == MDB_SUCCESS;
}

/* Takes out what comes behind the key on the page of the item before it. */
static int behind_clear(struct append *append, MDB_val start)
{
	MDB_val before, key = start, value, count_key;
	size_t items = 0;
	int rc = mdb_cursor_get(append->mdb, &key, &value, MDB_SET_RANGE);

	if (rc == MDB_SUCCESS)
		rc = mdb_cursor_get(append->mdb, &before, &value, MDB_PREV);
	if (rc != MDB_SUCCESS)
		return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
	/* How many: the first deletion copies the page, and tells no more. */
	while ((rc = mdb_cursor_get(append->mdb, &count_key, &value, MDB_NEXT)) == MDB_SUCCESS &&
		same_page(before, count_key))
		items++;
	if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND)
		return rc;
	for (rc = MDB_SUCCESS; items > 0; items--) {
		key = start;
		rc = mdb_cursor_get(append->mdb, &key, &value, MDB_SET_RANGE);
		if (rc != MDB_SUCCESS || !behind_take(append, key, value, &rc))
			break;
	}
	return rc;
}

void append_put(struct append *append, struct bytes key, struct bytes value)
{
	MDB_val k = to_val(key), v = to_val(value);
	int rc = MDB_KEYEXIST;

	if (append->txn->err != OK)
		return;
	if (append->last)
		rc = mdb_cursor_put(append->mdb, &k, &v, MDB_APPEND);
	if (rc == MDB_KEYEXIST) {
		rc = append->last ? behind_clear(append, k) : MDB_SUCCESS;
		append->last = false;
		if (rc == MDB_SUCCESS)
			rc = mdb_cursor_put(append->mdb, &k, &v, 0);
	}
	if (rc != MDB_SUCCESS)
		txn_error(append->txn, rc, "write");
}

static void behind_put_back(struct append *append)
{
	for (size_t at = 0; at < append->behind_size && append->txn->err == OK;) {
		uint8_t *item = append->behind + at;
		MDB_val key = {get_u16be(item), item + 4};
		MDB_val value = {get_u16be(item + 2), item + 4 + key.mv_size};
		int rc;

		at += 4 + key.mv_size + value.mv_size;
		/* What was put meanwhile with the same key is the newer. */
		rc = mdb_cursor_put(append->mdb, &key, &value, MDB_NOOVERWRITE);
		if (rc != MDB_SUCCESS && rc != MDB_KEYEXIST)
			txn_error(append->txn, rc, "write");
	}
}

void append_end(struct append *append)
{
	behind_put_back(append);
	if (append->mdb != NULL)
		mdb_cursor_close(append->mdb);
	append->mdb = NULL;
}

void txn_clear(struct txn *txn, unsigned slot)
{
	int rc;

	if (txn->err != OK)
		return;
	rc = mdb_drop(txn->mdb, txn->env->dbi[slot], 0);
	if (rc != MDB_SUCCESS)
		txn_error(txn, rc, "clear");
}

static bool stat_read(struct txn *txn, MDB_dbi dbi, MDB_stat *ret)
{
	int rc;

	if (txn->err != OK)
		return false;
	rc = mdb_stat(txn->mdb, dbi, ret);
	if (rc != MDB_SUCCESS)
		txn_error(txn, rc, "read statistics");
	return rc == MDB_SUCCESS;
}

uint64_t txn_count(struct txn *txn, unsigned slot)
{
	MDB_stat st;

	if (!txn->env->opened[slot])
		return 0;
	return stat_read(txn, txn->env->dbi[slot], &st) ? st.ms_entries : 0;
}

uint64_t txn_used_bytes(struct txn *txn)
{
	uint64_t used = 0;
	MDB_stat st;

	for (unsigned slot = 0; slot < ENV_DATABASES; slot++) {
		if (!txn->env->opened[slot] || !stat_read(txn, txn->env->dbi[slot], &st))
			continue;
		used += (uint64_t)st.ms_psize *
			(st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages);
	}
	return used;
}

static bool range_move(struct range *range, MDB_val *key, MDB_cursor_op op)
{
	MDB_val value;
	int rc;

	if (range->txn->err != OK)
		return false;
	rc = mdb_cursor_get(range->mdb, key, &value, op);
	if (rc != MDB_SUCCESS) {
		if (rc != MDB_NOTFOUND)
			txn_error(range->txn, rc, "read");
		return false;
	}
	range->key = from_val(*key);
	range->value = from_val(value);
	return range->key.size >= range->prefix_size &&
	       (range->prefix_size == 0 ||
		       memcmp(range->key.data, range->prefix, range->prefix_size) == 0);
}

void range_open(struct range *range, struct txn *txn, unsigned slot)
{
	*range = (struct range){.txn = txn};
	/* In a file that is only read a database may not be there: it is empty. */
	if (txn->env->opened[slot])
		range->mdb = cursor_open(txn, slot);
}

bool range_seek(struct range *range, struct bytes start, size_t prefix_size)
{
	MDB_val key = to_val(start);

	assert(prefix_size <= start.size && prefix_size <= RANGE_PREFIX_MAX);
	range->prefix_size = prefix_size;
	if (prefix_size > 0)
		memcpy(range->prefix, start.data, prefix_size);
	if (range->mdb == NULL)
		return false;
	return range_move(range, &key, start.size == 0 ? MDB_FIRST : MDB_SET_RANGE);
}

bool range_first(
	struct range *range, struct txn *txn, unsigned slot, struct bytes start, size_t prefix_size)
{
	range_open(range, txn, slot);
	return range_seek(range, start, prefix_size);
}

bool range_next(struct range *range)
{
	MDB_val key;

	return range_move(range, &key, MDB_NEXT);
}

void range_end(struct range *range)
{
	if (range->mdb != NULL)
		mdb_cursor_close(range->mdb);
	range->mdb = NULL;
}
