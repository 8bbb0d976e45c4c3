/*
 * Own logs: appending to them, and what unlocking and locking mean for them.
 */
#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "certs/record.h"
#include "server/control/wait.h"
#include "server/internal.h"
#include "server/keys/erasing.h"
#include "server/keys/escrow.h"
#include "server/keys/silence.h"
#include "server/log.h"
#include "server/mail.h"
#include "server/receipts.h"

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

void runtime_dispute(struct runtime *rt, struct bytes record, append_done done, void *arg)
{
	struct append_waiting *waiting = mem_zalloc(sizeof(*waiting));
	struct event event = {.type = EVENT_DISPUTE, .entry = record};

	if (waiting == NULL) {
		done(arg, ERR_NOMEM, 0);
		return;
	}
	assert(!rt->stepping); /* the record is borrowed */
	waiting->ticket = event.ticket = ++rt->next_ticket;
	waiting->done = done;
	waiting->arg = arg;
	waiting->next = rt->appends;
	rt->appends = waiting;
	runtime_step(rt, &event);
}

bool runtime_may_append(const struct runtime *rt, struct sealed_batch batch)
{
	return rt->failed_wave != batch.wave;
}

void runtime_tell_vault(
	struct runtime *rt, struct sealed_batch batch, enum err error, uint64_t index)
{
	struct vault_request *tell;

	if (error != OK && runtime_may_append(rt, batch)) {
		rt->failed_wave = batch.wave;
		rt->failed_wave_error = error;
	}
	if (rt->stopping) /* the vault has forgotten everything already */
		return;
	tell = vault_request_new(error == OK ? VAULT_COMMITTED : VAULT_ABORTED, NULL);
	if (tell == NULL)
		runtime_out_of_memory();
	tell->batch = batch.batch;
	tell->index = index;
	vault_submit(rt->vault, tell);
}

struct opening {
	struct runtime *rt;
	append_done done;
	void *arg;
};

/* The node's own log is there and open. */
static void opened(struct runtime *rt)
{
	if (rt->guard_state.verdict == GUARD_OTHER) {
		log_line(LOG_INFO, "a new log is open: %s", rt->keys->log_origin);
		rt->guard_state.verdict = GUARD_SAME;
		rt->guard_state.why[0] = '\0';
	}
	rt->guard_state.resealed = rt->guard_state.returned = 0;
	runtime_reseal(rt);
	escrow_wake(rt);
	receipts_tick(rt);
	mail_wake(rt); /* the prekey may have to be published */
}

static void on_opened(void *arg, enum err error, uint64_t index)
{
	struct opening *opening = arg;

	opening->rt->opening = false;
	if (error == OK && opening->rt->keys != NULL)
		opened(opening->rt);
	opening->done(opening->arg, error, index);
	mem_free(opening);
}

/* A new log begins with its LogOpened. */
static enum err log_opened_entries(const struct runtime *rt, struct entries **ret)
{
	struct log_opened opened = {
		.origin = rt->keys->log_origin,
		.previous_origin = rt->keys->previous_origin,
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

/* Unless it has one, or one is on its way. fresh: the keys were not there before. */
static void open_log(struct runtime *rt, bool fresh, append_done done, void *arg)
{
	const char *origin = rt->keys->log_origin;
	struct engine_log log;
	size_t position;
	struct entries *entries;
	struct opening *opening;

	if (rt->opening) {
		done(arg, OK, 0);
		return;
	}
	if (engine_log_find(rt->engine, bytes_str(origin), &log, &position) && log.size > 0) {
		if (fresh)
			opened(rt);
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

/* What is unlocked: the directory where the guard vouches for it, the own log unless what the store
 * has of it is not all that was signed. */
static void unlock_logs(struct runtime *rt)
{
	const struct vault_keys *keys = rt->keys;

	log_line(LOG_INFO, "unlocked");
	if (keys->directory != NULL && guard_directory_ok(rt->guard))
		unlock_log(rt, keys->directory_origin, keys->directory);
	else if (keys->directory != NULL)
		log_line(LOG_ALARM, "the directory cannot be vouched for after this: it takes no "
				    "new members");
	if (guard_state_writable(&rt->guard_state))
		unlock_log(rt, keys->log_origin, keys->log);
	else
		log_line(LOG_ALARM, "nothing can be recorded: %s", rt->guard_state.why);
}

/* The log is there; what was ordered erased comes before anything is served. */
static void on_log_there(void *arg, enum err error, uint64_t index)
{
	struct opening *waiting = arg;

	erasing_gate(waiting->rt, error, index, waiting->done, waiting->arg);
	mem_free(waiting);
}

static struct opening *waiting_for_log(struct runtime *rt, append_done done, void *arg)
{
	struct opening *waiting = mem_zalloc(sizeof(*waiting));

	if (waiting == NULL)
		runtime_out_of_memory();
	*waiting = (struct opening){rt, done, arg};
	return waiting;
}

void runtime_unlocked(struct runtime *rt, struct vault_keys *keys, append_done done, void *arg)
{
	bool fresh = rt->keys == NULL && keys != NULL;

	if (rt->keys != NULL) {
		vault_keys_free(keys);
	} else if (fresh) {
		rt->keys = keys;
		unlock_logs(rt);
		if (keys->prekey.number == 0)
			log_line(LOG_WARNING, "no prekey could be kept: nobody can seal mail to "
					      "this node; the next unlock tries again");
		erasing_gate_begin(rt);
		runtime_step(rt, &(struct event){.type = EVENT_MAIL_OPEN});
		rt->mail->tell = true;
	}
	if (rt->keys == NULL)
		done(arg, ERR_LOCKED, 0);
	else if (!guard_state_writable(&rt->guard_state))
		erasing_gate(rt, OK, 0, done, arg);
	else
		open_log(rt, fresh, on_log_there, waiting_for_log(rt, done, arg));
}

void runtime_locked(struct runtime *rt)
{
	sessions_end_all(rt->officers);
	if (rt->keys == NULL)
		return;
	silence_locked(rt);
	runtime_step(rt, &(struct event){.type = EVENT_LOCKED});
	vault_keys_free(rt->keys);
	rt->keys = NULL;
	erasing_locked(rt);
	escrow_forget(rt);
	waits_wake(rt);
	log_line(LOG_INFO, "locked");
}
