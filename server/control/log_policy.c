/*
 * Whom an outsider is to believe, as this node knows it from the verified directory: a C2SP
 * tlog-policy of logs, of the mirrors that count, with the network's quorum, and of the witnesses.
 */
#include "replication/log/tlog_policy.h"
#include "server/control/internal.h"
#include "server/internal.h"

static bool wanted(const Sauti__LogPolicyRequest *message, const char *origin)
{
	for (size_t i = 0; i < message->n_origins; i++)
		if (strcmp(message->origins[i], origin) == 0)
			return true;
	return message->n_origins == 0;
}

/* Whose log it is: the directory is headquarters'. */
static bool by(const struct origin_parts *parts, const struct member *m)
{
	if (bytes_equal_str(parts->node, "directory"))
		return m->role == ROLE_HQ;
	return bytes_equal_str(parts->node, m->name);
}

/* Is it of all the logs that are listed? Then what it cosigned is its own word once more. */
static bool only_author(const Sauti__LogPolicyRequest *message, const struct member *m)
{
	for (size_t i = 0; i < message->n_origins; i++) {
		struct origin_parts parts;

		if (origin_parse(bytes_str(message->origins[i]), NULL, &parts) != OK ||
			!by(&parts, m))
			return false;
	}
	return message->n_origins > 0;
}

static size_t put_logs(
	const struct runtime *rt, const Sauti__LogPolicyRequest *message, struct buf *out)
{
	size_t count = 0;

	for (size_t i = 0; i < engine_log_count(rt->engine); i++) {
		struct engine_log log;
		struct note_key key;

		engine_log_at(rt->engine, i, &log);
		if (log.branch || log.alias || log.evidence > 0 ||
			!wanted(message, log.origin.text) || !engine_log_key(rt->engine, i, &key))
			continue;
		buf_put_str(out, "log ");
		note_key_format(out, &key);
		buf_put_u8(out, '\n');
		count++;
	}
	return count;
}

static size_t put_mirrors(const struct runtime *rt, const Sauti__LogPolicyRequest *message,
	struct buf *out, struct buf *names)
{
	const struct directory *directory = engine_directory(rt->engine);
	const struct member *m;
	size_t count = 0;

	for (size_t i = 0; (m = directory_at(directory, i)) != NULL; i++) {
		struct note_key key;

		if (!directory_counts(directory, m->name) || only_author(message, m) ||
			mirror_note_key(bytes_str(rt->genesis.network), bytes_str(m->name),
				&m->mirror, &key) != OK)
			continue;
		buf_printf(out, "witness %s ", m->name);
		note_key_format(out, &key);
		buf_put_u8(out, '\n');
		buf_printf(names, " %s", m->name);
		count++;
	}
	return count;
}

/* A witness cosigns what it has seen grow, and need not hold it: listed so that its cosignatures
 * are known, and in no quorum but where that is asked for. A '/' is in no node's name. */
static size_t put_witnesses(const struct runtime *rt, const Sauti__LogPolicyRequest *message,
	size_t room, struct buf *out, struct buf *names)
{
	const struct directory *directory = engine_directory(rt->engine);
	const struct member *m;
	size_t count = 0;

	for (size_t i = 0; (m = directory_at(directory, i)) != NULL && count < room; i++) {
		struct note_key key;

		if (!m->active || only_author(message, m) ||
			witness_note_key(bytes_str(rt->genesis.network), bytes_str(m->name),
				&m->witness, &key) != OK)
			continue;
		buf_printf(out, "witness %s/witness ", m->name);
		note_key_format(out, &key);
		buf_put_u8(out, '\n');
		buf_printf(names, " %s/witness", m->name);
		count++;
	}
	return count;
}

/* Mirrors, as many as the directory says; and as many witnesses as are asked for. */
static void put_quorum(const struct runtime *rt, size_t mirrors, const char *names,
	size_t witnesses, const char *witness_names, struct buf *out)
{
	unsigned k = directory_policy(engine_directory(rt->engine))->quorum;
	const char *quorum = mirrors > 0 ? "mirrors-that-count" : "none";

	if (mirrors > 0)
		buf_printf(out, "group mirrors-that-count %zu%s\n",
			k < mirrors ? (size_t)k : mirrors, names);
	if (witnesses > 0) {
		buf_printf(out, "group witnesses/any %zu%s\n", witnesses, witness_names);
		quorum = "witnesses/any";
	}
	if (mirrors > 0 && witnesses > 0) {
		buf_put_str(out, "group mirrors/witnesses all mirrors-that-count witnesses/any\n");
		quorum = "mirrors/witnesses";
	}
	buf_printf(out, "quorum %s\n", quorum);
}

void begin_log_policy(struct control_request *request, const Sauti__LogPolicyRequest *message)
{
	const struct runtime *rt = control_runtime(request);
	CLEANUP(buf_release) struct buf out, names, witness_names;
	struct tlog_policy *policy = NULL;
	struct errctx ctx = {""};
	size_t mirrors, witnesses;
	enum err err;

	buf_init(&out, LIMIT_POLICY_SIZE);
	buf_init(&names, LIMIT_POLICY_SIZE);
	buf_init(&witness_names, LIMIT_POLICY_SIZE);
	buf_printf(&out, "# %s, as node %s knows it: %llu entries of the directory\n",
		rt->genesis.network, rt->node,
		(unsigned long long)directory_size(engine_directory(rt->engine)));
	if (put_logs(rt, message, &out) == 0) {
		control_fail(request, ERR_NOTFOUND, 0,
			"no such log is held here, or it has two histories");
		return;
	}
	mirrors = put_mirrors(rt, message, &out, &names);
	witnesses = put_witnesses(rt, message,
		LIMIT_POLICY_ITEMS - (mirrors < LIMIT_POLICY_ITEMS ? mirrors : LIMIT_POLICY_ITEMS),
		&out, &witness_names);
	if (message->witnesses > witnesses) {
		err_set(&ctx, ERR_INVALID, "there are %zu witnesses", witnesses);
		control_fail(request, ERR_INVALID, 0, ctx.text);
		return;
	}
	put_quorum(
		rt, mirrors, buf_cstr(&names), message->witnesses, buf_cstr(&witness_names), &out);
	err = out.err;
	/* What cannot be read is not given out: a name twice, more than a reader takes. */
	if (err == OK)
		err = tlog_policy_parse(buf_bytes(&out), &policy, &ctx);
	tlog_policy_free(policy);
	if (err != OK) {
		control_fail(request, err, 0, err_message(&ctx, err));
		return;
	}
	answer_json(request, json_pack("{s:s}", "policy", buf_cstr(&out)), true);
}
