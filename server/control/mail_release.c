/* Keys may leave for a node although headquarters is silent: on two officers' word, in the ledger
 * first. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/keys/fingerprint.h"
#include "proto/codec.h"
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/keys/grants.h"
#include "server/keys/silence.h"
#include "server/ledger.h"
#include "server/log.h"

struct releasing {
	struct control_request *request;
	char node[LIMIT_NODE_NAME + 1];
	char second[LIMIT_OFFICER_NAME + 1];
	struct hash signer;
};

static enum err check_words(const struct runtime *rt, const struct member *member,
	struct bytes words, struct errctx *ctx)
{
	struct fingerprint fingerprint;

	fingerprint_make(rt->genesis.network, member->name, &member->node, &fingerprint);
	return fingerprint_compare(&fingerprint, words, ctx);
}

static enum err check(struct control_request *request, const Sauti__MailReleaseRequest *message,
	struct errctx *ctx)
{
	struct runtime *rt = control_runtime(request);
	const struct member *member =
		directory_find(engine_directory(rt->engine), bytes_str(message->node));
	const struct officer_session *officer = control_officer(request);

	if (member == NULL || strcmp(message->node, rt->node) == 0)
		return err_set(ctx, ERR_NOTFOUND, "no other node of that name is in the directory");
	if (!member->active)
		return err_set(ctx, ERR_DENIED, "'%s' is not an active member", member->name);
	if (!silence_is(rt))
		return err_set(ctx, ERR_INVALID,
			"headquarters is not silent: nothing waits for being released");
	if (!account_name_valid(bytes_str(message->second)) || officer == NULL ||
		strcmp(message->second, officer->name) == 0)
		return err_set(ctx, ERR_INVALID, "--second: allowed is another officer's name");
	return check_words(rt, member, codec_bytes(message->words), ctx);
}

void begin_mail_release(struct control_request *request, Sauti__MailReleaseRequest *message)
{
	struct errctx ctx = {""};
	struct vault_request *ask;
	enum err err = check(request, message, &ctx);

	if (err == OK &&
		(message->passphrase.len == 0 || message->passphrase.len > LIMIT_PASSPHRASE))
		err = err_set(&ctx, ERR_INVALID, "an empty or too long passphrase");
	if (err != OK) {
		wipe(message->passphrase.data, message->passphrase.len);
		control_fail(request, err, 0, err_message(&ctx, err));
		return;
	}
	ask = vault_ask(request, VAULT_OFFICER_VOUCH);
	if (ask == NULL)
		return;
	snprintf(ask->officer, sizeof(ask->officer), "%s", message->second);
	snprintf(ask->name, sizeof(ask->name), "%s", message->node);
	ask->boot_ms = officers_now_ms();
	err = secret_copy(&ask->passphrase, codec_bytes(message->passphrase));
	wipe(message->passphrase.data, message->passphrase.len);
	if (err == OK) {
		vault_submit(control_runtime(request)->vault, ask);
		return;
	}
	vault_request_free(ask);
	control_fail(request, err, 0, err_text(err));
}

static void on_ledgered(
	void *arg, enum err error, const char *why, const struct ledger_place *place)
{
	struct releasing *r = arg;
	struct runtime *rt = control_runtime(r->request);
	struct errctx ctx = {""};
	enum err err = error;

	if (err != OK)
		err_set(&ctx, err, "nothing was released: the ledger could not be written: %s",
			why);
	else
		err = silence_release(rt, r->node, &r->signer);
	if (err != OK) {
		control_fail(r->request, err, 0, err_message(&ctx, err));
	} else {
		log_line(LOG_INFO, "keys may leave for '%s' for a day: headquarters is silent",
			r->node);
		answer_json(r->request,
			json_pack("{s:s,s:s,s:I,s:s,s:I}", "node", r->node, "second", r->second,
				"hours", (json_int_t)(SILENCE_RELEASE_S / 3600), "log",
				place->origin, "index", (json_int_t)place->index),
			true);
		grants_kick(rt);
	}
	mem_free(r);
}

/* The second officer's passphrase was right. */
void done_mail_release(struct control_request *request, struct vault_request *done)
{
	struct runtime *rt = control_runtime(request);
	const struct officer_session *officer = control_officer(request);
	const struct member *member =
		directory_find(engine_directory(rt->engine), bytes_str(done->name));
	char hex[2 * HASH_SIZE + 1];
	struct releasing *r;

	if (rt->keys == NULL || officer == NULL || member == NULL || !member->active) {
		control_fail(request, ERR_LOCKED, 0, "the node was locked meanwhile");
		return;
	}
	r = mem_zalloc(sizeof(*r));
	if (r == NULL)
		runtime_out_of_memory();
	r->request = request;
	snprintf(r->node, sizeof(r->node), "%s", member->name);
	snprintf(r->second, sizeof(r->second), "%.*s", LIMIT_OFFICER_NAME, done->officer);
	sha256(BYTES_ARRAY(member->node.b), &r->signer);
	hex_encode(hash_bytes(&r->signer), hex);
	ledger_write(rt, officer->name,
		json_pack("{s:s,s:s,s:s,s:s,s:s}", "type", "MAIL_RELEASED", "who", officer->name,
			"recipient", r->node, "node_key", hex, "second_approver", r->second),
		on_ledgered, r);
}
