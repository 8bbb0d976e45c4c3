/*
 * ruling: the records by which headquarters lays down who counts: NodeRevoked and PolicyChanged;
 * and Disputed, by which a node denies one (DESIGN 7). Form only, both ways; whether one takes
 * effect is the directory's to say. As in record.h: readers are strict in what a record may say and
 * lenient about fields they do not know; what is parsed lives in the caller's arena; pure.
 */
#ifndef CERTS_RULING_H
#define CERTS_RULING_H

#include "base/buf.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "proto/arena.h"

/* 1..LIMIT_REASON bytes of UTF-8 without control characters: it is shown to people. */
bool reason_valid(const char *text);

/* The last checkpoint that counts of one log. signature is the log key's over the checkpoint's
 * text: whoever knows the key can make the signed note again. */
struct revoked_log {
	char origin[LIMIT_ORIGIN + 1];
	uint64_t size; /* >= 1 */
	struct hash root;
	struct ed25519_signature signature;
};

struct revocation {
	char name[LIMIT_NODE_NAME + 1];
	char reason[LIMIT_REASON + 1];
	uint64_t revoked_at; /* seconds, UTC, as the record says */
	uint64_t index;      /* in the directory; set by the fold */
	struct revoked_log *logs;
	size_t log_count; /* at most LIMIT_EPOCHS_PER_NODE */
	bool replaced;    /* by another machine (certs/change.h); set by the fold, as the next */
	uint32_t epoch;   /* .. logs up to this counter are meant */
};
/* The body (not signed). ERR_INVALID for what node_revoked_read would not take. */
enum err node_revoked_body(
	struct buf *out, const char *network, const struct revocation *revocation) MUST_USE;
/* ERR_MALFORMED naming what, ERR_UNTRUSTED for another network, ERR_NOMEM. index is 0, logs are in
 * the arena. */
enum err node_revoked_read(struct bytes body, struct arena *arena, const char *network,
	struct revocation *ret, struct errctx *ctx) MUST_USE;

/* A node's word against a record about it: signed by its `node` key, in no log. */
struct disputed {
	char name[LIMIT_NODE_NAME + 1];
	char text[LIMIT_REASON + 1];
	uint64_t index, made_at;
};
/* ERR_INVALID for what disputed_read would not take. */
enum err disputed_body(
	struct buf *out, const char *network, const struct disputed *disputed) MUST_USE;
enum err disputed_read(struct bytes body, struct arena *arena, const char *network,
	struct disputed *ret, struct errctx *ctx) MUST_USE;

/* The built-in floors, and what holds while no policy says more. */
enum { POLICY_QUORUM_MIN = 1, POLICY_HIDE_MIN = 4, POLICY_SPLIT_MIN = 5 };

struct policy {
	uint32_t quorum;        /* mirrors that must hold an entry */
	uint32_t hide_below;    /* statistics: counts from 1 to this one are hidden */
	uint32_t split_offices; /* .. split totals are joined over at least so many offices */
	char mirrors[LIMIT_POLICY_MIRRORS][LIMIT_NODE_NAME + 1]; /* which count */
	size_t mirror_count;                                     /* 0: every active member */
	uint64_t changed_at; /* as the record says; 0: built in */
	uint64_t index;      /* in the directory; set by the fold */
};
void policy_init(struct policy *policy); /* the built-in one */
/* ERR_MALFORMED naming what: a value below its floor or above its cap, a name that is none or
 * stands twice, a quorum of more mirrors than are named. */
enum err policy_check(const struct policy *policy, struct errctx *ctx) MUST_USE;
bool policy_names(const struct policy *policy, const char *mirror); /* among those that count */
enum err policy_changed_body(
	struct buf *out, const char *network, const struct policy *policy) MUST_USE;
enum err policy_changed_read(struct bytes body, struct arena *arena, const char *network,
	struct policy *ret, struct errctx *ctx) MUST_USE;

#endif
