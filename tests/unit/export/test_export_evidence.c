/* The proofs of forks in a destination: what stands in the file, and what is never taken out. */
#include "tests/unit/store/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replication/log/evidence.h"
#include "server/export/evidence.h"

enum { PROOFS = 5 };

struct fixture {
	struct place place;
	char out[300], file[400];
	struct destination *destination;
	struct store_evidence held[PROOFS]; /* in the order of their ids */
	struct errctx ctx;
};

static int by_id(const void *a, const void *b)
{
	const struct store_evidence *x = a, *y = b;

	return memcmp(x->id.b, y->id.b, HASH_SIZE);
}

/* Two roots of one size, signed. */
static void make(struct store_evidence *ret, uint8_t salt)
{
	static const uint8_t seed[ED25519_SEED_SIZE] = {1};
	struct origin origin = {"ovra.example/kenya/1-0123456789abcdef"};
	struct checkpoint one = {.origin = origin, .size = 5}, two = one;
	struct evidence evidence;
	struct signer *signer;
	struct note_key key;
	struct arena arena;
	struct buf a, b;

	one.root.b[0] = salt;
	two.root.b[0] = (uint8_t)(salt + 100);
	assert_ok(signer_new(BYTES_ARRAY(seed), &signer));
	assert_ok(log_note_key(&origin, signer_public(signer), &key));
	buf_init(&a, LIMIT_NOTE_SIZE);
	buf_init(&b, LIMIT_NOTE_SIZE);
	buf_init(&ret->message, LIMIT_EVIDENCE_SIZE);
	assert_ok(checkpoint_sign(&a, &one, signer));
	assert_ok(checkpoint_sign(&b, &two, signer));
	assert_ok(evidence_make(&(struct evidence_parts){.a = buf_bytes(&a), .b = buf_bytes(&b)},
		&key, &ret->message, NULL));
	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_ok(evidence_parse(buf_bytes(&ret->message), &arena, &evidence, NULL));
	evidence_id(&evidence, &ret->id);
	arena_release(&arena);
	buf_release(&a);
	buf_release(&b);
	signer_free(signer);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_ok(crypto_init());
	alloc_fail_after(SIZE_MAX);
	place_make(&f->place);
	snprintf(f->out, sizeof(f->out), "%s/out", f->place.directory);
	snprintf(f->file, sizeof(f->file), "%s/" EVIDENCE_NAME, f->out);
	assert_ok(destination_open(f->out, "/nonexistent", &f->destination, &f->ctx));
	for (uint8_t i = 0; i < PROOFS; i++)
		make(&f->held[i], i);
	qsort(f->held, PROOFS, sizeof(f->held[0]), by_id);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < PROOFS; i++)
		buf_release(&f->held[i].message);
	destination_close(f->destination);
	place_remove(&f->place);
	free(f);
	crypto_release();
	return 0;
}

/* The file of these proofs: held[i] for each bit of `which`. */
static void frame(struct fixture *f, unsigned which, struct buf *out)
{
	buf_init(out, LIMIT_EVIDENCE_FILE + 1);
	for (size_t i = 0; i < PROOFS; i++)
		if (which >> i & 1)
			evidence_frame(buf_bytes(&f->held[i].message), out);
	assert_ok(out->err);
}

static void put(struct fixture *f, struct bytes data)
{
	FILE *file = fopen(f->file, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data.data, 1, data.size, file), data.size);
	fclose(file);
}

static void has_bytes(struct fixture *f, struct bytes data)
{
	FILE *file = fopen(f->file, "r");
	char *got = malloc(data.size + 2);
	char new[400];

	assert_non_null(file);
	assert_non_null(got);
	assert_int_equal(fread(got, 1, data.size + 1, file), data.size);
	fclose(file);
	assert_memory_equal(got, data.data, data.size);
	free(got);
	snprintf(new, sizeof(new), "%s/.evidence.new", f->out);
	assert_int_not_equal(access(new, F_OK), 0);
}

static void has(struct fixture *f, unsigned which)
{
	struct buf out;

	frame(f, which, &out);
	has_bytes(f, buf_bytes(&out));
	buf_release(&out);
}

static enum err merge(struct fixture *f, size_t first, size_t count)
{
	return evidence_merge(f->destination, f->held + first, count, &f->ctx);
}

static void test_none(void **state)
{
	struct fixture *f = *state;

	assert_ok(merge(f, 0, 0));
	assert_int_not_equal(access(f->file, F_OK), 0);
}

/* In the order of ids, whoever came first; what is there stays; the same is not written again. */
static void test_merged(void **state)
{
	struct fixture *f = *state;
	struct stat before, after;

	umask(077);
	assert_ok(merge(f, 2, 2));
	has(f, 0x0c);
	assert_ok(merge(f, 0, 1));
	has(f, 0x0d);
	assert_ok(merge(f, 3, 2));
	has(f, 0x1d);
	assert_int_equal(stat(f->file, &before), 0);
	assert_int_equal(before.st_mode & 07777, 0644);
	assert_ok(merge(f, 2, 3));
	assert_ok(merge(f, 0, 0));
	assert_int_equal(stat(f->file, &after), 0);
	assert_true(before.st_ino == after.st_ino);
	assert_ok(merge(f, 0, PROOFS));
	has(f, 0x1f);
}

/* One with another's id and other bytes (a signature that is none) takes nobody's place. */
static void test_same_id(void **state)
{
	struct fixture *f = *state;
	struct bytes *first, *second, list[2];
	struct buf other, out, wanted;
	size_t at;

	buf_init(&other, LIMIT_EVIDENCE_SIZE);
	buf_put(&other, buf_bytes(&f->held[0].message));
	/* Near the end of the first note's signature line. */
	for (at = 0; memcmp(other.data + at, "\xe2\x80\x94 ", 4) != 0; at++)
		assert_true(at + 8 < other.size);
	while (other.data[at] != '\n')
		at++;
	at -= 8;
	other.data[at] = other.data[at] == 'A' ? 'B' : 'A';
	buf_init(&out, LIMIT_EVIDENCE_FILE);
	evidence_frame(buf_bytes(&other), &out);
	put(f, buf_bytes(&out));
	assert_ok(merge(f, 0, 1));
	list[0] = buf_bytes(&f->held[0].message);
	list[1] = buf_bytes(&other);
	first = bytes_compare(list[0], list[1]) < 0 ? &list[0] : &list[1];
	second = first == &list[0] ? &list[1] : &list[0];
	buf_init(&wanted, LIMIT_EVIDENCE_FILE);
	evidence_frame(*first, &wanted);
	evidence_frame(*second, &wanted);
	has_bytes(f, buf_bytes(&wanted));
	buf_release(&wanted);
	buf_release(&out);
	buf_release(&other);
}

/* What is no evidence is named and left as it is; every way to cut a file, too. */
static void test_not_readable(void **state)
{
	struct fixture *f = *state;
	struct buf whole;

	frame(f, 0x3, &whole);
	for (size_t size = 1; size < whole.size; size += size < 8 ? 1 : 97) {
		if (size == f->held[0].message.size + 4)
			continue;
		put(f, bytes_make(whole.data, size));
		assert_int_equal(merge(f, 0, 1), ERR_MALFORMED);
		assert_non_null(strstr(f->ctx.text, f->file));
		has_bytes(f, bytes_make(whole.data, size));
	}
	put(f, BYTES_ARRAY(((const uint8_t[]){0, 0, 0, 0})));
	assert_int_equal(merge(f, 0, 1), ERR_MALFORMED);
	put(f, bytes_str("what somebody wrote"));
	assert_int_equal(merge(f, 0, 1), ERR_MALFORMED);
	has_bytes(f, bytes_str("what somebody wrote"));
	buf_release(&whole);
	/* Not even when this node holds none. */
	assert_int_equal(merge(f, 0, 0), ERR_MALFORMED);
}

static void test_no_file(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(symlink("/etc/passwd", f->file), 0);
	assert_int_equal(merge(f, 0, 1), ERR_EXISTS);
	assert_non_null(strstr(f->ctx.text, f->file));
	assert_int_equal(unlink(f->file), 0);
	assert_int_equal(mkdir(f->file, 0755), 0);
	assert_int_equal(merge(f, 0, 1), ERR_EXISTS);
	assert_int_equal(rmdir(f->file), 0);
	assert_int_equal(mkfifo(f->file, 0644), 0);
	assert_int_equal(merge(f, 0, 1), ERR_EXISTS);
}

/* A file at the cap is read, a byte more is not. */
static void test_cap(void **state)
{
	struct fixture *f = *state;

	put(f, BYTES_NONE);
	assert_int_equal(truncate(f->file, LIMIT_EVIDENCE_FILE), 0);
	assert_int_equal(merge(f, 0, 1), ERR_MALFORMED); /* zeroes */
	assert_int_equal(truncate(f->file, LIMIT_EVIDENCE_FILE + 1), 0);
	assert_int_equal(merge(f, 0, 1), ERR_LIMIT);
	assert_non_null(strstr(f->ctx.text, f->file));
}

static void test_no_memory(void **state)
{
	struct fixture *f = *state;
	enum err err = ERR_NOMEM;

	assert_ok(merge(f, 0, 2));
	for (size_t n = 0; err == ERR_NOMEM; n++) {
		alloc_fail_after(n);
		err = merge(f, 2, 2);
		alloc_fail_after(SIZE_MAX);
		assert_true(n < 1000);
		if (err == ERR_NOMEM)
			has(f, 0x3);
	}
	assert_int_equal(err, OK);
	has(f, 0xf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_merged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_same_id, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_readable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
