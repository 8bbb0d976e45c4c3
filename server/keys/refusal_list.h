/*
 * refusal_list: the newest LIMIT_REFUSALS items of mail that were refused, oldest first. What
 * becomes of their rows on the disk is the caller's. Pure.
 */
#ifndef SERVER_KEYS_REFUSAL_LIST_H
#define SERVER_KEYS_REFUSAL_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"

enum { REFUSAL_NAME_SIZE = 16 }; /* hex digits: the beginning of the item's hash */

struct refusal {
	char name[REFUSAL_NAME_SIZE + 1];
	char sender[LIMIT_NODE_NAME + 1];
	uint32_t kind, reason; /* enum mail_kind, enum mail_refusal */
	uint64_t at, made_at;
};
struct refusal_list {
	struct refusal list[LIMIT_REFUSALS];
	size_t count;
};

/* Puts it where its time says. False: one of that name is there already. When there was no room the
 * oldest went, and is in *ret_dropped; its name is "" when none did. */
bool refusal_list_add(
	struct refusal_list *list, const struct refusal *refusal, struct refusal *ret_dropped);
/* Newest first; NULL past the end. */
const struct refusal *refusal_list_at(const struct refusal_list *list, size_t i);

#endif
