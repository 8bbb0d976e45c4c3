#include "base/hpke.h"

/* RFC 9180, sections 4 and 7: identifiers of what is built in. */
enum { KEM_ID = 0x0020, KDF_ID = 0x0001, MODE_BASE = 0x00 };
enum { SUITE_MAX = 10, KEY_128 = 16 };

/* "KEM" || I2OSP(kem_id, 2), or "HPKE" || kem, kdf, aead. */
struct suite {
	uint8_t id[SUITE_MAX];
	size_t size;
};

static struct suite kem_suite(void)
{
	struct suite suite = {.id = "KEM", .size = 5};

	put_u16be(suite.id + 3, KEM_ID);
	return suite;
}

static struct suite hpke_suite(enum hpke_aead aead)
{
	struct suite suite = {.id = "HPKE", .size = 10};

	put_u16be(suite.id + 4, KEM_ID);
	put_u16be(suite.id + 6, KDF_ID);
	put_u16be(suite.id + 8, (uint16_t)aead);
	return suite;
}

static size_t key_size(enum hpke_aead aead)
{
	return aead == HPKE_AES_128_GCM ? KEY_128 : AEAD_KEY_SIZE;
}

/* Section 4: LabeledExtract. HKDF-Extract is an HMAC of the salt; an empty one is zeros. */
static enum err labeled_extract(const struct suite *suite, struct bytes salt, const char *label,
	struct bytes ikm, struct hash *ret)
{
	struct bytes parts[] = {
		bytes_str("HPKE-v1"), bytes_make(suite->id, suite->size), bytes_str(label), ikm};

	return hmac_sha256(salt, parts, sizeof(parts) / sizeof(parts[0]), ret);
}

/* Section 4: LabeledExpand. */
static enum err labeled_expand(const struct suite *suite, const struct hash *prk, const char *label,
	struct bytes info, uint8_t *ret, size_t size)
{
	uint8_t length[2];
	struct bytes parts[] = {BYTES_ARRAY(length), bytes_str("HPKE-v1"),
		bytes_make(suite->id, suite->size), bytes_str(label), info};

	if (size > UINT16_MAX)
		return ERR_LIMIT;
	put_u16be(length, (uint16_t)size);
	return hkdf_expand(hash_bytes(prk), parts, sizeof(parts) / sizeof(parts[0]), ret, size);
}

/* Section 4.1: ExtractAndExpand over the Diffie-Hellman result; inits ret. */
static enum err kem_secret(const struct secret *dh, const struct x25519_public *enc,
	const struct x25519_public *recipient, struct secret *ret)
{
	struct suite suite = kem_suite();
	uint8_t context[2 * X25519_KEY_SIZE];
	struct secret shared = {0};
	struct hash prk;
	enum err err;

	memcpy(context, enc->b, X25519_KEY_SIZE);
	memcpy(context + X25519_KEY_SIZE, recipient->b, X25519_KEY_SIZE);
	TRY(secret_init(&shared, HASH_SIZE));
	err = labeled_extract(&suite, BYTES_NONE, "eae_prk", secret_bytes(dh), &prk);
	if (err == OK)
		err = labeled_expand(&suite, &prk, "shared_secret", BYTES_ARRAY(context),
			shared.data, shared.size);
	wipe(&prk, sizeof(prk));
	if (err != OK)
		secret_release(&shared);
	else
		*ret = shared;
	return err;
}

/* Section 5.1: KeySchedule in base mode, where psk and psk_id are empty. hpke is zeroed but for its
 * aead; on failure the caller releases it. */
static enum err key_schedule(struct hpke *hpke, const struct secret *shared, struct bytes info)
{
	struct suite suite = hpke_suite(hpke->aead);
	uint8_t context[1 + 2 * HASH_SIZE] = {MODE_BASE};
	struct hash part, prk;
	enum err err;

	TRY(labeled_extract(&suite, BYTES_NONE, "psk_id_hash", BYTES_NONE, &part));
	memcpy(context + 1, part.b, HASH_SIZE);
	TRY(labeled_extract(&suite, BYTES_NONE, "info_hash", info, &part));
	memcpy(context + 1 + HASH_SIZE, part.b, HASH_SIZE);
	TRY(secret_init(&hpke->key, key_size(hpke->aead)));
	TRY(secret_init(&hpke->exporter, HASH_SIZE));
	err = labeled_extract(&suite, secret_bytes(shared), "secret", BYTES_NONE, &prk);
	if (err == OK)
		err = labeled_expand(
			&suite, &prk, "key", BYTES_ARRAY(context), hpke->key.data, hpke->key.size);
	if (err == OK)
		err = labeled_expand(&suite, &prk, "base_nonce", BYTES_ARRAY(context),
			hpke->base_nonce, AEAD_NONCE_SIZE);
	if (err == OK)
		err = labeled_expand(&suite, &prk, "exp", BYTES_ARRAY(context), hpke->exporter.data,
			hpke->exporter.size);
	wipe(&prk, sizeof(prk));
	return err;
}

static enum err context_make(enum hpke_aead aead, const struct secret *dh,
	const struct x25519_public *enc, const struct x25519_public *recipient, struct bytes info,
	struct hpke *ret)
{
	struct hpke hpke = {.aead = aead};
	struct secret shared = {0};
	enum err err = kem_secret(dh, enc, recipient, &shared);

	if (err == OK)
		err = key_schedule(&hpke, &shared, info);
	secret_release(&shared);
	if (err != OK)
		hpke_release(&hpke);
	else
		*ret = hpke;
	return err;
}

enum err hpke_sender(enum hpke_aead aead, const struct x25519_public *recipient, struct bytes info,
	struct bytes ephemeral, struct hpke *ret, struct x25519_public *ret_enc)
{
	struct x25519_public enc;
	struct secret dh = {0};
	enum err err;

	TRY(x25519_public(ephemeral, &enc));
	TRY(x25519_shared(ephemeral, recipient, &dh));
	err = context_make(aead, &dh, &enc, recipient, info, ret);
	secret_release(&dh);
	if (err == OK)
		*ret_enc = enc;
	return err;
}

enum err hpke_receiver(enum hpke_aead aead, struct bytes private_key,
	const struct x25519_public *enc, struct bytes info, struct hpke *ret)
{
	struct x25519_public recipient;
	struct secret dh = {0};
	enum err err;

	TRY(x25519_public(private_key, &recipient));
	TRY(x25519_shared(private_key, enc, &dh));
	err = context_make(aead, &dh, enc, &recipient, info, ret);
	secret_release(&dh);
	return err;
}

void hpke_release(struct hpke *hpke)
{
	if (hpke == NULL)
		return;
	secret_release(&hpke->key);
	secret_release(&hpke->exporter);
	wipe(hpke, sizeof(*hpke));
}

/* Section 5.2: the nonce of this message is base_nonce xor its number. */
static enum err message_key(const struct hpke *hpke, struct aead_key *ret)
{
	uint8_t number[8];

	if (hpke->sequence == UINT64_MAX)
		return ERR_LIMIT;
	*ret = (struct aead_key){{0}, {0}};
	memcpy(ret->key, hpke->key.data, hpke->key.size);
	memcpy(ret->nonce, hpke->base_nonce, AEAD_NONCE_SIZE);
	put_u64be(number, hpke->sequence);
	for (size_t i = 0; i < sizeof(number); i++)
		ret->nonce[AEAD_NONCE_SIZE - sizeof(number) + i] ^= number[i];
	return OK;
}

enum err hpke_context_seal(struct hpke *hpke, struct bytes aad, struct bytes plain, uint8_t *ret)
{
	struct aead_key key;
	enum err err;

	TRY(message_key(hpke, &key));
	err = hpke->aead == HPKE_AES_128_GCM ? aead_seal_128(&key, aad, plain, ret)
					     : aead_seal(&key, aad, plain, ret);
	wipe(&key, sizeof(key));
	if (err == OK)
		hpke->sequence++;
	return err;
}

enum err hpke_context_open(struct hpke *hpke, struct bytes aad, struct bytes sealed, uint8_t *ret)
{
	struct aead_key key;
	enum err err;

	TRY(message_key(hpke, &key));
	err = hpke->aead == HPKE_AES_128_GCM ? aead_open_128(&key, aad, sealed, ret)
					     : aead_open(&key, aad, sealed, ret);
	wipe(&key, sizeof(key));
	if (err == OK)
		hpke->sequence++;
	return err;
}

enum err hpke_export(const struct hpke *hpke, struct bytes context, uint8_t *ret, size_t size)
{
	struct suite suite = hpke_suite(hpke->aead);
	struct hash prk;
	enum err err;

	memcpy(prk.b, hpke->exporter.data, HASH_SIZE);
	err = labeled_expand(&suite, &prk, "sec", context, ret, size);
	wipe(&prk, sizeof(prk));
	return err;
}

enum err hpke_seal(const struct x25519_public *recipient, struct bytes info, struct bytes aad,
	struct bytes plain, struct bytes ephemeral, uint8_t *ret)
{
	struct x25519_public enc;
	struct hpke hpke;
	enum err err;

	TRY(hpke_sender(HPKE_AES_256_GCM, recipient, info, ephemeral, &hpke, &enc));
	err = hpke_context_seal(&hpke, aad, plain, ret + HPKE_ENC_SIZE);
	hpke_release(&hpke);
	if (err == OK)
		memcpy(ret, enc.b, HPKE_ENC_SIZE);
	return err;
}

enum err hpke_open(struct bytes private_key, struct bytes info, struct bytes aad,
	struct bytes sealed, uint8_t *ret)
{
	struct x25519_public enc;
	struct hpke hpke;
	enum err err;

	if (sealed.size < HPKE_OVERHEAD)
		return ERR_DECRYPT;
	memcpy(enc.b, sealed.data, HPKE_ENC_SIZE);
	TRY(hpke_receiver(HPKE_AES_256_GCM, private_key, &enc, info, &hpke));
	err = hpke_context_open(&hpke, aad,
		bytes_make(sealed.data + HPKE_ENC_SIZE, sealed.size - HPKE_ENC_SIZE), ret);
	hpke_release(&hpke);
	return err;
}
