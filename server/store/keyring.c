#include "server/store/keyring.h"

#include <limits.h>
#include <stdio.h>

#include "base/alloc.h"
#include "server/store/env.h"
#include "server/store/migrate.h"

enum { SLOT_META, SLOT_KEYS };
enum {
	KID_SIZE = 16,
	SLICE_ITEMS = 256, /* read in one transaction */
	SLICE_SIZE = SLICE_ITEMS * (KID_SIZE + 4 + KEYRING_VALUE_MAX),
};

/* Address space, not disk. */
#define MAP_SIZE ((size_t)(sizeof(size_t) > 4 ? UINT64_C(16) << 30 : UINT64_C(1) << 28))

/* Of a rewrite: rows and bytes in one transaction, so that it needs little memory. */
enum { REWRITE_ROWS = 32768, REWRITE_BYTES = 8 * 1024 * 1024 };
#define REWRITE_DIRECTORY "next"

struct keyring {
	struct env *env; /* NULL: moved, and not opened again */
	enum trouble trouble;
};

static void keys_open(struct txn *txn, void *arg)
{
	txn_database(txn, SLOT_KEYS, "keys");
}

/* Nothing but the number has changed. */
static const struct migrate_step steps[] = {{0, 1, "no change of the keyring", NULL}};

static const struct migrate_opts migration = {
	.meta = SLOT_META,
	.open = keys_open,
	.steps = steps,
	.count = sizeof(steps) / sizeof(steps[0]),
};

static enum err env_open_at(const char *path, struct env **ret, struct errctx *ctx)
{
	struct env_opts opts = {.path = path, .map_size = MAP_SIZE};
	struct env *env = NULL;
	enum err err;

	TRY(env_open(&opts, &env, ctx));
	err = migrate_open(env, &migration, ctx);
	if (err == OK)
		*ret = env;
	else
		env_close(env);
	return err;
}

enum err keyring_open(const char *path, struct keyring **ret, struct errctx *ctx)
{
	struct keyring *keyring = mem_zalloc(sizeof(*keyring));
	enum err err;

	if (keyring == NULL)
		return ERR_NOMEM;
	err = env_open_at(path, &keyring->env, ctx);
	if (err == OK)
		err = env_discard(keyring->env, REWRITE_DIRECTORY, ctx); /* it is done again */
	if (err != OK) {
		keyring_close(keyring);
		return err_wrap(ctx, err, "open keyring '%s'", path);
	}
	*ret = keyring;
	return OK;
}

void keyring_close(struct keyring *keyring)
{
	if (keyring == NULL)
		return;
	env_close(keyring->env);
	mem_free(keyring);
}

static enum err is_open(const struct keyring *keyring, struct errctx *ctx)
{
	return keyring->env != NULL ? OK
				    : err_set(ctx, ERR_IO,
					      "the keyring was written anew and could not be "
					      "opened: restart the node");
}

static void put_new(struct txn *txn, const struct keyring_item *item)
{
	if (!txn_add(txn, SLOT_KEYS, BYTES_ARRAY(item->kid), item->value))
		txn_fail(txn, ERR_EXISTS, "a key with this id is there already");
}

static void put_or_remove(struct txn *txn, const struct keyring_item *item)
{
	if (item->value.size == 0)
		txn_delete(txn, SLOT_KEYS, BYTES_ARRAY(item->kid));
	else
		txn_put(txn, SLOT_KEYS, BYTES_ARRAY(item->kid), item->value);
}

static enum err write_items(struct keyring *keyring, const struct keyring_item *items, size_t count,
	void (*one)(struct txn *txn, const struct keyring_item *item), struct errctx *ctx)
{
	struct txn txn;
	enum err err;

	TRY(is_open(keyring, ctx));
	txn_begin(&txn, keyring->env, TXN_WRITE);
	for (size_t i = 0; i < count && txn.err == OK; i++) {
		if (items[i].value.size > KEYRING_VALUE_MAX)
			txn_fail(&txn, ERR_LIMIT, "a wrapped value of %zu bytes",
				items[i].value.size);
		one(&txn, &items[i]);
	}
	err = txn_finish(&txn, ctx);
	keyring->trouble = txn.trouble;
	return err == OK ? OK : err_wrap(ctx, err, "write keyring '%s'", env_path(keyring->env));
}

enum err keyring_put(
	struct keyring *keyring, const struct keyring_item *items, size_t count, struct errctx *ctx)
{
	return write_items(keyring, items, count, put_new, ctx);
}

enum err keyring_update(
	struct keyring *keyring, const struct keyring_item *items, size_t count, struct errctx *ctx)
{
	return write_items(keyring, items, count, put_or_remove, ctx);
}

enum trouble keyring_trouble(const struct keyring *keyring)
{
	return keyring->trouble;
}

/* Copies up to SLICE_ITEMS items behind `after` (NULL: from the start), each as
 * kid || u32be size || value. */
static enum err slice_read(
	struct keyring *keyring, const uint8_t *after, struct buf *out, struct errctx *ctx)
{
	struct bytes start = after != NULL ? bytes_make(after, KID_SIZE) : BYTES_NONE;
	struct range range;
	struct txn txn;
	size_t count = 0;

	buf_clear(out);
	txn_begin(&txn, keyring->env, TXN_READ);
	for (bool more = range_first(&range, &txn, SLOT_KEYS, start, 0);
		more && count < SLICE_ITEMS; more = range_next(&range)) {
		if (range.key.size != KID_SIZE || range.value.size > KEYRING_VALUE_MAX) {
			txn_fail(&txn, ERR_CORRUPT, "an item is not readable");
			break;
		}
		if (after != NULL && memcmp(range.key.data, after, KID_SIZE) == 0)
			continue;
		buf_put(out, range.key);
		buf_put_u32be(out, (uint32_t)range.value.size);
		buf_put(out, range.value);
		count++;
	}
	range_end(&range);
	if (out->err != OK)
		txn_fail(&txn, out->err, "read: %s", err_text(out->err));
	return txn_finish(&txn, ctx);
}

enum err keyring_each(struct keyring *keyring,
	enum err (*each)(void *arg, const struct keyring_item *item, struct errctx *ctx), void *arg,
	struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf slice;
	struct keyring_item item;
	const uint8_t *after = NULL;
	uint8_t last[KID_SIZE];
	enum err err;

	TRY(is_open(keyring, ctx));
	buf_init(&slice, SLICE_SIZE);
	for (;;) {
		err = slice_read(keyring, after, &slice, ctx);
		if (err != OK)
			return err_wrap(ctx, err, "read keyring '%s'", env_path(keyring->env));
		if (slice.size == 0)
			return OK;
		for (size_t at = 0; at < slice.size; at += KID_SIZE + 4 + item.value.size) {
			memcpy(item.kid, slice.data + at, KID_SIZE);
			item.value = bytes_make(slice.data + at + KID_SIZE + 4,
				get_u32be(slice.data + at + KID_SIZE));
			TRY(each(arg, &item, ctx));
		}
		memcpy(last, item.kid, KID_SIZE);
		after = last;
	}
}

enum err keyring_get(
	struct keyring *keyring, const uint8_t name[16], struct buf *out, struct errctx *ctx)
{
	bool found;
	struct bytes value;
	struct txn txn;

	TRY(is_open(keyring, ctx));
	txn_begin(&txn, keyring->env, TXN_READ);
	found = txn_get(&txn, SLOT_KEYS, bytes_make(name, KID_SIZE), &value);
	if (found)
		buf_put(out, value);
	if (out->err != OK)
		txn_fail(&txn, out->err, "read: %s", err_text(out->err));
	TRY(txn_finish(&txn, ctx));
	return found ? OK : ERR_NOTFOUND;
}

/* ---- writing it anew ---- */

struct rewriting {
	const struct keyring_rewrite *rewrite;
	struct env *next;
	struct txn txn;
	struct append append;
	size_t rows, bytes; /* in this transaction */
	struct buf value;
};

static void rewriting_begin(struct rewriting *r)
{
	txn_begin(&r->txn, r->next, TXN_WRITE);
	append_begin(&r->append, &r->txn, SLOT_KEYS);
	r->rows = r->bytes = 0;
}

static enum err rewriting_commit(struct rewriting *r, struct errctx *ctx)
{
	append_end(&r->append);
	return txn_finish(&r->txn, ctx);
}

static enum err rewrite_row(void *arg, const struct keyring_item *item, struct errctx *ctx)
{
	struct rewriting *r = arg;

	buf_clear(&r->value);
	TRY(r->rewrite->row(r->rewrite->arg, item, &r->value, ctx));
	if (r->value.size == 0)
		return OK;
	append_put(&r->append, BYTES_ARRAY(item->kid), buf_bytes(&r->value));
	r->bytes += KID_SIZE + r->value.size;
	if (++r->rows < REWRITE_ROWS && r->bytes < REWRITE_BYTES)
		return OK;
	TRY(rewriting_commit(r, ctx));
	rewriting_begin(r);
	return OK;
}

/* Commits are synced, so the file is durable when this ends. */
static enum err rewrite_all(struct keyring *keyring, struct rewriting *r, struct errctx *ctx)
{
	enum err err, finished;

	if (buf_reserve(&r->value, KEYRING_VALUE_MAX) == NULL)
		return ERR_NOMEM;
	rewriting_begin(r);
	err = keyring_each(keyring, rewrite_row, r, ctx);
	if (err != OK)
		txn_fail(&r->txn, err, "%s", ctx == NULL ? err_text(err) : ctx->text);
	finished = rewriting_commit(r, ctx);
	return err != OK ? err : finished;
}

static enum err next_make(struct keyring *keyring, const struct keyring_rewrite *rewrite,
	const char *directory, struct errctx *ctx)
{
	struct rewriting r = {.rewrite = rewrite};
	enum err err;

	TRY(env_discard(keyring->env, REWRITE_DIRECTORY, ctx));
	TRY(env_open_at(directory, &r.next, ctx));
	buf_init(&r.value, KEYRING_VALUE_MAX);
	err = rewrite_all(keyring, &r, ctx);
	buf_release(&r.value);
	env_close(r.next);
	return err;
}

/* The new file is there, under its name: it is opened as at a start. */
static enum err next_take(
	struct keyring *keyring, const char *directory, bool *ret_moved, struct errctx *ctx)
{
	enum err err = env_replace(keyring->env, directory, ret_moved, ctx);

	if (err == OK)
		err = migrate_open(keyring->env, &migration, ctx);
	if (err != OK && *ret_moved) {
		env_close(keyring->env);
		keyring->env = NULL;
	}
	return err;
}

enum err keyring_rewrite(struct keyring *keyring, const struct keyring_rewrite *rewrite,
	bool *ret_moved, struct errctx *ctx)
{
	char directory[PATH_MAX];
	enum err err;

	*ret_moved = false;
	TRY(is_open(keyring, ctx));
	if ((size_t)snprintf(directory, sizeof(directory), "%s/%s", env_path(keyring->env),
		    REWRITE_DIRECTORY) >= sizeof(directory))
		return err_set(ctx, ERR_LIMIT, "path too long: %.100s..", env_path(keyring->env));
	err = next_make(keyring, rewrite, directory, ctx);
	if (err == OK)
		err = next_take(keyring, directory, ret_moved, ctx);
	if (err != OK)
		return err_wrap(ctx, err, "write the keyring anew");
	if (env_discard(keyring->env, REWRITE_DIRECTORY, NULL) != OK)
		return OK; /* what is left of it holds nothing, and goes at the next opening */
	return OK;
}
