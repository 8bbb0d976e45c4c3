/*
 * order: is this order, receipt or hold good (DESIGN 9)? What it is judged by is handed in: what
 * the keyring has of each key, and who is who by the directory. The item's signature, and that its
 * sender is an active member, were checked before.
 *
 * Orders. A key is destroyed only for the node that made it, and only when the order is signed by
 * the node key that gave it, or, after that node was replaced, by one whose words an officer here
 * has compared. One key of another's in it, or one that another node key gave, and the order is
 * refused whole: whoever mixes them tries something. A key that is not here is no reason to refuse:
 * it becomes a tombstone of the sender's, so that the grant that comes late opens nothing.
 *
 * Receipts and holds. Good from a node that was asked, under the node key that the keys were given
 * to (or a confirmed one), and about what was asked alone: headquarters cannot have a node of its
 * own making say that all is destroyed.
 *
 * Pure.
 */
#ifndef CASES_KEYS_ORDER_H
#define CASES_KEYS_ORDER_H

#include "base/crypto.h"
#include "cases/keys/erasure.h"

/* Who signed it. */
struct order_sender {
	const char *name;
	struct hash node_key; /* SHA-256 of the one in the directory: it signed */
	bool confirmed;       /* an officer here has compared its words */
};

/* What is here under one kid. */
struct order_key {
	bool here;
	const char *author;   /* whose it is */
	bool given_known;     /* given_by is known */
	struct hash given_by; /* SHA-256 of the node key that gave it */
};
/* One more grant of it by its author, under that node key. Two keys of one name cannot both be the
 * one that counts: whoever has the key of a case and takes its author's name could have it
 * destroyed. Then a confirmed one alone orders it. */
void order_key_given(struct order_key *key, const struct hash *by);
enum order_verdict order_judge(
	const struct order_sender *sender, const struct order_key *keys, size_t count);

/* The same order once more, or another under its id? */
enum order_verdict order_again(
	const struct erasure *known, const struct order_sender *sender, struct bytes kids);

/* erasure: the own one of that id, NULL: none. *ret_holder is whose it is on ORDER_GOOD. */
enum order_verdict order_answer(
	const struct erasure *erasure, const struct order_sender *sender, size_t *ret_holder);
struct order_receipt {
	struct bytes destroyed, never; /* kids, ascending */
	const uint64_t *gone, *left;   /* prekeys, ascending */
	size_t gone_count, left_count;
};
/* After order_answer: is it about what was ordered? All kids must be accounted for. */
enum order_verdict order_receipt_judge(
	const struct erasure *erasure, size_t holder, const struct order_receipt *receipt);
/* Takes it down; an older one than is there changes nothing but what it adds. */
void order_receipt_take(struct erasure *erasure, size_t holder, const struct order_receipt *receipt,
	uint64_t now_s);

#endif
