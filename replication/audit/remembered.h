/*
 * remembered: what an auditor knows of a network since the last visit, and what that makes of what
 * is there now: a log that has become smaller, that does not go on from what was signed then, that
 * is gone, or that has stood still for too long.
 *
 * Of each log: the signed checkpoint as it was, the compact range of its tree, and the LogOpened
 * that gives its key; so that all of it can be verified again without a source, and two visits
 * together prove a fork to anybody.
 *
 * The state file is text (docs/FORMAT, "State of an audit"): every line in its place, one way only
 * to write a state, a hash over all of it at the end. The hash finds damage; against somebody who
 * writes the file stands remembered_verify. Pure; not thread-safe.
 */
#ifndef REPLICATION_AUDIT_REMEMBERED_H
#define REPLICATION_AUDIT_REMEMBERED_H

#include "replication/audit/finding.h"
#include "replication/log/checkpoint.h"
#include "replication/log/tree.h"

struct remembered;

/* One log. Views are borrowed when it is put, and owned by the state when it is looked up. */
struct remembered_log {
	struct checkpoint checkpoint; /* of its note: origin, size >= 1, root */
	struct bytes note;            /* signed, with cosignatures; at most LIMIT_NOTE_SIZE */
	struct bytes opened;          /* its entry 0; at most LIMIT_LOG_OPENED */
	struct note_key key;          /* of the log, as `opened` gives it */
	bool node_known;              /* false: audited without a directory */
	struct ed25519_public node;   /* the key that signed `opened` */
	const struct hash *peaks;     /* of the tree, largest first: one for each 1 bit of size */
	uint64_t changed_at;          /* the visit that saw this head first; seconds */
	uint64_t cosigned_at;         /* the newest cosignature by somebody known; 0: none */
};

/* vkey: the directory's verifier key, "": there is none. ERR_INVALID for a network that is none;
 * ERR_NOMEM. */
enum err remembered_new(const char *network, const char *vkey, struct remembered **ret) MUST_USE;
void remembered_free(struct remembered *remembered); /* NULL is fine */

const char *remembered_network(const struct remembered *remembered);
const char *remembered_directory(const struct remembered *remembered); /* vkey; "" */
uint64_t remembered_visited_at(const struct remembered *remembered);   /* seconds; 0: not yet */
void remembered_set_visited_at(struct remembered *remembered, uint64_t time_s);
size_t remembered_count(const struct remembered *remembered);
/* By origin, ascending. Valid until the next put. */
const struct remembered_log *remembered_at(const struct remembered *remembered, size_t i);
const struct remembered_log *remembered_find(
	const struct remembered *remembered, const char *origin); /* NULL: it is not there */

/* The compact range, to go on from. */
void remembered_tree(const struct remembered_log *log, struct compact *ret);

/* In place of what was there of this log; copied. checkpoint and key are taken from note and opened
 * and need not be set. ERR_INVALID: they do not belong together, or peaks do not make the root;
 * ERR_LIMIT past LIMIT_LOGS; ERR_NOMEM. */
enum err remembered_put(struct remembered *remembered, const struct remembered_log *log,
	struct errctx *ctx) MUST_USE;

/* The file. ERR_MALFORMED with the line, ERR_VERSION, ERR_CORRUPT (the hash), ERR_LIMIT over
 * LIMIT_AUDIT_STATE bytes, ERR_NOMEM. Form only. */
enum err remembered_parse(struct bytes file, struct remembered **ret, struct errctx *ctx) MUST_USE;
/* Appends it to out, whose own maximum should be LIMIT_AUDIT_STATE. */
enum err remembered_write(const struct remembered *remembered, struct buf *out) MUST_USE;

/* Is it of this network and this directory (""; not compared)? And is each note signed by its log's
 * key, and each LogOpened by the key it is said to be? ERR_UNTRUSTED, ERR_NOMEM. */
enum err remembered_verify(const struct remembered *remembered, const char *network,
	const char *vkey, struct errctx *ctx) MUST_USE;

/* --- against what is there now --- */

enum { REMEMBERED_FROZEN_S = 3 * 24 * 60 * 60 };

/* A log that was read: its checkpoint is signed by its key, and its entries are those under it, or
 * nothing is said by this. */
struct remembered_now {
	struct bytes note;
	struct bytes opened;
	const struct note_key *key;
	const struct ed25519_public *node; /* NULL: not known */
	/* The tree under this checkpoint, not believed: it proves what it says. NULL: it cannot be
	 * had. */
	const struct tree_source *tree;
	/* The root at the remembered size, of a sound walk; NULL: not known. One of the two is
	 * needed to go on from what was. */
	const struct hash *root_then;
	uint64_t cosigned_at; /* as above */
	bool ended;           /* its author writes another, or was cut off: nobody waits for news */
	uint64_t now_s;
};
/* ROLLBACK, FORK (with evidence that verifies anywhere, where it can be made), FROZEN.
 * *ret_consistent: what is there now goes on from what was, and may take its place. Only ERR_NOMEM
 * and ERR_CRYPTO are returned; what tree says else leaves the evidence out. */
enum err remembered_judge(const struct remembered_log *then, const struct remembered_now *now,
	struct findings *findings, bool *ret_consistent, struct errctx *ctx) MUST_USE;
/* LOG_MISSING: it was there at the last visit. ERR_NOMEM. */
enum err remembered_gone(const struct remembered_log *then, struct findings *findings) MUST_USE;

#endif
