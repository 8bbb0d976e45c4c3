/* Officers: their sessions. */
#include "base/secret.h"
#include "proto/codec.h"
#include "server/control/internal.h"
#include "server/internal.h"

json_t *roles_json(uint32_t roles)
{
	json_t *list = json_array();
	const char *name;

	for (size_t i = 0; (name = account_role_name(i)) != NULL; i++)
		if ((roles >> i & 1) != 0)
			json_array_append_new(list, json_string(name));
	return list;
}

struct vault_request *vault_ask(struct control_request *request, enum vault_type type)
{
	const struct officer_session *officer = control_officer(request);
	struct vault_request *ask = vault_request_new(type, request);

	if (ask == NULL) {
		control_fail(request, ERR_NOMEM, 0, err_text(ERR_NOMEM));
		return NULL;
	}
	if (officer != NULL) {
		strcpy(ask->officer, officer->name);
		ask->roles = officer->roles;
	}
	return ask;
}

void answer_session(struct control_request *request, json_t *json, const char *name, uint32_t roles)
{
	uint8_t token[SESSION_TOKEN_SIZE];
	struct buf out;
	enum err err;

	buf_init(&out, LIMIT_CONTROL_RESPONSE - 1024);
	answer_dump(json, &out);
	if (control_runtime(request)->keys == NULL) {
		control_fail(request, ERR_LOCKED, 0, "the node was locked meanwhile");
		buf_release(&out);
		return;
	}
	err = out.err != OK ? out.err
			    : officers_begin(control_runtime(request), name, roles, token);
	if (err == OK)
		control_end_session(request, buf_bytes(&out), BYTES_ARRAY(token));
	else
		control_fail(request, err, 0, "unlocked, but no session could be begun");
	wipe(token, sizeof(token));
	buf_release(&out);
}

void begin_whoami(struct control_request *request)
{
	const struct officer_session *officer = control_officer(request);
	const struct node_config *config = &control_runtime(request)->config;
	uint64_t now = officers_now_ms();

	answer_json(request,
		json_pack("{s:s,s:o,s:I,s:I,s:I}", "officer", officer->name, "roles",
			roles_json(officer->roles), "since", (json_int_t)officer->since_s,
			"idle_limit_s", (json_int_t)config->session_idle / 1000, "ends_in_s",
			(json_int_t)((officer->since_ms + config->session_absolute - now) / 1000)),
		true);
}

void begin_logout(struct control_request *request, const Sauti__ControlRequest *message)
{
	bool had = control_officer(request) != NULL;

	sessions_end(control_runtime(request)->officers, codec_bytes(message->token));
	answer_json(request, json_pack("{s:b}", "logged_out", had), true);
}
