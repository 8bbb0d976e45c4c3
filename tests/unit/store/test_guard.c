/* The guard file, and the writer that has it follow. */
#include "tests/unit/store/support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

#define DIRECTORY_OF_NETWORK NETWORK "/directory/1-0102030405060708"

struct fixture {
	struct bench *bench;
	struct guard *guard;
	char directory[300], file[320];
};

static struct guard_opts guard_opts_of(struct fixture *f, const char *node)
{
	return (struct guard_opts){
		.path = f->directory, .network = NETWORK, .node = node, .directory = ""};
}

static enum err try_open(struct fixture *f, const char *node, const char *says)
{
	struct guard_opts opts = guard_opts_of(f, node);
	struct errctx ctx = {""};
	enum err err = guard_open(&opts, &f->guard, &ctx);

	if (strstr(ctx.text, says) == NULL)
		fail_msg("'%s' does not say '%s'", ctx.text, says);
	return err;
}

/* The store under its guard, as a start does it. */
static enum guard_verdict begin(struct fixture *f)
{
	struct errctx ctx = {""}, why = {""};
	enum guard_verdict verdict = GUARD_OTHER;

	assert_ok(try_open(f, NODE, ""));
	if (guard_check(f->guard, f->bench->store, &verdict, &why, &ctx) != OK)
		fail_msg("%s", ctx.text);
	bench_writer(f->bench, f->guard);
	return verdict;
}

static void end(struct fixture *f)
{
	bench_close(f->bench);
	guard_close(f->guard);
	f->guard = NULL;
	bench_open(f->bench, f->bench->map_size);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	void *bench;

	assert_non_null(f);
	bench_setup(&bench);
	f->bench = bench;
	snprintf(f->directory, sizeof(f->directory), "%s/guard", f->bench->place.directory);
	snprintf(f->file, sizeof(f->file), "%s/guard", f->directory);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	void *bench = f->bench;
	int rc;

	writer_stop(f->bench->writer);
	rc = bench_teardown(&bench);
	guard_close(f->guard);
	free(f);
	return rc;
}

static void file_read(struct fixture *f, uint8_t ret[GUARD_SLOTS * GUARD_SLOT_SIZE])
{
	FILE *file = fopen(f->file, "r");

	assert_non_null(file);
	assert_int_equal(
		fread(ret, 1, GUARD_SLOTS * GUARD_SLOT_SIZE, file), GUARD_SLOTS * GUARD_SLOT_SIZE);
	fclose(file);
}

static void file_write(struct fixture *f, const uint8_t *bytes, size_t at, size_t size)
{
	int fd = open(f->file, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, size, (off_t)at), size);
	close(fd);
}

/* The slot that counts. */
static unsigned newest_slot(const uint8_t *bytes)
{
	struct guard_record a, b;

	if (guard_record_read(bytes_make(bytes, GUARD_SLOT_SIZE), &a) != OK)
		return 1;
	if (guard_record_read(bytes_make(bytes + GUARD_SLOT_SIZE, GUARD_SLOT_SIZE), &b) != OK)
		return 0;
	return b.sequence > a.sequence;
}

static void test_follows(void **state)
{
	struct fixture *f = *state;
	struct guard_record record;
	struct tlog log;

	tlog_init(&log, 1);
	assert_int_equal(begin(f), GUARD_NEW);
	for (size_t i = 1; i <= 5; i++) {
		tlog_append(f->bench, &log, 3);
		assert_true(guard_get(f->guard, &record));
		assert_int_equal(record.commit, bench_commits(f->bench));
		assert_int_equal(record.log_count, 1);
		assert_string_equal(record.logs[0].origin.text, log.origin.text);
		assert_int_equal(record.logs[0].size, 3 * i);
		assert_memory_equal(record.logs[0].root.b, log.roots[3 * i].b, HASH_SIZE);
	}
	end(f);
	assert_int_equal(begin(f), GUARD_SAME);
	tlog_append(f->bench, &log, 1);
	end(f);
	assert_int_equal(begin(f), GUARD_SAME);
	tlog_check(f->bench, &log);
	tlog_release(&log);
}

/* The commit is there and the guard did not follow: a power cut between the two. */
static void test_one_commit_ahead(void **state)
{
	uint8_t before[GUARD_SLOTS * GUARD_SLOT_SIZE], after[sizeof(before)];
	struct fixture *f = *state;
	struct tlog log;

	tlog_init(&log, 1);
	assert_int_equal(begin(f), GUARD_NEW);
	tlog_append(f->bench, &log, 3);
	for (unsigned round = 0; round < 4; round++) {
		unsigned slot;

		file_read(f, before);
		tlog_append(f->bench, &log, 2);
		file_read(f, after);
		slot = newest_slot(after);
		assert_int_not_equal(slot, newest_slot(before));
		end(f);
		/* The other slot was not touched. The new one: not written at all, half of it, or
		 * with zeros: each time the older one counts. */
		assert_memory_equal(before + (1 - slot) * GUARD_SLOT_SIZE,
			after + (1 - slot) * GUARD_SLOT_SIZE, GUARD_SLOT_SIZE);
		if (round == 0)
			file_write(f, before, 0, sizeof(before));
		else if (round == 1)
			file_write(f, before + slot * GUARD_SLOT_SIZE, slot * GUARD_SLOT_SIZE, 512);
		else
			file_write(f, (const uint8_t[512]){0},
				slot * GUARD_SLOT_SIZE + (round - 2) * 3584, 512);
		assert_int_equal(begin(f), GUARD_SAME);
	}
	tlog_check(f->bench, &log);
	tlog_release(&log);
}

static void test_two_commits_ahead(void **state)
{
	uint8_t before[GUARD_SLOTS * GUARD_SLOT_SIZE];
	struct fixture *f = *state;
	struct tlog log;

	tlog_init(&log, 1);
	assert_int_equal(begin(f), GUARD_NEW);
	tlog_append(f->bench, &log, 3);
	file_read(f, before);
	tlog_append(f->bench, &log, 2);
	tlog_append(f->bench, &log, 2);
	end(f);
	file_write(f, before, 0, sizeof(before));
	assert_int_equal(begin(f), GUARD_OTHER);
	end(f);
	/* It is not forgotten, although the numbers agree again. */
	assert_int_equal(begin(f), GUARD_OTHER);
	tlog_release(&log);
}

static void test_guard_lost(void **state)
{
	struct fixture *f = *state;
	struct tlog log;

	tlog_init(&log, 1);
	assert_int_equal(begin(f), GUARD_NEW);
	end(f);
	/* Nothing was ever committed under it: it may go. */
	assert_int_equal(unlink(f->file), 0);
	assert_int_equal(begin(f), GUARD_NEW);
	tlog_append(f->bench, &log, 1);
	end(f);
	assert_int_equal(unlink(f->file), 0);
	assert_int_equal(begin(f), GUARD_OTHER);
	/* Commits of others go on, and change nothing about that. */
	end(f);
	assert_int_equal(begin(f), GUARD_OTHER);
	tlog_release(&log);
}

/* Somebody else writes to it: whatever is committed is not acknowledged, and nothing after it is
 * even committed. The next start goes on: nothing was lost. */
static void test_written_by_another(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[GUARD_SLOTS * GUARD_SLOT_SIZE];
	struct tlog log;
	uint64_t commits;

	tlog_init(&log, 1);
	assert_int_equal(begin(f), GUARD_NEW);
	tlog_append(f->bench, &log, 2);
	file_read(f, bytes);
	bytes[newest_slot(bytes) * GUARD_SLOT_SIZE + 100] ^= 1;
	file_write(f, bytes, 0, sizeof(bytes));
	assert_int_equal(bench_write(f->bench, tlog_write(&log, 2)), ERR_FORK);
	assert_non_null(strstr(f->bench->ctx.text, "somebody else"));
	commits = bench_commits(f->bench);
	assert_int_equal(bench_write(f->bench, tlog_write(&log, 2)), ERR_FORK);
	assert_int_equal(bench_commits(f->bench), commits);
	tlog_release(&log);
}

static void test_whose(void **state)
{
	struct fixture *f = *state;
	struct guard *first;
	struct tlog log;

	tlog_init(&log, 1);
	begin(f);
	first = f->guard;
	assert_int_equal(try_open(f, NODE, "another process is using guard"), ERR_BUSY);
	f->guard = first;
	tlog_append(f->bench, &log, 1);
	end(f);
	assert_int_equal(try_open(f, "congo", "belongs to node 'haiti'"), ERR_INVALID);
	f->guard = NULL;
	tlog_release(&log);
}

/* Headquarters made anew in the same place, with the old guard beside it. */
static void test_earlier_network(void **state)
{
	struct fixture *f = *state;
	struct guard_opts opts = guard_opts_of(f, NODE);
	struct origin old, new;
	struct errctx ctx = {""};
	struct checkpoint checkpoint = {.size = 3};
	struct guard_commit commit = {.commit = 1, .checkpoints = &checkpoint, .count = 1};

	assert_ok(
		origin_make(bytes_str(NETWORK), bytes_str("directory"), 1, (uint8_t[8]){1}, &old));
	assert_ok(
		origin_make(bytes_str(NETWORK), bytes_str("directory"), 1, (uint8_t[8]){2}, &new));
	opts.directory = old.text;
	assert_ok(guard_open(&opts, &f->guard, &ctx));
	checkpoint.origin = old;
	assert_ok(guard_committed(f->guard, &commit, &ctx));
	guard_close(f->guard);
	f->guard = NULL;
	opts.directory = new.text;
	assert_int_equal(guard_open(&opts, &f->guard, &ctx), ERR_INVALID);
	assert_non_null(strstr(ctx.text, "earlier network"));
	opts.directory = old.text;
	assert_ok(guard_open(&opts, &f->guard, &ctx));
}

static void test_no_place_for_it(void **state)
{
	struct fixture *f = *state;
	FILE *file = fopen(f->directory, "w");

	assert_non_null(file);
	fclose(file);
	assert_int_equal(try_open(f, NODE, f->directory), ERR_IO);
	f->guard = NULL;
	assert_int_equal(unlink(f->directory), 0);
}

/* A new log takes the place of the old one in one commit; an older epoch never comes back. */
static void test_next(void **state)
{
	struct fixture *f = *state;
	struct guard_record record;
	struct tlog old, new;

	tlog_init(&old, 1);
	tlog_init(&new, 2);
	begin(f);
	tlog_append(f->bench, &old, 2);
	assert_ok(guard_next(f->guard, &old.origin, &new.origin, bench_commits(f->bench), NULL));
	assert_true(guard_opens(f->guard, new.origin.text));
	end(f);
	assert_int_equal(begin(f), GUARD_OTHER);
	/* Entries of the old log that come back from elsewhere. */
	tlog_append(f->bench, &old, 1);
	assert_true(guard_opens(f->guard, new.origin.text));
	tlog_append(f->bench, &new, 1);
	assert_false(guard_opens(f->guard, new.origin.text));
	guard_get(f->guard, &record);
	assert_string_equal(guard_record_own(&record)->origin.text, new.origin.text);
	assert_false(record.renew);
	tlog_append(f->bench, &old, 1);
	guard_get(f->guard, &record);
	assert_int_equal(record.log_count, 1);
	assert_string_equal(guard_record_own(&record)->origin.text, new.origin.text);
	end(f);
	assert_int_equal(begin(f), GUARD_SAME);
	tlog_release(&old);
	tlog_release(&new);
}

/* The first entry of the new log is durable, the guard did not follow: it has begun all the same.
 */
static void test_next_one_ahead(void **state)
{
	uint8_t before[GUARD_SLOTS * GUARD_SLOT_SIZE];
	struct fixture *f = *state;
	struct guard_record record;
	struct tlog old, new;

	tlog_init(&old, 1);
	tlog_init(&new, 2);
	begin(f);
	tlog_append(f->bench, &old, 2);
	assert_ok(guard_next(f->guard, &old.origin, &new.origin, bench_commits(f->bench), NULL));
	file_read(f, before);
	tlog_append(f->bench, &new, 1);
	end(f);
	file_write(f, before, 0, sizeof(before));
	assert_int_equal(begin(f), GUARD_SAME);
	guard_get(f->guard, &record);
	assert_string_equal(guard_record_own(&record)->origin.text, new.origin.text);
	assert_string_equal(record.next.text, "");
	tlog_release(&old);
	tlog_release(&new);
}

static void test_stop(void **state)
{
	struct fixture *f = *state;
	struct tlog log;

	tlog_init(&log, 1);
	begin(f);
	tlog_append(f->bench, &log, 2);
	assert_ok(guard_stop(f->guard, "shown by 'cleo'", NULL));
	assert_ok(guard_stop(f->guard, "again", NULL));
	end(f);
	assert_int_equal(begin(f), GUARD_STOPPED);
	tlog_release(&log);
}

/* A store of two entries, whose guard remembers `size` with the root of the first `root` ones. It
 * is open; the eight entries that follow are returned. */
static struct store_write *behind_at(
	struct fixture *f, struct tlog *log, uint64_t size, uint64_t root)
{
	struct checkpoint checkpoint = {.origin = log->origin, .size = size};
	struct guard_commit commit = {.checkpoints = &checkpoint, .count = 1};
	struct guard_record record;
	struct store_write *write;

	begin(f);
	tlog_append(f->bench, log, 2);
	write = tlog_write(log, 8);
	assert_true(guard_get(f->guard, &record));
	commit.commit = record.commit;
	checkpoint.root = log->roots[root];
	assert_ok(guard_committed(f->guard, &commit, NULL));
	end(f);
	assert_int_equal(begin(f), GUARD_BEHIND);
	return write;
}

/* Entries that were lost come back: judged again, the log is whole. */
static void test_recheck(void **state)
{
	struct fixture *f = *state;
	struct errctx why, ctx = {""};
	enum guard_verdict verdict;
	struct store_write *write;
	struct tlog log;

	tlog_init(&log, 1);
	write = behind_at(f, &log, 10, 10);
	assert_ok(guard_recheck(f->guard, f->bench->store, &verdict, &why, &ctx));
	assert_int_equal(verdict, GUARD_BEHIND);
	assert_ok(bench_write(f->bench, write));
	assert_ok(guard_recheck(f->guard, f->bench->store, &verdict, &why, &ctx));
	assert_int_equal(verdict, GUARD_SAME);
	tlog_release(&log);
}

/* A peer that shows another history of the log does not make the guard forget what was signed. */
static void test_other_history_comes_back(void **state)
{
	struct fixture *f = *state;
	struct errctx why, ctx = {""};
	enum guard_verdict verdict;
	struct guard_record record;
	struct store_write *write;
	struct tlog log;

	tlog_init(&log, 1);
	write = behind_at(f, &log, 9, 1); /* of another history */
	assert_ok(bench_write(f->bench, write));
	guard_get(f->guard, &record);
	assert_int_equal(guard_record_own(&record)->size, 9);
	assert_memory_equal(guard_record_own(&record)->root.b, log.roots[1].b, HASH_SIZE);
	assert_ok(guard_recheck(f->guard, f->bench->store, &verdict, &why, &ctx));
	assert_int_equal(verdict, GUARD_OTHER);
	end(f);
	assert_int_equal(begin(f), GUARD_OTHER);
	tlog_release(&log);
}

/* New commits do not stand for those that are missing. */
static void test_commits_missing(void **state)
{
	struct fixture *f = *state;
	struct guard_record record;
	struct tlog log;

	tlog_init(&log, 1);
	begin(f);
	tlog_append(f->bench, &log, 1);
	guard_get(f->guard, &record);
	struct guard_commit ahead = {.commit = record.commit + 3};

	assert_ok(guard_committed(f->guard, &ahead, NULL));
	end(f);
	assert_int_equal(begin(f), GUARD_ROLLED);
	assert_true(guard_commits_missing(f->guard));
	for (unsigned i = 0; i < 5; i++)
		tlog_append(f->bench, &log, 1);
	end(f);
	assert_int_equal(begin(f), GUARD_ROLLED);
	writer_caught_up(f->bench->writer);
	tlog_append(f->bench, &log, 1);
	end(f);
	assert_int_equal(begin(f), GUARD_SAME);
	assert_false(guard_commits_missing(f->guard));
	tlog_release(&log);
}

/* Store and guard are gone, the keys are not. */
static void test_keys_were_used(void **state)
{
	struct fixture *f = *state;
	struct guard_opts opts = guard_opts_of(f, NODE);
	struct errctx ctx = {""}, why = {""};
	enum guard_verdict verdict;

	opts.used = true;
	for (unsigned i = 0; i < 2; i++) {
		assert_ok(guard_open(&opts, &f->guard, &ctx));
		assert_ok(guard_check(f->guard, f->bench->store, &verdict, &why, &ctx));
		assert_int_equal(verdict, GUARD_OTHER);
		guard_close(f->guard);
	}
	f->guard = NULL;
}

/* Headquarters: what is once not known of the directory is never known again. */
static void test_directory_ended(void **state)
{
	struct fixture *f = *state;
	struct guard_opts opts = guard_opts_of(f, NODE);
	struct errctx ctx = {""}, why = {""};
	struct guard_record record;
	enum guard_verdict verdict;
	struct tlog log;

	tlog_init(&log, 1);
	opts.directory = DIRECTORY_OF_NETWORK;
	begin(f);
	tlog_append(f->bench, &log, 1);
	end(f);
	assert_int_equal(unlink(f->file), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_ok(guard_open(&opts, &f->guard, &ctx));
		assert_ok(guard_check(f->guard, f->bench->store, &verdict, &why, &ctx));
		assert_int_equal(verdict, GUARD_OTHER);
		assert_false(guard_directory_ok(f->guard));
		assert_true(guard_get(f->guard, &record) && record.directory_ended);
		guard_close(f->guard);
	}
	f->guard = NULL;
	tlog_release(&log);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_follows),
		TEST(test_one_commit_ahead),
		TEST(test_two_commits_ahead),
		TEST(test_guard_lost),
		TEST(test_written_by_another),
		TEST(test_whose),
		TEST(test_earlier_network),
		TEST(test_no_place_for_it),
		TEST(test_next),
		TEST(test_next_one_ahead),
		TEST(test_stop),
		TEST(test_recheck),
		TEST(test_other_history_comes_back),
		TEST(test_commits_missing),
		TEST(test_keys_were_used),
		TEST(test_directory_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
