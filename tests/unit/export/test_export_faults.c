/*
 * The k-th call of the system fails, for every k, once and from then on: the export says so, the
 * checkpoint that is there afterwards has every file under it, and the next export completes it.
 *
 * And the order of writes, syncs and renames is watched: what a power loss could take.
 *
 * The linker puts fail_* in place of the system's calls in our own code (-Wl,--wrap).
 */
#include "tests/unit/store/support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "node/files.h"
#include "replication/log/tlog_path.h"
#include "server/export/export.h"

enum { EARLIER = 100, SIZE = 300 };

enum call {
	CALL_OPENAT,
	CALL_MKDIRAT,
	CALL_WRITE,
	CALL_READ,
	CALL_SYNCFS,
	CALL_FSYNC,
	CALL_RENAMEAT,
	CALL_UNLINKAT,
	CALL_FSTATAT,
	CALL_FCHMOD,
	CALL_FLOCK,
	CALL_COUNT
};
static const char *const call_names[CALL_COUNT] = {"openat", "mkdirat", "write", "read", "syncfs",
	"fsync", "renameat", "unlinkat", "fstatat", "fchmod", "flock"};

static struct {
	bool on, for_ever, failed;
	enum call call;
	size_t left; /* calls until it fails */
	int error;
} fault;

static bool fails(enum call call)
{
	if (!fault.on || call != fault.call)
		return false;
	if (fault.left > 0) {
		fault.left--;
		return false;
	}
	if (fault.failed && !fault.for_ever)
		return false;
	fault.failed = true;
	errno = fault.error;
	return true;
}

#define WRAP(name, number, type, parameters, arguments)                                            \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		return fails(number) ? -1 : __real_##name arguments;                               \
	}

WRAP(openat, CALL_OPENAT, int, (int fd, const char *path, int flags, mode_t mode),
	(fd, path, flags, mode))
WRAP(mkdirat, CALL_MKDIRAT, int, (int fd, const char *path, mode_t mode), (fd, path, mode))
WRAP(read, CALL_READ, ssize_t, (int fd, void *data, size_t size), (fd, data, size))
/* What a power loss would take, as far as syncfs has not been called since. */
static struct {
	bool data, names, checkpoint;
	size_t renames;
} unsafe;

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	unsafe.data = true;
	return fails(CALL_WRITE) ? -1 : __real_write(fd, data, size);
}

/* A file gets its name when its contents are safe; the checkpoint when all other names are too. */
int __real_renameat(int from, const char *old, int to, const char *new);
int __wrap_renameat(int from, const char *old, int to, const char *new);
int __wrap_renameat(int from, const char *old, int to, const char *new)
{
	assert_false(unsafe.data);
	if (strcmp(new, "checkpoint") == 0) {
		assert_false(unsafe.names);
		unsafe.checkpoint = true;
	} else {
		unsafe.names = true;
	}
	unsafe.renames++;
	return fails(CALL_RENAMEAT) ? -1 : __real_renameat(from, old, to, new);
}

/* These two cost what the disk costs, which is not what is tested. */
int __wrap_syncfs(int fd);
int __wrap_syncfs(int fd)
{
	if (fails(CALL_SYNCFS))
		return -1;
	unsafe.data = unsafe.names = unsafe.checkpoint = false;
	return 0;
}

int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	return fails(CALL_FSYNC) ? -1 : 0;
}
WRAP(unlinkat, CALL_UNLINKAT, int, (int fd, const char *path, int flags), (fd, path, flags))
WRAP(fstatat, CALL_FSTATAT, int, (int fd, const char *path, struct stat *st, int flags),
	(fd, path, st, flags))
WRAP(fchmod, CALL_FCHMOD, int, (int fd, mode_t mode), (fd, mode))
WRAP(flock, CALL_FLOCK, int, (int fd, int operation), (fd, operation))

struct fixture {
	struct bench *bench;
	struct tlog log;
	char out[300];
	struct note_key key;
	struct buf note;
	struct export_result result;
	struct errctx ctx;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	uint8_t seed[ED25519_SEED_SIZE] = {1}; /* as note_make */
	struct signer *signer;

	assert_non_null(f);
	bench_setup(state);
	f->bench = *state;
	tlog_init(&f->log, 1);
	tlog_append(f->bench, &f->log, SIZE);
	assert_ok(signer_new(BYTES_ARRAY(seed), &signer));
	assert_ok(log_note_key(&f->log.origin, signer_public(signer), &f->key));
	signer_free(signer);
	buf_init(&f->note, LIMIT_NOTE_SIZE);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	buf_release(&f->note);
	tlog_release(&f->log);
	*state = f->bench;
	free(f);
	return bench_teardown(state);
}

static enum err export(struct fixture *f, uint64_t size) {
	struct export_opts opts = {.store = f->bench->store,
		.origin = f->log.origin,
		.key = f->key};
	enum err err;

	buf_clear(&f->note);
	note_make(&f->note, &f->log.origin, size, &f->log.roots[size]);
	opts.note = buf_bytes(&f->note);
	f->ctx.text[0] = '\0';
	err = destination_open(f->out, "/nonexistent", &opts.destination, &f->ctx);
	if (err == OK) err = export_log(&opts, &f->result, &f->ctx);
	destination_close(opts.destination);
	return err;
}

/* The size that the checkpoint says, whose files are all there; 0 without one. */
static uint64_t whole(struct fixture *f)
{
	char path[700], name[TLOG_PATH_SIZE], full[700];
	struct checkpoint checkpoint;
	struct tlog_files files;
	struct tlog_file file;
	struct buf note;
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s/checkpoint", f->out, f->log.origin.text);
	buf_init(&note, 2 * LIMIT_NOTE_SIZE);
	if (files_read(path, LIMIT_NOTE_SIZE, &note, NULL) != OK)
		return 0;
	assert_ok(checkpoint_open(buf_bytes(&note), &f->key, &checkpoint, NULL, NULL));
	buf_release(&note);
	tlog_files_init(&files, checkpoint.size);
	while (tlog_files_next(&files, &file)) {
		tlog_path_format(&file, name);
		snprintf(path, sizeof(path), "%s/%s/%s", f->out, f->log.origin.text, name);
		file.width = TILE_WIDTH; /* may have taken its place */
		tlog_path_format(&file, name);
		snprintf(full, sizeof(full), "%s/%s/%s", f->out, f->log.origin.text, name);
		if (stat(path, &st) != 0 && stat(full, &st) != 0)
			fail_msg("%s is missing under a checkpoint of %llu", path,
				(unsigned long long)checkpoint.size);
		assert_true(st.st_size > 0);
	}
	return checkpoint.size;
}

/* One fault at the k-th call of a kind; false when there are not so many. */
static bool one_fault(struct fixture *f, size_t k, bool earlier)
{
	static unsigned number;
	uint64_t size;
	enum err err;

	snprintf(f->out, sizeof(f->out), "%s/out%u", f->bench->place.directory, number++);
	if (earlier)
		assert_ok(export(f, EARLIER));
	unsafe.data = unsafe.names = unsafe.checkpoint = false;
	fault.left = k;
	fault.failed = false;
	fault.on = true;
	err = export(f, SIZE);
	fault.on = false;
	if (!fault.failed)
		return false;
	size = whole(f);
	/* Some calls may fail without harm: what has no mode, what is tidied up at the end. */
	if (err == OK)
		assert_int_equal(size, SIZE);
	else
		assert_true(f->ctx.text[0] != '\0' &&
			    (size == SIZE || size == (earlier ? EARLIER : 0)));
	if (export(f, SIZE) != OK)
		fail_msg("%s %zu: the next one: %s", call_names[fault.call], k, f->ctx.text);
	assert_int_equal(whole(f), SIZE);
	return true;
}

static void all_faults(struct fixture *f, bool earlier)
{
	for (fault.call = 0; fault.call < CALL_COUNT; fault.call++) {
		for (unsigned mode = 0; mode < 2; mode++) {
			size_t k = 0;

			fault.for_ever = mode == 1;
			fault.error = fault.for_ever ? ENOSPC : EIO;
			while (one_fault(f, k, earlier))
				k++;
			/* A first export finds no file to look at; a later one syncs a whole
			 * file system, not files. */
			if (k == 0 && fault.call != (earlier ? CALL_FSYNC : CALL_READ) &&
				(earlier || fault.call != CALL_FSTATAT))
				fail_msg("no %s was called", call_names[fault.call]);
		}
	}
}

/* Every wrapped call watches; here without faults, and that nothing is left unsafe at the end. */
static void test_order(void **state)
{
	struct fixture *f = *state;

	unsafe.renames = 0;
	snprintf(f->out, sizeof(f->out), "%s/order", f->bench->place.directory);
	for (uint64_t size = 50; size <= SIZE; size += 50) {
		assert_ok(export(f, size));
		assert_false(unsafe.data || unsafe.names || unsafe.checkpoint);
	}
	assert_true(unsafe.renames > 20);
}

static void test_first_export(void **state)
{
	all_faults(*state, false);
}

static void test_later_export(void **state)
{
	all_faults(*state, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_first_export, setup, teardown),
		cmocka_unit_test_setup_teardown(test_later_export, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
