#include "tests/power/workload.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

enum { BIG_EVERY = 97, BIG_SIZE_MAX = 60000, WRITE_ENTRIES = 512 };

void power_log_init(struct tlog *log, unsigned number)
{
	char node[16];
	uint8_t random[8] = {0};

	tlog_init(log, number);
	snprintf(node, sizeof(node), "other%u", number);
	put_u32be(random + 4, number);
	if (number > 0)
		assert_ok(
			origin_make(bytes_str(NETWORK), bytes_str(node), 1, random, &log->origin));
}

void power_entry(struct buf *out, unsigned log, uint64_t index)
{
	size_t before = out->size;

	if (index % BIG_EVERY != BIG_EVERY - 1) {
		entry_make(out, log, index);
		return;
	}
	buf_printf(out, "big %u %llu ", log, (unsigned long long)index);
	while (out->size - before < 3000 + index * 7919 % (BIG_SIZE_MAX - 3000))
		buf_put_u64be(out, index * 2654435761u + out->size - before);
	assert_ok(out->err);
}

struct store_write *power_write(struct tlog *log, size_t count)
{
	struct bytes *views = calloc(count, sizeof(*views));
	size_t *ends = calloc(count, sizeof(*ends));
	struct store_write *write;
	struct buf all;

	assert_non_null(views);
	assert_non_null(ends);
	buf_init(&all, count * 1024 + (count / BIG_EVERY + 1) * (BIG_SIZE_MAX + 64));
	for (size_t i = 0; i < count; i++) {
		power_entry(&all, log->number, log->compact.size + i);
		ends[i] = all.size;
	}
	for (size_t i = 0, at = 0; i < count; at = ends[i++])
		views[i] = bytes_make(all.data + at, ends[i] - at);
	write = tlog_write_entries(log, views, count);
	buf_release(&all);
	free(views);
	free(ends);
	return write;
}

void power_log(struct tlog *log, unsigned number, uint64_t size)
{
	power_log_init(log, number);
	while (log->compact.size < size) {
		uint64_t left = size - log->compact.size;

		store_write_free(
			power_write(log, left < WRITE_ENTRIES ? (size_t)left : WRITE_ENTRIES));
	}
}

void power_cosigner(char ret[NOTE_KEY_NAME_MAX + 1], unsigned mirror)
{
	snprintf(ret, NOTE_KEY_NAME_MAX + 1, "%s/mirror/m%u", NETWORK, mirror);
}

void power_cosignature(struct buf *out, unsigned log, unsigned mirror, uint64_t size)
{
	buf_printf(
		out, "line of mirror %u for log %u at %llu", mirror, log, (unsigned long long)size);
	assert_ok(out->err);
}

void power_key(struct keyring_item *ret, struct buf *value, uint64_t number)
{
	struct hash hash;
	uint8_t seed[8];

	put_u64be(seed, number);
	sha256(BYTES_ARRAY(seed), &hash);
	memcpy(ret->kid, hash.b, sizeof(ret->kid));
	buf_clear(value);
	for (uint64_t i = 0; i < 1 + number % 9; i++)
		buf_put(value, BYTES_ARRAY(hash.b));
	assert_ok(value->err);
	ret->value = buf_bytes(value);
}

void power_invite(char name[16], struct buf *value, uint64_t number)
{
	snprintf(name, 16, "node%u", (unsigned)number);
	buf_clear(value);
	buf_printf(value, "invite %llu", (unsigned long long)number);
	assert_ok(value->err);
}

void power_place(struct place *place, char keyring[300], const char *directory)
{
	snprintf(place->directory, sizeof(place->directory), "%s", directory);
	snprintf(place->store, sizeof(place->store), "%.250s/store", directory);
	snprintf(keyring, 300, "%.250s/keyring", directory);
}
