/*
 * A stream of frames from anybody, as a peer or a stick would send it: cut into frames in two ways
 * that must agree, checked as messages; the entries of batches are read as records and folded into
 * a directory, in the order they come.
 */
#include <assert.h>

#include "base/text.h"
#include "certs/record.h"
#include "proto/frame.h"
#include "proto/frame.pb-c.h"
#include "tests/fuzz/check_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FRAMES_MAX = 64 };

static void start(void)
{
	static bool started;

	if (started)
		return;
	started = crypto_init() == OK;
	assert(started);
}

/* Folds one entry; nothing about it may stop the fold. */
static void try_entry(struct directory *directory, struct bytes entry)
{
	struct arena arena = {.max = LIMIT_ARENA_SIZE};
	struct network_created created;
	struct log_opened opened;
	struct record record;
	struct member member;
	uint64_t index = directory_size(directory);

	if (record_read(entry, &arena, &record, NULL) == OK) {
		assert(record.signature.size == ED25519_SIGNATURE_SIZE);
		if (node_admitted_read(record.body, &arena, "ovra.example", &member, NULL) == OK)
			assert(member_check(&member, NULL) == OK);
		if (network_created_read(record.body, &arena, &created, NULL) == OK)
			assert(node_name_valid(bytes_str(created.hq)));
	}
	if (log_opened_read(entry, NULL, &arena, &opened, NULL) == OK)
		assert(log_origin_ok(opened.origin, NULL, NULL));
	if (entry.size <= LIMIT_ENTRY_SIZE) {
		assert(directory_apply(directory, entry) == OK);
		assert(directory_size(directory) == index + 1);
	}
	arena_release(&arena);
}

static void check_members(const struct directory *directory)
{
	const struct member *member;

	for (size_t i = 0; (member = directory_at(directory, i)) != NULL; i++) {
		assert(directory_find(directory, bytes_str(member->name)) == member);
		assert(directory_find_spki(directory, &member->tls_spki) == member);
		assert(member->admitted_index < directory_size(directory));
	}
}

static void try_frame(struct directory *directory, struct bytes wire)
{
	struct arena arena = {.max = LIMIT_ARENA_SIZE};
	const Sauti__Frame *frame = CHECK_MESSAGE(frame, wire, &arena);

	if (frame != NULL && frame->body_case == SAUTI__FRAME__BODY_BATCH)
		for (size_t i = 0; i < frame->batch->n_entries; i++)
			try_entry(directory, codec_bytes(frame->batch->entries[i]));
	arena_release(&arena);
}

/* Reads the frames of a stream that comes in pieces of `step` bytes; returns how many there are. */
static size_t read_stream(struct bytes stream, size_t step, size_t sizes[FRAMES_MAX],
	struct directory *directory, enum err *ret_end)
{
	struct frame_reader reader;
	struct bytes frame;
	size_t count = 0;

	frame_reader_init(&reader, LIMIT_FRAME_SIZE);
	*ret_end = ERR_AGAIN;
	while (stream.size > 0) {
		size_t n = stream.size < step ? stream.size : step;

		assert(frame_reader_push(&reader, bytes_make(stream.data, n)) == OK);
		stream = bytes_make(stream.data + n, stream.size - n);
		while ((*ret_end = frame_reader_next(&reader, &frame)) == OK) {
			assert(frame.size >= 1 && frame.size <= LIMIT_FRAME_SIZE);
			if (directory != NULL)
				try_frame(directory, frame);
			if (count < FRAMES_MAX)
				sizes[count] = frame.size;
			count++;
		}
		assert(*ret_end == ERR_AGAIN || *ret_end == ERR_LIMIT);
	}
	frame_reader_release(&reader);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t whole[FRAMES_MAX] = {0}, pieces[FRAMES_MAX] = {0}, count;
	struct bytes stream = bytes_make(data, size);
	struct directory *directory;
	enum err end, end_pieces;

	if (size == 0 || size > LIMIT_FRAME_SIZE)
		return 0;
	start();
	if (directory_new("ovra.example", &directory) != OK)
		return 0;
	count = read_stream(stream, size, whole, directory, &end);
	assert(read_stream(stream, 1 + data[size - 1] % 16, pieces, NULL, &end_pieces) == count);
	assert(end == end_pieces);
	assert(memcmp(whole, pieces, sizeof(whole)) == 0);
	check_members(directory);
	directory_free(directory);
	return 0;
}
