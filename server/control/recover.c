/* The escrow of this node's keys, and their recovery: the vault's work
 * (server/vault/escrow/escrow.h). */
#include "base/secret.h"
#include "proto/codec.h"
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/keys/escrow.h"

/* NULL: has failed. */
static struct vault_request *ask_for(struct control_request *request, enum vault_type type)
{
	const struct officer_session *officer = control_officer(request);
	struct vault_request *ask = escrow_ask(control_runtime(request), type, request);

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

void begin_recover_setup(struct control_request *request, const Sauti__RecoverSetupRequest *message)
{
	struct vault_request *ask;

	if (message->recovery_key.len != X25519_KEY_SIZE) {
		control_fail(request, ERR_INVALID, 0, "a recovery key has 32 bytes");
		return;
	}
	if (!may_record(request))
		return;
	ask = ask_for(request, VAULT_ESCROW_SETUP);
	if (ask == NULL)
		return;
	memcpy(ask->escrow->recovery_key.b, message->recovery_key.data, X25519_KEY_SIZE);
	ask->escrow->reshare = message->reshare;
	vault_submit(control_runtime(request)->vault, ask);
}

void begin_recover_status(struct control_request *request)
{
	struct vault_request *ask = ask_for(request, VAULT_ESCROW);

	if (ask == NULL)
		return;
	ask->escrow->writable = false; /* shows, and writes nothing */
	vault_submit(control_runtime(request)->vault, ask);
}

void begin_recover_look(struct control_request *request, const Sauti__RecoverLookRequest *message)
{
	struct vault_request *ask = ask_for(request, VAULT_RECOVER_LOOK);

	if (ask == NULL)
		return;
	ask->escrow->drill = message->drill;
	ask->escrow->ask = message->ask;
	vault_submit(control_runtime(request)->vault, ask);
}

void begin_recover(struct control_request *request, const Sauti__RecoverRequest *message)
{
	ProtobufCBinaryData key = message->key;
	struct vault_request *ask = ask_for(request, VAULT_RECOVER);
	enum err err = key.len == X25519_KEY_SIZE ? OK : ERR_INVALID;

	if (ask != NULL && err == OK)
		err = secret_copy(&ask->passphrase, codec_bytes(key));
	wipe(key.data, key.len);
	if (ask == NULL)
		return;
	ask->escrow->drill = message->drill;
	if (err == OK) {
		vault_submit(control_runtime(request)->vault, ask);
		return;
	}
	vault_request_free(ask);
	control_fail(request, err, 0,
		err == ERR_INVALID ? "a recovery key has 32 bytes" : err_text(err));
}
