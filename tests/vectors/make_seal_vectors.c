/*
 * Writes tests/vectors/seal.json to standard output: known answers of sealing suite 1 (DESIGN 8),
 * good and bad. Everything is fixed, but for the bytes zstd chooses: the file is committed, and a
 * new version of zstd need not give the same.
 */
#include <assert.h>
#include <stdio.h>
#include <zstd.h>

#include "base/limits.h"
#include "base/text.h"
#include "cases/seal/seal.h"
#include "tests/unit/cases/seal_raw.h"

static const char origin[] = "ovra.example/haiti/1-00112233445566aa";
static char hex[2 * LIMIT_PART_SIZE + 1];
static bool first = true;

static uint8_t part[LIMIT_PART_SIZE];

/* Bytes that do not compress (a fixed generator), or words that do. */
static struct bytes make_part(size_t size, bool words)
{
	uint32_t x = 2463534242u;

	for (size_t i = 0; i < size; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		part[i] = words ? (uint8_t) "lorem ipsum dolor "[i % 18] : (uint8_t)(x >> 11);
	}
	return bytes_make(part, size);
}

static struct bytes dictionary_end(size_t size)
{
	struct bytes all = seal_dictionary_1();

	return bytes_make(all.data + all.size - size, size);
}

static void fill(uint8_t *out, size_t size, uint8_t start)
{
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)(start + i);
}

static void put_hex(const char *name, struct bytes data)
{
	hex_encode(data, hex);
	printf(",\n\t\t\"%s\": \"%s\"", name, hex);
}

static void open_object(const char *name)
{
	printf("%s\n\t{\n\t\t\"name\": \"%s\"", first ? "" : ",", name);
	first = false;
}

static void good(struct sealer *sealer, const char *name, struct bytes bytes,
	enum seal_compression compression, uint64_t i)
{
	uint8_t k[32], random[16];
	struct seal_position at = {.index = i};
	struct seal_options options = {random, compression};
	struct seal_locator locator;
	struct seal_reveal p;
	struct seal_key key;
	struct buf entry;

	fill(k, sizeof k, 0x40);
	fill(random, sizeof random, (uint8_t)(0xa0 + i));
	sha256(bytes_str(origin), &at.origin);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert(seal_key_init(&key, BYTES_ARRAY(k)) == OK);
	assert(seal_locator(&key, &at, &locator) == OK);
	assert(seal_write(sealer, &key, &at, &options, bytes, &entry) == OK);
	assert(seal_reveal(&key, buf_bytes(&entry), &p) == OK);
	open_object(name);
	put_hex("K", BYTES_ARRAY(k));
	printf(",\n\t\t\"origin\": \"%s\",\n\t\t\"i\": %llu", origin, (unsigned long long)i);
	put_hex("random", BYTES_ARRAY(random));
	printf(",\n\t\t\"compress\": %s", compression == SEAL_PLAIN ? "false" : "true");
	put_hex("part", bytes);
	put_hex("kid", BYTES_ARRAY(key.kid.b));
	put_hex("locator", BYTES_ARRAY(locator.b));
	put_hex("P", BYTES_ARRAY(p.b));
	put_hex("entry", buf_bytes(&entry));
	printf("\n\t}");
	buf_release(&entry);
	seal_key_release(&key);
}

static void put_bad(const char *name, const struct seal_raw *raw, struct bytes entry)
{
	open_object(name);
	put_hex("K", BYTES_ARRAY(raw->k));
	printf(",\n\t\t\"origin\": \"%s\",\n\t\t\"i\": %llu", origin, (unsigned long long)raw->i);
	put_hex("entry", entry);
	printf("\n\t}");
}

static struct seal_raw raw_make(struct bytes plaintext)
{
	struct seal_raw raw = {.i = 3, .plaintext = plaintext};

	fill(raw.k, sizeof raw.k, 0x40);
	fill(raw.salt, sizeof raw.salt, 0x70);
	sha256(bytes_str(origin), &raw.origin);
	return raw;
}

static void bad(const char *name, const struct seal_raw *raw)
{
	struct buf entry;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	seal_raw(raw, &entry);
	put_bad(name, raw, buf_bytes(&entry));
	buf_release(&entry);
}

static void bad_plaintexts(void)
{
	uint8_t plain[256] = {0};
	struct seal_raw raw = raw_make(BYTES_ARRAY(plain));

	plain[4] = 100;
	plain[255] = 1;
	bad("padding is not zero", &raw);
	plain[255] = 0;
	plain[4] = 252;
	bad("stored length past the end", &raw);
	plain[4] = 100;
	plain[0] = 3;
	bad("unknown compression", &raw);
	plain[0] = 1;
	bad("not a zstd frame", &raw);
	plain[0] = 0;
	raw.plaintext.size = 255;
	bad("size is no padding step", &raw);
	raw.plaintext.size = 256;
	raw.suite = 2;
	bad("unknown suite", &raw);
	raw.suite = 0;
	raw.locator_size = 15;
	bad("locator too short", &raw);
}

static void bad_frames(void)
{
	static uint8_t zeros[LIMIT_PART_SIZE + 1], plain[256];
	struct seal_raw raw = raw_make(BYTES_ARRAY(plain));
	size_t size = ZSTD_compress(plain + 5, sizeof plain - 5, zeros, sizeof zeros, 3);

	assert(!ZSTD_isError(size));
	memset(plain + 5 + size, 0, sizeof plain - 5 - size); /* zstd uses it as scratch */
	plain[0] = 1;
	plain[4] = (uint8_t)size;
	bad("decompresses to 65,537 bytes", &raw);
	size = ZSTD_compress(plain + 5, sizeof plain - 5, zeros, 10, 3);
	assert(!ZSTD_isError(size));
	memset(plain + 5 + size, 0, sizeof plain - 5 - size);
	memcpy(plain + 5 + size, plain + 5, size);
	plain[4] = (uint8_t)(2 * size);
	bad("two zstd frames", &raw);
	memset(plain + 5 + size - 1, 0, size + 1);
	plain[4] = (uint8_t)(size - 1);
	bad("zstd frame without its end", &raw);
}

static void bad_changes(void)
{
	uint8_t plain[256] = {0};
	struct seal_raw raw = raw_make(BYTES_ARRAY(plain)), other = raw;
	struct buf entry;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	seal_raw(&raw, &entry);
	other.k[0] ^= 1;
	put_bad("another K", &other, buf_bytes(&entry));
	other = raw;
	other.i++;
	put_bad("another i", &other, buf_bytes(&entry));
	entry.data[entry.size - 1] ^= 1;
	put_bad("tag changed", &raw, buf_bytes(&entry));
	entry.data[entry.size - 1] ^= 1;
	entry.data[entry.size - 256 - 16 - 4] ^= 1; /* before tag and length of the body */
	put_bad("commitment changed", &raw, buf_bytes(&entry));
	buf_release(&entry);
}

int main(void)
{
	struct sealer *sealer;

	if (crypto_init() != OK || sealer_new(&sealer) != OK)
		return 1;
	printf("{\n\"suite\": 1,\n\"good\": [");
	good(sealer, "empty part", BYTES_NONE, SEAL_PLAIN, 0);
	good(sealer, "one byte", make_part(1, false), SEAL_PLAIN, 1);
	good(sealer, "fills 256", make_part(251, false), SEAL_PLAIN, 2);
	good(sealer, "one more: 384", make_part(252, false), SEAL_PLAIN, 3);
	good(sealer, "fills 384", make_part(379, false), SEAL_PLAIN, 4);
	good(sealer, "one more: 512", make_part(380, false), SEAL_PLAIN, 5);
	good(sealer, "507 bytes: 512", make_part(507, false), SEAL_PLAIN, 6);
	good(sealer, "one more: 768", make_part(508, false), SEAL_PLAIN, 7);
	good(sealer, "large i", make_part(20, false), SEAL_PLAIN, UINT64_C(0x100000000));
	good(sealer, "zstd: words of 2,000 bytes", make_part(2000, true), SEAL_ZSTD, 9);
	good(sealer, "zstd does not help: kept plain", make_part(300, false), SEAL_ZSTD, 10);
	good(sealer, "dictionary 1: words of 2,000 bytes", make_part(2000, true),
		SEAL_ZSTD_DICTIONARY_1, 11);
	good(sealer, "dictionary 1: its own last 600 bytes", dictionary_end(600),
		SEAL_ZSTD_DICTIONARY_1, 12);
	printf("\n],\n\"bad\": [");
	first = true;
	bad_plaintexts();
	bad_frames();
	bad_changes();
	printf("\n]\n}\n");
	sealer_free(sealer);
	crypto_release();
	return 0;
}
