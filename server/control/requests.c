/*
 * Which request is whose, the status of the node, and JSON answers.
 */
#include "base/text.h"
#include "cases/event/json_memory.h"
#include "server/control/internal.h"
#include "server/control/wait.h"
#include "server/internal.h"
#include "server/keys/approvals.h"
#include "server/keys/erasing.h"
#include "server/keys/escrow.h"
#include "server/keys/grants.h"
#include "server/keys/silence.h"
#include "server/ledger.h"
#include "server/locking.h"
#include "server/safe.h"

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

void answer_json(struct control_request *request, json_t *json, bool last)
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

json_t *json_text_or_null(const char *text)
{
	return text[0] == '\0' ? json_null() : json_string(text);
}

json_t *json_hash(const struct hash *hash)
{
	struct buf out;
	json_t *json;

	buf_init(&out, 64);
	base64_encode(&out, hash_bytes(hash));
	json = json_string(buf_cstr(&out));
	buf_release(&out);
	return json;
}

static json_t *number_or_null(bool known, uint64_t number)
{
	return known ? json_integer((json_int_t)number) : json_null();
}

/* Bytes of TLS with a peer since the start: in all, of what was sent by class, and what things
 * cost. */
static json_t *traffic_json(const struct meter *m)
{
	static const char *const names[SEND_CLASSES] = {"control", "directory", "evidence",
		"erasure", "mail", "live", "announcements", "catching_up"};
	json_t *classes = json_object();
	uint64_t other = m->out, reconnect = 0, event = 0, day = 0;
	bool has_reconnect = meter_reconnect(m, &reconnect);
	bool has_event = meter_live_event(m, &event), has_day = meter_idle_day(m, &day);

	for (size_t c = 0; c < SEND_CLASSES; c++) {
		json_object_set_new(
			classes, names[c], json_integer((json_int_t)m->out_by_class[c]));
		other -= m->out_by_class[c];
	}
	json_object_set_new(classes, "tls", json_integer((json_int_t)other));
	return json_pack("{s:I,s:I,s:o,s:I,s:o,s:o,s:o}", "in", (json_int_t)m->in, "out",
		(json_int_t)m->out, "out_by_class", classes, "sessions", (json_int_t)m->sessions,
		"bytes_per_reconnect", number_or_null(has_reconnect, reconnect),
		"bytes_per_live_event", number_or_null(has_event, event), "bytes_per_idle_day",
		number_or_null(has_day, day));
}

/* Bytes of the session's connection, and what carries them. */
static json_t *session_json(const struct runtime *rt, const struct engine_peer *peer)
{
	const struct session_data *s = rt->sessions;
	char congestion[16];

	while (s != NULL && s->id.value != peer->session.value)
		s = s->next;
	if (!peer->connected || s == NULL)
		return json_null();
	conn_congestion(s->conn, congestion, sizeof(congestion));
	return json_pack("{s:I,s:I,s:o,s:o,s:b,s:s}", "in", (json_int_t)conn_in(s->conn), "out",
		(json_int_t)conn_out(s->conn), "rate", number_or_null(peer->rate > 0, peer->rate),
		"rtt_ms", number_or_null(peer->rtt_ms > 0, peer->rtt_ms), "metered", peer->metered,
		"congestion", congestion);
}

static double hours_since(uint64_t since_s)
{
	uint64_t now = runtime_wall_s();

	return since_s == 0 || now < since_s ? 0 : (double)(now - since_s) / 3600;
}

/* What the peer lacks, each log that it does; null: it has not said since the start. */
static json_t *lacks_json(const struct runtime *rt, size_t position)
{
	json_t *list = json_array();
	uint64_t entries = 0, bytes = 0, since_s = 0;
	bool known = false;

	for (size_t i = 0; i < engine_log_count(rt->engine); i++) {
		struct engine_lag lag;

		if (!engine_peer_lag(rt->engine, position, i, &lag))
			continue;
		known = true;
		if (lag.entries == 0)
			continue;
		entries += lag.entries;
		bytes += lag.bytes;
		if (since_s == 0 || (lag.since_s != 0 && lag.since_s < since_s))
			since_s = lag.since_s;
		json_array_append_new(list,
			json_pack("{s:s,s:I,s:I,s:I,s:f}", "origin",
				engine_log_origin(rt->engine, i)->text, "held",
				(json_int_t)lag.held, "entries", (json_int_t)lag.entries, "bytes",
				(json_int_t)lag.bytes, "hours", hours_since(lag.since_s)));
	}
	if (!known) {
		json_decref(list);
		return json_null();
	}
	return json_pack("{s:I,s:I,s:f,s:o}", "entries", (json_int_t)entries, "bytes",
		(json_int_t)bytes, "hours", hours_since(since_s), "logs", list);
}

/* Why there is no session; "": there is, or nothing is known to be the matter. */
static const char *peer_trouble(const struct runtime *rt, const struct engine_peer *peer)
{
	if (peer->connected)
		return "";
	return peer->closed ? "closed at this hour: 'schedule' in sauti.conf"
			    : runtime_peer_error(rt, peer->name);
}

static const char *hours_name(const struct engine_peer *peer)
{
	return peer->closed ? "closed" : peer->urgent ? "urgent" : "open";
}

static json_t *peers_json(struct runtime *rt)
{
	for (struct session_data *s = rt->sessions; s != NULL; s = s->next)
		session_measure(rt, s);

	json_t *list = json_array();

	for (size_t i = 0; i < engine_peer_count(rt->engine); i++) {
		struct engine_peer peer;
		const struct peer_state *state;
		const char *address = "";

		engine_peer_at(rt->engine, i, &peer);
		state = peer_state(rt, peer.name);
		if (state != NULL)
			address = peer_address(rt, state);
		const struct peer_meter *meter = peer_meter(rt, peer.name);

		json_array_append_new(list,
			json_pack("{s:s,s:b,s:s,s:o,s:o,s:I,s:o,s:o,s:o}", "name", peer.name,
				"connected", peer.connected, "hours", hours_name(&peer), "address",
				json_text_or_null(address), "last_error",
				json_text_or_null(peer_trouble(rt, &peer)), "session_s",
				(json_int_t)(peer.connected
						     ? (uv_now(&rt->loop) - peer.since_ms) / 1000
						     : 0),
				"session", session_json(rt, &peer), "traffic",
				meter == NULL ? json_null() : traffic_json(&meter->meter), "lacks",
				lacks_json(rt, i)));
	}
	return list;
}

static json_t *guard_json(const struct runtime *rt)
{
	const struct guard_state *state = &rt->guard_state;

	return json_pack("{s:s,s:o,s:o,s:b,s:b,s:I,s:I}", "verdict",
		guard_verdict_name(state->verdict), "message", json_text_or_null(state->why),
		"todo", json_text_or_null(guard_state_todo(state)), "writable",
		guard_state_writable(state), "resealing", state->resealing, "resealed",
		(json_int_t)state->resealed, "returned", (json_int_t)state->returned);
}

static json_t *store_json(const struct condition *condition)
{
	bool good = condition->trouble == TROUBLE_NONE;

	return json_pack("{s:s,s:o,s:o,s:o}", "condition", trouble_name(condition->trouble),
		"since", good ? json_null() : json_integer((json_int_t)condition->since_s),
		"message", json_text_or_null(condition->message), "todo",
		json_text_or_null(trouble_todo(condition->trouble)));
}

/* What is the matter with single logs, whatever else is. */
static void alarm_logs(const struct runtime *rt, json_t *alarms)
{
	for (size_t i = 0; i < engine_log_count(rt->engine); i++) {
		struct engine_log log;

		engine_log_at(rt->engine, i, &log);
		if (log.over_quota)
			json_array_append_new(alarms,
				json_sprintf("log '%s': more of its node came within a day than "
					     "[store] daily_quota allows; nothing more of it is "
					     "taken for now",
					log.origin.text));
		if (log.evidence > 0)
			json_array_append_new(alarms,
				json_sprintf("log '%s' has two histories, both signed with its "
					     "key; it takes nothing new: see 'sauti log evidence'",
					log.origin.text));
	}
}

/* What was told last is told already: of a log with two histories, or that this node is revoked. */
static bool alarm_told(const struct runtime *rt, bool revoked)
{
	if (revoked && (strncmp(rt->alarm, "headquarters has revoked", 24) == 0 ||
			       strncmp(rt->alarm, "headquarters has put another", 28) == 0 ||
			       strncmp(rt->alarm, "somebody who has this node's key", 32) == 0))
		return true;
	if (strstr(rt->alarm, "it takes nothing new") == NULL)
		return false;
	for (size_t i = 0; i < engine_log_count(rt->engine); i++) {
		struct engine_log log;
		char start[sizeof(log.origin.text) + 16];

		engine_log_at(rt->engine, i, &log);
		snprintf(start, sizeof(start), "log '%s'", log.origin.text);
		if (log.evidence > 0 && strncmp(rt->alarm, start, strlen(start)) == 0)
			return true;
	}
	return false;
}

static void begin_status(struct control_request *request)
{
	struct runtime *rt = control_runtime(request);
	const struct directory *directory = engine_directory(rt->engine);
	const struct member *self = directory_find(directory, bytes_str(rt->node));
	json_t *alarms = json_array(), *json;
	char revoked[2 * LIMIT_REASON], opened[256];
	size_t members = 0;

	if (rt->guard_state.why[0] != '\0')
		json_array_append_new(alarms, json_string(rt->guard_state.why));
	if (rt->condition.trouble != TROUBLE_NONE)
		json_array_append_new(alarms, json_string(rt->condition.message));
	if (rt->damaged_left > 0)
		json_array_append_new(alarms,
			json_sprintf("%llu entries are damaged and to be fetched again from a peer "
				     "or a bundle; they are not given out",
				(unsigned long long)rt->damaged_left));
	alarm_logs(rt, alarms);
	if (rt->unread > 0)
		json_array_append_new(alarms,
			json_sprintf("%llu entries of this node's logs cannot be read, and are "
				     "missing from its cases: no key here opens them. Is there a "
				     "newer copy of keyring/ anywhere?",
				(unsigned long long)rt->unread));
	locking_alarms(rt, alarms);
	if (rt->complaints_refused > 0)
		json_array_append_new(alarms,
			json_sprintf(
				"%llu sealed items were refused: keys that their sender may not "
				"give. The program's log says whose they were",
				(unsigned long long)rt->complaints_refused));
	approvals_alarm(rt, opened, sizeof(opened));
	if (opened[0] != '\0')
		json_array_append_new(alarms, json_string(opened));
	members_alarm(rt, revoked, sizeof(revoked));
	if (rt->alarm[0] != '\0' && !alarm_told(rt, revoked[0] != '\0'))
		json_array_append_new(alarms, json_string(rt->alarm));
	if (revoked[0] != '\0')
		json_array_append_new(alarms, json_string(revoked));
	members_disputes(rt, alarms);
	if (rt->witness_lost)
		json_array_append_new(alarms, json_string(witness_lost_text));
	safe_alarms(rt, alarms);
	while (directory_at(directory, members) != NULL)
		members++;
	json = json_pack(
		"{s:s,s:s,s:s,s:b,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:I,s:s,s:i,s:i,s:o,s:o,s:o}", "node",
		rt->node, "network", rt->genesis.network, "role",
		role_name(self == NULL ? ROLE_UNKNOWN : self->role), "locked", rt->keys == NULL,
		"directory_size", (json_int_t)directory_size(directory), "members",
		(json_int_t)members, "logs", logs_json(rt), "peers", peers_json(rt), "alarms",
		alarms, "guard", guard_json(rt), "store", store_json(&rt->condition), "uptime_s",
		(json_int_t)((uv_now(&rt->loop) - rt->started_ms) / 1000), "version", SAUTI_VERSION,
		"format", FORMAT_VERSION, "port", (int)rt->port, "mail", mail_status_json(rt),
		"lock", locking_json(rt), "views", ledger_views_json(rt));
	json_object_set_new(json, "prekey", prekeys_status_json(rt));
	json_object_set_new(json, "words", own_words_json(rt));
	json_object_set_new(json, "escrow", escrow_json(rt));
	json_object_set_new(json, "safe", safe_json(rt));
	json_object_set_new(json, "approvals", approvals_status_json(rt));
	json_object_set_new(json, "erasures", erasing_json(rt));
	json_object_set_new(json, "headquarters", silence_json(rt));
	json_object_set_new(json, "grants_waiting", json_integer((json_int_t)grants_waiting(rt)));
	if (control_officer(request) != NULL)
		json_object_set_new(json, "officers", officers_json(request));
	answer_json(request, json, true);
}

bool control_locks(const Sauti__ControlRequest *message)
{
	return message->body_case == SAUTI__CONTROL_REQUEST__BODY_LOCK ||
	       message->body_case == SAUTI__CONTROL_REQUEST__BODY_PANIC;
}

/* What programs ask by themselves, and what locks, keeps no node unlocked. */
bool control_counts_as_use(const Sauti__ControlRequest *message)
{
	switch (message->body_case) {
	case SAUTI__CONTROL_REQUEST__BODY_STATUS:
	case SAUTI__CONTROL_REQUEST__BODY_LOCK:
	case SAUTI__CONTROL_REQUEST__BODY_PANIC:
	case SAUTI__CONTROL_REQUEST__BODY_LOG_LIST:
	case SAUTI__CONTROL_REQUEST__BODY_LOG_SHOW:
	case SAUTI__CONTROL_REQUEST__BODY_LOG_VERIFY:
	case SAUTI__CONTROL_REQUEST__BODY_LOG_EXPORT:
	case SAUTI__CONTROL_REQUEST__BODY_LOG_EVIDENCE:
	case SAUTI__CONTROL_REQUEST__BODY_LOG_POLICY:
	case SAUTI__CONTROL_REQUEST__BODY_NODE_LIST:
	case SAUTI__CONTROL_REQUEST__BODY_NODE_PREKEYS:
	case SAUTI__CONTROL_REQUEST__BODY_MAIL_LIST:
	case SAUTI__CONTROL_REQUEST__BODY_BACKUP:
	case SAUTI__CONTROL_REQUEST__BODY_WHOAMI:
	case SAUTI__CONTROL_REQUEST__BODY_LOGOUT:
	case SAUTI__CONTROL_REQUEST__BODY_RECOVER_STATUS:
	case SAUTI__CONTROL_REQUEST__BODY_PUBLIC_FILE:
	case SAUTI__CONTROL_REQUEST__BODY_PUBLIC_LOGS:
	case SAUTI__CONTROL_REQUEST__BODY_PUBLIC_STATUS:
	case SAUTI__CONTROL_REQUEST__BODY_PUBLIC_EVIDENCE:
	case SAUTI__CONTROL_REQUEST__BODY_ADD_CHECKPOINT:
	case SAUTI__CONTROL_REQUEST__BODY_WITNESS_CHECKPOINT:
	case SAUTI__CONTROL_REQUEST__BODY_SAFE_WAIT:
		return false;
	default:
		return true;
	}
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
	case SAUTI__CONTROL_REQUEST__BODY_PANIC:
		begin_panic(request);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_STATUS:
		begin_status(request);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_CASE_APPEND:
		begin_append(request, message->case_append);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_SAFE_WAIT:
		begin_safe_wait(request, message->safe_wait);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_COMPLAIN:
		begin_complain(request, message->complain);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_CASE_SHOW:
		begin_show(request, message->case_show);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_CASE_LIST:
		begin_query(request, VAULT_LIST, "");
		break;
	case SAUTI__CONTROL_REQUEST__BODY_LEDGER_LIST:
		begin_ledger_list(request, message->ledger_list);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_CASE_SHARE:
		begin_case_share(request, message->case_share);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_CASE_SHARES:
		begin_case_shares(request, message->case_shares);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_MAIL_REFUSED:
		begin_mail_refused(request);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_CASE_ERASE:
		begin_case_erase(request, message->case_erase);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_ERASE_SHOW:
		begin_erase_show(request, message->erase_show->case_);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_CASE_HOLD:
		begin_case_hold(request, message->case_hold);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_CASE_EXPORT:
		begin_case_export(request, message->case_export);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_CASE_PROVE:
		begin_case_prove(request, message->case_prove);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_LEDGER_DISCLOSE:
		begin_ledger_disclose(request, message->ledger_disclose);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_LOG_POLICY:
		begin_log_policy(request, message->log_policy);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_CASE_PACKET:
		begin_case_packet(request, message->case_packet);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_CASE_RECEIPT:
		begin_case_receipt(request, message->case_receipt);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_CASE_RECEIPTS:
		begin_case_receipts(request, message->case_receipts);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_CASE_BREAK_GLASS:
		begin_case_break_glass(request, message->case_break_glass);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_CASE_REPORT:
		begin_case_report(request, message->case_report);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_APPROVAL_LIST:
		begin_approval_list(request);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_APPROVAL_DECIDE:
		begin_approval_decide(request, message->approval_decide);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_APPROVAL_TOLD:
		begin_approval_told(request, message->approval_told);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_CASE_FIND:
		begin_case_find(request, message->case_find);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_CASE_TODAY:
		begin_case_today(request, message->case_today);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_CASE_FORM:
		begin_query(request, VAULT_FORM, message->case_form->case_);
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
	case SAUTI__CONTROL_REQUEST__BODY_LOG_EXPORT:
		begin_log_export(request, message->log_export);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_LOG_EVIDENCE:
		begin_log_evidence(request, message->log_evidence);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_ADD_CHECKPOINT:
		begin_add_checkpoint(request, message->add_checkpoint);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_WITNESS_CHECKPOINT:
		begin_witness_checkpoint(request, message->witness_checkpoint);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_NODE_LIST:
		begin_node_list(request, message->node_list);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_MAIL_RELEASE:
		begin_mail_release(request, message->mail_release);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_NODE_PREKEYS:
		begin_node_prekeys(request);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_NODE_INVITE:
		begin_invite(request, message->node_invite);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_NODE_REVOKE:
		begin_node_revoke(request, message->node_revoke);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_NODE_CONFIRM:
		begin_node_confirm(request, message->node_confirm);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_NODE_DISPUTE:
		begin_node_dispute(request, message->node_dispute);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_NODE_POLICY:
		begin_node_policy(request, message->node_policy);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_MAIL_SEND:
		begin_mail_send(request, message->mail_send);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_MAIL_LIST:
		begin_mail_list(request);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_MAIL_SHOW:
		begin_mail_show(request, message->mail_show->id);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_MAIL_DELETE:
		begin_mail_delete(request, message->mail_delete->id);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_BACKUP:
		begin_backup(request, message->backup);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_BUNDLE_EXPORT:
		begin_bundle_export(request, message->bundle_export);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_BUNDLE_IMPORT:
		begin_bundle_import(request, message->bundle_import);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_DRAFT_PUT:
		begin_draft_put(request, message->draft_put);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_DRAFT_LIST:
		begin_draft_list(request);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_DRAFT_SHOW:
		begin_draft_show(request, message->draft_show->number);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_DRAFT_REMOVE:
		begin_draft_remove(request, message->draft_remove->number);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_WHOAMI:
		begin_whoami(request);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_LOGOUT:
		begin_logout(request, message);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_OFFICER_NAMES:
		begin_officer_docs(request, VAULT_OFFICER_NAMES);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_OFFICER_LIST:
		begin_officer_docs(request, VAULT_OFFICER_LIST);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_OFFICER_ADD:
		begin_officer_add(request, message->officer_add);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_OFFICER_DISABLE:
		begin_officer_disable(request, message->officer_disable);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_OFFICER_PASSPHRASE:
		begin_officer_passphrase(request, message->officer_passphrase);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_RECOVER_SETUP:
		begin_recover_setup(request, message->recover_setup);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_RECOVER_STATUS:
		begin_recover_status(request);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_RECOVER_LOOK:
		begin_recover_look(request, message->recover_look);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_RECOVER:
		begin_recover(request, message->recover);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_PUBLIC_FILE:
		begin_public_file(request, message->public_file);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_PUBLIC_LOGS:
		begin_public_logs(request);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_PUBLIC_STATUS:
		begin_public_status(request);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_PUBLIC_EVIDENCE:
		begin_public_evidence(request, message->public_evidence);
		break;
	default:
		control_fail(request, ERR_UNSUPPORTED, 0, "this node does not know that request");
		break;
	}
}
