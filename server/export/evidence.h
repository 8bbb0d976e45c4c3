/*
 * evidence: the file `evidence` of a destination: the proofs of forks that this node holds, of all
 * logs, beside those that are in the file already, other nodes' too (replication/log/evidence.h,
 * evidence_frames). In the order of their ids, so that the same proofs are the same bytes.
 *
 * A proof that is in it is never taken out, and none is judged here: whoever reads it verifies it.
 * A file that is not readable is left as it is, since a proof may be in it.
 */
#ifndef SERVER_EXPORT_EVIDENCE_H
#define SERVER_EXPORT_EVIDENCE_H

#include "server/export/destination.h"
#include "server/store/store.h"

#define EVIDENCE_NAME "evidence"

/* No file is made when there is no proof. ERR_MALFORMED: the file that is there is none of
 * evidence; ERR_LIMIT over LIMIT_EVIDENCE_FILE bytes; errors of top.h. */
enum err evidence_merge(struct destination *destination, const struct store_evidence *held,
	size_t count, struct errctx *ctx) MUST_USE;
/* The same with all that the store holds, and its errors. */
enum err evidence_export(
	struct store *store, struct destination *destination, struct errctx *ctx) MUST_USE;

#endif
