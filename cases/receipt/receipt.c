#include "cases/receipt/receipt.h"

#include <string.h>

#include "base/secret.h"

#define SALT_LABEL       "sauti/1 receipt"
#define TAG_LABEL        "sauti/1 receipt tag"
#define KEY_LABEL        "sauti/1 receipt key"
#define NONCE_LABEL      "sauti/1 receipt nonce"
#define COMMITMENT_LABEL "sauti/1 receipt commitment"
#define BOX_LABEL        "sauti/1 receipt box"

enum {
	VERSION = 1,
	BOX_AT = RECEIPT_TAG_SIZE + RECEIPT_COMMITMENT_SIZE,
	AAD_SIZE = sizeof(BOX_LABEL) - 1 + RECEIPT_TAG_SIZE,
};

_Static_assert(RECEIPT_ITEM_SIZE == LIMIT_RECEIPT_ITEM, "the size of an item is one, everywhere");
_Static_assert(WORDS_LIST == 1 << WORDS_BITS, "as many bits of chance as a word has");

/* ---- words ---- */

enum err receipt_words_draw(struct receipt_words *ret)
{
	uint8_t bytes[2 * RECEIPT_WORDS];
	enum err err = random_bytes(bytes, sizeof(bytes));

	/* The list's length is a power of two: no word is likelier than another. */
	for (size_t i = 0; err == OK && i < RECEIPT_WORDS; i++)
		ret->number[i] = get_u16be(bytes + 2 * i) % WORDS_LIST;
	wipe(bytes, sizeof(bytes));
	return err;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next word of text, which is moved behind it; none: empty. */
static struct bytes next_word(struct bytes *text)
{
	size_t from = 0, to;

	while (from < text->size && is_space(text->data[from]))
		from++;
	to = from;
	while (to < text->size && !is_space(text->data[to]))
		to++;
	struct bytes word = bytes_make(text->data + from, to - from);

	*text = bytes_make(text->data + to, text->size - to);
	return word;
}

enum err receipt_words_parse(struct bytes text, struct receipt_words *ret, struct errctx *ctx)
{
	struct receipt_words words = {{0}};
	struct bytes word;
	enum err err = OK;
	size_t count = 0, number;

	while (err == OK && (word = next_word(&text)).size > 0) {
		if (count < RECEIPT_WORDS && words_find(word, &number) != OK)
			err = err_set(
				ctx, ERR_MALFORMED, "word %zu is none of the list", count + 1);
		else if (count < RECEIPT_WORDS)
			words.number[count] = (uint16_t)number;
		count++;
	}
	if (err == OK && count != RECEIPT_WORDS)
		err = err_set(ctx, ERR_MALFORMED, "%s than %d words",
			count < RECEIPT_WORDS ? "fewer" : "more", RECEIPT_WORDS);
	if (err == OK)
		*ret = words;
	wipe(&words, sizeof(words));
	return err;
}

void receipt_words_text(const struct receipt_words *words, char ret[RECEIPT_TEXT_MAX])
{
	char *to = ret;

	memset(ret, 0, RECEIPT_TEXT_MAX);
	for (size_t i = 0; i < RECEIPT_WORDS; i++) {
		if (i > 0)
			*to++ = ' ';
		to = stpcpy(to, words_at(words->number[i] % WORDS_LIST));
	}
}

/* ---- keys ---- */

static enum err seed_make(const struct receipt_words *words, const char *network, uint8_t *ret)
{
	const struct scrypt_cost cost = {.n = 65536, .r = 8, .p = 1};
	uint8_t salt[sizeof(SALT_LABEL) - 1 + 2 + LIMIT_NETWORK_NAME];
	size_t size = sizeof(SALT_LABEL) - 1, length = strlen(network);
	char text[RECEIPT_TEXT_MAX];
	enum err err;

	if (length > LIMIT_NETWORK_NAME)
		return ERR_LIMIT;
	memcpy(salt, SALT_LABEL, size);
	put_u16be(salt + size, (uint16_t)length);
	memcpy(salt + size + 2, network, length);
	receipt_words_text(words, text);
	err = scrypt(
		bytes_str(text), bytes_make(salt, size + 2 + length), cost, ret, RECEIPT_SEED_SIZE);
	wipe(text, sizeof(text));
	return err;
}

static enum err expand(const uint8_t *seed, const char *label, uint8_t *ret, size_t size)
{
	struct bytes info = bytes_str(label);

	return hkdf_expand(bytes_make(seed, RECEIPT_SEED_SIZE), &info, 1, ret, size);
}

enum err receipt_keys_derive(
	const struct receipt_words *words, const char *network, struct receipt_keys *ret)
{
	uint8_t seed[RECEIPT_SEED_SIZE];
	struct receipt_keys keys = {.tag = {0}};
	enum err err = seed_make(words, network, seed);

	if (err == OK)
		err = expand(seed, TAG_LABEL, keys.tag, sizeof(keys.tag));
	if (err == OK)
		err = expand(seed, KEY_LABEL, keys.box.key, sizeof(keys.box.key));
	if (err == OK)
		err = expand(seed, NONCE_LABEL, keys.box.nonce, sizeof(keys.box.nonce));
	if (err == OK)
		err = expand(seed, COMMITMENT_LABEL, keys.commitment, sizeof(keys.commitment));
	if (err == OK)
		*ret = keys;
	wipe(&keys, sizeof(keys));
	wipe(seed, sizeof(seed));
	return err;
}

/* ---- items ---- */

static void aad_make(const struct receipt_keys *keys, uint8_t ret[AAD_SIZE])
{
	memcpy(ret, BOX_LABEL, sizeof(BOX_LABEL) - 1);
	memcpy(ret + sizeof(BOX_LABEL) - 1, keys->tag, RECEIPT_TAG_SIZE);
}

enum err receipt_item_make(
	const struct receipt_keys *keys, const struct receipt_box *box, struct receipt_item *ret)
{
	uint8_t plain[RECEIPT_BOX_SIZE] = {VERSION}, aad[AAD_SIZE];
	struct receipt_item item;
	enum err err;

	memcpy(plain + 1, box->origin.b, HASH_SIZE);
	put_u64be(plain + 1 + HASH_SIZE, box->index);
	memcpy(plain + 1 + HASH_SIZE + 8, box->leaf.b, HASH_SIZE);
	memcpy(item.b, keys->tag, RECEIPT_TAG_SIZE);
	memcpy(item.b + RECEIPT_TAG_SIZE, keys->commitment, RECEIPT_COMMITMENT_SIZE);
	aad_make(keys, aad);
	err = aead_seal(&keys->box, BYTES_ARRAY(aad), BYTES_ARRAY(plain), item.b + BOX_AT);
	wipe(plain, sizeof(plain));
	if (err == OK)
		*ret = item;
	return err;
}

enum err receipt_item_open(
	const struct receipt_keys *keys, const struct receipt_item *item, struct receipt_box *ret)
{
	struct bytes sealed = bytes_make(item->b + BOX_AT, RECEIPT_ITEM_SIZE - BOX_AT);
	uint8_t plain[RECEIPT_BOX_SIZE], aad[AAD_SIZE];
	enum err err;

	if (!bytes_equal(bytes_make(item->b, RECEIPT_TAG_SIZE), BYTES_ARRAY(keys->tag)))
		return ERR_NOTFOUND;
	/* AES-GCM alone does not say that it is this key's. */
	if (!bytes_equal(bytes_make(item->b + RECEIPT_TAG_SIZE, RECEIPT_COMMITMENT_SIZE),
		    BYTES_ARRAY(keys->commitment)))
		return ERR_DECRYPT;
	aad_make(keys, aad);
	err = aead_open(&keys->box, BYTES_ARRAY(aad), sealed, plain);
	if (err == OK && plain[0] != VERSION)
		err = ERR_VERSION;
	if (err == OK) {
		memcpy(ret->origin.b, plain + 1, HASH_SIZE);
		ret->index = get_u64be(plain + 1 + HASH_SIZE);
		memcpy(ret->leaf.b, plain + 1 + HASH_SIZE + 8, HASH_SIZE);
	}
	wipe(plain, sizeof(plain));
	return err;
}
