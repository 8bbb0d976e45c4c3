/*
 * grant: may keys of a case leave the office, and what the ledger says of those that did
 * (DESIGN 9, FORMAT "Grants").
 *
 * Happy path: grant_check with what is to be given and to whom, as of today; grant_commitment over
 * the keys; ACCESS_GRANTED with it is durable in the ledger; then the keys are mailed. grant_check
 * again when the mail is released.
 *
 * A live consent of the case must cover all of it: purpose, recipient, groups, services, day
 * (cases/rules/covers.h: what events rest on is judged by the same words). A recipient has up to
 * three names: the node's, the country of its office, the organisation's; a consent that has one of
 * them names it, one that withholds from any of them withholds. Nobody reads a case on a consent to
 * STATISTICS, whatever it names: what is counted is counted without keys.
 *
 * Break-glass and mandates do not ask here: they are no consent, and say so in the ledger.
 *
 * Pure.
 */
#ifndef CASES_KEYS_GRANT_H
#define CASES_KEYS_GRANT_H

#include "base/crypto.h"
#include "cases/rules/covers.h"
#include "cases/seal/seal.h"

/* Names as events have them: what needs an escape in JSON has it. NULL or "": none. */
struct grant_recipient {
	const char *node, *country, *organisation;
};

struct grant_ask {
	const char *purpose; /* a code (C1); NULL: any but STATISTICS */
	struct grant_recipient to;
	group_set groups;     /* 0: what the consent covers, see grant_cover.groups */
	const char *services; /* JSON, a list of codes or one; NULL or "": not by service */
	const char *day;      /* YYYY-MM-DD */
	/* As in consent_need (cases/rules/covers.h). */
	bool (*counts)(const void *arg, const struct event_id *event);
	const void *arg;
};

struct grant_cover {
	bool covered;
	/* What is missing: of the consent below; of several the one that comes closest, of equals
	 * the newest. CONSENT_LACKS_ALL: the case has none to that purpose, and there is none
	 * below. Its service points into the ask. */
	struct consent_verdict missing;
	/* The consent that covers it, of several the one that ends last; or that comes closest. */
	struct bytes consent;  /* "C-2"; points into the state */
	struct event_id event; /* of its CONSENT_RECORDED */
	group_set groups;      /* asked for, or else all that it covers */
	struct bytes services; /* JSON list it is limited to; empty: all. Points into the state */
	struct bytes purpose;  /* .. likewise */
	char until[11];        /* its last day; "" when it was never in force */
};

void grant_covered(
	const struct case_state *state, const struct grant_ask *ask, struct grant_cover *ret);
/* What is missing, in words: "consent C-2 ended on 2024-05-01". Nothing when it is covered. Names
 * ids, codes, groups, days; never the recipient. */
void grant_missing(const struct case_state *state, const struct grant_ask *ask,
	const struct grant_cover *cover, struct buf *ret);
/* Both: ERR_CONSENT with what is missing and what to do. */
enum err grant_check(const struct case_state *state, const struct grant_ask *ask,
	struct grant_cover *ret, struct errctx *ctx) MUST_USE;

/* One key that is given: readable from its entry `first` on, counted from 0 under this key. */
enum { GRANT_NONCE_SIZE = 32 };
struct grant_key {
	struct seal_kid kid;
	uint64_t first;
};
struct grant_commitment {
	const uint8_t *nonce; /* GRANT_NONCE_SIZE random bytes, told to the recipient */
	struct bytes recipient;
	const struct hash *consent_leaf; /* of the entry with the consent; NULL: zeros */
	struct grant_key *keys;          /* sorted by it */
	size_t count;
};
/* ERR_INVALID: no key, a kid twice, no recipient or one longer than LIMIT_NODE_NAME; ERR_LIMIT:
 * more than LIMIT_GRANT_KEYS. */
enum err grant_commitment(const struct grant_commitment *in, struct hash *ret) MUST_USE;

#endif
