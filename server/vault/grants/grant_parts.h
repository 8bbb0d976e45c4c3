/* What grant.c and review.c share. */
#ifndef SERVER_VAULT_GRANT_PARTS_H
#define SERVER_VAULT_GRANT_PARTS_H

#include "server/vault/grants/grants.h"
#include "server/vault/grants/roll.h"

/* What is written in one transaction, and what of it goes into the ledger. */
enum { CHANGE_GRANTS_MAX = 16 };
struct change {
	struct book *book;
	struct vault_request *request;
	char today[11];
	struct roll roll;
	struct given made[CHANGE_GRANTS_MAX]; /* new ones */
	size_t made_count;
	struct given *changed[CHANGE_GRANTS_MAX]; /* the ones in memory.. */
	struct given after[CHANGE_GRANTS_MAX]; /* .. and as they will be; their keys are borrowed */
	size_t changed_count;
	struct buf lines; /* events of the ledger */
};
enum err change_init(struct change *c, struct book *book, struct vault_request *request) MUST_USE;
void change_release(struct change *c);
/* Writes all of it, then it is so in memory. ERR_FULL past LIMIT_GRANTS. */
enum err change_write(struct change *c) MUST_USE;
/* The ledger's events, as parts to be sealed. */
enum err change_plan(struct change *c, struct plan *ret) MUST_USE;
enum err change_say_granted(struct change *c, const struct given *given) MUST_USE;
enum err change_say_revoked(struct change *c, const struct given *given) MUST_USE;
/* A fresh id; a grant without keys of which id, nonce and time are there. */
enum err change_id(struct change *c, struct event_id *ret) MUST_USE;
enum err change_begin_grant(struct change *c, const struct casebook_case *kase, size_t keys,
	struct given *ret) MUST_USE;

/* By name; NULL: the directory has none. */
const struct vault_recipient *grant_recipient_find(
	const struct vault_request *request, const char *node);
/* May what was given be given on, to whom the table says the recipient is? state may be NULL: of a
 * case of which nothing is recorded here. */
bool grant_holds(const struct book *book, const struct case_state *state, const struct given *given,
	const struct vault_recipient *to, const char *today, uint64_t now_s);
/* Where the consent stands, into the grant. */
enum err grant_cite(struct book *book, const struct casebook_case *kase,
	const struct event_id *consent, struct given *given, struct errctx *ctx) MUST_USE;

#endif
