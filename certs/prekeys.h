/*
 * prekeys: when the prekeys of a node come and go (DESIGN 9). Numbers and times alone; the private
 * halves are the keystore's (certs/keystore.h).
 *
 *	kept -> retired -> gone
 *
 * One is the newest, and mail is sealed to it. A successor is made when it is 30 days old and a
 * peer holds its record (one that nobody knows has nothing sealed to it); when an erasure wants
 *one; when the node key that signed it is not the node's any more; when the logs of this node have
 *a number that is not here, as after a keystore was put back. Only once a peer holds the
 *successor's record is the older one retired; 30 days later its private half is destroyed, so that
 *mail that was on its way still opens. Who was offline for years has an old one that is not
 *retired, and opens with it what was sealed to it.
 *
 * Erasures make one as soon as a peer holds the newest, so that many at a time are one, and at most
 * one a day once half of all places are taken: whoever makes others erase cannot fill them.
 *
 * Times are the node's, which may jump. What lies in its future by more than a day was written
 *under a wrong clock: it counts as of now.
 *
 * Pure.
 */
#ifndef CERTS_PREKEYS_H
#define CERTS_PREKEYS_H

#include "certs/record.h"

enum {
	PREKEY_DAY_S = 24 * 3600,
	PREKEY_AGE_S = 30 * PREKEY_DAY_S,  /* then a successor is made */
	PREKEY_KEPT_S = 30 * PREKEY_DAY_S, /* after it is retired */
	PREKEYS_MAX = LIMIT_PREKEYS + LIMIT_PREKEYS_GONE,
};

struct prekey_state {
	uint64_t number, made_at;
	uint64_t retired_at; /* 0: not */
	uint64_t gone_at;    /* the private half is destroyed since; 0: it is kept */
	bool wanted;         /* an erasure wants a successor */
	struct hash signer;  /* SHA-256 of the node key that signs it; zeros: not remembered */
};
struct prekey_table {
	struct prekey_state list[PREKEYS_MAX]; /* in order of their numbers; the last is not gone */
	size_t count;
};
/* What is known outside of the keystore. */
struct prekey_look {
	uint64_t now_s;
	uint64_t acknowledged; /* the newest number whose record a peer holds; 0: none */
	uint64_t published;    /* the newest number in logs of this node; 0: none, or not looked */
	bool published_other;  /* .. and its key is not the one that is here under that number */
	bool wanted;           /* an erasure has run here: the newest is to have a successor */
	struct hash signer;    /* SHA-256 of the node key */
};
struct prekey_step {
	bool changed; /* the table is not what it was */
	bool make;    /* a successor is to be made, with the number `next` */
	bool full;    /* .. but there are LIMIT_PREKEYS: it waits */
	uint64_t next;
};
/* Retires and marks as gone what is due, and says whether a new one is. Gone ones beyond
 * LIMIT_PREKEYS_GONE are forgotten, the oldest first. */
struct prekey_step prekeys_step(struct prekey_table *table, const struct prekey_look *look);
size_t prekeys_kept(const struct prekey_table *table); /* private halves */
/* When the newest is followed by another, if nothing else happens; 0: there is none. */
uint64_t prekeys_next_at(const struct prekey_table *table);

/* What became of a number of this node, for receipts of erasures. */
enum prekey_fate {
	PREKEY_UNKNOWN, /* never made here, as far as is known */
	PREKEY_KEPT,
	PREKEY_GONE,
};
/* *ret_gone_at: 0 when it is so long ago that it is not remembered. */
enum prekey_fate prekeys_fate(
	const struct prekey_table *table, uint64_t number, uint64_t *ret_gone_at);

#endif
