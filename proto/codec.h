/*
 * codec: the only way from wire bytes to a protobuf-c message and back.
 */
#ifndef PROTO_CODEC_H
#define PROTO_CODEC_H

#include "base/buf.h"
#include "proto/arena.h"
#include "proto/scan.h"

/* Scans, then unpacks into the arena. ret_message points to a variable of the type "pointer to the
 * message's struct". The message lives until the arena is cleared, and holds copies: it does not
 * refer to `wire`. Nothing in it is freed one by one. Errors: those of scan_message, ERR_NOMEM past
 * the arena's maximum (what was used of the arena until then stays used until it is cleared). */
enum err codec_unpack(const ProtobufCMessageDescriptor *descriptor, struct bytes wire,
	const struct scan_limits *limits, struct arena *arena, void *ret_message,
	struct errctx *ctx) MUST_USE;

/* CODEC_UNPACK(frame, bytes, &limits, &arena, &msg, ctx) with Sauti__Frame *msg */
#define CODEC_UNPACK(name, wire, limits, arena, ret, ctx)                                          \
	codec_unpack(&sauti__##name##__descriptor, (wire), (limits), (arena), (ret), (ctx))

/* Appends the packed message; sticky error in buf. */
void codec_pack(struct buf *buf, const void *message);

/* A view of a protobuf-c bytes field, and the way back (borrows). */
static inline struct bytes codec_bytes(ProtobufCBinaryData b)
{
	return bytes_make(b.data, b.len);
}
static inline ProtobufCBinaryData codec_binary(struct bytes b)
{
	return (ProtobufCBinaryData){b.size, (uint8_t *)b.data};
}

#endif
