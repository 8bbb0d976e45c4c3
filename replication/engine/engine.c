#include "replication/engine/engine.h"

#include <stdio.h>

#include "replication/engine/internal.h"

const struct engine_timing engine_timing_default = {
	.hello_timeout = 10 * 1000,
	.idle_ping = 30 * 1000,
	.idle_close = 90 * 1000,
	.dial_min = 1000,
	.dial_max = 5 * 60 * 1000,
	.have_delay = 1000,
	.cosigned_delay = 5 * 60 * 1000,
	.store_delay = 1000,
	.fetch_timeout = 60 * 1000,
	.retry_delay = 5 * 1000,
	.metered_ping = 270 * 1000,
	.metered_close = 570 * 1000,
	.mail_pause = 7 * 24 * 3600 * 1000u,
	.mail_refused = 3600 * 1000,
	.mail_answer = 10 * 60 * 1000,
	.mail_settle = 10 * 60 * 1000,
	.mail_sweep = 60 * 1000,
};

enum err engine_new(const struct engine_opts *opts, struct engine **ret)
{
	struct engine *engine;

	if (!network_name_valid(bytes_str(opts->network)) ||
		!node_name_valid(bytes_str(opts->node)))
		return ERR_INVALID;
	engine = mem_zalloc(sizeof(*engine));
	if (engine == NULL)
		return ERR_NOMEM;
	snprintf(engine->network, sizeof(engine->network), "%s", opts->network);
	snprintf(engine->node, sizeof(engine->node), "%s", opts->node);
	engine->opts = *opts;
	engine->opts.network = engine->network;
	engine->opts.node = engine->node;
	engine->link = opts->link == NULL ? RATE_LINK_ANY : *opts->link;
	engine->opts.link = NULL;
	engine->has_hours = engine->link.hours.count > 0;
	engine->random = opts->seed ^ 0x9e3779b97f4a7c15u;
	if (engine->random == 0)
		engine->random = 1;
	arena_init(&engine->arena, LIMIT_ARENA_SIZE);
	enum err err = directory_new(engine->network, &engine->directory);

	if (err != OK) {
		engine_free(engine);
		return err;
	}
	*ret = engine;
	return OK;
}

void engine_free(struct engine *engine)
{
	if (engine == NULL)
		return;
	for (struct session *s = engine->sessions, *next; s != NULL; s = next) {
		next = s->next;
		session_free(s);
	}
	for (size_t i = 0; i < engine->log_count; i++)
		log_free(engine->logs[i]);
	mem_free(engine->logs);
	mem_free(engine->index);
	for (size_t i = 0; i < engine->peer_count; i++) {
		mem_free(engine->peers[i].link);
		mem_free(engine->peers[i].lag);
	}
	mem_free(engine->peers);
	mem_free(engine->reads);
	if (engine->import != NULL)
		session_free(&engine->import->session);
	mem_free(engine->quotas);
	evidence_release(engine);
	witness_asks_release(engine);
	mail_release(engine);
	dispute_release(engine);
	directory_free(engine->directory);
	arena_release(&engine->arena);
	mem_free(engine);
}

static void start(struct engine *engine)
{
	engine->started = true;
	cosigned_loaded(engine);
	cut_members_changed(engine);
	cosigned_members_changed(engine);
	cosigned_start(engine);
	mail_start(engine);
	branch_tick(engine);
	session_tick(engine);
}

static void tick(struct engine *engine)
{
	bound_tick(engine);
	session_tick(engine);
	fetch_tick(engine);
	have_tick(engine);
	cosigned_tick(engine);
	dispute_tick(engine);
	import_tick(engine);
	cut_tick(engine);
	evidence_tick(engine);
	mail_tick(engine);
	branch_tick(engine);
}

static void caught_up(struct engine *engine)
{
	engine->opts.cosigning_paused = false;
	for (size_t i = 0; i < engine->log_count; i++)
		cosigned_make(engine, engine->logs[i]);
}

static void sent(struct engine *engine, const struct event *event)
{
	struct session *session = session_find(engine, event->session);

	if (session == NULL)
		return;
	session->handed -= event->size < session->handed ? event->size : session->handed;
	evidence_pump(engine, session);
}

static void peer_known(struct engine *engine, const char *name)
{
	struct peer *peer = peer_get(engine, name);

	if (peer != NULL)
		peer->dial = true;
}

static void dial_failed(struct engine *engine, const char *name)
{
	struct peer *peer = peer_get(engine, name);

	if (peer != NULL)
		peer_failed(engine, peer);
}

static void loaded(struct engine *engine, enum err err)
{
	if (err == ERR_NOMEM)
		engine->nomem = true;
	else if (err != OK)
		effect_notice(engine, NOTICE_ALARM, "a log of the store cannot be loaded: %s",
			err_text(err));
}

enum err engine_step(struct engine *engine, struct event *event, struct effects *effects)
{
	engine->now_ms = event->now_ms;
	engine->wall_s = event->wall_s;
	engine->out = effects;
	switch (event->type) {
	case EVENT_LOG_LOADED:
		loaded(engine, log_load(engine, event->head));
		break;
	case EVENT_DISPUTE_LOADED:
		dispute_loaded(engine, event->entry);
		break;
	case EVENT_DISPUTE:
		dispute_made(engine, event);
		break;
	case EVENT_EVIDENCE_LOADED:
		loaded(engine, evidence_load(engine, event->entry));
		break;
	case EVENT_DIRECTORY_LOADED:
		loaded(engine, directory_apply(engine->directory, event->entry));
		break;
	case EVENT_PEER:
		peer_known(engine, event->peer);
		break;
	case EVENT_LINK:
		bound_set(engine, event->peer, event->link);
		break;
	case EVENT_START:
		start(engine);
		break;
	case EVENT_TICK:
		tick(engine);
		break;
	case EVENT_DIAL_FAILED:
		dial_failed(engine, event->peer);
		break;
	case EVENT_CONNECTED:
		session_connected(engine, event);
		break;
	case EVENT_DISCONNECTED:
		session_disconnected(engine, event->session);
		break;
	case EVENT_FRAME:
		session_frame(engine, event);
		break;
	case EVENT_ARRIVING:
		session_arriving(engine, event->session);
		break;
	case EVENT_SENT:
		sent(engine, event);
		break;
	case EVENT_UNLOCKED:
		append_unlocked(engine, event);
		break;
	case EVENT_LOCKED:
		engine->mail.open = false;
		append_locked(engine);
		break;
	case EVENT_APPEND:
		append_request(engine, event);
		break;
	case EVENT_SIGNED:
		append_signed(engine, event);
		break;
	case EVENT_COSIGNED:
		cosigned_event(engine, event);
		break;
	case EVENT_WRITTEN:
		log_written(engine, event->write);
		break;
	case EVENT_READ:
		serve_read(engine, event);
		break;
	case EVENT_CAUGHT_UP:
		caught_up(engine);
		break;
	case EVENT_VERIFIED:
		recheck_done(engine, event);
		break;
	case EVENT_OWN:
		log_own(engine, bytes_str(event->origin->text));
		break;
	case EVENT_DAMAGED:
		refetch_damaged(engine, event);
		break;
	case EVENT_IMPORT:
		import_begin(engine, event);
		break;
	case EVENT_IMPORT_FRAME:
		import_frame(engine, event);
		break;
	case EVENT_IMPORT_END:
		import_end(engine);
		break;
	case EVENT_ADD_CHECKPOINT:
		witness_submitted(engine, event);
		break;
	case EVENT_WITNESS_GET:
		witness_asked(engine, event);
		break;
	case EVENT_MAIL_LOADED:
		mail_loaded(engine, event->entry);
		break;
	case EVENT_MAIL_WITHDRAW:
		mail_withdraw_item(engine, event);
		break;
	case EVENT_MAIL_SUBMIT:
		mail_submit(engine, event);
		break;
	case EVENT_MAIL_STORED:
		mail_stored(engine, event->mail);
		break;
	case EVENT_MAIL_READ:
		custody_read(engine, event);
		break;
	case EVENT_MAIL_OPEN:
		mail_opened(engine);
		break;
	case EVENT_MAIL_DONE:
		mail_done(engine, event);
		break;
	}
	queue_flush(engine);
	engine->out = NULL;
	return engine->nomem ? ERR_NOMEM : OK;
}

uint64_t engine_deadline(const struct engine *engine)
{
	uint64_t due = session_deadline(engine), other = fetch_deadline(engine);

	due = other < due ? other : due;
	other = bound_deadline(engine);
	due = other < due ? other : due;
	other = have_deadline(engine);
	due = other < due ? other : due;
	other = cosigned_deadline(engine);
	due = other < due ? other : due;
	other = dispute_deadline(engine);
	due = other < due ? other : due;
	other = import_deadline(engine);
	due = other < due ? other : due;
	other = evidence_deadline(engine);
	due = other < due ? other : due;
	other = mail_deadline(engine);
	return other < due ? other : due;
}

const struct directory *engine_directory(const struct engine *engine)
{
	return engine->directory;
}

size_t engine_log_count(const struct engine *engine)
{
	return engine->log_count;
}

void engine_log_at(const struct engine *engine, size_t position, struct engine_log *ret)
{
	const struct elog *log = engine->logs[position];

	*ret = (struct engine_log){
		.origin = log->origin,
		.own = log->own,
		.open = log->open,
		.frozen = log->frozen,
		.branch = log->branch,
		.alias = log->alias,
		.evidence = evidence_count(engine, position),
		.over_quota = quota_refuses(engine, log),
		.size = log->size,
		.known = log->shown > log->checkpoint.size ? log->shown : log->checkpoint.size,
		.behind_since_s = log->behind_since_s,
		.entry_bytes = lag_entry_bytes(engine, log),
		.checkpoint = buf_bytes(&log->note),
		.checkpoint_size = log->checkpoint.size,
		.root = log->checkpoint.root,
		.cosigned = log->cosigned_count,
		.revoked = directory_revocation(engine->directory, bytes_str(log->node)) != NULL,
		.counts = log->cut == CUT_NONE ? UINT64_MAX
			  : log->listed        ? log->last.size
					       : 0,
		.another_history = log->listed && log->cut == CUT_OTHER,
	};
	witness_view(log, &ret->witness);
	for (const struct session *s = engine->sessions; s != NULL; s = s->next)
		if (position < s->log_count && s->logs[position].have_size > ret->known)
			ret->known = s->logs[position].have_size;
}

bool engine_log_find(const struct engine *engine, struct bytes origin, struct engine_log *ret,
	size_t *ret_position)
{
	const struct elog *log = log_find(engine, origin);

	if (log == NULL)
		return false;
	engine_log_at(engine, log->position, ret);
	*ret_position = log->position;
	return true;
}

bool engine_witness_lost(const struct engine *engine)
{
	return engine->opts.witness_lost;
}

const struct origin *engine_log_origin(const struct engine *engine, size_t position)
{
	return &engine->logs[position]->origin;
}

bool engine_log_key(const struct engine *engine, size_t position, struct note_key *ret)
{
	if (!engine->logs[position]->key_known)
		return false;
	*ret = engine->logs[position]->key;
	return true;
}

void engine_cosigned_at(
	const struct engine *engine, size_t log, size_t position, struct engine_cosigned *ret)
{
	const struct cosigned *c = &engine->logs[log]->cosigned[position];

	const char *slash = strchr(c->cosigner, '/');

	*ret = (struct engine_cosigned){.witness = slash != NULL,
		.size = c->size,
		.time_s = c->time_s,
		.root = c->root,
		.line = buf_bytes(&c->line)};
	snprintf(ret->node, sizeof(ret->node), "%.*s", LIMIT_NODE_NAME,
		slash == NULL ? c->cosigner : slash + 1);
}

struct signed_time {
	const char *node;
	uint64_t time_s;
};

static bool is_active(const struct engine *engine, const char *node)
{
	const struct member *member = directory_find(engine->directory, bytes_str(node));

	return member != NULL && member->active && strcmp(node, engine->node) != 0;
}

static void signed_time_take(
	const struct engine *engine, const struct cosigned *c, struct signed_time best[2])
{
	const char *slash = strchr(c->cosigner, '/');
	struct signed_time its = {slash == NULL ? c->cosigner : slash + 1, c->time_s};
	size_t at = strcmp(best[0].node, its.node) == 0 ? 0 : 1;

	if (its.time_s <= best[at].time_s || !is_active(engine, its.node))
		return;
	if (at == 0 || its.time_s <= best[0].time_s) {
		best[at] = its;
		return;
	}
	best[1] = best[0];
	best[0] = its;
}

uint64_t engine_signed_time(const struct engine *engine)
{
	struct signed_time best[2] = {{"", 0}, {"", 0}};

	for (size_t i = 0; i < engine->log_count; i++)
		for (size_t k = 0; k < engine->logs[i]->cosigned_count; k++)
			signed_time_take(engine, &engine->logs[i]->cosigned[k], best);
	return best[1].time_s != 0 ? best[1].time_s : best[0].time_s;
}

uint64_t engine_signed_by(const struct engine *engine, const char *node)
{
	uint64_t newest = 0;

	for (size_t i = 0; i < engine->log_count; i++)
		for (size_t k = 0; k < engine->logs[i]->cosigned_count; k++) {
			const struct cosigned *c = &engine->logs[i]->cosigned[k];
			const char *slash = strchr(c->cosigner, '/');

			if (c->time_s > newest &&
				strcmp(slash == NULL ? c->cosigner : slash + 1, node) == 0)
				newest = c->time_s;
		}
	return newest;
}

void engine_quorum_at(const struct engine *engine, size_t position, struct engine_quorum *ret)
{
	cosigned_quorum(engine, engine->logs[position], ret);
}

unsigned engine_holders_at(const struct engine *engine, size_t position, uint64_t index)
{
	return cosigned_holders(engine, engine->logs[position], index);
}

/* A log of which nothing is proven, and the peer that names it was asked and did not give it: it
 * may have invented it. */
static bool is_claimed(const struct elog *log, const char *peer)
{
	for (size_t i = 0; !log->key_known && log->suspected && i < SUSPECTS_MAX; i++)
		if (log->suspects[i].failures > 0 && strcmp(log->suspects[i].peer, peer) == 0)
			return true;
	return false;
}

/* More of it is shown than is held, and could be had. */
static bool is_missing(
	const struct elog *log, const struct peer_log *pl, const struct session *session)
{
	return pl->have_size > log->checkpoint.size && !log->frozen &&
	       !is_claimed(log, session->peer) && (log->cut == CUT_NONE || cut_wants(log));
}

bool engine_peer_holds(
	const struct engine *engine, size_t log, const char *peer, uint64_t *ret_size)
{
	const struct session *s = session_of(engine, peer);

	if (s == NULL || log >= s->log_count || s->logs[log].have_size == 0)
		return false;
	*ret_size = s->logs[log].have_size;
	return true;
}

void engine_want_witnesses(struct engine *engine, bool want)
{
	engine->want_witnesses = want;
}

bool engine_dispute_at(const struct engine *engine, size_t position, struct engine_dispute *ret)
{
	if (position >= engine->dispute_count)
		return false;
	ret->is = &engine->disputes[position].is;
	return true;
}

bool engine_caught_up(const struct engine *engine, uint64_t connected_ms)
{
	bool somebody = false;

	for (const struct session *s = engine->sessions; s != NULL; s = s->next) {
		if (s->state != SESSION_ACTIVE)
			continue;
		somebody |= engine->now_ms - s->since_ms >= connected_ms;
		for (size_t i = 0; i < s->log_count; i++)
			if (is_missing(engine->logs[i], &s->logs[i], s))
				return false;
	}
	return somebody;
}

size_t engine_evidence_count(const struct engine *engine)
{
	return engine->evidence_count;
}

struct bytes engine_evidence_at(
	const struct engine *engine, size_t position, struct hash *ret_id, size_t *ret_log)
{
	const struct evidence_item *item = &engine->evidence[position];

	*ret_id = item->id;
	*ret_log = item->log;
	return buf_bytes(&item->message);
}

bool engine_session_traffic(
	const struct engine *engine, struct session_id session, struct engine_traffic *ret)
{
	const struct session *s = session_find(engine, session);

	if (s != NULL)
		*ret = s->traffic;
	return s != NULL;
}

size_t engine_peer_count(const struct engine *engine)
{
	return engine->peer_count;
}

void engine_peer_at(const struct engine *engine, size_t position, struct engine_peer *ret)
{
	const struct peer *peer = &engine->peers[position];
	const struct session *session = session_of(engine, peer->name);

	*ret = (struct engine_peer){
		.connected = session != NULL,
		.dialled = peer->dial,
		.since_ms = session == NULL ? 0 : session->since_ms,
		.next_dial_ms = peer->next_dial_ms,
		.rate = session == NULL ? peer->rate : session->pace.rate,
		.rtt_ms = session == NULL ? 0 : session->pace.rtt_ms,
		.session = session == NULL ? (struct session_id){0} : session->id,
		.metered = session != NULL && bound_metered(engine, session),
		.closed = bound_closed(engine, peer),
		.urgent = bound_urgent(engine, peer),
	};
	snprintf(ret->name, sizeof(ret->name), "%s", peer->name);
}
