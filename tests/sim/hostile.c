/*
 * A hacked node. Its keys and its place in the directory are good, its engine is the real one, but
 * what the engine says is changed on its way out as long as there are faults: batches of others'
 * logs swallowed, spoiled, or replaced by a forgery that is consistent with itself (its own tree,
 * its own checkpoint, signed by the wrong key; its own LogOpened where a log begins), checkpoints
 * of others made up, cosignatures forged, or well signed over a tree that is not. Nobody honest may
 * store, pass on or cosign any of it, or blame anybody else for it; and everybody converges all the
 * same. In some seeds it also shows second checkpoints of its own log, well signed: that log
 * freezes where both are known, and is the only one that need not converge.
 */
#include <assert.h>

#include "proto/codec.h"
#include "proto/frame.h"
#include "proto/frame.pb-c.h"
#include "tests/sim/hostile.h"

enum { MUTE_MS = 100 * 1000 };

struct forgery {
	struct arena arena;
	struct buf note, entry[8];
	ProtobufCBinaryData list[8];
};

/* Headquarters' own logs are two; nobody else has the directory before it gave it away. */
static bool is_author(const struct world *world, const struct node *node, const char *origin)
{
	return strcmp(origin, node->keys.origin.text) == 0 ||
	       (node->number == 0 && strcmp(origin, world->directory.text) == 0);
}

static void forge_note(const struct node *node, const char *origin, uint64_t size,
	const struct hash *root, struct buf *out)
{
	struct checkpoint checkpoint = {.size = size, .root = *root};

	/* The notes of a branch are its log's. */
	snprintf(checkpoint.origin.text, sizeof(checkpoint.origin.text), "%.*s",
		(int)strcspn(origin, "~"), origin);
	enum err err = checkpoint_sign(out, &checkpoint, node->keys.log);

	assert(err == OK);
}

static void forge_opened(const struct node *node, const char *origin, struct buf *out)
{
	struct origin log = {""};

	snprintf(log.text, sizeof(log.text), "%.*s", (int)strcspn(origin, "~"), origin);
	struct log_opened opened = {.origin = log.text,
		.previous_origin = "",
		.log_key = *signer_public(node->keys.log),
		.opened_at = 1};
	enum err err = log_opened_write(out, &opened, node->keys.node);

	assert(err == OK);
}

/* Entries of its own, behind what the log has; tree and checkpoint fit them. */
static void forge_batch(
	struct world *world, struct node *node, Sauti__Batch *batch, struct forgery *forgery)
{
	struct origin origin;
	struct disk_log *log;
	struct compact compact;
	struct hash leaf, root;
	size_t count = 1 + world_random(world, 8);

	snprintf(origin.text, sizeof(origin.text), "%s", batch->origin);
	log = disk_find(&node->disk, &origin);
	if (log == NULL || batch->first > log->size)
		return;
	compact_init(&compact);
	for (uint64_t i = 0; i < batch->first; i++)
		compact_append(&compact, &log->leaf[i]);
	for (size_t i = 0; i < count; i++) {
		struct buf *entry = &forgery->entry[i];

		if (batch->first + i == 0)
			forge_opened(node, batch->origin, entry);
		else
			buf_printf(entry, "forged %zu", i);
		forgery->list[i] = codec_binary(buf_bytes(entry));
		tree_leaf(buf_bytes(entry), &leaf);
		compact_append(&compact, &leaf);
	}
	compact_root(&compact, &root);
	forge_note(node, batch->origin, compact.size, &root, &forgery->note);
	batch->n_entries = count;
	batch->entries = forgery->list;
	batch->n_proof = 0;
	batch->checkpoint = codec_binary(buf_bytes(&forgery->note));
}

/* True: nothing is sent. */
static bool tamper_batch(
	struct world *world, struct node *node, Sauti__Batch *batch, struct forgery *forgery)
{
	if (is_author(world, node, batch->origin))
		return false;
	/* It goes on announcing and delivers nothing: whoever chose it must leave it. */
	if (world->mute && world->now_ms > MUTE_MS) {
		world->counts.forged++;
		return true;
	}
	if (world_random(world, 3) != 0)
		return false;
	world->counts.forged++;
	switch (world_random(world, 5)) {
	case 0: /* silence */
		return true;
	case 1: /* a stream that was not asked for */
		batch->stream--;
		return false;
	case 2: /* the target of somebody else's choice */
		if (batch->checkpoint.len > 40)
			batch->checkpoint.data[batch->checkpoint.len - 10] ^= 1;
		return false;
	case 3:
		batch->first += 1 + world_random(world, 3);
		return false;
	default:
		forge_batch(world, node, batch, forgery);
		return false;
	}
}

/* A larger checkpoint of somebody else's log, under the wrong key; a second one of the own log. */
static void tamper_have(
	struct world *world, struct node *node, Sauti__Have *have, struct forgery *forgery)
{
	Sauti__LogState *state = have->logs[world_random(world, have->n_logs)];
	bool own = is_author(world, node, state->origin);
	struct checkpoint checkpoint;
	struct hash root;

	if (own ? !world->forks || strcmp(state->origin, world->directory.text) == 0 ||
				world_random(world, 5) != 0
		: world_random(world, 20) != 0)
		return;
	world->counts.forged++;
	if (own) {
		enum err err = checkpoint_peek(codec_bytes(state->checkpoint), &checkpoint, NULL);

		assert(err == OK);
		memset(root.b, 0xf0, HASH_SIZE);
		forge_note(node, state->origin, checkpoint.size, &root, &forgery->note);
		state->checkpoint = codec_binary(buf_bytes(&forgery->note));
		return;
	}
	if (state->n_cosigned > 0 && world_random(world, 2) == 0) {
		state->cosigned[0]->size++;
		return;
	}
	memset(root.b, (int)world_random(world, 256), HASH_SIZE);
	state->size += world_random(world, 3);
	forge_note(node, state->origin, state->size, &root, &forgery->note);
	state->checkpoint = codec_binary(buf_bytes(&forgery->note));
}

/* Its own mirror key over a tree that is not: well signed, and a lie. Or a claim without one. */
static void tamper_held(
	struct world *world, struct node *node, Sauti__Held *held, struct forgery *forgery)
{
	struct checkpoint checkpoint;
	struct buf text;
	char name[NOTE_KEY_NAME_MAX + 1];

	if (world_random(world, 20) != 0)
		return;
	world->counts.forged++;
	held->cosigned->size += world_random(world, 10);
	if (world_random(world, 3) == 0) {
		held->cosigned->size++;
		return;
	}
	checkpoint.size = held->cosigned->size;
	memset(checkpoint.root.b, 0x55, HASH_SIZE);
	memcpy(held->cosigned->root.data, checkpoint.root.b, HASH_SIZE);
	snprintf(checkpoint.origin.text, sizeof(checkpoint.origin.text), "%s", held->origin);
	snprintf(name, sizeof(name), "sim.example/mirror/%s", node->name);
	buf_init(&text, LIMIT_NOTE_SIZE);
	checkpoint_format(&text, &checkpoint);
	enum err err = cosignature_sign(
		&forgery->note, buf_bytes(&text), 1700000000, name, node->keys.mirror);

	assert(err == OK);
	buf_release(&text);
	held->cosigned->line = codec_binary(buf_bytes(&forgery->note));
}

void hostile_tamper(struct world *world, struct node *node, struct buf *frame)
{
	struct bytes body =
		bytes_make(frame->data + FRAME_HEADER_SIZE, frame->size - FRAME_HEADER_SIZE);
	struct forgery forgery;
	Sauti__Frame *message;
	bool swallowed = false;

	arena_init(&forgery.arena, LIMIT_ARENA_SIZE);
	buf_init(&forgery.note, LIMIT_NOTE_SIZE);
	for (size_t i = 0; i < 8; i++)
		buf_init(&forgery.entry[i], LIMIT_ENTRY_SIZE);
	enum err err =
		CODEC_UNPACK(frame, body, &scan_limits_strict, &forgery.arena, &message, NULL);

	assert(err == OK);
	/* Once faults have stopped, it is mute and no worse. */
	if (message->body_case == SAUTI__FRAME__BODY_BATCH)
		swallowed = tamper_batch(world, node, message->batch, &forgery);
	else if (message->body_case == SAUTI__FRAME__BODY_HAVE && world->faults)
		tamper_have(world, node, message->have, &forgery);
	else if (message->body_case == SAUTI__FRAME__BODY_HELD && world->faults)
		tamper_held(world, node, message->held, &forgery);
	buf_clear(frame);
	if (!swallowed)
		frame_write(frame, message);
	assert(frame->err == OK);
	for (size_t i = 0; i < 8; i++)
		buf_release(&forgery.entry[i]);
	buf_release(&forgery.note);
	arena_release(&forgery.arena);
}
