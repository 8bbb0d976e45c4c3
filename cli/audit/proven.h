/*
 * proven: what a proof file (C2SP tlog-proof) proves, judged without a node: the log of the policy
 * has signed a tree in which this entry stands at that index, so and so have cosigned it, and, when
 * P is there, this is what the entry says. No file is read here.
 */
#ifndef CLI_PROVEN_H
#define CLI_PROVEN_H

#include "cases/event/event.h"
#include "cases/seal/opened.h"
#include "replication/log/tlog_policy.h"
#include "replication/log/tlog_proof.h"

struct proven {
	struct tlog_verdict verdict; /* views into the policy */
	uint64_t index;
	struct hash leaf;
	size_t entry_size;
	bool sealed;           /* the entry is: not one of the log's own records */
	bool opened;           /* .. and this is the part: */
	struct part_info info; /* its ids, type and group */
	struct event event;    /* the piece of the event that it holds */
};
void proven_release(struct proven *proven); /* wipes; zeroed ones are fine */

/* file: the proof. entry: its bytes, BYTES_NONE: they are in the file, as Sauti writes it.
 * ERR_PROOF for all that does not prove what it should, a malformed file included; ERR_INVALID: the
 * entry is neither in the file nor given; ERR_NOMEM, ERR_CRYPTO. */
enum err proven_check(struct bytes file, struct bytes entry, const struct tlog_policy *policy,
	struct proven *ret, struct errctx *ctx) MUST_USE;

#endif
