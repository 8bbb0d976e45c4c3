#include "tests/sim/check.h"
#include "tests/sim/submit.h"

#include <assert.h>

#include "base/alloc.h"
#include "proto/frame.h"
#include "replication/log/evidence.h"

enum { WRITES_MAX = 64 * 1024 };

struct check *check_new(void)
{
	return mem_zalloc(sizeof(struct check));
}

void check_free(struct check *check)
{
	if (check == NULL)
		return;
	truths_release(&check->truths);
	for (size_t i = 0; i < check->asked_count; i++)
		entries_unref(check->asked[i].entries);
	mem_free(check->asked);
	mem_free(check);
}

struct node *check_node_named(struct world *world, const char *name)
{
	for (size_t i = 0; i < world->node_count; i++)
		if (strcmp(world->nodes[i].name, name) == 0)
			return &world->nodes[i];
	return NULL;
}

bool check_is_author(const struct world *world, const struct node *node, const char *origin)
{
	if (strcmp(origin, world->directory.text) == 0)
		return node->number == 0;
	return strcmp(origin, node->keys.origin.text) == 0;
}

static void durable_here(struct world *world, struct node *node,
	const struct checkpoint *checkpoint, const char *how)
{
	struct truth *truth = truth_of(world, checkpoint->origin.text);
	struct disk_log *log = disk_find(&node->disk, &checkpoint->origin);
	struct hash root;

	if (log == NULL || log->size < checkpoint->size) {
		world_fail(world, "%s %s size %llu of %s before it is durable", node->name, how,
			(unsigned long long)checkpoint->size, checkpoint->origin.text);
		return;
	}
	/* check_durable has compared every leaf on its disk with the author's. */
	if (truth->forked)
		disk_root(log, checkpoint->size, &root);
	else
		root = *truth_root(truth, checkpoint->size);
	if (!hash_equal(&root, &checkpoint->root))
		world_fail(world, "%s %s a root of %s that its disk does not have", node->name, how,
			checkpoint->origin.text);
	truth_one_root(world, node, checkpoint, how);
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
	truth_note_signed(world, node, codec_bytes(note), &checkpoint, how);
	durable_here(world, node, &checkpoint, how);
}

/* A fork of the hostile node's log, shown to somebody who holds the other branch. A bit may have
 * changed on the way: then it is nobody's checkpoint. */
static void fork_heard(struct world *world, const struct node *node, const Sauti__Have *have)
{
	const struct keys *keys = &world->hostile->keys;
	struct note_key key;

	if (log_note_key(&keys->origin, signer_public(keys->log), &key) != OK)
		return;
	for (size_t i = 0; i < have->n_logs; i++) {
		struct checkpoint shown;
		struct engine_log held;
		struct bytes text;
		size_t position;

		if (strcmp(have->logs[i]->origin, keys->origin.text) == 0 &&
			checkpoint_open(codec_bytes(have->logs[i]->checkpoint), &key, &shown, &text,
				NULL) == OK &&
			engine_log_find(
				node->engine, bytes_str(have->logs[i]->origin), &held, &position) &&
			held.checkpoint_size == shown.size && !hash_equal(&held.root, &shown.root))
			world->check->forked = held.origin;
	}
}

void check_after(struct world *world, struct node *node)
{
	const struct origin *origin = &world->check->forked;
	struct engine_log log;
	size_t position;

	/* Whoever invents logs has a share of the places, and no more. */
	if (engine_log_count(node->engine) > world->shape.nodes * LIMIT_EPOCHS_PER_NODE + 1)
		world_fail(
			world, "%s knows of %zu logs", node->name, engine_log_count(node->engine));
	if (origin->text[0] != '\0' &&
		engine_log_find(node->engine, bytes_str(origin->text), &log, &position) &&
		!log.frozen)
		world_fail(
			world, "%s was shown a fork of %s and goes on", node->name, origin->text);
	world->check->forked.text[0] = '\0';
}

void check_heard(
	struct world *world, struct node *node, struct session_id session, struct bytes frame)
{
	struct arena arena;
	Sauti__Frame *message;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (CODEC_UNPACK(frame, frame, &scan_limits_default, &arena, &message, NULL) == OK) {
		if (message->body_case == SAUTI__FRAME__BODY_HAVE && world->forks &&
			!links_closed(world, session))
			fork_heard(world, node, message->have);
		if (message->body_case == SAUTI__FRAME__BODY_HAVE)
			streams_have_heard(world, session, message->have);
		else if (message->body_case == SAUTI__FRAME__BODY_BATCH)
			streams_batch_heard(world, session, message->batch);
		else if (message->body_case == SAUTI__FRAME__BODY_FETCH)
			streams_fetch_heard(world, session, message->fetch);
		else if (message->body_case == SAUTI__FRAME__BODY_HELD)
			streams_held_heard(world, session, message->held);
	}
	arena_release(&arena);
}

/* ---- what is said ---- */

static void held_sent(struct world *world, struct node *node, const Sauti__Held *held)
{
	struct checkpoint checkpoint = {.size = held->cosigned->size};

	snprintf(checkpoint.origin.text, sizeof(checkpoint.origin.text), "%s", held->origin);
	memcpy(checkpoint.root.b, held->cosigned->root.data, HASH_SIZE);
	durable_here(world, node, &checkpoint, "claims to hold");
}

/* Even a hacked node makes none about somebody else: it has not got the key. */
static void evidence_sent(
	struct world *world, const struct node *node, const Sauti__Evidence *message)
{
	struct evidence evidence;
	struct note_key key;

	if (evidence_read(message, &evidence, NULL) != OK ||
		evidence_key(&evidence, NULL, &key, NULL) != OK ||
		evidence_verify(&evidence, &key, NULL) != OK)
		world_fail(world, "%s sends evidence that does not verify", node->name);
	else if (!truth_of(world, evidence.smaller.origin.text)->forked)
		world_fail(world, "%s has evidence against an honest author: %s", node->name,
			evidence.smaller.origin.text);
}

static void check_frame(
	struct world *world, struct node *node, struct session_id session, const struct buf *frame)
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
			if (!truth_is_branch(message->have->logs[i]->origin))
				note_sent(world, node, message->have->logs[i]->checkpoint,
					"announces");
	} else if (message->body_case == SAUTI__FRAME__BODY_BATCH) {
		if (!truth_is_branch(message->batch->origin))
			note_sent(world, node, message->batch->checkpoint, "sends");
		world->counts.entries_sent += message->batch->n_entries;
		streams_batch_sent(world, node, session, message->batch);
	} else if (message->body_case == SAUTI__FRAME__BODY_FETCH) {
		streams_fetch_sent(world, node, session, message->fetch);
	} else if (message->body_case == SAUTI__FRAME__BODY_EVIDENCE) {
		evidence_sent(world, node, message->evidence);
	} else if (message->body_case == SAUTI__FRAME__BODY_HELD) {
		held_sent(world, node, message->held);
	}
	arena_release(&arena);
}

static void check_write(struct world *world, struct node *node, const struct store_write *write)
{
	struct truth *truth = truth_of(world, write->origin.text);

	if (node->disk.queued > WRITES_MAX)
		world_fail(world, "%s has %zu writes under way", node->name, node->disk.queued);
	if (write->entries == NULL || check_is_author(world, node, write->origin.text))
		return;
	world->counts.entries_needed += write->entries->count;
	for (size_t i = 0; i < write->entries->count && !truth->forked; i++) {
		uint64_t index = write->first + i;

		if (index >= truth->size ||
			!hash_equal(&truth->at[index].leaf, &write->entries->leaf[i])) {
			world_fail(world,
				"%s writes an entry %llu of %s that its author never made",
				node->name, (unsigned long long)index, write->origin.text);
			return;
		}
	}
}

/* What is durable here, and never less than before. */
static void cosigns(struct world *world, struct node *node, struct bytes text, bool witness)
{
	struct checkpoint checkpoint;
	struct truth *truth;
	uint64_t *most, shown;

	if (checkpoint_parse(text, &checkpoint, NULL) != OK) {
		world_fail(world, "%s cosigns what is no checkpoint", node->name);
		return;
	}
	if (witness) {
		submit_signs(world, node, &checkpoint);
		return;
	}
	durable_here(world, node, &checkpoint, "cosigns");
	truth = truth_of(world, checkpoint.origin.text);
	shown = links_shown(world, node, truth->number);
	most = &truth->cosigned[node->number];
	if (node->guard.paused && world->hostile == NULL && world->counts.corrupted == 0 &&
		(shown == 0 || shown > checkpoint.size))
		world_fail(world,
			"%s lacks what it had, and cosigns size %llu of %s, of which %llu are "
			"shown",
			node->name, (unsigned long long)checkpoint.size, checkpoint.origin.text,
			(unsigned long long)shown);
	else if (checkpoint.size < *most)
		world_fail(world, "%s cosigns size %llu of %s, and cosigned %llu before",
			node->name, (unsigned long long)checkpoint.size, checkpoint.origin.text,
			(unsigned long long)*most);
	else
		*most = checkpoint.size;
}

void check_effect(struct world *world, struct node *node, const struct effect *effect)
{
	switch (effect->type) {
	case EFFECT_SEND:
		check_frame(world, node, effect->session, &effect->frame);
		break;
	case EFFECT_WRITE:
		check_write(world, node, effect->write);
		break;
	case EFFECT_COSIGN:
		cosigns(world, node, buf_bytes(&effect->body), effect->witness);
		break;
	case EFFECT_CLOSE:
		links_closing(world, effect->session,
			strcmp(effect->text, "another session is kept") == 0 ||
				strcmp(effect->text, "replaced by a newer session") == 0);
		break;
	case EFFECT_NOTICE:
		blame_notice(world, node, effect);
		break;
	default:
		break;
	}
}

static bool cosigned_by(
	const struct keys *keys, bool witness, const struct note_line *line, struct bytes text)
{
	struct bytes network = bytes_str("sim.example"), name = bytes_str(keys->member.name);
	struct note_key key;

	return (witness ? witness_note_key(network, name, &keys->member.witness, &key)
			: mirror_note_key(network, name, &keys->member.mirror, &key)) == OK &&
	       cosignature_verify(line, text, &key, NULL) == OK;
}

/* A stored cosignature is the mirror's, and over a root of the author's. Verified only where
 * somebody could have changed it on the way: honest nodes have no way to. */
static void cosigned_well(
	struct world *world, const struct node *node, const struct store_write *write)
{
	struct truth *truth = truth_of(world, write->origin.text);
	struct bytes stored = buf_bytes(&write->cosignature);
	bool witness = strncmp(write->cosigner, "witness/", 8) == 0;
	struct node *mirror = check_node_named(world, write->cosigner + (witness ? 8 : 0));
	struct checkpoint checkpoint = {.origin = write->origin, .size = write->cosigned_size};
	struct note_line line;
	struct buf text;
	bool good = mirror != NULL && stored.size > HASH_SIZE && checkpoint.size <= truth->size;

	if (good)
		memcpy(checkpoint.root.b, stored.data, HASH_SIZE);
	good = good &&
	       (truth->forked || hash_equal(truth_root(truth, checkpoint.size), &checkpoint.root));
	if (good && (world->hostile != NULL || world->counts.corrupted > 0)) {
		buf_init(&text, LIMIT_NOTE_SIZE);
		checkpoint_format(&text, &checkpoint);
		good = note_line_parse(bytes_make(stored.data + HASH_SIZE, stored.size - HASH_SIZE),
			       &line, NULL) == OK &&
		       (cosigned_by(&mirror->keys, witness, &line, buf_bytes(&text)) ||
			       (mirror->changed && cosigned_by(&mirror->former, witness, &line,
							   buf_bytes(&text))));
		buf_release(&text);
	}
	if (!good)
		world_fail(world, "%s stores a cosignature of '%s' on %s that is not", node->name,
			write->cosigner, write->origin.text);
}

/* Of a log with two histories: the checkpoint is over the very entries that are with it. */
static void branch_proven(struct world *world, struct node *node, const struct store_write *write,
	const struct checkpoint *checkpoint)
{
	const struct disk_log *log = disk_find(&node->disk, &write->origin);
	size_t held = log != NULL ? log->size : 0;
	struct compact compact;
	struct hash root;

	compact_init(&compact);
	for (size_t i = 0; i < held; i++)
		compact_append(&compact, &log->leaf[i]);
	for (size_t i = 0; write->entries != NULL && i < write->entries->count; i++)
		compact_append(&compact, &write->entries->leaf[i]);
	compact_root(&compact, &root);
	if (compact.size != checkpoint->size || !hash_equal(&root, &checkpoint->root))
		world_fail(world, "%s stores entries of %s that its checkpoint does not prove",
			node->name, write->origin.text);
}

static void entries_durable(struct world *world, struct node *node, struct truth *truth,
	const struct store_write *write)
{
	for (size_t i = 0; i < write->entries->count; i++) {
		uint64_t index = write->first + i;

		if (index >= truth->size)
			truth_append(truth, &write->entries->leaf[i]);
		else if (!truth->forked &&
			 !hash_equal(&truth->at[index].leaf, &write->entries->leaf[i]))
			world_fail(world, "entry %llu of %s changes on the disk of %s",
				(unsigned long long)index, write->origin.text, node->name);
	}
}

void check_durable(struct world *world, struct node *node, const struct store_write *write)
{
	struct truth *truth = truth_of(world, write->origin.text);
	struct checkpoint checkpoint;

	if (write->entries != NULL)
		entries_durable(world, node, truth, write);
	if (write->checkpoint.size > 0 &&
		checkpoint_peek(buf_bytes(&write->checkpoint), &checkpoint, NULL) == OK) {
		truth_one_root(world, node, &checkpoint, "stores");
		truth_note_signed(
			world, node, buf_bytes(&write->checkpoint), &checkpoint, "stores");
		if (truth->forked)
			branch_proven(world, node, write, &checkpoint);
	}
	if (write->cosigner[0] != '\0')
		cosigned_well(world, node, write);
}

/* ---- appends ---- */

void check_asked(struct world *world, struct node *node, uint64_t ticket,
	const struct origin *origin, const struct entries *entries)
{
	struct check *check = world->check;

	assert(ticket == check->asked_count);
	if (ticket == check->asked_capacity) {
		check->asked_capacity = 2 * check->asked_capacity + 64;
		check->asked =
			mem_resize(check->asked, check->asked_capacity * sizeof(*check->asked));
		assert(check->asked != NULL);
	}
	check->asked[check->asked_count++] = (struct asked){
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
	for (size_t i = 0; i < world->check->asked_count; i++) {
		const struct asked *asked = &world->check->asked[i];

		if (asked->acknowledged && asked->node == node && !asked->away)
			is_there(world, asked);
	}
}

void check_restored(struct world *world, struct node *node)
{
	for (size_t i = 0; i < world->check->truths.count; i++)
		world->check->truths.list[i]->cosigned[node->number] = 0;
	for (size_t i = 0; i < world->check->asked_count; i++) {
		struct asked *asked = &world->check->asked[i];
		const struct disk_log *log = disk_find(&node->disk, &asked->origin);

		asked->away |= asked->acknowledged && asked->node == node &&
			       (log == NULL || asked->index + asked->entries->count > log->size);
	}
}

void check_returned(struct world *world, struct node *node)
{
	for (size_t i = 0; i < world->check->asked_count; i++)
		if (world->check->asked[i].acknowledged && world->check->asked[i].node == node)
			is_there(world, &world->check->asked[i]);
}

void check_forks(struct world *world, const struct node *author)
{
	truth_of(world, author->keys.origin.text)->forked = true;
}
