/*
 * What the guard found, while the node runs: which logs may be written, what the operator is told,
 * and the re-sealing of older epochs after an unlock (server/vault/epoch.c).
 */
#include <stdio.h>

#include "server/internal.h"
#include "server/log.h"

bool guard_state_writable(const struct guard_state *state)
{
	/* OTHER: what the unlocked node has is the new log. */
	return state->verdict != GUARD_BEHIND && state->verdict != GUARD_STOPPED;
}

const char *guard_state_todo(const struct guard_state *state)
{
	switch (state->verdict) {
	case GUARD_NEW:
	case GUARD_SAME:
		return "";
	case GUARD_ROLLED:
		return "Nothing to do: the missing entries are fetched from other nodes. Until "
		       "then "
		       "this node confirms nothing to them.";
	case GUARD_BEHIND:
		return "The node replicates and shows cases, and records nothing. If older data "
		       "was "
		       "put back by mistake: stop the node, put the newer data back, start it. If "
		       "the newer data is lost: 'sauti lock', then 'sauti unlock --new-epoch' "
		       "opens "
		       "a new log; entries of the old one that other nodes hold stay with them.";
	case GUARD_STOPPED:
		return "The node replicates and shows cases, and records nothing. Somebody wrote "
		       "to "
		       "its log elsewhere: a copy of its data that runs on another machine, or "
		       "somebody with its keys. Find out which. Then 'sauti lock' and 'sauti "
		       "unlock "
		       "--new-epoch' open a new log.";
	case GUARD_OTHER:
		return "Unlock the node: it opens a new log, and seals again what only the old one "
		       "has.";
	}
	return "";
}

void runtime_forked(struct runtime *rt, const char *text)
{
	struct errctx ctx = {""};

	/* Of the older epochs of a node that knows better already, this says nothing new. */
	if (rt->guard_state.verdict == GUARD_BEHIND || rt->guard_state.verdict == GUARD_OTHER)
		return;
	rt->guard_state.verdict = GUARD_STOPPED;
	snprintf(rt->guard_state.why, sizeof(rt->guard_state.why), "%.*s", GUARD_WHY_MAX, text);
	/* One small write, once in the life of a log: the loop may wait for it. */
	if (guard_stop(rt->guard, rt->guard_state.why, &ctx) != OK)
		log_line(LOG_ALARM, "%s", ctx.text);
}

void runtime_tell_vault(struct runtime *rt, enum err error, uint64_t index)
{
	struct vault_request *tell;

	if (rt->stopping) /* the vault has forgotten everything already */
		return;
	tell = vault_request_new(error == OK ? VAULT_COMMITTED : VAULT_ABORTED, NULL);
	if (tell == NULL)
		runtime_out_of_memory();
	tell->index = index;
	vault_submit(rt->vault, tell);
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

	runtime_tell_vault(rt, error, index);
	if (error != OK || rt->stopping) {
		rt->guard_state.resealing = false;
		if (!rt->stopping)
			log_line(LOG_WARNING,
				"sealing older entries again stopped: %s; the next unlock goes on",
				err_text(error));
		return;
	}
	rt->guard_state.resealed += rt->guard_state.reseal_batch;
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
	rt->guard_state.reseal_batch = done->added;
	done->entries = NULL;
	runtime_append(rt, done->log_origin, entries, on_reseal_appended, rt);
}
