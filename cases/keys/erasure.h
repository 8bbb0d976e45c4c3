/*
 * erasure: keys that are to be destroyed, as a node remembers it: its own orders, with what every
 * holder has answered, and those of others, with what it has answered itself; tombstones; holds.
 *Rows of the keyring (cases/seal/row.h), which hold no key.
 *
 *	ordered -> destroyed here -> confirmed by n of m -> complete
 *
 * complete: every holder has destroyed the keys, or never had them, and the prekeys are destroyed
 * that grants of them were sealed to. Only then does nothing that is left open what was erased.
 *
 * Pure: bytes in, bytes out.
 */
#ifndef CASES_KEYS_ERASURE_H
#define CASES_KEYS_ERASURE_H

#include "base/limits.h"
#include "cases/event/case_code.h"
#include "cases/event/event.h"
#include "cases/keys/verdict.h"
#include "cases/seal/row.h"
#include "cases/seal/seal.h"

enum { ORDER_ID_SIZE = 16 };
struct order_id {
	uint8_t b[ORDER_ID_SIZE];
};

struct erasure_prekeys {
	uint64_t number[LIMIT_ERASE_PREKEYS]; /* ascending */
	size_t count;
};
bool erasure_prekeys_have(const struct erasure_prekeys *prekeys, uint64_t number);
/* Into its place, once. ERR_LIMIT past LIMIT_ERASE_PREKEYS. */
enum err erasure_prekeys_add(struct erasure_prekeys *prekeys, uint64_t number) MUST_USE;

struct erasure_holder {
	char node[LIMIT_NODE_NAME + 1];
	struct hash node_key; /* SHA-256 of the one that keys were given to */
	struct erasure_prekeys prekeys, gone;
	uint64_t receipt_at; /* 0: none yet */
	uint32_t destroyed, never;
	char hold_authority[LIMIT_ERASE_TEXT + 1], hold_until[11];
	uint64_t hold_at;  /* 0: no hold */
	uint64_t asked_at; /* the order was last put into the mail; 0: never */
};

struct erasure {
	struct order_id id;
	char sender[LIMIT_NODE_NAME + 1]; /* "": this node's own */
	struct hash sender_key;
	struct case_ref case_ref;
	char code[CASE_CODE_MAX + 1];
	char basis[33];
	enum erasure_scope scope;
	group_set groups;
	struct event_id event;
	uint64_t ordered_at, destroyed_at, confirmed_at, told_at;
	bool ledger, noted; /* it is said there; in the case */
	char officer[EVENT_OFFICER_MAX + 1];
	uint64_t entries;
	uint8_t (*kids)[SEAL_KID_SIZE]; /* owned; ascending */
	size_t kid_count;
	uint8_t (*never)[SEAL_KID_SIZE]; /* owned; of them */
	size_t never_count;
	struct hash *revealed; /* owned; ascending */
	size_t revealed_count;
	struct erasure_holder *holders; /* owned */
	size_t holder_count;
	struct erasure_prekeys prekeys, gone; /* of another's order */
};
void erasure_release(struct erasure *erasure); /* NULL and zeroed ones are fine */
/* Room for so many zeroed ones. ERR_LIMIT past the caps; ERR_NOMEM. */
enum err erasure_init(
	struct erasure *erasure, size_t kids, size_t revealed, size_t holders) MUST_USE;
bool erasure_has(const struct erasure *erasure, const uint8_t kid[SEAL_KID_SIZE]);

enum err erasure_pack(const struct erasure *erasure, struct buf *out) MUST_USE;
/* On OK the caller owns *ret. ERR_CORRUPT: what a node would not write; ERR_NOMEM. */
enum err erasure_unpack(struct bytes plain, struct erasure *ret) MUST_USE;
/* sender "" : this node's own. Another's cannot take the name of any other's. */
void erasure_row_name(const char *sender, const struct order_id *id, struct row_name *ret);

/* Has that holder done all it was asked? */
bool erasure_holder_done(const struct erasure_holder *holder);
/* Of an own one: destroyed here, and every holder is done. */
bool erasure_complete(const struct erasure *erasure);
/* "ordered", "destroyed here", "confirmed", "complete". */
const char *erasure_state_name(const struct erasure *erasure);

struct tombstone {
	char author[LIMIT_NODE_NAME + 1];
	struct seal_kid kid;
	uint64_t at;
};
enum err tombstone_pack(const struct tombstone *tombstone, struct buf *out) MUST_USE;
enum err tombstone_unpack(struct bytes plain, struct tombstone *ret) MUST_USE; /* ERR_CORRUPT */
/* After both: nobody can put one on another's key. */
void tombstone_row_name(const char *author, const struct seal_kid *kid, struct row_name *ret);

struct hold {
	struct case_ref case_ref;
	char authority[LIMIT_ERASE_TEXT + 1];
	char officers[2][EVENT_OFFICER_MAX + 1];
	char until[11]; /* the last day */
	uint64_t at;
};
enum err hold_pack(const struct hold *hold, struct buf *out) MUST_USE;
enum err hold_unpack(struct bytes plain, struct hold *ret) MUST_USE; /* ERR_CORRUPT */
void hold_row_name(const struct case_ref *ref, struct row_name *ret);
bool hold_lasts(const struct hold *hold, const char *today);

#endif
