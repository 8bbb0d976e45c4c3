/*
 * The table of disputes: id -> record. A row is put once and never changed or deleted. The engine
 * keeps the first few of each node and asks for no more; here is a cap on all, should it err.
 */
#include "base/alloc.h"
#include "server/store/internal.h"

enum { ROWS_MAX = LIMIT_DISPUTES * LIMIT_DIRECTORY_RECORDS };

enum err store_dispute_check(struct txn *txn, const struct store_write *write, struct errctx *ctx)
{
	TRY(write->dispute.err);
	if (txn_count(txn, DB_DISPUTES) >= ROWS_MAX)
		return err_set(ctx, ERR_LIMIT, "%d disputes are held", ROWS_MAX);
	return txn->err;
}

void store_dispute_put(struct txn *txn, const struct store_write *write)
{
	struct bytes key = hash_bytes(&write->dispute_id), value;

	/* A damaged row is mended by the same dispute. */
	if (checked_get(txn, DB_DISPUTES, key, &value) != OK)
		checked_put(txn, DB_DISPUTES, key, buf_bytes(&write->dispute));
}

enum err store_disputes(struct store *store, enum err (*each)(void *arg, struct bytes record),
	void *arg, size_t *ret_damaged, struct errctx *ctx)
{
	struct range range;
	struct bytes value;
	size_t damaged = 0;
	struct txn txn;
	enum err err = OK, failed;

	txn_begin(&txn, store->env, TXN_READ);
	for (bool more = range_first(&range, &txn, DB_DISPUTES, BYTES_NONE, 0); more && err == OK;
		more = range_next(&range)) {
		if (range.key.size != HASH_SIZE ||
			checked_open(range.key, range.value, &value) != OK)
			damaged++;
		else
			err = each(arg, value);
	}
	range_end(&range);
	failed = txn_finish(&txn, ctx);
	err = failed != OK ? failed : err;
	if (err == OK)
		*ret_damaged = damaged;
	return err;
}
