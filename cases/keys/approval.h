/*
 * approval: what was opened without consent, and the second person who must agree to it (DESIGN 9
 * "Break-glass"). Rows of the keyring, kind ROW_APPROVAL. The id is 16 random bytes; all that the
 * ledger says of one names it (`opening` of BREAK_GLASS).
 *
 *	                 approve                       tell
 *	WAITING ------------------------> APPROVED
 *	   |  refuse
 *	   |------------------------> REFUSED   \
 *	   |  72 hours                           keys are withdrawn, what was told is recalled
 *	   `------------------------> WITHDRAWN /
 *
 * What counts as an approval: by another officer than who opened it, of this node or of any other,
 * within APPROVAL_S of the opening by this node's clock when it arrives, whatever it says of its
 * own time; from another node only for exactly what that node was asked (the hash of it). Whatever
 * does not count is refused, and stands in the ledger.
 *
 * The same rows hold what other nodes ask of officers here (APPROVAL_ASKED).
 *
 * Reasons are free text: they stand in the row and in sealed mail, wrapped, and in the ledger.
 *
 * Pure: bytes in, bytes out; the time is handed in, as seconds since 1970.
 */
#ifndef CASES_KEYS_APPROVAL_H
#define CASES_KEYS_APPROVAL_H

#include "base/crypto.h"
#include "base/limits.h"
#include "cases/event/group.h"
#include "cases/seal/row.h"

enum {
	APPROVAL_S = 72 * 3600,
	APPROVAL_KEYS_S = 30 * 24 * 3600, /* approved or not, keys end with that day */
	APPROVAL_GRANT_BASIS = 3,         /* GRANT_BREAK_GLASS of given.h */
	APPROVAL_ID_SIZE = 16,
	APPROVAL_ID_TEXT = 32
};
/* As of a case's reference, its code, the id of an event (cases/event/event.h; the loop has another
 * struct event). */
enum { APPROVAL_REF_SIZE = 16, APPROVAL_CODE_MAX = 32, APPROVAL_EVENT_TEXT = 36 };
enum { APPROVAL_NAME_MAX = 128, APPROVAL_WHO_MAX = 64 + 1 + LIMIT_NODE_NAME };

/* Numbers stand in rows and mail: final. */
enum approval_kind {
	APPROVAL_BREAK_GLASS = 1, /* keys for another node */
	APPROVAL_REPORT = 2,      /* a packet for an authority, which the law demands */
};
enum approval_state {
	APPROVAL_WAITING = 1,
	APPROVAL_APPROVED = 2,
	APPROVAL_REFUSED = 3,
	APPROVAL_WITHDRAWN = 4, /* nobody approved in time */
};
const char *approval_kind_name(uint32_t kind);   /* "BREAK_GLASS"; "" for none of them */
const char *approval_state_name(uint32_t state); /* "WAITING".. */

struct approval {
	uint8_t id[APPROVAL_ID_SIZE];
	enum approval_kind kind;
	enum approval_state state, told;     /* told: the state that the ledger has; 0: none */
	char from[LIMIT_NODE_NAME + 1];      /* whose it is; "": this node's */
	uint8_t case_ref[APPROVAL_REF_SIZE]; /* zeros of another node's */
	char case_code[APPROVAL_CODE_MAX + 1];
	char to[APPROVAL_NAME_MAX + 1]; /* node, or authority */
	group_set groups;
	char reason[LIMIT_PURPOSE + 1];
	char legal_basis[APPROVAL_NAME_MAX + 1]; /* of a report */
	char packet[APPROVAL_EVENT_TEXT + 1];    /* of a report: its reference */
	char office[4];   /* of a report, as its event says it; "": the node's country */
	bool told_before; /* of a report: the victim was told before */
	char who[APPROVAL_WHO_MAX + 1]; /* who opened it: NAME, of another node NAME@NODE */
	uint64_t asked_at;
	struct hash asked;                  /* of the content of APPROVAL_ASKED, as it was mailed */
	char decider[APPROVAL_WHO_MAX + 1]; /* "": nobody yet */
	uint64_t decided_at;
	char victim_told_on[11]; /* "" */
};

/* In force: keys stay where they are. On that moment. */
bool approval_holds(const struct approval *approval, uint64_t now_s);
uint64_t approval_deadline(const struct approval *approval);

enum approval_verdict {
	APPROVAL_COUNTS,
	APPROVAL_IS_LATE,  /* after the deadline, or it was withdrawn */
	APPROVAL_IS_OWN,   /* by whoever opened it, or at the node it is for */
	APPROVAL_IS_OTHER, /* for something else than was asked */
	APPROVAL_IS_DONE,  /* decided already */
};
const char *approval_verdict_text(enum approval_verdict verdict); /* the end of a sentence */
/* decider: NAME of this node, or NAME@NODE. asked: what that node says it was asked; NULL: an
 * officer here, who sees it. */
enum approval_verdict approval_judge(const struct approval *approval, const char *decider,
	const struct hash *asked, uint64_t now_s);

/* Is there room for one more question, with so many of others kept, and so many of that node? */
bool approval_room(size_t kept, size_t of_sender);

/* "2026-01-31T12:00:00Z" */
void approval_time_text(uint64_t seconds, char ret[21]);
/* The id of the MANDATORY_REPORT that records an approved report, the same whenever it is made. */
void approval_report_id(const struct approval *approval, char ret[APPROVAL_EVENT_TEXT + 1]);

/* The plain text of the row. ERR_NOMEM. */
enum err approval_pack(const struct approval *approval, struct buf *out) MUST_USE;
/* ERR_CORRUPT: what a node would not write; ERR_NOMEM. */
enum err approval_unpack(struct bytes plain, struct approval *ret) MUST_USE;
/* Another node's has a name of its own: nobody chooses the name of a row here. */
void approval_row_name(const struct approval *approval, struct row_name *ret);

#endif
