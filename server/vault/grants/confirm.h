/*
 * confirm: node keys whose words an officer compared (cases/keys/trust.h), as rows of the keyring;
 * in memory while the node is unlocked, as book->trust. Of the vault's thread.
 */
#ifndef SERVER_VAULT_CONFIRM_H
#define SERVER_VAULT_CONFIRM_H

#include "server/vault/internal.h"

/* A row of the keyring, ROW_CONFIRMED. Errors of row_unwrap and trust_row_read; ERR_CORRUPT: under
 * the name of another. */
enum err confirm_load(
	struct book *book, const struct keyring_item *item, struct errctx *ctx) MUST_USE;
/* CONFIRM: durable, then in memory. Errors of trust_put and the keyring. */
enum err confirm_key(struct book *book, struct vault_request *request) MUST_USE;

#endif
