#include "tests/sim/world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "tests/sim/faults.h"
#include "tests/sim/genesis.h"
#include "tests/sim/links.h"
#include "tests/sim/nodes.h"
#include "tests/sim/workload.h"

enum {
	/* Everything has converged by then: a link found silent, then a cosignature over five hops,
	 * each of which may wait for five minutes. */
	END_MS = 2100 * 1000,
	LOOK_MS = 5 * 1000, /* how often it is asked whether it has */
};

uint64_t world_random(struct world *world, uint64_t below)
{
	uint64_t z = world->random += 0x9e3779b97f4a7c15u; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return below == 0 ? 0 : (z ^ z >> 31) % below;
}

bool world_chance(struct world *world, unsigned per_mille)
{
	return world_random(world, 1000) < per_mille;
}

void world_say(const struct world *world, const char *format, ...)
{
	va_list args;

	if (!world->trace)
		return;
	printf("%8.3f s  ", (double)world->now_ms / 1000);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

void world_fail(struct world *world, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	world_say(world, "WRONG: %s", text);
	if (world->failure == NULL)
		world->failure = mem_strdup(text);
}

/* Is there anything that could still change? Asked often, once faults have stopped. */
static bool settled(struct world *world)
{
	bool was = world->trace;

	world->trace = false;
	char *failure = world->failure;

	world->failure = NULL;
	for (size_t i = 0; i < world->node_count; i++)
		if (world->nodes[i].engine == NULL)
			world_fail(world, "%s is down", world->nodes[i].name);
	if (world->failure == NULL)
		check_end(world);
	bool ok = world->failure == NULL;

	mem_free(world->failure);
	world->failure = failure;
	world->trace = was;
	return ok;
}

static bool current(const struct item *item)
{
	return item->node == NULL || item->node->life == item->life;
}

static void handle(struct world *world, struct item *item)
{
	struct node *node = item->node;

	switch (item->type) {
	case ITEM_APPEND:
		workload_append(world, node);
		return;
	case ITEM_FAULT:
		faults_next(world);
		return;
	case ITEM_RESTART:
		world_say(world, "%s starts again", node->name);
		node_boot(world, node);
		return;
	case ITEM_ADMIT:
		if (node->engine == NULL && world->nodes[0].engine != NULL)
			workload_admit(world, node);
		else if (node->engine == NULL)
			queue_plan(world, 1000, ITEM_ADMIT, node);
		return;
	default:
		break;
	}
	if (!current(item) || (node != NULL && node->engine == NULL))
		return;
	switch (item->type) {
	case ITEM_TICK:
		node->tick_at = UINT64_MAX;
		node_step(world, node, &(struct event){.type = EVENT_TICK});
		break;
	case ITEM_OPEN:
		node_open_log(world, node);
		break;
	case ITEM_DIALLED:
		links_dialled(world, node, item->peer);
		break;
	case ITEM_DELIVER:
		link_deliver(world, item);
		break;
	case ITEM_SENT:
		node_step(world, node,
			&(struct event){.type = EVENT_SENT,
				.session = item->session,
				.size = item->read.size_max});
		break;
	case ITEM_HANGUP:
		link_hung_up(world, item);
		break;
	case ITEM_COMMIT:
		node_commit(world, node);
		break;
	case ITEM_READ:
		node_read_done(world, item);
		break;
	case ITEM_SIGN:
		node_sign_done(world, item);
		break;
	case ITEM_COSIGN:
		node_cosign_done(world, item);
		break;
	default:
		break;
	}
}

static void begin(struct world *world, uint64_t seed, bool trace)
{
	*world = (struct world){.seed = seed, .random = seed * 7919 + 1, .trace = trace};
	world->faults = true;
	world->queue = queue_new();
	world->check = check_new();
	assert(world->check != NULL);
	world->node_count = 3 + world_random(world, NODES_MAX - 2);
	world->directory_key = genesis_signer(world);
	genesis_origin(world, "directory", &world->directory);
	for (size_t i = 0; i < world->node_count; i++) {
		world->nodes[i].number = i;
		genesis_keys(world, &world->nodes[i]);
		world->nodes[i].admitted = i == 0 || i + 1 < world->node_count || seed % 2 == 0;
	}
	if (seed % 7 == 3)
		world->hostile = &world->nodes[world_random(world, world->node_count)];
	world->forks = world->hostile != NULL && seed % 2 == 0;
	/* Where everybody reaches everybody else without it. */
	world->mute = world->hostile != NULL && seed % 3 == 2;
	genesis_directory(world);
	for (size_t i = 0; i < world->node_count; i++) {
		struct node *node = &world->nodes[i];

		if (node->admitted) {
			node_boot(world, node);
			queue_plan(world, world_random(world, 5000), ITEM_APPEND, node);
		} else {
			queue_plan(world, world_random(world, 60000), ITEM_ADMIT, node);
		}
	}
	queue_plan(world, world_random(world, 10000), ITEM_FAULT, NULL);
	queue_plan(world, LOOK_MS, ITEM_LOOK, NULL);
}

bool world_run(struct world *world, uint64_t seed, bool trace)
{
	struct item *item;
	bool done = false;

	begin(world, seed, trace);
	while (!done && world->failure == NULL && (item = queue_next(world->queue)) != NULL) {
		world->now_ms = item->time;
		if (item->type == ITEM_LOOK) {
			if (world->now_ms >= WORK_MS + 20000 && world->faults)
				faults_stop(world);
			done = world->now_ms > END_MS || (!world->faults && settled(world));
			queue_plan(world, LOOK_MS, ITEM_LOOK, NULL);
		} else {
			handle(world, item);
		}
		item_free(item);
	}
	if (world->failure == NULL)
		check_end(world);
	return world->failure == NULL;
}

void world_release(struct world *world)
{
	queue_free(world->queue);
	links_free(world);
	for (size_t i = 0; i < world->node_count; i++) {
		struct node *node = &world->nodes[i];

		engine_free(node->engine);
		disk_release(&node->disk);
		signer_free(node->keys.node);
		signer_free(node->keys.log);
		signer_free(node->keys.mirror);
	}
	signer_free(world->directory_key);
	check_free(world->check);
	mem_free(world->failure);
}
