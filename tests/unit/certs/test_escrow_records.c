/* The records of an escrow, and what owner and custodians write to each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "certs/mail_escrow.h"
#include "certs_test.h"

static struct arena arena;
static struct signer *node, *other;

static int setup(void **state)
{
	int rc = crypto_setup(state);

	arena_init(&arena, LIMIT_ARENA_SIZE);
	node = signer_number(1);
	other = signer_number(2);
	return rc;
}

static int teardown(void **state)
{
	arena_release(&arena);
	signer_free(node);
	signer_free(other);
	return crypto_teardown(state);
}

static uint8_t sealed[LIMIT_ESCROW_CHUNK + 1];

static struct escrow_chunk make_chunk(void)
{
	return (struct escrow_chunk){.number = 3,
		.version = 7,
		.version_key = {1, 2},
		.recovery_key = {{5}},
		.nonce = {8},
		.sealed = bytes_make(sealed, LIMIT_ESCROW_CHUNK)};
}

static void chunk(void **state)
{
	struct escrow_chunk chunk = make_chunk(), back;
	struct buf entry;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(escrow_chunk_write(&entry, &chunk, node), OK);
	assert_true(escrow_chunk_looks_like(buf_bytes(&entry)));
	assert_false(escrow_manifest_looks_like(buf_bytes(&entry)));
	assert_int_equal(
		escrow_chunk_read(buf_bytes(&entry), signer_public(node), &arena, &back, NULL), OK);
	assert_int_equal(back.number, 3);
	assert_int_equal(back.version, 7);
	assert_memory_equal(back.version_key, chunk.version_key, sizeof(back.version_key));
	assert_memory_equal(back.nonce, chunk.nonce, sizeof(back.nonce));
	assert_true(bytes_equal(back.sealed, chunk.sealed));
	assert_int_equal(
		escrow_chunk_read(buf_bytes(&entry), signer_public(other), &arena, &back, NULL),
		ERR_UNTRUSTED);
	entry.data[entry.size / 2] ^= 1;
	assert_int_equal(
		escrow_chunk_read(buf_bytes(&entry), signer_public(node), &arena, &back, NULL),
		ERR_UNTRUSTED);
	buf_clear(&entry);
	chunk.sealed.size++;
	assert_int_equal(escrow_chunk_write(&entry, &chunk, node), ERR_LIMIT);
	chunk.sealed.size = 0;
	assert_int_equal(escrow_chunk_write(&entry, &chunk, node), ERR_INVALID);
	chunk = make_chunk();
	chunk.number = 0;
	assert_int_equal(escrow_chunk_write(&entry, &chunk, node), ERR_INVALID);
	buf_release(&entry);
	arena_clear(&arena);
}

static struct escrow_manifest make_manifest(size_t chunks)
{
	struct escrow_manifest m = {
		.network = NETWORK, .node = "haiti", .sequence = 9, .made_at = 17};

	m.chunks = mem_array(chunks + 1, sizeof(*m.chunks));
	assert_non_null(m.chunks);
	m.chunk_count = chunks;
	for (size_t i = 0; i < chunks; i++)
		m.chunks[i] = (struct escrow_place){.number = (uint32_t)(2 * i + 1),
			.version = UINT32_MAX + i,
			.version_key = {(uint8_t)i},
			.index = (uint64_t)1 << 40,
			.keys = LIMIT_ESCROW_CHUNK_KEYS};
	strcpy(m.custodians[0], "hq");
	strcpy(m.custodians[1], "kenya");
	m.custodian_count = 2;
	return m;
}

static void manifest(void **state)
{
	struct escrow_manifest m = make_manifest(LIMIT_ESCROW_CHUNKS), back;
	struct buf entry;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	for (size_t i = 0; i < LIMIT_ESCROW_CUSTODIANS; i++)
		memset(m.custodians[i], 'a', LIMIT_NODE_NAME);
	m.custodian_count = LIMIT_ESCROW_CUSTODIANS;
	assert_int_equal(escrow_manifest_write(&entry, &m, node), OK); /* the largest one */
	assert_int_equal(
		escrow_manifest_read(buf_bytes(&entry), signer_public(node), &arena, &back, NULL),
		OK);
	assert_int_equal(back.sequence, 9);
	assert_int_equal(back.custodian_count, LIMIT_ESCROW_CUSTODIANS);
	assert_int_equal(back.chunk_count, LIMIT_ESCROW_CHUNKS);
	assert_int_equal(back.chunks[5].number, 11);
	assert_int_equal(back.chunks[5].index, (uint64_t)1 << 40);
	assert_int_equal(back.chunks[5].version_key[0], 5);
	escrow_manifest_release(&back);
	assert_int_equal(
		escrow_manifest_read(buf_bytes(&entry), signer_public(other), &arena, &back, NULL),
		ERR_UNTRUSTED);
	buf_clear(&entry);
	m.chunk_count++;
	assert_int_equal(escrow_manifest_write(&entry, &m, node), ERR_LIMIT);
	m.chunk_count = 2;
	m.custodian_count = LIMIT_ESCROW_CUSTODIANS + 1;
	assert_int_equal(escrow_manifest_write(&entry, &m, node), ERR_LIMIT);
	m.custodian_count = 2;
	m.chunks[1].number = m.chunks[0].number; /* two of one number */
	assert_int_equal(escrow_manifest_write(&entry, &m, node), ERR_INVALID);
	m.chunks[1].number = 4;
	m.chunks[0].keys = LIMIT_ESCROW_CHUNK_KEYS + 1;
	assert_int_equal(escrow_manifest_write(&entry, &m, node), ERR_INVALID);
	escrow_manifest_release(&m);
	escrow_manifest_release(NULL);
	buf_release(&entry);
	arena_clear(&arena);
}

/* ---- mail ---- */

static void make_keys(struct version_keys *keys, size_t count)
{
	assert_int_equal(version_keys_init(keys, count), OK);
	for (size_t i = 0; i < count; i++) {
		put_u32be(keys->list[i].id, (uint32_t)i + 1);
		assert_int_equal(secret_init(&keys->list[i].key, 32), OK);
		put_u32be(keys->list[i].key.data, (uint32_t)i + 7);
		keys->count++;
	}
}

static void version_keys_travel(void **state)
{
	struct version_keys keys = {0}, back;
	struct errctx ctx = {""};
	struct buf body;

	buf_init(&body, LIMIT_MAIL_CONTENT);
	assert_int_equal(version_keys_init(&keys, LIMIT_ESCROW_MAIL_KEYS + 1), ERR_LIMIT);
	make_keys(&keys, LIMIT_ESCROW_MAIL_KEYS);
	assert_int_equal(mail_escrow_keys_write(&body, &keys), OK);
	assert_int_equal(mail_escrow_keys_read(buf_bytes(&body), &arena, &back, &ctx), OK);
	assert_int_equal(back.count, LIMIT_ESCROW_MAIL_KEYS);
	assert_int_equal(get_u32be(back.list[511].id), 512);
	assert_int_equal(get_u32be(back.list[511].key.data), 518);
	version_keys_release(&back);
	/* One more, by another's program. */
	static const uint8_t one[] = {0x0a, 2 + 16 + 2 + 32, 0x0a, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0x12, 32};
	buf_put(&body, BYTES_ARRAY(one));
	buf_put_zeros(&body, 32);
	assert_int_equal(body.err, OK);
	assert_int_equal(
		mail_escrow_keys_read(buf_bytes(&body), &arena, &back, &ctx), ERR_MALFORMED);
	buf_clear(&body);
	assert_int_equal(
		mail_escrow_keys_read(buf_bytes(&body), &arena, &back, &ctx), ERR_MALFORMED);
	version_keys_release(&keys);
	assert_int_equal(mail_escrow_keys_write(&body, &keys), ERR_INVALID);
	buf_release(&body);
	arena_clear(&arena);
}

static void answers_travel(void **state)
{
	struct mail_escrow_held held = {.held = {0}}, held_back;
	struct mail_recovery_ask ask = {.prekey = {.number = 4, .key = {{9}}}, .drill = true},
				 ask_back;
	struct mail_recovery_answer answer = {.drill = true}, answer_back;
	const uint8_t id[16] = {1}, id2[16] = {2};
	struct buf body;

	buf_init(&body, LIMIT_MAIL_CONTENT);
	assert_int_equal(version_ids_add(&held.held, id), OK);
	assert_int_equal(version_ids_add(&held.refused, id2), OK);
	assert_int_equal(mail_escrow_held_write(&body, &held), OK);
	assert_int_equal(mail_escrow_held_read(buf_bytes(&body), &arena, &held_back, NULL), OK);
	assert_int_equal(held_back.held.count, 1);
	assert_memory_equal(held_back.refused.list[0], id2, 16);
	mail_escrow_held_release(&held_back);

	buf_clear(&body);
	assert_int_equal(mail_recovery_ask_write(&body, &ask), ERR_INVALID);
	for (size_t i = 0; i < LIMIT_ESCROW_MAIL_KEYS; i++)
		assert_int_equal(version_ids_add(&ask.ids, id), OK);
	assert_int_equal(version_ids_add(&ask.ids, id), ERR_LIMIT);
	assert_int_equal(mail_recovery_ask_write(&body, &ask), OK);
	assert_int_equal(mail_recovery_ask_read(buf_bytes(&body), &arena, &ask_back, NULL), OK);
	assert_int_equal(ask_back.ids.count, LIMIT_ESCROW_MAIL_KEYS);
	assert_int_equal(ask_back.prekey.number, 4);
	assert_int_equal(ask_back.prekey.key.b[0], 9);
	assert_true(ask_back.drill);
	mail_recovery_ask_release(&ask_back);

	buf_clear(&body);
	make_keys(&answer.keys, 3);
	assert_int_equal(version_ids_add(&answer.missing, id), OK);
	assert_int_equal(mail_recovery_answer_write(&body, &answer), OK);
	assert_int_equal(
		mail_recovery_answer_read(buf_bytes(&body), &arena, &answer_back, NULL), OK);
	assert_int_equal(answer_back.keys.count, 3);
	assert_int_equal(answer_back.missing.count, 1);
	assert_true(answer_back.drill);
	mail_recovery_answer_release(&answer_back);
	for (size_t size = 1; size < body.size; size++) { /* cut anywhere: refused, or less of it */
		enum err err = mail_recovery_answer_read(
			bytes_make(body.data, size), &arena, &answer_back, NULL);

		if (err == OK)
			mail_recovery_answer_release(&answer_back);
		arena_clear(&arena);
	}
	mail_escrow_held_release(&held);
	mail_recovery_ask_release(&ask);
	mail_recovery_answer_release(&answer);
	buf_release(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunk),
		cmocka_unit_test(manifest),
		cmocka_unit_test(version_keys_travel),
		cmocka_unit_test(answers_travel),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
