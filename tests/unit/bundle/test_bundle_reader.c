/* Reading a bundle whatever has become of the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "proto/frame.h"
#include "replication/bundle/reader.h"

enum { FRAMES = 30, FRAME = 40, SEGMENT = 5 * (FRAME + FRAME_HEADER_SIZE) };

struct image {
	struct secret key;
	struct buf file;
	size_t head;
	uint64_t bad_from, bad_to; /* of the medium */
};

static enum err image_read(
	void *arg, uint64_t offset, void *data, size_t size, size_t *ret_size, struct errctx *ctx)
{
	struct image *image = arg;
	size_t left = offset < image->file.size ? image->file.size - (size_t)offset : 0;

	if (offset < image->bad_to && offset + size > image->bad_from)
		return err_set(ctx, ERR_IO, "the stick is bad here");
	*ret_size = size < left ? size : left;
	if (*ret_size > 0)
		memcpy(data, image->file.data + offset, *ret_size);
	return OK;
}

static void put_frame(struct buf *out, unsigned number)
{
	buf_put_u32be(out, FRAME);
	for (unsigned i = 0; i < FRAME; i++)
		buf_put_u8(out, (uint8_t)(number + i));
}

static int setup(void **state)
{
	static struct image image;
	struct bundle_manifest m = {
		.network = "ovra.example", .node = "haiti", .part = 1, .parts = 1};
	struct bundle_segments segments;
	struct buf body;

	image = (struct image){0};
	if (crypto_init() != OK || tls_key_new(&image.key) != OK ||
		bundle_segments_init(&segments, SEGMENT) != OK)
		return -1;
	buf_init(&body, 1 << 20);
	buf_init(&image.file, 1 << 24);
	for (unsigned i = 0; i < FRAMES; i++) {
		size_t at = body.size;

		put_frame(&body, i);
		assert_int_equal(
			bundle_segments_put(&segments, bytes_make(body.data + at, body.size - at)),
			OK);
	}
	assert_int_equal(bundle_segments_end(&segments), OK);
	m.segments = segments.list;
	m.segment_count = segments.count;
	assert_int_equal(segments.count, FRAMES / 5);
	assert_int_equal(bundle_manifest_write(&image.file, &m, secret_bytes(&image.key), 0), OK);
	image.head = image.file.size;
	buf_put(&image.file, buf_bytes(&body));
	buf_release(&body);
	bundle_segments_release(&segments);
	*state = &image;
	return 0;
}

static int teardown(void **state)
{
	struct image *image = *state;

	buf_release(&image->file);
	secret_release(&image->key);
	return 0;
}

struct outcome {
	enum err open;
	bool manifest;
	size_t frames, right, damage;
	char what[160];
};

static struct outcome run(struct image *image)
{
	struct bundle_source source = {image_read, image};
	struct outcome outcome = {0};
	struct bundle_reader *reader;
	struct bundle_item item;

	outcome.open = bundle_reader_open(&source, &reader, NULL);
	if (outcome.open != OK)
		return outcome;
	outcome.manifest = bundle_reader_manifest(reader, NULL) != NULL;
	for (size_t steps = 0;; steps++) {
		assert_true(steps < 1000);
		assert_int_equal(bundle_reader_next(reader, &item), OK);
		if (item.found == BUNDLE_END)
			break;
		if (item.found == BUNDLE_DAMAGE) {
			outcome.damage++;
			assert_true(item.what[0] != '\0');
			memcpy(outcome.what, item.what, sizeof(item.what));
			continue;
		}
		outcome.frames++;
		for (unsigned i = 0; i < FRAMES; i++) {
			struct buf frame;

			buf_init(&frame, 100);
			put_frame(&frame, i);
			outcome.right += bytes_equal(
				item.frame, bytes_make(frame.data + FRAME_HEADER_SIZE, FRAME));
			buf_release(&frame);
		}
	}
	assert_int_equal(bundle_reader_next(reader, &item), OK);
	assert_int_equal(item.found, BUNDLE_END);
	bundle_reader_close(reader);
	return outcome;
}

static void test_whole(void **state)
{
	struct outcome o = run(*state);

	assert_int_equal(o.open, OK);
	assert_true(o.manifest);
	assert_int_equal(o.right, FRAMES);
	assert_int_equal(o.damage, 0);
}

/* One flipped bit costs at most the frames of its segment, and is always told. */
static void test_every_flipped_bit(void **state)
{
	struct image *image = *state;

	for (size_t bit = 0; bit < 8 * image->file.size; bit++) {
		struct outcome o;
		size_t at = bit / 8;

		image->file.data[at] ^= (uint8_t)(1 << bit % 8);
		o = run(image);
		image->file.data[at] ^= (uint8_t)(1 << bit % 8);
		if (at < BUNDLE_MAGIC_SIZE) {
			assert_int_equal(o.open, ERR_CORRUPT);
			continue;
		}
		assert_int_equal(o.open, OK);
		if (at < image->head) /* the manifest: unreadable, unsigned, or lying */
			continue;
		assert_true(o.manifest);
		assert_true(o.damage >= 1);
		assert_true(o.right >= FRAMES - 5);
	}
}

static void test_every_truncation(void **state)
{
	struct image *image = *state;
	size_t whole = image->file.size;

	for (size_t size = 0; size < whole; size++) {
		struct outcome o;

		image->file.size = size;
		o = run(image);
		if (size < BUNDLE_MAGIC_SIZE) {
			assert_int_equal(o.open, ERR_CORRUPT);
			continue;
		}
		assert_int_equal(o.open, OK);
		assert_true(o.damage >= 1);
		if (size >= image->head)
			assert_int_equal(
				o.right, (size - image->head) / (FRAME + FRAME_HEADER_SIZE));
	}
	image->file.size = whole;
}

static void test_more_than_there_should_be(void **state)
{
	struct image *image = *state;
	struct outcome o;

	put_frame(&image->file, 99);
	o = run(image);
	assert_int_equal(o.frames, FRAMES);
	assert_int_equal(o.damage, 1);
	assert_non_null(strstr(o.what, "behind the end"));
}

/* What the medium does not give costs its segment. */
static void test_bad_medium(void **state)
{
	struct image *image = *state;
	struct outcome o;

	image->bad_from = image->head + SEGMENT + 60;
	image->bad_to = image->bad_from + 1;
	o = run(image);
	assert_int_equal(o.right, FRAMES - 4);
	assert_int_equal(o.damage, 1);
	assert_non_null(strstr(o.what, "the stick is bad here"));
	image->bad_from = 0;
	o = run(image);
	assert_int_equal(o.open, ERR_IO);
}

/* Without a head that can be read, frames are found as long as their lengths are right. */
static void test_without_manifest(void **state)
{
	struct image *image = *state;
	size_t header = image->head + 10 * (FRAME + FRAME_HEADER_SIZE);
	struct outcome o;

	memset(image->file.data + BUNDLE_MAGIC_SIZE + FRAME_HEADER_SIZE, 0xff, 20);
	o = run(image);
	assert_false(o.manifest);
	assert_int_equal(o.right, FRAMES);
	assert_int_equal(o.damage, 1);
	assert_non_null(strstr(o.what, "its head cannot be read"));
	image->file.data[header] = 0xff;
	o = run(image);
	assert_int_equal(o.right, 10);
	assert_int_equal(o.damage, 2);
	/* A head that claims more than there is, or than there may be. */
	put_u32be(image->file.data + BUNDLE_MAGIC_SIZE, LIMIT_BUNDLE_HEADER);
	o = run(image);
	assert_int_equal(o.right, 0);
	assert_true(o.damage > 0);
	put_u32be(image->file.data + BUNDLE_MAGIC_SIZE, LIMIT_BUNDLE_HEADER + 1);
	o = run(image);
	assert_int_equal(o.damage, 1);
}

static void test_frames_at_the_cap(void **state)
{
	struct image *image = *state;
	struct bundle_source source = {image_read, image};
	struct bundle_reader *reader;
	struct bundle_item item;

	for (unsigned more = 0; more < 2; more++) {
		size_t frames = 0, damage = 0;

		buf_clear(&image->file);
		buf_put_str(&image->file, BUNDLE_MAGIC);
		buf_put_u32be(&image->file, 1);
		buf_put_u8(&image->file, 0);
		for (unsigned i = 0; i < LIMIT_BUNDLE_FRAMES + more; i++) {
			buf_put_u32be(&image->file, 1);
			buf_put_u8(&image->file, 0);
		}
		assert_int_equal(bundle_reader_open(&source, &reader, NULL), OK);
		do {
			assert_int_equal(bundle_reader_next(reader, &item), OK);
			frames += item.found == BUNDLE_FRAME;
			damage += item.found == BUNDLE_DAMAGE;
		} while (item.found != BUNDLE_END);
		assert_int_equal(frames, LIMIT_BUNDLE_FRAMES);
		assert_int_equal(damage, 1 + more); /* the head besides */
		bundle_reader_close(reader);
	}
}

static void test_lengths_at_the_cap(void **state)
{
	struct image *image = *state;
	struct bundle_manifest m = {
		.network = "ovra.example", .node = "haiti", .part = 1, .parts = 1};
	struct bundle_segment segment = {.size = FRAME_HEADER_SIZE + LIMIT_FRAME_SIZE};
	struct outcome o;

	m.segments = &segment;
	m.segment_count = 1;
	for (unsigned more = 0; more < 2; more++) {
		buf_clear(&image->file);
		segment.size += more;
		assert_int_equal(
			bundle_manifest_write(&image->file, &m, secret_bytes(&image->key), 0), OK);
		buf_put_u32be(&image->file, LIMIT_FRAME_SIZE + more);
		buf_put_zeros(&image->file, LIMIT_FRAME_SIZE + more);
		o = run(image);
		assert_int_equal(o.frames, 1 - more);
		assert_int_equal(o.damage, 1); /* the hash, or the length */
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(whole),
		T(every_flipped_bit),
		T(every_truncation),
		T(more_than_there_should_be),
		T(bad_medium),
		T(without_manifest),
		T(frames_at_the_cap),
		T(lengths_at_the_cap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
