/*
 * truth: what really is in each log: the entries that its author made durable, and every root and
 * note that was ever seen of it. The checkers compare everybody's word with it.
 *
 * Of an author that writes two histories (a hacked node, two machines with one identity, a disk put
 * back together with its guard) there is no one truth: `forked` says so, and only what its own
 * signatures prove is asked of its log.
 */
#ifndef TESTS_SIM_TRUTH_H
#define TESTS_SIM_TRUTH_H

#include "tests/sim/world.h"

/* At one size or index. */
struct truth_at {
	bool known; /* a root of that size */
	struct hash root;
	struct hash note;   /* of the note at that size, once its signature was verified */
	struct hash leaf;   /* of the entry at that index, below truth->size */
	struct hash prefix; /* the root of the first so many leaves, below truth->prefixes */
};

struct truth {
	struct origin origin;
	struct node *author;
	const struct signer *key; /* borrowed */
	size_t number;
	bool forked;
	size_t size;                  /* the author's durable size, at most */
	uint64_t cosigned[NODES_MAX]; /* by each machine, the largest */
	struct truth_at *at;
	size_t capacity, prefixes;
	struct compact compact; /* of the first prefixes - 1 leaves */
};

struct truths {
	struct truth **list;
	size_t count;
};
void truths_release(struct truths *truths);

/* NULL when no honest node ever had it. */
/* Of a log that has two histories one is held under its own name; what it holds is what its one
 * checkpoint proves. */
bool truth_is_branch(const char *name);
struct truth *truth_find(const struct world *world, const char *origin);
/* Made when it is not there: somebody honest has it. */
struct truth *truth_of(struct world *world, const char *origin);
struct truth_at *truth_at(struct truth *truth, uint64_t size);
/* The root that the author's first `size` entries have, size <= truth->size. Valid until more is
 * looked at. */
const struct hash *truth_root(struct truth *truth, uint64_t size);
/* The author's next entry. */
void truth_append(struct truth *truth, const struct hash *leaf);

/* A checkpoint came into being that others may see: the only one of its size. */
void truth_one_root(struct world *world, const struct node *node,
	const struct checkpoint *checkpoint, const char *how);
/* The author's signature stands on the note. Verified once: there is one note per text. */
void truth_note_signed(struct world *world, const struct node *node, struct bytes note,
	const struct checkpoint *checkpoint, const char *how);

#endif
