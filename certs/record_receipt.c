#include "certs/record_receipt.h"

/* An Entry with a Record (field 2) whose first field is the type, as everybody encodes it. */
bool receipt_tags_looks_like(struct bytes entry)
{
	enum { TAG_RECORD = 2 << 3 | 2, TAG_TYPE = 1 << 3, SHORTEST = 8 };
	size_t at = 1;

	if (entry.size < SHORTEST || entry.data[0] != TAG_RECORD)
		return false;
	while (at < 4 && entry.data[at] >= 0x80)
		at++;
	at++;
	return entry.data[at] == TAG_TYPE &&
	       entry.data[at + 1] == SAUTI__RECORD_TYPE__RECORD_RECEIPT_TAGS;
}

static bool items_ok(struct bytes items)
{
	const uint8_t *at = items.data;

	if (items.size != LIMIT_RECEIPTS_FEW * LIMIT_RECEIPT_ITEM &&
		items.size != LIMIT_RECEIPTS_BATCH * LIMIT_RECEIPT_ITEM)
		return false;
	for (size_t i = 1; i < items.size / LIMIT_RECEIPT_ITEM; i++)
		if (memcmp(at + (i - 1) * LIMIT_RECEIPT_ITEM, at + i * LIMIT_RECEIPT_ITEM,
			    RECEIPT_TAGS_KEY) >= 0)
			return false;
	return true;
}

enum err receipt_tags_body(struct buf *out, struct bytes items)
{
	Sauti__ReceiptTags message = SAUTI__RECEIPT_TAGS__INIT;

	if (!items_ok(items))
		return ERR_INVALID;
	message.items = codec_binary(items);
	codec_pack(out, &message);
	return out->err;
}

enum err receipt_tags_write(struct buf *out, struct bytes body, const struct signer *node)
{
	return record_write(out, SAUTI__RECORD_TYPE__RECORD_RECEIPT_TAGS, body, node);
}

enum err receipt_tags_read(struct bytes entry, const struct ed25519_public *node,
	struct arena *arena, struct receipt_tags *ret, struct errctx *ctx)
{
	Sauti__ReceiptTags *message;
	struct record record;

	if (!receipt_tags_looks_like(entry))
		return ERR_NOTFOUND;
	TRY(record_read(entry, arena, &record, ctx));
	TRY(CODEC_UNPACK(receipt_tags, record.body, &scan_limits_default, arena, &message, ctx));
	if (!items_ok(codec_bytes(message->items)))
		return err_set(ctx, ERR_MALFORMED,
			"ReceiptTags: not 16 or 64 items, each above the one before");
	if (node != NULL)
		TRY(node_check(node, PURPOSE_RECEIPT_TAGS, record.body, record.signature));
	*ret = (struct receipt_tags){record.body, codec_bytes(message->items)};
	return OK;
}
