/*
 * The real store and the simulator's pass one test (tests/lib/store_conformance.h).
 *
 * The real one lives in a child process, so that a crash is its kill -9: store and writer are in
 * the child, and what is asked and answered goes through a socket, each message u32be size and what
 * follows. The child answers questions from LMDB, and says of a flush what writer_done gave.
 */
#include "support.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "tests/lib/store_conformance.h"
#include "tests/sim/disk.h"

enum { MESSAGE_MAX = 64 * 1024 * 1024 };

/* The simulator's. */

#define NOT_ASKED_FOR UINT64_MAX /* ticket of a write that a planted fault makes */

struct sim {
	struct disk disk;
	uint64_t random;
	size_t synced[DISK_LOGS_MAX]; /* sizes before the last flush */
	/* Planted faults. */
	bool loses;      /* at a crash, the entries of the last flush */
	bool half;       /* of a write that is refused the entries stay */
	bool other_leaf; /* one leaf hash in each batch is another */
	bool forgets;    /* a cosignature that is there is not replaced */
};

static void sim_open(void *arg) {}

static void sim_close(void *arg)
{
	struct sim *sim = arg;

	/* An orderly end finishes what is queued. */
	disk_lose(&sim->disk, SIZE_MAX, NULL);
}

static void sim_crash(void *arg)
{
	struct sim *sim = arg;

	for (size_t i = 0; sim->loses && i < sim->disk.log_count; i++)
		while (sim->disk.logs[i]->size > sim->synced[i])
			entries_unref(sim->disk.logs[i]->block[--sim->disk.logs[i]->size]);
	sim->random = sim->random * 6364136223846793005u + 1442695040888963407u;
	disk_lose(&sim->disk, (sim->random >> 33) % 8, NULL);
}

static bool has_cosignature(struct sim *sim, const struct store_write *write)
{
	const struct disk_log *log = disk_find(&sim->disk, &write->origin);

	for (size_t i = 0; log != NULL && i < log->cosigned_count; i++)
		if (strcmp(log->cosigned[i].cosigner, write->cosigner) == 0)
			return true;
	return false;
}

static void sim_submit(void *arg, struct store_write *write)
{
	struct sim *sim = arg;

	if (sim->half && write->entries != NULL && write->checkpoint.size > 0) {
		struct store_write *half = store_write_new(&write->origin);

		assert_non_null(half);
		half->ticket = NOT_ASKED_FOR;
		half->first = write->first;
		half->entries = entries_ref(write->entries);
		disk_submit(&sim->disk, half);
		write->first += write->entries->count;
		entries_unref(write->entries);
		write->entries = NULL;
	}
	if (sim->forgets && has_cosignature(sim, write))
		write->cosigner[0] = '\0';
	disk_submit(&sim->disk, write);
}

static struct store_write *sim_flush(void *arg)
{
	struct sim *sim = arg;
	struct store_write *list, **at;

	for (size_t i = 0; i < sim->disk.log_count; i++)
		sim->synced[i] = sim->disk.logs[i]->size;
	list = disk_sync(&sim->disk, OK, NULL);
	/* What sim_submit has added was never asked for. */
	for (at = &list; sim->half && *at != NULL;) {
		struct store_write *write = *at;

		if (write->ticket != NOT_ASKED_FOR) {
			at = &write->next;
			continue;
		}
		*at = write->next;
		store_write_free(write);
	}
	return list;
}

static enum err sim_heads(void *arg, struct log_head **ret, size_t *ret_count)
{
	struct sim *sim = arg;
	struct log_head *heads = mem_array(sim->disk.log_count + 1, sizeof(*heads));

	assert_non_null(heads);
	for (size_t i = 0; i < sim->disk.log_count; i++)
		disk_head(sim->disk.logs[i], &heads[i]);
	*ret = heads;
	*ret_count = sim->disk.log_count;
	return OK;
}

static enum err sim_read(void *arg, const struct store_read *read, struct store_batch *ret)
{
	struct sim *sim = arg;

	TRY(disk_read(&sim->disk, read, ret));
	if (sim->other_leaf)
		ret->entries->leaf[ret->entries->count / 2].b[0] ^= 1;
	return OK;
}

static enum err sim_entry(void *arg, const struct origin *origin, uint64_t index, struct buf *out)
{
	struct sim *sim = arg;
	const struct disk_log *log = disk_find(&sim->disk, origin);

	if (log == NULL || index >= log->size)
		return ERR_NOTFOUND;
	buf_put(out, disk_entry(log, (size_t)index));
	return out->err;
}

static struct store_subject sim_subject(struct sim *sim)
{
	return (struct store_subject){sim_open, sim_close, sim_crash, sim_submit, sim_flush,
		sim_heads, sim_read, sim_entry, sim};
}

/* Messages to and from the real one. */

static void blob_put(struct buf *out, struct bytes bytes)
{
	buf_put_u32be(out, (uint32_t)bytes.size);
	buf_put(out, bytes);
}

static struct bytes blob_take(struct cursor *in)
{
	return cursor_take(in, cursor_u32be(in));
}

static void text_take(struct cursor *in, char *ret, size_t size)
{
	struct bytes text = blob_take(in);

	if (text.size >= size)
		abort();
	memcpy(ret, text.data, text.size);
	ret[text.size] = '\0';
}

static void blob_take_buf(struct cursor *in, struct buf *ret)
{
	buf_init(ret, LIMIT_NOTE_SIZE > LIMIT_ENTRY_SIZE ? LIMIT_NOTE_SIZE : LIMIT_ENTRY_SIZE);
	buf_put(ret, blob_take(in));
}

static void entries_put(struct buf *out, const struct entries *entries)
{
	buf_put_u32be(out, entries != NULL ? (uint32_t)entries->count : 0);
	for (size_t i = 0; entries != NULL && i < entries->count; i++)
		blob_put(out, entries->entry[i]);
}

static struct entries *entries_take(struct cursor *in)
{
	size_t count = cursor_u32be(in);
	struct bytes *views = calloc(count + 1, sizeof(*views));
	struct entries *entries = NULL;

	if (views == NULL)
		abort();
	for (size_t i = 0; i < count; i++)
		views[i] = blob_take(in);
	if (count > 0 && entries_make(views, count, &entries) != OK)
		abort();
	free(views);
	return entries;
}

static void write_put(struct buf *out, const struct store_write *write)
{
	blob_put(out, bytes_str(write->origin.text));
	buf_put_u64be(out, write->first);
	entries_put(out, write->entries);
	blob_put(out, buf_bytes(&write->checkpoint));
	blob_put(out, bytes_str(write->cosigner));
	buf_put_u64be(out, write->cosigned_size);
	blob_put(out, buf_bytes(&write->cosignature));
	blob_put(out, buf_bytes(&write->witness));
	buf_put_u64be(out, write->witness_s);
}

static struct store_write *write_take(struct cursor *in)
{
	struct origin origin;
	struct store_write *write;

	text_take(in, origin.text, sizeof(origin.text));
	write = store_write_new(&origin);
	if (write == NULL)
		abort();
	write->first = cursor_u64be(in);
	write->entries = entries_take(in);
	buf_put(&write->checkpoint, blob_take(in));
	text_take(in, write->cosigner, sizeof(write->cosigner));
	write->cosigned_size = cursor_u64be(in);
	buf_put(&write->cosignature, blob_take(in));
	buf_put(&write->witness, blob_take(in));
	write->witness_s = cursor_u64be(in);
	return write;
}

static void head_put(struct buf *out, const struct log_head *head)
{
	blob_put(out, bytes_str(head->origin.text));
	buf_put_u64be(out, head->size);
	buf_put(out, bytes_make((const uint8_t *)&head->compact, sizeof(head->compact)));
	blob_put(out, buf_bytes(&head->checkpoint));
	blob_put(out, buf_bytes(&head->witness));
	buf_put_u64be(out, head->witness_s);
	buf_put_u8(out, head->witness_damaged);
	blob_put(out, buf_bytes(&head->first_entry));
	buf_put_u32be(out, (uint32_t)head->cosignature_count);
	for (size_t i = 0; i < head->cosignature_count; i++) {
		blob_put(out, bytes_str(head->cosignatures[i].cosigner));
		buf_put_u64be(out, head->cosignatures[i].size);
		blob_put(out, buf_bytes(&head->cosignatures[i].line));
	}
}

static void head_take(struct cursor *in, struct log_head *ret)
{
	text_take(in, ret->origin.text, sizeof(ret->origin.text));
	ret->size = cursor_u64be(in);
	cursor_copy(in, &ret->compact, sizeof(ret->compact));
	blob_take_buf(in, &ret->checkpoint);
	blob_take_buf(in, &ret->witness);
	ret->witness_s = cursor_u64be(in);
	ret->witness_damaged = cursor_u8(in) != 0;
	blob_take_buf(in, &ret->first_entry);
	ret->cosignature_count = cursor_u32be(in);
	ret->cosignatures = mem_array(ret->cosignature_count + 1, sizeof(*ret->cosignatures));
	assert_non_null(ret->cosignatures);
	for (size_t i = 0; i < ret->cosignature_count; i++) {
		struct store_cosignature *c = &ret->cosignatures[i];

		text_take(in, c->cosigner, sizeof(c->cosigner));
		c->size = cursor_u64be(in);
		blob_take_buf(in, &c->line);
	}
}

/* False when the other end is gone. */
static bool all_of(int fd, uint8_t *data, size_t size, ssize_t (*move)(int, uint8_t *, size_t))
{
	while (size > 0) {
		ssize_t n = move(fd, data, size);

		if (n <= 0)
			return false;
		data += n;
		size -= (size_t)n;
	}
	return true;
}

static ssize_t move_in(int fd, uint8_t *data, size_t size)
{
	return recv(fd, data, size, 0);
}

static ssize_t move_out(int fd, uint8_t *data, size_t size)
{
	return send(fd, data, size, MSG_NOSIGNAL);
}

static bool message_send(int fd, struct buf *message)
{
	uint8_t size[4];

	assert_ok(message->err);
	put_u32be(size, (uint32_t)message->size);
	return all_of(fd, size, sizeof(size), move_out) &&
	       all_of(fd, message->data, message->size, move_out);
}

static bool message_receive(int fd, struct buf *message)
{
	uint8_t size[4];

	buf_clear(message);
	if (!all_of(fd, size, sizeof(size), move_in) ||
		buf_reserve(message, get_u32be(size)) == NULL ||
		!all_of(fd, message->data, get_u32be(size), move_in))
		return false;
	message->size = get_u32be(size);
	return true;
}

/* The child. */

struct child {
	struct bench bench;
	size_t submitted; /* and not yet given back */
};

static void serve_flush(struct child *child, struct buf *out)
{
	struct store_write *write =
		child->submitted > 0 ? bench_wait(&child->bench, child->submitted) : NULL;

	child->submitted = 0;
	while (write != NULL) {
		struct store_write *next = write->next;

		buf_put_u32be(out, write->result);
		store_write_free(write);
		write = next;
	}
}

static enum err serve_heads(struct child *child, struct buf *out)
{
	struct log_head *heads;
	size_t count;

	TRY(store_heads(child->bench.store, &heads, &count, NULL));
	buf_put_u32be(out, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		head_put(out, &heads[i]);
		log_head_release(&heads[i]);
	}
	mem_free(heads);
	return OK;
}

static enum err serve_read(struct child *child, struct cursor *in, struct buf *out)
{
	struct store_read read = {0};
	struct store_batch batch;

	text_take(in, read.origin.text, sizeof(read.origin.text));
	read.first = cursor_u64be(in);
	read.target = cursor_u64be(in);
	read.count_max = (size_t)cursor_u64be(in);
	read.size_max = (size_t)cursor_u64be(in);
	TRY(store_read_batch(child->bench.store, &read, &batch, NULL));
	entries_put(out, batch.entries);
	buf_put_u32be(out, (uint32_t)batch.proof.count);
	for (size_t i = 0; i < batch.proof.count; i++)
		buf_put(out, BYTES_ARRAY(batch.proof.hashes[i].b));
	entries_unref(batch.entries);
	return OK;
}

static enum err serve_entry(struct child *child, struct cursor *in, struct buf *out)
{
	struct origin origin;
	uint64_t index;

	text_take(in, origin.text, sizeof(origin.text));
	index = cursor_u64be(in);
	return store_entry(child->bench.store, &origin, index, out, NULL);
}

/* The answer is u32be error and what was asked for. A write has no answer. */
static bool serve_one(struct child *child, int fd, struct cursor *in, struct buf *out)
{
	enum err err = OK;

	buf_clear(out);
	buf_put_u32be(out, OK);
	switch (cursor_u8(in)) {
	case 'w':
		writer_submit(child->bench.writer, write_take(in));
		child->submitted++;
		return true;
	case 'f':
		serve_flush(child, out);
		break;
	case 'h':
		err = serve_heads(child, out);
		break;
	case 'r':
		err = serve_read(child, in, out);
		break;
	case 'e':
		err = serve_entry(child, in, out);
		break;
	default:
		return false;
	}
	put_u32be(out->data, err);
	return message_send(fd, out);
}

static void serve(const struct place *place, int fd)
{
	struct child child = {.bench.place = *place};
	struct buf in, out;
	struct cursor cursor;

	buf_init(&in, MESSAGE_MAX);
	buf_init(&out, MESSAGE_MAX);
	bench_open(&child.bench, 0);
	do {
		if (!message_receive(fd, &in))
			break;
		cursor = cursor_make(buf_bytes(&in));
	} while (serve_one(&child, fd, &cursor, &out));
	bench_close(&child.bench);
	_exit(0);
}

/* The parent's side. */

struct real {
	struct place place;
	pid_t child;
	int fd;
	struct store_write *sent, **sent_end;
	struct buf message;
	uint64_t random;
};

static void real_open(void *arg)
{
	struct real *real = arg;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	real->child = fork();
	assert_true(real->child >= 0);
	if (real->child == 0) {
		close(ends[0]);
		serve(&real->place, ends[1]);
	}
	close(ends[1]);
	real->fd = ends[0];
	real->sent = NULL;
	real->sent_end = &real->sent;
}

static void ask(struct real *real, uint8_t what)
{
	buf_clear(&real->message);
	buf_put_u8(&real->message, what);
}

static struct cursor answer(struct real *real, enum err *ret)
{
	struct cursor in;

	assert_true(message_send(real->fd, &real->message));
	assert_true(message_receive(real->fd, &real->message));
	in = cursor_make(buf_bytes(&real->message));
	*ret = (enum err)cursor_u32be(&in);
	return in;
}

static void real_ended(struct real *real, bool killed)
{
	int status;

	close(real->fd);
	assert_int_equal(waitpid(real->child, &status, 0), real->child);
	if (killed)
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	else
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	while (real->sent != NULL) {
		struct store_write *next = real->sent->next;

		store_write_free(real->sent);
		real->sent = next;
	}
}

static void real_close(void *arg)
{
	struct real *real = arg;

	ask(real, 'q');
	assert_true(message_send(real->fd, &real->message));
	real_ended(real, false);
}

static void real_crash(void *arg)
{
	struct real *real = arg;

	/* Nothing of it may have begun, or some commits may be through. */
	real->random = real->random * 6364136223846793005u + 1442695040888963407u;
	usleep((useconds_t)((real->random >> 33) % 3000));
	assert_int_equal(kill(real->child, SIGKILL), 0);
	real_ended(real, true);
}

static void real_submit(void *arg, struct store_write *write)
{
	struct real *real = arg;

	ask(real, 'w');
	write_put(&real->message, write);
	assert_true(message_send(real->fd, &real->message));
	write->next = NULL;
	*real->sent_end = write;
	real->sent_end = &write->next;
}

static struct store_write *real_flush(void *arg)
{
	struct real *real = arg;
	struct store_write *list = real->sent;
	struct cursor in;
	enum err err;

	ask(real, 'f');
	in = answer(real, &err);
	assert_ok(err);
	for (struct store_write *write = list; write != NULL; write = write->next)
		write->result = (enum err)cursor_u32be(&in);
	assert_ok(cursor_finish(&in));
	real->sent = NULL;
	real->sent_end = &real->sent;
	return list;
}

static enum err real_heads(void *arg, struct log_head **ret, size_t *ret_count)
{
	struct real *real = arg;
	struct log_head *heads;
	struct cursor in;
	size_t count;
	enum err err;

	ask(real, 'h');
	in = answer(real, &err);
	TRY(err);
	count = cursor_u32be(&in);
	heads = mem_array(count + 1, sizeof(*heads));
	assert_non_null(heads);
	for (size_t i = 0; i < count; i++)
		head_take(&in, &heads[i]);
	assert_ok(cursor_finish(&in));
	*ret = heads;
	*ret_count = count;
	return OK;
}

static enum err real_read(void *arg, const struct store_read *read, struct store_batch *ret)
{
	struct real *real = arg;
	struct cursor in;
	enum err err;

	ask(real, 'r');
	blob_put(&real->message, bytes_str(read->origin.text));
	buf_put_u64be(&real->message, read->first);
	buf_put_u64be(&real->message, read->target);
	buf_put_u64be(&real->message, read->count_max);
	buf_put_u64be(&real->message, read->size_max);
	in = answer(real, &err);
	TRY(err);
	ret->entries = entries_take(&in);
	ret->proof.count = cursor_u32be(&in);
	assert_true(ret->proof.count <= LIMIT_PROOF_HASHES);
	for (size_t i = 0; i < ret->proof.count; i++)
		cursor_copy(&in, ret->proof.hashes[i].b, HASH_SIZE);
	return cursor_finish(&in);
}

static enum err real_entry(void *arg, const struct origin *origin, uint64_t index, struct buf *out)
{
	struct real *real = arg;
	struct cursor in;
	enum err err;

	ask(real, 'e');
	blob_put(&real->message, bytes_str(origin->text));
	buf_put_u64be(&real->message, index);
	in = answer(real, &err);
	TRY(err);
	buf_put(out, in.rest);
	return out->err;
}

static struct store_subject real_subject(struct real *real)
{
	return (struct store_subject){real_open, real_close, real_crash, real_submit, real_flush,
		real_heads, real_read, real_entry, real};
}

/* Tests. */

static void tried_enough(const struct conformance *run)
{
	assert_true(run->writes > run->steps / 3 && run->refused > run->writes / 50);
	assert_true(run->flushes > run->steps / 20 && run->reads > run->steps / 2);
	assert_true(run->crashes > run->steps / 40);
}

static void conforms(const struct store_subject *subject, struct conformance *run)
{
	if (!store_conformance(subject, run))
		fail_msg("%s", run->why);
	tried_enough(run);
}

static void test_simulated(void **state)
{
	unsigned lost = 0;

	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct sim sim = {.random = seed};
		struct store_subject subject = sim_subject(&sim);
		struct conformance run = {.seed = seed, .steps = 600};

		conforms(&subject, &run);
		lost += run.lost;
		disk_release(&sim.disk);
	}
	assert_true(lost > 50);
}

static void test_real(void **state)
{
	unsigned lost = 0;

	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct real real = {.random = seed};
		struct store_subject subject = real_subject(&real);
		struct conformance run = {.seed = seed, .steps = 600};

		place_make(&real.place);
		buf_init(&real.message, MESSAGE_MAX);
		conforms(&subject, &run);
		lost += run.lost;
		buf_release(&real.message);
		place_remove(&real.place);
	}
	assert_true(lost > 0); /* some kills came before the commit */
}

/* Four stores that are wrong are found out. */
static void found(struct sim sim, const char *says)
{
	struct store_subject subject = sim_subject(&sim);
	struct conformance run = {.seed = 1, .steps = 2000};

	sim.random = 1;
	assert_false(store_conformance(&subject, &run));
	if (strstr(run.why, says) == NULL)
		fail_msg("'%s' does not say '%s'", run.why, says);
	disk_release(&sim.disk);
}

static void test_planted(void **state)
{
	found((struct sim){.loses = true}, "after a crash");
	found((struct sim){.half = true}, "another size");
	found((struct sim){.other_leaf = true}, "is another");
	found((struct sim){.forgets = true}, "another cosignature");
}

static int setup(void **state)
{
	return crypto_init() == OK ? 0 : -1;
}

static int teardown(void **state)
{
	crypto_release();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_simulated),
		cmocka_unit_test(test_real),
		cmocka_unit_test(test_planted),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
