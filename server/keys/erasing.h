/*
 * erasing: the loop's half of erasing (server/vault/erase/erase.h): what the vault says is to be
 * done about its erasures is done one thing after the other: into the ledger, into the mail. It is
 * asked when something has happened, and every minute.
 *
 * Orders of other nodes lie open in the mail while the node is locked. An unlock is answered, and
 * so a session begun, only once each of them was carried out or judged: no case is served before.
 */
#ifndef SERVER_KEYS_ERASING_H
#define SERVER_KEYS_ERASING_H

#include <jansson.h>

#include "certs/mail.h"
#include "server/runtime.h"

struct erasing;

void erasing_boot(struct runtime *rt);
void erasing_stop(struct runtime *rt); /* whoever waits is called */
void erasing_free(struct runtime *rt);
/* Something may be to do: soon. */
void erasing_wake(struct runtime *rt);
void erasing_locked(struct runtime *rt);

/* Of status: {"open": own ones that are not complete, "held": orders of others}, as of the last
 * look while unlocked; null: none yet. */
json_t *erasing_json(const struct runtime *rt);

/* An item of one of the three kinds, of which `body` is the content; the node is unlocked. Its end
 * follows. */
void erasing_take(
	struct runtime *rt, const struct mail_item *item, uint32_t kind, struct bytes body);
/* An item for this node was dealt with, or put off. */
void erasing_item_done(struct runtime *rt, const struct hash *item);

/* Before mail is opened at an unlock: what has to be dealt with first. */
void erasing_gate_begin(struct runtime *rt);
/* Calls back with what it is given once nothing has to; at once when nothing does. */
void erasing_gate(struct runtime *rt, enum err error, uint64_t index, append_done done, void *arg);

/* A client waits until all that can be done now about what it has begun is done, and is then told
 * about the case `name`. */
struct control_request;
void erasing_tell_when_done(struct runtime *rt, struct control_request *request, const char *name);

/* Is the vault's answer for this file? */
bool erasing_vault_type(const struct vault_request *done);
void erasing_vault_done(struct runtime *rt, struct vault_request *done); /* takes it */

#endif
