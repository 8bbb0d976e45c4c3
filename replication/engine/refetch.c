/*
 * Damaged entries, fetched again. The store has marked them, with their leaf hashes, for which its
 * tree and the signed root vouch (sautid --fsck --repair). Any peer that holds the log can give
 * them: what has the right leaf hash is the right entry, whoever sends it.
 *
 *	1. EVENT_DAMAGED, before the start: what is missing
 *	2. the log's stream, when it is not in the middle of a target, goes to one who shows more of
 *	   the log than the first of them: a Fetch from there, up to the end of the run, window 1
 *	3. what fits a mark is written in its place; the rest of the batch is not looked at. The
 *	   stream ends; then the next run
 *	4. EVENT_WRITTEN: the mark is gone. With the last one the log is cosigned again
 *
 * This goes for own logs too, and for frozen ones: what is held stays held.
 *
 * Failures: who sends something else, or nothing in time, is passed over for the next one that
 * holds the log; after the last of them it begins anew a while later. One who has the same damage
 * says nothing, so the time is short when new entries of the log are waiting meanwhile. A peer that
 * knows nothing of `up_to` sends a whole batch.
 */
#include <stdio.h>

#include "replication/engine/internal.h"

enum { PATIENCE_MS = 5 * 1000 };

static size_t mark_at(const struct elog *log, uint64_t index)
{
	size_t low = 0, high = log->mark_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (log->marks[middle].is.index < index)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void refetch_damaged(struct engine *engine, const struct event *event)
{
	struct elog *log = log_find(engine, bytes_str(event->origin->text));
	size_t at;

	if (log == NULL || event->mark->index >= log->size || log->mark_count == LIMIT_DAMAGE_MARKS)
		return;
	at = mark_at(log, event->mark->index);
	if (at < log->mark_count && log->marks[at].is.index == event->mark->index)
		return;
	if (log->mark_count == log->mark_capacity) {
		size_t capacity = log->mark_capacity == 0 ? 8 : 2 * log->mark_capacity;
		struct mark *marks = mem_resize(log->marks, capacity * sizeof(*marks));

		if (marks == NULL) {
			engine->nomem = true;
			return;
		}
		log->marks = marks;
		log->mark_capacity = capacity;
	}
	memmove(log->marks + at + 1, log->marks + at, (log->mark_count - at) * sizeof(*log->marks));
	log->marks[at] = (struct mark){.is = *event->mark};
	log->mark_count++;
}

/* The first that is not on its way already; NULL. */
static const struct mark *wanted(const struct elog *log)
{
	for (size_t i = 0; i < log->mark_count; i++)
		if (!log->marks[i].healing)
			return &log->marks[i];
	return NULL;
}

/* Behind the run of marks that begins there. */
static uint64_t run_end(const struct elog *log, const struct mark *first)
{
	const struct mark *end = log->marks + log->mark_count, *mark = first;
	uint64_t index = first->is.index;

	while (mark < end && mark->is.index == index && !mark->healing &&
		index - first->is.index < LIMIT_BATCH_ENTRIES) {
		mark++;
		index++;
	}
	return index;
}

/* Those who hold it take turns, in the order of their names. NULL: nobody is left in this round. */
static struct session *whom(const struct engine *engine, const struct elog *log, uint64_t index)
{
	struct session *best = NULL;

	for (struct session *s = engine->sessions; s != NULL; s = s->next) {
		if (s->state != SESSION_ACTIVE || log->position >= s->log_count ||
			s->logs[log->position].have_size <= index ||
			strcmp(s->peer, log->refetched) <= 0)
			continue;
		if (best == NULL || strcmp(s->peer, best->peer) < 0)
			best = s;
	}
	return best;
}

static void ask(
	struct engine *engine, struct elog *log, struct session *session, const struct mark *mark)
{
	Sauti__Fetch fetch = SAUTI__FETCH__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	fetch_stop(engine, log, true);
	log->provider = session;
	log->stream = ++engine->next_stream;
	log->stream_from = log->head.size;
	log->unwritten = 0;
	log->refetching = true;
	log->progress_ms = engine->now_ms;
	fetch.origin = log->origin.text;
	fetch.stream = log->stream;
	fetch.from = mark->is.index;
	fetch.window = 1;
	fetch.up_to = run_end(log, mark);
	frame.body_case = SAUTI__FRAME__BODY_FETCH;
	frame.fetch = &fetch;
	fetch.rate = bound_ask(engine, session);
	effect_send(engine, session, &frame);
}

bool refetch_choose(struct engine *engine, struct elog *log)
{
	const struct mark *mark;
	struct session *session;

	if (log->refetching)
		return true;
	mark = log->mark_count == 0 ? NULL : wanted(log);
	if (mark == NULL || !engine->started || engine->now_ms < log->refetch_ms ||
		(log->provider != NULL && log->pinned))
		return false;
	session = whom(engine, log, mark->is.index);
	if (session == NULL) {
		/* The round is over, if there was one: all of them again, but not at once. */
		if (log->refetched[0] != '\0')
			log->refetch_ms = engine->now_ms + engine->opts.timing.fetch_timeout;
		log->refetched[0] = '\0';
		return false;
	}
	ask(engine, log, session, mark);
	return true;
}

/* Writes the entry in the place of a damaged one. */
static void heal(
	struct engine *engine, struct elog *log, struct mark *mark, struct entries *entries)
{
	struct store_write *write = store_write_new(&log->origin);
	struct effect *effect = write == NULL ? NULL : effect_add(engine, EFFECT_WRITE);

	if (effect == NULL) {
		store_write_free(write);
		engine->nomem = true;
		return;
	}
	write->heal = true;
	write->first = mark->is.index;
	write->entries = entries_ref(entries);
	mark->healing = true;
	effect->write = write;
}

unsigned refetch_offer(struct engine *engine, struct elog *log, const Sauti__Batch *batch)
{
	unsigned count = 0;

	if (batch->first > LIMIT_LOG_SIZE || batch->n_entries > LIMIT_BATCH_ENTRIES)
		return 0;
	for (size_t i = mark_at(log, batch->first); i < log->mark_count; i++) {
		struct mark *mark = &log->marks[i];
		uint64_t at = mark->is.index - batch->first;
		struct entries *entries;
		struct bytes entry;

		if (at >= batch->n_entries)
			break;
		entry = codec_bytes(batch->entries[at]);
		if (mark->healing || entry.size == 0 || entry.size > LIMIT_ENTRY_SIZE)
			continue;
		if (entries_make(&entry, 1, &entries) != OK) {
			engine->nomem = true;
			break;
		}
		if (hash_equal(&entries->leaf[0], &mark->is.leaf)) {
			heal(engine, log, mark, entries);
			count++;
		}
		entries_unref(entries);
	}
	return count;
}

/* The next one that holds it, if anybody does; else what the log's stream is for otherwise. */
static void pass_on(struct engine *engine, struct elog *log, bool tell)
{
	snprintf(log->refetched, sizeof(log->refetched), "%s", log->provider->peer);
	fetch_stop(engine, log, tell);
	fetch_choose(engine, log);
}

void refetch_batch(struct engine *engine, struct elog *log, const Sauti__Batch *batch)
{
	const struct mark *mark = wanted(log);

	if (mark == NULL || batch->first != mark->is.index ||
		refetch_offer(engine, log, batch) == 0) {
		effect_notice(engine, NOTICE_WARNING,
			"log '%s': what '%s' sends is not the damaged entry", log->origin.text,
			log->provider->peer);
		pass_on(engine, log, true);
		return;
	}
	fetch_stop(engine, log, true);
	log->refetched[0] = '\0';
	fetch_choose(engine, log);
}

static void whole_again(struct engine *engine, struct elog *log)
{
	effect_notice(engine, NOTICE_INFO,
		"log '%s': every damaged entry was fetched again and is in its place",
		log->origin.text);
	cosigned_make(engine, log);
	fetch_choose(engine, log);
}

void refetch_written(struct engine *engine, struct elog *log, const struct store_write *write)
{
	size_t at = mark_at(log, write->first);

	assert(at < log->mark_count && log->marks[at].is.index == write->first);
	/* Not marked any more: it was healed. */
	if (write->result != OK && write->result != ERR_NOTFOUND) {
		effect_notice(engine, NOTICE_WARNING,
			"log '%s': cannot put entry %llu in its place: %s", log->origin.text,
			(unsigned long long)write->first, err_text(write->result));
		log->marks[at].healing = false;
		log->refetch_ms = engine->now_ms + engine->opts.timing.retry_delay;
		return;
	}
	log->mark_count--;
	memmove(log->marks + at, log->marks + at + 1, (log->mark_count - at) * sizeof(*log->marks));
	if (write->first == 0)
		log_keep_opened(engine, log, write->entries->entry[0]);
	if (!log->key_known && write->first == 0)
		log->key_known = log_learn_key(engine, write->entries->entry[0], log, false,
					 &log->key, NULL) == OK;
	if (log->mark_count == 0)
		whole_again(engine, log);
}

/* Does somebody show more than is proven here? */
static bool news_wait(const struct engine *engine, const struct elog *log)
{
	if (log->own)
		return false;
	for (const struct session *s = engine->sessions; s != NULL; s = s->next)
		if (s->state == SESSION_ACTIVE && log->position < s->log_count &&
			s->logs[log->position].have_size > log->head.size)
			return true;
	return false;
}

void refetch_tick(struct engine *engine, struct elog *log)
{
	if (log->mark_count == 0)
		return;
	if (!log->refetching) {
		fetch_choose(engine, log);
	} else if (refetch_due(engine, log) <= engine->now_ms) {
		effect_notice(engine, NOTICE_INFO,
			"log '%s': '%s' does not send the damaged entry, asking another",
			log->origin.text, log->provider->peer);
		pass_on(engine, log, true);
	}
}

uint64_t refetch_due(const struct engine *engine, const struct elog *log)
{
	uint32_t timeout = engine->opts.timing.fetch_timeout;

	if (log->refetching && timeout > PATIENCE_MS && news_wait(engine, log))
		timeout = PATIENCE_MS;
	if (log->refetching)
		return log->progress_ms + timeout;
	/* Nobody has it: whoever comes and shows the log is asked. */
	return log->mark_count > 0 && wanted(log) != NULL && log->refetch_ms > engine->now_ms
		       ? log->refetch_ms
		       : UINT64_MAX;
}
