/*
 * The table of what the witness key was put to: one row a log, u64be seconds since 1970, and the
 * note that the log signed. It never goes down: what is smaller, or another of that size, is
 * refused here too, in the transaction that would write it, whatever was checked before.
 */
#include "base/cursor.h"
#include "server/store/internal.h"

bool store_witness_read(struct bytes value, uint64_t *ret_time_s, struct bytes *ret_note)
{
	struct cursor cursor = cursor_make(value);

	*ret_time_s = cursor_u64be(&cursor);
	*ret_note = cursor.rest;
	return cursor.err == OK && cursor.rest.size > 0 && cursor.rest.size <= LIMIT_NOTE_SIZE;
}

static enum err stored(struct txn *txn, uint32_t log, struct checkpoint *ret)
{
	struct store_key key = log_key(log);
	struct bytes value, note;
	uint64_t time_s;

	TRY(checked_get(txn, DB_WITNESSED, store_key_bytes(&key), &value));
	if (!store_witness_read(value, &time_s, &note) || checkpoint_peek(note, ret, NULL) != OK)
		return ERR_CORRUPT;
	return OK;
}

enum err store_witness_check(struct txn *txn, const struct log_row *row,
	const struct store_write *write, struct errctx *ctx)
{
	struct checkpoint next, before;
	enum err err;

	TRY(write->witness.err);
	if (write->witness.size == 0)
		return OK;
	TRY(checkpoint_peek(buf_bytes(&write->witness), &next, ctx));
	if (strcmp(next.origin.text, write->origin.text) != 0)
		return err_set(ctx, ERR_INVALID, "a note of another log for the witness");
	err = stored(txn, row->number, &before);
	if (err == ERR_NOTFOUND)
		return OK;
	if (err != OK)
		return err_set(ctx, err, "what was witnessed of it is damaged");
	if (next.size < before.size)
		return err_set(ctx, ERR_STALE, "the witness has seen %llu entries of it",
			(unsigned long long)before.size);
	if (next.size == before.size && !hash_equal(&next.root, &before.root))
		return err_set(ctx, ERR_FORK, "the witness has seen another tree of %llu entries",
			(unsigned long long)before.size);
	return OK;
}

void store_witness_put(struct txn *txn, uint32_t log, const struct store_write *write)
{
	struct store_key key = log_key(log);
	struct buf value;

	buf_init(&value, 8 + LIMIT_NOTE_SIZE);
	buf_put_u64be(&value, write->witness_s);
	buf_put(&value, buf_bytes(&write->witness));
	if (value.err != OK)
		txn_fail(txn, value.err, "write: %s", err_text(value.err));
	checked_put(txn, DB_WITNESSED, store_key_bytes(&key), buf_bytes(&value));
	buf_release(&value);
}

enum err store_witness_fill(struct txn *txn, uint32_t log, struct log_head *head)
{
	struct store_key key = log_key(log);
	struct bytes value, note;
	enum err err = checked_get(txn, DB_WITNESSED, store_key_bytes(&key), &value);

	if (err == ERR_NOTFOUND)
		return OK;
	TRY(txn->err);
	buf_init(&head->witness, LIMIT_NOTE_SIZE);
	if (err != OK || !store_witness_read(value, &head->witness_s, &note)) {
		head->witness_damaged = true;
		return OK;
	}
	buf_put(&head->witness, note);
	return head->witness.err;
}
