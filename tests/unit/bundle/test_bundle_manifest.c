/* The head of a bundle: what is written is read, nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "proto/bundle.pb-c.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "replication/bundle/manifest.h"

enum { HEAD = BUNDLE_MAGIC_SIZE + FRAME_HEADER_SIZE };

static struct secret key;

static int setup(void **state)
{
	return crypto_init() == OK && tls_key_new(&key) == OK ? 0 : -1;
}

static int teardown(void **state)
{
	secret_release(&key);
	return 0;
}

static void make(struct bundle_manifest *m, size_t logs, size_t segments)
{
	*m = (struct bundle_manifest){.network = "ovra.example",
		.node = "haiti",
		.made_at = 1800000000,
		.for_node = "hq",
		.set = {1, 2, 3},
		.part = 2,
		.parts = 7,
		.log_count = logs,
		.segment_count = segments};
	m->logs = mem_array(logs + 1, sizeof(*m->logs));
	m->segments = mem_array(segments + 1, sizeof(*m->segments));
	assert_true(m->logs != NULL && m->segments != NULL);
	for (size_t i = 0; i < logs; i++) {
		uint8_t random[8] = {(uint8_t)(i >> 8), (uint8_t)i};

		assert_int_equal(origin_make(bytes_str("ovra.example"), bytes_str("haiti"), 1,
					 random, &m->logs[i].origin),
			OK);
		m->logs[i].key.b[0] = (uint8_t)i;
		m->logs[i].from = i;
		m->logs[i].to = i + 10;
		m->logs[i].size = LIMIT_LOG_SIZE;
	}
	for (size_t i = 0; i < segments; i++) {
		m->segments[i].size = (uint32_t)(i + 1);
		m->segments[i].sha256.b[31] = (uint8_t)i;
	}
}

static void write_head(struct buf *out, const struct bundle_manifest *m, size_t size)
{
	buf_init(out, 2 * LIMIT_BUNDLE_HEADER);
	assert_int_equal(bundle_manifest_write(out, m, secret_bytes(&key), size), OK);
	assert_true(bytes_equal_str(bytes_make(out->data, BUNDLE_MAGIC_SIZE), BUNDLE_MAGIC));
	assert_int_equal(get_u32be(out->data + BUNDLE_MAGIC_SIZE), out->size - HEAD);
}

static enum err read_head(const struct buf *head, struct bundle_manifest *ret)
{
	struct errctx ctx = {""};

	return bundle_manifest_read(bytes_make(head->data + HEAD, head->size - HEAD), ret, &ctx);
}

static void test_round_trip(void **state)
{
	struct bundle_manifest m, r;
	struct buf head;

	make(&m, 3, 5);
	write_head(&head, &m, 0);
	assert_true(head.size <= bundle_manifest_size_max(3, 5));
	assert_int_equal(read_head(&head, &r), OK);
	assert_true(r.signed_ok);
	assert_string_equal(r.network, m.network);
	assert_string_equal(r.node, m.node);
	assert_string_equal(r.for_node, m.for_node);
	assert_int_equal(r.made_at, m.made_at);
	assert_memory_equal(r.set, m.set, BUNDLE_SET_SIZE);
	assert_int_equal(r.part, 2);
	assert_int_equal(r.parts, 7);
	assert_int_equal(r.log_count, 3);
	assert_int_equal(r.segment_count, 5);
	assert_memory_equal(r.logs, m.logs, 3 * sizeof(*m.logs));
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(r.segments[i].size, m.segments[i].size);
		assert_true(hash_equal(&r.segments[i].sha256, &m.segments[i].sha256));
	}
	bundle_manifest_release(&m);
	bundle_manifest_release(&r);
	buf_release(&head);
}

/* A place that was kept is filled to the byte, whatever its size; too small a one is refused. */
static void test_padding(void **state)
{
	struct bundle_manifest m, r;
	struct buf bare, head;
	size_t reached = 0;

	make(&m, 1, 1);
	write_head(&bare, &m, 0);
	for (size_t more = 0; more < 300; more++) {
		buf_init(&head, 2 * LIMIT_BUNDLE_HEADER);
		if (bundle_manifest_write(&head, &m, secret_bytes(&key), bare.size + more) == OK) {
			assert_int_equal(head.size, bare.size + more);
			assert_int_equal(read_head(&head, &r), OK);
			assert_true(r.signed_ok);
			bundle_manifest_release(&r);
			reached++;
		} else {
			assert_true(more == 1 || more == 2); /* a field takes three at least */
		}
		buf_release(&head);
	}
	assert_int_equal(reached, 298);
	for (size_t more = 16300; more < 16500; more++) {
		write_head(&head, &m, bare.size + more);
		buf_release(&head);
	}
	buf_init(&head, 2 * LIMIT_BUNDLE_HEADER);
	assert_int_equal(
		bundle_manifest_write(&head, &m, secret_bytes(&key), bare.size - 1), ERR_LIMIT);
	buf_release(&head);
	buf_release(&bare);
	bundle_manifest_release(&m);
}

/* As many logs and segments as there may be fit; one more is refused by who reads. */
static void test_caps(void **state)
{
	struct bundle_manifest m, r;
	struct buf head;

	make(&m, LIMIT_LOGS, LIMIT_BUNDLE_SEGMENTS);
	write_head(&head, &m, 0);
	assert_true(head.size <= bundle_manifest_size_max(LIMIT_LOGS, LIMIT_BUNDLE_SEGMENTS));
	assert_true(
		bundle_manifest_size_max(LIMIT_LOGS, LIMIT_BUNDLE_SEGMENTS) < LIMIT_BUNDLE_HEADER);
	assert_int_equal(read_head(&head, &r), OK);
	assert_true(r.signed_ok);
	bundle_manifest_release(&r);
	buf_release(&head);
	bundle_manifest_release(&m);

	make(&m, LIMIT_LOGS + 1, 1);
	write_head(&head, &m, 0);
	assert_int_equal(read_head(&head, &r), ERR_LIMIT);
	buf_release(&head);
	bundle_manifest_release(&m);

	make(&m, 1, LIMIT_BUNDLE_SEGMENTS + 1);
	buf_init(&head, LIMIT_BUNDLE_HEADER);
	assert_int_equal(bundle_manifest_write(&head, &m, secret_bytes(&key), 0), ERR_LIMIT);
	buf_release(&head);
	bundle_manifest_release(&m);
	assert_int_equal(
		bundle_manifest_read(bytes_make(NULL, (size_t)LIMIT_BUNDLE_HEADER + 1), &r, NULL),
		ERR_LIMIT);
}

static void test_what_cannot_be_is_not_written(void **state)
{
	struct bundle_manifest m;
	struct buf head;

	make(&m, 1, 1);
	buf_init(&head, LIMIT_BUNDLE_HEADER);
	m.part = 0;
	assert_int_equal(bundle_manifest_write(&head, &m, secret_bytes(&key), 0), ERR_INVALID);
	m.part = 8;
	assert_int_equal(bundle_manifest_write(&head, &m, secret_bytes(&key), 0), ERR_INVALID);
	m.part = 1;
	m.parts = LIMIT_BUNDLE_PARTS + 1;
	assert_int_equal(bundle_manifest_write(&head, &m, secret_bytes(&key), 0), ERR_INVALID);
	m.parts = LIMIT_BUNDLE_PARTS;
	assert_int_equal(bundle_manifest_write(&head, &m, secret_bytes(&key), 0), OK);
	strcpy(m.node, "Haiti");
	assert_int_equal(bundle_manifest_write(&head, &m, secret_bytes(&key), 0), ERR_INVALID);
	buf_release(&head);
	bundle_manifest_release(&m);
}

/* A flipped bit anywhere: refused, or the signature does not hold any more. Padding alone says
 * nothing. */
static void test_every_flipped_bit(void **state)
{
	struct bundle_manifest m, r;
	size_t refused = 0, unsigned_ = 0;
	struct buf head;

	make(&m, 2, 2);
	write_head(&head, &m, 0);
	for (size_t bit = 0; bit < 8 * (head.size - HEAD); bit++) {
		head.data[HEAD + bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (read_head(&head, &r) == OK) {
			assert_false(r.signed_ok);
			unsigned_++;
			bundle_manifest_release(&r);
		} else {
			refused++;
		}
		head.data[HEAD + bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(refused > 100 && unsigned_ > 1000);
	for (size_t size = 0; size < head.size - HEAD; size++) {
		if (bundle_manifest_read(bytes_make(head.data + HEAD, size), &r, NULL) != OK)
			continue;
		assert_false(r.signed_ok); /* cut between two fields */
		bundle_manifest_release(&r);
	}
	buf_release(&head);
	bundle_manifest_release(&m);
}

/* Well signed, and wrong inside. */
static void refused(Sauti__BundleManifest *inner, enum err error)
{
	Sauti__Bundle bundle = SAUTI__BUNDLE__INIT;
	uint8_t signature[TLS_KEY_SIGNATURE_SIZE];
	struct bundle_manifest r;
	struct buf packed, whole, spki;
	struct hash hash;

	buf_init(&packed, LIMIT_BUNDLE_HEADER);
	buf_init(&whole, LIMIT_BUNDLE_HEADER);
	buf_init(&spki, 256);
	codec_pack(&packed, inner);
	assert_int_equal(tls_key_spki(secret_bytes(&key), &spki, &hash), OK);
	assert_int_equal(
		tls_key_sign(secret_bytes(&key), PURPOSE_BUNDLE, buf_bytes(&packed), signature),
		OK);
	bundle.manifest = codec_binary(buf_bytes(&packed));
	bundle.tls_public = codec_binary(buf_bytes(&spki));
	bundle.signature = codec_binary(BYTES_ARRAY(signature));
	codec_pack(&whole, &bundle);
	assert_int_equal(bundle_manifest_read(buf_bytes(&whole), &r, NULL), error);
	if (error == OK) {
		assert_true(r.signed_ok);
		bundle_manifest_release(&r);
	}
	buf_release(&packed);
	buf_release(&whole);
	buf_release(&spki);
}

static void test_wrong_inside(void **state)
{
	Sauti__BundleManifest good = SAUTI__BUNDLE_MANIFEST__INIT, m;
	Sauti__BundleLog log = SAUTI__BUNDLE_LOG__INIT, *logs[1] = {&log};
	static uint8_t set[BUNDLE_SET_SIZE], public[ED25519_PUBLIC_SIZE];
	uint8_t segment[BUNDLE_SEGMENT_SIZE] = {0, 0, 0, 1};

	log.origin = (char *)"ovra.example/haiti/1-0001020304050607";
	log.log_key = codec_binary(BYTES_ARRAY(public));
	log.to = log.size = 5;
	good.network = (char *)"ovra.example";
	good.node = (char *)"haiti";
	good.set = codec_binary(BYTES_ARRAY(set));
	good.part = good.parts = 1;
	good.logs = logs;
	good.n_logs = 1;
	good.segments = codec_binary(BYTES_ARRAY(segment));
	refused(&good, OK);
#define WRONG(change)                                                                              \
	do {                                                                                       \
		m = good;                                                                          \
		change;                                                                            \
		refused(&m, ERR_MALFORMED);                                                        \
	} while (0)
	WRONG(m.network = (char *)"ovra");
	WRONG(m.network = (char *)"");
	WRONG(m.node = (char *)"../x");
	WRONG(m.for_node = (char *)"No");
	WRONG(m.set.len = 15);
	WRONG(m.part = 0);
	WRONG(m.part = 2);
	WRONG(m.parts = LIMIT_BUNDLE_PARTS + 1);
	WRONG(m.segments.len = BUNDLE_SEGMENT_SIZE - 1);
	segment[3] = 0;
	WRONG((void)0);
	segment[3] = 1;
	log.size = 4;
	WRONG((void)0);
	log.size = LIMIT_LOG_SIZE + 1;
	WRONG((void)0);
	log.size = 5;
	log.from = 6;
	WRONG((void)0);
	log.from = 0;
	log.origin = (char *)"ovra.example/haiti";
	WRONG((void)0);
	log.origin = (char *)"ovra.example/haiti/1-0001020304050607";
	log.log_key.len = 31;
	WRONG((void)0);
}

static void test_segments(void **state)
{
	struct bundle_segments s;
	uint8_t frame[100] = {1};
	struct hash hash;

	assert_int_equal(bundle_segments_init(&s, 250), OK);
	for (int i = 0; i < 4; i++)
		assert_int_equal(bundle_segments_put(&s, BYTES_ARRAY(frame)), OK);
	assert_int_equal(s.count, 1);
	assert_int_equal(bundle_segments_end(&s), OK);
	assert_int_equal(bundle_segments_end(&s), OK);
	assert_int_equal(s.count, 2);
	assert_int_equal(s.list[0].size, 300);
	assert_int_equal(s.list[1].size, 100);
	sha256(BYTES_ARRAY(frame), &hash);
	assert_true(hash_equal(&s.list[1].sha256, &hash));
	bundle_segments_release(&s);
	assert_int_equal(bundle_segments_init(&s, 1), OK);
	for (int i = 0; i < LIMIT_BUNDLE_SEGMENTS; i++)
		assert_int_equal(bundle_segments_put(&s, BYTES_ARRAY(frame)), OK);
	assert_int_equal(bundle_segments_put(&s, BYTES_ARRAY(frame)), ERR_LIMIT);
	bundle_segments_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_what_cannot_be_is_not_written),
		cmocka_unit_test(test_every_flipped_bit),
		cmocka_unit_test(test_wrong_inside),
		cmocka_unit_test(test_segments),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
