/*
 * export: writes one log into a destination in the C2SP tlog-tiles layout (docs/FORMAT, Export),
 * up to its newest signed checkpoint, and checks everything on the way.
 *
 * What it keeps:
 *   - Entries are hashed anew and compared with the stored leaf hashes, tiles are computed anew
 * from those, and the root of it all is the one that the log's key has signed, before the
 * checkpoint is written. Damage stops the export with ERR_CORRUPT; the earlier export stays as it
 * was.
 *   - Tiles first, checkpoint last, each durable before the next: whoever reads the checkpoint
 * finds everything under it.
 *   - Full files are written once. What an earlier export's checkpoint covers is not read again as
 *     long as every file of it is there; `compare` reads and compares all of it.
 *   - It never goes back: a destination with a larger checkpoint of this log, or one that ours does
 *     not go on from, is ERR_FORK, and nothing is changed.
 *   - The partial files of a checkpoint stay until the full file is there.
 *
 * For a worker thread; each read of the store is one short transaction, none is open while a file
 * is written. Memory: one block of entries, at most STORE_BLOCK_SIZE_MAX.
 */
#ifndef SERVER_EXPORT_EXPORT_H
#define SERVER_EXPORT_EXPORT_H

#include "server/export/destination.h"
#include "server/store/store.h"

struct export_cosignature {
	struct note_key key;
	struct bytes line; /* a signature line with its newline */
};

struct export_opts {
	struct store *store;
	struct destination *destination;
	struct origin origin;
	struct note_key key;                           /* the log's */
	struct bytes note;                             /* its newest signed checkpoint */
	const struct export_cosignature *cosignatures; /* by mirrors, over that checkpoint */
	size_t cosignature_count;
	bool compare;     /* look into every file, whatever an earlier export says */
	const bool *stop; /* polled, set it with an atomic store; NULL: never */
	uint64_t *done;   /* entries done so far, stored atomically; may be NULL */
};

struct export_result {
	struct checkpoint checkpoint;
	size_t cosignatures, cosignatures_bad; /* written; left out since they do not verify */
	uint64_t files_written, bytes_written;
	uint64_t bad_index; /* with ERR_CORRUPT: the first entry that cannot be trusted */
};

/* The checkpoint file: the text, the log's signature, then the cosignatures that verify, in the
 * order of their key names, as many as LIMIT_NOTE_SIGNATURES lets in. ERR_UNTRUSTED when the log's
 * signature does not verify; ERR_NOMEM. */
enum err export_checkpoint(const struct export_opts *opts, struct buf *out,
	struct export_result *ret, struct errctx *ctx) MUST_USE;

/* ret is filled in on OK; on ERR_CORRUPT, bad_index alone. ERR_CANCELED; errors of destination.h,
 * publish.h and blocks.h. */
enum err export_log(
	const struct export_opts *opts, struct export_result *ret, struct errctx *ctx) MUST_USE;

#endif
