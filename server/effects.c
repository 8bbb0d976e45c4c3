/*
 * Carrying the engine's effects out: each is started here and never waited for.
 */
#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "server/control/control.h"
#include "server/control/wait.h"
#include "server/internal.h"
#include "server/keys/escrow.h"
#include "server/log.h"
#include "server/mail.h"

/* The credentials are for the node's own proxy and for no other. */
static struct net_target target_of(const struct runtime *rt, const char *name)
{
	const struct peer_state *peer = peer_state(rt, name);
	struct net_target target = {.peer = name, .address = "", .proxy = ""};

	if (peer == NULL)
		return target;
	target.address = peer_address(rt, peer);
	target.proxy = peer->proxy;
	if (strcmp(peer->proxy, rt->config.proxy) == 0)
		target.credentials = buf_bytes(&rt->proxy_credentials);
	return target;
}

static void do_dial(struct runtime *rt, const struct effect *effect)
{
	struct errctx ctx = {""};
	struct net_target target = target_of(rt, effect->peer);
	enum err err = net_dial(rt->net, &target, &ctx);
	struct event event = {.type = EVENT_DIAL_FAILED};

	if (err == OK)
		return;
	struct peer_state *peer = peer_state(rt, effect->peer);

	log_line(LOG_WARNING, "cannot dial '%s': %s", effect->peer, err_message(&ctx, err));
	peer->turn++;
	event.peer = peer->name;
	runtime_later(rt, &event);
}

static void do_send(const struct session_data *session, const struct effect *effect)
{
	/* It may end in there, and take the session along. */
	struct conn *conn = session->conn;
	struct peer_meter *meter = session->meter;
	uint64_t before = conn_out(conn);

	conn_send(conn, buf_bytes(&effect->frame));
	if (meter != NULL)
		meter_sent(&meter->meter, effect->class, (size_t)(conn_out(conn) - before));
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
	runtime_later(rt, &event);
}

static void do_cosign(struct runtime *rt, const struct effect *effect)
{
	struct event event = {.type = EVENT_COSIGNED, .witness = effect->witness};
	char name[NOTE_KEY_NAME_MAX + 1];
	struct engine_log log;
	size_t position;
	struct buf line;

	bool known = engine_log_find(rt->engine, bytes_str(effect->origin.text), &log, &position);

	assert(known);
	snprintf(name, sizeof(name), "%s/%s/%s", rt->genesis.network,
		effect->witness ? "witness" : "mirror", rt->node);
	buf_init(&line, LIMIT_NOTE_SIZE);
	/* "I durably hold this" is not true of a log with damaged entries. */
	if (rt->damaged && !effect->witness)
		event.error = store_damage_look(rt->store, &effect->origin, NULL);
	if (event.error == OK)
		event.error = cosignature_sign(&line, buf_bytes(&effect->body), runtime_wall_s(),
			name, effect->witness ? rt->witness : rt->mirror);
	event.origin = engine_log_origin(rt->engine, position);
	/* Kept in one growing buffer until the pending events have been stepped. */
	size_t at = rt->pending_line.size;

	buf_put(&rt->pending_line, buf_bytes(&line));
	if (event.error == OK && rt->pending_line.err != OK)
		event.error = rt->pending_line.err;
	event.line = bytes_make((void *)(uintptr_t)at, line.size); /* an offset until then */
	buf_release(&line);
	runtime_later(rt, &event);
}

struct read_work {
	uv_work_t work;
	struct runtime *rt;
	struct store_read read;
	struct store_batch batch;
	bool marked; /* when it began, some entries were marked as damaged */
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
	/* Entries that are marked are told already, until they are back. */
	if (event.error == ERR_CORRUPT && !r->marked)
		runtime_damage(r->rt, &r->ctx);
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
		r->marked = rt->damaged;
		if (uv_queue_work(&rt->loop, &r->work, read_run, read_done) == 0)
			return;
		mem_free(r);
	}
	runtime_later(rt, &event);
}

struct verify_work {
	uv_work_t work;
	struct runtime *rt;
	const struct origin *origin; /* the engine's own */
	struct store_verify verify;
	enum err result;
	struct errctx ctx;
};

static void verify_run(uv_work_t *work)
{
	struct verify_work *v = work->data;

	v->result = store_verify(v->rt->store, v->origin, &v->rt->stopping, &v->verify, &v->ctx);
}

static void verify_done(uv_work_t *work, int status)
{
	struct verify_work *v = work->data;

	if (status != 0)
		v->result = ERR_CANCELED;
	if (v->result == ERR_CORRUPT)
		runtime_damage(v->rt, &v->ctx);
	if (!v->rt->stopping)
		runtime_step(v->rt,
			&(struct event){
				.type = EVENT_VERIFIED, .origin = v->origin, .error = v->result});
	buf_release(&v->verify.checkpoint);
	mem_free(v);
}

static void do_verify(struct runtime *rt, const struct effect *effect)
{
	struct verify_work *v = mem_zalloc(sizeof(*v));
	struct event event = {.type = EVENT_VERIFIED, .error = ERR_NOMEM};
	struct engine_log log;
	size_t position;
	bool known = engine_log_find(rt->engine, bytes_str(effect->origin.text), &log, &position);

	assert(known);
	event.origin = engine_log_origin(rt->engine, position);
	if (v != NULL) {
		v->work.data = v;
		v->rt = rt;
		v->origin = event.origin;
		if (uv_queue_work(&rt->loop, &v->work, verify_run, verify_done) == 0)
			return;
		mem_free(v);
	}
	runtime_later(rt, &event);
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

	struct log_gate *gate = effect->notice == NOTICE_ALARM ? &rt->alarm_gate : &rt->notice_gate;

	if (effect->notice == NOTICE_DEBUG || log_gate(gate, uv_now(&rt->loop)))
		log_line(levels[effect->notice], "%s", effect->text);
	if (effect->notice == NOTICE_ALARM)
		snprintf(rt->alarm, sizeof(rt->alarm), "%s", effect->text);
}

void effect_perform(struct runtime *rt, struct effect *effect)
{
	struct session_data *session;

	switch (effect->type) {
	case EFFECT_DIAL:
		do_dial(rt, effect);
		break;
	case EFFECT_SEND:
		session = session_data(rt, effect->session);
		if (session != NULL)
			do_send(session, effect);
		break;
	case EFFECT_CLOSE:
		session = session_data(rt, effect->session);
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
	case EFFECT_VERIFY:
		do_verify(rt, effect);
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
	case EFFECT_IMPORTED:
		if (rt->import != NULL)
			bundle_import_answer(rt->import, effect);
		break;
	case EFFECT_HELD:
		if (!effect->witness)
			prekeys_peer_holds(rt);
		waits_wake(rt);
		break;
	case EFFECT_MEMBERS: /* the judge asks the directory itself; the engine ends sessions */
		if (rt->mail != NULL)
			rt->mail->tell = true;
		mail_wake(rt);
		escrow_wake(rt);
		waits_wake(rt);
		break;
	case EFFECT_FORKED:
		runtime_forked(rt, effect);
		break;
	case EFFECT_NOTICE:
		do_notice(rt, effect);
		break;
	case EFFECT_WITNESSED:
		control_witnessed(rt, effect);
		break;
	case EFFECT_MAIL_WRITE:
	case EFFECT_MAIL_READ:
	case EFFECT_MAIL_DELIVER:
	case EFFECT_MAIL_SUBMITTED:
	case EFFECT_MAIL_WITHDRAWN:
		mail_effect(rt, effect);
		break;
	}
}
