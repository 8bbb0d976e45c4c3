/* What headquarters lays down: who is revoked, and the policy. Each is one record of the directory,
 * signed here by its `node` key; what follows from it follows at every node from the fold. */
#include <stdio.h>

#include "base/alloc.h"
#include "certs/record.h"
#include "server/control/internal.h"
#include "server/keys/replaced.h"
#include "server/log.h"

/* Another machine has this node's name: by headquarters' word, or by this node's key. */
static void replaced_alarm(const struct runtime *rt, char *out, size_t size)
{
	const struct member *self =
		directory_find(engine_directory(rt->engine), bytes_str(rt->node));
	const struct revocation *closed =
		directory_replacement(engine_directory(rt->engine), bytes_str(rt->node));
	const struct ed25519_public *mirror = signer_public(rt->mirror);

	if (self == NULL || self->former == NULL ||
		memcmp(mirror, &self->mirror, sizeof(*mirror)) == 0)
		return;
	if (self->former->replaced && closed != NULL)
		snprintf(out, size,
			"headquarters has put another machine in the place of this node (directory "
			"record %llu): %s. Nobody takes what is recorded here from now on. If that "
			"is wrong: 'sauti node dispute TEXT'",
			(unsigned long long)self->keys_index, closed->reason);
	else
		snprintf(out, size,
			"the keys of this node were changed in the directory with its own key "
			"(record %llu). If 'sauti node rotate' was interrupted here: run it again. "
			"If nobody here did it, somebody has this node's key: 'sauti node dispute "
			"TEXT', and have headquarters replace the node",
			(unsigned long long)self->keys_index);
}

void members_alarm(const struct runtime *rt, char *out, size_t size)
{
	const struct revocation *r =
		directory_revocation(engine_directory(rt->engine), bytes_str(rt->node));

	out[0] = '\0';
	if (r != NULL)
		snprintf(out, size,
			"headquarters has revoked this node (directory record %llu): %s. Nobody "
			"takes what is recorded here from now on; what was recorded before stays",
			(unsigned long long)r->index, r->reason);
	else
		replaced_alarm(rt, out, size);
}

/* A record on its way into the directory. */
struct ruling {
	struct control_request *request;
	json_t *answer;
};

static void ruled(void *arg, enum err error, uint64_t index)
{
	struct ruling *ruling = arg;

	if (error != OK) {
		control_fail(ruling->request, error, 0,
			error == ERR_LOCKED ? "headquarters must be unlocked"
					    : "the directory could not be extended");
		json_decref(ruling->answer);
	} else {
		json_object_set_new(ruling->answer, "index", json_integer((json_int_t)index));
		answer_json(ruling->request, ruling->answer, true);
	}
	mem_free(ruling);
}

static enum err headquarters_check(const struct runtime *rt, struct errctx *ctx)
{
	const struct member *self =
		directory_find(engine_directory(rt->engine), bytes_str(rt->node));

	if (self == NULL || self->role != ROLE_HQ)
		return err_set(ctx, ERR_DENIED, "only headquarters does that");
	if (rt->guard_state.directory_ended)
		return err_set(ctx, ERR_STALE,
			"the directory of the network is not continued: see 'sauti status'");
	if (rt->keys == NULL || rt->keys->directory == NULL)
		return err_set(ctx, ERR_LOCKED, "headquarters must be unlocked");
	return OK;
}

/* Takes the answer; it is given once the record is durable. */
static enum err rule(
	struct control_request *request, Sauti__RecordType type, struct bytes body, json_t *answer)
{
	struct runtime *rt = control_runtime(request);
	CLEANUP(buf_release) struct buf entry;
	struct ruling *ruling;
	struct entries *entries;
	struct bytes list;
	enum err err;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	err = answer == NULL ? ERR_NOMEM : record_write(&entry, type, body, rt->keys->node);
	list = buf_bytes(&entry);
	if (err == OK)
		err = entries_make(&list, 1, &entries);
	ruling = err == OK ? mem_zalloc(sizeof(*ruling)) : NULL;
	if (ruling == NULL) {
		if (err == OK)
			entries_unref(entries);
		json_decref(answer);
		return err == OK ? ERR_NOMEM : err;
	}
	*ruling = (struct ruling){request, answer};
	runtime_append(rt, rt->genesis.origin.text, entries, ruled, ruling);
	return OK;
}

/* ---- revoke ---- */

static enum err revoke_check(
	const struct runtime *rt, const Sauti__NodeRevokeRequest *message, struct errctx *ctx)
{
	const struct member *member =
		directory_find(engine_directory(rt->engine), bytes_str(message->name));

	TRY(headquarters_check(rt, ctx));
	if (member == NULL)
		return err_set(ctx, ERR_NOTFOUND, "no node of that name is in the directory");
	if (strcmp(member->name, rt->node) == 0 || member->role == ROLE_HQ)
		return err_set(ctx, ERR_DENIED, "headquarters is not revoked by itself");
	if (!member->active)
		return err_set(ctx, ERR_EXISTS, "'%s' is revoked already", member->name);
	if (!reason_valid(message->reason))
		return err_set(
			ctx, ERR_INVALID, "the reason is a line of 1 to %d bytes", LIMIT_REASON);
	return OK;
}

json_t *closing_json(const struct runtime *rt, const struct revocation *revocation)
{
	json_t *logs = json_array();

	for (size_t i = 0; i < revocation->log_count; i++) {
		const struct revoked_log *log = &revocation->logs[i];

		json_array_append_new(logs, json_pack("{s:s,s:I,s:I}", "origin", log->origin,
						    "size", (json_int_t)log->size, "known",
						    (json_int_t)closing_known(rt, log)));
	}
	return logs;
}

static json_t *revoke_json(const struct runtime *rt, const struct revocation *revocation)
{
	return json_pack("{s:s,s:s,s:o,s:b}", "name", revocation->name, "reason",
		revocation->reason, "logs", closing_json(rt, revocation), "counts_for_quorum",
		directory_counts(engine_directory(rt->engine), revocation->name));
}

void begin_node_revoke(struct control_request *request, const Sauti__NodeRevokeRequest *message)
{
	struct runtime *rt = control_runtime(request);
	struct revoked_log logs[LIMIT_EPOCHS_PER_NODE];
	struct revocation revocation = {.logs = logs, .revoked_at = runtime_wall_s()};
	CLEANUP(buf_release) struct buf body;
	struct errctx ctx = {""};
	enum err err = revoke_check(rt, message, &ctx);

	buf_init(&body, LIMIT_ENTRY_SIZE);
	if (err == OK) {
		snprintf(revocation.name, sizeof(revocation.name), "%s", message->name);
		snprintf(revocation.reason, sizeof(revocation.reason), "%s", message->reason);
		closing_collect(rt, &revocation, UINT32_MAX);
		if (message->dry_run) {
			answer_json(request, revoke_json(rt, &revocation), true);
			return;
		}
		err = node_revoked_body(&body, rt->genesis.network, &revocation);
	}
	if (err == OK)
		err = rule(request, SAUTI__RECORD_TYPE__RECORD_NODE_REVOKED, buf_bytes(&body),
			revoke_json(rt, &revocation));
	if (err != OK)
		control_fail(request, err, 0, err_message(&ctx, err));
}

/* ---- policy ---- */

/* How many can hold an entry of an office for the quorum: its author does not count. */
static size_t policy_reach(const struct runtime *rt, const struct policy *policy)
{
	const struct member *member;
	size_t count = 0;

	for (size_t i = 0; (member = directory_at(engine_directory(rt->engine), i)) != NULL; i++)
		count += member->active && policy_names(policy, member->name);
	return policy->mirror_count == 0 && count > 0 ? count - 1 : count;
}

static json_t *policy_json(const struct runtime *rt, const struct policy *policy)
{
	json_t *mirrors = json_array();

	for (size_t i = 0; i < policy->mirror_count; i++)
		json_array_append_new(mirrors, json_string(policy->mirrors[i]));
	if (policy->mirror_count == 0) {
		json_decref(mirrors);
		mirrors = json_null(); /* every active member */
	}
	return json_pack("{s:I,s:o,s:I,s:I,s:I,s:I}", "quorum", (json_int_t)policy->quorum,
		"mirrors", mirrors, "reach", (json_int_t)policy_reach(rt, policy), "hide_below",
		(json_int_t)policy->hide_below, "split_offices", (json_int_t)policy->split_offices,
		"changed_at", (json_int_t)policy->changed_at);
}

static enum err policy_change(const struct runtime *rt, const Sauti__NodePolicyRequest *message,
	struct policy *policy, struct errctx *ctx)
{
	TRY(headquarters_check(rt, ctx));
	if (message->quorum > 0)
		policy->quorum = message->quorum;
	if (message->hide_below > 0)
		policy->hide_below = message->hide_below;
	if (message->split_offices > 0)
		policy->split_offices = message->split_offices;
	if (message->has_mirrors) {
		if (message->n_mirrors > LIMIT_POLICY_MIRRORS)
			return err_set(ctx, ERR_LIMIT, "%zu mirrors, at most %d",
				message->n_mirrors, LIMIT_POLICY_MIRRORS);
		policy->mirror_count = message->n_mirrors;
		for (size_t i = 0; i < message->n_mirrors; i++) {
			const struct member *member = directory_find(
				engine_directory(rt->engine), bytes_str(message->mirrors[i]));

			if (member == NULL || !member->active)
				return err_set(
					ctx, ERR_NOTFOUND, "mirror %zu is no active member", i + 1);
			snprintf(
				policy->mirrors[i], sizeof(policy->mirrors[i]), "%s", member->name);
		}
	}
	policy->changed_at = runtime_wall_s();
	enum err err = policy_check(policy, ctx);

	return err == ERR_MALFORMED ? ERR_INVALID : err;
}

void begin_node_policy(struct control_request *request, const Sauti__NodePolicyRequest *message)
{
	struct runtime *rt = control_runtime(request);
	struct policy policy = *directory_policy(engine_directory(rt->engine));
	CLEANUP(buf_release) struct buf body;
	struct errctx ctx = {""};
	enum err err;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	if (!message->change) {
		answer_json(request, policy_json(rt, &policy), true);
		return;
	}
	err = policy_change(rt, message, &policy, &ctx);
	if (err == OK)
		err = policy_changed_body(&body, rt->genesis.network, &policy);
	if (err == OK)
		err = rule(request, SAUTI__RECORD_TYPE__RECORD_POLICY_CHANGED, buf_bytes(&body),
			policy_json(rt, &policy));
	if (err != OK)
		control_fail(request, err, 0, err_message(&ctx, err));
}

/* ---- dispute ---- */

json_t *disputes_json(const struct runtime *rt, const char *node)
{
	json_t *list = json_array();
	struct engine_dispute d;

	for (size_t i = 0; engine_dispute_at(rt->engine, i, &d); i++)
		if (strcmp(d.is->name, node) == 0)
			json_array_append_new(list,
				json_pack("{s:I,s:s,s:I}", "index", (json_int_t)d.is->index, "text",
					d.is->text, "made_at", (json_int_t)d.is->made_at));
	return list;
}

void members_disputes(const struct runtime *rt, json_t *alarms)
{
	struct engine_dispute d;

	for (size_t i = 0; engine_dispute_at(rt->engine, i, &d); i++)
		json_array_append_new(
			alarms, json_sprintf("'%s' disputes directory record %llu about it: %s",
					d.is->name, (unsigned long long)d.is->index, d.is->text));
}

static enum err dispute_fill(const struct runtime *rt, const Sauti__NodeDisputeRequest *message,
	struct disputed *disputed, struct errctx *ctx)
{
	const struct revocation *revocation =
		directory_revocation(engine_directory(rt->engine), bytes_str(rt->node));

	const struct member *self =
		directory_find(engine_directory(rt->engine), bytes_str(rt->node));
	bool replaced = self != NULL && self->former != NULL;

	if (rt->keys == NULL)
		return err_set(ctx, ERR_LOCKED, "the node must be unlocked to sign");
	if (!reason_valid(message->text))
		return err_set(
			ctx, ERR_INVALID, "the text is a line of 1 to %d bytes", LIMIT_REASON);
	if (!message->has_index && revocation == NULL && !replaced)
		return err_set(ctx, ERR_INVALID,
			"this node is not revoked, nor replaced: which record about it is wrong?");
	disputed->index = message->has_index   ? message->index
			  : revocation != NULL ? revocation->index
					       : self->keys_index;
	if (disputed->index >= directory_size(engine_directory(rt->engine)))
		return err_set(ctx, ERR_NOTFOUND, "the directory has no such record");
	disputed->made_at = runtime_wall_s();
	snprintf(disputed->name, sizeof(disputed->name), "%s", rt->node);
	snprintf(disputed->text, sizeof(disputed->text), "%s", message->text);
	return OK;
}

struct disputing {
	struct control_request *request;
	uint64_t index;
};

static void disputing_done(void *arg, enum err error, uint64_t index)
{
	struct disputing *d = arg;

	(void)index; /* of no log */
	if (error == ERR_LIMIT)
		control_fail(
			d->request, error, 0, "as many disputes as are kept of one node are made");
	else if (error != OK)
		control_fail(d->request, error, 0, "the dispute could not be recorded");
	else
		answer_json(d->request, json_pack("{s:I}", "index", (json_int_t)d->index), true);
	mem_free(d);
}

void begin_node_dispute(struct control_request *request, const Sauti__NodeDisputeRequest *message)
{
	struct runtime *rt = control_runtime(request);
	CLEANUP(buf_release) struct buf body;
	CLEANUP(buf_release) struct buf record;
	struct disputed disputed = {0};
	struct errctx ctx = {""};
	struct disputing *d = NULL;
	enum err err = dispute_fill(rt, message, &disputed, &ctx);

	buf_init(&body, LIMIT_ENTRY_SIZE);
	buf_init(&record, LIMIT_ENTRY_SIZE);
	if (err == OK)
		err = disputed_body(&body, rt->genesis.network, &disputed);
	if (err == OK)
		err = record_write(&record, SAUTI__RECORD_TYPE__RECORD_DISPUTE, buf_bytes(&body),
			rt->keys->node);
	if (err == OK && (d = mem_zalloc(sizeof(*d))) == NULL)
		err = ERR_NOMEM;
	if (err != OK) {
		control_fail(request, err, 0, err_message(&ctx, err));
		return;
	}
	*d = (struct disputing){request, disputed.index};
	runtime_dispute(rt, buf_bytes(&record), disputing_done, d);
}
