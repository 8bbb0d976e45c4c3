/*
 * outbox: copies of the notices that this node sent, until their ends have come. Should the
 * recipient have destroyed the prekey by then, its end says so and names the newest; the vault then
 * seals the copy to that, a few times at most. Copies are sealed under the inbox key, one row of
 * the mail store each. There are at most LIMIT_MAIL_COPIES: beyond that a notice goes without one,
 * and its sender sees that it was not opened.
 *
 * Never of what holds keys of cases: it would outlive their erasure.
 *
 * On the loop thread.
 */
#ifndef SERVER_OUTBOX_H
#define SERVER_OUTBOX_H

#include "server/runtime.h"

/* At the start, once for each row. */
enum err outbox_load(struct runtime *rt, struct bytes name, struct bytes value) MUST_USE;
/* Of an item that is about to be submitted: goes to the disk before it. */
void outbox_keep(struct runtime *rt, const struct hash *item, struct bytes copy);
/* .. and was, or was refused. */
void outbox_submitted(struct runtime *rt, const struct hash *item, enum err error);
/* Looks which have ended, and goes on with one that could not be opened. */
void outbox_chores(struct runtime *rt);

/* Answers. */
struct mail_task;
void outbox_read(struct runtime *rt, struct mail_task *task);
void outbox_sealed(struct runtime *rt, struct vault_request *done);

#endif
