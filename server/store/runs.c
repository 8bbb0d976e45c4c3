#include "server/store/runs.h"

_Static_assert(CHUNK_ITEMS *CHUNK_ITEM_SIZE + 16 <= 4096, "a chunk is one page with its header");

int run_item_compare(const void *a, const void *b)
{
	const struct run_item *left = a, *right = b;

	if (left->prefix != right->prefix)
		return left->prefix < right->prefix ? -1 : 1;
	return (left->offset > right->offset) - (left->offset < right->offset);
}

uint64_t run_entries(unsigned level)
{
	return (uint64_t)RUN_ENTRIES << (2 * level);
}
_Static_assert(RUN_FAN == 1 << 2, "run_entries shifts by two for a level");

uint64_t run_first(struct run run)
{
	return run.number * run_entries(run.level);
}

enum err run_counts_read(struct bytes value, uint64_t size, struct run_counts *ret)
{
	struct run_counts counts;

	if (value.size != RUN_COUNTS_SIZE)
		return ERR_CORRUPT;
	counts.drops = get_u64be(value.data);
	for (unsigned level = 0; level < RUN_LEVELS; level++)
		counts.of[level] = get_u64be(value.data + 8 + 8 * (size_t)level);
	if (counts.of[0] > size / RUN_ENTRIES)
		return ERR_CORRUPT;
	for (unsigned level = 1; level < RUN_LEVELS; level++) {
		if (counts.of[level] > counts.of[level - 1] / RUN_FAN)
			return ERR_CORRUPT;
	}
	*ret = counts;
	return OK;
}

void run_counts_write(const struct run_counts *counts, uint8_t ret[RUN_COUNTS_SIZE])
{
	put_u64be(ret, counts->drops);
	for (unsigned level = 0; level < RUN_LEVELS; level++)
		put_u64be(ret + 8 + 8 * (size_t)level, counts->of[level]);
}

uint64_t run_counts_indexed(const struct run_counts *counts)
{
	return counts->of[0] * RUN_ENTRIES;
}

uint64_t run_counts_live(const struct run_counts *counts, unsigned level)
{
	return level + 1 < RUN_LEVELS ? counts->of[level + 1] * RUN_FAN : 0;
}

bool run_counts_merge(const struct run_counts *counts, struct run *ret)
{
	for (unsigned level = 0; level + 1 < RUN_LEVELS; level++) {
		if (counts->of[level] - run_counts_live(counts, level) < RUN_FAN)
			continue;
		*ret = (struct run){level + 1, counts->of[level + 1]};
		return true;
	}
	return false;
}

bool run_counts_build(const struct run_counts *counts, uint64_t size, struct run *ret)
{
	uint64_t indexed = run_counts_indexed(counts);

	/* The largest that begins where the index ends, with nothing of it made yet. */
	for (unsigned level = RUN_DIRECT_LEVEL + 1; level-- > 0;) {
		uint64_t entries = run_entries(level);

		if (indexed % entries != 0 || counts->of[level] != indexed / entries ||
			size - indexed < entries)
			continue;
		*ret = (struct run){level, indexed / entries};
		return true;
	}
	return false;
}

void run_counts_merged(struct run_counts *counts, struct run run)
{
	counts->of[run.level] = run.number + 1;
}

void run_counts_built(struct run_counts *counts, struct run run)
{
	for (unsigned level = 0; level <= run.level; level++)
		counts->of[level] = (run.number + 1) << (2 * (run.level - level));
}

static void item_write(struct run_item item, uint8_t ret[CHUNK_ITEM_SIZE])
{
	put_u64be(ret, item.prefix);
	put_u32be(ret + 8, item.offset);
}

struct store_key run_key(uint32_t log, struct run run)
{
	struct store_key key = {.size = RUN_KEY_SIZE};

	put_u32be(key.b, log);
	key.b[4] = (uint8_t)run.level;
	put_u64be(key.b + 5, run.number);
	return key;
}

struct store_key chunk_key(uint32_t log, struct run run, struct run_item last)
{
	struct store_key key = run_key(log, run);

	item_write(last, key.b + RUN_KEY_SIZE);
	key.size = CHUNK_KEY_SIZE;
	return key;
}

void chunk_write(const struct run_item *items, size_t count, uint8_t *ret)
{
	for (size_t i = 0; i < count; i++)
		item_write(items[i], ret + i * CHUNK_ITEM_SIZE);
}

struct run_item chunk_item(struct bytes chunk, size_t i)
{
	const uint8_t *at = chunk.data + i * CHUNK_ITEM_SIZE;

	return (struct run_item){get_u64be(at), get_u32be(at + 8)};
}

enum err chunk_check(struct bytes key, struct bytes value, size_t *ret_count)
{
	if (key.size != CHUNK_KEY_SIZE || value.size == 0 || value.size % CHUNK_ITEM_SIZE != 0 ||
		value.size > (size_t)CHUNK_ITEMS * CHUNK_ITEM_SIZE ||
		memcmp(key.data + RUN_KEY_SIZE, value.data + value.size - CHUNK_ITEM_SIZE,
			CHUNK_ITEM_SIZE) != 0)
		return ERR_CORRUPT;
	*ret_count = value.size / CHUNK_ITEM_SIZE;
	return OK;
}

size_t chunk_search(struct bytes chunk, size_t count, struct run_item item)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct run_item found = chunk_item(chunk, middle);

		if (run_item_compare(&found, &item) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
