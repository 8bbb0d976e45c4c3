/*
 * index: which frame of a bundle, or of a set of them, has which entries of which log, and the
 * newest checkpoint that it brings of each: so that a log can be read out of it again as the files
 * that an export would have made. Nothing is verified, and nothing is kept of a frame but where it
 * stands; what comes out is for somebody who believes none of it.
 *
 * Memory: 24 bytes a batch, LIMIT_BUNDLE_INDEX of them, and LIMIT_BUNDLE_NOTES bytes of notes.
 * Pure.
 */
#ifndef REPLICATION_BUNDLE_INDEX_H
#define REPLICATION_BUNDLE_INDEX_H

#include "base/buf.h"
#include "proto/arena.h"
#include "replication/log/checkpoint.h"

struct bundle_index_batch {
	uint64_t offset, first; /* of the frame in its file; of its entries */
	uint32_t size;          /* of the frame without its header */
	uint16_t count;         /* entries */
	uint16_t file;
};

struct bundle_index_log {
	struct origin origin;
	struct checkpoint newest; /* of those in it; size 0: none */
	struct buf note;          /* .. as it is signed */
	struct buf lines;         /* cosignatures that are said to be over it */
	struct bundle_index_batch *batches;
	size_t count, capacity;
};

struct bundle_index;
enum err bundle_index_new(struct bundle_index **ret) MUST_USE;
void bundle_index_free(struct bundle_index *index); /* NULL is fine */

/* One frame, at that place. ERR_NOMEM; ERR_LIMIT: no more can be kept; anything else is what is
 * wrong with the frame, which is then left out. */
struct bundle_index_place {
	uint16_t file;
	uint64_t offset; /* of its header */
};
enum err bundle_index_frame(struct bundle_index *index, struct bytes frame,
	const struct bundle_index_place *place, struct errctx *ctx) MUST_USE;
/* A log that a manifest names: it is in the index, also if no frame of it can be read. */
enum err bundle_index_name(
	struct bundle_index *index, const char *origin, struct errctx *ctx) MUST_USE;
/* After the last frame: puts them in order. */
void bundle_index_end(struct bundle_index *index);

size_t bundle_index_count(const struct bundle_index *index);
const struct bundle_index_log *bundle_index_at(const struct bundle_index *index, size_t position);
const struct bundle_index_log *bundle_index_find(
	const struct bundle_index *index, const char *origin); /* NULL */

/* The batch that has the entry; NULL: none. */
const struct bundle_index_batch *bundle_index_batch(
	const struct bundle_index_log *log, uint64_t entry);
/* The first entry from there on that no batch has. */
uint64_t bundle_index_gap(const struct bundle_index_log *log, uint64_t entry);

/* Appends the checkpoint file: the note, then its cosignatures by name, each once, as many as
 * LIMIT_NOTE_SIGNATURES lets in. ERR_NOTFOUND: there is no checkpoint; ERR_NOMEM. */
enum err bundle_index_checkpoint(const struct bundle_index_log *log, struct buf *out) MUST_USE;

/* Appends entries [from, to) of a frame, read again from the batch's place, as a file of entries
 * has them. ERR_CORRUPT: they are not in it any more; ERR_NOMEM. The arena is cleared. */
enum err bundle_index_entries(const struct bundle_index_batch *batch, struct bytes frame,
	uint64_t from, uint64_t to, struct arena *arena, struct buf *out) MUST_USE;

/* The message of a frame with evidence; BYTES_NONE: it is of another kind. */
struct bytes bundle_index_evidence(struct bytes frame);

#endif
