/*
 * C2SP signed notes: text, an empty line, signature lines "U+2014 SP name SP base64 LF".
 *
 * Verification follows the specification: a line whose (name, key id) is not known is ignored even
 * if one of the two matches; a known one must verify. Lines are never compared or hashed as bytes:
 * what counts is what they sign. Everything here borrows its input.
 */
#ifndef REPLICATION_LOG_NOTE_H
#define REPLICATION_LOG_NOTE_H

#include "base/buf.h"
#include "base/crypto.h"
#include "base/limits.h"

enum note_type { NOTE_ED25519 = 0x01, NOTE_COSIGNATURE = 0x04 };
enum { NOTE_KEY_NAME_MAX = 255 };

/* A verifier key: name, type, Ed25519 public key. */
struct note_key {
	char name[NOTE_KEY_NAME_MAX + 1];
	enum note_type type;
	uint32_t id;
	struct ed25519_public key;
};

/* Fills in all fields; ERR_INVALID for a bad name (empty, too long, '+', white space, controls,
 * not UTF-8) and for a type not listed above. */
enum err note_key_make(const char *name, enum note_type type, const struct ed25519_public *key,
	struct note_key *ret) MUST_USE;
/* "name+hhhhhhhh+base64": ERR_MALFORMED, also when the id does not fit; ERR_UNSUPPORTED types;
 * ERR_NOMEM. */
enum err note_key_parse(struct bytes vkey, struct note_key *ret) MUST_USE;
void note_key_format(struct buf *out, const struct note_key *key);

struct note_line {
	struct bytes whole; /* with its newline */
	struct bytes name;
	uint32_t id;
	uint8_t blob[128]; /* what follows the key id: 64 bytes (0x01), 8 + 64 (0x04) */
	size_t blob_size;  /* 0: longer than anything we know, left out; no key verifies it */
};

struct note {
	struct bytes text;       /* with its final newline, without the empty line */
	struct bytes signatures; /* the lines as they stand */
	size_t count;
	struct note_line lines[LIMIT_NOTE_SIGNATURES];
};

/* Splits at the last empty line and checks the form: UTF-8, no controls but LF, at least one line,
 * strict base64. ERR_MALFORMED; ERR_LIMIT over LIMIT_NOTE_SIZE or LIMIT_NOTE_SIGNATURES lines;
 * ERR_NOMEM. ctx may be NULL. */
enum err note_parse(struct bytes data, struct note *ret, struct errctx *ctx) MUST_USE;
/* One signature line with its newline, alone. Errors as above. */
enum err note_line_parse(struct bytes data, struct note_line *ret, struct errctx *ctx) MUST_USE;

/* Does a line by this 0x01 key stand on the note, and does it verify? ERR_UNTRUSTED when none is
 * by this key, or one is and fails. */
enum err note_verify(
	const struct note *note, const struct note_key *key, struct errctx *ctx) MUST_USE;

/* Appends the line of a 0x01 signature over text. name as in the key. ERR_INVALID for a bad name or
 * a text that note_parse would refuse; ERR_CRYPTO; the error of out. text may not be a view of
 * out. */
enum err note_sign(
	struct buf *out, struct bytes text, const char *name, const struct signer *signer) MUST_USE;
/* The same for a signature made elsewhere: blob is what follows the key id, 64 bytes (0x01) or
 * 8 + 64 (0x04); ERR_INVALID for another size; the error of out. */
enum err note_line_write(struct buf *out, const struct note_key *key, struct bytes blob) MUST_USE;

/* Cosignatures (0x04, C2SP tlog-cosignature): over "cosignature/v1\ntime T\n" || text, T in seconds
 * since 1970, at most INT64_MAX. Errors as note_sign, ERR_NOMEM. */
enum err cosignature_sign(struct buf *out, struct bytes text, uint64_t time_s, const char *name,
	const struct signer *signer) MUST_USE;
/* OK only if the line is by this 0x04 key and verifies over text; ret_time_s may be NULL.
 * ERR_UNTRUSTED; ERR_NOMEM. */
enum err cosignature_verify(const struct note_line *line, struct bytes text,
	const struct note_key *key, uint64_t *ret_time_s) MUST_USE;

#endif
