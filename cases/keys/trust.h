/*
 * trust: which node keys an officer of this office has confirmed, by comparing the spoken words of
 * their fingerprint (fingerprint.h). No key of a case goes to a node whose key is not: neither a
 * hacked headquarters that puts a key of its own in place of a node's, nor one that invents a
 * hospital, gets anything.
 *
 * What is confirmed is the key, under a name. A node that comes back with another key is not
 * confirmed; the row of the former one goes when the new one is confirmed. One row for each name: a
 * row of the keyring (ROW_CONFIRMED, named row_name(ROW_CONFIRMED, node name)) that holds a
 * ConfirmedKey, so that nobody without an officer's passphrase makes one. Pure; one thread.
 */
#ifndef CASES_TRUST_H
#define CASES_TRUST_H

#include "base/buf.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "cases/seal/row.h"

struct trust_row {
	char node[LIMIT_NODE_NAME + 1];
	struct ed25519_public key;
	char officer[LIMIT_OFFICER_NAME + 1]; /* who compared the words */
	uint64_t confirmed_at;                /* seconds, UTC, by this node's clock */
};

struct trust {
	struct trust_row *rows; /* in order of their nodes' names */
	size_t count, capacity;
};

void trust_init(struct trust *trust);
void trust_release(struct trust *trust); /* NULL and zeroed are fine */
void trust_clear(struct trust *trust);

/* Copies the row; the one of the same name goes. ERR_LIMIT: LIMIT_CONFIRMED names; ERR_NOMEM. */
enum err trust_put(struct trust *trust, const struct trust_row *row) MUST_USE;
void trust_remove(struct trust *trust, const char *node); /* there may be none */
/* NULL: none. Of any key: compare it, or ask trust_confirmed. Valid until the next change. */
const struct trust_row *trust_find(const struct trust *trust, const char *node);

/* May a key of a case go to this node: is this very key confirmed under this name? */
bool trust_confirmed(const struct trust *trust, const char *node, const struct ed25519_public *key);
/* The same as an error for people: ERR_UNTRUSTED, which says what to do, and whether it was another
 * key that was confirmed. */
enum err trust_check(const struct trust *trust, const char *node, const struct ed25519_public *key,
	struct errctx *ctx) MUST_USE;

/* The row's name in the keyring, and its plain contents (row_wrap). Appends. ERR_NOMEM. */
void trust_row_name(const char *node, struct row_name *ret);
enum err trust_row_write(const struct trust_row *row, struct buf *out) MUST_USE;
/* ERR_CORRUPT naming what; ERR_NOMEM. */
enum err trust_row_read(struct bytes plain, struct trust_row *ret, struct errctx *ctx) MUST_USE;

#endif
