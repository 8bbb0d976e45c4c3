/*
 * keyring: the small LMDB environment of wrapped case keys, `keyring/`: kid (16 bytes) -> wrapped
 * KeyringRecord (cases/seal/keyring.h makes and opens the value). Used by one thread. Values never
 * stand in clear on the disk. Errors as store.h. The directory is locked (flock) as long as it is
 * open.
 */
#ifndef SERVER_STORE_KEYRING_H
#define SERVER_STORE_KEYRING_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "server/store/condition.h"

enum { KEYRING_VALUE_MAX = 4096 };

struct keyring;
struct keyring_item {
	uint8_t kid[16];
	struct bytes value;
};

enum err keyring_open(const char *path, struct keyring **ret, struct errctx *ctx) MUST_USE;
void keyring_close(struct keyring *keyring);
/* What the last keyring_put met on the disk; TROUBLE_NONE: nothing. */
enum trouble keyring_trouble(const struct keyring *keyring);
/* One synced transaction; a kid that is there already is ERR_EXISTS, a value over
 * KEYRING_VALUE_MAX ERR_LIMIT, and nothing is written. */
enum err keyring_put(struct keyring *keyring, const struct keyring_item *items, size_t count,
	struct errctx *ctx) MUST_USE;
/* Calls each with every item, in order of kid; stops at its first error and returns it. The value
 * is valid for the call; no transaction is open then. */
enum err keyring_each(struct keyring *keyring,
	enum err (*each)(void *arg, const struct keyring_item *item, struct errctx *ctx), void *arg,
	struct errctx *ctx) MUST_USE;

#endif
