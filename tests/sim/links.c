#include "tests/sim/links.h"

#include <assert.h>

#include "base/alloc.h"
#include "tests/sim/nodes.h"
#include "tests/sim/queue.h"

struct link *links_find(struct world *world, struct session_id id, size_t *ret_side)
{
	for (struct link *l = world->links; l != NULL; l = l->next)
		for (size_t side = 0; side < 2; side++)
			if (l->end[side].session.value == id.value) {
				*ret_side = side;
				return l;
			}
	return NULL;
}

struct stream *world_streams(struct world *world, struct session_id session)
{
	size_t side;
	struct link *link = links_find(world, session, &side);

	return link == NULL ? NULL : link->end[side].streams;
}

bool link_end_up(const struct link_end *end)
{
	return end->open && end->node->engine != NULL && end->life == end->node->life;
}

bool world_asked_elsewhere(
	struct world *world, const struct node *node, struct session_id session, size_t log)
{
	for (struct link *l = world->links; l != NULL; l = l->next)
		for (size_t side = 0; side < 2; side++) {
			const struct link_end *end = &l->end[side];

			if (end->node == node && link_end_up(end) &&
				end->session.value != session.value && end->streams[log].asked)
				return true;
		}
	return false;
}

static bool joins(const struct link *link, const struct node *a, const struct node *b)
{
	return (link->end[0].node == a && link->end[1].node == b) ||
	       (link->end[0].node == b && link->end[1].node == a);
}

void world_closing(struct world *world, struct session_id session, bool duplicate)
{
	size_t side;
	struct link *link = links_find(world, session, &side);
	bool other = false;

	if (link == NULL)
		return;
	link->end[side].closed = true;
	for (size_t i = 0; i < LOGS_MAX; i++)
		link->end[side].streams[i].asked = false;
	if (!duplicate)
		return;
	link->duplicate = true;
	for (struct link *l = world->links; l != NULL; l = l->next)
		other |= l != link && !l->duplicate &&
			 joins(l, link->end[0].node, link->end[1].node) &&
			 (link_end_up(&l->end[0]) || link_end_up(&l->end[1]));
	if (!other)
		world_fail(world, "%s and %s give up their last connection as a duplicate",
			link->end[side].node->name, link->end[1 - side].node->name);
}

bool world_closed(struct world *world, struct session_id session)
{
	size_t side;
	const struct link *link = links_find(world, session, &side);

	return link == NULL || link->end[side].closed;
}

unsigned world_connections(const struct world *world, const struct node *a, const struct node *b)
{
	unsigned count = 0;

	for (const struct link *l = world->links; l != NULL; l = l->next)
		count += !l->dead && joins(l, a, b) && link_end_up(&l->end[0]) &&
			 link_end_up(&l->end[1]);
	return count;
}

bool world_reaches(const struct world *world, const struct node *a, const char *peer)
{
	for (const struct link *l = world->links; l != NULL; l = l->next)
		for (size_t side = 0; side < 2; side++)
			if (l->end[side].node == a && !l->dead &&
				strcmp(l->end[1 - side].node->name, peer) == 0 &&
				link_end_up(&l->end[0]) && link_end_up(&l->end[1]))
				return true;
	return false;
}

void link_hang_up(struct world *world, struct link_end *end, uint64_t delay_ms)
{
	struct item *item = queue_plan(world, delay_ms, ITEM_HANGUP, end->node);

	item->session = end->session;
	item->life = end->life;
}

static void corrupt(struct world *world, struct buf *frame)
{
	size_t at = 4 + world_random(world, frame->size - 4);

	frame->data[at] ^= (uint8_t)(1u << world_random(world, 8));
	world->corrupted++;
}

void link_send(struct world *world, struct node *node, struct effect *effect)
{
	size_t side;
	struct link *link = links_find(world, effect->session, &side);
	struct item *item;
	uint64_t arrive;

	if (link == NULL)
		return;
	struct link_end *from = &link->end[side], *to = &link->end[1 - side];
	uint64_t size = effect->frame.size;

	arrive = world->now_ms + link->latency_ms;
	arrive = (arrive > from->free_at ? arrive : from->free_at) + size / link->bytes_per_ms;
	from->free_at = arrive;
	item = queue_plan(world, arrive - world->now_ms - link->latency_ms / 2, ITEM_SENT, node);
	item->session = from->session;
	item->read.size_max = size;
	item = queue_plan(world, arrive - world->now_ms, ITEM_DELIVER, to->node);
	item->life = to->life;
	item->session = to->session;
	item->data = effect->frame;
	buf_init(&effect->frame, 0);
	if (node == world->hostile && (world->faults || world->mute))
		hostile_tamper(world, node, &item->data);
	if (item->data.size > 0 && world->faults && world->seed % 4 == 0 && world_chance(world, 3))
		corrupt(world, &item->data);
	world->frames++;
}

void links_dial(struct world *world, struct node *node, const struct effect *effect)
{
	struct item *item = queue_plan(world, 5 + world_random(world, 1500), ITEM_DIALLED, node);

	for (size_t i = 0; i < world->node_count; i++)
		if (strcmp(world->nodes[i].name, effect->peer) == 0)
			item->peer = &world->nodes[i];
}

void link_close(struct world *world, const struct effect *effect)
{
	size_t side;
	struct link *link = links_find(world, effect->session, &side);

	if (link == NULL)
		return;
	struct link_end *from = &link->end[side], *to = &link->end[1 - side];

	link_hang_up(world, from, 1);
	if (!link->silent)
		link_hang_up(world, to,
			(from->free_at > world->now_ms ? from->free_at - world->now_ms : 0) +
				link->latency_ms + 1);
}

static void kill_link(struct world *world, struct link *link)
{
	link->dead = true;
	if (world_chance(world, 300)) {
		link->silent = true; /* nobody is told: silence has to be noticed */
		return;
	}
	for (size_t side = 0; side < 2; side++)
		link_hang_up(world, &link->end[side], world_random(world, 3000));
}

void links_cut(struct world *world, const struct node *a, const struct node *b)
{
	for (struct link *l = world->links; l != NULL; l = l->next)
		if (!l->dead && ((l->end[0].node == a && l->end[1].node == b) ||
					(l->end[0].node == b && l->end[1].node == a)))
			kill_link(world, l);
}

static bool lists(const struct node *node, const struct node *other)
{
	const struct member *m =
		directory_find(engine_directory(node->engine), bytes_str(other->name));

	return m != NULL && m->active;
}

void links_dialled(struct world *world, struct node *node, struct node *peer)
{
	struct link *link;

	if (peer->engine == NULL || world->cut[node->number][peer->number] || !lists(peer, node) ||
		!lists(node, peer) || world_chance(world, world->faults ? 50 : 0)) {
		node_step(world, node,
			&(struct event){.type = EVENT_DIAL_FAILED, .peer = peer->name});
		return;
	}
	link = mem_zalloc(sizeof(*link));
	assert(link != NULL);
	link->latency_ms = 1 + world_random(world, world->seed % 5 == 0 ? 900 : 60);
	link->bytes_per_ms = world->seed % 5 == 0 ? 16 : 2000;
	for (size_t side = 0; side < 2; side++) {
		struct node *n = side == 0 ? node : peer;

		link->end[side] = (struct link_end){.node = n,
			.session = {++world->next_session},
			.open = true,
			.life = n->life};
	}
	link->next = world->links;
	world->links = link;
	for (size_t side = 0; side < 2; side++)
		node_step(world, link->end[side].node,
			&(struct event){.type = EVENT_CONNECTED,
				.session = link->end[side].session,
				.peer = link->end[1 - side].node->name,
				.outgoing = side == 0});
}

void link_hung_up(struct world *world, const struct item *item)
{
	size_t side;
	struct link *link = links_find(world, item->session, &side);

	if (link == NULL || !link->end[side].open)
		return;
	link->dead = true;
	link->end[side].open = false;
	node_step(world, item->node,
		&(struct event){.type = EVENT_DISCONNECTED, .session = item->session});
}

void link_deliver(struct world *world, const struct item *item)
{
	size_t side;
	struct link *link = links_find(world, item->session, &side);

	if (link == NULL || link->dead || !link->end[side].open || item->data.size == 0)
		return;
	check_heard(world, item->node, item->session,
		bytes_make(item->data.data + 4, item->data.size - 4));
	node_step(world, item->node,
		&(struct event){.type = EVENT_FRAME,
			.session = item->session,
			.frame = bytes_make(item->data.data + 4, item->data.size - 4)});
	check_after(world, item->node);
}
void links_free(struct world *world)
{
	while (world->links != NULL) {
		struct link *next = world->links->next;

		mem_free(world->links);
		world->links = next;
	}
}
