/*
 * checked: rows with a check of their own, for the tables whose bytes nothing else vouches for.
 * Entries have their leaf hashes and tiles are recomputed; a changed letter in a name or a bit in a
 * number would go unseen.
 *
 *	value || SHA-256("sauti/1 row" || lv16(key) || value)[0:8]
 *
 * It finds damage, not an attacker.
 */
#ifndef SERVER_STORE_CHECKED_H
#define SERVER_STORE_CHECKED_H

#include "server/store/env.h"

enum { CHECK_SIZE = 8 };

/* As txn_put, with the check behind the value. */
void checked_put(struct txn *txn, unsigned slot, struct bytes key, struct bytes value);
/* ERR_NOTFOUND; ERR_CORRUPT when the check is wrong (does not stick); what sticks in txn. The view
 * is as txn_get's, without the check. */
enum err checked_get(struct txn *txn, unsigned slot, struct bytes key, struct bytes *ret) MUST_USE;
/* The same for a row that was read. */
enum err checked_open(struct bytes key, struct bytes row, struct bytes *ret) MUST_USE;

#endif
