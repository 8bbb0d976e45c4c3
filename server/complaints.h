/*
 * complaints: from a complaint about staff that the vault has sealed (server/vault/complaint.h) to
 * its entries in the log and its keys in the mail. Only ciphertext comes here, and no key.
 *
 *	1. a row of the mail store holds the entries and the signed mail item, durable: from here on
 *	   the complaint is recorded, whatever happens
 *	2. the entries are appended to this node's log
 *	3. the item is submitted
 *	4. the row is removed, and whoever asked is told
 *
 * A start finds the row and goes on at 2, once the node is unlocked. Entries that stand in the log
 * twice then are the same bytes at the same locator: the first counts, wherever they are read. An
 * item that was submitted is not submitted twice: it is known by its hash. Before 1 nothing has
 * happened. When 2 or 3 cannot be done now, they are tried again every minute and after each
 *unlock.
 *
 * All of it on the loop thread.
 */
#ifndef SERVER_COMPLAINTS_H
#define SERVER_COMPLAINTS_H

#include "server/runtime.h"

struct mail_task;

enum { COMPLAINT_ENTRIES_MAX = 4 }; /* of two events, with their notes */

/* error: nothing was kept, and why is its text. Otherwise it is kept, and `why` is "" and `index`
 * that of its first entry in `log`, or `why` says what it waits for. */
struct complaint_end {
	enum err error;
	const char *why;
	const char *log;
	uint64_t index;
};
typedef void (*complaint_told)(void *arg, const struct complaint_end *end);

struct complaint_new {
	const char *origin;      /* of the log the entries are sealed for */
	struct entries *entries; /* borrowed */
	struct bytes mail;       /* a packed Mail */
};
/* Is there room for one more? */
bool complaints_room(const struct runtime *rt);
/* `told` is called later, once. Not from within a step. */
void complaints_keep(
	struct runtime *rt, const struct complaint_new *complaint, complaint_told told, void *arg);
size_t complaints_waiting(const struct runtime *rt);

/* For mail.c: a row at the start; the end of a task on one; every minute and after an unlock. */
enum err complaints_load(struct runtime *rt, struct bytes name, struct bytes value) MUST_USE;
void complaints_noted(struct runtime *rt, const struct mail_task *task);
void complaints_chores(struct runtime *rt);
void complaints_free(struct runtime *rt);

#endif
