#include "server/runtime.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"
#include "certs/keystore.h"
#include "certs/record.h"
#include "server/control/control.h"
#include "server/join.h"
#include "server/log.h"

enum { TIDY_MS = 60 * 1000, HANDSHAKE_MS = 10 * 1000 };

struct peer_state {
	char name[LIMIT_NODE_NAME + 1];
	const char *address; /* of the configuration */
	char error[200];
};

/* One session: an engine's session id on a connection. */
struct session_data {
	struct session_id id;
	struct conn *conn;
	struct session_data *next;
};

static struct session_data *sessions; /* of the one runtime of this process */

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

static struct peer_state *peer_state(const struct runtime *rt, const char *name)
{
	for (size_t i = 0; i < rt->config.peer_count; i++)
		if (strcmp(rt->peers[i].name, name) == 0)
			return &rt->peers[i];
	return NULL;
}

const char *runtime_peer_error(const struct runtime *rt, const char *name)
{
	const struct peer_state *peer = peer_state(rt, name);

	return peer == NULL ? "" : peer->error;
}

/* Effects. */

static void out_of_memory(void)
{
	log_line(LOG_ALARM, "out of memory: stopping; nothing acknowledged is lost");
	_exit(1);
}

static void answer_later(struct runtime *rt, const struct event *event)
{
	if (rt->pending_first + rt->pending_count == rt->pending_capacity) {
		size_t capacity = rt->pending_capacity == 0 ? 64 : 2 * rt->pending_capacity;
		struct event *list = mem_resize(rt->pending, capacity * sizeof(*list));

		if (list == NULL)
			out_of_memory();
		rt->pending = list;
		rt->pending_capacity = capacity;
	}
	rt->pending[rt->pending_first + rt->pending_count++] = *event;
}

static struct session_data *session_data(struct session_id id)
{
	for (struct session_data *s = sessions; s != NULL; s = s->next)
		if (s->id.value == id.value)
			return s;
	return NULL;
}

static const char *peer_address(const struct runtime *rt, const char *name)
{
	const struct peer_state *peer = peer_state(rt, name);

	return peer == NULL ? "" : peer->address;
}

static void do_dial(struct runtime *rt, const struct effect *effect)
{
	struct errctx ctx = {""};
	enum err err = net_dial(rt->net, effect->peer, peer_address(rt, effect->peer), &ctx);
	struct event event = {.type = EVENT_DIAL_FAILED};

	if (err == OK)
		return;
	log_line(LOG_WARNING, "cannot dial '%s': %s", effect->peer, err_message(&ctx, err));
	event.peer = peer_state(rt, effect->peer)->name;
	answer_later(rt, &event);
}

static void do_sign(struct runtime *rt, const struct effect *effect)
{
	struct event event = {.type = EVENT_SIGNED};
	const struct signer *signer = NULL;
	struct engine_log log;
	size_t position;

	/* The engine's own origin outlives the answer; the effect does not. */
	bool known = engine_log_find(rt->engine, bytes_str(effect->origin.text), &log, &position);

	assert(known);
	if (rt->keys != NULL && strcmp(effect->origin.text, rt->keys->log_origin) == 0)
		signer = rt->keys->log;
	else if (rt->keys != NULL && strcmp(effect->origin.text, rt->keys->directory_origin) == 0)
		signer = rt->keys->directory;
	event.error = signer == NULL
			      ? ERR_LOCKED
			      : signer_sign(signer, buf_bytes(&effect->body), &event.signature);
	event.origin = engine_log_origin(rt->engine, position);
	answer_later(rt, &event);
}

static void do_cosign(struct runtime *rt, const struct effect *effect)
{
	struct event event = {.type = EVENT_COSIGNED};
	char name[NOTE_KEY_NAME_MAX + 1];
	struct engine_log log;
	size_t position;
	struct buf line;

	bool known = engine_log_find(rt->engine, bytes_str(effect->origin.text), &log, &position);

	assert(known);
	snprintf(name, sizeof(name), "%s/mirror/%s", rt->genesis.network, rt->node);
	buf_init(&line, LIMIT_NOTE_SIZE);
	event.error = cosignature_sign(
		&line, buf_bytes(&effect->body), runtime_wall_s(), name, rt->mirror);
	event.origin = engine_log_origin(rt->engine, position);
	/* Kept in one growing buffer until the pending events have been stepped. */
	size_t at = rt->pending_line.size;

	buf_put(&rt->pending_line, buf_bytes(&line));
	if (event.error == OK && rt->pending_line.err != OK)
		event.error = rt->pending_line.err;
	event.line = bytes_make((void *)(uintptr_t)at, line.size); /* an offset until then */
	buf_release(&line);
	answer_later(rt, &event);
}

struct read_work {
	uv_work_t work;
	struct runtime *rt;
	struct store_read read;
	struct store_batch batch;
	enum err result;
	struct errctx ctx;
};

static void read_run(uv_work_t *work)
{
	struct read_work *r = work->data;

	r->result = store_read_batch(r->rt->store, &r->read, &r->batch, &r->ctx);
}

static void read_done(uv_work_t *work, int status)
{
	struct read_work *r = work->data;
	struct event event = {.type = EVENT_READ,
		.ticket = r->read.ticket,
		.error = status == 0 ? r->result : ERR_CANCELED,
		.batch = r->batch};

	if (event.error != OK && status == 0)
		log_line(LOG_WARNING, "read '%s' at %llu: %s", r->read.origin.text,
			(unsigned long long)r->read.first, err_message(&r->ctx, r->result));
	if (!r->rt->stopping)
		runtime_step(r->rt, &event);
	else
		entries_unref(r->batch.entries);
	mem_free(r);
}

static void do_read(struct runtime *rt, const struct effect *effect)
{
	struct read_work *r = mem_zalloc(sizeof(*r));
	struct event event = {
		.type = EVENT_READ, .ticket = effect->read.ticket, .error = ERR_NOMEM};

	if (r != NULL) {
		r->work.data = r;
		r->rt = rt;
		r->read = effect->read;
		if (uv_queue_work(&rt->loop, &r->work, read_run, read_done) == 0)
			return;
		mem_free(r);
	}
	answer_later(rt, &event);
}

static void do_appended(struct runtime *rt, const struct effect *effect)
{
	for (struct append_waiting **at = &rt->appends; *at != NULL; at = &(*at)->next) {
		struct append_waiting *w = *at;

		if (w->ticket != effect->ticket)
			continue;
		*at = w->next;
		w->done(w->arg, effect->error, effect->index);
		mem_free(w);
		return;
	}
}

static void do_notice(struct runtime *rt, const struct effect *effect)
{
	static const enum log_level levels[] = {
		[NOTICE_DEBUG] = LOG_DEBUG,
		[NOTICE_INFO] = LOG_INFO,
		[NOTICE_WARNING] = LOG_WARNING,
		[NOTICE_ALARM] = LOG_ALARM,
	};

	log_line(levels[effect->notice], "%s", effect->text);
	if (effect->notice == NOTICE_ALARM)
		snprintf(rt->alarm, sizeof(rt->alarm), "%s", effect->text);
}

static void perform(struct runtime *rt, struct effect *effect)
{
	struct session_data *session;

	switch (effect->type) {
	case EFFECT_DIAL:
		do_dial(rt, effect);
		break;
	case EFFECT_SEND:
		session = session_data(effect->session);
		if (session != NULL)
			conn_send(session->conn, buf_bytes(&effect->frame));
		break;
	case EFFECT_CLOSE:
		session = session_data(effect->session);
		if (session != NULL)
			conn_close(session->conn, effect->text);
		break;
	case EFFECT_WRITE:
		writer_submit(rt->writer, effect->write);
		effect->write = NULL;
		break;
	case EFFECT_READ:
		do_read(rt, effect);
		break;
	case EFFECT_SIGN:
		do_sign(rt, effect);
		break;
	case EFFECT_COSIGN:
		do_cosign(rt, effect);
		break;
	case EFFECT_APPENDED:
		do_appended(rt, effect);
		break;
	case EFFECT_HELD:
	case EFFECT_MEMBERS: /* the judge asks the directory itself; the engine ends sessions */
		break;
	case EFFECT_NOTICE:
		do_notice(rt, effect);
		break;
	}
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
		out_of_memory();
	for (size_t i = 0; i < effects.count; i++)
		perform(rt, &effects.list[i]);
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
		answer_later(rt, event);
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

	store_tidy(rt->store);
}

static void on_written(uv_async_t *async)
{
	struct runtime *rt = async->data;
	struct errctx ctx = {""};
	struct store_write *write = writer_done(rt->writer, &ctx);

	if (ctx.text[0] != '\0')
		log_line(LOG_ALARM, "store: %s", ctx.text);
	while (write != NULL) {
		struct store_write *next = write->next;

		write->next = NULL;
		runtime_step(rt, &(struct event){.type = EVENT_WRITTEN, .write = write});
		write = next;
	}
}

static void on_vault(uv_async_t *async)
{
	struct runtime *rt = async->data;
	struct vault_request *request = vault_done(rt->vault);

	while (request != NULL) {
		struct vault_request *next = request->next;

		request->next = NULL;
		control_vault_done(rt->control, request);
		request = next;
	}
}

static void wake_async(void *arg)
{
	uv_async_send(arg);
}

/* The network. */

static void net_up(void *arg, struct conn *conn)
{
	struct runtime *rt = arg;
	struct session_data *session;
	struct event event = {.type = EVENT_CONNECTED};

	if (strcmp(conn_alpn(conn), TLS_ALPN_JOIN) == 0) {
		join_up(rt, conn);
		return;
	}
	session = mem_zalloc(sizeof(*session));
	if (session == NULL || conn_peer(conn) == NULL) {
		mem_free(session);
		conn_close(conn, "no memory or no certificate");
		return;
	}
	session->id.value = ++rt->next_session;
	session->conn = conn;
	session->next = sessions;
	sessions = session;
	conn_set_data(conn, session);
	struct peer_state *peer = peer_state(rt, conn_peer(conn)->name);

	if (peer != NULL)
		peer->error[0] = '\0';
	event.session = session->id;
	event.peer = conn_peer(conn)->name;
	event.outgoing = conn_outgoing(conn);
	runtime_step(rt, &event);
}

static void net_message(void *arg, struct conn *conn, struct bytes message)
{
	struct runtime *rt = arg;
	struct session_data *session = conn_data(conn);

	if (strcmp(conn_alpn(conn), TLS_ALPN_JOIN) == 0)
		join_message(rt, conn, message);
	else if (session != NULL)
		runtime_step(
			rt, &(struct event){
				    .type = EVENT_FRAME, .session = session->id, .frame = message});
}

static void net_sent(void *arg, struct conn *conn, size_t size)
{
	struct runtime *rt = arg;
	struct session_data *session = conn_data(conn);

	if (strcmp(conn_alpn(conn), TLS_ALPN_JOIN) != 0 && session != NULL)
		runtime_step(rt,
			&(struct event){.type = EVENT_SENT, .session = session->id, .size = size});
}

static void net_down(void *arg, struct conn *conn, const char *reason)
{
	struct runtime *rt = arg;
	struct session_data *session = conn_data(conn);

	if (strcmp(conn_alpn(conn), TLS_ALPN_JOIN) == 0) {
		join_down(rt, conn);
		return;
	}
	if (session == NULL)
		return;
	log_line(LOG_DEBUG, "connection with %s: %s", conn_address(conn), reason);
	for (struct session_data **at = &sessions; *at != NULL; at = &(*at)->next)
		if (*at == session) {
			*at = session->next;
			break;
		}
	if (!rt->stopping)
		runtime_step(
			rt, &(struct event){.type = EVENT_DISCONNECTED, .session = session->id});
	mem_free(session);
}

static void net_failed(void *arg, const char *name, const char *address, const char *reason)
{
	struct runtime *rt = arg;
	struct peer_state *peer = peer_state(rt, name);

	if (rt->stopping)
		return;
	if (peer == NULL) {
		log_line(LOG_WARNING, "refused %s: %s", address, reason);
		return;
	}
	/* Once for each new reason: an office without a link dials for days. */
	if (strcmp(peer->error, reason) != 0)
		log_line(LOG_INFO, "cannot reach '%s' at %s: %s", name, address, reason);
	snprintf(peer->error, sizeof(peer->error), "%s", reason);
	runtime_step(rt, &(struct event){.type = EVENT_DIAL_FAILED, .peer = peer->name});
}

/* Is the peer with this certificate, whose chain is good, a member? (DESIGN 7) */
static enum err judge(
	void *arg, const struct certificate_info *peer, bool expired, struct errctx *ctx)
{
	struct runtime *rt = arg;
	const struct member *member;
	char name[2 * LIMIT_NODE_NAME];

	text_escape(bytes_str(peer->name), name, sizeof(name));
	if (strcmp(peer->network, rt->genesis.network) != 0)
		return err_set(ctx, ERR_UNTRUSTED, "a certificate that names no node of '%s'",
			rt->genesis.network);
	member = directory_find(engine_directory(rt->engine), bytes_str(peer->name));
	if (member == NULL)
		return err_set(ctx, ERR_UNTRUSTED, "'%s' is not in the directory", name);
	if (!member->active)
		return err_set(ctx, ERR_UNTRUSTED, "'%s' is not active in the directory", name);
	if (!hash_equal(&member->tls_spki, &peer->spki_sha256))
		return err_set(ctx, ERR_UNTRUSTED,
			"the key of the certificate is not the one the directory lists for '%s'",
			name);
	if (expired)
		log_line(LOG_WARNING, "the certificate of '%s' is outside its dates", name);
	return OK;
}

/* Opening. */

static enum err load_certificates(struct runtime *rt, struct errctx *ctx)
{
	struct buf pem;
	struct certificate_info info;
	enum err err;

	buf_init(&pem, 4 * LIMIT_CERTIFICATE_SIZE);
	err = files_read(rt->paths.root, LIMIT_CERTIFICATE_SIZE, &pem, ctx);
	if (err == OK)
		err = certificate_from_pem(buf_bytes(&pem), 0, &rt->root_certificate, ctx);
	buf_clear(&pem);
	if (err == OK)
		err = files_read(rt->paths.chain, 2 * LIMIT_CERTIFICATE_SIZE, &pem, ctx);
	if (err == OK)
		err = certificate_from_pem(buf_bytes(&pem), 0, &rt->node_certificate, ctx);
	if (err == OK)
		err = certificate_from_pem(buf_bytes(&pem), 1, &rt->issuing_certificate, ctx);
	if (err == OK)
		err = certificate_read(buf_bytes(&rt->node_certificate), &info, ctx);
	if (err == OK && strcmp(info.name, rt->node) != 0)
		err = err_set(ctx, ERR_INVALID, "'%s' names '%s', the configuration '%s'",
			rt->paths.chain, info.name, rt->node);
	buf_release(&pem);
	return err;
}

static enum err load_identity(struct runtime *rt, struct errctx *ctx)
{
	static const char *const alpns_hq[] = {TLS_ALPN_SAUTI, TLS_ALPN_JOIN, NULL};
	static const char *const alpns[] = {TLS_ALPN_SAUTI, NULL};
	struct boot_keys boot = {0};
	struct buf file;
	const struct member *self = directory_find(rt->genesis.directory, bytes_str(rt->node));

	buf_init(&file, LIMIT_KEYSTORE_SIZE + 1);
	enum err err = files_read_private(rt->paths.boot, LIMIT_KEYSTORE_SIZE, &file, ctx);

	if (err == OK)
		err = boot_keys_read(buf_bytes(&file), &boot, ctx);
	buf_wipe(&file);
	if (err == OK && (strcmp(boot.node, rt->node) != 0 ||
				 strcmp(boot.network, rt->genesis.network) != 0))
		err = err_set(ctx, ERR_INVALID, "'%s' holds the keys of '%s' in '%s'",
			rt->paths.boot, boot.node, boot.network);
	if (err == OK)
		err = signer_new(secret_bytes(&boot.mirror_seed), &rt->mirror);
	if (err == OK)
		err = load_certificates(rt, ctx);
	if (err == OK) {
		struct tls_opts opts = {
			.key = secret_bytes(&boot.tls_key),
			.chain = {buf_bytes(&rt->node_certificate),
				buf_bytes(&rt->issuing_certificate)},
			.root = buf_bytes(&rt->root_certificate),
			.alpns = self != NULL && self->role == ROLE_HQ ? alpns_hq : alpns,
			.judge = judge,
			.judge_arg = rt,
		};

		err = tls_context_new(&opts, &rt->tls, ctx);
	}
	boot_keys_release(&boot);
	return err;
}

static void no_wake(void *arg) {}

/* The first start after init or join: the directory comes from the genesis file, which was verified
 * when it was read. */
static enum err import_genesis(struct runtime *rt, struct errctx *ctx)
{
	struct log_head head;
	struct writer *writer;
	struct store_write *write;
	enum err err = store_head(rt->store, &rt->genesis.origin, &head, ctx);

	if (err == OK) {
		log_head_release(&head);
		return OK;
	}
	if (err != ERR_NOTFOUND)
		return err;
	write = store_write_new(&rt->genesis.origin);
	if (write == NULL)
		return ERR_NOMEM;
	write->entries = entries_ref(rt->genesis.entries);
	buf_put(&write->checkpoint, buf_bytes(&rt->genesis.note));
	err = write->checkpoint.err;
	if (err == OK)
		err = writer_start(rt->store, no_wake, NULL, &writer, ctx);
	if (err != OK) {
		store_write_free(write);
		return err;
	}
	writer_submit(writer, write);
	writer_stop(writer);
	write = writer_done(writer, ctx);
	assert(write != NULL && write->next == NULL);
	err = write->result;
	store_write_free(write);
	writer_free(writer);
	return err;
}

static enum err load_directory(struct runtime *rt, struct errctx *ctx)
{
	struct log_head head;
	struct buf entry;
	enum err err = store_head(rt->store, &rt->genesis.origin, &head, ctx);

	buf_init(&entry, LIMIT_ENTRY_SIZE + 1);
	for (uint64_t i = 0; err == OK && i < head.size; i++) {
		buf_clear(&entry);
		err = store_entry(rt->store, &rt->genesis.origin, i, &entry, ctx);
		if (err == OK)
			runtime_step(rt, &(struct event){.type = EVENT_DIRECTORY_LOADED,
						 .entry = buf_bytes(&entry)});
	}
	if (err == OK)
		log_head_release(&head);
	buf_release(&entry);
	return err;
}

static void timing(const struct config_timing *from, struct engine_timing *to)
{
	*to = engine_timing_default;
#define TAKE(name)                                                                                 \
	if (from->name != 0)                                                                       \
	to->name = from->name
	TAKE(hello_timeout);
	TAKE(idle_ping);
	TAKE(idle_close);
	TAKE(dial_min);
	TAKE(dial_max);
	TAKE(have_delay);
	TAKE(cosigned_delay);
	TAKE(fetch_timeout);
#undef TAKE
}

static enum err start_engine(struct runtime *rt, struct errctx *ctx)
{
	const struct member *self = directory_find(rt->genesis.directory, bytes_str(rt->node));
	struct log_head *heads = NULL;
	size_t count = 0;
	struct engine_opts opts = {
		.network = rt->genesis.network,
		.node = rt->node,
		.directory = rt->genesis.origin,
		.directory_key = rt->genesis.key,
		.directory_own = self != NULL && self->role == ROLE_HQ,
	};

	timing(&rt->config.timing, &opts.timing);
	TRY(random_bytes((uint8_t *)&opts.seed, sizeof(opts.seed)));
	TRY(engine_new(&opts, &rt->engine));
	TRY(store_heads(rt->store, &heads, &count, ctx));
	for (size_t i = 0; i < count; i++) {
		runtime_step(rt, &(struct event){.type = EVENT_LOG_LOADED, .head = &heads[i]});
		log_head_release(&heads[i]);
	}
	mem_free(heads);
	return load_directory(rt, ctx);
}

static enum err start_peers(struct runtime *rt, struct errctx *ctx)
{
	rt->peers = mem_array(rt->config.peer_count + 1, sizeof(*rt->peers));
	if (rt->peers == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < rt->config.peer_count; i++) {
		const struct config_peer *peer = &rt->config.peers[i];

		snprintf(rt->peers[i].name, sizeof(rt->peers[i].name), "%s", peer->name);
		rt->peers[i].address = peer->address;
		if (peer->address[0] != '\0' && strcmp(peer->name, rt->node) != 0)
			runtime_step(
				rt, &(struct event){.type = EVENT_PEER, .peer = rt->peers[i].name});
	}
	return OK;
}

static const char *country_of(const struct runtime *rt)
{
	const struct member *self =
		directory_find(engine_directory(rt->engine), bytes_str(rt->node));

	return self == NULL ? "" : self->country;
}

static enum err start_threads(struct runtime *rt, struct errctx *ctx)
{
	struct vault_opts vault = {
		.store = rt->store,
		.keystore = rt->paths.keystore,
		.keyring = rt->paths.keyring,
		.network = rt->genesis.network,
		.node = rt->node,
		.country = country_of(rt),
		.compression = rt->config.compression,
		.wake = wake_async,
		.wake_arg = &rt->vault_async,
	};

	TRY(writer_start(rt->store, wake_async, &rt->writer_async, &rt->writer, ctx));
	return vault_start(&vault, &rt->vault, ctx);
}

static enum err start_surfaces(struct runtime *rt, struct errctx *ctx)
{
	struct net_opts opts = {
		.loop = &rt->loop,
		.tls = rt->tls,
		.handshake_ms = HANDSHAKE_MS,
		.events = {net_up, net_message, net_sent, net_down, net_failed},
		.arg = rt,
	};

	TRY(net_new(&opts, &rt->net));
	if (rt->config.listen[0] != '\0')
		TRY(net_listen(rt->net, rt->config.listen, &rt->port, ctx));
	return control_server_new(rt, rt->paths.socket, &rt->control, ctx);
}

static void stop(struct runtime *rt);

static void on_signal(uv_signal_t *signal, int number)
{
	struct runtime *rt = signal->data;

	log_line(LOG_INFO, "stopping");
	stop(rt);
}

static void init_handles(struct runtime *rt)
{
	uv_loop_init(&rt->loop);
	uv_async_init(&rt->loop, &rt->writer_async, on_written);
	uv_async_init(&rt->loop, &rt->vault_async, on_vault);
	uv_timer_init(&rt->loop, &rt->tick);
	uv_timer_init(&rt->loop, &rt->tidy);
	uv_signal_init(&rt->loop, &rt->sigint);
	uv_signal_init(&rt->loop, &rt->sigterm);
	rt->writer_async.data = rt->vault_async.data = rt;
	rt->tick.data = rt->tidy.data = rt->sigint.data = rt->sigterm.data = rt;
}

static enum err open_all(struct runtime *rt, const char *config_file, struct errctx *ctx)
{
	TRY(config_load(config_file, &rt->config, ctx));
	TRY(config_paths(&rt->config, &rt->paths, ctx));
	snprintf(rt->node, sizeof(rt->node), "%s", rt->config.name);
	TRY(genesis_load(rt->paths.genesis, &rt->genesis, ctx));
	if (rt->config.network[0] != '\0' && strcmp(rt->config.network, rt->genesis.network) != 0)
		return err_set(ctx, ERR_INVALID, "%s is of network '%s', the configuration of '%s'",
			rt->paths.genesis, rt->genesis.network, rt->config.network);
	TRY(load_identity(rt, ctx));
	struct store_opts store = {
		.path = rt->paths.store, .network = rt->genesis.network, .node = rt->node};

	TRY(store_open(&store, &rt->store, ctx));
	TRY(import_genesis(rt, ctx));
	TRY(start_engine(rt, ctx));
	TRY(start_threads(rt, ctx));
	TRY(start_surfaces(rt, ctx));
	return start_peers(rt, ctx);
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
	rt->started_ms = uv_now(&rt->loop);
	enum err err = open_all(rt, config_file, ctx);

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
	if (!rt->closed_net || !rt->closed_control)
		return;
	close_handle((uv_handle_t *)&rt->writer_async);
	close_handle((uv_handle_t *)&rt->vault_async);
	close_handle((uv_handle_t *)&rt->tick);
	close_handle((uv_handle_t *)&rt->tidy);
	close_handle((uv_handle_t *)&rt->sigint);
	close_handle((uv_handle_t *)&rt->sigterm);
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

static void stop(struct runtime *rt)
{
	if (rt->stopping)
		return;
	rt->stopping = true;
	/* What the threads have under way ends first, so that the store is whole and every request
	 * can still be answered or dropped with its client. */
	if (rt->vault != NULL)
		vault_stop(rt->vault);
	if (rt->writer != NULL)
		writer_stop(rt->writer);
	if (rt->net != NULL)
		net_close(rt->net, on_net_closed, rt);
	else
		on_net_closed(rt);
	if (rt->control != NULL)
		control_server_close(rt->control, on_control_closed, rt);
	else
		on_control_closed(rt);
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
	control_server_free(rt->control);
	net_free(rt->net);
	vault_free(rt->vault);
	vault_keys_free(rt->keys);
	writer_free(rt->writer);
	engine_free(rt->engine);
	store_close(rt->store);
	tls_context_free(rt->tls);
	signer_free(rt->mirror);
	genesis_release(&rt->genesis);
	config_release(&rt->config);
	buf_release(&rt->root_certificate);
	buf_release(&rt->issuing_certificate);
	buf_release(&rt->node_certificate);
	buf_release(&rt->pending_line);
	mem_free(rt->peers);
	mem_free(rt->pending);
	mem_free(rt);
}

/* Own logs. */

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
	append_done done;
	void *arg;
};

static void on_opened(void *arg, enum err error, uint64_t index)
{
	struct opening *opening = arg;

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

void runtime_unlocked(struct runtime *rt, struct vault_keys *keys, append_done done, void *arg)
{
	struct engine_log log;
	size_t position;
	struct entries *entries;
	struct opening *opening;

	if (rt->keys != NULL) {
		vault_keys_free(keys);
		done(arg, OK, 0);
		return;
	}
	rt->keys = keys;
	log_line(LOG_INFO, "unlocked");
	unlock_log(rt, keys->log_origin, keys->log);
	if (keys->directory != NULL)
		unlock_log(rt, keys->directory_origin, keys->directory);
	if (engine_log_find(rt->engine, bytes_str(keys->log_origin), &log, &position) &&
		log.size > 0) {
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
	*opening = (struct opening){done, arg};
	runtime_append(rt, keys->log_origin, entries, on_opened, opening);
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
