#include "server/control/wait.h"

#include <stdio.h>

#include "base/alloc.h"
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/safe.h"

enum level { LEVEL_DURABLE = 1, LEVEL_HELD, LEVEL_SAFE };

struct waiting {
	struct runtime *rt;
	struct control_request *request;
	uint64_t number; /* for the vault's answers: it may be gone by then */
	char origin[LIMIT_LOG_NAME + 1];
	uint64_t first, end; /* of the entries */
	enum level level;
	uint64_t begun_ms, due_ms;
	enum safe_keys keys;
	bool asking, again;         /* the vault; once more after it */
	char told[SAFE_WORDS_SIZE]; /* the state as the client knows it */
	struct waiting *next;
};

static void plan(struct runtime *rt);

static void leave(struct waiting *w)
{
	struct waiting **at = &w->rt->waits.list;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	w->rt->waits.count--;
}

/* ---- how things stand ---- */

/* False: that log is no longer held here, or not so far. */
static bool look(const struct waiting *w, struct safe_state *ret)
{
	struct engine_log log;
	size_t position;

	if (!engine_log_find(w->rt->engine, bytes_str(w->origin), &log, &position) ||
		w->end > log.size)
		return false;
	safe_look(w->rt, position, w->end - 1, w->keys, ret);
	return true;
}

static bool reached(const struct waiting *w, const struct safe_state *state)
{
	return w->level == LEVEL_DURABLE || (w->level == LEVEL_HELD && state->held_by > 0) ||
	       safe_is(state);
}

/* why: "" when it came; else "time", "locked", "log". Frees it. */
static void answer(struct waiting *w, const char *why)
{
	struct runtime *rt = w->rt;
	struct control_request *request = w->request;
	struct safe_state state = {.needed = 0};
	bool there = look(w, &state);
	json_t *json = there ? safe_state_json(&state) : json_object();

	json_object_set_new(json, "reached", json_boolean(why[0] == '\0'));
	json_object_set_new(json, "why", json_text_or_null(why));
	json_object_set_new(
		json, "waited_ms", json_integer((json_int_t)(uv_now(&rt->loop) - w->begun_ms)));
	leave(w);
	mem_free(w);
	control_gone(request, NULL, NULL);
	answer_json(request, json, true);
	plan(rt);
}

static void tell(struct waiting *w, const struct safe_state *state)
{
	json_t *json = safe_state_json(state);
	const char *text = json_string_value(json_object_get(json, "state"));

	if (text == NULL || strcmp(text, w->told) == 0) {
		json_decref(json);
		return;
	}
	snprintf(w->told, sizeof(w->told), "%s", text);
	answer_json(w->request, json_pack("{s:o}", "progress", json), false);
}

/* ---- the keys ---- */

static void ask_keys(struct waiting *w);

static struct waiting *numbered(struct runtime *rt, uint64_t number)
{
	struct waiting *w = rt->waits.list;

	while (w != NULL && w->number != number)
		w = w->next;
	return w;
}

static enum safe_keys keys_of(const struct vault_request *done)
{
	if (done->result != OK)
		return SAFE_KEYS_UNKNOWN;
	if (!done->escrow_set)
		return SAFE_KEYS_NONE;
	return done->known == done->added ? SAFE_KEYS_ESCROWED : SAFE_KEYS_WAITING;
}

/* The rest may have changed meanwhile, too. */
static void keys_told(struct waiting *w, const struct vault_request *done)
{
	struct safe_state state;

	w->asking = false;
	w->keys = keys_of(done);
	if (done->result == ERR_LOCKED)
		answer(w, "locked");
	else if (!look(w, &state))
		answer(w, "log");
	else if (reached(w, &state))
		answer(w, "");
	else if (w->again)
		ask_keys(w);
	else
		tell(w, &state);
}

/* The client may have gone by then, and another wait have its memory: hence the number. */
static void on_keys(void *loop, struct vault_request *done)
{
	struct runtime *rt = loop;
	struct waiting *w = rt == NULL ? NULL : numbered(rt, (uintptr_t)done->arg);

	if (w != NULL)
		keys_told(w, done);
	vault_request_free(done);
}

static void ask_keys(struct waiting *w)
{
	struct vault_request *ask;

	w->again = w->asking;
	if (w->asking || w->rt->stopping)
		return;
	ask = vault_request_new(VAULT_KEYS_SAFE, (void *)(uintptr_t)w->number);
	if (ask == NULL || control_held(w->rt, ask) != OK)
		runtime_out_of_memory();
	ask->answered = on_keys;
	snprintf(ask->log_origin, sizeof(ask->log_origin), "%s", w->origin);
	ask->index = w->first;
	ask->end = w->end;
	w->asking = true;
	vault_submit(w->rt->vault, ask);
}

/* ---- waking ---- */

/* The keys are looked at once all else is there. */
static void judge(struct waiting *w)
{
	struct safe_state state;

	if (!look(w, &state))
		answer(w, "log");
	else if (w->level == LEVEL_SAFE && state.in_quorum && state.in_policy &&
		 w->rt->keys == NULL)
		answer(w, "locked");
	else if (w->level == LEVEL_SAFE && state.in_quorum && state.in_policy)
		ask_keys(w);
	else if (reached(w, &state))
		answer(w, "");
	else
		tell(w, &state);
}

/* An answer may begin the client's next request, which may wait too; none but the one that is
 * judged ends meanwhile. */
void waits_wake(struct runtime *rt)
{
	if (rt->waits.waking) {
		rt->waits.again = true;
		return;
	}
	rt->waits.waking = true;
	do {
		struct waiting *w = rt->waits.list, *next;

		rt->waits.again = false;
		for (; w != NULL; w = next) {
			next = w->next;
			judge(w);
		}
	} while (rt->waits.again);
	rt->waits.waking = false;
}

static void on_timer(uv_timer_t *timer)
{
	struct runtime *rt = timer->data;
	uint64_t now = uv_now(&rt->loop);

	for (struct waiting *w = rt->waits.list, *next; w != NULL; w = next) {
		next = w->next;
		if (w->due_ms <= now)
			answer(w, "time");
	}
	plan(rt);
}

static void plan(struct runtime *rt)
{
	uint64_t due = UINT64_MAX, now = uv_now(&rt->loop);

	for (const struct waiting *w = rt->waits.list; w != NULL; w = w->next)
		due = w->due_ms < due ? w->due_ms : due;
	if (due == UINT64_MAX || rt->stopping)
		uv_timer_stop(&rt->waits.timer);
	else
		uv_timer_start(&rt->waits.timer, on_timer, due > now ? due - now : 0, 0);
}

void waits_init(struct runtime *rt)
{
	uv_timer_init(&rt->loop, &rt->waits.timer);
	rt->waits.timer.data = rt;
}

/* ---- a client ---- */

static void on_gone(void *arg)
{
	struct waiting *w = arg;
	struct control_request *request = w->request;
	struct runtime *rt = w->rt;

	leave(w);
	mem_free(w);
	control_end(request, BYTES_NONE);
	plan(rt);
}

static enum err check(
	const struct runtime *rt, const Sauti__SafeWaitRequest *message, struct errctx *ctx)
{
	if (message->level < LEVEL_DURABLE || message->level > LEVEL_SAFE)
		return err_set(ctx, ERR_INVALID, "level: 1 durable, 2 held, 3 safe");
	if (message->timeout_ms == 0 || message->timeout_ms > LIMIT_WAIT_MS)
		return err_set(ctx, ERR_INVALID, "timeout: from 1 ms to %u s",
			(unsigned)(LIMIT_WAIT_MS / 1000));
	if (rt->waits.count == LIMIT_WAITS)
		return err_set(ctx, ERR_BUSY, "%d clients wait already", LIMIT_WAITS);
	return OK;
}

/* Of no log: all of the one that is written now. */
static enum err range(const struct runtime *rt, const Sauti__SafeWaitRequest *message,
	struct waiting *w, struct errctx *ctx)
{
	const char *origin = message->origin[0] != '\0' ? message->origin
			     : rt->keys != NULL         ? rt->keys->log_origin
							: "";
	struct engine_log log;
	size_t position;

	if (!engine_log_find(rt->engine, bytes_str(origin), &log, &position) || !log.own)
		return err_set(ctx, ERR_NOTFOUND, "this node has no such log of its own");
	snprintf(w->origin, sizeof(w->origin), "%s", log.origin.text);
	w->first = message->first;
	w->end = message->origin[0] != '\0' ? message->end : log.size;
	if (w->end == 0 || w->first >= w->end || w->end > log.size)
		return err_set(ctx, ERR_INVALID, "the log has no such entries");
	return OK;
}

void begin_safe_wait(struct control_request *request, const Sauti__SafeWaitRequest *message)
{
	struct runtime *rt = control_runtime(request);
	struct waiting *w = mem_zalloc(sizeof(*w));
	struct errctx ctx = {""};
	enum err err = w == NULL ? ERR_NOMEM : check(rt, message, &ctx);

	if (err == OK)
		err = range(rt, message, w, &ctx);
	if (err != OK) {
		mem_free(w);
		control_fail(request, err, 0, err_message(&ctx, err));
		return;
	}
	w->rt = rt;
	w->request = request;
	w->number = ++rt->waits.numbers;
	w->level = (enum level)message->level;
	w->keys = SAFE_KEYS_UNKNOWN;
	w->begun_ms = uv_now(&rt->loop);
	w->due_ms = w->begun_ms + message->timeout_ms;
	w->next = rt->waits.list;
	rt->waits.list = w;
	rt->waits.count++;
	control_gone(request, on_gone, w);
	plan(rt);
	judge(w);
}
