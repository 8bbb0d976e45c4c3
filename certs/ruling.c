#include "certs/ruling.h"

#include "base/text.h"
#include "certs/record.h"

bool reason_valid(const char *text)
{
	size_t size = strlen(text);

	if (size == 0 || size > LIMIT_REASON || !utf8_valid(bytes_str(text)))
		return false;
	for (size_t i = 0; i < size; i++) {
		uint8_t c = (uint8_t)text[i], next = (uint8_t)text[i + 1];

		if (c < 0x20 || c == 0x7f || (c == 0xc2 && next >= 0x80 && next < 0xa0))
			return false;
	}
	return true;
}

static bool take_exact(ProtobufCBinaryData field, uint8_t *out, size_t size)
{
	if (field.len != size)
		return false;
	memcpy(out, field.data, size);
	return true;
}

/* ---- NodeRevoked ---- */

static enum err revoked_check(
	const struct revocation *revocation, const char *network, struct errctx *ctx)
{
	if (!node_name_valid(bytes_str(revocation->name)) || node_name_reserved(revocation->name))
		return err_set(ctx, ERR_MALFORMED, "name is no node's name");
	if (!reason_valid(revocation->reason))
		return err_set(ctx, ERR_MALFORMED, "the reason is empty, too long or no text");
	if (revocation->log_count > LIMIT_EPOCHS_PER_NODE)
		return err_set(ctx, ERR_MALFORMED, "%zu logs", revocation->log_count);
	for (size_t i = 0; i < revocation->log_count; i++) {
		const struct revoked_log *log = &revocation->logs[i];

		if (!log_origin_ok(log->origin, network, revocation->name))
			return err_set(ctx, ERR_MALFORMED, "a log that is not its own");
		if (log->size == 0 || log->size > LIMIT_LOG_SIZE)
			return err_set(ctx, ERR_MALFORMED, "a log of a size that none has");
		for (size_t j = 0; j < i; j++)
			if (strcmp(log->origin, revocation->logs[j].origin) == 0)
				return err_set(ctx, ERR_MALFORMED, "a log listed twice");
	}
	return OK;
}

enum err node_revoked_body(
	struct buf *out, const char *network, const struct revocation *revocation)
{
	Sauti__RevokedLog logs[LIMIT_EPOCHS_PER_NODE], *list[LIMIT_EPOCHS_PER_NODE];
	Sauti__NodeRevoked message = SAUTI__NODE_REVOKED__INIT;

	if (!network_name_valid(bytes_str(network)) ||
		revoked_check(revocation, network, NULL) != OK)
		return ERR_INVALID;
	for (size_t i = 0; i < revocation->log_count; i++) {
		struct revoked_log *log = &revocation->logs[i];

		sauti__revoked_log__init(&logs[i]);
		logs[i].origin = log->origin;
		logs[i].size = log->size;
		logs[i].root = codec_binary(hash_bytes(&log->root));
		logs[i].signature = codec_binary(BYTES_ARRAY(log->signature.b));
		list[i] = &logs[i];
	}
	message.network = (char *)network;
	message.name = (char *)revocation->name;
	message.reason = (char *)revocation->reason;
	message.revoked_at = revocation->revoked_at;
	message.n_logs = revocation->log_count;
	message.logs = list;
	codec_pack(out, &message);
	return out->err;
}

static enum err revoked_log_from(
	const Sauti__RevokedLog *message, struct revoked_log *log, struct errctx *ctx)
{
	if (strlen(message->origin) > LIMIT_ORIGIN)
		return err_set(ctx, ERR_MALFORMED, "a log that is not its own");
	strcpy(log->origin, message->origin);
	log->size = message->size;
	if (!take_exact(message->root, log->root.b, HASH_SIZE) ||
		!take_exact(message->signature, log->signature.b, ED25519_SIGNATURE_SIZE))
		return err_set(ctx, ERR_MALFORMED, "a root or signature of another length");
	return OK;
}

static enum err revoked_from(const Sauti__NodeRevoked *message, struct arena *arena,
	const char *network, struct revocation *ret, struct errctx *ctx)
{
	if (strlen(message->name) > LIMIT_NODE_NAME || strlen(message->reason) > LIMIT_REASON)
		return err_set(ctx, ERR_MALFORMED, "name or reason too long");
	if (message->n_logs > LIMIT_EPOCHS_PER_NODE)
		return err_set(ctx, ERR_MALFORMED, "%zu logs", message->n_logs);
	strcpy(ret->name, message->name);
	strcpy(ret->reason, message->reason);
	ret->revoked_at = message->revoked_at;
	ret->log_count = message->n_logs;
	ret->logs = arena_alloc(arena, (message->n_logs + 1) * sizeof(*ret->logs));
	if (ret->logs == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < message->n_logs; i++)
		TRY(revoked_log_from(message->logs[i], &ret->logs[i], ctx));
	return revoked_check(ret, network, ctx);
}

enum err node_revoked_read(struct bytes body, struct arena *arena, const char *network,
	struct revocation *ret, struct errctx *ctx)
{
	struct revocation revocation = {0};
	Sauti__NodeRevoked *message;
	enum err err;

	err = CODEC_UNPACK(node_revoked, body, &scan_limits_default, arena, &message, ctx);
	if (err != OK)
		return err == ERR_LIMIT ? ERR_MALFORMED : err;
	if (strcmp(message->network, network) != 0)
		return err_set(ctx, ERR_UNTRUSTED, "NodeRevoked: of another network");
	err = revoked_from(message, arena, network, &revocation, ctx);
	if (err != OK)
		return err_wrap(ctx, err, "NodeRevoked");
	*ret = revocation;
	return OK;
}

/* ---- Disputed ---- */

static bool disputed_ok(const struct disputed *disputed)
{
	return node_name_valid(bytes_str(disputed->name)) && !node_name_reserved(disputed->name) &&
	       reason_valid(disputed->text) && disputed->index < LIMIT_DIRECTORY_RECORDS;
}

enum err disputed_body(struct buf *out, const char *network, const struct disputed *disputed)
{
	Sauti__Disputed message = SAUTI__DISPUTED__INIT;

	if (!network_name_valid(bytes_str(network)) || !disputed_ok(disputed))
		return ERR_INVALID;
	message.network = (char *)network;
	message.name = (char *)disputed->name;
	message.index = disputed->index;
	message.text = (char *)disputed->text;
	message.made_at = disputed->made_at;
	codec_pack(out, &message);
	return out->err;
}

enum err disputed_read(struct bytes body, struct arena *arena, const char *network,
	struct disputed *ret, struct errctx *ctx)
{
	struct disputed disputed = {0};
	Sauti__Disputed *message;
	enum err err;

	err = CODEC_UNPACK(disputed, body, &scan_limits_default, arena, &message, ctx);
	if (err != OK)
		return err == ERR_LIMIT ? ERR_MALFORMED : err;
	if (strcmp(message->network, network) != 0)
		return err_set(ctx, ERR_UNTRUSTED, "Disputed: of another network");
	if (strlen(message->name) > LIMIT_NODE_NAME || strlen(message->text) > LIMIT_REASON)
		return err_set(ctx, ERR_MALFORMED, "Disputed: name or text too long");
	strcpy(disputed.name, message->name);
	strcpy(disputed.text, message->text);
	disputed.index = message->index;
	disputed.made_at = message->made_at;
	if (!disputed_ok(&disputed))
		return err_set(ctx, ERR_MALFORMED, "Disputed: name, text or index is none");
	*ret = disputed;
	return OK;
}

/* ---- PolicyChanged ---- */

void policy_init(struct policy *policy)
{
	*policy = (struct policy){
		.quorum = POLICY_QUORUM_MIN,
		.hide_below = POLICY_HIDE_MIN,
		.split_offices = POLICY_SPLIT_MIN,
	};
}

static enum err floor_check(
	const char *what, uint32_t value, uint32_t floor, uint32_t cap, struct errctx *ctx)
{
	if (value >= floor && value <= cap)
		return OK;
	return err_set(ctx, ERR_MALFORMED, "%s %u, allowed: %u to %u", what, (unsigned)value,
		(unsigned)floor, (unsigned)cap);
}

enum err policy_check(const struct policy *policy, struct errctx *ctx)
{
	TRY(floor_check("quorum", policy->quorum, POLICY_QUORUM_MIN, LIMIT_POLICY_MIRRORS, ctx));
	TRY(floor_check(
		"hide_below", policy->hide_below, POLICY_HIDE_MIN, LIMIT_POLICY_FLOOR, ctx));
	TRY(floor_check(
		"split_offices", policy->split_offices, POLICY_SPLIT_MIN, LIMIT_POLICY_FLOOR, ctx));
	if (policy->mirror_count > LIMIT_POLICY_MIRRORS)
		return err_set(ctx, ERR_MALFORMED, "%zu mirrors", policy->mirror_count);
	if (policy->mirror_count > 0 && policy->quorum > policy->mirror_count)
		return err_set(ctx, ERR_MALFORMED, "a quorum of %u of %zu mirrors",
			(unsigned)policy->quorum, policy->mirror_count);
	for (size_t i = 0; i < policy->mirror_count; i++) {
		if (!node_name_valid(bytes_str(policy->mirrors[i])))
			return err_set(ctx, ERR_MALFORMED, "a mirror's name is none");
		for (size_t j = 0; j < i; j++)
			if (strcmp(policy->mirrors[i], policy->mirrors[j]) == 0)
				return err_set(ctx, ERR_MALFORMED, "a mirror named twice");
	}
	return OK;
}

bool policy_names(const struct policy *policy, const char *mirror)
{
	for (size_t i = 0; i < policy->mirror_count; i++)
		if (strcmp(policy->mirrors[i], mirror) == 0)
			return true;
	return policy->mirror_count == 0;
}

enum err policy_changed_body(struct buf *out, const char *network, const struct policy *policy)
{
	Sauti__PolicyChanged message = SAUTI__POLICY_CHANGED__INIT;
	char *mirrors[LIMIT_POLICY_MIRRORS];

	if (!network_name_valid(bytes_str(network)) || policy_check(policy, NULL) != OK)
		return ERR_INVALID;
	for (size_t i = 0; i < policy->mirror_count; i++)
		mirrors[i] = (char *)policy->mirrors[i];
	message.network = (char *)network;
	message.quorum = policy->quorum;
	message.n_mirrors = policy->mirror_count;
	message.mirrors = mirrors;
	message.hide_below = policy->hide_below;
	message.split_offices = policy->split_offices;
	message.changed_at = policy->changed_at;
	codec_pack(out, &message);
	return out->err;
}

enum err policy_changed_read(struct bytes body, struct arena *arena, const char *network,
	struct policy *ret, struct errctx *ctx)
{
	struct policy policy = {0};
	Sauti__PolicyChanged *message;
	enum err err;

	err = CODEC_UNPACK(policy_changed, body, &scan_limits_default, arena, &message, ctx);
	if (err != OK)
		return err == ERR_LIMIT ? ERR_MALFORMED : err;
	if (strcmp(message->network, network) != 0)
		return err_set(ctx, ERR_UNTRUSTED, "PolicyChanged: of another network");
	if (message->n_mirrors > LIMIT_POLICY_MIRRORS)
		return err_set(
			ctx, ERR_MALFORMED, "PolicyChanged: %zu mirrors", message->n_mirrors);
	for (size_t i = 0; i < message->n_mirrors; i++) {
		if (strlen(message->mirrors[i]) > LIMIT_NODE_NAME)
			return err_set(
				ctx, ERR_MALFORMED, "PolicyChanged: a mirror's name is none");
		strcpy(policy.mirrors[i], message->mirrors[i]);
	}
	policy.mirror_count = message->n_mirrors;
	policy.quorum = message->quorum;
	policy.hide_below = message->hide_below;
	policy.split_offices = message->split_offices;
	policy.changed_at = message->changed_at;
	err = policy_check(&policy, ctx);
	if (err != OK)
		return err_wrap(ctx, err, "PolicyChanged");
	*ret = policy;
	return OK;
}
