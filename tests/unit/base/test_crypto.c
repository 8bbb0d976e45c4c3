#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <pthread.h>

#include "base/crypto.h"
#include "tests/unit/base/crypto_vectors.h"
#include "tests/unit/base/failing_alloc.h"
#include "tests/unit/base/unhex.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static void assert_hex(struct bytes got, const char *expected)
{
	struct bytes want = unhex(expected);

	assert_int_equal(got.size, want.size);
	assert_memory_equal(got.data, want.data, want.size);
}

/* ---- SHA-256 ---- */

/* FIPS 180-2 appendix B and the empty message. */
static void test_sha256(void **state)
{
	static const char long_text[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	static uint8_t million[1000000];
	struct hash h;

	sha256(BYTES_NONE, &h);
	assert_hex(
		hash_bytes(&h), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sha256(bytes_str("abc"), &h);
	assert_hex(
		hash_bytes(&h), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256(bytes_str(long_text), &h);
	assert_hex(
		hash_bytes(&h), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	memset(million, 'a', sizeof(million));
	sha256(BYTES_ARRAY(million), &h);
	assert_hex(
		hash_bytes(&h), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	unhex_free();
}

static void test_sha256_stream(void **state)
{
	struct sha256_stream *stream;
	struct hash h, whole;

	assert_int_equal(sha256_stream_new(&stream), OK);
	sha256_stream_finish(stream, &h);
	sha256(BYTES_NONE, &whole);
	assert_memory_equal(h.b, whole.b, HASH_SIZE);
	/* Another hash in between is no matter, and finish begins anew. */
	for (unsigned i = 0; i < 2; i++) {
		sha256_stream_put(stream, bytes_str("a"));
		sha256(bytes_str("abc"), &whole);
		sha256_stream_put(stream, BYTES_NONE);
		sha256_stream_put(stream, bytes_str("bc"));
		sha256_stream_finish(stream, &h);
		assert_memory_equal(h.b, whole.b, HASH_SIZE);
	}
	sha256_stream_free(stream);
	sha256_stream_free(NULL);
}

static void test_sha256_parts(void **state)
{
	const struct bytes parts[] = {BYTES_NONE, bytes_str("a"), BYTES_NONE, bytes_str("bc")};
	struct hash whole, h;

	sha256(bytes_str("abc"), &whole);
	sha256_parts(parts, COUNT_OF(parts), &h);
	assert_true(hash_equal(&h, &whole));
	sha256_parts(NULL, 0, &h);
	sha256(BYTES_NONE, &whole);
	assert_true(hash_equal(&h, &whole));
}

static void test_node_and_leaf(void **state)
{
	uint8_t flat[1 + 2 * HASH_SIZE] = {1};
	struct hash left, right, expected, h;

	memset(left.b, 0x11, HASH_SIZE);
	memset(right.b, 0x22, HASH_SIZE);
	memcpy(flat + 1, left.b, HASH_SIZE);
	memcpy(flat + 1 + HASH_SIZE, right.b, HASH_SIZE);
	sha256(BYTES_ARRAY(flat), &expected);
	sha256_node(1, &left, &right, &h);
	assert_true(hash_equal(&h, &expected));
	sha256_node(1, &right, &left, &h);
	assert_false(hash_equal(&h, &expected));
	/* The result may take the place of an input. */
	sha256_node(1, &left, &right, &left);
	assert_true(hash_equal(&left, &expected));

	/* RFC 6962 2.1: the leaf of the empty entry. */
	sha256_leaf(0, BYTES_NONE, &h);
	assert_hex(
		hash_bytes(&h), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
	sha256_leaf(1, bytes_make(flat + 1, 2 * HASH_SIZE), &h);
	assert_true(hash_equal(&h, &expected));
	unhex_free();
}

/* ---- HMAC and HKDF ---- */

static void test_hmac(void **state)
{
	for (size_t i = 0; i < COUNT_OF(HMAC_VECTORS); i++) {
		struct bytes key = unhex(HMAC_VECTORS[i].key);
		struct bytes data = unhex(HMAC_VECTORS[i].data);
		struct bytes tag = unhex(HMAC_VECTORS[i].tag);
		/* In one part and in three. */
		const struct bytes parts[] = {bytes_make(data.data, 1), BYTES_NONE,
			bytes_make(data.data + 1, data.size - 1)};
		struct hash h;

		assert_int_equal(hmac_sha256(key, &data, 1, &h), OK);
		assert_memory_equal(h.b, tag.data, tag.size);
		assert_int_equal(hmac_sha256(key, parts, 3, &h), OK);
		assert_memory_equal(h.b, tag.data, tag.size);
		unhex_free();
	}
}

/* Keys of a block, of one byte more, and none. The 64 and 65 byte answers: Python's hmac. */
static void test_hmac_key_sizes(void **state)
{
	uint8_t key[65];
	struct bytes data = bytes_str("sauti");
	struct hash h;

	memset(key, 'k', sizeof(key));
	assert_int_equal(hmac_sha256(bytes_make(key, 64), &data, 1, &h), OK);
	assert_hex(
		hash_bytes(&h), "cc7d13b7f181bf4531e99be822fa17ccd73c91e17ae4747867fbd4f139bdcb4f");
	assert_int_equal(hmac_sha256(bytes_make(key, 65), &data, 1, &h), OK);
	assert_hex(
		hash_bytes(&h), "71237095e996ddce2a4c7cbaeafb65b28106c9d1b0a7e8b3c24fed54ec8949c9");
	assert_int_equal(hmac_sha256(BYTES_NONE, NULL, 0, &h), OK);
	assert_hex(
		hash_bytes(&h), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
	unhex_free();
}

static void test_hkdf(void **state)
{
	for (size_t i = 0; i < COUNT_OF(HKDF_VECTORS); i++) {
		struct bytes ikm = unhex(HKDF_VECTORS[i].ikm);
		struct bytes salt = unhex(HKDF_VECTORS[i].salt);
		struct bytes info = unhex(HKDF_VECTORS[i].info);
		struct bytes okm = unhex(HKDF_VECTORS[i].okm);
		uint8_t *out = unhex_room(okm.size);
		struct hash prk;

		assert_int_equal(hkdf_extract(salt, ikm, &prk), OK);
		assert_hex(hash_bytes(&prk), HKDF_VECTORS[i].prk);
		assert_int_equal(hkdf_expand(hash_bytes(&prk), &info, 1, out, okm.size), OK);
		assert_memory_equal(out, okm.data, okm.size);
		unhex_free();
	}
}

static void test_hkdf_parts_and_limit(void **state)
{
	const struct bytes whole = bytes_str("one,two");
	const struct bytes parts[] = {bytes_str("one"), bytes_str(","), bytes_str("two")};
	static uint8_t a[255 * HASH_SIZE + 1], b[255 * HASH_SIZE + 1];
	struct hash prk = {{5}};

	/* A cut output is the start of a longer one, for every size around a block. */
	assert_int_equal(hkdf_expand(hash_bytes(&prk), &whole, 1, a, 255 * HASH_SIZE), OK);
	for (size_t size = 0; size <= 100; size++) {
		b[size] = 0xee;
		assert_int_equal(hkdf_expand(hash_bytes(&prk), parts, 3, b, size), OK);
		assert_memory_equal(a, b, size);
		assert_int_equal(b[size], 0xee);
	}
	memset(b, 0xee, sizeof(b));
	assert_int_equal(hkdf_expand(hash_bytes(&prk), parts, 3, b, sizeof(b)), ERR_LIMIT);
	for (size_t i = 0; i < sizeof(b); i++)
		assert_int_equal(b[i], 0xee);
	/* No info at all. */
	assert_int_equal(hkdf_expand(hash_bytes(&prk), NULL, 0, b, 32), OK);
}

/* ---- AES-256-GCM ---- */

static void test_gcm(void **state)
{
	for (size_t i = 0; i < COUNT_OF(GCM_VECTORS); i++) {
		struct bytes aad = unhex(GCM_VECTORS[i].aad);
		struct bytes plain = unhex(GCM_VECTORS[i].plain);
		struct bytes sealed = unhex(GCM_VECTORS[i].sealed);
		uint8_t *out = unhex_room(sealed.size);
		struct aead_key key;

		memcpy(key.key, unhex(GCM_VECTORS[i].key).data, AEAD_KEY_SIZE);
		memcpy(key.nonce, unhex(GCM_VECTORS[i].nonce).data, AEAD_NONCE_SIZE);
		assert_int_equal(aead_seal(&key, aad, plain, out), OK);
		assert_memory_equal(out, sealed.data, sealed.size);
		memset(out, 0, sealed.size);
		assert_int_equal(aead_open(&key, aad, sealed, out), OK);
		if (plain.size > 0)
			assert_memory_equal(out, plain.data, plain.size);
		unhex_free();
	}
}

static void assert_refused(const struct aead_key *key, struct bytes aad, struct bytes sealed)
{
	size_t size = sealed.size - AEAD_TAG_SIZE;
	uint8_t *out = unhex_room(size);

	memset(out, 0xee, size);
	assert_int_equal(aead_open(key, aad, sealed, out), ERR_DECRYPT);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(out[i], 0);
	unhex_free();
}

/* A flipped bit anywhere, a cut, a longer text, other data, key or nonce: refused, nothing left. */
static void test_gcm_tamper(void **state)
{
	struct aead_key key = {{1}, {2}}, other;
	struct bytes aad = bytes_str("header");
	uint8_t sealed[33 + AEAD_TAG_SIZE + 1] = {0},
					    plain[33] = "what the officer wrote down here";
	size_t size = sizeof(sealed) - 1;
	uint8_t out[sizeof(sealed)];

	assert_int_equal(aead_seal(&key, aad, BYTES_ARRAY(plain), sealed), OK);
	for (size_t bit = 0; bit < 8 * size; bit++) {
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_refused(&key, aad, bytes_make(sealed, size));
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_refused(&key, aad, bytes_make(sealed, size - 1));
	assert_refused(&key, aad, bytes_make(sealed, size + 1));
	assert_refused(&key, bytes_str("headeR"), bytes_make(sealed, size));
	assert_refused(&key, BYTES_NONE, bytes_make(sealed, size));
	other = key;
	other.key[31] ^= 1;
	assert_refused(&other, aad, bytes_make(sealed, size));
	other = key;
	other.nonce[11] ^= 1;
	assert_refused(&other, aad, bytes_make(sealed, size));
	/* Shorter than a tag. */
	assert_int_equal(
		aead_open(&key, aad, bytes_make(sealed, AEAD_TAG_SIZE - 1), out), ERR_DECRYPT);
	assert_int_equal(aead_open(&key, aad, BYTES_NONE, out), ERR_DECRYPT);
	/* And the good one still opens, in place too. */
	assert_int_equal(aead_open(&key, aad, bytes_make(sealed, size), sealed), OK);
	assert_memory_equal(sealed, plain, sizeof(plain));
	assert_int_equal(aead_seal(&key, aad, bytes_make(sealed, sizeof(plain)), sealed), OK);
	assert_int_equal(aead_open(&key, aad, bytes_make(sealed, size), out), OK);
	assert_memory_equal(out, plain, sizeof(plain));
}

static void test_gcm_limit(void **state)
{
	struct aead_key key = {{1}, {2}};
	struct bytes huge = bytes_make(&key, (size_t)INT_MAX + 1);
	uint8_t out[32];

	assert_int_equal(aead_seal(&key, BYTES_NONE, huge, out), ERR_LIMIT);
	assert_int_equal(aead_seal(&key, huge, BYTES_NONE, out), ERR_LIMIT);
	assert_int_equal(aead_open(&key, BYTES_NONE, huge, out), ERR_LIMIT);
	assert_int_equal(aead_open(&key, huge, bytes_make(&key, 16), out), ERR_LIMIT);
}

/* ---- Ed25519 and X25519 ---- */

static void test_ed25519(void **state)
{
	for (size_t i = 0; i < COUNT_OF(ED25519_VECTORS); i++) {
		struct bytes message = unhex(ED25519_VECTORS[i].message);
		struct ed25519_signature signature;
		struct bytes got = BYTES_ARRAY(signature.b);
		const struct ed25519_public *public;
		struct signer *signer;

		assert_int_equal(signer_new(unhex(ED25519_VECTORS[i].seed), &signer), OK);
		public = signer_public(signer);
		assert_hex(BYTES_ARRAY(public->b), ED25519_VECTORS[i].public);
		assert_int_equal(signer_sign(signer, message, &signature), OK);
		assert_hex(got, ED25519_VECTORS[i].signature);
		assert_true(ed25519_verify(public, message, got));
		signer_free(signer);
		unhex_free();
	}
}

static void test_ed25519_tamper(void **state)
{
	static const uint8_t seed[ED25519_SEED_SIZE + 1] = {3};
	uint8_t message[] = "checkpoint", longer[ED25519_SIGNATURE_SIZE + 1] = {0};
	struct ed25519_signature signature;
	struct bytes got = BYTES_ARRAY(signature.b);
	struct ed25519_public public;
	struct signer *signer = NULL;

	assert_int_equal(signer_new(bytes_make(seed, 31), &signer), ERR_INVALID);
	assert_int_equal(signer_new(BYTES_ARRAY(seed), &signer), ERR_INVALID);
	assert_null(signer);
	assert_int_equal(signer_new(bytes_make(seed, 32), &signer), OK);
	public = *signer_public(signer);
	assert_int_equal(signer_sign(signer, BYTES_ARRAY(message), &signature), OK);
	signer_free(signer);
	signer_free(NULL);

	for (size_t bit = 0; bit < 8 * sizeof(signature.b); bit++) {
		signature.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(ed25519_verify(&public, BYTES_ARRAY(message), got));
		signature.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t i = 0; i < sizeof(public.b); i++) {
		public.b[i] ^= 4;
		assert_false(ed25519_verify(&public, BYTES_ARRAY(message), got));
		public.b[i] ^= 4;
	}
	for (size_t i = 0; i < sizeof(message); i++) {
		message[i] ^= 1;
		assert_false(ed25519_verify(&public, BYTES_ARRAY(message), got));
		message[i] ^= 1;
	}
	memcpy(longer, signature.b, sizeof(signature.b));
	assert_false(ed25519_verify(&public, BYTES_ARRAY(message), BYTES_ARRAY(longer)));
	assert_false(ed25519_verify(&public, BYTES_ARRAY(message), bytes_make(longer, 63)));
	assert_false(ed25519_verify(&public, BYTES_ARRAY(message), BYTES_NONE));
	assert_false(ed25519_verify(&public, bytes_make(message, sizeof(message) - 1), got));
	assert_false(ed25519_verify(&public, BYTES_NONE, got));
	assert_true(ed25519_verify(&public, BYTES_ARRAY(message), got));
}

static void test_signer_torture(void **state)
{
	static const uint8_t seed[ED25519_SEED_SIZE] = {1};
	struct signer *signer = NULL;
	struct failing_alloc f;

	failing_alloc_begin(&f, 1);
	assert_int_equal(signer_new(BYTES_ARRAY(seed), &signer), ERR_NOMEM);
	assert_null(signer);
	failing_alloc_end(&f);
}

static void test_x25519(void **state)
{
	struct x25519_public public;
	uint8_t key[33] = {1};

	assert_int_equal(COUNT_OF(X25519_VECTORS), 2);
	for (size_t i = 0; i < COUNT_OF(X25519_VECTORS); i++) {
		assert_int_equal(x25519_public(unhex(X25519_VECTORS[i].private_key), &public), OK);
		assert_hex(BYTES_ARRAY(public.b), X25519_VECTORS[i].public);
		unhex_free();
	}
	assert_int_equal(x25519_public(bytes_make(key, 31), &public), ERR_INVALID);
	assert_int_equal(x25519_public(bytes_make(key, 33), &public), ERR_INVALID);
}

/* ---- scrypt ---- */

static void test_scrypt(void **state)
{
	for (size_t i = 0; i < COUNT_OF(SCRYPT_VECTORS); i++) {
		uint8_t key[64];

		assert_int_equal(scrypt(bytes_str(SCRYPT_VECTORS[i].passphrase),
					 bytes_str(SCRYPT_VECTORS[i].salt), SCRYPT_VECTORS[i].cost,
					 key, sizeof(key)),
			OK);
		assert_hex(BYTES_ARRAY(key), SCRYPT_VECTORS[i].key);
		unhex_free();
	}
}

static void test_scrypt_parameters(void **state)
{
	static const struct {
		struct scrypt_cost cost;
		enum err err;
	} cases[] = {
		{{0, 8, 1}, ERR_INVALID},
		{{1, 8, 1}, ERR_INVALID},
		{{1000, 8, 1}, ERR_INVALID},
		{{1024, 0, 1}, ERR_INVALID},
		{{1024, 8, 0}, ERR_INVALID},
		{{65536, 1, 1}, ERR_INVALID},
		{{2, 1 << 15, 1 << 15}, ERR_INVALID},
		{{UINT64_C(1) << 63, UINT32_MAX, 1}, ERR_INVALID},
		/* 2^18 with r = 8 is 256 MiB and a little. */
		{{1 << 18, 8, 1}, ERR_LIMIT},
		{{1 << 20, 8, 1}, ERR_LIMIT},
		{{UINT64_C(1) << 63, 8, 1}, ERR_LIMIT},
		{{16, 8, 1 << 24}, ERR_LIMIT},
		/* 128 * r * (n + p + 2): just past the cap, just below it. */
		{{1024, 2043, 1}, ERR_LIMIT},
		{{1024, 2042, 1}, OK},
		{{32768, 1, 1}, OK},
		/* What the keystore uses. */
		{{1 << 16, 8, 1}, OK},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint8_t key[4] = {0xee, 0xee, 0xee, 0xee};

		assert_int_equal(
			scrypt(bytes_str("p"), bytes_str("s"), cases[i].cost, key, sizeof(key)),
			cases[i].err);
		assert_true((memcmp(key, "\xee\xee\xee\xee", 4) != 0) == (cases[i].err == OK));
	}
}

/* ---- randomness, life, threads ---- */

static enum err random_counted(void *arg, uint8_t *ret, size_t size)
{
	*(size_t *)arg += size;
	memset(ret, 0x55, size);
	return OK;
}

static void test_random(void **state)
{
	uint8_t a[32] = {0}, b[32] = {0};
	size_t asked = 0;

	assert_int_equal(random_bytes(a, sizeof(a)), OK);
	assert_int_equal(random_bytes(b, sizeof(b)), OK);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_int_equal(random_bytes(NULL, 0), OK);
	random_set(random_counted, &asked);
	assert_int_equal(random_bytes(a, 5), OK);
	random_set(NULL, NULL);
	assert_int_equal(asked, 5);
	assert_memory_equal(a, "UUUUU", 5);
	assert_int_equal(random_bytes(a, 32), OK);
	assert_int_equal(asked, 5);
}

static void test_init_counts(void **state)
{
	struct hash before, after;

	sha256(bytes_str("x"), &before);
	assert_int_equal(crypto_init(), OK);
	crypto_release();
	sha256(bytes_str("x"), &after);
	assert_true(hash_equal(&before, &after));
	/* To zero and up again. */
	crypto_release();
	assert_int_equal(crypto_init(), OK);
	sha256(bytes_str("x"), &after);
	assert_true(hash_equal(&before, &after));
}

struct worker {
	const struct signer *signer;
	struct hash expected; /* chain of hashes, the same in every thread */
	bool ok;
};

static void chain(struct hash *h)
{
	memset(h, 0, sizeof(*h));
	for (int i = 0; i < 500; i++) {
		struct bytes part = hash_bytes(h);

		sha256_node(1, h, h, h);
		sha256_leaf(0, part, h);
		if (hmac_sha256(bytes_str("key"), &part, 1, h) != OK)
			memset(h, 0, sizeof(*h));
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct aead_key key = {{9}, {9}};
	struct ed25519_signature signature;
	uint8_t sealed[HASH_SIZE + AEAD_TAG_SIZE], opened[HASH_SIZE];
	struct hash h;

	chain(&h);
	w->ok = hash_equal(&h, &w->expected);
	for (int i = 0; i < 50; i++)
		w->ok = w->ok && aead_seal(&key, BYTES_NONE, hash_bytes(&h), sealed) == OK &&
			aead_open(&key, BYTES_NONE, BYTES_ARRAY(sealed), opened) == OK &&
			memcmp(opened, h.b, HASH_SIZE) == 0 &&
			signer_sign(w->signer, hash_bytes(&h), &signature) == OK &&
			ed25519_verify(
				signer_public(w->signer), hash_bytes(&h), BYTES_ARRAY(signature.b));
	return NULL;
}

/* One signer, several threads; a leak checker sees whether their contexts go with them. */
static void test_threads(void **state)
{
	enum { COUNT = 4 };
	static const uint8_t seed[ED25519_SEED_SIZE] = {1};
	struct worker workers[COUNT];
	pthread_t threads[COUNT];
	struct signer *signer;

	assert_int_equal(signer_new(BYTES_ARRAY(seed), &signer), OK);
	for (size_t i = 0; i < COUNT; i++) {
		workers[i] = (struct worker){.signer = signer};
		chain(&workers[i].expected);
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_true(workers[i].ok);
	}
	signer_free(signer);
}

static int start(void **state)
{
	return crypto_init() == OK ? 0 : -1;
}

static int stop(void **state)
{
	crypto_release();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256),
		cmocka_unit_test(test_sha256_stream),
		cmocka_unit_test(test_sha256_parts),
		cmocka_unit_test(test_node_and_leaf),
		cmocka_unit_test(test_hmac),
		cmocka_unit_test(test_hmac_key_sizes),
		cmocka_unit_test(test_hkdf),
		cmocka_unit_test(test_hkdf_parts_and_limit),
		cmocka_unit_test(test_gcm),
		cmocka_unit_test(test_gcm_tamper),
		cmocka_unit_test(test_gcm_limit),
		cmocka_unit_test(test_ed25519),
		cmocka_unit_test(test_ed25519_tamper),
		cmocka_unit_test(test_signer_torture),
		cmocka_unit_test(test_x25519),
		cmocka_unit_test(test_scrypt),
		cmocka_unit_test(test_scrypt_parameters),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_init_counts),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
