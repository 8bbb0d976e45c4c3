#include "server/vault/finder.h"

#include "base/alloc.h"
#include "base/bytes.h"

enum { SLICE_ENTRIES = 4096, SIZE_MIN = 64 };

/* A locator is as good as random: its bytes are their own hash. */
static enum err put(void *arg, uint64_t prefix, uint64_t index)
{
	struct finder *finder = arg;
	size_t at = (size_t)prefix & (finder->size - 1);

	while (finder->indices[at] != 0)
		at = (at + 1) & (finder->size - 1);
	finder->prefixes[at] = prefix;
	finder->indices[at] = (uint32_t)index + 1;
	return OK;
}

/* *ret_ended: the error is that of go_on. */
static enum err sweep(struct finder *finder, const struct finder_opts *opts, bool *ret_ended)
{
	struct store_prefixes read = {.max = SLICE_ENTRIES, .found = put, .arg = finder};
	struct errctx ctx;

	while (read.first < opts->log_size) {
		uint64_t left = opts->log_size - read.first;

		*ret_ended = true;
		TRY(opts->go_on(opts->arg));
		*ret_ended = false;
		read.max = left < SLICE_ENTRIES ? left : SLICE_ENTRIES;
		TRY(store_prefixes(opts->store, opts->origin, &read, &read.first, &ctx));
	}
	return OK;
}

enum err finder_init(struct finder *finder, const struct finder_opts *opts)
{
	bool ended = false;
	enum err err;

	*finder = (struct finder){.store = opts->store, .origin = opts->origin};
	if (opts->log_size > opts->entries_max)
		return OK;
	finder->size = SIZE_MIN;
	while (finder->size < 2 * opts->log_size)
		finder->size *= 2;
	finder->prefixes = mem_array(finder->size, sizeof(*finder->prefixes));
	finder->indices = mem_array(finder->size, sizeof(*finder->indices));
	err = finder->prefixes == NULL || finder->indices == NULL ? ERR_NOMEM : OK;
	if (err == OK)
		err = sweep(finder, opts, &ended);
	if (err != OK)
		finder_release(finder);
	return err == ERR_NOMEM || ended ? err : OK;
}

void finder_release(struct finder *finder)
{
	mem_free(finder->prefixes);
	mem_free(finder->indices);
	finder->prefixes = NULL;
	finder->indices = NULL;
	finder->size = 0;
}

enum err finder_find(const struct finder *finder, const struct seal_locator *locator, uint64_t *ret,
	size_t max, size_t *ret_count, struct errctx *ctx)
{
	uint64_t prefix = get_u64be(locator->b);
	size_t at = (size_t)prefix & (finder->size - 1), count = 0;

	if (finder->prefixes == NULL)
		return store_locate(
			finder->store, finder->origin, locator->b, ret, max, ret_count, ctx);
	for (; finder->indices[at] != 0 && count < max; at = (at + 1) & (finder->size - 1))
		if (finder->prefixes[at] == prefix)
			ret[count++] = finder->indices[at] - 1;
	*ret_count = count;
	return OK;
}
