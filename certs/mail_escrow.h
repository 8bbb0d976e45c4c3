/*
 * mail_escrow: what an owner and its custodians write to each other, as contents of mail items
 * (docs/FORMAT, Escrow). Form only; whose it may be is for the caller to say. Holds keys: release.
 */
#ifndef CERTS_MAIL_ESCROW_H
#define CERTS_MAIL_ESCROW_H

#include "certs/record_escrow.h"

struct version_key {
	uint8_t id[ESCROW_VERSION_KEY_ID];
	struct secret key; /* 32 */
};
struct version_keys {
	struct version_key *list; /* owned */
	size_t count;
};
void version_keys_release(struct version_keys *keys); /* wipes; NULL and zeroed are fine */
/* Room for so many; ERR_LIMIT past LIMIT_ESCROW_MAIL_KEYS. */
enum err version_keys_init(struct version_keys *keys, size_t count) MUST_USE;

/* Ids alone. */
struct version_ids {
	uint8_t (*list)[ESCROW_VERSION_KEY_ID]; /* owned */
	size_t count;
};
void version_ids_release(struct version_ids *ids);
enum err version_ids_add(struct version_ids *ids, const uint8_t id[ESCROW_VERSION_KEY_ID]) MUST_USE;

/* ESCROW_KEYS. `out` is reserved whole and wiped by the caller. ERR_INVALID: none. */
enum err mail_escrow_keys_write(struct buf *out, const struct version_keys *keys) MUST_USE;
/* No key stays in the arena. ERR_MALFORMED, ERR_NOMEM; so all of these. */
enum err mail_escrow_keys_read(struct bytes body, struct arena *arena, struct version_keys *ret,
	struct errctx *ctx) MUST_USE;

/* ESCROW_HELD. */
struct mail_escrow_held {
	struct version_ids held, refused;
};
void mail_escrow_held_release(struct mail_escrow_held *held);
enum err mail_escrow_held_write(struct buf *out, const struct mail_escrow_held *held) MUST_USE;
enum err mail_escrow_held_read(struct bytes body, struct arena *arena, struct mail_escrow_held *ret,
	struct errctx *ctx) MUST_USE;

/* RECOVERY_ASK. */
struct mail_recovery_ask {
	struct version_ids ids;
	struct prekey prekey; /* what the answer is to be sealed to; made_at is not sent */
	bool drill;
};
void mail_recovery_ask_release(struct mail_recovery_ask *ask);
enum err mail_recovery_ask_write(struct buf *out, const struct mail_recovery_ask *ask) MUST_USE;
enum err mail_recovery_ask_read(struct bytes body, struct arena *arena,
	struct mail_recovery_ask *ret, struct errctx *ctx) MUST_USE;

/* RECOVERY_ANSWER; as ESCROW_KEYS. */
struct mail_recovery_answer {
	struct version_keys keys;
	struct version_ids missing;
	bool drill;
};
void mail_recovery_answer_release(struct mail_recovery_answer *answer);
enum err mail_recovery_answer_write(
	struct buf *out, const struct mail_recovery_answer *answer) MUST_USE;
enum err mail_recovery_answer_read(struct bytes body, struct arena *arena,
	struct mail_recovery_answer *ret, struct errctx *ctx) MUST_USE;

#endif
