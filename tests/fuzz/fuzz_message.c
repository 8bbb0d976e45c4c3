/*
 * Any message of the .proto files: its name ("JoinRequest"), a line feed, its bytes.
 */
#include <assert.h>

#include "base/limits.h"
#include "tests/fuzz/check_message.h"
#include "tests/lib/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
	const ProtobufCMessageDescriptor *type;
	struct arena arena;
	char name[64] = "";

	if (end == NULL || (size_t)(end - data) >= sizeof(name) || size > LIMIT_FRAME_SIZE)
		return 0;
	memcpy(name, data, (size_t)(end - data));
	type = message_type(name);
	if (type == NULL)
		return 0;
	arena_init(&arena, LIMIT_ARENA_SIZE);
	check_message(type, bytes_make(end + 1, size - (size_t)(end + 1 - data)), &arena);
	arena_release(&arena);
	return 0;
}
