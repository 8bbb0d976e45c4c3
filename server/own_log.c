/*
 * Own logs: appending to them, and what unlocking and locking mean for them.
 */
#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "certs/record.h"
#include "server/internal.h"
#include "server/log.h"

void runtime_append(
	struct runtime *rt, const char *text, struct entries *entries, append_done done, void *arg)
{
	struct append_waiting *waiting = mem_zalloc(sizeof(*waiting));
	struct engine_log log;
	size_t position;
	struct origin origin;
	struct event event = {.type = EVENT_APPEND, .entries = entries};

	if (waiting == NULL) {
		entries_unref(entries);
		done(arg, ERR_NOMEM, 0);
		return;
	}
	waiting->ticket = event.ticket = ++rt->next_ticket;
	waiting->done = done;
	waiting->arg = arg;
	waiting->next = rt->appends;
	rt->appends = waiting;
	/* The engine's own copy of the origin lasts, should the event have to wait. */
	if (engine_log_find(rt->engine, bytes_str(text), &log, &position)) {
		event.origin = engine_log_origin(rt->engine, position);
	} else {
		snprintf(origin.text, sizeof(origin.text), "%s", text);
		event.origin = &origin;
		assert(!rt->stepping);
	}
	runtime_step(rt, &event);
}

struct opening {
	struct runtime *rt;
	append_done done;
	void *arg;
};

static void on_opened(void *arg, enum err error, uint64_t index)
{
	struct opening *opening = arg;

	opening->rt->opening = false;
	opening->done(opening->arg, error, index);
	mem_free(opening);
}

/* A new log begins with its LogOpened. */
static enum err log_opened_entries(const struct runtime *rt, struct entries **ret)
{
	struct log_opened opened = {
		.origin = rt->keys->log_origin,
		.previous_origin = "",
		.log_key = *signer_public(rt->keys->log),
		.opened_at = runtime_wall_s(),
	};
	struct buf entry;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	enum err err = log_opened_write(&entry, &opened, rt->keys->node);

	if (err == OK) {
		struct bytes list = buf_bytes(&entry);

		err = entries_make(&list, 1, ret);
	}
	buf_release(&entry);
	return err;
}

static void unlock_log(struct runtime *rt, const char *text, const struct signer *signer)
{
	struct origin origin;

	snprintf(origin.text, sizeof(origin.text), "%s", text);
	runtime_step(rt,
		&(struct event){
			.type = EVENT_UNLOCKED, .origin = &origin, .key = signer_public(signer)});
}

/* Unless it has one, or one is on its way. */
static void open_log(struct runtime *rt, append_done done, void *arg)
{
	const char *origin = rt->keys->log_origin;
	struct engine_log log;
	size_t position;
	struct entries *entries;
	struct opening *opening;

	if (rt->opening ||
		(engine_log_find(rt->engine, bytes_str(origin), &log, &position) && log.size > 0)) {
		done(arg, OK, 0);
		return;
	}
	opening = mem_zalloc(sizeof(*opening));
	enum err err = opening == NULL ? ERR_NOMEM : log_opened_entries(rt, &entries);

	if (err != OK) {
		mem_free(opening);
		done(arg, err, 0);
		return;
	}
	*opening = (struct opening){rt, done, arg};
	rt->opening = true;
	runtime_append(rt, origin, entries, on_opened, opening);
}

void runtime_unlocked(struct runtime *rt, struct vault_keys *keys, append_done done, void *arg)
{
	if (rt->keys != NULL) {
		vault_keys_free(keys);
	} else if (keys != NULL) {
		rt->keys = keys;
		log_line(LOG_INFO, "unlocked");
		unlock_log(rt, keys->log_origin, keys->log);
		if (keys->directory != NULL)
			unlock_log(rt, keys->directory_origin, keys->directory);
	}
	if (rt->keys == NULL)
		done(arg, ERR_LOCKED, 0);
	else
		open_log(rt, done, arg);
}

void runtime_locked(struct runtime *rt)
{
	if (rt->keys == NULL)
		return;
	runtime_step(rt, &(struct event){.type = EVENT_LOCKED});
	vault_keys_free(rt->keys);
	rt->keys = NULL;
	log_line(LOG_INFO, "locked");
}
