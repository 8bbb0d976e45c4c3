/*
 * What must hold for any bytes as a message of any type. Violations are assertions.
 */
#ifndef TESTS_FUZZ_CHECK_MESSAGE_H
#define TESTS_FUZZ_CHECK_MESSAGE_H

#include "proto/codec.h"

/*
 * Scans twice and with both limits; unpacks what is accepted, which must work; packs it anew, which
 * must give something accepted, no longer than what came, and the same again the next time.
 * Returns the message, in the arena, or NULL when the bytes are refused.
 */
void *check_message(const ProtobufCMessageDescriptor *type, struct bytes wire, struct arena *arena);

#define CHECK_MESSAGE(name, wire, arena)                                                           \
	check_message(&sauti__##name##__descriptor, (wire), (arena))

#endif
