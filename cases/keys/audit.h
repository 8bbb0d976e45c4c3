/*
 * audit: the grants of one ledger, judged by somebody who has its opened entries and those of the
 * consents that it cites, and where each stands in the node's logs; no key, no case (DESIGN 9).
 *
 * A grant is good when
 *   - its commitment is that of its nonce, recipient, consent and keys
 *   - what it rests on was there before it: for a consent, the entry it cites stands before it, is
 *     of that case, and with all that the case's group of consents said by then covers purpose,
 *     recipient, groups and day (cases/rules/covers.h), and ends no sooner than the grant
 *   - of an emergency, somebody else approved within 72 hours, or it was taken back
 *   - of the ledger itself, the recipient is an auditor
 *
 * What cannot be judged from here is said to be open, and why: a consent erased since, keys given
 * in reply to another office's grant, an approval that still has time.
 *
 * Places: logs by the number of their epoch, entries by index. An event that stands twice (a new
 * epoch repeats what nobody had cosigned) counts where it stands first.
 *
 * Pure. Holds opened parts: wiped on release.
 */
#ifndef CASES_KEYS_AUDIT_H
#define CASES_KEYS_AUDIT_H

#include "base/crypto.h"
#include "cases/event/event.h"

struct audit_place {
	uint32_t epoch;
	uint64_t index;
};

struct audit;
enum err audit_new(struct audit **ret) MUST_USE;
void audit_free(struct audit *audit); /* NULL is fine */

/* An opened part of the groups audit or consent; copied. ERR_MALFORMED: not a whole part, or of
 * another group; ERR_LIMIT, ERR_NOMEM. */
enum err audit_add(struct audit *audit, const struct audit_place *at, const struct hash *leaf,
	struct bytes part, struct errctx *ctx) MUST_USE;

/* What the directory says of a node. */
struct audit_member {
	const char *country; /* "" */
	bool auditor;
};

enum audit_verdict { AUDIT_GOOD, AUDIT_OPEN, AUDIT_BAD };
struct audit_finding {
	enum audit_verdict verdict;
	struct audit_place at;
	struct event_id grant;
	struct case_ref case_ref;
	char recipient[LIMIT_NODE_NAME + 1]; /* "": it has none that could be one */
	const char *basis;                   /* "CONSENT"..; static */
	char why[400]; /* of what is not good; ids, codes and days, no text of a case */
};

/* An order to destroy keys: what all events of the ledger that name it say together. An order of
 * the ledger's own node is done once it is complete, another node's once it is obeyed. */
struct audit_erasure {
	struct audit_place at; /* of the first of these events */
	char order[33];        /* its id, in hex */
	struct case_ref case_ref;
	char by[LIMIT_NODE_NAME + 1]; /* the node that ordered it; "": this one */
	bool ordered, obeyed, complete;
	uint64_t begun_s, ended_s; /* when the first and the last were recorded */
	size_t keys;               /* named by its first stage */
	size_t confirmed;          /* nodes whose receipts it had when it was complete */
};

struct audit_judge {
	/* False: not known, or there is no directory. May be NULL. */
	bool (*member)(void *arg, const char *node, struct audit_member *ret);
	/* In the order of the ledger. */
	void (*found)(void *arg, const struct audit_finding *finding);
	void (*erased)(void *arg, const struct audit_erasure *erasure); /* may be NULL */
	void *arg;
};
/* Once everything is there. ERR_NOMEM, ERR_LIMIT. */
enum err audit_judge(struct audit *audit, const struct audit_judge *judge) MUST_USE;

#endif
