/*
 * What the node does for the people on its machine: one function per request, which answers at once
 * or hands the work to the vault, to the engine or to a worker, and answers when it comes back.
 */
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/json_memory.h"
#include "certs/join.h"
#include "proto/codec.h"
#include "proto/entry.pb-c.h"
#include "proto/stored.pb-c.h"
#include "server/control/control.h"
#include "server/log.h"

enum { INVITE_HOURS = 72, INVITE_HOURS_MAX = 24 * 30 };

/* JSON answers. Jansson's own allocations go through its default heap; a document that cannot be
 * made is an error, never half a document. */

static void dump(json_t *json, struct buf *out)
{
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);

	if (text == NULL)
		out->err = ERR_NOMEM;
	else
		buf_put_str(out, text);
	json_text_free(text);
	json_decref(json);
}

static void answer(struct control_request *request, json_t *json, bool last)
{
	struct buf out;

	buf_init(&out, LIMIT_CONTROL_RESPONSE - 1024);
	dump(json, &out);
	if (!last && out.err == OK)
		control_item(request, buf_bytes(&out));
	else if (out.err == OK)
		control_end(request, buf_bytes(&out));
	else if (last)
		control_fail(request, out.err, 0, "the answer does not fit");
	buf_release(&out);
}

static json_t *text_or_null(const char *text)
{
	return text[0] == '\0' ? json_null() : json_string(text);
}

static json_t *hash_base64(const struct hash *hash)
{
	struct buf out;
	json_t *json;

	buf_init(&out, 64);
	base64_encode(&out, hash_bytes(hash));
	json = json_string(buf_cstr(&out));
	buf_release(&out);
	return json;
}

/* The vault. */

static struct vault_request *ask_vault(struct control_request *request, enum vault_type type)
{
	struct vault_request *ask = vault_request_new(type, request);

	if (ask == NULL)
		control_fail(request, ERR_NOMEM, 0, err_text(ERR_NOMEM));
	return ask;
}

static void begin_unlock(struct control_request *request, Sauti__UnlockRequest *message)
{
	struct vault_request *ask;
	enum err err = OK;

	if (message->passphrase.len == 0 || message->passphrase.len > LIMIT_PASSPHRASE) {
		control_fail(request, ERR_INVALID, 0, "an empty or too long passphrase");
		return;
	}
	ask = ask_vault(request, VAULT_UNLOCK);
	if (ask != NULL)
		err = secret_copy(&ask->passphrase, codec_bytes(message->passphrase));
	wipe(message->passphrase.data, message->passphrase.len);
	if (ask == NULL)
		return;
	if (err != OK) {
		vault_request_free(ask);
		control_fail(request, err, 0, err_text(err));
		return;
	}
	vault_submit(control_runtime(request)->vault, ask);
}

struct unlocked {
	struct control_request *request;
	uint64_t cases, events;
};

static void on_unlocked(void *arg, enum err error, uint64_t index)
{
	struct unlocked *unlocked = arg;

	if (error != OK)
		control_fail(unlocked->request, error, 0,
			"unlocked, but the node's log could not be opened");
	else
		answer(unlocked->request,
			json_pack("{s:b,s:I,s:I}", "locked", 0, "cases",
				(json_int_t)unlocked->cases, "events",
				(json_int_t)unlocked->events),
			true);
	mem_free(unlocked);
}

static void done_unlock(struct control_request *request, struct vault_request *done)
{
	struct unlocked *unlocked = mem_zalloc(sizeof(*unlocked));
	struct vault_keys *keys = done->keys;

	if (unlocked == NULL) {
		control_fail(request, ERR_NOMEM, 0, err_text(ERR_NOMEM));
		return;
	}
	*unlocked = (struct unlocked){request, done->cases, done->events};
	done->keys = NULL;
	if (keys == NULL)
		on_unlocked(unlocked, OK, 0);
	else
		runtime_unlocked(control_runtime(request), keys, on_unlocked, unlocked);
}

static void begin_lock(struct control_request *request)
{
	struct vault_request *ask = ask_vault(request, VAULT_LOCK);

	if (ask == NULL)
		return;
	runtime_locked(control_runtime(request));
	vault_submit(control_runtime(request)->vault, ask);
}

/* Cases. */

static void begin_append(struct control_request *request, const Sauti__CaseAppendRequest *message)
{
	struct vault_request *ask = ask_vault(request, VAULT_SEAL);

	if (ask == NULL)
		return;
	buf_put(&ask->lines, codec_bytes(message->lines));
	wipe(message->lines.data, message->lines.len);
	ask->dry_run = message->dry_run;
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	snprintf(ask->officer, sizeof(ask->officer), "officer");
	if (ask->lines.err != OK) {
		control_fail(request, ask->lines.err, 0, err_text(ask->lines.err));
		vault_request_free(ask);
		return;
	}
	vault_submit(control_runtime(request)->vault, ask);
}

/* What was sealed must be settled with the vault: there is no going on without. */
static void out_of_memory(void)
{
	log_line(LOG_ALARM, "out of memory: stopping; nothing acknowledged is lost");
	_exit(1);
}

struct appending {
	struct control_request *request;
	struct runtime *rt;
	uint64_t added, known;
};

static void answer_appended(struct control_request *request, uint64_t added, uint64_t known)
{
	answer(request,
		json_pack("{s:I,s:I}", "added", (json_int_t)added, "known", (json_int_t)known),
		true);
}

/* Durable, or failed: the vault is told first, the client after it. */
static void on_appended(void *arg, enum err error, uint64_t index)
{
	struct appending *appending = arg;
	struct runtime *rt = appending->rt;
	struct vault_request *tell = NULL;

	if (!rt->stopping) { /* else the vault has forgotten everything already */
		tell = vault_request_new(error == OK ? VAULT_COMMITTED : VAULT_ABORTED, NULL);
		if (tell == NULL)
			out_of_memory();
		tell->index = index;
		vault_submit(rt->vault, tell);
	}
	if (error == OK)
		answer_appended(appending->request, appending->added, appending->known);
	else
		control_fail(appending->request, error, 0,
			"nothing was recorded: the log could not be extended");
	mem_free(appending);
}

static void done_seal(struct control_request *request, struct vault_request *done)
{
	struct appending *appending;

	if (done->entries == NULL) {
		answer_appended(request, done->added, done->known);
		return;
	}
	appending = mem_zalloc(sizeof(*appending));
	if (appending == NULL)
		out_of_memory();
	*appending =
		(struct appending){request, control_runtime(request), done->added, done->known};
	struct entries *entries = done->entries;

	done->entries = NULL;
	runtime_append(appending->rt, done->log_origin, entries, on_appended, appending);
}

static void begin_show(struct control_request *request, enum vault_type type, const char *name)
{
	struct vault_request *ask;

	if (strlen(name) >= sizeof(ask->name)) {
		control_fail(request, ERR_INVALID, 0, "the case's name is too long");
		return;
	}
	ask = ask_vault(request, type);
	if (ask == NULL)
		return;
	snprintf(ask->name, sizeof(ask->name), "%s", name);
	vault_submit(control_runtime(request)->vault, ask);
}

static void done_docs(struct control_request *request, struct vault_request *done)
{
	for (struct vault_doc *doc = done->docs; doc != NULL; doc = doc->next)
		control_item(request, buf_bytes(&doc->json));
	control_end(request, BYTES_NONE);
}

void control_vault_done(struct control_server *server, struct vault_request *done)
{
	struct control_request *request = done->arg;

	if (request == NULL) {
		if (done->result != OK)
			log_line(LOG_ALARM, "vault: %s", err_message(&done->ctx, done->result));
	} else if (done->result != OK) {
		control_fail(
			request, done->result, done->line, err_message(&done->ctx, done->result));
	} else if (done->type == VAULT_UNLOCK) {
		done_unlock(request, done);
	} else if (done->type == VAULT_SEAL) {
		done_seal(request, done);
	} else if (done->type == VAULT_LOCK) {
		answer(request, json_pack("{s:b}", "locked", 1), true);
	} else {
		done_docs(request, done);
	}
	vault_request_free(done);
}

void control_vault_drop(struct vault_request *done)
{
	/* Its client is gone with the server. */
	mem_free(done->arg);
	vault_request_free(done);
}

/* Logs and nodes, from what the engine knows. */

static json_t *held_by(const struct runtime *rt, size_t position, const struct engine_log *log)
{
	json_t *list = json_array();

	for (size_t i = 0; i < log->cosigned; i++) {
		struct engine_cosigned c;
		struct note_line line;
		uint64_t time = 0;

		engine_cosigned_at(rt->engine, position, i, &c);
		if (note_line_parse(c.line, &line, NULL) == OK && line.blob_size >= 8)
			time = get_u64be(line.blob);
		json_array_append_new(list, json_pack("{s:s,s:I,s:I,s:b}", "mirror", c.node, "size",
						    (json_int_t)c.size, "time", (json_int_t)time,
						    "current", c.size == log->checkpoint_size));
	}
	return list;
}

static json_t *log_json(const struct runtime *rt, size_t position)
{
	struct engine_log log;

	engine_log_at(rt->engine, position, &log);
	return json_pack("{s:s,s:I,s:I,s:o,s:o,s:b,s:b,s:b,s:I}", "origin", log.origin.text, "size",
		(json_int_t)log.size, "checkpoint_size", (json_int_t)log.checkpoint_size, "root",
		log.checkpoint_size == 0 ? json_null() : hash_base64(&log.root), "held_by",
		held_by(rt, position, &log), "own", log.own, "open", log.open, "frozen", log.frozen,
		"behind", (json_int_t)(log.known > log.size ? log.known - log.size : 0));
}

static bool shown(const struct runtime *rt, size_t position)
{
	struct engine_log log;

	engine_log_at(rt->engine, position, &log);
	return log.size > 0 || log.known > 0;
}

static json_t *peers_json(const struct runtime *rt)
{
	json_t *list = json_array();

	for (size_t i = 0; i < engine_peer_count(rt->engine); i++) {
		struct engine_peer peer;
		const char *address = "";

		engine_peer_at(rt->engine, i, &peer);
		for (size_t k = 0; k < rt->config.peer_count; k++)
			if (strcmp(rt->config.peers[k].name, peer.name) == 0)
				address = rt->config.peers[k].address;
		json_array_append_new(list,
			json_pack("{s:s,s:b,s:o,s:o,s:I}", "name", peer.name, "connected",
				peer.connected, "address", text_or_null(address), "last_error",
				text_or_null(
					peer.connected ? "" : runtime_peer_error(rt, peer.name)),
				"session_s",
				(json_int_t)(peer.connected
						     ? (uv_now(&rt->loop) - peer.since_ms) / 1000
						     : 0)));
	}
	return list;
}

static void begin_status(struct control_request *request)
{
	struct runtime *rt = control_runtime(request);
	const struct directory *directory = engine_directory(rt->engine);
	const struct member *self = directory_find(directory, bytes_str(rt->node));
	json_t *logs = json_array(), *alarms = json_array();
	size_t members = 0;

	for (size_t i = 0; i < engine_log_count(rt->engine); i++)
		if (shown(rt, i))
			json_array_append_new(logs, log_json(rt, i));
	if (rt->alarm[0] != '\0')
		json_array_append_new(alarms, json_string(rt->alarm));
	while (directory_at(directory, members) != NULL)
		members++;
	answer(request,
		json_pack("{s:s,s:s,s:s,s:b,s:I,s:I,s:o,s:o,s:o,s:I,s:s,s:i,s:i}", "node", rt->node,
			"network", rt->genesis.network, "role",
			role_name(self == NULL ? ROLE_UNKNOWN : self->role), "locked",
			rt->keys == NULL, "directory_size", (json_int_t)directory_size(directory),
			"members", (json_int_t)members, "logs", logs, "peers", peers_json(rt),
			"alarms", alarms, "uptime_s",
			(json_int_t)((uv_now(&rt->loop) - rt->started_ms) / 1000), "version",
			SAUTI_VERSION, "format", FORMAT_VERSION, "port", (int)rt->port),
		true);
}

static void begin_log_list(struct control_request *request)
{
	struct runtime *rt = control_runtime(request);

	for (size_t i = 0; i < engine_log_count(rt->engine); i++)
		if (shown(rt, i))
			answer(request, log_json(rt, i), false);
	control_end(request, BYTES_NONE);
}

static json_t *member_json(const struct member *m)
{
	struct hash digest;
	char hex[2 * HASH_SIZE + 1], shown_hex[48];

	sha256(BYTES_ARRAY(m->node.b), &digest);
	hex_encode(hash_bytes(&digest), hex);
	snprintf(shown_hex, sizeof(shown_hex), "%.4s-%.4s-%.4s-%.4s-%.4s-%.4s-%.4s-%.4s", hex,
		hex + 4, hex + 8, hex + 12, hex + 16, hex + 20, hex + 24, hex + 28);
	return json_pack("{s:s,s:s,s:o,s:b,s:s,s:I,s:I}", "name", m->name, "role",
		role_name(m->role), "country", text_or_null(m->country), "active", m->active,
		"fingerprint", shown_hex, "admitted_index", (json_int_t)m->admitted_index,
		"admitted_at", (json_int_t)m->made_at);
}

static void begin_node_list(struct control_request *request, const Sauti__NodeListRequest *message)
{
	const struct directory *directory = engine_directory(control_runtime(request)->engine);
	const struct member *m;
	bool found = message->name[0] == '\0';

	for (size_t i = 0; (m = directory_at(directory, i)) != NULL; i++) {
		if (message->name[0] != '\0' && strcmp(message->name, m->name) != 0)
			continue;
		found = true;
		answer(request, member_json(m), false);
	}
	if (found)
		control_end(request, BYTES_NONE);
	else
		control_fail(request, ERR_NOTFOUND, 0, "no node of that name is in the directory");
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
			json_pack("{s:I,s:I,s:s,s:o}", "index", (json_int_t)w->index, "bytes",
				(json_int_t)w->entry.size, "kind", entry_kind(buf_bytes(&w->entry)),
				"leaf_hash", hash_base64(&leaf)));
		answer(w->request, json, true);
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

static void begin_log_show(struct control_request *request, const Sauti__LogShowRequest *message)
{
	struct engine_log log;
	struct log_work *w;
	size_t position;

	if (!find_log(request, message->origin, &log, &position))
		return;
	if (!message->has_index) {
		answer(request, log_note_json(control_runtime(request), position), true);
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
			mirror_note_key(bytes_str(w->rt->genesis.network), bytes_str(c.node),
				&m->mirror, &key) != OK ||
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
	json_t *json =
		json_pack("{s:s,s:b,s:I,s:i}", "origin", w->origin.text, "ok", w->result == OK,
			"size", (json_int_t)w->verify.size, "cosignatures", (int)cosignatures);

	if (w->result == OK) {
		json_object_set_new(json, "root", hash_base64(&w->verify.checkpoint_root));
	} else {
		json_object_set_new(json, "message", json_string(err_message(&w->ctx, w->result)));
		if (w->result == ERR_CORRUPT)
			json_object_set_new(
				json, "bad_index", json_integer((json_int_t)w->verify.bad_index));
	}
	answer(w->request, json, false);
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
		if (log.size > 0)
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

static void begin_log_verify(
	struct control_request *request, const Sauti__LogVerifyRequest *message)
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

/* Invitations. */

struct invite_work {
	uv_work_t work;
	struct control_request *request;
	struct runtime *rt;
	struct join_token token;
	struct buf value;
	enum err result;
	struct errctx ctx;
};

static void invite_work_free(struct invite_work *w)
{
	buf_wipe(&w->value);
	wipe(w, sizeof(*w));
	mem_free(w);
}

static void invite_run(uv_work_t *work)
{
	struct invite_work *w = work->data;

	w->result = store_invite_put(w->rt->store, w->token.name, buf_bytes(&w->value), &w->ctx);
}

static void invite_done(uv_work_t *work, int status)
{
	struct invite_work *w = work->data;
	struct buf text;

	buf_init(&text, LIMIT_JOIN_TOKEN);
	if (status != 0)
		w->result = ERR_CANCELED;
	if (w->result == OK)
		w->result = join_token_write(&w->token, &text);
	if (w->result != OK)
		control_fail(w->request, w->result, 0, err_message(&w->ctx, w->result));
	else
		answer(w->request,
			json_pack("{s:s,s:s,s:I}", "token", buf_cstr(&text), "name", w->token.name,
				"expires_at", (json_int_t)w->token.expires_at),
			true);
	buf_wipe(&text);
	invite_work_free(w);
}

static enum err invite_addresses(const struct runtime *rt, const Sauti__NodeInviteRequest *message,
	struct join_token *token, struct errctx *ctx)
{
	size_t max = sizeof(token->addresses) / sizeof(token->addresses[0]);

	if (message->n_addresses > max)
		return err_set(
			ctx, ERR_LIMIT, "%zu addresses, at most %zu", message->n_addresses, max);
	for (size_t i = 0; i < message->n_addresses; i++) {
		struct net_address ignored;

		TRY(config_address(message->addresses[i], false, &ignored, ctx));
		snprintf(token->addresses[i], sizeof(token->addresses[i]), "%s",
			message->addresses[i]);
	}
	if (message->n_addresses > 0)
		return OK;
	/* What we listen on, if that is an address somebody else can dial. */
	struct net_address own;

	if (rt->port == 0 || config_address(rt->config.listen, true, &own, ctx) != OK ||
		strcmp(own.host, "0.0.0.0") == 0 || strcmp(own.host, "::") == 0)
		return err_set(ctx, ERR_INVALID,
			"which address will the new node dial? say --address HOST:PORT");
	snprintf(token->addresses[0], sizeof(token->addresses[0]), own.ipv6 ? "[%s]:%u" : "%s:%u",
		own.host, (unsigned)rt->port);
	return OK;
}

static enum err invite_check(
	const struct runtime *rt, const Sauti__NodeInviteRequest *message, struct errctx *ctx)
{
	const struct directory *directory = engine_directory(rt->engine);
	const struct member *self = directory_find(directory, bytes_str(rt->node));
	bool country = strlen(message->country) == 3;

	for (size_t i = 0; country && i < 3; i++)
		country = message->country[i] >= 'A' && message->country[i] <= 'Z';
	if (self == NULL || self->role != ROLE_HQ)
		return err_set(ctx, ERR_DENIED, "only headquarters invites");
	if (rt->keys == NULL || rt->keys->directory == NULL)
		return err_set(ctx, ERR_LOCKED, "headquarters must be unlocked to invite");
	if (!node_name_valid(bytes_str(message->name)) || strcmp(message->name, "directory") == 0)
		return err_set(ctx, ERR_INVALID,
			"a node's name is 1 to 31 of a-z, 0-9 and '-', beginning with a letter");
	if (directory_find(directory, bytes_str(message->name)) != NULL)
		return err_set(ctx, ERR_EXISTS, "'%s' is in the directory already", message->name);
	if (message->role != ROLE_OFFICE && message->role != ROLE_AUDITOR)
		return err_set(ctx, ERR_INVALID, "the role is office or auditor");
	if (!country)
		return err_set(
			ctx, ERR_INVALID, "the country is three capitals (ISO 3166-1 alpha-3)");
	if (message->hours > INVITE_HOURS_MAX)
		return err_set(
			ctx, ERR_LIMIT, "%u hours, at most %u", message->hours, INVITE_HOURS_MAX);
	return OK;
}

static enum err invite_value(const struct join_token *token, struct buf *out)
{
	Sauti__Invite invite = SAUTI__INVITE__INIT;

	invite.name = (char *)token->name;
	invite.role = (Sauti__Invite__Role)token->role;
	invite.country = (char *)token->country;
	invite.secret = codec_binary(BYTES_ARRAY(token->secret));
	invite.expires_at = token->expires_at;
	codec_pack(out, &invite);
	return out->err;
}

static enum err invite_fill(struct invite_work *w, const Sauti__NodeInviteRequest *message)
{
	struct runtime *rt = w->rt;
	struct join_token *token = &w->token;
	struct engine_log log;
	size_t position;

	TRY(invite_check(rt, message, &w->ctx));
	TRY(invite_addresses(rt, message, token, &w->ctx));
	if (!engine_log_find(rt->engine, bytes_str(rt->genesis.origin.text), &log, &position))
		return err_set(&w->ctx, ERR_CORRUPT, "the directory's log is missing");
	snprintf(token->network, sizeof(token->network), "%s", rt->genesis.network);
	snprintf(token->name, sizeof(token->name), "%s", message->name);
	snprintf(token->country, sizeof(token->country), "%s", message->country);
	snprintf(token->directory_origin, sizeof(token->directory_origin), "%s",
		rt->genesis.origin.text);
	token->role = (enum role)message->role;
	token->directory_key = rt->genesis.key;
	token->directory_size = log.checkpoint_size;
	token->directory_root = log.root;
	token->expires_at = runtime_wall_s() +
			    3600 * (uint64_t)(message->hours == 0 ? INVITE_HOURS : message->hours);
	TRY(random_bytes(token->secret, sizeof(token->secret)));
	return invite_value(token, &w->value);
}

static void begin_invite(struct control_request *request, const Sauti__NodeInviteRequest *message)
{
	struct invite_work *w = mem_zalloc(sizeof(*w));

	if (w == NULL) {
		control_fail(request, ERR_NOMEM, 0, err_text(ERR_NOMEM));
		return;
	}
	w->work.data = w;
	w->request = request;
	w->rt = control_runtime(request);
	buf_init(&w->value, LIMIT_JOIN_TOKEN);
	enum err err = invite_fill(w, message);

	if (err == OK && uv_queue_work(&w->rt->loop, &w->work, invite_run, invite_done) == 0)
		return;
	if (err == OK)
		err = ERR_NOMEM;
	control_fail(request, err, 0, err_message(&w->ctx, err));
	invite_work_free(w);
}

void control_begin(struct control_request *request, const Sauti__ControlRequest *message)
{
	switch (message->body_case) {
	case SAUTI__CONTROL_REQUEST__BODY_UNLOCK:
		begin_unlock(request, message->unlock);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_LOCK:
		begin_lock(request);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_STATUS:
		begin_status(request);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_CASE_APPEND:
		begin_append(request, message->case_append);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_CASE_SHOW:
		begin_show(request, VAULT_SHOW, message->case_show->case_);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_CASE_LIST:
		begin_show(request, VAULT_LIST, "");
		break;
	case SAUTI__CONTROL_REQUEST__BODY_LOG_LIST:
		begin_log_list(request);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_LOG_SHOW:
		begin_log_show(request, message->log_show);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_LOG_VERIFY:
		begin_log_verify(request, message->log_verify);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_NODE_LIST:
		begin_node_list(request, message->node_list);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_NODE_INVITE:
		begin_invite(request, message->node_invite);
		break;
	default:
		control_fail(request, ERR_UNSUPPORTED, 0, "this node does not know that request");
		break;
	}
}
