#include "replication/log/tree.h"

#include <assert.h>

void tree_leaf(struct bytes entry, struct hash *ret)
{
	sha256_leaf(0x00, entry, ret);
}

void tree_node(const struct hash *left, const struct hash *right, struct hash *ret)
{
	sha256_node(0x01, left, right, ret);
}

void tree_empty(struct hash *ret)
{
	sha256(BYTES_NONE, ret);
}

static unsigned bit_count(uint64_t v)
{
	return (unsigned)__builtin_popcountll(v);
}

/* The position of the highest 1 bit; v > 0. */
static unsigned bit_top(uint64_t v)
{
	return 63 - (unsigned)__builtin_clzll(v);
}

/* The root of adjacent subtrees, largest first: each is the left child of all that follow. */
static void fold_peaks(const struct hash *peaks, size_t count, struct hash *ret)
{
	struct hash root = peaks[count - 1];

	for (size_t i = count - 1; i-- > 0;)
		tree_node(&peaks[i], &root, &root);
	*ret = root;
}

void compact_init(struct compact *compact)
{
	*compact = (struct compact){0};
}

void compact_append(struct compact *compact, const struct hash *leaf)
{
	compact_append_node(compact, 0, leaf);
}

void compact_append_node(struct compact *compact, unsigned level, const struct hash *root)
{
	uint64_t size = compact->size >> level;
	unsigned count = bit_count(size);
	struct hash node = *root;

	assert(size << level == compact->size && compact->size < LIMIT_LOG_SIZE);
	/* Every trailing 1 bit of the size is a peak as large as the new node has become. */
	for (; size & 1; size >>= 1)
		tree_node(&compact->peaks[--count], &node, &node);
	compact->peaks[count] = node;
	compact->size += UINT64_C(1) << level;
}

void compact_root(const struct compact *compact, struct hash *ret)
{
	if (compact->size == 0)
		tree_empty(ret);
	else
		fold_peaks(compact->peaks, bit_count(compact->size), ret);
}

/*
 * Where a verifier stands on its way up: the index of the node and of the last node of its level.
 * The node is a right child when the index is odd; when it is the last of its level and even, it
 * has no sibling there and is carried up as it is (the inner loop of the RFC, which copies of the
 * algorithm like to lose and then refuse good proofs at the right edge).
 */
struct climb {
	uint64_t index, last;
};

static bool climb_is_right(const struct climb *climb)
{
	return (climb->index & 1) || climb->index == climb->last;
}

static void climb_up(struct climb *climb)
{
	if (climb->index == climb->last) {
		while (!(climb->index & 1) && climb->index != 0) {
			climb->index >>= 1;
			climb->last >>= 1;
		}
	}
	climb->index >>= 1;
	climb->last >>= 1;
}

bool proof_inclusion_ok(const struct proof *proof, uint64_t index, const struct hash *leaf,
	uint64_t size, const struct hash *root)
{
	struct climb climb = {index, size - 1};
	struct hash hash = *leaf;

	if (index >= size || proof->count > LIMIT_PROOF_HASHES)
		return false;
	for (size_t i = 0; i < proof->count; i++) {
		if (climb.last == 0)
			return false;
		if (climb_is_right(&climb))
			tree_node(&proof->hashes[i], &hash, &hash);
		else
			tree_node(&hash, &proof->hashes[i], &hash);
		climb_up(&climb);
	}
	return climb.last == 0 && hash_equal(&hash, root);
}

/* Equal sizes and the empty tree, which the algorithm of the RFC does not cover. */
static bool consistency_trivial_ok(const struct proof *proof, uint64_t size1,
	const struct hash *root1, uint64_t size2, const struct hash *root2)
{
	struct hash empty;

	if (proof->count != 0 || (size1 == size2 && !hash_equal(root1, root2)))
		return false;
	tree_empty(&empty);
	return size1 != 0 || hash_equal(root1, &empty);
}

/* Both roots that a proof leads to. seed: of a first tree that is perfect, which is a node of the
 * second and not in the proof; NULL: it is in the proof. */
static bool consistency_climb(const struct proof *proof, struct climb climb,
	const struct hash *seed, struct hash *ret_hash1, struct hash *ret_hash2)
{
	struct hash hash1, hash2;
	size_t i = 0;

	if (proof->count == 0)
		return false;
	hash1 = seed != NULL ? *seed : proof->hashes[i++];
	hash2 = hash1;
	while (climb.index & 1) {
		climb.index >>= 1;
		climb.last >>= 1;
	}
	for (; i < proof->count; i++) {
		if (climb.last == 0)
			return false;
		if (climb_is_right(&climb)) {
			tree_node(&proof->hashes[i], &hash1, &hash1);
			tree_node(&proof->hashes[i], &hash2, &hash2);
		} else {
			tree_node(&hash2, &proof->hashes[i], &hash2);
		}
		climb_up(&climb);
	}
	*ret_hash1 = hash1;
	*ret_hash2 = hash2;
	return climb.last == 0;
}

static bool is_perfect(uint64_t size)
{
	return (size & (size - 1)) == 0;
}

bool proof_consistency_ok(const struct proof *proof, uint64_t size1, const struct hash *root1,
	uint64_t size2, const struct hash *root2)
{
	struct hash hash1, hash2;

	if (size1 > size2 || proof->count > LIMIT_PROOF_HASHES)
		return false;
	if (size1 == 0 || size1 == size2)
		return consistency_trivial_ok(proof, size1, root1, size2, root2);
	return consistency_climb(proof, (struct climb){size1 - 1, size2 - 1},
		       is_perfect(size1) ? root1 : NULL, &hash1, &hash2) &&
	       hash_equal(&hash1, root1) && hash_equal(&hash2, root2);
}

bool proof_consistency_from(const struct proof *proof, uint64_t size1, uint64_t size2,
	const struct hash *root2, struct hash *ret_root1)
{
	struct hash hash1, hash2;

	if (size1 == 0 || size1 >= size2 || proof->count > LIMIT_PROOF_HASHES ||
		is_perfect(size1) ||
		!consistency_climb(
			proof, (struct climb){size1 - 1, size2 - 1}, NULL, &hash1, &hash2) ||
		!hash_equal(&hash2, root2))
		return false;
	*ret_root1 = hash1;
	return true;
}

/* The perfect subtrees of leaves [first, first + size), largest first, into ret (room for one per
 * 1 bit of size). first is a multiple of the smallest power of two >= size. */
static enum err load_peaks(
	const struct tree_source *source, uint64_t first, uint64_t size, struct hash *ret)
{
	while (size != 0) {
		unsigned level = bit_top(size);

		TRY(source->node(source->arg, level, first >> level, ret++));
		first += UINT64_C(1) << level;
		size -= UINT64_C(1) << level;
	}
	return OK;
}

enum err compact_load(struct compact *compact, const struct tree_source *source, uint64_t size)
{
	struct compact loaded = {.size = size};

	if (size > LIMIT_LOG_SIZE)
		return ERR_INVALID;
	TRY(load_peaks(source, 0, size, loaded.peaks));
	*compact = loaded;
	return OK;
}

/* The root of leaves [first, first + size); size >= 1, first as for load_peaks. */
static enum err load_root(
	const struct tree_source *source, uint64_t first, uint64_t size, struct hash *ret)
{
	struct hash peaks[64];

	TRY(load_peaks(source, first, size, peaks));
	fold_peaks(peaks, bit_count(size), ret);
	return OK;
}

enum err tree_root(const struct tree_source *source, uint64_t size, struct hash *ret)
{
	if (size == 0 || size > LIMIT_LOG_SIZE)
		return ERR_INVALID;
	return load_root(source, 0, size, ret);
}

/* A proof is found from the root down, and stands leaf side first. */
static void proof_reverse(struct proof *proof)
{
	for (size_t i = 0, j = proof->count; i + 1 < j; i++) {
		struct hash hash = proof->hashes[i];

		proof->hashes[i] = proof->hashes[--j];
		proof->hashes[j] = hash;
	}
}

static enum err proof_add(
	struct proof *proof, const struct tree_source *source, uint64_t first, uint64_t size)
{
	assert(proof->count < LIMIT_PROOF_HASHES);
	TRY(load_root(source, first, size, &proof->hashes[proof->count]));
	proof->count++;
	return OK;
}

/* RFC 6962 2.1.1. Only one sibling on the way is not perfect (the right one where the way leaves
 * the right edge), so all of it takes O(log size) nodes. */
enum err tree_prove_inclusion(
	const struct tree_source *source, uint64_t index, uint64_t size, struct proof *ret)
{
	struct proof proof = {0};
	uint64_t first = 0;

	if (index >= size || size > LIMIT_LOG_SIZE)
		return ERR_INVALID;
	while (size > 1) {
		uint64_t left = UINT64_C(1) << bit_top(size - 1);

		if (index - first < left) {
			TRY(proof_add(&proof, source, first + left, size - left));
			size = left;
		} else {
			TRY(proof_add(&proof, source, first, left));
			first += left;
			size -= left;
		}
	}
	proof_reverse(&proof);
	*ret = proof;
	return OK;
}

/* RFC 6962 2.1.2, SUBPROOF as a loop: `rest` is m, and first says whether b still holds. */
enum err tree_prove_consistency(
	const struct tree_source *source, uint64_t size1, uint64_t size2, struct proof *ret)
{
	struct proof proof = {0};
	uint64_t first = 0, rest = size1, size = size2;

	if (size1 > size2 || size2 > LIMIT_LOG_SIZE)
		return ERR_INVALID;
	while (size1 != 0 && rest != size) {
		uint64_t left = UINT64_C(1) << bit_top(size - 1);

		if (rest <= left) {
			TRY(proof_add(&proof, source, first + left, size - left));
			size = left;
		} else {
			TRY(proof_add(&proof, source, first, left));
			first += left;
			rest -= left;
			size -= left;
		}
	}
	if (first != 0)
		TRY(proof_add(&proof, source, first, size));
	proof_reverse(&proof);
	*ret = proof;
	return OK;
}
