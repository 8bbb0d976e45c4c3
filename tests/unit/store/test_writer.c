#include "support.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"

static void list_free(struct store_write *list)
{
	while (list != NULL) {
		struct store_write *next = list->next;

		store_write_free(list);
		list = next;
	}
}

/* While it is held the writer cannot begin: what is submitted queues up. */
static struct txn writer_block(struct bench *bench)
{
	struct txn txn;

	txn_begin(&txn, bench->store->env, TXN_WRITE);
	assert_ok(txn.err);
	return txn;
}

static void writer_unblock(struct txn *txn)
{
	assert_ok(txn_finish(txn, NULL));
}

/* Grouping. */

static void test_group_commit(void **state)
{
	enum { WRITES = 200 };
	struct bench *bench = *state;
	struct store_write *list, *write;
	struct tlog logs[3];
	struct txn txn;
	uint64_t ticket = 0;

	for (unsigned i = 0; i < 3; i++)
		tlog_init(&logs[i], i);
	/* Idle: each at once. */
	tlog_append(bench, &logs[0], 1);
	tlog_append(bench, &logs[0], 1);
	assert_int_equal(bench_commits(bench), 2);
	txn = writer_block(bench);
	for (unsigned i = 0; i < WRITES; i++) {
		write = tlog_write(&logs[i % 3], 1 + i % 5);
		write->ticket = i;
		writer_submit(bench->writer, write);
	}
	writer_unblock(&txn);
	list = bench_wait(bench, WRITES);
	for (write = list; write != NULL; write = write->next) {
		assert_ok(write->result);
		assert_int_equal(write->ticket, ticket++); /* in order */
	}
	assert_int_equal(ticket, WRITES);
	list_free(list);
	/* What was taken before the block, and all the rest. */
	assert_true(bench_commits(bench) <= 4);
	bench_reopen(bench);
	for (unsigned i = 0; i < 3; i++) {
		tlog_check(bench, &logs[i]);
		tlog_release(&logs[i]);
	}
}

/* 4,096 writes or 16 MiB in one transaction, no more. The first may have gone alone, before the
 * block. */
static void test_group_caps(void **state)
{
	enum { WRITES = 2 * 4096 + 1, BIG = 600, BIG_ENTRIES = 1 };
	struct bench *bench = *state;
	uint8_t *large = calloc(1, LIMIT_ENTRY_SIZE);
	struct bytes view = {large, LIMIT_ENTRY_SIZE};
	struct store_write *write;
	struct txn txn;
	struct tlog log;

	assert_non_null(large);
	tlog_init(&log, 1);
	tlog_append(bench, &log, 1);
	txn = writer_block(bench);
	for (unsigned i = 0; i < WRITES; i++) {
		write = store_write_new(&log.origin);
		assert_non_null(write);
		strcpy(write->cosigner, "ovra.example/mirror/kenya");
		writer_submit(bench->writer, write);
	}
	writer_unblock(&txn);
	list_free(bench_wait(bench, WRITES));
	assert_in_range(bench_commits(bench), 1 + 3, 1 + 4);

	/* 600 times 64 KiB: over 16 MiB twice, not three times. */
	tlog_append(bench, &log, 1);
	uint64_t before = bench_commits(bench);

	txn = writer_block(bench);
	for (unsigned i = 0; i < BIG; i++)
		writer_submit(bench->writer, tlog_write_entries(&log, &view, BIG_ENTRIES));
	writer_unblock(&txn);
	list_free(bench_wait(bench, BIG));
	assert_in_range(bench_commits(bench), before + 3, before + 4);
	free(large);
	tlog_release(&log);
}

static void test_misfit_fails_alone(void **state)
{
	struct bench *bench = *state;
	struct store_write *list, *write;
	struct tlog log, fork, other;
	enum err expected[6] = {OK, ERR_INVALID, OK, OK, ERR_INVALID, OK};
	struct txn txn;

	tlog_init(&log, 1);
	tlog_init(&fork, 1); /* the same origin, seen by somebody else */
	tlog_init(&other, 2);
	txn = writer_block(bench);
	writer_submit(bench->writer, tlog_write(&log, 300)); /* 0..300 */
	writer_submit(bench->writer, tlog_write(&fork, 10)); /* 0..10: not at 300 */
	writer_submit(bench->writer, tlog_write(&log, 300)); /* 300..600, same commit */
	writer_submit(bench->writer, tlog_write(&other, 5));
	write = tlog_write(&fork, 700); /* 10.. */
	write->first = 601;             /* a gap */
	writer_submit(bench->writer, write);
	writer_submit(bench->writer, tlog_write(&log, 1));
	writer_unblock(&txn);
	list = bench_wait(bench, 6);
	write = list;
	for (unsigned i = 0; i < 6; i++, write = write->next)
		assert_int_equal(write->result, expected[i]);
	list_free(list);
	assert_non_null(strstr(bench->ctx.text, log.origin.text));
	assert_non_null(strstr(bench->ctx.text, "entries from 0 do not follow the 300 held"));
	tlog_check(bench, &log);
	tlog_check(bench, &other);
	/* Alone, it makes no commit and no log. */
	uint64_t before = bench_commits(bench);
	struct log_head head;

	tlog_release(&fork);
	tlog_init(&fork, 3);
	write = tlog_write(&fork, 10);
	write->first = 1;
	assert_int_equal(bench_write(bench, write), ERR_INVALID);
	assert_int_equal(bench_commits(bench), before);
	assert_int_equal(store_head(bench->store, &fork.origin, &head, NULL), ERR_NOTFOUND);
	/* The words are given once. */
	assert_ok(bench_write(bench, store_write_new(&other.origin)));
	assert_string_equal(bench->ctx.text, "");
	tlog_release(&log);
	tlog_release(&fork);
	tlog_release(&other);
}

static void test_bad_checkpoint_fails_alone(void **state)
{
	struct bench *bench = *state;
	struct store_write *write;
	struct tlog log, other;
	struct origin bad = {"not an origin"};

	tlog_init(&log, 1);
	tlog_init(&other, 2);
	tlog_append(bench, &log, 10);
	/* At the size: fine. Past it, of another log, unreadable, with a sticky error: not. */
	write = store_write_new(&log.origin);
	note_make(&write->checkpoint, &log.origin, 11, &log.roots[10]);
	assert_int_equal(bench_write(bench, write), ERR_INVALID);
	assert_non_null(strstr(bench->ctx.text, "a checkpoint of 11 entries when 10 are held"));
	write = store_write_new(&log.origin);
	note_make(&write->checkpoint, &other.origin, 1, &log.roots[1]);
	assert_int_equal(bench_write(bench, write), ERR_INVALID);
	write = store_write_new(&log.origin);
	buf_put_str(&write->checkpoint, "nonsense");
	assert_int_equal(bench_write(bench, write), ERR_MALFORMED);
	write = store_write_new(&log.origin);
	write->checkpoint.err = ERR_LIMIT;
	assert_int_equal(bench_write(bench, write), ERR_LIMIT);
	write = store_write_new(&log.origin);
	write->cosignature.err = ERR_NOMEM;
	assert_int_equal(bench_write(bench, write), ERR_NOMEM);
	write = store_write_new(&bad);
	assert_int_equal(bench_write(bench, write), ERR_MALFORMED);
	tlog_check(bench, &log);
	/* A checkpoint alone, of less than is held. */
	write = tlog_write(&log, 5);
	buf_clear(&write->checkpoint);
	assert_ok(bench_write(bench, write));
	write = store_write_new(&log.origin);
	note_make(&write->checkpoint, &log.origin, 12, &log.roots[12]);
	assert_ok(bench_write(bench, write));
	write = store_write_new(&log.origin);
	note_make(&write->checkpoint, &log.origin, 15, &log.roots[15]);
	assert_ok(bench_write(bench, write));
	tlog_check(bench, &log);
	tlog_release(&log);
	tlog_release(&other);
}

/* `count` entries of sizes around `size`, or all of that size. */
static struct store_write *sized_write(struct tlog *log, size_t count, size_t size, bool exact)
{
	struct bytes *views = calloc(count, sizeof(*views));
	uint8_t *all = malloc(count * 8 * size);
	struct store_write *write;

	assert_true(views != NULL && all != NULL);
	for (size_t i = 0; i < count; i++) {
		uint64_t seed = log->number * 7919 + log->compact.size + i;
		size_t own =
			exact ? size : 1 + seed * 2654435761 % (seed % 5 == 0 ? 8 * size : size);

		views[i] = bytes_make(all + i * 8 * size, own);
		for (size_t b = 0; b < own; b++)
			all[i * 8 * size + b] = (uint8_t)(seed + b * (seed >> 3));
	}
	write = tlog_write_entries(log, views, count);
	free(views);
	free(all);
	return write;
}

static void root_check(struct bench *bench, const struct tlog *log)
{
	struct store_verify verify;
	struct errctx ctx = {""};

	if (store_verify(bench->store, &log->origin, NULL, &verify, &ctx) != OK)
		fail_msg("%s", ctx.text);
	assert_int_equal(verify.size, log->compact.size);
	assert_memory_equal(verify.root.b, log->roots[log->compact.size].b, HASH_SIZE);
	buf_release(&verify.checkpoint);
}

/* Logs that grow side by side, in the middle of the table, in blocks of any size: nothing is lost
 * where they meet on a page, and pages are filled. Alone in their commit, or many in one. */
static void interleave(struct bench *bench, size_t size, bool exact)
{
	enum { LOGS = 5, ROUNDS = 160 };
	struct tlog logs[LOGS];
	uint64_t seed = size;

	for (unsigned i = 0; i < LOGS; i++)
		tlog_init(&logs[i], (unsigned)size * LOGS + i);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned group = 1 + round % 7;

		for (unsigned i = 0; i < group; i++) {
			seed = seed * 6364136223846793005 + 1442695040888963407;
			/* The first log begins alone, the others later, with one entry. */
			struct tlog *log = &logs[(seed >> 33) % (1 + round * LOGS / ROUNDS)];
			size_t count = log->compact.size == 0 ? 1 : 1 + (seed >> 40) % 60;

			writer_submit(bench->writer, sized_write(log, count, size, exact));
		}
		list_free(bench_wait(bench, group));
	}
	for (unsigned i = 0; i < LOGS; i++) {
		root_check(bench, &logs[i]);
		tlog_release(&logs[i]);
	}
}

static void test_interleaved_logs(void **state)
{
	struct bench *bench = *state;
	struct log_head *heads;
	struct store_usage usage;
	uint64_t entries = 0;
	size_t count;

	interleave(bench, 600, true);
	assert_ok(store_heads(bench->store, &heads, &count, NULL));
	for (size_t i = 0; i < count; i++) {
		entries += heads[i].size;
		log_head_release(&heads[i]);
	}
	mem_free(heads);
	assert_ok(store_usage(bench->store, &usage));
	assert_true(usage.used_bytes < entries * 600 * 3 / 2);
	interleave(bench, 90, false);
	interleave(bench, 1200, false);
}

/* A row that should not be there, where the next entry goes: the entry wins. */
static void test_stray_entry(void **state)
{
	struct bench *bench = *state;
	struct store_key key = entry_key(0, 10);
	struct tlog log, other;
	struct txn txn;

	tlog_init(&log, 1);
	tlog_init(&other, 2);
	tlog_append(bench, &log, 10);
	tlog_append(bench, &other, 10);
	txn = writer_block(bench);
	txn_put(&txn, DB_ENTRIES, store_key_bytes(&key), bytes_str("stray"));
	writer_unblock(&txn);
	tlog_append(bench, &log, 3);
	tlog_check(bench, &log);
	tlog_check(bench, &other);
	tlog_release(&log);
	tlog_release(&other);
}

/* A log whose tiles are damaged must not stop the others. */
static void test_damaged_log_fails_alone(void **state)
{
	struct bench *bench = *state;
	struct store_write *list;
	struct tlog log, other;
	struct store_key key;
	struct txn txn;

	tlog_init(&log, 1);
	tlog_init(&other, 2);
	tlog_append(bench, &log, 300);
	tlog_append(bench, &other, 300);
	key = tile_key(0, (struct tile_id){1, 0});
	txn = writer_block(bench);
	writer_submit(bench->writer, tlog_write(&other, 7));
	writer_submit(bench->writer, tlog_write(&log, 7));
	writer_submit(bench->writer, tlog_write(&other, 7));
	txn_delete(&txn, DB_TILES, store_key_bytes(&key));
	writer_unblock(&txn);
	list = bench_wait(bench, 3);
	assert_ok(list->result);
	assert_int_equal(list->next->result, ERR_CORRUPT);
	assert_ok(list->next->next->result);
	list_free(list);
	assert_non_null(strstr(bench->ctx.text, "tile 1/0 is not whole"));
	tlog_check(bench, &other);
	tlog_release(&log);
	tlog_release(&other);
}

static void test_log_cap(void **state)
{
	struct bench *bench = *state;
	struct store_write *list, *write;
	struct log_head *heads;
	struct tlog log;
	size_t count = 0;

	for (unsigned i = 0; i < LIMIT_LOGS + 1; i++) {
		tlog_init(&log, i);
		writer_submit(bench->writer, store_write_new(&log.origin));
		tlog_release(&log);
	}
	list = bench_wait(bench, LIMIT_LOGS + 1);
	for (write = list; write != NULL; write = write->next, count++)
		assert_int_equal(write->result, count < LIMIT_LOGS ? OK : ERR_LIMIT);
	list_free(list);
	/* Those that are there go on. */
	tlog_init(&log, 5);
	tlog_append(bench, &log, 3);
	tlog_check(bench, &log);
	tlog_release(&log);
	assert_ok(store_heads(bench->store, &heads, &count, NULL));
	assert_int_equal(count, LIMIT_LOGS);
	for (size_t i = 0; i < count; i++)
		log_head_release(&heads[i]);
	mem_free(heads);
}

static void cosign(
	struct bench *bench, struct tlog *log, const char *name, uint64_t size, const char *line)
{
	struct store_write *write = store_write_new(&log->origin);

	assert_non_null(write);
	snprintf(write->cosigner, sizeof(write->cosigner), "%s", name);
	write->cosigned_size = size;
	buf_put_str(&write->cosignature, line);
	assert_ok(bench_write(bench, write));
}

static void test_cosignatures(void **state)
{
	struct bench *bench = *state;
	char longest[NOTE_KEY_NAME_MAX + 1];
	struct log_head head;
	struct tlog log, other;

	memset(longest, 'z', sizeof(longest));
	longest[NOTE_KEY_NAME_MAX] = '\0';
	tlog_init(&log, 1);
	tlog_init(&other, 2);
	tlog_append(bench, &log, 10);
	cosign(bench, &log, "ovra.example/mirror/kenya", 5, "first");
	cosign(bench, &log, "ovra.example/mirror/ghana", 7, "g");
	cosign(bench, &log, "ovra.example/mirror/kenya", 10, "second, longer");
	cosign(bench, &log, longest, 10, "");
	cosign(bench, &other, "ovra.example/mirror/kenya", 0, "other"); /* makes the log */
	bench_reopen(bench);
	assert_ok(store_head(bench->store, &log.origin, &head, NULL));
	assert_int_equal(head.cosignature_count, 3);
	assert_string_equal(head.cosignatures[0].cosigner, "ovra.example/mirror/ghana");
	assert_int_equal(head.cosignatures[0].size, 7);
	assert_string_equal(head.cosignatures[1].cosigner, "ovra.example/mirror/kenya");
	assert_int_equal(head.cosignatures[1].size, 10);
	assert_true(bytes_equal_str(buf_bytes(&head.cosignatures[1].line), "second, longer"));
	assert_string_equal(head.cosignatures[2].cosigner, longest);
	assert_int_equal(head.cosignatures[2].line.size, 0);
	log_head_release(&head);
	tlog_check(bench, &log); /* its checkpoint is still there */
	assert_ok(store_head(bench->store, &other.origin, &head, NULL));
	assert_int_equal(head.size, 0);
	assert_int_equal(head.cosignature_count, 1);
	assert_int_equal(head.checkpoint.size, 0);
	log_head_release(&head);
	tlog_release(&log);
	tlog_release(&other);
}

static void test_stop_finishes_the_queue(void **state)
{
	struct bench *bench = *state;
	struct store_write *list, *write;
	struct tlog log;
	size_t count = 0;

	tlog_init(&log, 1);
	for (unsigned i = 0; i < 50; i++)
		writer_submit(bench->writer, tlog_write(&log, 3));
	writer_stop(bench->writer);
	writer_stop(bench->writer); /* again: nothing */
	list = writer_done(bench->writer, NULL);
	for (write = list; write != NULL; write = write->next, count++)
		assert_ok(write->result);
	assert_int_equal(count, 50);
	list_free(list);
	assert_null(writer_done(bench->writer, NULL));
	bench_reopen(bench);
	tlog_check(bench, &log);
	/* What nobody collects is freed with the writer. */
	writer_submit(bench->writer, tlog_write(&log, 3));
	bench_reopen(bench);
	tlog_check(bench, &log);
	tlog_release(&log);
}

static void test_out_of_memory(void **state)
{
	struct bench *bench = *state;
	struct store_write *write, *again;
	struct tlog log;
	size_t n;
	enum err err;

	tlog_init(&log, 1);
	tlog_append(bench, &log, 300);
	write = tlog_write(&log, 300);
	strcpy(write->cosigner, "ovra.example/mirror/kenya");
	buf_put_str(&write->cosignature, "line");
	for (n = 0;; n++) {
		/* The same again, sharing the entries. */
		again = store_write_new(&log.origin);
		assert_non_null(again);
		again->first = write->first;
		again->entries = entries_ref(write->entries);
		buf_put(&again->checkpoint, buf_bytes(&write->checkpoint));
		buf_put(&again->cosignature, buf_bytes(&write->cosignature));
		strcpy(again->cosigner, write->cosigner);
		alloc_fail_after(n);
		err = bench_write(bench, again);
		if (!alloc_failed())
			break;
		alloc_fail_after(SIZE_MAX);
		assert_int_equal(err, ERR_NOMEM);
	}
	alloc_fail_after(SIZE_MAX);
	assert_ok(err);
	assert_true(n > 3);
	store_write_free(write);
	tlog_check(bench, &log);
	tlog_release(&log);
}

/* Readers in other threads, while the writer works. */

struct reader {
	struct bench *bench;
	struct origin origin;
	_Atomic bool stop;
	size_t reads;
	bool bad;
};

static void *reader_main(void *arg)
{
	struct reader *reader = arg;
	struct store *store = reader->bench->store;

	while (!atomic_load(&reader->stop) && !reader->bad) {
		struct store_read read = {
			.origin = reader->origin, .count_max = 50, .size_max = SIZE_MAX};
		struct hash root_here, root_target;
		struct store_batch batch;
		struct log_head head;

		if (store_head(store, &reader->origin, &head, NULL) != OK) {
			reader->bad = true;
			break;
		}
		read.target = head.size;
		reader->bad = store_read_batch(store, &read, &batch, NULL) != OK;
		if (!reader->bad) {
			struct compact range;

			compact_init(&range);
			for (size_t i = 0; i < batch.entries->count; i++)
				compact_append(&range, &batch.entries->leaf[i]);
			compact_root(&range, &root_here);
			compact_root(&head.compact, &root_target);
			reader->bad = !proof_consistency_ok(
				&batch.proof, range.size, &root_here, head.size, &root_target);
			entries_unref(batch.entries);
		}
		log_head_release(&head);
		reader->reads++;
	}
	return NULL;
}

static void test_readers_beside_the_writer(void **state)
{
	enum { READERS = 3 };
	struct bench *bench = *state;
	struct reader readers[READERS];
	struct store_verify verify;
	pthread_t threads[READERS];
	struct tlog log;

	tlog_init(&log, 1);
	tlog_append(bench, &log, 60);
	for (unsigned i = 0; i < READERS; i++) {
		memset(&readers[i], 0, sizeof(readers[i]));
		readers[i].bench = bench;
		readers[i].origin = log.origin;
		assert_int_equal(pthread_create(&threads[i], NULL, reader_main, &readers[i]), 0);
	}
	for (unsigned i = 0; i < 150; i++) {
		tlog_append(bench, &log, 1 + i % 40);
		if (i % 30 == 0) {
			assert_ok(store_verify(bench->store, &log.origin, NULL, &verify, NULL));
			buf_release(&verify.checkpoint);
		}
	}
	for (unsigned i = 0; i < READERS; i++) {
		atomic_store(&readers[i].stop, true);
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_false(readers[i].bad);
	}
	tlog_check(bench, &log);
	tlog_release(&log);
}

/* Verification of a log that grows meanwhile: more than one slice. */

static void *verify_main(void *arg)
{
	struct reader *reader = arg;
	struct store_verify verify;

	while (!atomic_load(&reader->stop) && !reader->bad) {
		reader->bad = store_verify(reader->bench->store, &reader->origin, NULL, &verify,
				      NULL) != OK;
		if (!reader->bad)
			buf_release(&verify.checkpoint);
		reader->reads++;
	}
	return NULL;
}

static void test_verify_beside_the_writer(void **state)
{
	struct bench *bench = *state;
	struct reader reader = {.bench = bench};
	struct tlog log;
	pthread_t thread;

	tlog_init(&log, 1);
	tlog_append(bench, &log, 3000);
	reader.origin = log.origin;
	assert_int_equal(pthread_create(&thread, NULL, verify_main, &reader), 0);
	for (unsigned i = 0; i < 200; i++)
		tlog_append(bench, &log, 1 + i % 17);
	atomic_store(&reader.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(reader.bad);
	assert_true(reader.reads > 0);
	tlog_release(&log);
}

/* Power cuts, as far as kill -9 is one: what was reported is there, whole. */

struct report {
	unsigned log;
	uint64_t size;
};

/* The child: appends to three logs for ever, and says what is durable. */
static void append_for_ever(struct bench *bench, const uint64_t sizes[3], int out)
{
	struct tlog logs[3];

	bench_open(bench, 0);
	for (unsigned i = 0; i < 3; i++) {
		struct store_write *write;

		tlog_init(&logs[i], i);
		if (sizes[i] == 0)
			continue;
		/* What is held, without writing it again. */
		write = tlog_write(&logs[i], sizes[i]);
		store_write_free(write);
	}
	for (unsigned n = 0;; n++) {
		struct store_write *list;

		for (unsigned i = 0; i < 3; i++) {
			struct store_write *write = tlog_write(&logs[i], 1 + (n * 13 + i * 5) % 40);

			write->ticket = i;
			writer_submit(bench->writer, write);
		}
		list = bench_wait(bench, 3);
		for (struct store_write *w = list; w != NULL; w = w->next) {
			struct report report = {(unsigned)w->ticket, w->first + w->entries->count};

			if (w->result != OK ||
				write(out, &report, sizeof(report)) != sizeof(report))
				_exit(1);
		}
		list_free(list);
	}
}

/* Reads reports until `count` were seen, kills, reads the rest. */
static void kill_after(pid_t child, int in, size_t count, uint64_t sizes[3])
{
	struct report report;
	size_t seen = 0;
	ssize_t got;
	int status;

	while ((got = read(in, &report, sizeof(report))) == sizeof(report)) {
		assert_true(report.log < 3 && report.size > sizes[report.log]);
		sizes[report.log] = report.size;
		if (++seen == count)
			assert_int_equal(kill(child, SIGKILL), 0);
	}
	assert_int_equal(got, 0);
	assert_true(seen >= count);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void killed_check(struct bench *bench, uint64_t sizes[3])
{
	struct log_head head;
	struct tlog log;

	bench_open(bench, 0);
	for (unsigned i = 0; i < 3; i++) {
		tlog_init(&log, i);
		assert_ok(store_head(bench->store, &log.origin, &head, NULL));
		/* Nothing reported is lost; what was not reported may be there, whole. */
		assert_true(head.size >= sizes[i]);
		sizes[i] = head.size;
		log_head_release(&head);
		store_write_free(tlog_write(&log, sizes[i]));
		tlog_check(bench, &log);
		tlog_release(&log);
	}
	bench_close(bench);
}

static void test_kill_9(void **state)
{
	enum { ROUNDS = 8 };
	struct bench *bench = *state;
	uint64_t sizes[3] = {0};

	bench_close(bench);
	for (unsigned round = 0; round < ROUNDS; round++) {
		int ends[2];
		pid_t child;

		assert_int_equal(pipe(ends), 0);
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			close(ends[0]);
			append_for_ever(bench, sizes, ends[1]);
		}
		close(ends[1]);
		kill_after(child, ends[0], 3 + 7 * round, sizes);
		close(ends[0]);
		killed_check(bench, sizes);
	}
	bench_open(bench, 0);
}

/* Full. */

/* Appends until it fails; the log as it was before the failure. Returns the error. */
static enum err fill_up(struct bench *bench, struct tlog *log, size_t step)
{
	for (;;) {
		uint64_t before = log->compact.size;
		enum err err = bench_write(bench, tlog_write(log, step));

		if (err == OK)
			continue;
		/* Forget what did not happen. */
		unsigned number = log->number;
		char node[sizeof(log->node)];

		memcpy(node, log->node, sizeof(node));
		tlog_release(log);
		tlog_init_of(log, number, node);
		store_write_free(tlog_write(log, before));
		return err;
	}
}

static void test_full_map(void **state)
{
	struct bench *bench = *state;
	struct store_write *list, *write;
	struct tlog log, other;
	struct txn txn;

	bench_close(bench);
	bench_open(bench, 1 << 20);
	tlog_init(&log, 1);
	tlog_init(&other, 2);
	tlog_append(bench, &other, 10);
	assert_int_equal(fill_up(bench, &log, 100), ERR_FULL);
	assert_non_null(strstr(bench->ctx.text, "map of 1048576 bytes is full"));
	assert_true(log.compact.size > 300);
	tlog_check(bench, &log);
	tlog_check(bench, &other);
	/* A group fails as one, and all of it is reported. */
	uint64_t before = log.compact.size;

	txn = writer_block(bench);
	for (unsigned i = 0; i < 3; i++)
		writer_submit(bench->writer, tlog_write(&log, 1000));
	writer_unblock(&txn);
	list = bench_wait(bench, 3);
	for (write = list; write != NULL; write = write->next)
		assert_true(write->result == ERR_FULL ||
			    (write != list && write->result == ERR_INVALID));
	list_free(list);
	tlog_release(&log);
	tlog_init(&log, 1);
	store_write_free(tlog_write(&log, before));
	tlog_check(bench, &log);
	/* With more room it goes on. */
	bench_close(bench);
	bench_open(bench, 16 << 20);
	tlog_check(bench, &log);
	tlog_append(bench, &log, 1000);
	tlog_check(bench, &log);
	tlog_check(bench, &other);
	tlog_release(&log);
	tlog_release(&other);
}

/* Every reader slot can be used, and one more is refused, on a full disk too. */
static void readers_all(struct bench *bench)
{
	struct txn *readers = calloc(ENV_READERS + 1, sizeof(*readers));

	assert_non_null(readers);
	for (unsigned i = 0; i < ENV_READERS; i++) {
		txn_begin(&readers[i], bench->store->env, TXN_READ);
		assert_ok(readers[i].err);
	}
	txn_begin(&readers[ENV_READERS], bench->store->env, TXN_READ);
	assert_int_equal(readers[ENV_READERS].err, ERR_BUSY);
	for (unsigned i = 0; i < ENV_READERS; i++)
		assert_ok(txn_finish(&readers[i], NULL));
	free(readers);
}

static void test_readers(void **state)
{
	readers_all(*state);
}

/* The checks of a child of test_full_disk and test_file_limit; its asserts end it with 1. */
static void full_child(struct bench *bench, enum err expected, const char *says)
{
	struct tlog log;
	enum err err;

	tlog_init(&log, 1);
	err = fill_up(bench, &log, 50);
	if (err != expected || strstr(bench->ctx.text, says) == NULL || log.compact.size < 100) {
		fprintf(stderr, "after %u entries: %s: %s\n", (unsigned)log.compact.size,
			err_name(err), bench->ctx.text);
		_exit(1);
	}
	tlog_check(bench, &log);
	bench_reopen(bench);
	tlog_check(bench, &log);
	readers_all(bench);
	_exit(0);
}

static void child_join(struct bench *bench, pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	bench_open(bench, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("no right to mount a tmpfs: run this as root or allow user "
			      "namespaces\n");
		skip();
	}
	assert_int_equal(status, 0);
}

/* In a child: a small disk of its own under the directory; ends it when that is not permitted. */
static void child_disk(struct bench *bench, const char *options)
{
	int flags = CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER);

	if (unshare(flags) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount("none", bench->place.directory, "tmpfs", 0, options) != 0)
		_exit(77);
}

/* A disk of one mebibyte: LMDB says EIO, we say why. */
static void test_full_disk(void **state)
{
	struct bench *bench = *state;
	pid_t child;

	bench_close(bench);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		child_disk(bench, "size=1m");
		bench_open(bench, 0);
		full_child(bench, ERR_FULL, "bytes free");
	}
	child_join(bench, child);
}

/* The same EIO while the disk has room: not called full. */
static void test_short_write(void **state)
{
	struct bench *bench = *state;
	pid_t child;

	bench_close(bench);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct rlimit limit = {512 * 1024 + 100, 512 * 1024 + 100};

		signal(SIGXFSZ, SIG_IGN);
		if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
			_exit(1);
		bench_open(bench, 0);
		full_child(bench, ERR_IO, "input/output error (disk has");
	}
	child_join(bench, child);
}

/* The reserve. */

static enum trouble trouble(struct bench *bench)
{
	struct condition condition;

	writer_condition(bench->writer, &condition);
	return condition.trouble;
}

/* Replicas stop first; the node's own log and the directory go on until there is no room at all.
 * The map stands for the disk: the same rule holds for both. */
static void test_reserve(void **state)
{
	struct bench *bench = *state;
	struct store_write *list, *write;
	struct tlog own, directory, replica;
	struct txn txn;
	uint64_t held;

	bench_close(bench);
	bench->reserve = 1 << 20;
	bench_open(bench, 3 << 20);
	tlog_init(&own, 1);
	tlog_init_of(&directory, 2, "directory");
	tlog_init_of(&replica, 3, "caf");
	tlog_append(bench, &replica, 10);
	assert_int_equal(trouble(bench), TROUBLE_NONE);
	assert_int_equal(fill_up(bench, &replica, 100), ERR_FULL);
	assert_non_null(strstr(bench->ctx.text, "replicas paused: disk nearly full"));
	assert_true(replica.compact.size > 300);
	assert_int_equal(trouble(bench), TROUBLE_REPLICAS_PAUSED);

	tlog_append(bench, &own, 100);
	tlog_append(bench, &directory, 100);
	assert_int_equal(trouble(bench), TROUBLE_REPLICAS_PAUSED);

	/* In one group: what is refused does not take the rest along. */
	held = replica.compact.size;
	txn = writer_block(bench);
	writer_submit(bench->writer, tlog_write(&replica, 100));
	writer_submit(bench->writer, tlog_write(&own, 10));
	writer_submit(bench->writer, tlog_write(&replica, 100));
	writer_submit(bench->writer, tlog_write(&directory, 10));
	writer_unblock(&txn);
	list = bench_wait(bench, 4);
	write = list;
	assert_int_equal(write->result, ERR_FULL);
	write = write->next;
	assert_ok(write->result);
	write = write->next;
	assert_int_equal(write->result, ERR_INVALID); /* its beginning is not there */
	write = write->next;
	assert_ok(write->result);
	list_free(list);
	tlog_release(&replica);
	tlog_init_of(&replica, 3, "caf");
	store_write_free(tlog_write(&replica, (size_t)held));

	/* Cosignatures of replicas need next to nothing, and others wait for them. */
	write = store_write_new(&replica.origin);
	strcpy(write->cosigner, NODE);
	write->cosigned_size = held;
	buf_put_str(&write->cosignature, "a cosignature");
	assert_ok(bench_write(bench, write));

	assert_int_equal(fill_up(bench, &own, 100), ERR_FULL);
	assert_true(own.compact.size > 500);
	assert_int_equal(trouble(bench), TROUBLE_MAP_FULL);
	tlog_check(bench, &own);
	tlog_check(bench, &directory);
	tlog_check(bench, &replica);

	bench_close(bench);
	bench_open(bench, 16 << 20);
	assert_int_equal(trouble(bench), TROUBLE_NONE);
	tlog_append(bench, &replica, 100);
	tlog_append(bench, &own, 100);
	tlog_check(bench, &own);
	tlog_check(bench, &replica);
	assert_int_equal(trouble(bench), TROUBLE_NONE);
	tlog_release(&own);
	tlog_release(&directory);
	tlog_release(&replica);
}

static void ballast(struct bench *bench, const char *name, size_t size)
{
	static const char zeros[4096];
	char path[sizeof(bench->place.directory) + 16];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", bench->place.directory, name);
	if (size == 0) {
		if (unlink(path) != 0)
			_exit(2);
		return;
	}
	file = fopen(path, "w");
	for (size_t at = 0; file != NULL && at < size; at += sizeof(zeros))
		if (fwrite(zeros, sizeof(zeros), 1, file) != 1)
			_exit(3);
	if (file == NULL || fclose(file) != 0)
		_exit(4);
}

/* Waits until the condition is as said; the probe is asked for, not waited for. */
static bool becomes(struct bench *bench, enum trouble expected)
{
	for (unsigned tries = 0; tries < 1000; tries++) {
		writer_probe(bench->writer);
		if (trouble(bench) == expected)
			return true;
		usleep(10000);
	}
	fprintf(stderr, "still %s, not %s\n", trouble_name(trouble(bench)), trouble_name(expected));
	return false;
}

/* A disk of eight mebibytes: replicas fill it, then the node itself; room comes back. */
static void full_disk_child(struct bench *bench)
{
	struct tlog own, replica;

	bench->reserve = 2 << 20;
	ballast(bench, "other", 3 << 20);
	bench_open(bench, 0);
	tlog_init(&own, 1);
	tlog_init_of(&replica, 3, "caf");
	if (fill_up(bench, &replica, 100) != ERR_FULL || trouble(bench) != TROUBLE_REPLICAS_PAUSED)
		_exit(10);
	tlog_append(bench, &own, 300);
	if (fill_up(bench, &own, 100) != ERR_FULL || trouble(bench) != TROUBLE_DISK_FULL)
		_exit(11);
	tlog_check(bench, &own);
	tlog_check(bench, &replica);
	writer_probe(bench->writer);
	usleep(50000);
	if (trouble(bench) != TROUBLE_DISK_FULL)
		_exit(12);
	/* Nobody writes: a probe finds the room. */
	ballast(bench, "other", 0);
	if (!becomes(bench, TROUBLE_NONE))
		_exit(13);
	tlog_append(bench, &own, 100);
	tlog_append(bench, &replica, 100);
	ballast(bench, "other", 1 << 20);
	if (fill_up(bench, &replica, 100) != ERR_FULL || !becomes(bench, TROUBLE_REPLICAS_PAUSED))
		_exit(14);
	ballast(bench, "other", 0);
	if (!becomes(bench, TROUBLE_NONE))
		_exit(15);
	bench_reopen(bench);
	tlog_check(bench, &own);
	tlog_check(bench, &replica);
	_exit(0);
}

static void test_full_disk_reserve(void **state)
{
	struct bench *bench = *state;
	pid_t child;

	bench_close(bench);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		child_disk(bench, "size=8m");
		full_disk_child(bench);
	}
	child_join(bench, child);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		T(test_group_commit),
		T(test_group_caps),
		T(test_misfit_fails_alone),
		T(test_bad_checkpoint_fails_alone),
		T(test_interleaved_logs),
		T(test_stray_entry),
		T(test_damaged_log_fails_alone),
		T(test_log_cap),
		T(test_cosignatures),
		T(test_stop_finishes_the_queue),
		T(test_out_of_memory),
		T(test_readers_beside_the_writer),
		T(test_verify_beside_the_writer),
		T(test_kill_9),
		T(test_readers),
		T(test_full_map),
		T(test_full_disk),
		T(test_short_write),
		T(test_reserve),
		T(test_full_disk_reserve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
