/*
 * Own logs. One commit per log is under way at a time; what is asked for meanwhile waits and goes
 * into the next one together (group commit).
 *
 *   NONE --appends wait--> SIGNING --EVENT_SIGNED--> WRITING --EVENT_WRITTEN--> NONE
 *
 * A checkpoint is signed over what the commit will make, and leaves the process only after the
 * commit is durable. A failed or refused commit fails all of its appends and all that wait behind
 * it, and changes nothing.
 */
#include "replication/engine/internal.h"

static void answer(struct engine *engine, uint64_t ticket, enum err error, uint64_t index)
{
	struct effect *effect = effect_add(engine, EFFECT_APPENDED);

	if (effect == NULL)
		return;
	effect->ticket = ticket;
	effect->error = error;
	effect->index = index;
}

static void append_free(struct append *append)
{
	entries_unref(append->entries);
	mem_free(append);
}

static void fail_list(struct engine *engine, struct append *list, enum err error)
{
	while (list != NULL) {
		struct append *next = list->next;

		answer(engine, list->ticket, error, 0);
		append_free(list);
		list = next;
	}
}

static void commit_clear(struct commit *commit)
{
	entries_unref(commit->entries);
	*commit = (struct commit){.state = COMMIT_NONE};
}

/* What waits and is not under way. A commit being signed or written ends by its own event. */
void append_fail_all(struct engine *engine, struct elog *log, enum err error)
{
	fail_list(engine, log->queue, error);
	log->queue = NULL;
	log->queue_end = &log->queue;
	log->queued = 0;
}

/* Moves appends from the queue to the commit, as many as one commit takes. */
static size_t commit_take(struct elog *log)
{
	struct append **end = &log->commit.appends;
	size_t count = 0, size = 0;

	while (log->queue != NULL &&
		(count == 0 || size + log->queue->entries->size <= APPEND_BYTES)) {
		struct append *append = log->queue;

		log->queue = append->next;
		log->queued--;
		append->next = NULL;
		*end = append;
		end = &append->next;
		count += append->entries->count;
		size += append->entries->size;
	}
	if (log->queue == NULL)
		log->queue_end = &log->queue;
	return count;
}

static enum err commit_merge(struct commit *commit, size_t count)
{
	struct bytes *list;
	size_t n = 0;

	if (commit->appends->next == NULL) {
		commit->entries = entries_ref(commit->appends->entries);
		return OK;
	}
	list = mem_array(count, sizeof(*list));
	if (list == NULL)
		return ERR_NOMEM;
	for (struct append *a = commit->appends; a != NULL; a = a->next) {
		memcpy(list + n, a->entries->entry, a->entries->count * sizeof(*list));
		n += a->entries->count;
	}
	enum err err = entries_make(list, count, &commit->entries);

	mem_free(list);
	return err;
}

/* Index 0 is the LogOpened that bears this log's key, or nothing: if the one asked for failed, what
 * was queued behind it must not take its place. */
static bool begins_well(struct engine *engine, struct elog *log)
{
	struct note_key key;

	return log->head.size > 0 || (log_learn_key(engine, log->queue->entries->entry[0], log,
					      false, &key, NULL) == OK &&
					     memcmp(&key.key, &log->key.key, sizeof(key.key)) == 0);
}

static void pump(struct engine *engine, struct elog *log)
{
	struct commit *commit = &log->commit;
	struct effect *effect;

	if (commit->state != COMMIT_NONE || log->queue == NULL || log->writing > 0)
		return;
	if (!begins_well(engine, log)) {
		append_fail_all(engine, log, ERR_INVALID);
		return;
	}
	size_t count = commit_take(log);

	if (commit_merge(commit, count) != OK) {
		engine->nomem = true;
		return;
	}
	commit->head = log->head;
	for (size_t i = 0; i < commit->entries->count; i++)
		compact_append(&commit->head, &commit->entries->leaf[i]);
	commit->checkpoint = (struct checkpoint){.origin = log->origin, .size = commit->head.size};
	compact_root(&commit->head, &commit->checkpoint.root);
	effect = effect_add(engine, EFFECT_SIGN);
	if (effect == NULL)
		return;
	effect->origin = log->origin;
	checkpoint_format(&effect->body, &commit->checkpoint);
	engine->nomem |= effect->body.err != OK;
	commit->state = COMMIT_SIGNING;
}

void append_request(struct engine *engine, struct event *event)
{
	struct elog *log = log_find(engine, bytes_str(event->origin->text));
	struct append *append;
	enum err error = OK;

	if (log == NULL || !log->own)
		error = ERR_NOTFOUND;
	else if (log->frozen)
		error = ERR_FORK;
	else if (!log->open)
		error = ERR_LOCKED;
	else if (log->queued == LIMIT_APPEND_QUEUE ||
		 log->head.size + event->entries->count > LIMIT_LOG_SIZE)
		error = ERR_LIMIT;
	append = error == OK ? mem_zalloc(sizeof(*append)) : NULL;
	if (append == NULL) {
		answer(engine, event->ticket, error == OK ? ERR_NOMEM : error, 0);
		entries_unref(event->entries);
		return;
	}
	append->entries = event->entries;
	append->ticket = event->ticket;
	*log->queue_end = append;
	log->queue_end = &append->next;
	log->queued++;
	pump(engine, log);
}

void append_unlocked(struct engine *engine, const struct event *event)
{
	struct elog *log = log_get(engine, bytes_str(event->origin->text));

	if (log != NULL && !log->own && !log->directory && strcmp(log->node, engine->node) == 0)
		log_own(engine, bytes_str(log->origin.text));
	else if (log != NULL && log->own && !log->directory && engine->opts.own != OWN_LOG)
		log_own(engine, bytes_str(log->origin.text));
	if (log == NULL || !log->own) {
		effect_notice(engine, NOTICE_ALARM, "log '%s' is not this node's to write",
			event->origin->text);
		return;
	}
	struct note_key key;

	if (log_note_key(&log->origin, event->key, &key) != OK)
		return;
	if (log->key_known && memcmp(&key.key, &log->key.key, sizeof(key.key)) != 0) {
		effect_notice(engine, NOTICE_ALARM,
			"log '%s': the keystore's key is not the one that opened it",
			log->origin.text);
		return;
	}
	log->key = key;
	log->key_known = true;
	log->open = true;
	pump(engine, log);
}

void append_locked(struct engine *engine)
{
	for (size_t i = 0; i < engine->log_count; i++) {
		struct elog *log = engine->logs[i];

		log->open = false;
		if (log->own)
			append_fail_all(engine, log, ERR_LOCKED);
	}
}

/* What waits behind it was made to follow it (numbers under keys, DESIGN 8): it fails too. */
static void commit_fail(struct engine *engine, struct elog *log, enum err error)
{
	struct append *appends = log->commit.appends;

	log->commit.appends = NULL;
	commit_clear(&log->commit);
	fail_list(engine, appends, error);
	append_fail_all(engine, log, error);
}

void append_signed(struct engine *engine, const struct event *event)
{
	struct elog *log = log_find(engine, bytes_str(event->origin->text));
	struct commit *commit;
	struct store_write *write;
	struct effect *effect;

	assert(log != NULL && log->commit.state == COMMIT_SIGNING);
	commit = &log->commit;
	if (event->error != OK || log->frozen) {
		commit_fail(engine, log, event->error != OK ? event->error : ERR_FORK);
		return;
	}
	write = store_write_new(&log->origin);
	effect = write == NULL ? NULL : effect_add(engine, EFFECT_WRITE);
	if (effect == NULL) {
		store_write_free(write);
		engine->nomem = true;
		return;
	}
	write->first = log->head.size;
	write->entries = entries_ref(commit->entries);
	checkpoint_format(&write->checkpoint, &commit->checkpoint);
	buf_put_str(&write->checkpoint, "\n");
	if (note_line_write(&write->checkpoint, &log->key,
		    bytes_make(event->signature.b, ED25519_SIGNATURE_SIZE)) != OK ||
		write->checkpoint.err != OK)
		engine->nomem = true;
	log->head = commit->head;
	log->writing++;
	commit->state = COMMIT_WRITING;
	effect->write = write;
}

void append_written(struct engine *engine, struct elog *log, const struct store_write *write)
{
	struct commit *commit = &log->commit;
	struct append *list = commit->appends;
	uint64_t index = write->first;

	assert(commit->state == COMMIT_WRITING);
	if (write->result != OK) {
		commit_fail(engine, log, write->result);
		return;
	}
	commit->appends = NULL;
	commit_clear(commit);
	while (list != NULL) {
		struct append *next = list->next;

		answer(engine, list->ticket, OK, index);
		index += list->entries->count;
		append_free(list);
		list = next;
	}
	pump(engine, log);
}
