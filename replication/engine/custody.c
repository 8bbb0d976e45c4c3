/*
 * How mail gets on (DESIGN 9). A node that holds an item hands it
 *
 *	to its recipient, whenever that is connected;
 *	else to one peer at a time: before others whoever brought the newest entries of the
 *	recipient's log, then headquarters; and none that gave it to us, whose own it is, or that
 *	has had it within the pause.
 *
 * A relay leaves it at that while the recipient may come to it by itself: for some minutes after a
 * start, and for one pause when it has seen it since. The answer of a peer is custody, once the
 * item is durable there: nobody else is handed it for the pause, 7 days, and then another. A copy
 *is deleted when the end is durable in its place, and that is told to whoever may still hold one,
 *and to the sender, each until it has said that it knows. Who comes with an item that has ended is
 * told so: whatever is lost on the way back, a sender that hands its item over again learns the
 * end.
 *
 * Failures: no answer, a refusal: that peer is left alone for an hour. A session that ends takes
 * back what it was handed and has not answered. An item that is not readable or too large is its
 * bringer's fault, whose session ends; a signature that is not its sender's is refused, since the
 * sender's key may have changed since the bringer looked.
 */
#include <stdlib.h>

#include "proto/mail.pb-c.h"
#include "replication/engine/internal.h"

enum { REFUSED_FULL = 1, REFUSED_MEMBER = 2, REFUSED_UNREADABLE = 3, REFUSED_OWN = 4 };

static bool is_self(const struct engine *engine, const char *name)
{
	return strcmp(name, engine->node) == 0;
}

static uint64_t pause_s(const struct engine *engine)
{
	return (engine->opts.timing.mail_pause + 999u) / 1000;
}

/* ---- answers ---- */

static enum send_class class_of(const struct mail_entry *entry)
{
	return entry != NULL && entry->class == MAIL_ERASURE ? SEND_ERASURE : SEND_MAIL;
}

static void send_ack(
	struct engine *engine, struct session *session, Sauti__MailAck *ack, enum send_class class)
{
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	frame.body_case = SAUTI__FRAME__BODY_MAIL_ACK;
	frame.mail_ack = ack;
	effect_send_class(engine, session, &frame, class);
}

static void send_hop(struct engine *engine, struct session *session, const struct hash *item,
	Sauti__MailAck__BodyCase what, uint32_t code)
{
	Sauti__MailHop hop = SAUTI__MAIL_HOP__INIT;
	Sauti__MailAck ack = SAUTI__MAIL_ACK__INIT;

	hop.item = codec_binary(hash_bytes(item));
	hop.code = code;
	ack.body_case = what;
	ack.custody = &hop; /* all of them are the same member of the union */
	send_ack(engine, session, &ack, SEND_CONTROL);
}

static void send_end(struct engine *engine, struct session *session, const struct mail_entry *entry)
{
	Sauti__MailAck ack = SAUTI__MAIL_ACK__INIT;
	Sauti__MailEnd *end;

	if (CODEC_UNPACK(mail_end, buf_bytes(&entry->end), &scan_limits_default, &engine->arena,
		    &end, NULL) != OK)
		return;
	ack.body_case = SAUTI__MAIL_ACK__BODY_END;
	ack.end = end;
	send_ack(engine, session, &ack, class_of(entry));
}

static void ask(struct mail_entry *entry, const struct session *session)
{
	for (unsigned i = 0; i < entry->asker_count; i++)
		if (entry->askers[i].value == session->id.value)
			return;
	if (entry->asker_count < MAIL_ASKERS)
		entry->askers[entry->asker_count++] = session->id;
}

void custody_settled(struct engine *engine, struct mail_entry *entry, enum err error)
{
	for (unsigned i = 0; i < entry->asker_count; i++) {
		struct session *session = session_find(engine, entry->askers[i]);

		if (session == NULL || session->state != SESSION_ACTIVE)
			continue;
		if (entry->state == MAIL_ENDED)
			send_hop(engine, session, &entry->item, SAUTI__MAIL_ACK__BODY_KNOWN, 0);
		else if (error == OK)
			send_hop(engine, session, &entry->item, SAUTI__MAIL_ACK__BODY_CUSTODY, 0);
		else if (entry->state == MAIL_NEW)
			send_hop(engine, session, &entry->item, SAUTI__MAIL_ACK__BODY_REFUSED,
				REFUSED_FULL);
	}
	entry->asker_count = 0;
}

/* ---- what is under way to a peer ---- */

static struct mail_flight *flight_find(struct session *session, const struct hash *item, bool end)
{
	for (unsigned i = 0; i < session->flight_count; i++)
		if (session->flights[i].end == end && hash_equal(&session->flights[i].item, item))
			return &session->flights[i];
	return NULL;
}

static void flight_remove(
	struct engine *engine, struct session *session, struct mail_flight *flight)
{
	struct mail_entry *entry = mail_find(engine, &flight->item);

	if (entry != NULL && !flight->end && entry->flight == session->id.value)
		entry->flight = 0;
	session->flight_bytes -= flight->size;
	*flight = session->flights[--session->flight_count];
}

static bool flight_fits(const struct session *session, size_t size)
{
	return session->flight_count == 0 ||
	       (session->flight_count < LIMIT_MAIL_FLIGHTS &&
		       session->flight_bytes + size <= LIMIT_MAIL_FLIGHT_BYTES);
}

void custody_session_gone(struct engine *engine, struct session *session)
{
	while (session->flight_count > 0)
		flight_remove(engine, session, &session->flights[0]);
}

void custody_withdrawn(struct engine *engine, struct mail_entry *entry)
{
	for (struct session *s = engine->sessions; s != NULL; s = s->next) {
		struct mail_flight *flight = flight_find(s, &entry->item, false);

		if (flight != NULL)
			flight_remove(engine, s, flight);
	}
}

/* Not handed to it again for a while. */
static void leave_alone(struct engine *engine, struct session *session, const struct hash *item)
{
	struct mail_entry *entry = mail_find(engine, item);
	struct mail_hand *hand = entry == NULL ? NULL : hand_get(entry, session->peer);
	uint64_t until = engine->wall_s + engine->opts.timing.mail_refused / 1000;

	if (hand != NULL && hand->until_s < until)
		hand->until_s = until;
}

void custody_expire(struct engine *engine, struct session *session)
{
	uint64_t wait = engine->opts.timing.mail_answer;

	for (unsigned i = session->flight_count; i > 0; i--) {
		struct mail_flight *flight = &session->flights[i - 1];

		if (engine->now_ms < flight->since_ms + wait)
			continue;
		leave_alone(engine, session, &flight->item);
		flight_remove(engine, session, flight);
	}
}

/* ---- who is handed what ---- */

/* Times that only a clock which was put back can explain count as over. */
static bool waits(const struct engine *engine, uint64_t until_s)
{
	return until_s == UINT64_MAX ||
	       (until_s > engine->wall_s && until_s <= engine->wall_s + pause_s(engine));
}

static bool left_alone(const struct engine *engine, struct mail_entry *entry, const char *peer)
{
	const struct mail_hand *hand = hand_find(entry, peer);

	return hand != NULL && waits(engine, hand->until_s);
}

/* Somebody has custody since less than the pause. */
static bool paused(const struct engine *engine, const struct mail_entry *entry)
{
	for (unsigned i = 0; i < entry->hand_count; i++)
		if (entry->hands[i].since_s != 0 && waits(engine, entry->hands[i].until_s))
			return true;
	return false;
}

static bool active_member(const struct engine *engine, const char *name)
{
	const struct member *member = directory_find(engine->directory, bytes_str(name));

	return member != NULL && member->active;
}

static bool is_hq(const struct engine *engine, const char *name)
{
	const struct member *member = directory_find(engine->directory, bytes_str(name));

	return member != NULL && member->role == ROLE_HQ;
}

/* May it be handed to this peer at all? */
static bool may_carry(struct engine *engine, struct mail_entry *entry, const char *peer)
{
	return strcmp(peer, entry->sender) != 0 && !left_alone(engine, entry, peer);
}

enum { RANK_HELD, RANK_ANY, RANK_HQ, RANK_SOURCE, RANK_RECIPIENT };

static int by_node(const void *a, const void *b)
{
	return strcmp((*(struct elog *const *)a)->node, (*(struct elog *const *)b)->node);
}

/* What is asked for each item and each session is looked up once. Logs only ever come. */
static void look_up(struct engine *engine)
{
	struct mail_table *table = &engine->mail;
	struct elog **list;

	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		s->mail_hq = s->state == SESSION_ACTIVE && is_hq(engine, s->peer);
	if (table->by_node_count == engine->log_count)
		return;
	list = mem_resize(table->by_node, engine->log_count * sizeof(*list));
	if (list == NULL) {
		engine->nomem = true;
		return;
	}
	table->by_node = list;
	table->by_node_count = engine->log_count;
	memcpy(list, engine->logs, engine->log_count * sizeof(*list));
	qsort(list, engine->log_count, sizeof(*list), by_node);
}

/* The first log that is not of a node before that one. */
static size_t first_of(const struct mail_table *table, const char *node)
{
	size_t low = 0, high = table->by_node_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(table->by_node[middle]->node, node) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The newest of what the recipient recorded came from there: so there is a way back. */
static bool is_source(const struct engine *engine, const char *recipient, const char *peer)
{
	const struct mail_table *table = &engine->mail;

	for (size_t i = first_of(table, recipient);
		i < table->by_node_count && strcmp(table->by_node[i]->node, recipient) == 0; i++)
		if (strcmp(table->by_node[i]->source, peer) == 0)
			return true;
	return false;
}

/* How good a way a peer is. One that had custody once is tried again when there is no other. */
static int rank(
	const struct engine *engine, struct mail_entry *entry, const struct session *session)
{
	const struct mail_hand *hand;

	if (strcmp(session->peer, entry->recipient) == 0)
		return RANK_RECIPIENT;
	hand = hand_find(entry, session->peer);
	if (hand != NULL && hand->holds)
		return RANK_HELD;
	if (is_source(engine, entry->recipient, session->peer))
		return RANK_SOURCE;
	return session->mail_hq ? RANK_HQ : RANK_ANY;
}

static bool better_among(struct engine *engine, struct mail_entry *entry,
	const struct session *than, int own, bool hq)
{
	for (const struct session *s = engine->sessions; s != NULL; s = s->next)
		if (s != than && s->mail_hq == hq && s->state == SESSION_ACTIVE &&
			rank(engine, entry, s) > own && may_carry(engine, entry, s->peer))
			return true;
	return false;
}

/* Headquarters first: mostly it is the answer, and the others need not be looked at. */
static bool better_connected(
	struct engine *engine, struct mail_entry *entry, const struct session *than)
{
	int own = rank(engine, entry, than);

	return better_among(engine, entry, than, own, true) ||
	       better_among(engine, entry, than, own, false);
}

/* The recipient may come to this relay by itself. */
static bool expects(const struct engine *engine, const struct mail_entry *entry)
{
	uint64_t settle = engine->opts.timing.mail_settle;

	if (is_self(engine, entry->sender))
		return false;
	if (engine->now_ms < engine->mail.started_ms + settle)
		return true;
	if (!waits(engine, entry->accepted_s + pause_s(engine)))
		return false;
	for (size_t i = 0; i < engine->peer_count; i++)
		if (strcmp(engine->peers[i].name, entry->recipient) == 0)
			return engine->peers[i].seen;
	return false;
}

static bool wants_item(struct engine *engine, struct session *session, struct mail_entry *entry)
{
	bool to_recipient;

	if (entry->state != MAIL_HELD || entry->flight != 0 || is_self(engine, entry->recipient) ||
		!may_carry(engine, entry, session->peer))
		return false;
	to_recipient = strcmp(session->peer, entry->recipient) == 0;
	if (!to_recipient && paused(engine, entry))
		return false;
	if (!active_member(engine, entry->recipient) || !active_member(engine, entry->sender))
		return false;
	if (to_recipient)
		return true;
	if (better_connected(engine, entry, session))
		return false;
	return rank(engine, entry, session) >= RANK_HQ || !expects(engine, entry);
}

static bool wants_end(struct engine *engine, struct session *session, struct mail_entry *entry)
{
	const struct mail_hand *hand = hand_find(entry, session->peer);

	if (entry->state != MAIL_ENDED || flight_find(session, &entry->item, true) != NULL)
		return false;
	if (hand == NULL)
		return strcmp(session->peer, entry->sender) == 0;
	if (hand->told)
		return false;
	return (hand->holds || strcmp(session->peer, entry->sender) == 0);
}

static void fly(struct engine *engine, struct session *session, struct mail_entry *entry)
{
	struct mail_flight *flight = &session->flights[session->flight_count];
	struct effect *effect;

	*flight = (struct mail_flight){
		.item = entry->item, .end = entry->state == MAIL_ENDED, .since_ms = engine->now_ms};
	if (flight->end) {
		session->flight_count++;
		send_end(engine, session, entry);
		return;
	}
	effect = effect_add(engine, EFFECT_MAIL_READ);
	if (effect == NULL)
		return;
	effect->item = entry->item;
	effect->ticket = flight->ticket = ++engine->mail.next_ticket;
	flight->size = entry->size;
	session->flight_bytes += entry->size;
	session->flight_count++;
	entry->flight = session->id.value;
}

/* False: the peer has enough for now. */
static bool offer(struct engine *engine, struct session *session, struct mail_entry *entry)
{
	if (!wants_item(engine, session, entry) && !wants_end(engine, session, entry))
		return true;
	if (!flight_fits(session, entry->state == MAIL_ENDED ? 0 : entry->size))
		return false;
	fly(engine, session, entry);
	return true;
}

/* Erasures pass everything else. */
static bool offer_erasures(struct engine *engine, struct session *session)
{
	const struct mail_table *table = &engine->mail;

	if (table->erasures == 0)
		return true;
	for (size_t i = 0; i < table->count; i++)
		if (table->entries[i]->class == MAIL_ERASURE &&
			!offer(engine, session, table->entries[i]))
			return false;
	return true;
}

void custody_pump(struct engine *engine, struct session *session)
{
	const struct mail_table *table = &engine->mail;

	if (!engine->started || session->state != SESSION_ACTIVE)
		return;
	look_up(engine);
	if (!offer_erasures(engine, session))
		return;
	do {
		if (session->mail_again && session->mail_next >= table->count) {
			session->mail_again = false;
			session->mail_next = 0;
		}
		while (session->mail_next < table->count) {
			if (!offer(engine, session, table->entries[session->mail_next]))
				return;
			session->mail_next++;
		}
	} while (session->mail_again);
}

void custody_offer(struct engine *engine, struct mail_entry *entry)
{
	look_up(engine);
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		if (s->state == SESSION_ACTIVE && !offer(engine, s, entry))
			s->mail_again = true;
}

void custody_pump_all(struct engine *engine)
{
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		custody_pump(engine, s);
}

/* Sessions that were passed over for a better one, or for one that has failed, may be its way. */
static void look_again(struct engine *engine)
{
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		s->mail_again = true;
	custody_pump_all(engine);
}

void custody_read(struct engine *engine, const struct event *event)
{
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		for (unsigned i = 0; i < s->flight_count; i++) {
			struct mail_flight *flight = &s->flights[i];
			Sauti__Frame frame = SAUTI__FRAME__INIT;
			Sauti__Mail *mail;

			if (flight->ticket != event->ticket)
				continue;
			flight->ticket = 0;
			flight->since_ms = engine->now_ms;
			arena_clear(&engine->arena);
			if (event->error != OK ||
				CODEC_UNPACK(mail, event->entry, &scan_limits_strict,
					&engine->arena, &mail, NULL) != OK) {
				/* It has ended meanwhile, or the disk says no. */
				leave_alone(engine, s, &flight->item);
				flight_remove(engine, s, flight);
				return;
			}
			frame.body_case = SAUTI__FRAME__BODY_MAIL;
			frame.mail = mail;
			effect_send_class(
				engine, s, &frame, class_of(mail_find(engine, &flight->item)));
			return;
		}
}

/* ---- what peers bring ---- */

/* An item that is here already. */
static void duplicate(struct engine *engine, struct session *session, struct mail_entry *entry)
{
	struct mail_hand *hand = hand_get(entry, session->peer);

	/* It has the item: handing it back would be of no use. */
	if (!hand->holds && !hand->told) {
		hand->holds = true;
		hand->until_s = UINT64_MAX;
		mail_save(engine, entry);
	}
	/* Who has said that it knows and comes with the item again is told, and no more. */
	if (entry->state == MAIL_ENDED && hand->told)
		send_end(engine, session, entry);
	else if (entry->state == MAIL_ENDED)
		session->mail_again |= !offer(engine, session, entry);
	else if (entry->state == MAIL_NEW)
		ask(entry, session);
	else
		send_hop(engine, session, &entry->item, SAUTI__MAIL_ACK__BODY_CUSTODY, 0);
}

void custody_mail(struct engine *engine, struct session *session, const Sauti__Mail *mail)
{
	struct mail_item item;
	struct mail_entry *entry;
	struct errctx ctx = {""};
	enum err err = mail_read(codec_bytes(mail->body), codec_bytes(mail->signature),
		engine->network, &engine->arena, &item, &ctx);

	if (err != OK) {
		session_close(engine, session, NOTICE_WARNING, "%.150s", err_message(&ctx, err));
		return;
	}
	entry = mail_find(engine, &item.item);
	/* What this node wrote and does not hold any more it has withdrawn or lost: who kept a copy
	 * may bring it to its recipient. */
	if (is_self(engine, item.sender) && (entry == NULL || entry->withdrawing)) {
		send_hop(engine, session, &item.item, SAUTI__MAIL_ACK__BODY_REFUSED, REFUSED_OWN);
		return;
	}
	if (entry != NULL) {
		duplicate(engine, session, entry);
		return;
	}
	err = mail_check_at(engine->directory, &item, engine->wall_s, &ctx);
	if (err == OK) {
		mail_accept(engine, session, &item, 0);
		return;
	}
	/* A signature that does not verify may be by a key that we do not know yet, or no more. */
	effect_notice(engine,
		err == ERR_DENIED || err == ERR_UNTRUSTED ? NOTICE_INFO : NOTICE_WARNING,
		"mail from '%s' refused: %.150s", session->peer, err_message(&ctx, err));
	send_hop(engine, session, &item.item, SAUTI__MAIL_ACK__BODY_REFUSED,
		err == ERR_DENIED ? REFUSED_MEMBER : REFUSED_UNREADABLE);
}

static void hear_custody(struct engine *engine, struct session *session, const struct hash *item)
{
	struct mail_flight *flight = flight_find(session, item, false);
	struct mail_entry *entry = mail_find(engine, item);

	if (flight == NULL || flight->ticket != 0)
		return; /* nobody asked */
	flight_remove(engine, session, flight);
	if (entry != NULL && entry->state == MAIL_HELD) {
		struct mail_hand *hand = hand_get(entry, session->peer);

		hand->holds = true;
		hand->since_s = engine->wall_s;
		hand->until_s = engine->wall_s + pause_s(engine);
		mail_save(engine, entry);
		custody_offer(engine, entry); /* to its recipient, should it have come meanwhile */
	}
	custody_pump(engine, session);
}

static void hear_refused(
	struct engine *engine, struct session *session, const struct hash *item, uint32_t code)
{
	struct mail_flight *flight = flight_find(session, item, false);

	if (flight == NULL || flight->ticket != 0)
		return;
	flight_remove(engine, session, flight);
	leave_alone(engine, session, item);
	if (!session->mail_refused)
		effect_notice(engine, NOTICE_WARNING, "'%s' does not take mail: %s", session->peer,
			code == REFUSED_FULL     ? "it has no room"
			: code == REFUSED_MEMBER ? "sender or recipient is no member"
			: code == REFUSED_OWN    ? "it wrote it itself"
						 : "it cannot read it");
	session->mail_refused = true;
	look_again(engine);
}

static void hear_known(struct engine *engine, struct session *session, const struct hash *item)
{
	struct mail_flight *flight = flight_find(session, item, true);
	struct mail_entry *entry = mail_find(engine, item);

	if (flight == NULL)
		return;
	flight_remove(engine, session, flight);
	if (entry != NULL && entry->state == MAIL_ENDED) {
		struct mail_hand *hand = hand_get(entry, session->peer);

		hand->told = true;
		mail_save(engine, entry);
	}
	custody_pump(engine, session);
}

static void hear_end(struct engine *engine, struct session *session, const Sauti__MailEnd *message)
{
	CLEANUP(buf_release) struct buf packed = {0};
	struct mail_entry *entry;
	struct mail_flight *flight;
	struct mail_end end;
	struct errctx ctx = {""};
	enum err err = mail_end_read(codec_bytes(message->body), codec_bytes(message->signature),
		engine->network, engine->directory, &engine->arena, &end, &ctx);

	if (err != OK) {
		/* Whom our directory does not list (yet), or with which key, the peer's may. */
		effect_notice(engine,
			err == ERR_NOTFOUND    ? NOTICE_DEBUG
			: err == ERR_UNTRUSTED ? NOTICE_INFO
					       : NOTICE_WARNING,
			"'%s' says what is not so: %.150s", session->peer, err_message(&ctx, err));
		return;
	}
	flight = flight_find(session, &end.item, false);
	if (flight != NULL && flight->ticket == 0)
		flight_remove(engine, session, flight);
	entry = mail_find(engine, &end.item);
	if (entry != NULL && entry->withdrawing)
		return; /* it will be asked again, and then not be known */
	/* The item is one of its recipient's: another's signature ends nothing. */
	if (entry != NULL && (strcmp(entry->recipient, end.recipient) != 0 ||
				     strcmp(entry->sender, end.sender) != 0))
		return;
	if (entry == NULL || entry->state == MAIL_ENDED) {
		send_hop(engine, session, &end.item, SAUTI__MAIL_ACK__BODY_KNOWN, 0);
		return;
	}
	hand_get(entry, session->peer)->told = true;
	ask(entry, session);
	buf_init(&packed, 2048);
	codec_pack(&packed, message);
	mail_end(engine, entry, buf_bytes(&packed), BYTES_NONE);
}

void custody_ack(struct engine *engine, struct session *session, const Sauti__MailAck *ack)
{
	const Sauti__MailHop *hop = ack->custody;
	struct hash item;

	switch (ack->body_case) {
	case SAUTI__MAIL_ACK__BODY_CUSTODY:
	case SAUTI__MAIL_ACK__BODY_REFUSED:
	case SAUTI__MAIL_ACK__BODY_KNOWN:
		break;
	case SAUTI__MAIL_ACK__BODY_END:
		hear_end(engine, session, ack->end);
		return;
	default: /* of a later protocol */
		return;
	}
	if (hop->item.len != HASH_SIZE) {
		session_close(engine, session, NOTICE_WARNING, "an answer about no mail item");
		return;
	}
	memcpy(item.b, hop->item.data, HASH_SIZE);
	if (ack->body_case == SAUTI__MAIL_ACK__BODY_CUSTODY)
		hear_custody(engine, session, &item);
	else if (ack->body_case == SAUTI__MAIL_ACK__BODY_REFUSED)
		hear_refused(engine, session, &item, hop->code);
	else
		hear_known(engine, session, &item);
}
