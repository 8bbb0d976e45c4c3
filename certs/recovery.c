#include "certs/recovery.h"

#include <assert.h>
#include <ctype.h>
#include <libgfshare.h>

#include "base/text.h"
#include "base/words.h"

#define SET_LABEL      "sauti/1 recovery set"
#define SHARE_LABEL    "sauti/1 recovery share"
#define PAYLOAD_PREFIX "SAUTI1:"

enum { VERSION = 16, CHECK_SIZE = 4, CHECKED_SIZE = RECOVERY_SHARE_SIZE - CHECK_SIZE };
enum { DATA_WORDS = 30, WORD_BITS = 11, WORD_MAX = 1 << WORD_BITS };
_Static_assert(CHECKED_SIZE == 1 + RECOVERY_SET_SIZE + X25519_KEY_SIZE, "what is checked");
_Static_assert(DATA_WORDS *WORD_BITS >= 8 * RECOVERY_SHARE_SIZE, "a share fits");

void recovery_share_release(struct recovery_share *share)
{
	if (share == NULL)
		return;
	secret_release(&share->share);
	*share = (struct recovery_share){.number = 0};
}

void recovery_set_of(const struct x25519_public *public, struct recovery_set *ret)
{
	struct bytes parts[] = {bytes_str(SET_LABEL), BYTES_ARRAY(public->b)};
	struct hash hash;

	sha256_parts(parts, 2, &hash);
	memcpy(ret->b, hash.b, RECOVERY_SET_SIZE);
}

/* ---- splitting and joining ---- */

/* libgfshare has no way to say that there is no randomness: a share without it would be the key. */
static void fill_random(unsigned char *out, unsigned int size)
{
	enum err err = random_bytes(out, size);

	assert(err == OK);
}

enum err recovery_split(struct bytes private_key, struct recovery_share ret[RECOVERY_SHARES])
{
	unsigned char numbers[RECOVERY_SHARES] = {1, 2, 3};
	struct x25519_public public;
	struct recovery_set set;
	gfshare_ctx *split;
	enum err err = OK;

	for (size_t i = 0; i < RECOVERY_SHARES; i++)
		ret[i] = (struct recovery_share){.number = 0};
	TRY(x25519_public(private_key, &public));
	recovery_set_of(&public, &set);
	gfshare_fill_rand = fill_random;
	split = gfshare_ctx_init_enc(numbers, RECOVERY_SHARES, RECOVERY_NEEDED, X25519_KEY_SIZE);
	if (split == NULL)
		return ERR_NOMEM;
	gfshare_ctx_enc_setsecret(split, (unsigned char *)private_key.data);
	for (size_t i = 0; i < RECOVERY_SHARES && err == OK; i++) {
		ret[i].set = set;
		ret[i].number = numbers[i];
		err = secret_init(&ret[i].share, X25519_KEY_SIZE);
		if (err == OK)
			gfshare_ctx_enc_getshare(split, (unsigned char)i, ret[i].share.data);
	}
	gfshare_ctx_free(split); /* overwrites what it held */
	return err;
}

static enum err combine(
	const struct recovery_share *a, const struct recovery_share *b, struct secret *ret)
{
	unsigned char numbers[RECOVERY_NEEDED] = {a->number, b->number};
	struct secret key = {0};
	gfshare_ctx *join;

	gfshare_fill_rand = fill_random;
	TRY(secret_init(&key, X25519_KEY_SIZE));
	join = gfshare_ctx_init_dec(numbers, RECOVERY_NEEDED, X25519_KEY_SIZE);
	if (join == NULL) {
		secret_release(&key);
		return ERR_NOMEM;
	}
	gfshare_ctx_dec_giveshare(join, 0, a->share.data);
	gfshare_ctx_dec_giveshare(join, 1, b->share.data);
	gfshare_ctx_dec_extract(join, key.data);
	gfshare_ctx_free(join);
	*ret = key;
	return OK;
}

static bool set_equal(const struct recovery_set *a, const struct recovery_set *b)
{
	return memcmp(a->b, b->b, RECOVERY_SET_SIZE) == 0;
}

enum err recovery_join(const struct recovery_share *a, const struct recovery_share *b,
	struct secret *ret, struct errctx *ctx)
{
	char set_a[2 * RECOVERY_SET_SIZE + 1], set_b[sizeof(set_a)];
	struct x25519_public public;
	struct recovery_set set;
	struct secret key = {0};
	enum err err;

	hex_encode(BYTES_ARRAY(a->set.b), set_a);
	hex_encode(BYTES_ARRAY(b->set.b), set_b);
	if (!set_equal(&a->set, &b->set))
		return err_set(ctx, ERR_UNTRUSTED,
			"the two shares are of different sets, %s and %s: one of them is of "
			"another "
			"office, or from before a reshare",
			set_a, set_b);
	if (a->number == b->number)
		return err_set(ctx, ERR_EXISTS,
			"that is share %u twice: two different ones are needed",
			(unsigned)a->number);
	TRY(combine(a, b, &key));
	err = x25519_public(secret_bytes(&key), &public);
	if (err == OK) {
		recovery_set_of(&public, &set);
		if (!set_equal(&set, &a->set))
			err = err_set(ctx, ERR_UNTRUSTED,
				"shares %u and %u do not give the key of set %s: one of them is "
				"not what "
				"was printed; try it with the third share",
				(unsigned)a->number, (unsigned)b->number, set_a);
	}
	if (err != OK)
		secret_release(&key);
	else
		*ret = key;
	return err;
}

/* ---- bytes ---- */

static void check_of(const uint8_t packed[CHECKED_SIZE], uint8_t ret[CHECK_SIZE])
{
	struct bytes parts[] = {bytes_str(SHARE_LABEL), bytes_make(packed, CHECKED_SIZE)};
	struct hash hash;

	sha256_parts(parts, 2, &hash);
	memcpy(ret, hash.b, CHECK_SIZE);
}

static enum err pack(const struct recovery_share *share, uint8_t ret[RECOVERY_SHARE_SIZE])
{
	if (share->number < 1 || share->number > RECOVERY_SHARES ||
		share->share.size != X25519_KEY_SIZE)
		return ERR_INVALID;
	ret[0] = (uint8_t)(VERSION + share->number);
	memcpy(ret + 1, share->set.b, RECOVERY_SET_SIZE);
	memcpy(ret + 1 + RECOVERY_SET_SIZE, share->share.data, X25519_KEY_SIZE);
	check_of(ret, ret + CHECKED_SIZE);
	return OK;
}

static bool sound(const uint8_t packed[RECOVERY_SHARE_SIZE])
{
	uint8_t check[CHECK_SIZE];

	check_of(packed, check);
	return memcmp(check, packed + CHECKED_SIZE, CHECK_SIZE) == 0;
}

static enum err unpack(
	const uint8_t packed[RECOVERY_SHARE_SIZE], struct recovery_share *ret, struct errctx *ctx)
{
	uint8_t number = (uint8_t)(packed[0] - VERSION);
	struct recovery_share share = {.number = number};

	if (!sound(packed))
		return err_set(ctx, ERR_MALFORMED, "this is no share of a recovery key");
	if (number < 1 || number > RECOVERY_SHARES)
		return err_set(
			ctx, ERR_VERSION, "a share of a form that this version does not know");
	memcpy(share.set.b, packed + 1, RECOVERY_SET_SIZE);
	TRY(secret_copy(&share.share, bytes_make(packed + 1 + RECOVERY_SET_SIZE, X25519_KEY_SIZE)));
	*ret = share;
	return OK;
}

/* ---- GF(2^11), x^11 + x^2 + 1: x has order 2047 ---- */

static uint16_t times_x(uint16_t a)
{
	return (uint16_t)((a << 1) ^ ((a & (WORD_MAX >> 1)) != 0 ? WORD_MAX + 5 : 0));
}

static uint16_t times(uint16_t a, uint16_t b)
{
	uint16_t product = 0;

	for (unsigned bit = 0; bit < WORD_BITS; bit++, a = times_x(a))
		if ((b >> bit & 1) != 0)
			product ^= a;
	return product;
}

static uint16_t power_x(unsigned exponent)
{
	uint16_t power = 1;

	while (exponent-- > 0)
		power = times_x(power);
	return power;
}

static uint16_t inverse(uint16_t a)
{
	uint16_t result = 1;

	for (unsigned i = 0; i < WORD_MAX - 2; i++) /* a^(2^11 - 2) */
		result = times(result, a);
	return result;
}

static void sums(const uint16_t *words, size_t count, uint16_t *ret_plain, uint16_t *ret_weighted)
{
	uint16_t plain = 0, weighted = 0;

	for (size_t i = 0; i < count; i++) {
		plain ^= words[i];
		weighted ^= times(words[i], power_x((unsigned)i));
	}
	*ret_plain = plain;
	*ret_weighted = weighted;
}

static void add_checks(uint16_t words[RECOVERY_WORDS])
{
	uint16_t plain, weighted;

	sums(words, DATA_WORDS, &plain, &weighted);
	weighted = times(weighted, inverse(power_x(DATA_WORDS)));
	words[DATA_WORDS + 1] = times(plain ^ weighted, inverse(1 ^ 2));
	words[DATA_WORDS] = plain ^ words[DATA_WORDS + 1];
}

/* ---- words ---- */

static void bits_to_words(const uint8_t packed[RECOVERY_SHARE_SIZE], uint16_t words[DATA_WORDS])
{
	for (size_t i = 0; i < DATA_WORDS; i++) {
		words[i] = 0;
		for (size_t bit = i * WORD_BITS; bit < (i + 1) * WORD_BITS; bit++) {
			uint16_t one = bit >= 8 * RECOVERY_SHARE_SIZE
					       ? 0
					       : packed[bit / 8] >> (7 - bit % 8) & 1;

			words[i] = (uint16_t)(words[i] << 1 | one);
		}
	}
}

/* False: the last word has bits that no share has. */
static bool words_to_bits(const uint16_t words[DATA_WORDS], uint8_t packed[RECOVERY_SHARE_SIZE])
{
	memset(packed, 0, RECOVERY_SHARE_SIZE);
	for (size_t bit = 0; bit < DATA_WORDS * WORD_BITS; bit++) {
		unsigned one = words[bit / WORD_BITS] >> (WORD_BITS - 1 - bit % WORD_BITS) & 1;

		if (bit < 8 * RECOVERY_SHARE_SIZE)
			packed[bit / 8] |= (uint8_t)(one << (7 - bit % 8));
		else if (one != 0)
			return false;
	}
	return true;
}

enum err recovery_words(const struct recovery_share *share, uint16_t ret[RECOVERY_WORDS])
{
	uint8_t packed[RECOVERY_SHARE_SIZE];

	TRY(pack(share, packed));
	bits_to_words(packed, ret);
	add_checks(ret);
	wipe(packed, sizeof(packed));
	return OK;
}

static bool words_sound(const uint16_t words[RECOVERY_WORDS])
{
	uint8_t packed[RECOVERY_SHARE_SIZE];
	bool ok = words_to_bits(words, packed) && sound(packed);

	wipe(packed, sizeof(packed));
	return ok;
}

/* One wrong word gives a plain sum p that is its error, and a weighted one of x^j p. */
static bool find_wrong(
	uint16_t words[RECOVERY_WORDS], uint16_t plain, uint16_t weighted, struct errctx *ctx)
{
	for (size_t j = 0; j < RECOVERY_WORDS && plain != 0; j++) {
		if (times(plain, power_x((unsigned)j)) != weighted)
			continue;
		words[j] ^= plain;
		if (words_sound(words))
			err_set(ctx, ERR_MALFORMED,
				"word %zu is not the one that was printed: look whether it is '%s'",
				j + 1, words_at(words[j]));
		else
			words[j] ^= plain;
		return words_sound(words);
	}
	return false;
}

static bool try_swapped(
	uint16_t words[RECOVERY_WORDS], size_t i, size_t j, uint16_t weighted, struct errctx *ctx)
{
	uint16_t kept = words[i];

	if (times(words[i] ^ words[j], power_x((unsigned)i) ^ power_x((unsigned)j)) != weighted)
		return false;
	words[i] = words[j];
	words[j] = kept;
	if (words_sound(words)) {
		err_set(ctx, ERR_MALFORMED, "words %zu and %zu have changed places", i + 1, j + 1);
		return true;
	}
	words[j] = words[i];
	words[i] = kept;
	return false;
}

static bool find_swapped(uint16_t words[RECOVERY_WORDS], uint16_t weighted, struct errctx *ctx)
{
	for (size_t i = 0; i < RECOVERY_WORDS; i++)
		for (size_t j = i + 1; j < RECOVERY_WORDS; j++)
			if (try_swapped(words, i, j, weighted, ctx))
				return true;
	return false;
}

static enum err words_check(uint16_t words[RECOVERY_WORDS], struct errctx *ctx)
{
	uint16_t plain, weighted;

	sums(words, RECOVERY_WORDS, &plain, &weighted);
	if (plain == 0 && weighted == 0)
		return OK;
	if (find_wrong(words, plain, weighted, ctx) ||
		(plain == 0 && find_swapped(words, weighted, ctx)))
		return ERR_MALFORMED;
	return err_set(ctx, ERR_MALFORMED,
		"more than one word is not what was printed: compare all of them");
}

static bool row_number(struct bytes token)
{
	for (size_t i = 0; i < token.size; i++)
		if (!isdigit(token.data[i]) &&
			!(i > 0 && i == token.size - 1 &&
				(token.data[i] == '.' || token.data[i] == ':')))
			return false;
	return true;
}

static struct bytes next_token(struct bytes *rest)
{
	size_t from = 0, to;

	while (from < rest->size && isspace(rest->data[from]))
		from++;
	to = from;
	while (to < rest->size && !isspace(rest->data[to]))
		to++;
	struct bytes token = bytes_make(rest->data + from, to - from);

	*rest = bytes_make(rest->data + to, rest->size - to);
	return token;
}

/* The wrong word itself is not told: it may be a passphrase, typed at the wrong place. */
static enum err words_parse(struct bytes text, uint16_t words[RECOVERY_WORDS], struct errctx *ctx)
{
	struct bytes token;
	size_t count = 0;

	while ((token = next_token(&text)).size > 0) {
		size_t number;

		if (row_number(token))
			continue;
		if (count == RECOVERY_WORDS)
			return err_set(ctx, ERR_MALFORMED, "more than the %d words of a share",
				RECOVERY_WORDS);
		if (words_find(token, &number) != OK)
			return err_set(
				ctx, ERR_MALFORMED, "word %zu is none of the list", count + 1);
		words[count++] = (uint16_t)number;
	}
	if (count < RECOVERY_WORDS)
		return err_set(
			ctx, ERR_MALFORMED, "%zu words, and a share has %d", count, RECOVERY_WORDS);
	return OK;
}

static enum err read_words(struct bytes text, struct recovery_share *ret, struct errctx *ctx)
{
	uint8_t packed[RECOVERY_SHARE_SIZE];
	uint16_t words[RECOVERY_WORDS];
	enum err err = words_parse(text, words, ctx);

	if (err == OK)
		err = words_check(words, ctx);
	if (err == OK && !words_to_bits(words, packed))
		err = err_set(ctx, ERR_MALFORMED, "these words are no share of a recovery key");
	if (err == OK)
		err = unpack(packed, ret, ctx);
	wipe(packed, sizeof(packed));
	wipe(words, sizeof(words));
	return err;
}

/* ---- the payload of a QR code ---- */

enum err recovery_payload(const struct recovery_share *share, struct buf *out)
{
	uint8_t packed[RECOVERY_SHARE_SIZE];
	char hex[2 * RECOVERY_SHARE_SIZE + 1];

	TRY(pack(share, packed));
	hex_encode(BYTES_ARRAY(packed), hex);
	for (char *c = hex; *c != '\0'; c++)
		*c = (char)toupper((unsigned char)*c);
	buf_put_str(out, PAYLOAD_PREFIX);
	buf_put_str(out, hex);
	wipe(packed, sizeof(packed));
	wipe(hex, sizeof(hex));
	return out->err;
}

static enum err read_payload(struct bytes hex, struct recovery_share *ret, struct errctx *ctx)
{
	uint8_t packed[RECOVERY_SHARE_SIZE];
	enum err err;

	if (hex.size != 2 * RECOVERY_SHARE_SIZE)
		return err_set(ctx, ERR_MALFORMED,
			"the code of a share has %d characters behind %s", 2 * RECOVERY_SHARE_SIZE,
			PAYLOAD_PREFIX);
	err = hex_decode(hex, packed, sizeof(packed));
	if (err != OK)
		err = err_set(ctx, ERR_MALFORMED, "the code of a share: not hexadecimal");
	else
		err = unpack(packed, ret, ctx);
	wipe(packed, sizeof(packed));
	return err;
}

enum err recovery_read(struct bytes text, struct recovery_share *ret, struct errctx *ctx)
{
	struct bytes prefix = bytes_str(PAYLOAD_PREFIX);
	struct bytes rest = text, first;

	if (text.size > RECOVERY_TEXT_MAX)
		return err_set(ctx, ERR_LIMIT, "more than %d bytes", RECOVERY_TEXT_MAX);
	first = next_token(&rest);
	if (first.size < prefix.size || memcmp(first.data, prefix.data, prefix.size) != 0)
		return read_words(text, ret, ctx);
	if (next_token(&rest).size > 0)
		return err_set(ctx, ERR_MALFORMED, "something stands behind the code of a share");
	return read_payload(
		bytes_make(first.data + prefix.size, first.size - prefix.size), ret, ctx);
}
