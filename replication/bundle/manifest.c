#include "replication/bundle/manifest.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "proto/bundle.pb-c.h"
#include "proto/codec.h"
#include "proto/frame.h"

static const struct scan_limits limits = {
	LIMIT_MESSAGE_DEPTH, LIMIT_BUNDLE_FIELDS, LIMIT_MESSAGE_UNKNOWN};

void bundle_manifest_release(struct bundle_manifest *manifest)
{
	if (manifest == NULL)
		return;
	mem_free(manifest->logs);
	mem_free(manifest->segments);
	*manifest = (struct bundle_manifest){0};
}

/* ---- writing ---- */

static enum err pack_segments(const struct bundle_manifest *manifest, struct buf *out)
{
	buf_init(out, LIMIT_BUNDLE_SEGMENTS * BUNDLE_SEGMENT_SIZE);
	for (size_t i = 0; i < manifest->segment_count; i++) {
		buf_put_u32be(out, manifest->segments[i].size);
		buf_put(out, hash_bytes(&manifest->segments[i].sha256));
	}
	return out->err;
}

static Sauti__BundleLog **pack_logs(const struct bundle_manifest *manifest, struct arena *arena)
{
	Sauti__BundleLog **list = arena_alloc(arena, (manifest->log_count + 1) * sizeof(*list));

	for (size_t i = 0; list != NULL && i < manifest->log_count; i++) {
		struct bundle_log *log = &manifest->logs[i];

		list[i] = arena_alloc(arena, sizeof(*list[i]));
		if (list[i] == NULL)
			return NULL;
		sauti__bundle_log__init(list[i]);
		list[i]->origin = log->origin.text;
		list[i]->log_key = codec_binary(bytes_make(log->key.b, sizeof(log->key.b)));
		list[i]->from = log->from;
		list[i]->to = log->to;
		list[i]->size = log->size;
	}
	return list;
}

static enum err pack_manifest(
	const struct bundle_manifest *manifest, struct arena *arena, struct buf *out)
{
	Sauti__BundleManifest message = SAUTI__BUNDLE_MANIFEST__INIT;
	CLEANUP(buf_release) struct buf segments = {0};

	message.network = (char *)manifest->network;
	message.node = (char *)manifest->node;
	message.made_at = manifest->made_at;
	message.for_node = (char *)manifest->for_node;
	message.set = codec_binary(BYTES_ARRAY(manifest->set));
	message.part = manifest->part;
	message.parts = manifest->parts;
	message.n_logs = manifest->log_count;
	message.logs = pack_logs(manifest, arena);
	if (message.logs == NULL)
		return ERR_NOMEM;
	TRY(pack_segments(manifest, &segments));
	message.segments = codec_binary(buf_bytes(&segments));
	codec_pack(out, &message);
	return out->err;
}

/* Makes the message `room` bytes long; false: it cannot be. A field grows by two bytes where its
 * length takes one more: what one of them cannot do, two can. */
static bool pad(Sauti__Bundle *bundle, size_t room, ProtobufCBinaryData padding[2])
{
	size_t bare = protobuf_c_message_get_packed_size(&bundle->base);

	if (bare == room)
		return true;
	bundle->padding = padding;
	padding[1].len = 1;
	for (bundle->n_padding = 1; bundle->n_padding <= 2; bundle->n_padding++)
		for (padding[0].len = room > bare ? room - bare : 0; padding[0].len > 0;
			padding[0].len--) {
			size_t size = protobuf_c_message_get_packed_size(&bundle->base);

			if (size == room)
				return true;
			if (size < room)
				break;
		}
	return false;
}

static enum err write_head(
	struct buf *out, Sauti__Bundle *bundle, size_t size, const struct buf *zeros)
{
	ProtobufCBinaryData padding[2] = {{0, zeros->data}, {0, zeros->data}};
	size_t begin = out->size, packed;

	if (size > 0 && !pad(bundle, size - BUNDLE_MAGIC_SIZE - FRAME_HEADER_SIZE, padding))
		return ERR_LIMIT;
	packed = protobuf_c_message_get_packed_size(&bundle->base);
	if (packed > LIMIT_BUNDLE_HEADER)
		return ERR_LIMIT;
	buf_put_str(out, BUNDLE_MAGIC);
	buf_put_u32be(out, (uint32_t)packed);
	codec_pack(out, bundle);
	TRY(out->err);
	return size > 0 && out->size - begin != size ? ERR_LIMIT : OK;
}

enum err bundle_manifest_write(
	struct buf *out, const struct bundle_manifest *manifest, struct bytes tls_key, size_t size)
{
	CLEANUP(arena_release) struct arena arena = {0};
	CLEANUP(buf_release) struct buf packed = {0}, spki = {0}, zeros = {0};
	Sauti__Bundle bundle = SAUTI__BUNDLE__INIT;
	uint8_t signature[TLS_KEY_SIGNATURE_SIZE];
	struct hash unused;

	if (!network_name_valid(bytes_str(manifest->network)) ||
		!node_name_valid(bytes_str(manifest->node)) || manifest->part < 1 ||
		manifest->part > manifest->parts || manifest->parts > LIMIT_BUNDLE_PARTS)
		return ERR_INVALID;
	arena_init(&arena, LIMIT_ARENA_SIZE);
	buf_init(&packed, LIMIT_BUNDLE_HEADER);
	buf_init(&spki, LIMIT_CERTIFICATE_SIZE);
	buf_init(&zeros, LIMIT_BUNDLE_HEADER);
	buf_put_zeros(&zeros, size);
	TRY(zeros.err);
	TRY(pack_manifest(manifest, &arena, &packed));
	TRY(tls_key_spki(tls_key, &spki, &unused));
	TRY(tls_key_sign(tls_key, PURPOSE_BUNDLE, buf_bytes(&packed), signature));
	bundle.manifest = codec_binary(buf_bytes(&packed));
	bundle.tls_public = codec_binary(buf_bytes(&spki));
	bundle.signature = codec_binary(BYTES_ARRAY(signature));
	return write_head(out, &bundle, size, &zeros);
}

size_t bundle_manifest_size_max(size_t logs, size_t segments)
{
	enum { FIXED = 512, LOG = LIMIT_ORIGIN + ED25519_PUBLIC_SIZE + 48 };

	return FIXED + logs * LOG + segments * BUNDLE_SEGMENT_SIZE;
}

/* ---- reading ---- */

static enum err read_logs(
	const Sauti__BundleManifest *message, struct bundle_manifest *manifest, struct errctx *ctx)
{
	if (message->n_logs > LIMIT_LOGS)
		return err_set(ctx, ERR_LIMIT, "it names %zu logs", message->n_logs);
	manifest->logs = mem_array(message->n_logs + 1, sizeof(*manifest->logs));
	if (manifest->logs == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < message->n_logs; i++) {
		const Sauti__BundleLog *log = message->logs[i];
		struct bundle_log *to = &manifest->logs[i];

		if (origin_parse(bytes_str(log->origin), &to->origin, NULL) != OK ||
			log->log_key.len != ED25519_PUBLIC_SIZE || log->from > log->to ||
			log->to > log->size || log->size > LIMIT_LOG_SIZE)
			return err_set(ctx, ERR_MALFORMED, "log %zu of the manifest", i);
		memcpy(to->key.b, log->log_key.data, ED25519_PUBLIC_SIZE);
		to->from = log->from;
		to->to = log->to;
		to->size = log->size;
	}
	manifest->log_count = message->n_logs;
	return OK;
}

static enum err read_segments(
	struct bytes packed, struct bundle_manifest *manifest, struct errctx *ctx)
{
	size_t count = packed.size / BUNDLE_SEGMENT_SIZE;

	if (packed.size % BUNDLE_SEGMENT_SIZE != 0)
		return err_set(ctx, ERR_MALFORMED, "the segments of the manifest");
	if (count > LIMIT_BUNDLE_SEGMENTS)
		return err_set(ctx, ERR_LIMIT, "it names %zu segments", count);
	manifest->segments = mem_array(count + 1, sizeof(*manifest->segments));
	if (manifest->segments == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *at = packed.data + i * BUNDLE_SEGMENT_SIZE;

		manifest->segments[i].size = get_u32be(at);
		memcpy(manifest->segments[i].sha256.b, at + 4, HASH_SIZE);
		if (manifest->segments[i].size == 0)
			return err_set(ctx, ERR_MALFORMED, "a segment of the manifest is empty");
	}
	manifest->segment_count = count;
	return OK;
}

static enum err read_names(
	const Sauti__BundleManifest *message, struct bundle_manifest *manifest, struct errctx *ctx)
{
	if (!network_name_valid(bytes_str(message->network)) ||
		!node_name_valid(bytes_str(message->node)) ||
		(message->for_node[0] != '\0' && !node_name_valid(bytes_str(message->for_node))))
		return err_set(ctx, ERR_MALFORMED, "a name in the manifest");
	if (message->set.len != BUNDLE_SET_SIZE || message->part < 1 ||
		message->part > message->parts || message->parts > LIMIT_BUNDLE_PARTS)
		return err_set(ctx, ERR_MALFORMED, "the part that the manifest says it is");
	snprintf(manifest->network, sizeof(manifest->network), "%s", message->network);
	snprintf(manifest->node, sizeof(manifest->node), "%s", message->node);
	snprintf(manifest->for_node, sizeof(manifest->for_node), "%s", message->for_node);
	memcpy(manifest->set, message->set.data, BUNDLE_SET_SIZE);
	manifest->made_at = message->made_at;
	manifest->part = message->part;
	manifest->parts = message->parts;
	return OK;
}

static enum err read_all(struct bytes message, struct arena *arena,
	struct bundle_manifest *manifest, struct errctx *ctx)
{
	Sauti__Bundle *bundle;
	Sauti__BundleManifest *inner;
	struct bytes packed, spki;

	TRY(CODEC_UNPACK(bundle, message, &limits, arena, &bundle, ctx));
	packed = codec_bytes(bundle->manifest);
	spki = codec_bytes(bundle->tls_public);
	manifest->signed_ok =
		tls_key_verify(spki, PURPOSE_BUNDLE, packed, codec_bytes(bundle->signature));
	sha256(spki, &manifest->tls_spki);
	TRY(CODEC_UNPACK(bundle_manifest, packed, &limits, arena, &inner, ctx));
	TRY(read_names(inner, manifest, ctx));
	TRY(read_logs(inner, manifest, ctx));
	return read_segments(codec_bytes(inner->segments), manifest, ctx);
}

enum err bundle_manifest_read(struct bytes message, struct bundle_manifest *ret, struct errctx *ctx)
{
	CLEANUP(arena_release) struct arena arena = {0};
	struct bundle_manifest manifest = {0};
	enum err err;

	if (message.size > LIMIT_BUNDLE_HEADER)
		return err_set(ctx, ERR_LIMIT, "a manifest of %zu bytes", message.size);
	arena_init(&arena, 3 * LIMIT_BUNDLE_HEADER);
	err = read_all(message, &arena, &manifest, ctx);
	if (err != OK) {
		bundle_manifest_release(&manifest);
		return err;
	}
	*ret = manifest;
	return OK;
}

/* ---- segments ---- */

enum err bundle_segments_init(struct bundle_segments *segments, uint32_t size_min)
{
	*segments = (struct bundle_segments){.size_min = size_min};
	return sha256_stream_new(&segments->sha256);
}

void bundle_segments_release(struct bundle_segments *segments)
{
	mem_free(segments->list);
	sha256_stream_free(segments->sha256);
	*segments = (struct bundle_segments){0};
}

enum err bundle_segments_end(struct bundle_segments *segments)
{
	if (segments->size == 0)
		return OK;
	if (segments->count == LIMIT_BUNDLE_SEGMENTS)
		return ERR_LIMIT;
	if (segments->count == segments->capacity) {
		size_t capacity = segments->capacity == 0 ? 16 : 2 * segments->capacity;
		struct bundle_segment *list = mem_resize(segments->list, capacity * sizeof(*list));

		if (list == NULL)
			return ERR_NOMEM;
		segments->list = list;
		segments->capacity = capacity;
	}
	segments->list[segments->count].size = segments->size;
	sha256_stream_finish(segments->sha256, &segments->list[segments->count].sha256);
	segments->count++;
	segments->size = 0;
	return OK;
}

enum err bundle_segments_put(struct bundle_segments *segments, struct bytes frame)
{
	sha256_stream_put(segments->sha256, frame);
	segments->size += (uint32_t)frame.size;
	return segments->size >= segments->size_min ? bundle_segments_end(segments) : OK;
}
