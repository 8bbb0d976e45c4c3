/*
 * mail: one item from node to node, and what ends it (DESIGN 9). Bytes alone; who carries it, how
 * long and how often, is replication/engine/mail.c.
 *
 * An item is signed by the sender's `node` key, so that every relay can tell whose quota it uses;
 * its content is sealed to a prekey of the recipient (HPKE, base/hpke.h), with
 *
 *	info  = "sauti/1 mail" || lv16(network) || lv16(sender) || lv16(recipient) || lv16(id)
 *	plain = u32be(length) || MailContent || zeros up to 256 * 2^n or 384 * 2^n, last step 64,000
 *
 * A complaint about staff is sealed to the recipient's long-lived complaint key instead, which the
 * directory lists, with "sauti/1 complaint mail" in place of the first label: neither can be taken
 * for the other. From outside it is as any sealed item, a prekey's number included: whoever carries
 * it, or looks at what this node sent, does not see that there is a complaint. Its recipient tries.
 *
 * Kinds that hold nothing secret are open. Everything but who, whom, class and time is inside.
 * An item is known everywhere by SHA-256 of its signed body: two items of one id are two items, and
 * who makes them gains nothing.
 *
 * The end of an item is signed by its recipient's `node` key, once the item was processed: whoever
 * holds the item can check it.
 *
 * Pure. Views point into the caller's arena or the bytes given.
 */
#ifndef CERTS_MAIL_H
#define CERTS_MAIL_H

#include "base/secret.h"
#include "certs/record.h"
#include "proto/frame.pb-c.h"

#define PURPOSE_MAIL     "mail"
#define PURPOSE_MAIL_END "mail-end"

enum { MAIL_ID_SIZE = 16 };
enum mail_class { MAIL_ORDINARY = 0, MAIL_ERASURE = 1 };
enum mail_kind {
	MAIL_NOTICE = 1,
	MAIL_ADDRESSES = 2,
	MAIL_COMPLAINT = 3,
	MAIL_GRANT = 4,       /* mail_grant.h */
	MAIL_ERASE_ORDER = 6, /* mail_erase.h */
	MAIL_ERASE_RECEIPT = 7,
	MAIL_ERASE_HOLD = 8,
	MAIL_ESCROW_KEYS = 9, /* mail_escrow.h */
	MAIL_ESCROW_HELD = 10,
	MAIL_APPROVAL_ASKED = 11, /* mail_approval.h */
	MAIL_APPROVAL = 12,
	MAIL_RECOVERY_ASK = 14,
	MAIL_RECOVERY_ANSWER = 15,
}; /* numbers are final */
/* Of kinds that hold nothing secret: these are never sealed, and all others always are. */
bool mail_kind_open(enum mail_kind kind);
enum mail_outcome {
	MAIL_PROCESSED = 0,
	MAIL_UNOPENABLE = 1,
	MAIL_UNKNOWN_KIND = 2,
	MAIL_REFUSED = 3, /* not taken, and recorded there why */
};

struct mail_item {
	struct hash item; /* SHA-256(body) */
	uint8_t id[MAIL_ID_SIZE];
	char sender[LIMIT_NODE_NAME + 1], recipient[LIMIT_NODE_NAME + 1];
	enum mail_class class;
	uint64_t made_at; /* seconds, UTC, as the sender says */
	uint64_t prekey;  /* of the recipient; 0: open */
	struct bytes content;
	struct bytes body, signature;
};
/* Form only; of this network, from one node to another. ERR_MALFORMED, ERR_LIMIT, ERR_UNTRUSTED
 * (another network), ERR_NOMEM. */
enum err mail_read(struct bytes body, struct bytes signature, const char *network,
	struct arena *arena, struct mail_item *ret, struct errctx *ctx) MUST_USE;
/* The same of a packed Mail, as it is stored. */
enum err mail_unpack(struct bytes packed, const char *network, struct arena *arena,
	struct mail_item *ret, struct errctx *ctx) MUST_USE;
/* Both are active members, and the sender signed it. ERR_DENIED: not a member, or not active.
 * ERR_UNTRUSTED: not signed by that key; ERR_NOMEM. */
enum err mail_check(const struct directory *directory, const struct mail_item *item,
	struct errctx *ctx) MUST_USE;
/* The same at a time, seconds UTC: what was made before its sender rotated its keys is on its way
 * for MAIL_FORMER_S more. Not what a machine signed that was replaced. */
enum { MAIL_FORMER_S = 30 * 24 * 3600 };
enum err mail_check_at(const struct directory *directory, const struct mail_item *item,
	uint64_t now_s, struct errctx *ctx) MUST_USE;

/* Its sender's node key that signed it: the current one, or one that it had before. It may have
 * waited, checked, while the directory changed, and whoever has the name's key now is not who wrote
 * it. ERR_UNTRUSTED: none of them signed it. */
enum err mail_signer(const struct directory *directory, const struct mail_item *item,
	struct ed25519_public *ret) MUST_USE;

struct mail_draft {
	const char *network, *sender, *recipient;
	uint8_t id[MAIL_ID_SIZE]; /* random, never used twice */
	enum mail_class class;
	enum mail_kind kind;
	struct bytes content; /* a notice's text, or a packed message */
	uint64_t made_at;
	/* Sealed to it; NULL: open. Of a complaint: the recipient's complaint key, and the number
	 * of its newest prekey, or 1 when none is known. */
	const struct prekey *prekey;
	struct bytes ephemeral; /* 32 random bytes, when sealed */
};
/* Appends a packed Mail, at most LIMIT_MAIL_ITEM bytes. ERR_INVALID: names, or a kind that is not
 * what its content must be (a notice is sealed, addresses are open). ERR_LIMIT: content over
 * LIMIT_MAIL_CONTENT. ERR_UNTRUSTED: a prekey of small order. ERR_NOMEM, ERR_CRYPTO. */
enum err mail_write(
	struct buf *out, const struct mail_draft *draft, const struct signer *node) MUST_USE;
/* The same in two steps, for whoever seals and does not hold the node's key: a packed MailBody, and
 * a Mail out of it. */
enum err mail_body_write(struct buf *out, const struct mail_draft *draft) MUST_USE;
enum err mail_sign(struct buf *out, struct bytes body, const struct signer *node) MUST_USE;

/* What is inside, copied out of a sealed item, or viewed in an open one. Releases with
 * mail_content_release. */
struct mail_content {
	uint32_t kind;
	struct bytes body;
	struct secret plain;
};
/* private_key: the half that item->prekey names; ignored for an open item. ERR_DECRYPT: not sealed
 * to it, or for another sender, recipient or id. ERR_MALFORMED: what was sealed is none; ERR_NOMEM,
 * ERR_CRYPTO. */
enum err mail_open(const struct mail_item *item, const char *network, struct bytes private_key,
	struct arena *arena, struct mail_content *ret, struct errctx *ctx) MUST_USE;
void mail_content_release(struct mail_content *content);
/* The same with the private half of the recipient's complaint key. ERR_MALFORMED also for any other
 * kind, and for an open item. */
enum err mail_open_complaint(const struct mail_item *item, const char *network,
	struct bytes private_key, struct arena *arena, struct mail_content *ret,
	struct errctx *ctx) MUST_USE;

/* A complaint, as the content of an item. Holds keys: release. */
enum { MAIL_COMPLAINT_KEYS = 2, MAIL_CASE_REF_SIZE = 16, MAIL_KID_SIZE = 16, MAIL_KEY_SIZE = 32 };
struct mail_complaint {
	uint8_t case_ref[MAIL_CASE_REF_SIZE];
	char origin[LIMIT_ORIGIN + 1];
	struct mail_complaint_key {
		uint32_t group;
		uint8_t kid[MAIL_KID_SIZE];
		struct secret key;
		uint64_t first;
	} keys[MAIL_COMPLAINT_KEYS];
	size_t key_count;
};
void mail_complaint_release(struct mail_complaint *complaint); /* wipes; NULL is fine */
/* Into a buffer that is reserved whole, and wiped by the caller. ERR_INVALID: no keys. */
enum err mail_complaint_write(struct buf *out, const struct mail_complaint *complaint) MUST_USE;
/* Form only: sizes and counts. No key stays in the arena. ERR_MALFORMED, ERR_NOMEM. */
enum err mail_complaint_read(struct bytes body, struct arena *arena, struct mail_complaint *ret,
	struct errctx *ctx) MUST_USE;

/* Addresses, as the content of an item. ERR_LIMIT past LIMIT_MAIL_ADDRESSES. */
struct mail_addresses {
	char text[LIMIT_MAIL_ADDRESSES][LIMIT_ADDRESS + 1];
	size_t count;
};
enum err mail_addresses_write(struct buf *out, const struct mail_addresses *addresses) MUST_USE;
/* Form only: whether one is an address that can be dialled is for the caller to say. */
enum err mail_addresses_read(struct bytes body, struct arena *arena, struct mail_addresses *ret,
	struct errctx *ctx) MUST_USE;

struct mail_end {
	struct hash item;
	char sender[LIMIT_NODE_NAME + 1], recipient[LIMIT_NODE_NAME + 1]; /* of the item */
	uint32_t outcome;
	uint64_t at;
	/* Of MAIL_UNOPENABLE: what the recipient has mail sealed to from here on; number 0: it does
	 * not say. Of any other outcome nothing is written, and nothing read. */
	struct prekey current;
};
/* A packed MailEnd. */
enum err mail_end_write(struct buf *out, const char *network, const struct mail_end *end,
	const struct signer *node) MUST_USE;
/* Form, and the recipient's signature by what the directory has of it (also of one that is not
 * active any more: it processed it). ERR_MALFORMED, ERR_UNTRUSTED, ERR_NOTFOUND: who is said to
 * have processed it is not in the directory, ERR_NOMEM. */
enum err mail_end_read(struct bytes body, struct bytes signature, const char *network,
	const struct directory *directory, struct arena *arena, struct mail_end *ret,
	struct errctx *ctx) MUST_USE;

#endif
