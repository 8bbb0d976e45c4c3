/*
 * secret: bytes that must not be left behind. They live in OpenSSL's secure heap when it is there
 * (locked memory, guard pages), in ordinary memory otherwise, and are wiped on release. Core dumps
 * are switched off by the programs at start. Comparison is in constant time.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/bytes.h"
#include "base/err.h"

struct secret {
	uint8_t *data;
	size_t size;
};

enum err secret_init(struct secret *secret, size_t size) MUST_USE;       /* zeroed; size > 0 */
enum err secret_copy(struct secret *secret, struct bytes from) MUST_USE; /* inits and copies */
enum err secret_random(struct secret *secret, size_t size) MUST_USE;     /* inits, from the DRBG */
void secret_release(struct secret *secret); /* wipes; NULL, zeroed and released ones are fine */

static inline struct bytes secret_bytes(const struct secret *secret)
{
	return bytes_make(secret->data, secret->size);
}

/* Overwrites memory in a way the compiler keeps. */
void wipe(void *data, size_t size);
/* Overwrites what calls that have returned left on this thread's stack, WIPE_STACK_SIZE deep from
 * the caller's frame. The stack has that much room. */
enum { WIPE_STACK_SIZE = 256 * 1024 };
void wipe_stack(void);

/* Constant-time equality; lengths are not secret. */
bool equal_secret(struct bytes a, struct bytes b) MUST_USE;

#endif
