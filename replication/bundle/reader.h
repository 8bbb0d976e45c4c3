/*
 * Reading a bundle, frame by frame, whatever the file is: a whole one, a damaged one, one that
 * somebody made to do harm. Memory holds one frame and the manifest.
 *
 * A manifest that can be read says how long each run of frames is and what its hash is: behind
 * something damaged the reader goes on with the next run. Without one it goes on as long as the
 * lengths make sense. Frames of a damaged run are given out too: each is proven for itself.
 */
#ifndef REPLICATION_BUNDLE_READER_H
#define REPLICATION_BUNDLE_READER_H

#include "replication/bundle/manifest.h"

/* Up to `size` bytes of the file at `offset`; *ret_size is less only at its end. An error (of the
 * medium) is damage like any. */
struct bundle_source {
	enum err (*read)(void *arg, uint64_t offset, void *data, size_t size, size_t *ret_size,
		struct errctx *ctx);
	void *arg;
};

enum bundle_found {
	BUNDLE_FRAME,  /* `frame`, without its header, valid until the next call; its offset */
	BUNDLE_DAMAGE, /* [offset, offset + size) cannot be read as it was written: `what` */
	BUNDLE_END,
};
struct bundle_item {
	enum bundle_found found;
	uint64_t offset, size;
	struct bytes frame;
	char what[160];
};

struct bundle_reader;

/* ERR_CORRUPT: not a bundle, or its first bytes are damaged. ERR_NOMEM; the source's error when
 * nothing can be read. A head that is damaged is no error: see bundle_reader_manifest. */
enum err bundle_reader_open(const struct bundle_source *source, struct bundle_reader **ret,
	struct errctx *ctx) MUST_USE;
void bundle_reader_close(struct bundle_reader *reader);
/* NULL: it cannot be read; why in ctx. Lives as long as the reader. */
const struct bundle_manifest *bundle_reader_manifest(
	const struct bundle_reader *reader, struct errctx *ctx);
/* ERR_NOMEM alone. After BUNDLE_END only that. */
enum err bundle_reader_next(struct bundle_reader *reader, struct bundle_item *ret) MUST_USE;

#endif
