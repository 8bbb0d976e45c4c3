#include "server/safe.h"

#include <stdio.h>

#include "node/safe_policy.h"
#include "server/control/internal.h"
#include "server/control/wait.h"
#include "server/internal.h"

static struct safe_policy_node self_of(const struct runtime *rt)
{
	return (struct safe_policy_node){rt->genesis.network, rt->node};
}

/* ---- the policy ---- */

static enum err load(const struct runtime *rt, const struct node_config *config,
	struct tlog_policy **ret, struct errctx *ctx)
{
	struct safe_policy_node self = self_of(rt);

	return safe_policy_load(config, &self, ret, ctx);
}

/* Its witnesses' cosignatures are waited for: peers are asked not to take their time. */
static bool needs_witness(const struct tlog_policy *policy)
{
	const struct note_key *key;
	bool counts;

	for (size_t i = 0;
		policy != NULL && (key = tlog_policy_cosigner(policy, i, &counts)) != NULL; i++)
		if (counts && strstr(key->name, "/witness/") != NULL)
			return true;
	return false;
}

enum err safe_boot(struct runtime *rt, struct errctx *ctx)
{
	return load(rt, &rt->config, &rt->safe_policy, ctx);
}

void safe_start(struct runtime *rt)
{
	engine_want_witnesses(rt->engine, needs_witness(rt->safe_policy));
}

void safe_reload(struct runtime *rt)
{
	struct tlog_policy *policy = NULL;
	struct node_config config;
	struct errctx ctx = {""};
	enum err err = config_load(rt->config.file, &config, &ctx);

	if (err == OK)
		err = load(rt, &config, &policy, &ctx);
	if (err != OK) {
		log_line(LOG_ALARM, "not reloaded, what held before still does: %s",
			err_message(&ctx, err));
	} else {
		memcpy(rt->config.safe_policy, config.safe_policy, sizeof(config.safe_policy));
		tlog_policy_free(rt->safe_policy);
		rt->safe_policy = policy;
		engine_want_witnesses(rt->engine, needs_witness(policy));
		log_line(LOG_INFO, "reloaded: [safe] policy %s",
			policy == NULL ? "none" : rt->config.safe_policy);
	}
	config_release(&config);
	waits_wake(rt);
}

void safe_free(struct runtime *rt)
{
	tlog_policy_free(rt->safe_policy);
	rt->safe_policy = NULL;
}

/* ---- how far it reaches ---- */

/* Has it entries about cases of this node? At headquarters the directory is its own, too. */
static bool has_cases(const struct runtime *rt, const struct engine_log *log)
{
	struct origin_parts parts;

	return log_name_parse(bytes_str(log->origin.text), NULL, NULL, &parts) == OK &&
	       bytes_equal_str(parts.node, rt->node);
}

static bool is_own(const struct runtime *rt, const struct engine_log *log)
{
	return log->own || has_cases(rt, log);
}

/* What the engine keeps is verified, of the one history, and by keys that the directory lists; of a
 * revoked node it keeps what was recorded before, which says nothing of now. */
static void tally(const struct runtime *rt, size_t position, const struct engine_log *log,
	struct tlog_tally *ret)
{
	for (size_t i = 0; i < log->cosigned; i++) {
		struct engine_cosigned c;
		const struct member *m;
		struct note_key key;

		engine_cosigned_at(rt->engine, position, i, &c);
		m = directory_find(engine_directory(rt->engine), bytes_str(c.node));
		if (m != NULL && m->active && cosigner_key(rt, &c, m, &key) == OK)
			(void)tlog_tally_add(rt->safe_policy, ret, &key, c.size);
	}
}

uint64_t safe_reach(const struct runtime *rt, size_t position)
{
	struct tlog_tally sizes = {{0}};
	struct engine_log log;

	engine_log_at(rt->engine, position, &log);
	if (rt->safe_policy == NULL || !is_own(rt, &log))
		return UINT64_MAX;
	tally(rt, position, &log, &sizes);
	return tlog_policy_reach(rt->safe_policy, &sizes);
}

enum safe_keys safe_keys_known(const struct runtime *rt)
{
	const json_t *status = rt->escrow.status;

	if (rt->keys == NULL)
		return SAFE_KEYS_UNKNOWN;
	if (!rt->escrow.set)
		return SAFE_KEYS_NONE;
	if (status == NULL || !rt->escrow.told)
		return SAFE_KEYS_UNKNOWN;
	return json_integer_value(json_object_get(status, "safe")) ==
			       json_integer_value(json_object_get(status, "keys"))
		       ? SAFE_KEYS_ESCROWED
		       : SAFE_KEYS_WAITING;
}

void safe_look(const struct runtime *rt, size_t position, uint64_t index, enum safe_keys keys,
	struct safe_state *ret)
{
	struct engine_quorum quorum;
	struct engine_log log;
	bool own;

	engine_log_at(rt->engine, position, &log);
	engine_quorum_at(rt->engine, position, &quorum);
	own = is_own(rt, &log);
	*ret = (struct safe_state){
		.held_by = engine_holders_at(rt->engine, position, index),
		.needed = quorum.needed,
		.in_quorum = index < quorum.size,
		.has_policy = own && rt->safe_policy != NULL,
		.in_policy = index < safe_reach(rt, position),
		.keys = has_cases(rt, &log) ? keys : SAFE_KEYS_NONE,
	};
}

/* ---- in words ---- */

json_t *safe_state_json(const struct safe_state *state)
{
	static const char *const keys[] = {"none", "unknown", "waiting", "escrowed"};
	char text[SAFE_WORDS_SIZE];

	safe_words(state, text);
	return json_pack("{s:s,s:b,s:i,s:i,s:b,s:o,s:s,s:b}", "state", text, "durable", 1,
		"held_by", (int)state->held_by, "quorum", (int)state->needed, "in_quorum",
		state->in_quorum, "in_policy",
		state->has_policy ? json_boolean(state->in_policy) : json_null(), "keys",
		keys[state->keys], "safe", safe_is(state));
}

/* ---- status ---- */

/* Does the directory list this key, of an active node that may cosign here? */
static bool is_listed(const struct runtime *rt, const struct note_key *key)
{
	const struct directory *directory = engine_directory(rt->engine);
	struct safe_policy_node self = self_of(rt);
	const struct member *m;

	if (!safe_policy_may_cosign(&self, key))
		return false;
	m = directory_find(directory, bytes_str(strrchr(key->name, '/') + 1));
	return m != NULL && m->active &&
	       memcmp(key->key.b,
		       strstr(key->name, "/witness/") != NULL ? m->witness.b : m->mirror.b,
		       sizeof(key->key.b)) == 0;
}

/* With the members there are. */
static bool can_reach(const struct runtime *rt)
{
	struct tlog_tally all = {{0}};
	const struct note_key *key;
	bool counts;

	for (size_t i = 0; (key = tlog_policy_cosigner(rt->safe_policy, i, &counts)) != NULL; i++)
		if (is_listed(rt, key))
			(void)tlog_tally_add(rt->safe_policy, &all, key, 1);
	return tlog_policy_reach(rt->safe_policy, &all) > 0;
}

static json_t *policy_json(const struct runtime *rt, uint64_t reach)
{
	json_t *cosigners = json_array();
	const struct note_key *key;
	bool counts;

	for (size_t i = 0; (key = tlog_policy_cosigner(rt->safe_policy, i, &counts)) != NULL; i++)
		json_array_append_new(
			cosigners, json_pack("{s:s,s:b,s:b}", "name", key->name, "counts", counts,
					   "listed", is_listed(rt, key)));
	return json_pack("{s:s,s:b,s:o,s:o}", "file", rt->config.safe_policy, "reachable",
		can_reach(rt), "size",
		reach == UINT64_MAX ? json_null() : json_integer((json_int_t)reach), "cosigners",
		cosigners);
}

/* The one that is written now; of a locked node, the last of its own. */
static bool newest_own(const struct runtime *rt, size_t *ret)
{
	struct engine_log log;
	bool found = false;

	if (rt->keys != NULL)
		return engine_log_find(rt->engine, bytes_str(rt->keys->log_origin), &log, ret) &&
		       log.size > 0;
	for (size_t i = 0; i < engine_log_count(rt->engine); i++) {
		engine_log_at(rt->engine, i, &log);
		if (!log.own || log.branch || log.size == 0 || !has_cases(rt, &log))
			continue;
		*ret = i;
		found = true;
	}
	return found;
}

json_t *safe_json(const struct runtime *rt)
{
	uint64_t reach = UINT64_MAX;
	struct engine_quorum quorum;
	struct safe_state state;
	struct engine_log log;
	size_t position = 0;
	json_t *json;

	if (!newest_own(rt, &position))
		return json_pack("{s:o,s:o}", "origin", json_null(), "policy",
			rt->safe_policy == NULL ? json_null() : policy_json(rt, 0));
	engine_log_at(rt->engine, position, &log);
	engine_quorum_at(rt->engine, position, &quorum);
	reach = safe_reach(rt, position);
	safe_look(rt, position, log.size - 1, safe_keys_known(rt), &state);
	json = json_pack("{s:s,s:I,s:I,s:o}", "origin", log.origin.text, "size",
		(json_int_t)log.size, "held",
		(json_int_t)(quorum.size < reach ? quorum.size : reach), "newest",
		safe_state_json(&state));
	json_object_set_new(
		json, "policy", rt->safe_policy == NULL ? json_null() : policy_json(rt, reach));
	return json;
}

void safe_alarms(const struct runtime *rt, json_t *alarms)
{
	if (rt->safe_policy != NULL && !can_reach(rt))
		json_array_append_new(alarms,
			json_sprintf("nothing is safe by '%s': its quorum cannot be made up of the "
				     "keys of active members",
				rt->config.safe_policy));
}
