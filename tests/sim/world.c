#include "tests/sim/world.h"
#include "tests/sim/change.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "proto/frame.h"
#include "tests/sim/faults.h"
#include "tests/sim/genesis.h"
#include "tests/sim/links.h"
#include "tests/sim/nodes.h"
#include "tests/sim/post.h"
#include "tests/sim/submit.h"
#include "tests/sim/workload.h"

enum {
	LOOK_MS = 5 * 1000,  /* how often it is asked whether all has converged */
	CALM_MS = 20 * 1000, /* from the last append to the end of faults */
	/* What is said when there is nothing to say: after a while, over an hour. */
	SETTLE_MS = 15 * 60 * 1000,
	HOUR_MS = 60 * 60 * 1000,
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
	check_end(world);
	bool ok = world->failure == NULL;

	mem_free(world->failure);
	world->failure = failure;
	world->trace = was;
	return ok;
}

/* What happens to a node whatever it does, also while it is down. */
static bool handle_world(struct world *world, const struct item *item)
{
	struct node *node = item->node;

	switch (item->type) {
	case ITEM_APPEND:
		workload_append(world, node);
		return true;
	case ITEM_FAULT:
		if (world->faults)
			faults_next(world);
		return true;
	case ITEM_SUBMIT:
		submit_next(world, node);
		return true;
	case ITEM_POST:
		post_item(world, item);
		return true;
	case ITEM_DARK:
		faults_darkness(world);
		return true;
	case ITEM_RESTART:
		if (node->engine != NULL || node->gone || node->stopped)
			return true;
		world_say(world, "%s starts again", node->name);
		node_boot(world, node);
		return true;
	case ITEM_ADMIT:
		if (node->engine == NULL && world->nodes[0].engine != NULL)
			workload_admit(world, node);
		else if (node->engine == NULL)
			queue_plan(world, 1000, ITEM_ADMIT, node);
		return true;
	case ITEM_CHANGE:
		change_next(world, node);
		return true;
	default:
		return false;
	}
}

/* What its engine asked for, or hears. */
static void handle_node(struct world *world, const struct item *item)
{
	struct node *node = item->node;

	switch (item->type) {
	case ITEM_TICK:
		node_tick(world, node);
		break;
	case ITEM_TIDY:
		node_tidy(world, node);
		break;
	case ITEM_CRASH:
		node_crash(world, node);
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
		link_sent(world, item);
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
	case ITEM_VERIFIED:
		node_verified(world, item);
		break;
	case ITEM_SIGN:
		node_sign_done(world, item);
		break;
	case ITEM_COSIGN:
		node_cosign_done(world, item);
		break;
	case ITEM_POST_COMMIT:
	case ITEM_POST_READ:
		post_item(world, item);
		break;
	default:
		break;
	}
}

static void begin_node(struct world *world, struct node *node)
{
	if (node->admitted) {
		node_boot(world, node);
		queue_plan(
			world, world_random(world, world->shape.append_ms / 4), ITEM_APPEND, node);
	} else {
		queue_plan(world, world_random(world, 60000), ITEM_ADMIT, node);
	}
}

static void begin(struct world *world, const struct world_opts *opts)
{
	struct shape *shape = &world->shape;

	*world = (struct world){
		.seed = opts->seed, .random = opts->seed * 7919 + 1, .trace = opts->trace};
	world->faults = true;
	world->queue = queue_new();
	buf_init(&world->heard_once, LIMIT_FRAME_SIZE + FRAME_HEADER_SIZE);
	world->check = check_new();
	assert(world->check != NULL);
	post_begin(world);
	shape_choose(world, opts->mode, opts->scenario);
	shape_tell(world);
	world->node_count = shape->nodes;
	world->directory_key = genesis_signer(world);
	genesis_origin(world, "directory", &world->directory);
	for (size_t i = 0; i < world->node_count; i++) {
		struct node *node = &world->nodes[i];

		node->number = node->place = i;
		node->clock_s = 1000 * (int64_t)i;
		genesis_keys(world, node);
		node->admitted = i == 0 || i + 1 < world->node_count || !shape->late;
	}
	if (shape->hostile)
		world->hostile = &world->nodes[world_random(world, world->node_count)];
	world->forks = shape->forks;
	world->mute = shape->mute;
	genesis_directory(world);
	if (shape->forks || shape->submits_forks)
		check_forks(world, world->hostile);
	for (size_t i = 0; i < shape->nodes; i++)
		begin_node(world, &world->nodes[i]);
	faults_begin(world);
	change_begin(world);
	submit_begin(world);
	post_begin_letters(world);
	queue_plan(world, LOOK_MS, ITEM_LOOK, NULL);
}

/* Safety: nothing is asked of the end but what must be true at any time. */
static bool look_safety(struct world *world)
{
	return world->now_ms > (world->shape.dark ? 1 : 2) * world->shape.work_ms;
}

static uint64_t frames_of_an_hour(const struct world *world)
{
	uint64_t links = 0;

	for (const struct link *l = world->links; l != NULL; l = l->next)
		links++;
	/* Ping and Pong of both ends every thirty seconds; and what is announced now and then. */
	return links * (480 + 60) + 100;
}

/* Everything is everywhere: for an hour next to nothing is said. */
static bool look_idle(struct world *world)
{
	struct idle *idle = &world->idle;
	uint64_t most = frames_of_an_hour(world);

	if (!world->shape.idle || world->mute || world->shape.twin)
		return true;
	if (idle->since_ms == 0) {
		*idle = (struct idle){.since_ms = world->now_ms};
	} else if (idle->frames == 0 && world->now_ms >= idle->since_ms + SETTLE_MS) {
		idle->frames = world->counts.frames + 1;
		idle->steps = world->counts.steps;
	} else if (idle->frames > 0 && world->now_ms >= idle->since_ms + SETTLE_MS + HOUR_MS) {
		if (world->counts.frames - idle->frames > most)
			world_fail(world, "%llu frames in an idle hour, at most %llu are due",
				(unsigned long long)(world->counts.frames - idle->frames),
				(unsigned long long)most);
		if (world->counts.steps - idle->steps > 8 * most)
			world_fail(world, "%llu steps in an idle hour",
				(unsigned long long)(world->counts.steps - idle->steps));
		return true;
	}
	return false;
}

/* True: the run is over. */
static bool look(struct world *world)
{
	if (world->shape.mode == MODE_SAFETY)
		return look_safety(world);
	if (world->faults && world->now_ms >= world->shape.work_ms + CALM_MS)
		faults_stop(world);
	if (world->faults)
		return false;
	if (world->idle.since_ms == 0 && !settled(world))
		return world->now_ms > world->stopped_ms + world->shape.end_ms;
	return look_idle(world);
}

static void check_last(struct world *world)
{
	if (world->shape.mode == MODE_LIVENESS)
		check_end(world);
	for (size_t i = 0; i < world->node_count; i++)
		check_restarted(world, &world->nodes[i]);
}

bool world_run(struct world *world, const struct world_opts *opts)
{
	struct item *item;
	bool done = false;

	begin(world, opts);
	while (!done && world->failure == NULL && (item = queue_next(world->queue)) != NULL) {
		struct node *node = item->node;

		world->now_ms = item->time;
		if (item->type == ITEM_LOOK) {
			done = look(world);
			queue_plan(world, LOOK_MS, ITEM_LOOK, NULL);
		} else if (!handle_world(world, item) && node->life == item->life &&
			   node->engine != NULL) {
			handle_node(world, item);
		}
		if (world->link_ended)
			links_sweep(world);
		item_free(item);
	}
	if (world->failure == NULL)
		check_last(world);
	return world->failure == NULL;
}

static void node_release(struct node *node)
{
	engine_free(node->engine);
	disk_release(&node->disk);
	disk_release(&node->image);
	if (node->number != node->place)
		return; /* the keys are its twin's */
	signer_free(node->keys.node);
	signer_free(node->keys.log);
	signer_free(node->keys.mirror);
	signer_free(node->keys.witness);
	change_release(node);
}

void world_release(struct world *world)
{
	queue_free(world->queue);
	links_free(world);
	post_release(world);
	submit_release(world);
	buf_release(&world->heard_once);
	for (size_t i = 0; i < world->node_count; i++)
		node_release(&world->nodes[i]);
	signer_free(world->directory_key);
	check_free(world->check);
	mem_free(world->failure);
}
