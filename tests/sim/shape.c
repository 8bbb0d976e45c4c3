#include "tests/sim/shape.h"

#include <string.h>

#include "tests/sim/world.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };
#define DAY ((uint64_t)24 * HOUR)

/* ---- scenarios: each changes a part of what the seed chose ---- */

static void small(struct world *world, struct shape *shape)
{
	shape->nodes = 3 + world_random(world, 4);
}

/* Forty offices and headquarters. */
static void big(struct world *world, struct shape *shape)
{
	static const enum topology list[] = {TOPOLOGY_STAR, TOPOLOGY_STAR, TOPOLOGY_HUBS};

	shape->nodes = 41;
	shape->topology = list[world_random(world, 3)];
	shape->slow = false;
	shape->work_ms = 60 * SECOND;
	shape->append_ms = 90 * SECOND;
}

static void dark(struct world *world, struct shape *shape)
{
	shape->dark = true;
	shape->nodes = 3 + world_random(world, 2);
	shape->topology = world_random(world, 2) == 0 ? TOPOLOGY_STAR : TOPOLOGY_CHAIN;
	shape->late = shape->hostile = shape->twin = shape->restores = false;
	shape->forks = shape->mute = false;
	shape->work_ms = 60 * DAY;
	shape->append_ms = 12 * HOUR;
	shape->fault_ms = 3 * DAY;
	shape->dial_max_ms = 5 * MINUTE;
}

static void slow(struct world *world, struct shape *shape)
{
	shape->slow = true;
}

static void rates(struct world *world, struct shape *shape)
{
	shape->rates = true;
}

static void hostile(struct world *world, struct shape *shape)
{
	shape->hostile = true;
	shape->forks = world_random(world, 2) == 0;
	shape->mute = world_random(world, 3) == 0;
	if (shape->mute)
		shape->topology = TOPOLOGY_MESH; /* everybody reaches everybody without it */
	shape->twin = shape->restores = false;
}

static void twins(struct world *world, struct shape *shape)
{
	shape->twin = true;
	shape->hostile = shape->forks = shape->mute = shape->restores = false;
	shape->topology = TOPOLOGY_MESH;
}

static void restored(struct world *world, struct shape *shape)
{
	shape->restores = true;
}

static void disks(struct world *world, struct shape *shape)
{
	shape->disk_slow = world_random(world, 4) == 0;
	shape->disk_errors = true;
}

static void clocks(struct world *world, struct shape *shape)
{
	shape->clocks = true;
}

/* Guests are not simulated: whoever changes its keys must reach headquarters, which knows. */
static void rotated(struct world *world, struct shape *shape)
{
	shape->rotates = true;
	shape->nodes = shape->nodes > 8 ? 8 : shape->nodes; /* a mesh of forty is another matter */
	shape->topology = world_random(world, 2) == 0 ? TOPOLOGY_STAR : TOPOLOGY_MESH;
	shape->late = shape->hostile = shape->twin = shape->restores = false;
	shape->forks = shape->mute = shape->clocks = shape->dark = false;
	shape->work_ms = 150 * SECOND;
}

static void plain(struct world *world, struct shape *shape);

/* Half of them with an author of whose log another history is submitted, and nowhere else shown; a
 * quarter with disks that are put back, and a quarter of both. */
static void witnesses(struct world *world, struct shape *shape)
{
	if (shape->dark)
		plain(world, shape);
	shape->submits = true;
	if (world->seed % 2 == 0)
		hostile(world, shape);
	shape->forks = shape->mute = false;
	shape->submits_forks = world->seed % 2 == 0;
	if (world->seed % 4 < 2)
		restored(world, shape);
	if (world->seed % 2 == 1)
		shape->hostile = shape->twin = false;
}

enum {
	OF_THE_SEED = 1001, /* each eighth is so, and draws nothing for it */
	WHEN_ASKED = 1002, /* by its name alone; nothing is drawn either, so that no seed changes */
};

static const struct scenario {
	const char *name;
	unsigned per_mille; /* of seeds that are so without being asked */
	void (*apply)(struct world *world, struct shape *shape);
} scenarios[] = {
	{"small", 0, small},
	{"slow", 200, slow},
	{"disks", 250, disks},
	{"clocks", 250, clocks},
	{"restored", 100, restored},
	{"hostile", 150, hostile},
	{"twins", 40, twins},
	{"dark", 20, dark},
	{"big", 10, big},
	{"rates", OF_THE_SEED, rates},
	{"witnesses", WHEN_ASKED, witnesses},
	{"rotated", WHEN_ASKED, rotated},
};
enum { SCENARIOS = sizeof(scenarios) / sizeof(*scenarios) };

static const struct scenario *find(const char *name)
{
	for (size_t i = 0; i < SCENARIOS; i++)
		if (strcmp(scenarios[i].name, name) == 0)
			return &scenarios[i];
	return NULL;
}

bool shape_known(const char *scenario)
{
	return find(scenario) != NULL;
}

void shape_list(void)
{
	for (size_t i = 0; i < SCENARIOS; i++)
		fprintf(stderr, "%s%s", i == 0 ? "" : " ", scenarios[i].name);
	fputc('\n', stderr);
}

/* ---- the choice ---- */

static void speed(struct world *world, struct shape *shape)
{
	shape->latency_min_ms = 1;
	shape->latency_more_ms = shape->slow ? 900 : 60;
	shape->bytes_per_ms = shape->slow ? 16 : 2000;
	if (shape->slow && world_random(world, 2) == 0) { /* 64 kbit/s over a satellite */
		shape->latency_min_ms = 600;
		shape->latency_more_ms = 300;
		shape->bytes_per_ms = 8;
		shape->append_ms *= 3;
	}
}

static void plain(struct world *world, struct shape *shape)
{
	*shape = (struct shape){
		.topology = (enum topology)world_random(world, TOPOLOGIES),
		.nodes = 3 + world_random(world, world_chance(world, 80) ? 10 : 4),
		.late = world_random(world, 2) == 0,
		.work_ms = 150 * SECOND,
		.append_ms = 20 * SECOND,
		.fault_ms = 15 * SECOND,
		.dial_max_ms = 20 * SECOND,
		.cosigned_delay_ms = world_random(world, 2) == 0 ? 10 * SECOND : 5 * MINUTE,
		.small_reads = world_chance(world, 160),
		.corrupts = world_chance(world, 200),
		.half_open = world_chance(world, 200),
		.disk_slow = world_chance(world, 60),
		.idle = world_chance(world, 250),
	};
}

void shape_choose(struct world *world, enum mode mode, const char *name)
{
	struct shape *shape = &world->shape;
	bool chosen[SCENARIOS];

	plain(world, shape);
	shape->mode = world_chance(world, 200) ? MODE_SAFETY : MODE_LIVENESS;
	for (size_t i = 0; i < SCENARIOS; i++)
		chosen[i] = scenarios[i].per_mille == OF_THE_SEED ? world->seed % 8 == 0
			    : scenarios[i].per_mille == WHEN_ASKED
				    ? false
				    : world_chance(world, scenarios[i].per_mille);
	for (size_t i = 0; i < SCENARIOS; i++)
		if (chosen[i])
			scenarios[i].apply(world, shape);
	if (name != NULL)
		find(name)->apply(world, shape);
	if (mode != MODE_MIXED)
		shape->mode = mode;
	shape->scenario = name;
	if (shape->topology != TOPOLOGY_MESH)
		shape->mute = false; /* there it may be the only way between others */
	speed(world, shape);
	shape->slow |= shape->disk_slow;
	shape->submits |= world->seed % 4 == 1;
	/* A link found silent, then a cosignature over every hop, each of which may wait for five
	 * minutes; on slow lines all of it once more. A disk that takes seconds for a commit sets
	 * the pace of its links (pace.h): a batch is acknowledged when it is durable. */
	shape->end_ms = (30 + 6 * shape->nodes) * MINUTE *
			(shape->disk_slow                     ? 6
				: shape->slow || shape->rates ? 2
							      : 1);
}

bool shape_dials(const struct world *world, size_t from, size_t to)
{
	if (from == to)
		return false;
	switch (world->shape.topology) {
	case TOPOLOGY_STAR:
		return to == 0;
	case TOPOLOGY_CHAIN:
		return to + 1 == from;
	case TOPOLOGY_HUBS:
		return from < 2 ? to == 0 : to == from % 2 || (from % 3 == 0 && to < 2);
	case TOPOLOGY_MESH:
		break;
	}
	return true;
}

void shape_tell(const struct world *world)
{
	static const char *const topologies[] = {"a star", "a chain", "two hubs", "a mesh"};
	const struct shape *s = &world->shape;

	world_say(world,
		"%zu nodes in %s, %llu bytes a ms, %llu to %llu ms%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s",
		s->nodes, topologies[s->topology], (unsigned long long)s->bytes_per_ms,
		(unsigned long long)s->latency_min_ms,
		(unsigned long long)(s->latency_min_ms + s->latency_more_ms),
		s->mode == MODE_SAFETY ? "; faults to the end" : "",
		s->rates ? "; some set a rate" : "", s->corrupts ? "; bits change" : "",
		s->half_open ? "; connections half open" : "",
		s->disk_slow ? "; disks are slow" : "", s->disk_errors ? "; disks fail" : "",
		s->clocks ? "; clocks jump" : "", s->restores ? "; old disks are put back" : "",
		s->twin ? "; a twin" : "", s->dark ? "; sixty dark days" : "",
		s->hostile ? "; one node lies" : "", s->forks ? ", about its own log too" : "",
		s->mute ? ", and falls silent" : "", s->late ? "; one joins late" : "",
		s->rotates ? "; one changes its keys" : "",
		s->submits ? "; checkpoints are submitted" : "");
}
