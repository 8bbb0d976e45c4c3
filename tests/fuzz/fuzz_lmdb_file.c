/*
 * A damaged data file: the reader of LMDB's format must not fall over any content. The input is a
 * list of changes, four bytes each (offset, three bytes; what to xor), to a small file that LMDB
 * made; one of zeros cuts the file at the next offset.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "server/store/env.h"

enum { TABLES = 3, ROWS = 200, IMAGE_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];
static int directory = -1;
static uint8_t image[IMAGE_MAX], changed[IMAGE_MAX];
static size_t image_size;
static volatile uint8_t sink;

static void rows_put(struct env *env, unsigned round)
{
	static const char *const names[TABLES] = {"entries", "tiles", "meta"};
	static uint8_t value[9000];
	struct txn txn;

	txn_begin(&txn, env, TXN_WRITE);
	for (unsigned t = 0; t < TABLES; t++)
		txn_database(&txn, t, names[t]);
	for (unsigned i = 0; i < ROWS; i++) {
		uint8_t key[12] = {0};

		put_u32be(key + 8, i);
		/* Some on pages of their own, some deleted again: there are free pages. */
		txn_put(&txn, i % TABLES, BYTES_ARRAY(key),
			bytes_make(
				value, i % 50 == 0 ? sizeof(value) : 40 + (i * 7 + round) % 200));
		if (i % 9 == round)
			txn_delete(&txn, i % TABLES, BYTES_ARRAY(key));
	}
	if (txn_finish(&txn, NULL) != OK)
		abort();
}

static void leave(void)
{
	unlinkat(directory, "data.mdb", 0);
	unlinkat(directory, "lock.mdb", 0);
	unlinkat(directory, "lock", 0);
	rmdir(path);
}

static void start(void)
{
	struct env_opts opts = {.path = path, .map_size = 1 << 24};
	struct env *env;
	int fd;

	snprintf(path, sizeof(path), "%s/sauti-fuzz-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(path) == NULL || env_open(&opts, &env, NULL) != OK)
		abort();
	for (unsigned round = 0; round < 4; round++)
		rows_put(env, round);
	env_close(env);
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(directory, LMDB_FILE_NAME, O_RDONLY | O_CLOEXEC);
	assert(directory >= 0 && fd >= 0);
	image_size = (size_t)read(fd, image, sizeof(image));
	assert(image_size > 0 && image_size < sizeof(image));
	close(fd);
	atexit(leave);
}

static void found(void *arg, const struct lmdb_finding *finding)
{
	assert(finding->text[0] != '\0' && finding->table != NULL);
	(*(size_t *)arg)++;
}

static void table(void *arg, const char *name, uint64_t rows)
{
	assert(name[0] != '\0');
}

static enum err row(void *arg, const char *name, struct bytes key, struct bytes value)
{
	/* Every byte is there. */
	for (size_t i = 0; i < key.size; i++)
		sink ^= key.data[i];
	for (size_t i = 0; i < value.size; i++)
		sink ^= value.data[i];
	(*(size_t *)arg)++;
	return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t length, rows = 0, findings = 0;
	struct lmdb_walk walk = {found, NULL, &findings};
	struct lmdb_salvage salvage = {table, row, NULL, &rows};
	struct lmdb_file file;
	enum err heads, walked;
	int fd;

	if (directory < 0)
		start();
	memcpy(changed, image, image_size);
	length = image_size;
	for (size_t at = 0; at + 4 <= size; at += 4) {
		size_t offset = ((size_t)data[at] << 16 | get_u16be(data + at + 1)) % image_size;

		if (data[at + 3] == 0)
			length = offset;
		changed[offset] ^= data[at + 3];
	}
	fd = openat(directory, LMDB_FILE_NAME, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, changed, length) != (ssize_t)length)
		abort();
	close(fd);
	heads = lmdb_file_heads(directory, &file, NULL);
	walked = lmdb_file_walk(directory, &walk, NULL);
	assert(heads == OK || walked != OK);
	assert(findings == 0 || walked != OK);
	if (lmdb_file_salvage(directory, &salvage, NULL) == OK && walked == OK)
		assert(rows > 0);
	return 0;
}
