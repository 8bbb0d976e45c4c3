/*
 * grants: keys of this node's that others are given, and theirs that this node was given (DESIGN
 *9).
 *
 * What was given is a row of the keyring for each grant (cases/keys/given.h), and so is what was
 * received (received.h). Both are in memory while the node is unlocked. They decide who hears of a
 * new key; the ledger says the same to others.
 *
 * Giving: grant_make judges the wish by the case's consents (cases/keys/grant.h), makes a new
 * generation of the keys of those groups unless the past is shared too, writes keys and row in one
 * transaction, and seals ACCESS_GRANTED for the ledger. Once that is durable, grant_release judges
 * it again, writes to which prekey it seals, and seals the keys. The loop mails them.
 *
 * grants_review is what makes everything else true, whatever was interrupted: it takes one case
 * after the other of those where something has changed (grants_touch), and
 *
 *	1. writes what the ledger lacks of its rows
 *	2. revokes what no consent covers any more, or whose last day has passed: the keys of these
 *	   groups roll in the same transaction, so that nothing written after is readable there
 *	3. gives a key that is new to each holder whose consent is live
 *	4. gives this node's own keys of a case that it was given back to whoever gave it (REPLY),
 *	   and those of the ledger's group audit to every auditor (LEDGER)
 *
 * so that a roll needs nobody to remember whom to tell. Each call does one thing and leaves events
 * of the ledger to be appended, or nothing, when all is well.
 *
 * Taking (grant_take.c): keys that are the sender's own, of a case that is not this node's, unless
 * it shares that case with the sender. Everything else is refused, and recorded.
 *
 * Of the vault's thread, as the book.
 */
#ifndef SERVER_VAULT_GRANTS_H
#define SERVER_VAULT_GRANTS_H

#include "cases/keys/given.h"
#include "cases/keys/received.h"
#include "server/vault/internal.h"

struct grants;

enum err grants_new(struct grants **ret) MUST_USE;
void grants_free(struct grants *grants); /* wipes; NULL is fine */
/* A row of the keyring, ROW_GIVEN or ROW_RECEIVED. Errors of row_unwrap, ERR_CORRUPT, ERR_NOMEM. */
enum err grants_load(
	struct book *book, const struct keyring_item *item, struct errctx *ctx) MUST_USE;
/* Once all keys are there: cases that were given have their codes. */
enum err grants_settle(struct book *book) MUST_USE;

/* An event of the own ledger, opened into book->part, in the order of the log: what it says was
 * given, or taken back, and the keyring does not know. ERR_NOMEM, ERR_FULL. */
enum err grants_noted(struct book *book, const struct part_info *info) MUST_USE;

/* ---- what there is ---- */

/* The next from *at on, in the order in which they were made or read; NULL past the end. Begin with
 * 0. */
const struct given *grants_given(const struct book *book, size_t *at);
const struct received *grants_received(const struct book *book, size_t i);
/* Of one case: the one behind `before` (NULL: the first); NULL: no more. */
const struct given *grants_given_of(
	const struct book *book, const struct case_ref *ref, const struct given *before);
const struct received *grants_received_of(
	const struct book *book, const struct case_ref *ref, const struct received *before);
/* Of which groups its keys are here still: they may have been destroyed on order. */
group_set grants_held(const struct book *book, const struct received *received);
/* Groups of the case that this node may record in on the strength of what it was given. */
group_set grants_granted(const struct book *book, const struct case_ref *ref, const char *today);

/* Is the case that node's: did it give keys of it here before anybody else? Of a case that this
 * node opened nobody else is asked. Only its home hears what is recorded in it, and speaks for the
 * victim. */
bool grant_home(const struct book *book, const struct casebook_case *kase, const char *node);
/* Whose consents count in a case, for grant_ask.counts: this node's, and in another's case those of
 * who gave it; not of whoever was given this node's case and writes in it. */
struct grant_office {
	const struct book *book;
	const struct casebook_case *kase;
};
bool grant_counts(const void *office, const struct event_id *event);

/* The case has changed: consents, keys, grants. The next review looks at it. */
void grants_touch(struct book *book, const struct casebook_case *kase);
void grants_touch_all(struct book *book);
bool grants_due(const struct book *book); /* something is to be reviewed */

/* ---- giving ---- */

/* request->grant: to, purpose, groups, history, until; recipients. Out: id, groups, until, keys,
 * and a plan of events of the ledger. ERR_CONSENT says what is missing. */
enum err grant_make(struct book *book, struct vault_request *request, struct plan *ret) MUST_USE;
/* As above; no parts: nothing is to be done. request->refs has the items of mail of what was taken
 * back and may be here still. */
enum err grants_review(struct book *book, struct vault_request *request, struct plan *ret) MUST_USE;
/* The next that can leave: request->mail is a packed MailBody, request->grant->id and to are whose.
 * Without mail: none can. request->refs then has the items of mail whose ends are waited for,
 * request->known how many grants wait. */
enum err grant_release(struct book *book, struct vault_request *request) MUST_USE;
/* request->grant->id went out as item; or did not come to be, since the ledger was not written. */
enum err grant_sent(struct book *book, struct vault_request *request) MUST_USE;
enum err grant_drop(struct book *book, struct vault_request *request) MUST_USE;
/* The mail request->item has ended with request->outcome. */
enum err grant_ended(struct book *book, struct vault_request *request) MUST_USE;
/* Documents: who holds what of the case request->name. */
enum err grants_show(struct book *book, struct vault_request *request) MUST_USE;

/* ---- taking ---- */

/* An item of mail of kind MAIL_GRANT, opened. request->refusal when it is refused. */
enum err grant_take(struct book *book, const struct mail_item *item, struct bytes body,
	struct vault_request *request) MUST_USE;

/* ---- grants.c, for the files beside it ---- */

/* Takes what it points to; ERR_FULL past LIMIT_GRANTS. */
enum err grants_add_given(struct book *book, struct given *given) MUST_USE;
enum err grants_add_received(struct book *book, struct received *received) MUST_USE;
struct given *grants_find(const struct book *book, const uint8_t id[EVENT_ID_SIZE]);
bool grants_room(const struct book *book, const char *sender); /* for one more from there */
const struct received *grants_find_received(
	const struct book *book, const char *sender, const struct event_id *id);
/* The row, wrapped behind what is in `out`; the item's value is a view once nothing more is added.
 * `out` is reserved whole. */
enum err grants_wrap_given(struct book *book, const struct given *given, struct buf *out,
	struct keyring_item *ret) MUST_USE;
/* Writes the row of one that has changed. */
enum err grants_save(struct book *book, const struct given *given, struct errctx *ctx) MUST_USE;
void grants_forget_given(struct book *book, struct given *given); /* out of memory alone */
/* The next case to be reviewed, taken out of the list; NULL: none. */
struct casebook_case *grants_next_touched(struct book *book);

#endif
