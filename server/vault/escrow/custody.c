/*
 * Version keys that this node keeps for others, each in a row of its own (ROW_CUSTODY) whose name
 * is its id, so that orders to destroy it, receipts and tombstones work as for a case key.
 *
 * They go back to their owner alone, who asks by a letter signed with its node key, and only when
 * an officer of this node has confirmed that very key by its spoken words: whoever can put another
 * key into the directory gets nothing. Until then the wish waits, and status shows it.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/keys/erasure.h"
#include "cases/keys/trust.h"
#include "proto/stored.pb-c.h"
#include "server/vault/escrow/escrow.h"

enum { PLAIN_MAX = 12 * 1024, KEY_ROW_MAX = 512, ASK_IDS_ROW = LIMIT_ESCROW_MAIL_KEYS };

struct owner {
	char node[LIMIT_NODE_NAME + 1];
	uint32_t keys;
};

/* A wish to have version keys back. One of a node: a newer one takes its place. */
struct ask {
	char node[LIMIT_NODE_NAME + 1];
	struct ed25519_public key;
	struct prekey prekey;
	uint64_t asked_at;
	bool drill;
	struct version_ids ids;
};

struct custody {
	struct owner owners[LIMIT_PEERS];
	size_t owner_count;
	uint64_t keys;
	struct ask asks[LIMIT_CUSTODY_ASKS];
	size_t ask_count;
};

enum err custody_new(struct custody **ret)
{
	*ret = mem_zalloc(sizeof(**ret));
	return *ret == NULL ? ERR_NOMEM : OK;
}

void custody_free(struct custody *custody)
{
	if (custody == NULL)
		return;
	for (size_t i = 0; i < custody->ask_count; i++)
		version_ids_release(&custody->asks[i].ids);
	mem_free(custody);
}

/* NULL: too many. */
static struct owner *owner_get(struct custody *custody, const char *node)
{
	struct owner *owner;

	for (size_t i = 0; i < custody->owner_count; i++)
		if (strcmp(custody->owners[i].node, node) == 0)
			return &custody->owners[i];
	if (custody->owner_count == LIMIT_PEERS)
		return NULL;
	owner = &custody->owners[custody->owner_count++];
	*owner = (struct owner){.keys = 0};
	snprintf(owner->node, sizeof(owner->node), "%s", node);
	return owner;
}

/* ---- rows ---- */

static void ask_name(const char *node, struct row_name *ret)
{
	char name[LIMIT_NODE_NAME + 8];

	snprintf(name, sizeof(name), "ask/%s", node);
	row_name(ROW_CUSTODY, bytes_str(name), ret);
}

static enum err wrap_put(
	struct book *book, const struct row_name *name, struct bytes plain, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf value;
	struct keyring_item item;

	buf_init(&value, PLAIN_MAX + 64);
	TRY(row_wrap(secret_bytes(&book->keyring_key), ROW_CUSTODY, name, plain, &value));
	memcpy(item.kid, name->b, sizeof(item.kid));
	item.value = buf_bytes(&value);
	return keyring_update(book->opts.keyring, &item, 1, ctx);
}

static enum err row_remove(struct book *book, const struct row_name *name, struct errctx *ctx)
{
	struct keyring_item item = {.value = BYTES_NONE};

	memcpy(item.kid, name->b, sizeof(item.kid));
	return keyring_update(book->opts.keyring, &item, 1, ctx);
}

/* Rows that are written in one transaction. */
struct keeping {
	struct keyring_item *items;
	size_t *ends;
	size_t count;
	struct buf wrapped;
};

static enum err keeping_init(struct keeping *k, size_t max)
{
	k->items = mem_array(max + 1, sizeof(*k->items));
	k->ends = mem_array(max + 1, sizeof(*k->ends));
	k->count = 0;
	buf_init(&k->wrapped, (max + 1) * KEY_ROW_MAX);
	return k->items == NULL || k->ends == NULL ? ERR_NOMEM : OK;
}

static void keeping_release(struct keeping *k)
{
	mem_free(k->items);
	mem_free(k->ends);
	buf_release(&k->wrapped);
}

static enum err keeping_end(struct book *book, struct keeping *k, struct errctx *ctx)
{
	size_t at = 0;

	for (size_t i = 0; i < k->count; i++) {
		k->items[i].value = bytes_make(k->wrapped.data + at, k->ends[i] - at);
		at = k->ends[i];
	}
	return k->count == 0 ? OK : keyring_update(book->opts.keyring, k->items, k->count, ctx);
}

static bool keeping_has(const struct keeping *k, const uint8_t id[ESCROW_ID_SIZE])
{
	for (size_t i = 0; i < k->count; i++)
		if (memcmp(k->items[i].kid, id, ESCROW_ID_SIZE) == 0)
			return true;
	return false;
}

static enum err key_put(const struct book *book, const struct vault_request *request,
	const struct version_key *key, struct keeping *k)
{
	Sauti__StoredCustody stored = SAUTI__STORED_CUSTODY__INIT;
	Sauti__StoredCustodyRow row = SAUTI__STORED_CUSTODY_ROW__INIT;
	struct row_name name;
	struct hash signer;
	struct buf plain;
	enum err err;

	sha256(BYTES_ARRAY(request->sender.key.b), &signer);
	memcpy(name.b, key->id, sizeof(name.b));
	stored.owner = (char *)request->sender.node;
	stored.key = codec_binary(secret_bytes(&key->key));
	stored.received_at = request->now_s;
	stored.signed_by = codec_binary(hash_bytes(&signer));
	row.body_case = SAUTI__STORED_CUSTODY_ROW__BODY_KEY;
	row.key = &stored;
	buf_init(&plain, KEY_ROW_MAX);
	(void)buf_reserve(&plain, KEY_ROW_MAX);
	codec_pack(&plain, &row);
	err = plain.err == OK ? row_wrap(secret_bytes(&book->keyring_key), ROW_CUSTODY, &name,
					buf_bytes(&plain), &k->wrapped)
			      : plain.err;
	buf_wipe(&plain);
	TRY(err);
	memcpy(k->items[k->count].kid, name.b, sizeof(name.b));
	k->ends[k->count++] = k->wrapped.size;
	return OK;
}

static enum err ask_put(struct book *book, const struct ask *ask, struct errctx *ctx)
{
	Sauti__StoredAsk stored = SAUTI__STORED_ASK__INIT;
	Sauti__StoredCustodyRow row = SAUTI__STORED_CUSTODY_ROW__INIT;
	CLEANUP(buf_release) struct buf plain;
	ProtobufCBinaryData ids[ASK_IDS_ROW];
	struct row_name name;

	for (size_t i = 0; i < ask->ids.count; i++)
		ids[i] = codec_binary(BYTES_ARRAY(ask->ids.list[i]));
	ask_name(ask->node, &name);
	stored.owner = (char *)ask->node;
	stored.node_key = codec_binary(BYTES_ARRAY(ask->key.b));
	stored.prekey_number = ask->prekey.number;
	stored.prekey = codec_binary(BYTES_ARRAY(ask->prekey.key.b));
	stored.asked_at = ask->asked_at;
	stored.ids = ids;
	stored.n_ids = ask->ids.count;
	stored.drill = ask->drill;
	row.body_case = SAUTI__STORED_CUSTODY_ROW__BODY_ASK;
	row.ask = &stored;
	buf_init(&plain, PLAIN_MAX);
	codec_pack(&plain, &row);
	TRY(plain.err);
	return wrap_put(book, &name, buf_bytes(&plain), ctx);
}

/* A newer wish takes the older one's place; NULL: too many wait. */
static struct ask *ask_get(struct custody *custody, const char *node)
{
	struct ask *ask;

	for (size_t i = 0; i < custody->ask_count; i++)
		if (strcmp(custody->asks[i].node, node) == 0)
			return &custody->asks[i];
	if (custody->ask_count == LIMIT_CUSTODY_ASKS)
		return NULL;
	ask = &custody->asks[custody->ask_count++];
	*ask = (struct ask){.drill = false};
	snprintf(ask->node, sizeof(ask->node), "%s", node);
	return ask;
}

static enum err ask_load(struct custody *custody, const Sauti__StoredAsk *from)
{
	struct ask *ask;

	if (!node_name_valid(bytes_str(from->owner)) || from->node_key.len != ED25519_PUBLIC_SIZE ||
		from->prekey.len != X25519_KEY_SIZE || from->prekey_number == 0)
		return ERR_CORRUPT;
	ask = ask_get(custody, from->owner);
	if (ask == NULL)
		return ERR_CORRUPT;
	memcpy(ask->key.b, from->node_key.data, ED25519_PUBLIC_SIZE);
	memcpy(ask->prekey.key.b, from->prekey.data, X25519_KEY_SIZE);
	ask->prekey.number = from->prekey_number;
	ask->asked_at = from->asked_at;
	ask->drill = from->drill;
	for (size_t i = 0; i < from->n_ids; i++) {
		if (from->ids[i].len != ESCROW_VERSION_KEY_ID)
			return ERR_CORRUPT;
		TRY(version_ids_add(&ask->ids, from->ids[i].data));
	}
	return OK;
}

/* The row of a name, opened; ERR_NOTFOUND. */
static enum err row_open(const struct book *book, const struct row_name *name, struct bytes value,
	struct arena *arena, Sauti__StoredCustodyRow **ret)
{
	struct buf plain;
	enum err err;

	buf_init(&plain, ROW_PLAIN_MAX);
	if (buf_reserve(&plain, ROW_PLAIN_MAX) == NULL)
		return plain.err;
	err = row_unwrap(secret_bytes(&book->keyring_key), ROW_CUSTODY, name, value, &plain);
	if (err == OK)
		err = CODEC_UNPACK(stored_custody_row, buf_bytes(&plain), &scan_limits_default,
			arena, ret, NULL);
	buf_wipe(&plain);
	return err;
}

enum err custody_load(struct book *book, const struct keyring_item *item, struct errctx *ctx)
{
	CLEANUP(arena_release) struct arena arena;
	struct custody *custody = book->escrow->custody;
	Sauti__StoredCustodyRow *row;
	struct owner *owner;
	struct row_name name;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	memcpy(name.b, item->kid, sizeof(name.b));
	err = row_open(book, &name, item->value, &arena, &row);
	if (err == OK && row->body_case == SAUTI__STORED_CUSTODY_ROW__BODY_ASK) {
		err = ask_load(custody, row->ask);
	} else if (err == OK && row->body_case == SAUTI__STORED_CUSTODY_ROW__BODY_KEY) {
		wipe(row->key->key.data, row->key->key.len);
		owner = node_name_valid(bytes_str(row->key->owner))
				? owner_get(custody, row->key->owner)
				: NULL;
		if (owner != NULL) {
			owner->keys++;
			custody->keys++;
		}
	} else if (err == OK) {
		err = ERR_CORRUPT;
	}
	return err == OK ? OK : err_set(ctx, err, "a version key of another node is not readable");
}

/* ---- taking ---- */

enum taken { TAKEN, KNOWN, REFUSED };

static enum err key_known(struct book *book, const struct vault_request *request,
	const struct version_key *key, enum taken *ret)
{
	CLEANUP(arena_release) struct arena arena;
	CLEANUP(buf_release) struct buf value;
	Sauti__StoredCustodyRow *row;
	struct row_name name;
	enum err err;

	memcpy(name.b, key->id, sizeof(name.b));
	arena_init(&arena, LIMIT_ARENA_SIZE);
	buf_init(&value, KEYRING_VALUE_MAX + ROW_PLAIN_MAX);
	err = keyring_get(book->opts.keyring, key->id, &value, NULL);
	if (err == ERR_NOTFOUND) {
		*ret = TAKEN;
		return OK;
	}
	TRY(err);
	*ret = REFUSED; /* there is something else of that name */
	if (row_kind(buf_bytes(&value)) != ROW_CUSTODY)
		return OK;
	TRY(row_open(book, &name, buf_bytes(&value), &arena, &row));
	if (row->body_case != SAUTI__STORED_CUSTODY_ROW__BODY_KEY)
		return OK;
	if (strcmp(row->key->owner, request->sender.node) == 0)
		*ret = KNOWN;
	wipe(row->key->key.data, row->key->key.len);
	return OK;
}

/* One that was destroyed does not come back. */
static enum err key_buried(struct book *book, const struct vault_request *request,
	const struct version_key *key, enum taken *ret)
{
	CLEANUP(buf_release) struct buf value;
	struct row_name name;
	struct seal_kid kid;
	enum err err;

	buf_init(&value, KEYRING_VALUE_MAX + ROW_PLAIN_MAX);
	memcpy(kid.b, key->id, sizeof(kid.b));
	tombstone_row_name(request->sender.node, &kid, &name);
	err = keyring_get(book->opts.keyring, name.b, &value, NULL);
	if (err == OK)
		*ret = REFUSED;
	return err == ERR_NOTFOUND ? OK : err;
}

static enum err key_take(struct book *book, struct vault_request *request,
	const struct version_key *key, struct keeping *k, enum taken *ret)
{
	struct custody *custody = book->escrow->custody;
	struct owner *owner = owner_get(custody, request->sender.node);
	struct escrow_id id;

	*ret = REFUSED;
	TRY(escrow_id_of(secret_bytes(&key->key), &id));
	if (memcmp(id.b, key->id, sizeof(id.b)) != 0)
		return OK;
	if (keeping_has(k, key->id)) {
		*ret = KNOWN;
		return OK;
	}
	TRY(key_known(book, request, key, ret));
	if (*ret == TAKEN)
		TRY(key_buried(book, request, key, ret));
	if (*ret != TAKEN)
		return OK;
	if (owner == NULL || owner->keys >= LIMIT_CUSTODY_OWNER || custody->keys >= LIMIT_CUSTODY) {
		*ret = REFUSED;
		return OK;
	}
	TRY(key_put(book, request, key, k));
	owner->keys++;
	custody->keys++;
	return OK;
}

/* All that are durable are told, those that were before as well. */
static enum err tell_held(
	struct book *book, struct vault_request *request, const struct mail_escrow_held *held)
{
	CLEANUP(buf_release) struct buf content;

	buf_init(&content, LIMIT_MAIL_CONTENT);
	TRY(mail_escrow_held_write(&content, held));
	return escrow_letter(
		request, book, &request->sender, MAIL_ESCROW_HELD, buf_bytes(&content));
}

/* What becomes of it stands in `held`; and that a refused one was tried is kept. */
static enum err key_judge(struct book *book, struct vault_request *request,
	const struct version_key *key, struct keeping *k, struct mail_escrow_held *held)
{
	enum taken taken;

	TRY(key_take(book, request, key, k, &taken));
	if (taken == REFUSED) {
		request->refusal = REFUSED_KEYS;
		request->mail_kind = MAIL_ESCROW_KEYS;
	}
	return version_ids_add(taken == REFUSED ? &held->refused : &held->held, key->id);
}

static void custody_take_back(struct custody *custody, const char *owner, size_t count)
{
	while (count-- > 0)
		custody_forget(custody, owner);
}

enum err custody_take(struct book *book, const struct mail_item *item, struct bytes body,
	struct arena *arena, struct vault_request *request)
{
	CLEANUP(version_keys_release) struct version_keys keys = {.count = 0};
	CLEANUP(mail_escrow_held_release) struct mail_escrow_held held = {.held = {0}};
	struct keeping keeping;
	enum err err = mail_escrow_keys_read(body, arena, &keys, &request->ctx);

	request->outcome = MAIL_PROCESSED;
	if (err == ERR_NOMEM)
		return err;
	if (err != OK || !request->sender_active || item->class != MAIL_ORDINARY)
		return escrow_refuse(request, MAIL_ESCROW_KEYS, err);
	err = keeping_init(&keeping, keys.count);
	for (size_t i = 0; err == OK && i < keys.count; i++)
		err = key_judge(book, request, &keys.list[i], &keeping, &held);
	if (err == OK)
		err = keeping_end(book, &keeping, &request->ctx);
	if (err != OK)
		custody_take_back(book->escrow->custody, item->sender, keeping.count);
	keeping_release(&keeping);
	TRY(err);
	return tell_held(book, request, &held);
}

/* ---- giving back ---- */

enum err custody_asked(struct book *book, const struct mail_item *item, struct bytes body,
	struct arena *arena, struct vault_request *request)
{
	CLEANUP(mail_recovery_ask_release) struct mail_recovery_ask wish = {.drill = false};
	struct ask *ask;
	enum err err = mail_recovery_ask_read(body, arena, &wish, &request->ctx);

	request->outcome = MAIL_PROCESSED;
	if (err == ERR_NOMEM)
		return err;
	if (err != OK || !request->sender_active || item->class != MAIL_ORDINARY)
		return escrow_refuse(request, MAIL_RECOVERY_ASK, err);
	ask = ask_get(book->escrow->custody, item->sender);
	if (ask == NULL)
		return ERR_FULL;
	version_ids_release(&ask->ids);
	ask->ids = wish.ids;
	wish.ids = (struct version_ids){.count = 0};
	ask->key = request->sender.key;
	ask->prekey = wish.prekey;
	ask->asked_at = request->now_s;
	ask->drill = wish.drill;
	return ask_put(book, ask, &request->ctx);
}

/* Has an officer here confirmed the very key that signed the wish, and is it still the node's? */
static bool confirmed(
	const struct book *book, const struct ask *ask, const struct vault_custodian *node)
{
	CLEANUP(buf_release) struct buf value, plain;
	struct trust_row row;
	struct row_name name;

	buf_init(&value, KEYRING_VALUE_MAX + ROW_PLAIN_MAX);
	buf_init(&plain, ROW_PLAIN_MAX);
	trust_row_name(ask->node, &name);
	return node != NULL && memcmp(node->key.b, ask->key.b, ED25519_PUBLIC_SIZE) == 0 &&
	       keyring_get(book->opts.keyring, name.b, &value, NULL) == OK &&
	       row_unwrap(secret_bytes(&book->keyring_key), ROW_CONFIRMED, &name, buf_bytes(&value),
		       &plain) == OK &&
	       trust_row_read(buf_bytes(&plain), &row, NULL) == OK &&
	       strcmp(row.node, ask->node) == 0 &&
	       memcmp(row.key.b, ask->key.b, ED25519_PUBLIC_SIZE) == 0;
}

/* ERR_NOTFOUND: not here, or another's. */
static enum err key_find(
	struct book *book, const char *owner, const uint8_t id[ESCROW_ID_SIZE], struct secret *ret)
{
	CLEANUP(arena_release) struct arena arena;
	CLEANUP(buf_release) struct buf value;
	Sauti__StoredCustodyRow *row;
	struct row_name name;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	buf_init(&value, KEYRING_VALUE_MAX + ROW_PLAIN_MAX);
	memcpy(name.b, id, sizeof(name.b));
	TRY(keyring_get(book->opts.keyring, id, &value, NULL));
	if (row_kind(buf_bytes(&value)) != ROW_CUSTODY)
		return ERR_NOTFOUND;
	TRY(row_open(book, &name, buf_bytes(&value), &arena, &row));
	if (row->body_case != SAUTI__STORED_CUSTODY_ROW__BODY_KEY)
		return ERR_NOTFOUND;
	err = strcmp(row->key->owner, owner) == 0 ? secret_copy(ret, codec_bytes(row->key->key))
						  : ERR_NOTFOUND;
	wipe(row->key->key.data, row->key->key.len);
	return err;
}

enum err custody_owner(struct book *book, const uint8_t id[ESCROW_ID_SIZE],
	char ret_owner[LIMIT_NODE_NAME + 1], struct hash *ret_signed_by)
{
	CLEANUP(arena_release) struct arena arena;
	CLEANUP(buf_release) struct buf value;
	Sauti__StoredCustodyRow *row;
	struct row_name name;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	buf_init(&value, KEYRING_VALUE_MAX + ROW_PLAIN_MAX);
	memcpy(name.b, id, sizeof(name.b));
	TRY(keyring_get(book->opts.keyring, id, &value, NULL));
	if (row_kind(buf_bytes(&value)) != ROW_CUSTODY)
		return ERR_NOTFOUND;
	TRY(row_open(book, &name, buf_bytes(&value), &arena, &row));
	if (row->body_case != SAUTI__STORED_CUSTODY_ROW__BODY_KEY)
		return ERR_NOTFOUND;
	wipe(row->key->key.data, row->key->key.len);
	if (row->key->signed_by.len != HASH_SIZE || strlen(row->key->owner) > LIMIT_NODE_NAME)
		return ERR_CORRUPT;
	strcpy(ret_owner, row->key->owner);
	memcpy(ret_signed_by->b, row->key->signed_by.data, HASH_SIZE);
	return OK;
}

void custody_forget(struct custody *custody, const char *owner)
{
	for (size_t i = 0; i < custody->owner_count; i++)
		if (strcmp(custody->owners[i].node, owner) == 0 && custody->owners[i].keys > 0) {
			custody->owners[i].keys--;
			custody->keys--;
		}
}

static enum err answer_fill(
	struct book *book, const struct ask *ask, struct mail_recovery_answer *answer)
{
	answer->drill = ask->drill;
	TRY(version_keys_init(&answer->keys, LIMIT_ESCROW_MAIL_KEYS));
	for (size_t i = 0; i < ask->ids.count; i++) {
		struct version_key *key = &answer->keys.list[answer->keys.count];
		enum err err = key_find(book, ask->node, ask->ids.list[i], &key->key);

		if (err == ERR_NOTFOUND) {
			TRY(version_ids_add(&answer->missing, ask->ids.list[i]));
			continue;
		}
		TRY(err);
		memcpy(key->id, ask->ids.list[i], sizeof(key->id));
		answer->keys.count++;
	}
	return OK;
}

struct others {
	struct book *book;
	const struct ask *ask;
	struct mail_recovery_answer *answer;
};

static bool asked_for(const struct ask *ask, const uint8_t id[ESCROW_ID_SIZE])
{
	for (size_t i = 0; i < ask->ids.count; i++)
		if (memcmp(ask->ids.list[i], id, ESCROW_ID_SIZE) == 0)
			return true;
	return false;
}

static enum err other_add(void *arg, const struct keyring_item *item, struct errctx *ctx)
{
	CLEANUP(arena_release) struct arena arena;
	struct others *o = arg;
	struct version_keys *keys = &o->answer->keys;
	Sauti__StoredCustodyRow *row;
	struct row_name name;
	enum err err = OK;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (row_kind(item->value) != ROW_CUSTODY || keys->count == LIMIT_ESCROW_MAIL_KEYS ||
		asked_for(o->ask, item->kid))
		return OK;
	memcpy(name.b, item->kid, sizeof(name.b));
	TRY(row_open(o->book, &name, item->value, &arena, &row));
	if (row->body_case != SAUTI__STORED_CUSTODY_ROW__BODY_KEY)
		return OK;
	if (strcmp(row->key->owner, o->ask->node) == 0) {
		memcpy(keys->list[keys->count].id, item->kid, ESCROW_ID_SIZE);
		err = secret_copy(&keys->list[keys->count].key, codec_bytes(row->key->key));
		keys->count += err == OK;
	}
	wipe(row->key->key.data, row->key->key.len);
	return err;
}

/* All else that is kept for it, as far as there is room: a machine that took another's place has to
 * know what there is, so that it can have it destroyed one day. */
static enum err others_fill(
	struct book *book, const struct ask *ask, struct mail_recovery_answer *answer)
{
	struct others others = {book, ask, answer};

	return keyring_each(book->opts.keyring, other_add, &others, NULL);
}

static enum err answer_one(struct book *book, struct vault_request *request, const struct ask *ask,
	const struct vault_custodian *node)
{
	CLEANUP(mail_recovery_answer_release) struct mail_recovery_answer answer = {.drill = false};
	struct vault_custodian to = *node;
	struct row_name name;
	struct buf content;
	enum err err;

	buf_init(&content, LIMIT_MAIL_CONTENT);
	(void)buf_reserve(&content, LIMIT_MAIL_CONTENT);
	to.prekey = ask->prekey; /* signed with the wish */
	err = answer_fill(book, ask, &answer);
	if (err == OK && !ask->drill)
		err = others_fill(book, ask, &answer);
	if (err == OK)
		err = mail_recovery_answer_write(&content, &answer);
	if (err == OK)
		err = escrow_letter(request, book, &to, MAIL_RECOVERY_ANSWER, buf_bytes(&content));
	buf_wipe(&content);
	TRY(err);
	ask_name(ask->node, &name);
	return row_remove(book, &name, &request->ctx);
}

static const struct vault_custodian *node_of(const struct vault_escrow *io, const char *name)
{
	for (size_t i = 0; io != NULL && i < io->node_count; i++)
		if (strcmp(io->nodes[i].node, name) == 0)
			return &io->nodes[i];
	return NULL;
}

enum err custody_answer(struct book *book, struct vault_request *request)
{
	struct custody *custody = book->escrow->custody;

	for (size_t i = 0; i < custody->ask_count;) {
		struct ask *ask = &custody->asks[i];
		const struct vault_custodian *node = node_of(request->escrow, ask->node);

		if (!confirmed(book, ask, node)) {
			i++;
			continue;
		}
		TRY(answer_one(book, request, ask, node));
		version_ids_release(&ask->ids);
		*ask = custody->asks[--custody->ask_count];
	}
	return OK;
}

void custody_put(const struct book *book, const struct vault_request *request, struct buf *json)
{
	const struct custody *custody = book->escrow->custody;
	bool first = true;

	buf_put_str(json, ",\"kept_for\":[");
	for (size_t i = 0; i < custody->owner_count; i++) {
		if (custody->owners[i].keys == 0)
			continue;
		buf_printf(json, "%s{\"node\":\"%s\",\"keys\":%u}", first ? "" : ",",
			custody->owners[i].node, custody->owners[i].keys);
		first = false;
	}
	buf_put_str(json, "],\"asks\":[");
	for (size_t i = 0; i < custody->ask_count; i++) {
		const struct ask *ask = &custody->asks[i];
		const struct vault_custodian *node = node_of(request->escrow, ask->node);
		bool same =
			node != NULL && memcmp(node->key.b, ask->key.b, ED25519_PUBLIC_SIZE) == 0;

		buf_printf(json,
			"%s{\"node\":\"%s\",\"asked_at\":%llu,\"drill\":%s,\"current\":%s}",
			i == 0 ? "" : ",", ask->node, (unsigned long long)ask->asked_at,
			ask->drill ? "true" : "false", same ? "true" : "false");
	}
	buf_put_str(json, "]");
}
