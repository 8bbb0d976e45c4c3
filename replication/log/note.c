#include "replication/log/note.h"

#include "base/cursor.h"
#include "base/text.h"

enum { KEY_ID_SIZE = 4, COSIGNATURE_SIZE = 8 + ED25519_SIGNATURE_SIZE };
enum { KEY_BLOB_SIZE = 1 + ED25519_PUBLIC_SIZE };

/* U+2014, and a space: what a signature line begins with. */
static const uint8_t line_head[] = {0xe2, 0x80, 0x94, ' '};

/* ---- names and keys ---- */

/* One code point of valid UTF-8. */
static uint32_t utf8_next(struct bytes text, size_t *at)
{
	const uint8_t *p = text.data + *at;

	if (p[0] < 0x80) {
		*at += 1;
		return p[0];
	}
	if (p[0] < 0xe0) {
		*at += 2;
		return (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f);
	}
	if (p[0] < 0xf0) {
		*at += 3;
		return (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
	}
	*at += 4;
	return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 |
	       (uint32_t)(p[2] & 0x3f) << 6 | (p[3] & 0x3f);
}

/* The White_Space property of Unicode, controls left out. */
static bool is_space(uint32_t c)
{
	return c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
	       c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* The rule of the specification: non-empty UTF-8, no space, no '+', no control of ASCII. */
static bool name_valid(struct bytes name)
{
	if (name.size == 0 || !utf8_valid(name))
		return false;
	for (size_t i = 0; i < name.size;) {
		uint32_t c = utf8_next(name, &i);

		if (c < 0x20 || c == '+' || is_space(c))
			return false;
	}
	return true;
}

/* A name of a key of ours has no DEL and no C1 controls either, and fits. */
static bool key_name_valid(struct bytes name)
{
	if (name.size > NOTE_KEY_NAME_MAX || !name_valid(name))
		return false;
	for (size_t i = 0; i < name.size;) {
		uint32_t c = utf8_next(name, &i);

		if (c >= 0x7f && c < 0xa0)
			return false;
	}
	return true;
}

static bool type_known(unsigned type)
{
	return type == NOTE_ED25519 || type == NOTE_COSIGNATURE;
}

/* SHA-256(name || LF || type || public key), first four bytes. */
static uint32_t key_id(struct bytes name, uint8_t type, const struct ed25519_public *key)
{
	const uint8_t middle[] = {'\n', type};
	struct bytes parts[] = {name, BYTES_ARRAY(middle), BYTES_ARRAY(key->b)};
	struct hash hash;

	sha256_parts(parts, 3, &hash);
	return get_u32be(hash.b);
}

/* name valid, type known */
static void key_fill(struct bytes name, enum note_type type, const struct ed25519_public *key,
	struct note_key *ret)
{
	struct note_key made = {.type = type, .id = key_id(name, (uint8_t)type, key), .key = *key};

	memcpy(made.name, name.data, name.size);
	*ret = made;
}

enum err note_key_make(const char *name, enum note_type type, const struct ed25519_public *key,
	struct note_key *ret)
{
	struct bytes text = bytes_str(name);

	if (!type_known(type) || !key_name_valid(text))
		return ERR_INVALID;
	key_fill(text, type, key, ret);
	return OK;
}

/* Exactly eight lower-case digits: one way only to write a key. */
static bool parse_id(struct bytes text, uint32_t *ret)
{
	uint8_t id[KEY_ID_SIZE];

	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] >= 'A' && text.data[i] <= 'F')
			return false;
	}
	if (hex_decode(text, id, sizeof(id)) != OK)
		return false;
	*ret = get_u32be(id);
	return true;
}

enum err note_key_parse(struct bytes vkey, struct note_key *ret)
{
	CLEANUP(buf_release) struct buf blob = {0};
	struct cursor cursor = cursor_make(vkey);
	struct bytes name = cursor_until(&cursor, '+');
	struct bytes id_text = cursor_until(&cursor, '+');
	struct ed25519_public key;
	struct note_key made;
	uint32_t id;

	if (vkey.size > LIMIT_NOTE_SIZE || cursor.err != OK || !key_name_valid(name) ||
		!parse_id(id_text, &id))
		return ERR_MALFORMED;
	buf_init(&blob, LIMIT_NOTE_SIZE);
	TRY(base64_decode(cursor.rest, &blob));
	if (blob.size == 0)
		return ERR_MALFORMED;
	if (!type_known(blob.data[0]))
		return ERR_UNSUPPORTED;
	if (blob.size != KEY_BLOB_SIZE)
		return ERR_MALFORMED;
	memcpy(key.b, blob.data + 1, sizeof(key.b));
	key_fill(name, (enum note_type)blob.data[0], &key, &made);
	if (made.id != id)
		return ERR_MALFORMED;
	*ret = made;
	return OK;
}

void note_key_format(struct buf *out, const struct note_key *key)
{
	uint8_t blob[KEY_BLOB_SIZE];

	blob[0] = (uint8_t)key->type;
	memcpy(blob + 1, key->key.b, sizeof(key->key.b));
	buf_printf(out, "%s+%08x+", key->name, (unsigned)key->id);
	base64_encode(out, BYTES_ARRAY(blob));
}

/* ---- parsing ---- */

/* UTF-8 without controls but LF, and not more than a note may have. */
static enum err check_form(struct bytes data, struct errctx *ctx)
{
	if (data.size > LIMIT_NOTE_SIZE)
		return err_set(ctx, ERR_LIMIT, "note of %zu bytes", data.size);
	for (size_t i = 0; i < data.size; i++) {
		if (data.data[i] < 0x20 && data.data[i] != '\n')
			return err_set(
				ctx, ERR_MALFORMED, "control character at byte %zu of a note", i);
	}
	if (data.size != 0 && !utf8_valid(data))
		return err_set(ctx, ERR_MALFORMED, "note is not UTF-8");
	return OK;
}

static enum err set_line(struct bytes whole, struct bytes name, struct bytes blob,
	struct note_line *ret, struct errctx *ctx)
{
	struct note_line line = {.whole = whole, .name = name};

	if (blob.size <= KEY_ID_SIZE)
		return err_set(ctx, ERR_MALFORMED, "signature line without a signature");
	line.id = get_u32be(blob.data);
	blob = bytes_make(blob.data + KEY_ID_SIZE, blob.size - KEY_ID_SIZE);
	if (blob.size <= sizeof(line.blob)) {
		memcpy(line.blob, blob.data, blob.size);
		line.blob_size = blob.size;
	}
	*ret = line;
	return OK;
}

/* One line of data whose form was checked. scratch is for the decoded blob. */
static enum err parse_line(
	struct bytes whole, struct buf *scratch, struct note_line *ret, struct errctx *ctx)
{
	struct cursor cursor = cursor_make(whole);
	struct bytes name, blob;

	if (!cursor_skip(&cursor, BYTES_ARRAY(line_head)))
		return err_set(ctx, ERR_MALFORMED, "not a signature line");
	name = cursor_until(&cursor, ' ');
	blob = cursor_until(&cursor, '\n');
	if (cursor_finish(&cursor) != OK || !name_valid(name))
		return err_set(
			ctx, ERR_MALFORMED, "not a name and a signature on a signature line");
	buf_clear(scratch);
	if (base64_decode(blob, scratch) != OK) {
		if (scratch->err == ERR_NOMEM)
			return ERR_NOMEM;
		return err_set(ctx, ERR_MALFORMED, "bad base64 in a signature line");
	}
	return set_line(whole, name, buf_bytes(scratch), ret, ctx);
}

enum err note_line_parse(struct bytes data, struct note_line *ret, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf scratch = {0};

	TRY(check_form(data, ctx));
	buf_init(&scratch, LIMIT_NOTE_SIZE);
	return parse_line(data, &scratch, ret, ctx);
}

/* At the last empty line: the text may have some of its own. */
static bool split_note(struct bytes data, struct bytes *ret_text, struct bytes *ret_signatures)
{
	for (size_t i = data.size; i >= 2; i--) {
		if (data.data[i - 1] == '\n' && data.data[i - 2] == '\n') {
			*ret_text = bytes_make(data.data, i - 1);
			*ret_signatures = bytes_make(data.data + i, data.size - i);
			return true;
		}
	}
	return false;
}

static enum err parse_lines(struct note *note, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf scratch = {0};
	struct cursor cursor = cursor_make(note->signatures);

	buf_init(&scratch, LIMIT_NOTE_SIZE);
	while (cursor.rest.size > 0) {
		struct bytes line = cursor_until(&cursor, '\n');

		if (cursor.err != OK)
			return err_set(ctx, ERR_MALFORMED, "note does not end with a newline");
		if (note->count == LIMIT_NOTE_SIGNATURES)
			return err_set(ctx, ERR_LIMIT, "note with more than %d signatures",
				LIMIT_NOTE_SIGNATURES);
		line.size++; /* the newline */
		TRY(parse_line(line, &scratch, &note->lines[note->count], ctx));
		note->count++;
	}
	if (note->count == 0)
		return err_set(ctx, ERR_MALFORMED, "note without a signature");
	return OK;
}

enum err note_parse(struct bytes data, struct note *ret, struct errctx *ctx)
{
	struct note note;

	TRY(check_form(data, ctx));
	note.count = 0;
	if (!split_note(data, &note.text, &note.signatures))
		return err_set(ctx, ERR_MALFORMED, "note without signatures");
	TRY(parse_lines(&note, ctx));
	ret->text = note.text;
	ret->signatures = note.signatures;
	ret->count = note.count;
	memcpy(ret->lines, note.lines, note.count * sizeof(note.lines[0]));
	return OK;
}

/* ---- signatures ---- */

/* Both, since a 32-bit id alone is easily made to collide. */
static bool line_is_by(const struct note_line *line, const struct note_key *key)
{
	return line->id == key->id && bytes_equal_str(line->name, key->name);
}

enum err note_verify(const struct note *note, const struct note_key *key, struct errctx *ctx)
{
	bool found = false;

	if (key->type != NOTE_ED25519)
		return err_set(ctx, ERR_UNTRUSTED, "key '%s' is not for notes", key->name);
	for (size_t i = 0; i < note->count; i++) {
		const struct note_line *line = &note->lines[i];

		if (!line_is_by(line, key))
			continue;
		if (line->blob_size != ED25519_SIGNATURE_SIZE ||
			!ed25519_verify(
				&key->key, note->text, bytes_make(line->blob, line->blob_size)))
			return err_set(ctx, ERR_UNTRUSTED, "bad signature of '%s'", key->name);
		found = true;
	}
	if (!found)
		return err_set(ctx, ERR_UNTRUSTED, "no signature of '%s'", key->name);
	return OK;
}

enum err note_line_write(struct buf *out, const struct note_key *key, struct bytes blob)
{
	uint8_t data[KEY_ID_SIZE + COSIGNATURE_SIZE];
	size_t size = key->type == NOTE_COSIGNATURE ? COSIGNATURE_SIZE : ED25519_SIGNATURE_SIZE;

	if (!type_known(key->type) || blob.size != size)
		return ERR_INVALID;
	put_u32be(data, key->id);
	memcpy(data + KEY_ID_SIZE, blob.data, size);
	buf_put(out, BYTES_ARRAY(line_head));
	buf_put_str(out, key->name);
	buf_put_u8(out, ' ');
	base64_encode(out, bytes_make(data, KEY_ID_SIZE + size));
	buf_put_u8(out, '\n');
	return out->err;
}

/* Nothing is signed that note_parse would not take back. */
static bool text_valid(struct bytes text)
{
	return text.size > 0 && text.data[text.size - 1] == '\n' && check_form(text, NULL) == OK;
}

enum err note_sign(
	struct buf *out, struct bytes text, const char *name, const struct signer *signer)
{
	struct ed25519_signature signature;
	struct note_key key;

	if (!text_valid(text))
		return ERR_INVALID;
	TRY(note_key_make(name, NOTE_ED25519, signer_public(signer), &key));
	TRY(signer_sign(signer, text, &signature));
	return note_line_write(out, &key, BYTES_ARRAY(signature.b));
}

static void cosignature_message(struct buf *out, struct bytes text, uint64_t time_s)
{
	buf_init(out, LIMIT_NOTE_SIZE + 64);
	buf_printf(out, "cosignature/v1\ntime %llu\n", (unsigned long long)time_s);
	buf_put(out, text);
}

enum err cosignature_sign(struct buf *out, struct bytes text, uint64_t time_s, const char *name,
	const struct signer *signer)
{
	CLEANUP(buf_release) struct buf message = {0};
	struct ed25519_signature signature;
	uint8_t blob[COSIGNATURE_SIZE];
	struct note_key key;

	if (!text_valid(text) || time_s > INT64_MAX)
		return ERR_INVALID;
	TRY(note_key_make(name, NOTE_COSIGNATURE, signer_public(signer), &key));
	cosignature_message(&message, text, time_s);
	TRY(message.err);
	TRY(signer_sign(signer, buf_bytes(&message), &signature));
	put_u64be(blob, time_s);
	memcpy(blob + 8, signature.b, sizeof(signature.b));
	return note_line_write(out, &key, BYTES_ARRAY(blob));
}

enum err cosignature_verify(const struct note_line *line, struct bytes text,
	const struct note_key *key, uint64_t *ret_time_s)
{
	CLEANUP(buf_release) struct buf message = {0};
	uint64_t time_s;

	if (key->type != NOTE_COSIGNATURE || !line_is_by(line, key) ||
		line->blob_size != COSIGNATURE_SIZE)
		return ERR_UNTRUSTED;
	time_s = get_u64be(line->blob);
	if (time_s > INT64_MAX || text.size > LIMIT_NOTE_SIZE)
		return ERR_UNTRUSTED;
	cosignature_message(&message, text, time_s);
	TRY(message.err);
	if (!ed25519_verify(&key->key, buf_bytes(&message),
		    bytes_make(line->blob + 8, ED25519_SIGNATURE_SIZE)))
		return ERR_UNTRUSTED;
	if (ret_time_s != NULL)
		*ret_time_s = time_s;
	return OK;
}
