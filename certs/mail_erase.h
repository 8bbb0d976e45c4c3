/*
 * mail_erase: what is written to have keys destroyed elsewhere, and back (DESIGN 9): contents of
 * mail items of the kinds MAIL_ERASE_ORDER, MAIL_ERASE_RECEIPT and MAIL_ERASE_HOLD. All three are
 * open: the item's signature by its sender's node key is what they are believed on, and a kid or a
 * prekey's number opens nothing. Why something is erased is nobody's business on the way, and not
 * in them.
 *
 * Whether one is to be obeyed or believed is decided elsewhere (cases/keys/order.h): here are
 * sizes, counts and order alone. Lists are ascending, so that one message has one form.
 *
 * Pure.
 */
#ifndef CERTS_MAIL_ERASE_H
#define CERTS_MAIL_ERASE_H

#include "base/limits.h"
#include "certs/mail.h"

enum { MAIL_ORDER_ID_SIZE = 16, MAIL_DAY_MAX = 10, MAIL_HOLD_OFFICERS = 2, MAIL_OFFICER_MAX = 64 };

/* Kids, ascending. */
struct mail_kids {
	uint8_t kid[LIMIT_ERASE_KEYS][MAIL_KID_SIZE];
	size_t count;
};
/* Numbers of prekeys, ascending, none 0. */
struct mail_prekeys {
	uint64_t number[LIMIT_ERASE_PREKEYS];
	size_t count;
};

struct mail_erase_order {
	uint8_t order_id[MAIL_ORDER_ID_SIZE];
	struct mail_kids kids; /* at least one, or something revealed */
	struct mail_prekeys prekeys;
	struct hash revealed[LIMIT_ERASE_REVEALED]; /* SHA-256 of P, ascending */
	size_t revealed_count;
	uint64_t at;
};
struct mail_erase_receipt {
	uint8_t order_id[MAIL_ORDER_ID_SIZE];
	struct mail_kids destroyed, never; /* none in both */
	struct mail_prekeys prekeys_gone, prekeys_left;
	uint64_t at;
};
struct mail_erase_hold {
	uint8_t order_id[MAIL_ORDER_ID_SIZE];
	char authority[LIMIT_ERASE_TEXT + 1];                    /* a line */
	char officers[MAIL_HOLD_OFFICERS][MAIL_OFFICER_MAX + 1]; /* two different ones */
	char until[MAIL_DAY_MAX + 1];                            /* YYYY-MM-DD */
	uint64_t at;
};

/* Packed, appended. ERR_INVALID: what the readers below would not take. */
enum err mail_erase_order_write(struct buf *out, const struct mail_erase_order *order) MUST_USE;
enum err mail_erase_receipt_write(
	struct buf *out, const struct mail_erase_receipt *receipt) MUST_USE;
enum err mail_erase_hold_write(struct buf *out, const struct mail_erase_hold *hold) MUST_USE;

/* Form only; ctx says what is wrong. ERR_MALFORMED, ERR_LIMIT (too many), ERR_NOMEM. */
enum err mail_erase_order_read(struct bytes body, struct arena *arena, struct mail_erase_order *ret,
	struct errctx *ctx) MUST_USE;
enum err mail_erase_receipt_read(struct bytes body, struct arena *arena,
	struct mail_erase_receipt *ret, struct errctx *ctx) MUST_USE;
enum err mail_erase_hold_read(struct bytes body, struct arena *arena, struct mail_erase_hold *ret,
	struct errctx *ctx) MUST_USE;

#endif
