/*
 * Evidence of a fork: made and verified for every pair of small sizes, changed in every byte and in
 * every field, and never to be had about a log that has one history.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "certs/record.h"
#include "replication/log/evidence.h"

#define ORIGIN "ovra.example/haiti/1-0123456789abcdef"
#define OTHER  "ovra.example/haiti/2-0123456789abcdef"

enum { LEAVES = 20, COMMON = 5 };

/* Two histories that share the first COMMON leaves. */
struct world {
	struct signer *log, *node, *stranger;
	struct note_key key;
	struct hash leaf[2][LEAVES];
	struct buf opened;
};

static struct signer *signer_of(uint8_t number)
{
	uint8_t seed[ED25519_SEED_SIZE] = {number};
	struct signer *signer;

	assert_int_equal(signer_new(BYTES_ARRAY(seed), &signer), OK);
	return signer;
}

static int setup(void **state)
{
	struct world *w = mem_zalloc(sizeof(*w));
	struct origin origin = {ORIGIN};

	if (w == NULL || crypto_init() != OK)
		return -1;
	w->log = signer_of(1);
	w->node = signer_of(2);
	w->stranger = signer_of(3);
	assert_int_equal(log_note_key(&origin, signer_public(w->log), &w->key), OK);
	for (unsigned b = 0; b < 2; b++)
		for (unsigned i = 0; i < LEAVES; i++) {
			uint8_t text[2] = {(uint8_t)(i < COMMON ? 0 : b), (uint8_t)i};

			tree_leaf(BYTES_ARRAY(text), &w->leaf[b][i]);
		}
	buf_init(&w->opened, LIMIT_ENTRY_SIZE);
	assert_int_equal(log_opened_write(&w->opened,
				 &(struct log_opened){.origin = ORIGIN,
					 .log_key = *signer_public(w->log),
					 .opened_at = 1},
				 w->node),
		OK);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	signer_free(w->log);
	signer_free(w->node);
	signer_free(w->stranger);
	buf_release(&w->opened);
	mem_free(w);
	crypto_release();
	return 0;
}

static void root_of(const struct world *w, unsigned branch, uint64_t size, struct hash *ret)
{
	struct compact compact;

	compact_init(&compact);
	for (uint64_t i = 0; i < size; i++)
		compact_append(&compact, &w->leaf[branch][i]);
	compact_root(&compact, ret);
}

struct tree {
	const struct world *w;
	unsigned branch;
};

static enum err tree_at(void *arg, unsigned level, uint64_t index, struct hash *ret)
{
	const struct tree *tree = arg;
	struct compact compact;

	compact_init(&compact);
	for (uint64_t i = index << level; i < (index + 1) << level; i++)
		compact_append(&compact, &tree->w->leaf[tree->branch][i]);
	compact_root(&compact, ret);
	return OK;
}

static void proof_of(
	const struct world *w, unsigned branch, uint64_t from, uint64_t to, struct proof *ret)
{
	struct tree tree = {w, branch};
	struct tree_source source = {tree_at, &tree};

	*ret = (struct proof){0};
	assert_int_equal(tree_prove_consistency(&source, from, to, ret), OK);
}

static void note_of(const struct world *w, unsigned branch, uint64_t size,
	const struct signer *signer, struct buf *ret)
{
	struct checkpoint checkpoint = {.origin = {ORIGIN}, .size = size};

	root_of(w, branch, size, &checkpoint.root);
	buf_init(ret, LIMIT_NOTE_SIZE);
	assert_int_equal(checkpoint_sign(ret, &checkpoint, signer), OK);
}

/* (branch 0, m) against (branch 1, n), m <= n. */
static enum err make(const struct world *w, uint64_t m, uint64_t n, struct buf *out)
{
	CLEANUP(buf_release) struct buf a = {0}, b = {0};
	struct hash root;
	struct proof proof;
	struct evidence_parts parts = {.opened = buf_bytes(&w->opened)};

	note_of(w, 0, m, w->log, &a);
	note_of(w, 1, n, w->log, &b);
	parts.a = buf_bytes(&a);
	parts.b = buf_bytes(&b);
	if (m != n) {
		root_of(w, 1, m, &root);
		proof_of(w, 1, m, n, &proof);
		parts.root = &root;
		parts.proof = &proof;
	}
	return evidence_make(&parts, &w->key, out, NULL);
}

static enum err judge(
	const struct world *w, struct bytes data, struct evidence *ret, struct arena *arena)
{
	TRY(evidence_parse(data, arena, ret, NULL));
	return evidence_verify(ret, &w->key, NULL);
}

static void test_every_pair(void **state)
{
	struct world *w = *state;

	for (uint64_t m = 1; m <= LEAVES; m++)
		for (uint64_t n = m; n <= LEAVES; n++) {
			CLEANUP(buf_release) struct buf out = {0};
			struct evidence e;
			struct arena arena;

			buf_init(&out, LIMIT_EVIDENCE_SIZE);
			/* Before the histories part, a longer one contradicts nothing. */
			if (m <= COMMON) {
				assert_int_equal(make(w, m, n, &out), ERR_INVALID);
				assert_int_equal(out.size, 0);
				continue;
			}
			assert_int_equal(make(w, m, n, &out), OK);
			arena_init(&arena, LIMIT_ARENA_SIZE);
			assert_int_equal(judge(w, buf_bytes(&out), &e, &arena), OK);
			assert_int_equal(e.smaller.size, m);
			assert_int_equal(e.larger.size, n);
			arena_release(&arena);
		}
}

static void test_every_byte_counts(void **state)
{
	struct world *w = *state;
	uint64_t sizes[][2] = {{7, 7}, {7, 13}};

	for (size_t i = 0; i < 2; i++) {
		CLEANUP(buf_release) struct buf out = {0};
		struct evidence e;
		struct note_key key;
		struct arena arena;

		buf_init(&out, LIMIT_EVIDENCE_SIZE);
		arena_init(&arena, LIMIT_ARENA_SIZE);
		assert_int_equal(make(w, sizes[i][0], sizes[i][1], &out), OK);
		size_t opened = out.size - w->opened.size;

		for (size_t at = 0; at < out.size; at++)
			for (unsigned bit = 0; bit < 8; bit++) {
				bool good;

				out.data[at] ^= (uint8_t)(1 << bit);
				arena_clear(&arena);
				good = judge(w, buf_bytes(&out), &e, &arena) == OK &&
				       evidence_key(&e, signer_public(w->node), &key, NULL) == OK &&
				       memcmp(&key, &w->key, sizeof(key)) == 0;
				/* A record may be written in more than one way (fields of a later
				 * version): what it says is signed, the key is the same. */
				assert_true(!good || at >= opened);
				out.data[at] ^= (uint8_t)(1 << bit);
			}
		for (size_t size = 0; size < out.size; size++) {
			arena_clear(&arena);
			/* Without its last field it is whole too, and says nothing of the key. */
			if (judge(w, bytes_make(out.data, size), &e, &arena) == OK)
				assert_int_equal(evidence_key(&e, NULL, &key, NULL), ERR_NOTFOUND);
		}
		arena_release(&arena);
	}
}

/* Every field of a good one put in place of another's. */
static void test_fields(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_release) struct buf out = {0}, other = {0}, again = {0}, foreign = {0};
	Sauti__Evidence *m, *o;
	struct evidence e;
	struct arena arena;

	buf_init(&out, LIMIT_EVIDENCE_SIZE);
	buf_init(&other, LIMIT_EVIDENCE_SIZE);
	buf_init(&again, LIMIT_EVIDENCE_SIZE);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_int_equal(make(w, 7, 13, &out), OK);
	assert_int_equal(make(w, 8, 14, &other), OK);
	note_of(w, 0, 7, w->stranger, &foreign);
	for (int field = 0; field < 12; field++) {
		enum err expected = ERR_MALFORMED;
		ProtobufCBinaryData swap;

		assert_int_equal(CODEC_UNPACK(evidence, buf_bytes(&out), &scan_limits_strict,
					 &arena, &m, NULL),
			OK);
		assert_int_equal(CODEC_UNPACK(evidence, buf_bytes(&other), &scan_limits_strict,
					 &arena, &o, NULL),
			OK);
		switch (field) {
		case 0: /* of another size */
			m->smaller = o->smaller;
			expected = ERR_PROOF;
			break;
		case 1:
			m->larger = o->larger;
			expected = ERR_PROOF;
			break;
		case 2:
			m->root = o->root;
			expected = ERR_PROOF;
			break;
		case 3:
			m->n_proof--;
			expected = ERR_PROOF;
			break;
		case 4:
			swap = m->smaller;
			m->smaller = m->larger;
			m->larger = swap;
			break;
		case 5: /* the same twice */
			m->larger = m->smaller;
			m->root.len = m->n_proof = 0;
			break;
		case 6:
			m->root.len--;
			break;
		case 7:
			m->proof[0].len--;
			break;
		case 8: /* a root that is what was signed contradicts nothing */
			assert_int_equal(evidence_read(m, &e, NULL), OK);
			m->root = codec_binary(hash_bytes(&e.smaller.root));
			break;
		case 9:
			m->smaller = codec_binary(buf_bytes(&foreign));
			expected = ERR_UNTRUSTED;
			break;
		case 10:
			m->proof = NULL;
			m->n_proof = 0;
			expected = ERR_PROOF;
			break;
		case 11:
			m->smaller.len = 0;
			break;
		}
		buf_clear(&again);
		codec_pack(&again, m);
		assert_int_equal(judge(w, buf_bytes(&again), &e, &arena), expected);
	}
	arena_release(&arena);
}

static void test_key(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_release) struct buf out = {0}, a = {0}, b = {0}, opened = {0};
	struct evidence_parts parts = {0};
	struct evidence e;
	struct note_key key;
	struct arena arena;

	buf_init(&out, LIMIT_EVIDENCE_SIZE);
	buf_init(&opened, LIMIT_ENTRY_SIZE);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_int_equal(make(w, 7, 7, &out), OK);
	assert_int_equal(judge(w, buf_bytes(&out), &e, &arena), OK);
	assert_int_equal(evidence_key(&e, signer_public(w->node), &key, NULL), OK);
	assert_memory_equal(&key, &w->key, sizeof(key));
	assert_int_equal(evidence_key(&e, signer_public(w->stranger), &key, NULL), ERR_UNTRUSTED);
	/* A LogOpened of another log, and none. */
	note_of(w, 0, 7, w->log, &a);
	note_of(w, 1, 7, w->log, &b);
	assert_int_equal(
		log_opened_write(&opened,
			&(struct log_opened){
				.origin = OTHER, .log_key = *signer_public(w->log), .opened_at = 1},
			w->node),
		OK);
	parts = (struct evidence_parts){
		.a = buf_bytes(&a), .b = buf_bytes(&b), .opened = buf_bytes(&opened)};
	buf_clear(&out);
	assert_int_equal(evidence_make(&parts, &w->key, &out, NULL), OK);
	arena_clear(&arena);
	assert_int_equal(judge(w, buf_bytes(&out), &e, &arena), OK);
	assert_int_equal(evidence_key(&e, NULL, &key, NULL), ERR_UNTRUSTED);
	parts.opened = BYTES_NONE;
	buf_clear(&out);
	assert_int_equal(evidence_make(&parts, &w->key, &out, NULL), OK);
	arena_clear(&arena);
	assert_int_equal(judge(w, buf_bytes(&out), &e, &arena), OK);
	assert_int_equal(evidence_key(&e, NULL, &key, NULL), ERR_NOTFOUND);
	arena_release(&arena);
}

/* One fork, one form: whatever the order and the lines that others put on the notes. */
static void test_canonical(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_release) struct buf one = {0}, two = {0}, a = {0}, b = {0};
	struct evidence e, f;
	struct hash id, id2;
	struct arena arena;

	buf_init(&one, LIMIT_EVIDENCE_SIZE);
	buf_init(&two, LIMIT_EVIDENCE_SIZE);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	note_of(w, 0, 7, w->log, &a);
	note_of(w, 1, 7, w->log, &b);
	assert_int_equal(make(w, 7, 7, &one), OK);
	/* A cosignature stands before and behind. */
	struct note note;
	char name[] = "ovra.example/mirror/hq";
	CLEANUP(buf_release) struct buf more = {0};

	assert_int_equal(note_parse(buf_bytes(&a), &note, NULL), OK);
	buf_init(&more, LIMIT_NOTE_SIZE);
	buf_put(&more, note.text);
	buf_put_str(&more, "\n");
	assert_int_equal(cosignature_sign(&more, note.text, 1, name, w->stranger), OK);
	buf_put(&more, note.signatures);
	struct evidence_parts parts = {
		.a = buf_bytes(&b), .b = buf_bytes(&more), .opened = buf_bytes(&w->opened)};

	assert_int_equal(evidence_make(&parts, &w->key, &two, NULL), OK);
	assert_true(bytes_equal(buf_bytes(&one), buf_bytes(&two)));
	assert_int_equal(evidence_parse(buf_bytes(&one), &arena, &e, NULL), OK);
	evidence_id(&e, &id);
	/* The id is over what was signed for. */
	buf_clear(&two);
	assert_int_equal(make(w, 7, 8, &two), OK);
	assert_int_equal(evidence_parse(buf_bytes(&two), &arena, &f, NULL), OK);
	evidence_id(&f, &id2);
	assert_false(hash_equal(&id, &id2));
	arena_release(&arena);
}

/* Whatever is put together of what an author with one history signed. */
static void test_honest(void **state)
{
	struct world *w = *state;

	for (uint64_t m = 1; m <= LEAVES; m++)
		for (uint64_t n = m; n <= LEAVES; n++) {
			CLEANUP(buf_release) struct buf a = {0}, b = {0}, out = {0};
			struct hash roots[2];
			struct proof proof;
			struct evidence_parts parts = {0};

			buf_init(&out, LIMIT_EVIDENCE_SIZE);
			note_of(w, 0, m, w->log, &a);
			note_of(w, 0, n, w->log, &b);
			root_of(w, 0, m, &roots[0]);
			root_of(w, 1, m, &roots[1]);
			for (unsigned r = 0; r < 2; r++)
				for (unsigned p = 0; p < 2; p++) {
					proof_of(w, p, m, n, &proof);
					parts.a = buf_bytes(&a);
					parts.b = buf_bytes(&b);
					parts.root = m == n ? NULL : &roots[r];
					parts.proof = m == n ? NULL : &proof;
					assert_int_not_equal(
						evidence_make(&parts, &w->key, &out, NULL), OK);
				}
			assert_int_equal(out.size, 0);
		}
}

/* At the cap, and one past it. */
static void test_caps(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_release) struct buf a = {0}, b = {0}, out = {0};
	struct evidence_parts parts = {0};
	struct evidence e;
	struct arena arena;
	uint8_t *big = mem_zalloc(LIMIT_EVIDENCE_SIZE + 1);

	assert_non_null(big);
	buf_init(&out, LIMIT_EVIDENCE_SIZE);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	note_of(w, 0, 7, w->log, &a);
	note_of(w, 1, 7, w->log, &b);
	parts.a = buf_bytes(&a);
	parts.b = buf_bytes(&b);
	parts.opened = bytes_make(big, LIMIT_LOG_OPENED);
	assert_int_equal(evidence_make(&parts, &w->key, &out, NULL), OK);
	buf_clear(&out);
	parts.opened.size++;
	assert_int_equal(evidence_make(&parts, &w->key, &out, NULL), ERR_LIMIT);
	assert_int_equal(evidence_parse(bytes_make(big, LIMIT_EVIDENCE_SIZE + 1), &arena, &e, NULL),
		ERR_LIMIT);
	assert_int_equal(evidence_parse(bytes_make(big, LIMIT_EVIDENCE_SIZE), &arena, &e, NULL),
		ERR_MALFORMED);

	Sauti__Evidence message = SAUTI__EVIDENCE__INIT;
	ProtobufCBinaryData hashes[LIMIT_PROOF_HASHES + 1];

	for (size_t i = 0; i <= LIMIT_PROOF_HASHES; i++)
		hashes[i] = codec_binary(bytes_make(big, HASH_SIZE));
	message.smaller = codec_binary(buf_bytes(&a));
	message.larger = codec_binary(buf_bytes(&b));
	message.proof = hashes;
	message.n_proof = LIMIT_PROOF_HASHES;
	assert_int_equal(evidence_read(&message, &e, NULL), ERR_MALFORMED); /* equal sizes */
	message.n_proof++;
	assert_int_equal(evidence_read(&message, &e, NULL), ERR_LIMIT);
	arena_release(&arena);
	mem_free(big);
}

static void opened_by(
	const struct signer *node, const struct signer *log, const char *origin, struct buf *ret)
{
	buf_init(ret, LIMIT_ENTRY_SIZE);
	assert_int_equal(
		log_opened_write(ret,
			&(struct log_opened){
				.origin = origin, .log_key = *signer_public(log), .opened_at = 1},
			node),
		OK);
}

/* One log and two keys, both given by the author; in one form, and by nobody else. */
static void test_two_keys(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_release)
	struct buf second = {0}, foreign = {0}, elsewhere = {0}, one = {0}, two = {0};
	const struct ed25519_public *node = signer_public(w->node);
	struct evidence e;
	struct arena arena;
	struct hash id, id2;

	opened_by(w->node, w->stranger, ORIGIN, &second);
	opened_by(w->stranger, w->stranger, ORIGIN, &foreign);
	opened_by(w->node, w->stranger, OTHER, &elsewhere);
	buf_init(&one, LIMIT_EVIDENCE_SIZE);
	buf_init(&two, LIMIT_EVIDENCE_SIZE);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_int_equal(
		evidence_make_keys(buf_bytes(&w->opened), buf_bytes(&second), node, &one, NULL),
		OK);
	assert_int_equal(
		evidence_make_keys(buf_bytes(&second), buf_bytes(&w->opened), node, &two, NULL),
		OK);
	assert_true(bytes_equal(buf_bytes(&one), buf_bytes(&two)));
	assert_int_equal(evidence_parse(buf_bytes(&one), &arena, &e, NULL), OK);
	assert_string_equal(e.smaller.origin.text, ORIGIN);
	assert_int_equal(evidence_verify_keys(&e, node, NULL), OK);
	assert_int_equal(evidence_verify_keys(&e, signer_public(w->stranger), NULL), ERR_UNTRUSTED);
	assert_int_equal(evidence_verify(&e, &w->key, NULL), ERR_UNSUPPORTED);
	evidence_id(&e, &id);
	buf_clear(&two);
	assert_int_equal(make(w, 7, 13, &two), OK);
	assert_int_equal(evidence_parse(buf_bytes(&two), &arena, &e, NULL), OK);
	assert_int_equal(evidence_verify_keys(&e, node, NULL), ERR_INVALID);
	evidence_id(&e, &id2);
	assert_false(hash_equal(&id, &id2));
	/* The same key twice, another's signature, another log. */
	buf_clear(&two);
	assert_int_equal(
		evidence_make_keys(buf_bytes(&w->opened), buf_bytes(&w->opened), node, &two, NULL),
		ERR_INVALID);
	assert_int_equal(
		evidence_make_keys(buf_bytes(&w->opened), buf_bytes(&foreign), node, &two, NULL),
		ERR_UNTRUSTED);
	assert_int_equal(
		evidence_make_keys(buf_bytes(&w->opened), buf_bytes(&elsewhere), node, &two, NULL),
		ERR_INVALID);
	assert_int_equal(two.size, 0);
	/* What was signed counts, to the last bit: a change is none, or says the same. */
	for (size_t at = 0; at < one.size; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			one.data[at] ^= (uint8_t)(1 << bit);
			arena_clear(&arena);
			if (evidence_parse(buf_bytes(&one), &arena, &e, NULL) == OK &&
				evidence_verify_keys(&e, node, NULL) == OK) {
				evidence_id(&e, &id2);
				assert_true(hash_equal(&id, &id2));
			}
			one.data[at] ^= (uint8_t)(1 << bit);
		}
	arena_release(&arena);
}

struct counting {
	size_t count, bytes;
	enum err at_two; /* what the second is answered with */
};

static enum err count_one(void *arg, struct bytes message)
{
	struct counting *c = arg;

	c->count++;
	c->bytes += message.size;
	return c->count == 2 ? c->at_two : OK;
}

/* Messages of every length that there may be; cut anywhere; the first error is the answer. */
static void test_frames(void **state)
{
	static const uint8_t data[LIMIT_EVIDENCE_SIZE + 1];
	struct counting c = {0};
	struct errctx ctx;
	struct buf file;

	(void)state;
	assert_int_equal(evidence_frames(BYTES_NONE, count_one, &c, &ctx), OK);
	buf_init(&file, 4 * LIMIT_EVIDENCE_SIZE);
	evidence_frame(bytes_make(data, 1), &file);
	evidence_frame(bytes_make(data, LIMIT_EVIDENCE_SIZE), &file);
	evidence_frame(bytes_make(data, 5), &file);
	assert_int_equal(evidence_frames(buf_bytes(&file), count_one, &c, &ctx), OK);
	assert_int_equal(c.count, 3);
	assert_int_equal(c.bytes, LIMIT_EVIDENCE_SIZE + 6);
	for (size_t size = 1; size < file.size; size++) {
		struct bytes cut = bytes_make(file.data, size);
		bool whole = size == 5 || size == 5 + 4 + LIMIT_EVIDENCE_SIZE;

		assert_int_equal(
			evidence_frames(cut, count_one, &c, &ctx), whole ? OK : ERR_MALFORMED);
	}
	c = (struct counting){.at_two = ERR_IO};
	assert_int_equal(evidence_frames(buf_bytes(&file), count_one, &c, &ctx), ERR_IO);
	assert_int_equal(c.count, 2);
	buf_clear(&file);
	evidence_frame(BYTES_NONE, &file);
	assert_int_equal(evidence_frames(buf_bytes(&file), count_one, &c, &ctx), ERR_MALFORMED);
	buf_clear(&file);
	evidence_frame(BYTES_ARRAY(data), &file);
	assert_int_equal(evidence_frames(buf_bytes(&file), count_one, &c, &ctx), ERR_MALFORMED);
	buf_release(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_pair),
		cmocka_unit_test(test_every_byte_counts),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_key),
		cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_honest),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_two_keys),
		cmocka_unit_test(test_frames),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
