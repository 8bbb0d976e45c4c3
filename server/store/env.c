#include "server/store/env.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"

/* Below this much free space an EIO is put down to the full disk. */
#define FREE_BYTES_MIN (UINT64_C(1) << 20)

/* A cache line for each reader, two for the head: LMDB's own default of 126 is chosen to fit. */
enum { READERS_SIZE = 64 * (ENV_READERS + 2) };

struct env {
	char *path;
	MDB_env *mdb;
	size_t map_size;
	int directory, lock; /* file descriptors, or -1 */
	MDB_dbi dbi[ENV_DATABASES];
	bool opened[ENV_DATABASES];
};

/* A short write, which is what a full disk gives, is an EIO to LMDB: look before naming it. */
static enum err disk_error(const struct env *env, int rc, const char *what, struct errctx *ctx)
{
	struct statvfs fs;
	uint64_t free_bytes;
	enum err err = rc == EIO ? ERR_IO : ERR_FULL;

	if (statvfs(env->path, &fs) != 0)
		return err_set(ctx, err, "%s: %s", what, err_text(err));
	/* Root may use the reserved blocks too. */
	free_bytes = (uint64_t)(geteuid() == 0 ? fs.f_bfree : fs.f_bavail) * fs.f_frsize;
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

/* The name of a directory must be as durable as what is in it. */
static enum err directory_open(struct env *env, bool make, struct errctx *ctx)
{
	bool made = make && mkdir(env->path, 0700) == 0;
	int parent, failed = 0;

	if (make && !made && errno != EEXIST)
		return env_error(env, errno, "make directory", ctx);
	env->directory = open(env->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (env->directory < 0)
		return env_error(env, errno, "open directory", ctx);
	if (!made)
		return OK;
	parent = openat(env->directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0 || fsync(parent) != 0)
		failed = errno;
	if (parent >= 0)
		close(parent);
	return failed == 0 ? OK : env_error(env, failed, "sync parent directory", ctx);
}

static enum err lock_take(struct env *env, struct errctx *ctx)
{
	env->lock = openat(env->directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (env->lock < 0)
		return env_error(env, errno, "open lock file", ctx);
	if (flock(env->lock, LOCK_EX | LOCK_NB) == 0)
		return OK;
	if (errno == EWOULDBLOCK)
		return err_set(ctx, ERR_BUSY, "another process is using it");
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

static enum err map_open(struct env *env, size_t map_size, struct errctx *ctx)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int rc, dead;

	env->map_size = map_size + (page - map_size % page) % page;
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
		rc = mdb_env_open(env->mdb, env->path, MDB_NOTLS, 0600);
	if (rc == MDB_SUCCESS)
		rc = mdb_reader_check(env->mdb, &dead);
	if (rc != MDB_SUCCESS)
		return env_error(env, rc, "map", ctx);
	if (fsync(env->directory) != 0)
		return env_error(env, errno, "sync directory", ctx);
	return OK;
}

enum err env_open(const struct env_opts *opts, struct env **ret, struct errctx *ctx)
{
	struct env *env = mem_zalloc(sizeof(*env));
	enum err err;

	if (env == NULL)
		return ERR_NOMEM;
	env->directory = env->lock = -1;
	env->path = mem_strdup(opts->path);
	if (env->path == NULL) {
		err = ERR_NOMEM;
		goto fail;
	}
	if ((err = directory_open(env, opts->walk == NULL, ctx)) != OK ||
		(err = lock_take(env, ctx)) != OK || (err = file_check(env, opts, ctx)) != OK ||
		(err = readers_reserve(env, ctx)) != OK ||
		(err = map_open(env, opts->map_size, ctx)) != OK)
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

uint64_t env_file_bytes(const struct env *env)
{
	struct stat st;

	/* Never open it: closing would drop LMDB's own locks. */
	return fstatat(env->directory, "data.mdb", &st, 0) == 0 ? (uint64_t)st.st_size : 0;
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
}

void txn_begin(struct txn *txn, struct env *env, enum txn_kind kind)
{
	unsigned flags = kind == TXN_READ ? MDB_RDONLY : 0;
	int rc;

	*txn = (struct txn){.env = env, .kind = kind};
	rc = mdb_txn_begin(env->mdb, NULL, flags, &txn->mdb);
	if (rc != MDB_SUCCESS) {
		txn->mdb = NULL;
		txn_error(txn, rc, "begin");
	}
}

enum err txn_finish(struct txn *txn, struct errctx *ctx)
{
	MDB_txn *mdb = txn->mdb;
	int rc;

	txn->mdb = NULL;
	if (mdb != NULL && txn->kind == TXN_WRITE && txn->err == OK) {
		rc = mdb_txn_commit(mdb); /* frees it in any case */
		if (rc != MDB_SUCCESS)
			txn_error(txn, rc, "commit");
	} else if (mdb != NULL) {
		mdb_txn_abort(mdb);
	}
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
	int rc;

	assert(slot < ENV_DATABASES && txn->kind == TXN_WRITE);
	if (txn->err != OK)
		return;
	rc = mdb_dbi_open(txn->mdb, name, MDB_CREATE, &txn->env->dbi[slot]);
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

void txn_format(struct txn *txn, unsigned meta)
{
	struct bytes key = bytes_str("format"), value;
	uint8_t format[4];

	put_u32be(format, ENV_FORMAT);
	if (!txn_get(txn, meta, key, &value))
		txn_put(txn, meta, key, BYTES_ARRAY(format));
	else if (value.size != sizeof(format))
		txn_fail(txn, ERR_CORRUPT, "its format version is not readable");
	else if (get_u32be(value.data) > ENV_FORMAT)
		txn_fail(txn, ERR_VERSION,
			"made by a newer Sauti: format %u, this one knows up to %u",
			(unsigned)get_u32be(value.data), (unsigned)ENV_FORMAT);
}

bool txn_get(struct txn *txn, unsigned slot, struct bytes key, struct bytes *ret)
{
	MDB_val k = to_val(key), v;
	int rc;

	if (txn->err != OK)
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

bool range_first(
	struct range *range, struct txn *txn, unsigned slot, struct bytes start, size_t prefix_size)
{
	MDB_val key = to_val(start);
	int rc;

	assert(prefix_size <= start.size && prefix_size <= RANGE_PREFIX_MAX);
	*range = (struct range){.txn = txn, .prefix_size = prefix_size};
	if (prefix_size > 0)
		memcpy(range->prefix, start.data, prefix_size);
	if (txn->err != OK)
		return false;
	rc = mdb_cursor_open(txn->mdb, txn->env->dbi[slot], &range->mdb);
	if (rc != MDB_SUCCESS) {
		range->mdb = NULL;
		txn_error(txn, rc, "open cursor");
		return false;
	}
	return range_move(range, &key, start.size == 0 ? MDB_FIRST : MDB_SET_RANGE);
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
