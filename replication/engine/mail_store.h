/*
 * What the engine asks of a store for mail, beside that of logs (store.h): one row of state per
 * item, its body as long as it is held, and received notices. As there: a write that was reported
 * OK is durable and whole, those of one item happen in order, one that failed changed nothing. A
 * body that was dropped is gone from the disk soon after, not only from the table.
 */
#ifndef REPLICATION_ENGINE_MAIL_STORE_H
#define REPLICATION_ENGINE_MAIL_STORE_H

#include "base/buf.h"
#include "base/crypto.h"

struct mail_write {
	struct hash item;
	bool forget;             /* the state goes too */
	bool drop;               /* the body goes */
	bool erasure;            /* of an item of that class: it goes before others */
	struct buf body;         /* packed Mail; empty: unchanged. owned */
	struct buf state;        /* packed MailState; empty: unchanged. owned */
	struct buf inbox;        /* packed MailInbox; empty: unchanged. owned */
	enum err result;         /* set by the store */
	struct mail_write *next; /* the store's and its caller's queues */
};
struct mail_write *mail_write_new(const struct hash *item); /* NULL: no memory */
void mail_write_free(struct mail_write *write);

#endif
