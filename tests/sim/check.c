/*
 * The checkers. They know what every author asked to be written, what every disk made durable, and
 * see every effect before it happens.
 *
 *   proven        an entry that a node writes is, byte for byte, the author's entry at that index
 *   durable first a checkpoint that is sent or cosigned is over entries that are durable there
 *   one root      no two checkpoints of one origin and size with different roots are ever durable
 *                 anywhere, sent, or cosigned
 *   acknowledged  an append that returned success is on its author's disk, then and after a crash
 *   append-only   what is durable at an index never changes (a consequence of the first, kept
 * apart) converged     once faults stop, every node holds all of every log, and every author has
 * every other node's cosignature of its newest checkpoint
 */
#include <assert.h>

#include "base/alloc.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "proto/frame.pb-c.h"
#include "tests/sim/world.h"

enum { SIZES_MAX = 8192 };

struct signed_root {
	bool known;
	struct hash root;
};

/* The truth about one origin. */
struct truth {
	struct origin origin;
	struct signed_root root[SIZES_MAX];
	size_t size; /* the author's durable size, at most */
	struct hash leaf[SIZES_MAX];
};

struct asked {
	struct node *node;
	struct origin origin;
	struct entries *entries;
	bool acknowledged;
	uint64_t index;
};

struct check {
	struct truth *truths[LOGS_MAX];
	size_t truth_count;
	struct asked asked[TICKETS_MAX];
};

struct check *check_new(void)
{
	return mem_zalloc(sizeof(struct check));
}

void check_free(struct check *check)
{
	if (check == NULL)
		return;
	for (size_t i = 0; i < check->truth_count; i++)
		mem_free(check->truths[i]);
	for (size_t i = 0; i < TICKETS_MAX; i++)
		entries_unref(check->asked[i].entries);
	mem_free(check);
}

static struct truth *truth_of(struct world *world, const char *origin)
{
	struct check *check = world->check;

	for (size_t i = 0; i < check->truth_count; i++)
		if (strcmp(check->truths[i]->origin.text, origin) == 0)
			return check->truths[i];
	assert(check->truth_count < LOGS_MAX);
	struct truth *truth = mem_zalloc(sizeof(*truth));

	assert(truth != NULL);
	snprintf(truth->origin.text, sizeof(truth->origin.text), "%s", origin);
	check->truths[check->truth_count++] = truth;
	return truth;
}

static bool is_author(const struct world *world, const struct node *node, const char *origin)
{
	if (strcmp(origin, world->directory.text) == 0)
		return node->number == 0;
	return strcmp(origin, node->keys.origin.text) == 0;
}

/* A checkpoint came into being that others may see. */
static void one_root(struct world *world, const struct node *node, const char *origin,
	uint64_t size, const struct hash *root, const char *how)
{
	struct truth *truth = truth_of(world, origin);

	assert(size < SIZES_MAX);
	if (truth->root[size].known && !hash_equal(&truth->root[size].root, root))
		world_fail(world, "%s %s a second root of %s at size %llu", node->name, how, origin,
			(unsigned long long)size);
	truth->root[size] = (struct signed_root){true, *root};
}

static void durable_here(struct world *world, struct node *node, const char *origin, uint64_t size,
	const struct hash *root, const char *how)
{
	struct origin o;

	snprintf(o.text, sizeof(o.text), "%s", origin);
	struct disk_log *log = disk_find(&node->disk, &o);
	struct hash have;

	if (log == NULL || log->size < size) {
		world_fail(world, "%s %s size %llu of %s before it is durable", node->name, how,
			(unsigned long long)size, origin);
		return;
	}
	disk_root(log, size, &have);
	if (!hash_equal(&have, root))
		world_fail(world, "%s %s a root of %s that its disk does not have", node->name, how,
			origin);
	one_root(world, node, origin, size, root, how);
}

static void note_sent(
	struct world *world, struct node *node, ProtobufCBinaryData note, const char *how)
{
	struct checkpoint checkpoint;

	if (note.len == 0)
		return;
	if (checkpoint_peek(codec_bytes(note), &checkpoint, NULL) != OK) {
		world_fail(world, "%s %s a malformed checkpoint", node->name, how);
		return;
	}
	durable_here(world, node, checkpoint.origin.text, checkpoint.size, &checkpoint.root, how);
}

static void check_frame(struct world *world, struct node *node, const struct buf *frame)
{
	struct arena arena;
	Sauti__Frame *message;
	struct bytes body =
		bytes_make(frame->data + FRAME_HEADER_SIZE, frame->size - FRAME_HEADER_SIZE);

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (frame->size > LIMIT_FRAME_SIZE + FRAME_HEADER_SIZE ||
		CODEC_UNPACK(frame, body, &scan_limits_strict, &arena, &message, NULL) != OK) {
		world_fail(world, "%s sends a frame that its peers refuse", node->name);
	} else if (message->body_case == SAUTI__FRAME__BODY_HAVE) {
		for (size_t i = 0; i < message->have->n_logs; i++)
			note_sent(world, node, message->have->logs[i]->checkpoint, "announces");
	} else if (message->body_case == SAUTI__FRAME__BODY_BATCH) {
		note_sent(world, node, message->batch->checkpoint, "sends");
		world->entries_sent += message->batch->n_entries;
	} else if (message->body_case == SAUTI__FRAME__BODY_HELD) {
		struct hash root;

		memcpy(root.b, message->held->cosigned->root.data, HASH_SIZE);
		durable_here(world, node, message->held->origin, message->held->cosigned->size,
			&root, "claims to hold");
	}
	arena_release(&arena);
}

static void check_write(struct world *world, struct node *node, const struct store_write *write)
{
	struct truth *truth = truth_of(world, write->origin.text);

	if (write->entries == NULL || is_author(world, node, write->origin.text))
		return;
	world->entries_needed += write->entries->count;
	for (size_t i = 0; i < write->entries->count; i++) {
		uint64_t index = write->first + i;

		if (index >= truth->size ||
			!hash_equal(&truth->leaf[index], &write->entries->leaf[i])) {
			world_fail(world,
				"%s writes an entry %llu of %s that its author never made",
				node->name, (unsigned long long)index, write->origin.text);
			return;
		}
	}
}

void check_effect(struct world *world, struct node *node, const struct effect *effect)
{
	struct checkpoint checkpoint;

	switch (effect->type) {
	case EFFECT_SEND:
		check_frame(world, node, &effect->frame);
		break;
	case EFFECT_WRITE:
		check_write(world, node, effect->write);
		break;
	case EFFECT_COSIGN:
		if (checkpoint_parse(buf_bytes(&effect->body), &checkpoint, NULL) != OK)
			world_fail(world, "%s cosigns what is no checkpoint", node->name);
		else
			durable_here(world, node, checkpoint.origin.text, checkpoint.size,
				&checkpoint.root, "cosigns");
		break;
	case EFFECT_NOTICE:
		if (effect->notice == NOTICE_ALARM && strstr(effect->text, "cannot store") == NULL)
			world_fail(world, "%s raises an alarm among honest nodes: %s", node->name,
				effect->text);
		break;
	default:
		break;
	}
}

void check_durable(struct world *world, struct node *node, const struct store_write *write)
{
	struct truth *truth = truth_of(world, write->origin.text);
	struct checkpoint checkpoint;

	for (size_t i = 0; write->entries != NULL && i < write->entries->count; i++) {
		uint64_t index = write->first + i;

		assert(index < SIZES_MAX);
		if (index < truth->size) {
			if (!hash_equal(&truth->leaf[index], &write->entries->leaf[i]))
				world_fail(world, "entry %llu of %s changes on the disk of %s",
					(unsigned long long)index, write->origin.text, node->name);
		} else {
			truth->leaf[index] = write->entries->leaf[i];
			truth->size = index + 1;
		}
	}
	if (write->checkpoint.size > 0 &&
		checkpoint_peek(buf_bytes(&write->checkpoint), &checkpoint, NULL) == OK)
		one_root(world, node, checkpoint.origin.text, checkpoint.size, &checkpoint.root,
			"stores");
}

void check_asked(struct world *world, struct node *node, uint64_t ticket,
	const struct origin *origin, const struct entries *entries)
{
	assert(ticket < TICKETS_MAX);
	world->check->asked[ticket] = (struct asked){
		.node = node, .origin = *origin, .entries = entries_ref((struct entries *)entries)};
}

static void is_there(struct world *world, const struct asked *asked)
{
	struct disk_log *log = disk_find(&asked->node->disk, &asked->origin);

	for (size_t i = 0; i < asked->entries->count; i++)
		if (log == NULL || asked->index + i >= log->size ||
			!hash_equal(&log->leaf[asked->index + i], &asked->entries->leaf[i])) {
			world_fail(world,
				"an entry that %s acknowledged at %llu is not on its disk",
				asked->node->name, (unsigned long long)(asked->index + i));
			return;
		}
}

void check_acknowledged(struct world *world, struct node *node, uint64_t ticket, uint64_t index)
{
	struct asked *asked = &world->check->asked[ticket];

	assert(asked->node == node);
	if (asked->acknowledged)
		world_fail(world, "%s acknowledges append %llu twice", node->name,
			(unsigned long long)ticket);
	asked->acknowledged = true;
	asked->index = index;
	is_there(world, asked);
}

void check_restarted(struct world *world, struct node *node)
{
	for (size_t i = 0; i < TICKETS_MAX; i++)
		if (world->check->asked[i].acknowledged && world->check->asked[i].node == node)
			is_there(world, &world->check->asked[i]);
}

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
		if (strcmp(c.node, mirror->name) == 0 && c.size == log.checkpoint_size)
			return;
	}
	world_fail(world, "in the end %s has no cosignature of %s on %s at size %llu", author->name,
		mirror->name, origin->text, (unsigned long long)log.checkpoint_size);
}

static void log_converged(struct world *world, struct node *author, const struct origin *origin)
{
	struct disk_log *log = disk_find(&author->disk, origin);

	if (log == NULL) {
		world_fail(world, "%s never opened its log", author->name);
		return;
	}
	for (size_t i = 0; i < world->node_count; i++) {
		if (&world->nodes[i] == author)
			continue;
		holds_all(world, &world->nodes[i], log);
		is_cosigned(world, author, origin, &world->nodes[i]);
	}
}

void check_end(struct world *world)
{
	log_converged(world, &world->nodes[0], &world->directory);
	for (size_t i = 0; i < world->node_count; i++)
		log_converged(world, &world->nodes[i], &world->nodes[i].keys.origin);
	for (size_t i = 0; i < world->node_count; i++)
		check_restarted(world, &world->nodes[i]);
}
