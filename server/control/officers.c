/* Officers: their sessions and accounts. The accounts are the vault's work. */
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

enum err open_session(struct control_request *request, const char *name, uint32_t roles)
{
	uint8_t token[SESSION_TOKEN_SIZE];

	if (control_runtime(request)->keys == NULL)
		return ERR_LOCKED; /* meanwhile */
	TRY(officers_begin(control_runtime(request), name, roles, token));
	control_give_token(request, token);
	wipe(token, sizeof(token));
	return OK;
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

json_t *officers_json(struct control_request *request)
{
	const struct sessions *sessions = control_runtime(request)->officers;
	const struct officer_session *session;
	uint64_t now = officers_now_ms();
	json_t *list = json_array();

	for (size_t i = 0; (session = sessions_at(sessions, i)) != NULL; i++)
		json_array_append_new(list,
			json_pack("{s:s,s:o,s:I,s:I}", "officer", session->name, "roles",
				roles_json(session->roles), "since", (json_int_t)session->since_s,
				"idle_s", (json_int_t)((now - session->used_ms) / 1000)));
	return list;
}

/* ---- accounts ---- */

void begin_officer_docs(struct control_request *request, enum vault_type type)
{
	struct vault_request *ask = vault_ask(request, type);

	if (ask != NULL)
		vault_submit(control_runtime(request)->vault, ask);
}

/* Takes what is copied out of the message. */
static enum err take_secret(struct secret *to, ProtobufCBinaryData from)
{
	enum err err = ERR_INVALID;

	if (from.len > 0 && from.len <= LIMIT_PASSPHRASE)
		err = secret_copy(to, codec_bytes(from));
	wipe(from.data, from.len);
	return err;
}

static void submit(struct control_request *request, struct vault_request *ask, enum err err)
{
	if (err == OK) {
		vault_submit(control_runtime(request)->vault, ask);
		return;
	}
	vault_request_free(ask);
	control_fail(request, err, 0,
		err == ERR_INVALID ? "an empty or too long passphrase" : err_text(err));
}

/* NULL: has failed. */
static struct vault_request *ask_about(
	struct control_request *request, enum vault_type type, const char *name)
{
	struct vault_request *ask;

	if (!account_name_valid(bytes_str(name))) {
		control_fail(request, ERR_INVALID, 0,
			"an officer's name begins with a small letter and has small letters, "
			"digits, dots and hyphens, 31 in all");
		return NULL;
	}
	ask = vault_ask(request, type);
	if (ask != NULL)
		strcpy(ask->name, name);
	return ask;
}

void begin_officer_add(struct control_request *request, Sauti__OfficerAddRequest *message)
{
	struct vault_request *ask = ask_about(request, VAULT_OFFICER_ADD, message->name);

	if (ask == NULL)
		return;
	ask->now_s = runtime_wall_s();
	ask->new_roles = message->roles;
	submit(request, ask, take_secret(&ask->new_passphrase, message->passphrase));
}

void begin_officer_disable(
	struct control_request *request, const Sauti__OfficerDisableRequest *message)
{
	struct vault_request *ask = ask_about(request, VAULT_OFFICER_DISABLE, message->name);

	if (ask != NULL)
		vault_submit(control_runtime(request)->vault, ask);
}

void begin_officer_passphrase(
	struct control_request *request, Sauti__OfficerPassphraseRequest *message)
{
	struct vault_request *ask = vault_ask(request, VAULT_OFFICER_PASSPHRASE);
	enum err err, other;

	if (ask == NULL)
		return;
	ask->boot_ms = officers_now_ms();
	err = take_secret(&ask->passphrase, message->passphrase);
	other = take_secret(&ask->new_passphrase, message->new_passphrase);
	submit(request, ask, err != OK ? err : other);
}

/* Whoever was let in, or put out, is in the log: by name, since names are no secret here. */
void done_officer(struct control_request *request, const struct vault_request *done)
{
	struct runtime *rt = control_runtime(request);
	const char *by = done->officer;

	if (done->type == VAULT_OFFICER_PASSPHRASE) {
		log_line(LOG_INFO, "officer '%s' has another passphrase", by);
		answer_json(request, json_pack("{s:s}", "officer", by), true);
		return;
	}
	log_line(LOG_INFO, "officer '%s' was %s by '%s'", done->name,
		done->type == VAULT_OFFICER_ADD ? "let in" : "disabled", by);
	answer_json(request,
		json_pack("{s:s,s:b}", "officer", done->name, "disabled",
			done->type == VAULT_OFFICER_DISABLE),
		true);
	if (done->type == VAULT_OFFICER_DISABLE)
		sessions_end_officer(rt->officers, done->name);
}

void officer_refused(struct runtime *rt, const struct vault_request *done)
{
	bool name = account_name_valid(bytes_str(done->officer));

	if (!log_gate(&rt->refused_gate, uv_now(&rt->loop)))
		return;
	if (done->wait_s > 0)
		log_line(LOG_WARNING, "unlock of '%s' not tried: too many wrong passphrases",
			name ? done->officer : "(no name)");
	else
		log_line(LOG_WARNING, "unlock refused: wrong name or passphrase of '%s'",
			name ? done->officer : "(no name)");
}
