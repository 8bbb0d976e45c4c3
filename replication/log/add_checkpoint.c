#include "replication/log/add_checkpoint.h"

#include "base/cursor.h"
#include "base/text.h"

#define SIZE_MAX_C2SP ((uint64_t)INT64_MAX)

static enum err hash_parse(struct bytes line, struct hash *ret)
{
	CLEANUP(buf_release) struct buf decoded = {0};

	buf_init(&decoded, HASH_SIZE + 2);
	TRY(base64_decode(line, &decoded));
	if (decoded.size != HASH_SIZE)
		return ERR_MALFORMED;
	memcpy(ret->b, decoded.data, HASH_SIZE);
	return OK;
}

static enum err size_parse(struct bytes text, uint64_t *ret, const char *what, struct errctx *ctx)
{
	enum err err = decimal_parse(text, SIZE_MAX_C2SP, ret);

	return err == OK ? OK : err_set(ctx, err, "%s: no size", what);
}

static enum err old_parse(struct cursor *lines, uint64_t *ret, struct errctx *ctx)
{
	struct bytes text;

	if (!cursor_skip(lines, bytes_str("old ")))
		return err_set(ctx, ERR_MALFORMED, "the line \"old N\" is missing");
	text = cursor_until(lines, '\n');
	if (lines->err != OK)
		return err_set(ctx, lines->err, "old: the line does not end");
	return size_parse(text, ret, "old", ctx);
}

static enum err proof_parse(struct cursor *lines, struct proof *ret, struct errctx *ctx)
{
	ret->count = 0;
	for (;;) {
		struct bytes line = cursor_until(lines, '\n');
		enum err err = lines->err;

		if (err != OK)
			return err_set(ctx, err, "the empty line before the checkpoint is missing");
		if (line.size == 0)
			return OK;
		if (ret->count == LIMIT_PROOF_HASHES)
			return err_set(ctx, ERR_LIMIT, "over %d hashes", LIMIT_PROOF_HASHES);
		err = hash_parse(line, &ret->hashes[ret->count]);
		if (err != OK)
			return err_set(ctx, err, "hash %zu of the proof is not 32 bytes in base64",
				ret->count);
		ret->count++;
	}
}

/* Three lines, and more that are not empty. */
static enum err text_parse(struct bytes text, struct add_checkpoint *ret, struct errctx *ctx)
{
	struct cursor lines = cursor_make(text);
	struct bytes size, root;
	enum err err;

	ret->origin = cursor_until(&lines, '\n');
	size = cursor_until(&lines, '\n');
	root = cursor_until(&lines, '\n');
	if (lines.err != OK || ret->origin.size == 0)
		return err_set(ctx, ERR_MALFORMED, "the checkpoint has no origin, size and root");
	TRY(size_parse(size, &ret->size, "the checkpoint", ctx));
	err = hash_parse(root, &ret->root);
	if (err != OK)
		return err_set(ctx, err, "the checkpoint's root is not 32 bytes in base64");
	ret->extended = lines.rest.size > 0;
	while (lines.rest.size > 0)
		if (cursor_until(&lines, '\n').size == 0)
			return err_set(ctx, ERR_MALFORMED, "an empty line in the checkpoint");
	return OK;
}

enum err add_checkpoint_parse(
	struct bytes body, struct add_checkpoint *ret, struct note *ret_note, struct errctx *ctx)
{
	struct cursor lines = cursor_make(body);
	struct add_checkpoint parsed = {.old = 0};

	if (body.size > LIMIT_ADD_CHECKPOINT)
		return err_set(ctx, ERR_LIMIT, "over %d bytes", LIMIT_ADD_CHECKPOINT);
	TRY(old_parse(&lines, &parsed.old, ctx));
	TRY(proof_parse(&lines, &parsed.proof, ctx));
	parsed.note = lines.rest;
	TRY(note_parse(parsed.note, ret_note, ctx));
	TRY(text_parse(ret_note->text, &parsed, ctx));
	*ret = parsed;
	return OK;
}

void add_checkpoint_write(
	struct buf *out, uint64_t old, const struct proof *proof, struct bytes note)
{
	buf_printf(out, "old %llu\n", (unsigned long long)old);
	for (size_t i = 0; i < proof->count; i++) {
		base64_encode(out, hash_bytes(&proof->hashes[i]));
		buf_put_u8(out, '\n');
	}
	buf_put_u8(out, '\n');
	buf_put(out, note);
}

bool add_checkpoint_other(
	const struct add_checkpoint *request, const struct hash *root, struct hash *ret_other)
{
	struct hash from;

	if (!proof_consistency_from(
		    &request->proof, request->old, request->size, &request->root, &from) ||
		hash_equal(&from, root))
		return false;
	*ret_other = from;
	return true;
}
