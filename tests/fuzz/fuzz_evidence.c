/*
 * Evidence of a fork from anybody. A fuzzer forges no signatures, so there are two ways in:
 *
 *   first byte even   the rest is a message, verified under the key that its own LogOpened gives:
 *                     what verifies holds together, and is made again from its parts as it was
 *   first byte odd    u8 m, u8 n, then 32-byte hashes: two checkpoints of one honest log, signed
 *                     here, with whatever root and proof the input has. That is never evidence.
 */
#include <assert.h>

#include "base/cursor.h"
#include "replication/log/evidence.h"

#define ORIGIN "ovra.example/haiti/1-0123456789abcdef"
enum { LEAVES = 40 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct signer *signer;
static struct note_key key;
static struct buf notes[LEAVES + 1];

static void start(void)
{
	static const uint8_t seed[ED25519_SEED_SIZE] = {7};
	struct checkpoint checkpoint = {.origin = {ORIGIN}};
	struct compact compact;
	enum err err;

	if (signer != NULL)
		return;
	err = crypto_init();
	assert(err == OK);
	err = signer_new(BYTES_ARRAY(seed), &signer);
	assert(err == OK);
	err = log_note_key(&checkpoint.origin, signer_public(signer), &key);
	assert(err == OK);
	compact_init(&compact);
	for (uint8_t i = 1; i <= LEAVES; i++) {
		struct hash leaf;

		tree_leaf(bytes_make(&i, 1), &leaf);
		compact_append(&compact, &leaf);
		checkpoint.size = i;
		compact_root(&compact, &checkpoint.root);
		buf_init(&notes[i], LIMIT_NOTE_SIZE);
		err = checkpoint_sign(&notes[i], &checkpoint, signer);
		assert(err == OK);
	}
}

static void try_honest(struct bytes data)
{
	struct cursor cursor = cursor_make(data);
	uint8_t m = cursor_u8(&cursor), n = cursor_u8(&cursor);
	struct proof proof = {0};
	struct hash root;
	struct buf out;
	struct evidence_parts parts;

	if (m == 0 || n > LEAVES || m > n)
		return;
	cursor_copy(&cursor, root.b, HASH_SIZE);
	if (cursor.err != OK)
		return;
	while (cursor.rest.size >= HASH_SIZE && proof.count < LIMIT_PROOF_HASHES)
		cursor_copy(&cursor, proof.hashes[proof.count++].b, HASH_SIZE);
	parts = (struct evidence_parts){.a = buf_bytes(&notes[m]),
		.b = buf_bytes(&notes[n]),
		.root = &root,
		.proof = &proof};
	buf_init(&out, LIMIT_EVIDENCE_SIZE);
	assert(evidence_make(&parts, &key, &out, NULL) != OK);
	assert(out.size == 0);
	buf_release(&out);
}

/* Of two keys: in order, of one log, and no log's key verifies it. */
static void try_keys(const struct evidence *evidence, struct bytes data)
{
	struct buf out;

	assert(evidence->smaller.size == 0 && evidence->larger.size == 0);
	assert(memcmp(evidence->smaller.root.b, evidence->larger.root.b, HASH_SIZE) < 0);
	assert(evidence_verify(evidence, &key, NULL) == ERR_UNSUPPORTED);
	buf_init(&out, LIMIT_EVIDENCE_SIZE);
	evidence_write(evidence, &out);
	assert(out.err == OK && out.size <= data.size + 16);
	buf_release(&out);
}

static void try_message(struct bytes data)
{
	struct evidence evidence;
	struct evidence_parts parts;
	struct note_key own;
	struct arena arena;
	struct hash id;
	struct buf out;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	buf_init(&out, LIMIT_EVIDENCE_SIZE);
	if (evidence_parse(data, &arena, &evidence, NULL) == OK) {
		assert(evidence.smaller.size >= 1 || evidence.other.size > 0);
		assert(evidence.smaller.size <= evidence.larger.size);
		assert(strcmp(evidence.smaller.origin.text, evidence.larger.origin.text) == 0);
		evidence_id(&evidence, &id);
		if (evidence.other.size > 0)
			try_keys(&evidence, data);
		if (evidence_key(&evidence, NULL, &own, NULL) == OK &&
			evidence_verify(&evidence, &own, NULL) == OK) {
			bool equal = evidence.smaller.size == evidence.larger.size;

			parts = (struct evidence_parts){.a = evidence.larger_note,
				.b = evidence.smaller_note,
				.root = equal ? NULL : &evidence.root,
				.proof = equal ? NULL : &evidence.proof,
				.opened = evidence.opened};
			assert(evidence_make(&parts, &own, &out, NULL) == OK);
		}
	}
	buf_release(&out);
	arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	start();
	if (size == 0)
		return 0;
	if (data[0] % 2 == 0)
		try_message(bytes_make(data + 1, size - 1));
	else
		try_honest(bytes_make(data + 1, size - 1));
	return 0;
}
