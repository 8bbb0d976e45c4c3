#include "server/store/damage.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "server/store/index.h"

enum err damage_read(struct bytes key, struct bytes row, uint32_t *ret_log, struct damage_mark *ret)
{
	struct damage_mark mark = {0};
	struct bytes value;
	uint64_t last;

	if (key.size != 12 || checked_open(key, row, &value) != OK ||
		(value.size != 8 && value.size != 8 + HASH_SIZE))
		return ERR_CORRUPT;
	last = get_u64be(key.data + 4);
	mark.count = get_u64be(value.data);
	mark.known = value.size > 8;
	if (last >= LIMIT_LOG_SIZE || mark.count == 0 || mark.count > last + 1 ||
		(mark.known && mark.count != 1))
		return ERR_CORRUPT;
	mark.index = last - (mark.count - 1);
	if (mark.known)
		memcpy(mark.expected.b, value.data + 8, HASH_SIZE);
	*ret_log = get_u32be(key.data);
	*ret = mark;
	return OK;
}

/* The first mark that ends at or behind `index`; *ret_found is false when there is none. */
static enum err mark_from(
	struct txn *txn, uint32_t log, uint64_t index, struct damage_mark *ret, bool *ret_found)
{
	struct store_key key = entry_key(log, index);
	struct range range;
	enum err err = OK;
	uint32_t of;

	*ret_found = range_first(&range, txn, DB_DAMAGE, store_key_bytes(&key), 4);
	if (*ret_found)
		err = damage_read(range.key, range.value, &of, ret);
	range_end(&range);
	return txn->err != OK ? txn->err : err;
}

void damage_put(struct txn *txn, uint32_t log, const struct damage_mark *mark)
{
	struct store_key key = entry_key(log, mark->index + mark->count - 1);
	uint8_t value[8 + HASH_SIZE];
	struct damage_mark inside;
	bool found = true;

	while (mark->count > 1 && mark_from(txn, log, mark->index, &inside, &found) == OK &&
		found && inside.index < mark->index + mark->count) {
		struct store_key old = entry_key(log, inside.index + inside.count - 1);

		txn_delete(txn, DB_DAMAGE, store_key_bytes(&old));
	}
	put_u64be(value, mark->count);
	memcpy(value + 8, mark->expected.b, HASH_SIZE);
	checked_put(txn, DB_DAMAGE, store_key_bytes(&key),
		bytes_make(value, mark->known ? sizeof(value) : 8));
}

enum err damage_find(struct txn *txn, uint32_t log, uint64_t first, uint64_t count,
	uint64_t *ret_index, struct errctx *ctx)
{
	struct damage_mark mark;
	bool found;
	enum err err;

	if (txn_count(txn, DB_DAMAGE) == 0)
		return txn->err;
	err = mark_from(txn, log, first, &mark, &found);
	if (err == ERR_CORRUPT && txn->err == OK) {
		*ret_index = first;
		return err_set(ctx, err, "the table of damaged entries is damaged");
	}
	if (err != OK || !found || mark.index >= first + count)
		return err;
	*ret_index = mark.index > first ? mark.index : first;
	return err_set(ctx, ERR_CORRUPT,
		"entry %" PRIu64 " is damaged and marked to be fetched again", *ret_index);
}

static enum err list_add(struct store_damage **list, size_t *count, const struct damage_mark *mark,
	const struct origin *origin)
{
	struct store_damage *grown = mem_resize(*list, (*count + 1) * sizeof(*grown));

	if (grown == NULL)
		return ERR_NOMEM;
	*list = grown;
	grown[(*count)++] = (struct store_damage){.origin = *origin,
		.index = mark->index,
		.count = mark->count,
		.known = mark->known,
		.expected = mark->expected};
	return OK;
}

/* The marks of one log, in order. */
static enum err list_log(struct txn *txn, uint32_t log, const struct origin *origin,
	struct store_damage **list, size_t *count)
{
	struct store_key key = log_key(log);
	struct damage_mark mark;
	struct range range;
	enum err err = OK;
	uint32_t of;

	for (bool more = range_first(&range, txn, DB_DAMAGE, store_key_bytes(&key), key.size);
		more && err == OK; more = range_next(&range)) {
		err = damage_read(range.key, range.value, &of, &mark);
		if (err == OK)
			err = list_add(list, count, &mark, origin);
	}
	range_end(&range);
	return err;
}

static enum err list_all(struct txn *txn, struct store_damage **list, size_t *count)
{
	struct range range;
	enum err err = OK;

	for (bool more = range_first(&range, txn, DB_LOGS, BYTES_NONE, 0); more && err == OK;
		more = range_next(&range)) {
		struct origin origin = {""};
		struct bytes value;

		if (checked_open(range.key, range.value, &value) != OK || value.size != 4 ||
			range.key.size > LIMIT_LOG_NAME) {
			err = ERR_CORRUPT;
			break;
		}
		memcpy(origin.text, range.key.data, range.key.size);
		err = list_log(txn, get_u32be(value.data), &origin, list, count);
	}
	range_end(&range);
	return err;
}

enum err store_damage_list(
	struct store *store, struct store_damage **ret, size_t *ret_count, struct errctx *ctx)
{
	struct store_damage *list = NULL;
	size_t count = 0;
	struct txn txn;
	enum err err = OK, failed;

	txn_begin(&txn, store->env, TXN_READ);
	if (txn_count(&txn, DB_DAMAGE) > 0)
		err = list_all(&txn, &list, &count);
	failed = txn_finish(&txn, ctx);
	err = failed != OK ? failed : err;
	if (err != OK) {
		mem_free(list);
		return err_wrap(ctx, err, "read the table of damaged entries");
	}
	*ret = list;
	*ret_count = count;
	return OK;
}

enum err store_damage_look(struct store *store, const struct origin *origin, struct errctx *ctx)
{
	struct log_row row;
	uint64_t index;
	struct txn txn;
	enum err err, failed;

	txn_begin(&txn, store->env, TXN_READ);
	err = store_row(&txn, origin, &row, ctx);
	if (err == OK)
		err = damage_find(&txn, row.number, 0, LIMIT_LOG_SIZE, &index, ctx);
	failed = txn_finish(&txn, ctx);
	err = failed != OK ? failed : err;
	return err == OK ? OK : err_wrap(ctx, err, "log '%s'", origin->text);
}

/* What fails here is the entry's fault, or its log's. */
enum err damage_heal(struct txn *txn, const struct origin *origin, uint64_t index,
	struct bytes entry, struct errctx *ctx)
{
	struct damage_mark mark;
	struct store_key key;
	struct log_row row;
	struct hash leaf;
	bool found;

	TRY(store_row(txn, origin, &row, ctx));
	TRY(mark_from(txn, row.number, index, &mark, &found));
	if (!found || mark.index > index)
		return err_set(ctx, ERR_NOTFOUND, "entry %" PRIu64 " is not marked", index);
	if (!mark.known)
		return err_set(ctx, ERR_UNSUPPORTED,
			"what should stand at %" PRIu64 " is not known: the log is to be fetched "
			"from there on",
			mark.index);
	if (entry.size == 0 || entry.size > LIMIT_ENTRY_SIZE)
		return err_set(ctx, ERR_PROOF, "that is no entry");
	tree_leaf(entry, &leaf);
	if (!hash_equal(&leaf, &mark.expected))
		return err_set(ctx, ERR_PROOF, "it is not what stood at %" PRIu64, index);
	key = entry_key(row.number, index);
	txn_put(txn, DB_ENTRIES, store_key_bytes(&key), entry);
	txn_delete(txn, DB_DAMAGE, store_key_bytes(&key));
	store_index_drop(txn, row.number);
	return txn->err;
}

enum err store_damage_heal(struct store *store, const struct origin *origin, uint64_t index,
	struct bytes entry, struct errctx *ctx)
{
	struct errctx said = {""};
	struct txn txn;
	enum err err;

	txn_begin(&txn, store->env, TXN_WRITE);
	err = damage_heal(&txn, origin, index, entry, &said);
	if (err != OK)
		txn_fail(&txn, err, "%s", err_message(&said, err));
	err = txn_finish(&txn, ctx);
	return err == OK ? OK : err_wrap(ctx, err, "log '%s'", origin->text);
}
