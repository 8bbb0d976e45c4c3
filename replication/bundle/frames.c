#include "replication/bundle/frames.h"

#include <assert.h>

#include "base/alloc.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "proto/frame.pb-c.h"

void bundle_batch_write(struct buf *out, const struct origin *origin, uint64_t first,
	const struct store_batch *batch, struct bytes note)
{
	ProtobufCBinaryData list[LIMIT_BATCH_ENTRIES], hashes[LIMIT_PROOF_HASHES];
	Sauti__Batch message = SAUTI__BATCH__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	assert(batch->entries->count <= LIMIT_BATCH_ENTRIES);
	for (size_t i = 0; i < batch->entries->count; i++)
		list[i] = codec_binary(batch->entries->entry[i]);
	for (size_t i = 0; i < batch->proof.count; i++)
		hashes[i] = codec_binary(hash_bytes(&batch->proof.hashes[i]));
	message.origin = (char *)origin->text;
	message.first = first;
	message.n_entries = batch->entries->count;
	message.entries = list;
	message.n_proof = batch->proof.count;
	message.proof = hashes;
	message.checkpoint = codec_binary(note);
	frame.body_case = SAUTI__FRAME__BODY_BATCH;
	frame.batch = &message;
	frame_write(out, &frame);
}

void bundle_have_write(struct buf *out, const struct origin *origin, uint64_t size,
	struct bytes note, const struct bundle_cosigned *cosigned, size_t count)
{
	Sauti__Cosigned item[LIMIT_NOTE_SIGNATURES], *list[LIMIT_NOTE_SIGNATURES];
	Sauti__LogState state = SAUTI__LOG_STATE__INIT, *logs[1] = {&state};
	Sauti__Have have = SAUTI__HAVE__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	assert(count <= LIMIT_NOTE_SIGNATURES);
	for (size_t i = 0; i < count; i++) {
		sauti__cosigned__init(&item[i]);
		item[i].size = cosigned[i].size;
		item[i].root = codec_binary(hash_bytes(&cosigned[i].root));
		item[i].line = codec_binary(cosigned[i].line);
		list[i] = &item[i];
	}
	state.origin = (char *)origin->text;
	state.size = size;
	state.checkpoint = codec_binary(note);
	state.n_cosigned = count;
	state.cosigned = list;
	have.n_logs = 1;
	have.logs = logs;
	frame.body_case = SAUTI__FRAME__BODY_HAVE;
	frame.have = &have;
	frame_write(out, &frame);
}

/* Tag and length of a field with a length. */
static size_t field_head(unsigned field, size_t size, uint8_t ret[8])
{
	size_t count = 0;

	ret[count++] = (uint8_t)(field << 3 | 2);
	for (; size >= 0x80; size >>= 7)
		ret[count++] = (uint8_t)(size | 0x80);
	ret[count++] = (uint8_t)size;
	return count;
}

void bundle_message_write(struct buf *out, unsigned field, struct bytes message)
{
	uint8_t head[8];
	size_t size = field_head(field, message.size, head);

	assert(field <= 15 && message.size > 0 && message.size < LIMIT_FRAME_SIZE - sizeof(head));
	buf_put_u32be(out, (uint32_t)(size + message.size));
	buf_put(out, bytes_make(head, size));
	buf_put(out, message);
}

void bundle_mail_end_write(struct buf *out, struct bytes end)
{
	enum { FRAME_MAIL_ACK = 10, ACK_END = 3 };
	uint8_t outer[8], inner[8];
	size_t inner_size = field_head(ACK_END, end.size, inner);
	size_t outer_size = field_head(FRAME_MAIL_ACK, inner_size + end.size, outer);

	buf_put_u32be(out, (uint32_t)(outer_size + inner_size + end.size));
	buf_put(out, bytes_make(outer, outer_size));
	buf_put(out, bytes_make(inner, inner_size));
	buf_put(out, end);
}
