#include "tests/sim/faults.h"

#include "tests/sim/links.h"
#include "tests/sim/nodes.h"

void faults_next(struct world *world)
{
	struct node *a = &world->nodes[world_random(world, world->node_count)];
	struct node *b = &world->nodes[world_random(world, world->node_count)];
	bool *cut = &world->cut[a->number][b->number];

	switch (world_random(world, 3)) {
	case 0:
		if (a->engine != NULL)
			node_crash(world, a);
		break;
	case 1:
		if (a == b)
			break;
		world->cuts++;
		world_say(world, "the connections between %s and %s are cut", a->name, b->name);
		links_cut(world, a, b);
		break;
	default:
		if (a == b)
			break;
		*cut = !*cut;
		world->cut[b->number][a->number] = *cut;
		world_say(world, "%s and %s %s each other", a->name, b->name,
			*cut ? "cannot reach" : "reach");
		if (*cut)
			links_cut(world, a, b);
		break;
	}
	if (world->now_ms < WORK_MS)
		queue_plan(world, 500 + world_random(world, 15000), ITEM_FAULT, NULL);
}

void faults_stop(struct world *world)
{
	world_say(world, "from now on nothing breaks");
	world->faults = false;
	memset(world->cut, 0, sizeof(world->cut));
	/* A connection on which bytes were changed or swallowed may hang: no honest node would be
	 * on it, and who was hostile is honest from now on, or mute for ever. */
	for (struct link *l = world->links; l != NULL; l = l->next) {
		bool tampered =
			l->end[0].node == world->hostile || l->end[1].node == world->hostile;

		if (l->dead || (world->corrupted == 0 && (!tampered || world->mute)))
			continue;
		l->dead = true;
		link_hang_up(world, &l->end[0], 1);
		link_hang_up(world, &l->end[1], 1);
	}
}
