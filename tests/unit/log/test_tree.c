/*
 * The tree against a second implementation: RFC 6962 section 2.1 written down as the RFC writes it,
 * recursive and slow. All sizes up to 130, all proofs, and what must not verify.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "replication/log/tree.h"

enum { SIZE_MAX_TESTED = 130 };

/* ---- the naive tree ---- */

static struct hash naive_memo[SIZE_MAX_TESTED + 1][SIZE_MAX_TESTED + 1];
static bool naive_known[SIZE_MAX_TESTED + 1][SIZE_MAX_TESTED + 1];
static struct hash roots[SIZE_MAX_TESTED + 1]; /* by size */

static void naive_leaf(size_t index, struct hash *ret)
{
	const uint8_t data[] = {0x00, (uint8_t)(index >> 8), (uint8_t)index};

	sha256(BYTES_ARRAY(data), ret);
}

static size_t naive_split(size_t size)
{
	size_t k = 1;

	while (2 * k < size)
		k *= 2;
	return k;
}

/* MTH(D[first:end]) */
static const struct hash *naive_root(size_t first, size_t end)
{
	struct hash *ret = &naive_memo[first][end];
	size_t size = end - first;
	uint8_t node[1 + 2 * HASH_SIZE] = {0x01};

	if (naive_known[first][end])
		return ret;
	naive_known[first][end] = true;
	if (size == 0) {
		sha256(BYTES_NONE, ret);
	} else if (size == 1) {
		naive_leaf(first, ret);
	} else {
		size_t middle = first + naive_split(size);

		memcpy(node + 1, naive_root(first, middle)->b, HASH_SIZE);
		memcpy(node + 1 + HASH_SIZE, naive_root(middle, end)->b, HASH_SIZE);
		sha256(BYTES_ARRAY(node), ret);
	}
	return ret;
}

static void put(struct proof *proof, const struct hash *hash)
{
	proof->hashes[proof->count++] = *hash;
}

static void naive_path(size_t m, size_t first, size_t end, struct proof *ret)
{
	size_t k = naive_split(end - first);

	if (end - first == 1)
		return;
	if (m < k) {
		naive_path(m, first, first + k, ret);
		put(ret, naive_root(first + k, end));
	} else {
		naive_path(m - k, first + k, end, ret);
		put(ret, naive_root(first, first + k));
	}
}

static void naive_subproof(size_t m, size_t first, size_t end, bool whole, struct proof *ret)
{
	size_t k = naive_split(end - first);

	if (m == end - first) {
		if (!whole)
			put(ret, naive_root(first, end));
	} else if (m <= k) {
		naive_subproof(m, first, first + k, whole, ret);
		put(ret, naive_root(first + k, end));
	} else {
		naive_subproof(m - k, first + k, end, false, ret);
		put(ret, naive_root(first, first + k));
	}
}

/* ---- a source over it, which counts and fails on demand ---- */

struct naive_source {
	size_t reads;
	size_t fail_at; /* 1: the first read; 0: never */
};

static enum err naive_node(void *arg, unsigned level, uint64_t index, struct hash *ret)
{
	struct naive_source *naive = arg;
	size_t first = (size_t)index << level, end = (size_t)(index + 1) << level;

	assert_true(end <= SIZE_MAX_TESTED);
	if (++naive->reads == naive->fail_at)
		return ERR_IO;
	*ret = *naive_root(first, end);
	return OK;
}

static bool proof_equal(const struct proof *a, const struct proof *b)
{
	return a->count == b->count &&
	       memcmp(a->hashes, b->hashes, a->count * sizeof(a->hashes[0])) == 0;
}

static int setup(void **state)
{
	if (crypto_init() != OK)
		return -1;
	for (size_t size = 0; size <= SIZE_MAX_TESTED; size++)
		roots[size] = *naive_root(0, size);
	return 0;
}

static int teardown(void **state)
{
	crypto_release();
	return 0;
}

/* ---- tests ---- */

static void test_hashes(void **state)
{
	const uint8_t empty[] = {0xe3, 0xb0, 0xc4, 0x42};
	struct hash hash, expected;

	tree_empty(&hash);
	assert_memory_equal(hash.b, empty, sizeof(empty));
	tree_leaf(bytes_make("\x00\x05", 2), &hash);
	naive_leaf(5, &expected);
	assert_true(hash_equal(&hash, &expected));
	tree_node(naive_root(0, 2), naive_root(2, 4), &hash);
	assert_true(hash_equal(&hash, naive_root(0, 4)));
	hash = *naive_root(0, 2); /* in place */
	tree_node(&hash, naive_root(2, 4), &hash);
	assert_true(hash_equal(&hash, naive_root(0, 4)));
}

static void test_roots(void **state)
{
	struct naive_source naive = {0};
	struct tree_source source = {naive_node, &naive};
	struct compact compact, loaded;

	compact_init(&compact);
	for (size_t size = 0; size <= SIZE_MAX_TESTED; size++) {
		struct hash root;

		assert_int_equal(compact.size, size);
		compact_root(&compact, &root);
		assert_true(hash_equal(&root, &roots[size]));
		assert_int_equal(compact_load(&loaded, &source, size), OK);
		assert_int_equal(loaded.size, size);
		assert_memory_equal(loaded.peaks, compact.peaks,
			(size_t)__builtin_popcountll(size) * sizeof(loaded.peaks[0]));
		if (size > 0) {
			assert_int_equal(tree_root(&source, size, &root), OK);
			assert_true(hash_equal(&root, &roots[size]));
		}
		if (size < SIZE_MAX_TESTED)
			compact_append(&compact, naive_root(size, size + 1));
	}
}

static void test_inclusion(void **state)
{
	struct naive_source naive = {0};
	struct tree_source source = {naive_node, &naive};

	for (size_t size = 1; size <= SIZE_MAX_TESTED; size++) {
		for (size_t index = 0; index < size; index++) {
			struct proof expected = {0}, proof;

			naive_path(index, 0, size, &expected);
			naive.reads = 0;
			assert_int_equal(tree_prove_inclusion(&source, index, size, &proof), OK);
			assert_true(naive.reads <= 16);
			assert_true(proof_equal(&proof, &expected));
			assert_true(proof_inclusion_ok(
				&proof, index, naive_root(index, index + 1), size, &roots[size]));
		}
	}
}

static void test_consistency(void **state)
{
	struct naive_source naive = {0};
	struct tree_source source = {naive_node, &naive};

	for (size_t size2 = 0; size2 <= SIZE_MAX_TESTED; size2++) {
		for (size_t size1 = 0; size1 <= size2; size1++) {
			struct proof expected = {0}, proof;

			if (size1 > 0)
				naive_subproof(size1, 0, size2, true, &expected);
			naive.reads = 0;
			assert_int_equal(tree_prove_consistency(&source, size1, size2, &proof), OK);
			assert_true(naive.reads <= 16);
			assert_true(proof_equal(&proof, &expected));
			assert_true(proof_consistency_ok(
				&proof, size1, &roots[size1], size2, &roots[size2]));
		}
	}
}

/* Every way to spoil a proof: calls check, which must say no. */
static void tamper(const struct proof *proof, const struct hash *root,
	void (*check)(const struct proof *proof, const void *arg), const void *arg)
{
	struct proof bad;

	for (size_t i = 0; i < proof->count; i++) {
		bad = *proof;
		bad.hashes[i].b[(i * 7) % HASH_SIZE] ^= (uint8_t)(1 << (i % 8));
		check(&bad, arg);
	}
	bad = *proof;
	put(&bad, root);
	check(&bad, arg);
	bad.hashes[bad.count - 1] = (struct hash){0};
	check(&bad, arg);
	memmove(&bad.hashes[1], &proof->hashes[0], proof->count * sizeof(bad.hashes[0]));
	bad.hashes[0] = *root;
	check(&bad, arg);
	if (proof->count == 0)
		return;
	bad = *proof;
	bad.count--;
	check(&bad, arg);
	memmove(&bad.hashes[0], &proof->hashes[1], bad.count * sizeof(bad.hashes[0]));
	check(&bad, arg);
	bad.count = 0;
	check(&bad, arg);
	bad = *proof;
	bad.count = LIMIT_PROOF_HASHES;
	check(&bad, arg);
	bad.count = LIMIT_PROOF_HASHES + 1;
	check(&bad, arg);
}

struct inclusion_case {
	size_t index, size;
};

static void check_inclusion_bad(const struct proof *proof, const void *arg)
{
	const struct inclusion_case *c = arg;

	assert_false(proof_inclusion_ok(
		proof, c->index, naive_root(c->index, c->index + 1), c->size, &roots[c->size]));
}

static void test_inclusion_tampered(void **state)
{
	for (size_t size = 1; size <= SIZE_MAX_TESTED; size++) {
		for (size_t index = 0; index < size; index++) {
			struct inclusion_case c = {index, size};
			struct proof proof = {0};

			naive_path(index, 0, size, &proof);
			tamper(&proof, &roots[size], check_inclusion_bad, &c);
			assert_false(proof_inclusion_ok(
				&proof, index, naive_root(index, index + 1), size, &roots[0]));
			assert_false(
				proof_inclusion_ok(&proof, index, &roots[0], size, &roots[size]));
			assert_false(proof_inclusion_ok(
				&proof, size, naive_root(index, index + 1), size, &roots[size]));
			assert_false(proof_inclusion_ok(
				&proof, index, naive_root(index, index + 1), index, &roots[size]));
			assert_false(proof_inclusion_ok(
				&proof, index, naive_root(index, index + 1), 0, &roots[size]));
		}
	}
}

/* The right proof at the wrong place, and for another tree. */
static void test_inclusion_misplaced(void **state)
{
	for (size_t size = 1; size <= 40; size++) {
		for (size_t index = 0; index < size; index++) {
			const struct hash *leaf = naive_root(index, index + 1);
			struct proof proof = {0};

			naive_path(index, 0, size, &proof);
			for (size_t other = 0; other < 64; other++) {
				if (other != index)
					assert_false(proof_inclusion_ok(
						&proof, other, leaf, size, &roots[size]));
				if (other != size)
					assert_false(proof_inclusion_ok(
						&proof, index, leaf, other, &roots[other]));
			}
		}
	}
}

struct consistency_case {
	size_t size1, size2;
};

static void check_consistency_bad(const struct proof *proof, const void *arg)
{
	const struct consistency_case *c = arg;

	assert_false(proof_consistency_ok(
		proof, c->size1, &roots[c->size1], c->size2, &roots[c->size2]));
}

static void test_consistency_tampered(void **state)
{
	for (size_t size2 = 0; size2 <= SIZE_MAX_TESTED; size2++) {
		for (size_t size1 = 0; size1 <= size2; size1++) {
			struct consistency_case c = {size1, size2};
			struct hash bad1 = roots[size1], bad2 = roots[size2];
			struct proof proof = {0};

			if (size1 > 0)
				naive_subproof(size1, 0, size2, true, &proof);
			tamper(&proof, &roots[size1], check_consistency_bad, &c);
			bad1.b[31] ^= 1;
			assert_false(
				proof_consistency_ok(&proof, size1, &bad1, size2, &roots[size2]));
			bad2.b[0] ^= 0x80;
			if (size1 > 0)
				assert_false(proof_consistency_ok(
					&proof, size1, &roots[size1], size2, &bad2));
			if (size1 == size2)
				continue;
			if (size1 > 0)
				assert_false(proof_consistency_ok(
					&proof, size1, &roots[size2], size2, &roots[size1]));
			assert_false(proof_consistency_ok(
				&proof, size2, &roots[size2], size1, &roots[size1]));
		}
	}
}

static void test_consistency_misplaced(void **state)
{
	for (size_t size2 = 1; size2 <= 40; size2++) {
		for (size_t size1 = 1; size1 < size2; size1++) {
			struct proof proof = {0};

			naive_subproof(size1, 0, size2, true, &proof);
			for (size_t other = 1; other < 64; other++) {
				if (other != size1)
					assert_false(proof_consistency_ok(&proof, other,
						&roots[other], size2, &roots[size2]));
				if (other != size2)
					assert_false(proof_consistency_ok(&proof, size1,
						&roots[size1], other, &roots[other]));
			}
		}
	}
}

/* Every single bit of the proofs of a few trees. */
static void test_every_bit(void **state)
{
	for (size_t size = 2; size <= 9; size++) {
		for (size_t index = 0; index < size; index++) {
			struct inclusion_case inclusion = {index, size};
			struct consistency_case consistency = {index, size};
			struct proof path = {0}, steps = {0};

			naive_path(index, 0, size, &path);
			if (index > 0)
				naive_subproof(index, 0, size, true, &steps);
			for (size_t bit = 0; bit < path.count * 256; bit++) {
				path.hashes[bit / 256].b[bit % 256 / 8] ^=
					(uint8_t)(1 << (bit % 8));
				check_inclusion_bad(&path, &inclusion);
				path.hashes[bit / 256].b[bit % 256 / 8] ^=
					(uint8_t)(1 << (bit % 8));
			}
			for (size_t bit = 0; bit < steps.count * 256; bit++) {
				steps.hashes[bit / 256].b[bit % 256 / 8] ^=
					(uint8_t)(1 << (bit % 8));
				check_consistency_bad(&steps, &consistency);
				steps.hashes[bit / 256].b[bit % 256 / 8] ^=
					(uint8_t)(1 << (bit % 8));
			}
		}
	}
}

/* Sizes nobody can build: a path to a leaf of the largest log, and numbers at the edge. */
static void test_large(void **state)
{
	const uint64_t sizes[] = {LIMIT_LOG_SIZE, LIMIT_LOG_SIZE - 1, UINT64_C(1) << 62};
	struct hash leaf = roots[1], root;

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		uint64_t index = UINT64_C(0x5a5a5a5a5a5a) % sizes[s];
		struct proof proof = {0};

		root = leaf;
		/* left of the right edge a node's side is its bit in the index */
		for (uint64_t i = index, last = sizes[s] - 1; last > 0; i >>= 1, last >>= 1) {
			put(&proof, &roots[proof.count]);
			if (i & 1)
				tree_node(&proof.hashes[proof.count - 1], &root, &root);
			else
				tree_node(&root, &proof.hashes[proof.count - 1], &root);
		}
		assert_true(proof_inclusion_ok(&proof, index, &leaf, sizes[s], &root));
		assert_false(proof_inclusion_ok(&proof, index ^ 1, &leaf, sizes[s], &root));
		proof.hashes[proof.count - 1].b[0] ^= 1;
		assert_false(proof_inclusion_ok(&proof, index, &leaf, sizes[s], &root));
	}
	struct proof proof = {.count = LIMIT_PROOF_HASHES};

	assert_false(proof_inclusion_ok(&proof, UINT64_MAX - 1, &leaf, UINT64_MAX, &root));
	assert_false(proof_inclusion_ok(&proof, UINT64_MAX, &leaf, UINT64_MAX, &root));
	assert_false(proof_consistency_ok(&proof, UINT64_MAX - 1, &leaf, UINT64_MAX, &root));
	assert_false(proof_consistency_ok(&proof, 1, &leaf, UINT64_MAX, &root));
}

static void test_arguments(void **state)
{
	struct naive_source naive = {0};
	struct tree_source source = {naive_node, &naive};
	struct compact compact;
	struct proof proof;
	struct hash root;

	assert_int_equal(tree_root(&source, 0, &root), ERR_INVALID);
	assert_int_equal(tree_root(&source, LIMIT_LOG_SIZE + 1, &root), ERR_INVALID);
	assert_int_equal(compact_load(&compact, &source, LIMIT_LOG_SIZE + 1), ERR_INVALID);
	assert_int_equal(tree_prove_inclusion(&source, 0, 0, &proof), ERR_INVALID);
	assert_int_equal(tree_prove_inclusion(&source, 5, 5, &proof), ERR_INVALID);
	assert_int_equal(tree_prove_inclusion(&source, 0, LIMIT_LOG_SIZE + 1, &proof), ERR_INVALID);
	assert_int_equal(tree_prove_consistency(&source, 6, 5, &proof), ERR_INVALID);
	assert_int_equal(
		tree_prove_consistency(&source, 1, LIMIT_LOG_SIZE + 1, &proof), ERR_INVALID);
	assert_int_equal(naive.reads, 0);
}

/* Whichever read fails: that error, and nothing is written. */
static void test_source_fails(void **state)
{
	struct naive_source naive = {0};
	struct tree_source source = {naive_node, &naive};
	struct compact compact, compact_before;
	struct proof proof, proof_before;
	struct hash root, root_before;
	size_t at;

	memset(&compact, 0x5a, sizeof(compact));
	memset(&proof, 0x5a, sizeof(proof));
	memset(&root, 0x5a, sizeof(root));
	compact_before = compact;
	proof_before = proof;
	root_before = root;
	for (at = 1; at <= 5; at++) {
		naive = (struct naive_source){.fail_at = at};
		assert_int_equal(tree_prove_inclusion(&source, 77, 117, &proof), ERR_IO);
		naive = (struct naive_source){.fail_at = at};
		assert_int_equal(tree_prove_consistency(&source, 77, 117, &proof), ERR_IO);
		naive = (struct naive_source){.fail_at = at};
		assert_int_equal(compact_load(&compact, &source, 117), ERR_IO);
		naive = (struct naive_source){.fail_at = at};
		assert_int_equal(tree_root(&source, 117, &root), ERR_IO);
	}
	assert_memory_equal(&compact, &compact_before, sizeof(compact));
	assert_memory_equal(&proof, &proof_before, sizeof(proof));
	assert_memory_equal(&root, &root_before, sizeof(root));
}

/* ---- vectors of github.com/transparency-dev/merkle ---- */

/* Some vectors have "don't care" for a hash: filled up with zeros, what was equal stays equal, and
 * it is the verifier that has to refuse, not this function. An empty one is no hash at all. */
static bool vector_hash(const json_t *value, struct hash *ret)
{
	CLEANUP(buf_release) struct buf buf = {0};

	buf_init(&buf, 4096);
	if (!json_is_string(value) ||
		base64_decode(bytes_str(json_string_value(value)), &buf) != OK || buf.size == 0 ||
		buf.size > HASH_SIZE)
		return false;
	*ret = (struct hash){0};
	memcpy(ret->b, buf.data, buf.size);
	return true;
}

static bool vector_proof(const json_t *value, struct proof *ret)
{
	*ret = (struct proof){0};
	if (json_array_size(value) > LIMIT_PROOF_HASHES)
		return false;
	for (size_t i = 0; i < json_array_size(value); i++) {
		if (!vector_hash(json_array_get(value, i), &ret->hashes[ret->count++]))
			return false;
	}
	return true;
}

/* Jansson has no integers over INT64_MAX, but the vectors have 2^64 - 1 (an index of 0, less one):
 * read as reals, exact but for that one. */
static uint64_t vector_number(const json_t *value)
{
	double number = json_real_value(value);

	assert_true(json_is_real(value) && number >= 0);
	if (number >= 0x1p63)
		return UINT64_MAX;
	assert_true(number <= 0x1p53);
	return (uint64_t)number;
}

/* What cannot be put into our types at all counts as refused. */
static bool vector_accepted(const json_t *vector)
{
	const char *numbers[] = {"leafIdx", "treeSize"}, *hashes[] = {"leafHash", "root"};
	bool consistency = json_object_get(vector, "size1") != NULL;
	struct hash hash[2];
	struct proof proof;
	uint64_t number[2];

	for (int i = 0; i < 2; i++) {
		const char *names[] = {i == 0 ? "size1" : "size2", i == 0 ? "root1" : "root2"};
		const json_t *value = json_object_get(vector, consistency ? names[0] : numbers[i]);

		number[i] = vector_number(value);
		value = json_object_get(vector, consistency ? names[1] : hashes[i]);
		if (!vector_hash(value, &hash[i]))
			return false;
	}
	if (!vector_proof(json_object_get(vector, "proof"), &proof))
		return false;
	if (consistency)
		return proof_consistency_ok(&proof, number[0], &hash[0], number[1], &hash[1]);
	return proof_inclusion_ok(&proof, number[0], &hash[0], number[1], &hash[1]);
}

/* The library of the vectors knows no consistency with the empty tree. tlog-witness does: old size
 * 0, no proof; and so do we, if the root given for it is the empty tree's. */
#define EMPTY_TREE_VECTOR "size1-is-zero-and-size2-is-not-zero.json"

static void vector_check(const char *path)
{
	bool want_accepted;
	json_error_t error;
	json_t *vector = json_load_file(path, JSON_DECODE_INT_AS_REAL, &error);
	const json_t *want_error;

	if (vector == NULL)
		fail_msg("%s: %s", path, error.text);
	want_error = json_object_get(vector, "wantErr");
	assert_true(json_is_boolean(want_error));
	want_accepted = json_is_false(want_error) || strstr(path, EMPTY_TREE_VECTOR) != NULL;
	if (vector_accepted(vector) != want_accepted)
		fail_msg("%s: %s", path, want_accepted ? "refused" : "accepted");
	json_decref(vector);
}

/* Every .json below; the number of them. */
static size_t vector_walk(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *item;
	size_t count = 0;

	if (dir == NULL)
		return 0;
	while ((item = readdir(dir)) != NULL) {
		char path[4096];
		size_t length = strlen(item->d_name);

		if (item->d_name[0] == '.')
			continue;
		assert_true(snprintf(path, sizeof(path), "%s/%s", folder, item->d_name) <
			    (int)sizeof(path));
		if (length > 5 && strcmp(item->d_name + length - 5, ".json") == 0) {
			vector_check(path);
			count++;
		} else {
			count += vector_walk(path);
		}
	}
	closedir(dir);
	return count;
}

static void test_vectors(void **state)
{
	const char *folders[] = {SAUTI_SOURCE_DIR "/tests/vectors/merkle",
		SAUTI_SOURCE_DIR "/../shared/vectors/merkle"};
	const char *kinds[] = {"inclusion", "consistency"};
	bool found = false;

	for (size_t f = 0; f < 2; f++) {
		for (size_t k = 0; k < 2; k++) {
			char path[4096];
			size_t count;

			snprintf(path, sizeof(path), "%s/%s", folders[f], kinds[k]);
			count = vector_walk(path);
			if (count > 0)
				print_message("%zu %s vectors\n", count, kinds[k]);
			found |= count > 0;
		}
	}
	if (!found) {
		print_message(
			"no Merkle vectors: put testdata/inclusion and testdata/consistency of "
			"github.com/transparency-dev/merkle into tests/vectors/merkle\n");
		skip();
	}
}

/* A perfect subtree at once is its leaves one by one, wherever it may stand. */
static void test_subtrees(void **state)
{
	struct hash leaf = {{1}};

	(void)state;
	for (unsigned level = 0; level < 10; level++) {
		struct compact subtree, slow, fast;
		struct hash a, b;

		compact_init(&subtree);
		for (unsigned i = 0; i < 1U << level; i++)
			compact_append(&subtree, &leaf);
		compact_init(&slow);
		compact_init(&fast);
		for (unsigned n = 0; n < 7; n++) {
			compact_append_node(&fast, level, &subtree.peaks[0]);
			for (unsigned i = 0; i < 1U << level; i++)
				compact_append(&slow, &leaf);
			compact_root(&slow, &a);
			compact_root(&fast, &b);
			assert_int_equal(fast.size, slow.size);
			assert_true(hash_equal(&a, &b));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hashes),
		cmocka_unit_test(test_roots),
		cmocka_unit_test(test_subtrees),
		cmocka_unit_test(test_inclusion),
		cmocka_unit_test(test_consistency),
		cmocka_unit_test(test_inclusion_tampered),
		cmocka_unit_test(test_inclusion_misplaced),
		cmocka_unit_test(test_consistency_tampered),
		cmocka_unit_test(test_consistency_misplaced),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_source_fails),
		cmocka_unit_test(test_vectors),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
