/*
 * messages: every message type of the .proto files, and messages of any type filled by rule.
 */
#ifndef TESTS_LIB_MESSAGES_H
#define TESTS_LIB_MESSAGES_H

#include "proto/arena.h"

extern const ProtobufCMessageDescriptor *const messages_all[];
extern const size_t messages_count;

/* NULL when there is none of this short name ("LogOpened"). */
const ProtobufCMessageDescriptor *message_type(const char *short_name);

/* A message with every field set, in a way that depends on `variant` alone: values small, at the
 * edges of varint sizes and at the ends of their type; repeated fields of 1 to 3 elements; of every
 * oneof the member `variant % members`. Messages inside are filled the same way, up to `depth`
 * levels. Lives in the arena; NULL when that is full. */
ProtobufCMessage *message_fill(const ProtobufCMessageDescriptor *type, unsigned variant,
	unsigned depth, struct arena *arena);

#endif
