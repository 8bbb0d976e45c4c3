/*
 * erase: keys that are to be gone, here and at whoever was given them (DESIGN 9): this node's own
 * orders, and what others have ordered. Rows of the keyring remember all of it
 * (cases/keys/erasure.h); what may be ordered is decided by cases/keys/order.h, and how a key
 * leaves the disk by destroy.h.
 *
 * Own:        BEGIN  checks, and remembers what goes: from here on it is finished, whatever happens
 *             NEXT   the ledger names the kids; then they are destroyed here; then each holder is
 *                    sent the order, once a day until its receipt is here; then the ledger says
 * that all is complete Another's:  TAKE   judged; tombstones and the order in one transaction;
 * forgotten in memory, and destroyed. Or held: then nothing is destroyed yet NEXT   the ledger; the
 * receipt; once more when prekeys that it names are destroyed; or the hold, and what was held once
 * that is over
 *
 * NEXT gives one thing at a time for the loop to do, which says so by DID. A tombstone is what
 * decides: a key that has one is not loaded at an unlock, is destroyed before any case is served,
 * and is never taken again from mail. What the ledger says was ordered gets its tombstones at every
 * unlock, so that a keyring from before does not bring a key back.
 *
 * Where the disk refuses, the keys are forgotten all the same: they are not served in this session.
 *
 * Of the vault's thread.
 */
#ifndef SERVER_VAULT_ERASE_H
#define SERVER_VAULT_ERASE_H

#include "cases/keys/erasure.h"
#include "server/vault/erase/destroy.h"
#include "server/vault/internal.h"

struct erasures;

enum err erasures_new(struct erasures **ret) MUST_USE;
void erasures_free(struct erasures *erasures); /* NULL is fine */
/* Before any key is loaded: which have a tombstone. */
enum err erasures_scan(struct book *book, struct errctx *ctx) MUST_USE;
/* A row of the kinds ROW_ERASURE, ROW_HOLD, ROW_TOMBSTONE. */
enum err erasures_load(
	struct book *book, const struct keyring_item *item, struct errctx *ctx) MUST_USE;
/* Must this key never come back? */
bool erasures_gone(const struct book *book, const char *author, const struct seal_kid *kid);
/* A row that is to be destroyed by the next erasures_settle; out of memory makes the caller end. */
enum err erasures_doom(struct book *book, const uint8_t name[KEYRING_NAME_SIZE]) MUST_USE;
/* An event of the own ledger, opened into book->part: KEYS_ERASED. */
enum err erasures_noted(struct book *book, const struct part_info *info) MUST_USE;
/* What these say was ordered, and obeyed, is so: tombstones for keys that have none, out of memory.
 */
enum err erasures_restore(struct book *book, struct errctx *ctx) MUST_USE;
/* Destroys what is doomed. *ret_broken: the keyring cannot be used until the next unlock. */
enum err erasures_settle(struct book *book, bool *ret_broken, struct errctx *ctx) MUST_USE;
/* Of own entries that no key opens: how many were erased. */
uint64_t erasures_entries(const struct book *book);

/* Orders one node to destroy keys that it was given, after a withdrawal. The same id again has no
 * effect. This node's own copies stay. ERR_FULL past LIMIT_ERASURES; errors of writing. */
struct erase_wish {
	struct order_id id;
	struct case_ref case_ref;
	const char *code, *node; /* code: "" */
	struct hash node_key;    /* SHA-256 of the one that they were given to */
	const uint64_t *prekeys; /* that grants were sealed to */
	size_t prekey_count;
	const struct seal_kid *kids;
	size_t kid_count;
};
enum err erase_order_keys(struct book *book, const struct erase_wish *wish, uint64_t now_s,
	struct errctx *ctx) MUST_USE;
/* What was ordered of that id; NULL: nothing. For who shows it. */
const struct erasure *erase_find(const struct book *book, const struct order_id *id);

/* Was it a case of this node's that is erased? When: YYYY-MM-DD. */
bool erase_case_gone(const struct book *book, const char *name, char ret_day[11]);

/* The next entries that survive an erased event, to be sealed under the new keys; no parts in
 * ret_plan: nothing is left. request->erase->order_id says of which. */
enum err erase_reseal_plan(
	struct book *book, struct vault_request *request, struct plan *ret_plan) MUST_USE;

/* The requests ERASE_x. box: the prekeys that there are. */
enum err erase_answer(
	struct book *book, const struct mailbox *box, struct vault_request *request) MUST_USE;

#endif
