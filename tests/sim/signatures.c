#include "tests/sim/signatures.h"

#include "base/alloc.h"
#include "base/crypto.h"

/* What the linker makes of base/crypto's functions. */
enum err __real_signer_new(struct bytes seed, struct signer **ret);
void __real_signer_free(struct signer *signer);
const struct ed25519_public *__real_signer_public(const struct signer *signer);
enum err __real_signer_sign(
	const struct signer *signer, struct bytes message, struct ed25519_signature *ret);
bool __real_ed25519_verify(
	const struct ed25519_public *key, struct bytes message, struct bytes signature);

/* .. and of everybody's calls of them. */
enum err __wrap_signer_new(struct bytes seed, struct signer **ret);
void __wrap_signer_free(struct signer *signer);
const struct ed25519_public *__wrap_signer_public(const struct signer *signer);
enum err __wrap_signer_sign(
	const struct signer *signer, struct bytes message, struct ed25519_signature *ret);
bool __wrap_ed25519_verify(
	const struct ed25519_public *key, struct bytes message, struct bytes signature);

static bool real;

void signatures_set_real(bool is_real)
{
	real = is_real;
}

/* A signer is opaque to everybody else; this one is its public key. */
static struct signer *signer_of(struct ed25519_public *public)
{
	return (struct signer *)public;
}

static void keyed(
	const struct ed25519_public *key, struct bytes message, struct ed25519_signature *ret)
{
	const struct bytes parts[] = {
		bytes_str(SIGNATURES_MARK), bytes_make(key->b, sizeof(key->b)), message};
	struct hash hash;

	sha256_parts(parts, 3, &hash);
	memcpy(ret->b, hash.b, HASH_SIZE);
	memcpy(ret->b + HASH_SIZE, hash.b, HASH_SIZE);
}

enum err __wrap_signer_new(struct bytes seed, struct signer **ret)
{
	struct ed25519_public *public;
	struct hash hash;

	if (real)
		return __real_signer_new(seed, ret);
	if (seed.size != ED25519_SEED_SIZE)
		return ERR_INVALID;
	public = mem_zalloc(sizeof(*public));
	if (public == NULL)
		return ERR_NOMEM;
	sha256(seed, &hash);
	memcpy(public->b, hash.b, sizeof(public->b));
	*ret = signer_of(public);
	return OK;
}

void __wrap_signer_free(struct signer *signer)
{
	if (real)
		__real_signer_free(signer);
	else
		mem_free(signer);
}

const struct ed25519_public *__wrap_signer_public(const struct signer *signer)
{
	return real ? __real_signer_public(signer) : (const struct ed25519_public *)signer;
}

enum err __wrap_signer_sign(
	const struct signer *signer, struct bytes message, struct ed25519_signature *ret)
{
	if (real)
		return __real_signer_sign(signer, message, ret);
	keyed((const struct ed25519_public *)signer, message, ret);
	return OK;
}

bool __wrap_ed25519_verify(
	const struct ed25519_public *key, struct bytes message, struct bytes signature)
{
	struct ed25519_signature good;

	if (real)
		return __real_ed25519_verify(key, message, signature);
	keyed(key, message, &good);
	return signature.size == sizeof(good.b) &&
	       memcmp(signature.data, good.b, sizeof(good.b)) == 0;
}
