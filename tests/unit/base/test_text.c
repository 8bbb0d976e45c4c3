#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/text.h"
#include "tests/unit/base/failing_alloc.h"

static void test_hex(void **state)
{
	static const uint8_t data[] = {0x00, 0x9f, 0xab, 0xff};
	uint8_t back[4];
	char text[9];

	hex_encode(BYTES_ARRAY(data), text);
	assert_string_equal(text, "009fabff");
	assert_int_equal(hex_decode(bytes_str("009FaBff"), back, 4), OK);
	assert_memory_equal(back, data, 4);
	hex_encode(BYTES_NONE, text);
	assert_string_equal(text, "");
	assert_int_equal(hex_decode(BYTES_NONE, back, 0), OK);
}

static void test_hex_refused(void **state)
{
	static const char *const bad[] = {"", "0", "00", "000", "00000", "000000", "0g00", "00 0",
		"0x00", "000/", "000:", "000@", "000G", "000`"};
	uint8_t out[2] = {7, 7};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(hex_decode(bytes_str(bad[i]), out, 2), ERR_MALFORMED);
	assert_memory_equal(out, "\7\7", 2);
}

/* RFC 4648 section 10. */
static const struct {
	const char *plain, *base64, *base64url;
} BASE64_VECTORS[] = {
	{"", "", ""},
	{"f", "Zg==", "Zg"},
	{"fo", "Zm8=", "Zm8"},
	{"foo", "Zm9v", "Zm9v"},
	{"foob", "Zm9vYg==", "Zm9vYg"},
	{"fooba", "Zm9vYmE=", "Zm9vYmE"},
	{"foobar", "Zm9vYmFy", "Zm9vYmFy"},
	{"\xfb\xff\xfe", "+//+", "-__-"},
};

static void test_base64(void **state)
{
	struct buf buf;

	buf_init(&buf, 100);
	for (size_t i = 0; i < sizeof(BASE64_VECTORS) / sizeof(BASE64_VECTORS[0]); i++) {
		struct bytes plain = bytes_str(BASE64_VECTORS[i].plain);

		buf_clear(&buf);
		base64_encode(&buf, plain);
		assert_string_equal(buf_cstr(&buf), BASE64_VECTORS[i].base64);
		buf_clear(&buf);
		base64url_encode(&buf, plain);
		assert_string_equal(buf_cstr(&buf), BASE64_VECTORS[i].base64url);
		buf_clear(&buf);
		buf_put_u8(&buf, '>');
		assert_int_equal(base64_decode(bytes_str(BASE64_VECTORS[i].base64), &buf), OK);
		assert_int_equal(
			base64url_decode(bytes_str(BASE64_VECTORS[i].base64url), &buf), OK);
		assert_int_equal(buf.size, 1 + 2 * plain.size);
		assert_int_equal(buf.data[0], '>');
		assert_memory_equal(buf.data + 1, plain.data, plain.size);
		assert_memory_equal(buf.data + 1 + plain.size, plain.data, plain.size);
	}
	buf_release(&buf);
}

static void test_base64_every_byte(void **state)
{
	uint8_t data[256];
	struct buf text, back;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	buf_init(&text, 400);
	buf_init(&back, 256);
	for (size_t size = 0; size <= sizeof(data); size++) {
		buf_clear(&text);
		buf_clear(&back);
		base64_encode(&text, bytes_make(data, size));
		assert_int_equal(base64_decode(buf_bytes(&text), &back), OK);
		assert_true(bytes_equal(buf_bytes(&back), bytes_make(data, size)));
		buf_clear(&text);
		buf_clear(&back);
		base64url_encode(&text, bytes_make(data, size));
		assert_int_equal(base64url_decode(buf_bytes(&text), &back), OK);
		assert_true(bytes_equal(buf_bytes(&back), bytes_make(data, size)));
	}
	buf_release(&text);
	buf_release(&back);
}

static void test_base64_refused(void **state)
{
	/* Trailing bits, padding wrong or inside, white space, other alphabet, other characters. */
	static const char *const bad[] = {"Zh==", "Zm9=", "Zg", "Zg=", "Zg===", "Z===", "====", "=",
		"==", "Zg==Zg==", "Zm8=Zm8=", "Zm9v\n", "Zm9v Zg=", " m9v", "Zm\n8", "-__-", "Zm9*",
		"Zm9\xff", "Z", "Zm9vZ", "Zm9vZg==\n", "Zg=a"};
	static const char *const bad_url[] = {"Zh", "Zm9", "Zg==", "Zm8=", "Z", "Zm9vZ", "+//+",
		"Zm9v\n", "Zm 8", "=", "Zm9\x80"};
	struct buf buf;

	buf_init(&buf, 100);
	buf_put_str(&buf, "kept");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(base64_decode(bytes_str(bad[i]), &buf), ERR_MALFORMED);
	for (size_t i = 0; i < sizeof(bad_url) / sizeof(bad_url[0]); i++)
		assert_int_equal(base64url_decode(bytes_str(bad_url[i]), &buf), ERR_MALFORMED);
	assert_int_equal(base64url_decode(bytes_make("Zm8\0", 4), &buf), ERR_MALFORMED);
	assert_int_equal(base64_decode(bytes_make("Zm8\0", 4), &buf), ERR_MALFORMED);
	assert_int_equal(buf.err, OK);
	assert_string_equal(buf_cstr(&buf), "kept");
	buf_release(&buf);
}

/* Of all texts of one group exactly those decode that the encoder makes. */
static void test_base64_is_canonical(void **state)
{
	static const char characters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_";
	size_t count = sizeof(characters) - 1, decoded = 0;
	struct buf data, back;

	buf_init(&data, 3);
	buf_init(&back, 4);
	for (size_t i = 0; i < count * count * count; i++) {
		const char text[] = {'Z', characters[i / count / count],
			characters[i / count % count], characters[i % count]};

		buf_clear(&data);
		buf_clear(&back);
		if (base64_decode(BYTES_ARRAY(text), &data) != OK)
			continue;
		base64_encode(&back, buf_bytes(&data));
		assert_true(bytes_equal(buf_bytes(&back), BYTES_ARRAY(text)));
		decoded++;
	}
	/* Three more free digits; 16 bits less the 6 of 'Z'; 8 less 6. */
	assert_int_equal(decoded, (1 << 18) + (1 << 10) + (1 << 2));
	buf_release(&data);
	buf_release(&back);
}

static void test_base64_limits(void **state)
{
	struct failing_alloc f;
	struct buf buf;

	buf_init(&buf, 3);
	assert_int_equal(base64_decode(bytes_str("Zm9v"), &buf), OK);
	assert_int_equal(base64_decode(bytes_str("Zg=="), &buf), ERR_LIMIT);
	/* Sticky, whatever comes. */
	assert_int_equal(base64_decode(bytes_str("!"), &buf), ERR_LIMIT);
	assert_int_equal(base64url_decode(bytes_str("!"), &buf), ERR_LIMIT);
	buf_release(&buf);
	base64_encode(&buf, bytes_str("f"));
	assert_int_equal(buf.err, ERR_LIMIT);
	buf_release(&buf);
	base64url_encode(&buf, bytes_str("fo"));
	assert_string_equal(buf_cstr(&buf), "Zm8");
	buf_release(&buf);

	failing_alloc_begin(&f, 1);
	assert_int_equal(base64_decode(bytes_str("Zm9v"), &buf), ERR_NOMEM);
	buf_release(&buf);
	failing_alloc_end(&f);
}

static void test_utf8(void **state)
{
	static const char *const good[] = {"", "sauti", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
		"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
		"\xf4\x8f\xbf\xbf", "caf\xc3\xa9"};
	static const char *const bad[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2z",
		"\xe0\x9f\xbf", "\xe0\xa0", "\xed\xa0\x80", "\xed\xbf\xbf", "\xe1\x80z",
		"\xf0\x8f\xbf\xbf", "\xf0\x90\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
		"\xf8\x88\x80\x80\x80", "\xfe", "\xff", "ok\xc3", "\xf1\x80\x80\x7f"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(utf8_valid(bytes_str(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		/* In a block of its exact size: nothing past the end may be read. */
		size_t size = strlen(bad[i]);
		uint8_t *copy = mem_dup(bad[i], size);

		assert_false(utf8_valid(bytes_make(copy, size)));
		mem_free(copy);
	}
	assert_true(utf8_valid(bytes_make("a\0b", 3)));
	assert_true(utf8_valid(BYTES_NONE));
}

/* Against the rule itself: every code point encodes, and no encoding of a surrogate passes. */
static void test_utf8_all_of_three_bytes(void **state)
{
	for (uint32_t c = 0x800; c < 0x10000; c++) {
		uint8_t b[3] = {(uint8_t)(0xe0 | c >> 12), (uint8_t)(0x80 | (c >> 6 & 63)),
			(uint8_t)(0x80 | (c & 63))};

		assert_true(utf8_valid(BYTES_ARRAY(b)) == (c < 0xd800 || c > 0xdfff));
	}
}

static void test_escape(void **state)
{
	char out[64], small[8];

	assert_string_equal(text_escape(bytes_str("plain ~text"), out, sizeof(out)), "plain ~text");
	assert_string_equal(
		text_escape(bytes_make("\x1b[2J\"\\\n\0\x7f\xc3", 10), out, sizeof(out)),
		"\\x1b[2J\\x22\\x5c\\x0a\\x00\\x7f\\xc3");
	assert_string_equal(text_escape(BYTES_NONE, out, sizeof(out)), "");
	/* At the cap, past it, and where an escape does not fit any more. */
	assert_string_equal(text_escape(bytes_str("1234567"), small, 8), "1234567");
	assert_string_equal(text_escape(bytes_str("12345678"), small, 8), "12345..");
	assert_string_equal(text_escape(bytes_str("123\n"), small, 8), "123\\x0a");
	assert_string_equal(text_escape(bytes_str("1234\n"), small, 8), "1234..");
	assert_string_equal(text_escape(bytes_str("12\nxyz"), small, 8), "12..");
	assert_string_equal(text_escape(bytes_str("\n\n"), small, 8), "\\x0a..");
}

static void test_decimal(void **state)
{
	static const char *const bad[] = {"", "00", "01", "+1", "-1", " 1", "1 ", "1x", "0x1",
		"1.0", "99999999999999999999x"};
	uint64_t v = 77;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(decimal_parse(bytes_str(bad[i]), UINT64_MAX, &v), ERR_MALFORMED);
	assert_int_equal(
		decimal_parse(bytes_str("18446744073709551616"), UINT64_MAX, &v), ERR_LIMIT);
	assert_int_equal(
		decimal_parse(bytes_str("99999999999999999999"), UINT64_MAX, &v), ERR_LIMIT);
	assert_int_equal(decimal_parse(bytes_str("101"), 100, &v), ERR_LIMIT);
	assert_int_equal(decimal_parse(bytes_str("1"), 0, &v), ERR_LIMIT);
	assert_int_equal(v, 77);
	assert_int_equal(decimal_parse(bytes_str("100"), 100, &v), OK);
	assert_int_equal(v, 100);
	assert_int_equal(decimal_parse(bytes_str("0"), 0, &v), OK);
	assert_int_equal(v, 0);
	assert_int_equal(decimal_parse(bytes_str("18446744073709551615"), UINT64_MAX, &v), OK);
	assert_true(v == UINT64_MAX);
}

static void test_node_name(void **state)
{
	static const char *const good[] = {
		"a", "haiti", "car-2", "a--b", "abcdefghijklmnopqrstuvwxyz12345"};
	static const char *const bad[] = {"", "-a", "a-", "1a", "Haiti", "ha iti", "ha_iti",
		"ha.iti", "ha/iti", "ha\xc3\xa9", "abcdefghijklmnopqrstuvwxyz123456"};

	assert_int_equal(strlen(good[4]), LIMIT_NODE_NAME);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(node_name_valid(bytes_str(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(node_name_valid(bytes_str(bad[i])));
	assert_false(node_name_valid(bytes_make("a\0b", 3)));
}

static void test_network_name(void **state)
{
	static const char *const good[] = {"ovra.example", "a.b", "1.2", "a-b.c--d.e"};
	static const char *const bad[] = {"", ".", "ovra", "ovra.", ".ovra", "a..b", "-a.b", "a-.b",
		"a.-b", "a.b-", "A.b", "a.b/c", "a_b.c", "a.b ", "a.b\n"};
	char name[LIMIT_NETWORK_NAME + 2];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(network_name_valid(bytes_str(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(network_name_valid(bytes_str(bad[i])));
	memset(name, 'a', sizeof(name));
	name[5] = '.';
	assert_true(network_name_valid(bytes_make(name, LIMIT_NETWORK_NAME)));
	assert_false(network_name_valid(bytes_make(name, LIMIT_NETWORK_NAME + 1)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_hex_refused),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_base64_every_byte),
		cmocka_unit_test(test_base64_refused),
		cmocka_unit_test(test_base64_is_canonical),
		cmocka_unit_test(test_base64_limits),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_utf8_all_of_three_bytes),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_decimal),
		cmocka_unit_test(test_node_name),
		cmocka_unit_test(test_network_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
