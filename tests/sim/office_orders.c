/*
 * Keys that are to be destroyed: an office's own orders, and what it does with those of others.
 */
#include <assert.h>
#include <stdlib.h>

#include "certs/mail_erase.h"
#include "tests/sim/office.h"

static int kid_compare(const void *a, const void *b)
{
	return memcmp(a, b, SEAL_KID_SIZE);
}

static void bury(struct office *o, const char *author, const uint8_t *kid)
{
	struct seal_kid id;

	memcpy(id.b, kid, sizeof(id.b));
	if (!office_tomb(o, author, kid) && o->tomb_count < 1024)
		tombstone_row_name(author, &id, &o->tombs[o->tomb_count++]);
}

static void destroy(struct office *o, const char *author, const struct erasure *erasure)
{
	for (size_t i = 0; i < erasure->kid_count; i++) {
		struct office_key *key = office_find(o, author, erasure->kids[i]);

		bury(o, author, erasure->kids[i]);
		if (key != NULL)
			*key = o->keys[--o->key_count];
	}
}

/* ---- own ---- */

static bool gave_any(const struct given *given, const struct erasure *erasure)
{
	for (size_t i = 0; i < given->key_count; i++)
		if (erasure_has(erasure, given->keys[i].kid.b))
			return true;
	return false;
}

static void holder_add(struct erasure *erasure, const struct given *given)
{
	struct erasure_holder *holder = NULL;

	for (size_t i = 0; i < erasure->holder_count && holder == NULL; i++)
		if (strcmp(erasure->holders[i].node, given->recipient) == 0)
			holder = &erasure->holders[i];
	if (holder == NULL) {
		holder = &erasure->holders[erasure->holder_count++];
		*holder = (struct erasure_holder){.asked_at = 0};
		strcpy(holder->node, given->recipient);
	}
	holder->node_key = given->node_key;
	enum err err = erasure_prekeys_add(&holder->prekeys, given->prekeys[0]);

	assert(err == OK);
}

/* only: the one to whom the keys were given; NULL: whoever has them. */
static void add(struct hacked *h, struct office *o, const struct seal_kid *kids, size_t count,
	const char *only)
{
	struct erasure *erasure = &o->erasures[o->erasure_count];
	enum err err = erasure_init(erasure, count, 0, HACKED_NODES);

	assert(err == OK);
	o->erasure_count++;
	erasure->holder_count = 0;
	hacked_bytes(h, erasure->id.b, sizeof(erasure->id.b));
	erasure->ordered_at = h->now_s;
	erasure->scope = only == NULL ? ERASE_CASE : ERASE_KEYS;
	for (size_t i = 0; i < count; i++)
		memcpy(erasure->kids[i], kids[i].b, SEAL_KID_SIZE);
	qsort(erasure->kids, count, SEAL_KID_SIZE, kid_compare);
	for (size_t i = 0; i < o->given_count; i++)
		if ((only == NULL || strcmp(o->given[i].recipient, only) == 0) &&
			given_left(&o->given[i]) && gave_any(&o->given[i], erasure))
			holder_add(erasure, &o->given[i]);
	for (size_t t = 0; t < h->truth_count; t++) {
		if (!erasure_has(erasure, h->truths[t].kid.b))
			continue;
		h->truths[t].ordered[o->number] |= only == NULL;
		for (size_t i = 0; i < erasure->holder_count; i++)
			h->truths[t].ordered[hacked_number(h, erasure->holders[i].node)] = true;
	}
	if (only == NULL)
		destroy(o, o->name, erasure);
	erasure->destroyed_at = h->now_s;
	hacked_counts.orders++;
	hacked_say(h, "%s wants %zu keys destroyed at %zu nodes", o->name, count,
		erasure->holder_count);
}

/* All that it has of the case of that key. */
void office_erase(struct hacked *h, struct office *o, size_t truth)
{
	struct seal_kid kids[OFFICE_KEYS];
	size_t count = 0;

	for (size_t i = 0; i < o->key_count; i++)
		if (strcmp(o->keys[i].author, o->name) == 0 &&
			memcmp(&o->keys[i].ref, &h->truths[truth].ref, CASE_REF_SIZE) == 0)
			kids[count++] = o->keys[i].kid;
	if (count > 0 && o->erasure_count < 256)
		add(h, o, kids, count, NULL);
}

/* One grant is taken back. */
void office_withdraw(struct hacked *h, struct office *o)
{
	struct seal_kid kids[LIMIT_GRANT_KEYS];
	struct given *given;

	if (o->given_count == 0 || o->erasure_count >= 256)
		return;
	given = &o->given[hacked_random(h, o->given_count)];
	if (given->revoked_on[0] != '\0')
		return;
	strcpy(given->revoked_on, "2026-01-01");
	for (size_t i = 0; i < given->key_count; i++)
		kids[i] = given->keys[i].kid;
	add(h, o, kids, given->key_count, given->recipient);
}

static void ask(struct hacked *h, struct office *o, const struct erasure *erasure,
	const struct erasure_holder *holder)
{
	struct mail_erase_order order = {.at = h->now_s};
	struct buf out;

	memcpy(order.order_id, erasure->id.b, sizeof(order.order_id));
	memcpy(order.kids.kid, erasure->kids, erasure->kid_count * SEAL_KID_SIZE);
	order.kids.count = erasure->kid_count;
	memcpy(order.prekeys.number, holder->prekeys.number, sizeof(order.prekeys.number));
	order.prekeys.count = holder->prekeys.count;
	buf_init(&out, LIMIT_MAIL_CONTENT);
	enum err err = mail_erase_order_write(&out, &order);

	assert(err == OK);
	office_send(
		h, o->self, &(struct draft){MAIL_ERASE_ORDER, holder->node, buf_bytes(&out), NULL});
	buf_release(&out);
}

void office_ask(struct hacked *h, struct office *o)
{
	for (size_t i = 0; i < o->erasure_count; i++) {
		struct erasure *erasure = &o->erasures[i];

		for (size_t k = 0; erasure->sender[0] == '\0' && k < erasure->holder_count; k++) {
			struct erasure_holder *holder = &erasure->holders[k];

			if (erasure_holder_done(holder) ||
				(holder->asked_at != 0 &&
					holder->asked_at + HACKED_DAY_S > h->now_s))
				continue;
			holder->asked_at = h->now_s;
			ask(h, o, erasure, holder);
		}
	}
}

/* ---- of others ---- */

static struct erasure *find(
	struct office *o, const char *sender, const uint8_t id[MAIL_ORDER_ID_SIZE])
{
	for (size_t i = 0; i < o->erasure_count; i++)
		if (strcmp(o->erasures[i].sender, sender) == 0 &&
			memcmp(o->erasures[i].id.b, id, ORDER_ID_SIZE) == 0)
			return &o->erasures[i];
	return NULL;
}

static void keys_look(const struct hacked *h, struct office *o,
	const struct mail_erase_order *order, const char *sender, struct order_key *keys,
	struct erasure *erasure)
{
	for (size_t i = 0; i < order->kids.count; i++) {
		const struct office_key *key = office_find(o, NULL, order->kids.kid[i]);

		memcpy(erasure->kids[i], order->kids.kid[i], SEAL_KID_SIZE);
		keys[i] = (struct order_key){.here = key != NULL};
		if (key == NULL && !office_tomb(o, sender, order->kids.kid[i]))
			memcpy(erasure->never[erasure->never_count++], order->kids.kid[i],
				SEAL_KID_SIZE);
		if (key == NULL)
			continue;
		keys[i].author = key->author;
		for (size_t r = 0; r < o->received_count; r++)
			if (strcmp(o->received[r].sender, sender) == 0 &&
				received_has(&o->received[r], &key->kid)) {
				if (h->skip == SKIP_TWICE)
					keys[i].given_by = (struct hash){{0}};
				order_key_given(&keys[i], &o->received[r].node_key);
			}
	}
}

static void obey(struct hacked *h, struct office *o, const struct order_sender *sender,
	const struct mail_erase_order *order, struct erasure *erasure)
{
	memcpy(erasure->id.b, order->order_id, ORDER_ID_SIZE);
	strcpy(erasure->sender, sender->name);
	erasure->sender_key = sender->node_key;
	for (size_t i = 0; i < order->prekeys.count; i++) {
		enum err err = erasure_prekeys_add(&erasure->prekeys, order->prekeys.number[i]);

		assert(err == OK);
		if (order->prekeys.number[i] == o->prekey_count)
			office_prekey_new(h, o); /* what the newest opened is not to open again */
	}
	destroy(o, sender->name, erasure);
	erasure->destroyed_at = h->now_s;
	o->erasures[o->erasure_count++] = *erasure;
	hacked_counts.obeyed++;
	hacked_say(h, "%s obeys %s: %zu keys", o->name, sender->name, erasure->kid_count);
}

static void order_new(struct hacked *h, struct office *o, const struct order_sender *sender,
	const struct mail_erase_order *order)
{
	struct order_key keys[LIMIT_ERASE_KEYS];
	struct erasure erasure;
	enum order_verdict verdict;

	if (o->erasure_count == OFFICE_ERASURES)
		return;
	enum err err = erasure_init(&erasure, order->kids.count, 0, 0);

	assert(err == OK);
	keys_look(h, o, order, sender->name, keys, &erasure);
	verdict = h->skip == SKIP_ORDER ? ORDER_GOOD : order_judge(sender, keys, order->kids.count);
	if (verdict == ORDER_GOOD) {
		obey(h, o, sender, order, &erasure);
		return;
	}
	hacked_refuse(h, o, REFUSAL_ORDER + verdict);
	erasure_release(&erasure);
}

void office_order(
	struct hacked *h, struct office *o, const struct order_sender *sender, struct bytes body)
{
	struct mail_erase_order order;
	struct erasure *known;
	struct arena arena;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (mail_erase_order_read(body, &arena, &order, NULL) != OK) {
		hacked_refuse(h, o, REFUSAL_FORM);
	} else if ((known = find(o, sender->name, order.order_id)) != NULL) {
		enum order_verdict verdict = order_again(known, sender,
			bytes_make(order.kids.kid, order.kids.count * SEAL_KID_SIZE));

		if (verdict == ORDER_GOOD)
			known->told_at = 0;
		else
			hacked_refuse(h, o, REFUSAL_ORDER + verdict);
	} else {
		order_new(h, o, sender, &order);
	}
	arena_release(&arena);
}

/* ---- answers ---- */

static void tell(struct hacked *h, struct office *o, const struct erasure *erasure)
{
	struct mail_erase_receipt receipt = {.at = h->now_s};
	struct buf out;

	memcpy(receipt.order_id, erasure->id.b, sizeof(receipt.order_id));
	for (size_t i = 0; i < erasure->kid_count; i++) {
		bool never = false;

		for (size_t k = 0; k < erasure->never_count; k++)
			never |= memcmp(erasure->never[k], erasure->kids[i], SEAL_KID_SIZE) == 0;
		struct mail_kids *to = never ? &receipt.never : &receipt.destroyed;

		memcpy(to->kid[to->count++], erasure->kids[i], SEAL_KID_SIZE);
	}
	for (size_t i = 0; i < erasure->prekeys.count; i++) {
		uint64_t number = erasure->prekeys.number[i];
		bool gone = number > o->prekey_count || o->prekeys[number - 1].gone;
		struct mail_prekeys *to = gone ? &receipt.prekeys_gone : &receipt.prekeys_left;

		to->number[to->count++] = number;
	}
	buf_init(&out, LIMIT_MAIL_CONTENT);
	enum err err = mail_erase_receipt_write(&out, &receipt);

	assert(err == OK);
	office_send(h, o->self,
		&(struct draft){MAIL_ERASE_RECEIPT, erasure->sender, buf_bytes(&out), NULL});
	buf_release(&out);
}

void office_tell(struct hacked *h, struct office *o)
{
	for (size_t i = 0; i < o->erasure_count; i++) {
		struct erasure *erasure = &o->erasures[i];
		size_t gone = 0;

		for (size_t k = 0; k < erasure->prekeys.count; k++) {
			uint64_t number = erasure->prekeys.number[k];

			gone += number > o->prekey_count || o->prekeys[number - 1].gone;
		}
		if (erasure->sender[0] == '\0' ||
			(erasure->told_at != 0 && gone <= erasure->gone.count))
			continue;
		erasure->told_at = h->now_s;
		erasure->gone.count = gone;
		tell(h, o, erasure);
	}
}

void office_receipt(
	struct hacked *h, struct office *o, const struct order_sender *sender, struct bytes body)
{
	struct mail_erase_receipt read;
	struct order_receipt receipt;
	struct erasure *erasure;
	enum order_verdict verdict;
	struct arena arena;
	size_t holder = 0;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (mail_erase_receipt_read(body, &arena, &read, NULL) != OK) {
		hacked_refuse(h, o, REFUSAL_FORM);
		arena_release(&arena);
		return;
	}
	arena_release(&arena);
	receipt = (struct order_receipt){
		.destroyed = bytes_make(read.destroyed.kid, read.destroyed.count * SEAL_KID_SIZE),
		.never = bytes_make(read.never.kid, read.never.count * SEAL_KID_SIZE),
		.gone = read.prekeys_gone.number,
		.left = read.prekeys_left.number,
		.gone_count = read.prekeys_gone.count,
		.left_count = read.prekeys_left.count,
	};
	erasure = find(o, "", read.order_id);
	verdict = order_answer(erasure, sender, &holder);
	if (verdict != ORDER_GOOD && h->skip == SKIP_ANSWER && erasure != NULL) {
		for (holder = 0; holder + 1 < erasure->holder_count; holder++)
			if (strcmp(erasure->holders[holder].node, sender->name) == 0)
				break;
		verdict = erasure->holder_count > 0 ? ORDER_GOOD : ORDER_NOT_ASKED;
	}
	if (verdict == ORDER_GOOD)
		verdict = order_receipt_judge(erasure, holder, &receipt);
	if (verdict == ORDER_GOOD) {
		order_receipt_take(erasure, holder, &receipt, h->now_s);
		hacked_counts.receipts++;
	} else {
		hacked_refuse(h, o, REFUSAL_ORDER + verdict);
	}
}
