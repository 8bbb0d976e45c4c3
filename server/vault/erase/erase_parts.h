/* What the files of erase.h share. */
#ifndef SERVER_VAULT_ERASE_PARTS_H
#define SERVER_VAULT_ERASE_PARTS_H

#include "server/vault/erase/erase.h"

enum { ERASE_LINE_KIDS = 64 }; /* in one event of the ledger: SCHEMA_ITEMS_MAX */

struct erasures {
	struct erasure *list;
	size_t count, capacity;
	struct row_name *tombs; /* of all tombstones, ascending */
	size_t tomb_count, tomb_capacity;
	uint8_t (*doomed)[KEYRING_NAME_SIZE]; /* rows to be destroyed */
	size_t doomed_count, doomed_capacity;
	struct hold *holds;
	size_t hold_count, hold_capacity;
	/* Out of the ledger, at unlock: what was ordered, until the keys are all there. */
	struct ordered {
		char author[LIMIT_NODE_NAME + 1];
		uint8_t kid[SEAL_KID_SIZE];
	} * ordered;
	size_t ordered_count, ordered_capacity;
	bool ran; /* keys were destroyed in this request */
};

/* erase.c */
const char *erasure_author(const struct book *book, const struct erasure *erasure);
enum err erase_save(struct book *book, const struct erasure *erasure, struct errctx *ctx) MUST_USE;
enum err erase_add(struct book *book, struct erasure *erasure) MUST_USE; /* takes on OK */
/* The row of it, and keys that are wrapped already, in one transaction. */
enum err erase_save_with(struct book *book, const struct erasure *erasure,
	const struct keyring_entry *keys, size_t count, struct errctx *ctx) MUST_USE;
/* Tombstones, out of memory, off the disk. */
enum err erase_run(
	struct book *book, struct erasure *erasure, uint64_t now_s, struct errctx *ctx) MUST_USE;

int erase_kid_compare(const void *a, const void *b);
/* Takes the place of the one there was of that case; one whose end has passed lifts it. */
enum err erase_put_hold(struct book *book, const struct hold *hold, struct errctx *ctx) MUST_USE;

/* erase_part.c: an event or a note alone, whose survivors move to new keys. */
static inline bool erase_part(const struct erasure *erasure)
{
	return erasure->scope == ERASE_EVENT || erasure->scope == ERASE_NOTE;
}
/* New keys for its groups, and the row: all of it or nothing. */
enum err erase_roll(struct book *book, const struct casebook_case *kase,
	const struct erasure *erasure, struct errctx *ctx) MUST_USE;
/* Is something left that has to be sealed anew before the keys go? */
enum err erase_survivors(struct book *book, const struct erasure *erasure, bool *ret_more,
	struct errctx *ctx) MUST_USE;

/* erase_holders.c: to whom its keys were given, into erasure->holders, which have room. */
enum err erase_holders(const struct book *book, struct erasure *erasure) MUST_USE;
/* Values that opened entries of it for somebody, into erasure->revealed, which has room. */
enum err erase_revealed(struct book *book, struct erasure *erasure, struct errctx *ctx) MUST_USE;
/* Which node key of its author gave a key of the case that is here. */
struct order_key;
void erase_given_by(const struct book *book, const struct case_ref *ref, const char *sender,
	const struct seal_kid *kid, struct order_key *ret);
/* Orders for grants that were taken back, and have none yet. */
enum err erase_withdrawn(struct book *book, uint64_t now_s, struct errctx *ctx) MUST_USE;

/* erase_escrow.c: what the escrow has of them. *ret_more: it still holds them, and nothing is
 * destroyed yet. Then the version keys that they were under are among the erasure's keys, and the
 * custodians among its holders. */
enum err erase_escrow(struct book *book, struct erasure *erasure, bool *ret_more,
	struct vault_request *request) MUST_USE;
/* A row that holds a version key: whose it is, into an entry without a key. */
enum err erase_version_key(struct book *book, const uint8_t *kid, enum row_kind kind,
	bool *ret_here, struct keyring_entry *ret) MUST_USE;
/* Which node key signed for a version key that is kept here. */
bool erase_custody_by(struct book *book, const struct seal_kid *kid, struct hash *ret);

/* erase_begin.c: what is to be erased, and who has it. */
enum err erase_begin(struct book *book, struct vault_request *request) MUST_USE;
enum err erase_hold(struct book *book, struct vault_request *request) MUST_USE;
enum err erase_show(struct book *book, struct vault_request *request) MUST_USE;
#endif
