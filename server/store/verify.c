/*
 * store_verify: the first fault that tree_check finds ends it.
 */
#include <inttypes.h>

#include "server/store/damage.h"
#include "server/store/tree_check.h"

struct strict {
	struct errctx *ctx;
	uint64_t bad;
};

static enum err strict_fault(void *arg, const struct fault *fault)
{
	struct strict *strict = arg;
	char text[160];

	strict->bad = fault->index;
	return err_set(strict->ctx, ERR_CORRUPT, "%s", fault_text(fault, text, sizeof(text)));
}

static enum err bad(struct strict *strict, uint64_t index)
{
	strict->bad = index;
	return ERR_CORRUPT;
}

static enum err checkpoint_compare(const struct tree_check *check, struct strict *strict)
{
	if (check->note.size == 0)
		return OK;
	if (!check->note_readable) {
		err_set(strict->ctx, ERR_CORRUPT, "its checkpoint is not readable or not its own");
		return bad(strict, 0);
	}
	if (!check->note_covered) {
		err_set(strict->ctx, ERR_CORRUPT,
			"it ends at %" PRIu64 ", before its checkpoint at %" PRIu64, check->size,
			check->checkpoint.size);
		return bad(strict, check->size);
	}
	if (check->note_fits)
		return OK;
	err_set(strict->ctx, ERR_CORRUPT, "its root at %" PRIu64 " is not that of its checkpoint",
		check->checkpoint.size);
	return bad(strict, 0);
}

/* What is marked is known to be damaged, and told in other words. */
static enum err marks_look(struct tree_check *check, struct strict *strict)
{
	struct txn txn;
	uint64_t index;
	enum err err, failed;

	txn_begin(&txn, check->store->env, TXN_READ);
	err = damage_find(&txn, check->log, 0, check->size, &index, strict->ctx);
	failed = txn_finish(&txn, strict->ctx);
	if (failed != OK)
		return failed;
	if (err == ERR_CORRUPT)
		strict->bad = index;
	return err;
}

enum err store_verify(struct store *store, const struct origin *origin, const bool *stop,
	struct store_verify *ret, struct errctx *ctx)
{
	struct strict strict = {ctx, 0};
	struct tree_check check = {
		.store = store,
		.origin = *origin,
		.stop = stop,
		.fault = strict_fault,
		.arg = &strict,
	};
	enum err err = tree_check_run(&check, ctx);

	if (err == OK)
		err = checkpoint_compare(&check, &strict);
	if (err == OK || err == ERR_CORRUPT) {
		struct errctx marked = {""};
		enum err found;

		strict.ctx = &marked;
		found = marks_look(&check, &strict);
		if (found != OK)
			err = err_set(ctx, found, "%s", err_message(&marked, found));
	}
	if (err != OK) {
		buf_release(&check.note);
		if (err == ERR_CORRUPT)
			*ret = (struct store_verify){.size = check.size, .bad_index = strict.bad};
		return err_wrap(ctx, err, "verify log '%s'", origin->text);
	}
	*ret = (struct store_verify){
		.size = check.size,
		.root = check.root,
		.checkpoint = check.note,
		.checkpoint_root = check.checkpoint_root,
	};
	return OK;
}
