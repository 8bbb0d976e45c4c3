/*
 * approvals: what was opened without consent and who agreed to it (cases/keys/approval.h), in the
 * memory of an unlocked node and in its keyring. Of the vault's thread, as the book.
 *
 * Every change is durable before it counts. What the ledger lacks of a row (`told` is not `state`)
 * is given out by TICK until the loop says that it stands there.
 */
#ifndef SERVER_VAULT_APPROVALS_H
#define SERVER_VAULT_APPROVALS_H

#include "cases/keys/approval.h"
#include "server/vault/internal.h"

struct approvals;

enum err approvals_new(struct approvals **ret) MUST_USE;
void approvals_free(struct approvals *approvals); /* wipes; NULL is fine */
/* A row of the keyring, ROW_APPROVAL. */
enum err approvals_load(
	struct book *book, const struct keyring_item *item, struct errctx *ctx) MUST_USE;

/* May keys of these groups of the case be with that node without consent, at this moment? */
bool approvals_hold(const struct book *book, const struct case_ref *ref, const char *to,
	group_set groups, uint64_t now_s);
/* The id of the opening that such a grant rests on, in hex; false: none. */
struct given;
bool approvals_opening(
	const struct book *book, const struct given *given, char ret[APPROVAL_ID_TEXT + 1]);
/* Of the case: waiting, and withdrawn ones. */
void approvals_of_case(const struct book *book, const struct case_ref *ref, size_t *ret_waiting,
	size_t *ret_withdrawn);
/* {"opening":..}, a list of those of a case, newest first. Appends. */
void approvals_put_case(
	const struct book *book, const struct case_ref *ref, uint64_t now_s, struct buf *json);
struct vault_approval_counts approvals_count(const struct book *book);

/* VAULT_APPROVAL */
enum err approvals_answer(struct book *book, struct vault_request *request) MUST_USE;

/* Mail of the kinds MAIL_APPROVAL_ASKED and MAIL_APPROVAL, opened. What is not taken sets
 * request->refusal: it is no failure. */
enum err approval_asked_take(struct book *book, const struct mail_item *item, struct bytes body,
	struct vault_request *request) MUST_USE;
enum err approval_take(struct book *book, const struct mail_item *item, struct bytes body,
	struct vault_request *request) MUST_USE;

#endif
