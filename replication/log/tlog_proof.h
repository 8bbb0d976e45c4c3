/*
 * tlog_proof: C2SP tlog-proof, the text file by which one entry of a log is proven without the log:
 *
 *   c2sp.org/tlog-proof@v1
 *   extra <base64>           optional, and authenticated by nothing
 *   index <decimal>
 *   <base64 hash>            the inclusion proof of RFC 6962, the leaf's sibling first
 *   ..
 *   <empty line>
 *   <signed checkpoint, with its cosignatures>
 *
 * Form only: whether it proves anything is for proof_inclusion_ok (tree.h) and tlog_policy_check
 * (tlog_policy.h) to say. There is one way to write a proof, and no other is read. Pure.
 */
#ifndef REPLICATION_LOG_TLOG_PROOF_H
#define REPLICATION_LOG_TLOG_PROOF_H

#include "replication/log/tree.h"

struct tlog_proof {
	bool has_extra;
	struct bytes extra; /* decoded */
	uint64_t index;
	struct proof path;
	struct bytes checkpoint; /* the signed note as it stands */
};

/* extra gets the decoded extra data (of at most LIMIT_TLOG_EXTRA bytes; its own maximum must be at
 * least that), and ret->extra is a view of it; ret->checkpoint is a view of data. ERR_MALFORMED;
 * ERR_LIMIT: over LIMIT_TLOG_PROOF, LIMIT_TLOG_EXTRA, LIMIT_PROOF_HASHES or LIMIT_LOG_SIZE;
 * ERR_NOMEM. */
enum err tlog_proof_parse(
	struct bytes data, struct buf *extra, struct tlog_proof *ret, struct errctx *ctx) MUST_USE;

/* Appends it; the error of out sticks there. */
void tlog_proof_write(struct buf *out, const struct tlog_proof *proof);

#endif
