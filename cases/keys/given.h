/*
 * given: a grant that this node gave, as it remembers it: whom, what of which case, on which
 * consent, and how far it got; and who holds which key. Rows of the keyring, kind ROW_GIVEN, whose
 * name is the grant's id; no K is in it.
 *
 *	GIVEN_MADE ----> GIVEN_SENT ----> GIVEN_TAKEN
 *	    ^                |  \------> GIVEN_REFUSED
 *	    `-- not opened --'
 *
 * made: in the ledger, or about to be; it may have to wait. sent: sealed, and with this node's
 *mail. taken: the recipient says that it has it. Revoked is something else, and may come at any
 *time: no new key goes there from then on. Whom it was sealed for counts as a holder, taken or not,
 *since a signed "no" takes no key back.
 *
 * Pure: bytes in, bytes out.
 */
#ifndef CASES_KEYS_GIVEN_H
#define CASES_KEYS_GIVEN_H

#include "base/limits.h"
#include "cases/event/event.h"
#include "cases/keys/grant.h"
#include "cases/seal/row.h"

/* Why a grant may be given. Numbers stand in rows and in mail: final. */
enum grant_basis {
	GRANT_CONSENT = 1,
	GRANT_MANDATE = 2,
	GRANT_BREAK_GLASS = 3,
	GRANT_REPLY = 4,  /* the own keys of a case, to whoever gave the others */
	GRANT_LEDGER = 5, /* of the ledger, to an auditor */
};
const char *grant_basis_name(uint32_t basis); /* "CONSENT"; "" for none of them */

enum given_state { GIVEN_MADE = 1, GIVEN_SENT = 2, GIVEN_TAKEN = 3, GIVEN_REFUSED = 4 };
enum given_end { GIVEN_LIVE = 0, GIVEN_WITHDRAWN = 1, GIVEN_ENDED = 2, GIVEN_STOPPED = 3 };

enum { GRANT_PURPOSE_MAX = 32 };

struct given_key {
	struct seal_kid kid;
	enum group group;
	uint64_t first;
};
struct given {
	struct event_id id; /* of ACCESS_GRANTED in the ledger */
	struct case_ref case_ref;
	char recipient[LIMIT_NODE_NAME + 1];
	struct hash node_key; /* SHA-256 of its node key then; zeros: not known any more */
	char purpose[GRANT_PURPOSE_MAX + 1]; /* "" */
	uint32_t basis;
	char until[11]; /* the last day; "" */
	uint8_t nonce[GRANT_NONCE_SIZE];
	bool has_consent;
	struct event_id consent; /* of CONSENT_RECORDED */
	struct hash consent_leaf;
	char consent_origin[LIMIT_ORIGIN + 1];
	uint64_t consent_index;
	group_set groups;
	bool history;
	uint64_t made_at;
	enum given_state state;
	uint64_t prekeys[LIMIT_GRANT_PREKEYS]; /* of the recipient; the newest is the last */
	size_t prekey_count;
	bool mailed;
	struct hash item;    /* of mail, once it was mailed */
	char revoked_on[11]; /* "" */
	enum given_end revoked_for;
	struct event_id revocation; /* of ACCESS_REVOKED in the ledger, once it is revoked */
	struct given_key *keys;     /* owned; ascending by kid */
	size_t key_count;
};

void given_release(struct given *given); /* NULL and zeroed ones are fine */
/* Room for so many zeroed keys. ERR_INVALID: none; ERR_LIMIT past LIMIT_GRANT_KEYS; ERR_NOMEM. */
enum err given_init(struct given *given, size_t keys) MUST_USE;
/* Into the order that everything else asks for. */
void given_sort(struct given *given);

/* The plain text of the row. ERR_NOMEM. */
enum err given_pack(const struct given *given, struct buf *out) MUST_USE;
/* On OK the caller owns *ret. ERR_CORRUPT: what a node would not write; ERR_NOMEM. */
enum err given_unpack(struct bytes plain, struct given *ret) MUST_USE;
void given_row_name(const struct event_id *id, struct row_name *ret);

bool given_live(const struct given *given); /* neither revoked nor refused */
/* Was it sealed for somebody, so that keys may be elsewhere? */
bool given_left(const struct given *given);
bool given_has(const struct given *given, const struct seal_kid *kid);
/* The commitment of the grant. As grant_commitment. */
enum err given_commitment(const struct given *given, struct hash *ret) MUST_USE;

#endif
