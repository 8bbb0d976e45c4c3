#include "base/secret.h"

#include <assert.h>

#include <openssl/crypto.h>

#include "base/alloc.h"
#include "base/crypto.h"

/*
 * OpenSSL takes the DRBG seeds of each thread and the private keys that it makes or decodes from
 * the same secure heap, and fails when it is full. So secrets leave a quarter of it alone and go
 * to ordinary memory instead.
 */
enum { SECURE_USED_MAX = CRYPTO_SECURE_HEAP_SIZE / 4 * 3 };

enum err secret_init(struct secret *secret, size_t size)
{
	uint8_t *data = NULL;

	assert(size > 0);
	if (CRYPTO_secure_malloc_initialized() && size <= SECURE_USED_MAX &&
		CRYPTO_secure_used() <= SECURE_USED_MAX - size)
		data = OPENSSL_secure_zalloc(size);
	if (data == NULL)
		data = mem_zalloc(size);
	if (data == NULL)
		return ERR_NOMEM;
	*secret = (struct secret){data, size};
	return OK;
}

enum err secret_copy(struct secret *secret, struct bytes from)
{
	TRY(secret_init(secret, from.size));
	memcpy(secret->data, from.data, from.size);
	return OK;
}

enum err secret_random(struct secret *secret, size_t size)
{
	struct secret fresh;
	enum err err;

	TRY(secret_init(&fresh, size));
	err = random_bytes(fresh.data, size);
	if (err != OK) {
		secret_release(&fresh);
		return err;
	}
	*secret = fresh;
	return OK;
}

void secret_release(struct secret *secret)
{
	if (secret == NULL || secret->data == NULL)
		return;
	if (CRYPTO_secure_allocated(secret->data)) {
		OPENSSL_secure_clear_free(secret->data, secret->size);
	} else {
		wipe(secret->data, secret->size);
		mem_free(secret->data);
	}
	*secret = (struct secret){NULL, 0};
}

void wipe(void *data, size_t size)
{
	if (size > 0)
		OPENSSL_cleanse(data, size);
}

__attribute__((noinline)) void wipe_stack(void)
{
	uint8_t below[WIPE_STACK_SIZE];

	wipe(below, sizeof(below));
}

bool equal_secret(struct bytes a, struct bytes b)
{
	return a.size == b.size && (a.size == 0 || CRYPTO_memcmp(a.data, b.data, a.size) == 0);
}
