#include "certs/keystore.h"

#include "base/text.h"
#include "certs/x509.h"
#include "proto/codec.h"
#include "proto/stored.pb-c.h"

#define AAD_SLOT "sauti/1 keystore slot"
#define AAD_BODY "sauti/1 keystore body"

enum {
	SEED_SIZE = 32,
	MASTER_SEALED_SIZE = AEAD_KEY_SIZE + AEAD_TAG_SIZE,
	CLEAR_MAX =
		32768, /* BootKeys or KeystoreBody packed; with all fields at their caps 22,000 */
	CLEAR_ROOM = 32768, /* what unpacking those takes beyond twice their size */
	COST_FACTOR_MAX = 4,
	SLOT_VERSION = 1,  /* of a slot, whatever the file's */
	VERSION_PLAIN = 1, /* of a file without accounts */
};

const struct scrypt_cost keystore_cost = {.n = UINT64_C(1) << 16, .r = 8, .p = 1};

/* ---- reading and writing messages that hold secrets: no copy stays behind ---- */

/* Memory for one unpacked message, wiped at the end. Must not move after clear_unpack. */
struct clear {
	struct secret memory;
	size_t used;
	struct arena arena; /* only its allocator is used, which is the one below */
};

static void *clear_alloc(void *arg, size_t size)
{
	struct clear *clear = arg;
	uint8_t *pointer = clear->memory.data + clear->used;

	if (size > clear->memory.size - clear->used)
		return NULL;
	size = (size + 15) / 16 * 16;
	if (size > clear->memory.size - clear->used)
		return NULL;
	clear->used += size;
	return pointer;
}

static void clear_ignore(void *arg, void *pointer) {}

static void clear_release(struct clear *clear)
{
	secret_release(&clear->memory);
}

/* What was our own once is not malformed but damaged. */
static enum err damaged(enum err err)
{
	return err == ERR_MALFORMED || err == ERR_LIMIT ? ERR_CORRUPT : err;
}

static enum err clear_unpack(struct clear *clear, const ProtobufCMessageDescriptor *descriptor,
	struct bytes wire, void *ret_message, struct errctx *ctx)
{
	if (wire.size > CLEAR_MAX)
		return err_set(ctx, ERR_CORRUPT, "%zu bytes are too many", wire.size);
	TRY(secret_init(&clear->memory, 2 * wire.size + CLEAR_ROOM));
	clear->arena.allocator = (ProtobufCAllocator){clear_alloc, clear_ignore, clear};
	return damaged(codec_unpack(
		descriptor, wire, &scan_limits_default, &clear->arena, ret_message, ctx));
}

/* Packs with all room reserved first: growth would leave copies behind. */
static enum err clear_pack(struct buf *out, const void *message)
{
	if (buf_reserve(out, protobuf_c_message_get_packed_size(message)) != NULL)
		codec_pack(out, message);
	return out->err;
}

/*
 * A file is unpacked leniently, so that one of a newer version is known as such whatever fields it
 * has; only then must every field be one that this version knows.
 */
static enum err version_check(uint32_t version, uint32_t newest,
	const ProtobufCMessageDescriptor *descriptor, struct bytes file, struct errctx *ctx)
{
	if (version > newest)
		return err_set(ctx, ERR_VERSION,
			"the file has version %u and this Sauti knows %u: a newer Sauti wrote it",
			version, newest);
	if (version == 0)
		return err_set(ctx, ERR_CORRUPT, "the file has no version");
	return damaged(scan_message(descriptor, file, &scan_limits_strict, ctx));
}

static enum err secret_from(struct secret *secret, ProtobufCBinaryData field)
{
	return field.len == 0 ? OK : secret_copy(secret, codec_bytes(field));
}

/* ---- boot keys ---- */

void boot_keys_release(struct boot_keys *keys)
{
	if (keys == NULL)
		return;
	secret_release(&keys->tls_key);
	secret_release(&keys->mirror_seed);
	secret_release(&keys->witness_seed);
	*keys = (struct boot_keys){0};
}

enum err boot_keys_make(const char *network, const char *node, struct boot_keys *ret)
{
	struct boot_keys keys = {0};
	enum err err;

	if (!network_name_valid(bytes_str(network)) || !node_name_valid(bytes_str(node)))
		return ERR_INVALID;
	strcpy(keys.network, network);
	strcpy(keys.node, node);
	err = tls_key_new(&keys.tls_key);
	if (err == OK)
		err = secret_random(&keys.mirror_seed, ED25519_SEED_SIZE);
	if (err == OK)
		err = secret_random(&keys.witness_seed, ED25519_SEED_SIZE);
	if (err == OK)
		*ret = keys;
	else
		boot_keys_release(&keys);
	return err;
}

enum err boot_keys_write(const struct boot_keys *keys, struct buf *out)
{
	Sauti__BootKeys message = SAUTI__BOOT_KEYS__INIT;

	message.version = BOOT_KEYS_VERSION;
	message.network = (char *)keys->network;
	message.node = (char *)keys->node;
	message.tls_key = codec_binary(secret_bytes(&keys->tls_key));
	message.mirror_seed = codec_binary(secret_bytes(&keys->mirror_seed));
	message.witness_seed = codec_binary(secret_bytes(&keys->witness_seed));
	message.log_origin = (char *)keys->log_origin;
	return clear_pack(out, &message);
}

static enum err boot_keys_check(const Sauti__BootKeys *message, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf spki;
	struct hash hash;
	enum err err;

	buf_init(&spki, KEYSTORE_DER_MAX);
	if (!network_name_valid(bytes_str(message->network)))
		return err_set(ctx, ERR_CORRUPT, "the network's name is none");
	if (!node_name_valid(bytes_str(message->node)))
		return err_set(ctx, ERR_CORRUPT, "the node's name is none");
	if (strlen(message->log_origin) > LIMIT_ORIGIN)
		return err_set(ctx, ERR_CORRUPT, "the first log's name is none");
	if (message->mirror_seed.len != SEED_SIZE || message->witness_seed.len != SEED_SIZE)
		return err_set(ctx, ERR_CORRUPT, "a seed is not of %d bytes", SEED_SIZE);
	if (message->tls_key.len == 0 || message->tls_key.len > KEYSTORE_DER_MAX)
		return err_set(ctx, ERR_CORRUPT, "TLS key of %zu bytes", message->tls_key.len);
	err = tls_key_spki(codec_bytes(message->tls_key), &spki, &hash);
	if (err == ERR_NOMEM)
		return err;
	return err == OK ? OK : err_set(ctx, ERR_CORRUPT, "the TLS key is none");
}

enum err boot_keys_read(struct bytes file, struct boot_keys *ret, struct errctx *ctx)
{
	CLEANUP(clear_release) struct clear clear = {0};
	struct boot_keys keys = {0};
	Sauti__BootKeys *message;
	enum err err;

	TRY(clear_unpack(&clear, &sauti__boot_keys__descriptor, file, &message, ctx));
	TRY(version_check(
		message->version, BOOT_KEYS_VERSION, &sauti__boot_keys__descriptor, file, ctx));
	TRY(boot_keys_check(message, ctx));
	strcpy(keys.network, message->network);
	strcpy(keys.node, message->node);
	strcpy(keys.log_origin, message->log_origin);
	err = secret_from(&keys.tls_key, message->tls_key);
	if (err == OK)
		err = secret_from(&keys.mirror_seed, message->mirror_seed);
	if (err == OK)
		err = secret_from(&keys.witness_seed, message->witness_seed);
	if (err == OK)
		*ret = keys;
	else
		boot_keys_release(&keys);
	return err;
}

/* ---- node keys and the sealed body ---- */

void node_keys_release(struct node_keys *keys)
{
	if (keys == NULL)
		return;
	secret_release(&keys->node_seed);
	secret_release(&keys->log_seed);
	secret_release(&keys->keyring_key);
	secret_release(&keys->complaint_key);
	secret_release(&keys->inbox_key);
	secret_release(&keys->directory_seed);
	secret_release(&keys->issuing_key);
	secret_release(&keys->root_key);
	secret_release(&keys->next_node_seed);
	secret_release(&keys->next_boot);
	secret_release(&keys->erasure.keyring_next);
	for (size_t i = 0; i < keys->prekey_count; i++)
		secret_release(&keys->prekeys[i].key);
	*keys = (struct node_keys){0};
}

void node_keys_prekeys(const struct node_keys *keys, struct prekey_table *ret)
{
	ret->count = keys->prekey_count;
	for (size_t i = 0; i < keys->prekey_count; i++)
		ret->list[i] = keys->prekeys[i].is;
}

/* The table is this one, but for some that are gone or forgotten. */
static void prekeys_follow(struct node_keys *keys, const struct prekey_table *table)
{
	size_t count = 0;

	for (size_t i = 0; i < keys->prekey_count; i++) {
		struct node_prekey prekey = keys->prekeys[i];

		if (count == table->count || table->list[count].number != prekey.is.number) {
			secret_release(&prekey.key);
			continue;
		}
		prekey.is = table->list[count];
		if (prekey.is.gone_at != 0)
			secret_release(&prekey.key);
		keys->prekeys[count++] = prekey;
	}
	keys->prekey_count = count;
}

enum err node_keys_step_prekeys(
	struct node_keys *keys, const struct prekey_look *look, bool *ret_changed, bool *ret_full)
{
	struct node_prekey prekey = {.is = {.made_at = look->now_s, .signer = look->signer}};
	struct prekey_table table;
	struct prekey_step step;

	node_keys_prekeys(keys, &table);
	step = prekeys_step(&table, look);
	prekeys_follow(keys, &table);
	*ret_changed = step.changed || step.make;
	*ret_full = step.full;
	if (!step.make)
		return OK;
	prekey.is.number = step.next;
	TRY(secret_random(&prekey.key, X25519_KEY_SIZE));
	keys->prekeys[keys->prekey_count++] = prekey;
	return OK;
}

enum err node_keys_make(const char *log_origin, struct node_keys *ret)
{
	struct node_keys keys = {0};
	enum err err;

	if (log_origin[0] == '\0' || strlen(log_origin) > LIMIT_ORIGIN)
		return ERR_INVALID;
	strcpy(keys.log_origin, log_origin);
	err = secret_random(&keys.node_seed, ED25519_SEED_SIZE);
	if (err == OK)
		err = secret_random(&keys.log_seed, ED25519_SEED_SIZE);
	if (err == OK)
		err = secret_random(&keys.keyring_key, AEAD_KEY_SIZE);
	if (err == OK)
		err = secret_random(&keys.complaint_key, X25519_KEY_SIZE);
	if (err == OK)
		err = secret_random(&keys.inbox_key, AEAD_KEY_SIZE);
	if (err == OK)
		*ret = keys;
	else
		node_keys_release(&keys);
	return err;
}

static bool seed_ok(ProtobufCBinaryData seed)
{
	return seed.len == 0 || seed.len == SEED_SIZE;
}

static bool prekey_ok(const Sauti__StoredPrekey *prekey)
{
	bool gone = prekey->gone_at != 0;

	return prekey->key.len == (gone ? 0 : X25519_KEY_SIZE) &&
	       (prekey->signer.len == 0 || prekey->signer.len == HASH_SIZE);
}

static bool prekeys_ok(const Sauti__KeystoreBody *body)
{
	uint64_t last = 0;
	size_t gone = 0;

	for (size_t i = 0; i < body->n_prekeys; i++) {
		if (body->prekeys[i]->number <= last || !prekey_ok(body->prekeys[i]))
			return false;
		last = body->prekeys[i]->number;
		gone += body->prekeys[i]->gone_at != 0;
	}
	return gone <= LIMIT_PREKEYS_GONE && body->n_prekeys - gone <= LIMIT_PREKEYS;
}

static void accounts_read(const Sauti__KeystoreBody *body, struct accounts *accounts)
{
	for (size_t i = 0; i < body->n_accounts; i++) {
		const Sauti__StoredAccount *stored = body->accounts[i];
		struct account *account = &accounts->list[accounts->count++];

		strcpy(account->name, stored->name);
		account->roles = stored->roles;
		account->created_at = stored->created_at;
		account->disabled = stored->disabled;
	}
}

static bool accounts_fit(const Sauti__KeystoreBody *body)
{
	if (body->n_accounts > LIMIT_OFFICERS)
		return false;
	for (size_t i = 0; i < body->n_accounts; i++)
		if (!account_name_valid(bytes_str(body->accounts[i]->name)))
			return false;
	return true;
}

static bool erasure_ok(const Sauti__KeystoreBody *body)
{
	const uint8_t *rows = body->erase_rows.data;
	size_t size = body->erase_rows.len;

	if ((size == 0) != (body->keyring_next.len == 0) || size % KEYSTORE_ROW_SIZE != 0 ||
		size > LIMIT_ERASE_ROWS * KEYSTORE_ROW_SIZE || !seed_ok(body->keyring_next))
		return false;
	for (size_t at = KEYSTORE_ROW_SIZE; at < size; at += KEYSTORE_ROW_SIZE)
		if (memcmp(rows + at - KEYSTORE_ROW_SIZE, rows + at, KEYSTORE_ROW_SIZE) >= 0)
			return false;
	return true;
}

static bool rotation_ok(const Sauti__KeystoreBody *body)
{
	return (body->next_node_seed.len == 0) == (body->next_boot.len == 0) &&
	       seed_ok(body->next_node_seed) && body->next_boot.len <= KEYSTORE_BOOT_MAX;
}

/* The rules of a body, the same for writing and for reading. */
static bool body_ok(const Sauti__KeystoreBody *body)
{
	size_t total = body->node_seed.len + body->log_seed.len + body->keyring_key.len +
		       body->complaint_key.len + body->directory_seed.len + body->issuing_key.len +
		       body->root_key.len + body->inbox_key.len;

	return total > 0 && rotation_ok(body) && erasure_ok(body) && prekeys_ok(body) &&
	       accounts_fit(body) && seed_ok(body->node_seed) && seed_ok(body->log_seed) &&
	       seed_ok(body->keyring_key) && seed_ok(body->complaint_key) &&
	       seed_ok(body->directory_seed) && seed_ok(body->inbox_key) &&
	       body->issuing_key.len <= KEYSTORE_DER_MAX &&
	       body->root_key.len <= KEYSTORE_DER_MAX && strlen(body->log_origin) <= LIMIT_ORIGIN &&
	       strlen(body->directory_origin) <= LIMIT_ORIGIN;
}

/* A body that borrows the keys. */
struct body_view {
	Sauti__KeystoreBody body;
	Sauti__StoredPrekey prekey[PREKEYS_MAX], *prekeys[PREKEYS_MAX];
	Sauti__StoredAccount account[LIMIT_OFFICERS], *accounts[LIMIT_OFFICERS];
};

static void accounts_view(const struct accounts *accounts, struct body_view *view)
{
	for (size_t i = 0; i < accounts->count; i++) {
		const struct account *account = &accounts->list[i];

		sauti__stored_account__init(&view->account[i]);
		view->account[i].name = (char *)account->name;
		view->account[i].roles = account->roles;
		view->account[i].created_at = account->created_at;
		view->account[i].disabled = account->disabled;
		view->accounts[i] = &view->account[i];
	}
	view->body.accounts = view->accounts;
	view->body.n_accounts = accounts->count;
}

static void prekeys_view(const struct node_keys *keys, struct body_view *view)
{
	static const struct hash unknown = {{0}};

	for (size_t i = 0; i < keys->prekey_count; i++) {
		const struct node_prekey *prekey = &keys->prekeys[i];
		Sauti__StoredPrekey *stored = &view->prekey[i];

		sauti__stored_prekey__init(stored);
		stored->number = prekey->is.number;
		stored->made_at = prekey->is.made_at;
		stored->retired_at = prekey->is.retired_at;
		stored->gone_at = prekey->is.gone_at;
		stored->wanted = prekey->is.wanted;
		stored->key = codec_binary(secret_bytes(&prekey->key));
		if (!hash_equal(&prekey->is.signer, &unknown))
			stored->signer = codec_binary(hash_bytes(&prekey->is.signer));
		view->prekeys[i] = stored;
	}
	view->body.prekeys = view->prekeys;
	view->body.n_prekeys = keys->prekey_count;
}

static void body_view(const struct node_keys *keys, struct body_view *view)
{
	Sauti__KeystoreBody *body = &view->body;

	sauti__keystore_body__init(body);
	prekeys_view(keys, view);
	accounts_view(&keys->accounts, view);
	body->inbox_key = codec_binary(secret_bytes(&keys->inbox_key));
	body->node_seed = codec_binary(secret_bytes(&keys->node_seed));
	body->log_seed = codec_binary(secret_bytes(&keys->log_seed));
	body->log_origin = (char *)keys->log_origin;
	body->keyring_key = codec_binary(secret_bytes(&keys->keyring_key));
	body->complaint_key = codec_binary(secret_bytes(&keys->complaint_key));
	body->directory_seed = codec_binary(secret_bytes(&keys->directory_seed));
	body->directory_origin = (char *)keys->directory_origin;
	body->issuing_key = codec_binary(secret_bytes(&keys->issuing_key));
	body->root_key = codec_binary(secret_bytes(&keys->root_key));
	body->next_node_seed = codec_binary(secret_bytes(&keys->next_node_seed));
	body->next_boot = codec_binary(secret_bytes(&keys->next_boot));
	body->keyring_next = codec_binary(secret_bytes(&keys->erasure.keyring_next));
	body->erase_rows = codec_binary(
		bytes_make(keys->erasure.rows, keys->erasure.count * KEYSTORE_ROW_SIZE));
}

static enum err prekeys_read(const Sauti__KeystoreBody *body, struct node_keys *keys)
{
	for (size_t i = 0; i < body->n_prekeys; i++) {
		const Sauti__StoredPrekey *stored = body->prekeys[i];
		struct node_prekey *prekey = &keys->prekeys[i];

		if (stored->key.len > 0)
			TRY(secret_copy(&prekey->key, codec_bytes(stored->key)));
		keys->prekey_count++;
		prekey->is = (struct prekey_state){.number = stored->number,
			.made_at = stored->made_at,
			.retired_at = stored->retired_at,
			.gone_at = stored->gone_at,
			.wanted = stored->wanted};
		if (stored->signer.len > 0)
			memcpy(prekey->is.signer.b, stored->signer.data, HASH_SIZE);
	}
	return OK;
}

static void erasure_read(const Sauti__KeystoreBody *body, struct keystore_erasure *erasure)
{
	erasure->count = body->erase_rows.len / KEYSTORE_ROW_SIZE;
	if (erasure->count > 0)
		memcpy(erasure->rows, body->erase_rows.data, body->erase_rows.len);
}

static enum err body_read(struct bytes plain, struct node_keys *ret, struct errctx *ctx)
{
	CLEANUP(clear_release) struct clear clear = {0};
	struct node_keys keys = {0};
	Sauti__KeystoreBody *body;
	enum err err;

	TRY(clear_unpack(&clear, &sauti__keystore_body__descriptor, plain, &body, ctx));
	TRY(damaged(
		scan_message(&sauti__keystore_body__descriptor, plain, &scan_limits_strict, ctx)));
	if (!body_ok(body))
		return err_set(ctx, ERR_CORRUPT, "a key has the wrong size");
	strcpy(keys.log_origin, body->log_origin);
	strcpy(keys.directory_origin, body->directory_origin);
	const struct {
		struct secret *to;
		ProtobufCBinaryData from;
	} copies[] = {
		{&keys.node_seed, body->node_seed},
		{&keys.log_seed, body->log_seed},
		{&keys.keyring_key, body->keyring_key},
		{&keys.complaint_key, body->complaint_key},
		{&keys.inbox_key, body->inbox_key},
		{&keys.directory_seed, body->directory_seed},
		{&keys.issuing_key, body->issuing_key},
		{&keys.root_key, body->root_key},
		{&keys.next_node_seed, body->next_node_seed},
		{&keys.next_boot, body->next_boot},
		{&keys.erasure.keyring_next, body->keyring_next},
	};
	for (size_t i = 0; i < sizeof(copies) / sizeof(copies[0]); i++) {
		err = secret_from(copies[i].to, copies[i].from);
		if (err != OK) {
			node_keys_release(&keys);
			return err;
		}
	}
	accounts_read(body, &keys.accounts);
	erasure_read(body, &keys.erasure);
	err = prekeys_read(body, &keys);
	if (err != OK) {
		node_keys_release(&keys);
		return err;
	}
	*ret = keys;
	return OK;
}

/* ---- slots ---- */

static void put_slot_head(struct buf *out, const Sauti__KeystoreSlot *slot)
{
	buf_put_lv16(out, bytes_str(slot->label));
	buf_put_u64be(out, slot->scrypt_n);
	buf_put_u32be(out, slot->scrypt_r);
	buf_put_u32be(out, slot->scrypt_p);
	buf_put_lv16(out, codec_bytes(slot->salt));
}

static enum err slot_aad(struct buf *out, const Sauti__KeystoreSlot *slot)
{
	buf_init(out, LIMIT_KEYSTORE_SIZE);
	buf_put_str(out, AAD_SLOT);
	buf_put_u32be(out, SLOT_VERSION);
	put_slot_head(out, slot);
	return out->err;
}

static enum err body_aad(struct buf *out, const Sauti__Keystore *file)
{
	buf_init(out, LIMIT_KEYSTORE_SIZE);
	buf_put_str(out, AAD_BODY);
	buf_put_u32be(out, file->version);
	buf_put_u16be(out, (uint16_t)file->n_slots);
	for (size_t i = 0; i < file->n_slots; i++) {
		put_slot_head(out, file->slots[i]);
		buf_put_lv16(out, codec_bytes(file->slots[i]->nonce));
		buf_put_lv16(out, codec_bytes(file->slots[i]->master));
	}
	return out->err;
}

static struct scrypt_cost slot_cost(const Sauti__KeystoreSlot *slot)
{
	return (struct scrypt_cost){slot->scrypt_n, slot->scrypt_r, slot->scrypt_p};
}

static enum err slot_key(
	const Sauti__KeystoreSlot *slot, struct bytes passphrase, struct aead_key *ret)
{
	memcpy(ret->nonce, slot->nonce.data, AEAD_NONCE_SIZE);
	return scrypt(
		passphrase, codec_bytes(slot->salt), slot_cost(slot), ret->key, AEAD_KEY_SIZE);
}

static void aead_key_wipe(struct aead_key *key)
{
	wipe(key, sizeof(*key));
}

static bool label_ok(const char *label)
{
	size_t size = strlen(label);

	return size > 0 && size <= KEYSTORE_LABEL_MAX && utf8_valid(bytes_str(label));
}

/* HMAC, and so scrypt, extends short keys by zeros: "x" and "x\0" would be one passphrase. */
static enum err passphrase_check(struct bytes passphrase)
{
	if (passphrase.size == 0 || memchr(passphrase.data, 0, passphrase.size) != NULL)
		return ERR_INVALID;
	return passphrase.size > LIMIT_PASSPHRASE ? ERR_LIMIT : OK;
}

/* The accounts of a body and the slots of its file belong together, from version 2 on. */
static bool slots_match(const Sauti__Keystore *file, struct accounts *accounts)
{
	if (!accounts_ok(accounts) || accounts_enabled(accounts) != file->n_slots)
		return false;
	for (size_t i = 0; i < file->n_slots; i++) {
		const struct account *account = accounts_find(accounts, file->slots[i]->label);

		if (account == NULL || account->disabled)
			return false;
	}
	return true;
}

/* ---- sealing ---- */

/* A slot that is made, and the room for what is random in it or sealed. */
struct made_slot {
	uint8_t salt[KEYSTORE_SALT_SIZE], nonce[AEAD_NONCE_SIZE], master[MASTER_SEALED_SIZE];
	Sauti__KeystoreSlot slot;
};

static enum err slot_make(
	struct made_slot *made, const struct keystore_change *change, const struct secret *master)
{
	CLEANUP(aead_key_wipe) struct aead_key key = {0};
	CLEANUP(buf_release) struct buf aad = {0};

	TRY(passphrase_check(change->passphrase));
	TRY(random_bytes(made->salt, sizeof(made->salt)));
	TRY(random_bytes(made->nonce, sizeof(made->nonce)));
	sauti__keystore_slot__init(&made->slot);
	made->slot.label = (char *)change->label;
	made->slot.scrypt_n = change->cost.n;
	made->slot.scrypt_r = change->cost.r;
	made->slot.scrypt_p = change->cost.p;
	made->slot.salt = codec_binary(BYTES_ARRAY(made->salt));
	made->slot.nonce = codec_binary(BYTES_ARRAY(made->nonce));
	TRY(slot_aad(&aad, &made->slot));
	TRY(slot_key(&made->slot, change->passphrase, &key));
	TRY(aead_seal(&key, buf_bytes(&aad), secret_bytes(master), made->master));
	made->slot.master = codec_binary(BYTES_ARRAY(made->master));
	return OK;
}

/* The body binds the finished slots. */
static enum err seal_body(
	Sauti__Keystore *file, const struct secret *master, struct bytes plain, struct buf *out)
{
	CLEANUP(aead_key_wipe) struct aead_key key = {0};
	CLEANUP(buf_release) struct buf aad = {0}, sealed;

	buf_init(&sealed, CLEAR_MAX + AEAD_TAG_SIZE);
	TRY(body_aad(&aad, file));
	memcpy(key.key, master->data, AEAD_KEY_SIZE);
	memcpy(key.nonce, file->nonce.data, AEAD_NONCE_SIZE);
	if (buf_reserve(&sealed, plain.size + AEAD_TAG_SIZE) == NULL)
		return sealed.err;
	TRY(aead_seal(&key, buf_bytes(&aad), plain, sealed.data));
	sealed.size = plain.size + AEAD_TAG_SIZE;
	file->body = codec_binary(buf_bytes(&sealed));
	codec_pack(out, file);
	return out->err;
}

/* Slots are as they shall be: version, nonce and body follow. */
static enum err seal_file(Sauti__Keystore *file, const struct secret *master,
	const struct node_keys *keys, struct buf *out)
{
	CLEANUP(buf_wipe) struct buf plain;
	struct accounts accounts = keys->accounts;
	uint8_t nonce[AEAD_NONCE_SIZE];
	struct body_view view;

	buf_init(&plain, CLEAR_MAX);
	body_view(keys, &view);
	if (!body_ok(&view.body) || (accounts.count > 0 && !slots_match(file, &accounts)))
		return ERR_INVALID;
	file->version = accounts.count > 0 ? KEYSTORE_VERSION : VERSION_PLAIN;
	TRY(clear_pack(&plain, &view.body));
	TRY(random_bytes(nonce, sizeof(nonce)));
	file->nonce = codec_binary(BYTES_ARRAY(nonce));
	return seal_body(file, master, buf_bytes(&plain), out);
}

enum err keystore_seal(const struct node_keys *keys, const char *label, struct bytes passphrase,
	struct scrypt_cost cost, struct buf *out)
{
	CLEANUP(secret_release) struct secret master = {0};
	const struct keystore_change first = {KEYSTORE_SLOT_ADD, label, passphrase, cost};
	Sauti__Keystore file = SAUTI__KEYSTORE__INIT;
	struct made_slot made;
	Sauti__KeystoreSlot *slots[] = {&made.slot};

	if (!label_ok(label))
		return ERR_INVALID;
	TRY(secret_random(&master, AEAD_KEY_SIZE));
	TRY(slot_make(&made, &first, &master));
	file.slots = slots;
	file.n_slots = 1;
	return seal_file(&file, &master, keys, out);
}

/* ---- opening ---- */

static enum err cost_check(const Sauti__KeystoreSlot *slot, struct errctx *ctx)
{
	const uint64_t n_max = COST_FACTOR_MAX * keystore_cost.n;
	const uint64_t r_max = COST_FACTOR_MAX * keystore_cost.r;
	const uint64_t p_max = COST_FACTOR_MAX * keystore_cost.p;
	uint64_t n = slot->scrypt_n, r = slot->scrypt_r, p = slot->scrypt_p;

	/* Each alone first, so that the product cannot overflow. */
	if (n > n_max || r > r_max || p > p_max || n * r * p > n_max * keystore_cost.r)
		return err_set(ctx, ERR_LIMIT, "scrypt parameters of a slot are too costly");
	if (n < 2 || (n & (n - 1)) != 0 || r == 0 || p == 0)
		return err_set(ctx, ERR_CORRUPT, "scrypt parameters of a slot are none");
	return OK;
}

static enum err slot_check(const Sauti__Keystore *file, size_t at, struct errctx *ctx)
{
	const Sauti__KeystoreSlot *slot = file->slots[at];

	if (!label_ok(slot->label))
		return err_set(ctx, ERR_CORRUPT, "a slot's label is none");
	for (size_t i = 0; i < at; i++) {
		if (strcmp(file->slots[i]->label, slot->label) == 0)
			return err_set(ctx, ERR_CORRUPT, "two slots with one label");
	}
	if (slot->salt.len != KEYSTORE_SALT_SIZE || slot->nonce.len != AEAD_NONCE_SIZE ||
		slot->master.len != MASTER_SEALED_SIZE)
		return err_set(ctx, ERR_CORRUPT, "a slot's salt, nonce or key has the wrong size");
	return cost_check(slot, ctx);
}

static enum err file_check(const Sauti__Keystore *file, struct errctx *ctx)
{
	if (file->n_slots == 0 || file->n_slots > KEYSTORE_SLOTS_MAX)
		return err_set(ctx, ERR_CORRUPT, "%zu slots, not 1 to %d", file->n_slots,
			KEYSTORE_SLOTS_MAX);
	if (file->nonce.len != AEAD_NONCE_SIZE || file->body.len <= AEAD_TAG_SIZE ||
		file->body.len > CLEAR_MAX + AEAD_TAG_SIZE)
		return err_set(ctx, ERR_CORRUPT, "nonce or body has the wrong size");
	for (size_t i = 0; i < file->n_slots; i++)
		TRY(slot_check(file, i, ctx));
	return OK;
}

/* ERR_DECRYPT: not with this passphrase. */
static enum err open_master(const Sauti__Keystore *file, const Sauti__KeystoreSlot *slot,
	struct bytes passphrase, struct secret *master)
{
	CLEANUP(aead_key_wipe) struct aead_key key = {0};
	CLEANUP(buf_release) struct buf aad = {0};

	TRY(slot_aad(&aad, slot));
	TRY(slot_key(slot, passphrase, &key));
	return aead_open(&key, buf_bytes(&aad), codec_bytes(slot->master), master->data);
}

/* A file from before there were accounts: who could unlock it could do everything. */
static void accounts_adopt(const Sauti__Keystore *file, struct accounts *accounts)
{
	for (size_t i = 0; i < file->n_slots; i++)
		if (accounts_add(accounts, file->slots[i]->label, ACCOUNT_ROLES_FIRST, 0, NULL) !=
			OK)
			*accounts = (struct accounts){.count = 0};
}

static enum err accounts_settle(
	const Sauti__Keystore *file, struct node_keys *keys, struct errctx *ctx)
{
	bool wanted = file->version != VERSION_PLAIN;

	if (wanted ? !slots_match(file, &keys->accounts) : keys->accounts.count > 0)
		return err_set(ctx, ERR_CORRUPT, "accounts and slots do not belong together");
	if (!wanted && keys->root_key.size == 0)
		accounts_adopt(file, &keys->accounts);
	return OK;
}

static enum err open_body(const Sauti__Keystore *file, const struct secret *master,
	struct node_keys *ret, struct errctx *ctx)
{
	CLEANUP(secret_release) struct secret plain = {0};
	CLEANUP(aead_key_wipe) struct aead_key key = {0};
	CLEANUP(buf_release) struct buf aad = {0};
	struct node_keys keys = {0};
	enum err err;

	TRY(body_aad(&aad, file));
	memcpy(key.key, master->data, AEAD_KEY_SIZE);
	memcpy(key.nonce, file->nonce.data, AEAD_NONCE_SIZE);
	TRY(secret_init(&plain, file->body.len - AEAD_TAG_SIZE));
	err = aead_open(&key, buf_bytes(&aad), codec_bytes(file->body), plain.data);
	if (err == ERR_DECRYPT)
		return err_set(ctx, ERR_CORRUPT, "a slot opens, but the keys are damaged");
	TRY(err);
	TRY(body_read(secret_bytes(&plain), &keys, ctx));
	err = accounts_settle(file, &keys, ctx);
	if (err == OK)
		*ret = keys;
	else
		node_keys_release(&keys);
	return err;
}

/* The master key, by the first slot that the passphrase opens. */
static enum err find_master(const Sauti__Keystore *file, struct bytes passphrase,
	struct secret *master, struct errctx *ctx)
{
	for (size_t i = 0; i < file->n_slots; i++) {
		enum err err = open_master(file, file->slots[i], passphrase, master);

		if (err != ERR_DECRYPT)
			return err;
	}
	return err_set(ctx, ERR_DENIED, "no slot opens with this passphrase");
}

static enum err file_read(
	struct bytes file, struct arena *arena, Sauti__Keystore **ret, struct errctx *ctx)
{
	if (file.size > LIMIT_KEYSTORE_SIZE)
		return err_set(ctx, ERR_CORRUPT, "%zu bytes are too many", file.size);
	TRY(damaged(CODEC_UNPACK(keystore, file, &scan_limits_default, arena, ret, ctx)));
	TRY(version_check(
		(*ret)->version, KEYSTORE_VERSION, &sauti__keystore__descriptor, file, ctx));
	return file_check(*ret, ctx);
}

enum err keystore_open(
	struct bytes file, struct bytes passphrase, struct node_keys *ret, struct errctx *ctx)
{
	CLEANUP(arena_release) struct arena arena;
	CLEANUP(secret_release) struct secret master = {0};
	Sauti__Keystore *message;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	TRY(passphrase_check(passphrase));
	TRY(file_read(file, &arena, &message, ctx));
	TRY(secret_init(&master, AEAD_KEY_SIZE));
	TRY(find_master(message, passphrase, &master, ctx));
	return open_body(message, &master, ret, ctx);
}

enum err keystore_labels(struct bytes file, struct keystore_labels *ret, struct errctx *ctx)
{
	CLEANUP(arena_release) struct arena arena;
	Sauti__Keystore *message;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	TRY(file_read(file, &arena, &message, ctx));
	ret->count = message->n_slots;
	for (size_t i = 0; i < message->n_slots; i++)
		strcpy(ret->label[i], message->slots[i]->label);
	return OK;
}

/* ---- one slot ---- */

/* Where the slot of that label is; n_slots: there is none. */
static size_t slot_find(const Sauti__Keystore *file, const char *label)
{
	size_t at = 0;

	while (at < file->n_slots && strcmp(file->slots[at]->label, label) != 0)
		at++;
	return at;
}

enum err keystore_open_slot(struct bytes file, const char *label, struct bytes passphrase,
	struct node_keys *ret, struct secret *ret_master, struct errctx *ctx)
{
	CLEANUP(arena_release) struct arena arena;
	struct secret master = {0};
	Sauti__Keystore *message;
	size_t at;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	TRY(passphrase_check(passphrase));
	TRY(file_read(file, &arena, &message, ctx));
	at = slot_find(message, label);
	TRY(secret_init(&master, AEAD_KEY_SIZE));
	/* A name that is none is tried at another's slot, for the time that it takes. */
	err = open_master(message, message->slots[at % message->n_slots], passphrase, &master);
	if (err == ERR_DECRYPT || (err == OK && at == message->n_slots))
		err = err_set(ctx, ERR_DENIED, "wrong name or passphrase");
	if (err == OK)
		err = open_body(message, &master, ret, ctx);
	if (err == OK)
		*ret_master = master;
	else
		secret_release(&master);
	return err;
}

/* ---- by the master key ---- */

enum err keystore_open_master(
	struct bytes file, const struct secret *master, struct node_keys *ret, struct errctx *ctx)
{
	CLEANUP(arena_release) struct arena arena;
	Sauti__Keystore *message;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	TRY(file_read(file, &arena, &message, ctx));
	err = open_body(message, master, ret, NULL);
	return err == ERR_CORRUPT
		       ? err_set(ctx, ERR_DENIED, "its keys are not those that were unlocked")
		       : err;
}

/* With room for one more slot than the file has. */
static enum err slot_change(Sauti__Keystore *file, Sauti__KeystoreSlot **room,
	const struct keystore_change *change, struct made_slot *made, struct errctx *ctx)
{
	size_t at = slot_find(file, change->label);
	bool found = at < file->n_slots;

	if (change->what == KEYSTORE_SLOT_ADD ? found : !found)
		return err_set(ctx, found ? ERR_EXISTS : ERR_NOTFOUND, "%s slot of that name",
			found ? "there is a" : "there is no");
	if (!found && file->n_slots == KEYSTORE_SLOTS_MAX)
		return err_set(ctx, ERR_LIMIT, "%d officers may unlock: no more slots fit",
			KEYSTORE_SLOTS_MAX);
	memcpy(room, file->slots, file->n_slots * sizeof(*room));
	file->slots = room;
	if (change->what != KEYSTORE_SLOT_REMOVE) {
		room[at] = &made->slot;
		file->n_slots += !found;
		return OK;
	}
	file->n_slots--;
	memmove(&room[at], &room[at + 1], (file->n_slots - at) * sizeof(*room));
	return OK;
}

enum err keystore_rewrite(struct bytes file, const struct secret *master,
	const struct node_keys *keys, const struct keystore_change *change, struct buf *out,
	struct errctx *ctx)
{
	CLEANUP(arena_release) struct arena arena;
	CLEANUP(node_keys_release) struct node_keys before = {0};
	Sauti__KeystoreSlot *room[KEYSTORE_SLOTS_MAX + 1];
	struct made_slot made;
	Sauti__Keystore *message;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	TRY(file_read(file, &arena, &message, ctx));
	TRY(keystore_open_master(file, master, &before, ctx));
	if (change != NULL)
		TRY(slot_change(message, room, change, &made, ctx));
	if (change != NULL && change->what != KEYSTORE_SLOT_REMOVE)
		TRY(slot_make(&made, change, master));
	return seal_file(message, master, keys, out);
}
