/*
 * Is (size, root) a checkpoint of the one history that is held here? What was proven lately is
 * remembered; of what is older than that the store gives a proof: one entry is read, the one before
 * `size`, with the proof from there to all that is durable. One such read per log is under way at a
 * time. Two things wait for the answer: the last checkpoint that counts of a revoked node's log
 * (cut.c), and cosignatures over checkpoints that were never one of ours (cosigned.c).
 */
#include "replication/engine/internal.h"

enum root_answer root_look(const struct elog *log, uint64_t size, const struct hash *root)
{
	struct hash stored;

	for (unsigned i = 0; i < RECENT_ROOTS; i++)
		if (log->recent[i].size == size && size != 0 && log->recent[i].proven)
			return hash_equal(&log->recent[i].root, root) ? ROOT_OURS : ROOT_OTHER;
	if (size == 0 || size > log->size)
		return ROOT_AHEAD;
	if (size < log->size)
		return ROOT_UNKNOWN;
	compact_root(&log->stored, &stored);
	return hash_equal(&stored, root) ? ROOT_OURS : ROOT_OTHER;
}

void root_ask(struct engine *engine, struct elog *log, uint64_t size)
{
	struct effect *effect;

	assert(size > 0 && size < log->size);
	if (log->asking != 0 || engine->now_ms < log->ask_retry_ms || !reads_reserve(engine))
		return;
	effect = effect_add(engine, EFFECT_READ);
	if (effect == NULL)
		return;
	effect->read = (struct store_read){
		.origin = log->origin,
		.first = size - 1,
		.target = log->size,
		.count_max = 1,
		.size_max = LIMIT_ENTRY_SIZE,
		.ticket = ++engine->next_ticket,
	};
	engine->reads[engine->read_count++] = (struct read_ticket){
		.ticket = effect->read.ticket, .log = log->position, .root = true};
	log->asking = size;
	log->asked = log->stored;
}

static bool proves(const struct elog *log, const struct store_batch *batch, uint64_t size,
	const struct hash *root)
{
	struct hash whole;

	compact_root(&log->asked, &whole);
	return proof_consistency_ok(&batch->proof, size, root, log->asked.size, &whole);
}

void root_read(struct engine *engine, struct elog *log, const struct event *event)
{
	uint64_t size = log->asking;
	struct root_proof proof = {.size = size};

	log->asking = 0;
	if (event->error != OK || event->batch.entries->count != 1) {
		log->ask_retry_ms = engine->now_ms + engine->opts.timing.fetch_timeout;
		effect_notice(engine, NOTICE_WARNING, "log '%s': cannot read entry %llu: %s",
			log->origin.text, (unsigned long long)(size - 1), err_text(event->error));
		return;
	}
	proof.log = log;
	proof.batch = &event->batch;
	cut_proof(engine, log, &proof);
	cosigned_proof(engine, log, &proof);
	branch_proof(engine, log, &proof);
}

bool root_proves(const struct root_proof *proof, uint64_t size, const struct hash *root)
{
	return size == proof->size && proves(proof->log, proof->batch, size, root);
}
