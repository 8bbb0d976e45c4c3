/* Drafts of events: the vault keeps them (server/vault/drafts.h). */
#include <stdio.h>

#include "proto/codec.h"
#include "server/control/internal.h"
#include "server/internal.h"

static struct vault_request *ask_vault(
	struct control_request *request, enum vault_type type, uint32_t number)
{
	struct vault_request *ask = vault_ask(request, type);

	if (ask == NULL)
		return NULL;
	ask->index = number;
	ask->now_s = runtime_wall_s();
	return ask;
}

static void submit(struct control_request *request, enum vault_type type, uint32_t number)
{
	struct vault_request *ask = ask_vault(request, type, number);

	if (ask != NULL)
		vault_submit(control_runtime(request)->vault, ask);
}

void begin_draft_put(struct control_request *request, const Sauti__DraftPutRequest *message)
{
	struct vault_request *ask;
	enum err err;

	if (strlen(message->case_) >= sizeof(ask->name) ||
		strlen(message->type) >= sizeof(ask->draft_type)) {
		control_fail(request, ERR_INVALID, 0, "the name of the case or type is too long");
		return;
	}
	ask = ask_vault(request, VAULT_DRAFT_PUT, message->number);
	if (ask == NULL)
		return;
	buf_put(&ask->lines, codec_bytes(message->body));
	wipe(message->body.data, message->body.len);
	snprintf(ask->name, sizeof(ask->name), "%s", message->case_);
	snprintf(ask->draft_type, sizeof(ask->draft_type), "%s", message->type);
	err = ask->lines.err;
	if (err == OK) {
		vault_submit(control_runtime(request)->vault, ask);
		return;
	}
	vault_request_free(ask);
	control_fail(request, err, 0, err_text(err));
}

void begin_draft_list(struct control_request *request)
{
	submit(request, VAULT_DRAFT_LIST, 0);
}

void begin_draft_show(struct control_request *request, uint32_t number)
{
	submit(request, VAULT_DRAFT_SHOW, number);
}

void begin_draft_remove(struct control_request *request, uint32_t number)
{
	submit(request, VAULT_DRAFT_REMOVE, number);
}
