/*
 * What is sealed to this node. What no prekey opens may be a complaint, sealed to the complaint key
 * (certs/mail.h). A notice is opened with the prekey that it names and sealed again
 * under the keyring key, for the inbox: prekeys are destroyed one day, and what was received is to
 * stay readable as long as its reader keeps it, and not longer.
 */
#include "base/alloc.h"
#include "proto/stored.pb-c.h"
#include "server/vault/complaint.h"

#define INBOX_LABEL "sauti/1 inbox"

/* ---- prekeys ---- */

void mailbox_settle(const struct epoch_opts *opts, uint64_t now_s, struct node_keys *keys)
{
	if (keys->prekey_count > 0 || node_keys_add_prekey(keys, now_s) != OK)
		return;
	if (officers_write(opts->vault, opts->file, opts->master, keys, NULL, NULL) == OK)
		return;
	/* Whether the file was replaced is not known: the key is given up, and should it be there
	 * after all, the next unlock finds it. */
	secret_release(&keys->prekeys[0].key);
	keys->prekey_count = 0;
}

enum err mailbox_newest(const struct node_keys *keys, struct prekey *ret)
{
	struct prekey prekey = {.number = 0};

	if (keys->prekey_count > 0) {
		const struct node_prekey *newest = &keys->prekeys[keys->prekey_count - 1];

		TRY(x25519_public(secret_bytes(&newest->key), &prekey.key));
		prekey.number = newest->number;
		prekey.made_at = newest->made_at;
	}
	*ret = prekey;
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
}

void mailbox_release(struct mailbox *box)
{
	for (size_t i = 0; i < box->prekey_count; i++)
		secret_release(&box->prekeys[i].key);
	secret_release(&box->complaint_key);
	*box = (struct mailbox){.prekey_count = 0};
}

static const struct secret *private_half(const struct mailbox *box, uint64_t number)
{
	for (size_t i = 0; i < box->prekey_count; i++)
		if (box->prekeys[i].number == number)
			return &box->prekeys[i].key;
	return NULL;
}

/* ---- the inbox ---- */

static void inbox_aad(const struct hash *item, struct buf *out)
{
	buf_init(out, 128);
	buf_put_str(out, INBOX_LABEL);
	buf_put(out, hash_bytes(item));
}

static enum err inbox_key(
	const struct book *book, struct bytes nonce, struct aead_key *ret, struct errctx *ctx)
{
	if (nonce.size != AEAD_NONCE_SIZE || book->keyring_key.size != AEAD_KEY_SIZE)
		return err_set(ctx, ERR_CORRUPT, "a row of the inbox is not readable");
	memcpy(ret->key, book->keyring_key.data, AEAD_KEY_SIZE);
	memcpy(ret->nonce, nonce.data, AEAD_NONCE_SIZE);
	return OK;
}

static enum err inbox_pack(const struct book *book, const struct mail_item *item, uint64_t now_s,
	struct bytes text, struct buf *out)
{
	CLEANUP(buf_release) struct buf aad = {0}, sealed;
	Sauti__MailInbox inbox = SAUTI__MAIL_INBOX__INIT;
	uint8_t nonce[AEAD_NONCE_SIZE];
	struct aead_key key;
	enum err err;

	buf_init(&sealed, LIMIT_MAIL_TEXT + AEAD_TAG_SIZE);
	inbox_aad(&item->item, &aad);
	TRY(random_bytes(nonce, sizeof(nonce)));
	TRY(inbox_key(book, BYTES_ARRAY(nonce), &key, NULL));
	err = buf_reserve(&sealed, text.size + AEAD_TAG_SIZE) == NULL
		      ? sealed.err
		      : aead_seal(&key, buf_bytes(&aad), text, sealed.data);
	wipe(&key, sizeof(key));
	TRY(err);
	sealed.size = text.size + AEAD_TAG_SIZE;
	inbox.id = codec_binary(BYTES_ARRAY(item->id));
	inbox.sender = (char *)item->sender;
	inbox.made_at = item->made_at;
	inbox.received_at = now_s;
	inbox.nonce = codec_binary(BYTES_ARRAY(nonce));
	inbox.sealed = codec_binary(buf_bytes(&sealed));
	codec_pack(out, &inbox);
	return out->err;
}

static enum err open_content(const struct book *book, const struct mail_item *item,
	const struct mail_content *content, struct vault_request *request)
{
	/* A notice is ordinary: as an erasure it would get past the inbox's room. */
	if (content->kind != MAIL_NOTICE || item->class != MAIL_ORDINARY ||
		content->body.size > LIMIT_MAIL_TEXT) {
		request->outcome = MAIL_UNKNOWN_KIND;
		return OK;
	}
	if (request->inbox_full)
		return ERR_FULL;
	request->outcome = MAIL_PROCESSED;
	return inbox_pack(book, item, request->now_s, content->body, &request->mail);
}

/* Sealed to a prekey of this node, or to its complaint key: it shows by what opens it. */
static enum err open_sealed(struct mailbox *box, struct book *book, const struct mail_item *item,
	struct arena *arena, struct vault_request *request)
{
	CLEANUP(mail_content_release) struct mail_content content = {0};
	const struct secret *key = private_half(box, item->prekey);
	const char *network = book->opts.network;
	enum err err = ERR_DECRYPT;

	if (key != NULL)
		err = mail_open(item, network, secret_bytes(key), arena, &content, &request->ctx);
	if (err == OK)
		return open_content(book, item, &content, request);
	if (err == ERR_DECRYPT && box->complaint_key.size > 0) {
		err = mail_open_complaint(item, network, secret_bytes(&box->complaint_key), arena,
			&content, &request->ctx);
		if (err == OK)
			return complaint_take(book, item, content.body, request);
	}
	request->outcome = MAIL_UNOPENABLE;
	return err == ERR_NOMEM || err == ERR_CRYPTO ? err : OK;
}

enum err mailbox_open(struct mailbox *box, struct book *book, struct vault_request *request)
{
	CLEANUP(arena_release) struct arena arena;
	CLEANUP(buf_release) struct buf packed = request->mail;
	struct mail_item item;

	buf_init(&request->mail, LIMIT_MAIL_ITEM);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	TRY(mail_unpack(buf_bytes(&packed), book->opts.network, &arena, &item, &request->ctx));
	return open_sealed(box, book, &item, &arena, request);
}

enum err mailbox_show(const struct book *book, struct vault_request *request)
{
	CLEANUP(arena_release) struct arena arena;
	CLEANUP(buf_release) struct buf packed = request->mail, aad = {0};
	Sauti__MailInbox *inbox;
	struct aead_key key;
	enum err err;

	buf_init(&request->mail, LIMIT_MAIL_TEXT + 1);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	TRY(CODEC_UNPACK(mail_inbox, buf_bytes(&packed), &scan_limits_default, &arena, &inbox,
		&request->ctx));
	if (inbox->sealed.len < AEAD_TAG_SIZE ||
		inbox->sealed.len > LIMIT_MAIL_TEXT + AEAD_TAG_SIZE)
		return err_set(&request->ctx, ERR_CORRUPT, "a row of the inbox is not readable");
	inbox_aad(&request->item, &aad);
	TRY(inbox_key(book, codec_bytes(inbox->nonce), &key, &request->ctx));
	if (buf_reserve(&request->mail, LIMIT_MAIL_TEXT + 1) == NULL)
		return request->mail.err;
	err = aead_open(&key, buf_bytes(&aad), codec_bytes(inbox->sealed), request->mail.data);
	wipe(&key, sizeof(key));
	if (err == OK)
		request->mail.size = inbox->sealed.len - AEAD_TAG_SIZE;
	return err == ERR_DECRYPT ? err_set(&request->ctx, ERR_CORRUPT,
					    "a row of the inbox is not of this keyring")
				  : err;
}
