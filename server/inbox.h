/*
 * inbox: the notices that were received and not deleted yet, and whether one more is taken.
 */
#ifndef SERVER_INBOX_H
#define SERVER_INBOX_H

#include <stdbool.h>

#include "base/limits.h"
#include "certs/mail.h"

struct inbox_row {
	struct hash item;
	uint8_t id[MAIL_ID_SIZE];
	char sender[LIMIT_NODE_NAME + 1];
	uint64_t made_at, received_at;
	bool own_key; /* it is sealed under the inbox key */
	bool stuck;   /* it is not, and could not be moved */
};

/* Is there room for one more of this sender, in all and in its share? `coming` more are being
 * opened: they may be anybody's, and count as its own. */
bool inbox_takes(const struct inbox_row *rows, size_t count, size_t coming, const char *sender);

/* Is a copy kept of one more notice that is sent? One that is sealed again takes the place of the
 * one before a little later. */
bool outbox_takes(size_t count, bool again);

#endif
