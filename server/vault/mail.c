/*
 * What is sealed to this node. What no prekey opens may be a complaint, sealed to the complaint key
 * (certs/mail.h). A notice is opened with the prekey that it names and sealed again under the inbox
 * key: prekeys are destroyed one day, the keyring key with every erasure, and what was received is
 * to stay readable as long as its reader keeps it, and not longer. Rows of before there was an
 * inbox key are under the keyring key until they are moved.
 *
 * Of a notice that is sent a copy is kept under the inbox key until its end has come, so that it
 * can be sealed again should the prekey be gone by then. Of what holds keys there is never a copy.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "proto/stored.pb-c.h"
#include "server/vault/complaint.h"
#include "server/vault/escrow/escrow.h"
#include "server/vault/grants/approvals.h"
#include "server/vault/grants/grants.h"

#define INBOX_LABEL "sauti/1 inbox"
#define COPY_LABEL  "sauti/1 sent"

/* ---- the inbox ---- */

static void inbox_aad(const struct hash *item, struct buf *out)
{
	buf_init(out, 128);
	buf_put_str(out, INBOX_LABEL);
	buf_put(out, hash_bytes(item));
}

static enum err row_key(
	const struct secret *key, struct bytes nonce, struct aead_key *ret, struct errctx *ctx)
{
	if (nonce.size != AEAD_NONCE_SIZE || key->size != AEAD_KEY_SIZE)
		return err_set(ctx, ERR_CORRUPT, "a row of the inbox is not readable");
	memcpy(ret->key, key->data, AEAD_KEY_SIZE);
	memcpy(ret->nonce, nonce.data, AEAD_NONCE_SIZE);
	return OK;
}

/* Appends; the nonce is drawn. */
static enum err row_seal(const struct mailbox *box, struct bytes aad, struct bytes text,
	uint8_t ret_nonce[AEAD_NONCE_SIZE], struct buf *out)
{
	struct aead_key key;
	enum err err;

	buf_init(out, LIMIT_MAIL_TEXT + AEAD_TAG_SIZE);
	TRY(random_bytes(ret_nonce, AEAD_NONCE_SIZE));
	if (box->inbox_key.size == 0) /* the keystore could not be written */
		return ERR_IO;
	TRY(row_key(&box->inbox_key, bytes_make(ret_nonce, AEAD_NONCE_SIZE), &key, NULL));
	err = buf_reserve(out, text.size + AEAD_TAG_SIZE) == NULL
		      ? out->err
		      : aead_seal(&key, aad, text, out->data);
	wipe(&key, sizeof(key));
	TRY(err);
	out->size = text.size + AEAD_TAG_SIZE;
	return OK;
}

/* Into a buffer of at most LIMIT_MAIL_TEXT bytes, reserved whole; the caller wipes it. */
static enum err row_open(const struct secret *secret, struct bytes nonce, struct bytes aad,
	struct bytes sealed, struct buf *out, struct errctx *ctx)
{
	struct aead_key key;
	enum err err;

	buf_init(out, LIMIT_MAIL_TEXT + 1);
	if (sealed.size < AEAD_TAG_SIZE || sealed.size > LIMIT_MAIL_TEXT + AEAD_TAG_SIZE)
		return err_set(ctx, ERR_CORRUPT, "a row of the inbox is not readable");
	TRY(row_key(secret, nonce, &key, ctx));
	err = buf_reserve(out, LIMIT_MAIL_TEXT + 1) == NULL
		      ? out->err
		      : aead_open(&key, aad, sealed, out->data);
	wipe(&key, sizeof(key));
	if (err == OK)
		out->size = sealed.size - AEAD_TAG_SIZE;
	return err == ERR_DECRYPT
		       ? err_set(ctx, ERR_CORRUPT, "a row of the inbox is not of this keystore")
		       : err;
}

static enum err inbox_pack(const struct mailbox *box, const struct mail_item *item, uint64_t now_s,
	struct bytes text, struct buf *out)
{
	CLEANUP(buf_release) struct buf aad = {0}, sealed = {0};
	Sauti__MailInbox inbox = SAUTI__MAIL_INBOX__INIT;
	uint8_t nonce[AEAD_NONCE_SIZE];

	inbox_aad(&item->item, &aad);
	TRY(row_seal(box, buf_bytes(&aad), text, nonce, &sealed));
	inbox.id = codec_binary(BYTES_ARRAY(item->id));
	inbox.sender = (char *)item->sender;
	inbox.made_at = item->made_at;
	inbox.received_at = now_s;
	inbox.nonce = codec_binary(BYTES_ARRAY(nonce));
	inbox.sealed = codec_binary(buf_bytes(&sealed));
	inbox.inbox_key = true;
	codec_pack(out, &inbox);
	return out->err;
}

static enum err open_content(const struct mailbox *box, struct book *book,
	const struct mail_item *item, const struct mail_content *content, struct arena *arena,
	struct vault_request *request)
{
	switch (content->kind) {
	case MAIL_ESCROW_KEYS:
		return custody_take(book, item, content->body, arena, request);
	case MAIL_ESCROW_HELD:
		return escrow_held(book, item, content->body, arena, request);
	case MAIL_RECOVERY_ASK:
		return custody_asked(book, item, content->body, arena, request);
	case MAIL_RECOVERY_ANSWER:
		return recover_answered(book, item, content->body, arena, request);
	case MAIL_GRANT:
		return grant_take(book, item, content->body, request);
	default:
		break;
	}
	if (content->kind == MAIL_APPROVAL_ASKED && item->class == MAIL_ORDINARY)
		return approval_asked_take(book, item, content->body, request);
	if (content->kind == MAIL_APPROVAL && item->class == MAIL_ORDINARY)
		return approval_take(book, item, content->body, request);
	/* A notice is ordinary: as an erasure it would get past the inbox's room. */
	if (content->kind != MAIL_NOTICE || item->class != MAIL_ORDINARY ||
		content->body.size > LIMIT_MAIL_TEXT) {
		request->outcome = MAIL_UNKNOWN_KIND;
		return OK;
	}
	if (request->inbox_full)
		return ERR_FULL;
	request->outcome = MAIL_PROCESSED;
	return inbox_pack(box, item, request->now_s, content->body, &request->mail);
}

/* Of a kind that holds nothing secret. */
static enum err open_plain(struct mailbox *box, struct book *book, const struct mail_item *item,
	struct arena *arena, struct vault_request *request)
{
	CLEANUP(mail_content_release) struct mail_content content = {0};

	request->outcome = MAIL_UNOPENABLE;
	if (mail_open(item, book->opts.network, BYTES_NONE, arena, &content, NULL) != OK)
		return OK;
	if (!mail_kind_open((enum mail_kind)content.kind)) {
		request->outcome = MAIL_UNKNOWN_KIND;
		return OK;
	}
	return open_content(box, book, item, &content, arena, request);
}

/* Sealed to a prekey of this node, or to its complaint key: it shows by what opens it. */
static enum err open_sealed(struct mailbox *box, struct book *book, const struct mail_item *item,
	struct arena *arena, struct vault_request *request)
{
	CLEANUP(mail_content_release) struct mail_content content = {0};
	const struct secret *key = mailbox_private_half(box, item->prekey);
	const char *network = book->opts.network;
	enum err err = ERR_DECRYPT;

	if (key != NULL)
		err = mail_open(item, network, secret_bytes(key), arena, &content, &request->ctx);
	if (err == OK)
		return open_content(box, book, item, &content, arena, request);
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
	if (item.prekey == 0)
		return open_plain(box, book, &item, &arena, request);
	return open_sealed(box, book, &item, &arena, request);
}

static enum err inbox_read(const struct mailbox *box, const struct book *book,
	struct vault_request *request, struct bytes packed, struct arena *arena,
	Sauti__MailInbox **ret, struct buf *ret_text)
{
	CLEANUP(buf_release) struct buf aad = {0};
	Sauti__MailInbox *inbox;

	TRY(CODEC_UNPACK(mail_inbox, packed, &scan_limits_default, arena, &inbox, &request->ctx));
	inbox_aad(&request->item, &aad);
	*ret = inbox;
	return row_open(inbox->inbox_key ? &box->inbox_key : &book->keyring_key,
		codec_bytes(inbox->nonce), buf_bytes(&aad), codec_bytes(inbox->sealed), ret_text,
		&request->ctx);
}

enum err mailbox_show(
	const struct mailbox *box, const struct book *book, struct vault_request *request)
{
	CLEANUP(arena_release) struct arena arena;
	CLEANUP(buf_release) struct buf packed = request->mail;
	Sauti__MailInbox *inbox;

	buf_init(&request->mail, 0);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	return inbox_read(box, book, request, buf_bytes(&packed), &arena, &inbox, &request->mail);
}

enum err mailbox_move(
	const struct mailbox *box, const struct book *book, struct vault_request *request)
{
	CLEANUP(arena_release) struct arena arena;
	CLEANUP(buf_release) struct buf packed = request->mail;
	CLEANUP(buf_wipe) struct buf text = {0};
	struct mail_item item = {.item = request->item};
	Sauti__MailInbox *inbox;

	buf_init(&request->mail, LIMIT_MAIL_ITEM);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	TRY(inbox_read(box, book, request, buf_bytes(&packed), &arena, &inbox, &text));
	if (inbox->id.len != MAIL_ID_SIZE || !node_name_valid(bytes_str(inbox->sender)))
		return err_set(&request->ctx, ERR_CORRUPT, "a row of the inbox is not readable");
	memcpy(item.id, inbox->id.data, MAIL_ID_SIZE);
	memcpy(item.sender, inbox->sender, strlen(inbox->sender));
	item.made_at = inbox->made_at;
	return inbox_pack(box, &item, inbox->received_at, buf_bytes(&text), &request->mail);
}

/* ---- what is sent ---- */

static void copy_aad(const struct hash *item, const char *recipient, struct buf *out)
{
	buf_init(out, 256);
	buf_put_str(out, COPY_LABEL);
	buf_put(out, hash_bytes(item));
	buf_put_lv16(out, bytes_str(recipient));
}

static enum err copy_pack(
	const struct mailbox *box, struct vault_request *request, struct bytes text, uint32_t tries)
{
	CLEANUP(buf_release) struct buf aad = {0}, sealed = {0};
	Sauti__MailCopy copy = SAUTI__MAIL_COPY__INIT;
	uint8_t nonce[AEAD_NONCE_SIZE];

	copy_aad(&request->item, request->name, &aad);
	TRY(row_seal(box, buf_bytes(&aad), text, nonce, &sealed));
	copy.recipient = request->name;
	copy.prekey = codec_binary(BYTES_ARRAY(request->to_prekey.key.b));
	copy.tries = tries;
	copy.nonce = codec_binary(BYTES_ARRAY(nonce));
	copy.sealed = codec_binary(buf_bytes(&sealed));
	buf_clear(&request->copy);
	codec_pack(&request->copy, &copy);
	return request->copy.err;
}

static enum err notice_make(const struct mailbox *box, const struct book *book,
	struct vault_request *request, struct bytes text, uint32_t tries)
{
	CLEANUP(secret_release) struct secret ephemeral = {0};
	struct mail_draft draft = {
		.network = book->opts.network,
		.sender = book->opts.node,
		.recipient = request->name,
		.kind = MAIL_NOTICE,
		.content = text,
		.made_at = request->now_s,
		.prekey = &request->to_prekey,
	};

	TRY(random_bytes(draft.id, sizeof(draft.id)));
	TRY(secret_random(&ephemeral, X25519_KEY_SIZE));
	draft.ephemeral = secret_bytes(&ephemeral);
	buf_clear(&request->mail);
	TRY(mail_body_write(&request->mail, &draft));
	sha256(buf_bytes(&request->mail), &request->item);
	if (box->inbox_key.size == 0) /* the keystore could not be written: without a copy */
		return OK;
	return copy_pack(box, request, text, tries);
}

enum err mailbox_make(
	const struct mailbox *box, const struct book *book, struct vault_request *request)
{
	return notice_make(box, book, request, buf_bytes(&request->lines), 0);
}

enum err mailbox_again(
	const struct mailbox *box, const struct book *book, struct vault_request *request)
{
	CLEANUP(arena_release) struct arena arena;
	CLEANUP(buf_release) struct buf aad = {0};
	CLEANUP(buf_wipe) struct buf text = {0};
	Sauti__MailCopy *copy;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	TRY(CODEC_UNPACK(mail_copy, buf_bytes(&request->copy), &scan_limits_default, &arena, &copy,
		&request->ctx));
	if (copy->tries >= LIMIT_MAIL_TRIES)
		return ERR_LIMIT;
	copy_aad(&request->item, request->name, &aad);
	TRY(row_open(&box->inbox_key, codec_bytes(copy->nonce), buf_bytes(&aad),
		codec_bytes(copy->sealed), &text, &request->ctx));
	return notice_make(box, book, request, buf_bytes(&text), copy->tries + 1);
}
