/* Logs: what the engine knows of them, and what the store holds when it is read again. */
#include "base/alloc.h"
#include "proto/codec.h"
#include "proto/entry.pb-c.h"
#include "server/control/internal.h"
#include "server/safe.h"

enum err cosigner_key(const struct runtime *rt, const struct engine_cosigned *cosigned,
	const struct member *member, struct note_key *ret)
{
	struct bytes network = bytes_str(rt->genesis.network), node = bytes_str(cosigned->node);

	return cosigned->witness ? witness_note_key(network, node, &member->witness, ret)
				 : mirror_note_key(network, node, &member->mirror, ret);
}

/* What mirrors, or witnesses, have cosigned. */
static json_t *cosigned_by(
	const struct runtime *rt, size_t position, const struct engine_log *log, bool witness)
{
	json_t *list = json_array();

	for (size_t i = 0; i < log->cosigned; i++) {
		struct engine_cosigned c;
		json_t *item;

		engine_cosigned_at(rt->engine, position, i, &c);
		if (c.witness != witness)
			continue;
		item = json_pack("{s:s,s:I,s:I,s:b}", witness ? "witness" : "mirror", c.node,
			"size", (json_int_t)c.size, "time", (json_int_t)c.time_s, "current",
			c.size == log->checkpoint_size);
		if (!witness)
			json_object_set_new(item, "counts",
				json_boolean(
					directory_counts(engine_directory(rt->engine), c.node)));
		json_array_append_new(list, item);
	}
	return list;
}

/* k of the policy, how many that count hold the newest checkpoint, and what k of them hold. */
static json_t *quorum_json(const struct runtime *rt, size_t position)
{
	struct engine_quorum quorum;

	engine_quorum_at(rt->engine, position, &quorum);
	return json_pack("{s:i,s:i,s:I}", "needed", (int)quorum.needed, "current",
		(int)quorum.current, "size", (json_int_t)quorum.size);
}

/* What this node's witness key was put to last, which may be more than is held. */
static json_t *witnessed_json(const struct engine_witness *witness)
{
	if (witness->size == 0 && !witness->lost)
		return json_null();
	return json_pack("{s:I,s:I,s:b}", "size", (json_int_t)witness->size, "time",
		(json_int_t)witness->time_s, "lost", witness->lost);
}

static json_t *log_json(const struct runtime *rt, size_t position)
{
	struct engine_log log;

	engine_log_at(rt->engine, position, &log);
	if (log.evidence > 0)
		log.known = log.size; /* of two histories nothing more is ever taken */
	json_t *json = json_pack("{s:s,s:I,s:I,s:o,s:o,s:o,s:o,s:b,s:b,s:b,s:I,s:b,s:I}", "origin",
		log.origin.text, "size", (json_int_t)log.size, "checkpoint_size",
		(json_int_t)log.checkpoint_size, "root",
		log.checkpoint_size == 0 ? json_null() : json_hash(&log.root), "held_by",
		cosigned_by(rt, position, &log, false), "witnessed_by",
		cosigned_by(rt, position, &log, true), "quorum", quorum_json(rt, position), "own",
		log.own, "open", log.open, "frozen", log.frozen, "behind",
		(json_int_t)(log.known > log.size ? log.known - log.size : 0), "revoked",
		log.revoked, "evidence", (json_int_t)log.evidence);

	json_object_set_new(json, "branch", json_boolean(log.branch));
	json_object_set_new(json, "over_quota", json_boolean(log.over_quota));
	json_object_set_new(json, "witnessed", witnessed_json(&log.witness));

	uint64_t behind = log.known > log.size ? log.known - log.size : 0, now = runtime_wall_s();

	json_object_set_new(json, "behind_bytes",
		log.entry_bytes == 0 && behind > 0
			? json_null()
			: json_integer((json_int_t)(behind * log.entry_bytes)));
	json_object_set_new(json, "behind_hours",
		json_real(behind == 0 || log.behind_since_s == 0 || now < log.behind_since_s
				  ? 0
				  : (double)(now - log.behind_since_s) / 3600));
	if (log.counts != UINT64_MAX) {
		json_object_set_new(json, "counts", json_integer((json_int_t)log.counts));
		json_object_set_new(json, "beyond",
			json_integer(
				(json_int_t)(log.size > log.counts ? log.size - log.counts : 0)));
		json_object_set_new(json, "another_history", json_boolean(log.another_history));
	}
	return json;
}

static bool shown(const struct runtime *rt, size_t position)
{
	struct engine_log log;

	engine_log_at(rt->engine, position, &log);
	return !log.alias && (log.size > 0 || log.known > 0);
}

json_t *logs_json(const struct runtime *rt)
{
	json_t *logs = json_array();

	for (size_t i = 0; i < engine_log_count(rt->engine); i++)
		if (shown(rt, i))
			json_array_append_new(logs, log_json(rt, i));
	return logs;
}

void begin_log_list(struct control_request *request)
{
	struct runtime *rt = control_runtime(request);

	for (size_t i = 0; i < engine_log_count(rt->engine); i++)
		if (shown(rt, i))
			answer_json(request, log_json(rt, i), false);
	control_end(request, BYTES_NONE);
}

/* Work on the store, away from the loop. */

struct log_work {
	uv_work_t work;
	struct control_request *request;
	struct runtime *rt;
	size_t position, end; /* of the logs to verify */
	struct origin origin;
	uint64_t index;
	struct buf entry;
	struct store_verify verify;
	enum err result;
	struct errctx ctx;
};

static void log_work_free(struct log_work *w)
{
	buf_release(&w->entry);
	buf_release(&w->verify.checkpoint);
	mem_free(w);
}

static struct log_work *log_work_new(struct control_request *request)
{
	struct log_work *w = mem_zalloc(sizeof(*w));

	if (w == NULL) {
		control_fail(request, ERR_NOMEM, 0, err_text(ERR_NOMEM));
		return NULL;
	}
	w->work.data = w;
	w->request = request;
	w->rt = control_runtime(request);
	buf_init(&w->entry, LIMIT_ENTRY_SIZE + 1);
	return w;
}

static bool find_log(struct control_request *request, const char *origin, struct engine_log *ret,
	size_t *ret_position)
{
	if (engine_log_find(control_runtime(request)->engine, bytes_str(origin), ret, ret_position))
		return true;
	control_fail(request, ERR_NOTFOUND, 0, "no log of that origin is held here");
	return false;
}

static json_t *log_note_json(const struct runtime *rt, size_t position)
{
	struct engine_log log;
	struct buf note;
	json_t *json = log_json(rt, position);

	engine_log_at(rt->engine, position, &log);
	buf_init(&note, 4 * LIMIT_NOTE_SIZE);
	buf_put(&note, log.checkpoint);
	for (size_t i = 0; i < log.cosigned; i++) {
		struct engine_cosigned c;

		engine_cosigned_at(rt->engine, position, i, &c);
		if (c.size == log.checkpoint_size)
			buf_put(&note, c.line);
	}
	json_object_set_new(json, "checkpoint", json_string(buf_cstr(&note)));
	buf_release(&note);
	return json;
}

static void entry_run(uv_work_t *work)
{
	struct log_work *w = work->data;

	w->result = store_entry(w->rt->store, &w->origin, w->index, &w->entry, &w->ctx);
}

static const char *entry_kind(struct bytes entry)
{
	Sauti__Entry *unpacked;
	struct arena arena;
	const char *kind = "malformed";

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (CODEC_UNPACK(entry, entry, &scan_limits_default, &arena, &unpacked, NULL) == OK)
		kind = unpacked->body_case == SAUTI__ENTRY__BODY_SEALED   ? "sealed"
		       : unpacked->body_case == SAUTI__ENTRY__BODY_RECORD ? "record"
									  : "unknown";
	arena_release(&arena);
	return kind;
}

json_t *entry_state_json(const struct runtime *rt, size_t position, uint64_t index)
{
	struct safe_state state;

	safe_look(rt, position, index, safe_keys_known(rt), &state);
	return safe_state_json(&state);
}

static void entry_done(uv_work_t *work, int status)
{
	struct log_work *w = work->data;
	struct hash leaf;
	json_t *json;

	if (status != 0)
		w->result = ERR_CANCELED;
	if (w->result != OK) {
		control_fail(w->request, w->result, 0, err_message(&w->ctx, w->result));
	} else {
		json = log_note_json(w->rt, w->position);
		tree_leaf(buf_bytes(&w->entry), &leaf);
		json_object_set_new(json, "entry",
			json_pack("{s:I,s:I,s:s,s:o,s:o}", "index", (json_int_t)w->index, "bytes",
				(json_int_t)w->entry.size, "kind", entry_kind(buf_bytes(&w->entry)),
				"leaf_hash", json_hash(&leaf), "state",
				entry_state_json(w->rt, w->position, w->index)));
		answer_json(w->request, json, true);
	}
	log_work_free(w);
}

static void queue_work(struct log_work *w, uv_work_cb run, uv_after_work_cb done)
{
	if (uv_queue_work(&w->rt->loop, &w->work, run, done) == 0)
		return;
	control_fail(w->request, ERR_NOMEM, 0, "no worker");
	log_work_free(w);
}

void begin_log_show(struct control_request *request, const Sauti__LogShowRequest *message)
{
	struct engine_log log;
	struct log_work *w;
	size_t position;

	if (!find_log(request, message->origin, &log, &position))
		return;
	if (!message->has_index) {
		answer_json(request, log_note_json(control_runtime(request), position), true);
		return;
	}
	if (message->index >= log.size) {
		control_fail(request, ERR_NOTFOUND, 0, "the log has no entry of that index");
		return;
	}
	w = log_work_new(request);
	if (w == NULL)
		return;
	w->origin = log.origin;
	w->position = position;
	w->index = message->index;
	queue_work(w, entry_run, entry_done);
}

/* Verification: the store re-hashes every entry; here the root it found meets the signatures. */

static void verify_run(uv_work_t *work)
{
	struct log_work *w = work->data;

	w->result = store_verify(w->rt->store, &w->origin, &w->rt->stopping, &w->verify, &w->ctx);
}

static enum err judge_note(struct log_work *w, struct bytes *ret_text)
{
	struct checkpoint checkpoint;
	struct note_key key;

	if (w->verify.checkpoint.size == 0)
		return err_set(&w->ctx, ERR_PROOF, "no signed checkpoint covers it yet");
	if (!engine_log_key(w->rt->engine, w->position, &key))
		return err_set(&w->ctx, ERR_UNTRUSTED, "the log's key is not known");
	TRY(checkpoint_open(
		buf_bytes(&w->verify.checkpoint), &key, &checkpoint, ret_text, &w->ctx));
	if (!hash_equal(&checkpoint.root, &w->verify.checkpoint_root))
		return err_set(&w->ctx, ERR_CORRUPT,
			"the entries do not hash to the signed root at size %llu",
			(unsigned long long)checkpoint.size);
	return OK;
}

/* Counts the cosignatures over this very checkpoint that verify; all of them must. */
static enum err judge_cosignatures(struct log_work *w, struct bytes text, unsigned *ret)
{
	struct engine_log log;
	struct checkpoint signed_one;
	unsigned good = 0;

	TRY(checkpoint_parse(text, &signed_one, &w->ctx));
	engine_log_at(w->rt->engine, w->position, &log);
	for (size_t i = 0; i < log.cosigned; i++) {
		struct engine_cosigned c;
		struct note_line line;
		struct note_key key;
		const struct member *m;

		engine_cosigned_at(w->rt->engine, w->position, i, &c);
		m = directory_find(engine_directory(w->rt->engine), bytes_str(c.node));
		if (c.size != signed_one.size || m == NULL)
			continue;
		if (note_line_parse(c.line, &line, NULL) != OK ||
			cosigner_key(w->rt, &c, m, &key) != OK ||
			cosignature_verify(&line, text, &key, NULL) != OK)
			return err_set(&w->ctx, ERR_UNTRUSTED,
				"the cosignature of '%s' does not verify", c.node);
		good++;
	}
	*ret = good;
	return OK;
}

static void verify_next(struct log_work *w);

static void verify_done(uv_work_t *work, int status)
{
	struct log_work *w = work->data;
	unsigned cosignatures = 0;
	struct engine_log log;
	struct bytes text;

	if (status != 0)
		w->result = ERR_CANCELED;
	if (w->result == OK)
		w->result = judge_note(w, &text);
	if (w->result == OK)
		w->result = judge_cosignatures(w, text, &cosignatures);
	if (w->result == ERR_CANCELED) {
		control_fail(w->request, w->result, 0, "the node stops");
		log_work_free(w);
		return;
	}
	engine_log_at(w->rt->engine, w->position, &log);
	json_t *json = json_pack("{s:s,s:b,s:I,s:i,s:I}", "origin", w->origin.text, "ok",
		w->result == OK, "size", (json_int_t)w->verify.size, "cosignatures",
		(int)cosignatures, "evidence", (json_int_t)log.evidence);

	if (w->result == OK) {
		json_object_set_new(json, "root", json_hash(&w->verify.checkpoint_root));
	} else {
		json_object_set_new(json, "message", json_string(err_message(&w->ctx, w->result)));
		if (w->result == ERR_CORRUPT)
			json_object_set_new(
				json, "bad_index", json_integer((json_int_t)w->verify.bad_index));
	}
	answer_json(w->request, json, false);
	w->position++;
	verify_next(w);
}

static void verify_next(struct log_work *w)
{
	struct engine_log log = {.size = 0};

	buf_release(&w->verify.checkpoint);
	w->verify = (struct store_verify){0};
	w->ctx.text[0] = '\0';
	for (; w->position < w->end; w->position++) {
		engine_log_at(w->rt->engine, w->position, &log);
		if (log.size > 0 && !log.alias)
			break;
	}
	if (w->position >= w->end) {
		control_end(w->request, BYTES_NONE);
		log_work_free(w);
		return;
	}
	w->origin = log.origin;
	queue_work(w, verify_run, verify_done);
}

void begin_log_verify(struct control_request *request, const Sauti__LogVerifyRequest *message)
{
	struct runtime *rt = control_runtime(request);
	struct engine_log log;
	size_t position = 0, end = engine_log_count(rt->engine);
	struct log_work *w;

	if (message->origin[0] != '\0') {
		if (!find_log(request, message->origin, &log, &position))
			return;
		end = position + 1;
	}
	w = log_work_new(request);
	if (w == NULL)
		return;
	w->position = position;
	w->end = end;
	verify_next(w);
}
