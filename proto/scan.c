/*
 * The happy path: for each field, read the tag, find the field in the descriptor, check that the
 * wire type fits and that a singular field comes once, then step over its value, or into it when it
 * is a message. Each message being read has a struct level on the stack; their chain is the path of
 * an error. The depth is checked before a level is made.
 *
 * Two parsers agree on what passes: every varint has its one shortest form, nothing is merged, no
 * value is cut to fit its field.
 */
#include "proto/scan.h"

#include <assert.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/text.h"

const struct scan_limits scan_limits_default = {
	LIMIT_MESSAGE_DEPTH, LIMIT_MESSAGE_FIELDS, LIMIT_MESSAGE_UNKNOWN};
const struct scan_limits scan_limits_strict = {LIMIT_MESSAGE_DEPTH, LIMIT_MESSAGE_FIELDS, 0};

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };
enum { SEEN_WORD = 64, SEEN_MAX = 3 * SEEN_WORD }; /* fields of one message type: a bit each */

struct scan {
	const struct scan_limits *limits;
	size_t fields, unknown; /* met so far */
	struct errctx *ctx;
};

struct level {
	const struct level *up;
	const ProtobufCMessageDescriptor *type;
	const ProtobufCFieldDescriptor *field; /* the one being read; NULL between and if unknown */
	const ProtobufCFieldDescriptor *previous; /* mostly the next one too: repeated fields */
	uint64_t seen[SEEN_MAX / SEEN_WORD];
	size_t depth;
};

struct value {
	struct bytes bytes; /* of WIRE_BYTES */
	uint64_t number;    /* of WIRE_VARINT */
};

static enum err scan_level(struct scan *scan, struct level *level, struct bytes wire);

static void path_put(const struct level *level, char *out, size_t size)
{
	size_t used;

	if (level->up != NULL)
		path_put(level->up, out, size);
	else
		snprintf(out, size, "%s", level->type->short_name);
	used = strlen(out);
	if (level->field != NULL)
		snprintf(out + used, size - used, ".%s", level->field->name);
}

static enum err refuse(
	const struct scan *scan, const struct level *level, enum err code, const char *why)
{
	char path[256];

	if (scan->ctx == NULL)
		return code;
	path_put(level, path, sizeof(path));
	return err_set(scan->ctx, code, "%s: %s", path, why);
}

static inline bool take(struct bytes *rest, size_t size, struct bytes *ret)
{
	if (size > rest->size)
		return false;
	*ret = bytes_make(rest->data, size);
	if (size > 0)
		*rest = bytes_make(rest->data + size, rest->size - size);
	return true;
}

/* At most 64 bits, in the shortest form: the last of several bytes is not zero. */
static inline bool take_varint(struct bytes *rest, uint64_t *ret)
{
	size_t max = rest->size < 10 ? rest->size : 10;
	uint64_t value = 0;

	for (size_t i = 0; i < max; i++) {
		uint8_t b = rest->data[i];

		value |= (uint64_t)(b & 0x7f) << (7 * i);
		if (b >= 0x80)
			continue;
		if ((b == 0 && i > 0) || (b > 1 && i == 9))
			return false;
		*rest = bytes_make(rest->data + i + 1, rest->size - i - 1);
		*ret = value;
		return true;
	}
	return false;
}

static bool take_value(struct bytes *rest, unsigned wire_type, struct value *ret)
{
	uint64_t size;

	switch (wire_type) {
	case WIRE_VARINT:
		return take_varint(rest, &ret->number);
	case WIRE_64:
		return take(rest, 8, &ret->bytes);
	case WIRE_32:
		return take(rest, 4, &ret->bytes);
	case WIRE_BYTES:
		return take_varint(rest, &size) && size <= rest->size &&
		       take(rest, (size_t)size, &ret->bytes);
	default:
		return false;
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

/* Whether a varint is one that the type writes. Parsers cut what does not fit, or do not. */
static bool number_fits(ProtobufCType type, uint64_t number)
{
	switch (type) {
	case PROTOBUF_C_TYPE_BOOL:
		return number <= 1;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_SINT32:
		return number <= UINT32_MAX;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_ENUM: /* negative ones come as 64 bits */
		return number <= INT32_MAX || number >= (uint64_t)INT32_MIN;
	default:
		return true;
	}
}

static enum err count_field(struct scan *scan, const struct level *level)
{
	if (scan->fields == scan->limits->fields)
		return refuse(scan, level, ERR_LIMIT, "too many fields");
	scan->fields++;
	return OK;
}

static enum err scan_packed(struct scan *scan, const struct level *level, struct bytes rest)
{
	ProtobufCType type = level->field->type;
	unsigned wire_type = wire_type_of(type);

	while (rest.size > 0) {
		struct value value = {0};

		TRY(count_field(scan, level));
		if (!take_value(&rest, wire_type, &value))
			return refuse(scan, level, ERR_MALFORMED, "truncated or overlong element");
		if (!number_fits(type, value.number))
			return refuse(scan, level, ERR_MALFORMED, "value out of range");
	}
	return OK;
}

static enum err scan_text(struct scan *scan, const struct level *level, struct bytes text)
{
	/* protobuf-c gives C strings: a NUL would hide the rest. */
	if (text.size > 0 && memchr(text.data, 0, text.size) != NULL)
		return refuse(scan, level, ERR_MALFORMED, "NUL in text");
	if (!utf8_valid(text))
		return refuse(scan, level, ERR_MALFORMED, "not UTF-8");
	return OK;
}

static enum err scan_inner(struct scan *scan, const struct level *level, struct bytes wire)
{
	struct level inner = {
		.up = level, .type = level->field->descriptor, .depth = level->depth + 1};

	if (inner.depth > scan->limits->depth)
		return refuse(scan, level, ERR_LIMIT, "nested too deep");
	return scan_level(scan, &inner, wire);
}

/* Was it seen before? */
static bool see(struct level *level, size_t field)
{
	uint64_t *word = &level->seen[field / SEEN_WORD], bit = UINT64_C(1) << (field % SEEN_WORD);
	bool before = (*word & bit) != 0;

	*word |= bit;
	return before;
}

/* A singular field comes once; of a oneof, one member, so that one closes all of them. */
static bool comes_once(struct level *level)
{
	const ProtobufCFieldDescriptor *field = level->field, *fields = level->type->fields;

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return true;
	if (see(level, (size_t)(field - fields)))
		return false;
	if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0)
		return true;
	for (unsigned i = 0; i < level->type->n_fields; i++)
		if ((fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
			fields[i].quantifier_offset == field->quantifier_offset)
			(void)see(level, i);
	return true;
}

static enum err scan_known(
	struct scan *scan, struct level *level, unsigned wire_type, struct bytes *rest)
{
	const ProtobufCFieldDescriptor *field = level->field;
	unsigned own = wire_type_of(field->type);
	bool packed = wire_type == WIRE_BYTES && own != WIRE_BYTES &&
		      field->label == PROTOBUF_C_LABEL_REPEATED;
	struct value value = {0};

	if (wire_type != own && !packed)
		return refuse(scan, level, ERR_MALFORMED, "wire type does not fit");
	if (!comes_once(level))
		return refuse(scan, level, ERR_MALFORMED, "given twice");
	if (!take_value(rest, wire_type, &value))
		return refuse(scan, level, ERR_MALFORMED, "truncated or overlong");
	if (packed)
		return scan_packed(scan, level, value.bytes);
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		return scan_inner(scan, level, value.bytes);
	if (field->type == PROTOBUF_C_TYPE_STRING)
		return scan_text(scan, level, value.bytes);
	if (own == WIRE_VARINT && !number_fits(field->type, value.number))
		return refuse(scan, level, ERR_MALFORMED, "value out of range");
	return OK;
}

static enum err scan_unknown(
	struct scan *scan, struct level *level, unsigned wire_type, struct bytes *rest)
{
	struct value ignored;

	if (!take_value(rest, wire_type, &ignored))
		return refuse(
			scan, level, ERR_MALFORMED, "unknown field truncated or of a bad type");
	if (scan->unknown == scan->limits->unknown)
		return refuse(scan, level, ERR_LIMIT, "too many unknown fields");
	scan->unknown++;
	return OK;
}

static const ProtobufCFieldDescriptor *field_of(const struct level *level, uint32_t number)
{
	if (level->previous != NULL && level->previous->id == number)
		return level->previous;
	return protobuf_c_message_descriptor_get_field(level->type, number);
}

static enum err scan_field(struct scan *scan, struct level *level, struct bytes *rest)
{
	uint64_t tag;

	level->field = NULL;
	if (!take_varint(rest, &tag))
		return refuse(scan, level, ERR_MALFORMED, "truncated or overlong tag");
	if (tag >> 3 == 0 || tag > UINT32_MAX)
		return refuse(scan, level, ERR_MALFORMED, "field number out of range");
	TRY(count_field(scan, level));
	level->field = field_of(level, (uint32_t)tag >> 3);
	if (level->field == NULL)
		return scan_unknown(scan, level, tag & 7, rest);
	level->previous = level->field;
	return scan_known(scan, level, tag & 7, rest);
}

static enum err scan_level(struct scan *scan, struct level *level, struct bytes wire)
{
	assert(level->type->n_fields <= SEEN_MAX);
	while (wire.size > 0)
		TRY(scan_field(scan, level, &wire));
	return OK;
}

enum err scan_message(const ProtobufCMessageDescriptor *descriptor, struct bytes wire,
	const struct scan_limits *limits, struct errctx *ctx)
{
	struct scan scan = {.limits = limits, .ctx = ctx};
	struct level level = {.type = descriptor, .depth = 1};

	if (limits->depth == 0)
		return refuse(&scan, &level, ERR_LIMIT, "nested too deep");
	/* protobuf-c counts in unsigned int. */
	if (wire.size > INT32_MAX)
		return refuse(&scan, &level, ERR_LIMIT, "too large");
	return scan_level(&scan, &level, wire);
}
