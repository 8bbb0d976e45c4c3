#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/buf.h"
#include "base/limits.h"
#include "every.pb-c.h"
#include "proto/frame.pb-c.h"
#include "proto/scan.h"
#include "tests/lib/messages.h"
#include "tests/unit/base/unhex.h"

#define EVERY (&every__every__descriptor)

/* Hex with blanks, into a block of its exact size. */
static struct bytes wire_of(const char *text)
{
	char hex[512];
	size_t size = 0;

	for (; *text != '\0'; text++) {
		assert_true(size + 1 < sizeof(hex));
		if (*text != ' ')
			hex[size++] = *text;
	}
	hex[size] = '\0';
	return unhex(hex);
}

static bool unpacks(const ProtobufCMessageDescriptor *type, struct bytes wire)
{
	ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, wire.size, wire.data);

	protobuf_c_message_free_unpacked(message, NULL);
	return message != NULL;
}

struct sample {
	const char *what, *hex, *says;
};

static void assert_scan(const struct sample *sample, enum err expected)
{
	struct bytes wire = wire_of(sample->hex);
	struct errctx ctx = {""};
	enum err err = scan_message(EVERY, wire, &scan_limits_strict, &ctx);

	if (err != expected)
		fail_msg("%s: %s (%s)", sample->what, err_name(err), ctx.text);
	if (sample->says != NULL && strcmp(ctx.text, sample->says) != 0)
		fail_msg("%s: says \"%s\"", sample->what, ctx.text);
	if (err == OK && !unpacks(EVERY, wire))
		fail_msg("%s: protobuf-c does not take it", sample->what);
	assert_int_equal(scan_message(EVERY, wire, &scan_limits_strict, NULL), expected);
	unhex_free();
}

static void good_wire(void **state)
{
	static const struct sample samples[] = {
		{"nothing", "", NULL},
		{"int32 one", "08 01", NULL},
		{"int32 zero, written out", "08 00", NULL},
		{"int32 -1", "08 ffffffffffffffffff01", NULL},
		{"int32 smallest", "08 80808080f8ffffffff01", NULL},
		{"int32 largest", "08 ffffffff07", NULL},
		{"int64 -1", "10 ffffffffffffffffff01", NULL},
		{"uint32 largest", "18 ffffffff0f", NULL},
		{"uint64 largest", "20 ffffffffffffffffff01", NULL},
		{"sint32 smallest", "28 ffffffff0f", NULL},
		{"fixed32", "3d 01020304", NULL},
		{"fixed64", "41 0102030405060708", NULL},
		{"float", "5d 00000000", NULL},
		{"bool false", "68 00", NULL},
		{"bool true", "68 01", NULL},
		{"enum that is not listed", "70 05", NULL},
		{"enum negative", "70 ffffffffffffffffff01", NULL},
		{"text", "7a 02 c3a9", NULL},
		{"text empty", "7a 00", NULL},
		{"bytes of anything", "8201 03 00ff80", NULL},
		{"message empty", "8a01 00", NULL},
		{"message in message", "8a01 04 0a02 1001", NULL},
		{"repeated one by one", "9001 01 9001 02", NULL},
		{"repeated packed", "9201 03 01 02 03", NULL},
		{"repeated packed, empty", "9201 00", NULL},
		{"repeated both ways", "9001 01 9201 02 0102 9001 03", NULL},
		{"repeated packed twice", "9201 01 01 9201 01 02", NULL},
		{"repeated packed, schema says not", "d201 02 0102", NULL},
		{"repeated fixed32 packed", "9a01 08 0000000001000000", NULL},
		{"repeated fixed32 one by one", "9d01 00000000 9d01 00000000", NULL},
		{"repeated fixed64 packed", "a201 08 0000000000000000", NULL},
		{"repeated text", "ba01 00 ba01 01 61", NULL},
		{"repeated messages", "ca01 00 ca01 02 1001", NULL},
		{"one member of each oneof", "f201 00 8a02 00", NULL},
		{"the largest field number", "f8ffffff0f 01", NULL},
		{"fields in any order", "7a00 0801 4100000000 00000000", NULL},
	};

	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
		assert_scan(&samples[i], OK);
}

static void malformed_wire(void **state)
{
	static const struct sample samples[] = {
		{"tag truncated", "88", "Every: truncated or overlong tag"},
		{"tag overlong", "8800 01", "Every: truncated or overlong tag"},
		{"tag of 33 bits", "8080808010 00", "Every: field number out of range"},
		{"tag of eleven bytes", "8080808080808080808001 00", NULL},
		{"field number 0", "00 00", "Every: field number out of range"},
		{"field number 0, fixed", "05 00000000", NULL},
		{"value missing", "08", "Every.i32: truncated or overlong"},
		{"varint truncated", "08 ff", "Every.i32: truncated or overlong"},
		{"varint overlong", "08 8000", "Every.i32: truncated or overlong"},
		{"varint overlong, ten bytes", "20 80808080808080808000", NULL},
		{"varint of 65 bits", "20 ffffffffffffffffff02", NULL},
		{"varint of eleven bytes", "20 ffffffffffffffffffff01", NULL},
		{"fixed32 truncated", "3d 000000", NULL},
		{"fixed64 truncated", "41 00000000000000", NULL},
		{"text truncated", "7a 02 61", "Every.text: truncated or overlong"},
		{"length overlong", "7a 8100 61", NULL},
		{"length of 31 bits", "8201 ffffffff07", NULL},
		{"length of 32 bits", "8201 ffffffff0f 00", NULL},
		{"length of 64 bits", "8201 ffffffffffffffffff01 00", NULL},
		{"group begins", "0b 0c", "Every.i32: wire type does not fit"},
		{"group ends", "0c", NULL},
		{"group begins in unknown", "a306 a406", NULL},
		{"group ends in unknown", "a406", NULL},
		{"wire type 6", "0e", NULL},
		{"wire type 7", "0f", NULL},
		{"wire type 6 of unknown", "a606", NULL},
		{"wire type 7 of unknown", "a706", NULL},
		{"varint as fixed64", "09 0000000000000000", NULL},
		{"varint as fixed32", "0d 00000000", NULL},
		{"fixed32 as varint", "38 00", NULL},
		{"fixed32 as fixed64", "39 0000000000000000", NULL},
		{"text as varint", "78 00", NULL},
		{"message as varint", "8801 00", NULL},
		{"singular as packed", "0a 01 01", "Every.i32: wire type does not fit"},
		{"singular fixed32 as packed", "3a 04 00000000", NULL},
		{"repeated as fixed", "9501 00000000", NULL},
		{"given twice", "0801 0801", "Every.i32: given twice"},
		{"given twice, apart", "0801 7a00 9001 01 0801", "Every.i32: given twice"},
		{"given twice as zero", "0800 0800", NULL},
		{"message given twice", "8a0100 8a0100", "Every.deep: given twice"},
		{"oneof member twice", "f20100 f20100", "Every.a: given twice"},
		{"oneof members", "f20100 f80101", "Every.b: given twice"},
		{"oneof members, message first", "820200 f20100", NULL},
		{"other oneof, bool twice", "900201 f20100 8a0200", "Every.d: given twice"},
		{"twice inside", "8a01 04 1001 1001", "Every.deep.number: given twice"},
		{"int32 too large", "08 8080808008", "Every.i32: value out of range"},
		{"int32 too small", "08 fffffffff7ffffffff01", NULL},
		{"int32 of 33 bits", "08 8080808010", NULL},
		{"uint32 of 33 bits", "18 8080808010", "Every.u32: value out of range"},
		{"sint32 of 33 bits", "28 8080808010", NULL},
		{"enum too large", "70 8080808008", NULL},
		{"bool of two", "68 02", "Every.flag: value out of range"},
		{"bool of 64 bits", "68 ffffffffffffffffff01", NULL},
		{"text cut in a character", "7a 01 c3", "Every.text: not UTF-8"},
		{"text overlong", "7a 02 c080", NULL},
		{"text with a surrogate", "7a 03 eda080", NULL},
		{"text past U+10FFFF", "7a 04 f4908080", NULL},
		{"text of NUL", "7a 01 00", "Every.text: NUL in text"},
		{"text with NUL inside", "7a 03 610062", NULL},
		{"repeated text, second bad", "ba01 01 61 ba01 01 ff", "Every.texts: not UTF-8"},
		{"text in oneof", "f201 01 ff", "Every.a: not UTF-8"},
		{"text two levels down", "8a01 05 0a03 1a01ff", "Every.deep.deep.text: not UTF-8"},
		{"message longer than its parent", "8a01 02 0a01", NULL},
		{"message with trailing bytes", "8a01 03 1001 10", NULL},
		{"packed truncated", "9201 02 01 80", "Every.u32s: truncated or overlong element"},
		{"packed overlong", "9201 02 8000", NULL},
		{"packed out of range", "9201 05 8080808010", "Every.u32s: value out of range"},
		{"packed fixed32, a byte over", "9a01 05 0000000000", NULL},
		{"packed fixed64, a byte short", "a201 07 00000000000000", NULL},
		{"packed bool of two", "aa01 02 0102", "Every.flags: value out of range"},
		{"packed past the end", "9201 03 0102", NULL},
		{"trailing byte", "0801 00", NULL},
	};

	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
		assert_scan(&samples[i], ERR_MALFORMED);
}

static void put_varint(struct buf *buf, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		buf_put_u8(buf, (uint8_t)(value | 0x80));
	buf_put_u8(buf, (uint8_t)value);
}

static void assert_limit(
	struct buf *buf, const struct scan_limits *limits, enum err expected, const char *says)
{
	struct errctx ctx = {""};

	assert_int_equal(buf->err, OK);
	assert_int_equal(scan_message(EVERY, buf_bytes(buf), limits, &ctx), expected);
	if (says != NULL)
		assert_string_equal(ctx.text, says);
	if (expected == OK)
		assert_true(unpacks(EVERY, buf_bytes(buf)));
	buf_release(buf);
}

/* Every, and levels - 1 of Deep inside each other. */
static void put_nested(struct buf *buf, size_t levels)
{
	struct buf inner, outer;

	buf_init(&inner, 100000);
	for (size_t i = 2; i < levels; i++) {
		buf_init(&outer, 100000);
		buf_put_u8(&outer, 0x0a);
		put_varint(&outer, inner.size);
		buf_put(&outer, buf_bytes(&inner));
		buf_release(&inner);
		inner = outer;
	}
	buf_init(buf, 100000);
	if (levels > 1) {
		buf_put(buf, bytes_str("\x8a\x01"));
		put_varint(buf, inner.size);
		buf_put(buf, buf_bytes(&inner));
	}
	buf_release(&inner);
}

static void depth_at_the_cap_and_past_it(void **state)
{
	struct scan_limits none = {0, 10, 10};
	struct buf buf;

	assert_int_equal(scan_limits_default.depth, LIMIT_MESSAGE_DEPTH);
	put_nested(&buf, LIMIT_MESSAGE_DEPTH);
	assert_limit(&buf, &scan_limits_default, OK, NULL);
	put_nested(&buf, LIMIT_MESSAGE_DEPTH + 1);
	assert_limit(&buf, &scan_limits_default, ERR_LIMIT,
		"Every.deep.deep.deep.deep.deep.deep.deep.deep: nested too deep");
	put_nested(&buf, 5000);
	assert_limit(&buf, &scan_limits_default, ERR_LIMIT, NULL);
	put_nested(&buf, 1);
	assert_limit(&buf, &none, ERR_LIMIT, "Every: nested too deep");
}

static void put_times(struct buf *buf, size_t count, const char *hex)
{
	struct bytes wire = wire_of(hex);

	buf_init(buf, 1024 * 1024);
	for (size_t i = 0; i < count; i++)
		buf_put(buf, wire);
	unhex_free();
}

static void put_packed(struct buf *buf, size_t count)
{
	buf_init(buf, 1024 * 1024);
	buf_put(buf, bytes_str("\x92\x01"));
	put_varint(buf, count);
	buf_put_zeros(buf, count);
}

static void fields_at_the_cap_and_past_it(void **state)
{
	struct buf buf;

	assert_int_equal(scan_limits_default.fields, LIMIT_MESSAGE_FIELDS);
	put_times(&buf, LIMIT_MESSAGE_FIELDS, "9001 01");
	assert_limit(&buf, &scan_limits_default, OK, NULL);
	put_times(&buf, LIMIT_MESSAGE_FIELDS + 1, "9001 01");
	assert_limit(&buf, &scan_limits_default, ERR_LIMIT, NULL);
	/* The elements of a packed field count like the others, and it counts itself. */
	put_packed(&buf, LIMIT_MESSAGE_FIELDS - 1);
	assert_limit(&buf, &scan_limits_default, OK, NULL);
	put_packed(&buf, LIMIT_MESSAGE_FIELDS);
	assert_limit(&buf, &scan_limits_default, ERR_LIMIT, "Every.u32s: too many fields");
	/* Those of the messages inside, too. */
	put_times(&buf, LIMIT_MESSAGE_FIELDS / 2, "ca01 02 1001");
	assert_limit(&buf, &scan_limits_default, OK, NULL);
	put_times(&buf, LIMIT_MESSAGE_FIELDS / 2 + 1, "ca01 02 1001");
	assert_limit(&buf, &scan_limits_default, ERR_LIMIT, NULL);
	put_times(&buf, 1000000 / 3, "9001 01");
	assert_limit(&buf, &scan_limits_default, ERR_LIMIT, NULL);
}

static void unknown_fields_at_the_cap_and_past_it(void **state)
{
	/* field 100 as varint, fixed64, bytes, fixed32; field 100 of a message inside */
	static const char *const unknown[] = {"a006 01", "a106 0000000000000000", "a206 02 ffff",
		"a206 00", "a506 00000000", "ca01 03 a00601"};
	struct buf buf;

	assert_int_equal(scan_limits_default.unknown, LIMIT_MESSAGE_UNKNOWN);
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		put_times(&buf, LIMIT_MESSAGE_UNKNOWN, unknown[i]);
		assert_limit(&buf, &scan_limits_default, OK, NULL);
		put_times(&buf, LIMIT_MESSAGE_UNKNOWN + 1, unknown[i]);
		assert_limit(&buf, &scan_limits_default, ERR_LIMIT,
			i == 5 ? "Every.deeps: too many unknown fields"
			       : "Every: too many unknown fields");
		put_times(&buf, 1, unknown[i]);
		assert_limit(&buf, &scan_limits_strict, ERR_LIMIT, NULL);
	}
	put_times(&buf, 1, "a206 02 ff");
	assert_limit(&buf, &scan_limits_default, ERR_MALFORMED, NULL);
	put_times(&buf, 1, "a006 8000");
	assert_limit(&buf, &scan_limits_default, ERR_MALFORMED,
		"Every: unknown field truncated or of a bad type");
}

static void two_gib_are_refused_unread(void **state)
{
	uint8_t byte = 0;

	assert_int_equal(scan_message(EVERY, bytes_make(&byte, (size_t)INT32_MAX + 1),
				 &scan_limits_default, NULL),
		ERR_LIMIT);
	assert_int_equal(
		scan_message(EVERY, bytes_make(&byte, SIZE_MAX), &scan_limits_default, NULL),
		ERR_LIMIT);
}

static void a_long_path_is_cut(void **state)
{
	struct scan_limits deep = {200, 1000, 0};
	struct errctx ctx = {""};
	struct buf buf;

	put_nested(&buf, 201);
	assert_int_equal(scan_message(EVERY, buf_bytes(&buf), &deep, &ctx), ERR_LIMIT);
	assert_int_equal(strncmp(ctx.text, "Every.deep.deep.", 16), 0);
	assert_non_null(strstr(ctx.text, ": nested too deep"));
	buf_release(&buf);
}

/* Packed, in a block of its exact size; to be freed. */
static struct bytes packed(const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *data = malloc(size > 0 ? size : 1);

	assert_non_null(data);
	protobuf_c_message_pack(message, data);
	return bytes_make(data, size);
}

static void random_damage_of(const ProtobufCMessageDescriptor *type, unsigned variant)
{
	struct arena arena = {.max = LIMIT_ARENA_SIZE};
	ProtobufCMessage *message = message_fill(type, variant, 4, &arena);
	struct bytes wire;
	uint8_t *data;

	assert_non_null(message);
	wire = packed(message);
	data = (uint8_t *)wire.data;
	assert_int_equal(scan_message(type, wire, &scan_limits_strict, NULL), OK);
	for (int i = 0; i < 400 && wire.size > 0; i++) {
		size_t at = (size_t)rand() % wire.size;
		uint8_t old = data[at];

		data[at] = rand() % 2 == 0 ? (uint8_t)rand() : old ^ (uint8_t)(1 << rand() % 8);
		if (scan_message(type, wire, &scan_limits_default, NULL) == OK)
			assert_true(unpacks(type, wire));
		if (rand() % 8 != 0)
			data[at] = old;
	}
	free(data);
	arena_release(&arena);
}

/* The promise of scan.h: what is accepted, protobuf-c unpacks. */
static void what_passes_unpacks(void **state)
{
	srand(1);
	for (unsigned variant = 0; variant < 12; variant++) {
		random_damage_of(EVERY, variant);
		for (size_t i = 0; i < messages_count; i++)
			random_damage_of(messages_all[i], variant);
	}
}

static void every_prefix_is_read_within_its_bytes(void **state)
{
	for (unsigned variant = 0; variant < 3; variant++) {
		struct arena arena = {.max = LIMIT_ARENA_SIZE};
		ProtobufCMessage *message = message_fill(EVERY, variant, 3, &arena);
		struct bytes wire;

		assert_non_null(message);
		wire = packed(message);
		for (size_t size = 0; size < wire.size; size++) {
			uint8_t *cut = malloc(size > 0 ? size : 1);

			assert_non_null(cut);
			memcpy(cut, wire.data, size);
			if (scan_message(
				    EVERY, bytes_make(cut, size), &scan_limits_default, NULL) == OK)
				assert_true(unpacks(EVERY, bytes_make(cut, size)));
			free(cut);
		}
		free((void *)wire.data);
		arena_release(&arena);
	}
}

/* The depth of a type's deepest message; fails on a type inside itself. */
static size_t depth_of(
	const ProtobufCMessageDescriptor *type, const ProtobufCMessageDescriptor **above, size_t n)
{
	size_t deepest = 0;

	assert_true(n < 64);
	for (size_t i = 0; i < n; i++)
		if (above[i] == type)
			fail_msg("%s is inside itself", type->name);
	above[n] = type;
	if (type->n_fields > 192)
		fail_msg("%s has %u fields", type->name, type->n_fields);
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];

		if (field->label == PROTOBUF_C_LABEL_REQUIRED)
			fail_msg("%s.%s is required", type->name, field->name);
		if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
			size_t depth = depth_of(field->descriptor, above, n + 1);

			deepest = depth > deepest ? depth : deepest;
		}
	}
	return 1 + deepest;
}

static void schemas_keep_the_rules(void **state)
{
	const ProtobufCMessageDescriptor *above[64];

	assert_true(messages_count >= 30);
	assert_non_null(message_type("Frame"));
	assert_non_null(message_type("Entry"));
	assert_non_null(message_type("ControlRequest"));
	assert_non_null(message_type("Part"));
	assert_non_null(message_type("JoinToken"));
	assert_non_null(message_type("Keystore"));
	for (size_t i = 0; i < messages_count; i++)
		if (depth_of(messages_all[i], above, 0) > LIMIT_MESSAGE_DEPTH)
			fail_msg("%s is too deep", messages_all[i]->name);
}

/* A type with more fields than a machine word has bits: each pair of requests in one is refused, as
 * is one given twice. */
static void one_request_of_many(void **state)
{
	const ProtobufCMessageDescriptor *type = message_type("ControlRequest");
	uint8_t wire[8];

	assert_true(type->n_fields > 64);
	for (unsigned a = 0; a < type->n_fields; a++) {
		for (unsigned b = 0; b < type->n_fields; b++) {
			size_t size = 0;

			for (unsigned i = 0; i < 2; i++) {
				uint32_t tag = type->fields[i == 0 ? a : b].id << 3 | 2;

				for (; tag >= 0x80; tag >>= 7)
					wire[size++] = (uint8_t)(tag | 0x80);
				wire[size++] = (uint8_t)tag;
				wire[size++] = 0;
				if (i == 0)
					assert_int_equal(scan_message(type, bytes_make(wire, size),
								 &scan_limits_default, NULL),
						OK);
			}
			bool token = type->fields[a].id == 200 || type->fields[b].id == 200;

			assert_int_equal(scan_message(type, bytes_make(wire, size),
						 &scan_limits_default, NULL),
				token && a != b ? OK : ERR_MALFORMED);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_wire),
		cmocka_unit_test(malformed_wire),
		cmocka_unit_test(depth_at_the_cap_and_past_it),
		cmocka_unit_test(fields_at_the_cap_and_past_it),
		cmocka_unit_test(unknown_fields_at_the_cap_and_past_it),
		cmocka_unit_test(two_gib_are_refused_unread),
		cmocka_unit_test(a_long_path_is_cut),
		cmocka_unit_test(what_passes_unpacks),
		cmocka_unit_test(every_prefix_is_read_within_its_bytes),
		cmocka_unit_test(schemas_keep_the_rules),
		cmocka_unit_test(one_request_of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
