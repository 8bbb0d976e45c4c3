/*
 * One move: of somebody honest, or of headquarters, which is hacked.
 */
#include <assert.h>
#include <stdlib.h>

#include "certs/change.h"
#include "certs/mail_erase.h"
#include "certs/mail_grant.h"
#include "tests/sim/office.h"

static struct office *some_office(struct hacked *h)
{
	return &h->offices[1 + hacked_random(h, h->nodes - 1)];
}

/* ---- the directory ---- */

static bool apply(struct office *o, const struct buf *entry)
{
	uint64_t odd = directory_odd(o->directory, NULL);
	enum err err = directory_apply(o->directory, buf_bytes(entry));

	assert(err == OK);
	return directory_odd(o->directory, NULL) == odd;
}

void hacked_feed(struct hacked *h, struct office *o)
{
	while (o->fed < h->record_count)
		(void)apply(o, &h->records[o->fed++]);
}

/* A node changes its keys by its own word. */
static void rotate(struct hacked *h, struct office *o)
{
	struct buf *record = &h->records[h->record_count];
	struct identity *fresh;
	struct rotation rotation;
	struct buf body;

	hacked_feed(h, o);
	if (h->record_count + 8 > HACKED_RECORDS || o->epoch > 4)
		return;
	fresh = hacked_identity(h, o->number);
	rotation = (struct rotation){.member = fresh->member,
		.directory_size = directory_size(o->directory),
		.epoch = o->epoch + 1,
		.made_at = h->now_s};
	buf_init(&body, LIMIT_ENTRY_SIZE);
	enum err err = rotation_body(&body, "sim.example", &rotation, fresh->node);

	assert(err == OK);
	buf_init(record, LIMIT_ENTRY_SIZE);
	err = record_write(record, SAUTI__RECORD_TYPE__RECORD_NODE_KEYS_ROTATED, buf_bytes(&body),
		o->self->node);
	assert(err == OK);
	buf_release(&body);
	if (apply(o, record)) { /* not where headquarters has put another in its place */
		h->record_count++;
		o->fed = h->record_count;
		o->epoch++;
		o->self = fresh;
		hacked_say(h, "%s has new keys, by its own word", o->name);
		office_prekey_new(h, o);
	} else {
		buf_release(record);
	}
}

static struct identity *make_false(struct hacked *h, size_t number)
{
	struct identity *id = hacked_identity(h, number);
	struct buf *out = &h->prekeys[h->prekey_count];

	id->is_false = true;
	hacked_bytes(h, id->half, sizeof(id->half));
	id->prekey = (struct prekey){.number = 1 + hacked_random(h, 9), .made_at = h->now_s};
	enum err err = x25519_public(BYTES_ARRAY(id->half), &id->prekey.key);

	assert(err == OK && h->prekey_count < 1024);
	buf_init(out, LIMIT_ENTRY_SIZE);
	err = prekey_write(out, &id->prekey, id->node);
	assert(err == OK);
	h->prekey_owner[h->prekey_count++] = number < h->nodes ? number : HACKED_NODES;
	return id;
}

/* In the directory that some see, or all: a fork is no more than that. */
static void substitute(struct hacked *h)
{
	size_t of = 1 + hacked_random(h, h->nodes - 1);
	bool all = hacked_random(h, 3) == 0;
	struct buf entry;

	if (h->substitutions[of] == 4 || h->identity_count + 20 > HACKED_IDENTITIES)
		return;
	struct identity *id = make_false(h, of);

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	hacked_replaced(h, id, 8 + h->substitutions[of]++, h->offices[0].self->node, &entry);
	for (size_t n = 1; n < h->nodes; n++)
		if (all || (n != of && hacked_random(h, 2) == 0))
			h->substituted[of] |= apply(&h->offices[n], &entry);
	buf_release(&entry);
	hacked_counts.substitutions++;
	hacked_say(h, "headquarters puts a key of its own in the place of %s's", id->name);
}

/* A NodeKeysRotated that the node's key did not sign, and a NodeReplaced that headquarters' did
 * not. */
static void forge_record(struct hacked *h)
{
	size_t of = 1 + hacked_random(h, h->nodes - 1);
	struct office *o = some_office(h);
	struct ed25519_public before;
	const struct member *member = directory_find(o->directory, bytes_str(h->offices[of].name));
	struct rotation rotation;
	struct identity *id;
	struct buf entry, body;

	if (h->identity_count + 20 > HACKED_IDENTITIES)
		return;
	id = make_false(h, of);
	before = member->node;
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	rotation = (struct rotation){
		.member = id->member, .directory_size = directory_size(o->directory), .epoch = 2};
	enum err err = rotation_body(&body, "sim.example", &rotation, id->node);

	assert(err == OK);
	err = record_write(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_KEYS_ROTATED, buf_bytes(&body),
		hacked_random(h, 2) == 0 ? id->node : h->offices[0].self->node);
	assert(err == OK);
	(void)apply(o, &entry);
	member = directory_find(o->directory, bytes_str(h->offices[of].name));
	if (memcmp(&before, &member->node, sizeof(before)) != 0)
		hacked_fail(h, "%s believes a rotation that %s did not sign", o->name, id->name);
	buf_release(&entry);
	buf_release(&body);
}

/* A hospital that nobody ever telephoned with. */
static void invent(struct hacked *h)
{
	struct ed25519_signature signature;
	struct buf body, entry;
	struct identity *id;

	if (directory_find(h->offices[1].directory, bytes_str("office-7")) != NULL)
		return;
	id = make_false(h, 7);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	enum err err = node_admitted_body(&body, "sim.example", &id->member);

	assert(err == OK);
	err = node_sign(id->node, PURPOSE_NODE_ADMITTED, buf_bytes(&body), &signature);
	assert(err == OK);
	err = record_write_signed(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED,
		buf_bytes(&body), BYTES_ARRAY(signature.b));
	assert(err == OK);
	for (size_t n = 1; n < h->nodes; n++)
		(void)apply(&h->offices[n], &entry);
	buf_release(&body);
	buf_release(&entry);
	hacked_counts.hospitals++;
	hacked_say(h, "headquarters invents a hospital");
}

/* ---- mail in others' names ---- */

/* Headquarters, or one of those that it made. */
static const struct identity *some_face(struct hacked *h)
{
	size_t start = (size_t)hacked_random(h, h->identity_count);

	for (size_t i = 0; i < h->identity_count; i++) {
		const struct identity *id = &h->identities[(start + i) % h->identity_count];

		if (id->is_false)
			return hacked_random(h, 4) == 0 ? h->offices[0].self : id;
	}
	return h->offices[0].self;
}

static int kid_compare(const void *a, const void *b)
{
	return memcmp(a, b, SEAL_KID_SIZE);
}

/* Its newest of that name; NULL: it has none. */
static const struct identity *face_of(const struct hacked *h, const char *name)
{
	for (size_t i = h->identity_count; i-- > 0;)
		if (h->identities[i].is_false && strcmp(h->identities[i].name, name) == 0)
			return &h->identities[i];
	return NULL;
}

/* Any, whosever they are; or one that is there, as its author if that can be. */
static const struct identity *choose(
	struct hacked *h, const struct office *o, struct mail_kids *ret)
{
	size_t count = 1 + hacked_random(h, 3);
	size_t start = (size_t)hacked_random(h, h->truth_count - count);
	const struct office_key *key;
	const struct identity *face;

	if (o->key_count > 0 && hacked_random(h, 3) != 0) {
		key = &o->keys[hacked_random(h, o->key_count)];
		memcpy(ret->kid[0], key->kid.b, SEAL_KID_SIZE);
		ret->count = 1;
		face = face_of(h, key->author);
		return face == NULL ? some_face(h) : face;
	}
	for (size_t i = 0; i < count; i++)
		memcpy(ret->kid[i], h->truths[start + i].kid.b, SEAL_KID_SIZE);
	qsort(ret->kid, count, SEAL_KID_SIZE, kid_compare);
	ret->count = count;
	return some_face(h);
}

static void send_order(struct hacked *h, const struct identity *face, const struct office *o,
	const struct mail_erase_order *order)
{
	struct buf out;

	buf_init(&out, LIMIT_MAIL_CONTENT);
	enum err err = mail_erase_order_write(&out, order);

	assert(err == OK);
	hacked_counts.forged++;
	office_send(h, face, &(struct draft){MAIL_ERASE_ORDER, o->name, buf_bytes(&out), NULL});
	buf_release(&out);
}

/* As another, or under the id of one that was given. */
static void forge_order(struct hacked *h)
{
	struct mail_erase_order order = {.at = h->now_s};
	const struct office *o = some_office(h);
	const struct identity *face;

	if (h->truth_count < 4)
		return;
	face = choose(h, o, &order.kids);
	hacked_bytes(h, order.order_id, sizeof(order.order_id));
	if (o->erasure_count > 0 && hacked_random(h, 2) == 0)
		memcpy(order.order_id, o->erasures[hacked_random(h, o->erasure_count)].id.b,
			sizeof(order.order_id));
	order.prekeys.number[0] = 1 + hacked_random(h, 6);
	order.prekeys.count = (size_t)hacked_random(h, 2);
	send_order(h, face, o, &order);
}

/* What it has given again in its author's place. */
static void forge_order_of(struct hacked *h, const struct identity *face, const struct office *o,
	const struct truth *truth)
{
	struct mail_erase_order order = {.at = h->now_s, .kids.count = 1};

	hacked_bytes(h, order.order_id, sizeof(order.order_id));
	memcpy(order.kids.kid[0], truth->kid.b, SEAL_KID_SIZE);
	send_order(h, face, o, &order);
}

/* "All is destroyed", as whoever was asked. */
static void forge_receipt(struct hacked *h)
{
	struct mail_erase_receipt receipt = {.at = h->now_s};
	const struct office *o = some_office(h);
	const struct erasure *erasure;
	const struct identity *face = some_face(h);
	struct buf out;

	if (o->erasure_count == 0)
		return;
	erasure = &o->erasures[hacked_random(h, o->erasure_count)];
	for (size_t k = 0; k < erasure->holder_count; k++)
		for (size_t i = 0; i < h->identity_count; i++)
			if (h->identities[i].is_false &&
				strcmp(h->identities[i].name, erasure->holders[k].node) == 0) {
				face = &h->identities[i];
				receipt.prekeys_gone.count = erasure->holders[k].prekeys.count;
				memcpy(receipt.prekeys_gone.number,
					erasure->holders[k].prekeys.number,
					sizeof(receipt.prekeys_gone.number));
			}
	memcpy(receipt.order_id, erasure->id.b, sizeof(receipt.order_id));
	memcpy(receipt.destroyed.kid, erasure->kids, erasure->kid_count * SEAL_KID_SIZE);
	receipt.destroyed.count = erasure->kid_count;
	buf_init(&out, LIMIT_MAIL_CONTENT);
	enum err err = mail_erase_receipt_write(&out, &receipt);

	assert(err == OK);
	hacked_counts.forged++;
	office_send(h, face, &(struct draft){MAIL_ERASE_RECEIPT, o->name, buf_bytes(&out), NULL});
	buf_release(&out);
}

/* Its own keys: some few, so that two offices get one kid with one K, or with another. */
static enum err own_key(struct hacked *h, struct mail_grant_key *key)
{
	uint8_t k[SEAL_KEY_SIZE] = {(uint8_t)hacked_random(h, 4), 7};
	struct seal_kid kid;

	TRY(seal_kid_of(BYTES_ARRAY(k), &kid));
	memcpy(key->kid, kid.b, sizeof(kid.b));
	if (hacked_random(h, 2) == 0)
		k[0] = (uint8_t)hacked_random(h, 4);
	return secret_copy(&key->key, BYTES_ARRAY(k));
}

/* An office's: the K, where headquarters has it by right; otherwise any under its kid. */
static enum err others_key(struct hacked *h, const struct truth *truth, struct mail_grant_key *key)
{
	uint8_t k[SEAL_KEY_SIZE] = {1};

	memcpy(key->kid, truth->kid.b, SEAL_KID_SIZE);
	return secret_copy(&key->key, truth->to_hq ? BYTES_ARRAY(truth->k) : BYTES_ARRAY(k));
}

/* A key that headquarters has by right, that is at the office, and whose author it can be; NULL:
 * there is none. */
static const struct truth *known_there(struct hacked *h, const struct office *o)
{
	size_t start = (size_t)hacked_random(h, h->truth_count);

	for (size_t i = 0; i < h->truth_count; i++) {
		const struct truth *truth = &h->truths[(start + i) % h->truth_count];

		if (truth->to_hq && truth->here[o->number] && truth->author != o->number &&
			face_of(h, h->offices[truth->author].name) != NULL)
			return truth;
	}
	return NULL;
}

static void forge_grant(struct hacked *h)
{
	const struct office *o = some_office(h);
	const struct identity *face = some_face(h);
	const struct truth *truth;
	struct mail_grant grant;
	struct buf out;

	if (h->truth_count == 0 || o->prekey_count == 0)
		return;
	truth = hacked_random(h, 2) == 0 ? NULL : known_there(h, o);
	bool again = truth != NULL;

	if (again)
		face = face_of(h, h->offices[truth->author].name);
	else
		truth = &h->truths[hacked_random(h, h->truth_count)];
	enum err err = mail_grant_init(&grant, 1);

	assert(err == OK);
	grant.basis = GRANT_REPLY;
	hacked_bytes(h, grant.grant_id, sizeof(grant.grant_id));
	memcpy(grant.case_ref, truth->ref.b, CASE_REF_SIZE);
	grant.keys[0].group = truth->group;
	grant.keys[0].generation = 1;
	err = !again && hacked_random(h, 2) == 0 ? own_key(h, &grant.keys[0])
						 : others_key(h, truth, &grant.keys[0]);
	assert(err == OK);
	strcpy(grant.keys[0].origin, hacked_random(h, 4) == 0
					     ? h->offices[truth->author].self->origin.text
					     : face->origin.text);
	buf_init(&out, LIMIT_MAIL_CONTENT);
	err = buf_reserve(&out, LIMIT_MAIL_CONTENT) == NULL ? ERR_NOMEM
							    : mail_grant_write(&out, &grant);
	assert(err == OK);
	hacked_counts.forged++;
	office_send(h, face,
		&(struct draft){MAIL_GRANT, o->name, buf_bytes(&out),
			&o->prekeys[o->prekey_count - 1].prekey});
	if (again)
		forge_order_of(h, face, o, truth);
	buf_wipe(&out);
	mail_grant_release(&grant);
}

/* ---- what it carries ---- */

static void hand(struct hacked *h)
{
	size_t start = (size_t)hacked_random(h, h->item_count);

	for (size_t i = 0; i < h->item_count; i++) {
		size_t at = (start + i) % h->item_count;
		struct mail_item item;
		struct arena arena;

		if (h->items[at].handed)
			continue;
		arena_init(&arena, LIMIT_ARENA_SIZE);
		enum err err = mail_unpack(
			buf_bytes(&h->items[at].packed), "sim.example", &arena, &item, NULL);

		assert(err == OK);
		size_t to = hacked_number(h, item.recipient);

		arena_release(&arena);
		if (to == 0 || to >= h->nodes) {
			h->items[at].handed = true;
			continue;
		}
		office_hear(h, &h->offices[to], at);
		return;
	}
}

/* Whatever it is, to whomever. */
static void hand_again(struct hacked *h)
{
	if (h->item_count == 0)
		return;
	size_t at = (size_t)hacked_random(h, h->item_count);
	struct mail_item item;
	struct arena arena;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	enum err err =
		mail_unpack(buf_bytes(&h->items[at].packed), "sim.example", &arena, &item, NULL);

	assert(err == OK);
	size_t to = hacked_number(h, item.recipient);

	arena_release(&arena);
	if (to > 0 && to < h->nodes && hacked_random(h, 8) != 0)
		office_hear(h, &h->offices[to], at);
	else
		office_hear(h, some_office(h), at);
}

static void hand_prekey(struct hacked *h)
{
	size_t at = (size_t)hacked_random(h, h->prekey_count);

	if (hacked_random(h, 2) == 0 && h->prekey_count > 8) /* a newer one */
		at = h->prekey_count - 1 - (size_t)hacked_random(h, 8);
	office_hear_prekey(h, some_office(h), buf_bytes(&h->prekeys[at]), h->prekey_owner[at]);
}

/* ---- one move ---- */

static void honest(struct hacked *h)
{
	struct office *o = some_office(h);
	uint64_t move = hacked_random(h, 100);
	size_t to = (size_t)hacked_random(h, h->nodes);

	if (to == 0 && hacked_random(h, 3) != 0)
		to = o->number;
	if (move < 12)
		office_key_new(h, o);
	else if (move < 32)
		office_confirm(h, o, (size_t)hacked_random(h, h->nodes));
	else if (move < 54 && o->key_count > 0)
		office_grant(h, o, hacked_random(h, 10) == 0 ? "office-7" : h->offices[to].name);
	else if (move < 57 && h->truth_count > 0)
		office_erase(h, o, (size_t)hacked_random(h, h->truth_count));
	else if (move < 60)
		office_withdraw(h, o);
	else if (move < 68)
		office_ask(h, o);
	else if (move < 78)
		office_tell(h, o);
	else if (move < 80)
		office_prekey_new(h, o);
	else if (move < 81)
		rotate(h, o);
	else
		office_unlock(h, o);
	office_prekeys_destroy(h, o);
}

static void pass(struct hacked *h)
{
	uint64_t days = hacked_random(h, 10) == 0 ? 365 : hacked_random(h, 4);

	h->now_s += days * HACKED_DAY_S;
	if (days == 365)
		hacked_say(h, "a year passes");
}

void hacked_move(struct hacked *h)
{
	struct office *o = some_office(h);
	uint64_t move = hacked_random(h, 1000);

	if (move < 500)
		honest(h);
	else if (move < 740)
		hand(h);
	else if (move < 800)
		hand_again(h);
	else if (move < 850)
		hand_prekey(h);
	else if (move < 870)
		forge_order(h);
	else if (move < 890)
		forge_receipt(h);
	else if (move < 910)
		forge_grant(h);
	else if (move < 920)
		substitute(h);
	else if (move < 925)
		forge_record(h);
	else if (move < 927)
		invent(h);
	else if (move < 935)
		o->frozen = !o->frozen;
	else if (move < 965)
		pass(h);
	else if (!o->frozen)
		hacked_feed(h, o);
}
