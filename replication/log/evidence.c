#include "replication/log/evidence.h"

#include "base/cursor.h"
#include "certs/record.h"

#define LABEL "sauti/1 evidence"

static enum err read_proof(const Sauti__Evidence *message, struct evidence *ret, struct errctx *ctx)
{
	if (message->n_proof > LIMIT_PROOF_HASHES)
		return err_set(ctx, ERR_LIMIT, "evidence: a proof of %zu hashes", message->n_proof);
	ret->proof.count = message->n_proof;
	for (size_t i = 0; i < message->n_proof; i++) {
		if (message->proof[i].len != HASH_SIZE)
			return err_set(ctx, ERR_MALFORMED, "evidence: a proof hash of %zu bytes",
				message->proof[i].len);
		memcpy(ret->proof.hashes[i].b, message->proof[i].data, HASH_SIZE);
	}
	return OK;
}

/* In order, and against each other. */
static enum err check_pair(
	const struct evidence *e, const Sauti__Evidence *message, struct errctx *ctx)
{
	bool equal = e->smaller.size == e->larger.size;

	if (strcmp(e->smaller.origin.text, e->larger.origin.text) != 0)
		return err_set(ctx, ERR_MALFORMED, "evidence: checkpoints of two logs");
	if (e->smaller.size == 0 || e->smaller.size > e->larger.size)
		return err_set(ctx, ERR_MALFORMED, "evidence: sizes out of order");
	if (!equal && message->root.len != HASH_SIZE)
		return err_set(
			ctx, ERR_MALFORMED, "evidence: a root of %zu bytes", message->root.len);
	if (equal && (message->root.len != 0 || message->n_proof != 0))
		return err_set(ctx, ERR_MALFORMED, "evidence: a proof between equal sizes");
	if (equal ? memcmp(e->smaller.root.b, e->larger.root.b, HASH_SIZE) >= 0
		  : hash_equal(&e->smaller.root, &e->root))
		return err_set(ctx, ERR_MALFORMED, "evidence: no contradiction");
	return OK;
}

static enum err read_opened(struct bytes entry, const struct ed25519_public *node,
	struct checkpoint *ret, struct errctx *ctx)
{
	struct log_opened opened;
	struct arena arena;

	if (entry.size > LIMIT_LOG_OPENED)
		return err_set(ctx, ERR_LIMIT, "evidence: a LogOpened of %zu bytes", entry.size);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	enum err err = log_opened_read(entry, node, &arena, &opened, ctx);

	*ret = (struct checkpoint){.size = 0};
	if (err == OK)
		err = origin_parse(bytes_str(opened.origin), &ret->origin, NULL);
	if (err == OK)
		memcpy(ret->root.b, opened.log_key.b, HASH_SIZE);
	arena_release(&arena);
	return err;
}

static enum err read_keys(const Sauti__Evidence *message, struct evidence *ret, struct errctx *ctx)
{
	struct evidence e = {
		.opened = codec_bytes(message->opened), .other = codec_bytes(message->other)};

	if (message->smaller.len != 0 || message->larger.len != 0 || message->root.len != 0 ||
		message->n_proof != 0)
		return err_set(ctx, ERR_MALFORMED, "evidence: of keys, and of more");
	TRY(read_opened(e.opened, NULL, &e.smaller, ctx));
	TRY(read_opened(e.other, NULL, &e.larger, ctx));
	if (strcmp(e.smaller.origin.text, e.larger.origin.text) != 0)
		return err_set(ctx, ERR_MALFORMED, "evidence: of two logs");
	if (memcmp(e.smaller.root.b, e.larger.root.b, HASH_SIZE) >= 0)
		return err_set(ctx, ERR_MALFORMED, "evidence: no contradiction");
	*ret = e;
	return OK;
}

enum err evidence_read(const Sauti__Evidence *message, struct evidence *ret, struct errctx *ctx)
{
	struct evidence e = {
		.smaller_note = codec_bytes(message->smaller),
		.larger_note = codec_bytes(message->larger),
		.opened = codec_bytes(message->opened),
	};

	if (message->other.len > 0)
		return read_keys(message, ret, ctx);
	if (e.opened.size > LIMIT_LOG_OPENED)
		return err_set(ctx, ERR_LIMIT, "evidence: a LogOpened of %zu bytes", e.opened.size);
	TRY(checkpoint_peek(e.smaller_note, &e.smaller, ctx));
	TRY(checkpoint_peek(e.larger_note, &e.larger, ctx));
	if (message->root.len == HASH_SIZE)
		memcpy(e.root.b, message->root.data, HASH_SIZE);
	TRY(read_proof(message, &e, ctx));
	TRY(check_pair(&e, message, ctx));
	*ret = e;
	return OK;
}

enum err evidence_parse(
	struct bytes data, struct arena *arena, struct evidence *ret, struct errctx *ctx)
{
	Sauti__Evidence *message;

	if (data.size > LIMIT_EVIDENCE_SIZE)
		return err_set(ctx, ERR_LIMIT, "evidence of %zu bytes", data.size);
	TRY(CODEC_UNPACK(evidence, data, &scan_limits_strict, arena, &message, ctx));
	return evidence_read(message, ret, ctx);
}

enum err evidence_key(const struct evidence *evidence, const struct ed25519_public *node,
	struct note_key *ret, struct errctx *ctx)
{
	struct log_opened opened;
	struct arena arena;

	if (evidence->opened.size == 0)
		return err_set(ctx, ERR_NOTFOUND, "evidence: it carries no LogOpened");
	arena_init(&arena, LIMIT_ARENA_SIZE);
	enum err err = log_opened_read(evidence->opened, node, &arena, &opened, ctx);

	if (err == OK && strcmp(opened.origin, evidence->smaller.origin.text) != 0)
		err = err_set(ctx, ERR_UNTRUSTED, "evidence: its LogOpened is of another log");
	if (err == OK)
		err = log_note_key(&evidence->smaller.origin, &opened.log_key, ret);
	arena_release(&arena);
	return err;
}

/* A note is its text and one line, by this key. */
static enum err verify_note(struct bytes data, const struct note_key *key, struct errctx *ctx)
{
	struct checkpoint checkpoint;
	struct note note;

	TRY(note_parse(data, &note, ctx));
	if (note.count != 1)
		return err_set(ctx, ERR_UNTRUSTED, "evidence: a note with other signatures");
	return checkpoint_open(data, key, &checkpoint, NULL, ctx);
}

enum err evidence_verify(
	const struct evidence *evidence, const struct note_key *key, struct errctx *ctx)
{
	if (evidence->other.size > 0)
		return err_set(ctx, ERR_UNSUPPORTED,
			"evidence: of two keys of one log; the author's node key verifies it");
	TRY(verify_note(evidence->smaller_note, key, ctx));
	TRY(verify_note(evidence->larger_note, key, ctx));
	if (evidence->smaller.size < evidence->larger.size &&
		!proof_consistency_ok(&evidence->proof, evidence->smaller.size, &evidence->root,
			evidence->larger.size, &evidence->larger.root))
		return err_set(ctx, ERR_PROOF, "evidence: its proof does not verify");
	return OK;
}

static bool out_of_order(const struct checkpoint *first, const struct checkpoint *second)
{
	return first->size != second->size ? first->size > second->size
					   : memcmp(first->root.b, second->root.b, HASH_SIZE) > 0;
}

void evidence_write(const struct evidence *evidence, struct buf *out)
{
	Sauti__Evidence message = SAUTI__EVIDENCE__INIT;
	ProtobufCBinaryData hashes[LIMIT_PROOF_HASHES];

	message.smaller = codec_binary(evidence->smaller_note);
	message.larger = codec_binary(evidence->larger_note);
	message.opened = codec_binary(evidence->opened);
	message.other = codec_binary(evidence->other);
	if (evidence->smaller.size != evidence->larger.size) {
		message.root = codec_binary(hash_bytes(&evidence->root));
		message.n_proof = evidence->proof.count;
		message.proof = hashes;
		for (size_t i = 0; i < evidence->proof.count; i++)
			hashes[i] = codec_binary(hash_bytes(&evidence->proof.hashes[i]));
	}
	codec_pack(out, &message);
}

/* What anybody else will do with it, before anybody has it. */
static enum err check_made(struct bytes data, const struct note_key *key, struct errctx *ctx)
{
	struct evidence made;
	struct arena arena;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	enum err err = evidence_parse(data, &arena, &made, ctx);

	if (err == ERR_MALFORMED)
		err = ERR_INVALID;
	if (err == OK)
		err = evidence_verify(&made, key, ctx);
	arena_release(&arena);
	return err;
}

enum err evidence_make(const struct evidence_parts *parts, const struct note_key *key,
	struct buf *out, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf a = {0}, b = {0}, made = {0};
	struct evidence e = {.opened = parts->opened};

	buf_init(&a, LIMIT_NOTE_SIZE);
	buf_init(&b, LIMIT_NOTE_SIZE);
	buf_init(&made, LIMIT_EVIDENCE_SIZE);
	TRY(checkpoint_strip(parts->a, key, &a, ctx));
	TRY(checkpoint_strip(parts->b, key, &b, ctx));
	TRY(checkpoint_peek(buf_bytes(&a), &e.smaller, ctx));
	TRY(checkpoint_peek(buf_bytes(&b), &e.larger, ctx));
	bool swapped = out_of_order(&e.smaller, &e.larger);

	if (swapped) {
		struct checkpoint first = e.smaller;

		e.smaller = e.larger;
		e.larger = first;
	}
	e.smaller_note = buf_bytes(swapped ? &b : &a);
	e.larger_note = buf_bytes(swapped ? &a : &b);
	if (e.smaller.size != e.larger.size && (parts->root == NULL || parts->proof == NULL))
		return err_set(ctx, ERR_INVALID, "evidence: no proof between the sizes");
	if (parts->root != NULL)
		e.root = *parts->root;
	if (parts->proof != NULL)
		e.proof = *parts->proof;
	evidence_write(&e, &made);
	TRY(made.err);
	TRY(check_made(buf_bytes(&made), key, ctx));
	buf_put(out, buf_bytes(&made));
	return out->err;
}

enum err evidence_verify_keys(
	const struct evidence *evidence, const struct ed25519_public *node, struct errctx *ctx)
{
	struct checkpoint opened;

	if (evidence->other.size == 0)
		return ERR_INVALID;
	TRY(read_opened(evidence->opened, node, &opened, ctx));
	return read_opened(evidence->other, node, &opened, ctx);
}

enum err evidence_make_keys(struct bytes a, struct bytes b, const struct ed25519_public *node,
	struct buf *out, struct errctx *ctx)
{
	struct evidence e = {.opened = a, .other = b};

	TRY(read_opened(a, node, &e.smaller, ctx));
	TRY(read_opened(b, node, &e.larger, ctx));
	int order = memcmp(e.smaller.root.b, e.larger.root.b, HASH_SIZE);

	if (order == 0 || strcmp(e.smaller.origin.text, e.larger.origin.text) != 0)
		return err_set(ctx, ERR_INVALID, "evidence: no contradiction");
	if (order > 0) {
		e.opened = b;
		e.other = a;
	}
	evidence_write(&e, out);
	return out->err;
}

void evidence_id(const struct evidence *evidence, struct hash *ret)
{
	struct bytes origin = bytes_str(evidence->smaller.origin.text);
	uint8_t origin_size[2], smaller[8], larger[8];

	put_u16be(origin_size, (uint16_t)origin.size);
	put_u64be(smaller, evidence->smaller.size);
	put_u64be(larger, evidence->larger.size);

	struct bytes parts[] = {bytes_str(LABEL), BYTES_ARRAY(origin_size), origin,
		BYTES_ARRAY(smaller), hash_bytes(&evidence->smaller.root), BYTES_ARRAY(larger),
		hash_bytes(&evidence->larger.root)};

	sha256_parts(parts, sizeof(parts) / sizeof(parts[0]), ret);
}

void evidence_frame(struct bytes message, struct buf *out)
{
	buf_put_u32be(out, (uint32_t)message.size);
	buf_put(out, message);
}

enum err evidence_frames(struct bytes file, enum err (*each)(void *arg, struct bytes message),
	void *arg, struct errctx *ctx)
{
	struct cursor cursor = cursor_make(file);

	for (size_t n = 1; cursor.rest.size > 0; n++) {
		struct bytes message = cursor_take(&cursor, cursor_u32be(&cursor));

		if (cursor.err != OK)
			return err_set(ctx, ERR_MALFORMED, "the file is cut in number %zu", n);
		if (message.size == 0 || message.size > LIMIT_EVIDENCE_SIZE)
			return err_set(
				ctx, ERR_MALFORMED, "number %zu has %zu bytes", n, message.size);
		TRY(each(arg, message));
	}
	return OK;
}
