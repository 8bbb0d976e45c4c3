#include "server/store/guard.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "server/store/internal.h"

/* The logs of the record, and an epoch that has just begun. */
enum { FILE_SIZE = GUARD_SLOTS * GUARD_SLOT_SIZE, ADOPT_MAX = GUARD_LOGS_MAX + 1 };

struct guard {
	char *path; /* of the file */
	int fd;
	struct origin directory; /* "": this node does not write it */
	pthread_mutex_t mutex;   /* guards what follows, and the file */
	struct guard_record record;
	bool valid;    /* there is a record */
	unsigned slot; /* where it stands */
	bool own_held; /* the store's own log is not the one recorded: the record stays as it is */
	bool directory_ok; /* .. the same of the directory's log, when false */
	uint64_t missing;  /* commits that the store lacks, until it has caught up */
	bool backup;       /* the store was restored from one */
	bool used;
	enum err failed; /* sticky */
	uint8_t bytes[GUARD_SLOT_SIZE], on_disk[GUARD_SLOT_SIZE];
};

/* ---- the file ---- */

static enum err guard_errno(
	const struct guard *guard, int error, const char *what, struct errctx *ctx)
{
	enum err err = ERR_IO;

	if (error == EACCES || error == EPERM || error == EROFS)
		err = ERR_DENIED;
	else if (error == ENOSPC || error == EDQUOT)
		err = ERR_FULL;
	return err_set(ctx, err, "%s guard '%s': %s", what, guard->path, strerror(error));
}

static enum err slot_read(
	struct guard *guard, unsigned slot, uint8_t ret[GUARD_SLOT_SIZE], struct errctx *ctx)
{
	ssize_t n = pread(guard->fd, ret, GUARD_SLOT_SIZE, (off_t)slot * GUARD_SLOT_SIZE);

	if (n < 0)
		return guard_errno(guard, errno, "read", ctx);
	memset(ret + n, 0, GUARD_SLOT_SIZE - (size_t)n);
	return OK;
}

static enum err slot_write(struct guard *guard, unsigned slot, const uint8_t bytes[GUARD_SLOT_SIZE],
	struct errctx *ctx)
{
	ssize_t n = pwrite(guard->fd, bytes, GUARD_SLOT_SIZE, (off_t)slot * GUARD_SLOT_SIZE);

	if (n != GUARD_SLOT_SIZE)
		return guard_errno(guard, n < 0 ? errno : EIO, "write", ctx);
	if (fdatasync(guard->fd) != 0)
		return guard_errno(guard, errno, "sync", ctx);
	return OK;
}

/* The directory, the file with both slots in it, and their names are durable after this. */
static enum err file_open(struct guard *guard, const char *directory, struct errctx *ctx)
{
	int dir, parent, failed = 0;
	struct stat st;

	if (mkdir(directory, 0700) != 0 && errno != EEXIST)
		return guard_errno(guard, errno, "make directory of", ctx);
	dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return guard_errno(guard, errno, "open directory of", ctx);
	guard->fd = openat(dir, "guard", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (guard->fd < 0) {
		failed = errno;
		close(dir);
		return guard_errno(guard, failed, "open", ctx);
	}
	if (flock(guard->fd, LOCK_EX | LOCK_NB) != 0)
		failed = errno;
	if (failed == 0 && fstat(guard->fd, &st) != 0)
		failed = errno;
	/* Room for both slots now: a full disk must not be met at a commit. */
	if (failed == 0 && st.st_size < FILE_SIZE)
		failed = posix_fallocate(guard->fd, 0, FILE_SIZE);
	if (failed == 0 && (fsync(guard->fd) != 0 || fsync(dir) != 0))
		failed = errno;
	/* An earlier start may have been killed before this. */
	if (failed == 0) {
		parent = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (parent < 0 || fsync(parent) != 0)
			failed = errno;
		if (parent >= 0)
			close(parent);
	}
	close(dir);
	if (failed == EWOULDBLOCK)
		return err_set(ctx, ERR_BUSY, "another process is using guard '%s'", guard->path);
	return failed == 0 ? OK : guard_errno(guard, failed, "prepare", ctx);
}

/* The valid slot with the highest number; one that cannot be read is as if it was not there. */
static enum err record_load(struct guard *guard, struct errctx *ctx)
{
	bool newer = false;

	for (unsigned slot = 0; slot < GUARD_SLOTS; slot++) {
		struct guard_record record;
		enum err err;

		TRY(slot_read(guard, slot, guard->bytes, ctx));
		err = guard_record_read(BYTES_ARRAY(guard->bytes), &record);
		newer |= err == ERR_VERSION;
		if (err != OK || (guard->valid && record.sequence <= guard->record.sequence))
			continue;
		guard->record = record;
		guard->valid = true;
		guard->slot = slot;
	}
	if (newer)
		return err_set(
			ctx, ERR_VERSION, "guard '%s' was written by a newer Sauti", guard->path);
	return OK;
}

static enum err owner_check(
	const struct guard *guard, const struct guard_opts *opts, struct errctx *ctx)
{
	const struct guard_record *r = &guard->record;

	if (!guard->valid)
		return OK;
	if (strcmp(r->network, opts->network) != 0 || strcmp(r->node, opts->node) != 0)
		return err_set(ctx, ERR_INVALID,
			"guard '%s' belongs to node '%s' of network '%s', not to '%s' of '%s'",
			guard->path, r->node, r->network, opts->node, opts->network);
	for (size_t i = 0; i < r->log_count; i++) {
		const char *origin = r->logs[i].origin.text;
		struct origin_parts parts;

		if (origin_parse(bytes_str(origin), NULL, &parts) == OK &&
			bytes_equal_str(parts.node, "directory") &&
			strcmp(origin, opts->directory) != 0)
			return err_set(ctx, ERR_INVALID,
				"guard '%s' is of an earlier network of that name: if this one was "
				"made anew on purpose, move the guard away",
				guard->path);
	}
	return OK;
}

enum err guard_open(const struct guard_opts *opts, struct guard **ret, struct errctx *ctx)
{
	struct guard *guard = mem_zalloc(sizeof(*guard));
	size_t size = strlen(opts->path) + sizeof("/guard");
	enum err err;
	int rc;

	if (guard == NULL)
		return ERR_NOMEM;
	guard->fd = -1;
	rc = pthread_mutex_init(&guard->mutex, NULL); /* cannot fail on Linux */
	assert(rc == 0);
	guard->path = mem_alloc(size);
	err = guard->path == NULL ? ERR_NOMEM : OK;
	if (err == OK) {
		snprintf(guard->path, size, "%s/guard", opts->path);
		snprintf(guard->directory.text, sizeof(guard->directory.text), "%s",
			opts->directory);
		guard->used = opts->used;
		guard->directory_ok = true; /* nothing is held before the check */
		err = file_open(guard, opts->path, ctx);
	}
	if (err == OK)
		err = record_load(guard, ctx);
	if (err == OK)
		err = owner_check(guard, opts, ctx);
	if (err != OK) {
		guard_close(guard);
		return err;
	}
	if (!guard->valid) {
		snprintf(guard->record.network, sizeof(guard->record.network), "%s", opts->network);
		snprintf(guard->record.node, sizeof(guard->record.node), "%s", opts->node);
	}
	*ret = guard;
	return OK;
}

void guard_close(struct guard *guard)
{
	if (guard == NULL)
		return;
	if (guard->fd >= 0)
		close(guard->fd);
	pthread_mutex_destroy(&guard->mutex);
	mem_free(guard->path);
	mem_free(guard);
}

/* ---- the record ---- */

bool guard_get(struct guard *guard, struct guard_record *ret)
{
	bool valid;

	pthread_mutex_lock(&guard->mutex);
	valid = guard->valid;
	*ret = guard->record;
	pthread_mutex_unlock(&guard->mutex);
	return valid;
}

/* Under the mutex: writes `next` into the other slot. */
static enum err record_store(
	struct guard *guard, const struct guard_record *next, struct errctx *ctx)
{
	struct guard_record record = *next;
	unsigned slot = guard->valid ? (guard->slot + 1) % GUARD_SLOTS : 0;
	enum err err = OK;

	if (guard->failed != OK)
		return err_set(ctx, guard->failed,
			"guard '%s' could not be written: stopped until the next start",
			guard->path);
	record.sequence = guard->record.sequence + 1;
	if (guard->valid) {
		guard_record_write(&guard->record, guard->bytes);
		err = slot_read(guard, guard->slot, guard->on_disk, ctx);
		if (err == OK && memcmp(guard->bytes, guard->on_disk, GUARD_SLOT_SIZE) != 0)
			err = err_set(ctx, ERR_FORK, "guard '%s' was written by somebody else",
				guard->path);
	}
	if (err == OK) {
		guard_record_write(&record, guard->bytes);
		err = slot_write(guard, slot, guard->bytes, ctx);
	}
	if (err != OK) {
		guard->failed = err;
		return err;
	}
	guard->record = record;
	guard->valid = true;
	guard->slot = slot;
	return OK;
}

/* Which log of the record a checkpoint of `origin` belongs to; NULL: none. A `next` that has begun
 * takes the place of the own log. */
static struct guard_log *record_place(
	const struct guard *guard, struct guard_record *record, const char *origin)
{
	struct guard_log *log = guard_record_log(record, origin);
	bool next = record->next.text[0] != '\0' && strcmp(record->next.text, origin) == 0;

	if (log != NULL)
		return log;
	if (next) {
		log = guard_record_own(record);
		record->next = (struct origin){""};
		record->stopped = record->renew = false;
		record->why[0] = '\0';
	} else if (strcmp(guard->directory.text, origin) != 0 &&
		   (guard_record_own(record) != NULL || record->next.text[0] != '\0')) {
		return NULL; /* an older epoch */
	}
	if (log == NULL) {
		assert(record->log_count < GUARD_LOGS_MAX);
		log = &record->logs[record->log_count++];
	}
	*log = (struct guard_log){.size = 0};
	snprintf(log->origin.text, sizeof(log->origin.text), "%s", origin);
	return log;
}

static bool is_own(const struct guard *guard, const char *origin)
{
	struct origin_parts parts;

	return strcmp(guard->directory.text, origin) == 0 ||
	       (origin_parse(bytes_str(origin), NULL, &parts) == OK &&
		       bytes_equal_str(parts.node, guard->record.node));
}

bool guard_minds(struct guard *guard, const char *origin)
{
	struct guard_record record;

	guard_get(guard, &record);
	return is_own(guard, origin) && record_place(guard, &record, origin) != NULL;
}

/* Never down. While the store lacks commits, new ones do not stand for them: the distance stays,
 * until the writer lifts its number over the record's. */
static void commit_record(struct guard *guard, struct guard_record *record, uint64_t commit)
{
	if (commit > record->commit)
		guard->missing = 0;
	if (commit + guard->missing > record->commit)
		record->commit = commit + guard->missing;
}

/* What comes back from others of a log that is behind does not move the record: it is what they
 * are judged by. */
static bool is_held(const struct guard *guard, const char *origin)
{
	return strcmp(guard->directory.text, origin) == 0 ? !guard->directory_ok : guard->own_held;
}

static void checkpoint_record(
	struct guard *guard, struct guard_record *record, const struct checkpoint *checkpoint)
{
	const char *origin = checkpoint->origin.text;
	struct guard_log *log;

	if (!is_own(guard, origin))
		return;
	if (record->next.text[0] != '\0' && strcmp(record->next.text, origin) == 0)
		guard->own_held = false;
	if (is_held(guard, origin))
		return;
	log = record_place(guard, record, origin);
	if (log == NULL || checkpoint->size < log->size)
		return;
	log->size = checkpoint->size;
	log->root = checkpoint->root;
}

enum err guard_committed(struct guard *guard, const struct guard_commit *commit, struct errctx *ctx)
{
	struct guard_record record;
	enum err err;

	pthread_mutex_lock(&guard->mutex);
	record = guard->record;
	commit_record(guard, &record, commit->commit);
	for (size_t i = 0; i < commit->count; i++)
		checkpoint_record(guard, &record, &commit->checkpoints[i]);
	err = record_store(guard, &record, ctx);
	pthread_mutex_unlock(&guard->mutex);
	return err;
}

bool guard_opens(struct guard *guard, const char *origin)
{
	struct guard_record record;

	guard_get(guard, &record);
	return record.next.text[0] != '\0' && strcmp(record.next.text, origin) == 0;
}

enum err guard_next(struct guard *guard, const struct origin *previous, const struct origin *next,
	uint64_t commit, struct errctx *ctx)
{
	struct guard_record record;
	enum err err;

	pthread_mutex_lock(&guard->mutex);
	record = guard->record;
	record.next = *next;
	record.renew = true;
	if (commit > record.commit)
		record.commit = commit;
	/* What the new log follows must be known after an interruption too. */
	if (guard_record_own(&record) == NULL)
		record.logs[record.log_count++] = (struct guard_log){.origin = *previous};
	err = record_store(guard, &record, ctx);
	pthread_mutex_unlock(&guard->mutex);
	return err;
}

/* Sets a flag for good, with the first reason given. */
static enum err record_mark(struct guard *guard, size_t flag, const char *why, struct errctx *ctx)
{
	struct guard_record record;
	enum err err = OK;
	bool *set;

	pthread_mutex_lock(&guard->mutex);
	record = guard->record;
	set = (bool *)((char *)&record + flag);
	if (!*set || !guard->valid) {
		*set = true;
		if (record.why[0] == '\0')
			snprintf(record.why, sizeof(record.why), "%s", why);
		err = record_store(guard, &record, ctx);
	}
	pthread_mutex_unlock(&guard->mutex);
	return err;
}

enum err guard_stop(struct guard *guard, const char *why, struct errctx *ctx)
{
	return record_mark(guard, offsetof(struct guard_record, stopped), why, ctx);
}

enum err guard_renew(struct guard *guard, const char *why, struct errctx *ctx)
{
	return record_mark(guard, offsetof(struct guard_record, renew), why, ctx);
}

/* ---- the start ---- */

/* Size and, if it has that many, the root at `size`. A log that is not there has no entries. */
static enum err log_facts(struct store *store, const struct origin *origin, uint64_t size,
	uint64_t *ret_size, struct hash *ret_root, struct errctx *ctx)
{
	enum err err = store_root(store, origin, size, ret_size, ret_root, ctx);

	if (err != ERR_NOTFOUND)
		return err;
	if (ctx != NULL)
		*ctx = (struct errctx){""};
	*ret_size = 0;
	return OK;
}

static enum err facts_collect(const struct guard_record *record, struct store *store,
	struct guard_facts *ret, struct errctx *ctx)
{
	struct store_marks marks;
	struct hash root;
	uint64_t size = 0;

	TRY(store_marks(store, &marks, ctx));
	*ret = (struct guard_facts){.guarded = marks.guarded,
		.backup = marks.backup[0] != '\0',
		.commit = marks.commits};
	for (size_t i = 0; i < record->log_count; i++)
		TRY(log_facts(store, &record->logs[i].origin, record->logs[i].size,
			&ret->logs[i].size, &ret->logs[i].root, ctx));
	if (record->next.text[0] != '\0')
		TRY(log_facts(store, &record->next, 0, &size, &root, ctx));
	ret->next_begun = size > 0;
	return OK;
}

/* The own logs as the store has them: what the guard is to remember from here on. Of several epochs
 * that the guard never saw, the newest. */
static enum err own_checkpoints(struct guard *guard, struct store *store,
	struct checkpoint ret[ADOPT_MAX], size_t *ret_count, struct errctx *ctx)
{
	struct origin own = {""};
	uint32_t newest = 0;
	struct log_head *heads = NULL;
	size_t count = 0, found = 0;

	TRY(store_heads(store, &heads, &count, ctx));
	for (size_t i = 0; i < count; i++) {
		struct origin_parts parts;

		if (heads[i].checkpoint.size > 0 && is_own(guard, heads[i].origin.text) &&
			strcmp(heads[i].origin.text, guard->directory.text) != 0 &&
			origin_parse(bytes_str(heads[i].origin.text), NULL, &parts) == OK &&
			(own.text[0] == '\0' || parts.counter > newest)) {
			own = heads[i].origin;
			newest = parts.counter;
		}
	}
	for (size_t i = 0; i < count; i++) {
		bool wanted = guard_minds(guard, heads[i].origin.text) &&
			      (guard->valid || strcmp(heads[i].origin.text, own.text) == 0 ||
				      strcmp(heads[i].origin.text, guard->directory.text) == 0);

		if (wanted && found < ADOPT_MAX && heads[i].checkpoint.size > 0 &&
			checkpoint_peek(buf_bytes(&heads[i].checkpoint), &ret[found], NULL) == OK)
			found++;
		log_head_release(&heads[i]);
	}
	mem_free(heads);
	*ret_count = found;
	return OK;
}

static bool goes_on(enum guard_verdict verdict)
{
	return verdict == GUARD_NEW || verdict == GUARD_SAME || verdict == GUARD_ROLLED;
}

/* The own log may be lost, and the directory's whole: it is continued where the guard knows it. */
static bool directory_judge(
	const struct guard *guard, const struct guard_facts *facts, enum guard_verdict verdict)
{
	const struct guard_record *record = &guard->record;

	if (record->directory_ended)
		return false;
	if (goes_on(verdict))
		return true;
	if (!guard->valid || facts->backup || facts->commit > record->commit + 1)
		return false;
	for (size_t i = 0; i < record->log_count; i++) {
		const struct guard_log *log = &record->logs[i];

		if (strcmp(log->origin.text, guard->directory.text) == 0)
			return facts->logs[i].size >= log->size &&
			       (log->size == 0 || hash_equal(&facts->logs[i].root, &log->root));
	}
	return false;
}

bool guard_directory_ok(const struct guard *guard)
{
	return guard->directory_ok;
}

bool guard_commits_missing(const struct guard *guard)
{
	return guard->missing > 0 || guard->backup;
}

/* What the store has is what the guard remembers from here on. */
static enum err take_over(
	struct guard *guard, struct store *store, uint64_t commit, struct errctx *ctx)
{
	struct checkpoint checkpoints[ADOPT_MAX];
	struct guard_commit taken = {.commit = commit, .checkpoints = checkpoints};

	TRY(own_checkpoints(guard, store, checkpoints, &taken.count, ctx));
	return guard_committed(guard, &taken, ctx);
}

static enum err own_log_lost(
	struct guard *guard, struct store *store, bool *ret, struct errctx *ctx)
{
	struct checkpoint checkpoints[ADOPT_MAX];
	size_t count = 0;

	TRY(own_checkpoints(guard, store, checkpoints, &count, ctx));
	*ret = true;
	for (size_t i = 0; i < count; i++)
		if (strcmp(checkpoints[i].origin.text, guard->directory.text) != 0)
			*ret = false;
	return OK;
}

enum err guard_check(struct guard *guard, struct store *store, enum guard_verdict *ret,
	struct errctx *ret_why, struct errctx *ctx)
{
	struct guard_facts facts;
	enum guard_verdict verdict;

	TRY(facts_collect(&guard->record, store, &facts, ctx));
	if (guard->used && !guard->valid)
		TRY(own_log_lost(guard, store, &facts.lost, ctx));
	verdict = guard_judge(guard->valid ? &guard->record : NULL, &facts, ret_why);
	guard->directory_ok = directory_judge(guard, &facts, verdict);
	guard->own_held = !goes_on(verdict);
	guard->backup = facts.backup;
	if (guard->valid && guard->record.commit > facts.commit)
		guard->missing = guard->record.commit - facts.commit;
	if (goes_on(verdict))
		TRY(take_over(guard, store, facts.commit, ctx));
	else if (verdict == GUARD_OTHER)
		TRY(guard_renew(guard, ret_why->text, ctx));
	if (verdict == GUARD_OTHER && guard->directory.text[0] != '\0' && !guard->directory_ok)
		TRY(record_mark(
			guard, offsetof(struct guard_record, directory_ended), ret_why->text, ctx));
	*ret = verdict;
	return OK;
}

enum err guard_recheck(struct guard *guard, struct store *store, enum guard_verdict *ret,
	struct errctx *ret_why, struct errctx *ctx)
{
	struct guard_record record;
	struct guard_facts facts;
	enum guard_verdict verdict;
	uint64_t commit;

	/* The record first: the store may only be ahead of it then. Its commits were judged at the
	 * start; what runs since then is this process's own. */
	if (!guard_get(guard, &record))
		return ERR_INVALID;
	TRY(facts_collect(&record, store, &facts, ctx));
	commit = facts.commit;
	if (facts.commit > record.commit)
		facts.commit = record.commit;
	verdict = guard_judge(&record, &facts, ret_why);
	if (goes_on(verdict)) {
		pthread_mutex_lock(&guard->mutex);
		guard->own_held = false;
		guard->directory_ok = !record.directory_ended;
		pthread_mutex_unlock(&guard->mutex);
		/* What was committed before that is in the store's heads. */
		TRY(take_over(guard, store, commit, ctx));
	} else if (verdict == GUARD_OTHER) {
		TRY(guard_renew(guard, ret_why->text, ctx));
	}
	*ret = verdict;
	return OK;
}
