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
 * or, for kinds that hold nothing secret, open. Everything but who, whom, class and time is inside.
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
enum mail_kind { MAIL_NOTICE = 1, MAIL_ADDRESSES = 2 }; /* numbers are final */
enum mail_outcome { MAIL_PROCESSED = 0, MAIL_UNOPENABLE = 1, MAIL_UNKNOWN_KIND = 2 };

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

struct mail_draft {
	const char *network, *sender, *recipient;
	uint8_t id[MAIL_ID_SIZE]; /* random, never used twice */
	enum mail_class class;
	enum mail_kind kind;
	struct bytes content; /* a notice's text, or a packed message */
	uint64_t made_at;
	const struct prekey *prekey; /* sealed to it; NULL: open */
	struct bytes ephemeral;      /* 32 random bytes, when sealed */
};
/* Appends a packed Mail, at most LIMIT_MAIL_ITEM bytes. ERR_INVALID: names, or a kind that is not
 * what its content must be (a notice is sealed, addresses are open). ERR_LIMIT: content over
 * LIMIT_MAIL_CONTENT. ERR_UNTRUSTED: a prekey of small order. ERR_NOMEM, ERR_CRYPTO. */
enum err mail_write(
	struct buf *out, const struct mail_draft *draft, const struct signer *node) MUST_USE;

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
