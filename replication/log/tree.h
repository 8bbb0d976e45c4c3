/*
 * The Merkle tree of RFC 6962 section 2.1 over SHA-256, without storage: hashing, the compact
 * range, proofs and their verification.
 *
 * Sizes are counts of leaves, indices are 0-based, at most LIMIT_LOG_SIZE. Proof hashes stand leaf
 * side first. Pure; thread-safe as far as its arguments are.
 */
#ifndef REPLICATION_LOG_TREE_H
#define REPLICATION_LOG_TREE_H

#include "base/crypto.h"
#include "base/limits.h"

/* SHA-256(0x00 || entry) */
void tree_leaf(struct bytes entry, struct hash *ret);
/* SHA-256(0x01 || left || right) */
void tree_node(const struct hash *left, const struct hash *right, struct hash *ret);
/* The root of the empty tree: SHA-256(""). */
void tree_empty(struct hash *ret);

/* The compact range [0, size): the roots of the perfect subtrees that size decomposes into, largest
 * (leftmost) first; one for each 1 bit of size. Everything an appender needs. */
struct compact {
	uint64_t size;
	struct hash peaks[64];
};

void compact_init(struct compact *compact); /* the empty tree */
void compact_append(struct compact *compact, const struct hash *leaf);
/* 1 << level leaves at once, by their root; the size before is a multiple of that. */
void compact_append_node(struct compact *compact, unsigned level, const struct hash *root);
void compact_root(const struct compact *compact, struct hash *ret);

struct proof {
	size_t count;
	struct hash hashes[LIMIT_PROOF_HASHES];
};

/* RFC 9162 2.1.3.2: true only if the leaf is at index in the tree (size, root). */
bool proof_inclusion_ok(const struct proof *proof, uint64_t index, const struct hash *leaf,
	uint64_t size, const struct hash *root) MUST_USE;

/* RFC 9162 2.1.4.2: true only if (size1, root1) is a prefix of (size2, root2). size1 == size2: the
 * proof must be empty and the roots equal. size1 == 0: the proof must be empty and root1 the
 * empty root. */
bool proof_consistency_ok(const struct proof *proof, uint64_t size1, const struct hash *root1,
	uint64_t size2, const struct hash *root2) MUST_USE;

/* Which tree of size1 does a proof to (size2, root2) come from? False: it does not lead there; or a
 * tree of that size is one perfect subtree, of which the proof says nothing. 0 < size1 < size2. */
bool proof_consistency_from(const struct proof *proof, uint64_t size1, uint64_t size2,
	const struct hash *root2, struct hash *ret_root1) MUST_USE;

/* Where the hashes of perfect subtrees come from: node(level, index) is the root of leaves
 * [index << level, (index + 1) << level), which all exist. Implementations: tiles.h, tests. */
struct tree_source {
	enum err (*node)(void *arg, unsigned level, uint64_t index, struct hash *ret);
	void *arg;
};

/* Each returns OK or the source's error. size >= 1 unless said otherwise. */
enum err compact_load(struct compact *compact, const struct tree_source *source,
	uint64_t size /* 0 is fine */) MUST_USE;
enum err tree_root(const struct tree_source *source, uint64_t size, struct hash *ret) MUST_USE;
/* ERR_INVALID unless index < size. */
enum err tree_prove_inclusion(const struct tree_source *source, uint64_t index, uint64_t size,
	struct proof *ret) MUST_USE;
/* ERR_INVALID unless size1 <= size2. Empty for size1 == 0 and size1 == size2. */
enum err tree_prove_consistency(const struct tree_source *source, uint64_t size1, uint64_t size2,
	struct proof *ret) MUST_USE;

#endif
