#include <assert.h>

#include "base/alloc.h"
#include "cases/keys/fingerprint.h"
#include "certs/mail_grant.h"
#include "tests/sim/office.h"

#define NETWORK "sim.example"

/* ---- keys, and whom they may be given ---- */

struct office_key *office_find(struct office *o, const char *author, const uint8_t *kid)
{
	for (size_t i = 0; i < o->key_count; i++)
		if (memcmp(o->keys[i].kid.b, kid, SEAL_KID_SIZE) == 0 &&
			(author == NULL || strcmp(o->keys[i].author, author) == 0))
			return &o->keys[i];
	return NULL;
}

bool office_tomb(const struct office *o, const char *author, const uint8_t *kid)
{
	struct row_name name;
	struct seal_kid id;

	memcpy(id.b, kid, sizeof(id.b));
	tombstone_row_name(author, &id, &name);
	for (size_t i = 0; i < o->tomb_count; i++)
		if (memcmp(o->tombs[i].b, name.b, sizeof(name.b)) == 0)
			return true;
	return false;
}

void office_key_new(struct hacked *h, struct office *o)
{
	struct truth *truth = &h->truths[h->truth_count];
	struct office_key *key = &o->keys[o->key_count];

	if (h->truth_count == HACKED_KEYS || o->key_count == OFFICE_KEYS)
		return;
	h->truth_count++;
	o->key_count++;
	*truth = (struct truth){.author = o->number};
	hacked_bytes(h, truth->k, sizeof(truth->k));
	enum err err = seal_kid_of(bytes_make(truth->k, sizeof(truth->k)), &truth->kid);

	assert(err == OK);
	truth->group = 1 + (uint32_t)hacked_random(h, GROUP_CASE_LAST);
	truth->ref.b[0] = (uint8_t)o->number; /* three cases of each office */
	truth->ref.b[1] = (uint8_t)hacked_random(h, 3);
	*key = (struct office_key){.ref = truth->ref, .group = truth->group, .kid = truth->kid};
	memcpy(key->k, truth->k, sizeof(key->k));
	strcpy(key->author, o->name);
}

bool office_confirmed(const struct office *o, const char *name, const struct hash *key)
{
	const struct trust_row *row = trust_find(&o->trust, name);
	struct hash hash;

	if (row == NULL)
		return false;
	sha256(BYTES_ARRAY(row->key.b), &hash);
	return hash_equal(&hash, key);
}

/* An officer reads the words of the key that the directory has here; who answers the telephone
 * reads those of the one that it has. */
void office_confirm(struct hacked *h, struct office *o, size_t of)
{
	const struct office *other = &h->offices[of];
	const struct member *member = directory_find(o->directory, bytes_str(other->name));
	struct trust_row row = {.officer = "an officer", .confirmed_at = h->now_s};
	struct fingerprint here, there;

	if (member == NULL || of == o->number)
		return;
	fingerprint_make(NETWORK, other->name, &member->node, &here);
	fingerprint_make(NETWORK, other->name, &other->self->member.node, &there);
	if (fingerprint_compare(&here, bytes_str(there.text), NULL) != OK &&
		h->skip != SKIP_WORDS) {
		hacked_refuse(h, o, REFUSAL_WORDS);
		return;
	}
	strcpy(row.node, other->name);
	row.key = member->node;
	enum err err = trust_put(&o->trust, &row);

	assert(err == OK);
}

/* ---- prekeys ---- */

void office_prekey_new(struct hacked *h, struct office *o)
{
	struct office_prekey *prekey = &o->prekeys[o->prekey_count];
	struct buf *out = &h->prekeys[h->prekey_count];

	if (o->prekey_count == OFFICE_PREKEYS || h->prekey_count == 1024)
		return;
	if (o->prekey_count > 0)
		o->prekeys[o->prekey_count - 1].gone_at = h->now_s + 30 * HACKED_DAY_S;
	*prekey = (struct office_prekey){
		.prekey = {.number = ++o->prekey_count, .made_at = h->now_s}};
	hacked_bytes(h, prekey->half, sizeof(prekey->half));
	enum err err = x25519_public(BYTES_ARRAY(prekey->half), &prekey->prekey.key);

	assert(err == OK);
	buf_init(out, LIMIT_ENTRY_SIZE);
	err = prekey_write(out, &prekey->prekey, o->self->node);
	assert(err == OK);
	h->prekey_owner[h->prekey_count++] = o->number;
}

void office_prekeys_destroy(struct hacked *h, struct office *o)
{
	for (size_t i = 0; i < o->prekey_count; i++) {
		struct office_prekey *prekey = &o->prekeys[i];

		if (prekey->gone || prekey->gone_at == 0 || prekey->gone_at > h->now_s)
			continue;
		prekey->gone = true;
		memset(prekey->half, 0, sizeof(prekey->half));
	}
}

/* The newest that the node's key of this directory has signed. */
void office_hear_prekey(struct hacked *h, struct office *o, struct bytes entry, size_t of)
{
	const char *name = of < h->nodes ? h->offices[of].name : "office-7";
	const struct member *member = directory_find(o->directory, bytes_str(name));
	struct known_prekey *known = &o->known[of];
	struct arena arena;
	struct prekey prekey;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (member != NULL && prekey_read(entry, &member->node, &arena, &prekey, NULL) == OK) {
		bool same = memcmp(&known->signer, &member->node, sizeof(known->signer)) == 0;

		if (!same || prekey.number > known->prekey.number)
			*known = (struct known_prekey){prekey, member->node};
	}
	arena_release(&arena);
}

/* ---- mail ---- */

void office_send(struct hacked *h, const struct identity *from, const struct draft *draft)
{
	struct hacked_item *item = &h->items[h->item_count];
	uint8_t ephemeral[X25519_KEY_SIZE];
	struct mail_draft mail = {.network = NETWORK,
		.sender = from->name,
		.recipient = draft->to,
		.class = draft->kind == MAIL_GRANT ? MAIL_ORDINARY : MAIL_ERASURE,
		.kind = draft->kind,
		.content = draft->content,
		.made_at = h->now_s,
		.prekey = draft->prekey,
		.ephemeral = BYTES_ARRAY(ephemeral)};

	if (h->item_count == HACKED_ITEMS || strcmp(from->name, draft->to) == 0)
		return;
	hacked_bytes(h, ephemeral, sizeof(ephemeral));
	hacked_bytes(h, mail.id, sizeof(mail.id));
	*item = (struct hacked_item){.handed = false};
	buf_init(&item->packed, LIMIT_MAIL_ITEM);
	enum err err = mail_write(&item->packed, &mail, from->node);

	assert(err == OK);
	h->item_count++;
	hacked_counts.items++;
	if (draft->kind == MAIL_GRANT)
		hacked_look_sent(h, buf_bytes(&item->packed));
}

/* ---- giving ---- */

static const struct known_prekey *known_prekey(
	const struct hacked *h, const struct office *o, const struct member *to)
{
	size_t of = hacked_number(h, to->name);
	const struct known_prekey *known = &o->known[of < h->nodes ? of : HACKED_NODES];

	if (known->prekey.number == 0 || memcmp(&known->signer, &to->node, sizeof(to->node)) != 0)
		return NULL;
	return known;
}

/* One to three of its own keys of one case. */
static size_t choose(struct hacked *h, const struct office *o, const struct office_key **ret)
{
	size_t count = 0, start = (size_t)hacked_random(h, o->key_count);

	for (size_t i = 0; i < o->key_count && count < 3; i++) {
		const struct office_key *key = &o->keys[(start + i) % o->key_count];

		if (strcmp(key->author, o->name) == 0 &&
			(count == 0 || memcmp(&key->ref, &ret[0]->ref, CASE_REF_SIZE) == 0))
			ret[count++] = key;
	}
	for (size_t i = 0; i < count; i++) /* in order of their kids */
		for (size_t k = i + 1; k < count; k++)
			if (memcmp(ret[k]->kid.b, ret[i]->kid.b, SEAL_KID_SIZE) < 0) {
				const struct office_key *key = ret[i];

				ret[i] = ret[k];
				ret[k] = key;
			}
	return count;
}

static void remember(struct hacked *h, struct office *o, const struct member *to,
	const struct mail_grant *grant, uint64_t prekey)
{
	struct given *given = &o->given[o->given_count++];
	enum err err = given_init(given, grant->key_count);

	assert(err == OK);
	memcpy(given->id.b, grant->grant_id, sizeof(given->id.b));
	memcpy(given->case_ref.b, grant->case_ref, CASE_REF_SIZE);
	strcpy(given->recipient, to->name);
	sha256(BYTES_ARRAY(to->node.b), &given->node_key);
	given->basis = grant->basis;
	given->state = GIVEN_SENT;
	given->prekeys[0] = prekey;
	given->prekey_count = 1;
	for (size_t i = 0; i < grant->key_count; i++) {
		memcpy(given->keys[i].kid.b, grant->keys[i].kid, SEAL_KID_SIZE);
		given->keys[i].group = (enum group)grant->keys[i].group;
		for (size_t t = 0; strcmp(to->name, "hq") == 0 && t < h->truth_count; t++)
			h->truths[t].to_hq |=
				memcmp(h->truths[t].kid.b, grant->keys[i].kid, SEAL_KID_SIZE) == 0;
	}
}

static void fill_grant(struct hacked *h, const struct office *o, struct mail_grant *grant)
{
	const struct office_key *keys[3];
	size_t count = choose(h, o, keys);
	enum err err = count == 0 ? OK : mail_grant_init(grant, count);

	for (size_t i = 0; err == OK && i < count; i++) {
		struct mail_grant_key *key = &grant->keys[i];

		key->group = keys[i]->group;
		key->generation = 1;
		memcpy(key->kid, keys[i]->kid.b, SEAL_KID_SIZE);
		strcpy(key->origin, o->self->origin.text);
		err = secret_copy(&key->key, BYTES_ARRAY(keys[i]->k));
		memcpy(grant->case_ref, keys[i]->ref.b, CASE_REF_SIZE);
	}
	assert(err == OK);
	grant->basis = GRANT_CONSENT;
	hacked_bytes(h, grant->grant_id, sizeof(grant->grant_id));
	hacked_bytes(h, grant->nonce, sizeof(grant->nonce));
}

void office_grant(struct hacked *h, struct office *o, const char *to)
{
	const struct member *member = directory_find(o->directory, bytes_str(to));
	const struct known_prekey *known;
	struct mail_grant grant = {.keys = NULL};
	struct buf out;

	if (member == NULL || !member->active || o->given_count == 256 || strcmp(to, o->name) == 0)
		return;
	if (trust_check(&o->trust, to, &member->node, NULL) != OK && h->skip != SKIP_TRUST) {
		hacked_refuse(h, o, REFUSAL_UNCONFIRMED);
		return;
	}
	known = known_prekey(h, o, member);
	fill_grant(h, o, &grant);
	if (known == NULL || grant.key_count == 0) {
		mail_grant_release(&grant);
		return;
	}
	buf_init(&out, LIMIT_MAIL_CONTENT);
	enum err err = buf_reserve(&out, LIMIT_MAIL_CONTENT) == NULL
			       ? ERR_NOMEM
			       : mail_grant_write(&out, &grant);

	assert(err == OK);
	remember(h, o, member, &grant, known->prekey.number);
	hacked_say(h, "%s gives %zu keys to %s", o->name, grant.key_count, to);
	hacked_counts.grants++;
	office_send(h, o->self,
		&(struct draft){MAIL_GRANT, member->name, buf_bytes(&out), &known->prekey});
	buf_wipe(&out);
	mail_grant_release(&grant);
}

/* ---- taking ---- */

static bool key_ok(
	const struct hacked *h, const struct mail_item *item, const struct mail_grant_key *key)
{
	struct origin_parts parts;
	struct seal_kid kid;

	return key->group >= 1 && key->group <= GROUP_CASE_LAST && key->generation > 0 &&
	       origin_parse(bytes_str(key->origin), NULL, &parts) == OK &&
	       bytes_equal_str(parts.node, item->sender) &&
	       (h->skip == SKIP_KID || (seal_kid_of(secret_bytes(&key->key), &kid) == OK &&
					       memcmp(kid.b, key->kid, sizeof(kid.b)) == 0));
}

static bool gave_to(const struct office *o, const uint8_t *ref, const char *to)
{
	for (size_t i = 0; i < o->given_count; i++)
		if (memcmp(o->given[i].case_ref.b, ref, CASE_REF_SIZE) == 0 &&
			strcmp(o->given[i].recipient, to) == 0)
			return true;
	return false;
}

/* REFUSALS: it is good. */
static size_t judge(const struct hacked *h, struct office *o, const struct mail_item *item,
	const struct mail_grant *grant)
{
	if (item->class != MAIL_ORDINARY)
		return REFUSAL_FORM;
	for (size_t i = 0; i < grant->key_count; i++)
		if (!key_ok(h, item, &grant->keys[i]))
			return REFUSAL_KEYS;
	for (size_t i = 0; i < grant->key_count; i++)
		if (office_tomb(o, item->sender, grant->keys[i].kid) && h->skip != SKIP_TOMBSTONE)
			return REFUSAL_ERASED;
	if (grant->case_ref[0] == o->number && !gave_to(o, grant->case_ref, item->sender))
		return REFUSAL_CASE;
	for (size_t i = 0; i < grant->key_count; i++) {
		const struct office_key *key = office_find(o, NULL, grant->keys[i].kid);

		if (key != NULL && (strcmp(key->author, item->sender) != 0 ||
					   key->group != grant->keys[i].group ||
					   memcmp(key->ref.b, grant->case_ref, CASE_REF_SIZE) != 0))
			return REFUSAL_KEYS;
	}
	return REFUSALS;
}

static const struct received *received_find(
	const struct office *o, const char *sender, const uint8_t *id)
{
	for (size_t i = 0; i < o->received_count; i++)
		if (strcmp(o->received[i].sender, sender) == 0 &&
			memcmp(o->received[i].id.b, id, EVENT_ID_SIZE) == 0)
			return &o->received[i];
	return NULL;
}

static void keep_key(
	struct office *o, const struct mail_item *item, const struct mail_grant *grant, size_t i)
{
	struct office_key *key = &o->keys[o->key_count];

	if (office_find(o, item->sender, grant->keys[i].kid) != NULL)
		return;
	o->key_count++;
	*key = (struct office_key){.group = grant->keys[i].group};
	strcpy(key->author, item->sender);
	memcpy(key->ref.b, grant->case_ref, CASE_REF_SIZE);
	memcpy(key->kid.b, grant->keys[i].kid, SEAL_KID_SIZE);
	memcpy(key->k, grant->keys[i].key.data, SEAL_KEY_SIZE);
}

static void keep(struct hacked *h, struct office *o, const struct mail_item *item,
	const struct mail_grant *grant, const struct hash *signer)
{
	struct received *received = &o->received[o->received_count];

	if (o->received_count == 256 || o->key_count + grant->key_count > OFFICE_KEYS)
		return; /* there is no room: later */
	enum err err = received_init(received, grant->key_count);

	assert(err == OK);
	o->received_count++;
	memcpy(received->id.b, grant->grant_id, EVENT_ID_SIZE);
	memcpy(received->case_ref.b, grant->case_ref, CASE_REF_SIZE);
	strcpy(received->sender, item->sender);
	received->node_key = *signer;
	received->prekey = item->prekey;
	for (size_t i = 0; i < grant->key_count; i++) {
		memcpy(received->kids[i].b, grant->keys[i].kid, SEAL_KID_SIZE);
		keep_key(o, item, grant, i);
	}
	hacked_counts.taken++;
	hacked_say(h, "%s takes %zu keys of %s", o->name, grant->key_count, item->sender);
}

static void take(struct hacked *h, struct office *o, const struct mail_item *item,
	struct bytes body, const struct hash *signer)
{
	const struct received *known;
	struct mail_grant grant;
	struct arena arena;
	size_t refusal;

	arena_init(&arena, 256 * 1024);
	if (mail_grant_read(body, &arena, &grant, NULL) != OK) {
		hacked_refuse(h, o, REFUSAL_FORM);
		arena_release(&arena);
		return;
	}
	known = received_find(o, item->sender, grant.grant_id);
	refusal = judge(h, o, item, &grant);
	if (refusal == REFUSALS && known != NULL &&
		(known->kid_count != grant.key_count ||
			memcmp(known->kids[0].b, grant.keys[0].kid, SEAL_KID_SIZE) != 0))
		refusal = REFUSAL_KEYS;
	if (refusal != REFUSALS)
		hacked_refuse(h, o, refusal);
	else if (known == NULL)
		keep(h, o, item, &grant, signer);
	mail_grant_release(&grant);
	arena_release(&arena);
}

/* ---- hearing ---- */

void office_hear(struct hacked *h, struct office *o, size_t number)
{
	struct hacked_item *packed = &h->items[number];
	struct mail_item item;
	struct arena arena;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	hacked_counts.handed++;
	enum err err = mail_unpack(buf_bytes(&packed->packed), NETWORK, &arena, &item, NULL);

	assert(err == OK);
	if (strcmp(item.recipient, o->name) != 0) {
		hacked_refuse(h, o, REFUSAL_NOT_HERE);
	} else {
		hacked_counts.replayed += packed->handed;
		packed->handed = true;
		if (mail_check(o->directory, &item, NULL) != OK)
			hacked_refuse(h, o, REFUSAL_UNSIGNED);
		else if (o->custody_count < 256)
			o->custody[o->custody_count++] = number;
	}
	arena_release(&arena);
}

static const struct office_prekey *prekey_of(const struct office *o, uint64_t number)
{
	if (number == 0 || number > o->prekey_count || o->prekeys[number - 1].gone)
		return NULL;
	return &o->prekeys[number - 1];
}

static bool opened(const struct office *o, const struct mail_item *item, struct arena *arena,
	struct mail_content *ret)
{
	const struct office_prekey *prekey = prekey_of(o, item->prekey);

	if (item->prekey != 0 && prekey == NULL)
		return false;
	return mail_open(item, NETWORK, prekey == NULL ? BYTES_NONE : BYTES_ARRAY(prekey->half),
		       arena, ret, NULL) == OK;
}

static void process(
	struct hacked *h, struct office *o, const struct mail_item *item, struct arena *arena)
{
	const struct member *member = directory_find(o->directory, bytes_str(item->sender));
	struct order_sender sender = {.name = item->sender};
	struct mail_content content = {0};

	struct ed25519_public signer = member->node;

	if (h->skip != SKIP_SIGNER && mail_signer(o->directory, item, &signer) != OK) {
		hacked_refuse(h, o, REFUSAL_UNSIGNED);
		return;
	}
	sha256(BYTES_ARRAY(signer.b), &sender.node_key);
	sender.confirmed = office_confirmed(o, item->sender, &sender.node_key);
	if (!opened(o, item, arena, &content)) {
		hacked_refuse(h, o, REFUSAL_UNOPENABLE);
		return;
	}
	if (content.kind == MAIL_GRANT)
		take(h, o, item, content.body, &sender.node_key);
	else if (content.kind == MAIL_ERASE_ORDER)
		office_order(h, o, &sender, content.body);
	else if (content.kind == MAIL_ERASE_RECEIPT)
		office_receipt(h, o, &sender, content.body);
	else
		hacked_refuse(h, o, REFUSAL_FORM);
	mail_content_release(&content);
}

void office_unlock(struct hacked *h, struct office *o)
{
	for (size_t i = 0; i < o->custody_count; i++) {
		struct mail_item item;
		struct arena arena;

		arena_init(&arena, LIMIT_ARENA_SIZE);
		enum err err = mail_unpack(
			buf_bytes(&h->items[o->custody[i]].packed), NETWORK, &arena, &item, NULL);

		assert(err == OK);
		process(h, o, &item, &arena);
		arena_release(&arena);
	}
	o->custody_count = 0;
}
