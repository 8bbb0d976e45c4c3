/*
 * refused: mail that this node did not take, and why: rows of mail/, so that an attempt does not
 * pass unseen. The sender learns only that it was refused (MAIL_REFUSED). The newest LIMIT_REFUSALS
 * are kept; all are counted. No content is in them.
 */
#ifndef SERVER_KEYS_REFUSED_H
#define SERVER_KEYS_REFUSED_H

#include <jansson.h>

#include "server/runtime.h"
#include "server/vault/refusal.h"

struct mail_refusals; /* of struct mail */

struct mail_refused {
	const char *sender;
	uint32_t kind; /* enum mail_kind; 0: not known */
	enum mail_refusal reason;
	uint64_t made_at; /* as the sender says */
};
/* Records it. The item's end is the caller's. */
void mail_refuse(struct runtime *rt, const struct hash *item, const struct mail_refused *refused);
const char *mail_refusal_name(uint32_t reason); /* "keys"; "other" */

/* A row at the start. */
enum err refused_load(struct runtime *rt, struct bytes name, struct bytes value) MUST_USE;
void refused_free(struct runtime *rt);
/* Of status: {"count","newest"}; newest NULL: none. Newest first: each of the list. */
json_t *refused_status_json(const struct runtime *rt);
json_t *refused_json(const struct runtime *rt, size_t i); /* NULL past the end */

#endif
