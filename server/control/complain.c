/*
 * Complaints about staff: who may get one, out of the directory; the rest is the vault's
 * (server/vault/complaint.h) and of server/complaints.h. Nothing of it is written to the program's
 * log.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "proto/codec.h"
#include "replication/log/entries.h"
#include "server/complaints.h"
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/mail.h"

/* Headquarters first, then in order of admission; auditors read no case. */
static void destinations(const struct runtime *rt, struct vault_complaint *complaint)
{
	const struct directory *directory = engine_directory(rt->engine);
	const struct member *member;

	for (int offices = 0; offices < 2; offices++)
		for (size_t i = 0; (member = directory_at(directory, i)) != NULL; i++) {
			const struct known_prekey *prekey = prekeys_of(rt, member->name);
			struct vault_destination *to;

			if (!member->active || strcmp(member->name, rt->node) == 0 ||
				member->role != (offices ? ROLE_OFFICE : ROLE_HQ) ||
				complaint->destination_count == LIMIT_PEERS)
				continue;
			to = &complaint->destinations[complaint->destination_count++];
			memcpy(to->node, member->name, sizeof(to->node));
			to->headquarters = !offices;
			to->key = member->complaint;
			to->prekey = prekey == NULL ? 1 : prekey->prekey.number;
		}
}

static enum err check(
	const struct runtime *rt, const Sauti__ComplainRequest *message, struct errctx *ctx)
{
	if (rt->keys == NULL)
		return err_set(ctx, ERR_LOCKED, "the node must be unlocked to record a complaint");
	if (!guard_state_writable(&rt->guard_state))
		return err_set(ctx, ERR_STALE, "nothing can be recorded: see 'sauti status'");
	if (rt->mail->store == NULL)
		return err_set(ctx, ERR_IO,
			"the mail store could not be opened: see 'sauti status'; nothing was "
			"recorded");
	if (!complaints_room(rt))
		return err_set(ctx, ERR_FULL,
			"%d complaints wait to be recorded already: see 'sauti status'; this one "
			"was not recorded",
			LIMIT_COMPLAINTS_WAITING);
	if ((message->to[0] != '\0' && !node_name_valid(bytes_str(message->to))) ||
		(message->about_node[0] != '\0' &&
			!node_name_valid(bytes_str(message->about_node))))
		return err_set(ctx, ERR_INVALID, "--to, --about-node: allowed is a node's name");
	return OK;
}

void begin_complain(struct control_request *request, const Sauti__ComplainRequest *message)
{
	struct runtime *rt = control_runtime(request);
	struct vault_request *ask = NULL;
	struct errctx ctx = {""};
	enum err err = check(rt, message, &ctx);

	if (err == OK) {
		ask = vault_ask(request, VAULT_COMPLAIN);
		if (ask == NULL) {
			wipe(message->line.data, message->line.len);
			return;
		}
		ask->complaint = mem_zalloc(sizeof(*ask->complaint));
		err = ask->complaint == NULL ? ERR_NOMEM : OK;
	}
	if (err == OK) {
		buf_put(&ask->lines, codec_bytes(message->line));
		err = ask->lines.err;
	}
	wipe(message->line.data, message->line.len);
	if (err != OK) {
		vault_request_free(ask);
		control_fail(request, err, 0, err_message(&ctx, err));
		return;
	}
	destinations(rt, ask->complaint);
	snprintf(ask->complaint->to, sizeof(ask->complaint->to), "%s", message->to);
	snprintf(ask->complaint->about_node, sizeof(ask->complaint->about_node), "%s",
		message->about_node);
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	vault_submit(rt->vault, ask);
}

/* What the complainant can be told. */
struct reference {
	struct control_request *request;
	char code[33], event_id[37], to[LIMIT_NODE_NAME + 1];
	struct hash leaf;
	uint32_t position;
};

static void on_kept(void *arg, const struct complaint_end *end)
{
	struct reference *reference = arg;
	char leaf[2 * HASH_SIZE + 1];
	struct errctx ctx = {""};

	hex_encode(hash_bytes(&reference->leaf), leaf);
	if (end->error != OK) {
		err_set(&ctx, end->error, "nothing was recorded: %s", end->why);
		control_fail(reference->request, end->error, 0, ctx.text);
	} else {
		bool recorded = end->why[0] == '\0';

		answer_json(reference->request,
			json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:o}", "state",
				recorded ? "recorded" : "kept", "to", reference->to, "case_code",
				reference->code, "event_id", reference->event_id, "leaf_hash", leaf,
				"log", json_text_or_null(recorded ? end->log : ""), "index",
				recorded ? json_integer(
						   (json_int_t)(end->index + reference->position))
					 : json_null(),
				"message", json_text_or_null(end->why)),
			true);
	}
	mem_free(reference);
}

void done_complain(struct control_request *request, struct vault_request *done)
{
	const struct vault_complaint *complaint = done->complaint;
	struct runtime *rt = control_runtime(request);
	CLEANUP(buf_release) struct buf mail;
	struct reference *reference;
	enum err err;

	buf_init(&mail, LIMIT_MAIL_ITEM);
	reference = mem_zalloc(sizeof(*reference));
	err = rt->keys == NULL    ? ERR_LOCKED
	      : reference == NULL ? ERR_NOMEM
				  : mail_sign(&mail, buf_bytes(&done->mail), rt->keys->node);
	if (err != OK) {
		struct errctx ctx = {""};

		err_set(&ctx, err, "nothing was recorded: %s", err_text(err));
		control_fail(request, err, 0, ctx.text);
		mem_free(reference);
		return;
	}
	reference->request = request;
	reference->leaf = complaint->leaf;
	reference->position = complaint->position;
	memcpy(reference->code, complaint->code, sizeof(reference->code));
	memcpy(reference->event_id, complaint->event_id, sizeof(reference->event_id));
	memcpy(reference->to, complaint->to, sizeof(reference->to));
	complaints_keep(rt,
		&(struct complaint_new){done->log_origin, done->entries, buf_bytes(&mail)}, on_kept,
		reference);
}
