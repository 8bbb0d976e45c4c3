/*
 * mail: the runtime's side of mail. The engine says what is to be stored, read and processed; here
 * that is carried out: by the mail store's thread (server/store/mail.h), and by the vault for what
 * is sealed. Beside that, what travels as mail or is needed to seal it:
 *
 *   mail.c        the store's tasks, processing, submissions, the inbox
 *   complaints.c  complaints about staff, on their way into log and mail
 *   inbox.c       who may put how much into the inbox
 *   addresses.c   where other nodes said they can be dialled, and telling them where this one can
 *   outbox.c      copies of notices that were sent, until they have ended
 *   prekeys.c     the newest prekey of each node, out of the proven logs; when the own ones go
 *
 * All of it runs on the loop thread. Without a mail store (it could not be opened) the node does
 * everything else, and takes and sends no mail.
 */
#ifndef SERVER_MAIL_H
#define SERVER_MAIL_H

#include "server/inbox.h"
#include "server/runtime.h"
#include "server/store/mail.h"

/* Called once the item is durable here, or was refused. */
typedef void (*mail_submitted)(void *arg, enum err error);
struct mail_waiting {
	uint64_t ticket;
	mail_submitted done;
	void *arg;
	struct mail_waiting *next;
};

struct known_prekey {
	char node[LIMIT_NODE_NAME + 1];
	struct prekey prekey;            /* number 0: none is known under the node's key */
	char origin[LIMIT_LOG_NAME + 1]; /* the log it stands in; "": the end of an item said it */
	uint64_t index;                  /* .. and where */
	struct hash signer;              /* SHA-256 of the node key that signed it */
};

struct scanned {
	char origin[LIMIT_LOG_NAME + 1];
	uint64_t size; /* entries looked at */
	bool unsaved;
};

struct learned {
	char node[LIMIT_NODE_NAME + 1];
	struct mail_addresses list;
	uint64_t made_at;
};

struct told {
	char node[LIMIT_NODE_NAME + 1];
	struct hash of;   /* the addresses it was sent */
	uint64_t made_at; /* of the newest item for it */
	bool sending;
};

/* outbox.c */
struct outbox_row {
	struct hash item;
	char recipient[LIMIT_NODE_NAME + 1];
	struct x25519_public key; /* that it is sealed to */
	uint32_t tries;
	bool busy; /* being submitted, or sealed again */
};

struct mail {
	struct mail_store *store; /* NULL: could not be opened */
	uv_async_t async;
	struct inbox_row *inbox; /* room for LIMIT_MAIL_INBOX */
	size_t inbox_count, inbox_coming;
	bool moving; /* a row of it, to the inbox key */
	struct mail_waiting *waiting;
	struct outbox_row *outbox;
	size_t outbox_count, outbox_capacity;
	bool outbox_busy; /* one is being sealed again */
	struct known_prekey *prekeys;
	size_t prekey_count, prekey_capacity;
	struct scanned *scanned;
	size_t scanned_count, scanned_capacity;
	bool scanning, publishing;
	bool settling, prekey_wanted;            /* the vault is at it; an erasure has run */
	uint64_t settle_ms;                      /* not again before */
	uint64_t members_looked;                 /* the directory's size then */
	uint64_t hq_signed_s, hq_looked_ms;      /* server/keys/silence.h */
	uint64_t signed_s, signed_ms, looked_ms; /* time that others signed, since when; looked */
	struct learned *learned;
	size_t learned_count, learned_capacity;
	struct told *told;
	size_t told_count, told_capacity;
	struct complaint *complaints;   /* complaints.c */
	struct mail_refusals *refusals; /* keys/refused.c */
	bool tell;                      /* members may have to be told the own addresses */
	bool failed;                    /* the last task did: said once */
};

/* At the start, once the engine has the directory: opens the store and loads it. A store that
 * cannot be opened is an alarm, no error. */
enum err mail_boot(struct runtime *rt, struct errctx *ctx) MUST_USE;
void mail_stop(struct runtime *rt);
void mail_free(struct runtime *rt);
/* After a start or an unlock, when members changed, and every minute. Not from within a step. */
void mail_chores(struct runtime *rt);
void mail_wake(struct runtime *rt); /* chores soon; from anywhere on the loop */

/* Effects of the engine. */
void mail_effect(struct runtime *rt, struct effect *effect);
void mail_vault_done(struct runtime *rt, struct vault_request *done);

/* A packed Mail of this node's own; done is called later, once. Not from within a step. */
void mail_send(struct runtime *rt, struct bytes packed, mail_submitted done, void *arg);
/* An item for this node is processed: its end is signed; or cannot be now. */
void mail_finish(struct runtime *rt, const struct hash *item, uint32_t outcome);
void mail_put_off(struct runtime *rt, const struct hash *item, enum err why);
/* An item of this node's own that has not ended goes out of the store, its body for good within
 * seconds; what was given to others stays there. done(OK) once that is durable; ERR_NOTFOUND: there
 * is none, or it has ended. Not from within a step. */
void mail_withdraw(struct runtime *rt, const struct hash *item, mail_submitted done, void *arg);
/* Hands a task to the store; its answer comes to mail.c. Takes it. */
#define MAIL_TICKET_BUNDLE UINT64_MAX       /* of a body that goes into a bundle */
#define MAIL_TICKET_MOVE   (UINT64_MAX - 1) /* of a row of the inbox that moves to its key */
void mail_task(struct runtime *rt, struct mail_task *task);
void mail_note_put(struct runtime *rt, enum mail_note note, const char *name, struct bytes value);
/* No received notice is under the keyring key any more, but for some that no key opens. */
bool mail_inbox_moved(const struct runtime *rt);
void mail_vault_moved(struct runtime *rt, struct vault_request *done);
/* The row whose item's hash begins so; NULL: none. */
const struct inbox_row *mail_inbox_find(const struct runtime *rt, const struct hash *item);

/* addresses.c */
enum err addresses_load(struct runtime *rt, struct bytes name, struct bytes value) MUST_USE;
enum err addresses_load_told(struct runtime *rt, struct bytes name, struct bytes value) MUST_USE;
void addresses_start(struct runtime *rt); /* learned ones can be dialled from here on */
/* What a node said of itself, signed. */
void addresses_learn(
	struct runtime *rt, const char *node, const struct mail_addresses *list, uint64_t made_at);
void addresses_tell(struct runtime *rt);
const struct learned *addresses_of(const struct runtime *rt, const char *node); /* NULL: none */

/* prekeys.c */
enum err prekeys_load(struct runtime *rt, struct bytes name, struct bytes value) MUST_USE;
enum err prekeys_load_scanned(struct runtime *rt, struct bytes name, struct bytes value) MUST_USE;
/* Entries that became durable. */
void prekeys_written(struct runtime *rt, const struct store_write *write);
/* Looks through what was not looked through yet; publishes the own prekey where it is missing. */
void prekeys_chores(struct runtime *rt);
/* Under the node key that the directory has of it. NULL: none. */
const struct known_prekey *prekeys_of(const struct runtime *rt, const char *node);
/* What a node said of its newest in a signed end. */
void prekeys_told(struct runtime *rt, const char *node, const struct prekey *prekey);
/* The node's time: its clock, or what others have signed if that is later. */
uint64_t prekeys_now(const struct runtime *rt);
void prekeys_peer_holds(struct runtime *rt); /* .. more of the own log */
bool prekeys_held(const struct runtime *rt); /* the own newest, by a mirror that counts */
/* Unlocked: what would be done now; full: a new one waits for room. */
struct prekey_step prekeys_due(struct runtime *rt);
void prekeys_settled(struct runtime *rt, struct vault_request *done); /* of the vault */
/* An erasure, or an order to erase, was run: the newest prekey gets a successor, once. */
void prekeys_after_erase(struct runtime *rt);

/* Room for one more element; false: no memory. */
bool mail_room(void **list, size_t count, size_t *capacity, size_t size);

#endif
