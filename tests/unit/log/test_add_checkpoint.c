#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "replication/log/add_checkpoint.h"
#include "replication/log/checkpoint.h"

#define ORIGIN     "ovra.example/haiti/1-0011223344556677"
#define HASH       "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define EMPTY_ROOT "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define LINE       "\xe2\x80\x94 who AQIDBAU=\n"
#define NOTE       ORIGIN "\n9\n" HASH "\n\n" LINE

enum { LEAVES = 40 };

static int setup(void **state)
{
	return crypto_init() == OK ? 0 : -1;
}

static int teardown(void **state)
{
	crypto_release();
	return 0;
}

static enum err parse(const char *body, struct add_checkpoint *ret)
{
	static struct note note;
	struct errctx ctx = {""};
	enum err err = add_checkpoint_parse(bytes_str(body), ret, &note, &ctx);

	/* Whatever is refused is refused with a sentence. */
	if (err != OK)
		assert_true(ctx.text[0] != '\0');
	return err;
}

static void test_whole(void **state)
{
	struct add_checkpoint request;
	struct buf again;

	assert_int_equal(parse("old 5\n" HASH "\n" EMPTY_ROOT "\n\n" NOTE, &request), OK);
	assert_int_equal(request.old, 5);
	assert_int_equal(request.proof.count, 2);
	assert_int_equal(request.proof.hashes[0].b[31], 31);
	assert_true(bytes_equal_str(request.origin, ORIGIN));
	assert_int_equal(request.size, 9);
	assert_int_equal(request.root.b[1], 1);
	assert_false(request.extended);
	assert_true(bytes_equal_str(request.note, NOTE));
	buf_init(&again, LIMIT_ADD_CHECKPOINT);
	add_checkpoint_write(&again, request.old, &request.proof, request.note);
	assert_true(bytes_equal_str(buf_bytes(&again), "old 5\n" HASH "\n" EMPTY_ROOT "\n\n" NOTE));
	buf_release(&again);
}

/* A log of somebody else is well-formed, whatever its origin looks like. */
static void test_foreign(void **state)
{
	struct add_checkpoint request;

	assert_int_equal(parse("old 0\n\nexample.com/behind-the-sofa\n20852163\n" HASH
			       "\nan extension\nanother\n\n" LINE LINE,
				 &request),
		OK);
	assert_true(bytes_equal_str(request.origin, "example.com/behind-the-sofa"));
	assert_true(request.extended);
	assert_int_equal(
		parse("old 9223372036854775807\n\nexample.com/x\n9223372036854775807\n" HASH
		      "\n\n" LINE,
			&request),
		OK);
	assert_true(request.old == INT64_MAX && request.size == INT64_MAX);
	assert_int_equal(parse("old 0\n\nx\n0\n" HASH "\n\n" LINE, &request), OK);
}

static void test_refused(void **state)
{
	static const struct {
		const char *body;
		enum err err;
	} bad[] = {
		{"", ERR_MALFORMED},
		{"old 5", ERR_MALFORMED},
		{"old 5\n", ERR_MALFORMED},
		{"old 5\n\n", ERR_MALFORMED},
		{"\n" NOTE, ERR_MALFORMED},
		{NOTE, ERR_MALFORMED},
		{" old 5\n\n" NOTE, ERR_MALFORMED},
		{"Old 5\n\n" NOTE, ERR_MALFORMED},
		{"old\n\n" NOTE, ERR_MALFORMED},
		{"old \n\n" NOTE, ERR_MALFORMED},
		{"old  5\n\n" NOTE, ERR_MALFORMED},
		{"old 05\n\n" NOTE, ERR_MALFORMED},
		{"old +5\n\n" NOTE, ERR_MALFORMED},
		{"old -1\n\n" NOTE, ERR_MALFORMED},
		{"old 5 \n\n" NOTE, ERR_MALFORMED},
		{"old 5\r\n\n" NOTE, ERR_MALFORMED},
		{"old 0x5\n\n" NOTE, ERR_MALFORMED},
		{"old 9223372036854775808\n\n" NOTE, ERR_LIMIT},
		{"old 99999999999999999999999\n\n" NOTE, ERR_LIMIT},
		{"old 5\nold 5\n\n" NOTE, ERR_MALFORMED},
		/* Hashes: short, long, not canonical, with a space, not base64. */
		{"old 5\nAAECAw==\n\n" NOTE, ERR_MALFORMED},
		{"old 5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8A\n\n" NOTE, ERR_MALFORMED},
		{"old 5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\n\n" NOTE, ERR_MALFORMED},
		{"old 5\n" HASH " \n\n" NOTE, ERR_MALFORMED},
		{"old 5\n" HASH "\r\n\n" NOTE, ERR_MALFORMED},
		{"old 5\nzz\n\n" NOTE, ERR_MALFORMED},
		/* Without the empty line the note's lines are hashes. */
		{"old 5\n" NOTE, ERR_MALFORMED},
		/* The checkpoint. */
		{"old 5\n\n\n" NOTE, ERR_MALFORMED},
		{"old 5\n\n" ORIGIN "\n\n" LINE, ERR_MALFORMED},
		{"old 5\n\n" ORIGIN "\n9\n\n" LINE, ERR_MALFORMED},
		{"old 5\n\n" ORIGIN "\n09\n" HASH "\n\n" LINE, ERR_MALFORMED},
		{"old 5\n\n" ORIGIN "\n9\nAAECAw==\n\n" LINE, ERR_MALFORMED},
		{"old 5\n\n" ORIGIN "\n9223372036854775808\n" HASH "\n\n" LINE, ERR_LIMIT},
		{"old 5\n\n" ORIGIN "\n9\n" HASH "\n\nan extension\n\n" LINE, ERR_MALFORMED},
		{"old 5\n\n" ORIGIN "\n9\n" HASH "\n", ERR_MALFORMED},
		{"old 5\n\n" ORIGIN "\n9\n" HASH "\n\n", ERR_MALFORMED},
		{"old 5\n\n" NOTE "x", ERR_MALFORMED},
		{"old 5\n\n" NOTE "\n", ERR_MALFORMED},
	};
	struct add_checkpoint request = {.size = 77};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i].body, &request) != bad[i].err)
			fail_msg("not refused as it should be: %s", bad[i].body);
	assert_int_equal(request.size, 77);
}

static void put_body(struct buf *out, size_t hashes, size_t lines)
{
	buf_clear(out);
	buf_put_str(out, "old 5\n");
	for (size_t i = 0; i < hashes; i++)
		buf_put_str(out, HASH "\n");
	buf_put_str(out, "\n" ORIGIN "\n9\n" HASH "\n\n");
	for (size_t i = 0; i < lines; i++)
		buf_put_str(out, LINE);
}

static void test_caps(void **state)
{
	struct add_checkpoint request;
	struct note note;
	struct buf body;

	buf_init(&body, 2 * LIMIT_ADD_CHECKPOINT);
	put_body(&body, LIMIT_PROOF_HASHES, LIMIT_NOTE_SIGNATURES);
	assert_int_equal(add_checkpoint_parse(buf_bytes(&body), &request, &note, NULL), OK);
	assert_int_equal(request.proof.count, 63);
	assert_int_equal(note.count, LIMIT_NOTE_SIGNATURES);
	put_body(&body, LIMIT_PROOF_HASHES + 1, 1);
	assert_int_equal(add_checkpoint_parse(buf_bytes(&body), &request, &note, NULL), ERR_LIMIT);
	put_body(&body, 0, LIMIT_NOTE_SIGNATURES + 1);
	assert_int_equal(add_checkpoint_parse(buf_bytes(&body), &request, &note, NULL), ERR_LIMIT);

	/* Bytes: an extension line fills it up. */
	for (size_t over = 0; over < 2; over++) {
		static const char tail[] = "\n\n" LINE;

		buf_clear(&body);
		buf_put_str(&body, "old 5\n\n" ORIGIN "\n9\n" HASH "\n");
		while (body.size < LIMIT_ADD_CHECKPOINT - (sizeof(tail) - 1) + over)
			buf_put_u8(&body, 'x');
		buf_put_str(&body, tail);
		assert_int_equal(body.size, LIMIT_ADD_CHECKPOINT + over);
		assert_int_equal(add_checkpoint_parse(buf_bytes(&body), &request, &note, NULL),
			over ? ERR_LIMIT : OK);
	}
	buf_release(&body);
}

/* Each byte changed: refused, or another request that comes out as it went in. */
static void test_tampered(void **state)
{
	static const char whole[] = "old 5\n" HASH "\n" EMPTY_ROOT "\n\n" NOTE;
	struct add_checkpoint request;
	char body[sizeof(whole)];
	struct note note;
	struct buf again;

	buf_init(&again, LIMIT_ADD_CHECKPOINT);
	for (size_t at = 0; at + 1 < sizeof(whole); at++) {
		static const uint8_t with[] = {0x01, 0x20, 0x80};

		for (size_t i = 0; i < sizeof(with); i++) {
			struct bytes changed = bytes_make((const uint8_t *)body, sizeof(whole) - 1);

			memcpy(body, whole, sizeof(whole));
			body[at] = (char)(body[at] ^ (char)with[i]);
			if (add_checkpoint_parse(changed, &request, &note, NULL) != OK)
				continue;
			buf_clear(&again);
			add_checkpoint_write(&again, request.old, &request.proof, request.note);
			assert_true(bytes_equal(buf_bytes(&again), changed));
		}
	}
	for (size_t size = 0; size + 1 < sizeof(whole); size++)
		assert_int_not_equal(add_checkpoint_parse(bytes_make((const uint8_t *)whole, size),
					     &request, &note, NULL),
			OK);
	buf_release(&again);
}

/* Two trees that part at leaf `from`. */
struct two {
	struct hash leaf[2][LEAVES];
};

static enum err node(void *arg, unsigned level, uint64_t index, struct hash *ret)
{
	const struct hash *leaves = arg;
	struct compact compact;

	compact_init(&compact);
	for (uint64_t i = index << level; i < (index + 1) << level; i++)
		compact_append(&compact, &leaves[i]);
	compact_root(&compact, ret);
	return OK;
}

static void two_make(struct two *two, size_t from)
{
	for (size_t i = 0; i < LEAVES; i++) {
		uint8_t entry[2] = {(uint8_t)i, 0};

		tree_leaf(BYTES_ARRAY(entry), &two->leaf[0][i]);
		entry[1] = i >= from;
		tree_leaf(BYTES_ARRAY(entry), &two->leaf[1][i]);
	}
}

static void root_of(struct two *two, int which, uint64_t size, struct hash *ret)
{
	struct tree_source source = {node, two->leaf[which]};

	assert_int_equal(tree_root(&source, size, ret), OK);
}

/* For all sizes: the proof of the other tree gives its root away, unless that is one node of it. */
static void test_other(void **state)
{
	struct two two;

	two_make(&two, 2);
	for (uint64_t old = 1; old < LEAVES; old++)
		for (uint64_t size = old + 1; size <= LEAVES; size++) {
			struct tree_source source = {node, two.leaf[1]};
			struct add_checkpoint request = {.old = old, .size = size};
			struct hash ours, theirs, other;
			bool whole = (old & (old - 1)) == 0;

			root_of(&two, 0, old, &ours);
			root_of(&two, 1, old, &theirs);
			root_of(&two, 1, size, &request.root);
			assert_int_equal(
				tree_prove_consistency(&source, old, size, &request.proof), OK);
			if (old <= 2) { /* both trees are the same so far, or it is one node */
				assert_false(add_checkpoint_other(&request, &ours, &other));
				continue;
			}
			assert_int_equal(add_checkpoint_other(&request, &ours, &other), !whole);
			if (!whole)
				assert_memory_equal(&other, &theirs, sizeof(other));
			/* From the root itself it says nothing against anybody. */
			assert_false(add_checkpoint_other(&request, &theirs, &other));
			/* Nor does one that does not lead to the checkpoint. */
			request.root.b[0] ^= 1;
			assert_false(add_checkpoint_other(&request, &ours, &other));
			request.root.b[0] ^= 1;
			request.proof.hashes[request.proof.count++] = ours;
			assert_false(add_checkpoint_other(&request, &ours, &other));
			request.proof.count = 0;
			assert_false(add_checkpoint_other(&request, &ours, &other));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_tampered),
		cmocka_unit_test(test_other),
	};

	return cmocka_run_group_tests_name("add_checkpoint", tests, setup, teardown);
}
