/*
 * The prekeys and the inbox key, out of the keystore and back into it. What certs/prekeys.h says is
 * due is done in a copy of the keystore's keys; only once the file is durable with them are the
 * private halves in memory replaced, and what is gone is wiped there too. A keystore that cannot be
 * written stays as it is: the next try finds the same due.
 */
#include "node/files.h"
#include "server/vault/internal.h"

static enum err signer_hash(const struct node_keys *keys, struct hash *ret)
{
	struct signer *node;

	TRY(signer_new(secret_bytes(&keys->node_seed), &node));
	sha256(BYTES_ARRAY(signer_public(node)->b), ret);
	signer_free(node);
	return OK;
}

/* The log has that number under another key: two copies of this keystore were used. */
static enum err published_other(
	const struct node_keys *keys, const struct prekey *published, bool *ret)
{
	struct x25519_public key;

	*ret = false;
	for (size_t i = 0; i < keys->prekey_count; i++) {
		const struct node_prekey *prekey = &keys->prekeys[i];

		if (prekey->is.number != published->number || prekey->is.gone_at != 0)
			continue;
		TRY(x25519_public(secret_bytes(&prekey->key), &key));
		*ret = !bytes_equal(BYTES_ARRAY(key.b), BYTES_ARRAY(published->key.b));
	}
	return OK;
}

/* *ret_changed: they are not what the file has. */
static enum err step(
	struct node_keys *keys, const struct vault_prekeys *ask, bool *ret_changed, bool *ret_full)
{
	struct prekey_look look = {.now_s = ask->now_s,
		.acknowledged = ask->acknowledged,
		.published = ask->published.number,
		.wanted = ask->wanted};

	TRY(signer_hash(keys, &look.signer));
	TRY(published_other(keys, &ask->published, &look.published_other));
	TRY(node_keys_step_prekeys(keys, &look, ret_changed, ret_full));
	if (keys->inbox_key.size > 0)
		return OK;
	*ret_changed = true;
	return secret_random(&keys->inbox_key, AEAD_KEY_SIZE);
}

void mailbox_settle(const struct epoch_opts *opts, uint64_t now_s, struct node_keys *keys)
{
	struct vault_prekeys ask = {.now_s = now_s};
	struct node_keys before = {0};
	CLEANUP(buf_release) struct buf file;
	bool changed = false, full;
	enum err err = step(keys, &ask, &changed, &full);

	buf_init(&file, LIMIT_KEYSTORE_SIZE + 1);
	if (err == OK && changed)
		err = officers_write(opts->vault, opts->file, opts->master, keys, NULL, NULL);
	if (err == OK ||
		files_read_private(opts->vault->keystore, LIMIT_KEYSTORE_SIZE, &file, NULL) != OK ||
		keystore_open_master(buf_bytes(&file), opts->master, &before, NULL) != OK)
		return;
	/* What the file has now is what is used. */
	node_keys_release(keys);
	*keys = before;
}

enum err mailbox_table(
	const struct node_keys *keys, struct prekey *ret_newest, struct prekey_table *ret_table)
{
	struct prekey prekey = {.number = 0};

	if (keys->prekey_count > 0 && keys->prekeys[keys->prekey_count - 1].key.size > 0) {
		const struct node_prekey *newest = &keys->prekeys[keys->prekey_count - 1];

		TRY(x25519_public(secret_bytes(&newest->key), &prekey.key));
		prekey.number = newest->is.number;
		prekey.made_at = newest->is.made_at;
	}
	*ret_newest = prekey;
	node_keys_prekeys(keys, ret_table);
	return OK;
}

void mailbox_take(struct mailbox *box, struct node_keys *keys)
{
	mailbox_release(box);
	memcpy(box->prekeys, keys->prekeys, sizeof(box->prekeys));
	box->prekey_count = keys->prekey_count;
	memset(keys->prekeys, 0, sizeof(keys->prekeys));
	keys->prekey_count = 0;
	box->complaint_key = keys->complaint_key;
	keys->complaint_key = (struct secret){0};
	box->inbox_key = keys->inbox_key;
	keys->inbox_key = (struct secret){0};
}

void mailbox_release(struct mailbox *box)
{
	for (size_t i = 0; i < box->prekey_count; i++)
		secret_release(&box->prekeys[i].key);
	secret_release(&box->complaint_key);
	secret_release(&box->inbox_key);
	*box = (struct mailbox){.prekey_count = 0};
}

const struct secret *mailbox_private_half(const struct mailbox *box, uint64_t number)
{
	for (size_t i = 0; i < box->prekey_count; i++)
		if (box->prekeys[i].is.number == number)
			return box->prekeys[i].key.size == 0 ? NULL : &box->prekeys[i].key;
	return NULL;
}

enum err mailbox_advance(
	struct officers *officers, struct mailbox *box, struct vault_request *request)
{
	CLEANUP(node_keys_release) struct node_keys keys = {0};
	CLEANUP(buf_release) struct buf file;
	const struct vault_opts *opts = officers->opts;
	struct vault_prekeys *ask = request->prekeys;
	bool changed = false;

	buf_init(&file, LIMIT_KEYSTORE_SIZE + 1);
	TRY(files_read_private(opts->keystore, LIMIT_KEYSTORE_SIZE, &file, &request->ctx));
	TRY(keystore_open_master(buf_bytes(&file), &officers->master, &keys, &request->ctx));
	TRY(step(&keys, ask, &changed, &ask->full));
	if (changed)
		TRY(officers_write(
			opts, buf_bytes(&file), &officers->master, &keys, NULL, &request->ctx));
	TRY(mailbox_table(&keys, &ask->newest, &ask->table));
	mailbox_take(box, &keys);
	return OK;
}
