#include "lib.h"

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "proto/codec.h"
#include "proto/entry.pb-c.h"

enum { SALT_SIZE = 16, LOCATOR_SIZE = 16, COMMITMENT_SIZE = 32 };

void die(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void check(enum err err, const struct errctx *ctx, const char *what)
{
	if (err != OK)
		die("%s: %s", what, err_message(ctx, err));
}

uint64_t number_of(const char *text)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || value == 0)
		die("'%s' is no number above 0", text);
	return value;
}

double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Samples. */

void samples_add(struct samples *samples, double value)
{
	if (samples->count == samples->capacity) {
		samples->capacity = samples->capacity == 0 ? 64 : 2 * samples->capacity;
		samples->list = realloc(samples->list, samples->capacity * sizeof(*samples->list));
		if (samples->list == NULL)
			die("out of memory");
	}
	samples->list[samples->count++] = value;
}

void samples_print(const char *name, const struct samples *samples, bool first)
{
	printf("%s\"%s\": [", first ? "" : ", ", name);
	for (size_t i = 0; i < samples->count; i++)
		printf("%s%.9g", i == 0 ? "" : ", ", samples->list[i]);
	printf("]");
}

void samples_release(struct samples *samples)
{
	free(samples->list);
	*samples = (struct samples){0};
}

/* Directories. */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void directory_remove(const char *path)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
		die("remove '%s': %s", path, strerror(errno));
}

void directory_fresh(const char *path)
{
	directory_remove(path);
	if (mkdir(path, 0700) != 0)
		die("make '%s': %s", path, strerror(errno));
}

/* Entries. */

/* splitmix64: no randomness, but as hard to compress and as far apart as locators are. */
static uint64_t mix(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void fill(uint8_t *out, size_t size, uint64_t *state)
{
	for (; size >= 8; size -= 8, out += 8)
		put_u64be(out, mix(state));
	for (uint64_t last = mix(state); size > 0; size--, out++, last >>= 8)
		*out = (uint8_t)last;
}

static void entry_pack(struct buf *out, uint8_t *fields, size_t body_size)
{
	Sauti__Sealed sealed = SAUTI__SEALED__INIT;
	Sauti__Entry entry = SAUTI__ENTRY__INIT;

	sealed.suite = 1;
	sealed.salt = codec_binary(bytes_make(fields, SALT_SIZE));
	sealed.locator = codec_binary(bytes_make(fields + SALT_SIZE, LOCATOR_SIZE));
	fields += SALT_SIZE + LOCATOR_SIZE;
	sealed.commitment = codec_binary(bytes_make(fields, COMMITMENT_SIZE));
	sealed.body = codec_binary(bytes_make(fields + COMMITMENT_SIZE, body_size));
	entry.body_case = SAUTI__ENTRY__BODY_SEALED;
	entry.sealed = &sealed;
	codec_pack(out, &entry);
	check(out->err, NULL, "pack an entry");
}

/* How large a body is so that the whole has this size. */
static size_t body_size(size_t entry_size)
{
	uint8_t fields[POOL_ENTRY_MAX] = {0};
	size_t size = entry_size - SALT_SIZE - LOCATOR_SIZE - COMMITMENT_SIZE - 64;
	struct buf packed;

	buf_init(&packed, 2 * POOL_ENTRY_MAX);
	entry_pack(&packed, fields, size);
	size += entry_size - packed.size;
	buf_release(&packed);
	return size;
}

void pool_init(struct pool *pool, size_t count)
{
	pool_init_of(pool, count, ENTRY_SIZE);
}

void pool_init_of(struct pool *pool, size_t count, size_t entry_size)
{
	if (entry_size < 256 || entry_size > POOL_ENTRY_MAX)
		die("entries of %zu bytes: 256 to %d", entry_size, POOL_ENTRY_MAX);
	pool->count = count;
	pool->entry_size = entry_size;
	pool->entry = calloc(count, sizeof(*pool->entry));
	pool->data = malloc(count * pool->entry_size);
	if (pool->entry == NULL || pool->data == NULL)
		die("out of memory");
}

void pool_fill(struct pool *pool, uint64_t seed, uint64_t first)
{
	size_t size = body_size(pool->entry_size);
	uint8_t fields[POOL_ENTRY_MAX];
	struct buf packed;

	buf_init(&packed, POOL_ENTRY_MAX);
	for (size_t i = 0; i < pool->count; i++) {
		uint64_t state = (seed << 40) + (first + i) * pool->entry_size;

		fill(fields, SALT_SIZE + LOCATOR_SIZE + COMMITMENT_SIZE + size, &state);
		buf_clear(&packed);
		entry_pack(&packed, fields, size);
		memcpy(pool->data + i * pool->entry_size, packed.data, pool->entry_size);
		pool->entry[i] = bytes_make(pool->data + i * pool->entry_size, pool->entry_size);
	}
	buf_release(&packed);
}

void pool_release(struct pool *pool)
{
	free(pool->entry);
	free(pool->data);
	*pool = (struct pool){0};
}

/* The baseline. */

static void bare_check(int rc, const char *what)
{
	if (rc != MDB_SUCCESS)
		die("bare LMDB: %s: %s", what, mdb_strerror(rc));
}

void bare_open(struct bare *bare, const char *path)
{
	MDB_txn *txn;

	*bare = (struct bare){0};
	directory_fresh(path);
	bare_check(mdb_env_create(&bare->env), "create");
	bare_check(mdb_env_set_mapsize(bare->env, (size_t)64 << 30), "map");
	bare_check(mdb_env_set_maxdbs(bare->env, 1), "tables");
	bare_check(mdb_env_open(bare->env, path, MDB_NOTLS, 0600), "open");
	bare_check(mdb_txn_begin(bare->env, NULL, 0, &txn), "begin");
	bare_check(mdb_dbi_open(txn, "entries", MDB_CREATE, &bare->dbi), "open table");
	bare_check(mdb_txn_commit(txn), "commit");
}

void bare_commit(struct bare *bare, const struct bytes *entry, size_t count)
{
	MDB_txn *txn;

	bare_check(mdb_txn_begin(bare->env, NULL, 0, &txn), "begin");
	for (size_t i = 0; i < count; i++) {
		MDB_val value = {entry[i].size, (void *)(uintptr_t)entry[i].data};
		uint8_t bytes[8];
		MDB_val key = {sizeof(bytes), bytes};

		put_u64be(bytes, bare->next++);
		bare_check(mdb_put(txn, bare->dbi, &key, &value, 0), "put");
	}
	bare_check(mdb_txn_commit(txn), "commit");
}

void bare_close(struct bare *bare)
{
	mdb_env_close(bare->env);
}
