/*
 * One entry with its proof, as a file that anybody checks without the node (C2SP tlog-proof). The
 * vault gives the entry, and P when it is to be opened; a picture is taken of the newest checkpoint
 * that the quorum has cosigned; a worker makes the proof; when the entry is opened, that goes into
 * the ledger, and only when it is durable there the file goes to the client.
 *
 * The picture comes before the ledger: what the ledger gains nobody has cosigned yet.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/seal/opened.h"
#include "replication/log/tlog_proof.h"
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/ledger.h"

struct proving {
	uv_work_t work;
	struct control_request *request;
	struct runtime *rt;
	struct buf extra; /* the entry, and P */
	struct buf file;
	struct origin origin;
	struct store_included at; /* the entry, in the tree of the picture */
	bool newest;              /* .. which is that of the newest checkpoint: */
	struct buf note;          /* its signed note */
	struct buf lines;         /* cosignatures */
	unsigned cosigned, needed;
	struct proof path;
	struct hash root, hash; /* of the tree; of the file */
	bool open;
	char event_id[37], group[16], officer[65], to[LIMIT_PURPOSE + 1],
		purpose[LIMIT_PURPOSE + 1];
	uint8_t ref[VAULT_REF_SIZE];
	struct hash revealed;
	enum err result;
	struct errctx ctx;
};

static void proving_free(struct proving *p)
{
	buf_wipe(&p->extra);
	buf_wipe(&p->file);
	buf_release(&p->note);
	buf_release(&p->lines);
	wipe(p, sizeof(*p));
	mem_free(p);
}

static void proving_fail(struct proving *p, enum err err, const char *message)
{
	control_fail(p->request, err, 0, message);
	proving_free(p);
}

/* --- asking --- */

static const char *check_request(const Sauti__CaseProveRequest *message)
{
	if (message->case_[0] == '\0' || strlen(message->event_id) != 36)
		return "a case and the id of an event are needed";
	if (strlen(message->group) >= sizeof(((struct vault_request *)0)->group))
		return "--group: no data group of a case";
	if (!message->open)
		return NULL;
	if (message->to[0] == '\0' || strlen(message->to) > LIMIT_PURPOSE)
		return "say whom the entry is opened for, in at most 200 bytes";
	if (message->purpose[0] == '\0' || strlen(message->purpose) > LIMIT_PURPOSE)
		return "say what the entry is opened for, in at most 200 bytes";
	return NULL;
}

void begin_case_prove(struct control_request *request, const Sauti__CaseProveRequest *message)
{
	const char *wrong = check_request(message);
	struct vault_request *ask;

	if (wrong != NULL) {
		control_fail(request, ERR_INVALID, 0, wrong);
		return;
	}
	if (message->open && !may_record(request))
		return;
	ask = vault_ask(request, VAULT_REVEAL);
	if (ask == NULL)
		return;
	snprintf(ask->name, sizeof(ask->name), "%s", message->case_);
	snprintf(ask->event_id, sizeof(ask->event_id), "%s", message->event_id);
	snprintf(ask->group, sizeof(ask->group), "%s", message->group);
	ask->open = message->open;
	snprintf(ask->to, sizeof(ask->to), "%s", message->open ? message->to : "");
	snprintf(ask->purpose, sizeof(ask->purpose), "%s", message->open ? message->purpose : "");
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	vault_submit(control_runtime(request)->vault, ask);
}

/* --- the picture --- */

static unsigned cosigned_at(const struct runtime *rt, size_t position, const struct engine_log *log,
	uint64_t size, struct buf *lines)
{
	const struct directory *directory = engine_directory(rt->engine);
	unsigned count = 0;

	for (size_t i = 0; i < log->cosigned; i++) {
		struct engine_cosigned c;

		engine_cosigned_at(rt->engine, position, i, &c);
		if (c.size != size)
			continue;
		count += !c.witness && directory_counts(directory, c.node);
		if (lines != NULL)
			buf_put(lines, c.line);
	}
	return count;
}

/* The largest tree that most of the mirrors that count have cosigned, up to the quorum. An older
 * one is signed anew: it says what was signed before. */
static uint64_t choose_size(const struct proving *p, size_t position, const struct engine_log *log)
{
	uint64_t best = log->checkpoint_size;
	unsigned most = cosigned_at(p->rt, position, log, best, NULL);

	if (p->rt->keys == NULL || strcmp(p->rt->keys->log_origin, log->origin.text) != 0)
		return best;
	for (size_t i = 0; i < log->cosigned && most < p->needed; i++) {
		struct engine_cosigned c;
		unsigned count;

		engine_cosigned_at(p->rt->engine, position, i, &c);
		if (c.size <= p->at.index || c.size > log->checkpoint_size)
			continue;
		count = cosigned_at(p->rt, position, log, c.size, NULL);
		if (count > most || (count == most && most > 0 && c.size > best)) {
			best = c.size;
			most = count;
		}
	}
	return best;
}

static enum err take_picture(struct proving *p)
{
	struct engine_quorum quorum;
	struct engine_log log;
	size_t position;

	if (!engine_log_find(p->rt->engine, bytes_str(p->origin.text), &log, &position) ||
		log.checkpoint_size <= p->at.index)
		return err_set(&p->ctx, ERR_NOTFOUND,
			"no checkpoint of log '%s' covers the entry yet", p->origin.text);
	engine_quorum_at(p->rt->engine, position, &quorum);
	p->needed = quorum.needed;
	p->at.size = choose_size(p, position, &log);
	p->newest = p->at.size == log.checkpoint_size;
	buf_put(&p->note, log.checkpoint);
	p->cosigned = cosigned_at(p->rt, position, &log, p->at.size, &p->lines);
	return p->note.err != OK ? p->note.err : p->lines.err;
}

/* --- the file --- */

/* What was signed for this size, once more: the same text, the same key. */
static enum err sign_again(struct proving *p)
{
	struct checkpoint checkpoint = {p->origin, p->at.size, p->root};

	if (p->rt->keys == NULL || strcmp(p->rt->keys->log_origin, p->origin.text) != 0)
		return err_set(&p->ctx, ERR_LOCKED, "the node was locked meanwhile");
	buf_clear(&p->note);
	return checkpoint_sign(&p->note, &checkpoint, p->rt->keys->log);
}

static enum err make_file(struct proving *p)
{
	struct tlog_proof proof = {.has_extra = true,
		.extra = buf_bytes(&p->extra),
		.index = p->at.index,
		.path = p->path};
	struct opened opened;
	struct hash leaf;
	enum err err = opened_parse(proof.extra, &opened);

	if (err == OK)
		tree_leaf(opened.entry, &leaf);
	wipe(&opened.p, sizeof(opened.p));
	if (err == OK && !proof_inclusion_ok(&p->path, p->at.index, &leaf, p->at.size, &p->root))
		err = err_set(&p->ctx, ERR_CORRUPT,
			"log '%s': entry %llu is not the one that was signed: 'sauti log verify'",
			p->origin.text, (unsigned long long)p->at.index);
	if (err == OK && !p->newest)
		err = sign_again(p);
	if (err != OK)
		return err;
	buf_put(&p->note, buf_bytes(&p->lines));
	proof.checkpoint = buf_bytes(&p->note);
	if (buf_reserve(&p->file, LIMIT_TLOG_PROOF) != NULL)
		tlog_proof_write(&p->file, &proof);
	sha256(buf_bytes(&p->file), &p->hash);
	return p->note.err != OK ? p->note.err : p->file.err;
}

/* --- answering --- */

static json_t *head_json(const struct proving *p, const struct ledger_place *place)
{
	char hash[2 * HASH_SIZE + 1];
	json_t *json;

	hex_encode(hash_bytes(&p->hash), hash);
	json = json_pack("{s:s,s:I,s:I,s:I,s:s,s:s,s:s,s:i,s:i,s:b}", "log", p->origin.text,
		"index", (json_int_t)p->at.index, "size", (json_int_t)p->at.size, "bytes",
		(json_int_t)p->file.size, "file_hash", hash, "group", p->group, "event_id",
		p->event_id, "cosigned", (int)p->cosigned, "needed", (int)p->needed, "opened",
		p->open);
	if (json != NULL && place != NULL) {
		json_object_set_new(json, "ledger", json_string(place->origin));
		json_object_set_new(json, "ledger_index", json_integer((json_int_t)place->index));
	}
	return json;
}

static void send_file(struct proving *p, const struct ledger_place *place)
{
	answer_json(p->request, head_json(p, place), false);
	control_data(p->request, buf_bytes(&p->file));
	control_end(p->request, BYTES_NONE);
	proving_free(p);
}

static void on_ledgered(
	void *arg, enum err error, const char *why, const struct ledger_place *place)
{
	struct proving *p = arg;
	struct errctx ctx = {""};

	if (error == OK) {
		send_file(p, place);
		return;
	}
	err_set(&ctx, error, "nothing was opened: the ledger could not be written: %s", why);
	proving_fail(p, error, ctx.text);
}

static json_t *event_json(const struct proving *p)
{
	char hash[2 * HASH_SIZE + 1], ref[2 * VAULT_REF_SIZE + 1], id[2 * VAULT_REF_SIZE + 1];

	hex_encode(hash_bytes(&p->hash), hash);
	hex_encode(BYTES_ARRAY(p->ref), ref);
	hex_encode(bytes_make(p->revealed.b, VAULT_REF_SIZE), id);
	return json_pack("{s:s,s:s,s:s,s:[s],s:i,s:[s],s:s,s:s,s:s,s:[s]}", "type", "EXPORT_MADE",
		"who", p->officer, "format", "PROOF", "cases", ref, "case_count", 1, "groups",
		p->group, "purpose", p->purpose, "file_hash", hash, "recipient", p->to, "revealed",
		id);
}

static void prove_run(uv_work_t *work)
{
	struct proving *p = work->data;

	p->result = store_inclusion(p->rt->store, &p->origin, &p->at, &p->path, &p->root, &p->ctx);
}

static void prove_done(uv_work_t *work, int status)
{
	struct proving *p = work->data;

	if (status != 0)
		p->result = ERR_CANCELED;
	if (p->result == OK)
		p->result = make_file(p);
	if (p->result != OK)
		proving_fail(p, p->result, err_message(&p->ctx, p->result));
	else if (p->open)
		ledger_write(p->rt, p->officer, event_json(p), on_ledgered, p);
	else
		send_file(p, NULL);
}

static struct proving *proving_new(struct control_request *request, struct vault_request *done)
{
	struct proving *p = mem_zalloc(sizeof(*p));

	if (p == NULL)
		return NULL;
	p->work.data = p;
	p->request = request;
	p->rt = control_runtime(request);
	p->extra = done->file;
	buf_init(&done->file, 0);
	buf_init(&p->file, LIMIT_TLOG_PROOF);
	buf_init(&p->note, LIMIT_NOTE_SIZE);
	buf_init(&p->lines, LIMIT_NOTE_SIZE);
	snprintf(p->origin.text, sizeof(p->origin.text), "%s", done->log_origin);
	p->at.index = done->index;
	p->open = done->open;
	memcpy(p->event_id, done->event_id, sizeof(p->event_id));
	memcpy(p->group, done->group, sizeof(p->group));
	memcpy(p->officer, done->officer, sizeof(p->officer));
	memcpy(p->to, done->to, sizeof(p->to));
	memcpy(p->purpose, done->purpose, sizeof(p->purpose));
	memcpy(p->ref, done->refs.data, sizeof(p->ref));
	p->revealed = done->revealed;
	return p;
}

void done_case_prove(struct control_request *request, struct vault_request *done)
{
	struct proving *p = proving_new(request, done);
	enum err err;

	if (p == NULL) {
		control_fail(request, ERR_NOMEM, 0, err_text(ERR_NOMEM));
		return;
	}
	err = take_picture(p);
	if (err == OK && uv_queue_work(&p->rt->loop, &p->work, prove_run, prove_done) != 0)
		err = err_set(&p->ctx, ERR_NOMEM, "no worker");
	if (err != OK)
		proving_fail(p, err, err_message(&p->ctx, err));
}
