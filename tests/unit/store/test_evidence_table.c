/*
 * Evidence in the store: kept once, for ever, up to its caps; pins beside the entries they vouch
 * for; roots and proofs of the own tree.
 */
#include "tests/unit/store/support.h"

#include <stdio.h>

#include "replication/log/evidence.h"

/* Two roots of one size, signed: evidence, without a LogOpened. */
static struct store_write *evidence_write_of(
	const struct origin *origin, uint64_t size, uint8_t salt)
{
	static const uint8_t seed[ED25519_SEED_SIZE] = {1};
	struct checkpoint one = {.origin = *origin, .size = size}, two = one;
	struct buf a, b;
	struct signer *signer;
	struct note_key key;
	struct evidence evidence;
	struct arena arena;
	struct store_write *write = store_write_new(origin);

	assert_non_null(write);
	one.root.b[0] = salt;
	two.root.b[0] = (uint8_t)(salt + 100);
	assert_ok(signer_new(BYTES_ARRAY(seed), &signer));
	assert_ok(log_note_key(origin, signer_public(signer), &key));
	buf_init(&a, LIMIT_NOTE_SIZE);
	buf_init(&b, LIMIT_NOTE_SIZE);
	assert_ok(checkpoint_sign(&a, &one, signer));
	assert_ok(checkpoint_sign(&b, &two, signer));
	assert_ok(evidence_make(&(struct evidence_parts){.a = buf_bytes(&a), .b = buf_bytes(&b)},
		&key, &write->evidence, NULL));
	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_ok(evidence_parse(buf_bytes(&write->evidence), &arena, &evidence, NULL));
	evidence_id(&evidence, &write->evidence_id);
	arena_release(&arena);
	buf_release(&a);
	buf_release(&b);
	signer_free(signer);
	return write;
}

static size_t held(struct bench *bench, size_t *ret_damaged)
{
	struct store_evidence *list;
	size_t count;

	assert_ok(store_evidence_list(bench->store, &list, &count, ret_damaged, NULL));
	store_evidence_free(list, count);
	return count;
}

static void test_kept_once(void **state)
{
	struct bench *bench = *state;
	struct origin origin = {NETWORK "/kenya/1-0123456789abcdef"};
	struct store_write *write = evidence_write_of(&origin, 5, 1);
	struct store_evidence *list;
	struct log_head head;
	struct buf copy;
	struct hash id = write->evidence_id;
	size_t count, damaged;

	buf_init(&copy, LIMIT_EVIDENCE_SIZE);
	buf_put(&copy, buf_bytes(&write->evidence));
	assert_ok(bench_write(bench, write));
	assert_ok(bench_write(bench, evidence_write_of(&origin, 5, 1)));
	bench_reopen(bench);
	assert_ok(store_evidence_list(bench->store, &list, &count, &damaged, NULL));
	assert_int_equal(count, 1);
	assert_int_equal(damaged, 0);
	assert_true(hash_equal(&list[0].id, &id));
	assert_true(bytes_equal(buf_bytes(&list[0].message), buf_bytes(&copy)));
	store_evidence_free(list, count);
	/* No log is made by it. */
	assert_int_equal(store_head(bench->store, &origin, &head, NULL), ERR_NOTFOUND);
	buf_release(&copy);
}

/* At the cap of one origin, and one past it; of another there is room. */
static void test_cap_of_an_origin(void **state)
{
	struct bench *bench = *state;
	struct origin one = {NETWORK "/kenya/1-0123456789abcdef"};
	struct origin two = {NETWORK "/kenya/2-0123456789abcdef"};
	size_t damaged;

	for (uint8_t i = 0; i < LIMIT_EVIDENCE_PER_ORIGIN; i++)
		assert_ok(bench_write(bench, evidence_write_of(&one, 5, i)));
	assert_int_equal(bench_write(bench, evidence_write_of(&one, 5, LIMIT_EVIDENCE_PER_ORIGIN)),
		ERR_LIMIT);
	assert_ok(bench_write(bench, evidence_write_of(&one, 5, 0)));
	assert_ok(bench_write(bench, evidence_write_of(&two, 5, 0)));
	assert_int_equal(held(bench, &damaged), LIMIT_EVIDENCE_PER_ORIGIN + 1);
}

/* When there are as many as there may be, the first of a log still has its place. */
static void test_cap_of_all(void **state)
{
	struct bench *bench = *state;
	struct origin origin = {NETWORK "/kenya/1-0123456789abcdef"};
	struct txn txn;

	txn_begin(&txn, bench->store->env, TXN_WRITE);
	for (uint32_t i = 0; i < LIMIT_EVIDENCE; i++) {
		struct hash id = {{0}};

		put_u32be(id.b, i);
		checked_put(&txn, DB_EVIDENCE, hash_bytes(&id), bytes_str("of some log"));
	}
	assert_ok(txn_finish(&txn, NULL));
	assert_ok(bench_write(bench, evidence_write_of(&origin, 5, 0)));
	assert_int_equal(bench_write(bench, evidence_write_of(&origin, 5, 1)), ERR_LIMIT);
	/* One that is there is there. */
	assert_ok(bench_write(bench, evidence_write_of(&origin, 5, 0)));
}

static void test_what_is_none(void **state)
{
	struct bench *bench = *state;
	struct origin origin = {NETWORK "/kenya/1-0123456789abcdef"};
	struct store_write *write = evidence_write_of(&origin, 5, 1);
	size_t damaged;

	buf_clear(&write->evidence);
	buf_put_str(&write->evidence, "none");
	assert_int_equal(bench_write(bench, write), ERR_MALFORMED);
	assert_int_equal(held(bench, &damaged), 0);
}

/* A damaged row is counted, and mended by the same evidence. */
static void test_damaged(void **state)
{
	struct bench *bench = *state;
	struct origin origin = {NETWORK "/kenya/1-0123456789abcdef"};
	struct store_write *write = evidence_write_of(&origin, 5, 1);
	struct hash id = write->evidence_id;
	struct txn txn;
	size_t damaged;

	assert_ok(bench_write(bench, write));
	txn_begin(&txn, bench->store->env, TXN_WRITE);
	txn_put(&txn, DB_EVIDENCE, hash_bytes(&id), bytes_str("something else entirely"));
	assert_ok(txn_finish(&txn, NULL));
	assert_int_equal(held(bench, &damaged), 0);
	assert_int_equal(damaged, 1);
	assert_ok(bench_write(bench, evidence_write_of(&origin, 5, 1)));
	assert_int_equal(held(bench, &damaged), 1);
	assert_int_equal(damaged, 0);
}

static void pin_is(struct bench *bench, const struct origin *origin, struct bytes pin)
{
	struct log_head head;

	assert_ok(store_head(bench->store, origin, &head, NULL));
	assert_true(bytes_equal(buf_bytes(&head.pin), pin));
	log_head_release(&head);
}

/* It stands with the entries until a checkpoint does. */
static void test_pin(void **state)
{
	struct bench *bench = *state;
	struct store_write *write;
	struct hash root = {{7}};
	struct buf pin, checkpoint;
	struct tlog log;

	tlog_init(&log, 1);
	buf_init(&checkpoint, LIMIT_NOTE_SIZE);
	buf_init(&pin, LIMIT_NOTE_SIZE);
	note_make(&pin, &log.origin, 100, &root);
	tlog_append(bench, &log, 5);
	pin_is(bench, &log.origin, BYTES_NONE);
	write = tlog_write(&log, 3);
	buf_put(&checkpoint, buf_bytes(&write->checkpoint));
	buf_clear(&write->checkpoint);
	buf_put(&write->pin, buf_bytes(&pin));
	assert_ok(bench_write(bench, write));
	pin_is(bench, &log.origin, buf_bytes(&pin));
	/* More entries under the same one. */
	write = tlog_write(&log, 3);
	buf_clear(&write->checkpoint);
	assert_ok(bench_write(bench, write));
	bench_reopen(bench);
	pin_is(bench, &log.origin, buf_bytes(&pin));
	tlog_append(bench, &log, 2);
	pin_is(bench, &log.origin, BYTES_NONE);
	buf_release(&pin);
	buf_release(&checkpoint);
	tlog_release(&log);
}

/* A branch is held under its name, with notes of its log's origin, and is whole. */
static void test_branch(void **state)
{
	struct bench *bench = *state;
	struct store_verify verify = {0};
	struct store_write *write;
	struct checkpoint end;
	struct origin name;
	struct tlog log;

	tlog_init(&log, 1);
	write = tlog_write(&log, 9);
	assert_ok(checkpoint_peek(buf_bytes(&write->checkpoint), &end, NULL));
	branch_name(&end, &name);
	write->origin = name;
	assert_ok(bench_write(bench, write));
	bench_reopen(bench);
	assert_ok(store_verify(bench->store, &name, NULL, &verify, NULL));
	assert_int_equal(verify.size, 9);
	assert_true(hash_equal(&verify.checkpoint_root, &end.root));
	buf_release(&verify.checkpoint);
	/* Under another log's name its checkpoint is none. */
	write = tlog_write(&log, 1);
	snprintf(write->origin.text, sizeof(write->origin.text), "%s",
		NETWORK "/kenya/1-0123456789abcdef~0123456789abcdef0123456789abcdef");
	write->first = 0;
	assert_int_equal(bench_write(bench, write), ERR_INVALID);
	/* Nor is what only looks like a name. */
	write = store_write_new(&name);
	name.text[strlen(name.text) - 1] = 'x';
	write->origin = name;
	assert_int_equal(bench_write(bench, write), ERR_MALFORMED);
	tlog_release(&log);
}

static void test_roots_and_proofs(void **state)
{
	struct bench *bench = *state;
	struct tlog log;

	tlog_init(&log, 1);
	tlog_append(bench, &log, 700);
	for (uint64_t m = 1; m <= 700; m += 37)
		for (uint64_t n = m; n <= 700; n += 101) {
			struct store_read read = {
				.kind = READ_PROOF, .origin = log.origin, .first = m, .target = n};
			struct store_batch batch = {0};

			assert_ok(store_read_batch(bench->store, &read, &batch, NULL));
			assert_null(batch.entries);
			assert_true(hash_equal(&batch.root, &log.roots[m]));
			assert_true(proof_consistency_ok(
				&batch.proof, m, &log.roots[m], n, &log.roots[n]));
		}
	/* Past either end. */
	struct store_read bad[] = {{READ_PROOF, log.origin, 0, 5, 0, 0, 0},
		{READ_PROOF, log.origin, 6, 5, 0, 0, 0}, {READ_PROOF, log.origin, 1, 701, 0, 0, 0}};

	for (size_t i = 0; i < 3; i++) {
		struct store_batch batch = {0};

		assert_int_equal(
			store_read_batch(bench->store, &bad[i], &batch, NULL), ERR_INVALID);
	}
	tlog_release(&log);
}

static enum err take_record(void *arg, struct bytes record)
{
	struct buf *out = arg;

	buf_put_lv16(out, record);
	return out->err;
}

/* Once, whole, after a restart too; a damaged row is told of, and mended by the same. */
static void test_disputes(void **state)
{
	struct bench *bench = *state;
	struct origin origin = {NETWORK "/kenya/1-0123456789abcdef"};
	struct buf all, due;
	size_t damaged;

	buf_init(&all, LIMIT_FRAME_SIZE);
	buf_init(&due, LIMIT_FRAME_SIZE);
	for (int i = 0; i < 3; i++) {
		struct store_write *write = store_write_new(&origin);

		assert_non_null(write);
		buf_put_str(&write->dispute, i == 2 ? "second" : "first");
		write->dispute_id.b[0] = i == 2 ? 2 : 1;
		assert_ok(bench_write(bench, write));
	}
	bench_reopen(bench);
	assert_ok(store_disputes(bench->store, take_record, &all, &damaged, NULL));
	assert_int_equal(damaged, 0);
	buf_put_lv16(&due, bytes_str("first"));
	buf_put_lv16(&due, bytes_str("second"));
	assert_true(bytes_equal(buf_bytes(&all), buf_bytes(&due)));
	buf_release(&all);
	buf_release(&due);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		T(test_kept_once),
		T(test_cap_of_an_origin),
		T(test_cap_of_all),
		T(test_what_is_none),
		T(test_damaged),
		T(test_disputes),
		T(test_pin),
		T(test_branch),
		T(test_roots_and_proofs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
