#include "tests/lib/emulator/pipe.h"

#include <stdlib.h>

enum { FLYING_MAX = 8 * 1024 * 1024 }; /* of a pipe without a rate */

void pipe_init(struct pipe *pipe)
{
	*pipe = (struct pipe){0};
	STAILQ_INIT(&pipe->queue);
	STAILQ_INIT(&pipe->air);
}

/* splitmix64 */
static uint64_t draw(struct stalls *stalls, uint64_t below)
{
	uint64_t z = stalls->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return below == 0 ? 0 : z % below;
}

void stalls_next(struct stalls *stalls)
{
	stalls->start_ns = stalls->end_ns + draw(stalls, 2 * stalls->gap_ns + 1);
	stalls->end_ns =
		stalls->start_ns + stalls->length_ns / 2 + draw(stalls, stalls->length_ns + 1);
}

void stalls_set(
	struct stalls *stalls, uint64_t seed, uint64_t gap_ns, uint64_t length_ns, uint64_t now_ns)
{
	*stalls = (struct stalls){.random = seed, .end_ns = now_ns};
	if (gap_ns == 0 || length_ns == 0)
		return;
	stalls->gap_ns = gap_ns;
	stalls->length_ns = length_ns;
	stalls_next(stalls);
}

/* When work that begins then is done, if nothing happens during stalls. Times never go back. */
static uint64_t stalls_pass(struct stalls *stalls, uint64_t from, uint64_t work)
{
	while (stalls->gap_ns != 0) {
		if (from < stalls->start_ns) {
			if (from + work <= stalls->start_ns)
				return from + work;
			work -= stalls->start_ns - from;
			from = stalls->start_ns;
		}
		if (from < stalls->end_ns)
			from = stalls->end_ns;
		stalls_next(stalls);
	}
	return from + work;
}

uint64_t pipe_capacity(const struct pipe *pipe)
{
	uint64_t bytes = pipe->rate / 8 * (pipe->round_ns / 1000) / 1000000;

	if (bytes < 4 * PIPE_MTU)
		bytes = 4 * PIPE_MTU;
	return bytes + pipe->bloat;
}

bool pipe_room(const struct pipe *pipe)
{
	if (pipe->rate == 0)
		return pipe->queued + pipe->flying < FLYING_MAX;
	return pipe->queued < pipe_capacity(pipe);
}

struct packet *packet_new(void *owner, enum packet_kind kind, size_t size)
{
	struct packet *packet = malloc(sizeof(*packet) + size);

	if (packet == NULL)
		abort();
	*packet = (struct packet){.owner = owner, .kind = kind, .size = size};
	return packet;
}

static void begin_head(struct pipe *pipe, uint64_t from)
{
	const struct packet *head = STAILQ_FIRST(&pipe->queue);
	uint64_t work = 0;

	pipe->head_ns = 0;
	if (head == NULL)
		return;
	if (pipe->rate != 0)
		work = (uint64_t)head->size * 8 * 1000000000 / pipe->rate;
	pipe->head_ns = stalls_pass(&pipe->stalls, from, work);
}

void pipe_push(struct pipe *pipe, struct packet *packet, uint64_t now_ns)
{
	bool idle = STAILQ_EMPTY(&pipe->queue);

	STAILQ_INSERT_TAIL(&pipe->queue, packet, link);
	pipe->queued += packet->size;
	if (idle)
		begin_head(pipe, pipe->free_ns > now_ns ? pipe->free_ns : now_ns);
}

struct packet *pipe_take(struct pipe *pipe, uint64_t now_ns)
{
	struct packet *packet;

	while (!STAILQ_EMPTY(&pipe->queue) && pipe->head_ns <= now_ns) {
		packet = STAILQ_FIRST(&pipe->queue);
		STAILQ_REMOVE_HEAD(&pipe->queue, link);
		pipe->queued -= packet->size;
		pipe->flying += packet->size;
		pipe->free_ns = pipe->head_ns;
		packet->due_ns = pipe->free_ns + pipe->delay_ns;
		STAILQ_INSERT_TAIL(&pipe->air, packet, link);
		begin_head(pipe, pipe->free_ns);
	}
	packet = STAILQ_FIRST(&pipe->air);
	if (packet == NULL || packet->due_ns > now_ns)
		return NULL;
	STAILQ_REMOVE_HEAD(&pipe->air, link);
	pipe->flying -= packet->size;
	return packet;
}

uint64_t pipe_due(const struct pipe *pipe)
{
	const struct packet *first = STAILQ_FIRST(&pipe->air);
	uint64_t due = first == NULL ? UINT64_MAX : first->due_ns;

	if (!STAILQ_EMPTY(&pipe->queue) && pipe->head_ns < due)
		due = pipe->head_ns;
	return due;
}

void pipe_changed(struct pipe *pipe, uint64_t now_ns)
{
	pipe->free_ns = now_ns;
	begin_head(pipe, now_ns);
}

static size_t forget(struct packets *list, const void *owner)
{
	struct packets kept = STAILQ_HEAD_INITIALIZER(kept);
	struct packet *packet;
	size_t lost = 0;

	while ((packet = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, link);
		if (packet->owner != owner) {
			STAILQ_INSERT_TAIL(&kept, packet, link);
			continue;
		}
		lost += packet->size;
		free(packet);
	}
	STAILQ_CONCAT(list, &kept);
	return lost;
}

size_t pipe_forget(struct pipe *pipe, const void *owner)
{
	const struct packet *head = STAILQ_FIRST(&pipe->queue);
	bool restart = head != NULL && head->owner == owner;
	size_t queued = forget(&pipe->queue, owner), flying = forget(&pipe->air, owner);

	pipe->queued -= queued;
	pipe->flying -= flying;
	if (restart)
		begin_head(pipe, pipe->head_ns); /* it was on the wire: its time is spent */
	return queued + flying;
}
