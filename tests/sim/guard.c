#include "tests/sim/guard.h"

#include "tests/sim/world.h"

enum { CAUGHT_UP_MS = 60 * 1000 };

static bool goes_on(enum guard_verdict verdict)
{
	return verdict == GUARD_NEW || verdict == GUARD_SAME || verdict == GUARD_ROLLED;
}

bool guard_writable(const struct node *node)
{
	return goes_on(node->guard.verdict);
}

static bool is_directory(const struct world *world, const struct origin *origin)
{
	return strcmp(origin->text, world->directory.text) == 0;
}

static void facts_collect(const struct world *world, struct node *node, struct guard_facts *ret)
{
	const struct guard_record *record = &node->guard.record;

	*ret = (struct guard_facts){.guarded = true, .commit = node->disk.commits};
	for (size_t i = 0; i < record->log_count; i++) {
		const struct guard_log *log = &record->logs[i];
		const struct disk_log *held = disk_find(&node->disk, &log->origin);

		if (held == NULL)
			continue;
		ret->logs[i].size = held->size;
		if (held->size >= log->size)
			disk_root(held, log->size, &ret->logs[i].root);
	}
}

static void follow_log(struct world *world, struct node *node, const struct origin *origin)
{
	const struct disk_log *held = disk_find(&node->disk, origin);
	struct node_guard *guard = &node->guard;
	struct guard_log *log = guard_record_log(&guard->record, origin->text);
	struct checkpoint checkpoint;

	if (held == NULL || held->checkpoint.size == 0 ||
		(is_directory(world, origin) ? !guard->directory_ok : guard->own_held) ||
		checkpoint_peek(buf_bytes(&held->checkpoint), &checkpoint, NULL) != OK)
		return;
	if (log == NULL) {
		log = &guard->record.logs[guard->record.log_count++];
		*log = (struct guard_log){.origin = *origin};
	}
	if (checkpoint.size < log->size)
		return;
	log->size = checkpoint.size;
	log->root = checkpoint.root;
}

void guard_committed(struct world *world, struct node *node)
{
	struct node_guard *guard = &node->guard;
	uint64_t commits = node->disk.commits;

	if (!guard->valid)
		return;
	if (commits > guard->record.commit)
		guard->missing = 0;
	if (commits + guard->missing > guard->record.commit)
		guard->record.commit = commits + guard->missing;
	follow_log(world, node, &node->keys.origin);
	if (node->number == 0)
		follow_log(world, node, &world->directory);
}

/* The own log may be lost, and the directory's whole. */
static bool directory_judge(
	const struct world *world, const struct node *node, const struct guard_facts *facts)
{
	const struct guard_record *record = &node->guard.record;

	for (size_t i = 0; i < record->log_count; i++)
		if (is_directory(world, &record->logs[i].origin))
			return facts->logs[i].size >= record->logs[i].size &&
			       hash_equal(&facts->logs[i].root, &record->logs[i].root);
	return true;
}

void guard_lose_witness(struct node *node, bool lost)
{
	node->disk.witness_losing = lost;
	node->disk.losing_key = node->keys.member.witness;
}

void guard_start(struct world *world, struct node *node, struct engine_opts *opts)
{
	struct node_guard *guard = &node->guard;
	const struct guard_log *own = guard_record_own(&guard->record);
	struct guard_facts facts;
	struct errctx why = {""};

	facts_collect(world, node, &facts);
	guard->verdict = GUARD_NEW;
	if (guard->valid)
		guard->verdict = guard_judge(&guard->record, &facts, &why);
	guard->valid = true;
	guard->own_held = !goes_on(guard->verdict);
	guard->directory_ok = goes_on(guard->verdict) || directory_judge(world, node, &facts);
	guard->missing = guard->record.commit > node->disk.commits
				 ? guard->record.commit - node->disk.commits
				 : 0;
	guard->paused = guard->verdict == GUARD_ROLLED || guard->verdict == GUARD_BEHIND ||
			guard->missing > 0;
	if (goes_on(guard->verdict))
		guard_committed(world, node);
	else
		world_say(world, "%s: guard: %s: %s", node->name,
			guard_verdict_name(guard->verdict), why.text);
	guard->witness_lost =
		(guard->verdict != GUARD_NEW && guard->verdict != GUARD_SAME) || guard->paused ||
		(node->disk.witness_lost && memcmp(&node->disk.lost_key, &node->keys.member.witness,
						    sizeof(node->disk.lost_key)) == 0);
	guard_lose_witness(node, guard->witness_lost);
	opts->witness_lost = guard->witness_lost;
	opts->directory_own = node->number == 0 && guard->directory_ok;
	opts->cosigning_paused = guard->paused;
	if (guard->verdict == GUARD_BEHIND || guard->verdict == GUARD_OTHER) {
		opts->own = OWN_NONE;
	} else if (own != NULL) {
		opts->own = OWN_LOG;
		opts->own_log = own->origin;
	}
}

bool guard_recovered(struct world *world, struct node *node)
{
	struct node_guard *guard = &node->guard;
	struct guard_facts facts;
	struct errctx why = {""};

	if (guard->verdict != GUARD_BEHIND)
		return false;
	facts_collect(world, node, &facts);
	guard->verdict = guard_judge(&guard->record, &facts, &why);
	if (guard->verdict == GUARD_BEHIND)
		return false;
	if (!goes_on(guard->verdict)) {
		world_fail(world, "%s: what came back of its own log is not what it signed: %s",
			node->name, why.text);
		return false;
	}
	guard->own_held = false;
	guard->directory_ok = true;
	guard_committed(world, node);
	return true;
}

bool guard_caught_up(struct world *world, struct node *node)
{
	struct node_guard *guard = &node->guard;

	if (!guard->paused || guard->verdict == GUARD_BEHIND ||
		!engine_caught_up(node->engine, CAUGHT_UP_MS))
		return false;
	world_say(world, "%s: its store has caught up", node->name);
	if (node->disk.commits < guard->record.commit)
		node->disk.commits = guard->record.commit;
	guard->missing = 0;
	guard->paused = false;
	if (guard->verdict == GUARD_ROLLED)
		guard->verdict = GUARD_SAME;
	return true;
}

void guard_stopped(struct node *node)
{
	node->guard.record.stopped = true;
	if (goes_on(node->guard.verdict))
		node->guard.verdict = GUARD_STOPPED;
}
