/*
 * revealed: what a node remembers of a P that it gave away (DESIGN 9: a revealed P is a key): which
 * entry it opens, whom it was for, when, the last time. A row of the keyring of kind ROW_REVEALED,
 * one for each P; P itself is not in it, nor anything that opens the entry.
 *
 *   plain = u8 1 || P's id 32 || kid 16 || leaf hash 32 || case_ref 16 || event_id 16 || u8 group
 *           || u64be index || lv16 origin || u64be at || lv16 to
 *
 * P's id is SHA-256(P); at: seconds; to: whom it was for. The ledger has each time. Pure.
 */
#ifndef CASES_REVEALED_H
#define CASES_REVEALED_H

#include "base/limits.h"
#include "cases/event/event.h"
#include "cases/seal/row.h"
#include "cases/seal/seal.h"

enum { REVEALED_TO_MAX = LIMIT_PURPOSE };

struct revealed {
	struct hash id; /* of P */
	struct seal_kid kid;
	struct hash leaf;
	struct case_ref case_ref;
	struct event_id event_id;
	enum group group;
	uint64_t index;
	char origin[LIMIT_ORIGIN + 1];
	uint64_t at_s;
	char to[REVEALED_TO_MAX + 1];
};

/* SHA-256(P): how a revealed P is called in ledgers and orders. */
void revealed_id(const struct seal_reveal *p, struct hash *ret);
/* The name of its row. */
void revealed_row_name(const struct hash *id, struct row_name *ret);

void revealed_write(const struct revealed *revealed, struct buf *out);
/* ERR_CORRUPT. */
enum err revealed_read(struct bytes plain, struct revealed *ret) MUST_USE;

#endif
