#include "server/ledger.h"

#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "cases/event/json_memory.h"
#include "server/internal.h"

/* --- events --- */

struct writing {
	struct runtime *rt;
	struct sealed_batch batch;
	char origin[sizeof(((struct vault_request *)NULL)->log_origin)];
	ledger_done done;
	void *arg;
};

static void writing_end(struct writing *writing, enum err error, const char *why, uint64_t index)
{
	struct ledger_place place = {writing->origin, index};

	writing->done(writing->arg, error, why == NULL ? err_text(error) : why, &place);
	mem_free(writing);
}

static void on_event_appended(void *arg, enum err error, uint64_t index)
{
	struct writing *writing = arg;

	runtime_tell_vault(writing->rt, writing->batch, error, index);
	writing_end(writing, error, NULL, index);
}

static enum err write_lines(struct vault_request *ask, json_t *event)
{
	char *text = event == NULL ? NULL : json_dumps(event, JSON_COMPACT);

	if (text == NULL)
		return ERR_NOMEM;
	buf_put_str(&ask->lines, text);
	wipe(text, strlen(text));
	json_text_free(text);
	return ask->lines.err;
}

void ledger_write(
	struct runtime *rt, const char *officer, json_t *event, ledger_done done, void *arg)
{
	struct writing *writing = mem_zalloc(sizeof(*writing));
	struct vault_request *ask = vault_request_new(VAULT_LEDGER, writing);
	enum err err = writing == NULL || ask == NULL ? ERR_NOMEM : write_lines(ask, event);

	json_decref(event);
	if (err == ERR_NOMEM)
		runtime_out_of_memory();
	*writing = (struct writing){.rt = rt, .done = done, .arg = arg};
	if (err == OK && !guard_state_writable(&rt->guard_state)) {
		vault_request_free(ask);
		writing_end(writing, ERR_STALE, rt->guard_state.why, 0);
		return;
	}
	if (err != OK) {
		vault_request_free(ask);
		writing_end(writing, err, NULL, 0);
		return;
	}
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	snprintf(ask->officer, sizeof(ask->officer), "%s", officer);
	vault_submit(rt->vault, ask);
}

/* Sealed: into the log. */
static void append(struct runtime *rt, struct vault_request *done, append_done end, void *arg)
{
	struct sealed_batch batch = {done->batch, done->wave};
	struct entries *entries = done->entries;

	if (!runtime_may_append(rt, batch)) {
		end(arg, rt->failed_wave_error, 0);
		return;
	}
	done->entries = NULL;
	runtime_append(rt, done->log_origin, entries, end, arg);
}

static void event_sealed(struct runtime *rt, struct vault_request *done)
{
	struct writing *writing = done->arg;

	if (done->trouble != TROUBLE_NONE)
		runtime_disk_failed(rt, err_message(&done->ctx, done->result));
	if (done->result != OK) {
		writing_end(writing, done->result, err_message(&done->ctx, done->result), 0);
		return;
	}
	assert(done->entries != NULL);
	writing->batch = (struct sealed_batch){done->batch, done->wave};
	snprintf(writing->origin, sizeof(writing->origin), "%s", done->log_origin);
	append(rt, done, on_event_appended, writing);
}

/* --- views --- */

struct ledger_waiter {
	struct ledger_waiter *next;
	void (*done)(void *arg);
	void *arg;
};

static void flush_end(struct runtime *rt)
{
	struct ledger_waiter *waiter = rt->views.waiters;

	uv_timer_stop(&rt->views.flush);
	rt->views.waiters = NULL;
	while (waiter != NULL) {
		struct ledger_waiter *next = waiter->next;

		waiter->done(waiter->arg);
		mem_free(waiter);
		waiter = next;
	}
}

static void on_flush_late(uv_timer_t *timer)
{
	flush_end(timer->data);
}

static bool may_write(const struct runtime *rt)
{
	return !rt->stopping && rt->keys != NULL && guard_state_writable(&rt->guard_state) &&
	       rt->condition.trouble == TROUBLE_NONE;
}

static void on_views_due(uv_timer_t *timer);

static void plan_views(struct runtime *rt, uint64_t delay_ms)
{
	if (!rt->stopping && !rt->views.writing && rt->views.waiting > 0 &&
		!uv_is_active((uv_handle_t *)&rt->views.timer))
		uv_timer_start(&rt->views.timer, on_views_due, delay_ms, 0);
}

static void ask_views(struct runtime *rt)
{
	struct vault_request *ask;

	if (rt->views.writing)
		return;
	uv_timer_stop(&rt->views.timer);
	if (!may_write(rt)) {
		plan_views(rt, LEDGER_RETRY_MS);
		flush_end(rt);
		return;
	}
	ask = vault_request_new(VAULT_VIEWS, NULL);
	if (ask == NULL)
		runtime_out_of_memory();
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	rt->views.writing = true;
	vault_submit(rt->vault, ask);
}

static void on_views_due(uv_timer_t *timer)
{
	ask_views(timer->data);
}

/* Not now: they wait on. */
static void views_failed(struct runtime *rt, enum err error, const char *why)
{
	rt->views.writing = false;
	if (error != ERR_LOCKED && error != ERR_CANCELED)
		log_line(LOG_WARNING, "views of cases are not in the ledger yet: %s", why);
	plan_views(rt, LEDGER_RETRY_MS);
	flush_end(rt);
}

static void on_views_appended(void *arg, enum err error, uint64_t index)
{
	struct runtime *rt = arg;

	runtime_tell_vault(rt, rt->views.batch, error, index);
	if (rt->stopping)
		rt->views.writing = false;
	else if (error != OK)
		views_failed(rt, error, err_text(error));
	else
		rt->views.settling = true; /* the vault's next answer says what still waits */
}

void ledger_go_on(struct runtime *rt)
{
	uv_timer_stop(&rt->views.timer);
	plan_views(rt, LEDGER_VIEWS_MS);
}

static void views_sealed(struct runtime *rt, struct vault_request *done)
{
	if (done->trouble != TROUBLE_NONE)
		runtime_disk_failed(rt, err_message(&done->ctx, done->result));
	if (done->result != OK) {
		views_failed(rt, done->result, err_message(&done->ctx, done->result));
	} else if (done->entries == NULL) {
		rt->views.writing = false;
		flush_end(rt);
	} else {
		rt->views.batch = (struct sealed_batch){done->batch, done->wave};
		append(rt, done, on_views_appended, rt);
	}
}

void ledger_views_told(struct runtime *rt, const struct vault_request *done)
{
	if (!done->views_told)
		return;
	rt->views.waiting = done->views_waiting;
	if (done->views_lost > rt->views.lost)
		log_line(LOG_ALARM, "%llu views of cases are lost to the ledger",
			(unsigned long long)(done->views_lost - rt->views.lost));
	rt->views.lost = done->views_lost;
	if (rt->views.settling && done->type == VAULT_COMMITTED &&
		done->batch == rt->views.batch.batch) {
		rt->views.settling = rt->views.writing = false;
		if (rt->views.waiting > 0)
			ask_views(rt); /* more than fitted into one batch */
		else
			flush_end(rt);
	}
	plan_views(rt, LEDGER_VIEWS_MS);
}

void ledger_flush(struct runtime *rt, void (*done)(void *arg), void *arg)
{
	struct ledger_waiter *waiter;

	if (rt->views.waiting == 0 || rt->keys == NULL) {
		done(arg);
		return;
	}
	waiter = mem_zalloc(sizeof(*waiter));
	if (waiter == NULL)
		runtime_out_of_memory();
	*waiter = (struct ledger_waiter){rt->views.waiters, done, arg};
	rt->views.waiters = waiter;
	uv_timer_start(&rt->views.flush, on_flush_late, LEDGER_FLUSH_MS, 0);
	ask_views(rt);
}

/* --- the vault's answers, and the end --- */

void ledger_vault_done(struct runtime *rt, struct vault_request *done)
{
	if (done->type == VAULT_LEDGER)
		event_sealed(rt, done);
	else
		views_sealed(rt, done);
}

void ledger_vault_drop(struct vault_request *done)
{
	if (done->type == VAULT_LEDGER)
		writing_end(done->arg, ERR_CANCELED, NULL, 0);
}

void ledger_init(struct runtime *rt)
{
	uv_timer_init(&rt->loop, &rt->views.timer);
	uv_timer_init(&rt->loop, &rt->views.flush);
	rt->views.timer.data = rt->views.flush.data = rt;
}

void ledger_stop(struct runtime *rt)
{
	uv_timer_stop(&rt->views.timer);
	flush_end(rt);
}

json_t *ledger_views_json(const struct runtime *rt)
{
	return json_pack("{s:I,s:I}", "waiting", (json_int_t)rt->views.waiting, "lost",
		(json_int_t)rt->views.lost);
}
