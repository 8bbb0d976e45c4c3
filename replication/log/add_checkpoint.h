/*
 * The body of a C2SP tlog-witness add-checkpoint: "old N", consistency proof lines, an empty line,
 * and a signed checkpoint of any log.
 *
 * Strict: decimals without sign or leading zeros, canonical base64, at most LIMIT_PROOF_HASHES
 * hashes, nothing behind the last signature line. The checkpoint is taken as the specification has
 * it, not as Sauti's logs write it: any origin, extension lines, sizes up to 2^63 - 1. So the
 * caller can say "unknown" of a log that is well-formed and not its own. Pure; views into the body.
 */
#ifndef REPLICATION_LOG_ADD_CHECKPOINT_H
#define REPLICATION_LOG_ADD_CHECKPOINT_H

#include "replication/log/note.h"
#include "replication/log/tree.h"

struct add_checkpoint {
	uint64_t old;
	struct proof proof; /* from old to size, as it is claimed */
	struct bytes note;  /* the whole signed checkpoint; what follows is in it */
	struct bytes origin;
	uint64_t size;
	struct hash root;
	bool extended; /* there are lines behind the root */
};

/* Form only: no signature is verified, and sizes and proof need not go together. ret_note is the
 * note taken apart, with views into the body too. ERR_MALFORMED, ERR_LIMIT (over
 * LIMIT_ADD_CHECKPOINT, LIMIT_PROOF_HASHES, LIMIT_NOTE_SIGNATURES, a size over 2^63 - 1),
 * ERR_NOMEM. */
enum err add_checkpoint_parse(struct bytes body, struct add_checkpoint *ret, struct note *ret_note,
	struct errctx *ctx) MUST_USE;

/* Appends a body. note: a whole signed note. */
void add_checkpoint_write(
	struct buf *out, uint64_t old, const struct proof *proof, struct bytes note);

/* Does the proof go from some tree of `old` leaves to the checkpoint's, and to which? When the root
 * it comes from is not one that the log has signed for `old`, the author has two histories.
 * False: it says nothing, or it goes from `root` itself. */
bool add_checkpoint_other(const struct add_checkpoint *request, const struct hash *root,
	struct hash *ret_other) MUST_USE;

#endif
