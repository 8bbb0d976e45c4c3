/*
 * receipt: what a victim may keep of the first contact, and what stands of it in a log
 * (docs/FORMAT, Receipts). A receipt is six words of base/words, 66 bits drawn at random; whoever
 * has them finds and opens one item of a batch in a log, and nobody else learns anything from it.
 *
 *   seed       = scrypt(words, "sauti/1 receipt" || lv16 network; N 65536, r 8, p 1), 64 bytes
 *   tag        = HKDF-Expand(seed, "sauti/1 receipt tag", 32)
 *   key        = HKDF-Expand(seed, "sauti/1 receipt key", 32)
 *   nonce      = HKDF-Expand(seed, "sauti/1 receipt nonce", 12)
 *   commitment = HKDF-Expand(seed, "sauti/1 receipt commitment", 32)
 *   item       = tag || commitment || AES-256-GCM(key, nonce, aad, box)
 *   aad        = "sauti/1 receipt box" || tag
 *   box        = u8 1 || SHA-256(origin) || u64be index || leaf hash
 *
 * The words are in small letters with one space between. The box names the entry that holds the
 * record of the first contact: no case, no date, nothing that opens the entry. Words and keys are
 * secrets: wipe them. Pure.
 */
#ifndef CASES_RECEIPT_H
#define CASES_RECEIPT_H

#include "base/crypto.h"
#include "base/limits.h"
#include "base/words.h"

enum {
	RECEIPT_WORDS = 6,
	RECEIPT_TEXT_MAX = WORDS_TEXT(RECEIPT_WORDS), /* with the NUL */
	RECEIPT_SEED_SIZE = 64,
	RECEIPT_TAG_SIZE = 32,
	RECEIPT_COMMITMENT_SIZE = 32,
	RECEIPT_BOX_SIZE = 1 + HASH_SIZE + 8 + HASH_SIZE,
	RECEIPT_ITEM_SIZE =
		RECEIPT_TAG_SIZE + RECEIPT_COMMITMENT_SIZE + RECEIPT_BOX_SIZE + AEAD_TAG_SIZE,
};

struct receipt_words {
	uint16_t number[RECEIPT_WORDS]; /* each below WORDS_LIST */
};
struct receipt_keys {
	uint8_t tag[RECEIPT_TAG_SIZE];
	uint8_t commitment[RECEIPT_COMMITMENT_SIZE];
	struct aead_key box;
};
/* The record of the first contact. */
struct receipt_box {
	struct hash origin; /* SHA-256 of the name of its log */
	uint64_t index;
	struct hash leaf;
};
struct receipt_item {
	uint8_t b[RECEIPT_ITEM_SIZE];
};

/* Each word is as likely as any other, whatever the others are. Errors of random_bytes. */
enum err receipt_words_draw(struct receipt_words *ret) MUST_USE;
/* White space between, letters of either case, each word or its first four letters or more.
 * ERR_MALFORMED, with which word it is (never the word itself), or how many there are. */
enum err receipt_words_parse(
	struct bytes text, struct receipt_words *ret, struct errctx *ctx) MUST_USE;
void receipt_words_text(const struct receipt_words *words, char ret[RECEIPT_TEXT_MAX]);

/* Takes 64 MiB and a tenth of a second or more. Errors of scrypt. */
enum err receipt_keys_derive(
	const struct receipt_words *words, const char *network, struct receipt_keys *ret) MUST_USE;

enum err receipt_item_make(const struct receipt_keys *keys, const struct receipt_box *box,
	struct receipt_item *ret) MUST_USE;
/* ERR_NOTFOUND: the tag is another; ERR_DECRYPT: the tag is right, and whoever made the item did
 * not know the words, or it was changed; ERR_VERSION: the box is of another version. ERR_NOMEM,
 * ERR_CRYPTO. */
enum err receipt_item_open(const struct receipt_keys *keys, const struct receipt_item *item,
	struct receipt_box *ret) MUST_USE;

#endif
