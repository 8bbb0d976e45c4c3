#include "cases/receipt/receipt_batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

static int by_tag(const void *a, const void *b)
{
	return memcmp(a, b, RECEIPT_TAG_SIZE); /* the tag comes first in an item */
}

static bool same_twice(const struct receipt_item *items, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (by_tag(&items[i - 1], &items[i]) == 0)
			return true;
	return false;
}

enum err receipt_batch_make(
	const struct receipt_item *items, size_t count, struct buf *out, size_t *ret_taken)
{
	size_t room = count > LIMIT_RECEIPTS_FEW ? LIMIT_RECEIPTS_BATCH : LIMIT_RECEIPTS_FEW;
	struct receipt_item all[LIMIT_RECEIPTS_BATCH];
	enum err err = OK;

	if (count > room)
		count = room;
	if (count > 0)
		memcpy(all, items, count * sizeof(*all));
	if (count < room)
		err = random_bytes(all[count].b, (room - count) * sizeof(*all));
	if (err != OK)
		return err;
	qsort(all, room, sizeof(*all), by_tag);
	if (same_twice(all, room))
		return ERR_INVALID;
	buf_put(out, bytes_make(all, room * sizeof(*all)));
	wipe(all, sizeof(all)); /* in which order they came */
	if (out->err == OK)
		*ret_taken = count;
	return out->err;
}

size_t receipt_batch_count(struct bytes batch)
{
	return batch.size / RECEIPT_ITEM_SIZE;
}

void receipt_batch_at(struct bytes batch, size_t i, struct receipt_item *ret)
{
	memcpy(ret->b, batch.data + i * RECEIPT_ITEM_SIZE, RECEIPT_ITEM_SIZE);
}

size_t receipt_batch_find(struct bytes batch, const uint8_t tag[RECEIPT_TAG_SIZE])
{
	for (size_t i = 0; i < receipt_batch_count(batch); i++)
		if (memcmp(batch.data + i * RECEIPT_ITEM_SIZE, tag, RECEIPT_TAG_SIZE) == 0)
			return i;
	return SIZE_MAX;
}

/* ---- when ---- */

void receipt_clock_start(struct receipt_clock *clock, uint64_t now_s, bool written, uint32_t chance)
{
	clock->base_s = now_s;
	clock->delay_s = chance % (RECEIPT_DELAY_S + 1);
	if (!written)
		return;
	clock->last_s = now_s;
	if (now_s > clock->furthest_s)
		clock->furthest_s = now_s;
}

static bool apart(uint64_t a, uint64_t b)
{
	return (a > b ? a - b : b - a) >= RECEIPT_APART_S;
}

bool receipt_clock_due(struct receipt_clock *clock, uint64_t now_s, bool *ret_changed)
{
	*ret_changed = now_s < clock->base_s;
	if (*ret_changed)
		clock->base_s = now_s;
	if (now_s - clock->base_s < RECEIPT_DAY_S + clock->delay_s)
		return false;
	return (clock->last_s == 0 || apart(now_s, clock->last_s)) &&
	       (clock->furthest_s == 0 || apart(now_s, clock->furthest_s));
}
