/*
 * Happy path: a group of tasks is taken from the queue, done in one transaction, committed, given
 * back. A transaction that fails fails every task of its group that writes.
 *
 * Compaction: `data.compact` is written by LMDB without free pages, synced, renamed over data.mdb;
 * the directory is synced; the environment is opened anew. The mark `dropped` in `meta` comes with
 * a deletion, in its transaction, and goes after the copy: a start that finds it makes one.
 *
 * A copy costs as much as the store is large, and what makes one due is in the hand of any two
 * members that write to each other: they must not wear out the flash. Past LIMIT_MAIL_COPY_DAY
 * bytes in a day a copy waits until the last is COPY_WAIT_MS old; as many bytes more are for
 * erasures, and what is deleted by hand never waits.
 */
#include "server/store/mail.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "server/store/checked.h"
#include "server/store/migrate.h"

enum { SLOT_META, SLOT_BODIES, SLOT_STATES, SLOT_INBOX, SLOT_NOTES, SLOTS };
enum {
	GROUP_TASKS = 256,
	COMPACT_MS = 2000,
	RETRY_MS = 60 * 1000,
	COMPACT_FACTOR = 10, /* it takes a tenth of the time at most */
	COPY_WAIT_MS = 6 * 60 * 60 * 1000,
	DAY_MS = 24 * 60 * 60 * 1000,
};
#define MAP_SIZE ((size_t)(sizeof(size_t) > 4 ? UINT64_C(16) << 30 : UINT64_C(1) << 28))

/* Why something goes; the number is how many budgets of a day it may use up. */
enum drop { DROP_NONE, DROP_ENDED, DROP_ERASURE, DROP_BY_HAND };

static const char dropped_key[] = "dropped";
static const char copy_name[] = "data.compact";

struct mail_store {
	struct mail_store_opts opts;
	char *path;
	struct env *env; /* NULL: could not be opened again after a copy; tried at each group */
	pthread_t thread;
	bool running;

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t changed;
	struct mail_task *queue, **queue_end, *done, **done_end;
	bool stopping;
	bool dropped; /* a copy is due */
	uint64_t compact_at_ms;

	/* The thread's own. */
	uint64_t rest_until_ms; /* after a copy */
	uint64_t copied_ms, day_begin_ms, day_bytes;
};

struct mail_task *mail_task_new(enum mail_task_type type)
{
	struct mail_task *task = mem_zalloc(sizeof(*task));

	if (task == NULL)
		return NULL;
	task->type = type;
	buf_init(&task->data, LIMIT_MAIL_ITEM + 1024);
	return task;
}

void mail_task_free(struct mail_task *task)
{
	if (task == NULL)
		return;
	mail_write_free(task->write);
	buf_release(&task->data);
	mem_free(task);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- opening ---- */

static void tables_open(struct txn *txn, void *arg)
{
	txn_database(txn, SLOT_BODIES, "bodies");
	txn_database(txn, SLOT_STATES, "states");
	txn_database(txn, SLOT_INBOX, "inbox");
	txn_database(txn, SLOT_NOTES, "notes");
}

static const struct migrate_step steps[] = {{0, 1, "no change of the mail", NULL}};

static enum err environment_open(struct mail_store *store, struct errctx *ctx)
{
	struct env_opts opts = {.path = store->path, .map_size = MAP_SIZE};
	struct migrate_opts migrate = {
		.meta = SLOT_META,
		.open = tables_open,
		.steps = steps,
		.count = sizeof(steps) / sizeof(steps[0]),
	};
	enum err err = env_open(&opts, &store->env, ctx);

	if (err == OK)
		err = migrate_open(store->env, &migrate, ctx);
	if (err == OK)
		return OK;
	env_close(store->env);
	store->env = NULL;
	return err_wrap(ctx, err, "open mail '%s'", store->path);
}

static bool find_dropped(struct mail_store *store)
{
	struct bytes value;
	struct txn txn;
	bool found;

	txn_begin(&txn, store->env, TXN_READ);
	found = txn_get(&txn, SLOT_META, bytes_str(dropped_key), &value);
	return txn_finish(&txn, NULL) == OK && found;
}

/* ---- the copy without what was deleted ---- */

static enum err copy_out(struct mail_store *store, struct errctx *ctx)
{
	int directory = env_directory(store->env);
	int fd = openat(
		directory, copy_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;
	enum err err;

	if (fd < 0)
		return err_set(ctx, ERR_IO, "make %s: %s", copy_name, strerror(errno));
	err = env_copy(store->env, fd, ctx);
	if (fstat(fd, &st) == 0)
		store->day_bytes += (uint64_t)st.st_size;
	if (err == OK && fsync(fd) != 0)
		err = err_set(ctx, ERR_IO, "sync %s: %s", copy_name, strerror(errno));
	close(fd);
	if (err == OK && renameat(directory, copy_name, directory, LMDB_FILE_NAME) != 0)
		err = err_set(ctx, ERR_IO, "rename %s: %s", copy_name, strerror(errno));
	if (err != OK)
		(void)unlinkat(directory, copy_name, 0);
	else if (fsync(directory) != 0)
		err = err_set(ctx, ERR_IO, "sync the directory: %s", strerror(errno));
	return err;
}

/* From the rename on the open file is the old one: nothing may be written to it any more. */
static enum err compact(struct mail_store *store, struct errctx *ctx)
{
	struct txn txn;

	TRY(copy_out(store, ctx));
	env_close(store->env);
	store->env = NULL;
	TRY(environment_open(store, ctx));
	txn_begin(&txn, store->env, TXN_WRITE);
	txn_delete(&txn, SLOT_META, bytes_str(dropped_key));
	return txn_finish(&txn, ctx);
}

static enum err leftovers_remove(struct mail_store *store, struct errctx *ctx)
{
	if (unlinkat(env_directory(store->env), copy_name, 0) != 0 && errno != ENOENT)
		return err_set(ctx, ERR_IO, "remove %s: %s", copy_name, strerror(errno));
	store->dropped = find_dropped(store);
	return OK;
}

enum err mail_store_open(
	const struct mail_store_opts *opts, struct mail_store **ret, struct errctx *ctx)
{
	struct mail_store *store = mem_zalloc(sizeof(*store));
	pthread_condattr_t monotonic;
	enum err err = OK;

	if (store == NULL)
		return ERR_NOMEM;
	store->opts = *opts;
	if (store->opts.compact_ms == 0)
		store->opts.compact_ms = COMPACT_MS;
	if (store->opts.copy_day == 0)
		store->opts.copy_day = LIMIT_MAIL_COPY_DAY;
	store->queue_end = &store->queue;
	store->done_end = &store->done;
	pthread_mutex_init(&store->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&store->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	store->path = mem_strdup(opts->path);
	if (store->path == NULL)
		err = ERR_NOMEM;
	if (err == OK)
		err = environment_open(store, ctx);
	if (err == OK)
		err = leftovers_remove(store, ctx);
	if (err != OK) {
		mail_store_close(store);
		return err;
	}
	*ret = store;
	return OK;
}

void mail_store_close(struct mail_store *store)
{
	if (store == NULL)
		return;
	assert(!store->running);
	while (store->done != NULL) {
		struct mail_task *next = store->done->next;

		mail_task_free(store->done);
		store->done = next;
	}
	env_close(store->env);
	pthread_cond_destroy(&store->changed);
	pthread_mutex_destroy(&store->mutex);
	mem_free(store->path);
	mem_free(store);
}

enum err mail_store_each(struct mail_store *store, enum mail_table table, mail_row_fn each,
	void *arg, uint64_t *ret_damaged, struct errctx *ctx)
{
	static const unsigned slots[] = {SLOT_STATES, SLOT_INBOX, SLOT_NOTES};
	struct range range;
	struct txn txn;
	uint64_t damaged = 0;
	enum err err = OK;

	txn_begin(&txn, store->env, TXN_READ);
	for (bool more = range_first(&range, &txn, slots[table], BYTES_NONE, 0); more && err == OK;
		more = range_next(&range)) {
		struct bytes value;

		if (checked_open(range.key, range.value, &value) == OK)
			err = each(arg, range.key, value);
		else
			damaged++;
	}
	range_end(&range);
	if (err != OK)
		txn_fail(&txn, err, "%s", err_text(err));
	TRY(txn_finish(&txn, ctx));
	*ret_damaged = damaged;
	return OK;
}

/* ---- tasks ---- */

static struct bytes note_key(const struct mail_task *task, uint8_t *room)
{
	size_t size = strlen(task->name);

	room[0] = (uint8_t)task->note;
	memcpy(room + 1, task->name, size);
	return bytes_make(room, size + 1);
}

/* Rows of a message each. */
static bool is_large(enum mail_note note)
{
	return note == MAIL_NOTE_COMPLAINT || note == MAIL_NOTE_COPY;
}

/* Which entries of the log are a complaint is to leave the file, too; so is what was sent. */
static void note_remove(struct txn *txn, const struct mail_task *task, struct bytes key)
{
	txn_delete(txn, SLOT_NOTES, key);
	if (is_large(task->note))
		txn_put(txn, SLOT_META, bytes_str(dropped_key), bytes_str("1"));
}

static void note_put(struct txn *txn, const struct mail_task *task)
{
	uint8_t room[MAIL_NOTE_NAME_MAX + 1];
	struct bytes key = note_key(task, room);

	size_t max = is_large(task->note) ? LIMIT_MAIL_ITEM : MAIL_NOTE_VALUE_MAX;

	if (task->data.size > max)
		txn_fail(txn, ERR_LIMIT, "a note of %zu bytes", task->data.size);
	else if (task->data.size == 0)
		note_remove(txn, task, key);
	else
		checked_put(txn, SLOT_NOTES, key, buf_bytes(&task->data));
}

static void note_get(struct txn *txn, struct mail_task *task)
{
	uint8_t room[MAIL_NOTE_NAME_MAX + 1];
	struct bytes value;

	task->result = checked_get(txn, SLOT_NOTES, note_key(task, room), &value);
	if (task->result == OK)
		buf_put(&task->data, value);
}

static void drop(struct txn *txn, unsigned slot, const struct hash *item)
{
	txn_delete(txn, slot, hash_bytes(item));
	txn_put(txn, SLOT_META, bytes_str(dropped_key), bytes_str("1"));
}

static void write_put(struct txn *txn, const struct mail_write *write)
{
	struct bytes key = hash_bytes(&write->item);

	if (write->drop)
		drop(txn, SLOT_BODIES, &write->item);
	if (write->forget)
		txn_delete(txn, SLOT_STATES, key);
	if (write->body.size > 0)
		txn_put(txn, SLOT_BODIES, key, buf_bytes(&write->body));
	if (write->state.size > 0)
		checked_put(txn, SLOT_STATES, key, buf_bytes(&write->state));
	if (write->inbox.size > 0)
		checked_put(txn, SLOT_INBOX, key, buf_bytes(&write->inbox));
}

static void get_body(struct txn *txn, struct mail_task *task)
{
	struct bytes value;

	if (txn_get(txn, SLOT_BODIES, hash_bytes(&task->item), &value))
		buf_put(&task->data, value);
	else
		task->result = ERR_NOTFOUND;
}

static void get_inbox(struct txn *txn, struct mail_task *task)
{
	struct bytes value;

	task->result = checked_get(txn, SLOT_INBOX, hash_bytes(&task->item), &value);
	if (task->result == OK)
		buf_put(&task->data, value);
}

/* What it was leaves the file: it is under a key that is to go. */
static void rebox(struct txn *txn, const struct mail_task *task)
{
	struct bytes value;

	if (!txn_get(txn, SLOT_INBOX, hash_bytes(&task->item), &value))
		return;
	checked_put(txn, SLOT_INBOX, hash_bytes(&task->item), buf_bytes(&task->data));
	txn_put(txn, SLOT_META, bytes_str(dropped_key), bytes_str("1"));
}

static bool reads(const struct mail_task *task)
{
	return task->type == MAIL_TASK_BODY || task->type == MAIL_TASK_INBOX ||
	       task->type == MAIL_TASK_NOTE_GET;
}

static enum drop drops(const struct mail_task *task)
{
	if (task->type == MAIL_TASK_UNBOX)
		return DROP_BY_HAND;
	if (task->type == MAIL_TASK_REBOX)
		return DROP_ENDED;
	if (task->type == MAIL_TASK_NOTE)
		return is_large(task->note) && task->data.size == 0 ? DROP_ENDED : DROP_NONE;
	if (task->type != MAIL_TASK_WRITE || !task->write->drop)
		return DROP_NONE;
	return task->write->erasure ? DROP_ERASURE : DROP_ENDED;
}

static void task_do(struct txn *txn, struct mail_task *task)
{
	switch (task->type) {
	case MAIL_TASK_WRITE:
		write_put(txn, task->write);
		break;
	case MAIL_TASK_BODY:
		get_body(txn, task);
		break;
	case MAIL_TASK_INBOX:
		get_inbox(txn, task);
		break;
	case MAIL_TASK_UNBOX:
		drop(txn, SLOT_INBOX, &task->item);
		break;
	case MAIL_TASK_NOTE:
		note_put(txn, task);
		break;
	case MAIL_TASK_NOTE_GET:
		note_get(txn, task);
		break;
	case MAIL_TASK_REBOX:
		rebox(txn, task);
		break;
	}
	if (task->result == OK && task->data.err != OK)
		task->result = task->data.err;
}

static void group_fail(struct mail_task *group, enum err err, const struct errctx *ctx)
{
	for (struct mail_task *task = group; task != NULL; task = task->next) {
		task->result = err;
		task->ctx = *ctx;
	}
}

/* All of it, or nothing but what only reads. */
static enum err group_do(struct mail_store *store, struct mail_task *group)
{
	struct errctx ctx = {""};
	bool writes = false;
	struct txn txn;
	enum err err = OK;

	if (store->env == NULL)
		err = environment_open(store, &ctx);
	for (const struct mail_task *task = group; task != NULL; task = task->next)
		writes |= !reads(task);
	if (err == OK) {
		txn_begin(&txn, store->env, writes ? TXN_WRITE : TXN_READ);
		for (struct mail_task *task = group; task != NULL; task = task->next)
			task_do(&txn, task);
		err = txn_finish(&txn, &ctx);
	}
	if (err != OK)
		group_fail(group, err, &ctx);
	for (struct mail_task *task = group; task != NULL; task = task->next)
		if (task->write != NULL)
			task->write->result = task->result;
	return err;
}

/* ---- the thread ---- */

/* Called with the mutex: takes a group off the queue. */
static struct mail_task *take_group(struct mail_store *store)
{
	struct mail_task *group = store->queue, **end = &store->queue;

	for (size_t n = 0; n < GROUP_TASKS && *end != NULL; n++)
		end = &(*end)->next;
	store->queue = *end;
	*end = NULL;
	if (store->queue == NULL)
		store->queue_end = &store->queue;
	return group;
}

/* Called with the mutex. */
static void wait_for_work(struct mail_store *store)
{
	struct timespec until;

	if (!store->dropped) {
		pthread_cond_wait(&store->changed, &store->mutex);
		return;
	}
	until.tv_sec = (time_t)(store->compact_at_ms / 1000);
	until.tv_nsec = (long)(store->compact_at_ms % 1000) * 1000000;
	pthread_cond_timedwait(&store->changed, &store->mutex, &until);
}

/* When the copy without it is due. */
static uint64_t compact_due(struct mail_store *store, enum drop why)
{
	uint64_t now = now_ms(), due = now + store->opts.compact_ms;

	if (now - store->day_begin_ms >= DAY_MS) {
		store->day_begin_ms = now;
		store->day_bytes = 0;
	}
	if (due < store->rest_until_ms)
		due = store->rest_until_ms;
	if (why != DROP_BY_HAND && store->day_bytes >= (unsigned)why * store->opts.copy_day &&
		due < store->copied_ms + COPY_WAIT_MS)
		due = store->copied_ms + COPY_WAIT_MS;
	return due;
}

static void group_run(struct mail_store *store, struct mail_task *group)
{
	struct mail_task *last = group;
	enum err err = group_do(store, group);
	enum drop why = DROP_NONE;
	uint64_t due;

	for (struct mail_task *task = group; task != NULL; task = task->next) {
		if (err == OK && drops(task) > why)
			why = drops(task);
		last = task;
	}
	due = compact_due(store, why);
	pthread_mutex_lock(&store->mutex);
	*store->done_end = group;
	store->done_end = &last->next;
	if (why != DROP_NONE && (!store->dropped || due < store->compact_at_ms))
		store->compact_at_ms = due;
	store->dropped |= why != DROP_NONE;
	pthread_mutex_unlock(&store->mutex);
	store->opts.wake(store->opts.wake_arg);
}

static void compact_run(struct mail_store *store)
{
	uint64_t begin = now_ms(), end;
	struct errctx ctx = {""};
	enum err err = store->env == NULL ? environment_open(store, &ctx) : OK;

	if (err == OK)
		err = compact(store, &ctx);
	end = now_ms();
	pthread_mutex_lock(&store->mutex);
	store->copied_ms = end;
	store->rest_until_ms = end + (err != OK ? RETRY_MS : COMPACT_FACTOR * (end - begin));
	store->dropped = err != OK;
	store->compact_at_ms = store->rest_until_ms;
	pthread_mutex_unlock(&store->mutex);
}

static void *store_main(void *arg)
{
	struct mail_store *store = arg;

	for (;;) {
		struct mail_task *group;
		bool copy, stop;

		pthread_mutex_lock(&store->mutex);
		while (store->queue == NULL && !store->stopping &&
			!(store->dropped && now_ms() >= store->compact_at_ms))
			wait_for_work(store);
		group = take_group(store);
		stop = store->stopping && group == NULL;
		copy = store->dropped && (stop || now_ms() >= store->compact_at_ms);
		pthread_mutex_unlock(&store->mutex);
		if (group != NULL)
			group_run(store, group);
		else if (copy)
			compact_run(store);
		if (stop)
			return NULL;
	}
}

enum err mail_store_start(struct mail_store *store, struct errctx *ctx)
{
	int rc = pthread_create(&store->thread, NULL, store_main, store);

	if (rc != 0)
		return err_set(ctx, ERR_NOMEM, "start the mail thread: %s", strerror(rc));
	store->running = true;
	return OK;
}

void mail_store_submit(struct mail_store *store, struct mail_task *task)
{
	pthread_mutex_lock(&store->mutex);
	task->next = NULL;
	*store->queue_end = task;
	store->queue_end = &task->next;
	pthread_cond_signal(&store->changed);
	pthread_mutex_unlock(&store->mutex);
}

struct mail_task *mail_store_done(struct mail_store *store)
{
	struct mail_task *done;

	pthread_mutex_lock(&store->mutex);
	done = store->done;
	store->done = NULL;
	store->done_end = &store->done;
	pthread_mutex_unlock(&store->mutex);
	return done;
}

bool mail_store_compacting(struct mail_store *store)
{
	bool dropped;

	pthread_mutex_lock(&store->mutex);
	dropped = store->dropped;
	pthread_mutex_unlock(&store->mutex);
	return dropped;
}

void mail_store_stop(struct mail_store *store)
{
	if (!store->running)
		return;
	pthread_mutex_lock(&store->mutex);
	store->stopping = true;
	pthread_cond_signal(&store->changed);
	pthread_mutex_unlock(&store->mutex);
	pthread_join(store->thread, NULL);
	store->running = false;
}
