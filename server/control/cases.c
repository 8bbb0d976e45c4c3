/* Cases, and the keys to them: all of it is the vault's work. */
#include <stdio.h>

#include "base/alloc.h"
#include "cases/event/json_memory.h"
#include "proto/codec.h"
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/keys/erasing.h"
#include "server/keys/escrow.h"
#include "server/keys/grants.h"
#include "server/ledger.h"
#include "server/locking.h"
#include "server/log.h"
#include "server/mail.h"
#include "server/outbox.h"
#include "server/safe.h"

/* An officer gives the old log up. Only where it cannot be continued as it is. */
static bool may_renew(struct control_request *request)
{
	const struct runtime *rt = control_runtime(request);

	if (rt->keys != NULL)
		control_fail(request, ERR_BUSY, 0, "the node is unlocked: lock it first");
	else if (guard_state_writable(&rt->guard_state) && rt->guard_state.verdict != GUARD_OTHER)
		control_fail(request, ERR_INVALID, 0,
			"the node's log is in order: there is no need of a new one");
	else
		return true;
	return false;
}

void begin_unlock(struct control_request *request, Sauti__UnlockRequest *message)
{
	struct vault_request *ask;
	enum err err = OK;

	if (message->passphrase.len == 0 || message->passphrase.len > LIMIT_PASSPHRASE) {
		control_fail(request, ERR_INVALID, 0, "an empty or too long passphrase");
		return;
	}
	if (message->officer[0] == '\0' || strlen(message->officer) >= sizeof(ask->officer)) {
		control_fail(request, ERR_INVALID, 0, "whose passphrase it is must be said");
		return;
	}
	if (message->new_epoch && !may_renew(request))
		return;
	ask = vault_ask(request, VAULT_UNLOCK);
	if (ask != NULL) {
		ask->renew = message->new_epoch ||
			     control_runtime(request)->guard_state.verdict == GUARD_OTHER;
		ask->turn = control_runtime(request)->guard_state.turn;
		ask->now_s = runtime_wall_s();
		ask->node_s = prekeys_now(control_runtime(request));
		ask->boot_ms = officers_now_ms();
	}
	if (ask != NULL)
		snprintf(ask->officer, sizeof(ask->officer), "%s", message->officer);
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
	locking_unlock(control_runtime(request), ask);
}

/* The condition was taken before the write came back: it knows the cause. */
static void fail_append(struct control_request *request, enum err error, const char *what)
{
	const struct condition *condition = &control_runtime(request)->condition;
	bool disk =
		error == ERR_FULL || error == ERR_IO || error == ERR_DENIED || error == ERR_CORRUPT;
	struct errctx ctx = {""};

	if (!disk || condition->trouble == TROUBLE_NONE)
		err_set(&ctx, error, "%s: %s", what, err_text(error));
	else if (condition->trouble == TROUBLE_RESTART)
		err_set(&ctx, error,
			"whether it was recorded is not known before a restart: %s; %s",
			condition->message, trouble_todo(condition->trouble));
	else
		err_set(&ctx, error, "%s: %s; %s", what, condition->message,
			trouble_todo(condition->trouble));
	control_fail(request, error, 0, ctx.text);
}

struct unlocked {
	struct control_request *request;
	uint64_t cases, events, unread;
	char previous[LIMIT_ORIGIN + 1]; /* a new log was opened in its place; "" */
	char officer[65];
	uint32_t roles;
};

static json_t *unlocked_json(const struct unlocked *unlocked)
{
	const struct runtime *rt = control_runtime(unlocked->request);

	return json_pack("{s:b,s:I,s:I,s:I,s:s,s:o,s:b,s:o,s:s,s:o}", "locked", 0, "cases",
		(json_int_t)unlocked->cases, "events", (json_int_t)unlocked->events, "unread",
		(json_int_t)unlocked->unread, "log", rt->keys == NULL ? "" : rt->keys->log_origin,
		"previous_log", json_text_or_null(unlocked->previous), "recording",
		guard_state_writable(&rt->guard_state), "message",
		json_text_or_null(rt->guard_state.why), "officer", unlocked->officer, "roles",
		roles_json(unlocked->roles));
}

/* Without its log the node cannot record, and be read all the same. */
static void on_unlocked(void *arg, enum err error, uint64_t index)
{
	struct unlocked *unlocked = arg;
	struct control_request *request = unlocked->request;
	enum err session = open_session(request, unlocked->officer, unlocked->roles);

	if (error != OK)
		fail_append(request, error, "unlocked, but the node's log could not be opened");
	else if (session == ERR_LOCKED)
		control_fail(request, session, 0, "the node was locked meanwhile");
	else if (session != OK)
		control_fail(request, session, 0, "unlocked, but no session could be begun");
	else
		answer_json(request, unlocked_json(unlocked), true);
	mem_free(unlocked);
}

/* What the vault read meanwhile is not the log as it is now: numbers that it would give to new
 * entries may be taken. */
static bool unlock_stale(struct control_request *request, struct vault_request *done)
{
	struct runtime *rt = control_runtime(request);
	struct vault_request *ask;

	if (done->keys == NULL || done->turn == rt->guard_state.turn)
		return false;
	vault_keys_free(done->keys);
	done->keys = NULL;
	ask = vault_request_new(VAULT_LOCK, NULL);
	if (ask == NULL)
		runtime_out_of_memory();
	vault_submit(rt->vault, ask);
	control_fail(request, ERR_BUSY, 0,
		"entries of this node's log came back while it was unlocked: unlock again");
	return true;
}

static void done_unlock(struct control_request *request, struct vault_request *done)
{
	struct unlocked *unlocked;
	struct vault_keys *keys = done->keys;
	struct runtime *rt = control_runtime(request);

	if (unlock_stale(request, done))
		return;
	unlocked = mem_zalloc(sizeof(*unlocked));
	if (unlocked == NULL) {
		control_fail(request, ERR_NOMEM, 0, err_text(ERR_NOMEM));
		return;
	}
	*unlocked = (struct unlocked){.request = request,
		.cases = done->cases,
		.events = done->events,
		.unread = done->unread,
		.roles = done->roles};
	snprintf(unlocked->officer, sizeof(unlocked->officer), "%s", done->officer);
	if (keys != NULL)
		memcpy(unlocked->previous, keys->previous_origin, sizeof(unlocked->previous));
	/* The keystore's log is not the one that the guard knows: it is to be opened. */
	if (keys != NULL && rt->keys == NULL && (done->renew || unlocked->previous[0] != '\0'))
		rt->guard_state.verdict = GUARD_OTHER;
	done->keys = NULL;
	rt->unread = done->unread;
	rt->escrow.set = done->escrow_set;
	rt->complaints_awaited = done->awaited;
	if (rt->unread > 0)
		log_line(LOG_ALARM,
			"%llu entries of this node's logs cannot be read: no key here opens them",
			(unsigned long long)rt->unread);
	runtime_unlocked(rt, keys, on_unlocked, unlocked);
}

static void lock_now(void *arg)
{
	struct control_request *request = arg;

	runtime_lock(control_runtime(request), LOCK_ASKED, request);
}

void begin_lock(struct control_request *request)
{
	ledger_flush(control_runtime(request), lock_now, request);
}

void begin_panic(struct control_request *request)
{
	runtime_lock(control_runtime(request), LOCK_PANIC, request);
}

/* The reason why nothing can be recorded at all is told before anything is read. */
bool may_record(struct control_request *request)
{
	const struct guard_state *state = &control_runtime(request)->guard_state;
	char message[GUARD_WHY_MAX + 100];

	if (guard_state_writable(state) || control_runtime(request)->keys == NULL)
		return true;
	snprintf(message, sizeof(message), "nothing can be recorded: %s; see 'sauti status'",
		state->why);
	control_fail(request, state->verdict == GUARD_STOPPED ? ERR_FORK : ERR_STALE, 0, message);
	return false;
}

void begin_append(struct control_request *request, const Sauti__CaseAppendRequest *message)
{
	struct vault_request *ask = may_record(request) ? vault_ask(request, VAULT_SEAL) : NULL;

	if (ask == NULL)
		return;
	buf_put(&ask->lines, codec_bytes(message->lines));
	wipe(message->lines.data, message->lines.len);
	ask->dry_run = message->dry_run;
	ask->trial = message->dry_run ? message->trial : 0;
	ask->trial_end = message->trial_end;
	ask->client = ask->trial == 0 ? 0 : control_trial(request);
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	if (ask->lines.err != OK) {
		control_fail(request, ask->lines.err, 0, err_text(ask->lines.err));
		vault_request_free(ask);
		return;
	}
	vault_submit(control_runtime(request)->vault, ask);
}

struct appending {
	struct control_request *request;
	struct runtime *rt;
	uint64_t added, known;
	uint64_t entries;
	char origin[LIMIT_LOG_NAME + 1];
	struct sealed_batch batch;
};

static json_t *counts_json(uint64_t added, uint64_t known)
{
	return json_pack("{s:I,s:I}", "added", (json_int_t)added, "known", (json_int_t)known);
}

/* Where they stand, and how well the last is held by now. Its keys are the vault's to know. */
static json_t *appended_json(const struct appending *a, uint64_t index)
{
	json_t *json = counts_json(a->added, a->known);
	struct safe_state state;
	struct engine_log log;
	size_t position;

	if (!engine_log_find(a->rt->engine, bytes_str(a->origin), &log, &position))
		return json;
	safe_look(a->rt, position, index + a->entries - 1, SAFE_KEYS_UNKNOWN, &state);
	json_object_set_new(json, "log", json_string(a->origin));
	json_object_set_new(json, "first", json_integer((json_int_t)index));
	json_object_set_new(json, "end", json_integer((json_int_t)(index + a->entries)));
	json_object_set_new(json, "state", safe_state_json(&state));
	return json;
}

/* Durable, or failed: the vault is told first, the client after it. */
static void on_appended(void *arg, enum err error, uint64_t index)
{
	struct appending *appending = arg;

	runtime_tell_vault(appending->rt, appending->batch, error, index);
	if (error == OK)
		answer_json(appending->request, appended_json(appending, index), true);
	else
		fail_append(appending->request, error, "nothing was recorded");
	mem_free(appending);
}

/* The disk refused new case keys: it will refuse the store too, or not. */
static void fail_seal(struct control_request *request, const struct vault_request *done)
{
	struct errctx ctx = {""};

	runtime_disk_failed(control_runtime(request), err_message(&done->ctx, done->result));
	err_set(&ctx, done->result, "nothing was recorded: %s (%s); %s",
		trouble_text(done->trouble), err_message(&done->ctx, done->result),
		trouble_todo(done->trouble));
	control_fail(request, done->result, 0, ctx.text);
}

static void done_seal(struct control_request *request, struct vault_request *done)
{
	struct appending *appending;

	if (done->entries == NULL) {
		answer_json(request, counts_json(done->added, done->known), true);
		return;
	}
	appending = mem_zalloc(sizeof(*appending));
	if (appending == NULL)
		runtime_out_of_memory();
	struct entries *entries = done->entries;

	*appending = (struct appending){.request = request,
		.rt = control_runtime(request),
		.added = done->added,
		.known = done->known,
		.entries = entries->count,
		.batch = {done->batch, done->wave}};
	snprintf(appending->origin, sizeof(appending->origin), "%s", done->log_origin);

	if (!runtime_may_append(appending->rt, appending->batch)) {
		on_appended(appending, appending->rt->failed_wave_error, 0);
		return;
	}
	done->entries = NULL;
	runtime_append(appending->rt, done->log_origin, entries, on_appended, appending);
}

struct vault_request *ask_named(
	struct control_request *request, enum vault_type type, const char *name)
{
	struct vault_request *ask = vault_ask(request, type);

	if (ask == NULL)
		return NULL;
	if (strlen(name) >= sizeof(ask->name)) {
		control_fail(request, ERR_INVALID, 0, "the case's name is too long");
		vault_request_free(ask);
		return NULL;
	}
	snprintf(ask->name, sizeof(ask->name), "%s", name);
	return ask;
}

void begin_query(struct control_request *request, enum vault_type type, const char *name)
{
	struct vault_request *ask = ask_named(request, type, name);

	if (ask != NULL)
		submit_query(request, ask);
}

void begin_show(struct control_request *request, const Sauti__CaseShowRequest *message)
{
	struct vault_request *ask;

	if (strlen(message->purpose) > LIMIT_PURPOSE) {
		control_fail(request, ERR_INVALID, 0, "the purpose is too long");
		return;
	}
	ask = ask_named(request, VAULT_SHOW, message->case_);
	if (ask == NULL)
		return;
	snprintf(ask->purpose, sizeof(ask->purpose), "%s", message->purpose);
	ask->head_only = message->head;
	submit_query(request, ask);
}

/* The case itself comes first: how well its newest entry is held goes into that document, which is
 * of the case and so not copied into more memory than need be. */
static struct vault_doc *done_case(struct control_request *request, struct vault_request *done)
{
	const struct runtime *rt = control_runtime(request);
	struct bytes text = buf_bytes(&done->docs->json);
	struct engine_log log;
	size_t position;
	struct buf out;
	char *newest;

	if (text.size < 2 || text.data[text.size - 1] != '}' ||
		!engine_log_find(rt->engine, bytes_str(done->log_origin), &log, &position))
		return done->docs;
	struct safe_state state;

	safe_look(rt, position, done->index,
		!done->escrow_set ? SAFE_KEYS_NONE
		: done->keys_safe ? SAFE_KEYS_ESCROWED
				  : SAFE_KEYS_WAITING,
		&state);
	json_t *json = json_pack("{s:s,s:I,s:o}", "origin", done->log_origin, "index",
		(json_int_t)done->index, "state", safe_state_json(&state));

	newest = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
	json_decref(json);
	buf_init(&out, LIMIT_CONTROL_RESPONSE - 1024);
	buf_put(&out, bytes_make(text.data, text.size - 1));
	buf_put_str(&out, ",\"newest\":");
	buf_put_str(&out, newest == NULL ? "null" : newest);
	buf_put_str(&out, "}");
	json_text_free(newest);
	control_item(request, out.err == OK ? buf_bytes(&out) : text);
	buf_wipe(&out);
	return done->docs->next;
}

/* Takes it. */
static void done_docs(struct control_request *request, struct vault_request *done)
{
	struct vault_doc *doc = done->docs;

	if (done->type == VAULT_SHOW && doc != NULL && done->log_origin[0] != '\0')
		doc = done_case(request, done);
	if (done->type == VAULT_LIST)
		control_runtime(request)->complaints_awaited = done->awaited;
	answer_docs(request, done, doc);
}

void control_vault_done(struct control_server *server, struct vault_request *done)
{
	struct runtime *rt = control_server_runtime(server);
	struct control_request *request = done->arg;

	if (done->type == VAULT_COMMITTED || done->type == VAULT_MAIL_OPEN ||
		done->type == VAULT_CONFIRM)
		escrow_wake(rt);
	if (escrow_is(done->type))
		escrow_done(rt, done);
	if (done->type == VAULT_ERASE_NEXT && done->result == OK && done->erase->waits)
		escrow_wake(rt);
	if (done->answered != NULL) {
		done->answered(rt, done);
		return;
	}
	if (request == NULL && escrow_is(done->type)) {
		vault_request_free(done);
		return;
	}
	if (done->type == VAULT_MAIL_OPEN) {
		mail_vault_done(control_server_runtime(server), done);
	} else if (done->type == VAULT_MAIL_AGAIN) {
		outbox_sealed(control_server_runtime(server), done);
	} else if (done->type == VAULT_MAIL_MOVE) {
		mail_vault_moved(control_server_runtime(server), done);
	} else if (done->type == VAULT_PREKEYS) {
		prekeys_settled(control_server_runtime(server), done);
	} else if (grants_vault_type(done->type)) {
		grants_vault_done(control_server_runtime(server), done);
	} else if (done->type == VAULT_LEDGER || done->type == VAULT_VIEWS) {
		ledger_vault_done(control_server_runtime(server), done);
	} else if (erasing_vault_type(done)) {
		erasing_vault_done(control_server_runtime(server), done);
		return;
	} else if (request == NULL && done->type == VAULT_RESEAL) {
		runtime_resealed(control_server_runtime(server), done);
	} else if (done->type == VAULT_LOCK && request == NULL) {
		locking_done(control_server_runtime(server));
	} else if (request == NULL) {
		if (done->result != OK)
			log_line(LOG_ALARM, "vault: %s", err_message(&done->ctx, done->result));
	} else if (done->trouble != TROUBLE_NONE) {
		fail_seal(request, done);
	} else if (done->result != OK) {
		if (done->result == ERR_DENIED &&
			(done->type == VAULT_UNLOCK || done->type == VAULT_OFFICER_PASSPHRASE ||
				done->type == VAULT_OFFICER_VOUCH))
			officer_refused(control_runtime(request), done);
		control_fail(
			request, done->result, done->line, err_message(&done->ctx, done->result));
	} else if (done->type == VAULT_UNLOCK) {
		done_unlock(request, done);
	} else if (done->type == VAULT_COMPLAIN) {
		done_complain(request, done);
	} else if (done->type == VAULT_SEAL) {
		done_seal(request, done);
	} else if (done->type == VAULT_GRANT) {
		done_case_share(request, done);
	} else if (done->type == VAULT_OFFICER_ADD || done->type == VAULT_OFFICER_DISABLE ||
		   done->type == VAULT_OFFICER_PASSPHRASE) {
		done_officer(request, done);
	} else if (done->type == VAULT_OFFICER_VOUCH) {
		if (done->erase != NULL)
			done_case_hold_vouch(request, done);
		else
			done_mail_release(request, done);
	} else if (done->type == VAULT_MAIL_MAKE) {
		done_mail_send(request, done);
	} else if (done->type == VAULT_CONFIRM) {
		done_node_confirm(request, done);
	} else if (done->type == VAULT_MAIL_SHOW) {
		done_mail_show(request, done);
	} else if (done->type == VAULT_ERASE_BEGIN) {
		done_case_erase(request, done);
	} else if (done->type == VAULT_ERASE_HOLD) {
		done_case_hold(request, done);
	} else if (done->type == VAULT_CASE_EXPORT) {
		done_case_export(request, done);
	} else if (done->type == VAULT_DISCLOSE) {
		done_ledger_disclose(request, done);
	} else if (done->type == VAULT_REVEAL) {
		done_case_prove(request, done);
	} else if (done->type == VAULT_PACKET) {
		done_case_packet(request, done); /* takes it */
		return;
	} else if (done->type == VAULT_RECEIPTS) {
		done_case_receipts(request, done); /* takes it */
		return;
	} else if (done->type == VAULT_LEDGER_LIST) {
		done_ledger_list(request, done); /* takes it */
		return;
	} else if (done->type == VAULT_LOCK) {
		locking_done(control_runtime(request));
		answer_json(request, json_pack("{s:b}", "locked", 1), true);
	} else {
		done_docs(request, done);
		return;
	}
	vault_request_free(done);
}

void control_vault_drop(struct vault_request *done)
{
	/* Its client is gone with the server. */
	if (done->answered != NULL) {
		done->answered(NULL, done);
		return;
	}
	if (done->type == VAULT_LEDGER)
		ledger_vault_drop(done);
	else if (escrow_is(done->type))
		escrow_drop(done);
	else if (!grants_vault_type(done->type))
		mem_free(done->arg);
	vault_request_free(done);
}
