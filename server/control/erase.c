/* Erasing a case or a part of it, and holding what others have ordered erased. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/keys/verdict.h"
#include "cases/schema/codes.h"
#include "proto/codec.h"
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/keys/erasing.h"

static struct vault_request *ask_erase(
	struct control_request *request, enum vault_type type, const char *name)
{
	struct vault_request *ask;

	if (strlen(name) >= sizeof(ask->name)) {
		control_fail(request, ERR_INVALID, 0, "the case's name is too long");
		return NULL;
	}
	ask = vault_ask(request, type);
	if (ask == NULL)
		return NULL;
	ask->erase = mem_zalloc(sizeof(*ask->erase));
	if (ask->erase == NULL)
		runtime_out_of_memory();
	snprintf(ask->name, sizeof(ask->name), "%s", name);
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	return ask;
}

static bool take_text(char *to, size_t size, const char *from)
{
	return snprintf(to, size, "%s", from) < (int)size;
}

static const char *fill(const Sauti__CaseEraseRequest *message, struct vault_erase *erase)
{
	const struct code *basis =
		code_guess(code_list_find(bytes_str("erasure_bases")), bytes_str(message->reason));

	if (basis == NULL)
		return "say why: --reason withdrawn-consent, retention-end, unlawful or objection";
	(void)take_text(erase->basis, sizeof(erase->basis), basis->name);
	if (message->scope == ERASE_KEYS || message->scope > ERASE_NOTE)
		return "what is to be erased?";
	erase->scope = message->scope;
	erase->groups = (uint16_t)message->groups;
	if (!take_text(erase->event, sizeof(erase->event), message->event))
		return "an event is named by its id";
	return NULL;
}

void begin_case_erase(struct control_request *request, const Sauti__CaseEraseRequest *message)
{
	struct vault_request *ask =
		may_record(request) ? ask_erase(request, VAULT_ERASE_BEGIN, message->case_) : NULL;
	const char *wrong;

	if (ask == NULL)
		return;
	wrong = fill(message, ask->erase);
	if (wrong != NULL) {
		vault_request_free(ask);
		control_fail(request, ERR_INVALID, 0, wrong);
		return;
	}
	vault_submit(control_runtime(request)->vault, ask);
}

/* It is remembered, and will be done whatever happens: the client is told how far it got. */
void done_case_erase(struct control_request *request, struct vault_request *done)
{
	erasing_tell_when_done(control_runtime(request), request, done->name);
}

void begin_erase_show(struct control_request *request, const char *name)
{
	struct vault_request *ask = ask_erase(request, VAULT_ERASE_SHOW, name);

	if (ask != NULL)
		vault_submit(control_runtime(request)->vault, ask);
}

static enum err hold_check(
	struct control_request *request, const Sauti__CaseHoldRequest *message, struct errctx *ctx)
{
	const struct officer_session *officer = control_officer(request);

	if (!account_name_valid(bytes_str(message->second)) || officer == NULL ||
		strcmp(message->second, officer->name) == 0)
		return err_set(ctx, ERR_INVALID,
			"a hold is approved by two officers: --second is another one's name");
	if (message->passphrase.len == 0 || message->passphrase.len > LIMIT_PASSPHRASE)
		return err_set(ctx, ERR_INVALID, "an empty or too long passphrase");
	return OK;
}

/* First the second officer's passphrase: a name alone anybody can type. */
void begin_case_hold(struct control_request *request, Sauti__CaseHoldRequest *message)
{
	struct errctx ctx = {""};
	struct vault_request *ask = NULL;
	enum err err = hold_check(request, message, &ctx);

	if (err != OK)
		control_fail(request, err, 0, err_message(&ctx, err));
	else
		ask = ask_erase(request, VAULT_OFFICER_VOUCH, message->case_);
	if (ask != NULL &&
		(!take_text(ask->erase->authority, sizeof(ask->erase->authority),
			 message->authority) ||
			!take_text(
				ask->erase->second, sizeof(ask->erase->second), message->second) ||
			!take_text(ask->erase->until, sizeof(ask->erase->until), message->until))) {
		vault_request_free(ask);
		ask = NULL;
		control_fail(request, ERR_INVALID, 0, "authority, officer or day is too long");
	}
	if (ask != NULL) {
		snprintf(ask->officer, sizeof(ask->officer), "%s", message->second);
		ask->boot_ms = officers_now_ms();
		err = secret_copy(&ask->passphrase, codec_bytes(message->passphrase));
	}
	wipe(message->passphrase.data, message->passphrase.len);
	if (ask != NULL && err != OK) {
		vault_request_free(ask);
		control_fail(request, err, 0, err_text(err));
	} else if (ask != NULL) {
		vault_submit(control_runtime(request)->vault, ask);
	}
}

void done_case_hold_vouch(struct control_request *request, struct vault_request *done)
{
	struct vault_request *ask = ask_erase(request, VAULT_ERASE_HOLD, done->name);

	if (ask == NULL)
		return;
	*ask->erase = *done->erase;
	vault_submit(control_runtime(request)->vault, ask);
}

void done_case_hold(struct control_request *request, struct vault_request *done)
{
	erasing_wake(control_runtime(request)); /* what was held may be due */
	answer_json(request,
		json_pack("{s:s,s:s}", "case", done->name, "until", done->erase->until), true);
}
