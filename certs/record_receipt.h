/*
 * record_receipt: the daily batch of items of receipts in a node's own log (docs/FORMAT, Receipts).
 * What an item is stands in cases/receipt/receipt.h; here is only what everybody can check of a
 * batch. Pure; views are into the arena.
 */
#ifndef CERTS_RECORD_RECEIPT_H
#define CERTS_RECORD_RECEIPT_H

#include "certs/record.h"

enum { RECEIPT_TAGS_KEY = 32 /* bytes of an item that it is sorted by */ };

/* The message that is signed. ERR_INVALID: not 16 or 64 items, or not each above the one before. */
enum err receipt_tags_body(struct buf *out, struct bytes items) MUST_USE;
/* The entry of such a body. */
enum err receipt_tags_write(struct buf *out, struct bytes body, const struct signer *node) MUST_USE;

/* Told by the first bytes: other entries need not be unpacked. */
bool receipt_tags_looks_like(struct bytes entry);

/* Parse entry bytes. ERR_NOTFOUND: it does not look like one; ERR_MALFORMED: no such body, also by
 * number and order of its items; ERR_UNTRUSTED: not signed by this key (NULL: not looked at);
 * ERR_NOMEM. */
struct receipt_tags {
	struct bytes body;  /* as it was signed */
	struct bytes items; /* one behind the other */
};
enum err receipt_tags_read(struct bytes entry, const struct ed25519_public *node,
	struct arena *arena, struct receipt_tags *ret, struct errctx *ctx) MUST_USE;

#endif
