/*
 * What can be said of a bundle without a node: no key is needed, none is trusted but as the bundle
 * itself names it. For each log: which entries it brings, whether its checkpoint is signed by the
 * log's key, and whether the entries lead to it. That can be proven for a log that the bundle has
 * from its first entry; of others only an import can tell.
 */
#ifndef REPLICATION_BUNDLE_CHECK_H
#define REPLICATION_BUNDLE_CHECK_H

#include "replication/bundle/manifest.h"
#include "replication/log/tree.h"

struct bundle_check_log {
	struct origin origin;
	uint64_t from, to, entries; /* [from, to) without a hole, as far as the bundle goes */
	uint64_t size;              /* of the newest checkpoint */
	bool key_known;
	struct note_key key;
	bool signed_ok;  /* every checkpoint shown is */
	bool whole;      /* it begins at 0 here: the entries are proven as they come */
	uint64_t proven; /* entries */
	struct compact compact;
	size_t cosigned; /* cosignatures that it brings: whose they say they are, not verified */
	struct {
		char node[LIMIT_NODE_NAME + 1];
		uint64_t size;
	} cosigner[LIMIT_NOTE_SIGNATURES];
	size_t problems;
};

struct bundle_check;
enum err bundle_check_new(struct bundle_check **ret) MUST_USE;
void bundle_check_free(struct bundle_check *check);

/* The manifest of a part that comes next; it names keys if it is signed. */
enum err bundle_check_manifest(
	struct bundle_check *check, const struct bundle_manifest *manifest) MUST_USE;
/* One frame. ERR_NOMEM; anything else is what is wrong with it, and why is in ctx. */
enum err bundle_check_frame(
	struct bundle_check *check, struct bytes frame, struct errctx *ctx) MUST_USE;

size_t bundle_check_evidence(const struct bundle_check *check); /* of forks: so many frames */
size_t bundle_check_mail(const struct bundle_check *check);     /* items */
size_t bundle_check_count(const struct bundle_check *check);
const struct bundle_check_log *bundle_check_at(const struct bundle_check *check, size_t position);

#endif
