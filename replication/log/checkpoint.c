#include "replication/log/checkpoint.h"

#include <stdio.h>

#include "base/cursor.h"
#include "base/text.h"

enum { EPOCH_RANDOM_SIZE = 8, EPOCH_RANDOM_TEXT = 2 * EPOCH_RANDOM_SIZE, HASH_TEXT = 44 };

/* "<counter>-<16 lower-case hex digits>" */
static bool epoch_parse(struct bytes epoch, uint32_t *ret_counter)
{
	struct cursor cursor = cursor_make(epoch);
	struct bytes counter = cursor_until(&cursor, '-');
	struct bytes random = cursor.rest;
	uint64_t value;

	if (cursor.err != OK || random.size != EPOCH_RANDOM_TEXT ||
		decimal_parse(counter, UINT32_MAX, &value) != OK)
		return false;
	for (size_t i = 0; i < random.size; i++) {
		uint8_t c = random.data[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
			return false;
	}
	*ret_counter = (uint32_t)value;
	return true;
}

enum err origin_parse(struct bytes text, struct origin *ret, struct origin_parts *ret_parts)
{
	struct cursor cursor = cursor_make(text);
	struct origin_parts parts;

	parts.network = cursor_until(&cursor, '/');
	parts.node = cursor_until(&cursor, '/');
	parts.epoch = cursor.rest;
	if (text.size > LIMIT_ORIGIN || cursor.err != OK || !network_name_valid(parts.network) ||
		!node_name_valid(parts.node) || !epoch_parse(parts.epoch, &parts.counter))
		return ERR_MALFORMED;
	if (ret != NULL) {
		*ret = (struct origin){0};
		memcpy(ret->text, text.data, text.size);
	}
	if (ret_parts != NULL)
		*ret_parts = parts;
	return OK;
}

void branch_name(const struct checkpoint *end, struct origin *ret)
{
	uint8_t size[8];
	struct bytes parts[] = {
		bytes_str("sauti/1 branch"), BYTES_ARRAY(size), hash_bytes(&end->root)};
	char hex[LIMIT_BRANCH_HEX + 1];
	struct origin made = {0};
	struct hash hash;

	put_u64be(size, end->size);
	sha256_parts(parts, sizeof(parts) / sizeof(parts[0]), &hash);
	hex_encode(bytes_make(hash.b, LIMIT_BRANCH_HEX / 2), hex);
	snprintf(made.text, sizeof(made.text), "%.*s~%s", LIMIT_ORIGIN, end->origin.text, hex);
	*ret = made;
}

enum err log_name_parse(struct bytes text, struct origin *ret_name, struct origin *ret_origin,
	struct origin_parts *ret_parts)
{
	struct bytes origin = text;
	const uint8_t *mark = text.size > 0 ? memchr(text.data, '~', text.size) : NULL;

	if (mark != NULL) {
		origin.size = (size_t)(mark - text.data);
		if (text.size - origin.size != 1 + LIMIT_BRANCH_HEX)
			return ERR_MALFORMED;
		for (size_t i = 1; i <= LIMIT_BRANCH_HEX; i++)
			if (!(mark[i] >= '0' && mark[i] <= '9') &&
				!(mark[i] >= 'a' && mark[i] <= 'f'))
				return ERR_MALFORMED;
	}
	TRY(origin_parse(origin, ret_origin, ret_parts));
	if (ret_name != NULL) {
		*ret_name = (struct origin){0};
		memcpy(ret_name->text, text.data, text.size);
	}
	return OK;
}

bool checkpoint_is_of(const struct checkpoint *checkpoint, const char *name)
{
	struct origin origin;

	return log_name_parse(bytes_str(name), NULL, &origin, NULL) == OK &&
	       strcmp(origin.text, checkpoint->origin.text) == 0;
}

enum err origin_make(struct bytes network, struct bytes node, uint32_t counter,
	const uint8_t random[8], struct origin *ret)
{
	struct origin made = {0};
	char hex[EPOCH_RANDOM_TEXT + 1];

	if (!network_name_valid(network) || !node_name_valid(node))
		return ERR_INVALID;
	hex_encode(bytes_make(random, EPOCH_RANDOM_SIZE), hex);
	snprintf(made.text, sizeof(made.text), "%.*s/%.*s/%u-%s", BYTES_FMT(network),
		BYTES_FMT(node), (unsigned)counter, hex);
	*ret = made;
	return OK;
}

void checkpoint_format(struct buf *out, const struct checkpoint *checkpoint)
{
	buf_printf(
		out, "%s\n%llu\n", checkpoint->origin.text, (unsigned long long)checkpoint->size);
	base64_encode(out, hash_bytes(&checkpoint->root));
	buf_put_u8(out, '\n');
}

static enum err root_parse(struct bytes text, struct hash *ret)
{
	CLEANUP(buf_release) struct buf decoded = {0};

	if (text.size != HASH_TEXT)
		return ERR_MALFORMED;
	buf_init(&decoded, 2 * HASH_SIZE);
	TRY(base64_decode(text, &decoded));
	if (decoded.size != HASH_SIZE)
		return ERR_MALFORMED;
	memcpy(ret->b, decoded.data, HASH_SIZE);
	return OK;
}

/* The empty tree has one root only. */
static bool root_fits(uint64_t size, const struct hash *root)
{
	struct hash empty;

	if (size != 0)
		return true;
	sha256(BYTES_NONE, &empty);
	return hash_equal(root, &empty);
}

enum err checkpoint_parse(struct bytes text, struct checkpoint *ret, struct errctx *ctx)
{
	struct cursor cursor = cursor_make(text);
	struct bytes origin = cursor_until(&cursor, '\n');
	struct bytes size = cursor_until(&cursor, '\n');
	struct bytes root = cursor_until(&cursor, '\n');
	struct checkpoint parsed;
	enum err e;

	if (cursor_finish(&cursor) != OK)
		return err_set(ctx, ERR_MALFORMED, "checkpoint does not have exactly three lines");
	if (origin_parse(origin, &parsed.origin, NULL) != OK)
		return err_set(ctx, ERR_MALFORMED, "bad origin in a checkpoint");
	e = decimal_parse(size, LIMIT_LOG_SIZE, &parsed.size);
	if (e != OK)
		return err_set(ctx, e, "checkpoint of '%s': bad size", parsed.origin.text);
	e = root_parse(root, &parsed.root);
	if (e != OK)
		return err_set(ctx, e, "checkpoint of '%s': bad root", parsed.origin.text);
	if (!root_fits(parsed.size, &parsed.root))
		return err_set(ctx, ERR_MALFORMED, "checkpoint of '%s': size 0 with a foreign root",
			parsed.origin.text);
	*ret = parsed;
	return OK;
}

bool checkpoint_equal(const struct checkpoint *a, const struct checkpoint *b)
{
	return a->size == b->size && hash_equal(&a->root, &b->root) &&
	       strcmp(a->origin.text, b->origin.text) == 0;
}

enum err checkpoint_open(struct bytes data, const struct note_key *key, struct checkpoint *ret,
	struct bytes *ret_text, struct errctx *ctx)
{
	struct checkpoint parsed;
	struct note note;

	TRY(note_parse(data, &note, ctx));
	TRY(checkpoint_parse(note.text, &parsed, ctx));
	if (strcmp(parsed.origin.text, key->name) != 0)
		return err_set(ctx, ERR_UNTRUSTED, "checkpoint of '%s', but the key is of '%s'",
			parsed.origin.text, key->name);
	TRY(note_verify(&note, key, ctx));
	*ret = parsed;
	if (ret_text != NULL)
		*ret_text = note.text;
	return OK;
}

enum err checkpoint_peek(struct bytes data, struct checkpoint *ret, struct errctx *ctx)
{
	struct note note;

	TRY(note_parse(data, &note, ctx));
	return checkpoint_parse(note.text, ret, ctx);
}

enum err checkpoint_strip(
	struct bytes data, const struct note_key *key, struct buf *out, struct errctx *ctx)
{
	struct note note;

	TRY(note_parse(data, &note, ctx));
	for (size_t i = 0; i < note.count; i++) {
		const struct note_line *line = &note.lines[i];

		if (line->id != key->id || !bytes_equal_str(line->name, key->name))
			continue;
		buf_put(out, note.text);
		buf_put_u8(out, '\n');
		return note_line_write(out, key, bytes_make(line->blob, line->blob_size));
	}
	return err_set(ctx, ERR_UNTRUSTED, "no signature of '%s'", key->name);
}

enum err checkpoint_sign(
	struct buf *out, const struct checkpoint *checkpoint, const struct signer *signer)
{
	CLEANUP(buf_release) struct buf text = {0}, line = {0};
	struct checkpoint check;

	buf_init(&text, LIMIT_NOTE_SIZE);
	buf_init(&line, LIMIT_NOTE_SIZE);
	checkpoint_format(&text, checkpoint);
	TRY(text.err);
	/* Never sign what nobody would open. */
	if (checkpoint_parse(buf_bytes(&text), &check, NULL) != OK)
		return ERR_INVALID;
	TRY(note_sign(&line, buf_bytes(&text), checkpoint->origin.text, signer));
	buf_put(out, buf_bytes(&text));
	buf_put_u8(out, '\n');
	buf_put(out, buf_bytes(&line));
	return out->err;
}

enum err log_note_key(
	const struct origin *origin, const struct ed25519_public *key, struct note_key *ret)
{
	if (origin_parse(bytes_str(origin->text), NULL, NULL) != OK)
		return ERR_INVALID;
	return note_key_make(origin->text, NOTE_ED25519, key, ret);
}

static enum err node_note_key(struct bytes network, const char *kind, struct bytes node,
	const struct ed25519_public *key, struct note_key *ret)
{
	char name[NOTE_KEY_NAME_MAX + 1];

	if (!network_name_valid(network) || !node_name_valid(node))
		return ERR_INVALID;
	snprintf(name, sizeof(name), "%.*s/%s/%.*s", BYTES_FMT(network), kind, BYTES_FMT(node));
	return note_key_make(name, NOTE_COSIGNATURE, key, ret);
}

enum err mirror_note_key(struct bytes network, struct bytes node, const struct ed25519_public *key,
	struct note_key *ret)
{
	return node_note_key(network, "mirror", node, key, ret);
}

enum err witness_note_key(struct bytes network, struct bytes node, const struct ed25519_public *key,
	struct note_key *ret)
{
	return node_note_key(network, "witness", node, key, ret);
}
