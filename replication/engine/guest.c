/*
 * Guests: peers whose certificate is the network's, and whose key the directory that is known here
 * does not list. One of the two has not heard everything: a node that was dark while keys or
 * members changed, or one that was revoked meanwhile. The directory verifies by itself, whoever
 * shows it; so both sides may say Hello, exchange the directory and what else proves itself
 * (evidence, disputes), and nothing else is listened to. Once both hold as much of it, or after a
 * minute, the session ends, and the next one is judged by what is known then.
 *
 * A stolen certificate of a revoked node gets the directory: it had it before, and joining gives it
 * to anybody. It gets no log, keeps no honest peer from its own session (a guest never takes the
 * place of a peer of that name, nor the place among those that are dialled), and there are at most
 * LIMIT_GUESTS of them, one to a name.
 */
#include <stdio.h>

#include "replication/engine/internal.h"

enum { GUEST_MS = 60 * 1000, LINGER_MS = 5 * 1000 };

bool guest_begin(struct engine *engine, struct session *session)
{
	unsigned count = 0;

	session->guest_until_ms = engine->now_ms + GUEST_MS;
	for (struct session *s = engine->sessions; s != NULL; s = s->next) {
		if (s == session || !s->guest || s->state == SESSION_CLOSING)
			continue;
		if (strcmp(s->peer, session->peer) == 0)
			session_close(engine, s, NOTICE_DEBUG, "replaced by a newer session");
		else
			count++;
	}
	if (count < LIMIT_GUESTS)
		return true;
	session_close(engine, session, NOTICE_INFO, "too many that the directory does not list");
	return false;
}

bool guest_may_say(const struct session *session, Sauti__Frame__BodyCase kind)
{
	if (!session->guest)
		return true;
	switch (kind) {
	case SAUTI__FRAME__BODY_HELLO:
	case SAUTI__FRAME__BODY_HAVE:
	case SAUTI__FRAME__BODY_FETCH:
	case SAUTI__FRAME__BODY_BATCH:
	case SAUTI__FRAME__BODY_EVIDENCE:
	case SAUTI__FRAME__BODY_DISPUTE:
	case SAUTI__FRAME__BODY_PING:
	case SAUTI__FRAME__BODY_PONG:
	case SAUTI__FRAME__BODY_BYE:
		return true;
	default:
		return false;
	}
}

bool guest_may_have(const struct session *session, const struct elog *log)
{
	return !session->guest || (log != NULL && log->directory);
}

static const struct elog *directory_log(const struct engine *engine)
{
	return log_find(engine, bytes_str(engine->opts.directory.text));
}

static uint64_t shown(const struct session *session, const struct elog *log)
{
	return log->position < session->log_count ? session->logs[log->position].have_size : 0;
}

void guest_heard(struct engine *engine, struct session *session)
{
	const struct elog *log = directory_log(engine);
	uint64_t until = engine->now_ms + LINGER_MS;

	if (session->guest && shown(session, log) == log->checkpoint.size &&
		until < session->guest_until_ms)
		session->guest_until_ms = until;
}

/* We have all that it has: what it is shows when it comes again, or we to it. */
void guest_members_changed(struct engine *engine)
{
	const struct elog *log = directory_log(engine);

	for (struct session *s = engine->sessions, *next; log != NULL && s != NULL; s = next) {
		next = s->next;
		if (s->state != SESSION_GUEST || shown(s, log) == 0 || shown(s, log) > log->size)
			continue;
		struct peer *peer = s->outgoing ? peer_get(engine, s->peer) : NULL;

		if (peer != NULL)
			peer->backoff_ms = engine->opts.timing.dial_min;
		session_close(engine, s, NOTICE_DEBUG, "the directory has grown: once more");
	}
}

void guest_check(struct engine *engine, struct session *session)
{
	if (engine->now_ms >= session->guest_until_ms)
		session_close(
			engine, session, NOTICE_DEBUG, "the directory here does not list this key");
}

/* ---- what the directory says of this node ---- */

bool guest_self_revoked(const struct engine *engine)
{
	return directory_revocation(engine->directory, bytes_str(engine->node)) != NULL;
}

/* A second admission of this node's name: the fold takes none, but somebody at headquarters tried.
 */
static bool admits_self(const struct engine *engine, struct bytes entry)
{
	struct record record;
	struct member member;
	struct arena arena;
	bool self;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	self = record_read(entry, &arena, &record, NULL) == OK &&
	       record.type == SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED &&
	       node_admitted_read(record.body, &arena, engine->network, &member, NULL) == OK &&
	       strcmp(member.name, engine->node) == 0;
	arena_release(&arena);
	return self;
}

bool guest_self_other(const struct engine *engine)
{
	const struct member *self = directory_find(engine->directory, bytes_str(engine->node));

	return self != NULL && self->former != NULL &&
	       !bytes_equal(BYTES_ARRAY(self->mirror.b), BYTES_ARRAY(engine->opts.mirror.b));
}

/* The record gave this node's name other keys. */
static void keys_changed(struct engine *engine, uint64_t index)
{
	const struct revocation *closed =
		directory_replacement(engine->directory, bytes_str(engine->node));

	if (!guest_self_other(engine))
		effect_notice(engine, NOTICE_INFO,
			"the directory has this machine's new keys (record %llu)",
			(unsigned long long)index);
	else if (closed != NULL && closed->index == index)
		effect_notice(engine, NOTICE_ALARM,
			"headquarters has put another machine in the place of this node "
			"(directory record %llu): %.150s",
			(unsigned long long)index, closed->reason);
	else
		effect_notice(engine, NOTICE_ALARM,
			"somebody who has this node's key has changed its keys (directory record "
			"%llu)",
			(unsigned long long)index);
}

void guest_self(struct engine *engine, struct bytes entry, uint64_t odd_before)
{
	const struct member *self = directory_find(engine->directory, bytes_str(engine->node));
	const struct revocation *revocation =
		directory_revocation(engine->directory, bytes_str(engine->node));
	uint64_t index = directory_size(engine->directory) - 1;

	if (self != NULL && self->former != NULL && self->keys_index == index)
		keys_changed(engine, index);

	if (revocation != NULL && revocation->index == index)
		effect_notice(engine, NOTICE_ALARM,
			"headquarters has revoked this node (directory record %llu): %.150s",
			(unsigned long long)index, revocation->reason);
	if (directory_odd(engine->directory, NULL) > odd_before && admits_self(engine, entry))
		effect_notice(engine, NOTICE_ALARM,
			"the directory has a record about this node that it did not make: %llu",
			(unsigned long long)index);
}
