#include "certs/mail.h"

#include "base/hpke.h"
#include "base/text.h"
#include "proto/mail.pb-c.h"

#define INFO_LABEL      "sauti/1 mail"
#define COMPLAINT_LABEL "sauti/1 complaint mail"

enum { LENGTH_SIZE = 4, PLAIN_MIN = 256 };

/* ---- names ---- */

static bool name_ok(const char *name)
{
	return node_name_valid(bytes_str(name)) && !node_name_reserved(name);
}

static bool names_ok(const char *sender, const char *recipient)
{
	return name_ok(sender) && name_ok(recipient) && strcmp(sender, recipient) != 0;
}

/* ---- sealing ---- */

static enum err seal_info(struct buf *out, const char *label, const char *network,
	const char *sender, const char *recipient, const uint8_t *id)
{
	buf_init(out, 512);
	buf_put_str(out, label);
	buf_put_lv16(out, bytes_str(network));
	buf_put_lv16(out, bytes_str(sender));
	buf_put_lv16(out, bytes_str(recipient));
	buf_put_lv16(out, bytes_make(id, MAIL_ID_SIZE));
	return out->err;
}

/* 256, 384, 512, 768 .. and LIMIT_MAIL_PLAIN; 0 when it is too much. */
static size_t padded_size(size_t size)
{
	for (size_t step = PLAIN_MIN; step < LIMIT_MAIL_PLAIN; step *= 2) {
		if (size <= step)
			return step;
		if (size <= step + step / 2 && step + step / 2 < LIMIT_MAIL_PLAIN)
			return step + step / 2;
	}
	return size <= LIMIT_MAIL_PLAIN ? LIMIT_MAIL_PLAIN : 0;
}

static enum err seal_content(const struct mail_draft *draft, struct bytes content, struct buf *out)
{
	CLEANUP(buf_release) struct buf info = {0};
	CLEANUP(secret_release) struct secret plain = {0};
	size_t size = padded_size(LENGTH_SIZE + content.size);

	if (size == 0)
		return ERR_LIMIT;
	TRY(seal_info(&info, draft->kind == MAIL_COMPLAINT ? COMPLAINT_LABEL : INFO_LABEL,
		draft->network, draft->sender, draft->recipient, draft->id));
	TRY(secret_init(&plain, size));
	put_u32be(plain.data, (uint32_t)content.size);
	memcpy(plain.data + LENGTH_SIZE, content.data, content.size);
	if (buf_reserve(out, size + HPKE_OVERHEAD) == NULL)
		return out->err;
	TRY(hpke_seal(&draft->prekey->key, buf_bytes(&info), BYTES_NONE, secret_bytes(&plain),
		draft->ephemeral, out->data + out->size));
	out->size += size + HPKE_OVERHEAD;
	return OK;
}

static bool zeros(struct bytes bytes)
{
	uint8_t any = 0;

	for (size_t i = 0; i < bytes.size; i++)
		any |= bytes.data[i];
	return any == 0;
}

static enum err padding_check(struct bytes plain, struct bytes *ret)
{
	size_t size;

	if (plain.size < LENGTH_SIZE)
		return ERR_MALFORMED;
	size = get_u32be(plain.data);
	if (size > plain.size - LENGTH_SIZE)
		return ERR_MALFORMED;
	if (!zeros(bytes_make(plain.data + LENGTH_SIZE + size, plain.size - LENGTH_SIZE - size)))
		return ERR_MALFORMED;
	*ret = bytes_make(plain.data + LENGTH_SIZE, size);
	return OK;
}

/* ---- items ---- */

static bool content_ok(const Sauti__MailBody *body)
{
	switch (body->content_case) {
	case SAUTI__MAIL_BODY__CONTENT_SEALED:
		return body->prekey != 0 && body->sealed.len > HPKE_OVERHEAD &&
		       body->sealed.len <= LIMIT_MAIL_PLAIN + HPKE_OVERHEAD;
	case SAUTI__MAIL_BODY__CONTENT_OPEN:
		return body->prekey == 0 && body->open.len > 0;
	default:
		return false;
	}
}

enum err mail_read(struct bytes bytes, struct bytes signature, const char *network,
	struct arena *arena, struct mail_item *ret, struct errctx *ctx)
{
	struct mail_item item = {.body = bytes, .signature = signature};
	Sauti__MailBody *body;

	if (bytes.size + signature.size > LIMIT_MAIL_ITEM)
		return err_set(ctx, ERR_LIMIT, "a mail item of %zu bytes", bytes.size);
	if (signature.size != ED25519_SIGNATURE_SIZE)
		return err_set(ctx, ERR_MALFORMED, "mail: signature of %zu bytes", signature.size);
	TRY(CODEC_UNPACK(mail_body, bytes, &scan_limits_default, arena, &body, ctx));
	if (strcmp(body->network, network) != 0)
		return err_set(ctx, ERR_UNTRUSTED, "mail of another network");
	if (!names_ok(body->sender, body->recipient))
		return err_set(ctx, ERR_MALFORMED, "mail: sender or recipient is no node's name");
	if (body->id.len != MAIL_ID_SIZE || body->mail_class > MAIL_ERASURE || !content_ok(body))
		return err_set(ctx, ERR_MALFORMED, "mail: id, class or content");
	memcpy(item.id, body->id.data, MAIL_ID_SIZE);
	memcpy(item.sender, body->sender, strlen(body->sender));
	memcpy(item.recipient, body->recipient, strlen(body->recipient));
	item.class = (enum mail_class)body->mail_class;
	item.made_at = body->made_at;
	item.prekey = body->prekey;
	item.content = codec_bytes(
		body->content_case == SAUTI__MAIL_BODY__CONTENT_SEALED ? body->sealed : body->open);
	sha256(bytes, &item.item);
	*ret = item;
	return OK;
}

enum err mail_unpack(struct bytes packed, const char *network, struct arena *arena,
	struct mail_item *ret, struct errctx *ctx)
{
	Sauti__Mail *mail;

	if (packed.size > LIMIT_MAIL_ITEM)
		return err_set(ctx, ERR_LIMIT, "a mail item of %zu bytes", packed.size);
	TRY(CODEC_UNPACK(mail, packed, &scan_limits_strict, arena, &mail, ctx));
	return mail_read(
		codec_bytes(mail->body), codec_bytes(mail->signature), network, arena, ret, ctx);
}

/* By a key that the sender has rotated away since; 0: at no time. */
static bool signed_before(const struct member *sender, const struct mail_item *item, uint64_t now_s)
{
	for (const struct former *f = sender->former; f != NULL && !f->replaced; f = f->former)
		if (item->made_at <= f->ended_at && now_s != 0 &&
			now_s <= f->ended_at + MAIL_FORMER_S &&
			node_verify(&f->node, PURPOSE_MAIL, item->body, item->signature))
			return true;
	return false;
}

enum err mail_check_at(const struct directory *directory, const struct mail_item *item,
	uint64_t now_s, struct errctx *ctx)
{
	const struct member *sender = directory_find(directory, bytes_str(item->sender));
	const struct member *recipient = directory_find(directory, bytes_str(item->recipient));

	if (sender == NULL || !sender->active)
		return err_set(ctx, ERR_DENIED, "'%s' is not an active member", item->sender);
	if (recipient == NULL || !recipient->active)
		return err_set(ctx, ERR_DENIED, "'%s' is not an active member", item->recipient);
	if (node_check(&sender->node, PURPOSE_MAIL, item->body, item->signature) == OK ||
		signed_before(sender, item, now_s))
		return OK;
	return err_set(ctx, ERR_UNTRUSTED, "mail that '%s' did not sign", item->sender);
}

enum err mail_check(
	const struct directory *directory, const struct mail_item *item, struct errctx *ctx)
{
	return mail_check_at(directory, item, 0, ctx);
}

enum err mail_signer(
	const struct directory *directory, const struct mail_item *item, struct ed25519_public *ret)
{
	const struct member *sender = directory_find(directory, bytes_str(item->sender));
	const struct former *former = sender == NULL ? NULL : sender->former;

	if (sender == NULL)
		return ERR_UNTRUSTED;
	*ret = sender->node;
	while (!node_verify(ret, PURPOSE_MAIL, item->body, item->signature)) {
		if (former == NULL)
			return ERR_UNTRUSTED;
		*ret = former->node;
		former = former->former;
	}
	return OK;
}

/* Packs the content as it stands inside: a secret's copy is wiped by the caller. */
static enum err content_pack(struct buf *out, enum mail_kind kind, struct bytes body)
{
	Sauti__MailContent content = SAUTI__MAIL_CONTENT__INIT;

	if (body.size > LIMIT_MAIL_CONTENT)
		return ERR_LIMIT;
	buf_init(out, LIMIT_MAIL_PLAIN);
	content.kind = kind;
	content.body = codec_binary(body);
	if (buf_reserve(out, protobuf_c_message_get_packed_size(&content.base)) != NULL)
		codec_pack(out, &content);
	return out->err;
}

enum err mail_sign(struct buf *out, struct bytes body, const struct signer *node)
{
	struct ed25519_signature signature;
	Sauti__Mail mail = SAUTI__MAIL__INIT;

	TRY(node_sign(node, PURPOSE_MAIL, body, &signature));
	mail.body = codec_binary(body);
	mail.signature = codec_binary(BYTES_ARRAY(signature.b));
	codec_pack(out, &mail);
	return out->err;
}

bool mail_kind_open(enum mail_kind kind)
{
	return kind == MAIL_ADDRESSES || kind == MAIL_ERASE_ORDER || kind == MAIL_ERASE_RECEIPT ||
	       kind == MAIL_ERASE_HOLD || kind == MAIL_ESCROW_HELD || kind == MAIL_RECOVERY_ASK;
}

static bool draft_ok(const struct mail_draft *draft)
{
	return names_ok(draft->sender, draft->recipient) &&
	       (draft->prekey == NULL) == mail_kind_open(draft->kind);
}

enum err mail_write(struct buf *out, const struct mail_draft *draft, const struct signer *node)
{
	CLEANUP(buf_release) struct buf body;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	TRY(mail_body_write(&body, draft));
	return mail_sign(out, buf_bytes(&body), node);
}

enum err mail_body_write(struct buf *out, const struct mail_draft *draft)
{
	CLEANUP(buf_wipe) struct buf content = {0};
	CLEANUP(buf_release) struct buf sealed;
	Sauti__MailBody body = SAUTI__MAIL_BODY__INIT;

	buf_init(&sealed, LIMIT_MAIL_PLAIN + HPKE_OVERHEAD);
	if (!draft_ok(draft))
		return ERR_INVALID;
	TRY(content_pack(&content, draft->kind, draft->content));
	body.network = (char *)draft->network;
	body.id = codec_binary(BYTES_ARRAY(draft->id));
	body.sender = (char *)draft->sender;
	body.recipient = (char *)draft->recipient;
	body.mail_class = draft->class;
	body.made_at = draft->made_at;
	if (draft->prekey == NULL) {
		body.content_case = SAUTI__MAIL_BODY__CONTENT_OPEN;
		body.open = codec_binary(buf_bytes(&content));
	} else {
		TRY(seal_content(draft, buf_bytes(&content), &sealed));
		body.prekey = draft->prekey->number;
		body.content_case = SAUTI__MAIL_BODY__CONTENT_SEALED;
		body.sealed = codec_binary(buf_bytes(&sealed));
	}
	codec_pack(out, &body);
	return out->err;
}

/* ---- content ---- */

struct opening {
	const char *label, *network;
	struct bytes private_key;
};

static enum err unseal(const struct mail_item *item, const struct opening *opening,
	struct secret *plain, struct bytes *ret)
{
	CLEANUP(buf_release) struct buf info = {0};

	TRY(seal_info(
		&info, opening->label, opening->network, item->sender, item->recipient, item->id));
	TRY(secret_init(plain, item->content.size - HPKE_OVERHEAD));
	TRY(hpke_open(
		opening->private_key, buf_bytes(&info), BYTES_NONE, item->content, plain->data));
	return padding_check(secret_bytes(plain), ret);
}

static enum err content_read(
	struct bytes packed, struct arena *arena, struct mail_content *ret, struct errctx *ctx)
{
	Sauti__MailContent *content;

	TRY(CODEC_UNPACK(mail_content, packed, &scan_limits_default, arena, &content, ctx));
	ret->kind = content->kind;
	ret->body = codec_bytes(content->body);
	return OK;
}

static enum err open_with(const struct mail_item *item, const struct opening *opening,
	struct arena *arena, struct mail_content *ret, struct errctx *ctx)
{
	struct mail_content content = {0};
	struct bytes packed = item->content;
	enum err err = OK;

	if (item->prekey != 0)
		err = unseal(item, opening, &content.plain, &packed);
	if (err == ERR_UNTRUSTED)
		err = ERR_DECRYPT; /* a key of small order: nobody can have sealed with it */
	if (err == OK)
		err = content_read(packed, arena, &content, ctx);
	if (err != OK) {
		mail_content_release(&content);
		return err;
	}
	if (item->prekey != 0) { /* the arena is nobody's secret memory */
		uint8_t *copy = (uint8_t *)(uintptr_t)content.body.data;

		if (content.body.size > 0) {
			memcpy(content.plain.data, copy, content.body.size);
			wipe(copy, content.body.size);
		}
		content.body.data = content.plain.data;
	}
	*ret = content;
	return OK;
}

enum err mail_open(const struct mail_item *item, const char *network, struct bytes private_key,
	struct arena *arena, struct mail_content *ret, struct errctx *ctx)
{
	return open_with(
		item, &(struct opening){INFO_LABEL, network, private_key}, arena, ret, ctx);
}

enum err mail_open_complaint(const struct mail_item *item, const char *network,
	struct bytes private_key, struct arena *arena, struct mail_content *ret, struct errctx *ctx)
{
	struct mail_content content;

	if (item->prekey == 0)
		return err_set(ctx, ERR_MALFORMED, "a complaint that is not sealed");
	TRY(open_with(item, &(struct opening){COMPLAINT_LABEL, network, private_key}, arena,
		&content, ctx));
	if (content.kind != MAIL_COMPLAINT) {
		mail_content_release(&content);
		return err_set(ctx, ERR_MALFORMED, "sealed as a complaint, and none");
	}
	*ret = content;
	return OK;
}

void mail_content_release(struct mail_content *content)
{
	if (content == NULL)
		return;
	secret_release(&content->plain);
	*content = (struct mail_content){0};
}

enum err mail_addresses_write(struct buf *out, const struct mail_addresses *addresses)
{
	Sauti__MailAddresses message = SAUTI__MAIL_ADDRESSES__INIT;
	char *list[LIMIT_MAIL_ADDRESSES];

	if (addresses->count > LIMIT_MAIL_ADDRESSES)
		return ERR_LIMIT;
	for (size_t i = 0; i < addresses->count; i++)
		list[i] = (char *)addresses->text[i];
	message.addresses = list;
	message.n_addresses = addresses->count;
	codec_pack(out, &message);
	return out->err;
}

enum err mail_addresses_read(
	struct bytes body, struct arena *arena, struct mail_addresses *ret, struct errctx *ctx)
{
	struct mail_addresses addresses = {.count = 0};
	Sauti__MailAddresses *message;

	TRY(CODEC_UNPACK(mail_addresses, body, &scan_limits_default, arena, &message, ctx));
	if (message->n_addresses > LIMIT_MAIL_ADDRESSES)
		return err_set(ctx, ERR_LIMIT, "%zu addresses", message->n_addresses);
	for (size_t i = 0; i < message->n_addresses; i++) {
		size_t size = strlen(message->addresses[i]);

		if (size > LIMIT_ADDRESS)
			return err_set(ctx, ERR_MALFORMED, "an address of %zu bytes", size);
		memcpy(addresses.text[addresses.count++], message->addresses[i], size + 1);
	}
	*ret = addresses;
	return OK;
}

/* ---- complaints ---- */

void mail_complaint_release(struct mail_complaint *complaint)
{
	if (complaint == NULL)
		return;
	for (size_t i = 0; i < MAIL_COMPLAINT_KEYS; i++)
		secret_release(&complaint->keys[i].key);
	wipe(complaint, sizeof(*complaint));
}

enum err mail_complaint_write(struct buf *out, const struct mail_complaint *complaint)
{
	Sauti__MailComplaint message = SAUTI__MAIL_COMPLAINT__INIT;
	Sauti__MailComplaintKey keys[MAIL_COMPLAINT_KEYS], *list[MAIL_COMPLAINT_KEYS];

	if (complaint->key_count == 0 || complaint->key_count > MAIL_COMPLAINT_KEYS)
		return ERR_INVALID;
	for (size_t i = 0; i < complaint->key_count; i++) {
		const struct mail_complaint_key *from = &complaint->keys[i];

		if (from->key.size != MAIL_KEY_SIZE)
			return ERR_INVALID;
		sauti__mail_complaint_key__init(&keys[i]);
		keys[i].group = from->group;
		keys[i].kid = codec_binary(BYTES_ARRAY(from->kid));
		keys[i].key = codec_binary(secret_bytes(&from->key));
		keys[i].first = from->first;
		list[i] = &keys[i];
	}
	message.case_ref = codec_binary(BYTES_ARRAY(complaint->case_ref));
	message.origin = (char *)complaint->origin;
	message.keys = list;
	message.n_keys = complaint->key_count;
	codec_pack(out, &message);
	return out->err;
}

static enum err complaint_keys(
	const Sauti__MailComplaint *message, struct mail_complaint *complaint)
{
	for (size_t i = 0; i < message->n_keys; i++) {
		const Sauti__MailComplaintKey *from = message->keys[i];
		struct mail_complaint_key *key = &complaint->keys[i];

		if (from->kid.len != MAIL_KID_SIZE || from->key.len != MAIL_KEY_SIZE)
			return ERR_MALFORMED;
		key->group = from->group;
		key->first = from->first;
		memcpy(key->kid, from->kid.data, MAIL_KID_SIZE);
		TRY(secret_copy(&key->key, codec_bytes(from->key)));
		complaint->key_count++;
	}
	return OK;
}

static void arena_keys_wipe(Sauti__MailComplaint *message)
{
	for (size_t i = 0; i < message->n_keys; i++)
		wipe(message->keys[i]->key.data, message->keys[i]->key.len);
}

enum err mail_complaint_read(
	struct bytes body, struct arena *arena, struct mail_complaint *ret, struct errctx *ctx)
{
	struct mail_complaint complaint = {.key_count = 0};
	Sauti__MailComplaint *message;
	enum err err = OK;

	TRY(CODEC_UNPACK(mail_complaint, body, &scan_limits_default, arena, &message, ctx));
	if (message->case_ref.len != MAIL_CASE_REF_SIZE || message->n_keys == 0 ||
		message->n_keys > MAIL_COMPLAINT_KEYS || strlen(message->origin) > LIMIT_ORIGIN)
		err = ERR_MALFORMED;
	if (err == OK)
		err = complaint_keys(message, &complaint);
	arena_keys_wipe(message);
	if (err != OK) {
		mail_complaint_release(&complaint);
		return err == ERR_MALFORMED ? err_set(ctx, err, "a complaint's keys: form") : err;
	}
	memcpy(complaint.case_ref, message->case_ref.data, MAIL_CASE_REF_SIZE);
	memcpy(complaint.origin, message->origin, strlen(message->origin) + 1);
	*ret = complaint;
	return OK;
}

/* ---- the end ---- */

enum err mail_end_write(
	struct buf *out, const char *network, const struct mail_end *end, const struct signer *node)
{
	CLEANUP(buf_release) struct buf bytes = {0};
	Sauti__MailEndBody body = SAUTI__MAIL_END_BODY__INIT;
	Sauti__MailEnd message = SAUTI__MAIL_END__INIT;
	struct ed25519_signature signature;

	if (!names_ok(end->sender, end->recipient))
		return ERR_INVALID;
	buf_init(&bytes, 1024);
	body.network = (char *)network;
	body.item = codec_binary(hash_bytes(&end->item));
	body.sender = (char *)end->sender;
	body.recipient = (char *)end->recipient;
	body.outcome = end->outcome;
	body.at = end->at;
	if (end->outcome == MAIL_UNOPENABLE && end->current.number != 0) {
		body.prekey = end->current.number;
		body.prekey_key = codec_binary(BYTES_ARRAY(end->current.key.b));
		body.prekey_made_at = end->current.made_at;
	}
	codec_pack(&bytes, &body);
	TRY(bytes.err);
	TRY(node_sign(node, PURPOSE_MAIL_END, buf_bytes(&bytes), &signature));
	message.body = codec_binary(buf_bytes(&bytes));
	message.signature = codec_binary(BYTES_ARRAY(signature.b));
	codec_pack(out, &message);
	return out->err;
}

static bool current_read(const Sauti__MailEndBody *body, struct prekey *ret)
{
	if (body->outcome != MAIL_UNOPENABLE || body->prekey == 0)
		return true;
	if (body->prekey_key.len != X25519_KEY_SIZE)
		return false;
	ret->number = body->prekey;
	ret->made_at = body->prekey_made_at;
	memcpy(ret->key.b, body->prekey_key.data, X25519_KEY_SIZE);
	return true;
}

/* By a key that it has rotated away since. */
static bool ended_before(
	const struct member *recipient, struct bytes bytes, struct bytes signature, uint64_t at)
{
	for (const struct former *f = recipient->former; f != NULL && !f->replaced; f = f->former)
		if (at <= f->ended_at && node_verify(&f->node, PURPOSE_MAIL_END, bytes, signature))
			return true;
	return false;
}

enum err mail_end_read(struct bytes bytes, struct bytes signature, const char *network,
	const struct directory *directory, struct arena *arena, struct mail_end *ret,
	struct errctx *ctx)
{
	struct mail_end end = {.outcome = 0};
	const struct member *recipient;
	Sauti__MailEndBody *body;

	TRY(CODEC_UNPACK(mail_end_body, bytes, &scan_limits_default, arena, &body, ctx));
	if (strcmp(body->network, network) != 0 || !names_ok(body->sender, body->recipient) ||
		body->item.len != HASH_SIZE || !current_read(body, &end.current))
		return err_set(ctx, ERR_MALFORMED,
			"the end of a mail item: network, names, item or prekey");
	recipient = directory_find(directory, bytes_str(body->recipient));
	if (recipient == NULL)
		return err_set(ctx, ERR_NOTFOUND, "the end of mail by '%s', who is no member",
			body->recipient);
	if (node_check(&recipient->node, PURPOSE_MAIL_END, bytes, signature) != OK) {
		if (!ended_before(recipient, bytes, signature, body->at))
			return err_set(ctx, ERR_UNTRUSTED, "the end of mail that '%s' did not sign",
				body->recipient);
		/* What is sealed from now on is sealed to what the current key says. */
		end.current = (struct prekey){.number = 0};
	}
	memcpy(end.item.b, body->item.data, HASH_SIZE);
	memcpy(end.sender, body->sender, strlen(body->sender));
	memcpy(end.recipient, body->recipient, strlen(body->recipient));
	end.outcome = body->outcome;
	end.at = body->at;
	*ret = end;
	return OK;
}
