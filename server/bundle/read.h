/*
 * The worker's side of an import: the files of bundles, read frame by frame.
 */
#ifndef SERVER_BUNDLE_READ_H
#define SERVER_BUNDLE_READ_H

#include "node/bundle_file.h"
#include "server/store/store.h"

struct bundle_read {
	struct bundle_file file;
	struct bundle_reader *reader;
};
/* Codes as files.h and bundle_reader_open. */
enum err bundle_read_open(const char *path, struct bundle_read *ret, struct errctx *ctx) MUST_USE;
void bundle_read_close(struct bundle_read *read);

/* The next item. For a Have of one log, a bit in *ret_vouched for each cosignature whose root the
 * store's tree has at that size. ERR_NOMEM alone. */
enum err bundle_read_next(struct bundle_read *read, struct store *store, struct bundle_item *ret,
	uint64_t *ret_vouched) MUST_USE;

/* Where a file belongs: sorted by set and part, what cannot be read last. */
struct bundle_order {
	size_t file; /* as it was given */
	bool readable;
	uint64_t made_at;
	uint8_t set[BUNDLE_SET_SIZE];
	uint32_t part;
};
/* In that order; the list has `count` elements, `file` set. */
void bundle_order(const char *const *paths, struct bundle_order *list, size_t count);

#endif
