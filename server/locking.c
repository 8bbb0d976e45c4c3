#include "server/locking.h"

#include <stdio.h>
#include <time.h>
#include <uv.h>

#include "base/alloc.h"
#include "node/swap.h"
#include "server/control/control.h"
#include "server/heap.h"
#include "server/internal.h"
#include "server/log.h"

enum { SWAP_MS = 15 * 1000, IDLE_CHECKS = 20 };

struct locking {
	struct runtime *rt;
	uv_timer_t swap_timer, idle_timer;
	uv_signal_t sigusr1;

	uv_work_t work; /* looks at swap */
	bool working, said;
	struct swap_report fresh; /* the worker's, while it works */
	struct swap_report swap;
	struct vault_request *waiting; /* UNLOCKs, for the worker */

	unsigned in_use;  /* requests under way that count */
	uint64_t used_ms; /* when the last of them ended, on the clock that counts sleep */

	bool locked_once;
	enum lock_why why;
	uint64_t locked_at_s;
	uint64_t began_ms; /* of the lock under way */
};

static const char *const why_names[] = {
	[LOCK_ASKED] = "asked",
	[LOCK_IDLE] = "idle",
	[LOCK_PANIC] = "panic",
	[LOCK_SWAP] = "swap",
	[LOCK_LOG] = "log",
	[LOCK_KEYRING] = "keyring",
};

/* Goes on while the machine sleeps, and nobody sets it. */
static uint64_t awake_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* --- locking --- */

static void unlocks_drop(struct locking *l)
{
	while (l->waiting != NULL) {
		struct vault_request *unlock = l->waiting;

		l->waiting = unlock->next;
		unlock->next = NULL;
		control_fail(unlock->arg, ERR_LOCKED, 0, "the node was locked meanwhile");
		vault_request_free(unlock);
	}
}

void runtime_lock(struct runtime *rt, enum lock_why why, struct control_request *asker)
{
	struct vault_request *ask = vault_request_new(VAULT_LOCK, asker);
	struct locking *l = rt->locking;

	if (ask == NULL)
		runtime_out_of_memory(); /* that forgets everything, too */
	l->began_ms = awake_ms();
	if (rt->keys != NULL || why == LOCK_PANIC) {
		l->locked_once = true;
		l->why = why;
		l->locked_at_s = runtime_wall_s();
		log_line(LOG_INFO, "locking: %s", why_names[why]);
	}
	vault_lock_now(rt->vault, ask);
	runtime_locked(rt);
	unlocks_drop(l);
	control_server_shed(rt->control, asker, why == LOCK_PANIC);
}

void locking_done(struct runtime *rt)
{
	crypto_forget();
	wipe_stack();
	log_line(LOG_INFO, "keys and cases are forgotten after %llu ms",
		(unsigned long long)(awake_ms() - rt->locking->began_ms));
}

static void on_sigusr1(uv_signal_t *signal, int number)
{
	runtime_lock(signal->data, LOCK_PANIC, NULL);
}

/* --- idleness --- */

void locking_use_begin(struct runtime *rt)
{
	rt->locking->in_use++;
}

void locking_use_end(struct runtime *rt)
{
	rt->locking->in_use--;
	rt->locking->used_ms = awake_ms();
}

static void on_idle_timer(uv_timer_t *timer)
{
	struct runtime *rt = timer->data;
	struct locking *l = rt->locking;

	if (rt->keys == NULL || l->in_use > 0 ||
		awake_ms() - l->used_ms < UINT64_C(1000) * rt->config.idle_s)
		return;
	log_line(LOG_INFO, "nobody asked anything for %u s", (unsigned)rt->config.idle_s);
	runtime_lock(rt, LOCK_IDLE, NULL);
}

/* --- swap --- */

static void swap_say(const struct runtime *rt)
{
	const struct swap_report *swap = &rt->locking->swap;
	enum log_level level = rt->config.swap_allowed ? LOG_WARNING : LOG_ALARM;

	for (size_t i = 0; i < swap->count; i++)
		log_line(level, "%s: %s", swap->findings[i],
			rt->config.swap_allowed
				? "what is read here may be written to that disk in clear; allowed "
				  "by [lock] unencrypted_swap"
				: "nothing is unlocked");
	if (swap->count == 0 && rt->locking->said)
		log_line(LOG_INFO, "over: what is read here could be written to a disk in clear");
}

/* A new finding is said once; so is that there is none any more. */
static void swap_take(struct runtime *rt, const struct swap_report *fresh)
{
	struct locking *l = rt->locking;
	bool same = fresh->count == l->swap.count;

	for (size_t i = 0; same && i < fresh->count; i++)
		same = strcmp(fresh->findings[i], l->swap.findings[i]) == 0;
	l->swap = *fresh;
	if (!same)
		swap_say(rt);
	l->said = l->swap.count > 0;
	if (l->swap.count > 0 && !rt->config.swap_allowed && rt->keys != NULL)
		runtime_lock(rt, LOCK_SWAP, NULL);
}

static void unlock_judged(struct runtime *rt, struct vault_request *unlock)
{
	struct errctx ctx = {""};
	enum err err = rt->config.swap_allowed ? OK : swap_refuse(&rt->locking->swap, &ctx);

	if (err == OK || rt->stopping) { /* a vault that has stopped answers for itself */
		vault_submit(rt->vault, unlock);
		return;
	}
	control_fail(unlock->arg, err, 0, ctx.text);
	vault_request_free(unlock);
}

static void swap_run(uv_work_t *work)
{
	struct locking *l = work->data;

	swap_check(&swap_roots_system, &l->fresh);
}

static void swap_done(uv_work_t *work, int status)
{
	struct locking *l = work->data;
	struct runtime *rt = l->rt;
	struct vault_request *unlock = l->waiting;

	l->working = false;
	l->waiting = NULL;
	if (status == 0 && !rt->stopping)
		swap_take(rt, &l->fresh);
	while (unlock != NULL) {
		struct vault_request *next = unlock->next;

		unlock->next = NULL;
		unlock_judged(rt, unlock);
		unlock = next;
	}
}

/* A stat(2) may wait for a disk: the loop does not. */
static void swap_look(struct locking *l)
{
	if (!l->working && uv_queue_work(&l->rt->loop, &l->work, swap_run, swap_done) == 0)
		l->working = true;
}

static void on_swap_timer(uv_timer_t *timer)
{
	struct runtime *rt = timer->data;

	swap_look(rt->locking);
}

void locking_unlock(struct runtime *rt, struct vault_request *unlock)
{
	struct locking *l = rt->locking;

	swap_look(l);
	if (!l->working) {
		control_fail(unlock->arg, ERR_NOMEM, 0, "no worker");
		vault_request_free(unlock);
		return;
	}
	unlock->next = l->waiting;
	l->waiting = unlock;
}

/* --- life --- */

enum err locking_start(struct runtime *rt, struct errctx *ctx)
{
	struct locking *l = mem_zalloc(sizeof(*l));

	if (l == NULL)
		return ERR_NOMEM;
	rt->locking = l;
	l->rt = rt;
	l->work.data = l;
	l->used_ms = awake_ms();
	uv_timer_init(&rt->loop, &l->swap_timer);
	uv_timer_init(&rt->loop, &l->idle_timer);
	uv_signal_init(&rt->loop, &l->sigusr1);
	l->swap_timer.data = l->idle_timer.data = l->sigusr1.data = rt;
	if (!heap_wipes())
		log_line(LOG_WARNING, "built with a sanitizer: what is freed is not wiped");
	swap_check(&swap_roots_system, &l->swap);
	swap_say(rt);
	l->said = l->swap.count > 0;
	uv_timer_start(&l->swap_timer, on_swap_timer, SWAP_MS, SWAP_MS);
	if (rt->config.idle_s > 0)
		uv_timer_start(&l->idle_timer, on_idle_timer,
			UINT64_C(1000) * rt->config.idle_s / IDLE_CHECKS,
			UINT64_C(1000) * rt->config.idle_s / IDLE_CHECKS);
	if (uv_signal_start(&l->sigusr1, on_sigusr1, SIGUSR1) != 0)
		return err_set(ctx, ERR_NOMEM, "no handler for SIGUSR1");
	return OK;
}

void locking_close(struct runtime *rt)
{
	struct locking *l = rt->locking;

	if (l == NULL || uv_is_closing((uv_handle_t *)&l->swap_timer))
		return;
	uv_close((uv_handle_t *)&l->swap_timer, NULL);
	uv_close((uv_handle_t *)&l->idle_timer, NULL);
	uv_close((uv_handle_t *)&l->sigusr1, NULL);
}

void locking_free(struct runtime *rt)
{
	mem_free(rt->locking);
	rt->locking = NULL;
}

/* --- status --- */

/* What the configuration allows is said each time, also while there is nothing to be found. */
static json_t *warnings_json(const struct runtime *rt)
{
	const struct swap_report *swap = &rt->locking->swap;
	json_t *list = json_array();

	if (!rt->config.swap_allowed)
		return list;
	for (size_t i = 0; i < swap->count; i++)
		json_array_append_new(list,
			json_sprintf("%s; allowed by [lock] unencrypted_swap: what is read here "
				     "may be written to that disk in clear",
				swap->findings[i]));
	if (swap->count == 0)
		json_array_append_new(list,
			json_string("[lock] unencrypted_swap = allow: this node unlocks even if "
				    "what is read here may be written to a disk in clear"));
	return list;
}

json_t *locking_json(const struct runtime *rt)
{
	const struct locking *l = rt->locking;
	json_t *findings = json_array(), *last = json_null();

	for (size_t i = 0; i < l->swap.count; i++)
		json_array_append_new(findings, json_string(l->swap.findings[i]));
	if (l->locked_once)
		last = json_pack(
			"{s:I,s:s}", "at", (json_int_t)l->locked_at_s, "why", why_names[l->why]);
	return json_pack("{s:I,s:o,s:{s:b,s:o},s:o}", "idle_s", (json_int_t)rt->config.idle_s,
		"last", last, "swap", "allowed", rt->config.swap_allowed, "findings", findings,
		"warnings", warnings_json(rt));
}

void locking_alarms(const struct runtime *rt, json_t *alarms)
{
	const struct swap_report *swap = &rt->locking->swap;

	for (size_t i = 0; i < swap->count && !rt->config.swap_allowed; i++)
		json_array_append_new(
			alarms, json_sprintf("%s: nothing is unlocked until it is, or is off",
					swap->findings[i]));
}
