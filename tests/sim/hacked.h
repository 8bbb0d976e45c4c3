/*
 * hacked: a hacked headquarters against keys of cases. Offices give each other keys, take them,
 * order them destroyed and answer; headquarters carries all of it, and the directory, and does with
 * both what it likes. It has the key of the directory and its own, sees everything, forgets
 * nothing.
 *
 * Here is no engine: the network is the attacker. Nothing arrives but what it hands over, when it
 * wants, as often as it wants, to whom it wants. That is more than it can do through the engine,
 * whose own worlds (world.h) show that mail arrives, once, when somebody honest carries it.
 *
 * What must never happen, looked at after every step:
 *
 *   no key obtained   headquarters can open no K but what its author gave to the real one
 *   no key destroyed  a K goes from an office on its author's order alone
 *   never back        what was destroyed at an office is not there again
 *   one key           whoever holds a kid of an honest author holds its K, and so do all others
 *   no false receipt  what an author takes for destroyed is not there any more
 *
 * And in the end, when headquarters is clean, each node that was substituted has keys of its own
 * again and officers have compared their words: every order is obeyed by every holder, receipted,
 * and complete.
 *
 * Contents of mail, directory, what is taken, obeyed and believed are the product's
 * (certs/mail_*.h, certs/directory.h, cases/keys); real HPKE, and signatures as signatures.h.
 *
 *   hacked.c         one seed from beginning to end
 *   office.c         what an office does with keys
 *   office_orders.c  .. and to have them destroyed
 *   hacked_moves.c   what headquarters does
 *   hacked_check.c   the checkers
 */
#ifndef TESTS_SIM_HACKED_H
#define TESTS_SIM_HACKED_H

#include <stdbool.h>
#include <stdint.h>

/* Guards that can be left out, to see the checkers turn red. */
enum hacked_skip {
	SKIP_NONE,
	SKIP_TRUST,     /* keys go to whom nobody has confirmed */
	SKIP_WORDS,     /* officers confirm without comparing */
	SKIP_ORDER,     /* every order is obeyed */
	SKIP_ANSWER,    /* every receipt is believed */
	SKIP_TOMBSTONE, /* what comes late is taken */
	SKIP_KID,       /* a key is what its sender says it is */
	SKIP_SIGNER,    /* mail counts as signed by the key that its sender has now */
	SKIP_TWICE,     /* of two grants of a key by two node keys the newer one counts */
	SKIPS
};
const char *hacked_skip_name(enum hacked_skip skip);

struct hacked_opts {
	uint64_t seed;
	bool trace;
	enum hacked_skip skip;
};
/* Runs one seed to its end. True when nothing was wrong; otherwise *ret_failure says what, and the
 * caller owns it. */
bool hacked_run(const struct hacked_opts *opts, char **ret_failure);
void hacked_tell(void); /* what there was in all seeds so far */

#endif
