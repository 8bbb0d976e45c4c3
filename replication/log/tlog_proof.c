#include "replication/log/tlog_proof.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/text.h"

#define FIRST_LINE "c2sp.org/tlog-proof@v1"

static enum err parse_extra(
	struct cursor *lines, struct buf *extra, struct tlog_proof *ret, struct errctx *ctx)
{
	size_t before = extra->size;
	struct bytes line;
	enum err err;

	if (!cursor_skip(lines, bytes_str("extra ")))
		return OK;
	line = cursor_until(lines, '\n');
	if (line.size > (LIMIT_TLOG_EXTRA + 2) / 3 * 4)
		return err_set(ctx, ERR_LIMIT, "extra: over %d bytes", LIMIT_TLOG_EXTRA);
	err = lines->err != OK ? lines->err : base64_decode(line, extra);
	if (err != OK)
		return err_set(ctx, err, "extra: no base64");
	if (line.size == 0)
		return err_set(ctx, ERR_MALFORMED, "extra: empty");
	if (extra->size - before > LIMIT_TLOG_EXTRA)
		return err_set(ctx, ERR_LIMIT, "extra: over %d bytes", LIMIT_TLOG_EXTRA);
	ret->has_extra = true;
	ret->extra = bytes_make(extra->data + before, extra->size - before);
	return OK;
}

static enum err parse_index(struct cursor *lines, struct tlog_proof *ret, struct errctx *ctx)
{
	enum err err;

	if (!cursor_skip(lines, bytes_str("index ")))
		return err_set(ctx, ERR_MALFORMED, "index: the line is missing");
	err = decimal_parse(cursor_until(lines, '\n'), LIMIT_LOG_SIZE - 1, &ret->index);
	if (err == OK)
		err = lines->err;
	return err == OK ? OK : err_set(ctx, err, "index: no number from 0 on");
}

static enum err parse_hash(struct bytes line, struct hash *ret, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf hash;
	enum err err;

	buf_init(&hash, HASH_SIZE + 2);
	err = base64_decode(line, &hash);
	if (err == ERR_NOMEM)
		return err;
	if (err != OK || hash.size != HASH_SIZE)
		return err_set(ctx, ERR_MALFORMED, "a hash of the proof is not 32 bytes in base64");
	memcpy(ret->b, hash.data, HASH_SIZE);
	return OK;
}

static enum err parse_path(struct cursor *lines, struct proof *ret, struct errctx *ctx)
{
	ret->count = 0;
	for (;;) {
		struct bytes line = cursor_until(lines, '\n');

		if (lines->err != OK)
			return err_set(ctx, lines->err,
				"the empty line before the checkpoint is "
				"missing");
		if (line.size == 0)
			return OK;
		if (ret->count == LIMIT_PROOF_HASHES)
			return err_set(ctx, ERR_LIMIT, "over %d hashes", LIMIT_PROOF_HASHES);
		TRY(parse_hash(line, &ret->hashes[ret->count], ctx));
		ret->count++;
	}
}

enum err tlog_proof_parse(
	struct bytes data, struct buf *extra, struct tlog_proof *ret, struct errctx *ctx)
{
	struct cursor lines = cursor_make(data);
	struct tlog_proof proof = {.has_extra = false};

	if (data.size > LIMIT_TLOG_PROOF)
		return err_set(ctx, ERR_LIMIT, "over %d bytes", LIMIT_TLOG_PROOF);
	if (!cursor_skip(&lines, bytes_str(FIRST_LINE "\n")))
		return err_set(ctx, ERR_MALFORMED, "the first line is not '%s'", FIRST_LINE);
	TRY(parse_extra(&lines, extra, &proof, ctx));
	TRY(parse_index(&lines, &proof, ctx));
	TRY(parse_path(&lines, &proof.path, ctx));
	proof.checkpoint = lines.rest;
	if (proof.checkpoint.size == 0)
		return err_set(ctx, ERR_MALFORMED, "the checkpoint is missing");
	*ret = proof;
	return OK;
}

void tlog_proof_write(struct buf *out, const struct tlog_proof *proof)
{
	buf_put_str(out, FIRST_LINE "\n");
	if (proof->has_extra) {
		buf_put_str(out, "extra ");
		base64_encode(out, proof->extra);
		buf_put_u8(out, '\n');
	}
	buf_printf(out, "index %" PRIu64 "\n", proof->index);
	for (size_t i = 0; i < proof->path.count; i++) {
		base64_encode(out, hash_bytes(&proof->path.hashes[i]));
		buf_put_u8(out, '\n');
	}
	buf_put_u8(out, '\n');
	buf_put(out, proof->checkpoint);
}
