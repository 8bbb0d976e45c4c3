/*
 * approvals: the loop's half of what was opened without consent (server/vault/grants/approvals.h):
 *it sees to it that the ledger hears of every change, that nobody waits longer than 72 hours, and
 *that other offices are asked and answered. All of it on the loop thread.
 *
 *	a row that has changed --> MANDATORY_REPORT in the case, when a report was approved
 *	                       --> BREAK_GLASS in the ledger, with what became of it --> the row
 *says so
 *
 * One at a time; what fails now is tried again within a minute.
 */
#ifndef SERVER_KEYS_APPROVALS_H
#define SERVER_KEYS_APPROVALS_H

#include <jansson.h>

#include "server/runtime.h"

/* There may be something to do: after an unlock, and every minute. */
void approvals_kick(struct runtime *rt);
/* Any answer of the vault's. */
void approvals_told(struct runtime *rt, const struct vault_request *done);

/* An event of the ledger about it; `decision` a code, `who` did it, `approver` "" or who decided.
 */
json_t *approval_event(
	const struct approval *one, const char *decision, const char *who, const char *approver);
/* Seals the content for that node and sends it. ERR_NOTFOUND: it has published no key for mail. */
enum err approval_mail(
	struct runtime *rt, const char *node, enum mail_kind kind, struct bytes content) MUST_USE;

/* A request to the vault, whose answer comes to `answered`. */
struct vault_request *approval_ask(struct runtime *rt, enum vault_approval_op op,
	void (*answered)(void *loop, struct vault_request *done), void *arg);

/* {"waiting","approved","refused","withdrawn","asked"}: as of the last unlock. */
json_t *approvals_status_json(const struct runtime *rt);
/* Sentences for people; "" when there is nothing to say. */
void approvals_alarm(const struct runtime *rt, char *out, size_t size);

#endif
