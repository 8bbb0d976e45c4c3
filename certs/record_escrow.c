#include "certs/record_escrow.h"

#include "base/alloc.h"
#include "base/text.h"

/* An Entry with a Record (field 2) whose first field is the type, as everybody encodes it. */
static bool looks_like(struct bytes entry, Sauti__RecordType type)
{
	enum { TAG_RECORD = 2 << 3 | 2, TAG_TYPE = 1 << 3, SHORTEST = 8 };
	size_t at = 1;

	if (entry.size < SHORTEST || entry.data[0] != TAG_RECORD)
		return false;
	while (at < 4 && entry.data[at] >= 0x80)
		at++;
	at++;
	return entry.data[at] == TAG_TYPE && entry.data[at + 1] == (uint8_t)type;
}

bool escrow_chunk_looks_like(struct bytes entry)
{
	return looks_like(entry, SAUTI__RECORD_TYPE__RECORD_ESCROW_CHUNK);
}

bool escrow_manifest_looks_like(struct bytes entry)
{
	return looks_like(entry, SAUTI__RECORD_TYPE__RECORD_ESCROW_MANIFEST);
}

static enum err write_record(
	struct buf *out, Sauti__RecordType type, const void *message, const struct signer *node)
{
	CLEANUP(buf_release) struct buf body;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	codec_pack(&body, message);
	TRY(body.err);
	return record_write(out, type, buf_bytes(&body), node);
}

static bool take(ProtobufCBinaryData field, uint8_t *out, size_t size)
{
	if (field.len != size)
		return false;
	memcpy(out, field.data, size);
	return true;
}

/* ---- chunks ---- */

enum err escrow_chunk_write(
	struct buf *out, const struct escrow_chunk *chunk, const struct signer *node)
{
	Sauti__EscrowChunk message = SAUTI__ESCROW_CHUNK__INIT;

	if (chunk->number == 0 || chunk->version == 0 || chunk->sealed.size == 0)
		return ERR_INVALID;
	if (chunk->sealed.size > LIMIT_ESCROW_CHUNK)
		return ERR_LIMIT;
	message.number = chunk->number;
	message.version = chunk->version;
	message.version_key = codec_binary(BYTES_ARRAY(chunk->version_key));
	message.recovery_key = codec_binary(BYTES_ARRAY(chunk->recovery_key.b));
	message.nonce = codec_binary(BYTES_ARRAY(chunk->nonce));
	message.sealed = codec_binary(chunk->sealed);
	return write_record(out, SAUTI__RECORD_TYPE__RECORD_ESCROW_CHUNK, &message, node);
}

enum err escrow_chunk_read(struct bytes entry, const struct ed25519_public *node,
	struct arena *arena, struct escrow_chunk *ret, struct errctx *ctx)
{
	struct escrow_chunk chunk;
	Sauti__EscrowChunk *message;
	struct record record;

	if (!escrow_chunk_looks_like(entry))
		return ERR_NOTFOUND;
	TRY(record_read(entry, arena, &record, ctx));
	TRY(CODEC_UNPACK(escrow_chunk, record.body, &scan_limits_default, arena, &message, ctx));
	chunk.number = message->number;
	chunk.version = message->version;
	chunk.sealed = codec_bytes(message->sealed);
	if (chunk.number == 0 || chunk.version == 0 || chunk.sealed.size == 0 ||
		chunk.sealed.size > LIMIT_ESCROW_CHUNK ||
		!take(message->version_key, chunk.version_key, ESCROW_VERSION_KEY_ID) ||
		!take(message->recovery_key, chunk.recovery_key.b, X25519_KEY_SIZE) ||
		!take(message->nonce, chunk.nonce, AEAD_NONCE_SIZE))
		return err_set(ctx, ERR_MALFORMED, "EscrowChunk: a number or a size");
	if (node != NULL)
		TRY(node_check(node, PURPOSE_ESCROW_CHUNK, record.body, record.signature));
	*ret = chunk;
	return OK;
}

/* ---- manifests ---- */

void escrow_manifest_release(struct escrow_manifest *manifest)
{
	if (manifest == NULL)
		return;
	mem_free(manifest->chunks);
	manifest->chunks = NULL;
	manifest->chunk_count = 0;
}

static bool place_ok(const struct escrow_place *place, const struct escrow_place *before)
{
	return place->number > (before == NULL ? 0 : before->number) && place->version > 0 &&
	       place->keys > 0 && place->keys <= LIMIT_ESCROW_CHUNK_KEYS;
}

static enum err manifest_check(const struct escrow_manifest *m)
{
	if (m->chunk_count > LIMIT_ESCROW_CHUNKS || m->custodian_count > LIMIT_ESCROW_CUSTODIANS)
		return ERR_LIMIT;
	if (m->sequence == 0 || !network_name_valid(bytes_str(m->network)) ||
		!node_name_valid(bytes_str(m->node)))
		return ERR_INVALID;
	for (size_t i = 0; i < m->custodian_count; i++)
		if (!node_name_valid(bytes_str(m->custodians[i])))
			return ERR_INVALID;
	for (size_t i = 0; i < m->chunk_count; i++)
		if (!place_ok(&m->chunks[i], i == 0 ? NULL : &m->chunks[i - 1]))
			return ERR_INVALID;
	return OK;
}

static enum err places_make(const struct escrow_manifest *m, Sauti__EscrowManifest *message,
	Sauti__EscrowPlace **ret_places)
{
	Sauti__EscrowPlace *places = mem_array(m->chunk_count + 1, sizeof(*places));

	if (places == NULL)
		return ERR_NOMEM;
	*ret_places = places;
	message->chunks = mem_array(m->chunk_count + 1, sizeof(*message->chunks));
	if (message->chunks == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < m->chunk_count; i++) {
		const struct escrow_place *from = &m->chunks[i];

		sauti__escrow_place__init(&places[i]);
		places[i].number = from->number;
		places[i].version = from->version;
		places[i].version_key = codec_binary(BYTES_ARRAY(from->version_key));
		places[i].index = from->index;
		places[i].keys = from->keys;
		message->chunks[i] = &places[i];
	}
	message->n_chunks = m->chunk_count;
	return OK;
}

enum err escrow_manifest_write(
	struct buf *out, const struct escrow_manifest *m, const struct signer *node)
{
	Sauti__EscrowManifest message = SAUTI__ESCROW_MANIFEST__INIT;
	Sauti__EscrowPlace *places = NULL;
	char *custodians[LIMIT_ESCROW_CUSTODIANS];
	enum err err;

	TRY(manifest_check(m));
	message.network = (char *)m->network;
	message.node = (char *)m->node;
	message.sequence = m->sequence;
	message.recovery_key = codec_binary(BYTES_ARRAY(m->recovery_key.b));
	message.made_at = m->made_at;
	for (size_t i = 0; i < m->custodian_count; i++)
		custodians[i] = (char *)m->custodians[i];
	message.custodians = custodians;
	message.n_custodians = m->custodian_count;
	err = places_make(m, &message, &places);
	if (err == OK)
		err = write_record(out, SAUTI__RECORD_TYPE__RECORD_ESCROW_MANIFEST, &message, node);
	mem_free(message.chunks);
	mem_free(places);
	return err;
}

static enum err places_read(const Sauti__EscrowManifest *message, struct escrow_manifest *m)
{
	m->chunks = mem_array(message->n_chunks + 1, sizeof(*m->chunks));
	if (m->chunks == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < message->n_chunks; i++) {
		const Sauti__EscrowPlace *from = message->chunks[i];
		struct escrow_place *place = &m->chunks[m->chunk_count++];

		*place = (struct escrow_place){.number = from->number,
			.version = from->version,
			.index = from->index,
			.keys = from->keys};
		if (!take(from->version_key, place->version_key, ESCROW_VERSION_KEY_ID))
			return ERR_MALFORMED;
	}
	return OK;
}

static enum err manifest_from(const Sauti__EscrowManifest *message, struct escrow_manifest *m)
{
	if (message->n_custodians > LIMIT_ESCROW_CUSTODIANS ||
		message->n_chunks > LIMIT_ESCROW_CHUNKS ||
		!take(message->recovery_key, m->recovery_key.b, X25519_KEY_SIZE))
		return ERR_MALFORMED;
	m->network = message->network;
	m->node = message->node;
	m->sequence = message->sequence;
	m->made_at = message->made_at;
	for (size_t i = 0; i < message->n_custodians; i++) {
		if (!node_name_valid(bytes_str(message->custodians[i])))
			return ERR_MALFORMED;
		strcpy(m->custodians[m->custodian_count++], message->custodians[i]);
	}
	TRY(places_read(message, m));
	return manifest_check(m);
}

enum err escrow_manifest_read(struct bytes entry, const struct ed25519_public *node,
	struct arena *arena, struct escrow_manifest *ret, struct errctx *ctx)
{
	struct escrow_manifest manifest = {.sequence = 0};
	Sauti__EscrowManifest *message;
	struct record record;
	enum err err;

	if (!escrow_manifest_looks_like(entry))
		return ERR_NOTFOUND;
	TRY(record_read(entry, arena, &record, ctx));
	TRY(CODEC_UNPACK(escrow_manifest, record.body, &scan_limits_default, arena, &message, ctx));
	err = manifest_from(message, &manifest);
	if (err == ERR_INVALID || err == ERR_MALFORMED)
		err = err_set(ctx, ERR_MALFORMED, "EscrowManifest: names, places or a size");
	if (err == OK && node != NULL)
		err = node_check(node, PURPOSE_ESCROW_MANIFEST, record.body, record.signature);
	if (err != OK)
		escrow_manifest_release(&manifest);
	else
		*ret = manifest;
	return err;
}
