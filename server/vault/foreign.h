/*
 * foreign: keys of other nodes, received by mail, and what their logs hold under them. The keys lie
 * in the keyring as this node's own do, with their author; the entries are looked for in every log
 * of that author that the store has, by their locators, and noted in the casebook beside this
 * node's own.
 *
 * When: at the unlock, after all that is this node's own; and by foreign_refresh, before anything
 * that shows a case or records in one. That costs nothing as long as the store has committed
 * nothing; then one look at the heads, and LIMIT_LOCATOR_GAP lookups for each key of an author
 * whose logs grew; of many keys and few new entries only for those whose next locators one of them
 * has. A log counts up to its newest checkpoint, which stands where a commit of its
 * author ended: entries that were committed together, and shuffled, are there together or not at
 * all, so that what is missing before an entry is missing for good.
 *
 * What another node writes is its own fault and blocks nobody: an entry under a locator of the key
 * that does not open, is of another case or group, or past LIMIT_CASE_FOREIGN, is left out and
 * counted, and so is a number that is missing before one that is there. The casebook keeps the
 * events of other nodes apart from this node's (casebook.h).
 *
 * A key used once (generation FOREIGN_ONCE: a complaint, docs/FORMAT) seals for the one log that
 * its mail names. Its entries may stand in another log of that author, when the first ended before
 * they could be appended.
 *
 * Of the vault's thread, as the book.
 */
#ifndef SERVER_VAULT_FOREIGN_H
#define SERVER_VAULT_FOREIGN_H

#include "server/vault/internal.h"

enum { FOREIGN_ONCE = 0 };

enum err foreign_new(struct foreign **ret) MUST_USE;
void foreign_free(struct foreign *foreign); /* NULL is fine */

/* Is there room for keys of this author? What is in the keyring must fit at the next unlock. */
bool foreign_room(const struct book *book, const char *author);
/* A key that casebook_add_key has put into the book. ERR_LIMIT past LIMIT_FOREIGN_AUTHORS. */
enum err foreign_add_key(struct book *book, const struct keyring_entry *entry,
	struct casebook_key *key, struct errctx *ctx) MUST_USE;
/* The casebook is about to forget it. */
void foreign_forget_key(struct book *book, const struct casebook_key *key);
/* Notes what has come since the last call. Errors of the store, but not those of single entries. */
enum err foreign_refresh(struct book *book, struct errctx *ctx) MUST_USE;

/* The log of a number from BOOK_LOGS_MAX on. */
const struct book_log *foreign_log(const struct foreign *foreign, uint16_t number);

/* Entries of other nodes' keys in a case that were left out, and numbers that are missing. */
struct foreign_faults {
	uint64_t refused, missing;
};
void foreign_faults(
	const struct book *book, const struct casebook_case *kase, struct foreign_faults *ret);

/* Keys used once that this author sent; of them, how many cases there are. */
size_t foreign_once_cases(const struct book *book, const char *author);
/* Cases of such keys of which nothing is here yet. */
size_t foreign_awaited(const struct book *book);

#endif
