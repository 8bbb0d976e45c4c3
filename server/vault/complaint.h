/*
 * complaint: complaints about staff (DESIGN 9, DOMAIN rule 7). At the node that takes one:
 *
 *	1. one line, COMPLAINT_RECEIVED; a case of its own is opened around it
 *	2. whom it may go to: never to this node, nor to that of the officer complained of
 *	3. a fresh K for each of its groups, used here and wiped: the parts become entries, the
 *	   keys a mail item sealed to the destination's complaint key
 *	4. that these entries are not readable here is remembered (away.h), and nothing else
 *
 * Nothing of it is in the keyring or the casebook. From here on nobody at this node can read it,
 * whoever holds its keys, passphrases and disks; what is left to be done, the loop does with
 * ciphertext (server/complaints.h).
 *
 * At the node it goes to: the keys become keys of the sender in the keyring, for a case that nobody
 * has yet (foreign.h finds the entries).
 *
 * Of the vault's thread.
 */
#ifndef SERVER_VAULT_COMPLAINT_H
#define SERVER_VAULT_COMPLAINT_H

#include "server/vault/internal.h"

/* VAULT_COMPLAIN. ERR_DENIED: nobody may get it; else those of a line of SEAL. */
enum err complaint_seal(struct book *book, struct vault_request *request) MUST_USE;

/* The content of an opened item. Sets the request's outcome, and `refused` for keys that are taken
 * by nobody: malformed, of another node's log, for a case that is here, of kids that are here. The
 * same keys again are no fault. ERR_FULL, and the item waits: as many of this sender as there may
 * be. */
enum err complaint_take(struct book *book, const struct mail_item *item, struct bytes body,
	struct vault_request *request) MUST_USE;

/* A complaint that is recorded like any other event would be read by everybody here. ERR_DENIED
 * when it names an officer of this node. */
enum err complaint_check_plain(
	const struct book *book, const struct event *event, struct errctx *ctx) MUST_USE;

/* Out of a keyring row; and whether that entry is one of them. */
enum err complaint_load_away(
	struct book *book, const struct keyring_item *item, struct errctx *ctx) MUST_USE;
bool complaint_is_away(const struct book *book, const struct seal_locator *locator);

#endif
