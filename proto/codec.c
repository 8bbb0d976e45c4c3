#include "proto/codec.h"

enum err codec_unpack(const ProtobufCMessageDescriptor *descriptor, struct bytes wire,
	const struct scan_limits *limits, struct arena *arena, void *ret_message,
	struct errctx *ctx)
{
	ProtobufCMessage *message;

	TRY(scan_message(descriptor, wire, limits, ctx));
	message = protobuf_c_message_unpack(descriptor, &arena->allocator, wire.size, wire.data);
	/* What the scan lets through, protobuf-c reads: only memory can be lacking. */
	if (message == NULL)
		return err_set(ctx, ERR_NOMEM, "%s: no room to unpack it", descriptor->short_name);
	*(ProtobufCMessage **)ret_message = message;
	return OK;
}

void codec_pack(struct buf *buf, const void *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *out;

	if (size == 0 || (out = buf_reserve(buf, size)) == NULL)
		return;
	buf->size += protobuf_c_message_pack(message, out);
}
