#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs_test.h"

static struct arena arena;

static int setup(void **state)
{
	arena_init(&arena, LIMIT_ARENA_SIZE);
	return crypto_setup(state);
}

static int teardown(void **state)
{
	arena_release(&arena);
	return crypto_teardown(state);
}

/* ---- the node signature ---- */

/* The signed bytes, written out: "sauti/1 log-opened" 00 body. */
static void signs_the_documented_bytes(void **state)
{
	struct signer *signer = signer_number(1);
	struct ed25519_signature signature;
	static const char signed_bytes[] = "sauti/1 log-opened\0body";

	assert_int_equal(node_sign(signer, PURPOSE_LOG_OPENED, bytes_str("body"), &signature), OK);
	assert_true(ed25519_verify(signer_public(signer),
		bytes_make(signed_bytes, sizeof(signed_bytes) - 1), BYTES_ARRAY(signature.b)));
	assert_true(node_verify(signer_public(signer), PURPOSE_LOG_OPENED, bytes_str("body"),
		BYTES_ARRAY(signature.b)));
	signer_free(signer);
}

static void refuses_other_signatures(void **state)
{
	struct signer *signer = signer_number(1);
	struct ed25519_public other = public_number(2);
	struct ed25519_signature signature;
	const struct ed25519_public *key = signer_public(signer);
	struct bytes body = bytes_str("body");

	assert_int_equal(node_sign(signer, PURPOSE_LOG_OPENED, body, &signature), OK);
	struct bytes good = BYTES_ARRAY(signature.b);

	assert_false(node_verify(&other, PURPOSE_LOG_OPENED, body, good));
	assert_false(node_verify(key, PURPOSE_NODE_ADMITTED, body, good));
	assert_false(node_verify(key, PURPOSE_LOG_OPENED, bytes_str("bodY"), good));
	assert_false(node_verify(key, PURPOSE_LOG_OPENED, BYTES_NONE, good));
	assert_false(node_verify(key, PURPOSE_LOG_OPENED, body, bytes_make(good.data, 63)));
	assert_false(node_verify(key, PURPOSE_LOG_OPENED, body, BYTES_NONE));
	for (size_t i = 0; i < sizeof(signature.b); i++) {
		signature.b[i] ^= 1;
		assert_int_equal(node_check(key, PURPOSE_LOG_OPENED, body, good), ERR_UNTRUSTED);
		signature.b[i] ^= 1;
	}
	assert_int_equal(node_check(key, PURPOSE_LOG_OPENED, body, good), OK);
	signer_free(signer);
}

static void body_at_and_past_the_cap(void **state)
{
	static uint8_t large[LIMIT_ENTRY_SIZE + 1];
	struct signer *signer = signer_number(1);
	struct ed25519_signature signature;

	assert_int_equal(
		node_sign(signer, "x", bytes_make(large, LIMIT_ENTRY_SIZE), &signature), OK);
	assert_true(node_verify(signer_public(signer), "x", bytes_make(large, LIMIT_ENTRY_SIZE),
		BYTES_ARRAY(signature.b)));
	assert_int_equal(node_sign(signer, "x", BYTES_ARRAY(large), &signature), ERR_LIMIT);
	assert_false(node_verify(
		signer_public(signer), "x", BYTES_ARRAY(large), BYTES_ARRAY(signature.b)));
	signer_free(signer);
}

/* ---- entries ---- */

/* Entry { record { type 1..3, body, signature } } costs 12 bytes around a body of this size. */
static void entry_at_and_past_the_cap(void **state)
{
	enum { AROUND = 4 + 2 + 4 + 2 + ED25519_SIGNATURE_SIZE };
	static uint8_t large[LIMIT_ENTRY_SIZE];
	struct signer *signer = signer_number(1);
	struct record record;
	struct buf out;

	buf_init(&out, 2 * LIMIT_ENTRY_SIZE);
	assert_int_equal(record_write(&out, SAUTI__RECORD_TYPE__RECORD_LOG_OPENED,
				 bytes_make(large, LIMIT_ENTRY_SIZE - AROUND), signer),
		OK);
	assert_int_equal(out.size, LIMIT_ENTRY_SIZE);
	assert_int_equal(record_read(buf_bytes(&out), &arena, &record, NULL), OK);
	assert_int_equal(record.body.size, LIMIT_ENTRY_SIZE - AROUND);
	buf_clear(&out);
	assert_int_equal(record_write(&out, SAUTI__RECORD_TYPE__RECORD_LOG_OPENED,
				 bytes_make(large, LIMIT_ENTRY_SIZE - AROUND + 1), signer),
		ERR_LIMIT);
	assert_int_equal(out.size, 0);
	assert_int_equal(out.err, OK);
	buf_put_zeros(&out, LIMIT_ENTRY_SIZE + 1);
	assert_int_equal(record_read(buf_bytes(&out), &arena, &record, NULL), ERR_LIMIT);
	buf_release(&out);
	signer_free(signer);
}

static void writes_only_what_it_knows(void **state)
{
	struct signer *signer = signer_number(1);
	uint8_t signature[ED25519_SIGNATURE_SIZE] = {0};
	struct buf out;

	buf_init(&out, LIMIT_ENTRY_SIZE);
	assert_int_equal(record_write(&out, SAUTI__RECORD_TYPE__RECORD_NONE, BYTES_NONE, signer),
		ERR_INVALID);
	assert_int_equal(
		record_write(&out, (Sauti__RecordType)99, BYTES_NONE, signer), ERR_INVALID);
	assert_int_equal(record_write_signed(&out, SAUTI__RECORD_TYPE__RECORD_LOG_OPENED,
				 BYTES_NONE, bytes_make(signature, 63)),
		ERR_INVALID);
	assert_int_equal(out.size, 0);
	buf_release(&out);
	signer_free(signer);
}

static void reads_only_records(void **state)
{
	Sauti__Entry entry = SAUTI__ENTRY__INIT;
	Sauti__Sealed sealed = SAUTI__SEALED__INIT;
	Sauti__Record message = SAUTI__RECORD__INIT;
	uint8_t signature[ED25519_SIGNATURE_SIZE + 1] = {0};
	struct record record;
	struct buf out;

	buf_init(&out, LIMIT_ENTRY_SIZE);
	assert_int_equal(record_read(BYTES_NONE, &arena, &record, NULL), ERR_MALFORMED);
	sealed.suite = 1;
	entry.body_case = SAUTI__ENTRY__BODY_SEALED;
	entry.sealed = &sealed;
	codec_pack(&out, &entry);
	assert_int_equal(record_read(buf_bytes(&out), &arena, &record, NULL), ERR_MALFORMED);
	entry.body_case = SAUTI__ENTRY__BODY_RECORD;
	entry.record = &message;
	for (size_t size = 63; size <= 65; size++) {
		buf_clear(&out);
		message.type = 77;
		message.signature = codec_binary(bytes_make(signature, size));
		codec_pack(&out, &entry);
		assert_int_equal(record_read(buf_bytes(&out), &arena, &record, NULL),
			size == 64 ? OK : ERR_MALFORMED);
	}
	assert_int_equal(record.type, 77);
	buf_release(&out);
}

/* ---- origins ---- */

static void origins(void **state)
{
	static const char *const bad[] = {
		"",
		"ovra.example",
		"ovra.example/haiti",
		"ovra.example/haiti/",
		"ovra/haiti/1-0123456789abcdef",
		"ovra.example/Haiti/1-0123456789abcdef",
		"ovra.example//1-0123456789abcdef",
		"ovra.example/haiti/1-0123456789abcde",
		"ovra.example/haiti/1-0123456789abcdef0",
		"ovra.example/haiti/1-0123456789ABCDEF",
		"ovra.example/haiti/1-0123456789abcdeg",
		"ovra.example/haiti/01-0123456789abcdef",
		"ovra.example/haiti/-0123456789abcdef",
		"ovra.example/haiti/4294967296-0123456789abcdef",
		"ovra.example/haiti/1_0123456789abcdef",
		"ovra.example/haiti/1-0123456789abcdef/",
		"ovra.example/haiti/1-0123456789abcdef\n",
	};
	static const char good[] = "ovra.example/haiti/4294967295-0123456789abcdef";

	assert_true(log_origin_ok(good, NULL, NULL));
	assert_true(log_origin_ok(good, NETWORK, "haiti"));
	assert_false(log_origin_ok(good, "other.example", NULL));
	assert_false(log_origin_ok(good, NULL, "hait"));
	assert_false(log_origin_ok(good, NULL, "haitii"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(log_origin_ok(bad[i], NULL, NULL));
}

/* ---- LogOpened ---- */

static const struct log_opened some_opened = {
	.origin = NETWORK "/haiti/2-0123456789abcdef",
	.previous_origin = NETWORK "/haiti/1-fedcba9876543210",
	.log_key = {{1, 2, 3}},
	.opened_at = 1700000000,
};

static void log_opened_round_trip(void **state)
{
	struct signer *signer = signer_number(1);
	struct ed25519_public other = public_number(2);
	struct log_opened first = some_opened, read;
	struct errctx ctx = {""};
	struct buf out;

	buf_init(&out, LIMIT_ENTRY_SIZE);
	assert_int_equal(log_opened_write(&out, &some_opened, signer), OK);
	assert_int_equal(
		log_opened_read(buf_bytes(&out), signer_public(signer), &arena, &read, &ctx), OK);
	assert_string_equal(read.origin, some_opened.origin);
	assert_string_equal(read.previous_origin, some_opened.previous_origin);
	assert_memory_equal(read.log_key.b, some_opened.log_key.b, ED25519_PUBLIC_SIZE);
	assert_int_equal(read.opened_at, some_opened.opened_at);
	assert_int_equal(log_opened_read(buf_bytes(&out), NULL, &arena, &read, &ctx), OK);
	assert_int_equal(
		log_opened_read(buf_bytes(&out), &other, &arena, &read, &ctx), ERR_UNTRUSTED);
	assert_non_null(strstr(ctx.text, "signature"));

	first.previous_origin = NULL;
	buf_clear(&out);
	assert_int_equal(log_opened_write(&out, &first, signer), OK);
	assert_int_equal(
		log_opened_read(buf_bytes(&out), signer_public(signer), &arena, &read, &ctx), OK);
	assert_string_equal(read.previous_origin, "");
	buf_release(&out);
	signer_free(signer);
}

static void log_opened_writes_no_bad_origin(void **state)
{
	struct signer *signer = signer_number(1);
	struct log_opened opened = some_opened;
	struct buf out;

	buf_init(&out, LIMIT_ENTRY_SIZE);
	opened.origin = "haiti";
	assert_int_equal(log_opened_write(&out, &opened, signer), ERR_INVALID);
	opened = some_opened;
	opened.previous_origin = "haiti";
	assert_int_equal(log_opened_write(&out, &opened, signer), ERR_INVALID);
	assert_int_equal(out.size, 0);
	buf_release(&out);
	signer_free(signer);
}

static void check_opened(const Sauti__LogOpened *message, enum err expected)
{
	struct signer *signer = signer_number(1);
	struct log_opened read;
	struct buf out;

	entry_of(&out, SAUTI__RECORD_TYPE__RECORD_LOG_OPENED, message, signer);
	assert_int_equal(
		log_opened_read(buf_bytes(&out), signer_public(signer), &arena, &read, NULL),
		expected);
	buf_release(&out);
	signer_free(signer);
}

static void log_opened_form(void **state)
{
	const Sauti__LogOpened good = {
		.base = PROTOBUF_C_MESSAGE_INIT(&sauti__log_opened__descriptor),
		.origin = (char *)some_opened.origin,
		.log_key = codec_binary(BYTES_ARRAY(some_opened.log_key.b)),
		.previous_origin = "",
	};
	Sauti__LogOpened message = good;

	check_opened(&message, OK);
	message.log_key.len = 31;
	check_opened(&message, ERR_MALFORMED);
	message.log_key.len = 0;
	check_opened(&message, ERR_MALFORMED);
	message = good;
	message.origin = "x";
	check_opened(&message, ERR_MALFORMED);
	message = good;
	message.previous_origin = "x";
	check_opened(&message, ERR_MALFORMED);
	message.previous_origin = message.origin;
	check_opened(&message, ERR_MALFORMED);
	message.previous_origin = "ovra.example/haiti/1-fedcba9876543210";
	check_opened(&message, OK);
}

/* No single changed bit may pass, and none may harm. */
static void log_opened_tampered(void **state)
{
	struct signer *signer = signer_number(1);
	struct log_opened read;
	struct buf out;

	buf_init(&out, LIMIT_ENTRY_SIZE);
	assert_int_equal(log_opened_write(&out, &some_opened, signer), OK);
	for (size_t i = 0; i < 8 * out.size; i++) {
		out.data[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_not_equal(log_opened_read(buf_bytes(&out), signer_public(signer), &arena,
					     &read, NULL),
			OK);
		out.data[i / 8] ^= (uint8_t)(1 << i % 8);
		arena_clear(&arena);
	}
	for (size_t size = 0; size < out.size; size++)
		assert_int_equal(
			log_opened_read(bytes_make(out.data, size), NULL, &arena, &read, NULL),
			ERR_MALFORMED);
	buf_release(&out);
	signer_free(signer);
}

static void log_opened_is_not_another_record(void **state)
{
	struct actor haiti = actor_make("haiti", ROLE_OFFICE, "HTI", 1);
	struct log_opened read;
	struct buf out;

	entry_admitted(&out, &haiti);
	assert_int_equal(
		log_opened_read(buf_bytes(&out), NULL, &arena, &read, NULL), ERR_MALFORMED);
	buf_release(&out);
	actor_release(&haiti);
}

/* ---- NetworkCreated ---- */

static void network_created_round_trip(void **state)
{
	struct actor hq = actor_make("hq", ROLE_HQ, "", 1);
	struct network_created created = network_created(&hq), read;
	struct record record;
	struct buf out;

	buf_init(&out, LIMIT_ENTRY_SIZE);
	assert_int_equal(network_created_write(&out, &created, hq.node), OK);
	assert_int_equal(record_read(buf_bytes(&out), &arena, &record, NULL), OK);
	assert_int_equal(record.type, SAUTI__RECORD_TYPE__RECORD_NETWORK_CREATED);
	assert_true(node_verify(
		&hq.member.node, PURPOSE_NETWORK_CREATED, record.body, record.signature));
	assert_int_equal(network_created_read(record.body, &arena, &read, NULL), OK);
	assert_string_equal(read.network, NETWORK);
	assert_string_equal(read.hq, "hq");
	assert_memory_equal(read.hq_node.b, hq.member.node.b, ED25519_PUBLIC_SIZE);
	assert_true(hash_equal(&read.root_certificate, &created.root_certificate));
	assert_int_equal(read.created_at, created.created_at);
	buf_clear(&out);
	created.network = "ovra";
	assert_int_equal(network_created_write(&out, &created, hq.node), ERR_INVALID);
	created.network = NETWORK;
	created.hq = "directory";
	assert_int_equal(network_created_write(&out, &created, hq.node), ERR_INVALID);
	assert_int_equal(out.size, 0);
	buf_release(&out);
	actor_release(&hq);
}

/* ---- NodeAdmitted ---- */

static void node_admitted_round_trip(void **state)
{
	struct actor haiti = actor_make("haiti", ROLE_OFFICE, "HTI", 1);
	struct member read;
	struct buf body;

	haiti.member.admitted_index = 0;
	buf_init(&body, LIMIT_ENTRY_SIZE);
	assert_int_equal(node_admitted_body(&body, NETWORK, &haiti.member), OK);
	assert_int_equal(node_admitted_read(buf_bytes(&body), &arena, NETWORK, &read, NULL), OK);
	assert_memory_equal(&read, &haiti.member, sizeof(read));
	assert_int_equal(node_admitted_read(buf_bytes(&body), &arena, "other.example", &read, NULL),
		ERR_UNTRUSTED);
	buf_clear(&body);
	assert_int_equal(node_admitted_body(&body, "ovra", &haiti.member), ERR_INVALID);
	assert_int_equal(body.size, 0);
	buf_release(&body);
	actor_release(&haiti);
}

static enum err read_admitted(const Sauti__NodeAdmitted *message)
{
	struct member read;
	struct buf body;
	enum err err;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	codec_pack(&body, message);
	err = node_admitted_read(buf_bytes(&body), &arena, NETWORK, &read, NULL);
	buf_release(&body);
	return err;
}

static void node_admitted_names(void **state)
{
	struct actor haiti = actor_make("haiti", ROLE_OFFICE, "HTI", 1);
	static const char *const bad[] = {"", "Haiti", "1haiti", "haiti-", "ha iti", "directory",
		"a2345678901234567890123456789012", "h\xc3\xa4iti"};
	Sauti__NodeAdmitted message = admitted_view(&haiti.member);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		message.name = (char *)bad[i];
		assert_int_equal(read_admitted(&message), ERR_MALFORMED);
	}
	message.name = "a234567890123456789012345678901"; /* 31: the cap */
	assert_int_equal(read_admitted(&message), OK);
	actor_release(&haiti);
}

static void node_admitted_roles_and_countries(void **state)
{
	struct actor haiti = actor_make("haiti", ROLE_OFFICE, "HTI", 1);
	static const struct {
		int role;
		const char *country;
		enum err expected;
	} cases[] = {
		{ROLE_OFFICE, "HTI", OK},
		{ROLE_OFFICE, "", ERR_MALFORMED},
		{ROLE_OFFICE, "hti", ERR_MALFORMED},
		{ROLE_OFFICE, "HT", ERR_MALFORMED},
		{ROLE_OFFICE, "HTIX", ERR_MALFORMED},
		{ROLE_OFFICE, "HT1", ERR_MALFORMED},
		{ROLE_HQ, "", OK},
		{ROLE_HQ, "CHE", ERR_MALFORMED},
		{ROLE_AUDITOR, "", OK},
		{ROLE_AUDITOR, "CHE", OK},
		{ROLE_AUDITOR, "che", ERR_MALFORMED},
		{ROLE_UNKNOWN, "HTI", ERR_MALFORMED},
		{ROLE_UNKNOWN, "", ERR_MALFORMED},
		{4, "HTI", ERR_MALFORMED},
		{-1, "HTI", ERR_MALFORMED},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		Sauti__NodeAdmitted message = admitted_view(&haiti.member);

		message.role = (Sauti__Role)cases[i].role;
		message.country = (char *)cases[i].country;
		assert_int_equal(read_admitted(&message), cases[i].expected);
	}
	actor_release(&haiti);
}

static void node_admitted_keys(void **state)
{
	struct actor haiti = actor_make("haiti", ROLE_OFFICE, "HTI", 1);
	Sauti__NodeAdmitted message = admitted_view(&haiti.member);
	ProtobufCBinaryData *keys[] = {&message.node_key, &message.mirror_key, &message.witness_key,
		&message.complaint_key, &message.tls_spki_sha256};
	uint8_t weak[ED25519_PUBLIC_SIZE] = {0}, longer[33] = {9};

	for (size_t i = 0; i < 5; i++) {
		ProtobufCBinaryData good = *keys[i];

		keys[i]->len = 31;
		assert_int_equal(read_admitted(&message), ERR_MALFORMED);
		*keys[i] = (ProtobufCBinaryData){0, NULL};
		assert_int_equal(read_admitted(&message), ERR_MALFORMED);
		*keys[i] = codec_binary(BYTES_ARRAY(longer));
		assert_int_equal(read_admitted(&message), ERR_MALFORMED);
		*keys[i] = *keys[(i + 1) % 5]; /* in two roles */
		assert_int_equal(read_admitted(&message), ERR_MALFORMED);
		*keys[i] = codec_binary(BYTES_ARRAY(weak));
		assert_int_equal(read_admitted(&message), i < 3 ? ERR_MALFORMED : OK);
		*keys[i] = good;
		assert_int_equal(read_admitted(&message), OK);
	}
	actor_release(&haiti);
}

/* Points of small order, both signs of x. */
static void node_admitted_small_order(void **state)
{
	static const char *const points[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	struct actor haiti = actor_make("haiti", ROLE_OFFICE, "HTI", 1);

	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		uint8_t key[ED25519_PUBLIC_SIZE];
		Sauti__NodeAdmitted message = admitted_view(&haiti.member);

		assert_int_equal(hex_decode(bytes_str(points[i]), key, sizeof(key)), OK);
		message.node_key = codec_binary(BYTES_ARRAY(key));
		assert_int_equal(read_admitted(&message), ERR_MALFORMED);
	}
	actor_release(&haiti);
}

/* What a later version adds is not held against a record, up to the scanner's cap. */
static void unknown_fields_are_tolerated(void **state)
{
	struct actor haiti = actor_make("haiti", ROLE_OFFICE, "HTI", 1);
	struct member read;
	struct buf body;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	assert_int_equal(node_admitted_body(&body, NETWORK, &haiti.member), OK);
	for (unsigned i = 0; i < LIMIT_MESSAGE_UNKNOWN; i++)
		buf_put(&body, bytes_str("\xa8\x06\x01")); /* field 101 = 1 */
	assert_int_equal(node_admitted_read(buf_bytes(&body), &arena, NETWORK, &read, NULL), OK);
	buf_put(&body, bytes_str("\xa8\x06\x01"));
	assert_int_equal(
		node_admitted_read(buf_bytes(&body), &arena, NETWORK, &read, NULL), ERR_MALFORMED);
	buf_release(&body);
	actor_release(&haiti);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signs_the_documented_bytes),
		cmocka_unit_test(refuses_other_signatures),
		cmocka_unit_test(body_at_and_past_the_cap),
		cmocka_unit_test(entry_at_and_past_the_cap),
		cmocka_unit_test(writes_only_what_it_knows),
		cmocka_unit_test(reads_only_records),
		cmocka_unit_test(origins),
		cmocka_unit_test(log_opened_round_trip),
		cmocka_unit_test(log_opened_writes_no_bad_origin),
		cmocka_unit_test(log_opened_form),
		cmocka_unit_test(log_opened_tampered),
		cmocka_unit_test(log_opened_is_not_another_record),
		cmocka_unit_test(network_created_round_trip),
		cmocka_unit_test(node_admitted_round_trip),
		cmocka_unit_test(node_admitted_names),
		cmocka_unit_test(node_admitted_roles_and_countries),
		cmocka_unit_test(node_admitted_keys),
		cmocka_unit_test(node_admitted_small_order),
		cmocka_unit_test(unknown_fields_are_tolerated),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
