/*
 * The happy path of one group:
 *
 *	1. the thread takes what is queued, at most GROUP_WRITES or GROUP_BYTES
 *	2. each write is checked against the store as the transaction sees it, thus behind the
 * writes before it in the group; one that does not fit, or for which the reserve leaves no room,
 * fails alone, before anything is put
 *	3. entries, tiles, head, cosignature of each; entries go to the end of their log
 *	4. the commit number, one commit with a sync
 *	5. the guard, with a sync
 *	6. what came of it goes into the condition of the disk, all of the group to `done`, wake
 *
 * What fails in 3 or 4 (disk, map, memory) fails the group: nothing of it happened. The thread goes
 * on with the next group. What fails in 5 fails the group though it happened, and all after it:
 * nobody was told, and the next start takes the store as one commit ahead of its guard. A probe is
 * a group of nothing that commits all the same.
 */
#include "server/store/writer.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "server/store/damage.h"
#include "server/store/indexer.h"
#include "server/store/internal.h"

enum { GROUP_WRITES = 4096, GROUP_BYTES = 16 * 1024 * 1024 };
/* Logs that the guard minds: the own one, the one that takes its place, the directory's. */
enum { GUARD_CHECKPOINTS = 3 };

/* A disk that was full stays so to a probe as long as it has less free than this. */
#define PROBE_ROOM (UINT64_C(1) << 20)

struct list {
	struct store_write *first, **last;
};

struct writer {
	struct writer_opts opts;
	struct indexer *indexer;
	pthread_t thread;
	bool joined;

	pthread_mutex_t mutex;  /* guards what follows */
	pthread_cond_t changed; /* queue, stopping or probe */
	struct list queue, done;
	struct errctx failure; /* of the first failed write in done */
	bool stopping, caught_up;
	bool witness_lost; /* .. and is to be noted */
	struct ed25519_public witness;
	bool probe; /* asked for */
	struct condition condition;

	/* The thread's own. */
	bool guarded;    /* the store says that it is under a guard */
	bool lifting;    /* the commit under way is the one after caught_up */
	enum err broken; /* the guard could not be written */
	struct checkpoint checkpoints[GUARD_CHECKPOINTS];
	struct guard_commit follow; /* of the group under way */
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
	if (!checkpoint_is_of(&checkpoint, write->origin.text))
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

	TRY(log_name_parse(bytes_str(write->origin.text), NULL, NULL, NULL));
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
	if (write->witness.size > 0 && new &&count == 0)
		return err_set(ctx, ERR_INVALID, "nothing of it is held");
	TRY(store_witness_check(txn, &row, write, ctx));
	TRY(write->cosignature.err);
	TRY(write->pin.err);
	*ret_row = row;
	*ret_new = new;
	return OK;
}

/* Room for replicas, looked at when the first of a group wants some. */
struct room {
	bool looked, refused;
	uint64_t left; /* above the reserve */
};

static uint64_t room_left(const struct store *store)
{
	struct env_room room;
	uint64_t least;

	if (store->reserve == 0)
		return UINT64_MAX;
	env_room(store->env, &room);
	least = room.disk_bytes < room.map_bytes ? room.disk_bytes : room.map_bytes;
	return least > store->reserve ? least - store->reserve : 0;
}

static bool is_replica(const struct store *store, const struct store_write *write)
{
	struct origin_parts parts;

	return write->entries != NULL &&
	       log_name_parse(bytes_str(write->origin.text), NULL, NULL, &parts) == OK &&
	       !bytes_equal_str(parts.node, store->node) &&
	       !bytes_equal_str(parts.node, "directory");
}

static enum err room_check(const struct store *store, const struct store_write *write,
	struct room *room, struct errctx *ctx)
{
	if (!is_replica(store, write))
		return OK;
	if (!room->looked) {
		room->looked = true;
		room->left = room_left(store);
	}
	if (write->entries->size > room->left) {
		room->refused = true;
		return err_set(ctx, ERR_FULL, "%s", trouble_text(TROUBLE_REPLICAS_PAUSED));
	}
	room->left -= write->entries->size;
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

static void entries_put(struct writer *writer, struct txn *txn, const struct log_row *row,
	const struct entries *entries)
{
	struct tile_put put = {{txn, row->number}, writer->tile};
	struct tile_source source = {tile_put_read, &put};
	struct tile_sink sink = {tile_put_write, &put};
	struct append append;
	enum err err;

	append_begin(&append, txn, DB_ENTRIES);
	for (size_t i = 0; i < entries->count; i++) {
		struct store_key key = entry_key(row->number, row->size + i);

		append_put(&append, store_key_bytes(&key), entries->entry[i]);
	}
	append_end(&append);
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
	/* The view of the old checkpoint, if it stays, went with the first put. */
	if (!new && write->checkpoint.size == 0 &&
		store_row(txn, &write->origin, &fresh, NULL) == OK)
		row->checkpoint = fresh.checkpoint;
	if (new || write->entries != NULL || write->checkpoint.size > 0)
		head_put(txn, row, write);
	if (write->cosigner[0] != '\0')
		cosignature_put(txn, row->number, write);
	if (write->witness.size > 0)
		store_witness_put(txn, row->number, write);
	if (write->pin.size > 0)
		checked_put(txn, DB_PINS, store_key_bytes(&key), buf_bytes(&write->pin));
	else if (write->checkpoint.size > 0 && !new &&txn_count(txn, DB_PINS) > 0)
		txn_delete(txn, DB_PINS, store_key_bytes(&key));
}

/* Errors that do not stick are the write's own: nothing was put then. */
static enum err heal_put(struct txn *txn, const struct store_write *write, struct errctx *ctx)
{
	enum err err = write->entries->count == 1 ? damage_heal(txn, &write->origin, write->first,
							    write->entries->entry[0], ctx)
						  : ERR_INVALID;

	return txn->err != OK ? OK : err;
}

/* Never below the guard's number once all that it stands for is there again. */
static uint64_t commits_known(struct writer *writer, uint64_t commits)
{
	struct guard_record record;

	pthread_mutex_lock(&writer->mutex);
	writer->lifting = writer->caught_up;
	pthread_mutex_unlock(&writer->mutex);
	if (writer->lifting && guard_get(writer->opts.guard, &record) && record.commit > commits)
		return record.commit;
	return commits;
}

/* Returns the number. */
static uint64_t commit_count(struct writer *writer, struct txn *txn)
{
	uint64_t commits = 0;
	enum err err = store_commits(txn, &commits);

	if (err != OK && txn->err == OK)
		txn_fail(txn, err, "the commit number is damaged");
	if (writer->opts.guard != NULL)
		commits = commits_known(writer, commits);
	store_commits_put(txn, commits + 1);
	return commits + 1;
}

/* With each commit: which of them reaches the disk first need not be known. */
static bool writer_notes_witness(struct writer *writer, struct ed25519_public *ret)
{
	bool lost;

	pthread_mutex_lock(&writer->mutex);
	lost = writer->witness_lost;
	*ret = writer->witness;
	pthread_mutex_unlock(&writer->mutex);
	return lost;
}

/* A store says for ever that it has been under a guard; and no longer that it is a backup, once a
 * new epoch has begun. */
static void marks_put(struct writer *writer, struct txn *txn, const struct list *group)
{
	static const uint8_t yes[] = {1};
	struct ed25519_public key;

	if (!writer->guarded)
		checked_put(txn, DB_META, bytes_str("guarded"), BYTES_ARRAY(yes));
	if (writer_notes_witness(writer, &key))
		checked_put(txn, DB_META, bytes_str(STORE_WITNESS_LOST), BYTES_ARRAY(key.b));
	for (const struct store_write *write = group->first; write != NULL; write = write->next)
		if (write->result == OK && write->entries != NULL &&
			guard_opens(writer->opts.guard, write->origin.text))
			txn_delete(txn, DB_META, bytes_str("backup"));
}

/* What the guard is to remember of the group; before the commit, so that nothing but the guard's
 * own write can fail behind it. */
static enum err guard_collect(struct writer *writer, const struct list *group, struct errctx *ctx)
{
	writer->follow = (struct guard_commit){.checkpoints = writer->checkpoints};
	for (const struct store_write *write = group->first; write != NULL; write = write->next) {
		size_t *count = &writer->follow.count, at;

		if (write->result != OK || write->checkpoint.size == 0 ||
			!guard_minds(writer->opts.guard, write->origin.text))
			continue;
		/* Of one log the last counts. */
		for (at = 0; at < *count; at++)
			if (strcmp(writer->checkpoints[at].origin.text, write->origin.text) == 0)
				break;
		assert(at < GUARD_CHECKPOINTS);
		TRY(checkpoint_peek(buf_bytes(&write->checkpoint), &writer->checkpoints[at], ctx));
		*count = at == *count ? *count + 1 : *count;
	}
	return OK;
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
static size_t group_put(struct writer *writer, struct txn *txn, struct list *group,
	struct room *room, struct errctx *failure)
{
	size_t good = 0;

	for (struct store_write *write = group->first; write != NULL && txn->err == OK;
		write = write->next) {
		struct errctx said = {""};
		struct log_row row = {0};
		bool new = false;

		if (write->evidence.size > 0)
			write->result = store_evidence_check(txn, write, &said);
		else if (write->dispute.size > 0)
			write->result = store_dispute_check(txn, write, &said);
		else if (write->heal)
			write->result = heal_put(txn, write, &said);
		else
			write->result = write_check(txn, write, &row, &new, &said);
		if (write->result == OK && !write->heal && write->evidence.size == 0 &&
			write->dispute.size == 0)
			write->result = room_check(writer->opts.store, write, room, &said);
		if (write->result == OK) {
			if (write->evidence.size > 0)
				store_evidence_put(txn, write);
			else if (write->dispute.size > 0)
				store_dispute_put(txn, write);
			else if (!write->heal)
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

/* Tells the condition how a commit ended; true when that changed it. */
static bool report(struct writer *writer, const struct commit_report *report)
{
	struct timespec now;
	bool changed;

	clock_gettime(CLOCK_REALTIME, &now);
	pthread_mutex_lock(&writer->mutex);
	changed = condition_report(&writer->condition, report, (uint64_t)now.tv_sec);
	pthread_mutex_unlock(&writer->mutex);
	return changed;
}

static bool is_roomy(const struct writer *writer)
{
	struct env_room room;

	env_room(writer->opts.store->env, &room);
	return room.disk_bytes >= PROBE_ROOM;
}

/* Commits, and has the guard follow. `commit`: its number, 0 when nothing was put; then there is
 * nothing to commit: LMDB writes no page then. */
static enum err group_commit(struct writer *writer, struct txn *txn, const struct list *group,
	uint64_t commit, struct errctx *said)
{
	enum err err = OK;

	if (commit > 0 && writer->opts.guard != NULL)
		err = guard_collect(writer, group, said);
	if (err != OK)
		txn_fail(txn, err, "guard: %s", err_message(said, err));
	err = txn_finish(txn, said);

	if (err == OK && commit > 0 && writer->opts.guard != NULL) {
		writer->guarded = true;
		writer->follow.commit = commit;
		err = writer->broken = guard_committed(writer->opts.guard, &writer->follow, said);
		if (writer->lifting) {
			pthread_mutex_lock(&writer->mutex);
			writer->caught_up = false;
			pthread_mutex_unlock(&writer->mutex);
		}
		if (err != OK)
			txn->trouble = TROUBLE_RESTART;
	}
	if (err != OK)
		err_wrap(said, err, "store '%s'", env_path(writer->opts.store->env));
	return err;
}

static void group_write(struct writer *writer, struct list *group, struct errctx *failure)
{
	struct errctx said = {""};
	struct room room = {0};
	uint64_t commit = 0;
	struct txn txn;
	enum err err;

	for (struct store_write *write = group->first; write != NULL; write = write->next)
		write->result = OK;
	if (writer->broken != OK) {
		err_set(&said, writer->broken, "the guard could not be written: start again");
		group_fail(group, writer->broken, &said, failure);
		return;
	}
	txn_begin(&txn, writer->opts.store->env, TXN_WRITE);
	if (group_put(writer, &txn, group, &room, failure) > 0) {
		if (writer->opts.guard != NULL)
			marks_put(writer, &txn, group);
		commit = commit_count(writer, &txn);
	}
	err = group_commit(writer, &txn, group, commit, &said);
	if (err != OK)
		group_fail(group, err, &said, failure);
	if (err != OK && txn.trouble == TROUBLE_NONE) /* memory: no news of the disk */
		return;
	report(writer,
		&(struct commit_report){.trouble = txn.trouble,
			.cause = said.text,
			.committed = commit > 0,
			.roomy = writer->condition.trouble == TROUBLE_DISK_FULL && is_roomy(writer),
			.room = !room.looked   ? ROOM_UNKNOWN
				: room.refused ? ROOM_SHORT
					       : ROOM_ENOUGH});
}

/* Is the trouble over? True when the condition changed. `full`: the disk was found full, here or
 * elsewhere; an empty commit, which needs no new room, would not show it. */
static bool probe(struct writer *writer, bool full)
{
	const struct list nothing = {0};
	struct store *store = writer->opts.store;
	struct errctx said = {""};
	struct env_room room;
	struct txn txn;
	enum err err;

	if (writer->broken != OK)
		return false;
	env_room(store->env, &room);
	txn_begin(&txn, store->env, TXN_WRITE);
	if (full && txn.err == OK && room.disk_bytes < PROBE_ROOM) {
		txn_fail(&txn, ERR_FULL, "the disk has %" PRIu64 " bytes free", room.disk_bytes);
		txn.trouble = TROUBLE_DISK_FULL;
	}
	if (writer->opts.guard != NULL)
		marks_put(writer, &txn, &nothing);
	err = group_commit(writer, &txn, &nothing, commit_count(writer, &txn), &said);
	if (err != OK && txn.trouble == TROUBLE_NONE)
		return false;
	return report(writer, &(struct commit_report){.trouble = txn.trouble,
				      .cause = said.text,
				      .committed = true,
				      .roomy = true,
				      .room = room_left(store) > 0 ? ROOM_ENOUGH : ROOM_SHORT});
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

/* Called with the mutex: waits for something to do. True: a probe is due; *full as for probe. */
static bool wait(struct writer *writer, bool *full)
{
	struct timespec due;
	bool late = false;

	clock_gettime(CLOCK_MONOTONIC, &due);
	due.tv_sec += WRITER_PROBE_MS / 1000;
	while (writer->queue.first == NULL && !writer->stopping && !writer->probe && !late) {
		if (!trouble_probed(writer->condition.trouble))
			pthread_cond_wait(&writer->changed, &writer->mutex);
		else
			late = pthread_cond_timedwait(&writer->changed, &writer->mutex, &due) ==
			       ETIMEDOUT;
	}
	if (writer->queue.first != NULL || writer->stopping)
		return false;
	*full = writer->probe || writer->condition.trouble == TROUBLE_DISK_FULL;
	writer->probe = false;
	return true;
}

static void *writer_main(void *arg)
{
	struct writer *writer = arg;
	struct list group;

	pthread_mutex_lock(&writer->mutex);
	for (;;) {
		struct errctx failure = {""};
		bool full = false, due = wait(writer, &full), news = true;

		if (!due && writer->queue.first == NULL)
			break;
		group_take(writer, &group);
		pthread_mutex_unlock(&writer->mutex);
		if (due)
			news = probe(writer, full);
		else
			group_write(writer, &group, &failure);
		pthread_mutex_lock(&writer->mutex);
		group_give(writer, &group, &failure);
		pthread_mutex_unlock(&writer->mutex);
		if (news) {
			writer->opts.wake(writer->opts.wake_arg);
			indexer_wake(writer->indexer);
		}
		pthread_mutex_lock(&writer->mutex);
	}
	pthread_mutex_unlock(&writer->mutex);
	return NULL;
}

enum err writer_start(const struct writer_opts *opts, struct writer **ret, struct errctx *ctx)
{
	struct writer *writer = mem_zalloc(sizeof(*writer));
	pthread_condattr_t monotonic;
	enum err err;
	int rc;

	if (writer == NULL)
		return ERR_NOMEM;
	writer->opts = *opts;
	list_init(&writer->queue);
	list_init(&writer->done);
	/* These cannot fail on Linux. */
	rc = pthread_mutex_init(&writer->mutex, NULL);
	assert(rc == 0);
	rc = pthread_condattr_init(&monotonic);
	assert(rc == 0);
	rc = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	assert(rc == 0);
	rc = pthread_cond_init(&writer->changed, &monotonic);
	assert(rc == 0);
	pthread_condattr_destroy(&monotonic);
	writer->joined = true;
	err = indexer_start(opts->store, &writer->indexer, ctx);
	if (err != OK)
		goto fail;
	rc = pthread_create(&writer->thread, NULL, writer_main, writer);
	if (rc != 0) {
		err = err_set(ctx, ERR_NOMEM, "start the writer thread: %s", strerror(rc));
		goto fail;
	}
	writer->joined = false;
	*ret = writer;
	return OK;
fail:
	indexer_stop(writer->indexer);
	writer->indexer = NULL;
	writer_free(writer);
	return err;
}

void writer_submit(struct writer *writer, struct store_write *write)
{
	pthread_mutex_lock(&writer->mutex);
	assert(!writer->stopping);
	list_add(&writer->queue, write);
	pthread_cond_signal(&writer->changed);
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

void writer_caught_up(struct writer *writer)
{
	pthread_mutex_lock(&writer->mutex);
	writer->caught_up = true;
	pthread_mutex_unlock(&writer->mutex);
}

void writer_witness_lost(struct writer *writer, const struct ed25519_public *key)
{
	pthread_mutex_lock(&writer->mutex);
	writer->witness_lost = true;
	writer->witness = *key;
	pthread_mutex_unlock(&writer->mutex);
}

void writer_condition(struct writer *writer, struct condition *ret)
{
	pthread_mutex_lock(&writer->mutex);
	*ret = writer->condition;
	pthread_mutex_unlock(&writer->mutex);
}

void writer_probe(struct writer *writer)
{
	pthread_mutex_lock(&writer->mutex);
	writer->probe = true;
	pthread_cond_signal(&writer->changed);
	pthread_mutex_unlock(&writer->mutex);
}

void writer_stop(struct writer *writer)
{
	int rc;

	if (writer->joined)
		return;
	pthread_mutex_lock(&writer->mutex);
	writer->stopping = true;
	pthread_cond_signal(&writer->changed);
	pthread_mutex_unlock(&writer->mutex);
	rc = pthread_join(writer->thread, NULL);
	assert(rc == 0);
	writer->joined = true;
	indexer_stop(writer->indexer);
	writer->indexer = NULL;
}

enum err writer_index_failure(struct writer *writer, struct errctx *ctx)
{
	return writer->indexer != NULL ? indexer_failure(writer->indexer, ctx) : OK;
}

void writer_free(struct writer *writer)
{
	if (writer == NULL)
		return;
	assert(writer->joined);
	while (writer->done.first != NULL)
		store_write_free(list_shift(&writer->done));
	pthread_cond_destroy(&writer->changed);
	pthread_mutex_destroy(&writer->mutex);
	mem_free(writer);
}
