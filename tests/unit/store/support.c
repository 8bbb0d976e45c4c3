#include "support.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "proto/codec.h"
#include "proto/entry.pb-c.h"

void place_make(struct place *place)
{
	const char *base = getenv("TMPDIR");

	snprintf(place->directory, sizeof(place->directory), "%s/sauti-test-XXXXXX",
		base != NULL ? base : "/tmp");
	assert_non_null(mkdtemp(place->directory));
	snprintf(place->store, sizeof(place->store), "%s/store", place->directory);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void place_remove(struct place *place)
{
	assert_int_equal(nftw(place->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void on_wake(void *arg)
{
	struct bench *bench = arg;
	uint64_t one = 1;

	if (write(bench->woken, &one, sizeof(one)) != sizeof(one))
		abort();
}

void bench_open(struct bench *bench, size_t map_size)
{
	struct store_opts opts = {
		.path = bench->place.store, .network = NETWORK, .node = NODE, .map_size = map_size};
	struct errctx ctx = {""};

	bench->map_size = map_size;
	if (store_open(&opts, &bench->store, &ctx) != OK)
		fail_msg("%s", ctx.text);
	bench->woken = eventfd(0, EFD_CLOEXEC);
	assert_true(bench->woken >= 0);
	assert_ok(writer_start(bench->store, on_wake, bench, &bench->writer, &ctx));
}

void bench_close(struct bench *bench)
{
	if (bench->writer != NULL)
		writer_stop(bench->writer);
	writer_free(bench->writer);
	bench->writer = NULL;
	store_close(bench->store);
	bench->store = NULL;
	close(bench->woken);
}

void bench_reopen(struct bench *bench)
{
	bench_close(bench);
	bench_open(bench, bench->map_size);
}

int bench_setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	assert_ok(crypto_init());
	alloc_fail_after(SIZE_MAX);
	place_make(&bench->place);
	bench_open(bench, 0);
	*state = bench;
	return 0;
}

int bench_teardown(void **state)
{
	struct bench *bench = *state;

	bench_close(bench);
	place_remove(&bench->place);
	free(bench);
	crypto_release();
	return 0;
}

struct store_write *bench_wait(struct bench *bench, size_t count)
{
	struct store_write *all = NULL, **last = &all;
	struct errctx ctx;
	uint64_t wakes;

	bench->ctx = (struct errctx){""};
	for (size_t have = 0; have < count;) {
		assert_int_equal(read(bench->woken, &wakes, sizeof(wakes)), sizeof(wakes));
		for (*last = writer_done(bench->writer, &ctx); *last != NULL; have++)
			last = &(*last)->next;
		if (bench->ctx.text[0] == '\0')
			bench->ctx = ctx;
		assert_true(have <= count);
	}
	return all;
}

enum err bench_write(struct bench *bench, struct store_write *write)
{
	enum err err;

	writer_submit(bench->writer, write);
	assert_ptr_equal(bench_wait(bench, 1), write);
	err = write->result;
	store_write_free(write);
	return err;
}

uint64_t bench_commits(struct bench *bench)
{
	struct store_usage usage;

	assert_ok(store_usage(bench->store, &usage));
	return usage.commits;
}

void tlog_init(struct tlog *log, unsigned number)
{
	uint8_t random[8] = {0};

	*log = (struct tlog){.number = number};
	put_u32be(random + 4, number);
	assert_ok(origin_make(bytes_str(NETWORK), bytes_str(NODE), 1, random, &log->origin));
	compact_init(&log->compact);
	log->roots = calloc(1, sizeof(*log->roots));
	assert_non_null(log->roots);
	tree_empty(&log->roots[0]);
}

void tlog_release(struct tlog *log)
{
	free(log->roots);
}

bool entry_is_sealed(uint64_t index)
{
	return index % ENTRY_RECORD_EVERY != 0 && index % ENTRY_MALFORMED_EVERY != 0;
}

void locator_make(uint8_t ret[16], unsigned number, uint64_t index)
{
	uint8_t seed[12];
	struct hash hash;

	put_u32be(seed, number);
	put_u64be(seed + 4, index);
	sha256(BYTES_ARRAY(seed), &hash);
	memcpy(ret, hash.b, 16);
}

void sealed_make(struct buf *out, struct bytes locator, uint64_t salt)
{
	Sauti__Sealed sealed = SAUTI__SEALED__INIT;
	Sauti__Entry entry = SAUTI__ENTRY__INIT;
	uint8_t salt_bytes[16] = {0}, commitment[32] = {0};
	uint8_t body[272];

	put_u64be(salt_bytes, salt);
	memset(body, (int)salt, sizeof(body));
	sealed.suite = 1;
	sealed.salt = codec_binary(BYTES_ARRAY(salt_bytes));
	sealed.locator = codec_binary(locator);
	sealed.commitment = codec_binary(BYTES_ARRAY(commitment));
	sealed.body = codec_binary(bytes_make(body, 16 + salt % 256));
	entry.body_case = SAUTI__ENTRY__BODY_SEALED;
	entry.sealed = &sealed;
	codec_pack(out, &entry);
}

static void record_make(struct buf *out, unsigned number, uint64_t index)
{
	Sauti__Record record = SAUTI__RECORD__INIT;
	Sauti__Entry entry = SAUTI__ENTRY__INIT;
	uint8_t body[12], signature[64] = {0};

	put_u32be(body, number);
	put_u64be(body + 4, index);
	record.type = 1;
	record.body = codec_binary(BYTES_ARRAY(body));
	record.signature = codec_binary(BYTES_ARRAY(signature));
	entry.body_case = SAUTI__ENTRY__BODY_RECORD;
	entry.record = &record;
	codec_pack(out, &entry);
}

void entry_make(struct buf *out, unsigned number, uint64_t index)
{
	uint8_t locator[16];

	if (index % ENTRY_RECORD_EVERY == 0) {
		record_make(out, number, index);
	} else if (index % ENTRY_MALFORMED_EVERY == 0) {
		buf_put_u8(out, 0xff);
		buf_put_u32be(out, number);
		buf_put_u64be(out, index);
	} else {
		locator_make(locator, number, index);
		sealed_make(out, BYTES_ARRAY(locator), index);
	}
	assert_ok(out->err);
}

void note_make(struct buf *out, const struct origin *origin, uint64_t size, const struct hash *root)
{
	struct checkpoint checkpoint = {*origin, size, *root};
	uint8_t seed[ED25519_SEED_SIZE] = {1};
	struct signer *signer;

	assert_ok(signer_new(BYTES_ARRAY(seed), &signer));
	assert_ok(checkpoint_sign(out, &checkpoint, signer));
	signer_free(signer);
}

struct store_write *tlog_write_entries(struct tlog *log, const struct bytes *entries, size_t count)
{
	struct store_write *write = store_write_new(&log->origin);

	assert_non_null(write);
	write->first = log->compact.size;
	assert_ok(entries_make(entries, count, &write->entries));
	log->roots = realloc(log->roots, (log->compact.size + count + 1) * sizeof(*log->roots));
	assert_non_null(log->roots);
	for (size_t i = 0; i < count; i++) {
		compact_append(&log->compact, &write->entries->leaf[i]);
		compact_root(&log->compact, &log->roots[log->compact.size]);
	}
	note_make(&write->checkpoint, &log->origin, log->compact.size,
		&log->roots[log->compact.size]);
	return write;
}

struct store_write *tlog_write(struct tlog *log, size_t count)
{
	struct bytes *views = calloc(count, sizeof(*views));
	struct store_write *write;
	struct buf all;
	size_t at = 0;

	assert_non_null(views);
	buf_init(&all, count * 1024);
	for (size_t i = 0; i < count; i++) {
		entry_make(&all, log->number, log->compact.size + i);
		views[i].size = all.size - at;
		at = all.size;
	}
	at = 0;
	for (size_t i = 0; i < count; i++) {
		views[i].data = all.data + at;
		at += views[i].size;
	}
	write = tlog_write_entries(log, views, count);
	buf_release(&all);
	free(views);
	return write;
}

void tlog_append(struct bench *bench, struct tlog *log, size_t count)
{
	enum err err = bench_write(bench, tlog_write(log, count));

	if (err != OK)
		fail_msg("append: %s", bench->ctx.text);
}

static void compact_check(const struct compact *a, const struct compact *b)
{
	struct hash root_a, root_b;

	assert_int_equal(a->size, b->size);
	compact_root(a, &root_a);
	compact_root(b, &root_b);
	assert_memory_equal(root_a.b, root_b.b, HASH_SIZE);
}

static void entries_check(struct bench *bench, const struct tlog *log)
{
	struct buf stored, expected;

	buf_init(&stored, LIMIT_ENTRY_SIZE);
	buf_init(&expected, LIMIT_ENTRY_SIZE);
	for (uint64_t i = 0; i < log->compact.size; i++) {
		buf_clear(&stored);
		buf_clear(&expected);
		entry_make(&expected, log->number, i);
		assert_ok(store_entry(bench->store, &log->origin, i, &stored, NULL));
		assert_true(bytes_equal(buf_bytes(&stored), buf_bytes(&expected)));
	}
	buf_release(&stored);
	buf_release(&expected);
}

void tlog_check(struct bench *bench, const struct tlog *log)
{
	const struct hash *root = &log->roots[log->compact.size];
	struct store_verify verify;
	struct errctx ctx = {""};
	struct log_head head;
	struct buf note;

	assert_ok(store_head(bench->store, &log->origin, &head, &ctx));
	assert_string_equal(head.origin.text, log->origin.text);
	assert_int_equal(head.size, log->compact.size);
	compact_check(&head.compact, &log->compact);
	buf_init(&note, LIMIT_NOTE_SIZE);
	note_make(&note, &log->origin, log->compact.size, root);
	assert_true(bytes_equal(buf_bytes(&head.checkpoint), buf_bytes(&note)));
	buf_release(&note);
	log_head_release(&head);
	if (store_verify(bench->store, &log->origin, NULL, &verify, &ctx) != OK)
		fail_msg("%s", ctx.text);
	assert_int_equal(verify.size, log->compact.size);
	assert_memory_equal(verify.root.b, root->b, HASH_SIZE);
	assert_memory_equal(verify.checkpoint_root.b, root->b, HASH_SIZE);
	buf_release(&verify.checkpoint);
	entries_check(bench, log);
}

static _Atomic size_t allocations_left = SIZE_MAX;
static _Atomic bool allocation_failed;

static void *resize_counted(void *arg, void *pointer, size_t size)
{
	size_t left = atomic_load(&allocations_left);

	if (size == 0) {
		free(pointer);
		return NULL;
	}
	if (left == 0) {
		atomic_store(&allocation_failed, true);
		return NULL;
	}
	if (left != SIZE_MAX)
		atomic_store(&allocations_left, left - 1);
	return realloc(pointer, size);
}

void alloc_fail_after(size_t after)
{
	static const struct allocator counted = {.resize = resize_counted};
	static bool installed;

	if (!installed)
		mem_set_allocator(&counted); /* before the first thread */
	installed = true;
	atomic_store(&allocation_failed, false);
	atomic_store(&allocations_left, after);
}

bool alloc_failed(void)
{
	return atomic_load(&allocation_failed);
}

static _Atomic size_t syncs_left = SIZE_MAX, syncs;
static _Atomic bool sync_has_failed;

/* Stands before that of the C library: LMDB calls this one. */
int fdatasync(int fd)
{
	size_t left = atomic_load(&syncs_left);

	atomic_fetch_add(&syncs, 1);
	if (left == 0) {
		atomic_store(&sync_has_failed, true);
		errno = EIO;
		return -1;
	}
	if (left != SIZE_MAX)
		atomic_store(&syncs_left, left - 1);
	return (int)syscall(SYS_fdatasync, fd);
}

void sync_fail_after(size_t after)
{
	atomic_store(&sync_has_failed, false);
	atomic_store(&syncs_left, after);
}

bool sync_failed(void)
{
	return atomic_load(&sync_has_failed);
}

size_t sync_count(void)
{
	return atomic_exchange(&syncs, 0);
}
