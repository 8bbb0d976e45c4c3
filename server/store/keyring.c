#include "server/store/keyring.h"

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

struct keyring {
	struct env *env;
	enum trouble trouble;
};

static void keys_open(struct txn *txn, void *arg)
{
	txn_database(txn, SLOT_KEYS, "keys");
}

/* Nothing but the number has changed. */
static const struct migrate_step steps[] = {{0, 1, "no change of the keyring", NULL}};

enum err keyring_open(const char *path, struct keyring **ret, struct errctx *ctx)
{
	struct env_opts opts = {.path = path, .map_size = MAP_SIZE};
	struct migrate_opts migrate = {
		.meta = SLOT_META,
		.open = keys_open,
		.steps = steps,
		.count = sizeof(steps) / sizeof(steps[0]),
	};
	struct keyring *keyring = mem_zalloc(sizeof(*keyring));
	enum err err;

	if (keyring == NULL)
		return ERR_NOMEM;
	err = env_open(&opts, &keyring->env, ctx);
	if (err == OK)
		err = migrate_open(keyring->env, &migrate, ctx);
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
