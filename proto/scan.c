/*
 * The happy path: for each field, read the tag, find the field in the descriptor, check that the
 * wire type fits and that a singular field comes once, and step over (or into) its value.
 */
#include "proto/scan.h"

#include <stdio.h>

#include "base/cursor.h"
#include "base/limits.h"
#include "base/text.h"

const struct scan_limits scan_limits_default = {
	LIMIT_MESSAGE_DEPTH, LIMIT_MESSAGE_FIELDS, LIMIT_MESSAGE_UNKNOWN};
const struct scan_limits scan_limits_strict = {LIMIT_MESSAGE_DEPTH, LIMIT_MESSAGE_FIELDS, 0};

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };
enum { FIELDS_SEEN_MAX = 64 }; /* fields of one message: a bit each */

struct scan {
	struct scan_limits left;
	struct errctx *ctx;
};

static enum err scan_one(struct scan *scan, const ProtobufCMessageDescriptor *descriptor,
	struct bytes wire);

/* Canonical: at most 10 bytes, the tenth at most 1, no overlong zero bytes. */
static enum err read_varint(struct cursor *cursor, uint64_t *ret)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t b = cursor_u8(cursor);

		if (cursor->err != OK || (shift == 63 && b > 1) || (b == 0 && shift > 0))
			return ERR_MALFORMED;
		value |= (uint64_t)(b & 0x7f) << shift;
		if ((b & 0x80) == 0) {
			*ret = value;
			return OK;
		}
	}
	return ERR_MALFORMED;
}

static enum err read_value(struct cursor *cursor, unsigned wire_type, struct bytes *ret)
{
	uint64_t v;

	switch (wire_type) {
	case WIRE_VARINT:
		return read_varint(cursor, &v);
	case WIRE_64:
		*ret = cursor_take(cursor, 8);
		return cursor->err;
	case WIRE_32:
		*ret = cursor_take(cursor, 4);
		return cursor->err;
	case WIRE_BYTES:
		if (read_varint(cursor, &v) != OK || v > cursor->rest.size)
			return ERR_MALFORMED;
		*ret = cursor_take(cursor, (size_t)v);
		return OK;
	default: /* groups, and what does not exist */
		return ERR_MALFORMED;
	}
}

static unsigned wire_type_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return WIRE_32;
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return WIRE_64;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return WIRE_BYTES;
	default:
		return WIRE_VARINT;
	}
}

/* A packed repeated scalar: elements one after the other, each counted. */
static enum err scan_packed(struct scan *scan, ProtobufCType type, struct bytes value)
{
	struct cursor cursor = cursor_make(value);
	struct bytes ignored;

	while (cursor.rest.size > 0) {
		if (scan->left.fields == 0)
			return err_set(scan->ctx, ERR_LIMIT, "too many fields");
		scan->left.fields--;
		if (read_value(&cursor, wire_type_of(type), &ignored) != OK)
			return err_set(scan->ctx, ERR_MALFORMED, "a bad packed element");
	}
	return OK;
}

static enum err scan_value(struct scan *scan, const ProtobufCFieldDescriptor *field,
	struct bytes value)
{
	if (field->type == PROTOBUF_C_TYPE_STRING) {
		if (!utf8_valid(value) || (value.size > 0 && memchr(value.data, 0, value.size)))
			return err_set(scan->ctx, ERR_MALFORMED, "not UTF-8 text");
		return OK;
	}
	if (field->type != PROTOBUF_C_TYPE_MESSAGE)
		return OK;
	if (scan->left.depth == 0)
		return err_set(scan->ctx, ERR_LIMIT, "nested too deep");
	scan->left.depth--;
	enum err err = scan_one(scan, field->descriptor, value);

	scan->left.depth++;
	return err;
}

/* Singular fields come once; of a oneof, one member. seen has a bit for each field. */
static bool comes_once(const ProtobufCMessageDescriptor *descriptor,
	const ProtobufCFieldDescriptor *field, uint64_t *seen)
{
	size_t at = (size_t)(field - descriptor->fields);

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return true;
	if ((*seen >> at & 1) != 0)
		return false;
	*seen |= UINT64_C(1) << at;
	if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0)
		return true;
	for (size_t i = 0; i < descriptor->n_fields; i++)
		if (i != at && (*seen >> i & 1) != 0 &&
			(descriptor->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
			descriptor->fields[i].quantifier_offset == field->quantifier_offset)
			return false;
	return true;
}

static enum err scan_known(struct scan *scan, const ProtobufCMessageDescriptor *descriptor,
	const ProtobufCFieldDescriptor *field, unsigned wire_type, struct cursor *cursor,
	uint64_t *seen)
{
	bool packed = field->label == PROTOBUF_C_LABEL_REPEATED && wire_type == WIRE_BYTES &&
		wire_type_of(field->type) != WIRE_BYTES;
	struct bytes value = BYTES_NONE;
	enum err err;

	if (!packed && wire_type != wire_type_of(field->type))
		err = err_set(scan->ctx, ERR_MALFORMED, "wire type %u does not fit", wire_type);
	else if (!comes_once(descriptor, field, seen))
		err = err_set(scan->ctx, ERR_MALFORMED, "given twice");
	else if (read_value(cursor, wire_type, &value) != OK)
		err = err_set(scan->ctx, ERR_MALFORMED, "truncated or overlong");
	else if (packed)
		err = scan_packed(scan, field->type, value);
	else
		err = scan_value(scan, field, value);
	return err == OK ? OK : err_wrap(scan->ctx, err, "%s", field->name);
}

static enum err scan_field(struct scan *scan, const ProtobufCMessageDescriptor *descriptor,
	struct cursor *cursor, uint64_t *seen)
{
	const ProtobufCFieldDescriptor *field;
	struct bytes ignored;
	uint64_t tag;

	if (read_varint(cursor, &tag) != OK || tag >> 3 == 0 || tag >> 3 >= 1u << 29)
		return err_set(scan->ctx, ERR_MALFORMED, "a bad field tag");
	if (scan->left.fields == 0)
		return err_set(scan->ctx, ERR_LIMIT, "too many fields");
	scan->left.fields--;
	field = protobuf_c_message_descriptor_get_field(descriptor, (unsigned)(tag >> 3));
	if (field != NULL)
		return scan_known(scan, descriptor, field, tag & 7, cursor, seen);
	if (scan->left.unknown == 0)
		return err_set(scan->ctx, ERR_LIMIT, "too many unknown fields");
	scan->left.unknown--;
	if (read_value(cursor, tag & 7, &ignored) != OK)
		return err_set(scan->ctx, ERR_MALFORMED, "a bad unknown field");
	return OK;
}

static enum err scan_one(struct scan *scan, const ProtobufCMessageDescriptor *descriptor,
	struct bytes wire)
{
	struct cursor cursor = cursor_make(wire);
	uint64_t seen = 0;

	if (descriptor->n_fields > FIELDS_SEEN_MAX)
		return err_set(scan->ctx, ERR_UNSUPPORTED, "%s has too many fields to check",
			descriptor->short_name);
	while (cursor.rest.size > 0)
		TRY(scan_field(scan, descriptor, &cursor, &seen));
	return OK;
}

enum err scan_message(const ProtobufCMessageDescriptor *descriptor, struct bytes wire,
	const struct scan_limits *limits, struct errctx *ctx)
{
	struct scan scan = {*limits, ctx};

	if (scan.left.depth == 0)
		return err_set(ctx, ERR_LIMIT, "%s: nested too deep", descriptor->short_name);
	scan.left.depth--;
	enum err err = scan_one(&scan, descriptor, wire);

	return err == OK ? OK : err_wrap(ctx, err, "%s", descriptor->short_name);
}
