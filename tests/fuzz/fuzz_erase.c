/*
 * Orders to destroy keys, receipts and holds from anybody, and the rows that remember them. The
 * first byte says what the rest is:
 *
 *   0  a MailEraseOrder      3  a StoredErasure
 *   1  a MailEraseReceipt    4  a StoredTombstone
 *   2  a MailEraseHold       5  a StoredHold
 *
 * What is read is written as the same bytes again once it was written once.
 */
#include <assert.h>

#include "cases/keys/order.h"
#include "certs/mail_erase.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void order(struct bytes in, struct arena *arena)
{
	struct mail_erase_order read, again;
	struct buf packed;
	enum err err;

	if (mail_erase_order_read(in, arena, &read, NULL) != OK)
		return;
	assert(read.kids.count <= LIMIT_ERASE_KEYS && read.prekeys.count <= LIMIT_ERASE_PREKEYS);
	buf_init(&packed, LIMIT_MAIL_CONTENT);
	err = mail_erase_order_write(&packed, &read);
	assert(err == OK);
	err = mail_erase_order_read(buf_bytes(&packed), arena, &again, NULL);
	assert(err == OK && memcmp(&again, &read, sizeof(again)) == 0);
	buf_release(&packed);
}

static void receipt(struct bytes in, struct arena *arena)
{
	struct mail_erase_receipt read, again;
	struct buf packed;
	enum err err;

	if (mail_erase_receipt_read(in, arena, &read, NULL) != OK)
		return;
	buf_init(&packed, LIMIT_MAIL_CONTENT);
	err = mail_erase_receipt_write(&packed, &read);
	assert(err == OK);
	err = mail_erase_receipt_read(buf_bytes(&packed), arena, &again, NULL);
	assert(err == OK && memcmp(&again, &read, sizeof(again)) == 0);
	buf_release(&packed);
}

static void hold_mail(struct bytes in, struct arena *arena)
{
	struct mail_erase_hold read;
	struct buf packed;
	enum err err;

	if (mail_erase_hold_read(in, arena, &read, NULL) != OK)
		return;
	assert(strcmp(read.officers[0], read.officers[1]) != 0);
	buf_init(&packed, LIMIT_MAIL_CONTENT);
	err = mail_erase_hold_write(&packed, &read);
	assert(err == OK);
	buf_release(&packed);
}

static void erasure_row(struct bytes in)
{
	struct erasure read, again;
	struct buf packed;
	enum err err;

	if (erasure_unpack(in, &read) != OK)
		return;
	buf_init(&packed, 8 * ROW_PLAIN_MAX);
	err = erasure_pack(&read, &packed);
	assert(err == OK);
	err = erasure_unpack(buf_bytes(&packed), &again);
	assert(err == OK && again.kid_count == read.kid_count);
	(void)erasure_state_name(&read);
	erasure_release(&again);
	erasure_release(&read);
	buf_release(&packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tombstone tombstone;
	struct arena arena;
	struct hold hold;
	struct bytes in;

	if (size == 0)
		return 0;
	in = bytes_make(data + 1, size - 1);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	switch (data[0]) {
	case 0:
		order(in, &arena);
		break;
	case 1:
		receipt(in, &arena);
		break;
	case 2:
		hold_mail(in, &arena);
		break;
	case 3:
		erasure_row(in);
		break;
	case 4:
		(void)!tombstone_unpack(in, &tombstone);
		break;
	case 5:
		(void)!hold_unpack(in, &hold);
		break;
	default:
		break;
	}
	arena_release(&arena);
	return 0;
}
