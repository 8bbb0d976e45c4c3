/*
 * Connections. A session is born by EVENT_CONNECTED, authenticated by its runtime; both sides say
 * Hello first, and nothing the peer says counts before its Hello. One session per pair: of two, the
 * one that the lower node name dialled stays.
 *
 *   HELLO --peer's Hello--> ACTIVE --Bye, violation, silence--> CLOSING --EVENT_DISCONNECTED-->
 * gone
 */
#include <stdarg.h>
#include <stdio.h>

#include "replication/engine/internal.h"

enum { BYE_SHUTDOWN = 0, BYE_VIOLATION = 1 };
enum { HELLO_METERED = 1, HELLO_WITNESSES = 2 }; /* features */

struct session *session_find(const struct engine *engine, struct session_id id)
{
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		if (s->id.value == id.value)
			return s;
	return NULL;
}

struct session *session_of(const struct engine *engine, const char *peer)
{
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		if (s->state == SESSION_ACTIVE && strcmp(s->peer, peer) == 0)
			return s;
	return NULL;
}

void peer_log_init(struct peer_log *pl)
{
	*pl = (struct peer_log){0};
	buf_init(&pl->note, LIMIT_NOTE_SIZE);
	buf_init(&pl->shown, LIMIT_NOTE_SIZE);
	buf_init(&pl->asked, LIMIT_NOTE_SIZE);
}

void peer_log_release(struct peer_log *pl)
{
	buf_release(&pl->note);
	buf_release(&pl->shown);
	buf_release(&pl->asked);
}

struct peer_log *session_log(struct engine *engine, struct session *session, const struct elog *log)
{
	if (log->position >= session->log_count) {
		size_t count = engine->log_count;
		struct peer_log *logs = mem_resize(session->logs, count * sizeof(*logs));

		if (logs == NULL) {
			engine->nomem = true;
			return NULL;
		}
		session->logs = logs;
		for (size_t i = session->log_count; i < count; i++)
			peer_log_init(&logs[i]);
		session->log_count = count;
	}
	return &session->logs[log->position];
}

void session_free(struct session *session)
{
	if (session == NULL)
		return;
	queue_release(session);
	for (size_t i = 0; i < session->log_count; i++)
		peer_log_release(&session->logs[i]);
	mem_free(session->logs);
	mem_free(session);
}

struct peer *peer_get(struct engine *engine, const char *name)
{
	for (size_t i = 0; i < engine->peer_count; i++)
		if (strcmp(engine->peers[i].name, name) == 0)
			return &engine->peers[i];
	if (engine->peer_count == LIMIT_PEERS)
		return NULL;
	struct peer *peers =
		mem_resize(engine->peers, (engine->peer_count + 1) * sizeof(*engine->peers));

	if (peers == NULL) {
		engine->nomem = true;
		return NULL;
	}
	engine->peers = peers;
	struct peer *peer = &peers[engine->peer_count++];

	*peer = (struct peer){.backoff_ms = engine->opts.timing.dial_min};
	snprintf(peer->name, sizeof(peer->name), "%s", name);
	return peer;
}

/* xorshift64*: the jitter needs spread, not secrecy. */
static uint64_t jitter(struct engine *engine, uint64_t below)
{
	engine->random ^= engine->random >> 12;
	engine->random ^= engine->random << 25;
	engine->random ^= engine->random >> 27;
	return below == 0 ? 0 : (engine->random * 2685821657736338717u >> 32) % below;
}

void peer_failed(struct engine *engine, struct peer *peer)
{
	peer->dialling = false;
	peer->next_dial_ms =
		engine->now_ms + peer->backoff_ms / 2 + jitter(engine, peer->backoff_ms / 2 + 1);
	if (peer->backoff_ms < engine->opts.timing.dial_max / 2)
		peer->backoff_ms *= 2;
	else
		peer->backoff_ms = engine->opts.timing.dial_max;
}

/* The session's streams and providers end; the connection itself is the runtime's. */
static void session_let_go(struct engine *engine, struct session *session)
{
	for (size_t i = 0; i < session->log_count; i++)
		session->logs[i].serving = false;
	serve_session_gone(engine, session->id);
	custody_session_gone(engine, session);
	for (size_t i = 0; i < engine->log_count; i++) {
		struct elog *log = engine->logs[i];

		log_sponsor_gone(engine, log, session);
		if (log->provider == session) {
			fetch_stop(engine, log, false);
			fetch_choose(engine, log);
		}
	}
}

void session_close(
	struct engine *engine, struct session *session, enum notice level, const char *format, ...)
{
	char reason[LIMIT_BYE_REASON];
	Sauti__Bye bye = SAUTI__BYE__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	va_list args;

	if (session->state == SESSION_CLOSING)
		return;
	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	if (session->state == SESSION_IMPORT) {
		import_fault(engine, reason);
		return;
	}
	effect_notice(engine, level, "session with '%s' closed: %s", session->peer, reason);
	bye.code = level >= NOTICE_WARNING ? BYE_VIOLATION : BYE_SHUTDOWN;
	bye.reason = reason;
	frame.body_case = SAUTI__FRAME__BODY_BYE;
	frame.bye = &bye;
	effect_send(engine, session, &frame);
	queue_release(session);
	session->state = SESSION_CLOSING;
	struct effect *effect = effect_add(engine, EFFECT_CLOSE);

	if (effect != NULL) {
		effect->session = session->id;
		snprintf(effect->text, sizeof(effect->text), "%s", reason);
	}
	session_let_go(engine, session);
}

static void say_hello(struct engine *engine, struct session *session)
{
	Sauti__Hello hello = SAUTI__HELLO__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	hello.network = engine->network;
	hello.node = engine->node;
	hello.protocol_min = hello.protocol_max = PROTOCOL_VERSION;
	hello.max_frame = LIMIT_FRAME_SIZE;
	hello.format = FORMAT_VERSION;
	hello.features = bound_says_metered(engine, session) ? HELLO_METERED : 0;
	if (engine->want_witnesses)
		hello.features |= HELLO_WITNESSES;
	frame.body_case = SAUTI__FRAME__BODY_HELLO;
	frame.hello = &hello;
	effect_send(engine, session, &frame);
}

static void say_ping(struct engine *engine, struct session *session)
{
	Sauti__Ping ping = SAUTI__PING__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	ping.token = ++session->pings;
	frame.body_case = SAUTI__FRAME__BODY_PING;
	frame.ping = &ping;
	session->ping_ms = engine->now_ms;
	session->ping_alone = session->pace.flight == 0;
	effect_send(engine, session, &frame);
}

/* The connection that the lower of the two names dialled. */
static bool dialled_by_lower(const struct engine *engine, const struct session *session)
{
	return session->outgoing == (strcmp(engine->node, session->peer) < 0);
}

/* Of an old and a new session with one peer, one stays. Both sides decide alike: by who dialled;
 * a second one dialled by the same side replaces the first, which that side has given up. */
static bool settle_duplicate(struct engine *engine, struct session *fresh)
{
	for (struct session *old = engine->sessions; old != NULL; old = old->next) {
		if (old == fresh || old->state == SESSION_CLOSING || old->guest ||
			strcmp(old->peer, fresh->peer) != 0)
			continue;
		if (old->outgoing != fresh->outgoing && dialled_by_lower(engine, old)) {
			session_close(engine, fresh, NOTICE_DEBUG, "another session is kept");
			return false;
		}
		session_close(engine, old, NOTICE_DEBUG, "replaced by a newer session");
	}
	return true;
}

void session_connected(struct engine *engine, const struct event *event)
{
	struct session *session = mem_zalloc(sizeof(*session)), **end = &engine->sessions;
	/* Who dials us under a name that the directory does not know by this key is not that peer.
	 */
	struct peer *peer = event->guest && !event->outgoing ? NULL : peer_get(engine, event->peer);

	if (session == NULL) {
		engine->nomem = true;
		return;
	}
	session->id = event->session;
	snprintf(session->peer, sizeof(session->peer), "%s", event->peer);
	session->outgoing = event->outgoing;
	session->guest = event->guest;
	session->since_ms = session->heard_ms = engine->now_ms;
	session->peer_position = peer == NULL ? SIZE_MAX : (size_t)(peer - engine->peers);
	session->asked = RATE_UNLIMITED;
	queue_init(session);
	pace_init(&session->pace, peer == NULL ? 0 : peer->rate);
	while (*end != NULL)
		end = &(*end)->next;
	*end = session;
	if (peer != NULL && event->outgoing)
		peer->dialling = false;
	const struct member *member = directory_find(engine->directory, bytes_str(session->peer));

	if ((!session->guest && (member == NULL || !member->active)) ||
		strcmp(session->peer, engine->node) == 0) {
		session_close(engine, session, NOTICE_WARNING, "not an active member");
		return;
	}
	if (peer != NULL && bound_closed(engine, peer)) {
		session_close(engine, session, NOTICE_INFO, "these hours are closed");
		return;
	}
	if (session->guest ? !guest_begin(engine, session) : !settle_duplicate(engine, session))
		return;
	session->keys_index = member == NULL ? 0 : member->keys_index;
	say_hello(engine, session);
	say_ping(engine, session);
	have_all(engine, session);
}

/* What is known of the peer it is a session with; NULL for a guest that came by itself. */
static struct peer *peer_of(struct engine *engine, const struct session *session)
{
	return session->guest && !session->outgoing ? NULL : peer_get(engine, session->peer);
}

void session_disconnected(struct engine *engine, struct session_id id)
{
	struct session **at = &engine->sessions;

	while (*at != NULL && (*at)->id.value != id.value)
		at = &(*at)->next;
	struct session *session = *at;

	if (session == NULL)
		return;
	*at = session->next;
	struct peer *peer = peer_of(engine, session);

	if (session->state == SESSION_ACTIVE)
		effect_notice(engine, NOTICE_INFO, "session with '%s' ended", session->peer);
	session->state = SESSION_CLOSING;
	session_let_go(engine, session);
	if (peer != NULL && session->pace.rate > 0)
		peer->rate = session->pace.rate;
	if (peer != NULL && peer->dial && session_of(engine, session->peer) == NULL)
		peer_failed(engine, peer);
	session_free(session);
}

static void hear_hello(struct engine *engine, struct session *session, const Sauti__Hello *hello)
{
	struct peer *peer = peer_of(engine, session);
	char shown[64];

	if (session->state != SESSION_HELLO)
		session_close(engine, session, NOTICE_WARNING, "a second Hello");
	else if (strcmp(hello->network, engine->network) != 0)
		session_close(engine, session, NOTICE_WARNING, "it is of another network: \"%s\"",
			text_escape(bytes_str(hello->network), shown, sizeof(shown)));
	else if (strcmp(hello->node, session->peer) != 0)
		session_close(engine, session, NOTICE_WARNING,
			"its certificate names '%s', its Hello \"%s\"", session->peer,
			text_escape(bytes_str(hello->node), shown, sizeof(shown)));
	else if (hello->protocol_min > PROTOCOL_VERSION || hello->protocol_max < PROTOCOL_VERSION)
		session_close(engine, session, NOTICE_WARNING,
			"it speaks protocol %u to %u, this node %u", hello->protocol_min,
			hello->protocol_max, PROTOCOL_VERSION);
	else if (hello->format != FORMAT_VERSION)
		session_close(engine, session, NOTICE_WARNING,
			"its entries are of format %u, this node's of %u", hello->format,
			FORMAT_VERSION);
	else if (hello->max_frame < LIMIT_FRAME_SIZE)
		session_close(engine, session, NOTICE_WARNING, "it takes frames of %u bytes only",
			hello->max_frame);
	else if (session->guest) {
		session->state = SESSION_GUEST;
		evidence_pump(engine, session);
		dispute_pump(engine, session);
	} else {
		session->state = SESSION_ACTIVE;
		lag_session(engine, session);
		session->metered = (hello->features & HELLO_METERED) != 0;
		session->wants_witnesses = (hello->features & HELLO_WITNESSES) != 0;
		if (peer != NULL) {
			/* Peers end the sessions of a revoked node, one after the other. */
			if (!guest_self_revoked(engine) && !guest_self_other(engine))
				peer->backoff_ms = engine->opts.timing.dial_min;
			peer->seen = true;
		}
		effect_notice(engine, NOTICE_INFO, "session with '%s' is up", session->peer);
		evidence_pump(engine, session);
		dispute_pump(engine, session);
		custody_pump(engine, session);
	}
}

/* Its token alone goes back, and nothing else that stood there. */
static void hear_ping(struct engine *engine, struct session *session, const Sauti__Ping *ping)
{
	Sauti__Ping pong = SAUTI__PING__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	pong.token = ping->token;
	frame.body_case = SAUTI__FRAME__BODY_PONG;
	frame.pong = &pong;
	effect_send(engine, session, &frame);
}

static void hear_pong(struct engine *engine, struct session *session, const Sauti__Ping *pong)
{
	if (pong->token == session->pings && session->ping_ms <= engine->now_ms)
		pace_round_trip(&session->pace, engine->now_ms - session->ping_ms,
			session->ping_alone && session->pace.flight == 0);
	session->ping_alone = false;
}

static void hear_bye(struct engine *engine, struct session *session, const Sauti__Bye *bye)
{
	char shown[LIMIT_BYE_REASON];

	effect_notice(engine, bye->code == BYE_VIOLATION ? NOTICE_WARNING : NOTICE_DEBUG,
		"'%s' says bye: \"%s\"", session->peer,
		text_escape(bytes_str(bye->reason), shown, sizeof(shown)));
	session->state = SESSION_CLOSING;
	queue_release(session);
	struct effect *effect = effect_add(engine, EFFECT_CLOSE);

	if (effect != NULL)
		effect->session = session->id;
	session_let_go(engine, session);
}

static void dispatch(struct engine *engine, struct session *session, Sauti__Frame *frame)
{
	if (session->state == SESSION_HELLO && frame->body_case != SAUTI__FRAME__BODY_HELLO &&
		frame->body_case != SAUTI__FRAME__BODY_BYE) {
		session_close(engine, session, NOTICE_WARNING, "something before its Hello");
		return;
	}
	if (!guest_may_say(session, frame->body_case))
		return;
	switch (frame->body_case) {
	case SAUTI__FRAME__BODY_HELLO:
		hear_hello(engine, session, frame->hello);
		break;
	case SAUTI__FRAME__BODY_HAVE:
		have_heard(engine, session, frame->have);
		break;
	case SAUTI__FRAME__BODY_FETCH:
		serve_fetch(engine, session, frame->fetch);
		break;
	case SAUTI__FRAME__BODY_BATCH:
		fetch_batch(engine, session, frame->batch);
		break;
	case SAUTI__FRAME__BODY_HELD:
		have_held(engine, session, frame->held);
		break;
	case SAUTI__FRAME__BODY_PING:
		hear_ping(engine, session, frame->ping);
		break;
	case SAUTI__FRAME__BODY_PONG:
		hear_pong(engine, session, frame->pong);
		break;
	case SAUTI__FRAME__BODY_EVIDENCE:
		evidence_heard(engine, session, frame->evidence);
		break;
	case SAUTI__FRAME__BODY_PROVE:
		evidence_prove(engine, session, frame->prove);
		break;
	case SAUTI__FRAME__BODY_PROVED:
		evidence_proved(engine, session, frame->proved);
		break;
	case SAUTI__FRAME__BODY_DISPUTE:
		dispute_heard(engine, session, frame->dispute);
		break;
	case SAUTI__FRAME__BODY_BYE:
		hear_bye(engine, session, frame->bye);
		break;
	case SAUTI__FRAME__BODY_MAIL:
		custody_mail(engine, session, frame->mail);
		break;
	case SAUTI__FRAME__BODY_MAIL_ACK:
		custody_ack(engine, session, frame->mail_ack);
		break;
	default: /* a kind of frame that a later protocol has: ignored */
		break;
	}
}

void session_frame(struct engine *engine, const struct event *event)
{
	struct session *session = session_find(engine, event->session);
	Sauti__Frame *frame;
	struct errctx ctx = {""};

	if (session == NULL || session->state == SESSION_CLOSING)
		return;
	session->heard_ms = engine->now_ms;
	session->pinged_ms = 0;
	bound_received(engine, session, event->frame.size);
	arena_clear(&engine->arena);
	enum err err = CODEC_UNPACK(
		frame, event->frame, &scan_limits_default, &engine->arena, &frame, &ctx);

	if (err != OK)
		session_close(engine, session, NOTICE_WARNING, "bad frame: %.150s",
			err_message(&ctx, err));
	else
		dispatch(engine, session, frame);
	if (session->flooded)
		session_close(engine, session, NOTICE_WARNING,
			"it does not read what is sent to it: %zu bytes are waiting",
			session->queued + session->handed);
}

/* Slow is not silent. */
void session_arriving(struct engine *engine, struct session_id id)
{
	struct session *session = session_find(engine, id);

	if (session == NULL || session->state == SESSION_CLOSING)
		return;
	session->arriving_ms = engine->now_ms;
	if (session->state != SESSION_ACTIVE)
		return;
	session->heard_ms = engine->now_ms;
	session->pinged_ms = 0;
}

static uint32_t idle_ping(const struct engine *engine, const struct session *session)
{
	const struct engine_timing *timing = &engine->opts.timing;

	return bound_metered(engine, session) ? timing->metered_ping : timing->idle_ping;
}

static uint32_t idle_close(const struct engine *engine, const struct session *session)
{
	const struct engine_timing *timing = &engine->opts.timing;

	return bound_metered(engine, session) ? timing->metered_close : timing->idle_close;
}

static void session_check(struct engine *engine, struct session *session)
{
	const struct engine_timing *timing = &engine->opts.timing;
	uint64_t silent = engine->now_ms - session->heard_ms;

	if (session->flooded) {
		session_close(engine, session, NOTICE_WARNING,
			"it does not read what is sent to it: %zu bytes are waiting",
			session->queued + session->handed);
	} else if (session->state == SESSION_HELLO && silent >= timing->hello_timeout) {
		session_close(engine, session, NOTICE_WARNING, "no Hello");
	} else if (session->guest && session->state != SESSION_CLOSING) {
		guest_check(engine, session);
	} else if (session->state == SESSION_ACTIVE && silent >= idle_close(engine, session)) {
		session_close(engine, session, NOTICE_WARNING, "silent for %llu s",
			(unsigned long long)(silent / 1000));
	} else if (session->state == SESSION_ACTIVE && silent >= idle_ping(engine, session) &&
		   session->pinged_ms == 0) {
		session->pinged_ms = engine->now_ms;
		say_ping(engine, session);
	}
}

static bool has_session(const struct engine *engine, const char *peer)
{
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		if (s->state != SESSION_CLOSING && (s->outgoing || !s->guest) &&
			strcmp(s->peer, peer) == 0)
			return true;
	return false;
}

static bool wants_dial(const struct engine *engine, const struct peer *peer)
{
	return peer->dial && !peer->dialling && !has_session(engine, peer->name) &&
	       !bound_closed(engine, peer) &&
	       directory_revocation(engine->directory, bytes_str(peer->name)) == NULL;
}

void session_tick(struct engine *engine)
{
	unsigned dials = 0;

	for (struct session *s = engine->sessions, *next; s != NULL; s = next) {
		next = s->next;
		session_check(engine, s);
	}
	for (size_t i = 0; i < engine->peer_count && dials < DIALS_PER_TICK; i++) {
		struct peer *peer = &engine->peers[i];

		if (!wants_dial(engine, peer) || engine->now_ms < peer->next_dial_ms)
			continue;
		struct effect *effect = effect_add(engine, EFFECT_DIAL);

		if (effect == NULL)
			return;
		snprintf(effect->peer, sizeof(effect->peer), "%s", peer->name);
		peer->dialling = true;
		dials++;
	}
}

static uint64_t session_due(const struct engine *engine, const struct session *session)
{
	const struct engine_timing *timing = &engine->opts.timing;

	if (session->flooded && session->state != SESSION_CLOSING)
		return engine->now_ms;
	switch (session->state) {
	case SESSION_HELLO:
		return session->heard_ms + timing->hello_timeout;
	case SESSION_GUEST:
		return session->guest_until_ms;
	case SESSION_ACTIVE:
		return session->heard_ms + (session->pinged_ms == 0 ? idle_ping(engine, session)
								    : idle_close(engine, session));
	default:
		return UINT64_MAX;
	}
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t session_deadline(const struct engine *engine)
{
	uint64_t due = UINT64_MAX;

	for (const struct session *s = engine->sessions; s != NULL; s = s->next)
		due = sooner(due, sooner(session_due(engine, s), queue_deadline(engine, s)));
	for (size_t i = 0; i < engine->peer_count; i++)
		if (wants_dial(engine, &engine->peers[i]) && engine->peers[i].next_dial_ms < due)
			due = engine->peers[i].next_dial_ms;
	return due;
}
