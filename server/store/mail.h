/*
 * mail: the LMDB environment `mail/`: what replication/engine/mail_store.h asks for, and small rows
 * that belong to mail. One thread owns it, and nothing else touches it once it runs: tasks go in,
 * come back done, in order. `wake` is called from that thread, then mail_store_done drains.
 *
 * A body that was dropped is gone: LMDB leaves copies of what is deleted in its free pages, so the
 * file is copied without them, synced, and moved into the place of the old one. That is done a
 * little later, for many deletions at once; a start finishes what was interrupted. While the disk
 * has no room for the copy it is tried again every minute.
 *
 * Tables, each value with a check (checked.h) but for bodies, which are signed:
 *
 *	bodies     item, 32 bytes       packed Mail
 *	states     item                 packed MailState
 *	inbox      item                 packed MailInbox
 *	notes      kind u8, name        small rows: MAIL_NOTE_*
 *
 * Errors as store.h.
 */
#ifndef SERVER_STORE_MAIL_H
#define SERVER_STORE_MAIL_H

#include "replication/engine/mail_store.h"

enum mail_note {
	MAIL_NOTE_PREKEY = 1,  /* node -> KnownPrekey */
	MAIL_NOTE_SCANNED = 2, /* origin -> u64be: entries of it that were looked at for prekeys */
	MAIL_NOTE_ADDRESS = 3, /* node -> KnownAddresses */
	MAIL_NOTE_TOLD = 4, /* node -> hash of the own addresses that it was sent, u64be made_at */
	MAIL_NOTE_COMPLAINT = 5, /* random name -> StoredComplaint, up to LIMIT_COMPLAINT_ROW */
	MAIL_NOTE_REFUSED = 6,   /* the item's hash, 16 hex digits -> RefusedMail */
	MAIL_NOTE_COPY = 7,      /* item in hex -> MailCopy, up to LIMIT_MAIL_ITEM */
};
enum { MAIL_NOTE_NAME_MAX = 200, MAIL_NOTE_VALUE_MAX = 4096 };

enum mail_task_type {
	MAIL_TASK_WRITE,    /* write: owned, given back with its result */
	MAIL_TASK_BODY,     /* item -> data: the packed Mail; ERR_NOTFOUND */
	MAIL_TASK_INBOX,    /* item -> data: the packed MailInbox; ERR_NOTFOUND */
	MAIL_TASK_UNBOX,    /* item: out of the inbox, for good */
	MAIL_TASK_NOTE,     /* note, name, data: put; empty data: removed */
	MAIL_TASK_NOTE_GET, /* note, name -> data; ERR_NOTFOUND */
	MAIL_TASK_REBOX, /* item, data: the row in the inbox, if it is there still, becomes this */
};
struct mail_task {
	enum mail_task_type type;
	struct mail_write *write;
	struct hash item;
	enum mail_note note;
	char name[MAIL_NOTE_NAME_MAX + 1];
	struct buf data;
	void *arg; /* the asker's, with a number of its own */
	uint64_t ticket;
	enum err result;
	struct errctx ctx;
	struct mail_task *next;
};
struct mail_task *mail_task_new(enum mail_task_type type); /* NULL: no memory */
void mail_task_free(struct mail_task *task);

struct mail_store;
struct mail_store_opts {
	const char *path;
	uint32_t compact_ms; /* after a deletion, for others to come; 0: 2 s */
	uint64_t copy_day;   /* 0: LIMIT_MAIL_COPY_DAY */
	void (*wake)(void *arg);
	void *wake_arg;
};
/* Opens, and removes what an earlier run left to be removed; starts nothing. */
enum err mail_store_open(
	const struct mail_store_opts *opts, struct mail_store **ret, struct errctx *ctx) MUST_USE;
/* Before mail_store_start: calls each with every row, in order of the key. The value is valid for
 * the call. Rows that are damaged are left out and counted. */
enum mail_table { MAIL_STATES, MAIL_INBOX, MAIL_NOTES };
typedef enum err (*mail_row_fn)(void *arg, struct bytes key, struct bytes value);
enum err mail_store_each(struct mail_store *store, enum mail_table table, mail_row_fn each,
	void *arg, uint64_t *ret_damaged, struct errctx *ctx) MUST_USE;
enum err mail_store_start(struct mail_store *store, struct errctx *ctx) MUST_USE;
void mail_store_submit(struct mail_store *store, struct mail_task *task); /* takes it */
struct mail_task *mail_store_done(struct mail_store *store); /* in order, linked; NULL: none */
/* Deleted and not yet gone from the file? */
bool mail_store_compacting(struct mail_store *store);
/* Does what is queued, and the copy that is due; joins. */
void mail_store_stop(struct mail_store *store);
void mail_store_close(struct mail_store *store); /* after stop, or never started; NULL is fine */

#endif
