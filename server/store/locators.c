#include "server/store/locators.h"

#include "server/store/damage.h"

static void index_clear(struct txn *txn, uint32_t log)
{
	struct store_key start = log_key(log);
	struct range range;
	bool more;

	/* A range must not be written under: one row at a time. */
	do {
		uint8_t key[512];
		size_t size = 0;

		more = range_first(&range, txn, DB_LOCATORS, store_key_bytes(&start), start.size);
		if (more && range.key.size <= sizeof(key)) {
			size = range.key.size;
			memcpy(key, range.key.data, size);
		}
		range_end(&range);
		if (size > 0)
			txn_delete(txn, DB_LOCATORS, bytes_make(key, size));
	} while (more && txn->err == OK);
}

/* Copies the locator of an entry, if it has one and is not marked. */
static enum err entry_locator(struct txn *txn, struct arena *arena, uint32_t log, uint64_t index,
	bool *ret_found, uint8_t ret[LOCATOR_SIZE])
{
	struct store_key key = entry_key(log, index);
	struct bytes entry;
	uint64_t marked;
	enum err err = damage_find(txn, log, index, 1, &marked, NULL);

	*ret_found = false;
	if (err == ERR_CORRUPT && txn->err == OK)
		return OK;
	TRY(err);
	if (!txn_get(txn, DB_ENTRIES, store_key_bytes(&key), &entry))
		return txn->err;
	return store_locator(arena, entry, ret_found, ret);
}

void store_index_drop(struct txn *txn, uint32_t log)
{
	uint8_t locator[LOCATOR_SIZE];
	struct store_key key = log_key(log);
	struct arena arena;
	struct bytes value;
	uint64_t size = 0;
	bool found;

	index_clear(txn, log);
	if (checked_get(txn, DB_HEADS, store_key_bytes(&key), &value) == OK && value.size >= 8)
		size = get_u64be(value.data);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	for (uint64_t i = 0; i < size && txn->err == OK; i++) {
		enum err err = entry_locator(txn, &arena, log, i, &found, locator);

		if (err != OK)
			txn_fail(txn, err, "index locators: %s", err_text(err));
		key = locator_key(log, locator, i);
		if (err == OK && found)
			txn_put(txn, DB_LOCATORS, store_key_bytes(&key), BYTES_NONE);
	}
	arena_release(&arena);
}

static uint64_t mix(uint64_t v)
{
	/* The finalizer of splitmix64. */
	v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
	return v ^ v >> 31;
}

void index_sum_add(
	struct index_sum *sum, const uint8_t locator[LOCATOR_PREFIX_SIZE], uint64_t index)
{
	uint64_t v = mix(get_u64be(locator) + mix(index + 1));

	sum->count++;
	sum->a += v;
	sum->b += mix(v);
}

bool index_sum_equal(const struct index_sum *a, const struct index_sum *b)
{
	return a->count == b->count && a->a == b->a && a->b == b->b;
}

enum err store_index_sum(struct txn *txn, uint32_t log, struct index_sum *ret)
{
	struct store_key key = log_key(log);
	struct index_sum sum = {0};
	struct range range;
	bool ok = true;

	for (bool more = range_first(&range, txn, DB_LOCATORS, store_key_bytes(&key), key.size);
		more && ok; more = range_next(&range)) {
		ok = range.key.size == 4 + LOCATOR_PREFIX_SIZE + 8 && range.value.size == 0;
		if (ok)
			index_sum_add(&sum, range.key.data + 4,
				get_u64be(range.key.data + 4 + LOCATOR_PREFIX_SIZE));
	}
	range_end(&range);
	TRY(txn->err);
	*ret = sum;
	return ok ? OK : ERR_CORRUPT;
}
