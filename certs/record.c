#include "certs/record.h"

#include "base/cursor.h"
#include "base/text.h"

#define SIGNED_PREFIX "sauti/1 "
enum { EPOCH_RANDOM_DIGITS = 16 };

/* ---- names and origins ---- */

bool node_name_reserved(const char *name)
{
	return strcmp(name, "directory") == 0;
}

static bool epoch_ok(struct bytes epoch)
{
	struct cursor cursor = cursor_make(epoch);
	struct bytes counter = cursor_until(&cursor, '-');
	uint64_t value;

	if (cursor.err != OK || cursor.rest.size != EPOCH_RANDOM_DIGITS)
		return false;
	for (size_t i = 0; i < EPOCH_RANDOM_DIGITS; i++) {
		uint8_t c = cursor.rest.data[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return decimal_parse(counter, UINT32_MAX, &value) == OK;
}

bool log_origin_ok(const char *origin, const char *network, const char *node)
{
	struct cursor cursor = cursor_make(bytes_str(origin));
	struct bytes its_network = cursor_until(&cursor, '/');
	struct bytes its_node = cursor_until(&cursor, '/');

	if (cursor.err != OK || strlen(origin) > LIMIT_ORIGIN)
		return false;
	if (!network_name_valid(its_network) || !node_name_valid(its_node))
		return false;
	if (network != NULL && !bytes_equal_str(its_network, network))
		return false;
	if (node != NULL && !bytes_equal_str(its_node, node))
		return false;
	return epoch_ok(cursor.rest);
}

bool log_origin_read(const char *origin, struct bytes *ret_node, uint32_t *ret_counter)
{
	struct cursor cursor = cursor_make(bytes_str(origin));
	struct bytes network = cursor_until(&cursor, '/');
	struct bytes node = cursor_until(&cursor, '/');
	struct bytes counter = cursor_until(&cursor, '-');
	uint64_t value;

	if (cursor.err != OK || !network_name_valid(network) || !node_name_valid(node) ||
		decimal_parse(counter, UINT32_MAX, &value) != OK)
		return false;
	*ret_node = node;
	*ret_counter = (uint32_t)value;
	return true;
}

/* ---- signatures ---- */

static enum err signed_message(struct buf *out, const char *purpose, struct bytes body)
{
	size_t head = strlen(SIGNED_PREFIX) + strlen(purpose) + 1;

	if (body.size > LIMIT_ENTRY_SIZE)
		return ERR_LIMIT;
	buf_init(out, head + body.size);
	buf_put_str(out, SIGNED_PREFIX);
	buf_put_str(out, purpose);
	buf_put_u8(out, 0);
	buf_put(out, body);
	return out->err;
}

enum err node_sign(const struct signer *node, const char *purpose, struct bytes body,
	struct ed25519_signature *ret)
{
	CLEANUP(buf_release) struct buf message = {0};

	TRY(signed_message(&message, purpose, body));
	return signer_sign(node, buf_bytes(&message), ret);
}

enum err node_check(const struct ed25519_public *node, const char *purpose, struct bytes body,
	struct bytes signature)
{
	CLEANUP(buf_release) struct buf message = {0};
	enum err err = signed_message(&message, purpose, body);

	if (err == ERR_LIMIT)
		return ERR_UNTRUSTED; /* nobody signs that much */
	if (err != OK)
		return err;
	return ed25519_verify(node, buf_bytes(&message), signature) ? OK : ERR_UNTRUSTED;
}

bool node_verify(const struct ed25519_public *node, const char *purpose, struct bytes body,
	struct bytes signature)
{
	return node_check(node, purpose, body, signature) == OK;
}

/* ---- entries that hold a record ---- */

const char *record_purpose(Sauti__RecordType type)
{
	switch ((int)type) {
	case SAUTI__RECORD_TYPE__RECORD_LOG_OPENED:
		return PURPOSE_LOG_OPENED;
	case SAUTI__RECORD_TYPE__RECORD_NETWORK_CREATED:
		return PURPOSE_NETWORK_CREATED;
	case SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED:
		return PURPOSE_NODE_ADMITTED;
	case SAUTI__RECORD_TYPE__RECORD_NODE_KEYS_ROTATED:
		return PURPOSE_KEYS_ROTATED;
	case SAUTI__RECORD_TYPE__RECORD_NODE_REVOKED:
		return PURPOSE_NODE_REVOKED;
	case SAUTI__RECORD_TYPE__RECORD_NODE_REPLACED:
		return PURPOSE_NODE_REPLACED;
	case SAUTI__RECORD_TYPE__RECORD_POLICY_CHANGED:
		return PURPOSE_POLICY_CHANGED;
	case SAUTI__RECORD_TYPE__RECORD_DISPUTE:
		return PURPOSE_DISPUTE;
	case SAUTI__RECORD_TYPE__RECORD_PREKEY:
		return PURPOSE_PREKEY;
	case SAUTI__RECORD_TYPE__RECORD_ESCROW_CHUNK:
		return PURPOSE_ESCROW_CHUNK;
	case SAUTI__RECORD_TYPE__RECORD_ESCROW_MANIFEST:
		return PURPOSE_ESCROW_MANIFEST;
	case SAUTI__RECORD_TYPE__RECORD_RECEIPT_TAGS:
		return PURPOSE_RECEIPT_TAGS;
	default:
		return NULL;
	}
}

enum err record_write_signed(
	struct buf *out, Sauti__RecordType type, struct bytes body, struct bytes signature)
{
	Sauti__Record record = SAUTI__RECORD__INIT;
	Sauti__Entry entry = SAUTI__ENTRY__INIT;

	if (record_purpose(type) == NULL || signature.size != ED25519_SIGNATURE_SIZE)
		return ERR_INVALID;
	record.type = type;
	record.body = codec_binary(body);
	record.signature = codec_binary(signature);
	entry.body_case = SAUTI__ENTRY__BODY_RECORD;
	entry.record = &record;
	if (protobuf_c_message_get_packed_size(&entry.base) > LIMIT_ENTRY_SIZE)
		return ERR_LIMIT;
	codec_pack(out, &entry);
	return out->err;
}

enum err record_write(
	struct buf *out, Sauti__RecordType type, struct bytes body, const struct signer *node)
{
	const char *purpose = record_purpose(type);
	struct ed25519_signature signature;

	if (purpose == NULL)
		return ERR_INVALID;
	TRY(node_sign(node, purpose, body, &signature));
	return record_write_signed(out, type, body, BYTES_ARRAY(signature.b));
}

enum err record_read(
	struct bytes bytes, struct arena *arena, struct record *ret, struct errctx *ctx)
{
	Sauti__Entry *entry;

	if (bytes.size > LIMIT_ENTRY_SIZE)
		return err_set(ctx, ERR_LIMIT, "entry of %zu bytes", bytes.size);
	TRY(CODEC_UNPACK(entry, bytes, &scan_limits_default, arena, &entry, ctx));
	if (entry->body_case != SAUTI__ENTRY__BODY_RECORD)
		return err_set(ctx, ERR_MALFORMED, "entry holds no record");
	if (entry->record->signature.len != ED25519_SIGNATURE_SIZE)
		return err_set(ctx, ERR_MALFORMED, "record: signature of %zu bytes",
			entry->record->signature.len);
	*ret = (struct record){entry->record->type, codec_bytes(entry->record->body),
		codec_bytes(entry->record->signature)};
	return OK;
}

/* Packs a message into a fresh body and appends the entry that holds it, signed. */
static enum err write_message(
	struct buf *out, Sauti__RecordType type, const void *message, const struct signer *node)
{
	CLEANUP(buf_release) struct buf body;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	codec_pack(&body, message);
	TRY(body.err);
	return record_write(out, type, buf_bytes(&body), node);
}

static bool take_exact(ProtobufCBinaryData field, uint8_t *out, size_t size)
{
	if (field.len != size)
		return false;
	memcpy(out, field.data, size);
	return true;
}

/* ---- LogOpened ---- */

enum err log_opened_write(
	struct buf *out, const struct log_opened *opened, const struct signer *node)
{
	const char *previous = opened->previous_origin == NULL ? "" : opened->previous_origin;
	Sauti__LogOpened message = SAUTI__LOG_OPENED__INIT;

	if (!log_origin_ok(opened->origin, NULL, NULL))
		return ERR_INVALID;
	if (previous[0] != '\0' && !log_origin_ok(previous, NULL, NULL))
		return ERR_INVALID;
	message.origin = (char *)opened->origin;
	message.log_key = codec_binary(BYTES_ARRAY(opened->log_key.b));
	message.previous_origin = (char *)previous;
	message.opened_at = opened->opened_at;
	return write_message(out, SAUTI__RECORD_TYPE__RECORD_LOG_OPENED, &message, node);
}

static enum err log_opened_body(
	struct bytes body, struct arena *arena, struct log_opened *ret, struct errctx *ctx)
{
	struct log_opened opened;
	Sauti__LogOpened *message;

	TRY(CODEC_UNPACK(log_opened, body, &scan_limits_default, arena, &message, ctx));
	if (!log_origin_ok(message->origin, NULL, NULL))
		return err_set(ctx, ERR_MALFORMED, "LogOpened: origin is none");
	if (message->previous_origin[0] != '\0' &&
		(!log_origin_ok(message->previous_origin, NULL, NULL) ||
			strcmp(message->previous_origin, message->origin) == 0))
		return err_set(ctx, ERR_MALFORMED, "LogOpened: previous origin is none");
	if (!take_exact(message->log_key, opened.log_key.b, ED25519_PUBLIC_SIZE))
		return err_set(ctx, ERR_MALFORMED, "LogOpened: log key of %zu bytes",
			message->log_key.len);
	opened.origin = message->origin;
	opened.previous_origin = message->previous_origin;
	opened.opened_at = message->opened_at;
	*ret = opened;
	return OK;
}

enum err log_opened_read(struct bytes entry, const struct ed25519_public *node, struct arena *arena,
	struct log_opened *ret, struct errctx *ctx)
{
	struct log_opened opened;
	struct record record;
	enum err err;

	err = record_read(entry, arena, &record, ctx);
	if (err == OK && record.type != SAUTI__RECORD_TYPE__RECORD_LOG_OPENED)
		err = err_set(ctx, ERR_MALFORMED, "record is no LogOpened");
	if (err == OK)
		err = log_opened_body(record.body, arena, &opened, ctx);
	if (err == ERR_LIMIT)
		err = ERR_MALFORMED; /* to the caller it is one thing: no LogOpened */
	if (err == OK && node != NULL) {
		err = node_check(node, PURPOSE_LOG_OPENED, record.body, record.signature);
		if (err == ERR_UNTRUSTED)
			err_set(ctx, err, "LogOpened: signature is not by the node's key");
	}
	if (err == OK)
		*ret = opened;
	return err;
}

/* ---- NetworkCreated ---- */

enum err network_created_write(
	struct buf *out, const struct network_created *created, const struct signer *node)
{
	Sauti__NetworkCreated message = SAUTI__NETWORK_CREATED__INIT;

	if (!network_name_valid(bytes_str(created->network)) ||
		!node_name_valid(bytes_str(created->hq)) || node_name_reserved(created->hq))
		return ERR_INVALID;
	message.network = (char *)created->network;
	message.hq = (char *)created->hq;
	message.hq_node_key = codec_binary(BYTES_ARRAY(created->hq_node.b));
	message.root_certificate_sha256 = codec_binary(hash_bytes(&created->root_certificate));
	message.created_at = created->created_at;
	return write_message(out, SAUTI__RECORD_TYPE__RECORD_NETWORK_CREATED, &message, node);
}

enum err network_created_read(
	struct bytes body, struct arena *arena, struct network_created *ret, struct errctx *ctx)
{
	struct network_created created;
	Sauti__NetworkCreated *message;

	TRY(CODEC_UNPACK(network_created, body, &scan_limits_default, arena, &message, ctx));
	if (!network_name_valid(bytes_str(message->network)))
		return err_set(ctx, ERR_MALFORMED, "NetworkCreated: network is no name");
	if (!node_name_valid(bytes_str(message->hq)) || node_name_reserved(message->hq))
		return err_set(ctx, ERR_MALFORMED, "NetworkCreated: hq is no node's name");
	if (!take_exact(message->hq_node_key, created.hq_node.b, ED25519_PUBLIC_SIZE))
		return err_set(ctx, ERR_MALFORMED, "NetworkCreated: node key of %zu bytes",
			message->hq_node_key.len);
	if (!take_exact(message->root_certificate_sha256, created.root_certificate.b, HASH_SIZE))
		return err_set(ctx, ERR_MALFORMED, "NetworkCreated: certificate hash of %zu bytes",
			message->root_certificate_sha256.len);
	created.network = message->network;
	created.hq = message->hq;
	created.created_at = message->created_at;
	*ret = created;
	return OK;
}

/* ---- NodeAdmitted ---- */

/*
 * The points of order 1, 2, 4 and 8 of edwards25519, as encoded, the top bit (the sign of x) masked
 * away; 0 and 1 also in the form not reduced mod p. A signature under such a key can be made by
 * anybody, so its owner could deny every record it ever signed.
 */
static const uint8_t small_order[][ED25519_PUBLIC_SIZE] = {
	{0x00},
	{0x01},
	{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
		0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d,
		0x53, 0xfc, 0x05},
	{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
		0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92,
		0xac, 0x03, 0x7a},
	{0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0x7f},
	{0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0x7f},
	{0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0x7f},
};

static bool weak(const uint8_t key[ED25519_PUBLIC_SIZE])
{
	uint8_t y[ED25519_PUBLIC_SIZE];

	memcpy(y, key, sizeof(y));
	y[31] &= 0x7f;
	for (size_t i = 0; i < sizeof(small_order) / sizeof(small_order[0]); i++) {
		if (memcmp(y, small_order[i], sizeof(y)) == 0)
			return true;
	}
	return false;
}

static bool country_ok(enum role role, const char *country)
{
	if (country[0] == '\0')
		return role == ROLE_HQ || role == ROLE_AUDITOR;
	if (role == ROLE_HQ || strlen(country) != 3)
		return false;
	for (size_t i = 0; i < 3; i++) {
		if (country[i] < 'A' || country[i] > 'Z')
			return false;
	}
	return true;
}

static enum err keys_check(const struct member *member, struct errctx *ctx)
{
	const uint8_t *keys[] = {member->node.b, member->mirror.b, member->witness.b,
		member->complaint.b, member->tls_spki.b};
	const size_t count = sizeof(keys) / sizeof(keys[0]), signing = 3;

	for (size_t i = 0; i < count; i++) {
		if (i < signing && weak(keys[i]))
			return err_set(ctx, ERR_MALFORMED, "a key of small order");
		for (size_t j = 0; j < i; j++) {
			if (memcmp(keys[i], keys[j], ED25519_PUBLIC_SIZE) == 0)
				return err_set(ctx, ERR_MALFORMED, "one key in two roles");
		}
	}
	return OK;
}

enum err member_check(const struct member *member, struct errctx *ctx)
{
	if (!node_name_valid(bytes_str(member->name)) || node_name_reserved(member->name))
		return err_set(ctx, ERR_MALFORMED, "name is no node's name");
	if (member->role != ROLE_HQ && member->role != ROLE_OFFICE && member->role != ROLE_AUDITOR)
		return err_set(ctx, ERR_MALFORMED, "unknown role %d", (int)member->role);
	if (!country_ok(member->role, member->country))
		return err_set(ctx, ERR_MALFORMED, "country does not fit role %s",
			role_name(member->role));
	return keys_check(member, ctx);
}

enum err node_admitted_body(struct buf *out, const char *network, const struct member *member)
{
	Sauti__NodeAdmitted message = SAUTI__NODE_ADMITTED__INIT;

	if (!network_name_valid(bytes_str(network)) || member_check(member, NULL) != OK)
		return ERR_INVALID;
	message.network = (char *)network;
	message.name = (char *)member->name;
	message.role = (Sauti__Role)member->role;
	message.country = (char *)member->country;
	message.tls_spki_sha256 = codec_binary(hash_bytes(&member->tls_spki));
	message.node_key = codec_binary(BYTES_ARRAY(member->node.b));
	message.mirror_key = codec_binary(BYTES_ARRAY(member->mirror.b));
	message.witness_key = codec_binary(BYTES_ARRAY(member->witness.b));
	message.complaint_key = codec_binary(BYTES_ARRAY(member->complaint.b));
	message.made_at = member->made_at;
	codec_pack(out, &message);
	return out->err;
}

static enum err member_from(
	const Sauti__NodeAdmitted *message, struct member *member, struct errctx *ctx)
{
	if (strlen(message->name) > LIMIT_NODE_NAME || strlen(message->country) > 3)
		return err_set(ctx, ERR_MALFORMED, "name or country too long");
	strcpy(member->name, message->name);
	strcpy(member->country, message->country);
	if ((int)message->role < ROLE_HQ || (int)message->role > ROLE_AUDITOR)
		return err_set(ctx, ERR_MALFORMED, "unknown role %d", (int)message->role);
	member->role = (enum role)message->role;
	if (!take_exact(message->tls_spki_sha256, member->tls_spki.b, HASH_SIZE) ||
		!take_exact(message->node_key, member->node.b, ED25519_PUBLIC_SIZE) ||
		!take_exact(message->mirror_key, member->mirror.b, ED25519_PUBLIC_SIZE) ||
		!take_exact(message->witness_key, member->witness.b, ED25519_PUBLIC_SIZE) ||
		!take_exact(message->complaint_key, member->complaint.b, X25519_KEY_SIZE))
		return err_set(ctx, ERR_MALFORMED, "a key is not of 32 bytes");
	member->active = true;
	member->made_at = message->made_at;
	return member_check(member, ctx);
}

enum err node_admitted_read(struct bytes body, struct arena *arena, const char *network,
	struct member *ret, struct errctx *ctx)
{
	struct member member = {0};
	Sauti__NodeAdmitted *message;
	enum err err;

	err = CODEC_UNPACK(node_admitted, body, &scan_limits_default, arena, &message, ctx);
	if (err != OK)
		return err == ERR_LIMIT ? ERR_MALFORMED : err;
	if (strcmp(message->network, network) != 0)
		return err_set(ctx, ERR_UNTRUSTED, "NodeAdmitted: of another network");
	err = member_from(message, &member, ctx);
	if (err != OK)
		return err_wrap(ctx, err, "NodeAdmitted");
	*ret = member;
	return OK;
}

/* ---- Prekey ---- */

enum err prekey_write(struct buf *out, const struct prekey *prekey, const struct signer *node)
{
	Sauti__Prekey message = SAUTI__PREKEY__INIT;

	if (prekey->number == 0)
		return ERR_INVALID;
	message.number = prekey->number;
	message.key = codec_binary(BYTES_ARRAY(prekey->key.b));
	message.made_at = prekey->made_at;
	return write_message(out, SAUTI__RECORD_TYPE__RECORD_PREKEY, &message, node);
}

/* An Entry with a Record (field 2) whose first field is the type, as everybody encodes it. Who
 * encodes it otherwise has no prekey. */
bool prekey_looks_like(struct bytes entry)
{
	enum { TAG_RECORD = 2 << 3 | 2, TAG_TYPE = 1 << 3, SIZE_MAX_OF_ONE = 300 };
	size_t at = 1;

	if (entry.size > SIZE_MAX_OF_ONE || entry.size < 8 || entry.data[0] != TAG_RECORD)
		return false;
	while (at < 3 && entry.data[at] >= 0x80)
		at++;
	at++;
	return entry.data[at] == TAG_TYPE &&
	       entry.data[at + 1] == SAUTI__RECORD_TYPE__RECORD_PREKEY;
}

enum err prekey_read(struct bytes entry, const struct ed25519_public *node, struct arena *arena,
	struct prekey *ret, struct errctx *ctx)
{
	struct prekey prekey = {0};
	struct record record;
	Sauti__Prekey *message;

	if (!prekey_looks_like(entry))
		return ERR_NOTFOUND;
	TRY(record_read(entry, arena, &record, ctx));
	TRY(CODEC_UNPACK(prekey, record.body, &scan_limits_default, arena, &message, ctx));
	if (message->number == 0 || !take_exact(message->key, prekey.key.b, X25519_KEY_SIZE))
		return err_set(ctx, ERR_MALFORMED, "Prekey: no number, or key of %zu bytes",
			message->key.len);
	TRY(node_check(node, PURPOSE_PREKEY, record.body, record.signature));
	prekey.number = message->number;
	prekey.made_at = message->made_at;
	*ret = prekey;
	return OK;
}
