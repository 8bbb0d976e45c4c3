/*
 * The keystore of this node: who opens it, and how it is replaced. The file is read anew for every
 * change, under the master key that the unlock left in memory, and replaced whole: a cut leaves the
 * old file or the new one.
 */
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

/* ---- unlocking ---- */

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

enum err officers_unlock(const struct vault_opts *opts, struct vault_request *request,
	struct buf *ret_file, struct node_keys *ret, struct secret *ret_master)
{
	struct bytes passphrase = secret_bytes(&request->passphrase);
	const struct account *account;

	TRY(read_file(opts, ret_file, &request->ctx));
	TRY(wrap(opts, choose(request, buf_bytes(ret_file)), &request->ctx));
	TRY(wrap(opts,
		keystore_open_slot(buf_bytes(ret_file), request->officer, passphrase, ret,
			ret_master, &request->ctx),
		&request->ctx));
	account = accounts_find(&ret->accounts, request->officer);
	if (account == NULL)
		return err_set(&request->ctx, ERR_INVALID,
			"keystore '%s': its slot's label is no officer's name", opts->keystore);
	request->roles = account->roles;
	return OK;
}
