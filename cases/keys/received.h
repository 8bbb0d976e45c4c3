/*
 * received: a grant that this node was given, as it remembers it beside the keys: whose, of which
 * case, which groups, until when, signed by which key of the sender and opened with which prekey
 * (an order to destroy asks for both). Rows of the keyring, kind ROW_RECEIVED, named after sender
 * and grant, so that nobody can have two of one name; no K is in it.
 *
 * Pure: bytes in, bytes out.
 */
#ifndef CASES_KEYS_RECEIVED_H
#define CASES_KEYS_RECEIVED_H

#include "cases/keys/given.h"

struct received {
	struct event_id id; /* of the sender's ledger */
	struct case_ref case_ref;
	char sender[LIMIT_NODE_NAME + 1];
	struct hash node_key;                        /* SHA-256 of its node key when it was taken */
	uint64_t prekey;                             /* of this node, which opened it */
	char code[CASE_CODE_MAX + 1], opened_on[11]; /* "" */
	char purpose[GRANT_PURPOSE_MAX + 1], until[11];
	uint32_t basis;
	group_set groups;
	uint64_t received_at;
	struct hash consent_leaf;
	char consent_origin[LIMIT_ORIGIN + 1];
	uint64_t consent_index;
	struct seal_kid *kids; /* owned */
	size_t kid_count;
};
void received_release(struct received *received); /* NULL and zeroed ones are fine */
/* Room for so many. ERR_INVALID: none; ERR_LIMIT past LIMIT_GRANT_KEYS; ERR_NOMEM. */
enum err received_init(struct received *received, size_t kids) MUST_USE;

enum err received_pack(const struct received *received, struct buf *out) MUST_USE;
/* On OK the caller owns *ret. ERR_CORRUPT: what a node would not write; ERR_NOMEM. */
enum err received_unpack(struct bytes plain, struct received *ret) MUST_USE;
void received_row_name(const char *sender, const struct event_id *id, struct row_name *ret);

/* May what it gives be used on that day, YYYY-MM-DD? */
bool received_in_force(const struct received *received, const char *today);
bool received_has(const struct received *received, const struct seal_kid *kid);

#endif
