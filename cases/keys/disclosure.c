#include "cases/keys/disclosure.h"

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/text.h"

#define MAGIC "SAUTIOPN"
enum { VERSION = 1, P_SIZE = sizeof(struct seal_reveal) };

void disclosure_free(struct disclosure *disclosure)
{
	if (disclosure == NULL)
		return;
	for (size_t i = 0; i < disclosure->key_count; i++)
		mem_free(disclosure->keys[i].reveals);
	if (disclosure->keys != NULL)
		wipe(disclosure->keys, disclosure->key_count * sizeof(*disclosure->keys));
	mem_free(disclosure->keys);
	mem_free(disclosure->logs);
	mem_free(disclosure);
}

/* --- reading --- */

static void read_name(struct cursor *cursor, char *ret, size_t size)
{
	struct bytes text = cursor_lv16(cursor);

	if (text.size == 0 || text.size >= size || !utf8_valid(text) ||
		memchr(text.data, '\0', text.size) != NULL)
		cursor->err = ERR_MALFORMED;
	else
		memcpy(ret, text.data, text.size);
}

static enum err read_head(struct cursor *cursor, struct disclosure *d, struct errctx *ctx)
{
	uint32_t version;

	if (!cursor_skip(cursor, bytes_str(MAGIC)))
		return err_set(ctx, ERR_MALFORMED, "it does not begin as a disclosure does");
	version = cursor_u32be(cursor);
	if (cursor->err == OK && version != VERSION)
		return err_set(ctx, ERR_VERSION, "a disclosure of version %u", version);
	read_name(cursor, d->network, sizeof(d->network));
	read_name(cursor, d->node, sizeof(d->node));
	d->made_s = cursor_u64be(cursor);
	if (cursor->err != OK || !network_name_valid(bytes_str(d->network)) ||
		!node_name_valid(bytes_str(d->node)))
		return err_set(ctx, ERR_MALFORMED, "the disclosure does not say of which node");
	return OK;
}

static bool log_is_there(const struct disclosure *d, const char *origin)
{
	for (size_t i = 0; i < d->log_count; i++)
		if (strcmp(d->logs[i].origin, origin) == 0)
			return true;
	return false;
}

static enum err read_logs(struct cursor *cursor, struct disclosure *d, struct errctx *ctx)
{
	size_t count = cursor_u16be(cursor);

	if (count > LIMIT_DISCLOSURE_LOGS)
		return err_set(ctx, ERR_LIMIT, "over %d logs", LIMIT_DISCLOSURE_LOGS);
	d->logs = count == 0 ? NULL : mem_zalloc(count * sizeof(*d->logs));
	if (count > 0 && d->logs == NULL)
		return ERR_NOMEM;
	while (d->log_count < count) {
		struct disclosure_log log = {.size = 0};

		read_name(cursor, log.origin, sizeof(log.origin));
		log.size = cursor_u64be(cursor);
		if (cursor->err != OK || log.size == 0 || log.size > LIMIT_LOG_SIZE ||
			log_is_there(d, log.origin))
			return err_set(
				ctx, ERR_MALFORMED, "log %zu is not whole", d->log_count + 1);
		d->logs[d->log_count++] = log;
	}
	return OK;
}

static bool group_disclosed(uint8_t group)
{
	return group == GROUP_AUDIT || group == GROUP_CONSENT;
}

static enum err read_key(struct cursor *cursor, size_t logs, struct disclosure_key *key)
{
	uint8_t group = cursor_u8(cursor);

	key->group = (enum group)group;
	cursor_copy(cursor, key->case_ref.b, sizeof(key->case_ref.b));
	cursor_copy(cursor, key->locators.b, sizeof(key->locators.b));
	for (size_t i = 0; i < logs; i++) {
		uint32_t count = cursor_u32be(cursor);

		if (count > cursor->rest.size / P_SIZE)
			cursor->err = ERR_MALFORMED;
		else
			key->reveals[i] = cursor_take(cursor, (size_t)count * P_SIZE);
	}
	return group_disclosed(group) ? cursor->err : ERR_MALFORMED;
}

static enum err read_keys(struct cursor *cursor, struct disclosure *d, struct errctx *ctx)
{
	size_t count = cursor_u32be(cursor);

	if (count > LIMIT_DISCLOSURE_KEYS)
		return err_set(ctx, ERR_LIMIT, "over %d keys", LIMIT_DISCLOSURE_KEYS);
	/* A key takes no less than this: nobody makes us take memory for what is not there. */
	if (cursor->err != OK ||
		count > cursor->rest.size / (1 + CASE_REF_SIZE + 32 + 4 * d->log_count))
		return err_set(ctx, ERR_MALFORMED, "the disclosure is cut");
	d->keys = count == 0 ? NULL : mem_zalloc(count * sizeof(*d->keys));
	if (count > 0 && d->keys == NULL)
		return ERR_NOMEM;
	for (; d->key_count < count; d->key_count++) {
		struct disclosure_key *key = &d->keys[d->key_count];
		enum err err;

		key->reveals =
			d->log_count == 0 ? NULL : mem_zalloc(d->log_count * sizeof(*key->reveals));
		if (d->log_count > 0 && key->reveals == NULL)
			return ERR_NOMEM;
		err = read_key(cursor, d->log_count, key);
		if (err != OK) {
			mem_free(key->reveals);
			key->reveals = NULL;
			return err_set(ctx, err, "key %zu is not whole", d->key_count + 1);
		}
	}
	return OK;
}

enum err disclosure_parse(struct bytes data, struct disclosure **ret, struct errctx *ctx)
{
	struct cursor cursor = cursor_make(data);
	struct disclosure *d = mem_zalloc(sizeof(*d));
	enum err err;

	if (d == NULL)
		return ERR_NOMEM;
	err = data.size > LIMIT_DISCLOSURE
		      ? err_set(ctx, ERR_LIMIT, "over %d bytes", LIMIT_DISCLOSURE)
		      : read_head(&cursor, d, ctx);
	if (err == OK)
		err = read_logs(&cursor, d, ctx);
	if (err == OK)
		err = read_keys(&cursor, d, ctx);
	if (err == OK && cursor_finish(&cursor) != OK)
		err = err_set(ctx, ERR_MALFORMED, "something stands behind the last key");
	if (err != OK) {
		disclosure_free(d);
		return err;
	}
	*ret = d;
	return OK;
}

size_t disclosure_reveals(const struct disclosure_key *key, size_t log)
{
	return key->reveals[log].size / P_SIZE;
}

void disclosure_reveal(
	const struct disclosure_key *key, size_t log, size_t i, struct seal_reveal *ret)
{
	memcpy(ret->b, key->reveals[log].data + i * P_SIZE, P_SIZE);
}

/* --- writing --- */

void disclosure_put_head(struct buf *out, const struct disclosure *head)
{
	buf_put_str(out, MAGIC);
	buf_put_u32be(out, VERSION);
	buf_put_lv16(out, bytes_str(head->network));
	buf_put_lv16(out, bytes_str(head->node));
	buf_put_u64be(out, head->made_s);
	buf_put_u16be(out, (uint16_t)head->log_count);
	for (size_t i = 0; i < head->log_count; i++) {
		buf_put_lv16(out, bytes_str(head->logs[i].origin));
		buf_put_u64be(out, head->logs[i].size);
	}
	buf_put_u32be(out, (uint32_t)head->key_count);
}

void disclosure_put_key(struct buf *out, const struct disclosure_key *key)
{
	buf_put_u8(out, (uint8_t)key->group);
	buf_put(out, BYTES_ARRAY(key->case_ref.b));
	buf_put(out, BYTES_ARRAY(key->locators.b));
}

void disclosure_put_count(struct buf *out, uint32_t count)
{
	buf_put_u32be(out, count);
}

void disclosure_put_reveal(struct buf *out, const struct seal_reveal *p)
{
	buf_put(out, BYTES_ARRAY(p->b));
}
