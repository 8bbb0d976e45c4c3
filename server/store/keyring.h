/*
 * keyring: the small LMDB environment of wrapped case keys, `keyring/`: kid (16 bytes) -> wrapped
 * KeyringRecord (cases/seal/keyring.h makes and opens the value), and other rows, which are told
 * apart by the first byte of the value (cases/seal/row.h). Used by one thread. Values never
 * stand in clear on the disk. Errors as store.h. The directory is locked (flock) as long as it is
 * open.
 */
#ifndef SERVER_STORE_KEYRING_H
#define SERVER_STORE_KEYRING_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "server/store/condition.h"

enum { KEYRING_VALUE_MAX = 17 * 1024 };

struct keyring;
struct keyring_item {
	uint8_t kid[16]; /* or the name of a row that is no key (cases/seal/row.h) */
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
/* The same for what may be there: replaced, or removed where the value is empty; what is to be
 * removed may be missing. All of it or nothing. LMDB keeps what was replaced or removed in free
 * pages: no way to be rid of a secret. */
enum err keyring_update(struct keyring *keyring, const struct keyring_item *items, size_t count,
	struct errctx *ctx) MUST_USE;
/* Calls each with every item, in order of kid; stops at its first error and returns it. The value
 * is valid for the call; no transaction is open then. */
enum err keyring_each(struct keyring *keyring,
	enum err (*each)(void *arg, const struct keyring_item *item, struct errctx *ctx), void *arg,
	struct errctx *ctx) MUST_USE;

#endif
