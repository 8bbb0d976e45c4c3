/*
 * Proofs from anybody, against an honest tree: u8 kind, u8 a, u8 b, 32 bytes, then the hashes of
 * the proof. What verifies is true: a root is the tree's, a leaf is the one that stands there. Kind
 * even: consistency of size a with the 32 bytes as its root to size b; odd: inclusion of the 32
 * bytes as the leaf at a in size b.
 */
#include <assert.h>

#include "base/cursor.h"
#include "replication/log/tree.h"

enum { LEAVES = 255 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct hash leaves[LEAVES], roots[LEAVES + 1];

static void start(void)
{
	static bool started;
	struct compact compact;

	if (started)
		return;
	started = crypto_init() == OK;
	assert(started);
	compact_init(&compact);
	compact_root(&compact, &roots[0]);
	for (unsigned i = 0; i < LEAVES; i++) {
		uint8_t entry = (uint8_t)i;

		tree_leaf(bytes_make(&entry, 1), &leaves[i]);
		compact_append(&compact, &leaves[i]);
		compact_root(&compact, &roots[i + 1]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor cursor = cursor_make(bytes_make(data, size));
	uint8_t kind = cursor_u8(&cursor), a = cursor_u8(&cursor), b = cursor_u8(&cursor);
	struct proof proof = {0};
	struct hash hash = {{0}};

	start();
	cursor_copy(&cursor, hash.b, HASH_SIZE);
	while (cursor.rest.size >= HASH_SIZE && proof.count < LIMIT_PROOF_HASHES)
		cursor_copy(&cursor, proof.hashes[proof.count++].b, HASH_SIZE);
	if (cursor.err != OK)
		return 0;
	if (kind % 2 == 0 && proof_consistency_ok(&proof, a, &hash, b, &roots[b])) {
		assert(a <= b);
		assert(hash_equal(&hash, &roots[a]));
	}
	if (kind % 2 == 1 && proof_inclusion_ok(&proof, a, &hash, b, &roots[b])) {
		assert(a < b);
		assert(hash_equal(&hash, &leaves[a]));
	}
	return 0;
}
