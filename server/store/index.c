#include "server/store/index.h"

#include <assert.h>
#include <inttypes.h>

#include "base/alloc.h"

enum { SLICE_ENTRIES = 1024, SLICE_CHUNKS = 64 };

enum err index_new(struct index **ret)
{
	struct index *index = mem_zalloc(sizeof(*index));
	int rc;

	if (index == NULL)
		return ERR_NOMEM;
	/* Default attributes: these cannot fail on Linux. */
	rc = pthread_mutex_init(&index->building, NULL);
	assert(rc == 0);
	rc = pthread_mutex_init(&index->mutex, NULL);
	assert(rc == 0);
	tails_init(&index->tails);
	*ret = index;
	return OK;
}

void index_free(struct index *index)
{
	if (index == NULL)
		return;
	tails_release(&index->tails);
	pthread_mutex_destroy(&index->mutex);
	pthread_mutex_destroy(&index->building);
	mem_free(index);
}

enum err index_corrupt(struct run run, const char *what, struct errctx *ctx)
{
	return err_set(ctx, ERR_CORRUPT,
		"run %u/%" PRIu64 " of its index of locators %s; `sautid --fsck --repair` makes it "
		"anew from the entries",
		run.level, run.number, what);
}

enum err index_counts(
	struct txn *txn, uint32_t log, uint64_t size, struct run_counts *ret, struct errctx *ctx)
{
	struct store_key key = log_key(log);
	struct bytes value;

	if (!txn_get(txn, DB_LOCATORS, store_key_bytes(&key), &value)) {
		*ret = (struct run_counts){0};
		return txn->err;
	}
	if (run_counts_read(value, size, ret) == OK)
		return OK;
	return err_set(ctx, ERR_CORRUPT,
		"the head of its index of locators is not readable; `sautid --fsck --repair` makes "
		"the index anew from the entries");
}

void store_index_drop(struct txn *txn, uint32_t log)
{
	struct store_key key = log_key(log);
	struct run_counts counts = {0};
	uint8_t value[RUN_COUNTS_SIZE];
	struct bytes old;

	/* The number only has to be another one. */
	if (txn_get(txn, DB_LOCATORS, store_key_bytes(&key), &old) && old.size >= 8)
		counts.drops = get_u64be(old.data) + 1;
	run_counts_write(&counts, value);
	txn_put(txn, DB_LOCATORS, store_key_bytes(&key), BYTES_ARRAY(value));
}

/* Searching. */

static enum err run_search(struct range *range, const struct index_query *query, struct run run,
	bool *more, struct errctx *ctx)
{
	struct run_item target = {query->prefix, 0};
	struct store_key key = chunk_key(query->log, run, target);
	uint64_t first = run_first(run);

	for (bool here = range_seek(range, store_key_bytes(&key), RUN_KEY_SIZE); here;
		here = range_next(range)) {
		size_t count, i;

		if (chunk_check(range->key, range->value, &count) != OK)
			return index_corrupt(run, "is not readable", ctx);
		for (i = chunk_search(range->value, count, target); i < count && *more; i++) {
			struct run_item item = chunk_item(range->value, i);

			if (item.prefix != query->prefix)
				return OK;
			TRY(query->found(query->arg, first + item.offset, more));
		}
		/* Those that share the eight bytes may go on in the next chunk. */
		if (!*more || chunk_item(range->value, count - 1).prefix > query->prefix)
			return OK;
	}
	return OK;
}

static enum err runs_search(struct txn *txn, const struct index_query *query,
	const struct run_counts *counts, bool *more, struct errctx *ctx)
{
	struct range range;
	enum err err = OK;

	range_open(&range, txn, DB_LOCATORS);
	/* The higher the level, the older the entries. */
	for (unsigned level = RUN_LEVELS; level-- > 0 && err == OK;) {
		struct run run = {level, run_counts_live(counts, level)};

		for (; run.number < counts->of[level] && *more && err == OK; run.number++)
			err = run_search(&range, query, run, more, ctx);
	}
	range_end(&range);
	return err == OK ? txn->err : err;
}

static enum err tail_search_all(
	const struct tail *tail, const struct index_query *query, uint64_t indexed, bool *more)
{
	for (size_t i = tail_search(tail, query->prefix, indexed); i < tail->count && *more; i++) {
		const struct tail_item *item = &tail->items[i];

		if (item->prefix != query->prefix || item->index >= query->size)
			break;
		TRY(query->found(query->arg, item->index, more));
	}
	return OK;
}

enum err index_search(
	struct index *index, struct txn *txn, const struct index_query *query, struct errctx *ctx)
{
	const struct tail *tail;
	struct run_counts counts;
	bool more = true;
	enum err err;

	TRY(index_counts(txn, query->log, query->size, &counts, ctx));
	/* The tail first: with one that is too long nothing has been found yet. */
	if (query->size - run_counts_indexed(&counts) > TAIL_ENTRIES_MAX)
		return ERR_AGAIN;
	TRY(runs_search(txn, query, &counts, &more, ctx));
	if (!more)
		return OK;
	pthread_mutex_lock(&index->mutex);
	err = tails_get(&index->tails, txn, query->log, query->size, &counts, &tail, ctx);
	if (err == OK)
		err = tail_search_all(tail, query, run_counts_indexed(&counts), &more);
	pthread_mutex_unlock(&index->mutex);
	return err;
}

/* Verifying. */

struct check {
	struct store *store;
	const bool *stop;
	struct errctx *ctx;
	struct arena arena;
	uint32_t log;
	uint64_t size;
	struct run_counts counts;
	uint64_t key; /* random: what cancels out in a sum cannot be foreseen */

	/* Of one run. */
	struct run run;
	uint64_t entries_sum, chunks_sum;
	bool any;
	struct run_item last;
};

/* The finaliser of splitmix64: every bit of the input in every bit of the output. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* A sum does not depend on the order: the runs are sorted, the entries are not. */
static uint64_t item_mix(const struct check *check, uint64_t prefix, uint64_t offset)
{
	return mix(prefix ^ mix(offset ^ check->key));
}

static enum err entry_sum(void *arg, uint64_t prefix, uint64_t index)
{
	struct check *check = arg;

	check->entries_sum += item_mix(check, prefix, index - run_first(check->run));
	return OK;
}

static enum err chunk_sum(struct check *check, struct bytes chunk, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct run_item item = chunk_item(chunk, i);

		if ((check->any && run_item_compare(&check->last, &item) >= 0) ||
			item.offset >= run_entries(check->run.level))
			return index_corrupt(check->run, "is not in order", check->ctx);
		check->chunks_sum += item_mix(check, item.prefix, item.offset);
		check->last = item;
		check->any = true;
	}
	return OK;
}

static enum err check_stopped(const struct check *check)
{
	if (check->stop != NULL && __atomic_load_n(check->stop, __ATOMIC_RELAXED))
		return err_set(check->ctx, ERR_CANCELED, "stopped");
	return OK;
}

static enum err entries_slice(struct check *check, struct txn *txn, uint64_t *at, uint64_t end)
{
	struct locators_scan scan = {check->log, *at, end, entry_sum, check};

	if (scan.end > *at + SLICE_ENTRIES)
		scan.end = *at + SLICE_ENTRIES;
	TRY(locators_scan(txn, &check->arena, &scan, check->ctx));
	*at = scan.end;
	return OK;
}

/* From behind check->last on; *ret_end when there is none. */
static enum err chunks_slice(struct check *check, struct txn *txn, bool *ret_end)
{
	struct store_key key = run_key(check->log, check->run);
	struct range range;
	size_t slice = 0, count;
	enum err err = OK;
	bool more;

	if (check->any) {
		struct run_item next = check->last;

		if (++next.offset == 0)
			next.prefix++;
		key = chunk_key(check->log, check->run, next);
	}
	for (more = range_first(&range, txn, DB_LOCATORS, store_key_bytes(&key), RUN_KEY_SIZE);
		more && err == OK && slice < SLICE_CHUNKS; more = range_next(&range), slice++) {
		if (chunk_check(range.key, range.value, &count) != OK)
			err = index_corrupt(check->run, "is not readable", check->ctx);
		else
			err = chunk_sum(check, range.value, count);
	}
	range_end(&range);
	*ret_end = !more;
	return err == OK ? txn->err : err;
}

static enum err run_check(struct check *check)
{
	uint64_t at = run_first(check->run), end = at + run_entries(check->run.level);
	bool chunks_end = false;

	check->entries_sum = check->chunks_sum = 0;
	check->any = false;
	while (at < end || !chunks_end) {
		struct txn txn;
		enum err err, failed;

		TRY(check_stopped(check));
		txn_begin(&txn, check->store->env, TXN_READ);
		err = at < end ? entries_slice(check, &txn, &at, end)
			       : chunks_slice(check, &txn, &chunks_end);
		failed = txn_finish(&txn, check->ctx);
		TRY(failed != OK ? failed : err);
	}
	if (check->entries_sum != check->chunks_sum)
		return index_corrupt(check->run, "does not match its entries", check->ctx);
	return OK;
}

static enum err check_start(struct check *check, const struct origin *origin)
{
	struct log_row row;
	struct txn txn;
	enum err err, failed;

	txn_begin(&txn, check->store->env, TXN_READ);
	err = store_row(&txn, origin, &row, check->ctx);
	if (err == OK) {
		check->log = row.number;
		err = index_counts(&txn, row.number, row.size, &check->counts, check->ctx);
	}
	failed = txn_finish(&txn, check->ctx);
	return failed != OK ? failed : err;
}

static enum err check_run(struct check *check, const struct origin *origin)
{
	uint8_t key[8];

	TRY(random_bytes(key, sizeof(key)));
	check->key = get_u64be(key);
	TRY(check_start(check, origin));
	for (unsigned level = RUN_LEVELS; level-- > 0;) {
		check->run = (struct run){level, run_counts_live(&check->counts, level)};
		for (; check->run.number < check->counts.of[level]; check->run.number++)
			TRY(run_check(check));
	}
	return OK;
}

enum err store_index_verify(
	struct store *store, const struct origin *origin, const bool *stop, struct errctx *ctx)
{
	struct check check = {.store = store, .stop = stop, .ctx = ctx};
	enum err err;

	arena_init(&check.arena, LIMIT_ARENA_SIZE);
	pthread_mutex_lock(&store->index->building);
	err = check_run(&check, origin);
	pthread_mutex_unlock(&store->index->building);
	arena_release(&check.arena);
	return err == OK ? OK : err_wrap(ctx, err, "verify log '%s'", origin->text);
}
