/*
 * What somebody says an office has disclosed. What is taken comes out again as it went in; nothing
 * lies outside of it, and memory is taken for what is there alone.
 */
#include <assert.h>

#include "cases/keys/disclosure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_key(const struct disclosure *d, const struct disclosure_key *key, struct buf *out)
{
	disclosure_put_key(out, key);
	for (size_t l = 0; l < d->log_count; l++) {
		size_t count = disclosure_reveals(key, l);

		disclosure_put_count(out, (uint32_t)count);
		for (size_t i = 0; i < count; i++) {
			struct seal_reveal p;

			disclosure_reveal(key, l, i, &p);
			disclosure_put_reveal(out, &p);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct disclosure *d;
	struct buf again;

	if (disclosure_parse(bytes_make(data, size), &d, NULL) != OK)
		return 0;
	assert(d->log_count <= LIMIT_DISCLOSURE_LOGS && d->key_count <= LIMIT_DISCLOSURE_KEYS);
	buf_init(&again, LIMIT_DISCLOSURE);
	disclosure_put_head(&again, d);
	for (size_t k = 0; k < d->key_count; k++) {
		assert(d->keys[k].group == GROUP_AUDIT || d->keys[k].group == GROUP_CONSENT);
		put_key(d, &d->keys[k], &again);
	}
	assert(again.err == OK && bytes_equal(buf_bytes(&again), bytes_make(data, size)));
	buf_release(&again);
	disclosure_free(d);
	return 0;
}
