/*
 * The checkers. They know what every author asked to be written, what every disk made durable, and
 * see every effect before it happens.
 *
 *   proven        an entry that a node writes is, byte for byte, the author's entry at that index,
 *                 and the checkpoint that comes with it bears the author's signature
 *   durable first a checkpoint that is sent or cosigned is over entries that are durable there
 *   one root      no two checkpoints of one origin and size with different roots are ever durable
 *                 anywhere, sent, or cosigned
 *   acknowledged  an append that returned success is on its author's disk, then and after a crash
 *   append-only   what is durable at an index never changes (a consequence of the first, kept
 *                 apart)
 *   streams       a batch continues its stream, is provable against its target, which changes only
 *                 once it is reached, and is within the window; a log is asked for from one node at
 *                 a time
 *   cosigned      a cosignature that is stored is its mirror's, over the author's root
 *   no false      an honest node is never accused by another, raises no alarm, and is not given up
 *   accusation    as a silent provider while its connection carries what it says
 *   one session   of two connections of a pair, one stays
 *   converged     once faults stop, every node holds all of every log, every author has every other
 *                 node's cosignature of its newest checkpoint, on its disk too, and no pair has
 *                 two connections
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
	struct hash note[SIZES_MAX]; /* of the note at that size, once its signature was verified */
	size_t size;                 /* the author's durable size, at most */
	struct hash leaf[SIZES_MAX];
	struct hash prefix[SIZES_MAX]; /* the root of the first i leaves, i < prefixes */
	size_t prefixes;
	struct compact compact; /* of the first prefixes - 1 leaves */
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
	struct origin forked; /* what the frame being heard contradicts; "": nothing */
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

/* The number of a log, LOGS_MAX when no honest node ever had it. */
static size_t truth_number(const struct world *world, const char *origin)
{
	const struct check *check = world->check;

	for (size_t i = 0; i < check->truth_count; i++)
		if (strcmp(check->truths[i]->origin.text, origin) == 0)
			return i;
	return LOGS_MAX;
}

static struct truth *truth_of(struct world *world, const char *origin)
{
	struct check *check = world->check;
	size_t number = truth_number(world, origin);

	if (number < LOGS_MAX)
		return check->truths[number];
	assert(check->truth_count < LOGS_MAX);
	struct truth *truth = mem_zalloc(sizeof(*truth));

	assert(truth != NULL);
	snprintf(truth->origin.text, sizeof(truth->origin.text), "%s", origin);
	compact_init(&truth->compact);
	check->truths[check->truth_count++] = truth;
	return truth;
}

/* The root that the author's first `size` entries have. */
static const struct hash *truth_root(struct truth *truth, uint64_t size)
{
	assert(size <= truth->size && size < SIZES_MAX);
	while (truth->prefixes <= size) {
		if (truth->prefixes > 0)
			compact_append(&truth->compact, &truth->leaf[truth->prefixes - 1]);
		compact_root(&truth->compact, &truth->prefix[truth->prefixes++]);
	}
	return &truth->prefix[size];
}

static struct node *node_named(struct world *world, const char *name)
{
	for (size_t i = 0; i < world->node_count; i++)
		if (strcmp(world->nodes[i].name, name) == 0)
			return &world->nodes[i];
	return NULL;
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

	if (log == NULL || log->size < size) {
		world_fail(world, "%s %s size %llu of %s before it is durable", node->name, how,
			(unsigned long long)size, origin);
		return;
	}
	/* check_durable has compared every leaf on its disk with the author's. */
	if (!hash_equal(truth_root(truth_of(world, origin), size), root))
		world_fail(world, "%s %s a root of %s that its disk does not have", node->name, how,
			origin);
	one_root(world, node, origin, size, root, how);
}

static const struct signer *key_of(struct world *world, const char *origin)
{
	if (strcmp(origin, world->directory.text) == 0)
		return world->directory_key;
	for (size_t i = 0; i < world->node_count; i++)
		if (strcmp(origin, world->nodes[i].keys.origin.text) == 0)
			return world->nodes[i].keys.log;
	return NULL;
}

/* The author's signature stands on the note. Verified once: Ed25519 gives one note per text. */
static void note_signed(struct world *world, const struct node *node, struct bytes note,
	const struct checkpoint *checkpoint, const char *how)
{
	const struct signer *signer = key_of(world, checkpoint->origin.text);
	struct hash hash, *known;
	struct note_key key;
	struct checkpoint opened;

	assert(checkpoint->size < SIZES_MAX);
	known = &truth_of(world, checkpoint->origin.text)->note[checkpoint->size];
	sha256(note, &hash);
	if (hash_equal(&hash, known))
		return;
	if (signer == NULL ||
		log_note_key(&checkpoint->origin, signer_public(signer), &key) != OK ||
		checkpoint_open(note, &key, &opened, NULL, NULL) != OK)
		world_fail(world, "%s %s a checkpoint of %s that its author did not sign",
			node->name, how, checkpoint->origin.text);
	*known = hash;
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
	note_signed(world, node, codec_bytes(note), &checkpoint, how);
	durable_here(world, node, checkpoint.origin.text, checkpoint.size, &checkpoint.root, how);
}

/* Streams, from the provider's end. */

static void stream_heard(struct stream *stream, uint32_t number, uint32_t window, uint64_t from)
{
	if (window == 0) {
		stream->serving = stream->serving && stream->number != number;
		return;
	}
	if (!stream->serving || stream->number != number)
		*stream = (struct stream){
			.asked = stream->asked, .serving = true, .number = number, .next = from};
	stream->window = window < LIMIT_FETCH_WINDOW ? window : LIMIT_FETCH_WINDOW;
}

static void stream_acknowledged(struct stream *stream, uint64_t size)
{
	unsigned done = 0;

	while (done < stream->sent && stream->ends[done] <= size)
		done++;
	stream->sent -= done;
	memmove(stream->ends, stream->ends + done, stream->sent * sizeof(*stream->ends));
}

static bool batch_provable(struct truth *truth, const Sauti__Batch *batch, uint64_t target)
{
	uint64_t end = batch->first + batch->n_entries;
	struct proof proof = {.count = batch->n_proof};

	if (end > target || target > truth->size || batch->n_proof > LIMIT_PROOF_HASHES)
		return false;
	for (size_t i = 0; i < batch->n_entries; i++) {
		struct hash leaf;

		tree_leaf(codec_bytes(batch->entries[i]), &leaf);
		if (!hash_equal(&leaf, &truth->leaf[batch->first + i]))
			return false;
	}
	for (size_t i = 0; i < proof.count; i++)
		memcpy(proof.hashes[i].b, batch->proof[i].data, HASH_SIZE);
	return proof_consistency_ok(
		&proof, end, truth_root(truth, end), target, truth_root(truth, target));
}

static void batch_sent(struct world *world, const struct node *node, struct session_id session,
	const Sauti__Batch *batch)
{
	struct stream *streams = world_streams(world, session), *stream;
	size_t number = truth_number(world, batch->origin);
	struct checkpoint target;
	const char *wrong = NULL;

	if (streams == NULL || number == LOGS_MAX)
		return;
	stream = &streams[number];
	if (!stream->serving || stream->number != batch->stream)
		wrong = "of a stream that nobody asked for";
	else if (stream->next != batch->first)
		wrong = "that does not continue its stream";
	else if (stream->sent >= stream->window)
		wrong = "past the window";
	else if (batch->checkpoint.len > 0 && stream->next < stream->target)
		wrong = "with a new target before the old one is reached";
	else if (batch->checkpoint.len > 0 &&
		 checkpoint_peek(codec_bytes(batch->checkpoint), &target, NULL) == OK)
		stream->target = target.size;
	if (wrong == NULL && !batch_provable(world->check->truths[number], batch, stream->target))
		wrong = "that its target does not prove";
	if (wrong != NULL) {
		world_fail(world, "%s sends a batch of %s %s", node->name, batch->origin, wrong);
		return;
	}
	stream->next += batch->n_entries;
	stream->ends[stream->sent++] = stream->next;
}

static void fetch_sent(struct world *world, const struct node *node, struct session_id session,
	const Sauti__Fetch *fetch)
{
	struct stream *streams = world_streams(world, session);
	size_t number = truth_number(world, fetch->origin);

	if (streams == NULL || number == LOGS_MAX)
		return;
	if (fetch->window > 0 && !streams[number].asked &&
		world_asked_elsewhere(world, node, session, number))
		world_fail(world, "%s asks two nodes for %s at a time", node->name, fetch->origin);
	streams[number].asked = fetch->window > 0;
}

/* A fork of the hostile node's log, shown to somebody who holds the other branch. */
static void fork_heard(struct world *world, const struct node *node, const Sauti__Have *have)
{
	for (size_t i = 0; i < have->n_logs; i++) {
		struct checkpoint shown;
		struct engine_log held;
		size_t position;

		if (strcmp(have->logs[i]->origin, world->hostile->keys.origin.text) == 0 &&
			checkpoint_peek(codec_bytes(have->logs[i]->checkpoint), &shown, NULL) ==
				OK &&
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
	struct stream *streams = world_streams(world, session);
	struct arena arena;
	Sauti__Frame *message;
	size_t number;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (streams == NULL ||
		CODEC_UNPACK(frame, frame, &scan_limits_default, &arena, &message, NULL) != OK) {
		arena_release(&arena);
		return;
	}
	if (message->body_case == SAUTI__FRAME__BODY_HAVE && world->forks &&
		!world_closed(world, session))
		fork_heard(world, node, message->have);
	if (message->body_case == SAUTI__FRAME__BODY_FETCH) {
		const Sauti__Fetch *f = message->fetch;

		number = truth_number(world, f->origin);
		if (number < LOGS_MAX) {
			stream_heard(&streams[number], f->stream, f->window, f->from);
			if (f->window > 0)
				stream_acknowledged(&streams[number], f->from);
		}
	} else if (message->body_case == SAUTI__FRAME__BODY_HELD &&
		   message->held->cosigned != NULL) {
		number = truth_number(world, message->held->origin);
		if (number < LOGS_MAX)
			stream_acknowledged(&streams[number], message->held->cosigned->size);
	}
	arena_release(&arena);
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
			note_sent(world, node, message->have->logs[i]->checkpoint, "announces");
	} else if (message->body_case == SAUTI__FRAME__BODY_BATCH) {
		note_sent(world, node, message->batch->checkpoint, "sends");
		world->entries_sent += message->batch->n_entries;
		batch_sent(world, node, session, message->batch);
	} else if (message->body_case == SAUTI__FRAME__BODY_FETCH) {
		fetch_sent(world, node, session, message->fetch);
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

/* The peer that a notice names: the first word in quotes behind `before`. */
static struct node *accused(struct world *world, const char *text, const char *before)
{
	const char *at = strstr(text, before);
	char name[LIMIT_NODE_NAME + 1];
	size_t size;

	if (at == NULL)
		return NULL;
	at += strlen(before);
	size = strcspn(at, "'");
	snprintf(name, sizeof(name), "%.*s", (int)size, at);
	return node_named(world, name);
}

static void check_warning(struct world *world, const struct node *node, const char *text)
{
	static const char *const nobodys_fault[] = {"no Hello", "silent for",
		"not an active member", "does not list it as active", "cannot store entries"};
	const struct node *peer = accused(world, text, "session with '");

	if (strstr(text, "says bye") != NULL || (peer != NULL && peer == world->hostile))
		return;
	for (size_t i = 0; i < sizeof(nobodys_fault) / sizeof(*nobodys_fault); i++)
		if (strstr(text, nobodys_fault[i]) != NULL)
			return;
	/* A forged first batch is no proof against who sent it: no name stands here. */
	if (peer == NULL && world->hostile != NULL && strstr(text, "is not accepted") != NULL)
		return;
	world_fail(world, "%s accuses an honest node: %s", node->name, text);
}

static void check_notice(struct world *world, struct node *node, const struct effect *effect)
{
	const struct node *peer;

	if (effect->notice == NOTICE_ALARM &&
		!(world->forks && strstr(effect->text, world->hostile->keys.origin.text) != NULL))
		world_fail(world, "%s raises an alarm among honest nodes: %s", node->name,
			effect->text);
	if (world->corrupted > 0 || node == world->hostile)
		return;
	if (effect->notice == NOTICE_WARNING)
		check_warning(world, node, effect->text);
	if (strstr(effect->text, "sends nothing") == NULL || world->seed % 5 == 0)
		return; /* on a slow line a long queue may take its minute */
	peer = accused(world, effect->text, "': '");
	if (peer != NULL && peer != world->hostile && world_reaches(world, node, peer->name))
		world_fail(world, "%s gives up a provider that it hears: %s", node->name,
			effect->text);
}

void check_effect(struct world *world, struct node *node, const struct effect *effect)
{
	struct checkpoint checkpoint;

	switch (effect->type) {
	case EFFECT_SEND:
		check_frame(world, node, effect->session, &effect->frame);
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
	case EFFECT_CLOSE:
		world_closing(world, effect->session,
			strcmp(effect->text, "another session is kept") == 0 ||
				strcmp(effect->text, "replaced by a newer session") == 0);
		break;
	case EFFECT_NOTICE:
		check_notice(world, node, effect);
		break;
	default:
		break;
	}
}

/* A stored cosignature is the mirror's, and over a root of the author's. Verified only where
 * somebody could have changed it on the way: honest nodes have no way to. */
static void cosigned_well(
	struct world *world, const struct node *node, const struct store_write *write)
{
	struct truth *truth = truth_of(world, write->origin.text);
	struct bytes stored = buf_bytes(&write->cosignature);
	struct node *mirror = node_named(world, write->cosigner);
	struct checkpoint checkpoint = {.origin = write->origin, .size = write->cosigned_size};
	struct note_line line;
	struct note_key key;
	struct buf text;
	bool good = mirror != NULL && stored.size > HASH_SIZE && checkpoint.size <= truth->size;

	if (good)
		memcpy(checkpoint.root.b, stored.data, HASH_SIZE);
	good = good && hash_equal(truth_root(truth, checkpoint.size), &checkpoint.root);
	if (good && (world->hostile != NULL || world->corrupted > 0)) {
		buf_init(&text, LIMIT_NOTE_SIZE);
		checkpoint_format(&text, &checkpoint);
		good = mirror_note_key(bytes_str("sim.example"), bytes_str(mirror->name),
			       &mirror->keys.member.mirror, &key) == OK &&
		       note_line_parse(bytes_make(stored.data + HASH_SIZE, stored.size - HASH_SIZE),
			       &line, NULL) == OK &&
		       cosignature_verify(&line, buf_bytes(&text), &key, NULL) == OK;
		buf_release(&text);
	}
	if (!good)
		world_fail(world, "%s stores a cosignature of '%s' on %s that is not", node->name,
			write->cosigner, write->origin.text);
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
		checkpoint_peek(buf_bytes(&write->checkpoint), &checkpoint, NULL) == OK) {
		one_root(world, node, checkpoint.origin.text, checkpoint.size, &checkpoint.root,
			"stores");
		note_signed(world, node, buf_bytes(&write->checkpoint), &checkpoint, "stores");
	}
	if (write->cosigner[0] != '\0')
		cosigned_well(world, node, write);
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

static void is_stored(struct world *world, const struct node *author, const struct origin *origin,
	const struct engine_cosigned *cosigned)
{
	const struct disk_log *log = disk_find((struct disk *)&author->disk, origin);

	for (size_t i = 0; log != NULL && i < log->cosigned_count; i++)
		if (strcmp(log->cosigned[i].cosigner, cosigned->node) == 0 &&
			log->cosigned[i].size == cosigned->size)
			return;
	world_fail(world, "in the end %s has not stored what %s cosigned of %s", author->name,
		cosigned->node, origin->text);
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
		if (strcmp(c.node, mirror->name) == 0 && c.size == log.checkpoint_size) {
			is_stored(world, author, origin, &c);
			return;
		}
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
		if (!world->forks || &world->nodes[i] != world->hostile)
			log_converged(world, &world->nodes[i], &world->nodes[i].keys.origin);
	for (size_t i = 0; i < world->node_count; i++)
		check_restarted(world, &world->nodes[i]);
	for (size_t i = 0; i < world->node_count; i++)
		for (size_t k = 0; k < i; k++)
			if (world_connections(world, &world->nodes[i], &world->nodes[k]) > 1)
				world_fail(world, "in the end %s and %s have two connections",
					world->nodes[i].name, world->nodes[k].name);
}
