/*
 * mail_grant: keys of one case for another office, as the content of a mail item of kind MAIL_GRANT
 * (DESIGN 9). Sealed to the recipient's prekey, signed by the sender's node key; the keys are the
 * sender's own. What may be given, and what may be taken, is decided elsewhere: here are sizes and
 * counts alone.
 *
 * Pure. Holds keys: release.
 */
#ifndef CERTS_MAIL_GRANT_H
#define CERTS_MAIL_GRANT_H

#include "base/limits.h"
#include "certs/mail.h"

enum {
	MAIL_GRANT_ID_SIZE = 16,
	MAIL_GRANT_NONCE_SIZE = 32,
	MAIL_GRANT_CODE_MAX = 32,
	MAIL_GRANT_PURPOSE_MAX = 32,
	MAIL_GRANT_DAY_MAX = 10,
};

struct mail_grant_key {
	uint32_t group, generation;
	uint8_t kid[MAIL_KID_SIZE];
	struct secret key; /* K */
	char origin[LIMIT_ORIGIN + 1];
	uint64_t first;
};
struct mail_grant {
	uint8_t grant_id[MAIL_GRANT_ID_SIZE], case_ref[MAIL_CASE_REF_SIZE];
	char case_code[MAIL_GRANT_CODE_MAX + 1], opened_on[MAIL_GRANT_DAY_MAX + 1];
	char purpose[MAIL_GRANT_PURPOSE_MAX + 1], until[MAIL_GRANT_DAY_MAX + 1]; /* "" */
	uint32_t basis;
	uint8_t nonce[MAIL_GRANT_NONCE_SIZE];
	struct hash consent_leaf; /* zeros: none */
	char consent_origin[LIMIT_ORIGIN + 1];
	uint64_t consent_index;
	struct mail_grant_key *keys; /* owned; ascending by kid */
	size_t key_count;
};
void mail_grant_release(struct mail_grant *grant); /* wipes; NULL and zeroed ones are fine */
/* Room for so many zeroed keys. ERR_LIMIT past LIMIT_GRANT_KEYS, ERR_NOMEM. */
enum err mail_grant_init(struct mail_grant *grant, size_t keys) MUST_USE;

/* Into a buffer that is reserved whole, and wiped by the caller. ERR_INVALID: no keys, or not in
 * order; ERR_LIMIT: more than an item of mail holds. */
enum err mail_grant_write(struct buf *out, const struct mail_grant *grant) MUST_USE;
/* Form only. No key stays in the arena. ERR_MALFORMED (also: a kid twice, or not in order),
 * ERR_NOMEM. */
enum err mail_grant_read(struct bytes body, struct arena *arena, struct mail_grant *ret,
	struct errctx *ctx) MUST_USE;

#endif
