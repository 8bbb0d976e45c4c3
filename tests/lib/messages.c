#include "tests/lib/messages.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define X(descriptor) extern const ProtobufCMessageDescriptor descriptor;
#include "messages.inc"
#undef X

#define X(descriptor) &descriptor,
const ProtobufCMessageDescriptor *const messages_all[] = {
#include "messages.inc"
};
#undef X
const size_t messages_count = sizeof(messages_all) / sizeof(messages_all[0]);

const ProtobufCMessageDescriptor *message_type(const char *short_name)
{
	for (size_t i = 0; i < messages_count; i++)
		if (strcmp(messages_all[i]->short_name, short_name) == 0)
			return messages_all[i];
	return NULL;
}

struct filler {
	unsigned variant, depth;
	struct arena *arena;
	bool failed;
};

static void *allocate(struct filler *filler, size_t size)
{
	void *pointer = arena_alloc(filler->arena, size);

	if (pointer == NULL)
		filler->failed = true;
	else
		memset(pointer, 0, size);
	return pointer;
}

static uint64_t number(unsigned seed)
{
	static const uint64_t numbers[] = {
		1,
		0x7f,
		0x80,
		0x3fff,
		0x4000,
		INT32_MAX,
		(uint64_t)INT32_MAX + 1,
		UINT32_MAX,
		(uint64_t)INT64_MAX,
		(uint64_t)INT64_MAX + 1,
		UINT64_MAX,
	};
	return numbers[seed % (sizeof(numbers) / sizeof(numbers[0]))];
}

static void fill_bytes(struct filler *filler, ProtobufCBinaryData *out, unsigned seed)
{
	/* Lengths around a one-byte prefix; 1 at least, so that the field is written. */
	static const size_t sizes[] = {1, 16, 32, 127, 128, 600};

	out->len = sizes[seed % (sizeof(sizes) / sizeof(sizes[0]))];
	out->data = allocate(filler, out->len);
	for (size_t i = 0; out->data != NULL && i < out->len; i++)
		out->data[i] = (uint8_t)(seed + i * 7);
}

static char *fill_text(unsigned seed)
{
	static char *const texts[] = {"a", "ovra.example/haiti/1-0123456789abcdef",
		"S\xc3\xa3o Tom\xc3\xa9", "\xe2\x82\xac\xf0\x9f\x8c\x8d", "line\nwith \x7f\x01"};

	return texts[seed % (sizeof(texts) / sizeof(texts[0]))];
}

static size_t type_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	default:
		return 4;
	}
}

/* One element, at `to`; false when it stays empty for want of depth. */
static bool fill_value(
	struct filler *filler, const ProtobufCFieldDescriptor *field, unsigned seed, void *to)
{
	uint64_t v = number(seed);
	uint32_t v32 = (uint32_t)v != 0 ? (uint32_t)v : 1;
	double real = 0.5 + seed;
	float real32 = 0.25f + (float)seed;
	void *pointer;

	switch (field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)to = 1;
		return true;
	case PROTOBUF_C_TYPE_FLOAT:
		memcpy(to, &real32, sizeof(real32));
		return true;
	case PROTOBUF_C_TYPE_DOUBLE:
		memcpy(to, &real, sizeof(real));
		return true;
	case PROTOBUF_C_TYPE_BYTES:
		fill_bytes(filler, to, seed);
		return true;
	case PROTOBUF_C_TYPE_STRING:
		pointer = fill_text(seed);
		memcpy(to, &pointer, sizeof(pointer));
		return true;
	case PROTOBUF_C_TYPE_MESSAGE:
		if (filler->depth <= 1)
			return false;
		pointer = message_fill(field->descriptor, seed, filler->depth - 1, filler->arena);
		filler->failed = filler->failed || pointer == NULL;
		memcpy(to, &pointer, sizeof(pointer));
		return true;
	default:
		if (type_size(field->type) == 8)
			memcpy(to, &v, 8);
		else
			memcpy(to, &v32, 4);
		return true;
	}
}

static void fill_repeated(struct filler *filler, const ProtobufCFieldDescriptor *field,
	uint8_t *message, unsigned seed)
{
	size_t count = 1 + seed % 3, size = type_size(field->type);
	uint8_t *elements = allocate(filler, count * size);

	for (size_t i = 0; elements != NULL && i < count; i++)
		if (!fill_value(filler, field, seed + (unsigned)i, elements + i * size))
			return;
	memcpy(message + field->offset, &elements, sizeof(elements));
	memcpy(message + field->quantifier_offset, &count, sizeof(count));
}

/* Whether this member of a oneof is the one that the variant chooses. */
static bool chosen(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field,
	unsigned variant)
{
	unsigned members = 0, place = 0;

	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *other = &type->fields[i];

		if ((other->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0 ||
			other->quantifier_offset != field->quantifier_offset)
			continue;
		if (other == field)
			place = members;
		members++;
	}
	return variant % members == place;
}

static void fill_field(struct filler *filler, const ProtobufCMessageDescriptor *type,
	const ProtobufCFieldDescriptor *field, uint8_t *message)
{
	bool oneof = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
	unsigned seed = filler->variant + field->id;

	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		fill_repeated(filler, field, message, seed);
		return;
	}
	if (oneof && !chosen(type, field, filler->variant))
		return;
	/* Of a oneof inside the message the seed has to reach every member. */
	if (oneof && field->type == PROTOBUF_C_TYPE_MESSAGE)
		seed = filler->variant / type->n_fields;
	if (fill_value(filler, field, seed, message + field->offset) && oneof)
		memcpy(message + field->quantifier_offset, &field->id, sizeof(field->id));
}

ProtobufCMessage *message_fill(const ProtobufCMessageDescriptor *type, unsigned variant,
	unsigned depth, struct arena *arena)
{
	struct filler filler = {variant, depth, arena, false};
	ProtobufCMessage *message = allocate(&filler, type->sizeof_message);

	if (message == NULL)
		return NULL;
	protobuf_c_message_init(type, message);
	for (unsigned i = 0; i < type->n_fields; i++)
		fill_field(&filler, type, &type->fields[i], (uint8_t *)message);
	return filler.failed ? NULL : message;
}
