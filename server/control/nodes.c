/* Nodes: the directory as it is folded, and invitations to it. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "certs/join.h"
#include "proto/codec.h"
#include "proto/stored.pb-c.h"
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/keys/replaced.h"
#include "server/mail.h"

enum { INVITE_HOURS = 72, INVITE_HOURS_MAX = 24 * 30 };

/* null, or why and up to where its logs count. */
static json_t *revocation_json(const struct revocation *r)
{
	json_t *logs = json_array();

	if (r == NULL) {
		json_decref(logs);
		return json_null();
	}
	for (size_t i = 0; i < r->log_count; i++)
		json_array_append_new(logs,
			json_pack("{s:s,s:I,s:o}", "origin", r->logs[i].origin, "size",
				(json_int_t)r->logs[i].size, "root", json_hash(&r->logs[i].root)));
	return json_pack("{s:s,s:I,s:I,s:o}", "reason", r->reason, "revoked_at",
		(json_int_t)r->revoked_at, "index", (json_int_t)r->index, "logs", logs);
}

/* Verifier keys in the form that note tools take. */
static json_t *vkey_json(const struct runtime *rt, const struct member *m, bool mirror)
{
	struct bytes network = bytes_str(rt->genesis.network), name = bytes_str(m->name);
	struct note_key key;
	struct buf text;
	json_t *json;

	if ((mirror ? mirror_note_key(network, name, &m->mirror, &key)
		    : witness_note_key(network, name, &m->witness, &key)) != OK)
		return json_null();
	buf_init(&text, LIMIT_NOTE_SIZE);
	note_key_format(&text, &key);
	json = json_string(buf_cstr(&text));
	buf_release(&text);
	return json;
}

static json_t *node_key_json(const struct member *m)
{
	struct buf out;
	json_t *json;

	buf_init(&out, 64);
	base64_encode(&out, BYTES_ARRAY(m->node.b));
	json = json_string(buf_cstr(&out));
	buf_release(&out);
	return json;
}

/* Where it can be dialled, the configured address first. */
static json_t *addresses_json(const struct runtime *rt, const char *node)
{
	const struct peer_state *peer = peer_state(rt, node);
	const struct learned *learned = addresses_of(rt, node);
	json_t *list = json_array();

	if (peer != NULL && peer->address[0] != '\0')
		json_array_append_new(list, json_string(peer->address));
	for (size_t i = 0; learned != NULL && i < learned->list.count; i++)
		if (peer == NULL || strcmp(peer->address, learned->list.text[i]) != 0)
			json_array_append_new(list, json_string(learned->list.text[i]));
	return list;
}

static json_t *learned_at_json(const struct runtime *rt, const char *node)
{
	const struct learned *learned = addresses_of(rt, node);

	return learned == NULL ? json_null() : json_integer((json_int_t)learned->made_at);
}

static json_t *prekey_json(const struct runtime *rt, const char *node)
{
	const struct known_prekey *known = prekeys_of(rt, node);

	return known == NULL ? json_null() : json_integer((json_int_t)known->prekey.number);
}

static json_t *prekey_made_json(const struct runtime *rt, const char *node)
{
	const struct known_prekey *known = prekeys_of(rt, node);

	return known == NULL ? json_null() : json_integer((json_int_t)known->prekey.made_at);
}

static json_t *member_json(const struct runtime *rt, const struct member *m)
{
	struct hash digest;
	char hex[2 * HASH_SIZE + 1], shown_hex[48];

	sha256(BYTES_ARRAY(m->node.b), &digest);
	hex_encode(hash_bytes(&digest), hex);
	snprintf(shown_hex, sizeof(shown_hex), "%.4s-%.4s-%.4s-%.4s-%.4s-%.4s-%.4s-%.4s", hex,
		hex + 4, hex + 8, hex + 12, hex + 16, hex + 20, hex + 24, hex + 28);
	return json_pack(
		"{s:s,s:s,s:o,s:b,s:s,s:o,s:o,s:o,s:I,s:I,s:o,s:o,s:b,s:o,s:o,s:I,s:o,s:o,s:o,"
		"s:o,s:o}",
		"name", m->name, "role", role_name(m->role), "country",
		json_text_or_null(m->country), "active", m->active, "fingerprint", shown_hex,
		"words", words_json(rt, m), "confirmed", confirmed_json(rt, m), "node_key",
		node_key_json(m), "admitted_index", (json_int_t)m->admitted_index, "admitted_at",
		(json_int_t)m->made_at, "mirror_key", vkey_json(rt, m, true), "witness_key",
		vkey_json(rt, m, false), "counts_for_quorum",
		directory_counts(engine_directory(rt->engine), m->name), "revoked",
		revocation_json(
			directory_revocation(engine_directory(rt->engine), bytes_str(m->name))),
		"replaced",
		revocation_json(
			directory_replacement(engine_directory(rt->engine), bytes_str(m->name))),
		"keys_index", (json_int_t)m->keys_index, "addresses", addresses_json(rt, m->name),
		"addresses_told_at", learned_at_json(rt, m->name), "prekey",
		prekey_json(rt, m->name), "prekey_made_at", prekey_made_json(rt, m->name),
		"disputes", disputes_json(rt, m->name));
}

void begin_node_list(struct control_request *request, const Sauti__NodeListRequest *message)
{
	const struct directory *directory = engine_directory(control_runtime(request)->engine);
	const struct member *m;
	bool found = message->name[0] == '\0';

	for (size_t i = 0; (m = directory_at(directory, i)) != NULL; i++) {
		if (message->name[0] != '\0' && strcmp(message->name, m->name) != 0)
			continue;
		found = true;
		answer_json(request, member_json(control_runtime(request), m), false);
	}
	if (found)
		control_end(request, BYTES_NONE);
	else
		control_fail(request, ERR_NOTFOUND, 0, "no node of that name is in the directory");
}

/* Invitations. */

struct invite_work {
	uv_work_t work;
	struct control_request *request;
	struct runtime *rt;
	struct join_token token;
	struct buf value;
	json_t *closing; /* of an invite to replace; or NULL */
	enum err result;
	struct errctx ctx;
};

static void invite_work_free(struct invite_work *w)
{
	json_decref(w->closing);
	buf_wipe(&w->value);
	wipe(w, sizeof(*w));
	mem_free(w);
}

static void invite_run(uv_work_t *work)
{
	struct invite_work *w = work->data;

	w->result = store_invite_put(w->rt->store, w->token.name, buf_bytes(&w->value), &w->ctx);
}

static void invite_done(uv_work_t *work, int status)
{
	struct invite_work *w = work->data;
	struct buf text;

	buf_init(&text, LIMIT_JOIN_TOKEN);
	if (status != 0)
		w->result = ERR_CANCELED;
	if (w->result == OK)
		w->result = join_token_write(&w->token, &text);
	if (w->result == ERR_FULL || w->result == ERR_IO || w->result == ERR_DENIED)
		runtime_disk_failed(w->rt, err_message(&w->ctx, w->result));
	if (w->result != OK)
		control_fail(w->request, w->result, 0, err_message(&w->ctx, w->result));
	else
		answer_json(w->request,
			json_pack("{s:s,s:s,s:I,s:O?}", "token", buf_cstr(&text), "name",
				w->token.name, "expires_at", (json_int_t)w->token.expires_at,
				"logs", w->closing),
			true);
	buf_wipe(&text);
	invite_work_free(w);
}

static enum err invite_addresses(const struct runtime *rt, const Sauti__NodeInviteRequest *message,
	struct join_token *token, struct errctx *ctx)
{
	size_t max = sizeof(token->addresses) / sizeof(token->addresses[0]);

	if (message->n_addresses > max)
		return err_set(
			ctx, ERR_LIMIT, "%zu addresses, at most %zu", message->n_addresses, max);
	for (size_t i = 0; i < message->n_addresses; i++) {
		struct net_address ignored;

		TRY(config_address(message->addresses[i], false, &ignored, ctx));
		snprintf(token->addresses[i], sizeof(token->addresses[i]), "%s",
			message->addresses[i]);
	}
	if (message->n_addresses > 0)
		return OK;
	/* What we listen on, if that is an address somebody else can dial. */
	struct net_address own;

	if (rt->port == 0 || config_address(rt->config.listen, true, &own, ctx) != OK ||
		strcmp(own.host, "0.0.0.0") == 0 || strcmp(own.host, "::") == 0)
		return err_set(ctx, ERR_INVALID,
			"which address will the new node dial? say --address HOST:PORT");
	snprintf(token->addresses[0], sizeof(token->addresses[0]), own.ipv6 ? "[%s]:%u" : "%s:%u",
		own.host, (unsigned)rt->port);
	return OK;
}

/* A new machine for a name that is there. */
static enum err replace_check(
	const struct member *member, const Sauti__NodeInviteRequest *message, struct errctx *ctx)
{
	if (member == NULL)
		return err_set(ctx, ERR_NOTFOUND, "no node of that name is in the directory");
	if (member->role == ROLE_HQ)
		return err_set(ctx, ERR_DENIED, "headquarters is not replaced by itself");
	if (member->changes == LIMIT_KEY_CHANGES)
		return err_set(ctx, ERR_LIMIT, "its keys have changed %d times: a new name is due",
			LIMIT_KEY_CHANGES);
	if (!reason_valid(message->reason))
		return err_set(
			ctx, ERR_INVALID, "the reason is a line of 1 to %d bytes", LIMIT_REASON);
	return OK;
}

/* A new name. */
static enum err fresh_check(
	const struct member *member, const Sauti__NodeInviteRequest *message, struct errctx *ctx)
{
	bool country = strspn(message->country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 3 &&
		       message->country[3] == '\0';

	if (message->role == ROLE_AUDITOR) /* works for no country, or for one */
		country |= message->country[0] == '\0';
	if (member != NULL)
		return err_set(ctx, ERR_EXISTS,
			"'%s' is in the directory already; for a new machine in its place say "
			"--replace",
			message->name);
	if (message->role != ROLE_OFFICE && message->role != ROLE_AUDITOR)
		return err_set(ctx, ERR_INVALID, "the role is office or auditor");
	if (!country)
		return err_set(
			ctx, ERR_INVALID, "the country is three capitals (ISO 3166-1 alpha-3)");
	return OK;
}

static enum err invite_check(
	const struct runtime *rt, const Sauti__NodeInviteRequest *message, struct errctx *ctx)
{
	const struct directory *directory = engine_directory(rt->engine);
	const struct member *self = directory_find(directory, bytes_str(rt->node));
	const struct member *member = directory_find(directory, bytes_str(message->name));

	if (self == NULL || self->role != ROLE_HQ)
		return err_set(ctx, ERR_DENIED, "only headquarters invites");
	if (rt->keys == NULL || rt->keys->directory == NULL)
		return err_set(ctx, ERR_LOCKED, "headquarters must be unlocked to invite");
	if (!node_name_valid(bytes_str(message->name)) || strcmp(message->name, "directory") == 0)
		return err_set(ctx, ERR_INVALID,
			"a node's name is 1 to 31 of a-z, 0-9 and '-', beginning with a letter");
	if (message->hours > INVITE_HOURS_MAX)
		return err_set(
			ctx, ERR_LIMIT, "%u hours, at most %u", message->hours, INVITE_HOURS_MAX);
	return message->replace ? replace_check(member, message, ctx)
				: fresh_check(member, message, ctx);
}

static enum err invite_value(const struct join_token *token, const char *reason, struct buf *out)
{
	Sauti__Invite invite = SAUTI__INVITE__INIT;

	invite.name = (char *)token->name;
	invite.role = (Sauti__Invite__Role)token->role;
	invite.country = (char *)token->country;
	invite.secret = codec_binary(BYTES_ARRAY(token->secret));
	invite.expires_at = token->expires_at;
	invite.epoch = token->epoch;
	invite.reason = (char *)reason;
	codec_pack(out, &invite);
	return out->err;
}

/* Role and country stay; what of the former machine's logs will count is told. */
static void invite_replace(struct invite_work *w)
{
	const struct member *member =
		directory_find(engine_directory(w->rt->engine), bytes_str(w->token.name));
	struct revoked_log logs[LIMIT_EPOCHS_PER_NODE];
	struct revocation closing = {.logs = logs};

	w->token.role = member->role;
	memcpy(w->token.country, member->country, sizeof(w->token.country));
	w->token.epoch = replaced_epoch(w->rt, member->name);
	memcpy(closing.name, member->name, sizeof(closing.name));
	closing_collect(w->rt, &closing, w->token.epoch);
	w->closing = closing_json(w->rt, &closing);
}

static enum err invite_fill(struct invite_work *w, const Sauti__NodeInviteRequest *message)
{
	struct runtime *rt = w->rt;
	struct join_token *token = &w->token;
	struct engine_log log;
	size_t position;

	TRY(invite_check(rt, message, &w->ctx));
	TRY(invite_addresses(rt, message, token, &w->ctx));
	if (!engine_log_find(rt->engine, bytes_str(rt->genesis.origin.text), &log, &position))
		return err_set(&w->ctx, ERR_CORRUPT, "the directory's log is missing");
	snprintf(token->network, sizeof(token->network), "%s", rt->genesis.network);
	snprintf(token->name, sizeof(token->name), "%s", message->name);
	snprintf(token->country, sizeof(token->country), "%s", message->country);
	snprintf(token->directory_origin, sizeof(token->directory_origin), "%.*s", LIMIT_ORIGIN,
		rt->genesis.origin.text);
	token->role = (enum role)message->role;
	if (message->replace)
		invite_replace(w);
	token->directory_key = rt->genesis.key;
	token->directory_size = log.checkpoint_size;
	token->directory_root = log.root;
	token->expires_at = runtime_wall_s() +
			    3600 * (uint64_t)(message->hours == 0 ? INVITE_HOURS : message->hours);
	TRY(random_bytes(token->secret, sizeof(token->secret)));
	return invite_value(token, message->reason, &w->value);
}

void begin_invite(struct control_request *request, const Sauti__NodeInviteRequest *message)
{
	struct invite_work *w;

	if (control_runtime(request)->guard_state.directory_ended) {
		control_fail(request, ERR_STALE, 0,
			"the directory of the network is not continued, so nobody can be admitted: "
			"see 'sauti status'");
		return;
	}
	w = mem_zalloc(sizeof(*w));
	if (w == NULL) {
		control_fail(request, ERR_NOMEM, 0, err_text(ERR_NOMEM));
		return;
	}
	w->work.data = w;
	w->request = request;
	w->rt = control_runtime(request);
	buf_init(&w->value, LIMIT_JOIN_TOKEN);
	enum err err = invite_fill(w, message);

	if (err == OK && uv_queue_work(&w->rt->loop, &w->work, invite_run, invite_done) == 0)
		return;
	if (err == OK)
		err = ERR_NOMEM;
	control_fail(request, err, 0, err_message(&w->ctx, err));
	invite_work_free(w);
}
