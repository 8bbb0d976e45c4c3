#include "server/store/tails.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"

/* Reading. */

/*
 * A sealed entry as every author encodes it: the fields in order, of suite 1. Nearly all entries
 * of a log are like this, and unpacking them would be most of the work. What unpacking would find
 * is this locator or, when what follows is malformed, none: a field that comes twice is refused.
 */
static bool locator_plain(struct bytes entry, uint64_t *ret)
{
	enum { HEAD = 2 + 2 + 16 + 2 }; /* suite, salt, and what stands before the locator */
	static const uint8_t suite_salt[] = {0x08, 1, 0x12, 16}, locator[] = {0x1a, LOCATOR_SIZE};
	size_t at = 1, size = 0;

	if (entry.size < 2 + HEAD + LOCATOR_SIZE || entry.data[0] != 0x0a)
		return false;
	for (unsigned shift = 0; shift < 21; shift += 7) {
		uint8_t byte = entry.data[at++];

		size |= (size_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			break;
	}
	if (size != entry.size - at || size < HEAD + LOCATOR_SIZE ||
		memcmp(entry.data + at, suite_salt, sizeof(suite_salt)) != 0 ||
		memcmp(entry.data + at + HEAD - 2, locator, sizeof(locator)) != 0)
		return false;
	*ret = get_u64be(entry.data + at + HEAD);
	return true;
}

static enum err locator_prefix(
	struct arena *arena, struct bytes entry, bool *ret_found, uint64_t *ret)
{
	uint8_t locator[LOCATOR_SIZE];

	*ret_found = locator_plain(entry, ret);
	if (*ret_found)
		return OK;
	TRY(store_locator(arena, entry, ret_found, locator));
	if (*ret_found)
		*ret = get_u64be(locator);
	return OK;
}

enum err locators_scan(
	struct txn *txn, struct arena *arena, const struct locators_scan *scan, struct errctx *ctx)
{
	struct store_key key = entry_key(scan->log, scan->first);
	uint64_t index = scan->first;
	struct range range;
	enum err err = OK;

	if (scan->first >= scan->end)
		return OK;
	for (bool more = range_first(&range, txn, DB_ENTRIES, store_key_bytes(&key), 4);
		more && err == OK && index < scan->end; more = range_next(&range), index++) {
		uint64_t prefix = 0;
		bool found = false;

		if (range.key.size != key.size || get_u64be(range.key.data + 4) != index)
			break;
		err = locator_prefix(arena, range.value, &found, &prefix);
		if (err == OK && found)
			err = scan->found(scan->arg, prefix, index);
	}
	range_end(&range);
	if (err == OK)
		err = txn->err;
	if (err == OK && index < scan->end)
		err = err_set(ctx, ERR_CORRUPT, "entry %" PRIu64 " is missing", index);
	return err;
}

/* Tails. */

void tails_init(struct tails *tails)
{
	*tails = (struct tails){0};
	arena_init(&tails->arena, LIMIT_ARENA_SIZE);
}

void tails_release(struct tails *tails)
{
	for (unsigned i = 0; i < TAIL_LOGS; i++)
		mem_free(tails->of[i].items);
	arena_release(&tails->arena);
}

static int item_compare(const void *a, const void *b)
{
	const struct tail_item *left = a, *right = b;

	if (left->prefix != right->prefix)
		return left->prefix < right->prefix ? -1 : 1;
	return (left->index > right->index) - (left->index < right->index);
}

size_t tail_search(const struct tail *tail, uint64_t prefix, uint64_t index)
{
	struct tail_item item = {prefix, index};
	size_t low = 0, high = tail->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (item_compare(&tail->items[middle], &item) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static enum err item_add(void *arg, uint64_t prefix, uint64_t index)
{
	struct tail *tail = arg;

	if (tail->count == tail->capacity) {
		size_t capacity = tail->capacity > 0 ? 2 * tail->capacity : 256;
		struct tail_item *items = mem_resize(tail->items, capacity * sizeof(*items));

		if (items == NULL)
			return ERR_NOMEM;
		tail->items = items;
		tail->capacity = capacity;
	}
	tail->items[tail->count++] = (struct tail_item){prefix, index};
	return OK;
}

/* What runs cover now is not needed any more. */
static void tail_advance(struct tail *tail, uint64_t indexed)
{
	size_t kept = 0;

	if (indexed <= tail->first)
		return;
	for (size_t i = 0; i < tail->count; i++) {
		if (tail->items[i].index >= indexed)
			tail->items[kept++] = tail->items[i];
	}
	tail->count = kept;
	tail->first = indexed;
	if (tail->end < indexed)
		tail->end = indexed;
}

/* The items from `sorted` on are new: sorts these, and moves them to their places from behind. */
static enum err tail_sort(struct tail *tail, size_t sorted)
{
	CLEANUP(mem_free_p) struct tail_item *added = NULL;
	size_t more = tail->count - sorted, at = tail->count;

	if (more == 0)
		return OK;
	added = mem_dup(&tail->items[sorted], more * sizeof(*added));
	if (added == NULL)
		return ERR_NOMEM;
	qsort(added, more, sizeof(*added), item_compare);
	while (more > 0) {
		if (sorted > 0 && item_compare(&tail->items[sorted - 1], &added[more - 1]) > 0)
			tail->items[--at] = tail->items[--sorted];
		else
			tail->items[--at] = added[--more];
	}
	return OK;
}

static enum err tail_extend(
	struct tails *tails, struct tail *tail, struct txn *txn, uint64_t size, struct errctx *ctx)
{
	struct locators_scan scan = {tail->log, tail->end, size, item_add, tail};
	size_t before = tail->count;
	enum err err;

	if (size <= tail->end)
		return OK;
	err = locators_scan(txn, &tails->arena, &scan, ctx);
	if (err == OK)
		err = tail_sort(tail, before);
	if (err != OK) {
		tail->count = before;
		return err;
	}
	tail->end = size;
	return OK;
}

/* The one of this log, or the one that was not asked for longest. */
static struct tail *tail_of(struct tails *tails, uint32_t log)
{
	struct tail *oldest = &tails->of[0];

	for (unsigned i = 0; i < TAIL_LOGS; i++) {
		struct tail *tail = &tails->of[i];

		if (tail->used && tail->log == log)
			return tail;
		if (tail->asked < oldest->asked)
			oldest = tail;
	}
	mem_free(oldest->items);
	*oldest = (struct tail){.log = log};
	return oldest;
}

enum err tails_get(struct tails *tails, struct txn *txn, uint32_t log, uint64_t size,
	const struct run_counts *counts, const struct tail **ret, struct errctx *ctx)
{
	uint64_t indexed = run_counts_indexed(counts);
	struct tail *tail;

	if (size - indexed > TAIL_ENTRIES_MAX)
		return ERR_AGAIN;
	tail = tail_of(tails, log);
	/* Another index, or an older view than that of the last asker. */
	if (!tail->used || tail->drops != counts->drops || tail->first > indexed) {
		tail->count = 0;
		tail->first = tail->end = indexed;
	}
	tail->used = true;
	tail->drops = counts->drops;
	tail->asked = ++tails->asked;
	tail_advance(tail, indexed);
	TRY(tail_extend(tails, tail, txn, size, ctx));
	*ret = tail;
	return OK;
}
