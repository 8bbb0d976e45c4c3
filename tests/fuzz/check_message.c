#include "tests/fuzz/check_message.h"

#include <assert.h>

#include "base/limits.h"

static enum err scan(const ProtobufCMessageDescriptor *type, struct bytes wire)
{
	struct errctx first = {""}, second = {""}, other = {""};
	enum err err = scan_message(type, wire, &scan_limits_default, &first);
	enum err strict = scan_message(type, wire, &scan_limits_strict, &other);

	assert(scan_message(type, wire, &scan_limits_default, &second) == err);
	assert(scan_message(type, wire, &scan_limits_default, NULL) == err);
	assert(strcmp(first.text, second.text) == 0);
	assert((err == OK) == (first.text[0] == '\0'));
	assert(err == OK || err == ERR_MALFORMED || err == ERR_LIMIT);
	/* Strict refuses more, and then for unknown fields alone. */
	assert(err == OK || strict != OK);
	assert(err != OK || strict == OK || strict == ERR_LIMIT);
	return err;
}

void *check_message(const ProtobufCMessageDescriptor *type, struct bytes wire, struct arena *arena)
{
	CLEANUP(buf_release) struct buf once = {0}, twice = {0};
	ProtobufCMessage *message, *again;
	struct arena spare;

	if (scan(type, wire) != OK) {
		assert(codec_unpack(type, wire, &scan_limits_default, arena, &message, NULL) != OK);
		return NULL;
	}
	assert(codec_unpack(type, wire, &scan_limits_default, arena, &message, NULL) == OK);
	assert(message->descriptor == type && protobuf_c_message_check(message));

	arena_init(&spare, LIMIT_ARENA_SIZE);
	buf_init(&once, 2 * LIMIT_FRAME_SIZE);
	buf_init(&twice, 2 * LIMIT_FRAME_SIZE);
	codec_pack(&once, message);
	/* Explicit defaults go, nothing comes. A packed field may have come in pieces or none. */
	assert(once.err == OK && once.size <= wire.size);
	assert(scan(type, buf_bytes(&once)) == OK);
	assert(codec_unpack(type, buf_bytes(&once), &scan_limits_default, &spare, &again, NULL) ==
		OK);
	codec_pack(&twice, again);
	assert(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
	arena_release(&spare);
	return message;
}
