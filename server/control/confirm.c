/*
 * Node keys as words, and their confirmation by an officer (cases/keys/fingerprint.h, trust.h): the
 * first grant to any node key waits for it. The words that were heard are compared here, with the
 * key that the directory lists at this moment; the vault keeps who confirmed it.
 */
#include <stdio.h>

#include "cases/keys/fingerprint.h"
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/keys/grants.h"

json_t *own_words_json(const struct runtime *rt)
{
	const struct member *self =
		directory_find(engine_directory(rt->engine), bytes_str(rt->node));
	const struct ed25519_public *mirror = signer_public(rt->mirror);
	struct fingerprint f;

	/* Not what the directory says of this name: somebody may have put another key there. */
	if (rt->keys != NULL)
		fingerprint_make(rt->genesis.network, rt->node, signer_public(rt->keys->node), &f);
	else if (self != NULL && memcmp(mirror, &self->mirror, sizeof(*mirror)) == 0)
		fingerprint_make(rt->genesis.network, rt->node, &self->node, &f);
	else
		return json_null();
	return json_string(f.text);
}

json_t *words_json(const struct runtime *rt, const struct member *member)
{
	struct fingerprint f;

	fingerprint_make(rt->genesis.network, member->name, &member->node, &f);
	return json_string(f.text);
}

json_t *confirmed_json(const struct runtime *rt, const struct member *member)
{
	const struct trust_row *row;

	if (rt->keys == NULL || strcmp(member->name, rt->node) == 0)
		return json_null();
	row = trust_find(&rt->keys->trust, member->name);
	if (row == NULL)
		return json_pack("{s:b}", "key", 0);
	return json_pack("{s:b,s:s,s:I,s:b}", "key",
		trust_confirmed(&rt->keys->trust, member->name, &member->node), "by", row->officer,
		"confirmed_at", (json_int_t)row->confirmed_at, "former_key",
		!trust_confirmed(&rt->keys->trust, member->name, &member->node));
}

static enum err check(const struct runtime *rt, const Sauti__NodeConfirmRequest *message,
	const struct member **ret, struct errctx *ctx)
{
	const struct member *member =
		directory_find(engine_directory(rt->engine), bytes_str(message->name));
	struct fingerprint f;
	enum err err;

	if (rt->keys == NULL)
		return err_set(
			ctx, ERR_LOCKED, "the node must be unlocked to keep who confirmed it");
	if (member == NULL)
		return err_set(ctx, ERR_NOTFOUND, "no node of that name is in the directory");
	if (strcmp(member->name, rt->node) == 0)
		return err_set(ctx, ERR_INVALID,
			"this is this node itself: its words are for officers of other nodes");
	if (!member->active)
		return err_set(ctx, ERR_DENIED, "'%s' is revoked", member->name);
	fingerprint_make(rt->genesis.network, member->name, &member->node, &f);
	err = fingerprint_compare(&f, codec_bytes(message->words), ctx);
	if (err == ERR_MALFORMED)
		return err_wrap(ctx, ERR_INVALID, "these are not eight words");
	if (err != OK)
		return err_set(ctx, err,
			"these are not the words of the key that the directory lists for '%s'. "
			"Nothing was confirmed. Were they heard and typed right? If so, this key "
			"is "
			"not theirs: tell them, and give that node nothing",
			member->name);
	*ret = member;
	return OK;
}

void begin_node_confirm(struct control_request *request, const Sauti__NodeConfirmRequest *message)
{
	struct runtime *rt = control_runtime(request);
	const struct member *member = NULL;
	struct vault_request *ask;
	struct errctx ctx = {""};
	enum err err = check(rt, message, &member, &ctx);

	if (err != OK) {
		control_fail(request, err, 0, err_message(&ctx, err));
		return;
	}
	ask = vault_ask(request, VAULT_CONFIRM);
	if (ask == NULL)
		return;
	snprintf(ask->name, sizeof(ask->name), "%s", member->name);
	ask->node_key = member->node;
	ask->now_s = runtime_wall_s();
	vault_submit(rt->vault, ask);
}

void done_node_confirm(struct control_request *request, const struct vault_request *done)
{
	struct runtime *rt = control_runtime(request);
	struct trust_row row = {.key = done->node_key, .confirmed_at = done->now_s};
	enum err err;

	snprintf(row.node, sizeof(row.node), "%.*s", LIMIT_NODE_NAME, done->name);
	snprintf(row.officer, sizeof(row.officer), "%.*s", LIMIT_OFFICER_NAME, done->officer);
	err = rt->keys == NULL ? ERR_LOCKED : trust_put(&rt->keys->trust, &row);
	if (err != OK) {
		control_fail(request, err, 0, err_text(err));
		return;
	}
	grants_kick(rt);
	log_line(LOG_INFO, "officer '%s' confirmed the key of '%s'", row.officer, row.node);
	answer_json(request,
		json_pack("{s:s,s:s,s:I}", "name", row.node, "by", row.officer, "confirmed_at",
			(json_int_t)row.confirmed_at),
		true);
}
