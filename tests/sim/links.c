#include "tests/sim/links.h"
#include "tests/sim/change.h"

#include <assert.h>

#include "base/alloc.h"
#include "proto/frame.h"
#include "tests/sim/check.h"
#include "tests/sim/hostile.h"
#include "tests/sim/nodes.h"
#include "tests/sim/queue.h"

/* Two sessions for each link, in order: the second is the dialled end's. */
struct link *links_find(struct world *world, struct session_id id, size_t *ret_side)
{
	uint64_t number = (id.value - 1) / 2;

	if (id.value == 0 || number >= world->link_count)
		return NULL;
	*ret_side = (id.value - 1) % 2;
	return world->link_table[number];
}

bool link_end_up(const struct link_end *end)
{
	return end->open && end->node->engine != NULL && end->life == end->node->life;
}

static void link_free(struct link *link)
{
	mem_free(link->end[0].streams);
	mem_free(link->end[1].streams);
	mem_free(link);
}

void links_sweep(struct world *world)
{
	struct link **at = &world->links;

	while (*at != NULL) {
		struct link *link = *at;

		if (link->end[0].open || link->end[1].open) {
			at = &link->next;
			continue;
		}
		*at = link->next;
		world->link_table[(link->end[0].session.value - 1) / 2] = NULL;
		link_free(link);
	}
	world->link_ended = false;
}

void links_free(struct world *world)
{
	while (world->links != NULL) {
		struct link *next = world->links->next;

		link_free(world->links);
		world->links = next;
	}
	mem_free(world->link_table);
}

static bool joins(const struct link *link, const struct node *a, const struct node *b)
{
	return (link->end[0].node == a && link->end[1].node == b) ||
	       (link->end[0].node == b && link->end[1].node == a);
}

/* ---- what the checkers look at ---- */

struct stream *links_stream(struct world *world, struct session_id session, size_t log)
{
	size_t side;
	struct link *link = links_find(world, session, &side);
	struct link_end *end;

	if (link == NULL)
		return NULL;
	end = &link->end[side];
	if (log >= end->stream_count) {
		end->streams = mem_resize(end->streams, (log + 1) * sizeof(*end->streams));
		assert(end->streams != NULL);
		memset(end->streams + end->stream_count, 0,
			(log + 1 - end->stream_count) * sizeof(*end->streams));
		end->stream_count = log + 1;
	}
	return &end->streams[log];
}

bool links_asked_elsewhere(
	struct world *world, const struct node *node, struct session_id session, size_t log)
{
	for (struct link *l = world->links; l != NULL; l = l->next)
		for (size_t side = 0; side < 2; side++) {
			const struct link_end *end = &l->end[side];

			if (end->node == node && link_end_up(end) &&
				end->session.value != session.value && log < end->stream_count &&
				end->streams[log].asked)
				return true;
		}
	return false;
}

void links_closing(struct world *world, struct session_id session, bool duplicate)
{
	size_t side;
	struct link *link = links_find(world, session, &side);
	bool other = false;

	if (link == NULL)
		return;
	link->end[side].closed = true;
	for (size_t i = 0; i < link->end[side].stream_count; i++)
		link->end[side].streams[i].asked = false;
	if (!duplicate)
		return;
	link->duplicate = true;
	for (struct link *l = world->links; l != NULL; l = l->next)
		other |= l != link && !l->duplicate &&
			 joins(l, link->end[0].node, link->end[1].node) &&
			 (link_end_up(&l->end[0]) || link_end_up(&l->end[1]));
	/* Of two machines with one name either may be the other end. */
	if (!other && link->end[0].node->twin == NULL && link->end[1].node->twin == NULL)
		world_fail(world, "%s and %s give up their last connection as a duplicate",
			link->end[side].node->name, link->end[1 - side].node->name);
}

uint64_t links_shown(const struct world *world, const struct node *node, size_t log)
{
	uint64_t most = 0;

	for (const struct link *l = world->links; l != NULL; l = l->next)
		for (size_t side = 0; side < 2; side++) {
			const struct link_end *end = &l->end[side];

			if (end->node == node && link_end_up(end) && !end->closed &&
				log < end->stream_count && end->streams[log].shown > most)
				most = end->streams[log].shown;
		}
	return most;
}

bool links_closed(struct world *world, struct session_id session)
{
	size_t side;
	const struct link *link = links_find(world, session, &side);

	return link == NULL || link->end[side].closed;
}

unsigned links_between(const struct world *world, const struct node *a, const struct node *b)
{
	unsigned count = 0;

	for (const struct link *l = world->links; l != NULL; l = l->next)
		count += !l->dead && joins(l, a, b) && link_end_up(&l->end[0]) &&
			 link_end_up(&l->end[1]);
	return count;
}

bool links_carry(const struct world *world, const struct node *a, const char *peer)
{
	bool carry = false;

	for (const struct link *l = world->links; l != NULL; l = l->next)
		for (size_t side = 0; side < 2; side++) {
			if (l->end[side].node != a || l->dead ||
				strcmp(l->end[1 - side].node->name, peer) != 0)
				continue;
			if (l->end[0].lost || l->end[1].lost)
				return false;
			carry |= link_end_up(&l->end[0]) && link_end_up(&l->end[1]);
		}
	return carry;
}

/* ---- bytes ---- */

void link_hang_up(struct world *world, struct link_end *end, uint64_t delay_ms)
{
	struct item *item = queue_plan(world, delay_ms, ITEM_HANGUP, end->node);

	item->session = end->session;
	item->life = end->life;
}

static void corrupt(struct world *world, struct buf *frame)
{
	size_t at = FRAME_HEADER_SIZE + world_random(world, frame->size - FRAME_HEADER_SIZE);

	frame->data[at] ^= (uint8_t)(1u << world_random(world, 8));
	world->counts.corrupted++;
}

static void spoil(struct world *world, struct node *node, struct buf *frame)
{
	if (node == world->hostile && (world->faults || world->mute))
		hostile_tamper(world, node, frame);
	if (frame->size > 0 && world->faults && world->shape.corrupts && world_chance(world, 3))
		corrupt(world, frame);
}

/* Puts a frame on its way; takes it. Returns when it has arrived. */
static uint64_t put(struct world *world, struct link *link, size_t side, struct buf *frame)
{
	struct link_end *from = &link->end[side], *to = &link->end[1 - side];
	uint64_t arrive = world->now_ms + link->latency_ms;
	struct item *item;

	arrive = (arrive > from->free_at ? arrive : from->free_at) +
		 frame->size / link->bytes_per_ms;
	from->free_at = arrive;
	item = queue_plan(world, arrive - world->now_ms, ITEM_DELIVER, to->node);
	item->life = to->life;
	item->session = to->session;
	item->data = *frame;
	buf_init(frame, 0);
	world->counts.frames++;
	return arrive;
}

void link_inject(struct world *world, struct link_end *from, struct buf *frame)
{
	size_t side;
	struct link *link = links_find(world, from->session, &side);

	put(world, link, side, frame);
}

void link_send(struct world *world, struct node *node, struct effect *effect)
{
	size_t side;
	struct link *link = links_find(world, effect->session, &side);
	struct item *item;
	uint64_t arrive, size = effect->frame.size;

	if (link == NULL)
		return;
	struct link_end *from = &link->end[side];

	from->queued += size;
	if (from->queued > LIMIT_SEND_QUEUE)
		world_fail(world, "%s queues %zu bytes for %s", node->name, from->queued,
			link->end[1 - side].node->name);
	spoil(world, node, &effect->frame);
	/* Not before its Hello and what follows at once: it would not be listened to. */
	if (node == world->hostile && world->faults && ++from->said > 2)
		hostile_intrude(world, node, from, &effect->frame);
	arrive = put(world, link, side, &effect->frame);
	item = queue_plan(world, arrive - world->now_ms - link->latency_ms / 2, ITEM_SENT, node);
	item->session = from->session;
	item->read.size_max = size;
}

void link_sent(struct world *world, const struct item *item)
{
	size_t side;
	struct link *link = links_find(world, item->session, &side);

	if (link != NULL)
		link->end[side].queued -= item->read.size_max;
	node_step(world, item->node,
		&(struct event){
			.type = EVENT_SENT, .session = item->session, .size = item->read.size_max});
}

void link_deliver(struct world *world, const struct item *item)
{
	size_t side;
	struct link *link = links_find(world, item->session, &side);
	struct bytes frame;

	if (link == NULL || link->dead || !link->end[side].open || link->end[1 - side].lost ||
		item->data.size == 0)
		return;
	frame = bytes_make(
		item->data.data + FRAME_HEADER_SIZE, item->data.size - FRAME_HEADER_SIZE);
	check_heard(world, item->node, item->session, frame);
	node_step(world, item->node,
		&(struct event){.type = EVENT_FRAME, .session = item->session, .frame = frame});
	check_after(world, item->node);
}

/* ---- beginning and end ---- */

/* Whoever is not there is dialled less and less often. */
static void backs_off(struct world *world, struct node *node, const struct node *peer)
{
	struct dials *dials = &node->dials[peer->place];
	uint64_t least = engine_timing_default.dial_min;

	for (unsigned i = 1; i < dials->failures && least < world->shape.dial_max_ms; i++)
		least *= 2;
	if (least > world->shape.dial_max_ms)
		least = world->shape.dial_max_ms;
	if (dials->failures > 0 && world->now_ms - dials->last_ms < least / 2)
		world_fail(world, "%s dials %s again after %llu ms, %u times in vain before",
			node->name, peer->name,
			(unsigned long long)(world->now_ms - dials->last_ms), dials->failures);
	dials->last_ms = world->now_ms;
	dials->failures++;
}

void links_dial(struct world *world, struct node *node, const struct effect *effect)
{
	struct item *item = queue_plan(world, 5 + world_random(world, 1500), ITEM_DIALLED, node);

	item->peer = node_at(world, node, effect->peer);
	backs_off(world, node, item->peer);
}

static struct link *link_make(struct world *world, struct node *node, struct node *peer)
{
	struct link *link = mem_zalloc(sizeof(*link));

	if (world->link_count == world->link_capacity) {
		world->link_capacity = world->link_capacity == 0 ? 64 : 2 * world->link_capacity;
		world->link_table =
			mem_resize(world->link_table, world->link_capacity * sizeof(struct link *));
	}
	assert(link != NULL && world->link_table != NULL);
	link->latency_ms =
		world->shape.latency_min_ms + world_random(world, world->shape.latency_more_ms);
	link->bytes_per_ms = world->shape.bytes_per_ms;
	for (size_t side = 0; side < 2; side++) {
		struct node *n = side == 0 ? node : peer;

		link->end[side] = (struct link_end){.node = n,
			.session = {2 * world->link_count + side + 1},
			.open = true,
			.life = n->life};
	}
	world->link_table[world->link_count++] = link;
	node->dials[peer->place].failures = 0;
	peer->dials[node->place].failures = 0;
	link->next = world->links;
	world->links = link;
	return link;
}

void links_dialled(struct world *world, struct node *node, struct node *peer)
{
	struct link *link;

	if (peer == NULL || peer->engine == NULL || world->cut[node->number][peer->number] ||
		!change_lists(peer, node) || !change_lists(node, peer) ||
		world_chance(world, world->faults ? 50 : 0)) {
		node_step(world, node,
			&(struct event){.type = EVENT_DIAL_FAILED,
				.peer = peer == NULL ? node->name : peer->name});
		return;
	}
	link = link_make(world, node, peer);
	for (size_t side = 0; side < 2; side++)
		node_step(world, link->end[side].node,
			&(struct event){.type = EVENT_CONNECTED,
				.session = link->end[side].session,
				.peer = link->end[1 - side].node->name,
				.outgoing = side == 0});
}

void link_close(struct world *world, const struct effect *effect)
{
	size_t side;
	struct link *link = links_find(world, effect->session, &side);

	if (link == NULL)
		return;
	struct link_end *from = &link->end[side], *to = &link->end[1 - side];

	link_hang_up(world, from, 1);
	if (!from->lost)
		link_hang_up(world, to,
			(from->free_at > world->now_ms ? from->free_at - world->now_ms : 0) +
				link->latency_ms + 1);
}

void link_hung_up(struct world *world, const struct item *item)
{
	size_t side;
	struct link *link = links_find(world, item->session, &side);

	if (link == NULL || !link->end[side].open)
		return;
	link->dead = true;
	link->end[side].open = false;
	/* What the other end has to say reaches nobody; its own silence tells it. */
	if (!link->end[1 - side].open)
		world->link_ended = true;
	node_step(world, item->node,
		&(struct event){.type = EVENT_DISCONNECTED, .session = item->session});
}

static void kill_link(struct world *world, struct link *link)
{
	link->dead = true;
	if (world_chance(world, 300)) {
		/* nobody is told: silence has to be noticed */
		link->end[0].lost = link->end[1].lost = true;
		return;
	}
	for (size_t side = 0; side < 2; side++)
		link_hang_up(world, &link->end[side], world_random(world, 3000));
}

void links_cut(struct world *world, const struct node *a, const struct node *b)
{
	for (struct link *l = world->links; l != NULL; l = l->next)
		if (!l->dead && joins(l, a, b))
			kill_link(world, l);
}

void links_half_open(struct world *world, const struct node *from, const struct node *to)
{
	for (struct link *l = world->links; l != NULL; l = l->next)
		for (size_t side = 0; side < 2; side++)
			if (!l->dead && l->end[side].node == from && l->end[1 - side].node == to)
				l->end[side].lost = true;
}

void links_crashed(struct world *world, const struct node *node)
{
	for (struct link *l = world->links; l != NULL; l = l->next)
		for (size_t side = 0; side < 2; side++) {
			struct link_end *other = &l->end[1 - side];

			if (l->end[side].node != node || !l->end[side].open)
				continue;
			l->end[side].open = false;
			world->link_ended = true;
			if (l->dead)
				continue;
			l->dead = true;
			link_hang_up(world, other, 10 + world_random(world, 2000));
		}
}
