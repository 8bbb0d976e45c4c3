/*
 * Every algorithm is fetched once, in crypto_init: an implicit fetch takes locks and costs more
 * than a hash (openssl#17064, #20286). Each thread keeps one digest and one cipher context, freed
 * when it ends; no key stays in them between calls.
 */
#include "base/crypto.h"

#include <assert.h>
#include <limits.h>
#include <pthread.h>

/* For SHA256_Update and its like, see sha256_parts. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "base/alloc.h"

enum { SHA256_BLOCK = 64, HKDF_SIZE_MAX = 255 * HASH_SIZE };
enum { SECURE_HEAP_MIN = 32 }; /* its smallest piece: one key */

static struct {
	EVP_MD *sha256;
	EVP_CIPHER *gcm, *gcm_128;
	EVP_KDF *scrypt;
	/* EVP_DigestSign of 3.0 looks these up itself; holding them proves that they are there and
	 * keeps them loaded. */
	EVP_KEYMGMT *ed25519_keys, *x25519_keys;
	EVP_SIGNATURE *ed25519;
} alg;

static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned init_count;

struct thread_state {
	EVP_MD_CTX *md;
	EVP_CIPHER_CTX *cipher;
};

/* The key exists for its destructor only. */
static pthread_key_t thread_key;
static bool thread_key_made;
static __thread struct thread_state thread_state;

static random_fn random_replaced;
static void *random_replaced_arg;

/*
 * The one place where a failure of OpenSSL becomes ours. The error queue belongs to the thread and
 * would show up in the next SSL call of whoever runs there.
 */
static enum err crypto_failed(void)
{
	ERR_clear_error();
	return ERR_CRYPTO;
}

/* ---- set-up ---- */

static void thread_release(void *arg)
{
	struct thread_state *state = arg;

	EVP_MD_CTX_free(state->md);
	EVP_CIPHER_CTX_free(state->cipher);
	*state = (struct thread_state){NULL, NULL};
}

/* The context of this thread, or NULL. */
static EVP_MD_CTX *thread_md(void)
{
	struct thread_state *state = &thread_state;

	if (__builtin_expect(state->md == NULL, 0)) {
		assert(alg.sha256 != NULL);
		if (pthread_setspecific(thread_key, state) == 0)
			state->md = EVP_MD_CTX_new();
	}
	return state->md;
}

static EVP_CIPHER_CTX *thread_cipher(void)
{
	struct thread_state *state = &thread_state;

	if (__builtin_expect(state->cipher == NULL, 0)) {
		assert(alg.gcm != NULL);
		if (pthread_setspecific(thread_key, state) == 0)
			state->cipher = EVP_CIPHER_CTX_new();
	}
	return state->cipher;
}

void crypto_forget(void)
{
	const struct thread_state *state = &thread_state;

	if (state->md != NULL)
		EVP_MD_CTX_reset(state->md);
	if (state->cipher != NULL)
		EVP_CIPHER_CTX_reset(state->cipher);
}

static void algorithms_release(void)
{
	EVP_MD_free(alg.sha256);
	EVP_CIPHER_free(alg.gcm);
	EVP_CIPHER_free(alg.gcm_128);
	EVP_KDF_free(alg.scrypt);
	EVP_KEYMGMT_free(alg.ed25519_keys);
	EVP_KEYMGMT_free(alg.x25519_keys);
	EVP_SIGNATURE_free(alg.ed25519);
	memset(&alg, 0, sizeof(alg));
}

static enum err algorithms_fetch(void)
{
	alg.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	alg.gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	alg.gcm_128 = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
	alg.scrypt = EVP_KDF_fetch(NULL, "SCRYPT", NULL);
	alg.ed25519_keys = EVP_KEYMGMT_fetch(NULL, "ED25519", NULL);
	alg.x25519_keys = EVP_KEYMGMT_fetch(NULL, "X25519", NULL);
	alg.ed25519 = EVP_SIGNATURE_fetch(NULL, "ED25519", NULL);
	if (alg.sha256 == NULL || alg.gcm == NULL || alg.gcm_128 == NULL || alg.scrypt == NULL ||
		alg.ed25519_keys == NULL || alg.x25519_keys == NULL || alg.ed25519 == NULL)
		return crypto_failed();
	return OK;
}

static enum err init_first(void)
{
	/* OpenSSL 3.0 looks into its default context without looking whether it could be made. */
	if (OSSL_LIB_CTX_get0_global_default() == NULL)
		return crypto_failed();
	/* Without a secure heap (no mmap) secrets go to ordinary memory; with one that cannot be
	 * locked (RLIMIT_MEMLOCK) it still has its guard pages. Neither is an error. It stays until
	 * the process ends: OpenSSL keeps things of its own in it. */
	if (!CRYPTO_secure_malloc_initialized() &&
		CRYPTO_secure_malloc_init(CRYPTO_SECURE_HEAP_SIZE, SECURE_HEAP_MIN) == 0)
		ERR_clear_error();
	if (!thread_key_made && pthread_key_create(&thread_key, thread_release) != 0)
		return ERR_CRYPTO;
	thread_key_made = true;
	TRY(algorithms_fetch());
	/* This thread's contexts now: better here than in the first hash. */
	if (thread_md() == NULL || thread_cipher() == NULL)
		return crypto_failed();
	return OK;
}

enum err crypto_init(void)
{
	enum err err = OK;

	pthread_mutex_lock(&init_lock);
	if (init_count == 0)
		err = init_first();
	if (err == OK)
		init_count++;
	else
		algorithms_release();
	pthread_mutex_unlock(&init_lock);
	return err;
}

void crypto_release(void)
{
	pthread_mutex_lock(&init_lock);
	assert(init_count > 0);
	if (--init_count == 0) {
		/* Other threads' contexts hold references of their own and go with their thread. */
		thread_release(&thread_state);
		algorithms_release();
	}
	pthread_mutex_unlock(&init_lock);
}

/* ---- SHA-256 ---- */

static bool md_start(EVP_MD_CTX *md)
{
	return md != NULL && EVP_DigestInit_ex2(md, alg.sha256, NULL) == 1;
}

static bool md_put(EVP_MD_CTX *md, struct bytes data)
{
	return data.size == 0 || EVP_DigestUpdate(md, data.data, data.size) == 1;
}

static bool md_put_parts(EVP_MD_CTX *md, const struct bytes *parts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!md_put(md, parts[i]))
			return false;
	return true;
}

static bool md_finish(EVP_MD_CTX *md, struct hash *ret)
{
	return EVP_DigestFinal_ex(md, ret->b, NULL) == 1;
}

/* A plain hash has nobody to report to, and may not fail: EVP_DigestInit_ex of 3.0 allocates each
 * time. The older calls do all of it on the stack, half as fast again (and would be missed if
 * OpenSSL ever drops them: then by a context for each call from the one allocator). */
void sha256_parts(const struct bytes *parts, size_t count, struct hash *ret)
{
	SHA256_CTX sha;

	SHA256_Init(&sha);
	for (size_t i = 0; i < count; i++)
		if (parts[i].size > 0)
			SHA256_Update(&sha, parts[i].data, parts[i].size);
	SHA256_Final(ret->b, &sha);
}

void sha256(struct bytes data, struct hash *ret)
{
	sha256_parts(&data, 1, ret);
}

void sha256_node(
	uint8_t prefix, const struct hash *left, const struct hash *right, struct hash *ret)
{
	uint8_t input[1 + 2 * HASH_SIZE];

	input[0] = prefix;
	memcpy(input + 1, left->b, HASH_SIZE);
	memcpy(input + 1 + HASH_SIZE, right->b, HASH_SIZE);
	sha256(BYTES_ARRAY(input), ret);
}

void sha256_leaf(uint8_t prefix, struct bytes data, struct hash *ret)
{
	const struct bytes parts[] = {bytes_make(&prefix, 1), data};

	sha256_parts(parts, 2, ret);
}

struct sha256_stream {
	EVP_MD_CTX *md;
};

enum err sha256_stream_new(struct sha256_stream **ret)
{
	struct sha256_stream *stream = mem_zalloc(sizeof(*stream));

	if (stream == NULL)
		return ERR_NOMEM;
	stream->md = EVP_MD_CTX_new();
	if (!md_start(stream->md)) {
		sha256_stream_free(stream);
		ERR_clear_error();
		return ERR_NOMEM;
	}
	*ret = stream;
	return OK;
}

void sha256_stream_put(struct sha256_stream *stream, struct bytes data)
{
	bool ok = md_put(stream->md, data);

	assert(ok);
	(void)ok;
}

void sha256_stream_finish(struct sha256_stream *stream, struct hash *ret)
{
	bool ok = md_finish(stream->md, ret) && md_start(stream->md);

	assert(ok);
	(void)ok;
}

void sha256_stream_free(struct sha256_stream *stream)
{
	if (stream == NULL)
		return;
	EVP_MD_CTX_free(stream->md);
	mem_free(stream);
}

/* ---- HMAC and HKDF ---- */

/* A key made ready for HMAC: padded with zeros to a block, or hashed when it is longer. */
static bool hmac_block(EVP_MD_CTX *md, struct bytes key, uint8_t block[SHA256_BLOCK])
{
	struct hash h;

	memset(block, 0, SHA256_BLOCK);
	if (key.size <= SHA256_BLOCK) {
		if (key.size > 0)
			memcpy(block, key.data, key.size);
		return true;
	}
	if (!md_start(md) || !md_put(md, key) || !md_finish(md, &h))
		return false;
	memcpy(block, h.b, HASH_SIZE);
	wipe(&h, sizeof(h));
	return true;
}

static void block_xor(uint8_t block[SHA256_BLOCK], uint8_t with)
{
	for (size_t i = 0; i < SHA256_BLOCK; i++)
		block[i] ^= with;
}

/*
 * Over EVP_MD rather than EVP_MAC, whose init and dup cost a quarter and a half more. Without
 * assertions or allocations; ret is written on success only.
 */
static bool hmac_run(struct bytes key, const struct bytes *parts, size_t count, struct hash *ret)
{
	enum { INNER = 0x36, OUTER = 0x5c };
	EVP_MD_CTX *md = thread_md();
	uint8_t block[SHA256_BLOCK];
	struct hash h = {{0}};
	bool ok;

	if (md == NULL || !hmac_block(md, key, block))
		return false;
	block_xor(block, INNER);
	ok = md_start(md) && md_put(md, BYTES_ARRAY(block)) && md_put_parts(md, parts, count) &&
	     md_finish(md, &h);
	block_xor(block, INNER ^ OUTER);
	ok = ok && md_start(md) && md_put(md, BYTES_ARRAY(block)) && md_put(md, hash_bytes(&h)) &&
	     md_finish(md, &h) &&
	     /* The context still has the result, which may be a key, in its state. */
	     md_start(md);
	if (ok)
		*ret = h;
	wipe(block, sizeof(block));
	wipe(&h, sizeof(h));
	return ok;
}

enum err hmac_sha256(struct bytes key, const struct bytes *parts, size_t count, struct hash *ret)
{
	return hmac_run(key, parts, count, ret) ? OK : crypto_failed();
}

enum err hkdf_extract(struct bytes salt, struct bytes ikm, struct hash *ret_prk)
{
	/* An empty key is a block of zeros, as 32 zeros are. */
	return hmac_sha256(salt, &ikm, 1, ret_prk);
}

enum { INFO_PARTS_MAX = 16 };

enum err hkdf_expand(
	struct bytes prk, const struct bytes *info, size_t count, uint8_t *ret, size_t size)
{
	struct bytes parts[INFO_PARTS_MAX + 2];
	struct hash t;
	uint8_t counter = 0;
	enum err err = OK;

	assert(count <= INFO_PARTS_MAX);
	if (size > HKDF_SIZE_MAX)
		return ERR_LIMIT;
	/* T(n) = HMAC(prk, T(n-1) || info || n), T(0) empty. */
	parts[0] = BYTES_NONE;
	for (size_t i = 0; i < count; i++)
		parts[i + 1] = info[i];
	parts[count + 1] = bytes_make(&counter, 1);
	for (size_t done = 0, n; done < size && err == OK; done += n) {
		n = size - done < HASH_SIZE ? size - done : HASH_SIZE;
		counter++;
		err = hmac_sha256(prk, parts, count + 2, &t);
		if (err == OK)
			memcpy(ret + done, t.b, n);
		parts[0] = hash_bytes(&t);
	}
	wipe(&t, sizeof(t));
	if (err != OK)
		wipe(ret, size);
	return err;
}

/* ---- AES-GCM ---- */

static bool aead_fits(struct bytes aad, size_t size)
{
	return aad.size <= INT_MAX && size <= INT_MAX;
}

/* Key, nonce and additional data. */
static bool aead_start(EVP_CIPHER_CTX *cipher, const EVP_CIPHER *which, const struct aead_key *key,
	struct bytes aad, int encrypt)
{
	int n;

	if (cipher == NULL ||
		EVP_CipherInit_ex2(cipher, which, key->key, key->nonce, encrypt, NULL) != 1)
		return false;
	return aad.size == 0 || EVP_CipherUpdate(cipher, NULL, &n, aad.data, (int)aad.size) == 1;
}

static bool aead_update(EVP_CIPHER_CTX *cipher, struct bytes in, uint8_t *out)
{
	int n = 0;

	return in.size == 0 || (EVP_CipherUpdate(cipher, out, &n, in.data, (int)in.size) == 1 &&
				       (size_t)n == in.size);
}

static enum err seal_with(const EVP_CIPHER *which, const struct aead_key *key, struct bytes aad,
	struct bytes plain, uint8_t *ret)
{
	EVP_CIPHER_CTX *cipher = thread_cipher();
	uint8_t none[AEAD_TAG_SIZE];
	int n;
	bool ok;

	if (!aead_fits(aad, plain.size))
		return ERR_LIMIT;
	ok = aead_start(cipher, which, key, aad, 1) && aead_update(cipher, plain, ret) &&
	     EVP_CipherFinal_ex(cipher, none, &n) == 1 &&
	     EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_SIZE, ret + plain.size) ==
		     1;
	EVP_CIPHER_CTX_reset(cipher); /* wipes the key schedule */
	if (!ok) {
		wipe(ret, plain.size + AEAD_TAG_SIZE);
		return crypto_failed();
	}
	return OK;
}

static enum err open_with(const EVP_CIPHER *which, const struct aead_key *key, struct bytes aad,
	struct bytes sealed, uint8_t *ret)
{
	EVP_CIPHER_CTX *cipher = thread_cipher();
	uint8_t tag[AEAD_TAG_SIZE], none[AEAD_TAG_SIZE];
	struct bytes body;
	int n;
	bool ok, good;

	if (!aead_fits(aad, sealed.size))
		return ERR_LIMIT;
	if (sealed.size < AEAD_TAG_SIZE)
		return ERR_DECRYPT;
	body = bytes_make(sealed.data, sealed.size - AEAD_TAG_SIZE);
	memcpy(tag, sealed.data + body.size, AEAD_TAG_SIZE);
	ok = aead_start(cipher, which, key, aad, 0) && aead_update(cipher, body, ret) &&
	     EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_SIZE, tag) == 1;
	good = ok && EVP_CipherFinal_ex(cipher, none, &n) == 1;
	EVP_CIPHER_CTX_reset(cipher);
	if (!good) {
		wipe(ret, body.size);
		(void)crypto_failed();
		return ok ? ERR_DECRYPT : ERR_CRYPTO;
	}
	return OK;
}

enum err aead_seal(const struct aead_key *key, struct bytes aad, struct bytes plain, uint8_t *ret)
{
	return seal_with(alg.gcm, key, aad, plain, ret);
}

enum err aead_open(const struct aead_key *key, struct bytes aad, struct bytes sealed, uint8_t *ret)
{
	return open_with(alg.gcm, key, aad, sealed, ret);
}

enum err aead_seal_128(
	const struct aead_key *key, struct bytes aad, struct bytes plain, uint8_t *ret)
{
	return seal_with(alg.gcm_128, key, aad, plain, ret);
}

enum err aead_open_128(
	const struct aead_key *key, struct bytes aad, struct bytes sealed, uint8_t *ret)
{
	return open_with(alg.gcm_128, key, aad, sealed, ret);
}

/* ---- Ed25519 ---- */

struct signer {
	EVP_PKEY *key;
	struct ed25519_public public;
};

enum err signer_new(struct bytes seed, struct signer **ret)
{
	struct signer *signer;
	size_t size = ED25519_PUBLIC_SIZE;

	if (seed.size != ED25519_SEED_SIZE)
		return ERR_INVALID;
	signer = mem_zalloc(sizeof(*signer));
	if (signer == NULL)
		return ERR_NOMEM;
	signer->key = EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, seed.data, seed.size);
	if (signer->key == NULL ||
		EVP_PKEY_get_raw_public_key(signer->key, signer->public.b, &size) != 1) {
		signer_free(signer);
		return crypto_failed();
	}
	*ret = signer;
	return OK;
}

void signer_free(struct signer *signer)
{
	if (signer == NULL)
		return;
	EVP_PKEY_free(signer->key);
	mem_free(signer);
}

const struct ed25519_public *signer_public(const struct signer *signer)
{
	return &signer->public;
}

/* OpenSSL 3.0 wants a pointer even for the empty message. */
static const uint8_t *message_data(struct bytes message)
{
	return message.size > 0 ? message.data : (const uint8_t *)"";
}

enum err signer_sign(
	const struct signer *signer, struct bytes message, struct ed25519_signature *ret)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	struct ed25519_signature signature;
	size_t size = sizeof(signature.b);
	bool ok =
		md != NULL &&
		EVP_DigestSignInit_ex(md, NULL, NULL, NULL, NULL, signer->key, NULL) == 1 &&
		EVP_DigestSign(md, signature.b, &size, message_data(message), message.size) == 1 &&
		size == sizeof(signature.b);

	EVP_MD_CTX_free(md);
	if (!ok)
		return crypto_failed();
	*ret = signature;
	return OK;
}

bool ed25519_verify(const struct ed25519_public *key, struct bytes message, struct bytes signature)
{
	EVP_PKEY *pkey = NULL;
	EVP_MD_CTX *md = NULL;
	bool good = false;

	if (signature.size != ED25519_SIGNATURE_SIZE)
		return false;
	pkey = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, key->b, sizeof(key->b));
	md = EVP_MD_CTX_new();
	if (pkey != NULL && md != NULL &&
		EVP_DigestVerifyInit_ex(md, NULL, NULL, NULL, NULL, pkey, NULL) == 1)
		good = EVP_DigestVerify(md, signature.data, signature.size, message_data(message),
			       message.size) == 1;
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(pkey);
	if (!good)
		ERR_clear_error();
	return good;
}

/* ---- X25519 ---- */

enum err x25519_public(struct bytes private_key, struct x25519_public *ret)
{
	struct x25519_public public;
	size_t size = sizeof(public.b);
	EVP_PKEY *key;
	bool ok;

	if (private_key.size != X25519_KEY_SIZE)
		return ERR_INVALID;
	key = EVP_PKEY_new_raw_private_key_ex(
		NULL, "X25519", NULL, private_key.data, private_key.size);
	ok = key != NULL && EVP_PKEY_get_raw_public_key(key, public.b, &size) == 1 &&
	     size == sizeof(public.b);
	EVP_PKEY_free(key);
	if (!ok)
		return crypto_failed();
	*ret = public;
	return OK;
}

static bool x25519_derive(EVP_PKEY *key, EVP_PKEY *peer, uint8_t *ret)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	size_t size = X25519_KEY_SIZE;
	bool ok = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
		  EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
		  EVP_PKEY_derive(ctx, ret, &size) == 1 && size == X25519_KEY_SIZE;

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

enum err x25519_shared(
	struct bytes private_key, const struct x25519_public *peer, struct secret *ret)
{
	static const uint8_t zeros[X25519_KEY_SIZE];
	struct secret shared = {0};
	EVP_PKEY *key, *other;
	enum err err;

	if (private_key.size != X25519_KEY_SIZE)
		return ERR_INVALID;
	TRY(secret_init(&shared, X25519_KEY_SIZE));
	key = EVP_PKEY_new_raw_private_key_ex(
		NULL, "X25519", NULL, private_key.data, private_key.size);
	other = EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, peer->b, sizeof(peer->b));
	err = key == NULL || other == NULL ? crypto_failed() : OK;
	/* The library refuses a result of zeros; looked at once more, since all depends on it. */
	if (err == OK && (!x25519_derive(key, other, shared.data) ||
				 equal_secret(secret_bytes(&shared), BYTES_ARRAY(zeros)))) {
		(void)crypto_failed();
		err = ERR_UNTRUSTED;
	}
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	if (err != OK)
		secret_release(&shared);
	else
		*ret = shared;
	return err;
}

/* ---- scrypt ---- */

enum { SCRYPT_MEMORY_MAX = 256 * 1024 * 1024 };

/* RFC 7914 section 2 and 6; memory is counted as OpenSSL does, 4 * r blocks of work space too. */
static enum err scrypt_memory(struct scrypt_cost cost, uint64_t *ret_memory)
{
	uint64_t block, memory;

	if (cost.n < 2 || (cost.n & (cost.n - 1)) != 0 || cost.r == 0 || cost.p == 0)
		return ERR_INVALID;
	if (16 * (uint64_t)cost.r < 64 && cost.n >> (16 * cost.r) != 0)
		return ERR_INVALID;
	if ((uint64_t)cost.p * cost.r > (1u << 30) - 1)
		return ERR_INVALID;
	block = 128 * (uint64_t)cost.r;
	if (cost.n > SCRYPT_MEMORY_MAX)
		return ERR_LIMIT;
	if (__builtin_mul_overflow(block, cost.n + cost.p + 2, &memory) ||
		memory > SCRYPT_MEMORY_MAX)
		return ERR_LIMIT;
	*ret_memory = memory;
	return OK;
}

enum err scrypt(struct bytes passphrase, struct bytes salt, struct scrypt_cost cost, uint8_t *ret,
	size_t size)
{
	uint64_t memory, r = cost.r, p = cost.p;
	EVP_KDF_CTX *kdf;
	bool ok;

	TRY(scrypt_memory(cost, &memory));

	const OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_PASSWORD,
			(void *)(uintptr_t)message_data(passphrase), passphrase.size),
		OSSL_PARAM_octet_string(
			OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)message_data(salt), salt.size),
		OSSL_PARAM_uint64(OSSL_KDF_PARAM_SCRYPT_N, &cost.n),
		OSSL_PARAM_uint64(OSSL_KDF_PARAM_SCRYPT_R, &r),
		OSSL_PARAM_uint64(OSSL_KDF_PARAM_SCRYPT_P, &p),
		OSSL_PARAM_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
		OSSL_PARAM_END,
	};

	kdf = EVP_KDF_CTX_new(alg.scrypt);
	ok = kdf != NULL && EVP_KDF_derive(kdf, ret, size, params) == 1;
	EVP_KDF_CTX_free(kdf);
	if (!ok) {
		wipe(ret, size);
		return crypto_failed();
	}
	return OK;
}

/* ---- randomness ---- */

void random_set(random_fn fn, void *arg)
{
	random_replaced = fn;
	random_replaced_arg = arg;
}

enum err random_bytes(uint8_t *ret, size_t size)
{
	if (random_replaced != NULL)
		return random_replaced(random_replaced_arg, ret, size);
	for (size_t done = 0, n; done < size; done += n) {
		n = size - done < INT_MAX ? size - done : INT_MAX;
		if (RAND_bytes(ret + done, (int)n) != 1)
			return crypto_failed();
	}
	return OK;
}
