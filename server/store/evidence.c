/*
 * The table of evidence: id -> message. A row is put once and never changed or deleted; how many
 * there may be of one origin and in all is a cap, so that an author who forks without end costs a
 * few rows: the first of each origin is what counts.
 */
#include "replication/log/evidence.h"
#include "base/alloc.h"
#include "server/store/internal.h"

static enum err origin_of(struct bytes message, struct origin *ret, struct errctx *ctx)
{
	struct evidence evidence;
	struct arena arena;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	enum err err = evidence_parse(message, &arena, &evidence, ctx);

	if (err == OK)
		*ret = evidence.smaller.origin;
	arena_release(&arena);
	return err;
}

static size_t count_of(struct txn *txn, const struct origin *origin)
{
	struct range range;
	struct bytes value;
	size_t count = 0;

	for (bool more = range_first(&range, txn, DB_EVIDENCE, BYTES_NONE, 0); more;
		more = range_next(&range)) {
		struct origin other;

		if (checked_open(range.key, range.value, &value) == OK &&
			origin_of(value, &other, NULL) == OK)
			count += strcmp(other.text, origin->text) == 0;
	}
	range_end(&range);
	return count;
}

enum err store_evidence_check(struct txn *txn, const struct store_write *write, struct errctx *ctx)
{
	struct origin origin;
	struct bytes row;

	TRY(write->evidence.err);
	TRY(origin_of(buf_bytes(&write->evidence), &origin, ctx));
	if (txn_get(txn, DB_EVIDENCE, hash_bytes(&write->evidence_id), &row))
		return OK;
	size_t count = count_of(txn, &origin);

	/* The first of a log always has room; of logs there are not more. */
	if (txn_count(txn, DB_EVIDENCE) >= LIMIT_EVIDENCE + (count == 0 ? LIMIT_LOGS : 0))
		return err_set(ctx, ERR_LIMIT, "%d evidences are held", LIMIT_EVIDENCE);
	if (count >= LIMIT_EVIDENCE_PER_ORIGIN)
		return err_set(ctx, ERR_LIMIT, "%d evidences of this log are held",
			LIMIT_EVIDENCE_PER_ORIGIN);
	return txn->err;
}

void store_evidence_put(struct txn *txn, const struct store_write *write)
{
	struct bytes key = hash_bytes(&write->evidence_id), value;

	/* A damaged row is mended by the same evidence. */
	if (checked_get(txn, DB_EVIDENCE, key, &value) != OK)
		checked_put(txn, DB_EVIDENCE, key, buf_bytes(&write->evidence));
}

static enum err item_add(
	struct store_evidence **list, size_t *count, struct bytes key, struct bytes value)
{
	struct store_evidence *grown = mem_resize(*list, (*count + 1) * sizeof(**list));

	if (grown == NULL)
		return ERR_NOMEM;
	*list = grown;
	struct store_evidence *item = &grown[(*count)++];

	memcpy(item->id.b, key.data, HASH_SIZE);
	buf_init(&item->message, LIMIT_EVIDENCE_SIZE);
	buf_put(&item->message, value);
	return item->message.err;
}

enum err store_evidence_list(struct store *store, struct store_evidence **ret, size_t *ret_count,
	size_t *ret_damaged, struct errctx *ctx)
{
	struct store_evidence *list = NULL;
	size_t count = 0, damaged = 0;
	struct range range;
	struct bytes value;
	struct txn txn;
	enum err err = OK, failed;

	txn_begin(&txn, store->env, TXN_READ);
	for (bool more = range_first(&range, &txn, DB_EVIDENCE, BYTES_NONE, 0); more && err == OK;
		more = range_next(&range)) {
		if (range.key.size != HASH_SIZE ||
			checked_open(range.key, range.value, &value) != OK ||
			value.size > LIMIT_EVIDENCE_SIZE)
			damaged++;
		else
			err = item_add(&list, &count, range.key, value);
	}
	range_end(&range);
	failed = txn_finish(&txn, ctx);
	err = failed != OK ? failed : err;
	if (err != OK) {
		store_evidence_free(list, count);
		return err_wrap(ctx, err, "read evidence");
	}
	*ret = list;
	*ret_count = count;
	*ret_damaged = damaged;
	return OK;
}

void store_evidence_free(struct store_evidence *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buf_release(&list[i].message);
	mem_free(list);
}
