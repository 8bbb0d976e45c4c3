/*
 * The frames of a bundle, made. Each stands for itself: a Batch brings its target's note along, a
 * Have is of one log. Any other frame that proves itself may stand in a bundle (frame_write).
 */
#ifndef REPLICATION_BUNDLE_FRAMES_H
#define REPLICATION_BUNDLE_FRAMES_H

#include "replication/engine/store.h"

struct bundle_cosigned {
	uint64_t size;
	struct hash root;
	struct bytes line;
};

/* Append one frame, header included. The error sticks in out. */
void bundle_batch_write(struct buf *out, const struct origin *origin, uint64_t first,
	const struct store_batch *batch, struct bytes note);
/* A stored message (evidence) as the field of Frame with that number, at most 15. */
void bundle_message_write(struct buf *out, unsigned field, struct bytes message);
/* A packed MailEnd, as an answer to whoever still holds the item. */
void bundle_mail_end_write(struct buf *out, struct bytes end);
enum { BUNDLE_MAIL_FIELD = 9, BUNDLE_EVIDENCE_FIELD = 11 };
/* At most LIMIT_NOTE_SIGNATURES cosignatures. */
void bundle_have_write(struct buf *out, const struct origin *origin, uint64_t size,
	struct bytes note, const struct bundle_cosigned *cosigned, size_t count);

#endif
