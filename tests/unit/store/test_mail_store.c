#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "server/store/mail.h"

/* Bodies of one size, each of which is found in a file by its own text. */
enum { BODY_SIZE = 5000 };

struct place {
	char path[64];
	struct mail_store *store;
	sem_t woken;
	uint64_t copy_day;
};

static void wake(void *arg)
{
	sem_post(&((struct place *)arg)->woken);
}

static void open_store(struct place *place)
{
	struct mail_store_opts opts = {.path = place->path,
		.compact_ms = 1,
		.copy_day = place->copy_day,
		.wake = wake,
		.wake_arg = place};
	struct errctx ctx = {""};

	if (mail_store_open(&opts, &place->store, &ctx) != OK)
		fail_msg("%s", ctx.text);
	assert_int_equal(mail_store_start(place->store, &ctx), OK);
}

static void close_store(struct place *place)
{
	mail_store_stop(place->store);
	mail_store_close(place->store);
	place->store = NULL;
}

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	if (place == NULL || crypto_init() != OK)
		return -1;
	snprintf(place->path, sizeof(place->path), "/tmp/sauti-mail-XXXXXX");
	if (mkdtemp(place->path) == NULL || sem_init(&place->woken, 0, 0) != 0)
		return -1;
	open_store(place);
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;
	DIR *dir;
	struct dirent *entry;

	if (place->store != NULL)
		close_store(place);
	dir = opendir(place->path);
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		(void)unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	rmdir(place->path);
	sem_destroy(&place->woken);
	free(place);
	crypto_release();
	return 0;
}

static struct hash item_of(unsigned number)
{
	struct hash item;

	sha256(bytes_make(&number, sizeof(number)), &item);
	return item;
}

/* One task from beginning to end. */
static struct mail_task *run(struct place *place, struct mail_task *task)
{
	struct mail_task *done;

	mail_store_submit(place->store, task);
	while ((done = mail_store_done(place->store)) == NULL)
		sem_wait(&place->woken);
	assert_ptr_equal(done, task);
	return done;
}

static enum err finish(struct mail_task *task)
{
	enum err result = task->result;

	mail_task_free(task);
	return result;
}

static struct mail_task *write_of(unsigned number)
{
	struct mail_task *task = mail_task_new(MAIL_TASK_WRITE);
	struct hash item = item_of(number);

	task->write = mail_write_new(&item);
	return task;
}

static struct mail_task *put_of(unsigned number)
{
	struct mail_task *task = write_of(number);

	buf_printf(&task->write->body, "body %u of the store ", number);
	buf_put_zeros(&task->write->body, BODY_SIZE);
	buf_printf(&task->write->state, "state %u", number);
	return task;
}

static void put(struct place *place, unsigned number)
{
	assert_int_equal(finish(run(place, put_of(number))), OK);
}

static void drop_of(struct place *place, unsigned number, bool erasure)
{
	struct mail_task *task = write_of(number);

	task->write->drop = true;
	task->write->erasure = erasure;
	buf_printf(&task->write->state, "ended %u", number);
	assert_int_equal(finish(run(place, task)), OK);
}

static void drop(struct place *place, unsigned number)
{
	drop_of(place, number, false);
}

static enum err body(struct place *place, unsigned number)
{
	struct mail_task *task = mail_task_new(MAIL_TASK_BODY);

	task->item = item_of(number);
	run(place, task);
	if (task->result == OK)
		assert_int_equal(task->data.data[0], 'b');
	return finish(task);
}

/* Does the text stand anywhere in a file of the directory? */
static bool on_disk(const struct place *place, const char *text)
{
	DIR *dir = opendir(place->path);
	struct dirent *entry;
	bool found = false;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		int fd = openat(dirfd(dir), entry->d_name, O_RDONLY);
		struct stat st;
		uint8_t *all;

		if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0) {
			close(fd);
			continue;
		}
		all = malloc((size_t)st.st_size);
		assert_int_equal(read(fd, all, (size_t)st.st_size), st.st_size);
		found |= memmem(all, (size_t)st.st_size, text, strlen(text)) != NULL;
		free(all);
		close(fd);
	}
	closedir(dir);
	return found;
}

static void until_compact(struct place *place)
{
	while (mail_store_compacting(place->store))
		usleep(1000);
}

struct rows {
	size_t count;
	char last[64];
};

static enum err count_row(void *arg, struct bytes key, struct bytes value)
{
	struct rows *rows = arg;

	rows->count++;
	snprintf(rows->last, sizeof(rows->last), "%.*s", BYTES_FMT(value));
	return OK;
}

static struct rows rows_of(struct place *place, enum mail_table table, uint64_t *ret_damaged)
{
	struct mail_store_opts opts = {.path = place->path, .wake = wake, .wake_arg = place};
	struct rows rows = {0};

	close_store(place);
	assert_int_equal(mail_store_open(&opts, &place->store, NULL), OK);
	assert_int_equal(
		mail_store_each(place->store, table, count_row, &rows, ret_damaged, NULL), OK);
	close_store(place);
	open_store(place);
	return rows;
}

static void what_is_put_is_there_after_a_restart(void **state)
{
	struct place *place = *state;
	uint64_t damaged;

	for (unsigned i = 0; i < 20; i++)
		put(place, i);
	assert_int_equal(body(place, 3), OK);
	assert_int_equal(body(place, 99), ERR_NOTFOUND);
	assert_int_equal(rows_of(place, MAIL_STATES, &damaged).count, 20);
	assert_int_equal(damaged, 0);
	assert_int_equal(body(place, 3), OK);
}

static void a_dropped_body_is_gone_from_the_disk(void **state)
{
	struct place *place = *state;
	uint64_t damaged;

	for (unsigned i = 0; i < 20; i++)
		put(place, i);
	assert_true(on_disk(place, "body 7 of the store"));
	drop(place, 7);
	until_compact(place);
	assert_false(on_disk(place, "body 7 of the store"));
	assert_false(on_disk(place, "state 7"));
	assert_true(on_disk(place, "body 8 of the store"));
	assert_int_equal(body(place, 7), ERR_NOTFOUND);
	assert_int_equal(body(place, 8), OK);
	put(place, 100); /* the file that was moved into place is the one that is written */
	assert_int_equal(rows_of(place, MAIL_STATES, &damaged).count, 21);
	assert_int_equal(body(place, 100), OK);
}

static void waits(struct place *place, const char *text)
{
	usleep(100 * 1000);
	assert_true(mail_store_compacting(place->store));
	assert_true(on_disk(place, text));
}

/* Past what may be copied in a day only what is erased is copied for at once, past twice as much
 * only what is deleted by hand. The budget here is three quarters of a copy. */
static void copies_have_a_budget(void **state)
{
	struct place *place = *state;
	struct mail_task *task;
	char path[100];
	struct stat st;

	for (unsigned i = 0; i < 100; i++)
		put(place, i);
	close_store(place);
	snprintf(path, sizeof(path), "%s/data.mdb", place->path);
	assert_int_equal(stat(path, &st), 0);
	place->copy_day = (uint64_t)st.st_size * 3 / 4;
	open_store(place);
	drop(place, 1);
	until_compact(place);
	assert_false(on_disk(place, "body 1 of the store"));
	drop(place, 2);
	waits(place, "body 2 of the store");
	drop_of(place, 3, true);
	until_compact(place);
	assert_false(on_disk(place, "body 2 of the store"));
	assert_false(on_disk(place, "body 3 of the store"));
	drop_of(place, 4, true);
	waits(place, "body 4 of the store");
	task = mail_task_new(MAIL_TASK_UNBOX);
	task->item = item_of(1);
	assert_int_equal(finish(run(place, task)), OK);
	until_compact(place);
	assert_false(on_disk(place, "body 4 of the store"));
	/* A stop does not wait either. */
	drop(place, 5);
	waits(place, "body 5 of the store");
	close_store(place);
	assert_false(on_disk(place, "body 5 of the store"));
}

static void a_start_finishes_what_a_crash_left(void **state)
{
	struct place *place = *state;
	char copy[100];
	int fd, status;
	pid_t child;

	put(place, 1);
	put(place, 2);
	close_store(place);
	/* Deleted, and killed before the copy. */
	child = fork();
	if (child == 0) {
		struct mail_store_opts opts = {.path = place->path,
			.compact_ms = 1000 * 1000,
			.wake = wake,
			.wake_arg = place};

		if (mail_store_open(&opts, &place->store, NULL) != OK ||
			mail_store_start(place->store, NULL) != OK)
			_exit(1);
		drop(place, 1);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(on_disk(place, "body 1 of the store"));
	snprintf(copy, sizeof(copy), "%s/data.compact", place->path);
	fd = open(copy, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "body 1 of the store", 19), 19);
	close(fd);
	open_store(place);
	until_compact(place);
	assert_false(on_disk(place, "body 1 of the store"));
	assert_int_equal(body(place, 2), OK);
}

static void inbox_and_notes(void **state)
{
	struct place *place = *state;
	struct mail_task *task = write_of(5);
	uint64_t damaged;

	buf_put_str(&task->write->inbox, "a notice");
	buf_put_str(&task->write->state, "ended 5");
	assert_int_equal(finish(run(place, task)), OK);
	task = mail_task_new(MAIL_TASK_INBOX);
	task->item = item_of(5);
	assert_memory_equal(run(place, task)->data.data, "a notice", 8);
	mail_task_free(task);
	task = mail_task_new(MAIL_TASK_UNBOX);
	task->item = item_of(5);
	assert_int_equal(finish(run(place, task)), OK);
	until_compact(place);
	assert_false(on_disk(place, "a notice"));

	task = mail_task_new(MAIL_TASK_NOTE);
	task->note = MAIL_NOTE_ADDRESS;
	snprintf(task->name, sizeof(task->name), "haiti");
	buf_put_str(&task->data, "one");
	assert_int_equal(finish(run(place, task)), OK);
	assert_string_equal(rows_of(place, MAIL_NOTES, &damaged).last, "one");
	task = mail_task_new(MAIL_TASK_NOTE);
	task->note = MAIL_NOTE_ADDRESS;
	snprintf(task->name, sizeof(task->name), "haiti");
	assert_int_equal(finish(run(place, task)), OK);
	assert_int_equal(rows_of(place, MAIL_NOTES, &damaged).count, 0);
	/* Too large: nothing of its group is written. */
	task = mail_task_new(MAIL_TASK_NOTE);
	task->note = MAIL_NOTE_ADDRESS;
	snprintf(task->name, sizeof(task->name), "haiti");
	buf_put_zeros(&task->data, MAIL_NOTE_VALUE_MAX + 1);
	assert_int_equal(finish(run(place, task)), ERR_LIMIT);
}

/* No room: the whole group is refused, nothing is lost, and what was deleted goes later. */
static void a_full_disk(void **state)
{
	struct place *place = *state;
	struct rlimit limit, small;
	struct mail_task *task;
	unsigned n;

	for (n = 0; n < 10; n++)
		put(place, n);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = limit;
	small.rlim_cur = 200 * 1024;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (;; n++) {
		task = run(place, put_of(n));
		if (task->result != OK)
			break;
		mail_task_free(task);
		assert_true(n < 1000);
	}
	assert_true(task->result == ERR_FULL || task->result == ERR_IO); /* a short write */
	mail_task_free(task);
	assert_int_equal(body(place, n), ERR_NOTFOUND);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(body(place, i), OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	put(place, n);
	drop(place, 0);
	until_compact(place);
	assert_false(on_disk(place, "body 0 of the store"));
	assert_int_equal(body(place, n), OK);
}

/* A node that is killed at any moment has what was reported, and no half of anything. */
static void killed_at_any_moment(void **state)
{
	struct place *place = *state;

	close_store(place);
	for (unsigned round = 0; round < 12; round++) {
		int pipe_fd[2], status;
		unsigned number, last = 0;
		pid_t child;

		assert_int_equal(pipe(pipe_fd), 0);
		child = fork();
		if (child == 0) {
			open_store(place);
			for (number = 1000 * round + 1;; number++) {
				put(place, number);
				if (number % 3 == 0)
					drop(place, number);
				if (write(pipe_fd[1], &number, sizeof(number)) < 0)
					_exit(1);
			}
		}
		close(pipe_fd[1]);
		usleep(4000 + round * 3000);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		while (read(pipe_fd[0], &number, sizeof(number)) == (ssize_t)sizeof(number))
			last = number;
		close(pipe_fd[0]);
		open_store(place);
		for (number = 1000 * round + 1; number <= last; number++)
			assert_int_equal(body(place, number), number % 3 == 0 ? ERR_NOTFOUND : OK);
		until_compact(place);
		close_store(place);
	}
	open_store(place);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_put_is_there_after_a_restart),
		TEST(a_dropped_body_is_gone_from_the_disk),
		TEST(copies_have_a_budget),
		TEST(a_start_finishes_what_a_crash_left),
		TEST(inbox_and_notes),
		TEST(a_full_disk),
		TEST(killed_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
