/*
 * Mail that this node holds: its own until the end came back, others' until then too, and what it
 * was sent until it is processed. What is in memory is the state of each item; bodies are in the
 * store alone.
 *
 * An ended item keeps its state as long as it is useful: it answers whoever still hands the item
 * over, and keeps it from being processed twice. Once there are more than LIMIT_MAIL_ENDS the
 * oldest go. None goes for its age: a clock that jumps by years must not make anything be processed
 * again.
 */
#include <stdio.h>

#include "proto/mail.pb-c.h"
#include "proto/stored.pb-c.h"
#include "replication/engine/internal.h"

enum {
	DELIVERING_MAX = 16, /* items the runtime has at a time */
	STATE_SIZE = 4096,
};

struct mail_write *mail_write_new(const struct hash *item)
{
	struct mail_write *write = mem_zalloc(sizeof(*write));

	if (write == NULL)
		return NULL;
	write->item = *item;
	buf_init(&write->body, LIMIT_MAIL_ITEM);
	buf_init(&write->state, STATE_SIZE);
	buf_init(&write->inbox, LIMIT_MAIL_ITEM);
	return write;
}

void mail_write_free(struct mail_write *write)
{
	if (write == NULL)
		return;
	buf_release(&write->body);
	buf_release(&write->state);
	buf_release(&write->inbox);
	mem_free(write);
}

/* ---- the table ---- */

static size_t slot_of(const struct mail_table *table, const struct hash *item)
{
	size_t slot = (size_t)get_u64be(item->b) & (table->index_size - 1);

	while (table->index[slot] != 0 &&
		!hash_equal(&table->entries[table->index[slot] - 1]->item, item))
		slot = (slot + 1) & (table->index_size - 1);
	return slot;
}

struct mail_entry *mail_find(const struct engine *engine, const struct hash *item)
{
	const struct mail_table *table = &engine->mail;

	if (table->index_size == 0)
		return NULL;
	size_t at = table->index[slot_of(table, item)];

	return at == 0 ? NULL : table->entries[at - 1];
}

static bool reindex(struct mail_table *table, size_t size)
{
	size_t *index = mem_array(size, sizeof(*index));

	if (index == NULL)
		return false;
	memset(index, 0, size * sizeof(*index));
	mem_free(table->index);
	table->index = index;
	table->index_size = size;
	for (size_t i = 0; i < table->count; i++)
		table->index[slot_of(table, &table->entries[i]->item)] = i + 1;
	return true;
}

static struct mail_pair *pair_find(struct mail_table *table, const struct mail_entry *entry)
{
	for (size_t i = 0; i < table->pair_count; i++)
		if (strcmp(table->pairs[i].recipient, entry->recipient) == 0 &&
			strcmp(table->pairs[i].sender, entry->sender) == 0)
			return &table->pairs[i];
	return NULL;
}

static bool pair_count(struct mail_table *table, const struct mail_entry *entry)
{
	struct mail_pair *pair = pair_find(table, entry);

	if (pair == NULL && table->pair_count == table->pair_capacity) {
		size_t capacity = table->pair_capacity == 0 ? 16 : 2 * table->pair_capacity;
		struct mail_pair *pairs = mem_resize(table->pairs, capacity * sizeof(*pairs));

		if (pairs == NULL)
			return false;
		table->pairs = pairs;
		table->pair_capacity = capacity;
	}
	if (pair == NULL) {
		pair = &table->pairs[table->pair_count++];
		*pair = (struct mail_pair){.held = 0};
		memcpy(pair->sender, entry->sender, sizeof(pair->sender));
		memcpy(pair->recipient, entry->recipient, sizeof(pair->recipient));
	}
	pair->held++;
	pair->bytes += entry->size;
	return true;
}

/* What it counts as while its body is kept. */
static bool count_held(struct mail_table *table, const struct mail_entry *entry)
{
	if (!pair_count(table, entry))
		return false;
	table->held++;
	table->bytes += entry->size;
	table->erasures += entry->class == MAIL_ERASURE;
	return true;
}

static void uncount_held(struct mail_table *table, const struct mail_entry *entry)
{
	struct mail_pair *pair = pair_find(table, entry);

	table->held--;
	table->bytes -= entry->size;
	table->erasures -= entry->class == MAIL_ERASURE;
	pair->bytes -= entry->size;
	if (--pair->held == 0)
		*pair = table->pairs[--table->pair_count];
}

/* Takes the entry; NULL: out of memory, and it is gone. */
static struct mail_entry *table_add(struct engine *engine, struct mail_entry *entry)
{
	struct mail_table *table = &engine->mail;

	if (table->count == table->capacity) {
		size_t capacity = table->capacity == 0 ? 64 : 2 * table->capacity;
		struct mail_entry **entries =
			mem_resize(table->entries, capacity * sizeof(struct mail_entry *));

		if (entries == NULL)
			goto failed;
		table->entries = entries;
		table->capacity = capacity;
	}
	if (2 * (table->count + 1) > table->index_size &&
		!reindex(table, table->index_size == 0 ? 256 : 2 * table->index_size))
		goto failed;
	if (entry->state == MAIL_ENDED)
		table->ended++;
	else if (!count_held(table, entry))
		goto failed;
	table->quiet = false;
	entry->position = table->count;
	table->index[slot_of(table, &entry->item)] = table->count + 1;
	table->entries[table->count++] = entry;
	return entry;
failed:
	engine->nomem = true;
	buf_release(&entry->end);
	mem_free(entry);
	return NULL;
}

/* Open addressing: what stands behind the hole may have been pushed there by it. */
static void index_remove(struct mail_table *table, const struct hash *item)
{
	size_t mask = table->index_size - 1, slot = slot_of(table, item);

	table->index[slot] = 0;
	for (slot = (slot + 1) & mask; table->index[slot] != 0; slot = (slot + 1) & mask) {
		size_t at = table->index[slot];

		table->index[slot] = 0;
		table->index[slot_of(table, &table->entries[at - 1]->item)] = at;
	}
}

static void table_remove(struct engine *engine, struct mail_entry *entry)
{
	struct mail_table *table = &engine->mail;
	struct mail_entry *last = table->entries[table->count - 1];

	if (entry->state == MAIL_ENDED)
		table->ended--;
	else
		uncount_held(table, entry);
	if (entry->delivering)
		table->delivering--;
	index_remove(table, &entry->item);
	if (last != entry) {
		table->index[slot_of(table, &last->item)] = entry->position + 1;
		table->entries[entry->position] = last;
		last->position = entry->position;
	}
	table->count--;
	/* Who has looked at all of the table has not looked at what stands there now. */
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		s->mail_again = true;
	buf_release(&entry->end);
	mem_free(entry);
}

void mail_release(struct engine *engine)
{
	struct mail_table *table = &engine->mail;

	for (size_t i = 0; i < table->count; i++) {
		buf_release(&table->entries[i]->end);
		mem_free(table->entries[i]);
	}
	mem_free(table->entries);
	mem_free(table->index);
	mem_free(table->pairs);
	mem_free(table->by_node);
	*table = (struct mail_table){.count = 0};
}

/* ---- what is known of peers ---- */

struct mail_hand *hand_find(struct mail_entry *entry, const char *peer)
{
	for (unsigned i = 0; i < entry->hand_count; i++)
		if (strcmp(entry->hands[i].peer, peer) == 0)
			return &entry->hands[i];
	return NULL;
}

/* When all places are taken, the one goes that may be handed it soonest: what is lost by that is
 * one more transmission. */
struct mail_hand *hand_get(struct mail_entry *entry, const char *peer)
{
	struct mail_hand *hand = hand_find(entry, peer);

	if (hand != NULL)
		return hand;
	if (entry->hand_count < MAIL_HANDS) {
		hand = &entry->hands[entry->hand_count++];
	} else {
		hand = &entry->hands[0];
		for (unsigned i = 1; i < MAIL_HANDS; i++)
			if (entry->hands[i].until_s < hand->until_s)
				hand = &entry->hands[i];
	}
	*hand = (struct mail_hand){.until_s = 0};
	snprintf(hand->peer, sizeof(hand->peer), "%s", peer);
	return hand;
}

/* ---- state, packed ---- */

static void state_pack(const struct mail_entry *entry, bool ended, struct buf *out)
{
	Sauti__MailState state = SAUTI__MAIL_STATE__INIT;
	Sauti__MailHand hands[MAIL_HANDS], *list[MAIL_HANDS];

	for (unsigned i = 0; i < entry->hand_count; i++) {
		const struct mail_hand *hand = &entry->hands[i];

		sauti__mail_hand__init(&hands[i]);
		hands[i].peer = (char *)hand->peer;
		hands[i].until = hand->until_s;
		hands[i].since = hand->since_s;
		hands[i].holds = hand->holds;
		hands[i].told = hand->told;
		list[i] = &hands[i];
	}
	state.item = codec_binary(hash_bytes(&entry->item));
	state.id = codec_binary(BYTES_ARRAY(entry->id));
	state.sender = (char *)entry->sender;
	state.recipient = (char *)entry->recipient;
	state.mail_class = entry->class;
	state.made_at = entry->made_at;
	state.prekey = entry->prekey;
	state.size = (uint32_t)entry->size;
	state.accepted_at = entry->accepted_s;
	state.hands = list;
	state.n_hands = entry->hand_count;
	if (ended)
		state.end = codec_binary(buf_bytes(&entry->end));
	codec_pack(out, &state);
}

static void end_outcome(struct engine *engine, struct mail_entry *entry)
{
	Sauti__MailEnd *end;
	Sauti__MailEndBody *body;

	if (CODEC_UNPACK(mail_end, buf_bytes(&entry->end), &scan_limits_default, &engine->arena,
		    &end, NULL) != OK ||
		CODEC_UNPACK(mail_end_body, codec_bytes(end->body), &scan_limits_default,
			&engine->arena, &body, NULL) != OK)
		return;
	entry->outcome = body->outcome;
	entry->ended_at = body->at;
}

static void hands_unpack(const Sauti__MailState *state, struct mail_entry *entry)
{
	for (size_t i = 0; i < state->n_hands && i < MAIL_HANDS; i++) {
		const Sauti__MailHand *from = state->hands[i];
		struct mail_hand *hand = &entry->hands[entry->hand_count];

		if (!node_name_valid(bytes_str(from->peer)))
			continue;
		*hand = (struct mail_hand){.until_s = from->until,
			.since_s = from->since,
			.holds = from->holds,
			.told = from->told};
		snprintf(hand->peer, sizeof(hand->peer), "%s", from->peer);
		entry->hand_count++;
	}
}

static struct mail_entry *entry_new(struct engine *engine)
{
	struct mail_entry *entry = mem_zalloc(sizeof(*entry));

	if (entry == NULL)
		engine->nomem = true;
	else
		buf_init(&entry->end, STATE_SIZE / 2);
	return entry;
}

static bool state_ok(const Sauti__MailState *state)
{
	return state->item.len == HASH_SIZE && state->id.len == MAIL_ID_SIZE &&
	       node_name_valid(bytes_str(state->sender)) &&
	       node_name_valid(bytes_str(state->recipient)) && state->size <= LIMIT_MAIL_ITEM;
}

void mail_loaded(struct engine *engine, struct bytes bytes)
{
	struct mail_entry *entry;
	Sauti__MailState *state;

	arena_clear(&engine->arena);
	enum err err =
		CODEC_UNPACK(mail_state, bytes, &scan_limits_default, &engine->arena, &state, NULL);

	if (err != OK || !state_ok(state)) {
		effect_notice(engine, NOTICE_ALARM, "an item of the mail store is not readable");
		return;
	}
	entry = entry_new(engine);
	if (entry == NULL)
		return;
	memcpy(entry->item.b, state->item.data, HASH_SIZE);
	memcpy(entry->id, state->id.data, MAIL_ID_SIZE);
	snprintf(entry->sender, sizeof(entry->sender), "%s", state->sender);
	snprintf(entry->recipient, sizeof(entry->recipient), "%s", state->recipient);
	entry->class = state->mail_class == MAIL_ERASURE ? MAIL_ERASURE : MAIL_ORDINARY;
	entry->made_at = state->made_at;
	entry->prekey = state->prekey;
	entry->size = state->size;
	entry->accepted_s = state->accepted_at;
	entry->state = state->end.len == 0 ? MAIL_HELD : MAIL_ENDED;
	hands_unpack(state, entry);
	buf_put(&entry->end, codec_bytes(state->end));
	if (entry->state == MAIL_ENDED)
		end_outcome(engine, entry);
	table_add(engine, entry);
}

/* ---- writing ---- */

static struct mail_write *write_start(struct engine *engine, struct mail_entry *entry)
{
	struct mail_write *write = mail_write_new(&entry->item);
	struct effect *effect = write == NULL ? NULL : effect_add(engine, EFFECT_MAIL_WRITE);

	if (effect == NULL) {
		engine->nomem = true;
		mail_write_free(write);
		return NULL;
	}
	effect->mail = write;
	entry->writing++;
	engine->mail.quiet = false;
	return write;
}

void mail_save(struct engine *engine, struct mail_entry *entry)
{
	struct mail_write *write;

	entry->dirty = true;
	if (entry->writing > 0 || entry->state == MAIL_NEW || entry->state == MAIL_ENDING)
		return;
	write = write_start(engine, entry);
	if (write == NULL)
		return;
	state_pack(entry, entry->state == MAIL_ENDED, &write->state);
	entry->dirty = false;
}

static void write_end(struct engine *engine, struct mail_entry *entry, struct bytes inbox)
{
	struct mail_write *write = write_start(engine, entry);

	if (write == NULL)
		return;
	write->drop = true;
	write->erasure = entry->class == MAIL_ERASURE;
	buf_put(&write->inbox, inbox);
	state_pack(entry, true, &write->state);
	entry->dirty = false;
}

void mail_end(struct engine *engine, struct mail_entry *entry, struct bytes end, struct bytes inbox)
{
	if (entry->state != MAIL_HELD)
		return;
	buf_clear(&entry->end);
	buf_put(&entry->end, end);
	if (entry->end.err != OK)
		return;
	entry->state = MAIL_ENDING;
	end_outcome(engine, entry);
	write_end(engine, entry, inbox);
}

static void forget(struct engine *engine, struct mail_entry *entry)
{
	struct mail_write *write = write_start(engine, entry);

	if (write == NULL)
		return;
	write->forget = write->drop = true;
	write->erasure = entry->class == MAIL_ERASURE;
	table_remove(engine, entry);
}

/* ---- taking an item on ---- */

static bool is_self(const struct engine *engine, const char *name)
{
	return strcmp(name, engine->node) == 0;
}

static size_t held_for(const struct mail_table *table, const char *recipient)
{
	size_t held = 0;

	for (size_t i = 0; i < table->pair_count; i++)
		if (strcmp(table->pairs[i].recipient, recipient) == 0)
			held += table->pairs[i].held;
	return held;
}

static uint64_t allowed(uint64_t limit, enum mail_class class)
{
	return class == MAIL_ERASURE ? limit : limit - limit / LIMIT_MAIL_RESERVE;
}

static bool is_carried(const struct engine *engine, const char *sender, const char *recipient)
{
	return !is_self(engine, sender) && !is_self(engine, recipient);
}

/* What is on its way between others leaves room for one's own, and of that no sender has more than
 * a part: whoever writes to everybody keeps nobody else's mail out. */
static bool carries(const struct engine *engine, const struct mail_entry *entry)
{
	const struct mail_table *table = &engine->mail;
	uint64_t held = 0, bytes = entry->size, of_sender = 0, bytes_of_sender = entry->size;

	for (size_t i = 0; i < table->pair_count; i++) {
		const struct mail_pair *pair = &table->pairs[i];

		if (!is_carried(engine, pair->sender, pair->recipient))
			continue;
		held += pair->held;
		bytes += pair->bytes;
		if (strcmp(pair->sender, entry->sender) != 0)
			continue;
		of_sender += pair->held;
		bytes_of_sender += pair->bytes;
	}
	return of_sender < LIMIT_MAIL_SENDER && bytes_of_sender <= LIMIT_MAIL_SENDER_BYTES &&
	       held < allowed(LIMIT_MAIL_CARRIED, entry->class) &&
	       bytes <= allowed(LIMIT_MAIL_CARRIED_BYTES, entry->class);
}

static bool fits(struct engine *engine, const struct mail_entry *entry)
{
	struct mail_table *table = &engine->mail;
	const struct mail_pair *pair = pair_find(table, entry);
	enum mail_class class = entry->class;

	return (!is_carried(engine, entry->sender, entry->recipient) || carries(engine, entry)) &&
	       (pair == NULL ? 0 : pair->held) < allowed(LIMIT_MAIL_PAIR, class) &&
	       held_for(table, entry->recipient) < allowed(LIMIT_MAIL_RECIPIENT, class) &&
	       table->held < allowed(LIMIT_MAIL_HELD, class) &&
	       table->bytes + entry->size <= allowed(LIMIT_MAIL_BYTES, class);
}

static struct mail_entry *entry_of(struct engine *engine, const struct mail_item *item, size_t size)
{
	struct mail_entry *entry = entry_new(engine);

	if (entry == NULL)
		return NULL;
	entry->item = item->item;
	memcpy(entry->id, item->id, MAIL_ID_SIZE);
	memcpy(entry->sender, item->sender, sizeof(entry->sender));
	memcpy(entry->recipient, item->recipient, sizeof(entry->recipient));
	entry->class = item->class;
	entry->made_at = item->made_at;
	entry->prekey = item->prekey;
	entry->accepted_s = engine->wall_s;
	entry->size = size;
	return entry;
}

static void submitted(struct engine *engine, uint64_t ticket, enum err error)
{
	struct effect *effect = ticket == 0 ? NULL : effect_add(engine, EFFECT_MAIL_SUBMITTED);

	if (effect == NULL)
		return;
	effect->ticket = ticket;
	effect->error = error;
}

static void refuse(
	struct engine *engine, struct session *session, const struct hash *item, uint64_t ticket)
{
	Sauti__MailHop hop = SAUTI__MAIL_HOP__INIT;
	Sauti__MailAck ack = SAUTI__MAIL_ACK__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	engine->mail.refused++;
	submitted(engine, ticket, ERR_LIMIT);
	if (session == NULL)
		return;
	hop.item = codec_binary(hash_bytes(item));
	hop.code = 1;
	ack.body_case = SAUTI__MAIL_ACK__BODY_REFUSED;
	ack.refused = &hop;
	frame.body_case = SAUTI__FRAME__BODY_MAIL_ACK;
	frame.mail_ack = &ack;
	effect_send(engine, session, &frame);
}

static void pack_mail(const struct mail_item *item, struct buf *out)
{
	Sauti__Mail mail = SAUTI__MAIL__INIT;

	mail.body = codec_binary(item->body);
	mail.signature = codec_binary(item->signature);
	codec_pack(out, &mail);
}

void mail_accept(struct engine *engine, struct session *session, const struct mail_item *item,
	uint64_t ticket)
{
	CLEANUP(buf_release) struct buf packed;
	struct mail_entry *entry;
	struct mail_write *write;

	buf_init(&packed, LIMIT_MAIL_ITEM);
	pack_mail(item, &packed);
	if (packed.err != OK) {
		refuse(engine, session, &item->item, ticket);
		return;
	}
	entry = entry_of(engine, item, packed.size);
	if (entry == NULL)
		return;
	if (!fits(engine, entry)) {
		if (session == NULL || !session->mail_refused)
			effect_notice(engine, NOTICE_WARNING,
				"no room for more mail of '%s' for '%s': refused", entry->sender,
				entry->recipient);
		if (session != NULL)
			session->mail_refused = true;
		buf_release(&entry->end);
		mem_free(entry);
		refuse(engine, session, &item->item, ticket);
		return;
	}
	entry->ticket = ticket;
	if (session != NULL) {
		struct mail_hand *hand = hand_get(entry, session->peer);

		hand->until_s = UINT64_MAX; /* never back to whom it came from */
		hand->holds = true;
		entry->askers[entry->asker_count++] = session->id;
	}
	entry = table_add(engine, entry);
	write = entry == NULL ? NULL : write_start(engine, entry);
	if (write == NULL)
		return;
	buf_put(&write->body, buf_bytes(&packed));
	state_pack(entry, false, &write->state);
}

void mail_submit(struct engine *engine, const struct event *event)
{
	struct mail_item item;

	arena_clear(&engine->arena);
	enum err err = mail_unpack(event->entry, engine->network, &engine->arena, &item, NULL);

	if (err == OK)
		err = mail_check_at(engine->directory, &item, engine->wall_s, NULL);
	if (err == OK && !is_self(engine, item.sender))
		err = ERR_INVALID;
	if (err == OK && mail_find(engine, &item.item) != NULL)
		err = ERR_EXISTS;
	if (err == OK)
		mail_accept(engine, NULL, &item, event->ticket);
	else
		submitted(engine, event->ticket, err);
}

/* ---- withdrawing ---- */

static void withdrawn(struct engine *engine, uint64_t ticket, enum err error)
{
	struct effect *effect = ticket == 0 ? NULL : effect_add(engine, EFFECT_MAIL_WITHDRAWN);

	if (effect == NULL)
		return;
	effect->ticket = ticket;
	effect->error = error;
}

/* Nobody is handed it from here on, and no end is taken, until it is gone. */
static void withdraw_start(struct engine *engine, struct mail_entry *entry)
{
	struct mail_write *write = write_start(engine, entry);

	if (write == NULL)
		return;
	custody_withdrawn(engine, entry);
	entry->state = MAIL_ENDING;
	entry->dirty = false;
	write->forget = write->drop = write->erasure = true;
}

static void stored_withdrawn(struct engine *engine, struct mail_entry *entry, enum err result)
{
	withdrawn(engine, entry->withdraw_ticket, result);
	if (result == OK) {
		table_remove(engine, entry);
		return;
	}
	entry->withdrawing = false;
	entry->withdraw_ticket = 0;
	entry->state = MAIL_HELD;
	custody_offer(engine, entry);
}

void mail_withdraw_item(struct engine *engine, const struct event *event)
{
	struct mail_entry *entry = mail_find(engine, &event->item);

	if (entry == NULL || !is_self(engine, entry->sender) || entry->withdrawing ||
		(entry->state != MAIL_NEW && entry->state != MAIL_HELD)) {
		withdrawn(engine, event->ticket, ERR_NOTFOUND);
		return;
	}
	entry->withdrawing = true;
	entry->withdraw_ticket = event->ticket;
	if (entry->state == MAIL_HELD)
		withdraw_start(engine, entry);
}

/* ---- what came back from the disk ---- */

static void stored_new(struct engine *engine, struct mail_entry *entry, enum err result)
{
	submitted(engine, entry->ticket, result);
	entry->ticket = 0;
	if (result == OK)
		entry->state = MAIL_HELD;
	custody_settled(engine, entry, result);
	if (result != OK) {
		withdrawn(engine, entry->withdraw_ticket, ERR_NOTFOUND); /* it never was */
		table_remove(engine, entry);
		return;
	}
	if (entry->withdrawing)
		withdraw_start(engine, entry);
	else if (is_self(engine, entry->recipient))
		mail_deliver(engine);
	else
		custody_offer(engine, entry);
}

static void stored_end(struct engine *engine, struct mail_entry *entry, enum err result)
{
	struct mail_table *table = &engine->mail;

	if (entry->delivering)
		table->delivering--;
	entry->delivering = false;
	entry->put_off = result != OK;
	if (result == OK) {
		uncount_held(table, entry);
		table->ended++;
		entry->state = MAIL_ENDED;
		entry->accepted_s = engine->wall_s;
	} else {
		buf_clear(&entry->end);
		entry->state = MAIL_HELD;
	}
	custody_settled(engine, entry, result);
	custody_offer(engine, entry);
	mail_deliver(engine);
}

void mail_stored(struct engine *engine, struct mail_write *write)
{
	struct mail_entry *entry = mail_find(engine, &write->item);

	/* Not what is forgotten: it may have come again meanwhile, and that write comes later. What
	 * is withdrawn stays until it is gone. */
	if (entry != NULL && write->forget && entry->withdrawing) {
		entry->writing--;
		stored_withdrawn(engine, entry, write->result);
	} else if (entry != NULL && !write->forget) {
		entry->writing--;
		if (entry->state == MAIL_NEW)
			stored_new(engine, entry, write->result);
		else if (entry->state == MAIL_ENDING && write->drop)
			stored_end(engine, entry, write->result);
		else if (write->result != OK)
			entry->dirty = true; /* until the next sweep */
		else if (entry->dirty)
			mail_save(engine, entry);
	}
	mail_write_free(write);
}

/* ---- for this node ---- */

static bool deliverable(const struct engine *engine, const struct mail_entry *entry)
{
	const struct member *sender;

	if (entry->state != MAIL_HELD || entry->delivering || entry->put_off ||
		!is_self(engine, entry->recipient))
		return false;
	/* Open mail is taken also while the node is locked; it is acknowledged later. */
	if (!engine->mail.open && entry->prekey != 0)
		return false;
	sender = directory_find(engine->directory, bytes_str(entry->sender));
	return sender != NULL && sender->active;
}

void mail_deliver(struct engine *engine)
{
	struct mail_table *table = &engine->mail;

	if (!engine->started)
		return;
	for (size_t i = 0; i < table->count && table->delivering < DELIVERING_MAX; i++) {
		struct mail_entry *entry = table->entries[(table->deliver_next + i) % table->count];
		struct effect *effect;

		if (!deliverable(engine, entry))
			continue;
		effect = effect_add(engine, EFFECT_MAIL_DELIVER);
		if (effect == NULL)
			return;
		effect->item = entry->item;
		entry->delivering = true;
		table->delivering++;
		table->deliver_next = entry->position + 1;
	}
}

void mail_done(struct engine *engine, const struct event *event)
{
	struct mail_entry *entry = mail_find(engine, &event->item);

	if (entry == NULL || !entry->delivering || entry->state != MAIL_HELD)
		return;
	if (event->error == OK)
		mail_end(engine, entry, event->entry, event->line);
	if (entry->state == MAIL_HELD) { /* not now */
		entry->delivering = false;
		entry->put_off = true;
		engine->mail.delivering--;
		mail_deliver(engine);
	}
}

static void again(struct engine *engine)
{
	for (size_t i = 0; i < engine->mail.count; i++)
		engine->mail.entries[i]->put_off = false;
	mail_deliver(engine);
}

void mail_opened(struct engine *engine)
{
	engine->mail.open = true;
	again(engine);
}

/* ---- time ---- */

void mail_start(struct engine *engine)
{
	engine->mail.started_ms = engine->mail.swept_ms = engine->now_ms;
	engine->mail.purge = true;
	mail_deliver(engine);
}

/* Everybody who may still have the item knows of its end. */
static bool all_told(const struct mail_entry *entry)
{
	for (unsigned i = 0; i < entry->hand_count; i++)
		if (entry->hands[i].holds && !entry->hands[i].told)
			return false;
	return true;
}

/* Of the ended, the oldest of which all know; failing that, the oldest. None that is being written:
 * should it come again before that is over, the answer would be taken for the new one's. */
static struct mail_entry *oldest_end(struct mail_table *table)
{
	struct mail_entry *oldest = NULL;
	bool told = false;

	for (size_t i = 0; i < table->count; i++) {
		struct mail_entry *entry = table->entries[i];

		if (entry->state != MAIL_ENDED || entry->writing > 0 || (told && !all_told(entry)))
			continue;
		if (oldest == NULL || (!told && all_told(entry)) ||
			entry->accepted_s < oldest->accepted_s)
			oldest = entry;
		told = told || all_told(entry);
	}
	return oldest;
}

static void forget_old(struct engine *engine)
{
	struct mail_entry *oldest;

	while (engine->mail.ended > LIMIT_MAIL_ENDS && (oldest = oldest_end(&engine->mail)) != NULL)
		forget(engine, oldest);
}

static bool is_revoked(const struct engine *engine, const char *name)
{
	return directory_revocation(engine->directory, bytes_str(name)) != NULL;
}

/* It would be delivered to nobody, ever, and keep its place. */
static void forget_revoked(struct engine *engine)
{
	struct mail_table *table = &engine->mail;

	table->purge = false;
	for (size_t i = table->count; i > 0; i--) {
		struct mail_entry *entry = table->entries[i - 1];

		if (entry->state == MAIL_ENDED ||
			!is_carried(engine, entry->sender, entry->recipient) ||
			(!is_revoked(engine, entry->sender) &&
				!is_revoked(engine, entry->recipient)))
			continue;
		if (entry->state != MAIL_HELD || entry->writing)
			table->purge = true;
		else
			forget(engine, entry);
	}
}

void mail_members_changed(struct engine *engine)
{
	engine->mail.purge = true;
	engine->mail.quiet = false;
}

static void sweep(struct engine *engine)
{
	struct mail_table *table = &engine->mail;

	table->swept_ms = engine->now_ms;
	forget_old(engine);
	if (table->purge)
		forget_revoked(engine);
	table->quiet = !table->purge;
	for (size_t i = 0; i < table->count; i++) {
		struct mail_entry *entry = table->entries[i];

		if (entry->dirty)
			mail_save(engine, entry);
		table->quiet &= entry->state == MAIL_ENDED && !entry->dirty &&
				entry->writing == 0 && all_told(entry);
	}
	for (struct session *s = engine->sessions; s != NULL; s = s->next) {
		custody_expire(engine, s);
		s->mail_again = true;
	}
	custody_pump_all(engine);
	again(engine);
}

void mail_tick(struct engine *engine)
{
	if (engine->now_ms >= mail_deadline(engine))
		sweep(engine);
}

/* When all has ended and everybody knows, there is nothing to look after. */
uint64_t mail_deadline(const struct engine *engine)
{
	if (!engine->started || engine->mail.count == 0 || engine->mail.quiet)
		return UINT64_MAX;
	return engine->mail.swept_ms + engine->opts.timing.mail_sweep;
}

/* ---- views ---- */

size_t engine_mail_count(const struct engine *engine)
{
	return engine->mail.count;
}

static void view(const struct mail_entry *entry, struct engine_mail *ret)
{
	*ret = (struct engine_mail){
		.item = entry->item,
		.class = entry->class,
		.open = entry->prekey == 0,
		.made_at = entry->made_at,
		.size = entry->size,
		.ended = entry->state == MAIL_ENDED,
		.outcome = entry->outcome,
		.ended_at = entry->ended_at,
		.end = buf_bytes(&entry->end),
		.held = entry->state == MAIL_HELD,
	};
	memcpy(ret->id, entry->id, sizeof(ret->id));
	memcpy(ret->sender, entry->sender, sizeof(ret->sender));
	memcpy(ret->recipient, entry->recipient, sizeof(ret->recipient));
	for (unsigned i = 0; i < entry->hand_count; i++) {
		const struct mail_hand *hand = &entry->hands[i];

		if (hand->since_s == 0 || hand->since_s < ret->custody_at)
			continue;
		memcpy(ret->custodian, hand->peer, sizeof(ret->custodian));
		ret->custody_at = hand->since_s;
	}
}

void engine_mail_at(const struct engine *engine, size_t position, struct engine_mail *ret)
{
	view(engine->mail.entries[position], ret);
}

bool engine_mail_with(const struct engine *engine, const struct hash *item, const char *peer)
{
	const struct mail_entry *entry = mail_find(engine, item);

	for (unsigned i = 0; entry != NULL && i < entry->hand_count; i++)
		if (strcmp(entry->hands[i].peer, peer) == 0)
			return entry->hands[i].holds;
	return false;
}

bool engine_mail_find(const struct engine *engine, const struct hash *item, struct engine_mail *ret)
{
	const struct mail_entry *entry = mail_find(engine, item);

	if (entry != NULL)
		view(entry, ret);
	return entry != NULL;
}

uint64_t engine_mail_refused(const struct engine *engine)
{
	return engine->mail.refused;
}
