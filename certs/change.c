#include "certs/change.h"

#include "base/text.h"

static bool take_exact(ProtobufCBinaryData field, uint8_t *out, size_t size)
{
	if (field.len != size)
		return false;
	memcpy(out, field.data, size);
	return true;
}

/* ---- NodeKeysRotated ---- */

/* The keys alone: role and country, which it does not say, are beyond doubt. */
static enum err rotation_check(const struct rotation *rotation, struct errctx *ctx)
{
	struct member member = rotation->member;

	member.role = ROLE_AUDITOR;
	member.country[0] = '\0';
	TRY(member_check(&member, ctx));
	if (rotation->directory_size == 0 || rotation->directory_size > LIMIT_DIRECTORY_RECORDS)
		return err_set(ctx, ERR_MALFORMED, "a directory of no such size");
	if (rotation->epoch == 0 || rotation->epoch == UINT32_MAX)
		return err_set(ctx, ERR_MALFORMED, "an epoch that no log has");
	return OK;
}

static enum err change_pack(struct buf *out, const char *network, const struct rotation *rotation)
{
	const struct member *member = &rotation->member;
	Sauti__KeyChange message = SAUTI__KEY_CHANGE__INIT;

	message.network = (char *)network;
	message.name = (char *)member->name;
	message.tls_spki_sha256 = codec_binary(hash_bytes(&member->tls_spki));
	message.node_key = codec_binary(BYTES_ARRAY(member->node.b));
	message.mirror_key = codec_binary(BYTES_ARRAY(member->mirror.b));
	message.witness_key = codec_binary(BYTES_ARRAY(member->witness.b));
	message.complaint_key = codec_binary(BYTES_ARRAY(member->complaint.b));
	message.directory_size = rotation->directory_size;
	message.epoch = rotation->epoch;
	message.made_at = rotation->made_at;
	codec_pack(out, &message);
	return out->err;
}

enum err rotation_body(struct buf *out, const char *network, const struct rotation *rotation,
	const struct signer *fresh)
{
	CLEANUP(buf_release) struct buf change;
	Sauti__NodeKeysRotated message = SAUTI__NODE_KEYS_ROTATED__INIT;
	struct ed25519_signature proof;

	buf_init(&change, LIMIT_ENTRY_SIZE);
	if (!network_name_valid(bytes_str(network)) || rotation_check(rotation, NULL) != OK ||
		memcmp(signer_public(fresh), &rotation->member.node,
			sizeof(rotation->member.node)) != 0)
		return ERR_INVALID;
	TRY(change_pack(&change, network, rotation));
	TRY(node_sign(fresh, PURPOSE_KEYS_PROOF, buf_bytes(&change), &proof));
	message.change = codec_binary(buf_bytes(&change));
	message.proof = codec_binary(BYTES_ARRAY(proof.b));
	codec_pack(out, &message);
	return out->err;
}

static enum err rotation_from(
	const Sauti__KeyChange *message, struct rotation *ret, struct errctx *ctx)
{
	struct member *member = &ret->member;

	if (strlen(message->name) > LIMIT_NODE_NAME)
		return err_set(ctx, ERR_MALFORMED, "name too long");
	strcpy(member->name, message->name);
	if (!take_exact(message->tls_spki_sha256, member->tls_spki.b, HASH_SIZE) ||
		!take_exact(message->node_key, member->node.b, ED25519_PUBLIC_SIZE) ||
		!take_exact(message->mirror_key, member->mirror.b, ED25519_PUBLIC_SIZE) ||
		!take_exact(message->witness_key, member->witness.b, ED25519_PUBLIC_SIZE) ||
		!take_exact(message->complaint_key, member->complaint.b, X25519_KEY_SIZE))
		return err_set(ctx, ERR_MALFORMED, "a key is not of 32 bytes");
	ret->directory_size = message->directory_size;
	ret->epoch = message->epoch;
	ret->made_at = message->made_at;
	return rotation_check(ret, ctx);
}

static enum err rotation_parse(struct bytes body, struct arena *arena, const char *network,
	struct rotation *ret, struct errctx *ctx)
{
	Sauti__NodeKeysRotated *message;
	Sauti__KeyChange *change;
	struct bytes packed;
	enum err err;

	TRY(CODEC_UNPACK(node_keys_rotated, body, &scan_limits_default, arena, &message, ctx));
	packed = codec_bytes(message->change);
	TRY(CODEC_UNPACK(key_change, packed, &scan_limits_default, arena, &change, ctx));
	if (strcmp(change->network, network) != 0)
		return err_set(ctx, ERR_UNTRUSTED, "of another network");
	TRY(rotation_from(change, ret, ctx));
	err = node_check(
		&ret->member.node, PURPOSE_KEYS_PROOF, packed, codec_bytes(message->proof));
	return err == ERR_UNTRUSTED ? err_set(ctx, err, "the new key did not sign it") : err;
}

enum err rotation_read(struct bytes body, struct arena *arena, const char *network,
	struct rotation *ret, struct errctx *ctx)
{
	struct rotation rotation = {.epoch = 0};
	enum err err = rotation_parse(body, arena, network, &rotation, ctx);

	if (err == ERR_LIMIT)
		err = ERR_MALFORMED;
	if (err != OK)
		return err == ERR_NOMEM ? err : err_wrap(ctx, err, "NodeKeysRotated");
	*ret = rotation;
	return OK;
}

/* ---- NodeReplaced ---- */

static enum err replacement_check(const struct replacement *r, struct errctx *ctx)
{
	if (strcmp(r->closing.name, r->member.name) != 0)
		return err_set(ctx, ERR_MALFORMED, "it closes the logs of another");
	if (r->epoch == 0 || r->epoch == UINT32_MAX)
		return err_set(ctx, ERR_MALFORMED, "an epoch that no log has");
	for (size_t i = 0; i < r->closing.log_count; i++) {
		uint32_t counter;
		struct bytes node;

		if (!log_origin_read(r->closing.logs[i].origin, &node, &counter) ||
			counter > r->epoch)
			return err_set(ctx, ERR_MALFORMED, "a log behind its epoch");
	}
	return OK;
}

/* What the new machine signed. */
static enum err admitted_take(
	struct replacement *r, struct arena *arena, const char *network, struct errctx *ctx)
{
	TRY(node_admitted_read(r->admitted, arena, network, &r->member, ctx));

	enum err err = node_check(
		&r->member.node, PURPOSE_NODE_ADMITTED, r->admitted, r->admitted_signature);

	return err == ERR_UNTRUSTED ? err_set(ctx, err, "the new key did not sign it") : err;
}

enum err replacement_body(
	struct buf *out, const char *network, const struct replacement *replacement)
{
	CLEANUP(buf_release) struct buf closing;
	CLEANUP(arena_release) struct arena arena;
	Sauti__NodeReplaced message = SAUTI__NODE_REPLACED__INIT;
	struct replacement r = *replacement;
	enum err err;

	buf_init(&closing, LIMIT_ENTRY_SIZE);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	TRY(node_revoked_body(&closing, network, &r.closing));
	err = admitted_take(&r, &arena, network, NULL);
	if (err == OK)
		err = replacement_check(&r, NULL);
	if (err != OK)
		return err == ERR_NOMEM ? err : ERR_INVALID;
	message.closing = codec_binary(buf_bytes(&closing));
	message.admitted = codec_binary(r.admitted);
	message.admitted_signature = codec_binary(r.admitted_signature);
	message.epoch = r.epoch;
	codec_pack(out, &message);
	return out->err;
}

static enum err replacement_parse(struct bytes body, struct arena *arena, const char *network,
	struct replacement *ret, struct errctx *ctx)
{
	Sauti__NodeReplaced *message;

	TRY(CODEC_UNPACK(node_replaced, body, &scan_limits_default, arena, &message, ctx));
	TRY(node_revoked_read(codec_bytes(message->closing), arena, network, &ret->closing, ctx));
	ret->admitted = codec_bytes(message->admitted);
	ret->admitted_signature = codec_bytes(message->admitted_signature);
	ret->epoch = message->epoch;
	TRY(admitted_take(ret, arena, network, ctx));
	return replacement_check(ret, ctx);
}

enum err replacement_read(struct bytes body, struct arena *arena, const char *network,
	struct replacement *ret, struct errctx *ctx)
{
	struct replacement replacement = {.epoch = 0};
	enum err err = replacement_parse(body, arena, network, &replacement, ctx);

	if (err == ERR_LIMIT)
		err = ERR_MALFORMED;
	if (err != OK)
		return err == ERR_NOMEM ? err : err_wrap(ctx, err, "NodeReplaced");
	*ret = replacement;
	return OK;
}
