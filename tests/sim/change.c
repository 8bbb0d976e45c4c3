#include "tests/sim/change.h"

#include <assert.h>

#include "certs/change.h"
#include "tests/sim/genesis.h"
#include "tests/sim/nodes.h"

enum { LOOK_MS = 1000, ASK_AGAIN_MS = 30 * 1000 };

bool change_lists(const struct node *node, const struct node *other)
{
	const struct member *m =
		directory_find(engine_directory(node->engine), bytes_str(other->name));

	return m != NULL && m->active &&
	       memcmp(&m->node, &other->keys.member.node, sizeof(m->node)) == 0;
}

void change_begin(struct world *world)
{
	struct node *node;

	if (!world->shape.rotates)
		return;
	node = &world->nodes[1 + world_random(world, world->shape.nodes - 1)];
	queue_plan(world, 5000 + world_random(world, world->shape.work_ms / 2), ITEM_CHANGE, node);
}

static void make_keys(struct world *world, struct node *node)
{
	struct keys *next = &node->next;
	struct member *m = &next->member;

	*next = node->keys;
	next->node = genesis_signer(world);
	next->mirror = genesis_signer(world);
	next->witness = genesis_signer(world);
	m->node = *signer_public(next->node);
	m->mirror = *signer_public(next->mirror);
	m->witness = *signer_public(next->witness);
	for (size_t i = 0; i < HASH_SIZE; i++)
		m->tls_spki.b[i] = (uint8_t)world_random(world, 256);
}

static void ask(struct world *world, struct node *node)
{
	struct node *hq = &world->nodes[0];
	struct rotation rotation = {.member = node->next.member,
		.directory_size = directory_size(engine_directory(hq->engine)),
		.epoch = 1,
		.made_at = node_clock(world, node)};
	struct buf body, entry;
	enum err err;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	err = rotation_body(&body, "sim.example", &rotation, node->next.node);
	assert(err == OK);
	err = record_write(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_KEYS_ROTATED, buf_bytes(&body),
		node->keys.node);
	assert(err == OK);
	world_say(world, "%s: new keys, asked for at headquarters", node->name);
	node_append(world, hq, &world->directory, &entry, 1);
	node->asked_ms = world->now_ms;
	buf_release(&body);
	buf_release(&entry);
}

static bool is_listed(const struct world *world, const struct node *node)
{
	const struct member *m =
		directory_find(engine_directory(world->nodes[0].engine), bytes_str(node->name));

	return memcmp(&m->node, &node->next.member.node, sizeof(m->node)) == 0;
}

/* What was there before is kept, for the checkers. */
static void take_keys(struct world *world, struct node *node)
{
	node->former = node->keys;
	node->keys = node->next;
	node->changed = true;
	node->stopped = false;
	world_say(world, "%s has new keys", node->name);
	queue_plan(world, 1, ITEM_RESTART, node);
}

void change_next(struct world *world, struct node *node)
{
	struct node *hq = &world->nodes[0];

	/* The daemon is stopped for it. */
	if (node->next.node == NULL) {
		make_keys(world, node);
		node->stopped = true;
		if (node->engine != NULL)
			node_crash(world, node);
	}
	if (hq->engine != NULL && is_listed(world, node)) {
		take_keys(world, node);
		return;
	}
	if (hq->engine != NULL && hq->guard.directory_ok &&
		(node->asked_ms == 0 || world->now_ms - node->asked_ms > ASK_AGAIN_MS))
		ask(world, node);
	queue_plan(world, LOOK_MS, ITEM_CHANGE, node);
}

/* Of the two that are not node->keys. */
void change_release(struct node *node)
{
	const struct keys *other = node->changed ? &node->former : &node->next;

	if (node->next.node == NULL)
		return;
	signer_free(other->node);
	signer_free(other->mirror);
	signer_free(other->witness);
}
