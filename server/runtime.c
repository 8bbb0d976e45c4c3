#include "server/runtime.h"

#include <assert.h>
#include <malloc.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "server/control/control.h"
#include "server/control/wait.h"
#include "server/internal.h"
#include "server/keys/approvals.h"
#include "server/keys/erasing.h"
#include "server/keys/escrow.h"
#include "server/keys/grants.h"
#include "server/ledger.h"
#include "server/locking.h"
#include "server/log.h"
#include "server/mail.h"
#include "server/receipts.h"
#include "server/safe.h"

enum { TIDY_MS = 60 * 1000, REFUSED_LINES = 60, NOTICE_LINES = 240, TRIM_SIZE = 1024 * 1024 };

uint64_t runtime_wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t runtime_wall_s(void)
{
	return runtime_wall_ms() / 1000;
}

struct peer_state *peer_state(const struct runtime *rt, const char *name)
{
	for (size_t i = 0; i < rt->peer_count; i++)
		if (strcmp(rt->peers[i].name, name) == 0)
			return &rt->peers[i];
	return NULL;
}

struct peer_state *peer_state_add(struct runtime *rt, const char *name)
{
	struct peer_state *peer = peer_state(rt, name);

	if (peer != NULL || rt->peer_count == LIMIT_PEERS)
		return peer;
	peer = &rt->peers[rt->peer_count++];
	*peer = (struct peer_state){.address = "", .proxy = rt->config.proxy};
	snprintf(peer->name, sizeof(peer->name), "%s", name);
	return peer;
}

const char *peer_address(const struct runtime *rt, const struct peer_state *peer)
{
	const struct learned *learned = addresses_of(rt, peer->name);
	size_t configured = peer->address[0] != '\0';
	size_t count = configured + (learned == NULL ? 0 : learned->list.count);
	size_t turn = count == 0 ? 0 : peer->turn % count;

	if (count == 0)
		return "";
	return turn < configured ? peer->address : learned->list.text[turn - configured];
}

const char *runtime_peer_error(const struct runtime *rt, const char *name)
{
	const struct peer_state *peer = peer_state(rt, name);

	return peer == NULL ? "" : peer->error;
}

void runtime_out_of_memory(void)
{
	log_line(LOG_ALARM, "out of memory: stopping; nothing acknowledged is lost");
	_exit(1);
}

void runtime_damage(struct runtime *rt, const struct errctx *ctx)
{
	snprintf(rt->alarm, sizeof(rt->alarm),
		"damaged data: %.100s; stop the node and run: sautid --fsck --config '%.80s'",
		err_message(ctx, ERR_CORRUPT), rt->config.file);
	log_line(LOG_ALARM, "%s", rt->alarm);
}

void runtime_later(struct runtime *rt, const struct event *event)
{
	if (rt->pending_first + rt->pending_count == rt->pending_capacity) {
		size_t capacity = rt->pending_capacity == 0 ? 64 : 2 * rt->pending_capacity;
		struct event *list = mem_resize(rt->pending, capacity * sizeof(*list));

		if (list == NULL)
			runtime_out_of_memory();
		rt->pending = list;
		rt->pending_capacity = capacity;
	}
	rt->pending[rt->pending_first + rt->pending_count++] = *event;
}

static void on_tick(uv_timer_t *timer);

static void plan_tick(struct runtime *rt)
{
	uint64_t due = engine_deadline(rt->engine), now = uv_now(&rt->loop);

	if (due == UINT64_MAX || rt->stopping)
		uv_timer_stop(&rt->tick);
	else
		uv_timer_start(&rt->tick, on_tick, due > now ? due - now : 1, 0);
}

/* Carrying an effect out may end a connection or complete a request, whose owner then steps the
 * engine again: such events wait their turn in the list, so that a step is never inside another. */
static void step_one(struct runtime *rt, struct event *event)
{
	struct effects effects = {0};

	event->now_ms = uv_now(&rt->loop);
	event->wall_s = runtime_wall_s();
	if (engine_step(rt->engine, event, &effects) != OK)
		runtime_out_of_memory();
	for (size_t i = 0; i < effects.count; i++)
		effect_perform(rt, &effects.list[i]);
	effects_release(&effects);
}

static void take_pending(struct runtime *rt, struct event *ret)
{
	*ret = rt->pending[rt->pending_first++];
	rt->pending_count--;
	if (ret->type == EVENT_COSIGNED)
		ret->line.data = rt->pending_line.data + (uintptr_t)ret->line.data;
}

void runtime_step(struct runtime *rt, struct event *event)
{
	struct event next;

	if (rt->stepping) {
		/* Only events that borrow nothing, or something that lasts, come here. */
		runtime_later(rt, event);
		return;
	}
	rt->stepping = true;
	step_one(rt, event);
	while (rt->pending_count > 0) {
		take_pending(rt, &next);
		step_one(rt, &next);
	}
	rt->pending_first = 0;
	buf_clear(&rt->pending_line);
	rt->stepping = false;
	plan_tick(rt);
}

static void on_tick(uv_timer_t *timer)
{
	struct runtime *rt = timer->data;

	runtime_step(rt, &(struct event){.type = EVENT_TICK});
}

static void on_tidy(uv_timer_t *timer)
{
	struct runtime *rt = timer->data;
	struct errctx ctx = {""};
	enum err err;

	store_tidy(rt->store);
	approvals_kick(rt);
	/* Freed pieces among others go back to the system only when it is asked for. */
	if (net_tidy(rt->net) >= TRIM_SIZE)
		malloc_trim(0);
	runtime_guard_tidy(rt);
	mail_chores(rt);
	grants_tidy(rt);
	receipts_tick(rt);
	err = writer_index_failure(rt->writer, &ctx);
	if (err != OK)
		log_line(LOG_WARNING, "store: %s (nothing is lost; cases take longer to find)",
			err_message(&ctx, err));
}

/* One line when something is the matter, and one when it is over. */
static void take_condition(struct runtime *rt)
{
	enum trouble before = rt->condition.trouble, now;

	writer_condition(rt->writer, &rt->condition);
	now = rt->condition.trouble;
	if (now == before)
		return;
	if (before != TROUBLE_NONE)
		log_line(LOG_INFO, "over: %s", trouble_text(before));
	if (now == TROUBLE_NONE)
		ledger_go_on(rt);
	if (now != TROUBLE_NONE)
		log_line(LOG_ALARM, "%s; %s", rt->condition.message, trouble_todo(now));
}

void runtime_disk_failed(struct runtime *rt, const char *what)
{
	log_line(LOG_WARNING, "%s", what);
	if (!rt->stopping)
		writer_probe(rt->writer);
}

/* A damaged entry is in its place again. */
static void entry_healed(struct runtime *rt, const struct store_write *write)
{
	if (write->result != OK || rt->damaged_left == 0)
		return;
	rt->damaged_left--;
	if (rt->damaged_left > 0)
		return;
	rt->damaged = false;
	log_line(LOG_INFO, "every damaged entry is back%s",
		rt->keys == NULL ? "" : "; cases show what was damaged after the next unlock");
}

static void on_written(uv_async_t *async)
{
	struct runtime *rt = async->data;
	struct errctx ctx = {""};
	struct store_write *write = writer_done(rt->writer, &ctx);

	take_condition(rt);
	/* What the condition explains is said once, not at each try. */
	if (ctx.text[0] != '\0')
		log_line(rt->condition.trouble == TROUBLE_NONE ? LOG_ALARM : LOG_DEBUG, "store: %s",
			ctx.text);
	while (write != NULL) {
		struct store_write *next = write->next;

		write->next = NULL;
		runtime_entries_returned(rt, write);
		prekeys_written(rt, write);
		if (write->heal)
			entry_healed(rt, write);
		if (write->result == ERR_CORRUPT)
			runtime_damage(rt, &ctx);
		runtime_step(rt, &(struct event){.type = EVENT_WRITTEN, .write = write});
		write = next;
	}
	runtime_guard_written(rt);
}

static void on_vault(uv_async_t *async)
{
	struct runtime *rt = async->data;
	struct vault_request *request = vault_done(rt->vault);

	while (request != NULL) {
		struct vault_request *next = request->next;
		bool relock = request->relock;

		request->next = NULL;
		vault_overtake(rt->vault, request);
		ledger_views_told(rt, request);
		grants_told(rt, request);
		approvals_told(rt, request);
		control_vault_done(rt->control, request);
		if (relock)
			runtime_lock(rt, LOCK_KEYRING, NULL);
		request = next;
	}
}

void runtime_wake(void *async)
{
	uv_async_send(async);
}

static void stop(struct runtime *rt);

static void on_flushed(void *arg)
{
	struct runtime *rt = arg;

	log_line(LOG_INFO, "stopping");
	stop(rt);
}

/* The second one does not wait for the ledger. */
static void on_signal(uv_signal_t *signal, int number)
{
	struct runtime *rt = signal->data;

	if (rt->views.waiters != NULL)
		stop(rt);
	else if (!rt->stopping)
		ledger_flush(rt, on_flushed, rt);
}

static void on_hangup(uv_signal_t *signal, int number)
{
	struct runtime *rt = signal->data;

	if (!rt->stopping)
		safe_reload(rt);
}

static void init_handles(struct runtime *rt)
{
	uv_loop_init(&rt->loop);
	uv_async_init(&rt->loop, &rt->writer_async, on_written);
	uv_async_init(&rt->loop, &rt->vault_async, on_vault);
	uv_timer_init(&rt->loop, &rt->tick);
	uv_timer_init(&rt->loop, &rt->tidy);
	uv_timer_init(&rt->loop, &rt->officers_timer);
	uv_signal_init(&rt->loop, &rt->sigint);
	uv_signal_init(&rt->loop, &rt->sigterm);
	uv_signal_init(&rt->loop, &rt->sighup);
	rt->writer_async.data = rt->vault_async.data = rt;
	ledger_init(rt);
	grants_boot(rt);
	escrow_begin(rt);
	waits_init(rt);
	rt->tick.data = rt->tidy.data = rt->officers_timer.data = rt;
	rt->sigint.data = rt->sigterm.data = rt->sighup.data = rt;
}

enum err runtime_new(const char *config_file, struct runtime **ret, struct errctx *ctx)
{
	struct runtime *rt = mem_zalloc(sizeof(*rt));

	if (rt == NULL)
		return ERR_NOMEM;
	buf_init(&rt->root_certificate, LIMIT_CERTIFICATE_SIZE);
	buf_init(&rt->issuing_certificate, LIMIT_CERTIFICATE_SIZE);
	buf_init(&rt->node_certificate, LIMIT_CERTIFICATE_SIZE);
	buf_init(&rt->pending_line, LIMIT_LOGS * 1024);
	init_handles(rt);
	erasing_boot(rt);
	rt->refused_gate = (struct log_gate){.what = "refused", .max = REFUSED_LINES};
	rt->join_gate = (struct log_gate){.what = "joins refused", .max = REFUSED_LINES};
	rt->notice_gate = (struct log_gate){.what = "not shown", .max = NOTICE_LINES};
	rt->alarm_gate = (struct log_gate){.what = "alarms not shown", .max = REFUSED_LINES};
	rt->started_ms = uv_now(&rt->loop);
	enum err err = boot(rt, config_file, ctx);

	if (err != OK) {
		runtime_free(rt);
		return err;
	}
	*ret = rt;
	return OK;
}

void runtime_run(struct runtime *rt)
{
	uv_signal_start(&rt->sigint, on_signal, SIGINT);
	uv_signal_start(&rt->sigterm, on_signal, SIGTERM);
	uv_signal_start(&rt->sighup, on_hangup, SIGHUP);
	uv_timer_start(&rt->tidy, on_tidy, TIDY_MS, TIDY_MS);
	runtime_step(rt, &(struct event){.type = EVENT_START});
	log_line(LOG_INFO, "node '%s' of '%s' is up, locked; control socket %s", rt->node,
		rt->genesis.network, rt->paths.socket);
	if (rt->port != 0)
		log_line(LOG_INFO, "listening on port %u", rt->port);
	uv_run(&rt->loop, UV_RUN_DEFAULT);
}

/* Stopping: surfaces first, then threads, then what they used. */

static void close_handle(uv_handle_t *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void surfaces_closed(struct runtime *rt)
{
	if (!rt->closed_net || !rt->closed_control || !rt->closed_public)
		return;
	close_handle((uv_handle_t *)&rt->writer_async);
	close_handle((uv_handle_t *)&rt->vault_async);
	close_handle((uv_handle_t *)&rt->tick);
	close_handle((uv_handle_t *)&rt->tidy);
	close_handle((uv_handle_t *)&rt->officers_timer);
	close_handle((uv_handle_t *)&rt->views.timer);
	close_handle((uv_handle_t *)&rt->escrow.timer);
	close_handle((uv_handle_t *)&rt->views.flush);
	close_handle((uv_handle_t *)&rt->sigint);
	close_handle((uv_handle_t *)&rt->sigterm);
	close_handle((uv_handle_t *)&rt->sighup);
	close_handle((uv_handle_t *)&rt->waits.timer);
	locking_close(rt);
}

static void on_net_closed(void *arg)
{
	struct runtime *rt = arg;

	rt->closed_net = true;
	surfaces_closed(rt);
}

static void on_control_closed(void *arg)
{
	struct runtime *rt = arg;

	rt->closed_control = true;
	surfaces_closed(rt);
}

static void on_public_closed(void *arg)
{
	struct runtime *rt = arg;

	rt->closed_public = true;
	surfaces_closed(rt);
}

static void stop(struct runtime *rt)
{
	if (rt->stopping)
		return;
	rt->stopping = true;
	ledger_stop(rt);
	grants_stop(rt);
	erasing_stop(rt);
	escrow_end(rt);
	if (rt->import != NULL)
		bundle_import_stop(rt->import);
	if (rt->export != NULL)
		bundle_export_stop(rt->export);
	/* What the threads have under way ends first, so that the store is whole and every request
	 * can still be answered or dropped with its client. */
	if (rt->vault != NULL)
		vault_stop(rt->vault);
	if (rt->writer != NULL)
		writer_stop(rt->writer);
	control_witness_stop(rt);
	mail_stop(rt);
	if (rt->net != NULL)
		net_close(rt->net, on_net_closed, rt);
	else
		on_net_closed(rt);
	if (rt->control != NULL)
		control_server_close(rt->control, on_control_closed, rt);
	else
		on_control_closed(rt);
	if (rt->public != NULL)
		control_server_close(rt->public, on_public_closed, rt);
	else
		on_public_closed(rt);
}

void runtime_free(struct runtime *rt)
{
	struct vault_request *request;
	struct store_write *write;

	if (rt == NULL)
		return;
	stop(rt);
	uv_run(&rt->loop, UV_RUN_DEFAULT); /* lets closing handles and workers finish */
	uv_loop_close(&rt->loop);
	for (request = rt->vault == NULL ? NULL : vault_done(rt->vault); request != NULL;) {
		struct vault_request *next = request->next;

		control_vault_drop(request);
		request = next;
	}
	for (write = rt->writer == NULL ? NULL : writer_done(rt->writer, NULL); write != NULL;) {
		struct store_write *next = write->next;

		store_write_free(write);
		write = next;
	}
	while (rt->appends != NULL) {
		struct append_waiting *next = rt->appends->next;

		rt->appends->done(rt->appends->arg, ERR_CANCELED, 0);
		mem_free(rt->appends);
		rt->appends = next;
	}
	locking_free(rt);
	grants_unload(rt);
	mail_free(rt);
	erasing_free(rt);
	control_server_free(rt->control);
	control_server_free(rt->public);
	sessions_free(rt->officers);
	net_free(rt->net);
	vault_free(rt->vault);
	vault_keys_free(rt->keys);
	writer_free(rt->writer);
	engine_free(rt->engine);
	store_close(rt->store);
	guard_close(rt->guard);
	tls_context_free(rt->tls);
	signer_free(rt->mirror);
	signer_free(rt->witness);
	genesis_release(&rt->genesis);
	safe_free(rt);
	config_release(&rt->config);
	buf_release(&rt->root_certificate);
	buf_release(&rt->issuing_certificate);
	buf_release(&rt->node_certificate);
	buf_release(&rt->pending_line);
	mem_free(rt->peers);
	for (struct peer_meter *m = rt->meters, *next; m != NULL; m = next) {
		next = m->next;
		mem_free(m);
	}
	buf_wipe(&rt->proxy_credentials);
	mem_free(rt->pending);
	mem_free(rt);
}
