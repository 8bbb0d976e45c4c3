#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/limits.h"
#include "every.pb-c.h"
#include "proto/codec.h"
#include "proto/control.pb-c.h"
#include "proto/entry.pb-c.h"
#include "proto/frame.pb-c.h"
#include "tests/lib/messages.h"
#include "tests/unit/base/failing_alloc.h"

enum { ANY = 2 * LIMIT_FRAME_SIZE };

static void round_trip(const ProtobufCMessageDescriptor *type, unsigned variant)
{
	struct arena first = {.max = LIMIT_ARENA_SIZE}, second = {.max = LIMIT_ARENA_SIZE};
	ProtobufCMessage *message = message_fill(type, variant, 4, &first), *got = NULL;
	struct errctx ctx = {""};
	struct buf wire, again;
	uint8_t *copy;

	assert_non_null(message);
	buf_init(&wire, ANY);
	buf_init(&again, ANY);
	codec_pack(&wire, message);
	assert_int_equal(wire.err, OK);
	copy = malloc(wire.size + 1);
	assert_non_null(copy);
	memcpy(copy, buf_cstr(&wire), wire.size);
	if (codec_unpack(type, bytes_make(copy, wire.size), &scan_limits_strict, &second, &got,
		    &ctx) != OK)
		fail_msg("%s %u: %s", type->name, variant, ctx.text);
	assert_ptr_equal(got->descriptor, type);
	/* The message holds copies. */
	memset(copy, 0xee, wire.size);
	free(copy);
	codec_pack(&again, got);
	assert_int_equal(again.err, OK);
	if (!bytes_equal(buf_bytes(&again), buf_bytes(&wire)))
		fail_msg("%s %u: packed anew it is another", type->name, variant);
	buf_release(&wire);
	buf_release(&again);
	arena_release(&first);
	arena_release(&second);
}

static void every_message_round_trips(void **state)
{
	for (unsigned variant = 0; variant < 48; variant++) {
		round_trip(&every__every__descriptor, variant);
		for (size_t i = 0; i < messages_count; i++)
			round_trip(messages_all[i], variant);
	}
}

static void a_message_of_defaults_packs_to_nothing(void **state)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT, *got;
	Sauti__LockRequest lock = SAUTI__LOCK_REQUEST__INIT, *empty = NULL;
	struct arena arena = {.max = 1000};
	struct buf buf;

	buf_init(&buf, 2);
	codec_pack(&buf, &lock);
	assert_int_equal(buf.err, OK);
	assert_int_equal(buf.size, 0);
	assert_int_equal(
		CODEC_UNPACK(lock_request, BYTES_NONE, &scan_limits_strict, &arena, &empty, NULL),
		OK);
	assert_non_null(empty);

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_LOCK;
	request.lock = &lock;
	codec_pack(&buf, &request);
	assert_int_equal(buf.err, OK);
	assert_int_equal(buf.size, 2);
	assert_int_equal(CODEC_UNPACK(control_request, buf_bytes(&buf), &scan_limits_strict, &arena,
				 &got, NULL),
		OK);
	assert_int_equal(got->body_case, SAUTI__CONTROL_REQUEST__BODY_LOCK);
	assert_non_null(got->lock);
	/* Full, and nothing more to add: still no error. */
	codec_pack(&buf, &lock);
	assert_int_equal(buf.err, OK);
	buf_release(&buf);
	arena_release(&arena);
}

static void packing_at_the_cap_and_past_it(void **state)
{
	Sauti__Ping ping = SAUTI__PING__INIT;
	struct buf buf;

	ping.token = 300; /* 3 bytes */
	buf_init(&buf, 6);
	codec_pack(&buf, &ping);
	codec_pack(&buf, &ping);
	assert_int_equal(buf.err, OK);
	assert_int_equal(buf.size, 6);
	codec_pack(&buf, &ping);
	assert_int_equal(buf.err, ERR_LIMIT);
	assert_int_equal(buf.size, 6);
	ping.token = 0;
	codec_pack(&buf, &ping);
	assert_int_equal(buf.err, ERR_LIMIT);
	buf_release(&buf);

	ping.token = 300;
	buf_init(&buf, 2);
	codec_pack(&buf, &ping);
	assert_int_equal(buf.err, ERR_LIMIT);
	assert_int_equal(buf.size, 0);
	buf_release(&buf);
}

static void refusals_leave_the_output_alone(void **state)
{
	static const char twice[] = "\x08\x01\x08\x01";
	struct arena arena = {.max = 1000};
	Sauti__Ping *message = (void *)&arena;
	struct errctx ctx = {""};

	assert_int_equal(CODEC_UNPACK(ping, bytes_make(twice, 4), &scan_limits_default, &arena,
				 &message, &ctx),
		ERR_MALFORMED);
	assert_string_equal(ctx.text, "Ping.token: given twice");
	assert_ptr_equal(message, &arena);
	assert_int_equal(arena.used, 0);

	arena.max = 16;
	assert_int_equal(CODEC_UNPACK(ping, bytes_make(twice, 2), &scan_limits_default, &arena,
				 &message, &ctx),
		ERR_NOMEM);
	assert_string_equal(ctx.text, "Ping: no room to unpack it");
	assert_ptr_equal(message, &arena);
	arena_release(&arena);
}

static enum err unpack_every(const struct buf *wire, struct arena *arena, ProtobufCMessage **ret)
{
	return codec_unpack(
		&every__every__descriptor, buf_bytes(wire), &scan_limits_default, arena, ret, NULL);
}

static void the_arena_at_the_cap_and_past_it(void **state)
{
	struct arena arena = {.max = LIMIT_ARENA_SIZE};
	ProtobufCMessage *message = message_fill(&every__every__descriptor, 5, 4, &arena), *got;
	struct buf wire;
	size_t used;

	assert_non_null(message);
	buf_init(&wire, ANY);
	codec_pack(&wire, message);
	arena_clear(&arena);
	assert_int_equal(unpack_every(&wire, &arena, &got), OK);
	used = arena.used;
	arena_clear(&arena);
	arena.max = used;
	assert_int_equal(unpack_every(&wire, &arena, &got), OK);
	/* Wherever it runs out, it says so, and nothing else happens. */
	for (size_t max = 0; max < used; max += 16) {
		arena_clear(&arena);
		arena.max = max;
		assert_int_equal(unpack_every(&wire, &arena, &got), ERR_NOMEM);
	}
	arena_release(&arena);
	buf_release(&wire);
}

static void no_memory_at_any_point(void **state)
{
	struct failing_alloc heap;
	ProtobufCMessage *message, *got;
	struct arena arena;
	struct buf wire;
	bool done = false;

	for (size_t n = 1; !done; n++) {
		failing_alloc_begin(&heap, n);
		arena_init(&arena, LIMIT_ARENA_SIZE);
		buf_init(&wire, ANY);
		message = message_fill(&every__every__descriptor, 5, 6, &arena);
		if (message != NULL) {
			codec_pack(&wire, message);
			arena_release(&arena);
			done = wire.err == OK && unpack_every(&wire, &arena, &got) == OK;
		}
		assert_true(n < 1000);
		arena_release(&arena);
		buf_release(&wire);
		failing_alloc_end(&heap);
	}
}

static void *from_block(void *arg, size_t size)
{
	size_t *used = arg;
	static _Alignas(16) uint8_t block[4096];

	size = (size + 15) / 16 * 16;
	if (size > sizeof(block) - *used)
		return NULL;
	*used += size;
	return block + *used - size;
}

static void keep(void *arg, void *pointer) {}

/* certs/keystore.c unpacks secrets into memory of its own. */
static void an_allocator_of_the_callers_own(void **state)
{
	struct failing_alloc heap;
	struct arena arena = {0};
	Sauti__Ping *ping;
	size_t used = 0;

	failing_alloc_begin(&heap, 0);
	arena.allocator = (ProtobufCAllocator){from_block, keep, &used};
	assert_int_equal(
		CODEC_UNPACK(ping, bytes_str("\x08\x05"), &scan_limits_strict, &arena, &ping, NULL),
		OK);
	assert_int_equal(ping->token, 5);
	assert_true(used > 0);
	assert_int_equal(heap.count, 0);
	failing_alloc_end(&heap);
}

/* Within the limits of a frame and of the scan there is nothing that the arena cannot hold. */
static void fits(const ProtobufCMessageDescriptor *type, struct buf *wire)
{
	struct arena arena = {.max = LIMIT_ARENA_SIZE};
	struct errctx ctx = {""};
	ProtobufCMessage *got;

	assert_int_equal(wire->err, OK);
	assert_true(wire->size <= LIMIT_FRAME_SIZE);
	if (codec_unpack(type, buf_bytes(wire), &scan_limits_default, &arena, &got, &ctx) != OK)
		fail_msg("%s of %zu bytes: %s", type->name, wire->size, ctx.text);
	buf_release(wire);
	arena_release(&arena);
}

static void put_length(struct buf *buf, size_t size)
{
	assert_true(size < 1u << 21);
	buf_put_u8(buf, (uint8_t)(size | 0x80));
	buf_put_u8(buf, (uint8_t)(size >> 7 | 0x80));
	buf_put_u8(buf, (uint8_t)(size >> 14));
}

static void the_largest_messages_fit_the_arena(void **state)
{
	size_t body = LIMIT_FRAME_SIZE - 4;
	struct buf wire;

	/* As many fields as there may be, the rest of the frame in the last one. */
	buf_init(&wire, LIMIT_FRAME_SIZE);
	buf_put_u8(&wire, 4 << 3 | 2);
	put_length(&wire, body);
	for (size_t i = 0; i < LIMIT_MESSAGE_FIELDS - 2; i++)
		buf_put(&wire, bytes_make("\x22\x00", 2));
	body -= 2 * (LIMIT_MESSAGE_FIELDS - 2) + 4;
	buf_put_u8(&wire, 5 << 3 | 2);
	put_length(&wire, body);
	buf_put_zeros(&wire, body);
	assert_int_equal(wire.size, LIMIT_FRAME_SIZE);
	fits(&sauti__frame__descriptor, &wire);

	/* The costliest message for its bytes: as many empty log states. */
	buf_init(&wire, LIMIT_FRAME_SIZE);
	buf_put_u8(&wire, 2 << 3 | 2);
	buf_put_u8(&wire, 0xfe);
	buf_put_u8(&wire, 0x7f);
	for (size_t i = 0; i < 8191; i++)
		buf_put(&wire, bytes_make("\x0a\x00", 2));
	assert_int_equal(wire.size, 3 + 2 * 8191);
	fits(&sauti__frame__descriptor, &wire);

	/* Every field of the largest size that fits so often. */
	buf_init(&wire, LIMIT_FRAME_SIZE);
	for (size_t i = 0; i < LIMIT_MESSAGE_FIELDS; i++) {
		buf_put_u8(&wire, 4 << 3 | 2);
		buf_put_u8(&wire, 126);
		buf_put_zeros(&wire, 126);
	}
	assert_int_equal(wire.size, LIMIT_FRAME_SIZE);
	fits(&sauti__batch__descriptor, &wire);
}

static void views_go_both_ways(void **state)
{
	ProtobufCBinaryData binary = codec_binary(bytes_str("abc"));

	assert_int_equal(binary.len, 3);
	assert_true(bytes_equal_str(codec_bytes(binary), "abc"));
	assert_int_equal(codec_bytes(codec_binary(BYTES_NONE)).size, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_round_trips),
		cmocka_unit_test(a_message_of_defaults_packs_to_nothing),
		cmocka_unit_test(packing_at_the_cap_and_past_it),
		cmocka_unit_test(refusals_leave_the_output_alone),
		cmocka_unit_test(the_arena_at_the_cap_and_past_it),
		cmocka_unit_test(no_memory_at_any_point),
		cmocka_unit_test(an_allocator_of_the_callers_own),
		cmocka_unit_test(the_largest_messages_fit_the_arena),
		cmocka_unit_test(views_go_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
