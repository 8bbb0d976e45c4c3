/*
 * drafts: what an officer has answered so far while an event is being asked for, so that a power
 * cut costs one answer. One file each, named by its number, sealed under a key that is derived from
 * the keyring key, and written whole or not at all.
 *
 * An officer (request->officer) sees their own; another's is not there. What no key here opens is
 * left alone: it counts among all of them, and is nobody's.
 *
 * Of the vault's thread. Errors beside those of node/files: ERR_NOTFOUND (no such draft of that
 * officer), ERR_LIMIT (size, or too many), ERR_INVALID (not UTF-8), ERR_CORRUPT (damaged, or of
 * another keyring), ERR_NOMEM, ERR_CRYPTO.
 */
#ifndef SERVER_VAULT_DRAFTS_H
#define SERVER_VAULT_DRAFTS_H

#include "server/vault/vault.h"

struct drafts {
	const char *directory; /* made when it is missing; mode 0700 */
	struct bytes keyring_key;
};

/* request->index is the number. Each answers with documents {"draft","case","type","since"}. */

/* Keeps request->lines; number 0: as a new draft. name is the case, draft_type the type; since is
 * when it was new. */
enum err drafts_put(const struct drafts *drafts, struct vault_request *request) MUST_USE;
/* The officer's own, by number. */
enum err drafts_list(const struct drafts *drafts, struct vault_request *request) MUST_USE;
/* With "body". */
enum err drafts_show(const struct drafts *drafts, struct vault_request *request) MUST_USE;
enum err drafts_remove(const struct drafts *drafts, struct vault_request *request) MUST_USE;

/* All of them under another keyring key, each file whole. Those that the old one does not open are
 * left alone: done already, or nobody's. */
enum err drafts_rewrap(
	const struct drafts *drafts, struct bytes next_key, struct errctx *ctx) MUST_USE;
/* Removes those of a case, whichever officer's: by any of its names. */
enum err drafts_drop_case(const struct drafts *drafts, struct bytes code, struct bytes ref,
	struct errctx *ctx) MUST_USE;

#endif
