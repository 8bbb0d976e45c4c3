/*
 * The happy path of one group:
 *
 *	1. the thread takes what is queued, at most GROUP_WRITES or GROUP_BYTES
 *	2. each write is checked against the store as the transaction sees it, thus behind the
 *writes before it in the group; one that does not fit fails alone, before anything is put
 *	3. entries, tiles, head, cosignature of each; the locators of all, sorted, at the end
 *	4. the commit number, one commit with a sync
 *	5. all of the group goes to `done`, wake
 *
 * What fails in 3 or 4 (disk, map, memory) fails the group: nothing of it happened. The thread goes
 * on with the next group.
 */
#include "server/store/writer.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "server/store/internal.h"

enum { GROUP_WRITES = 4096, GROUP_BYTES = 16 * 1024 * 1024 };

struct list {
	struct store_write *first, **last;
};

/* Keys of the index of locators that one group adds. */
struct locators {
	struct store_key *keys;
	size_t count, capacity;
};

struct writer {
	struct store *store;
	void (*wake)(void *arg);
	void *arg;
	pthread_t thread;
	bool joined;

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t queued_or_stopping;
	struct list queue, done;
	struct errctx failure; /* of the first failed write in done */
	bool stopping;

	/* The thread's own. */
	struct arena arena;
	struct locators locators;
	uint8_t tile[TILE_SIZE];
};

static void list_init(struct list *list)
{
	list->first = NULL;
	list->last = &list->first;
}

static void list_add(struct list *list, struct store_write *write)
{
	write->next = NULL;
	*list->last = write;
	list->last = &write->next;
}

static struct store_write *list_shift(struct list *list)
{
	struct store_write *write = list->first;

	list->first = write->next;
	if (list->first == NULL)
		list->last = &list->first;
	write->next = NULL;
	return write;
}

/* Checks. Errors here are the write's own. */

/* The tiles at the right edge are what the next entry stands on. */
static enum err edge_check(struct txn *txn, const struct log_row *row, struct errctx *ctx)
{
	struct store_tiles tiles = {txn, row->number};

	for (unsigned level = 0; level < TILE_LEVELS; level++) {
		struct tile_id id = {level, (row->size >> (8 * level)) / TILE_WIDTH};
		unsigned width = tile_width(id, row->size);
		struct bytes tile;
		enum err err;

		if (width == 0)
			continue;
		err = store_tiles_read(&tiles, id, width, &tile);
		if (err != OK)
			return err_set(
				ctx, err, "tile %u/%" PRIu64 " is not whole", level, id.index);
	}
	return OK;
}

static enum err checkpoint_check(const struct store_write *write, uint64_t size, struct errctx *ctx)
{
	struct checkpoint checkpoint;

	TRY(write->checkpoint.err);
	if (write->checkpoint.size == 0)
		return OK;
	TRY(checkpoint_peek(buf_bytes(&write->checkpoint), &checkpoint, ctx));
	if (strcmp(checkpoint.origin.text, write->origin.text) != 0)
		return err_set(ctx, ERR_INVALID, "the checkpoint is of another log");
	if (checkpoint.size > size)
		return err_set(ctx, ERR_INVALID,
			"a checkpoint of %" PRIu64 " entries when %" PRIu64 " are held",
			checkpoint.size, size);
	return OK;
}

/* ret_row is the log's row as it is, or that of a new one (*ret_new). */
static enum err write_check(struct txn *txn, const struct store_write *write,
	struct log_row *ret_row, bool *ret_new, struct errctx *ctx)
{
	size_t count = write->entries != NULL ? write->entries->count : 0;
	struct log_row row = {0};
	bool new = false;
	uint64_t logs;
	enum err err;

	TRY(origin_parse(bytes_str(write->origin.text), NULL, NULL));
	err = store_row(txn, &write->origin, &row, ctx);
	if (err == ERR_NOTFOUND) {
		new = true;
		*ctx = (struct errctx){""};
		logs = txn_count(txn, DB_LOGS);
		if (logs >= LIMIT_LOGS)
			return err_set(ctx, ERR_LIMIT, "%d logs are held already", LIMIT_LOGS);
		row = (struct log_row){.number = (uint32_t)logs};
	} else if (err != OK) {
		return err;
	}
	if (count > 0 && write->first != row.size)
		return err_set(ctx, ERR_INVALID,
			"entries from %" PRIu64 " do not follow the %" PRIu64 " held", write->first,
			row.size);
	if (count > LIMIT_LOG_SIZE - row.size)
		return err_set(ctx, ERR_LIMIT, "the log is full");
	if (count > 0)
		TRY(edge_check(txn, &row, ctx));
	TRY(checkpoint_check(write, row.size + count, ctx));
	TRY(write->cosignature.err);
	*ret_row = row;
	*ret_new = new;
	return OK;
}

/* Puts. Errors here stick in the transaction: they fail the group. */

struct tile_put {
	struct store_tiles stored;
	uint8_t *copy;
};

/* Pages may move under a write: the view is of a copy. */
static enum err tile_put_read(void *arg, struct tile_id id, unsigned width, struct bytes *ret)
{
	struct tile_put *put = arg;
	struct bytes view;

	TRY(store_tiles_read(&put->stored, id, width, &view));
	memcpy(put->copy, view.data, view.size);
	*ret = bytes_make(put->copy, view.size);
	return OK;
}

static enum err tile_put_write(void *arg, struct tile_id id, struct bytes hashes)
{
	struct tile_put *put = arg;
	struct store_key key = tile_key(put->stored.log, id);

	txn_put(put->stored.txn, DB_TILES, store_key_bytes(&key), hashes);
	return put->stored.txn->err;
}

static enum err locators_add(struct locators *locators, const struct store_key *key)
{
	size_t capacity = locators->capacity > 0 ? 2 * locators->capacity : 256;
	struct store_key *keys;

	if (locators->count == locators->capacity) {
		if (capacity > SIZE_MAX / sizeof(*keys))
			return ERR_NOMEM;
		keys = mem_resize(locators->keys, capacity * sizeof(*keys));
		if (keys == NULL)
			return ERR_NOMEM;
		locators->keys = keys;
		locators->capacity = capacity;
	}
	locators->keys[locators->count++] = *key;
	return OK;
}

static int locators_compare(const void *a, const void *b)
{
	const struct store_key *left = a, *right = b;

	return memcmp(left->b, right->b, sizeof(left->b));
}

/* Locators are random: in order, each page of the index is touched once. */
static void locators_put(struct txn *txn, struct locators *locators)
{
	if (locators->count == 0)
		return;
	qsort(locators->keys, locators->count, sizeof(*locators->keys), locators_compare);
	for (size_t i = 0; i < locators->count; i++)
		txn_put(txn, DB_LOCATORS, store_key_bytes(&locators->keys[i]), BYTES_NONE);
}

static void entries_put(struct writer *writer, struct txn *txn, const struct log_row *row,
	const struct entries *entries)
{
	struct tile_put put = {{txn, row->number}, writer->tile};
	struct tile_source source = {tile_put_read, &put};
	struct tile_sink sink = {tile_put_write, &put};
	enum err err = OK;

	for (size_t i = 0; i < entries->count && err == OK; i++) {
		struct store_key key = entry_key(row->number, row->size + i);
		uint8_t locator[LOCATOR_SIZE];
		bool found = false;

		txn_put(txn, DB_ENTRIES, store_key_bytes(&key), entries->entry[i]);
		err = store_locator(&writer->arena, entries->entry[i], &found, locator);
		if (err == OK && found) {
			key = locator_key(row->number, locator, row->size + i);
			err = locators_add(&writer->locators, &key);
		}
	}
	if (err == OK)
		err = tiles_extend(&source, row->size, entries->leaf, entries->count, &sink);
	if (err != OK)
		txn_fail(txn, err, "add entries: %s", err_text(err));
}

/* u64be size || rest: the values of heads and cosignatures. */
static void sized_put(
	struct txn *txn, unsigned slot, struct bytes key, uint64_t size, struct bytes rest)
{
	struct buf value;

	buf_init(&value, 8 + rest.size);
	buf_put_u64be(&value, size);
	buf_put(&value, rest);
	if (value.err != OK)
		txn_fail(txn, value.err, "write: %s", err_text(value.err));
	checked_put(txn, slot, key, buf_bytes(&value));
	buf_release(&value);
}

static void head_put(struct txn *txn, const struct log_row *row, const struct store_write *write)
{
	size_t count = write->entries != NULL ? write->entries->count : 0;
	struct bytes checkpoint = row->checkpoint;
	struct store_key key = log_key(row->number);

	if (write->checkpoint.size > 0)
		checkpoint = buf_bytes(&write->checkpoint);
	sized_put(txn, DB_HEADS, store_key_bytes(&key), row->size + count, checkpoint);
}

static void cosignature_put(struct txn *txn, uint32_t log, const struct store_write *write)
{
	size_t size = strnlen(write->cosigner, sizeof(write->cosigner));
	uint8_t key[4 + sizeof(write->cosigner)];

	put_u32be(key, log);
	memcpy(key + 4, write->cosigner, size);
	sized_put(txn, DB_COSIGNATURES, bytes_make(key, 4 + size), write->cosigned_size,
		buf_bytes(&write->cosignature));
}

/* Errors here fail the group, as above. */
static void write_put(struct writer *writer, struct txn *txn, struct log_row *row, bool new,
	const struct store_write *write)
{
	struct store_key key = log_key(row->number);
	struct log_row fresh;

	if (new)
		checked_put(txn, DB_LOGS, bytes_str(write->origin.text), store_key_bytes(&key));
	if (write->entries != NULL)
		entries_put(writer, txn, row, write->entries);
	/* The view of the old checkpoint went with the first put. */
	if (!new &&store_row(txn, &write->origin, &fresh, NULL) == OK)
		row->checkpoint = fresh.checkpoint;
	if (new || write->entries != NULL || write->checkpoint.size > 0)
		head_put(txn, row, write);
	if (write->cosigner[0] != '\0')
		cosignature_put(txn, row->number, write);
}

/* Groups. */

/* Sets the result of a write that failed alone; the first failure keeps its words. */
static void write_refuse(
	struct store_write *write, enum err err, const struct errctx *said, struct errctx *failure)
{
	write->result = err;
	if (failure->text[0] == '\0')
		err_set(failure, err, "write log '%s': %s", write->origin.text,
			err_message(said, err));
}

/* How many writes of the group are in the transaction. */
static size_t group_put(
	struct writer *writer, struct txn *txn, struct list *group, struct errctx *failure)
{
	size_t good = 0;

	for (struct store_write *write = group->first; write != NULL && txn->err == OK;
		write = write->next) {
		struct errctx said = {""};
		struct log_row row = {0};
		bool new = false;

		write->result = write_check(txn, write, &row, &new, &said);
		if (write->result == OK) {
			write_put(writer, txn, &row, new, write);
			good++;
		} else if (txn->err == OK) {
			write_refuse(write, write->result, &said, failure);
		} else {
			write->result = OK; /* not its own fault: group_fail says what happened */
		}
	}
	return good;
}

static void group_fail(
	struct list *group, enum err err, const struct errctx *said, struct errctx *failure)
{
	/* What failed alone before keeps its result: it would have failed anyway. */
	for (struct store_write *write = group->first; write != NULL; write = write->next) {
		if (write->result == OK)
			write_refuse(write, err, said, failure);
	}
}

static void group_write(struct writer *writer, struct list *group, struct errctx *failure)
{
	struct errctx said = {""};
	struct txn txn;
	enum err err;
	size_t good;

	for (struct store_write *write = group->first; write != NULL; write = write->next)
		write->result = OK;
	writer->locators.count = 0;
	txn_begin(&txn, writer->store->env, TXN_WRITE);
	good = group_put(writer, &txn, group, failure);
	if (good > 0) {
		locators_put(&txn, &writer->locators);
		store_commits_add(&txn);
	}
	/* With nothing put there is nothing to commit: LMDB writes no page then. */
	err = txn_finish(&txn, &said);
	if (err != OK)
		group_fail(group, err, &said, failure);
}

/* Called with the mutex. At least one, whatever its size. */
static void group_take(struct writer *writer, struct list *group)
{
	size_t count = 0, size = 0;

	list_init(group);
	while (writer->queue.first != NULL && count < GROUP_WRITES) {
		const struct entries *entries = writer->queue.first->entries;
		size_t more = entries != NULL ? entries->size : 0;

		if (count > 0 && more > GROUP_BYTES - size)
			break;
		list_add(group, list_shift(&writer->queue));
		size = more < GROUP_BYTES - size ? size + more : GROUP_BYTES;
		count++;
	}
}

/* Called with the mutex: moves a group to done. */
static void group_give(struct writer *writer, struct list *group, const struct errctx *failure)
{
	if (writer->failure.text[0] == '\0')
		writer->failure = *failure;
	while (group->first != NULL)
		list_add(&writer->done, list_shift(group));
}

static void *writer_main(void *arg)
{
	struct writer *writer = arg;
	struct list group;

	pthread_mutex_lock(&writer->mutex);
	for (;;) {
		struct errctx failure = {""};

		while (writer->queue.first == NULL && !writer->stopping)
			pthread_cond_wait(&writer->queued_or_stopping, &writer->mutex);
		if (writer->queue.first == NULL)
			break;
		group_take(writer, &group);
		pthread_mutex_unlock(&writer->mutex);
		group_write(writer, &group, &failure);
		pthread_mutex_lock(&writer->mutex);
		group_give(writer, &group, &failure);
		pthread_mutex_unlock(&writer->mutex);
		writer->wake(writer->arg);
		pthread_mutex_lock(&writer->mutex);
	}
	pthread_mutex_unlock(&writer->mutex);
	return NULL;
}

enum err writer_start(struct store *store, void (*wake)(void *arg), void *arg, struct writer **ret,
	struct errctx *ctx)
{
	struct writer *writer = mem_zalloc(sizeof(*writer));
	int rc;

	if (writer == NULL)
		return ERR_NOMEM;
	writer->store = store;
	writer->wake = wake;
	writer->arg = arg;
	list_init(&writer->queue);
	list_init(&writer->done);
	arena_init(&writer->arena, LIMIT_ARENA_SIZE);
	/* Default attributes: these two cannot fail on Linux. */
	rc = pthread_mutex_init(&writer->mutex, NULL);
	assert(rc == 0);
	rc = pthread_cond_init(&writer->queued_or_stopping, NULL);
	assert(rc == 0);
	rc = pthread_create(&writer->thread, NULL, writer_main, writer);
	if (rc != 0) {
		writer->joined = true;
		writer_free(writer);
		return err_set(ctx, ERR_NOMEM, "start the writer thread: %s", strerror(rc));
	}
	*ret = writer;
	return OK;
}

void writer_submit(struct writer *writer, struct store_write *write)
{
	pthread_mutex_lock(&writer->mutex);
	assert(!writer->stopping);
	list_add(&writer->queue, write);
	pthread_cond_signal(&writer->queued_or_stopping);
	pthread_mutex_unlock(&writer->mutex);
}

struct store_write *writer_done(struct writer *writer, struct errctx *ctx)
{
	struct store_write *done;

	pthread_mutex_lock(&writer->mutex);
	done = writer->done.first;
	list_init(&writer->done);
	if (ctx != NULL)
		*ctx = writer->failure;
	writer->failure = (struct errctx){""};
	pthread_mutex_unlock(&writer->mutex);
	return done;
}

void writer_stop(struct writer *writer)
{
	int rc;

	if (writer->joined)
		return;
	pthread_mutex_lock(&writer->mutex);
	writer->stopping = true;
	pthread_cond_signal(&writer->queued_or_stopping);
	pthread_mutex_unlock(&writer->mutex);
	rc = pthread_join(writer->thread, NULL);
	assert(rc == 0);
	writer->joined = true;
}

void writer_free(struct writer *writer)
{
	if (writer == NULL)
		return;
	assert(writer->joined);
	while (writer->done.first != NULL)
		store_write_free(list_shift(&writer->done));
	pthread_cond_destroy(&writer->queued_or_stopping);
	pthread_mutex_destroy(&writer->mutex);
	arena_release(&writer->arena);
	mem_free(writer->locators.keys);
	mem_free(writer);
}
