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

enum { KEYRING_VALUE_MAX = 17 * 1024, KEYRING_NAME_SIZE = 16 };

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
/* Appends the value of one row; ERR_NOTFOUND: there is none. */
enum err keyring_get(struct keyring *keyring, const uint8_t name[16], struct buf *out,
	struct errctx *ctx) MUST_USE;
/* Writes the whole keyring anew, so that no copy of what was in it is left in the file: `row` is
 * called with every row in order and appends what it becomes, nothing when it is to go. The new
 * file is made beside the old one, synced, and moved in its place, durably. *ret_moved: it stands
 * there; when this fails before that, all is as it was. When it fails after that, the keyring gives
 * ERR_IO until it is opened again. */
struct keyring_rewrite {
	enum err (*row)(
		void *arg, const struct keyring_item *item, struct buf *out, struct errctx *ctx);
	void *arg;
};
enum err keyring_rewrite(struct keyring *keyring, const struct keyring_rewrite *rewrite,
	bool *ret_moved, struct errctx *ctx) MUST_USE;
/* Calls each with every item, in order of kid; stops at its first error and returns it. The value
 * is valid for the call; no transaction is open then. */
enum err keyring_each(struct keyring *keyring,
	enum err (*each)(void *arg, const struct keyring_item *item, struct errctx *ctx), void *arg,
	struct errctx *ctx) MUST_USE;

#endif
