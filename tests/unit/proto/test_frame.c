#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/limits.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "proto/frame.pb-c.h"
#include "tests/unit/base/failing_alloc.h"

/* A frame whose body is `size` bytes of `fill`. */
static void put_raw(struct buf *buf, size_t size, uint8_t fill)
{
	uint8_t *to;

	buf_put_u32be(buf, (uint32_t)size);
	to = buf_reserve(buf, size);
	assert_non_null(to);
	memset(to, fill, size);
	buf->size += size;
}

static void assert_next(struct frame_reader *reader, size_t size, uint8_t fill)
{
	struct bytes frame;

	assert_int_equal(frame_reader_next(reader, &frame), OK);
	assert_int_equal(frame.size, size);
	for (size_t i = 0; i < size; i++)
		if (frame.data[i] != fill)
			fail_msg("byte %zu of a frame of %zu is wrong", i, size);
}

static void assert_next_is(struct frame_reader *reader, enum err expected)
{
	struct bytes frame = {(const uint8_t *)"untouched", 9};

	assert_int_equal(frame_reader_next(reader, &frame), expected);
	assert_true(bytes_equal_str(frame, "untouched"));
}

static const size_t sizes[] = {1, 2, 3, 4, 5, 127, 128, 600, 4096, 65536, 70000, 1, 262144, 9};
enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };

static void put_stream(struct buf *stream)
{
	buf_init(stream, 1024 * 1024);
	for (size_t i = 0; i < COUNT; i++)
		put_raw(stream, sizes[i], (uint8_t)i);
	assert_int_equal(stream->err, OK);
}

/* Feeds the stream in chunks whose sizes `next` gives; every frame must come out as it went in. */
static void feed(size_t (*next)(size_t left))
{
	struct frame_reader reader;
	struct buf stream;
	struct bytes frame;
	size_t got = 0;

	put_stream(&stream);
	frame_reader_init(&reader, 262144);
	for (size_t at = 0, n; at < stream.size; at += n) {
		n = next(stream.size - at);
		assert_int_equal(frame_reader_push(&reader, bytes_make(stream.data + at, n)), OK);
		while (frame_reader_next(&reader, &frame) == OK) {
			assert_true(got < COUNT);
			assert_int_equal(frame.size, sizes[got]);
			assert_int_equal(frame.data[0], got);
			assert_int_equal(frame.data[frame.size - 1], got);
			got++;
		}
		assert_next_is(&reader, ERR_AGAIN);
	}
	assert_int_equal(got, COUNT);
	assert_int_equal(frame_reader_pending(&reader), 0);
	frame_reader_release(&reader);
	buf_release(&stream);
}

static size_t one(size_t left)
{
	return 1;
}

static size_t all(size_t left)
{
	return left;
}

static size_t some(size_t left)
{
	size_t most = rand() % 4 == 0 ? 100000 : 9;
	size_t n = (size_t)rand() % most;

	return n < left ? n : left;
}

static void byte_by_byte(void **state)
{
	feed(one);
}

static void at_once(void **state)
{
	feed(all);
}

static void in_random_chunks(void **state)
{
	for (unsigned seed = 0; seed < 20; seed++) {
		srand(seed);
		feed(some);
	}
}

static void bad_length(uint32_t length, bool at_once)
{
	struct frame_reader reader;
	uint8_t header[FRAME_HEADER_SIZE + 100] = {0};

	put_u32be(header, length);
	frame_reader_init(&reader, 1000);
	if (at_once) {
		assert_int_equal(frame_reader_push(&reader, BYTES_ARRAY(header)), OK);
	} else {
		for (size_t i = 0; i < FRAME_HEADER_SIZE; i++) {
			assert_next_is(&reader, ERR_AGAIN);
			assert_int_equal(frame_reader_push(&reader, bytes_make(header + i, 1)), OK);
		}
	}
	/* Not a byte of the body was stored, now or later. */
	assert_int_equal(reader.buf.size, FRAME_HEADER_SIZE);
	assert_next_is(&reader, ERR_LIMIT);
	assert_int_equal(frame_reader_push(&reader, BYTES_ARRAY(header)), OK);
	assert_int_equal(reader.buf.size, FRAME_HEADER_SIZE);
	assert_next_is(&reader, ERR_LIMIT);
	frame_reader_release(&reader);
}

static void lengths_of_zero_and_over_the_maximum(void **state)
{
	const uint32_t lengths[] = {0, 1001, 1002, 0x10000, 0x80000000, 0xfffffffb, 0xffffffff};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		bad_length(lengths[i], true);
		bad_length(lengths[i], false);
	}
}

static void the_maximum_and_one_more(void **state)
{
	struct frame_reader reader;
	struct buf buf;

	buf_init(&buf, 3 * LIMIT_FRAME_SIZE);
	frame_reader_init(&reader, LIMIT_FRAME_SIZE);
	put_raw(&buf, LIMIT_FRAME_SIZE, 7);
	assert_int_equal(frame_reader_push(&reader, buf_bytes(&buf)), OK);
	assert_next(&reader, LIMIT_FRAME_SIZE, 7);
	assert_next_is(&reader, ERR_AGAIN);
	buf_clear(&buf);
	put_raw(&buf, LIMIT_FRAME_SIZE + 1, 7);
	assert_int_equal(frame_reader_push(&reader, buf_bytes(&buf)), OK);
	assert_next_is(&reader, ERR_LIMIT);
	frame_reader_release(&reader);
	buf_release(&buf);
}

static void good_frames_come_before_the_error(void **state)
{
	struct frame_reader reader;
	struct buf buf;

	buf_init(&buf, 1000);
	put_raw(&buf, 10, 1);
	put_raw(&buf, 20, 2);
	buf_put_u32be(&buf, 0);
	put_raw(&buf, 30, 3);
	frame_reader_init(&reader, 100);
	assert_int_equal(frame_reader_push(&reader, buf_bytes(&buf)), OK);
	assert_next(&reader, 10, 1);
	assert_next(&reader, 20, 2);
	assert_next_is(&reader, ERR_LIMIT);
	assert_int_equal(frame_reader_push(&reader, buf_bytes(&buf)), OK);
	assert_next_is(&reader, ERR_LIMIT);
	frame_reader_release(&reader);
	buf_release(&buf);
}

static void a_truncated_stream_is_pending(void **state)
{
	struct frame_reader reader;
	struct buf buf;

	buf_init(&buf, 1000);
	put_raw(&buf, 10, 1);
	put_raw(&buf, 20, 2);
	for (size_t cut = 0; cut <= buf.size; cut++) {
		size_t expected = cut < 14 ? cut : cut - 14;

		if (cut == buf.size)
			expected = 0;
		frame_reader_init(&reader, 100);
		assert_int_equal(frame_reader_push(&reader, bytes_make(buf.data, cut)), OK);
		assert_int_equal(frame_reader_pending(&reader), expected);
		if (cut >= 14)
			assert_next(&reader, 10, 1);
		if (cut == buf.size)
			assert_next(&reader, 20, 2);
		assert_next_is(&reader, ERR_AGAIN);
		assert_int_equal(frame_reader_pending(&reader), expected);
		frame_reader_release(&reader);
	}
	buf_release(&buf);
}

static void announced_bytes_take_no_memory(void **state)
{
	struct frame_reader reader;
	uint8_t header[FRAME_HEADER_SIZE];

	put_u32be(header, LIMIT_FRAME_SIZE);
	frame_reader_init(&reader, LIMIT_FRAME_SIZE);
	assert_int_equal(frame_reader_push(&reader, BYTES_ARRAY(header)), OK);
	assert_next_is(&reader, ERR_AGAIN);
	assert_true(reader.buf.capacity <= 1024);
	frame_reader_release(&reader);
}

static void a_drained_reader_gives_memory_back(void **state)
{
	struct frame_reader reader;
	struct buf buf;

	buf_init(&buf, 1000000);
	put_raw(&buf, 500000, 1);
	frame_reader_init(&reader, LIMIT_FRAME_SIZE);
	assert_int_equal(frame_reader_push(&reader, buf_bytes(&buf)), OK);
	assert_next(&reader, 500000, 1);
	buf_clear(&buf);
	put_raw(&buf, 5, 2);
	assert_int_equal(frame_reader_push(&reader, buf_bytes(&buf)), OK);
	assert_next(&reader, 5, 2);
	assert_true(reader.buf.capacity <= 64 * 1024);
	frame_reader_release(&reader);
	frame_reader_release(&reader);
	frame_reader_release(NULL);
	buf_release(&buf);
}

/* What is at rest takes no memory; what has begun is no rest. */
static void a_reader_at_rest_takes_no_memory(void **state)
{
	struct frame_reader reader;
	struct buf buf;

	buf_init(&buf, 1000);
	put_raw(&buf, 20, 1);
	frame_reader_init(&reader, LIMIT_FRAME_SIZE);
	frame_reader_rest(&reader);
	assert_int_equal(frame_reader_push(&reader, bytes_make(buf.data, 10)), OK);
	frame_reader_rest(&reader);
	assert_int_equal(frame_reader_pending(&reader), 10);
	assert_int_equal(frame_reader_push(&reader, bytes_make(buf.data + 10, buf.size - 10)), OK);
	frame_reader_rest(&reader);
	assert_next(&reader, 20, 1);
	frame_reader_rest(&reader);
	assert_int_equal(reader.buf.capacity, 0);
	assert_int_equal(frame_reader_push(&reader, buf_bytes(&buf)), OK);
	assert_next(&reader, 20, 1);
	frame_reader_release(&reader);
	buf_release(&buf);
}

/* Exactly one maximal frame and LIMIT_FRAME_SIZE besides fit without draining. */
static void a_caller_who_does_not_drain_is_stopped(void **state)
{
	enum { MAX = 1000 };
	size_t room = FRAME_HEADER_SIZE + MAX + LIMIT_FRAME_SIZE;
	struct frame_reader reader;
	struct buf frame;
	size_t pushed = 0;

	buf_init(&frame, 2 * MAX);
	put_raw(&frame, MAX, 1);
	frame_reader_init(&reader, MAX);
	while (pushed + frame.size <= room) {
		assert_int_equal(frame_reader_push(&reader, buf_bytes(&frame)), OK);
		pushed += frame.size;
	}
	assert_int_equal(frame_reader_push(&reader, bytes_make(frame.data, room - pushed)), OK);
	assert_int_equal(
		frame_reader_push(&reader, bytes_make(frame.data + room - pushed, 1)), ERR_LIMIT);
	assert_next_is(&reader, ERR_LIMIT);
	assert_int_equal(frame_reader_push(&reader, BYTES_NONE), ERR_LIMIT);
	frame_reader_release(&reader);
	buf_release(&frame);
}

static void no_memory_is_an_error_that_stays(void **state)
{
	struct failing_alloc heap;
	struct frame_reader reader;

	failing_alloc_begin(&heap, 1);
	frame_reader_init(&reader, 100);
	assert_int_equal(frame_reader_push(&reader, BYTES_NONE), OK);
	assert_int_equal(frame_reader_push(&reader, bytes_make("\0\0\0\1x", 5)), ERR_NOMEM);
	assert_int_equal(frame_reader_push(&reader, bytes_make("\0\0\0\1x", 5)), ERR_NOMEM);
	assert_next_is(&reader, ERR_NOMEM);
	frame_reader_release(&reader);
	failing_alloc_end(&heap);
}

static void written_frames_are_read(void **state)
{
	Sauti__Ping ping = SAUTI__PING__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT, *got;
	struct frame_reader reader;
	struct arena arena = {.max = 10000};
	struct bytes bytes;
	struct buf buf;

	ping.token = 0x1234;
	frame.body_case = SAUTI__FRAME__BODY_PONG;
	frame.pong = &ping;
	buf_init(&buf, 1000);
	frame_write(&buf, &frame);
	frame_write(&buf, &frame);
	assert_int_equal(buf.err, OK);
	assert_int_equal(buf.size, 2 * (4 + 5));
	frame_reader_init(&reader, 100);
	assert_int_equal(frame_reader_push(&reader, buf_bytes(&buf)), OK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(frame_reader_next(&reader, &bytes), OK);
		assert_int_equal(
			CODEC_UNPACK(frame, bytes, &scan_limits_strict, &arena, &got, NULL), OK);
		assert_int_equal(got->body_case, SAUTI__FRAME__BODY_PONG);
		assert_int_equal(got->pong->token, 0x1234);
	}
	assert_next_is(&reader, ERR_AGAIN);
	arena_release(&arena);
	frame_reader_release(&reader);
	buf_release(&buf);
}

static void writing_fails_whole(void **state)
{
	Sauti__Ping ping = SAUTI__PING__INIT;
	struct buf buf;

	ping.token = 1; /* packs to 2 bytes */
	buf_init(&buf, 12);
	frame_write(&buf, &ping);
	frame_write(&buf, &ping);
	assert_int_equal(buf.err, OK);
	assert_int_equal(buf.size, 12);
	frame_write(&buf, &ping);
	assert_int_equal(buf.err, ERR_LIMIT);
	assert_int_equal(buf.size, 12);
	buf_release(&buf);

	buf_init(&buf, 11);
	frame_write(&buf, &ping);
	frame_write(&buf, &ping);
	assert_int_equal(buf.err, ERR_LIMIT);
	assert_int_equal(buf.size, 6);
	buf_clear(&buf);

	ping.token = 0;
	frame_write(&buf, &ping);
	assert_int_equal(buf.err, ERR_INVALID);
	assert_int_equal(buf.size, 0);
	ping.token = 1;
	frame_write(&buf, &ping);
	assert_int_equal(buf.err, ERR_INVALID);
	assert_int_equal(buf.size, 0);
	buf_release(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(at_once),
		cmocka_unit_test(in_random_chunks),
		cmocka_unit_test(lengths_of_zero_and_over_the_maximum),
		cmocka_unit_test(the_maximum_and_one_more),
		cmocka_unit_test(good_frames_come_before_the_error),
		cmocka_unit_test(a_truncated_stream_is_pending),
		cmocka_unit_test(announced_bytes_take_no_memory),
		cmocka_unit_test(a_drained_reader_gives_memory_back),
		cmocka_unit_test(a_reader_at_rest_takes_no_memory),
		cmocka_unit_test(a_caller_who_does_not_drain_is_stopped),
		cmocka_unit_test(no_memory_is_an_error_that_stays),
		cmocka_unit_test(written_frames_are_read),
		cmocka_unit_test(writing_fails_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
