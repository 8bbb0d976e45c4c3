#include "server/vault/grants/confirm.h"

#include <stdio.h>

enum err confirm_load(struct book *book, const struct keyring_item *item, struct errctx *ctx)
{
	CLEANUP(buf_wipe) struct buf plain;
	struct row_name name, expected;
	struct trust_row row;
	enum err err;

	buf_init(&plain, KEYRING_VALUE_MAX);
	memcpy(name.b, item->kid, sizeof(name.b));
	err = row_unwrap(
		secret_bytes(&book->keyring_key), ROW_CONFIRMED, &name, item->value, &plain);
	if (err == OK)
		err = trust_row_read(buf_bytes(&plain), &row, ctx);
	if (err != OK)
		return err_wrap(ctx, err, "a confirmed key");
	trust_row_name(row.node, &expected);
	if (memcmp(expected.b, name.b, sizeof(name.b)) != 0)
		return err_set(ctx, ERR_CORRUPT, "a confirmed key under another name");
	return trust_put(&book->trust, &row);
}

static enum err confirm_write(struct book *book, const struct trust_row *row, struct errctx *ctx)
{
	CLEANUP(buf_wipe) struct buf plain;
	CLEANUP(buf_release) struct buf value;
	struct keyring_item item;
	struct row_name name;

	buf_init(&plain, KEYRING_VALUE_MAX);
	buf_init(&value, KEYRING_VALUE_MAX);
	trust_row_name(row->node, &name);
	TRY(trust_row_write(row, &plain));
	TRY(row_wrap(
		secret_bytes(&book->keyring_key), ROW_CONFIRMED, &name, buf_bytes(&plain), &value));
	memcpy(item.kid, name.b, sizeof(item.kid));
	item.value = buf_bytes(&value);
	return keyring_update(book->opts.keyring, &item, 1, ctx);
}

enum err confirm_key(struct book *book, struct vault_request *request)
{
	struct trust_row row = {.key = request->node_key, .confirmed_at = request->now_s};
	enum err err;

	snprintf(row.node, sizeof(row.node), "%.*s", LIMIT_NODE_NAME, request->name);
	snprintf(row.officer, sizeof(row.officer), "%.*s", LIMIT_OFFICER_NAME, request->officer);
	if (trust_find(&book->trust, row.node) == NULL && book->trust.count == LIMIT_CONFIRMED)
		return err_set(&request->ctx, ERR_LIMIT,
			"the keys of %d nodes are confirmed already", LIMIT_CONFIRMED);
	err = confirm_write(book, &row, &request->ctx);
	if (err != OK) {
		request->trouble = keyring_trouble(book->opts.keyring);
		return err;
	}
	return trust_put(&book->trust, &row);
}
