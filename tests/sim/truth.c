#include "tests/sim/truth.h"

#include <assert.h>

#include "base/alloc.h"
#include "tests/sim/check.h"

enum { SIZE_MAX_HERE = 1 << 20 }; /* no log of the simulator grows so long */

void truths_release(struct truths *truths)
{
	for (size_t i = 0; i < truths->count; i++) {
		mem_free(truths->list[i]->at);
		mem_free(truths->list[i]);
	}
	mem_free(truths->list);
}

bool truth_is_branch(const char *name)
{
	return strchr(name, '~') != NULL;
}

struct truth *truth_find(const struct world *world, const char *origin)
{
	const struct truths *truths = &world->check->truths;

	for (size_t i = 0; i < truths->count; i++)
		if (strcmp(truths->list[i]->origin.text, origin) == 0)
			return truths->list[i];
	return NULL;
}

/* Whose it is, and under which key. */
static void truth_attribute(struct world *world, struct truth *truth)
{
	if (strcmp(truth->origin.text, world->directory.text) == 0) {
		truth->author = &world->nodes[0];
		truth->key = world->directory_key;
		return;
	}
	for (size_t i = 0; i < world->node_count; i++)
		if (strcmp(truth->origin.text, world->nodes[i].keys.origin.text) == 0) {
			truth->author = &world->nodes[i];
			truth->key = world->nodes[i].keys.log;
			return;
		}
}

struct truth *truth_of(struct world *world, const char *origin)
{
	struct truths *truths = &world->check->truths;
	struct truth *truth = truth_find(world, origin);

	if (truth != NULL)
		return truth;
	truth = mem_zalloc(sizeof(*truth));
	truths->list = mem_resize(truths->list, (truths->count + 1) * sizeof(struct truth *));
	assert(truth != NULL && truths->list != NULL);
	snprintf(truth->origin.text, sizeof(truth->origin.text), "%s", origin);
	truth->number = truths->count;
	truth->forked = truth_is_branch(origin);
	truth_attribute(world, truth);
	compact_init(&truth->compact);
	truths->list[truths->count++] = truth;
	return truth;
}

struct truth_at *truth_at(struct truth *truth, uint64_t size)
{
	assert(size < SIZE_MAX_HERE);
	if (size >= truth->capacity) {
		size_t capacity = 2 * (size_t)size + 16;

		truth->at = mem_resize(truth->at, capacity * sizeof(*truth->at));
		assert(truth->at != NULL);
		memset(truth->at + truth->capacity, 0,
			(capacity - truth->capacity) * sizeof(*truth->at));
		truth->capacity = capacity;
	}
	return &truth->at[size];
}

const struct hash *truth_root(struct truth *truth, uint64_t size)
{
	assert(size <= truth->size);
	truth_at(truth, truth->size);
	while (truth->prefixes <= size) {
		if (truth->prefixes > 0)
			compact_append(&truth->compact, &truth->at[truth->prefixes - 1].leaf);
		compact_root(&truth->compact, &truth->at[truth->prefixes++].prefix);
	}
	return &truth->at[size].prefix;
}

void truth_append(struct truth *truth, const struct hash *leaf)
{
	truth_at(truth, truth->size)->leaf = *leaf;
	truth->size++;
}

void truth_one_root(struct world *world, const struct node *node,
	const struct checkpoint *checkpoint, const char *how)
{
	struct truth *truth = truth_of(world, checkpoint->origin.text);
	struct truth_at *at = truth_at(truth, checkpoint->size);

	if (at->known && !hash_equal(&at->root, &checkpoint->root) && !truth->forked)
		world_fail(world, "%s %s a second root of %s at size %llu", node->name, how,
			truth->origin.text, (unsigned long long)checkpoint->size);
	at->known = true;
	at->root = checkpoint->root;
}

void truth_note_signed(struct world *world, const struct node *node, struct bytes note,
	const struct checkpoint *checkpoint, const char *how)
{
	struct truth *truth = truth_of(world, checkpoint->origin.text);
	struct truth_at *at = truth_at(truth, checkpoint->size);
	struct hash hash;
	struct note_key key;
	struct checkpoint opened;

	sha256(note, &hash);
	if (hash_equal(&hash, &at->note))
		return;
	if (truth->key == NULL ||
		log_note_key(&checkpoint->origin, signer_public(truth->key), &key) != OK ||
		checkpoint_open(note, &key, &opened, NULL, NULL) != OK)
		world_fail(world, "%s %s a checkpoint of %s that its author did not sign",
			node->name, how, checkpoint->origin.text);
	at->note = hash;
}
