/*
 * The keystore of this node: who opens it, and how it is replaced. The file is read anew for every
 * change, under the master key that the unlock left in memory, and replaced whole: a cut leaves the
 * old file or the new one.
 */
#include <jansson.h>

#include "base/alloc.h"
#include "cases/event/json_memory.h"
#include "node/files.h"
#include "server/vault/internal.h"

static enum err read_file(const struct vault_opts *opts, struct buf *file, struct errctx *ctx)
{
	return files_read_private(opts->keystore, LIMIT_KEYSTORE_SIZE, file, ctx);
}

static enum err wrap(const struct vault_opts *opts, enum err err, struct errctx *ctx)
{
	return err == OK || err == ERR_DENIED ? err
					      : err_wrap(ctx, err, "keystore '%s'", opts->keystore);
}

enum err officers_write(const struct vault_opts *opts, struct bytes file,
	const struct secret *master, const struct node_keys *keys,
	const struct keystore_change *change, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf out;

	buf_init(&out, LIMIT_KEYSTORE_SIZE);
	TRY(keystore_rewrite(file, master, keys, change, &out, ctx));
	return files_write(opts->keystore, buf_bytes(&out), 0600, ctx);
}

/* ---- opening a slot ---- */

/* Where only one may unlock no name need be said. */
static enum err choose(struct vault_request *request, struct bytes file)
{
	struct keystore_labels labels;

	if (request->officer[0] != '\0')
		return OK;
	TRY(keystore_labels(file, &labels, &request->ctx));
	if (labels.count > 1)
		return err_set(&request->ctx, ERR_INVALID,
			"%zu officers may unlock: say which with --officer", labels.count);
	strcpy(request->officer, labels.label[0]);
	return OK;
}

/* With the passphrase of request->officer, unless too many were wrong. */
static enum err open_slot(struct officers *officers, struct vault_request *request,
	struct bytes file, struct node_keys *ret, struct secret *ret_master)
{
	struct lockout *lockout = &officers->lockout;
	uint64_t wait_ms = lockout_wait(lockout, request->officer, request->boot_ms);
	enum err err;

	request->wait_s = (wait_ms + 999) / 1000;
	if (wait_ms > 0)
		return err_set(&request->ctx, ERR_DENIED,
			"too many wrong passphrases: try again in %llu s",
			(unsigned long long)request->wait_s);
	err = keystore_open_slot(file, request->officer, secret_bytes(&request->passphrase), ret,
		ret_master, &request->ctx);
	if (err == ERR_DENIED)
		lockout_wrong(lockout, request->officer, request->boot_ms);
	else if (err == OK)
		lockout_right(lockout, request->officer);
	return wrap(officers->opts, err, &request->ctx);
}

enum err officers_unlock(struct officers *officers, struct vault_request *request,
	struct buf *ret_file, struct node_keys *ret, struct secret *ret_master)
{
	const struct vault_opts *opts = officers->opts;
	const struct account *account;

	TRY(read_file(opts, ret_file, &request->ctx));
	TRY(wrap(opts, choose(request, buf_bytes(ret_file)), &request->ctx));
	TRY(open_slot(officers, request, buf_bytes(ret_file), ret, ret_master));
	account = accounts_find(&ret->accounts, request->officer);
	if (account == NULL)
		return err_set(&request->ctx, ERR_INVALID,
			"keystore '%s': its slot's label is no officer's name", opts->keystore);
	request->roles = account->roles;
	return OK;
}

/* ---- showing ---- */

static enum err add_doc(struct vault_doc ***last, json_t *json)
{
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
	struct vault_doc *doc = text == NULL ? NULL : mem_zalloc(sizeof(*doc));

	if (doc != NULL) {
		buf_init(&doc->json, VAULT_DOC_MAX);
		buf_put_str(&doc->json, text);
		**last = doc;
		*last = &doc->next;
	}
	json_text_free(text);
	json_decref(json);
	return doc == NULL ? ERR_NOMEM : doc->json.err;
}

static json_t *account_json(const struct account *account)
{
	json_t *roles = json_array();
	const char *name;

	for (size_t i = 0; (name = account_role_name(i)) != NULL; i++)
		if ((account->roles >> i & 1) != 0)
			json_array_append_new(roles, json_string(name));
	return json_pack("{s:s,s:o,s:o,s:b}", "officer", account->name, "roles", roles,
		"created_at",
		account->created_at == 0 ? json_null()
					 : json_integer((json_int_t)account->created_at),
		"disabled", account->disabled);
}

static enum err list(const struct accounts *accounts, struct vault_request *request)
{
	struct vault_doc **last = &request->docs;

	for (size_t i = 0; i < accounts->count; i++)
		TRY(add_doc(&last, account_json(&accounts->list[i])));
	return OK;
}

static enum err names(struct bytes file, struct vault_request *request)
{
	struct vault_doc **last = &request->docs;
	struct keystore_labels labels;

	TRY(keystore_labels(file, &labels, &request->ctx));
	for (size_t i = 0; i < labels.count; i++)
		TRY(add_doc(&last, json_pack("{s:s}", "officer", labels.label[i])));
	return OK;
}

/* ---- changing ---- */

static enum err may_manage(struct vault_request *request, uint32_t roles, const char *name)
{
	char text[ACCOUNT_ROLES_TEXT];

	if (account_may_manage(request->roles, roles))
		return OK;
	account_roles_text(roles, text);
	return err_set(&request->ctx, ERR_DENIED,
		"'%s' has %s: only a supervisor decides who may see cases", name, text);
}

static enum err add(
	struct accounts *accounts, struct vault_request *request, struct keystore_change *change)
{
	const struct account *before = accounts_find(accounts, request->name);

	TRY(may_manage(request, request->new_roles, request->name));
	if (before != NULL && before->disabled) /* whoever was put out comes back as they went */
		TRY(may_manage(request, before->roles, request->name));
	*change = (struct keystore_change){KEYSTORE_SLOT_ADD, request->name,
		secret_bytes(&request->new_passphrase), keystore_cost};
	return accounts_add(
		accounts, request->name, request->new_roles, request->now_s, &request->ctx);
}

static enum err disable(
	struct accounts *accounts, struct vault_request *request, struct keystore_change *change)
{
	const struct account *account = accounts_find(accounts, request->name);

	if (account != NULL)
		TRY(may_manage(request, account->roles, account->name));
	*change = (struct keystore_change){.what = KEYSTORE_SLOT_REMOVE, .label = request->name};
	return accounts_disable(accounts, request->name, &request->ctx);
}

/* One's own passphrase, with the one that holds. */
static enum err replace(struct officers *officers, struct bytes file, struct vault_request *request,
	struct keystore_change *change)
{
	CLEANUP(node_keys_release) struct node_keys keys = {0};
	CLEANUP(secret_release) struct secret master = {0};

	TRY(open_slot(officers, request, file, &keys, &master));
	*change = (struct keystore_change){KEYSTORE_SLOT_REPLACE, request->officer,
		secret_bytes(&request->new_passphrase), keystore_cost};
	return OK;
}

/* Somebody agrees with what another officer does. Only who may see cases has a say. */
static enum err vouch(struct officers *officers, struct bytes file, struct vault_request *request)
{
	CLEANUP(node_keys_release) struct node_keys keys = {0};
	CLEANUP(secret_release) struct secret master = {0};
	const struct account *account;

	TRY(open_slot(officers, request, file, &keys, &master));
	account = accounts_find(&keys.accounts, request->officer);
	request->roles = account == NULL ? 0 : account->roles;
	if ((request->roles & (ACCOUNT_OFFICER | ACCOUNT_SUPERVISOR)) == 0)
		return err_set(&request->ctx, ERR_DENIED,
			"'%s' is neither officer nor supervisor: another has to agree",
			request->officer);
	return OK;
}

static enum err change(struct officers *officers, struct bytes file, struct node_keys *keys,
	struct vault_request *request)
{
	struct keystore_change slot;

	TRY(request->type == VAULT_OFFICER_ADD           ? add(&keys->accounts, request, &slot)
		: request->type == VAULT_OFFICER_DISABLE ? disable(&keys->accounts, request, &slot)
							 : replace(officers, file, request, &slot));
	return officers_write(officers->opts, file, &officers->master, keys, &slot, &request->ctx);
}

enum err officers_answer(struct officers *officers, struct vault_request *request)
{
	CLEANUP(node_keys_release) struct node_keys keys = {0};
	CLEANUP(buf_release) struct buf file;

	buf_init(&file, LIMIT_KEYSTORE_SIZE + 1);
	if (request->type != VAULT_OFFICER_NAMES && officers->master.size == 0)
		return ERR_LOCKED;
	TRY(read_file(officers->opts, &file, &request->ctx));
	if (request->type == VAULT_OFFICER_NAMES)
		return wrap(officers->opts, names(buf_bytes(&file), request), &request->ctx);
	if (request->type == VAULT_OFFICER_VOUCH)
		return vouch(officers, buf_bytes(&file), request);
	TRY(wrap(officers->opts,
		keystore_open_master(buf_bytes(&file), &officers->master, &keys, &request->ctx),
		&request->ctx));
	if (request->type == VAULT_OFFICER_LIST)
		return list(&keys.accounts, request);
	return change(officers, buf_bytes(&file), &keys, request);
}
