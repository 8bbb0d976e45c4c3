/*
 * What must be in the end, once faults have stopped.
 */
#include "tests/sim/check.h"
#include "tests/sim/post.h"

static void holds_all(struct world *world, struct node *node, const struct disk_log *theirs)
{
	struct disk_log *ours = disk_find(&node->disk, &theirs->origin);

	if (ours == NULL || ours->size != theirs->size)
		world_fail(world, "in the end %s holds %zu of %zu entries of %s", node->name,
			ours == NULL ? 0 : ours->size, theirs->size, theirs->origin.text);
	else if (!bytes_equal(buf_bytes(&ours->checkpoint), buf_bytes(&theirs->checkpoint)))
		world_fail(world, "in the end %s has another checkpoint of %s", node->name,
			theirs->origin.text);
}

static void is_stored(struct world *world, const struct node *author, const struct origin *origin,
	const struct engine_cosigned *cosigned)
{
	const struct disk_log *log = disk_find((struct disk *)&author->disk, origin);

	for (size_t i = 0; log != NULL && i < log->cosigned_count; i++)
		if (strcmp(log->cosigned[i].cosigner, cosigned->node) == 0 && /* its mirror's */
			log->cosigned[i].size == cosigned->size)
			return;
	world_fail(world, "in the end %s has not stored what %s cosigned of %s", author->name,
		cosigned->node, origin->text);
}

static void is_cosigned(struct world *world, const struct node *author, const struct origin *origin,
	const struct node *mirror)
{
	struct engine_log log;
	size_t position;

	if (!engine_log_find(author->engine, bytes_str(origin->text), &log, &position)) {
		world_fail(world, "%s does not know its own log", author->name);
		return;
	}
	for (size_t i = 0; i < log.cosigned; i++) {
		struct engine_cosigned c;

		engine_cosigned_at(author->engine, position, i, &c);
		if (strcmp(c.node, mirror->name) == 0 && !c.witness &&
			c.size == log.checkpoint_size) {
			is_stored(world, author, origin, &c);
			return;
		}
	}
	world_fail(world, "in the end %s has no cosignature of %s on %s at size %llu", author->name,
		mirror->name, origin->text, (unsigned long long)log.checkpoint_size);
}

/* A node that holds what others must hold: up, and honest about it. */
static bool counts(const struct world *world, const struct node *node)
{
	return !node->gone;
}

static void log_converged(struct world *world, struct node *author, const struct origin *origin)
{
	struct disk_log *log = disk_find(&author->disk, origin);

	if (log == NULL) {
		world_fail(world, "%s never opened its log", author->name);
		return;
	}
	for (size_t i = 0; i < world->node_count; i++) {
		struct node *node = &world->nodes[i];

		if (node == author || !counts(world, node) || node->twin == author)
			continue;
		holds_all(world, node, log);
		is_cosigned(world, author, origin, node);
	}
}

static void one_connection_each(struct world *world)
{
	for (size_t i = 0; i < world->node_count; i++)
		for (size_t k = 0; k < i; k++)
			if (links_between(world, &world->nodes[i], &world->nodes[k]) > 1)
				world_fail(world, "in the end %s and %s have two connections",
					world->nodes[i].name, world->nodes[k].name);
}

/* Guards that had to wait for others have what they waited for. */
static void is_whole(struct world *world, struct node *node)
{
	if (node->engine == NULL)
		world_fail(world, "%s is down", node->name);
	else if (node->guard.verdict == GUARD_BEHIND)
		world_fail(world, "in the end %s has not got back its own entries", node->name);
	else if (node->guard.paused)
		world_fail(world, "in the end %s cosigns nothing yet", node->name);
}

static bool knows(const struct node *node, const struct hash *id)
{
	for (size_t i = 0; i < node->disk.evidence_count; i++)
		if (hash_equal(&node->disk.evidence[i].id, id))
			return true;
	return false;
}

/* Of each fork, whoever is connected to somebody who knows of it knows of it too: the first
 * evidence of its log, or another. */
static void evidence_spread(struct world *world)
{
	for (size_t i = 0; i < world->node_count; i++)
		for (size_t k = 0; k < world->node_count; k++) {
			const struct node *a = &world->nodes[i], *b = &world->nodes[k];

			if (i == k || a == world->hostile || b == world->hostile ||
				!counts(world, a) || !counts(world, b) ||
				links_between(world, a, b) == 0)
				continue;
			if (a->disk.evidence_count > 0 && b->disk.evidence_count == 0)
				world_fail(world, "in the end %s knows of a fork and %s does not",
					a->name, b->name);
			else if (a->disk.evidence_count < LIMIT_EVIDENCE_PER_ORIGIN)
				for (size_t e = 0; e < a->disk.evidence_count; e++)
					if (!knows(b, &a->disk.evidence[e].id))
						world_fail(world,
							"in the end %s has not got evidence that "
							"%s has",
							b->name, a->name);
		}
}

void check_end(struct world *world)
{
	for (size_t i = 0; i < world->node_count; i++)
		if (counts(world, &world->nodes[i]))
			is_whole(world, &world->nodes[i]);
	if (world->failure != NULL)
		return;
	log_converged(world, &world->nodes[0], &world->directory);
	for (size_t i = 0; i < world->node_count; i++) {
		struct node *node = &world->nodes[i];

		if (counts(world, node) && !truth_of(world, node->keys.origin.text)->forked)
			log_converged(world, node, &node->keys.origin);
	}
	for (size_t i = 0; i < world->node_count; i++)
		check_returned(world, &world->nodes[i]);
	one_connection_each(world);
	evidence_spread(world);
	post_check_end(world);
}
