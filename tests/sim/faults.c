#include "tests/sim/faults.h"

#include "tests/sim/check.h"
#include "tests/sim/genesis.h"
#include "tests/sim/links.h"
#include "tests/sim/nodes.h"

enum { YEAR_S = 366 * 24 * 3600, BRIGHT_MS = 3600 * 1000 };

static struct node *any_node(struct world *world)
{
	return &world->nodes[world_random(world, world->node_count)];
}

static void power(struct world *world, struct node *a, struct node *b)
{
	if (a->engine != NULL)
		node_crash(world, a);
}

static void cut(struct world *world, struct node *a, struct node *b)
{
	if (a == b)
		return;
	world->counts.cuts++;
	world_say(world, "the connections between %s and %s are cut", a->name, b->name);
	links_cut(world, a, b);
}

static void partition(struct world *world, struct node *a, struct node *b)
{
	bool *is_cut = &world->cut[a->number][b->number];

	if (a == b || world->shape.dark)
		return;
	*is_cut = !*is_cut;
	world->cut[b->number][a->number] = *is_cut;
	world_say(world, "%s and %s %s each other", a->name, b->name,
		*is_cut ? "cannot reach" : "reach");
	if (*is_cut)
		links_cut(world, a, b);
}

static void half_open(struct world *world, struct node *a, struct node *b)
{
	if (a == b)
		return;
	world_say(world, "what %s says to %s is lost", a->name, b->name);
	links_half_open(world, a, b);
}

static void disk(struct world *world, struct node *a, struct node *b)
{
	static const enum err errors[] = {ERR_IO, ERR_FULL};

	a->fault = (struct disk_fault){
		.error = errors[world_random(world, 2)],
		.after = (unsigned)world_random(world, 8),
		.count = (unsigned)world_random(world, 6),
		.misreports = world_random(world, 3) == 0,
	};
	world_say(world, "the disk of %s will fail: %s", a->name, err_text(a->fault.error));
}

static void clock_jump(struct world *world, struct node *a, struct node *b)
{
	a->clock_s = (int64_t)world_random(world, 40 * (uint64_t)YEAR_S) - 20 * (int64_t)YEAR_S;
	world_say(world, "the clock of %s jumps: %lld s off", a->name, (long long)a->clock_s);
}

/* A copy of the disk is made; the next time it is put back while the machine is down. */
static void restore(struct world *world, struct node *a, struct node *b)
{
	if (a->twin != NULL || a == world->hostile)
		return;
	if (!a->imaged && a->admitted && a->disk.log_count > 0) {
		node_image(a);
		return;
	}
	if (a->engine != NULL)
		node_crash(world, a);
	node_restore(world, a);
}

/* Somebody starts a copy of a machine, its guard included, and lets the first one run on. */
static void twin(struct world *world, struct node *a, struct node *b)
{
	struct node *copy = &world->nodes[world->node_count];

	if (world->node_count > world->shape.nodes || a->number == 0 || a->engine == NULL ||
		disk_find(&a->disk, &a->keys.origin) == NULL)
		return;
	check_forks(world, a);
	*copy = (struct node){.number = world->node_count,
		.place = a->place,
		.keys = a->keys,
		.guard = a->guard,
		.clock_s = a->clock_s,
		.admitted = true,
		.appends = 1000000,
		.twin = a};
	snprintf(copy->name, sizeof(copy->name), "%s", a->name);
	disk_copy(&a->disk, &copy->disk);
	a->twin = copy;
	world->node_count++;
	world_say(world, "a copy of %s is started on a second machine", a->name);
	node_boot(world, copy);
	queue_plan(world, world_random(world, 5000), ITEM_APPEND, copy);
}

/* Those that are in every seed, and those that the shape of the world says. */
typedef void (*fault_fn)(struct world *world, struct node *a, struct node *b);
static const fault_fn usual[] = {power, cut, partition};

static size_t special(const struct shape *shape, fault_fn ret[8])
{
	size_t count = 0;

	if (shape->half_open)
		ret[count++] = half_open;
	if (shape->disk_errors)
		ret[count++] = disk;
	if (shape->clocks)
		ret[count++] = clock_jump;
	if (shape->restores)
		ret[count++] = restore;
	if (shape->twin)
		ret[count++] = twin;
	return count;
}

void faults_next(struct world *world)
{
	struct node *a = any_node(world), *b = any_node(world);
	fault_fn list[8];
	size_t count = special(&world->shape, list);

	if (count > 0 && world_random(world, 2) == 0)
		list[world_random(world, count)](world, a, b);
	else
		usual[world_random(world, 3)](world, a, b);
	if (world->shape.mode == MODE_SAFETY || world->now_ms < world->shape.work_ms)
		queue_plan(
			world, 500 + world_random(world, world->shape.fault_ms), ITEM_FAULT, NULL);
}

void faults_darkness(struct world *world)
{
	if (!world->faults)
		return;
	world_say(world, "nobody reaches anybody any more");
	for (size_t i = 0; i < world->node_count; i++)
		for (size_t k = 0; k < world->node_count; k++) {
			world->cut[i][k] = true;
			if (i < k)
				links_cut(world, &world->nodes[i], &world->nodes[k]);
		}
}

void faults_begin(struct world *world)
{
	queue_plan(world, world_random(world, 10000), ITEM_FAULT, NULL);
	if (world->shape.dark)
		queue_plan(world, BRIGHT_MS, ITEM_DARK, NULL);
}

/* Of two machines with one identity one is found, and switched off for good. */
static void part_twins(struct world *world)
{
	struct node *copy = &world->nodes[world->node_count - 1], *gone;

	if (copy->twin == NULL)
		return;
	gone = world_random(world, 2) == 0 ? copy : copy->twin;
	if (gone->engine != NULL)
		node_crash(world, gone);
	gone->gone = true;
	world_say(world, "one of the two machines of %s is switched off for good", gone->name);
}

void faults_stop(struct world *world)
{
	world_say(world, "from now on nothing breaks");
	world->faults = false;
	world->stopped_ms = world->now_ms;
	memset(world->cut, 0, sizeof(world->cut));
	for (size_t i = 0; i < world->node_count; i++)
		if (!world->nodes[i].fault.misreports)
			world->nodes[i].fault = (struct disk_fault){.error = OK};
	part_twins(world);
	/* A connection on which bytes were changed or swallowed may hang: no honest node would be
	 * on it, and who was hostile is honest from now on, or mute for ever. */
	for (struct link *l = world->links; l != NULL; l = l->next) {
		bool tampered =
			l->end[0].node == world->hostile || l->end[1].node == world->hostile;

		if (l->dead || (world->counts.corrupted == 0 && (!tampered || world->mute)))
			continue;
		l->dead = true;
		link_hang_up(world, &l->end[0], 1);
		link_hang_up(world, &l->end[1], 1);
	}
}
