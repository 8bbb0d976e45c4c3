#include "server/vault/erase/destroy.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "cases/seal/row.h"
#include "node/files.h"
#include "server/vault/drafts.h"
#include "server/vault/internal.h"

static int name_compare(const void *a, const void *b)
{
	return memcmp(a, b, KEYSTORE_ROW_SIZE);
}

/* ---- the keystore ---- */

static enum err keystore_read(
	const struct destroy_opts *opts, struct node_keys *ret, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf file;

	buf_init(&file, LIMIT_KEYSTORE_SIZE + 1);
	TRY(files_read_private(opts->vault->keystore, LIMIT_KEYSTORE_SIZE, &file, ctx));
	return keystore_open_master(buf_bytes(&file), opts->master, ret, ctx);
}

static enum err keystore_replace(
	const struct destroy_opts *opts, const struct node_keys *keys, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf file;

	buf_init(&file, LIMIT_KEYSTORE_SIZE + 1);
	TRY(files_read_private(opts->vault->keystore, LIMIT_KEYSTORE_SIZE, &file, ctx));
	return officers_write(opts->vault, buf_bytes(&file), opts->master, keys, NULL, ctx);
}

static void erasure_clear(struct keystore_erasure *erasure)
{
	secret_release(&erasure->keyring_next);
	*erasure = (struct keystore_erasure){.count = 0};
}

static enum err erasure_fill(
	struct keystore_erasure *erasure, const struct destroy_rows *rows, struct errctx *ctx)
{
	if (rows->count > LIMIT_ERASE_ROWS)
		return err_set(ctx, ERR_LIMIT, "more than %d keys are to be destroyed at a time",
			LIMIT_ERASE_ROWS);
	assert(erasure->count == 0); /* what is interrupted, the unlock finishes */
	TRY(secret_random(&erasure->keyring_next, AEAD_KEY_SIZE));
	memcpy(erasure->rows, rows->name, rows->count * KEYSTORE_ROW_SIZE);
	qsort(erasure->rows, rows->count, KEYSTORE_ROW_SIZE, name_compare);
	for (size_t i = 0; i < rows->count; i++)
		if (erasure->count == 0 ||
			name_compare(erasure->rows[erasure->count - 1], erasure->rows[i]) != 0)
			memmove(erasure->rows[erasure->count++], erasure->rows[i],
				KEYSTORE_ROW_SIZE);
	return OK;
}

/* ---- rows and drafts ---- */

struct rewriting {
	const struct node_keys *keys;
	struct pool pool;
};

static enum err row_rewrite(
	void *arg, const struct keyring_item *item, struct buf *out, struct errctx *ctx)
{
	struct rewriting *r = arg;
	const struct keystore_erasure *erasure = &r->keys->erasure;
	uint8_t nonce[AEAD_NONCE_SIZE];
	struct row_name name;
	struct row_rewrap rewrap = {
		.from = secret_bytes(&r->keys->keyring_key),
		.to = secret_bytes(&erasure->keyring_next),
		.nonce = nonce,
		.name = &name,
	};
	enum err err;

	if (bsearch(item->kid, erasure->rows, erasure->count, KEYSTORE_ROW_SIZE, name_compare) !=
		NULL)
		return OK;
	memcpy(name.b, item->kid, sizeof(name.b));
	TRY(pool_draw(&r->pool, nonce, sizeof(nonce)));
	err = row_rewrap(&rewrap, item->value, out);
	return err == OK ? OK : err_set(ctx, err, "a row of the keyring cannot be wrapped anew");
}

static enum err rows_rewrite(const struct destroy_opts *opts, const struct node_keys *keys,
	bool *ret_moved, struct errctx *ctx)
{
	struct rewriting *r = mem_zalloc(sizeof(*r));
	struct keyring_rewrite rewrite = {row_rewrite, r};
	enum err err;

	*ret_moved = false;
	if (r == NULL)
		return ERR_NOMEM;
	r->keys = keys;
	err = keyring_rewrite(opts->keyring, &rewrite, ret_moved, ctx);
	pool_wipe(&r->pool);
	mem_free(r);
	return err;
}

/* From 3 on: the rows are under the next key. Done again it does no harm. */
static enum err finish(const struct destroy_opts *opts, struct node_keys *keys, struct errctx *ctx)
{
	struct drafts drafts = {opts->vault->drafts, secret_bytes(&keys->keyring_key)};

	TRY(drafts_rewrap(&drafts, secret_bytes(&keys->erasure.keyring_next), ctx));
	secret_release(&keys->keyring_key);
	keys->keyring_key = keys->erasure.keyring_next;
	keys->erasure.keyring_next = (struct secret){0};
	erasure_clear(&keys->erasure);
	return keystore_replace(opts, keys, ctx);
}

/* ---- from the beginning ---- */

/* 1 has failed: is the keystore what it was? */
static bool begun(const struct destroy_opts *opts)
{
	CLEANUP(node_keys_release) struct node_keys keys = {0};

	return keystore_read(opts, &keys, NULL) != OK || keys.erasure.count > 0;
}

/* 2 has failed: 1 is taken back. */
static void take_back(const struct destroy_opts *opts, struct node_keys *keys, bool *ret_unfinished)
{
	erasure_clear(&keys->erasure);
	*ret_unfinished = keystore_replace(opts, keys, NULL) != OK;
}

static enum err run(const struct destroy_opts *opts, struct node_keys *keys, bool *ret_unfinished,
	struct errctx *ctx)
{
	bool moved;
	enum err err;

	*ret_unfinished = true;
	err = keystore_replace(opts, keys, ctx);
	if (err != OK) {
		*ret_unfinished = begun(opts);
		return err;
	}
	err = rows_rewrite(opts, keys, &moved, ctx);
	if (err == OK)
		err = finish(opts, keys, ctx);
	else if (!moved)
		take_back(opts, keys, ret_unfinished);
	if (err == OK)
		*ret_unfinished = false;
	return err;
}

enum err destroy_rows(const struct destroy_opts *opts, const struct destroy_rows *rows,
	struct secret *keyring_key, bool *ret_unfinished, struct errctx *ctx)
{
	CLEANUP(node_keys_release) struct node_keys keys = {0};

	*ret_unfinished = false;
	if (rows->count == 0)
		return OK;
	TRY(keystore_read(opts, &keys, ctx));
	TRY(erasure_fill(&keys.erasure, rows, ctx));
	TRY(run(opts, &keys, ret_unfinished, ctx));
	secret_release(keyring_key);
	*keyring_key = keys.keyring_key;
	keys.keyring_key = (struct secret){0};
	return OK;
}

/* ---- what was interrupted ---- */

struct probe {
	struct bytes key;
	bool opens;
};

/* The first row tells for all: they were moved together. What is made of it goes nowhere. */
static enum err probe_row(void *arg, const struct keyring_item *item, struct errctx *ctx)
{
	CLEANUP(buf_wipe) struct buf out;
	struct probe *probe = arg;
	static const uint8_t nonce[AEAD_NONCE_SIZE];
	struct row_name name;
	struct row_rewrap rewrap = {probe->key, probe->key, nonce, &name};

	memcpy(name.b, item->kid, sizeof(name.b));
	buf_init(&out, KEYRING_VALUE_MAX);
	probe->opens = row_rewrap(&rewrap, item->value, &out) == OK;
	return ERR_CANCELED; /* no more than one */
}

static enum err rows_moved(const struct destroy_opts *opts, const struct node_keys *keys, bool *ret,
	struct errctx *ctx)
{
	struct probe probe = {secret_bytes(&keys->erasure.keyring_next), false};
	enum err err = keyring_each(opts->keyring, probe_row, &probe, ctx);

	if (err == ERR_CANCELED) {
		*ret = probe.opens;
		return OK;
	}
	*ret = false; /* empty: it is as well to write it once more */
	return err;
}

enum err destroy_settle(const struct destroy_opts *opts, struct node_keys *keys, struct errctx *ctx)
{
	bool moved, unfinished;
	enum err err;

	if (keys->erasure.count == 0)
		return OK;
	err = rows_moved(opts, keys, &moved, ctx);
	if (err == OK && !moved) {
		err = rows_rewrite(opts, keys, &moved, ctx);
		if (err != OK && !moved)
			take_back(opts, keys, &unfinished);
		if (err != OK && !moved && !unfinished) {
			*ctx = (struct errctx){""};
			return OK; /* nothing is destroyed yet, nothing is lost */
		}
	}
	if (err == OK)
		err = finish(opts, keys, ctx);
	return err == OK ? OK : err_wrap(ctx, err, "finish the destruction of keys");
}
