/*
 * fingerprint: a node key as eight words, for two people on the telephone (DESIGN 7). Pure.
 *
 *   SHA-256("sauti/1 fingerprint" || lv16 network || lv16 name || node key)[0:11], eleven bits a
 *   word (base/words.h)
 *
 * 88 bits: who wants a key of theirs to sound like another node's tries 2^87 keys. Name and network
 * are inside, so that a key that was confirmed as one node's never sounds right as another's.
 */
#ifndef CASES_FINGERPRINT_H
#define CASES_FINGERPRINT_H

#include "base/crypto.h"
#include "base/limits.h"
#include "base/words.h"

enum { FINGERPRINT_SIZE = 11, FINGERPRINT_WORDS = WORDS_COUNT(FINGERPRINT_SIZE) };

struct fingerprint {
	uint8_t b[FINGERPRINT_SIZE];
	char text[WORDS_TEXT(FINGERPRINT_WORDS) + 1]; /* lower case, one space between words */
};

/* network and name: valid ones. */
void fingerprint_make(const char *network, const char *name, const struct ed25519_public *node,
	struct fingerprint *ret);

/* What an officer heard, as typed (words_decode). ERR_MALFORMED: not eight words of the list, ctx
 * names the wrong one. ERR_UNTRUSTED: eight words of another key; which are wrong is not said: who
 * has the right ones has no need of it. */
enum err fingerprint_compare(
	const struct fingerprint *fingerprint, struct bytes heard, struct errctx *ctx) MUST_USE;

#endif
