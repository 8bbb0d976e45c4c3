/*
 * scan: walks wire bytes against a message descriptor before protobuf-c sees them. protobuf-c has
 * no depth limit, does not check UTF-8, merges repeated singular fields and spends a malloc on
 * every element: what two parsers could read differently, or what costs more than it says, is
 * refused here.
 *
 * Refused as ERR_MALFORMED: truncated or overlong varints, field number 0, groups (wire types 3,
 * 4), a wire type that does not fit the field, a singular field or a oneof given twice, a value
 * that the field's type cannot hold (32 bits, bool), invalid UTF-8 or a NUL in a string, trailing
 * bytes. Refused as ERR_LIMIT: more fields, unknown fields or depth than allowed, and messages of 2
 * GiB and more. The context names the field path ("Frame.batch.entries").
 *
 * What is accepted, protobuf-c unpacks. Repeated scalars may come packed or one by one, as the
 * standard has it. One message has at most 192 fields in its schema, none of them required
 * (assertions; a unit test walks all schemas). No allocation; time linear in the size.
 */
#ifndef PROTO_SCAN_H
#define PROTO_SCAN_H

#include <protobuf-c/protobuf-c.h>

#include "base/bytes.h"
#include "base/err.h"

struct scan_limits {
	size_t depth;   /* nesting of messages; the outermost is 1 */
	size_t fields;  /* of all messages together, repeated elements included */
	size_t unknown; /* fields the schema does not have */
};

extern const struct scan_limits scan_limits_default; /* base/limits.h */
extern const struct scan_limits scan_limits_strict;  /* no unknown field at all */

enum err scan_message(const ProtobufCMessageDescriptor *descriptor, struct bytes wire,
	const struct scan_limits *limits, struct errctx *ctx) MUST_USE;

#endif
