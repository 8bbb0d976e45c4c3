/*
 * Streams, seen from both ends: what is asked for, and what is sent for it.
 */
#include "base/alloc.h"
#include "tests/sim/check.h"

/* ---- the provider's end ---- */

static void asked_of(struct stream *stream, const Sauti__Fetch *fetch)
{
	uint32_t window = fetch->window < LIMIT_FETCH_WINDOW ? fetch->window : LIMIT_FETCH_WINDOW;

	if (fetch->window == 0) {
		stream->serving = stream->serving && stream->number != fetch->stream;
		return;
	}
	if (!stream->serving || stream->number != fetch->stream) {
		stream->serving = true;
		stream->number = fetch->stream;
		stream->next = fetch->from;
		stream->target = 0;
		stream->sent = stream->window = 0;
		stream->acknowledged = 0;
	}
	/* What is being read when it shrinks may still come. */
	if (window > stream->window)
		stream->window = window;
}

static void acknowledged(struct stream *stream, uint64_t size)
{
	unsigned done = 0;

	if (size > stream->acknowledged)
		stream->acknowledged = size;
	while (done < stream->sent && stream->ends[done] <= size)
		done++;
	stream->sent -= done;
	memmove(stream->ends, stream->ends + done, stream->sent * sizeof(*stream->ends));
}

void streams_fetch_heard(struct world *world, struct session_id session, const Sauti__Fetch *fetch)
{
	const struct truth *truth =
		truth_is_branch(fetch->origin) ? NULL : truth_find(world, fetch->origin);
	struct stream *stream = truth == NULL ? NULL : links_stream(world, session, truth->number);

	if (stream == NULL)
		return;
	asked_of(stream, fetch);
	if (fetch->window > 0)
		acknowledged(stream, fetch->from);
}

void streams_held_heard(struct world *world, struct session_id session, const Sauti__Held *held)
{
	const struct truth *truth =
		truth_is_branch(held->origin) ? NULL : truth_find(world, held->origin);
	struct stream *stream = truth == NULL ? NULL : links_stream(world, session, truth->number);

	if (stream == NULL || held->cosigned == NULL)
		return;
	acknowledged(stream, held->cosigned->size);
	if (held->cosigned->size > stream->shown)
		stream->shown = held->cosigned->size;
}

static bool batch_provable(struct truth *truth, const Sauti__Batch *batch, uint64_t target)
{
	uint64_t end = batch->first + batch->n_entries;
	struct proof proof = {.count = batch->n_proof};
	struct hash root;

	if (end > target || batch->n_proof > LIMIT_PROOF_HASHES)
		return false;
	if (truth->forked)
		return true; /* the receiver's checkers say what was wrong with it */
	if (target > truth->size)
		return false;
	for (size_t i = 0; i < batch->n_entries; i++) {
		struct hash leaf;

		tree_leaf(codec_bytes(batch->entries[i]), &leaf);
		if (!hash_equal(&leaf, &truth->at[batch->first + i].leaf))
			return false;
	}
	for (size_t i = 0; i < proof.count; i++)
		memcpy(proof.hashes[i].b, batch->proof[i].data, HASH_SIZE);
	root = *truth_root(truth, end);
	return proof_consistency_ok(&proof, end, &root, target, truth_root(truth, target));
}

static const char *batch_wrong(struct stream *stream, const Sauti__Batch *batch)
{
	struct checkpoint target;

	if (!stream->serving || stream->number != batch->stream)
		return "of a stream that nobody asked for";
	if (stream->next != batch->first)
		return "that does not continue its stream";
	if (stream->sent >= stream->window &&
		batch->first + batch->n_entries > stream->acknowledged)
		return "past the window";
	if (batch->checkpoint.len > 0 && stream->next < stream->target)
		return "with a new target before the old one is reached";
	if (batch->checkpoint.len > 0 &&
		checkpoint_peek(codec_bytes(batch->checkpoint), &target, NULL) == OK)
		stream->target = target.size;
	return NULL;
}

void streams_batch_sent(struct world *world, const struct node *node, struct session_id session,
	const Sauti__Batch *batch)
{
	struct truth *truth =
		truth_is_branch(batch->origin) ? NULL : truth_find(world, batch->origin);
	struct stream *stream = truth == NULL ? NULL : links_stream(world, session, truth->number);
	const char *wrong;

	if (stream == NULL)
		return;
	wrong = batch_wrong(stream, batch);
	if (wrong == NULL && !batch_provable(truth, batch, stream->target))
		wrong = "that its target does not prove";
	if (wrong != NULL) {
		world_fail(world, "%s sends a batch of %s %s", node->name, batch->origin, wrong);
		return;
	}
	stream->next += batch->n_entries;
	if (stream->next > stream->acknowledged)
		stream->ends[stream->sent++] = stream->next;
}

/* The other end has so much of the log. */
static void shown(struct world *world, struct session_id session, const char *origin, uint64_t size)
{
	const struct truth *truth = truth_find(world, origin);
	struct stream *stream = truth == NULL ? NULL : links_stream(world, session, truth->number);

	if (stream != NULL && size > stream->shown)
		stream->shown = size;
}

static void note_shown(struct world *world, struct session_id session, ProtobufCBinaryData note)
{
	struct checkpoint checkpoint;

	if (checkpoint_peek(codec_bytes(note), &checkpoint, NULL) == OK)
		shown(world, session, checkpoint.origin.text, checkpoint.size);
}

void streams_have_heard(struct world *world, struct session_id session, const Sauti__Have *have)
{
	for (size_t i = 0; i < have->n_logs; i++)
		note_shown(world, session, have->logs[i]->checkpoint);
}

/* Of a stream that was ended nothing is looked at; its checkpoint is shown again. */
void streams_batch_heard(struct world *world, struct session_id session, const Sauti__Batch *batch)
{
	const struct truth *truth = truth_find(world, batch->origin);
	struct stream *stream = truth == NULL ? NULL : links_stream(world, session, truth->number);

	if (stream != NULL && stream->asked && stream->asked_number == batch->stream)
		note_shown(world, session, batch->checkpoint);
}

/* ---- the asking end ---- */

/* Nothing is fetched twice: what is durable here is not asked for again. */
static void asks_anew(struct world *world, struct node *node, const Sauti__Fetch *fetch)
{
	struct origin origin;
	struct disk_log *log;

	snprintf(origin.text, sizeof(origin.text), "%s", fetch->origin);
	log = disk_find(&node->disk, &origin);
	if (log != NULL && fetch->from < log->size && !node->disk.broken)
		world_fail(world, "%s asks for entry %llu of %s, and holds %zu", node->name,
			(unsigned long long)fetch->from, fetch->origin, log->size);
}

void streams_fetch_sent(struct world *world, struct node *node, struct session_id session,
	const Sauti__Fetch *fetch)
{
	const struct truth *truth =
		truth_is_branch(fetch->origin) ? NULL : truth_find(world, fetch->origin);
	struct stream *stream = truth == NULL ? NULL : links_stream(world, session, truth->number);

	if (stream == NULL)
		return;
	if (fetch->window > 0 && !stream->asked &&
		links_asked_elsewhere(world, node, session, truth->number))
		world_fail(world, "%s asks two nodes for %s at a time", node->name, fetch->origin);
	if (fetch->window > 0 && (!stream->asked || stream->asked_number != fetch->stream))
		asks_anew(world, node, fetch);
	stream->asked = fetch->window > 0;
	stream->asked_number = fetch->stream;
}
