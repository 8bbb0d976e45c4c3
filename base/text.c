#include "base/text.h"

#include <assert.h>

#include "base/limits.h"

static const char HEX[] = "0123456789abcdef";
static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char BASE64URL[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void hex_encode(struct bytes data, char *ret)
{
	for (size_t i = 0; i < data.size; i++) {
		*ret++ = HEX[data.data[i] >> 4];
		*ret++ = HEX[data.data[i] & 15];
	}
	*ret = '\0';
}

/* The value of a hex digit, or -1. */
static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

enum err hex_decode(struct bytes text, uint8_t *ret, size_t size)
{
	if (text.size % 2 != 0 || text.size / 2 != size)
		return ERR_MALFORMED;
	for (size_t i = 0; i < text.size; i++)
		if (hex_digit(text.data[i]) < 0)
			return ERR_MALFORMED;
	for (size_t i = 0; i < size; i++)
		ret[i] = (uint8_t)(hex_digit(text.data[2 * i]) << 4 |
				   hex_digit(text.data[2 * i + 1]));
	return OK;
}

static void encode64(struct buf *out, struct bytes data, const char *alphabet, bool pad)
{
	size_t full = data.size / 3, left = data.size % 3;
	size_t size = 4 * full + (left == 0 ? 0 : pad ? 4 : left + 1);
	uint8_t *to = buf_reserve(out, size);

	if (to == NULL)
		return;
	for (size_t i = 0; i < data.size; i += 3) {
		size_t n = data.size - i < 3 ? data.size - i : 3;
		uint32_t v = (uint32_t)data.data[i] << 16;

		if (n > 1)
			v |= (uint32_t)data.data[i + 1] << 8;
		if (n > 2)
			v |= data.data[i + 2];
		for (size_t k = 0; k < 4; k++) {
			if (k <= n)
				*to++ = (uint8_t)alphabet[v >> (18 - 6 * k) & 63];
			else if (pad)
				*to++ = '=';
		}
	}
	out->size += size;
}

/* The value of a base64 digit in the alphabet whose last two are given, or -1. */
static int digit64(uint8_t c, char c62, char c63)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (uint8_t)c62)
		return 62;
	if (c == (uint8_t)c63)
		return 63;
	return -1;
}

/* Decodes digits only (no padding); a refused text leaves out as it was. */
static enum err decode64(struct bytes digits, struct buf *out, const char *alphabet)
{
	size_t left = digits.size % 4;
	size_t size = digits.size / 4 * 3 + (left == 0 ? 0 : left - 1);
	uint32_t v = 0;
	unsigned bits = 0;
	uint8_t *to;

	if (out->err != OK)
		return out->err;
	if (left == 1)
		return ERR_MALFORMED;
	for (size_t i = 0; i < digits.size; i++)
		if (digit64(digits.data[i], alphabet[62], alphabet[63]) < 0)
			return ERR_MALFORMED;
	/* 2 digits carry 4 spare bits, 3 digits carry 2: they must be zero. */
	if (left != 0 && (digit64(digits.data[digits.size - 1], alphabet[62], alphabet[63]) &
				 (left == 2 ? 15 : 3)) != 0)
		return ERR_MALFORMED;
	to = buf_reserve(out, size);
	if (to == NULL)
		return out->err;
	for (size_t i = 0; i < digits.size; i++) {
		v = v << 6 | (uint32_t)digit64(digits.data[i], alphabet[62], alphabet[63]);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			*to++ = (uint8_t)(v >> bits);
			v &= (1u << bits) - 1;
		}
	}
	out->size += size;
	return OK;
}

void base64_encode(struct buf *out, struct bytes data)
{
	encode64(out, data, BASE64, true);
}

enum err base64_decode(struct bytes text, struct buf *out)
{
	if (text.size % 4 != 0)
		return out->err != OK ? out->err : ERR_MALFORMED;
	/* One or two '=' at the end; a third one is then no digit. */
	for (int i = 0; i < 2 && text.size > 0 && text.data[text.size - 1] == '='; i++)
		text.size--;
	return decode64(text, out, BASE64);
}

void base64url_encode(struct buf *out, struct bytes data)
{
	encode64(out, data, BASE64URL, false);
}

enum err base64url_decode(struct bytes text, struct buf *out)
{
	return decode64(text, out, BASE64URL);
}

/* How many bytes the well-formed sequence at p has (RFC 3629 section 4), or 0. */
static size_t utf8_sequence(const uint8_t *p, size_t left)
{
	uint8_t low = 0x80, high = 0xbf; /* of the second byte */
	size_t size;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		size = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		size = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		size = 4;
	else
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0; /* overlong */
	else if (p[0] == 0xed)
		high = 0x9f; /* surrogates */
	else if (p[0] == 0xf0)
		low = 0x90; /* overlong */
	else if (p[0] == 0xf4)
		high = 0x8f; /* past U+10FFFF */
	if (size > left || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < size; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return size;
}

bool utf8_valid(struct bytes text)
{
	for (size_t i = 0, n; i < text.size; i += n) {
		n = utf8_sequence(text.data + i, text.size - i);
		if (n == 0)
			return false;
	}
	return true;
}

const char *text_escape(struct bytes text, char *out, size_t size_out)
{
	size_t used = 0, cut = 0; /* cut: the last place where ".." still fits */

	assert(size_out >= 8);
	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];
		bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
		size_t n = plain ? 1 : 4;

		if (used + n + 1 > size_out) {
			memcpy(out + cut, "..", 3);
			return out;
		}
		if (plain) {
			out[used] = (char)c;
		} else {
			out[used] = '\\';
			out[used + 1] = 'x';
			out[used + 2] = HEX[c >> 4];
			out[used + 3] = HEX[c & 15];
		}
		used += n;
		if (used + 3 <= size_out)
			cut = used;
	}
	out[used] = '\0';
	return out;
}

enum err decimal_parse(struct bytes text, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (text.size == 0 || (text.size > 1 && text.data[0] == '0'))
		return ERR_MALFORMED;
	/* Malformed wins over too large. */
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] < '0' || text.data[i] > '9')
			return ERR_MALFORMED;
	for (size_t i = 0; i < text.size; i++) {
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(text.data[i] - '0'), &v) || v > max)
			return ERR_LIMIT;
	}
	*ret = v;
	return OK;
}

static bool is_lower(uint8_t c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_label(uint8_t c)
{
	return is_lower(c) || (c >= '0' && c <= '9') || c == '-';
}

bool node_name_valid(struct bytes name)
{
	if (name.size == 0 || name.size > LIMIT_NODE_NAME || !is_lower(name.data[0]) ||
		name.data[name.size - 1] == '-')
		return false;
	for (size_t i = 1; i < name.size; i++)
		if (!is_label(name.data[i]))
			return false;
	return true;
}

bool network_name_valid(struct bytes name)
{
	size_t labels = 0, start = 0;

	if (name.size == 0 || name.size > LIMIT_NETWORK_NAME)
		return false;
	for (size_t i = 0; i <= name.size; i++) {
		if (i < name.size && name.data[i] != '.') {
			if (!is_label(name.data[i]))
				return false;
			continue;
		}
		if (i == start || name.data[start] == '-' || name.data[i - 1] == '-')
			return false;
		start = i + 1;
		labels++;
	}
	return labels >= 2;
}
