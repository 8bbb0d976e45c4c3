#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/keystore.h"
#include "certs/x509.h"
#include "certs_test.h"
#include "proto/stored.pb-c.h"
#include "tests/unit/base/failing_alloc.h"

#define ORIGIN NETWORK "/haiti/1-0123456789abcdef"

static const struct scrypt_cost cheap = {.n = 2, .r = 1, .p = 1};
static const char phrase_text[] = "correct horse battery staple";
#define PHRASE bytes_str(phrase_text)

/* ---- boot keys ---- */

static void boot_keys_round_trip(void **state)
{
	struct boot_keys keys, read;
	struct buf file;

	buf_init(&file, LIMIT_KEYSTORE_SIZE);
	assert_int_equal(boot_keys_make("ovra", "haiti", &keys), ERR_INVALID);
	assert_int_equal(boot_keys_make(NETWORK, "Haiti", &keys), ERR_INVALID);
	assert_int_equal(boot_keys_make(NETWORK, "haiti", &keys), OK);
	assert_int_equal(keys.mirror_seed.size, ED25519_SEED_SIZE);
	assert_memory_not_equal(keys.mirror_seed.data, keys.witness_seed.data, ED25519_SEED_SIZE);
	assert_int_equal(boot_keys_write(&keys, &file), OK);
	assert_int_equal(boot_keys_read(buf_bytes(&file), &read, NULL), OK);
	assert_string_equal(read.network, NETWORK);
	assert_string_equal(read.node, "haiti");
	assert_true(equal_secret(secret_bytes(&read.tls_key), secret_bytes(&keys.tls_key)));
	assert_true(equal_secret(secret_bytes(&read.mirror_seed), secret_bytes(&keys.mirror_seed)));
	assert_true(
		equal_secret(secret_bytes(&read.witness_seed), secret_bytes(&keys.witness_seed)));
	for (size_t size = 0; size < file.size; size++)
		assert_int_equal(
			boot_keys_read(bytes_make(file.data, size), &read, NULL), ERR_CORRUPT);
	boot_keys_release(&read);
	boot_keys_release(&read);
	boot_keys_release(NULL);
	boot_keys_release(&keys);
	buf_wipe(&file);
}

static void check_boot(const Sauti__BootKeys *message, const char *more, enum err expected)
{
	struct boot_keys read = {0};
	struct errctx ctx = {""};
	struct buf file;

	buf_init(&file, LIMIT_KEYSTORE_SIZE);
	codec_pack(&file, message);
	buf_put_str(&file, more);
	assert_int_equal(boot_keys_read(buf_bytes(&file), &read, &ctx), expected);
	assert_true(expected == OK || ctx.text[0] != '\0');
	boot_keys_release(&read);
	buf_wipe(&file);
}

static void boot_keys_form(void **state)
{
	static const char unknown[] = "\xa8\x06\x01"; /* field 101 = 1 */
	struct boot_keys keys;
	uint8_t longer[KEYSTORE_DER_MAX + 1] = {0};

	assert_int_equal(boot_keys_make(NETWORK, "haiti", &keys), OK);
	char origin[LIMIT_ORIGIN + 2];
	const Sauti__BootKeys good = {
		.base = PROTOBUF_C_MESSAGE_INIT(&sauti__boot_keys__descriptor),
		.version = 1,
		.network = NETWORK,
		.node = "haiti",
		.tls_key = codec_binary(secret_bytes(&keys.tls_key)),
		.mirror_seed = codec_binary(secret_bytes(&keys.mirror_seed)),
		.witness_seed = codec_binary(secret_bytes(&keys.witness_seed)),
	};
	Sauti__BootKeys message = good;

	check_boot(&message, "", OK);
	check_boot(&message, unknown, ERR_CORRUPT);
	message.version = 2;
	check_boot(&message, "", ERR_VERSION);
	check_boot(&message, unknown, ERR_VERSION);
	message.version = 0;
	check_boot(&message, "", ERR_CORRUPT);
	message = good;
	message.network = "ovra";
	check_boot(&message, "", ERR_CORRUPT);
	message = good;
	message.node = "";
	check_boot(&message, "", ERR_CORRUPT);
	message = good;
	message.mirror_seed.len = 31;
	check_boot(&message, "", ERR_CORRUPT);
	message = good;
	message.witness_seed.len = 0;
	check_boot(&message, "", ERR_CORRUPT);
	message = good;
	message.tls_key.len--;
	check_boot(&message, "", ERR_CORRUPT);
	message.tls_key.len = 0;
	check_boot(&message, "", ERR_CORRUPT);
	message.tls_key = codec_binary(BYTES_ARRAY(longer));
	check_boot(&message, "", ERR_CORRUPT);
	/* The first log of a machine that took another's name. */
	message = good;
	memset(origin, 'a', sizeof(origin));
	origin[LIMIT_ORIGIN + 1] = '\0';
	message.log_origin = origin;
	check_boot(&message, "", ERR_CORRUPT);
	origin[LIMIT_ORIGIN] = '\0';
	check_boot(&message, "", OK);
	boot_keys_release(&keys);
}

/* ---- node keys ---- */

static void fill(struct secret *secret, size_t size, uint8_t with)
{
	assert_int_equal(secret_init(secret, size), OK);
	memset(secret->data, with, size);
}

/* Every key there is, of known bytes; for the DER ones the size is that of a P-256 key. */
static struct node_keys all_keys(void)
{
	struct node_keys keys = {
		.log_origin = ORIGIN,
		.directory_origin = DIRECTORY_ORIGIN,
	};

	fill(&keys.node_seed, 32, 1);
	fill(&keys.log_seed, 32, 2);
	fill(&keys.keyring_key, 32, 3);
	fill(&keys.complaint_key, 32, 4);
	fill(&keys.inbox_key, 32, 8);
	fill(&keys.directory_seed, 32, 5);
	fill(&keys.issuing_key, 138, 6);
	fill(&keys.root_key, 138, 7);
	fill(&keys.next_node_seed, 32, 9);
	fill(&keys.next_boot, KEYSTORE_BOOT_MAX, 10);
	return keys;
}

static void assert_same(const struct secret *a, const struct secret *b)
{
	assert_true(equal_secret(secret_bytes(a), secret_bytes(b)));
}

static void assert_same_keys(const struct node_keys *a, const struct node_keys *b)
{
	assert_same(&a->node_seed, &b->node_seed);
	assert_same(&a->log_seed, &b->log_seed);
	assert_same(&a->keyring_key, &b->keyring_key);
	assert_same(&a->complaint_key, &b->complaint_key);
	assert_same(&a->inbox_key, &b->inbox_key);
	assert_same(&a->directory_seed, &b->directory_seed);
	assert_same(&a->issuing_key, &b->issuing_key);
	assert_same(&a->root_key, &b->root_key);
	assert_same(&a->next_node_seed, &b->next_node_seed);
	assert_same(&a->next_boot, &b->next_boot);
	assert_string_equal(a->log_origin, b->log_origin);
	assert_string_equal(a->directory_origin, b->directory_origin);
}

static struct buf sealed_file(const struct node_keys *keys)
{
	struct buf file;

	buf_init(&file, LIMIT_KEYSTORE_SIZE);
	assert_int_equal(keystore_seal(keys, "amina", PHRASE, cheap, &file), OK);
	return file;
}

static void node_keys_are_made(void **state)
{
	char longest[LIMIT_ORIGIN + 2];
	struct node_keys keys;

	memset(longest, 'a', sizeof(longest));
	longest[LIMIT_ORIGIN + 1] = '\0';
	assert_int_equal(node_keys_make("", &keys), ERR_INVALID);
	assert_int_equal(node_keys_make(longest, &keys), ERR_INVALID);
	assert_int_equal(node_keys_make(ORIGIN, &keys), OK);
	assert_string_equal(keys.log_origin, ORIGIN);
	assert_int_equal(keys.node_seed.size, 32);
	assert_int_equal(keys.complaint_key.size, 32);
	assert_memory_not_equal(keys.node_seed.data, keys.log_seed.data, 32);
	assert_memory_not_equal(keys.keyring_key.data, keys.complaint_key.data, 32);
	assert_int_equal(keys.directory_seed.size, 0);
	assert_int_equal(keys.root_key.size, 0);
	node_keys_release(&keys);
	longest[LIMIT_ORIGIN] = '\0';
	assert_int_equal(node_keys_make(longest, &keys), OK);
	node_keys_release(&keys);
	node_keys_release(&keys);
	node_keys_release(NULL);
}

/* As many as there may be: some gone, the others kept. */
static void prekeys_fill(struct node_keys *keys)
{
	for (size_t i = 0; i < PREKEYS_MAX; i++) {
		struct node_prekey *prekey = &keys->prekeys[keys->prekey_count++];

		prekey->is = (struct prekey_state){.number = i + 1, .made_at = 1001 + i};
		prekey->is.gone_at = i < LIMIT_PREKEYS_GONE ? 4000 + i : 0;
		prekey->is.retired_at = i % 2 == 0 ? 3000 + i : 0;
		prekey->is.wanted = i % 3 == 0;
		prekey->is.signer.b[7] = (uint8_t)(i % 4);
		if (prekey->is.gone_at == 0)
			assert_int_equal(secret_random(&prekey->key, X25519_KEY_SIZE), OK);
	}
}

static void assert_refused(const struct node_keys *keys)
{
	struct buf file;

	buf_init(&file, LIMIT_KEYSTORE_SIZE);
	assert_int_equal(keystore_seal(keys, "amina", PHRASE, cheap, &file), ERR_INVALID);
	buf_release(&file);
}

/* As many as there may be, and one more. */
static void prekeys_are_kept_in_order(void **state)
{
	struct node_keys keys = all_keys(), read;
	struct buf file;

	prekeys_fill(&keys);
	file = sealed_file(&keys);
	assert_int_equal(keystore_open(buf_bytes(&file), PHRASE, &read, NULL), OK);
	assert_int_equal(read.prekey_count, PREKEYS_MAX);
	for (size_t i = 0; i < PREKEYS_MAX; i++) {
		const struct prekey_state *a = &read.prekeys[i].is, *b = &keys.prekeys[i].is;

		assert_true(a->number == b->number && a->made_at == b->made_at &&
			    a->retired_at == b->retired_at && a->gone_at == b->gone_at &&
			    a->wanted == b->wanted && hash_equal(&a->signer, &b->signer));
		assert_same(&read.prekeys[i].key, &keys.prekeys[i].key);
	}
	buf_release(&file);
	/* Out of order; kept and without its half; gone and with one; one more that is kept. */
	keys.prekeys[3].is.number = 3;
	assert_refused(&keys);
	keys.prekeys[3].is.number = 4;
	keys.prekeys[3].is.gone_at = 0;
	assert_refused(&keys);
	keys.prekeys[3].is.gone_at = 1;
	keys.prekeys[LIMIT_PREKEYS_GONE].is.gone_at = 1;
	assert_refused(&keys);
	keys.prekeys[LIMIT_PREKEYS_GONE].is.gone_at = 0;
	keys.prekeys[3].is.gone_at = 0;
	assert_int_equal(secret_random(&keys.prekeys[3].key, X25519_KEY_SIZE), OK);
	assert_refused(&keys);
	node_keys_release(&read);
	node_keys_release(&keys);
	buf_release(&file);
}

/* Keys that are to come: both or none, of their sizes. */
static void keys_that_rotate(void **state)
{
	for (int i = 0; i < 5; i++) {
		struct node_keys keys = all_keys();

		if (i == 0 || i == 2)
			secret_release(&keys.next_node_seed);
		if (i == 1 || i == 2)
			secret_release(&keys.next_boot);
		if (i == 3) {
			secret_release(&keys.next_boot);
			fill(&keys.next_boot, KEYSTORE_BOOT_MAX + 1, 10);
		} else if (i == 4) {
			secret_release(&keys.next_node_seed);
			fill(&keys.next_node_seed, 31, 9);
		}
		if (i == 2) {
			struct buf file = sealed_file(&keys);

			buf_wipe(&file);
		} else {
			assert_refused(&keys);
		}
		node_keys_release(&keys);
	}
}

static void keystore_round_trip(void **state)
{
	struct node_keys keys = all_keys(), read;
	struct buf file = sealed_file(&keys), again = sealed_file(&keys);

	assert_int_equal(keystore_open(buf_bytes(&file), PHRASE, &read, NULL), OK);
	assert_same_keys(&keys, &read);
	/* Fresh salt, nonces and master key each time. */
	assert_false(bytes_equal(buf_bytes(&file), buf_bytes(&again)));
	node_keys_release(&read);
	node_keys_release(&keys);
	buf_release(&file);
	buf_release(&again);
}

static void keystore_of_the_root(void **state)
{
	struct node_keys keys = {0}, read;
	struct buf file;

	assert_int_equal(tls_key_new(&keys.root_key), OK);
	file = sealed_file(&keys);
	assert_int_equal(keystore_open(buf_bytes(&file), PHRASE, &read, NULL), OK);
	assert_same_keys(&keys, &read);
	assert_int_equal(read.node_seed.size, 0);
	node_keys_release(&read);
	node_keys_release(&keys);
	buf_release(&file);
}

static void keystore_at_the_real_cost(void **state)
{
	struct node_keys keys = all_keys(), read;
	struct buf file;

	assert_int_equal(keystore_cost.n, 65536);
	assert_int_equal(keystore_cost.r, 8);
	assert_int_equal(keystore_cost.p, 1);
	buf_init(&file, LIMIT_KEYSTORE_SIZE);
	assert_int_equal(keystore_seal(&keys, "amina", PHRASE, keystore_cost, &file), OK);
	assert_int_equal(keystore_open(buf_bytes(&file), PHRASE, &read, NULL), OK);
	assert_same_keys(&keys, &read);
	node_keys_release(&read);
	node_keys_release(&keys);
	buf_release(&file);
}

static void wrong_passphrases(void **state)
{
	uint8_t longest[LIMIT_PASSPHRASE + 1];
	struct node_keys keys = all_keys(), read;
	struct errctx ctx = {""};
	struct buf file = sealed_file(&keys);

	memset(longest, 'a', sizeof(longest));
	assert_int_equal(keystore_open(buf_bytes(&file), bytes_str("correct horse battery stapl"),
				 &read, &ctx),
		ERR_DENIED);
	assert_non_null(strstr(ctx.text, "passphrase"));
	assert_null(strstr(ctx.text, "horse"));
	assert_int_equal(keystore_open(buf_bytes(&file),
				 bytes_make(phrase_text, sizeof(phrase_text)), &read, NULL),
		ERR_INVALID);
	assert_int_equal(keystore_open(buf_bytes(&file), BYTES_NONE, &read, NULL), ERR_INVALID);
	assert_int_equal(
		keystore_open(buf_bytes(&file), BYTES_ARRAY(longest), &read, NULL), ERR_LIMIT);
	buf_clear(&file);
	assert_int_equal(keystore_seal(&keys, "amina", BYTES_NONE, cheap, &file), ERR_INVALID);
	assert_int_equal(
		keystore_seal(&keys, "amina", bytes_make("a\0b", 3), cheap, &file), ERR_INVALID);
	assert_int_equal(
		keystore_seal(&keys, "amina", BYTES_ARRAY(longest), cheap, &file), ERR_LIMIT);
	assert_int_equal(file.size, 0);
	assert_int_equal(
		keystore_seal(&keys, "amina", bytes_make(longest, LIMIT_PASSPHRASE), cheap, &file),
		OK);
	assert_int_equal(
		keystore_open(buf_bytes(&file), bytes_make(longest, LIMIT_PASSPHRASE), &read, NULL),
		OK);
	node_keys_release(&read);
	node_keys_release(&keys);
	buf_release(&file);
}

static void seals_only_what_it_would_open(void **state)
{
	char label[KEYSTORE_LABEL_MAX + 2];
	struct node_keys none = {0}, keys = all_keys(), read;
	struct buf file;

	memset(label, 'x', sizeof(label));
	label[KEYSTORE_LABEL_MAX + 1] = '\0';
	buf_init(&file, LIMIT_KEYSTORE_SIZE);
	assert_int_equal(keystore_seal(&none, "amina", PHRASE, cheap, &file), ERR_INVALID);
	assert_int_equal(keystore_seal(&keys, "", PHRASE, cheap, &file), ERR_INVALID);
	assert_int_equal(keystore_seal(&keys, "\xff", PHRASE, cheap, &file), ERR_INVALID);
	assert_int_equal(keystore_seal(&keys, label, PHRASE, cheap, &file), ERR_INVALID);
	keys.log_seed.size = 31;
	assert_int_equal(keystore_seal(&keys, "amina", PHRASE, cheap, &file), ERR_INVALID);
	keys.log_seed.size = 32;
	secret_release(&keys.issuing_key);
	fill(&keys.issuing_key, KEYSTORE_DER_MAX + 1, 6);
	assert_int_equal(keystore_seal(&keys, "amina", PHRASE, cheap, &file), ERR_INVALID);
	assert_int_equal(file.size, 0);
	secret_release(&keys.issuing_key);
	secret_release(&keys.root_key);
	fill(&keys.issuing_key, KEYSTORE_DER_MAX, 6);
	fill(&keys.root_key, KEYSTORE_DER_MAX, 7);
	label[KEYSTORE_LABEL_MAX] = '\0';
	assert_int_equal(keystore_seal(&keys, label, PHRASE, cheap, &file), OK);
	assert_int_equal(keystore_open(buf_bytes(&file), PHRASE, &read, NULL), OK);
	assert_same_keys(&keys, &read);
	node_keys_release(&read);
	node_keys_release(&keys);
	buf_release(&file);
}

/* ---- tampering ---- */

static void no_changed_byte_opens(void **state)
{
	struct node_keys keys = {0}, read;
	struct buf file;

	fill(&keys.node_seed, 32, 1);
	file = sealed_file(&keys);
	for (size_t i = 0; i < file.size; i++) {
		for (unsigned change = 1; change < 256; change++) {
			enum err err;

			file.data[i] ^= (uint8_t)change;
			err = keystore_open(buf_bytes(&file), PHRASE, &read, NULL);
			if (err != ERR_DENIED && err != ERR_CORRUPT && err != ERR_VERSION &&
				err != ERR_LIMIT)
				fail_msg("byte %zu ^ %#x: %s", i, change, err_name(err));
			file.data[i] ^= (uint8_t)change;
		}
	}
	for (size_t size = 0; size < file.size; size++)
		assert_int_not_equal(
			keystore_open(bytes_make(file.data, size), PHRASE, &read, NULL), OK);
	buf_put_str(&file, "\xa8\x06\x01");
	assert_int_equal(keystore_open(buf_bytes(&file), PHRASE, &read, NULL), ERR_CORRUPT);
	node_keys_release(&keys);
	buf_release(&file);
}

/* ---- the documented bytes, put together by hand ---- */

static const uint8_t master_key[AEAD_KEY_SIZE] = {0x3a};

struct hand_slot {
	char label[16];
	uint8_t salt[KEYSTORE_SALT_SIZE], nonce[AEAD_NONCE_SIZE];
	uint8_t master[AEAD_KEY_SIZE + AEAD_TAG_SIZE];
	Sauti__KeystoreSlot slot;
};

enum { HAND_BODY_MAX = 32768 };
struct hand_file {
	struct hand_slot hand[KEYSTORE_SLOTS_MAX + 1];
	Sauti__KeystoreSlot *slots[KEYSTORE_SLOTS_MAX + 1];
	uint8_t nonce[AEAD_NONCE_SIZE];
	uint8_t body[HAND_BODY_MAX + AEAD_TAG_SIZE + 1];
	Sauti__Keystore file;
};

static void hand_slot_init(struct hand_slot *hand, unsigned number)
{
	snprintf(hand->label, sizeof(hand->label), "officer-%u", number);
	memset(hand->salt, (int)(0x10 + number), sizeof(hand->salt));
	memset(hand->nonce, (int)(0x40 + number), sizeof(hand->nonce));
	sauti__keystore_slot__init(&hand->slot);
	hand->slot.label = hand->label;
	hand->slot.scrypt_n = cheap.n;
	hand->slot.scrypt_r = cheap.r;
	hand->slot.scrypt_p = cheap.p;
	hand->slot.salt = codec_binary(BYTES_ARRAY(hand->salt));
	hand->slot.nonce = codec_binary(BYTES_ARRAY(hand->nonce));
	hand->slot.master = codec_binary(BYTES_ARRAY(hand->master));
}

static void hand_slot_seal(struct hand_slot *hand, struct bytes passphrase)
{
	struct aead_key key;
	struct buf aad;

	buf_init(&aad, 4096);
	buf_put_str(&aad, "sauti/1 keystore slot");
	buf_put_u32be(&aad, 1);
	buf_put_lv16(&aad, bytes_str(hand->label));
	buf_put_u64be(&aad, hand->slot.scrypt_n);
	buf_put_u32be(&aad, hand->slot.scrypt_r);
	buf_put_u32be(&aad, hand->slot.scrypt_p);
	buf_put_lv16(&aad, BYTES_ARRAY(hand->salt));
	memcpy(key.nonce, hand->nonce, sizeof(key.nonce));
	assert_int_equal(
		scrypt(passphrase, BYTES_ARRAY(hand->salt), cheap, key.key, AEAD_KEY_SIZE), OK);
	assert_int_equal(
		aead_seal(&key, buf_bytes(&aad), BYTES_ARRAY(master_key), hand->master), OK);
	buf_release(&aad);
}

static void hand_body_seal(struct hand_file *file, struct bytes plain)
{
	struct aead_key key;
	struct buf aad;

	buf_init(&aad, 64 * 1024);
	buf_put_str(&aad, "sauti/1 keystore body");
	buf_put_u32be(&aad, 1);
	buf_put_u16be(&aad, (uint16_t)file->file.n_slots);
	for (size_t i = 0; i < file->file.n_slots; i++) {
		const struct hand_slot *hand = &file->hand[i];

		buf_put_lv16(&aad, bytes_str(hand->label));
		buf_put_u64be(&aad, hand->slot.scrypt_n);
		buf_put_u32be(&aad, hand->slot.scrypt_r);
		buf_put_u32be(&aad, hand->slot.scrypt_p);
		buf_put_lv16(&aad, BYTES_ARRAY(hand->salt));
		buf_put_lv16(&aad, BYTES_ARRAY(hand->nonce));
		buf_put_lv16(&aad, BYTES_ARRAY(hand->master));
	}
	memcpy(key.key, master_key, sizeof(key.key));
	memcpy(key.nonce, file->nonce, sizeof(key.nonce));
	assert_int_equal(aead_seal(&key, buf_bytes(&aad), plain, file->body), OK);
	file->file.body = codec_binary(bytes_make(file->body, plain.size + AEAD_TAG_SIZE));
	buf_release(&aad);
}

/* Slot i opens with "phrase i". The body holds a node seed alone, or what is given. */
static void hand_make(struct hand_file *file, size_t slots, const Sauti__KeystoreBody *given)
{
	static const uint8_t seed[32] = {0x5e};
	Sauti__KeystoreBody body = SAUTI__KEYSTORE_BODY__INIT;
	struct buf plain;

	body.node_seed = codec_binary(BYTES_ARRAY(seed));
	memset(file, 0, sizeof(*file));
	sauti__keystore__init(&file->file);
	file->file.version = 1;
	file->file.slots = file->slots;
	file->file.n_slots = slots;
	file->file.nonce = codec_binary(BYTES_ARRAY(file->nonce));
	for (unsigned i = 0; i < slots; i++) {
		char text[16];

		snprintf(text, sizeof(text), "phrase %u", i);
		file->slots[i] = &file->hand[i].slot;
		hand_slot_init(&file->hand[i], i);
		hand_slot_seal(&file->hand[i], bytes_str(text));
	}
	buf_init(&plain, HAND_BODY_MAX);
	codec_pack(&plain, given == NULL ? &body : given);
	assert_int_equal(plain.err, OK);
	hand_body_seal(file, buf_bytes(&plain));
	buf_release(&plain);
}

static enum err hand_open(const struct hand_file *file, const char *passphrase)
{
	struct node_keys read = {0};
	struct errctx ctx = {""};
	struct buf bytes;
	enum err err;

	buf_init(&bytes, 2 * LIMIT_KEYSTORE_SIZE);
	codec_pack(&bytes, &file->file);
	err = keystore_open(buf_bytes(&bytes), bytes_str(passphrase), &read, &ctx);
	if (err == OK)
		assert_int_equal(read.node_seed.data[0], 0x5e);
	else
		assert_string_not_equal(ctx.text, "");
	node_keys_release(&read);
	buf_release(&bytes);
	return err;
}

static void opens_the_documented_bytes(void **state)
{
	static struct hand_file file;

	hand_make(&file, KEYSTORE_SLOTS_MAX, NULL);
	assert_int_equal(hand_open(&file, "phrase 0"), OK);
	assert_int_equal(hand_open(&file, "phrase 15"), OK);
	assert_int_equal(hand_open(&file, "phrase 16"), ERR_DENIED);
	hand_make(&file, KEYSTORE_SLOTS_MAX + 1, NULL);
	assert_int_equal(hand_open(&file, "phrase 0"), ERR_CORRUPT);
	hand_make(&file, 0, NULL);
	assert_int_equal(hand_open(&file, "phrase 0"), ERR_CORRUPT);
}

/* A slot that opens is not enough: the body knows which slots there are. */
static void slots_cannot_be_exchanged(void **state)
{
	static struct hand_file file, other;
	Sauti__KeystoreSlot *slot;

	hand_make(&file, 3, NULL);
	file.file.n_slots = 2;
	assert_int_equal(hand_open(&file, "phrase 0"), ERR_CORRUPT);
	file.file.n_slots = 3;
	assert_int_equal(hand_open(&file, "phrase 0"), OK);
	slot = file.slots[1];
	file.slots[1] = file.slots[2];
	file.slots[2] = slot;
	assert_int_equal(hand_open(&file, "phrase 0"), ERR_CORRUPT);
	/* One that was removed, brought back. */
	hand_make(&other, 2, NULL);
	other.slots[2] = slot;
	assert_int_equal(hand_open(&other, "phrase 1"), OK);
	other.file.n_slots = 3;
	assert_int_equal(hand_open(&other, "phrase 1"), ERR_CORRUPT);
}

/* Both slots and the body sealed well, so that nothing else is wrong. */
static void two_slots_with_one_label(void **state)
{
	static const uint8_t plain[34] = {0x0a, 32, 0x5e}; /* node_seed alone */
	static struct hand_file file;

	hand_make(&file, 2, NULL);
	hand_body_seal(&file, BYTES_ARRAY(plain));
	assert_int_equal(hand_open(&file, "phrase 0"), OK);
	strcpy(file.hand[1].label, file.hand[0].label);
	hand_slot_seal(&file.hand[1], bytes_str("phrase 1"));
	hand_body_seal(&file, BYTES_ARRAY(plain));
	assert_int_equal(hand_open(&file, "phrase 0"), ERR_CORRUPT);
}

static void slot_form(void **state)
{
	static struct hand_file file;
	Sauti__KeystoreSlot *slot = &file.hand[1].slot;
	ProtobufCBinaryData *fields[] = {&slot->salt, &slot->nonce, &slot->master};

	hand_make(&file, 2, NULL);
	for (size_t i = 0; i < 3; i++) {
		fields[i]->len--;
		assert_int_equal(hand_open(&file, "phrase 0"), ERR_CORRUPT);
		fields[i]->len++;
	}
	slot->label = "";
	assert_int_equal(hand_open(&file, "phrase 0"), ERR_CORRUPT);
	slot->label = file.hand[0].label;
	assert_int_equal(hand_open(&file, "phrase 0"), ERR_CORRUPT);
	slot->label = file.hand[1].label;
	file.file.nonce.len--;
	assert_int_equal(hand_open(&file, "phrase 0"), ERR_CORRUPT);
	file.file.nonce.len++;
	file.file.body.len = AEAD_TAG_SIZE;
	assert_int_equal(hand_open(&file, "phrase 0"), ERR_CORRUPT);
	file.file.body.len = sizeof(file.body);
	assert_int_equal(hand_open(&file, "phrase 0"), ERR_CORRUPT);
	hand_make(&file, 2, NULL);
	file.file.version = KEYSTORE_VERSION + 1;
	assert_int_equal(hand_open(&file, "phrase 0"), ERR_VERSION);
	file.file.version = 0;
	assert_int_equal(hand_open(&file, "phrase 0"), ERR_CORRUPT);
}

/* In the second slot, so that opening the first one would be too early. */
static void hostile_scrypt_parameters(void **state)
{
	static const struct {
		uint64_t n;
		uint32_t r, p;
		enum err expected;
	} cases[] = {
		{UINT64_C(1) << 40, 8, 1, ERR_LIMIT},
		{UINT64_MAX, UINT32_MAX, UINT32_MAX, ERR_LIMIT},
		{UINT64_C(1) << 19, 8, 1, ERR_LIMIT},
		{UINT64_C(1) << 19, 1, 1, ERR_LIMIT},
		{2, 33, 1, ERR_LIMIT},
		{2, 8, 5, ERR_LIMIT},
		{UINT64_C(1) << 18, 8, 2, ERR_LIMIT},
		{UINT64_C(1) << 16, 32, 2, ERR_LIMIT},
		{0, 8, 1, ERR_CORRUPT},
		{1, 8, 1, ERR_CORRUPT},
		{3, 8, 1, ERR_CORRUPT},
		{65535, 8, 1, ERR_CORRUPT},
		{2, 0, 1, ERR_CORRUPT},
		{2, 1, 0, ERR_CORRUPT},
		/* At the cap: tried in its turn, so that the first slot's damage shows first. */
		{UINT64_C(1) << 18, 8, 1, ERR_CORRUPT},
	};
	static struct hand_file file;

	hand_make(&file, 2, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		file.hand[1].slot.scrypt_n = cases[i].n;
		file.hand[1].slot.scrypt_r = cases[i].r;
		file.hand[1].slot.scrypt_p = cases[i].p;
		assert_int_equal(hand_open(&file, "phrase 0"), cases[i].expected);
	}
}

/* Rows and a key, both or neither; the rows whole, ascending, and not too many. */
static void erasure_form(struct hand_file *file, Sauti__KeystoreBody *body)
{
	static const uint8_t next[32] = {9};
	static uint8_t rows[(LIMIT_ERASE_ROWS + 1) * KEYSTORE_ROW_SIZE];
	static const struct {
		size_t next, rows;
		enum err expected;
	} cases[] = {
		{0, 16, ERR_CORRUPT},
		{32, 0, ERR_CORRUPT},
		{31, 16, ERR_CORRUPT},
		{32, 15, ERR_CORRUPT},
		{32, 17, ERR_CORRUPT},
		{32, sizeof(rows), ERR_CORRUPT},
	};

	for (size_t i = 0; i < sizeof(rows) / KEYSTORE_ROW_SIZE; i++)
		put_u32be(rows + i * KEYSTORE_ROW_SIZE, (uint32_t)i);
	body->node_seed = codec_binary(bytes_make((uint8_t[32]){0x5e}, 32));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		body->keyring_next = codec_binary(bytes_make(next, cases[i].next));
		body->erase_rows = codec_binary(bytes_make(rows, cases[i].rows));
		hand_make(file, 1, body);
		assert_int_equal(hand_open(file, "phrase 0"), cases[i].expected);
	}
	body->erase_rows = codec_binary(bytes_make(rows, 32));
	body->keyring_next = codec_binary(BYTES_ARRAY(next));
	hand_make(file, 1, body);
	assert_int_equal(hand_open(file, "phrase 0"), OK);
	put_u32be(rows, 1); /* one twice */
	hand_make(file, 1, body);
	assert_int_equal(hand_open(file, "phrase 0"), ERR_CORRUPT);
	body->erase_rows = body->keyring_next = body->node_seed = codec_binary(BYTES_NONE);
}

/* Bodies that only a holder of the master key can make, and that are none all the same. */
static void body_form(void **state)
{
	static const uint8_t zeros[KEYSTORE_DER_MAX + 1];
	static char longest[LIMIT_ORIGIN + 2];
	static struct hand_file file;
	Sauti__KeystoreBody body = SAUTI__KEYSTORE_BODY__INIT;

	memset(longest, 'a', LIMIT_ORIGIN + 1);
	body.log_origin = "x";
	hand_make(&file, 1, &body);
	assert_int_equal(hand_open(&file, "phrase 0"), ERR_CORRUPT);
	ProtobufCBinaryData *seeds[] = {&body.node_seed, &body.log_seed, &body.keyring_key,
		&body.complaint_key, &body.directory_seed, &body.inbox_key, &body.issuing_key,
		&body.root_key};

	for (size_t i = 0; i < 8; i++) {
		*seeds[i] = codec_binary(bytes_make(zeros, i < 6 ? 33 : KEYSTORE_DER_MAX + 1));
		hand_make(&file, 1, &body);
		assert_int_equal(hand_open(&file, "phrase 0"), ERR_CORRUPT);
		*seeds[i] = codec_binary(BYTES_NONE);
	}
	body.root_key = codec_binary(bytes_make(zeros, 100));
	erasure_form(&file, &body);
	body.log_origin = longest;
	hand_make(&file, 1, &body);
	assert_int_equal(hand_open(&file, "phrase 0"), ERR_CORRUPT);
	hand_body_seal(&file, bytes_str("\xa8\x06\x01")); /* an unknown field */
	assert_int_equal(hand_open(&file, "phrase 0"), ERR_CORRUPT);
	hand_body_seal(&file, bytes_str("garbage"));
	assert_int_equal(hand_open(&file, "phrase 0"), ERR_CORRUPT);
}

static void files_of_any_size(void **state)
{
	static uint8_t large[LIMIT_KEYSTORE_SIZE + 1];
	struct node_keys read;
	struct boot_keys boot;

	assert_int_equal(keystore_open(BYTES_ARRAY(large), PHRASE, &read, NULL), ERR_CORRUPT);
	assert_int_equal(keystore_open(BYTES_NONE, PHRASE, &read, NULL), ERR_CORRUPT);
	assert_int_equal(boot_keys_read(BYTES_ARRAY(large), &boot, NULL), ERR_CORRUPT);
	assert_int_equal(boot_keys_read(BYTES_NONE, &boot, NULL), ERR_CORRUPT);
}

/* ---- memory ---- */

static void out_of_memory(void **state)
{
	struct node_keys keys = all_keys();
	struct failing_alloc failing;
	enum err err = ERR_NOMEM;

	for (size_t fail_at = 1; err == ERR_NOMEM; fail_at++) {
		struct node_keys read = {0};
		struct buf file;

		assert_true(fail_at < 1000);
		failing_alloc_begin(&failing, fail_at);
		buf_init(&file, LIMIT_KEYSTORE_SIZE);
		err = keystore_seal(&keys, "amina", PHRASE, cheap, &file);
		if (err == OK)
			err = keystore_open(buf_bytes(&file), PHRASE, &read, NULL);
		if (err != OK)
			assert_null(read.node_seed.data);
		node_keys_release(&read);
		buf_release(&file);
		failing_alloc_end(&failing);
	}
	assert_int_equal(err, OK);
	node_keys_release(&keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(boot_keys_round_trip),
		cmocka_unit_test(boot_keys_form),
		cmocka_unit_test(node_keys_are_made),
		cmocka_unit_test(prekeys_are_kept_in_order),
		cmocka_unit_test(keys_that_rotate),
		cmocka_unit_test(keystore_round_trip),
		cmocka_unit_test(keystore_of_the_root),
		cmocka_unit_test(keystore_at_the_real_cost),
		cmocka_unit_test(wrong_passphrases),
		cmocka_unit_test(seals_only_what_it_would_open),
		cmocka_unit_test(no_changed_byte_opens),
		cmocka_unit_test(opens_the_documented_bytes),
		cmocka_unit_test(slots_cannot_be_exchanged),
		cmocka_unit_test(two_slots_with_one_label),
		cmocka_unit_test(slot_form),
		cmocka_unit_test(hostile_scrypt_parameters),
		cmocka_unit_test(body_form),
		cmocka_unit_test(files_of_any_size),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
