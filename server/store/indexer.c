/*
 * The happy path of one log:
 *
 *	1. what is left over is removed: runs that were merged, runs that are not complete
 *	2. while four runs of a level are complete and not merged: they are read side by side, a
 *	   slice at a time, each slice is written as chunks of the new run, and with the last one
 *	   the row says that it is complete; again 1
 *	3. while a block of entries is complete and in no run: the locators of the largest run that
 *	   fits are read and sorted, and written in the same way; again 2
 *
 * Every slice is written only if the row still says what it said at the start: a log whose index
 * was dropped meanwhile is left as it is, for the next pass.
 */
#include "server/store/indexer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"

enum {
	SLICE_CHUNKS = 64,
	SLICE_ITEMS = SLICE_CHUNKS * CHUNK_ITEMS,
	SLICE_SIZE = SLICE_ITEMS * CHUNK_ITEM_SIZE, /* 261,120 bytes */
	SLICE_ENTRIES = 4096,                       /* read in one transaction */
	DELETE_CHUNKS = 512,                        /* deleted in one */
	DELAY_MS = 1000,                            /* from the first commit to the pass */
	RETRY_MS = 10000,
};
_Static_assert(SLICE_SIZE <= 256 * 1024, "the writer waits for one slice");

/* One log in a pass. */
struct job {
	struct store *store;
	const bool *stop;
	struct errctx *ctx;
	uint32_t log;
	uint64_t size;
	struct run_counts counts;

	struct arena arena;
	uint8_t chunk[CHUNK_ITEMS * CHUNK_ITEM_SIZE];

	/* The run that is made: items to be written, in order. */
	struct run run;
	struct run_item *items;
	size_t count, capacity;
};

static enum err job_stopped(const struct job *job)
{
	if (job->stop != NULL && __atomic_load_n(job->stop, __ATOMIC_RELAXED))
		return err_set(job->ctx, ERR_CANCELED, "stopped");
	return OK;
}

static enum err item_add(struct job *job, struct run_item item)
{
	if (job->count == job->capacity) {
		size_t capacity = job->capacity > 0 ? 2 * job->capacity : RUN_ENTRIES;
		struct run_item *items = mem_resize(job->items, capacity * sizeof(*items));

		if (items == NULL)
			return ERR_NOMEM;
		job->items = items;
		job->capacity = capacity;
	}
	job->items[job->count++] = item;
	return OK;
}

/* Writing. */

/* The row as it is must be the one that this job began with. */
static bool row_unchanged(struct job *job, struct txn *txn)
{
	struct run_counts now;
	enum err err = index_counts(txn, job->log, UINT64_MAX, &now, job->ctx);

	if (err == OK && memcmp(&now, &job->counts, sizeof(now)) != 0)
		err = err_set(job->ctx, ERR_STALE, "the index was dropped meanwhile");
	if (err != OK)
		txn_fail(txn, err, "%s", err_message(job->ctx, err));
	return err == OK;
}

static void chunks_put(struct job *job, struct txn *txn, const struct run_item *items, size_t count)
{
	struct append append;

	append_begin(&append, txn, DB_LOCATORS);
	while (count > 0) {
		size_t here = count < CHUNK_ITEMS ? count : CHUNK_ITEMS;
		struct store_key key = chunk_key(job->log, job->run, items[here - 1]);

		chunk_write(items, here, job->chunk);
		append_put(&append, store_key_bytes(&key),
			bytes_make(job->chunk, here * CHUNK_ITEM_SIZE));
		items += here;
		count -= here;
	}
	append_end(&append);
}

static void row_put(struct job *job, struct txn *txn, const struct run_counts *counts)
{
	struct store_key key = log_key(job->log);
	uint8_t value[RUN_COUNTS_SIZE];

	run_counts_write(counts, value);
	txn_put(txn, DB_LOCATORS, store_key_bytes(&key), BYTES_ARRAY(value));
}

/* One transaction: at most SLICE_ITEMS items, and with the last ones the new row. */
static enum err slice_write(struct job *job, const struct run_item *items, size_t count,
	const struct run_counts *complete)
{
	struct txn txn;

	TRY(job_stopped(job));
	txn_begin(&txn, job->store->env, TXN_WRITE);
	if (row_unchanged(job, &txn)) {
		chunks_put(job, &txn, items, count);
		if (complete != NULL)
			row_put(job, &txn, complete);
	}
	TRY(txn_finish(&txn, job->ctx));
	if (complete != NULL)
		job->counts = *complete;
	return OK;
}

/* 1. What is left over. */

/* The first run of a level, not below `from`, that has anything in the table. */
static bool level_first(
	struct job *job, struct range *range, unsigned level, uint64_t from, uint64_t *ret)
{
	enum { LEVEL_SIZE = 5 };
	struct store_key key = run_key(job->log, (struct run){level, from});

	if (!range_seek(range, store_key_bytes(&key), LEVEL_SIZE) || range->key.size < RUN_KEY_SIZE)
		return false;
	*ret = get_u64be(range->key.data + LEVEL_SIZE);
	return true;
}

/* A run of which something is there and that is not alive: merged, or not complete. */
static bool leftover_find(struct job *job, struct txn *txn, struct run *ret)
{
	const struct run_counts *counts = &job->counts;
	struct range range;
	bool found = false;

	range_open(&range, txn, DB_LOCATORS);
	for (unsigned level = 0; level < RUN_LEVELS && !found; level++) {
		ret->level = level;
		found = (level_first(job, &range, level, 0, &ret->number) &&
				ret->number < run_counts_live(counts, level)) ||
			level_first(job, &range, level, counts->of[level], &ret->number);
	}
	range_end(&range);
	return found;
}

static enum err leftovers_remove(struct job *job)
{
	for (;;) {
		struct store_key key;
		struct run run;
		struct txn txn;
		bool found;

		TRY(job_stopped(job));
		txn_begin(&txn, job->store->env, TXN_READ);
		found = leftover_find(job, &txn, &run);
		TRY(txn_finish(&txn, job->ctx));
		if (!found)
			return OK;
		key = run_key(job->log, run);
		txn_begin(&txn, job->store->env, TXN_WRITE);
		if (row_unchanged(job, &txn))
			(void)txn_delete_some(
				&txn, DB_LOCATORS, store_key_bytes(&key), DELETE_CHUNKS);
		TRY(txn_finish(&txn, job->ctx));
	}
}

/* 2. Merging. */

/* One of the runs that are merged, at its next item. */
struct input {
	struct run run;
	uint32_t shift; /* of its offsets in the new run */
	struct range range;
	size_t at, count; /* in the chunk */
	bool open, more;
	struct run_item item;
};

/* Takes the item at its place in the chunk; ERR_CORRUPT when it is not above the last one. */
static enum err input_take(struct input *input, const struct run_item *last, struct errctx *ctx)
{
	struct run_item item = chunk_item(input->range.value, input->at);

	if (item.offset >= run_entries(input->run.level))
		return index_corrupt(input->run, "is not in order", ctx);
	item.offset += input->shift;
	if (last != NULL && run_item_compare(last, &item) >= 0)
		return index_corrupt(input->run, "is not in order", ctx);
	input->item = item;
	return OK;
}

static enum err input_chunk(struct input *input, struct errctx *ctx)
{
	if (!input->more)
		return OK;
	if (chunk_check(input->range.key, input->range.value, &input->count) != OK)
		return index_corrupt(input->run, "is not readable", ctx);
	input->at = 0;
	return OK;
}

static enum err input_next(struct input *input, struct errctx *ctx)
{
	struct run_item last = input->item;

	if (++input->at == input->count) {
		input->more = range_next(&input->range);
		TRY(input_chunk(input, ctx));
	}
	return input->more ? input_take(input, &last, ctx) : OK;
}

/* At its first item above `after` (NULL: its first). */
static enum err input_open(struct input *input, struct txn *txn, uint32_t log,
	const struct run_item *after, struct errctx *ctx)
{
	uint64_t entries = run_entries(input->run.level), skip = 0;
	struct run_item from = {0, 0};
	struct store_key key;

	/* The same place among this run's own offsets. */
	if (after != NULL) {
		from.prefix = after->prefix;
		if (after->offset >= input->shift)
			skip = (uint64_t)(after->offset - input->shift) + 1;
		from.offset = (uint32_t)(skip < entries ? skip : entries);
	}
	key = chunk_key(log, input->run, from);
	range_open(&input->range, txn, DB_LOCATORS);
	input->open = true;
	input->more = range_seek(&input->range, store_key_bytes(&key), RUN_KEY_SIZE);
	TRY(input_chunk(input, ctx));
	if (!input->more)
		return OK;
	input->at = chunk_search(input->range.value, input->count, from);
	if (input->at == input->count)
		return index_corrupt(input->run, "is not in order", ctx);
	return input_take(input, after, ctx);
}

static struct input *input_least(struct input *inputs)
{
	struct input *least = NULL;

	for (unsigned i = 0; i < RUN_FAN; i++) {
		if (inputs[i].more &&
			(least == NULL || run_item_compare(&inputs[i].item, &least->item) < 0))
			least = &inputs[i];
	}
	return least;
}

/* Fills job->items with what comes behind `after`; *ret_end when that was all. */
static enum err inputs_merge(struct job *job, struct input *inputs, struct txn *txn,
	const struct run_item *after, bool *ret_end)
{
	struct input *least;

	for (unsigned i = 0; i < RUN_FAN; i++)
		TRY(input_open(&inputs[i], txn, job->log, after, job->ctx));
	job->count = 0;
	while ((least = input_least(inputs)) != NULL && job->count < SLICE_ITEMS) {
		TRY(item_add(job, least->item));
		TRY(input_next(least, job->ctx));
	}
	*ret_end = least == NULL;
	return OK;
}

static enum err merge_slice(struct job *job, const struct run_item *after, bool *ret_end)
{
	uint64_t entries = run_entries(job->run.level - 1);
	struct input inputs[RUN_FAN] = {0};
	struct txn txn;
	enum err err, failed;

	for (unsigned i = 0; i < RUN_FAN; i++) {
		inputs[i].run = (struct run){job->run.level - 1, job->run.number * RUN_FAN + i};
		inputs[i].shift = (uint32_t)(i * entries);
	}
	txn_begin(&txn, job->store->env, TXN_READ);
	err = inputs_merge(job, inputs, &txn, after, ret_end);
	for (unsigned i = 0; i < RUN_FAN; i++) {
		if (inputs[i].open)
			range_end(&inputs[i].range);
	}
	failed = txn_finish(&txn, job->ctx);
	return failed != OK ? failed : err;
}

static enum err run_merge(struct job *job)
{
	struct run_counts complete = job->counts;
	struct run_item last;
	bool any = false, end = false;

	run_counts_merged(&complete, job->run);
	while (!end) {
		TRY(merge_slice(job, any ? &last : NULL, &end));
		if (job->count > 0) {
			last = job->items[job->count - 1];
			any = true;
		}
		TRY(slice_write(job, job->items, job->count, end ? &complete : NULL));
	}
	return OK;
}

/* 3. Building. */

static enum err entry_add(void *arg, uint64_t prefix, uint64_t index)
{
	struct job *job = arg;

	return item_add(job, (struct run_item){prefix, (uint32_t)(index - run_first(job->run))});
}

static enum err entries_read(struct job *job)
{
	uint64_t first = run_first(job->run), end = first + run_entries(job->run.level);

	job->count = 0;
	for (; first < end; first += SLICE_ENTRIES) {
		struct locators_scan scan = {
			job->log, first, first + SLICE_ENTRIES, entry_add, job};
		struct txn txn;
		enum err err, failed;

		TRY(job_stopped(job));
		txn_begin(&txn, job->store->env, TXN_READ);
		err = locators_scan(&txn, &job->arena, &scan, job->ctx);
		failed = txn_finish(&txn, job->ctx);
		TRY(failed != OK ? failed : err);
	}
	return OK;
}

static enum err run_build(struct job *job)
{
	struct run_counts complete = job->counts;
	size_t done = 0;

	TRY(entries_read(job));
	if (job->count > 0)
		qsort(job->items, job->count, sizeof(*job->items), run_item_compare);
	run_counts_built(&complete, job->run);
	for (; job->count - done > SLICE_ITEMS; done += SLICE_ITEMS)
		TRY(slice_write(job, job->items + done, SLICE_ITEMS, NULL));
	return slice_write(job, job->items + done, job->count - done, &complete);
}

/* Passes. */

static enum err job_run(struct job *job)
{
	for (;;) {
		TRY(leftovers_remove(job));
		if (run_counts_merge(&job->counts, &job->run))
			TRY(run_merge(job));
		else if (run_counts_build(&job->counts, job->size, &job->run))
			TRY(run_build(job));
		else
			return OK;
	}
}

/* The size and the row of one log; size 0 for one whose head is not readable. */
static enum err job_load(struct job *job, uint32_t log)
{
	struct store_key key = log_key(log);
	struct bytes head;
	struct txn txn;
	enum err err = OK, failed;

	job->log = log;
	job->size = 0;
	txn_begin(&txn, job->store->env, TXN_READ);
	/* A head that is damaged is another's to tell of. */
	if (checked_get(&txn, DB_HEADS, store_key_bytes(&key), &head) == OK && head.size >= 8) {
		job->size = get_u64be(head.data);
		err = index_counts(&txn, log, job->size, &job->counts, job->ctx);
	}
	failed = txn_finish(&txn, job->ctx);
	return failed != OK ? failed : err;
}

static enum err logs_count(struct store *store, uint32_t *ret, struct errctx *ctx)
{
	struct txn txn;
	uint64_t count;

	txn_begin(&txn, store->env, TXN_READ);
	count = txn_count(&txn, DB_LOGS);
	TRY(txn_finish(&txn, ctx));
	*ret = count < LIMIT_LOGS ? (uint32_t)count : LIMIT_LOGS;
	return OK;
}

/* Says of which log the error is. */
static void log_wrap(struct store *store, uint32_t log, enum err err, struct errctx *ctx)
{
	struct range range;
	struct bytes value;
	struct txn txn;
	bool found = false;

	txn_begin(&txn, store->env, TXN_READ);
	for (bool more = range_first(&range, &txn, DB_LOGS, BYTES_NONE, 0); more && !found;
		more = range_next(&range)) {
		found = checked_open(range.key, range.value, &value) == OK && value.size == 4 &&
			get_u32be(value.data) == log;
		if (found)
			err_wrap(ctx, err, "index log '%.*s'", BYTES_FMT(range.key));
	}
	range_end(&range);
	if (txn_finish(&txn, NULL) != OK || !found)
		err_wrap(ctx, err, "index log number %" PRIu32, log);
}

static enum err pass_run(struct job *job, struct errctx *ctx)
{
	enum err first = OK;
	uint32_t logs;

	TRY(logs_count(job->store, &logs, ctx));
	for (uint32_t log = 0; log < logs && first != ERR_CANCELED; log++) {
		struct errctx said = {""};
		enum err err;

		job->ctx = &said;
		err = job_load(job, log);
		if (err == OK && job->size >= RUN_ENTRIES)
			err = job_run(job);
		if (err == OK || err == ERR_STALE || first != OK)
			continue;
		first = err;
		if (ctx != NULL)
			*ctx = said;
		log_wrap(job->store, log, err, ctx);
	}
	return first;
}

enum err store_index_run(struct store *store, const bool *stop, struct errctx *ctx)
{
	struct job *job = mem_zalloc(sizeof(*job));
	enum err err;

	if (job == NULL)
		return ERR_NOMEM;
	job->store = store;
	job->stop = stop;
	arena_init(&job->arena, LIMIT_ARENA_SIZE);
	pthread_mutex_lock(&store->index->building);
	err = pass_run(job, ctx);
	pthread_mutex_unlock(&store->index->building);
	arena_release(&job->arena);
	mem_free(job->items);
	mem_free(job);
	return err;
}

/* The thread. */

struct indexer {
	struct store *store;
	pthread_t thread;
	bool stop; /* atomic: a pass polls it */

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t changed;
	bool woken;
	enum err err; /* of the last pass */
	struct errctx failure;
};

static void wait_ms(struct indexer *indexer, long ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	while (!indexer->stop &&
		pthread_cond_timedwait(&indexer->changed, &indexer->mutex, &until) == 0)
		;
}

static void *indexer_main(void *arg)
{
	struct indexer *indexer = arg;

	pthread_mutex_lock(&indexer->mutex);
	while (!indexer->stop) {
		struct errctx ctx = {""};
		enum err err;

		if (!indexer->woken) {
			pthread_cond_wait(&indexer->changed, &indexer->mutex);
			continue;
		}
		wait_ms(indexer, indexer->err == OK ? DELAY_MS : RETRY_MS);
		if (indexer->stop)
			break;
		indexer->woken = false;
		pthread_mutex_unlock(&indexer->mutex);
		err = store_index_run(indexer->store, &indexer->stop, &ctx);
		pthread_mutex_lock(&indexer->mutex);
		indexer->err = err == ERR_CANCELED ? OK : err;
		indexer->failure = ctx;
		indexer->woken |= err != OK;
	}
	pthread_mutex_unlock(&indexer->mutex);
	return NULL;
}

/* Default attributes, but for the clock: these cannot fail on Linux. */
static void locks_init(struct indexer *indexer)
{
	pthread_condattr_t attributes;
	int rc = pthread_mutex_init(&indexer->mutex, NULL);

	assert(rc == 0);
	rc = pthread_condattr_init(&attributes);
	assert(rc == 0);
	rc = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	assert(rc == 0);
	rc = pthread_cond_init(&indexer->changed, &attributes);
	assert(rc == 0);
	pthread_condattr_destroy(&attributes);
}

static void indexer_free(struct indexer *indexer)
{
	pthread_cond_destroy(&indexer->changed);
	pthread_mutex_destroy(&indexer->mutex);
	mem_free(indexer);
}

enum err indexer_start(struct store *store, struct indexer **ret, struct errctx *ctx)
{
	struct indexer *indexer = mem_zalloc(sizeof(*indexer));
	int rc;

	if (indexer == NULL)
		return ERR_NOMEM;
	indexer->store = store;
	indexer->woken = true; /* for what an earlier one left */
	locks_init(indexer);
	rc = pthread_create(&indexer->thread, NULL, indexer_main, indexer);
	if (rc != 0) {
		indexer_free(indexer);
		return err_set(ctx, ERR_NOMEM, "start the indexer thread: %s", strerror(rc));
	}
	*ret = indexer;
	return OK;
}

void indexer_wake(struct indexer *indexer)
{
	pthread_mutex_lock(&indexer->mutex);
	if (!indexer->woken)
		pthread_cond_signal(&indexer->changed);
	indexer->woken = true;
	pthread_mutex_unlock(&indexer->mutex);
}

enum err indexer_failure(struct indexer *indexer, struct errctx *ctx)
{
	enum err err;

	pthread_mutex_lock(&indexer->mutex);
	err = indexer->err;
	if (err != OK && ctx != NULL)
		*ctx = indexer->failure;
	pthread_mutex_unlock(&indexer->mutex);
	return err;
}

void indexer_stop(struct indexer *indexer)
{
	int rc;

	if (indexer == NULL)
		return;
	pthread_mutex_lock(&indexer->mutex);
	__atomic_store_n(&indexer->stop, true, __ATOMIC_RELAXED);
	pthread_cond_signal(&indexer->changed);
	pthread_mutex_unlock(&indexer->mutex);
	rc = pthread_join(indexer->thread, NULL);
	assert(rc == 0);
	indexer_free(indexer);
}
