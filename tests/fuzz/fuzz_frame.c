/*
 * A connection's bytes: the frame reader, then each frame as a Frame, then the entries of a batch
 * with the records in them. The reader is fed the stream at once and in pieces, which must give the
 * same frames and the same end.
 */
#include <assert.h>

#include "base/limits.h"
#include "proto/entry.pb-c.h"
#include "proto/frame.h"
#include "proto/frame.pb-c.h"
#include "tests/fuzz/check_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_record(const Sauti__Record *record, struct arena *arena)
{
	struct bytes body = codec_bytes(record->body);

	switch (record->type) {
	case SAUTI__RECORD_TYPE__RECORD_LOG_OPENED:
		CHECK_MESSAGE(log_opened, body, arena);
		break;
	case SAUTI__RECORD_TYPE__RECORD_NETWORK_CREATED:
		CHECK_MESSAGE(network_created, body, arena);
		break;
	case SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED:
		CHECK_MESSAGE(node_admitted, body, arena);
		break;
	default:
		break;
	}
}

static void try_entry(struct bytes bytes, struct arena *arena)
{
	Sauti__Entry *entry = CHECK_MESSAGE(entry, bytes, arena);

	if (entry != NULL && entry->body_case == SAUTI__ENTRY__BODY_RECORD)
		try_record(entry->record, arena);
	arena_clear(arena);
}

static void try_frame(struct bytes bytes)
{
	struct arena outer, inner;
	Sauti__Frame *frame;

	arena_init(&outer, LIMIT_ARENA_SIZE);
	arena_init(&inner, LIMIT_ARENA_SIZE);
	frame = CHECK_MESSAGE(frame, bytes, &outer);

	if (frame != NULL && frame->body_case == SAUTI__FRAME__BODY_BATCH)
		for (size_t i = 0; i < frame->batch->n_entries; i++)
			try_entry(codec_bytes(frame->batch->entries[i]), &inner);
	arena_release(&inner);
	arena_release(&outer);
}

/* In pieces whose sizes follow from the size of the stream. */
static size_t next_piece(uint32_t *state, size_t left)
{
	size_t n;

	*state = *state * 1664525u + 1013904223u;
	n = 1 + (*state >> 16) % ((*state >> 30) == 0 ? 300 : 7);
	return n < left ? n : left;
}

/* Takes the frames out of `pieces` as the stream comes; they must be those of `whole`, whose bytes
 * came at once and are still there. */
static void compare(struct frame_reader *whole, struct bytes stream)
{
	struct frame_reader pieces;
	struct bytes expected = BYTES_NONE, got = BYTES_NONE;
	uint32_t state = (uint32_t)stream.size;
	enum err end = ERR_AGAIN;
	size_t pending = frame_reader_pending(whole);

	frame_reader_init(&pieces, LIMIT_FRAME_SIZE);
	for (size_t at = 0, n; at < stream.size; at += n) {
		n = next_piece(&state, stream.size - at);
		assert(frame_reader_push(&pieces, bytes_make(stream.data + at, n)) == OK);
		while ((end = frame_reader_next(&pieces, &got)) == OK) {
			assert(frame_reader_next(whole, &expected) == OK);
			assert(bytes_equal(got, expected));
			try_frame(got);
		}
	}
	assert(end == ERR_AGAIN || end == ERR_LIMIT);
	assert(frame_reader_next(whole, &expected) == end);
	assert(frame_reader_next(&pieces, &got) == end);
	assert(frame_reader_pending(&pieces) == pending);
	assert(end == ERR_AGAIN || pending == FRAME_HEADER_SIZE);
	frame_reader_release(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_reader whole;

	if (size > LIMIT_FRAME_SIZE)
		return 0;
	frame_reader_init(&whole, LIMIT_FRAME_SIZE);
	assert(frame_reader_push(&whole, bytes_make(data, size)) == OK);
	compare(&whole, bytes_make(data, size));
	frame_reader_release(&whole);
	return 0;
}
