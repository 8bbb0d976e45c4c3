#include "proto/codec.h"

enum err codec_unpack(const ProtobufCMessageDescriptor *descriptor, struct bytes wire,
	const struct scan_limits *limits, struct arena *arena, void *ret_message,
	struct errctx *ctx)
{
	ProtobufCMessage *message;

	TRY(scan_message(descriptor, wire, limits, ctx));
	message =
		protobuf_c_message_unpack(descriptor, arena_allocator(arena), wire.size, wire.data);
	/* What the scan lets through, protobuf-c reads (tests/fuzz): only memory can be lacking. */
	if (message == NULL)
		return err_set(ctx, ERR_NOMEM, "%s: no room to unpack it", descriptor->short_name);
	/* By memcpy: the caller's variable is a pointer of another type. */
	memcpy(ret_message, &message, sizeof(message));
	return OK;
}

void codec_pack(struct buf *buf, const void *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *to = buf_reserve(buf, size);

	if (to != NULL && size > 0)
		buf->size += protobuf_c_message_pack(message, to);
}
