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
	CLEAR_MAX = 4096, /* BootKeys or KeystoreBody packed; with all fields at their caps 2,500 */
	CLEAR_ROOM = 4096, /* what unpacking those takes beyond twice their size */
	COST_FACTOR_MAX = 4,
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
static enum err version_check(uint32_t version, const ProtobufCMessageDescriptor *descriptor,
	struct bytes file, struct errctx *ctx)
{
	if (version > KEYSTORE_VERSION)
		return err_set(ctx, ERR_VERSION,
			"the file has version %u and this Sauti knows %d: a newer Sauti wrote it",
			version, KEYSTORE_VERSION);
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

	message.version = KEYSTORE_VERSION;
	message.network = (char *)keys->network;
	message.node = (char *)keys->node;
	message.tls_key = codec_binary(secret_bytes(&keys->tls_key));
	message.mirror_seed = codec_binary(secret_bytes(&keys->mirror_seed));
	message.witness_seed = codec_binary(secret_bytes(&keys->witness_seed));
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
	TRY(version_check(message->version, &sauti__boot_keys__descriptor, file, ctx));
	TRY(boot_keys_check(message, ctx));
	strcpy(keys.network, message->network);
	strcpy(keys.node, message->node);
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
	secret_release(&keys->directory_seed);
	secret_release(&keys->issuing_key);
	secret_release(&keys->root_key);
	for (size_t i = 0; i < keys->prekey_count; i++)
		secret_release(&keys->prekeys[i].key);
	*keys = (struct node_keys){0};
}

enum err node_keys_add_prekey(struct node_keys *keys, uint64_t made_at)
{
	struct node_prekey prekey = {.number = 1, .made_at = made_at};

	if (keys->prekey_count == KEYSTORE_PREKEYS_MAX)
		return ERR_LIMIT;
	if (keys->prekey_count > 0)
		prekey.number = keys->prekeys[keys->prekey_count - 1].number + 1;
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
		*ret = keys;
	else
		node_keys_release(&keys);
	return err;
}

static bool seed_ok(ProtobufCBinaryData seed)
{
	return seed.len == 0 || seed.len == SEED_SIZE;
}

static bool prekeys_ok(const Sauti__KeystoreBody *body)
{
	uint64_t last = 0;

	if (body->n_prekeys > KEYSTORE_PREKEYS_MAX)
		return false;
	for (size_t i = 0; i < body->n_prekeys; i++) {
		if (body->prekeys[i]->number <= last ||
			body->prekeys[i]->key.len != X25519_KEY_SIZE)
			return false;
		last = body->prekeys[i]->number;
	}
	return true;
}

/* The rules of a body, the same for writing and for reading. */
static bool body_ok(const Sauti__KeystoreBody *body)
{
	size_t total = body->node_seed.len + body->log_seed.len + body->keyring_key.len +
		       body->complaint_key.len + body->directory_seed.len + body->issuing_key.len +
		       body->root_key.len;

	return total > 0 && prekeys_ok(body) && seed_ok(body->node_seed) &&
	       seed_ok(body->log_seed) && seed_ok(body->keyring_key) &&
	       seed_ok(body->complaint_key) && seed_ok(body->directory_seed) &&
	       body->issuing_key.len <= KEYSTORE_DER_MAX &&
	       body->root_key.len <= KEYSTORE_DER_MAX && strlen(body->log_origin) <= LIMIT_ORIGIN &&
	       strlen(body->directory_origin) <= LIMIT_ORIGIN;
}

/* A body that borrows the keys. */
struct body_view {
	Sauti__KeystoreBody body;
	Sauti__StoredPrekey prekey[KEYSTORE_PREKEYS_MAX], *prekeys[KEYSTORE_PREKEYS_MAX];
};

static void body_view(const struct node_keys *keys, struct body_view *view)
{
	Sauti__KeystoreBody *body = &view->body;

	sauti__keystore_body__init(body);
	for (size_t i = 0; i < keys->prekey_count; i++) {
		sauti__stored_prekey__init(&view->prekey[i]);
		view->prekey[i].number = keys->prekeys[i].number;
		view->prekey[i].made_at = keys->prekeys[i].made_at;
		view->prekey[i].key = codec_binary(secret_bytes(&keys->prekeys[i].key));
		view->prekeys[i] = &view->prekey[i];
	}
	body->prekeys = view->prekeys;
	body->n_prekeys = keys->prekey_count;
	body->node_seed = codec_binary(secret_bytes(&keys->node_seed));
	body->log_seed = codec_binary(secret_bytes(&keys->log_seed));
	body->log_origin = (char *)keys->log_origin;
	body->keyring_key = codec_binary(secret_bytes(&keys->keyring_key));
	body->complaint_key = codec_binary(secret_bytes(&keys->complaint_key));
	body->directory_seed = codec_binary(secret_bytes(&keys->directory_seed));
	body->directory_origin = (char *)keys->directory_origin;
	body->issuing_key = codec_binary(secret_bytes(&keys->issuing_key));
	body->root_key = codec_binary(secret_bytes(&keys->root_key));
}

static enum err prekeys_read(const Sauti__KeystoreBody *body, struct node_keys *keys)
{
	for (size_t i = 0; i < body->n_prekeys; i++) {
		struct node_prekey *prekey = &keys->prekeys[i];

		TRY(secret_copy(&prekey->key, codec_bytes(body->prekeys[i]->key)));
		prekey->number = body->prekeys[i]->number;
		prekey->made_at = body->prekeys[i]->made_at;
		keys->prekey_count++;
	}
	return OK;
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
		{&keys.directory_seed, body->directory_seed},
		{&keys.issuing_key, body->issuing_key},
		{&keys.root_key, body->root_key},
	};
	for (size_t i = 0; i < sizeof(copies) / sizeof(copies[0]); i++) {
		err = secret_from(copies[i].to, copies[i].from);
		if (err != OK) {
			node_keys_release(&keys);
			return err;
		}
	}
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

static enum err slot_aad(struct buf *out, uint32_t version, const Sauti__KeystoreSlot *slot)
{
	buf_init(out, LIMIT_KEYSTORE_SIZE);
	buf_put_str(out, AAD_SLOT);
	buf_put_u32be(out, version);
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

/* ---- sealing ---- */

/* Everything random about a file with one slot, and the room for what is sealed in it. */
struct sealing {
	uint8_t salt[KEYSTORE_SALT_SIZE], slot_nonce[AEAD_NONCE_SIZE], body_nonce[AEAD_NONCE_SIZE];
	uint8_t master[MASTER_SEALED_SIZE];
	Sauti__KeystoreSlot slot;
	Sauti__KeystoreSlot *slots[1];
	Sauti__Keystore file;
};

static enum err sealing_init(struct sealing *sealing, const char *label, struct scrypt_cost cost)
{
	TRY(random_bytes(sealing->salt, sizeof(sealing->salt)));
	TRY(random_bytes(sealing->slot_nonce, sizeof(sealing->slot_nonce)));
	TRY(random_bytes(sealing->body_nonce, sizeof(sealing->body_nonce)));
	sauti__keystore_slot__init(&sealing->slot);
	sealing->slot.label = (char *)label;
	sealing->slot.scrypt_n = cost.n;
	sealing->slot.scrypt_r = cost.r;
	sealing->slot.scrypt_p = cost.p;
	sealing->slot.salt = codec_binary(BYTES_ARRAY(sealing->salt));
	sealing->slot.nonce = codec_binary(BYTES_ARRAY(sealing->slot_nonce));
	sealing->slots[0] = &sealing->slot;
	sauti__keystore__init(&sealing->file);
	sealing->file.version = KEYSTORE_VERSION;
	sealing->file.n_slots = 1;
	sealing->file.slots = sealing->slots;
	sealing->file.nonce = codec_binary(BYTES_ARRAY(sealing->body_nonce));
	return OK;
}

static enum err seal_master(
	struct sealing *sealing, struct bytes passphrase, const struct secret *master)
{
	CLEANUP(aead_key_wipe) struct aead_key key = {0};
	CLEANUP(buf_release) struct buf aad = {0};

	TRY(slot_aad(&aad, KEYSTORE_VERSION, &sealing->slot));
	TRY(slot_key(&sealing->slot, passphrase, &key));
	TRY(aead_seal(&key, buf_bytes(&aad), secret_bytes(master), sealing->master));
	sealing->slot.master = codec_binary(BYTES_ARRAY(sealing->master));
	return OK;
}

/* After seal_master: the body binds the finished slots. */
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

enum err keystore_seal(const struct node_keys *keys, const char *label, struct bytes passphrase,
	struct scrypt_cost cost, struct buf *out)
{
	CLEANUP(secret_release) struct secret master = {0};
	CLEANUP(buf_wipe) struct buf plain;
	struct sealing sealing = {0};
	struct body_view view;

	buf_init(&plain, CLEAR_MAX);
	TRY(passphrase_check(passphrase));
	body_view(keys, &view);
	if (!label_ok(label) || !body_ok(&view.body))
		return ERR_INVALID;
	TRY(clear_pack(&plain, &view.body));
	TRY(secret_random(&master, AEAD_KEY_SIZE));
	TRY(sealing_init(&sealing, label, cost));
	TRY(seal_master(&sealing, passphrase, &master));
	return seal_body(&sealing.file, &master, buf_bytes(&plain), out);
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

	TRY(slot_aad(&aad, file->version, slot));
	TRY(slot_key(slot, passphrase, &key));
	return aead_open(&key, buf_bytes(&aad), codec_bytes(slot->master), master->data);
}

static enum err open_body(const Sauti__Keystore *file, const struct secret *master,
	struct node_keys *ret, struct errctx *ctx)
{
	CLEANUP(secret_release) struct secret plain = {0};
	CLEANUP(aead_key_wipe) struct aead_key key = {0};
	CLEANUP(buf_release) struct buf aad = {0};
	enum err err;

	TRY(body_aad(&aad, file));
	memcpy(key.key, master->data, AEAD_KEY_SIZE);
	memcpy(key.nonce, file->nonce.data, AEAD_NONCE_SIZE);
	TRY(secret_init(&plain, file->body.len - AEAD_TAG_SIZE));
	err = aead_open(&key, buf_bytes(&aad), codec_bytes(file->body), plain.data);
	if (err == ERR_DECRYPT)
		return err_set(ctx, ERR_CORRUPT, "a slot opens, but the keys are damaged");
	TRY(err);
	return body_read(secret_bytes(&plain), ret, ctx);
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

static enum err file_read(struct bytes file, struct bytes passphrase, struct arena *arena,
	Sauti__Keystore **ret, struct errctx *ctx)
{
	TRY(passphrase_check(passphrase));
	if (file.size > LIMIT_KEYSTORE_SIZE)
		return err_set(ctx, ERR_CORRUPT, "%zu bytes are too many", file.size);
	TRY(damaged(CODEC_UNPACK(keystore, file, &scan_limits_default, arena, ret, ctx)));
	TRY(version_check((*ret)->version, &sauti__keystore__descriptor, file, ctx));
	return file_check(*ret, ctx);
}

enum err keystore_open(
	struct bytes file, struct bytes passphrase, struct node_keys *ret, struct errctx *ctx)
{
	CLEANUP(arena_release) struct arena arena;
	CLEANUP(secret_release) struct secret master = {0};
	Sauti__Keystore *message;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	TRY(file_read(file, passphrase, &arena, &message, ctx));
	TRY(secret_init(&master, AEAD_KEY_SIZE));
	TRY(find_master(message, passphrase, &master, ctx));
	return open_body(message, &master, ret, ctx);
}

/* ---- sealing again ---- */

enum err keystore_reseal(struct bytes file, struct bytes passphrase, const struct node_keys *keys,
	struct buf *out, struct errctx *ctx)
{
	CLEANUP(arena_release) struct arena arena;
	CLEANUP(secret_release) struct secret master = {0};
	CLEANUP(buf_wipe) struct buf plain;
	uint8_t nonce[AEAD_NONCE_SIZE];
	struct body_view view;
	Sauti__Keystore *message;

	buf_init(&plain, CLEAR_MAX);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	body_view(keys, &view);
	if (!body_ok(&view.body))
		return ERR_INVALID;
	TRY(file_read(file, passphrase, &arena, &message, ctx));
	TRY(secret_init(&master, AEAD_KEY_SIZE));
	TRY(find_master(message, passphrase, &master, ctx));
	TRY(clear_pack(&plain, &view.body));
	TRY(random_bytes(nonce, sizeof(nonce)));
	message->nonce = codec_binary(BYTES_ARRAY(nonce));
	return seal_body(message, &master, buf_bytes(&plain), out);
}
