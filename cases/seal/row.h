/*
 * row: what a node keeps in its keyring beside keys: whom it gave keys, what it was given, what is
 * erased. The store's key of the value is a name of 16 bytes, random or derived (row_name). Pure;
 * what is inside is a message of whoever owns the kind.
 *
 *   value = u8 kind || nonce 12 || AES-256-GCM(keyring key, nonce, aad, plain)
 *   aad   = "sauti/1 keyring row" || u8 kind || name
 *
 * so that no value can be put in the place of another, nor be read as one of another kind. Kinds 1
 * and 2 are older and have labels of their own: keyring.h, away.h.
 */
#ifndef CASES_ROW_H
#define CASES_ROW_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

enum { ROW_NAME_SIZE = 16, ROW_PLAIN_MAX = 16 * 1024 };

/* Final: they stand on the disk. */
enum row_kind {
	ROW_NONE = 0,
	ROW_KEY = 1,      /* keyring.h */
	ROW_AWAY = 2,     /* away.h */
	ROW_GIVEN = 3,    /* a grant this node gave */
	ROW_RECEIVED = 4, /* .. and one it was given */
	ROW_TOMBSTONE = 5,
	ROW_ERASURE = 6,   /* one under way, or done: its orders and receipts */
	ROW_CUSTODY = 7,   /* a version key of another node's escrow */
	ROW_ESCROW = 8,    /* an own version key, and how far it is held */
	ROW_CONFIRMED = 9, /* a node's key whose words an officer compared */
	ROW_APPROVAL = 10, /* one that is waited for */
	ROW_REVEALED = 11, /* P of an entry that was shown to somebody */
	ROW_HOLD = 12,     /* why an order is not obeyed yet */
	ROW_RECEIPT = 13,  /* a receipt that was given (cases/receipt/receipt_row.h) */
	ROW_KIND_LAST = ROW_RECEIPT,
};

struct row_name {
	uint8_t b[ROW_NAME_SIZE];
};

/* ROW_NONE: empty, or of a kind that is not known. */
enum row_kind row_kind(struct bytes value);

/* SHA-256("sauti/1 row name" || u8 kind || name)[0:16], for rows of which there is one for each
 * name. */
void row_name(enum row_kind kind, struct bytes name, struct row_name *ret);

/* Appends the wrapped value. keyring_key: 32 bytes; kind from ROW_GIVEN on. ERR_LIMIT past
 * ROW_PLAIN_MAX; ERR_NOMEM, ERR_CRYPTO. */
enum err row_wrap(struct bytes keyring_key, enum row_kind kind, const struct row_name *name,
	struct bytes plain, struct buf *out) MUST_USE;

/* Appends what was wrapped; reserve `out` and wipe it where it holds keys. ERR_DECRYPT: another
 * keyring key, name or kind, or changed; ERR_CORRUPT: of no such kind, or cut; ERR_NOMEM,
 * ERR_CRYPTO. */
enum err row_unwrap(struct bytes keyring_key, enum row_kind kind, const struct row_name *name,
	struct bytes value, struct buf *out) MUST_USE;

/* Appends the same row under another keyring key, of any kind, 1 and 2 too; what is inside is not
 * looked at. nonce: 12 random bytes. ERR_VERSION: of a kind that is not known; others as
 * row_unwrap. */
struct row_rewrap {
	struct bytes from, to; /* keyring keys, 32 bytes */
	const uint8_t *nonce;
	const struct row_name *name;
};
enum err row_rewrap(const struct row_rewrap *rewrap, struct bytes value, struct buf *out) MUST_USE;

#endif
