/*
 * What the guard found, while the node runs: which logs may be written, what the operator is told,
 * and the re-sealing of older epochs after an unlock (server/vault/epoch.c).
 */
#include <stdio.h>

#include "server/internal.h"
#include "server/locking.h"
#include "server/log.h"

/* Nobody shows more of any log for so long: nothing is missing that could be had. */
enum { CAUGHT_UP_MS = 60 * 1000 };

bool guard_state_writable(const struct guard_state *state)
{
	/* OTHER: what the unlocked node has is the new log. */
	return state->verdict != GUARD_BEHIND && state->verdict != GUARD_STOPPED;
}

const char *guard_state_todo(const struct guard_state *state)
{
	static const char rolled[] =
		"Nothing to do: the missing entries are fetched from other nodes. Until then this "
		"node confirms nothing to them.";
	static const char behind[] =
		"The node shows cases and records nothing until the missing entries are back: it "
		"fetches them from the nodes that hold them, or takes them from a bundle that was "
		"made there without --for. If older data was put back by "
		"mistake: stop the node, put the newer data back, start it. If nobody has the "
		"newer data: "
		"'sauti lock', then 'sauti unlock --new-epoch' opens a new log.";
	static const char stopped[] =
		"The node shows cases and records nothing. Somebody wrote to its log elsewhere: a "
		"copy of its data that runs on another machine, or somebody with its keys; or "
		"older "
		"data was put back together with its guard. Find out which. Then 'sauti lock' and "
		"'sauti unlock --new-epoch' open a new log; start the node again after that.";
	static const char other[] =
		"Unlock the node: it opens a new log, and seals again what only the old one has.";
	static const char elsewhere[] =
		"Another machine of this name writes a newer log of this node: it was started from "
		"a copy of its data. Find it, and stop one of the two for good.";
	static const char directory[] =
		"The directory of the network is not continued: whether somebody else continued it "
		"while this data or its guard was away is not known. No node can be admitted; "
		"those that are members work on.";
	static const char returned[] =
		"Entries of this node's older log came back from other nodes: 'sauti lock' and "
		"'sauti unlock' to read them.";

	switch (state->verdict) {
	case GUARD_ROLLED:
		return rolled;
	case GUARD_BEHIND:
		return behind;
	case GUARD_STOPPED:
		return stopped;
	case GUARD_OTHER:
		return other;
	case GUARD_NEW:
	case GUARD_SAME:
		break;
	}
	return state->elsewhere[0] != '\0' ? elsewhere
	       : state->directory_ended    ? directory
	       : state->returned > 0       ? returned
					   : "";
}

/* The own log has become another. Whatever the vault knows of its cases is older: it is read anew
 * at the next unlock. One that is under way fails (turn). */
static void own_log_turned(struct runtime *rt)
{
	rt->guard_state.turn++;
	if (rt->keys == NULL)
		return;
	runtime_lock(rt, LOCK_LOG, NULL);
	log_line(LOG_WARNING, "locked: unlock again to record");
}

/* Is it about the log that this node writes? The directory's history is told by the notice alone.
 */
static bool is_guarded(struct runtime *rt, const char *origin)
{
	struct guard_record record;
	const struct guard_log *own =
		guard_get(rt->guard, &record) ? guard_record_own(&record) : NULL;

	return own != NULL && strcmp(own->origin.text, origin) == 0;
}

const char witness_lost_text[] = "what this node's witness key has signed is not all known here: "
				 "it cosigns nothing as a witness "
				 "any more; 'sauti node rotate' gives it a new one";

/* The engine has stopped using the key; the next start must not begin again. */
static void witness_lose(struct runtime *rt)
{
	if (rt->witness_lost || !engine_witness_lost(rt->engine) || rt->writer == NULL)
		return;
	rt->witness_lost = true;
	writer_witness_lost(rt->writer, signer_public(rt->witness));
	writer_probe(rt->writer);
	log_line(LOG_ALARM, "%s", witness_lost_text);
}

void runtime_forked(struct runtime *rt, const struct effect *effect)
{
	struct guard_state *state = &rt->guard_state;
	struct errctx ctx = {""};
	enum err err;

	witness_lose(rt);
	if (!is_guarded(rt, effect->origin.text) || state->verdict == GUARD_OTHER ||
		(!effect->proven && !guard_state_writable(state)))
		return;
	/* Without evidence it is not certain that the log is lost. With it nobody takes the log any
	 * further, and a new one is the only way. One small write, once in the life of a log: the
	 * loop may wait for it. */
	state->verdict = effect->proven ? GUARD_OTHER : GUARD_STOPPED;
	snprintf(state->why, sizeof(state->why), "%.*s", GUARD_WHY_MAX, effect->text);
	err = effect->proven ? guard_renew(rt->guard, state->why, &ctx)
			     : guard_stop(rt->guard, state->why, &ctx);
	if (err != OK)
		log_line(LOG_ALARM, "%s", ctx.text);
	if (effect->proven)
		own_log_turned(rt);
}

/* Nothing is missing any more of what this node signed. */
static void recovered(struct runtime *rt, const struct guard_record *record)
{
	log_line(LOG_INFO, "guard: all entries of this node's log are back");
	for (size_t i = 0; i < record->log_count; i++)
		runtime_step(
			rt, &(struct event){.type = EVENT_OWN, .origin = &record->logs[i].origin});
}

static void all_there(struct runtime *rt)
{
	if (!rt->guard_state.paused)
		return;
	rt->guard_state.paused = false;
	log_line(LOG_INFO, "guard: the store has caught up");
	runtime_step(rt, &(struct event){.type = EVENT_CAUGHT_UP});
}

/* A log of this node that is newer than the one it writes is another machine's. */
static void elsewhere_find(
	struct runtime *rt, const struct origin *origin, const struct origin_parts *seen)
{
	struct guard_state *state = &rt->guard_state;
	struct origin_parts own;

	if (state->elsewhere[0] != '\0' || strcmp(origin->text, rt->keys->log_origin) == 0 ||
		origin_parse(bytes_str(rt->keys->log_origin), NULL, &own) != OK ||
		seen->counter < own.counter)
		return;
	snprintf(state->elsewhere, sizeof(state->elsewhere), "%.*s", LIMIT_ORIGIN, origin->text);
	log_line(LOG_ALARM, "another machine writes log '%s' of this node", state->elsewhere);
}

void runtime_entries_returned(struct runtime *rt, const struct store_write *write)
{
	struct origin_parts parts;
	struct engine_log log;
	size_t position;

	if (write->entries == NULL || write->result != OK || rt->keys == NULL ||
		log_name_parse(bytes_str(write->origin.text), NULL, NULL, &parts) != OK ||
		!bytes_equal_str(parts.node, rt->node) ||
		!engine_log_find(rt->engine, bytes_str(write->origin.text), &log, &position) ||
		log.own)
		return;
	rt->guard_state.returned += write->entries->count;
	if (!log.branch)
		elsewhere_find(rt, &write->origin, &parts);
}

void runtime_guard_written(struct runtime *rt)
{
	struct guard_state *state = &rt->guard_state;
	struct errctx why = {""}, ctx = {""};
	struct guard_record record;
	enum guard_verdict verdict, before = state->verdict;

	if (before != GUARD_BEHIND)
		return;
	if (guard_recheck(rt->guard, rt->store, &verdict, &why, &ctx) != OK) {
		log_line(LOG_ALARM, "guard: %s", ctx.text);
		return;
	}
	state->verdict = verdict;
	snprintf(state->why, sizeof(state->why), "%.*s", GUARD_WHY_MAX, why.text);
	if (verdict == GUARD_BEHIND)
		return;
	own_log_turned(rt);
	if (verdict != GUARD_SAME && verdict != GUARD_ROLLED) {
		log_line(LOG_ALARM, "guard: %s", state->why);
		return;
	}
	guard_get(rt->guard, &record);
	recovered(rt, &record);
	if (verdict == GUARD_SAME)
		all_there(rt);
}

void runtime_guard_tidy(struct runtime *rt)
{
	struct guard_state *state = &rt->guard_state;

	if (!state->paused || state->verdict == GUARD_BEHIND ||
		!engine_caught_up(rt->engine, CAUGHT_UP_MS))
		return;
	writer_caught_up(rt->writer);
	if (state->verdict == GUARD_ROLLED) {
		state->verdict = GUARD_SAME;
		state->why[0] = '\0';
	}
	all_there(rt);
}

/* ---- sealing again ---- */

void runtime_reseal(struct runtime *rt)
{
	struct vault_request *ask = vault_request_new(VAULT_RESEAL, NULL);

	if (ask == NULL)
		runtime_out_of_memory();
	rt->guard_state.resealing = true;
	vault_submit(rt->vault, ask);
}

static void on_reseal_appended(void *arg, enum err error, uint64_t index)
{
	struct runtime *rt = arg;

	runtime_tell_vault(rt, rt->guard_state.reseal_batch, error, index);
	if (error != OK || rt->stopping) {
		rt->guard_state.resealing = false;
		if (!rt->stopping)
			log_line(LOG_WARNING,
				"sealing older entries again stopped: %s; the next unlock goes on",
				err_text(error));
		return;
	}
	rt->guard_state.resealed += rt->guard_state.reseal_count;
	runtime_reseal(rt);
}

void runtime_resealed(struct runtime *rt, struct vault_request *done)
{
	struct entries *entries = done->entries;

	if (done->result != OK || entries == NULL) {
		rt->guard_state.resealing = false;
		if (done->result != OK && done->result != ERR_LOCKED)
			log_line(LOG_ALARM, "seal older entries again: %s",
				err_message(&done->ctx, done->result));
		else if (rt->guard_state.resealed > 0)
			log_line(LOG_INFO, "%llu entries of older logs were sealed again",
				(unsigned long long)rt->guard_state.resealed);
		if (done->known > 0)
			log_line(LOG_ALARM, "%llu entries of older logs cannot be read",
				(unsigned long long)done->known);
		return;
	}
	rt->guard_state.reseal_count = done->added;
	rt->guard_state.reseal_batch = (struct sealed_batch){done->batch, done->wave};
	done->entries = NULL;
	runtime_append(rt, done->log_origin, entries, on_reseal_appended, rt);
}
