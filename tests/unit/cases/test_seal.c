#include "cases_test.h"

#include <zstd.h>

#include "base/limits.h"
#include "base/text.h"
#include "cases/seal/seal.h"
#include "seal_raw.h"

static struct sealer *sealer;
static struct seal_key key;
static struct seal_position at = {.index = 5};
static const uint8_t random16[16] = {9, 8, 7, 6, 5, 4, 3, 2, 1};
static uint8_t part[LIMIT_PART_SIZE + 1];

static int setup(void **state)
{
	uint8_t k[32];

	if (crypto_init() != OK || sealer_new(&sealer) != OK)
		return -1;
	for (size_t i = 0; i < sizeof k; i++)
		k[i] = (uint8_t)i;
	sha256(bytes_str("ovra.example/haiti/1-0011223344556677"), &at.origin);
	srand(1); /* only to have bytes that do not compress */
	for (size_t i = 0; i < sizeof part; i++)
		part[i] = (uint8_t)(rand() >> 7);
	return seal_key_init(&key, BYTES_ARRAY(k)) == OK ? 0 : -1;
}

static int teardown(void **state)
{
	seal_key_release(&key);
	sealer_free(sealer);
	crypto_release();
	return 0;
}

static struct buf seal_it(struct bytes bytes, enum seal_compression compression)
{
	struct seal_options options = {random16, compression};
	struct buf entry;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_ok(seal_write(sealer, &key, &at, &options, bytes, &entry));
	return entry;
}

static enum err open_it(const struct seal_key *k, const struct seal_position *where,
	struct bytes entry, struct bytes expected)
{
	struct buf out;
	enum err err;

	buf_init(&out, LIMIT_PART_SIZE);
	err = seal_open(sealer, k, where, entry, &out);
	if (err == OK)
		assert_true(bytes_equal(buf_bytes(&out), expected));
	else
		assert_int_equal(out.size, 0);
	buf_release(&out);
	return err;
}

static void opens_what_was_sealed(void **state)
{
	static const size_t sizes[] = {0, 1, 250, 251, 252, 507, 508, 4000, 30000, 64995};

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct bytes bytes = bytes_make(part, sizes[i]);
		struct buf entry = seal_it(bytes, i % 2 == 0);
		struct seal_reveal p;
		struct seal_locator a, b;
		struct buf out;

		assert_ok(open_it(&key, &at, buf_bytes(&entry), bytes));
		assert_ok(seal_locator(&key, &at, &a));
		assert_ok(seal_entry_locator(buf_bytes(&entry), &b));
		assert_memory_equal(a.b, b.b, 16);
		/* P opens this one without K */
		buf_init(&out, LIMIT_PART_SIZE);
		assert_ok(seal_reveal(&key, buf_bytes(&entry), &p));
		assert_ok(seal_open_revealed(sealer, &p, &at.origin, buf_bytes(&entry), &out));
		assert_true(bytes_equal(buf_bytes(&out), bytes));
		buf_release(&out);
		buf_release(&entry);
	}
}

static void p_opens_one_entry_only(void **state)
{
	struct seal_position next = at;
	struct seal_options options = {random16, false};
	struct buf entry = seal_it(bytes_make(part, 9), SEAL_PLAIN), other, out;
	struct seal_reveal p;
	struct hash origin = at.origin;

	next.index++;
	buf_init(&other, LIMIT_ENTRY_SIZE);
	buf_init(&out, LIMIT_PART_SIZE);
	assert_ok(seal_write(sealer, &key, &next, &options, bytes_make(part, 9), &other));
	assert_ok(seal_reveal(&key, buf_bytes(&entry), &p));
	assert_int_equal(
		seal_open_revealed(sealer, &p, &at.origin, buf_bytes(&other), &out), ERR_DECRYPT);
	origin.b[0] ^= 1;
	assert_int_equal(
		seal_open_revealed(sealer, &p, &origin, buf_bytes(&entry), &out), ERR_DECRYPT);
	assert_int_equal(out.size, 0);
	buf_release(&out);
	buf_release(&other);
	buf_release(&entry);
}

/* 16 salt, 16 locator, 32 commitment, 16 tag, and the fields around them. */
static size_t plaintext_size(const struct buf *entry)
{
	struct arena arena;
	Sauti__Entry *message;
	size_t size;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_ok(
		CODEC_UNPACK(entry, buf_bytes(entry), &scan_limits_strict, &arena, &message, NULL));
	size = message->sealed->body.len - 16;
	arena_release(&arena);
	return size;
}

static void padding_steps(void **state)
{
	static const size_t steps[] = {256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192,
		12288, 16384, 24576, 32768, 49152, 65000};

	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		size_t fits = steps[i] - SEAL_HEADER_SIZE;
		struct buf entry = seal_it(bytes_make(part, fits), SEAL_PLAIN);

		assert_int_equal(plaintext_size(&entry), steps[i]);
		assert_ok(open_it(&key, &at, buf_bytes(&entry), bytes_make(part, fits)));
		assert_true(entry.size <= LIMIT_ENTRY_SIZE);
		buf_release(&entry);
		assert_int_equal(seal_padded_size(fits), steps[i]);
		if (steps[i] == 65000)
			break;
		entry = seal_it(bytes_make(part, fits + 1), SEAL_PLAIN);
		assert_int_equal(plaintext_size(&entry), steps[i + 1]);
		buf_release(&entry);
	}
	assert_int_equal(seal_padded_size(0), 256);
	assert_int_equal(seal_padded_size(64996), 0);
	assert_int_equal(seal_padded_size(SIZE_MAX), 0);
}

static void too_large_is_refused(void **state)
{
	struct seal_options options = {random16, true};
	struct buf entry;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	buf_put_str(&entry, "kept");
	assert_int_equal(seal_write(sealer, &key, &at, &options, bytes_make(part, 64996), &entry),
		ERR_LIMIT);
	assert_int_equal(seal_write(sealer, &key, &at, &options,
				 bytes_make(part, LIMIT_PART_SIZE + 1), &entry),
		ERR_LIMIT);
	assert_string_equal(buf_cstr(&entry), "kept");
	buf_release(&entry);
}

static void compression_only_when_smaller(void **state)
{
	static uint8_t words[LIMIT_PART_SIZE];
	struct buf entry;

	for (size_t i = 0; i < sizeof words; i++)
		words[i] = (uint8_t) "lorem ipsum "[i % 12];
	entry = seal_it(bytes_make(words, 3000), SEAL_ZSTD_DICTIONARY_1);
	assert_int_equal(plaintext_size(&entry), 256);
	assert_ok(open_it(&key, &at, buf_bytes(&entry), bytes_make(words, 3000)));
	buf_release(&entry);
	/* the cap of what is decompressed */
	entry = seal_it(BYTES_ARRAY(words), SEAL_ZSTD_DICTIONARY_1);
	assert_ok(open_it(&key, &at, buf_bytes(&entry), BYTES_ARRAY(words)));
	buf_release(&entry);
	entry = seal_it(bytes_make(part, 251), SEAL_ZSTD_DICTIONARY_1);
	assert_int_equal(plaintext_size(&entry), 256);
	buf_release(&entry);
}

/* Code 1 and code 2 are not each other, and a frame of one is none of the other. */
static void dictionary_is_frozen(void **state)
{
	static const char text[] = "\x6a\x14\x0a\x07"
				   "channel"
				   "\x12\x07"
				   "\"PHONE\""
				   "\x6a\x17\x0a\x09"
				   "direction"
				   "\x12\x05"
				   "\"OUT\""
				   "\x6a\x15\x0a\x06"
				   "result"
				   "\x12\x09"
				   "\"REACHED\"";
	struct bytes words = bytes_str(text);
	struct buf one = seal_it(words, SEAL_ZSTD), two = seal_it(words, SEAL_ZSTD_DICTIONARY_1);
	struct hash hash;
	char hex[2 * HASH_SIZE + 1];

	sha256(seal_dictionary_1(), &hash);
	hex_encode(hash_bytes(&hash), hex);
	assert_string_equal(
		hex, "a31e1ad27e341e8dd37ca0bdfbfdbd9ab92bddef85d6303faaa2bba2da1bde78");
	assert_ok(open_it(&key, &at, buf_bytes(&one), words));
	assert_ok(open_it(&key, &at, buf_bytes(&two), words));
	buf_release(&one);
	buf_release(&two);
}

static void every_changed_bit_is_found(void **state)
{
	struct bytes bytes = bytes_make(part, 60);
	struct buf entry = seal_it(bytes, SEAL_PLAIN);
	struct seal_reveal p;
	struct buf out;

	buf_init(&out, LIMIT_PART_SIZE);
	assert_ok(seal_reveal(&key, buf_bytes(&entry), &p));
	for (size_t i = 0; i < entry.size; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			entry.data[i] ^= (uint8_t)(1u << bit);
			assert_int_not_equal(open_it(&key, &at, buf_bytes(&entry), bytes), OK);
			assert_int_not_equal(
				seal_open_revealed(sealer, &p, &at.origin, buf_bytes(&entry), &out),
				OK);
			assert_int_equal(out.size, 0);
			entry.data[i] ^= (uint8_t)(1u << bit);
		}
	for (size_t size = 0; size < entry.size; size++)
		assert_int_not_equal(open_it(&key, &at, bytes_make(entry.data, size), bytes), OK);
	buf_put_u8(&entry, 0);
	assert_int_not_equal(open_it(&key, &at, buf_bytes(&entry), bytes), OK);
	buf_release(&entry);
	buf_release(&out);
}

static void another_place_or_key_does_not_open(void **state)
{
	struct bytes bytes = bytes_make(part, 60);
	struct buf entry = seal_it(bytes, SEAL_PLAIN);
	struct seal_position where = at;
	struct seal_key other;
	uint8_t k[32];

	for (size_t i = 0; i < 32; i++) {
		memcpy(k, seal_key_bytes(&key).data, 32);
		k[i] ^= 0x80;
		assert_ok(seal_key_init(&other, BYTES_ARRAY(k)));
		assert_int_equal(open_it(&other, &at, buf_bytes(&entry), bytes), ERR_DECRYPT);
		seal_key_release(&other);
		where.origin.b[i] ^= 1;
		assert_int_equal(open_it(&key, &where, buf_bytes(&entry), bytes), ERR_DECRYPT);
		where.origin.b[i] ^= 1;
	}
	where.index = at.index + 1;
	assert_int_equal(open_it(&key, &where, buf_bytes(&entry), bytes), ERR_DECRYPT);
	where.index = at.index | UINT64_C(1) << 63;
	assert_int_equal(open_it(&key, &where, buf_bytes(&entry), bytes), ERR_DECRYPT);
	buf_release(&entry);
}

static void nothing_repeats(void **state)
{
	struct seal_options options = {random16, false};
	struct buf a = seal_it(bytes_make(part, 60), SEAL_PLAIN), b, c;
	struct seal_position next = at;
	uint8_t other_random[16] = {0};
	struct seal_options other = {other_random, false};

	/* another i, and another part at the same place with the same random bytes */
	next.index++;
	buf_init(&b, LIMIT_ENTRY_SIZE);
	buf_init(&c, LIMIT_ENTRY_SIZE);
	assert_ok(seal_write(sealer, &key, &next, &options, bytes_make(part, 60), &b));
	assert_ok(seal_write(sealer, &key, &at, &options, bytes_make(part + 1, 60), &c));
	for (size_t i = 8; i + 8 < a.size; i += 8) {
		/* salt, locator, commitment, body: no eight bytes are the same */
		if (i >= 18 && i < 42)
			continue; /* a and c have one locator */
		assert_memory_not_equal(a.data + i, c.data + i, 8);
		assert_memory_not_equal(a.data + i, b.data + i, 8);
	}
	buf_clear(&c);
	assert_ok(seal_write(sealer, &key, &at, &other, bytes_make(part, 60), &c));
	assert_memory_not_equal(a.data + a.size - 16, c.data + c.size - 16, 16);
	buf_clear(&c);
	assert_ok(seal_write(sealer, &key, &at, &options, bytes_make(part, 60), &c));
	assert_true(bytes_equal(buf_bytes(&a), buf_bytes(&c)));
	buf_release(&a);
	buf_release(&b);
	buf_release(&c);
}

/* --- what an author could seal, and must not get past the opener --- */

static enum err open_raw_as(const struct seal_raw *raw, struct bytes expected)
{
	struct buf entry;
	enum err err;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	seal_raw(raw, &entry);
	err = open_it(&key, &at, buf_bytes(&entry), expected);
	buf_release(&entry);
	return err;
}

static enum err open_raw(const struct seal_raw *raw)
{
	return open_raw_as(raw, bytes_make(raw->plaintext.data + 5, 10));
}

static enum err open_zeros(const struct seal_raw *raw)
{
	static const uint8_t zeros[10];

	return open_raw_as(raw, BYTES_ARRAY(zeros));
}

static struct seal_raw raw_make(struct bytes plaintext)
{
	struct seal_raw raw = {.origin = at.origin, .i = at.index, .plaintext = plaintext};

	memcpy(raw.k, seal_key_bytes(&key).data, 32);
	return raw;
}

static void bad_plaintexts_are_refused(void **state)
{
	static uint8_t plain[768];
	struct seal_raw raw = raw_make(bytes_make(plain, 256));

	plain[4] = 10;
	assert_ok(open_raw(&raw));
	raw.plaintext.size = 384; /* a larger step than needed */
	assert_ok(open_raw(&raw));
	for (size_t size = 0; size < 768; size++) {
		bool step = size == 256 || size == 384 || size == 512;

		raw.plaintext.size = size;
		assert_int_equal(open_raw(&raw), step ? OK : ERR_MALFORMED);
	}
	raw.plaintext.size = 256;
	for (size_t i = 15; i < 256; i++) {
		plain[i] = 1;
		assert_int_equal(open_raw(&raw), ERR_MALFORMED);
		plain[i] = 0;
	}
	for (unsigned compression = 1; compression < 256; compression++) {
		plain[0] = (uint8_t)compression;
		assert_int_equal(
			open_raw(&raw), compression <= 2 ? ERR_MALFORMED : ERR_UNSUPPORTED);
	}
	plain[0] = 0;
	plain[4] = 252; /* one past the end */
	assert_int_equal(open_raw(&raw), ERR_MALFORMED);
	plain[1] = 0xff;
	assert_int_equal(open_raw(&raw), ERR_MALFORMED);
	plain[1] = 0;
	plain[4] = 10;
	raw.suite = 2;
	assert_int_equal(open_raw(&raw), ERR_UNSUPPORTED);
	raw.suite = 0;
	raw.locator_size = 15;
	assert_int_equal(open_raw(&raw), ERR_MALFORMED);
}

static void bombs_are_refused(void **state)
{
	static uint8_t zeros[8 * 1024 * 1024], plain[65000];
	static const size_t sizes[] = {LIMIT_PART_SIZE + 1, 1024 * 1024, sizeof zeros};
	struct seal_raw raw = raw_make(BYTES_ARRAY(plain));

	for (size_t i = 0; i < 3; i++) {
		size_t n = ZSTD_compress(plain + 5, sizeof plain - 5, zeros, sizes[i], 3);

		assert_false(ZSTD_isError(n));
		memset(plain + 5 + n, 0, sizeof plain - 5 - n); /* zstd uses it as scratch */
		plain[0] = 1;
		put_u32be(plain + 1, (uint32_t)n);
		assert_int_equal(open_raw(&raw), ERR_LIMIT);
		memset(plain, 0, sizeof plain);
	}
	/* one that does not announce its size */
	ZSTD_CCtx *context = ZSTD_createCCtx();
	size_t quiet;

	ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
	quiet = ZSTD_compress2(context, plain + 5, sizeof plain - 5, zeros, sizeof zeros);
	ZSTD_freeCCtx(context);
	assert_false(ZSTD_isError(quiet));
	memset(plain + 5 + quiet, 0, sizeof plain - 5 - quiet);
	plain[0] = 1;
	put_u32be(plain + 1, (uint32_t)quiet);
	assert_int_not_equal(open_raw(&raw), OK);
	memset(plain, 0, sizeof plain);
	/* two frames, together within the cap; one with its end missing */
	uint32_t one = (uint32_t)ZSTD_compress(plain + 5, 1000, zeros, 10, 3);

	memcpy(plain + 5 + one, plain + 5, one);
	plain[0] = 1;
	put_u32be(plain + 1, one);
	memset(plain + 5 + one, 0, one);
	assert_ok(open_zeros(&raw));
	memcpy(plain + 5 + one, plain + 5, one);
	put_u32be(plain + 1, 2 * one);
	assert_int_equal(open_zeros(&raw), ERR_MALFORMED);
	memset(plain + 5 + one - 1, 0, one + 1);
	put_u32be(plain + 1, one - 1);
	assert_int_equal(open_zeros(&raw), ERR_MALFORMED);
}

static void keys_have_their_length(void **state)
{
	struct seal_key k;
	struct seal_kid kid;

	assert_int_equal(seal_key_init(&k, bytes_make(part, 31)), ERR_INVALID);
	assert_int_equal(seal_key_init(&k, bytes_make(part, 33)), ERR_INVALID);
	assert_int_equal(seal_kid_of(BYTES_NONE, &kid), ERR_INVALID);
	k = (struct seal_key){0};
	seal_key_release(&k);
	seal_key_release(NULL);
	sealer_free(NULL);
}

/* --- vectors --- */

static struct buf hex_of(const json_t *vector, const char *name)
{
	const char *text = json_string_value(json_object_get(vector, name));
	struct buf buf;
	size_t size;

	assert_non_null(text);
	size = strlen(text) / 2;
	buf_init(&buf, LIMIT_PART_SIZE);
	if (size > 0) {
		assert_ok(hex_decode(bytes_str(text), buf_reserve(&buf, size), size));
		buf.size = size;
	}
	return buf;
}

static struct seal_position vector_at(const json_t *vector)
{
	const char *origin = json_string_value(json_object_get(vector, "origin"));
	struct seal_position where;

	sha256(bytes_str(origin), &where.origin);
	where.index = (uint64_t)json_integer_value(json_object_get(vector, "i"));
	return where;
}

static void assert_hex(const json_t *vector, const char *name, struct bytes got)
{
	struct buf buf = hex_of(vector, name);

	if (!bytes_equal(buf_bytes(&buf), got))
		fail_msg("%s: %s", json_string_value(json_object_get(vector, "name")), name);
	buf_release(&buf);
}

static void check_good(const json_t *vector)
{
	struct buf k = hex_of(vector, "K"), random = hex_of(vector, "random");
	struct buf bytes = hex_of(vector, "part"), entry = hex_of(vector, "entry"), out;
	struct seal_position where = vector_at(vector);
	bool compress = json_is_true(json_object_get(vector, "compress"));
	struct seal_options options = {random.data, SEAL_PLAIN};
	struct seal_locator locator;
	struct seal_reveal p;
	struct seal_key vector_key;

	assert_ok(seal_key_init(&vector_key, buf_bytes(&k)));
	assert_hex(vector, "kid", BYTES_ARRAY(vector_key.kid.b));
	assert_ok(seal_locator(&vector_key, &where, &locator));
	assert_hex(vector, "locator", BYTES_ARRAY(locator.b));
	assert_ok(seal_reveal(&vector_key, buf_bytes(&entry), &p));
	assert_hex(vector, "P", BYTES_ARRAY(p.b));
	assert_ok(open_it(&vector_key, &where, buf_bytes(&entry), buf_bytes(&bytes)));
	if (!compress) { /* what zstd writes may change with its version */
		buf_init(&out, LIMIT_ENTRY_SIZE);
		assert_ok(
			seal_write(sealer, &vector_key, &where, &options, buf_bytes(&bytes), &out));
		assert_hex(vector, "entry", buf_bytes(&out));
		buf_release(&out);
	}
	seal_key_release(&vector_key);
	buf_release(&k);
	buf_release(&random);
	buf_release(&bytes);
	buf_release(&entry);
}

static void check_bad(const json_t *vector)
{
	struct buf k = hex_of(vector, "K"), entry = hex_of(vector, "entry");
	struct seal_position where = vector_at(vector);
	struct seal_key vector_key;

	assert_ok(seal_key_init(&vector_key, buf_bytes(&k)));
	if (open_it(&vector_key, &where, buf_bytes(&entry), BYTES_NONE) == OK)
		fail_msg("opens: %s", json_string_value(json_object_get(vector, "name")));
	seal_key_release(&vector_key);
	buf_release(&k);
	buf_release(&entry);
}

static void known_answers(void **state)
{
	json_t *root = json_load_file(SAUTI_SOURCE_DIR "/tests/vectors/seal.json", 0, NULL);
	const json_t *good = json_object_get(root, "good"), *bad = json_object_get(root, "bad");
	const json_t *vector;
	size_t i;

	assert_true(json_array_size(good) >= 11 && json_array_size(bad) >= 12);
	json_array_foreach(good, i, vector) check_good(vector);
	json_array_foreach(bad, i, vector) check_bad(vector);
	json_decref(root);
}

static enum err seal_and_open(void *arg)
{
	struct seal_options options = {random16, true};
	struct sealer *own = NULL;
	struct seal_key k = {0};
	struct buf entry, out;
	enum err err;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	buf_init(&out, LIMIT_PART_SIZE);
	err = sealer_new(&own);
	if (err == OK)
		err = seal_key_init(&k, bytes_make(part, 32));
	if (err == OK)
		err = seal_write(own, &k, &at, &options, bytes_make(part, 400), &entry);
	if (err == OK)
		err = seal_open(own, &k, &at, buf_bytes(&entry), &out);
	if (err == OK)
		assert_true(bytes_equal(buf_bytes(&out), bytes_make(part, 400)));
	buf_release(&entry);
	buf_release(&out);
	seal_key_release(&k);
	sealer_free(own);
	return err;
}

static void allocation_failures(void **state)
{
	torture(seal_and_open, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_what_was_sealed),
		cmocka_unit_test(p_opens_one_entry_only),
		cmocka_unit_test(padding_steps),
		cmocka_unit_test(too_large_is_refused),
		cmocka_unit_test(compression_only_when_smaller),
		cmocka_unit_test(dictionary_is_frozen),
		cmocka_unit_test(every_changed_bit_is_found),
		cmocka_unit_test(another_place_or_key_does_not_open),
		cmocka_unit_test(nothing_repeats),
		cmocka_unit_test(bad_plaintexts_are_refused),
		cmocka_unit_test(bombs_are_refused),
		cmocka_unit_test(keys_have_their_length),
		cmocka_unit_test(known_answers),
		cmocka_unit_test(allocation_failures),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
