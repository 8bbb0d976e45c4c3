/*
 * Text encodings and checks: hex, strict base64, UTF-8, escaping for people.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

/* Lower-case hex; ret has room for 2 * size + 1 characters and is terminated. */
void hex_encode(struct bytes data, char *ret);
/* Exactly 2 * size hex digits of either case, into size bytes; ERR_MALFORMED otherwise. */
enum err hex_decode(struct bytes text, uint8_t *ret, size_t size) MUST_USE;

/* RFC 4648 section 4, padded, canonical: trailing bits must be zero, no white space. */
void base64_encode(struct buf *out, struct bytes data);
/* Appends to out; ERR_MALFORMED for anything not canonical, and then out is as it was; or the
 * sticky error of out. */
enum err base64_decode(struct bytes text, struct buf *out) MUST_USE;
/* RFC 4648 section 5 without padding (tokens); as strict. */
void base64url_encode(struct buf *out, struct bytes data);
enum err base64url_decode(struct bytes text, struct buf *out) MUST_USE;

/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool utf8_valid(struct bytes text) MUST_USE;

/* Foreign text made safe for a log line or a terminal: controls, non-ASCII and '"' and '\\' as
 * \xNN, cut at `max` characters with "..". Returns out (terminated). size_out >= 8. */
const char *text_escape(struct bytes text, char *out, size_t size_out);

/* A decimal without sign or leading zeros, at most max; ERR_MALFORMED, ERR_LIMIT. */
enum err decimal_parse(struct bytes text, uint64_t max, uint64_t *ret) MUST_USE;

/* [a-z][a-z0-9-]{0,30}, not ending in '-' */
bool node_name_valid(struct bytes name) MUST_USE;
/* Host-like: labels of [a-z0-9-] joined by dots, at least two labels, no label empty or
 * with '-' at an end, at most 64 characters. */
bool network_name_valid(struct bytes name) MUST_USE;

#endif
