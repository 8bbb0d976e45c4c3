#include "replication/log/entries.h"

#include <assert.h>
#include <stdatomic.h>

#include "base/alloc.h"

/* The sum of all entries; ERR_LIMIT as entries_make. */
static enum err sum_sizes(const struct bytes *entry, size_t count, size_t *ret)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++) {
		if (entry[i].size == 0 || entry[i].size > LIMIT_ENTRY_SIZE)
			return ERR_LIMIT;
		if (__builtin_add_overflow(size, entry[i].size, &size))
			return ERR_LIMIT;
	}
	*ret = size;
	return count == 0 ? ERR_LIMIT : OK;
}

/* struct entries, then the views, the leaf hashes, the bytes: one allocation. */
static struct entries *block_new(size_t count, size_t size)
{
	struct entries *entries;
	size_t total;

	if (__builtin_mul_overflow(count, sizeof(struct bytes) + sizeof(struct hash), &total) ||
		__builtin_add_overflow(total, sizeof(*entries), &total) ||
		__builtin_add_overflow(total, size, &total))
		return NULL;
	entries = mem_alloc(total);
	if (entries == NULL)
		return NULL;
	atomic_init(&entries->references, 1);
	entries->count = count;
	entries->size = size;
	entries->entry = (struct bytes *)(entries + 1);
	entries->leaf = (struct hash *)(entries->entry + count);
	return entries;
}

enum err entries_make(const struct bytes *entry, size_t count, struct entries **ret)
{
	struct entries *entries;
	uint8_t *at;
	size_t size;

	TRY(sum_sizes(entry, count, &size));
	entries = block_new(count, size);
	if (entries == NULL)
		return ERR_NOMEM;
	at = (uint8_t *)(entries->leaf + count);
	for (size_t i = 0; i < count; i++) {
		memcpy(at, entry[i].data, entry[i].size);
		entries->entry[i] = bytes_make(at, entry[i].size);
		tree_leaf(entries->entry[i], &entries->leaf[i]);
		at += entry[i].size;
	}
	*ret = entries;
	return OK;
}

struct entries *entries_ref(struct entries *entries)
{
	unsigned before = atomic_fetch_add_explicit(&entries->references, 1, memory_order_relaxed);

	assert(before > 0);
	return entries;
}

void entries_unref(struct entries *entries)
{
	unsigned before;

	if (entries == NULL)
		return;
	before = atomic_fetch_sub_explicit(&entries->references, 1, memory_order_acq_rel);
	assert(before > 0);
	if (before == 1)
		mem_free(entries);
}
