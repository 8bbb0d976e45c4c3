#include "certs/join.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/text.h"
#include "certs/change.h"
#include "certs/record.h"
#include "certs/x509.h"
#include "proto/codec.h"

#define TOKEN_PREFIX "sauti-join-1."
#define PROOF_LABEL  "sauti/1 join"

enum {
	TOKEN_ADDRESSES = sizeof(((struct join_token *)0)->addresses) / (LIMIT_ADDRESS + 1),
	TOKEN_PACKED_MAX = LIMIT_JOIN_TOKEN / 4 * 3,
	TLS_PUBLIC_MAX = 256, /* a P-256 SubjectPublicKeyInfo is 91 bytes */
	ADMITTED_MAX = 2048,
};

/* ---- token ---- */

/* host:port, printable and without blanks; who dials it looks closer. */
static bool address_ok(struct bytes address)
{
	if (address.size == 0 || address.size > LIMIT_ADDRESS)
		return false;
	for (size_t i = 0; i < address.size; i++) {
		if (address.data[i] <= ' ' || address.data[i] > '~')
			return false;
	}
	return true;
}

/* Name, role and country as a NodeAdmitted may have them: the rules of member_check, asked with
 * keys that are beyond doubt. */
static bool place_ok(const char *name, enum role role, const char *country)
{
	struct member member = {.role = role};

	if (strlen(name) > LIMIT_NODE_NAME || strlen(country) > 3)
		return false;
	strcpy(member.name, name);
	strcpy(member.country, country);
	member.node.b[0] = 2;
	member.mirror.b[0] = 3;
	member.witness.b[0] = 4;
	member.complaint.b[0] = 5;
	return member_check(&member, NULL) == OK;
}

/* The name of the field that is not as it must be, or NULL. */
static const char *token_fault(const struct join_token *token)
{
	size_t addresses = 0;

	if (!network_name_valid(bytes_str(token->network)))
		return "network";
	while (addresses < TOKEN_ADDRESSES && token->addresses[addresses][0] != '\0')
		addresses++;
	if (addresses == 0)
		return "addresses";
	for (size_t i = 0; i < addresses; i++) {
		if (!address_ok(bytes_str(token->addresses[i])))
			return "address";
	}
	if (!log_origin_ok(token->directory_origin, token->network, "directory"))
		return "directory origin";
	if (token->directory_size == 0 || token->directory_size > LIMIT_DIRECTORY_RECORDS)
		return "directory size";
	if (!place_ok(token->name, token->role, token->country))
		return "name, role or country";
	if (token->epoch == UINT32_MAX)
		return "epoch";
	return token->expires_at == 0 ? "expiry" : NULL;
}

enum err join_token_write(const struct join_token *token, struct buf *out)
{
	CLEANUP(buf_wipe) struct buf packed;
	Sauti__JoinToken message = SAUTI__JOIN_TOKEN__INIT;
	char *addresses[TOKEN_ADDRESSES];
	size_t size;

	buf_init(&packed, TOKEN_PACKED_MAX);
	if (token_fault(token) != NULL)
		return ERR_INVALID;
	message.network = (char *)token->network;
	message.addresses = addresses;
	for (size_t i = 0; i < TOKEN_ADDRESSES && token->addresses[i][0] != '\0'; i++)
		addresses[message.n_addresses++] = (char *)token->addresses[i];
	message.directory_origin = (char *)token->directory_origin;
	message.directory_key = codec_binary(BYTES_ARRAY(token->directory_key.b));
	message.directory_size = token->directory_size;
	message.directory_root = codec_binary(hash_bytes(&token->directory_root));
	message.secret = codec_binary(BYTES_ARRAY(token->secret));
	message.name = (char *)token->name;
	message.role = (uint32_t)token->role;
	message.country = (char *)token->country;
	message.expires_at = token->expires_at;
	message.epoch = token->epoch;
	size = protobuf_c_message_get_packed_size(&message.base);
	if (strlen(TOKEN_PREFIX) + (4 * size + 2) / 3 > LIMIT_JOIN_TOKEN)
		return ERR_LIMIT;
	if (buf_reserve(&packed, size) != NULL)
		codec_pack(&packed, &message);
	TRY(packed.err);
	/* All room at once: growth would leave a copy of the secret behind. */
	if (buf_reserve(out, strlen(TOKEN_PREFIX) + (4 * size + 2) / 3) != NULL) {
		buf_put_str(out, TOKEN_PREFIX);
		base64url_encode(out, buf_bytes(&packed));
	}
	return out->err;
}

static bool take_text(char *to, size_t size_max, const char *from)
{
	if (strlen(from) > size_max)
		return false;
	strcpy(to, from);
	return true;
}

static bool take_exact(uint8_t *to, size_t size, ProtobufCBinaryData from)
{
	if (from.len != size)
		return false;
	memcpy(to, from.data, size);
	return true;
}

/* Sizes only; the name of the field that does not fit, or NULL. */
static const char *token_take(const Sauti__JoinToken *message, struct join_token *token)
{
	if (!take_text(token->network, LIMIT_NETWORK_NAME, message->network))
		return "network";
	if (message->n_addresses > TOKEN_ADDRESSES)
		return "addresses";
	for (size_t i = 0; i < message->n_addresses; i++) {
		if (message->addresses[i][0] == '\0' ||
			!take_text(token->addresses[i], LIMIT_ADDRESS, message->addresses[i]))
			return "address";
	}
	if (!take_text(token->directory_origin, LIMIT_ORIGIN, message->directory_origin))
		return "directory origin";
	if (!take_exact(token->directory_key.b, ED25519_PUBLIC_SIZE, message->directory_key))
		return "directory key";
	if (!take_exact(token->directory_root.b, HASH_SIZE, message->directory_root))
		return "directory root";
	if (!take_exact(token->secret, JOIN_SECRET_SIZE, message->secret))
		return "secret";
	if (!take_text(token->name, LIMIT_NODE_NAME, message->name) ||
		!take_text(token->country, 3, message->country) ||
		message->role > (uint32_t)ROLE_AUDITOR)
		return "name, role or country";
	token->role = (enum role)message->role;
	token->directory_size = message->directory_size;
	token->expires_at = message->expires_at;
	token->epoch = message->epoch;
	return NULL;
}

static enum err token_parse(struct bytes packed, struct join_token *token, struct errctx *ctx)
{
	CLEANUP(arena_release) struct arena arena;
	Sauti__JoinToken *message;
	const char *fault;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	err = CODEC_UNPACK(join_token, packed, &scan_limits_strict, &arena, &message, ctx);
	if (err != OK)
		return err_wrap(ctx, err == ERR_NOMEM ? err : ERR_MALFORMED, "join token");
	fault = token_take(message, token);
	if (fault == NULL)
		fault = token_fault(token);
	wipe(message->secret.data, message->secret.len);
	if (fault != NULL)
		return err_set(ctx, ERR_MALFORMED, "join token: bad %s", fault);
	return OK;
}

static bool blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct bytes trim(struct bytes text)
{
	while (text.size > 0 && blank(text.data[0]))
		text = bytes_make(text.data + 1, text.size - 1);
	while (text.size > 0 && blank(text.data[text.size - 1]))
		text.size--;
	return text;
}

enum err join_token_read(struct bytes text, struct join_token *ret, struct errctx *ctx)
{
	const size_t prefix_size = strlen(TOKEN_PREFIX);
	CLEANUP(buf_wipe) struct buf packed;
	struct join_token token = {0};
	enum err err;

	buf_init(&packed, TOKEN_PACKED_MAX);
	text = trim(text);
	if (text.size > LIMIT_JOIN_TOKEN)
		return err_set(ctx, ERR_MALFORMED, "join token: longer than %d characters",
			LIMIT_JOIN_TOKEN);
	if (text.size < prefix_size || memcmp(text.data, TOKEN_PREFIX, prefix_size) != 0)
		return err_set(
			ctx, ERR_MALFORMED, "join token: does not begin with '%s'", TOKEN_PREFIX);
	text = bytes_make(text.data + prefix_size, text.size - prefix_size);
	if (buf_reserve(&packed, text.size / 4 * 3 + 3) == NULL && packed.err == ERR_NOMEM)
		return ERR_NOMEM;
	if (base64url_decode(text, &packed) != OK)
		return err_set(ctx, ERR_MALFORMED, "join token: not base64url: was it cut?");
	err = token_parse(buf_bytes(&packed), &token, ctx);
	if (err == OK)
		*ret = token;
	wipe(&token, sizeof(token));
	return err;
}

/* ---- the joiner ---- */

enum err join_welcome_check(const struct join_token *token, const struct directory *directory,
	const struct hash *spki, struct errctx *ctx)
{
	struct ed25519_public key;
	const char *origin = directory_origin(directory, &key);
	const struct member *member;

	if (origin == NULL || strcmp(directory_network(directory), token->network) != 0 ||
		strcmp(origin, token->directory_origin) != 0 ||
		!bytes_equal(BYTES_ARRAY(key.b), BYTES_ARRAY(token->directory_key.b)))
		return err_set(ctx, ERR_UNTRUSTED, "the directory is not the one of the token");
	if (directory_size(directory) < token->directory_size)
		return err_set(ctx, ERR_UNTRUSTED, "the directory is older than the token");
	member = directory_find_spki(directory, spki);
	if (member == NULL || !member->active)
		return err_set(
			ctx, ERR_UNTRUSTED, "the server's key is not that of an active member");
	if (member->role != ROLE_HQ)
		return err_set(ctx, ERR_UNTRUSTED, "the server is '%s', which is not headquarters",
			member->name);
	return OK;
}

enum err join_proof(const uint8_t secret[JOIN_SECRET_SIZE], const char *network, const char *name,
	struct bytes tls_spki, struct bytes admitted_body,
	const uint8_t exporter[JOIN_EXPORTER_SIZE], struct hash *ret)
{
	CLEANUP(buf_release) struct buf names;
	struct hash spki_hash, body_hash;

	buf_init(&names, 4 * 65535);
	buf_put_lv16(&names, bytes_str(network));
	buf_put_lv16(&names, bytes_str(name));
	TRY(names.err);
	sha256(tls_spki, &spki_hash);
	sha256(admitted_body, &body_hash);
	const struct bytes parts[] = {
		bytes_str(PROOF_LABEL),
		buf_bytes(&names),
		hash_bytes(&spki_hash),
		hash_bytes(&body_hash),
		bytes_make(exporter, JOIN_EXPORTER_SIZE),
	};
	return hmac_sha256(
		bytes_make(secret, JOIN_SECRET_SIZE), parts, sizeof(parts) / sizeof(parts[0]), ret);
}

static void signer_free_p(struct signer **signer)
{
	signer_free(*signer);
}

static enum err public_of(const struct secret *seed, struct ed25519_public *ret)
{
	CLEANUP(signer_free_p) struct signer *signer = NULL;

	TRY(signer_new(secret_bytes(seed), &signer));
	*ret = *signer_public(signer);
	return OK;
}

/* Appends the SPKI of the TLS key. */
static enum err member_fill(const struct join_token *token, const struct boot_keys *boot,
	const struct node_keys *keys, uint64_t now, struct buf *spki, struct member *member)
{
	strcpy(member->name, token->name);
	strcpy(member->country, token->country);
	member->role = token->role;
	member->made_at = now;
	TRY(tls_key_spki(secret_bytes(&boot->tls_key), spki, &member->tls_spki));
	TRY(public_of(&keys->node_seed, &member->node));
	TRY(public_of(&boot->mirror_seed, &member->mirror));
	TRY(public_of(&boot->witness_seed, &member->witness));
	return x25519_public(secret_bytes(&keys->complaint_key), &member->complaint);
}

enum err join_request_write(const struct join_token *token, const struct boot_keys *boot,
	const struct node_keys *keys, const uint8_t exporter[JOIN_EXPORTER_SIZE], uint64_t now,
	struct buf *out)
{
	CLEANUP(signer_free_p) struct signer *signer = NULL;
	CLEANUP(buf_release) struct buf spki, body;
	Sauti__JoinRequest request = SAUTI__JOIN_REQUEST__INIT;
	struct ed25519_signature signature;
	struct member member = {0};
	struct hash proof;

	buf_init(&spki, TLS_PUBLIC_MAX);
	buf_init(&body, ADMITTED_MAX);
	if (strcmp(boot->network, token->network) != 0 || strcmp(boot->node, token->name) != 0)
		return ERR_INVALID;
	if (boot->tls_key.size == 0)
		return ERR_INVALID;
	TRY(member_fill(token, boot, keys, now, &spki, &member));
	TRY(node_admitted_body(&body, token->network, &member));
	TRY(signer_new(secret_bytes(&keys->node_seed), &signer));
	TRY(node_sign(signer, PURPOSE_NODE_ADMITTED, buf_bytes(&body), &signature));
	TRY(join_proof(token->secret, token->network, token->name, buf_bytes(&spki),
		buf_bytes(&body), exporter, &proof));
	request.name = (char *)token->name;
	request.proof = codec_binary(hash_bytes(&proof));
	request.tls_public = codec_binary(buf_bytes(&spki));
	request.admitted_body = codec_binary(buf_bytes(&body));
	request.admitted_signature = codec_binary(BYTES_ARRAY(signature.b));
	codec_pack(out, &request);
	return out->err;
}

/* ---- headquarters ---- */

/* Exactly what OpenSSL would write for a P-256 key: the certificate must have this very hash. */
static bool p256_public_ok(struct bytes spki)
{
	const unsigned char *at = spki.data;
	unsigned char *again = NULL;
	char group[32] = "";
	EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)spki.size);
	int size = key == NULL ? 0 : i2d_PUBKEY(key, &again);
	bool ok = size > 0 && EVP_PKEY_is_a(key, "EC") == 1 &&
		  EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
		  strcmp(group, SN_X9_62_prime256v1) == 0 &&
		  bytes_equal(bytes_make(again, (size_t)size), spki);

	OPENSSL_free(again);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return ok;
}

/* What needs no secret: sizes, and that the request is for this invite and in time. */
static enum err request_form(const Sauti__JoinRequest *request, const struct join_invite *invite,
	uint64_t now, struct errctx *ctx)
{
	if (strcmp(request->name, invite->name) != 0)
		return err_set(ctx, ERR_DENIED, "the request is not for the invited name");
	if (now >= invite->expires_at)
		return err_set(ctx, ERR_DENIED, "the invite has expired");
	if (request->proof.len != HASH_SIZE)
		return err_set(ctx, ERR_DENIED, "proof of %zu bytes", request->proof.len);
	if (request->tls_public.len > TLS_PUBLIC_MAX || request->admitted_body.len > ADMITTED_MAX)
		return err_set(ctx, ERR_DENIED, "a field is too long");
	return OK;
}

static enum err request_prove(const Sauti__JoinRequest *request, const char *network,
	const struct join_invite *invite, const uint8_t exporter[JOIN_EXPORTER_SIZE],
	struct errctx *ctx)
{
	struct hash proof;

	TRY(join_proof(invite->secret, network, invite->name, codec_bytes(request->tls_public),
		codec_bytes(request->admitted_body), exporter, &proof));
	if (!equal_secret(hash_bytes(&proof), codec_bytes(request->proof)))
		return err_set(ctx, ERR_DENIED,
			"the proof is wrong: not by the holder of the token, "
			"or not for this connection");
	return OK;
}

/* What the holder of the token signed must be what was offered, and its own. */
static enum err request_member(const Sauti__JoinRequest *request, const char *network,
	const struct join_invite *invite, struct member *ret, struct errctx *ctx)
{
	CLEANUP(arena_release) struct arena arena;
	struct bytes body = codec_bytes(request->admitted_body);
	struct hash spki;
	struct member member;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	err = node_admitted_read(body, &arena, network, &member, ctx);
	if (err != OK)
		return err == ERR_NOMEM ? err : ERR_DENIED;
	if (strcmp(member.name, invite->name) != 0)
		return err_set(ctx, ERR_DENIED, "NodeAdmitted is not for the invited name");
	if (member.role != invite->role)
		return err_set(ctx, ERR_DENIED, "role is not the invited one");
	if (strcmp(member.country, invite->country) != 0)
		return err_set(ctx, ERR_DENIED, "country is not the invited one");
	if (!p256_public_ok(codec_bytes(request->tls_public)))
		return err_set(ctx, ERR_DENIED, "the TLS key is not of P-256");
	sha256(codec_bytes(request->tls_public), &spki);
	if (!hash_equal(&spki, &member.tls_spki))
		return err_set(ctx, ERR_DENIED, "the TLS key is not the one in NodeAdmitted");
	err = node_check(&member.node, PURPOSE_NODE_ADMITTED, body,
		codec_bytes(request->admitted_signature));
	if (err == ERR_UNTRUSTED)
		return err_set(ctx, ERR_DENIED, "NodeAdmitted is not signed by its node key");
	if (err == OK)
		*ret = member;
	return err;
}

enum err join_request_check(const Sauti__JoinRequest *request, const char *network,
	const struct join_invite *invite, const uint8_t exporter[JOIN_EXPORTER_SIZE], uint64_t now,
	struct member *ret, struct errctx *ctx)
{
	TRY(request_form(request, invite, now, ctx));
	TRY(request_prove(request, network, invite, exporter, ctx));
	return request_member(request, network, invite, ret, ctx);
}

/* ---- keys that rotate ---- */

enum err join_rotation_write(const struct rotation *rotation, const char *network,
	const struct boot_keys *boot, const struct signer *fresh, const struct signer *signer,
	struct buf *out)
{
	CLEANUP(buf_release) struct buf spki, body;
	Sauti__JoinRequest request = SAUTI__JOIN_REQUEST__INIT;
	struct ed25519_signature signature;
	struct hash hash;

	buf_init(&spki, TLS_PUBLIC_MAX);
	buf_init(&body, ADMITTED_MAX);
	TRY(tls_key_spki(secret_bytes(&boot->tls_key), &spki, &hash));
	TRY(rotation_body(&body, network, rotation, fresh));
	TRY(node_sign(signer, PURPOSE_KEYS_ROTATED, buf_bytes(&body), &signature));
	request.name = (char *)rotation->member.name;
	request.tls_public = codec_binary(buf_bytes(&spki));
	request.rotated_body = codec_binary(buf_bytes(&body));
	request.rotated_signature = codec_binary(BYTES_ARRAY(signature.b));
	codec_pack(out, &request);
	return out->err;
}

/* By the key that is listed, or by the one before when the new ones are: its reply was lost. */
static enum err rotation_signed(const Sauti__JoinRequest *request, const struct member *listed,
	const struct member *fresh, struct errctx *ctx)
{
	const struct ed25519_public *key = &listed->node;
	enum err err;

	if (memcmp(&listed->node, &fresh->node, sizeof(listed->node)) == 0 &&
		listed->former != NULL)
		key = &listed->former->node;
	err = node_check(key, PURPOSE_KEYS_ROTATED, codec_bytes(request->rotated_body),
		codec_bytes(request->rotated_signature));
	return err == ERR_UNTRUSTED
		       ? err_set(ctx, ERR_DENIED, "NodeKeysRotated is not signed by its node key")
		       : err;
}

enum err join_rotation_check(const Sauti__JoinRequest *request, const struct directory *directory,
	struct member *ret, struct errctx *ctx)
{
	CLEANUP(arena_release) struct arena arena;
	const struct member *listed;
	struct rotation rotation;
	struct hash spki;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (request->rotated_body.len > ADMITTED_MAX || request->tls_public.len > TLS_PUBLIC_MAX)
		return err_set(ctx, ERR_DENIED, "a field is too long");
	err = rotation_read(codec_bytes(request->rotated_body), &arena,
		directory_network(directory), &rotation, ctx);
	if (err != OK)
		return err == ERR_NOMEM ? err : ERR_DENIED;
	listed = directory_find(directory, bytes_str(rotation.member.name));
	if (listed == NULL || !listed->active || strcmp(request->name, listed->name) != 0)
		return err_set(ctx, ERR_DENIED, "it is no active member");
	if (listed->role == ROLE_HQ)
		return err_set(ctx, ERR_DENIED, "headquarters does not rotate its keys so");
	if (!p256_public_ok(codec_bytes(request->tls_public)))
		return err_set(ctx, ERR_DENIED, "the TLS key is not of P-256");
	sha256(codec_bytes(request->tls_public), &spki);
	if (!hash_equal(&spki, &rotation.member.tls_spki))
		return err_set(ctx, ERR_DENIED, "the TLS key is not the one in NodeKeysRotated");
	TRY(rotation_signed(request, listed, &rotation.member, ctx));
	*ret = rotation.member;
	return OK;
}
