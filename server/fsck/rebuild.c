#include "server/fsck/rebuild.h"
#include "server/store/checked.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"

/* Of one transaction: small enough that it does not spill. */
#define COMMIT_BYTES (UINT64_C(8) << 20)

#define MAP_SIZE ((size_t)(sizeof(size_t) > 4 ? UINT64_C(64) << 30 : UINT64_C(1) << 28))

struct rebuilding {
	const struct rebuild_opts *opts;
	struct env *env;
	struct txn txn;
	struct rebuild_result result;
	uint64_t bytes; /* in this transaction */
	struct errctx *ctx;
};

static void tables_make(struct rebuilding *r)
{
	txn_begin(&r->txn, r->env, TXN_WRITE);
	for (unsigned slot = 0; slot < r->opts->table_count; slot++)
		txn_database(&r->txn, slot, r->opts->tables[slot]);
}

/* table_count: none of ours. */
static unsigned slot_of(const struct rebuilding *r, const char *table)
{
	unsigned slot = 0;

	while (slot < r->opts->table_count && strcmp(r->opts->tables[slot], table) != 0)
		slot++;
	return slot;
}

static void on_table(void *arg, const char *table, uint64_t rows)
{
	struct rebuilding *r = arg;
	unsigned slot = slot_of(r, table);

	if (slot == r->opts->table_count)
		return;
	r->result.known[slot] = true;
	r->result.due[slot] = rows;
}

static enum err on_row(void *arg, const char *table, struct bytes key, struct bytes value)
{
	struct rebuilding *r = arg;
	unsigned slot = slot_of(r, table);

	if (slot == r->opts->table_count || !r->opts->fits(slot, key, value))
		return OK;
	/* The first wins. A row can come twice only by a damaged pointer. */
	r->result.rows += txn_add(&r->txn, slot, key, value);
	r->bytes += key.size + value.size;
	if (r->txn.err == OK && r->bytes >= COMMIT_BYTES) {
		TRY(txn_finish(&r->txn, r->ctx));
		txn_begin(&r->txn, r->env, TXN_WRITE);
		r->bytes = 0;
	}
	return r->txn.err;
}

static void on_pages(void *arg, uint64_t pages)
{
	struct rebuilding *r = arg;

	if (r->opts->progress != NULL)
		r->opts->progress(r->opts->arg, pages);
}

/* What was salvaged may lack it; a table that is not of this format was left out. */
static void marks_put(const struct rebuild_opts *opts, struct txn *txn)
{
	static const uint8_t yes[] = {1};
	struct bytes value;
	uint8_t format[4];

	put_u32be(format, ENV_FORMAT);
	if (!txn_get(txn, 0, bytes_str("format"), &value))
		txn_put(txn, 0, bytes_str("format"), BYTES_ARRAY(format));
	if (opts->guarded && checked_get(txn, 0, bytes_str("guarded"), &value) == ERR_NOTFOUND)
		checked_put(txn, 0, bytes_str("guarded"), BYTES_ARRAY(yes));
}

static enum err fill(struct rebuilding *r, const struct env *old)
{
	struct lmdb_salvage salvage = {on_table, on_row, on_pages, r};
	enum err err;

	tables_make(r);
	err = lmdb_file_salvage(env_directory(old), &salvage, r->ctx);
	if (err == OK)
		marks_put(r->opts, &r->txn);
	else
		txn_fail(&r->txn, err, "%s", err_message(r->ctx, err));
	return txn_finish(&r->txn, r->ctx);
}

static void leftovers_remove(int directory)
{
	unlinkat(directory, "rebuild/data.mdb", 0);
	unlinkat(directory, "rebuild/lock.mdb", 0);
	unlinkat(directory, "rebuild/lock", 0);
	unlinkat(directory, "rebuild", AT_REMOVEDIR);
}

/* The old file first gets its second name, so that there is a whole file under the first one all
 * the time. */
static enum err exchange(int directory, struct errctx *ctx)
{
	unlinkat(directory, "data.mdb.damaged", 0);
	if (linkat(directory, "data.mdb", directory, "data.mdb.damaged", 0) != 0 ||
		renameat(directory, "rebuild/data.mdb", directory, "data.mdb") != 0 ||
		fsync(directory) != 0)
		return err_set(ctx, ERR_IO, "put the new file in its place: %m");
	return OK;
}

enum err rebuild(const struct rebuild_opts *opts, struct rebuild_result *ret, struct errctx *ctx)
{
	struct rebuilding r = {.opts = opts, .ctx = ctx};
	struct env_opts fresh = {.map_size = MAP_SIZE};
	struct env *old = NULL;
	char path[4096];
	enum err err;

	if ((size_t)snprintf(path, sizeof(path), "%s/rebuild", opts->path) >= sizeof(path))
		return err_set(ctx, ERR_LIMIT, "the path is too long");
	fresh.path = path;
	TRY(env_hold(opts->path, &old, ctx));
	leftovers_remove(env_directory(old));
	err = env_open(&fresh, &r.env, ctx);
	if (err == OK)
		err = fill(&r, old);
	env_close(r.env);
	if (err == OK)
		err = exchange(env_directory(old), ctx);
	leftovers_remove(env_directory(old));
	env_close(old);
	if (err == OK)
		*ret = r.result;
	return err == OK ? OK
			 : err_wrap(ctx, err, "write '%s/%s' anew", opts->path, LMDB_FILE_NAME);
}
