/*
 * A dishonest sender: one ciphertext that AES-GCM accepts under two keys, each of which it gives to
 * another office. What one of them reads the other does not: the commitment, which is checked
 * first, belongs to one key alone.
 *
 * How it is made: the tag is linear in each block of ciphertext, over GF(2^128) (NIST SP 800-38D
 * 6.3, 6.4). One block, in the middle of the part, is chosen so that both tags come out the same.
 */
#include "cases_test.h"

#include "base/limits.h"
#include "cases/seal/seal.h"
#include "proto/codec.h"
#include "proto/entry.pb-c.h"

enum { BLOCK = 16, PLAIN_SIZE = 256, FREE_AT = 2 * BLOCK, TAG = AEAD_TAG_SIZE };

struct block {
	uint8_t b[BLOCK];
};

static struct block plus(struct block x, struct block y)
{
	for (size_t i = 0; i < BLOCK; i++)
		x.b[i] ^= y.b[i];
	return x;
}

static struct block times(struct block x, struct block y)
{
	struct block z = {{0}};

	for (size_t i = 0; i < 128; i++) {
		bool carry = (y.b[BLOCK - 1] & 1) != 0;

		if ((x.b[i / 8] & (0x80 >> (i % 8))) != 0)
			z = plus(z, y);
		for (size_t k = BLOCK - 1; k > 0; k--)
			y.b[k] = (uint8_t)(y.b[k] >> 1 | y.b[k - 1] << 7);
		y.b[0] >>= 1;
		if (carry)
			y.b[0] ^= 0xe1;
	}
	return z;
}

/* x^(2^128 - 2) */
static struct block inverse(struct block x)
{
	struct block z = {{0x80}}; /* one */

	for (size_t i = 0; i < 127; i++) {
		x = times(x, x);
		z = times(z, x);
	}
	return z;
}

static struct block lengths(size_t aad, size_t text)
{
	struct block l;

	put_u64be(l.b, 8 * (uint64_t)aad);
	put_u64be(l.b + 8, 8 * (uint64_t)text);
	return l;
}

static struct block tag_of(const struct aead_key *key, size_t aad)
{
	static const uint8_t zeros[BLOCK];
	struct block tag;

	assert_ok(aead_seal(key, bytes_make(zeros, aad), BYTES_NONE, tag.b));
	return tag;
}

/* What the tag is made with: E(J0), the tag of nothing; and H, out of that of one block of zeros.
 */
struct ghash {
	struct block mask, h;
};
static struct ghash ghash_of(const struct aead_key *key)
{
	struct ghash g = {.mask = tag_of(key, 0)};

	g.h = times(plus(tag_of(key, BLOCK), g.mask), inverse(lengths(BLOCK, 0)));
	return g;
}

static struct block absorb(struct block y, struct block h, struct bytes bytes)
{
	for (size_t at = 0; at < bytes.size; at += BLOCK) {
		size_t left = bytes.size - at;
		struct block x = {{0}};

		memcpy(x.b, bytes.data + at, left < BLOCK ? left : BLOCK);
		y = times(plus(y, x), h);
	}
	return y;
}

static struct block tag(const struct ghash *g, struct bytes aad, struct bytes text)
{
	struct block y = absorb((struct block){{0}}, g->h, aad);

	y = absorb(y, g->h, text);
	return plus(times(plus(y, lengths(aad.size, text.size)), g->h), g->mask);
}

/* The block at FREE_AT so that both tags are one; text || tag. */
static void make_both(
	const struct aead_key keys[2], struct bytes aad, uint8_t body[PLAIN_SIZE + TAG])
{
	struct ghash g[2] = {ghash_of(&keys[0]), ghash_of(&keys[1])};
	struct bytes text = bytes_make(body, PLAIN_SIZE);
	struct block power[2], differs, free_block;

	memset(body + FREE_AT, 0, BLOCK);
	differs = plus(tag(&g[0], aad, text), tag(&g[1], aad, text));
	for (size_t k = 0; k < 2; k++) {
		power[k] = g[k].h;
		for (size_t i = FREE_AT / BLOCK; i < PLAIN_SIZE / BLOCK; i++)
			power[k] = times(power[k], g[k].h);
	}
	free_block = times(differs, inverse(plus(power[0], power[1])));
	memcpy(body + FREE_AT, free_block.b, BLOCK);
	memcpy(body + PLAIN_SIZE, tag(&g[0], aad, text).b, TAG);
}

struct two {
	uint8_t k[2][SEAL_KEY_SIZE];
	struct seal_position at;
	uint8_t salt[SEAL_SALT_SIZE];
};

/* commitment || key || nonce of one K in an entry with that locator. */
static void derive(const struct two *two, size_t n, const struct seal_locator *locator,
	uint8_t ret_commitment[SEAL_COMMITMENT_SIZE], struct aead_key *ret)
{
	struct bytes info[] = {
		bytes_str("sauti/1 entry"), hash_bytes(&two->at.origin), BYTES_ARRAY(locator->b)};
	uint8_t okm[76];
	struct hash p;

	assert_ok(hkdf_extract(BYTES_ARRAY(two->salt), BYTES_ARRAY(two->k[n]), &p));
	assert_ok(hkdf_expand(hash_bytes(&p), info, 3, okm, sizeof(okm)));
	memcpy(ret_commitment, okm, SEAL_COMMITMENT_SIZE);
	memcpy(ret->key, okm + 32, AEAD_KEY_SIZE);
	memcpy(ret->nonce, okm + 64, AEAD_NONCE_SIZE);
}

/* An entry that says it is the one of key `locates`, with the commitment of key `commits`. Under
 * key `reads` the plaintext is as it must be. */
static struct buf entry_make(struct two *two, size_t locates, size_t commits, size_t reads)
{
	uint8_t plain[PLAIN_SIZE] = {0}, sealed[PLAIN_SIZE + TAG], opened[PLAIN_SIZE];
	uint8_t commitment[2][SEAL_COMMITMENT_SIZE], suite[4];
	Sauti__Sealed message = SAUTI__SEALED__INIT;
	Sauti__Entry entry = SAUTI__ENTRY__INIT;
	struct seal_locator locator;
	struct aead_key keys[2];
	struct seal_key key;
	struct buf aad, out;

	assert_ok(seal_key_init(&key, BYTES_ARRAY(two->k[locates])));
	assert_ok(seal_locator(&key, &two->at, &locator));
	seal_key_release(&key);
	for (size_t n = 0; n < 2; n++)
		derive(two, n, &locator, commitment[n], &keys[n]);
	put_u32be(suite, SEAL_SUITE_1);
	buf_init(&aad, 256);
	buf_put(&aad, BYTES_ARRAY(suite));
	buf_put(&aad, hash_bytes(&two->at.origin));
	buf_put(&aad, BYTES_ARRAY(locator.b));
	buf_put(&aad, BYTES_ARRAY(two->salt));
	buf_put(&aad, BYTES_ARRAY(commitment[commits]));
	put_u32be(plain + 1, 200); /* not compressed; the free block is in the part */
	memset(plain + SEAL_HEADER_SIZE, 'a', 200);
	assert_ok(aead_seal(&keys[reads], buf_bytes(&aad), BYTES_ARRAY(plain), sealed));
	make_both(keys, buf_bytes(&aad), sealed);
	for (size_t n = 0; n < 2; n++) /* AES-GCM takes it for both */
		assert_ok(aead_open(&keys[n], buf_bytes(&aad), BYTES_ARRAY(sealed), opened));
	buf_release(&aad);
	message.suite = SEAL_SUITE_1;
	message.salt = codec_binary(BYTES_ARRAY(two->salt));
	message.locator = codec_binary(BYTES_ARRAY(locator.b));
	message.commitment = codec_binary(BYTES_ARRAY(commitment[commits]));
	message.body = codec_binary(BYTES_ARRAY(sealed));
	entry.body_case = SAUTI__ENTRY__BODY_SEALED;
	entry.sealed = &message;
	buf_init(&out, LIMIT_ENTRY_SIZE);
	codec_pack(&out, &entry);
	assert_ok(out.err);
	return out;
}

static enum err open_with(const struct two *two, size_t n, const struct buf *entry)
{
	struct sealer *sealer;
	struct seal_key key;
	struct buf part;
	enum err err;

	assert_ok(sealer_new(&sealer));
	assert_ok(seal_key_init(&key, BYTES_ARRAY(two->k[n])));
	buf_init(&part, LIMIT_PART_SIZE);
	err = seal_open(sealer, &key, &two->at, buf_bytes(entry), &part);
	buf_release(&part);
	seal_key_release(&key);
	sealer_free(sealer);
	return err;
}

static void one_reads_at_most(void **state)
{
	struct two two = {.k = {{1}, {2}}, .at = {.origin = {{3}}, .index = 4}, .salt = {5}};

	for (unsigned how = 0; how < 8; how++) {
		size_t locates = how & 1, commits = how >> 1 & 1, reads = how >> 2;
		struct buf entry = entry_make(&two, locates, commits, reads);
		enum err first = open_with(&two, 0, &entry), second = open_with(&two, 1, &entry);

		assert_true(first != OK || second != OK);
		/* The one key whose all of it is: nobody else gets as far as decrypting. */
		assert_int_equal(first == OK, locates == 0 && commits == 0 && reads == 0);
		assert_int_equal(second == OK, locates == 1 && commits == 1 && reads == 1);
		if (locates != 0 || commits != 0)
			assert_int_equal(first, ERR_DECRYPT);
		if (locates != 1 || commits != 1)
			assert_int_equal(second, ERR_DECRYPT);
		buf_release(&entry);
	}
}

/* The arithmetic itself: our tag is AES-GCM's. */
static void tags_are_right(void **state)
{
	struct aead_key key = {{7}, {8}};
	uint8_t aad[37] = {9}, plain[100] = {10}, sealed[sizeof(plain) + TAG];
	struct ghash g = ghash_of(&key);
	struct block ours;

	assert_ok(aead_seal(&key, BYTES_ARRAY(aad), BYTES_ARRAY(plain), sealed));
	ours = tag(&g, BYTES_ARRAY(aad), bytes_make(sealed, sizeof(plain)));
	assert_memory_equal(ours.b, sealed + sizeof(plain), TAG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tags_are_right),
		cmocka_unit_test(one_reads_at_most),
	};

	return cmocka_run_group_tests(tests, setup_crypto, teardown_crypto);
}
