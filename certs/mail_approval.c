#include "certs/mail_approval.h"

#include "base/text.h"
#include "proto/codec.h"
#include "proto/mail.pb-c.h"

/* One line that says something. */
static bool is_name(const char *text, size_t max)
{
	size_t size = strlen(text);

	if (size == 0 || size > max || !utf8_valid(bytes_str(text)))
		return false;
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

/* NAME alone: who it is of is the mail's sender, and nothing in the text says otherwise. */
static bool is_officer(const char *text)
{
	return is_name(text, MAIL_APPROVAL_OFFICER_MAX) && strchr(text, '@') == NULL;
}

enum err mail_approval_asked_write(struct buf *out, const struct mail_approval_asked *asked)
{
	Sauti__MailApprovalAsked message = SAUTI__MAIL_APPROVAL_ASKED__INIT;

	message.id = codec_binary(BYTES_ARRAY(asked->id));
	message.kind = asked->kind;
	message.to = (char *)asked->to;
	message.reason = (char *)asked->reason;
	message.legal_basis = (char *)asked->legal_basis;
	message.officer = (char *)asked->officer;
	message.groups = asked->groups;
	message.asked_at = asked->asked_at;
	codec_pack(out, &message);
	return out->err;
}

enum err mail_approval_asked_read(
	struct bytes body, struct arena *arena, struct mail_approval_asked *ret, struct errctx *ctx)
{
	Sauti__MailApprovalAsked *message;

	TRY(CODEC_UNPACK(mail_approval_asked, body, &scan_limits_default, arena, &message, ctx));
	if (message->id.len != MAIL_APPROVAL_ID_SIZE || message->kind == 0 ||
		!is_name(message->to, MAIL_APPROVAL_NAME_MAX) || !is_officer(message->officer) ||
		!is_name(message->reason, LIMIT_PURPOSE) ||
		(message->legal_basis[0] != '\0' &&
			!is_name(message->legal_basis, MAIL_APPROVAL_NAME_MAX)) ||
		message->groups == 0)
		return err_set(ctx, ERR_MALFORMED, "not a question for an approval");
	*ret = (struct mail_approval_asked){.kind = message->kind,
		.to = message->to,
		.reason = message->reason,
		.legal_basis = message->legal_basis,
		.officer = message->officer,
		.groups = message->groups,
		.asked_at = message->asked_at};
	memcpy(ret->id, message->id.data, sizeof(ret->id));
	return OK;
}

enum err mail_approval_write(struct buf *out, const struct mail_approval *approval)
{
	Sauti__MailApproval message = SAUTI__MAIL_APPROVAL__INIT;

	message.id = codec_binary(BYTES_ARRAY(approval->id));
	message.asked = codec_binary(hash_bytes(&approval->asked));
	message.approved = approval->approved;
	message.officer = (char *)approval->officer;
	message.at = approval->at;
	codec_pack(out, &message);
	return out->err;
}

enum err mail_approval_read(
	struct bytes body, struct arena *arena, struct mail_approval *ret, struct errctx *ctx)
{
	Sauti__MailApproval *message;

	TRY(CODEC_UNPACK(mail_approval, body, &scan_limits_default, arena, &message, ctx));
	if (message->id.len != MAIL_APPROVAL_ID_SIZE || message->asked.len != HASH_SIZE ||
		!is_officer(message->officer))
		return err_set(ctx, ERR_MALFORMED, "not an approval");
	*ret = (struct mail_approval){
		.approved = message->approved, .officer = message->officer, .at = message->at};
	memcpy(ret->id, message->id.data, sizeof(ret->id));
	memcpy(ret->asked.b, message->asked.data, HASH_SIZE);
	return OK;
}
