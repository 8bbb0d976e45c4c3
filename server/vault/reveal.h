/*
 * reveal: P of entries of this node, for somebody who has the log and no key (DESIGN 8); and what
 * is remembered of each, in rows of the keyring, before it leaves.
 *
 * Of the vault's thread, as the book.
 */
#ifndef SERVER_VAULT_REVEAL_H
#define SERVER_VAULT_REVEAL_H

#include "cases/keys/revealed.h"
#include "server/vault/internal.h"

/* Where a part of an event that this node wrote stands, durable; in the log that is written now, if
 * it stands there. False: nowhere, and the pointers are NULL. */
struct reveal_place {
	const struct casebook_key *key;
	const struct casebook_entry *entry;
};
bool reveal_find(const struct book *book, const struct casebook_case *kase, enum group group,
	const struct event_id *id, struct reveal_place *ret);

/* P of an entry that the casebook has under a key of this node's, and what is to be remembered of
 * it but when and for whom; the entry stays in book->entry. Errors of book_read. */
enum err reveal_entry(struct book *book, const struct casebook_key *key,
	const struct casebook_entry *entry, struct revealed *ret, struct seal_reveal *ret_p,
	struct errctx *ctx) MUST_USE;

/* Makes the rows durable, in one transaction. ERR_LIMIT past LIMIT_REVEALED; errors of
 * keyring_update, and then request->trouble is what the disk refused. */
enum { REVEAL_ROWS = 64 };
enum err reveal_remember(struct book *book, struct vault_request *request,
	const struct revealed *revealed, size_t count) MUST_USE;

/* disclose.c. VAULT_DISCLOSE: the ledger, and the consents it cites. */
enum err disclose_ledger(struct book *book, struct vault_request *request) MUST_USE;

#endif
