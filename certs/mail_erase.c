#include "certs/mail_erase.h"

#include "base/text.h"
#include "proto/codec.h"
#include "proto/mail.pb-c.h"

/* ---- lists ---- */

static bool kids_have(const struct mail_kids *kids, const uint8_t kid[MAIL_KID_SIZE])
{
	size_t low = 0, high = kids->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int c = memcmp(kids->kid[middle], kid, MAIL_KID_SIZE);

		if (c == 0)
			return true;
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static bool prekeys_have(const struct mail_prekeys *prekeys, uint64_t number)
{
	for (size_t i = 0; i < prekeys->count; i++)
		if (prekeys->number[i] == number)
			return true;
	return false;
}

/* Pieces of one size, ascending, at most so many. */
static enum err pieces_check(
	struct bytes list, size_t size, size_t max, const char *what, struct errctx *ctx)
{
	if (list.size % size != 0)
		return err_set(ctx, ERR_MALFORMED, "erasure: %s are cut", what);
	if (list.size / size > max)
		return err_set(ctx, ERR_LIMIT, "erasure: %zu %s", list.size / size, what);
	for (size_t at = size; at < list.size; at += size)
		if (memcmp(list.data + at - size, list.data + at, size) >= 0)
			return err_set(ctx, ERR_MALFORMED, "erasure: %s are not in order", what);
	return OK;
}

static enum err kids_read(ProtobufCBinaryData field, struct mail_kids *ret, struct errctx *ctx)
{
	TRY(pieces_check(codec_bytes(field), MAIL_KID_SIZE, LIMIT_ERASE_KEYS, "kids", ctx));
	ret->count = field.len / MAIL_KID_SIZE;
	if (field.len > 0)
		memcpy(ret->kid, field.data, field.len);
	return OK;
}

static ProtobufCBinaryData kids_view(const struct mail_kids *kids)
{
	return codec_binary(bytes_make(kids->kid, kids->count * MAIL_KID_SIZE));
}

static enum err prekeys_read(
	const uint64_t *numbers, size_t count, struct mail_prekeys *ret, struct errctx *ctx)
{
	if (count > LIMIT_ERASE_PREKEYS)
		return err_set(ctx, ERR_LIMIT, "erasure: %zu prekeys", count);
	for (size_t i = 0; i < count; i++) {
		if (numbers[i] == 0 || (i > 0 && numbers[i] <= numbers[i - 1]))
			return err_set(ctx, ERR_MALFORMED, "erasure: prekeys are not in order");
		ret->number[i] = numbers[i];
	}
	ret->count = count;
	return OK;
}

static enum err id_read(
	ProtobufCBinaryData field, uint8_t ret[MAIL_ORDER_ID_SIZE], struct errctx *ctx)
{
	if (field.len != MAIL_ORDER_ID_SIZE)
		return err_set(
			ctx, ERR_MALFORMED, "erasure: an order's id of %zu bytes", field.len);
	memcpy(ret, field.data, MAIL_ORDER_ID_SIZE);
	return OK;
}

/* What is written is what is read: whoever makes something else hears of it at once. */
static enum err as_invalid(enum err err)
{
	return err == ERR_MALFORMED || err == ERR_LIMIT ? ERR_INVALID : err;
}

/* ---- orders ---- */

static enum err order_read(
	const Sauti__MailEraseOrder *message, struct mail_erase_order *ret, struct errctx *ctx)
{
	TRY(id_read(message->order_id, ret->order_id, ctx));
	TRY(kids_read(message->kids, &ret->kids, ctx));
	TRY(prekeys_read(message->prekeys, message->n_prekeys, &ret->prekeys, ctx));
	TRY(pieces_check(codec_bytes(message->revealed), HASH_SIZE, LIMIT_ERASE_REVEALED,
		"revealed values", ctx));
	ret->revealed_count = message->revealed.len / HASH_SIZE;
	if (ret->revealed_count > 0)
		memcpy(ret->revealed, message->revealed.data, message->revealed.len);
	ret->at = message->at;
	if (ret->kids.count == 0 && ret->revealed_count == 0)
		return err_set(ctx, ERR_MALFORMED, "erasure: an order without keys");
	return OK;
}

enum err mail_erase_order_read(
	struct bytes body, struct arena *arena, struct mail_erase_order *ret, struct errctx *ctx)
{
	Sauti__MailEraseOrder *message;

	*ret = (struct mail_erase_order){.at = 0};
	TRY(CODEC_UNPACK(mail_erase_order, body, &scan_limits_default, arena, &message, ctx));
	return order_read(message, ret, ctx);
}

enum err mail_erase_order_write(struct buf *out, const struct mail_erase_order *order)
{
	Sauti__MailEraseOrder message = SAUTI__MAIL_ERASE_ORDER__INIT;
	struct mail_erase_order check;

	message.order_id = codec_binary(BYTES_ARRAY(order->order_id));
	message.kids = kids_view(&order->kids);
	message.prekeys = (uint64_t *)order->prekeys.number;
	message.n_prekeys = order->prekeys.count;
	message.revealed =
		codec_binary(bytes_make(order->revealed, order->revealed_count * HASH_SIZE));
	message.at = order->at;
	TRY(as_invalid(order_read(&message, &check, NULL)));
	codec_pack(out, &message);
	return out->err;
}

/* ---- receipts ---- */

static enum err receipt_read(
	const Sauti__MailEraseReceipt *message, struct mail_erase_receipt *ret, struct errctx *ctx)
{
	TRY(id_read(message->order_id, ret->order_id, ctx));
	TRY(kids_read(message->destroyed, &ret->destroyed, ctx));
	TRY(kids_read(message->never, &ret->never, ctx));
	TRY(prekeys_read(message->prekeys_gone, message->n_prekeys_gone, &ret->prekeys_gone, ctx));
	TRY(prekeys_read(message->prekeys_left, message->n_prekeys_left, &ret->prekeys_left, ctx));
	ret->at = message->at;
	for (size_t i = 0; i < ret->never.count; i++)
		if (kids_have(&ret->destroyed, ret->never.kid[i]))
			return err_set(ctx, ERR_MALFORMED, "erasure: a kid in both lists");
	for (size_t i = 0; i < ret->prekeys_left.count; i++)
		if (prekeys_have(&ret->prekeys_gone, ret->prekeys_left.number[i]))
			return err_set(ctx, ERR_MALFORMED, "erasure: a prekey in both lists");
	return OK;
}

enum err mail_erase_receipt_read(
	struct bytes body, struct arena *arena, struct mail_erase_receipt *ret, struct errctx *ctx)
{
	Sauti__MailEraseReceipt *message;

	*ret = (struct mail_erase_receipt){.at = 0};
	TRY(CODEC_UNPACK(mail_erase_receipt, body, &scan_limits_default, arena, &message, ctx));
	return receipt_read(message, ret, ctx);
}

enum err mail_erase_receipt_write(struct buf *out, const struct mail_erase_receipt *receipt)
{
	Sauti__MailEraseReceipt message = SAUTI__MAIL_ERASE_RECEIPT__INIT;
	struct mail_erase_receipt check = {.at = 0};

	message.order_id = codec_binary(BYTES_ARRAY(receipt->order_id));
	message.destroyed = kids_view(&receipt->destroyed);
	message.never = kids_view(&receipt->never);
	message.prekeys_gone = (uint64_t *)receipt->prekeys_gone.number;
	message.n_prekeys_gone = receipt->prekeys_gone.count;
	message.prekeys_left = (uint64_t *)receipt->prekeys_left.number;
	message.n_prekeys_left = receipt->prekeys_left.count;
	message.at = receipt->at;
	TRY(as_invalid(receipt_read(&message, &check, NULL)));
	codec_pack(out, &message);
	return out->err;
}

/* ---- holds ---- */

static bool line_ok(const char *text, size_t max)
{
	struct bytes bytes = bytes_str(text);

	if (bytes.size == 0 || bytes.size > max || !utf8_valid(bytes))
		return false;
	for (size_t i = 0; i < bytes.size; i++)
		if (bytes.data[i] < 0x20 || bytes.data[i] == 0x7f)
			return false;
	return true;
}

static bool day_ok(const char *text)
{
	static const char form[] = "dddd-dd-dd";

	if (strlen(text) != MAIL_DAY_MAX)
		return false;
	for (size_t i = 0; i < MAIL_DAY_MAX; i++)
		if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			return false;
	return true;
}

static enum err hold_read(
	const Sauti__MailEraseHold *message, struct mail_erase_hold *ret, struct errctx *ctx)
{
	TRY(id_read(message->order_id, ret->order_id, ctx));
	if (!line_ok(message->authority, LIMIT_ERASE_TEXT) || !day_ok(message->until))
		return err_set(ctx, ERR_MALFORMED, "erasure: a hold's authority or last day");
	if (message->n_officers != MAIL_HOLD_OFFICERS)
		return err_set(
			ctx, ERR_MALFORMED, "erasure: a hold of %zu officers", message->n_officers);
	for (size_t i = 0; i < MAIL_HOLD_OFFICERS; i++) {
		if (!line_ok(message->officers[i], MAIL_OFFICER_MAX))
			return err_set(ctx, ERR_MALFORMED, "erasure: a hold's officer");
		strcpy(ret->officers[i], message->officers[i]);
	}
	if (strcmp(ret->officers[0], ret->officers[1]) == 0)
		return err_set(ctx, ERR_MALFORMED, "erasure: a hold of one officer");
	strcpy(ret->authority, message->authority);
	strcpy(ret->until, message->until);
	ret->at = message->at;
	return OK;
}

enum err mail_erase_hold_read(
	struct bytes body, struct arena *arena, struct mail_erase_hold *ret, struct errctx *ctx)
{
	Sauti__MailEraseHold *message;

	*ret = (struct mail_erase_hold){.at = 0};
	TRY(CODEC_UNPACK(mail_erase_hold, body, &scan_limits_default, arena, &message, ctx));
	return hold_read(message, ret, ctx);
}

enum err mail_erase_hold_write(struct buf *out, const struct mail_erase_hold *hold)
{
	Sauti__MailEraseHold message = SAUTI__MAIL_ERASE_HOLD__INIT;
	char *officers[MAIL_HOLD_OFFICERS] = {(char *)hold->officers[0], (char *)hold->officers[1]};
	struct mail_erase_hold check = {.at = 0};

	message.order_id = codec_binary(BYTES_ARRAY(hold->order_id));
	message.authority = (char *)hold->authority;
	message.officers = officers;
	message.n_officers = MAIL_HOLD_OFFICERS;
	message.until = (char *)hold->until;
	message.at = hold->at;
	TRY(as_invalid(hold_read(&message, &check, NULL)));
	codec_pack(out, &message);
	return out->err;
}
