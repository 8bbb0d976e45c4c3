/*
 * Which request is whose, the status of the node, and JSON answers.
 */
#include "base/text.h"
#include "cases/json_memory.h"
#include "server/control/internal.h"
#include "server/internal.h"

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

static json_t *peers_json(const struct runtime *rt)
{
	json_t *list = json_array();

	for (size_t i = 0; i < engine_peer_count(rt->engine); i++) {
		struct engine_peer peer;
		const struct peer_state *state;
		const char *address = "";

		engine_peer_at(rt->engine, i, &peer);
		state = peer_state(rt, peer.name);
		if (state != NULL)
			address = peer_address(rt, state);
		json_array_append_new(list,
			json_pack("{s:s,s:b,s:o,s:o,s:I}", "name", peer.name, "connected",
				peer.connected, "address", json_text_or_null(address), "last_error",
				json_text_or_null(
					peer.connected ? "" : runtime_peer_error(rt, peer.name)),
				"session_s",
				(json_int_t)(peer.connected
						     ? (uv_now(&rt->loop) - peer.since_ms) / 1000
						     : 0)));
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

/* One line for each forked log, whatever else is the matter. */
static void alarm_forks(const struct runtime *rt, json_t *alarms)
{
	for (size_t i = 0; i < engine_log_count(rt->engine); i++) {
		struct engine_log log;

		engine_log_at(rt->engine, i, &log);
		if (log.evidence > 0)
			json_array_append_new(alarms,
				json_sprintf("log '%s' has two histories, both signed with its "
					     "key; it takes nothing new: see 'sauti log evidence'",
					log.origin.text));
	}
}

static void begin_status(struct control_request *request)
{
	struct runtime *rt = control_runtime(request);
	const struct directory *directory = engine_directory(rt->engine);
	const struct member *self = directory_find(directory, bytes_str(rt->node));
	json_t *alarms = json_array();
	char revoked[2 * LIMIT_REASON];
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
	alarm_forks(rt, alarms);
	if (rt->alarm[0] != '\0')
		json_array_append_new(alarms, json_string(rt->alarm));
	members_alarm(rt, revoked, sizeof(revoked));
	if (revoked[0] != '\0')
		json_array_append_new(alarms, json_string(revoked));
	while (directory_at(directory, members) != NULL)
		members++;
	answer_json(request,
		json_pack("{s:s,s:s,s:s,s:b,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:I,s:s,s:i,s:i,s:o}",
			"node", rt->node, "network", rt->genesis.network, "role",
			role_name(self == NULL ? ROLE_UNKNOWN : self->role), "locked",
			rt->keys == NULL, "directory_size", (json_int_t)directory_size(directory),
			"members", (json_int_t)members, "logs", logs_json(rt), "peers",
			peers_json(rt), "alarms", alarms, "guard", guard_json(rt), "store",
			store_json(&rt->condition), "uptime_s",
			(json_int_t)((uv_now(&rt->loop) - rt->started_ms) / 1000), "version",
			SAUTI_VERSION, "format", FORMAT_VERSION, "port", (int)rt->port, "mail",
			mail_status_json(rt)),
		true);
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
	case SAUTI__CONTROL_REQUEST__BODY_LOG_EXPORT:
		begin_log_export(request, message->log_export);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_LOG_EVIDENCE:
		begin_log_evidence(request, message->log_evidence);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_NODE_LIST:
		begin_node_list(request, message->node_list);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_NODE_INVITE:
		begin_invite(request, message->node_invite);
		break;
	case SAUTI__CONTROL_REQUEST__BODY_NODE_REVOKE:
		begin_node_revoke(request, message->node_revoke);
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
	default:
		control_fail(request, ERR_UNSUPPORTED, 0, "this node does not know that request");
		break;
	}
}
