/*
 * What the witness key was put to, in the store: one row a log, which never goes back, is as
 * durable as anything else, and when it is damaged is said to be so and fails nothing else. And the
 * mark that it is not all that the key has signed.
 */
#include "tests/unit/store/support.h"

#include <stdio.h>

#include "base/alloc.h"
#include "server/store/guard.h"

static struct store_write *seen_write(const struct tlog *log, uint64_t size, uint8_t other)
{
	struct store_write *write = store_write_new(&log->origin);
	struct hash root = log->roots[size <= log->compact.size ? size : 0];

	assert_non_null(write);
	root.b[0] ^= other;
	write->first = log->compact.size;
	write->witness_s = 1700000000 + size;
	note_make(&write->witness, &log->origin, size, &root);
	return write;
}

static void seen_is(struct bench *bench, const struct tlog *log, uint64_t size)
{
	struct checkpoint checkpoint;
	struct log_head head;

	assert_ok(store_head(bench->store, &log->origin, &head, NULL));
	assert_false(head.witness_damaged);
	if (size == 0) {
		assert_int_equal(head.witness.size, 0);
	} else {
		assert_ok(checkpoint_peek(buf_bytes(&head.witness), &checkpoint, NULL));
		assert_int_equal(checkpoint.size, size);
		assert_int_equal(head.witness_s, 1700000000 + size);
	}
	log_head_release(&head);
}

static void test_never_back(void **state)
{
	struct bench *bench = *state;
	struct tlog log;

	tlog_init_of(&log, 1, "kenya");
	/* Nothing of it is held. */
	struct store_write *early = store_write_new(&log.origin);
	struct hash root = {{1}};

	note_make(&early->witness, &log.origin, 3, &root);
	assert_int_equal(bench_write(bench, early), ERR_INVALID);
	assert_ok(bench_write(bench, tlog_write(&log, 9)));
	seen_is(bench, &log, 0);
	assert_ok(bench_write(bench, seen_write(&log, 5, 0)));
	assert_ok(bench_write(bench, seen_write(&log, 9, 0)));
	/* Less; another of that size; of another log. */
	assert_int_equal(bench_write(bench, seen_write(&log, 8, 0)), ERR_STALE);
	assert_int_equal(bench_write(bench, seen_write(&log, 9, 1)), ERR_FORK);
	struct store_write *strange = seen_write(&log, 9, 0);

	snprintf(strange->origin.text, sizeof(strange->origin.text), "%s",
		NETWORK "/mali/1-0123456789abcdef");
	assert_int_equal(bench_write(bench, strange), ERR_INVALID);
	seen_is(bench, &log, 9);
	/* The same again; more than is held; and all of it after the next start. */
	assert_ok(bench_write(bench, seen_write(&log, 9, 0)));
	assert_ok(bench_write(bench, seen_write(&log, 500, 0)));
	bench_reopen(bench);
	seen_is(bench, &log, 500);
	assert_int_equal(bench_write(bench, seen_write(&log, 499, 0)), ERR_STALE);
	tlog_release(&log);
}

/* With entries: both or neither. */
static void test_along(void **state)
{
	struct bench *bench = *state;
	struct tlog log;
	struct store_write *write;
	struct log_head head;

	tlog_init_of(&log, 1, "kenya");
	write = tlog_write(&log, 4);
	note_make(&write->witness, &log.origin, 4, &log.roots[4]);
	write->witness_s = 1700000004;
	assert_ok(bench_write(bench, write));
	seen_is(bench, &log, 4);
	assert_ok(bench_write(bench, seen_write(&log, 50, 0)));
	write = tlog_write(&log, 3);
	note_make(&write->witness, &log.origin, 7, &log.roots[7]);
	assert_int_equal(bench_write(bench, write), ERR_STALE);
	assert_ok(store_head(bench->store, &log.origin, &head, NULL));
	assert_int_equal(head.size, 4);
	log_head_release(&head);
	seen_is(bench, &log, 50);
	tlog_release(&log);
}

static void test_damaged(void **state)
{
	struct bench *bench = *state;
	struct store_key key = log_key(0);
	struct log_head head;
	struct tlog log;
	struct txn txn;

	tlog_init_of(&log, 1, "kenya");
	assert_ok(bench_write(bench, tlog_write(&log, 4)));
	assert_ok(bench_write(bench, seen_write(&log, 4, 0)));
	txn_begin(&txn, bench->store->env, TXN_WRITE);
	txn_put(&txn, DB_WITNESSED, store_key_bytes(&key), bytes_str("no row at all"));
	assert_ok(txn_finish(&txn, NULL));
	assert_ok(store_head(bench->store, &log.origin, &head, NULL));
	assert_true(head.witness_damaged);
	assert_int_equal(head.size, 4);
	log_head_release(&head);
	/* What stood there is not known: nothing takes its place. Entries go on. */
	assert_int_equal(bench_write(bench, seen_write(&log, 4, 0)), ERR_CORRUPT);
	assert_ok(bench_write(bench, tlog_write(&log, 4)));
	tlog_release(&log);
}

static void marks_are(struct bench *bench, bool lost, const struct ed25519_public *key)
{
	struct store_marks marks;

	assert_ok(store_marks(bench->store, &marks, NULL));
	assert_int_equal(marks.witness_lost, lost);
	assert_int_equal(marks.witness_named, key != NULL);
	if (key != NULL)
		assert_memory_equal(&marks.witness, key, sizeof(*key));
}

static void test_mark(void **state)
{
	struct bench *bench = *state;
	struct ed25519_public key = {{7}};
	struct guard_opts opts = {.network = NETWORK, .node = NODE, .directory = ""};
	enum guard_verdict verdict;
	struct guard *guard;
	struct errctx why;
	char path[300];
	struct tlog log;
	struct txn txn;

	snprintf(path, sizeof(path), "%s/guard", bench->place.directory);
	opts.path = path;
	assert_ok(guard_open(&opts, &guard, NULL));
	assert_ok(guard_check(guard, bench->store, &verdict, &why, NULL));
	bench_writer(bench, guard);
	tlog_init_of(&log, 1, "kenya");
	assert_ok(bench_write(bench, tlog_write(&log, 4)));
	marks_are(bench, false, NULL);
	/* From the next commit on, and after a start. */
	writer_witness_lost(bench->writer, &key);
	marks_are(bench, false, NULL);
	assert_ok(bench_write(bench, tlog_write(&log, 4)));
	marks_are(bench, true, &key);
	bench_reopen(bench);
	marks_are(bench, true, &key);
	/* One that is damaged was there; which key it was nobody knows. */
	txn_begin(&txn, bench->store->env, TXN_WRITE);
	txn_put(&txn, DB_META, bytes_str(STORE_WITNESS_LOST), bytes_str("no row at all"));
	assert_ok(txn_finish(&txn, NULL));
	marks_are(bench, true, NULL);
	tlog_release(&log);
	guard_close(guard);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		T(test_never_back),
		T(test_along),
		T(test_damaged),
		T(test_mark),
	};

	return cmocka_run_group_tests_name("seen_table", tests, NULL, NULL);
}
